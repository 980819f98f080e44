/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { WRITE_BYTES_MAX = 64 * 1024, DYING_STEPS = 100 };

struct sq_writer {
    struct sq_writer_options options; /* fd is ours */
    pthread_t thread;                 /* once it runs */
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the thread */
    pthread_cond_t room; /* bytes were taken */
    uint8_t *ring;
    size_t at, len; /* text not yet taken: ring[at ..] and on from the start */
    uint64_t taken_bytes;
    /* While someone waits for room: when the reader last had taken enough. */
    int64_t patient_since_ns;
    uint64_t patient_from_bytes;
    uint64_t lost;          /* texts, not yet told */
    uint64_t given_up_at;   /* taken_bytes + 1 when a flush was in vain */
    unsigned waiting;       /* for room */
    bool dropping, telling; /* `drained` runs */
    bool cut;               /* a text larger than the ring lost its end */
    bool broken;            /* nobody reads any more */
    bool freed;
};

/* ---- the thread ---- */

/* > 0: taken; 0: nobody will ever read. */
static size_t write_some(const struct sq_writer *w, const uint8_t *data, size_t len)
{
    for (;;) {
        ssize_t put = write(w->options.fd, data, len);

        if (put > 0)
            return (size_t)put;
        if (put < 0 && errno == EAGAIN) { /* somebody else made it so */
            struct pollfd p = {.fd = w->options.fd, .events = POLLOUT};
            poll(&p, 1, -1);
        } else if (put < 0 && errno != EINTR) {
            return 0;
        }
    }
}

static void took(struct sq_writer *w, size_t len)
{
    w->len -= len;
    w->at = w->len ? (w->at + len) % w->options.bytes_max : 0;
    w->taken_bytes += len;
    pthread_cond_broadcast(&w->room);
}

/* There is room again: says what was lost, which puts text. */
static void tell(struct sq_writer *w)
{
    uint64_t lost = w->lost;

    w->lost = 0;
    w->dropping = false;
    w->telling = true;
    pthread_mutex_unlock(&w->lock);
    if (w->options.drained)
        w->options.drained(w->options.user, lost);
    pthread_mutex_lock(&w->lock);
    w->telling = false;
    pthread_cond_broadcast(&w->room);
}

static void write_on(struct sq_writer *w)
{
    size_t len = SQ_MIN(SQ_MIN(w->len, w->options.bytes_max - w->at), (size_t)WRITE_BYTES_MAX);
    const uint8_t *data = w->ring + w->at;

    pthread_mutex_unlock(&w->lock);
    size_t put = write_some(w, data, len);
    pthread_mutex_lock(&w->lock);
    if (put == 0) {
        w->broken = true;
        took(w, w->len);
    } else {
        took(w, put);
    }
}

static void destroy(struct sq_writer *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->room);
    close(w->options.fd);
    free(w->ring);
    free(w);
}

static void *run(void *arg)
{
    struct sq_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    w->thread = pthread_self();
    while (!w->freed) {
        if (w->lost && w->len <= w->options.bytes_max / 2)
            tell(w);
        else if (w->len)
            write_on(w);
        else
            pthread_cond_wait(&w->work, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    destroy(w);
    return NULL;
}

/* ---- life ---- */

static bool start_thread(struct sq_writer *w)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the main thread */
    int rc = pthread_create(&thread, &attr, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

struct sq_writer *sq_writer_new(const struct sq_writer_options *options)
{
    struct sq_writer *w = sq_xcalloc(1, sizeof *w);
    pthread_condattr_t monotonic;

    w->options = *options;
    w->options.fd = fcntl(options->fd, F_DUPFD_CLOEXEC, 3);
    if (w->options.fd < 0) {
        free(w);
        return NULL;
    }
    w->ring = sq_xmalloc(options->bytes_max);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->room, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start_thread(w))
        return w;
    destroy(w);
    return NULL;
}

void sq_writer_free(struct sq_writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->freed = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* ---- putting ---- */

/* False: it was not to be before deadline_ns. */
static bool wait_room(struct sq_writer *w, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = deadline_ns / SQ_NS_PER_S,
                             .tv_nsec = deadline_ns % SQ_NS_PER_S};

    return pthread_cond_timedwait(&w->room, &w->lock, &until) != ETIMEDOUT;
}

static void start_patience(struct sq_writer *w)
{
    w->patient_since_ns = sq_now_ns();
    w->patient_from_bytes = w->taken_bytes;
}

/* Until `len` bytes fit. False: they are to be dropped. */
static bool make_room(struct sq_writer *w, size_t len)
{
    bool ok = true;

    if (w->options.bytes_max - w->len >= len)
        return true;
    if (pthread_equal(pthread_self(), w->thread))
        return false; /* it would wait for itself */
    if (!w->waiting++)
        start_patience(w);
    while (ok && !w->broken && !w->dropping && w->options.bytes_max - w->len < len) {
        if (w->taken_bytes - w->patient_from_bytes >= SQ_WRITER_QUANTUM)
            start_patience(w);
        ok = wait_room(w, w->patient_since_ns + w->options.patience_ns) ||
             w->taken_bytes - w->patient_from_bytes >= SQ_WRITER_QUANTUM;
    }
    w->waiting--;
    if (!ok) {
        w->dropping = true; /* whoever else waits need not */
        pthread_cond_broadcast(&w->room);
    }
    return ok && !w->broken && !w->dropping;
}

static void copy_in(struct sq_writer *w, const uint8_t *text, size_t len)
{
    size_t max = w->options.bytes_max, end = (w->at + w->len) % max;
    size_t first = SQ_MIN(len, max - end);

    memcpy(w->ring + end, text, first);
    memcpy(w->ring, text + first, len - first);
    w->len += len;
    pthread_cond_signal(&w->work);
}

void sq_writer_put(struct sq_writer *w, const void *text, size_t len)
{
    const uint8_t *p = text;
    size_t piece_max = w->options.bytes_max / 4, cut;

    pthread_mutex_lock(&w->lock);
    while (len > 0 && !w->broken) {
        size_t piece = len <= w->options.bytes_max / 2 ? len : piece_max;

        cut = w->cut;
        if (w->dropping || !make_room(w, piece + cut)) {
            w->lost++;
            w->cut |= p != (const uint8_t *)text;
            break;
        }
        if (cut)
            copy_in(w, (const uint8_t *)"\n", 1);
        w->cut = false;
        copy_in(w, p, piece);
        p += piece;
        len -= piece;
    }
    pthread_mutex_unlock(&w->lock);
}

/* ---- flushing ---- */

static bool is_done(const struct sq_writer *w)
{
    return w->broken || (w->len == 0 && !w->lost && !w->telling);
}

bool sq_writer_flush(struct sq_writer *w, int64_t idle_ns)
{
    pthread_mutex_lock(&w->lock);
    uint64_t taken = w->taken_bytes;
    int64_t since_ns = sq_now_ns();
    bool ok = idle_ns == INT64_MAX || w->given_up_at != taken + 1;
    while (ok && !is_done(w)) {
        int64_t limit_ns = INT64_MAX - since_ns;
        ok = wait_room(w, since_ns + SQ_MIN(idle_ns, limit_ns)) || is_done(w);
        if (w->taken_bytes != taken) {
            taken = w->taken_bytes;
            since_ns = sq_now_ns();
            ok = true;
        }
    }
    if (!ok)
        w->given_up_at = taken + 1;
    bool done = is_done(w);
    pthread_mutex_unlock(&w->lock);
    return done;
}

void sq_writer_flush_dying(struct sq_writer *w)
{
    const struct timespec step = {.tv_nsec = SQ_NS_PER_S / DYING_STEPS};

    for (int i = 0; i < DYING_STEPS; i++) {
        if (pthread_mutex_trylock(&w->lock) == 0) {
            bool done = is_done(w);
            pthread_mutex_unlock(&w->lock);
            if (done)
                return;
        }
        nanosleep(&step, NULL);
    }
}
