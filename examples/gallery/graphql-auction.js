// GraphQL subscriptions: an auction in which everybody watches and everybody bids.
//
// The system: a GraphQL server (subprotocol graphql-transport-ws). Bids are mutations; each accepted one goes to all that
// watch the lot, as a result of their subscription. The server ends the subscription when the lot is sold.
//
// What it measures: the time from sending a bid to seeing it come back in the subscription (auction_bid_seen), which is what
// decides whether the display feels live, and results that never came (auction_missed): bids are numbered, the first result
// tells the number so far, and a query after the end tells the last. A bid that is too low is not an error of the system but
// of business: it is counted (auction_outbid), not failed. The kit adds graphqlws_first_result, graphqlws_operation and more,
// each with the operation's name in its tags: docs/kits/graphql-ws.md.
//
//   tests/servers/serve auction &
//   squall run examples/gallery/graphql-auction.js
//
// Try `serve auction --drop-every 20`: auction_missed is what the server dropped, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, BIDDERS, LOTS (auctions at the same time), PAUSE_MS between a user's bids.
// On k6: copy kits/graphql-ws.js here and import './graphql-ws.js'.
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import { setTimeout } from 'k6/timers';
import { connect } from 'squall/graphql-ws';

const url = `${(__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '')}/graphql`;
const BIDDERS = Number(__ENV.BIDDERS || 12);
const LOTS = Number(__ENV.LOTS || 3);
const PAUSE_MS = Number(__ENV.PAUSE_MS || 100);

const WATCH = 'subscription Watch($lot: ID!) { bids(auction: $lot) { number amount bidder at } }';
const BID = 'mutation Bid($lot: ID!, $amount: Int!, $at: Float) { bid(auction: $lot, amount: $amount, at: $at) { number } }';
const RESULT = 'query Result($lot: ID!) { auction(id: $lot) { price bids over } }';

const bidSeen = new Trend('auction_bid_seen', true);
const seen = new Counter('auction_seen');
const missed = new Counter('auction_missed');
const accepted = new Counter('auction_bids');
const outbid = new Counter('auction_outbid');

export const options = {
  scenarios: { bidders: { executor: 'per-vu-iterations', vus: BIDDERS, iterations: 1, maxDuration: '2m' } },
  thresholds: {
    auction_missed: ['count==0'],
    auction_bid_seen: ['p(95)<500'],
    'graphqlws_succeeded{operation:Watch}': ['rate==1'],
    'graphqlws_succeeded{operation:Result}': ['rate==1'],
    'graphqlws_first_result{operation:Watch}': ['p(95)<1000'],
    'graphqlws_operation{operation:Bid}': ['p(95)<1000'],
    checks: ['rate==1'],
  },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Lots of this run's own: those of the run before are sold.
export function setup() {
  return { run: Date.now() };
}

export default async function ({ run }) {
  const bidder = `bidder-${__VU}`;
  const lot = `lot-${run}-${__VU % LOTS}`;
  const client = connect(url, { payload: { bidder, token: `token-${bidder}` }, timeout: 10000 });
  let price = 0;
  let last = -1; // number of the last bid that we know of

  await client.ready();
  check(client.ack, { 'the server knows us': (ack) => ack.welcome === bidder });

  const watch = client.subscribe({ query: WATCH, variables: { lot } }, {
    next({ data: { bids: bid } }) {
      if (last >= 0) {
        seen.add(1);
        missed.add(bid.number - last - 1);
        if (bid.bidder === bidder) bidSeen.add(Date.now() - bid.at);
      }
      last = bid.number;
      price = bid.amount;
    },
  });
  let sold = false;
  watch.done.then(() => (sold = true));

  while (!sold) {
    await pause(PAUSE_MS * (0.5 + Math.random()));
    if (sold || !price) continue;
    const amount = price + 1 + Math.floor(Math.random() * 10);
    const answer = await client.query({ query: BID, variables: { lot, amount, at: Date.now() } });
    if (!answer.errors) accepted.add(1);
    else if (/^(too low|over)/.test(answer.errors[0].message)) outbid.add(1);
    else throw new Error(answer.errors[0].message);
  }

  const { data } = await client.query({ query: RESULT, variables: { lot } });
  missed.add(data.auction.bids - last);
  check(data.auction, { 'the lot is sold': (a) => a.over, 'for a price': (a) => a.price >= price });
  client.close();
}
