# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: send, bufferedAmount, binary types, blobs (W21-W34, W79-W81)."""
from case import also_standard, check, equal, type_error
from kit import both, run, sends, state_error
from servers.rawws import BINARY, TEXT, after, echo, echo_deflate, encode, quiet


def test_W21_send_while_connecting(t):
    t.server(echo)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ev('thrown', caught(() => ws.send('x')), caught(() => ws.ping()));
  ws.onopen = () => ws.close();'''):
        state_error(r.ev('thrown')[0][1])
        state_error(r.ev('thrown')[0][2])
        equal(len(r.ev('open')), 1)


def test_W22_buffered_amount(t):
    server = t.server(echo)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  let n = 0;
  ws.onopen = () => {
    ws.send('h\\u00e9llo'); ev('one', ws.bufferedAmount);
    ws.send(new Uint8Array(100000)); ws.send(new Blob(['abc'])); ev('more', ws.bufferedAmount);
    ws.ping();
    ev('ping', ws.bufferedAmount);
  };
  ws.onmessage = (e) => {
    if (n++ == 0) ev('first', e.data);
    if (n == 3) setTimeout(() => { ev('later', ws.bufferedAmount); ws.close(); ev('closing', ws.bufferedAmount); }, 50);
  };'''):
        equal((r.one('one'), r.one('more'), r.one('ping')), (6, 100009, 100009))
        equal((r.one('first'), r.one('later'), r.one('closing')), ('h\u00e9llo', 0, 0))
    equal(server.conns[0].messages[0].payload, 'h\u00e9llo'.encode())


SENT = [("'a\\ud800b'", TEXT, b'a\xef\xbf\xbdb', 'W23'),
        ("''", TEXT, b'', 'W24'),
        ("new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2)", BINARY, b'\2\3', 'W25'),
        ("new Uint8Array(1024).subarray(0, 1)", BINARY, b'\0', 'W26'),
        ("new Blob(['xy', new Uint8Array([9])])", BINARY, b'xy\t', 'W27'),
        ("new Float32Array([1])", BINARY, b'\0\0\x80?', 'view'),
        ("new BigInt64Array([1n])", BINARY, b'\1' + bytes(7), 'bigint view'),
        ("new ArrayBuffer(3)", BINARY, bytes(3), 'ArrayBuffer'),
        ("new String('boxed')", TEXT, b'boxed', 'String object'),
        ("'\\ud83d\\ude00'", TEXT, '\U0001F600'.encode(), 'pair')]


def test_W23_W24_W25_W26_W27_what_is_sent(t):
    server = t.server(quiet)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onopen = () => { %s ws.close(); };''' % ' '.join('ws.send(%s);' % s[0] for s in SENT)):
        equal(r.logged('error'), [])
    for conn in server.conns:
        equal([(m.opcode, m.payload) for m in conn.messages], [(s[1], s[2]) for s in SENT])
        check(all(len(m.frames) == 1 for m in conn.messages), 'fragments')


def test_W28_snapshot(t):
    server = t.server(quiet)
    both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onopen = () => { const u = new Uint8Array([7, 7]); ws.send(u); u[0] = 8; ws.close(); };''')
    equal([c.messages[0].payload for c in server.conns], [b'\7\7', b'\7\7'])


def test_W29_W30_odd_arguments(t):
    server = t.server(quiet)
    default, standard = both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => {
    ev('none', caught(() => ws.send()));
    for (const x of [{}, 5, null, undefined, true, [1, 2]]) ev('odd', caught(() => ws.send(x)));
    ws.close();
  };''')
    for r in (default, standard):
        type_error(r.one('none'))
    for err in default.values('odd'):
        type_error(err)
        check('unsupported send type' in err['message'], '%r', err)
    equal(standard.values('odd'), [None] * 6)
    equal(server.conns[0].messages, [])
    equal([m.text for m in server.conns[1].messages], ['[object Object]', '5', 'null', 'undefined', 'true', '1,2'])


@also_standard
def test_W31_one_frame(t):
    server = t.server(quiet)
    run(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onopen = () => { ws.send('x'.repeat(10000)); ws.close(); };''')
    frames = server.conns[0].of(TEXT)
    equal([(f.fin, len(f.payload), f.wire_len) for f in frames], [(True, 10000, 10008)])


BINARIES = b''.join(encode(BINARY, p) for p in (b'\1\2\3', b'', b'abc'))


def test_W32_W33_binary_type(t):
    t.server(sends(BINARIES))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  let n = 0;
  ws.onmessage = async (e) => {
    const d = e.data, i = n++;
    ws.binaryType = i == 0 ? 'arraybuffer' : 'blob';
    const b = d instanceof Blob ? await d.arrayBuffer() : d;
    ev('got', i, d instanceof Blob, d instanceof ArrayBuffer, d.size === undefined ? d.byteLength : d.size, d.type,
       bytes(b));
    if (i == 2) { ws.send(d); ws.close(); }
  };'''):
        equal(sorted(e[1:] for e in r.ev('got')), [[0, True, False, 3, '', [1, 2, 3]], [1, False, True, 0, None, []],
                                                   [2, True, False, 3, '', [97, 98, 99]]])
    equal([c.messages[0].payload for c in t.servers[0].conns], [b'abc', b'abc'])


def test_W34_bad_binary_type(t):
    t.server(quiet)
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/');
  ev('thrown', caught(() => { ws.binaryType = 'x'; }), ws.binaryType);
  ws.onopen = () => ws.close();''')
    check('unknown binaryType x' in default.one('thrown')['message'], '%r', default.events)
    equal(standard.ev('thrown')[0][1:], [None, 'blob'])


@also_standard
def test_W79_W80_blob(t):
    r = run(t, '''
  const text = async (b) => await b.text();
  const b = new Blob(['password']);
  ev('slices', await text(b.slice(-4)), await text(b.slice(0, 99)), await text(b.slice(5, 2)), b.slice(1, 3).size,
     await text(b.slice(2).slice(1, 3)), b.slice(0, 1, 'Text/X').type);
  const c = new Blob(['abc']);
  new Uint8Array(await c.arrayBuffer())[0] = 65;
  ev('copy', await c.text(), bytes(await c.bytes()));
  ev('make', new Blob().size, new Blob([1, null, 'x', new Uint8Array([65]), new DataView(new ArrayBuffer(2), 1),
     new Blob(['q'])]).size, new Blob([], { type: 'A/B' }).type, new Blob([], { type: '\\u00e9' }).type,
     await new Blob(['a\\r\\nb\\rc'], { endings: 'native' }).text(),
     await new Blob(['\\ufeffa\\ud800']).text(), String(new Blob()), new Blob([], null).size,
     new Blob(new Set(['s', 't'])).size);
  ev('thrown', caught(() => new Blob('x')).type, caught(() => new Blob([], 5)).type,
     caught(() => Blob([])).type, caught(() => new Blob([], { endings: 'x' })).type);
  let size = 0;
  const reader = new Blob(['stream']).stream().getReader();
  for (;;) { const { done, value } = await reader.read(); if (done) break; size += value.length; }
  ev('stream', size);''')
    equal(r.ev('slices')[0][1:], ['word', 'password', '', 2, 'sw', 'text/x'])
    equal(r.ev('copy')[0][1:], ['abc', [97, 98, 99]])
    equal(r.ev('make')[0][1:], [0, 9, 'a/b', '', 'a\nb\nc', 'a\ufffd', '[object Blob]', 0, 2])
    equal(r.ev('thrown')[0][1:], [True] * 4)
    equal(r.one('stream'), 6)


@also_standard
def test_W81_burst(t):
    t.server(after(b''.join(encode(TEXT, str(i)) for i in range(100000)) + encode(8, b'\3\xe8')))
    r = run(t, '''
  const ws = note(new WebSocket('@WS@/'));
  let n = 0, ok = true;
  ws.onmessage = (e) => { ok = ok && e.data === String(n); n++; };
  ws.onclose = () => ev('all', n, ok);''')
    equal(r.ev('all')[0][1:], [100000, True])
    equal(r.ev('close'), [['close', 1000, '', True, 3]])
    equal(r.count('ws_msgs_received'), 100000)


def test_W22_buffered_amount_of_what_is_never_sent(t):
    """4.2: it does not drop when the connection ends; nor does it ever fall within a task, or below 0."""
    size = 64 * 1024 * 1024

    def reset(conn):
        conn.accept()
        conn.recv_frame()
        conn.reset()

    def close(conn):
        conn.accept()
        conn.recv_frame()
        conn.close_frame(1000)
        conn.hold(1.0)
    for behave, code in ((reset, 1006), (close, 1000)):
        t.servers.clear()
        t.server(behave)
        for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  const size = %d;
  ws.onopen = () => {
    ws.send('x');
    ev('sent', ws.bufferedAmount);
    ws.send(new Uint8Array(size));
    ev('sent', ws.bufferedAmount - size);
    const before = ws.bufferedAmount;
    for (const end = Date.now() + 100; Date.now() < end; ) if (ws.bufferedAmount < before) ev('falls within a task');
  };
  ws.onclose = (e) => {
    const left = ws.bufferedAmount;
    ev('close', e.code, left > 0 && left <= size);
    setTimeout(() => ev('later', ws.bufferedAmount === left), 20);
  };''' % size):
            equal(r.events, [['sent', 1], ['sent', 1], ['close', code, True], ['later', True]])


def test_W22_buffered_amount_compressed_and_fragmented(t):
    """Uncompressed sizes count, and all of it comes back to 0."""
    t.server(echo_deflate)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/', null, { compression: 'deflate', fragmentSize: 100 });
  let n = 0;
  ws.onopen = () => {
    ws.send('a'.repeat(5000)); ev('sum', ws.bufferedAmount);
    ws.send(new Uint8Array(3000)); ev('sum', ws.bufferedAmount);
    ws.ping(); ws.send(''); ev('sum', ws.bufferedAmount);
  };
  ws.onmessage = () => { if (++n == 3) { ev('sum', ws.bufferedAmount); ws.close(); ev('sum', ws.bufferedAmount); } };'''):
        equal(r.values('sum'), [5000, 8000, 8000, 0, 0])
