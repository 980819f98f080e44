# SPDX-License-Identifier: Apache-2.0
"""--out opentelemetry: OTLP over HTTP as MET-90 and MET-91 say."""
import struct
import time

from case import check, equal
from receivers import SCRIPT, Receiver, double, fields, first, fixed, one_warning, packed_varints, signed, zigzag
from servers import tls

BOUNDS = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]
OWN = ('scenario', 'group', 'run')


def environment(port, **more):
    env = {'K6_OTEL_HTTP_EXPORTER_ENDPOINT': '127.0.0.1:%d' % port, 'K6_OTEL_HTTP_EXPORTER_INSECURE': 'true',
           'K6_OTEL_EXPORT_INTERVAL': '300ms'}
    env.update(('K6_OTEL_' + name, value) for name, value in more.items())
    return env


def attributes(values):
    out = {}
    for value in values:
        value = fields(value)
        name = first(value, 1).decode()
        check(name not in out, 'attribute %s twice', name)
        out[name] = first(fields(first(value, 2)), 1).decode()
    return out


def export(got):
    """(resource attributes, {metric name: (unit, kind field, data, [points])}) of a request."""
    equal(got.headers['Content-Type'], 'application/x-protobuf')
    request = fields(got.body)
    equal([n for n, _ in request], [1])
    resource_metrics = fields(request[0][1])
    resource = attributes(v for n, v in fields(first(resource_metrics, 1)) if n == 1)
    scope_metrics = fields(first(resource_metrics, 2))
    equal(first(fields(first(scope_metrics, 1)), 1), b'squall')
    metrics = {}
    for number, metric in scope_metrics:
        if number != 2:
            continue
        metric = fields(metric)
        name = first(metric, 1).decode()
        check(name not in metrics, 'metric %s twice', name)
        kind = [n for n, _ in metric if n >= 5]
        equal(len(kind), 1)
        data = fields(first(metric, kind[0]))
        metrics[name] = (first(metric, 3, b'').decode(), kind[0], data, [fields(v) for n, v in data if n == 1])
    return resource, metrics


def by_attributes(points, field):
    out = {}
    for point in points:
        own = attributes(v for n, v in point if n == field)
        out[tuple(sorted((k, v) for k, v in own.items() if k not in OWN))] = point
    equal(len(out), len(points), 'points with the same attributes')
    return out


def test_protocol_and_values(t):
    receiver = Receiver(t, status=200)
    run = t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=300, env=environment(
        receiver.port, SERVICE_NAME='svc', SERVICE_VERSION='9', METRIC_PREFIX='pre.', HEADERS='x-one=1,x-two=a=b',
        HTTP_EXPORTER_USERNAME='u', HTTP_EXPORTER_PASSWORD='p', EXPORTER_PROTOCOL='http/protobuf'))
    check(len(receiver.got) >= 3, 'only %d exports', len(receiver.got))
    for got in receiver.got:
        equal((got.path, got.headers['x-one'], got.headers['x-two']), ('/v1/metrics', '1', 'a=b'))
        equal(got.headers['Authorization'], 'Basic dTpw')
    resource, metrics = export(receiver.got[-1])
    equal(resource, {'service.name': 'svc', 'service.version': '9'})

    unit, kind, data, points = metrics['pre.my_counter']
    equal((unit, kind, first(data, 2), first(data, 3)), ('', 7, 2, 1))
    for key, point in by_attributes(points, 7).items():
        equal(double(first(point, 4)), sum(s.value for s in run.of('my_counter', **dict(key))))
        check(0 < time.time() - fixed(first(point, 3)) / 1e9 < 60 and fixed(first(point, 2)) < fixed(first(point, 3)), 'times')
    unit, kind, data, points = metrics['pre.my_gauge']
    equal((kind, first(data, 2)), (5, None))
    check(double(first(points[0], 4)) in [s.value for s in run.of('my_gauge')], 'gauge')
    equal(metrics['pre.data_sent'][0], 'By')

    unit, kind, data, points = metrics['pre.checks.total']
    equal((kind, first(data, 2), first(data, 3)), (7, 2, 1))
    points = by_attributes(points, 7)
    for condition, value in (('nonzero', 1), ('zero', 0)):
        point = points[('check', 'is one'), ('condition', condition)]
        equal(signed(fixed(first(point, 6))), sum(s.value == value for s in run.of('checks')))

    unit, kind, data, points = metrics['pre.my_trend']
    equal((unit, kind, first(data, 2)), ('ms', 9, 2))
    for key, point in by_attributes(points, 9).items():
        values = [s.value for s in run.of('my_trend', **dict(key))]
        equal(fixed(first(point, 4)), len(values))
        equal((double(first(point, 5)), double(first(point, 11)), double(first(point, 12))),
              (sum(values), min(values), max(values)))
        equal(list(struct.unpack('<15d', first(point, 7))), BOUNDS)
        edges = [float('-inf')] + BOUNDS + [float('inf')]
        equal(list(struct.unpack('<16Q', first(point, 6))),
              [sum(low < v <= high for v in values) for low, high in zip(edges, edges[1:])])
    equal(set(export(receiver.got[-1])[1]), {'pre.' + m + ('.total' if m in ('checks', 'my_rate') else '')
                                             for m in {s.metric for s in run.samples}})


def test_exponential_histograms(t):
    receiver = Receiver(t, status=200)
    run = t.run(SCRIPT, '--out', 'experimental-opentelemetry', prelude=False, ITERATIONS=150,
                env=environment(receiver.port, EXPONENTIAL_HISTOGRAMS='true'))
    check(run.logged('warning', "now called 'opentelemetry'"), 'no warning of the old name')
    resource, metrics = export(receiver.got[-1])
    equal(resource['service.name'], 'k6')
    _, kind, _, points = metrics['my_plain']
    equal(kind, 10)
    values, point = [s.value for s in run.of('my_plain')], points[0]
    scale = zigzag(first(point, 6))
    equal((fixed(first(point, 4)), fixed(first(point, 7))), (len(values), sum(v == 0 for v in values)))
    half = fields(first(point, 8))
    offset, counts = zigzag(first(half, 1)), packed_varints(first(half, 2))
    check(len(counts) <= 160, '%d buckets', len(counts))
    base = 2 ** (2.0 ** -scale)
    for i, count in enumerate(counts):
        low, high = base ** (offset + i), base ** (offset + i + 1)
        equal(count, sum(low * (1 + 1e-12) < v <= high * (1 + 1e-12) for v in values), 'bucket %g..%g' % (low, high))


def test_service_name_of_the_environment(t):
    receiver = Receiver(t, status=200)
    env = environment(receiver.port)
    env['OTEL_SERVICE_NAME'] = 'other'
    t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=60, env=env)
    equal(export(receiver.got[-1])[0]['service.name'], 'other')


def test_tls(t):
    receiver = Receiver(t, status=200, tls=tls.server_context(t.folder))
    env = environment(receiver.port, TLS_CERTIFICATE=t.path('cert.pem'))
    del env['K6_OTEL_HTTP_EXPORTER_INSECURE']
    t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=60, env=env)
    check(receiver.got, 'nothing came')
    del env['K6_OTEL_TLS_CERTIFICATE']
    run = t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=60, env=env)
    one_warning(run, 'opentelemetry', 'certificate')


def test_grpc_is_refused(t):
    run = t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=300, code=None,
                env={'K6_OTEL_EXPORTER_PROTOCOL': 'grpc'})
    check(run.code in (104, 255), 'exit code %d', run.code)
    check('K6_OTEL_EXPORTER_PROTOCOL=http/protobuf' in run.stderr, 'log: %s', run.stderr)


def test_failures(t):
    run = t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=210,
                env=environment(t.closed_port(), HTTP_EXPORTER_USERNAME='u', HTTP_EXPORTER_PASSWORD='secret'))
    one_warning(run, 'opentelemetry', 'onnect', 'secret')
    receiver = Receiver(t, status=503)
    run = t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=210, env=environment(receiver.port))
    one_warning(run, 'opentelemetry', 'HTTP status 503')
    receiver = Receiver(t, hang=True)
    run = t.run(SCRIPT, '--out', 'opentelemetry', prelude=False, ITERATIONS=210, env=environment(receiver.port))
    one_warning(run, 'opentelemetry', '127.0.0.1')
    check(run.seconds < 16, 'took %g s', run.seconds)
