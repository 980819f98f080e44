# SPDX-License-Identifier: Apache-2.0
"""WebSocket over HTTP/2 in both APIs, against servers that end streams in every way, and against hostile ones."""
import struct

from case import between, check, equal
from servers import http2
from servers.rawws import TEXT, closing, echo

BOTH = '''import { WebSocket } from 'k6/websockets';
export default function () {
  const url = '@WS@/x';
  const r = ws.connect(url, { http2: true }, (s) => {
    s.on('open', () => ev('a.open'));
    s.on('message', (m) => ev('a.message', m));
    s.on('close', (c) => ev('a.close', c));
    s.on('error', (e) => ev('a.error', e.error()));
  });
  ev('a.ret', r.status, r.error);
  const w = new WebSocket(url, null, { http2: true });
  w.onopen = () => ev('b.open');
  w.onmessage = (e) => ev('b.message', e.data);
  w.onerror = (e) => ev('b.error', e.error);
  w.onclose = (e) => ev('b.close', e.code, e.reason, e.wasClean);
}'''


def both(t, behaviour, raw=False):
    """`raw`: the behaviour writes frames itself."""
    server = t.server(behaviour, http2=b'' if raw else http2.ALLOW)
    return t.run(BOTH), server


def says_and(end):
    def behave(conn):
        conn.accept()
        conn.frame(TEXT, 'hello')
        end(conn)
    return behave


def test_close_by_the_server(t):
    run, server = both(t, closing(1001, 'going'))
    equal(run.ev('a.close', 'b.close'), [['a.close', 1001], ['b.close', 1001, 'going', True]])
    equal(run.ev('a.ret'), [['a.ret', 200, '']])
    equal([c.close_codes for c in server.conns], [[1001]] * 2)


def test_end_of_the_stream(t):
    """END_STREAM without a Close frame is a FIN without one."""
    run, _ = both(t, says_and(lambda conn: conn.finish()))
    equal(run.ev('a.message', 'b.message'), [['a.message', 'hello'], ['b.message', 'hello']])
    equal(run.ev('a.error'), [['a.error', 'websocket: close 1006 (abnormal closure): unexpected EOF']])
    equal(run.ev('a.close'), [['a.close', 1006]])
    equal(run.ev('b.close')[0][1::2], [1006, False])


def test_reset(t):
    run, _ = both(t, says_and(lambda conn: conn.reset()))
    for name in 'a.error', 'b.error':
        check('http2: the server reset the stream (CANCEL)' in run.one(name), '%r', run.one(name))
    equal(run.ev('a.close'), [['a.close', 1001]])
    equal(run.ev('b.close')[0][1::2], [1006, False])


def test_lost_connection(t):
    def cut(conn):
        conn.sock.sock.shutdown(2)
        conn.shut()
    run, _ = both(t, says_and(cut))
    equal(len(run.ev('a.error')), 1)
    equal(run.ev('b.close')[0][1::2], [1006, False])


def test_a_window_that_stays_shut(t):
    """What cannot be sent counts as buffered."""
    t.server(says_and(lambda conn: conn.finish()), http2=http2.ALLOW + struct.pack('>HI', 4, 0))
    run = t.run('''import { WebSocket } from 'k6/websockets';
export default function () {
  const w = new WebSocket('@WS@', null, { http2: true });
  w.onopen = () => { w.send('x'.repeat(50000)); w.send('y'); };
  w.onmessage = () => ev('buffered', w.bufferedAmount);
  w.onclose = (e) => ev('close', e.code, e.wasClean);
}''')
    equal(run.one('buffered'), 50001)
    equal(run.ev('close'), [['close', 1006, False]])


def test_a_teardown_while_open(t):
    """The scenario's end interrupts an open session: the stream ends, nothing is left."""
    server = t.server(echo, http2=http2.ALLOW)
    run = t.run('''
export const options = { scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '1s', gracefulStop: '0s' } } };
export default function () {
  ws.connect('@WS@', { http2: true }, (s) => {
    s.on('open', () => s.setInterval(() => s.send('x'), 10));
    s.on('message', () => ev('message'));
  });
}''')
    check(len(run.ev('message')) > 2, 'no traffic')
    between(run.seconds, 0.9, 8)
    equal([c.sock.ended or c.sock.reset_code is not None for c in server.conns], [True, True])


def test_streams(t):
    """WebSocketStream takes the same param."""
    t.server(echo, http2=http2.ALLOW)
    run = t.run('''import { WebSocketStream } from 'k6/websockets';
export default async function () {
  const stream = new WebSocketStream('@WS@', { http2: true });
  const { readable, writable } = await stream.opened;
  const reader = readable.getReader(), writer = writable.getWriter();
  for (let i = 0; i < 3; i++) {
    await writer.write('x'.repeat(400000) + i);
    ev('echo', (await reader.read()).value.slice(-2));
  }
  stream.close({ closeCode: 3000 });
  ev('closed', (await stream.closed).closeCode);
}''')
    equal(run.ev('echo'), [['echo', 'x%d' % i] for i in range(3)])
    equal(run.one('closed'), 3000)


def test_headers_that_no_frames_hold(t):
    server = t.server(echo, http2=http2.ALLOW)
    run = t.run('''
export default function () {
  for (const n of [60000, 70000]) {
    const headers = { 'X-Big': 'x'.repeat(n) };
    ev('ret', n, ws.connect('@WS@', { http2: true, headers }, (s) => s.on('open', () => s.close())).error);
  }
}''')
    equal(run.ev('ret')[0], ['ret', 60000, ''])
    check('the request cannot be sent' in run.ev('ret')[1][2], '%r', run.ev('ret'))
    equal(len(server.requests()[0].header('x-big')), 60000)


# --- hostile servers: frames by hand, of which each breaks a rule or a bound

def frames(*wire, first=b'', repeat=1):
    """A behaviour: the request is waited for, then all that is written, as often as it is taken."""
    def behave(conn):
        end = http2.Socket(conn.sock)
        conn.sock = end
        end.raw = conn.head + conn._buf
        end.recv(1)
        for i in range(repeat):
            try:
                end.sock.sendall((b'' if i else first) + b''.join(wire))
            except OSError:
                break
        try:
            while end.sock.recv(65536):
                pass
        except OSError:
            pass
        conn.shut()
    return behave


HEADERS_200 = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b'\x88')
PING = http2.frame(http2.PING, 0, 0, b'12345678')
HOSTILE = {
    'wrong stream': ([http2.frame(http2.DATA, 0, 5, b'x')], 'broke the protocol'),
    'even stream': ([http2.frame(http2.HEADERS, http2.END_HEADERS, 2, b'\x88')], 'broke the protocol'),
    'oversized': ([http2.frame(http2.DATA, 0, 1, bytes(20000))], 'broke the protocol'),
    'continuations': ([http2.frame(http2.HEADERS, 0, 1, b'\x88')] + [http2.frame(http2.CONTINUATION, 0, 1)] * 1000,
                      'broke the protocol'),
    'bomb': ([http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b'\x88\x40\x01a\x7f\xa1\x1e' + b'x' * 4000 + b'\xbe' * 8000)],
             'head longer than 16 KiB'),
    'window': ([http2.frame(http2.WINDOW, 0, 0, b'\x7f\xff\xff\xff')] * 2, 'broke the protocol'),
    'goaway': ([http2.frame(http2.GOAWAY, 0, 0, bytes(8))], 'reset the stream (REFUSED_STREAM)'),
    'http/1': ([b'HTTP/1.1 200 OK\r\n\r\n'], 'broke the protocol'),
}


def test_hostile(t):
    for name, (wire, text) in HOSTILE.items():
        run, server = both(t, frames(*wire), raw=True)
        t.servers.remove(server)
        status, error = run.ev('a.ret')[0][1:]
        check(status == 0 and text in error, '%s: %r', name, error)
        check(text in run.one('b.error'), '%s: %r', name, run.one('b.error'))
        equal(run.ev('a.open', 'b.open'), [], name)


def test_ping_flood_behind_the_opening(t):
    """Answers that the server does not read are bounded."""
    run, _ = both(t, frames(PING * 5000, first=HEADERS_200, repeat=400), raw=True)
    for name in 'a.error', 'b.error':
        check('broke the protocol: Flooding' in run.one(name), '%r', run.one(name))


def test_no_websockets_here(t):
    for settings, text in ((b'', 'takes no WebSocket over HTTP/2'),
                           (http2.ALLOW + struct.pack('>HI', 3, 0), 'MAX_CONCURRENT_STREAMS=0')):
        def behave(conn, settings=settings):
            conn.send(http2.frame(http2.SETTINGS, 0, 0, settings))
            conn.record()
        run, server = both(t, behave, raw=True)
        t.servers.remove(server)
        status, error = run.ev('a.ret')[0][1:]
        check(status == 0 and text in error, '%r', error)
        check(text in run.one('b.error'), '%r', run.one('b.error'))
