# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server (RFC 6455, 7692) that does what a test tells it, byte by byte, and records all it sees.

One thread per connection; a behaviour is a function of the connection. It is free to break every rule: answer nothing,
answer garbage, mask its frames, lie, stop reading, reset. When the behaviour returns the rest of the stream is read and
recorded until its end, unless the behaviour closed the socket itself.
"""
import base64
import hashlib
import socket
import ssl
import struct
import threading
import time
import zlib

from servers.http2 import Socket as StreamSocket

GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PMD_BOTH = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
STEP_SECONDS = 15.0  # no single socket call waits longer: a case cannot hang in its server


class Ended(Exception):
    """The peer's stream is over; how is in Conn.end."""


class Frame:
    __slots__ = ('fin', 'rsv', 'opcode', 'payload', 'mask', 'wire_len', 'at')

    def __init__(self, fin, rsv, opcode, payload, mask, wire_len):
        self.fin, self.rsv, self.opcode = fin, rsv, opcode
        self.payload, self.mask, self.wire_len = payload, mask, wire_len
        self.at = time.monotonic()

    def __repr__(self):
        return 'Frame(fin=%d rsv=%d op=%d len=%d %r)' % (
            self.fin, self.rsv, self.opcode, len(self.payload), self.payload[:40])


class Message:
    __slots__ = ('opcode', 'payload', 'rsv', 'frames')

    def __init__(self, first):
        self.opcode, self.rsv, self.payload, self.frames = first.opcode, first.rsv, b'', []
        self.add(first)

    def add(self, frame):
        self.payload += frame.payload
        self.frames.append(frame)

    @property
    def text(self):
        return self.payload.decode('utf-8')

    def __repr__(self):
        return 'Message(op=%d rsv=%d len=%d %r)' % (self.opcode, self.rsv, len(self.payload), self.payload[:40])


def apply_mask(payload, key):
    if not payload:
        return payload
    n = len(payload)
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, 'big') ^ int.from_bytes(pad, 'big')).to_bytes(n, 'big')


def encode(opcode, payload=b'', fin=True, rsv=0, mask=None):
    """One frame as bytes; rsv is 0..7 (RSV1 = 4); mask is a 4-byte key, which a server must not use."""
    if isinstance(payload, str):
        payload = payload.encode('utf-8')
    n = len(payload)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack('>H', n)
    else:
        head += bytes([bit | 127]) + struct.pack('>Q', n)
    if mask is not None:
        return head + mask + apply_mask(payload, mask)
    return head + payload


def close_payload(code=None, reason=b''):
    if isinstance(reason, str):
        reason = reason.encode('utf-8')
    return b'' if code is None else struct.pack('>H', code) + reason


def deflate(payload):
    """RFC 7692 7.2.1, no context takeover."""
    if isinstance(payload, str):
        payload = payload.encode('utf-8')
    z = zlib.compressobj(wbits=-15)
    return (z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(payload):
    """RFC 7692 7.2.2 with a fresh inflater."""
    return zlib.decompressobj(wbits=-15).decompress(payload + b'\x00\x00\xff\xff')


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key.encode('latin-1') + GUID).digest()).decode('ascii')


class Conn:
    """One accepted TCP connection. All fields may be read by the test once `done` is set."""

    def __init__(self, server, sock, peer):
        self.server, self.sock, self.peer = server, sock, peer
        self.opened_at = time.monotonic()
        self.head = b''           # request head, verbatim, with the empty line
        self.target = None        # request target, verbatim
        self.headers = []         # [(name as sent, value)], latin-1
        self.head_at = None
        self.frames = []
        self.bytes_in = self.bytes_out = 0
        self.head_out = b''       # what we answered
        self.end = None           # 'fin', 'rst', 'local' (we closed), 'timeout', 'tls'
        self.end_at = None
        self.problem = None       # a traceback of the behaviour: always a bug of the test
        self.upgraded = threading.Event()
        self.done = threading.Event()
        self.local_closed = False
        self.raw = False          # finish() took TLS off: what comes now is no WebSocket
        self._buf = b''

    # --- reading

    def _more(self):
        data = self._recv()
        while data and self.raw:
            data = self._recv()
        if not data:
            self._ended('fin')
        self.bytes_in += len(data)
        self._buf += data

    def _recv(self):
        try:
            return self.sock.recv(262144)
        except socket.timeout:
            self._ended('timeout')
        except OSError:
            self._ended('rst')

    def _ended(self, how):
        if self.end is None:
            self.end, self.end_at = how, time.monotonic()
        raise Ended(how)

    def _take(self, n):
        while len(self._buf) < n:
            self._more()
        out, self._buf = self._buf[:n], self._buf[n:]
        return out

    def read_head(self):
        while b'\r\n\r\n' not in self._buf:
            self._more()
        at = self._buf.index(b'\r\n\r\n') + 4
        self.head, self._buf = self._buf[:at], self._buf[at:]
        self.head_at = time.monotonic()
        lines = self.head.decode('latin-1').split('\r\n')
        self.target = lines[0][lines[0].index(' ') + 1:lines[0].rindex(' ')]
        self.headers = [tuple(line.split(': ', 1)) if ': ' in line else (line.rstrip(':'), '')
                        for line in lines[1:] if line]

    def header(self, name):
        """The values of a header joined as a list, or None when absent."""
        got = [v for k, v in self.headers if k.lower() == name.lower()]
        return ', '.join(got) if got else None

    def recv_frame(self):
        head = self._take(2)
        n, wire = head[1] & 127, 2
        if n == 126:
            n, wire = struct.unpack('>H', self._take(2))[0], 4
        elif n == 127:
            n, wire = struct.unpack('>Q', self._take(8))[0], 10
        mask = None
        if head[1] & 128:
            mask, wire = self._take(4), wire + 4
        payload = self._take(n)
        if mask is not None:
            payload = apply_mask(payload, mask)
        frame = Frame(bool(head[0] & 128), head[0] >> 4 & 7, head[0] & 15, payload, mask, wire + n)
        self.frames.append(frame)
        return frame

    @property
    def messages(self):
        """Data messages so far, client fragments joined."""
        out, open_message = [], None
        for f in list(self.frames):
            if f.opcode in (TEXT, BINARY):
                open_message = Message(f)
            elif f.opcode == CONT and open_message:
                open_message.add(f)
            else:
                continue
            if f.fin:
                out.append(open_message)
                open_message = None
        return out

    def of(self, opcode):
        return [f for f in list(self.frames) if f.opcode == opcode]

    @property
    def close_codes(self):
        """Codes of the Close frames received; None for an empty payload."""
        return [struct.unpack('>H', f.payload[:2])[0] if len(f.payload) >= 2 else None for f in self.of(CLOSE)]

    # --- writing: a peer that went away is not an error of ours

    def send(self, data):
        try:
            self.sock.sendall(data)
            self.bytes_out += len(data)
            return True
        except OSError:
            return False

    def accept(self, headers=(), protocol=None, accept=None, upgrade='websocket', connection='Upgrade',
               extensions=None, tail=b''):
        """Sends the 101; None leaves a field out. tail is sent in the same write."""
        if accept is None:
            accept = accept_key(self.header('sec-websocket-key') or '')
        lines = ['HTTP/1.1 101 Switching Protocols']
        for name, value in (('Upgrade', upgrade), ('Connection', connection), ('Sec-WebSocket-Accept', accept),
                            ('Sec-WebSocket-Protocol', protocol), ('Sec-WebSocket-Extensions', extensions)):
            if value is not None:
                lines.append('%s: %s' % (name, value))
        lines += ['%s: %s' % pair for pair in headers]
        self.head_out = ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')
        self.send(self.head_out + tail)
        self.upgraded.set()

    def refuse(self, status, reason, headers=(), body=b''):
        if isinstance(body, str):
            body = body.encode('utf-8')
        lines = ['HTTP/1.1 %d %s' % (status, reason), 'Content-Length: %d' % len(body), 'Connection: close']
        lines += ['%s: %s' % pair for pair in headers]
        self.head_out = ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')
        self.send(self.head_out + body)
        self.finish()

    def frame(self, opcode, payload=b'', **kw):
        return self.send(encode(opcode, payload, **kw))

    def text(self, payload):
        return self.frame(TEXT, payload)

    def close_frame(self, code=None, reason=b''):
        return self.frame(CLOSE, close_payload(code, reason))

    def dribble(self, data, pause=0.001):
        for i in range(len(data)):
            if not self.send(data[i:i + 1]):
                return
            time.sleep(pause)

    def finish(self):
        """FIN: our sending half ends, reading goes on."""
        self.raw = isinstance(self.sock, ssl.SSLSocket)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.shut()

    def shut(self):
        self.local_closed = True
        if self.end is None:
            self.end, self.end_at = 'local', time.monotonic()
        self.sock.close()

    # --- ready-made endings

    def drain(self, pongs=True, echo=False, closes=True, deflated=False):
        """Serves the connection until it ends: answers pings and closes, echoes messages."""
        message = None
        while True:
            f = self.recv_frame()
            if f.opcode == PING and pongs:
                self.frame(PONG, f.payload)
            elif f.opcode == CLOSE and closes:
                self.frame(CLOSE, f.payload[:2])
                self.finish()
            elif f.opcode in (TEXT, BINARY, CONT) and echo:
                if f.opcode != CONT:
                    message = Message(f)
                elif message:
                    message.add(f)
                if f.fin and message:
                    if message.rsv & 4:
                        self.frame(message.opcode, deflate(inflate(message.payload)), rsv=4)
                    else:
                        self.frame(message.opcode, message.payload)
                    message = None

    def record(self):
        """Reads and records until the end, answers nothing."""
        while True:
            self.recv_frame()

    def hold(self, seconds=STEP_SECONDS):
        """Neither reads nor writes until the test stops the server."""
        self.server.stopping.wait(seconds)


def echo(conn):
    conn.accept()
    conn.drain(echo=True)


def quiet(conn):
    conn.accept()
    conn.drain()


def silent(conn):
    """Upgrades, then records and never answers anything."""
    conn.accept()
    conn.record()


def echo_deflate(conn):
    conn.accept(extensions=PMD_BOTH)
    conn.drain(echo=True)


def never_answer(conn):
    """Reads the request and says nothing."""
    conn.record()


def never_read(conn):
    conn.accept()
    conn.hold()


def after(wire, then='drain'):
    """A behaviour: `wire` in one write with the 101, then drain, fin or reset."""
    def behave(conn):
        conn.accept(tail=wire)
        if then == 'fin':
            conn.finish()
        if then == 'reset':
            conn.reset()
            return
        conn.drain(closes=False)
    return behave


def closing(code=None, reason=b'', before=b''):
    """A behaviour: sends `before` and a Close frame, then records the client's answer until its end."""
    return after(before + encode(CLOSE, close_payload(code, reason)))


def refusing(status, reason, headers=(), body=b''):
    return lambda conn: conn.refuse(status, reason, headers, body)


class Server:
    """Listens on a free port of 127.0.0.1. `behaviour` is a function of Conn, or a dict path -> function where the
    path is the request target up to '?' or '#'. `http2`: the SETTINGS of a server whose
    behaviours play on a stream (http2.py)."""

    def __init__(self, behaviour=echo, tls=None, rcvbuf=None, http2=b''):
        self.behaviour, self.tls, self.http2 = behaviour, tls, http2
        self.conns, self.accepted_at = [], []
        self.stopping = threading.Event()
        self._news = threading.Condition()
        self._threads = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.ws = '%s://127.0.0.1:%d' % ('wss' if tls else 'ws', self.port)
        self.http = '%s://127.0.0.1:%d' % ('https' if tls else 'http', self.port)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            sock.settimeout(STEP_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Conn(self, sock, peer)
            with self._news:
                self.conns.append(conn)
                self._news.notify_all()
            thread = threading.Thread(target=self._serve, args=(conn,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, conn):
        import traceback
        try:
            if self.tls:
                try:
                    conn.sock = self.tls.wrap_socket(conn.sock, server_side=True)
                except OSError:
                    conn.end, conn.end_at = 'tls', time.monotonic()
                    return
            if self.http2:
                conn.sock = StreamSocket(conn.sock, self.http2)
            conn.read_head()
            with self._news:
                self._news.notify_all()
            behave = self.behaviour
            if isinstance(behave, dict):
                path = conn.target.split('?')[0].split('#')[0]
                behave = behave.get(path) or refusing(404, 'Not Found', body='no such path in this test')
            behave(conn)
            if not conn.local_closed:
                conn.record()
        except Ended:
            pass
        except Exception:
            conn.problem = traceback.format_exc()
        finally:
            try:
                conn.sock.close()
            except OSError:
                pass
            conn.done.set()
            with self._news:
                self._news.notify_all()

    def wait(self, condition, seconds=10.0):
        """Waits until condition(self) holds; looks at least every 10 ms. Returns whether it did."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            if time.monotonic() > deadline:
                return False
            with self._news:
                self._news.wait(0.01)
        return True

    def requests(self):
        return [c for c in self.conns if c.head]

    def settle(self, seconds=5.0):
        """Call after the client has exited: every connection has then ended; waits until all is recorded."""
        self.stopping.set()
        deadline = time.monotonic() + seconds
        for conn in list(self.conns):
            conn.done.wait(max(0.0, deadline - time.monotonic()))

    def stop(self):
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in list(self.conns):
            try:
                conn.sock.close()
            except OSError:
                pass
