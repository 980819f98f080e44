// handleSummary's data as JUnit XML: a test suite of the thresholds and one of the checks.
import { checksOf, escape, thresholdsOf } from './xml.js';

function testcase({ className, name, failure, output }) {
  const inside = failure
    ? `<failure message="${escape(failure)}"/>`
    : `<system-out>${escape(output)}</system-out>`;
  return `    <testcase classname="${escape(className)}" name="${escape(name)}">${inside}</testcase>`;
}

function suite(name, cases, seconds) {
  const failures = cases.filter((c) => c.failure).length;
  return [
    `  <testsuite name="${escape(name)}" tests="${cases.length}" failures="${failures}" errors="0" time="${seconds}">`,
    ...cases.map(testcase),
    '  </testsuite>',
  ].join('\n');
}

const listed = (values) => Object.entries(values).map(([name, value]) => `${name}=${value}`).join(' ');

export function junit(data, name) {
  const seconds = (data.state.testRunDurationMs / 1000).toFixed(3);
  const thresholds = thresholdsOf(data).map(({ metric, condition, ok, values }) => ({
    className: `${name}.thresholds.${metric}`,
    name: condition,
    failure: ok ? null : `${condition} does not hold: ${listed(values)}`,
    output: listed(values),
  }));
  const checks = checksOf(data.root_group).map(({ path, name: check, passes, fails }) => ({
    className: [name, 'checks', ...path].join('.'),
    name: check,
    failure: fails ? `failed ${fails} times of ${passes + fails}` : null,
    output: `passed ${passes} times`,
  }));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escape(name)}">`,
    suite(`${name} thresholds`, thresholds, seconds),
    suite(`${name} checks`, checks, seconds),
    '</testsuites>',
    '',
  ].join('\n');
}
