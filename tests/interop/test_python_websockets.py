# SPDX-License-Identifier: Apache-2.0
"""Against the Python package websockets (Debian: python3-websockets)."""
import json
import os

from case import check, equal
from session import Helper, carry, take_over, windows

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


def test_windows(t):
    server = start(t, '{}')
    take_over(t, server.url, windows())
    equal(server.said('extensions'), [['permessage-deflate']] * len(windows()))


def test_windows_of_the_server(t):
    for bits in (9, 12, 15):
        server = start(t, json.dumps({'server_max_window_bits': bits, 'client_max_window_bits': bits}))
        take_over(t, server.url, [{'clientMaxWindowBits': True}, 'deflate'], '--profile', 'standard')
        equal(server.said('extensions'), [['permessage-deflate']] * 2)


def test_takeover_saves(t):
    """What the kept context is for: far fewer bytes each way."""
    sent = []
    for options in ({}, {'serverNoContextTakeover': True, 'clientNoContextTakeover': True}):
        server = start(t, '{}')
        run = take_over(t, server.url, [options])
        sent.append((run.count('data_sent'), run.count('data_received')))
    (sent_kept, received_kept), (sent_not, received_not) = sent
    check(sent_kept < sent_not - 400 and received_kept < received_not - 400, '%r', sent)
