/* SPDX-License-Identifier: Apache-2.0 */
/* How dialling makes streams. Not for other layers. */
#pragma once
#include <openssl/bio.h>

#include "net/address.h"
#include "net/stream.h"

struct sq_stream {
    struct sq_stream *lower; /* owned; what TLS or HTTP/2 runs over; NULL in a plain stream */
    SSL *ssl;                /* owned; NULL in one without TLS of its own */
    struct sq_h2 *h2;        /* owned; NULL in all others */
    struct sq_net_counters *counters;
    char *error_text; /* owned; NULL while nothing failed */
    uint8_t *unread;  /* owned; bytes behind a proxy's answer, read before all others */
    uint32_t unread_at, unread_len;
    int fd;         /* -1 in a TLS stream: the lower one has it */
    int error;      /* the status that the last failing call returned */
    int read_error; /* of TLS: every further read returns it */
    uint16_t remote_port;
    bool eof, read_blocked, read_wants_write, write_wants_read;
    bool offers_h2;   /* of TLS: by ALPN */
    char remote_ip[]; /* of a plain stream */
};

/* Owns fd from now on. */
struct sq_stream *sq_stream_new(int fd, const union sq_address *remote,
                                struct sq_net_counters *counters);
/* A TLS client over `lower`; owns both, even when it fails (NULL: out of memory). */
struct sq_stream *sq_stream_new_tls(struct sq_stream *lower, SSL *ssl, const BIO_METHOD *method);
/* HTTP/2 over `lower`, which it owns. What fails at once is met by the first request. */
struct sq_stream *sq_stream_new_h2(struct sq_stream *lower, struct sq_loop *loop);
/* Before the handshake: h2 comes first in the ALPN offer. False: out of memory. */
SQ_MUST_USE bool sq_stream_offer_h2(struct sq_stream *s);
/* After it: the server chose h2. */
bool sq_stream_chose_h2(const struct sq_stream *s);
/* How TLS reaches the stream below it; owned: BIO_meth_free. */
BIO_METHOD *sq_stream_bio_method_new(void);
/* 1: done; 0: would block (sq_stream_read_wants); else a negative status, a text, a MET-38 code. */
SQ_MUST_USE int sq_stream_handshake(struct sq_stream *s, int *error_code);
/* The bytes are copied and read again before anything else. */
void sq_stream_unread(struct sq_stream *s, struct sq_slice data);
/* "read tcp 127.0.0.1:5->127.0.0.1:80: <what>"; owned: free(). */
char *sq_stream_text(const struct sq_stream *s, const char *verb, const char *what);
/* strerror as k6 spells it: lower case at the start. */
void sq_errno_text(int error, char out[128]);
