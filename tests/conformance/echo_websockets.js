// SPDX-License-Identifier: Apache-2.0
// The same client as echo_ws.js through k6/websockets.
import { WebSocket } from 'k6/websockets';

const plan = JSON.parse(open(__ENV.PLAN));

export const options = {
  scenarios: {
    cases: {
      executor: 'per-vu-iterations',
      vus: plan.vus,
      iterations: Math.ceil(plan.cases.length / plan.vus),
      maxDuration: '20m',
    },
  },
};

const text = (n) => 'abcdefghij'.repeat(Math.ceil(n / 10)).slice(0, n);
const binary = (n) => Uint8Array.from({ length: n }, (_, i) => i * 7).buffer;

const actions = {
  text: (s, value) => s.send(value),
  fillText: (s, n) => s.send(text(n)),
  fillBinary: (s, n) => s.send(binary(n)),
  burst: (s, n) => {
    for (let i = 0; i < n; i++) s.send('tick');
  },
  ping: (s) => s.ping(),
  close: (s, code) => (code ? s.close(code) : s.close()),
};

export default function () {
  const c = plan.cases[__VU - 1 + __ITER * plan.vus];
  if (!c) return;
  const seen = { n: c.n, opened: false, messages: 0, code: null, errors: [] };
  const params = {};
  if (c.headers) params.headers = c.headers;
  if (c.compression) params.compression = c.compression;
  const s = new WebSocket(`${plan.url}/case?n=${c.n}`, c.protocols || [], params);
  s.binaryType = 'arraybuffer';
  s.addEventListener('open', () => {
    seen.opened = true;
    (c.act || []).forEach(([what, arg]) => actions[what](s, arg));
  });
  s.addEventListener('message', (e) => {
    seen.messages++;
    if (!c.mute) s.send(e.data);
  });
  s.addEventListener('error', (e) => seen.errors.push(String(e.error)));
  s.addEventListener('close', (e) => {
    seen.code = e.code;
    seen.clean = e.wasClean;
    console.log('CASE ' + JSON.stringify(seen));
  });
}
