/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: one per thread, epoll underneath. Readiness, nanosecond timers, posts from other
 * threads, a lent read buffer, and work deferred to the end of a turn (gathered writes).
 *
 * A turn: wait; read the clock once; run posts; run ready descriptors; run due timers; run deferred
 * work; repeat. Callbacks run on the loop's own stack and may start, change or stop anything,
 * themselves included. Everything is for the loop's thread, except sq_loop_post and sq_loop_stop.
 */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "base/list.h"

struct sq_loop;

SQ_MUST_USE int sq_loop_new(struct sq_loop **out, struct sq_error *err); /* owned: sq_loop_free */
void sq_loop_free(struct sq_loop *loop);
/* Runs until sq_loop_stop. Returns 0. */
int sq_loop_run(struct sq_loop *loop);
void sq_loop_stop(struct sq_loop *loop); /* any thread */

/* Monotonic and wall time of this turn's start, ns. */
int64_t sq_loop_now(const struct sq_loop *loop);
int64_t sq_loop_wall(const struct sq_loop *loop);
/* Reads the clocks again: for callers that know that time has passed inside the turn. */
int64_t sq_loop_update_now(struct sq_loop *loop);

/* ---- descriptors (level-triggered) ---- */
enum { SQ_IO_READ = 1, SQ_IO_WRITE = 2, SQ_IO_ERROR = 4 /* reported always, never asked for */ };

struct sq_io {
    void (*ready)(struct sq_io *io, unsigned events);
    int fd; /* -1 while stopped; the owner closes it after sq_io_stop */
    unsigned events;
};
/* 0 or -errno (ENOSPC, ENOMEM). `io` is embedded in the owner and must stay until sq_io_stop. */
SQ_MUST_USE int sq_io_start(struct sq_loop *loop, struct sq_io *io, int fd, unsigned events);
void sq_io_update(struct sq_loop *loop, struct sq_io *io, unsigned events);
/* No callback for this io runs after it, not even one that is already in this turn's batch. */
void sq_io_stop(struct sq_loop *loop, struct sq_io *io);
/* The same for a descriptor that a library may have closed already. */
void sq_io_forget(struct sq_loop *loop, struct sq_io *io);

/* ---- timers ---- */
struct sq_timer {
    void (*due)(struct sq_timer *timer);
    int64_t deadline_ns;
    size_t heap_index; /* SIZE_MAX while not running; zero-initialise with SQ_TIMER_INIT */
};
#define SQ_TIMER_INIT(fn) ((struct sq_timer){.due = (fn), .heap_index = SIZE_MAX})
/* (Re)starts; one shot. Equal deadlines fire in the order of their starting. */
void sq_timer_start(struct sq_loop *loop, struct sq_timer *timer, int64_t deadline_ns);
void sq_timer_stop(struct sq_loop *loop, struct sq_timer *timer); /* harmless when not running */
static inline bool sq_timer_running(const struct sq_timer *timer)
{
    return timer->heap_index != SIZE_MAX;
}

/* ---- work at the end of this turn, or as soon as the loop is idle in a following one ---- */
struct sq_deferred {
    struct sq_list node; /* sq_list_init before first use */
    void (*run)(struct sq_deferred *deferred);
};
/* Queued once however often it is asked for; work deferred by deferred work runs in the same turn,
 * at most 64 rounds of it, then in the next turn, which does not wait. */
void sq_loop_defer(struct sq_loop *loop, struct sq_deferred *deferred);

/* ---- from other threads ---- */
struct sq_post {
    struct sq_post *next;
    void (*run)(struct sq_post *post); /* on the loop's thread, in the order of posting */
};
/* Any thread. The post belongs to the loop until run is called, then to run. */
void sq_loop_post(struct sq_loop *loop, struct sq_post *post);

/* ---- the lent read buffer ---- */
enum { SQ_LOOP_READ_BYTES = 256 * 1024 };
/* SQ_LOOP_READ_BYTES bytes with 64 readable and writable bytes of padding on both sides. One user
 * at a time: the callback that reads into it must be done with it before it returns. */
uint8_t *sq_loop_read_buffer(struct sq_loop *loop);

/* ---- a pool of write buffers: 16 KiB each, taken while bytes wait and given back ---- */
enum { SQ_LOOP_CHUNK_BYTES = 16 * 1024 };
uint8_t *sq_loop_chunk_acquire(struct sq_loop *loop);
void sq_loop_chunk_release(struct sq_loop *loop, uint8_t *chunk);
/* Chunks out of the pool now: tests expect 0 when all is idle. */
size_t sq_loop_chunks_lent(const struct sq_loop *loop);
