// SPDX-License-Identifier: Apache-2.0
// What the gallery's servers share: options, an HTTP server with WebSocket upgrades, and counters at GET /counts.
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');

const usage = (options) =>
  Object.entries(options)
    .map(([name, value]) => `--${name} (${value})`)
    .join(', ');

// `--name value` pairs over the defaults; a default's type is the option's.
function parse(defaults) {
  const options = Object.assign({ port: 8765 }, defaults);
  const words = process.argv.slice(2);
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i].replace(/^--/, '');
    const value = typeof options[name] === 'number' ? Number(words[i + 1]) : words[i + 1];
    if (!words[i].startsWith('--') || !(name in options) || value === undefined || Number.isNaN(value)) {
      console.error(`'${words.slice(i, i + 2).join(' ')}' is not an option; with their defaults there are ${usage(options)}`);
      process.exit(2);
    }
    options[name] = value;
  }
  return options;
}

// Every n-th call gives true, none if n is 0.
function every(n) {
  let calls = 0;
  return () => n > 0 && ++calls % n === 0;
}

const body = (request) =>
  new Promise((resolve, reject) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => resolve(Buffer.concat(parts).toString()));
    request.on('error', reject);
  });

function answer(response, status, value, headers) {
  response.writeHead(status, Object.assign({ 'Content-Type': 'application/json' }, headers));
  response.end(JSON.stringify(value));
}

// A path's parts and its query, as one object.
function address(request) {
  const url = new URL(request.url, 'http://localhost');
  return { path: url.pathname, query: Object.fromEntries(url.searchParams) };
}

// server: { options, counts, route(request, response, address), upgrade(request, address),
//           connection(socket, address, request) }
//   route    answers a request that is not /counts; false: 404
//   upgrade  a status to refuse a handshake with, or nothing; may be missing, and so may route
// counts.accepted and counts.open are kept here. Instead of upgrade and connection, attach(web) may take care of WebSockets.
function start(server) {
  const options = server.options;
  const counts = Object.assign(server.counts, { accepted: 0, open: 0 });
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const web = http.createServer(async (request, response) => {
    const where = address(request);
    try {
      if (where.path === '/counts') return answer(response, 200, counts);
      if (server.route && (await server.route(request, response, where)) !== false) return;
      answer(response, 404, { error: `no such path: ${where.path}` });
    } catch (error) {
      answer(response, 400, { error: String(error.message) });
    }
  });
  if (server.attach) server.attach(web);
  else web.on('upgrade', (request, socket, head) => {
    const where = address(request);
    const status = server.upgrade && server.upgrade(request, where);
    socket.on('error', () => {});
    if (status) {
      socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => {
      counts.accepted += 1;
      counts.open += 1;
      ws.on('error', () => {});
      ws.on('close', () => (counts.open -= 1));
      server.connection(ws, where, request);
    });
  });
  listen(web, options, counts);
}

// The first line of output tells the port; the last one what was counted.
function listen(web, options, counts) {
  const end = () => {
    console.log(JSON.stringify({ counts }));
    process.exit(0);
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  web.on('error', (error) => {
    console.error(`cannot listen on port ${options.port}: ${error.message}`);
    process.exit(1);
  });
  web.listen(options.port, '127.0.0.1', () => {
    const { port } = web.address();
    console.log(JSON.stringify({ port, url: `ws://127.0.0.1:${port}` }));
  });
}

const send = (socket, message) => socket.readyState === 1 && socket.send(JSON.stringify(message));

// Calls handlers[message.type](message) for each JSON message; what is none, or has no handler, is answered with an error.
function dispatch(socket, handlers) {
  socket.on('message', (data) => {
    let message = null;
    try {
      message = JSON.parse(data);
    } catch {
      // answered below
    }
    if (message && Object.hasOwn(handlers, message.type)) handlers[message.type](message);
    else send(socket, { type: 'error', error: 'not a message of this protocol' });
  });
}

module.exports = { parse, every, start, listen, body, answer, send, dispatch };
