// SPDX-License-Identifier: Apache-2.0
// One VU, one connection, one message: what a run costs before any load. -e URL=ws://127.0.0.1:PORT/echo
import ws from 'k6/ws';

export default function () {
  ws.connect(__ENV.URL, null, function (socket) {
    socket.on('open', function () {
      socket.send('hello');
    });
    socket.on('message', function () {
      socket.close();
    });
  });
}
