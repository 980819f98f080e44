// Custom metrics: measuring what the test is about.
//
// Counter adds up, Gauge keeps the last value, Rate is the share of true ones, Trend gives average,
// percentiles and so on. They are made once, in the init code, and appear first in the summary.
//
// The path /push of `squall echo` sends a feed of JSON messages {"seq":1,...}, here 50 of them, one
// every 10 ms.
//
//   squall echo --port 8765 &
//   squall run examples/custom-metrics.js
import ws from 'k6/ws';
import { check } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

const base = (__ENV.URL || 'ws://127.0.0.1:8765/').replace(/\/+$/, '');
const COUNT = 50;

const updates = new Counter('feed_updates');
const lastNumber = new Gauge('feed_last_number');
const inOrder = new Rate('feed_in_order');
const gap = new Trend('feed_gap', true); // true: times in ms

export const options = {
  vus: 2,
  iterations: 4,
  thresholds: {
    feed_in_order: ['rate==1'],
    feed_gap: ['avg<1000'],
    'feed_updates{feed:prices}': ['count>0'],
  },
};

export default function () {
  let expected = 1;
  let before = 0;

  const url = `${base}/push?interval=10&size=100&count=${COUNT}`;
  const response = ws.connect(url, function (socket) {
    socket.on('message', function (text) {
      const update = JSON.parse(text);
      const now = Date.now();

      updates.add(1, { feed: 'prices' }); // a sample may carry tags of its own
      lastNumber.add(update.seq);
      inOrder.add(update.seq === expected);
      if (before) gap.add(now - before);
      before = now;
      expected = update.seq + 1;
      if (update.seq === COUNT) socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, {
    'status is 101': (r) => r && r.status === 101,
    'the whole feed arrived': () => expected === COUNT + 1,
  });
}
