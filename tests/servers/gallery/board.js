// SPDX-License-Identifier: Apache-2.0
// A shared whiteboard at /board?name=B&user=U: passes every stroke on to all, last writer wins; may deliver late or never.
'use strict';
const { parse, every, start, send, dispatch } = require('./lib.js');

// Each n-th delivery to somebody else is lost, or comes `late` ms late and so out of order.
const options = parse({ 'drop-every': 0, 'delay-every': 0, late: 50 });
const counts = { moves: 0, delivered: 0, dropped: 0, delayed: 0, diverged: 0 };
const drops = every(options['drop-every']);
const delays = every(options['delay-every']);
const boards = new Map(); // name to { shapes, members }

const newer = (a, b) => a.clock > b.clock || (a.clock === b.clock && a.by > b.by);

// The state as one text, the same for equal boards.
const fingerprint = (shapes) => [...shapes.keys()].sort().map((id) => {
  const { x, y, clock, by } = shapes.get(id);
  return `${id}:${x},${y}@${clock}/${by}`;
}).join(' ');

function apply(shapes, move) {
  const known = shapes.get(move.shape);
  if (!known || newer(move, known)) shapes.set(move.shape, move);
}

function pass(member, move) {
  counts.delivered += 1;
  apply(member.shapes, move);
  send(member.socket, move);
}

function deliver(member, move) {
  if (drops()) {
    counts.dropped += 1;
  } else if (delays()) {
    counts.delayed += 1;
    member.pending += 1;
    setTimeout(() => {
      member.pending -= 1;
      pass(member, move);
      settle(member);
    }, options.late);
  } else {
    pass(member, move);
  }
}

// Who has asked for the result gets it when all have finished and all that is late has been sent.
function settle(member) {
  const { board } = member;
  const all = [...board.members];
  if (!all.every((m) => m.done && m.pending === 0)) return;
  const result = fingerprint(board.shapes);
  counts.diverged += all.filter((m) => fingerprint(m.shapes) !== result).length;
  for (const m of all) send(m.socket, { type: 'result', board: result });
  board.members.clear();
}

start({
  options,
  counts,
  upgrade: (request, { path, query }) => (path === '/board' && query.name && Number(query.members) > 0 ? 0 : 400),
  connection(socket, { query }) {
    if (!boards.has(query.name)) boards.set(query.name, { shapes: new Map(), members: new Set() });
    const board = boards.get(query.name);
    // `shapes` is what this member must have on its board, as far as it was told.
    const member = { socket, board, shapes: new Map(), done: false, pending: 0 };
    board.members.add(member);
    socket.on('close', () => board.members.delete(member));
    // It begins when all are there.
    if (board.members.size === Number(query.members)) for (const m of board.members) send(m.socket, { type: 'begin' });
    dispatch(socket, {
      move(message) {
        counts.moves += 1;
        apply(board.shapes, message);
        apply(member.shapes, message);
        for (const other of board.members) if (other !== member) deliver(other, message);
      },
      done() {
        member.done = true;
        settle(member);
      },
    });
  },
});
