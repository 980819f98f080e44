# SPDX-License-Identifier: Apache-2.0
"""Servers by others for the cases of k6/http: Node.js, nginx, haproxy; all on ports of their own."""
import json
import os
import subprocess
import time

from case import check, read
from servers.tls import make_certificate

HERE = os.path.dirname(os.path.abspath(__file__))


class Node:
    def __init__(self, t, tls=False):
        if tls and not os.path.exists(t.path('key.pem')):
            make_certificate(t.folder)
        self.child = t.spawn(['node', os.path.join(HERE, 'node_server.js'), t.folder])
        self.port = self.wait('port')
        self.url = 'http://127.0.0.1:%d' % self.port
        if tls:
            self.tls = 'https://127.0.0.1:%d' % self.wait('tls')

    def said(self, key):
        lines = read(self.child.log_path).split('\n')
        found = [json.loads(line) for line in lines[:-1] if line.startswith('{')]
        return [line[key] for line in found if key in line]

    def wait(self, key, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not self.said(key):
            check(self.child.poll() is None and time.monotonic() < deadline, 'Node.js never said %r:\n%s', key,
                  read(self.child.log_path)[-2000:])
            time.sleep(0.02)
        return self.said(key)[-1]


def openssl(t, *args):
    subprocess.run(['openssl', *args], check=True, cwd=t.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def make_client_certificates(t):
    """ca.pem, and of it client.pem with client-key.pem, also under a password in client-locked.pem."""
    openssl(t, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
            '-subj', '/CN=squall test ca', '-keyout', 'ca-key.pem', '-out', 'ca.pem')
    openssl(t, 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=ann',
            '-keyout', 'client-key.pem', '-out', 'client.csr')
    openssl(t, 'x509', '-req', '-in', 'client.csr', '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial',
            '-days', '2', '-out', 'client.pem')
    openssl(t, 'pkcs8', '-topk8', '-in', 'client-key.pem', '-passout', 'pass:open sesame', '-v1', 'PBE-SHA1-3DES',
            '-out', 'client-locked.pem')


NGINX = '''
daemon off;
master_process off;
pid @DIR@/nginx.pid;
error_log stderr crit;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path @DIR@/body;
    proxy_temp_path @DIR@/proxy;
    fastcgi_temp_path @DIR@/fastcgi;
    uwsgi_temp_path @DIR@/uwsgi;
    scgi_temp_path @DIR@/scgi;
    types { text/plain txt; }
    ssl_certificate @DIR@/cert.pem;
    ssl_certificate_key @DIR@/key.pem;
@SERVERS@
}
'''


def nginx(t, servers):
    """Starts nginx with these `server` blocks, in which @A@, @B@... are free ports; returns the ports by name."""
    ports = {name: t.free_port() for name in 'ABCD' if '@%s@' % name in servers}
    text = NGINX.replace('@SERVERS@', servers).replace('@DIR@', t.folder)
    if not os.path.exists(t.path('key.pem')):
        make_certificate(t.folder)
    for name, port in ports.items():
        text = text.replace('@%s@' % name, str(port))
    child = t.spawn(['/usr/sbin/nginx', '-e', 'stderr', '-p', t.folder, '-c', t.write('nginx.conf', text)])
    for port in ports.values():
        t.wait_port(port, child)
    return ports


HAPROXY = '''
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout http-request 5s
'''


def haproxy(t, text):
    """As nginx(), with frontends and backends; what is not there listens nowhere."""
    if not os.path.exists(t.path('key.pem')):
        make_certificate(t.folder)
    with open(t.path('both.pem'), 'w', encoding='ascii') as f:
        f.write(read(t.path('cert.pem')) + read(t.path('key.pem')))
    ports = {name: t.free_port() for name in 'ABCD' if '@%s@' % name in text}
    text = (HAPROXY + text).replace('@DIR@', t.folder)
    for name, port in ports.items():
        text = text.replace('@%s@' % name, str(port))
    child = t.spawn(['/usr/sbin/haproxy', '-db', '-f', t.write('haproxy.cfg', text)])
    for port in ports.values():
        t.wait_port(port, child)
    return ports
