// SPDX-License-Identifier: Apache-2.0
// squall/mqtt: an MQTT client, versions 3.1.1 and 5, over WebSocket.
// Documentation: docs/kits/mqtt.md. Runs on k6 too: copy this file and import './mqtt.js'.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { Counter, Rate, Trend } from 'k6/metrics';

const connecting = new Trend('mqtt_connecting', true);
const publishTime = new Trend('mqtt_publish_ack', true);
const subscribeTime = new Trend('mqtt_subscribe_ack', true);
const pingTime = new Trend('mqtt_ping', true);
const acked = new Rate('mqtt_acked');
const sent = new Counter('mqtt_messages_sent');
const received = new Counter('mqtt_messages_received');
const errors = new Counter('mqtt_errors');
const reconnects = new Counter('mqtt_reconnects');

const CONNECT = 1, CONNACK = 2, PUBLISH = 3, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7, SUBSCRIBE = 8, SUBACK = 9,
  UNSUBSCRIBE = 10, UNSUBACK = 11, PINGREQ = 12, PINGRESP = 13, DISCONNECT = 14;

const now = typeof performance === 'object' ? () => performance.now() : () => Date.now();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

class ProtocolError extends Error {}

function quiet(promise) { // the caller may ignore it: its failure is counted and must not end the iteration
  promise.catch(() => {});
  return promise;
}

// ---- properties, MQTT 5 section 2.2.2.2

const BYTE = 0, U16 = 1, U32 = 2, VARINT = 3, BINARY = 4, TEXT = 5, PAIR = 6;
const PROPERTIES = {
  1: ['payloadFormatIndicator', BYTE], 2: ['messageExpiryInterval', U32], 3: ['contentType', TEXT],
  8: ['responseTopic', TEXT], 9: ['correlationData', BINARY], 11: ['subscriptionIdentifier', VARINT],
  17: ['sessionExpiryInterval', U32], 18: ['assignedClientIdentifier', TEXT], 19: ['serverKeepAlive', U16],
  21: ['authenticationMethod', TEXT], 22: ['authenticationData', BINARY], 23: ['requestProblemInformation', BYTE],
  24: ['willDelayInterval', U32], 25: ['requestResponseInformation', BYTE], 26: ['responseInformation', TEXT],
  28: ['serverReference', TEXT], 31: ['reasonString', TEXT], 33: ['receiveMaximum', U16], 34: ['topicAliasMaximum', U16],
  35: ['topicAlias', U16], 36: ['maximumQoS', BYTE], 37: ['retainAvailable', BYTE], 38: ['userProperties', PAIR],
  39: ['maximumPacketSize', U32], 40: ['wildcardSubscriptionAvailable', BYTE],
  41: ['subscriptionIdentifiersAvailable', BYTE], 42: ['sharedSubscriptionAvailable', BYTE],
};
const PROPERTY_IDS = Object.fromEntries(Object.entries(PROPERTIES).map(([id, [name]]) => [name, Number(id)]));

function toBytes(value) {
  if (value === undefined || value === null) return new Uint8Array(0);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return encoder.encode(typeof value === 'string' ? value : JSON.stringify(value));
}

class Writer {
  constructor() {
    this.parts = [];
    this.size = 0;
  }
  raw(bytes) {
    this.parts.push(bytes);
    this.size += bytes.length;
    return this;
  }
  u8(n) {
    return this.raw([n & 255]);
  }
  u16(n) {
    return this.raw([(n >> 8) & 255, n & 255]);
  }
  u32(n) {
    return this.raw([(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
  }
  varint(n) {
    const out = [];
    do {
      out.push((n % 128) | (n >= 128 ? 128 : 0));
      n = Math.floor(n / 128);
    } while (n > 0);
    return this.raw(out);
  }
  binary(value) {
    const bytes = toBytes(value);
    if (bytes.length > 65535) throw new RangeError('mqtt: a string of more than 65535 bytes');
    return this.u16(bytes.length).raw(bytes);
  }
  text(value) {
    return this.binary(String(value));
  }
  properties(values) {
    const w = new Writer();
    for (const name of Object.keys(values || {})) {
      const id = PROPERTY_IDS[name];
      if (!id) throw new TypeError(`mqtt: unknown property '${name}'`);
      const type = PROPERTIES[id][1];
      if (type === PAIR)
        for (const key of Object.keys(values[name]))
          for (const value of [].concat(values[name][key])) w.u8(id).text(key).text(value);
      else
        for (const value of [].concat(values[name])) {
          w.u8(id);
          [w.u8, w.u16, w.u32, w.varint, w.binary, w.text][type].call(w, type <= U32 ? Number(value) : value);
        }
    }
    return this.varint(w.size).append(w);
  }
  append(other) {
    this.parts.push(...other.parts);
    this.size += other.size;
    return this;
  }
  packet(type, flags) {
    const head = new Writer().u8((type << 4) | flags).varint(this.size);
    const out = new Uint8Array(head.size + this.size);
    let at = 0;
    for (const part of head.parts.concat(this.parts)) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  get left() {
    return this.bytes.length - this.at;
  }
  raw(n) {
    if (n > this.left) throw new ProtocolError('a packet shorter than it says');
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }
  u8() {
    return this.raw(1)[0];
  }
  u16() {
    const b = this.raw(2);
    return b[0] * 256 + b[1];
  }
  u32() {
    return this.u16() * 65536 + this.u16();
  }
  varint() {
    let n = 0;
    for (let i = 0; i < 4; i++) {
      const b = this.u8();
      n += (b & 127) * 128 ** i;
      if (b < 128) return n;
    }
    throw new ProtocolError('a malformed variable byte integer');
  }
  binary() {
    return this.raw(this.u16()).slice();
  }
  text() {
    return decoder.decode(this.raw(this.u16()));
  }
  properties() {
    const r = new Reader(this.raw(this.varint()));
    const out = {};
    while (r.left) {
      const known = PROPERTIES[r.varint()];
      if (!known) throw new ProtocolError('an unknown property');
      const [name, type] = known;
      if (type === PAIR) {
        const key = r.text(), value = r.text();
        const all = out[name] || (out[name] = {});
        all[key] = key in all ? [].concat(all[key], value) : value;
      } else {
        const value = [r.u8, r.u16, r.u32, r.varint, r.binary, r.text][type].call(r);
        out[name] = name in out ? [].concat(out[name], value) : value;
      }
    }
    return out;
  }
}

// What the message listeners get.
class Message {
  constructor(topic, payload, flags, properties) {
    this.topic = topic;
    this.payload = payload;
    this.qos = (flags >> 1) & 3;
    this.retain = (flags & 1) === 1;
    this.dup = (flags & 8) === 8;
    this.properties = properties;
  }
  text() {
    return decoder.decode(this.payload);
  }
  json() {
    return JSON.parse(this.text());
  }
}

const REFUSALS = [, 'unacceptable protocol version', 'identifier rejected', 'server unavailable',
  'bad user name or password', 'not authorized'];

class Client {
  constructor(url, options) {
    this.url = url;
    this.options = options;
    this.v5 = String(options.version || '3.1.1') === '5';
    this.tags = Object.assign({ version: this.v5 ? '5' : '3.1.1' }, options.tags);
    this.clientId = options.clientId === undefined ? 'load-' + Math.random().toString(36).slice(2, 14) : options.clientId;
    this.keepalive = options.keepalive === undefined ? 60 : options.keepalive;
    this.retry = Object.assign({ attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }, options.reconnect || {});
    this.attempt = 0;
    this.handlers = new Map();
    this.connected = false;
    this.ended = null;
    this.ready_ = [];
    this.waiting = []; // exchanges that may not start yet: not connected, or the receive maximum is reached
    this.pending = new Map(); // packet identifier -> exchange
    this.flying = 0; // publications among them
    this.arrived = new Set(); // identifiers of QoS 2 messages that were delivered and not released
    this.subscriptions = new Map();
    this.lastId = 0;
    this.pings = [];
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
    const ws = new WebSocket(this.url, this.options.protocol || 'mqtt', params);
    ws.binaryType = 'arraybuffer';
    this.ws = ws;
    this.started = now();
    this.failure = '';
    this.input = new Uint8Array(0);
    const mine = (f) => (e) => {
      if (this.ws === ws) f(e);
    };
    ws.onopen = mine(() => this.greet());
    ws.onmessage = mine((e) => {
      try {
        if (typeof e.data === 'string') throw new ProtocolError('a text message');
        this.feed(new Uint8Array(e.data));
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
    this.timer = setTimeout(() => this.fail('connect timeout'), this.options.timeout || 20000);
  }

  greet() {
    const o = this.options, will = o.will, w = new Writer();
    const clean = o.clean !== false;
    const flags = (clean ? 2 : 0) | (will ? 4 | ((will.qos || 0) << 3) | (will.retain ? 32 : 0) : 0) |
      (o.password !== undefined ? 64 : 0) | (o.username !== undefined ? 128 : 0);
    w.text('MQTT').u8(this.v5 ? 5 : 4).u8(flags).u16(this.keepalive);
    if (this.v5) w.properties(o.properties);
    w.text(this.clientId);
    if (will) {
      if (this.v5) w.properties(will.properties);
      w.text(will.topic).binary(will.payload);
    }
    if (o.username !== undefined) w.text(o.username);
    if (o.password !== undefined) w.binary(o.password);
    this.transmit(w.packet(CONNECT, 0));
  }

  transmit(bytes) {
    this.lastSent = now();
    this.ws.send(bytes.buffer);
  }

  // A WebSocket message may hold parts of packets and more than one.
  feed(bytes) {
    let input = bytes;
    if (this.input.length) {
      input = new Uint8Array(this.input.length + bytes.length);
      input.set(this.input);
      input.set(bytes, this.input.length);
    }
    const ws = this.ws;
    let at = 0;
    while (this.ws === ws) {
      let size = 0, head = 1;
      for (;; head++) {
        if (head > 4) throw new ProtocolError('a malformed length');
        if (at + head >= input.length) break;
        size += (input[at + head] & 127) * 128 ** (head - 1);
        if (input[at + head] < 128) break;
      }
      const end = at + head + 1 + size;
      if (at + head >= input.length || end > input.length) break;
      this.receive(input[at] >> 4, input[at] & 15, new Reader(input.subarray(at + head + 1, end)));
      at = end;
    }
    this.input = input.subarray(at);
  }

  // Gives the connection up without waiting for the peer.
  fail(reason, final) {
    const ws = this.ws;
    this.lost(reason, final);
    ws.close();
  }

  lost(reason, final) {
    clearTimeout(this.timer);
    clearTimeout(this.keeper);
    this.ws = null;
    const was = this.connected;
    const error = reason instanceof Error ? reason : new Error('mqtt: ' + reason);
    this.connected = false;
    errors.add(1, this.tags);
    for (const ping of this.pings.splice(0)) ping.reject(error);
    if (!final && this.attempt < this.retry.attempts) {
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
    if (was) this.fire('close', error);
  }

  finish(error) {
    this.ended = error;
    for (const exchange of [...this.pending.values(), ...this.waiting.splice(0)]) this.settle(exchange, error);
    for (const waiter of this.ready_.splice(0)) waiter.reject(error);
  }

  // Says goodbye and closes; a will is not published. `reasonCode` and `properties` are version 5's.
  end(reasonCode = 0, properties = undefined) {
    if (!this.ended && this.connected) {
      const w = new Writer();
      if (this.v5 && (reasonCode || properties)) w.u8(reasonCode).properties(properties);
      this.transmit(w.packet(DISCONNECT, 0));
    }
    this.leave('the client has ended');
  }

  // Drops the connection without goodbye, as a device that loses power: the server publishes the will.
  abort() {
    this.leave('the client has dropped the connection');
  }

  leave(reason) {
    if (this.ended) return;
    const ws = this.ws, was = this.connected;
    clearTimeout(this.timer);
    clearTimeout(this.keeper);
    this.ws = null;
    this.connected = false;
    const error = new Error('mqtt: ' + reason);
    for (const ping of this.pings.splice(0)) ping.reject(error);
    this.finish(error);
    if (ws && ws.readyState < 2) ws.close();
    if (was) this.fire('close', null);
  }

  // ---- what the server says

  receive(type, flags, r) {
    if (!this.connected && type !== CONNACK) throw new ProtocolError('a packet before CONNACK');
    switch (type) {
      case CONNACK:
        return this.welcome(r);
      case PUBLISH:
        return this.deliver(flags, r);
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
        return this.step(type, r.u16(), this.v5 && r.left ? r.u8() : 0, this.v5 && r.left ? r.properties() : undefined);
      case SUBACK:
      case UNSUBACK: {
        const exchange = this.pending.get(r.u16());
        const properties = this.v5 ? r.properties() : undefined;
        const codes = [...r.raw(r.left)];
        if (!exchange || exchange.answer !== type) return undefined;
        const bad = codes.find((code) => code >= 128);
        const error = bad === undefined ? null :
          Object.assign(new Error(`mqtt: refused with reason ${bad}`), { codes, properties });
        return this.settle(exchange, error, codes);
      }
      case PINGRESP: {
        const ping = this.pings.shift();
        if (!ping) return undefined;
        const ms = now() - ping.at;
        pingTime.add(ms, this.tags);
        return ping.resolve(ms);
      }
      case DISCONNECT: {
        const code = r.left ? r.u8() : 0;
        const properties = r.left ? r.properties() : {};
        this.fire('disconnect', { reasonCode: code, properties });
        return this.ws && this.fail(`the server disconnected with reason ${code}`);
      }
      default:
        throw new ProtocolError(`an unexpected packet of type ${type}`);
    }
  }

  welcome(r) {
    if (this.connected) throw new ProtocolError('a second CONNACK');
    const present = (r.u8() & 1) === 1, code = r.u8();
    const properties = this.v5 && r.left ? r.properties() : {};
    if (code) {
      const why = properties.reasonString || (!this.v5 && REFUSALS[code]) || 'reason ' + code;
      this.fail(Object.assign(new Error('mqtt: connection refused: ' + why), { code, properties }), true);
      return;
    }
    clearTimeout(this.timer);
    connecting.add(now() - this.started, this.tags);
    this.connected = true;
    this.attempt = 0;
    this.connack = { sessionPresent: present, properties };
    this.window = properties.receiveMaximum || 65535;
    this.aliases = new Map();
    if (properties.assignedClientIdentifier) this.clientId = properties.assignedClientIdentifier;
    this.keep(properties.serverKeepAlive === undefined ? this.keepalive : properties.serverKeepAlive);
    if (!present) this.arrived.clear();
    this.resume(present);
    for (const waiter of this.ready_.splice(0)) waiter.resolve(this);
    this.fire('connect', this.connack);
    this.pump();
  }

  // After a reconnect: what was not acknowledged goes out again, and the subscriptions if the server forgot them.
  resume(present) {
    for (const exchange of this.pending.values()) {
      if (!present && exchange.answer === PUBCOMP) exchange.answer = PUBREC;
      if (exchange.answer === PUBCOMP) {
        this.transmit(new Writer().u16(exchange.id).packet(PUBREL, 2));
      } else {
        if (exchange.answer <= PUBREC && present) exchange.bytes[0] |= 8;
        this.transmit(exchange.bytes);
      }
    }
    if (!present)
      for (const [filter, options] of this.subscriptions) this.request(SUBSCRIBE, [[filter, options]]);
  }

  keep(seconds) {
    clearTimeout(this.keeper);
    if (!seconds) return;
    const check = () => {
      const idle = now() - this.lastSent;
      if (this.pings.some((ping) => now() - ping.at >= seconds * 1000)) return this.fail('no answer to a ping');
      if (idle >= seconds * 900) this.ping();
      this.keeper = setTimeout(check, Math.max(10, seconds * 1000 - (now() - this.lastSent)));
    };
    this.keeper = setTimeout(check, seconds * 1000);
  }

  // A promise of the round trip in ms.
  ping() {
    if (!this.connected) return quiet(Promise.reject(this.ended || new Error('mqtt: not connected')));
    return quiet(new Promise((resolve, reject) => {
      this.pings.push({ at: now(), resolve, reject });
      this.transmit(new Writer().packet(PINGREQ, 0));
    }));
  }

  deliver(flags, r) {
    const qos = (flags >> 1) & 3;
    let topic = r.text();
    if (qos === 3) throw new ProtocolError('a message of QoS 3');
    const id = qos ? r.u16() : 0;
    const properties = this.v5 ? r.properties() : undefined;
    if (properties && properties.topicAlias) {
      if (topic) this.aliases.set(properties.topicAlias, topic);
      else topic = this.aliases.get(properties.topicAlias);
      if (topic === undefined) throw new ProtocolError('an unknown topic alias');
    }
    const message = new Message(topic, r.raw(r.left).slice(), flags, properties);
    const fresh = qos < 2 || !this.arrived.has(id);
    if (qos === 1) this.answer(PUBACK, 0, id);
    if (qos === 2) {
      this.arrived.add(id);
      this.answer(PUBREC, 0, id);
    }
    if (!fresh) return;
    received.add(1, Object.assign({ qos: String(qos) }, this.tags));
    this.fire('message', message);
  }

  answer(type, flags, id) {
    this.transmit(new Writer().u16(id).packet(type, flags));
  }

  // The handshakes of QoS 1 and 2.
  step(type, id, reason, properties) {
    const exchange = this.pending.get(id);
    if (type === PUBREL) {
      this.arrived.delete(id);
      return this.answer(PUBCOMP, 0, id);
    }
    const fits = exchange && exchange.answer === type;
    if (type === PUBREC && reason < 128 && (fits || !exchange || exchange.answer === PUBCOMP)) {
      if (fits) exchange.answer = PUBCOMP;
      return this.answer(PUBREL, 2, id);
    }
    if (!fits) return undefined;
    const error = reason < 128 ? null : Object.assign(new Error(`mqtt: refused with reason ${reason}`), { reason, properties });
    this.settle(exchange, error, { reasonCode: reason, properties });
    return this.pump();
  }

  // ---- what the client asks

  begin(exchange) {
    return quiet(new Promise((resolve, reject) => {
      Object.assign(exchange, { resolve, reject });
      if (this.ended) return this.settle(exchange, this.ended);
      if (exchange.answer)
        exchange.timer = setTimeout(() => this.settle(exchange, new Error('mqtt: no acknowledgement in time')),
          this.options.ackTimeout || 10000);
      this.waiting.push(exchange);
      return this.pump();
    }));
  }

  pump() {
    while (this.connected && this.waiting.length) {
      const exchange = this.waiting[0];
      if (exchange.publish && exchange.answer) {
        if (this.flying >= this.window) return;
        this.flying += 1;
      }
      this.waiting.shift();
      if (exchange.answer) {
        exchange.id = this.freeId();
        this.pending.set(exchange.id, exchange);
      }
      exchange.bytes = exchange.encode(exchange.id);
      exchange.at = now();
      if (exchange.publish) sent.add(1, exchange.tags);
      this.transmit(exchange.bytes);
      if (!exchange.answer) exchange.resolve({ reasonCode: 0 });
    }
  }

  freeId() {
    if (this.pending.size >= 65535) throw new Error('mqtt: no packet identifier is free');
    do this.lastId = (this.lastId % 65535) + 1;
    while (this.pending.has(this.lastId));
    return this.lastId;
  }

  settle(exchange, error, value) {
    if (exchange.done) return;
    exchange.done = true;
    clearTimeout(exchange.timer);
    if (this.pending.get(exchange.id) === exchange) {
      this.pending.delete(exchange.id);
      this.flying -= exchange.publish ? 1 : 0;
    } else {
      this.waiting = this.waiting.filter((e) => e !== exchange);
    }
    if (exchange.answer) acked.add(!error, exchange.tags);
    if (error) {
      exchange.reject(error);
      return;
    }
    if (exchange.trend) exchange.trend.add(now() - exchange.at, exchange.tags);
    exchange.resolve(value);
  }

  // A promise that is kept once the message was sent (QoS 0), acknowledged (1) or completed (2).
  // Options: qos 0, retain false, properties (version 5). A payload that is neither string nor bytes becomes JSON.
  publish(topic, payload, options = {}) {
    const qos = options.qos || 0, body = toBytes(payload).slice();
    if (![0, 1, 2].includes(qos)) throw new RangeError(`mqtt: QoS ${qos}`);
    const properties = this.v5 ? new Writer().properties(options.properties) : null;
    return this.begin({
      publish: true,
      answer: [0, PUBACK, PUBREC][qos],
      trend: publishTime,
      tags: Object.assign({ packet: 'publish', qos: String(qos) }, this.tags),
      encode: (id) => {
        const w = new Writer().text(topic);
        if (qos) w.u16(id);
        if (properties) w.append(properties);
        return w.raw(body).packet(PUBLISH, (qos << 1) | (options.retain ? 1 : 0));
      },
    });
  }

  // A promise of the granted QoS (version 5: reason codes). `filter`: a topic filter, or several in an array.
  // Options: qos 0, and of version 5 noLocal, retainAsPublished, retainHandling, properties.
  subscribe(filter, options = {}) {
    return this.request(SUBSCRIBE, [].concat(filter).map((f) => [f, options]), options.properties).then((codes) => {
      for (const f of [].concat(filter)) this.subscriptions.set(f, options);
      return codes;
    });
  }

  // A promise of version 5's reason codes.
  unsubscribe(filter, options = {}) {
    for (const f of [].concat(filter)) this.subscriptions.delete(f);
    return this.request(UNSUBSCRIBE, [].concat(filter).map((f) => [f, {}]), options.properties);
  }

  request(type, list, properties) {
    const subscribing = type === SUBSCRIBE;
    const got = this.begin({
      answer: type + 1,
      trend: subscribing ? subscribeTime : null,
      tags: Object.assign({ packet: subscribing ? 'subscribe' : 'unsubscribe' }, this.tags),
      encode: (id) => {
        const w = new Writer().u16(id);
        if (this.v5) w.properties(properties);
        for (const [filter, o] of list) {
          w.text(filter);
          if (subscribing)
            w.u8((o.qos || 0) | (this.v5 ? (o.noLocal ? 4 : 0) | (o.retainAsPublished ? 8 : 0) | ((o.retainHandling || 0) << 4) : 0));
        }
        return w.packet(type, 2);
      },
    });
    return got;
  }
}

// Connects and returns a Client. Options, all optional:
//   version    '3.1.1' or '5'
//   clientId   a random one; '' lets the server choose
//   clean      true: no session is kept (version 5: clean start)
//   keepalive  60 seconds; 0: none
//   username, password, will { topic, payload, qos, retain, properties }, properties (version 5)
//   timeout    20000 ms until CONNACK; ackTimeout 10000 ms for any other answer
//   reconnect  { attempts: 0, delay: 1000, maxDelay: 30000, jitter: 0.5 }; no attempts unless asked for
//   tags       for all metrics
//   params     of the WebSocket: headers, tags, jar, compression
//   protocol   'mqtt'
export function connect(url, options = {}) {
  return new Client(url, options);
}

export default { connect };
