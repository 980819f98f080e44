# SPDX-License-Identifier: Apache-2.0
"""squall/signalr against a stand-in that SignalR's own client accepts."""
import json
import os
import subprocess

import kit
from case import between, check, equal

IMPORT = "import { connect } from 'squall/signalr';\n"


def serve(t, **options):
    server = kit.Helper(t, 'signalr_server.js', json.dumps(options))
    server.url = 'http://127.0.0.1:%d/hub' % server.port
    return server


def run(t, server, body, *flags, **names):
    return kit.run(t, IMPORT + 'export default async function () {\n' + body + '\n}', *flags, URL=server.url, **names)


def test_stand_in(t):
    """The npm package @microsoft/signalr finds our stand-in to be a hub."""
    server = serve(t, patience=400, ping=100)
    out = subprocess.run(['node', os.path.join(kit.HERE, 'signalr_judge.js'), str(server.port)], stdout=subprocess.PIPE,
                         timeout=20, check=True)
    equal(json.loads(out.stdout)['seen'], {
        'echo': {'a': [1]}, 'fail': 'HubException: as you wish', 'unknown': "Unknown hub method 'What'",
        'message': ['x', 1], 'items': [0, 1, 2], 'broken': 'the stream broke', 'state': 'Connected'})
    equal(server.said('answer'), [42])
    equal(server.said('connect'), [{'token': 't', 'q': None}])


def test_hub(t):
    """Invocations, calls from the hub with and without result, streams, cancellation."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@?q=1', { accessToken: 'a b', tags: { who: 'me' }, invocationTimeout: 300 });
      c.onclose = (e) => ev('close', e);
      c.onerror = (e) => ev('error', e.message);
      c.onconnect = () => ev('connect');
      c.on('message', (...args) => ev('message', args));
      c.on('Question', async (a, b) => { await wait(10); return a * b; });
      ev('early', await c.invoke('Echo', 'before the handshake'));
      ev('echo', await c.invoke('Echo', { deep: [1, '\u20ac\u001e'] }), await c.invoke('Nothing'));
      ev('fail', await c.invoke('Fail').catch((e) => e.message));
      ev('unknown', await c.invoke('What').catch((e) => e.message));
      ev('late', await c.invoke('Silent').catch((e) => e.message));
      await c.invoke('Broadcast', 'x', 1);
      ev('sent', c.send('AskBack'));
      const seen = [];
      ev('count', await c.stream('Count', [4], { next: (i) => seen.push(i), complete: () => ev('complete', seen) }).done);
      const endless = c.stream('Count', [0], { next: (i) => i === 2 && endless.cancel() });
      ev('endless', await endless.done);
      ev('broken', await c.stream('Broken').done.catch((e) => e.message));
      await wait(100);
      c.stop();
      ev('over', c.send('Echo'), await c.invoke('Echo').catch((e) => e.message));
    ''')
    equal(server.wait('connect'), {'token': 'a b', 'q': '1'})
    equal((got.one('early'), got.ev('echo')), ('before the handshake', [['echo', {'deep': [1, '€\x1e']}, None]]))
    equal(got.one('fail'), 'signalr: HubException: as you wish')
    check('Unknown' in got.one('unknown') and 'Silent in time' in got.one('late'), 'words: %r', got.events)
    equal(got.one('message'), ['x', 1])
    equal(server.wait('answer'), 42)
    equal((got.one('complete'), got.one('count'), got.one('endless')), ([0, 1, 2, 3], 4, 3))
    equal(got.one('broken'), 'signalr: the stream broke')
    equal((server.wait('cancelled'), server.wait('client closed')), (True, True))
    equal((len(got.ev('connect')), got.ev('error'), got.one('close')), (1, [], None))
    equal(got.ev('over')[0][1], False)
    equal([(s.tags['method'], s.value) for s in got.of('signalr_succeeded', who='me')], [
        ('Echo', 1), ('Echo', 1), ('Nothing', 1), ('Fail', 0), ('What', 0), ('Silent', 0), ('Broadcast', 1), ('Count', 1),
        ('Count', 1), ('Broken', 0), ('Echo', 0)])
    equal((len(got.of('signalr_invocation')), len(got.of('signalr_first_item')), len(got.of('signalr_stream_items'))), (6, 3, 8))
    equal(len(got.of('signalr_messages_received', method='Question')), 1)
    equal((len(got.of('signalr_connecting')), got.of('signalr_errors')), (1, []))


def test_keepalive(t):
    """Pings keep the connection; a silent server is given up."""
    server = serve(t, patience=300, ping=100)
    got = run(t, server, r'''
      const c = connect('@URL@', { keepalive: 100, serverTimeout: 300 });
      await c.ready();
      await wait(1000);
      ev('alive', c.connected);
      c.stop();
    ''')
    equal(got.one('alive'), True)
    between(len(server.said('ping')), 5, 12, 'pings')
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@', { keepalive: 100, serverTimeout: 300 });
      c.onerror = (e) => ev('error', e.message);
      await c.ready();
    ''')
    equal(got.values('error'), ['signalr: the server has fallen silent'])


def test_reconnect(t):
    """After a broken connection and a Close that allows it, not after one that does not; attempts are bounded."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@', { reconnect: { attempts: 3, delay: 30 } });
      c.onreconnecting = (e) => ev('again', e.message);
      c.onclose = (e) => ev('close', e.message);
      await c.ready();
      ev('cut', await c.invoke('Cut').catch((e) => e.message.slice(0, 8)));
      ev('echo', await c.invoke('Echo', 1));
      c.send('CloseMe', true);
      await wait(100);
      ev('echo', await c.invoke('Echo', 2));
      c.send('CloseMe', false);
      await wait(100);
      ev('ended', c.ended !== null);
      const refused = connect('@URL@?refuse=1', { reconnect: { attempts: 3, delay: 30 } });
      ev('refused', await refused.ready().catch((e) => e.message));
      const none = connect('ws://127.0.0.1:@CLOSED@', { reconnect: { attempts: 2, delay: 10 } });
      none.onerror = () => ev('none');
      await none.ready().catch(() => {});
    ''', CLOSED=t.closed_port())
    equal(got.one('cut'), 'signalr:')
    equal(got.values('echo'), [1, 2])
    equal((len(got.ev('again')), got.one('ended')), (2, True))
    check('told to' in got.one('close'), 'close: %r', got.one('close'))
    equal(got.one('refused'), 'signalr: handshake refused: no such protocol')
    equal((len(got.ev('none')), got.count('signalr_reconnects')), (3, 4))


def test_nonsense(t):
    def peer(wires, opcode):
        def behave(conn):
            conn.accept()
            for wire in wires:
                conn.frame(opcode, wire)
            conn.drain()
        return behave
    for opcode, wires in ((1, [b'{}\x1e', b'{"type":1,']), (1, [b'{}\x1e{"type":99}\x1e']), (1, [b'{}\x1enull\x1e']),
                          (1, [b'{}\x1e{"type":1}\x1e']), (2, [b'{}\x1e']), (1, [b'{\x1e'])):
        server = t.server(peer(wires, opcode))
        got = kit.run(t, IMPORT + r'''export default async function () {
          const c = connect('@WS@');
          c.onerror = (e) => ev('error', e.message.slice(0, 23));
          await c.ready().catch(() => {});
          await wait(100);
          c.stop();
        }''', WS=server.ws)
        whole = wires[-1].endswith(b'\x1e')
        equal(got.values('error'), ['signalr: protocol error'] if whole else [], repr(wires))


def test_document(t):
    kit.document(t, 'signalr', {'URL': serve(t).url})
