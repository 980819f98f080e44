// Subprotocol and headers: what goes into the opening handshake.
//
// Any header can be set. `Sec-WebSocket-Protocol` asks for subprotocols, the best first; the server
// picks one, or none. `tags` are put on all samples of the session, so that results can be told
// apart, in thresholds too.
//
//   squall echo --port 8765 &
//   squall run examples/subprotocol-and-headers.js
import ws from 'k6/ws';
import { check } from 'k6';

const url = __ENV.URL || 'ws://127.0.0.1:8765/';

export const options = {
  vus: 1,
  iterations: 3,
  thresholds: {
    'ws_sessions{client:mobile}': ['count>0'],
  },
};

export default function () {
  const params = {
    headers: {
      'Sec-WebSocket-Protocol': 'chat.v2, chat.v1',
      Authorization: 'Bearer some-token',
      Origin: 'https://app.example',
      'X-Request-Id': `${__VU}-${__ITER}`,
    },
    tags: { client: 'mobile' },
  };

  const response = ws.connect(url, params, function (socket) {
    socket.on('open', () => socket.send(JSON.stringify({ type: 'hello' })));
    socket.on('message', function (text) {
      check(JSON.parse(text), { 'server says hello': (m) => m.type === 'hello' });
      socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, {
    'status is 101': (r) => r && r.status === 101,
    'server speaks chat.v2': (r) => r.headers['Sec-Websocket-Protocol'] === 'chat.v2',
  });
}
