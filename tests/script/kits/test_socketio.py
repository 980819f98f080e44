# SPDX-License-Identifier: Apache-2.0
"""squall/socketio against the npm package socket.io."""
import json

import kit
from case import between, check, equal

IMPORT = "import { connect } from 'squall/socketio';\n"


def serve(t, **options):
    server = kit.Helper(t, 'socketio_server.js', json.dumps(options))
    server.url = 'http://127.0.0.1:%d' % server.port
    return server


def run(t, server, body, *flags, options='', **names):
    text = IMPORT + options + '\nexport default async function () {\n' + body + '\n}'
    return kit.run(t, text, *flags, URL=server.url, **names)


def test_events_and_acks(t):
    server = serve(t)
    got = run(t, server, r'''
      const s = connect('@URL@', { auth: { token: 't' }, query: { room: 'a b&c' }, tags: { who: 'me' },
                                   params: { headers: { 'X-Agent': 'load' } } });
      s.on('welcome', (m) => ev('welcome', m.id === s.id, s.connected));
      s.on('disconnect', (reason) => ev('disconnect', reason));
      s.emit('say', 'room', 'early');           // waits until the namespace is joined
      s.on('said', (text) => ev('said', text));
      s.on('question', (a, b, reply) => reply(a * b));
      await s.ready();
      ev('promise', await s.emitWithAck('echo', { deep: [1, { x: '\u20ac' }] }, 2));
      await new Promise((done) => s.emit('echo', 1, 'two', null, (...values) => { ev('callback', ...values); done(); }));
      s.timeout(5000).emit('echo', 'in time', (error, value) => ev('timed', error, value));
      s.emit('ask me');
      await s.emitWithAck('echo', 'barrier');
      await wait(100);
      ev('off', s.off('said').handlers.get('said').length);
      s.disconnect();
      ev('after', s.connected, s.emit('late'));
      ev('rejects', await s.emitWithAck('echo', 1).catch((e) => e.message));
    ''')
    equal(server.wait('connection'), {'auth': {'token': 't'}, 'query': 'a b&c', 'agent': 'load'})
    equal(got.one('welcome'), True)
    equal(got.one('said'), 'early')
    equal(got.one('promise'), {'deep': [1, {'x': '€'}]})
    equal(got.ev('callback'), [['callback', 1, 'two', None]])
    equal(got.ev('timed'), [['timed', None, 'in time']])
    equal(server.wait('answer'), 42)
    equal(got.one('disconnect'), 'io client disconnect')
    equal(got.ev('after'), [['after', False, False]])
    check('disconnect' in got.one('rejects'), 'the reason: %r', got.one('rejects'))
    equal(server.wait('disconnect'), 'client namespace disconnect')
    equal([s.value for s in got.of('socketio_acked', event='echo', namespace='/', who='me')], [1] * 4)
    equal(len(got.of('socketio_ack')), 4)
    for s in got.of('socketio_ack') + got.of('socketio_connecting'):
        between(s.value, 0, 5000, s.metric)
    equal(len(got.of('socketio_connecting')), 1)
    equal(len(got.of('socketio_events_sent')), 6)
    equal([len(got.of('socketio_events_received', event=e)) for e in ('welcome', 'said', 'question')], [1, 1, 1])
    equal(got.count('socketio_events_dropped'), 2)
    equal(got.of('socketio_errors'), [])


def test_namespaces(t):
    server = serve(t)
    got = run(t, server, r'''
      const main = connect('@URL@');
      const admin = main.of('/admin', { auth: () => ({ token: 'secret' }) });
      await Promise.all([main.ready(), admin.ready()]);
      ev('who', await admin.emitWithAck('whoami'), main.id !== admin.id);
      main.disconnect();
      ev('still', await admin.emitWithAck('whoami'));
      admin.disconnect();
      const refused = connect('@URL@/admin', { auth: { token: 'wrong' } });
      refused.on('connect_error', (e) => ev('refused', e.message, e.data));
      ev('ready', await refused.ready().catch((e) => e.message));
    ''')
    equal(got.ev('who'), [['who', 'admin', True]])
    equal(got.one('still'), 'admin')
    equal(got.ev('refused'), [['refused', 'not authorized', {'code': 401}]])
    equal(got.one('ready'), 'not authorized')
    equal(len(server.said('admin')), 1)
    equal([s.tags['reason'] for s in got.of('socketio_errors', namespace='/admin')], ['connect_error'])
    equal(got.count('ws_sessions'), 2)


def test_binary(t):
    server = serve(t)
    got = run(t, server, r'''
      const s = connect('@URL@');
      const hex = (b) => Array.from(new Uint8Array(b)).map((x) => x.toString(16).padStart(2, '0')).join('');
      const blob = new Promise((done) => s.on('blob', (b, tail) => done([hex(b), tail])));
      const reply = await s.emitWithAck('binary', { a: new Uint8Array([0, 255, 16]).buffer, text: 'x',
                                                    list: [1, new Uint8Array([9, 8, 7, 6]).subarray(1, 3)] });
      ev('reply', hex(reply.back), reply.twice.map(hex));
      ev('blob', ...(await blob));
      s.disconnect();
    ''')
    equal(server.wait('binary'), {'a': '00ff10', 'b': 2, 'text': 'x'})
    equal(got.ev('reply'), [['reply', '00ff10', ['00ff10', '0807']]])
    equal(got.ev('blob'), [['blob', '010203', 'tail']])


def test_heartbeat(t):
    """Pings of the server are answered: the session outlives pingInterval + pingTimeout several times."""
    server = serve(t, pingInterval=100, pingTimeout=150)
    got = run(t, server, r'''
      const s = connect('@URL@');
      s.on('disconnect', (reason) => ev('disconnect', reason));
      await s.ready();
      await wait(1200);
      ev('alive', await s.emitWithAck('echo', 'still here'));
      s.disconnect();
    ''')
    equal(got.one('alive'), 'still here')
    equal(got.one('disconnect'), 'io client disconnect')


def test_silent_server(t):
    """No ping within pingInterval + pingTimeout: the connection is given up."""
    def silent(conn):
        conn.accept()
        conn.text(b'0{"sid":"x","upgrades":[],"pingInterval":200,"pingTimeout":100,"maxPayload":100000}')
        conn.text(b'40{"sid":"y"}')
        conn.drain()
    server = t.server(silent)
    got = kit.run(t, IMPORT + r'''export default async function () {
      const s = connect('@HTTP@');
      await s.ready();
      const at = Date.now();
      s.on('disconnect', (reason) => ev('disconnect', reason, Date.now() - at));
    }''')
    check(server.conns, 'nobody came')
    name, reason, ms = got.events[0]
    equal(reason, 'ping timeout')
    between(ms, 250, 2000, 'ms until given up')


def test_lost_acks(t):
    server = serve(t)
    got = run(t, server, r'''
      const s = connect('@URL@', { ackTimeout: 300 });
      await s.ready();
      ev('promise', await s.emitWithAck('silent').catch((e) => e.message));
      await new Promise((done) => s.timeout(100).emit('silent', (error) => { ev('timed', error.message); done(); }));
      s.emit('silent', () => ev('never'));
      s.emit('kick');
      await new Promise((done) => s.on('disconnect', (reason) => { ev('disconnect', reason); done(); }));
    ''')
    check('silent' in got.one('promise') and 'silent' in got.one('timed'), 'messages: %r', got.events)
    equal(got.ev('never'), [])
    equal(got.one('disconnect'), 'io server disconnect')
    equal([s.value for s in got.of('socketio_acked')], [0, 0, 0])
    equal(got.of('socketio_ack'), [])
    check(got.seconds < 8, 'a pending acknowledgement held the iteration for %g s', got.seconds)


def test_reconnect(t):
    server = serve(t)
    got = run(t, server, r'''
      const s = connect('@URL@', { reconnect: { attempts: 3, delay: 50 } });
      const ids = [];
      s.on('connect', () => ids.push(s.id));
      s.on('disconnect', (reason) => ev('disconnect', reason));
      await s.ready();
      const again = new Promise((done) => s.on('disconnect', () => done(s.ready())));
      s.emit('cut');
      await again;
      ev('echo', await s.emitWithAck('echo', 'back'), ids.length, ids[0] !== ids[1]);
      s.disconnect();
    ''')
    equal(got.ev('disconnect'), [['disconnect', 'transport close'], ['disconnect', 'io client disconnect']])
    equal(got.ev('echo'), [['echo', 'back', 2, True]])
    equal(got.count('socketio_reconnects'), 1)
    equal(len(server.said('connection')), 2)


def test_failures(t):
    """Refused connections, a server that talks nonsense; the attempts are counted and bounded."""
    server = serve(t)
    got = run(t, server, r'''
      const none = connect('http://127.0.0.1:@CLOSED@', { reconnect: { attempts: 2, delay: 20 } });
      none.on('connect_error', (e) => ev('refused', e.message.slice(0, 9)));
      let last;
      for (let i = 0; i < 100 && !none.ended; i++) await wait(20);
      ev('ended', String(none.ended).includes('transport'));
      const s = connect('@URL@');
      await s.ready();
      s.emit('garbage');
      await new Promise((done) => s.on('disconnect', (reason) => { ev('garbage', reason); done(); }));
      try { connect('ftp://x/'); } catch (e) { ev('url', e.name); }
    ''', CLOSED=t.closed_port())
    equal(got.values('refused'), ['socketio:'] * 3)
    equal(got.one('ended'), True)
    equal(got.one('garbage'), 'parse error')
    equal(got.one('url'), 'TypeError')
    equal(got.count('socketio_reconnects'), 2)
    equal(got.count('ws_sessions'), 4)


def test_document(t):
    kit.document(t, 'socketio', {'URL': serve(t).url})


def test_unknown_kit(t):
    """A misspelt kit is refused with the right name."""
    path = t.write('typo.js', "import { connect } from 'squall/socketi';\nexport default function () {}\n")
    got = t.start_args('run', '--quiet', path).wait(code=107)
    check("did you mean 'squall/socketio'" in got.stderr, 'no suggestion: %s', got.stderr)
