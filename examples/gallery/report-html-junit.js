// Reports of your own: handleSummary() writes an HTML page for people and JUnit XML for the CI server.
//
// The system: the shop of thresholds-per-tag.js, with a visit in two groups. What it teaches is the end of the run:
// handleSummary(data) gets everything that the summary would show, and returns a file name for each text that is to be
// written; `stdout` is what is printed in place of the summary. In the JUnit file each threshold and each check is a test
// case, so that Jenkins, GitLab and others show by name what failed, and since when.
//
//   tests/servers/serve rpc &
//   squall run examples/gallery/report-html-junit.js && xdg-open report.html
//
// Try `serve rpc --fail-every 10`: a check and a threshold fail in all three reports, and the exit code is 99.
// Knobs (-e NAME=value): URL, VUS, VISITS per VU, OUT (where to and how named: default "report", for report.html, report.xml
// and report.json).
import ws from 'k6/ws';
import { check, group } from 'k6';
import { Rate, Trend } from 'k6/metrics';
import { html } from './lib/html.js';
import { junit } from './lib/junit.js';

const url = (__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '');
const OUT = __ENV.OUT || 'report';

const time = new Trend('rpc_time', true);
const failed = new Rate('rpc_failed');

export const options = {
  scenarios: {
    visits: {
      executor: 'per-vu-iterations',
      vus: Number(__ENV.VUS || 5),
      iterations: Number(__ENV.VISITS || 10),
      maxDuration: '1m',
    },
  },
  thresholds: {
    rpc_time: ['p(95)<1000', 'max<10000'],
    rpc_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
  },
};

// One call on a connection of its own: its result, or null.
function call(method, params) {
  let result = null;
  ws.connect(`${url}/rpc`, { tags: { name: 'rpc' } }, function (socket) {
    const started = Date.now();
    socket.on('open', () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })));
    socket.on('message', function (text) {
      const answer = JSON.parse(text);
      time.add(Date.now() - started, { method });
      failed.add(Boolean(answer.error), { method });
      result = answer.result || null;
      socket.close(1000);
    });
    socket.setTimeout(() => socket.close(), 10000);
  });
  return result;
}

export default function () {
  let item = '';
  group('look around', function () {
    const answer = call('search', { text: 'tea & "cakes" <fresh>' }); // a name that has to be escaped
    check(answer, { 'tea & "cakes" <fresh> are found': (a) => a && a.found.length === 2 });
    item = answer.found[0];
  });
  group('buy', function () {
    check(call('quote', { item }), { 'there is a price': (a) => a && a.price > 0 });
    check(call('order', { item }), { 'the order is taken': (a) => a && a.item === item });
  });
}

export function handleSummary(data) {
  const thresholds = Object.values(data.metrics).flatMap((metric) => Object.values(metric.thresholds || {}));
  const bad = thresholds.filter((threshold) => !threshold.ok).length;
  return {
    [`${OUT}.html`]: html(data, 'The shop under load'),
    [`${OUT}.xml`]: junit(data, 'shop'),
    [`${OUT}.json`]: JSON.stringify(data, null, 2),
    stdout: `${thresholds.length - bad} of ${thresholds.length} thresholds passed; see ${OUT}.html, ${OUT}.xml, ${OUT}.json\n`,
  };
}
