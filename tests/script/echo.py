# SPDX-License-Identifier: Apache-2.0
"""`squall echo` as the server of a case."""
import re
import time

from case import check, read

START_SECONDS = 15.0


def start(t, *options):
    """Starts it on a free port; it ends with the case. Returns its URL without the slash at the end."""
    child = t.spawn([t.squall, 'echo', '--port', '0', *options])
    deadline = time.monotonic() + START_SECONDS
    while True:
        found = re.match(r'(wss?://\S+?)/\n', read(child.log_path))
        if found:
            return found[1]
        check(child.poll() is None and time.monotonic() < deadline, 'squall echo did not start:\n%s',
              read(child.log_path)[-2000:])
        time.sleep(0.01)
