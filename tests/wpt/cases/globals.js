// SPDX-License-Identifier: Apache-2.0
// The global object: Web IDL 3.7.3 (interface objects), HTML 8.1.3 (self), base URLs, and what throws DOMExceptions.
import * as all from 'k6/websockets';
import {
  assert_array_equals, assert_dom_exception, assert_equals, assert_false, assert_throws_dom, assert_throws_js, assert_true, next, SERVER, test,
} from '../harness.js';

export { options, default } from '../harness.js';

for (const name of Object.keys(all).filter((key) => key !== 'default')) {
  test(`${name} is a property of the global object`, () => {
    const got = Object.getOwnPropertyDescriptor(globalThis, name);
    assert_equals(got.value, all[name]);
    assert_array_equals([got.writable, got.enumerable, got.configurable], [true, false, true]);
  });
}
test('self', () => {
  assert_equals(self, globalThis);
  assert_true('self' in globalThis);
});
test('reportError', () => {
  assert_equals(reportError.length, 1);
  assert_equals(reportError(new Error('reported, and nothing else happens')), undefined);
  assert_throws_js(TypeError, () => reportError());
});
test('queueMicrotask', async () => {
  const order = [];
  queueMicrotask(() => order.push(1));
  Promise.resolve().then(() => order.push(2));
  queueMicrotask((...args) => order.push(3, args.length));
  order.push(0);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert_array_equals(order, [0, 1, 2, 3, 0]);
  for (const value of [undefined, null, {}, 'f']) assert_throws_js(TypeError, () => queueMicrotask(value));
  assert_equals(queueMicrotask.length, 1);
});
test('self can be replaced', () => {
  globalThis.self = 5;
  assert_equals(globalThis.self, 5);
  delete globalThis.self;
  assert_equals(globalThis.self, globalThis);
});
test('a class can be replaced', () => {
  const before = globalThis.CloseEvent;
  globalThis.CloseEvent = 5;
  assert_equals(CloseEvent, 5);
  globalThis.CloseEvent = before;
});

// ---- errors of other globals

function thrown(fn) {
  try {
    fn();
  } catch (e) {
    return e;
  }
  return undefined;
}
for (const [name, fn, code] of [['InvalidCharacterError', () => atob('*'), 5], ['InvalidCharacterError', () => btoa('\u0100'), 5],
  ['DataCloneError', () => structuredClone(() => 1), 25]]) {
  test(`${name}: ${fn}`, () => {
    const e = thrown(fn);
    assert_true(e instanceof DOMException);
    assert_array_equals([e.name, e.code], [name, code]);
  });
}

// ---- URLs relative to globalThis.location

const HTTP = SERVER.replace('ws:', 'http:');
async function with_location(value, fn) {
  globalThis.location = value;
  try {
    return await fn();
  } finally {
    delete globalThis.location;
  }
}
for (const [name, location] of [['a string', `${HTTP}/a/b`], ['an object', { href: `${HTTP}/a/b` }], ['a URL', new all.URL(`${HTTP}/a/b`)]]) {
  for (const [text, path] of [['/echo', '/echo'], ['echo', '/a/echo'], ['?x', '/a/b?x'], ['../echo', '/echo'], ['', '/a/b']]) {
    test(`location is ${name}: ${JSON.stringify(text)}`, (t) => with_location(location, () => {
      assert_equals(t.own(new WebSocket(text)).url, SERVER + path);
    }));
  }
}
test('location: the connection opens', (t) => with_location(HTTP, async () => {
  const ws = t.own(new WebSocket('/echo'));
  await next(ws, 'open');
  assert_equals(ws.url, `${SERVER}/echo`);
}));
async function origin_sent(t) {
  const ws = t.own(new WebSocket(`${SERVER}/head`));
  const { headers } = JSON.parse((await next(ws, 'message')).data);
  return headers.filter(([n]) => n.toLowerCase() === 'origin').map(([, v]) => v);
}
test('location: its origin is sent', (t) => with_location(`${HTTP}/a?b#c`, async () => assert_array_equals(await origin_sent(t), [HTTP])));
test('location: of another scheme', (t) => with_location('https://A.test:443/x', async () => assert_array_equals(await origin_sent(t), ['https://a.test'])));
test('location: an opaque origin', (t) => with_location('data:,x', async () => assert_array_equals(await origin_sent(t), ['null'])));
test('no location: no Origin', async (t) => assert_array_equals(await origin_sent(t), []));
test('location: a header of params comes first', (t) => with_location(HTTP, async () => {
  const ws = t.own(new WebSocket(`${SERVER}/head`, [], { headers: { origin: 'mine' } }));
  const { headers } = JSON.parse((await next(ws, 'message')).data);
  assert_array_equals(headers.filter(([n]) => n.toLowerCase() === 'origin').map(([, v]) => v), ['mine']);
}));
test('location: an absolute URL stays', (t) => with_location(HTTP, () => {
  assert_equals(t.own(new WebSocket('ws://a.test/x')).url, 'ws://a.test/x');
}));
test('location: a fragment is refused', (t) => with_location(HTTP, () => assert_throws_dom('SyntaxError', () => t.own(new WebSocket('#x')))));
for (const [name, location] of [['no URL', 'nothing'], ['a number', 5], ['null', null], ['about:blank', 'about:blank'], ['file:', 'file:///a'],
  ['one that throws', { get href() { throw new Error('mine'); } }], ['no text', { href: 5 }]]) {
  test(`location is ${name}: relative URLs are refused`, (t) => with_location(location, () => {
    assert_throws_dom('SyntaxError', () => t.own(new WebSocket('/echo')));
  }));
}
test('without location relative URLs are refused', (t) => {
  assert_false('location' in globalThis);
  const e = thrown(() => t.own(new WebSocket('/echo')));
  assert_dom_exception(e, 'SyntaxError');
});
