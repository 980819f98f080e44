# SPDX-License-Identifier: Apache-2.0
"""k6/ws against servers that do the wrong, or an unusual, thing: the handshake, frames, text, permessage-deflate.

One session per row: the server's path is the row's number. A violation shows in k6/ws as a Close frame with the code on
the wire, then the events `error` (websocket: close sent) and `close` 1001 (WS-83)."""
import os

from case import between, check, equal
from servers.rawws import (BINARY, CLOSE, CONT, PING, PMD_BOTH, PONG, TEXT, accept_key, close_payload, deflate, encode,
                           silent)

BYE = encode(CLOSE, close_payload(1000))
SCRIPT = '''
export default function () {
  for (let i = 0; i < %d; i++) {
    let events = [];
    const r = ws.connect('@WS@/' + i, %s, (s) => {
      s.on('message', (m) => events.push(m.length > 100 ? ['long', m.length] : m));
      s.on('binaryMessage', (b) => events.push(b.byteLength > 100 ? ['long', b.byteLength] : bytes(b)));
      s.on('ping', () => events.push('ping'));
      s.on('pong', () => events.push('pong'));
      s.on('close', (c) => events.push(c));
      s.on('error', (e) => events.push(e.error()));
    });
    ev('row', events, r.status, r.url !== '', r.error !== '');
  }
}'''


def sessions(t, behaviours, *flags, params='{}'):
    """Per row: the events, and the list of Close codes on the wire; and per row whether a session took place."""
    server = t.server({'/%d' % i: b for i, b in enumerate(behaviours)})
    run = t.run(SCRIPT % (len(behaviours), params), *flags)
    rows = run.ev('row')
    equal(len(rows), len(behaviours))
    equal(len(server.conns), len(behaviours), 'connections')
    t.servers.remove(server)
    server.stop()
    return rows, server.conns


def frames_are(t, rows, *flags):
    """rows: name -> (bytes after the 101, events wanted, Close codes wanted)."""
    def sends(wire):
        def behave(conn):
            conn.accept(tail=wire)
            conn.record()
        return behave
    got, conns = sessions(t, [sends(wire) for wire, _, _ in rows.values()], *flags)
    for (name, (_, events, codes)), row, conn in zip(rows.items(), got, conns):
        equal(row[1:], [events, 101, True, False], name)
        equal(conn.close_codes, codes, name + ': Close frames')


def breaks(wire, code=1002, before=()):
    return wire, list(before) + ['websocket: close sent', 1001], [code]


def works(wire, *events):
    return wire + BYE, list(events) + [1000], [1000]


def test_good_frames(t):
    frames_are(t, {
        'hello': works(bytes.fromhex('810548656c6c6f'), 'Hello'),
        'two fragments': works(bytes.fromhex('010348656c80026c6f'), 'Hello'),
        'ping between': works(bytes.fromhex('010348656c890080026c6f'), 'ping', 'Hello'),
        '256 bytes': works(encode(BINARY, b'x' * 256), ['long', 256]),
        '65536 bytes': works(encode(BINARY, b'x' * 65536), ['long', 65536]),
        'euro in three frames': works(bytes.fromhex('0101e20001828001ac'), '\u20ac'),
        'byte order mark': works(bytes.fromhex('8103efbbbf'), '\ufeff'),
        'ping of 125': works(encode(PING, b'p' * 125), 'ping'),
        'pong': works(encode(PONG, b'abc'), 'pong'),
        'empty fragments': works(encode(TEXT, b'', fin=False) + encode(CONT, b'', fin=False) + encode(CONT, b''), ''),
        '1000 fragments': works(encode(TEXT, b'x', fin=False) + encode(CONT, b'x', fin=False) * 998 +
                                encode(CONT, b'x'), ['long', 1000]),
        'text after close': (BYE + encode(TEXT, 'late'), [1000], [1000]),
    })


def test_bad_frames(t):
    rows = {
        'masked': breaks(bytes.fromhex('818537fa213d7f9f4d5158')),
        'RSV1': breaks(bytes.fromhex('c10161')), 'RSV2': breaks(bytes.fromhex('a10161')),
        'RSV3': breaks(bytes.fromhex('910161')),
        'ping of 126': breaks(bytes.fromhex('897e007e') + b'x' * 126),
        'fragmented ping': breaks(bytes.fromhex('090161')),
        'continuation first': breaks(bytes.fromhex('800161')),
        'text inside a message': breaks(bytes.fromhex('010161810162')),
        'length not minimal': breaks(bytes.fromhex('817e000548656c6c6f')),
        '2^63 bytes': breaks(bytes.fromhex('827f8000000000000000')),
        'after a good one': breaks(encode(TEXT, 'ok') + encode(3), before=['ok']),
    }
    for opcode in list(range(3, 8)) + list(range(11, 16)):
        rows['opcode %d' % opcode] = breaks(bytes([0x80 | opcode, 0]))
    frames_are(t, rows)


def test_lenient_frames(t):
    frames_are(t, {
        'length not minimal': works(bytes.fromhex('817e000548656c6c6f'), 'Hello'),
        'bad UTF-8': works(bytes.fromhex('8103c328') + b'\x80', '\ufffd(\ufffd'),
        'masked': works(bytes.fromhex('818537fa213d7f9f4d5158'), 'Hello'),
        'still an error': breaks(encode(3)),
    }, '--lenient')


def test_bad_text(t):
    frames_are(t, {text: breaks(bytes.fromhex(text.replace(' ', '')), 1007) for text in (
        '8102c328', '8103eda080', '8104f4908080', '8102c0af', '0101e2800182', '8101ff', '0102c3288000')})


def test_close_codes(t):
    rows = {}
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        rows['code %d' % code] = breaks(encode(CLOSE, close_payload(code)))
    rows['one byte'] = breaks(bytes.fromhex('880103'))
    frames_are(t, rows)


def test_close_reason_not_utf8(t):
    """CT and WS-81: the code on the wire says which rule was broken; 1002 and 1007 both do."""
    def behave(conn):
        conn.accept(tail=bytes.fromhex('880403e8c328'))
        conn.record()
    rows, conns = sessions(t, [behave])
    equal(rows[0][1], ['websocket: close sent', 1001])
    check(conns[0].close_codes in ([1002], [1007]), 'Close frames: %r', conns[0].close_codes)


def raw_answer(text, bye=True):
    """Answers with `text`; KEY stands for the right Sec-WebSocket-Accept."""
    def behave(conn):
        conn.send(text.replace('KEY', accept_key(conn.header('sec-websocket-key'))).encode('latin-1') +
                  (BYE if bye else b''))
        conn.finish()
        conn.record()
    return behave


HEAD = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n'


def dribbled(conn):
    conn.dribble(HEAD.replace('KEY', accept_key(conn.header('sec-websocket-key'))).encode('latin-1') + b'\r\n' + BYE)
    conn.finish()
    conn.record()


def test_P06_P13_P14_P18_good_answers(t):
    """P13 is the dribbled one."""
    rows, _ = sessions(t, [
        dribbled,
        raw_answer(HEAD + '\r\n'),
        raw_answer(HEAD.replace('\r\n', '\n') + '\n'),
        raw_answer('HTTP/1.1 101\r\nupgrade:websocket\r\nCONNECTION:  keep-alive ,  Upgrade \r\n'
                   'sec-websocket-accept:\tKEY \r\nX-Long: ' + 'x' * 4000 + '\r\n\r\n'),
        raw_answer('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' + HEAD + '\r\n'),
        raw_answer(HEAD.replace('Connection: Upgrade', 'Connection: keep-alive\r\nConnection: upgrade') + '\r\n'),
    ])
    for i, row in enumerate(rows):
        equal(row[1:], [[1000], 101, True, False], 'answer %d' % i)


def test_P03_P04_P05_P07_P08_P15_bad_answers(t):
    answers = {
        'status 200': HEAD.replace('101 Switching Protocols', '200 OK') + 'Content-Length: 0\r\n\r\n',
        'HTTP/1.0': HEAD.replace('HTTP/1.1', 'HTTP/1.0') + '\r\n',
        'no Upgrade': HEAD.replace('Upgrade: websocket\r\n', '') + '\r\n',
        'no Accept': HEAD.replace('Sec-WebSocket-Accept: KEY\r\n', '') + '\r\n',
        'one character changed': HEAD.replace('KEY', 'KEYx') + '\r\n',
        'key of the RFC': HEAD.replace('KEY', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=') + '\r\n',
        'two protocols': HEAD + 'Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n',
        'unknown extension': HEAD + 'Sec-WebSocket-Extensions: foo\r\n\r\n',
        'unasked deflate': HEAD + 'Sec-WebSocket-Extensions: %s\r\n\r\n' % PMD_BOTH,
        'two Accepts': HEAD + 'Sec-WebSocket-Accept: KEY\r\n\r\n',
        'Upgraded': HEAD.replace('Connection: Upgrade', 'Connection: Upgraded') + '\r\n',
        'head of 18 KiB': HEAD + ('X-Long: ' + 'x' * 6000 + '\r\n') * 3 + '\r\n',
        'folded line': HEAD + 'X-Folded: a\r\n b\r\n\r\n',
        'end after the status line': 'HTTP/1.1 101 Switching Protocols\r\n',
        'garbage in the head': 'HTTP/1.1 101 Switching Protocols\r\n\x00\x01\r\n\r\n',
    }
    rows, conns = sessions(t, [raw_answer(a, bye=False) for a in answers.values()])
    for name, row, conn in zip(answers, rows, conns):
        equal((row[1], row[3], row[4]), ([], False, True), name)
        equal(conn.frames, [], name + ': frames after a failed handshake')
    equal(rows[0][2], 200)


def test_deflate_answers(t):
    """What the server may add to permessage-deflate, and what it may not (PMD-3 to PMD-8)."""
    def answers(parameters):
        def behave(conn):
            conn.accept(extensions='permessage-deflate' + parameters, tail=BYE)
            conn.record()
        return behave
    both = '; server_no_context_takeover; client_no_context_takeover'
    good = [both, '; client_no_context_takeover;server_no_context_takeover', both + '; server_max_window_bits=10',
            both + '; server_max_window_bits="10"']
    bad = ['', '; client_no_context_takeover'] + [both + more for more in (
        '; server_no_context_takeover', '; foo=1', '; server_max_window_bits=16', '; server_max_window_bits=7',
        '; server_max_window_bits=08', '; server_max_window_bits', '; client_max_window_bits=10', '=1')]
    rows, _ = sessions(t, [answers(p) for p in good + bad], params="{ compression: 'deflate' }")
    for parameters, row in zip(good + bad, rows):
        equal(row[3], parameters in good, 'answer %r' % parameters)
        equal(row[4], parameters in bad, 'error for %r' % parameters)


def test_deflate_frames(t):
    hello = bytes.fromhex('f248cdc9c90700')
    wires = {
        'whole': (encode(TEXT, hello, rsv=4), ['Hello']),
        'two frames': (encode(TEXT, hello[:3], fin=False, rsv=4) + encode(CONT, hello[3:]), ['Hello']),
        'stored block': (bytes.fromhex('c10b000500faff48656c6c6f00'), ['Hello']),
        'empty': (bytes.fromhex('c10100'), ['']),
        'plain between': (encode(TEXT, hello, rsv=4) + encode(TEXT, 'Hello') + encode(TEXT, hello, rsv=4),
                          ['Hello'] * 3),
        'final block': (bytes.fromhex('c108f348cdc9c9070000'), ['Hello']),
        'one MiB': (encode(TEXT, deflate('z' * 1048576), rsv=4), [['long', 1048576]]),
        'RSV1 on a ping': (encode(PING, b'', rsv=4), None),
        'RSV1 on a continuation': (encode(TEXT, hello[:3], fin=False, rsv=4) + encode(CONT, hello[3:], rsv=4), None),
        'garbage': (encode(TEXT, b'\xff\xff\xff\xff', rsv=4), None),
        'bad UTF-8': (encode(TEXT, deflate(b'\xc3\x28'), rsv=4), None),
    }

    def sends(wire):
        def behave(conn):
            conn.accept(extensions=PMD_BOTH, tail=wire + BYE)
            conn.record()
        return behave
    rows, conns = sessions(t, [sends(wire) for wire, _ in wires.values()], params="{ compression: 'deflate' }")
    for (name, (_, events)), row, conn in zip(wires.items(), rows, conns):
        if events is None:
            equal(row[1], ['websocket: close sent', 1001], name)
            check(conn.close_codes in ([1002], [1007]), '%s: Close frames: %r', name, conn.close_codes)
        else:
            equal(row[1], events + [1000], name)


def test_client_frames(t):
    """Every client frame is masked with a fresh key, lengths are minimal, sizes around the limits arrive (P57, P58)."""
    server = t.server(silent)
    t.run('''
export default function () {
  ws.connect('@WS@/', (s) => {
    for (const n of [0, 125, 126, 65535, 65536]) s.send('x'.repeat(n));
    for (let i = 0; i < 4000; i++) s.send('m' + i);
    s.setTimeout(() => s.close(), 200);
  });
}''')
    conn = server.conns[0]
    equal([len(m.payload) for m in conn.messages[:5]], [0, 125, 126, 65535, 65536])
    equal([m.text for m in conn.messages[5:]], ['m%d' % i for i in range(4000)])
    for f in conn.frames:
        n = len(f.payload)
        equal(f.wire_len, n + 6 + (0 if n < 126 else 2 if n < 65536 else 8), 'length of a frame of %d' % n)
    keys = [f.mask for f in conn.frames]
    check(None not in keys, 'an unmasked frame')
    check(len(keys) - len(set(keys)) < 3, 'repeated masking keys')
    for i in range(4):
        counts = [0] * 256
        for key in keys:
            counts[key[i]] += 1
        mean = len(keys) / 256
        chi = sum((c - mean) ** 2 / mean for c in counts)
        between(chi, 150, 400, 'chi-square of byte %d of the masking keys' % i)  # 255 degrees, far beyond p = 0.0001


def test_random_bytes(t):
    """Whatever follows the 101, the session ends and the run goes on."""
    def behave(conn):
        conn.accept(tail=os.urandom(300))
        conn.finish()
        conn.record()
    rows, _ = sessions(t, [behave] * 60)
    for row in rows:
        equal(row[2:], [101, True, False])
        check(row[1] and isinstance(row[1][-1], int), 'no close event: %r', row)
