# SPDX-License-Identifier: Apache-2.0
"""Through nginx (TLS in front), haproxy, tinyproxy (CONNECT) and microsocks (SOCKS5).

A loopback target is never sent through a proxy (WS-31). 0.0.0.0 is no loopback address by its text, and connecting to
it reaches this machine on every Linux, so it is the target behind tinyproxy and microsocks.
"""
from case import check, equal, read
from servers.rawws import CONT, PING, TEXT, encode
from servers.tls import make_certificate
from session import carry


def echo_with_fragments(conn):
    """echo, except that 'fragments please' is answered in three frames with a ping between."""
    conn.accept()
    while True:
        f = conn.recv_frame()
        if f.opcode == PING:
            conn.frame(10, f.payload)
        elif f.opcode == 8:
            conn.frame(8, f.payload)
            conn.finish()
        elif f.opcode in (1, 2, CONT) and f.fin:
            message = conn.messages[-1]
            if message.payload == b'fragments please':
                conn.send(encode(TEXT, 'one ', fin=False) + encode(CONT, 'two ', fin=False) + encode(PING, 'between') +
                          encode(CONT, 'three'))
            else:
                conn.frame(message.opcode, message.payload)


NGINX = '''
daemon off;
master_process off;
pid @DIR@/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path @DIR@/body;
    proxy_temp_path @DIR@/proxy;
    fastcgi_temp_path @DIR@/fastcgi;
    uwsgi_temp_path @DIR@/uwsgi;
    scgi_temp_path @DIR@/scgi;
    server {
        listen 127.0.0.1:@PORT@ ssl@HTTP2@;
        ssl_certificate @DIR@/cert.pem;
        ssl_certificate_key @DIR@/key.pem;
        ssl_protocols @PROTOCOLS@;
        location /echo {
            proxy_pass http://127.0.0.1:@BACKEND@;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $host;
        }
        location / { return 404; }
    }
}
'''


def nginx(t, protocols='TLSv1.2 TLSv1.3', http2=False):
    """Returns the backend and the port of nginx."""
    backend = t.server(echo_with_fragments)
    port = t.free_port()
    make_certificate(t.folder)
    text = NGINX
    for name, value in (('DIR', t.folder), ('PORT', port), ('BACKEND', backend.port), ('PROTOCOLS', protocols),
                        ('HTTP2', ' http2' if http2 else '')):
        text = text.replace('@%s@' % name, str(value))
    t.wait_port(port, t.spawn(['/usr/sbin/nginx', '-e', 'stderr', '-p', t.folder, '-c', t.write('nginx.conf', text)]))
    return backend, port


def test_nginx_tls(t):
    for protocols in ('TLSv1.2', 'TLSv1.3'):
        backend, port = nginx(t, protocols)
        carry(t, 'wss://127.0.0.1:%d/echo' % port, skip_verify=True)
        equal([c.target for c in backend.conns], ['/echo'])
        equal(backend.conns[0].close_codes, [1000])
        t.servers.remove(backend)


def test_nginx_refuses(t):
    backend, port = nginx(t)
    run = t.run('''
export const options = { insecureSkipTLSVerify: true };
export default function () { ret(ws.connect('wss://127.0.0.1:@TLS@/nix', (s) => s.close())); }''', TLS=port)
    r = run.one('ret')
    equal((r['status'], r['headers'].get('Content-Type')), (404, 'text/html'))
    check('404 Not Found' in r['body'] and r['error'], 'response: %r', r)
    equal(len(backend.conns), 0)


def test_nginx_verified(t):
    """The certificate is trusted through SSL_CERT_FILE: names and addresses of it open, another name does not."""
    _, port = nginx(t)
    env = {'SSL_CERT_FILE': t.path('cert.pem')}
    for host in ('localhost', '127.0.0.1'):
        carry(t, 'wss://%s:%d/echo' % (host, port), env=env)
    run = t.run('''
export const options = { hosts: { 'wrong.test': '127.0.0.1' } };
export default function () { ret(ws.connect('wss://wrong.test:@TLS@/echo', (s) => s.close())); }''', TLS=port, env=env)
    equal(run.one('ret')['status'], 0)
    check(run.one('ret')['error'], 'error is empty')


HAPROXY = '''
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    timeout tunnel 15s
frontend in
    bind 127.0.0.1:@PORT@
    http-request deny deny_status 403 if { path /denied }
    default_backend echo
backend echo
    server echo 127.0.0.1:@BACKEND@
'''


def test_haproxy(t):
    backend = t.server(echo_with_fragments)
    port = t.free_port()
    conf = t.write('haproxy.cfg', HAPROXY.replace('@PORT@', str(port)).replace('@BACKEND@', str(backend.port)))
    t.wait_port(port, t.spawn(['/usr/sbin/haproxy', '-db', '-f', conf]))
    carry(t, 'ws://127.0.0.1:%d/echo' % port)
    equal([c.target for c in backend.conns], ['/echo'])
    run = t.run('''
export default function () { ret(ws.connect('ws://127.0.0.1:@FRONT@/denied', (s) => s.close())); }''', FRONT=port)
    equal(run.one('ret')['status'], 403)
    check('403 Forbidden' in run.one('ret')['body'], 'body: %r', run.one('ret'))


def tinyproxy(t, auth=''):
    port = t.free_port()
    conf = t.write('tinyproxy.conf', 'Port %d\nListen 127.0.0.1\nTimeout 20\nAllow 127.0.0.1\nLogLevel Connect\n%s' % (
        port, auth))
    child = t.spawn(['/usr/bin/tinyproxy', '-d', '-c', conf])
    t.wait_port(port, child)
    return port, child


def test_tinyproxy(t):
    backend = t.server(echo_with_fragments)
    port, child = tinyproxy(t)
    carry(t, 'ws://0.0.0.0:%d/echo' % backend.port, env={'HTTP_PROXY': 'http://127.0.0.1:%d' % port})
    check('CONNECT 0.0.0.0:%d' % backend.port in read(child.log_path), 'tinyproxy saw: %s', read(child.log_path))
    equal(len(backend.requests()), 1)


def test_tinyproxy_auth(t):
    backend = t.server(echo_with_fragments)
    port, _ = tinyproxy(t, 'BasicAuth user secret\n')
    url = 'ws://0.0.0.0:%d/echo' % backend.port
    carry(t, url, env={'HTTP_PROXY': 'http://user:secret@127.0.0.1:%d' % port})
    run = t.run('''
export default function () { ret(ws.connect('@URL@', (s) => s.close())); }
''', URL=url, env={'HTTP_PROXY': 'http://user:wrong@127.0.0.1:%d' % port})
    equal(run.one('ret')['status'], 0)
    check(run.one('ret')['error'], 'error is empty')
    equal(len(backend.requests()), 1)


def test_tinyproxy_tls(t):
    backend, tls_port = nginx(t)
    port, _ = tinyproxy(t)
    carry(t, 'wss://0.0.0.0:%d/echo' % tls_port, env={'HTTPS_PROXY': 'http://127.0.0.1:%d' % port}, skip_verify=True)
    equal(len(backend.requests()), 1)


def microsocks(t, *auth):
    port = t.free_port()
    child = t.spawn(['/usr/bin/microsocks', '-i', '127.0.0.1', '-p', str(port), *auth])
    t.wait_port(port, child)
    return port, child


def test_microsocks(t):
    backend = t.server(echo_with_fragments)
    port, child = microsocks(t)
    carry(t, 'ws://0.0.0.0:%d/echo' % backend.port, env={'HTTP_PROXY': 'socks5://127.0.0.1:%d' % port})
    check('0.0.0.0:%d' % backend.port in read(child.log_path), 'microsocks saw: %s', read(child.log_path))


def test_microsocks_auth(t):
    backend = t.server(echo_with_fragments)
    port, _ = microsocks(t, '-u', 'user', '-P', 'secret')
    url = 'ws://0.0.0.0:%d/echo' % backend.port
    carry(t, url, env={'HTTP_PROXY': 'socks5://user:secret@127.0.0.1:%d' % port})
    for credentials in ('user:wrong@', ''):
        run = t.run('''
export default function () { ret(ws.connect('@URL@', (s) => s.close())); }
''', URL=url, env={'HTTP_PROXY': 'socks5://%s127.0.0.1:%d' % (credentials, port)})
        equal(run.one('ret')['status'], 0)
        check(run.one('ret')['error'], 'error is empty')
    equal(len(backend.requests()), 1)
