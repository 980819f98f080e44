/* SPDX-License-Identifier: Apache-2.0 */
/* A connected byte stream: plain TCP, TLS over it, or an HTTP/2 stream over either. Non-blocking;
 * loop's thread. */
#pragma once
#include <sys/types.h>

#include "base/base.h"
#include "net/net.h"

struct sq_stream;
struct sq_h2;

/* > 0 bytes read; 0: would block (see sq_stream_wants); SQ_EEOF: the peer is done (for TLS with or
 * without close_notify); else a negative status. */
ssize_t sq_stream_read(struct sq_stream *s, void *data, size_t len);
/* >= 0 bytes taken (0: would block), or a negative status. TLS: a call that took less must be
 * repeated with at least the same bytes. */
ssize_t sq_stream_write(struct sq_stream *s, const void *data, size_t len);
/* True when decrypted bytes wait inside (a read would give some without the descriptor being
 * ready). */
bool sq_stream_pending(const struct sq_stream *s);
/* SQ_IO_WRITE if the last read needs the descriptor writable (TLS), and the reverse. */
unsigned sq_stream_read_wants(const struct sq_stream *s);
unsigned sq_stream_write_wants(const struct sq_stream *s);
int sq_stream_fd(const struct sq_stream *s);
/* As sq_io_start, sq_io_update and sq_io_stop of the loop, for a stream's readiness. */
SQ_MUST_USE int sq_stream_watch(struct sq_stream *s, struct sq_loop *loop, struct sq_io *io,
                                unsigned events);
void sq_stream_watch_update(struct sq_stream *s, struct sq_loop *loop, struct sq_io *io,
                            unsigned events);
void sq_stream_watch_stop(struct sq_stream *s, struct sq_loop *loop, struct sq_io *io);
/* No more writes: FIN, for TLS after close_notify. Best effort. */
void sq_stream_shutdown_write(struct sq_stream *s);
/* Whether the last write's remaining bytes must be offered again, as TLS and HTTP/2 may have begun
 * to send them. */
bool sq_stream_write_stuck(const struct sq_stream *s);
/* The HTTP/2 stream that this one's bytes travel in; NULL: none. */
struct sq_h2 *sq_stream_h2(const struct sq_stream *s);
/* Stop counting into the request's counters. */
void sq_stream_detach_counters(struct sq_stream *s);
/* The peer's address without port. Borrowed. */
const char *sq_stream_remote_ip(const struct sq_stream *s);
/* Text of the last failure, one line. Borrowed. */
const char *sq_stream_error_text(const struct sq_stream *s);
/* Closes the descriptor now; `reset`: with RST. The caller has stopped its sq_io before. */
void sq_stream_free(struct sq_stream *s, bool reset);
