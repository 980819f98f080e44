// SPDX-License-Identifier: Apache-2.0
// Auctions in GraphQL at /graphql (npm packages graphql and graphql-ws): bids are a mutation, and a subscription for all.
'use strict';
const { makeServer } = require('graphql-ws');
const { buildSchema } = require('graphql');
const { parse, every, start } = require('./lib.js');

// length: bids until an auction is over; each n-th result of a subscription is lost.
const options = parse({ length: 60, 'drop-every': 0 });
const counts = { bids: 0, refusedBids: 0, refusedLogins: 0, subscriptions: 0, results: 0, dropped: 0 };
const drops = every(options['drop-every']);
const auctions = new Map(); // id to { id, price, bids, over, watchers }
const schema = buildSchema(`
  type Auction { id: ID!  price: Int!  bids: Int!  over: Boolean! }
  type Bid { number: Int!  amount: Int!  bidder: String!  at: Float }
  type Query { auction(id: ID!): Auction! }
  type Mutation { bid(auction: ID!, amount: Int!, at: Float): Bid! }
  type Subscription { bids(auction: ID!): Bid! }
`);

function auctionOf(id) {
  if (!auctions.has(id)) auctions.set(id, { id, price: 100, bids: 0, over: false, watchers: new Set() });
  return auctions.get(id);
}

function bid({ auction: id, amount, at }, { bidder }) {
  const auction = auctionOf(id);
  if (auction.over || amount <= auction.price) {
    counts.refusedBids += 1;
    throw new Error(auction.over ? 'over' : `too low: the price is ${auction.price}`);
  }
  auction.price = amount;
  auction.bids += 1;
  auction.over = auction.bids >= options.length;
  counts.bids += 1;
  const made = { number: auction.bids, amount, bidder, at };
  for (const watcher of auction.watchers) {
    if (drops()) counts.dropped += 1;
    else watcher.push(made);
    if (auction.over) watcher.end();
  }
  return made;
}

// The results of one subscription: an async iterator of what push() is given, until end().
function results(onReturn) {
  const waiting = [];
  let over = false;
  let wake = () => {};
  return {
    push(value) {
      counts.results += 1;
      waiting.push({ bids: value });
      wake();
    },
    end() {
      over = true;
      wake();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      while (!waiting.length && !over) await new Promise((resolve) => (wake = resolve));
      return waiting.length ? { value: waiting.shift(), done: false } : this.return();
    },
    async return() {
      onReturn();
      return { value: undefined, done: true };
    },
  };
}

// The first result is the last bid before; it is never lost.
function watch({ auction: id }) {
  const auction = auctionOf(id);
  const watcher = results(() => auction.watchers.delete(watcher));
  counts.subscriptions += 1;
  watcher.push({ number: auction.bids, amount: auction.price, bidder: '', at: null });
  if (auction.over) watcher.end();
  auction.watchers.add(watcher);
  return watcher;
}

const server = makeServer({
  schema,
  roots: { query: { auction: ({ id }) => auctionOf(id) }, mutation: { bid }, subscription: { bids: watch } },
  context: (ctx) => ({ bidder: ctx.connectionParams.bidder }),
  onConnect(ctx) {
    const params = ctx.connectionParams || {};
    if (params.bidder && params.token === `token-${params.bidder}`) return { welcome: params.bidder };
    counts.refusedLogins += 1;
    return false;
  },
});

start({
  options,
  counts,
  upgrade: (request, { path }) => (path === '/graphql' ? 0 : 404),
  connection(socket, where, request) {
    const closed = server.opened(
      {
        protocol: socket.protocol,
        send: (data) => new Promise((resolve) => socket.send(data, () => resolve())),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) => socket.on('message', (data) => handle(String(data)).catch(() => socket.close(4500))),
      },
      { socket, request }
    );
    socket.once('close', (code, reason) => closed(code, String(reason)));
  },
});
