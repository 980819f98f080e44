// What HTML and XML have in common.

const NAMES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

// For text and for attribute values.
export const escape = (text) => String(text).replace(/[&<>"']/g, (c) => NAMES[c]);

// All checks of a group of handleSummary's data and of the groups in it: { path: ['outer', 'inner'], name, passes, fails }.
export function checksOf(group, path = []) {
  const own = group.checks.map(({ name, passes, fails }) => ({ path, name, passes, fails }));
  return own.concat(...group.groups.map((inner) => checksOf(inner, path.concat(inner.name))));
}

// All thresholds: { metric, condition, ok, values }.
export function thresholdsOf(data) {
  return Object.entries(data.metrics).flatMap(([metric, { thresholds, values }]) =>
    Object.entries(thresholds || {}).map(([condition, { ok }]) => ({ metric, condition, ok, values }))
  );
}
