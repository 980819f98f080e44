# SPDX-License-Identifier: Apache-2.0
"""The server of the conformance run: it plays the steps of one case on one connection and judges what comes back.

A step is a tuple (name, arguments...) that Peer.do_NAME plays; the functions at the end of this file make them. A case
ends at its first deviation. Every frame of the client is checked against RFC 6455 5 whatever the case is about: masked,
minimal length, known opcode, reserved bits, control frames short and whole, Close payload and text valid.
"""
import re
import socket
import struct
import threading
import time
import zlib

from servers import http2
from servers.rawws import BINARY, CLOSE, CONT, PING, PONG, TEXT, accept_key, apply_mask, close_payload, encode

STEP_SECONDS = 3.0     # the client answers within this
HEAVY_SECONDS = 30.0   # the same for cases that move megabytes
SHUT_SECONDS = 0.8     # a failed connection ends its stream at once, whatever we do: CL-9
GONE_SECONDS = 1.7     # the client closes TCP within this: CL-8 says one second
NAMES = {CONT: 'continuation', TEXT: 'text', BINARY: 'binary', CLOSE: 'close', PING: 'ping', PONG: 'pong'}
HEAD = (b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
        b'Sec-WebSocket-Accept: {accept}\r\n')
TAIL = b'\x00\x00\xff\xff'  # RFC 7692 7.2.1


class Fail(Exception):
    def __init__(self, expected, got):
        super().__init__('expected %s, got %s' % (expected, got))
        self.expected, self.got = expected, got


class Frame:
    __slots__ = ('fin', 'rsv', 'opcode', 'payload')

    def __init__(self, fin, rsv, opcode, payload):
        self.fin, self.rsv, self.opcode, self.payload = fin, rsv, opcode, payload

    def __repr__(self):
        name = NAMES.get(self.opcode, 'opcode %d' % self.opcode)
        if self.opcode == CLOSE:
            return 'Close ' + close_words(self.payload)
        return '%s%s%s %s' % (name, '' if self.fin else ' (not final)', ' rsv %d' % self.rsv if self.rsv else '',
                              short(self.payload))


def close_words(payload):
    if len(payload) < 2:
        return 'without a code' if not payload else 'of one byte'
    code, reason = struct.unpack('>H', payload[:2])[0], bytes(payload[2:])
    return '%d%s' % (code, ' %r' % reason.decode('utf-8', 'replace') if reason else '')


def short(data):
    data = bytes(data)
    if len(data) <= 24:
        return '%d bytes [%s]' % (len(data), data.hex(' '))
    return '%d bytes [%s ...]' % (len(data), data[:16].hex(' '))


def difference(got, want):
    if len(got) != len(want):
        return '%d bytes, want %d' % (len(got), len(want))
    at = next(i for i in range(len(got)) if got[i] != want[i])
    return 'byte %d is %02x, want %02x' % (at, got[at], want[at])


def code_valid(code):
    """May a client send it (CL-1)?"""
    return code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011) or 3000 <= code <= 4999


# --- RFC 7692, the server's end

class Deflate:
    """Both directions with exactly the agreed parameters, so a client that uses more than it may is found out."""

    def __init__(self, server_nct=False, client_nct=False, server_bits=15, client_bits=15, level=-1):
        self.server_nct, self.client_nct = server_nct, client_nct
        self.server_bits, self.client_bits, self.level = server_bits, client_bits, level
        self.out = self.into = None

    def deflater(self):
        # zlib has no raw deflate with a window of 256 bytes; matches at distance one stay inside it.
        if self.server_bits == 8:
            return zlib.compressobj(6, zlib.DEFLATED, -9, 8, zlib.Z_RLE)
        return zlib.compressobj(self.level, zlib.DEFLATED, -self.server_bits)

    def compress(self, payload):
        if self.server_nct or not self.out:
            self.out = self.deflater()
        data = self.out.compress(payload) + self.out.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[:-4]

    def narrow(self, data):
        """zlib accepts what lies in the same call's output, however far; so there is little output per call."""
        out = []
        while True:
            out.append(self.into.decompress(data, 32))
            data = self.into.unconsumed_tail
            if not out[-1] or self.into.eof:
                return b''.join(out)

    def inflate(self, payload):
        """RFC 7692 7.2.2; several streams are joined as 7.2.3.4 and 7.2.3.5 have it."""
        if self.client_nct or not self.into:
            self.into = zlib.decompressobj(-self.client_bits)
        out, data = b'', bytes(payload) + TAIL
        try:
            while data:
                out += self.narrow(data) if self.client_bits < 15 else self.into.decompress(data)
                if not self.into.eof:
                    break
                data, self.into = self.into.unused_data, zlib.decompressobj(-self.client_bits)
        except zlib.error as e:
            raise Fail('a payload that inflates with the agreed window of %d bits, %s' % (
                self.client_bits, 'alone' if self.client_nct else 'with kept context'),
                '%s: %s' % (e, short(payload))) from None
        return out


# --- the connection

class Peer:
    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.buf, self.at = bytearray(), 0
        self.head, self.target, self.headers = b'', '', []
        self.seconds = STEP_SECONDS
        self.deflate = None
        self.close_seen = False   # the client's Close frame arrived
        self.delivered = 0        # messages that the client's script must have seen by now
        self.script = None        # close code that the script must see, by kind: 'code', 'failed', 'eof'
        self.last_wire = 0        # payload bytes of the last data message on the wire
        self.api = server.api

    # reading

    def left(self):
        return len(self.buf) - self.at

    def fill(self, deadline):
        """One recv. None: time is over, False: end of stream, 'rst', or True."""
        wait = deadline - time.monotonic()
        if wait <= 0:
            return None
        self.sock.settimeout(wait)
        try:
            data = self.sock.recv(1 << 20)
        except socket.timeout:
            return None
        except OSError:
            return 'rst'
        if not data:
            return False
        if self.at == len(self.buf):
            self.buf, self.at = bytearray(data), 0
        else:
            self.buf += data
        return True

    def take(self, n, expected, deadline):
        while self.left() < n:
            rc = self.fill(deadline)
            if rc is not True:
                how = {None: 'nothing', False: 'the end of the stream (FIN)', 'rst': 'a reset'}[rc]
                if self.left():
                    how += ' after part of a frame'
                raise Fail(expected, how)
        out = self.buf[self.at:self.at + n]
        self.at += n
        return out

    def frame(self, expected, seconds=None):
        deadline = time.monotonic() + (seconds or self.seconds)
        head = self.take(2, expected, deadline)
        fin, rsv, opcode, n = bool(head[0] & 0x80), head[0] >> 4 & 7, head[0] & 15, head[1] & 127
        if n == 126:
            n = struct.unpack('>H', self.take(2, expected, deadline))[0]
            self.check(n > 125, 'a minimal length', 'length %d in two bytes' % n)
        elif n == 127:
            n = struct.unpack('>Q', self.take(8, expected, deadline))[0]
            self.check(65535 < n < 1 << 63, 'a minimal length', 'length %d in eight bytes' % n)
        self.check(head[1] & 0x80, 'a masked frame (RFC 6455 5.1)', 'frame head %s' % head.hex(' '))
        self.check(opcode in NAMES, 'a known opcode', 'opcode %d' % opcode)
        self.check(n < 1 << 28, 'a frame of sane length', '%d bytes' % n)
        key = bytes(self.take(4, expected, deadline))
        self.server.mask_keys.append(key)
        f = Frame(fin, rsv, opcode, apply_mask(bytes(self.take(n, expected, deadline)), key))
        self.check(not self.close_seen, 'nothing behind the Close frame', repr(f))
        allowed = 4 if self.deflate and opcode in (TEXT, BINARY) else 0
        self.check(not rsv & ~allowed, 'reserved bits clear', repr(f))
        if opcode & 8:
            self.check(fin and n <= 125, 'a control frame whole and short', repr(f))
        if opcode == CLOSE:
            self.check_close(f)
        return f

    def check_close(self, f):
        self.close_seen = True
        self.check(len(f.payload) != 1, 'a Close payload of none or two bytes', repr(f))
        if f.payload:
            code = struct.unpack('>H', f.payload[:2])[0]
            # k6/ws answers a lost stream with 1006, as k6 does (WS-82), and echoes any code a server may send.
            lost = self.api == 'ws' and self.script == 'eof' and code == 1006
            self.check(lost or code_valid(code) or 1012 <= code <= 1014, 'a Close code that may be sent', repr(f))
            try:
                f.payload[2:].decode('utf-8')
            except UnicodeDecodeError:
                raise Fail('a Close reason in UTF-8', repr(f)) from None

    @staticmethod
    def check(ok, expected, got):
        if not ok:
            raise Fail(expected, got)

    def gone(self, expected='the end of the stream', seconds=GONE_SECONDS):
        """The client ends its stream, with nothing more in it."""
        deadline = time.monotonic() + seconds
        while not self.left():
            rc = self.fill(deadline)
            if rc is None:
                raise Fail(expected, 'a connection still open after %g s' % seconds)
            if rc == 'rst':
                raise Fail(expected, 'a reset')
            if rc is False:
                return
        raise Fail(expected + ' with nothing more in it', repr(self.frame(expected)))

    # writing: a peer that went away shows when its answer is read

    def send(self, data):
        self.sock.settimeout(self.seconds)
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    # the opening handshake

    def read_head(self):
        deadline = time.monotonic() + 5
        while b'\r\n\r\n' not in self.buf:
            if len(self.buf) > 65536 or self.fill(deadline) is not True:
                return False
        end = self.buf.index(b'\r\n\r\n') + 4
        self.head, self.at = bytes(self.buf[:end]), end
        lines = self.head.decode('latin-1').split('\r\n')
        self.target = lines[0].split(' ')[1] if lines[0].count(' ') == 2 else ''
        self.headers = [tuple(line.split(':', 1)) for line in lines[1:] if ':' in line]
        return True

    def header(self, name):
        got = [v.strip() for k, v in self.headers if k.lower() == name.lower()]
        return ', '.join(got) if got else None

    def fill_in(self, template):
        key = self.header('Sec-WebSocket-Key') or ''
        out = template.replace(b'{accept}', accept_key(key).encode())
        out = out.replace(b'{other}', accept_key('AAAAAAAAAAAAAAAAAAAAAA==').encode())
        return out.replace(b'{flipped}', (lambda a: a[:3] + (b'A' if a[3:4] != b'A' else b'B') + a[4:])(
            accept_key(key).encode()))

    def check_request(self):
        """HS-1 to HS-6, on every connection."""
        lines = self.head.decode('latin-1').split('\r\n')
        names = [k.lower() for k, _ in self.headers]
        self.check(re.fullmatch(r'GET /\S* HTTP/1\.1', lines[0]), 'a request line', repr(lines[0]))
        for name, want in (('host', '127.0.0.1:%d' % self.server.port), ('upgrade', 'websocket'),
                           ('connection', 'upgrade'), ('sec-websocket-version', '13')):
            self.check(names.count(name) == 1, 'one header %s' % name, names.count(name))
            self.check(self.header(name).lower() == want, '%s: %s' % (name, want), repr(self.header(name)))
        key = self.header('sec-websocket-key') or ''
        self.check(names.count('sec-websocket-key') == 1 and re.fullmatch(r'[A-Za-z0-9+/]{22}==', key),
                   'one key of 16 bytes in base64', repr(key))
        self.check(self.left() == 0, 'nothing before the 101 (HS-10)', short(self.buf[self.at:]))
        self.server.keys.append(key)

    # steps

    def do_upgrade(self, extra=b'', tail=b''):
        self.send(self.fill_in(HEAD + extra + b'\r\n') + tail)

    def do_offer(self, want):
        """The extensions header of the request; parameter order is free."""
        def parts(text):
            return text and [sorted(re.split(r'\s*;\s*', one)) for one in re.split(r'\s*,\s*', text)]
        got = self.header('Sec-WebSocket-Extensions')
        self.check(parts(got) == parts(want), 'Sec-WebSocket-Extensions: %s' % want, got)

    def do_offer_default(self):
        """compression: 'deflate'. k6's offer, a browser's in the standard profile (PMD-1)."""
        self.do_offer('permessage-deflate; client_max_window_bits' if self.server.profile == 'standard' else
                      'permessage-deflate; server_no_context_takeover; client_no_context_takeover')

    def do_request(self, name, want):
        self.check(self.header(name) == want, '%s: %s' % (name, want), repr(self.header(name)))

    def do_head(self, template, cut=0, pause=0.0):
        """An answer verbatim; {accept} stands for the right value. cut: bytes per write."""
        data = self.fill_in(template)
        if not cut:
            self.send(data)
            return
        for i in range(0, len(data), cut):
            self.send(data[i:i + cut])
            time.sleep(pause)

    def do_head_cut(self, template, at):
        data = self.fill_in(template)
        self.send(data[:at])
        time.sleep(0.01)
        self.send(data[at:])

    def do_head_cut_fin(self, template, at):
        self.send(self.fill_in(template)[:at])
        self.do_fin()

    def do_protocol_none(self, template):
        """Asked for, not confirmed: stands by RFC 6455, fails by the WHATWG standard (HR-8)."""
        self.send(self.fill_in(template))
        if self.server.profile == 'standard' and self.api == 'websockets':
            self.do_refused()
        else:
            self.do_bye(1000, b'')

    def do_agreed(self, params):
        self.deflate = Deflate(**params)

    def do_patient(self):
        self.seconds = HEAVY_SECONDS

    def do_tx(self, data):
        self.send(data)

    def do_wait(self, seconds):
        time.sleep(seconds)

    def do_flood(self, data, count):
        """Sends while the steps that follow read."""
        threading.Thread(target=lambda: [self.send(data * 16) for _ in range(count // 16)], daemon=True).start()

    def do_chop(self, data, size, pause):
        view = memoryview(data)
        for i in range(0, len(data), size):
            if not self.send(view[i:i + size]):
                return
            if pause:
                time.sleep(pause)

    def do_deflated(self, opcode, payload, fragment, plain=False):
        """One message; fragment: bytes of payload per frame, 0 for one frame."""
        data = payload if plain else self.deflate.compress(payload)
        self.last_wire = len(data)
        self.send(b''.join(fragments(opcode, data, fragment, 0 if plain else 4)))

    def do_message(self, opcode, payload, counts=True):
        expected = 'a %s message of %s' % (NAMES[opcode], short(payload))
        self.delivered += counts
        f = self.frame(expected)
        self.check(f.opcode == opcode and f.fin, expected, repr(f))
        self.last_wire = len(f.payload)
        got = self.deflate.inflate(f.payload) if f.rsv else f.payload
        if got != payload:
            raise Fail(expected, '%r: %s' % (f, difference(got, payload)))

    def do_message_deflated(self, opcode, payload, want):
        """A message with RSV1, or without it, as `want` says."""
        expected = 'a %s message %s' % (NAMES[opcode], 'compressed' if want else 'sent plain')
        self.delivered += 1
        f = self.frame(expected)
        self.check(f.opcode == opcode and f.fin and bool(f.rsv) == want, expected, repr(f))
        self.last_wire = len(f.payload)
        got = self.deflate.inflate(f.payload) if f.rsv else f.payload
        if got != payload:
            raise Fail(expected, '%r: %s' % (f, difference(got, payload)))

    def do_wire_at_most(self, limit):
        self.check(self.last_wire <= limit, 'at most %d bytes of payload on the wire' % limit, self.last_wire)

    def do_maybe_message(self, opcode, payload):
        """Either the message or straight the Close frame: the rules leave both open."""
        deadline = time.monotonic() + self.seconds
        while self.left() < 2 and self.fill(deadline) is True:
            pass
        if self.left() and self.buf[self.at] & 15 == opcode:
            self.do_message(opcode, payload, counts=False)
        self.delivered = None

    def do_pong(self, payload):
        expected = 'a pong of %s' % short(payload)
        f = self.frame(expected)
        self.check(f.opcode == PONG and f.payload == payload, expected, repr(f))

    def do_pongs_to(self, count):
        """Pongs numbered in ascending order; the last one must be there (CT-2)."""
        last = -1
        while last != count - 1:
            f = self.frame('a pong with a number up to %d' % (count - 1))
            self.check(f.opcode == PONG and f.payload.isdigit() and last < int(f.payload) < count,
                       'pong %d or later' % (last + 1), repr(f))
            last = int(f.payload)

    def do_ping(self):
        """From the client, answered."""
        f = self.frame('a ping')
        self.check(f.opcode == PING, 'a ping', repr(f))
        self.send(encode(PONG, f.payload))

    def do_quiet(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.left():
            rc = self.fill(deadline)
            if rc is None:
                return
            if rc is not True:
                raise Fail('silence', 'a reset' if rc == 'rst' else 'the end of the stream (FIN)')
        raise Fail('silence', repr(self.frame('silence')))

    def do_fail(self, codes):
        """The client fails the connection: Close, then its end of the stream, whatever we do (CL-9)."""
        expected = 'Close %s' % ' or '.join(str(c) for c in codes)
        f = self.frame(expected)
        self.check(f.opcode == CLOSE and len(f.payload) >= 2, expected, repr(f))
        self.check(struct.unpack('>H', f.payload[:2])[0] in codes, expected, repr(f))
        self.script = 'failed'
        self.gone('the end of the stream behind the Close frame (RFC 6455 7.1.7)', SHUT_SECONDS)

    def do_bye(self, code, reason, linger=0.0, behind=b''):
        """We close; the client answers with the same code and waits for our FIN (CL-5, CL-8)."""
        self.script = 1005 if code is None else code
        self.send(encode(CLOSE, close_payload(code, reason)) + behind)
        self.do_closing(code)
        if linger:
            self.do_quiet(linger)
        self.do_fin()
        self.gone()

    def do_closing(self, code, reason=b''):
        """The client's Close frame, with exactly this."""
        want = close_payload(code, reason)
        f = self.frame('Close %s' % close_words(want))
        self.check(f.opcode == CLOSE and f.payload == want, 'Close %s' % close_words(want), repr(f))

    def do_fin(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def do_gone(self, seconds=GONE_SECONDS):
        self.gone(seconds=seconds)

    def do_gone_after(self, low, high):
        """The client gives up by itself, not too early."""
        started = time.monotonic()
        self.gone(seconds=high)
        took = time.monotonic() - started
        self.check(took >= low, 'the end of the stream after %g s or more' % low, '%.3f s' % took)

    def do_lost(self, delivered):
        """Our FIN without Close: nothing comes but k6/ws's Close 1006, then the client's end."""
        self.script, self.delivered = 'eof', delivered
        self.do_fin()
        if self.api == 'ws':
            f = self.frame('Close 1006')
            self.check(f.opcode == CLOSE and f.payload == close_payload(1006), 'Close 1006', repr(f))
        self.gone()

    def do_reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()
        self.script = 'reset'

    def do_refused(self):
        """The handshake fails: no bytes, TCP closed at once (HR-14)."""
        self.script = 'refused'
        self.gone('the end of the stream without a byte')

    def do_delivered(self, count):
        self.delivered = count

    def do_any_script(self):
        """What the script sees is not this case's matter."""
        self.delivered = None
        self.script = None

    def play(self, case):
        self.check_request()
        steps = case.steps() if callable(case.steps) else case.steps
        for step in steps:
            getattr(self, 'do_' + step[0])(*step[1:])


class Server:
    """Plays case n for a request of /case?n=N. `outcomes` maps n to (Fail or None, Peer)."""

    def __init__(self, cases, api, profile, http2=False):
        self.cases, self.api, self.profile, self.http2 = cases, api, profile, http2
        self.mask_keys, self.keys = [], []
        self.outcomes, self.started, self.seconds = {}, set(), {}
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.url = 'ws://127.0.0.1:%d' % self.port
        self.active = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.active += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        if self.http2:
            sock = http2.Socket(sock)
        peer, n, problem = Peer(self, sock), None, None
        at = time.monotonic()
        try:
            if peer.read_head():
                m = re.fullmatch(r'/case\?n=(\d+)', peer.target)
                if m and int(m[1]) < len(self.cases):
                    n = int(m[1])
                    with self.lock:
                        again, _ = n in self.started, self.started.add(n)
                    Peer.check(not again, 'one connection per case', 'a second one')
                    peer.play(self.cases[n])
        except Fail as e:
            problem = e
        except Exception as e:  # a mistake of the case table must not look like a pass
            problem = Fail('a case that can be played', '%s: %s' % (type(e).__name__, e))
        finally:
            if problem:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                except OSError:
                    pass
            sock.close()
            if n is not None:
                self.outcomes[n], self.seconds[n] = (problem, peer), time.monotonic() - at
            with self.lock:
                self.active -= 1

    def settle(self, seconds=HEAVY_SECONDS):
        deadline = time.monotonic() + seconds
        while self.active and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self):
        self.listener.close()


# --- what the tables are written with

class Case:
    """steps: list or a function that makes it (big payloads are made when played). client: what the script does, see
    echo_ws.js. compression: the script's parameter. heavy: megabytes, few at a time."""
    __slots__ = ('name', 'title', 'steps', 'client', 'compression', 'heavy', 'apis')

    def __init__(self, name, title, steps, client=None, compression=None, heavy=False, apis=('ws', 'websockets')):
        self.name, self.title, self.steps, self.client = name, title, steps, client or {}
        self.compression, self.heavy, self.apis = compression, heavy, apis


def fragments(opcode, payload, size, rsv=0):
    """Frames of one message."""
    if not size or len(payload) <= size:
        return [encode(opcode, payload, rsv=rsv)]
    starts = range(0, len(payload), size)
    return [encode(CONT if i else opcode, payload[i:i + size], fin=i == starts[-1], rsv=0 if i else rsv)
            for i in starts]


def raw(head, payload=b''):
    """A frame from the hex of its head: what encode refuses to write."""
    return bytes.fromhex(head) + payload


def tx(*parts):
    return ('tx', b''.join(parts))


def chop(data, size=1, pause=0.0):
    return ('chop', data, size, pause)


def echo(opcode, payload):
    """The message comes back."""
    return ('message', opcode, payload)


def pong(payload=b''):
    return ('pong', payload)


def quiet(seconds=0.04):
    return ('quiet', seconds)


def fail(*codes):
    return ('fail', codes)


def bye(code=1000, reason=b'', **kw):
    return ('bye', code, reason, kw.get('linger', 0.0), kw.get('behind', b''))


def upgraded(*steps, extra=b''):
    return [('upgrade', extra), *steps]


__all__ = ['BINARY', 'CLOSE', 'CONT', 'PING', 'PONG', 'TEXT', 'HEAD', 'Case', 'Deflate', 'Fail', 'Server', 'bye', 'chop',
           'close_payload', 'echo', 'encode', 'fail', 'fragments', 'pong', 'quiet', 'raw', 'tx', 'upgraded']
