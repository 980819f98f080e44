# SPDX-License-Identifier: Apache-2.0
"""What the cases of the protocol kits share: their npm packages, servers that print JSON lines, a prelude."""
import fcntl
import json
import os
import subprocess
import time

from case import check, equal, read

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, '..', '..', '..'))
PRELUDE = r'''import { setTimeout, clearTimeout } from 'k6/timers';
const ev = (...a) => console.log('EV ' + JSON.stringify(a));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
'''


def packages():
    """Installs the npm packages once, whichever case comes first."""
    with open(os.path.join(HERE, 'package.json'), 'rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(os.path.join(HERE, 'node_modules', 'ws')):
            subprocess.run(['npm', 'ci', '--no-audit', '--no-fund'], cwd=HERE, check=True, stdout=subprocess.DEVNULL)


class Helper:
    """A program of this folder that prints JSON lines, first its port."""

    def __init__(self, t, program, *args):
        packages()
        self.child = t.spawn(['node', os.path.join(HERE, program)] + [str(a) for a in args])
        self.port = self.wait('port')

    def said(self, key):
        lines = read(self.child.log_path).split('\n')
        found = [json.loads(line) for line in lines[:-1] if line.startswith('{')]
        return [line[key] for line in found if key in line]

    def wait(self, key, seconds=15.0):
        deadline = time.monotonic() + seconds
        while not self.said(key):
            check(self.child.poll() is None and time.monotonic() < deadline, '%r never said %r:\n%s', self.child.args,
                  key, read(self.child.log_path)[-2000:])
            time.sleep(0.02)
        return self.said(key)[-1]


def run(t, text, *flags, **names):
    """Runs a script that starts with the prelude; it must end well and log no error."""
    got = t.run(PRELUDE + text, *flags, prelude=False, **names)
    equal([line for line in got.logged('error')], [], 'errors in the log')
    return got


def document(t, name, env):
    """The example of docs/kits/NAME.md and examples/kits-NAME.js run against a server, and no check of them fails."""
    import re
    page = read(os.path.join(ROOT, 'docs', 'kits', name + '.md'))
    blocks = re.findall(r'^```js\n(.*?)^```$', page, re.M | re.S)
    check(blocks, 'docs/kits/%s.md has no example', name)
    paths = [t.write('block%d.js' % i, block) for i, block in enumerate(blocks)]
    paths.append(os.path.join(ROOT, 'examples', 'kits-%s.js' % name))
    for path in paths:
        got = t.start_args('run', '--quiet', *[a for k, v in env.items() for a in ('-e', '%s=%s' % (k, v))],
                           path).wait(code=None)
        equal(got.code, 0, path + ': exit code\n' + got.stderr[-1500:])
        equal(got.logged('error'), [], path + ': errors in the log')
        check('✗' not in got.stdout, '%s: a check or threshold failed:\n%s', path, got.stdout)
        check('✓' in got.stdout, '%s: nothing was checked:\n%s', path, got.stdout)
