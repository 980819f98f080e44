# SPDX-License-Identifier: Apache-2.0
"""k6/http beside k6/ws: a request while a session is open (T87), one jar for both (WS-122)."""
import web
from case import check, equal


def test_T87_request_in_open(t):
    server = t.server()
    pages = web.start(t)
    run = t.run('''import http from 'k6/http';
export default function () {
  ret(ws.connect('@WS@/echo', (s) => {
    s.on('open', () => {
      s.send('before');
      const r = http.get('@PAGES@/slow?0.2');
      ev('http', r.status, r.body);
      s.send('after');
    });
    s.on('message', (m) => { ev('message', m); if (m === 'after') s.close(); });
    s.on('close', (c) => ev('close', c));
    s.on('error', (e) => ev('error', e.error()));
  }));
}''', PAGES=pages.base)
    equal(run.events[:4], [['http', 200, 'late'], ['message', 'before'], ['message', 'after'], ['close', 1001]])
    equal([r['status'] for r in run.rets], [101])
    equal(len(run.of('http_reqs', status='200')), 1)
    equal((run.count('ws_msgs_sent'), run.count('ws_msgs_received'), run.count('ws_sessions')), (2, 2, 1))
    equal(len(server.conns), 1)


def test_WS122_login_cookie(t):
    server = t.server()
    pages = web.start(t)
    run = t.run('''import http from 'k6/http';
export default function () {
  const host = '@PAGES@'.split('//')[1].split(':')[0];
  const jar = http.cookieJar();
  ev('login', http.get('@PAGES@/login').status, jar.cookiesForURL('@HTTP@/'));
  ret(ws.connect('@WS@/echo', (s) => s.on('open', () => s.close())));
}''', PAGES=pages.base)
    equal(run.one('login'), 200)
    equal([r['status'] for r in run.rets], [101])
    cookies = [v for k, v in server.conns[0].headers if k.lower() == 'cookie']
    check(cookies == ['session=s1'], 'Cookie of the handshake: %r', cookies)
