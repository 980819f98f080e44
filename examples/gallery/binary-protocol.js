// A binary protocol: DataView, frames with length and CRC, and messages that are cut where it pleases the network.
//
// The system: a gateway to machines, in the protocol of their field bus carried over WebSocket. Each frame is
//
//   0        2         3        4         8          12                12 + n
//   | 'SQ'   | version | opcode | request | length n | payload, n bytes | CRC-32 of all before |     big endian
//
// and the gateway forwards bytes as they come: a WebSocket message may hold half a frame or three. Clients put the frames
// together again, verify the checksum, and send a request again when its answer was damaged.
//
// What it measures: the time of reads and writes (gateway_request{op:...}), frames whose checksum was wrong
// (gateway_corrupt) and requests that were sent again (gateway_retries). What was written must be read back, bit by bit.
//
//   tests/servers/serve gateway &
//   squall run examples/gallery/binary-protocol.js
//
// Try `serve gateway --chunk 7` (messages of seven bytes: nothing may change) and `--corrupt-every 40` (gateway_corrupt is
// what the server damaged, nothing is lost, and the run ends with exit code 99).
// Knobs (-e NAME=value): URL, CLIENTS, ROUNDS (a write and a read each).
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const ROUNDS = Number(__ENV.ROUNDS || 50);

const [LOGIN, OK, READ, VALUE, WRITE, ERROR] = [1, 2, 3, 4, 5, 15];
const MAGIC = 0x5351; // 'SQ'
const HEAD = 12;
const LONGEST = 65536;

const requestTime = new Trend('gateway_request', true);
const corrupt = new Counter('gateway_corrupt');
const retries = new Counter('gateway_retries');
const wrongValues = new Counter('gateway_wrong_values');

export const options = {
  scenarios: {
    clients: { executor: 'per-vu-iterations', vus: Number(__ENV.CLIENTS || 5), iterations: 1, maxDuration: '2m' },
  },
  thresholds: {
    gateway_corrupt: ['count==0'],
    gateway_wrong_values: ['count==0'],
    'gateway_request{op:read}': ['p(95)<500'],
    'gateway_request{op:write}': ['p(95)<500'],
    checks: ['rate==1'],
  },
};

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function encode(opcode, request, payload) {
  const bytes = new Uint8Array(HEAD + payload.length + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC);
  view.setUint8(2, 1);
  view.setUint8(3, opcode);
  view.setUint32(4, request);
  view.setUint32(8, payload.length);
  bytes.set(payload, HEAD);
  view.setUint32(HEAD + payload.length, crc32(bytes.subarray(0, HEAD + payload.length)));
  return bytes;
}

const ascii = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

function readPayload(register) {
  const payload = new Uint8Array(2);
  new DataView(payload.buffer).setUint16(0, register);
  return payload;
}

function writePayload(register, value) {
  const payload = new Uint8Array(10);
  const view = new DataView(payload.buffer);
  view.setUint16(0, register);
  view.setFloat64(2, value);
  return payload;
}

// Bytes in, frames out: { opcode, payload (a DataView), ok (the checksum is right) }.
class Frames {
  constructor() {
    this.bytes = new Uint8Array(0);
  }

  push(chunk) {
    const all = new Uint8Array(this.bytes.length + chunk.length);
    all.set(this.bytes);
    all.set(chunk, this.bytes.length);
    this.bytes = all;
  }

  next() {
    if (this.bytes.length < HEAD) return null;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    const length = view.getUint32(8);
    if (view.getUint16(0) !== MAGIC || length > LONGEST) throw new Error('this is not a frame: the stream is out of step');
    const end = HEAD + length + 4;
    if (this.bytes.length < end) return null;
    const ok = crc32(this.bytes.subarray(0, end - 4)) === view.getUint32(end - 4);
    const payload = new DataView(this.bytes.buffer, this.bytes.byteOffset + HEAD, length);
    this.bytes = this.bytes.subarray(end);
    return { opcode: view.getUint8(3), request: view.getUint32(4), payload, ok };
  }
}

// One request at a time: which one a damaged frame was the answer to is then certain.
class Gateway {
  constructor(socket) {
    this.socket = socket;
    this.frames = new Frames();
    this.number = 0;
    this.waiting = null;
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      this.frames.push(new Uint8Array(data));
      for (let frame = this.frames.next(); frame; frame = this.frames.next()) this.receive(frame);
    };
  }

  request(op, opcode, payload) {
    this.number += 1;
    const bytes = encode(opcode, this.number, payload);
    this.socket.send(bytes);
    return new Promise((resolve, reject) => (this.waiting = { op, bytes, number: this.number, at: Date.now(), resolve, reject }));
  }

  receive(frame) {
    const { op, bytes, number, at, resolve, reject } = this.waiting;
    if (!frame.ok) {
      corrupt.add(1);
      retries.add(1, { op });
      this.socket.send(bytes);
      return;
    }
    requestTime.add(Date.now() - at, { op });
    if (frame.request !== number) reject(new Error(`answer to request ${frame.request} instead of ${number}`));
    else if (frame.opcode === ERROR) reject(new Error(`the gateway refuses with ${frame.payload.getUint16(0)}`));
    else resolve(frame);
  }
}

export default function () {
  const socket = new WebSocket(`${url}/gateway`);
  const gateway = new Gateway(socket);
  const guard = setTimeout(() => socket.close(), 30000);
  let rounds = 0;

  socket.onopen = async () => {
    const login = await gateway.request('login', LOGIN, ascii(`client-${__VU}`));
    check(login, { 'logged in': (frame) => frame.opcode === OK });
    for (; rounds < ROUNDS; rounds++) {
      const register = rounds % 64;
      const value = (__VU * 1000 + rounds) / 3;
      await gateway.request('write', WRITE, writePayload(register, value));
      const { opcode, payload } = await gateway.request('read', READ, readPayload(register));
      const same = opcode === VALUE && payload.getUint16(0) === register && payload.getFloat64(2) === value;
      wrongValues.add(same ? 0 : 1);
    }
    socket.close(1000);
  };
  socket.onclose = () => {
    clearTimeout(guard);
    check(rounds, { 'all rounds were made': (n) => n === ROUNDS });
  };
}
