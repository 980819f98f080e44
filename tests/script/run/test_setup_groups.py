# SPDX-License-Identifier: Apache-2.0
"""Groups inside setup and teardown keep their root (ENG-36, MET-33)."""
from case import equal


def test_ENG36_groups_in_setup(t):
    run = t.run('''
import { check, group } from 'k6';
export function setup() {
  group('a', () => check(1, { inner: true }));
  check(1, { outer: true });
}
export default function () { group('b', () => check(1, { own: true })); }
export function teardown() { group('c', () => check(1, { last: true })); }
''', prelude=False)
    groups = {p.tags['check']: p.tags['group'] for p in run.of('checks')}
    equal(groups, {'inner': '::setup::a', 'outer': '::setup', 'own': '::b', 'last': '::teardown::c'})
