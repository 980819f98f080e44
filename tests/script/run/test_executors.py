# SPDX-License-Identifier: Apache-2.0
"""Executors, shortcuts and precedence, seen from outside (ENG-70 to ENG-145). Upper bounds allow for a busy machine."""
from case import between, check, equal

SLEEP = "import { sleep } from 'k6';\n"
VU = "ev('it', __VU, __ITER);"


def iterations(t, script, *flags, **kw):
    run = t.run(script, *flags, **kw)
    return len(run.ev('it')), len({e[1] for e in run.ev('it')}), run


def test_default_scenario(t):
    """EC-1."""
    run = t.run('export default function () {}', prelude=False)
    check('default: 1 iterations for each of 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)' in run.stdout,
          'description: %s', run.stdout)
    check('10m30s max duration' in run.stdout, 'description: %s', run.stdout)
    equal(run.count('iterations'), 1)
    check('vus.' not in run.stdout, 'a vus line in the summary')


def test_precedence(t):
    """EC-30, EC-34."""
    script = SLEEP + 'export const options = { vus: 2, iterations: 4 };\n' \
                     'export default function () { %s sleep(0.2); }' % VU
    for flags, env, want in (([], {}, (4, 2)), (['-u', '3'], {}, (4, 3)),
                             ([], {'K6_VUS': '4', 'K6_ITERATIONS': '8'}, (8, 4)),
                             (['-i', '9'], {'K6_VUS': '4'}, (9, 4))):
        its, vus, _ = iterations(t, script, *flags, env=env)
        equal((its, vus), want, '%r %r' % (flags, env))
    _, _, run = iterations(t, SLEEP + 'export default function () { sleep(0.1); }', env={'K6_DURATION': '1500'})
    between(run.seconds, 1.5, 5, 'K6_DURATION=1500')


def test_shortcut_discards_scenarios(t):
    """EC-31."""
    script = '''export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 4, iterations: 4 } } };
export default function () { %s }''' % VU
    for flags, want in ((['-i', '5'], 5), (['-u', '3'], 3)):
        its, _, run = iterations(t, script, *flags)
        equal(its, want, repr(flags))
        check(run.logged('warning'), '%r: no warning', flags)


def test_iterations_and_duration(t):
    """EC-32."""
    _, _, run = iterations(t, '''export const options = { vus: 2, duration: '1s', iterations: 3 };
export default function () { %s }''' % VU)
    equal(len(run.ev('it')), 3)
    check('31s max duration' in run.stdout, 'description: %s', run.stdout)


def test_graceful_stop(t):
    """EC-37."""
    run = t.run(SLEEP + '''
export const options = { scenarios: { s: { executor: 'constant-vus', vus: 2, duration: '1s', gracefulStop: '1s' } } };
export default function () { sleep(__VU == 1 ? 1.5 : 5); ev('end', __VU); }''')
    equal(run.events, [['end', 1]])
    equal(run.count('iterations'), 1)
    between(run.of('iteration_duration')[0].value, 1500, 1990, 'iteration_duration')
    between(run.seconds, 2.0, 5, 'run')
    check('1 complete and 1 interrupted iterations' in run.stdout, 'progress: %s', run.stdout)


def test_per_vu_iterations_dropped(t):
    """EC-38."""
    run = t.run(SLEEP + '''export const options = { scenarios: { s: {
  executor: 'per-vu-iterations', vus: 2, iterations: 5, maxDuration: '1s' } } };
export default function () { sleep(0.4); }''')
    equal(run.count('iterations') + run.count('dropped_iterations'), 10)
    between(run.count('iterations'), 4, 6, 'iterations')


def test_constant_arrival_rate(t):
    """EC-40."""
    run = t.run('''import exec from 'k6/execution';
export const options = { scenarios: { s: {
  executor: 'constant-arrival-rate', rate: 10, duration: '1s', preAllocatedVUs: 5 } } };
export default function () { ev('at', Date.now() - exec.scenario.startTime); }''')
    at = run.values('at')
    between(len(at), 10, 11, 'iterations')
    for k, ms in enumerate(sorted(at)):
        between(ms, 100 * k - 2, 100 * k + 400, 'start of iteration %d' % k)
    equal(run.count('dropped_iterations'), 0)


def test_ramping_arrival_rate(t):
    """EC-41."""
    run = t.run('''import exec from 'k6/execution';
export const options = { scenarios: { s: { executor: 'ramping-arrival-rate', startRate: 5, preAllocatedVUs: 5,
  stages: [{ duration: '1s', target: 5 }, { duration: '1s', target: 15 }] } } };
export default function () { ev('at', Date.now() - exec.scenario.startTime); }''')
    at = sorted(run.values('at'))
    due = [200, 400, 600, 800, 1000, 1171, 1306, 1422, 1525, 1618, 1704, 1785, 1860, 1932, 2000]
    between(len(at), 14, 15, 'iterations')
    for ms, want in zip(at, due):
        between(ms, want - 2, want + 400, 'start')


def test_ramping_vus(t):
    """EC-43."""
    run = t.run(SLEEP + '''import exec from 'k6/execution';
export const options = { scenarios: { s: { executor: 'ramping-vus', startVUs: 1, gracefulRampDown: '0s',
  stages: [{ duration: '2s', target: 5 }] } } };
let first = true;
export default function () {
  if (first) ev('at', Date.now() - exec.scenario.startTime);
  first = false;
  sleep(0.1);
}''')
    at = sorted(run.values('at'))
    check(len(at) in (4, 5), 'VUs: %r', at)  # the fifth is due at the very end
    for ms, want in zip(at, (0, 500, 1000, 1500, 2000)):
        between(ms, want - 2, want + 400, 'start of a VU')


def test_segments(t):
    """EC-44, EC-45."""
    want = [[0, 3, 5, 8, 10, 13, 15, 18], [1, 4, 7, 11, 14, 17], [2, 6, 9, 12, 16, 19]]
    for segment, indexes in zip(('0:1/3', '1/3:2/3', '2/3:1'), want):
        run = t.run('''import exec from 'k6/execution';
export const options = { vus: 10, iterations: 20 };
export default function () { ev('i', exec.scenario.iterationInTest); }''',
                    '--execution-segment', segment, '--execution-segment-sequence', '0,1/3,2/3,1')
        equal(sorted(run.values('i')), indexes, segment)


def test_env(t):
    """EC-49, EC-50."""
    script = '''ev('init', __ENV.FOO);
export const options = { scenarios: { s: { executor: 'per-vu-iterations', env: { FOO: 'scen' } } } };
export default function () { ev('vu', __ENV.FOO, typeof __ENV.NONE); }'''
    for flags, env, want in (([], {'FOO': 'os'}, 'os'), (['-e', 'FOO=cli'], {'FOO': 'os'}, 'cli')):
        run = t.run(script, *flags, env=env)
        equal(set(run.values('init')), {want})
        equal(run.ev('vu'), [['vu', 'scen', 'undefined']])
    run = t.run("export default function () { ev('n', __ENV.N); }", '-e', 'N')
    equal(run.one('n'), '')


def test_min_iteration_duration(t):
    """EC-66."""
    run = t.run('''export const options = { minIterationDuration: '300ms', iterations: 3 };
export default function () { ev('at', Date.now()); }''')
    at = run.values('at')
    for a, b in zip(at, at[1:]):
        between(b - a, 299, 1500, 'distance')
    check(min(s.value for s in run.of('iteration_duration')) < 250, 'the wait is part of iteration_duration')


def test_endless_loop(t):
    """EC-67."""
    run = t.run('''
export const options = { scenarios: { s: { executor: 'constant-vus', vus: 1, duration: '1s', gracefulStop: '0s' } } };
export default function () { try { while (true); } finally { ev('finally'); } }''')
    equal(run.events, [])
    between(run.seconds, 1.0, 4, 'run')
    check('0 complete and 1 interrupted iterations' in run.stdout, 'progress: %s', run.stdout)


def test_order_of_tasks(t):
    """EC-69."""
    run = t.run('''export default function () {
  ev('start');
  let n = 0;
  const id = setInterval(() => { ev('int'); if (++n == 2) clearInterval(id); }, 5);
  setTimeout(() => ev('t100'), 100);
  Promise.resolve().then(() => ev('micro'));
  ev('end-sync');
}''')
    equal([e[0] for e in run.events], ['start', 'end-sync', 'micro', 'int', 'int', 't100'])


def test_states_are_apart(t):
    """VUs share nothing that a script can see: module state, globals, exceptions."""
    run = t.run('''
let own = 0;
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 20, iterations: 5 } } };
export default function () {
  own += __VU;
  globalThis.g = (globalThis.g || 0) + __VU;
  ev('it', __VU, __ITER, own, globalThis.g);
}''')
    equal(len(run.events), 100)
    for _, vu, it, own, g in run.events:
        equal((own, g), (vu * (it + 1), vu * (it + 1)), 'VU %d iteration %d' % (vu, it))
