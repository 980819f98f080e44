// SPDX-License-Identifier: Apache-2.0
// AbortController and AbortSignal: DOM 3.
import { AbortController, AbortSignal, Event, EventTarget } from 'k6/websockets';
import {
  assert_array_equals, assert_dom_exception, assert_equals, assert_false, assert_throws_dom, assert_throws_exactly, assert_throws_js, assert_true, next, sleep_ms, test,
} from '../harness.js';

export { options, default } from '../harness.js';

test('at first', () => {
  const { signal } = new AbortController();
  assert_array_equals([signal.aborted, signal.reason, signal.onabort], [false, undefined, null]);
  assert_true(signal instanceof AbortSignal && signal instanceof EventTarget);
});
test('signal is always the same', () => {
  const controller = new AbortController();
  assert_equals(controller.signal, controller.signal);
});
test('signal is read-only', () => assert_throws_js(TypeError, () => { new AbortController().signal = null; }));
test('abort() sets an AbortError', () => {
  const controller = new AbortController();
  assert_equals(controller.abort(), undefined);
  assert_true(controller.signal.aborted);
  assert_dom_exception(controller.signal.reason, 'AbortError');
});
test('abort(undefined) too', () => {
  const controller = new AbortController();
  controller.abort(undefined);
  assert_dom_exception(controller.signal.reason, 'AbortError');
});
for (const reason of [null, 0, '', 'why', false]) {
  test(`abort(${JSON.stringify(reason)})`, () => {
    const controller = new AbortController();
    controller.abort(reason);
    assert_equals(controller.signal.reason, reason);
    assert_throws_exactly(reason, () => controller.signal.throwIfAborted());
  });
}
test('the abort event', () => {
  const controller = new AbortController();
  const seen = [];
  controller.signal.onabort = (e) => seen.push('handler', e.target === controller.signal, e.isTrusted, e.bubbles, e.cancelable, controller.signal.aborted);
  controller.signal.addEventListener('abort', (e) => seen.push(e.type, Object.getPrototypeOf(e) === Event.prototype));
  controller.abort();
  assert_array_equals(seen, ['handler', true, true, false, false, true, 'abort', true]);
});
test('abort() twice fires once and keeps the reason', () => {
  const controller = new AbortController();
  let count = 0;
  controller.signal.onabort = () => count++;
  controller.abort(1);
  controller.abort(2);
  assert_array_equals([count, controller.signal.reason], [1, 1]);
});
test('a synthetic abort event aborts nothing', () => {
  const { signal } = new AbortController();
  let count = 0;
  signal.onabort = () => count++;
  signal.dispatchEvent(new Event('abort'));
  assert_array_equals([count, signal.aborted], [1, false]);
});
test('throwIfAborted() before', () => assert_equals(new AbortController().signal.throwIfAborted(), undefined));
test('throwIfAborted() after', () => {
  const controller = new AbortController();
  controller.abort();
  assert_throws_dom('AbortError', () => controller.signal.throwIfAborted());
  assert_throws_exactly(controller.signal.reason, () => controller.signal.throwIfAborted());
});
test('onabort: non-objects become null', () => {
  const { signal } = new AbortController();
  signal.onabort = () => {};
  signal.onabort = 5;
  assert_equals(signal.onabort, null);
});
test('AbortSignal.abort()', () => {
  const signal = AbortSignal.abort();
  assert_true(signal.aborted);
  assert_dom_exception(signal.reason, 'AbortError');
});
test('AbortSignal.abort(reason)', () => assert_equals(AbortSignal.abort('r').reason, 'r'));
test('AbortSignal.timeout()', async () => {
  const signal = AbortSignal.timeout(5);
  assert_false(signal.aborted);
  const e = await next(signal, 'abort');
  assert_true(e.isTrusted);
  assert_dom_exception(signal.reason, 'TimeoutError');
});
for (const value of [-1, NaN, Infinity, 2 ** 53]) {
  test(`AbortSignal.timeout(${value})`, () => {
    assert_equals(typeof AbortSignal.timeout, 'function');
    assert_throws_js(TypeError, () => AbortSignal.timeout(value));
  });
}
test('AbortSignal.timeout without argument', () => {
  assert_equals(typeof AbortSignal.timeout, 'function');
  assert_throws_js(TypeError, () => AbortSignal.timeout());
});
test('AbortSignal.any: none', () => assert_false(AbortSignal.any([]).aborted));
test('AbortSignal.any: one aborted already', () => {
  const signal = AbortSignal.any([new AbortController().signal, AbortSignal.abort('r'), AbortSignal.abort('s')]);
  assert_array_equals([signal.aborted, signal.reason], [true, 'r']);
});
test('AbortSignal.any: follows the first', () => {
  const a = new AbortController();
  const b = new AbortController();
  const signal = AbortSignal.any([a.signal, b.signal]);
  let count = 0;
  signal.onabort = () => count++;
  b.abort('b');
  a.abort('a');
  assert_array_equals([signal.aborted, signal.reason, count], [true, 'b', 1]);
});
test('AbortSignal.any: of a dependent signal', () => {
  const a = new AbortController();
  const signal = AbortSignal.any([AbortSignal.any([a.signal])]);
  a.abort('a');
  assert_equals(signal.reason, 'a');
});
test('AbortSignal.any: the source\'s event comes first', () => {
  const a = new AbortController();
  const signal = AbortSignal.any([a.signal]);
  const seen = [];
  signal.onabort = () => seen.push('dependent');
  a.signal.onabort = () => seen.push('source', signal.aborted);
  a.abort();
  assert_array_equals(seen, ['source', true, 'dependent']);
});
test('AbortSignal.any: is another object', () => {
  const a = new AbortController();
  assert_false(AbortSignal.any([a.signal]) === a.signal);
});
for (const value of [undefined, null, 5, {}, [null], [{}]]) {
  test(`AbortSignal.any(${JSON.stringify(value)})`, () => assert_throws_js(TypeError, () => AbortSignal.any(value)));
}
test('AbortSignal.any: any iterable', () => assert_true(AbortSignal.any(new Set([AbortSignal.abort()])).aborted));
test('a listener with the aborted signal itself', async () => {
  const controller = new AbortController();
  let count = 0;
  controller.signal.addEventListener('abort', () => count++, { signal: controller.signal });
  controller.abort();
  await sleep_ms(1);
  assert_equals(count, 0);
});
