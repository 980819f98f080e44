# SPDX-License-Identifier: Apache-2.0
"""k6/ws: life cycle, the Socket object, sending, receiving, ping and pong (T36-T52)."""
import re

from case import between, check, equal, go_error
from servers.rawws import (BINARY, CONT, PING, PONG, TEXT, after, close_payload, closing, echo, encode, quiet, silent)


def test_T36_order(t):
    t.server()
    run = t.run('''
export default function () {
  const r = ws.connect('@WS@/echo', (s) => {
    ev('setup');
    listen(s);
    s.on('message', () => s.close());
    s.send('hi');
  });
  ev('after', r.status);
}''')
    equal(run.events, [['setup'], ['open'], ['message', 'hi'], ['close', 1001], ['after', 101]])


def test_T36_open_despite_close(t):
    """WS-48: open fires even if the setup callback already closed."""
    t.server()
    run = t.run('''
export default function () { ws.connect('@WS@/echo', (s) => { listen(s); s.close(); ev('closed'); }); }''')
    equal(run.events, [['close', 1001], ['closed'], ['open']])


def test_T37_send_in_setup(t):
    server = t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    s.send('early');
    s.on('message', (m) => { ev('message', m); s.close(); });
    s.on('open', () => { const until = Date.now() + 150; while (Date.now() < until); ev('open'); });
  });
}''')
    equal(run.events, [['open'], ['message', 'early']])
    equal([m.text for m in server.conns[0].messages], ['early'])


def test_T38_socket_object(t):
    t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    ev('keys', Object.keys(s));
    for (const name of ['readyState', 'url', 'off', 'once', 'addEventListener'])
      ev('type', typeof s[name]);
    ev('type', typeof s.on('open', () => {}));
    ev('type', typeof s.send('x'));
    ev('type', typeof s.ping());
    const { send, close } = s;
    send('bound', 'extra', 1);
    ev('type', typeof close(1000));
  });
}''')
    equal(run.one('keys')[:7], ['close', 'on', 'ping', 'send', 'sendBinary', 'setInterval', 'setTimeout'])
    equal(run.values('type'), ['undefined'] * 9)
    equal([m.text for m in t.servers[0].conns[0].messages], ['x', 'bound'])


def test_T39_ignored_handlers(t):
    t.server(closing(1000, before=encode(TEXT, 'm')))
    run = t.run('''
export default function () {
  ws.connect('@WS@/', (s) => {
    ev('err', caught(() => { s.on(); s.on('message'); s.on('message', 5); s.on('message', null); }));
    s.on('Message', () => ev('wrong'));
    s.on('nonsense', () => ev('wrong'));
    s.on('close', (c) => ev('close', c));
  });
}''')
    equal(run.events, [['err', None], ['close', 1000]])
    equal(run.count('ws_msgs_received'), 1)


def test_T40_handlers_in_order(t):
    t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    const twice = function () { ev('pong', 'twice', this === undefined, arguments.length); };
    s.on('pong', () => { ev('pong', 'first'); s.on('pong', () => ev('pong', 'late')); });
    s.on('pong', twice);
    s.on('pong', twice);
    s.on('pong', () => s.close());
    s.ping();
  });
}''')
    equal(run.events, [['pong', 'first'], ['pong', 'twice', True, 0], ['pong', 'twice', True, 0]])


def test_T41_empty_sends(t):
    server = t.server()
    run = t.run('''
export default function () {
  let n = 0;
  ws.connect('@WS@/echo', (s) => {
    s.on('open', () => { s.send(); s.send(undefined); s.send(null); s.send(''); });
    s.on('message', (m) => { ev('message', m); if (++n == 4) s.close(); });
  });
}''')
    equal([(m.opcode, m.payload) for m in server.conns[0].messages], [(TEXT, b'')] * 4)
    equal(run.values('message'), [''] * 4)
    equal((run.count('ws_msgs_sent'), run.count('ws_msgs_received')), (4, 4))


def test_T42_conversions(t):
    server = t.server()
    t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    for (const v of [42, { a: 1 }, [1, 2], new ArrayBuffer(2), new Uint8Array([1, 2]), true, 10n, new String('boxed')])
      s.send(v);
    ev('err', caught(() => s.send({ toString() { throw new RangeError('no'); } })));
    s.close();
  });
}''')
    equal([m.text for m in server.conns[0].messages],
          ['42', '[object Object]', '1,2', '[object ArrayBuffer]', '1,2', 'true', '10', 'boxed'])


def test_T43_utf8(t):
    server = t.server()
    run = t.run('''
export default function () {
  const want = ['\\u00e9\\u20ac\\u{1f600}', 'n\\0l'];
  let n = 0;
  ws.connect('@WS@/echo', (s) => {
    want.forEach((m) => s.send(m));
    s.send('a\\ud800b');
    s.on('message', (m) => { ev('message', n < 2 ? m === want[n] : m === 'a\\ufffdb'); if (++n == 3) s.close(); });
  });
}''')
    equal([m.payload for m in server.conns[0].messages],
          [bytes.fromhex('c3a9e282acf09f9880'), b'n\0l', bytes.fromhex('61efbfbd62')])
    equal(run.values('message'), [True] * 3)


def test_T44_send_binary_refuses(t):
    server = t.server()
    calls = ['', 'undefined', 'null', 'true', "'s'", '[1]', 'new Uint8Array(3)', 'Object.create(null)']
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    %s
    s.send('end');
    s.close();
  });
}''' % '\n    '.join("ev('err', caught(() => s.sendBinary(%s)));" % c for c in calls))
    equal(len(run.values('err')), len(calls))
    for call, error in zip(calls, run.values('err')):
        go_error(error, 'sendBinary(%s)' % call)
    equal([m.payload for m in server.conns[0].messages], [b'end'])
    equal(run.count('ws_msgs_sent'), 1)


def test_T45_bytes_are_copied(t):
    server = t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    const b = new Uint8Array([1, 2, 3]);
    s.sendBinary(b.buffer);
    b.fill(9);
    s.on('message', () => ev('wrong'));
    s.on('binaryMessage', (m) => {
      ev('got', bytes(m), m instanceof ArrayBuffer, m.byteLength);
      new Uint8Array(m)[0] = 7;
      ev('writable', bytes(m));
      s.close();
    });
  });
}''')
    equal(run.events, [['got', [1, 2, 3], True, 3], ['writable', [7, 2, 3]]])
    equal([(m.opcode, m.payload) for m in server.conns[0].messages], [(BINARY, b'\1\2\3')])
    check(all(f.mask is not None for f in server.conns[0].frames), 'an unmasked client frame')


def test_T46_empty_messages(t):
    t.server(closing(1000, before=encode(TEXT) + encode(BINARY)))
    run = t.run('''
export default function () { ws.connect('@WS@/', (s) => listen(s)); }''')
    equal(run.events, [['open'], ['message', ''], ['binaryMessage', []], ['close', 1000]])
    equal(run.count('ws_msgs_received'), 2)


def test_T47_no_handler(t):
    t.server(closing(1000, before=encode(BINARY, b'xyz')))
    run = t.run('''
export default function () {
  ws.connect('@WS@/', (s) => {
    s.on('message', () => ev('wrong'));
    s.on('close', (c) => ev('close', c));
  });
}''')
    equal(run.events, [['close', 1000]])
    equal(run.count('ws_msgs_received'), 1)


def test_T48_large_text(t):
    size = 5 * 1024 * 1024
    t.server(after(encode(TEXT, b'0123456789abcdef' * (size // 16))))
    run = t.run('''
export default function () {
  ws.connect('@WS@/', (s) => s.on('message', (m) => {
    ev('message', m.length, m.slice(0, 4), m.slice(-4), m === '0123456789abcdef'.repeat(m.length / 16));
    s.close();
  }));
}''')
    equal(run.events, [['message', size, '0123', 'cdef', True]])
    equal(run.count('ws_msgs_received'), 1)


def test_T48_fragments_and_ping(t):
    server = t.server(after(encode(TEXT, 'hel', fin=False) + encode(PING, 'abc') + encode(CONT, 'lo') +
                            encode(8, close_payload(1000))))
    run = t.run('''
export default function () { ws.connect('@WS@/', (s) => listen(s)); }''')
    equal(run.events, [['open'], ['ping'], ['message', 'hello'], ['close', 1000]])
    equal([f.payload for f in server.conns[0].of(PONG)], [b'abc'])


def test_T49_sizes(t):
    server = t.server()
    run = t.run('''
export default function () {
  const sizes = [4096, 4097, 10000, 65535, 65536, 300000];
  let n = 0;
  ws.connect('@WS@/echo', (s) => {
    sizes.forEach((k, i) => s.send(String.fromCharCode(97 + i).repeat(k)));
    s.on('message', (m) => { ev('got', m[0], m.length); if (++n == sizes.length) s.close(); });
  });
}''')
    want = list(zip('abcdef', (4096, 4097, 10000, 65535, 65536, 300000)))
    equal([(e[1], e[2]) for e in run.events], want)
    equal([(m.text[0], len(m.payload)) for m in server.conns[0].messages], want)
    for m in server.conns[0].messages:
        check(m.payload == m.payload[:1] * len(m.payload), 'a message was mixed up')


def test_T50_ping(t):
    server = t.server(quiet)
    run = t.run('''
export default function () {
  let n = 0;
  ws.connect('@WS@/', (s) => {
    s.on('pong', (...a) => { ev('pong', a.length); if (++n == 2) s.close(); });
    s.ping();
    s.ping('ignored');
  });
}''')
    equal([f.payload for f in server.conns[0].of(PING)], [b'0', b'1'])
    equal(run.values('pong'), [0, 0])
    pings = run.of('ws_ping')
    equal(len(pings), 2)
    for s in pings:
        between(s.value, 0.000001, 5000, 'ws_ping')
    equal(run.count('ws_msgs_sent'), 0)


def test_T50_pongs_out_of_order(t):
    """WS-67: each pong is matched by its payload, in any order, and may be repeated."""
    def behave(conn):
        conn.accept()
        conn.recv_frame()
        conn.recv_frame()
        conn.send(encode(PONG, '1') + encode(PONG, '0') + encode(PONG, '1') + encode(8, close_payload(1000)))
        conn.record()
    t.server(behave)
    run = t.run('''
export default function () { ws.connect('@WS@/', (s) => { listen(s); s.ping(); s.ping(); }); }''')
    equal(run.events, [['open'], ['pong'], ['pong'], ['pong'], ['close', 1000]])
    equal(len(run.of('ws_ping')), 3)


def test_T51_unsolicited_pong(t):
    t.server(closing(1000, before=encode(PONG, 'zz')))
    run = t.run('''
export default function () { ws.connect('@WS@/', (s) => listen(s)); }''')
    equal(run.events, [['open'], ['pong'], ['close', 1000]])
    equal(run.of('ws_ping'), [])


def test_T52_no_pong(t):
    server = t.server(silent)
    run = t.run('''
export default function () {
  ws.connect('@WS@/', (s) => { listen(s); s.ping(); s.setTimeout(() => s.close(), 200); });
}''')
    equal(run.events, [['open'], ['close', 1001]])
    equal(run.of('ws_ping'), [])
    equal([f.payload for f in server.conns[0].of(PING)], [b'0'])


def test_echo_round_trip_summary(t):
    """The end-of-test text has a WEBSOCKET section with the session's metrics."""
    t.server(echo)
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    s.on('open', () => { s.send('x'); s.ping(); });
    let left = 2;
    const done = () => { if (!--left) s.close(); };
    s.on('message', done);
    s.on('pong', done);
  });
}''')
    text = run.stdout
    check('█ TOTAL RESULTS' in text, 'no total results')
    section = text[text.index('WEBSOCKET'):]
    names = re.findall(r'^\s*(\w+)\.+: ', section, re.M)
    equal(names, ['ws_connecting', 'ws_msgs_received', 'ws_msgs_sent', 'ws_ping', 'ws_session_duration', 'ws_sessions'])
    for name in ('ws_msgs_received', 'ws_msgs_sent', 'ws_sessions'):
        check(re.search(r'%s\.+: 1 +[\d.]+/s' % name, section), 'no count of %s', name)
    check(re.search(r'ws_session_duration\.+: avg=\S+ +min=\S+ +med=\S+ +max=\S+ +p\(90\)=\S+ +p\(95\)=\S+', section),
          'no statistics of ws_session_duration')
    order = [text.index(name) for name in ('EXECUTION', 'NETWORK', 'WEBSOCKET')]
    equal(order, sorted(order), 'order of the sections')


def test_nested_connect(t):
    """WS-125: the outer session stands still until the inner returns; its messages are then delivered in order."""
    t.server({'/outer': after(encode(TEXT, '1') + encode(TEXT, '2')), '/inner': echo})
    run = t.run('''
export default function () {
  ws.connect('@WS@/outer', (o) => {
    o.on('message', (m) => {
      ev('outer', m);
      if (m === '2') { o.close(); return; }
      ws.connect('@WS@/inner', (i) => {
        i.on('open', () => i.send('x'));
        i.on('message', (x) => { ev('inner', x); i.close(); });
      });
      ev('inner over');
    });
  });
}''')
    equal(run.events, [['outer', '1'], ['inner', 'x'], ['inner over'], ['outer', '2']])


def test_kept_socket(t):
    """WS-126: a Socket kept after connect returned is harmless."""
    t.server()
    run = t.run('''
export default function () {
  let kept;
  ws.connect('@WS@/echo', (s) => { kept = s; s.on('error', (e) => ev('error', e.error())); s.close(); });
  ev('err', caught(() => { kept.send('x'); kept.ping(); kept.close(); kept.setTimeout(() => ev('wrong'), 1); }));
}''')
    equal(run.values('err'), [None])
    check(set(run.values('error')) <= {'websocket: close sent'}, 'errors: %r', run.values('error'))


def test_promises_progress(t):
    """Async handlers progress while connect blocks."""
    t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    s.on('open', async () => { await Promise.resolve(); ev('awaited'); s.send('x'); });
    s.on('message', (m) => { ev('message', m); s.close(); });
    s.setTimeout(() => s.close(), 5000);
  });
}''')
    equal(run.events, [['awaited'], ['message', 'x']])
