// Reconnecting with exponential backoff and jitter, and resuming where it broke off.
//
// The system: a stream of numbered events from a server that is redeployed while we watch: connections end with 1012, or
// with no goodbye at all (1006), and for a while the handshake is answered with 503. A good client waits, a little longer
// each time and never in step with the others (or all of them come back in the same second and bring the server down again),
// and then asks for what it missed: ?after=LAST.
//
// What it measures: how long users were cut off (stream_downtime), how many attempts that took (stream_attempts, by result),
// how connections ended (stream_breaks, by code), and events that were lost for good because the server no longer had them
// (stream_lost). stream_gave_up counts clients that ran out of attempts.
//
//   tests/servers/serve flaky &
//   squall run examples/gallery/reconnect-with-backoff.js
//
// Try `serve flaky --keep 5` (it remembers 5 events: stream_lost tells how many went missing) or `--refuse 50`.
// Knobs (-e NAME=value): URL, CLIENTS, BASE_MS (first wait), MAX_MS (longest wait), ATTEMPTS in a row.
import { WebSocket } from 'k6/websockets';
import { setTimeout } from 'k6/timers';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const BASE_MS = Number(__ENV.BASE_MS || 50);
const MAX_MS = Number(__ENV.MAX_MS || 2000);
const ATTEMPTS = Number(__ENV.ATTEMPTS || 8);

const events = new Counter('stream_events');
const lost = new Counter('stream_lost');
const breaks = new Counter('stream_breaks');
const attempts = new Counter('stream_attempts');
const gaveUp = new Counter('stream_gave_up');
const downtime = new Trend('stream_downtime', true);

export const options = {
  scenarios: {
    clients: { executor: 'per-vu-iterations', vus: Number(__ENV.CLIENTS || 10), iterations: 1, maxDuration: '2m' },
  },
  thresholds: {
    stream_lost: ['count==0'],
    stream_gave_up: ['count==0'],
    stream_downtime: ['p(95)<5000'],
    // Sub-metrics, so that the summary lists them one by one.
    'stream_breaks{code:1012}': ['count>=0'],
    'stream_breaks{code:1006}': ['count>=0'],
    'stream_attempts{result:open}': ['count>=0'],
    'stream_attempts{result:refused}': ['count>=0'],
    checks: ['rate==1'],
  },
};

class Client {
  constructor(name) {
    this.url = `${url}/events?client=${name}`;
    this.last = 0; // number of the last event we have
    this.failures = 0; // attempts in a row that did not open
    this.brokenAt = 0;
    this.over = false;
  }

  connect() {
    const socket = new WebSocket(`${this.url}&after=${this.last}`, null, { tags: { name: 'stream' } });
    let opened = false;

    socket.onopen = () => {
      opened = true;
      attempts.add(1, { result: 'open' });
      if (this.brokenAt) downtime.add(Date.now() - this.brokenAt);
      this.brokenAt = 0;
      this.failures = 0;
    };
    socket.onmessage = ({ data }) => this.message(JSON.parse(data), socket);
    socket.onclose = ({ code }) => {
      if (this.over) return;
      if (opened) breaks.add(1, { code: String(code || 1006) });
      else attempts.add(1, { result: 'refused' });
      this.retry();
    };
  }

  message({ type, seq }, socket) {
    if (type === 'event') {
      events.add(1);
      lost.add(seq - this.last - 1);
      this.last = seq;
    } else if (type === 'end') {
      lost.add(seq - this.last);
      this.over = true;
      socket.close(1000);
    }
  }

  // "Full jitter": anything between nothing and the bound, which doubles with every failure.
  retry() {
    if (!this.brokenAt) this.brokenAt = Date.now();
    this.failures += 1;
    if (this.failures > ATTEMPTS) {
      gaveUp.add(1);
      return;
    }
    const bound = Math.min(MAX_MS, BASE_MS * 2 ** (this.failures - 1));
    setTimeout(() => this.connect(), Math.random() * bound);
  }
}

export default function () {
  const client = new Client(`client-${__VU}`);
  const started = Date.now();

  client.connect();
  // The iteration ends by itself when no socket and no timer is left; this one only looks on.
  const look = () => {
    if (!client.over && client.failures <= ATTEMPTS && Date.now() - started < 60000) return setTimeout(look, 100);
    check(client, { 'the stream was followed to its end': (c) => c.over });
  };
  look();
}
