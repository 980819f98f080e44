# SPDX-License-Identifier: Apache-2.0
"""performance, structuredClone, atob and btoa: what scripts for browsers and Node.js expect to be there."""
import time

from case import between, check, equal, type_error


def test_performance(t):
    run = t.run('''
import { sleep } from 'k6';
const early = performance.now();
export function setup() { return performance.now(); }
export default function (data) {
  const a = performance.now(); sleep(0.05); const b = performance.now();
  ev('times', early, data, a, b, performance.timeOrigin, Date.now() - performance.now(), String(performance));
  let last = 0, ok = true; for (let i = 0; i < 1000; i++) { const n = performance.now(); ok = ok && n >= last; last = n; }
  ev('order', ok, last % 1 !== 0 || performance.now() % 1 !== 0 || performance.now() % 1 !== 0);
}''')
    early, data, a, b, origin, now_origin, text = run.ev('times')[-1][1:]
    check(0 <= early < a and 0 < data < a < b, 'not in order: %r', (early, data, a, b))
    between(b - a, 49.9, 1000, 'a sleep of 50 ms')
    between(now_origin - origin, -50, 50, 'Date.now() - performance.now() against timeOrigin')
    between(origin / 1000, time.time() - 60, time.time(), 'timeOrigin')
    equal((text, run.ev('order')), ('[object Performance]', [['order', True, True]]))


def test_base64(t):
    run = t.run('''
export default function () {
  for (const x of ['', 'a', 'ab', 'abc', '\\xff\\xfe\\x00\\x80', 'é']) ev('btoa', btoa(x), atob(btoa(x)) === x);
  for (const x of ['', ' Y Q = = ', 'YQ', 'YWI=', 'Y\\nW\\tJj\\f', '/+8=']) ev('atob', [...atob(x)].map((c) => c.charCodeAt(0)));
  ev('coerced', btoa(12), atob(null).length, btoa(undefined));
  for (const f of [() => btoa('→'), () => btoa('\\u0100'), () => atob('Y'), () => atob('YQ='), () => atob('YQ==='), () => atob('=YQ='),
    () => atob('Y-_='), () => atob('YQ==Y'), () => atob('YWJj='), () => atob('\\0'), () => atob('é')]) ev('no', String(f), caught(f));
  ev('none', caught(() => btoa()), caught(() => atob()));
}''')
    equal(run.ev('btoa'), [['btoa', x, True] for x in ('', 'YQ==', 'YWI=', 'YWJj', '//4AgA==', '6Q==')])
    equal(run.values('atob'), [[], [97], [97], [97, 98], [97, 98, 99], [255, 239]])
    equal(run.ev('coerced')[0][1:], ['MTI=', 3, 'dW5kZWZpbmVk'])
    equal(len(run.ev('no')), 11)
    for _, what, err in run.ev('no'):
        equal((err['name'], err['error']), ('InvalidCharacterError', True), what)
    for err in run.ev('none')[0][1:]:
        type_error(err)


def test_structured_clone(t):
    run = t.run('''
class Point { constructor() { this.x = 1; } get y() { return 2; } }
export default function () {
  const c = (v) => structuredClone(v), tag = (v) => Object.prototype.toString.call(v);
  const plain = { a: [1, , 3], n: null, u: undefined, s: 'x', b: 10n, nan: NaN, z: -0, o: { deep: true } }, p = c(plain);
  ev('plain', p !== plain, p.a.length, 1 in p.a, p.a[2], p.n, 'u' in p, String(p.b), Number.isNaN(p.nan), Object.is(p.z, -0), p.o.deep, p.o !== plain.o);
  ev('prim', c(5), c('t'), c(null), c(undefined) === undefined, c(true), c(7n) === 7n);
  const loop = { list: [] }; loop.self = loop; loop.list.push(loop, loop.list); const l = c(loop);
  ev('cycle', l.self === l, l.list[0] === l, l.list[1] === l.list, l !== loop);
  const shared = {}, both = c([shared, shared]); ev('shared', both[0] === both[1], both[0] !== shared);
  const d = c(new Date(5)), r = c(/a+/gi); ev('date', d instanceof Date, d.getTime(), r instanceof RegExp, String(r), r.lastIndex);
  const m = c(new Map([[{ k: 1 }, new Set([1, 'b'])]])), [[k, v]] = m; ev('map', m instanceof Map, k.k, v instanceof Set, [...v]);
  const buffer = new Uint8Array([1, 2, 3, 4]).buffer, v1 = new Uint8Array(buffer, 1, 2), v2 = new DataView(buffer, 2);
  const [c1, c2, cb] = c([v1, v2, buffer]);
  ev('views', c1.constructor.name, c1.byteOffset, [...c1], c2 instanceof DataView, c2.byteLength, c1.buffer === cb, c2.buffer === cb, cb !== buffer, bytes(cb));
  ev('kinds', [Int8Array, Uint8ClampedArray, Int16Array, Float64Array, BigInt64Array].map((T) => c(new T(2)).constructor === T && c(new T(2)).length === 2));
  ev('boxed', [Object(1), Object('s'), Object(true), Object(2n)].map((x) => tag(c(x)) + String(c(x))));
  const e = c(new RangeError('bad', { cause: { why: 1 } })), named = new Error('m'); named.name = 'Odd'; const o = c(named);
  ev('error', e instanceof RangeError, e.message, e.cause.why, e.name, typeof e.stack, o.name, o instanceof Error, o.message);
  const point = c(new Point()); ev('class', point instanceof Point, point.x, point.y === undefined, Object.keys(point));
  const getter = c({ get g() { return 'got'; } }); ev('getter', getter.g, Object.getOwnPropertyDescriptor(getter, 'g').writable);
  const proto = c(JSON.parse('{"__proto__": {"evil": 1}}')); ev('proto', proto.evil === undefined, Object.keys(proto));
  const extra = [1]; extra.more = 'm'; ev('extra', c(extra).more, c({ [Symbol('s')]: 1, q: 2 }));
  for (const x of [() => 1, Symbol('s'), { f() {} }, [Symbol.iterator], new WeakMap(), Promise.resolve(), new Map([[1, () => 2]]), new Proxy({}, {}), crypto.subtle.digest])
    ev('no', caught(() => c(x)));
  const gift = new ArrayBuffer(3), got = structuredClone({ gift }, { transfer: [gift] }); ev('transfer', got.gift.byteLength, gift.byteLength);
  ev('bad', caught(() => structuredClone({}, { transfer: [{}] })), caught(() => structuredClone({}, { transfer: [1] })));
  ev('throws', caught(() => c({ get g() { throw new RangeError('mine'); } })), caught(() => structuredClone()));
  let deep = {}; for (let i = 0; i < 100000; i++) deep = { deep }; const err = caught(() => c(deep)); ev('deep', err.error);
}''')
    equal(run.ev('plain')[0][1:], [True, 3, False, 3, None, True, '10', True, True, True, True])
    equal(run.ev('prim')[0][1:], [5, 't', None, True, True, True])
    equal(run.ev('cycle')[0][1:], [True] * 4)
    equal(run.ev('shared')[0][1:], [True] * 2)
    equal(run.ev('date')[0][1:], [True, 5, True, '/a+/gi', 0])
    equal(run.ev('map')[0][1:], [True, 1, True, [1, 'b']])
    equal(run.ev('views')[0][1:], ['Uint8Array', 1, [2, 3], True, 2, True, True, True, [1, 2, 3, 4]])
    equal(run.one('kinds'), [True] * 5)
    equal(run.one('boxed'), ['[object Number]1', '[object String]s', '[object Boolean]true', '[object BigInt]2'])
    equal(run.ev('error')[0][1:], [True, 'bad', 1, 'RangeError', 'string', 'Error', True, 'm'])
    equal(run.ev('class')[0][1:], [False, 1, True, ['x']])
    equal(run.ev('getter')[0][1:], ['got', True])
    equal(run.ev('proto')[0][1:], [True, ['__proto__']])
    equal(run.ev('extra')[0][1:], ['m', {'q': 2}])
    equal(len(run.ev('no')), 9)
    for _, err in run.ev('no') + [['', e] for e in run.ev('bad')[0][1:]]:
        equal((err['name'], err['error']), ('DataCloneError', True))
    equal(run.ev('transfer')[0][1:], [3, 0])
    equal(run.ev('throws')[0][1]['name'], 'RangeError')
    type_error(run.ev('throws')[0][2])
    equal(run.one('deep'), True)


def test_structured_clone_in_init_keeps_the_cell(t):
    """Its use is no change of a builtin, which would cost a realm for every user."""
    run = t.run('''
const copy = structuredClone({ a: 1 });
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 5, iterations: 2 } } };
export default function () { ev('a', structuredClone(copy).a); }''', '--verbose')
    equal(run.values('a'), [1] * 10)
    check(not run.logged(text='realm of its own'), 'the realm is not shared: %s', run.stderr)


def test_recursion(t):
    """A script may recurse as parsers and walkers of trees do; what never ends is an error it can catch."""
    run = t.run('''
export default function () {
  const sum = (n) => n ? 1 + sum(n - 1) : 0;
  const tree = (n) => n ? { kids: [tree(n - 1)] } : { kids: [] };
  const count = (node) => node.kids.reduce((all, kid) => all + count(kid), 1);
  ev('deep', sum(500), count(tree(80)), JSON.stringify(tree(80)).length, JSON.parse('['.repeat(1000) + ']'.repeat(1000)).length);
  const endless = () => endless() + 1;
  ev('endless', caught(endless).message);
}''')
    equal(run.ev('deep'), [['deep', 500, 81, 891, 1]])
    equal(run.ev('endless'), [['endless', 'stack overflow']])


def test_builtins_can_be_replaced(t):
    """Strict code assigns to a name of the shared realm as to any global; the VU alone sees it. Unknown names stay an error."""
    run = t.run('''
export const options = { vus: 2, iterations: 2 };
const own = [];
console.log = (...args) => own.push(args.join(' '));
const say = console.info;
Date = class { static now() { return 7; } };
setTimeout = 5;
let unknown = null; try { nobodyKnows = 1; } catch (e) { unknown = e.name; }
export default function () {
  Promise = null; JSON.parse; Math = { max: () => 'mine' };
  say('EV ' + JSON.stringify(['seen', Date.now(), setTimeout, Promise, Math.max(1), unknown, typeof globalThis.Date,
    Object.keys(globalThis).includes('Math'), delete globalThis.Math, Math.max(1)]));
}''', prelude=False)
    equal(run.ev('seen'), [['seen', 7, 5, None, 'mine', 'ReferenceError', 'function', True, True, 1]] * 2)
