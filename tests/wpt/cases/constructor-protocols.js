// SPDX-License-Identifier: Apache-2.0
// new WebSocket(url, protocols): WHATWG WebSockets, constructor steps 9-11, and the protocol in use.
import { WebSocket } from 'k6/websockets';
import {
  assert_array_equals, assert_equals, assert_throws_dom, assert_throws_exactly, assert_throws_js, next, opened, SERVER,
  test, trace,
} from '../harness.js';

export { options, default } from '../harness.js';

const URL = 'ws://a.test/';

const accepted = [
  ['undefined', undefined], ['an empty array', []], ['a string', 'a'], ['one', ['a']], ['two', ['a', 'b']],
  ['substrings of each other', ['a', 'aa', 'aaa']], ['digits', '1.0'], ['true', true], ['a number', 5], ['null', null],
  ['null in an array', [null]], ['undefined in an array', [undefined]], ['numbers in an array', [1, 2]],
  ['an empty Set', new Set()], ['a Set', new Set(['a', 'b'])],
  ['every token character', "!#$%&'*+-.^_`|~09azAZ"], ['a long one', 'x'.repeat(4096)],
  ['an empty dictionary', {}], ['a dictionary with no protocols', { protocols: undefined }], ['a dictionary with one', { protocols: 'a' }],
  ['a dictionary with a list', { protocols: ['a', 'b'] }], ['a dictionary with a Set', { protocols: new Set(['a']) }],
  ['a dictionary with others', { more: ['a', 'a'] }], ['an array-like without iterator', { length: 2, 0: 'a', 1: 'a' }],
  ['a function', () => {}],
];
for (const [name, value] of accepted) {
  test(`accepted: ${name}`, (t) => {
    const ws = t.own(new WebSocket(URL, value));
    assert_equals(ws.protocol, '', 'before the connection is established');
  });
}

const refused = [
  ['an empty string', ''], ['an empty string in an array', ['']], ['an empty one among others', ['a', '', 'b']],
  ['a duplicate', ['a', 'a']], ['a distant duplicate', ['a', 'b', 'c', 'a']], ['a duplicate but for case', ['echo', 'ECHO']],
  ['a duplicate after conversion', [1, '1']], ['a dictionary with an empty string', { protocols: '' }], ['a dictionary with duplicates', { protocols: ['a', 'a'] }],
  ['an array in an array', [['a', 'b']]],
  ['a comma separated list', 'a, b'], ['a comma', 'a,b'], ['only a space', ' '], ['a leading space', ' a'], ['a trailing space', 'a '],
  ['U+00E9', '\u00e9'], ['U+0080', 'a\u0080'], ['U+00FF', '\u00ff'], ['U+212A', '\u212a'], ['an emoji', '\u{1f600}'], ['a lone surrogate', '\ud800'],
];
for (const [name, value] of refused) {
  test(`SyntaxError: ${name}`, (t) => {
    assert_throws_dom('SyntaxError', () => t.own(new WebSocket(URL, value)));
  });
}

// RFC 9110 5.6.2: what no token holds
for (const c of '()<>@,;:\\"/[]?={} \t\n\r\0\x01\x1f\x7f') {
  test(`SyntaxError: a${JSON.stringify(c)}b`, (t) => {
    assert_throws_dom('SyntaxError', () => t.own(new WebSocket(URL, [`a${c}b`])));
  });
}

test('a symbol', () => assert_throws_js(TypeError, () => new WebSocket(URL, Symbol('a'))));
test('a symbol in an array', () => assert_throws_js(TypeError, () => new WebSocket(URL, [Symbol('a')])));
test('an iterator that is not callable', () => {
  assert_throws_js(TypeError, () => new WebSocket(URL, { [Symbol.iterator]: 5 }));
});
test('what the iterator throws comes through', () => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => new WebSocket(URL, { [Symbol.iterator]() { throw thrown; } }));
});
test('what toString of an element throws comes through', () => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => new WebSocket(URL, [{ toString() { throw thrown; } }]));
});
test('what the getter of protocols throws comes through', () => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => new WebSocket(URL, { get protocols() { throw thrown; } }));
});
for (const third of [undefined, null, 'text', 5, true, {}, []]) {
  test(`a third argument is no error: ${JSON.stringify(third)}`, async (t) => {
    const ws = t.own(new WebSocket(`${SERVER}/echo`, ['soap'], third));
    await next(ws, 'open');
    assert_equals(ws.protocol, 'soap');
  });
}
test('an array whose iterator was replaced', (t) => {
  const list = ['bad token'];
  list[Symbol.iterator] = function* one() { yield 'good'; };
  assert_equals(t.own(new WebSocket(URL, list)).readyState, 0);
});
test('each element is converted once, in order', (t) => {
  const order = [];
  const part = (name) => ({ toString() { order.push(name); return name; } });
  t.own(new WebSocket(URL, [part('a'), part('b')]));
  assert_array_equals(order, ['a', 'b']);
});

// ---- the handshake

async function offered(t, value) {
  const ws = t.own(new WebSocket(`${SERVER}/head`, value));
  const { headers } = JSON.parse((await next(ws, 'message')).data);
  return headers.filter(([n]) => n.toLowerCase() === 'sec-websocket-protocol').map(([, v]) => v);
}
test('no protocols: no header', async (t) => assert_array_equals(await offered(t, []), []));
test('one protocol', async (t) => assert_array_equals(await offered(t, 'one'), ['one']));
test('two protocols, in order', async (t) => assert_array_equals(await offered(t, ['two', 'one']), ['two, one']));
test('the case is kept', async (t) => assert_array_equals(await offered(t, ['MixedCase']), ['MixedCase']));
test('from a Set', async (t) => assert_array_equals(await offered(t, new Set(['x', 'y'])), ['x, y']));
test('null is an empty dictionary', async (t) => assert_array_equals(await offered(t, null), []));
test('of a dictionary', async (t) => assert_array_equals(await offered(t, { protocols: ['x', 'y'] }), ['x, y']));
test('a string of a dictionary', async (t) => assert_array_equals(await offered(t, { protocols: 'x' }), ['x']));
test('true is "true"', async (t) => assert_array_equals(await offered(t, true), ['true']));
test('a number is converted', async (t) => assert_array_equals(await offered(t, 5), ['5']));

test('protocol in use: the only one', async (t) => assert_equals((await opened(t, '/echo', 'soap')).protocol, 'soap'));
test('protocol in use: the chosen one', async (t) => {
  assert_equals((await opened(t, '/proto?p=b', ['a', 'b', 'c'])).protocol, 'b');
});
test('no protocol asked, none given', async (t) => assert_equals((await opened(t, '/echo')).protocol, ''));
test('protocol is read-only', async (t) => {
  const ws = await opened(t, '/echo', 'soap');
  assert_throws_js(TypeError, () => { ws.protocol = 'x'; });
  assert_equals(ws.protocol, 'soap');
});
test('protocol stays after close', async (t) => {
  const ws = await opened(t, '/echo', 'soap');
  ws.close();
  assert_equals(ws.protocol, 'soap');
  await next(ws, 'close');
  assert_equals(ws.protocol, 'soap');
});

const failing = [
  ['none of the offered ones is taken', '/proto', ['a', 'b']],
  ['one that was not offered', '/proto?p=z', ['a', 'b']],
  ['one although none was offered', '/proto?p=z', []],
  ['another case than offered', '/proto?p=SOAP', ['soap']],
  ['two at once', '/proto?p=a,%20b', ['a', 'b']],
  ['an empty one', '/proto?p=', ['a']],
];
for (const [name, path, protocols] of failing) {
  test(`the connection fails: ${name}`, async (t) => {
    const { types, last } = await trace(t.socket(path, protocols));
    assert_array_equals(types, ['error', 'close']);
    assert_equals(last.code, 1006);
    assert_equals(last.target.protocol, '');
  });
}
