#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An echo server of the package websockets. Argument: 'deflate', 'plain', or the parameters of its extension
as JSON. Prints JSON lines: the port, then per
connection what was negotiated, each message and the close code."""
import asyncio
import json
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


SENTENCE = 'the quick brown fox jumps over the lazy dog, again and again. '


def log(**what):
    print(json.dumps(what), flush=True)


async def serve(socket, path=None):
    log(extensions=[e.name for e in socket.extensions])
    async for message in socket:
        log(message=len(message), binary=isinstance(message, bytes))
        if message == 'big fragments please':  # each of them reaches back into what was sent before
            await socket.send([SENTENCE * 20] * 50)
        elif message == 'fragments please':
            await socket.send(['one ', 'two ', 'three'])
            await (await socket.ping())
        else:
            await socket.send(message)
    log(close=socket.close_code)


async def main():
    mode = sys.argv[1]
    options = {'compression': 'deflate' if mode == 'deflate' else None}
    if mode.startswith('{'):
        options['extensions'] = [ServerPerMessageDeflateFactory(**json.loads(mode))]
    async with websockets.serve(serve, '127.0.0.1', 0, max_size=None, **options) as server:
        log(port=server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
