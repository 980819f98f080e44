# SPDX-License-Identifier: Apache-2.0
"""k6/experimental/fs and k6/experimental/csv (MOD-85, MOD-86)."""
from case import check, equal, go_error, type_error

FS = "import { open as fopen, SeekMode } from 'k6/experimental/fs';\n"
CSV = FS + "import csv from 'k6/experimental/csv';\n"
REJECTED = '''
async function rejected(f) {
  try { await f(); return null; } catch (e) {
    return { name: e.name, error: e instanceof Error, type: e instanceof TypeError, message: String(e.message), text: String(e) };
  }
}
'''
TABLE = 'a,b\n1,2\n3,"x,y"\n'


def test_MOD_85_reading(t):
    t.write('data.txt', '0123456789')
    run = t.run(FS + '''
const f = await fopen('./data.txt');
export default async function () {
  const b = new Uint8Array(4);
  ev('stat', await f.stat(), f.path.endsWith('/data.txt'), Object.prototype.toString.call(f));
  ev('read', await f.read(b), bytes(b.buffer), await f.read(b), bytes(b.buffer), await f.read(b), bytes(b.buffer), await f.read(b));
  ev('seek', await f.seek(2, SeekMode.Start), await f.seek(3, SeekMode.Current), await f.read(b), await f.seek(-1, SeekMode.End),
    await f.read(b), b[0], await f.seek(0, SeekMode.End), await f.read(b), await f.seek(0, 0));
  const part = new Uint8Array(b.buffer, 1, 2); ev('view', await f.read(part), bytes(b.buffer));
  ev('empty', await f.read(new Uint8Array(0)));
  ev('modes', SeekMode.Start, SeekMode.Current, SeekMode.End, f.read(b) instanceof Promise);
}''')
    equal(run.ev('stat'), [['stat', {'name': 'data.txt', 'size': 10}, True, '[object File]']])
    equal(run.ev('read'), [['read', 4, [48, 49, 50, 51], 4, [52, 53, 54, 55], 2, [56, 57, 54, 55], None]])
    equal(run.ev('seek'), [['seek', 2, 5, 4, 9, 1, 57, 10, None, 0]])
    equal(run.ev('view'), [['view', 2, [57, 48, 49, 56]]])
    equal(run.ev('empty'), [['empty', 0]])
    equal(run.ev('modes'), [['modes', 0, 1, 2, True]])


def test_MOD_85_refusals(t):
    t.write('data.txt', '0123456789')
    run = t.run(FS + REJECTED + '''
const f = await fopen('data.txt');
ev('missing', await rejected(() => fopen('nothere.txt')));
ev('type', await rejected(() => fopen()));
ev('type', await rejected(() => fopen(5)));
export default async function () {
  ev('late', await rejected(() => fopen('data.txt')));
  for (const g of [() => f.read(), () => f.read('x'), () => f.read(new ArrayBuffer(4)), () => f.read(new Uint16Array(2)),
    () => f.seek(-1, 0), () => f.seek(11, 0), () => f.seek(1, 2), () => f.seek(0, 3), () => f.seek('1', 0), () => f.seek(1)])
    ev('type', await rejected(g));
  ev('type', caught(() => f.read.call({})));
  ev('still', await f.seek(0, 1));
}''')
    go_error(run.ev('missing')[0][1])
    go_error(run.one('late'))
    equal(len(run.ev('type')), 4 + 11)
    for _, err in run.ev('type'):
        type_error(err)
    equal(run.one('still'), 0)


def test_MOD_85_position_is_the_VUs_own(t):
    t.write('data.txt', '0123456789')
    run = t.run(FS + '''
const f = await fopen('data.txt');
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3, iterations: 2 } } };
export default async function () { const b = new Uint8Array(2); await f.read(b); ev('b', __VU, b[0] - 48); }''')
    equal(sorted(e[1:] for e in run.ev('b')), [[vu, at] for vu in (1, 2, 3) for at in (0, 2)])


def test_MOD_85_from_an_archive(t):
    t.write('data.csv', TABLE)
    t.write('s.js', CSV + '''
const f = await fopen('./data.csv'); const rows = await csv.parse(f);
export default async function () { console.log('size', (await f.stat()).size, JSON.stringify(rows)); }''')
    t.start_args('archive', 's.js').wait()
    t.write('data.csv', 'gone')
    run = t.start_args('run', 'archive.tar').wait()
    check(run.logged('info', 'size 16'), 'not the archived file: %s', run.stderr)


def test_MD_31_parse(t):
    t.write('t.csv', TABLE)
    run = t.run(CSV + '''
const rows = await csv.parse(await fopen('t.csv'), { skipFirstLine: true });
export default function () {
  ev('rows', rows.length, rows[0], rows[1], rows[2] === undefined, Array.isArray(rows), Object.isFrozen(rows[0]));
  ev('write', caught(() => { rows[0] = 1; }));
}''')
    equal(run.ev('rows'), [['rows', 2, ['1', '2'], ['3', 'x,y'], True, True, True]])
    type_error(run.one('write'))


PARSED = [
    ('plain', 'a,b\nc,d\n', '{}', [['a', 'b'], ['c', 'd']]),
    ('no end of line', 'a,b\nc,d', '{}', [['a', 'b'], ['c', 'd']]),
    ('CRLF', 'a,b\r\nc,d\r\n', '{}', [['a', 'b'], ['c', 'd']]),
    ('empty fields', ',\n,', '{}', [['', ''], ['', '']]),
    ('empty lines', '\n\na\n\r\n\nb\n\n', '{}', [['a'], ['b']]),
    ('quotes', '"a""b","c\nd","",x\n', '{}', [['a"b', 'c\nd', '', 'x']]),
    ('CRLF within quotes', '"a\r\nb"\n', '{}', [['a\nb']]),
    ('spaces stay', ' a , b \n', '{}', [[' a ', ' b ']]),
    ('delimiter', 'a;b,c\n', "{ delimiter: ';' }", [['a', 'b,c']]),
    ('tab', 'a\tb\n', "{ delimiter: '\\t' }", [['a', 'b']]),
    ('wide delimiter', 'a→"b"→c\n', "{ delimiter: '→' }", [['a', 'b', 'c']]),
    ('emoji delimiter', 'a😀b\n', "{ delimiter: '😀' }", [['a', 'b']]),
    ('accent', 'é\\\x01,\u2028\n', '{}', [['é\\\x01', '\u2028']]),
    ('lines', 'a\nb\nc\nd\ne\n', '{ fromLine: 1, toLine: 3 }', [['b'], ['c'], ['d']]),
    ('to the first', 'a\nb\n', '{ toLine: 0 }', [['a']]),
    ('from behind the end', 'a\nb\n', '{ fromLine: 9 }', []),
    ('skip and from', 'a\nb\nc\n', '{ skipFirstLine: true, fromLine: 2 }', [['c']]),
    ('empty file', '', '{}', []),
    ('empty file, header', '', '{ asObjects: true }', []),
    ('header alone', 'a,b\n', '{ asObjects: true }', []),
    ('objects', 'name,"q""x"\nA,1\nB,2\n', '{ asObjects: true }', [{'name': 'A', 'q"x': '1'}, {'name': 'B', 'q"x': '2'}]),
    ('objects to line', 'n\nA\nB\nC\n', '{ asObjects: true, toLine: 2 }', [{'n': 'A'}, {'n': 'B'}]),
    ('null options', 'a\n', 'null', [['a']]),
]


def test_MOD_86_forms(t):
    script = CSV + 'const all = [];\n'
    for i, (_, text, options, _) in enumerate(PARSED):
        with open(t.path('t%d.csv' % i), 'w', encoding='utf-8', newline='') as f:
            f.write(text)
        script += '''{ const f = await fopen('t%d.csv'); all.push([await csv.parse(f, %s), new csv.Parser(f, %s)]); }\n''' % (
            i, options, options)
    run = t.run(script + '''export default async function () {
  for (const [rows, parser] of all) {
    const got = []; for (;;) { const { done, value } = await parser.next(); if (done) break; got.push(value); }
    ev('rows', rows, got, (await parser.next()).done);
  }
}''')
    for (name, _, _, want), (_, rows, read, done) in zip(PARSED, run.ev('rows'), strict=True):
        equal(rows, want, name)
        equal(read, want, name + ', by Parser')
        equal(done, True, name)


def test_MOD_86_refusals(t):
    for name, text in (('open.csv', 'a,"b\n'), ('bare.csv', 'a,b"c\n'), ('behind.csv', 'a,"b"c\n'), ('count.csv', 'a,b\nc\n'),
                       ('more.csv', 'a\nb,c\n'), ('head.csv', 'x,"a"b\n1,2\n')):
        t.write(name, text)
    t.write('t.csv', TABLE)
    run = t.run(CSV + REJECTED + '''
for (const name of ['open', 'bare', 'behind', 'count', 'more', 'head'])
  for (const asObjects of [false, true]) {
    if (asObjects && (name === 'open' || name === 'bare' || name === 'behind')) continue;
    ev('data', name, await rejected(async () => csv.parse(await fopen(name + '.csv'), { asObjects })));
  }
const f0 = await fopen('head.csv');
ev('header', caught(() => new csv.Parser(f0, { asObjects: true })));
const f = await fopen('t.csv'), late = new csv.Parser(await fopen('count.csv'));
for (const o of ["{ delimiter: '' }", "{ delimiter: 'ab' }", "{ delimiter: '\\"' }", "{ delimiter: 5 }", '{ fromLine: -1 }',
  "{ toLine: 'x' }", '{ fromLine: 2, toLine: 1 }', '{ asObjects: true, skipFirstLine: true }', '{ asObjects: true, fromLine: 1 }', '5'])
  ev('options', o, await rejected(() => csv.parse(f, eval(`(${o})`))));
ev('options', 'no file', await rejected(() => csv.parse('t.csv')));
ev('options', 'Parser', caught(() => new csv.Parser({})));
export default async function () {
  ev('vu', await rejected(() => csv.parse(f))); ev('vu', caught(() => new csv.Parser(f)));
  ev('late', (await late.next()).value, await rejected(() => late.next()));
  ev('method', caught(() => csv.Parser.prototype.next.call(f)));
}''', '--iterations', '1')
    equal(len(run.ev('data')), 2 * 9)
    for _, name, err in run.ev('data'):
        go_error(err, name)
        check(name in err['message'], 'the message names no file: %r', err)
    for _, err in run.ev('vu') + run.ev('header'):
        go_error(err)
    equal(len(run.ev('options')), 2 * 12)
    for _, what, err in run.ev('options'):
        type_error(err, what)
    equal(run.ev('late')[0][1], ['a', 'b'])
    go_error(run.ev('late')[0][2])
    type_error(run.one('method'))


def test_MOD_86_shared_by_all_VUs(t):
    """The rows are one array of the process: 20 VUs of 20,000 rows stay far below 20 copies."""
    t.write('big.csv', ''.join('%d,user%d,password%d\n' % (i, i, i) for i in range(20000)))
    run = t.run(CSV + '''
const rows = await csv.parse(await fopen('big.csv'));
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 20, iterations: 1 } } };
export default function () { ev('row', rows.length, rows[__VU * 100]); }''')
    equal(len(run.ev('row')), 20)
    check(all(e[1] == 20000 and e[2][1] == 'user' + e[2][0] for e in run.ev('row')), 'wrong rows: %r', run.ev('row')[:3])
