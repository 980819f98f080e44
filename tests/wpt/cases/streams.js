// SPDX-License-Identifier: Apache-2.0
// WebSocketStream and WebSocketError, after the proposal's interface.
import { AbortController, DOMException, ReadableStream, WebSocketError, WebSocketStream, WritableStream } from 'k6/websockets';
import { assert_array_equals, assert_equals, assert_throws_dom, assert_throws_js, assert_true, DEAD, SERVER, test } from '../harness.js';

export { options, default } from '../harness.js';

const ECHO = `${SERVER}/echo`;
const rejected = (promise) => promise.then(() => undefined, (e) => e);

// ---- WebSocketError

test('WebSocketError: defaults', () => {
  const e = new WebSocketError();
  assert_array_equals([e.name, e.message, e.code, e.closeCode, e.reason], ['WebSocketError', '', 0, null, '']);
  assert_true(e instanceof DOMException);
});
test('WebSocketError: arguments', () => {
  const e = new WebSocketError('text', { closeCode: 3456, reason: 'why' });
  assert_array_equals([e.message, e.closeCode, e.reason], ['text', 3456, 'why']);
});
test('WebSocketError: a reason brings the code 1000', () => assert_equals(new WebSocketError('', { reason: 'x' }).closeCode, 1000));
test('WebSocketError: a code without reason', () => assert_equals(new WebSocketError('', { closeCode: 4999 }).reason, ''));
test('WebSocketError: null is no dictionary member', () => assert_equals(new WebSocketError('', null).closeCode, null));
for (const closeCode of [0, 999, 1001, 1005, 1006, 2999, 5000, 65536, -1, NaN]) {
  test(`WebSocketError: code ${closeCode}`, () => assert_throws_dom('InvalidAccessError', () => new WebSocketError('', { closeCode })));
}
for (const reason of ['x'.repeat(124), '\u00e9'.repeat(62), '\u{1f600}'.repeat(31), '\ud800'.repeat(42)]) {
  test(`WebSocketError: a reason of ${reason.length} units`, () => {
    assert_throws_dom('SyntaxError', () => new WebSocketError('', { reason }));
  });
}
test('WebSocketError: 123 bytes are allowed', () => assert_equals(new WebSocketError('', { reason: 'x'.repeat(123) }).closeCode, 1000));
test('WebSocketError: an init that is no object', () => assert_throws_js(TypeError, () => new WebSocketError('', true)));

// ---- the constructor

test('no url', () => assert_throws_js(TypeError, () => new WebSocketStream()));
test('an invalid url', () => assert_throws_dom('SyntaxError', () => new WebSocketStream('invalid:')));
test('options that are no object', () => assert_throws_js(TypeError, () => new WebSocketStream(ECHO, true)));
for (const protocols of ['text', 5, null, {}]) {
  test(`protocols: ${JSON.stringify(protocols)}`, () => assert_throws_js(TypeError, () => new WebSocketStream(ECHO, { protocols })));
}
test('the protocol in use', async () => {
  const wss = new WebSocketStream(ECHO, { protocols: new Set(['alpha', 'beta']) });
  assert_equals((await wss.opened).protocol, 'alpha');
  wss.close();
});
test('what it resolves to', async () => {
  const wss = new WebSocketStream(ECHO);
  const { readable, writable, extensions, protocol } = await wss.opened;
  assert_true(readable instanceof ReadableStream && writable instanceof WritableStream);
  assert_array_equals([wss.url, typeof extensions, protocol], [ECHO, 'string', '']);
  wss.close();
});
for (const key of ['opened', 'closed']) {
  test(`${key} of something else rejects`, async () => {
    const { get } = Object.getOwnPropertyDescriptor(WebSocketStream.prototype, key);
    assert_true(await rejected(get.call({})) instanceof TypeError);
  });
}
for (const key of ['url', 'opened', 'closed', 'close']) {
  test(`${key} is enumerable`, () => assert_true(Object.getOwnPropertyDescriptor(WebSocketStream.prototype, key).enumerable));
}
test('a failed connection', async () => {
  const wss = new WebSocketStream(DEAD);
  const errors = [await rejected(wss.opened), await rejected(wss.closed)];
  assert_true(errors.every((e) => e instanceof WebSocketError));
});

// ---- closing

for (const [name, args, code, reason] of [
  ['nothing', [], 1005, ''], ['undefined', [undefined], 1005, ''], ['null', [null], 1005, ''], ['an empty dictionary', [{}], 1005, ''],
  ['an empty reason', [{ reason: '' }], 1005, ''], ['a reason', [{ reason: 'why' }], 1000, 'why'],
  ['a code', [{ closeCode: 3333 }], 3333, ''], ['both', [{ closeCode: 3456, reason: 'pizza' }], 3456, 'pizza'],
  ['a code to be rounded', [{ closeCode: '3000.4' }], 3000, ''],
]) {
  test(`close with ${name}`, async () => {
    const wss = new WebSocketStream(`${SERVER}/record`);
    await wss.opened;
    wss.close(...args);
    const got = await wss.closed;
    // The server's answer has the code and not the reason.
    assert_array_equals([got.closeCode, reason === '' ? got.reason : 'any'], [code, reason === '' ? '' : 'any']);
  });
}
test('close with a value that is no object', async (t) => {
  const wss = new WebSocketStream(ECHO);
  await wss.opened;
  for (const value of [true, 5, 'x']) assert_throws_js(TypeError, () => wss.close(value));
  wss.close();
});
test('close with a bad code or reason', async () => {
  const wss = new WebSocketStream(ECHO);
  await wss.opened;
  for (const closeCode of [999, 1001, 2999, 5000]) assert_throws_dom('InvalidAccessError', () => wss.close({ closeCode }));
  assert_throws_dom('SyntaxError', () => wss.close({ reason: '.'.repeat(124) }));
  wss.close();
});
test('close while connecting', async () => {
  const wss = new WebSocketStream(ECHO);
  wss.close();
  for (const e of [await rejected(wss.opened), await rejected(wss.closed)]) assert_true(e instanceof WebSocketError);
});
for (const [method, stream] of [['abort', 'writable'], ['cancel', 'readable']]) {
  const plain = Object.assign(new DOMException('m', 'DataCloneError'), { closeCode: 3333, reason: 'no' });
  for (const [name, value, code] of [['nothing', undefined, 1005], ['a plain object', { closeCode: 3333 }, 1005], ['another exception', plain, 1005],
    ['a code', new WebSocketError('', { closeCode: 3333 }), 3333], ['a reason', new WebSocketError('', { reason: 'x' }), 1000]]) {
    test(`${method} with ${name}`, async () => {
      const wss = new WebSocketStream(ECHO);
      const info = await wss.opened;
      info[stream][method](value);
      assert_equals((await wss.closed).closeCode, code);
    });
  }
}
test('the peer ends the stream', async () => {
  const wss = new WebSocketStream(`${SERVER}/finclose`);
  const { readable, writable } = await wss.opened;
  const e = await rejected(wss.closed);
  assert_array_equals([e.constructor, e.name, e.closeCode], [WebSocketError, 'WebSocketError', 1006]);
  assert_equals(await rejected(readable.getReader().read()), e);
  assert_equals(await rejected(writable.getWriter().ready), e);
});
test('the peer closes', async () => {
  const wss = new WebSocketStream(`${SERVER}/close?code=4000&reason=robot`);
  const { readable, writable } = await wss.opened;
  const got = await wss.closed;
  assert_array_equals([got.closeCode, got.reason], [4000, 'robot']);
  assert_true((await readable.getReader().read()).done);
  assert_equals((await rejected(writable.getWriter().ready)).name, 'InvalidStateError');
});
test('aborted before', async () => {
  const controller = new AbortController();
  controller.abort();
  const wss = new WebSocketStream(ECHO, { signal: controller.signal });
  for (const e of [await rejected(wss.opened), await rejected(wss.closed)]) assert_equals(e.name, 'AbortError');
});
test('a value without text is refused', async () => {
  const wss = new WebSocketStream(ECHO);
  const writer = (await wss.opened).writable.getWriter();
  assert_true(await rejected(writer.write({ toString() { return this; } })) instanceof TypeError);
  wss.close();
});
