// SPDX-License-Identifier: Apache-2.0
// A game's authoritative server at /match?player=P: applies inputs and sends the state, 30 ticks per second.
'use strict';
const { parse, every, start, send, dispatch } = require('./lib.js');

const options = parse({ rate: 30, 'skip-every': 0 }); // each n-th state of a player is not sent
const counts = { ticks: 0, states: 0, skipped: 0, inputs: 0, rejected: 0 };
const SPEED = 5; // units per input, on a field of 1000 by 1000
const FIELD = 1000;
const players = new Set();

const clamp = (x) => Math.min(FIELD, Math.max(0, x));

// Inputs are applied in order and once; one that skips a number, or moves more than a step, is cheating.
function apply(player, input) {
  const fair = input.number === player.applied + 1 && Math.abs(input.dx) <= 1 && Math.abs(input.dy) <= 1;
  if (!fair) {
    counts.rejected += 1;
    return;
  }
  counts.inputs += 1;
  player.applied = input.number;
  player.x = clamp(player.x + SPEED * input.dx);
  player.y = clamp(player.y + SPEED * input.dy);
}

function tick() {
  counts.ticks += 1;
  for (const player of players) player.inputs.splice(0).forEach((input) => apply(player, input));
  for (const player of players) {
    if (player.skips()) {
      counts.skipped += 1;
      continue;
    }
    counts.states += 1;
    const { applied, x, y } = player;
    send(player.socket, { type: 'state', tick: counts.ticks, applied, x, y, players: players.size });
  }
}

start({
  options,
  counts,
  connection(socket) {
    const player = { socket, x: FIELD / 2, y: FIELD / 2, applied: 0, inputs: [], skips: every(options['skip-every']) };
    players.add(player);
    socket.on('close', () => players.delete(player));
    send(socket, { type: 'start', tick: counts.ticks, rate: options.rate, speed: SPEED, field: FIELD, x: player.x, y: player.y });
    dispatch(socket, {
      input: (message) => player.inputs.push(message),
      leave() {
        player.inputs.splice(0).forEach((input) => apply(player, input));
        players.delete(player);
        send(socket, { type: 'result', tick: counts.ticks, applied: player.applied, x: player.x, y: player.y });
      },
    });
  },
});
setInterval(tick, 1000 / options.rate);
