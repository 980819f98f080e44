# SPDX-License-Identifier: Apache-2.0
"""The server of the living standard's assertions: what it does stands in the request target.

/echo                      takes the first protocol offered, echoes messages, answers Close with the same code
/head                      sends {target, headers} as JSON first, then as /echo
/proto?p=X                 answers with protocol X, or with none if p is absent
/ext?e=X                   answers with extensions X
/wire?hex=X[&then=fin|reset]  sends these bytes in one write with the 101
/close?code=N&reason=X     sends a Close frame at once (no code: an empty one)
/answer?code=N&reason=X    answers the client's Close with another one
/late?text=X               on the client's Close first sends a message, then the answer
/drop                      ends the stream when the client's Close comes, without an answer
/finclose, /reset          ends the stream (FIN, RST) right after the 101
/status?code=N             refuses the upgrade
/badaccept, /badupgrade    a 101 that is wrong
/stall                     never answers
/record?id=X               as /echo; /report?id=X then tells what frames came there
"""
import json
from urllib.parse import parse_qs, urlsplit

from servers import rawws


def first_protocol(conn):
    offered = conn.header('sec-websocket-protocol')
    return offered.split(',')[0].strip() if offered else None


def arguments(conn):
    query = urlsplit(conn.target).query
    return {k: v[0] for k, v in parse_qs(query, keep_blank_values=True).items()}


def close_body(a):
    return rawws.close_payload(int(a['code']) if a.get('code') else None, a.get('reason', ''))


def echo(conn):
    conn.accept(protocol=first_protocol(conn))
    conn.drain(echo=True)


def head(conn):
    conn.accept(protocol=first_protocol(conn))
    conn.text(json.dumps({'target': conn.target, 'headers': conn.headers}))
    conn.drain(echo=True)


def proto(conn):
    conn.accept(protocol=arguments(conn).get('p'))
    conn.drain(echo=True)


def ext(conn):
    conn.accept(extensions=arguments(conn)['e'])
    conn.drain(echo=True)


def wire(conn):
    a = arguments(conn)
    rawws.after(bytes.fromhex(a['hex']), a.get('then', 'drain'))(conn)


def close(conn):
    conn.accept(tail=rawws.encode(rawws.CLOSE, close_body(arguments(conn))))
    while conn.recv_frame().opcode != rawws.CLOSE:
        pass
    conn.finish()


def until_close(conn):
    while True:
        f = conn.recv_frame()
        if f.opcode == rawws.CLOSE:
            return f


def answer(conn):
    conn.accept()
    until_close(conn)
    conn.frame(rawws.CLOSE, close_body(arguments(conn)))
    conn.finish()


def late(conn):
    conn.accept()
    f = until_close(conn)
    conn.text(arguments(conn)['text'])
    conn.frame(rawws.CLOSE, f.payload)
    conn.finish()


def drop(conn):
    conn.accept()
    until_close(conn)
    conn.finish()


def fin(conn):
    conn.accept()
    conn.finish()


def reset(conn):
    conn.accept()
    conn.reset()


def status(conn):
    conn.refuse(int(arguments(conn)['code']), 'Refused')


def badaccept(conn):
    conn.accept(accept='AAAAAAAAAAAAAAAAAAAAAAAAAAA=')
    conn.record()


def badupgrade(conn):
    conn.accept(upgrade='spdy')
    conn.record()


def report(conn):
    wanted = '/record?id=' + arguments(conn)['id']
    seen = []
    for other in list(conn.server.conns):
        if other.target == wanted:
            seen += [{'op': f.opcode, 'hex': f.payload.hex()} for f in list(other.frames)]
    conn.accept()
    conn.text(json.dumps(seen))
    conn.drain()


PATHS = {'/': echo, '/echo': echo, '/record': echo, '/head': head, '/proto': proto, '/ext': ext, '/wire': wire,
         '/close': close, '/answer': answer, '/late': late, '/drop': drop, '/finclose': fin, '/reset': reset,
         '/status': status, '/badaccept': badaccept, '/badupgrade': badupgrade, '/stall': rawws.never_answer,
         '/report': report}


def route(conn):
    path = conn.target.split('?')[0]
    PATHS.get(path, head)(conn)


def start():
    return rawws.Server(route)
