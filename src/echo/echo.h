/* SPDX-License-Identifier: Apache-2.0 */
/* The server behind `squall echo`: for demonstrations, tests and calibration. It runs on a loop
 * that the caller owns and runs; everything here is for that loop's thread. Prints nothing.
 *
 *   /  /echo and any other path   every message comes back; pings and closes are answered, as
 *                                 everywhere
 *   /push?interval=MS&size=N&count=N   a feed of JSON texts of N bytes {"seq":1,...}; interval 0:
 *                                 as fast as they are taken; count 0: without end
 *   /broadcast?room=NAME          each message goes to all connections of the room, sender too
 *   /close?code=N&reason=R&after=MS    closes, at once by default
 *   /ping?interval=MS             pings; echoes
 *   /silent                       reads, sends nothing but pongs and the answer to a Close
 *   /stall                        reads nothing after the handshake
 *   /refuse?status=N              answers the upgrade with that status
 *   /slow?ms=N                    answers the upgrade that much later
 *   /cookie                       sets `squall_session`; the Cookie header is the first message
 *
 * The first subprotocol that the client names is chosen. permessage-deflate is accepted, without
 * context in either direction. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "loop/loop.h"

/* Zero is a sound default everywhere. Strings are borrowed for the call of sq_echo_start. */
struct sq_echo_options {
    const char *address; /* to listen on, IPv4 or IPv6 without brackets; NULL: 127.0.0.1 */
    uint16_t port;       /* 0: one that is free */
    bool tls;
    const char *tls_cert, *tls_key; /* PEM files; both NULL: a self-signed one is made in memory */
    bool no_deflate;
    uint32_t connections_max;     /* 0: 1,000,000; more wait in the kernel's queue */
    uint64_t message_bytes_max;   /* 0: 64 MiB; longer ones end with 1009 */
    uint64_t buffered_bytes_max;  /* of all connections; 0: 1 GiB; who passes it ends with 1013 */
    int64_t handshake_timeout_ns; /* 0: 10 s */
};

struct sq_echo;

/* Listens. Owned: sq_echo_stop. */
SQ_MUST_USE int sq_echo_start(struct sq_loop *loop, const struct sq_echo_options *options,
                              struct sq_echo **out, struct sq_error *err);
/* Says 1001 to open connections as far as that needs no waiting, closes everything, frees. Not from
 * inside a callback of this server. NULL is fine. */
void sq_echo_stop(struct sq_echo *echo);
uint16_t sq_echo_port(const struct sq_echo *echo);

struct sq_echo_stats {
    uint64_t accepted;                   /* TCP connections */
    uint64_t opened;                     /* WebSocket connections among them */
    uint64_t messages;                   /* received */
    uint64_t received_bytes, sent_bytes; /* on the wire below TLS's own overhead */
    uint32_t connections;                /* now */
    uint64_t buffered_bytes;             /* now */
};
void sq_echo_stats(const struct sq_echo *echo, struct sq_echo_stats *out);
