// A shared whiteboard: whatever order the messages come in, in the end everybody must see the same picture.
//
// The system: users move shapes on one board. Every move carries a logical clock; the later one wins, and of equal ones that
// of the user with the greater name ("last writer wins"). Such a system promises that all boards converge, not that messages
// come in order, so counting messages proves nothing: the script keeps a board per user and compares it in the end with the
// server's.
//
// What it measures: boards that do not agree (board_diverged: the number that matters), moves that came late and were
// rightly ignored (board_stale), and the time until a move is seen by the others (board_move_seen).
//
//   tests/servers/serve board &
//   squall run examples/gallery/whiteboard.js
//
// Try `serve board --delay-every 5`: a fifth of the moves come late, boards agree all the same. With `--drop-every 20` moves
// are lost: some boards differ, and the run ends with exit code 99.
// Knobs (-e NAME=value): URL, BOARDS, MEMBERS per board, MOVES per user, SHAPES per board, PAUSE_MS.
import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const BOARDS = Number(__ENV.BOARDS || 3);
const MEMBERS = Number(__ENV.MEMBERS || 4);
const MOVES = Number(__ENV.MOVES || 30);
const SHAPES = Number(__ENV.SHAPES || 5);
const PAUSE_MS = Number(__ENV.PAUSE_MS || 50);

const moves = new Counter('board_moves');
const received = new Counter('board_received');
const stale = new Counter('board_stale');
const diverged = new Counter('board_diverged');
const moveSeen = new Trend('board_move_seen', true);

export const options = {
  scenarios: { users: { executor: 'per-vu-iterations', vus: BOARDS * MEMBERS, iterations: 1, maxDuration: '2m' } },
  thresholds: { board_diverged: ['count==0'], board_move_seen: ['p(95)<500'], checks: ['rate==1'] },
};

export function setup() {
  return { run: Date.now() }; // boards of this run's own
}

class Board {
  constructor() {
    this.shapes = new Map();
    this.clock = 0; // greater than all we have seen (Lamport)
  }

  // Returns false for a move that a later one has overtaken.
  apply(move) {
    const known = this.shapes.get(move.shape);
    this.clock = Math.max(this.clock, move.clock);
    if (known && (known.clock > move.clock || (known.clock === move.clock && known.by > move.by))) return false;
    this.shapes.set(move.shape, move);
    return true;
  }

  fingerprint() {
    const line = (id) => {
      const { x, y, clock, by } = this.shapes.get(id);
      return `${id}:${x},${y}@${clock}/${by}`;
    };
    return [...this.shapes.keys()].sort().map(line).join(' ');
  }
}

export default function ({ run }) {
  const name = `board-${run}-${__VU % BOARDS}`;
  const by = `user-${__VU}`;
  const socket = new WebSocket(`${url}/board?name=${name}&user=${by}&members=${MEMBERS}`);
  const board = new Board();
  let result = null;
  let left = MOVES;

  function move() {
    if (left === 0) return socket.send(JSON.stringify({ type: 'done' }));
    const random = (below) => Math.floor(Math.random() * below);
    const made = {
      type: 'move',
      shape: `shape-${random(SHAPES)}`,
      x: random(1000),
      y: random(1000),
      clock: board.clock + 1,
      by,
      at: Date.now(),
    };
    board.apply(made);
    socket.send(JSON.stringify(made));
    moves.add(1);
    left -= 1;
    setTimeout(move, PAUSE_MS * (0.5 + Math.random()));
  }

  const guard = setTimeout(() => socket.close(), MOVES * PAUSE_MS * 1.5 + 30000);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'begin') move();
    else if (message.type === 'move') {
      received.add(1);
      moveSeen.add(Date.now() - message.at);
      if (!board.apply(message)) stale.add(1);
    } else if (message.type === 'result') {
      result = message.board;
      diverged.add(result === board.fingerprint() ? 0 : 1);
      socket.close(1000);
    }
  };
  socket.onerror = (event) => console.error(String(event.error));
  socket.onclose = () => {
    clearTimeout(guard);
    check(result, { 'the result came': (text) => text !== null });
  };
}
