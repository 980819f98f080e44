# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: the module, the constructor, its parameters (W01-W20, W78)."""
from case import also_standard, check, equal, type_error
from kit import PRELUDE, both, run, script, state_error, syntax_error
from servers.rawws import CLOSE, TEXT, echo, quiet


def test_W01_no_url(t):
    for r in both(t, '''
  ev('none', caught(() => new WebSocket()));
  ev('null', caught(() => new WebSocket(null)));'''):
        type_error(r.one('none'))
        check('requires a url' in r.one('none')['message'], '%r', r.one('none'))
        syntax_error(r.one('null'), 'requires a url')
        equal(r.session_samples, [])


def test_without_new(t):
    """Public scripts call it so, as k6 lets them; a browser throws."""
    t.server(echo)
    default, standard = both(t, '''
  let ws;
  ev('thrown', caught(() => { ws = WebSocket('@WS@/'); }), ws instanceof WebSocket);
  ev('derived', caught(() => { class Sub extends WebSocket {} Sub('@WS@/'); })?.type);
  if (ws) { ws.onopen = () => ws.send('a'); ws.onmessage = (e) => { ev('got', e.data); ws.close(); }; }''')
    equal(default.ev('thrown'), [['thrown', None, True]])
    equal((default.ev('got'), default.one('derived')), ([['got', 'a']], True))
    type_error(standard.one('thrown'))


def test_W02_W03_bad_urls(t):
    cases = [('ftp://h/', 'requires url with scheme ws or wss, but got "ftp"'),
             ('/echo', 'requires url with scheme ws or wss, but got ""'),
             ('::bad', 'WebSocket requires valid url, but got "::bad" which resulted in'),
             ('ws://h/#x', 'requires no url fragment, but got "x"'),
             ('ws://h:99999/', 'requires valid url'),
             ('ws://', 'requires valid url'),
             ('ws://h h/', 'requires valid url')]
    for r in both(t, '\n'.join('  ev(%r, caught(() => new WebSocket(%r)));' % c for c in zip(
            ('c%d' % i for i in range(len(cases))), (c[0] for c in cases)))):
        for i, (_, text) in enumerate(cases):
            syntax_error(r.one('c%d' % i), text)
        equal(r.session_samples, [])


def test_W03_empty_fragment(t):
    t.server(echo)
    default, standard = both(t, '''
  let ws;
  ev('thrown', caught(() => { ws = new WebSocket('@WS@/a#'); }));
  if (ws) { ev('url', ws.url); ws.onopen = () => ws.close(); }''')
    equal(default.one('thrown'), None)
    equal(default.one('url'), t.servers[0].ws + '/a')
    syntax_error(standard.one('thrown'))


def test_W04_http_scheme(t):
    server = t.server(echo)
    for r in both(t, '''
  const ws = note(new WebSocket('@HTTP@/echo'));
  ev('url', ws.url);
  ws.onopen = () => ws.close();'''):
        equal(r.one('url'), server.ws + '/echo')
        equal(len(r.ev('open')), 1)
    equal([c.target for c in server.conns], ['/echo', '/echo'])


def test_W05_url_forms(t):
    server = t.server(echo)
    default, standard = both(t, '''
  for (const u of ['@WS@', 'WS://LocalHost:@PORT@/P', '@WS@/a b?x=1 2', '@WS@/a/../b', ' @WS@/t\\n']) {
    const ws = new WebSocket(u);
    ev('url', ws.url);
    ws.onopen = () => ws.close();
  }''')
    ws, port = server.ws, server.port
    equal(default.values('url'),
          [ws, 'ws://LocalHost:%d/P' % port, ws + '/a%20b?x=1 2', ws + '/b', ws + '/t'])
    equal(standard.values('url'),
          [ws + '/', 'ws://localhost:%d/P' % port, ws + '/a%20b?x=1%202', ws + '/b', ws + '/t'])
    for conns in (server.conns[:5], server.conns[5:]):
        equal(sorted(c.target for c in conns), ['/', '/P', '/a%20b?x=1%202', '/b', '/t'])


def test_W05_default_port(t):
    default, standard = both(t, '''
  const a = new WebSocket('ws://127.0.0.1:80/'), b = new WebSocket('wss://127.0.0.1:443/');
  ev('url', a.url, b.url);
  a.close(); b.close();''')
    equal(default.ev('url')[0][1:], ['ws://127.0.0.1:80/', 'wss://127.0.0.1:443/'])
    equal(standard.ev('url')[0][1:], ['ws://127.0.0.1/', 'wss://127.0.0.1/'])


def test_user_info(t):
    server = t.server(echo)
    both(t, '''
  const ws = new WebSocket('ws://u:p@127.0.0.1:@PORT@/x');
  ws.onopen = () => ws.close();''')
    for conn in server.conns:
        equal(conn.header('authorization'), 'Basic dTpw')
        equal(conn.header('host'), '127.0.0.1:%d' % server.port)


def test_W06_unknown_option(t):
    runs = both(t, '''
  ev('object', caught(() => new WebSocket('ws://127.0.0.1:1/', null, { foo: 1 })));
  ev('string', caught(() => new WebSocket('ws://127.0.0.1:1/', null, 'x')));
  ev('tags', caught(() => new WebSocket('ws://127.0.0.1:1/', null, { tags: 5 })));''')
    for r in runs:
        check("unknown WebSocket's option foo" in r.one('object')['message'], '%r', r.events)
        check('invalid WebSocket tags option: ' in r.one('tags')['message'], '%r', r.events)
    default, standard = runs
    check("unknown WebSocket's option 0" in default.one('string')['message'], '%r', default.events)
    equal(default.session_samples, [])
    equal(standard.one('string'), None)


@also_standard
def test_W07_compression_words(t):
    r = run(t, '''
  for (const c of ['', ' ', null, undefined, 'gzip', 'deflate, gzip', 'Deflate'])
    ev('thrown', caught(() => new WebSocket('ws://127.0.0.1:1/', null, { compression: c })).message);''')
    equal(r.values('thrown'), ["unsupported compression algorithm '%s', supported algorithm is 'deflate'" % c
                               for c in ('', '', 'null', 'undefined', 'gzip', 'deflate, gzip', 'Deflate')])


def test_W08_W09_compression_offer(t):
    server = t.server(echo)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/', null, { compression: 'deflate ' }));
  ws.onopen = () => ws.send('plain');
  ws.onmessage = (e) => { ev('data', e.data, ws.extensions); ws.close(); };'''):
        equal(r.one('data'), 'plain')
    equal(server.conns[0].header('sec-websocket-extensions'),
          'permessage-deflate; server_no_context_takeover; client_no_context_takeover')
    check('permessage-deflate' in server.conns[1].header('sec-websocket-extensions'), 'no offer')
    for conn in server.conns:
        equal([f.rsv for f in conn.of(TEXT)], [0])


def test_extensions_attribute(t):
    from servers.rawws import PMD_BOTH, echo_deflate
    t.server(echo_deflate)
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/', null, { compression: { serverNoContextTakeover: true,
                                                           clientNoContextTakeover: true } });
  ev('before', ws.extensions);
  ws.onopen = () => { ev('open', ws.extensions); ws.send('x'.repeat(500)); };
  ws.onmessage = (e) => { ev('data', e.data.length); ws.close(); };''')
    equal(default.values('before') + default.values('open'), [[], [PMD_BOTH]])
    equal(standard.values('before') + standard.values('open'), ['', PMD_BOTH])
    equal(default.one('data'), 500)


@also_standard
def test_W10_headers(t):
    server = t.server(echo)
    run(t, '''
  const ws = new WebSocket('@WS@/', null, { headers: { 'x-lorem': 'ipsum', 'X-List': [1, 2], 'X-Null': null,
                                                       'bad name': 'x', 'X-Split': 'a\\r\\nb' } });
  ws.onopen = () => ws.close();''')
    conn = server.conns[0]
    equal([h for h in conn.headers if h[0].lower() == 'x-lorem'], [('X-Lorem', 'ipsum')])
    equal([conn.header(n) for n in ('x-list', 'x-null', 'bad name', 'x-split')], ['1,2', 'null', None, 'a  b'])
    check(conn.header('user-agent').startswith('squall/'), '%r', conn.header('user-agent'))
    equal(conn.header('origin'), None)


@also_standard
def test_W11_host(t):
    server = t.server(echo)
    run(t, '''
  const ws = new WebSocket('@WS@/', null, { headers: { Host: 'example.test', 'User-Agent': '' } });
  ws.onopen = () => ws.close();''')
    equal(server.conns[0].header('host'), 'example.test')
    equal(server.conns[0].header('user-agent'), None)


def test_W12_forbidden_header(t):
    server = t.server(echo)
    for name, shown in (('Sec-WebSocket-Key', 'Sec-Websocket-Key'), ('upgrade', 'Upgrade')):
        for r in both(t, '''
  note(new WebSocket('@WS@/', null, { headers: { '%s': 'k' } }));''' % name):
            equal(r.events, [['error', 'websocket: duplicate header not allowed: ' + shown, 3],
                             ['close', 1006, '', False, 3]])
    r = run(t, '''
  note(new WebSocket('@WS@/', 'a', { headers: { 'sec-websocket-protocol': 'b' } }));''')
    equal(r.values('error'), ['websocket: duplicate header not allowed: Sec-Websocket-Protocol'])
    equal(server.conns, [])
    run(t, '''
  const ws = new WebSocket('@WS@/', null, { headers: { 'Sec-WebSocket-Protocol': 'b' } });
  ws.onopen = () => ws.close();''')
    equal(server.conns[0].header('sec-websocket-protocol'), 'b')


@also_standard
def test_W13_W14_cookies(t):
    def behave(conn):
        conn.accept(headers=[('Set-Cookie', 'a=1')] if conn.target == '/set' else [])
        conn.drain()
    server = t.server(behave)
    script(t, '''
import http from 'k6/http';
export default function () {
  const other = new http.CookieJar();
  http.cookieJar().set('@HTTP@/', 'mine', 'yes');
  other.set('@HTTP@/', 'other', '2');
  const first = new WebSocket('@WS@/set');
  first.onopen = () => {
    first.close();
    const second = new WebSocket('@WS@/second'), third = new WebSocket('@WS@/third', null, { jar: other });
    const fourth = new WebSocket('@WS@/fourth', null, { headers: { Cookie: 'x=y' } });
    for (const ws of [second, third, fourth]) ws.onopen = () => ws.close();
  };
}''')
    got = {c.target: c.header('cookie') for c in server.conns}
    equal(got['/set'], 'mine=yes')
    equal(sorted(got['/second'].split('; ')), ['a=1', 'mine=yes'])
    equal((got['/third'], got['/fourth']), ('other=2', 'x=y'))


def picks(name):
    def behave(conn):
        conn.accept(protocol=name)
        conn.drain()
    return behave


def test_W15_protocol(t):
    server = t.server(picks('supported'))
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/', ['one', 'supported']));
  ws.onopen = () => { ev('protocol', ws.protocol); ws.close(); };'''):
        equal(r.one('protocol'), 'supported')
        equal({s.tags.get('subproto') for s in r.session_samples}, {'supported'})
    equal(server.conns[0].header('sec-websocket-protocol'), 'one, supported')


def test_W16_protocol_not_asked(t):
    t.server(picks('zzz'))
    for r in both(t, "  note(new WebSocket('@WS@/'));"):
        equal(r.events, [['error', 'websocket: bad handshake', 3], ['close', 1006, '', False, 3]])
    r = run(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => { ev('protocol', ws.protocol); ws.close(); };''', '--lenient')
    equal(r.one('protocol'), 'zzz')


def test_W17_protocol_unconfirmed(t):
    t.server(quiet)
    default, standard = both(t, '''
  const ws = note(new WebSocket('@WS@/', ['a']));
  ws.onopen = () => { ev('protocol', ws.protocol); ws.close(); };''')
    equal(default.one('protocol'), '')
    equal(standard.events, [['error', 'websocket: bad handshake', 3], ['close', 1006, '', False, 3]])


def test_W18_protocol_values(t):
    server = t.server(picks('a'))
    default, standard = both(t, '''
  for (const p of [['a', 'a'], ['a', 'A'], '', 'a b', ['x,y'], 5, { toString() { return 'a'; } }]) {
    const name = JSON.stringify(p);
    ev('thrown', caught(() => { const ws = new WebSocket('@WS@/', p); ws.onopen = () => ws.close(); }));
  }''')
    equal(default.values('thrown'), [None] * 7)
    equal([c.header('sec-websocket-protocol') for c in sorted(server.conns[:7], key=lambda c: c.peer[1])][:1] != [],
          True)
    for err in standard.values('thrown')[:5]:
        syntax_error(err)
    equal(standard.values('thrown')[5:], [None, None])


def test_W19_attributes_at_first(t):
    t.server(echo)
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/');
  ev('is', ws.readyState, ws.protocol, ws.bufferedAmount, ws.binaryType, ws.extensions, ws.onopen);
  ws.foo = 1;
  ev('own', ws.foo, caught(() => { ws.readyState = 3; }), caught(() => { ws.url = 'x'; }));
  ws.onopen = () => ws.close();''')
    equal(default.ev('is')[0][1:], [0, '', 0, 'blob', [], None])
    equal(standard.ev('is')[0][1:], [0, '', 0, 'blob', '', None])
    for r in (default, standard):
        equal(r.one('own'), 1)
        type_error(r.ev('own')[0][2])
        type_error(r.ev('own')[0][3])


def test_W20_class(t):
    t.server(echo)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ev('is', [WebSocket.CONNECTING, WebSocket.OPEN, WebSocket.CLOSING, WebSocket.CLOSED],
     [ws.CONNECTING, ws.OPEN, ws.CLOSING, ws.CLOSED], ws instanceof WebSocket, ws instanceof EventTarget,
     String(ws), WebSocket.name, WebSocket.length, Object.keys(JSON.parse(JSON.stringify(ws))));
  class Mine extends WebSocket { get twice() { return 2; } }
  const mine = new Mine('@WS@/');
  ev('mine', mine instanceof Mine, mine instanceof WebSocket, mine.twice);
  ev('const', caught(() => { WebSocket.OPEN = 5; }) !== null, WebSocket.OPEN);
  mine.onopen = () => mine.close();
  ws.onopen = () => ws.close();'''):
        equal(r.ev('is')[0][1:], [[0, 1, 2, 3], [0, 1, 2, 3], True, True, '[object WebSocket]', 'WebSocket', 1,
                                  ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol', 'binaryType']])
        equal(r.ev('mine')[0][1:], [True, True, 2])
        equal(r.ev('const')[0][1:], [True, 1])


@also_standard
def test_W78_module_forms(t):
    t.server(echo)
    r = t.run('''
import a from 'k6/websockets';
import { WebSocket as b } from 'k6/experimental/websockets';
import c, { WebSocket } from 'k6/experimental/websockets';
const ev = (...x) => console.log('EV ' + JSON.stringify(x));
export default function () {
  ev('same', a.WebSocket === b, c.WebSocket === WebSocket, typeof a.Blob, typeof globalThis.WebSocket,
     typeof globalThis.Blob, typeof globalThis.Event);
  const ws = new a.WebSocket('@WS@/');
  ws.onopen = () => ws.close();
}''', '--vus', '3', '--iterations', '6', prelude=False)
    equal(r.ev('same')[0][1:], [True, True, 'function'] + ['function' if t.profile else 'undefined'] * 3)
    equal(len(r.logged('warning', 'k6/experimental/websockets is deprecated and will be removed in a future release. '
                       'Please use k6/websockets instead.')), 1)
    equal(r.count('ws_sessions'), 6)


def test_init_context(t):
    r = t.run(PRELUDE + '''
ev('thrown', caught(() => new WebSocket('ws://127.0.0.1:1/')));
export default function () { }''', prelude=False)
    check(all('using WebSocket in the init context is not supported' in e['message'] for e in r.values('thrown')),
          '%r', r.events)
