# SPDX-License-Identifier: Apache-2.0
"""Against the npm package ws, with every choice of context takeover."""
import json
import os

from case import check, equal
from session import Helper, carry, take_over, windows

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'node_ws_server.js')
DEFLATE = "{ compression: 'deflate' }"


def serve(t, deflate):
    return Helper(t, 'node', SERVER, json.dumps(deflate))


def finished(server, negotiated):
    equal(server.wait('close'), 1000)
    equal(server.said('error'), [])
    equal(server.said('extensions')[-1], 'permessage-deflate' if negotiated else '')
    check('between' in server.said('pong'), 'the ping between fragments was not answered: %r', server.said('pong'))


def deflated(t, **options):
    """One server per profile: the default one forgets the context, the standard one keeps it."""
    for flags in ([], ['--profile', 'standard']):
        server = serve(t, dict(options, threshold=0))
        run = carry(t, server.url, *flags, params=DEFLATE)
        finished(server, True)
        # 'a' x 100000 four ways, and the same JSON twice each way: far less on the wire than in the script.
        check(run.count('data_sent') < 150000, 'sent %d bytes', run.count('data_sent'))


def test_plain(t):
    server = serve(t, False)
    carry(t, server.url)
    finished(server, False)


def test_deflate_declined(t):
    server = serve(t, False)
    carry(t, server.url, params=DEFLATE)
    finished(server, False)


def test_deflate_not_offered(t):
    server = serve(t, {'threshold': 0})
    carry(t, server.url)
    finished(server, False)


def test_deflate(t):
    deflated(t)


def test_server_no_context_takeover(t):
    deflated(t, serverNoContextTakeover=True)


def test_client_no_context_takeover(t):
    deflated(t, clientNoContextTakeover=True)


def test_no_context_takeover(t):
    deflated(t, serverNoContextTakeover=True, clientNoContextTakeover=True)


def test_small_windows(t):
    deflated(t, serverMaxWindowBits=9)


def test_small_client_window(t):
    """The server limits the client's window, which only an offer of client_max_window_bits allows."""
    server = serve(t, {'clientMaxWindowBits': 9, 'serverMaxWindowBits': 10, 'threshold': 0})
    carry(t, server.url, '--profile', 'standard', params=DEFLATE)
    finished(server, True)


def test_object_form(t):
    """PMD-1: the object form of `compression` sets every parameter."""
    for takeover in ('true', 'false'):
        server = serve(t, {'threshold': 0})
        carry(t, server.url, params='{ compression: { serverNoContextTakeover: %s, clientNoContextTakeover: %s, '
                                    'level: 9, memLevel: 9 } }' % (takeover, takeover))
        finished(server, True)


def test_windows(t):
    server = serve(t, {'threshold': 0})
    take_over(t, server.url, windows())
    equal(server.said('error'), [])
    equal(server.said('extensions'), ['permessage-deflate'] * len(windows()))


def test_windows_of_the_server(t):
    for bits in (9, 12, 15):
        server = serve(t, {'threshold': 0, 'serverMaxWindowBits': bits, 'clientMaxWindowBits': bits})
        take_over(t, server.url, [{'clientMaxWindowBits': True}, 'deflate'], '--profile', 'standard')
        equal(server.said('extensions'), ['permessage-deflate'] * 2)
