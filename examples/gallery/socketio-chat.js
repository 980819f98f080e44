// A Socket.IO chat: rooms, acknowledgements, messages that may get lost and messages that must not.
//
// The system: a chat with the npm package socket.io. `join`, `message` and `leave` are acknowledged, and the acknowledgement
// tells the room's message number; `typing` is fire and forget. People type, wait for the acknowledgement that the tick mark
// in the window stands for, and read what others say.
//
// What it measures: the time until the tick mark (socketio_ack{event:message}, from the kit), messages without one
// (chat_unconfirmed: the user sees an error and probably sends it again), messages of others that never arrived
// (chat_lost, from the numbers), and the time until all see it (chat_delivery). docs/kits/socketio.md lists the kit's metrics.
//
//   tests/servers/serve rooms &
//   squall run examples/gallery/socketio-chat.js
//
// Try `serve rooms --drop-every 100` or `--lose-ack-every 50`: two different faults, two different metrics tell.
// Knobs (-e NAME=value): URL (http or ws), USERS, ROOMS (a number), MESSAGES per user, PAUSE_MS, ACK_MS (patience).
// On k6: copy kits/socketio.js here and import './socketio.js'.
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import { setTimeout } from 'k6/timers';
import { connect } from 'squall/socketio';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const USERS = Number(__ENV.USERS || 20);
const ROOMS = Number(__ENV.ROOMS || 4);
const MESSAGES = Number(__ENV.MESSAGES || 20);
const PAUSE_MS = Number(__ENV.PAUSE_MS || 100);
const ACK_MS = Number(__ENV.ACK_MS || 3000);

const heard = new Counter('chat_heard');
const lost = new Counter('chat_lost');
const unconfirmed = new Counter('chat_unconfirmed');
const typing = new Counter('chat_typing');
const delivery = new Trend('chat_delivery', true);

export const options = {
  scenarios: { users: { executor: 'per-vu-iterations', vus: USERS, iterations: 1, maxDuration: '2m' } },
  thresholds: {
    chat_lost: ['count==0'],
    chat_unconfirmed: ['count==0'],
    chat_delivery: ['p(95)<500'],
    'socketio_ack{event:message}': ['p(95)<500'],
    socketio_errors: ['count==0'],
    checks: ['rate==1'],
  },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default async function () {
  const room = `room-${__VU % ROOMS}`;
  const name = `user-${__VU}`;
  const socket = connect(url, { auth: { name }, ackTimeout: ACK_MS });
  let last = null; // number of the room's last message that we know of

  socket.on('message', (message) => {
    // The server joins us before it answers, so the first messages may come before the acknowledgement of `join`.
    if (last === null) last = message.number - 1;
    heard.add(1);
    lost.add(message.number - last - 1);
    last = message.number;
    delivery.add(Date.now() - message.at);
  });
  socket.on('typing', () => typing.add(1));
  socket.on('disconnect', (reason) => check(reason, { 'we left ourselves': (r) => r === 'io client disconnect' }));
  await socket.ready();

  const joined = await socket.emitWithAck('join', room);
  if (last === null) last = joined.number;
  const confirmations = [];
  for (let i = 0; i < MESSAGES; i++) {
    socket.emit('typing', room, name);
    await pause(PAUSE_MS * (0.5 + Math.random()));
    // People do not wait for the tick mark before they type on.
    confirmations.push(
      socket.emitWithAck('message', room, { from: name, text: `message ${i}`, at: Date.now() }).then(
        () => true,
        () => unconfirmed.add(1)
      )
    );
  }
  await Promise.all(confirmations);
  const left = await socket.emitWithAck('leave', room);
  lost.add(left.number - last);
  socket.disconnect();
}
