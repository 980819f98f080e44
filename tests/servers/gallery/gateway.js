// SPDX-License-Identifier: Apache-2.0
// A gateway to machines in a binary protocol at /gateway: frames with opcode, length and CRC, in messages cut anywhere.
//
//   0        2         3        4         8          12                12 + n
//   | 'SQ'   | version | opcode | request | length n | payload, n bytes | CRC-32 of all before |     big endian
'use strict';
const { parse, every, start } = require('./lib.js');

const options = parse({ chunk: 0, 'corrupt-every': 0 }); // bytes per message, 0: a frame each; each n-th answer has a flipped bit
const counts = { logins: 0, reads: 0, writes: 0, errors: 0, corrupted: 0, badFrames: 0 };
const corrupts = every(options['corrupt-every']);
const LOGIN = 1, OK = 2, READ = 3, VALUE = 4, WRITE = 5, ERROR = 15;
const HEAD = 12;
const REGISTERS = 64;

const TABLE = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function frame(opcode, request, payload) {
  const out = Buffer.alloc(HEAD + payload.length + 4);
  out.write('SQ', 0, 'latin1');
  out.writeUInt8(1, 2);
  out.writeUInt8(opcode, 3);
  out.writeUInt32BE(request, 4);
  out.writeUInt32BE(payload.length, 8);
  payload.copy(out, HEAD);
  out.writeUInt32BE(crc32(out.subarray(0, HEAD + payload.length)), HEAD + payload.length);
  return out;
}

const failure = (request, code, text) => {
  counts.errors += 1;
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code);
  payload.write(text, 2, 'latin1');
  return frame(ERROR, request, payload);
};

function value(session, request, register) {
  const payload = Buffer.alloc(18);
  payload.writeUInt16BE(register);
  payload.writeDoubleBE(session.registers[register], 2);
  payload.writeBigUInt64BE(BigInt(Date.now()), 10);
  counts.reads += 1;
  return frame(VALUE, request, payload);
}

// The answer to one whole frame.
function answer(session, opcode, request, payload) {
  if (opcode === LOGIN) {
    counts.logins += 1;
    session.name = payload.toString('latin1');
    return frame(OK, request, Buffer.alloc(0));
  }
  if (!session.name) return failure(request, 401, 'log in first');
  const register = payload.length >= 2 ? payload.readUInt16BE(0) : REGISTERS;
  if (register >= REGISTERS) return failure(request, 404, 'no such register');
  if (opcode === READ) return value(session, request, register);
  if (opcode !== WRITE || payload.length !== 10) return failure(request, 400, 'no such operation');
  session.registers[register] = payload.readDoubleBE(2);
  counts.writes += 1;
  return frame(OK, request, Buffer.alloc(0));
}

function reply(socket, bytes) {
  if (corrupts()) {
    counts.corrupted += 1;
    // In the payload, or in the request's number if there is none; not in the length, which would put the stream out of step.
    bytes[bytes.length > HEAD + 4 ? bytes.length - 5 : 7] ^= 0x10;
  }
  const size = options.chunk || bytes.length;
  for (let at = 0; at < bytes.length; at += size) socket.send(bytes.subarray(at, at + size));
}

function receive(socket, session, data) {
  session.buffer = Buffer.concat([session.buffer, data]);
  while (session.buffer.length >= HEAD) {
    const length = session.buffer.readUInt32BE(8);
    const total = HEAD + length + 4;
    if (session.buffer.toString('latin1', 0, 2) !== 'SQ' || length > 65536) return socket.close(1002, 'not a frame');
    if (session.buffer.length < total) return;
    const whole = session.buffer.subarray(0, total);
    session.buffer = session.buffer.subarray(total);
    if (whole.readUInt32BE(total - 4) !== crc32(whole.subarray(0, total - 4))) {
      counts.badFrames += 1;
      return socket.close(1002, 'bad checksum');
    }
    reply(socket, answer(session, whole[3], whole.readUInt32BE(4), whole.subarray(HEAD, total - 4)));
  }
}

start({
  options,
  counts,
  upgrade: (request, { path }) => (path === '/gateway' ? 0 : 404),
  connection(socket) {
    const session = { name: '', buffer: Buffer.alloc(0), registers: new Float64Array(REGISTERS) };
    socket.on('message', (data) => receive(socket, session, data));
  },
});
