# SPDX-License-Identifier: Apache-2.0
"""CommonJS files, require(), and what decides the kind of a file (ENG-15, ENG-16)."""
from case import check, equal
from project import complains, run, said

DEFAULT = 'export default function () {}\n'


def test_EC_59_commonjs_main_script(t):
    done = run(t, 'main.js', {'main.js': '''
module.exports.default = function () { console.log('iteration', __ITER, this === undefined || this === globalThis); };
exports.options = { vus: 1, iterations: 2 };
exports.setup = () => { console.log('setup'); return 7; };
exports.teardown = (data) => console.log('teardown', data);
'''})
    equal(said(done), ['setup', 'iteration 0 true', 'iteration 1 true', 'teardown 7'])


def test_EC_60_module_names_in_an_es_module(t):
    for line in ('exports.x = 1;', 'module.exports = 1;'):
        done = run(t, 'main.js', {'main.js': line + DEFAULT}, code=107)
        complains(done, 'ReferenceError', 'is not defined')


def test_EC_56_what_cannot_be_imported(t):
    files = {'m.js': 'export const a = 1;'}
    for line, words in (("import 'lodash';", "cannot import 'lodash'"), ("import './m';", 'cannot open'),
                        ("import { b } from './m.js';", "'b'"), ("import './gone.js';", 'cannot open')):
        done = run(t, 'main.js', dict(files, **{'main.js': line + DEFAULT}), code=107)
        complains(done, words)


def test_ENG_15_imports_of_a_commonjs_file(t):
    done = run(t, 'main.js', {
        'main.js': '''
import whole, { twice, missing } from './plain.js';
import dflt, { named } from './with-default.js';
import * as all from './plain.js';
import fn from './function.js';
export { twice as again } from './plain.js';
import { starred } from './star.js';
console.log(twice(2), typeof missing, whole.twice === twice, dflt, named, all.twice === twice, all.late, fn(), starred);
export default function () { console.log('vu', twice(3), all.late); }
''', 'plain.js': 'exports.twice = (x) => 2 * x;\nexports["la" + "te"] = "found";\n',
        'with-default.js': 'exports.default = "d"; exports.named = "n";',
        'function.js': 'module.exports = () => "called";',
        'star.js': "export * from './starred.js'; export const own = 1;",
        'starred.js': 'exports.starred = "s";'}, '--vus', '2', '--iterations', '2')
    equal(said(done).count('4 undefined true d n true found called s'), 3)    # load pass and two VUs
    equal(said(done).count('vu 6 found'), 2)


def test_ENG_15_every_vu_runs_its_own_copy(t):
    done = run(t, 'main.js', {
        'main.js': '''
const a = require('./counter.js'), b = require('./sub/../counter.js');
exports.options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3, iterations: 1 } } };
exports.default = () => console.log(a === b, a.next(), b.next(), exports.n = (exports.n || 0) + 1);
''', 'counter.js': 'let n = 0; exports.next = () => ++n;'})
    equal(said(done), ['true 1 2 1'] * 3)


def test_ENG_15_sloppy_code_and_its_limits(t):
    done = run(t, 'main.js', {
        'main.js': '''#!/usr/bin/env squall
leaked = 010; with ({ inner: 5 }) { console.log(inner, leaked, typeof this, this === exports, arguments.length); }
if (leaked) { exports.default = () => console.log(typeof leaked); return; }
throw new Error('not reached');
'''})
    equal(said(done)[0], '5 8 object true 3')
    equal(said(done)[-1], 'number')
    for text in ('a(); }); (function () {', '}) ; ({', 'return }'):
        complains(run(t, 'bad.js', {'bad.js': text}, code=107), 'SyntaxError', 'bad.js:1:')


def test_ENG_15_positions_in_commonjs_files(t):
    done = run(t, 'main.js', {'main.js': '// one\n// two\nrequire("./thrower.js");',
                              'thrower.js': '\n\n  throw new Error("thrown here");\n'}, code=107)
    complains(done, 'thrown here', 'thrower.js:3:', 'main.js:3:')
    done = run(t, 'main.js', {'main.js': 'exports.a = 1;\nexports.b = = 2;\n'}, code=107)
    complains(done, 'SyntaxError', 'main.js:2:13', 'exports.b = = 2;\n\t            ^')


def test_ENG_16_require_in_both_kinds(t):
    done = run(t, 'main.js', {
        'main.js': '''
import { sleep } from 'k6';
const lib = require('./lib.js'), c = require('./c/c.js'), k6 = require('k6'), http = require('k6/http');
console.log(lib.x, lib.default(), c.base, c.up.x === lib.x, k6.sleep === sleep, typeof http.get, typeof k6.check);
try { require('./gone.js'); } catch (e) { console.log('gone', /cannot open/.test(e.message)); }
try { require('bare'); } catch (e) { console.log('bare', /not a built-in/.test(e.message)); }
try { require(''); } catch (e) { console.log('empty', /needs the name/.test(e.message)); }
try { require('./throws.js'); } catch (e) { console.log('first', e.message); }
try { require('./throws.js'); } catch (e) { console.log('second', e.message); }
try { require('./broken.js'); } catch (e) { console.log('broken', e.name); }
try { require('./waits.js'); } catch (e) { console.log('waits', /awaits at top level/.test(e.message)); }
export default function () {
  for (const f of [() => require('./lib.js'), () => require('k6'), c.later])
    try { f(); } catch (e) { console.log('vu', /init stage/.test(e.message)); }
}
''', 'lib.js': 'export const x = { v: 1 }; export default () => "default";',
        'c/c.js': "exports.base = open('beside.txt'); exports.up = require('../lib.js');"
                  "exports.later = () => require('../lib.js');",
        'c/beside.txt': 'beside', 'throws.js': 'throw new Error("no " + (globalThis.n = (globalThis.n || 0) + 1));',
        'broken.js': 'let = = ;', 'waits.js': 'await new Promise((r) => setTimeout(r, 1)); export {};'},
               '--vus', '2', '--iterations', '2')
    lines = said(done)
    for line in ('{ v: 1 } default beside true true function function', 'bare true', 'empty true',
                 'first no 1', 'second no 2', 'waits true'):
        equal(lines.count(line), 3, line)
    for line in ('gone true', 'broken SyntaxError'):    # later passes say that the set of modules is frozen
        equal(lines.count(line), 1, line)
    equal(lines.count('vu true'), 6)


def test_ENG_16_cycles(t):
    done = run(t, 'main.js', {
        'main.js': "import { a } from './a.js'; import { e } from './es.js'; console.log(a, e);" + DEFAULT,
        'a.js': "exports.early = 1; const b = require('./b.js'); exports.a = b.seen;",
        'b.js': "const a = require('./a.js'); exports.seen = Object.keys(a).join();",
        'es.js': "import './c.js'; export const e = 'e';",
        'c.js': "try { require('./needs.js'); } catch (x) { console.log(x.name, /running/.test(x.message)); }"
                "console.log(typeof require('./es.js'));",
        'needs.js': "import './es.js'; export const n = 1;"})
    equal(said(done)[:3], ['ReferenceError true', 'object', 'early e'])


def test_EC_61_top_level_await_and_dynamic_import(t):
    done = run(t, 'main.js', {
        'main.js': '''
const v = await Promise.resolve(5); console.log('awaited', v);
import('./x.js').catch((e) => console.log('init', e.name));
export default function () { import('./x.js'); console.log('went on'); }
''', 'x.js': 'export const x = 1;'})
    check('awaited 5' in said(done) and 'init TypeError' in said(done) and 'went on' in said(done), '%r', said(done))
    complains(done, 'import', 'is not supported')


def test_EC_61_dynamic_import_of_a_module_that_is_loaded(t):
    done = run(t, 'main.js', {
        'main.js': "import { x } from './x.js';\nexport default async function () {\n"
                   "  try { await import('./x.js'); } catch (e) { console.log(x, e.name); } }",
        'x.js': 'export const x = 1;'}, '--vus', '2', '--iterations', '4')
    equal(said(done), ['1 TypeError'] * 4)


def test_ENG_20_import_meta_resolve(t):
    done = run(t, 'main.js', {
        'main.js': "import { url } from './sub/m.js';\n"
                   "console.log(import.meta.resolve('./a/../b.js'), url, import.meta.resolve('k6/http'));\n"
                   "try { import.meta.resolve('bare'); } catch (e) { console.log(e.name); }\n" + DEFAULT,
        'sub/m.js': "export const url = import.meta.resolve('../c.js');"}, '--vus', '2', '--iterations', '2')
    want = 'file://%s file://%s k6/http' % (t.path('b.js'), t.path('c.js'))
    equal(sorted(said(done)), ['TypeError'] * 3 + [want] * 3)


def test_ENG_21_modules_are_frozen_after_the_first_pass(t):
    done = run(t, 'main.js', {'main.js': "if (__VU > 0) require('./x.js');\nexports.default = () => {};",
                              'x.js': ''}, code=107)
    complains(done, 'x.js', 'frozen')


def test_ENG_14_json_is_accepted(t):
    done = run(t, 'main.js', {
        'main.js': "import d from './d.json';\nconst again = require('./d.json');\n"
                   "console.log(d.default, d.list.length, d === again, Object.keys(d).join());\n" + DEFAULT,
        'd.json': '{"default": "x", "list": [1, 2], "__proto__": 1, "\u2028": "\\\\"}'})
    equal(said(done)[0], 'x 2 true default,list,__proto__,\u2028')
    complains(run(t, 'main.js', {'d.json': '{"a": }'}, code=107), 'SyntaxError')


def test_ENG_261_archives_hold_what_was_required(t):
    files = {'main.js': "const x = require('./sub/x.js');\nexports.default = () => console.log(x.t, x.d.a);",
             'sub/x.js': "exports.t = require('./t.ts').t; exports.d = require('../d.json');",
             'sub/t.ts': 'export const t: string = "typed" as string;', 'd.json': '{"a": 1}'}
    run(t, 'main.js', files)
    t.start_args('archive', '-O', t.path('a.tar'), t.path('main.js')).wait()
    for name in files:
        t.write(name, 'gone')
    equal(said(run(t, 'a.tar', {})), ['typed 1'])


def test_ENG_31_namespaces_outlive_the_init_code(t):
    done = run(t, 'main.js', {
        'main.js': "import * as all from './a.js';\n"
                   "export default () => console.log(all.utils.name, all.first, Object.keys(all.plain).join());",
        'a.js': "export * as utils from './u.js'; export * as plain from './c.js'; import './b.js';"
                "export const first = 1;",
        'b.js': "import * as a from './a.js'; export const again = () => a.utils;", 'u.js': "export const name = 'u';",
        'c.js': 'exports.k = 1;'}, '--vus', '3', '--iterations', '6')
    equal(said(done), ['u 1 default,k'] * 6)


def test_ENG_15_chains_of_files(t):
    files = {'f%d.js' % i: "exports.n = 1 + require('./f%d.js').n;" % (i + 1) for i in range(20)}
    done = run(t, 'f0.js', dict(files, **{'f20.js': 'exports.n = 1;', 'f0.js': files['f0.js'] +
                                          'exports.default = () => console.log(exports.n);'}))
    equal(said(done), ['21'])
    files = {'f%d.js' % i: "exports.n = 1 + require('./f%d.js').n;" % (i + 1) for i in range(2000)}
    complains(run(t, 'f0.js', dict(files, **{'f2000.js': 'exports.n = 1;'}), code=107), 'stack overflow')


def test_ENG_16_built_in_modules_in_commonjs(t):
    done = run(t, 'main.js', {'main.js': """
const { Counter } = require('k6/metrics'), exec = require('k6/execution'), ws = require('k6/ws');
const hits = new Counter('hits');
exports.default = function () { hits.add(1); console.log(exec.vu.idInTest, typeof ws.connect); };
"""})
    equal(said(done), ['1 function'])


def test_ENG_16_require_through_a_native_function(t):
    done = run(t, 'main.js', {'main.js': "const [a, b] = ['./sub/a.js', './sub/b.js'].map(globalThis.require);\n"
                                         "exports.default = () => console.log(a.n + b.n);",
                              'sub/a.js': 'exports.n = [require.call(null, "./b.js").n].map((n) => n + 1)[0];',
                              'sub/b.js': 'exports.n = 20;'})
    equal(said(done), ['41'])
