// SPDX-License-Identifier: Apache-2.0
// A stand-in for a Phoenix endpoint with channels of serializer version 2, judged by the npm package phoenix (phoenix_judge.js).
// Argument: options as JSON: `patience`, ms without a message after which a socket is closed, as Phoenix does. Prints JSON lines.
'use strict';
const { WebSocketServer } = require('ws');
const log = (o) => console.log(JSON.stringify(o));
const options = JSON.parse(process.argv[2] || '{}');
const members = new Map(); // topic -> Set of { socket, joinRef }

const wss = new WebSocketServer({ host: '127.0.0.1', port: 0 });
wss.on('listening', () => log({ port: wss.address().port }));
wss.on('connection', (socket, request) => {
  const url = new URL(request.url, 'http://x');
  log({ connect: { path: url.pathname, vsn: url.searchParams.get('vsn'), token: url.searchParams.get('token') } });
  const joined = new Map();
  const send = (...message) => socket.send(JSON.stringify(message));
  const fields = (kind, texts, payload) => Buffer.concat([Buffer.from([kind, ...texts.map((t) => Buffer.byteLength(t))]),
    ...texts.map((t) => Buffer.from(t)), payload]);
  let timer;
  const alive = () => {
    clearTimeout(timer);
    if (options.patience) timer = setTimeout(() => socket.close(1000), options.patience);
  };
  const handle = (joinRef, ref, topic, event, payload) => {
    const reply = (status, response) => send(joinRef, ref, topic, 'phx_reply', { status, response });
    if (topic === 'phoenix' && event === 'heartbeat') {
      log({ heartbeat: true });
      return send(null, ref, 'phoenix', 'phx_reply', { status: 'ok', response: {} });
    }
    if (event === 'phx_join') {
      if (topic.startsWith('private:') && payload.token !== 'secret') return reply('error', { reason: 'unauthorized' });
      const member = { socket, joinRef };
      joined.set(topic, member);
      if (!members.has(topic)) members.set(topic, new Set());
      members.get(topic).add(member);
      log({ join: topic });
      return reply('ok', { members: members.get(topic).size });
    }
    const member = joined.get(topic);
    if (!member || member.joinRef !== joinRef) return reply('error', { reason: 'unmatched topic' });
    const leave = () => {
      joined.delete(topic);
      members.get(topic).delete(member);
    };
    switch (event) {
      case 'phx_leave':
        leave();
        log({ leave: topic });
        reply('ok', {});
        return send(joinRef, ref, topic, 'phx_close', {});
      case 'echo':
        return reply('ok', payload);
      case 'fail':
        return reply('error', { reason: 'as you wish' });
      case 'silent':
        return undefined;
      case 'shout':
        for (const m of members.get(topic)) m.socket.send(JSON.stringify([null, null, topic, 'shout', payload]));
        return reply('ok', {});
      case 'binary':
        if (!Buffer.isBuffer(payload)) return reply('error', { reason: 'not binary' });
        socket.send(fields(2, [topic, 'blob'], payload));
        socket.send(fields(0, [joinRef, topic, 'direct'], payload.subarray(1)));
        return socket.send(fields(1, [joinRef, ref, topic, 'ok'], Buffer.from(payload).reverse()));
      case 'crash':
        leave();
        return send(joinRef, joinRef, topic, 'phx_error', {});
      case 'cut':
        return socket.terminate();
      default:
        return reply('error', { reason: 'unknown event' });
    }
  };
  socket.on('message', (data, binary) => {
    alive();
    if (!binary) return handle(...JSON.parse(data.toString()));
    const sizes = [...data.subarray(1, 5)];
    let at = 5;
    const texts = sizes.map((n) => data.subarray(at, (at += n)).toString());
    return handle(...texts, data.subarray(at));
  });
  socket.on('close', (code) => {
    clearTimeout(timer);
    for (const [topic, member] of joined) members.get(topic).delete(member);
    log({ close: code });
  });
  alive();
});
