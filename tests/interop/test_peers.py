# SPDX-License-Identifier: Apache-2.0
"""The tests' own server against an independent client, so that squall and it cannot share an error; and the masking of
golden texts. These cases do not run squall."""
import asyncio
import ssl

import websockets

from case import check, equal, mask_summary
from servers.rawws import (BINARY, PMD_BOTH, TEXT, after, close_payload, closing, echo, echo_deflate, encode, refusing)


async def echoes(url, **kw):
    async with websockets.connect(url, max_size=None, **kw) as client:
        for message in ('', 'h\u00e9', b'', b'x' * 125, b'x' * 126, b'y' * 65535, b'z' * 65536, 'a' * 300000):
            await client.send(message)
            equal(await client.recv(), message)
        await client.send(['a', 'b', 'c'])
        equal(await client.recv(), 'abc')
        await asyncio.wait_for(await client.ping(), 5)
        return client.response_headers.get('Sec-WebSocket-Extensions')


def test_echo(t):
    server = t.server()
    equal(asyncio.run(echoes(server.ws + '/echo?x', compression=None)), None)
    server.settle()
    conn = server.conns[0]
    equal((conn.target, conn.close_codes, conn.end, conn.problem), ('/echo?x', [1000], 'fin', None))
    equal([m.opcode for m in conn.messages][:4], [TEXT, TEXT, BINARY, BINARY])
    equal(len(conn.messages[-1].frames), 4)
    check(all(f.mask for f in conn.frames), 'an unmasked frame')
    equal(conn.bytes_in, len(conn.head) + sum(f.wire_len for f in conn.frames))


def test_deflate(t):
    server = t.server(echo_deflate)
    equal(asyncio.run(echoes(server.ws, compression='deflate')), PMD_BOTH)
    server.settle()
    equal({m.rsv for m in server.conns[0].messages}, {4})


def test_tls(t):
    server = t.tls_server()
    context = ssl.create_default_context(cafile=t.path('cert.pem'))
    asyncio.run(echoes(server.ws, ssl=context))
    server.settle()
    t.check_servers()


def test_endings(t):
    server = t.server({'/close': closing(1011, 'why', before=encode(TEXT, 'm')), '/fin': after(b'', then='fin'),
                       '/reset': after(b'', then='reset'), '/masked': after(encode(TEXT, 'x', mask=b'1234')),
                       '/refused': refusing(404, 'Not Found', [('X-A', 'b')], 'body'), '/echo': echo})

    async def ending(path):
        try:
            async with websockets.connect(server.ws + path, compression=None, close_timeout=1) as client:
                while True:
                    await client.recv()
        except websockets.ConnectionClosed as e:
            return e.rcvd and e.rcvd.code, e.sent and e.sent.code
        except websockets.InvalidStatusCode as e:
            return e.status_code, e.headers['X-A']

    async def endings():
        return [await ending(path) for path in ('/close', '/fin', '/reset', '/masked', '/refused')]
    equal(asyncio.run(endings()), [(1011, 1011), (None, None), (None, None), (None, 1002), (404, 'b')])
    server.settle()
    equal([c.end for c in server.conns], ['fin', 'fin', 'local', 'fin', 'fin'])
    equal([f.payload[:2] for f in server.conns[0].of(8)], [close_payload(1011)])
    t.check_servers()


SUMMARY = '''
  █ THRESHOLDS 

    my_t
    ✓ 'p(95)<200' p(95)=12.34ms


  █ TOTAL RESULTS 

    checks_total.......: 6      3763.553497/s
    checks_succeeded...: 83.33% 5 out of 6

    ✗ in 2s
      ↳  66% — ✓ 2 / ✗ 1

    CUSTOM
    my_c.................: 6      3763.553497/s
      { x:1 }............: 6      3763.553497/s
    my_l.................: avg=2.5     p(90)=12
    my_t.................: avg=2.5     p(90)=12       max=1m30s

    EXECUTION
    vus..................: 1      min=1         max=12

    NETWORK
    data_received........: 519 kB 1.2 MB/s

running (00m01.5s), 0/1 VUs, 1 complete and 0 interrupted iterations
'''

MASKED = '''
  █ THRESHOLDS

    my_t
    ✓ 'p(95)<200' p(95)=*


  █ TOTAL RESULTS

    checks_total.......: 6 */s
    checks_succeeded...: 83.33% 5 out of 6

    ✗ in 2s
      ↳  66% — ✓ 2 / ✗ 1

    CUSTOM
    my_c.................: 6 */s
      { x:1 }............: 6 */s
    my_l.................: avg=* p(90)=*
    my_t.................: avg=2.5 p(90)=12 max=*

    EXECUTION
    vus..................: * min=* max=*

    NETWORK
    data_received........: * */s

running (*), 0/1 VUs, 1 complete and 0 interrupted iterations
'''


def test_mask_summary(t):
    del t
    equal(mask_summary(SUMMARY, loose=['my_l']).split('\n'), MASKED.split('\n'))
