// Test users from a file, each one exactly once, in memory only once.
//
// The system: accounts with different plans in different regions, one login per user at a time: a second one is refused with
// 409, as by a bank or a streaming service. A load test that picks its users carelessly tests that refusal.
//
// What it teaches: a SharedArray holds the file's rows once for all VUs, however many; `exec.scenario.iterationInTest` is a
// number that no other iteration has, also when the test is split over several machines by --execution-segment, so row number
// iterationInTest belongs to this iteration alone. What it measures: logins that were refused (user_conflicts), and the time
// until the session stands, per plan (login_to_ready{plan:...}).
//
//   tests/servers/serve login &
//   squall run examples/gallery/shared-users.js
//
// Try -e PICK=random: users collide, user_conflicts is what the server refused, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, HTTP_URL, USERS_FILE (CSV as data/users.csv), VUS, USERS (how many of them), PICK.
import http from 'k6/http';
import ws from 'k6/ws';
import { check } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const httpUrl = __ENV.HTTP_URL || url.replace(/^ws/, 'http');

// The function runs once, in the init code. No quotes or commas inside of fields: for those, see k6/experimental/csv.
const users = new SharedArray('users', function () {
  const [head, ...rows] = open(__ENV.USERS_FILE || './data/users.csv').trim().split(/\r?\n/);
  const names = head.split(',');
  return rows.map((row) => Object.fromEntries(row.split(',').map((value, i) => [names[i], value])));
});
const USERS = Math.min(Number(__ENV.USERS || users.length), users.length);

const conflicts = new Counter('user_conflicts');
const sessions = new Counter('user_sessions');
const loginToReady = new Trend('login_to_ready', true);

export const options = {
  scenarios: {
    everybody: { executor: 'shared-iterations', vus: Number(__ENV.VUS || 20), iterations: USERS, maxDuration: '2m' },
  },
  thresholds: {
    user_conflicts: ['count==0'],
    'user_sessions{plan:gold}': ['count>0'],
    'login_to_ready{plan:free}': ['p(95)<3000'],
    'login_to_ready{plan:plus}': ['p(95)<2000'],
    'login_to_ready{plan:gold}': ['p(95)<1000'],
    checks: ['rate==1'],
  },
};

// A clean start: whoever is still logged in from the last run is logged out.
export function setup() {
  check(http.post(`${httpUrl}/reset`), { 'nobody is logged in': (r) => r.status === 200 });
}

export default function () {
  const row = __ENV.PICK === 'random' ? Math.floor(Math.random() * USERS) : exec.scenario.iterationInTest;
  const { user, password, plan, region } = users[row]; // read once: every users[row] parses the row anew
  const tags = { plan, region };
  const started = Date.now();
  const login = http.post(`${httpUrl}/login`, JSON.stringify({ user, password }), {
    headers: { 'Content-Type': 'application/json' },
    tags: { name: 'login', ...tags },
    responseCallback: http.expectedStatuses(200, 409), // a conflict is counted below, not as a failed request
  });
  if (login.status === 409) {
    conflicts.add(1, tags);
    return;
  }
  check(login, { 'logged in': (r) => r.status === 200 }, tags);

  let welcomed = '';
  const params = { headers: { Authorization: `Bearer ${login.json('token')}` }, tags };
  const response = ws.connect(`${url}/session`, params, function (socket) {
    socket.on('message', function (text) {
      const message = JSON.parse(text);
      if (message.type === 'welcome') {
        welcomed = message.user;
        loginToReady.add(Date.now() - started, tags);
        socket.send(JSON.stringify({ type: 'order', item: 'a book' }));
      } else socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 10000);
  });
  sessions.add(1, tags);
  check(
    response,
    { 'status is 101': (r) => r && r.status === 101, 'the server knows who we are': () => welcomed === user },
    tags
  );
}
