# SPDX-License-Identifier: Apache-2.0
"""The case tables EC-1 to EC-70 (load engine), MC-1 to MC-27 (metrics) and MD-1 to MD-32 (modules): every number has a
case somewhere."""
import os
import re

from case import check, equal

SCRIPT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
TABLES = {'EC': 70, 'MC': 27, 'MD': 32}
SAID = re.compile(r'\b(EC|MC|MD)[- ]?(\d+)(?: to \1[- ](\d+))?(?!\d)')


def numbers_in(text):
    for table, first, last in SAID.findall(text):
        for number in range(int(first), int(last or first) + 1):
            yield table, number


def test_every_number_has_a_case(t):
    """A case says its numbers in its name or docstring."""
    named = set()
    for folder, _, names in os.walk(SCRIPT):
        for name in names:
            if re.fullmatch(r'test_\w+\.py', name) and name != 'test_table.py':
                with open(os.path.join(folder, name), encoding='utf-8') as f:
                    for case in re.split(r'^(?=def )', f.read(), flags=re.M):
                        head = re.match(r'def test_(\w+)\(t\):\n(?:    """(.*?)""")?', case, re.S)
                        if head:
                            named.update(numbers_in(head[1].replace('_', ' ') + ' ' + (head[2] or '')))
    wanted = {(table, n) for table, last in TABLES.items() for n in range(1, last + 1)}
    equal(sorted(wanted - named), [], 'numbers without a case')
    check(named <= wanted, 'numbers that no table has: %r', sorted(named - wanted))
