// SPDX-License-Identifier: Apache-2.0
// Interface objects, Web IDL 3.7: what each class and its prototype look like to a script.
import * as all from 'k6/websockets';
import { assert_array_equals, assert_equals, assert_false, assert_throws_js, assert_true, test } from '../harness.js';

export { options, default } from '../harness.js';

const { WebSocket, EventTarget, Event, MessageEvent, CloseEvent, AbortController, AbortSignal, Blob, DOMException } = all;
const URL = 'ws://a.test/';

// attributes: +writable; methods: name -> length
const interfaces = {
  EventTarget: {
    length: 0, make: () => new EventTarget(), methods: { addEventListener: 2, removeEventListener: 2, dispatchEvent: 1 },
  },
  Event: {
    length: 1,
    make: () => new Event('x'),
    attributes: ['type', 'target', 'srcElement', 'currentTarget', 'eventPhase', 'bubbles', 'cancelable', 'defaultPrevented',
      'composed', 'timeStamp', '+cancelBubble', '+returnValue'],
    methods: { composedPath: 0, stopPropagation: 0, stopImmediatePropagation: 0, preventDefault: 0, initEvent: 1 },
    constants: { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 },
  },
  MessageEvent: {
    length: 1, parent: 'Event', make: () => new MessageEvent('x'), attributes: ['data', 'origin', 'lastEventId', 'source', 'ports'],
  },
  CloseEvent: { length: 1, parent: 'Event', make: () => new CloseEvent('x'), attributes: ['wasClean', 'code', 'reason'] },
  WebSocket: {
    length: 1,
    parent: 'EventTarget',
    make: (t) => t.own(new WebSocket(URL)),
    attributes: ['url', 'readyState', 'bufferedAmount', '+onopen', '+onerror', '+onclose', 'extensions', 'protocol', '+onmessage',
      '+binaryType'],
    methods: { close: 0, send: 1 },
    constants: { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 },
  },
  AbortController: { length: 0, make: () => new AbortController(), attributes: ['signal'], methods: { abort: 0 } },
  AbortSignal: {
    parent: 'EventTarget', make: () => new AbortController().signal, attributes: ['aborted', 'reason', '+onabort'],
    methods: { throwIfAborted: 0 }, length: 0,
  },
  Blob: {
    length: 0, make: () => new Blob(), attributes: ['size', 'type'], methods: { slice: 0, text: 0, arrayBuffer: 0, bytes: 0, stream: 0 },
  },
};

function check(object, key, wanted) {
  const got = Object.getOwnPropertyDescriptor(object, key);
  assert_true(got !== undefined, `has ${String(key)}`);
  for (const name of Object.keys(wanted)) assert_equals(got[name], wanted[name], `${String(key)}: ${name}`);
  return got;
}

for (const [name, is] of Object.entries(interfaces)) {
  const Class = all[name];
  const proto = Class.prototype;

  test(`${name}: length`, () => check(Class, 'length', { value: is.length, writable: false, enumerable: false, configurable: true }));
  test(`${name}: name`, () => check(Class, 'name', { value: name, writable: false, enumerable: false, configurable: true }));
  test(`${name}: prototype`, () => check(Class, 'prototype', { writable: false, enumerable: false, configurable: false }));
  test(`${name}: prototype.constructor`, () => {
    check(proto, 'constructor', { value: Class, writable: true, enumerable: false, configurable: true });
  });
  test(`${name}: Symbol.toStringTag`, () => {
    check(proto, Symbol.toStringTag, { value: name, writable: false, enumerable: false, configurable: true });
  });
  test(`${name}: String()`, (t) => assert_equals(String(is.make(t)), `[object ${name}]`));
  test(`${name}: [[Prototype]] of the interface object`, () => {
    assert_equals(Object.getPrototypeOf(Class), is.parent ? all[is.parent] : Function.prototype);
  });
  test(`${name}: [[Prototype]] of the prototype`, () => {
    assert_equals(Object.getPrototypeOf(proto), is.parent ? all[is.parent].prototype : Object.prototype);
  });
  test(`${name}: instances`, (t) => {
    const object = is.make(t);
    assert_true(object instanceof Class);
    assert_equals(Object.getPrototypeOf(object), proto);
  });
  test(`${name}: instances have no own members`, (t) => {
    const isEvent = object => object instanceof Event;
    const object = is.make(t);
    assert_array_equals(Object.getOwnPropertyNames(object), isEvent(object) ? ['isTrusted'] : []);
  });
  test(`${name}: without new`, () => assert_throws_js(TypeError, () => Class('x')));
  if (is.length > 0) test(`${name}: too few arguments`, () => assert_throws_js(TypeError, () => new Class()));

  for (const entry of is.attributes || []) {
    const writable = entry[0] === '+';
    const key = writable ? entry.slice(1) : entry;
    test(`${name}: attribute ${key}`, (t) => {
      const got = check(proto, key, { enumerable: true, configurable: true });
      assert_equals(typeof got.get, 'function');
      assert_equals(got.get.name, `get ${key}`);
      assert_equals(got.get.length, 0);
      assert_equals(typeof got.set, writable ? 'function' : 'undefined');
      if (writable) {
        assert_equals(got.set.name, `set ${key}`);
        assert_equals(got.set.length, 1);
      }
      assert_false(Object.prototype.hasOwnProperty.call(is.make(t), key), 'own property');
    });
    test(`${name}: attribute ${key} of another object`, () => {
      const { get, set } = Object.getOwnPropertyDescriptor(proto, key);
      assert_throws_js(TypeError, () => get.call({}));
      assert_throws_js(TypeError, () => get.call(proto));
      if (set) assert_throws_js(TypeError, () => set.call({}, null));
    });
  }
  for (const [key, length] of Object.entries(is.methods || {})) {
    test(`${name}: method ${key}`, () => {
      const { value } = check(proto, key, { writable: true, enumerable: true, configurable: true });
      assert_equals(value.name, key);
      assert_equals(value.length, length);
    });
    if (!['text', 'arrayBuffer', 'bytes'].includes(key)) {
      test(`${name}: method ${key} of another object`, () => {
        assert_throws_js(TypeError, () => proto[key].call({}, 'x', null));
      });
    }
  }
  for (const [key, value] of Object.entries(is.constants || {})) {
    test(`${name}: constant ${key}`, () => {
      check(Class, key, { value, writable: false, enumerable: true, configurable: false });
      check(proto, key, { value, writable: false, enumerable: true, configurable: false });
    });
  }
}

for (const key of ['text', 'arrayBuffer', 'bytes']) {
  test(`Blob: method ${key} of another object rejects`, async () => {
    let error = null;
    try {
      await Blob.prototype[key].call({});
    } catch (e) {
      error = e;
    }
    assert_true(error instanceof TypeError);
  });
}

for (const [key, length] of [['abort', 0], ['timeout', 1], ['any', 1]]) {
  test(`AbortSignal: static method ${key}`, () => {
    const { value } = check(AbortSignal, key, { writable: true, enumerable: true, configurable: true });
    assert_equals(value.length, length);
  });
}
test('AbortSignal: no constructor', () => assert_throws_js(TypeError, () => new AbortSignal()));

test('Event: isTrusted is unforgeable', () => {
  const got = check(new Event('x'), 'isTrusted', { enumerable: true, configurable: false, set: undefined });
  assert_equals(typeof got.get, 'function');
  assert_false('isTrusted' in Event.prototype);
});
test('Event: isTrusted has one getter', () => {
  const getter = () => Object.getOwnPropertyDescriptor(new Event('x'), 'isTrusted').get;
  assert_equals(getter(), getter());
});

test('WebSocket: instances have the constants', (t) => {
  const ws = t.own(new WebSocket(URL));
  assert_array_equals([ws.CONNECTING, ws.OPEN, ws.CLOSING, ws.CLOSED], [0, 1, 2, 3]);
});
for (const key of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED']) {
  test(`WebSocket: ${key} cannot be changed`, () => {
    assert_throws_js(TypeError, () => { WebSocket[key] = 9; });
    assert_throws_js(TypeError, () => { delete WebSocket.prototype[key]; });
  });
}
for (const key of ['readyState', 'bufferedAmount', 'extensions', 'protocol', 'url']) {
  test(`WebSocket: ${key} cannot be assigned`, (t) => {
    const ws = t.own(new WebSocket(URL));
    const before = ws[key];
    assert_throws_js(TypeError, () => { ws[key] = 7; });
    assert_equals(ws[key], before);
  });
  test(`WebSocket: ${key} cannot be deleted from an instance`, (t) => {
    const ws = t.own(new WebSocket(URL));
    assert_true(delete ws[key]);
    assert_true(key in ws);
  });
}
const initial = { readyState: 0, bufferedAmount: 0, extensions: '', protocol: '', binaryType: 'blob', url: URL, onopen: null, onmessage: null, onerror: null, onclose: null };
for (const [key, value] of Object.entries(initial)) {
  test(`WebSocket: ${key} at first`, (t) => assert_equals(t.own(new WebSocket(URL))[key], value));
}
test('WebSocket: other properties may be added', (t) => {
  const ws = t.own(new WebSocket(URL));
  ws.mine = 1;
  assert_array_equals(Object.keys(ws), ['mine']);
});
test('WebSocket: for-in sees the members', (t) => {
  const seen = [];
  for (const key in t.own(new WebSocket(URL))) seen.push(key);
  assert_true(['url', 'send', 'close', 'OPEN', 'onopen', 'addEventListener'].every((key) => seen.includes(key)));
});

// ---- DOMException, Web IDL 2.8

test('DOMException: inherits from Error', () => {
  assert_equals(Object.getPrototypeOf(DOMException.prototype), Error.prototype);
  assert_true(new DOMException() instanceof Error);
});
test('DOMException: length', () => assert_equals(DOMException.length, 0));
test('DOMException: name', () => assert_equals(DOMException.name, 'DOMException'));
test('DOMException: defaults', () => {
  const e = new DOMException();
  assert_array_equals([e.name, e.message, e.code], ['Error', '', 0]);
});
for (const [name, code] of [['IndexSizeError', 1], ['NotFoundError', 8], ['NotSupportedError', 9], ['InvalidStateError', 11],
  ['SyntaxError', 12], ['InvalidAccessError', 15], ['SecurityError', 18], ['NetworkError', 19], ['AbortError', 20], ['TimeoutError', 23],
  ['DataCloneError', 25], ['EncodingError', 0], ['OperationError', 0], ['Other', 0]]) {
  test(`DOMException: code of ${name}`, () => {
    const e = new DOMException('m', name);
    assert_array_equals([e.name, e.message, e.code], [name, 'm', code]);
  });
}
for (const key of ['name', 'message', 'code']) {
  test(`DOMException: attribute ${key}`, () => {
    const got = check(DOMException.prototype, key, { enumerable: true, configurable: true, set: undefined });
    assert_equals(typeof got.get, 'function');
    assert_false(Object.prototype.hasOwnProperty.call(new DOMException(), key));
  });
}
for (const key of ['name', 'message', 'code']) {
  test(`DOMException: ${key} of others`, () => {
    const { get } = Object.getOwnPropertyDescriptor(DOMException.prototype, key);
    const seen = [];
    const proxy = new Proxy(new DOMException(), { get: (...a) => seen.push(a), getOwnPropertyDescriptor: (...a) => seen.push(a) });
    for (const other of [DOMException.prototype, Object.create(new DOMException()), new Error('x'), {}, proxy, null, undefined, 5]) {
      assert_throws_js(TypeError, () => get.call(other));
    }
    assert_equals(seen.length, 0);
  });
}
test('DOMException: nothing of its own but a stack', () => {
  assert_array_equals(Reflect.ownKeys(new DOMException('m', 'AbortError')).filter((key) => key !== 'stack'), []);
});
test('DOMException: of a subclass', () => {
  class Mine extends DOMException {}
  const e = new Mine('m', 'AbortError');
  assert_true(e instanceof Mine && e instanceof DOMException);
  assert_array_equals([e.name, e.message, e.code, String(e)], ['AbortError', 'm', 20, 'AbortError: m']);
});
test('DOMException: constants', () => {
  assert_array_equals([DOMException.DOMSTRING_SIZE_ERR, DOMException.NO_DATA_ALLOWED_ERR, DOMException.VALIDATION_ERR], [2, 6, 16]);
  check(DOMException, 'SYNTAX_ERR', { value: 12, writable: false, enumerable: true, configurable: false });
  check(DOMException.prototype, 'ABORT_ERR', { value: 20, writable: false, enumerable: true, configurable: false });
});
test('DOMException: String()', () => assert_equals(String(new DOMException('m', 'AbortError')), 'AbortError: m'));
test('DOMException: tag', () => {
  assert_equals(Object.prototype.toString.call(new DOMException()), '[object DOMException]');
});
test('DOMException: without new', () => assert_throws_js(TypeError, () => DOMException()));
