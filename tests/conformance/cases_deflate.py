# SPDX-License-Identifier: Apache-2.0
"""Sections 12 and 13: permessage-deflate (RFC 7692). The server inflates with exactly the window and the context that
were agreed on, so a client that reaches farther is found out."""
import random
import zlib

from peer import *

BOTH = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
NO_CONTEXT = {'server_nct': True, 'client_nct': True}
# Per case of sections 12 and 13.1 to 13.7: bytes of messages, and messages. The well-known list has 1000 of each size.
LIMITS = {'bytes': 1 << 20, 'messages': 100}
SIZES = ((16, 0), (64, 0), (256, 0), (1024, 0), (4096, 0), (8192, 0), (16384, 0), (32768, 0), (65536, 0), (131072, 0),
         (8192, 256), (16384, 256), (32768, 256), (65536, 256), (131072, 256), (131072, 1024), (131072, 4096),
         (131072, 32768))


# --- what is sent: five kinds of data, from a seed

def words(rng, alphabet, count):
    return [''.join(rng.choice(alphabet) for _ in range(rng.randint(1, 9))) for _ in range(count)]


def json_text(rng):
    return ''.join('{"id": %d, "user": "user-%d", "price": %.2f, "tags": ["α", "β"], "ok": %s}\n' % (
        i, rng.randint(1, 99), rng.random() * 1000, rng.choice(('true', 'false'))) for i in range(4000))


def prose(rng):
    vocabulary = words(rng, 'aeiounrstldhgfäöüß', 700)
    return ' '.join(rng.choice(vocabulary) for _ in range(50000))


def markup(rng):
    vocabulary = words(rng, 'あいうえおかきくけこ漢字日本語', 300)
    return ''.join('<li class="row-%d"><a href="/p/%d">%s</a></li>\n' % (
        i % 7, rng.randint(1, 9999), rng.choice(vocabulary)) for i in range(4000))


def picture(rng):
    return bytes((x * y >> 4 & 0xf8) + rng.randint(0, 3) for y in range(512) for x in range(512))


def noise(rng):
    return rng.randbytes(300000)


DATA = ((TEXT, 'JSON', json_text), (BINARY, 'picture', picture), (TEXT, 'prose', prose), (TEXT, 'markup', markup),
        (BINARY, 'noise', noise))
_made = {}


def data(which):
    if which not in _made:
        got = DATA[which][2](random.Random(which))
        _made[which] = got.encode() if isinstance(got, str) else got
    return _made[which]


def piece(which, n, i):
    """The i-th message of n bytes; text ends on a code point."""
    source = data(which)
    at = i * n % (len(source) - n)
    out = source[at:at + n]
    if DATA[which][0] == BINARY:
        return out
    text = out.decode('utf-8', 'ignore')
    return (text + '.' * (n - len(text.encode()))).encode()


def agreed(answer, params):
    return [('head', HEAD + b'Sec-WebSocket-Extensions: ' + answer.encode() + b'\r\n\r\n'), ('agreed', params)]


def volume(which, size, fragment, answer, params):
    op, count = DATA[which][0], max(4, min(LIMITS['messages'], LIMITS['bytes'] // size))
    steps = [('patient',), *agreed(answer, params)]
    for i in range(count):
        message = piece(which, size, i)
        steps += [('deflated', op, message, fragment), echo(op, message)]
    return steps + [bye()]


def offer(compression):
    """The header that the client must send for the object form."""
    out = 'permessage-deflate'
    for key, name in (('serverNoContextTakeover', 'server_no_context_takeover'),
                      ('clientNoContextTakeover', 'client_no_context_takeover'),
                      ('serverMaxWindowBits', 'server_max_window_bits'),
                      ('clientMaxWindowBits', 'client_max_window_bits')):
        value = compression.get(key)
        if value is True:
            out += '; ' + name
        elif value:
            out += '; %s=%d' % (name, value)
    return out


# The parameter sets of section 13: compression parameter, answer, what is in force.
SETS = (
    ({}, 'permessage-deflate', {}),
    ({'serverNoContextTakeover': True}, 'permessage-deflate; server_no_context_takeover', {'server_nct': True}),
    ({'serverMaxWindowBits': 9}, 'permessage-deflate; server_max_window_bits=9', {'server_bits': 9}),
    ({'serverMaxWindowBits': 15}, 'permessage-deflate; server_max_window_bits=15', {}),
    ({'serverNoContextTakeover': True, 'serverMaxWindowBits': 9},
     'permessage-deflate; server_no_context_takeover; server_max_window_bits=9', {'server_nct': True, 'server_bits': 9}),
    ({'serverNoContextTakeover': True, 'serverMaxWindowBits': 15},
     'permessage-deflate; server_no_context_takeover; server_max_window_bits=15', {'server_nct': True}),
    ({'clientMaxWindowBits': True, 'clientNoContextTakeover': True},
     'permessage-deflate; client_no_context_takeover; client_max_window_bits=9', {'client_nct': True, 'client_bits': 9}),
)


def volumes():
    for which, (op, kind, _) in enumerate(DATA):
        for minor, (size, fragment) in enumerate(SIZES, 1):
            yield Case('12.%d.%d' % (which + 1, minor), '%s, %d bytes%s' % (
                kind, size, ' in fragments of %d' % fragment if fragment else ''),
                lambda w=which, s=size, f=fragment: volume(w, s, f, BOTH, NO_CONTEXT), compression='deflate', heavy=True)
    for major, (compression, answer, params) in enumerate(SETS, 1):
        for minor, (size, fragment) in enumerate(SIZES, 1):
            yield Case('13.%d.%d' % (major, minor), '%s, %d bytes%s' % (
                answer.replace('permessage-deflate', '').strip('; ') or 'context takeover both ways', size,
                ' in fragments of %d' % fragment if fragment else ''),
                lambda a=answer, p=params, s=size, f=fragment, c=compression: [('offer', offer(c))] + volume(0, s, f, a, p),
                compression=compression, heavy=True)


# --- every set of parameters

def grid():
    small = b'{"event": "tick", "symbol": "SQLL", "price": 12345.678, "volume": 1000, "side": "buy", "venue": "XTST"}'
    for server_nct in (False, True):
        for client_nct in (False, True):
            for server_bits in (None, 8, 9, 12, 15):
                for client_bits in (None, True, 9, 12, 15):
                    compression, answer, params = {}, 'permessage-deflate', {}
                    if server_nct:
                        compression['serverNoContextTakeover'], params['server_nct'] = True, True
                        answer += '; server_no_context_takeover'
                    if client_nct:
                        compression['clientNoContextTakeover'], params['client_nct'] = True, True
                        answer += '; client_no_context_takeover'
                    if server_bits:
                        compression['serverMaxWindowBits'], params['server_bits'] = server_bits, server_bits
                        answer += '; server_max_window_bits=%d' % server_bits
                    if client_bits:
                        compression['clientMaxWindowBits'] = client_bits
                        params['client_bits'] = 10 if client_bits is True else client_bits
                        answer += '; client_max_window_bits=%d' % params['client_bits']
                    name = '13.set.%s%s-s%s-c%s' % ('S' if server_nct else '-', 'C' if client_nct else '-',
                                                    server_bits or '', 'open' if client_bits is True else client_bits or '')
                    yield Case(name, 'parameters: ' + answer[18:].strip('; '),
                               lambda c=compression, a=answer, p=params: exercise(small, c, a, p), compression=compression)


def exercise(small, compression, answer, params):
    """Small messages twice, big ones that reach far back, fragments, empty and plain ones between."""
    text, binary = piece(0, 20000, 0), piece(1, 70000, 1)
    steps = [('offer', offer(compression)), *agreed(answer, params)]
    for i in range(2):
        steps += [('deflated', TEXT, small, 0), ('message_deflated', TEXT, small, True)]
    if not params.get('client_nct'):
        steps += [('wire_at_most', len(small) // 4)]  # what the kept context is for
    for op, message, fragment in ((TEXT, text, 0), (TEXT, text, 500), (BINARY, binary, 0), (BINARY, binary, 4096),
                                  (TEXT, b'', 0), (BINARY, b'', 0)):
        steps += [('deflated', op, message, fragment), echo(op, message)]
    steps += [('deflated', TEXT, small, 0, True), echo(TEXT, small), ('deflated', TEXT, small, 0), echo(TEXT, small)]
    return steps + [bye()]


# --- byte by byte

def session(*steps, answer=BOTH, params=NO_CONTEXT):
    return [*agreed(answer, params), *steps]


def packed(data, flush=zlib.Z_SYNC_FLUSH, bits=-15, **kw):
    z = zlib.compressobj(wbits=bits, **kw)
    return z.compress(data) + z.flush(flush)


def exact():
    hello = echo(TEXT, b'Hello')

    def case(name, title, *steps, answer=BOTH, params=NO_CONTEXT, compression='deflate'):
        return Case('13.x.' + name, title, session(*steps, answer=answer, params=params), compression=compression)
    yield Case('13.x.offer', "the offer of compression: 'deflate'", [('offer_default',)] + session(bye()),
               compression='deflate')
    yield Case('13.x.no-offer', 'no offer without the parameter', [('offer', None), ('upgrade',), bye()])
    # RFC 7692 7.2.3.1 to 7.2.3.6
    yield case('one', '7.2.3.1: one frame', tx(raw('c1 07 f2 48 cd c9 c9 07 00')), hello, bye())
    yield case('two', '7.2.3.1: two frames', tx(raw('41 03 f2 48 cd 80 04 c9 c9 07 00')), hello, bye())
    kept = {'answer': 'permessage-deflate', 'params': {}, 'compression': {}}
    yield case('window', '7.2.3.2: the second message from the window',
               tx(raw('c1 07 f2 48 cd c9 c9 07 00 c1 05 f2 00 11 00 00')), hello, hello, bye(), **kept)
    yield case('window-plain', 'a plain message between does not touch the window',
               tx(raw('c1 07 f2 48 cd c9 c9 07 00'), encode(TEXT, b'plain'), raw('c1 05 f2 00 11 00 00')), hello,
               echo(TEXT, b'plain'), hello, bye(), **kept)
    yield case('stored', '7.2.3.3: stored block', tx(raw('c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00')), hello, bye())
    yield case('bfinal', '7.2.3.4: BFINAL set', tx(raw('c1 08 f3 48 cd c9 c9 07 00 00')), hello, bye())
    yield case('two-blocks', '7.2.3.5: two blocks', tx(raw('c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00')), hello, bye())
    yield case('empty', '7.2.3.6: empty message', tx(raw('c1 01 00')), echo(TEXT, b''), bye())
    yield case('nothing', 'empty payload with RSV1', tx(raw('c1 00')), echo(TEXT, b''), bye())
    yield case('nothing-binary', 'empty binary payload with RSV1, then a message',
               tx(raw('c2 00 c1 07 f2 48 cd c9 c9 07 00')), echo(BINARY, b''), hello, bye())
    yield case('mixed', 'plain between two compressed', tx(raw('c1 07 f2 48 cd c9 c9 07 00'), encode(TEXT, b'Hello'),
               raw('c1 07 f2 48 cd c9 c9 07 00')), hello, hello, hello, bye())
    yield case('bytes', 'byte by byte', chop(raw('c1 07 f2 48 cd c9 c9 07 00'), 1, 0.001), hello, bye())
    yield case('control', 'pings between fragments', tx(raw('41 03 f2 48 cd'), encode(PING, b'p'),
               raw('80 04 c9 c9 07 00')), ('pong', b'p'), hello, bye())
    yield case('empty-fragments', 'empty fragments', tx(raw('41 00 00 00 00 07 f2 48 cd c9 c9 07 00 00 00 80 00')), hello,
               bye())
    yield case('one-byte', 'one byte per fragment', tx(*fragments(TEXT, raw('f2 48 cd c9 c9 07 00'), 1, 4)), hello, bye())
    wire = raw('c1 07 f2 48 cd c9 c9 07 00')
    for at in range(1, len(wire)):
        yield case('cut.%d' % at, 'cut at byte %d' % at, tx(wire[:at]), ('wait', 0.01), tx(wire[at:]), hello, bye())
    sync = packed(b'Hel') + packed(b'lo')
    yield case('flushes', 'two sync flushes in one message', tx(encode(TEXT, sync[:-4], rsv=4)), hello, bye())
    yield case('full-flush', 'a full flush', tx(encode(TEXT, packed(b'Hello', zlib.Z_FULL_FLUSH)[:-4], rsv=4)), hello,
               bye())
    yield case('final-more', 'BFINAL, then another stream', tx(encode(
        TEXT, packed(b'Hel', zlib.Z_FINISH) + packed(b'lo')[:-4], rsv=4)), hello, bye())
    for level in (0, 1, 9):
        big = piece(2, 100000, 0)
        yield case('level-%d' % level, 'the server compresses with level %d' % level, tx(encode(TEXT, packed(
            big, level=level)[:-4], rsv=4)), echo(TEXT, big), bye())
    for name, strategy in (('huffman', zlib.Z_HUFFMAN_ONLY), ('rle', zlib.Z_RLE), ('fixed', zlib.Z_FIXED)):
        big = piece(2, 30000, 1)
        yield case(name, 'the server compresses with strategy ' + name, tx(encode(TEXT, packed(
            big, strategy=strategy)[:-4], rsv=4)), echo(TEXT, big), bye())
    zeros = bytes(16 << 20)
    yield Case('13.x.bomb', '16 MiB of zeros', lambda: [('patient',), *agreed(BOTH, NO_CONTEXT), (
        'deflated', BINARY, zeros, 0), echo(BINARY, zeros), bye()], compression='deflate', heavy=True)
    yield from bad(case)
    # What the client may send plain, and what its own parameters do.
    for op, act, mine in ((TEXT, 'fillText', lambda n: (b'abcdefghij' * 20)[:n]),
                          (BINARY, 'fillBinary', lambda n: bytes(i * 7 & 255 for i in range(n)))):
        for n in (99, 100):
            yield Case('13.x.threshold.%s.%d' % (act, n), '%s(%d) with a threshold of 100' % (act, n), session(
                ('message_deflated', op, mine(n), n >= 100), bye(), ('any_script',)), {'act': [[act, n]]},
                {'serverNoContextTakeover': True, 'clientNoContextTakeover': True, 'threshold': 100})
    for key in ('level', 'memLevel'):
        for n in range(1, 10):
            message = piece(2, 50000, n)
            yield case('%s.%d' % (key, n), 'the client compresses with %s %d' % (key, n), ('deflated', TEXT, message, 0),
                       ('message_deflated', TEXT, message, True), ('deflated', TEXT, b'', 0), echo(TEXT, b''), bye(),
                       answer='permessage-deflate', params={}, compression={key: n})
    yield case('client-8', 'a client window of 8 bits: whatever is sent fits it', ('deflated', TEXT, piece(0, 9000, 1), 0),
               echo(TEXT, piece(0, 9000, 1)), bye(), answer='permessage-deflate; client_max_window_bits=8',
               params={'client_bits': 8}, compression={'clientMaxWindowBits': True})


def bad(case):
    dictionary = b'Hello, this is text of an earlier message that nobody has'
    reach = zlib.compressobj(wbits=-15, zdict=dictionary)
    reach = (reach.compress(dictionary) + reach.flush(zlib.Z_SYNC_FLUSH))[:-4]
    for name, title, payload in (
            ('type-3', 'block type 3', raw('06')), ('type-3-final', 'block type 3, final', raw('07')),
            ('stored-length', 'stored block with a wrong complement', raw('00 05 00 00 00 48 65 6c 6c 6f 00')),
            ('stored-short', 'stored block cut short', raw('00 05 00 fa ff 48 65')),
            ('far', 'a distance beyond the start', reach), ('noise', 'noise', b'\xff' * 32),
            ('tree', 'a code tree that is none', raw('04 ff ff ff ff ff ff ff')),
            ('window-lost', '7.2.3.2 without the first message', raw('f2 00 11 00 00')),
            # 7.2.2: the appended 00 00 ff ff then begins a block that has no end.
            ('with-tail', 'the sender did not drop 00 00 ff ff', packed(b'Hello'))):
        for op, kind in ((TEXT, 'text'), (BINARY, 'binary')):
            yield case('bad.%s.%s' % (name, kind), 'bad data: %s, %s' % (title, kind), tx(encode(op, payload, rsv=4)),
                       fail(1007, 1002))
    yield case('bad.early', 'bad data in an unfinished frame', tx(raw('c1 7e 10 00 06'), b'\xff' * 8), fail(1007, 1002))
    yield case('bad.no-context', 'the server keeps a context it gave up', tx(raw('c1 07 f2 48 cd c9 c9 07 00')),
               echo(TEXT, b'Hello'), tx(raw('c1 05 f2 00 11 00 00')), fail(1007, 1002))
    for name, text in (('c328', b'abc\xc3\x28'), ('surrogate', b'\xed\xa0\x80'), ('truncated', b'abc\xe2\x82'),
                       ('overlong', b'\xc0\xaf'), ('high', b'\xf4\x90\x80\x80')):
        yield case('utf8.' + name, 'not UTF-8 inside: ' + text.hex(' '), tx(encode(TEXT, packed(text)[:-4], rsv=4)),
                   fail(1007))
        yield case('binary.' + name, 'the same in binary', tx(encode(BINARY, packed(text)[:-4], rsv=4)),
                   echo(BINARY, text), bye())
    early = packed(b'good\xffbad')
    yield case('utf8.early', 'not UTF-8 inside an unfinished frame', tx(raw('c1 7e 10 00'), early), fail(1007))
    yield case('utf8.fragment', 'not UTF-8 in the first of two fragments',
               tx(encode(TEXT, early, fin=False, rsv=4)), fail(1007))
    euro = packed('€'.encode())[:-4]
    yield case('utf8.split', 'a code point over fragments', tx(*fragments(TEXT, euro, 1, 4)), echo(TEXT, '€'.encode()),
               bye())
    for name, wire in (('ping', 'c9 00'), ('pong', 'ca 01 61'), ('close', 'c8 02 03 e8'), ('continuation',
                       '41 03 f2 48 cd c0 04 c9 c9 07 00'), ('rsv2', 'e1 00'), ('rsv3', 'd1 00'), ('rsv2-plain', 'a1 00'),
                       ('continuation-plain', '01 01 61 c0 01 62'), ('lone', 'c0 01 00'), ('reserved', 'c3 00')):
        yield case('rsv.' + name, 'reserved bits with compression: ' + name, tx(raw(wire)), fail(1002))
    yield Case('13.x.rsv.unanswered', 'RSV1 without an answer to the offer', upgraded(tx(raw('c1 01 00')), fail(1002)),
               compression='deflate')
    yield Case('13.x.unanswered', 'no answer: everything plain', upgraded(tx(encode(TEXT, b'Hello')),
               ('message_deflated', TEXT, b'Hello', False), bye()), compression='deflate')


# --- negotiation

def negotiation():
    flags = {'serverNoContextTakeover': True, 'clientNoContextTakeover': True}
    window = {'serverMaxWindowBits': 12, 'clientMaxWindowBits': 12}
    any_window = {'clientMaxWindowBits': True}
    good = (
        ('both', flags, '; server_no_context_takeover; client_no_context_takeover', NO_CONTEXT),
        ('order', flags, '; client_no_context_takeover; server_no_context_takeover', NO_CONTEXT),
        ('blanks', flags, ' ;  server_no_context_takeover ;client_no_context_takeover', NO_CONTEXT),
        # 7.1.1.2: what the client offered to do without, it does without, said or not.
        ('client-silent', flags, '; server_no_context_takeover', {'server_nct': True, 'client_nct': True}),
        ('server-unasked', {}, '; server_no_context_takeover', {'server_nct': True}),
        ('client-unasked', {}, '; client_no_context_takeover', {'client_nct': True}),
        ('bits-unasked', {}, '; server_max_window_bits=10', {'server_bits': 10}),
        ('bits-equal', window, '; server_max_window_bits=12; client_max_window_bits=12',
         {'server_bits': 12, 'client_bits': 12}),
        ('bits-less', window, '; server_max_window_bits=9; client_max_window_bits=9', {'server_bits': 9, 'client_bits': 9}),
        ('bits-8', window, '; server_max_window_bits=8', {'server_bits': 8}),
        ('quoted', window, '; server_max_window_bits="11"; client_max_window_bits="11"',
         {'server_bits': 11, 'client_bits': 11}),
        ('client-any', any_window, '; client_max_window_bits=15', {}),
        ('client-none', any_window, '', {}))
    for name, compression, answer, params in good:
        yield Case('13.n.' + name, 'answer' + (answer or ' without parameters'), session(
            *[('deflated', TEXT, piece(0, 3000, 0), 0), ('message_deflated', TEXT, piece(0, 3000, 0), True)] * 3, bye(),
            answer='permessage-deflate' + answer, params=params), compression=compression)
    wrong = (
        ('server-dropped', flags, 'permessage-deflate; client_no_context_takeover'),
        ('all-dropped', flags, 'permessage-deflate'),
        ('flag-value', flags, 'permessage-deflate; server_no_context_takeover=1; client_no_context_takeover'),
        ('flag-value-client', flags, 'permessage-deflate; server_no_context_takeover; client_no_context_takeover=true'),
        ('flag-twice', flags, BOTH + '; server_no_context_takeover'),
        ('client-flag-twice', flags, BOTH + '; client_no_context_takeover'),
        ('unknown', flags, BOTH + '; foo=1'), ('unknown-flag', flags, BOTH + '; foo'),
        ('twice', flags, BOTH + ', ' + BOTH), ('second-plain', flags, BOTH + ', permessage-deflate'),
        ('other', flags, 'x-webkit-deflate-frame'), ('with-other', flags, BOTH + ', foo'),
        ('bits-16', {}, 'permessage-deflate; server_max_window_bits=16'),
        ('bits-7', {}, 'permessage-deflate; server_max_window_bits=7'),
        ('bits-0', {}, 'permessage-deflate; server_max_window_bits=0'),
        ('bits-08', {}, 'permessage-deflate; server_max_window_bits=08'),
        ('bits-010', {}, 'permessage-deflate; server_max_window_bits=010'),
        ('bits-none', {}, 'permessage-deflate; server_max_window_bits'),
        ('bits-empty', {}, 'permessage-deflate; server_max_window_bits='),
        ('bits-word', {}, 'permessage-deflate; server_max_window_bits=ten'),
        ('bits-minus', {}, 'permessage-deflate; server_max_window_bits=-10'),
        ('bits-plus', {}, 'permessage-deflate; server_max_window_bits=+10'),
        ('bits-hex', {}, 'permessage-deflate; server_max_window_bits=0xa'),
        ('bits-float', {}, 'permessage-deflate; server_max_window_bits=10.0'),
        ('bits-huge', {}, 'permessage-deflate; server_max_window_bits=4294967306'),
        ('bits-twice', {}, 'permessage-deflate; server_max_window_bits=10; server_max_window_bits=10'),
        ('bits-more', window, 'permessage-deflate; server_max_window_bits=13'),
        ('bits-ignored', window, 'permessage-deflate'),
        ('client-unasked-bits', {}, 'permessage-deflate; client_max_window_bits=10'),
        ('client-unasked-none', {}, 'permessage-deflate; client_max_window_bits'),
        ('client-none', any_window, 'permessage-deflate; client_max_window_bits'),
        ('client-16', any_window, 'permessage-deflate; client_max_window_bits=16'),
        ('client-7', any_window, 'permessage-deflate; client_max_window_bits=7'),
        ('client-09', any_window, 'permessage-deflate; client_max_window_bits=09'),
        ('client-twice', any_window, 'permessage-deflate; client_max_window_bits=10; client_max_window_bits=10'),
        ('not-asked', None, 'permessage-deflate'), ('not-asked-both', None, BOTH))
    for name, compression, answer in wrong:
        yield Case('13.r.' + name, 'answer to be refused: ' + answer, [
            ('head', HEAD + b'Sec-WebSocket-Extensions: ' + answer.encode() + b'\r\n\r\n'), ('refused',)],
            compression=compression)
    yield Case('13.r.two-headers', 'the extension in two headers', [
        ('head', HEAD + (b'Sec-WebSocket-Extensions: ' + BOTH.encode() + b'\r\n') * 2 + b'\r\n'), ('refused',)],
        compression=flags)


def cases():
    for section in (volumes, grid, exact, negotiation):
        yield from section()
