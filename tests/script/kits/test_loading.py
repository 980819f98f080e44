# SPDX-License-Identifier: Apache-2.0
"""How the kits come into a script: built in, copied beside it as for k6, required, out of an archive."""
import os
import re
import shutil

import kit
from case import check, equal, read

KITS = os.path.join(kit.ROOT, 'kits')
ALLOWED = {'k6', 'k6/metrics', 'k6/timers', 'k6/websockets'}
SCRIPT = "%s\nexport default function () { console.log('EV ' + JSON.stringify(['got', typeof connect])); }\n"


def names():
    return sorted(name[:-3] for name in os.listdir(KITS))


def test_sources(t):
    """Only modules that k6 has, so that a copy runs there; each kit has a page, an example and cases."""
    check(len(names()) >= 6, 'kits: %r', names())
    for name in names():
        text = read(os.path.join(KITS, name + '.js'))
        imports = set(re.findall(r"^import .* from '([^']+)'", text, re.M))
        check(imports and imports <= ALLOWED, '%s imports %r', name, imports - ALLOWED)
        for path in ('docs/kits/%s.md' % name, 'examples/kits-%s.js' % name,
                     'tests/script/kits/test_%s.py' % name.replace('-', '_')):
            check(os.path.exists(os.path.join(kit.ROOT, path)), 'no %s', path)


def test_import_and_copy(t):
    for name in names():
        shutil.copy(os.path.join(KITS, name + '.js'), t.folder)
        for source in ('squall/' + name, './%s.js' % name):
            got = t.run(SCRIPT % ("import { connect } from '%s';" % source), '--vus', '3', '--iterations', '3', prelude=False)
            equal(got.values('got'), ['function'] * 3, source)


def test_default_and_require(t):
    for name in names():
        got = t.run(SCRIPT % ("import kit from 'squall/%s'; const { connect } = kit;" % name), prelude=False)
        equal(got.one('got'), 'function')
        path = t.write('required.js', "const { connect } = require('squall/%s');\nexports.default = function () {\n"
                       "  console.log('EV ' + JSON.stringify(['got', typeof connect]));\n};\n" % name)
        got = t.start_args('run', '--quiet', path).wait()
        equal(got.one('got'), 'function')


def test_archive(t):
    path = t.write('script.js', SCRIPT % "import { connect } from 'squall/socketio';")
    t.start_args('archive', '-O', t.path('a.tar'), path).wait()
    got = t.start_args('run', '--quiet', t.path('a.tar')).wait()
    equal(got.one('got'), 'function')
