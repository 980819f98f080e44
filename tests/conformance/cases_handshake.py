# SPDX-License-Identifier: Apache-2.0
"""Section H: the opening handshake (RFC 6455 4.1, RFC 9112). Answers are verbatim; {accept} stands for the right value,
{flipped} for one with a changed character, {other} for that of another key."""
from peer import *

LINE = 'HTTP/1.1 101 Switching Protocols'
UPGRADE = 'Upgrade: websocket'
CONNECTION = 'Connection: Upgrade'
ACCEPT = 'Sec-WebSocket-Accept: {accept}'
GOOD = '\r\n'.join((LINE, UPGRADE, CONNECTION, ACCEPT))


def answer(*lines):
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')


def with_line(line='', upgrade=UPGRADE, connection=CONNECTION, accept=ACCEPT, more=''):
    return answer(*[part for part in (line or LINE, upgrade, connection, accept, more) if part])


OPEN = (
    ('plain', with_line()),
    ('reason', with_line('HTTP/1.1 101 Whatever you say')),
    ('reason-empty', with_line('HTTP/1.1 101 ')),
    ('reason-none', with_line('HTTP/1.1 101')),
    ('reason-latin1', with_line('HTTP/1.1 101 \xe9t\xe9')),
    ('upgrade-case', with_line(upgrade='Upgrade: WebSocket')),
    ('upgrade-upper', with_line(upgrade='UPGRADE: WEBSOCKET')),
    ('upgrade-list', with_line(upgrade='Upgrade: h2c, websocket')),
    ('upgrade-two', with_line(upgrade='Upgrade: h2c\r\nUpgrade: websocket')),
    ('connection-list', with_line(connection='Connection: keep-alive, Upgrade')),
    ('connection-list-tight', with_line(connection='Connection: keep-alive,upgrade')),
    ('connection-lower', with_line(connection='connection: upgrade')),
    ('connection-two', with_line(connection='Connection: keep-alive\r\nConnection: Upgrade')),
    ('connection-empty-element', with_line(connection='Connection: , Upgrade')),
    ('accept-lower-name', with_line(accept='sec-websocket-accept: {accept}')),
    ('accept-blanks', with_line(accept='Sec-WebSocket-Accept:   {accept}  ')),
    ('accept-tab', with_line(accept='Sec-WebSocket-Accept:\t{accept}\t')),
    ('accept-no-blank', with_line(accept='Sec-WebSocket-Accept:{accept}')),
    ('order', answer(LINE, ACCEPT, CONNECTION, UPGRADE)),
    ('bare-lf', with_line().replace(b'\r\n', b'\n')),
    ('content-length', with_line(more='Content-Length: 100')),
    ('chunked', with_line(more='Transfer-Encoding: chunked')),
    ('cookies', with_line(more='Set-Cookie: a=b\r\nSet-Cookie: c=d')),
    ('unknown-headers', with_line(more='X-Test: 1\r\nServer: none')),
    ('empty-value', with_line(more='X-Empty:')),
    ('latin1-value', with_line(more='X-Name: \xe9')),
    ('version-header', with_line(more='Sec-WebSocket-Version: 13')),
    ('interim-103', answer('HTTP/1.1 103 Early Hints', 'Link: </a>') + with_line()),
    ('interim-100', answer('HTTP/1.1 100 Continue') + with_line()),
    ('interim-8', answer('HTTP/1.1 103 Early Hints') * 8 + with_line()),
    ('many-headers', with_line(more='\r\n'.join('X-%d: y' % i for i in range(96)))),
    ('long-line', with_line(more='X-Long: ' + 'y' * 8000)),
    ('long-head', with_line(more='\r\n'.join('X-%d: %s' % (i, 'y' * 7900) for i in range(2)))),
)
REFUSED = (
    ('http-1.0', with_line('HTTP/1.0 101 Switching Protocols')),
    ('http-0.9', with_line('HTTP/0.9 101 Switching Protocols')),
    ('http-2', with_line('HTTP/2 101 Switching Protocols')),
    ('no-http', with_line('FTP/1.1 101 Switching Protocols')),
    ('lower-http', with_line('http/1.1 101 Switching Protocols')),
    ('status-1010', with_line('HTTP/1.1 1010 Switching Protocols')),
    ('status-10', with_line('HTTP/1.1 10 Switching Protocols')),
    ('status-word', with_line('HTTP/1.1 abc Switching Protocols')),
    ('status-missing', with_line('HTTP/1.1')),
    ('upgrade-missing', with_line(upgrade='')),
    ('upgrade-h2c', with_line(upgrade='Upgrade: h2c')),
    ('upgrade-empty', with_line(upgrade='Upgrade:')),
    ('upgrade-websocket2', with_line(upgrade='Upgrade: websocket2')),
    ('upgrade-web-socket', with_line(upgrade='Upgrade: web socket')),
    ('connection-missing', with_line(connection='')),
    ('connection-close', with_line(connection='Connection: close')),
    ('connection-upgraded', with_line(connection='Connection: Upgraded')),
    ('connection-empty', with_line(connection='Connection:')),
    ('accept-missing', with_line(accept='')),
    ('accept-empty', with_line(accept='Sec-WebSocket-Accept:')),
    ('accept-flipped', with_line(accept='Sec-WebSocket-Accept: {flipped}')),
    ('accept-other', with_line(accept='Sec-WebSocket-Accept: {other}')),
    ('accept-longer', with_line(accept='Sec-WebSocket-Accept: {accept}x')),
    ('accept-twice', with_line(more=ACCEPT)),
    ('accept-twice-other', with_line(more='Sec-WebSocket-Accept: {other}')),
    ('accept-list', with_line(accept='Sec-WebSocket-Accept: {accept}, {accept}')),
    ('accept-quoted', with_line(accept='Sec-WebSocket-Accept: "{accept}"')),
    ('accept-inner-blank', with_line(accept='Sec-WebSocket-Accept: {accept} {accept}')),
    ('protocol-unasked', with_line(more='Sec-WebSocket-Protocol: zzz')),
    ('extension-unasked', with_line(more='Sec-WebSocket-Extensions: foo')),
    ('deflate-unasked', with_line(more='Sec-WebSocket-Extensions: permessage-deflate')),
    ('folded', with_line(more='X-Fold: a\r\n b')),
    ('fold-first', answer(LINE, ' ' + UPGRADE, CONNECTION, ACCEPT)),
    ('no-colon', with_line(more='nonsense')),
    ('name-blank', with_line(more='X Y: 1')),
    ('name-blank-before-colon', with_line(upgrade='Upgrade : websocket')),
    ('name-empty', with_line(more=': 1')),
    ('nul', with_line(more='X-Nul: a\0b')),
    ('control', with_line(more='X-Bell: a\x07b')),
    ('bare-cr', with_line(more='X-Cr: a\rb')),
    ('nul-in-reason', with_line('HTTP/1.1 101 a\0b')),
    ('long-line', with_line(more='X-Long: ' + 'y' * 8300)),
    ('long-status-line', with_line('HTTP/1.1 101 ' + 'y' * 8300)),
    ('long-head', with_line(more='\r\n'.join('X-%d: %s' % (i, 'y' * 6000) for i in range(3)))),
    ('many-headers', with_line(more='\r\n'.join('X-%d: y' % i for i in range(101)))),
    ('interim-9', answer('HTTP/1.1 103 Early Hints') * 9 + with_line()),
    ('binary', bytes(range(256)) * 4),
    ('frame', b'\x81\x02hi' + b'\r\n\r\n'),
    ('tls-alert', b'\x15\x03\x01\x00\x02\x02\x16\r\n\r\n'),
)
STATUSES = (200, 204, 301, 302, 304, 307, 400, 401, 403, 404, 407, 426, 429, 500, 502, 503, 599)


def cases():
    def case(name, title, *steps, **kw):
        return Case('H.' + name, title, list(steps), **kw)
    talk = [tx(encode(TEXT, b'hi')), echo(TEXT, b'hi'), bye()]
    for name, head in OPEN:
        yield case('open.' + name, 'accepted: ' + name, ('head', head), *talk)
    for name, head in REFUSED:
        yield case('refused.' + name, 'refused: ' + name, ('head', head), ('refused',))
    for status in STATUSES:
        # A 204 or 304 has no body, whatever its head says (RFC 9112 6.3).
        body = b'' if status in (204, 304) else b'sorry'
        head = answer('HTTP/1.1 %d Some Reason' % status, 'Content-Length: 5', 'Location: http://127.0.0.1:1/') + body
        yield case('status.%d' % status, 'status %d' % status, ('head', head), ('refused',))
        upgrade = with_line('HTTP/1.1 %d Some Reason' % status, more='Content-Length: 0')
        yield case('status.%d.upgrade' % status, 'status %d with all the headers of a 101' % status, ('head', upgrade),
                   ('refused',))
    yield case('status.chunked', 'a refusal with a chunked body', (
        'head', answer('HTTP/1.1 403 No', 'Transfer-Encoding: chunked') + b'5\r\nsorry\r\n0\r\n\r\n'), ('refused',))
    yield case('status.body-to-eof', 'a refusal whose body ends with the stream', (
        'head', answer('HTTP/1.1 403 No') + b'sorry'), ('fin',), ('refused',))
    # HR-10: where the head is cut, and what comes with it.
    whole = with_line()
    yield case('cut.dribble', 'the head byte by byte', ('head', whole, 1, 0.001), *talk)
    length = len(whole) - len('{accept}') + 28
    for at in (1, 9, 12, 13, 33, 34, 40, 60, 100, length - 5, length - 4, length - 3, length - 2, length - 1):
        yield case('cut.%d' % at, 'the head cut at byte %d' % at, ('head_cut', whole, at), *talk)
    hi = encode(TEXT, b'hi')
    yield case('tail.frame', 'a frame in the same write', ('upgrade', b'', hi), echo(TEXT, b'hi'), bye())
    yield case('tail.two', 'two frames in the same write', ('upgrade', b'', hi * 2), echo(TEXT, b'hi'),
               echo(TEXT, b'hi'), bye())
    yield case('tail.part', 'part of a frame in the same write', ('upgrade', b'', hi[:3]), ('wait', 0.02), tx(hi[3:]),
               echo(TEXT, b'hi'), bye())
    yield case('tail.ping', 'a ping in the same write', ('upgrade', b'', encode(PING, b'p')), ('pong', b'p'), bye())
    yield case('tail.big', '100000 bytes in the same write', ('upgrade', b'', encode(BINARY, b'x' * 100000)),
               echo(BINARY, b'x' * 100000), bye())
    close = encode(CLOSE, close_payload(4000))
    yield case('tail.close', 'a Close in the same write', ('upgrade', b'', close), ('closing', 4000), ('fin',), ('gone',),
               ('any_script',))
    yield case('tail.bad', 'a bad frame in the same write', ('upgrade', b'', b'\x83\x00'), fail(1002))
    yield case('tail.dribble', 'head and frame byte by byte', ('head', whole + hi, 1, 0.001), echo(TEXT, b'hi'), bye())
    # HR-13
    for at in (0, 1, 12, 50, length - 1):
        yield case('eof.%d' % at, 'end of the stream after %d bytes of the head' % at, (
            'head_cut_fin', whole, at), ('refused',))
    yield case('eof.open', 'end of the stream behind the head', ('upgrade',), quiet(0.1), ('lost', 0))
    yield case('reset', 'reset instead of an answer', ('reset',), ('any_script',))
    # subprotocols
    asked = {'protocols': ['chat', 'superchat']}
    both = ('request', 'Sec-WebSocket-Protocol', 'chat, superchat')

    def protocol(value):
        return ('head', with_line(more='Sec-WebSocket-Protocol: ' + value))
    for value in ('chat', 'superchat', ' chat '):
        yield case('protocol.open.' + value.strip() + '-' * value.count(' '), 'subprotocol %r of two' % value, both,
                   protocol(value), *talk, client=asked)
    for value in ('zzz', 'Chat', 'chat, superchat', 'chat superchat', '"chat"', 'chat\r\nSec-WebSocket-Protocol: superchat',
                  'chat\r\nSec-WebSocket-Protocol: chat', '', 'cha', 'chatx', 'chat;q=1'):
        yield case('protocol.refused.' + (value.replace('\r\n', '+') or 'empty'), 'subprotocol %r of two' % value, both,
                   protocol(value), ('refused',), client=asked)
    yield case('protocol.none', 'no subprotocol confirmed', both, ('protocol_none', with_line()), client=asked)
    yield case('protocol.not-sent', 'no header without subprotocols', ('request', 'Sec-WebSocket-Protocol', None),
               ('upgrade',), bye())
    yield case('request.header', "a header of the script's", ('request', 'X-Test', 'one two'), ('upgrade',), bye(),
               client={'headers': {'X-Test': 'one two'}})
    yield case('request.smuggling', 'CR and LF in a header value', ('request', 'X-Evil', None), ('upgrade',), bye(),
               client={'headers': {'X-Test': 'a\r\nX-Evil: 1'}})
    yield case('request.bad-name', 'a header name that is no token', ('request', 'X Bad', None), ('upgrade',), bye(),
               client={'headers': {'X Bad': '1'}})
