// GraphQL subscriptions: log in, watch a feed, change something, stop watching.
//
// The times are the metrics graphqlws_first_result and graphqlws_operation, one value per operation's name in their tags, so
// that each can have a threshold of its own.
//
//   squall run -e URL=ws://127.0.0.1:4000/graphql examples/kits-graphql-ws.js
//
// The server is one of the npm packages graphql-ws and graphql whose schema has the fields below.
// On k6: copy kits/graphql-ws.js here and import './graphql-ws.js'.
import { check } from 'k6';
import { connect } from 'squall/graphql-ws';

const url = __ENV.URL || 'ws://127.0.0.1:4000/graphql';

export const options = {
  vus: 5,
  iterations: 10,
  thresholds: {
    graphqlws_succeeded: ['rate==1'],
    'graphqlws_first_result{operation:Ticks}': ['p(95)<1000'],
    'graphqlws_operation{operation:Add}': ['p(95)<1000'],
  },
};

export default async function () {
  const client = connect(url, { payload: { user: `user ${__VU}` }, timeout: 5000 });
  const ticks = [];

  await client.ready();
  check(client.ack, { 'the server knows us': (ack) => ack.you === `user ${__VU}` });

  const feed = client.subscribe(
    { query: 'subscription Ticks { ticks }' },
    {
      next(result) {
        ticks.push(result.data.ticks);
        if (ticks.length === 5) feed.unsubscribe();
      },
    }
  );
  const added = await client.query({ query: 'mutation Add { add(n: 1) }' });
  check(added, { 'added without errors': (r) => !r.errors && r.data.add > 0 });

  await feed.done;
  check(ticks, { 'no tick is missing': (list) => list.every((tick, i) => tick === i) });
  client.close();
}
