# SPDX-License-Identifier: Apache-2.0
"""Section 6: UTF-8 in text messages (RFC 6455 8.1, RFC 3629), with failing at the first wrong byte.

first_bad() is written from table 3-7 of the Unicode standard and says at which byte a sequence is lost; the fail-fast
cases send up to that byte, nothing more, and want Close 1007.
"""
from peer import *

KOSME = 'κόσμε'.encode()


def first_bad(data):
    """Index of the first byte that no continuation can make valid; len(data) if it only ends too early; None if good."""
    low, high, more = 0x80, 0xbf, 0
    for i, b in enumerate(data):
        if more:
            if not low <= b <= high:
                return i
            low, high, more = 0x80, 0xbf, more - 1
        elif b < 0x80:
            continue
        elif 0xc2 <= b <= 0xdf:
            more = 1
        elif 0xe0 <= b <= 0xef:
            more, low, high = 2, 0xa0 if b == 0xe0 else 0x80, 0x9f if b == 0xed else 0xbf
        elif 0xf0 <= b <= 0xf4:
            more, low, high = 3, 0x90 if b == 0xf0 else 0x80, 0x8f if b == 0xf4 else 0xbf
        else:
            return i
    return len(data) if more else None


# name, title, [bytes as hex]: the sequences of the well-known UTF-8 stress test and of RFC 3629.
SEQUENCES = (
    ('6.5', 'valid', ['ce ba e1 bd b9 cf 83 ce bc ce b5', '68 c3 b6', 'e2 82 ac', 'f0 9f 98 80', '00']),
    ('6.6', 'prefixes', [KOSME[:n].hex() for n in range(1, len(KOSME) + 1)]),
    ('6.7', 'first of each length', ['00', 'c2 80', 'e0 a0 80', 'f0 90 80 80']),
    ('6.8', 'first of five and six bytes', ['f8 88 80 80 80', 'fc 84 80 80 80 80']),
    ('6.9', 'last of each length', ['7f', 'df bf', 'ef bf bf', 'f4 8f bf bf']),
    ('6.10', 'last of four, five and six bytes', ['f7 bf bf bf', 'fb bf bf bf bf', 'fd bf bf bf bf bf']),
    ('6.11', 'other boundaries', ['ed 9f bf', 'ee 80 80', 'ef bf bd', 'f4 8f bf bf', 'f4 90 80 80']),
    ('6.12', 'continuation bytes alone', ['80', 'bf', '80 bf', '80 bf 80', '80 bf 80 bf', '80 bf 80 bf 80',
                                          '80 bf 80 bf 80 bf', bytes(range(0x80, 0xc0)).hex()]),
    ('6.13', 'first bytes alone', [b''.join(bytes((b, 32)) for b in range(low, high)).hex() for low, high in
                                   ((0xc0, 0xe0), (0xe0, 0xf0), (0xf0, 0xf8), (0xf8, 0xfc), (0xfc, 0xfe))]),
    ('6.14', 'last byte missing', ['c0', 'e0 80', 'f0 80 80', 'f8 80 80 80', 'fc 80 80 80 80', 'df', 'ef bf',
                                   'f7 bf bf', 'fb bf bf bf', 'fd bf bf bf bf']),
    ('6.15', 'all of these joined', ['c0 e0 80 f0 80 80 f8 80 80 80 fc 80 80 80 80 df ef bf f7 bf bf fb bf bf bf fd bf '
                                     'bf bf bf']),
    ('6.16', 'impossible bytes', ['fe', 'ff', 'fe fe ff ff']),
    ('6.17', 'overlong slash', ['c0 af', 'e0 80 af', 'f0 80 80 af', 'f8 80 80 80 af', 'fc 80 80 80 80 af']),
    ('6.18', 'greatest overlong', ['c1 bf', 'e0 9f bf', 'f0 8f bf bf', 'f8 87 bf bf bf', 'fc 83 bf bf bf bf']),
    ('6.19', 'overlong NUL', ['c0 80', 'e0 80 80', 'f0 80 80 80', 'f8 80 80 80 80', 'fc 80 80 80 80 80']),
    ('6.20', 'surrogates', ['ed a0 80', 'ed ad bf', 'ed ae 80', 'ed af bf', 'ed b0 80', 'ed be 80', 'ed bf bf']),
    ('6.21', 'pairs of surrogates', ['ed a0 80 ed b0 80', 'ed a0 80 ed bf bf', 'ed ad bf ed b0 80', 'ed ad bf ed bf bf',
                                     'ed ae 80 ed b0 80', 'ed ae 80 ed bf bf', 'ed af bf ed b0 80',
                                     'ed af bf ed bf bf']),
    ('6.22', 'non-characters', ['ef bf be', 'ef bf bf'] + [
        (chr(plane << 16 | low)).encode().hex() for plane in range(1, 17) for low in (0xfffe, 0xffff)]),
    ('6.23', 'specials', ['ef bf b9', 'ef bf ba', 'ef bf bb', 'ef bf bc', 'ef bf bd', 'ef bf be', 'ef bf bf',
                          'ef bb bf', 'e2 80 8f', 'ef b7 90']),
    ('6.b', 'bytes that begin nothing', ['%02x 80 80 80' % b for b in (0xc0, 0xc1, *range(0xf5, 0x100))]),
    ('6.c', 'second bytes at and beyond the edge', [
        'c2 7f', 'c2 c0', 'df 7f', 'df c0', 'e0 9f 80', 'e0 c0 80', 'e1 7f 80', 'e1 c0 80', 'ec c0 80', 'ed 7f 80',
        'ed 9f 80', 'ed a0 80', 'ee 7f 80', 'ee 80 7f', 'ef c0 80', 'ef bf c0', 'f0 8f 80 80', 'f0 90 7f 80', 'f0 c0 80 80',
        'f1 7f 80 80', 'f1 80 80 7f', 'f1 80 80 c0', 'f3 c0 80 80', 'f4 7f 80 80', 'f4 8f 80 80', 'f4 90 80 80',
        'f4 80 c0 80']),
)


def listed():
    for major, title, items in SEQUENCES:
        for i, item in enumerate(items, 1):
            data = bytes.fromhex(item)
            bad = first_bad(data)
            name, label = '%s.%d' % (major, i), '%s: %s' % (title, item if len(item) < 40 else item[:36] + ' ...')
            if bad is None:
                yield Case(name, label, upgraded(tx(encode(TEXT, data)), echo(TEXT, data), bye()))
                if len(data) > 1 and major != '6.22':
                    yield Case(name + 'f', label + ', one byte per frame, pings between',
                               upgraded(tx(*[f + encode(PING) for f in fragments(TEXT, data, 1)]),
                                        *[pong()] * (len(data) - 1), echo(TEXT, data), pong(), bye()))
                continue
            yield Case(name, label, upgraded(tx(encode(TEXT, data)), fail(1007)))
            # In the middle of good text, and on the last byte that can still be good.
            long = b'x' * 100 + KOSME + data
            at = first_bad(long)
            if at < len(long):
                frame = encode(TEXT, long + b'y' * 1000)
                cut = len(frame) - len(long) - 1000 + at
                yield Case(name + 'f', label + ', fail at the first wrong byte of a frame',
                           upgraded(tx(frame[:cut]), quiet(), tx(frame[cut:cut + 1]), fail(1007)))
            else:
                yield Case(name + 'f', label + ', fail at FIN',
                           upgraded(tx(encode(TEXT, long, fin=False)), quiet(), tx(encode(CONT)), fail(1007)))


def fragments_of_text():
    good = 'Hello-µ@ßöäüàá-UTF-8!!'.encode()
    yield Case('6.1.1', 'empty', upgraded(tx(encode(TEXT)), echo(TEXT, b''), bye()))
    yield Case('6.1.2', 'three empty fragments', upgraded(
        tx(encode(TEXT, fin=False), encode(CONT, fin=False), encode(CONT)), echo(TEXT, b''), bye()))
    yield Case('6.1.3', 'empty fragments around one', upgraded(
        tx(encode(TEXT, fin=False), encode(CONT, b'middle frame payload', fin=False), encode(CONT)),
        echo(TEXT, b'middle frame payload'), bye()))
    yield Case('6.2.1', 'one frame', upgraded(tx(encode(TEXT, good)), echo(TEXT, good), bye()))
    yield Case('6.2.2', 'two frames, cut between code points', upgraded(
        tx(encode(TEXT, good[:7], fin=False), encode(CONT, good[7:])), echo(TEXT, good), bye()))
    yield Case('6.2.3', 'one byte per frame', upgraded(tx(*fragments(TEXT, good, 1)), echo(TEXT, good), bye()))
    yield Case('6.2.4', 'one byte per frame, five code points', upgraded(tx(*fragments(TEXT, KOSME, 1)),
               echo(TEXT, KOSME), bye()))
    bad = KOSME + b'\xed\xa0\x80' + b'edited'
    yield Case('6.3.1', 'a surrogate in one frame', upgraded(tx(encode(TEXT, bad)), fail(1007)))
    yield Case('6.3.2', 'the same one byte per frame', upgraded(tx(*fragments(TEXT, bad, 1)), fail(1007)))
    high = KOSME + b'\xf4\x90\x80\x80' + b'edited'
    at = first_bad(high)
    yield Case('6.4.1', 'bad second fragment, the third never sent', upgraded(
        tx(encode(TEXT, high[:at], fin=False), encode(PING, b'a')), pong(b'a'), quiet(),
        tx(encode(CONT, high[at:at + 3], fin=False)), fail(1007)))
    yield Case('6.4.2', 'the same, cut inside the code point', upgraded(
        tx(encode(TEXT, high[:at + 1], fin=False)), fail(1007)))
    frame = encode(TEXT, high)
    cut = len(frame) - len(high) + at
    yield Case('6.4.3', 'bad byte in an unfinished frame', upgraded(
        tx(frame[:cut]), quiet(), tx(frame[cut:cut + 3]), fail(1007)))
    yield Case('6.4.4', 'the same, only the bad byte', upgraded(tx(frame[:cut]), quiet(), tx(frame[cut:cut + 1]),
               fail(1007)))
    million = b'abcdefgh\xff' + b'x' * 1000000
    yield Case('6.4.a', 'a frame of 1 MB, bad byte 9, the rest withheld', upgraded(
        tx(encode(TEXT, million)[:10 + 9]), fail(1007)))
    for n in (16, 31, 32, 33, 63, 64, 65, 4095, 4096, 65535):
        data = b'x' * n + b'\xff'
        yield Case('6.4.b%d' % n, 'bad byte behind %d of ASCII' % n, upgraded(
            tx(encode(TEXT, data + b'y' * 70000)[:10 + n + 1]), fail(1007)))
        good = b'x' * n + KOSME
        yield Case('6.2.b%d' % n, 'two-byte characters behind %d of ASCII' % n, upgraded(
            tx(encode(TEXT, good)), echo(TEXT, good), bye()))
    # TX-3: a code point over fragments and pings.
    for text in ('é', '€', '\U0001f600'):
        data = text.encode()
        for at in range(1, len(data)):
            yield Case('6.2.c%d-%d' % (len(data), at), 'U+%04X cut after byte %d' % (ord(text), at), upgraded(
                tx(encode(TEXT, data[:at], fin=False)), tx(encode(PING, b'x')), pong(b'x'), tx(encode(CONT, data[at:])),
                echo(TEXT, data), bye()))
            yield Case('6.3.c%d-%d' % (len(data), at), 'U+%04X ends after byte %d' % (ord(text), at), upgraded(
                tx(encode(TEXT, data[:at], fin=False)), quiet(), tx(encode(CONT)), fail(1007)))
            yield Case('6.3.d%d-%d' % (len(data), at), 'U+%04X: ASCII behind byte %d' % (ord(text), at), upgraded(
                tx(encode(TEXT, data[:at], fin=False)), quiet(), tx(encode(CONT, b'a', fin=False)), fail(1007)))
    yield Case('6.3.e', 'an unfinished code point, then a new message', upgraded(
        tx(encode(TEXT, b'\xe2\x82'), encode(TEXT, b'\xac')), fail(1007)))
    for op, title in ((BINARY, 'binary'), (PING, 'ping')):
        yield Case('6.a.' + title, 'bytes that are not UTF-8 in a ' + title, upgraded(
            tx(encode(op, b'\xff\xfe\xed\xa0\x80')), (pong if op == PING else lambda d: echo(BINARY, d))(
                b'\xff\xfe\xed\xa0\x80'), bye()))


def cases():
    yield from fragments_of_text()
    yield from listed()
