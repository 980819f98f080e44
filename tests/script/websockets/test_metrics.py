# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: samples and tags (W73-W76), bounds of memory."""
import re
import threading
import time

from case import also_standard, between, check, equal
from kit import PRELUDE, both, run, script
from servers.rawws import CLOSE, TEXT, after, closing, echo, encode, quiet, refusing


def test_W73_counts(t):
    t.server(echo)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  let n = 0;
  ws.onopen = () => { ws.send('x'); ws.send(new Uint8Array(1)); ws.ping(); };
  ws.onmessage = () => { if (++n == 2) setTimeout(() => ws.close(), 50); };'''):
        equal((r.count('ws_msgs_sent'), r.count('ws_msgs_received')), (4, 2))
        equal((r.count('ws_sessions'), len(r.of('ws_connecting')), len(r.of('ws_session_duration'))), (1, 1, 1))
        check(r.of('ws_session_duration')[0].value >= 50, '%r', r.of('ws_session_duration'))
        check(r.count('data_sent') > 150 and r.count('data_received') > 100, 'no bytes were counted')


def test_W74_tags(t):
    server = t.server(closing(1000, before=encode(TEXT, 'x')))
    for r in both(t, '''
  group('G1', () => { new WebSocket('@WS@/secret', null, { tags: { a: 1, name: 'nm' } }); });
  new WebSocket('@WS@/plain');'''):
        named = [s for s in r.session_samples if s.tags.get('name') == 'nm']
        check(len(named) >= 4, '%r', r.session_samples)
        for s in named:
            equal({k: s.tags.get(k) for k in ('group', 'a', 'name', 'url', 'status', 'subproto')},
                  {'group': '::G1', 'a': '1', 'name': 'nm', 'url': 'nm', 'status': '101', 'subproto': ''})
        others = [s for s in r.session_samples if s not in named]
        for s in others:
            equal((s.tags.get('url'), s.tags.get('name'), s.tags.get('group')),
                  (server.ws + '/plain', server.ws + '/plain', ''))
        check('method' not in s.tags and 'proto' not in s.tags, '%r', s.tags)


def test_W75_refused(t):
    t.server(refusing(403, 'Forbidden'))
    for r in both(t, "  new WebSocket('@WS@/');"):
        equal(sorted((s.metric, s.tags.get('status'), s.tags.get('subproto')) for s in r.session_samples),
              [('ws_connecting', '403', ''), ('ws_sessions', '403', '')])
        equal(len(r.logged('warning', 'status 403')), 1)


@also_standard
def test_W76_later_tags(t):
    t.server(quiet)
    r = script(t, '''
import exec from 'k6/execution';
export default function () {
  const ws = new WebSocket('@WS@/');
  exec.vu.metrics.tags.late = 'yes';
  ws.onopen = () => ws.close();
}''')
    equal({s.tags.get('late') for s in r.session_samples}, {None})
    equal({s.tags.get('late') for s in r.of('iterations')}, {'yes'})


def test_flood_is_bounded(t):
    """A script that never looks costs the server's patience, not our memory."""
    def behave(conn):
        conn.accept()
        chunk = encode(TEXT, 'x' * 1000) * 100
        conn.sock.settimeout(1.0)
        while conn.send(chunk):
            pass
        conn.sock.settimeout(15.0)
    server = t.server(behave)
    r = script(t, '''
export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '3s', gracefulStop: '0s' } } };
export default function () {
  for (let i = 0; i < 20; i++) {
    const ws = new WebSocket('@WS@/');
    ws.onmessage = () => { sleep(30); };
  }
}''')
    equal(len(server.conns), 20)
    for conn in server.conns:
        check(conn.bytes_out < 20 * 1024 * 1024, 'the peer could send %d bytes', conn.bytes_out)


def resident_kib(popen):
    with open('/proc/%d/status' % popen.pid) as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read())[1])


def flood(t, script_text, *flags):
    """KiB that squall grows by when 50 servers send all they can to a script that looks at nothing."""
    go, full = threading.Event(), threading.Semaphore(0)

    def behave(conn):
        conn.accept()
        conn.recv_frame()  # the script is there
        go.wait(10)
        chunk = encode(TEXT, 'x' * 1000) * 100
        conn.sock.settimeout(1.0)  # nobody took anything for a second: all that is bounded is full
        while conn.send(chunk):
            pass
        full.release()
        conn.hold()
    server = t.server(behave)
    p = t.start(script_text, *flags, prelude=False)
    deadline = time.monotonic() + 15
    while sum(len(c.frames) for c in list(server.conns)) < 50:
        check(time.monotonic() < deadline and p.popen.poll() is None, 'only %d sockets are open', len(server.conns))
        time.sleep(0.02)
    before = resident_kib(p.popen)
    go.set()
    for _ in range(50):
        check(full.acquire(timeout=15), 'squall reads on and on')
    grown = resident_kib(p.popen) - before
    p.popen.kill()
    p.popen.wait()
    print('# %d KiB for 50 floods' % grown)
    return grown


def test_fifty_floods_cost_a_few_mib(t):
    """The bound is one for all sockets of a VU, 4 MiB, plus what a read brought before the pause."""
    grown = flood(t, PRELUDE + '''
export default function () {
  let open = 0;
  for (let i = 0; i < 50; i++) {
    const ws = new WebSocket('@WS@/');
    ws.onopen = () => { ws.send('here'); if (++open == 50) sleep(60); };
    ws.onmessage = () => sleep(60);
  }
}''')
    check(grown < 10 * 1024 or t.sanitized(), '%d KiB', grown)


def test_fifty_floods_of_k6_ws(t):
    """256 KiB for each VU, and what one read brought."""
    grown = flood(t, '''
import ws from 'k6/ws';
import { sleep } from 'k6';
export const options = { vus: 50, duration: '60s' };
export default function () {
  ws.connect('@WS@/', (s) => {
    s.on('open', () => { s.send('here'); });
    s.on('message', () => sleep(60));
  });
}''')
    check(grown < 32 * 1024 or t.sanitized(), '%d KiB', grown)


def test_two_thousand_sockets(t):
    """Opened, pinged, closed; prints the memory that one costs."""
    echo_port = t.free_port()
    child = t.spawn([t.squall, 'echo', '-p', str(echo_port), '-q'])
    t.wait_port(echo_port, child)
    p = t.start(PRELUDE + '''
const N = Number(__ENV.N);
export default function () {
  const all = [];
  let open = 0, pongs = 0, closed = 0;
  ev('empty');
  sleep(0.3);
  for (let i = 0; i < N; i++) {
    const ws = new WebSocket('ws://127.0.0.1:@ECHO@/');
    all.push(ws);
    ws.onopen = opened;
    ws.onpong = ponged;
    ws.onclose = (e) => { if (++closed == N) ev('closed', e.code, closed); };
  }
  function opened() { if (++open == N) { ev('open'); setTimeout(() => { for (const s of all) s.ping(); }, 1000); } }
  function ponged() { if (++pongs == N) { ev('pongs'); for (const s of all) s.close(); } }
}''', '--env', 'N=2000', prelude=False, ECHO=echo_port)
    def resident():
        with open('/proc/%d/status' % p.popen.pid) as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read())[1])
    p.wait_event('empty')
    time.sleep(0.1)
    before = resident()
    p.wait_event('open')
    time.sleep(0.5)
    kib = (resident() - before) / 2000
    print('# %.1f KiB a socket' % kib)
    check(t.sanitized() or kib <= 4, 'a socket costs %.1f KiB', kib)
    r = p.wait()
    equal(r.ev('closed'), [['closed', 1000, 2000]])
    equal((r.count('ws_sessions'), len(r.of('ws_ping')), len(r.of('ws_session_duration'))), (2000, 2000, 2000))
