# SPDX-License-Identifier: Apache-2.0
"""A golden case: a folder with the arguments of squall in `cmd` and the masked summary it must print in `stdout`.

Files of the folder, all but the first two optional:
  cmd      one line, split like a shell does; @WS@, @HTTP@ and @PORT@ stand for the server's address
  stdout   golden text of standard output, through mask_summary()
  server   name of a behaviour of servers/rawws.py (default echo)
  exit     exit code (default 0)
  loose    names of metrics of which every number is masked, one per line
Everything else is copied to the case's folder, with the same names replaced in *.js files; squall runs there.
"""
import os
import shlex
import shutil

from case import compare_golden, equal, mask_summary, read
from servers import rawws

OURS = ('cmd', 'stdout', 'server', 'exit', 'loose')


def optional(folder, name, default):
    path = os.path.join(folder, name)
    return read(path).strip() if os.path.exists(path) else default


def run(t, folder, update):
    server = t.server(getattr(rawws, optional(folder, 'server', 'echo')))
    names = {'@WS@': server.ws, '@HTTP@': server.http, '@PORT@': str(server.port)}

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
