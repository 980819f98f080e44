// Compression: permessage-deflate (RFC 7692).
//
// `compression: 'deflate'` offers it; whether it is used is the server's choice, which the response
// headers tell. Messages are then compressed on their way and arrive in the script as they were:
// only `data_sent` and `data_received`, which count bytes on the wire, show the difference.
//
//   squall echo --port 8765 &
//   squall run examples/compression.js
import ws from 'k6/ws';
import { check } from 'k6';
import { Counter } from 'k6/metrics';

const url = __ENV.URL || 'ws://127.0.0.1:8765/';
const MESSAGES = 10;

// Compare with data_sent in the summary.
const payload = new Counter('payload_characters');

export const options = { vus: 1, iterations: 2 };

const prices = JSON.stringify(
  Array.from({ length: 200 }, (_, i) => ({ symbol: `SYM${i % 20}`, bid: 100 + i, ask: 101 + i })),
);

export default function () {
  let answers = 0;

  const response = ws.connect(url, { compression: 'deflate' }, function (socket) {
    function send() {
      socket.send(prices);
      payload.add(prices.length);
    }
    socket.on('open', send);
    socket.on('message', function (text) {
      check(text, { 'message survives compression': (t) => t === prices });
      answers += 1;
      if (answers === MESSAGES) socket.close(1000);
      else send();
    });
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, {
    'status is 101': (r) => r && r.status === 101,
    // Names in `headers` are capitalised like this, with a small "s" in "Websocket".
    'server agreed to compress': (r) =>
      (r.headers['Sec-Websocket-Extensions'] || '').indexOf('permessage-deflate') === 0,
  });
}
