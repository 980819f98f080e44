# SPDX-License-Identifier: Apache-2.0
"""squall/mqtt against mosquitto, both versions of the protocol."""
import subprocess

import kit
from case import between, check, equal, read

IMPORT = "import { connect } from 'squall/mqtt';\n"
VERSIONS = ('3.1.1', '5')
# Some versions refuse to start with listeners for WebSockets alone, hence the Unix socket.
CONF = '''user root
listener 0 %s
listener %d 127.0.0.1
protocol websockets
allow_anonymous %s
persistence false
max_inflight_messages 5
%s
'''


class Broker:
    def __init__(self, t, extra='', anonymous='true'):
        self.port = t.free_port()
        conf = t.write('mosquitto%d.conf' % self.port, CONF % (t.path('mqtt%d.sock' % self.port), self.port, anonymous, extra))
        self.child = t.spawn(['/usr/sbin/mosquitto', '-c', conf, '-v'])
        t.wait_port(self.port, self.child)
        self.url = 'ws://127.0.0.1:%d/mqtt' % self.port

    def log(self):
        return read(self.child.log_path)


def run(t, broker, body, *flags, version='5', **names):
    text = IMPORT + "const V = '%s';\nexport default async function () {\n%s\n}" % (version, body)
    return kit.run(t, text, *flags, URL=broker.url, **names)


def test_publish_and_subscribe(t):
    """Every QoS both ways, payloads of each kind, retained messages, wildcards, unsubscribe."""
    broker = Broker(t)
    for version in VERSIONS:
        got = run(t, broker, r'''
          const c = connect('@URL@', { version: V, clientId: 'c' + V, tags: { who: 'me' } });
          const seen = [];
          c.on('connect', (a) => ev('connect', a.sessionPresent));
          c.on('message', (m) => seen.push([m.topic, m.text(), m.qos, m.retain]));
          c.on('error', (e) => ev('error', e.message));
          c.on('close', (e) => ev('close', e));
          ev('granted', await c.subscribe(['a/+', 'b/#'], { qos: 2 }));
          ev('one', await c.subscribe('c', { qos: 1 }));
          await c.publish('a/zero', 'null');
          await c.publish('a/one', new Uint8Array([0x6f, 0x6e, 0x65]), { qos: 1 });
          await c.publish('b/x/two', { json: [2] }, { qos: 2 });
          await c.publish('c', new Uint8Array([0x78]).buffer, { qos: 2 });
          await c.publish('b/big', 'x'.repeat(20000), { qos: 1 });
          await c.publish('keep/' + V, 'kept', { qos: 1, retain: true });
          await c.subscribe('keep/' + V);
          const ms = await c.ping();
          ev('ping', ms >= 0 && ms < 5000);
          for (let i = 0; i < 100 && seen.length < 6; i++) await wait(20);
          ev('seen', seen.map((s) => [s[0], s[1].length > 99 ? s[1].length : s[1], s[2], s[3]]));
          await c.unsubscribe(['a/+', 'b/#']);
          await c.publish('a/zero', 'unheard', { qos: 1 });
          await c.ping();
          ev('count', seen.length);
          c.end();
          ev('late', await c.publish('a', 'b').catch((e) => e.message));
        ''', version=version)
        equal(got.one('connect'), False)
        equal(got.one('granted'), [2, 2])
        equal(got.one('one'), [1])
        equal(sorted(got.one('seen')), [
            ['a/one', 'one', 1, False], ['a/zero', 'null', 0, False], ['b/big', 20000, 1, False],
            ['b/x/two', '{"json":[2]}', 2, False], ['c', 'x', 1, False], ['keep/' + version, 'kept', 0, True]])
        equal(got.one('count'), 6)
        equal((got.one('ping'), got.ev('error'), got.one('close')), (True, [], None))
        check('ended' in got.one('late'), 'late: %r', got.one('late'))
        equal(sorted(s.tags['qos'] for s in got.of('mqtt_publish_ack', version=version, who='me')),
              ['1', '1', '1', '1', '2', '2'])
        equal({s.value for s in got.of('mqtt_acked')}, {1})
        equal((len(got.of('mqtt_subscribe_ack')), len(got.of('mqtt_acked')), len(got.of('mqtt_ping'))), (3, 10, 2))
        equal((got.count('mqtt_messages_sent'), got.count('mqtt_messages_received')), (7, 6))
        equal(len(got.of('mqtt_connecting')), 1)
        check('Received DISCONNECT from c' + version in broker.log(), 'no DISCONNECT in the log:\n%s', broker.log()[-2000:])


def test_properties(t):
    """Version 5: properties travel both ways, and the answer to a request finds its way."""
    broker = Broker(t)
    got = run(t, broker, r'''
      const c = connect('@URL@', { version: 5, clientId: '', properties: { sessionExpiryInterval: 30, topicAliasMaximum: 5 } });
      await c.ready();
      ev('id', c.clientId.length > 0, c.connack.properties.assignedClientIdentifier === c.clientId);
      const answered = new Promise((done) => c.on('message', (m) => m.topic === 'answers' ? done(m) :
        c.publish(m.properties.responseTopic, m.json().n * 2 + '', { qos: 1, properties: { correlationData: m.properties.correlationData } })));
      await c.subscribe('answers', { qos: 1 });
      await c.subscribe('questions', { qos: 1, properties: { subscriptionIdentifier: 300 } });
      c.publish('questions', { n: 21 }, { qos: 1, properties: { responseTopic: 'answers', correlationData: new Uint8Array([7, 8]),
        contentType: 'application/json', messageExpiryInterval: 100, userProperties: { a: '1', b: ['2', '\u20ac'] } } });
      const m = await answered;
      ev('answer', m.text(), Array.from(m.properties.correlationData));
      const echo = new Promise((done) => c.on('message', done));
      await c.publish('questions', { n: 1 }, { qos: 1, properties: { responseTopic: 'x', contentType: 'text/x', userProperties: { a: '1', b: ['2', '\u20ac'] } } });
      const e = await echo;
      ev('echo', e.properties.userProperties, e.properties.contentType, e.properties.subscriptionIdentifier);
      ev('nobody', (await c.publish('nobody/listens', 'x', { qos: 1 })).reasonCode);
      ev('unsubscribe', await c.unsubscribe(['answers', 'never']));
      try { c.publish('x', 'y', { properties: { nonsense: 1 } }); } catch (x) { ev('bad', x.name); }
      c.end();
    ''')
    equal(got.ev('id'), [['id', True, True]])
    equal(got.ev('answer'), [['answer', '42', [7, 8]]])
    equal(got.ev('echo'), [['echo', {'a': '1', 'b': ['2', '€']}, 'text/x', 300]])
    equal(got.one('nobody'), 16)
    equal(got.one('unsubscribe'), [0, 17])
    equal(got.one('bad'), 'TypeError')


def test_many_in_flight(t):
    """MQTT 5: more messages at once than the broker's receive maximum; all are acknowledged, those of one QoS in their order."""
    broker = Broker(t)
    got = run(t, broker, r'''
      const c = connect('@URL@', { version: V });
      const seen = [];
      c.on('message', (m) => seen.push(Number(m.text())));
      await c.subscribe('n', { qos: 2 });
      await Promise.all(Array.from({ length: 200 }, (_, i) => c.publish('n', String(i), { qos: i % 2 + 1 })));
      for (let i = 0; i < 200 && seen.length < 200; i++) await wait(20);
      ev('window', c.window);
      ev('all', seen.length, new Set(seen).size);
      const inOrder = (rest) => seen.filter((n) => n % 2 === rest).every((n, i, a) => !i || n > a[i - 1]);
      ev('order', inOrder(0), inOrder(1));
      c.end();
    ''', version='5')
    equal(got.ev('all'), [['all', 200, 200]])
    equal(got.one('window'), 5)
    equal(got.ev('order'), [['order', True, True]])


def test_will_and_credentials(t):
    """The will is published after abort(), not after end(); a wrong password is refused in words."""
    t.write('passwords', '')
    subprocess.run(['mosquitto_passwd', '-b', t.path('passwords'), 'me', 'secret'], check=True, timeout=20)
    broker = Broker(t, 'password_file %s' % t.path('passwords'), anonymous='false')
    for version in VERSIONS:
        got = run(t, broker, r'''
          const login = { version: V, username: 'me', password: 'secret' };
          const watcher = connect('@URL@', login);
          watcher.on('message', (m) => ev('will', m.text()));
          await watcher.subscribe('wills', { qos: 1 });
          const polite = connect('@URL@', Object.assign({ will: { topic: 'wills', payload: 'polite', qos: 1 } }, login));
          await polite.ready();
          polite.end();
          const rude = connect('@URL@', Object.assign({ will: { topic: 'wills', payload: 'rude', qos: 1 } }, login));
          await rude.ready();
          rude.abort();
          await wait(500);
          watcher.end();
          const wrong = connect('@URL@', { version: V, username: 'me', password: 'nope', reconnect: { attempts: 9 } });
          wrong.on('error', (e) => ev('error', e.message));
          ev('code', await wrong.ready().catch((e) => e.code));
        ''', version=version)
        equal(got.values('will'), ['rude'])
        equal(got.one('code'), 135 if version == '5' else 5)
        equal(len(got.ev('error')), 1)
        equal(got.count('mqtt_errors'), 1)


def test_keepalive(t):
    """Pings keep an idle connection; a broker that falls silent is noticed."""
    broker = Broker(t)
    got = run(t, broker, r'''
      const c = connect('@URL@', { version: V, keepalive: 1 });
      c.on('error', (e) => ev('error', e.message));
      await c.ready();
      await wait(3500);
      ev('alive', (await c.publish('x', 'y', { qos: 1 })).reasonCode);
      c.end();
    ''')
    equal(got.one('alive'), 16)
    equal(got.ev('error'), [])
    between(len(got.of('mqtt_ping')), 2, 4, 'pings')

    def silent(conn):
        conn.accept(protocol='mqtt')
        conn.frame(2, b'\x20\x02\x00')  # CONNACK in two messages
        conn.frame(2, b'\x00')
        conn.drain()
    server = t.server(silent)
    got = kit.run(t, IMPORT + r'''export default async function () {
      const c = connect('@WS@', { keepalive: 1 });
      c.on('error', (e) => ev('error', e.message));
      await c.ready();
    }''')
    equal(got.values('error'), ['mqtt: no answer to a ping'])
    check(server.conns, 'nobody came')


def test_reconnect(t):
    """The subscriptions come back, and what was not acknowledged is sent again."""
    broker = Broker(t)
    for version in VERSIONS:
        got = run(t, broker, r'''
          const c = connect('@URL@', { version: V, clientId: 'same' + V, clean: false, reconnect: { attempts: 3, delay: 50 },
                                       properties: V === '5' ? { sessionExpiryInterval: 60 } : undefined });
          c.on('connect', (a) => ev('connect', a.sessionPresent));
          const heard = [];
          c.on('message', (m) => heard.push(m.text()));
          await c.subscribe('r', { qos: 2 });
          const rival = connect('@URL@', { version: V, clientId: 'same' + V, clean: true }); // takes the session over
          await rival.ready();
          rival.end();
          const late = c.publish('r', 'sent while away', { qos: 2 });
          await c.ready();
          await late;
          for (let i = 0; i < 100 && !heard.length; i++) await wait(20);
          ev('heard', heard);
          c.end();
        ''', version=version)
        equal(got.values('connect'), [False, False])
        equal(got.one('heard'), ['sent while away'])
        equal(got.count('mqtt_reconnects'), 1)


def test_failures(t):
    broker = Broker(t)
    def nonsense(conn):
        conn.accept(protocol='mqtt')
        conn.frame(2, b'\x20\x02\x00\x00' + b'\x90\xff\xff\xff\xff\xff')
        conn.drain()
    server = t.server(nonsense)
    got = run(t, broker, r'''
      const none = connect('ws://127.0.0.1:@CLOSED@', { reconnect: { attempts: 2, delay: 20 } });
      none.on('error', () => ev('refused'));
      ev('ready', await none.ready().catch((e) => e.message.slice(0, 5)));
      const odd = connect('@WS@');
      odd.on('error', (e) => ev('nonsense', e.message));
      await odd.ready();
      const lost = odd.publish('x', 'y', { qos: 1 });
      ev('lost', await lost.catch((e) => e.message.slice(0, 5)));
    ''', CLOSED=t.closed_port())
    equal(len(got.ev('refused')), 3)
    equal((got.one('ready'), got.one('lost')), ('mqtt:', 'mqtt:'))
    check('malformed length' in got.one('nonsense'), 'nonsense: %r', got.one('nonsense'))
    check(server.conns, 'nobody came')
    equal([s.value for s in got.of('mqtt_acked')], [0])


def test_document(t):
    kit.document(t, 'mqtt', {'URL': Broker(t).url})
