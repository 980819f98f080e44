# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 server for the cases of k6/http: port 0, threads, keep-alive; it remembers what it was asked."""
import base64
import gzip
import hashlib
import http.server
import json
import ssl
import threading
import time
import zlib


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 15
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.close_connection = True

    def answer(self, status=200, body=b'', headers=()):
        if isinstance(body, str):
            body = body.encode()
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def serve(self):
        length = int(self.headers.get('Content-Length') or 0)
        self.body = self.rfile.read(length)
        path, _, query = self.path.partition('?')
        if path.startswith('http://'):    # we are the proxy
            path = path.split('/', 3)[3]
        asked = {'method': self.command, 'path': self.path, 'headers': list(self.headers.items()),
                 'body': self.body.decode('latin-1'), 'peer': self.client_address[1]}
        with self.server.lock:
            self.server.asked.append(asked)
            self.server.active += 1
            self.server.active_max = max(self.server.active_max, self.server.active)
        try:
            getattr(self, 'page_' + (path.strip('/').split('/')[0] or 'root'), self.page_missing)(query)
        finally:
            with self.server.lock:
                self.server.active -= 1

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_PURGE = serve

    def page_missing(self, query):
        self.answer(404, 'no such page')

    def page_form(self, query):
        self.answer(200, '''<a name=here>no link</a><a href="echo?first">one</a><a class=x href="/echo?second#part">two</a>
<form action="/echo?kept=1" id=search><input name=q value="a b"><button type=submit name=go value=Go></form>
<form method=POST action="echo" id=login><input name=user><input type=hidden name=csrf value=t0k></form>
<form id=self><input name=z value=1></form>''')

    def page_root(self, query):
        self.answer(200, 'hello', [('X-Two', 'a'), ('x-two', 'b'), ('content-type', 'text/plain')])

    def page_echo(self, query):
        self.answer(200, json.dumps({'method': self.command, 'path': self.path, 'headers': list(self.headers.items()),
                                     'body': self.body.decode('latin-1')}))

    def page_status(self, query):
        self.answer(int(query), 'status')

    def page_slow(self, query):
        time.sleep(float(query or 1))
        self.answer(200, 'late')

    def page_json(self, query):
        self.answer(200, '{"a":{"c":1},"arr":[{"x":7,"n":"p"},{"x":9,"n":"q"}],"d.e":true}')

    def page_badjson(self, query):
        self.answer(200, '{"a": 1,\n "b": nope}')

    def page_gzip(self, query):
        self.answer(200, gzip.compress(b'squeezed' * 100), [('Content-Encoding', 'gzip')])

    def page_deflate(self, query):
        self.answer(200, zlib.compress(b'squeezed' * 100), [('Content-Encoding', 'deflate')])

    def page_badgzip(self, query):
        self.answer(200, b'this is no gzip at all', [('Content-Encoding', 'gzip')])

    def page_bytes(self, query):
        self.answer(200, bytes(range(256)))

    def page_login(self, query):
        self.answer(302, '', [('Set-Cookie', 'session=s1; Path=/; HttpOnly; Max-Age=60'), ('Location', '/echo?in')])

    def page_setcookie(self, query):
        self.answer(200, 'ok', [('Set-Cookie', 'a=b; Path=/; Secure; Expires=Wed, 01 Jan 2070 00:00:00 GMT'),
                                ('Set-Cookie', 'c=d; Path=/')])

    def page_loop(self, query):
        self.answer(302, '', [('Location', '/loop')])

    def page_redirect(self, query):
        status, _, target = query.partition(',')
        self.answer(int(status), '', [('Location', target)])

    def page_cut(self, query):
        self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort')
        self.close_connection = True

    def page_nothing(self, query):
        self.close_connection = True

    def page_garbage(self, query):
        self.wfile.write(b'\x00\x01\x02 this is no HTTP\r\n\r\n')
        self.close_connection = True

    def page_chunked(self, query):
        self.wfile.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
                         b'3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n')

    def page_basic(self, query):
        want = 'Basic ' + base64.b64encode(b'us er:p@ss').decode()
        ok = self.headers.get('Authorization') == want
        self.answer(200 if ok else 401, 'in' if ok else 'out')

    def page_digest(self, query):
        given = self.headers.get('Authorization') or ''
        if not given.startswith('Digest '):
            self.answer(401, 'who?', [('WWW-Authenticate', 'Digest realm="r", nonce="n1", qop="auth"')])
            return
        parts = dict(p.strip().partition('=')[::2] for p in given[7:].split(','))
        parts = {k: v.strip('"') for k, v in parts.items()}
        md5 = lambda s: hashlib.md5(s.encode()).hexdigest()
        want = md5(':'.join((md5('user:r:secret'), 'n1', parts['nc'], parts['cnonce'], 'auth',
                             md5('%s:%s' % (self.command, self.path)))))
        self.answer(200 if parts['response'] == want else 401, 'digested')


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls=None):
        super().__init__(('127.0.0.1', 0), Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.asked, self.active, self.active_max, self.lock = [], 0, 0, threading.Lock()
        self.port = self.server_address[1]
        self.base = '%s://127.0.0.1:%d' % ('https' if tls else 'http', self.port)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        pass    # a client that breaks off, or a refused TLS handshake

    # What Case expects of its servers at the end of a run.
    conns = ()

    def settle(self):
        pass

    def stop(self):
        self.shutdown()
        self.server_close()


def start(t, tls=None):
    server = Server(tls)
    t.servers.append(server)
    server.ws = server.base.replace('http', 'ws')
    server.http = server.base
    return server
