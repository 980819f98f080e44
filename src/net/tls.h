/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts of one thread (NT-10..15): one per distinct client certificate, made on first use,
 * with the trust store read once. OpenSSL 3. Loop's thread. */
#pragma once
#include <openssl/bio.h>

#include "base/base.h"
#include "base/error.h"
#include "net/net.h"

struct sq_tls;

SQ_MUST_USE int sq_tls_new(const struct sq_net_options *options, struct sq_tls **out,
                           struct sq_error *err); /* *options is borrowed for its life */
void sq_tls_free(struct sq_tls *tls);

/* A client for one connection to `host` (ASCII, or an address: then no SNI and an address check)
 * and `port` (the name of resumable sessions). `for_proxy`: the other end is an https:// proxy, no
 * client certificate. *out is owned: SSL_free. */
SQ_MUST_USE int sq_tls_client(struct sq_tls *tls, struct sq_slice host, uint16_t port,
                              bool for_proxy, SSL **out, struct sq_error *err);
const BIO_METHOD *sq_tls_bio_method(const struct sq_tls *tls);

/* Words and MET-38 code of what just failed on ssl; reads OpenSSL's error queue. Owned: free(). */
char *sq_tls_failure(const SSL *ssl, int *error_code);
/* After a finished handshake: 0, or SQ_ETLS with an owned text when the server chose a protocol
 * that was not offered: http/1.1 always is, h2 when `h2_offered`. */
SQ_MUST_USE int sq_tls_check_peer(const SSL *ssl, bool h2_offered, int *error_code, char **text);

/* Makes a context of another library (libcurl) behave as ours do towards `host`: trust, versions,
 * suites, client certificate, key log. */
SQ_MUST_USE int sq_tls_configure(struct sq_tls *tls, SSL_CTX *ctx, struct sq_slice host,
                                 bool for_proxy, struct sq_error *err);
/* What the last verification through such a context had against the certificate, with its MET-38
 * code; owned: free(). NULL: nothing. */
char *sq_tls_take_note(struct sq_tls *tls, int *error_code);

/* Whether every tlsCipherSuites name, PEM and password is usable. Initialises no trust store. */
SQ_MUST_USE int sq_tls_options_check(const struct sq_net_options *options, struct sq_error *err);
