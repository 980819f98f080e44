// SPDX-License-Identifier: Apache-2.0
// squall/phoenix: a client of Phoenix channels, serializer version 2.
// Documentation: docs/kits/phoenix.md. Runs on k6 too: copy this file and import './phoenix.js'.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { Counter, Rate, Trend } from 'k6/metrics';

const connecting = new Trend('phoenix_connecting', true);
const joinTime = new Trend('phoenix_join', true);
const replyTime = new Trend('phoenix_reply', true);
const heartbeatTime = new Trend('phoenix_heartbeat', true);
const acked = new Rate('phoenix_acked');
const sent = new Counter('phoenix_messages_sent');
const received = new Counter('phoenix_messages_received');
const errors = new Counter('phoenix_errors');
const reconnects = new Counter('phoenix_reconnects');

const now = typeof performance === 'object' ? () => performance.now() : () => Date.now();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const PUSH = 0, REPLY = 1, BROADCAST = 2;

class ProtocolError extends Error {}

function quiet(promise) { // the caller may ignore it: its failure is counted and must not end the iteration
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
  off(name, handler) {
    this.handlers.set(name, handler ? (this.handlers.get(name) || []).filter((h) => h !== handler) : []);
    return this;
  }
  fire(name, ...args) {
    for (const handler of this.handlers.get(name) || []) handler(...args);
  }
}

// ---- messages: [join_ref, ref, topic, event, payload], or binary if the payload is: the kind, the lengths of the fields, one
// byte each, the fields, the payload

function encode(joinRef, ref, topic, event, payload) {
  const binary = payload instanceof ArrayBuffer || ArrayBuffer.isView(payload);
  if (!binary) return JSON.stringify([joinRef, ref, topic, event, payload]);
  const body = payload instanceof ArrayBuffer ? new Uint8Array(payload) :
    new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  const fields = [joinRef, ref, topic, event].map((f) => encoder.encode(f));
  if (fields.some((f) => f.length > 255)) throw new RangeError('phoenix: a topic or event of more than 255 bytes');
  const out = [PUSH, ...fields.map((f) => f.length)].concat(...fields.map((f) => [...f]));
  const bytes = new Uint8Array(out.length + body.length);
  bytes.set(out);
  bytes.set(body, out.length);
  return bytes.buffer;
}

function decode(data) {
  if (typeof data === 'string') {
    const message = JSON.parse(data);
    if (!Array.isArray(message) || message.length !== 5) throw new Error('not a message of version 2');
    return message;
  }
  const bytes = new Uint8Array(data);
  const kind = bytes[0], count = [3, 4, 2][kind];
  let at = 1 + count;
  if (!count || bytes.length < at) throw new Error('an unknown kind of binary message');
  const fields = [];
  for (let i = 1; i <= count; i++) {
    fields.push(decoder.decode(bytes.subarray(at, at + bytes[i])));
    at += bytes[i];
  }
  if (at > bytes.length) throw new Error('a binary message shorter than it says');
  const payload = data.slice(at);
  if (kind === PUSH) return [fields[0], null, fields[1], fields[2], payload];
  if (kind === REPLY) return [fields[0], fields[1], fields[2], 'phx_reply', { status: fields[3], response: payload }];
  return [null, null, fields[0], fields[1], payload];
}

class Channel extends Emitter {
  constructor(client, topic, payload) {
    super();
    this.client = client;
    this.topic = topic;
    this.payload = payload;
    this.state = 'closed'; // joining, joined, errored
    this.joinRef = null;
  }

  // A promise of the server's response; rejected, with `response`, if the server refuses.
  join() {
    if (this.state === 'joining' || this.state === 'joined')
      return quiet(Promise.reject(new Error(`phoenix: ${this.topic} is ${this.state} already`)));
    this.state = 'joining';
    this.client.channels.set(this.topic, this);
    this.joinRef = this.client.ref();
    const joining = this.joinRef;
    return quiet(this.client.post(this, 'phx_join', this.payload, joining).then((response) => {
      if (this.joinRef === joining) this.state = 'joined';
      return response;
    }, (error) => {
      if (this.joinRef === joining && this.state === 'joining') this.state = 'errored';
      throw error;
    }));
  }

  // A promise of the reply's response; rejected, with `status` and `response`, unless the status is ok. The payload is an
  // object or, sent as a binary message, an ArrayBuffer or a view of one.
  push(event, payload = {}, options = {}) {
    if (this.state !== 'joined' && this.state !== 'joining')
      return quiet(Promise.reject(new Error(`phoenix: push to ${this.topic}, which is ${this.state}`)));
    return this.client.post(this, event, payload, this.client.ref(), options.timeout);
  }

  leave() {
    const reply = this.client.post(this, 'phx_leave', {}, this.client.ref());
    this.end('closed');
    return reply;
  }

  end(state) {
    this.state = state;
    if (this.client.channels.get(this.topic) === this) this.client.channels.delete(this.topic);
  }
}

class Client extends Emitter {
  constructor(url, options) {
    super();
    const m = /^(?:ws|http)(s?):\/\/([^?#]+?)(?:\/websocket)?\/?(?:\?([^#]*))?$/.exec(url);
    if (!m) throw new TypeError(`phoenix: not a URL of scheme ws, wss, http or https: '${url}'`);
    const pairs = Object.entries(options.query || {}).map((p) => p.map(encodeURIComponent).join('='));
    if (m[3]) pairs.push(m[3]);
    this.url = `ws${m[1]}://${m[2]}/websocket?${['vsn=2.0.0', ...pairs].join('&')}`;
    this.options = options;
    this.tags = Object.assign({}, options.tags);
    this.retry = Object.assign({ attempts: 0, delay: 1000, maxDelay: 5000, jitter: 0.5 }, options.reconnect || {});
    this.attempt = 0;
    this.connected = false;
    this.ended = null;
    this.ready_ = [];
    this.waiting = [];
    this.pending = new Map();
    this.channels = new Map();
    this.lastRef = 0;
    this.open();
  }

  ref() {
    this.lastRef += 1;
    return String(this.lastRef);
  }

  // A promise of this client once it is connected; rejected when that fails for good.
  ready() {
    return quiet(new Promise((resolve, reject) => {
      if (this.connected) resolve(this);
      else if (this.ended) reject(this.ended);
      else this.ready_.push({ resolve, reject });
    }));
  }

  channel(topic, payload = {}) {
    return new Channel(this, topic, payload);
  }

  open() {
    const params = Object.assign({}, this.options.params);
    if (this.options.tags) params.tags = Object.assign({}, this.options.tags, params.tags);
    const ws = new WebSocket(this.url, null, params);
    const started = now();
    ws.binaryType = 'arraybuffer';
    this.ws = ws;
    this.failure = '';
    const mine = (f) => (e) => {
      if (this.ws === ws) f(e);
    };
    ws.onopen = mine(() => {
      clearTimeout(this.timer);
      connecting.add(now() - started, this.tags);
      this.connected = true;
      this.attempt = 0;
      this.beat();
      const again = [...this.channels.values()].filter((c) => c.state === 'errored');
      for (const early of this.waiting.splice(0)) this.transmit(early);
      for (const channel of again) channel.join().then((r) => channel.fire('rejoin', r), () => {});
      for (const waiter of this.ready_.splice(0)) waiter.resolve(this);
      this.fire('connect');
    });
    ws.onmessage = mine((e) => {
      let message;
      try {
        message = decode(e.data);
      } catch (error) {
        this.fail('protocol error: ' + error.message);
        return;
      }
      this.receive(...message);
    });
    ws.onerror = mine((e) => {
      this.failure = e.error || 'websocket error';
      // Not every implementation lets a close event follow.
      setTimeout(mine(() => ws.readyState === 3 && this.lost(this.failure)), 0);
    });
    ws.onclose = mine(() => this.lost(this.failure || 'the connection was closed'));
    this.timer = setTimeout(() => this.fail('connect timeout'), this.options.connectTimeout || 20000);
  }

  beat() {
    const ms = this.options.heartbeat === undefined ? 30000 : this.options.heartbeat;
    if (!ms) return;
    this.keeper = setTimeout(() => {
      if (this.beating) {
        this.fail('no answer to a heartbeat');
        return;
      }
      this.beating = { ref: this.ref(), at: now() };
      this.ws.send(encode(null, this.beating.ref, 'phoenix', 'heartbeat', {}));
      this.beat();
    }, ms);
  }

  // Gives the connection up without waiting for the peer.
  fail(reason) {
    const ws = this.ws;
    this.lost(reason);
    ws.close();
  }

  down() {
    clearTimeout(this.timer);
    clearTimeout(this.keeper);
    this.ws = null;
    this.beating = null;
    this.connected = false;
  }

  lost(reason) {
    const error = new Error('phoenix: ' + reason), was = this.connected;
    this.down();
    errors.add(1, this.tags);
    if (this.attempt < this.retry.attempts) {
      const wait = Math.min(this.retry.delay * 2 ** this.attempt, this.retry.maxDelay);
      this.attempt += 1;
      this.timer = setTimeout(() => {
        reconnects.add(1, this.tags);
        this.open();
      }, wait * (1 + this.retry.jitter * (2 * Math.random() - 1)));
      const kept = new Set(this.waiting.map((p) => p.ref));
      for (const ref of [...this.pending.keys()]) if (!kept.has(ref)) this.settle(ref, error);
      if (was) for (const channel of this.channels.values()) channel.state = 'errored';
    } else {
      this.finish(error);
    }
    if (was) for (const channel of [...this.channels.values()]) channel.fire('error', error);
    this.fire('error', error);
    if (was) this.fire('close', error);
  }

  finish(error) {
    this.ended = error;
    this.waiting = [];
    for (const ref of [...this.pending.keys()]) this.settle(ref, error);
    for (const channel of this.channels.values()) channel.state = 'errored';
    for (const waiter of this.ready_.splice(0)) waiter.reject(error);
  }

  disconnect() {
    if (this.ended) return;
    const ws = this.ws, was = this.connected;
    this.down();
    this.finish(new Error('phoenix: the client has disconnected'));
    if (ws && ws.readyState < 2) ws.close();
    if (was) this.fire('close', null);
  }

  receive(joinRef, ref, topic, event, payload) {
    if (topic === 'phoenix') {
      if (this.beating && this.beating.ref === ref) {
        heartbeatTime.add(now() - this.beating.at, this.tags);
        this.beating = null;
      }
      return;
    }
    if (event === 'phx_reply') {
      const { status, response } = payload || {};
      this.settle(ref, status === 'ok' ? null :
        Object.assign(new Error(`phoenix: ${topic} replied ${status}: ${JSON.stringify(response)}`), { status, response }), response);
      return;
    }
    const channel = this.channels.get(topic);
    if (!channel || (joinRef !== null && joinRef !== channel.joinRef)) return; // of a channel that was left
    if (event === 'phx_error') {
      errors.add(1, Object.assign({ topic }, this.tags));
      channel.state = 'errored';
      channel.fire('error', new Error(`phoenix: the channel ${topic} has crashed`));
    } else if (event === 'phx_close') {
      channel.end('closed');
      channel.fire('close');
    } else {
      received.add(1, Object.assign({ event }, this.tags));
      channel.fire(event, payload);
      channel.fire('*', event, payload);
    }
  }

  settle(ref, error, response) {
    const push = this.pending.get(ref);
    if (!push) return;
    this.pending.delete(ref);
    clearTimeout(push.timer);
    acked.add(!error, push.tags);
    if (error) {
      push.reject(error);
      return;
    }
    (push.event === 'phx_join' ? joinTime : replyTime).add(now() - push.at, push.tags);
    push.resolve(response);
  }

  post(channel, event, payload, ref, timeout) {
    const push = { ref, event, payload, topic: channel.topic, joinRef: channel.joinRef };
    push.tags = Object.assign({ event }, this.tags);
    push.data = encode(push.joinRef, ref, push.topic, event, payload);
    return quiet(new Promise((resolve, reject) => {
      Object.assign(push, { resolve, reject });
      this.pending.set(ref, push);
      if (this.ended) {
        this.settle(ref, this.ended);
        return;
      }
      push.timer = setTimeout(() => this.settle(ref, new Error(`phoenix: no reply to ${event} in time`)),
        timeout || this.options.timeout || 10000);
      if (this.connected) this.transmit(push);
      else this.waiting.push(push);
    }));
  }

  transmit(push) {
    push.at = now();
    if (!push.event.startsWith('phx_')) sent.add(1, push.tags);
    this.ws.send(push.data);
  }
}

// Connects to a socket's path, such as ws://host/socket, and returns a Client. Options, all optional:
//   query      an object of query parameters: what phoenix.js calls params
//   timeout    10000 ms to wait for a reply; connectTimeout 20000 ms
//   heartbeat  30000 ms; 0: none
//   reconnect  { attempts: 0, delay: 1000, maxDelay: 5000, jitter: 0.5 }; joined channels are joined again
//   tags       for all metrics
//   params     of the WebSocket: headers, tags, jar, compression
export function connect(url, options = {}) {
  return new Client(url, options);
}

export default { connect };
