# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: pings, listeners, event objects (W50-W63, W82)."""
from case import also_standard, between, check, equal, type_error
from kit import both, dom_error, run, sends
from servers.rawws import PING, PONG, TEXT, closing, echo, encode


def test_W50_ping_of_the_server(t):
    server = t.server(sends(encode(PING, 'hi')))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onping = (e) => { ev('ping', e.type, String.fromCharCode(...bytes(e.data)), e.target === ws); ws.close(); };'''):
        equal(r.ev('ping'), [['ping', 'ping', 'hi', True]])
    equal([[f.payload for f in c.of(PONG)] for c in server.conns], [[b'hi'], [b'hi']])


def test_W51_pings(t):
    server = t.server(echo)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  let n = 0;
  ws.onopen = () => { ws.ping(); ws.ping(); ws.ping(); ws.ping('mine'); };
  ws.onpong = (e) => { ev('pong', String.fromCharCode(...bytes(e.data))); if (++n == 4) ws.close(); };'''):
        equal(r.values('pong'), ['0', '1', '2', 'mine'])
        equal(len(r.of('ws_ping')), 3)
        equal(r.count('ws_msgs_sent'), 5)
        check(all(0 < s.value < 2000 for s in r.of('ws_ping')), '%r', r.of('ws_ping'))
    equal([f.payload for f in server.conns[0].of(PING)], [b'0', b'1', b'2', b'mine'])


@also_standard
def test_W51_ping_without_listener(t):
    t.server(echo)
    r = run(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onopen = () => { ws.ping(); setTimeout(() => ws.close(), 100); };''')
    equal(len(r.of('ws_ping')), 1)


def test_W52_unasked_pong(t):
    t.server(sends(encode(PONG, 'zz')))
    for r in both(t, '''
  const ws = note(new WebSocket('@WS@/'));
  ws.onpong = () => { ev('pong'); ws.close(); };'''):
        equal((len(r.ev('pong')), r.of('ws_ping'), r.ev('error')), (1, [], []))


def test_W53_pong_while_the_script_sleeps(t):
    server = t.server(sends(encode(PING, 'p') + encode(TEXT, '1') + encode(TEXT, '2')))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  const start = Date.now();
  ws.onopen = () => sleep(1);
  ws.onping = (e) => ev('ping', Date.now() - start, e.timestamp - start);
  ws.onmessage = (e) => { ev('message', e.data, e.timestamp - start); if (e.data == '2') ws.close(); };'''):
        equal([e[0] for e in r.events], ['ping', 'message', 'message'])
        check(r.one('ping') >= 1000, '%r', r.events)
        check(r.ev('ping')[0][2] < 900, 'timestamps are not of the arrival: %r', r.events)
        check(all(e[2] < 900 for e in r.ev('message')), '%r', r.events)
    for conn in server.conns:
        between(conn.of(PONG)[0].at - conn.opened_at, 0, 0.6, 'the pong came after')


def test_W54_handler_order(t):
    t.server(closing(1000, before=encode(TEXT, 'x')))
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.addEventListener('message', () => ev('listener'));
  ws.onmessage = () => ev('handler');
  ws.addEventListener('message', () => ev('second'));''')
    equal([e[0] for e in default.events], ['handler', 'listener', 'second'])
    equal([e[0] for e in standard.events], ['listener', 'handler', 'second'])


def test_W54_handler_position(t):
    t.server(closing(1000, before=encode(TEXT, 'x')))
    standard = both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.onmessage = () => ev('old');
  ws.addEventListener('message', () => ev('listener'));
  ws.onmessage = () => ev('new');
  ws.onclose = () => ev('first'); ws.onclose = null;
  ws.addEventListener('close', () => ev('closed'));
  ws.onclose = () => ev('last');''')[1]
    equal([e[0] for e in standard.events], ['new', 'listener', 'closed', 'last'])


def test_W55_added_twice(t):
    t.server(closing(1000, before=encode(TEXT, 'x')))
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/');
  const f = () => ev('f');
  ws.addEventListener('message', f); ws.addEventListener('message', f); ws.addEventListener('message', f, true);''')
    equal((len(default.ev('f')), len(standard.ev('f'))), (3, 2))


def test_W56_W57_W58_W59_listener_options(t):
    t.server(closing(1000, before=b''.join(encode(TEXT, str(i)) for i in range(3))))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  const add = (f, o) => ws.addEventListener('message', f, o);
  add((e) => ev('once', e.data), { once: true });
  const gone = (e) => { ev('gone', e.data); ws.removeEventListener('message', gone); };
  add(gone);
  const c = new AbortController();
  add((e) => { ev('signal', e.data); c.abort(); }, { signal: c.signal });
  add(() => ev('never'), { signal: AbortSignal.abort() });
  const object = { handleEvent(e) { ev('object', this === object, e.data); } };
  add(object);
  add(function () { ev('this', this === ws); }, { once: true });
  add((e) => { if (e.data === '0') add(() => ev('added')); }, { once: true });
  const late = () => ev('late');
  add(() => ws.removeEventListener('message', late), { once: true });
  add(late);
  add(function again() { ev('again'); add(again, { once: true }); }, { once: true });
  add((e) => { e.preventDefault(); ev('passive', e.defaultPrevented); }, { once: true, passive: true });
  add((e) => { ev('stop'); e.stopImmediatePropagation(); }, { once: true });
  add(() => ev('after'));
  ev('bad', caught(() => add(() => 1, { signal: 5 })));'''):
        equal(r.values('once'), ['0'])
        equal(r.values('gone'), ['0'])
        equal(r.values('signal'), ['0'])
        equal(r.ev('never', 'late'), [])
        equal(r.ev('object'), [['object', True, str(i)] for i in range(3)])
        equal(r.values('this'), [True])
        equal((len(r.ev('added')), len(r.ev('again')), len(r.ev('stop'))), (2, 3, 1))
        equal(r.values('passive'), [False])
        equal(len(r.ev('after')), 2)
        type_error(r.one('bad'))


def test_W60_dispatch_event(t):
    t.server(closing(1000))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  const f = (e) => {
    ev('got', e.data, e.isTrusted, e.target === ws, e.currentTarget === ws, e.eventPhase);
    ev('nested', caught(() => ws.dispatchEvent(e)));
    e.preventDefault();
  };
  ws.addEventListener('message', f);
  const e = new MessageEvent('message', { data: 1, cancelable: true });
  ev('result', ws.dispatchEvent(e), ws.dispatchEvent(new Event('foo')), e.target === ws, e.currentTarget);
  ev('bad', caught(() => ws.dispatchEvent({ type: 'x' })));
  ws.removeEventListener('message', f);
  const custom = (e) => ev('custom', e.type);
  ws.addEventListener('foo', custom);
  ws.dispatchEvent(new CloseEvent('foo', { code: 5 }));'''):
        equal(r.ev('got'), [['got', 1, False, True, True, 2]])
        dom_error(r.one('nested'), 'InvalidStateError', 11)
        equal(r.ev('result')[0][1:], [False, True, True, None])
        type_error(r.one('bad'))
        equal(r.values('custom'), ['foo'])
        equal(r.count('ws_msgs_received'), 0)


def test_W61_W62_handlers(t):
    t.server(closing(1000, before=encode(TEXT, 'x')))
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/');
  const h = () => ev('called');
  ws.onmessage = h; ev('same', ws.onmessage === h);
  ws.onmessage = null; ev('null', ws.onmessage);
  ws.onmessage = h; ws.onmessage = undefined;
  ev('one', caught(() => { ws.onclose = 1; }), ws.onclose);
  ev('object', caught(() => { ws.onclose = { handleEvent() { ev('called'); } }; }), typeof ws.onclose);
  ev('none', caught(() => ws.addEventListener('open', null)), caught(() => ws.addEventListener('open')));
  ev('string', caught(() => ws.addEventListener('open', 'x')));''')
    for r in (default, standard):
        equal((r.one('same'), r.one('null'), r.ev('called')), (True, None, []))
        type_error(r.one('string'))
        type_error(r.ev('none')[0][2])
    check("a value for 'onclose' should be callable" in default.one('one')['message'], '%r', default.events)
    check('handler for event type "open" isn\'t a callable function' in default.one('none')['message'], '%r',
          default.events)
    equal(standard.ev('one')[0][1:], [None, None])
    equal(standard.ev('object')[0][1:], [None, 'object'])
    equal(standard.one('none'), None)


def test_W63_added_during_dispatch(t):
    t.server(closing(1000, before=encode(TEXT, '1') + encode(TEXT, '2')))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.addEventListener('message', (e) => {
    if (e.data === '1') for (let i = 0; i < 20; i++) ws.addEventListener('message', (f) => ev('new', f.data)); });'''):
        equal(r.values('new'), ['2'] * 20)


def test_W67_microtasks_between_listeners(t):
    t.server(closing(1000, before=encode(TEXT, 'x')))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.addEventListener('message', () => { Promise.resolve().then(() => ev('job')); ev('one'); });
  ws.addEventListener('message', () => ev('two'));'''):
        equal([e[0] for e in r.events], ['one', 'job', 'two'])


def test_W82_events_as_json(t):
    t.server(closing(1011, 'r', before=encode(TEXT, 'x') + encode(PING, 'p')))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  for (const n of ['open', 'message', 'ping', 'error', 'close'])
    ws.addEventListener(n, (e) => ev(n, JSON.parse(JSON.stringify(e)), Math.abs(e.timestamp - Date.now()) < 5000));'''):
        for name, event, recent in r.events:
            equal(event['type'], name)
            equal(list(event['target']), ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol',
                                          'binaryType'])
            check(recent and isinstance(event['timestamp'], float), '%r', event)
        equal(r.ev('message')[0][1]['data'], 'x')
        equal([r.ev('close')[0][1][k] for k in ('code', 'reason', 'wasClean')], [1011, 'r', True])


def test_event_objects(t):
    t.server(closing(1000, before=encode(TEXT, 'x')))
    default, standard = both(t, '''
  const ws = new WebSocket('@WS@/path?q');
  ws.onmessage = function (e) {
    ev('message', e instanceof MessageEvent, e instanceof Event, e.isTrusted, e.bubbles, e.cancelable, e.composed,
       e.eventPhase, e.defaultPrevented, e.returnValue, e.cancelBubble, e.lastEventId, e.source, e.ports,
       e.composedPath().length, e.composedPath()[0] === ws, e.srcElement === ws, this === ws, typeof e.timeStamp,
       Math.abs(e.timestamp - Date.now()) < 5000);
    ev('origin', e.origin);
    this.kept = e;
  };
  ws.onclose = (e) => {
    const k = ws.kept;
    ev('kept', k.currentTarget, k.target === ws, k.eventPhase, k.composedPath().length, e instanceof CloseEvent);
    ev('tags', String(e), String(k), String(new Event('x')), String(new AbortController().signal));
  };''')
    for r in (default, standard):
        equal(r.ev('message')[0][1:], [True, True, True, False, False, False, 2, False, True, False, '', None, [], 1,
                                       True, True, True, 'number', True])
        equal(r.ev('kept')[0][1:], [None, True, 0, 0, True])
        equal(r.ev('tags')[0][1:], ['[object CloseEvent]', '[object MessageEvent]', '[object Event]',
                                    '[object AbortSignal]'])
    equal(default.one('origin'), t.servers[0].ws + '/path?q')
    equal(standard.one('origin'), t.servers[0].ws)


def test_each_message_has_a_new_event(t):
    """Whatever the script did to the events before it: kept, changed or watched them."""
    t.server(echo)
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  const proto = Object.getPrototypeOf(new MessageEvent('m'));
  let kept, weak;
  const deeds = [
    (e) => {}, (e) => { kept = e; }, (e) => { e.mark = 1; }, (e) => { weak = new WeakRef(e); },
    (e) => Object.freeze(e), (e) => Object.setPrototypeOf(e, { data: 'no' }), (e) => e.initEvent('other', true, true),
    (e) => e.stopImmediatePropagation(), async (e) => { await null; kept = [kept, e]; }, (e) => { e.x = 1; delete e.x; },
    (e) => { Object.defineProperty(e, 'data', { value: 'mine' }); }, (e) => {}, (e) => {},
  ];
  ws.onopen = () => ws.send('0');
  ws.onmessage = (e) => {
    const own = Object.getOwnPropertyNames(e).filter((n) => n !== 'isTrusted');
    ev('event', e.data, e.type, own, Object.isExtensible(e), Object.getPrototypeOf(e) === proto, e.cancelable,
       e.target === ws, weak ? weak.deref() === undefined : 0);
    const n = +e.data;
    deeds[n](e);
    if (n + 1 < deeds.length) ws.send(String(n + 1));
    else ws.close();
  };
  ws.onclose = () => ev('kept', kept[0].data, kept[1].data);'''):
        equal(r.ev('event'), [['event', str(n), 'message', [], True, True, False, True, n > 3 or 0]
                              for n in range(13)])
        equal(r.ev('kept'), [['kept', '1', '8']])


def test_constructed_events(t):
    r = run(t, '''
  const e = new Event('a', { bubbles: true, cancelable: true });
  e.preventDefault();
  ev('event', e.type, e.bubbles, e.defaultPrevented, e.isTrusted, e.target, Event.AT_TARGET, e.NONE);
  const m = new MessageEvent('m');
  ev('message', m.data, m.origin, m.lastEventId, m.source, m.ports);
  const c = new CloseEvent('c', { wasClean: true, code: 3000, reason: 'r' }), d = new CloseEvent('c');
  ev('close', c.wasClean, c.code, c.reason, d.wasClean, d.code, d.reason);
  ev('thrown', caught(() => new Event()).type, caught(() => Event('x')).type, caught(() => new Event('x', 5)).type);
  const t = new EventTarget();
  let n = 0;
  const f = () => n++;
  t.addEventListener('x', f); t.addEventListener('x', f);
  t.dispatchEvent(new Event('x'));
  ev('target', n, caught(() => new AbortSignal()).type, caught(() => EventTarget.prototype.dispatchEvent.call({}, e)).type);
  const x = new DOMException('m', 'AbortError');
  ev('dom', x.name, x.message, x.code, x instanceof Error, String(x), new DOMException().name, DOMException.ABORT_ERR,
     Object.prototype.toString.call(x), x.constructor === DOMException);
  const a = new AbortController(), log = [];
  a.signal.onabort = (e) => log.push(e.type, e.isTrusted);
  const any = AbortSignal.any([new AbortController().signal, a.signal]);
  any.addEventListener('abort', () => log.push('any'));
  a.abort(); a.abort();
  ev('abort', log, a.signal.aborted, a.signal.reason.name, any.aborted, any.reason === a.signal.reason,
     caught(() => any.throwIfAborted()).name, AbortSignal.abort('why').reason);''')
    equal(r.ev('event')[0][1:], ['a', True, True, False, None, 2, 0])
    equal(r.ev('message')[0][1:], [None, '', '', None, []])
    equal(r.ev('close')[0][1:], [True, 3000, 'r', False, 0, ''])
    equal(r.ev('thrown')[0][1:], [True] * 3)
    equal(r.ev('target')[0][1:], [1, True, True])
    equal(r.ev('dom')[0][1:], ['AbortError', 'm', 20, True, 'AbortError: m', 'Error', 20, '[object DOMException]',
                               True])
    equal(r.ev('abort')[0][1:], [['abort', True, 'any'], True, 'AbortError', True, True, 'AbortError', 'why'])


def test_events_on_the_console(t):
    """ENG-221 for objects whose fields are getters: they are shown as k6's plain objects are."""
    server = t.server(closing(1011, 'r', before=encode(TEXT, 'x') + encode(PING, 'p')))
    for r in both(t, '''
  const ws = new WebSocket('@WS@/');
  ws.own = 5;
  console.log('SOCKET', ws);
  console.log(new Blob(['abc'], { type: 't' }), [new AbortController().signal]);
  console.log(new MessageEvent('made', { data: { a: [1] } }));
  for (const n of ['open', 'message', 'ping', 'error', 'close']) ws.addEventListener(n, (e) => console.log('GOT', e));
  const broken = new Event('broken');
  broken.toJSON = () => { throw new Error('no'); };
  console.log('BROKEN', broken);'''):
        lines = [entry.msg for entry in r.log if entry.source == 'console']
        check(lines[0].startswith('SOCKET { url: "%s' % server.ws) and 'readyState: 0' in lines[0] and
              lines[0].endswith('binaryType: "blob", own: 5 }'), 'socket: %s', lines[0])
        equal(lines[1], '{ size: 3, type: "t" } [ { aborted: false } ]')
        check(lines[2].startswith('{ type: "made", target: null, timestamp: ') and 'data: { a: [ 1 ] }' in lines[2],
              'event: %s', lines[2])
        check(lines[3].startswith('BROKEN {') and 'no' not in lines[3].split('{')[1].split(':')[0], 'broken: %s', lines[3])
        got = {line.split('"')[1]: line for line in lines if line.startswith('GOT { type: ')}
        want = {'open', 'message', 'ping', 'close'} | ({'error'} if 'error' in got else set())
        equal(set(got), want)
        check('data: "x", origin: "%s' % server.ws in got['message'], 'message: %s', got['message'])
        check('target: { url: "%s' % server.ws in got['open'], 'open: %s', got['open'])
        check('code: 1011, reason: "r", wasClean: true }' in got['close'], 'close: %s', got['close'])
        check('data: ArrayBuffer { [Uint8Contents]: <70>, byteLength: 1 }' in got['ping'], 'ping: %s', got['ping'])
    r = run(t, '''
  const ws = new WebSocket('ws://127.0.0.1:@DEAD@/');
  ws.onerror = (e) => console.log(e);''', DEAD=t.closed_port())
    line = [entry.msg for entry in r.log if entry.source == 'console'][0]
    check('error: "dial tcp' in line and 'message: "dial tcp' in line and 'code: 1212' in line, 'error: %s', line)
