/* SPDX-License-Identifier: Apache-2.0 */
/* permessage-deflate, RFC 7692, on zlib; rules PMD-5..PMD-16. Messages in, messages out; frames and
 * negotiation are elsewhere (frame.h, handshake.h). No clock, no I/O; one thread per shared pool.
 */
#pragma once
#include "base/base.h"
#include "base/buf.h"

enum { SQ_WS_PMD_BITS_OPEN = 255 }; /* client_max_window_bits offered without a value */

/* Parameters of an offer, or what was agreed on. All zero: no compression. */
struct sq_ws_pmd {
    bool enabled;
    bool server_no_context_takeover, client_no_context_takeover;
    uint8_t server_max_window_bits; /* 8..15; 0: not mentioned, that is 15 */
    uint8_t client_max_window_bits; /* the same; in an offer also SQ_WS_PMD_BITS_OPEN */
};

/* zlib states lent to the connections of one thread that keep no context between messages: a few
 * inflaters and one compressor per set of parameters. Holds nothing before first use. */
struct sq_ws_deflate_pool;
struct sq_ws_deflate_pool *sq_ws_deflate_pool_new(void);
void sq_ws_deflate_pool_free(struct sq_ws_deflate_pool *pool); /* after all its connections */

struct sq_ws_deflate_options {
    struct sq_ws_pmd agreed;
    bool server;              /* our side: which of the two directions we compress */
    int8_t level;             /* zlib level 1..9; 0: 1 */
    int8_t mem_level;         /* 1..9; 0: 8 */
    uint32_t threshold_bytes; /* shorter messages go plain when no context is kept (PMD-14) */
};

/* Per connection; embedded or on the heap. Between messages it owns zlib memory only for directions
 * whose context is kept, from their first message on. */
struct sq_ws_deflate {
    struct sq_ws_deflate_pool *pool;
    struct sq_ws_deflate_options opt;
    void *deflater; /* kept context, else NULL */
    void *inflater; /* kept context, or lent while a message is in progress */
    bool out_kept, in_kept;
    bool in_message; /* payload bytes of an unfinished message went in */
    bool at_end;     /* a final block ended with the input: more means a new stream */
};

/* `pool` is borrowed until deinit. */
void sq_ws_deflate_init(struct sq_ws_deflate *d, struct sq_ws_deflate_pool *pool,
                        const struct sq_ws_deflate_options *opt);
void sq_ws_deflate_deinit(struct sq_ws_deflate *d);

/* Compresses a whole message; appends its payload to *out. 1: done, set RSV1 on the first frame.
 * 0: send the message plain (too short, or a window of 8 bits was agreed on, PMD-6); *out is as it
 * was. -ENOMEM, SQ_ETOOBIG (out->max_bytes): the connection cannot go on with a kept context. */
SQ_MUST_USE int sq_ws_deflate_message(struct sq_ws_deflate *d, struct sq_slice message,
                                      struct sq_buf *out);

/* Inflates the next piece of a message's payload (any cut) and appends to *out; `last` with the
 * final piece, which may be empty. `limit_bytes` bounds out->len (0: none); growth follows the
 * bytes produced; out->max_bytes, if set, must leave room for one byte more than the limit. 0;
 * SQ_ETOOBIG above the limit: fail with 1009; SQ_EPROTO for bad data: 1007; -ENOMEM. Bytes produced
 * before an error are in *out: validate text as it grows (TX-4). The cut changes nothing but one
 * thing: a distance beyond an agreed window of less than 15 bits is bad data, or reaches what still
 * lies in *out. */
SQ_MUST_USE int sq_ws_inflate(struct sq_ws_deflate *d, struct sq_slice in, bool last,
                              uint64_t limit_bytes, struct sq_buf *out);

/* Does it own or borrow zlib memory now? For tests and statistics. */
bool sq_ws_deflate_holds_state(const struct sq_ws_deflate *d);
