# SPDX-License-Identifier: Apache-2.0
"""k6 and k6/timers (MOD-10 to MOD-20), and what a module lacks (ENG-17)."""
from case import between, check, equal, type_error

HEAD = '''import { check, fail, group, randomSeed, sleep } from 'k6';
import exec from 'k6/execution';
'''


def test_MD_1_check(t):
    """MD-1; the samples share their time (MOD-10)."""
    run = t.run(HEAD + '''
export default function () {
  ev('r', check(5, { a: (v) => v === 5, b: true, c: 1, d: '', e: () => 0 }, { mine: 'x' }));
}''')
    equal(run.one('r'), False)
    got = run.of('checks', mine='x')
    equal([(s.tags['check'], s.value) for s in got], [('a', 1), ('b', 1), ('c', 1), ('d', 0), ('e', 0)])
    equal(len({s.time_text for s in got}), 1, 'times')


def test_MD_2_check_that_throws(t):
    run = t.run(HEAD + '''
export default function () {
  ev('r', caught(() => check(5, { first: true, a: () => { throw new Error('x'); }, b: () => true })));
}''')
    equal(run.one('r')['message'], 'x')
    equal([(s.tags['check'], s.value) for s in run.of('checks')], [('first', 1), ('a', 0)])


def test_MD_3_check_refuses(t):
    run = t.run(HEAD + '''
export default function () {
  for (const f of [() => check(1), () => check(1, null), () => check(1, { 'a::b': true }), () => check(1, { a: async () => true }),
                   () => check()]) ev('r', String(f), caught(f));
}''')
    equal(len(run.ev('r')), 5)
    for _, text, err in run.ev('r'):
        check(err and err['error'] and err['message'], '%s: %r', text, err)
    type_error(run.ev('r')[1][2], 'null')


def test_MD_4_check_of_nothing(t):
    run = t.run(HEAD + '''
export default function () {
  ev('r', check(1, {}), check(1, [() => true]), check(1, { a: () => Promise.resolve(false) }));
}''')
    equal(run.ev('r'), [['r', True, True, True]])
    equal([(s.tags['check'], s.value) for s in run.of('checks')], [('0', 1), ('a', 1)])


def test_MD_5_group(t):
    run = t.run(HEAD + '''
export default function () {
  ev('r', group('G', () => 42), group('A', () => group('B', () => exec.vu.tags.group)), group('', () => exec.vu.tags.group));
  ev('thrown', caught(() => group('T', () => { throw new Error('out'); })).message, exec.vu.tags.group);
}''')
    equal(run.ev('r'), [['r', 42, '::A::B', '::']])
    equal(run.ev('thrown'), [['thrown', 'out', '']])
    equal([s.tags['group'] for s in run.of('group_duration')], ['::G', '::A::B', '::A', '::', '::T'])


def test_MD_6_group_refuses(t):
    run = t.run(HEAD + '''
export default function () {
  for (const f of [() => group('G'), () => group('a::b', () => 1), () => group('G', async () => 1)]) ev('r', caught(f) !== null);
  ev('tag', exec.vu.tags.group);
}''')
    equal(run.values('r'), [True] * 3)
    equal(run.one('tag'), '')


def test_MD_7_sleep(t):
    """MD-7; in init code too (MOD-14)."""
    run = t.run(HEAD + '''
sleep(0.001);
export default function () {
  let at = Date.now();
  sleep(); sleep(-1); sleep(NaN); sleep('soon');
  ev('none', Date.now() - at);
  at = Date.now();
  for (let i = 0; i < 20; i++) sleep('0.005');
  ev('some', Date.now() - at);
}''')
    between(run.one('none'), 0, 900, 'ms')
    between(run.one('some'), 99, 3000, 'ms')


def test_MD_8_fail(t):
    run = t.run(HEAD + "export default function () { fail('m'); }")
    equal([line.msg.split('\n')[0].strip() for line in run.logged('error')][0].endswith('m'), True)
    equal((run.count('iterations'), len(run.logged('error'))), (1, 1))


def test_MD_9_random_seed(t):
    """MD-9; the same on every VU (MOD-16)."""
    run = t.run(HEAD + '''
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3 } } };
export default function () {
  const of = (seed) => { randomSeed(seed); return [Math.random(), Math.random(), Math.random()]; };
  ev('r', of(1), of(1), of(2));
}''')
    equal(len(run.ev('r')), 3)
    for _, a, b, other in run.ev('r'):
        equal((a, b), (run.ev('r')[0][1],) * 2)
        check(a != other and len(set(a)) == 3, 'sequences %r, %r', a, other)


def test_MD_28_timers(t):
    run = t.run('''import timers, { setTimeout as a, clearTimeout as b, setInterval as c, clearInterval as d } from 'k6/timers';
export default function () {
  const g = globalThis;
  ev('r', a === g.setTimeout, b === g.clearTimeout, c === g.setInterval, d === g.clearInterval,
     Object.keys(timers).sort().join());
}''')
    equal(run.ev('r'), [['r', True, True, True, True, 'clearInterval,clearTimeout,setInterval,setTimeout']])


def test_MD_32_missing_names(t):
    """MD-32, ENG-17: null from modules with named exports, undefined from those that are an object."""
    run = t.run('''import { Nope, WebSocket } from 'k6/websockets';
import { abort } from 'k6';
import { nothing } from 'k6/http';
import * as h from 'k6/http';
export default function () {
  ev('r', Nope === null, typeof WebSocket, abort === null, nothing === undefined, 'nothing' in h.default);
}''')
    equal(run.ev('r'), [['r', True, 'function', True, True, False]])
