# SPDX-License-Identifier: Apache-2.0
"""--ws-debug: handshakes, frames and ends of connections in the log; k6/ws and k6/websockets share it."""
import re

from case import check, equal
from servers import http2
from servers.rawws import BINARY, PMD_BOTH, TEXT, after, closing, deflate, encode, refusing

LINE = re.compile(r'^vu (\d+) iter (\d+) socket (\d+) \+(\d+\.\d{3})ms (->|<-|--) (.*)$', re.S)


def lines(run):
    """(vu, iteration, socket), mark, text of each line of --ws-debug."""
    out = []
    for entry in run.log:
        if entry.source == 'ws-debug':
            m = LINE.match(entry.msg)
            check(m, 'a line of another form: %r', entry.line)
            out.append(((int(m[1]), int(m[2]), int(m[3])), m[5], m[6]))
    return out


def texts(run, socket=None):
    return ['%s %s' % (mark, text) for who, mark, text in lines(run) if socket is None or who[2] == socket]


def in_order(got, *wanted):
    at = 0
    for want in wanted:
        found = [i for i in range(at, len(got)) if got[i] == want]
        check(found, 'no line %r behind line %d of:\n%s', want, at, '\n'.join(got))
        at = found[0] + 1


SESSION = '''
export default function () {
  const params = { headers: { Authorization: 'Bearer s3cret', Cookie: 'sid=s3cret', 'X-Api-Key': 's3cret', 'X-A': 'b' } };
  ws.connect('@WS@/chat?a=1', params, (s) => {
    s.on('open', () => {
      s.send('h\\u00e9llo\\n');
      s.sendBinary(new Uint8Array([0, 1, 255]).buffer);
      s.ping();
      s.send('');
      s.send('x'.repeat(100));
    });
    let n = 0;
    s.on('message', () => { if (++n == 3) s.close(3001); });
  });
}'''


def test_session(t):
    def behave(conn):
        conn.accept(headers=[('Set-Cookie', 'sid=s3cret'), ('X-Where', 'http://u:s3cret@h/p@q')])
        conn.drain(echo=True)
    server = t.server(behave)
    run = t.run(SESSION, '--ws-debug')
    got = texts(run)
    in_order(got, '-- connecting to %s/chat?a=1' % server.ws, '-- connected to 127.0.0.1 port %d' % server.port,
             '-> GET /chat?a=1 HTTP/1.1', '-> Host: 127.0.0.1:%d' % server.port, '<- HTTP/1.1 101 Switching Protocols',
             '<- Upgrade: websocket', '-> TEXT FIN 7 bytes: h\u00e9llo\\n', '-> BINARY FIN 3 bytes: 00 01 ff',
             '-> PING FIN 1 bytes: 0', '-> TEXT FIN 0 bytes', '-> TEXT FIN 100 bytes: %s\u2026' % ('x' * 60),
             '<- TEXT FIN 7 bytes: h\u00e9llo\\n', '<- BINARY FIN 3 bytes: 00 01 ff', '<- PONG FIN 1 bytes: 0',
             '<- TEXT FIN 0 bytes', '<- TEXT FIN 100 bytes: %s\u2026' % ('x' * 60), '-> CLOSE FIN 2 bytes: code 3001',
             '-- connection closed')
    for want in ('-> Authorization: ***', '-> Cookie: ***', '-> X-Api-Key: ***', '-> X-A: b', '<- Set-Cookie: ***',
                 '<- X-Where: http://***@h/p@q'):
        check(want in got, 'no line %r', want)
    check('s3cret' not in run.stderr, 'a secret is in the log')
    equal({who for who, _, _ in lines(run)}, {(1, 0, 1)})


def test_full(t):
    """Whole payloads, wrapped, and nothing hidden."""
    t.server()
    run = t.run(SESSION, env={'SQUALL_WS_DEBUG': 'full'})
    got = texts(run)
    in_order(got, '-> Authorization: Bearer s3cret', '-> Cookie: sid=s3cret', '-> TEXT FIN 100 bytes: ' + 'x' * 100)
    run = t.run('''
export default function () {
  ws.connect('@WS@/', (s) => {
    s.on('open', () => { s.send('a'.repeat(100) + 'b'.repeat(100) + 'c'); s.sendBinary(new Uint8Array(40).buffer); });
    s.on('binaryMessage', () => s.close());
  });
}''', '--ws-debug=full')
    got = texts(run)
    for mark in ('->', '<-'):
        in_order(got, mark + ' TEXT FIN 201 bytes: ' + 'a' * 100, mark + '   ' + 'b' * 100, mark + '   c',
                 mark + ' BINARY FIN 40 bytes: ' + ' '.join(['00'] * 32), mark + '   ' + ' '.join(['00'] * 8))


def test_off(t):
    t.server()
    run = t.run(SESSION)
    equal(lines(run), [])
    run = t.run(SESSION, '--ws-debug=loud', code=255)
    check('--ws-debug' in run.stderr and 'full' in run.stderr, 'message: %r', run.stderr)


def test_compressed_and_fragmented(t):
    def behave(conn):
        whole = deflate('compressed ' * 20)
        conn.accept(extensions=PMD_BOTH, tail=encode(TEXT, whole, rsv=4) + encode(TEXT, 'par', fin=False) +
                    encode(0, b'ts') + encode(BINARY, deflate(b'\x01\x02'), rsv=4) + encode(9, b'\x00'))
        conn.drain()
    t.server(behave)
    run = t.run('''
export default function () {
  ws.connect('@WS@/', { compression: 'deflate' }, (s) => {
    s.on('ping', () => { s.send('a'.repeat(1000)); s.close(1000); });
  });
}''', '--ws-debug')
    got = [re.sub(r'RSV1 \d+ bytes', 'RSV1 N bytes', line) for line in texts(run)]
    in_order(got, '<- TEXT FIN RSV1 N bytes (message of 220 compressed): ' + ('compressed ' * 20)[:60] + '\u2026',
             '<- TEXT 3 bytes: par', '<- CONTINUATION FIN 2 bytes: ts',
             '<- BINARY FIN RSV1 N bytes (message of 2 compressed): 01 02', '<- PING FIN 1 bytes: 00',
             '-> PONG FIN 1 bytes: 00', '-> TEXT FIN RSV1 N bytes (message of 1000 compressed): ' + 'a' * 60 + '\u2026',
             '-> CLOSE FIN 2 bytes: code 1000 (normal)')


def test_bad_deflate_is_shown(t):
    def behave(conn):
        conn.accept(extensions=PMD_BOTH, tail=encode(TEXT, b'\xff\xff\xff', rsv=4))
        conn.drain()
    t.server(behave)
    run = t.run('''
export default function () { ws.connect('@WS@/', { compression: 'deflate' }, (s) => listen(s)); }''', '--ws-debug')
    in_order(texts(run), '-> CLOSE FIN 25 bytes: code 1007 (invalid payload data), reason invalid compressed data',
             '-- end: websocket: invalid compressed data', '<- TEXT FIN RSV1 3 bytes: ff ff ff')


def test_ends(t):
    """What the peer's end looks like: Close, FIN, reset, a broken rule."""
    ends = ((closing(1011, 'went \u2713'),
             ['<- CLOSE FIN 10 bytes: code 1011 (internal server error), reason went \u2713']),
            (closing(), ['<- CLOSE FIN 0 bytes: no code']),
            (after(b'', 'fin'), ['-- FIN received', '-- end: websocket: close 1006 (abnormal closure): unexpected EOF']),
            (after(b'\x83\x00'), ['-> CLOSE FIN ', '-- end: websocket: ']))
    for behave, wanted in ends:
        t.servers.clear()
        t.server(behave)
        got = texts(t.run("export default function () { ws.connect('@WS@/', (s) => {}); }", '--ws-debug'))
        for want in wanted:
            check(any(line.startswith(want) for line in got), 'no line %r in:\n%s', want, '\n'.join(got))
        equal(got[-1], '-- connection closed')

    def reset(conn):
        conn.accept()
        conn.recv_frame()
        conn.reset()
    t.servers.clear()
    t.server(reset)
    got = texts(t.run('''
export default function () { ws.connect('@WS@/', (s) => { s.on('open', () => s.send('x')); }); }''', '--ws-debug'))
    check(any(line.startswith('-- end:') and 'reset by peer' in line for line in got), 'no reset in:\n%s',
          '\n'.join(got))


def test_refusal_and_failures(t):
    server = t.server({'/': refusing(403, 'Forbidden', [('X-Why', 'because')], 'no\nentry'),
                       '/ssh': lambda conn: (conn.send(b'SSH-2.0-x\r\n\r\n'), conn.finish())})
    run = t.run('''
import { WebSocket } from 'k6/websockets';
export default function () {
  ws.connect('@WS@/', (s) => {});
  new WebSocket('ws://u:s3cret@127.0.0.1:@DEAD@/');
  ws.connect('@WS@/ssh', (s) => {});
}''', '--ws-debug', DEAD=t.closed_port())
    in_order(texts(run, 1), '<- HTTP/1.1 403 Forbidden', '<- X-Why: because', '<- body, 8 bytes: no\\nentry',
             '-- handshake failed: the server answered with status 403 (error_code 1403)', '-- connection closed')
    got = texts(run, 2)
    equal(got[0], '-- connecting to ws://***@127.0.0.1:%d/' % t.kept[0].getsockname()[1])
    check('connection refused (error_code 1212)' in got[1], 'failure: %r', got)
    check('s3cret' not in run.stderr, 'a secret is in the log')
    in_order(texts(run, 3), '<- no HTTP response, 13 bytes: SSH-2.0-x\\r\\n\\r\\n')
    equal(len(server.conns), 2)


def test_tls(t):
    t.tls_server()
    run = t.run("export default function () { ws.connect('@WS@/echo', (s) => s.close()); }", '--ws-debug',
                '--insecure-skip-tls-verify')
    check(any(re.match(r'-- TLSv1\.[23], \S+, ALPN \S+, certificate /', line) for line in texts(run)),
          'no TLS line in:\n%s', '\n'.join(texts(run)))


def test_http2(t):
    """RFC 8441: the fields of the extended CONNECT and of its answer, as lines."""
    server = t.server(http2=http2.ALLOW)
    run = t.run('''
export default function () {
  ws.connect('@WS@/chat', { http2: true, headers: { Authorization: 's3cret' } }, (s) => {
    s.on('open', () => s.send('x'));
    s.on('message', () => s.close());
  });
}''', '--ws-debug')
    in_order(texts(run), '-- connected to 127.0.0.1 port %d' % server.port, '-> :method: CONNECT',
             '-> :protocol: websocket', '-> :path: /chat', '-> authorization: ***', '<- :status: 200',
             '-> TEXT FIN 1 bytes: x', '<- TEXT FIN 1 bytes: x')
    check(not [line for line in texts(run) if 'HTTP/1.1' in line], 'HTTP/1.1 in:\n%s', '\n'.join(texts(run)))
    check('s3cret' not in run.stderr, 'a secret is in the log')


def test_progress_stays_whole(t):
    """Lines of the log come between redrawings, never into one."""
    import os
    import pty
    import subprocess
    t.server()
    path = t.write('tty.js', '''
import ws from 'k6/ws';
export const options = { vus: 4, duration: '1s' };
export default function () {
  ws.connect('%s/', (s) => {
    s.on('open', () => s.setInterval(() => s.send('tick'), 5));
    s.setTimeout(() => s.close(), 300);
  });
}''' % t.servers[0].ws)
    master, slave = pty.openpty()
    child = subprocess.Popen([t.squall, 'run', '--ws-debug', path], stdin=subprocess.DEVNULL,
                             stdout=slave, stderr=slave, env=dict(os.environ, TERM='xterm', HOME=t.folder))
    t.children.append(child)
    os.close(slave)
    out = b''
    while True:
        try:
            got = os.read(master, 65536)
        except OSError:
            break
        if not got:
            break
        out += got
    os.close(master)
    equal(child.wait(), 0)
    shown = re.sub(r'\x1b\[[0-9;]*m', '', out.decode())
    shown = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '\n', shown).replace('\r', '')
    log = [line for line in shown.split('\n') if ' socket 1 +' in line]
    check(len(log) > 50, 'only %d lines', len(log))
    for line in log:
        check(re.match(r'INFO\[\d{4}\] vu \d+ iter \d+ socket \d+ \+[\d.]+ms (->|<-|--) .*source=ws-debug$', line),
              'a torn line: %r', line)
