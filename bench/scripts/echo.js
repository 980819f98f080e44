// SPDX-License-Identifier: Apache-2.0
// Closed-loop echo: each VU holds one connection and sends the next message when the last is back.
// -e URL=ws://127.0.0.1:PORT/echo -e VUS=50 -e MESSAGES=4000 (of each VU) -e BYTES=64
import ws from 'k6/ws';

const messages = Number(__ENV.MESSAGES);
const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(1 + Number(__ENV.BYTES || 64) / 26).slice(0, Number(__ENV.BYTES || 64));

export const options = {
  scenarios: {
    echo: { executor: 'per-vu-iterations', vus: Number(__ENV.VUS), iterations: 1, maxDuration: '10m' },
  },
};

export default function () {
  ws.connect(__ENV.URL, null, function (socket) {
    let left = messages;
    socket.on('open', function () {
      socket.send(text);
    });
    socket.on('message', function () {
      left -= 1;
      if (left > 0) {
        socket.send(text);
      } else {
        socket.close();
      }
    });
  });
}
