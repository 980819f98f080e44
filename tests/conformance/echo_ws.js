// SPDX-License-Identifier: Apache-2.0
// The client of the conformance run through k6/ws: iteration after iteration it plays the cases of the plan. It echoes
// what arrives, does what the plan tells it to do once open, and logs what a script sees.
import ws from 'k6/ws';

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
  fillBinary: (s, n) => s.sendBinary(binary(n)),
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
  const params = { headers: c.headers || {} };
  if (c.protocols) params.headers['Sec-WebSocket-Protocol'] = c.protocols.join(', ');
  if (c.compression) params.compression = c.compression;
  const res = ws.connect(`${plan.url}/case?n=${c.n}`, params, (s) => {
    seen.opened = true;
    s.on('open', () => (c.act || []).forEach(([what, arg]) => actions[what](s, arg)));
    s.on('message', (m) => {
      seen.messages++;
      if (!c.mute) s.send(m);
    });
    s.on('binaryMessage', (b) => {
      seen.messages++;
      if (!c.mute) s.sendBinary(b);
    });
    s.on('close', (code) => (seen.code = code));
    s.on('error', (e) => seen.errors.push(e.error()));
  });
  seen.status = res.status;
  seen.error = res.error;
  console.log('CASE ' + JSON.stringify(seen));
}
