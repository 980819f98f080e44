// SPDX-License-Identifier: Apache-2.0
// A stream of numbered events at /events?client=C&after=N that breaks off and can be resumed from an event's number.
'use strict';
const { parse, every, start, send } = require('./lib.js');

// interval: ms between events; length: events of a client's stream; drop-after: events until a connection breaks off;
// refuse: handshakes answered with 503 after that; keep: how many of the last events can be asked for again.
const options = parse({ interval: 20, length: 100, 'drop-after': 30, refuse: 1, keep: 1000 });
const counts = { streams: 0, events: 0, closed1012: 0, terminated: 0, refused503: 0, resumed: 0, replayed: 0, evicted: 0,
                 finished: 0 };
const streams = new Map(); // client to { last, refusals, socket, sent, timer }
const politely = every(2);

function drop(stream) {
  const socket = stream.socket;
  stream.socket = null;
  stream.refusals = options.refuse;
  if (politely()) {
    counts.closed1012 += 1;
    socket.close(1012, 'restarting');
  } else {
    counts.terminated += 1;
    socket.terminate();
  }
}

function event(stream, seq) {
  counts.events += 1;
  stream.sent += 1;
  send(stream.socket, { type: 'event', seq });
}

function finish(client, stream) {
  counts.finished += 1;
  streams.delete(client);
  send(stream.socket, { type: 'end', seq: stream.last });
}

// Time goes on whether somebody listens or not; only the end waits for its client.
function advance(client, stream) {
  if (stream.last < options.length) {
    stream.last += 1;
    if (!stream.socket) return;
    event(stream, stream.last);
    if (options['drop-after'] && stream.sent >= options['drop-after'] && stream.last < options.length) drop(stream);
  } else if (stream.socket) {
    clearInterval(stream.timer);
    finish(client, stream);
  }
}

function open(client) {
  const stream = { last: 0, refusals: 0, socket: null, sent: 0 };
  counts.streams += 1;
  stream.timer = setInterval(() => advance(client, stream), options.interval);
  streams.set(client, stream);
  return stream;
}

function resume(stream, after) {
  const first = Math.max(after + 1, stream.last - options.keep + 1);
  counts.resumed += 1;
  counts.evicted += Math.max(0, Math.min(first, stream.last + 1) - (after + 1));
  for (let seq = first; seq <= stream.last; seq++) {
    counts.replayed += 1;
    event(stream, seq);
  }
  stream.sent = 0; // what is replayed does not wear the connection out
}

start({
  options,
  counts,
  upgrade(request, { path, query }) {
    const stream = streams.get(query.client);
    if (path !== '/events' || !query.client) return 404;
    if (!stream || stream.refusals === 0) return 0;
    stream.refusals -= 1;
    counts.refused503 += 1;
    return 503;
  },
  connection(socket, { query }) {
    const known = streams.get(query.client);
    const stream = known || open(query.client);
    stream.socket = socket;
    if (known) resume(stream, Number(query.after) || 0);
    socket.on('close', () => {
      if (stream.socket === socket) stream.socket = null;
    });
  },
});
