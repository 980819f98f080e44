// Stages and thresholds: many VUs that come and go, and a verdict at the end.
//
// `stages` ramps the number of VUs up and down. `thresholds` says what counts as a pass: if one of
// them fails, the run ends with exit code 99, which is what a CI job looks at.
//
//   squall echo --port 8765 &
//   squall run examples/stages-and-thresholds.js && echo passed
import ws from 'k6/ws';
import { check } from 'k6';
import { Trend } from 'k6/metrics';

const url = __ENV.URL || 'ws://127.0.0.1:8765/';

// `true`: the values are times in milliseconds, and are printed as such.
const roundTrip = new Trend('round_trip', true);

export const options = {
  stages: [
    { duration: '1s', target: 40 }, // up to 40 VUs within a second
    { duration: '1s', target: 40 }, // stay
    { duration: '1s', target: 0 }, // and down again
  ],
  thresholds: {
    checks: ['rate>0.99'], // of all checks below
    ws_connecting: ['p(95)<2000'], // dialling and handshake, ms
    round_trip: ['p(95)<1000'],
  },
};

export default function () {
  const response = ws.connect(url, function (socket) {
    socket.on('open', () => socket.setInterval(() => socket.send(String(Date.now())), 100));
    socket.on('message', (text) => roundTrip.add(Date.now() - Number(text)));
    socket.setTimeout(() => socket.close(1000), 550);
  });

  check(response, { 'status is 101': (r) => r && r.status === 101 });
}
