# SPDX-License-Identifier: Apache-2.0
"""Levels of options, refusals and segments as a run shows them (ENG-4, ENG-70 to ENG-95, ENG-140 to ENG-146)."""
import json
import os
import stat

from case import check, equal, read

EMPTY = 'export default function () {}\n'
IT = "export default function () { console.log('EV [' + __VU + ']'); }\n"


def options(text):
    return 'export const options = %s;\n' % text


def run(t, code, script, *flags, **kw):
    return t.run(script, *flags, code=code, prelude=False, **kw)


def test_what_excludes_what(t):
    """EC-33."""
    scenarios = "scenarios: { s: { executor: 'per-vu-iterations' } }"
    for script, flags in (('{ iterations: 3, %s }' % scenarios, []), ("{ duration: '1s', %s }" % scenarios, []),
                          ('{}', ['-d', '0s']), ('{}', ['-u', '0', '-i', '1']), ('{}', ['-u', '5', '-i', '2']),
                          ('{}', ['-d', '500ms']), ("{ setupTimeout: '0s' }", [])):
        equal(len(run(t, 104, options(script) + EMPTY, *flags).logged('error')), 1, '%s %r' % (script, flags))


def test_duration_discards_scenarios(t):
    """EC-31 with -d."""
    done = run(t, 0, options("{ scenarios: { s: { executor: 'per-vu-iterations', vus: 4, iterations: 4 } } }") +
               "import { sleep } from 'k6';\nexport default function () { sleep(0.4); }", '-d', '1s')
    check('1 looping VUs for 1s' in done.stdout, 'description: %s', done.stdout)
    equal(len(done.logged('warning', 'scenarios')), 1)


def test_config_file(t):
    """ENG-70, ENG-72: below the script; named by flag or variable, or in the user's folder."""
    os.makedirs(t.path('.config/k6'))
    home = t.write('.config/k6/config.json', '{"iterations": 2, "vus": 2}')
    equal(len(run(t, 0, IT).events), 2)
    equal(len(run(t, 0, options('{ iterations: 4 }') + IT).events), 4)
    other = t.write('other.json', '{"iterations": 3}')
    equal(len(run(t, 0, IT, '-c', other).events), 3)
    equal(len(run(t, 0, IT, env={'K6_CONFIG': other}).events), 3)
    equal(len(run(t, 0, IT, '-c', other, env={'K6_CONFIG': 'missing.json', 'K6_ITERATIONS': '5'}).events), 5)
    run(t, 104, IT, '-c', 'missing.json')
    for text in ('{', '[]', '{"vus": "many"}'):
        t.write('bad.json', text)
        run(t, 104, IT, '-c', t.path('bad.json'))
    os.unlink(home)
    equal(len(run(t, 0, IT).events), 1)


def test_bad_values_by_source(t):
    """ENG-74."""
    for env, code in (({'K6_VUS': 'x'}, 104), ({'K6_DURATION': 'x'}, 104), ({'K6_SUMMARY_MODE': 'x'}, 255),
                      ({'K6_COMPATIBILITY_MODE': 'x'}, 255), ({'K6_SUMMARY_TREND_STATS': 'x'}, 255)):
        equal(len(run(t, code, EMPTY, env=env).log), 1, repr(env))
    for flags in (['-u', 'x'], ['--dns', 'x=y'], ['--blacklist-ip', 'x'], ['--execution-segment', '2:1'],
                  ['--tag', 'a='], ['--log-output', 'x'], ['--summary-trend-stats', 'x'], ['--stage', '10:5']):
        done = run(t, 255, EMPTY, *flags)
        equal(len([line for line in done.stderr.split('\n') if line]), 1, '%r: %s' % (flags, done.stderr))
    run(t, 255, options("{ summaryTrendStats: ['x'] }") + EMPTY)


def test_log_output_refusals(t):
    """ENG-225: Loki is not there and the message says what to do instead."""
    done = run(t, 255, EMPTY, '--log-output', 'loki=http://127.0.0.1:3100/loki/api/v1/push,label.a=b')
    check('loki' in done.stderr and 'file=' in done.stderr, 'message: %s', done.stderr)
    run(t, 255, EMPTY, '--log-output', 'file=' + t.path('no/such/folder/x.log'))
    run(t, 255, EMPTY, '--log-output', 'file=' + t.path('x.log') + ',level=loud')
    run(t, 0, IT, '--log-output', 'file=' + t.path('y.log') + ',level=error')
    equal(read(t.path('y.log')), '')
    equal(stat.S_IMODE(os.stat(t.path('y.log')).st_mode), 0o600)


def test_segment_checks(t):
    """EC-46."""
    sequence = ['--execution-segment-sequence', '0,1/3,2/3,1']
    run(t, 104, EMPTY, '--execution-segment', '0:1/2', *sequence)
    for bad in ('2:1', '1/2:1/2', '-1:1', 'x', '1/0'):
        run(t, 255, EMPTY, '--execution-segment=' + bad)
    run(t, 255, EMPTY, '--execution-segment', '0:1/3', '--execution-segment-sequence', '0,2/3,1/3,1')
    run(t, 104, options("{ executionSegment: '0:1/2', executionSegmentSequence: '0,1/3,1' }") + EMPTY)


def test_segments_cover_the_whole_once(t):
    """ENG-143, ENG-144: every VU of every executor that counts VUs belongs to one segment."""
    script = options('''{ scenarios: {
  c: { executor: 'constant-vus', vus: 7, duration: '1s', gracefulStop: '0s' },
  p: { executor: 'per-vu-iterations', vus: 5, iterations: 2, exec: 'per' } } }''') + '''
import exec from 'k6/execution';
import { sleep } from 'k6';
const seen = (what) => console.log('EV ' + JSON.stringify([what, exec.vu.idInTest, exec.vu.idInInstance]));
export default function () { seen('c'); sleep(5); }
export function per() { seen('p'); }'''
    ids, per, first = [], 0, []
    for segment in ('0:1/4', '1/4:1/2', '1/2:1'):
        done = run(t, 0, script, '--execution-segment', segment, '--execution-segment-sequence', '0,1/4,1/2,1')
        ids += [e[1] for e in done.ev('c', 'p')]
        per += len(done.ev('p'))
        first.append(len(done.ev('c')))
        locals_ = {e[2]: e[1] for e in done.ev('c', 'p')}
        equal(sorted(locals_), list(range(1, len(locals_) + 1)), 'ids within the instance')
    equal(per, 10, 'iterations of all segments')
    equal(sum(first), 7, 'constant VUs of all segments')
    equal(len(set(ids)), 12, 'distinct ids: %r' % sorted(ids))


def test_segment_with_nothing_to_do(t):
    """ENG-146."""
    done = run(t, 0, options("{ scenarios: { s: { executor: 'shared-iterations', vus: 1, iterations: 1 } } }") + IT,
               '--execution-segment', '1/2:1', '--execution-segment-sequence', '0,1/2,1')
    equal(done.events, [])
    check('(50.00%) 0 scenarios' in done.stdout, 'description: %s', done.stdout)


def test_no_setup_no_teardown(t):
    """ENG-39, ENG-40."""
    script = '''const ev = (...a) => console.log('EV ' + JSON.stringify(a));
export function setup() { ev('setup'); return 1; }
export default function (data) { ev(typeof data); }
export function teardown() { ev('teardown'); }'''
    equal(run(t, 0, script).events, [['setup'], ['number'], ['teardown']])
    equal(run(t, 0, script, '--no-setup').events, [['undefined'], ['teardown']])
    equal(run(t, 0, script, env={'K6_NO_TEARDOWN': 'true'}).events, [['setup'], ['number']])
    equal(run(t, 0, options('{ noSetup: true, noTeardown: true }') + script).events, [['undefined']])
    equal(run(t, 0, options('{ noSetup: true }') + script, '--no-setup=false').events[0], ['setup'])


def test_summary_destinations(t):
    """EC-63 (a number), EC-64, EC-65."""
    done = run(t, 0, EMPTY + 'export function handleSummary() { return 5; }')
    equal(len(done.logged('error')), 1)
    done = run(t, 99, "import { Trend } from 'k6/metrics';\nconst m = new Trend('my_m');\n" +
               options("{ thresholds: { my_m: ['avg<2'] } }") + 'export default function () { m.add(10); }',
               '--summary-export', t.path('x.json'))
    with open(t.path('x.json'), encoding='utf-8') as f:
        equal(json.load(f)['metrics']['my_m']['thresholds'], {'avg<2': True})
    done = run(t, 0, EMPTY, '--summary-mode', 'disabled', '--summary-export', t.path('z.json'))
    check('TOTAL RESULTS' not in done.stdout and not os.path.exists(t.path('z.json')), 'a summary was made')


def test_machine_readable_summary(t):
    """ENG-253: with the script's source."""
    script = EMPTY + '// a comment'
    run(t, 0, script, '--new-machine-readable-summary', '--summary-export', t.path('m.json'))
    with open(t.path('m.json'), encoding='utf-8') as f:
        equal(json.load(f)['config']['script'], script)


def test_frozen_environment(t):
    """ENG-52, ENG-62."""
    script = """export default function () {
  let said = 'nothing';
  try { __ENV.A = 'changed'; __ENV.NEW = 1; } catch (e) { said = e.name; }
  console.log('EV ' + JSON.stringify([said, __ENV.A, Object.keys(__ENV).includes('NEW')]));
}"""
    equal(run(t, 0, script, '-e', 'A=1').events, [['nothing', 'changed', True]])
    done = run(t, 0, script, '-e', 'A=1', '--features', 'freeze-env')
    equal(done.events, [['TypeError', '1', False]])
    equal({s.tags.get('k6_feature_freeze_env') for s in done.of('iterations')}, {'true'})
    equal(run(t, 0, script, '-e', 'A=1', env={'K6_FEATURES': 'freeze-env'}).events, [['TypeError', '1', False]])


def test_verbose_tells_sources_and_phases(t):
    t.write('c.json', '{"userAgent": "me"}')
    done = run(t, 0, options("{ iterations: 2, tags: { a: 'b' } }") + IT, '-v', '-u', '2', '-c', t.path('c.json'),
               env={'K6_MIN_ITERATION_DURATION': '1ms'})
    told = [line.msg for line in done.logged('debug')]
    for line in ('vus = 2 comes from the command line', 'iterations = 2 comes from the script',
                 'user-agent = "me" comes from the config file',
                 'min-iteration-duration = "1ms" comes from the environment'):
        check(line in told, '%r is not in %r', line, told)
    phases = ['initialising VUs', 'setup', 'running the scenarios', 'teardown', 'the run has ended']
    equal([line for line in told if line in phases], phases)
    equal(run(t, 0, IT).logged('debug'), [])


def test_no_web_dashboard(t):
    warned = run(t, 0, IT, env={'K6_WEB_DASHBOARD': 'true'}).logged('warning')
    equal([line.msg for line in warned], [
        'there is no web dashboard in this version of squall: webDashboard (K6_WEB_DASHBOARD) has no effect'])
    equal(run(t, 0, IT, env={'K6_WEB_DASHBOARD': 'false'}).logged('warning'), [])
