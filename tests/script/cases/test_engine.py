# SPDX-License-Identifier: Apache-2.0
"""Rows of the engine's case table that need more than the cases of tests/script/run look at."""
import json
import os
import re
import tarfile

from case import between, check, equal

EMPTY = 'export default function () {}\n'


def test_EC1_summary_without_vus(t):
    """A run shorter than a second has neither vus nor vus_max, and says what it did."""
    run = t.run(EMPTY, prelude=False)
    check('1 complete and 0 interrupted iterations' in run.stdout, 'progress: %s', run.stdout)
    check(not re.search(r'^\s*vus', run.stdout, re.M), 'a vus line: %s', run.stdout)
    check('1 scenario, 1 max VUs, 10m30s max duration (incl. graceful stop)' in run.stdout, '%s', run.stdout)


def test_EC9_unknown_key_of_a_scenario(t):
    run = t.run("export const options = { scenarios: { s: { executor: 'per-vu-iterations', foo: 1 } } };" + EMPTY,
                code=104, prelude=False)
    equal(len(run.log), 1)
    check("'foo'" in run.stderr and "'s'" in run.stderr, 'names neither key nor scenario: %s', run.stderr)


def test_EC10_numbers(t):
    for options, code in (("{ vus: 'abc' }", 104),
                          ("{ scenarios: { s: { executor: 'per-vu-iterations', vus: 1.5 } } }", 104),
                          ("{ scenarios: { s: { executor: 'per-vu-iterations', vus: '3' } } }", 0)):
        run = t.run('export const options = %s;' % options + EMPTY, code=code, prelude=False)
        equal(run.count('iterations'), 3 if code == 0 else 0, options)


def test_EC11_problems_in_one_message(t):
    run = t.run('''export const options = { scenarios: { 'a b': {
  executor: 'constant-vus', vus: 0, duration: '500ms', exec: 'nope' } } };''' + EMPTY, code=104, prelude=False)
    equal(len(run.log), 1, 'messages')
    problems = run.log[0].msg.split('; ')
    equal(len(problems), 4, run.log[0].msg)
    for problem, word in zip(problems, ('name', 'vus', 'duration', 'nope')):
        check(word in problem and "scenario 'a b'" in problem, 'problem: %s', problem)


def test_EC12_executors_refused(t):
    run = t.run("export const options = { scenarios: { s: { executor: 'externally-controlled', vus: 1, duration: '1s' } } };"
                + EMPTY, code=104, prelude=False)
    check('externally-controlled' in run.stderr and 's' in run.stderr, 'message: %s', run.stderr)
    run = t.run('export const options = { scenarios: { s: { vus: 1 } } };' + EMPTY, code=104, prelude=False)
    check('executor' in run.stderr, 'message: %s', run.stderr)


def test_EC70_only_the_environment_given(t):
    t.write('s.js', "export default function () { console.log('EV ' + JSON.stringify([__ENV.BAR])); }")
    t.start_args('archive', '-u', '2', '-i', '3', '-e', 'BAR=1', 's.js', env={'FOO': 'os'}).wait()
    with tarfile.open(t.path('archive.tar')) as tar:
        data = json.load(tar.extractfile('metadata.json'))
    equal(data['env'], {'BAR': '1'})
    os.unlink(t.path('s.js'))
    run = t.start_args('run', 'archive.tar').wait()
    equal(run.events, [['1']] * 3)


def test_EC51_forms(t):
    run = t.run("const c = {}; c.me = c;\nexport default function () { for (const x of [{ a: 1 }, new Uint8Array([1, 2]), "
                "c, [1, , 3], () => 1]) console.log(x); }", prelude=False)
    equal([line.msg for line in run.log if line.source == 'console'],
          ['{ a: 1 }', 'Uint8Array(2) [ 1, 2 ]', '{ me: [Circular] }', '[ 1, null, 3 ]', '[object Function]'])


def test_EC20_ends_with_99(t):
    """The names of the metrics that failed come once, after the summary's lines are known."""
    run = t.run('''import { Counter } from 'k6/metrics';
const a = new Counter('my_a'), b = new Counter('my_b');
export const options = { thresholds: { my_a: ['count>5', 'count<100'], my_b: ['count>5'], iterations: ['count==1'] } };
export default function () { a.add(1); b.add(1); }''', code=99, prelude=False)
    equal([line.msg for line in run.logged('error')], ["thresholds on metrics 'my_a, my_b' have been crossed"])
    between(len(re.findall(r'^ +✗ ', run.stdout, re.M)), 2, 2, 'failed lines')
    between(len(re.findall(r'^ +✓ ', run.stdout, re.M)), 2, 2, 'good lines')
