# SPDX-License-Identifier: Apache-2.0
"""Each block of docs/api/k6-http.md runs, without an error and with no failed check."""
import os
import re

import web
from case import check, equal, read

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..', 'docs', 'api', 'k6-http.md')


def test_examples(t):
    server = web.start(t)
    scripts = re.findall(r'^```js\n(.*?)^```$', read(PAGE), re.M | re.S)
    check(len(scripts) >= 5, 'only %d examples', len(scripts))
    for number, script in enumerate(scripts):
        path = t.write('block%d.js' % number, script)
        run = t.start_args('run', '--quiet', '-e', 'HTTP_URL=' + server.base, path).wait(code=None)
        equal(run.code, 0, 'exit code of example %d' % number)
        equal(run.logged('error'), [], 'errors of example %d' % number)
        check('✗' not in run.stdout, 'a check of example %d failed:\n%s', number, run.stdout)
        check('iterations' in run.stdout, 'example %d did not run', number)
