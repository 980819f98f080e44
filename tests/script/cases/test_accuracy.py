# SPDX-License-Identifier: Apache-2.0
"""3,000 tiny sessions a second, steadily. On an idle machine every window of 100 ms is within 5 % and none is dropped; here others
may use the machine, so a few windows may be off, but iterations are neither lost nor early."""
import collections
import json

import echo
from case import between, check, equal, parse_time, read

SECONDS, WINDOW = 6, 0.1


def test_steady_rate(t):
    rate = 300 if t.sanitized() else 3000    # each session is many times dearer then
    url = echo.start(t)
    run = t.start('''import ws from 'k6/ws';
export const options = { scenarios: { s: {
  executor: 'constant-arrival-rate', rate: @RATE@, duration: '@SECONDS@s', preAllocatedVUs: 500, maxVUs: 1000 } } };
export default function () { ws.connect('@URL@/', (s) => s.on('open', () => s.close())); }''', '--quiet',
                  prelude=False, URL=url, RATE=rate, SECONDS=SECONDS)
    points = run.points_path
    run.points_path = t.path('none')    # large: only what is asked for below is parsed
    done = run.wait()
    starts, sessions, dropped = [], 0, 0
    for line in read(points).split('\n'):
        if line.startswith('{"metric":"iteration_duration"'):
            data = json.loads(line)['data']
            starts.append(parse_time(data['time']) - data['value'] / 1000)
        elif line.startswith('{"metric":"ws_sessions"'):
            sessions += 1
        elif line.startswith('{"metric":"dropped_iterations"'):
            dropped += json.loads(line)['data']['value']
    between(len(starts) + dropped, rate * SECONDS, rate * SECONDS + 1, 'iterations that were due')
    between(dropped, 0, len(starts) * 0.01, 'dropped iterations')
    equal(sessions, len(starts), 'sessions')
    check('interrupted' not in done.stderr, 'log: %s', done.stderr[-500:])
    starts.sort()
    early = [k for k, at in enumerate(starts) if not dropped and at < starts[0] + k / rate - 0.02]
    equal(early, [], 'iterations that began before they were due')
    windows = collections.Counter(int((at - starts[0]) / WINDOW) for at in starts)
    counts = [windows[i] for i in range(int(SECONDS / WINDOW))]
    off = [n for n in counts if abs(n - rate * WINDOW) > 0.05 * rate * WINDOW]
    check(len(off) <= len(counts) / 2, 'windows of 100 ms more than 5 %% off: %r', counts)
