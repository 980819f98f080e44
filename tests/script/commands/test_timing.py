# SPDX-License-Identifier: Apache-2.0
"""Cases of the load engine's table in real time; upper bounds allow for a busy machine."""
from case import between, check, equal

SLEEP = "import { sleep } from 'k6';\nimport exec from 'k6/execution';\n"


def test_arrival_rate_out_of_vus(t):
    """EC-39."""
    run = t.run(SLEEP + '''export const options = { scenarios: { s: { executor: 'constant-arrival-rate', rate: 10,
  duration: '2s', preAllocatedVUs: 1, maxVUs: 3 } } };
export default function () { ev('it', __VU); sleep(0.55); }''')
    done, dropped = run.count('iterations'), run.count('dropped_iterations')
    between(done, 8, 12, 'iterations')
    between(done + dropped, 20, 21, 'due iterations')
    equal(len(run.logged('warning')), 1)
    equal({e[1] for e in run.ev('it')}, {1, 2, 3})
    equal(max(s.value for s in run.of('vus_max')), 3)
    equal({s.tags.get('scenario') for s in run.of('dropped_iterations')}, {'s'})


def test_ramp_up_and_down(t):
    """EC-42."""
    run = t.run(SLEEP + '''export const options = { scenarios: { s: { executor: 'ramping-vus', startVUs: 0,
  stages: [{ duration: '1s', target: 2 }, { duration: '1s', target: 0 }] } } };
export default function () { ev('at', __VU, Date.now() - exec.scenario.startTime); sleep(0.3); }''')
    starts = {}
    for _, vu, at in run.ev('at'):
        starts.setdefault(vu, []).append(at)
    first, second = sorted(starts.values())
    between(first[0], 498, 900, 'start of the first VU')
    between(second[0], 998, 1400, 'start of the second VU')
    check(max(first) < 2050 and max(second) < 1550, 'an iteration began too late: %r %r', first, second)
    equal(run.count('iterations'), len(run.ev('at')))


def test_timer_that_outlives_its_iteration(t):
    """EC-68."""
    run = t.run('''export const options = { scenarios: { s: {
  executor: 'constant-vus', vus: 1, duration: '1s', gracefulStop: '0s' } } };
export default function () { setTimeout(() => ev('late'), 100000); }''')
    equal((run.events, run.of('iterations')), ([], []))
    check('0 complete and 1 interrupted iterations' in run.stdout, 'progress: %s', run.stdout)
    equal(len(run.logged('warning', 'setTimeout 1')), 1)
    equal(len(run.logged('warning', 'no script iteration finished')), 1)


def test_await_and_dynamic_import(t):
    """EC-61."""
    t.write('m.js', 'export const m = 1;')
    run = t.run('''const three = await Promise.resolve(3);
export default async function () { ev('three', three); await import('./m.js'); ev('wrong'); }''')
    equal(run.events, [['three', 3]])
    equal(len(run.logged('error')), 1)
    equal(run.count('iterations'), 1)
