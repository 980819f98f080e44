// SPDX-License-Identifier: Apache-2.0
// squall/graphql-ws: a GraphQL client over WebSocket, subprotocol graphql-transport-ws.
// Documentation: docs/kits/graphql-ws.md. Runs on k6 too: copy this file and import './graphql-ws.js'.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { Counter, Rate, Trend } from 'k6/metrics';

const connecting = new Trend('graphqlws_connecting', true);
const firstResult = new Trend('graphqlws_first_result', true);
const operationTime = new Trend('graphqlws_operation', true);
const pingTime = new Trend('graphqlws_ping', true);
const succeeded = new Rate('graphqlws_succeeded');
const results = new Counter('graphqlws_results');
const resultErrors = new Counter('graphqlws_result_errors');
const errors = new Counter('graphqlws_errors');
const reconnects = new Counter('graphqlws_reconnects');

const now = typeof performance === 'object' ? () => performance.now() : () => Date.now();

function quiet(promise) { // the caller may ignore it: its failure is counted and must not end the iteration
  promise.catch(() => {});
  return promise;
}

// Retrying cannot help: the server refuses what we say. 4408, initialisation too slow, may be chance.
const isFinal = (code) => code >= 4400 && code <= 4500 && code !== 4408;

class Client {
  constructor(url, options) {
    this.url = url.replace(/^http/, 'ws');
    this.options = options;
    this.tags = Object.assign({}, options.tags);
    this.retry = Object.assign({ attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }, options.reconnect || {});
    this.attempt = 0;
    this.handlers = new Map();
    this.connected = false;
    this.ended = null;
    this.ready_ = [];
    this.operations = new Map();
    this.pings = [];
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

  // A promise of this client once the server acknowledged; rejected when that fails for good.
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
    const ws = new WebSocket(this.url, 'graphql-transport-ws', params);
    this.ws = ws;
    this.started = now();
    this.failure = '';
    const mine = (f) => (e) => {
      if (this.ws === ws) f(e);
    };
    ws.onopen = mine(() => {
      const payload = typeof this.options.payload === 'function' ? this.options.payload() : this.options.payload;
      this.send({ type: 'connection_init', payload });
    });
    ws.onmessage = mine((e) => this.receive(e.data));
    ws.onerror = mine((e) => {
      this.failure = e.error || 'websocket error';
      // Not every implementation lets a close event follow.
      setTimeout(mine(() => ws.readyState === 3 && this.lost(1006, this.failure)), 0);
    });
    ws.onclose = mine((e) => this.lost(e.code, e.reason || this.failure || 'the connection was closed'));
    this.timer = setTimeout(() => this.fail(4408, 'no acknowledgement in time'), this.options.timeout || 20000);
  }

  send(message) {
    this.ws.send(JSON.stringify(message));
  }

  // Gives the connection up without waiting for the peer.
  fail(code, reason) {
    const ws = this.ws;
    this.lost(code, reason);
    if (ws.readyState === 1) ws.close(code, reason.slice(0, 40));
    else ws.close();
  }

  lost(code, reason) {
    clearTimeout(this.timer);
    clearTimeout(this.keeper);
    this.ws = null;
    this.connected = false;
    const error = Object.assign(new Error(`graphql-ws: ${reason} (${code})`), { code, reason });
    errors.add(1, Object.assign({ code: String(code) }, this.tags));
    for (const ping of this.pings.splice(0)) ping.reject(error);
    if (!isFinal(code) && this.attempt < this.retry.attempts) {
      const wait = Math.min(this.retry.delay * 2 ** this.attempt, this.retry.maxDelay);
      this.attempt += 1;
      this.timer = setTimeout(() => {
        reconnects.add(1, this.tags);
        this.open();
      }, wait * (1 + this.retry.jitter * (2 * Math.random() - 1)));
    } else {
      this.finish(error);
    }
    this.fire('error', error);
    this.fire('close', code, reason);
  }

  finish(error) {
    this.ended = error;
    for (const waiter of this.ready_.splice(0)) waiter.reject(error);
    for (const operation of [...this.operations.values()]) this.settle(operation, error);
  }

  // Ends all operations and closes the connection.
  close(code = 1000, reason = '') {
    const ws = this.ws;
    if (this.ended) return;
    clearTimeout(this.timer);
    clearTimeout(this.keeper);
    this.ws = null;
    this.connected = false;
    const error = new Error('graphql-ws: the client has closed the connection');
    for (const ping of this.pings.splice(0)) ping.reject(error);
    this.finish(error);
    if (ws && ws.readyState === 1) ws.close(code, reason);
    else if (ws && ws.readyState === 0) ws.close();
    this.fire('close', code, reason);
  }

  receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch (_) {
      message = null;
    }
    const { type, id, payload } = message || {};
    const operation = this.operations.get(id);
    if (type === 'connection_ack' && !this.connected) {
      this.acknowledged(payload);
    } else if (type === 'ping') {
      this.send({ type: 'pong', payload });
      this.fire('ping', payload);
    } else if (type === 'pong') {
      const ping = this.pings.shift();
      if (ping) {
        const ms = now() - ping.at;
        pingTime.add(ms, this.tags);
        ping.resolve(ms);
      }
      this.fire('pong', payload);
    } else if (type === 'next' && this.connected) {
      if (operation) this.result(operation, payload);
    } else if (type === 'error' && this.connected) {
      if (operation) {
        const words = [].concat(payload).map((e) => e && e.message).join('; ');
        this.settle(operation, Object.assign(new Error('graphql-ws: ' + words), { errors: payload }));
      }
    } else if (type === 'complete' && this.connected) {
      if (operation) this.settle(operation, null);
    } else {
      this.fail(4400, 'an unexpected message: ' + String(text).slice(0, 80));
    }
  }

  acknowledged(payload) {
    clearTimeout(this.timer);
    connecting.add(now() - this.started, this.tags);
    this.connected = true;
    this.attempt = 0;
    this.ack = payload;
    this.keep();
    for (const operation of this.operations.values()) this.begin(operation);
    for (const waiter of this.ready_.splice(0)) waiter.resolve(this);
    this.fire('connect', payload);
  }

  keep() {
    const ms = this.options.keepalive;
    if (!ms) return;
    this.keeper = setTimeout(() => {
      if (this.pings.some((ping) => now() - ping.at >= ms * 0.9)) {
        this.fail(4499, 'no answer to a ping');
        return;
      }
      this.ping();
      this.keep();
    }, ms);
  }

  // A promise of the round trip in ms.
  ping(payload) {
    return quiet(new Promise((resolve, reject) => {
      if (!this.connected) {
        reject(this.ended || new Error('graphql-ws: not connected'));
        return;
      }
      this.pings.push({ at: now(), resolve, reject });
      this.send({ type: 'ping', payload });
    }));
  }

  begin(operation) {
    operation.at = now();
    this.send({ id: operation.id, type: 'subscribe', payload: operation.request });
  }

  result(operation, payload) {
    if (!operation.results++) firstResult.add(now() - operation.at, operation.tags);
    results.add(1, operation.tags);
    if (payload && payload.errors) {
      resultErrors.add(1, operation.tags);
      operation.flawed = true;
    }
    if (operation.sink.next) operation.sink.next(payload);
  }

  settle(operation, error) {
    if (!this.operations.delete(operation.id)) return;
    succeeded.add(!error && !operation.flawed, operation.tags);
    if (error) {
      if (operation.sink.error) operation.sink.error(error);
      operation.reject(error);
    } else {
      operationTime.add(now() - operation.at, operation.tags);
      if (operation.sink.complete) operation.sink.complete();
      operation.resolve(operation.results);
    }
  }

  // Starts an operation: { query, variables, operationName, extensions }. The sink's functions, all optional: next(result),
  // error(error), complete(). Returns { id, done, unsubscribe() }; done is a promise of the number of results.
  subscribe(request, sink = {}) {
    const id = String(this.nextId++);
    const name = request.operationName || (/^\s*(?:query|mutation|subscription)\s+(\w+)/.exec(request.query) || [])[1];
    const operation = { id, request, sink, results: 0, flawed: false };
    operation.tags = Object.assign({ operation: name || 'anonymous' }, this.tags);
    const done = quiet(new Promise((resolve, reject) => Object.assign(operation, { resolve, reject })));
    this.operations.set(id, operation);
    if (this.ended) this.settle(operation, this.ended);
    else if (this.connected) this.begin(operation);
    const unsubscribe = () => {
      if (!this.operations.has(id)) return;
      if (this.connected) this.send({ id, type: 'complete' });
      this.settle(operation, null);
    };
    return { id, done, unsubscribe };
  }

  // A promise of the last result of a query or mutation; rejected if the operation fails. Errors of single fields are in
  // the result's `errors`.
  query(request) {
    let last;
    return quiet(this.subscribe(request, { next: (result) => (last = result) }).done.then(() => last));
  }
}

// Connects and returns a Client. Options, all optional:
//   payload    of connection_init: an object, or a function that returns one
//   timeout    20000 ms until the acknowledgement
//   keepalive  0: ms between our own pings; a ping that is not answered by the next ends the connection
//   reconnect  { attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }; running operations are started again
//   tags       for all metrics
//   params     of the WebSocket: headers, tags, jar, compression
export function connect(url, options = {}) {
  return new Client(url, options);
}

export default { connect };
