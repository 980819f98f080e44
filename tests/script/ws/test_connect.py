# SPDX-License-Identifier: Apache-2.0
"""k6/ws: arguments of connect, URLs, failed connects (T1-T11, T90)."""
from case import between, check, equal, go_error
from servers.rawws import echo, quiet

FAILURE_METRICS = ['ws_sessions', 'ws_connecting', 'ws_session_duration']


def arguments_throw(t, calls, throw):
    server = t.server()
    run = t.run('''
export const options = { throw: %s };
export default function () {
  const u = '@WS@/echo', f = (s) => { ev('called'); s.close(); };
  %s
}''' % (str(throw).lower(), '\n  '.join("ev('err', caught(() => %s));" % c for c in calls)))
    errors = run.values('err')
    equal(len(errors), len(calls))
    for call, error in zip(calls, errors):
        go_error(error, '%s with throw %s' % (call, throw))
    equal(run.ev('called'), [])
    equal(run.session_samples, [])
    equal(len(server.conns), 0, 'connections')


def test_T01_argument_count(t):
    for throw in (False, True):
        arguments_throw(t, ('ws.connect()', 'ws.connect(u)', 'ws.connect(u, {}, f, 1)'), throw)


def test_T02_callback_missing(t):
    arguments_throw(t, ('ws.connect(u, {})', 'ws.connect(u, {}, undefined)', "ws.connect(u, {}, 'f')"), False)


def test_T03_overloads(t):
    server = t.server()
    run = t.run('''
export default function () {
  ev('length', ws.connect.length);
  ret(ws.connect('@WS@/echo', (s) => s.close()));
  ret(ws.connect('@WS@/echo?2', null, (s) => s.close()));
  ret(ws.connect('@WS@/echo?3', undefined, (s) => s.close()));
}''')
    equal(run.one('length'), 2)
    equal([(r['status'], r['url'], r['body'], r['error']) for r in run.rets],
          [(101, server.ws + path, '', '') for path in ('/echo', '/echo?2', '/echo?3')])
    equal(run.logged('warning') + run.logged('error'), [])


def test_T03_ways_to_import(t):
    t.server()
    run = t.run('''import def, { connect } from 'k6/ws';
import * as all from 'k6/ws';
export default function () {
  for (const c of [def.connect, connect, all.connect, all.default.connect])
    console.log('EV ' + JSON.stringify(['ret', c('@WS@/echo', (s) => s.close()).status]));
}''', prelude=False)
    equal(run.rets, [101] * 4)


def test_T04_params_without_effect(t):
    t.server()
    run = t.run('''
export default function () {
  for (const p of [5, 'abc', [1], () => {}, true, new Map([['headers', 1]])])
    ret(ws.connect('@WS@/echo', p, (s) => s.close()));
}''')
    equal([r['status'] for r in run.rets], [101] * 6)


def test_T05_url_object(t):
    server = t.server()
    run = t.run('''
export default function () {
  ret(ws.connect({ toString() { return '@WS@/echo?o'; } }, (s) => s.close()));
  ret(ws.connect(['@WS@/echo?a'], (s) => s.close()));
}''')
    equal([(r['status'], r['url']) for r in run.rets], [(101, server.ws + '/echo?o'), (101, server.ws + '/echo?a')])


def fails_quietly(t, urls):
    """Each URL expression gives a Response of a failure without HTTP answer (WS-38), and no event."""
    run = t.run('''
export default function () {
  for (const u of [%s])
    ret(ws.connect(u, (s) => { ev('called'); listen(s); }));
}''' % ', '.join(urls))
    equal(len(run.rets), len(urls))
    for url, r in zip(urls, run.rets):
        equal((r['status'], r['url'], r['headers'], r['body']), (0, '', {}, ''), url)
        check(r['error'], '%s: error is empty', url)
    equal(run.ev('called', 'open', 'error', 'close'), [])
    equal(run.logged('error'), [], 'errors logged')
    equal(run.count('ws_sessions'), len(urls), 'ws_sessions')
    for s in run.session_samples:
        check('status' not in s.tags and 'subproto' not in s.tags, 'tags of a failure: %r', s)
    return run


def test_T06_malformed_url(t):
    server = t.server()
    fails_quietly(t, ['undefined', 'null', '12', "''", "'/echo'", "'@HTTP@/echo'",
                      "'ws://u:p@127.0.0.1:@PORT@/echo'"])
    equal(len(server.requests()), 0, 'requests')


def test_T07_scheme_case(t):
    t.server()
    run = t.run('''
export default function () { ret(ws.connect('WS://127.0.0.1:@PORT@/echo', (s) => s.close())); }''')
    equal(run.one('ret')['status'], 101)


def test_T08_fragment(t):
    server = t.server()
    run = t.run('''
export default function () { ret(ws.connect('@WS@/echo?a=b#frag', (s) => s.close())); }''')
    url = server.ws + '/echo?a=b#frag'
    equal(server.conns[0].target, '/echo?a=b')
    equal(run.one('ret')['url'], url)
    equal([s.metric for s in run.session_samples], FAILURE_METRICS)
    equal({s.tags['url'] for s in run.session_samples}, {url})


def test_T09_request_targets(t):
    server = t.server({'/': echo, '/a%20b': echo, '/%C3%A9': echo})
    run = t.run('''
export default function () {
  for (const rest of ['?x=1', '', '/a b?q=c d', '/\\u00e9?u=\\u00e9'])
    ret(ws.connect('@WS@' + rest, (s) => s.close()));
}''')
    equal([r['status'] for r in run.rets], [101] * 4)
    equal([c.head.split(b'\r\n')[0] for c in server.conns],
          [b'GET /?x=1 HTTP/1.1', b'GET / HTTP/1.1', b'GET /a%20b?q=c d HTTP/1.1',
           b'GET /%C3%A9?u=\xc3\xa9 HTTP/1.1'])


def test_T10_unusable_url(t):
    server = t.server()
    fails_quietly(t, ["'ws://127.0.0.1:99999/'", "'ws://127.0.0.1:ab/'", "'@WS@/%zz'", "'@WS@/a\\nb'", "' @WS@/echo'"])
    equal(len(server.requests()), 0, 'requests')


def test_T11_refused(t):
    port = t.closed_port()
    for throw in (False, True):
        run = t.run('''
export const options = { throw: %s };
export default function () {
  let r;
  const err = caught(() => { r = ws.connect('ws://127.0.0.1:@DEAD@/x', (s) => { ev('called'); listen(s); }); });
  ev('err', err);
  if (r) ret(r);
}''' % str(throw).lower(), DEAD=port)
        if throw:
            go_error(run.one('err'), 'connect')
            equal(run.rets, [])
        else:
            equal(run.one('err'), None)
            r = run.one('ret')
            equal((r['status'], r['url'], r['headers'], r['body']), (0, '', {}, ''))
            check(r['error'], 'error is empty')
        equal(run.ev('called', 'error', 'close'), [])
        equal([s.metric for s in run.session_samples], FAILURE_METRICS)
        equal(run.session_samples[0].value, 1)
        between(run.session_samples[1].value, 0, 5000, 'ws_connecting')
        for s in run.session_samples:
            check('status' not in s.tags and 'subproto' not in s.tags, 'tags of a failure: %r', s)
            equal(s.tags['url'], 'ws://127.0.0.1:%d/x' % port)
        equal(run.count('iterations'), 1)


def test_T11_exception_has_value(t):
    """WS-40: the exception's value.error() returns the text too."""
    run = t.run('''
export const options = { throw: true };
export default function () {
  try { ws.connect('ws://127.0.0.1:@DEAD@/x', () => {}); } catch (e) { ev('same', e.value.error() === e.message); }
}''', DEAD=t.closed_port())
    equal(run.one('same'), True)


def test_T90_init_context(t):
    server = t.server(quiet)
    run = t.run('''
ev('err', caught(() => ws.connect('@WS@/x', (s) => s.close())));
export default function () { ev('ran'); }''')
    for error in run.values('err'):
        go_error(error, 'connect in the init context')
    equal(run.one('ran'), None)
    check(run.values('err'), 'the init code did not run')
    run = t.run('''
ws.connect('@WS@/x', (s) => s.close());
export default function () { ev('ran'); }''', code=107)
    equal(run.ev('ran'), [])
    check(run.logged('error'), 'nothing logged')
    equal(run.session_samples, [])
    equal(len(server.conns), 0, 'connections')
