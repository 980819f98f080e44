// Notification fan-out: one POST, many sockets. How long until the last one has it, and does everybody get it?
//
// The system: back ends publish over HTTP; everyone who is subscribed to the topic gets it pushed on a WebSocket. Two
// scenarios run at the same time: subscribers that hold their sockets, and a publisher with a fixed rate (an arrival rate,
// so that a slow server does not slow the publisher down and thereby hide itself).
//
// What it measures: notify_fanout is the time from before the POST to the arrival at each subscriber; with N subscribers its
// maximum is the time until the last one knows, and the distance from median to maximum is what the fan-out itself costs.
// The server numbers what it publishes and tells upon goodbye what the last number was, so notify_missed is exact.
//
//   tests/servers/serve notify &
//   squall run examples/gallery/notification-fanout.js
//
// Try `serve notify --drop-every 100`: notify_missed is what the server dropped, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, HTTP_URL (default: URL's server), SUBSCRIBERS, RATE per second, DURATION_S.
import http from 'k6/http';
import ws from 'k6/ws';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const httpUrl = __ENV.HTTP_URL || url.replace(/^ws/, 'http');
const SUBSCRIBERS = Number(__ENV.SUBSCRIBERS || 50);
const DURATION_S = Number(__ENV.DURATION_S || 5);
const TOPICS = ['orders', 'alerts'];

const delivered = new Counter('notify_delivered');
const missed = new Counter('notify_missed');
const recipients = new Counter('notify_recipients'); // as the server said when it took the message
const fanout = new Trend('notify_fanout', true);

export const options = {
  scenarios: {
    subscribers: { executor: 'per-vu-iterations', exec: 'subscribe', vus: SUBSCRIBERS, iterations: 1, maxDuration: '2m' },
    publisher: {
      executor: 'constant-arrival-rate',
      exec: 'publish',
      rate: Number(__ENV.RATE || 20),
      duration: `${DURATION_S}s`,
      preAllocatedVUs: 5,
      maxVUs: 50,
      startTime: '1s', // most subscribers are there; those who come later count from when they came
    },
  },
  thresholds: {
    'notify_missed{topic:orders}': ['count==0'],
    'notify_missed{topic:alerts}': ['count==0'],
    notify_fanout: ['p(95)<500', 'max<5000'],
    'http_req_failed{scenario:publisher}': ['rate==0'],
    dropped_iterations: ['count==0'], // else the publisher did not keep its rate, and the numbers are flattering
    checks: ['rate==1'],
  },
};

export function subscribe() {
  const topic = TOPICS[__VU % TOPICS.length];
  const tags = { topic };
  let due = 0; // the number that should come next
  let settled = false;

  const response = ws.connect(`${url}/subscribe?topic=${topic}`, { tags }, function (socket) {
    socket.on('message', function (text) {
      const message = JSON.parse(text);
      if (message.subscribed) {
        due = message.last + 1;
      } else if (message.unsubscribed) {
        missed.add(message.last + 1 - due, tags);
        settled = true;
        socket.close(1000);
      } else {
        fanout.add(Date.now() - message.at, tags);
        delivered.add(1, tags);
        missed.add(message.id - due, tags);
        due = message.id + 1;
      }
    });
    // Stays a while longer than the publisher, then says goodbye.
    socket.setTimeout(() => socket.send('bye'), (DURATION_S + 2) * 1000);
    socket.setTimeout(() => socket.close(), (DURATION_S + 20) * 1000);
  });
  check(response, { 'status is 101': (r) => r && r.status === 101, 'the account is settled': () => settled }, tags);
}

export function publish() {
  const topic = TOPICS[__ITER % TOPICS.length];
  const body = JSON.stringify({ topic, title: `news of VU ${__VU}`, at: Date.now() });
  const params = { headers: { 'Content-Type': 'application/json' }, tags: { name: 'publish', topic } };
  const response = http.post(`${httpUrl}/publish`, body, params);

  if (check(response, { 'published': (r) => r.status === 202 })) recipients.add(response.json('recipients'), { topic });
}
