# SPDX-License-Identifier: Apache-2.0
"""squall/phoenix against a stand-in that Phoenix's own client accepts."""
import json
import os
import subprocess

import kit
from case import between, check, equal

IMPORT = "import { connect } from 'squall/phoenix';\n"


def serve(t, **options):
    server = kit.Helper(t, 'phoenix_server.js', json.dumps(options))
    server.url = 'ws://127.0.0.1:%d/socket' % server.port
    return server


def run(t, server, body, *flags, **names):
    return kit.run(t, IMPORT + 'export default async function () {\n' + body + '\n}', *flags, URL=server.url, **names)


def test_stand_in(t):
    """The npm package phoenix finds our stand-in to be a Phoenix server."""
    server = serve(t, patience=300)
    out = subprocess.run(['node', os.path.join(kit.HERE, 'phoenix_judge.js'), str(server.port)], stdout=subprocess.PIPE,
                         timeout=20, check=True)
    equal(json.loads(out.stdout)['seen'], {
        'join': ['ok', {'members': 1}], 'refused': ['error', {'reason': 'unauthorized'}], 'shout': {'text': 'hi'},
        'blob': [1, 2, 3], 'direct': [2, 3], 'echo': ['ok', {'a': 1}], 'fail': ['error', {'reason': 'as you wish'}],
        'binary': ['ok', [3, 2, 1]], 'connected': True, 'leave': 'ok'})
    equal(server.said('connect')[0], {'path': '/socket/websocket', 'vsn': '2.0.0', 'token': 't'})


def test_channels(t):
    """Join, push, reply, broadcast, binary payloads, leave; the same topic twice after leaving."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@', { query: { token: 'a b' }, tags: { who: 'me' } });
      c.on('error', (e) => ev('error', e.message));
      c.on('close', (e) => ev('close', e));
      const list = (b) => Array.from(new Uint8Array(b));
      const room = c.channel('room:1', { as: 'me' });
      ev('join', await room.join());
      room.on('shout', (m) => ev('shout', m));
      room.on('blob', (b) => ev('blob', list(b)));
      room.on('direct', (b) => ev('direct', list(b)));
      room.on('close', () => ev('closed'));
      ev('echo', await room.push('echo', { deep: [1, '\u20ac'] }));
      await room.push('shout', { text: 'hi' });
      ev('binary', list(await room.push('binary', new Uint8Array([9, 1, 2, 3]).subarray(1))));
      ev('fail', await room.push('fail').catch((e) => [e.status, e.response]));
      ev('late', await room.push('silent', {}, { timeout: 100 }).catch((e) => e.message));
      ev('refused', await c.channel('private:x').join().catch((e) => e.response));
      ev('allowed', await c.channel('private:x', { token: 'secret' }).join());
      await room.leave();
      ev('left', await room.push('echo').catch((e) => e.message), room.state);
      ev('again', await room.join(), await room.push('echo', { again: true }));
      room.on('error', (e) => ev('crash', e.message, room.state));
      room.push('crash', {}, { timeout: 100 });
      await wait(150);
      ev('back', await room.join());
      c.disconnect();
      ev('over', await room.push('echo').catch((e) => e.message));
    ''')
    equal(server.wait('connect'), {'path': '/socket/websocket', 'vsn': '2.0.0', 'token': 'a b'})
    equal(got.one('join'), {'members': 1})
    equal(got.one('echo'), {'deep': [1, '€']})
    equal(got.one('shout'), {'text': 'hi'})
    equal((got.one('binary'), got.one('blob'), got.one('direct')), ([3, 2, 1], [1, 2, 3], [2, 3]))
    equal(got.one('fail'), ['error', {'reason': 'as you wish'}])
    check('silent' in got.one('late') and 'in time' in got.one('late'), 'late: %r', got.one('late'))
    equal((got.one('refused'), got.one('allowed')), ({'reason': 'unauthorized'}, {'members': 1}))
    equal(got.ev('again'), [['again', {'members': 1}, {'again': True}]])
    equal(got.ev('crash'), [['crash', 'phoenix: the channel room:1 has crashed', 'errored']])
    equal(got.one('back'), {'members': 1})
    equal((got.ev('error'), got.one('close')), ([], None))
    equal(server.said('leave'), ['room:1'])
    equal([s.value for s in got.of('phoenix_acked', event='phx_join', who='me')], [1, 0, 1, 1, 1])
    equal([s.value for s in got.of('phoenix_acked', event='echo')], [1, 1])
    equal((len(got.of('phoenix_join')), len(got.of('phoenix_connecting'))), (4, 1))
    equal(len(got.of('phoenix_messages_received')), 3)
    equal(len(got.of('phoenix_errors', topic='room:1')), 1)


def test_heartbeat(t):
    """Heartbeats keep the socket; a server that does not answer is given up."""
    server = serve(t, patience=300)
    got = run(t, server, r'''
      const c = connect('@URL@', { heartbeat: 100 });
      await c.ready();
      await wait(1000);
      ev('alive', c.connected);
      c.disconnect();
    ''')
    equal(got.one('alive'), True)
    between(len(got.of('phoenix_heartbeat')), 4, 10, 'heartbeats')

    def silent(conn):
        conn.accept()
        conn.drain()
    silent_peer = t.server(silent)
    got = kit.run(t, IMPORT + r'''export default async function () {
      const c = connect('@WS@', { heartbeat: 100 });
      c.on('error', (e) => ev('error', e.message));
      await c.ready();
    }''', WS=silent_peer.ws)
    equal(got.values('error'), ['phoenix: no answer to a heartbeat'])


def test_reconnect(t):
    """Joined channels are joined again."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@', { reconnect: { attempts: 3, delay: 50 } });
      const room = c.channel('room:1');
      await room.join();
      const again = new Promise((done) => room.on('rejoin', done));
      ev('cut', await room.push('cut').catch((e) => e.message.slice(0, 8)));
      ev('again', await again, await room.push('echo', { ok: 1 }));
      c.disconnect();
      const none = connect('ws://127.0.0.1:@CLOSED@', { reconnect: { attempts: 2, delay: 10 } });
      none.on('error', () => ev('none'));
      ev('ready', await none.ready().catch((e) => e.message.slice(0, 8)));
    ''', CLOSED=t.closed_port())
    equal(got.one('cut'), 'phoenix:')
    equal(got.ev('again'), [['again', {'members': 1}, {'ok': 1}]])
    equal((len(got.ev('none')), got.one('ready')), (3, 'phoenix:'))
    equal(got.count('phoenix_reconnects'), 3)


def test_nonsense(t):
    def peer(wire, opcode):
        def behave(conn):
            conn.accept()
            conn.frame(opcode, wire)
            conn.drain()
        return behave
    for opcode, wire in ((1, b'{'), (1, b'[1,2]'), (1, b'null'), (2, b'\x09'), (2, b'\x01\xff\xff\xff\xffx'), (2, b'')):
        server = t.server(peer(wire, opcode))
        got = kit.run(t, IMPORT + r'''export default async function () {
          const c = connect('@WS@');
          c.on('error', (e) => ev('error', e.message.slice(0, 23)));
          await c.ready();
          await wait(100);
        }''', WS=server.ws)
        equal(got.values('error'), ['phoenix: protocol error'], repr(wire))


def test_document(t):
    kit.document(t, 'phoenix', {'URL': serve(t).url})
