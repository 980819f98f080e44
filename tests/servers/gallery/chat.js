// SPDX-License-Identifier: Apache-2.0
// Chat rooms at /chat?room=R&user=U: numbers what is said in a room and delivers it to all in it.
'use strict';
const { parse, every, start, send, dispatch } = require('./lib.js');

const options = parse({ 'drop-every': 0, 'drop-room': '' }); // each n-th delivery is lost, in that room or in all
const counts = { said: 0, delivered: 0, dropped: 0, droppedIn: {} };
const rooms = new Map(); // name to { seq, members }
const drops = every(options['drop-every']);

function deliver(name, member, message) {
  if ([name, ''].includes(options['drop-room']) && drops()) {
    counts.dropped += 1;
    counts.droppedIn[name] = (counts.droppedIn[name] || 0) + 1;
    return;
  }
  counts.delivered += 1;
  send(member, message);
}

start({
  options,
  counts,
  upgrade: (request, { path, query }) => (path !== '/chat' ? 404 : query.room && query.user ? 0 : 400),
  connection(socket, { query }) {
    if (!rooms.has(query.room)) rooms.set(query.room, { seq: 0, members: new Set() });
    const room = rooms.get(query.room);
    room.members.add(socket);
    socket.on('close', () => room.members.delete(socket));
    send(socket, { type: 'joined', seq: room.seq, members: room.members.size });
    dispatch(socket, {
      say({ text, at }) {
        counts.said += 1;
        room.seq += 1;
        for (const member of room.members)
          deliver(query.room, member, { type: 'said', seq: room.seq, from: query.user, text, at });
      },
      // All up to this number was meant for you; nothing after it is.
      leave() {
        room.members.delete(socket);
        send(socket, { type: 'left', seq: room.seq });
      },
    });
  },
});
