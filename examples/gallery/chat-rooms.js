// Chat rooms, and an account of every message: was anything lost, doubled or out of order?
//
// The system: a chat server that numbers what is said in a room (1, 2, 3, ...) and delivers it to all who are in it.
// Upon joining it tells the number so far, upon leaving the last one that was meant for us. So the script knows exactly
// which messages it must have got, not just how many arrived:
//
//   joined at 17      18 19 20 -- 22 23 24 --      left at 25        lost: 21 and 25
//
// What it measures: chat_lost, chat_duplicates and chat_reordered per room, the share that arrived (chat_delivered), and the
// time from saying to hearing (chat_delivery; all users run in one process, so there is one clock). Read chat_lost first: if
// it is not 0, the delivery times are those of the lucky messages.
//
//   tests/servers/serve chat &
//   squall run examples/gallery/chat-rooms.js
//
// Try `serve chat --drop-every 50`, or with `--drop-room games`: chat_lost is what the server says it has dropped, for that
// room alone, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, ROOMS (names, comma between), USERS in all, SAYS per user, PAUSE_MS between them.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const ROOMS = (__ENV.ROOMS || 'lobby,games,help').split(',');
const USERS = Number(__ENV.USERS || 30);
const SAYS = Number(__ENV.SAYS || 20);
const PAUSE_MS = Number(__ENV.PAUSE_MS || 100);

const said = new Counter('chat_said');
const heard = new Counter('chat_heard');
const lost = new Counter('chat_lost');
const duplicates = new Counter('chat_duplicates');
const reordered = new Counter('chat_reordered');
const delivered = new Rate('chat_delivered');
const delivery = new Trend('chat_delivery', true);

const thresholds = {
  chat_duplicates: ['count==0'],
  chat_delivery: ['p(95)<1000'],
  checks: ['rate==1'],
};
// A threshold makes a line of its own in the summary, also for those rooms that are well.
for (const room of ROOMS) thresholds[`chat_lost{room:${room}}`] = ['count==0'];

export const options = {
  scenarios: { users: { executor: 'per-vu-iterations', vus: USERS, iterations: 1, maxDuration: '2m' } },
  thresholds,
};

// What of the numbers first, first + 1, ... has arrived. Costs memory only for what is missing.
class Account {
  constructor(first, tags) {
    this.next = first;
    this.missing = new Set();
    this.tags = tags;
  }

  arrived(seq) {
    if (seq >= this.next) {
      for (; this.next < seq; this.next++) this.missing.add(this.next);
      this.next = seq + 1;
    } else if (this.missing.delete(seq)) {
      reordered.add(1, this.tags);
    } else {
      duplicates.add(1, this.tags);
      return;
    }
    heard.add(1, this.tags);
    delivered.add(true, this.tags);
  }

  // `last` was the last one for us.
  close(last) {
    for (; this.next <= last; this.next++) this.missing.add(this.next);
    lost.add(this.missing.size, this.tags);
    for (let i = 0; i < this.missing.size; i++) delivered.add(false, this.tags);
  }
}

export default function () {
  const room = ROOMS[__VU % ROOMS.length];
  const tags = { room };
  const socket = new WebSocket(`${url}/chat?room=${encodeURIComponent(room)}&user=user-${__VU}`, null, { tags });
  let account = null;
  let settled = false;
  let words = 0;

  const send = (message) => socket.send(JSON.stringify(message));
  function talk() {
    if (words === SAYS) return send({ type: 'leave' });
    send({ type: 'say', text: `word ${words}`, at: Date.now() });
    said.add(1, tags);
    words += 1;
    setTimeout(talk, PAUSE_MS * (0.5 + Math.random())); // people do not type in step
  }

  const guard = setTimeout(() => socket.close(), SAYS * PAUSE_MS * 1.5 + 20000);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'joined') {
      account = new Account(message.seq + 1, tags);
      talk();
    } else if (message.type === 'said') {
      account.arrived(message.seq);
      delivery.add(Date.now() - message.at, tags);
    } else if (message.type === 'left') {
      account.close(message.seq);
      settled = true;
      socket.close(1000);
    }
  };
  socket.onerror = (event) => console.error(`${room}: ${event.error}`);
  socket.onclose = (event) => {
    clearTimeout(guard);
    check(event, { 'left politely': (e) => e.code === 1000, 'every message is accounted for': () => settled }, tags);
  };
}
