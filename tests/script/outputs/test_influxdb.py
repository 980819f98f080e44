# SPDX-License-Identifier: Apache-2.0
"""--out influxdb: the line protocol of MET-70 to MET-72, into a listener and into InfluxDB 1."""
import base64
import json
import re
import time
import urllib.parse
import urllib.request

from case import check, equal, parse_time
from receivers import SCRIPT, Datagrams, Receiver, one_warning, program

LINE = re.compile(r'(?P<name>\w+)(?P<tags>(?:,(?:[^\\, =]|\\.)+=(?:[^\\, =]|\\.)+)*) value=(?P<value>-?[\d.e+-]+)'
                  r'(?P<fields>(?:,\w+="(?:[^"\\]|\\.)*")*) (?P<time>\d+)')


def lines(text):
    """[(name, tags, value, fields, ns)], the form of each checked."""
    out = []
    for line in text.splitlines():
        m = LINE.fullmatch(line)
        check(m, 'not a line: %r', line)
        tags = [tuple(re.sub(r'\\(.)', r'\1', part) for part in re.split(r'(?<!\\)=', tag))
                for tag in re.split(r'(?<!\\),', m['tags'])[1:]]
        equal(tags, sorted(tags), 'tag order')
        out.append((m['name'], dict(tags), float(m['value']), m['fields'], int(m['time'])))
    return out


def compare(got, run):
    """Every sample of the json output is there, with its tags and to the microsecond."""
    got, want = sorted(got, key=repr), []
    for s in run.samples:
        tags = {k: v for k, v in s.tags.items() if v and k != 'url'}
        want.append((s.metric, tags, float(s.value), '', s.time))
    equal(len(got), len(want), 'lines')
    key = lambda s: (s[0], sorted(s[1].items()), s[2], s[4])
    for a, b in zip(sorted(got, key=key), sorted(want, key=key)):
        equal((a[0], a[1]), (b[0], b[1]))
        check(abs(a[2] - b[2]) < 1e-9 * max(1, abs(b[2])), 'value %r, want %r', a, b)


def test_protocol(t):
    receiver = Receiver(t)
    run = t.run(SCRIPT, '--out', 'influxdb=http://us%%65r:pa%%3Ass@127.0.0.1:%d/pre/fix/my%%20db?retention=r%%26p&'
                'pushInterval=300ms' % receiver.port, prelude=False, ITERATIONS=300)
    first, rest = receiver.got[0], receiver.got[1:]
    equal(first.path, '/pre/fix/query?q=CREATE%20DATABASE%20%22my%20db%22')
    check(len(rest) >= 3, 'only %d writes', len(rest))
    for got in rest:
        equal(got.path, '/pre/fix/write?consistency=&db=my%20db&precision=ns&rp=r%26p')
    for got in receiver.got:
        equal(got.headers['Authorization'], 'Basic ' + base64.b64encode(b'user:pa:ss').decode())
    compare(lines(b''.join(got.body for got in rest).decode()), run)
    check(not run.logged('warning'), 'warnings: %r', run.logged('warning'))


def test_environment(t):
    receiver = Receiver(t)
    t.run(SCRIPT, '--out', 'influxdb', prelude=False, ITERATIONS=60, env={
        'K6_INFLUXDB_ADDR': 'http://127.0.0.1:%d' % receiver.port, 'K6_INFLUXDB_DB': 'mydb',
        'K6_INFLUXDB_USERNAME': 'u', 'K6_INFLUXDB_PASSWORD': 'p', 'K6_INFLUXDB_PRECISION': 's',
        'K6_INFLUXDB_CONSISTENCY': 'any', 'K6_INFLUXDB_RETENTION': 'rp', 'K6_INFLUXDB_CONCURRENT_WRITES': '2'})
    equal([got.path for got in receiver.got], ['/query?q=CREATE%20DATABASE%20mydb',
                                               '/write?consistency=any&db=mydb&precision=s&rp=rp'])
    equal(receiver.got[0].headers['Authorization'], 'Basic ' + base64.b64encode(b'u:p').decode())
    now = time.time()
    check(all(abs(ns - now) < 60 for *_, ns in lines(receiver.got[1].body.decode())), 'precision')


def test_proxy(t):
    """Our own variable counts everywhere; the environment's proxy is not asked for this very machine."""
    proxy = Receiver(t)
    t.run(SCRIPT, '--out', 'influxdb=http://db.invalid:8086/k6', prelude=False, ITERATIONS=30,
          env={'K6_INFLUXDB_PROXY': 'http://127.0.0.1:%d' % proxy.port})
    equal([got.path.split('?')[0] for got in proxy.got], ['http://db.invalid:8086/query', 'http://db.invalid:8086/write'])
    receiver = Receiver(t)
    t.run(SCRIPT, '--out', 'influxdb=http://127.0.0.1:%d/k6' % receiver.port, prelude=False, ITERATIONS=30,
          env={'http_proxy': 'http://127.0.0.1:%d' % proxy.port})
    equal((len(proxy.got), len(receiver.got)), (2, 2))


def test_udp(t):
    receiver = Datagrams(t)
    run = t.run(SCRIPT, '--out', 'influxdb=udp://127.0.0.1:%d' % receiver.port, prelude=False, ITERATIONS=150)
    got = receiver.all()
    check(all(d.endswith(b'\n') and len(d) <= 1432 for d in got), 'datagrams')
    compare(lines(b''.join(got).decode()), run)


def test_failures(t):
    url = 'influxdb=http://user:secret@127.0.0.1:%d/db?pushInterval=200ms'
    run = t.run(SCRIPT, '--out', url % t.closed_port(), prelude=False, ITERATIONS=210)
    one_warning(run, 'influxdb', 'onnect', 'secret')
    run = t.run(SCRIPT, '--out', url % Receiver(t, status=500).port, prelude=False, ITERATIONS=210)
    one_warning(run, 'influxdb', 'HTTP status 500', 'secret')
    check(len(run.of('iterations')) > 50, 'iterations')


def test_never_answers(t):
    receiver = Receiver(t, hang=True)
    run = t.run(SCRIPT, '--out', 'influxdb=http://user:secret@127.0.0.1:%d/db?pushInterval=200ms' % receiver.port,
                prelude=False, ITERATIONS=210)
    one_warning(run, 'influxdb', 'http://127.0.0.1', 'secret')
    check(run.seconds < 9, 'took %g s', run.seconds)


def test_credentials_are_not_shown(t):
    run = t.run(SCRIPT, '--out', 'influxdb=http://user:secret@127.0.0.1:%d/db' % Receiver(t).port, prelude=False,
                ITERATIONS=30)
    check('secret' not in run.stdout + run.stderr, 'credentials in what squall prints:\n%s', run.stdout)


CONFIG = '''reporting-disabled = true
bind-address = "127.0.0.1:%(rpc)d"
[meta]
  dir = "%(dir)s/meta"
[data]
  dir = "%(dir)s/data"
  wal-dir = "%(dir)s/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:%(port)d"
  auth-enabled = false
'''


def test_into_influxdb(t):
    path = program('influxdb', '/usr/bin/influxd', '/usr/local/bin/influxd')
    port = t.free_port()
    config = t.write('influxdb.conf', CONFIG % {'dir': t.path('influx'), 'port': port, 'rpc': t.free_port()})
    t.wait_port(port, t.spawn([path, '-config', config]), 20)
    run = t.run(SCRIPT, '--out', 'influxdb=http://127.0.0.1:%d/load?pushInterval=500ms' % port, prelude=False,
                ITERATIONS=450)
    check(not run.logged('warning'), 'warnings: %r', run.logged('warning'))

    def query(text):
        url = 'http://127.0.0.1:%d/query?%s' % (port, urllib.parse.urlencode({'db': 'load', 'q': text}))
        with urllib.request.urlopen(url, timeout=10) as answer:
            series = json.load(answer)['results'][0].get('series', [])
        return {tuple(sorted((s.get('tags') or {}).items())): s['values'] for s in series}

    # Points of one series with the same time are one point to InfluxDB; it has ns, and so have we.
    for kind, rows in query('SELECT value FROM my_counter GROUP BY kind').items():
        want = run.of('my_counter', **dict(kind))
        equal(sorted(v for _, v in rows), sorted(s.value for s in want))
        check(abs(parse_time(rows[0][0]) - min(s.time for s in want)) < 1e-3, 'time')
    count = list(query('SELECT count(value) FROM checks WHERE "check" = \'is one\'').values())[0][0][1]
    equal(count, len(run.of('checks')))
    check('load' in json.dumps(list(query('SHOW DATABASES').values())), 'the database')
