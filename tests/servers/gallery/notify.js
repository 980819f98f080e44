// SPDX-License-Identifier: Apache-2.0
// A notification service: POST /publish {topic, ...} reaches all sockets at /subscribe?topic=T; GET /history?topic=T&after=N.
'use strict';
const { parse, every, start, body, answer, send } = require('./lib.js');

const options = parse({ 'drop-every': 0 }); // each n-th push is lost
const counts = { published: 0, pushed: 0, dropped: 0 };
const topics = new Map(); // name to { last, subscribers }
const drops = every(options['drop-every']);

function topicOf(name) {
  if (!topics.has(name)) topics.set(name, { last: 0, subscribers: new Set() });
  return topics.get(name);
}

function push(socket, message) {
  if (drops()) {
    counts.dropped += 1;
    return;
  }
  counts.pushed += 1;
  send(socket, message);
}

start({
  options,
  counts,
  async route(request, response, { path, query }) {
    if (path === '/history') return answer(response, 200, { last: topicOf(query.topic).last });
    if (path !== '/publish' || request.method !== 'POST') return false;
    const given = JSON.parse(await body(request));
    const topic = topicOf(given.topic);
    topic.last += 1;
    counts.published += 1;
    answer(response, 202, { id: topic.last, recipients: topic.subscribers.size });
    const { title, at } = given;
    for (const socket of topic.subscribers) push(socket, { id: topic.last, topic: given.topic, title, at });
  },
  upgrade: (request, { path, query }) => (path === '/subscribe' && query.topic ? 0 : 404),
  connection(socket, { query }) {
    const topic = topicOf(query.topic);
    topic.subscribers.add(socket);
    send(socket, { subscribed: query.topic, last: topic.last });
    // Whatever a client says means goodbye; it hears what it should have got.
    socket.on('message', () => {
      topic.subscribers.delete(socket);
      send(socket, { unsubscribed: query.topic, last: topic.last });
    });
    socket.on('close', () => topic.subscribers.delete(socket));
  },
});
