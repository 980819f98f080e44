# SPDX-License-Identifier: Apache-2.0
"""What becomes of the data that setup() returns (ENG-36 to ENG-38)."""
from case import check, equal

SCRIPT = '''export function setup() { %s }
export default function (data) { ev('vu', data); }
export function teardown(data) { ev('down', data); }
export function handleSummary(s) { ev('summary', s.setup_data); }
'''


def test_conversions(t):
    """ENG-37."""
    values = {
        'new Date(0)': '1970-01-01T00:00:00Z',
        'new Date(1700000000120)': '2023-11-14T22:13:20.12Z',
        "new Map([['a', 1], ['b', new Map()]])": [['a', 1], ['b', []]],
        "new Set([1, 'x'])": [1, 'x'],
        'new Uint8Array([1, 2, 255])': 'AQL/',
        'new Int16Array([1, -2])': [1, -2],
        'new Uint8Array([1, 2]).buffer': {},
        '{ u: undefined, n: null, d: new Date(0) }': {'u': None, 'n': None, 'd': '1970-01-01T00:00:00Z'},
        '[undefined, , 3]': [None, None, 3],
        '12345678901234567890n': 12345678901234567000,
        '{ deep: { list: [{ b: 1n }] } }': {'deep': {'list': [{'b': 1}]}},
        "'\\u00e9\\u{1F600}\"'": 'é😀"',
        '(() => { const twice = { x: 1 }; return [twice, twice]; })()': [{'x': 1}, {'x': 1}],
        '(() => { class P { constructor() { this.a = 1; } m() {} } return new P(); })()': {'a': 1},
    }
    body = ', '.join('[%s]' % v for v in values)
    run = t.run(SCRIPT % ('return [%s];' % body))
    got = [v[0] for v in run.one('vu')]
    for text, value in zip(values, got):
        equal(value, values[text], text)
    equal([v[0] for v in run.one('down')], got)
    equal([v[0] for v in run.one('summary')], got)


def test_what_has_no_json(t):
    """ENG-37: exit 255, no executor and no teardown runs."""
    for value in ('() => 1', '{ a: [function () {}] }', '{ n: NaN }', '[-Infinity]', 'class {}',
                  '(() => { const o = {}; o.o = o; return o; })()', 'new Date(NaN)'):
        run = t.run(SCRIPT % ('return %s;' % value), code=255)
        equal(run.ev('vu', 'down'), [], value)
        errors = run.logged('error')
        check(len(errors) == 1 and 'setup()' in errors[0].msg, '%s: %r', value, errors)


def test_deep_data(t):
    run = t.run(SCRIPT % 'let o = 1; for (let i = 0; i < 50; i++) o = [o]; return o;')
    data = run.one('vu')
    for _ in range(50):
        data = data[0]
    equal(data, 1)
    run = t.run(SCRIPT % 'let o = 1; for (let i = 0; i < 100000; i++) o = { o }; return o;', code=255)
    equal(run.ev('vu'), [])


def test_getters_and_proxies_that_throw(t):
    for value in ("{ get a() { throw new Error('mine'); } }",
                  "new Proxy({}, { ownKeys() { throw new Error('mine'); } })",
                  "{ toJSON() { throw new Error('mine'); } }"):
        run = t.run(SCRIPT % ('return %s;' % value), code=255)
        check('mine' in run.stderr, '%s: %s', value, run.stderr)


def test_the_result_of_teardown_is_nobodys(t):
    run = t.run('export default function () {} export function teardown() { return () => NaN; }')
    equal(run.logged('error'), [])


def test_async_setup(t):
    """ENG-36."""
    run = t.run('''export async function setup() {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { late: true };
}
export default function (data) { ev('vu', data); }''')
    equal(run.one('vu'), {'late': True})


def test_every_vu_has_its_own_copy(t):
    """ENG-38: mutations persist within a VU and never cross to others."""
    run = t.run('''import { sleep } from 'k6';
export const options = { vus: 3, scenarios: undefined, iterations: 9 };
export function setup() { return { by: [] }; }
export default function (data) { data.by.push(__VU); ev('vu', __VU, data.by.every((v) => v === __VU)); sleep(0.1); }
export function teardown(data) { ev('down', data); }''')
    equal(len(run.ev('vu')), 9)
    check(all(e[2] for e in run.ev('vu')), 'data crossed: %r', run.ev('vu'))
    equal(run.one('down'), {'by': []})
