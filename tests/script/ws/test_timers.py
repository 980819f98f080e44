# SPDX-License-Identifier: Apache-2.0
"""k6/ws: timers of the socket (T53-T58)."""
from case import Failed, check, equal, go_error, type_error
from servers.rawws import TEXT, closing, encode

BLOCK = 'const block = (ms) => { const until = Date.now() + ms; while (Date.now() < until); };\n'


def calls_in_setup(t, calls):
    t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    const f = () => ev('fired');
    %s
    s.setTimeout(() => s.close(), 100);
  });
}''' % '\n    '.join("ev('err', caught(() => s.%s));" % c for c in calls))
    equal(len(run.values('err')), len(calls))
    return run


def test_T53_bad_delays(t):
    calls = ['%s(f%s)' % (name, arg) for name in ('setTimeout', 'setInterval')
             for arg in (', 0', ', -5', '', ", 'abc'", ', NaN', ', Infinity', ', null', ', 1e-7', ', 1e13')]
    run = calls_in_setup(t, calls)
    for call, error in zip(calls, run.values('err')):
        go_error(error, call)
        check(call.split('(')[0] in error['message'], '%s: the message does not name the function: %r', call, error)
    equal(run.ev('fired'), [])


def test_T54_converted_delays(t):
    run = calls_in_setup(t, ["setTimeout(f, '50')", 'setTimeout(f, 0.3)', 'setTimeout(f, true)'])
    equal(run.values('err'), [None] * 3)
    equal(len(run.ev('fired')), 3)


def test_T55_bad_callbacks(t):
    calls = ['setTimeout(10, f)', "setInterval('x', 5)", 'setTimeout({}, 5)', 'setTimeout(undefined, 20)',
             'setTimeout(null, 20)']
    run = calls_in_setup(t, calls)
    for call, error in zip(calls, run.values('err')):
        type_error(error, call)


def test_T56_interval(t):
    t.server()
    for attempt in range(4):
        run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    const t0 = Date.now();
    s.setInterval((...a) => ev('tick', Date.now() - t0, a.length), 50);
    s.setTimeout(() => s.close(), 300);
  });
}''')
        ticks = run.values('tick')
        check(len(ticks) <= 6, 'too many calls: %r', ticks)
        equal({e[2] for e in run.ev('tick')}, {0}, 'arguments')
        for k, at in enumerate(ticks):
            check(at >= 50 * (k + 1) - 1, 'call %d came early: %r', k, ticks)
        # Only a machine that stood still excuses a late or a merged tick.
        if len(ticks) >= 5 and all(at < 50 * (k + 2) for k, at in enumerate(ticks)):
            return
    raise Failed('the interval drifts: %r' % ticks)


def test_T57_order_of_due_times(t):
    t.server()
    run = t.run(BLOCK + '''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    for (const ms of [20, 10, 30]) s.setTimeout(() => ev('due', ms), ms);
    s.on('open', () => block(100));
    s.setTimeout(() => s.close(), 150);
  });
}''')
    equal(run.values('due'), [10, 20, 30])


def test_T57_missed_ticks_merge(t):
    """WS-73: after a long block an interval runs at most twice back to back."""
    t.server()
    run = t.run(BLOCK + '''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    let blocked = false;
    s.setInterval(() => { ev('tick'); if (!blocked) { blocked = true; block(300); } }, 40);
    s.setTimeout(() => s.close(), 342);
  });
}''')
    ticks = len(run.ev('tick'))
    check(2 <= ticks <= 4, 'ticks: %d', ticks)


def test_T58_after_close(t):
    t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    s.on('open', () => {
      s.setTimeout(() => ev('wrong'), 1);
      s.close();
      ev('err', caught(() => s.setTimeout(() => ev('wrong'), 5)));
      ev('err', caught(() => s.setTimeout(() => ev('wrong'), 0)));
    });
  });
}''')
    good, bad = run.values('err')
    equal(good, None)
    go_error(bad, 'setTimeout(f, 0) after close')
    equal(run.ev('wrong'), [])


def test_timers_wait_for_open(t):
    """WS-70: no timer runs before the open handlers have finished."""
    t.server()
    run = t.run(BLOCK + '''
export default function () {
  ws.connect('@WS@/echo', (s) => {
    s.setTimeout(() => { ev('timer'); s.close(); }, 1);
    block(20);
    s.on('open', () => { block(20); ev('open'); });
  });
}''')
    equal(run.events, [['open'], ['timer']])


def test_flood_does_not_starve_timers(t):
    """WS-49: a flood of messages still lets a 1 ms interval fire."""
    t.server(closing(1000, before=encode(TEXT, 'x' * 100) * 3000))
    run = t.run(BLOCK + '''
export default function () {
  let ticks = 0, n = 0;
  ws.connect('@WS@/', (s) => {
    s.setInterval(() => ticks++, 1);
    s.on('message', () => { if (++n % 100 == 0) block(2); });
    s.on('close', () => ev('seen', n, ticks > 3));
  });
}''')
    equal(run.events, [['seen', 3000, True]])
