// SPDX-License-Identifier: Apache-2.0
// Phoenix's own client against our stand-in, whose port is the argument: prints what it saw as one JSON line.
'use strict';
const { Socket } = require('phoenix');
const socket = new Socket(`ws://127.0.0.1:${process.argv[2]}/socket`, { transport: require('ws'), params: { token: 't' }, heartbeatIntervalMs: 100 });
const seen = {};
const push = (p) => new Promise((resolve) => {
  for (const status of ['ok', 'error', 'timeout']) p.receive(status, (r) => resolve([status, r]));
});
socket.connect();
(async () => {
  const room = socket.channel('room:judge', {});
  seen.join = await push(room.join());
  seen.refused = await push(socket.channel('private:x', {}).join());
  room.on('shout', (m) => (seen.shout = m));
  room.on('blob', (b) => (seen.blob = [...new Uint8Array(b)]));
  room.on('direct', (b) => (seen.direct = [...new Uint8Array(b)]));
  seen.echo = await push(room.push('echo', { a: 1 }));
  seen.fail = await push(room.push('fail', {}));
  await push(room.push('shout', { text: 'hi' }));
  const [status, response] = await push(room.push('binary', new Uint8Array([1, 2, 3]).buffer));
  seen.binary = [status, [...new Uint8Array(response)]];
  await new Promise((resolve) => setTimeout(resolve, 350));
  seen.connected = socket.isConnected();
  seen.leave = (await push(room.leave()))[0];
  console.log(JSON.stringify({ seen }));
  process.exit(0);
})();
