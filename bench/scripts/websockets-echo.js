// SPDX-License-Identifier: Apache-2.0
// echo.js through k6/websockets: between two messages a VU waits on its event loop, without a stack.
// -e URL=ws://127.0.0.1:PORT/echo -e VUS=50 -e MESSAGES=4000 (of each VU) -e BYTES=64
import { WebSocket } from 'k6/websockets';

const messages = Number(__ENV.MESSAGES);
const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(1 + Number(__ENV.BYTES || 64) / 26).slice(0, Number(__ENV.BYTES || 64));

export const options = {
  scenarios: {
    echo: { executor: 'per-vu-iterations', vus: Number(__ENV.VUS), iterations: 1, maxDuration: '10m' },
  },
};

export default function () {
  const socket = new WebSocket(__ENV.URL);
  let left = messages;
  socket.onopen = () => socket.send(text);
  socket.onmessage = () => {
    left -= 1;
    if (left > 0) {
      socket.send(text);
    } else {
      socket.close();
    }
  };
}
