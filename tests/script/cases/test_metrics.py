# SPDX-License-Identifier: Apache-2.0
"""Rows of the metrics' case table, seen in the outputs."""
import csv
import os
import re
import sys

import echo
from case import check, equal, read

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'outputs'))

HEAD = '''import { check, group, sleep } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
const ev = (...a) => console.log('EV ' + JSON.stringify(a));
const said = (f) => { try { f(); return 'ok'; } catch (e) { return e.name; } };
'''
ONE = HEAD + "export default function () { check(1, { 'is one': (v) => v === 1 }); }\n"


def rows(t, name):
    with open(t.path(name), encoding='utf-8', newline='') as f:
        return list(csv.DictReader(f))


def test_MC4_names(t):
    run = t.run(HEAD + '''const c = new Counter('my_c');
if (__VU === 0) ev('names', ['a', 'a b', 'é_', '1a', 'a'.repeat(130), ''].map((n) => said(() => new Counter(n))),
  said(() => new Gauge('my_c')), said(() => new Counter('my_c')), said(() => new Counter('a'.repeat(129))));
export default function () {}''', prelude=False)
    equal(run.ev('names')[0][1:], [['GoError'] * 6, 'GoError', 'ok', 'ok'])


def test_MC5_names_of_built_in_metrics(t):
    run = t.run(HEAD + '''const s = new Counter('ws_sessions');
if (__VU === 0) ev('r', said(() => new Trend('http_reqs')), said(() => new Trend('iteration_duration')),
  said(() => new Trend('iteration_duration', true)));
export default function () { s.add(2); }''', prelude=False)
    equal(run.ev('r')[0][1:], ['GoError', 'GoError', 'ok'])
    equal(run.count('ws_sessions'), 2)


def test_MC6_tags_of_a_sample(t):
    run = t.run(HEAD + '''const c = new Counter('my_c');
export default function () {
  ev('r', [{ a: {} }, { a: null }, { a: undefined }, { a: [1] }].map((tags) => said(() => c.add(1, tags))));
  c.add(1, { a: 1, b: true, c: 1.5, d: '' });
}''', prelude=False)
    equal(run.one('r'), ['GoError'] * 4)
    equal([s.tags for s in run.of('my_c')],
          [{'a': '1', 'b': 'true', 'c': '1.5', 'd': '', 'group': '', 'scenario': 'default'}])


def test_MC8_literal_in_json(t):
    t.run(ONE, '--tag', 'k=<&>', prelude=False)
    check('"k":"<&>"' in read(t.last.points_path), 'escaped')


def test_MC9_forms_of_thresholds(t):
    run = t.run(ONE + "export const options = { thresholds: { checks: ['rate>0.1', { threshold: 'rate>0.2', "
                "abortOnFail: true, delayAbortEval: '10s' }], iterations: [{ threshold: 'count>0' }] } };", prelude=False)
    metric = {line['metric']: line['data'] for line in run.lines if line['type'] == 'Metric'}
    equal(metric['checks']['thresholds'],
          ['rate>0.1', {'threshold': 'rate>0.2', 'abortOnFail': True, 'delayAbortEval': '10s'}])
    equal(metric['iterations']['thresholds'], ['count>0'])


def test_MC10_MC11_csv(t):
    t.run(ONE, '--out', 'csv=o.csv', '--tag', 'k é=v,"q"', prelude=False)
    first, line = read(t.path('o.csv')).split('\n')[:2]
    equal(first, 'metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,'
                 'scenario,service,status,subproto,tls_version,url,extra_tags,metadata')
    check(line.endswith(',"k é=v,""q""",'), 'row: %s', line)
    check(line.startswith('checks,') and ',1.000000,is one,' in line, 'row: %s', line)


def test_MC12_time_formats(t):
    forms = {'unix': r'\d{10}', 'unix_milli': r'\d{13}', 'unix_micro': r'\d{16}', 'unix_nano': r'\d{19}',
             'rfc3339': r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ',
             'rfc3339_nano': r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z'}
    for name, form in forms.items():
        run = t.run(ONE, '--out', 'csv=fileName=%s.csv,timeFormat=%s' % (name, name), prelude=False)
        stamp = rows(t, name + '.csv')[0]['timestamp']
        check(re.fullmatch(form, stamp), '%s: %r', name, stamp)
        if name == 'rfc3339_nano':
            equal(stamp, run.of('checks')[0].time_text)


SESSION = '''
export default function () {
  ws.connect('@WS@/', (s) => {
    s.on('open', () => { s.send('x'); s.ping(); });
    let left = 2;
    const done = () => { if (!--left) s.close(); };
    s.on('message', done);
    s.on('pong', done);
  });
}'''


def test_MC13_a_session(t):
    t.server()
    run = t.run(SESSION)
    equal([run.count('ws_' + name) for name in ('sessions', 'msgs_sent', 'msgs_received')], [1, 1, 1])
    equal([len(run.of('ws_' + name)) for name in ('ping', 'connecting', 'session_duration')], [1, 1, 1])


def test_MC14_a_session_of_websockets(t):
    t.server()
    run = t.run('''import { WebSocket } from 'k6/websockets';
export default function () {
  const s = new WebSocket('@WS@/');
  let left = 2;
  const done = () => { if (!--left) s.close(); };
  s.onopen = () => { s.send('x'); s.ping(); };
  s.onmessage = done;
  s.onpong = done;
}''', prelude=False)
    equal([run.count('ws_' + name) for name in ('sessions', 'msgs_sent', 'msgs_received')], [1, 3, 1])
    equal(len(run.of('ws_ping')), 1)


def test_MC15_tags_of_a_session(t):
    server = t.server()
    run = t.run('''import { check, group } from 'k6';
export const options = { scenarios: { mine: { executor: 'per-vu-iterations', tags: { sc: '1' } } } };
export default function () {
  group('G', () => ws.connect('@WS@/path', { tags: { t: 1 } }, (s) => {
    s.on('open', () => { check(1, { inside: () => true }); s.send('x'); });
    s.on('message', () => s.close());
  }));
}''')
    check(len(run.session_samples) >= 5, '%r', run.session_samples)
    for s in run.session_samples:
        equal(s.tags, {'group': '::G', 'sc': '1', 't': '1', 'scenario': 'mine', 'status': '101', 'subproto': '',
                       'url': server.ws + '/path'}, s.metric)
    equal(run.of('checks')[0].tags, {'check': 'inside', 'group': '::G', 'sc': '1', 'scenario': 'mine'})


def test_MC16_request_in_setup(t):
    url = echo.start(t).replace('ws', 'http', 1)
    run = t.run('''import http from 'k6/http';
export function setup() { http.get('@URL@/'); }
export default function () {}''', prelude=False, URL=url)
    equal(len(run.of('http_reqs')), 1)
    for s in run.samples:
        if s.metric.startswith('http_'):
            equal((s.tags['group'], s.tags.get('scenario')), ('::setup', None), s.metric)


def test_MC17_no_system_tags(t):
    run = t.run(ONE + 'export const options = { systemTags: [] };', prelude=False)
    check(len(run.samples) >= 5, '%r', run.samples)
    equal([s.tags for s in run.samples], [{}] * len(run.samples))


def test_MC18_scenario_tag(t):
    run = t.run(ONE + "export const options = { scenarios: { real: { executor: 'per-vu-iterations', "
                "tags: { scenario: 'mine', group: 'mine', other: 'kept' } } } };", prelude=False)
    for s in run.of('checks') + run.of('iterations'):
        equal((s.tags['scenario'], s.tags['group'], s.tags['other']), ('real', '', 'kept'))


def test_MC19_vus_of_a_short_run(t):
    run = t.run(HEAD + 'export default function () { sleep(0.5); }', prelude=False)
    equal(run.of('vus') + run.of('vus_max'), [])
    run = t.run(HEAD + 'export default function () { sleep(1.3); }', '-u', '2', '-i', '2', prelude=False)
    equal({s.value for s in run.of('vus')} | {s.value for s in run.of('vus_max')}, {2})


def test_MC20_influxdb_line(t):
    from receivers import Receiver
    receiver = Receiver(t)
    t.run(ONE, '--out', 'influxdb=http://127.0.0.1:%d/k6' % receiver.port, prelude=False)
    text = b''.join(got.body for got in receiver.got).decode()
    check(re.search(r'^checks,check=is\\ one,scenario=default value=1 \d{19}$', text, re.M), 'lines: %s', text)


def test_MC22_opentelemetry_checks(t):
    from receivers import Receiver
    receiver = Receiver(t, status=200)
    t.run(ONE, '--out', 'opentelemetry', prelude=False, env={
        'K6_OTEL_HTTP_EXPORTER_ENDPOINT': '127.0.0.1:%d' % receiver.port, 'K6_OTEL_HTTP_EXPORTER_INSECURE': 'true',
        'K6_OTEL_EXPORTER_PROTOCOL': 'http/protobuf'})
    body = b''.join(got.body for got in receiver.got)
    for word in (b'checks.total', b'condition', b'nonzero', b'is one'):
        check(word in body, '%r is missing', word)


def test_MC23_statsd(t):
    """k6 refuses it; here it works."""
    from receivers import Datagrams
    receiver = Datagrams(t)
    t.run(ONE, '--out', 'statsd', prelude=False, env={'K6_STATSD_ADDR': '127.0.0.1:%d' % receiver.port})
    lines = b'\n'.join(receiver.all()).decode().split()
    check('k6.iterations:1|c' in lines and 'k6.check.is one.pass:1|c' in ' '.join(lines), 'lines: %r', lines)
