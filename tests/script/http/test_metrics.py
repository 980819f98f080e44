# SPDX-License-Identifier: Apache-2.0
"""k6/http: samples and tags (MC-24 to MC-27, MET-36), limits of the run, other modules around a request."""
import time

import web
from case import between, check, equal
from servers import tls
from test_requests import headers, run

ALL = ['http_reqs', 'http_req_duration', 'http_req_blocked', 'http_req_connecting', 'http_req_tls_handshaking',
       'http_req_sending', 'http_req_waiting', 'http_req_receiving', 'http_req_failed']


def samples(r):
    return [s for s in r.samples if s.metric.startswith('http_')]


def test_samples_of_a_request(t):
    server = web.start(t)
    r = run(t, "http.get(u + '/slow?0.1', { tags: { mine: 1 } });")
    got = samples(r)
    equal([s.metric for s in got], ALL)
    want = {'method': 'GET', 'status': '200', 'url': server.base + '/slow?0.1', 'name': server.base + '/slow?0.1',
            'proto': 'HTTP/1.1', 'expected_response': 'true', 'mine': '1', 'group': '', 'scenario': 'default'}
    for s in got:
        equal(s.tags, want)
    value = {s.metric: s.value for s in got}
    between(value['http_req_waiting'], 95, 400)
    between(value['http_req_duration'], 95, 400)
    check(abs(value['http_req_duration'] - value['http_req_sending'] - value['http_req_waiting'] -
              value['http_req_receiving']) < 1e-6, 'duration is no sum: %r', value)
    check(value['http_req_connecting'] > 0 and value['http_req_tls_handshaking'] == 0, 'connecting: %r', value)
    equal((value['http_reqs'], value['http_req_failed']), (1, 0))


def test_waiting_is_all_of_the_waiting(t):
    """No request is over faster than its server was: a lower bound that holds however busy the machine is."""
    web.start(t)
    r = run(t, "for (let i = 0; i < 60; i++) http.post(u + '/slow?0.003', 'body');", '--vus', '4', '--iterations', '4')
    values = [s.value for s in r.of('http_req_duration')]
    equal(len(values), 240)
    check(min(values) >= 2.99, 'a request of 3 ms took %g ms', min(values))
    equal([s.value for s in r.of('http_req_blocked') if s.value < 0], [])


def test_wire_bytes(t):
    web.start(t)
    r = run(t, "http.post(u + '/echo', 'x'.repeat(10000)); http.get(u + '/');")
    between(r.count('data_sent'), 10150, 10800, 'data_sent')
    between(r.count('data_received'), 10100, 11500, 'data_received')


def test_wire_bytes_after_refusals(t):
    """Sockets that were never connected leave nothing behind: their numbers come again."""
    web.start(t)
    r = run(t, """
  for (let i = 0; i < 30; i++) http.get('http://127.0.0.1:@CLOSED@/');
  http.post(u + '/echo', 'x'.repeat(10000));
""", CLOSED=t.closed_port())
    between(r.count('data_sent'), 10050, 10400, 'data_sent')
    between(r.count('data_received'), 10100, 11000, 'data_received')


def test_MC24_credentials(t):
    server = web.start(t)
    r = run(t, "http.get(u.replace('//', '//me:pw@') + '/');")
    for s in samples(r):
        equal(s.tags['url'], 'http://****:****@127.0.0.1:%d/' % server.port)
        equal(s.tags['name'], s.tags['url'])


def test_MC25_names(t):
    server = web.start(t)
    r = run(t, '''
  const made = http.url`${u}/x?id=${5}`;
  ev('url', made.url, made.name, String(made));
  http.get(made);
  http.get(u + '/', { tags: { name: 'mine' } });
  http.get(http.url`${u}/${1}`, { tags: { name: 'mine too' } });
  http.batch([http.url`${u}/batch`]);
''')
    equal(r.ev('url')[0][1:], [server.base + '/x?id=5', '${}/x?id=${}', server.base + '/x?id=5'])
    equal([(s.tags['name'], s.tags['url']) for s in r.of('http_reqs')],
          [('${}/x?id=${}',) * 2, ('mine',) * 2, ('mine too',) * 2, ('${}/batch',) * 2])


def test_MC26_expected(t):
    web.start(t)
    r = run(t, '''
  http.get(u + '/status?500');
  http.setResponseCallback(http.expectedStatuses(500, { min: 201, max: 204 }));
  ev('r', http.get(u + '/status?500').error_code);
  http.get(u + '/');
  http.get(u + '/', { responseCallback: http.expectedStatuses(200) });
  http.get(u + '/status?500', { responseCallback: null });
  http.setResponseCallback(null);
  http.get(u + '/status?500');
''')
    equal(r.one('r'), 1500)
    equal([(s.tags.get('error_code'), s.tags.get('expected_response')) for s in r.of('http_reqs')],
          [('1500', 'false'), ('1500', 'true'), (None, 'false'), (None, 'true'), ('1500', None), ('1500', None)])
    equal([s.value for s in r.of('http_req_failed')], [1, 0, 1, 0])


def test_callback_set_in_init(t):
    web.start(t)
    r = run(t, '''
  ev('bad', [() => http.expectedStatuses(), () => http.expectedStatuses('x'), () => http.expectedStatuses({ min: 1 }),
             () => http.setResponseCallback(), () => http.setResponseCallback({})].map((f) => caught(f) !== null));
  http.get(u + '/status?404');
''', head='http.setResponseCallback(http.expectedStatuses(404));\n')
    equal(r.one('bad'), [True] * 5)
    equal([s.value for s in r.of('http_req_failed')], [0])


def test_MC27_refused(t):
    port = t.closed_port()
    r = run(t, "http.get('http://127.0.0.1:%d/');" % port, HTTP='')
    equal([s.metric for s in samples(r)], ALL)
    for s in samples(r):
        equal((s.tags['status'], s.tags['error_code'], s.tags['error'], s.tags['expected_response'],
               s.tags.get('proto')), ('0', '1212', 'dial: connection refused', 'false', None))
    equal(r.of('http_req_failed')[0].value, 1)


def test_tls(t):
    web.start(t, tls.server_context(t.folder))
    r = run(t, "const r = http.get(u + '/'); ev('r', r.status, r.body, r.tls_version, r.tls_cipher_suite);"
               "http.get(u + '/');",
            '--insecure-skip-tls-verify')
    equal(r.ev('r')[0][1:4], [200, 'hello', 'tls1.3'])
    check(r.ev('r')[0][4].startswith('TLS_'), 'suite %r', r.ev('r')[0][4])
    equal({s.tags['tls_version'] for s in samples(r)}, {'tls1.3'})
    shakes = [s.value for s in r.of('http_req_tls_handshaking')]
    check(shakes[0] > 0 and shakes[1] == 0, 'handshakes: %r', shakes)


def test_tls_refused(t):
    server = web.start(t, tls.server_context(t.folder))
    plain = web.start(t)
    r = run(t, '''
  for (const x of [u, 'https://127.0.0.1:@PLAIN@']) { const r = http.get(x + '/'); ev('r', r.error_code, r.error); }
''', PLAIN=plain.port)
    equal([x[1] for x in r.ev('r')], [1310, 1301])
    equal(r.ev('r')[0][2], 'x509: unknown authority')
    equal(server.asked, [])


def test_hosts_and_blocks(t):
    server = web.start(t)
    r = run(t, '''
  ev('r', http.get('http://mapped.test:1/echo').json('headers')[0], http.get('http://no.blocked.test/').error_code,
     http.get('http://127.0.0.9/').error_code, http.get('http://mapped.test:1/').remote_port);
''', head='''export const options = { hosts: { 'mapped.test': '127.0.0.1:@PORT@' }, blockHostnames: ['*.blocked.test'],
  blacklistIPs: ['127.0.0.9/32'] };
''')
    equal(r.ev('r')[0][1:], [['Host', 'mapped.test:1'], 1111, 1110, server.port])


def test_proxy(t):
    server = web.start(t)
    r = run(t, "ev('r', http.get('http://unknown.test/echo').json('path'));", env={'HTTP_PROXY': server.base})
    equal(r.one('r'), 'http://unknown.test/echo')
    equal(headers(server.asked[0])['Host'], 'unknown.test')


def test_interrupted(t):
    web.start(t)
    started = time.monotonic()
    r = run(t, "ev('in'); try { http.get(u + '/slow?8'); } finally { ev('out'); }",
            head="export const options = { scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '1s', "
                 "gracefulStop: '0s' } } };\n")
    between(time.monotonic() - started, 1, 6, 'seconds')
    equal(r.ev('out'), [])
    equal(samples(r), [])


def test_setup_and_groups(t):
    web.start(t)
    r = t.run('''import http from 'k6/http';
import { group } from 'k6';
export function setup() { return http.get('@HTTP@/').body; }
export default function (d) {
  console.log('EV ' + JSON.stringify(['d', d]));
  group('g', () => http.get('@HTTP@/'));
}''', prelude=False)
    equal(r.one('d'), 'hello')
    equal([s.tags['group'] for s in r.of('http_reqs')], ['::setup', '::g'])


def test_many_vus(t):
    server = web.start(t)
    r = run(t, "http.get(u + '/'); http.batch([u + '/', u + '/echo']);", '-u', '20', '-i', '100')
    equal(r.count('http_reqs'), 300)
    equal(sum(s.value for s in r.of('http_req_failed')), 0)
    equal(len(server.asked), 300)
