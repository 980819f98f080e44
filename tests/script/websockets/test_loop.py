# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: exceptions, the event loop, interruption, timers (W64-W72, W77, W83)."""
import signal
import time

from case import also_standard, between, check, equal
from kit import PRELUDE, PROFILES, both, run, script, sends
from servers.rawws import TEXT, closing, encode, never_answer, quiet

SLACK = 2.5  # seconds that a busy machine may add to an upper bound


def test_W64_listener_throws(t):
    server = t.server(sends(encode(TEXT, '1') + encode(TEXT, '2')))
    for flags in PROFILES:
        r = run(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onmessage = (e) => { ev('message', e.data); throw new Error('boom'); };
  ws.addEventListener('message', () => ev('second'));''', '--iterations', '2', *flags)
        equal([e[0] for e in r.events], ['open', 'message', 'error', 'close'] * 2)
        for text in r.values('error'):
            check('boom' in text and 'script' in text, '%r', text)
        equal(r.ev('close'), [['close', 1006, '', False, 3]] * 2)
        equal(len(r.logged('error', 'boom')), 2)
        equal(r.count('iterations'), 2)
    equal([c.close_codes for c in server.conns], [[1000]] * 4)


def test_W64_any_listener_throws(t):
    """5.3: the rest is skipped, `close` fires once, the iteration is logged as failed and counts."""
    def behave(conn):
        conn.accept(tail=encode(TEXT, 'm') + encode(9, 'p'))
        conn.recv_frame()
        conn.frame(10, b'0')
        conn.finish()
    t.server(behave)
    for flags in PROFILES:
        for name in ('open', 'message', 'ping', 'pong', 'error', 'close'):
            r = run(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.addEventListener('%s', () => { throw new Error('boom'); });
  ws.addEventListener('%s', () => ev('skipped'));
  ws.addEventListener('open', () => ws.ping());''' % (name, name), *flags)
            equal((len(r.ev('close')), r.ev('skipped')), (1, []), name)
            equal(len(r.logged('error', 'boom')), 1, name)
            equal(r.count('iterations'), 1, name)


def test_W65_other_socket(t):
    server = t.server({'/a': sends(encode(TEXT, 'x')), '/b': quiet})
    for flags in PROFILES:
        r = run(t, '''
  const b = note(new WebSocket('@WS@/b'), 'b');
  setTimeout(() => ev('timer'), 9000);
  setInterval(() => 1, 9000);
  b.onopen = () => {
    const a = note(new WebSocket('@WS@/a'), 'a');
    a.onmessage = () => { throw new Error('boom'); };
  };
  b.onclose = (e) => { ev('b.end', e.code, e.wasClean); setTimeout(() => ev('timer'), 1); new WebSocket('@WS@/never'); throw new Error('swallowed'); };''',
                *flags)
        equal(r.ev('b.end'), [['b.end', 1000, True]])
        equal(r.ev('timer'), [])
        equal([e.msg for e in r.logged('warning') if 'stopped' in e.msg],
              ['setTimeout 1 was stopped because the VU iteration was interrupted',
               'setInterval 2 was stopped because the VU iteration was interrupted'])
        equal(r.logged('error', 'swallowed'), [])
        equal(r.count('iterations'), 1)
        check(r.seconds < 6, 'it took %g s', r.seconds)
    equal([c.close_codes for c in server.conns if c.target == '/b'], [[1000], [1000]])
    equal([c.target for c in server.conns if c.target == '/never'], [])


@also_standard
def test_W65_function_throws(t):
    server = t.server(quiet)
    r = script(t, '''
export default function () {
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => ev('opened');
  const again = note(new WebSocket('@WS@/'));
  sleep(0.3);
  throw new Error('boom');
}''', '--iterations', '2')
    equal(r.count('iterations'), 2)
    equal(len(r.logged('error', 'boom')), 2)
    equal(len(r.ev('close')), 4)


def test_W66_async_listener_rejects(t):
    t.server(quiet)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = async () => { await null; throw new Error('late'); };'''):
        equal(len(r.logged('error', 'Uncaught (in promise)')), 1)
        equal(r.ev('close'), [['close', 1000, '', True, 3]])
        equal(r.count('iterations'), 1)


@also_standard
def test_W68_promise_alone(t):
    r = run(t, "  ev('before'); await new Promise(() => {}); ev('after');")
    equal(r.events, [['before']])
    check(r.seconds < 3, 'it took %g s', r.seconds)
    equal(r.count('iterations'), 1)


def interrupted(t, behaviour, body, *flags):
    server = t.server(behaviour)
    r = script(t, '''
export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '1s', gracefulStop: '1s' } } };
export default function () {
  %s
}''' % body, *flags)
    between(r.seconds, 2.0, 2.0 + SLACK + 1, 'run')
    equal((r.count('iterations'), r.of('ws_session_duration')), (0, []))
    return server, r


def test_W70_interrupted(t):
    for flags, code in zip(PROFILES, (1000, 1001)):
        server, r = interrupted(t, quiet, '''
  const ws = note(new WebSocket('@WS@/'));
  setInterval(() => 1, 100);
  setTimeout(() => 1, 99999);''', *flags)
        equal(server.conns[0].close_codes, [code])
        equal(r.events, [['open']])
        equal(len([e for e in r.logged('warning') if 'was stopped because' in e.msg]), 2)
        equal(len(r.logged('warning', 'no script iteration finished')), 1)
        t.servers.pop().stop()


@also_standard
def test_W70_interrupted_while_dialling(t):
    server, r = interrupted(t, never_answer, "note(new WebSocket('@WS@/'));")
    equal(r.events, [])
    equal(server.conns[0].frames, [])


@also_standard
def test_W70_interrupted_in_a_listener(t):
    server, r = interrupted(t, quiet, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.addEventListener('open', () => { for (;;); });''')
    equal(server.conns[0].close_codes, [1001 if t.profile else 1000])
    equal(r.events, [['open']])


@also_standard
def test_W70_flood_while_stopping(t):
    def behave(conn):
        conn.accept()
        chunk = encode(TEXT, 'x' * 500000)  # few samples, many bytes
        while conn.send(chunk):
            pass
    server, r = interrupted(t, behave, '''
  for (let i = 0; i < 5; i++) { const ws = new WebSocket('@WS@/'); ws.onmessage = () => 1; }''')
    equal(len(server.conns), 5)


def test_signal(t):
    server = t.server(quiet)
    p = t.start(PRELUDE + '''
export default function () {
  const ws = note(new WebSocket('@WS@/'));
  setTimeout(() => ev('ready'), 300);
}''', prelude=False)
    p.wait_event('ready')
    p.signal(signal.SIGINT)
    r = p.wait(code=105)
    equal(r.ev('close'), [])
    equal(server.conns[0].close_codes, [1000])


@also_standard
def test_W71_intervals_do_not_catch_up(t):
    r = run(t, '''
  let n = 0, last = 0;
  const id = setInterval(() => {
    const now = Date.now();
    if (last) ev('gap', now - last);
    last = now;
    while (Date.now() < now + 30);
    if (++n == 5) clearInterval(id);
  }, 20);''')
    equal(len(r.ev('gap')), 4)
    # Never sooner; the best of them shows that no period was added twice.
    check(min(r.values('gap')) >= 48 and min(r.values('gap')) <= 100, '%r', r.values('gap'))


@also_standard
def test_W72_order(t):
    r = run(t, '''
  setTimeout(() => ev('t1'), 2);
  setTimeout(() => ev('t2'), 2);
  setTimeout(() => { ev('t0'); Promise.resolve().then(() => ev('job')); }, 0);''')
    equal([e[0] for e in r.events], ['t0', 'job', 't1', 't2'])


def test_timers(t):
    r = run(t, '''
  ev('ids', setTimeout(() => 1), setInterval(() => 1, 1), setTimeout(() => 1));
  clearTimeout(2); clearTimeout(99); clearInterval(null); clearTimeout(undefined); clearTimeout('x'); clearTimeout();
  setTimeout(function (a, b) { ev('args', a, b, this === globalThis); }, '1.5', 7, 8);
  setTimeout(() => ev('infinite'), Infinity); setTimeout(() => ev('negative'), -5); setTimeout(() => ev('nan'), NaN);
  ev('thrown', caught(() => setTimeout()), caught(() => setInterval('x', 1)));
  let n = 0;
  const id = setInterval(() => { ev('tick'); if (++n == 2) clearTimeout(id); }, 1);
  const gone = setTimeout(() => ev('gone'), 1);
  clearInterval(gone);
  let order = [], left = 10000;
  for (let i = 0; i < 10000; i++) {
    const due = Date.now() + 50 + (i % 100);
    setTimeout(() => { order.push(due); if (--left == 0)
      ev('many', order.every((x, j) => j == 0 || order[j - 1] <= x + 25), order.length); }, 50 + (i % 100));
  }''')
    equal(r.ev('ids')[0][1:], [1, 2, 3])
    equal(r.ev('args')[0][1:], [7, 8, True])
    equal([len(r.ev(n)) for n in ('infinite', 'negative', 'nan', 'tick', 'gone')], [1, 1, 1, 2, 0])
    check("setTimeout's callback isn't a callable function" in r.one('thrown')['message'], '%r', r.events)
    equal(r.ev('thrown')[0][2]['type'], True)
    equal(r.ev('many')[0][1:], [True, 10000])


def test_timer_throws(t):
    server = t.server(quiet)
    r = run(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => setTimeout(() => { throw new Error('boom'); }, 1);''', '--iterations', '2')
    equal(len(r.logged('error', 'boom')), 2)
    equal(r.ev('close'), [['close', 1000, '', True, 3]] * 2)


def test_events_wait_for_sleep_and_connect(t):
    t.server({'/ws': sends(encode(TEXT, 'old api')), '/new': sends(encode(TEXT, 'new api'))})
    r = script(t, '''
import k6ws from 'k6/ws';
export default function () {
  const ws = new WebSocket('@WS@/new');
  ws.onmessage = (e) => { ev('message', e.data); ws.close(); };
  sleep(0.3);
  ev('slept');
  k6ws.connect('@WS@/ws', (s) => {
    s.on('message', (m) => { ev('inner', m); setTimeout(() => ev('timer'), 1); s.setTimeout(() => s.close(), 50); });
  });
  ev('end');
}''')
    equal([e[0] for e in r.events], ['slept', 'inner', 'timer', 'end', 'message'])


@also_standard
def test_W77_setup(t):
    server = t.server(closing(1000, before=encode(TEXT, 'x')))
    r = script(t, '''
export async function setup() {
  const ws = note(new WebSocket('@WS@/'), 'setup');
  ev('setup returns');
  return { a: 1 };
}
export default function (data) { ev('default', data); }
export function teardown() { note(new WebSocket('@WS@/'), 'teardown'); }''')
    equal([e[0] for e in r.events], ['setup returns', 'setup.open', 'setup.close', 'default', 'teardown.open',
                                     'teardown.close'])
    equal({s.tags.get('group') for s in r.session_samples}, {'::setup', '::teardown'})
    equal(r.one('default'), {'a': 1})


def test_setup_timeout(t):
    server = t.server(quiet)
    r = script(t, '''
export const options = { setupTimeout: '1s' };
export function setup() { note(new WebSocket('@WS@/')); }
export default function () { }''', code=None)
    check(r.code != 0, 'the setup timeout was ignored')
    equal(server.conns[0].close_codes, [1000])
    between(r.seconds, 1, 5, 'run')


def test_W83_fifty_sockets(t):
    server = t.server(quiet)
    for r in both(t, '''
  let open = 0;
  for (let i = 0; i < 50; i++) {
    const ws = new WebSocket('@WS@/');
    ws.onopen = () => { if (++open == 50) ev('all open'); setTimeout(() => ws.close(), 300 + i); };
    ws.onclose = () => { if (--open == 0) ev('all closed'); };
  }'''):
        equal([e[0] for e in r.events], ['all open', 'all closed'])
        equal((r.count('ws_sessions'), len(r.of('ws_session_duration')), r.count('iterations')), (50, 50, 1))


def test_socket_does_not_survive_its_iteration(t):
    t.server(closing(1000))
    r = script(t, '''
let kept;
export default function () {
  if (kept) ev('state', kept.readyState);
  kept = new WebSocket('@WS@/');
}''', '--iterations', '3')
    equal(r.values('state'), [3, 3])


def test_global_is_the_vus_own(t):
    r = script(t, '''export const options = { vus: 3, iterations: 3, scenarios: undefined };
global.mine = 0;
export default function () {
  global.mine++;
  ev('mine', global.mine === globalThis.mine, global === globalThis, typeof self);
  sleep(0.2);
}''', '--workers', '1')
    equal(len(r.ev('mine')), 3)
    for row in r.ev('mine'):
        equal(row[1:], [True, True, 'undefined'])
