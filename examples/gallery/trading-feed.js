// An exchange's market data: subscribe, keep the order book, notice gaps, resynchronise, unsubscribe.
//
// The system: upon `subscribe` the feed sends a snapshot of the order book, then numbered changes to it; every message
// carries a checksum of the whole book after it. A client that misses a number has a wrong book, and must ask for a new
// snapshot. That is what this client does, as a trading desk's would: it does not just count messages, it knows whether what
// it shows is true.
//
// What it measures, per symbol: changes that never came (feed_missing), how long the book was wrong until the new snapshot
// (feed_resync_time), the share of books that agree with the checksum (feed_book_right), changes that still came after we had
// unsubscribed (feed_unwanted), and the age of a change on arrival (feed_delay; needs clocks in step).
//
//   tests/servers/serve feed &
//   squall run examples/gallery/trading-feed.js
//
// Try `serve feed --gap-every 100`: feed_missing is the number of gaps that the server made, feed_book_right stays 1,
// because the client resynchronises, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, SYMBOLS (comma between), VUS, HOLD_MS per subscription, ROUNDS (subscriptions per VU and line).
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const SYMBOLS = (__ENV.SYMBOLS || 'ACME,BOLT,CORN,DUNE').split(',');
const HOLD_MS = Number(__ENV.HOLD_MS || 1500);
const ROUNDS = Number(__ENV.ROUNDS || 2);

const changes = new Counter('feed_changes');
const missing = new Counter('feed_missing');
const unwanted = new Counter('feed_unwanted');
const bookRight = new Rate('feed_book_right');
const resyncTime = new Trend('feed_resync_time', true);
const delay = new Trend('feed_delay', true);

const thresholds = {
  feed_book_right: ['rate==1'],
  feed_unwanted: ['count==0'],
  feed_delay: ['p(99)<1000'],
  checks: ['rate==1'],
};
for (const symbol of SYMBOLS) thresholds[`feed_missing{symbol:${symbol}}`] = ['count==0'];

export const options = {
  scenarios: {
    desks: { executor: 'per-vu-iterations', vus: Number(__ENV.VUS || 10), iterations: 1, maxDuration: '2m' },
  },
  thresholds,
};

class Book {
  constructor(symbol) {
    this.tags = { symbol };
    this.seq = -1; // of the last message, -1 before the first snapshot
    this.wrongSince = 0;
    this.leaving = false; // we have unsubscribed, and wait for the answer
    this.bid = new Map(); // price to quantity
    this.ask = new Map();
  }

  // The exchange's rule: the sum of price times quantity over all levels, modulo 2^32.
  checksum() {
    let sum = 0;
    for (const side of [this.bid, this.ask]) side.forEach((quantity, price) => (sum = (sum + price * quantity) % 4294967296));
    return sum;
  }

  snapshot(message) {
    if (this.seq >= 0) missing.add(message.seq - this.seq, this.tags);
    if (this.wrongSince) resyncTime.add(Date.now() - this.wrongSince, this.tags);
    this.seq = message.seq;
    this.wrongSince = 0;
    this.bid = new Map(message.bids);
    this.ask = new Map(message.asks);
    bookRight.add(this.checksum() === message.checksum, this.tags);
  }

  // Returns false when it found a gap: somebody must ask for a snapshot.
  change(message) {
    const gap = message.seq - this.seq - 1;
    this.seq = message.seq;
    changes.add(1, this.tags);
    delay.add(Date.now() - message.at, this.tags);
    missing.add(gap, this.tags);
    if (this.wrongSince) return true; // a snapshot is on its way
    if (gap) {
      this.wrongSince = Date.now();
      return false;
    }
    const side = this[message.side];
    if (message.quantity) side.set(message.price, message.quantity);
    else side.delete(message.price);
    bookRight.add(this.checksum() === message.checksum, this.tags);
    return true;
  }
}

export default function () {
  const socket = new WebSocket(`${url}/feed`);
  const books = new Map();
  let left = ROUNDS;

  const send = (type, symbol) => socket.send(JSON.stringify({ type, symbol }));

  // Two symbols at a time; each round moves on by one, so that one subscription stays and one changes.
  function round() {
    const wanted = left ? [0, 1].map((i) => SYMBOLS[(__VU + left + i) % SYMBOLS.length]) : [];
    for (const [symbol, book] of books) {
      if (book.leaving || wanted.includes(symbol)) continue;
      book.leaving = true;
      send('unsubscribe', symbol);
    }
    for (const symbol of wanted) {
      if (books.has(symbol)) continue;
      books.set(symbol, new Book(symbol));
      send('subscribe', symbol);
    }
    if (left) setTimeout(round, HOLD_MS);
    left -= 1;
  }

  const guard = setTimeout(() => socket.close(), HOLD_MS * ROUNDS + 20000);
  socket.onopen = round;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    const book = books.get(message.symbol);
    if (!book) {
      if (message.type === 'change') unwanted.add(1, { symbol: message.symbol });
      else console.error(`not expected: ${data}`);
    } else if (message.type === 'snapshot') {
      book.snapshot(message);
    } else if (message.type === 'change') {
      if (!book.change(message) && !book.leaving) send('resync', message.symbol);
    } else if (message.type === 'unsubscribed') {
      missing.add(message.seq - book.seq, book.tags); // the last changes may be lost as well
      books.delete(message.symbol);
      if (books.size === 0) socket.close(1000);
    }
  };
  socket.onerror = (event) => console.error(String(event.error));
  socket.onclose = (event) => {
    clearTimeout(guard);
    check(event, { 'closed with 1000': (e) => e.code === 1000, 'all subscriptions were ended': () => books.size === 0 });
  };
}
