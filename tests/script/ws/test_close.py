# SPDX-License-Identifier: Apache-2.0
"""k6/ws: closing from both sides, the error event, exceptions in callbacks (T59-T75, T91)."""
import time

from case import check, equal
from servers.rawws import CLOSE, TEXT, after, close_payload, closing, echo, encode, quiet


def closes_with(t, calls):
    """One session per call of close; returns the run and the Close payloads on the wire."""
    server = t.server()
    run = t.run('''
export default function () {
  %s
}''' % '\n  '.join('''ws.connect('@WS@/echo', (s) => {
    s.on('close', (c) => ev('close', c));
    s.on('open', () => { ev('before'); s.%s; ev('after'); });
  });''' % c for c in calls))
    payloads = []
    for conn in server.conns:
        frames = conn.of(CLOSE)
        equal(len(frames), 1, 'Close frames')
        check(frames[0].mask is not None, 'the Close frame is not masked')
        payloads.append(frames[0].payload)
    equal([e[0] for e in run.events], ['before', 'close', 'after'] * len(calls))
    return run.values('close'), payloads


def test_T59_close_codes(t):
    codes, payloads = closes_with(t, ['close()', 'close(1000)', "close('1000')", 'close(1000.9)'])
    equal(codes, [1001, 1000, 1000, 1000])
    equal(payloads, [close_payload(c) for c in codes])


def test_T60_close_without_number(t):
    codes, payloads = closes_with(t, ['close(undefined)', "close('abc')", 'close(null)', 'close(true)', 'close(70000)'])
    equal(codes, [0, 0, 0, 1, 70000])
    equal(payloads, [b'\0\0', b'\0\0', b'\0\0', b'\0\1', close_payload(4464)])


def test_T61_close_1005(t):
    equal(closes_with(t, ['close(1005)']), ([1005], [b'']))


def test_T62_first_close_wins(t):
    equal(closes_with(t, ["close(4001, 'reason'); s.close(4002)"]), ([4001], [close_payload(4001)]))


def test_T63_writes_after_close(t):
    t.server()
    run = t.run('''
export default function () {
  ret(ws.connect('@WS@/echo', (s) => {
    s.on('error', (e) => ev('error', e.error(), String(e), e instanceof Error));
    s.on('open', () => {
      s.close();
      ev('err', caught(() => { s.send('x'); s.sendBinary(new ArrayBuffer(1)); s.ping(); }));
    });
  }));
}''')
    equal(run.ev('error'), [['error', 'websocket: close sent', 'websocket: close sent', False]] * 3)
    equal(run.values('err'), [None])
    equal(run.count('ws_msgs_sent'), 2)
    equal((run.one('ret')['status'], run.one('ret')['error']), (101, ''))


def test_T64_nothing_after_close(t):
    t.server(after(b''.join(encode(TEXT, str(i)) for i in range(200))))
    run = t.run('''
export default function () {
  let n = 0;
  ws.connect('@WS@/', (s) => {
    s.setInterval(() => { if (n >= 3) ev('timer'); }, 1);
    s.on('message', (m) => {
      ev('message', m);
      if (++n == 3) { s.close(); const until = Date.now() + 30; while (Date.now() < until); }
    });
    s.on('message', (m) => ev('second', m));
  });
}''')
    equal(run.values('message'), ['0', '1', '2'])
    equal(run.values('second'), ['0', '1', '2'])
    equal(run.ev('timer'), [])
    equal(run.count('ws_msgs_received'), 3)


def server_closes(t, behaviour):
    """The events of one session, the Close payloads the server got, and the run."""
    server = t.server(behaviour)
    run = t.run('''
export default function () {
  ret(ws.connect('@WS@/', (s) => {
    listen(s);
    s.on('error', (e) => ev('detail', e.code, e.text, e instanceof Error, typeof e.message, e + ''));
  }));
}''')
    r = run.one('ret')
    equal((r['status'], r['url'], r['body'], r['error']), (101, server.ws + '/', '', ''))
    events = [e for e in run.events if e[0] not in ('ret', 'detail')]
    return events, [f.payload for f in server.conns[0].of(CLOSE)], run


def test_T65_server_closes_normally(t):
    for code in (1000, 1001):
        events, payloads, _ = server_closes(t, closing(code, 'bye'))
        t.servers.pop().stop()
        equal(events, [['open'], ['close', code]])
        equal(payloads, [close_payload(code)])


def test_T66_server_closes_1011(t):
    text = 'websocket: close 1011 (internal server error): why'
    events, payloads, run = server_closes(t, closing(1011, 'why'))
    equal(events, [['open'], ['error', text], ['close', 1011]])
    equal(run.ev('detail'), [['detail', 1011, 'why', False, 'undefined', text]])
    equal(payloads, [close_payload(1011)])


def test_T67_server_closes_4000(t):
    text = 'websocket: close 4000: why'
    events, payloads, run = server_closes(t, closing(4000, 'why'))
    equal(events, [['open'], ['error', text], ['close', 4000]])
    equal(run.ev('detail'), [['detail', 4000, 'why', False, 'undefined', text]])
    equal(payloads, [close_payload(4000)])


def test_T67_server_closes_without_code(t):
    text = 'websocket: close 1005 (no status)'
    events, payloads, run = server_closes(t, closing())
    equal(events, [['open'], ['error', text], ['close', 1005]])
    equal(run.ev('detail'), [['detail', 1005, '', False, 'undefined', text]])
    equal(payloads, [b''])


NAMES = {1002: 'protocol error', 1003: 'unsupported data', 1007: 'invalid payload data', 1008: 'policy violation',
         1009: 'message too big', 1010: 'mandatory extension missing', 1011: 'internal server error'}


def test_T67_names_of_codes(t):
    codes = sorted(NAMES) + [1012, 1013, 3000, 4999]

    def behave(conn):
        conn.accept(tail=encode(CLOSE, close_payload(int(conn.target[1:]))))
        conn.record()
    server = t.server(behave)
    run = t.run('''
export default function () {
  for (const c of %r) ws.connect('@WS@/' + c, (s) => listen(s));
}''' % codes)
    want = []
    for code in codes:
        name = ' (%s)' % NAMES[code] if code in NAMES else ''
        want += [['open'], ['error', 'websocket: close %d%s' % (code, name)], ['close', code]]
    equal(run.events, want)
    equal([c.close_codes for c in server.conns], [[code] for code in codes])


def test_T68_messages_before_close(t):
    events, payloads, run = server_closes(t, closing(1000, before=b''.join(encode(TEXT, m) for m in 'abc')))
    equal(events, [['open'], ['message', 'a'], ['message', 'b'], ['message', 'c'], ['close', 1000]])
    equal(payloads, [close_payload(1000)])
    equal(run.count('ws_msgs_received'), 3)


def test_T69_fin_without_close(t):
    text = 'websocket: close 1006 (abnormal closure): unexpected EOF'
    for wire in (b'', b'\x81', b'\x81\x05He'):
        events, payloads, run = server_closes(t, after(wire, then='fin'))
        t.servers.pop().stop()
        equal(events, [['open'], ['error', text], ['close', 1006]], 'after %r' % wire)
        equal(run.ev('detail'), [['detail', 1006, 'unexpected EOF', False, 'undefined', text]])
        check(payloads in ([], [close_payload(1006)]), 'Close frames: %r', payloads)


PROTOCOL_ERRORS = {
    'RSV1': encode(TEXT, 'x', rsv=4),
    'opcode 3': encode(3, 'x'),
    'masked': encode(TEXT, 'Hello', mask=b'\x37\xfa\x21\x3d'),
    'long ping': encode(9, 'x' * 126),
    'fragmented ping': encode(9, 'x', fin=False),
    'continuation first': encode(0, 'x'),
    'text in a message': encode(TEXT, 'x', fin=False) + encode(TEXT, 'y'),
    'close code 999': encode(CLOSE, close_payload(999)),
    'close code 1006': encode(CLOSE, close_payload(1006)),
}


def test_T70_protocol_errors(t):
    for name, wire in PROTOCOL_ERRORS.items():
        events, payloads, _ = server_closes(t, after(wire))
        t.servers.pop().stop()
        equal(events, [['open'], ['error', 'websocket: close sent'], ['close', 1001]], name)
        equal([p[:2] for p in payloads], [close_payload(1002)], name + ': Close frames')


def test_T70_invalid_utf8(t):
    """Text is validated: 1007, unless --lenient, which replaces what cannot be decoded (WS-104)."""
    wire = encode(TEXT, b'a\xc3\x28b') + encode(CLOSE, close_payload(1000))
    events, payloads, _ = server_closes(t, after(wire))
    equal(events, [['open'], ['error', 'websocket: close sent'], ['close', 1001]])
    equal([p[:2] for p in payloads], [close_payload(1007)])
    run = t.run('''
export default function () { ws.connect('@WS@/', (s) => listen(s)); }''', '--lenient')
    equal(run.events, [['open'], ['message', 'a\ufffd(b'], ['close', 1000]])


def test_T71_reset(t):
    def behave(conn):
        conn.accept()
        time.sleep(0.1)
        conn.reset()
    events, _, run = server_closes(t, behave)
    equal([e[0] for e in events], ['open', 'error', 'close'])
    check(events[1][1], 'the error has no text')
    equal(events[2], ['close', 1001])
    equal(len(run.of('ws_session_duration')), 1)


def test_T72_exception_in_callback(t):
    def pings(conn):
        conn.accept(tail=encode(9, 'p'))
        conn.drain(echo=True)
    server = t.server(pings)
    run = t.run('''
export default function () {
  for (const mode of ['setup', 'open', 'message', 'ping', 'timer', 'interval']) {
    const boom = { mode };
    const f = () => { throw boom; };
    try {
      ws.connect('@WS@/', (s) => {
        s.on('close', (c) => ev('close', mode, c));
        if (mode === 'setup') f();
        else if (mode === 'timer') s.setTimeout(f, 10);
        else if (mode === 'interval') s.setInterval(f, 10);
        else { s.on(mode, f); s.on(mode, () => ev('wrong', mode)); }
        if (mode === 'message') s.send('x');
      });
      ev('returned', mode);
    } catch (e) { ev('caught', mode, e === boom); }
  }
}''')
    modes = ['setup', 'open', 'message', 'ping', 'timer', 'interval']
    equal(run.events, [e for m in modes for e in (['close', m, 1001], ['caught', m, True])])
    equal(len(run.of('ws_session_duration')), len(modes))
    equal([c.close_codes for c in server.conns], [[1001]] * len(modes))


def test_T73_thrown_string(t):
    t.server()
    run = t.run('''
export default function () {
  try { ws.connect('@WS@/', (s) => s.on('open', () => { throw 'str'; })); } catch (e) { ev('caught', e); }
}''')
    equal(run.one('caught'), 'str')


def test_T74_uncaught(t):
    server = t.server()
    run = t.run('''
export const options = { iterations: 2 };
function thrower() { throw new Error('boom 74'); }
export default function () {
  ws.connect('@WS@/', (s) => s.on('open', () => thrower()));
  ev('wrong');
}''')
    errors = run.logged('error', 'boom 74')
    equal(len(errors), 2)
    for line in errors:
        check('thrower' in line.line and 'script1.js' in line.line, 'no stack: %r', line)
    equal(run.ev('wrong'), [])
    equal(run.count('iterations'), 2)
    equal([c.close_codes for c in server.conns], [[1001]] * 2)


def test_T75_throw_in_close_handler(t):
    t.server({'/closes': closing(1000), '/echo': echo})
    run = t.run('''
export default function () {
  const boom = { n: 75 };
  try {
    ws.connect('@WS@/closes', (s) => { s.on('close', () => { throw boom; }); s.on('close', () => ev('wrong')); });
    ev('returned');
  } catch (e) { ev('outside', e === boom); }
  ret(ws.connect('@WS@/echo', (s) => {
    s.on('close', () => { throw boom; });
    s.on('open', () => { try { s.close(); ev('returned'); } catch (e) { ev('inside', e === boom); } });
  }));
}''')
    equal([e for e in run.events if e[0] != 'ret'], [['outside', True], ['inside', True]])
    equal(run.one('ret')['status'], 101)


def test_T75_close_handler_replaces_exception(t):
    """WS-92."""
    t.server()
    run = t.run('''
export default function () {
  try {
    ws.connect('@WS@/', (s) => { s.on('close', () => { throw 'second'; }); s.on('open', () => { throw 'first'; }); });
  } catch (e) { ev('caught', e); }
}''')
    equal(run.one('caught'), 'second')


def test_T91_close_in_close_handler(t):
    def resets(conn):
        conn.accept()
        time.sleep(0.05)
        conn.reset()
    t.server({'/echo': quiet, '/closes': closing(1011), '/bad': after(encode(3)), '/reset': resets})
    run = t.run('''
export default function () {
  for (const p of ['/echo', '/closes', '/bad', '/reset'])
    ws.connect('@WS@' + p, (s) => {
      s.on('error', () => { s.close(); ev('error', p); });
      s.on('close', (c) => { s.close(4000); ev('close', p, c); });
      if (p === '/echo') s.setTimeout(() => s.close(1000), 10);
    });
  ev('end');
}''')
    codes = {e[1]: e[2] for e in run.ev('close')}
    equal([e[1] for e in run.ev('close')], ['/echo', '/closes', '/bad', '/reset'])
    check(codes.pop('/closes') in (1001, 1011), 'codes: %r', run.ev('close'))
    equal(codes, {'/echo': 1000, '/bad': 1001, '/reset': 1001})
    equal(run.events[-1], ['end'])
    equal([e[1] for e in run.ev('error')], ['/closes', '/bad', '/reset'])
    equal(run.count('iterations'), 1)
