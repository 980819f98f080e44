# SPDX-License-Identifier: Apache-2.0
"""Receivers for outputs: an HTTP server that keeps what it got, a UDP socket, and decoders of what they speak."""
import http.server
import os
import socket
import struct
import threading
import time

from case import check, equal

# Samples of every kind; the numbers differ from tag to tag. A hundred iterations take a third of a second.
SCRIPT = '''import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
import { check, sleep } from 'k6';
const c = new Counter('my_counter'), g = new Gauge('my_gauge'), r = new Rate('my_rate');
const tr = new Trend('my_trend', true), plain = new Trend('my_plain');
export const options = { vus: 3, iterations: @ITERATIONS@, tags: { run: 'a b' } };
export default function () {
  const n = __ITER * 3 + __VU;
  c.add(1 + n % 4, { kind: n % 2 ? 'odd' : 'even' });
  g.add(n);
  r.add(n % 5 === 0);
  tr.add(1 + (n * 7919) % 500, { kind: n % 2 ? 'odd' : 'even' });
  plain.add(n % 3 === 0 ? 0 : 2 ** (n % 7));
  check(n, { 'is one': (v) => v % 3 > 0 });
  sleep(0.01);
}'''


class Got:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body, self.at = method, path, headers, body, time.monotonic()


class Receiver:
    """`status`: a number, or a function of the request's number; `hang`: never answers."""

    def __init__(self, t, status=204, hang=False, tls=None, reply=b''):
        self.got, self.ended = [], threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
                number = len(receiver.got)
                receiver.got.append(Got(self.command, self.path, self.headers, body))
                if hang:
                    receiver.ended.wait(60)
                    return
                self.send_response(status(number) if callable(status) else status)
                self.send_header('Content-Length', str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(('127.0.0.1', 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        t.proxies.append(self)

    def stop(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


class Datagrams:
    def __init__(self, t):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        t.kept.append(self.socket)

    def all(self):
        out = []
        self.socket.settimeout(0.3)
        try:
            while True:
                out.append(self.socket.recv(65536))
        except socket.timeout:
            return out


# --- decoders

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        check(shift < 70, 'a varint that does not end')


def zigzag(n):
    return (n >> 1) ^ -(n & 1)


def signed(n):
    return n - (1 << 64) if n >> 63 else n


def unsnappy(data):
    """The block format: a length, then literals and copies."""
    size, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at:at + extra], 'little')
                at += extra
            out += data[at:at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            wide = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + wide], 'little')
            at += wide
        check(0 < offset <= len(out), 'a copy from before the start')
        for _ in range(length):
            out.append(out[-offset])
    equal(len(out), size, 'length of the unpacked data')
    return bytes(out)


def fields(data):
    """[(number, value)] of a message: ints for varints, 8 bytes for fixed64, bytes for the rest."""
    out, at = [], 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at:at + 8], at + 8
        else:
            equal(kind, 2, 'wire type')
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
            equal(len(value), length, 'length of a field')
        out.append((tag >> 3, value))
    return out


def packed_varints(data):
    out, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        out.append(value)
    return out


def double(data):
    return struct.unpack('<d', data)[0]


def fixed(data):
    return struct.unpack('<Q', data)[0]


def first(message, number, default=None):
    for field, value in message:
        if field == number:
            return value
    return default


# --- real receivers

def program(package, *paths):
    """The path of an installed program. Without it the case fails: tools/setup test installs it."""
    found = [path for path in paths if os.access(path, os.X_OK)]
    check(found, '%s is not installed; run `tools/setup test`, or apt-get install %s', os.path.basename(paths[0]), package)
    return found[0]


def percentile(values, p):
    values = sorted(values)
    at = p / 100 * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def one_warning(run, name, text, secret=None):
    """The run went on to its summary; the failure was said once and counted at the end."""
    equal(run.code, 0, 'exit code')
    check('iterations' in run.stdout, 'no summary:\n%s', run.stdout)
    said = [line for line in run.log if line.level == 'warning' and name in line.msg and text in line.msg]
    equal(len(said), 1, 'warnings with %r in:\n%s' % (text, run.stderr))
    counted = [line for line in run.log if 'output %s: ' % name in line.msg and ' failed' in line.msg]
    equal(len(counted), 1, 'the count at the end in:\n%s' % run.stderr)
    check(secret is None or secret not in run.stderr, 'credentials in the log')
