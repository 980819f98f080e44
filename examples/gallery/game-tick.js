// A multiplayer game at 30 ticks per second: inputs up, state down, client-side prediction.
//
// The system: an authoritative game server. It gathers the players' inputs, applies them 30 times per second, and sends every
// player the new state with the number of his last input that is in it. The client does not wait for that: it predicts where
// its inputs lead, and compares when the state comes, like the netcode of a real game.
//
// What it measures: how even the ticks come (game_tick_gap should have a median of 33 ms, and p(99) is what players feel as
// stutter), ticks that never came (game_ticks_missed), how long an input takes until it is seen in the state
// (game_input_delay: at least the way there and back plus half a tick), and predictions that the server corrected
// (game_corrections, "rubber-banding": 0 unless inputs get lost or doubled).
//
//   tests/servers/serve game &
//   squall run examples/gallery/game-tick.js
//
// Try `serve game --skip-every 30`: game_ticks_missed is the number of states that the server did not send.
// Knobs (-e NAME=value): URL, PLAYERS, MATCH_S (length of a match in seconds).
import { WebSocket } from 'k6/websockets';
import { setInterval, clearInterval, setTimeout, clearTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const MATCH_S = Number(__ENV.MATCH_S || 5);

const tickGap = new Trend('game_tick_gap', true);
const inputDelay = new Trend('game_input_delay', true);
const ticks = new Counter('game_ticks');
const missed = new Counter('game_ticks_missed');
const inputs = new Counter('game_inputs');
const corrections = new Counter('game_corrections');

export const options = {
  scenarios: {
    players: { executor: 'per-vu-iterations', vus: Number(__ENV.PLAYERS || 16), iterations: 1, maxDuration: '2m' },
  },
  thresholds: {
    game_tick_gap: ['med>20', 'med<50', 'p(99)<200'],
    game_input_delay: ['p(95)<200'],
    game_ticks_missed: ['count==0'],
    game_corrections: ['count==0'],
    checks: ['rate==1'],
  },
};

const step = () => Math.floor(Math.random() * 3) - 1;

// Where our inputs have led us, input by input, until the server confirms them.
class Prediction {
  constructor(start) {
    this.rules = start;
    this.confirmed = { number: 0, x: start.x, y: start.y };
    this.pending = []; // { number, x, y, sentAt }
  }

  input(dx, dy) {
    const { speed, field } = this.rules;
    const clamp = (x) => Math.min(field, Math.max(0, x));
    const before = this.pending.length ? this.pending[this.pending.length - 1] : this.confirmed;
    const after = {
      number: before.number + 1,
      x: clamp(before.x + speed * dx),
      y: clamp(before.y + speed * dy),
      sentAt: Date.now(),
    };
    this.pending.push(after);
    return { type: 'input', number: after.number, dx, dy };
  }

  confirm(state) {
    while (this.pending.length && this.pending[0].number <= state.applied) {
      this.confirmed = this.pending.shift();
      inputDelay.add(Date.now() - this.confirmed.sentAt);
    }
    if (this.confirmed.x === state.x && this.confirmed.y === state.y) return;
    // Rubber-banding: we continue from where the server says we are.
    corrections.add(1);
    this.confirmed = { number: state.applied, x: state.x, y: state.y };
  }
}

export default function () {
  const socket = new WebSocket(`${url}/match?player=player-${__VU}`);
  let prediction = null;
  let lastTick = 0;
  let lastAt = 0;
  let controls = 0;
  let result = null;

  const send = (message) => socket.send(JSON.stringify(message));

  function start(message) {
    prediction = new Prediction(message);
    lastTick = message.tick;
    controls = setInterval(() => {
      send(prediction.input(step(), step()));
      inputs.add(1);
    }, 1000 / message.rate);
    setTimeout(() => {
      clearInterval(controls);
      send({ type: 'leave' });
    }, MATCH_S * 1000);
  }

  function state(message) {
    ticks.add(1);
    missed.add(message.tick - lastTick - 1);
    if (lastAt) tickGap.add(Date.now() - lastAt);
    lastTick = message.tick;
    lastAt = Date.now();
    prediction.confirm(message);
  }

  const guard = setTimeout(() => socket.close(), MATCH_S * 1000 + 20000);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'start') start(message);
    else if (message.type === 'state') state(message);
    else if (message.type === 'result') {
      missed.add(message.tick - lastTick);
      prediction.confirm(message);
      result = message;
      socket.close(1000);
    }
  };
  socket.onerror = (event) => console.error(String(event.error));
  socket.onclose = () => {
    clearInterval(controls);
    clearTimeout(guard);
    check(result, {
      'the match has a result': (r) => r !== null,
      'all our inputs were applied': () => result !== null && prediction.pending.length === 0,
    });
  };
}
