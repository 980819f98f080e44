# SPDX-License-Identifier: Apache-2.0
"""The gallery's scripts against the gallery's servers: what both have counted must agree.

No assertion here is judged by time: limits on times may be missed on a slow machine, and only decide the exit code.
"""
import json
import os
import re
import signal
import time
import urllib.request

from case import check, equal, read
from kits.kit import ROOT, packages

SCRIPTS = os.path.join(ROOT, 'examples', 'gallery')
SERVE = os.path.join(ROOT, 'tests', 'servers', 'serve')
SECONDS = 15.0


class Server:
    """tests/servers/serve NAME, with `options` (drop_every=5 is --drop-every 5)."""

    def __init__(self, t, name, **options):
        packages()
        words = [word for key, value in options.items() for word in ('--' + key.replace('_', '-'), str(value))]
        self.child = t.spawn([SERVE, name, '--port', '0'] + words)
        self.port = self.said('port')
        self.url = 'ws://127.0.0.1:%d' % self.port

    def said(self, key):
        """The value of `key` in the first line of output that has it."""
        deadline = time.monotonic() + SECONDS
        while True:
            for line in read(self.child.log_path).split('\n')[:-1]:
                if line.startswith('{') and key in json.loads(line):
                    return json.loads(line)[key]
            check(self.child.poll() is None and time.monotonic() < deadline, '%r never said %r:\n%s', self.child.args,
                  key, read(self.child.log_path)[-2000:])
            time.sleep(0.02)

    def counts(self):
        """What it counted, once it has noticed that all connections are closed."""
        deadline = time.monotonic() + SECONDS
        while True:
            with urllib.request.urlopen('http://127.0.0.1:%d/counts' % self.port, timeout=SECONDS) as answer:
                counts = json.load(answer)
            if counts['open'] == 0:
                return counts
            check(time.monotonic() < deadline, 'the server still has %d connections', counts['open'])
            time.sleep(0.02)

    def end(self):
        """What it counted, of a server that tells it at its end."""
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(SECONDS)
        lines = [json.loads(line) for line in read(self.child.log_path).split('\n') if line.startswith('{"counts"')]
        check(lines, 'no counts in %s', read(self.child.log_path)[-2000:])
        return lines[0]['counts']


class Result:
    """A run's samples and its summary."""

    def __init__(self, run, metrics):
        self.run, self.metrics, self.code, self.stdout = run, metrics, run.code, run.stdout

    def count(self, metric, **tags):
        """The sum of a Counter's samples with these tags, or of a Rate's; the summary must tell the same."""
        total = sum(s.value for s in self.run.of(metric, **tags))
        name = metric + ('{%s}' % ','.join('%s:%s' % pair for pair in tags.items()) if tags else '')
        if name in self.metrics:
            told = self.metrics[name].get('count', self.metrics[name].get('passes'))
            equal(told, total, '%s: the summary and the samples' % name)
        return total

    def samples(self, metric, **tags):
        return len(self.run.of(metric, **tags))

    def crossed(self):
        """Metrics of which a threshold failed, without those that depend on the machine's speed."""
        return sorted(name for name, metric in self.metrics.items()
                      if any(metric.get('thresholds', {}).values()) and not timed(name, metric))

    def no_check_failed(self):
        failed = [s for s in self.run.of('checks') if not s.value]
        equal(failed, [], 'failed checks')
        check(self.run.of('checks'), 'nothing was checked')


def timed(name, metric):
    return 'p(95)' in metric or name.startswith('dropped_iterations')


def run(t, server, script, *flags, failing=(), **env):
    """Runs examples/gallery/SCRIPT. Thresholds on exactly the metrics `failing` must fail, limits on times aside."""
    points, export = t.path('points%d.json' % t.runs), t.path('export%d.json' % t.runs)
    words = [word for key, value in dict({'URL': server.url}, **env).items() for word in ('-e', '%s=%s' % (key, value))]
    path = script if os.path.isabs(script) else os.path.join(SCRIPTS, script)
    done = t.start_args('run', '--quiet', '--out', 'json=' + points, '--summary-export', export, *flags, *words, path,
                        points=points).wait(seconds=30, code=None)
    check(done.code in (0, 99), 'exit code %d:\n%s', done.code, done.stderr[-2000:])
    errors = [entry.msg for entry in done.logged('error') if 'have been crossed' not in entry.msg]
    equal(errors, [], 'errors in the log')
    result = Result(done, json.loads(read(export))['metrics'])
    equal(result.crossed(), sorted(failing), 'metrics of which a threshold failed')
    any_failed = any(any(metric.get('thresholds', {}).values()) for metric in result.metrics.values())
    equal(done.code, 99 if any_failed else 0, 'exit code')
    if not failing:
        result.no_check_failed()
    return result


def run_clean(t, server, script, *flags, **env):
    """run(), and what docs/examples.md shows of the script's output is a part of what it prints."""
    result = run(t, server, script, *flags, **env)
    printed = {shape(line) for line in result.stdout.split('\n')}
    for line in excerpt(script):
        check(shape(line) in printed, "docs/examples.md shows '%s', which %s does not print", line, script)
    return result


def shape(line):
    """A line of the summary without its numbers and the widths of its columns."""
    line = re.sub(r'-?\d+(?:\.\d+)?(?:[a-zµ]{1,2}(?![a-z]))?(?:\d+[ms])*(?: [kMGT]?B(?!\w))?', '#', line)
    return re.sub(r' +', ' ', re.sub(r'\.{2,}', '..', line)).strip()


def excerpt(script):
    """The lines that docs/examples.md shows of what the script wrote."""
    page = read(os.path.join(ROOT, 'docs', 'examples.md'))
    section = re.search(r'^### .*\(\.\./examples/gallery/%s\)\n(.*?)(?=^##|\Z)' % re.escape(script), page, re.M | re.S)
    check(section, 'docs/examples.md has no section on %s', script)
    block = re.search(r'^```\w+\n(.*?)\n```$', section[1], re.M | re.S)
    check(block, 'docs/examples.md shows no output of %s', script)
    return block[1].split('\n')
