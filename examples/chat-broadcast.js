// Chat rooms: one message in, many out.
//
// Twelve VUs sit in three rooms of four. Everybody waits until the room is full, says three things,
// and stays until everything that was said in the room has arrived. So each message goes out four
// times, and the summary must show four deliveries for each message sent: a lost one makes a session
// run into its time limit, and the last check fail.
//
// The path /broadcast?room=NAME of `squall echo` sends each message to all connections of the room,
// its sender's too.
//
//   squall echo --port 8765 &
//   squall run examples/chat-broadcast.js
import ws from 'k6/ws';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const base = (__ENV.URL || 'ws://127.0.0.1:8765/').replace(/\/+$/, '');
const ROOMS = 3;
const MEMBERS = 4;
const WORDS = ['hello', 'how are you', 'bye'];

const sent = new Counter('chat_sent');
const delivered = new Counter('chat_delivered');
const delivery = new Trend('chat_delivery', true);

export const options = {
  scenarios: {
    chat: { executor: 'per-vu-iterations', vus: ROOMS * MEMBERS, iterations: 1, maxDuration: '30s' },
  },
};

export default function () {
  const room = __VU % ROOMS;
  const present = {};
  let arrived = 0;

  const response = ws.connect(`${base}/broadcast?room=${room}`, function (socket) {
    const say = (message) =>
      socket.send(JSON.stringify(Object.assign({ from: __VU, at: Date.now() }, message)));

    function met(member) {
      if (present[member]) return;
      present[member] = true;
      // Who came later has not heard our first greeting.
      if (member !== __VU) say({ type: 'here' });
      if (Object.keys(present).length < MEMBERS) return;
      for (const text of WORDS) {
        say({ type: 'chat', text });
        sent.add(1);
      }
    }

    socket.on('open', () => say({ type: 'here' }));
    socket.on('message', function (text) {
      const message = JSON.parse(text);

      met(message.from);
      if (message.type !== 'chat') return;
      arrived += 1;
      delivered.add(1);
      delivery.add(Date.now() - message.at);
      if (arrived === MEMBERS * WORDS.length) socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, {
    'status is 101': (r) => r && r.status === 101,
    'everything said in the room arrived': () => arrived === MEMBERS * WORDS.length,
  });
}
