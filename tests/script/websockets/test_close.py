# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: closing from both sides, failures (W35-W49, W69)."""
from case import also_standard, between, check, equal
from kit import both, dom_error, run, sends, state_error, syntax_error
from servers.rawws import (CLOSE, PING, TEXT, after, close_payload, closing, echo, encode, never_answer, quiet, refusing,
                           silent)

BYE = 'websocket: close 3001: bye'


def test_W35_close_without_arguments(t):
    server = t.server(echo)
    default, standard = both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => { ws.close(); ev('state', ws.readyState); };''')
    for r in (default, standard):
        equal(r.one('state'), 2)
        equal(r.ev('error'), [])
    equal([c.of(CLOSE)[0].payload for c in server.conns], [b'\x03\xe8', b''])
    equal(default.ev('close'), [['close', 1000, '', True, 3]])
    equal(standard.ev('close'), [['close', 1005, '', True, 3]])


def whole_echo(conn):
    conn.accept()
    f = conn.recv_frame()
    conn.frame(CLOSE, f.payload)
    conn.finish()


def test_W36_own_code(t):
    server = t.server(whole_echo)
    default, standard = both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => ws.close(3001, 'bye');''')
    equal([c.of(CLOSE)[0].payload for c in server.conns], [b'\x0b\xb9bye'] * 2)
    end = ['close', 3001, 'bye', True, 3]
    equal(default.events, [['open'], ['error', BYE, 3], end])
    equal(standard.events, [['open'], end])


def test_W37_reason_of_the_peer(t):
    t.server(echo)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => ws.close(1000, 'why');'''):
        equal(r.ev('close'), [['close', 1000, '', True, 3]])


def test_W38_W39_bad_arguments(t):
    server = t.server(quiet)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => {
    for (const c of [1001, 999, 2999, 5000, 66536, 1005]) ev('code', c, caught(() => ws.close(c)));
    for (const s of ['x'.repeat(124), '\\u00e9'.repeat(62)]) ev('reason', caught(() => ws.close(1000, s)));
    ev('state', ws.readyState);
    ws.close(1000, 'x'.repeat(123));
  };'''):
        for e in r.ev('code'):
            dom_error(e[2], 'InvalidAccessError', 15)
            if e[1] == 1001:
                check("InvalidAccessError: Failed to execute 'close' on 'WebSocket': The close code must be either "
                      '1000, or between 3000 and 4999. 1001 is neither' in e[2]['message'], '%r', e)
        for err in r.values('reason'):
            syntax_error(err, "SyntaxError: Failed to execute 'close' on 'WebSocket': The message must not be greater "
                              'than 123 bytes')
        equal(r.one('state'), 1)
        equal(r.count('ws_msgs_sent'), 1)
    for conn in server.conns:
        equal(len(conn.of(CLOSE)[0].payload), 125)


CONVERSIONS = [('undefined', 1000, 1005), ('null', 1000, None), ('0', 1000, None), ('NaN', 1000, None),
               ("'abc'", 1000, None), ("'3001'", 3001, 3001), ('1000.9', 1000, None), ('1000.4', 1000, 1000),
               ('1000, null', 1000, 1000), ("undefined, 'r'", 1000, 1000)]


def test_W38_conversions(t):
    server = t.server(quiet)
    default, standard = both(t, '\n'.join('''
  { const ws = new WebSocket('@WS@/%d');
    ws.onopen = () => { ev('thrown', %d, caught(() => ws.close(%s))); ws.close(4999); }; }''' % (i, i, c[0])
        for i, c in enumerate(CONVERSIONS)))
    sent = {}
    for i, conn in enumerate(server.conns):
        sent[i >= len(CONVERSIONS), int(conn.target[1:])] = conn.of(CLOSE)[0].payload
    for i, (text, in_default, in_standard) in enumerate(CONVERSIONS):
        equal(sent[False, i][:2], close_payload(in_default), 'default ' + text)
        equal(sent[True, i][:2], close_payload(in_standard or 4999 if in_standard != 1005 else None),
              'standard ' + text)
        equal(next(e[2] for e in default.ev('thrown') if e[1] == i), None, text)
        err = next(e[2] for e in standard.ev('thrown') if e[1] == i)
        if in_standard is None:
            dom_error(err, 'InvalidAccessError', 15)
        else:
            equal(err, None, text)
    equal([sent[p, 8][2:] for p in (False, True)], [b'', b'null'])
    equal([sent[p, 9][2:] for p in (False, True)], [b'r', b'r'])


def test_W40_first_close_counts(t):
    server = t.server(quiet)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => { ws.close(); ws.close(4000); };
  ws.onclose = () => { ws.close(); ws.close(4000); };'''):
        equal(len(r.ev('close')), 1)
    equal([len(c.of(CLOSE)) for c in server.conns], [1, 1])
    equal([c.close_codes for c in server.conns], [[1000], [None]])


def test_W40_bad_arguments_after_close(t):
    t.server(quiet)
    default, standard = both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => { ws.close(); ev('thrown', caught(() => ws.close(1))); };''')
    equal(default.one('thrown'), None)
    dom_error(standard.one('thrown'), 'InvalidAccessError', 15)


def test_W41_send_after_close(t):
    server = t.server(quiet)
    default, standard = both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => { ws.close(); ev('closing', caught(() => ws.send('x')), ws.bufferedAmount); };
  ws.onclose = () => { ev('closed', caught(() => ws.send('yz')), ws.bufferedAmount);
                       ev('ping', caught(() => ws.ping())); };''')
    for name in ('closing', 'closed'):
        state_error(default.one(name))
    equal([standard.ev(n)[0][1:] for n in ('closing', 'closed')], [[None, 1], [None, 3]])
    for r in (default, standard):
        state_error(r.one('ping'))
        equal(r.count('ws_msgs_sent'), 1)
    equal([c.messages for c in server.conns], [[], []])


def test_W42_close_while_connecting(t):
    port = t.closed_port()
    for r in both(t, '''
  const ws = note(new WebSocket('ws://127.0.0.1:%d/'));
  ws.close();
  ev('state', ws.readyState);''' % port):
        equal(r.one('state'), 2)
        equal([e[0] for e in r.events], ['state', 'error', 'close'])
        equal(r.ev('close'), [['close', 1006, '', False, 3]])
        check(r.seconds < 3, 'it took %g s', r.seconds)
        equal((r.code, r.count('iterations')), (0, 1))


def test_W42_close_while_server_stalls(t):
    server = t.server(never_answer)
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  setTimeout(() => ws.close(4000, 'x'), 200);'''):
        equal(r.ev('close'), [['close', 1006, '', False, 3]])
        equal(r.ev('open'), [])
        check(r.seconds < 4, 'it took %g s', r.seconds)
    equal([c.frames for c in server.conns], [[], []])


def test_W43_refused(t):
    port = t.closed_port()
    r = run(t, "  new WebSocket('ws://127.0.0.1:%d/');" % port)
    equal((r.count('ws_sessions'), len(r.of('ws_connecting')), len(r.of('ws_session_duration'))), (1, 1, 0))
    equal(r.count('iterations'), 1)
    for r in both(t, "  note(new WebSocket('ws://127.0.0.1:%d/'));" % port):
        equal(r.events, [['error', 'dial tcp 127.0.0.1:%d: connect: connection refused' % port, 3],
                         ['close', 1006, '', False, 3]])


def listen(t, behaviour, body='', **kw):
    """The default and standard runs of a noted socket."""
    t.server(behaviour, **kw)
    return both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.addEventListener('close', () => ev('is', ws.readyState));
  %s''' % body)


def test_W44_fin(t):
    default, standard = listen(t, after(b'', 'fin'))
    text = 'websocket: close 1006 (abnormal closure): unexpected EOF'
    equal(default.ev('error', 'close'), [['error', text, 3], ['close', 1006, 'unexpected EOF', False, 3]])
    equal(standard.ev('error', 'close'), [['error', text, 3], ['close', 1006, '', False, 3]])


@also_standard
def test_W45_reset(t):
    def behave(conn):
        conn.accept()
        conn.recv_frame()
        conn.reset()
    for r in listen(t, behave, "ws.addEventListener('open', () => ws.send('x'));"):
        equal([e[0] for e in r.ev('error', 'close')], ['error', 'close'])
        check('reset' in r.one('error'), '%r', r.events)
        equal(r.one('close'), 1006)


@also_standard
def test_W46_peer_closes(t):
    for r in listen(t, closing(1000, 'ok')):
        equal(r.ev('error'), [])
        equal(r.ev('close'), [['close', 1000, 'ok', True, 3]])
        equal(r.count('ws_msgs_sent'), 0)
    equal([c.of(CLOSE)[0].payload for c in t.servers[0].conns], [b'\x03\xe8'] * 2)


def test_W47_peer_closes_with_an_error(t):
    default, standard = listen(t, closing(1011, 'err'))
    equal(default.values('error'), ['websocket: close 1011 (internal server error): err'])
    equal(standard.ev('error'), [])
    for r in (default, standard):
        equal(r.ev('close'), [['close', 1011, 'err', True, 3]])


def test_W48_peer_closes_without_code(t):
    default, standard = listen(t, closing())
    equal(default.values('error'), ['websocket: close 1005 (no status)'])
    equal(standard.ev('error'), [])
    for r in (default, standard):
        equal(r.ev('close'), [['close', 1005, '', True, 3]])
    equal([c.of(CLOSE)[0].payload for c in t.servers[0].conns], [b'', b''])


def test_peer_close_passes_through_closing(t):
    for r in listen(t, closing(1000), '''
  ws.onopen = () => { let last = 1;
    const look = () => { if (ws.readyState !== last) ev('saw', last = ws.readyState);
                         if (last < 3) Promise.resolve().then(() => setTimeout(look)); }; look(); };'''):
        check(r.values('saw')[-1] == 3, '%r', r.events)


def test_W49_refusals(t):
    t.server({'/404': refusing(404, 'Not Found', body='no'), '/302': refusing(302, 'Found', [('Location', '/x')]),
              '/200': refusing(200, 'OK')})
    for r in both(t, '''
  for (const s of ['404', '302', '200']) note(new WebSocket('@WS@/' + s), s);'''):
        for status in ('404', '302', '200'):
            equal(r.values(status + '.error'), ['websocket: bad handshake'])
            equal(r.ev(status + '.close'), [[status + '.close', 1006, '', False, 3]])
            equal({s.metric for s in r.session_samples if s.tags.get('status') == status},
                  {'ws_sessions', 'ws_connecting'})
    equal(len(t.servers[0].conns), 6)


BROKEN = [(b'\xc1\x01x', 1002, 'reserved'), (b'\x83\x00', 1002, 'opcode'), (b'\x81\x81\0\0\0\0x', 1002, 'masked'),
          (encode(TEXT, b'\xff'), 1007, 'UTF-8'), (encode(CLOSE, b'\3'), 1002, 'one byte'),
          (encode(CLOSE, close_payload(1005)), 1002, 'close code'), (encode(CLOSE, b'\x03\xe8\xff'), 1007, 'UTF-8')]


def test_peer_breaks_rules(t):
    paths = {'/%d' % i: after(wire) for i, (wire, _, _) in enumerate(BROKEN)}
    server = t.server(paths)
    for r in both(t, '''
  for (let i = 0; i < %d; i++) note(new WebSocket('@WS@/' + i), String(i));''' % len(BROKEN)):
        for i, (_, _, word) in enumerate(BROKEN):
            check(r.one('%d.error' % i).startswith('websocket: '), '%r', r.events)
            equal(r.ev('%d.close' % i), [['%d.close' % i, 1006, '', False, 3]])
    for conn in server.conns:
        equal(conn.close_codes, [BROKEN[int(conn.target[1:])][1]], conn.target)


@also_standard
def test_W69_peer_ignores_close(t):
    t.server(silent)
    r = run(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onopen = () => ws.close();''')
    equal(r.ev('error', 'close'), [['error', 'websocket: close timeout', 3], ['close', 1006, '', False, 3]])
    between(r.seconds, 10, 14, 'the run')


def test_messages_after_close_are_not_delivered(t):
    def behave(conn):
        conn.accept(tail=encode(TEXT, 'first'))
        while conn.recv_frame().opcode != CLOSE:
            pass
        conn.text('late')
        conn.frame(CLOSE, close_payload(1000))
        conn.finish()
    for r in listen(t, behave, "ws.onmessage = (e) => { ev('message', e.data); ws.close(); };"):
        equal(r.values('message'), ['first'])
        equal(r.count('ws_msgs_received'), 1)


def test_queued_messages_after_close(t):
    t.server(sends(b''.join(encode(TEXT, str(i)) for i in range(50))))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onopen = () => sleep(0.2);
  ws.onmessage = (e) => { ev('message', e.data); if (e.data === '3') ws.close(); };'''):
        equal(r.values('message'), ['0', '1', '2', '3'])
        equal(r.count('ws_msgs_received'), 4)


def test_close_while_the_dial_would_succeed(t):
    """4.3: the attempt is given up at once, whatever would have come of it."""
    t.server({'/accepts': sends(encode(TEXT, 'x')), '/refuses': refusing(403, 'Forbidden')})
    for r in both(t, '''
  for (const path of ['accepts', 'refuses']) {
    const ws = note(new WebSocket('@WS@/' + path), path);
    ws.onmessage = () => ev('message');
    ws.close(3000, 'r');
    ws.close();
    ev('state', ws.readyState);
  }'''):
        equal(r.ev('message', 'accepts.open', 'refuses.open'), [])
        equal(r.values('state'), [2, 2])
        for name in ('accepts', 'refuses'):
            equal(len(r.ev(name + '.error')), 1, name)
            equal(r.ev(name + '.close'), [[name + '.close', 1006, '', False, 3]])
        equal((r.code, r.count('iterations')), (0, 1))


def test_close_inside_every_listener(t):
    """No second Close, no second event, and the iteration ends."""
    def behave(conn):
        conn.accept(tail=encode(TEXT, 'm') + encode(PING, 'p'))
        if conn.target == '/error':
            conn.recv_frame()
            conn.finish()
        conn.drain()
    server = t.server(behave)
    for name in ('open', 'message', 'ping', 'pong', 'error', 'close'):
        for r in both(t, '''
  const ws = note(new WebSocket('@WS@/%s'));
  ws.addEventListener('%s', (e) => { ws.close(3001, 'in'); ws.close(3002); ev('done', ws.readyState); });
  ws.addEventListener('open', () => { if ('%s' != 'open') ws.ping(); });
  ws.addEventListener('pong', () => { if ('%s' == 'close') ws.close(1000); });''' % ((name,) * 4)):
            equal(len(r.ev('done')), 1, name)
            equal(len(r.ev('close')), 1, name)
            closes = server.conns[-1].close_codes
            if name == 'error':
                equal((r.one('done'), r.one('close'), r.values('error')), (3, 1006, r.values('error')[:1]))
            elif name == 'close':
                equal((r.one('done'), r.one('close'), closes), (3, 1000, [1000]))
            else:
                equal((r.one('done'), r.one('close'), closes), (2, 3001, [3001]), name)
            equal(r.count('iterations'), 1)


def test_peer_ignores_close_in_a_listener(t):
    """Nor does a script that closes in a handler of a server that never answers hang."""
    t.server(lambda conn: (conn.accept(tail=encode(TEXT, 'm')), conn.record()))
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/', null, { closeTimeout: 200 }));
  ws.onmessage = () => { ws.close(); ws.close(); };
  ws.onerror = () => ws.close();
  ws.onclose = () => ws.close();'''):
        equal(r.ev('error', 'close'), [['error', 'websocket: close timeout', 3], ['close', 1006, '', False, 3]])
        equal(r.count('iterations'), 1)
