# SPDX-License-Identifier: Apache-2.0
"""Self-signed certificates, made by the openssl command in the case's own folder."""
import os
import ssl
import subprocess


def make_certificate(folder, names=('DNS:localhost', 'IP:127.0.0.1')):
    """Returns (certificate path, key path)."""
    cert, key = os.path.join(folder, 'cert.pem'), os.path.join(folder, 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=' + ','.join(names),
                    '-keyout', key, '-out', cert],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return cert, key


def server_context(folder, names=('DNS:localhost', 'IP:127.0.0.1')):
    cert, key = make_certificate(folder, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
