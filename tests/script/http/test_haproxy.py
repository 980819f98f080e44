# SPDX-License-Identifier: Apache-2.0
"""k6/http through haproxy, in front of Node.js: HTTP/2 outside and 1.1 inside, its time limits and its refusals."""
from case import check, equal
from real import Node, haproxy
from test_requests import run

SKIP = '--insecure-skip-tls-verify'


def test_http2_in_front_of_node(t):
    node = Node(t)
    p = haproxy(t, '''
frontend in
    bind 127.0.0.1:@A@ ssl crt @DIR@/both.pem alpn h2,http/1.1
    bind 127.0.0.1:@B@
    http-response set-header X-Front %%[fc_http_major]
    default_backend node
backend node
    http-reuse always
    cookie SRV insert indirect nocache
    server one 127.0.0.1:%d cookie one
''' % node.port)
    r = run(t, '''
  for (const base of ['https://127.0.0.1:@A@', 'http://127.0.0.1:@B@']) {
    const a = http.post(base + '/echo', 'x'.repeat(300000)), b = http.get(base + '/echo');
    ev('r', a.proto, a.headers['X-Front'], a.json('version'), a.json('body').length, b.json('headers').cookie || '');
    ev('big', http.get(base + '/bytes/3000000').body.length, http.get(base + '/chunks').body.length, http.get(base + '/br').body.length);
  }
  const all = http.batch(Array.from({ length: 12 }, (_, i) => 'https://127.0.0.1:@A@/phases/100/' + i));
  ev('batch', all.every((r) => r.status === 200 && r.body === 'firstother'));
  ev('jar', http.cookieJar().cookiesForURL('http://127.0.0.1:@B@/'));
''', SKIP, HTTP='', **p)
    # The balancer's own cookie goes in by the jar and is taken out on the way.
    equal([e[1:] for e in r.ev('r')], [['HTTP/2.0', '2', '1.1', 300000, ''], ['HTTP/1.1', '1', '1.1', 300000, '']])
    equal([e[1:] for e in r.ev('big')], [[3000000, 4950, 8000]] * 2)
    equal(r.one('batch'), True)
    equal(r.one('jar'), {'SRV': ['one']})


def test_refusals(t):
    """What the proxy says itself: nobody behind it, a server too slow, a request it does not want."""
    node = Node(t)
    p = haproxy(t, '''
frontend in
    bind 127.0.0.1:@A@
    http-request deny deny_status 429 if { path /much }
    http-request return status 200 content-type text/plain string "of haproxy" if { path /own }
    http-request reject if { path /reject }
    http-request redirect location /own code 303 if { path /away }
    use_backend down if { path /down }
    default_backend node
backend node
    timeout server 300ms
    server one 127.0.0.1:%d
backend down
    retries 0
    timeout connect 200ms
    server none 127.0.0.1:%d
''' % (node.port, t.closed_port()))
    r = run(t, '''
  for (const path of ['/much', '/own', '/down', '/phases/5000/0', '/away', '/reject']) {
    const r = http.get(u + path, { timeout: '8s' });
    ev('r', path, r.status, r.error_code, r.status_text);
  }
  const cut = http.get(u + '/phases/0/5000', { timeout: '8s' });
  ev('cut', cut.status, cut.error_code, cut.error, cut.body);
''', HTTP='http://127.0.0.1:%d' % p['A'])
    equal([e[1:] for e in r.ev('r')], [
        ['/much', 429, 1429, '429 Too Many Requests'], ['/own', 200, 0, '200 OK'],
        ['/down', 503, 1503, '503 Service Unavailable'], ['/phases/5000/0', 504, 1504, '504 Gateway Time-out'],
        ['/away', 200, 0, '200 OK'], ['/reject', 0, 1000, '']])
    equal(r.ev('cut')[0][1:], [0, 1000, 'unexpected EOF', None])
    failed = [s.value for s in r.of('http_req_failed')]
    check(failed == [1, 0, 1, 1, 0, 0, 1, 1], 'http_req_failed: %r', failed)


def test_connections_are_kept_and_balanced(t):
    """Every request of a VU on one connection to the proxy, which deals them to two servers in turn."""
    one, two = Node(t), Node(t)
    p = haproxy(t, '''
frontend in
    bind 127.0.0.1:@A@
    http-response set-header X-Connection %%[src_port]
    default_backend both
backend both
    balance roundrobin
    http-response set-header X-Server %%s
    server one 127.0.0.1:%d
    server two 127.0.0.1:%d
''' % (one.port, two.port))
    r = run(t, '''
  const all = [1, 2, 3, 4].map(() => http.get(u + '/echo').headers);
  ev('r', all.map((h) => h['X-Server']), new Set(all.map((h) => h['X-Connection'])).size);
''', HTTP='http://127.0.0.1:%d' % p['A'])
    servers, connections = r.ev('r')[0][1:]
    equal((servers[0] != servers[1], servers[:2] == servers[2:], connections), (True, True, 1))
