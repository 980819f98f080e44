// SPDX-License-Identifier: Apache-2.0
// Blob: File API 3.
import { Blob } from 'k6/websockets';
import { assert_array_equals, assert_equals, assert_false, assert_not_equals, assert_throws_exactly, assert_throws_js, assert_true, hex, test } from '../harness.js';

export { options, default } from '../harness.js';

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer;
const parts = [
  ['no argument', [], ''], ['undefined', [undefined], ''], ['empty', [[]], ''], ['a string', [['abc']], '616263'], ['UTF-8', [['\u00e9']], 'c3a9'],
  ['lone surrogate', [['\ud800']], 'efbfbd'], ['a number', [[5]], '35'], ['null', [[null]], '6e756c6c'], ['undefined inside', [[undefined]], '756e646566696e6564'],
  ['an object', [[{}]], '5b6f626a656374204f626a6563745d'], ['an array', [[[1, 2]]], '312c32'], ['ArrayBuffer', [[bytes]], '0102030405060708'],
  ['view', [[new Uint8Array(bytes, 1, 2)]], '0203'], ['DataView', [[new DataView(bytes, 6)]], '0708'], ['Uint16Array', [[new Uint16Array(bytes, 2, 1)]], '0304'],
  ['Blob', [[new Blob(['xy'])]], '7879'], ['several', [['a', Uint8Array.of(0), new Blob(['b'])]], '610062'], ['a Set', [new Set(['a', 'b'])], '6162'],
  ['a view as the sequence', [Uint8Array.of(1, 23)], '313233'], ['a String object as the sequence', [Object('ab')], '6162'],
  ['line ends, transparent', [['a\r\nb\rc\n']], '610d0a620d630a'], ['line ends, native', [['a\r\nb\rc\n'], { endings: 'native' }], '610a620a630a'],
  ['line ends across parts, native', [['a\r', '\nb'], { endings: 'native' }], '610a0a62'], ['bytes, native', [[Uint8Array.of(13, 10)], { endings: 'native' }], '0d0a'],
];
for (const [name, args, wanted] of parts) {
  test(`parts: ${name}`, async () => {
    const blob = new Blob(...args);
    assert_equals(blob.size, wanted.length / 2);
    assert_equals(hex(await blob.arrayBuffer()), wanted);
  });
}
for (const value of [null, 5, 'abc', true, {}, Symbol('x'), () => {}, /x/, new Date(0)]) {
  test(`parts: ${typeof value} ${String(value)} is no sequence`, () => assert_throws_js(TypeError, () => new Blob(value)));
}
test('parts: what toString throws comes through', () => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => new Blob([{ toString() { throw thrown; } }]));
});
test('parts: what the iterator throws comes through', () => {
  const thrown = { name: 'mine' };
  assert_throws_exactly(thrown, () => new Blob({ [Symbol.iterator]() { throw thrown; } }));
});
test('parts: are copied', async () => {
  const view = Uint8Array.of(1);
  const blob = new Blob([view]);
  view[0] = 2;
  assert_equals(hex(await blob.arrayBuffer()), '01');
});

const types = [
  [undefined, ''], [{}, ''], [null, ''], [{ type: 'text/plain' }, 'text/plain'], [{ type: 'Text/HTML; Charset=UTF-8' }, 'text/html; charset=utf-8'],
  [{ type: '' }, ''], [{ type: undefined }, ''], [{ type: null }, 'null'], [{ type: 5 }, '5'], [{ type: 'a\u00e9' }, ''], [{ type: 'a\u0000' }, ''], [{ type: 'a\t' }, ''],
  [{ type: 'a\u007f' }, ''], [{ type: ' ~' }, ' ~'], [{ type: '\u0130' }, ''],
];
for (const [init, type] of types) {
  test(`type: ${JSON.stringify(init)}`, () => assert_equals(new Blob([], init).type, type));
  if (init && init.type !== undefined) test(`slice type: ${JSON.stringify(init.type)}`, () => assert_equals(new Blob(['ab']).slice(0, 1, init.type).type, type));
}
for (const value of [5, 'x', true]) test(`options: ${value}`, () => assert_throws_js(TypeError, () => new Blob([], value)));
for (const value of ['other', '', null, 'Native']) test(`endings: ${value}`, () => assert_throws_js(TypeError, () => new Blob([], { endings: value })));
test('type is read-only', () => assert_throws_js(TypeError, () => { new Blob().type = 'x'; }));
test('size is read-only', () => assert_throws_js(TypeError, () => { new Blob().size = 1; }));

const slices = [
  [[], 'abcdef'], [[0], 'abcdef'], [[2], 'cdef'], [[2, 4], 'cd'], [[-2], 'ef'], [[-4, -2], 'cd'], [[0, -1], 'abcde'], [[4, 2], ''], [[6], ''], [[100], ''], [[-100], 'abcdef'],
  [[0, 100], 'abcdef'], [[0, -100], ''], [[1, undefined], 'bcdef'], [[undefined, 2], 'ab'], [[null, 2], 'ab'], [[1, null], ''], [['1', '3'], 'bc'], [[1.5, 3], 'cdef'.slice(0, 1)],
  [[NaN, 2], 'ab'], [[0, Infinity], 'abcdef'], [[-Infinity], 'abcdef'], [[0, 2 ** 53], 'abcdef'],
];
for (const [args, text] of slices) {
  test(`slice(${args.map(String).join(', ')})`, async () => {
    const part = new Blob(['abc', 'def'], { type: 'text/plain' }).slice(...args);
    assert_equals(part.size, text.length);
    assert_equals(await part.text(), text);
    assert_equals(part.type, '');
    assert_true(part instanceof Blob);
  });
}
test('slice of a slice', async () => assert_equals(await new Blob(['abcdef']).slice(1, 5).slice(1, -1).text(), 'cd'));
test('slice leaves the blob alone', async () => {
  const blob = new Blob(['abc']);
  blob.slice(1);
  assert_equals(await blob.text(), 'abc');
});

for (const [name, data, text] of [['ASCII', 'abc', 'abc'], ['UTF-8', '\u00e9\u{1f600}', '\u00e9\u{1f600}'], ['empty', '', ''], ['BOM', '\ufeffa', 'a'], ['two BOMs', '\ufeff\ufeffa', '\ufeffa'],
  ['bad bytes', Uint8Array.of(0x61, 0xff, 0x62), 'a\ufffdb'], ['a cut sequence', Uint8Array.of(0xe2, 0x82), '\ufffd'], ['a surrogate', Uint8Array.of(0xed, 0xa0, 0x80), '\ufffd\ufffd\ufffd'],
  ['overlong', Uint8Array.of(0xc0, 0x80), '\ufffd\ufffd'], ['NUL', 'a\0b', 'a\0b']]) {
  test(`text(): ${name}`, async () => assert_equals(await new Blob([data]).text(), text));
}
test('arrayBuffer(): a new copy each time', async () => {
  const blob = new Blob(['ab']);
  const a = await blob.arrayBuffer();
  const b = await blob.arrayBuffer();
  assert_not_equals(a, b);
  new Uint8Array(a)[0] = 0;
  assert_equals(hex(b), '6162');
  assert_equals(await blob.text(), 'ab');
});
test('bytes(): Uint8Array', async () => {
  const got = await new Blob(['ab']).bytes();
  assert_true(got instanceof Uint8Array);
  assert_array_equals(got, [97, 98]);
});
for (const key of ['text', 'arrayBuffer', 'bytes']) test(`${key}() returns a promise`, () => assert_true(new Blob()[key]() instanceof Promise));
test('stream(): all the bytes, and again', async () => {
  const blob = new Blob(['ab', 'cd']);
  for (let round = 0; round < 2; round++) {
    const reader = blob.stream().getReader();
    let all = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      assert_true(value instanceof Uint8Array);
      all += hex(value);
    }
    assert_equals(all, '61626364');
  }
  assert_equals(blob.size, 4);
});
test('an empty stream ends', async () => assert_true((await new Blob().stream().getReader().read()).done));
test('instanceof', () => {
  assert_true(new Blob() instanceof Blob);
  assert_false({} instanceof Blob);
});
