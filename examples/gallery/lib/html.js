// handleSummary's data as one HTML page without scripts and without anything to download.
import { checksOf, escape, thresholdsOf } from './xml.js';

const STYLE = `body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100%; margin-bottom: 2em }
th, td { text-align: left; padding: .25em .8em .25em 0; border-bottom: 1px solid #ddd; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.ok { color: #17692b } .bad { color: #b3261e; font-weight: bold }`;

// Times in ms with three digits, bytes and counts whole, rates as a share.
function number(value, name, { contains, type }) {
  if (type === 'rate' && name === 'rate') return `${(100 * value).toFixed(2)} %`;
  if (contains === 'time') return `${value.toFixed(3)} ms`;
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}

const mark = (ok) => (ok ? '<td class="ok">passed</td>' : '<td class="bad">failed</td>');

function table(head, rows) {
  const cells = head.map((text) => `<th>${escape(text)}</th>`).join('');
  return `<table><tr>${cells}</tr>\n${rows.map((row) => `<tr>${row}</tr>`).join('\n')}\n</table>`;
}

function metricRow([name, metric]) {
  const values = Object.entries(metric.values).map(([key, value]) => `${escape(key)} ${number(value, key, metric)}`);
  return `<td>${escape(name)}</td><td>${metric.type}</td><td>${values.join(' &middot; ')}</td>`;
}

export function html(data, title) {
  const thresholds = thresholdsOf(data).map(
    ({ metric, condition, ok }) => `<td>${escape(metric)}</td><td>${escape(condition)}</td>${mark(ok)}`
  );
  const checks = checksOf(data.root_group).map(
    ({ path, name, passes, fails }) =>
      `<td>${escape(path.concat(name).join(' › '))}</td><td class="number">${passes}</td><td class="number">${fails}</td>` +
      mark(fails === 0)
  );
  const metrics = Object.entries(data.metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escape(title)}</title><style>
${STYLE}
</style></head>
<body>
<h1>${escape(title)}</h1>
<p>The test ran for ${(data.state.testRunDurationMs / 1000).toFixed(1)} s.</p>
<h2>Thresholds</h2>
${table(['metric', 'condition', ''], thresholds)}
<h2>Checks</h2>
${table(['check', 'passed', 'failed', ''], checks)}
<h2>Metrics</h2>
${table(['metric', 'type', 'values'], metrics.map(metricRow))}
</body>
</html>
`;
}
