# SPDX-License-Identifier: Apache-2.0
"""TypeScript (ENG-18)."""
import time

from case import check, equal
from project import complains, run, said, write

MAIN = '''import { Options } from 'k6/options';
import { check, type JSONValue } from 'k6';
import type { Nothing } from 'nowhere';
import { Helper, Shape } from './helper.ts';
enum Mode { Fast = 1, Slow, Text = 'text' }
const enum Fixed { Four = 4 }
interface Message<T> { body: T; optional?: JSONValue }
abstract class Base { protected abstract sum(): number; }
class Point extends Base {
  constructor(private x: number, public readonly y: number = 2) { super(); }
  sum(): number { return this.x + this.y; }
}
function first<T>(list: T[]): T { return list[0]!; }
export const options: Options = { vus: 1, iterations: 1 };
export default function (): void {
  const m = { body: 'hi' } as Message<string>, shape: Shape = { kind: 'round' };
  console.log(Mode.Slow, Mode[1], Mode.Text, Fixed.Four, new Point(1).sum(), first<number>([9]), m.body, shape.kind);
  console.log(new Helper().name, check(1, { a: (v) => v === 1 }), (shape satisfies Shape).kind);
}
'''
HELPER = '''export interface Shape { kind: string }
export class Helper { private readonly n: string = 'help'; get name(): string { return this.n; } }
'''
WANT = ['2 Fast text 4 3 9 hi round', 'help true round']


def test_EC_57_typescript(t):
    equal(said(run(t, 'main.ts', {'main.ts': MAIN, 'helper.ts': HELPER})), WANT)


def test_EC_57_typescript_in_a_js_file(t):
    complains(run(t, 'main.js', {'main.js': MAIN, 'helper.ts': HELPER}, code=107), 'SyntaxError', 'main.js:2:')
    complains(run(t, 'main.js', {'main.js': "import './typed.js';\nexport default () => {};",
                                 'typed.js': '\nlet x: number = 1;'}, code=107), 'SyntaxError', 'typed.js:2:')


def test_EC_58_typescript_on_standard_input(t):
    equal(said(run(t, '-', {'in.ts': MAIN, 'helper.ts': HELPER}, stdin='in.ts')), WANT)
    complains(run(t, '-', {'in.js': 'let a = 1;\nlet b = = 2;'}, stdin='in.js', code=107), 'SyntaxError', '-:2:9')


def test_ENG_18_javascript_in_a_ts_file(t):
    done = run(t, 'main.ts', {'main.ts': 'namespace = 1; type = 2; declare = 3;\n'
                                         'exports.default = () => console.log(namespace + type + declare);'})
    equal(said(done), ['6'])


def test_ENG_18_lines_are_kept(t):
    done = run(t, 'main.ts', {'main.ts': 'interface A {\n  a: number;\n}\nnamespace N {\n  export const deep = 1;\n}\n'
                                         'export default function (): void {\n  const a: A = { a: N.deep };\n'
                                         '  throw new Error("line nine" as string);\n}\n'})
    complains(done, 'line nine', 'main.ts:9:')
    done = run(t, 'main.ts', {'main.ts': 'let a: number = 1;\nlet b: = 3;\n'}, code=107)
    complains(done, 'SyntaxError', 'main.ts:2:8', 'let b: = 3;\n\t       ^')
    done = run(t, 'main.ts', {'main.ts': "import './bad.ts';\nlet a: number = 1;\n", 'bad.ts': '\n\nlet b: = 3;\n'},
               code=107)
    complains(done, 'SyntaxError', 'bad.ts:3:8')


def test_ENG_18_missing_files(t):
    """The error names the file that is missing and the one that asks for it, however deep."""
    for end in ('ts', 'js'):
        files = {'main.' + end: "import './lib/a.%s';\nimport './lib/b.%s';\nexport default () => {};\n" % (end, end),
                 'lib/a.' + end: 'export const a = 1;\n', 'lib/b.' + end: "import './a.%s';\nimport '../c.%s';\n" % (end, end)}
        complains(run(t, 'main.' + end, files, code=107), "cannot open '%s'" % t.path('c.' + end),
                  'imported by file://%s' % t.path('lib/b.' + end))


def test_ENG_18_namespaces(t):
    done = run(t, 'main.ts', {'main.ts': '''
export namespace A.B {
  export const a: Map<string, number> = new Map([['k', 1]]), c = 2
  export interface Q { x: number }
  export abstract class D<T> { m(): T { return null as any; } }
  export async function f() { return `${a.get('k')}`; }
  export namespace Inner { export let counter = 0; export function bump() { counter++; } }
  const hidden = 5;
  export type T1 = { a: number };
  export enum Color { Red, Green }
}
namespace OnlyTypes { export interface X { y: string } export type Z = string; }
declare namespace Ambient { const q: number }
class K { v = 1 }
namespace K { export const extra = 7; }
namespace Twice { export const one = 1 }
namespace Twice { export const two = 2 }
const x: OnlyTypes.Z = await A.B.f();
A.B.Inner.bump(); A.B.Inner.bump();
console.log(A.B.c, A.B.a.get('k'), x, A.B.Inner.counter, A.B.Color.Green, typeof A.B.D, Object.keys(A.B).length);
console.log((K as any).extra, new K().v, Twice.one + Twice.two, typeof OnlyTypes, typeof Ambient, (A.B as any).hidden);
export default function (): void {}
'''})
    equal(said(done)[:2], ['2 1 1 2 1 function 6', '7 1 3 undefined undefined undefined'])
    done = run(t, 'main.ts', {'main.ts': 'namespace N {\n  export const { a }: any = { a: 1 };\n}\nconsole.log(N.a);'},
               code=107)
    complains(done, 'destructuring', 'main.ts:2:16')


def test_ENG_18_commonjs_in_typescript(t):
    done = run(t, 'main.js', {
        'main.js': "const { add } = require('./add.ts');\nexports.default = () => console.log(add(1, 2));",
        'add.ts': 'exports.add = (a: number, b: number): number => a + b;'}, '--vus', '2', '--iterations', '2')
    equal(said(done), ['3', '3'])


def generated(size):
    out, i, have = ['import { Options } from "k6/options";', 'export const options: Options = { iterations: 1 };'], 0, 0
    while have < size:
        out.append('interface I%d<T> { a: T; b?: string[] }\nexport function f%d<T extends I%d<number>>(x: T, y: number = '
                   '%d): T { const z = (x as any).b!; return { ...x, a: z.length + y } as T; }' % (i, i, i, i))
        have += len(out[-1])
        i += 1
    return '\n'.join(out + ['export default () => console.log(f1({ a: 1, b: [] } as any).a);'])


def test_ENG_18_large_files(t):
    for size in (17 * 1024, 300 * 1024):
        started = time.monotonic()
        equal(said(run(t, 'main.ts', {'main.ts': generated(size)})), ['1'])
        check(time.monotonic() - started < 20, 'a file of %d bytes took %g s', size, time.monotonic() - started)


def test_ENG_18_deep_files(t):
    deep = 'const x: number = %s1%s;\nexport default () => console.log(x);' % ('(' * 200, ')' * 200)
    equal(said(run(t, 'main.ts', {'main.ts': deep})), ['1'])
    done = run(t, 'main.ts', {'main.ts': deep.replace('((', '(' * 50000)}, code=107)
    check(done.logged('error'), 'no error')


def test_ENG_18_scripts_without_types_do_not_wake_the_stripper(t):
    write(t, {'main.ts': 'export default () => {};'})
    done = t.start_args('run', '--verbose', '--quiet', t.path('main.ts')).wait()
    check(not done.logged(text='stripper'), 'woken for nothing')
    write(t, {'main.ts': 'export default (): void => {};'})
    done = t.start_args('run', '--verbose', '--quiet', t.path('main.ts')).wait()
    check(done.logged('debug', 'type stripper'), 'not said')


def test_EC_58_archives_of_typescript_on_standard_input(t):
    write(t, {'in.ts': MAIN, 'helper.ts': HELPER})
    t.start_args('archive', '-O', t.path('a.tar'), '-', stdin='in.ts').wait()
    t.write('helper.ts', 'gone')
    equal(said(run(t, 'a.tar', {})), WANT)


def test_ENG_18_what_the_stripper_keeps_may_be_an_error(t):
    done = run(t, 'main.ts', {'main.ts': 'let n: number = 1;\n@decorated class A {}\nexport default () => {};'}, code=107)
    complains(done, 'SyntaxError', 'main.ts:2:')
