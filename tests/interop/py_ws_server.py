#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An echo server of the package websockets. Argument: 'deflate' or 'plain'. Prints JSON lines: the port, then per
connection what was negotiated, each message and the close code."""
import asyncio
import json
import sys

import websockets


def log(**what):
    print(json.dumps(what), flush=True)


async def serve(socket, path=None):
    log(extensions=[e.name for e in socket.extensions])
    async for message in socket:
        log(message=len(message), binary=isinstance(message, bytes))
        if message == 'fragments please':
            await socket.send(['one ', 'two ', 'three'])
            await (await socket.ping())
        else:
            await socket.send(message)
    log(close=socket.close_code)


async def main():
    compression = 'deflate' if sys.argv[1] == 'deflate' else None
    async with websockets.serve(serve, '127.0.0.1', 0, compression=compression, max_size=None) as server:
        log(port=server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
