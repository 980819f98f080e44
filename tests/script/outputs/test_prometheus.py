# SPDX-License-Identifier: Apache-2.0
"""--out experimental-prometheus-rw: remote write as MET-80 to MET-84 say, into a listener and into Prometheus."""
import base64
import hashlib
import hmac
import json
import math
import re
import ssl
import time
import urllib.parse
import urllib.request

from case import between, check, equal
from receivers import (SCRIPT, Receiver, double, fields, first, fixed, one_warning, packed_varints, percentile, program,
                       unsnappy, zigzag)
from servers import tls

OUT = ('--out', 'experimental-prometheus-rw')


def environment(url, **more):
    env = {'K6_PROMETHEUS_RW_SERVER_URL': url}
    env.update(('K6_PROMETHEUS_RW_' + name, value) for name, value in more.items())
    return env


class Series:
    def __init__(self, message):
        message = fields(message)
        labels = [fields(value) for number, value in message if number == 1]
        self.labels = [(first(label, 1).decode(), first(label, 2).decode()) for label in labels]
        self.samples = [(first(sample, 2), double(first(sample, 1)), first(sample, 1))
                        for sample in (fields(value) for number, value in message if number == 2)]
        self.histograms = [fields(value) for number, value in message if number == 4]
        self.name = dict(self.labels)['__name__']

    def key(self):
        return tuple(self.labels)


def requests(receiver):
    """[[Series]] of every request, its form checked."""
    out = []
    for got in receiver.got:
        equal(got.headers['Content-Type'], 'application/x-protobuf')
        equal(got.headers['Content-Encoding'], 'snappy')
        equal(got.headers['X-Prometheus-Remote-Write-Version'], '0.1.0')
        message = fields(unsnappy(got.body))
        check(message and all(number == 1 for number, _ in message), 'a WriteRequest of TimeSeries')
        out.append([Series(value) for _, value in message])
    return out


def last_values(receiver):
    """{(name, labels): value}, after checking order and time stamps."""
    newest, values = {}, {}
    for request in requests(receiver):
        keys = [s.key() for s in request]
        equal(len(set(keys)), len(keys), 'a series twice in a request')
        for s in request:
            names = [name for name, _ in s.labels]
            equal(names, sorted(set(names)), 'label order')
            check(all(value for _, value in s.labels), 'empty labels: %r', s.labels)
            equal(len(s.samples) + len(s.histograms), 1, 'samples of a series in a request')
            stamp = s.samples[0][0] if s.samples else first(s.histograms[0], 15)
            point, before = (stamp, s.samples or s.histograms), newest.get(s.key(), (0, None))
            # The very same point comes again when the receiver did not take it.
            check(stamp > before[0] or point == before, 'time goes back in %r', s.labels)
            newest[s.key()] = point
            labels = {k: v for k, v in s.labels if k not in ('__name__', 'group', 'scenario', 'run')}
            values[s.name, tuple(labels.items())] = s.samples[0][1] if s.samples else s.histograms[0]
    return values


def near(got, want, share=1e-9):
    check(abs(got - want) <= abs(want) * share + 1e-12, '%r is not %r', got, want)


def test_protocol_and_values(t):
    """MET-80 to 82, MET-84, MC-21."""
    receiver = Receiver(t)
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=450, env=environment(
        'http://u%%73er:pass%%40@127.0.0.1:%d/write?x=1' % receiver.port, PUSH_INTERVAL='300ms',
        TREND_STATS='p(95),p(99.9),avg,count,sum,min,max,med', HTTP_HEADERS='X-One: 1, X-Two:two words',
        **{'HEADERS_X-Three': 'three'}))
    between(len(receiver.got), 4, 8, 'requests')
    for got in receiver.got:
        equal(got.path, '/write?x=1')
        equal(got.headers['Authorization'], 'Basic ' + base64.b64encode(b'user:pass@').decode())
        equal((got.headers['X-One'], got.headers['X-Two'], got.headers['X-Three']), ('1', 'two words', 'three'))
    values = last_values(receiver)
    for kind in ('odd', 'even'):
        tag = (('kind', kind),)
        near(values['k6_my_counter_total', tag], sum(s.value for s in run.of('my_counter', kind=kind)))
        trend = [s.value / 1000 for s in run.of('my_trend', kind=kind)]
        for suffix, want in (('count', len(trend)), ('sum', sum(trend)), ('min', min(trend)), ('max', max(trend)),
                             ('avg', sum(trend) / len(trend)), ('med', percentile(trend, 50)),
                             ('p95', percentile(trend, 95)), ('p999', percentile(trend, 99.9))):
            near(values['k6_my_trend_' + suffix, tag], want)
    rates = [s.value for s in run.of('my_rate')]
    near(values['k6_my_rate_rate', ()], sum(rates) / len(rates))
    check(values['k6_my_gauge', ()] in [s.value for s in run.of('my_gauge')], 'gauge')
    checks = [s.value for s in run.of('checks')]
    near(values['k6_checks_rate', (('check', 'is one'),)], sum(checks) / len(checks))
    near(values['k6_iterations_total', ()], run.count('iterations'))
    labels = [dict(s.labels) for s in requests(receiver)[0]]
    check(all(label['run'] == 'a b' for label in labels if label['__name__'] == 'k6_my_gauge'), 'run tag')
    check(not any('vu' in label for label in labels), 'metadata is sent')
    check(not run.logged('warning'), 'warnings: %r', run.logged('warning'))


def test_default_stat_and_alias(t):
    receiver = Receiver(t)
    t.run(SCRIPT, '--out', 'prometheus-rw', prelude=False, ITERATIONS=90,
          env=environment('http://127.0.0.1:%d/api/v1/write' % receiver.port))
    names = {name for name, _ in last_values(receiver)}
    equal({n for n in names if 'trend' in n}, {'k6_my_trend_p99'})
    equal(len(receiver.got), 1, 'one request at the end')


def test_native_histograms(t):
    """MET-83."""
    receiver = Receiver(t)
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=210, env=environment(
        'http://127.0.0.1:%d/' % receiver.port, TREND_AS_NATIVE_HISTOGRAM='true', PUSH_INTERVAL='200ms'))
    values = last_values(receiver)
    check(not any(name == 'k6_my_trend_p99' for name, _ in values), 'statistics beside the histogram')
    for key, samples in ((('k6_my_plain', ()), [s.value for s in run.of('my_plain')]),
                         (('k6_my_trend_seconds', (('kind', 'odd'),)),
                          [s.value / 1000 for s in run.of('my_trend', kind='odd')])):
        h = values[key]
        equal(first(h, 1), len(samples), 'count')
        near(double(first(h, 3)), sum(samples))
        schema = zigzag(first(h, 4))
        equal(schema, 3)
        equal(first(h, 6), sum(v == 0 for v in samples), 'zeros')
        index, buckets, count = 0, [], 0
        for number, value in h:
            if number == 11:
                span = fields(value)
                index += zigzag(first(span, 1))
                buckets += range(index, index + first(span, 2))
                index += first(span, 2)
        deltas = packed_varints(first(h, 12))
        equal(len(deltas), len(buckets))
        for bucket, delta in zip(buckets, deltas):
            count += zigzag(delta)
            low, high = 2 ** ((bucket - 1) / 8), 2 ** (bucket / 8)
            equal(count, sum(low < v <= high for v in samples), 'bucket %g..%g' % (low, high))


def test_stale_markers(t):
    receiver = Receiver(t)
    t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=90,
          env=environment('http://127.0.0.1:%d/' % receiver.port, STALE_MARKERS='true'))
    got = requests(receiver)
    equal({s.key() for s in got[-1]}, {s.key() for request in got[:-1] for s in request})
    for s in got[-1]:
        equal(fixed(s.samples[0][2]), 0x7ff0000000000002)
    last_values(receiver)


def test_bearer(t):
    receiver = Receiver(t)
    t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=60,
          env=environment('http://127.0.0.1:%d/' % receiver.port, BEARER_TOKEN='tok', USERNAME='u', PASSWORD='p'))
    equal(receiver.got[0].headers.get_all('Authorization'), ['Bearer tok'])


def test_sigv4(t):
    receiver = Receiver(t)
    t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=60, env=environment(
        'http://127.0.0.1:%d/workspaces/ws-1/api/v1/remote_write' % receiver.port, SIGV4_REGION='eu-west-1',
        SIGV4_ACCESS_KEY='AKIDEXAMPLE', SIGV4_SECRET_KEY='wJalrXUtnFEMI'))
    got = receiver.got[0]
    m = re.fullmatch(r'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/(\d{8})/eu-west-1/aps/aws4_request, ?'
                     r'SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})', got.headers['Authorization'])
    check(m, 'authorization: %r', got.headers['Authorization'])
    lines = ''.join('%s:%s\n' % (name, ' '.join(got.headers[name].split())) for name in m[2].split(';'))
    digest = hashlib.sha256(got.body).hexdigest()
    canonical = '\n'.join(['POST', got.path, '', lines, m[2], digest])
    scope = '%s/eu-west-1/aps/aws4_request' % m[1]
    text = '\n'.join(['AWS4-HMAC-SHA256', got.headers['X-Amz-Date'], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = b'AWS4wJalrXUtnFEMI'
    for part in (m[1], 'eu-west-1', 'aps', 'aws4_request'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    equal(m[3], hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), 'signature')


def test_tls(t):
    receiver = Receiver(t, tls=tls.server_context(t.folder))
    url = 'https://127.0.0.1:%d/' % receiver.port
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=60, env=environment(url))
    one_warning(run, 'experimental-prometheus-rw', 'certificate')
    equal(receiver.got, [])
    t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=60, env=environment(url, INSECURE_SKIP_TLS_VERIFY='true'))
    equal(len(receiver.got), 1)


def test_client_certificate(t):
    context = tls.server_context(t.folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(t.path('cert.pem'))
    receiver = Receiver(t, tls=context)
    t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=30, env=environment(
        'https://localhost:%d/' % receiver.port, INSECURE_SKIP_TLS_VERIFY='true', TLS_MINIMUM_VERSION='1.2',
        CLIENT_CERTIFICATE=t.path('cert.pem'), CLIENT_CERTIFICATE_KEY=t.path('key.pem')))
    equal(len(receiver.got), 1)


def test_many_series(t):
    """More than one request per flush; every series arrives once."""
    receiver = Receiver(t)
    t.run('''import { Counter } from 'k6/metrics';
        const c = new Counter('my_counter');
        export const options = { iterations: 1 };
        export default function () { for (let i = 0; i < 50000; i++) c.add(i, { n: 'number ' + i }); }''',
          *OUT, prelude=False, env=environment('http://127.0.0.1:%d/' % receiver.port))
    check(len(receiver.got) >= 2, 'one request')
    values = {labels: v for (name, labels), v in last_values(receiver).items() if name == 'k6_my_counter_total'}
    equal(values, {(('n', 'number %d' % i),): float(i) for i in range(50000)})


def test_nobody_listens(t):
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=300, env=environment(
        'http://user:secret@127.0.0.1:%d/' % t.closed_port(), PUSH_INTERVAL='200ms'))
    one_warning(run, 'experimental-prometheus-rw', 'onnect', 'secret')
    between(run.seconds, 1, 6, 'seconds')


def test_never_answers(t):
    """The samples still flow, the run and its summary come in time."""
    receiver = Receiver(t, hang=True)
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=300, env=environment(
        'http://user:secret@127.0.0.1:%d/' % receiver.port, PUSH_INTERVAL='200ms'))
    one_warning(run, 'experimental-prometheus-rw', 'timed out', 'secret')
    between(run.seconds, 1, 10, 'seconds')
    check(len(run.of('iterations')) > 100, 'iterations')


def test_server_errors(t):
    """What the receiver could not take comes with the next request; what it refused does not."""
    receiver = Receiver(t, status=lambda n: 500 if n < 2 else 200, reply=b'no \x1b[31mroom\nmore')
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=300,
                env=environment('http://127.0.0.1:%d/' % receiver.port, PUSH_INTERVAL='200ms'))
    one_warning(run, 'experimental-prometheus-rw', 'HTTP status 500: no ')
    check('\x1b' not in run.stderr and '2 of ' in run.stderr, 'log: %s', run.stderr)
    values = [{s.name for s in request} for request in requests(receiver)]
    check(values[0] <= values[2], 'series that were not taken are not repeated')
    near(last_values(receiver)['k6_iterations_total', ()], run.count('iterations'))
    receiver = Receiver(t, status=400, reply=b'out of order sample')
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=90, env=environment('http://127.0.0.1:%d/' % receiver.port))
    one_warning(run, 'experimental-prometheus-rw', 'HTTP status 400: out of order sample')


def test_settings_refused(t):
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=300, code=255, env=environment('nonsense'))
    check('K6_PROMETHEUS_RW_SERVER_URL' in run.stderr, 'log: %s', run.stderr)


# --- the real one

def start_prometheus(t):
    path = program('prometheus', '/usr/bin/prometheus', '/usr/local/bin/prometheus')
    port, config = t.free_port(), t.write('prometheus.yml', 'global: {}\n')
    t.wait_port(port, t.spawn([
        path, '--config.file=' + config, '--storage.tsdb.path=' + t.path('tsdb'), '--web.listen-address=127.0.0.1:%d' % port,
        '--web.enable-remote-write-receiver', '--enable-feature=native-histograms']), 20)
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen('http://127.0.0.1:%d/-/ready' % port, timeout=2).read()
            return port
        except OSError:
            check(time.monotonic() < deadline, 'Prometheus never gets ready')
            time.sleep(0.1)


def query(port, text):
    """{labels but the name and run's own: value}"""
    url = 'http://127.0.0.1:%d/api/v1/query?%s' % (port, urllib.parse.urlencode({'query': text}))
    with urllib.request.urlopen(url, timeout=10) as answer:
        result = json.load(answer)['data']['result']
    own = ('__name__', 'group', 'scenario', 'run')
    return {tuple(sorted((k, v) for k, v in r['metric'].items() if k not in own)): float(r['value'][1]) for r in result}


def test_into_prometheus(t):
    port = start_prometheus(t)
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=600, env=environment(
        'http://127.0.0.1:%d/api/v1/write' % port, PUSH_INTERVAL='500ms', TREND_STATS='p(95),count,avg'))
    check(not run.logged('warning'), 'warnings: %r', run.logged('warning'))
    for kind in ('odd', 'even'):
        trend = [s.value / 1000 for s in run.of('my_trend', kind=kind)]
        tag = (('kind', kind),)
        near(query(port, 'k6_my_trend_p95')[tag], percentile(trend, 95))
        equal(query(port, 'k6_my_trend_count')[tag], len(trend))
        near(query(port, 'k6_my_counter_total')[tag], sum(s.value for s in run.of('my_counter', kind=kind)))
    near(query(port, 'sum(k6_iterations_total)')[()], run.count('iterations'))


def test_native_histograms_into_prometheus(t):
    port = start_prometheus(t)
    run = t.run(SCRIPT, *OUT, prelude=False, ITERATIONS=600, env=environment(
        'http://127.0.0.1:%d/api/v1/write' % port, PUSH_INTERVAL='500ms', TREND_AS_NATIVE_HISTOGRAM='true',
        STALE_MARKERS='false'))
    check(not run.logged('warning'), 'warnings: %r', run.logged('warning'))
    trend = sorted(s.value / 1000 for s in run.of('my_trend'))
    equal(query(port, 'histogram_count(sum(k6_my_trend_seconds))')[()], len(trend))
    near(query(port, 'histogram_sum(sum(k6_my_trend_seconds))')[()], sum(trend))
    got = query(port, 'histogram_quantile(0.95, sum(k6_my_trend_seconds))')[()]
    want = percentile(trend, 95)
    between(got, want / 1.1, want * 1.1, 'p95 within a bucket')
    check(math.isfinite(got), 'p95')
    equal(query(port, 'histogram_count(k6_my_plain)')[()], len(run.of('my_plain')))
