// SPDX-License-Identifier: Apache-2.0
// A stand-in for a SignalR hub, JSON protocol over WebSocket, judged by the npm package @microsoft/signalr (signalr_judge.js).
// Argument: options as JSON: `patience`, ms without a message after which a connection is closed; `ping`, ms between its own.
'use strict';
const { WebSocketServer } = require('ws');
const log = (o) => console.log(JSON.stringify(o));
const options = JSON.parse(process.argv[2] || '{}');
const wss = new WebSocketServer({ host: '127.0.0.1', port: 0 });
const everybody = new Set();

wss.on('listening', () => log({ port: wss.address().port }));
wss.on('connection', (socket, request) => {
  const url = new URL(request.url, 'http://x');
  const bearer = (request.headers.authorization || '').replace('Bearer ', '');
  log({ connect: { token: url.searchParams.get('access_token') || bearer, q: url.searchParams.get('q') } });
  let greeted = false, input = '', timer, pinger;
  const streams = new Map();
  const send = (message) => socket.readyState === 1 && socket.send(JSON.stringify(message) + '\x1e');
  const alive = () => {
    clearTimeout(timer);
    if (options.patience) timer = setTimeout(() => send({ type: 7, error: 'client timeout' }), options.patience);
  };
  const methods = {
    Echo: (value) => value,
    Nothing: () => null,
    Fail: () => {
      throw new Error('HubException: as you wish');
    },
    Silent: () => new Promise(() => {}),
    Broadcast: (...args) => {
      for (const other of everybody) other({ type: 1, target: 'Message', arguments: args });
      return null;
    },
    AskBack: () => send({ type: 1, target: 'Question', arguments: [6, 7], invocationId: 'q1' }),
    Cut: () => socket.terminate(),
    CloseMe: (again) => send({ type: 7, error: 'told to', allowReconnect: again }),
  };
  const receive = (m) => {
    if (!greeted) {
      if (m.protocol !== 'json' || m.version !== 1 || url.searchParams.get('refuse')) return send({ error: 'no such protocol' });
      greeted = true;
      everybody.add(send);
      if (options.ping) pinger = setInterval(() => send({ type: 6 }), options.ping);
      // Two records in one message, as servers do.
      return socket.send('{}\x1e' + JSON.stringify({ type: 6 }) + '\x1e');
    }
    if (m.type === 6) return log({ ping: true });
    if (m.type === 3) return log({ answer: m.error || m.result });
    if (m.type === 7) return log({ 'client closed': true });
    if (m.type === 5) {
      clearInterval(streams.get(m.invocationId));
      log({ cancelled: true });
      return send({ type: 3, invocationId: m.invocationId });
    }
    if (m.type === 4) {
      const [to] = m.arguments;
      let n = 0;
      if (m.target === 'Broken') {
        send({ type: 2, invocationId: m.invocationId, item: 0 });
        return send({ type: 3, invocationId: m.invocationId, error: 'the stream broke' });
      }
      return streams.set(m.invocationId, setInterval(() => {
        if (to && n === to) {
          clearInterval(streams.get(m.invocationId));
          return send({ type: 3, invocationId: m.invocationId });
        }
        return send({ type: 2, invocationId: m.invocationId, item: n++ });
      }, 10));
    }
    if (m.type === 1) {
      const method = methods[m.target];
      const complete = (fields) => m.invocationId !== undefined && send({ type: 3, invocationId: m.invocationId, ...fields });
      if (m.invocationId === undefined) log({ send: m.target });
      if (!method) return complete({ error: `Unknown hub method '${m.target}'` });
      return (async () => method(...m.arguments))().then((result) => complete({ result }), (e) => complete({ error: e.message }));
    }
    return undefined;
  };
  socket.on('message', (data) => {
    alive();
    const records = (input + data.toString()).split('\x1e');
    input = records.pop();
    for (const record of records) receive(JSON.parse(record));
  });
  socket.on('close', () => {
    clearTimeout(timer);
    clearInterval(pinger);
    for (const stream of streams.values()) clearInterval(stream);
    everybody.delete(send);
    log({ closed: true });
  });
  alive();
});
