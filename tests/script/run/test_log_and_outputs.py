# SPDX-License-Identifier: Apache-2.0
"""Log lines, console rendering, the json and csv outputs, the summary's layout (ENG-220 to 247, MET-50 to 62)."""
import csv
import json
import re

from case import check, equal, mask_summary, read

LOG = '''export default function () {
  console.log('one', 2, true);
  console.warn('warned');
  console.error('bad');
  console.debug('hidden');
  console.info('a "quoted"\\nline');
}'''


def test_text_log(t):
    run = t.run(LOG, prelude=False)
    lines = [line for line in run.log if line.source == 'console']
    equal([(line.level, line.msg) for line in lines],
          [('info', 'one 2 true'), ('warning', 'warned'), ('error', 'bad'), ('info', 'a "quoted"\nline')])
    for line in lines:
        check(re.match(r'time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)" level=\w+ msg=', line.line),
              'form: %r', line)
    check('msg=warned ' in lines[1].line, 'a plain word is quoted: %r', lines[1])
    check(any(line.level == 'debug' and line.msg == 'hidden' for line in t.run(LOG, '--verbose', prelude=False).log),
          '--verbose shows no debug line')


def test_other_log_formats(t):
    run = t.run(LOG, '--log-format', 'raw', prelude=False)
    check('one 2 true\nwarned\nbad\na "quoted"\nline' in run.stderr, 'raw: %r', run.stderr)
    run = t.run(LOG, '--log-format', 'json', prelude=False)
    first = [json.loads(line) for line in run.stderr.split('\n') if 'one 2' in line][0]
    equal(list(first), ['level', 'msg', 'source', 'time'])
    equal((first['level'], first['msg'], first['source']), ('info', 'one 2 true', 'console'))


def test_log_output(t):
    run = t.run(LOG, '--log-output', 'none', prelude=False)
    equal(run.stderr, '')
    run = t.run(LOG, '--log-output', 'file=log.txt', prelude=False)
    check('one 2 true' in read(t.path('log.txt')), 'not in the file')
    run = t.run(LOG, '--console-output', 'console.txt', prelude=False)
    text = read(t.path('console.txt'))
    check('msg="one 2 true"' in text and 'source' not in text, 'console file: %r', text)
    check('one 2 true' not in run.stderr, 'still on stderr')


RENDERED = [
    ('{ a: 1 }', '{ a: 1 }'), ('{ a: "x", b: [1, "y"], c: null }', '{ a: "x", b: [ 1, "y" ], c: null }'),
    ('{ d: undefined }', '{ d: null }'),
    ('[1, , 3]', '[ 1, null, 3 ]'), ('{}', '{}'), ('[]', '[]'), ('() => 1', '[object Function]'),
    ('class A {}', '[object Function]'), ('new Error("e1")', 'Error: e1'), ('new TypeError("e2")', 'TypeError: e2'),
    ('new Uint8Array([1, 2])', 'Uint8Array(2) [ 1, 2 ]'), ('null', 'null'), ('undefined', 'undefined'),
    ('new ArrayBuffer(2)', 'ArrayBuffer { [Uint8Contents]: <00 00>, byteLength: 2 }'), ('-0', '0'), ('10n', '10'),
    ('new Map([[1, 2]])', '{}'), ('/re/', '{}'), ('cyclic', '{ self: [Circular] }'),
    ('new Date(0)', '"1970-01-01T00:00:00.000Z"'),
]


def test_console_rendering(t):
    """EC-51, ENG-221."""
    run = t.run('const cyclic = {}; cyclic.self = cyclic;\nexport default function () {\n%s\n}' % '\n'.join(
        'console.log(%s);' % expression for expression, _ in RENDERED), prelude=False)
    got = [line.msg for line in run.log if line.source == 'console']
    equal(list(zip([e for e, _ in RENDERED], got)), RENDERED)


METRICS = '''import { check, group } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
const c = new Counter('my_c'), g = new Gauge('my_g'), r = new Rate('my_r'), tr = new Trend('my_t', true);
export const options = { iterations: 3, thresholds: { my_c: ['count<100', { threshold: 'count>0', abortOnFail: true }],
                                                      'my_c{x:1}': ['count==6'] },
                         summaryTrendStats: ['avg', 'p(90)', 'p(99.99)', 'count'] };
export default function () {
  c.add(1 + __ITER, { x: '1', y: '<&>' });
  g.add([-2, -1, 0][__ITER]);
  r.add(__ITER > 0);
  tr.add(1 + __ITER);
  check(1, { 'is one': (v) => v === 1 });
  group('g', () => check(__ITER, { 'in g': (v) => v > 0 }));
}'''


POINT = re.compile(r'\{"metric":"\w+","type":"Point",'
                   r'"data":\{"time":"[^"]+","value":-?[\d.e+-]+,"tags":\{')


def test_json_output(t):
    """MET-51, MET-52."""
    run = t.run(METRICS, prelude=False)
    lines = read(run_points(t)).split('\n')
    head = [line for line in lines if line.startswith('{"type":"Metric","data":{"name":"my_c"')]
    equal(head, ['{"type":"Metric","data":{"name":"my_c","type":"counter","contains":"default",'
                 '"thresholds":["count<100",{"threshold":"count>0","abortOnFail":true,"delayAbortEval":%s}],"submetrics":[{"name":"my_c{x:1}",'
                 '"suffix":"x:1","tags":{"x":"1"}}]},"metric":"my_c"}' % delay(head[0] if head else '')])
    check('"type":"Metric","data":{"name":"my_t","type":"trend","contains":"time","thresholds":[],"submetrics":null}'
          in read(run_points(t)), 'the metric line of my_t')
    points = run.of('my_c')
    equal([s.value for s in points], [1, 2, 3])
    equal(points[0].tags, {'group': '', 'scenario': 'default', 'x': '1', 'y': '<&>'})
    check('"y":"<&>"' in read(run_points(t)), 'escaped')
    for line in lines:
        if '"type":"Point"' in line:
            check(POINT.match(line), 'key order: %s', line)
            tags = list(json.loads(line)['data']['tags'])
            equal(tags, sorted(tags))
    equal([(s.tags['check'], s.tags['group'], s.value) for s in run.of('checks')],
          [('is one', '', 1), ('in g', '::g', 0)] + [('is one', '', 1), ('in g', '::g', 1)] * 2)
    for metric in ('data_sent', 'data_received', 'iteration_duration', 'iterations'):
        equal(len(run.of(metric)), 3, metric)
    first = [s.metric for s in run.samples[:run.samples.index(run.of('iterations')[0]) + 1]]
    equal(first[-5:], ['group_duration', 'data_sent', 'data_received', 'iteration_duration', 'iterations'])


def run_points(t):
    return t.last.points_path


def delay(line):
    """The value of delayAbortEval: its form when unset is not laid down."""
    m = re.search(r'"delayAbortEval":([^,}]+)', line)
    return m[1] if m else '?'


def test_system_tags_and_metadata(t):
    """MC-7, MC-17."""
    script = "import { check } from 'k6';\nexport default function () { check(1, { c: () => true }); }"
    run = t.run(script, '--system-tags', 'check,group,vu,iter,scenario', prelude=False)
    s = run.of('checks')[0]
    equal((s.tags, s.metadata), ({'check': 'c', 'group': '', 'scenario': 'default'}, {'iter': '0', 'vu': '1'}))
    run = t.run(script, '--system-tags', '', prelude=False)
    equal({json.dumps(s.tags) for s in run.samples}, {'{}'})


def test_csv_output(t):
    """MET-61, MET-62."""
    t.run(METRICS, '--out', 'csv=o.csv', '--tag', 'k=v,"q"', prelude=False)
    with open(t.path('o.csv'), encoding='utf-8', newline='') as f:
        rows = list(csv.DictReader(f))
    equal(list(rows[0]), 'metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,'
          'proto,scenario,service,status,subproto,tls_version,url,extra_tags,metadata'.split(','))
    mine = [row for row in rows if row['metric_name'] == 'my_c']
    equal([row['metric_value'] for row in mine], ['1.000000', '2.000000', '3.000000'])
    check(re.fullmatch(r'\d{10}', mine[0]['timestamp']), 'timestamp: %r', mine[0]['timestamp'])
    check('k=v,"q"' in mine[0]['extra_tags'] and 'x=1' in mine[0]['extra_tags'], 'extra_tags: %r', mine[0])


def test_summary_layout(t):
    """ENG-241 to ENG-246."""
    thresholds = "checks: ['rate>0.5'], 'my_c{x:1}': ['count==6']"
    run = t.run(re.sub(r'thresholds: \{.*?\] \}', 'thresholds: { %s }' % thresholds, METRICS, flags=re.S), prelude=False)
    text = mask_summary(run.stdout)
    want = '''
  █ THRESHOLDS

    checks
    ✓ 'rate>0.5' rate=83.33%

    my_c{x:1}
    ✓ 'count==6' count=6


  █ TOTAL RESULTS

    checks_total.......: 6 */s
    checks_succeeded...: 83.33% 5 out of 6
    checks_failed......: 16.66% 1 out of 6

    ✓ is one
    ✗ in g
      ↳  66% — ✓ 2 / ✗ 1

    CUSTOM
    my_c.................: 6 */s
      { x:1 }............: 6 */s
    my_g.................: 0 min=-2 max=0
    my_r.................: 66.66% 2 out of 3
    my_t.................: avg=* p(90)=* p(99.99)=* count=3

    EXECUTION
    iteration_duration...: avg=* p(90)=* p(99.99)=* count=3
    iterations...........: 3 */s

    NETWORK
    data_received........: * */s
    data_sent............: * */s
'''
    at = text.find('\n  █ THRESHOLDS')
    check(at >= 0, 'no thresholds: %s', text)
    equal(text[at:at + len(want)].split('\n'), want.split('\n'))
    m = re.search(r'my_t\.+: (.*)', run.stdout)
    equal(re.sub(r' +', ' ', m[1]).strip(), 'avg=2ms p(90)=2.8ms p(99.99)=2.99ms count=3')


def test_summary_modes(t):
    run = t.run(METRICS, '--summary-mode', 'full', prelude=False)
    check('█ GROUP: g' in run.stdout, 'no group section')
    run = t.run(METRICS, '--summary-mode', 'disabled', '--summary-export', 'z.json', prelude=False)
    check('TOTAL RESULTS' not in run.stdout, 'a summary was printed')
    run = t.run(METRICS, '--summary-export', 'x.json', prelude=False)
    data = json.loads(read(t.path('x.json')))
    equal(data['metrics']['my_c']['count'], 6)
    equal(data['metrics']['my_c']['thresholds'], {'count<100': False, 'count>0': False})
    run = t.run('export default function () {}', '--quiet', prelude=False)
    check('execution: local' not in run.stdout and 'TOTAL RESULTS' in run.stdout, '--quiet: %s', run.stdout)


def test_trend_statistics(t):
    """MC-1, MC-2, MC-3."""
    run = t.run('''import { Gauge, Rate, Trend } from 'k6/metrics';
const tr = new Trend('my_t'), g = new Gauge('my_g'), r = new Rate('my_r');
export const options = { summaryTrendStats: ['min', 'avg', 'med', 'max', 'p(33.3)', 'p(99.99)', 'count'] };
export default function () {
  for (const v of [5, 3, 1, 2, 4]) tr.add(v);
  for (const v of [-5, -1, -3]) g.add(v);
  for (const v of ['0', '', 2, false, 'x']) r.add(v);
}''', prelude=False)
    flat = re.sub(r' +', ' ', run.stdout)
    check('min=1 avg=3 med=3 max=5 p(33.3)=2.332 p(99.99)=4.9996 count=5' in flat, 'trend: %s', flat)
    check(re.search(r'my_g\.+: -3 min=-5 max=-1', flat), 'gauge: %s', flat)
    check(re.search(r'my_r\.+: 50\.00% 2 out of 4', flat), 'rate: %s', flat)
    equal(len(run.logged('warning')), 1)
