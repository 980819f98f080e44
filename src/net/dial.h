/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a connected stream: hosts and block lists, DNS, proxy, TCP (RFC 8305 when asked
 * for), TLS. Rules NT of the protocol specification. Loop's thread. */
#pragma once
#include "base/base.h"
#include "net/net.h"
#include "net/stream.h"

struct sq_dial_request {
    struct sq_slice host; /* without brackets; borrowed for the call */
    uint16_t port;
    bool secure; /* TLS; server name = host unless it is an address */
    bool http2;  /* with TLS: offer h2 before http/1.1 (sq_stream_chose_h2 tells) */
    uint32_t vu_id;
    int64_t deadline_ns; /* loop time; a TCP connect alone has 30 s */
    struct sq_net_counters
        *counters; /* borrowed until the stream is freed or detached; may be NULL */
};

struct sq_dial_result {
    struct sq_stream *stream; /* owned by the receiver; NULL: failed */
    int error;                /* negative status */
    int error_code;           /* MET-38 */
    const char *text;         /* k6's words: "dial tcp 127.0.0.1:1: connect: connection refused" */
    const char *remote_ip;    /* "" when none was tried */
    /* Points t1..t4 of TM in loop time; 0: not reached. tcp_ns: through the proxy, to the target;
     * tls_ns stays 0 without TLS. */
    int64_t start_ns, resolved_ns, tcp_ns, tls_ns;
};

struct sq_dial;
/* Every dial ends (by `done` or sq_dial_cancel) before sq_net_free. Never calls back synchronously.
 * Borrowed result, valid for the call. */
struct sq_dial *sq_dial_start(struct sq_net *net, const struct sq_dial_request *request,
                              void (*done)(void *user, const struct sq_dial_result *result),
                              void *user);
/* No callback after it. Only before `done` was called. */
void sq_dial_cancel(struct sq_dial *dial);
