// Echo: the smallest useful WebSocket test.
//
// Every virtual user (VU) opens a session, sends ten messages, one after the other, and checks that
// each comes back unchanged. When `ws.connect` returns, the session is over; then the VU starts its
// next iteration, until the duration has passed.
//
//   squall echo --port 8765 &
//   squall run examples/echo.js
//   squall run --vus 50 --duration 10s -e URL=ws://127.0.0.1:8765/ examples/echo.js
import ws from 'k6/ws';
import { check } from 'k6';

const url = __ENV.URL || 'ws://127.0.0.1:8765/';
const MESSAGES = 10;

export const options = { vus: 2, duration: '2s' };

export default function () {
  let sent = '';
  let answers = 0;

  // The callback gets the open socket and registers what is to happen. It runs before any message
  // can arrive, so no answer is missed.
  const response = ws.connect(url, function (socket) {
    function next() {
      sent = `message ${answers} of VU ${__VU}`;
      socket.send(sent);
    }
    socket.on('open', next);
    socket.on('message', function (text) {
      check(text, { 'echo is what was sent': (t) => t === sent });
      answers += 1;
      if (answers === MESSAGES) socket.close(1000);
      else socket.setTimeout(next, 20); // a pause of 20 ms; timers die with the socket
    });
    // A session without an end would last until the test stops it.
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, {
    'status is 101': (r) => r && r.status === 101,
    'all messages came back': () => answers === MESSAGES,
  });
}
