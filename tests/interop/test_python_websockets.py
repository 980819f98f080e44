# SPDX-License-Identifier: Apache-2.0
"""Against the Python package websockets (Debian: python3-websockets)."""
import os

from case import equal
from session import Helper, carry

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'py_ws_server.py')


def start(t, mode):
    return Helper(t, '/usr/bin/python3', SERVER, mode)


def finished(server, extensions):
    equal(server.wait('close'), 1000)
    equal(server.said('extensions')[-1], extensions)
    equal(server.said('message').count(70000), 1)


def test_plain(t):
    server = start(t, 'plain')
    carry(t, server.url)
    finished(server, [])


def test_deflate(t):
    server = start(t, 'deflate')
    carry(t, server.url, params="{ compression: 'deflate' }")
    finished(server, ['permessage-deflate'])


def test_deflate_declined(t):
    server = start(t, 'plain')
    carry(t, server.url, params="{ compression: 'deflate' }")
    finished(server, [])


def test_deflate_standard_profile(t):
    """Context kept on both sides, windows of 12 bits chosen by the server."""
    server = start(t, 'deflate')
    carry(t, server.url, '--profile', 'standard', params="{ compression: 'deflate' }")
    finished(server, ['permessage-deflate'])
