// SPDX-License-Identifier: Apache-2.0
// Connect, upgrade, close, again. -e URL=ws://127.0.0.1:PORT/echo -e VUS=20 -e ITERATIONS=5000 (together)
import ws from 'k6/ws';

export const options = {
  scenarios: {
    churn: {
      executor: 'shared-iterations',
      vus: Number(__ENV.VUS),
      iterations: Number(__ENV.ITERATIONS),
      maxDuration: '10m',
    },
  },
};

export default function () {
  ws.connect(__ENV.URL, null, function (socket) {
    socket.on('open', function () {
      socket.close();
    });
  });
}
