/* SPDX-License-Identifier: Apache-2.0 */
/* What all WebSocket connections of one thread share: zlib states, scratch memory, and spare parts
 * for messages that span reads, so that a steady flow of them allocates nothing. Not for other
 * layers. */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "net/net.h"
#include "proto/ws/deflate.h"

enum {
    SQ_WS_SCRATCH_BYTES = 256 * 1024, /* large messages are masked in pieces of this size */
    SQ_WS_SPARE_MAX = 16,             /* incoming parts kept */
    SQ_WS_SPARE_BYTES = 64 * 1024,    /* the largest buffer that is kept */
    SQ_WS_GATHER_MAX = 48,            /* chunks that fill at one time; more would cost cache */
    SQ_WS_DATA_PADDING = 16,          /* readable bytes behind every message */
};

/* A message or control frame that is not complete, or bytes that wait for the end of a pause. */
struct sq_ws_incoming {
    struct sq_buf message; /* payload so far, inflated */
    struct sq_buf stash;   /* raw bytes not yet decoded, from stash_at on */
    size_t stash_at;
    uint8_t control_len;
    uint8_t control[125 + 16];
    struct sq_ws_incoming *next; /* while spare */
};

struct sq_ws_codec {
    struct sq_ws_deflate_pool *pool;
    struct sq_buf inflated; /* one whole message, for the time of its delivery */
    struct sq_buf deflated; /* one message being sent */
    uint8_t *scratch;       /* NULL until a large message was sent */
    struct sq_ws_incoming *spare;
    size_t spare_count;
    struct sq_net *net;
    struct sq_list gathering; /* connections whose chunk has bytes and room, oldest first */
    size_t gathering_count;
};

/* Made on first use; freed with the net. Never NULL. */
struct sq_ws_codec *sq_ws_codec(struct sq_net *net);
uint8_t *sq_ws_codec_scratch(struct sq_ws_codec *codec);
/* Empties the buffer; gives its memory back when it is larger than what is kept. */
void sq_ws_buf_recycle(struct sq_buf *buf);

struct sq_ws_incoming *sq_ws_incoming_acquire(struct sq_ws_codec *codec);
void sq_ws_incoming_release(struct sq_ws_codec *codec, struct sq_ws_incoming *incoming);
