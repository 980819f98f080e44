# SPDX-License-Identifier: Apache-2.0
"""A golden case: a folder with the arguments of squall in `cmd` and the masked summary it must print in `stdout`.

Files of the folder, all but the first two optional:
  cmd      one line, split like a shell does; @WS@, @HTTP@ and @PORT@ stand for the server's address, @EXAMPLES@ for the
           folder of the example scripts
  stdout   golden text of standard output, through mask_summary()
  server   the server: `squall echo`, with options if need be, or a behaviour of servers/rawws.py (default echo)
  exit     exit code (default 0)
  loose    names of metrics of which every number is masked, one per line
Everything else is copied to the case's folder, with the same names replaced in *.js files; squall runs there.
"""
import os
import shlex
import shutil

import echo
from case import check, compare_golden, equal, mask_summary, read
from servers import rawws

OURS = ('cmd', 'stdout', 'server', 'exit', 'loose')
EXAMPLES = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples'))


def optional(folder, name, default):
    path = os.path.join(folder, name)
    return read(path).strip() if os.path.exists(path) else default


def start_server(t, what):
    """The names that stand for the server's address."""
    words = shlex.split(what)
    if words[:2] == ['squall', 'echo']:
        url = echo.start(t, *words[2:])
        scheme, port = url.split(':', 1)[0], url.rsplit(':', 1)[1]
        return {'@WS@': url, '@HTTP@': scheme.replace('ws', 'http') + '://127.0.0.1:' + port, '@PORT@': port}
    check(len(words) == 1 and hasattr(rawws, words[0]), 'no server is called %r', what)
    server = t.server(getattr(rawws, words[0]))
    return {'@WS@': server.ws, '@HTTP@': server.http, '@PORT@': str(server.port)}


def run(t, folder, update):
    names = start_server(t, optional(folder, 'server', 'echo'))
    names['@EXAMPLES@'] = EXAMPLES

    def fill(text):
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name in OURS or not os.path.isfile(path):
            continue
        if name.endswith('.js'):
            t.write(name, fill(read(path)))
        else:
            shutil.copy(path, t.path(name))
    done = t.start_args(*shlex.split(fill(optional(folder, 'cmd', '')))).wait(code=None)
    loose = optional(folder, 'loose', '').split()
    text = mask_summary(done.stdout, loose)
    for name, value in names.items():
        text = text.replace(value, name)
    compare_golden(os.path.join(folder, 'stdout'), text, update)
    equal(done.code, int(optional(folder, 'exit', '0')), 'exit code')
