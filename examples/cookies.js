// Cookies: a session that the server recognises.
//
// Every VU has a cookie jar. Cookies that a handshake sets go into it, and the next handshake to the
// same host sends them. The jar is emptied at the start of every iteration, unless the option
// `noCookiesReset` is set. A jar of its own, given as `jar`, lets one VU play several clients.
//
// The path /cookie of `squall echo` sets the cookie `squall_session` and sends the Cookie header that
// it got as the first message.
//
//   squall echo --port 8765 &
//   squall run examples/cookies.js
import ws from 'k6/ws';
import http from 'k6/http';
import { check } from 'k6';

const base = (__ENV.URL || 'ws://127.0.0.1:8765/').replace(/\/+$/, '');
const url = `${base}/cookie`;
const asHttp = url.replace(/^ws/, 'http'); // jars go by http and https URLs

export const options = { vus: 1, iterations: 2 };

// The Cookie header that the server saw.
function cookiesSeen(params) {
  let seen = null;
  const response = ws.connect(url, params, function (socket) {
    socket.on('message', function (text) {
      seen = text;
      socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 10000);
  });
  check(response, { 'status is 101': (r) => r && r.status === 101 });
  return seen;
}

export default function () {
  // The VU's own jar: empty at first, then with the server's cookie.
  check(cookiesSeen(null), { 'first visit has no cookie': (c) => c === '' });
  check(cookiesSeen(null), { 'second visit is recognised': (c) => /^squall_session=/.test(c) });
  check(http.cookieJar().cookiesForURL(asHttp), {
    'the jar holds the cookie': (cookies) => cookies.squall_session.length === 1,
  });

  // Another client: a jar with a cookie of ours.
  const jar = new http.CookieJar();
  jar.set(asHttp, 'theme', 'dark');
  check(cookiesSeen({ jar }), { 'another jar is another client': (c) => c === 'theme=dark' });

  // A Cookie header replaces whatever the jar would send.
  check(cookiesSeen({ headers: { Cookie: 'a=1; b=2' } }), {
    'a header replaces the jar': (c) => c === 'a=1; b=2',
  });
}
