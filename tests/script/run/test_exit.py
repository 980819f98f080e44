# SPDX-License-Identifier: Apache-2.0
"""Exit codes, signals, thresholds, setup and teardown (ENG-30 to ENG-42, ENG-180 to ENG-204)."""
import json
import signal
import time

from case import between, check, equal

EXEC = "import exec from 'k6/execution';\n"
SLEEP = "import { sleep } from 'k6';\n"
EMPTY = 'export default function () {}\n'


def code(t, want, script, *flags, **kw):
    return t.run(script, *flags, code=want, prelude=False, **kw)


def events(t, want, script, *flags, **kw):
    return t.run(script, *flags, code=want, **kw)


def test_bad_command_lines(t):
    """EC-2."""
    t.write('s.js', EMPTY)
    for args in (['run'], ['run', '--nope', 's.js'], ['run', 'missing.js'], ['run', 's.js', 's.js'],
                 ['run', '--summary-mode', 'legacy', 's.js'], ['run', '--out', 'nope', 's.js'],
                 ['run', '-d', '2', 's.js'], ['run', '-e', '1X=2', 's.js'], ['run', '--tag', 'x', 's.js'], ['nope']):
        run = t.start_args(*args).wait(code=255)
        check(run.stderr, '%r: nothing on stderr', args)


def test_numbers_that_make_no_sense(t):
    t.write('s.js', EMPTY)
    for args, word in ((['--workers', '-1'], 'workers must not be negative'),
                       (['-c', t.path('.')], 'Is a directory')):
        run = t.start_args('run', *args, 's.js').wait(code=104)
        check(word in run.stderr, '%r: %s', args, run.stderr)


def test_script_errors(t):
    """EC-3, EC-4, EC-56, EC-60."""
    t.write('d.json', '{}')
    t.write('m.js', 'export const a = 1;')
    for script in ('export default function ( {', "throw new Error('x');", "import d from './missing.js';",
                   "import l from 'lodash';", "import { a } from './m';", "import { nope } from './m.js';",
                   "import x from 'k6/nope';", "throw 'str';", 'exports.x = 1;'):
        run = code(t, 107, script + "\nexport default function () { console.log('EV [\"ran\"]'); }")
        equal(run.events, [], script)
        check(run.logged('error'), '%s: no error logged', script)
        equal(run.of('iterations'), [])


def test_exports(t):
    """EC-5, EC-6, EC-7."""
    code(t, 255, '')
    code(t, 255, 'export const options = {};')
    code(t, 104, 'export default 5; export function foo() {}')
    code(t, 255, 'export const setup = 5;' + EMPTY)
    run = events(t, 0, '''export function other() { ev('other'); }
export const options = { scenarios: { s: { executor: 'per-vu-iterations', exec: 'other' } } };''')
    equal(run.events, [['other']])


def test_option_errors(t):
    """EC-8 to EC-12, EC-33, EC-36."""
    run = code(t, 0, 'export const options = { vus: 1, foo: 2, iterations: 1 };' + EMPTY)
    equal(len(run.logged('warning')), 1)
    check('foo' in run.logged('warning')[0].msg, 'the warning does not name the option: %r', run.logged('warning'))
    shared = "executor: 'shared-iterations'"
    for options in ('{ scenarios: { s: { %s, foo: 1 } } }' % shared, "{ vus: 'abc' }",
                    '{ scenarios: { s: { %s, vus: 1.5 } } }' % shared,
                    "{ scenarios: { s: { executor: 'externally-controlled', vus: 1, duration: '1s' } } }",
                    '{ scenarios: { s: { vus: 1 } } }', "{ duration: '1s', stages: [{ duration: '1s', target: 1 }] }",
                    "{ duration: '5 s' }", "{ duration: '1h 5m' }", '{ duration: true }', "{ duration: '500ms' }",
                    '{ vus: 5, iterations: 2 }', '{ vus: 0, iterations: 1 }'):
        run = code(t, 104, 'export const options = %s;' % options + EMPTY)
        check(run.stderr, '%s: nothing logged', options)
    run = code(t, 0, "export const options = { scenarios: { s: { %s, vus: '3', iterations: 3 } } };" % shared + EMPTY)
    equal(run.count('iterations'), 3)
    run = code(t, 104, '''export const options = { scenarios: { 'a b': {
  executor: 'constant-vus', vus: 0, duration: '500ms', exec: 'nope' } } };''' + EMPTY)
    for word in ('a b', 'vus', 'duration', 'nope'):
        check(word in run.stderr, 'problem with %r is not reported: %s', word, run.stderr)


def test_iterations_that_throw(t):
    """EC-13."""
    run = code(t, 0, "export default function () { throw new Error('each'); }", '-i', '3')
    equal(len(run.logged('error', 'each')), 3)
    equal(run.count('iterations'), 3)


def test_setup_throws(t):
    """EC-14."""
    run = events(t, 107, '''export function setup() { throw new Error('in setup'); }
export default function () { ev('ran'); }
export function teardown() { ev('teardown'); }''')
    equal(run.events, [])
    check(run.logged('error', 'in setup'), 'not logged')
    check('TOTAL RESULTS' in run.stdout, 'no summary')


def test_setup_and_teardown_time_out(t):
    """EC-15, EC-16."""
    run = events(t, 100, SLEEP + '''export const options = { setupTimeout: '500ms' };
export function setup() { sleep(30); }
export default function () { ev('ran'); }''')
    between(run.seconds, 0.5, 4, 'run')
    equal(run.events, [])
    run = events(t, 101, SLEEP + '''export const options = { teardownTimeout: '500ms' };
export default function () { ev('ran'); }
export function teardown() { sleep(30); }''')
    between(run.seconds, 0.5, 4, 'run')
    equal(run.events, [['ran']])


def test_abort(t):
    """EC-17, EC-18."""
    run = events(t, 108, EXEC + '''export default function () { exec.test.abort('why'); ev('wrong'); }
export function teardown() { ev('teardown'); }''', '-u', '2', '-i', '50')
    equal(run.events, [['teardown']])
    check(run.logged(text='why'), 'the reason is not logged')
    check('TOTAL RESULTS' in run.stdout, 'no summary')
    run = events(t, 108, EXEC + '''exec.test.abort('at load');
export default function () { ev('ran'); }''')
    equal(run.events, [])
    run = events(t, 108, EXEC + '''export function setup() { exec.test.abort('s'); }
export default function () { ev('ran'); }
export function teardown() { ev('teardown'); }''')
    equal(run.events, [])


def test_fail(t):
    """EC-19."""
    run = events(t, 110, EXEC + "export default function () { exec.test.fail('marked'); ev('on'); }")
    equal(run.events, [['on']])
    check(run.logged('error', 'marked'), 'not logged')
    equal(run.count('iterations'), 1)


THRESHOLDS = '''import { Counter, Trend, Rate } from 'k6/metrics';
const c = new Counter('my_c'), tr = new Trend('my_t'), r = new Rate('my_r');
export const options = { iterations: 2, thresholds: { %s } };
export default function () {
  c.add(3);
  tr.add(10 + 10 * __ITER, { a: __ITER ? 'y' : 'x' });
  r.add(__ITER, { u: 'http://a/b:c' });
}'''


def test_threshold_expressions(t):
    """EC-20, EC-23, EC-25, EC-27, EC-29."""
    good = {"'my_t'": ['p(50)==15', 'med===15', ' avg  <  16 ', 'p(99.9) < 2e1', 'p(0)==10', 'p(100)==20', 'min>-1'],
            "'my_t{a:x}'": ['avg==10'], "'my_t{ a : x }'": ['max==10'], "'my_t{a:\"y\"}'": ['avg==20'],
            "'my_r{u:http://a/b:c}'": ['rate==0.5'], "'checks'": ['rate>0.9'], "'my_c'": ['count==6', 'count<100']}
    run = code(t, 0, THRESHOLDS % ', '.join('%s: %r' % pair for pair in good.items()))
    check('THRESHOLDS' in run.stdout and "✓ 'count==6' count=6" in run.stdout, 'summary: %s', run.stdout)
    run = code(t, 99, THRESHOLDS % "my_c: ['count>6', 'count<100']")
    at = [run.stdout.find(line) for line in ("✗ 'count>6' count=6", "✓ 'count<100' count=6")]
    check(0 < at[0] < at[1], 'summary: %s', run.stdout)
    check('my_c' in run.stderr, 'the failed metric is not named')


def test_bad_thresholds(t):
    """EC-21, EC-22, EC-24, EC-26."""
    bad = ["nope: ['count>5']", "my_c: ['avg>5']", "my_c: ['foo>5']", "my_c: 'count>5'"]
    bad += ["my_t: [%r]" % e for e in ('avg<16ms', 'p(150)<16', 'avg<5 || max<10', 'avg=<16', 'avg<', '-1<avg',
                                       'count<16')]
    bad += ["%r: ['avg<1']" % m for m in ('my_t{}', 'my_t{a}', 'my_t{a:}', 'my_t{a:x')]
    for thresholds in bad:
        run = code(t, 104, THRESHOLDS % thresholds)
        check(run.stderr, '%s: nothing logged', thresholds)
    for thresholds in bad[:3]:
        code(t, 0, THRESHOLDS % thresholds, '--no-thresholds')


def test_abort_on_fail(t):
    """EC-28."""
    run = events(t, 99, SLEEP + '''import { Trend } from 'k6/metrics';
const tr = new Trend('my_t');
export const options = { duration: '12s', thresholds: { my_t: [{ threshold: 'max<5', abortOnFail: true }] } };
export default function () { tr.add(10); sleep(0.1); }
export function teardown() { ev('teardown'); }''')
    between(run.seconds, 1.5, 6, 'run')
    equal(run.events, [['teardown']])


def test_setup_data(t):
    """EC-47, EC-48."""
    for value, want in (('', 'undefined'), ('return null;', 'object'), ("return 'str';", 'string')):
        run = events(t, 0, 'export function setup() { %s } export default function (d) { ev(typeof d, d); }' % value)
        equal(run.events[0][0], want)
    run = events(t, 0, '''export const options = { iterations: 3 };
export function setup() { return { n: 1, f: 1.5, s: 'x', a: [1, { b: null }] }; }
export default function (d) { d.cnt = (d.cnt || 0) + 1; ev('cnt', d.cnt); }
export function teardown(d) { ev('down', d); }''')
    equal(run.events, [['cnt', 1], ['cnt', 2], ['cnt', 3],
                       ['down', {'n': 1, 'f': 1.5, 's': 'x', 'a': [1, {'b': None}]}]])


def test_interrupted_by_signal(t):
    """EC-52, with shorter times."""
    p = t.start(SLEEP + '''export const options = { vus: 2, duration: '20s' };
export default function () { ev('ran'); sleep(10); }
export function teardown() { sleep(0.5); ev('teardown'); }
export function handleSummary() { return { stdout: 'SUMMARY\\n' }; }''')
    p.wait_event('ran')
    time.sleep(0.5)
    sent = time.monotonic()
    p.signal(signal.SIGINT)
    run = p.wait(code=105)
    between(time.monotonic() - sent, 0.5, 3.5, 'end after the signal')
    equal(run.ev('teardown'), [['teardown']])
    check('SUMMARY' in run.stdout, 'no summary')
    equal(run.of('iterations'), [])


def test_handle_summary(t):
    """EC-62, EC-63."""
    run = code(t, 0, '''export default function () {}
export function handleSummary(d) { return { 'a.json': JSON.stringify(d), stdout: 'S\\n', stderr: 'E\\n' }; }''')
    check('S\n' in run.stdout and 'E\n' in run.stderr, 'not written')
    check('TOTAL RESULTS' not in run.stdout, 'the default summary was printed too')
    with open(t.path('a.json'), encoding='utf-8') as f:
        data = json.load(f)
    check({'metrics', 'root_group', 'options', 'state'} <= set(data), 'keys: %r', sorted(data))
    equal(data['metrics']['iterations']['values']['count'], 1)
    equal(data['metrics']['iteration_duration']['type'], 'trend')
    for body, printed in (("throw new Error('h')", True), ('return undefined', True), ('return {}', False)):
        run = code(t, 0, 'export default function () {}\nexport function handleSummary() { %s; }' % body)
        equal('TOTAL RESULTS' in run.stdout, printed, body)


def test_handle_summary_that_cannot_be_read(t):
    """What a getter throws is logged, and no result is lost: files before it are written, else the default summary."""
    for body, printed in (("return { get stdout() { throw new Error('g'); } }", True),
                          ("return new Proxy({}, { ownKeys() { throw new Error('g'); } })", True),
                          ("return { stdout: 'S', get stderr() { throw new Error('g'); } }", False)):
        run = code(t, 0, 'export default function () {}\nexport function handleSummary() { %s; }' % body)
        check(run.logged('error', 'Error: g'), '%s: nothing logged: %s', body, run.stderr)
        equal('TOTAL RESULTS' in run.stdout, printed, body)
    check('\nSrunning' in run.stdout, 'what came before is lost: %r', run.stdout)


def test_thrown_null(t):
    """Only what the engine throws without memory is called so."""
    run = code(t, 0, 'export default function () { throw null; }')
    equal([line.msg for line in run.logged('error')], ['null'])
