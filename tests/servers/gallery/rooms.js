// SPDX-License-Identifier: Apache-2.0
// Chat rooms of the npm package socket.io: join and message are acknowledged, typing is not.
'use strict';
const { Server } = require('socket.io');
const { parse, every, start } = require('./lib.js');

const options = parse({ 'drop-every': 0, 'lose-ack-every': 0 }); // each n-th delivery, and acknowledgement of a message, is lost
const counts = { joins: 0, messages: 0, delivered: 0, dropped: 0, lostAcks: 0, typing: 0 };
const drops = every(options['drop-every']);
const losesAck = every(options['lose-ack-every']);
const numbers = new Map(); // room to the number of its last message

function post(io, room, message) {
  const number = (numbers.get(room) || 0) + 1;
  numbers.set(room, number);
  counts.messages += 1;
  for (const id of io.sockets.adapter.rooms.get(room) || []) {
    if (drops()) {
      counts.dropped += 1;
      continue;
    }
    counts.delivered += 1;
    io.to(id).emit('message', Object.assign({ number }, message));
  }
  return number;
}

function welcome(io, socket) {
  counts.accepted += 1;
  counts.open += 1;
  socket.on('disconnect', () => (counts.open -= 1));
  socket.on('join', (room, acknowledge) => {
    counts.joins += 1;
    socket.join(room);
    acknowledge({ number: numbers.get(room) || 0 });
  });
  socket.on('message', (room, message, acknowledge) => {
    const number = post(io, room, message);
    if (losesAck()) counts.lostAcks += 1;
    else acknowledge({ number });
  });
  socket.on('typing', (room, name) => {
    counts.typing += 1;
    socket.to(room).emit('typing', name);
  });
  socket.on('leave', (room, acknowledge) => {
    socket.leave(room);
    acknowledge({ number: numbers.get(room) || 0 });
  });
}

start({
  options,
  counts,
  attach(web) {
    const io = new Server(web, { serveClient: false, transports: ['websocket'] });
    io.use((socket, next) => next(socket.handshake.auth.name ? undefined : new Error('who are you?')));
    io.on('connection', (socket) => welcome(io, socket));
  },
});
