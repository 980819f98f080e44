// SPDX-License-Identifier: Apache-2.0
// Steady load: VUS sessions of 20 to 40 s, a JSON message each second, a Trend and a check for each answer.
// -e URL=ws://127.0.0.1:PORT/echo -e VUS=2000 -e MINUTES=10
import ws from 'k6/ws';
import { check } from 'k6';
import { Trend } from 'k6/metrics';

const roundTrip = new Trend('round_trip', true);

export const options = {
  scenarios: {
    soak: {
      executor: 'constant-vus',
      vus: Number(__ENV.VUS),
      duration: `${__ENV.MINUTES}m`,
      gracefulStop: '5s',
    },
  },
  thresholds: { checks: ['rate>0.999'] },
};

export default function () {
  const response = ws.connect(__ENV.URL, { tags: { kind: 'soak' } }, (socket) => {
    socket.on('open', () => {
      socket.setInterval(() => socket.send(JSON.stringify({ at: Date.now(), vu: __VU })), 1000);
      socket.setTimeout(() => socket.close(), 20000 + Math.random() * 20000);
    });
    socket.on('message', (text) => {
      const message = JSON.parse(text);
      roundTrip.add(Date.now() - message.at);
      check(message, { 'mine came back': (m) => m.vu === __VU });
    });
  });
  check(response, { 'status is 101': (r) => r.status === 101 });
}
