# SPDX-License-Identifier: Apache-2.0
"""squall/stomp against RabbitMQ with its plugin rabbitmq_web_stomp; what no sane broker does against a scripted peer."""
import os

import kit
from case import between, check, equal

IMPORT = "import { connect } from 'squall/stomp';\n"
CONF = '''listeners.tcp = none
stomp.listeners.tcp = none
web_stomp.tcp.ip = 127.0.0.1
web_stomp.tcp.port = %d
web_stomp.ws_frame = binary
log.console = true
log.file = false
'''


class Broker:
    """A node of its own, with its own port mapper; it is gone with the case's process group."""

    def __init__(self, t):
        self.port, names, node = t.free_port(), t.free_port(), t.free_port()
        t.write('plugins', '[rabbitmq_web_stomp].\n')
        t.write('rabbit.conf', CONF % self.port)
        env = dict(os.environ, HOME=t.folder, ERL_EPMD_PORT=str(names), ERL_EPMD_ADDRESS='127.0.0.1',
                   RABBITMQ_NODENAME='squall%d@localhost' % node, RABBITMQ_DIST_PORT=str(node),
                   RABBITMQ_MNESIA_BASE=t.path('db'), RABBITMQ_LOG_BASE=t.path('log'),
                   RABBITMQ_ENABLED_PLUGINS_FILE=t.path('plugins'), RABBITMQ_CONFIG_FILE=t.path('rabbit.conf'),
                   RABBITMQ_PID_FILE=t.path('pid'), RABBITMQ_CONF_ENV_FILE='/dev/null',
                   RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1:1')
        mapper = t.spawn(['epmd', '-port', str(names), '-address', '127.0.0.1'], env=env)
        t.wait_port(names, mapper)
        self.child = t.spawn(['/usr/lib/rabbitmq/bin/rabbitmq-server'], env=env)
        t.wait_port(self.port, self.child, 30)
        self.url = 'ws://127.0.0.1:%d/ws' % self.port


def run(t, broker, body, *flags, **names):
    text = IMPORT + "const login = { login: 'guest', passcode: 'guest', host: '/' };\n"
    return kit.run(t, text + 'export default async function () {\n' + body + '\n}', *flags, URL=broker.url, **names)


def test_broker(t):
    """Sends, receipts, acknowledgement modes, transactions, headers and bodies of every kind, errors."""
    broker = Broker(t)
    got = run(t, broker, r'''
      const c = connect('@URL@', Object.assign({ tags: { who: 'me' }, heartbeat: [200, 200] }, login));
      c.on('connect', (h) => ev('connect', h.version, h.server.split('/')[0]));
      c.on('error', (e) => ev('error', e.message));
      c.on('close', (e) => ev('close', e));
      const next = () => new Promise((done) => { c.heard = done; });
      const one = c.subscribe('/queue/one', (m) => c.heard(m), { receipt: true });
      await one.done;
      let m = next();
      const receipt = await c.send('/queue/one', 'text \u20ac', { receipt: true, headers: { 'x-odd': 'a:b\\c\nd' }, contentType: 'text/plain' });
      ev('receipt', /^r\d+$/.test(receipt['receipt-id']));
      m = await m;
      ev('text', m.body, m.headers['x-odd'], m.headers['content-type']);
      m = next();
      c.send('/queue/one', new Uint8Array([0, 1, 0, 255]));
      ev('bytes', Array.from((await m).bytes));
      m = next();
      c.send('/queue/one', { json: [1] });
      ev('json', (await m).json(), (await m).headers['content-type']);
      m = next();
      c.send('/queue/one', 'x'.repeat(100000));
      ev('big', (await m).body.length);
      await one.unsubscribe({ receipt: true });

      // A transaction: nothing is delivered before the commit; nothing at all after an abort.
      const seen = [];
      await c.subscribe('/queue/two', (x) => seen.push(x.body), { receipt: true }).done;
      const lost = c.begin();
      lost.send('/queue/two', 'aborted');
      await lost.abort({ receipt: true });
      const tx = c.begin();
      tx.send('/queue/two', 'first');
      tx.send('/queue/two', 'second');
      await c.send('/queue/other', 'barrier', { receipt: true });
      ev('before', seen.slice());
      await tx.commit({ receipt: true });
      for (let i = 0; i < 100 && seen.length < 2; i++) await wait(10);
      ev('after', seen);

      // A message that was refused comes again, marked; one that was acknowledged does not.
      const again = [];
      const third = c.subscribe('/queue/three', (x) => {
        again.push([x.body, x.headers.redelivered || 'false']);
        if (again.length === 1) x.nack(); else x.ack();
      }, { ack: 'client-individual', headers: { 'prefetch-count': 1 } });
      await c.send('/queue/three', 'a', { receipt: true });
      for (let i = 0; i < 100 && again.length < 2; i++) await wait(10);
      await wait(100);
      ev('again', again);
      await third.unsubscribe({ receipt: true });
      await wait(1200);  // several heart-beats
      ev('alive', c.connected);
      await c.end();
      ev('late', await c.send('/queue/one', 'x').catch((e) => e.message));

      const wrong = connect('@URL@', { login: 'guest', passcode: 'wrong', host: '/', reconnect: { attempts: 5 } });
      ev('wrong', await wrong.ready().catch((e) => e.message));
      const odd = connect('@URL@', login);
      await odd.ready();
      ev('refused', await odd.send('/nonsense/x', 'y', { receipt: true }).catch((e) => e.message));
    ''')
    equal(got.ev('connect'), [['connect', '1.2', 'RabbitMQ']])
    equal(got.one('receipt'), True)
    equal(got.ev('text'), [['text', 'text €', 'a:b\\c\nd', 'text/plain']])
    equal(got.one('bytes'), [0, 1, 0, 255])
    equal(got.ev('json'), [['json', {'json': [1]}, 'application/json']])
    equal(got.one('big'), 100000)
    equal((got.one('before'), got.one('after')), ([], ['first', 'second']))
    equal(got.one('again'), [['a', 'false'], ['a', 'true']])
    equal((got.one('alive'), got.ev('error'), got.one('close')), (True, [], None))
    check('ended' in got.one('late'), 'late: %r', got.one('late'))
    check('refused' in got.one('wrong').lower() or 'bad' in got.one('wrong').lower(), 'wrong: %r', got.one('wrong'))
    check('estination' in got.one('refused'), 'refused: %r', got.one('refused'))
    equal(sorted((s.tags['command'], s.value) for s in got.of('stomp_confirmed')), [
        ('ABORT', 1), ('COMMIT', 1), ('SEND', 0), ('SEND', 1), ('SEND', 1), ('SEND', 1),
        ('SUBSCRIBE', 1), ('SUBSCRIBE', 1), ('UNSUBSCRIBE', 1), ('UNSUBSCRIBE', 1)])
    equal(len(got.of('stomp_receipt', who='me')), 9)
    equal((len(got.of('stomp_connecting')), got.count('stomp_errors')), (2, 2))
    equal(len(got.of('stomp_messages_received', destination='/queue/one')), 4)
    equal(len(got.of('stomp_messages_sent', destination='/queue/two')), 3)


def test_document(t):
    kit.document(t, 'stomp', {'URL': Broker(t).url})


def scripted(t, options, body, *frames, then=None):
    """The script's `c` against a peer that sends frames after CONNECT."""
    def behave(conn):
        conn.accept(protocol='v12.stomp')
        conn.text(b'CONNECTED\nversion:1.2\nheart-beat:%s\n\n\0' % options.get('beats', b'0,0'))
        for frame in frames:
            conn.text(frame)
        if then:
            then(conn)
        conn.drain()
    server = t.server(behave)
    return kit.run(t, IMPORT + r'''export default async function () {
      const c = connect('@WS@', %s);
      c.on('error', (e) => ev('error', e.message));
      %s
    }''' % (options.get('js', '{}'), body), WS=server.ws), server


def test_silence(t):
    """No heart-beat of the server for twice its interval; a receipt that never comes."""
    got, server = scripted(t, {'beats': b'100,0', 'js': '{ heartbeat: [0, 100] }'}, 'await c.ready();')
    equal(got.values('error'), ['stomp: no heart-beat of the server'])
    got, server = scripted(t, {'js': '{ receiptTimeout: 100 }'}, r'''
      await c.ready();
      ev('receipt', await c.send('/x', 'y', { receipt: true }).catch((e) => e.message));
      c.end();
    ''')
    check('SEND' in got.one('receipt') and 'in time' in got.one('receipt'), 'receipt: %r', got.one('receipt'))
    equal([s.value for s in got.of('stomp_confirmed')], [0, 0])
    between(got.seconds, 0, 5, 'seconds')


def test_framing(t):
    """Frames cut anywhere and several in one message; heart-beats between; the first of repeated headers counts."""
    wire = (b'MESSAGE\r\nsubscription:s1\r\nmessage-id:1\r\ndestination:/a\r\na\\cb:x\\\\\\n\r\na\\cb:second\r\n\r\nbody\0'
            b'\n\r\n\nMESSAGE\nsubscription:s1\nmessage-id:2\ndestination:/a\ncontent-length:3\n\na\0b\0\n')
    body = r'''c.subscribe('/a', (m) => ev('message', m.body, m.headers['a:b'] || null)); await wait(700); c.end();'''
    want = [['message', 'body', 'x\\\n'], ['message', 'a\0b', None]]

    def whole(conn):
        wait_for(conn, b'SUBSCRIBE')
        conn.text(wire)

    def dribble(conn):
        wait_for(conn, b'SUBSCRIBE')
        for i in range(len(wire)):
            conn.text(wire[i:i + 1])
    for then in (whole, dribble):
        got, _ = scripted(t, {'js': '{ receiptTimeout: 100 }'}, body, then=then)
        equal(got.ev('message'), want)
        equal(got.ev('error'), [])


def wait_for(conn, word):
    while True:
        frame = conn.recv_frame()
        check(frame is not None, 'the client never said %r', word)
        if word in frame.payload:
            return


def test_nonsense(t):
    """Peers that break the protocol are given up with words."""
    for frame, words in ((b'MESSAGE\nno colon\n\n\0', 'without colon'), (b'MESSAGE\na:\\t\n\n\0', 'escape'),
                         (b'WHAT\n\n\0', "unexpected frame 'WHAT'"), (b'MESSAGE\ncontent-length:1\n\nab\0', 'NUL'),
                         (b'MESSAGE\ncontent-length:-1\n\nab\0', 'content-length'),
                         (b'CONNECTED\n\n\0', 'unexpected'), (b'ERROR\nmessage:so there\n\n\0', 'so there')):
        got, _ = scripted(t, {}, 'await c.ready(); await wait(200);', frame)
        check(len(got.ev('error')) == 1 and words in got.one('error'), '%r: %r', frame, got.ev('error'))


def test_reconnect(t):
    """Subscriptions are made again on the next connection."""
    count = []

    def behave(conn):
        count.append(1)
        conn.accept(protocol='v12.stomp')
        conn.text(b'CONNECTED\nversion:1.2\n\n\0')
        wait_for(conn, b'SUBSCRIBE')
        if len(count) == 1:
            conn.finish()
            return
        conn.text(b'MESSAGE\nsubscription:s1\nmessage-id:1\ndestination:/a\n\nagain\0')
        conn.drain()
    t.server(behave)
    got = kit.run(t, IMPORT + r'''export default async function () {
      const c = connect('@WS@', { reconnect: { attempts: 2, delay: 20 }, receiptTimeout: 100 });
      await new Promise((done) => c.subscribe('/a', (m) => { ev('message', m.body); done(); }));
      c.end();
    }''')
    equal(got.values('message'), ['again'])
    equal((got.count('stomp_reconnects'), got.count('stomp_errors'), len(got.of('stomp_connecting'))), (1, 1, 2))
