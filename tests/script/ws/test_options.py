# SPDX-License-Identifier: Apache-2.0
"""k6/ws: metrics and tags, options, TLS, proxies, neighbours (T80-T89)."""
from case import check, equal
from servers.rawws import echo, refusing


def test_T80_group(t):
    t.server()
    run = t.run('''import { check, group } from 'k6';
export default function () {
  group('g', () => ws.connect('@WS@/echo', { tags: { t: '1' } }, (s) => {
    s.on('open', () => s.send('x'));
    s.on('message', (m) => {
      group('inner', () => check(m, { 'is x': (v) => v === 'x' }));
      check(m, { ok: () => true });
      s.close();
    });
  }));
}''')
    equal({s.metric for s in run.session_samples},
          {'ws_sessions', 'ws_connecting', 'ws_msgs_sent', 'ws_msgs_received', 'ws_session_duration'})
    for s in run.session_samples:
        equal((s.tags.get('group'), s.tags.get('t'), s.tags.get('scenario')), ('::g', '1', 'default'), s.metric)
    checks = run.of('checks')
    equal([(s.tags['check'], s.tags['group'], s.value) for s in checks], [('is x', '::g::inner', 1), ('ok', '::g', 1)])
    check('t' not in checks[0].tags, 'params.tags on a check: %r', checks[0])


def test_T81_system_tags(t):
    server = t.server()
    for system, want in ((['url'], {'url': server.ws + '/echo'}),
                         (['ip', 'url'], {'ip': '127.0.0.1', 'url': server.ws + '/echo'}), ([], {})):
        run = t.run('''
export const options = { systemTags: %r };
export default function () { ws.connect('@WS@/echo', (s) => s.close()); }''' % system)
        equal([s.tags for s in run.session_samples], [want] * 3)


def test_T81_ip_tag_of_a_failure(t):
    """WS-144: a failed dial with the ip tag on is an ordinary failure."""
    run = t.run('''
export const options = { systemTags: ['ip', 'url', 'status'] };
export default function () { ret(ws.connect('ws://127.0.0.1:@DEAD@/', (s) => s.close())); }''', DEAD=t.closed_port())
    equal(run.one('ret')['status'], 0)
    equal({tuple(s.tags) for s in run.session_samples}, {('url',)})


def test_T81_default_tags(t):
    server = t.server()
    run = t.run('''
export default function () { ws.connect('@WS@/echo?q=1', (s) => s.close()); }''')
    want = {'group': '', 'scenario': 'default', 'status': '101', 'subproto': '', 'url': server.ws + '/echo?q=1'}
    equal([s.tags for s in run.session_samples], [want] * 3)


def test_T82_hosts(t):
    server = t.server()
    run = t.run('''
export const options = {
  hosts: { 'a.test': '127.0.0.1', 'b.test:@PORT@': '127.0.0.1:@PORT@', '*.w.test': '127.0.0.1' },
};
export default function () {
  for (const h of ['a.test', 'b.test', 'x.w.test'])
    ret(ws.connect('ws://' + h + ':@PORT@/echo', (s) => s.close()));
}''')
    names = ['%s:%d' % (h, server.port) for h in ('a.test', 'b.test', 'x.w.test')]
    equal([(r['status'], r['url']) for r in run.rets], [(101, 'ws://%s/echo' % n) for n in names])
    equal([c.header('host') for c in server.conns], names)
    equal([s.tags['url'] for s in run.of('ws_sessions')], ['ws://%s/echo' % n for n in names])


def test_T83_blocked(t):
    server = t.server()
    for option, url in (("blacklistIPs: ['127.0.0.0/8']", '@WS@/echo'),
                        ("blockHostnames: ['*.c.test'], hosts: { 'x.c.test': '127.0.0.1' }",
                         'ws://x.C.test:@PORT@/echo')):
        run = t.run('''
export const options = { %s };
export default function () { ret(ws.connect('%s', (s) => { ev('called'); s.close(); })); }''' % (option, url))
        r = run.one('ret')
        equal((r['status'], r['url']), (0, ''), option)
        check(r['error'], 'error is empty')
        equal(run.ev('called'), [])
    equal(len(server.conns), 0, 'connections')


def test_T84_self_signed(t):
    server = t.tls_server()
    script = '''
export const options = { insecureSkipTLSVerify: %s };
export default function () {
  ret(ws.connect('@WS@/echo', (s) => {
    s.on('open', () => s.send('over tls'));
    s.on('message', (m) => { ev('message', m); s.close(); });
  }));
}'''
    run = t.run(script % 'false')
    r = run.one('ret')
    equal((r['status'], r['url']), (0, ''))
    check(r['error'], 'error is empty')
    equal(len(server.requests()), 0, 'requests')
    run = t.run(script % 'true')
    equal((run.one('ret')['status'], run.one('message')), (101, 'over tls'))
    check(run.count('data_sent') > server.conns[-1].bytes_in, 'data_sent does not count TLS records')
    run = t.run(script % 'false', '--insecure-skip-tls-verify')
    equal(run.one('ret')['status'], 101)


def test_T85_proxy(t):
    server = t.server()
    proxy = t.proxy(server.port)
    run = t.run('''
export default function () {
  for (const u of ['ws://some.test/echo', 'ws://some.test:81/echo', '@WS@/direct', 'ws://localhost:@PORT@/direct'])
    ret(ws.connect(u, (s) => { s.on('open', () => s.send('x')); s.on('message', () => s.close()); }));
}''', env={'HTTP_PROXY': proxy.url.replace('//', '//user:pa%20ss@')})
    equal([r['status'] for r in run.rets], [101] * 4)
    equal(proxy.lines(), ['CONNECT some.test:80 HTTP/1.1', 'CONNECT some.test:81 HTTP/1.1'])
    equal([(c.target, c.header('host')) for c in server.conns],
          [('/echo', 'some.test'), ('/echo', 'some.test:81'), ('/direct', '127.0.0.1:%d' % server.port),
           ('/direct', 'localhost:%d' % server.port)])
    check(b'\r\nProxy-Authorization: Basic dXNlcjpwYSBzcw==\r\n' in proxy.heads[0], 'credentials: %r', proxy.heads[0])
    check(b'roxy-' not in server.conns[0].head, 'the server saw the proxy header')


def test_T85_no_proxy(t):
    server = t.server()
    proxy = t.proxy(server.port)
    run = t.run('''
export const options = { hosts: { 'in.test': '127.0.0.1' } };
export default function () { ret(ws.connect('ws://in.test:@PORT@/echo', (s) => s.close())); }
''', env={'http_proxy': proxy.url, 'no_proxy': 'other.example,.test'})
    equal(run.one('ret')['status'], 101)
    equal(proxy.lines(), [])


def test_T85_tls_through_proxy(t):
    server = t.tls_server()
    proxy = t.proxy(server.port)
    run = t.run('''
export const options = { insecureSkipTLSVerify: true };
export default function () { ret(ws.connect('wss://some.test/echo', (s) => s.close())); }
''', env={'HTTPS_PROXY': proxy.url})
    equal(run.one('ret')['status'], 101)
    equal(proxy.lines(), ['CONNECT some.test:443 HTTP/1.1'])


def test_T86_proxy_refuses(t):
    server = t.server()
    for answer in (b'HTTP/1.1 403 Forbidden\r\n\r\n', b'HTTP/1.1 407\r\n\r\n', b'nonsense\r\n\r\n', b''):
        proxy = t.proxy(server.port, answer=answer)
        run = t.run('''
export default function () { ret(ws.connect('ws://some.test/echo', (s) => { ev('called'); s.close(); })); }
''', env={'HTTP_PROXY': proxy.url})
        r = run.one('ret')
        equal((r['status'], r['url'], r['headers'], r['body']), (0, '', {}, ''), 'answer %r' % answer)
        check(r['error'], 'error is empty')
        equal(run.ev('called'), [])
        equal(len(proxy.heads), 1)
    equal(len(server.conns), 0, 'connections')


def test_T87_http_inside_open(t):
    t.server({'/echo': echo, '/page': refusing(200, 'OK', body='page')})
    run = t.run('''import http from 'k6/http';
export default function () {
  ret(ws.connect('@WS@/echo', (s) => {
    s.on('open', () => { ev('page', http.get('@HTTP@/page').body); s.send('x'); });
    s.on('message', (m) => { ev('message', m); s.close(); });
  }));
}''')
    equal((run.one('page'), run.one('message'), run.one('ret')['status']), ('page', 'x', 101))
    for metric in ('http_reqs', 'http_req_duration', 'http_req_failed'):
        equal(len(run.of(metric)), 1, metric)


def test_T88_data_metrics(t):
    server = t.server()
    run = t.run('''
export default function () {
  ws.connect('@WS@/echo', { tags: { own: '1' } }, (s) => {
    s.on('open', () => s.send('x'.repeat(1000)));
    s.on('message', () => s.close());
  });
}''')
    conn = server.conns[0]
    frames = sum(f.wire_len for f in conn.frames)
    equal(conn.bytes_in, len(conn.head) + frames)
    sent, received = run.of('data_sent'), run.of('data_received')
    equal((len(sent), len(received)), (1, 1), 'samples')
    equal(sent[0].value, conn.bytes_in, 'data_sent')
    check(len(conn.head_out) + 1004 <= received[0].value <= conn.bytes_out + 4, 'data_received: %r of %d',
          received[0], conn.bytes_out)
    check('own' not in sent[0].tags and 'url' not in sent[0].tags, 'tags: %r', sent[0])
    equal([s.metric for s in run.samples if not s.metric.startswith(('ws_', 'vus'))],
          ['data_sent', 'data_received', 'iteration_duration', 'iterations'])
    metrics = [s.metric for s in run.samples]
    check(metrics.index('ws_session_duration') < metrics.index('data_sent'), 'order: %r', metrics)


def test_T89_connect_in_setup(t):
    server = t.server()
    run = t.run('''
export function setup() { return ws.connect('@WS@/echo', (s) => s.close()); }
export default function (data) { ev('data', data); }
export function teardown(data) { ws.connect('@WS@/echo', (s) => s.close()); ev('down', data.status); }''')
    data = run.one('data')
    equal(list(data), ['url', 'status', 'headers', 'body', 'error'])
    equal((data['url'], data['status'], data['body'], data['error']), (server.ws + '/echo', 101, '', ''))
    equal(run.one('down'), 101)
    groups = [s.tags.get('group') for s in run.session_samples]
    equal(groups, ['::setup'] * 3 + ['::teardown'] * 3)
    for s in run.session_samples:
        check('scenario' not in s.tags, 'scenario tag: %r', s)


def test_sample_times(t):
    """Section 18: ws_sessions and ws_session_duration carry the start of connect as their time."""
    t.server()
    run = t.run('''
export default function () {
  const t0 = Date.now();
  ws.connect('@WS@/echo', (s) => s.setTimeout(() => s.close(), 300));
  ev('t0', t0);
}''')
    start = run.one('t0') / 1000
    for metric in ('ws_sessions', 'ws_session_duration'):
        at = run.of(metric)[0].time
        check(start - 0.002 <= at <= start + 0.25, '%s: time %r, connect began at %r', metric, at, start)


def test_params_tags_override(t):
    """WS-113: params.tags can override group and scenario, never url, status, subproto while these are enabled."""
    server = t.server()
    run = t.run('''
export default function () {
  const tags = { group: 'G', scenario: 'S', url: 'U', status: '1', subproto: 'P' };
  ws.connect('@WS@/echo', { tags }, (s) => s.close());
}''')
    want = {'group': 'G', 'scenario': 'S', 'url': server.ws + '/echo', 'status': '101', 'subproto': ''}
    equal([s.tags for s in run.session_samples], [want] * 3)
