// SPDX-License-Identifier: Apache-2.0
// Streams (WHATWG Streams, the default kinds) and WebSocketStream over the native WebSocket, in the language they are
// for: none of it is on a hot path of k6's API. An arrow function of the module's classes, of hold(socket, whether),
// which stops and starts reading, and of isFull(socket): a `drain` event will tell when there is room again.
'use strict';
(({ WebSocket, DOMException, AbortSignal }, hold, isFull) => {
let readableState, writableState;
const later = () => { let resolve, reject; const promise = new Promise((a, b) => { resolve = a; reject = b; });
  return { promise, resolve, reject }; };
const quiet = (promise) => { promise.catch(() => {}); return promise; };
const isObject = (x) => (typeof x === 'object' && x !== null) || typeof x === 'function';
const sizeBy = (sizeOf, chunk, fail) => {
  let size;
  try { size = Number(sizeOf(chunk)); } catch (e) { fail(e); throw e; }
  if (size >= 0 && size < Infinity) return size;
  const e = new RangeError('the size of a chunk must be a finite number of at least 0');
  fail(e);
  throw e;
};
const tag = (c, name) => Object.defineProperty(c.prototype, Symbol.toStringTag, { value: name, configurable: true });
const limit = (strategy, fallback) => {
  const n = strategy?.highWaterMark === undefined ? fallback : Number(strategy.highWaterMark);
  if (Number.isNaN(n) || n < 0) throw new RangeError('highWaterMark must be a number of at least 0');
  return n;
};

class ReadableStreamDefaultController {
  #stream;
  constructor(stream) { this.#stream = stream; }
  get desiredSize() { return this.#stream.desired(); }
  enqueue(chunk) { this.#stream.enqueue(chunk); }
  close() { this.#stream.end(); }
  error(e) { this.#stream.fail(e); }
}

class ReadableState {
  queue = []; size = 0; reads = []; state = 'readable'; error = undefined; closing = false; reader = null;
  pulling = false; again = false; started = false;
  constructor(source, strategy) {
    this.source = source; this.max = limit(strategy, 1); this.sizeOf = strategy?.size ?? (() => 1);
    this.controller = new ReadableStreamDefaultController(this);
    const first = source.start?.(this.controller);
    Promise.resolve(first).then(() => { this.started = true; this.pull(); }, (e) => this.fail(e));
  }
  desired() { return this.state === 'errored' ? null : this.state === 'closed' ? 0 : this.max - this.size; }
  pull() {
    if (!this.started || this.closing || this.state !== 'readable' || (!this.reads.length && this.desired() <= 0)) return;
    if (this.pulling) { this.again = true; return; }
    if (!this.source.pull) return;
    this.pulling = true;
    let p;
    try { p = Promise.resolve(this.source.pull(this.controller)); } catch (e) { p = Promise.reject(e); }
    p.then(() => { this.pulling = false; if (this.again) { this.again = false; this.pull(); } }, (e) => this.fail(e));
  }
  enqueue(value) {
    if (this.closing || this.state !== 'readable') throw new TypeError('the stream is closed');
    if (this.reads.length) this.reads.shift().resolve({ value, done: false });
    else { const size = sizeBy(this.sizeOf, value, (e) => this.fail(e)); this.queue.push({ value, size }); this.size += size; }
    this.pull();
  }
  end() {
    if (this.closing || this.state !== 'readable') throw new TypeError('the stream is closed already');
    this.closing = true;
    if (!this.queue.length) this.finish();
  }
  finish() {
    this.state = 'closed';
    for (const r of this.reads.splice(0)) r.resolve({ value: undefined, done: true });
    this.reader?.done.resolve();
  }
  fail(e) {
    if (this.state !== 'readable') return;
    this.state = 'errored'; this.error = e; this.queue = []; this.size = 0;
    for (const r of this.reads.splice(0)) r.reject(e);
    this.reader?.done.reject(e);
  }
  read() {
    if (this.state === 'errored') return Promise.reject(this.error);
    if (this.queue.length) {
      const { value, size } = this.queue.shift();
      this.size -= size;
      if (this.closing && !this.queue.length) this.finish(); else this.pull();
      return Promise.resolve({ value, done: false });
    }
    if (this.state === 'closed') return Promise.resolve({ value: undefined, done: true });
    const r = later();
    this.reads.push(r);
    this.pull();
    return r.promise;
  }
  async cancel(reason) {
    if (this.state === 'closed') return;
    if (this.state === 'errored') throw this.error;
    this.queue = []; this.size = 0;
    this.finish();
    await this.source.cancel?.(reason);
  }
}

class ReadableStreamDefaultReader {
  #state; #done = later();
  constructor(stream) {
    const s = readableState(stream), done = this.#done;
    if (s.reader) throw new TypeError('the stream is locked');
    this.#state = s;
    s.reader = { done };
    quiet(done.promise);
    if (s.state === 'closed') done.resolve(); else if (s.state === 'errored') done.reject(s.error);
  }
  get closed() { return this.#done.promise; }
  read() { return this.#state ? this.#state.read() : Promise.reject(new TypeError('the reader was released')); }
  cancel(reason) {
    return this.#state ? this.#state.cancel(reason) : Promise.reject(new TypeError('the reader was released'));
  }
  releaseLock() {
    const s = this.#state;
    if (!s) return;
    const e = new TypeError('the reader was released');
    for (const r of s.reads.splice(0)) r.reject(e);
    this.#done.reject(e);
    s.reader = null; this.#state = null;
  }
}

class ReadableStream {
  #state;
  static { readableState = (stream) => stream.#state; }
  constructor(source = {}, strategy = {}) {
    if (!isObject(source)) throw new TypeError('the underlying source is not an object');
    if (source.type === 'bytes') throw new TypeError('byte streams are not supported');
    if (source.type !== undefined) throw new RangeError('no such type of stream: ' + source.type);
    for (const name of ['start', 'pull', 'cancel'])
      if (source[name] !== undefined && typeof source[name] !== 'function') throw new TypeError(name + ' is not a function');
    this.#state = new ReadableState(source, strategy);
  }
  get locked() { return this.#state.reader !== null; }
  getReader(options) {
    if (options?.mode === 'byob') throw new TypeError('byte streams are not supported');
    if (options?.mode !== undefined) throw new TypeError('no such mode of a reader: ' + options.mode);
    return new ReadableStreamDefaultReader(this);
  }
  static from(items) {
    const of = items?.[Symbol.asyncIterator] ?? items?.[Symbol.iterator];
    if (typeof of !== 'function') throw new TypeError('not an iterable');
    const iterator = of.call(items);
    return new ReadableStream({
      async pull(c) {
        const { value, done } = await iterator.next();
        if (done) c.close(); else c.enqueue(await value);
      },
      async cancel(reason) { await iterator.return?.(reason); },
    }, { highWaterMark: 0 });
  }
  tee() {
    const reader = this.getReader(), controllers = [], reasons = [], gone = later();
    let reading = false;
    const open = (f) => controllers.forEach((c, i) => { if (!(i in reasons)) f(c); });
    const pull = () => {
      if (reading) return;
      reading = true;
      reader.read().then(({ value, done }) => {
        reading = false;
        open((c) => { if (done) c.close(); else c.enqueue(value); });
        if (done) gone.resolve();
      }, (e) => { open((c) => c.error(e)); gone.resolve(); });
    };
    const branch = (i) => new ReadableStream({
      start(c) { controllers[i] = c; },
      pull,
      cancel(reason) {
        reasons[i] = reason;
        if (0 in reasons && 1 in reasons) gone.resolve(reader.cancel([...reasons]));
        return gone.promise;
      },
    }, { highWaterMark: 0 });
    return [branch(0), branch(1)];
  }
  cancel(reason) {
    return this.locked ? Promise.reject(new TypeError('the stream is locked')) : this.#state.cancel(reason);
  }
  async *values({ preventCancel = false } = {}) {
    const reader = this.getReader();
    let ended = false;
    try {
      for (;;) {
        const { value, done } = await reader.read().catch((e) => { ended = true; throw e; });
        if (done) { ended = true; return; }
        yield value;
      }
    } finally {
      if (!ended && !preventCancel) await reader.cancel();
      reader.releaseLock();
    }
  }
  [Symbol.asyncIterator](options) { return this.values(options); }
  async pipeTo(destination, { preventClose = false, preventAbort = false, preventCancel = false } = {}) {
    const reader = this.getReader(), writer = destination.getWriter();
    try {
      for (;;) {
        await writer.ready;
        const { value, done } = await reader.read().catch(async (e) => {
          if (!preventAbort) await writer.abort(e);
          throw e;
        });
        if (done) break;
        await writer.write(value).catch(async (e) => { if (!preventCancel) await reader.cancel(e); throw e; });
      }
      if (!preventClose) await writer.close();
    } finally { reader.releaseLock(); writer.releaseLock(); }
  }
  pipeThrough({ writable, readable }, options) { quiet(this.pipeTo(writable, options)); return readable; }
}

class WritableState {
  queue = []; size = 0; state = 'writable'; error = undefined; closing = null; busy = false; started = false;
  writer = null; ready = later(); done = later();
  constructor(sink, strategy) {
    this.sink = sink; this.max = limit(strategy, 1); this.sizeOf = strategy?.size ?? (() => 1);
    quiet(this.ready.promise); quiet(this.done.promise);
    this.controller = { error: (e) => this.fail(e) };
    const first = sink.start?.(this.controller);
    if (this.desired() > 0) this.ready.resolve();
    Promise.resolve(first).then(() => { this.started = true; this.next(); }, (e) => this.fail(e));
  }
  desired() { return this.state === 'errored' ? null : this.state === 'closed' ? 0 : this.max - this.size; }
  write(chunk) {
    if (this.state === 'errored') return Promise.reject(this.error);
    if (this.state === 'closed' || this.closing) return Promise.reject(new TypeError('the stream is closing or closed'));
    const result = later();
    let size;
    try { size = sizeBy(this.sizeOf, chunk, (e) => this.fail(e)); } catch (e) { return Promise.reject(e); }
    const wasReady = this.desired() > 0;
    this.queue.push({ chunk, size, result });
    this.size += size;
    if (wasReady && this.desired() <= 0) { this.ready = later(); quiet(this.ready.promise); }
    this.next();
    return result.promise;
  }
  close() {
    if (this.state === 'errored') return Promise.reject(this.error);
    if (this.state === 'closed' || this.closing) return Promise.reject(new TypeError('the stream is closing or closed'));
    this.closing = later();
    this.next();
    return this.closing.promise;
  }
  next() {
    if (!this.started || this.busy || this.state !== 'writable') return;
    const item = this.queue[0];
    if (!item && !this.closing) return;
    this.busy = true;
    let p;
    try { p = Promise.resolve(item ? this.sink.write?.(item.chunk, this.controller) : this.sink.close?.()); }
    catch (e) { p = Promise.reject(e); }
    p.then(() => {
      this.busy = false;
      if (!item) { this.state = 'closed'; this.closing.resolve(); this.done.resolve(); return; }
      item.result.resolve();
      if (this.queue[0] !== item) return;
      this.queue.shift();
      this.size -= item.size;
      if (this.desired() > 0) this.ready.resolve();
      this.next();
    }, (e) => { this.busy = false; this.fail(e); item?.result.reject(e); });
  }
  fail(e) {
    if (this.state !== 'writable') return;
    this.state = 'errored'; this.error = e;
    for (const item of this.queue.splice(0)) { quiet(item.result.promise); item.result.reject(e); }
    this.size = 0;
    if (this.closing) { quiet(this.closing.promise); this.closing.reject(e); }
    this.ready.reject(e); this.done.reject(e);
    this.ready = later(); quiet(this.ready.promise); this.ready.reject(e);
  }
  async abort(reason) {
    if (this.state !== 'writable') return;
    this.fail(reason);
    await this.sink.abort?.(reason);
  }
}

class WritableStreamDefaultWriter {
  #state;
  constructor(stream) {
    const s = writableState(stream);
    if (s.writer) throw new TypeError('the stream is locked');
    s.writer = this; this.#state = s;
  }
  #use(f) { return this.#state ? f(this.#state) : Promise.reject(new TypeError('the writer was released')); }
  get closed() { return this.#use((s) => s.done.promise); }
  get ready() { return this.#use((s) => s.ready.promise); }
  get desiredSize() { if (!this.#state) throw new TypeError('the writer was released'); return this.#state.desired(); }
  write(chunk) { return this.#use((s) => s.write(chunk)); }
  close() { return this.#use((s) => s.close()); }
  abort(reason) { return this.#use((s) => s.abort(reason)); }
  releaseLock() { if (this.#state) this.#state.writer = null; this.#state = null; }
}

class WritableStream {
  #state;
  static { writableState = (stream) => stream.#state; }
  constructor(sink = {}, strategy = {}) {
    if (!isObject(sink)) throw new TypeError('the underlying sink is not an object');
    this.#state = new WritableState(sink, strategy);
  }
  get locked() { return this.#state.writer !== null; }
  getWriter() { return new WritableStreamDefaultWriter(this); }
  close() { return this.locked ? Promise.reject(new TypeError('the stream is locked')) : this.#state.close(); }
  abort(reason) { return this.locked ? Promise.reject(new TypeError('the stream is locked')) : this.#state.abort(reason); }
}

const utf8 = (s) => { let n = 0; for (const c of s) { const p = c.codePointAt(0); n += p < 0x80 ? 1 : p < 0x800 ? 2 : p < 0x10000 ? 3 : 4; }
  return n; };
const dictionary = (value, what) => {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new TypeError(what + ' is not an object');
  return value;
};
const closeInfo = (init) => {
  const given = dictionary(init, 'the close info');
  let { closeCode = null, reason = '' } = given;
  if (closeCode !== null) closeCode = Math.min(Math.max(Math.round(Number(closeCode)) || 0, 0), 65535);
  reason = String(reason);
  if (closeCode !== null && closeCode !== 1000 && !(closeCode >= 3000 && closeCode <= 4999))
    throw new DOMException('the close code ' + closeCode + ' is not allowed', 'InvalidAccessError');
  if (utf8(reason) > 123) throw new DOMException('the close reason is longer than 123 bytes', 'SyntaxError');
  return { closeCode: closeCode === null && reason !== '' ? 1000 : closeCode, reason };
};

let unchecked = null;
class WebSocketError extends DOMException {
  #code; #reason;
  constructor(message = '', init = {}) {
    super(message, 'WebSocketError');
    const { closeCode, reason } = unchecked ?? closeInfo(init);
    this.#code = closeCode; this.#reason = reason;
  }
  get closeCode() { return this.#code; }
  get reason() { return this.#reason; }
}
const lost = (message, closeCode, reason) => {
  unchecked = { closeCode, reason };
  try { return new WebSocketError(message); } finally { unchecked = null; }
};

class WebSocketStream {
  #ws; #opened = later(); #closed = later(); #readable; #writable; #room = null; #in; #wasOpen = false; #aborted = null;
  constructor(url, options = {}) {
    if (!arguments.length) throw new TypeError('WebSocketStream requires a url');
    const { protocols, signal, ...params } = dictionary(options, 'the options');
    if (protocols !== undefined && (!isObject(protocols) || protocols[Symbol.iterator] === undefined))
      throw new TypeError("'protocols' is not a list");
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("'signal' is not an AbortSignal");
    quiet(this.#opened.promise); quiet(this.#closed.promise);
    if (signal?.aborted) {
      this.#ws = { url: String(url), close() {} };
      this.#opened.reject(signal.reason); this.#closed.reject(signal.reason);
      return;
    }
    const ws = this.#ws = new WebSocket(url, protocols === undefined ? [] : [...protocols], params);
    ws.binaryType = 'arraybuffer';
    const abort = () => { this.#aborted = { reason: signal.reason }; ws.close(); };
    signal?.addEventListener('abort', abort);
    ws.onopen = () => { signal?.removeEventListener('abort', abort); this.#open(); };
    ws.onmessage = (e) => this.#message(e.data);
    let failure = '';
    ws.onerror = (e) => { failure = e.error; };
    ws.onclose = (e) => this.#close(e, failure);
    ws.addEventListener('drain', () => { this.#room?.resolve(); this.#room = null; });
  }
  get url() { return this.#ws.url; }
  get opened() { return #opened in this ? this.#opened.promise : Promise.reject(new TypeError('no WebSocketStream')); }
  get closed() { return #closed in this ? this.#closed.promise : Promise.reject(new TypeError('no WebSocketStream')); }
  close(info = {}) {
    const { closeCode, reason } = closeInfo(info);
    if (closeCode === null) this.#ws.close(); else this.#ws.close(closeCode, reason);
  }
  #closeFor(reason) {
    if (reason instanceof WebSocketError && reason.closeCode !== null) this.#ws.close(reason.closeCode, reason.reason);
    else this.#ws.close();
  }
  #open() {
    const ws = this.#ws;
    this.#wasOpen = true;
    this.#readable = new ReadableStream({
      start: (c) => { this.#in = c; },
      pull: () => hold(ws, false),
      cancel: (reason) => { hold(ws, false); this.#closeFor(reason); },
    }, { highWaterMark: 1 });
    this.#writable = new WritableStream({
      write: (chunk) => this.#write(chunk),
      close: () => { ws.close(); return this.#closed.promise.then(() => {}); },
      abort: (reason) => this.#closeFor(reason),
    });
    const extensions = Array.isArray(ws.extensions) ? ws.extensions.join(', ') : ws.extensions;
    this.#opened.resolve({ readable: this.#readable, writable: this.#writable, extensions, protocol: ws.protocol });
  }
  #message(data) {
    const c = this.#in;
    if (readableState(this.#readable).state !== 'readable') return;
    c.enqueue(typeof data === 'string' ? data : new Uint8Array(data));
    if (c.desiredSize <= 0) hold(this.#ws, true);
  }
  #write(chunk) {
    const ws = this.#ws;
    if (typeof chunk !== 'string' && !(chunk instanceof ArrayBuffer) && !ArrayBuffer.isView(chunk)) chunk = String(chunk);
    if (ws.readyState !== 1) throw new DOMException('the connection is closing', 'InvalidStateError');
    ws.send(chunk);
    if (!isFull(ws)) return undefined;
    if (!this.#room) this.#room = later();
    return this.#room.promise;
  }
  #close(e, failure) {
    const unsent = this.#room !== null || this.#ws.bufferedAmount > 0;
    if (!this.#wasOpen) {
      const error = this.#aborted ? this.#aborted.reason : lost(failure || 'the connection failed', 1006, '');
      this.#opened.reject(error); this.#closed.reject(error);
      return;
    }
    const readable = readableState(this.#readable), writable = writableState(this.#writable);
    if (e.wasClean && !unsent) {
      if (readable.state === 'readable' && !readable.closing) readable.end();
      this.#closed.resolve({ closeCode: e.code, reason: e.reason });
      if (!writable.closing) writable.fail(new DOMException('the connection was closed', 'InvalidStateError'));
      return;
    }
    const error = lost(failure || 'the connection was lost', e.code, e.reason);
    const cut = unsent && e.wasClean ? new DOMException('closed before all was sent', 'InvalidStateError') : error;
    readable.fail(error); this.#closed.reject(error); writable.fail(cut);
    this.#room?.reject(cut);
  }
}

const strategy = (size) => class {
  #mark;
  constructor(init) {
    if (!isObject(init) || init.highWaterMark === undefined) throw new TypeError('highWaterMark is needed');
    this.#mark = Number(init.highWaterMark);
  }
  get highWaterMark() { return this.#mark; }
  get size() { return size; }
};
const CountQueuingStrategy = strategy(() => 1), ByteLengthQueuingStrategy = strategy((chunk) => chunk.byteLength);
for (const [c, name] of [[CountQueuingStrategy, 'CountQueuingStrategy'], [ByteLengthQueuingStrategy, 'ByteLengthQueuingStrategy']])
  Object.defineProperty(c, 'name', { value: name });
for (const c of [ReadableStream, WritableStream, WebSocketStream, WebSocketError, ReadableStreamDefaultReader,
  ReadableStreamDefaultController, WritableStreamDefaultWriter, CountQueuingStrategy, ByteLengthQueuingStrategy]) {
  tag(c, c.name);
  for (const key of Object.getOwnPropertyNames(c.prototype))
    if (key !== 'constructor') Object.defineProperty(c.prototype, key, { enumerable: true });
}
const ofBytes = (parts) => { let i = 0; return new ReadableStream({
  pull(c) { if (i < parts.length) c.enqueue(parts[i++]); else c.close(); } }, { highWaterMark: 0 }); };
return { ReadableStream, WritableStream, WebSocketStream, WebSocketError, ofBytes, CountQueuingStrategy,
  ByteLengthQueuingStrategy, ReadableStreamDefaultReader, ReadableStreamDefaultController, WritableStreamDefaultWriter };
})
