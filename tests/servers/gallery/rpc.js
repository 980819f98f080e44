// SPDX-License-Identifier: Apache-2.0
// A shop's JSON-RPC 2.0 over WebSocket at /rpc: search, quote and order.
'use strict';
const { parse, every, start, send } = require('./lib.js');

const options = parse({ 'fail-method': 'order', 'fail-every': 0, 'delay-method': 'search', delay: 0 });
const counts = { calls: {}, failed: {} };
const fails = every(options['fail-every']);
const methods = {
  search: ({ text }) => ({ found: [`${text} small`, `${text} large`] }),
  quote: ({ item }) => ({ item, price: 100 + String(item).length }),
  order: ({ item }) => ({ item, order: counts.calls.order }),
};

const add = (of, name) => (of[name] = (of[name] || 0) + 1);

function call({ id, method, params }) {
  const error = (code, message) => ({ jsonrpc: '2.0', id, error: { code, message } });
  if (!Object.hasOwn(methods, method)) return error(-32601, 'no such method');
  add(counts.calls, method);
  if (method === options['fail-method'] && fails()) {
    add(counts.failed, method);
    return error(-32000, 'out of stock');
  }
  return { jsonrpc: '2.0', id, result: methods[method](params || {}) };
}

function receive(socket, data) {
  let request;
  try {
    request = JSON.parse(data);
  } catch {
    return send(socket, { jsonrpc: '2.0', id: null, error: { code: -32700, message: 'not JSON' } });
  }
  const reply = call(request);
  if (options.delay && request.method === options['delay-method']) setTimeout(() => send(socket, reply), options.delay);
  else send(socket, reply);
}

start({
  options,
  counts,
  upgrade: (request, { path }) => (path === '/rpc' ? 0 : 404),
  connection: (socket) => socket.on('message', (data) => receive(socket, data)),
});
