# SPDX-License-Identifier: Apache-2.0
"""Sections 1 to 5, 7 and 10: framing, pings, reserved bits, opcodes, fragmentation, closing (RFC 6455 5 and 7).

Names with a number follow the well-known order of such cases; names with a letter are ours. Cuts (FR-1, FR-14) are
section C, what the client does by itself (FW, CL-1, CL-4) is section W.
"""
from peer import *

HELLO = b'Hello, world!'
ODD = bytes((0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff))
STAR = {TEXT: b'*', BINARY: b'\xfe'}
KIND = {TEXT: 'text', BINARY: 'binary', CONT: 'continuation', CLOSE: 'close', PING: 'ping', PONG: 'pong'}
LENGTHS = (0, 125, 126, 127, 128, 65535, 65536)
OK = tx(encode(TEXT, b'ok'))
ECHO_OK = echo(TEXT, b'ok')


def framing():
    for major, op in ((1, TEXT), (2, BINARY)):
        for minor, n in enumerate(LENGTHS, 1):
            data = STAR[op] * n
            yield Case('1.%d.%d' % (major, minor), '%s of %d bytes' % (KIND[op], n),
                       upgraded(tx(encode(op, data)), echo(op, data), bye()))
        data = STAR[op] * 65536
        yield Case('1.%d.8' % major, '%s of 65536 bytes in pieces of 997' % KIND[op],
                   upgraded(chop(encode(op, data), 997), echo(op, data), bye()))
        for letter, n in zip('abcde', (1, 124, 4095, 65534, 65537)):
            data = STAR[op] * n
            yield Case('1.%d.%s' % (major, letter), '%s of %d bytes' % (KIND[op], n),
                       upgraded(tx(encode(op, data)), echo(op, data), bye()))
    # 5.2: the minimal number of bytes must be used, and the top bit be 0.
    for name, head, payload in (
            ('16 bits for 5', '82 7e 00 05', b'Hello'), ('16 bits for 0', '82 7e 00 00', b''),
            ('16 bits for 125', '82 7e 00 7d', b'x' * 125), ('64 bits for 5', '82 7f 00 00 00 00 00 00 00 05', b'Hello'),
            ('64 bits for 126', '82 7f 00 00 00 00 00 00 00 7e', b'x' * 126),
            ('64 bits for 65535', '82 7f 00 00 00 00 00 00 ff ff', b'x' * 65535),
            ('2^63 bytes', '82 7f 80 00 00 00 00 00 00 00', b''), ('2^64-1 bytes', '81 7f ff ff ff ff ff ff ff ff', b''),
            ('16 bits for 5, text', '81 7e 00 05', b'Hello'),
            ('16 bits for 0, continuation', '01 01 61 80 7e 00 00', b'')):
        yield Case('1.3.' + name.replace(' ', '-').replace(',', ''), 'length in ' + name,
                   upgraded(tx(raw(head, payload)), fail(1002)))
    # 5.1: a client must fail a masked frame.
    for op, head in (('text', '81 85 37 fa 21 3d 7f 9f 4d 51 58'), ('empty-text', '81 80 00 00 00 00'),
                     ('binary', '82 81 00 00 00 00 61'), ('ping', '89 80 01 02 03 04'), ('pong', '8a 80 01 02 03 04'),
                     ('close', '88 82 00 00 00 00 03 e8'), ('head-only', '81 85')):
        yield Case('1.4.' + op, 'masked by the server: ' + op, upgraded(tx(raw(head)), fail(1002)))
    yield Case('1.4.continuation', 'masked continuation', upgraded(tx(raw('01 01 61 80 81 00 00 00 00 62')), fail(1002)))


def pings():
    def case(name, title, *steps):
        return Case('2.' + name, title, upgraded(*steps))
    yield case('1', 'without payload', tx(encode(PING)), pong(), bye())
    yield case('2', 'with text', tx(encode(PING, HELLO)), pong(HELLO), bye())
    yield case('3', 'with bytes that are not UTF-8', tx(encode(PING, ODD)), pong(ODD), bye())
    yield case('4', '125 bytes', tx(encode(PING, b'\xfe' * 125)), pong(b'\xfe' * 125), bye())
    yield case('5', '126 bytes', tx(encode(PING, b'\xfe' * 126)), fail(1002))
    yield case('6', '125 bytes, byte by byte', chop(encode(PING, b'\xfe' * 125)), pong(b'\xfe' * 125), bye())
    yield case('7', 'unsolicited pong without payload', tx(encode(PONG)), quiet(), bye())
    yield case('8', 'unsolicited pong with payload', tx(encode(PONG, HELLO)), quiet(), bye())
    yield case('9', 'unsolicited pong, then ping', tx(encode(PONG, HELLO), encode(PING, b'ping payload')),
               pong(b'ping payload'), bye())
    ten = [b'payload-%d' % i for i in range(10)]
    yield case('10', 'ten pings at once', tx(*[encode(PING, p) for p in ten]), *[pong(p) for p in ten], bye())
    yield case('11', 'ten pings, byte by byte', chop(b''.join(encode(PING, p) for p in ten)), *[pong(p) for p in ten],
               bye())
    yield case('a', '126 bytes, head only', tx(raw('89 7e')), fail(1002))
    yield case('b', 'pong of 126 bytes', tx(encode(PONG, b'\xfe' * 126)), fail(1002))
    yield case('c', 'ping with a length in 64 bits', tx(raw('89 7f 00 00 00 00 00 01 00 00')), fail(1002))
    yield case('d', 'each length 0 to 125', tx(*[encode(PING, b'p' * n) for n in range(16)]),
               *[pong(b'p' * n) for n in range(16)], tx(*[encode(PING, b'p' * n) for n in range(110, 126)]),
               *[pong(b'p' * n) for n in range(110, 126)], bye())
    yield case('e', 'message, ping, message', tx(encode(TEXT, b'one'), encode(PING, b'p'), encode(TEXT, b'two')),
               echo(TEXT, b'one'), pong(b'p'), echo(TEXT, b'two'), bye())
    numbers = b''.join(encode(PING, b'%d' % i) for i in range(20000))
    yield case('f', '20000 pings without reading: newest answered', ('patient',), tx(numbers), ('pongs_to', 20000), OK,
               ECHO_OK, bye())


def reserved():
    def case(name, title, *steps):
        return Case('3.' + name, title, upgraded(*steps))
    text, ping = encode(TEXT, HELLO), encode(PING)
    bad = [encode(TEXT, HELLO, rsv=r) for r in range(8)]
    yield case('1', 'small text, RSV3', tx(bad[1]), fail(1002))
    yield case('2', 'text, then text with RSV2, then ping', tx(text, bad[2], ping), echo(TEXT, HELLO), fail(1002))
    yield case('3', 'the same frame by frame', tx(text), echo(TEXT, HELLO), tx(bad[3]), fail(1002))
    yield case('4', 'the same byte by byte', chop(text + bad[4] + ping), echo(TEXT, HELLO), fail(1002))
    yield case('5', 'binary, RSV1 and RSV3', tx(encode(BINARY, ODD, rsv=5)), fail(1002))
    yield case('6', 'ping, RSV1 and RSV2', tx(encode(PING, HELLO, rsv=6)), fail(1002))
    yield case('7', 'close, all three', tx(encode(CLOSE, b'', rsv=7)), fail(1002))
    for op in (TEXT, BINARY, CLOSE, PING, PONG):
        for rsv in range(1, 8):
            yield case('%s.%d' % (KIND[op], rsv), 'RSV %s on %s, no payload yet' % (format(rsv, '03b'), KIND[op]),
                       tx(bytes((0x80 | rsv << 4 | op, 5))), fail(1002))
    for rsv in range(1, 8):
        yield case('continuation.%d' % rsv, 'RSV %s on a continuation' % format(rsv, '03b'),
                   tx(encode(TEXT, b'a', fin=False), encode(CONT, b'b', rsv=rsv)), fail(1002))


def opcodes():
    def case(name, title, *steps):
        return Case('4.' + name, title, upgraded(*steps))
    text, ping = encode(TEXT, HELLO), encode(PING)
    for major, codes in ((1, range(3, 8)), (2, range(11, 16))):
        for minor, op in enumerate(codes, 1):
            name = '%d.%d' % (major, minor)
            frame = (encode(op), encode(op, b'reserved opcode payload'))
            yield case(name, 'opcode %d' % op, (
                tx(frame[0]), tx(frame[1]), tx(text, frame[0], ping), tx(text, frame[1], ping),
                chop(text + frame[1] + ping))[minor - 1], *[echo(TEXT, HELLO)][:minor > 2], fail(1002))
            yield case(name + 'a', 'opcode %d, nothing but the first two bytes' % op, tx(raw('%02x 05' % (0x80 | op))),
                       fail(1002))
            yield case(name + 'b', 'opcode %d announcing 2^62 bytes' % op,
                       tx(raw('%02x 7f 40 00 00 00 00 00 00 00' % (0x80 | op))), fail(1002))
            yield case(name + 'c', 'opcode %d, not final' % op, tx(raw('%02x 00' % op)), fail(1002))
            yield case(name + 'd', 'opcode %d between fragments' % op,
                       tx(encode(TEXT, b'a', fin=False), encode(op, b'x'), encode(CONT, b'b')), fail(1002))


def fragmentation():
    def case(name, title, *steps):
        return Case('5.' + name, title, upgraded(*steps))
    one, two = encode(TEXT, b'fragment1', fin=False), encode(CONT, b'fragment2')
    both, ping = b'fragment1fragment2', encode(PING, b'ping payload')
    whole = [echo(TEXT, both), bye()]
    yield case('1', 'ping in two fragments', tx(encode(PING, b'fragment1', fin=False), two), fail(1002))
    yield case('2', 'pong in two fragments', tx(encode(PONG, b'fragment1', fin=False), two), fail(1002))
    yield case('3', 'text in two fragments', tx(one, two), *whole)
    yield case('4', 'frame by frame', tx(one), quiet(), tx(two), *whole)
    yield case('5', 'byte by byte', chop(one + two), *whole)
    yield case('6', 'ping between', tx(one, ping, two), pong(b'ping payload'), *whole)
    yield case('7', 'ping between, frame by frame', tx(one), tx(ping), pong(b'ping payload'), tx(two), *whole)
    yield case('8', 'ping between, byte by byte', chop(one + ping + two), pong(b'ping payload'), *whole)
    lone, open_lone = encode(CONT, b'non-continuation payload'), encode(CONT, b'non-continuation payload', fin=False)
    text = encode(TEXT, HELLO)
    yield case('9', 'continuation with nothing to continue', tx(lone, text), fail(1002))
    yield case('10', 'the same frame by frame', tx(lone), fail(1002))
    yield case('11', 'the same byte by byte', chop(lone + text), fail(1002))
    yield case('12', 'unfinished continuation with nothing to continue', tx(open_lone, text), fail(1002))
    yield case('13', 'the same frame by frame', tx(open_lone), fail(1002))
    yield case('14', 'the same byte by byte', chop(open_lone + text), fail(1002))
    yield case('15', 'two fragments, then a continuation, then text', tx(one, two, open_lone, text), echo(TEXT, both),
               fail(1002))
    yield case('16', 'continuations around a message', tx(open_lone, text, lone), fail(1002))
    yield case('17', 'finished continuation, text, continuation', tx(lone, text, lone), fail(1002))
    yield case('18', 'new text inside a fragmented one', tx(one, encode(TEXT, b'fragment2')), fail(1002))
    five = [encode(TEXT, b'fragment1', fin=False)] + [encode(CONT, b'fragment%d' % i, fin=i == 5) for i in range(2, 6)]
    pings, all5 = [encode(PING, b'pongme %d!' % i) for i in (1, 2)], b''.join(b'fragment%d' % i for i in range(1, 6))
    yield case('19', 'five fragments, pings between, pauses', tx(*five[:2], pings[0]), pong(b'pongme 1!'), quiet(0.5),
               tx(*five[2:4], pings[1]), pong(b'pongme 2!'), quiet(0.1), tx(five[4]), echo(TEXT, all5), bye())
    yield case('20', 'five fragments, pings between, each frame alone', tx(five[0]), tx(five[1]), tx(pings[0]),
               pong(b'pongme 1!'), tx(five[2]), tx(five[3]), tx(pings[1]), pong(b'pongme 2!'), tx(five[4]),
               echo(TEXT, all5), bye())
    yield case('a', 'binary inside a fragmented text', tx(one, encode(BINARY, b'x')), fail(1002))
    yield case('b', 'binary inside a fragmented binary, not final',
               tx(encode(BINARY, b'x', fin=False), encode(BINARY, b'x', fin=False)), fail(1002))
    yield case('c', 'the head of a new text inside a fragmented one', tx(one, raw('81 7f')), fail(1002))
    yield case('d', 'all fragments empty', tx(encode(TEXT, fin=False), encode(CONT, fin=False), encode(CONT)),
               echo(TEXT, b''), bye())
    yield case('e', 'empty fragments around', tx(encode(BINARY, fin=False), encode(CONT, ODD, fin=False), encode(CONT)),
               echo(BINARY, ODD), bye())
    for letter, n in (('f', 2), ('g', 100), ('h', 1000)):
        data = bytes(i & 255 for i in range(n))
        yield case(letter, '%d fragments of one byte' % n, tx(*fragments(BINARY, data, 1)), echo(BINARY, data), bye())
    yield case('i', '100000 empty fragments', ('patient',),
               tx(encode(TEXT, b'a', fin=False), encode(CONT, fin=False) * 100000, encode(CONT, b'z')),
               echo(TEXT, b'az'), bye())
    yield case('j', 'pong between fragments', tx(one, encode(PONG, b'x'), two), *whole)
    yield case('k', 'close between fragments', tx(one), bye())
    yield case('l', 'ping with FIN clear, head only', tx(raw('09 00')), fail(1002))
    yield case('m', 'close with FIN clear', tx(raw('08 02 03 e8')), fail(1002))
    yield case('n', 'message after a fragmented one', tx(one, two, text), echo(TEXT, both), echo(TEXT, HELLO), bye())
    yield case('o', 'second continuation after the end', tx(one, two, encode(CONT, b'x')), echo(TEXT, both), fail(1002))
    for letter, n in (('p', 125), ('q', 126), ('r', 65536)):
        data = b'f' * n
        yield case(letter, 'three fragments of %d bytes' % n, tx(encode(TEXT, data, fin=False),
                   encode(CONT, data, fin=False), encode(CONT, data)), echo(TEXT, data * 3), bye())
    yield case('s', 'a ping behind every fragment', tx(*[f + encode(PING, b'%d' % i) for i, f in
               enumerate(fragments(TEXT, b'0123456789', 1))]), *[pong(b'%d' % i) for i in range(9)],
               echo(TEXT, b'0123456789'), pong(b'9'), bye())


VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
MORE_INVALID = (1, 42, 255, 256, 500, 1015, 1017, 1500, 2998, 5001, 32768, 65534, 65535)


def closing():
    def case(name, title, *steps):
        return Case('7.' + name, title, upgraded(*steps))
    text, close = encode(TEXT, HELLO), encode(CLOSE, close_payload(1000))
    yield case('1.1', 'message, then Close', tx(text), echo(TEXT, HELLO), bye())
    yield case('1.2', 'two Close frames', bye(behind=close))
    yield case('1.3', 'ping behind Close', bye(behind=encode(PING)))
    yield case('1.4', 'text behind Close', bye(behind=text))
    yield case('1.5', 'Close inside a fragmented message', tx(encode(TEXT, b'fragment1', fin=False)),
               bye(behind=encode(CONT, b'fragment2')))
    big = b'BAsd7&jh23' * 26215
    yield case('1.6', '256 KiB of text, Close, ping', ('patient',), tx(encode(TEXT, big), close, encode(PING)),
               ('maybe_message', TEXT, big), ('closing', 1000), ('fin',), ('gone',), ('any_script',))
    yield case('1.a', 'garbage behind Close', bye(behind=b'\xff' * 100))
    yield case('1.b', 'Close at once behind the 101', bye())
    yield case('1.c', 'the client lets the server end TCP first', bye(linger=0.4))
    yield case('1.d', 'the client does not wait for ever', tx(close), ('closing', 1000), ('gone_after', 0.7, 1.7),
               ('any_script',))
    yield case('1.e', 'three messages and Close in one write', tx(text * 3), echo(TEXT, HELLO), echo(TEXT, HELLO),
               echo(TEXT, HELLO), bye())
    yield case('3.1', 'Close without payload', bye(None))
    yield case('3.2', 'Close with one byte', tx(encode(CLOSE, b'\x03')), fail(1002))
    yield case('3.3', 'Close with a code', bye(1000))
    yield case('3.4', 'Close with a code and a reason', bye(1000, HELLO))
    yield case('3.5', 'Close with a reason of 123 bytes', bye(1000, b'*' * 123))
    yield case('3.6', 'Close with a reason of 124 bytes', tx(encode(CLOSE, close_payload(1000, b'*' * 124))), fail(1002))
    yield case('3.a', 'Close byte by byte', chop(encode(CLOSE, close_payload(4000, b'bye!'))), ('closing', 4000),
               ('any_script',), ('fin',), ('gone',))
    yield case('3.b', 'reason in UTF-8', bye(3001, 'κόσμε \U0001f600'.encode()))
    for letter, n in enumerate((b'\x00', b'\xff', b'\x88'), 1):
        yield case('3.c%d' % letter, 'Close with the one byte %02x' % n[0], tx(encode(CLOSE, n)), fail(1002))
    for name, reason in (('1', b'\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64'),
                         ('a', b'\xc3\x28'), ('b', b'\xff'), ('c', b'bye\xe2\x82'), ('d', b'\xc0\xaf'),
                         ('e', b'\xf4\x90\x80\x80'), ('f', b'*' * 122 + b'\xe2')):
        yield case('5.' + name, 'reason that is not UTF-8: %s' % reason[-4:].hex(' '),
                   tx(encode(CLOSE, close_payload(1000, reason))), fail(1007))
    for i, code in enumerate(VALID_CODES, 1):
        yield case('7.%d' % i, 'code %d' % code, bye(code))
        yield case('7.%da' % i, 'code %d with a reason' % code, bye(code, b'why not'))
    for i, code in enumerate(INVALID_CODES, 1):
        yield case('9.%d' % i, 'code %d' % code, tx(encode(CLOSE, close_payload(code))), fail(1002))
        yield case('9.%da' % i, 'code %d with a reason' % code, tx(encode(CLOSE, close_payload(code, b'x'))), fail(1002))
    yield case('13.1', 'code 5000', tx(encode(CLOSE, close_payload(5000))), fail(1002))
    yield case('13.2', 'code 65535', tx(encode(CLOSE, close_payload(65535))), fail(1002))
    for code in MORE_INVALID:
        yield case('9.x%d' % code, 'code %d' % code, tx(encode(CLOSE, close_payload(code))), fail(1002))


def misc():
    data = b'*' * 65536
    yield Case('10.1.1', '65536 bytes in fragments of 1300', upgraded(tx(*fragments(TEXT, data, 1300)),
               echo(TEXT, data), bye()))
    mixed = [(TEXT, b'a'), (BINARY, ODD), (TEXT, b''), (BINARY, b''), (TEXT, 'κόσμε'.encode()), (BINARY, b'\xff' * 300)]
    yield Case('10.a', 'text and binary in turn', upgraded(tx(*[encode(o, d) for o, d in mixed]),
               *[echo(o, d) for o, d in mixed], bye()))
    many = [b'%d' % i for i in range(2000)]
    yield Case('10.b', '2000 small messages in one write', upgraded(('patient',), tx(*[encode(TEXT, m) for m in many]),
               *[echo(TEXT, m) for m in many], bye()))


def cuts():
    """FR-1: the verdict depends on the bytes, not on where a read ends. FR-14: a stream may end anywhere."""
    stream = (encode(TEXT, b'hi') + encode(PING, b'p') + encode(TEXT, 'κ'.encode()[:1], fin=False) +
              encode(CONT, 'κ'.encode()[1:]) + encode(BINARY, b'x' * 126))
    answers = [echo(TEXT, b'hi'), pong(b'p'), echo(TEXT, 'κ'.encode()), echo(BINARY, b'x' * 126)]
    for at in list(range(1, 22)) + [50, len(stream) - 1]:
        yield Case('C.1.%02d' % at, 'good stream cut at byte %d' % at,
                   upgraded(tx(stream[:at]), ('wait', 0.01), tx(stream[at:]), *answers, bye()))
    yield Case('C.1.all', 'good stream byte by byte', upgraded(chop(stream, 1, 0.0005), *answers, bye()))
    big = encode(BINARY, b'y' * 65536)
    for at in range(1, 11):
        yield Case('C.2.%02d' % at, 'frame of 65536 bytes cut at byte %d of its head' % at,
                   upgraded(tx(big[:at]), ('wait', 0.01), tx(big[at:]), echo(BINARY, b'y' * 65536), bye()))
    bad = (('masked', '81 85 37 fa 21 3d 7f'), ('non-minimal', '82 7e 00 05 48'), ('bad-close', '88 02 03 ec'),
           ('2-63', '82 7f 80 00 00 00 00 00 00 00'), ('bad-utf8', '81 03 c3 28'))
    for name, wire in bad:
        data = raw(wire)
        for at in range(1, len(data)):
            yield Case('C.3.%s.%d' % (name, at), 'bad stream %s cut at byte %d' % (name, at),
                       upgraded(tx(data[:at]), ('wait', 0.01), tx(data[at:]), fail(1007 if name == 'bad-utf8' else 1002)))
    three = encode(TEXT, b'hi') + raw('82 7e 00 80', b'z' * 128) + encode(TEXT, b'end')
    for at in (0, 1, 2, 3):
        yield Case('C.4.%03d' % at, 'end of the stream after %d bytes' % at, upgraded(tx(three[:at]), ('lost', 0)))
    for at in (4, 5, 6, 7, 8, 20, 135):
        yield Case('C.4.%03d' % at, 'end of the stream after %d bytes' % at,
                   upgraded(tx(three[:at]), echo(TEXT, b'hi'), ('lost', 1)))
    for at in (136, 137, 138, 140):
        yield Case('C.4.%03d' % at, 'end of the stream after %d bytes' % at,
                   upgraded(tx(three[:at]), echo(TEXT, b'hi'), echo(BINARY, b'z' * 128), ('lost', 2)))
    yield Case('C.4.fragment', 'end of the stream between fragments',
               upgraded(tx(encode(TEXT, b'a', fin=False)), ('lost', 0)))
    yield Case('C.4.huge', 'end of the stream in a frame of 2^62 bytes',
               upgraded(tx(raw('82 7f 40 00 00 00 00 00 00 00', b'x' * 10)), quiet(0.1), ('lost', 0)))
    yield Case('C.5', 'reset', upgraded(tx(encode(TEXT, b'hi')), echo(TEXT, b'hi'), ('reset',)))


def pattern(n):
    return (b'abcdefghij' * (n // 10 + 1))[:n]


def client():
    """What the client does of its own accord."""
    for n in (0, 1, 124, 125, 126, 127, 65535, 65536, 65537, 1048576):
        yield Case('W.1.%d' % n, 'the client sends text of %d bytes' % n,
                   upgraded(('message', TEXT, pattern(n), False), bye()), {'act': [['fillText', n]]})
        data = bytes(i * 7 & 255 for i in range(n))
        yield Case('W.2.%d' % n, 'the client sends binary of %d bytes' % n,
                   upgraded(('message', BINARY, data, False), bye()), {'act': [['fillBinary', n]]})
    # FW-5: lone surrogates leave as U+FFFD.
    for name, text, want in (('high', 'a\ud800b', 'a\ufffdb'), ('low', 'a\udc00b', 'a\ufffdb'),
                             ('high-at-end', 'a\udbff', 'a\ufffd'), ('low-at-start', '\udfffz', '\ufffdz'),
                             ('swapped', '\udc00\ud800', '\ufffd\ufffd'), ('pair', '\U0001f600', '\U0001f600'),
                             ('two-high', '\ud800\ud800\udc00', '\ufffd\U00010000'), ('nul', 'a\0b', 'a\0b'),
                             ('bom', '\ufeffx', '\ufeffx'), ('max', '\U0010ffff', '\U0010ffff')):
        yield Case('W.3.' + name, 'text with ' + name, upgraded(('message', TEXT, want.encode(), False), bye()),
                   {'act': [['text', text]]})
    for code in (1000, 3000, 3999, 4000, 4999):
        yield Case('W.4.%d' % code, 'the client closes with %d' % code, upgraded(
            ('closing', code), tx(encode(CLOSE, close_payload(code))), ('fin',), ('gone',), ('any_script',)),
            {'act': [['close', code]]})
    mine = {'act': [['close', 1000]]}
    bye_frame = encode(CLOSE, close_payload(1000))
    yield Case('W.5.data', 'five texts behind the client\'s Close', upgraded(
        ('closing', 1000), tx(encode(TEXT, b'late') * 5, bye_frame), ('fin',), ('gone',), ('any_script',),
        ('delivered', 0)), mine)
    yield Case('W.5.ping', 'no pong behind the client\'s Close', upgraded(
        ('closing', 1000), tx(encode(PING, b'late')), quiet(0.1), tx(bye_frame), ('fin',), ('gone',), ('any_script',)),
        mine)
    yield Case('W.5.other', 'the answer carries another code', upgraded(
        ('closing', 1000), tx(encode(CLOSE, close_payload(4001, b'x'))), ('fin',), ('gone',), ('any_script',)), mine)
    yield Case('W.5.crossing', 'Close frames cross', upgraded(
        tx(bye_frame), ('closing', 1000), quiet(0.1), ('fin',), ('gone',), ('any_script',)), mine)
    yield Case('W.5.fin', 'end of the stream instead of an answer', upgraded(
        ('closing', 1000), ('fin',), ('gone',), ('any_script',)), mine)
    yield Case('W.5.garbage', 'garbage instead of an answer', upgraded(
        ('closing', 1000), tx(b'\xff' * 64), ('gone',), ('any_script',)), mine)
    yield Case('W.5.linger', 'the client lets the server end TCP first', upgraded(
        ('closing', 1000), tx(bye_frame), quiet(0.4), ('fin',), ('gone',), ('any_script',)), mine)
    yield Case('W.5.silent', 'k6/ws: no answer, the client gives up after a second', upgraded(
        ('closing', 1000), ('gone_after', 0.7, 2.5), ('any_script',)), mine, apis=('ws',))
    yield Case('W.5.silent', 'no answer, the client gives up after closeTimeout', upgraded(
        ('closing', 1000), ('gone_after', 9.0, 12.5), ('any_script',)), mine, apis=('websockets',))
    yield Case('W.6.ping', 'the client pings', upgraded(('ping',), bye()), {'act': [['ping']]})
    yield Case('W.6.data', 'a data frame crosses the ping', upgraded(tx(encode(TEXT, b'x')), ('ping',),
               echo(TEXT, b'x'), bye()), {'act': [['ping']]})
    yield Case('W.7', '20000 small messages', upgraded(
        ('patient',), *[('message', TEXT, b'tick', False)] * 20000, bye()), {'act': [['burst', 20000]]})


def cases():
    for section in (framing, pings, reserved, opcodes, fragmentation, closing, misc, cuts, client):
        yield from section()
