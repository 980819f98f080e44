# SPDX-License-Identifier: Apache-2.0
"""Who reads the log through a pipe: nothing is lost while he reads, the load goes on when he stops."""
import os
import re
import signal
import subprocess
import threading
import time

from case import check, equal
from servers.rawws import quiet

WAIT_SECONDS = 60.0


class Piped:
    """A squall whose standard error, and standard output if asked for, are one pipe."""

    def __init__(self, t, script, *flags, both=False):
        path = t.write('piped.js', script)
        self.reader, writer = os.pipe()
        full = {k: v for k, v in os.environ.items() if not re.match(r'^(K6_|SQUALL_)|_proxy$', k, re.I)}
        full['HOME'] = t.folder
        with open(t.path('stdout'), 'wb') as out:
            self.popen = subprocess.Popen([t.squall, 'run', *flags, path], stdin=subprocess.DEVNULL, stderr=writer,
                                          stdout=writer if both else out, env=full)
        os.close(writer)
        t.children.append(self.popen)
        self.parts, self.thread = [], None

    def read(self):
        def drain():
            while True:
                got = os.read(self.reader, 1 << 20)
                if not got:
                    return
                self.parts.append(got)
        self.thread = threading.Thread(target=drain, daemon=True)
        self.thread.start()

    def end(self, code=0):
        if not self.thread:
            self.read()
        equal(self.popen.wait(WAIT_SECONDS), code, 'exit code')
        self.thread.join(WAIT_SECONDS)
        check(not self.thread.is_alive(), 'the pipe stays open')
        os.close(self.reader)
        return b''.join(self.parts).decode()

    def resident_kib(self):
        with open('/proc/%d/status' % self.popen.pid) as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read())[1])


def wait_for(what, condition, popen=None):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        check(time.monotonic() < deadline, 'waited in vain for %s', what)
        check(popen is None or popen.poll() is None, 'squall ended before %s', what)
        time.sleep(0.02)


def numbers(text):
    return [int(n) for n in re.findall(r'line (\d+) ', text)]


def messages(server):
    return [m.text for conn in list(server.conns) for m in conn.messages]


STOPPED = '''
import ws from 'k6/ws';
let n = 0;
function log(count) { for (let i = 0; i < count; i++) console.log('line ' + n++ + ' ' + 'x'.repeat(980)); }
export default function () {
  ws.connect('%s/', (s) => {
    s.on('open', () => {
      s.send('open');
      log(4000);
      s.send('near the brim');
      log(16000);
      s.send('brim full');
    });
    s.on('message', (m) => { console.log('the end'); s.close(); });
  });
}'''


def test_reader_stops(t):
    """20 MB of lines that nobody takes: the load goes on, memory does not grow; then he reads, and is told."""
    def behave(conn):
        conn.accept()
        for _ in range(3):
            conn.recv_frame()
        conn.server.go_on.wait(WAIT_SECONDS)
        conn.text('end')
        conn.drain()
    server = t.server(behave)
    server.go_on = threading.Event()
    p = Piped(t, STOPPED % server.ws, '-q')
    wait_for('4000 lines', lambda: 'near the brim' in messages(server), p.popen)
    before = p.resident_kib()
    wait_for('the load to go on', lambda: 'brim full' in messages(server), p.popen)
    grown = p.resident_kib() - before
    check(grown < 8 * 1024 or t.sanitized(), '16 MB of lines cost %d KiB', grown)
    p.read()
    wait_for('the warning', lambda: b'lines dropped' in b''.join(p.parts), p.popen)
    server.go_on.set()
    text = p.end()
    got, lost = numbers(text), re.search(r'msg="(\d+) log lines dropped: the reader of standard error is slow"', text)
    check(lost, 'nobody says that lines are missing')
    equal(len(got) + int(lost[1]), 20000, 'lines read and dropped')
    equal(got, sorted(got), 'order')
    check('the end' in text, 'a line after that is missing')


def test_reader_stops_for_good(t):
    """Nobody ever reads: the run ends all the same."""
    p = Piped(t, STOPPED.replace("s.send('brim full');", 's.close();') % t.server(quiet).ws, '-q')
    equal(p.popen.wait(WAIT_SECONDS), 0, 'exit code')
    os.close(p.reader)
    check('iterations...' in open(t.path('stdout'), encoding='utf-8').read(), 'no summary')


def test_both_streams_in_a_pipe_that_nobody_reads(t):
    """`squall run 2>&1 | less`: progress lines must not stop the schedule either."""
    server = t.server(quiet)
    p = Piped(t, '''
import ws from 'k6/ws';
export const options = {
  scenarios: { a: { executor: 'constant-arrival-rate', rate: 10, duration: '30s', preAllocatedVUs: 1 } },
};
let n = 0;
export default function () {
  if (n++ == 0) for (let i = 0; i < 10000; i++) console.log('line ' + i + ' ' + 'x'.repeat(980));
  ws.connect('%s/', (s) => { s.on('open', () => { s.send('beat'); s.close(); }); });
}''' % server.ws, both=True)
    wait_for('iterations after the pipe is full', lambda: len(messages(server)) >= 15, p.popen)
    p.read()
    p.popen.send_signal(signal.SIGINT)
    text = p.end(105)
    lost = re.search(r'msg="(\d+) log lines dropped', text)
    check(lost, 'nobody says that lines are missing')
    check(text.rstrip().endswith('iters/s') or 'TOTAL RESULTS' in text, 'no summary')
    check(text.rindex('TOTAL RESULTS') > text.rindex('line '), 'a line of the log comes after the summary')


def test_nothing_is_lost_while_he_reads(t):
    """Ten times what the queue holds; the lines before the summary, in order."""
    p = Piped(t, '''
export default function () {
  for (let i = 0; i < 40000; i++) console.log('line ' + i + ' ' + 'x'.repeat(980));
}''', both=True)
    p.read()
    text = p.end()
    got = numbers(text)
    check(got == list(range(40000)), '%d lines of 40000, in order: %r', len(got), got == sorted(got))
    check(text.index('TOTAL RESULTS') > text.rindex('line 39999'), 'the summary comes before the last line')
    check('dropped' not in text, 'lines were dropped')


def test_last_words(t):
    """Errors at the end of the script, and what ^C brings, are all there."""
    p = Piped(t, '''
export default function () {
  for (let i = 0; i < 3000; i++) console.log('line ' + i + ' ');
  throw new Error('last words');
}''')
    text = p.end()
    equal(numbers(text), list(range(3000)))
    check(text.index('last words') > text.rindex('line 2999'), 'order')
    p = Piped(t, "for (let i = 0; i < 3000; i++) console.log('line ' + i + ' ');\nthrow new Error('in init');")
    text = p.end(107)
    equal(numbers(text), list(range(3000)))
    check('in init' in text, 'no reason')
    server = t.server(quiet)
    script = '''
import ws from 'k6/ws';
export default function () {
  for (let i = 0; i < 3000; i++) console.log('line ' + i + ' ');
  ws.connect('%s/', (s) => s.send('logged'));
}
export function teardown() { console.log('torn down'); for (let i = 0; __ENV.HANG && i < 1; i--); }''' % server.ws
    p = Piped(t, script)
    p.read()
    wait_for('the session', lambda: 'logged' in messages(server), p.popen)
    p.popen.send_signal(signal.SIGINT)
    text = p.end(105)
    equal(numbers(text), list(range(3000)))
    check('torn down' in text and "'interrupt' signal" in text, 'end: %r', text[-500:])
    p = Piped(t, script, '-e', 'HANG=1')
    wait_for('the session', lambda: len(server.conns) == 2 and 'logged' in messages(server)[1:], p.popen)
    p.read()
    p.popen.send_signal(signal.SIGINT)
    wait_for('teardown', lambda: b'torn down' in b''.join(p.parts), p.popen)
    p.popen.send_signal(signal.SIGINT)
    text = p.end(105)
    equal(numbers(text), list(range(3000)))
    check('second signal' in text, 'end: %r', text[-500:])


def test_reader_leaves(t):
    """A broken pipe is no reason to stop."""
    server = t.server(quiet)
    p = Piped(t, STOPPED.replace("s.send('brim full');", 's.send("brim full"); s.close();') % server.ws, '-q')
    os.read(p.reader, 1000)
    os.close(p.reader)
    equal(p.popen.wait(WAIT_SECONDS), 0, 'exit code')
    check('brim full' in messages(server), 'messages %r', messages(server))
