# SPDX-License-Identifier: Apache-2.0
"""k6/http: a request that stalls in each of its phases ends by its time limit, with 1050 and honest timings; what goes
wrong in each phase has its code (MET-38)."""
import socket
import threading
import time

import web
from case import between, check, equal
from servers import tls
from test_requests import run

PHASES = ('blocked', 'connecting', 'tls_handshaking', 'sending', 'waiting', 'receiving')


class Stall:
    """A listener that does `act` with each connection and keeps it open; without `act` it accepts none."""

    def __init__(self, t, act=None):
        self.listener, self.kept, self.act = socket.socket(), [], act
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(16 if act else 0)
        self.port = self.listener.getsockname()[1]
        t.kept += [self.listener]
        if act:
            threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return
            self.kept.append(conn)
            threading.Thread(target=self.answer, args=(conn,), daemon=True).start()

    def answer(self, conn):
        try:
            self.act(conn)
        except OSError:
            pass


def full(t):
    """A port whose queue of connections is full: the kernel drops whoever comes next."""
    stall = Stall(t)
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(('127.0.0.1', stall.port))
        t.kept.append(s)
    time.sleep(0.05)
    return stall.port


def head(conn):
    data = b''
    while b'\r\n\r\n' not in data:
        got = conn.recv(65536)
        if not got:
            break
        data += got
    return data


def begin(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive5')


def half_a_head(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nContent-')


def test_time_limits(t):
    """The phase that stalls has the time; those behind it have none."""
    cases = {
        'connect': ('http://127.0.0.1:%d' % full(t), ''),
        'tls': ('https://127.0.0.1:%d' % Stall(t, lambda c: None).port, ''),
        'send': ('http://127.0.0.1:%d' % Stall(t, lambda c: None).port, "'x'.repeat(30000000)"),
        'wait': ('http://127.0.0.1:%d' % Stall(t, head).port, ''),
        'head': ('http://127.0.0.1:%d' % Stall(t, half_a_head).port, ''),
        'receive': ('http://127.0.0.1:%d' % Stall(t, begin).port, ''),
    }
    body = ''
    for name, (url, data) in cases.items():
        body += '''
  { const at = Date.now(), r = http.post('%s/', %s, { timeout: 300 });
    ev('%s', Date.now() - at, r.status, r.error_code, r.error, r.body, r.timings); }''' % (url, data or 'null', name)
    r = run(t, body, '--insecure-skip-tls-verify', HTTP='')
    spent = {}
    for name in cases:
        _, ms, status, code, error, got, m = r.ev(name)[0]
        between(ms, 295, 2500, name)
        equal((status, code, error, got), (0, 1050, 'request timeout', None), name)
        spent[name] = {p for p in PHASES if m[p] > 100}
        check(abs(m['duration'] - m['sending'] - m['waiting'] - m['receiving']) < 1e-6, '%s: %r', name, m)
    equal(spent, {'connect': set(), 'tls': set(), 'send': {'sending'}, 'wait': {'waiting'}, 'head': {'receiving'},
                  'receive': {'receiving'}})
    equal(r.count('http_reqs'), 6)
    equal([s.value for s in r.of('http_req_failed', error_code='1050')], [1] * 6)


def test_time_limit_over_redirects(t):
    """It is of the whole request, hops included."""
    web.start(t)
    slow = web.start(t)
    r = run(t, '''
  const at = Date.now(), r = http.get(u + '/redirect?302,@SLOW@/slow?5', { timeout: 400 });
  ev('r', r.status, r.error_code, Date.now() - at, r.url);
''', SLOW=slow.base)
    status, code, ms, url = r.ev('r')[0][1:]
    equal((status, code, url), (0, 1050, slow.base + '/slow?5'))
    between(ms, 395, 2500, 'ms')
    equal([s.tags['status'] for s in r.of('http_reqs')], ['302', '0'])


def cut_in_the_head(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Le')
    conn.close()


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
    conn.close()


def reset_in_the_body(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive5')
    reset(conn)


def bad_chunk(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n')


def cut_chunk(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\nabc')
    conn.close()


def until_close(conn):
    head(conn)
    conn.sendall(b'HTTP/1.0 200 OK\r\n\r\nall of it')
    conn.close()


def two_lengths(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde')
    conn.close()


def negative_length(conn):
    head(conn)
    conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc')
    conn.close()


def greeting(conn):
    conn.sendall(b'220 this is a mail server\r\n')


def test_what_goes_wrong(t):
    """Never an invented answer: status 0, a code, words."""
    acts = (cut_in_the_head, reset_in_the_body, bad_chunk, cut_chunk, two_lengths, negative_length, greeting)
    body = ''.join("  show('%s', 'http://127.0.0.1:%d/');\n" % (a.__name__, Stall(t, a).port) for a in acts)
    r = run(t, '''
  const show = (name, url) => { const r = http.get(url, { timeout: 3000 });
    ev('r', name, r.status, r.error_code, r.error !== '', r.body); };
%s
  const c = http.get('http://127.0.0.1:@CLOSE@/');
  ev('close', c.status, c.body, c.proto, c.error);
''' % body, HTTP='', CLOSE=Stall(t, until_close).port)
    codes = {e[1]: e[2:] for e in r.ev('r')}
    for name, (status, code, words, got) in codes.items():
        equal((status, words, got), (0, True, None), name)
        want = (1220,) if name == 'reset_in_the_body' else (1000,)
        check(code in want, '%s: %r', name, code)
    equal(len(codes), len(acts))
    equal(r.ev('close')[0][1:], [200, 'all of it', 'HTTP/1.0', ''])


def test_names_and_addresses(t):
    r = run(t, '''
  for (const url of ['http://no-such-host.invalid/', 'http://127.0.0.1:99999/', 'http://', 'ftp://127.0.0.1/', '//x', 'http://a b/'])
    ev('r', url, http.get(url).error_code);
''', HTTP='', seconds=15)
    equal({e[1]: e[2] for e in r.ev('r') if e[1] != 'http://no-such-host.invalid/'},
          {u: 1020 for u in ('http://127.0.0.1:99999/', 'http://', 'ftp://127.0.0.1/', '//x', 'http://a b/')})
    check(r.ev('r')[0][2] in (1100, 1101), 'a name that does not exist: %r', r.ev('r')[0])


def test_tls_alerts(t):
    """A server that speaks no version of ours, and one that hangs up in the handshake."""
    context = tls.server_context(t.folder)
    context.minimum_version = tls.ssl.TLSVersion.TLSv1_3
    web.start(t, context)

    def hang_up(conn):
        conn.recv(10)
        conn.close()
    r = run(t, '''
  for (const url of [u, 'https://127.0.0.1:@CUT@']) { const r = http.get(url + '/'); ev('r', r.status, r.error_code, r.error !== ''); }
''', '--insecure-skip-tls-verify', head="export const options = { tlsVersion: { min: 'tls1.2', max: 'tls1.2' } };\n",
            CUT=Stall(t, hang_up).port)
    equal(r.ev('r')[0][1:], [0, 1300, True])
    check(r.ev('r')[1][2] in (1300, 1000, 1220), 'hung up: %r', r.ev('r')[1])
