// SPDX-License-Identifier: Apache-2.0
// Each VU opens SOCKETS connections at once and holds them for HOLD_MS after the last is open; then all are closed
// with the closing handshake.
// -e URL=ws://127.0.0.1:PORT/silent -e VUS=1 -e SOCKETS=10000 -e HOLD_MS=12000
import { Counter, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';

const wanted = Number(__ENV.SOCKETS || 1);
const opening = new Trend('opening', true);
const closedCleanly = new Counter('closed_cleanly');

export const options = {
  scenarios: {
    idle: { executor: 'per-vu-iterations', vus: Number(__ENV.VUS), iterations: 1, maxDuration: '10m' },
  },
};

export default function () {
  const start = Date.now();
  const sockets = [];
  let open = 0;

  function oneMoreOpen() {
    open += 1;
    if (open < wanted) return;
    opening.add(Date.now() - start);
    setTimeout(() => sockets.forEach((socket) => socket.close()), Number(__ENV.HOLD_MS));
  }
  for (let i = 0; i < wanted; i++) {
    const socket = new WebSocket(__ENV.URL);
    socket.onopen = oneMoreOpen;
    socket.onclose = (event) => closedCleanly.add(event.code === 1000 || event.code === 1005 ? 1 : 0);
    sockets.push(socket);
  }
}
