// Socket.IO: a chat in which every message is acknowledged and nobody may miss one.
//
// Each user joins the room of its pair, says ten things and counts what it hears. The acknowledgement's time is the metric
// socketio_ack; a message that was not acknowledged within a second makes socketio_acked fall below 1.
//
//   squall run -e URL=http://127.0.0.1:3000 examples/kits-socketio.js
//
// The server is one of the npm package socket.io that answers `echo` with what it got, and sends `said` to all in the room
// upon `say`. On k6: copy kits/socketio.js here and import './socketio.js'.
import { check } from 'k6';
import { setTimeout } from 'k6/timers';
import { connect } from 'squall/socketio';

const url = __ENV.URL || 'http://127.0.0.1:3000';
const MESSAGES = 10;

export const options = {
  vus: 4,
  iterations: 4,
  thresholds: { socketio_acked: ['rate==1'], socketio_errors: ['count==0'] },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default async function () {
  const room = `pair ${Math.floor(__VU / 2)}`;
  const socket = connect(url, { auth: { token: `user ${__VU}` }, ackTimeout: 1000 });
  let heard = 0;

  socket.on('said', (text) => {
    if (text.startsWith(`${__VU}:`)) heard += 1;
  });
  socket.on('disconnect', (reason) => check(reason, { 'we left ourselves': (r) => r === 'io client disconnect' }));
  await socket.ready();
  for (let i = 0; i < MESSAGES; i++) {
    socket.emit('say', room, `${__VU}: message ${i}`);
    await pause(20);
  }
  const last = await socket.emitWithAck('echo', 'done');
  check(last, { 'server is up to date': (reply) => reply === 'done' });
  check(heard, { 'heard every own message': (n) => n === MESSAGES });
  socket.disconnect();
}
