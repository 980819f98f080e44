# SPDX-License-Identifier: Apache-2.0
"""k6/ws: the request, its params, the response and refusals (T12-T35)."""
import base64
import time

from case import between, check, equal, go_error
from servers.rawws import BINARY, PMD_BOTH, TEXT, echo, echo_deflate, inflate, quiet, refusing


def connects(t, params_list, options='', flags=()):
    """One run; a connect with each of the params expressions, closed at once."""
    return t.run('''
%s
export default function () {
  for (const p of [%s])
    ret(ws.connect('@WS@/echo', p, (s) => s.close()));
}''' % (options, ', '.join(params_list)), *flags)


def lines(conn):
    return conn.head.decode('latin-1').split('\r\n')[1:-2]


def test_T12_header_values(t):
    server = t.server()
    connects(t, ["{headers: {'x-my-hdr': 'v', 'x-num': 5, 'x-null': null, 'x-undef': undefined, 'x-arr': [1, 2], "
                 "'x-obj': {}, 'x-utf': '\\u00e9'}}"])
    got = lines(server.conns[0])
    for line in ('X-My-Hdr: v', 'X-Num: 5', 'X-Null: null', 'X-Undef: undefined', 'X-Arr: 1,2',
                 'X-Obj: [object Object]', 'X-Utf: \xc3\xa9'):
        check(line in got, 'no line %r in %r', line, got)


def test_T13_last_writer_wins(t):
    server = t.server()
    connects(t, ["{headers: {'X-A': '1', 'x-a': '2'}}"])
    equal([line for line in lines(server.conns[0]) if line.lower().startswith('x-a:')], ['X-A: 2'])


def test_T14_header_injection(t):
    server = t.server()
    connects(t, ["{headers: {'x-nl': 'a\\r\\nEvil: 1', 'bad name': 'z', 'content-length': '7', 'x-pad': '  p  '}}"])
    got = lines(server.conns[0])
    check('X-Nl: a  Evil: 1' in got, 'X-Nl missing: %r', got)
    check('X-Pad: p' in got, 'X-Pad missing: %r', got)
    for bad in ('evil', 'bad name', 'content-length'):
        check(not [line for line in got if line.lower().startswith(bad)], '%s was sent: %r', bad, got)


def test_T15_host(t):
    server = t.server()
    run = connects(t, ["{headers: {host: 'example.org:1'}}", "{headers: {Host: ''}}"])
    equal([r['status'] for r in run.rets], [101, 101])
    equal(server.conns[0].header('host'), 'example.org:1')
    equal(server.conns[1].header('host'), '127.0.0.1:%d' % server.port)


def test_T16_refused_headers(t):
    server = t.server()
    names = ('upgrade', 'Connection', 'sec-websocket-key', 'Sec-WebSocket-Version', 'sec-websocket-extensions')
    run = connects(t, ["{headers: {'%s': 'x'}}" % name for name in names])
    for name, r in zip(names, run.rets):
        equal((r['status'], r['url']), (0, ''), name)
        check(name.lower() in r['error'].lower(), 'error does not name %s: %r', name, r['error'])
    equal(len(run.rets), len(names))
    equal(sum(c.bytes_in for c in server.conns), 0, 'bytes that reached the server')
    equal(run.count('ws_sessions'), len(names))
    for s in run.session_samples:
        check('status' not in s.tags and 'subproto' not in s.tags, 'tags of a failure: %r', s)
    run = connects(t, ["{headers: {upgrade: 'x'}}"], 'export const options = { throw: true };')
    equal(run.rets, [])
    check(run.logged('error'), 'with throw nothing was thrown')


def test_T17_user_agent(t):
    server = t.server()
    connects(t, ["{headers: {'user-agent': 'UA'}}", "{headers: {'user-agent': ''}}", '{}'])
    connects(t, ['{}'], "export const options = { userAgent: 'zz' };")
    equal([c.header('user-agent') for c in server.conns[:2]], ['UA', None])
    check((server.conns[2].header('user-agent') or '').startswith('squall/'), 'default: %r',
          server.conns[2].header('user-agent'))
    equal(server.conns[3].header('user-agent'), 'zz')


def subprotocol(value):
    def behave(conn):
        conn.accept(protocol=value)
        conn.drain(echo=True)
    return behave


def test_T18_subprotocol(t):
    server = t.server(subprotocol('bar'))
    run = connects(t, ["{headers: {'Sec-WebSocket-Protocol': 'foo, bar'}}",
                       "{headers: {'sec-websocket-protocol': ['foo', 'bar']}}"])
    equal([c.header('sec-websocket-protocol') for c in server.conns], ['foo, bar', 'foo,bar'])
    check('Sec-WebSocket-Protocol: foo, bar' in lines(server.conns[0]), 'spelling: %r', lines(server.conns[0]))
    equal([r['status'] for r in run.rets], [101, 101])
    equal({s.tags.get('subproto') for s in run.session_samples}, {'bar'})


def test_T19_unasked_subprotocol(t):
    server = t.server(subprotocol('zzz'))
    run = connects(t, ['{}'])
    r = run.one('ret')
    equal((r['status'], r['url'], r['body']), (101, '', ''))
    check(r['error'], 'error is empty')
    equal({s.tags.get('status') for s in run.session_samples}, {'101'})
    equal(server.conns[0].frames, [])
    run = connects(t, ['{}'], flags=['--lenient'])
    equal([run.one('ret')[k] for k in ('status', 'url', 'error')], [101, server.ws + '/echo', ''])
    equal({s.tags.get('subproto') for s in run.session_samples}, {'zzz'})


def test_T20_default_request(t):
    server = t.server()
    connects(t, ['{}', '{}'])
    keys = []
    for conn in server.conns:
        equal(conn.head.split(b'\r\n')[0], b'GET /echo HTTP/1.1')
        names = [name.lower() for name, _ in conn.headers]
        equal(len(names), len(set(names)), 'repeated headers')
        check(not [n for n in names if n == 'origin' or n.startswith(('accept', 'sec-fetch'))], 'names: %r', names)
        equal(sorted(names), sorted(['host', 'user-agent', 'connection', 'upgrade', 'sec-websocket-key',
                                     'sec-websocket-version']))
        equal(conn.header('host'), '127.0.0.1:%d' % server.port)
        equal(conn.header('upgrade'), 'websocket')
        equal(conn.header('connection'), 'Upgrade')
        equal(conn.header('sec-websocket-version'), '13')
        check(any(line.startswith('Sec-WebSocket-Key: ') for line in lines(conn)), 'spelling: %r', lines(conn))
        keys.append(conn.header('sec-websocket-key'))
        equal(len(base64.b64decode(keys[-1], validate=True)), 16)
    check(keys[0] != keys[1], 'two connects used one key')


def test_T21_tags(t):
    t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', { tags: { my: 't', n: 5, f: 1.5, b: true, e: '', big: 1e21, z: -0 } }, (s) => {
    s.on('open', () => { s.ping(); s.send('x'); });
    let left = 2;
    s.on('pong', () => { if (!--left) s.close(); });
    s.on('message', () => { if (!--left) s.close(); });
  });
}''')
    equal(sorted(s.metric for s in run.session_samples),
          ['ws_connecting', 'ws_msgs_received', 'ws_msgs_sent', 'ws_ping', 'ws_session_duration', 'ws_sessions'])
    want = {'my': 't', 'n': '5', 'f': '1.5', 'b': 'true', 'e': '', 'big': '1e+21', 'z': '0'}
    for s in run.session_samples:
        equal({k: s.tags.get(k) for k in want}, want, s.metric)
    equal([s.metric for s in run.session_samples][:2], ['ws_sessions', 'ws_connecting'])
    equal(run.session_samples[-1].metric, 'ws_session_duration')


def test_T22_bad_tags(t):
    server = t.server()
    calls = ['{a: null}', '{a: undefined}', '{a: {}}', '{a: [1]}', '{a: 10n}', "{a: new String('x')}", '{a: () => 1}']
    run = t.run('''
export default function () {
  for (const tags of [%s])
    ev('err', caught(() => ws.connect('@WS@/echo', { tags }, (s) => s.close())));
}''' % ', '.join(calls))
    equal(len(run.values('err')), len(calls))
    for call, error in zip(calls, run.values('err')):
        go_error(error, call)
    equal(run.session_samples, [])
    equal(len(server.conns), 0, 'connections')


def test_T23_compression_offer(t):
    server = t.server()
    run = connects(t, ["{compression: 'deflate'}", "{compression: ' deflate '}", "{compression: ''}",
                       "{compression: '  '}", '{compression: undefined}', '{compression: null}'])
    equal([r['status'] for r in run.rets], [101] * 6)
    equal([c.header('sec-websocket-extensions') for c in server.conns], [PMD_BOTH] * 2 + [None] * 4)


def test_T24_unknown_compression(t):
    server = t.server()
    run = t.run('''
export default function () {
  for (const compression of ['gzip', 'deflate, gzip', 'DEFLATE'])
    ev('err', caught(() => ws.connect('@WS@/echo', { compression }, (s) => s.close())));
}''')
    equal(len(run.values('err')), 3)
    for error in run.values('err'):
        go_error(error, 'compression')
    equal(run.session_samples, [])
    equal(len(server.conns), 0, 'connections')


def test_T25_compressed_echo(t):
    server = t.server(echo_deflate)
    run = t.run('''
export default function () {
  const want = ['a'.repeat(10000), 'hi', ''];
  let n = 0;
  ret(ws.connect('@WS@/echo', { compression: 'deflate' }, (s) => {
    s.on('open', () => { want.forEach((m) => s.send(m)); s.sendBinary(new Uint8Array([1, 2, 3]).buffer); });
    s.on('message', (m) => ev('same', m === want[n++]));
    s.on('binaryMessage', (b) => { ev('binary', bytes(b)); s.close(); });
    s.on('error', (e) => ev('error', e.error()));
  }));
}''')
    equal(run.values('same'), [True] * 3)
    equal(run.one('binary'), [1, 2, 3])
    equal(run.ev('error'), [])
    messages = server.conns[0].messages
    equal([m.rsv for m in messages], [4] * 4)
    equal([m.opcode for m in messages], [TEXT, TEXT, TEXT, BINARY])
    equal([inflate(m.payload) for m in messages], [b'a' * 10000, b'hi', b'', b'\1\2\3'])
    check(len(messages[0].payload) < 200, 'not compressed: %d bytes', len(messages[0].payload))
    for m in messages:
        equal([f.rsv for f in m.frames[1:]], [0] * (len(m.frames) - 1), 'RSV1 on a continuation')


def test_T26_unasked_compression(t):
    def bare(conn):
        conn.accept(extensions='permessage-deflate')
        conn.drain(echo=True)
    t.server(bare)
    run = t.run('''
export default function () { ret(ws.connect('@WS@/echo', (s) => { ev('called'); listen(s); })); }''')
    r = run.one('ret')
    equal((r['status'], r['url']), (101, ''))
    check(r['error'], 'error is empty')
    equal(run.ev('called', 'open', 'error', 'close'), [])
    run = t.run('''
export const options = { throw: true };
export default function () { ev('err', caught(() => ws.connect('@WS@/echo', () => ev('called')))); }''')
    go_error(run.one('err'), 'with throw')
    equal(run.ev('called'), [])


def test_T27_refused_404(t):
    t.server(refusing(404, 'Not Found', [('X-Two', 'a'), ('X-Two', 'b'), ('x-lower', 'c')], 'no such!'))
    run = t.run('''
export default function () {
  const r = ws.connect('@WS@/nix', (s) => { ev('called'); listen(s); });
  ret(r);
  ev('keys', Object.keys(r));
}''')
    r = run.one('ret')
    equal((r['status'], r['body'], r['url']), (404, 'no such!', ''))
    check(r['error'], 'error is empty')
    equal((r['headers'].get('X-Two'), r['headers'].get('X-Lower'), r['headers'].get('x-lower')), ('a, b', 'c', None))
    equal(run.one('keys'), ['url', 'status', 'headers', 'body', 'error'])
    equal(run.ev('called', 'error', 'close'), [])
    equal([s.metric for s in run.session_samples], ['ws_sessions', 'ws_connecting', 'ws_session_duration'])
    for s in run.session_samples:
        equal((s.tags.get('status'), s.tags.get('subproto')), ('404', ''), s.metric)


def test_T27_refused_with_throw(t):
    t.server(refusing(503, 'Service Unavailable'))
    run = t.run('''
export const options = { throw: true };
export default function () { ev('err', caught(() => ws.connect('@WS@/nix', () => ev('called')))); }''')
    go_error(run.one('err'), 'connect')
    equal(run.one('err')['message'], 'websocket: bad handshake')


def test_T28_long_refusal(t):
    t.server(refusing(500, 'Oops', body='x' * 3000))
    run = connects(t, ['{}'])
    equal((run.one('ret')['status'], run.one('ret')['body']), (500, 'x' * 1024))


def test_T29_redirect(t):
    other = t.server()
    server = t.server(refusing(301, 'Moved Permanently', [('Location', other.ws + '/echo')]))
    run = t.run('''
export default function () { ret(ws.connect('@REDIRECT@/echo', (s) => s.close())); }''', REDIRECT=server.ws)
    equal(run.one('ret')['status'], 301)
    equal(run.one('ret')['headers']['Location'], other.ws + '/echo')
    equal((len(server.conns), len(other.conns)), (1, 0), 'connections')


def test_T30_no_http_answer(t):
    def garbage(conn):
        conn.send(b'\x00\x01\x02 what?\r\n\r\n')
        conn.finish()
    t.server({'/gone': lambda conn: conn.shut(), '/garbage': garbage, '/reset': lambda conn: conn.reset()})
    run = t.run('''
export default function () {
  for (const p of ['/gone', '/garbage', '/reset'])
    ret(ws.connect('@WS@' + p, (s) => { ev('called'); listen(s); }));
}''')
    equal([(r['status'], r['url'], r['headers'], r['body']) for r in run.rets], [(0, '', {}, '')] * 3)
    for r in run.rets:
        check(r['error'], 'error is empty')
    equal(run.ev('called', 'error', 'close'), [])


def test_T30_wrong_accept(t):
    """WS-33, WS-39: a 101 with the wrong key, or without its headers, is no session."""
    t.server({'/key': lambda c: c.accept(accept='AAAAAAAAAAAAAAAAAAAAAAAAAAA='),
              '/upgrade': lambda c: c.accept(upgrade='h2c'), '/connection': lambda c: c.accept(connection='close')})
    run = t.run('''
export default function () {
  for (const p of ['/key', '/upgrade', '/connection'])
    ret(ws.connect('@WS@' + p, (s) => { ev('called'); listen(s); }));
}''')
    equal([(r['status'], r['url']) for r in run.rets], [(101, '')] * 3)
    for r in run.rets:
        check(r['error'], 'error is empty')
    equal(run.ev('called', 'error', 'close'), [])


def test_T31_header_lists(t):
    def behave(conn):
        conn.accept(connection='keep-alive, UPGRADE', upgrade='WebSocket')
        conn.drain()
    t.server(behave)
    run = connects(t, ['{}'])
    equal(run.one('ret')['status'], 101)
    check(run.one('ret')['url'], 'no session')


def test_T31_response_headers(t):
    """WS-44: names canonicalised, repeated headers joined."""
    def behave(conn):
        conn.accept(headers=[('x-many', '1'), ('X-MANY', '2')])
        conn.drain()
    t.server(behave)
    headers = connects(t, ['{}']).one('ret')['headers']
    equal((headers.get('X-Many'), headers.get('Upgrade')), ('1, 2', 'websocket'))
    check('Sec-Websocket-Accept' in headers, 'headers: %r', headers)


def cookie_setter(conn):
    conn.accept(headers=[('Set-Cookie', 'a=1')])
    conn.drain()


def test_T32_cookies_of_an_iteration(t):
    server = t.server({'/set': cookie_setter, '/echo': echo})
    t.run('''
export const options = { iterations: 2 };
export default function () {
  ws.connect('@WS@/set', (s) => s.close());
  ws.connect('@WS@/echo', (s) => s.close());
  ws.connect('@WS@/echo', { headers: { Cookie: 'own=1' } }, (s) => s.close());
}''')
    equal([c.header('cookie') for c in server.conns], [None, 'a=1', 'own=1'] * 2)


def test_T32_cookie_jar(t):
    t.server(cookie_setter)
    run = t.run('''import http from 'k6/http';
export default function () {
  ws.connect('@WS@/set', (s) => s.close());
  ev('cookies', http.cookieJar().cookiesForURL('@HTTP@/'));
}''')
    equal(run.one('cookies'), {'a': ['1']})


def test_T32_cookie_of_a_refusal(t):
    server = t.server(refusing(403, 'Forbidden', [('Set-Cookie', 'r=1')]))
    connects(t, ['{}', '{}'])
    equal([c.header('cookie') for c in server.conns], [None, 'r=1'])


def test_T33_no_cookies_reset(t):
    server = t.server(cookie_setter)
    t.run('''
export const options = { iterations: 2, noCookiesReset: true };
export default function () { ws.connect('@WS@/set', (s) => s.close()); }''')
    equal([c.header('cookie') for c in server.conns], [None, 'a=1'])


def test_T34_own_jar(t):
    def sets_b(conn):
        conn.accept(headers=[('Set-Cookie', 'b=2')])
        conn.drain()
    server = t.server({'/set': cookie_setter, '/b': sets_b, '/echo': quiet})
    run = t.run('''import http from 'k6/http';
export default function () {
  const jar = new http.CookieJar();
  jar.set('@HTTP@/', 'own', 'x');
  ws.connect('@WS@/set', (s) => s.close());
  ws.connect('@WS@/b', { jar }, (s) => s.close());
  ws.connect('@WS@/echo', { jar: null }, (s) => s.close());
  ev('jar', jar.cookiesForURL('@HTTP@/'));
  ev('vu', http.cookieJar().cookiesForURL('@HTTP@/'));
}''')
    equal([c.header('cookie') for c in server.conns], [None, 'own=x', 'a=1'])
    equal(run.one('jar'), {'own': ['x'], 'b': ['2']})
    equal(run.one('vu'), {'a': ['1']})


def test_T35_slow_handshake(t):
    def slow(conn):
        time.sleep(0.3)
        conn.accept()
        conn.drain()
    t.server(slow)
    run = t.run('''
export default function () {
  const t0 = Date.now();
  ws.connect('@WS@/slow', (s) => { ev('ms', Date.now() - t0); s.close(); });
}''')
    between(run.one('ms'), 299, 5000, 'setup callback')
    between(run.of('ws_connecting')[0].value, 300, 5000, 'ws_connecting')
    check(run.of('ws_session_duration')[0].value >= run.of('ws_connecting')[0].value, 'session shorter than connect')
