// SPDX-License-Identifier: Apache-2.0
// Takes files in chunks at /upload: {type: begin, name, size}, then binary messages of an offset (8 bytes) and data.
'use strict';
const crypto = require('crypto');
const { parse, every, start, send } = require('./lib.js');

const options = parse({ 'refuse-every': 0, pace: 0 }); // each n-th chunk is refused; ms until a chunk is confirmed
const counts = { files: 0, bytes: 0, chunks: 0, refused: 0, confirmedBytes: 0, mostWaiting: 0 };
const refuses = every(options['refuse-every']);

function begin(session, message) {
  session.name = message.name;
  session.data = Buffer.alloc(Math.min(Number(message.size) || 0, 64 << 20));
  session.taken = 0;
}

function confirm(socket, session, offset, length, taken) {
  session.waiting -= 1;
  if (taken) counts.confirmedBytes += length;
  send(socket, { type: taken ? 'taken' : 'refused', offset, length });
}

function chunk(socket, session, bytes) {
  const offset = Number(bytes.readBigUInt64BE(0));
  const data = bytes.subarray(8);
  if (!session.data || offset + data.length > session.data.length) return socket.close(1008, 'outside of the file');
  const taken = !refuses();
  counts.chunks += 1;
  counts.bytes += data.length;
  session.waiting += 1;
  counts.mostWaiting = Math.max(counts.mostWaiting, session.waiting);
  if (taken) {
    data.copy(session.data, offset);
    session.taken += data.length;
  } else counts.refused += 1;
  if (options.pace) setTimeout(confirm, options.pace, socket, session, offset, data.length, taken);
  else confirm(socket, session, offset, data.length, taken);
}

function end(socket, session) {
  counts.files += 1;
  const sha256 = crypto.createHash('sha256').update(session.data).digest('hex');
  send(socket, { type: 'stored', name: session.name, size: session.taken, sha256 });
}

start({
  options,
  counts,
  upgrade: (request, { path }) => (path === '/upload' ? 0 : 404),
  connection(socket) {
    const session = { data: null, waiting: 0 };
    socket.on('message', (bytes, binary) => {
      if (binary) return bytes.length >= 8 ? chunk(socket, session, bytes) : socket.close(1008, 'no chunk');
      let message = {};
      try {
        message = JSON.parse(bytes);
      } catch {
        // refused below
      }
      if (message.type === 'begin') begin(session, message);
      else if (message.type === 'end' && session.data) end(socket, session);
      else socket.close(1008, 'not a message of this protocol');
    });
  },
});
