# SPDX-License-Identifier: Apache-2.0
"""k6/data: SharedArray (MOD-40 to MOD-42)."""
import json
import re
import time

from case import check, equal, go_error, read, type_error

DATA = "import { SharedArray } from 'k6/data';\n"
SLEEP = "import { sleep } from 'k6';\n"
ONE = DATA + "const sa = new SharedArray('one', () => [{ a: 1 }, 's', 3, null, [1]]);\n"


def test_MD_10_reading(t):
    run = t.run(ONE + '''
export default function () {
  ev('length', sa.length, sa[9] === undefined, sa[-1] === undefined, sa['01'] === undefined, sa[4294967295] === undefined);
  ev('json', JSON.stringify(sa));
  ev('array', Array.isArray(sa), sa instanceof Array, Object.prototype.toString.call(sa), sa.constructor === Array);
  ev('items', sa[0], sa[1], sa['2'], sa[3], sa[4], sa.at(-1), sa.at(0));
  ev('same', sa[0] === sa[0], sa[1] === sa[1], sa[0].a);
  ev('iterate', [...sa], sa.map((x) => typeof x), sa.filter((x) => x), sa.find((x) => x === 3), sa.indexOf(3));
  ev('more', sa.slice(1, 3), sa.concat([9]).length, sa.join('|'), sa.includes('s'), sa.reduce((n) => n + 1, 0));
  const seen = []; sa.forEach((x, i) => seen.push(i)); for (const x of sa) seen.push(x === null);
  ev('loops', seen, sa.some((x) => x === 3), sa.every((x) => x !== 4));
  ev('keys', Object.keys(sa), Object.entries(sa).length, 0 in sa, 5 in sa, 'length' in sa, 'map' in sa, 'nope' in sa);
  ev('own', sa.hasOwnProperty(4), sa.hasOwnProperty(5), Object.getOwnPropertyNames(sa).length);
  ev('spread', { ...sa }['1'], Math.max(...sa.map((x) => +x || 0)), Array.from(sa).length);
  const [first, ...rest] = sa; ev('destructured', first, rest.length);
  let n = 0; for (const k in sa) n += +k; ev('in', n);
}''')
    items = [{'a': 1}, 's', 3, None, [1]]
    equal(run.ev('length'), [['length', 5, True, True, True, True]])
    equal(run.one('json'), '[{"a":1},"s",3,null,[1]]')
    equal(run.ev('array'), [['array', True, True, '[object Array]', True]])
    equal(run.ev('items'), [['items'] + items + [[1], {'a': 1}]])
    equal(run.ev('same'), [['same', False, True, 1]])
    equal(run.ev('iterate'), [['iterate', items, ['object', 'string', 'number', 'object', 'object'],
                               [{'a': 1}, 's', 3, [1]], 3, 2]])
    equal(run.ev('more'), [['more', ['s', 3], 6, '[object Object]|s|3||1', True, 5]])
    equal(run.ev('loops'), [['loops', [0, 1, 2, 3, 4, False, False, False, True, False], True, True]])
    equal(run.ev('keys'), [['keys', list('01234'), 5, True, False, True, True, False]])
    equal(run.ev('own'), [['own', True, False, 6]])
    equal(run.ev('spread'), [['spread', 's', 3, 5]])
    equal(run.ev('destructured'), [['destructured', {'a': 1}, 4]])
    equal(run.one('in'), 10)


def test_MD_11_writing(t):
    run = t.run(DATA + '''
const sa = new SharedArray('one', () => [{ a: 1, deep: { list: [{ x: 1 }] } }, [1, 2]]);
export default function () {
  const writes = [() => { sa[0] = 1; }, () => { sa[7] = 1; }, () => sa.push(1), () => sa.pop(), () => { sa.length = 0; },
    () => { sa.more = 1; }, () => { delete sa[0]; }, () => sa.sort(), () => sa.reverse(), () => sa.splice(0, 1),
    () => sa.fill(0), () => Object.defineProperty(sa, '0', { value: 1 }), () => Object.setPrototypeOf(sa, null),
    () => Object.freeze(sa), () => { sa[0].a = 2; }, () => { sa[0].b = 2; }, () => { delete sa[0].a; },
    () => { sa[0].deep.list[0].x = 2; }, () => sa[0].deep.list.push(1), () => { sa[1][0] = 2; }, () => sa[1].push(3),
    () => { sa[1].length = 0; }];
  for (const f of writes) ev('write', String(f), caught(f));
  ev('after', JSON.stringify(sa), Object.isFrozen(sa[0].deep.list), Reflect.ownKeys(sa).length);
}''')
    equal(len(run.ev('write')), 22)
    for _, text, err in run.ev('write'):
        type_error(err, text)
    equal(run.ev('after'), [['after', '[{"a":1,"deep":{"list":[{"x":1}]}},[1,2]]', True, 3]])


def test_MD_12_refusals(t):
    run = t.run(DATA + '''
for (const f of [() => new SharedArray('', () => []), () => new SharedArray(undefined, () => []),
  () => new SharedArray('a', () => ({})), () => new SharedArray('a', () => 'text'), () => new SharedArray('a', () => {}),
  () => new SharedArray('a'), () => new SharedArray('a', []), () => new SharedArray('a', async () => []),
  () => new SharedArray('a', () => Promise.resolve([]))]) ev('init', String(f), caught(f));
ev('called', caught(() => SharedArray('a', () => [])));
ev('own error', caught(() => new SharedArray('a', () => { throw new RangeError('mine'); })));
const cyclic = {}; cyclic.c = cyclic;
ev('cyclic', caught(() => new SharedArray('a', () => [cyclic])));
export default function () { ev('vu', caught(() => new SharedArray('b', () => []))); }''')
    passes = 2
    equal(len(run.ev('init')), 9 * passes)
    for _, text, err in run.ev('init'):
        go_error(err, text)
    for err in run.values('called') + run.values('cyclic'):
        type_error(err)
    equal({(e['name'], e['message']) for e in run.values('own error')}, {('RangeError', 'mine')})
    go_error(run.one('vu'), 'in VU code')


def test_once_per_process(t):
    """The function runs once per name, whatever the VU; later ones get what the first made."""
    run = t.run(DATA + '''
const make = (name, tag) => new SharedArray(name, () => { ev('made', name, __VU); return [tag, __VU]; });
const a = make('a', 1), b = make('b', 2), again = make('a', 3);
const nested = new SharedArray('nested', () => { ev('made', 'nested', __VU); return make('inner', 4); });
const late = __VU > 0 ? make('late', 5) : null;
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 10 } } };
export default function () { ev('has', [...a], [...b], [...again], [...nested], late.length); }
export function setup() { ev('has', [...a], [...b], [...again], [...nested], 2); }''')
    made = [e[1] for e in run.ev('made')]
    equal(sorted(x for x in made if x != 'late'), ['a', 'b', 'inner', 'nested'])
    check(1 <= made.count('late') <= 3, 'late: %d', made.count('late'))  # at most one per thread
    equal(run.ev('has'), [['has', [1, 0], [2, 0], [1, 0], [4, 0], 2]] * 11)


def test_odd_values(t):
    run = t.run(DATA + '''
const odd = [undefined, () => 1, NaN, new Date(0), 'quote " and \\u0000 and \\ud800 and é😀', '', { toJSON() { return 7; } },
  [[[]]], -0, 1e300, true];
const sa = new SharedArray('odd', () => odd);
const none = new SharedArray('none', () => []);
let deep = []; for (let i = 0; i < 50; i++) deep = [deep];
const nest = new SharedArray('deep', () => [deep]);
export default function () {
  ev('same', JSON.stringify(sa) === JSON.stringify(JSON.parse(JSON.stringify(odd))), sa.length);
  ev('none', none.length, [...none], JSON.stringify(none), none[0] === undefined);
  ev('deep', JSON.stringify(nest[0]) === JSON.stringify(deep), Object.isFrozen(nest[0][0][0]));
}''')
    equal(run.ev('same'), [['same', True, 11]])
    equal(run.ev('none'), [['none', 0, [], '[]', True]])
    equal(run.ev('deep'), [['deep', True, True]])


def test_overridden_proxy(t):
    """The script's own Proxy and frozen builtins are not asked."""
    run = t.run(DATA + '''
globalThis.Proxy = function () { throw new Error('mine'); };
Object.freeze = () => { throw new Error('mine'); };
JSON.parse = () => { throw new Error('mine'); };
const sa = new SharedArray('one', () => [{ a: 1 }]);
export default function () { ev('got', sa[0].a, Object.isFrozen(sa[0])); }''')
    equal(run.ev('got'), [['got', 1, True]])


def test_open_and_parse(t):
    t.write('users.json', '[{"name":"ann"},{"name":"bob"}]')
    run = t.run(DATA + '''
const users = new SharedArray('users', () => JSON.parse(open('./users.json')));
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 2, iterations: 2 } } };
export default function () { ev('user', users[(__VU + __ITER) % users.length].name); }''')
    equal(sorted(run.values('user')), ['ann', 'ann', 'bob', 'bob'])


def test_file_of_a_shared_array_opened_again(t):
    """Its bytes are not kept once the array is made; who still wants them gets them from the disk, or is told."""
    t.write('users.json', '[{"name":"ann"}]')
    t.write('both.json', '[2]')
    script = DATA + '''
const users = new SharedArray('users', () => JSON.parse(open('./users.json')));
const both = new SharedArray('both', () => JSON.parse(open('./both.json')));
const kept = open('./both.json');
const again = __VU > 0 ? open('./users.json') : '';
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3, iterations: 1 } } };
export default function () { ev('all', users[0].name, both[0], kept, again); }'''
    run = t.run(script)
    equal(run.ev('all'), [['all', 'ann', 2, '[2]', '[{"name":"ann"}]']] * 3)
    t.write('archive.js', script)
    t.start_args('archive', t.path('archive.js'), '-O', t.path('a.tar')).wait(code=0)
    t.start_args('run', '--quiet', t.path('a.tar')).wait(code=0)
    run = t.run(script.replace("const again", "if (__VU == 0) { open('./gone.json'); }\nconst again").replace(
        "open('./users.json') :", "open('./vanished.json') :"), code=107)
    check('gone.json' in run.stderr, 'said: %s', run.stderr)


def resident_mb(t, data, vus):
    """Of a run in which all of the VUs hold the array at once and have read it: now, and at most."""
    p = t.start(DATA + SLEEP + """
const sa = new SharedArray('big', () => @DATA@);
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: @VUS@ } } };
export default function () {
  const one = sa[(__VU * 7) % sa.length], last = sa[sa.length - 1];
  if (one.i !== (__VU * 7) % sa.length || last.pad.length !== 1000) throw new Error('wrong');
  ev('read');
  sleep(1);
}""", '--quiet', DATA=data, VUS=vus)
    deadline = time.monotonic() + 15
    while read(p.err_path).count('EV ') < vus:
        check(time.monotonic() < deadline and p.popen.poll() is None, 'not all have read')
        time.sleep(0.05)
    status = read('/proc/%d/status' % p.popen.pid)
    now, peak = (int(re.search(name + r':\s+(\d+) kB', status)[1]) / 1000 for name in ('VmRSS', 'VmHWM'))
    run = p.wait()
    equal(run.logged('error'), [])
    equal(run.count('iterations'), vus)
    return now, peak


def test_MOD_42_memory(t):
    """20 MB of JSON costs its size once, and for a moment what parsing takes, whether 2 or 200 VUs read it: a copy each would be 4 GB."""
    t.write('big.json', json.dumps([{'i': i, 'pad': 'x' * 1000} for i in range(20000)]))
    big = "JSON.parse(open('./big.json'))"
    small = "[{ i: 0, pad: 'x'.repeat(1000) }]"
    few, many, none = resident_mb(t, big, 2), resident_mb(t, big, 200), resident_mb(t, small, 200)
    figures = 'MB now and at most: two VUs %r, 200 VUs %r, without the array %r' % (few, many, none)
    check(few[0] > 20, figures)
    check(t.sanitized() or many[0] - none[0] < 20 * 1.3, figures)
    check(many[1] - few[1] < none[1] + 40, figures)
