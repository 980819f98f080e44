# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: streams and WebSocketStream (G31)."""
import time

from case import check, equal
from kit import both, run, script, sends
from servers.rawws import BINARY, CLOSE, TEXT, closing, echo, encode, quiet, refusing

IMPORT = "import { WebSocketStream, WebSocketError, ReadableStream, WritableStream } from 'k6/websockets';\n"


CUT = """export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '3s',
                                            gracefulStop: '0s' } } };
"""


def streams(t, body, *flags, **kw):
    return script(t, IMPORT + 'export default async function () {\n' + body + '\n}', *flags, **kw)


def test_echo_and_close(t):
    server = t.server(echo)
    for flags in ((), ('--profile', 'standard')):
        r = streams(t, '''
  const wss = new WebSocketStream('@WS@/');
  const { readable, writable, extensions, protocol } = await wss.opened;
  ev('opened', wss.url, extensions, protocol, readable instanceof ReadableStream, writable instanceof WritableStream);
  const reader = readable.getReader(), writer = writable.getWriter();
  await writer.write('text');
  ev('text', await reader.read());
  await writer.write(new Uint8Array([1, 2]));
  const b = await reader.read();
  ev('binary', b.value instanceof Uint8Array, bytes(b.value), b.done);
  wss.close({ closeCode: 3001, reason: 'bye' });
  ev('closed', await wss.closed);
  ev('end', await reader.read(), readable.locked);''', *flags)
        equal(r.ev('opened')[0][1:], [server.ws + '/', '', '', True, True])
        equal(r.one('text'), {'value': 'text', 'done': False})
        equal(r.ev('binary')[0][1:], [True, [1, 2], False])
        equal(r.one('closed'), {'closeCode': 3001, 'reason': ''})
        equal(r.ev('end')[0][1:], [{'done': True}, True])
        equal(r.logged('error'), [])


def test_for_await_until_the_peer_closes(t):
    t.server(closing(1000, 'done', before=b''.join(encode(TEXT, str(i)) for i in range(500))))
    r = streams(t, '''
  const wss = new WebSocketStream('@WS@/');
  const { readable } = await wss.opened;
  let n = 0, ok = true;
  for await (const m of readable) ok = ok && m === String(n++);
  ev('all', n, ok, await wss.closed);''')
    equal(r.ev('all')[0][1:], [500, True, {'closeCode': 1000, 'reason': 'done'}])


def test_failures(t):
    t.server(refusing(403, 'Forbidden'))
    r = streams(t, '''
  const wss = new WebSocketStream('@WS@/');
  const errors = [];
  await wss.opened.catch((e) => errors.push(e)); await wss.closed.catch((e) => errors.push(e));
  ev('failed', errors.map((e) => [e.name, e.message, e instanceof WebSocketError, e instanceof DOMException]));
  const c = new AbortController();
  const other = new WebSocketStream('@WS@/', { signal: c.signal });
  c.abort();
  await other.opened.catch((e) => ev('aborted', e.name));
  await new WebSocketStream('@WS@/', { signal: AbortSignal.abort() }).closed.catch((e) => ev('aborted', e.name));
  ev('thrown', caught(() => new WebSocketStream('ftp://x/')), caught(() => new WebSocketStream('@WS@/', { foo: 1 })));
  new WebSocketStream('@WS@/'); // its rejections are nobody's concern''')
    equal(r.one('failed'), [['WebSocketError', 'websocket: bad handshake', True, True]] * 2)
    equal(r.values('aborted'), ['AbortError', 'AbortError'])
    equal(r.one('thrown')['name'], 'SyntaxError')
    check("unknown WebSocket's option foo" in r.ev('thrown')[0][2]['message'], '%r', r.events)
    equal(r.logged('error'), [])


def test_lost_connection(t):
    def behave(conn):
        conn.accept(tail=encode(TEXT, 'x'))
        conn.recv_frame()
        conn.finish()
    t.server(behave)
    r = streams(t, '''
  const wss = new WebSocketStream('@WS@/');
  const { readable, writable } = await wss.opened;
  const reader = readable.getReader(), writer = writable.getWriter();
  ev('first', await reader.read());
  await writer.write('go');
  await reader.read().catch((e) => ev('read', e.name, e.closeCode));
  await wss.closed.catch((e) => ev('closed', e.name, e.closeCode));
  await writer.write('x').catch((e) => ev('write', e.name));''')
    equal(r.ev('read', 'closed', 'write'), [['read', 'WebSocketError', 1006], ['closed', 'WebSocketError', 1006],
                                            ['write', 'WebSocketError']])


def test_reading_slowly_holds_the_peer_back(t):
    def behave(conn):
        conn.accept()
        chunk = encode(BINARY, bytes(65536)) * 4
        conn.sock.settimeout(1.0)
        while conn.bytes_out < 100 * 1024 * 1024 and conn.send(chunk):
            pass
        conn.sock.settimeout(15.0)
        conn.record()
    server = t.server(behave)
    r = script(t, IMPORT + CUT + '''export default async function () {
  const wss = new WebSocketStream('@WS@/');
  const { readable } = await wss.opened;
  const reader = readable.getReader();
  for (let i = 0; i < 20; i++) { const { value } = await reader.read(); ev('size', value.length);
    await new Promise((f) => setTimeout(f, 50)); }
  await new Promise((f) => setTimeout(f, 9999));
}''')
    equal(r.values('size'), [65536] * 20)
    check(server.conns[0].bytes_out < 20 * 1024 * 1024, 'the peer could send %d bytes', server.conns[0].bytes_out)
    check(r.count('ws_msgs_received') < 100, '%d messages were taken', r.count('ws_msgs_received'))


def test_writing_waits_for_the_peer(t):
    def behave(conn):
        conn.accept()
        time.sleep(1.5)
        conn.drain()
    server = t.server(behave, rcvbuf=65536)
    r = streams(t, '''
  const wss = new WebSocketStream('@WS@/');
  const { writable } = await wss.opened;
  const writer = writable.getWriter(), start = Date.now();
  for (let i = 0; i < 40; i++) await writer.write(new Uint8Array(1024 * 1024));
  ev('written', Date.now() - start);
  await writer.close();
  ev('closed', await wss.closed);''')
    check(r.one('written') > 1000, 'writing did not wait: %r', r.events)
    equal(sum(len(m.payload) for m in server.conns[0].messages), 40 * 1024 * 1024)
    equal(r.one('closed')['closeCode'], 1000)


def test_streams_alone(t):
    r = streams(t, '''
  const got = [];
  const source = new ReadableStream({ start(c) { c.enqueue(1); c.enqueue(2); c.close(); } }, { highWaterMark: 5 });
  await source.pipeTo(new WritableStream({ write(x) { got.push(x); }, close() { got.push('closed'); } }));
  ev('piped', got);
  const bad = new ReadableStream({ pull() { throw new Error('boom'); } });
  await bad.getReader().read().catch((e) => ev('error', e.message));
  ev('thrown', caught(() => bad.getReader()).type, caught(() => new ReadableStream(5)).type, String(bad));
  const w = new WritableStream({ write() { throw new Error('full'); } }).getWriter();
  await w.write(1).catch((e) => ev('write', e.message));
  await w.closed.catch((e) => ev('writer', e.message));''')
    equal(r.one('piped'), [1, 2, 'closed'])
    equal((r.one('error'), r.one('write'), r.one('writer')), ('boom', 'full', 'full'))
    equal(r.ev('thrown')[0][1:], [True, True, '[object ReadableStream]'])


def test_vus_share_a_realm(t):
    """The module's classes are no change of the builtins: no VU gets a realm of its own."""
    r = streams(t, "  ev('x');", '--verbose', '--vus', '4', '--iterations', '4')
    equal([e for e in r.log if 'a realm of its own' in e.line], [])
    r = script(t, "WebSocket.prototype.extra = () => 1;\nexport default function () { ev('x'); }", '--verbose')
    equal(len([e for e in r.log if 'a realm of its own' in e.line]), 1)
