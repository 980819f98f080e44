# SPDX-License-Identifier: Apache-2.0
"""What programs read of squall, line by line: json, csv, the summary's forms as data, inspect. UPDATE_GOLDEN=1 in the
environment of tests/run rewrites the files of golden/; look at the difference before it is kept."""
import json
import os
import re

from case import check, compare_golden, equal, read

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden')
SCRIPT = read(os.path.join(GOLDEN, 'summary-compact', 'script.js'))
TIMES = ('iteration_duration', 'group_duration')
HANDLER = '\nexport function setup() { return { some: [1, "x"] }; }\n' \
          "export function handleSummary(data) { return { 'data.json': JSON.stringify(data, null, 2) }; }\n"


def golden(name, text):
    check(len(text) > 100, 'nothing to compare: %r', text)
    compare_golden(os.path.join(GOLDEN, name), text, bool(os.environ.get('UPDATE_GOLDEN')))


def masked(data):
    """Numbers that hang on the clock become '*'; order and all else stay."""
    def metric(name, m):
        out = {}
        for key, value in m.items():
            if isinstance(value, dict) and key == 'values':
                value = metric(name, dict(value, type=m.get('type')))
                del value['type']
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and (
                    name in TIMES or key == 'rate' and (m.get('type') == 'counter' or 'count' in m)):
                value = '*'
            out[key] = value
        return out

    def walk(value):
        if isinstance(value, list):
            return [walk(v) for v in value]
        if not isinstance(value, dict):
            return value
        out = {}
        for key, v in value.items():
            if key == 'metrics' and isinstance(v, dict):
                out[key] = {name: metric(name, m) for name, m in v.items()}
            elif key == 'metrics':
                out[key] = [metric(m['name'], m) for m in v]
            elif key in ('testRunDurationMs', 'duration', 'generated_at', 'script'):
                out[key] = '*'
            else:
                out[key] = walk(v)
        return out
    return walk(data)


def as_text(data):
    return json.dumps(data, indent=2, ensure_ascii=False) + '\n'


def test_json_lines(t):
    """Metric lines by name, then points by scenario: VUs of different threads come in any order."""
    t.run(SCRIPT, prelude=False, code=99)
    out = []
    for line in read(t.last.points_path).splitlines():
        line = re.sub(r'"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"', '"time":"*"', line)
        if json.loads(line)['metric'] in TIMES:
            line = re.sub(r'"value":[\d.e-]+,', '"value":*,', line)
        data = json.loads(line.replace(':*,', ':0,'))
        point = data['type'] == 'Point'
        out.append((point, '' if point else data['metric'], point and data['data']['tags'].get('scenario', ''), line))
    golden('json.txt', ''.join(line[-1] + '\n' for line in sorted(out, key=lambda line: line[:3])))


def test_csv_lines(t):
    t.run(SCRIPT, '--out', 'csv=o.csv', '--tag', 'run=a,b "c"', prelude=False, code=99)
    head, *rows = read(t.path('o.csv')).splitlines()
    rows = [re.sub(r'^(\w+),\d{10},', r'\1,*,', row) for row in rows]
    rows = [re.sub(r'^(%s),\*,\d+\.\d{6},' % '|'.join(TIMES), r'\1,*,*,', row) for row in rows]
    golden('csv.txt', '\n'.join([head] + sorted(rows, key=lambda row: row.split(',')[11])) + '\n')


def test_handle_summary_data(t):
    run = t.run(SCRIPT + HANDLER, prelude=False, code=99)
    text = read(t.path('data.json'))
    golden('handle-summary.json', as_text(masked(json.loads(text))))
    check('TOTAL RESULTS' not in run.stdout, 'the default summary')


def test_machine_readable_data(t):
    t.run(SCRIPT + HANDLER, '--new-machine-readable-summary', '--summary-export', 'e.json', prelude=False, code=99)
    golden('machine-readable.json', as_text(masked(json.loads(read(t.path('data.json'))))))
    a, b = json.loads(read(t.path('e.json'))), json.loads(read(t.path('data.json')))
    equal(masked(a), masked(b), 'the exported form')


def test_summary_export(t):
    t.run(SCRIPT + HANDLER, '--summary-export', 'e.json', prelude=False, code=99)
    text = read(t.path('e.json'))
    check(re.match(r'\{\n    "\w+": \{\n        "', text), 'indent: %r', text[:60])
    golden('summary-export.json', as_text(masked(json.loads(text))))


def own_lines(text):
    """The lines of the script's own metrics, exact but for what is per second."""
    text = re.sub(r'-?[\d.]+/s', '*/s', text)
    lines, inside = [], False
    for line in text.splitlines():
        inside = re.match(r' +(my_|ws_own|checks)', line) or inside and re.match(r' +(\{|[✓✗] \')', line)
        if inside:
            lines.append(re.sub(r' +', ' ', line).strip())
    return '\n'.join(lines) + '\n'


def test_numbers_of_the_summary(t):
    """ENG-245: of the two golden summaries beside, the numbers that the mask of those hides."""
    run = t.run(SCRIPT, '--quiet', prelude=False, code=99)
    golden('numbers.txt', own_lines(run.stdout))
    for unit in ('s', 'ms', 'us'):
        run = t.run(SCRIPT, '--quiet', '--summary-time-unit', unit, '--summary-trend-stats', 'min,p(50),p(99.9),count',
                    prelude=False, code=99)
        golden('numbers-%s.txt' % unit, own_lines(run.stdout))


def test_inspect(t):
    script = os.path.join(GOLDEN, 'inspect.js')
    golden('inspect.json', t.start_args('inspect', script).wait().stdout)
    golden('inspect-requirements.json', t.start_args('inspect', '--execution-requirements', script).wait().stdout)
