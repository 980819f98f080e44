# SPDX-License-Identifier: Apache-2.0
"""An HTTP CONNECT proxy that records what it is asked and tunnels every target to one address."""
import socket
import threading

STEP_SECONDS = 15.0


class ConnectProxy:
    """`answer` is the raw reply to CONNECT; a reply with status 200 is followed by a tunnel to ('127.0.0.1', port)."""

    def __init__(self, port, answer=b'HTTP/1.1 200 Connection established\r\n\r\n'):
        self.to, self.answer = ('127.0.0.1', port), answer
        self.heads = []  # request heads, verbatim
        self.problem = None
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.url = 'http://127.0.0.1:%d' % self.port
        threading.Thread(target=self._accept, daemon=True).start()

    def lines(self):
        return [head.split(b'\r\n')[0].decode('latin-1') for head in self.heads]

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(STEP_SECONDS)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            head = b''
            while b'\r\n\r\n' not in head:
                data = sock.recv(4096)
                if not data:
                    return
                head += data
            head, _, early = head.partition(b'\r\n\r\n')
            self.heads.append(head + b'\r\n\r\n')
            if not self.answer.split(b'\r\n')[0].split(b' ')[1:2] == [b'200']:
                sock.sendall(self.answer)
                return
            with socket.create_connection(self.to, STEP_SECONDS) as up:
                sock.sendall(self.answer)
                if early:
                    up.sendall(early)
                back = threading.Thread(target=self._pump, args=(up, sock), daemon=True)
                back.start()
                self._pump(sock, up)
                back.join(STEP_SECONDS)
        except OSError:
            pass
        finally:
            sock.close()

    @staticmethod
    def _pump(src, dst):
        try:
            while True:
                data = src.recv(65536)
                if not data:
                    break
                dst.sendall(data)
            dst.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
