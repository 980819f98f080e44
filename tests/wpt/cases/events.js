// SPDX-License-Identifier: Apache-2.0
// Event, EventTarget and event handler attributes: DOM 2, HTML 8.1.8, on sockets and on plain targets.
import { AbortController, CloseEvent, Event, EventTarget, MessageEvent, WebSocket } from 'k6/websockets';
import {
  assert_array_equals, assert_equals, assert_false, assert_not_equals, assert_throws_dom, assert_throws_exactly, assert_throws_js, assert_true,
  next, opened, sleep_ms, test, trace,
} from '../harness.js';

export { options, default } from '../harness.js';

const URL = 'ws://a.test/';

// ---- what a socket fires

for (const [type, Class] of [['open', Event], ['message', MessageEvent], ['close', CloseEvent]]) {
  test(`${type}: class and attributes`, async (t) => {
    const ws = t.socket('/wire?hex=810161880203e8');
    const seen = {};
    ws.addEventListener(type, function listener(e) {
      Object.assign(seen, { self: this, current: e.currentTarget, phase: e.eventPhase, path: e.composedPath() });
    });
    const e = await next(ws, type);
    await null;
    assert_equals(Object.getPrototypeOf(e), Class.prototype);
    assert_array_equals([e.type, e.isTrusted, e.bubbles, e.cancelable, e.composed, e.defaultPrevented], [type, true, false, false, false, false]);
    assert_equals(e.target, ws);
    assert_equals(e.srcElement, ws);
    assert_equals(seen.self, ws);
    assert_equals(seen.current, ws);
    assert_equals(seen.phase, 2);
    assert_array_equals(seen.path, [ws]);
    assert_true(e.timeStamp >= 0);
  });
  test(`${type}: after dispatch`, async (t) => {
    const { events, types } = await trace(t.socket('/wire?hex=810161880203e8'));
    await sleep_ms(1);
    const e = events[types.indexOf(type)];
    assert_equals(e.currentTarget, null);
    assert_equals(e.eventPhase, 0);
    assert_array_equals(e.composedPath(), []);
    assert_not_equals(e.target, null);
  });
  test(`${type}: handler attribute is called with this and the event`, async (t) => {
    const ws = t.socket('/wire?hex=810161880203e8');
    const got = await new Promise((resolve) => {
      ws[`on${type}`] = function handler(...args) { resolve({ self: this, args }); };
    });
    assert_equals(got.self, ws);
    assert_equals(got.args.length, 1);
    assert_equals(got.args[0].type, type);
  });
}
test('timeStamps do not go back', async (t) => {
  const { events } = await trace(t.socket('/wire?hex=810161880203e8'));
  assert_true(events[0].timeStamp <= events[1].timeStamp && events[1].timeStamp <= events[2].timeStamp);
});
test('a dispatched trusted event becomes untrusted', async (t) => {
  const ws = await opened(t, '/wire?hex=810161');
  const e = await next(ws, 'message');
  await sleep_ms(1);
  new EventTarget().dispatchEvent(e);
  assert_false(e.isTrusted);
});
test('microtasks run between two listeners', async (t) => {
  const ws = t.socket('/wire?hex=880203e8');
  const seen = [];
  ws.addEventListener('open', () => { seen.push(1); Promise.resolve().then(() => seen.push(2)); });
  ws.addEventListener('open', () => seen.push(3));
  await next(ws, 'close');
  assert_array_equals(seen, [1, 2, 3]);
});

// ---- handler attributes, on a socket that never connects

const socket = (t) => t.own(new WebSocket(URL));
for (const type of ['open', 'message', 'error', 'close']) {
  const key = `on${type}`;
  test(`${key}: a function`, (t) => {
    const ws = socket(t);
    const f = () => {};
    ws[key] = f;
    assert_equals(ws[key], f);
    ws[key] = null;
    assert_equals(ws[key], null);
  });
  for (const value of [undefined, null, 0, 5, 'f', true, Symbol('x'), 1n]) {
    test(`${key}: ${typeof value} ${String(value)} becomes null`, (t) => {
      const ws = socket(t);
      ws[key] = () => {};
      ws[key] = value;
      assert_equals(ws[key], null);
    });
  }
  test(`${key}: an object is kept, and never called`, (t) => {
    const ws = socket(t);
    let called = false;
    const object = { handleEvent() { called = true; } };
    ws[key] = object;
    assert_equals(ws[key], object);
    ws.dispatchEvent(new Event(type));
    assert_false(called);
  });
  test(`${key}: synthetic events`, (t) => {
    const ws = socket(t);
    const seen = [];
    ws[key] = (e) => seen.push(e);
    const e = new Event(type);
    assert_true(ws.dispatchEvent(e));
    assert_array_equals(seen, [e]);
    assert_equals(ws.readyState, 0);
    ws[key] = null;
    ws.dispatchEvent(new Event(type));
    assert_equals(seen.length, 1);
  });
}
function order(t, build) {
  const ws = socket(t);
  const seen = [];
  build(ws, (name) => () => { seen.push(name); });
  ws.dispatchEvent(new Event('message'));
  return seen;
}
test('handler order: where it was first set', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    ws.addEventListener('message', log('a'));
    ws.onmessage = log('handler');
    ws.addEventListener('message', log('b'));
  }), ['a', 'handler', 'b']);
});
test('handler order: replacing keeps the place', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    ws.onmessage = log('old');
    ws.addEventListener('message', log('a'));
    ws.onmessage = log('new');
  }), ['new', 'a']);
});
test('handler order: null and again moves to the end', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    ws.onmessage = log('old');
    ws.addEventListener('message', log('a'));
    ws.onmessage = null;
    ws.onmessage = log('new');
  }), ['a', 'new']);
});
test('handler order: an object holds the place', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    ws.onmessage = {};
    ws.addEventListener('message', log('a'));
    ws.onmessage = log('h');
  }), ['h', 'a']);
});
test('the same function as handler and as listener runs twice', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    const f = log('f');
    ws.onmessage = f;
    ws.addEventListener('message', f);
  }), ['f', 'f']);
});
test('removeEventListener does not touch the handler', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    const f = log('f');
    ws.onmessage = f;
    ws.removeEventListener('message', f);
  }), ['f']);
});
test('a handler replaced during dispatch: the new one runs', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    ws.addEventListener('message', () => { ws.onmessage = log('new'); });
    ws.onmessage = log('old');
  }), ['new']);
});
test('a handler unset during dispatch does not run', (t) => {
  assert_array_equals(order(t, (ws, log) => {
    ws.addEventListener('message', () => { ws.onmessage = null; });
    ws.onmessage = log('old');
  }), []);
});
for (const [value, canceled] of [[false, true], [true, false], [undefined, false], [0, false], [null, false]]) {
  test(`a handler that returns ${value}`, (t) => {
    const ws = socket(t);
    ws.onmessage = () => value;
    const e = new Event('message', { cancelable: true });
    assert_equals(ws.dispatchEvent(e), !canceled);
    assert_equals(e.defaultPrevented, canceled);
  });
}
test('a listener that returns false cancels nothing', (t) => {
  const ws = socket(t);
  ws.addEventListener('message', () => false);
  assert_true(ws.dispatchEvent(new Event('message', { cancelable: true })));
});

// ---- addEventListener and removeEventListener, on a plain target and on a socket

for (const [kind, make] of [['EventTarget', () => new EventTarget()], ['WebSocket', socket]]) {
  const on = (name, fn) => test(`${kind}: ${name}`, (t) => fn(make(t)));
  const fire = (target, type = 'x') => target.dispatchEvent(new Event(type));

  on('returns undefined', (target) => {
    assert_equals(target.addEventListener('x', () => {}), undefined);
    assert_equals(target.removeEventListener('x', () => {}), undefined);
  });
  on('registration order', (target) => {
    const seen = [];
    for (const n of [1, 2, 3]) target.addEventListener('x', () => seen.push(n));
    fire(target);
    assert_array_equals(seen, [1, 2, 3]);
  });
  on('the same listener once', (target) => {
    let count = 0;
    const f = () => count++;
    target.addEventListener('x', f);
    target.addEventListener('x', f);
    target.addEventListener('x', f, { once: true });
    target.addEventListener('x', f, false);
    fire(target);
    assert_equals(count, 1);
    fire(target);
    assert_equals(count, 2);
  });
  on('capture makes another listener', (target) => {
    let count = 0;
    const f = () => count++;
    target.addEventListener('x', f);
    target.addEventListener('x', f, true);
    target.addEventListener('x', f, { capture: true });
    fire(target);
    assert_equals(count, 2);
    target.removeEventListener('x', f, true);
    fire(target);
    assert_equals(count, 3);
  });
  on('capturing listeners go first', (target) => {
    const seen = [];
    target.addEventListener('x', () => seen.push('bubble'));
    target.addEventListener('x', () => seen.push('capture'), true);
    fire(target);
    assert_array_equals(seen, ['capture', 'bubble']);
  });
  on('stopPropagation in a capturing listener', (target) => {
    const seen = [];
    target.addEventListener('x', (e) => { seen.push(1); e.stopPropagation(); }, true);
    target.addEventListener('x', () => seen.push(2), true);
    target.addEventListener('x', () => seen.push(3));
    fire(target);
    assert_array_equals(seen, [1, 2]);
  });
  on('stopPropagation does not stop the others of the target', (target) => {
    const seen = [];
    target.addEventListener('x', (e) => { seen.push(1); e.stopPropagation(); });
    target.addEventListener('x', () => seen.push(2));
    fire(target);
    assert_array_equals(seen, [1, 2]);
  });
  on('stopImmediatePropagation', (target) => {
    const seen = [];
    target.addEventListener('x', (e) => { seen.push(1); e.stopImmediatePropagation(); });
    target.addEventListener('x', () => seen.push(2));
    fire(target);
    fire(target);
    assert_array_equals(seen, [1, 1]);
  });
  on('once', (target) => {
    let count = 0;
    target.addEventListener('x', () => count++, { once: true });
    fire(target);
    fire(target);
    assert_equals(count, 1);
  });
  on('once is removed before it runs', (target) => {
    let count = 0;
    const f = () => { if (++count < 5) fire(target); };
    target.addEventListener('x', f, { once: true });
    fire(target);
    assert_equals(count, 1);
  });
  on('once that adds itself again runs at the next event', (target) => {
    let count = 0;
    const f = () => { count++; target.addEventListener('x', f, { once: true }); };
    target.addEventListener('x', f, { once: true });
    fire(target);
    assert_equals(count, 1);
    fire(target);
    assert_equals(count, 2);
  });
  on('once can be removed', (target) => {
    let count = 0;
    const f = () => count++;
    target.addEventListener('x', f, { once: true });
    target.removeEventListener('x', f);
    fire(target);
    assert_equals(count, 0);
  });
  on('passive: preventDefault does nothing', (target) => {
    target.addEventListener('x', (e) => e.preventDefault(), { passive: true });
    const e = new Event('x', { cancelable: true });
    assert_true(target.dispatchEvent(e));
    assert_false(e.defaultPrevented);
  });
  on('handleEvent', (target) => {
    const seen = [];
    const object = { handleEvent(e) { seen.push(this, e.type); } };
    target.addEventListener('x', object);
    fire(target);
    assert_array_equals(seen, [object, 'x']);
    target.removeEventListener('x', object);
    fire(target);
    assert_equals(seen.length, 2);
  });
  on('handleEvent is looked up at each event', (target) => {
    const seen = [];
    const object = {};
    target.addEventListener('x', object);
    object.handleEvent = () => seen.push(1);
    fire(target);
    object.handleEvent = () => seen.push(2);
    fire(target);
    assert_array_equals(seen, [1, 2]);
  });
  on('a function is called even if it has handleEvent', (target) => {
    const seen = [];
    const f = () => seen.push('f');
    f.handleEvent = () => seen.push('handleEvent');
    target.addEventListener('x', f);
    fire(target);
    assert_array_equals(seen, ['f']);
  });
  on('this is the current target', (target) => {
    let self = null;
    target.addEventListener('x', function listener() { self = this; });
    fire(target);
    assert_equals(self, target);
  });
  on('null and undefined are ignored', (target) => {
    assert_equals(target.addEventListener('x', null), undefined);
    assert_equals(target.addEventListener('x', undefined), undefined);
    assert_equals(target.removeEventListener('x', null), undefined);
    assert_true(fire(target));
  });
  for (const value of [5, 'f', true, Symbol('x')]) {
    on(`a ${typeof value} is no listener`, (target) => {
      assert_throws_js(TypeError, () => target.addEventListener('x', value));
      assert_throws_js(TypeError, () => target.removeEventListener('x', value));
    });
  }
  on('too few arguments', (target) => {
    assert_throws_js(TypeError, () => target.addEventListener());
    assert_throws_js(TypeError, () => target.addEventListener('x'));
    assert_throws_js(TypeError, () => target.removeEventListener('x'));
    assert_throws_js(TypeError, () => target.dispatchEvent());
  });
  on('types are compared as they are', (target) => {
    let count = 0;
    target.addEventListener('X', () => count++);
    fire(target, 'x');
    assert_equals(count, 0);
  });
  on('types are converted', (target) => {
    const seen = [];
    target.addEventListener(5, () => seen.push(5));
    target.addEventListener(null, () => seen.push(null));
    target.addEventListener('', () => seen.push(''));
    for (const type of ['5', 'null', '']) fire(target, type);
    assert_array_equals(seen, [5, null, '']);
  });
  on('a listener added during dispatch waits', (target) => {
    const seen = [];
    target.addEventListener('x', () => { seen.push(1); target.addEventListener('x', () => seen.push(2), { once: true }); }, { once: true });
    fire(target);
    assert_array_equals(seen, [1]);
    fire(target);
    assert_array_equals(seen, [1, 2]);
  });
  on('a listener removed during dispatch does not run', (target) => {
    const seen = [];
    const f = () => seen.push('f');
    target.addEventListener('x', () => target.removeEventListener('x', f));
    target.addEventListener('x', f);
    fire(target);
    assert_array_equals(seen, []);
  });
  on('a listener removed and added again during dispatch waits', (target) => {
    const seen = [];
    const f = () => seen.push('f');
    target.addEventListener('x', () => { target.removeEventListener('x', f); target.addEventListener('x', f); }, { once: true });
    target.addEventListener('x', f);
    fire(target);
    assert_array_equals(seen, []);
    fire(target);
    assert_array_equals(seen, ['f']);
  });
  on('removing an earlier one does not skip the next', (target) => {
    const seen = [];
    const a = () => { seen.push('a'); target.removeEventListener('x', a); };
    target.addEventListener('x', a);
    target.addEventListener('x', () => seen.push('b'));
    target.addEventListener('x', () => seen.push('c'));
    fire(target);
    assert_array_equals(seen, ['a', 'b', 'c']);
  });
  on('signal: abort removes', (target) => {
    let count = 0;
    const controller = new AbortController();
    target.addEventListener('x', () => count++, { signal: controller.signal });
    fire(target);
    controller.abort();
    fire(target);
    assert_equals(count, 1);
  });
  on('signal: already aborted', (target) => {
    let count = 0;
    const controller = new AbortController();
    controller.abort();
    target.addEventListener('x', () => count++, { signal: controller.signal });
    fire(target);
    assert_equals(count, 0);
  });
  on('signal: abort during dispatch', (target) => {
    let count = 0;
    const controller = new AbortController();
    target.addEventListener('x', () => controller.abort());
    target.addEventListener('x', () => count++, { signal: controller.signal });
    fire(target);
    assert_equals(count, 0);
  });
  on('signal: several listeners, one abort', (target) => {
    let count = 0;
    const controller = new AbortController();
    for (let i = 0; i < 10; i++) target.addEventListener('x', () => count++, { signal: controller.signal, once: i % 2 === 0 });
    controller.abort();
    fire(target);
    assert_equals(count, 0);
  });
  on('signal: undefined is none', (target) => {
    let count = 0;
    target.addEventListener('x', () => count++, { signal: undefined });
    fire(target);
    assert_equals(count, 1);
  });
  for (const value of [null, 5, {}]) {
    on(`signal: ${JSON.stringify(value)} is none of them`, (target) => {
      assert_throws_js(TypeError, () => target.addEventListener('x', () => {}, { signal: value }));
    });
  }
  for (const value of [null, undefined, 0, 1, '', 'x']) {
    on(`options ${JSON.stringify(value)}`, (target) => {
      let count = 0;
      const f = () => count++;
      target.addEventListener('x', f, value);
      target.removeEventListener('x', f, !!value);
      fire(target);
      assert_equals(count, 0);
    });
  }
  on('what a getter of the options throws comes through', (target) => {
    const thrown = { name: 'mine' };
    assert_throws_exactly(thrown, () => target.addEventListener('x', () => {}, { get once() { throw thrown; } }));
  });
  on('dispatchEvent: true without listeners', (target) => assert_equals(fire(target), true));
  on('dispatchEvent: target and path', (target) => {
    const e = new Event('x');
    let inside = null;
    target.addEventListener('x', () => { inside = [e.target, e.currentTarget, e.eventPhase, ...e.composedPath()]; });
    target.dispatchEvent(e);
    assert_array_equals(inside, [target, target, 2, target]);
    assert_array_equals([e.target, e.currentTarget, e.eventPhase, ...e.composedPath()], [target, null, 0]);
  });
  on('dispatchEvent: false if cancelled', (target) => {
    target.addEventListener('x', (e) => e.preventDefault());
    assert_false(target.dispatchEvent(new Event('x', { cancelable: true })));
    assert_true(target.dispatchEvent(new Event('x')));
  });
  on('dispatchEvent: InvalidStateError while dispatching', (target) => {
    const e = new Event('x');
    let error = null;
    target.addEventListener('x', () => {
      try {
        target.dispatchEvent(e);
      } catch (x) {
        error = x;
      }
    });
    target.dispatchEvent(e);
    assert_throws_dom('InvalidStateError', () => { throw error; });
  });
  on('dispatchEvent: the same event again', (target) => {
    let count = 0;
    const e = new Event('x');
    target.addEventListener('x', () => count++);
    target.dispatchEvent(e);
    target.dispatchEvent(e);
    assert_equals(count, 2);
  });
  on('dispatchEvent: nested', (target) => {
    const seen = [];
    target.addEventListener('x', () => { seen.push('x>'); fire(target, 'y'); seen.push('<x'); });
    target.addEventListener('y', () => seen.push('y'));
    fire(target);
    assert_array_equals(seen, ['x>', 'y', '<x']);
  });
  on('dispatchEvent: a stopped event reaches nobody', (target) => {
    let count = 0;
    target.addEventListener('x', () => count++);
    const e = new Event('x');
    e.stopPropagation();
    target.dispatchEvent(e);
    assert_equals(count, 0);
    target.dispatchEvent(e);
    assert_equals(count, 1);
  });
  for (const value of [null, undefined, {}, 'x', { type: 'x' }]) {
    on(`dispatchEvent: ${JSON.stringify(value)} is no event`, (target) => assert_throws_js(TypeError, () => target.dispatchEvent(value)));
  }
}

// ---- Event

test('Event: defaults', () => {
  const e = new Event('x');
  assert_array_equals([e.type, e.target, e.currentTarget, e.srcElement, e.eventPhase, e.bubbles, e.cancelable, e.composed, e.defaultPrevented, e.returnValue,
    e.cancelBubble, e.isTrusted], ['x', null, null, null, 0, false, false, false, false, true, false, false]);
  assert_array_equals(e.composedPath(), []);
});
test('Event: init', () => {
  const e = new Event('x', { bubbles: true, cancelable: 1, composed: 'yes' });
  assert_array_equals([e.bubbles, e.cancelable, e.composed], [true, true, true]);
});
for (const value of [null, undefined, {}]) test(`Event: init ${JSON.stringify(value)}`, () => assert_false(new Event('x', value).bubbles));
for (const value of [5, 'x', true]) test(`Event: init ${value}`, () => assert_throws_js(TypeError, () => new Event('x', value)));
test('Event: the type is converted', () => assert_array_equals([new Event(null).type, new Event(undefined).type, new Event(1).type], ['null', 'undefined', '1']));
test('Event: preventDefault', () => {
  const e = new Event('x', { cancelable: true });
  e.preventDefault();
  assert_array_equals([e.defaultPrevented, e.returnValue], [true, false]);
  e.returnValue = true;
  assert_true(e.defaultPrevented);
});
test('Event: preventDefault of one that is not cancelable', () => {
  const e = new Event('x');
  e.preventDefault();
  e.returnValue = false;
  assert_array_equals([e.defaultPrevented, e.returnValue], [false, true]);
});
test('Event: returnValue = false', () => {
  const e = new Event('x', { cancelable: true });
  e.returnValue = false;
  assert_true(e.defaultPrevented);
});
test('Event: cancelBubble', () => {
  const e = new Event('x');
  e.cancelBubble = false;
  assert_false(e.cancelBubble);
  e.cancelBubble = true;
  e.cancelBubble = false;
  assert_true(e.cancelBubble);
});
test('Event: cancelBubble shows stopPropagation', () => {
  const e = new Event('x');
  e.stopPropagation();
  assert_true(e.cancelBubble);
  const f = new Event('x');
  f.stopImmediatePropagation();
  assert_true(f.cancelBubble);
});
test('Event: flags are cleared by dispatch', () => {
  const e = new Event('x');
  e.stopPropagation();
  new EventTarget().dispatchEvent(e);
  assert_false(e.cancelBubble);
});
test('Event: initEvent', () => {
  const e = new Event('x', { cancelable: true });
  e.preventDefault();
  e.stopPropagation();
  e.initEvent('y', true, true);
  assert_array_equals([e.type, e.bubbles, e.cancelable, e.defaultPrevented, e.cancelBubble], ['y', true, true, false, false]);
});
test('Event: initEvent during dispatch does nothing', () => {
  const target = new EventTarget();
  const e = new Event('x');
  target.addEventListener('x', () => e.initEvent('y'));
  target.dispatchEvent(e);
  assert_equals(e.type, 'x');
});
test('Event: isTrusted cannot be changed', () => assert_throws_js(TypeError, () => { new Event('x').isTrusted = true; }));
test('Event: timeStamp stays', async () => {
  const e = new Event('x');
  const before = e.timeStamp;
  await sleep_ms(3);
  assert_equals(e.timeStamp, before);
});
test('Event: subclasses', () => {
  class Mine extends Event {}
  const target = new EventTarget();
  let got = null;
  target.addEventListener('x', (e) => { got = e; });
  target.dispatchEvent(new Mine('x'));
  assert_true(got instanceof Mine && got instanceof Event);
});
test('EventTarget: subclasses', () => {
  class Mine extends EventTarget {}
  const target = new Mine();
  let count = 0;
  target.addEventListener('x', () => count++);
  target.dispatchEvent(new Event('x'));
  assert_equals(count, 1);
});

// ---- MessageEvent, CloseEvent

test('MessageEvent: defaults', () => {
  const e = new MessageEvent('m');
  assert_array_equals([e.type, e.data, e.origin, e.lastEventId, e.source], ['m', null, '', '', null]);
  assert_array_equals(e.ports, []);
});
test('MessageEvent: init', () => {
  const data = { x: 1 };
  const e = new MessageEvent('m', { data, origin: 'o', lastEventId: 5, bubbles: true });
  assert_array_equals([e.data, e.origin, e.lastEventId, e.bubbles], [data, 'o', '5', true]);
});
test('MessageEvent: data undefined is null', () => assert_equals(new MessageEvent('m', { data: undefined }).data, null));
test('MessageEvent: origin is a USVString', () => assert_equals(new MessageEvent('m', { origin: '\ud800' }).origin, '\ufffd'));
test('MessageEvent: ports is one frozen array', () => {
  const e = new MessageEvent('m');
  assert_equals(e.ports, e.ports);
  assert_true(Object.isFrozen(e.ports));
});
for (const value of [null, 5, {}, [5]]) {
  test(`MessageEvent: ports ${JSON.stringify(value)}`, () => assert_throws_js(TypeError, () => new MessageEvent('m', { ports: value })));
}
for (const value of [5, 'x', {}]) {
  test(`MessageEvent: source ${JSON.stringify(value)}`, () => assert_throws_js(TypeError, () => new MessageEvent('m', { source: value })));
}
test('CloseEvent: defaults', () => {
  const e = new CloseEvent('c');
  assert_array_equals([e.type, e.wasClean, e.code, e.reason], ['c', false, 0, '']);
});
test('CloseEvent: init', () => {
  const e = new CloseEvent('c', { wasClean: 1, code: 3000, reason: 'r', cancelable: true });
  assert_array_equals([e.wasClean, e.code, e.reason, e.cancelable], [true, 3000, 'r', true]);
});
for (const [value, code] of [[65535, 65535], [65536, 0], [-1, 65535], [1000.9, 1000], [NaN, 0], ['12', 12], [Infinity, 0], [null, 0], [true, 1]]) {
  test(`CloseEvent: code ${value}`, () => assert_equals(new CloseEvent('c', { code: value }).code, code));
}
for (const [value, reason] of [[null, 'null'], [undefined, ''], [5, '5'], ['\udc00', '\ufffd']]) {
  test(`CloseEvent: reason ${JSON.stringify(value)}`, () => assert_equals(new CloseEvent('c', { reason: value }).reason, reason));
}
for (const key of ['wasClean', 'code', 'reason']) {
  test(`CloseEvent: ${key} is read-only`, () => assert_throws_js(TypeError, () => { new CloseEvent('c')[key] = 1; }));
}
test('CloseEvent: a symbol as code', () => assert_throws_js(TypeError, () => new CloseEvent('c', { code: Symbol('x') })));
test('a synthetic close does not close', (t) => {
  const ws = socket(t);
  let code = null;
  ws.onclose = (e) => { code = e.code; };
  ws.dispatchEvent(new CloseEvent('close', { code: 4000 }));
  assert_array_equals([code, ws.readyState], [4000, 0]);
});
