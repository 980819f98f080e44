# SPDX-License-Identifier: Apache-2.0
"""k6/ws: interruption by the scenario and by signals, peers that stall (T76-T79, T92, T93)."""
import signal
import time

from case import between, check, equal
from servers.rawws import echo, never_answer, never_read, quiet

SLACK = 2.5  # seconds that a busy machine may add to an upper bound


def scenario(duration, graceful, body):
    return '''
export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '%s', gracefulStop: '%s' } } };
export default function () {
  %s
  ev('after');
}
export function teardown() { ev('teardown'); }
''' % (duration, graceful, body)


def cut_short(run, conn, seconds):
    """What an interrupted session leaves behind (WS-97, WS-98)."""
    equal(run.ev('close', 'after'), [], 'script code after the interruption')
    equal(run.values('teardown'), [None])
    equal(conn.close_codes, [1001])
    # The connection came up a little after the scenario began.
    between(conn.of(8)[0].at - conn.opened_at, seconds - 0.5, seconds + SLACK, 'Close frame after')
    equal(run.of('iterations'), [])
    equal(run.of('ws_session_duration'), [])
    equal(run.count('ws_sessions'), 1)


def test_T76_interrupted(t):
    server = t.server(quiet)
    run = t.run(scenario('1s', '1s', '''
  ws.connect('@WS@/', (s) => { listen(s); s.setInterval(() => s.ping(), 500); });'''))
    cut_short(run, server.conns[0], 2.0)
    between(run.seconds, 2.0, 2.0 + SLACK + 1, 'run')
    equal(run.logged('error'), [])
    check(len(run.ev('pong')) >= 2, 'the session did not go on during gracefulStop: %r', run.events)


def test_T77_closes_in_graceful_stop(t):
    server = t.server(quiet)
    run = t.run(scenario('1s', '1s', '''
  ws.connect('@WS@/', (s) => { listen(s); s.setTimeout(() => s.close(1000), 1500); });'''))
    equal(run.events, [['open'], ['close', 1000], ['after'], ['teardown']])
    equal(run.count('iterations'), 1)
    between(run.of('ws_session_duration')[0].value, 1500, 2000, 'ws_session_duration')
    equal(server.conns[0].close_codes, [1000])


def test_T78_endless_loop(t):
    server = t.server(quiet)
    run = t.run(scenario('1s', '0s', '''
  ws.connect('@WS@/', (s) => { listen(s); s.on('open', () => { for (;;); }); });'''))
    cut_short(run, server.conns[0], 1.0)
    between(run.seconds, 1.0, 1.0 + SLACK + 1, 'run')


def test_T78_sleep(t):
    """WS-99: a blocking sleep is cut at the same moment with the same effects."""
    server = t.server(quiet)
    run = t.run("import { sleep } from 'k6';" + scenario('1s', '0s', '''
  ws.connect('@WS@/', (s) => { listen(s); s.on('open', () => { sleep(30); ev('after'); }); });'''))
    cut_short(run, server.conns[0], 1.0)
    between(run.seconds, 1.0, 1.0 + SLACK + 1, 'run')


def test_T79_sigint(t):
    server = t.server(quiet)
    for number in (signal.SIGINT, signal.SIGTERM):
        p = t.start(scenario('60s', '30s', '''
  ws.connect('@WS@/', (s) => listen(s));'''))
        n = len(server.conns)
        p.wait_event('open')
        time.sleep(0.7)
        conn = server.conns[-1]
        sent = time.monotonic()
        p.signal(number)
        run = p.wait(code=105)
        equal(conn.close_codes, [1001])
        between(conn.of(8)[0].at - sent, 0, 1.0, 'Close frame after the signal')
        between(time.monotonic() - sent, 0, SLACK, 'end after the signal')
        equal(run.ev('close', 'after'), [])
        equal(run.values('teardown'), [None])
        equal(run.of('iterations'), [])
        equal(run.of('ws_session_duration'), [])
        check('ws_sessions' in run.stdout, 'no summary')
        check(len(server.conns) - n <= 1, 'reconnected')


def test_T79_two_signals(t):
    """ENG-201: a second signal ends the run at once, without summary."""
    t.server(quiet)
    p = t.start('''import { sleep } from 'k6';
export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '60s' } } };
export default function () { ws.connect('@WS@/', (s) => listen(s)); }
export function teardown() { ev('teardown'); sleep(60); }
''')
    p.wait_event('open')
    p.signal(signal.SIGINT)
    p.wait_event('teardown')
    sent = time.monotonic()
    p.signal(signal.SIGINT)
    run = p.wait(code=105)
    between(time.monotonic() - sent, 0, SLACK, 'end after the second signal')
    check('ws_sessions' not in run.stdout, 'a summary was printed')


def test_T92_peer_never_reads(t):
    server = t.server(never_read, rcvbuf=8192)
    run = t.run(scenario('1s', '1s', '''
  ws.connect('@WS@/', (s) => s.on('open', () => {
    ev('sending');
    const mb = 'x'.repeat(1024 * 1024);
    for (let i = 0; i < 20; i++) s.send(mb);
  }));'''))
    equal(run.values('sending'), [None])
    equal(run.values('teardown'), [None])
    between(run.seconds, 1.9, 2.0 + SLACK + 1, 'run')
    equal(run.of('iterations'), [])
    equal(len(server.conns), 1)


def test_T92_flood_of_sends_in_timer(t):
    """The same while the sends come from a timer: the stop must not wait for the peer."""
    t.server(never_read, rcvbuf=8192)
    run = t.run(scenario('1s', '0s', '''
  ws.connect('@WS@/', (s) => { const m = 'x'.repeat(65536); s.setInterval(() => s.send(m), 1); });'''))
    equal(run.values('teardown'), [None])
    between(run.seconds, 0.9, 1.0 + SLACK + 1, 'run')


def test_T93_sigint_in_handshake(t):
    server = t.server(never_answer)
    p = t.start(scenario('60s', '30s', '''
  ws.connect('@WS@/', (s) => ev('called'));'''))
    check(server.wait(lambda s: s.requests()), 'no request')
    time.sleep(1.0)
    sent = time.monotonic()
    p.signal(signal.SIGINT)
    run = p.wait(code=105)
    between(time.monotonic() - sent, 0, 1.0 + SLACK, 'end after the signal')
    equal(run.values('teardown'), [None])
    equal(run.ev('called', 'after'), [])
    equal(run.of('iterations'), [])
    equal(run.session_samples, [])


def test_T93_end_of_scenario_in_handshake(t):
    """WS-100: the end of the scenario's allowance aborts a handshake at once."""
    t.server(never_answer)
    run = t.run(scenario('1s', '500ms', '''
  ws.connect('@WS@/', (s) => ev('called'));'''))
    between(run.seconds, 1.5, 1.5 + SLACK + 1, 'run')
    equal(run.ev('called', 'after'), [])
    equal(run.of('iterations'), [])


def test_many_vus_end_on_time(t):
    """Every one of 50 interrupted sessions gets its Close frame."""
    server = t.server(echo)
    run = t.run('''
export const options = { scenarios: { a: { executor: 'constant-vus', vus: 50, duration: '1s', gracefulStop: '0s' } } };
export default function () {
  ws.connect('@WS@/', (s) => { s.on('message', () => s.send('x')); s.on('open', () => s.send('x')); });
}''')
    equal([c.close_codes for c in server.conns], [[1001]] * 50)
    between(run.seconds, 1.0, 1.0 + SLACK + 2, 'run')
    equal(run.count('ws_sessions'), 50)
