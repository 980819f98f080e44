// Very many idle connections: do they all stay, and does the server still know all of them?
//
// The system: a push gateway, as phones keep open all day. Nothing happens on most connections but a heartbeat now and then.
// The load is their number: memory, file descriptors, timers, and the minute after a restart when all come back.
//
// What it measures: connections that were made (idle_opened) and that the server closed (idle_closed, by code), those
// that stay open but are dead (idle_silent: no answer to "still there?", the kind that nobody's monitoring sees, and behind
// which messages vanish), and the round trip of that question (idle_answer), which tells how busy the server is with them.
//
//   tests/servers/serve presence &
//   squall run examples/gallery/idle-connections.js
//   squall run -e DEVICES=10000 -e RAMP_S=60 -e HOLD_S=300 examples/gallery/idle-connections.js
//
// Try `serve presence --mute-every 20` or `--evict-every 20`: idle_silent and idle_closed are what the server says.
// Knobs (-e NAME=value): URL, DEVICES, RAMP_S (until all are there), HOLD_S, ASK_S (between questions), PATIENCE_S (for an
// answer). For more than about 28,000 devices give several local addresses: --local-ips.
import { WebSocket } from 'k6/websockets';
import { clearTimeout, setTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const DEVICES = Number(__ENV.DEVICES || 200);
const RAMP_S = Number(__ENV.RAMP_S || 2);
const HOLD_S = Number(__ENV.HOLD_S || 6);
const ASK_S = Number(__ENV.ASK_S || 2);
const PATIENCE_S = Number(__ENV.PATIENCE_S || 5);

const opened = new Counter('idle_opened');
const refused = new Counter('idle_refused');
const heartbeats = new Counter('idle_heartbeats');
const missedHeartbeats = new Counter('idle_heartbeats_missed');
const closed = new Counter('idle_closed');
const silent = new Counter('idle_silent');
const answer = new Trend('idle_answer', true);

export const options = {
  scenarios: {
    devices: {
      executor: 'per-vu-iterations',
      vus: DEVICES,
      iterations: 1,
      maxDuration: `${RAMP_S + HOLD_S + 3 * PATIENCE_S + 10}s`,
    },
  },
  thresholds: {
    idle_refused: ['count==0'],
    idle_closed: ['count==0'],
    idle_silent: ['count==0'],
    idle_heartbeats_missed: ['count==0'],
    idle_answer: ['p(99)<1000'],
    ws_connecting: ['p(99)<2000'],
    checks: ['rate==1'],
  },
};

class Device {
  constructor(name) {
    this.socket = new WebSocket(`${url}/presence?device=${name}`, null, { tags: { name: 'presence' } });
    this.until = Date.now() + HOLD_S * 1000;
    this.timer = 0;
    this.heartbeat = 0;
    this.asked = 0;
    this.leaving = false;
    this.isOpen = false;
    this.socket.onopen = () => {
      this.isOpen = true;
      opened.add(1);
      this.later();
    };
    this.socket.onmessage = ({ data }) => this.received(JSON.parse(data));
    this.socket.onclose = ({ code }) => this.gone(code);
  }

  later() {
    this.timer = setTimeout(() => this.ask(), ASK_S * 1000 * (0.5 + Math.random()));
  }

  ask() {
    this.asked = Date.now();
    this.socket.send(JSON.stringify({ type: 'still there?' }));
    this.timer = setTimeout(() => {
      silent.add(1);
      this.leave();
    }, PATIENCE_S * 1000);
  }

  received({ type, number }) {
    if (type === 'heartbeat') {
      heartbeats.add(1);
      missedHeartbeats.add(number - this.heartbeat - 1);
      this.heartbeat = number;
      return;
    }
    clearTimeout(this.timer);
    answer.add(Date.now() - this.asked);
    if (Date.now() < this.until) this.later();
    else this.leave();
  }

  leave() {
    this.leaving = true;
    this.socket.close(1000);
  }

  gone(code) {
    clearTimeout(this.timer);
    if (!this.isOpen) refused.add(1);
    else if (!this.leaving) closed.add(1, { code: String(code || 1006) });
    check(this, { 'we have been connected': (device) => device.isOpen });
  }
}

export default function () {
  // Evenly over the ramp: devices do not all come in the same second, unless that is what is tested (RAMP_S=0).
  setTimeout(() => new Device(`device-${__VU}`), (RAMP_S * 1000 * __VU) / DEVICES);
}
