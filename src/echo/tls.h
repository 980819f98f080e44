/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS server side for the echo server: certificates from files or made in memory, and sessions
 * over a socket. OpenSSL 3. Loop's thread. */
#pragma once
#include <openssl/types.h>
#include <sys/types.h>

#include "base/base.h"
#include "base/error.h"

struct sq_echo_tls;

/* Both paths NULL: a self-signed certificate for localhost, 127.0.0.1 and ::1. */
SQ_MUST_USE int sq_echo_tls_new(const char *cert_path, const char *key_path,
                                struct sq_echo_tls **out, struct sq_error *err);
void sq_echo_tls_free(struct sq_echo_tls *tls); /* after all sessions */

/* A session over a connected socket, which stays the caller's. Owned: SSL_free. NULL: no memory. */
SSL *sq_echo_tls_session(struct sq_echo_tls *tls, int fd);
/* > 0 bytes; 0: would block; SQ_EEOF, SQ_ETLS or -errno. Handshakes on the way. */
ssize_t sq_echo_tls_read(SSL *ssl, void *data, size_t len);
ssize_t sq_echo_tls_write(SSL *ssl, const void *data, size_t len);
/* The last call waits until the socket is writable, whichever it was. */
bool sq_echo_tls_wants_write(const SSL *ssl);
/* close_notify, if it can be sent without waiting. */
void sq_echo_tls_bye(SSL *ssl);
