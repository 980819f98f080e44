# SPDX-License-Identifier: Apache-2.0
"""The documentation tells the truth: each ```js block of docs/api runs, files that are made of others are up to date."""
import os
import re
import subprocess

import echo
from case import check, equal, read

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..'))
API = os.path.join(ROOT, 'docs', 'api')
BLOCK = re.compile(r'^```js\n(.*?)^```$', re.M | re.S)
PAGES = ('k6-ws.md', 'k6.md', 'k6-metrics.md', 'k6-http.md')


def run_blocks(t, page):
    """Each block must end with exit code 0, without an error in the log, and with no failed check."""
    text = read(os.path.join(API, page))
    url = echo.start(t)
    starts = [(m.start(), m[1]) for m in BLOCK.finditer(text)]
    check(starts, '%s has no example', page)
    for number, (at, script) in enumerate(starts):
        where = '%s:%d' % (page, text.count('\n', 0, at) + 1)
        path = t.write('block%d.js' % number, script)
        run = t.start_args('run', '--quiet', '-e', 'URL=' + url, '-e', 'HTTP_URL=' + url.replace('ws', 'http', 1),
                           path).wait(code=None)
        equal(run.code, 0, where + ': exit code')
        equal(run.logged('error'), [], where + ': errors in the log')
        check('✗' not in run.stdout, '%s: a check or threshold failed:\n%s', where, run.stdout)
        check(re.search(r'iterations\.+: [1-9]', run.stdout), '%s: no iteration ran:\n%s', where, run.stdout)


def test_k6_ws(t):
    run_blocks(t, 'k6-ws.md')


def test_k6(t):
    run_blocks(t, 'k6.md')


def test_k6_metrics(t):
    run_blocks(t, 'k6-metrics.md')


def test_other_modules(t):
    """Pages that have no case of their own above."""
    for page in sorted(os.listdir(API)):
        if page not in PAGES:
            run_blocks(t, page)


def test_man_page(t):
    """man/squall.1 is what `make man` writes."""
    made = subprocess.run([os.path.join(ROOT, 'tools', 'make_man'), t.squall], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    equal(made.returncode, 0, 'tools/make_man: ' + made.stdout[-500:])
    check(made.stdout == read(os.path.join(ROOT, 'man', 'squall.1')), 'man/squall.1 is old: run `make man`')


def test_links(t):
    """Links between the pages lead to files that exist."""
    pages = ['README.md', 'CHANGELOG.md'] + [
        os.path.relpath(os.path.join(folder, name), ROOT)
        for folder, _, names in os.walk(os.path.join(ROOT, 'docs')) for name in names if name.endswith('.md')]
    for page in pages:
        text = re.sub(r'```.*?```', '', read(os.path.join(ROOT, page)), flags=re.S)
        for target in re.findall(r'\]\(([^)#]+)', text):
            if '://' not in target:
                path = os.path.join(ROOT, os.path.dirname(page), target)
                check(os.path.exists(path), '%s: no such file: %s', page, target)


def test_examples_have_cases(t):
    """Every script of examples/ is run by a golden case; those of the kits by the cases of their kit, those
    of the gallery by the cases in tests/script/gallery."""
    scripts = {name[:-3] for name in os.listdir(os.path.join(ROOT, 'examples'))
               if name.endswith('.js') and not name.startswith('kits-')}
    cases = set(os.listdir(os.path.join(ROOT, 'tests', 'script', 'examples')))
    equal(scripts - cases, set(), 'examples without a golden case')
    gallery = os.path.join(ROOT, 'tests', 'script', 'gallery')
    tested = set(re.findall(r'^def test_(\w+)', '\n'.join(read(os.path.join(gallery, name)) for name in os.listdir(gallery)
                                                          if name.endswith('.py')), re.M))
    scripts = {re.sub(r'\W', '_', name.replace('.js', '')) for name in os.listdir(os.path.join(ROOT, 'examples', 'gallery'))
               if name not in ('data', 'lib')}
    check(len(scripts) >= 15, 'only %d scripts in the gallery', len(scripts))
    equal(scripts - tested, set(), 'scripts of the gallery without a case')


def shape(text):
    """Text of which numbers with their units, and the widths of columns, do not count."""
    text = re.sub(r'-?\d+(?:\.\d+)?(?:[a-zµ]{1,2}(?![a-z]))?(?:\d+[ms])*(?: [kMGT]?B(?!\w))?', '#', text)
    return [re.sub(r' +', ' ', line).strip() for line in text.splitlines() if line.strip()]


def without_progress(text):
    """What stays on a terminal: the description and the summary."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('Init '))
    end = next(i for i, line in enumerate(lines) if '█' in line)
    return '\n'.join(lines[:start] + lines[end:])


def test_readme_demo(t):
    """`make demo` prints what README.md shows."""
    shown = re.findall(r'^```text\n(.*?)^```$', read(os.path.join(ROOT, 'README.md')), re.M | re.S)[0]
    path = t.path('demo')
    with open(path, 'w', encoding='utf-8') as out:
        child = subprocess.run([os.path.join(ROOT, 'tools', 'demo'), t.squall, '--duration', '2s'], stdout=out,
                               stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    equal(child.returncode, 0, 'exit code of tools/demo')
    printed = without_progress(read(path))
    equal(shape(printed), shape(shown), 'README.md: output of make demo')


def test_readme_script(t):
    """The script of README.md runs and prints what is shown below it."""
    text = read(os.path.join(ROOT, 'README.md'))
    t.write('hello.js', BLOCK.search(text)[1])
    shown = re.findall(r'^```text\n(.*?)^```$', text, re.M | re.S)[1]
    run = t.start_args('run', '-e', 'URL=' + echo.start(t) + '/', 'hello.js').wait()
    equal(shape(without_progress(run.stdout)), shape(shown), 'README.md: output of hello.js')


def test_missing_modules(t):
    """The modules that docs/compat.md and README.md call missing are missing."""
    compat, readme = (read(os.path.join(ROOT, *path)) for path in (('docs', 'compat.md'), ('README.md',)))
    section = re.search(r'^## Not there yet\n(.*?)^## ', compat, re.M | re.S)
    rows = (section[1] if section else '').split('\n') + re.findall(r'^\|.*\| not yet \|$', readme, re.M)
    named = ' '.join(row.split('|')[1] for row in rows if row.startswith('| `k6/') and '`k6/http`' not in row)
    for number, name in enumerate(sorted(set(re.findall(r'`(k6/[\w/-]+)`', named)))):
        path = t.write('import%d.js' % number, "import '%s';\nexport default function () {}\n" % name)
        run = t.start_args('run', '--quiet', path).wait(code=None)
        check(run.code == 107, '%s is called missing, but importing it ends with %d: bring the pages up to date', name,
              run.code)
