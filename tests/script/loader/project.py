# SPDX-License-Identifier: Apache-2.0
"""A project of several files in the case's folder, and what its console says."""
import os

from case import check


def write(t, files):
    for name, text in files.items():
        os.makedirs(os.path.dirname(t.path(name)), exist_ok=True)
        t.write(name, text)


def run(t, main, files, *flags, code=0, env=None, stdin=None):
    write(t, files)
    name = '-' if stdin else t.path(main)
    return t.start_args('run', '--quiet', '--summary-mode', 'disabled', *flags, name, env=env,
                        stdin=stdin).wait(code=code)


def said(run):
    """Lines of console.log, in order."""
    return [entry.msg for entry in run.log if entry.level == 'info' and 'source=console' in entry.line]


def complains(run, *texts):
    """One error line holds all the texts."""
    errors = [entry.msg for entry in run.log if entry.level == 'error']
    check(any(all(text in e for text in texts) for e in errors), 'no error with %r in %r', texts, errors)
