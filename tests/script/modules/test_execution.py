# SPDX-License-Identifier: Apache-2.0
"""k6/execution (MOD-30 to MOD-34, MET-31, MET-32, WS-95, WS-117)."""
import json
import time

from case import between, check, equal, go_error, type_error
from servers.rawws import quiet

EXEC = "import exec from 'k6/execution';\n"
SLEEP = "import { sleep } from 'k6';\n"


def test_MD_5_group_tag(t):
    run = t.run(EXEC + '''import { group } from 'k6';
export default function () {
  ev('value', group('G', () => 42));
  ev('inner', group('A', () => group('B', () => exec.vu.tags.group)));
  ev('after', exec.vu.tags.group);
}''')
    equal(run.events, [['value', 42], ['inner', '::A::B'], ['after', '']])


def test_MD_19_read_only(t):
    run = t.run(EXEC + '''
const paths = {
  vu: ['idInInstance', 'idInTest', 'iterationInInstance', 'iterationInScenario', 'tags', 'metrics'],
  scenario: ['name', 'executor', 'startTime', 'progress', 'iterationInInstance', 'iterationInTest'],
  instance: ['iterationsCompleted', 'iterationsInterrupted', 'vusActive', 'vusInitialized', 'currentTestRunDuration'],
  test: ['abort', 'fail', 'options'],
};
export default function () {
  for (const part in paths) {
    ev('keys', Object.keys(exec[part]).sort().join() === paths[part].sort().join());
    for (const name of paths[part]) ev('set', part + '.' + name, caught(() => { exec[part][name] = 5; }));
    ev('set', part, caught(() => { exec[part] = 5; }));
    ev('set', part + '.more', caught(() => { exec[part].more = 5; }));
    ev('set', 'delete ' + part, caught(() => { delete exec[part].more; delete exec[part][paths[part][0]]; }));
  }
  for (const value of [{}, [], null, undefined, () => 1, Symbol('s'), 5n])
    ev('set', 'tag ' + typeof value, caught(() => { exec.vu.tags.o = value; }));
  ev('set', 'tag accessor', caught(() => Object.defineProperty(exec.vu.tags, 'o', { get() { return 1; } })));
  ev('set', 'tag symbol', caught(() => { exec.vu.tags[Symbol.iterator] = 1; }));
  ev('left', 'o' in exec.vu.tags, Object.keys(exec.vu.tags));
}''')
    equal(set(run.values('keys')), {True})
    check(len(run.ev('set')) > 35, 'too few: %r', run.events)
    for _, what, err in run.ev('set'):
        type_error(err, what)
    equal(run.ev('left'), [['left', False, ['group', 'scenario']]])


def test_MD_20_outside_of_scenarios(t):
    """Also ENG-34: what init code may not ask."""
    run = t.run('''import exec, { scenario, vu, instance, test } from 'k6/execution';
import * as all from 'k6/execution';
ev('same', all.vu === vu, all.test === test, exec.test === test, exec.scenario === scenario);
for (const f of [() => exec.vu, () => vu.idInTest, () => vu.tags, () => exec.instance, () => instance.vusActive,
  () => exec.test.options, () => scenario.name, () => exec.test.fail('x')]) ev('init', caught(f));
function outside() {
  for (const name of ['name', 'executor', 'startTime', 'progress', 'iterationInInstance', 'iterationInTest'])
    ev('scenario', caught(() => exec.scenario[name]));
  ev('vu', vu.idInInstance, vu.idInTest, vu.iterationInInstance, vu.iterationInScenario);
  ev('tags', exec.vu.tags.group, exec.vu.tags.scenario);
  ev('instance', instance.iterationsCompleted, instance.currentTestRunDuration >= 0);
}
export function setup() { outside(); }
export default function () {}
export function teardown() { outside(); }''')
    equal(len(run.ev('same')), 4)  # load, VU, setup, teardown
    check(all(e[1:] == [True] * 4 for e in run.ev('same')), 'named exports: %r', run.ev('same'))
    for i, err in enumerate(run.values('init')):
        go_error(err, 'init %d' % i)
    equal(len(run.ev('init')), 32)
    equal(len(run.ev('scenario')), 12)
    for err in run.values('scenario'):
        go_error(err, 'scenario')
    equal(run.ev('vu'), [['vu', 0, 0, 0, 0]] * 2)
    equal(run.ev('tags'), [['tags', '::setup', None], ['tags', '::teardown', None]])
    equal(run.ev('instance'), [['instance', 0, True], ['instance', 1, True]])


def test_counters(t):
    run = t.run(EXEC + SLEEP + '''
export const options = { scenarios: {
  one: { executor: 'per-vu-iterations', vus: 2, iterations: 3, exec: 'one', maxDuration: '1s', gracefulStop: '0s' },
  two: { executor: 'per-vu-iterations', vus: 2, iterations: 2, exec: 'two', startTime: '1s' } } };
function note() {
  const s = exec.scenario, v = exec.vu, i = exec.instance;
  ev('it', s.name, s.executor, v.idInInstance, v.idInTest, v.iterationInInstance, v.iterationInScenario,
    s.iterationInInstance, s.iterationInTest, __VU, __ITER);
  ev('now', s.startTime - Date.now(), s.progress, i.iterationsCompleted, i.vusActive, i.vusInitialized,
    i.currentTestRunDuration);
}
export function one() { sleep(0.05); note(); }
export function two() { note(); }''')
    its = run.ev('it')
    equal(len(its), 10)
    for e in its:
        _, name, executor, instance_id, test_id, of_vu, of_scenario, index, in_test, vu, it = e
        equal((executor, instance_id, test_id, of_vu), ('per-vu-iterations', vu, vu, it), repr(e))
        equal(index, in_test)
        equal(of_scenario, it if name == 'one' else it - 3, repr(e))
    for name, count in (('one', 6), ('two', 4)):
        equal(sorted(e[7] for e in its if e[1] == name), list(range(count)))
    for (_, name, *_), (_, since, progress, done, active, ready, duration) in zip(its, run.ev('now')):
        between(-since, 0, 1500, 'time since the start of ' + name)
        check(0 <= progress < 1, 'progress %r', progress)
        between(done, 0, 9)
        between(active, 1, 2)
        equal(ready, 2)
        between(duration, 40, 8000, 'duration')
        if name == 'two':
            between(duration, 1000, 8000, 'duration')


def test_progress(t):
    """By the clock for durations, by what has ended for iterations."""
    run = t.run(EXEC + SLEEP + '''
export const options = { scenarios: {
  time: { executor: 'constant-vus', vus: 1, duration: '1s', exec: 'time' },
  ramp: { executor: 'ramping-vus', startVUs: 1, stages: [{ duration: '1s', target: 1 }], exec: 'time' },
  rate: { executor: 'constant-arrival-rate', rate: 5, duration: '1s', preAllocatedVUs: 1, exec: 'time' },
  count: { executor: 'shared-iterations', iterations: 4, exec: 'count' } } };
export function time() {
  ev(exec.scenario.name, exec.scenario.progress, Date.now() - exec.scenario.startTime);
  sleep(0.15);
}
export function count() { ev('count', exec.scenario.progress); }''')
    equal(run.values('count'), [0, 0.25, 0.5, 0.75])
    for name in ('time', 'ramp', 'rate'):
        check(len(run.ev(name)) >= 3, '%s: %r', name, run.ev(name))
        for _, progress, ms in run.ev(name):
            between(progress, ms / 1000 - 0.2, min(1, ms / 1000 + 0.05), name)


def test_segment_ids(t):
    """ENG-143."""
    run = t.run(EXEC + '''
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 6 } } };
export default function () { ev('id', exec.vu.idInInstance, exec.vu.idInTest); }''',
                '--execution-segment', '1/3:2/3', '--execution-segment-sequence', '0,1/3,2/3,1')
    equal(sorted(run.events), [['id', 1, 2], ['id', 2, 5]])


def test_tags(t):
    """MET-31, MET-32: live, over iterations, not over scenarios; one object."""
    run = t.run(EXEC + '''import { Counter } from 'k6/metrics';
import { group } from 'k6';
const c = new Counter('my_c');
export const options = { tags: { run: 'r' }, scenarios: {
  one: { executor: 'per-vu-iterations', iterations: 2, exec: 'one', tags: { mine: 'm' }, maxDuration: '1s',
    gracefulStop: '0s' },
  two: { executor: 'per-vu-iterations', exec: 'two', startTime: '1s' } } };
export function one() {
  const tags = exec.vu.tags;
  ev('same', tags === exec.vu.metrics.tags && tags === exec.vu.tags, Object.prototype.toString.call(tags));
  if (__ITER === 0) {
    tags.a = 1; tags.b = true; tags['c d'] = 1.5; tags.e = 'text'; exec.vu.metrics.metadata.trace = 'id';
    group('g', () => { tags.inner = 'i'; c.add(1); });
    c.add(2, { a: 'call' });
  } else {
    delete tags.a; delete tags.missing; tags.mine = 'other';
    c.add(3);
  }
  ev('keys', JSON.stringify(tags), 'b' in tags, 'a' in tags, Object.keys(exec.vu.metrics.metadata));
}
export function two() { c.add(4); ev('keys', JSON.stringify(exec.vu.tags), Object.keys(exec.vu.metrics.metadata)); }''')
    equal(run.ev('same'), [['same', True, '[object Object]']] * 2)
    first = {'a': '1', 'b': 'true', 'c d': '1.5', 'e': 'text', 'group': '', 'inner': 'i', 'mine': 'm', 'run': 'r',
             'scenario': 'one'}
    second = dict(first, mine='other')
    del second['a']
    third = {'group': '', 'run': 'r', 'scenario': 'two'}
    equal([json.loads(e[1]) for e in run.ev('keys')], [first, second, third])
    equal([e[2:] for e in run.ev('keys')], [[True, True, ['trace']], [True, False, ['trace']], [[]]])
    samples = run.of('my_c')
    equal([s.tags for s in samples], [dict(first, group='::g'), dict(first, a='call'), second, third])
    equal([s.metadata for s in samples], [{'trace': 'id'}] * 3 + [None])
    equal([s.tags for s in run.of('iterations')], [first, second, third])


def test_metadata_of_system_tags(t):
    run = t.run(EXEC + '''export const options = { iterations: 2, systemTags: ['vu', 'iter', 'group'] };
export default function () {
  exec.vu.metrics.metadata['k' + __ITER] = 'v';
  ev('data', JSON.stringify(exec.vu.metrics.metadata));
}''')
    equal([json.loads(x) for x in run.values('data')],
          [{'iter': '0', 'k0': 'v', 'vu': '1'}, {'iter': '1', 'k0': 'v', 'k1': 'v', 'vu': '1'}])


def test_tags_and_sessions(t):
    """WS-117: a session keeps the tags of its handshake."""
    t.server(quiet)
    run = t.run(EXEC + '''import { Counter } from 'k6/metrics';
const c = new Counter('my_c');
export default function () {
  exec.vu.tags.when = 'before';
  ws.connect('@WS@/', (s) => s.on('open', () => {
    exec.vu.tags.when = 'inside'; c.add(1); s.send('x'); s.close(); }));
}''')
    equal({s.tags['when'] for s in run.session_samples}, {'before'})
    equal(run.of('my_c')[0].tags['when'], 'inside')


def test_vus_are_apart(t):
    """Objects that VUs share show none of it."""
    run = t.run(EXEC + '''
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 5, iterations: 4 } } };
export default function () {
  ev('before', exec.vu.tags.own === undefined ? __ITER === 0 : exec.vu.tags.own === 'vu' + __VU, exec.vu.idInTest === __VU);
  exec.vu.tags.own = 'vu' + __VU;
}''')
    equal(run.ev('before'), [['before', True, True]] * 20)


def test_options(t):
    run = t.run(EXEC + '''
export const options = { vus: 2, iterations: 2, tags: { a: 'b' }, thresholds: { iterations: ['count>0'] } };
export default function () {
  const o = exec.test.options;
  const all = (v) => Object.isFrozen(v) && Object.values(v).every((x) => typeof x !== 'object' || x === null || all(x));
  ev('frozen', all(o), o === exec.test.options);
  ev('set', caught(() => { o.tags.a = 'c'; }), caught(() => { o.more = 1; }), caught(() => { o.scenarios = null; }));
  ev('o', o);
}''')
    equal(run.ev('frozen'), [['frozen', True, True]] * 2)
    for e in run.ev('set'):
        for err in e[1:]:
            type_error(err)
    options = run.values('o')[0]
    for key in ('vus', 'iterations', 'duration', 'stages'):
        check(key not in options, "'%s' is there", key)
    for key in ('consoleOutput', 'localIPs', 'setupTimeout', 'userAgent', 'hosts'):
        check(key in options, "'%s' is missing: %r", key, options)
    equal(options['tags'], {'a': 'b'})
    equal(options['scenarios']['default']['executor'], 'shared-iterations')
    equal(options['scenarios']['default']['vus'], 2)


def test_abort(t):
    """ENG-202: at once, without catch and finally; the others too; once."""
    run = t.run(EXEC + SLEEP + '''
export const options = { scenarios: { s: { executor: 'constant-vus', vus: 4, duration: '15s' } } };
export default function () {
  if (__VU !== 1) { sleep(10); ev('wrong', 'slept'); }
  sleep(0.3);
  try { exec.test.abort('enough'); } catch (e) { ev('wrong', 'catch'); } finally { ev('wrong', 'finally'); }
  ev('wrong', 'after');
}
export function teardown() { ev('teardown'); }''', code=108)
    equal(run.events, [['teardown']])
    check(run.seconds < 6, 'took %g s', run.seconds)
    equal([x.msg for x in run.logged('error')], ['test aborted: enough'])
    equal(run.of('iterations'), [])
    check('0 complete and 4 interrupted iterations' in run.stdout, 'progress: %s', run.stdout)


def test_abort_everywhere(t):
    """Without a reason, in promises, timers, teardown and handleSummary, and in the init code of one VU."""
    bodies = ['exec.test.abort();', "Promise.resolve().then(() => exec.test.abort()).catch(() => ev('wrong'));",
              'setTimeout(() => { exec.test.abort(); }, 10);',
              "await null; try { exec.test.abort(); } finally { ev('wrong'); }",
              'check(1, { c: () => { exec.test.abort(); } });', "group('g', () => exec.test.abort());",
              '[1].forEach(() => exec.test.abort());']
    for body in bodies:
        run = t.run(EXEC + '''import { check, group } from 'k6';
export default async function () { %s setTimeout(() => ev('wrong'), 20); }
export function teardown() { ev('teardown'); }''' % body, code=108)
        equal(run.events, [['teardown']], body)
        equal([x.msg for x in run.logged('error')], ['test aborted'], body)
        equal(run.of('iterations'), [], body)
    run = t.run(EXEC + '''export default function () {}
export function teardown() { exec.test.abort('late'); ev('wrong'); }''', code=108)
    equal(run.events, [])
    check(run.logged('error', 'test aborted: late') and 'TOTAL RESULTS' in run.stdout, 'not as expected')
    run = t.run(EXEC + '''export default function () {}
export function handleSummary() { exec.test.abort('later'); }''', code=108)
    check(run.logged('error', 'test aborted: later') and 'TOTAL RESULTS' in run.stdout, 'not as expected')
    run = t.run(EXEC + '''if (__VU === 2) exec.test.abort('in init');
export default function () { ev('wrong'); }''', '-u', '3', '-i', '3', code=108)
    equal(run.events, [])
    check(run.logged('error', 'test aborted: in init'), 'not logged')
    run = t.run(EXEC + '''export async function setup() { await null; exec.test.abort('in setup'); }
export default function () { ev('wrong'); }
export function teardown() { ev('wrong'); }''', code=108)
    equal(run.events, [])
    equal([x.msg for x in run.logged('error')], ['test aborted: in setup'])


def test_WS_95_abort_in_session(t):
    server = t.server(quiet)
    for where in ("s.on('open', () => exec.test.abort('why'));", "exec.test.abort('why');",
                  "s.setTimeout(() => exec.test.abort('why'), 50);",
                  "s.on('open', () => s.close()); s.on('close', () => exec.test.abort('why'));"):
        before = len(server.conns)
        run = t.run(EXEC + '''export default function () {
  ws.connect('@WS@/', (s) => { s.on('error', () => ev('error')); %s s.on('close', () => ev('close')); });
  ev('after');
}
export function teardown() { ev('teardown'); }''' % where, code=108)
        equal(run.events, [['teardown']], where)
        equal([c.close_codes for c in server.conns[before:]], [[1001]], where)
        equal(len(run.of('ws_session_duration')), 1, where)
        equal(run.count('ws_sessions'), 1)
        equal(len(run.of('ws_connecting')), 1)
        check(run.logged('error', 'test aborted: why'), 'not logged')


def test_abort_in_session_of_setup(t):
    server = t.server(quiet)
    run = t.run(EXEC + '''export function setup() {
  ws.connect('@WS@/', (s) => s.on('open', () => exec.test.abort('why'))); }
export default function () { ev('wrong'); }
export function teardown() { ev('wrong'); }''', code=108)
    equal(run.events, [])
    equal(server.conns[0].close_codes, [1001])
    equal(len(run.of('ws_session_duration', group='::setup')), 1)


def test_fail(t):
    """ENG-203: anything worse has its own code."""
    for extra, code in (('', 110), ("thresholds: { iterations: ['count>9'] },", 99)):
        run = t.run(EXEC + '''export const options = { iterations: 3, %s };
export default function () { exec.test.fail('one'); exec.test.fail(); ev('on'); }''' % extra, code=code)
        equal(len(run.ev('on')), 3)
        equal(len(run.logged('error', 'msg=one')), 3)
        equal(run.count('iterations'), 3)
    t.run(EXEC + "export default function () { exec.test.fail('x'); exec.test.abort('y'); }", code=108)
    for where in ('setup', 'teardown'):
        t.run(EXEC + "export function %s() { exec.test.fail('x'); }\nexport default function () {}" % where, code=110)


def test_abort_is_quick_with_many_vus(t):
    start = time.monotonic()
    run = t.run(EXEC + SLEEP + '''
export const options = { scenarios: { s: { executor: 'constant-vus', vus: 300, duration: '15s' } } };
export default function () { sleep(0.5); exec.test.abort('all ' + __VU); }''', code=108)
    check(time.monotonic() - start < 10, 'too slow')
    equal(len(run.logged('error')), 1)
