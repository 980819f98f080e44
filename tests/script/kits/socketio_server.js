// SPDX-License-Identifier: Apache-2.0
// A server of the npm package socket.io. Argument: options as JSON. Prints JSON lines: the port, then what happens.
'use strict';
const http = require('http');
const { Server } = require('socket.io');
const log = (o) => console.log(JSON.stringify(o));
const server = http.createServer();
const io = new Server(server, Object.assign({ serveClient: false }, JSON.parse(process.argv[2] || '{}')));

io.of('/').on('connection', (socket) => {
  log({ connection: { auth: socket.handshake.auth, query: socket.handshake.query.room, agent: socket.handshake.headers['x-agent'] } });
  socket.emit('welcome', { id: socket.id });
  socket.on('echo', (...args) => {
    const reply = args.pop();
    reply(...args);
  });
  socket.on('silent', () => log({ silent: true }));
  socket.on('say', (room, text) => {
    socket.join(room);
    io.to(room).emit('said', text);
  });
  socket.on('binary', (data, reply) => {
    log({ binary: { a: Buffer.isBuffer(data.a) && data.a.toString('hex'), b: data.list[1].length, text: data.text } });
    reply({ back: data.a, twice: [data.a, data.list[1]] });
    socket.emit('blob', Buffer.from([1, 2, 3]), 'tail');
  });
  socket.on('ask me', () => socket.emit('question', 6, 7, (answer) => log({ answer })));
  socket.on('kick', () => socket.disconnect());
  socket.on('cut', () => socket.conn.close());
  socket.on('garbage', () => socket.conn.transport.socket.send('4' + '2["unclosed'));
  socket.on('disconnect', (reason) => log({ disconnect: reason }));
});

const admin = io.of('/admin');
admin.use((socket, next) => {
  if (socket.handshake.auth.token === 'secret') return next();
  const error = new Error('not authorized');
  error.data = { code: 401 };
  next(error);
});
admin.on('connection', (socket) => {
  log({ admin: true });
  socket.on('whoami', (reply) => reply('admin'));
  socket.on('disconnect', (reason) => log({ 'admin disconnect': reason }));
});

server.listen(0, '127.0.0.1', () => log({ port: server.address().port }));
