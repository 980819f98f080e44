// SPDX-License-Identifier: Apache-2.0
// A push gateway at /presence?device=D: holds idle connections, sends a numbered heartbeat to each, answers "still there?".
'use strict';
const { parse, every, start, send, dispatch } = require('./lib.js');

// interval: ms between heartbeats; each n-th connection falls silent without being closed, each n-th is closed with 1001
// after its third heartbeat.
const options = parse({ interval: 1000, 'mute-every': 0, 'evict-every': 0 });
const counts = { heartbeats: 0, questions: 0, muted: 0, evicted: 0, mostOpen: 0 };
const mutes = every(options['mute-every']);
const evicts = every(options['evict-every']);
const devices = new Set();

function beat(device) {
  device.number += 1;
  if (device.evicted && device.number > 3) {
    counts.evicted += 1;
    devices.delete(device);
    device.socket.close(1001, 'moving house');
    return;
  }
  counts.heartbeats += 1;
  send(device.socket, { type: 'heartbeat', number: device.number });
}

start({
  options,
  counts,
  upgrade: (request, { path, query }) => (path === '/presence' && query.device ? 0 : 404),
  connection(socket) {
    const device = { socket, number: 0, evicted: evicts() };
    counts.mostOpen = Math.max(counts.mostOpen, counts.open);
    if (mutes()) counts.muted += 1;
    else {
      devices.add(device);
      dispatch(socket, {
        'still there?': () => {
          counts.questions += 1;
          send(socket, { type: 'yes', number: device.number });
        },
      });
    }
    socket.on('close', () => devices.delete(device));
  },
});
setInterval(() => devices.forEach(beat), options.interval);
