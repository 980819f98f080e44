// SPDX-License-Identifier: Apache-2.0
// Connections that fail, extensions, messages and binaryType: WHATWG WebSockets 2 and 4.
import { Blob, Event, MessageEvent } from 'k6/websockets';
import {
  assert_array_equals, assert_equals, assert_false, assert_throws_js, assert_true, DEAD, hex, next, opened, SERVER, sleep_ms, test, trace,
} from '../harness.js';

export { options, default } from '../harness.js';

const failing = [
  ['refused', DEAD], ['a blocked host', 'ws://a.test/'], ['a wrong accept key', '/badaccept'], ['a wrong upgrade', '/badupgrade'],
  ['an extension that was not offered', '/ext?e=x-foo'], ['compression that was not offered', '/ext?e=permessage-deflate'],
  ['refused with TLS', DEAD.replace('ws:', 'wss:')],
  ...[200, 204, 301, 302, 400, 401, 403, 404, 407, 426, 500, 503].map((code) => [`status ${code}`, `/status?code=${code}`]),
];
for (const [name, path] of failing) {
  test(`error, then close: ${name}`, async (t) => {
    const ws = t.socket(path);
    assert_equals(ws.readyState, 0);
    const states = [];
    ws.onerror = () => states.push(ws.readyState);
    ws.onclose = () => states.push(ws.readyState);
    const { types, events, last } = await trace(ws);
    assert_array_equals(types, ['error', 'close']);
    assert_array_equals(states, [3, 3]);
    assert_array_equals([last.code, last.reason, last.wasClean], [1006, '', false]);
    assert_array_equals([ws.protocol, ws.extensions, ws.bufferedAmount], ['', '', 0]);
    assert_true(events[0] instanceof Event && !events[0].bubbles && !events[0].cancelable && events[0].isTrusted);
  });
}
test('a failed connection fires close once', async (t) => {
  const ws = t.socket('/status?code=404');
  let count = 0;
  ws.onclose = () => count++;
  await next(ws, 'close');
  await sleep_ms(20);
  assert_equals(count, 1);
});
test('no event before the constructor\'s task has ended', async (t) => {
  const ws = t.socket(DEAD);
  const until = Date.now() + 20;
  while (Date.now() < until);
  await null;
  assert_equals(ws.readyState, 0);
  const traced = await trace(ws);
  assert_array_equals(traced.types, ['error', 'close']);
});
test('open comes before a message in the same segment', async (t) => {
  assert_array_equals((await trace(t.socket('/wire?hex=810161880203e8'))).types, ['open', 'message', 'close']);
});

test('extensions: none', async (t) => assert_equals((await opened(t, '/echo')).extensions, ''));
test('extensions: a string at all times', async (t) => {
  const ws = t.socket('/echo');
  const seen = [ws.extensions];
  await next(ws, 'open');
  seen.push(ws.extensions);
  ws.close();
  seen.push(ws.extensions);
  await next(ws, 'close');
  seen.push(ws.extensions);
  assert_array_equals(seen, ['', '', '', '']);
});

// ---- messages

const message = async (t, wire, type = 'arraybuffer') => {
  const ws = t.socket(`/wire?hex=${wire}`);
  ws.binaryType = type;
  return next(ws, 'message');
};
test('text', async (t) => assert_equals((await message(t, '81026869')).data, 'hi'));
test('an empty text', async (t) => assert_equals((await message(t, '8100')).data, ''));
test('a text in fragments', async (t) => assert_equals((await message(t, '01026869800121')).data, 'hi!'));
test('a character cut by fragments', async (t) => assert_equals((await message(t, '0101c38001a9')).data, '\u00e9'));
test('a ping between fragments', async (t) => assert_equals((await message(t, '010168890170800169')).data, 'hi'));
test('a BOM is kept', async (t) => assert_equals((await message(t, '8104efbbbf61')).data, '\ufeffa'));
test('binary as ArrayBuffer', async (t) => {
  const { data } = await message(t, '82020102');
  assert_true(data instanceof ArrayBuffer);
  assert_equals(hex(data), '0102');
});
test('binary in fragments', async (t) => assert_equals(hex((await message(t, '020101000102800103')).data), '010203'));
test('binary as Blob', async (t) => {
  const { data } = await message(t, '82020102', 'blob');
  assert_true(data instanceof Blob);
  assert_equals(data.size, 2);
  assert_equals(data.type, '');
  assert_equals(hex(await data.arrayBuffer()), '0102');
});
test('empty binary as Blob', async (t) => assert_equals((await message(t, '8200', 'blob')).data.size, 0));
test('empty binary as ArrayBuffer', async (t) => assert_equals((await message(t, '8200')).data.byteLength, 0));
test('text is a string whatever binaryType', async (t) => assert_equals((await message(t, '810161', 'blob')).data, 'a'));

test('MessageEvent: attributes', async (t) => {
  const e = await message(t, '810161');
  assert_true(e instanceof MessageEvent);
  assert_array_equals([e.type, e.origin, e.lastEventId, e.source, e.bubbles, e.cancelable, e.isTrusted], ['message', SERVER, '', null, false, false, true]);
  assert_array_equals(e.ports, []);
  assert_true(Object.isFrozen(e.ports));
});
for (const [input, origin] of [[SERVER.replace('//', '//u:p@'), SERVER], [SERVER.replace('ws', 'http'), SERVER]]) {
  test(`MessageEvent: origin ${input === SERVER ? '' : input.replace(/\d{4,5}/, 'N')}`, async (t) => {
    assert_equals((await next(t.socket(`${input}/wire?hex=810161`), 'message')).origin, origin);
  });
}

// ---- binaryType

test('binaryType: initially blob', (t) => assert_equals(t.socket('/echo').binaryType, 'blob'));
for (const type of ['arraybuffer', 'blob']) {
  test(`binaryType: ${type} in every state`, async (t) => {
    const ws = t.socket('/echo');
    ws.binaryType = type;
    assert_equals(ws.binaryType, type);
    await next(ws, 'open');
    ws.binaryType = type;
    assert_equals(ws.binaryType, type);
    ws.close();
    ws.binaryType = type;
    await next(ws, 'close');
    ws.binaryType = type;
    assert_equals(ws.binaryType, type);
  });
}
for (const value of ['', 'Blob', 'BLOB', 'ArrayBuffer', 'text', 'blob ', null, undefined, 5, {}, []]) {
  test(`binaryType: ${typeof value} ${JSON.stringify(value)} is ignored`, (t) => {
    const ws = t.socket('/echo');
    ws.binaryType = value;
    assert_equals(ws.binaryType, 'blob');
    ws.binaryType = 'arraybuffer';
    ws.binaryType = value;
    assert_equals(ws.binaryType, 'arraybuffer');
  });
}
test('binaryType: converted by toString', (t) => {
  const ws = t.socket('/echo');
  ws.binaryType = { toString: () => 'arraybuffer' };
  assert_equals(ws.binaryType, 'arraybuffer');
});
test('binaryType: a symbol', (t) => {
  const ws = t.socket('/echo');
  assert_throws_js(TypeError, () => { ws.binaryType = Symbol('x'); });
  assert_equals(ws.binaryType, 'blob');
});
test('binaryType: what counts is its value when the event fires', async (t) => {
  const ws = t.socket('/wire?hex=820101820102820103');
  const kinds = [];
  await new Promise((resolve) => {
    ws.onmessage = (e) => {
      kinds.push(Object.prototype.toString.call(e.data));
      ws.binaryType = ws.binaryType === 'blob' ? 'arraybuffer' : 'blob';
      if (kinds.length === 3) resolve();
    };
  });
  assert_array_equals(kinds, ['[object Blob]', '[object ArrayBuffer]', '[object Blob]']);
});
test('each message has its own buffer', async (t) => {
  const ws = t.socket('/wire?hex=820101820101');
  ws.binaryType = 'arraybuffer';
  const a = (await next(ws, 'message')).data;
  const b = (await next(ws, 'message')).data;
  new Uint8Array(a)[0] = 9;
  assert_equals(hex(b), '01');
});
test('a received Blob can be sent', async (t) => {
  const ws = await opened(t, '/echo');
  ws.binaryType = 'blob';
  ws.send(Uint8Array.of(1, 2));
  ws.send((await next(ws, 'message')).data);
  assert_equals((await next(ws, 'message')).data.size, 2);
});
test('a socket is independent of another', async (t) => {
  const a = await opened(t, '/echo', 'p');
  const b = await opened(t, '/echo', 'q');
  a.close();
  await next(a, 'close');
  assert_equals(b.readyState, 1);
  b.send('still here');
  assert_equals((await next(b, 'message')).data, 'still here');
  assert_array_equals([a.protocol, b.protocol], ['p', 'q']);
});
test('many sockets at once', async (t) => {
  const all = await Promise.all(Array.from({ length: 50 }, () => opened(t, '/echo')));
  all.forEach((ws, i) => ws.send(String(i)));
  const got = await Promise.all(all.map(async (ws) => (await next(ws, 'message')).data));
  assert_array_equals(got, all.map((ws, i) => String(i)));
  assert_false(all.some((ws) => ws.readyState !== 1));
});
