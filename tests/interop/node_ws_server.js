// SPDX-License-Identifier: Apache-2.0
// An echo server of the npm package ws. Argument: its perMessageDeflate option as JSON. Prints JSON lines: the port, then
// per connection what was negotiated, each message and the close code.
'use strict';
const { WebSocketServer } = require('ws');
const deflate = JSON.parse(process.argv[2]);
const SENTENCE = 'the quick brown fox jumps over the lazy dog, again and again. ';
const log = (o) => console.log(JSON.stringify(o));
const wss = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: deflate });

wss.on('listening', () => log({ port: wss.address().port }));
wss.on('connection', (socket) => {
  log({ extensions: socket.extensions });
  socket.on('message', (data, binary) => {
    log({ message: data.length, binary });
    if (!binary && data.toString() === 'big fragments please') { // each reaches back into what was sent before
      for (let i = 0; i < 50; i++) socket.send(SENTENCE.repeat(20), { fin: i === 49 });
      return;
    }
    if (!binary && data.toString() === 'fragments please') {
      socket.send('one ', { fin: false });
      socket.send('two ', { fin: false });
      socket.ping('between');
      socket.send('three', { fin: true });
      return;
    }
    socket.send(data, { binary });
  });
  socket.on('pong', (data) => log({ pong: data.toString() }));
  socket.on('error', (error) => log({ error: error.message }));
  socket.on('close', (code) => log({ close: code }));
});
