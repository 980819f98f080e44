# SPDX-License-Identifier: Apache-2.0
"""inspect, new, completion, version and scripts on standard input (ENG-1, ENG-2, ENG-260, ENG-262, ENG-263)."""
import json
import os
import re
import shutil
import subprocess

import echo
from case import check, equal, read

EMPTY = 'export default function () {}\n'


def inspect(t, script, *flags, code=0, **kw):
    t.write('s.js', script)
    return t.start_args('inspect', *flags, 's.js', **kw).wait(code=code)


def test_inspect(t):
    """ENG-260."""
    run = inspect(t, "console.log('EV [\"init\"]');\nexport const options = { vus: '3', duration: 90000, "
                     "thresholds: { vus: ['value<5'] } };\n" + EMPTY, env={'K6_VUS': '9'})
    equal(run.events, [['init']])
    shown = json.loads(run.stdout)
    equal((shown['vus'], shown['duration'], shown['scenarios']), (3, '1m30s', None))
    check({'paused', 'executionSegment', 'setupTimeout', 'tlsAuth', 'hosts', 'dns', 'systemTags', 'summaryTrendStats',
           'batchPerHost', 'noCookiesReset'} <= set(shown), 'keys: %r', sorted(shown))
    check('totalDuration' not in shown, 'derived')
    equal(run.stdout[:10], '{\n  "vus":')
    # no options at all, and no function: nothing to run, but something to inspect
    equal(set(map(json.dumps, json.loads(inspect(t, EMPTY).stdout).values())) - {'null'},
          {'{"ttl": null, "select": null, "policy": null}'})


def test_inspect_requirements(t):
    script = "export const options = { stages: [{ duration: '10s', target: 7 }, { duration: '5s', target: 0 }] };" + EMPTY
    shown = json.loads(inspect(t, script, '--execution-requirements').stdout)
    equal((shown['totalDuration'], shown['maxVUs']), ('45s', 7))
    equal(shown['scenarios']['default']['executor'], 'ramping-vus')
    shown = json.loads(inspect(t, script, '--execution-requirements', env={'K6_ITERATIONS': '20', 'K6_VUS': '4'}).stdout)
    equal((shown['totalDuration'], shown['maxVUs']), ('10m30s', 4))


def test_inspect_environment(t):
    """ENG-51, ENG-260: the system's variables are passed only when asked for."""
    script = "export const options = { tags: { a: `${__ENV.OS}`, b: `${__ENV.CLI}` } };" + EMPTY
    for flags, want in (([], 'undefined'), (['--include-system-env-vars'], 'os')):
        shown = json.loads(inspect(t, script, '-e', 'CLI=cli', *flags, env={'OS': 'os'}).stdout)
        equal(shown['tags'], {'a': want, 'b': 'cli'})


def test_durations(t):
    """EC-35."""
    for given, want in (('90000', '1m30s'), ("'90000'", '1m30s'), ("'1.5m'", '1m30s'), ("'1d12h'", '36h0m0s'),
                        ("'10'", '10ms'), ("'0.1'", '100µs')):
        shown = json.loads(inspect(t, 'export const options = { duration: %s };' % given + EMPTY).stdout)
        equal(shown['duration'], want, given)


def test_inspect_failures(t):
    for script, code in (('export default (', 107), ("throw new Error('x')", 107),
                         ("export const options = { vus: 'x' };" + EMPTY, 104),
                         ('export const options = { f: () => 1, vus: 1n };' + EMPTY, 255)):
        run = inspect(t, script, code=code)
        equal((run.stdout, len(run.logged('error'))), ('', 1), script)
    bad = "export const options = { scenarios: { s: { executor: 'constant-vus', duration: '0s', exec: 'x' } } };" + EMPTY
    inspect(t, bad)
    inspect(t, bad, '--execution-requirements', code=104)
    t.start_args('inspect').wait(code=255)
    t.start_args('inspect', 'missing.js').wait(code=255)
    if os.path.exists('/dev/full'):
        t.write('s.js', EMPTY)
        done = subprocess.run([t.squall, 'inspect', 's.js'], cwd=t.folder, stdin=subprocess.DEVNULL,
                              stdout=open('/dev/full', 'wb'), stderr=subprocess.PIPE, timeout=10, check=False)
        equal(done.returncode, 255, 'a full disk')


def test_script_on_standard_input(t):
    """ENG-2: imports are relative to the current folder."""
    os.mkdir(t.path('lib'))
    t.write('lib/m.js', 'export const m = 5;')
    t.write('in.js', "import { m } from './lib/m.js';\nexport default function () { console.log('EV [' + m + ']'); }")
    equal(t.start_args('run', '-i', '2', '-', stdin='in.js').wait().events, [[5], [5]])
    t.write('bad.js', 'export default function ( {')
    run = t.start_args('run', '-', stdin='bad.js').wait(code=107)
    check(':1:' in run.stderr, 'the place of the error is missing: %s', run.stderr)
    t.write('empty.js', '')
    t.start_args('run', '-', stdin='empty.js').wait(code=255)


def test_type_of_the_file(t):
    """ENG-10: --type and K6_TYPE."""
    t.write('s.js', EMPTY)
    t.start_args('run', '--type', 'js', 's.js').wait()
    t.start_args('run', 's.js', env={'K6_TYPE': 'archive'}).wait(code=255)
    t.start_args('run', '--type', 'go', 's.js').wait(code=255)
    t.start_args('archive', 's.js').wait()
    t.start_args('run', '--type', 'js', 'archive.tar').wait(code=107)


def test_compatibility_mode(t):
    """ENG-24."""
    t.write('s.js', "export default function () { console.log('EV [\"' + typeof global + '\"]'); }")
    for mode, want in (('extended', 'object'), ('base', 'undefined'), ('experimental_enhanced', 'object')):
        run = t.start_args('run', '--compatibility-mode', mode, 's.js').wait()
        equal(run.events, [[want]], mode)
        equal(len(run.logged('warning')), mode == 'experimental_enhanced')
    t.start_args('run', '--compatibility-mode', 'es5', 's.js').wait(code=255)
    t.start_args('archive', 's.js', env={'K6_COMPATIBILITY_MODE': 'base'}).wait()
    equal(t.start_args('run', 'archive.tar').wait().events, [['undefined']])
    equal(t.start_args('run', '--compatibility-mode=extended', 'archive.tar').wait().events, [['object']])


def test_new(t):
    """ENG-262."""
    url = echo.start(t)
    for args, name in (([], 'script.js'), (['--template', 'protocol', 'p.js'], 'p.js'),
                       (['--template=websockets', 'w.js'], 'w.js')):
        run = t.start_args('new', *args).wait()
        check(name in run.stdout, 'stdout: %s', run.stdout)
        text = read(t.path(name))
        check('squall run ' + name in text and '{{' not in text, '%s: %s', name, text)
        t.start_args('inspect', name).wait()
        run = t.start_args('run', '-u', '2', '-i', '4', '-e', 'URL=' + url, name).wait()
        check('✗' not in run.stdout and '4 complete and 0 interrupted' in run.stdout, '%s: %s', name, run.stdout)
        equal(run.logged('error'), [], name)
    before = read(t.path('script.js'))
    run = t.start_args('new', '--template', 'protocol').wait(code=255)
    check('--force' in run.stderr, 'no hint: %s', run.stderr)
    equal(read(t.path('script.js')), before)
    t.start_args('new', '-f', '--template', 'protocol').wait()
    check(read(t.path('script.js')) != before, 'not overwritten')
    t.write('mine.txt', '// {{ .ScriptName }}\n' + EMPTY)
    t.start_args('new', '--template', './mine.txt', 'm.js').wait()
    equal(read(t.path('m.js')), '// m.js\n' + EMPTY)
    for args in (['--template', 'browser'], ['--template', 'nope'], ['--template', './nope.js'], ['a.js', 'b.js'],
                 ['no/such/folder.js'], ['--nope']):
        run = t.start_args('new', *args).wait(code=255)
        equal(run.stderr.count('\n'), 1, repr(args))


def test_completion(t):
    for shell, words in (('bash', 'complete -o filenames'), ('zsh', '#compdef squall'), ('fish', 'complete -c squall')):
        text = t.start_args('completion', shell).wait().stdout
        for word in (words, 'archive', 'summary-trend-stats', 'template'):
            check(word in text, '%s: %r is missing', shell, word)
        check('no-usage-report' not in text, '%s: a hidden option is offered', shell)
        program = shutil.which(shell)
        if program:
            path = t.write('completion', text)
            done = subprocess.run([program, '-n', path], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=10, check=False)
            equal((done.returncode, done.stderr), (0, ''), shell)
    for args in ([], ['csh'], ['bash', 'zsh']):
        t.start_args('completion', *args).wait(code=255)


def complete(t, *words):
    """What bash would offer for the last word."""
    t.write('c.sh', t.start_args('completion', 'bash').wait().stdout)
    script = 'source c.sh; COMP_WORDS=(%s); COMP_CWORD=%d; _squall; printf "%%s\\n" "${COMPREPLY[@]}"' % (
        ' '.join("'%s'" % w for w in ('squall',) + words), len(words))
    done = subprocess.run(['bash', '-c', script], cwd=t.folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=10, check=True)
    return done.stdout.split()


def test_completion_in_bash(t):
    t.write('some.js', '')
    equal(complete(t, 'ar'), ['archive'])
    equal(complete(t, 'run', '--summary-tr'), ['--summary-trend-stats'])
    equal(complete(t, 'run', '--summary-mode', 'f'), ['full'])
    equal(complete(t, 'run', 'so'), ['some.js'])
    equal(complete(t, 'completion', 'z'), ['zsh'])
    equal(complete(t, 'echo', '--vus'), [])


def test_version(t):
    one = t.start_args('version').wait().stdout
    check(re.fullmatch(r'squall v\d+\.\d+\.\d+\S*\n', one), 'version: %r', one)
    equal(t.start_args('--version').wait().stdout, one)
    shown = json.loads(t.start_args('version', '--json').wait().stdout)
    equal('squall v%s\n' % shown['version'], one)
    t.start_args('version', '--nope').wait(code=255)
    t.start_args('version', 'x').wait(code=255)


def test_commands_that_are_gone(t):
    """ENG-1."""
    for name in ('pause', 'resume', 'scale', 'status', 'login', 'cloud', 'nope'):
        run = t.start_args(name).wait(code=255)
        check(name in run.stderr and run.stderr.count('\n') == 1, '%s: %s', name, run.stderr)
    t.start_args().wait(code=255)
