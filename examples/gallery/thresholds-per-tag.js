// Service levels: each method of an API, and each kind of client, has limits of its own.
//
// The system: a shop's JSON-RPC over WebSocket, used by web pages and by apps on slow phones. Nobody minds a search that
// takes a while; an order has to be quick and must never fail. One limit over all calls together would hide both: there are
// so many searches that the orders do not show.
//
// What it teaches: `metric.add(value, tags)` and a threshold on `metric{tag:value}`, which is judged on just those samples;
// on two tags at once; on the scenario, which is a tag of everything; and abortOnFail, which stops a run that has already
// lost. How to read the result: each threshold is a line of its own at the top, failed ones with ✗, named again in the log,
// and the exit code is 99. `squall run ... || echo "not released"` is all that a CI job needs.
//
//   tests/servers/serve rpc &
//   squall run examples/gallery/thresholds-per-tag.js
//
// Try `serve rpc --fail-method order --fail-every 25`: two thresholds fail, those that look at orders, and no other.
// Knobs (-e NAME=value): URL, WEB and APP (VUs of each kind), VISITS per VU, SLOWEST_MS (scales the limits, default 200),
// ABORT=1 to stop at the first failed order.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { check } from 'k6';
import { Rate, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const VISITS = Number(__ENV.VISITS || 5);
const SLOWEST_MS = Number(__ENV.SLOWEST_MS || 200);

const time = new Trend('rpc_time', true);
const failed = new Rate('rpc_failed');

const visitors = (vus, client) => ({
  executor: 'per-vu-iterations',
  vus: Number(vus),
  iterations: VISITS,
  maxDuration: '2m',
  tags: { client },
});

export const options = {
  scenarios: {
    web: visitors(__ENV.WEB || 10, 'browser'),
    app: visitors(__ENV.APP || 5, 'phone'),
  },
  thresholds: {
    'rpc_time{method:search}': [`p(95)<${SLOWEST_MS}`],
    'rpc_time{method:quote}': [`p(95)<${SLOWEST_MS / 2}`],
    'rpc_time{method:order}': [`p(99)<${SLOWEST_MS / 2}`],
    'rpc_time{method:order,client:phone}': [`max<${SLOWEST_MS * 10}`],
    'rpc_failed{method:search}': ['rate<0.05'],
    'rpc_failed{method:quote}': ['rate<0.01'],
    'rpc_failed{method:order}': [{ threshold: 'rate==0', abortOnFail: __ENV.ABORT === '1' }],
    'rpc_failed{scenario:app}': ['rate<0.05'],
    'iterations{scenario:web}': ['count>0'],
    checks: ['rate>0.99'],
  },
};

// JSON-RPC 2.0: answers come in any order and are matched by id.
class Rpc {
  constructor(socket) {
    this.socket = socket;
    this.calls = new Map();
    socket.onmessage = ({ data }) => this.answer(JSON.parse(data));
  }

  call(method, params) {
    const id = this.calls.size + 1;
    this.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return new Promise((resolve) => this.calls.set(id, { method, resolve, at: Date.now() }));
  }

  answer({ id, result, error }) {
    const { method, resolve, at } = this.calls.get(id);
    time.add(Date.now() - at, { method });
    failed.add(Boolean(error), { method });
    resolve(result || null);
  }
}

export default function () {
  const socket = new WebSocket(`${url}/rpc`);
  const rpc = new Rpc(socket);
  const guard = setTimeout(() => socket.close(), 30000);

  socket.onopen = async () => {
    const results = await Promise.all(['tea', 'coffee', 'milk'].map((text) => rpc.call('search', { text })));
    check(results, { 'every search finds something': (all) => all.every((r) => r && r.found.length > 0) });
    const quote = await rpc.call('quote', { item: 'tea small' });
    check(quote, { 'the quote is for what we asked': (q) => q && q.item === 'tea small' });
    await rpc.call('order', { item: 'tea small' });
    socket.close(1000);
  };
  socket.onclose = () => clearTimeout(guard);
}
