// SPDX-License-Identifier: Apache-2.0
// squall/socketio: a Socket.IO client. Engine.IO 4 and Socket.IO 5 over the WebSocket transport.
// Documentation: docs/kits/socketio.md. Runs on k6 too: copy this file and import './socketio.js'.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { Counter, Rate, Trend } from 'k6/metrics';

const connecting = new Trend('socketio_connecting', true);
const ackTime = new Trend('socketio_ack', true);
const acked = new Rate('socketio_acked');
const sent = new Counter('socketio_events_sent');
const received = new Counter('socketio_events_received');
const dropped = new Counter('socketio_events_dropped');
const errors = new Counter('socketio_errors');
const reconnects = new Counter('socketio_reconnects');

const CONNECT = 0, DISCONNECT = 1, EVENT = 2, ACK = 3, CONNECT_ERROR = 4, BINARY_EVENT = 5, BINARY_ACK = 6;

const now = typeof performance === 'object' ? () => performance.now() : () => Date.now();

// The caller may ignore the promise: its failure is counted and must not end the iteration.
function quiet(promise) {
  promise.catch(() => {});
  return promise;
}

class Emitter {
  constructor() {
    this.handlers = new Map();
  }
  on(name, handler) {
    if (typeof handler !== 'function') throw new TypeError(`on('${name}'): the handler is not a function`);
    this.handlers.set(name, (this.handlers.get(name) || []).concat([handler]));
    return this;
  }
  once(name, handler) {
    const first = (...args) => {
      this.off(name, first);
      handler(...args);
    };
    return this.on(name, first);
  }
  off(name, handler) {
    this.handlers.set(name, handler ? (this.handlers.get(name) || []).filter((h) => h !== handler) : []);
    return this;
  }
  fire(name, ...args) {
    for (const handler of this.handlers.get(name) || []) handler(...args);
  }
}

// ---- packets: TYPE [COUNT-] [/namespace,] [id] [json], then COUNT binary messages

function takeOut(value, buffers) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    buffers.push(value);
    return { _placeholder: true, num: buffers.length - 1 };
  }
  if (Array.isArray(value)) return value.map((item) => takeOut(item, buffers));
  if (value === null || typeof value !== 'object' || typeof value.toJSON === 'function') return value;
  const out = {};
  for (const key of Object.keys(value)) out[key] = takeOut(value[key], buffers);
  return out;
}

function putBack(value, buffers) {
  if (value === null || typeof value !== 'object') return value;
  if (value._placeholder === true) {
    if (!(value.num in buffers)) throw new Error('a binary attachment is missing');
    return buffers[value.num];
  }
  for (const key of Object.keys(value)) value[key] = putBack(value[key], buffers);
  return value;
}

function encode(packet, buffers) {
  let { type } = packet;
  let data = packet.data;
  if (type === EVENT || type === ACK) data = takeOut(data, buffers);
  if (buffers.length) type += BINARY_EVENT - EVENT;
  return '4' + type + (buffers.length ? buffers.length + '-' : '') + (packet.space === '/' ? '' : packet.space + ',') +
    (packet.id === undefined ? '' : packet.id) + (data === undefined ? '' : JSON.stringify(data));
}

function decode(text) {
  const m = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*),)?(\d+)?/.exec(text);
  if (!m) throw new Error('not a Socket.IO packet: ' + text.slice(0, 40));
  const binary = m[1] === '5' || m[1] === '6';
  const rest = text.slice(m[0].length);
  const packet = { type: Number(m[1]), space: (m[3] || '/').split('?')[0], missing: binary ? Number(m[2]) : 0 };
  if (m[4] !== undefined) packet.id = Number(m[4]);
  if (rest) packet.data = JSON.parse(rest);
  if (packet.type !== CONNECT && packet.type !== DISCONNECT && packet.type !== CONNECT_ERROR && !Array.isArray(packet.data))
    throw new Error('a packet without arguments');
  return packet;
}

// ---- one connection, shared by its namespaces

class Manager {
  constructor(url, options) {
    const m = /^(?:ws|http)(s?):\/\/([^/?#]+)([^?#]*)(?:\?([^#]*))?/.exec(url);
    if (!m) throw new TypeError(`socketio: not a URL of scheme http, https, ws or wss: '${url}'`);
    const pairs = Object.entries(options.query || {}).map((p) => p.map(encodeURIComponent).join('='));
    if (m[4]) pairs.push(m[4]);
    this.firstSpace = m[3].length > 1 ? m[3] : '/';
    this.url = `ws${m[1]}://${m[2]}${(options.path || '/socket.io').replace(/\/*$/, '/')}?` +
      ['EIO=4', 'transport=websocket', ...pairs].join('&');
    this.options = options;
    this.timeout = options.timeout || 20000;
    this.ackTimeout = options.ackTimeout || 10000;
    this.retry = Object.assign({ attempts: 0, delay: 1000, maxDelay: 5000, jitter: 0.5 }, options.reconnect || {});
    this.attempt = 0;
    this.sockets = new Map();
    this.open();
  }

  open() {
    const params = Object.assign({}, this.options.params);
    if (this.options.tags) params.tags = Object.assign({}, this.options.tags, params.tags);
    const ws = new WebSocket(this.url, null, params);
    ws.binaryType = 'arraybuffer';
    this.ws = ws;
    this.up = false;
    this.partial = null;
    this.started = now();
    this.failure = '';
    const mine = (f) => (e) => {
      if (this.ws === ws) f(e);
    };
    ws.onmessage = mine((e) => {
      try {
        this.receive(e.data);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.fail('parse error', error);
      }
    });
    ws.onerror = mine((e) => {
      this.failure = e.error || 'websocket error';
      // Not every implementation lets a close event follow.
      setTimeout(mine(() => ws.readyState === 3 && this.lost('transport error')), 0);
    });
    // k6 reports an error for every code but 1000; only 1006 says that the connection broke.
    ws.onclose = mine((e) => this.lost(this.failure && e.code === 1006 ? 'transport error' : 'transport close'));
    this.watch(this.timeout, 'connect timeout');
  }

  watch(ms, reason) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fail(reason), ms);
  }

  // Gives the connection up without waiting for the peer.
  fail(reason, error) {
    const ws = this.ws;
    this.failure = String(error || reason);
    this.lost(reason);
    ws.close();
  }

  guard(f) {
    try {
      return f();
    } catch (error) {
      throw new ProtocolError(error.message);
    }
  }

  receive(data) {
    if (typeof data !== 'string') {
      if (!this.partial) throw new ProtocolError('a binary message that no packet announced');
      this.partial.buffers.push(data);
      if (this.partial.buffers.length < this.partial.packet.missing) return;
      const { packet, buffers } = this.partial;
      this.partial = null;
      packet.data = this.guard(() => putBack(packet.data, buffers));
      this.deliver(packet);
    } else if (data[0] === '0') {
      const hello = this.guard(() => JSON.parse(data.slice(1)));
      this.up = true;
      this.patience = hello.pingInterval + hello.pingTimeout;
      this.watch(this.patience, 'ping timeout');
      for (const socket of this.sockets.values()) socket.join();
    } else if (data[0] === '2') {
      this.watch(this.patience, 'ping timeout');
      this.ws.send('3' + data.slice(1));
    } else if (data[0] === '4') {
      if (this.partial) throw new ProtocolError('a text message amid binary attachments');
      const packet = this.guard(() => decode(data.slice(1)));
      if (packet.missing) this.partial = { packet, buffers: [] };
      else this.deliver(packet);
    } else if (data[0] === '1') {
      this.fail('transport close');
    } else if (data[0] !== '6') {
      throw new ProtocolError('not an Engine.IO packet: ' + data.slice(0, 40));
    }
  }

  deliver(packet) {
    const socket = this.sockets.get(packet.space);
    if (socket) socket.receive(packet);
  }

  send(packet) {
    const buffers = [];
    this.ws.send(encode(packet, buffers));
    for (const buffer of buffers) this.ws.send(buffer);
  }

  leave(socket) {
    this.sockets.delete(socket.namespace);
    if (this.sockets.size === 0) this.close();
  }

  close() {
    const ws = this.ws;
    clearTimeout(this.timer);
    this.ws = null;
    this.up = false;
    if (ws && ws.readyState < 2) ws.close();
  }

  lost(reason) {
    clearTimeout(this.timer);
    this.ws = null;
    this.up = false;
    const again = this.attempt < this.retry.attempts;
    const error = new Error(`socketio: ${reason}${this.failure && this.failure !== reason ? ': ' + this.failure : ''}`);
    const sockets = [...this.sockets.values()];
    // Before the handlers run: one of them may disconnect and so give up.
    if (again) {
      const wait = Math.min(this.retry.delay * 2 ** this.attempt, this.retry.maxDelay);
      this.attempt += 1;
      this.timer = setTimeout(() => {
        reconnects.add(1, this.options.tags);
        this.open();
      }, wait * (1 + this.retry.jitter * (2 * Math.random() - 1)));
    }
    for (const socket of sockets) socket.lost(reason, error, again);
    if (!again) this.sockets.clear();
  }
}

class ProtocolError extends Error {}

// ---- a namespace of a connection

class Socket extends Emitter {
  constructor(manager, namespace, auth) {
    super();
    this.manager = manager;
    this.namespace = namespace;
    this.auth = auth;
    this.tags = Object.assign({ namespace }, manager.options.tags);
    this.connected = false;
    this.ended = null;
    this.id = undefined;
    this.nextId = 0;
    this.pending = new Map();
    this.waiting = []; // packets emitted before the namespace was joined
    this.ready_ = [];
    manager.sockets.set(namespace, this);
    if (manager.up) this.join();
  }

  // A promise of this socket once it is connected; rejected when that fails for good.
  ready() {
    return quiet(new Promise((resolve, reject) => {
      if (this.connected) resolve(this);
      else if (this.ended) reject(this.ended);
      else this.ready_.push({ resolve, reject });
    }));
  }

  // Another namespace of the same connection.
  of(namespace, options = {}) {
    const name = namespace[0] === '/' ? namespace : '/' + namespace;
    return this.manager.sockets.get(name) || new Socket(this.manager, name, options.auth);
  }

  // Sends an event. A function as the last argument is called with the acknowledgement. False: not connected any more.
  emit(name, ...args) {
    const reply = typeof args[args.length - 1] === 'function' ? args.pop() : null;
    return this.post(name, args, reply && { resolve: (values) => reply(...values), reject: () => {} });
  }

  // The same, with the time in ms to wait for this acknowledgement; the callback gets (error, ...values).
  timeout(ms) {
    return {
      emit: (name, ...args) => {
        const reply = args.pop();
        return this.post(name, args, { resolve: (values) => reply(null, ...values), reject: reply }, ms);
      },
      emitWithAck: (name, ...args) => this.ask(name, args, ms),
    };
  }

  // A promise of the acknowledgement's first value.
  emitWithAck(name, ...args) {
    return this.ask(name, args);
  }

  ask(name, args, ms) {
    return quiet(new Promise((resolve, reject) => {
      this.post(name, args, { resolve: (values) => resolve(values[0]), reject }, ms);
    }));
  }

  post(name, args, ack, ms) {
    const packet = { type: EVENT, space: this.namespace, data: [name, ...args] };
    if (this.ended) {
      dropped.add(1, this.tags);
      if (ack) ack.reject(this.ended);
      return false;
    }
    if (ack) {
      packet.id = this.nextId++;
      ack.tags = Object.assign({ event: String(name) }, this.tags);
      ack.timer = setTimeout(() => this.settle(packet.id, new Error(`socketio: no acknowledgement of '${name}' in time`)),
        ms || this.manager.ackTimeout);
      ack.at = now();
      this.pending.set(packet.id, ack);
    }
    if (this.connected) this.transmit(packet);
    else this.waiting.push(packet);
    return true;
  }

  transmit(packet) {
    const ack = this.pending.get(packet.id);
    if (ack) ack.at = now();
    if (packet.type === EVENT) sent.add(1, Object.assign({ event: String(packet.data[0]) }, this.tags));
    this.manager.send(packet);
  }

  settle(id, error, values) {
    const ack = this.pending.get(id);
    if (!ack) return;
    this.pending.delete(id);
    clearTimeout(ack.timer);
    acked.add(!error, ack.tags);
    if (error) return ack.reject(error);
    ackTime.add(now() - ack.at, ack.tags);
    ack.resolve(values);
  }

  join() {
    const auth = typeof this.auth === 'function' ? this.auth() : this.auth;
    this.manager.send({ type: CONNECT, space: this.namespace, data: auth });
  }

  receive(packet) {
    const { type, data, id } = packet;
    if (type === CONNECT) {
      this.connected = true;
      this.id = data && data.sid;
      this.manager.attempt = 0;
      connecting.add(now() - this.manager.started, this.tags);
      for (const early of this.waiting.splice(0)) this.transmit(early);
      for (const waiter of this.ready_.splice(0)) waiter.resolve(this);
      this.fire('connect');
    } else if (type === CONNECT_ERROR) {
      const error = Object.assign(new Error((data && data.message) || 'connection refused'), { data: data && data.data });
      this.end('connect_error', error);
    } else if (type === DISCONNECT) {
      this.end('io server disconnect', new Error('socketio: io server disconnect'));
    } else if (type === EVENT || type === BINARY_EVENT) {
      const tags = Object.assign({ event: String(data[0]) }, this.tags);
      received.add(1, tags);
      if (id !== undefined)
        data.push((...values) => {
          if (this.connected) this.transmit({ type: ACK, space: this.namespace, id, data: values });
        });
      this.fire(...data);
      this.fire('*', ...data);
    } else if (type === ACK || type === BINARY_ACK) {
      this.settle(id, null, data);
    }
  }

  // Leaves the namespace; the last one to leave closes the connection.
  disconnect() {
    if (this.ended) return this;
    if (this.connected) this.manager.send({ type: DISCONNECT, space: this.namespace });
    this.end('io client disconnect', new Error('socketio: io client disconnect'));
    return this;
  }

  end(reason, error) {
    this.finish(reason, error);
    this.manager.leave(this);
    this.report(reason, error);
  }

  finish(reason, error) {
    this.was = this.connected;
    this.connected = false;
    this.ended = error;
    this.waiting = [];
    for (const id of [...this.pending.keys()]) this.settle(id, error);
    for (const waiter of this.ready_.splice(0)) waiter.reject(error);
  }

  report(reason, error) {
    if (reason !== 'io client disconnect') errors.add(1, Object.assign({ reason }, this.tags));
    if (this.was) this.fire('disconnect', reason, error);
    else if (reason !== 'io client disconnect') this.fire('connect_error', error);
  }

  lost(reason, error, again) {
    if (!again) {
      this.finish(reason, error);
    } else { // what was sent is gone; what waits stays
      this.was = this.connected;
      this.connected = false;
      const kept = new Set(this.waiting.map((p) => p.id));
      for (const id of [...this.pending.keys()]) if (!kept.has(id)) this.settle(id, error);
    }
    this.report(reason, error);
  }
}

// Connects to a Socket.IO server and returns the Socket of the namespace that the URL's path names. Options, all optional:
//   auth       an object, or a function that returns one: the namespace's credentials
//   path       '/socket.io'
//   query      an object of query parameters
//   timeout    20000 ms until the connection must stand
//   ackTimeout 10000 ms to wait for an acknowledgement
//   reconnect  { attempts: 0, delay: 1000, maxDelay: 5000, jitter: 0.5 }; no attempts unless asked for
//   tags       for all metrics
//   params     of the WebSocket: headers, tags, jar, compression
export function connect(url, options = {}) {
  const manager = new Manager(url, options);
  return new Socket(manager, manager.firstSpace, options.auth);
}

export const io = connect;
export default { connect, io };
