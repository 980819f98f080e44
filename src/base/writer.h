/* SPDX-License-Identifier: Apache-2.0 */
/* Text for a reader who may be slow, or stop: a thread writes it, and who puts text never waits
 * long.
 *
 *   put -> [ ring of bytes_max ] -> thread -> descriptor
 *
 * Nothing is lost while the reader takes SQ_WRITER_QUANTUM within patience_ns: then a full ring
 * holds back those who put. Else texts are dropped until half of the ring is free. Any thread. */
#pragma once
#include "base/base.h"

struct sq_writer;

enum { SQ_WRITER_QUANTUM = 256 * 1024 };

struct sq_writer_options {
    int fd; /* duplicated; the open file itself is not changed: others share it */
    size_t bytes_max;
    int64_t patience_ns;
    /* Called by the thread when there is room again after `lost` texts were dropped: may put. */
    void (*drained)(void *user, uint64_t lost);
    void *user;
};

/* NULL when there is no descriptor or no thread to be had. */
struct sq_writer *sq_writer_new(const struct sq_writer_options *options);
/* Waits for nothing: text that is not written is lost. The thread frees the rest when it can. */
void sq_writer_free(struct sq_writer *w);

/* Whole, or not at all unless it is larger than the ring. Copied. */
void sq_writer_put(struct sq_writer *w, const void *text, size_t len);
/* Waits until everything is written: true, also when the reader is gone; or until nothing was taken
 * for idle_ns: false, and from then on without waiting while nothing is taken. INT64_MAX: for ever.
 */
bool sq_writer_flush(struct sq_writer *w, int64_t idle_ns);
/* The same for a process that is about to abort and may hold any lock: a second at most. */
void sq_writer_flush_dying(struct sq_writer *w);
