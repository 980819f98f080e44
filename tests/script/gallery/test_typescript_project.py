# SPDX-License-Identifier: Apache-2.0
"""The TypeScript project runs, and what is wrong in one of its modules is found there."""
import os
import shutil

from case import check, equal, read
from gallery import SCRIPTS, Server, run_clean

PROJECT = 'typescript-project'


def copy(t, file, old, new):
    """A copy of the project in which `old` of `file` is replaced; returns main.ts and the line of the change."""
    folder = t.path('project%d' % t.runs)
    shutil.copytree(os.path.join(SCRIPTS, PROJECT), folder, ignore=shutil.ignore_patterns('node_modules'))
    path = os.path.join(folder, file)
    text = read(path)
    equal(text.count(old), 1, "'%s' in %s" % (old, file))
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text.replace(old, new))
    return os.path.join(folder, 'main.ts'), text[:text.index(old)].count('\n') + 1


def start(t, server, main, *words):
    return t.start_args('run', '--quiet', '-e', 'URL=' + server.url, *words, main).wait(code=None)


def test_typescript_project(t):
    server = Server(t, 'rides')
    got = run_clean(t, server, PROJECT + '/main.ts', RIDERS=4, RIDES=2, DRIVERS=2, STEPS=5, STEP_MS=20, IDLE_MS=2000)
    counts = server.counts()
    equal((counts['requests'], counts['assigned'], counts['finished'], counts['positions']), (8, 8, 8, 40))
    equal((got.count('ride_finished'), got.count('ride_positions'), got.count('ride_positions_missed')), (8, 40, 0))
    equal(got.count('ride_offers'), counts['offers'])
    equal(got.count('ride_offers', answer='declined'), counts['declined'])
    equal([got.count('ws_sessions', side=side) for side in ('rider', 'driver')], [8, 2])
    equal(counts['accepted'], 10)


def test_typescript_project_with_mistakes(t):
    """An error names the module, the line in the .ts, and its place in it."""
    server = Server(t, 'rides')
    main, line = copy(t, 'src/rider.ts', 'this.seen += 1;', 'this.seen += = 1;')
    done = start(t, server, main)
    equal(done.code, 107)
    check('src/rider.ts:%d:22' % line in done.stderr, 'line %d: %s', line, done.stderr)

    main, line = copy(t, 'src/rider.ts', "this.send({ type: 'request'", "(undefined as any).send({ type: 'request'")
    done = start(t, server, main, '-e', 'RIDERS=1', '-e', 'RIDES=1', '-e', 'DRIVERS=1', '-e', 'IDLE_MS=1')
    check('src/rider.ts:%d:' % line in done.stderr, 'line %d: %s', line, done.stderr)

    main, _ = copy(t, 'src/rider.ts', "from './peer.ts'", "from './peers.ts'")
    done = start(t, server, main)
    equal(done.code, 107)
    check('peers.ts' in done.stderr and 'rider.ts' in done.stderr, 'the log: %s', done.stderr)

    done = start(t, server, os.path.join(SCRIPTS, PROJECT, 'main.ts'), '-e', 'RIDERS=many')
    equal(done.code, 107)
    check("RIDERS: 'many' is not a number" in done.stderr and 'src/env.ts:' in done.stderr, 'the log: %s', done.stderr)
