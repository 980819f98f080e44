/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket inside an HTTP/2 connection (RFC 8441, RFC 9113): the byte stream that the DATA
 * frames of one extended CONNECT carry. One connection, one stream; libnghttp2 does the framing.
 *
 *   ws_conn -- sq_stream (h2) -- frames -- sq_stream below (TCP, or TLS over it)
 *
 * It watches the descriptor itself, so that SETTINGS, PING and WINDOW_UPDATE are answered whatever
 * the user does, and tells the user's sq_io of what can be read and written as the loop would of a
 * descriptor: at the end of a turn, as long as it holds. What was received and not read is bounded
 * by the window, which is given back as bytes are read. Loop's thread; borrows all it points to.
 *
 * Sequence: sq_h2_request until 1, sq_h2_response until 1, then read and write. END_STREAM is the
 * end of the stream, RST_STREAM a reset connection. */
#pragma once
#include <sys/types.h>

#include "base/base.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "proto/http1/head.h"

struct sq_h2;
struct sq_stream;

/* What one connection may hold of bytes that were received and not read. */
enum { SQ_H2_WINDOW_BYTES = 256 * 1024 };

/* Sends the preface. `lower` is borrowed until free. Never NULL: a failure is met by the request.
 */
struct sq_h2 *sq_h2_new(struct sq_loop *loop, struct sq_stream *lower);
/* Ends the stream, with RST_STREAM when it was not open or `reset`, and the connection with GOAWAY;
 * best effort. The lower stream is left to its owner. */
void sq_h2_free(struct sq_h2 *h2, bool reset);

/* `block`: header lines as sq_ws_request_build makes them. 1: sent; 0: waits for the server's
 * SETTINGS or for room; else a negative status: SQ_EPROTO when the server takes no WebSocket. */
SQ_MUST_USE int sq_h2_request(struct sq_h2 *h2, struct sq_slice block);
bool sq_h2_settled(const struct sq_h2 *h2); /* the server's SETTINGS are here */
/* 1: *head is filled, once, and borrows from *text, which was empty; 0: not here yet; else a
 * negative status. */
SQ_MUST_USE int sq_h2_response(struct sq_h2 *h2, struct sq_buf *text, struct sq_http1_head *head);

/* As the functions of stream.h. A write that took less must be repeated with at least the same
 * bytes while sq_h2_write_stuck. */
ssize_t sq_h2_read(struct sq_h2 *h2, void *data, size_t len);
ssize_t sq_h2_write(struct sq_h2 *h2, const void *data, size_t len);
bool sq_h2_write_stuck(const struct sq_h2 *h2);
bool sq_h2_pending(const struct sq_h2 *h2);
void sq_h2_shutdown_write(struct sq_h2 *h2); /* END_STREAM behind what was written */
const char *sq_h2_error_text(const struct sq_h2 *h2);

/* In place of sq_io_start and its sisters. */
void sq_h2_watch(struct sq_h2 *h2, struct sq_io *user, unsigned events);
void sq_h2_unwatch(struct sq_h2 *h2);
