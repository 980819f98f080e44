// TLS: wss:// URLs, and what can be said about the encryption.
//
// Certificates are verified. `squall echo --tls` makes itself one that nobody has signed, so this
// test has to switch the verification off; a test of a real server must not. `tlsVersion` and
// `tlsCipherSuites` limit what is offered, `tlsAuth` gives client certificates.
//
//   squall echo --tls --port 8765 &
//   squall run examples/tls.js
import ws from 'k6/ws';
import { check } from 'k6';

const url = __ENV.URL || 'wss://127.0.0.1:8765/';

export const options = {
  vus: 2,
  iterations: 6,
  insecureSkipTLSVerify: true,
  tlsVersion: { min: 'tls1.2', max: 'tls1.3' },
};

export default function () {
  let answer = null;

  // ws_connecting includes the TLS handshake.
  const response = ws.connect(url, function (socket) {
    socket.on('open', () => socket.send('for your eyes only'));
    socket.on('message', function (text) {
      answer = text;
      socket.close(1000);
    });
    socket.on('error', (e) => console.error(e.error()));
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, {
    'status is 101': (r) => r && r.status === 101,
    'the echo came back': () => answer === 'for your eyes only',
  });
}
