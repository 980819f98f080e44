// SPDX-License-Identifier: Apache-2.0
// The tests' harness: subtests are collected when a file loads and run in order in the only iteration. Each prints one
// JSON line for the driver. Nothing may throw inside a listener (it would end the iteration): listeners only collect,
// assertions stand in the subtest's own function.
import { WebSocket } from 'k6/websockets';

export const options = { vus: 1, iterations: 1, blockHostnames: ['*.test'] };
export const SERVER = __ENV.SERVER; // ws://127.0.0.1:port
export const DEAD = __ENV.DEAD; // ws://127.0.0.1:port where nobody listens

const SUBTEST_MS = 5000;
const subtests = [];

// A test function may be async or not; t tracks what it opened.
export function test(name, fn) {
  subtests.push({ name, fn });
}
export const promise_test = test;

// fn(t) calls t.done() when it is over; t.step_func(f) makes a listener whose assertions count.
export function async_test(name, fn) {
  test(name, (t) => new Promise((resolve, reject) => {
    t.done = resolve;
    t.step_func = (f) => (...args) => {
      try {
        return f(...args);
      } catch (e) {
        reject(e);
      }
    };
    t.step_func(fn)(t);
  }));
}

function show(value) {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'function') return `function ${value.name}`;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const tag = Object.prototype.toString.call(value);
    return tag === '[object Object]' ? `{${Object.keys(value).map((k) => `${k}: ${show(value[k])}`).join(', ')}}` : tag;
  }
  return String(value);
}

class AssertionError extends Error {
  constructor(expected, got, about) {
    super(about || '');
    this.expected = expected;
    this.got = got;
  }
}

export function assert_true(got, about) {
  if (got !== true) throw new AssertionError('true', show(got), about);
}

export function assert_false(got, about) {
  if (got !== false) throw new AssertionError('false', show(got), about);
}

export function assert_equals(got, expected, about) {
  if (!Object.is(got, expected)) throw new AssertionError(show(expected), show(got), about);
}

export function assert_not_equals(got, other, about) {
  if (Object.is(got, other)) throw new AssertionError(`not ${show(other)}`, show(got), about);
}

export function assert_array_equals(got, expected, about) {
  const a = Array.from(got);
  const b = Array.from(expected);
  if (a.length !== b.length || a.some((v, i) => !Object.is(v, b[i]))) throw new AssertionError(show(b), show(a), about);
}

export function assert_less_than_equal(got, most, about) {
  if (!(got <= most)) throw new AssertionError(`at most ${most}`, show(got), about);
}

function thrown_by(fn, wanted) {
  try {
    fn();
  } catch (e) {
    return e;
  }
  throw new AssertionError(`throws ${wanted}`, 'no exception');
}

export function assert_throws_js(constructor, fn) {
  const e = thrown_by(fn, constructor.name);
  if (Object.getPrototypeOf(e) !== constructor.prototype) throw new AssertionError(constructor.name, show(e));
}

export function assert_throws_exactly(value, fn) {
  const e = thrown_by(fn, show(value));
  if (e !== value) throw new AssertionError(show(value), show(e));
}

const CODES = { SyntaxError: 12, InvalidStateError: 11, InvalidAccessError: 15, AbortError: 20, TimeoutError: 23 };

export function assert_dom_exception(e, name) {
  const tag = Object.prototype.toString.call(e);
  if (tag !== '[object DOMException]' || e.name !== name) throw new AssertionError(`DOMException ${name}`, show(e));
  assert_equals(e.code, CODES[name], 'the legacy code');
}

export function assert_throws_dom(name, fn) {
  assert_dom_exception(thrown_by(fn, name), name);
}

// ---- helpers

export const sleep_ms = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The next event of a type.
export const next = (target, type) => new Promise((resolve) => {
  target.addEventListener(type, resolve, { once: true });
});

export async function opened(t, path, protocols) {
  const ws = t.socket(path, protocols);
  ws.binaryType = 'arraybuffer';
  const failed = [];
  ws.addEventListener('error', (e) => failed.push(e.error));
  await Promise.race([next(ws, 'open'), next(ws, 'close')]);
  if (ws.readyState !== 1) throw new AssertionError('open', `failed: ${failed}`);
  return ws;
}

// Types of the events until close, in order; the promise's value has the events too.
export function trace(ws) {
  const types = [];
  const events = [];
  return new Promise((resolve) => {
    for (const type of ['open', 'message', 'error', 'close']) {
      ws.addEventListener(type, (e) => {
        types.push(type);
        events.push(e);
        if (type === 'close') resolve({ types, events, last: e });
      });
    }
  });
}

export const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, '0')).join('');

// What the server saw on the connection that was opened as /record?id=ID: [{op, hex}].
export async function server_saw(t, id) {
  const ws = t.socket(`/report?id=${id}`);
  return JSON.parse((await next(ws, 'message')).data);
}

let ids = 0;
export const fresh_id = () => `r${++ids}`;

class Running {
  constructor() {
    this.sockets = [];
  }

  // A path of the server, or a whole URL.
  socket(path, protocols) {
    const url = path[0] === '/' ? SERVER + path : path;
    const ws = protocols === undefined ? new WebSocket(url) : new WebSocket(url, protocols);
    this.sockets.push(ws);
    return ws;
  }

  own(ws) {
    this.sockets.push(ws);
    return ws;
  }

  end() {
    for (const ws of this.sockets) ws.close();
  }
}

async function run_one(subtest) {
  const t = new Running();
  const result = { name: subtest.name, ok: true };
  let timer;
  try {
    const late = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new AssertionError(`an end within ${SUBTEST_MS} ms`, 'timeout')), SUBTEST_MS);
    });
    await Promise.race([subtest.fn(t), late]);
  } catch (e) {
    result.ok = false;
    result.expected = e instanceof AssertionError ? e.expected : 'no exception';
    result.got = e instanceof AssertionError ? e.got : show(e);
    result.about = e instanceof AssertionError ? e.message : String(e && e.stack);
  }
  clearTimeout(timer);
  try {
    t.end();
  } catch (e) {
    result.ok = false;
    result.got = `cleaning up: ${show(e)}`;
  }
  console.log(JSON.stringify(result));
}

export default async function run() {
  console.log(JSON.stringify({ planned: subtests.length }));
  for (const subtest of subtests) await run_one(subtest);
}
