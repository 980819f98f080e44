// SPDX-License-Identifier: Apache-2.0
// new WebSocket(url): WHATWG WebSockets, constructor steps 1-8, over the URL standard's parser.
import { WebSocket } from 'k6/websockets';
import {
  assert_array_equals, assert_equals, assert_throws_dom, assert_throws_exactly, assert_throws_js, assert_true, next,
  SERVER, test,
} from '../harness.js';

export { options, default } from '../harness.js';

const valid = [
  ['ws://a.test', 'ws://a.test/'],
  ['ws://a.test/', 'ws://a.test/'],
  ['wss://a.test', 'wss://a.test/'],
  ['ws://a.test:80/', 'ws://a.test/'],
  ['wss://a.test:443/', 'wss://a.test/'],
  ['ws://a.test:443/', 'ws://a.test:443/'],
  ['wss://a.test:80/', 'wss://a.test:80/'],
  ['http://a.test', 'ws://a.test/'],
  ['https://a.test/x?y', 'wss://a.test/x?y'],
  ['http://a.test:80/', 'ws://a.test/'],
  ['https://a.test:443/', 'wss://a.test/'],
  ['http://a.test:443/', 'ws://a.test:443/'],
  ['https://a.test:80/', 'wss://a.test:80/'],
  ['HTTP://A.TEST/', 'ws://a.test/'],
  ['HttpS://A.TEST/', 'wss://a.test/'],
  ['WS://A.Test/Path?Query', 'ws://a.test/Path?Query'],
  ['  ws://a.test/\n', 'ws://a.test/'],
  ['\u0000ws://a.test/\u001f', 'ws://a.test/'],
  ['w\ns:/\t/a.te\rst/p\nq', 'ws://a.test/pq'],
  ['ws:a.test', 'ws://a.test/'],
  ['ws:/a.test/x', 'ws://a.test/x'],
  ['ws:///a.test', 'ws://a.test/'],
  ['ws:////a.test', 'ws://a.test/'],
  ['ws:\\\\a.test\\x\\y', 'ws://a.test/x/y'],
  ['ws://a.test?x', 'ws://a.test/?x'],
  ['ws://a.test/?', 'ws://a.test/?'],
  ['ws://a.test/a b', 'ws://a.test/a%20b'],
  ['ws://a.test/?a b', 'ws://a.test/?a%20b'],
  ['ws://a.test/"<>`{}', 'ws://a.test/%22%3C%3E%60%7B%7D'],
  ['ws://a.test/?"<>\'`{}', 'ws://a.test/?%22%3C%3E%27`{}'],
  ["ws://a.test/!$&'()*+,;=:@-._~|[]", "ws://a.test/!$&'()*+,;=:@-._~|[]"],
  ['ws://a.test/\u00e9?\u00e9', 'ws://a.test/%C3%A9?%C3%A9'],
  ['ws://a.test/\u{1f600}', 'ws://a.test/%F0%9F%98%80'],
  ['ws://a.test/\ud800', 'ws://a.test/%EF%BF%BD'],
  ['ws://a.test/?\udc00x', 'ws://a.test/?%EF%BF%BDx'],
  ['ws://a.test/%7e%zz%', 'ws://a.test/%7e%zz%'],
  ['ws://a.test/\u007f', 'ws://a.test/%7F'],
  ['ws://a.test/a/./b/../c', 'ws://a.test/a/c'],
  ['ws://a.test/../../x', 'ws://a.test/x'],
  ['ws://a.test/%2e%2E/x', 'ws://a.test/x'],
  ['ws://a.test/a/%2e/b', 'ws://a.test/a/b'],
  ['ws://a.test/a/..', 'ws://a.test/'],
  ['ws://a.test/a/.', 'ws://a.test/a/'],
  ['ws://a.test//x//', 'ws://a.test//x//'],
  ['ws://a.test/?a/../b', 'ws://a.test/?a/../b'],
  ['ws://u:p@a.test/', 'ws://u:p@a.test/'],
  ['ws://u@a.test/', 'ws://u@a.test/'],
  ['ws://:p@a.test/', 'ws://:p@a.test/'],
  ['ws://@a.test/', 'ws://a.test/'],
  ['ws://:@a.test/', 'ws://a.test/'],
  ['ws://u:@a.test/', 'ws://u@a.test/'],
  ['ws://u@v@a.test/', 'ws://u%40v@a.test/'],
  ['ws://u:p:q@a.test/', 'ws://u:p%3Aq@a.test/'],
  ['ws://\u00e9;=:[]@a.test/', 'ws://%C3%A9%3B%3D:%5B%5D@a.test/'],
  ['ws://a.test:0/', 'ws://a.test:0/'],
  ['ws://a.test:65535/', 'ws://a.test:65535/'],
  ['ws://a.test:/', 'ws://a.test/'],
  ['ws://a.test:00080/', 'ws://a.test/'],
  ['ws://a.test:0000081/', 'ws://a.test:81/'],
  ['ws://127.1/', 'ws://127.0.0.1/'],
  ['ws://127.0.1/', 'ws://127.0.0.1/'],
  ['ws://0x7f.0.0.0x1/', 'ws://127.0.0.1/'],
  ['ws://0177.0.0.1/', 'ws://127.0.0.1/'],
  ['ws://2130706433/', 'ws://127.0.0.1/'],
  ['ws://127.0.0.1./', 'ws://127.0.0.1/'],
  ['ws://[::1]/', 'ws://[::1]/'],
  ['ws://[0:0:0:0:0:0:0:1]:80/', 'ws://[::1]/'],
  ['ws://[0::0001]:8080/', 'ws://[::1]:8080/'],
  ['ws://[::FFFF:127.0.0.1]/', 'ws://[::ffff:7f00:1]/'],
  ['ws://b\u00fccher.test/', 'ws://xn--bcher-kva.test/'],
  ['ws://B\u00dcCHER.TEST/', 'ws://xn--bcher-kva.test/'],
  ['ws://fa\u00df.test/', 'ws://xn--fa-hia.test/'],
  ['ws://\u65e5\u672c\u8a9e.test/', 'ws://xn--wgv71a119e.test/'],
  ['ws://\uff41.test/', 'ws://a.test/'],
  ['ws://a\u3002test/', 'ws://a.test/'],
  ['ws://a\u00adb.test/', 'ws://ab.test/'],
  ['ws://%61%42.test/', 'ws://ab.test/'],
  ['ws://b%C3%BCcher.test/', 'ws://xn--bcher-kva.test/'],
  ['ws://XN--BCHER-KVA.test/', 'ws://xn--bcher-kva.test/'],
  ['ws://a_b.test/', 'ws://a_b.test/'],
  ['ws://-a-.test/', 'ws://-a-.test/'],
  ['ws://a..test/', 'ws://a..test/'],
  ["ws://!$&'()*+,;=.test/", "ws://!$&'()*+,;=.test/"],
];

for (const [input, expected] of valid) {
  test(`url ${JSON.stringify(input)}`, (t) => {
    assert_equals(t.own(new WebSocket(input)).url, expected);
  });
}

const invalid = [
  '', ' ', 'a', 'a.test', '/echo', './echo', '//a.test/', '?x', '#', '#x', 'ftp://a.test/', 'mailto:x@a.test',
  'about:blank', 'data:text/plain,x', 'javascript:0', 'file:///x', 'blob:http://a.test/1', 'wsss://a.test/',
  'ws+unix://a.test/', 'xws://a.test/', '1ws://a.test/', 'ws', 'ws:', 'ws:/', 'ws://', 'ws:///', 'wss://?', 'http:', 'https://',
  'ws://a.test:65536/', 'ws://a.test:99999999999/', 'ws://a.test:-1/', 'ws://a.test:x/', 'ws://a.test:8a/', 'ws://a.test:8 0/',
  'ws://a b.test/', 'ws://a<b.test/', 'ws://a>b.test/', 'ws://a^b.test/', 'ws://a|b.test/', 'ws://a]b.test/', 'ws://a[b.test/',
  'ws://a%00b.test/', 'ws://a%2Fb.test/', 'ws://a%25b.test/', 'ws://%/', 'ws://%zz.test/', 'ws://a\u007f.test/', 'ws://a\u0000.test/',
  'ws://user@/', 'ws://:80/', 'ws://u:p@:80/', 'ws://\u00ad/', 'ws://xn--/', 'ws://xn--a-yoc/', 'ws://\ufffd.test/',
  'ws://[::1/', 'ws://[::g]/', 'ws://[1:2]/', 'ws://[::1]x/', 'ws://[:::1]/', 'ws://[1::2::3]/', 'ws://[::1.2.3]/', 'ws://[]/',
  'ws://[fe80::1%25eth0]/', 'ws://::1/', 'ws://1.2.3.4.5/', 'ws://256.256.256.256/', 'ws://1.2.3.256/', 'ws://0x100000000/',
  'ws://a.0x/', 'ws://a.1/', 'ws://1.2.3.08/', 'ws://4294967296/',
  'ws://a.test/#', 'ws://a.test/#x', 'ws://a.test#', 'wss://a.test/x?y#z', 'http://a.test/#x', 'https://a.test/#', 'ws://a.test/?#',
];

for (const input of invalid) {
  test(`SyntaxError for ${JSON.stringify(input)}`, (t) => {
    assert_throws_dom('SyntaxError', () => t.own(new WebSocket(input)));
  });
}

for (const value of [null, undefined, 5, true, {}, []]) {
  test(`SyntaxError for the value ${JSON.stringify(value)}`, (t) => {
    assert_throws_dom('SyntaxError', () => t.own(new WebSocket(value)));
  });
}

test('no argument', () => assert_throws_js(TypeError, () => new WebSocket()));
test('a symbol', () => assert_throws_js(TypeError, () => new WebSocket(Symbol('ws://a.test/'))));
test('without new', () => assert_throws_js(TypeError, () => WebSocket('ws://a.test/')));
test('the url is converted by toString', (t) => {
  assert_equals(t.own(new WebSocket({ toString: () => 'ws://a.test/o' })).url, 'ws://a.test/o');
});
test('an array is converted', (t) => assert_equals(t.own(new WebSocket(['ws://a.test/x'])).url, 'ws://a.test/x'));
test('what toString throws comes through', () => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => new WebSocket({ toString() { throw thrown; } }));
});
test('arguments are converted from left to right, before the url is parsed', (t) => {
  const order = [];
  const url = { toString() { order.push('url'); return 'bad:'; } };
  const protocols = [{ toString() { order.push('protocols'); return 'p'; } }];
  assert_throws_dom('SyntaxError', () => t.own(new WebSocket(url, protocols)));
  assert_array_equals(order, ['url', 'protocols']);
});
test('a bad url comes before bad protocols: still SyntaxError', () => {
  assert_throws_dom('SyntaxError', () => new WebSocket('bad:', ['a', 'a']));
});
test('a subclass', (t) => {
  class Mine extends WebSocket {}
  const ws = t.own(new Mine('ws://a.test/'));
  assert_true(ws instanceof Mine && ws instanceof WebSocket);
  assert_equals(Object.getPrototypeOf(ws), Mine.prototype);
});
test('the url does not change by assignment', (t) => {
  const ws = t.own(new WebSocket('ws://a.test/'));
  assert_throws_js(TypeError, () => { ws.url = 'ws://b.test/'; });
  assert_equals(ws.url, 'ws://a.test/');
});

// ---- on the wire

const targets = [
  ['', '/'], ['/', '/'], ['?x=1', '/?x=1'], ['/?', '/?'], ['/a b?c d', '/a%20b?c%20d'], ['/\u00e9?\u00fc', '/%C3%A9?%C3%BC'],
  ['/x/../y', '/y'], ["/?'", '/?%27'],
];
for (const [tail, target] of targets) {
  if (target === '/') continue;
  test(`request target of ${JSON.stringify(tail)}`, async (t) => {
    const path = tail.startsWith('/') ? `/q${tail}` : `/q/${tail}`;
    const ws = t.own(new WebSocket(SERVER + path));
    const { data } = await next(ws, 'message');
    assert_equals(JSON.parse(data).target, `/q${target}`);
  });
}

for (const scheme of ['http', 'HTTP', 'WS']) {
  test(`scheme ${scheme} connects`, async (t) => {
    const ws = t.own(new WebSocket(SERVER.replace('ws', scheme)));
    await next(ws, 'open');
    assert_equals(ws.url, `${SERVER}/`);
  });
}

const header = async (t, url, name) => {
  const { headers } = JSON.parse((await next(t.own(new WebSocket(url)), 'message')).data);
  return headers.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v);
};
test('Host has the port', async (t) => {
  assert_array_equals(await header(t, `${SERVER}/head`, 'host'), [SERVER.slice(5)]);
});
test('Host is without credentials', async (t) => {
  assert_array_equals(await header(t, SERVER.replace('//', '//u:p@') + '/head', 'host'), [SERVER.slice(5)]);
});
test('Sec-WebSocket-Version', async (t) => {
  assert_array_equals(await header(t, `${SERVER}/head`, 'sec-websocket-version'), ['13']);
});
test('Sec-WebSocket-Key is 16 bytes in base64', async (t) => {
  const [key] = await header(t, `${SERVER}/head`, 'sec-websocket-key');
  assert_true(/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key));
});
const credentials = [
  ['u:p', 'dTpw'], ['u', 'dTo='], [':p', 'OnA='], ['u:', 'dTo='], ['a%40b:c%3Ad', 'YUBiOmM6ZA=='], ['Aladdin:open%20sesame', 'QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
  ['%C3%A9:x', 'w6k6eA=='],
];
for (const [text, encoded] of credentials) {
  test(`basic credentials of ${text}`, async (t) => {
    assert_array_equals(await header(t, `${SERVER.replace('//', `//${text}@`)}/head`, 'authorization'), [`Basic ${encoded}`]);
  });
}
test('no Authorization without credentials', async (t) => {
  assert_array_equals(await header(t, `${SERVER}/head`, 'authorization'), []);
});
test('no Authorization for empty credentials', async (t) => {
  assert_array_equals(await header(t, `${SERVER.replace('//', '//:@')}/head`, 'authorization'), []);
});
test('the url keeps the credentials', (t) => {
  assert_equals(t.own(new WebSocket(SERVER.replace('//', '//u:p@'))).url, `${SERVER.replace('//', '//u:p@')}/`);
});
