# SPDX-License-Identifier: Apache-2.0
"""WebSocket over HTTP/2 (RFC 8441): Node's http2 with the npm package ws, haproxy, nghttpx, and servers that cannot."""
import json
import os

from case import check, equal, read
from servers.tls import make_certificate
from session import Helper, carry
from test_proxies import HAPROXY, echo_with_fragments, microsocks, nginx, tinyproxy

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'node_http2_server.js')
HTTP2 = '{ http2: true }'
DEFLATE = "{ http2: true, compression: 'deflate' }"


def serve(t, deflate=False, tls=False):
    """The server and the base of its URLs."""
    server = Helper(t, 'node', SERVER, json.dumps(deflate), *(make_certificate(t.folder) if tls else ()))
    return server, '%s://127.0.0.1:%d' % ('wss' if tls else 'ws', server.port)


def finished(server):
    equal(server.wait('close'), 1000)
    equal(server.said('error') + server.said('streamError') + server.said('sessionError'), [])
    equal(server.wait('rst'), 0)
    equal(server.wait('goaway'), 0)
    check('between' in server.said('pong'), 'the ping between fragments was not answered: %r', server.said('pong'))


def test_node_clear_text(t):
    server, base = serve(t)
    run = carry(t, base + '/echo', params=HTTP2, status=200)
    finished(server)
    request = server.said('request')[0]
    equal({k: request[k] for k in request if k.startswith(':')},
          {':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/echo',
           ':authority': base[5:]})
    equal(sorted(k for k in request if not k.startswith(':')), ['sec-websocket-version', 'user-agent'])
    equal({s.tags.get('status') for s in run.session_samples}, {'200'})
    for metric in ('ws_connecting', 'ws_sessions', 'ws_session_duration', 'ws_ping'):
        equal(len(run.of(metric)), 1, metric)


def test_node_tls(t):
    server, base = serve(t, tls=True)
    carry(t, base + '/echo', params=HTTP2, skip_verify=True, status=200)
    finished(server)
    equal(server.said('alpn'), ['h2'])
    equal(server.said('request')[0][':scheme'], 'https')


def test_node_deflate(t):
    for flags in ([], ['--profile', 'standard']):
        server, base = serve(t, {'threshold': 0})
        run = carry(t, base + '/echo', *flags, params=DEFLATE, status=200)
        finished(server)
        check('permessage-deflate' in server.said('extensions')[0], 'not negotiated')
        check(run.count('data_sent') < 150000, 'sent %d bytes', run.count('data_sent'))


def test_node_headers(t):
    server, base = serve(t)
    run = t.run('''
import http from 'k6/http';
export default function () {
  const jar = new http.CookieJar();
  jar.set('@HTTP@', 'lang', 'en');
  const headers = { 'Sec-WebSocket-Protocol': 'other, chosen', 'X-Token': 'AbC', Origin: 'http://a.test', Host: 'v.test:1',
                    TE: 'trailers', 'Keep-Alive': '5' };
  ret(ws.connect('@URL@/echo?a=%20b', { http2: true, jar, headers }, (s) => s.on('open', () => s.close(1000))));
  for (const name of ['Upgrade', 'Connection', 'Sec-WebSocket-Key'])
    ev('forbidden', ws.connect('@URL@/echo', { http2: true, headers: { [name]: 'x' } }, () => {}).error);
}''', URL=base, HTTP=base.replace('ws:', 'http:'))
    # The path is another one: refused, and the request is on record all the same.
    equal(run.one('ret')['status'], 404)
    request = server.said('request')[0]
    equal((request['x-token'], request['origin'], request['cookie'], request[':authority'], request[':path'],
           request['sec-websocket-protocol']),
          ('AbC', 'http://a.test', 'lang=en', 'v.test:1', '/echo?a=%20b', 'other, chosen'))
    equal([k for k in ('te', 'keep-alive', 'host', 'connection', 'upgrade', 'sec-websocket-key') if k in request], [])
    equal(run.values('forbidden'), ['websocket: duplicate header not allowed: ' + name for name in (
        'Upgrade', 'Connection', 'Sec-Websocket-Key')])
    equal(len(server.said('request')), 1)


def test_node_subprotocol_and_refusal(t):
    server, base = serve(t)
    run = t.run('''
export default function () {
  ret(ws.connect('@URL@/echo', { http2: true, headers: { 'Sec-WebSocket-Protocol': 'chosen' } },
                 (s) => s.on('open', () => s.close(1000))));
  ret(ws.connect('@URL@/nix', { http2: true }, () => {}));
}''', URL=base)
    opened, refused = run.rets
    equal((opened['status'], opened['headers']['Sec-Websocket-Protocol']), (200, 'chosen'))
    equal((refused['status'], refused['body'], refused['headers']['Content-Type'], refused['error']),
          (404, 'no such place', 'text/plain', 'websocket: bad handshake'))
    check(run.of('ws_sessions', status='404') and run.of('ws_sessions', subproto='chosen'), 'tags')
    check(run.logged('warning', 'answered with status 404'), 'no reason in the log')


def test_node_ends(t):
    """END_STREAM is a FIN, RST_STREAM a reset."""
    _, base = serve(t)
    run = t.run('''
export default function () {
  for (const wish of ['end please', 'reset please'])
    ws.connect('@URL@/echo', { http2: true }, (s) => {
      s.on('open', () => s.send(wish));
      s.on('error', (e) => ev('error', e.error()));
      s.on('close', (c) => ev('close', c));
    });
}''', URL=base)
    equal(run.values('close'), [1006, 1001])
    errors = run.values('error')
    equal(errors[0], 'websocket: close 1006 (abnormal closure): unexpected EOF')
    check('reset the stream (INTERNAL_ERROR)' in errors[1], '%r', errors)


WEBSOCKETS = '''import { WebSocket } from 'k6/websockets';
const ev = (...a) => console.log('EV ' + JSON.stringify(a));
export default function () {
  const big = 'x'.repeat(3000000);
  for (const name of ['a', 'b']) {
    const ws = new WebSocket('@URL@/echo', 'chosen', { http2: true, tags: { name } });
    ws.onopen = () => { ev(name, ws.protocol); ws.send(big); ev('buffered', ws.bufferedAmount); };
    ws.onmessage = (e) => { ev('same', e.data === big, ws.bufferedAmount); ws.close(1000, 'bye'); };
    ws.onerror = (e) => ev('error', e.error);
    ws.onclose = (e) => ev('close', e.code, e.wasClean);
  }
}'''


def test_node_websockets(t):
    server, base = serve(t)
    for flags in ((), ('--profile', 'standard')):
        run = t.run(WEBSOCKETS, *flags, URL=base, prelude=False)
        equal(sorted(run.ev('a', 'b')), [['a', 'chosen'], ['b', 'chosen']])
        equal(run.values('buffered'), [3000000] * 2)
        equal(run.ev('same'), [['same', True, 0]] * 2)
        equal(run.ev('close'), [['close', 1000, True]] * 2)
        equal(run.ev('error'), [])
        equal(len(run.of('ws_sessions', status='200', subproto='chosen')), 2)
    equal([m for m in server.said('message') if m != 3000000], [])


def test_option(t):
    """The option is for the whole test; a script's params are stronger; who asks for nothing gets HTTP/1."""
    _, base = serve(t, tls=True)
    script = '''
export const options = { insecureSkipTLSVerify: true };
export default function () {
  const url = '@URL@/echo';
  const none = [undefined, null, { http2: undefined }, { http2: null }, {}];
  ev('status', none.map((params) => ws.connect(url, params, (s) => s.on('open', () => s.close())).status),
     ...[true, false].map((http2) => ws.connect(url, { http2 }, (s) => s.on('open', () => s.close())).status));
}'''
    t.write('config.json', '{ "wsHTTP2": true }')
    for flags, env in (('--ws-http2',), {}), ((), {'SQUALL_WS_HTTP2': 'true'}), (('-c', 'config.json'), {}):
        run = t.run(script, *flags, env=env, URL=base)
        equal(run.ev('status'), [['status', [200] * 5, 200, 101]])
    equal(t.run(script, URL=base).ev('status'), [['status', [101] * 5, 200, 101]])


def test_fallback_to_http1(t):
    """By ALPN the server chooses http/1.1: the handshake is that of RFC 6455."""
    backend, port = nginx(t)
    carry(t, 'wss://127.0.0.1:%d/echo' % port, params=HTTP2, skip_verify=True)
    equal(len(backend.requests()), 1)


def test_nginx_with_http2(t):
    """It speaks HTTP/2 without RFC 8441: an error that says so, at once."""
    _, port = nginx(t, http2=True)
    run = t.run('''
export const options = { insecureSkipTLSVerify: true };
export default function () {
  ret(ws.connect('wss://127.0.0.1:@TLS@/echo', { http2: true }, (s) => s.close()));
  ret(ws.connect('wss://127.0.0.1:@TLS@/echo', (s) => s.on('open', () => s.close())));
}''', TLS=port)
    over2, over1 = run.rets
    equal((over2['status'], over1['status']), (0, 101))
    check('takes no WebSocket over HTTP/2' in over2['error'], 'error: %r', over2['error'])


def test_http1_server_in_clear_text(t):
    """Prior knowledge that was wrong."""
    for answer, text in ((b'HTTP/1.1 400 Bad Request\r\n\r\n', 'answered in HTTP/1'), (b'', 'unexpected EOF')):
        def refuse(conn, answer=answer):
            conn.send(answer)
            conn.finish()
        run = t.run('''
export default function () { ret(ws.connect('@URL@', { http2: true }, (s) => s.close())); }''', URL=t.server(refuse).ws)
        equal(run.one('ret')['status'], 0)
        check(text in run.one('ret')['error'], 'error: %r', run.one('ret')['error'])


def with_tls(t, line):
    """A bind line of haproxy with TLS."""
    cert, key = make_certificate(t.folder)
    t.write('both.pem', read(cert) + read(key))
    return line % t.path('both.pem')


def haproxy(t, options):
    backend = t.server(echo_with_fragments)
    port = t.free_port()
    text = HAPROXY.replace('127.0.0.1:@PORT@', '127.0.0.1:@PORT@ ' + options)
    for name, value in (('PORT', port), ('BACKEND', backend.port)):
        text = text.replace('@%s@' % name, str(value))
    t.wait_port(port, t.spawn(['/usr/sbin/haproxy', '-db', '-f', t.write('haproxy.cfg', text)]))
    return backend, port


def test_haproxy(t):
    """HTTP/2 in front, HTTP/1 behind."""
    for scheme, options in ('ws', 'proto h2'), ('wss', with_tls(t, 'ssl crt %s alpn h2,http/1.1')):
        backend, port = haproxy(t, options)
        url = '%s://127.0.0.1:%d' % (scheme, port)
        carry(t, url + '/echo', params=HTTP2, skip_verify=True, status=200)
        equal([(c.target, c.close_codes) for c in backend.conns], [('/echo', [1000])])
        run = t.run('''
export const options = { insecureSkipTLSVerify: true };
export default function () { ret(ws.connect('@URL@/denied', { http2: true }, (s) => s.close())); }''', URL=url)
        equal(run.one('ret')['status'], 403)
        check('403 Forbidden' in run.one('ret')['body'], 'body: %r', run.one('ret'))
        t.servers.remove(backend)


def test_haproxy_loses_its_server(t):
    """The connection behind it is cut: an end, not a hang."""
    backend, port = haproxy(t, 'proto h2')

    def cut(conn):
        conn.accept()
        conn.recv_frame()
        conn.reset()
    backend.behaviour = cut
    run = t.run('''
export default function () {
  ret(ws.connect('ws://127.0.0.1:@FRONT@/echo', { http2: true }, (s) => {
    s.on('open', () => s.send('x'));
    s.on('error', (e) => ev('error', e.error()));
  }));
}''', FRONT=port)
    equal(run.one('ret')['status'], 200)
    equal(len(run.ev('error')), 1)


def nghttpx(t, *front):
    backend = t.server(echo_with_fragments)
    port = t.free_port()
    child = t.spawn(['/usr/sbin/nghttpx', '--conf=/dev/null', '--workers=1', '--errorlog-file=/dev/stderr',
                     '--frontend=127.0.0.1,%d%s' % (port, '' if front else ';no-tls'),
                     '--backend=127.0.0.1,%d' % backend.port, *front])
    t.wait_port(port, child)
    return backend, port


def test_nghttpx(t):
    backend, port = nghttpx(t)
    carry(t, 'ws://127.0.0.1:%d/echo' % port, params=HTTP2, status=200)
    equal([(c.target, c.close_codes) for c in backend.conns], [('/echo', [1000])])


def test_nghttpx_tls(t):
    cert, key = make_certificate(t.folder)
    backend, port = nghttpx(t, key, cert)
    carry(t, 'wss://127.0.0.1:%d/echo' % port, params=HTTP2, skip_verify=True, status=200)
    equal(len(backend.requests()), 1)


def test_through_proxies(t):
    server, base = serve(t, tls=True)
    port, child = tinyproxy(t)
    socks, _ = microsocks(t)
    url = base.replace('127.0.0.1', '0.0.0.0') + '/echo'
    for proxy in ('http://127.0.0.1:%d' % port, 'socks5://127.0.0.1:%d' % socks):
        carry(t, url, params=HTTP2, env={'HTTPS_PROXY': proxy}, skip_verify=True, status=200)
    check('CONNECT 0.0.0.0:%d' % server.port in read(child.log_path), 'tinyproxy saw: %s', read(child.log_path))
    equal(server.said('alpn'), ['h2', 'h2'])
