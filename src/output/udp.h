/* SPDX-License-Identifier: Apache-2.0 */
/* Lines packed into datagrams. The output's thread. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct sq_udp {
    int fd;
    size_t bytes_max, lines_max; /* of one datagram; lines_max 0: any number */
    struct sq_buf datagram;
    size_t lines;
    uint64_t sent, failed; /* datagrams */
    int first_error;       /* -errno; 0: none yet */
};

/* Resolves and connects; main thread. */
SQ_MUST_USE int sq_udp_open(struct sq_udp *udp, const char *host, const char *port,
                            struct sq_error *err);
void sq_udp_close(struct sq_udp *udp);
/* `line` is with its line feed. Never blocks for long: what the kernel does not take is lost and
 * counted. */
void sq_udp_put(struct sq_udp *udp, struct sq_slice line);
void sq_udp_flush(struct sq_udp *udp);
