// SPDX-License-Identifier: Apache-2.0
// A server of the npm packages graphql-ws, graphql and ws. Argument: options as JSON. Prints JSON lines.
'use strict';
const { WebSocketServer } = require('ws');
const { useServer } = require('graphql-ws/lib/use/ws');
const { buildSchema } = require('graphql');
const log = (o) => console.log(JSON.stringify(o));
const options = JSON.parse(process.argv[2] || '{}');
const schema = buildSchema(`
  type Query { hello(name: String!): String!  broken: String  cut: String }
  type Mutation { add(n: Int!): Int! }
  type Subscription { count(to: Int!): Int!  ticks: Int! }
`);
let sum = 0;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const rootValue = {
  hello: ({ name }) => 'hello ' + name,
  broken: () => { throw new Error('this field is broken'); },
  add: ({ n }) => (sum += n),
  async *count({ to }) {
    for (let i = 1; i <= to; i++) yield { count: i };
  },
  async *ticks() {
    try {
      for (let i = 0; ; i++) {
        yield { ticks: i };
        await sleep(20);
      }
    } finally {
      log({ 'ticks ended': true });
    }
  },
};
const roots = { query: rootValue, mutation: rootValue, subscription: rootValue };
const wss = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/graphql' });
let sockets = 0;

useServer({
  schema,
  roots,
  onConnect: async (ctx) => {
    const params = ctx.connectionParams || {};
    log({ init: params });
    if (params.slow) await sleep(params.slow);
    if (params.token === 'wrong') return false;
    return { you: params.user || null };
  },
  onDisconnect: (_, code, reason) => log({ disconnect: code }),
  onSubscribe: (_, message) => {
    log({ subscribe: message.payload.operationName || null });
    if (options.cutFirst && sockets === 1) [...wss.clients].forEach((s) => s.terminate());
  },
}, wss, options.keepAlive || 12000);

wss.on('connection', (socket) => {
  sockets += 1;
  log({ protocol: socket.protocol });
  if (options.pings) socket.send(JSON.stringify({ type: 'ping', payload: { n: 1 } }));
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'pong') log({ pong: message.payload });
  });
});
wss.on('listening', () => log({ port: wss.address().port }));
