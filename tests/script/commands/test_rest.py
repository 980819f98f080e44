# SPDX-License-Identifier: Apache-2.0
"""The REST API behind --address, --paused and --linger (ENG-204, ENG-210 to ENG-217)."""
import http.client
import json
import signal
import socket
import time

from case import between, check, equal

SLEEP = "import { sleep, check, group } from 'k6';\n"
LONG = SLEEP + '''export const options = { vus: 2, duration: '30s', thresholds: { checks: ['rate>0.5'], vus: ['value<99'] } };
export default function () {
  ev('it');
  group('outer', () => { check(1, { one: (x) => x === 1 }); group('inner', () => check(0, { two: (x) => x })); });
  sleep(0.05);
}
export function teardown() { ev('teardown'); }
'''


class Api:
    def __init__(self, t):
        self.port = t.free_port()
        self.address = '127.0.0.1:%d' % self.port

    def call(self, method, path, body=None, seconds=10):
        """(status, parsed body or text); waits for the server to listen."""
        deadline = time.monotonic() + seconds
        while True:
            conn = http.client.HTTPConnection('127.0.0.1', self.port, timeout=seconds)
            try:
                conn.request(method, path, body if body is None or isinstance(body, (bytes, str)) else json.dumps(body))
                break
            except ConnectionRefusedError:
                check(time.monotonic() < deadline, 'nobody listens')
                time.sleep(0.02)
        with conn.getresponse() as response:
            text = response.read().decode()
            conn.close()
            is_json = 'json' in response.headers.get('Content-Type', '')
            return response.status, json.loads(text) if is_json else text

    def status(self):
        code, answer = self.call('GET', '/v1/status')
        equal((code, answer['data']['type'], answer['data']['id']), (200, 'status', 'default'))
        return answer['data']['attributes']

    def patch(self, **attributes):
        return self.call('PATCH', '/v1/status', {'data': {'type': 'status', 'id': 'default',
                                                          'attributes': attributes}})

    def until(self, number, seconds=10):
        deadline = time.monotonic() + seconds
        while self.status()['status'] != number:
            check(time.monotonic() < deadline, 'status %d never came: %r', number, self.status())
            time.sleep(0.02)


def refused(answer, code):
    equal(answer[0], code)
    error = answer[1]['errors'][0]
    equal(sorted(error), ['detail', 'status', 'title'])
    equal(error['status'], str(code))


def test_stop(t):
    """EC-53."""
    api = Api(t)
    p = t.start(LONG, '-a', api.address)
    p.wait_event('EV [')
    shown = api.status()
    equal(sorted(shown), sorted(['status', 'paused', 'vus', 'vus-max', 'stopped', 'running', 'tainted']))
    equal(shown, dict(shown, **{'status': 7, 'paused': False, 'vus': 2, 'vus-max': 2, 'stopped': False,
                                'running': True}))
    code, answer = api.patch(stopped=True)
    equal((code, answer['data']['attributes']['stopped']), (200, True))
    run = p.wait(code=103)
    between(run.seconds, 0, 10, 'run')
    equal(run.ev('teardown'), [['teardown']])
    check('TOTAL RESULTS' in run.stdout, 'no summary')


def test_paused_start(t):
    """EC-54."""
    api = Api(t)
    p = t.start('''export const options = { vus: 2, iterations: 2 };
export function setup() { ev('setup'); }
export default function () { ev('it'); }''', '--paused', '-a', api.address)
    api.until(4)
    shown = api.status()
    equal((shown['paused'], shown['running'], shown['vus'], shown['vus-max']), (True, False, 0, 2))
    refused(api.patch(paused=True), 500)
    time.sleep(1.2)
    check('EV' not in p_log(p), 'something ran while paused: %s', p_log(p))
    code, answer = api.patch(paused=False)
    equal((code, answer['data']['attributes']['paused']), (200, False))
    run = p.wait()
    equal([e[0] for e in run.events], ['setup', 'it', 'it'])
    check('paused' in run.stdout, 'the display does not say paused: %s', run.stdout)


def p_log(p):
    with open(p.err_path, encoding='utf-8') as f:
        return f.read()


def test_no_change_while_running(t):
    """EC-55."""
    api = Api(t)
    p = t.start(LONG, '-a', api.address)
    p.wait_event('EV [')
    for attributes in ({'paused': True}, {'paused': False}, {'vus': 5}, {'vus-max': 5}):
        refused(api.patch(**attributes), 500)
    equal(api.patch(**{'paused': None, 'vus': None, 'stopped': False})[0], 200)
    for body in ('', '{', '[]', '{"data":{}}'):
        refused(api.call('PATCH', '/v1/status', body), 400)
    for method, path in (('POST', '/v1/status'), ('PUT', '/v1/metrics'), ('DELETE', '/v1/metrics/vus'),
                         ('GET', '/v1/teardown')):
        refused(api.call(method, path), 405)
    equal(api.status()['status'], 7)
    api.patch(stopped=True)
    p.wait(code=103)


def test_metrics_and_groups(t):
    """ENG-213, ENG-214."""
    api = Api(t)
    p = t.start(LONG, '-a', api.address, '--summary-trend-stats', 'max')
    p.wait_event('EV [')
    time.sleep(1.5)
    metrics = {m['id']: m['attributes'] for m in api.call('GET', '/v1/metrics')[1]['data']}
    keys = {'iterations': ['count', 'rate'], 'vus': ['value'], 'checks': ['rate'],
            'iteration_duration': ['avg', 'max', 'med', 'min', 'p(90)', 'p(95)']}
    for name, want in keys.items():
        equal(sorted(metrics[name]['sample']), want, name)
    equal(metrics['iteration_duration']['contains'], 'time')
    equal((metrics['checks']['type'], metrics['checks']['sample']), ('rate', {'rate': 0.5}))
    equal((metrics['iterations']['tainted'], metrics['vus']['tainted']), (None, False))
    check(metrics['iterations']['sample']['count'] > 2, 'iterations: %r', metrics['iterations'])
    code, answer = api.call('GET', '/v1/metrics/checks')
    equal((code, answer['data']['type'], answer['data']['id']), (200, 'metrics', 'checks'))
    refused(api.call('GET', '/v1/metrics/nope'), 404)
    groups = api.call('GET', '/v1/groups')[1]['data']
    equal([g['attributes']['path'] for g in groups], ['', '::outer', '::outer::inner'])
    root, outer, inner = groups
    equal(root['id'], 'd41d8cd98f00b204e9800998ecf8427e')
    equal(root['relationships'], {'groups': {'data': [{'type': 'groups', 'id': outer['id']}]},
                                  'parent': {'data': None}})
    equal(inner['relationships']['parent']['data'], {'type': 'groups', 'id': outer['id']})
    one = inner['attributes']['checks'][0]
    equal((one['name'], one['path'], one['passes'] > 0), ('two', '::outer::inner::two', False))
    check(one['fails'] > 2, 'fails: %r', one)
    equal(api.call('GET', '/v1/groups/' + inner['id'])[1]['data']['attributes']['name'], 'inner')
    refused(api.call('GET', '/v1/groups/nope'), 404)
    stats = t.start_args('stats', '-a', api.address).wait()
    check('- name: "iterations"\n  type: counter\n' in stats.stdout, 'stats: %s', stats.stdout)
    api.patch(stopped=True)
    p.wait(code=103)


def test_other_paths(t):
    """ENG-216."""
    api = Api(t)
    p = t.start(LONG, env={'K6_ADDRESS': api.address})
    for path in ('/ping', '/', '/v1', '/any/thing?x=1'):
        equal(api.call('GET', path), (200, 'ok'), path)
    code, text = api.call('GET', '/metrics')
    equal(code, 200)
    check('\nprocess_resident_memory_bytes ' in text, 'process metrics: %s', text)
    p.wait_event('EV [')
    p.signal(signal.SIGINT)
    p.wait(code=105)


def test_setup_and_teardown_from_outside(t):
    """ENG-215: as drivers of several instances use it."""
    api = Api(t)
    p = t.start('''export function setup() { ev('setup'); return { n: 1 }; }
export default function (data) { ev('it', data); }
export function teardown(data) { ev('teardown', data); }''', '--paused', '--linger', '--no-setup', '--no-teardown',
                '-a', api.address)
    api.until(4)
    equal(api.call('GET', '/v1/setup')[1]['data']['attributes'], {'data': None})
    equal(api.call('POST', '/v1/setup')[1]['data'], {'type': 'setupData', 'id': 'default',
                                                    'attributes': {'data': {'n': 1}}})
    refused(api.call('PUT', '/v1/setup', '{'), 400)
    equal(api.call('PUT', '/v1/setup', {'n': 2})[1]['data']['attributes'], {'data': {'n': 2}})
    api.patch(paused=False)
    api.until(9)
    equal(api.call('POST', '/v1/teardown')[0], 200)
    p.signal(signal.SIGINT)
    run = p.wait(code=0)
    equal(run.events, [['setup'], ['it', {'n': 2}], ['teardown', {'n': 2}]])


def test_teardown_asked_for_before_the_process_lingers(t):
    """The state "ended" comes before the summary is written; a driver may act on it at once."""
    api = Api(t)
    p = t.start(SLEEP + '''export default function () { ev('it'); }
export function teardown() { ev('teardown'); }
export function handleSummary() { ev('summary'); sleep(0.5); return {}; }''', '--linger', '--no-teardown',
                '-a', api.address)
    p.wait_event('summary')
    equal(api.status()['status'], 9)
    equal(api.call('POST', '/v1/teardown')[0], 200)
    p.signal(signal.SIGINT)
    equal(p.wait(code=0).events, [['it'], ['summary'], ['teardown']])


def test_setup_cannot_be_replaced_while_running(t):
    api = Api(t)
    p = t.start(LONG, '-a', api.address)
    p.wait_event('EV [')
    refused(api.call('PUT', '/v1/setup', '{}'), 500)
    refused(api.call('POST', '/v1/teardown'), 500)
    api.patch(stopped=True)
    p.wait(code=103)


def test_linger(t):
    """ENG-204: the exit code is that of the run; one signal ends it; a run that a signal ended does not linger."""
    for script, code in (('export default function () {}', 0),
                         ("export const options = { thresholds: { iterations: ['count>5'] } };\n"
                          'export default function () {}', 99)):
        p = t.start(script, '--linger', prelude=False)
        p.wait_event('lingering')
        time.sleep(0.3)
        equal(p.popen.poll(), None, 'the process is gone')
        p.signal(signal.SIGTERM)
        run = p.wait(code=code)
        check('TOTAL RESULTS' in run.stdout, 'no summary')
    p = t.start(LONG, '--linger')
    p.wait_event('EV [')
    p.signal(signal.SIGINT)
    p.wait(code=105)


def test_signal_while_paused(t):
    p = t.start(LONG, '--paused')
    p.wait_event('nothing can resume')
    time.sleep(0.5)
    p.signal(signal.SIGINT)
    run = p.wait(code=105)
    equal(run.events, [])


def test_stop_while_paused(t):
    api = Api(t)
    p = t.start(LONG, '--paused', '-a', api.address)
    api.until(4)
    equal(api.patch(stopped=True)[0], 200)
    equal(p.wait(code=103).events, [])


def test_address_in_use(t):
    """ENG-210: exit 106 before anything runs."""
    taken = socket.socket()
    taken.bind(('127.0.0.1', 0))
    taken.listen(1)
    t.kept.append(taken)
    run = t.run(LONG, '-a', '127.0.0.1:%d' % taken.getsockname()[1], code=106)
    equal(run.events, [])
    check('in use' in run.stderr, 'the reason is not told: %s', run.stderr)
    for address in ('nonsense', '127.0.0.1:', '127.0.0.1:99999', '127.0.0.1:http', '203.0.113.1:80'):
        run = t.run(LONG, '-a', address, code=106)
        equal(len(run.logged('error')), 1, address)


def raw(api, data, seconds=5):
    """What the server sends until it closes, or until it is silent for a while."""
    with socket.create_connection(('127.0.0.1', api.port), seconds) as s:
        s.sendall(data)
        s.settimeout(0.5)
        got = b''
        try:
            while chunk := s.recv(65536):
                got += chunk
        except socket.timeout:
            pass
        return got


def test_rude_clients(t):
    """Malformed, huge, pipelined and vanishing requests leave the run alone."""
    api = Api(t)
    p = t.start(LONG, '-a', api.address)
    p.wait_event('EV [')
    for data, status in ((b'nonsense\r\n\r\n', b'400'), (b'GET / HTTP/1.1\r\nX: ' + b'a' * 20000, b'431'),
                         (b'PATCH /v1/status HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n', b'413'),
                         (b'PATCH /v1/status HTTP/1.1\r\nContent-Length: -1\r\n\r\n', b'400'),
                         (b'PATCH /v1/status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', b'411'),
                         (b'GET /ping HTTP/1.0\r\n\r\n', b'200')):
        equal(raw(api, data)[9:12], status, repr(data[:60]))
    got = raw(api, b'GET /v1/groups HTTP/1.1\r\n\r\nHEAD /ping HTTP/1.1\r\n\r\nGET /v1/status HTTP/1.1\r\n\r\n')
    equal(got.count(b'HTTP/1.1 200 OK'), 3, 'pipelined')
    got = raw(api, b'PATCH /v1/status HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}')
    check(got.startswith(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 '), 'continue: %r', got)
    for data in (b'', b'GET /v1/groups HTTP/1.1\r\n\r\n', b'PATCH /v1/status HTTP/1.1\r\nContent-Length: 9\r\n\r\n{'):
        s = socket.create_connection(('127.0.0.1', api.port), 5)
        s.sendall(data)
        s.close()
    idle = [socket.create_connection(('127.0.0.1', api.port), 5) for _ in range(80)]
    for s in idle:
        s.close()
    equal(api.status()['status'], 7)
    api.patch(stopped=True)
    p.wait(code=103)


def test_stats_without_a_test(t):
    run = t.start_args('stats', '-a', '127.0.0.1:%d' % t.closed_port()).wait(code=255)
    check('--address' in run.stderr, 'no hint: %s', run.stderr)
