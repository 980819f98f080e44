# SPDX-License-Identifier: Apache-2.0
"""k6/http against nginx: TLS and HTTP/2, client certificates, gzip, redirects, limits."""
import gzip
import os

from case import equal
from real import make_client_certificates, nginx
from test_requests import run

SKIP = '--insecure-skip-tls-verify'


def page(t, name, text):
    os.makedirs(t.path('www'), exist_ok=True)
    t.write('www/' + name, text)


def test_http2_and_tls(t):
    """MOD-69: HTTP/2 when ALPN says so, verified by SSL_CERT_FILE, each version of TLS."""
    page(t, 'a.txt', 'text of nginx')
    p = nginx(t, '''
    server { listen 127.0.0.1:@A@ ssl http2; ssl_protocols TLSv1.3; root @DIR@/www; }
    server { listen 127.0.0.1:@B@ ssl; ssl_protocols TLSv1.2; root @DIR@/www; }
    server { listen 127.0.0.1:@C@; root @DIR@/www; }
''')
    script = '''
  for (const base of ['https://localhost:@A@', 'https://localhost:@B@', 'http://localhost:@C@']) {
    const r = http.get(base + '/a.txt');
    ev('r', r.status, r.body, r.proto, r.tls_version, r.headers['Content-Type'], r.error_code);
  }
'''
    r = run(t, script, env={'SSL_CERT_FILE': t.path('cert.pem')}, HTTP='', **p)
    equal([e[1:] for e in r.ev('r')], [[200, 'text of nginx', 'HTTP/2.0', 'tls1.3', 'text/plain', 0],
                                       [200, 'text of nginx', 'HTTP/1.1', 'tls1.2', 'text/plain', 0],
                                       [200, 'text of nginx', 'HTTP/1.1', '', 'text/plain', 0]])
    equal([(s.tags['proto'], s.tags.get('tls_version')) for s in r.of('http_reqs')],
          [('HTTP/2.0', 'tls1.3'), ('HTTP/1.1', 'tls1.2'), ('HTTP/1.1', None)])
    r = run(t, script, HTTP='', **p)
    equal([e[-1] for e in r.ev('r')], [1310, 1310, 0])


def test_certificate_of_another_name(t):
    p = nginx(t, 'server { listen 127.0.0.1:@A@ ssl http2; }')
    r = run(t, "const r = http.get('https://wrong.test:@A@/'); ev('r', r.error_code, r.error, r.status);",
            head="export const options = { hosts: { 'wrong.test': '127.0.0.1' } };\n",
            env={'SSL_CERT_FILE': t.path('cert.pem')}, HTTP='', **p)
    equal(r.ev('r')[0][1:], [1311, "x509: certificate doesn't match hostname", 0])


def test_tls_versions_and_suites(t):
    """tlsVersion and tlsCipherSuites reach requests."""
    p = nginx(t, '''
    server { listen 127.0.0.1:@A@ ssl; ssl_protocols TLSv1.2 TLSv1.3; location / { return 200 $ssl_protocol/$ssl_cipher; } }
    server { listen 127.0.0.1:@B@ ssl; ssl_protocols TLSv1.3; }
''')
    r = run(t, '''
  ev('r', http.get('https://127.0.0.1:@A@/').body, http.get('https://127.0.0.1:@B@/').error_code);
''', SKIP, head='''export const options = { tlsVersion: http.TLS_1_2, tlsCipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'] };
''', HTTP='', **p)
    equal(r.ev('r')[0][1:], ['TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384', 1300])


def test_client_certificates(t):
    """tlsAuth: for the hosts it names, with and without a password; a server that wants one and gets none says 400."""
    make_client_certificates(t)
    p = nginx(t, '''
    server {
        listen 127.0.0.1:@A@ ssl http2;
        ssl_client_certificate @DIR@/ca.pem;
        ssl_verify_client on;
        location / { return 200 "$ssl_client_s_dn $server_protocol"; }
    }
''')
    for key, more in (('client-key.pem', ''), ('client-locked.pem', ", password: 'open sesame'")):
        r = run(t, '''
  const ann = http.get('https://localhost:@A@/'), other = http.get('https://127.0.0.1:@A@/');
  ev('r', ann.status, ann.body, other.status, other.body.includes('No required SSL certificate'));
''', SKIP, head='''export const options = { tlsAuth: [{ domains: ['localhost'], cert: open('@CERT@'), key: open('@KEY@')%s }] };
''' % more, HTTP='', CERT=t.path('client.pem'), KEY=t.path(key), **p)
        equal(r.ev('r')[0][1:], [200, 'CN=ann HTTP/2.0', 400, True], key)


def test_gzip(t):
    """MOD-70: nothing is asked for unless the script does, and what comes is unpacked."""
    page(t, 'a.txt', 'text of nginx ' * 1000)
    with open(t.path('www/b.txt.gz'), 'wb') as f:
        f.write(gzip.compress(b'packed before'))
    p = nginx(t, '''
    server { listen 127.0.0.1:@A@; root @DIR@/www; gzip on; gzip_types text/plain; location /b.txt { gzip_static always; } }
''')
    r = run(t, '''
  const plain = http.get(u + '/a.txt'), packed = http.get(u + '/a.txt', { headers: { 'Accept-Encoding': 'gzip' } });
  ev('r', plain.headers['Content-Encoding'], packed.headers['Content-Encoding'], plain.body === packed.body, plain.body.length);
  ev('static', http.get(u + '/b.txt').body);
''', HTTP='http://127.0.0.1:%d' % p['A'])
    equal(r.ev('r')[0][1:], [None, 'gzip', True, 14000])
    equal(r.one('static'), 'packed before')


def test_redirects(t):
    """From clear text to TLS and between hosts; nginx names them in full."""
    p = nginx(t, '''
    server { listen 127.0.0.1:@A@; location / { return 301 https://localhost:@B@$request_uri; } }
    server { listen 127.0.0.1:@B@ ssl http2; location / { add_header Set-Cookie "k=v; Secure"; return 200 "$request_method $http_cookie $http_referer"; }
             location /back { return 307 http://localhost:@A@/up; } }
''')
    r = run(t, '''
  const a = http.get('http://localhost:@A@/x?y=1');
  ev('a', a.status, a.url, a.proto, a.body);
  const b = http.post('https://localhost:@B@/back', 'body');
  ev('b', b.status, b.url, b.body);
''', SKIP, HTTP='', **p)
    equal(r.ev('a')[0][1:], [200, 'https://localhost:%d/x?y=1' % p['B'], 'HTTP/2.0',
                             'GET  http://localhost:%d/x?y=1' % p['A']])
    equal(r.ev('b')[0][1:], [200, 'https://localhost:%d/up' % p['B'], 'GET k=v http://localhost:%d/up' % p['A']])
    equal([s.tags['status'] for s in r.of('http_reqs')], ['301', '200', '307', '301', '200'])


def test_limits(t):
    """A server that has enough: of requests on a connection, of a body, of us."""
    page(t, 'a.txt', 'x')
    p = nginx(t, '''
    server { listen 127.0.0.1:@A@; root @DIR@/www; keepalive_requests 2; client_max_body_size 1k;
             location /gone { return 444; } location /n { return 200 "$connection $connection_requests"; }
             location /in { auth_basic "in"; auth_basic_user_file @DIR@/users; try_files /a.txt =404; } }
'''.replace('@DIR@/users', t.write('users', 'ann:{PLAIN}secret\n')))
    r = run(t, '''
  const n = () => http.get(u + '/n').body.split(' ').map(Number);
  const all = [n(), n(), n(), n(), n()];
  ev('n', all.map((x) => x[1]), new Set(all.map((x) => x[0])).size);
  const big = http.post(u + '/a.txt', 'x'.repeat(3000));
  const gone = http.get(u + '/gone');
  ev('r', big.status, big.error_code, gone.status, gone.error_code, gone.error);
  ev('in', http.get(u + '/in').status, http.get(u.replace('//', '//ann:secret@') + '/in').status,
     http.get(u.replace('//', '//ann:wrong@') + '/in').status);
  ev('405', http.post(u + '/a.txt', '').status, http.get(u + '/missing').error_code, http.head(u + '/a.txt').headers['Content-Length']);
''', HTTP='http://127.0.0.1:%d' % p['A'])
    equal(r.ev('n')[0][1:], [[1, 2, 1, 2, 1], 3])
    equal(r.ev('r')[0][1:], [413, 1413, 0, 1000, 'EOF'])
    equal(r.ev('in')[0][1:], [401, 200, 401])
    equal(r.ev('405')[0][1:], [405, 1404, '1'])


def test_ranges_and_conditions(t):
    page(t, 'a.txt', '0123456789')
    p = nginx(t, 'server { listen 127.0.0.1:@A@ ssl http2; root @DIR@/www; }')
    r = run(t, '''
  const part = http.get(u + '/a.txt', { headers: { Range: 'bytes=2-5' } });
  const first = http.get(u + '/a.txt');
  const same = http.get(u + '/a.txt', { headers: { 'If-None-Match': first.headers.Etag } });
  ev('r', part.status, part.body, part.status_text, same.status, same.body, same.status_text);
''', SKIP, HTTP='https://127.0.0.1:%d' % p['A'])
    equal(r.ev('r')[0][1:], [206, '2345', '206 Partial Content', 304, '', '304 Not Modified'])
