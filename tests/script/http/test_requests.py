# SPDX-License-Identifier: Apache-2.0
"""k6/http: functions, bodies, params, responses (MD-21 to MD-27)."""
import json

import web
from case import between, check, equal, go_error

PRELUDE = '''import http from 'k6/http';
import { check } from 'k6';
const ev = (...a) => console.log('EV ' + JSON.stringify(a));
const bytes = (b) => Array.from(new Uint8Array(b));
function caught(f) {
  try { f(); return null; } catch (e) {
    return { name: e.name, error: e instanceof Error, type: e instanceof TypeError, message: String(e.message),
             text: String(e) };
  }
}
const u = '@HTTP@';
'''


def run(t, body, *flags, head='', **kw):
    return t.run(PRELUDE + head + 'export default function () {\n%s\n}' % body, *flags, prelude=False, **kw)


def headers(asked):
    return {k: v for k, v in asked['headers']}


def test_MD21_form(t):
    server = web.start(t)
    run(t, "http.post(u + '/echo', { d: 'x y', a: 1, b: [1, 2], c: null, e: 'ä&=', f: true });")
    equal(server.asked[0]['body'], 'a=1&b=1&b=2&c=&d=x+y&e=%C3%A4%26%3D&f=true')
    equal(headers(server.asked[0])['Content-Type'], 'application/x-www-form-urlencoded')


def test_bodies(t):
    server = web.start(t)
    r = run(t, '''
  http.post(u + '/echo', 'plain');
  http.put(u + '/echo', new Uint8Array([1, 2, 255]).buffer);
  http.patch(u + '/echo', new Uint8Array([9, 8, 7]).subarray(1));
  http.post(u + '/echo');
  http.post(u + '/echo', '', { headers: { 'content-type': 'text/x' } });
  http.post(u + '/echo', { nested: { a: 1 } });
  const r = http.post(u + '/echo', 5);
  ev('number', r.status, r.error, r.error_code, r.body instanceof ArrayBuffer && r.body.byteLength);
''')
    bodies = [(a['method'], a['body'], headers(a).get('Content-Type'), headers(a).get('Content-Length'))
              for a in server.asked]
    equal(bodies, [('POST', 'plain', None, '5'), ('PUT', '\x01\x02\xff', None, '3'), ('PATCH', '\x08\x07', None, '2'),
                   ('POST', '', None, '0'), ('POST', '', 'text/x', '0'),
                   ('POST', 'nested=', 'application/x-www-form-urlencoded', '7')])
    equal(r.ev('number')[0][1:], [0, 'unknown request body type number', 1000, 0])
    check(r.logged('warning', 'nested'), 'no warning about the nested object')


def test_multipart(t):
    server = web.start(t)
    run(t, '''
  const f = http.file(new Uint8Array([0, 1, 2]).buffer, 'a"b.bin', 'x/y');
  ev('file', f.filename, f.content_type, bytes(f.data));
  http.post(u + '/echo', { name: 'v', up: f, plain: http.file('text') });
''')
    body, kind = server.asked[0]['body'], headers(server.asked[0])['Content-Type']
    check(kind.startswith('multipart/form-data; boundary='), 'content type %r', kind)
    parts = body.split('--' + kind.split('=')[1])
    equal(parts[0], '')
    equal(parts[-1], '--\r\n')
    equal(parts[1], '\r\nContent-Disposition: form-data; name="name"\r\n\r\nv\r\n')
    equal(parts[2], '\r\nContent-Disposition: form-data; name="up"; filename="a\\"b.bin"\r\nContent-Type: x/y\r\n\r\n'
                    '\x00\x01\x02\r\n')
    check('Content-Type: application/octet-stream\r\n\r\ntext\r\n' in parts[3], 'third part %r', parts[3])


def test_methods_and_wire(t):
    server = web.start(t)
    r = run(t, '''
  ev('r', http.get(u + '/?q=a b#frag').status, http.head(u + '/').body, http.del(u + '/', 'x').status,
     http.options(u + '/').status, http.request('purge', u + '/').status, http.get(u, {}, 1).status);
  const g = http.get(u + '/', { headers: { 'x-one': 1, 'X-TWO': 'zwei', host: 'other.test' } });
  ev('req', g.request.method, g.request.url, g.request.headers);
  ev('res', g.headers, g.status_text, g.proto, g.remote_ip, g.remote_port, g.url, g.error, g.error_code,
     g.tls_version, Object.keys(g.timings), g.timings.duration > 0);
''')
    equal([a['method'] for a in server.asked],
          ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PURGE', 'GET', 'GET'])
    equal(r.ev('r')[0][1:], [200, '', 200, 200, 200, 200])
    check(r.logged('warning', 'http.get'), 'no warning about the third argument of get')
    first = headers(server.asked[0])
    equal(server.asked[0]['path'], '/?q=a%20b')
    equal(sorted(first), ['Host', 'User-Agent'])
    equal(server.asked[2]['body'], 'x')
    last = headers(server.asked[-1])
    equal((last['X-One'], last['X-Two'], last['Host']), ('1', 'zwei', 'other.test'))
    equal(r.ev('req')[0][1:3], ['GET', server.base + '/'])
    equal(r.ev('req')[0][3]['X-One'], ['1'])
    got = r.ev('res')[0][1:]
    equal(got[0], {'X-Two': 'a, b', 'Content-Type': 'text/plain', 'Content-Length': '5'})
    equal(got[1:], ['200 OK', 'HTTP/1.1', '127.0.0.1', server.port, server.base + '/', '', 0, '',
                    ['duration', 'blocked', 'looking_up', 'connecting', 'tls_handshaking', 'sending', 'waiting',
                     'receiving'], True])
    equal(len({a['peer'] for a in server.asked}), 1, 'connections')


def test_MD22_failures(t):
    web.start(t)
    r = run(t, '''
  const show = (r) => ev('r', r.status, r.error_code, r.error, r.body, r.headers);
  show(http.get('http://127.0.0.1:@CLOSED@/'));
  show(http.get(u + '/slow?1', { timeout: 100 }));
  show(http.get(u + '/slow?1', { timeout: '100ms' }));
  const bad = http.get('::bad');
  ev('bad', bad.status, bad.error_code, bad.body.byteLength);
  for (const p of ['cut', 'nothing', 'garbage', 'badgzip']) show(http.get(u + '/' + p));
  ev('timings', http.get(u + '/slow?1', { timeout: 150 }).timings.waiting);
  ev('throw', caught(() => http.get('http://127.0.0.1:@CLOSED@/', { throw: true })));
  ev('throw', caught(() => http.get('::bad', { throw: true })));
  ev('arg', caught(() => http.get(u, { timeout: 'soon' })), caught(() => http.get(u, { responseType: 'x' })),
     caught(() => http.get(u, { tags: { a: {} } })), caught(() => http.post(u, 'x', { compression: 'lzma' })));
''', CLOSED=t.closed_port())
    rows = [x[1:] for x in r.ev('r')]
    equal(rows[0], [0, 1212, 'dial: connection refused', None, {}])
    equal(rows[1][:4], [0, 1050, 'request timeout', None])
    equal(rows[2][:4], [0, 1050, 'request timeout', None])
    equal([x[:2] for x in rows[3:]], [[0, 1000], [0, 1000], [0, 1000], [0, 1701]])
    equal(r.ev('bad')[0][1:], [0, 1020, 0])
    between(r.one('timings'), 100, 250, 'waiting')
    for err in r.values('throw'):
        go_error(err, 'throw')
    check('connection refused' in r.values('throw')[0]['message'], 'message %r', r.values('throw')[0])
    for err in r.ev('arg')[0][1:]:
        go_error(err, 'bad param')
    check(r.logged('warning', 'Request Failed'), 'no warning')
    equal(len(r.of('http_reqs')), 9)


def test_throw_option(t):
    r = run(t, "ev('e', caught(() => http.get('http://127.0.0.1:@CLOSED@/')));\n"
               "ev('n', caught(() => http.get('http://127.0.0.1:@CLOSED@/', { throw: false })));",
            head='export const options = { throw: true };\n', CLOSED=t.closed_port(), HTTP='')
    go_error(r.one('e'))
    equal(r.one('n'), None)


def test_MD23_redirects(t):
    server = web.start(t)
    r = run(t, '''
  const r = http.get(u + '/login');
  ev('r', r.status, r.url, r.json('path'), http.cookieJar().cookiesForURL(u + '/'));
  const z = http.get(u + '/login', { redirects: 0 });
  ev('z', z.status, z.cookies.session[0], z.headers.Location);
  ev('l', http.get(u + '/loop').status, http.get(u + '/loop', { redirects: 2 }).status);
  ev('p', http.post(u + '/redirect?302,/echo?a', 'body').json(), http.post(u + '/redirect?307,echo?b', 'body').json(),
     http.get(u + '/redirect?301,/x/../echo').url, http.get(u + '/redirect?302,mailto:x').error_code);
''')
    equal(r.ev('r')[0][1:], [200, server.base + '/echo?in', '/echo?in', {'session': ['s1']}])
    asked = server.asked
    equal([a['path'] for a in asked[:3]], ['/login', '/echo?in', '/login'])
    equal(headers(asked[0]).get('Cookie'), None)
    equal(headers(asked[1])['Cookie'], 'session=s1')
    equal(headers(asked[1])['Referer'], server.base + '/login')
    equal(r.ev('z')[0][1:], [302, {'name': 'session', 'value': 's1', 'domain': '', 'path': '/', 'http_only': True,
                                   'secure': False, 'max_age': 60, 'expires': 0}, '/echo?in'])
    equal(r.ev('l')[0][1:], [302, 302])
    equal(len([a for a in asked if a['path'] == '/loop']), 11 + 3)
    equal(len(r.logged('warning', 'Stopped after 10 redirects')), 1)
    get, kept, url, code = r.ev('p')[0][1:]
    equal((get['method'], get['body']), ('GET', ''))
    equal((kept['method'], kept['body'], kept['path']), ('POST', 'body', '/echo?b'))
    equal((url, code), (server.base + '/echo', 1000))
    equal(r.count('http_reqs'), len(asked))


def test_redirect_to_another_host_leaves_secrets(t):
    web.start(t)
    other = web.start(t)
    run(t, '''
  http.get(u + '/redirect?302,@OTHER@/echo', { headers: { Authorization: 'Bearer x', Cookie: 'k=1', 'X-Kept': 'y' },
                                               cookies: { c: 'd' } });
''', OTHER=other.base)
    got = headers(other.asked[0])
    equal((got.get('Authorization'), got.get('Cookie'), got.get('X-Kept')), (None, None, 'y'))


def test_MD24_cookies(t):
    server = web.start(t)
    r = run(t, '''
  const jar = http.cookieJar();
  jar.set(u, 'a', 'b');
  jar.set(u, 'rc', '1');
  const r = http.get(u + '/', { cookies: { q: '1', a: { value: 'R', replace: true } } });
  ev('c', r.request.cookies);
  const own = new http.CookieJar();
  own.set(u, 'own', '1');
  http.get(u + '/', { jar: own });
  http.get(u + '/setcookie', { jar: own });
  ev('own', own.cookiesForURL(u), jar.cookiesForURL(u));
''')
    cookie = headers(server.asked[0])['Cookie']
    check(cookie in ('q=1; a=R; rc=1', 'a=R; q=1; rc=1'), 'Cookie: %r', cookie)
    equal(r.one('c')['a'], [{'name': 'a', 'value': 'R', 'replace': True}])
    equal(headers(server.asked[1])['Cookie'], 'own=1')
    own, jar = r.ev('own')[0][1:]
    equal((own['own'], own['c']), (['1'], ['d']))
    equal(jar, {'a': ['b'], 'rc': ['1']})


def test_cookies_of_an_iteration(t):
    server = web.start(t)
    for kept, want in ((False, [None, None]), (True, [None, 'session=s1'])):
        server.asked.clear()
        run(t, "http.get(u + '/'); http.get(u + '/login', { redirects: 0 });", '-i', '2',
            head='export const options = { noCookiesReset: %s };\n' % str(kept).lower())
        equal([headers(a).get('Cookie') for a in server.asked if a['path'] == '/'], want, 'kept: %r' % kept)


def test_MD25_json(t):
    web.start(t)
    r = run(t, '''
  const r = http.get(u + '/json');
  ev('paths', ['a.b', 'a.c', 'arr.0.x', 'arr.#', 'arr.#.x', 'arr.#(x==9).n', 'arr.#(n=="p")#.x', 'arr.2', 'a*.c',
               'd\\\\.e', 'arr.#(x>100)'].map((p) => [p, r.json(p) === undefined ? 'undefined' : r.json(p)]));
  ev('same', r.json() === r.json(), r.json().a.c);
  const none = http.get('http://127.0.0.1:@CLOSED@/');
  ev('null', caught(() => none.json()), caught(() => none.json('a')));
  const bad = http.get(u + '/badjson');
  ev('bad', caught(() => bad.json()), String(bad.json('a')));
  ev('binary', http.get(u + '/json', { responseType: 'binary' }).json('a.c'));
''', CLOSED=t.closed_port())
    equal(dict(r.one('paths')), {'a.b': 'undefined', 'a.c': 1, 'arr.0.x': 7, 'arr.#': 2, 'arr.#.x': [7, 9],
                                 'arr.#(x==9).n': 'q', 'arr.#(n=="p")#.x': [7], 'arr.2': 'undefined', 'a*.c': 1,
                                 'd\\.e': True, 'arr.#(x>100)': 'undefined'})
    equal(r.ev('same')[0][1:], [True, 1])
    for err in r.ev('null')[0][1:]:
        go_error(err, 'json of a null body')
    err, undefined = r.ev('bad')[0][1:]
    go_error(err, 'bad json')
    check('line 2, character 7' in err['message'], 'message %r', err['message'])
    equal(undefined, 'undefined')
    equal(r.one('binary'), 1)


def test_response_types(t):
    web.start(t)
    script = '''
  const r = http.get(u + '/bytes', { responseType: 'binary' });
  ev('b', r.body instanceof ArrayBuffer, bytes(r.body).length, bytes(r.body)[255]);
  ev('n', http.get(u + '/', { responseType: 'none' }).body, http.get(u + '/').body,
     http.get(u + '/', { responseType: 'text' }).body);
  ev('c', http.get(u + '/chunked').body, Object.keys(http.get(u + '/chunked').headers));
'''
    r = run(t, script)
    equal(r.ev('b')[0][1:], [True, 256, 255])
    equal(r.ev('n')[0][1:], [None, 'hello', 'hello'])
    equal(r.ev('c')[0][1:], ['abcde', ['Transfer-Encoding']])
    r = run(t, script, '--discard-response-bodies')
    equal(r.ev('n')[0][1:], [None, None, 'hello'])


def test_content_codings(t):
    server = web.start(t)
    r = run(t, '''
  for (const p of ['gzip', 'deflate']) ev('r', http.get(u + '/' + p).body === 'squeezed'.repeat(100));
  http.get(u + '/echo', { headers: { 'accept-encoding': 'gzip' } });
  http.post(u + '/echo', 'squeeze me', { compression: 'gzip' });
  http.post(u + '/echo', 'squeeze me', { compression: 'deflate, gzip' });
''')
    import gzip
    import zlib
    equal(r.values('r'), [True, True])
    equal(headers(server.asked[0]).get('Accept-Encoding'), None)
    equal(headers(server.asked[2]).get('Accept-Encoding'), 'gzip')
    equal(headers(server.asked[3])['Content-Encoding'], 'gzip')
    equal(gzip.decompress(server.asked[3]['body'].encode('latin-1')), b'squeeze me')
    equal(headers(server.asked[4])['Content-Encoding'], 'deflate, gzip')
    equal(zlib.decompress(gzip.decompress(server.asked[4]['body'].encode('latin-1'))), b'squeeze me')


def test_MD26_batch(t):
    server = web.start(t)
    r = run(t, '''
  const o = http.batch({ a: u + '/', b: ['GET', u + '/status?500'], c: { method: 'POST', url: u + '/echo', body: 'x' },
                         d: '::bad' });
  ev('o', Object.keys(o), o.a.status, o.b.status, o.c.json('body'), o.d.error_code);
  const start = Date.now();
  const list = http.batch(Array.from({ length: 5 }, () => ['GET', u + '/slow?0.2', null, { tags: { part: 'list' } }]));
  ev('list', Array.isArray(list), list.length, list.every((x) => x.status === 200), Date.now() - start);
  ev('bad', caught(() => http.batch()), caught(() => http.batch('x')), caught(() => http.batch([5])));
  ev('empty', http.batch([]), http.batch({}));
''')
    equal(r.ev('o')[0][1:], [['a', 'b', 'c', 'd'], 200, 500, 'x', 1020])
    equal(r.ev('list')[0][1:4], [True, 5, True])
    between(r.ev('list')[0][4], 200, 900, 'five slow pages at once')
    for err in r.ev('bad')[0][1:]:
        go_error(err, 'batch')
    equal(r.ev('empty')[0][1:], [[], {}])
    equal(len(r.of('http_reqs', part='list')), 5)
    equal(server.active_max, 5)


def test_batch_limits(t):
    server = web.start(t)
    run(t, "http.batch(Array(8).fill(u + '/slow?0.05'));", '--batch-per-host', '2')
    equal(server.active_max, 2)
    server.active_max = 0
    run(t, "http.batch(Array(8).fill(u + '/slow?0.05'));", '--batch', '3')
    equal(server.active_max, 3)


def test_MD27_imports(t):
    web.start(t)
    r = t.run('''import http, { get, url, cookieJar, CookieJar } from 'k6/http';
import * as h from 'k6/http';
export default function () {
  const same = http.get === get && h.get === get && h.default === http && http.url === url && h.CookieJar === CookieJar;
  console.log('EV ' + JSON.stringify(['same', same && h.cookieJar === cookieJar, get('@HTTP@/').status]));
}''', prelude=False)
    equal(r.ev('same')[0][1:], [True, 200])


def test_MOD65_links(t):
    server = web.start(t)
    r = run(t, '''
  const page = http.get(u + '/form?page');
  ev('r', page.clickLink().json('path'), page.clickLink({ selector: 'a.x', params: { headers: { 'X-P': '1' } } }).json('path'));
  ev('bad', caught(() => page.clickLink({ selector: 'b' })), caught(() => page.clickLink({ selector: 'a[name]' })),
     caught(() => http.get(u + '/', { responseType: 'none' }).clickLink()), caught(() => page.clickLink({ selector: '>>' })));
''')
    equal(r.ev('r')[0][1:], ['/echo?first', '/echo?second'])
    equal(headers(server.asked[2])['X-P'], '1')
    for err in r.ev('bad')[0][1:]:
        go_error(err, 'link')


def test_MOD65_forms(t):
    server = web.start(t)
    r = run(t, '''
  const page = http.get(u + '/form?page');
  const show = (r) => ev('r', r.json('method'), r.json('path'), r.json('body'));
  show(page.submitForm());
  show(page.submitForm({ fields: { q: 'other', more: [1, 2] }, submitSelector: 'none' }));
  show(page.submitForm({ formSelector: '#login', fields: { user: 'ann' }, params: { tags: { mine: 'x' } } }));
  ev('self', page.submitForm({ formSelector: '#self' }).url);
  ev('bad', caught(() => page.submitForm({ formSelector: '#nope' })));
''')
    equal([e[1:] for e in r.ev('r')], [['GET', '/echo?kept=1&go=Go&q=a+b', ''], ['GET', '/echo?kept=1&more=1&more=2&q=other', ''],
                                       ['POST', '/echo', 'csrf=t0k&user=ann']])
    equal(r.one('self'), server.base + '/form?page&z=1')
    equal(len(r.of('http_reqs', mine='x')), 1)
    go_error(r.one('bad'), 'form')


def test_MOD71_constants(t):
    run_ = run(t, "ev('r', http.TLS_1_0, http.TLS_1_3, TLS_1_2, http.OCSP_STATUS_GOOD, OCSP_REASON_KEY_COMPROMISE);",
               head="import { TLS_1_2, OCSP_REASON_KEY_COMPROMISE } from 'k6/http';\n", HTTP='')
    equal(run_.ev('r')[0][1:], ['tls1.0', 'tls1.3', 'tls1.2', 'good', 'key_compromise'])


def test_init_context(t):
    web.start(t)
    r = run(t, "ev('e', early);", head='''
const early = [() => http.get(u), () => http.batch([u]), () => http.cookieJar(), () => http.request('GET', u)].map(caught);
''')
    for err in r.one('e'):
        go_error(err, 'in init')


def test_auth(t):
    server = web.start(t)
    r = run(t, '''
  const at = (who, path) => u.replace('//', '//' + who + '@') + path;
  ev('r', http.get(at('us%20er:p%40ss', '/basic')).status, http.get(u + '/basic').status,
     http.get(at('user:secret', '/digest'), { auth: 'digest' }).body);
''')
    equal(r.ev('r')[0][1:], [200, 401, 'digested'])
    check(all('us%20er' not in str(s.tags) for s in r.of('http_reqs')), 'credentials in tags')
    equal({s.tags['url'] for s in r.of('http_reqs')},
          {'http://****:****@127.0.0.1:%d/basic' % server.port, server.base + '/basic',
           'http://****:****@127.0.0.1:%d/digest' % server.port})


def test_connections_of_vus_are_their_own(t):
    server = web.start(t)
    body = "http.get(u + '/'); http.get(u + '/');"
    for flags, want in ((('-u', '3', '-i', '6'), 3), (('-u', '1', '-i', '3'), 1),
                        (('-u', '1', '-i', '3', '--no-vu-connection-reuse'), 3),
                        (('-u', '1', '-i', '3', '--no-connection-reuse'), 6)):
        server.asked.clear()
        script = 'per-vu' if flags[1] == '3' else 'shared'
        head = '''export const options = { scenarios: { s: { executor: '%s-iterations', vus: %s, iterations: %s } } };
''' % (script, flags[1], 2 if script == 'per-vu' else flags[3])
        run(t, body, *flags[4:], head=head)
        equal(len({a['peer'] for a in server.asked}), want, 'connections with %r' % (flags,))


def test_async_requests(t):
    server = web.start(t)
    r = run(t, '''
  const start = Date.now();
  http.asyncRequest('GET', u + '/slow?0.2').then((r) => ev('slow', r.status, r.body, Date.now() - start));
  http.asyncRequest('post', u + '/redirect?307,/echo', 'b').then((r) => ev('hop', r.json('body'), r.url));
  http.asyncRequest('GET', 'http://127.0.0.1:@CLOSED@/').then((r) => ev('refused', r.error_code));
  http.asyncRequest('GET', '::bad').then((r) => ev('bad', r.error_code));
  http.asyncRequest('GET', '::bad', null, { throw: true }).catch((e) => ev('thrown', e.name));
  ev('sync', http.get(u + '/').status);
''', CLOSED=t.closed_port())
    events = {e[0]: e[1:] for e in r.events}
    equal(r.events[0], ['sync', 200])
    equal((events['hop'], events['refused'], events['bad'], events['thrown']),
          (['b', server.base + '/echo'], [1212], [1020], ['GoError']))
    equal(events['slow'][:2], [200, 'late'])
    between(events['slow'][2], 195, 600, 'ms')
    equal(r.count('iterations'), 1)


def test_async_requests_given_up(t):
    web.start(t)
    r = run(t, '''
  http.asyncRequest('GET', u + '/slow?3').then(() => ev('never'));
  if (__ITER === 0) throw new Error('mine');
''', head='''export const options = { scenarios: { s: { executor: 'per-vu-iterations', iterations: 2,
  maxDuration: '1s', gracefulStop: '0s' } } };
''')
    equal(r.ev('never'), [])
