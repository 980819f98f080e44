# SPDX-License-Identifier: Apache-2.0
"""What a black-box case works with: its own folder and servers, one call to run squall, and the results parsed.

A case is a function test_NAME(t) in a file test_*.py; t is a Case. It fails by an exception.
"""
import datetime
import difflib
import json
import os
import re
import signal
import socket
import subprocess
import time

from servers import proxy, rawws, tls

RUN_SECONDS = 18.0   # a run of squall that lasts longer is killed and fails the case
DROPPED = re.compile(r'^(K6_|SQUALL_|SSLKEYLOGFILE$)|_proxy$', re.I)  # of our environment, never passed on

PRELUDE = r'''import ws from 'k6/ws';
const ev = (...a) => console.log('EV ' + JSON.stringify(a));
const bytes = (b) => Array.from(new Uint8Array(b));
function caught(f) {
  try { f(); return null; } catch (e) {
    return { name: e.name, error: e instanceof Error, type: e instanceof TypeError, message: String(e.message),
             text: String(e) };
  }
}
function listen(s) {
  s.on('open', () => ev('open'));
  s.on('message', (m) => ev('message', m));
  s.on('binaryMessage', (b) => ev('binaryMessage', bytes(b)));
  s.on('ping', () => ev('ping'));
  s.on('pong', () => ev('pong'));
  s.on('close', (c) => ev('close', c));
  s.on('error', (e) => ev('error', e.error()));
}
const ret = (r) => ev('ret', { status: r.status, url: r.url, body: r.body, error: r.error, headers: r.headers });
'''


class Failed(AssertionError):
    pass


def check(ok, text, *args):
    if not ok:
        raise Failed(text % args if args else text)


def equal(got, want, what=''):
    check(got == want, '%s\n    got  %r\n    want %r', what or 'not equal', got, want)


def between(got, low, high, what=''):
    check(low <= got <= high, '%s: %r is not within %r..%r', what or 'value', got, low, high)


def go_error(err, what=''):
    """A GoError as caught() reports it: an Error named GoError, not a TypeError."""
    check(err is not None, '%s did not throw', what)
    check(err['name'] == 'GoError' and err['error'] and not err['type'] and err['message'], '%s: not a GoError: %r',
          what, err)
    equal(err['text'], 'GoError: ' + err['message'], what + ': string form')


def type_error(err, what=''):
    check(err is not None, '%s did not throw', what)
    check(err['name'] == 'TypeError' and err['type'], '%s: not a TypeError: %r', what, err)


class Sample:
    def __init__(self, point):
        data = point['data']
        self.metric, self.value, self.tags = point['metric'], data['value'], data['tags']
        self.metadata, self.time_text = data.get('metadata'), data['time']
        self.time = parse_time(data['time'])

    def __repr__(self):
        return 'Sample(%s=%r %r)' % (self.metric, self.value, self.tags)


def parse_time(text):
    """RFC 3339 with up to nanoseconds, to seconds as a float."""
    m = re.fullmatch(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)', text)
    check(m, 'not an RFC 3339 time: %r', text)
    zone = '+00:00' if m[3] == 'Z' else m[3]
    return datetime.datetime.fromisoformat(m[1] + zone).timestamp() + float(m[2] or 0)


class LogLine:
    """A line of the text log format: time="..." level=info msg="..." key=value"""
    PAIR = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')
    SIMPLE = {'n': '\n', 't': '\t', 'r': '\r', 'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v'}

    def __init__(self, line):
        self.line, self.fields, at = line, {}, 0
        while at < len(line):
            m = self.PAIR.match(line, at)
            if not m:
                self.fields = {}
                break
            self.fields[m[1]] = self.unquote(m[2]) if m[2].startswith('"') else m[2]
            at = m.end()
        self.level = self.fields.get('level')
        self.msg = self.fields.get('msg', '')
        self.source = self.fields.get('source')

    @classmethod
    def unquote(cls, text):
        def plain(m):
            c = m[1]
            return chr(int(c[1:], 16)) if c[0] in 'xuU' and len(c) > 1 else cls.SIMPLE.get(c, c)
        return re.sub(r'\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)', plain, text[1:-1])

    def __repr__(self):
        return 'LogLine(%r)' % self.line


class Run:
    """A finished run of squall."""

    def __init__(self, code, stdout, stderr, seconds, points):
        self.code, self.stdout, self.stderr, self.seconds = code, stdout, stderr, seconds
        self.log = [LogLine(line) for line in stderr.split('\n') if line.strip()]
        self.lines = [json.loads(line) for line in points if line]
        self.samples = [Sample(p) for p in self.lines if p.get('type') == 'Point']
        self.events = [json.loads(entry.msg[3:]) for entry in self.log if entry.msg.startswith('EV ')]

    def ev(self, *names):
        """Events by name, in order; all without names."""
        return [e for e in self.events if not names or e[0] in names]

    def values(self, name):
        """The second item of every event of that name."""
        return [e[1] if len(e) > 1 else None for e in self.events if e[0] == name]

    def one(self, name):
        got = self.values(name)
        check(len(got) == 1, "expected one event '%s', got %r", name, got)
        return got[0]

    @property
    def rets(self):
        return self.values('ret')

    def of(self, metric, **tags):
        return [s for s in self.samples if s.metric == metric and all(s.tags.get(k) == v for k, v in tags.items())]

    def count(self, metric):
        return sum(s.value for s in self.of(metric))

    @property
    def session_samples(self):
        return [s for s in self.samples if s.metric.startswith('ws_')]

    def logged(self, level=None, text=''):
        """Log lines that are not events of the case."""
        return [entry for entry in self.log if not entry.msg.startswith('EV ') and text in entry.line and
                (level is None or entry.level == level)]


class Process:
    """A running squall."""

    def __init__(self, t, popen, points_path, out_path, err_path):
        self.t, self.popen, self.started = t, popen, time.monotonic()
        self.points_path, self.out_path, self.err_path = points_path, out_path, err_path

    def signal(self, number):
        os.kill(self.popen.pid, number)

    def wait_event(self, text, seconds=10.0):
        """Waits until the log holds `text`."""
        deadline = time.monotonic() + seconds
        while text not in read(self.err_path):
            check(time.monotonic() < deadline and self.popen.poll() is None, 'squall never logged %r', text)
            time.sleep(0.01)

    def wait(self, seconds=RUN_SECONDS, code=0):
        """The finished run; `code` None accepts any exit code."""
        try:
            rc = self.popen.wait(max(0.1, self.started + seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGQUIT)
            time.sleep(0.2)
            self.popen.kill()
            self.popen.wait()
            raise Failed('squall did not end within %g s' % seconds) from None
        took = time.monotonic() - self.started
        for server in self.t.servers:
            server.settle()
        points = read(self.points_path).split('\n') if os.path.exists(self.points_path) else []
        stdout, stderr = read(self.out_path), read(self.err_path)
        for bad in ('AddressSanitizer', 'LeakSanitizer', 'ThreadSanitizer', 'runtime error:', 'panic:'):
            check(bad not in stderr, 'squall reports: %s', bad)
        check(rc >= 0, 'squall died of signal %d', -rc)
        run = Run(rc, stdout, stderr, took, points)
        self.t.check_servers()
        if code is not None:
            equal(rc, code, 'exit code')
        return run


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def also_standard(test):
    """A mark for tests/run: the case is a second one, NAME.standard, with --profile standard."""
    return test


class Case:
    profile = None  # of every run of the case, when the script is given as text

    def __init__(self, squall, folder):
        self.squall, self.folder = squall, folder
        self.servers, self.proxies, self.kept, self.children, self.last = [], [], [], [], None
        self.runs = 0

    # --- peers

    def server(self, behaviour=rawws.echo, **kw):
        server = rawws.Server(behaviour, **kw)
        self.servers.append(server)
        return server

    def tls_server(self, behaviour=rawws.echo):
        return self.server(behaviour, tls=tls.server_context(self.folder))

    def proxy(self, port, **kw):
        got = proxy.ConnectProxy(port, **kw)
        self.proxies.append(got)
        return got

    def closed_port(self):
        """A port that refuses: bound, so nobody else gets it, but not listening."""
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        self.kept.append(s)
        return s.getsockname()[1]

    def free_port(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            return s.getsockname()[1]

    def sanitized(self):
        """Is squall a build with ASan or TSan, which is slower and has memory of its own?"""
        with open(self.squall, 'rb') as f:
            text = f.read()
        return b'__asan_init' in text or b'__tsan_init' in text

    def spawn(self, args, env=None, cwd=None):
        """Starts a helper program; it is killed at the end of the case."""
        path = self.path('helper%d.log' % len(self.children))
        with open(path, 'wb') as log:
            child = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                     cwd=cwd or self.folder)
        child.log_path = path
        self.children.append(child)
        return child

    def wait_port(self, port, child, seconds=10.0):
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                return
            except OSError:
                check(child.poll() is None and time.monotonic() < deadline, '%s does not listen on %d:\n%s',
                      child.args[0], port, read(child.log_path)[-2000:])
                time.sleep(0.02)

    def check_servers(self):
        for server in self.servers:
            for conn in server.conns:
                check(conn.problem is None, 'the test server failed:\n%s', conn.problem)

    # --- squall

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as f:
            f.write(text)
        return self.path(name)

    def start(self, script, *flags, env=None, prelude=True, **names):
        """Starts `squall run` on `script`. @NAME@ in the script stands for the argument NAME; @WS@ and @HTTP@ for the
        base URLs and @PORT@ for the port of the first server."""
        if self.servers:
            first = self.servers[0]
            names = dict({'WS': first.ws, 'HTTP': first.http, 'PORT': first.port}, **names)
        if prelude:
            script = PRELUDE + script
        for name, value in names.items():
            script = script.replace('@%s@' % name, str(value))
        self.runs += 1
        points = self.path('points%d.json' % self.runs)
        path = self.write('script%d.js' % self.runs, script)
        if self.profile:
            flags = ('--profile', self.profile, *flags)
        return self.start_args('run', '--out', 'json=' + points, *flags, path, env=env, points=points)

    def start_args(self, *args, env=None, points=None, cwd=None, stdin=None):
        """`stdin` names a file of the case's folder."""
        self.runs += points is None
        out, err = self.path('stdout%d' % self.runs), self.path('stderr%d' % self.runs)
        full = {k: v for k, v in os.environ.items() if not DROPPED.search(k)}
        full.update(HOME=self.folder, **(env or {}))
        with open(out, 'wb') as o, open(err, 'wb') as e, open(self.path(stdin) if stdin else os.devnull, 'rb') as i:
            # A suite started by nohup passes an ignored SIGHUP on, which squall would rightly keep.
            popen = subprocess.Popen([self.squall, *args], stdin=i, stdout=o, stderr=e, env=full,
                                     cwd=cwd or self.folder,
                                     preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        self.children.append(popen)
        self.last = Process(self, popen, points or self.path('none'), out, err)
        return self.last

    def run(self, script, *flags, code=0, seconds=RUN_SECONDS, **kw):
        return self.start(script, *flags, **kw).wait(seconds, code)

    # --- end

    def close(self):
        for server in self.servers + self.proxies:
            server.stop()
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for s in self.kept:
            s.close()

    def tails(self, lines=25):
        """The end of what squall wrote, for the report of a failure."""
        out = []
        if self.last:
            for name, path in (('stdout', self.last.out_path), ('stderr', self.last.err_path)):
                text = read(path).splitlines()
                out.append('--- squall %s, last %d of %d lines' % (name, min(lines, len(text)), len(text)))
                out += [line if len(line) < 400 else line[:400] + '...' for line in text[-lines:]]
        for server in self.servers:
            for conn in server.conns[:8]:
                out.append('--- peer saw %s, %d bytes, %d frames: %r, close %r, end %s' % (
                    conn.target, conn.bytes_in, len(conn.frames), conn.frames[:6], conn.close_codes, conn.end))
        return '\n'.join(out)


# --- golden texts of the end-of-test summary

NUMBER = r'-?\d+(?:\.\d+)?'
SPAN = re.compile(r'(?<![\w.])-?(?:(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s|\d+(?:\.\d+)?(?:ns|µs|us|ms)|\d+h\d+m\d+s|\d+m\d+s)'
                  r'(?![\w.])')
DATA = re.compile(r'(?<![\w.])%s [kMGTPE]?B(?!\w)' % NUMBER)
RATE = re.compile(r'(?<![\w.])%s/s(?!\w)' % NUMBER)
METRIC = re.compile(r'^(\s*)(\S.*?\.{2,}: )(.*)$')
THRESHOLD = re.compile(r"^(\s*[✓✗] '.*' )(\S+=.*)$")
VARYING = ('vus', 'vus_max')


def mask_summary(text, loose=()):
    """Replaces what differs from run to run by '*': durations, data sizes, rates per second, and every number of the
    metrics vus, vus_max and those named in `loose`. Metric names, order, sections, indents, check lines, counts and
    rates stay; runs of blanks between columns become one, because their width depends on the numbers."""
    out = []
    for line in text.splitlines():
        m, threshold = METRIC.match(line), THRESHOLD.match(line)
        if threshold:
            line = threshold[1] + RATE.sub('*/s', SPAN.sub('*', DATA.sub('*', threshold[2])))
        elif m:
            name, value = m[2].split('.')[0].strip(), m[3]
            value = DATA.sub('*', value)
            value = RATE.sub('*/s', SPAN.sub('*', value))
            if name in VARYING or name in loose:
                value = re.sub(r'(?<![\w.(])%s(?![\w)])' % NUMBER, '*', value)
            line = m[1] + m[2] + re.sub(r' +', ' ', value)
        elif line.lstrip()[:1] not in ('✓', '✗'):
            line = re.sub(r'\d+h\d\dm\d\d(?:\.\d)?s|\d+m\d\d(?:\.\d)?s|(?<![\w.])\d+(?:\.\d+)?s(?!\w)', '*', line)
        out.append(line.rstrip())
    return '\n'.join(out) + '\n'


def compare_golden(path, got, update):
    """Fails with a diff when `got` is not the text of the file; with `update` writes it instead."""
    want = read(path) if os.path.exists(path) else ''
    if got == want:
        return
    if update:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(got)
        return
    diff = difflib.unified_diff(want.splitlines(), got.splitlines(), os.path.basename(path), 'got', lineterm='')
    raise Failed('differs from the golden text:\n' + '\n'.join(diff))
