# SPDX-License-Identifier: Apache-2.0
"""k6/http against Node.js: content codings, digest, cookies beside WebSockets, connections, bodies without end, HTTP/2."""
import gzip
import re
import subprocess

from case import between, check, equal, go_error, read
from real import Node
from test_requests import run

SKIP = '--insecure-skip-tls-verify'
TEXT = 'squeezed' * 1000


def pack_zstd(t):
    with open(t.path('body'), 'w', encoding='ascii') as f:
        f.write(TEXT)
    subprocess.run(['zstd', '-q', '-f', t.path('body'), '-o', t.path('body.zst')], check=True)


def test_content_codings(t):
    """MOD-70."""
    pack_zstd(t)
    node = Node(t)
    r = run(t, '''
  const text = 'squeezed'.repeat(1000);
  for (const p of ['gzip', 'deflate', 'br', 'zstd', 'both']) {
    const r = http.get(u + '/' + p);
    ev('r', p, r.status, r.body === text, r.headers['Content-Encoding'] !== undefined);
  }
  ev('types', http.get(u + '/br', { responseType: 'binary' }).body.byteLength, http.get(u + '/br', { responseType: 'none' }).body);
  for (const p of ['gzip', 'deflate', 'br', 'zstd']) ev('bad', p, http.get(u + '/bad/' + p).error_code);
  for (const p of ['gzip', 'br']) ev('cut', p, http.get(u + '/cut/' + p).body);
  ev('unknown', http.get(u + '/bad/rot13').body.length);
''', HTTP=node.url)
    equal([e[1:] for e in r.ev('r')], [[p, 200, True, True] for p in ('gzip', 'deflate', 'br', 'zstd', 'both')])
    equal(r.ev('types')[0][1:], [8000, None])
    equal([e[1:] for e in r.ev('bad')], [[p, 1701] for p in ('gzip', 'deflate', 'br', 'zstd')])
    equal(r.one('unknown'), 35)


def test_compressed_requests(t):
    """MOD-63, each coding unpacked by another program."""
    node = Node(t)
    r = run(t, """
  const text = 'squeeze me '.repeat(500);
  for (const c of ['br', 'zstd', 'gzip, br']) {
    const r = http.post(u + '/echo', text, { compression: c });
    ev('r', c, r.json('headers')['content-encoding'], r.json('body'));
  }
  ev('bad', caught(() => http.post(u + '/echo', text, { compression: 'br,lzma' })));
""", HTTP=node.url)
    text = b'squeeze me ' * 500
    unbr = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(0)))"
    for _, coding, said, body in r.ev('r'):
        equal(said, coding)
        raw = body.encode('latin-1')
        check(len(raw) < 200, '%s: %d bytes', coding, len(raw))
        command = ['zstd', '-dcq'] if coding == 'zstd' else ['node', '-e', unbr]
        raw = subprocess.run(command, input=raw, stdout=subprocess.PIPE, check=True).stdout
        equal(gzip.decompress(raw) if 'gzip' in coding else raw, text, coding)
    equal(len(r.ev('r')), 3)
    go_error(r.one('bad'), 'lzma')


def test_digest(t):
    """MOD-63: MD5 and SHA-256, with and without qop, a nonce that grows old."""
    node = Node(t)
    r = run(t, '''
  const at = (path, who = 'user:se%20cret') => http.get(u.replace('//', '//' + who + '@') + path, { auth: 'digest' });
  for (const alg of ['MD5', 'SHA-256']) for (const qop of ['auth', 'none']) {
    const r = at('/digest/' + alg + '/' + qop + '?a=b');
    ev('r', alg, qop, r.status, r.json('ok'));
  }
  ev('auth-int too', at('/digest/MD5/auth-int,auth').json('qop'));
  for (let i = 0; i < 3; i++) ev('old', at('/digest/MD5/auth/1').status);
  ev('wrong', at('/digest/MD5/auth', 'user:other').status, at('/digest/MD5/auth', 'nobody:se%20cret').status);
  const post = http.post(u.replace('//', '//user:se%20cret@') + '/digest/SHA-256', 'a body', { auth: 'digest' });
  ev('post', post.status, post.json('alg'));
  ev('none', http.get(u + '/digest/MD5', { auth: 'digest' }).status);
''', HTTP=node.url)
    equal([e[1:] for e in r.ev('r')], [[a, q, 200, True] for a in ('MD5', 'SHA-256') for q in ('auth', 'none')])
    equal(r.one('auth-int too'), 'auth')
    equal(r.values('old'), [200] * 3)
    equal(r.ev('wrong')[0][1:], [403, 403])
    equal(r.ev('post')[0][1:], [200, 'SHA-256'])
    equal(r.one('none'), 401)
    # Each round trip has its samples; the challenge is expected.
    got = [(s.tags['status'], s.tags['expected_response'], s.tags.get('error_code')) for s in r.of('http_reqs')]
    equal(got[:4], [('401', 'true', '1401'), ('200', 'true', None)] * 2)
    equal(len(got), 2 * 11 + 1)
    equal(got[-1], ('401', 'false', '1401'))
    check(len([s for s in r.of('http_req_connecting') if s.value > 0]) <= 2, 'connections: %r', r.of('http_req_connecting'))
    for a in ('sending', 'waiting', 'receiving'):
        check(all(0 <= s.value < 5000 for s in r.of('http_req_' + a)), '%s: %r', a, r.of('http_req_' + a))


def test_WS122_cookies_both_ways(t):
    """WS-122, T32: a login's cookie goes into the handshake, the handshake's into the next request."""
    node = Node(t)
    r = run(t, '''
  ev('first', http.get(u + '/cookie/session/s1').body, http.cookieJar().cookiesForURL(u + '/cookie'));
  ws.connect(u.replace('http', 'ws') + '/', (s) => s.on('message', (m) => { ev('handshake', m); s.close(); }));
  ev('after', http.get(u + '/echo').json('headers').cookie);
  http.get(u + '/expire/session');
  ev('gone', http.get(u + '/echo').json('headers').cookie);
  ev('sent', http.get(u + '/cookie/x/y').body);
''', '-i', '2', head="import ws from 'k6/ws';\n", HTTP=node.url)
    equal(r.ev('first'), [['first', '', {'session': ['s1'], 'deep': ['1']}]] * 2)
    equal(r.values('handshake'), ['session=s1'] * 2)
    equal(r.values('after'), ['session=s1; fromws=w'] * 2)
    equal(r.values('gone'), ['fromws=w'] * 2)
    equal([sorted(v.split('; ')) for v in r.values('sent')], [['deep=1', 'fromws=w']] * 2)


def test_WS122_cookies_of_websockets(t):
    """W14: the same with k6/websockets."""
    node = Node(t)
    r = run(t, '''
  http.get(u + '/cookie/session/s1');
  const socket = new WebSocket(u.replace('http', 'ws') + '/');
  socket.onmessage = (e) => { ev('handshake', e.data); socket.close(); };
  socket.onclose = () => ev('after', http.get(u + '/echo').json('headers').cookie);
''', head="import { WebSocket } from 'k6/websockets';\n", HTTP=node.url)
    equal(r.one('handshake'), 'session=s1')
    equal(r.one('after'), 'session=s1; fromws=w')


def test_connections(t):
    """Kept alive and counted by the server; `Connection: close` by either side."""
    node = Node(t)
    r = run(t, '''
  const at = (path, params) => { const r = http.get(u + path, params).json(); return [r.connection, r.served]; };
  ev('r', at('/count'), at('/count'), at('/close'), at('/count'), at('/count', { headers: { Connection: 'close' } }), at('/count'));
  ev('connecting', http.get(u + '/count').timings.connecting);
''', HTTP=node.url)
    equal(r.ev('r')[0][1:], [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [3, 1]])
    equal(r.one('connecting'), 0)
    equal([s.value > 0 for s in r.of('http_req_connecting')], [True, False, False, True, False, True, False])


def test_expect_continue(t):
    node = Node(t)
    r = run(t, '''
  const r = http.post(u + '/echo', 'x'.repeat(100000), { headers: { Expect: '100-continue' } });
  ev('r', r.status, r.json('body').length, r.headers);
  ev('hints', http.get(u + '/hints').body, http.get(u + '/hints').headers['X-Last'], http.get(u + '/hints').headers.Link === undefined);
''', HTTP=node.url)
    equal(node.said('expected'), ['/echo'])
    equal(r.ev('r')[0][1:3], [200, 100000])
    equal(r.ev('hints')[0][1:], ['after', 'yes', True])
    equal(len(r.of('http_reqs')), 4)


def test_chunked(t):
    node = Node(t)
    r = run(t, '''
  const r = http.get(u + '/chunks');
  ev('r', r.body === Array.from({ length: 100 }, (_, i) => String(i % 10).repeat(i)).join(''), r.headers['X-After'] === undefined,
     r.headers['Transfer-Encoding']);
''', HTTP=node.url)
    equal(r.ev('r')[0][1:], [True, True, 'chunked'])


def test_redirects(t):
    """MOD-69: the method and body of each kind, a jar that learns on each hop."""
    node = Node(t)
    r = run(t, '''
  const to = encodeURIComponent('/echo?to');
  for (const status of [301, 302, 303, 307, 308]) {
    const r = http.post(u + '/redirect/' + status + '/' + to, 'body');
    ev('r', status, r.json('method'), r.json('body'), r.url.endsWith('/echo?to'), r.json('headers').cookie.includes('hop' + status));
  }
  ev('head', http.head(u + '/redirect/302/' + to).request.method, http.put(u + '/redirect/302/' + to, 'x').json('method'));
  ev('300', http.get(u + '/redirect/300/' + to).status, http.get(u + '/redirect/304/' + to).status);
  const back = http.get(u + '/redirect/302/' + encodeURIComponent('/redirect/307/' + encodeURIComponent('/redirect/301/' + encodeURIComponent('/echo'))));
  ev('far', back.status, Object.keys(http.cookieJar().cookiesForURL(u)).sort());
''', HTTP=node.url)
    equal([e[1:] for e in r.ev('r')], [[301, 'GET', '', True, True], [302, 'GET', '', True, True], [303, 'GET', '', True, True],
                                       [307, 'POST', 'body', True, True], [308, 'POST', 'body', True, True]])
    equal(r.ev('head')[0][1:], ['HEAD', 'GET'])
    equal(r.ev('300')[0][1:], [300, 304])
    equal(r.ev('far')[0][1:], [200, ['hop300', 'hop301', 'hop302', 'hop303', 'hop304', 'hop307', 'hop308']])


def peak_mb(p):
    return int(re.search(r'VmHWM:\s+(\d+) kB', read('/proc/%d/status' % p.popen.pid))[1]) / 1000


def test_huge_body_is_discarded(t):
    """300 MiB that nobody wants, and 200 MiB out of a few kilobytes, cost no memory."""
    node = Node(t)
    p = t.start('''import http from 'k6/http';
import { sleep } from 'k6';
export default function () {
  const a = http.get('@HTTP@/bytes/' + (300 << 20)), b = http.get('@HTTP@/bomb');
  console.log('EV ' + JSON.stringify(['r', a.status, a.body, b.status, b.body, a.error, b.error]));
  sleep(1);
}''', '--discard-response-bodies', prelude=False, HTTP=node.url)
    p.wait_event('EV ')
    peak = peak_mb(p)
    r = p.wait()
    equal(r.ev('r')[0][1:], [200, None, 200, None, '', ''])
    check(peak < 200, '%d MB at most', peak)
    between(r.count('data_received'), 300 << 20, 320 << 20, 'data_received')


def test_large_body_is_whole(t):
    node = Node(t)
    r = run(t, '''
  const r = http.get(u + '/bytes/20000001', { responseType: 'binary' });
  const b = new Uint8Array(r.body);
  ev('r', b.length, b[0], b[20000000], http.get(u + '/bytes/3000000').body.length);
  ev('up', http.post(u + '/lazy/1', new Uint8Array(20000000).buffer).body);
''', HTTP=node.url)
    equal(r.ev('r')[0][1:], [20000001, 120, 120, 3000000])
    equal(r.one('up'), '20000000')


def test_endless_bodies(t):
    """1050 whether it is a flood or a trickle; the connection is not used again."""
    node = Node(t)
    r = run(t, '''
  for (const p of ['/endless', '/trickle/20']) {
    const r = http.get(u + p, { timeout: 500, responseType: 'none' });
    ev('r', r.status, r.error_code, r.error, r.body, r.timings.receiving > 100);
  }
  ev('next', http.get(u + '/count').json('served'));
''', HTTP=node.url)
    equal([e[1:] for e in r.ev('r')], [[0, 1050, 'request timeout', None, True]] * 2)
    equal(r.one('next'), 1)


def test_heads_without_end(t):
    node = Node(t)
    r = run(t, '''
  const fine = http.get(u + '/manyheaders/200/200');
  ev('fine', fine.status, Object.keys(fine.headers).length, fine.headers.X-H199 === undefined);
  for (const p of ['/manyheaders/20000/1000', '/headline']) {
    const r = http.get(u + p, { timeout: '8s' });
    ev('r', r.status, r.error_code, r.error);
  }
  ev('next', http.get(u + '/count').status);
'''.replace('fine.headers.X-H199', "fine.headers['X-H199']"), HTTP=node.url)
    equal(r.ev('fine')[0][1:], [200, 201, False])
    for _, status, code, error in r.ev('r'):
        equal((status, code), (0, 1000), error)
        check('large' in error, 'error %r', error)
    equal(r.one('next'), 200)


def test_timings(t):
    """Each phase where it belongs; they add up as k6 defines it."""
    node = Node(t, tls=True)
    r = run(t, '''
  for (const base of [u, '@TLS@']) {
    const started = Date.now();
    const r = http.get(base + '/phases/200/300');
    ev('r', r.timings, Date.now() - started, r.proto);
    ev('again', http.get(base + '/phases/0/0').timings);
  }
  ev('up', http.post(u + '/lazy/300', 'x'.repeat(30000000)).timings);
''', SKIP, HTTP=node.url, TLS=node.tls)
    for _, m, whole, proto in r.ev('r'):
        check(m['waiting'] >= 195 and m['receiving'] >= 290 and m['sending'] < 100, '%s: %r', proto, m)
        check(m['blocked'] >= m['connecting'] + m['tls_handshaking'] - 0.01 and m['connecting'] > 0, '%s: %r', proto, m)
        check(m['duration'] + m['blocked'] <= whole + 2, '%s: %r in %d ms', proto, m, whole)
        equal(m['tls_handshaking'] > 0, proto == 'HTTP/2.0', proto)
    for _, m in r.ev('again'):
        equal((m['connecting'], m['tls_handshaking'], m['looking_up']), (0, 0, 0))
    up = r.one('up')
    check(up['sending'] >= 200, 'a body that is read late: %r', up)
    for _, m, *_ in r.ev('r', 'again', 'up'):
        check(abs(m['duration'] - m['sending'] - m['waiting'] - m['receiving']) < 1e-6, 'no sum: %r', m)


def test_http2(t):
    node = Node(t, tls=True)
    r = run(t, '''
  const r = http.get(u + '/echo', { headers: { 'X-Mixed': 'Case', Host: 'other.test' } });
  ev('r', r.proto, r.status_text, r.json('version'), r.json('headers')['x-mixed'], r.json('headers')[':authority'],
     Object.keys(r.headers).every((k) => k[0] === k[0].toUpperCase()), r.tls_version);
  ev('post', http.post(u + '/echo', 'b'.repeat(200000)).json('body').length);
  ev('one', http.get(u + '/count').json('connection'), http.get(u + '/count').json('connection'));
  ev('br', http.get(u + '/br').body.length, http.get(u + '/bytes/5000000').body.length);
  ev('to', http.get(u + '/redirect/302/%2Fecho').json('headers').cookie);
''', SKIP, HTTP=node.tls)
    equal(r.ev('r')[0][1:], ['HTTP/2.0', '200 OK', '2.0', 'Case', 'other.test', True, 'tls1.3'])
    equal(r.one('post'), 200000)
    equal(r.ev('one')[0][1:], [1, 1])
    equal(r.ev('br')[0][1:], [8000, 5000000])
    equal(r.one('to'), 'hop302=1')
    equal({s.tags['proto'] for s in r.of('http_reqs')}, {'HTTP/2.0'})
    equal(len([s for s in r.of('http_req_tls_handshaking') if s.value > 0]), 1)


def test_http2_batch_shares_a_connection(t):
    node = Node(t, tls=True)
    r = run(t, '''
  const all = http.batch(Array.from({ length: 20 }, (_, i) => u + '/count?' + i));
  ev('r', all.map((r) => r.status).join(), [...new Set(all.map((r) => r.json('connection')))].length);
''', SKIP, '--batch-per-host', '20', HTTP=node.tls)
    equal(r.ev('r')[0][1:], [','.join(['200'] * 20), 1])


def test_http2_without_reuse(t):
    node = Node(t, tls=True)
    r = run(t, '''
  const all = http.batch(Array.from({ length: 6 }, (_, i) => u + '/count?' + i)).concat(http.get(u + '/count'));
  ev('r', new Set(all.map((r) => r.json('connection'))).size, all.every((r) => r.json('served') === 1));
''', SKIP, '--no-connection-reuse', HTTP=node.tls)
    equal(r.ev('r')[0][1:], [7, True])


def test_http2_errors(t):
    """MET-38: 1610 and up for a GOAWAY, 1630 and up for a stream, 1650 and up for a connection."""
    node = Node(t, tls=True)
    r = run(t, '''
  const reset = http.get(u + '/reset'), refused = http.get(u + '/refuse'), cut = http.get(u + '/goaway');
  ev('r', reset.status, reset.error_code, refused.error_code, cut.status, cut.error_code);
  ev('next', http.get(u + '/count').status);
''', SKIP, HTTP=node.tls)
    status, reset, refused, cut_status, cut = r.ev('r')[0][1:]
    equal((status, reset, refused, cut_status), (0, 1631 + 2, 1631 + 11, 0))
    check(cut != 0, 'no error code')
    equal(r.one('next'), 200)


def test_reset(t):
    node = Node(t)
    r = run(t, "const r = http.get(u + '/reset'); ev('r', r.status, r.error_code, r.error);", HTTP=node.url)
    equal(r.ev('r')[0][1:], [0, 1220, 'read: connection reset by peer'])
