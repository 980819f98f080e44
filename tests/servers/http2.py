# SPDX-License-Identifier: Apache-2.0
"""The server's end of a WebSocket over HTTP/2 (RFC 8441), made to look like the socket of one over HTTP/1.1.

A behaviour written for a plain socket so serves both: it reads a GET with Upgrade, made of the CONNECT, and its answer,
a head in HTTP/1, becomes HEADERS (101 becomes 200). FIN is END_STREAM, a reset is RST_STREAM. One stream per connection;
the client's window is kept to, and ours is given back as the test reads. A thread may send while another one reads.
"""
import base64
import os
import socket
import struct
import threading

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
ALLOW = struct.pack('>HI', 8, 1)  # SETTINGS_ENABLE_CONNECT_PROTOCOL
CANCEL = 8
DROPPED = (b'upgrade', b'connection', b'sec-websocket-accept', b'transfer-encoding')


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def number(n):
    """An integer of HPACK with a prefix of seven bits (RFC 7541 5.1)."""
    if n < 127:
        return bytes([n])
    out, n = [127], n - 127
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + [n])


def field(name, value):
    """A literal field without indexing and Huffman coding."""
    return b'\0' + number(len(name)) + name + number(len(value)) + value


class Socket:
    """As much of socket.socket as the servers of the tests use. `sock` is connected; the preface is not read yet."""

    def __init__(self, sock, settings=ALLOW):
        self.sock, self.stream = sock, 0
        self.raw, self.ready, self.head_out, self.block = b'', b'', b'', b''
        self.head_sent = self.ended = self.over = self.fin = self.linger = False
        self.stream_window, self.window, self.initial = 65535, 65535, 65535
        self.reset_code = None  # of the client's RST_STREAM
        self.goaway = None
        self.request = []
        self.reading, self.writing, self.state = threading.Lock(), threading.Lock(), threading.Lock()
        self._put(frame(SETTINGS, 0, 0, settings))

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def _put(self, data):
        with self.writing:
            self.sock.sendall(data)

    # --- in

    def _exactly(self, n):
        while len(self.raw) < n:
            data = self.sock.recv(1 << 18)
            if not data:
                self.over = True
                return None
            self.raw += data
        out, self.raw = self.raw[:n], self.raw[n:]
        return out

    def _one(self, needless):
        """Takes in one frame, unless it is needless: another thread, which may be in recv for long, has taken in what
        was waited for. A time-out leaves what is there."""
        while not needless():
            if self.reading.acquire(timeout=0.02):
                try:
                    if not needless():
                        self._take()
                finally:
                    self.reading.release()
                return

    def _take(self):
        while len(self.raw) < 9 or len(self.raw) < 9 + int.from_bytes(self.raw[:3], 'big'):
            if self.raw.startswith(b'PRI'):
                if self._exactly(len(PREFACE)) is None:
                    return
                continue
            data = self.sock.recv(1 << 18)
            if not data:
                self.over = True
                return
            self.raw += data
        head = self._exactly(9)
        payload = self._exactly(int.from_bytes(head[:3], 'big'))
        self._got(head[3], head[4], int.from_bytes(head[5:], 'big'), payload)

    def _got(self, kind, flags, stream, payload):
        if kind in (HEADERS, CONTINUATION) and not self.request:
            self.stream, self.stream_window = stream, self.initial
            self.block += payload
            if flags & END_HEADERS:
                import hpack  # needed by those cases alone
                self._got_request(hpack.Decoder().decode(self.block))
        elif kind == DATA:
            with self.state:
                self.ready += payload
            if payload:
                give = struct.pack('>I', len(payload))
                self._put(frame(WINDOW, 0, 0, give) + frame(WINDOW, 0, stream, give))
        elif kind == SETTINGS and not flags & ACK:
            for i in range(0, len(payload), 6):
                key, value = struct.unpack('>HI', payload[i:i + 6])
                if key == 4:
                    self.initial = self.stream_window = value
            self._put(frame(SETTINGS, ACK, 0))
        elif kind == WINDOW:
            with self.state:
                if stream:
                    self.stream_window += int.from_bytes(payload, 'big')
                else:
                    self.window += int.from_bytes(payload, 'big')
        elif kind == PING and not flags & ACK:
            self._put(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self.reset_code = int.from_bytes(payload, 'big')
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], 'big')
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended = True

    def _got_request(self, fields):
        self.request = fields
        pseudo = {k: v for k, v in fields if k.startswith(':')}
        assert (pseudo[':method'], pseudo[':protocol']) == ('CONNECT', 'websocket'), pseudo
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ['GET %s HTTP/1.1' % pseudo[':path'], 'Host: ' + pseudo[':authority'], 'Upgrade: websocket',
                 'Connection: Upgrade', 'Sec-WebSocket-Key: ' + key]
        lines += ['%s: %s' % (k, v) for k, v in fields if not k.startswith(':')]
        self.ready += '\r\n'.join(lines + ['', '']).encode('latin-1')

    def recv(self, n):
        while not self.ready:
            if self.reset_code is not None and not self.ended:
                raise ConnectionResetError('RST_STREAM %d' % self.reset_code)
            if self.ended or self.over:
                return b''
            self._one(lambda: self.ready or self.ended)
        with self.state:
            out, self.ready = self.ready[:n], self.ready[n:]
        return out

    # --- out

    def sendall(self, data):
        data = bytes(data)
        if not self.head_sent:
            self.head_out += data
            if b'\r\n\r\n' not in self.head_out:
                return
            head, data = self.head_out.split(b'\r\n\r\n', 1)
            self._send_head(head.split(b'\r\n'))
        while data:
            room = min(self.stream_window, self.window, 16384, len(data))
            if room <= 0:
                if self.reset_code is not None or self.over:
                    raise BrokenPipeError('the stream is gone')
                self._one(lambda: min(self.stream_window, self.window) > 0)
                continue
            with self.state:
                self.stream_window -= room
                self.window -= room
            self._put(frame(DATA, 0, self.stream, data[:room]))
            data = data[room:]

    def _send_head(self, lines):
        self.head_sent = True
        status = lines[0].split(b' ')[1]
        block = field(b':status', b'200' if status == b'101' else status)
        for line in lines[1:]:
            name, value = line.split(b':', 1)
            if name.lower() not in DROPPED:
                block += field(name.lower(), value.strip())
        self._put(frame(HEADERS, END_HEADERS, self.stream, block))

    # --- ends

    def setsockopt(self, level, option, value):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self.linger = True
        else:
            self.sock.setsockopt(level, option, value)

    def _end(self):
        if not self.fin and self.head_sent:
            self.fin = True
            self._put(frame(DATA, END_STREAM, self.stream))

    def shutdown(self, how):
        if how == socket.SHUT_WR and self.head_sent:
            self._end()
        else:
            self.sock.shutdown(how)

    def close(self):
        try:
            if self.linger and self.stream:
                self._put(frame(RST_STREAM, 0, self.stream, struct.pack('>I', CANCEL)))
            else:
                self._end()
        except OSError:
            pass
        self.sock.close()
