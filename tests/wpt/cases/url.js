// SPDX-License-Identifier: Apache-2.0
// URL and URLSearchParams: URL standard 6.
import { URL, URLSearchParams } from 'k6/websockets';
import { assert_array_equals, assert_equals, assert_false, assert_throws_js, assert_true, test } from '../harness.js';

export { options, default } from '../harness.js';

const parts = {
  href: 'wss://u:p@a.test:8080/x/y?q=1#f', protocol: 'wss:', username: 'u', password: 'p', host: 'a.test:8080', hostname: 'a.test', port: '8080', pathname: '/x/y',
  search: '?q=1', hash: '#f', origin: 'wss://a.test:8080',
};
for (const [key, value] of Object.entries(parts)) test(`URL: ${key}`, () => assert_equals(new URL(parts.href)[key], value));

for (const [input, base, href] of [['/x', 'ws://a.test/y/z', 'ws://a.test/x'], ['x', 'ws://a.test/y/z', 'ws://a.test/y/x'], ['../x', 'ws://a.test/y/z/', 'ws://a.test/y/x'],
  ['?q', 'ws://a.test/y?r#s', 'ws://a.test/y?q'], ['#f', 'ws://a.test/y?r', 'ws://a.test/y?r#f'], ['//b.test', 'wss://a.test/', 'wss://b.test/'], ['', 'ws://a.test/y#f', 'ws://a.test/y'],
  ['ws:x', 'ws://a.test/y/', 'ws://a.test/y/x'], ['http://b.test', 'ws://a.test/', 'http://b.test/']]) {
  test(`URL: ${JSON.stringify(input)} against ${base}`, () => assert_equals(new URL(input, base).href, href));
}
for (const input of ['', 'x', '//a.test', 'ws://', 'ws://a b', 'http://a:99999']) {
  test(`URL: TypeError for ${JSON.stringify(input)}`, () => assert_throws_js(TypeError, () => new URL(input)));
  test(`URL.canParse(${JSON.stringify(input)})`, () => assert_false(URL.canParse(input)));
}
test('URL: no argument', () => assert_throws_js(TypeError, () => new URL()));
test('URL: without new', () => assert_throws_js(TypeError, () => URL('ws://a.test/')));
test('URL.canParse with a base', () => assert_true(URL.canParse('x', 'ws://a.test/')));
test('URL: toString and toJSON', () => {
  const url = new URL('ws://a.test');
  assert_array_equals([String(url), url.toJSON(), JSON.stringify(url)], ['ws://a.test/', 'ws://a.test/', '"ws://a.test/"']);
});
for (const [key, value, href] of [['protocol', 'wss', 'wss://a.test/'], ['protocol', 'foo', 'ws://a.test/'], ['host', 'b.test:81', 'ws://b.test:81/'], ['hostname', 'b.test', 'ws://b.test/'],
  ['port', '81', 'ws://a.test:81/'], ['port', '80', 'ws://a.test/'], ['pathname', 'x y', 'ws://a.test/x%20y'], ['search', 'q=1', 'ws://a.test/?q=1'], ['hash', 'f', 'ws://a.test/#f'],
  ['username', 'u', 'ws://u@a.test/'], ['password', 'p', 'ws://:p@a.test/']]) {
  test(`URL: ${key} = ${value}`, () => {
    const url = new URL('ws://a.test/');
    url[key] = value;
    assert_equals(url.href, href);
  });
}
test('URL: origin is read-only', () => assert_throws_js(TypeError, () => { new URL('ws://a.test').origin = 'x'; }));
test('URL: searchParams writes the query', () => {
  const url = new URL('ws://a.test/?a=1');
  url.searchParams.append('b', 'x y');
  assert_equals(url.href, 'ws://a.test/?a=1&b=x+y');
  assert_equals(url.searchParams, url.searchParams);
});
test('URL: search is seen by searchParams', () => {
  const url = new URL('ws://a.test/');
  const params = url.searchParams;
  url.search = '?a=2';
  assert_equals(params.get('a'), '2');
});
for (const [init, text] of [['a=1&b=2', 'a=1&b=2'], ['?a=1', 'a=1'], [{ a: '1', b: 2 }, 'a=1&b=2'], [[['a', '1'], ['a', '2']], 'a=1&a=2'], ['a', 'a='], ['a=b=c', 'a=b%3Dc'], ['a+b=%20', 'a+b=+'],
  ['\u00e9', '%C3%A9='], ['', ''], ['&&a&', 'a='], ["a=*-._~!'()", 'a=*-._%7E%21%27%28%29']]) {
  test(`URLSearchParams: ${JSON.stringify(init)}`, () => assert_equals(new URLSearchParams(init).toString(), text));
}
test('URLSearchParams: methods', () => {
  const p = new URLSearchParams('b=1&a=2&b=3');
  assert_array_equals([p.get('b'), p.get('x'), p.has('a'), p.has('x'), p.size, p.getAll('b').join()], ['1', null, true, false, 3, '1,3']);
  p.sort();
  assert_equals(String(p), 'a=2&b=1&b=3');
  p.set('b', '4');
  p.delete('a');
  assert_equals(String(p), 'b=4');
});
test('URLSearchParams: iteration', () => {
  const p = new URLSearchParams('a=1&b=2');
  assert_equals(JSON.stringify([...p]), '[["a","1"],["b","2"]]');
  assert_array_equals([...p.keys(), ...p.values()], ['a', 'b', '1', '2']);
  const seen = [];
  p.forEach((value, key) => seen.push(key + value));
  assert_array_equals(seen, ['a1', 'b2']);
});
test('URLSearchParams: a pair of the wrong length', () => assert_throws_js(TypeError, () => new URLSearchParams([['a']])));

for (const [Class, keys] of [[URL, ['href', 'searchParams', 'toJSON', 'toString']], [URLSearchParams, ['size', 'append', 'sort', 'entries', 'toString']]]) {
  for (const key of keys) {
    test(`${Class.name}: ${key} is enumerable`, () => assert_true(Object.getOwnPropertyDescriptor(Class.prototype, key).enumerable));
  }
  test(`${Class.name}: constructor is not`, () => assert_false(Object.getOwnPropertyDescriptor(Class.prototype, 'constructor').enumerable));
}
for (const key of ['parse', 'canParse']) {
  test(`URL.${key}: a static operation of one argument`, () => {
    const got = Object.getOwnPropertyDescriptor(URL, key);
    assert_array_equals([got.enumerable, got.value.length], [true, 1]);
    assert_throws_js(TypeError, () => URL[key]());
  });
}
test('lengths without optional arguments', () => {
  assert_array_equals([URL, URLSearchParams, URLSearchParams.prototype.has, URLSearchParams.prototype.delete].map((f) => f.length), [1, 0, 1, 1]);
});
