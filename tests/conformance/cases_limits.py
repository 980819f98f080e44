# SPDX-License-Identifier: Apache-2.0
"""Section 9: big and many messages. The sizes are those of the well-known list."""
from peer import *

K, M = 1024, 1024 * 1024
KINDS = ((TEXT, b'*', 'text'), (BINARY, b'\xfe', 'binary'))


def size_words(n):
    return '%d MiB' % (n // M) if n >= M else '%d KiB' % (n // K) if n >= K else '%d bytes' % n


def case(name, title, steps):
    return Case('9.' + name, title, lambda: upgraded(('patient',), *steps()), heavy=True)


def message(op, data):
    return [tx(encode(op, data)), echo(op, data), bye()]


def cases():
    for i, (op, fill, kind) in enumerate(KINDS):
        for minor, n in enumerate((64 * K, 256 * K, M, 4 * M, 8 * M, 16 * M), 1):
            yield case('%d.%d' % (1 + i, minor), '%s of %s' % (kind, size_words(n)),
                       lambda op=op, fill=fill, n=n: message(op, fill * n))
    for i, (op, fill, kind) in enumerate(KINDS):
        for minor, n in enumerate((64, 256, K, 4 * K, 16 * K, 64 * K, 256 * K, M, 4 * M), 1):
            yield case('%d.%d' % (3 + i, minor), '%s of 4 MiB in fragments of %s' % (kind, size_words(n)),
                       lambda op=op, fill=fill, n=n: [tx(*fragments(op, fill * 4 * M, n)), echo(op, fill * 4 * M), bye()])
    for i, (op, fill, kind) in enumerate(KINDS):
        for minor, n in enumerate((64, 128, 256, 512, K, 2 * K), 1):
            yield case('%d.%d' % (5 + i, minor), '%s of 1 MiB in writes of %d bytes' % (kind, n),
                       lambda op=op, fill=fill, n=n: [chop(encode(op, fill * M), n), echo(op, fill * M), bye()])
    for i, (op, fill, kind) in enumerate(KINDS):
        for minor, n in enumerate((0, 16, 64, 256, K, 4 * K), 1):
            yield case('%d.%d' % (7 + i, minor), '1000 echoes of %s of %d bytes' % (kind, n),
                       lambda op=op, fill=fill, n=n: [tx(encode(op, fill * n)), echo(op, fill * n)] * 1000 + [bye()])
    utf8 = 'κόσμε €\U0001f600 '.encode()
    yield case('a.1', '4 MiB of text beyond ASCII in fragments of 997', lambda: [
        tx(*fragments(TEXT, utf8 * 150000, 997)), echo(TEXT, utf8 * 150000), bye()])
    yield case('a.2', '2000 messages of 4 KiB without waiting', lambda: [
        ('flood', encode(BINARY, b'\xfe' * 4 * K), 2000), *[echo(BINARY, b'\xfe' * 4 * K)] * 2000, bye()])
