# SPDX-License-Identifier: Apache-2.0
"""Squall's own params, in both modules: pingInterval, pongTimeout, handshakeTimeout, closeTimeout, maxMessageSize,
fragmentSize; and failed handshakes in the log and in tags."""
import socket
import threading
import time

from case import between, check, equal
from servers import http2
from servers.rawws import (BINARY, CLOSE, CONT, PMD_BOTH, PONG, TEXT, after, deflate, echo, encode, never_answer, quiet,
                           refusing, silent)

SOCKETS = '''
import { WebSocket } from 'k6/websockets';
function open(params) {
  const w = new WebSocket('@WS@/', null, params);
  for (const name of ['open', 'ping', 'pong']) w.addEventListener(name, () => ev(name));
  w.addEventListener('message', (e) => ev('message', e.data));
  w.addEventListener('error', (e) => ev('error', e.error));
  w.addEventListener('close', (e) => ev('close', e.code, e.wasClean));
  return w;
}
'''
PROFILES = ((), ('--profile', 'standard'))


def answers(count):
    """Upgrades and answers that many pings, then no more."""
    def behave(conn):
        conn.accept()
        left = count
        while True:
            f = conn.recv_frame()
            if f.opcode == 9 and left > 0:
                left -= 1
                conn.frame(PONG, f.payload)
    return behave


def keepalive_pings(conn):
    return [f.payload for f in conn.of(9) if f.payload.startswith(b'squall-keepalive-')]


def test_ping_interval(t):
    """CT-6: pings of its own, which scripts and metrics do not see."""
    server = t.server(quiet)
    run = t.run('''
export default function () {
  ws.connect('@WS@/', { pingInterval: 30, pongTimeout: '5s' }, (s) => { listen(s); s.setTimeout(() => s.close(), 500); });
}''')
    check(len(keepalive_pings(server.conns[0])) >= 3, 'pings: %r', server.conns[0].frames)
    equal(run.events, [['open'], ['close', 1001]])
    equal((run.of('ws_ping'), run.of('ws_msgs_sent')), ([], []))
    for flags in PROFILES:
        run = t.run(SOCKETS + '''
export default function () {
  const w = open({ pingInterval: '30ms' });
  setTimeout(() => { w.ping(); }, 200);
  setTimeout(() => { w.close(1000); }, 500);
}''', *flags)
        check(len(keepalive_pings(server.conns[-1])) >= 3, 'pings: %r', server.conns[-1].frames)
        equal(run.events, [['open'], ['pong'], ['close', 1000, True]])
        equal((len(run.of('ws_ping')), run.count('ws_msgs_sent')), (1, 2))


def test_pong_timeout(t):
    server = t.server(answers(2))
    text = 'websocket: pong timeout: no Pong within 150 ms'
    run = t.run('''
export default function () { ws.connect('@WS@/', { pingInterval: 20, pongTimeout: 150 }, listen); }''')
    equal(run.events, [['open'], ['error', text], ['close', 1006]])
    equal(len(run.logged('warning', text)), 1)
    check(len(keepalive_pings(server.conns[0])) >= 3, 'pings: %r', server.conns[0].frames)
    equal(server.conns[0].of(CLOSE), [])
    for flags in PROFILES:
        run = t.run(SOCKETS + "export default function () { open({ pingInterval: 20, pongTimeout: '0.15s' }); }", *flags)
        equal(run.events, [['open'], ['error', text], ['close', 1006, False]])
        equal(len(run.logged('warning', text)), 1)
        equal(len(run.of('ws_session_duration')), 1)


def test_limits_over_http2(t):
    t.server(answers(2), http2=http2.ALLOW)
    text = 'websocket: pong timeout: no Pong within 150 ms'
    run = t.run(SOCKETS + "export default function () { open({ http2: true, pingInterval: 20, pongTimeout: 150 }); }")
    equal(run.events, [['open'], ['error', text], ['close', 1006, False]])
    t.servers.clear()
    server = t.server(after(encode(TEXT, 'y' * 101)), http2=http2.ALLOW)
    run = t.run(SOCKETS + "export default function () { open({ http2: true, maxMessageSize: 100 }); }")
    equal(run.events, [['open'], ['error', 'websocket: message too big'], ['close', 1006, False]])
    equal(server.conns[0].close_codes, [1009])
    t.servers.clear()
    t.server(never_answer, http2=http2.ALLOW)
    run = t.run(SOCKETS + "export default function () { open({ http2: true, handshakeTimeout: '0.2s' }); }")
    equal((len(run.ev('error')), run.ev('close')), (1, [['close', 1006, False]]))
    equal(run.of('ws_sessions')[0].tags['error_code'], '1050')


def test_pong_timeout_of_the_scripts_own_ping(t):
    t.server(silent)
    run = t.run(SOCKETS + '''
export default function () { const w = open({ pongTimeout: 100 }); w.onopen = () => setTimeout(() => w.ping(), 100); }''')
    equal(run.events, [['open'], ['error', 'websocket: pong timeout: no Pong within 100 ms'], ['close', 1006, False]])


def test_pong_timeout_is_patient_with_a_slow_script(t):
    """What cannot be read, because the script has enough waiting, is not missing."""
    def behave(conn):
        conn.accept()
        conn.sock.settimeout(15.0)
        for _ in range(40):
            conn.send(encode(TEXT, 'x' * 50000))
        conn.drain()
    server = t.server(behave)
    run = t.run('''
import { sleep } from 'k6';
''' + SOCKETS.replace("ev('message', e.data)", "{ if (++n <= 3) sleep(1); if (n == 40) ev('all'); }") + '''
let n = 0;
export default function () {
  const w = open({ pingInterval: 20, pongTimeout: 900 });
  w.addEventListener('message', () => { if (n == 40) w.close(1000); });
}''')
    equal(run.events, [['open'], ['all'], ['close', 1000, True]])
    check(keepalive_pings(server.conns[0]), 'no ping')


def test_handshake_timeout(t):
    t.server(never_answer)
    run = t.run('''
export default function () { ret(ws.connect('@WS@/', { handshakeTimeout: 200 }, listen)); }''')
    r = run.one('ret')
    check(r['status'] == 0 and 'i/o timeout' in r['error'], 'response: %r', r)
    between(run.of('ws_connecting')[0].value, 195, 5000, 'ws_connecting')
    equal(run.of('ws_sessions')[0].tags['error_code'], '1050')
    equal(run.of('ws_sessions')[0].tags['error'], 'request timeout')
    for flags in PROFILES:
        run = t.run(SOCKETS + "export default function () { open({ handshakeTimeout: '0.2s' }); }", *flags)
        check('i/o timeout' in run.one('error'), 'error: %r', run.events)
        equal(run.ev('close'), [['close', 1006, False]])
    run = t.run('''
export default function () { ret(ws.connect('@WS@/', listen)); }''', '--ws-handshake-timeout', '200ms')
    check('i/o timeout' in run.one('ret')['error'], 'option: %r', run.events)


def test_close_timeout(t):
    t.server(silent)
    for flags in PROFILES:
        for own, more in (('{ closeTimeout: 150 }', ()), ('null', ('--ws-close-timeout=150ms',))):
            started = time.monotonic()
            run = t.run(SOCKETS + '''
export default function () { const w = open(%s); w.onopen = () => w.close(3000); }''' % own, *flags, *more)
            equal(run.events, [['open'], ['error', 'websocket: close timeout'], ['close', 1006, False]])
            check(time.monotonic() - started < 8, 'waited for the default')


def test_max_message_size(t):
    """FR-10, PMD-12: announced, summed over fragments, inflated."""
    big, fits = 'y' * 101, 'x' * 100
    for wire, got in ((encode(TEXT, fits) + encode(TEXT, big), ['message', fits]),
                      (encode(BINARY, b'a' * 60, fin=False) + encode(CONT, b'b' * 60), None),
                      (b'\x82\x7f\x00\x00\x00\xff\x00\x00\x00\x00', None)):
        server = t.server(after(wire))
        t.servers[:] = [server]
        run = t.run('''
export default function () { ws.connect('@WS@/', { maxMessageSize: 100 }, listen); }''')
        equal(run.events, [['open']] + ([got] if got else []) + [['error', 'websocket: message too big'], ['close', 1009]])
        equal(len(run.logged('warning', 'message too big')), 1)
        equal(server.conns[0].close_codes, [1009])
        run = t.run(SOCKETS + "export default function () { open({ maxMessageSize: 100 }); }")
        equal(run.events, [['open']] + ([got] if got else []) + [['error', 'websocket: message too big'],
                                                                ['close', 1006, False]])

    def bomb(conn):
        conn.accept(extensions=PMD_BOTH, tail=encode(TEXT, deflate('z' * 100000), rsv=4))
        conn.drain()
    t.servers.clear()
    server = t.server(bomb)
    run = t.run(SOCKETS + "export default function () { open({ maxMessageSize: 99999, compression: 'deflate' }); }")
    equal(run.ev('error'), [['error', 'websocket: message too big']])
    equal(server.conns[0].close_codes, [1009])
    run = t.run(SOCKETS + '''
export default function () {
  const w = open({ maxMessageSize: 0, compression: 'deflate' });
  w.onmessage = () => w.close(1000);
}''', '--ws-max-message-size', '5')
    equal(len(run.ev('message')), 1)



def test_message_that_nothing_can_hold(t):
    """Without a limit too, memory does not fill with a message that could not be handed over."""
    for head in (b'\x82\x7f' + (1 << 31).to_bytes(8, 'big'), b'\x02\x7f' + ((1 << 63) - 1).to_bytes(8, 'big'),
                 encode(BINARY, b'x', fin=False) + b'\x80\x7f' + ((1 << 31) - 1).to_bytes(8, 'big')):
        def behave(conn, head=head):
            conn.accept(tail=head)
            conn.drain()
        t.servers.clear()
        server = t.server(behave)
        run = t.run("export default function () { ws.connect('@WS@/', listen); }")
        equal(run.events, [['open'], ['error', 'websocket: message too big'], ['close', 1009]])
        equal(server.conns[0].close_codes, [1009])

def test_fragment_size(t):
    """FW-4."""
    server = t.server(echo)
    t.run('''
export default function () {
  ws.connect('@WS@/', { fragmentSize: 4 }, (s) => {
    s.on('open', () => { s.send('0123456789'); s.sendBinary(new Uint8Array(4).buffer); s.send(''); });
    let n = 0;
    const count = () => { if (++n == 3) s.close(); };
    s.on('message', count);
    s.on('binaryMessage', count);
  });
}''')
    want = [(TEXT, False, 4), (CONT, False, 4), (CONT, True, 2), (BINARY, True, 4), (TEXT, True, 0), (CLOSE, True, 2)]
    equal([(f.opcode, f.fin, len(f.payload)) for f in server.conns[0].frames], want)
    for own, more in (('{ fragmentSize: 4 }', ()), ('null', ('--ws-fragment-size', '4'))):
        run = t.run(SOCKETS + '''
export default function () {
  const w = open(%s);
  w.onopen = () => w.send('0123456789');
  w.onmessage = () => w.close(1000);
}''' % own, *more)
        equal([(f.opcode, f.fin, len(f.payload)) for f in server.conns[-1].frames], want[:3] + want[-1:])
        equal(run.one('message'), '0123456789')


def test_bad_values(t):
    """A TypeError that names the param; nothing is dialled, nothing counted."""
    server = t.server()
    bad = [('pingInterval', v) for v in ('-1', "'soon'", 'NaN', '{}', 'true', "''", 'Infinity', "'-5s'")]
    bad += [('handshakeTimeout', v) for v in ('0', "'0s'", '-1')] + [('closeTimeout', '0'), ('pongTimeout', '[]')]
    bad += [(n, v) for n in ('maxMessageSize', 'fragmentSize') for v in ('-1', '1.5', "'10'", 'NaN', '1e300')]
    good = ['{ pingInterval: 0, pongTimeout: null, handshakeTimeout: undefined, closeTimeout: "1m30s" }',
            '{ maxMessageSize: 0, fragmentSize: 0, handshakeTimeout: 5e3, closeTimeout: 0.5 }']
    run = t.run('''
import { WebSocket } from 'k6/websockets';
const dead = 'ws://127.0.0.1:@PORT@/';
export default function () {
  %s
  %s
}''' % ('\n'.join("ev('bad', caught(() => ws.connect(dead, { %s: %s }, () => {})));\n"
                  "ev('bad', caught(() => new WebSocket(dead, null, { %s: %s })));" % (n, v, n, v) for n, v in bad),
        '\n'.join("ev('good', ws.connect(dead, %s, (s) => s.close()).status);" % g for g in good)))
    got = run.values('bad')
    equal(len(got), 2 * len(bad))
    for i, (name, value) in enumerate(bad):
        for err in got[2 * i:2 * i + 2]:
            check(err and err['type'] and 'params.' + name in err['message'], '%s: %s gives %r', name, value, err)
    equal(run.values('good'), [101, 101])
    equal((len(server.conns), run.count('ws_sessions')), (2, 2))


def test_bad_options(t):
    for flag, words in (('--ws-ping-interval=-1s', 'wsPingInterval must not be negative'),
                        ('--ws-handshake-timeout=0s', 'wsHandshakeTimeout must be more than 0'),
                        ('--ws-max-message-size=-5', 'wsMaxMessageSize must not be negative')):
        run = t.run('export default function () {}', flag, code=104)
        check(words in run.stderr, '%s: %r', flag, run.stderr)
    run = t.run('export default function () {}', '--ws-fragment-size=big', code=255)
    check('--ws-fragment-size' in run.stderr, 'message: %r', run.stderr)


FAILURES = (
    ('ws://127.0.0.1:@DEAD@/', '1212', 'dial: connection refused', 'connection refused'),
    ('ws://no..host/', '1101', 'lookup: no such host', 'lookup no..host: no such host'),
    ('ws://blocked.test/', '1111', 'hostname (blocked.test) is in a blocked pattern (blocked.test)', 'blocked pattern'),
    ('ws://127.0.0.9/', '1110', 'IP (127.0.0.9) is in a blacklisted range (127.0.0.9/32)', 'blacklisted'),
    ('@WS@/status', '1403', 'the server answered with status 403', 'status 403'),
    ('@WS@/redirect', '1000', 'the server answered with status 302', 'status 302'),
    ('@WS@/accept', '1000', 'Sec-WebSocket-Accept does not belong to the key', 'Sec-WebSocket-Accept'),
    ('@WS@/upgrade', '1000', 'the response has no Upgrade: websocket', 'no Upgrade: websocket'),
    ('@WS@/protocol', '1000', "subprotocol 'zzz' was not requested", 'subprotocol'),
    ('@WS@/extension', '1000', "extension 'x-unknown' was not offered", 'extension'),
    ('@WS@/garbage', '1000', 'malformed HTTP response: ', 'malformed HTTP response'),
    ('@WS@/eof', '1000', 'unexpected EOF', 'unexpected EOF'),
    ('@TLS@/', '1310', 'x509: unknown authority', 'x509'),
    ('@NOTLS@/', '1301', None, 'tls'),
)


def plain_answer(t):
    """The port of a server that answers whatever it gets, once, in plain text."""
    listener = socket.create_server(('127.0.0.1', 0))
    t.kept.append(listener)
    listener.settimeout(10)

    def serve():
        try:
            while True:
                conn, _ = listener.accept()
                with conn:
                    conn.settimeout(10)
                    conn.recv(4096)
                    conn.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
        except OSError:
            pass
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def garbage(conn):
    conn.send(b'SSH-2.0-OpenSSH\r\n\r\n')
    conn.finish()


def test_reasons_of_failed_handshakes(t):
    """Each has its line in the log, and error and error_code on its samples; those of k6 and no more."""
    server = t.server({
        '/status': refusing(403, 'Forbidden'), '/redirect': refusing(302, 'Found', [('Location', '/x')]),
        '/accept': lambda conn: conn.accept(accept='AAAA'), '/upgrade': lambda conn: conn.accept(upgrade=None),
        '/protocol': lambda conn: conn.accept(protocol='zzz'),
        '/extension': lambda conn: conn.accept(extensions='x-unknown'), '/garbage': garbage,
        '/eof': lambda conn: conn.finish()})
    secure = t.tls_server()
    urls = [u for u, _, _, _ in FAILURES]
    names = {'DEAD': t.closed_port(), 'TLS': secure.ws, 'NOTLS': 'wss://127.0.0.1:%d' % plain_answer(t)}
    options = '''
export const options = { blockHostnames: ['blocked.test'], blacklistIPs: ['127.0.0.9/32'] };
const urls = %r;
''' % urls
    runs = (t.run(options + '''
export default function () { for (const u of urls) ws.connect(u, { tags: { u } }, () => {}); }''', **names),
            t.run(options + '''
import { WebSocket } from 'k6/websockets';
export default function () { for (const u of urls) new WebSocket(u, null, { tags: { u } }); }''', **names))
    for run, metrics in zip(runs, (3, 2)):
        equal(len(run.session_samples), metrics * len(FAILURES), 'samples')
        for url, code, words, reason in FAILURES:
            for name, value in list(names.items()) + [('WS', server.ws)]:
                url = url.replace('@%s@' % name, str(value))
            got = [s for s in run.session_samples if s.tags['u'] == url]
            equal(len(got), metrics, url)
            for s in got:
                check(s.tags.get('error'), 'no error tag: %r', s)
                equal(s.tags['error_code'], code, url)
                check(words is None or s.tags['error'].startswith(words), '%s: error %r', url, s.tags['error'])
            told = [entry for entry in run.logged('warning') if "'%s'" % url in entry.msg]
            check(len(told) == 1 and reason in told[0].msg, '%s: log %r', url, told)


def test_tags_of_failures_can_be_switched_off(t):
    run = t.run('''
export const options = { systemTags: ['url'] };
export default function () { ws.connect('ws://127.0.0.1:@DEAD@/', () => {}); }''', DEAD=t.closed_port())
    equal({tuple(s.tags) for s in run.session_samples}, {('url',)})


def test_many_failures_of_one_cause(t):
    """Ten lines, then one at each power of two: a dead server does not bury the log."""
    run = t.run('''
export const options = { iterations: 100 };
export default function () { ws.connect('ws://127.0.0.1:@DEAD@/', () => {}); }''', DEAD=t.closed_port())
    told = [entry.msg for entry in run.logged('warning', 'connection refused')]
    equal(len(told), 13, 'lines')
    equal([m.rsplit('; ')[-1] for m in told[10:]], ['%d times so far' % n for n in (16, 32, 64)])
    equal(run.count('ws_sessions'), 100)


def test_proxy_failures(t):
    def refuses(conn):
        conn.refuse(403, 'Forbidden')
    proxy = t.server(refuses)
    run = t.run('''
export const options = { hosts: { 'far.test': '127.0.0.1' } };
export default function () { ws.connect('ws://far.test/', () => {}); }''',
                env={'HTTP_PROXY': 'http://127.0.0.1:%d' % proxy.port})
    tags = run.of('ws_sessions')[0].tags
    equal((tags['error'], tags['error_code']), ('Forbidden', '1000'))
    check(run.logged('warning', 'Forbidden'), 'not in the log')


def test_long_url_in_the_log(t):
    """A URL of a megabyte is told in part."""
    run = t.run("export default function () { ev('s', ws.connect('ws://127.0.0.1:1/' + 'u'.repeat(2000000), () => {}).status); }")
    line, = run.logged('warning')
    check("uuu...' failed: malformed URL: it is longer than 1 MiB" in line.msg and len(line.msg) < 1200, 'log: %.2000s', line.msg)
