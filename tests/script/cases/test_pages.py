# SPDX-License-Identifier: Apache-2.0
"""docs/*.md: every ```js block runs, docs/options.md is the option table."""
import json
import os
import re
import sys

from case import check, equal, read

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'docs'))
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..'))
PAGES = ('executors.md', 'metrics.md', 'thresholds.md', 'coming-from-k6.md')
COMMANDS = ('run', 'archive', 'inspect', 'new', 'version', 'stats', 'echo', 'completion')


def page(name):
    return read(os.path.join(ROOT, 'docs', name))


def run_page(t, name):
    import test_docs
    test_docs.API = os.path.join(ROOT, 'docs')
    test_docs.run_blocks(t, name)


def test_executors(t):
    run_page(t, 'executors.md')
    named = set(re.findall(r"executor: '([\w-]+)'", ' '.join(re.findall(r'```js(.*?)```', page('executors.md'), re.S))))
    equal(named, set(re.findall(r'^\| `([\w-]+)` \|[^|]*\|[^|]*\|[^|]*\|$', page('executors.md'), re.M)),
          'executors with a script')
    equal(len(named), 6)


def test_metrics(t):
    run_page(t, 'metrics.md')


def test_thresholds(t):
    run_page(t, 'thresholds.md')


def test_coming_from_k6(t):
    run_page(t, 'coming-from-k6.md')


def test_no_page_is_forgotten(t):
    with_scripts = {name for name in os.listdir(os.path.join(ROOT, 'docs')) if name.endswith('.md') and '```js' in page(name)}
    equal(with_scripts - set(PAGES), set(), 'pages of docs/ whose scripts nobody runs')


def test_built_in_metrics(t):
    """Every name in the table takes a threshold, and the summary's names are all in the table."""
    section = re.search(r'^## Built-in metrics\n(.*?)^## ', page('metrics.md'), re.M | re.S)[1]
    names = [n for row in re.findall(r'^\| (`.*?) \|', section, re.M) for n in re.findall(r'`(\w+)`', row)]
    check(len(names) > 20, 'table: %r', names)
    limits = {'Gauge': 'value>=0', 'Counter': 'count>=0', 'Rate': 'rate>=0', 'Trend': 'avg>=0'}
    kind = {n: re.match(r'\w+', row[1])[0] for row in re.findall(r'^\| (`.*?) \| (.*?) \|', section, re.M)
            for n in re.findall(r'`(\w+)`', row[0])}
    thresholds = {n: [limits[kind[n]]] for n in names}
    t.write('s.js', 'export const options = { thresholds: %s };\nexport default function () {}\n'
                    'export function handleSummary(d) { return { "d.json": JSON.stringify(d) }; }' % json.dumps(thresholds))
    t.start_args('run', 's.js').wait()
    metrics = json.loads(read(t.path('d.json')))['metrics']
    equal({n.split('{')[0] for n in metrics}, set(names), 'names')
    equal({n: metrics[n]['type'] for n in names}, {n: kind[n].lower() for n in names}, 'types')


def rows_of_page():
    """{flag or key: (flag as shown, variable, key)} of docs/options.md without the flags of one command."""
    text = page('options.md').split('## Of one command')[0]
    rows = {}
    for cells in re.findall(r'^\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|(.*)\|$', text, re.M):
        flag, env, key = (re.findall(r'`([^`]*)`', cell) for cell in cells[:3])
        if not flag and not key and not env or flag and not flag[-1].startswith('-') or env == ['K6_...']:
            continue
        check(cells[4].strip(), 'no meaning: %r', cells)
        name = flag[-1].split()[0].split('[')[0] if flag else key[0]
        check(name not in rows, '%s is there twice', name)
        rows[name] = (flag, env, key)
    return rows


def test_options_of_help(t):
    """What `squall run --help` lists is on the page with the same letters and arguments, and the other way round."""
    helped = {}
    for command in COMMANDS:
        for letter, flag, arg in re.findall(r'^  (?:-(\w), |    )(--[\w-]+(?:\[=\w+\])?)(?: ([A-Z]\S*))?(?:  |$)',
                                            t.start_args(command, '--help').wait().stdout, re.M):
            helped.setdefault(command, set()).add((letter, flag, arg))
    rows = rows_of_page()
    shown = {(flags[0][1] if len(flags) == 2 else '', flags[-1].split()[0], (flags[-1].split() + [''])[1])
             for flags, _, _ in rows.values() if flags}
    silent = {f for f in shown if f[1] in ('--no-usage-report', '--profiling-enabled', '--traces-output')}
    equal(len(silent), 3)
    equal(sorted(helped['run'] - shown), [], 'options of run that the page lacks')
    equal(sorted(shown - silent - helped['run']), [], 'options of the page that run does not have')
    own = page('options.md').split('## Of one command')[1]
    for command in COMMANDS:
        if command != 'run':
            want = {f for f in helped[command] if f not in helped['run']}
            got = {(m[1] or '', m[2], m[3] or '') for m in re.finditer(
                r'^\| `%s` \| (?:`-(\w)`, )?`(--[\w-]+)(?: ([A-Z]\S*))?` \|' % command, own, re.M)}
            equal(got, want, 'options of ' + command)


def test_options_of_inspect(t):
    """Every key that `squall inspect` prints is on the page, and every key of the page that is not from a file is printed."""
    t.write('s.js', 'export default function () {}')
    printed = set(json.loads(t.start_args('inspect', 's.js').wait().stdout))
    text = page('options.md')
    keys = {key[0] for _, _, key in rows_of_page().values() if key}
    elsewhere = set(re.findall(r'`(\w+)` \((?:file|read only)\)', text))
    equal(sorted(printed - keys), [], 'keys that the page lacks')
    equal(sorted(keys - elsewhere - printed), [], 'keys that inspect does not print')


def test_variables_of_options(t):
    """Every variable of the page is read: a value that its option refuses ends the run, or it shows its effect."""
    t.write('s.js', 'export default function () {}')
    free = {'USER_AGENT', 'CONSOLE_OUTPUT', 'SUMMARY_EXPORT', 'HTTP_DEBUG', 'SECRET_SOURCE', 'TRACES_OUTPUT', 'TAGS',
            'SYSTEM_TAGS', 'BLOCK_HOSTNAMES', 'FEATURES', 'LOG_FORMAT', 'NO_COLOR', 'WEB_DASHBOARD', 'NO_USAGE_REPORT',
            'IMPORT_CACHE'}
    rows = rows_of_page()
    variables = {env[0] for _, env, _ in rows.values() if env}
    check(len(variables) > 40 and free < variables, 'variables: %r', sorted(variables))
    for name in sorted(variables - free):
        for prefix in ('K6_', 'SQUALL_'):
            run = t.start_args('run', 's.js', env={prefix + name: '/no/such/'}).wait(code=None)
            check(run.code in (104, 106, 255) and run.stderr, '%s%s is not read: %d', prefix, name, run.code)
