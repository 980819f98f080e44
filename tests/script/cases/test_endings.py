# SPDX-License-Identifier: Apache-2.0
"""Unfriendly ends: signals, full disks, closed descriptors, readers that go away. The load goes on, the summary is
written where it can be, and the exit code is that of the test."""
import os
import signal
import subprocess
import time

from case import DROPPED, between, check, equal, read

SLEEP = "import { sleep } from 'k6';\n"
LONG = SLEEP + '''export const options = { vus: 2, duration: '30s' };
export default function () { ev(`it${__VU}`); sleep(20); }
export function teardown() { sleep(0.3); ev('teardown'); }'''
MANY = '''export const options = { iterations: 500 };
export default function () { console.log('said'); }'''
FAILING = "export const options = { iterations: 3, thresholds: { iterations: ['count>5'] } };\n" \
          'export default function () {}'


def start(t, *args, **kw):
    env = {k: v for k, v in os.environ.items() if not DROPPED.search(k)}
    env['HOME'] = t.folder
    child = subprocess.Popen([t.squall, *args], cwd=t.folder, stdin=subprocess.DEVNULL, env=env, **kw)
    t.children.append(child)
    return child


def with_shell(t, tail, script=MANY, *flags, code=0):
    """Runs squall with redirections of a shell; its exit code and what the files out, err and p.json then hold."""
    t.write('s.js', script)
    for name in ('out', 'err', 'p.json'):
        t.write(name, '')
    command = '"$0" "$@" %s' % tail
    child = subprocess.run(['bash', '-c', command, t.squall, 'run', '--out', 'json=p.json', *flags, 's.js'], cwd=t.folder,
                           stdin=subprocess.DEVNULL, timeout=18, check=False,
                           env={'PATH': os.environ['PATH'], 'HOME': t.folder})
    equal(child.returncode, code, 'exit code of: %s' % tail)
    return read(t.path('out')), read(t.path('err')), read(t.path('p.json'))


def whole(points, iterations=500):
    """The json output has its samples and nothing else."""
    lines = points.split('\n')
    equal(lines.pop(), '')
    check(all(line.startswith('{"') and line.endswith('}') for line in lines), 'foreign lines in the json output')
    equal(len([line for line in lines if line.startswith('{"metric":"iterations"')]), iterations)


def test_signals(t):
    """ENG-201, and SIGHUP, the terminal that was closed: teardown and summary, then 105."""
    for number, name in ((signal.SIGTERM, 'terminated'), (signal.SIGHUP, 'hangup'), (signal.SIGINT, 'interrupt')):
        p = t.start(LONG)
        p.wait_event('it1')
        p.wait_event('it2')
        sent = time.monotonic()
        p.signal(number)
        run = p.wait(code=105)
        between(time.monotonic() - sent, 0.3, 4, 'end after the signal')
        equal(run.ev('teardown'), [['teardown']], name)
        check('TOTAL RESULTS' in run.stdout and '0 complete and 2 interrupted' in run.stdout, 'summary: %s', run.stdout)
        check(run.logged('error', name), 'the signal is not named: %s', run.stderr)


def test_second_signal(t):
    """ENG-201: the end at once, without a summary."""
    p = t.start(LONG.replace('0.3', '20'))
    p.wait_event('it1')
    p.signal(signal.SIGTERM)
    time.sleep(0.3)
    p.signal(signal.SIGHUP)
    run = p.wait(seconds=5, code=105)
    equal(run.ev('teardown'), [])
    check('TOTAL RESULTS' not in run.stdout, 'a summary')


def test_nohup(t):
    """A SIGHUP that is ignored from the start stays ignored."""
    p = start(t, 'run', '-d', '1s', t.write('s.js', SLEEP + 'export default function () { sleep(0.1); }'),
              stdout=open(t.path('out'), 'wb'), stderr=open(t.path('err'), 'wb'),
              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    time.sleep(0.5)
    p.send_signal(signal.SIGHUP)
    equal(p.wait(10), 0)
    check('TOTAL RESULTS' in read(t.path('out')), 'no summary')


def test_full_disk(t):
    """One error that names the output; the run and the summary are whole."""
    os.symlink('/dev/full', t.path('full.gz'))
    for out in ('json=/dev/full', 'json=full.gz', 'csv=/dev/full'):
        t.write('s.js', MANY)
        run = t.start_args('run', '--out', out, 's.js').wait()
        errors = run.logged('error')
        equal(len(errors), 1, out)
        check('No space left on device' in errors[0].msg and out.split('=')[0] in errors[0].msg, '%s: %r', out, errors)
        check('500 complete' in run.stdout and 'TOTAL RESULTS' in run.stdout, '%s: no summary', out)
    run = t.run(FAILING, '--summary-export', '/dev/full', code=99, prelude=False)
    check(run.logged('error', '/dev/full'), 'not said: %s', run.stderr)
    run = t.run(FAILING + '\nexport function handleSummary() { return { "/dev/full": "x", "ok.txt": "y", stdout: "z" }; }',
                code=99, prelude=False)
    check(run.logged('error', '/dev/full'), 'not said: %s', run.stderr)
    equal(read(t.path('ok.txt')), 'y')
    t.write('s.js', MANY)
    run = t.start_args('run', '--log-output', 'file=/dev/full', 's.js').wait()
    check('500 complete' in run.stdout, 'log on a full disk: %s', run.stdout)


def test_standard_output_full(t):
    _, err, points = with_shell(t, '>/dev/full 2>err')
    check('No space left on device' in err, 'not said: %s', err)
    whole(points)
    with_shell(t, '>/dev/full 2>err', FAILING, code=99)
    with_shell(t, '>out 2>/dev/full')
    check('500 complete' in read(t.path('out')), 'no summary')


def test_closed_descriptors(t):
    """What squall opens must not become its standard output, or the summary goes into it."""
    _, err, points = with_shell(t, '>&- 2>err')
    check('Bad file descriptor' in err, 'not said: %s', err)
    whole(points)
    out, _, points = with_shell(t, '>out 2>&-')
    check('TOTAL RESULTS' in out, 'no summary')
    whole(points)
    for tail in ('<&- >&- 2>&-', '<&- >out 2>err'):
        _, _, points = with_shell(t, tail)
        whole(points)
    _, _, points = with_shell(t, '<&- >&- 2>&-', FAILING, code=99)
    whole(points, 3)


def test_broken_pipe(t):
    """A reader that has gone ends neither the test nor its other output."""
    script = SLEEP + '''export const options = { iterations: 4 };
export default function () { sleep(0.3); console.log('said'); }'''
    for tail in ('2>err | head -1 >out; exit ${PIPESTATUS[0]}', '2>err | true; exit ${PIPESTATUS[0]}'):
        _, err, points = with_shell(t, tail, script)
        check('Broken pipe' in err and err.count('said') == 4, 'not said once: %s', err)
        whole(points, 4)
    out, _, points = with_shell(t, '2>&1 >out | true; exit ${PIPESTATUS[0]}', script)
    check('TOTAL RESULTS' in out, 'no summary')
    whole(points, 4)
    _, err, points = with_shell(t, '2>err | true; exit ${PIPESTATUS[0]}', script.replace('4', '1'), '--out', 'csv=-')
    check('output csv' in err, 'not said: %s', err)
    whole(points, 1)


def test_commands_into_a_broken_pipe(t):
    """Text commands end quietly or with an error, never with a crash."""
    t.write('s.js', 'export default function () {}')
    for args in ('--help', 'inspect --help', 'inspect s.js', 'completion bash', 'version', 'archive -O - s.js'):
        for tail in ('| true', '>&-', '>/dev/full'):
            child = subprocess.run(['bash', '-c', '"$0" %s %s; exit ${PIPESTATUS[0]}' % (args, tail), t.squall],
                                   cwd=t.folder, stdin=subprocess.DEVNULL, timeout=18, check=False, stderr=subprocess.PIPE)
            check(child.returncode in (0, 255, 128 + signal.SIGPIPE), '%s %s: %d %r', args, tail, child.returncode,
                  child.stderr)
            check(tail == '| true' or child.returncode == 255, '%s %s: lost without an error code', args, tail)
