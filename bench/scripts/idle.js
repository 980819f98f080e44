// SPDX-License-Identifier: Apache-2.0
// Each VU holds one connection on which nothing happens, for HOLD_MS.
// -e URL=ws://127.0.0.1:PORT/silent -e VUS=5000 -e HOLD_MS=12000
import ws from 'k6/ws';

export const options = {
  scenarios: {
    idle: { executor: 'per-vu-iterations', vus: Number(__ENV.VUS), iterations: 1, maxDuration: '10m' },
  },
};

export default function () {
  ws.connect(__ENV.URL, null, function (socket) {
    socket.on('message', function () {});
    socket.setTimeout(function () {
      socket.close();
    }, Number(__ENV.HOLD_MS));
  });
}
