/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket framing, RFC 6455 section 5: bytes in, headers and payload slices out, and back.
 * Rules FR-1..FR-7, FW-1..FW-6. Pure: no I/O, no allocation, no clock. One decoder per connection,
 * no locking. */
#pragma once
#include <assert.h>

#include "base/base.h"

enum sq_ws_opcode {
    SQ_WS_OP_CONTINUATION = 0,
    SQ_WS_OP_TEXT = 1,
    SQ_WS_OP_BINARY = 2,
    SQ_WS_OP_CLOSE = 8,
    SQ_WS_OP_PING = 9,
    SQ_WS_OP_PONG = 10,
};
static inline bool sq_ws_opcode_is_control(uint8_t opcode)
{
    return opcode & 8;
}

enum {
    SQ_WS_HEADER_MAX = 14,   /* longest frame header, bytes */
    SQ_WS_CONTROL_MAX = 125, /* longest payload of a control frame, bytes */
};

struct sq_ws_frame {
    uint64_t len; /* payload bytes */
    uint32_t key; /* masking key: the four bytes in wire order, as memcpy puts them here */
    uint8_t opcode;
    bool fin, rsv1, masked;
};

enum sq_ws_event {
    SQ_WS_NEED_MORE, /* all input consumed: feed the next read */
    SQ_WS_HEADER,    /* d->frame holds until the next header; its rules were checked already */
    SQ_WS_PAYLOAD,   /* *slice (never empty) borrows from *in; it is unmasked */
    SQ_WS_FRAME_END, /* the frame's last byte was delivered; also for empty frames */
};

enum sq_ws_decoder_flags {
    SQ_WS_RSV1_OK = 1,     /* permessage-deflate was negotiated */
    SQ_WS_LENIENT = 2,     /* [L]: masked frames of a server and long-winded lengths pass */
    SQ_WS_ROLE_SERVER = 4, /* the peer is a client: frames must be masked */
};

struct sq_ws_decoder {
    struct sq_ws_frame frame;
    uint64_t left_bytes;            /* payload of `frame` not yet delivered */
    uint8_t head[SQ_WS_HEADER_MAX]; /* a header cut by the end of a read waits here */
    uint8_t head_len;
    uint8_t flags; /* sq_ws_decoder_flags: set by the owner when the handshake is done */
    uint8_t state;
    bool in_message; /* a fragmented message waits for its continuation */
    uint8_t error;   /* sq_ws_decode_reason */
};
static_assert(sizeof(struct sq_ws_decoder) <= 48, "paid once per idle connection");

/* Consumes a prefix of *in and reports one event; call again until NEED_MORE. *d starts zeroed but
 * for the flags. Payload of masked frames is unmasked in place, so *in must be writable memory
 * then. Returns an sq_ws_event, or SQ_EPROTO for ever: fail the connection with 1002 (7.1.7). */
SQ_MUST_USE int sq_ws_decode(struct sq_ws_decoder *d, struct sq_slice *in, struct sq_slice *slice);
/* After SQ_EPROTO: what was wrong, fit for a Close reason, e.g. "reserved bit set, RFC 6455 5.2".
 * Static. */
const char *sq_ws_decode_reason(const struct sq_ws_decoder *d);
/* Inside a header, a payload, or between two fragments: an end of stream here is a cut message. */
bool sq_ws_decode_midway(const struct sq_ws_decoder *d);

/* Writes the header of *frame with the shortest length form (FW-3); returns its bytes, 2..14. */
size_t sq_ws_frame_header(uint8_t out[SQ_WS_HEADER_MAX], const struct sq_ws_frame *frame);
/* Header and payload, masked on the way if frame->masked; `out` has room for SQ_WS_HEADER_MAX +
 * frame->len bytes; the payload is not changed (FW-9). Returns the bytes written. */
size_t sq_ws_frame_write(uint8_t *out, const struct sq_ws_frame *frame, const void *payload);
