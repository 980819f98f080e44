# SPDX-License-Identifier: Apache-2.0
"""k6/http: options of the run: rps, httpDebug."""
import time

import web
from case import between, check, equal
from test_requests import run


def test_rps(t):
    """Of all VUs together; waiting for one's turn is in no metric and no time limit."""
    server = web.start(t)
    started = time.monotonic()
    r = run(t, "const r = http.get(u + '/', { timeout: 150 }); ev('r', r.status, r.timings.blocked);",
            '-u', '5', '-i', '11', '--rps', '10')
    check(time.monotonic() - started >= 1, 'eleven requests in %g s', time.monotonic() - started)
    equal([e[1] for e in r.ev('r')], [200] * 11)
    check(sum(e[2] for e in r.ev('r')) < 900, 'blocked: %r', r.ev('r'))
    equal(len(server.asked), 11)


def test_rps_of_batch_and_async(t):
    web.start(t)
    r = run(t, '''
  const at = Date.now();
  http.batch([u + '/', u + '/', u + '/']);
  ev('batch', Date.now() - at);
  http.asyncRequest('GET', u + '/').then(() => http.asyncRequest('GET', u + '/')).then(() => ev('async', Date.now() - at));
''', head='export const options = { rps: 10 };\n')
    check(r.one('batch') >= 195 and r.one('async') >= 395, '%r', r.events)
    equal(r.count('http_reqs'), 5)


def test_rps_ends_with_the_run(t):
    """Whose turn would come after the end is not waited for."""
    web.start(t)
    r = run(t, "http.get(u + '/'); http.asyncRequest('GET', u + '/');",
            head="export const options = { rps: 1, scenarios: { s: { executor: 'constant-vus', vus: 10, duration: '1s', "
                 "gracefulStop: '0s' } } };\n")
    between(r.seconds, 1, 8, 'seconds')
    between(r.count('http_reqs'), 1, 2, 'requests')


def test_http_debug(t):
    server = web.start(t)
    body = "http.post(u + '/redirect?307,/bytes', 'the body', { headers: { 'X-Mine': '1' }, responseType: 'binary' });"
    for flag, bodies in (('--http-debug', False), ('--http-debug=full', True)):
        r = run(t, body, flag)
        said = [entry.msg for entry in r.log if entry.source == 'http-debug']
        equal(len(said), 4, flag)
        check(said[0].startswith('Request:\nPOST /redirect?307,/bytes HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n' % server.port) and
              '\r\nX-Mine: 1\r\n' in said[0], 'request: %r', said[0])
        check(said[1].startswith('Response:\nHTTP/1.1 307 ') and 'Location: /bytes' in said[1], 'answer: %r', said[1])
        check(said[2].startswith('Request:\nPOST /bytes '), 'second request: %r', said[2])
        equal([m.endswith('\r\n\r\nthe body') for m in said], [bodies, False, bodies, False])
        equal('ABCDEFG' in said[3], bodies)
    equal([entry for entry in run(t, body).log if entry.source == 'http-debug'], [])


def test_http_debug_of_failures(t):
    r = run(t, "http.get('http://127.0.0.1:@CLOSED@/'); http.get('::bad');", '--http-debug', HTTP='', CLOSED=t.closed_port())
    said = [entry.msg for entry in r.log if entry.source == 'http-debug']
    equal(len(said), 2)
    check('connection refused' in said[1].lower(), '%r', said)
