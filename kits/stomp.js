// SPDX-License-Identifier: Apache-2.0
// squall/stomp: a STOMP 1.2 client over WebSocket.
// Documentation: docs/kits/stomp.md. Runs on k6 too: copy this file and import './stomp.js'.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { Counter, Rate, Trend } from 'k6/metrics';

const connecting = new Trend('stomp_connecting', true);
const receiptTime = new Trend('stomp_receipt', true);
const confirmed = new Rate('stomp_confirmed');
const sent = new Counter('stomp_messages_sent');
const received = new Counter('stomp_messages_received');
const errors = new Counter('stomp_errors');
const reconnects = new Counter('stomp_reconnects');

const now = typeof performance === 'object' ? () => performance.now() : () => Date.now();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const ESCAPES = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c' };
const UNESCAPES = { '\\\\': '\\', '\\r': '\r', '\\n': '\n', '\\c': ':' };
const LF = 10, CR = 13;

class ProtocolError extends Error {}

function quiet(promise) { // the caller may ignore it: its failure is counted and must not end the iteration
  promise.catch(() => {});
  return promise;
}

function unescape(text) {
  return text.replace(/\\./g, (pair) => {
    if (!(pair in UNESCAPES)) throw new ProtocolError('an undefined escape in a header');
    return UNESCAPES[pair];
  });
}

// ---- frames: COMMAND, name:value lines, an empty line, the body, NUL

// A string if the body is one, else bytes.
function encode(command, headers, body) {
  const plain = command === 'CONNECT'; // section 1.2, Value Encoding: not escaped
  const bytes = body === undefined || typeof body === 'string' ? null :
    body instanceof ArrayBuffer ? new Uint8Array(body) : new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  let head = command + '\n';
  for (const name of Object.keys(headers)) {
    if (headers[name] === undefined) continue;
    const escape = (text) => (plain ? String(text) : String(text).replace(/[\\\r\n:]/g, (c) => ESCAPES[c]));
    head += `${escape(name)}:${escape(headers[name])}\n`;
  }
  if (!bytes && body === undefined) return head + '\n\0';
  if (!bytes) return `${head}content-length:${encoder.encode(body).length}\n\n${body}\0`;
  const start = encoder.encode(`${head}content-length:${bytes.length}\n\n`);
  const out = new Uint8Array(start.length + bytes.length + 1);
  out.set(start);
  out.set(bytes, start.length);
  return out.buffer;
}

// The first frame in `input`: { frame, end }, or null if it is not complete. Line ends before it are heart-beats.
function decode(input) {
  let at = 0;
  while (at < input.length && (input[at] === LF || input[at] === CR)) at += 1;
  let head = at;
  for (;; head++) {
    head = input.indexOf(LF, head);
    if (head < 0) return null;
    if (input[head + 1] === LF) break;
    if (input[head + 1] === CR && input[head + 2] === LF) break;
  }
  const lines = decoder.decode(input.subarray(at, head)).split('\n').map((l) => l.replace(/\r$/, ''));
  const command = lines.shift();
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 0) throw new ProtocolError('a header without colon');
    const raw = [line.slice(0, colon), line.slice(colon + 1)];
    const [name, value] = command === 'CONNECTED' ? raw : raw.map(unescape);
    if (!(name in headers)) headers[name] = value; // the first of a name counts
  }
  const body = head + (input[head + 1] === CR ? 3 : 2);
  const length = headers['content-length'];
  if (length !== undefined && !/^\d+$/.test(length)) throw new ProtocolError('a content-length that is no number');
  const end = length === undefined ? input.indexOf(0, body) : body + Number(length);
  if (end < 0 || end >= input.length) return null;
  if (input[end] !== 0) throw new ProtocolError('a frame without its NUL');
  return { frame: { command, headers, bytes: input.slice(body, end) }, end: end + 1 };
}

// What a subscription's handler gets.
class Message {
  constructor(client, frame) {
    this.client = client;
    this.headers = frame.headers;
    this.bytes = frame.bytes;
  }
  get body() {
    return decoder.decode(this.bytes);
  }
  json() {
    return JSON.parse(this.body);
  }
  // For the modes client and client-individual. Options: receipt, transaction, headers.
  ack(options) {
    return this.client.command('ACK', { id: this.headers.ack }, undefined, options);
  }
  nack(options) {
    return this.client.command('NACK', { id: this.headers.ack }, undefined, options);
  }
}

class Client {
  constructor(url, options) {
    this.url = url;
    this.options = options;
    this.tags = Object.assign({}, options.tags);
    this.retry = Object.assign({ attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }, options.reconnect || {});
    this.attempt = 0;
    this.handlers = new Map();
    this.leaving = null;
    this.connected = false;
    this.ended = null;
    this.ready_ = [];
    this.waiting = []; // frames for when the connection stands
    this.receipts = new Map();
    this.subscriptions = new Map();
    this.nextId = 1;
    this.open();
  }

  on(name, handler) {
    if (typeof handler !== 'function') throw new TypeError(`on('${name}'): the handler is not a function`);
    this.handlers.set(name, (this.handlers.get(name) || []).concat([handler]));
    return this;
  }
  off(name, handler) {
    this.handlers.set(name, handler ? (this.handlers.get(name) || []).filter((h) => h !== handler) : []);
    return this;
  }
  fire(name, ...args) {
    for (const handler of this.handlers.get(name) || []) handler(...args);
  }

  // A promise of this client once it is connected; rejected when that fails for good.
  ready() {
    return quiet(new Promise((resolve, reject) => {
      if (this.connected) resolve(this);
      else if (this.ended) reject(this.ended);
      else this.ready_.push({ resolve, reject });
    }));
  }

  // ---- the connection

  open() {
    const params = Object.assign({}, this.options.params);
    if (this.options.tags) params.tags = Object.assign({}, this.options.tags, params.tags);
    const ws = new WebSocket(this.url, this.options.protocol || 'v12.stomp', params);
    ws.binaryType = 'arraybuffer';
    this.ws = ws;
    this.started = now();
    this.failure = '';
    this.input = new Uint8Array(0);
    const mine = (f) => (e) => {
      if (this.ws === ws) f(e);
    };
    const gone = mine(() => (this.leaving ? this.leaving() : this.lost(this.failure || 'the connection was closed')));
    ws.onopen = mine(() => this.greet());
    ws.onmessage = mine((e) => {
      try {
        this.feed(typeof e.data === 'string' ? encoder.encode(e.data) : new Uint8Array(e.data));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.fail('protocol error: ' + error.message);
      }
    });
    ws.onerror = mine((e) => {
      this.failure = this.failure || e.error || 'websocket error';
      // Not every implementation lets a close event follow.
      setTimeout(mine(() => ws.readyState === 3 && gone()), 0);
    });
    ws.onclose = gone;
    this.timer = setTimeout(() => this.fail('connect timeout'), this.options.timeout || 20000);
  }

  greet() {
    const o = this.options;
    const host = o.host === undefined ? /^\w+:\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^:/?#]*)/.exec(this.url)[1] : o.host;
    this.beat = o.heartbeat || [10000, 10000];
    this.transmit(encode('CONNECT', Object.assign({
      'accept-version': '1.2', host, 'heart-beat': this.beat.join(','), login: o.login, passcode: o.passcode,
    }, o.headers)));
  }

  transmit(data) {
    this.lastSent = now();
    this.ws.send(data);
  }

  feed(bytes) {
    const ws = this.ws;
    let input = bytes;
    this.lastReceived = now();
    if (this.input.length) {
      input = new Uint8Array(this.input.length + bytes.length);
      input.set(this.input);
      input.set(bytes, this.input.length);
    }
    for (let got; this.ws === ws && (got = decode(input)); ) {
      input = input.subarray(got.end);
      this.receive(got.frame);
    }
    this.input = input.every((b) => b === LF || b === CR) ? new Uint8Array(0) : input;
  }

  // Gives the connection up without waiting for the peer.
  fail(reason, final) {
    const ws = this.ws;
    this.lost(reason, final);
    ws.close();
  }

  stopTimers() {
    for (const timer of [this.timer, this.beater, this.watcher]) clearTimeout(timer);
  }

  lost(reason, final) {
    this.stopTimers();
    this.ws = null;
    const was = this.connected;
    const error = reason instanceof Error ? reason : new Error('stomp: ' + reason);
    this.connected = false;
    errors.add(1, this.tags);
    if (!final && this.attempt < this.retry.attempts) {
      const wait = Math.min(this.retry.delay * 2 ** this.attempt, this.retry.maxDelay);
      this.attempt += 1;
      this.timer = setTimeout(() => {
        reconnects.add(1, this.tags);
        this.open();
      }, wait * (1 + this.retry.jitter * (2 * Math.random() - 1)));
      const kept = new Set(this.waiting.map((w) => w.receipt));
      for (const id of [...this.receipts.keys()]) if (!kept.has(id)) this.settle(id, error);
    } else {
      this.finish(error);
    }
    this.fire('error', error);
    if (was) this.fire('close', error);
  }

  finish(error) {
    this.ended = error;
    this.waiting = [];
    for (const id of [...this.receipts.keys()]) this.settle(id, error);
    for (const waiter of this.ready_.splice(0)) waiter.reject(error);
  }

  // Sends DISCONNECT, awaits its receipt and closes. A promise that is kept when the server confirmed.
  end() {
    const done = (error) => {
      if (this.ended) return;
      const ws = this.ws, was = this.connected;
      this.stopTimers();
      this.ws = null;
      this.connected = false;
      this.finish(error || new Error('stomp: the client has ended'));
      if (ws && ws.readyState < 2) ws.close();
      if (was) this.fire('close', null);
    };
    if (!this.connected) {
      done();
      return Promise.resolve();
    }
    const farewell = this.command('DISCONNECT', {}, undefined, { receipt: true });
    // RabbitMQ closes without the receipt that it owes; that is an answer, too.
    this.leaving = () => {
      const [id, receipt] = [...this.receipts].find(([, r]) => r.tags.command === 'DISCONNECT');
      this.receipts.delete(id);
      clearTimeout(receipt.timer);
      receipt.resolve();
      done();
    };
    return quiet(farewell.then(() => done(), (error) => {
      done(error);
      throw error;
    }));
  }

  // ---- what the server says

  receive({ command, headers, bytes }) {
    if (command === 'CONNECTED' && !this.connected) {
      this.welcome(headers);
    } else if (command === 'ERROR') {
      const words = headers.message || decoder.decode(bytes);
      const error = Object.assign(new Error('stomp: ' + words), { headers, body: decoder.decode(bytes) });
      if (headers['receipt-id']) this.settle(headers['receipt-id'], error);
      this.fail(error, !this.connected);
    } else if (command === 'MESSAGE' && this.connected) {
      const subscription = this.subscriptions.get(headers.subscription);
      if (!subscription) return; // unsubscribed meanwhile
      received.add(1, subscription.tags);
      subscription.handler(new Message(this, { headers, bytes }));
    } else if (command === 'RECEIPT' && this.connected) {
      this.settle(headers['receipt-id'], null, headers);
    } else {
      throw new ProtocolError(`an unexpected frame '${command.slice(0, 40)}'`);
    }
  }

  welcome(headers) {
    const [sx, sy] = (headers['heart-beat'] || '0,0').split(',').map(Number);
    const [cx, cy] = this.beat;
    clearTimeout(this.timer);
    connecting.add(now() - this.started, this.tags);
    this.connected = true;
    this.attempt = 0;
    this.server = headers;
    if (cx && sy) this.beatOut(Math.max(cx, sy));
    if (cy && sx) this.beatIn(Math.max(cy, sx));
    for (const s of this.subscriptions.values()) if (s.made) this.transmit(encode('SUBSCRIBE', s.headers));
    for (const early of this.waiting.splice(0)) this.post(early);
    for (const waiter of this.ready_.splice(0)) waiter.resolve(this);
    this.fire('connect', headers);
  }

  beatOut(ms) {
    const due = ms * 0.8 - (now() - this.lastSent);
    this.beater = setTimeout(() => {
      if (now() - this.lastSent >= ms * 0.7) this.transmit('\n');
      this.beatOut(ms);
    }, Math.max(1, due));
  }

  beatIn(ms) {
    this.watcher = setTimeout(() => {
      if (now() - this.lastReceived >= 2 * ms) this.fail('no heart-beat of the server');
      else this.beatIn(ms);
    }, Math.max(1, 2 * ms - (now() - this.lastReceived)));
  }

  settle(id, error, headers) {
    const receipt = this.receipts.get(id);
    if (!receipt) return;
    this.receipts.delete(id);
    clearTimeout(receipt.timer);
    confirmed.add(!error, receipt.tags);
    if (error) {
      receipt.reject(error);
      return;
    }
    receiptTime.add(now() - receipt.at, receipt.tags);
    receipt.resolve(headers);
  }

  // ---- what the client says

  // A promise that is kept when the frame was sent or, with { receipt: true }, when the server's receipt came. Other
  // options: transaction (an id), headers.
  command(command, headers, body, options = {}) {
    const all = Object.assign({}, headers, options.headers);
    if (options.transaction) all.transaction = options.transaction;
    return quiet(new Promise((resolve, reject) => {
      if (this.ended) {
        if (options.receipt) confirmed.add(false, Object.assign({ command }, this.tags));
        reject(this.ended);
        return;
      }
      const item = { command, headers: all, body, resolve };
      if (options.receipt) {
        item.receipt = all.receipt = 'r' + this.nextId++;
        const timer = setTimeout(() => this.settle(item.receipt, new Error(`stomp: no receipt for ${command} in time`)),
          this.options.receiptTimeout || 10000);
        this.receipts.set(item.receipt, {
          resolve, reject, timer, at: now(), tags: Object.assign({ command }, this.tags),
        });
      }
      if (this.connected) this.post(item);
      else this.waiting.push(item);
    }));
  }

  post(item) {
    const receipt = this.receipts.get(item.receipt);
    if (receipt) receipt.at = now();
    if (item.command === 'SUBSCRIBE' && this.subscriptions.has(item.headers.id))
      this.subscriptions.get(item.headers.id).made = true;
    if (item.command === 'SEND') sent.add(1, Object.assign({ destination: item.headers.destination }, this.tags));
    this.transmit(encode(item.command, item.headers, item.body));
    if (!item.receipt) item.resolve();
  }

  // Sends a message. The body is a string or bytes; anything else is sent as JSON.
  // Options: receipt false, transaction, headers, contentType.
  send(destination, body = '', options = {}) {
    const raw = typeof body === 'string' || body instanceof ArrayBuffer || ArrayBuffer.isView(body);
    const type = options.contentType || (raw ? undefined : 'application/json');
    return this.command('SEND', { destination, 'content-type': type }, raw ? body : JSON.stringify(body), options);
  }

  // Calls `handler` with every message. Options: ack 'auto', 'client' or 'client-individual', receipt false, headers.
  // Returns { id, done, unsubscribe(options) }; done is the promise of the SUBSCRIBE.
  subscribe(destination, handler, options = {}) {
    if (typeof handler !== 'function') throw new TypeError('subscribe: the handler is not a function');
    const id = 's' + this.nextId++;
    const headers = Object.assign({ id, destination, ack: options.ack || 'auto' }, options.headers);
    const entry = { handler, headers, tags: Object.assign({ destination }, this.tags), made: false };
    this.subscriptions.set(id, entry);
    const done = this.command('SUBSCRIBE', headers, undefined, options);
    return {
      id,
      done,
      unsubscribe: (o) => {
        this.subscriptions.delete(id);
        return this.command('UNSUBSCRIBE', { id }, undefined, o);
      },
    };
  }

  // Begins a transaction: its sends and acknowledgements count when it is committed.
  begin() {
    const transaction = 't' + this.nextId++;
    const within = (options) => Object.assign({}, options, { transaction });
    this.command('BEGIN', { transaction }, undefined, {});
    return {
      id: transaction,
      send: (destination, body, options) => this.send(destination, body, within(options)),
      ack: (message, options) => message.ack(within(options)),
      nack: (message, options) => message.nack(within(options)),
      commit: (options) => this.command('COMMIT', { transaction }, undefined, options),
      abort: (options) => this.command('ABORT', { transaction }, undefined, options),
    };
  }
}

// Connects and returns a Client. Options, all optional:
//   login, passcode, host (the URL's), headers (of CONNECT)
//   heartbeat  [10000, 10000]: ms between ours, and between the server's; 0: none
//   timeout    20000 ms until CONNECTED; receiptTimeout 10000 ms
//   reconnect  { attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }; subscriptions are made again
//   tags       for all metrics
//   params     of the WebSocket: headers, tags, jar, compression
//   protocol   'v12.stomp'
export function connect(url, options = {}) {
  return new Client(url, options);
}

export default { connect };
