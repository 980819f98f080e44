// Uploading a file over a WebSocket: chunks, a window, backpressure, and a checksum at the end.
//
// The system: an app sends a recording while the user looks on. It must not push the whole file into the socket at once: the
// data would wait in our memory and in that of every proxy, a progress bar would be a lie, and "cancel" would not cancel. So
// at most WINDOW chunks are on their way unconfirmed, and nothing is sent while `bufferedAmount` says that the network does
// not keep up. A chunk that the server refuses is sent again. In the end the server's SHA-256 must be that of what we sent.
//
// What it measures: megabytes per second and upload (upload_rate), time until a chunk is confirmed (upload_chunk), refused
// chunks (upload_refused), how often we had to wait for the network (upload_stalls), and files that arrived damaged
// (upload_damaged).
//
//   tests/servers/serve upload &
//   squall run examples/gallery/upload-backpressure.js
//
// Try `serve upload --refuse-every 10`: upload_refused is what the server refused, and every file is whole all the same.
// Knobs (-e NAME=value): URL, VUS, FILES per VU, FILE_KB, CHUNK_KB, WINDOW.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import crypto from 'k6/crypto';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const FILE_BYTES = Number(__ENV.FILE_KB || 512) * 1024;
const CHUNK_BYTES = Number(__ENV.CHUNK_KB || 16) * 1024;
const WINDOW = Number(__ENV.WINDOW || 4);
const BUFFER_BYTES_MAX = 4 * CHUNK_BYTES;

const rate = new Trend('upload_rate');
const chunkTime = new Trend('upload_chunk', true);
const bytes = new Counter('upload_bytes');
const refused = new Counter('upload_refused');
const stalls = new Counter('upload_stalls');
const damaged = new Counter('upload_damaged');

export const options = {
  scenarios: {
    uploads: {
      executor: 'per-vu-iterations',
      vus: Number(__ENV.VUS || 4),
      iterations: Number(__ENV.FILES || 3),
      maxDuration: '2m',
    },
  },
  thresholds: {
    upload_damaged: ['count==0'],
    upload_rate: ['med>1'],
    upload_chunk: ['p(95)<1000'],
    checks: ['rate==1'],
  },
};

// Bytes that differ from file to file, and from place to place: a chunk in the wrong place must not go unnoticed.
function recording(seed) {
  const words = new Uint32Array(FILE_BYTES / 4);
  for (let i = 0, x = seed; i < words.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    words[i] = x;
  }
  return new Uint8Array(words.buffer);
}

class Upload {
  constructor(socket, file) {
    this.socket = socket;
    this.file = file;
    this.next = 0; // offset of the first byte that was never sent
    this.again = []; // offsets of chunks that were refused
    this.onTheWay = new Map(); // offset to the time of sending
    this.confirmed = 0;
  }

  // Sends what the window and the network allow.
  pump() {
    while (this.onTheWay.size < WINDOW && (this.again.length || this.next < this.file.length)) {
      if (this.socket.bufferedAmount > BUFFER_BYTES_MAX) {
        stalls.add(1);
        setTimeout(() => this.pump(), 10);
        return;
      }
      const offset = this.again.length ? this.again.shift() : this.next;
      this.send(offset);
      if (offset === this.next) this.next = Math.min(this.next + CHUNK_BYTES, this.file.length);
    }
  }

  send(offset) {
    const data = this.file.subarray(offset, Math.min(offset + CHUNK_BYTES, this.file.length));
    const message = new Uint8Array(8 + data.length);
    new DataView(message.buffer).setUint32(4, offset); // the lower half of its eight bytes
    message.set(data, 8);
    this.onTheWay.set(offset, Date.now());
    bytes.add(data.length);
    this.socket.send(message);
  }

  // Returns true when the whole file is confirmed.
  answered({ type, offset, length }) {
    chunkTime.add(Date.now() - this.onTheWay.get(offset));
    this.onTheWay.delete(offset);
    if (type === 'taken') this.confirmed += length;
    else {
      refused.add(1);
      this.again.push(offset);
    }
    this.pump();
    return this.confirmed === this.file.length;
  }
}

export default function () {
  const file = recording(__VU * 1000 + __ITER);
  const sha256 = crypto.sha256(file.buffer, 'hex');
  const socket = new WebSocket(`${url}/upload`);
  const upload = new Upload(socket, file);
  const send = (message) => socket.send(JSON.stringify(message));
  const guard = setTimeout(() => socket.close(), 60000);
  let started = 0;
  let stored = null;

  socket.onopen = () => {
    started = Date.now();
    send({ type: 'begin', name: `recording-${__VU}-${__ITER}`, size: file.length });
    upload.pump();
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type !== 'stored') {
      if (upload.answered(message)) send({ type: 'end' });
      return;
    }
    stored = message;
    rate.add(file.length / 1048576 / Math.max(0.001, (Date.now() - started) / 1000));
    damaged.add(stored.sha256 === sha256 ? 0 : 1);
    socket.close(1000);
  };
  socket.onerror = (event) => console.error(String(event.error));
  socket.onclose = () => {
    clearTimeout(guard);
    check(stored, { 'the file is stored': (s) => s !== null && s.size === file.length });
  };
}
