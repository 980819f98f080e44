# SPDX-License-Identifier: Apache-2.0
"""--out statsd (MC-23): every sample as a line, with DogStatsD's tags when asked for."""
import re
from collections import Counter

from case import check, equal
from receivers import SCRIPT, Datagrams, one_warning

LINE = re.compile(r'(k6\.[\w. ]+):(-?[\d.e+-]+)\|(c|g|ms)(?:\|#(.+))?')


def parsed(receiver):
    out = []
    for datagram in receiver.all():
        check(datagram.endswith(b'\n') and datagram.count(b'\n') <= 20 and len(datagram) <= 1432, 'datagram')
        for line in datagram.decode().splitlines():
            m = LINE.fullmatch(line)
            check(m, 'not a line: %r', line)
            out.append((m[1], float(m[2]), m[3], m[4]))
    return out


def test_plain(t):
    receiver = Datagrams(t)
    run = t.run(SCRIPT, '--out', 'statsd', prelude=False, ITERATIONS=150,
                env={'K6_STATSD_ADDR': '127.0.0.1:%d' % receiver.port, 'K6_STATSD_PUSH_INTERVAL': '100ms'})
    got = parsed(receiver)
    equal(len(got), len(run.samples), 'a line per sample')
    check(all(tags is None for *_, tags in got), 'tags')
    for metric, kind in (('my_counter', 'c'), ('my_gauge', 'g'), ('my_trend', 'ms'), ('my_rate', 'c')):
        equal(Counter((v, k) for n, v, k, _ in got if n == 'k6.' + metric),
              Counter((s.value, kind) for s in run.of(metric)), metric)
    equal(sum(v for n, v, _, _ in got if n == 'k6.check.is one.pass'), run.count('checks'))
    equal(sum(n == 'k6.check.is one.fail' for n, *_ in got), sum(s.value == 0 for s in run.of('checks')))


def test_tags(t):
    receiver = Datagrams(t)
    run = t.run(SCRIPT, '--out', 'statsd=127.0.0.1:%d' % receiver.port, prelude=False, ITERATIONS=90,
                env={'K6_STATSD_ENABLE_TAGS': 'true', 'K6_STATSD_TAG_BLOCKLIST': 'scenario,vu'})
    got = [line for line in parsed(receiver) if line[0] == 'k6.my_counter']
    equal(Counter(tags for *_, tags in got),
          Counter('kind:%s,run:a b' % s.tags['kind'] for s in run.of('my_counter')))


def test_nobody_listens(t):
    run = t.run(SCRIPT, '--out', 'statsd=127.0.0.1:%d' % t.closed_port(), prelude=False, ITERATIONS=90,
                env={'K6_STATSD_PUSH_INTERVAL': '50ms'})
    one_warning(run, 'statsd', 'Connection refused')
