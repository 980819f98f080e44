# SPDX-License-Identifier: Apache-2.0
"""Source maps of bundled and transpiled files in stack traces (ENG-19)."""
import base64
import json
import os
import urllib.parse

from case import check, equal
from project import run, said, write

DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'


def vlq(number):
    bits, out = (-number << 1) | 1 if number < 0 else number << 1, ''
    while True:
        out += DIGITS[bits & 31 | (32 if bits > 31 else 0)]
        bits >>= 5
        if not bits:
            return out


def source_map(places, sources=('src/a.ts',), **more):
    """`places`: {generated line: [(column, source, line, column)]}, all from 0."""
    lines, before = [], [0, 0, 0]
    for number in range(max(places) + 1):
        items, column = [], 0
        for at, *origin in places.get(number, []):
            items.append(vlq(at - column) + ''.join(vlq(x - y) for x, y in zip(origin, before)))
            column, before = at, origin
        lines.append(','.join(items))
    return json.dumps({'version': 3, 'sources': list(sources), 'names': [], 'mappings': ';'.join(lines), **more})


def trace(done):
    """The lines of the one stack trace in the log."""
    errors = [entry.msg for entry in done.logged('error')]
    equal(len(errors), 1, 'errors')
    return [line.strip() for line in errors[0].split('\n')[1:]]


CODE = '''function f() { throw new Error('mine'); }
export default function () { f(); }
'''
PLACES = {0: [(0, 0, 10, 0), (15, 0, 11, 4)], 1: [(0, 0, 20, 2), (29, 0, 22, 6)]}


def test_ENG_19_a_file_beside_the_script(t):
    write(t, {'dist/main.js.map': source_map(PLACES, ['../src/a.ts'])})
    done = run(t, 'dist/main.js', {'dist/main.js': CODE + '//# sourceMappingURL=main.js.map\n'})
    got = trace(done)
    check(got[0].startswith('at f (file://%s:12:' % t.path('src/a.ts')), 'first frame: %r', got)
    check(got[1].startswith('at default (file://%s:23:' % t.path('src/a.ts')), 'second frame: %r', got)
    equal(done.logged('warning'), [])


def test_ENG_19_inline(t):
    for url in ('data:application/json;charset=utf-8;base64,' +
                base64.b64encode(source_map(PLACES, ['a.ts', 'b.ts']).encode()).decode(),
                'data:application/json,' + urllib.parse.quote(source_map(PLACES, ['./a.ts']))):
        got = trace(run(t, 'main.js', {'main.js': CODE + '//# sourceMappingURL=%s' % url}))
        check(got[0].startswith('at f (file://%s:12:5)' % t.path('a.ts')), 'frames: %r', got)


def test_ENG_19_sources_of_a_bundler(t):
    """A name with a scheme stays as it is; sourceRoot goes before the others."""
    text = source_map(PLACES, ['webpack:///./src/a.ts'])
    got = trace(run(t, 'main.js', {'main.js': CODE + '//# sourceMappingURL=main.map', 'main.map': text}))
    check(got[0].startswith('at f (webpack:///./src/a.ts:12:'), 'frames: %r', got)
    text = source_map(PLACES, ['a.ts'], sourceRoot='/root/of/all')
    got = trace(run(t, 'main.js', {'main.js': CODE + '//# sourceMappingURL=main.map', 'main.map': text}))
    check(got[0].startswith('at f (file:///root/of/all/a.ts:12:'), 'frames: %r', got)


def test_ENG_19_one_line_of_commonjs(t):
    """The usual bundle: columns count from where the file begins. An imported file has its own map."""
    code = "function f(){throw new Error('mine')}exports.default=function(){f()};"
    at = code.index('throw'), code.index('f()}')
    text = source_map({0: [(0, 0, 0, 0), (at[0], 0, 4, 2), (at[1], 0, 7, 2)]})
    got = trace(run(t, 'main.js', {'lib.js': code + '\n//# sourceMappingURL=lib.js.map', 'lib.js.map': text,
                                   'main.js': "import run from './lib.js';\nexport default () => run();"}))
    equal([line.split('/')[-1].split(':')[0:2] for line in got[:3]], [['a.ts', '5'], ['a.ts', '8'], ['main.js', '2']])


def test_ENG_19_in_archives(t):
    write(t, {'main.js': CODE + '//# sourceMappingURL=main.js.map', 'main.js.map': source_map(PLACES)})
    t.start_args('archive', '-O', t.path('a.tar'), t.path('main.js')).wait()
    for name in ('main.js', 'main.js.map'):
        os.unlink(t.path(name))
    got = trace(run(t, 'a.tar', {}))
    check('src/a.ts:12:' in got[0], 'frames: %r', got)


def test_ENG_19_what_cannot_be_used_is_a_warning(t):
    for url, text, word in (('none.map', None, 'none.map'), ('bad.map', '{', 'no JSON'), ('bad.map', '{"mappings":"!"}', 'damaged'),
                            ('bad.map', '[' * 5000, 'JSON'), ('data:application/json;base64,%%%', None, 'base64')):
        files = {'main.js': CODE + '//# sourceMappingURL=' + url}
        if text is not None:
            files[url] = text
        done = run(t, 'main.js', files)
        check(trace(done)[0].startswith('at f (file://%s:1:' % t.path('main.js')), 'frames: %r', trace(done))
        warnings = done.logged('warning', 'source map')
        check(len(warnings) == 1 and word in warnings[0].msg, '%s: %r', url, warnings)
    done = run(t, 'main.js', {'main.js': "console.log('fine');export default function () {}\n//# sourceMappingURL=none.map"})
    check('fine' in said(done), 'it ran')
