// SPDX-License-Identifier: Apache-2.0
// close(code, reason), closing by the server, CloseEvent: WHATWG WebSockets 3.1 and 4.
import { WebSocket } from 'k6/websockets';
import {
  assert_array_equals, assert_equals, assert_false, assert_throws_dom, assert_throws_exactly, assert_throws_js, assert_true, DEAD,
  fresh_id, next, opened, server_saw, sleep_ms, test, trace,
} from '../harness.js';

export { options, default } from '../harness.js';

// [arguments, body of the Close frame]; the server echoes the code
const sent = [
  [[], ''], [[undefined], ''], [[undefined, undefined], ''], [[undefined, ''], ''], [[1000], '03e8'], [[1000, undefined], '03e8'],
  [[1000, ''], '03e8'], [[3000], '0bb8'], [[3999], '0f9f'], [[4000], '0fa0'], [[4999], '1387'], [['1000'], '03e8'], [['0xBB8'], '0bb8'], [[' 3000 '], '0bb8'],
  [[[3001]], '0bb9'], [[{ valueOf: () => 3002 }], '0bba'], [[999.5], '03e8'], [[1000.4], '03e8'], [[1000.5], '03e8'], [[999.6], '03e8'], [[2999.5], '0bb8'], [[2999.6], '0bb8'],
  [[4999.4], '1387'], [[3000.5], '0bb8'], [[3001.5], '0bba'], [[1000, 'bye'], '03e8627965'], [[3001, 'h\u00e9'], '0bb968c3a9'], [[1000, null], '03e86e756c6c'],
  [[1000, 5], '03e835'], [[1000, false], '03e866616c7365'], [[1000, {}], '03e85b6f626a656374204f626a6563745d'], [[1000, '\ud800'], '03e8efbfbd'],
  [[1000, 'a\udc00b'], '03e861efbfbd62'], [[1000, '\u{1f600}'], '03e8f09f9880'], [[1000, '\u0000'], '03e800'], [[undefined, 'r'], '03e872'],
];
for (const [args, body] of sent) {
  test(`close(${args.map((a) => (typeof a === 'object' && a && a.valueOf ? String(a.valueOf()) : JSON.stringify(a))).join(', ')})`, async (t) => {
    const id = fresh_id();
    const ws = await opened(t, `/record?id=${id}`);
    assert_equals(ws.close(...args), undefined);
    assert_equals(ws.readyState, 2);
    const e = await next(ws, 'close');
    assert_equals(e.code, body ? parseInt(body.slice(0, 4), 16) : 1005);
    assert_true(e.wasClean);
    assert_equals(e.reason, '');
    assert_equals(JSON.stringify(await server_saw(t, id)), JSON.stringify([{ op: 8, hex: body }]));
  });
}

for (const [name, reason] of [['123 bytes', 'x'.repeat(123)], ['61 of two bytes and one', `${'\u00e9'.repeat(61)}x`], ['41 lone surrogates', '\ud800'.repeat(41)],
  ['30 of four bytes', '\u{1f600}'.repeat(30)]]) {
  test(`the longest reasons: ${name}`, async (t) => {
    const ws = await opened(t, '/echo');
    ws.close(1000, reason);
    assert_true((await next(ws, 'close')).wasClean);
  });
}

const badCodes = [0, 1, -1, 500, 999, 999.4, 1000.51, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999,
  2999.4, 4999.5, 5000, 9999, 65535, 65536, 66536, 68536, Infinity, -Infinity, NaN, 'abc', '', null, true, {}, []];
for (const code of badCodes) {
  test(`InvalidAccessError: close(${typeof code === 'number' ? code : JSON.stringify(code)})`, async (t) => {
    const ws = await opened(t, '/echo');
    assert_throws_dom('InvalidAccessError', () => ws.close(code));
    assert_equals(ws.readyState, 1);
  });
}
const badReasons = [['124 bytes', 'x'.repeat(124)], ['62 of two bytes', '\u00e9'.repeat(62)], ['42 lone surrogates', '\udc00'.repeat(42)], ['31 of four bytes', '\u{1f600}'.repeat(31)]];
for (const [name, reason] of badReasons) {
  for (const code of [1000, 3000, undefined]) {
    test(`SyntaxError: close(${code}, ${name})`, async (t) => {
      const ws = await opened(t, '/echo');
      assert_throws_dom('SyntaxError', () => ws.close(code, reason));
      assert_equals(ws.readyState, 1);
    });
  }
}
test('the code is looked at before the reason', (t) => {
  assert_throws_dom('InvalidAccessError', () => t.socket('/echo').close(1001, 'x'.repeat(124)));
});
test('a symbol as code', (t) => assert_throws_js(TypeError, () => t.socket('/echo').close(Symbol('x'))));
test('a symbol as reason', (t) => assert_throws_js(TypeError, () => t.socket('/echo').close(1000, Symbol('x'))));
test('a bigint as code', (t) => assert_throws_js(TypeError, () => t.socket('/echo').close(1000n)));
test('what valueOf throws comes through', (t) => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => t.socket('/echo').close({ valueOf() { throw thrown; } }));
});
test('the reason is converted before the code is checked', (t) => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => t.socket('/echo').close(1001, { toString() { throw thrown; } }));
});
for (const [state, bring] of [
  ['CONNECTING', async (t) => t.socket('/echo')],
  ['CLOSING', async (t) => { const ws = await opened(t, '/echo'); ws.close(); return ws; }],
  ['CLOSED', async (t) => { const ws = await opened(t, '/echo'); ws.close(); await next(ws, 'close'); return ws; }],
]) {
  test(`arguments are checked in ${state}: code`, async (t) => {
    const ws = await bring(t);
    const before = ws.readyState;
    assert_throws_dom('InvalidAccessError', () => ws.close(1001));
    assert_equals(ws.readyState, before);
  });
  test(`arguments are checked in ${state}: reason`, async (t) => {
    const ws = await bring(t);
    assert_throws_dom('SyntaxError', () => ws.close(1000, 'x'.repeat(124)));
  });
  if (state !== 'CONNECTING') {
    test(`close() in ${state} does nothing`, async (t) => {
      const ws = await bring(t);
      const before = ws.readyState;
      ws.close();
      ws.close(3000, 'again');
      assert_equals(ws.readyState, before);
    });
  }
}

// ---- while connecting

for (const [name, path] of [['an answering server', '/echo'], ['a server that never answers', '/stall'], ['a refusing server', '/status?code=404'], ['no server', DEAD],
  ['a blocked host', 'ws://a.test/']]) {
  test(`close() while connecting to ${name}`, async (t) => {
    const ws = t.socket(path);
    const traced = trace(ws);
    ws.close();
    assert_equals(ws.readyState, 2);
    const { types, last } = await traced;
    assert_array_equals(types, ['error', 'close']);
    assert_equals(last.code, 1006);
    assert_equals(last.reason, '');
    assert_false(last.wasClean);
    assert_equals(ws.readyState, 3);
  });
}
test('close(3000, reason) while connecting: the code does not show', async (t) => {
  const ws = t.socket('/echo');
  ws.close(3000, 'reason');
  const e = await next(ws, 'close');
  assert_array_equals([e.code, e.reason, e.wasClean], [1006, '', false]);
});
test('no event fires inside close()', async (t) => {
  const ws = t.socket('/echo');
  const seen = [];
  ws.onerror = ws.onclose = (e) => seen.push(e.type);
  ws.close();
  await null;
  assert_array_equals(seen, []);
  await next(ws, 'close');
  assert_array_equals(seen, ['error', 'close']);
});
test('close() twice while connecting', async (t) => {
  const ws = t.socket('/echo');
  const traced = trace(ws);
  ws.close();
  ws.close();
  assert_array_equals((await traced).types, ['error', 'close']);
});

// ---- the closing handshake started here

test('close() twice sends one frame', async (t) => {
  const id = fresh_id();
  const ws = await opened(t, `/record?id=${id}`);
  ws.close(1000);
  ws.close(3000);
  assert_equals((await next(ws, 'close')).code, 1000);
  assert_equals((await server_saw(t, id)).length, 1);
});
test('no event fires inside close() when open', async (t) => {
  const ws = await opened(t, '/echo');
  const seen = [];
  ws.onclose = (e) => seen.push(e.type);
  ws.close();
  await null;
  assert_array_equals(seen, []);
  await next(ws, 'close');
});
test('events of a whole life', async (t) => {
  const ws = t.socket('/echo');
  const traced = trace(ws);
  ws.onopen = () => { ws.send('x'); };
  ws.onmessage = () => ws.close();
  assert_array_equals((await traced).types, ['open', 'message', 'close']);
});
test('states of a whole life', async (t) => {
  const ws = t.socket('/echo');
  const states = [ws.readyState];
  ws.onopen = () => { states.push(ws.readyState); ws.close(); states.push(ws.readyState); };
  ws.onclose = () => states.push(ws.readyState);
  await next(ws, 'close');
  assert_array_equals(states, [0, 1, 2, 3]);
});
test('close() inside onopen', async (t) => {
  const ws = t.socket('/echo');
  ws.onopen = () => ws.close(1000);
  assert_equals((await next(ws, 'close')).code, 1000);
});
test('close() inside onclose does nothing', async (t) => {
  const ws = await opened(t, '/echo');
  let count = 0;
  ws.onclose = () => { count++; ws.close(); };
  ws.close();
  await next(ws, 'close');
  await sleep_ms(20);
  assert_equals(count, 1);
});
test('a message that arrives after close() is not delivered', async (t) => {
  const ws = await opened(t, '/late?text=late');
  const traced = trace(ws);
  ws.close();
  assert_array_equals((await traced).types, ['close']);
});
for (const [code, reason, wanted] of [['', '', [1005, '']], [1000, 'theirs', [1000, 'theirs']], [3009, '\u00e9', [3009, '\u00e9']], [1001, '', [1001, '']], [1011, 'x', [1011, 'x']]]) {
  test(`the server's answer counts: ${code} ${reason}`, async (t) => {
    const ws = await opened(t, `/answer?code=${code}&reason=${encodeURIComponent(reason)}`);
    const traced = trace(ws);
    ws.close(4000, 'mine');
    const { types, last } = await traced;
    assert_array_equals(types, ['close']);
    assert_array_equals([last.code, last.reason, last.wasClean], [...wanted, true]);
  });
}
test('the stream ends without an answer to Close', async (t) => {
  const ws = await opened(t, '/drop');
  const traced = trace(ws);
  ws.close(1000);
  const { last } = await traced;
  assert_array_equals([last.code, last.reason, last.wasClean], [1006, '', false]);
});

// ---- started by the server

const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
for (const code of codes) {
  test(`Close ${code} from the server`, async (t) => {
    const { types, last } = await trace(t.socket(`/close?code=${code}&reason=why`));
    assert_array_equals(types, ['open', 'close']);
    assert_array_equals([last.code, last.reason, last.wasClean], [code, 'why', true]);
  });
}
test('an empty Close from the server', async (t) => {
  const { types, last } = await trace(t.socket('/close'));
  assert_array_equals(types, ['open', 'close']);
  assert_array_equals([last.code, last.reason, last.wasClean], [1005, '', true]);
});
for (const reason of ['', 'h\u00e9', '\u{1f600}', '\ufeffx', '\u0000', 'x'.repeat(123)]) {
  test(`reason from the server ${JSON.stringify(reason.slice(0, 8))}`, async (t) => {
    const { last } = await trace(t.socket(`/close?code=1000&reason=${encodeURIComponent(reason)}`));
    assert_equals(last.reason, reason);
  });
}
for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535]) {
  test(`invalid Close ${code} from the server`, async (t) => {
    const { types, last } = await trace(t.socket(`/wire?hex=8802${code.toString(16).padStart(4, '0')}`));
    assert_array_equals(types, ['open', 'error', 'close']);
    assert_array_equals([last.code, last.wasClean], [1006, false]);
  });
}
for (const [name, wire] of [['a body of one byte', '880103'], ['a reason that is not UTF-8', '880303e8ff'], ['a surrogate in the reason', '880503e8eda080'], ['a fragmented Close', '080203e8'],
  ['126 bytes', `887e007e03e8${'78'.repeat(124)}`]]) {
  test(`a broken Close: ${name}`, async (t) => {
    const { types, last } = await trace(t.socket(`/wire?hex=${wire}`));
    assert_array_equals(types, ['open', 'error', 'close']);
    assert_array_equals([last.code, last.reason, last.wasClean], [1006, '', false]);
  });
}
test('messages before Close are delivered', async (t) => {
  const { types, events } = await trace(t.socket('/wire?hex=8101618101628802' + '03e8'));
  assert_array_equals(types, ['open', 'message', 'message', 'close']);
  assert_equals(events[1].data + events[2].data, 'ab');
});
test('messages after Close are not', async (t) => {
  assert_array_equals((await trace(t.socket('/wire?hex=880203e8810161'))).types, ['open', 'close']);
});
for (const path of ['/finclose', '/reset', '/wire?hex=810161&then=fin', '/wire?hex=8105', '/wire?hex=c10161', '/wire?hex=830161', '/wire?hex=8101ff', '/wire?hex=818161000000',
  '/wire?hex=010161890103010162', '/wire?hex=800161', '/wire?hex=8b00', '/wire?hex=09017a', '/wire?hex=89fe', '/wire?hex=827f8000000000000000']) {
  if (path === '/wire?hex=8105') continue; // waits for the rest: no failure
  test(`the connection breaks: ${path}`, async (t) => {
    const { types, last } = await trace(t.socket(path));
    assert_equals(types.filter((x) => x !== 'message' && x !== 'open').join(), 'error,close');
    assert_array_equals([last.code, last.reason, last.wasClean], [1006, '', false]);
  });
}
test('WebSocket.prototype.close on a socket', async (t) => {
  const ws = await opened(t, '/echo');
  WebSocket.prototype.close.call(ws);
  assert_equals(ws.readyState, 2);
});
