/* SPDX-License-Identifier: Apache-2.0 */
/* What --ws-debug shows of a connection, as lines of the log: the opening handshake, every frame in
 * both directions, the end. Knows formats only: ws_conn says what happens. Loop's thread.
 *
 *   vu 1 iter 0 socket 1 +0.412ms -> TEXT FIN 5 bytes: hello
 *
 * A connection that is not traced has no struct sq_ws_trace, and its callers ask for nothing else.
 */
#pragma once
#include "base/base.h"
#include "net/net.h"

struct sq_buf;
struct sq_stream;
struct sq_ws_frame;
struct sq_ws_trace;

struct sq_ws_trace_options {
    uint32_t vu;
    uint64_t iteration;
    uint32_t socket; /* number of the connection within its VU, from 1 */
    bool full;       /* whole payloads, and secrets as they are */
};

enum sq_ws_way { SQ_WS_TO_SERVER, SQ_WS_TO_CLIENT };

/* *options is copied. Times are shown from now on. */
struct sq_ws_trace *sq_ws_trace_new(const struct sq_ws_trace_options *options);
void sq_ws_trace_free(struct sq_ws_trace *trace); /* NULL is fine */

/* The URL as the script gave it. */
void sq_ws_trace_url(struct sq_ws_trace *trace, struct sq_slice url);
/* Address, and what TLS agreed on. */
void sq_ws_trace_connected(struct sq_ws_trace *trace, const struct sq_stream *stream);
/* A request or response head as it is on the wire: a line of the log for each of its lines. */
void sq_ws_trace_head(struct sq_ws_trace *trace, enum sq_ws_way way, struct sq_slice head);
/* The body of a refusal, or what should have been a response head. */
void sq_ws_trace_body(struct sq_ws_trace *trace, const char *what, struct sq_slice bytes);
void sq_ws_trace_failed(struct sq_ws_trace *trace, int error_code, const char *why);

/* What the next frames carry compressed, as it was given: borrowed until it is set to nothing. */
void sq_ws_trace_plain(struct sq_ws_trace *trace, struct sq_slice plain);
/* A frame is queued; `data` is its payload before masking. */
void sq_ws_trace_sent(struct sq_ws_trace *trace, const struct sq_ws_frame *frame, const void *data);

/* A frame comes in: its header, pieces of its payload, its end. `inflates`: it is the last of a
 * compressed message, which is shown when sq_ws_trace_message gives it. */
void sq_ws_trace_header(struct sq_ws_trace *trace, const struct sq_ws_frame *frame);
void sq_ws_trace_payload(struct sq_ws_trace *trace, struct sq_slice piece);
void sq_ws_trace_frame_end(struct sq_ws_trace *trace, bool inflates);
void sq_ws_trace_message(struct sq_ws_trace *trace, bool text, struct sq_slice plain);
/* Bytes that came when nothing is decoded any more. */
void sq_ws_trace_ignored(struct sq_ws_trace *trace, struct sq_slice bytes);

/* Appends the text, control characters as \x0a, with *** for the user info of URLs in it. */
void sq_ws_trace_hide_userinfo(struct sq_buf *out, struct sq_slice text);

/* Any other event: "FIN", "end: ...". */
void sq_ws_trace_note(struct sq_ws_trace *trace, const char *fmt, ...) SQ_PRINTF(2, 3);
