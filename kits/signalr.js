// SPDX-License-Identifier: Apache-2.0
// squall/signalr: an ASP.NET Core SignalR client, JSON hub protocol, over WebSocket without negotiation.
// Documentation: docs/kits/signalr.md. Runs on k6 too: copy this file and import './signalr.js'.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { Counter, Rate, Trend } from 'k6/metrics';

const connecting = new Trend('signalr_connecting', true);
const invocationTime = new Trend('signalr_invocation', true);
const firstItem = new Trend('signalr_first_item', true);
const succeeded = new Rate('signalr_succeeded');
const sent = new Counter('signalr_messages_sent');
const received = new Counter('signalr_messages_received');
const items = new Counter('signalr_stream_items');
const errors = new Counter('signalr_errors');
const reconnects = new Counter('signalr_reconnects');

const INVOCATION = 1, ITEM = 2, COMPLETION = 3, STREAM = 4, CANCEL = 5, PING = 6, CLOSE = 7;
const END = '\x1e';

const now = typeof performance === 'object' ? () => performance.now() : () => Date.now();

class ProtocolError extends Error {}

function quiet(promise) { // the caller may ignore it: its failure is counted and must not end the iteration
  promise.catch(() => {});
  return promise;
}

function parse(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError(error.message);
  }
  if (message === null || typeof message !== 'object') throw new ProtocolError('a message that is no object');
  return message;
}

class Client {
  constructor(url, options) {
    const pairs = Object.entries(options.query || {});
    if (options.accessToken) pairs.push(['access_token', options.accessToken]);
    const query = pairs.map((p) => p.map(encodeURIComponent).join('=')).join('&');
    this.url = url.replace(/^http/, 'ws') + (query ? (url.includes('?') ? '&' : '?') + query : '');
    this.options = options;
    this.tags = Object.assign({}, options.tags);
    this.retry = Object.assign({ attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }, options.reconnect || {});
    this.attempt = 0;
    this.methods = new Map();
    this.connected = false;
    this.ended = null;
    this.ready_ = [];
    this.waiting = [];
    this.calls = new Map();
    this.nextId = 0;
    this.onconnect = this.onreconnecting = this.onclose = this.onerror = null;
    this.open();
  }

  // Methods that the hub calls. What a handler returns, or its promise, is the result if the hub wants one.
  on(method, handler) {
    if (typeof handler !== 'function') throw new TypeError(`on('${method}'): the handler is not a function`);
    const name = method.toLowerCase();
    this.methods.set(name, (this.methods.get(name) || []).concat([handler]));
    return this;
  }
  off(method, handler) {
    const name = method.toLowerCase();
    this.methods.set(name, handler ? (this.methods.get(name) || []).filter((h) => h !== handler) : []);
    return this;
  }

  // A promise of this client once the handshake is done; rejected when that fails for good.
  ready() {
    return quiet(new Promise((resolve, reject) => {
      if (this.connected) resolve(this);
      else if (this.ended) reject(this.ended);
      else this.ready_.push({ resolve, reject });
    }));
  }

  open() {
    const params = Object.assign({}, this.options.params);
    if (this.options.tags) params.tags = Object.assign({}, this.options.tags, params.tags);
    const ws = new WebSocket(this.url, null, params);
    this.ws = ws;
    this.started = now();
    this.failure = '';
    this.input = '';
    const mine = (f) => (e) => {
      if (this.ws === ws) f(e);
    };
    ws.onopen = mine(() => this.transmit({ protocol: 'json', version: 1 }));
    ws.onmessage = mine((e) => {
      try {
        if (typeof e.data !== 'string') throw new ProtocolError('a binary message');
        this.feed(e.data);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.fail('protocol error: ' + error.message);
      }
    });
    ws.onerror = mine((e) => {
      this.failure = e.error || 'websocket error';
      // Not every implementation lets a close event follow.
      setTimeout(mine(() => ws.readyState === 3 && this.lost(this.failure)), 0);
    });
    ws.onclose = mine(() => this.lost(this.failure || 'the connection was closed'));
    this.timer = setTimeout(() => this.fail('handshake timeout'), this.options.timeout || 20000);
  }

  transmit(message) {
    this.lastSent = now();
    this.ws.send(JSON.stringify(message) + END);
  }

  // Records end with 0x1e; a WebSocket message may hold several and parts of them.
  feed(text) {
    const ws = this.ws;
    const records = (this.input + text).split(END);
    this.input = records.pop();
    this.lastReceived = now();
    for (const record of records) {
      if (this.ws !== ws) return;
      const message = parse(record);
      if (this.connected) this.receive(message);
      else this.welcome(message);
    }
  }

  welcome(answer) {
    if (answer.error) {
      this.fail('handshake refused: ' + answer.error, true);
      return;
    }
    clearTimeout(this.timer);
    connecting.add(now() - this.started, this.tags);
    this.connected = true;
    this.attempt = 0;
    this.keep();
    this.watch();
    for (const early of this.waiting.splice(0)) this.post(early);
    for (const waiter of this.ready_.splice(0)) waiter.resolve(this);
    if (this.onconnect) this.onconnect();
  }

  keep() {
    const ms = this.options.keepalive === undefined ? 15000 : this.options.keepalive;
    if (!ms) return;
    this.keeper = setTimeout(() => {
      if (now() - this.lastSent >= ms * 0.9) this.transmit({ type: PING });
      this.keep();
    }, Math.max(1, ms - (now() - this.lastSent)));
  }

  watch() {
    const ms = this.options.serverTimeout === undefined ? 30000 : this.options.serverTimeout;
    if (!ms) return;
    this.watcher = setTimeout(() => {
      if (now() - this.lastReceived >= ms) this.fail('the server has fallen silent');
      else this.watch();
    }, Math.max(1, ms - (now() - this.lastReceived)));
  }

  // Gives the connection up without waiting for the peer.
  fail(reason, final) {
    const ws = this.ws;
    this.lost(reason, final);
    ws.close();
  }

  down() {
    for (const timer of [this.timer, this.keeper, this.watcher]) clearTimeout(timer);
    this.ws = null;
    this.connected = false;
  }

  lost(reason, final) {
    const error = new Error('signalr: ' + reason), was = this.connected;
    this.down();
    errors.add(1, this.tags);
    const again = !final && this.attempt < this.retry.attempts;
    if (again) {
      const wait = Math.min(this.retry.delay * 2 ** this.attempt, this.retry.maxDelay);
      this.attempt += 1;
      this.timer = setTimeout(() => {
        reconnects.add(1, this.tags);
        this.open();
      }, wait * (1 + this.retry.jitter * (2 * Math.random() - 1)));
      const kept = new Set(this.waiting.map((call) => call.id));
      for (const call of [...this.calls.values()]) if (!kept.has(call.id)) this.settle(call, error);
    } else {
      this.finish(error);
    }
    if (this.onerror) this.onerror(error);
    if (again && was && this.onreconnecting) this.onreconnecting(error);
    if (!again && was && this.onclose) this.onclose(error);
  }

  finish(error) {
    this.ended = error;
    this.waiting = [];
    for (const call of [...this.calls.values()]) this.settle(call, error);
    for (const waiter of this.ready_.splice(0)) waiter.reject(error);
  }

  stop() {
    if (this.ended) return;
    const ws = this.ws, was = this.connected;
    if (was) this.transmit({ type: CLOSE });
    this.down();
    this.finish(new Error('signalr: the client has stopped'));
    if (ws && ws.readyState < 2) ws.close();
    if (was && this.onclose) this.onclose(null);
  }

  // ---- what the hub says

  receive(message) {
    const call = this.calls.get(message.invocationId);
    switch (message.type) {
      case INVOCATION:
        return this.called(message);
      case ITEM:
        if (!call || !call.stream) return undefined;
        if (!call.count++) firstItem.add(now() - call.at, call.tags);
        items.add(1, call.tags);
        return call.sink.next && call.sink.next(message.item);
      case COMPLETION:
        return call && this.settle(call, message.error ? new Error('signalr: ' + message.error) : null, message.result);
      case PING:
        return undefined;
      case CLOSE:
        return this.fail('the server closed: ' + (message.error || 'no reason given'), message.allowReconnect !== true);
      default:
        throw new ProtocolError(`a message of type ${message.type}`);
    }
  }

  called({ target, arguments: args, invocationId }) {
    if (typeof target !== 'string' || !Array.isArray(args)) throw new ProtocolError('an invocation without target or arguments');
    received.add(1, Object.assign({ method: target }, this.tags));
    const handlers = this.methods.get(target.toLowerCase()) || [];
    let result;
    for (const handler of handlers) result = handler(...args);
    if (invocationId === undefined) return;
    const ws = this.ws;
    const answer = (fields) => {
      if (this.ws === ws && this.connected) this.transmit(Object.assign({ type: COMPLETION, invocationId }, fields));
    };
    if (!handlers.length) answer({ error: `the client has no method '${target}'` });
    else Promise.resolve(result).then((value) => answer({ result: value === undefined ? null : value }),
      (error) => answer({ error: String(error.message || error) }));
  }

  settle(call, error, result) {
    if (!this.calls.delete(call.id)) return;
    clearTimeout(call.timer);
    succeeded.add(!error, call.tags);
    if (error) {
      if (call.sink && call.sink.error) call.sink.error(error);
      call.reject(error);
      return;
    }
    invocationTime.add(now() - call.at, call.tags);
    if (call.sink && call.sink.complete) call.sink.complete();
    call.resolve(call.stream ? call.count : result);
  }

  // ---- what the client says

  start(type, method, args, extra) {
    const call = Object.assign({ id: String(this.nextId++), count: 0 }, extra);
    call.tags = Object.assign({ method }, this.tags);
    call.message = { type, target: method, arguments: args, invocationId: call.id };
    call.done = quiet(new Promise((resolve, reject) => Object.assign(call, { resolve, reject })));
    this.calls.set(call.id, call);
    if (this.ended) {
      this.settle(call, this.ended);
      return call;
    }
    if (!call.stream)
      call.timer = setTimeout(() => this.settle(call, new Error(`signalr: no result of ${method} in time`)),
        this.options.invocationTimeout || 10000);
    if (this.connected) this.post(call);
    else this.waiting.push(call);
    return call;
  }

  post(call) {
    call.at = now();
    if (call.message.type !== CANCEL) sent.add(1, call.tags);
    this.transmit(call.message);
  }

  // A promise of the hub method's result.
  invoke(method, ...args) {
    return this.start(INVOCATION, method, args, {}).done;
  }

  // Calls without wanting to know; false once the client has ended.
  send(method, ...args) {
    if (this.ended) return false;
    const call = { tags: Object.assign({ method }, this.tags), message: { type: INVOCATION, target: method, arguments: args } };
    if (this.connected) this.post(call);
    else this.waiting.push(call);
    return true;
  }

  // A stream of the hub: `sink` has the functions next(item), error(error), complete(), all optional. Returns
  // { done, cancel() }; done is a promise of the number of items.
  stream(method, args = [], sink = {}) {
    const call = this.start(STREAM, method, args, { stream: true, sink });
    const cancel = () => {
      if (!this.calls.has(call.id)) return;
      this.waiting = this.waiting.filter((w) => w !== call);
      if (this.connected) this.transmit({ type: CANCEL, invocationId: call.id });
      if (call.at === undefined) call.at = now();
      this.settle(call, null);
    };
    return { done: call.done, cancel };
  }
}

// Connects to a hub and returns a Client. Options, all optional:
//   accessToken, query  parts of the URL
//   timeout             20000 ms until the handshake is done; invocationTimeout 10000 ms
//   keepalive           15000 ms between our pings; serverTimeout 30000 ms of silence; 0: none
//   reconnect           { attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }
//   tags                for all metrics
//   params              of the WebSocket: headers, tags, jar, compression
export function connect(url, options = {}) {
  return new Client(url, options);
}

export default { connect };
