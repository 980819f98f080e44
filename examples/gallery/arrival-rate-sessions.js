// Sessions at a rate: visitors arrive whether the server is slow or not.
//
// The system: the shop of thresholds-per-tag.js; every visitor opens a socket, looks around, perhaps orders, and leaves.
// With a fixed number of VUs a server that gets slower gets fewer visitors, and looks better than it is ("coordinated
// omission"). Real visitors do not know each other: here sessions begin at a rate, first rising, then steady.
//
// How to read the result: `iterations` must be rate x time; `vus` is how many visitors were there at once, and it is this
// that rises when the server gets slow; dropped_iterations are visitors for whom no VU was left: then maxVUs is too small, or
// the server so slow that they pile up, and the numbers are no longer those of the rate. visit_time is the whole visit.
//
//   tests/servers/serve rpc &
//   squall run examples/gallery/arrival-rate-sessions.js
//
// Try `serve rpc --delay 400`: as many visitors, more of them at once. With -e MAX_VUS=10 as well they are dropped.
// Knobs (-e NAME=value): URL, RATE (sessions per second when steady), RAMP_S, STEADY_S, MAX_VUS, THINK_MS between calls.
import ws from 'k6/ws';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const RATE = Number(__ENV.RATE || 20);
const MAX_VUS = Number(__ENV.MAX_VUS || 200);
const THINK_MS = Number(__ENV.THINK_MS || 200);
const CALLS = ['search', 'search', 'quote', 'order'];

const visitTime = new Trend('visit_time', true);
const accepted = new Counter('visits_accepted');
const orders = new Counter('visit_orders');

export const options = {
  scenarios: {
    visitors: {
      executor: 'ramping-arrival-rate',
      startRate: 0,
      timeUnit: '1s',
      // Rate times the time of a visit, and some reserve. Beyond that VUs are made while the test runs, up to maxVUs, but the
      // visitor who found none free is dropped.
      preAllocatedVUs: Math.min(MAX_VUS, Math.ceil(RATE * (CALLS.length * THINK_MS / 1000 + 1))),
      maxVUs: MAX_VUS,
      stages: [
        { duration: `${__ENV.RAMP_S || 3}s`, target: RATE },
        { duration: `${__ENV.STEADY_S || 5}s`, target: RATE },
      ],
      gracefulStop: '10s', // visitors who are still there may finish
    },
  },
  thresholds: {
    dropped_iterations: ['count==0'],
    visit_time: [`p(95)<${CALLS.length * THINK_MS + 2000}`],
    ws_connecting: ['p(95)<1000'],
    checks: ['rate==1'],
  },
};

export default function () {
  const started = Date.now();
  let done = 0;

  const response = ws.connect(`${url}/rpc`, { tags: { name: 'visit' } }, function (socket) {
    const params = { text: 'tea', item: 'tea' };
    const call = () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: done, method: CALLS[done], params }));

    socket.on('open', () => {
      accepted.add(1);
      call();
    });
    socket.on('message', function (text) {
      const { result } = JSON.parse(text);
      if (result && CALLS[done] === 'order') orders.add(1);
      done += 1;
      if (done < CALLS.length) socket.setTimeout(call, THINK_MS * (0.5 + Math.random()));
      else socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 30000);
  });
  visitTime.add(Date.now() - started);
  check(response, { 'status is 101': (r) => r && r.status === 101, 'every call was answered': () => done === CALLS.length });
}
