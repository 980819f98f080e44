// Log in over HTTP, then use the session on a WebSocket.
//
// The system: a shop. POST /login answers with a session, as a cookie for browsers and as a token for apps; the WebSocket
// handshake is refused with 401 unless it carries one of them. Half of the users here are browsers, half are apps.
//
// What it measures: how long a user waits from pressing "log in" until the socket is ready (login_to_ready), which is what
// people notice and what neither http_req_duration nor ws_connecting shows alone, and which share of sessions that the
// login gave out the WebSocket servers accept (session_accepted). Behind a load balancer the two are different machines:
// a rate below 1 means that they do not agree on who is logged in.
//
//   tests/servers/serve login &
//   squall run examples/gallery/login-then-socket.js
//
// Try `serve login --forget-every 10`: every tenth session is lost, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, HTTP_URL (default: URL's server), VUS, ITERATIONS per VU, ORDERS per session, PASSWORD_PREFIX.
import http from 'k6/http';
import ws from 'k6/ws';
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const httpUrl = __ENV.HTTP_URL || url.replace(/^ws/, 'http');
const ORDERS = Number(__ENV.ORDERS || 5);
const passwordPrefix = __ENV.PASSWORD_PREFIX || 'secret-';

const loginToReady = new Trend('login_to_ready', true);
const sessionAccepted = new Rate('session_accepted');
const confirmed = new Counter('orders_confirmed');

export const options = {
  scenarios: {
    users: {
      executor: 'per-vu-iterations',
      vus: Number(__ENV.VUS || 10),
      iterations: Number(__ENV.ITERATIONS || 3),
      maxDuration: '1m',
    },
  },
  thresholds: {
    session_accepted: ['rate==1'],
    'http_req_failed{name:login}': ['rate==0'],
    'login_to_ready{client:browser}': ['p(95)<2000'],
    'login_to_ready{client:app}': ['p(95)<2000'],
    checks: ['rate==1'],
  },
};

export default function () {
  const client = __VU % 2 ? 'browser' : 'app';
  // Tags set here are on every sample of this iteration: requests, session, checks and our own metrics.
  exec.vu.metrics.tags.client = client;

  const user = `user-${__VU}-${__ITER}`;
  const started = Date.now();
  const login = http.post(`${httpUrl}/login`, JSON.stringify({ user, password: passwordPrefix + user }), {
    headers: { 'Content-Type': 'application/json' },
    tags: { name: 'login' },
  });
  if (!check(login, { 'logged in': (r) => r.status === 200 })) return;

  // The cookie went into the VU's jar, from where the handshake takes it by itself. An app has no jar: we give it an empty
  // one, and the token as a header.
  const params = { tags: { name: 'session' } };
  if (client === 'app') {
    params.jar = new http.CookieJar();
    params.headers = { Authorization: `Bearer ${login.json('token')}` };
  }

  let welcomed = '';
  let answers = 0;
  const response = ws.connect(`${url}/session`, params, function (socket) {
    const order = () => socket.send(JSON.stringify({ type: 'order', item: `item ${answers}` }));

    socket.on('message', function (text) {
      const message = JSON.parse(text);
      if (message.type === 'welcome') {
        welcomed = message.user;
        loginToReady.add(Date.now() - started);
      } else if (message.type === 'ordered') {
        confirmed.add(1);
        answers += 1;
      }
      if (answers === ORDERS) socket.close(1000);
      else order();
    });
    socket.setTimeout(() => socket.close(), 10000);
  });

  sessionAccepted.add(response.status === 101);
  if (response.status === 101)
    check(null, {
      'the server knows who we are': () => welcomed === user,
      'all orders were confirmed': () => answers === ORDERS,
    });
  const logout = { tags: { name: 'logout' }, jar: params.jar, headers: params.headers };
  check(http.post(`${httpUrl}/logout`, null, logout), { 'logged out': (r) => r.status === 200 });
}
