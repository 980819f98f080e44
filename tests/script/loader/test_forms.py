# SPDX-License-Identifier: Apache-2.0
"""The import forms of real scripts (ENG-12, ENG-14, ENG-17, ENG-22, ENG-23, MOD-1, MOD-90)."""
import hashlib

from case import check, equal
from project import complains, run, said, write

DEFAULT = '\nexport default function () {}\n'


def one(t, text, files=None, **kw):
    """What the init code of `text` says in the load pass."""
    return said(run(t, 'main.js', dict(files or {}, **{'main.js': text + DEFAULT}), **kw))[:1]


def test_ENG_12_files(t):
    """Beside, above, absolute, by URL; with dots; the same file under two names is one module."""
    files = {'lib/a.js': "import { up } from '../up.js';\nimport './deep/b.js';\nexport const a = 'a' + up;",
             'lib/deep/b.js': "import { up } from './../../lib/.././up.js';\nglobalThis.b = up;", 'up.js': "export const up = 'up' + (globalThis.n = (globalThis.n || 0) + 1);",
             'with space & ü.js': 'export default 7;'}
    folder = t.path('')
    got = one(t, '''
import { a } from './lib/a.js';
import { a as absolute } from '%slib/a.js';
import { a as url } from 'file://%slib/a.js';
import odd from './with space & ü.js';
console.log(a, absolute === a, url === a, globalThis.b, odd);
''' % (folder, folder), files)
    equal(got, ['aup1 true true up1 7'])


def test_ENG_12_what_is_refused(t):
    """No guessing of extensions or index.js, no node_modules, no other schemes: exit code 107, and what to do."""
    files = {'dir/index.js': 'export const a = 1;', 'node_modules/lodash/index.js': 'export default 1;', 'm.js': 'export const a = 1;'}
    for spec, word in (('./dir', 'dir'), ('./dir/', 'dir'), ('./m', '/m'), ('lodash', 'lodash'), ('@scope/x', '@scope/x'),
                       ('http://127.0.0.1:1/x.js', 'https'), ('github.com/x/y', 'github.com/x/y'), ('data:text/javascript,1', 'data:'),
                       ('', "''"), ('node:fs', 'node:fs')):
        done = run(t, 'main.js', dict(files, **{'main.js': "console.log('not run');\nimport '%s';" % spec + DEFAULT}), code=107)
        complains(done, word)
        equal(said(done), [], spec)


def test_ENG_12_forms_of_es_modules(t):
    files = {
        'm.js': "export default function f() { return 'f'; }\nexport const a = 1; export let live = 0; export const bump = () => { live++; };",
        'star.js': "export * from './m.js';\nexport * as m from './m.js';\nexport { default } from './m.js';\nexport { a as renamed } from './m.js';",
        'c1.js': "import { two } from './c2.js';\nexport const one = () => 'one';\nexport const both = () => one() + two();",
        'c2.js': "import { one } from './c1.js';\nexport const two = () => one() + 'two';",
        'side.js': 'globalThis.side = true;',
    }
    got = one(t, '''
import f, * as all from './m.js';
import again, { m, renamed, live, bump } from './star.js';
import { both } from './c1.js';
import './side.js';
bump();
console.log(f(), again === f, m.default === f, all.a, renamed, live, all.live, both(), side, Object.keys(all).join());
''', files)
    equal(got, ['f true true 1 1 1 1 oneonetwo true a,bump,default,live'])


def test_ENG_14_json(t):
    files = {'d.json': '{"list":[1,2]}', 'list.json': '[3]'}
    got = one(t, '''
import d from './d.json';
import list from './list.json';
console.log(d.list.length, list[0], require('./d.json').list[1], JSON.parse(open('./d.json')).list[0]);
''', files)
    equal(got, ['2 3 2 1'])
    complains(run(t, 'main.js', {'bad.json': '{"a":', 'main.js': "import './bad.json';" + DEFAULT}, code=107), 'bad.json')


def test_ENG_15_what_bundlers_write(t):
    """Babel and TypeScript (__esModule), webpack (library of a UMD), esbuild (__toCommonJS)."""
    files = {
        'babel.js': '''"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.default = void 0; exports.named = named;
function named() { return 'named'; }
var _default = exports.default = { kind: 'babel' };''',
        'umd.js': '''(function (root, factory) {
  if (typeof exports === 'object' && typeof module === 'object') module.exports = factory();
  else if (typeof define === 'function' && define.amd) define([], factory);
  else root.lib = factory();
})(typeof self !== 'undefined' ? self : this, () => ({ kind: 'umd', n: 4 }));''',
        'esbuild.js': '''var __defProp = Object.defineProperty;
var __export = (target, all) => { for (var name in all) __defProp(target, name, { get: all[name], enumerable: true }); };
var out = {};
__export(out, { default: () => main, options: () => options });
module.exports = ((mod) => Object.defineProperty(mod, '__esModule', { value: true }))(out);
var options = { vus: 1 };
function main() { return 'main'; }''',
    }
    got = one(t, '''
import babel, { named } from './babel.js';
import umd, { n } from './umd.js';
import main, { options } from './esbuild.js';
console.log(babel.kind, named(), umd.kind, n, main(), options.vus);
''', files)
    equal(got, ['babel named umd 4 main 1'])
    done = run(t, 'esbuild.js', files)
    equal(done.code, 0)


def test_MOD_1_every_built_in_three_ways(t):
    """By name, as a default object and as a namespace: the same things; each VU has instances of its own."""
    modules = ['k6', 'k6/http', 'k6/ws', 'k6/websockets', 'k6/metrics', 'k6/execution', 'k6/data', 'k6/encoding', 'k6/crypto',
               'k6/timers', 'k6/html', 'k6/secrets', 'k6/experimental/fs', 'k6/experimental/csv', 'k6/experimental/streams']
    text = ''.join("import d%d, * as n%d from '%s';\n" % (i, i, m) for i, m in enumerate(modules))
    text += 'const all = [%s];\n' % ', '.join("['%s', d%d, n%d, require('%s')]" % (m, i, i, m) for i, m in enumerate(modules))
    got = one(t, text + '''
import { get } from 'k6/http';
import { check as named } from 'k6';
const bad = [];
for (const [name, dflt, ns, required] of all) {
  if (required !== dflt) bad.push(name + ': require');
  for (const key of Object.keys(ns)) if (key !== 'default' && name !== 'k6/execution' && dflt[key] !== ns[key]) bad.push(name + '.' + key);
  if (Object.keys(ns).length < 2) bad.push(name + ': nothing');
}
d1.mine = 1;
console.log(JSON.stringify(bad), get === d1.get, named === d0.check, d1.mine);
''')
    equal(got, ['[] true true 1'])


def test_ENG_17_names_that_are_not_there(t):
    """Old scripts import what later versions dropped: a warning, no error, in every form."""
    done = run(t, 'main.js', {'main.js': '''
import { abort, check } from 'k6';
import { setTimeout as t, gone } from 'k6/timers';
import * as ws from 'k6/ws';
export { nothing } from 'k6/metrics';
console.log(abort, typeof check, gone, typeof t, ws.nope);
''' + DEFAULT})
    equal(said(done)[:1], ['null function null function undefined'])
    check(len(done.logged('warning', "'abort'")) == 1 and len(done.logged('warning', "'gone'")) == 1, '%r', done.logged('warning'))


def test_ENG_22_unknown_modules(t):
    for name, words in (('k6/nope', ['k6/nope']), ('k6/htpp', ['k6/htpp', 'k6/http']), ('k6/x/sql', ['k6/x/sql', 'extension']),
                        ('k6/browser', ['k6/browser', 'scope']), ('k6/net/grpc', ['k6/net/grpc', 'scope']), ('squall/nope', ['squall/nope'])):
        for line in ("import x from '%s';" % name, "const x = require('%s');" % name):
            done = run(t, 'main.js', {'main.js': line + DEFAULT}, code=107)
            complains(done, *words)


def test_ENG_23_removed_modules(t):
    for name in ('browser', 'grpc', 'tracing', 'webcrypto', 'redis'):
        complains(run(t, 'main.js', {'main.js': "import 'k6/experimental/%s';" % name + DEFAULT}, code=107),
                  'k6/experimental/' + name)
    for name, now in (('timers', 'k6/timers'), ('websockets', 'k6/websockets')):
        done = run(t, 'main.js', {'main.js': '''
import * as old from 'k6/experimental/%s';
import * as now from '%s';
console.log(Object.keys(now).every((k) => old[k] === now[k] || k === 'default'));
''' % (name, now) + DEFAULT}, '--vus', '3', '--iterations', '3')
        equal(set(said(done)), {'true'})
        equal(len(done.logged('warning', now)), 1, name)


def test_MOD_90_jslib_from_the_cache(t):
    """The usual addresses of jslib, when the network is not there: what was fetched once serves."""
    library = '''import { check as k6check } from 'k6';
import crypto from 'k6/crypto';
export function uuidv4() { return crypto.hexEncode(crypto.randomBytes(16)); }
export const randomIntBetween = (a, b) => Math.floor(Math.random() * (b - a + 1) + a);
'''
    url = 'https://jslib.k6.io/k6-utils/1.4.0/index.js'
    name = hashlib.sha256(url.encode()).hexdigest()
    write(t, {'cache/' + name: 'squall module 1\n%s\n%s\n%s' % (url, hashlib.sha256(library.encode()).hexdigest(), library)})
    env = {'SQUALL_IMPORT_CACHE': t.path('cache'), 'HTTPS_PROXY': 'http://127.0.0.1:%d' % t.closed_port()}
    text = '''
import { uuidv4, randomIntBetween } from '%s';
console.log(uuidv4().length, randomIntBetween(5, 5));
'''
    equal(one(t, text % url, env=env), ['32 5'])
    done = run(t, 'main.js', {'main.js': text % url.replace('1.4.0', '1.5.0') + DEFAULT}, env=env, code=107)
    complains(done, 'jslib.k6.io', 'import cache')
