// SPDX-License-Identifier: Apache-2.0
// An exchange's order books at /feed: a snapshot upon subscribe, then numbered changes with a checksum of the book.
'use strict';
const { parse, every, start, send, dispatch } = require('./lib.js');

const options = parse({ interval: 20, 'gap-every': 0 }); // ms between changes; each n-th change sent is lost instead
const counts = { subscribes: 0, unsubscribes: 0, snapshots: 0, changes: 0, gaps: 0 };
const SYMBOLS = ['ACME', 'BOLT', 'CORN', 'DUNE'];
const LEVELS = 20;
const books = new Map(SYMBOLS.map((symbol) => [symbol, { seq: 0, bids: new Map(), asks: new Map(), subscribers: new Set() }]));
const gaps = every(options['gap-every']);
let state = 1;

const random = (below) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % below;
};

// Sum of price times quantity of all levels, modulo 2^32: what both sides can compute from the book alone.
function checksum(book) {
  let sum = 0;
  for (const side of [book.bids, book.asks]) for (const [price, quantity] of side) sum = (sum + price * quantity) % 4294967296;
  return sum;
}

function change(symbol, book) {
  const bid = random(2) === 0;
  const price = bid ? 9999 - random(LEVELS) : 10001 + random(LEVELS); // cents
  const quantity = random(4) === 0 ? 0 : 1 + random(500); // 0 removes the level
  const side = bid ? book.bids : book.asks;
  if (quantity) side.set(price, quantity);
  else side.delete(price);
  book.seq += 1;
  const now = { seq: book.seq, checksum: checksum(book), at: Date.now() };
  const message = { type: 'change', symbol, side: bid ? 'bid' : 'ask', price, quantity, ...now };
  for (const socket of book.subscribers) {
    if (gaps()) {
      counts.gaps += 1;
      continue;
    }
    counts.changes += 1;
    send(socket, message);
  }
}

function snapshot(socket, symbol, book) {
  counts.snapshots += 1;
  send(socket, { type: 'snapshot', symbol, seq: book.seq, bids: [...book.bids], asks: [...book.asks], checksum: checksum(book) });
}

start({
  options,
  counts,
  connection(socket) {
    const named = (then) => ({ symbol }) => {
      const book = books.get(symbol);
      if (book) then(symbol, book);
      else send(socket, { type: 'error', error: `no such symbol: ${symbol}` });
    };
    dispatch(socket, {
      subscribe: named((symbol, book) => {
        counts.subscribes += 1;
        snapshot(socket, symbol, book);
        book.subscribers.add(socket);
      }),
      resync: named((symbol, book) => snapshot(socket, symbol, book)),
      // The answer's number is that of the last change that was meant for this client.
      unsubscribe: named((symbol, book) => {
        counts.unsubscribes += 1;
        book.subscribers.delete(socket);
        send(socket, { type: 'unsubscribed', symbol, seq: book.seq });
      }),
    });
    socket.on('close', () => books.forEach((book) => book.subscribers.delete(socket)));
  },
});
for (const [symbol, book] of books) for (let i = 0; i < LEVELS; i++) change(symbol, book);
setInterval(() => books.forEach((book, symbol) => change(symbol, book)), options.interval);
