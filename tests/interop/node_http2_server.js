// SPDX-License-Identifier: Apache-2.0
// An echo server of Node's http2 and the npm package ws (RFC 8441). Arguments: the perMessageDeflate option of ws as JSON;
// then for TLS a certificate and its key. Prints JSON lines: the port, then per socket how it came, each message, the
// close code and how its stream ended.
//
// ws upgrades HTTP/1 alone, so it is given the stream as the socket of a GET; its 101 becomes the stream's 200.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const { WebSocketServer } = require('ws');
const [deflate, cert, key] = process.argv.slice(2);
const log = (o) => console.log(JSON.stringify(o));
const wss = new WebSocketServer({
  noServer: true,
  perMessageDeflate: JSON.parse(deflate),
  handleProtocols: (names) => (names.has('chosen') ? 'chosen' : false),
});

wss.on('connection', (socket) => {
  log({ extensions: socket.extensions });
  socket.on('message', (data, binary) => {
    log({ message: data.length, binary });
    if (!binary && data.toString() === 'fragments please') {
      socket.send('one ', { fin: false });
      socket.send('two ', { fin: false });
      socket.ping('between');
      socket.send('three', { fin: true });
      return;
    }
    if (!binary && data.toString() === 'reset please') {
      socket._socket.destroy(new Error('as you wish'));
      return;
    }
    if (!binary && data.toString() === 'end please') {
      socket._socket.end();
      return;
    }
    socket.send(data, { binary });
  });
  socket.on('pong', (data) => log({ pong: data.toString() }));
  socket.on('error', (error) => log({ error: error.message }));
  socket.on('close', (code) => log({ close: code }));
});

function respond(stream, head) {
  const headers = { ':status': 200 };
  for (const line of head.split('\r\n').slice(1)) {
    const [name, value] = line.split(': ');
    if (/^sec-websocket-(protocol|extensions)$/i.test(name)) headers[name.toLowerCase()] = value;
  }
  stream.respond(headers);
}

function onStream(stream, headers) {
  log({ request: headers, alpn: stream.session.alpnProtocol });
  stream.on('error', (error) => log({ streamError: error.message }));
  stream.on('close', () => log({ rst: stream.rstCode }));
  if (headers[':path'] !== '/echo' || headers[':protocol'] !== 'websocket') {
    stream.respond({ ':status': 404, 'content-type': 'text/plain' });
    stream.end('no such place');
    return;
  }
  const write = stream.write;
  stream.write = (head) => {
    stream.write = write;
    respond(stream, head.toString());
    return true;
  };
  const request = {
    method: 'GET',
    url: headers[':path'],
    headers: Object.assign({ upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-key': 'A'.repeat(22) + '==' },
                           headers),
  };
  wss.handleUpgrade(request, stream, Buffer.alloc(0), (socket) => wss.emit('connection', socket));
}

const settings = { enableConnectProtocol: true };
const server = cert
  ? http2.createSecureServer({ settings, allowHTTP1: true, cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
  : http2.createServer({ settings });
server.on('stream', onStream);
server.on('upgrade', (request, socket, head) => {
  wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws));
});
server.on('sessionError', (error) => log({ sessionError: error.message }));
server.on('session', (session) => session.on('goaway', (code) => log({ goaway: code })));
server.listen(0, '127.0.0.1', () => log({ port: server.address().port }));
