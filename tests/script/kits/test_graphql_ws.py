# SPDX-License-Identifier: Apache-2.0
"""squall/graphql-ws against the npm packages graphql-ws and graphql."""
import json

import kit
from case import between, check, equal

IMPORT = "import { connect } from 'squall/graphql-ws';\n"


def serve(t, **options):
    server = kit.Helper(t, 'graphql_server.js', json.dumps(options))
    server.url = 'ws://127.0.0.1:%d/graphql' % server.port
    return server


def run(t, server, body, *flags, **names):
    return kit.run(t, IMPORT + 'export default async function () {\n' + body + '\n}', *flags, URL=server.url, **names)


def test_operations(t):
    """Queries, mutations and subscriptions, side by side on one connection."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@', { payload: () => ({ user: 'me' }), tags: { who: 'me' } });
      c.on('connect', (ack) => ev('ack', ack));
      c.on('close', (code) => ev('close', code));
      const early = c.query({ query: 'query Hello($n: String!) { hello(name: $n) }', variables: { n: '\u20ac' } });
      const seen = [];
      const count = c.subscribe({ query: 'subscription Count { count(to: 5) }' },
        { next: (r) => seen.push(r.data.count), complete: () => ev('complete', seen), error: (e) => ev('error', e.message) });
      ev('hello', (await early).data);
      ev('add', (await c.query({ query: 'mutation { add(n: 3) }' })).data, (await c.query({ query: 'mutation { add(n: 4) }' })).data);
      ev('done', await count.done);
      const ticks = c.subscribe({ query: 'subscription Ticks { ticks }', operationName: 'Ticks' },
        { next: (r) => r.data.ticks === 3 && ticks.unsubscribe() });
      ev('ticks', await ticks.done);
      ev('ping', (await c.ping({ x: 1 })) >= 0);
      c.close();
      ev('late', await c.query({ query: '{ hello(name: "x") }' }).catch((e) => e.message));
    ''')
    equal(server.wait('init'), {'user': 'me'})
    equal(server.said('protocol'), ['graphql-transport-ws'])
    equal(got.one('ack'), {'you': 'me'})
    equal(got.one('hello'), {'hello': 'hello €'})
    equal(got.ev('add'), [['add', {'add': 3}, {'add': 7}]])
    equal((got.one('complete'), got.one('done'), got.one('ticks')), ([1, 2, 3, 4, 5], 5, 4))
    equal((got.one('ping'), got.ev('error'), got.one('close')), (True, [], 1000))
    check('closed' in got.one('late'), 'late: %r', got.one('late'))
    equal(server.wait('ticks ended'), True)
    equal(server.wait('disconnect'), 1000)
    equal([s.value for s in got.of('graphqlws_succeeded', who='me')], [1, 1, 1, 1, 1, 0])
    equal([len(got.of('graphqlws_results', operation=o)) for o in ('Hello', 'Count', 'Ticks', 'anonymous')], [1, 5, 4, 2])
    equal((len(got.of('graphqlws_first_result')), len(got.of('graphqlws_operation'))), (5, 5))
    equal((len(got.of('graphqlws_connecting')), len(got.of('graphqlws_ping'))), (1, 1))
    for s in got.of('graphqlws_first_result'):
        between(s.value, 0, 5000, 'ms')


def test_errors(t):
    """Errors of an operation and of a field; neither ends the connection."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@');
      c.on('error', (e) => ev('connection', e.message));
      ev('invalid', await c.query({ query: '{ nonsense }' }).catch((e) => [e.message, e.errors.length]));
      const r = await c.query({ query: 'query Broken { broken }' });
      ev('field', r.data, r.errors[0].message, r.errors[0].path);
      c.subscribe({ query: '{ what }' }, { error: (e) => ev('sink', e.errors[0].message.slice(0, 12)), complete: () => ev('never') });
      ev('still', (await c.query({ query: '{ hello(name: "x") }' })).data.hello);
      c.close();
    ''')
    message, count = got.one('invalid')
    check('nonsense' in message and count == 1, 'invalid: %r', message)
    equal(got.ev('field'), [['field', {'broken': None}, 'this field is broken', ['broken']]])
    equal(got.one('sink'), 'Cannot query')
    equal((got.one('still'), got.ev('never'), got.ev('connection')), ('hello x', [], []))
    equal([s.value for s in got.of('graphqlws_succeeded')], [0, 0, 0, 1])
    equal(got.count('graphqlws_result_errors'), 1)


def test_refused(t):
    """4403 is final, a slow acknowledgement is given up, nobody listens: attempts are bounded."""
    server = serve(t)
    got = run(t, server, r'''
      const c = connect('@URL@', { payload: { token: 'wrong' }, reconnect: { attempts: 5, delay: 10 } });
      c.on('error', (e) => ev('error', e.code, e.reason));
      const q = c.query({ query: '{ hello(name: "x") }' }).catch((e) => e.code);
      ev('ready', await c.ready().catch((e) => e.code), await q);
      const slow = connect('@URL@', { payload: { slow: 2000 }, timeout: 100 });
      ev('slow', await slow.ready().catch((e) => e.message));
      const none = connect('ws://127.0.0.1:@CLOSED@', { reconnect: { attempts: 2, delay: 10 } });
      none.on('error', () => ev('none'));
      await none.ready().catch(() => {});
    ''', CLOSED=t.closed_port())
    equal(got.ev('error'), [['error', 4403, 'Forbidden']])
    equal(got.ev('ready'), [['ready', 4403, 4403]])
    check('in time' in got.one('slow'), 'slow: %r', got.one('slow'))
    equal(len(got.ev('none')), 3)
    equal(got.count('graphqlws_reconnects'), 2)
    check(got.seconds < 10, 'took %g s', got.seconds)


def test_pings(t):
    """The server's ping is answered with its payload; a peer that answers none of ours is given up."""
    server = serve(t, pings=True)
    got = run(t, server, r'''
      const c = connect('@URL@', { keepalive: 100 });
      c.on('ping', (p) => ev('ping', p));
      await c.ready();
      await wait(550);
      ev('alive', c.connected);
      c.close();
    ''')
    equal(server.wait('pong'), {'n': 1})
    equal((got.one('ping'), got.one('alive')), ({'n': 1}, True))
    between(len(got.of('graphqlws_ping')), 2, 6, 'pings')

    def silent(conn):
        conn.accept(protocol='graphql-transport-ws')
        conn.text(b'{"type":"connection_ack"}')
        conn.drain()
    peer = t.server(silent)
    got = kit.run(t, IMPORT + r'''export default async function () {
      const c = connect('@WS@', { keepalive: 100 });
      c.on('error', (e) => ev('error', e.code));
      await c.ready();
    }''')
    equal(got.values('error'), [4499])
    equal(peer.conns[0].close_codes, [4499])


def test_reconnect(t):
    """A subscription is started again on the next connection."""
    server = serve(t, cutFirst=True)
    got = run(t, server, r'''
      const c = connect('@URL@', { reconnect: { attempts: 3, delay: 30 } });
      c.on('error', (e) => ev('error', e.code));
      const seen = [];
      const n = await c.subscribe({ query: 'subscription { count(to: 3) }' }, { next: (r) => seen.push(r.data.count) }).done;
      ev('seen', seen, n);
      c.close();
    ''')
    equal(got.one('error'), 1006)
    equal(got.ev('seen'), [['seen', [1, 2, 3], 3]])
    equal(got.count('graphqlws_reconnects'), 1)
    equal([s.value for s in got.of('graphqlws_succeeded')], [1])


def test_nonsense(t):
    def nonsense(conn):
        conn.accept(protocol='graphql-transport-ws')
        conn.text(b'{"type":"connection_ack"}')
        conn.text(b'not json')
        conn.drain()
    server = t.server(nonsense)
    got = kit.run(t, IMPORT + r'''export default async function () {
      const c = connect('@WS@');
      c.on('error', (e) => ev('error', e.code));
      await c.ready();
    }''')
    equal(got.values('error'), [4400])
    equal(server.conns[0].close_codes, [4400])


def test_document(t):
    kit.document(t, 'graphql-ws', {'URL': serve(t).url})
