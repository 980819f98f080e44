// SPDX-License-Identifier: Apache-2.0
// send(data) and bufferedAmount: WHATWG WebSockets 3.1, send() steps.
import { Blob, WebSocket } from 'k6/websockets';
import {
  assert_array_equals, assert_equals, assert_less_than_equal, assert_throws_dom, assert_throws_exactly, assert_throws_js, assert_true,
  async_test, fresh_id, hex, next, opened, server_saw, sleep_ms, test, trace,
} from '../harness.js';

export { options, default } from '../harness.js';

const texts = [
  ['empty', ''], ['ASCII', 'Hello'], ['NUL', 'a\u0000b'], ['two bytes', 'h\u00e9llo'], ['three bytes', '\u4f60\u597d'], ['four bytes', '\u{1f600}'],
  ['U+FFFF', '\uffff'], ['U+FEFF first', '\ufeffx'], ['U+10FFFF', '\u{10ffff}'], ['line ends', 'a\r\nb\nc\r'], ['125', 'x'.repeat(125)],
  ['126', 'x'.repeat(126)], ['65535', 'x'.repeat(65535)], ['65536', 'x'.repeat(65536)], ['a million', 'y'.repeat(1e6)],
  ['100000 of two bytes', '\u00e9'.repeat(100000)],
];
for (const [name, text] of texts) {
  test(`text comes back: ${name}`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.send(text);
    const { data } = await next(ws, 'message');
    assert_equals(typeof data, 'string');
    assert_true(data === text);
  });
}

for (const [text, wanted] of [['a\ud800b', 'a\ufffdb'], ['\udc00', '\ufffd'], ['\ud800\ud800', '\ufffd\ufffd'], ['\udc00\ud800', '\ufffd\ufffd'],
  ['x\ud83d', 'x\ufffd'], ['\ud83d\u{1f600}', '\ufffd\u{1f600}']]) {
  test(`lone surrogates ${JSON.stringify(text)}`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.send(text);
    assert_equals((await next(ws, 'message')).data, wanted);
  });
}

const converted = [
  [null, 'null'], [undefined, 'undefined'], [5, '5'], [-0, '0'], [1.5, '1.5'], [NaN, 'NaN'], [true, 'true'], [{}, '[object Object]'],
  [[1, 2], '1,2'], [[], ''], [{ toString: () => 'own' }, 'own'], [10n, '10'], [Object('boxed'), 'boxed'], [/x/, '/x/'],
];
for (const [value, text] of converted) {
  test(`converted to a string: ${text} (${typeof value})`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.send(value);
    assert_equals((await next(ws, 'message')).data, text);
  });
}

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer;
const binary = [
  ['ArrayBuffer', bytes, '0102030405060708'], ['empty ArrayBuffer', new ArrayBuffer(0), ''], ['Uint8Array', new Uint8Array(bytes), '0102030405060708'],
  ['Uint8Array window', new Uint8Array(bytes, 2, 3), '030405'], ['subarray', new Uint8Array(bytes).subarray(7), '08'],
  ['Int8Array', Int8Array.of(-1, 1), 'ff01'], ['Uint8ClampedArray', Uint8ClampedArray.of(300, 1), 'ff01'], ['Int16Array', Int16Array.of(258), '0201'],
  ['Uint16Array', new Uint16Array(bytes, 2, 2), '03040506'], ['Int32Array', Int32Array.of(1), '01000000'], ['Uint32Array', Uint32Array.of(2), '02000000'],
  ['Float32Array', Float32Array.of(1), '0000803f'], ['Float64Array', Float64Array.of(1), '000000000000f03f'],
  ['BigInt64Array', BigInt64Array.of(-1n), 'ffffffffffffffff'], ['BigUint64Array', BigUint64Array.of(1n), '0100000000000000'],
  ['DataView', new DataView(bytes), '0102030405060708'], ['DataView window', new DataView(bytes, 1, 2), '0203'], ['empty view', new Uint8Array(0), ''],
  ['Blob', new Blob(['xy', Uint8Array.of(9)]), '787909'], ['empty Blob', new Blob(), ''], ['Blob slice', new Blob(['abcdef']).slice(1, 3), '6263'],
];
for (const [name, value, wanted] of binary) {
  test(`binary: ${name}`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.send(value);
    assert_equals(ws.bufferedAmount, wanted.length / 2);
    const { data } = await next(ws, 'message');
    assert_equals(Object.prototype.toString.call(data), '[object ArrayBuffer]');
    assert_equals(hex(data), wanted);
  });
}
for (const size of [125, 126, 65535, 65536, 300000]) {
  test(`binary of ${size} bytes`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.send(new Uint8Array(size).fill(7));
    const { data } = await next(ws, 'message');
    assert_equals(data.byteLength, size);
    assert_true(new Uint8Array(data).every((b) => b === 7));
  });
}

test('a buffer is copied by send()', async (t) => {
  const ws = await opened(t, '/echo');
  const view = Uint8Array.of(7, 7);
  ws.send(view);
  view[0] = 8;
  assert_equals(hex((await next(ws, 'message')).data), '0707');
});
test('messages keep their order, of all kinds', async (t) => {
  const ws = await opened(t, '/echo');
  const got = [];
  const five = new Promise((resolve) => {
    ws.onmessage = (e) => {
      got.push(typeof e.data === 'string' ? e.data : hex(e.data));
      if (got.length === 5) resolve();
    };
  });
  ws.send('one');
  ws.send(Uint8Array.of(2));
  ws.send(new Blob([Uint8Array.of(3)]));
  ws.send(new Blob(['4']));
  ws.send('five');
  await five;
  assert_array_equals(got, ['one', '02', '03', '34', 'five']);
});
test('frames on the wire: text and binary opcodes', async (t) => {
  const id = fresh_id();
  const ws = await opened(t, `/record?id=${id}`);
  ws.send('\u00e9');
  ws.send(Uint8Array.of(255));
  await next(ws, 'message');
  await next(ws, 'message');
  assert_equals(JSON.stringify(await server_saw(t, id)), JSON.stringify([{ op: 1, hex: 'c3a9' }, { op: 2, hex: 'ff' }]));
});
test('send returns undefined', async (t) => assert_equals((await opened(t, '/echo')).send('x'), undefined));

// ---- argument errors

test('no argument', async (t) => {
  const ws = await opened(t, '/echo');
  assert_throws_js(TypeError, () => ws.send());
  assert_equals(ws.readyState, 1);
});
test('no argument while connecting: TypeError comes first', (t) => {
  assert_throws_js(TypeError, () => t.socket('/echo').send());
});
test('a symbol', async (t) => {
  const ws = await opened(t, '/echo');
  assert_throws_js(TypeError, () => ws.send(Symbol('x')));
});
test('what toString throws comes through', async (t) => {
  const ws = await opened(t, '/echo');
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => ws.send({ toString() { throw thrown; } }));
  assert_equals(ws.bufferedAmount, 0);
});
if (typeof SharedArrayBuffer !== 'undefined') {
  test('a view on shared memory', async (t) => {
    const ws = await opened(t, '/echo');
    assert_throws_js(TypeError, () => ws.send(new Uint8Array(new SharedArrayBuffer(2))));
  });
}

// ---- states

for (const value of ['x', '', Uint8Array.of(1), new ArrayBuffer(1), new Blob(['x'])]) {
  test(`InvalidStateError while connecting: ${Object.prototype.toString.call(value)}`, (t) => {
    const ws = t.socket('/echo');
    assert_throws_dom('InvalidStateError', () => ws.send(value));
    assert_equals(ws.bufferedAmount, 0);
    assert_equals(ws.readyState, 0);
  });
}
test('the connection survives a send that came too early', async (t) => {
  const ws = t.socket('/echo');
  assert_throws_dom('InvalidStateError', () => ws.send('x'));
  await next(ws, 'open');
  ws.send('y');
  assert_equals((await next(ws, 'message')).data, 'y');
});
test('conversion comes before the state', (t) => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => t.socket('/echo').send({ toString() { throw thrown; } }));
});

const afterClose = [
  ['string', 'h\u00e9', 3], ['ArrayBuffer', new ArrayBuffer(5), 5], ['view', new Uint16Array(4), 8], ['Blob', new Blob(['abc']), 3], ['number', 12345, 5], ['empty', '', 0],
];
for (const [name, value, grows] of afterClose) {
  test(`CLOSING: ${name} only counts`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.close();
    assert_equals(ws.readyState, 2);
    assert_equals(ws.send(value), undefined);
    assert_equals(ws.bufferedAmount, grows);
  });
  test(`CLOSED: ${name} only counts, for ever`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.close();
    await next(ws, 'close');
    ws.send(value);
    ws.send(value);
    assert_equals(ws.bufferedAmount, 2 * grows);
    await sleep_ms(5);
    assert_equals(ws.bufferedAmount, 2 * grows);
  });
}
test('send after close() while connecting only counts', async (t) => {
  const ws = t.socket('/echo');
  ws.close();
  ws.send('abc');
  assert_equals(ws.bufferedAmount, 3);
  await next(ws, 'close');
  assert_equals(ws.bufferedAmount, 3);
});
test('what is sent after close() does not reach the server', async (t) => {
  const id = fresh_id();
  const ws = await opened(t, `/record?id=${id}`);
  ws.send('before');
  ws.close(1000);
  ws.send('after');
  await next(ws, 'close');
  assert_array_equals((await server_saw(t, id)).map((f) => f.op), [1, 8]);
});
test('after a failed connection send only counts', async (t) => {
  const ws = t.socket('/status?code=404');
  await next(ws, 'close');
  ws.send('abcd');
  assert_equals(ws.bufferedAmount, 4);
});

// ---- bufferedAmount

test('bufferedAmount grows at once and by UTF-8 bytes', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('h\u00e9llo');
  assert_equals(ws.bufferedAmount, 6);
  ws.send('\u{1f600}');
  assert_equals(ws.bufferedAmount, 10);
  ws.send(new Uint8Array(90));
  assert_equals(ws.bufferedAmount, 100);
});
test('a lone surrogate counts three', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('a\ud800b');
  assert_equals(ws.bufferedAmount, 5);
});
test('bufferedAmount does not shrink within a task', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('x'.repeat(1000));
  const until = Date.now() + 20;
  while (Date.now() < until);
  assert_equals(ws.bufferedAmount, 1000);
});
test('bufferedAmount does not shrink in microtasks', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('x'.repeat(1000));
  await null;
  await Promise.resolve();
  assert_equals(ws.bufferedAmount, 1000);
});
test('bufferedAmount is 0 once all is sent', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('x'.repeat(1000));
  await next(ws, 'message');
  assert_equals(ws.bufferedAmount, 0);
});
test('bufferedAmount does not count Close', async (t) => {
  const ws = await opened(t, '/echo');
  ws.close(3000, 'reason');
  assert_equals(ws.bufferedAmount, 0);
  await next(ws, 'close');
  assert_equals(ws.bufferedAmount, 0);
});
test('bufferedAmount stays within one task although the socket closes', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('12345');
  ws.close();
  assert_equals(ws.bufferedAmount, 5);
});
test('bufferedAmount when an error is thrown is as before', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send('123');
  assert_throws_js(TypeError, () => ws.send());
  assert_equals(ws.bufferedAmount, 3);
});
test('a megabyte is sent in time', async (t) => {
  const ws = await opened(t, '/echo');
  ws.send(new Uint8Array(1 << 20));
  assert_equals(ws.bufferedAmount, 1 << 20);
  await next(ws, 'message');
  assert_less_than_equal(ws.bufferedAmount, 0);
});
async_test('sending inside onopen', (t) => {
  const ws = t.socket('/echo');
  ws.onopen = () => ws.send('now');
  ws.onmessage = t.step_func((e) => {
    assert_equals(e.data, 'now');
    t.done();
  });
});
test('all that was sent before close() arrives', async (t) => {
  const id = fresh_id();
  const ws = await opened(t, `/record?id=${id}`);
  for (let i = 0; i < 50; i++) ws.send(`m${i}`);
  ws.close();
  const { last } = await trace(ws);
  assert_true(last.wasClean);
  const saw = await server_saw(t, id);
  assert_equals(saw.length, 51);
  assert_equals(saw[50].op, 8);
});
test('the method belongs to the instance it is called on', async (t) => {
  const ws = await opened(t, '/echo');
  WebSocket.prototype.send.call(ws, 'via prototype');
  assert_equals((await next(ws, 'message')).data, 'via prototype');
});
