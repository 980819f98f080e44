/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over epoll. Nanosecond waits come from epoll_pwait2; on kernels before 5.11 a timerfd
 * inside the epoll set stands in for it. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "loop/loop_test_hooks.h"
#include "loop/timers.h"

enum {
    BATCH = 256,          /* events a wait returns at most */
    DEFERRED_ROUNDS = 64, /* of work deferred by deferred work in one turn */
    READ_PADDING_BYTES = 64,
    CHUNKS_KEPT = 64, /* 1 MiB of free write buffers stay with the loop */
};
/* Wall time is read this often; between two readings it advances with the monotonic clock. */
#define WALL_INTERVAL_NS (100 * SQ_NS_PER_MS)

/* Debug builds pass every chunk through malloc, so that the address sanitizer sees misuse. */
#if defined(SQ_DEBUG) || defined(__SANITIZE_ADDRESS__)
#define CHUNK_POOL 0
#else
#define CHUNK_POOL 1
#endif

struct chunk {
    struct chunk *next;
};

struct sq_loop {
    int epoll_fd;
    bool use_timer_fd;
    bool running;
    struct epoll_event *batch; /* the events of this turn from batch_next on are still to come */
    int batch_next, batch_count;
    int64_t now_ns;
    int64_t wall_offset_ns; /* wall = now + offset */
    int64_t wall_read_ns;
    struct sq_timers timers;
    struct sq_list deferred;
    uint8_t *read_memory;
    struct chunk *chunks_free;
    size_t chunks_free_count, chunks_lent;
    struct sq_io wake;                            /* eventfd */
    struct sq_io alarm;                           /* timerfd, only with use_timer_fd */
    int64_t alarm_ns;                             /* what the timerfd is set to; INT64_MAX: off */
    _Alignas(64) _Atomic(struct sq_post *) posts; /* newest first */
    atomic_bool stop;
};

/* ---- clocks ---- */

int64_t sq_loop_now(const struct sq_loop *loop)
{
    return loop->now_ns;
}

int64_t sq_loop_wall(const struct sq_loop *loop)
{
    return loop->now_ns + loop->wall_offset_ns;
}

int64_t sq_loop_update_now(struct sq_loop *loop)
{
    loop->now_ns = sq_now_ns();
    if (loop->now_ns - loop->wall_read_ns >= WALL_INTERVAL_NS) {
        loop->wall_offset_ns = sq_wall_ns() - loop->now_ns;
        loop->wall_read_ns = loop->now_ns;
    }
    return loop->now_ns;
}

/* ---- cold memory ---- */

/* Of hundreds that are ready each has left the cache since its last turn. While one is served the
 * next one's callback and what lies beside it come. */
static void fetch(const void *owner)
{
    __builtin_prefetch(owner);
    __builtin_prefetch((const char *)owner + 64);
}

/* ---- posts ---- */

static void wake_up(struct sq_loop *loop)
{
    uint64_t one = 1;

    /* EAGAIN means that the counter is full: the loop is awake then. */
    while (write(loop->wake.fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void sq_loop_post(struct sq_loop *loop, struct sq_post *post)
{
    struct sq_post *head = atomic_load_explicit(&loop->posts, memory_order_relaxed);

    do
        post->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->posts, &head, post, memory_order_release,
                                                  memory_order_relaxed));
    /* Whoever made the list non-empty wakes the loop; the loop takes the whole list at once. */
    if (!head)
        wake_up(loop);
}

static void run_posts(struct sq_loop *loop)
{
    struct sq_post *newest, *oldest = NULL;

    if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
        return;
    newest = atomic_exchange_explicit(&loop->posts, NULL, memory_order_acquire);
    while (newest) {
        struct sq_post *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct sq_post *post = oldest;

        oldest = post->next; /* run may free the post */
        post->run(post);
    }
}

static void wake_ready(struct sq_io *io, unsigned events)
{
    struct sq_loop *loop = SQ_CONTAINER_OF(io, struct sq_loop, wake);
    uint64_t count;

    (void)events;
    /* First the counter, then the list: a post that comes between the two wakes us again. */
    if (read(io->fd, &count, sizeof count) < 0)
        return;
    run_posts(loop);
}

void sq_loop_stop(struct sq_loop *loop)
{
    atomic_store(&loop->stop, true);
    wake_up(loop);
}

/* ---- descriptors ---- */

static uint32_t to_epoll(unsigned events)
{
    return (events & SQ_IO_READ ? (uint32_t)EPOLLIN : 0) |
           (events & SQ_IO_WRITE ? (uint32_t)EPOLLOUT : 0);
}

int sq_io_start(struct sq_loop *loop, struct sq_io *io, int fd, unsigned events)
{
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = io};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    io->fd = fd;
    io->events = events;
    return 0;
}

void sq_io_update(struct sq_loop *loop, struct sq_io *io, unsigned events)
{
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = io};

    if (io->fd < 0 || io->events == events)
        return;
    io->events = events;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &event) < 0)
        sq_panic("loop: cannot change the watch of descriptor %d (errno %d)", io->fd, errno);
}

static void forget(struct sq_loop *loop, struct sq_io *io)
{
    io->fd = -1;
    io->events = 0;
    for (int i = loop->batch_next; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == io)
            loop->batch[i].data.ptr = NULL;
}

void sq_io_stop(struct sq_loop *loop, struct sq_io *io)
{
    if (io->fd < 0)
        return;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL) < 0)
        sq_panic("loop: cannot stop watching descriptor %d (errno %d)", io->fd, errno);
    forget(loop, io);
}

void sq_io_forget(struct sq_loop *loop, struct sq_io *io)
{
    if (io->fd < 0)
        return;
    /* Fails when it is closed, or when the number is another file by now. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    forget(loop, io);
}

static void run_batch(struct sq_loop *loop)
{
    while (loop->batch_next < loop->batch_count) {
        const struct epoll_event *event = &loop->batch[loop->batch_next++];
        struct sq_io *io = event->data.ptr;
        unsigned events;

        if (loop->batch_next < loop->batch_count)
            fetch(loop->batch[loop->batch_next].data.ptr);
        if (!io)
            continue;
        events = (event->events & EPOLLIN ? SQ_IO_READ : 0U) |
                 (event->events & EPOLLOUT ? SQ_IO_WRITE : 0U) |
                 (event->events & (EPOLLERR | EPOLLHUP) ? SQ_IO_ERROR : 0U);
        /* The owner may have lost interest earlier in this turn. */
        events &= io->events | SQ_IO_ERROR;
        if (events)
            io->ready(io, events);
    }
}

/* ---- waiting ---- */

static void alarm_ready(struct sq_io *io, unsigned events)
{
    struct sq_loop *loop = SQ_CONTAINER_OF(io, struct sq_loop, alarm);
    uint64_t count;

    (void)events;
    if (read(io->fd, &count, sizeof count) > 0)
        loop->alarm_ns = INT64_MAX;
}

static int alarm_open(struct sq_loop *loop)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int rc;

    if (fd < 0)
        return -errno;
    rc = sq_io_start(loop, &loop->alarm, fd, SQ_IO_READ);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    loop->alarm_ns = INT64_MAX;
    loop->use_timer_fd = true;
    return 0;
}

static int wait_timer_fd(struct sq_loop *loop, int64_t deadline_ns, bool block)
{
    if (block && deadline_ns != loop->alarm_ns) {
        struct itimerspec spec = {0};

        if (deadline_ns != INT64_MAX) {
            int64_t at_ns = SQ_MAX(deadline_ns, 1); /* 0 would switch it off */

            spec.it_value.tv_sec = at_ns / SQ_NS_PER_S;
            spec.it_value.tv_nsec = at_ns % SQ_NS_PER_S;
        }
        if (timerfd_settime(loop->alarm.fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
            sq_panic("loop: cannot set the timer descriptor (errno %d)", errno);
        loop->alarm_ns = deadline_ns;
    }
    return epoll_wait(loop->epoll_fd, loop->batch, BATCH, block ? -1 : 0);
}

/* glibc before 2.35 does not know the call. */
static int pwait2(int epoll_fd, struct epoll_event *events, int max, const struct timespec *timeout)
{
    return (int)syscall(SYS_epoll_pwait2, epoll_fd, events, max, timeout, NULL, (size_t)0);
}

static int wait_pwait2(struct sq_loop *loop, int64_t deadline_ns, bool block)
{
    struct timespec timeout = {0, 0};

    if (block && deadline_ns == INT64_MAX)
        return pwait2(loop->epoll_fd, loop->batch, BATCH, NULL);
    if (block) {
        int64_t left_ns = deadline_ns - sq_now_ns();

        left_ns = SQ_MAX(left_ns, 0);
        timeout.tv_sec = left_ns / SQ_NS_PER_S;
        timeout.tv_nsec = left_ns % SQ_NS_PER_S;
    }
    return pwait2(loop->epoll_fd, loop->batch, BATCH, &timeout);
}

static void wait_events(struct sq_loop *loop)
{
    bool block = sq_list_empty(&loop->deferred);
    int64_t deadline_ns = sq_timers_next(&loop->timers);
    int n = loop->use_timer_fd ? wait_timer_fd(loop, deadline_ns, block)
                               : wait_pwait2(loop, deadline_ns, block);

    if (n < 0 && errno == ENOSYS && !loop->use_timer_fd) {
        int rc = alarm_open(loop);

        if (rc < 0)
            sq_panic("loop: cannot create a timer descriptor: %s", sq_status_text(rc));
        n = 0;
    }
    if (n < 0 && errno != EINTR)
        sq_panic("loop: waiting for events failed (errno %d)", errno);
    loop->batch_next = 0;
    loop->batch_count = SQ_MAX(n, 0);
}

int sq_loop_force_timer_fd(struct sq_loop *loop)
{
    return loop->use_timer_fd ? 0 : alarm_open(loop);
}

/* ---- deferred work ---- */

void sq_loop_defer(struct sq_loop *loop, struct sq_deferred *deferred)
{
    if (sq_list_empty(&deferred->node))
        sq_list_append(&loop->deferred, &deferred->node);
}

static void run_deferred(struct sq_loop *loop)
{
    for (int round = 0; round < DEFERRED_ROUNDS && !sq_list_empty(&loop->deferred); round++) {
        struct sq_list now, *node;

        /* The round is what is queued at its start. */
        now = loop->deferred;
        now.next->prev = now.prev->next = &now;
        sq_list_init(&loop->deferred);
        while ((node = sq_list_shift(&now))) {
            struct sq_deferred *deferred = SQ_CONTAINER_OF(node, struct sq_deferred, node);

            fetch(now.next->next); /* taking the node has touched now.next */
            deferred->run(deferred);
        }
    }
}

/* ---- timers ---- */

void sq_timer_start(struct sq_loop *loop, struct sq_timer *timer, int64_t deadline_ns)
{
    sq_timers_start(&loop->timers, timer, deadline_ns);
}

void sq_timer_stop(struct sq_loop *loop, struct sq_timer *timer)
{
    sq_timers_stop(&loop->timers, timer);
}

/* ---- lent memory ---- */

uint8_t *sq_loop_read_buffer(struct sq_loop *loop)
{
    /* malloc maps this much fresh: pages cost nothing before a read fills them. */
    if (!loop->read_memory)
        loop->read_memory = sq_xmalloc(SQ_LOOP_READ_BYTES + 2 * READ_PADDING_BYTES);
    return loop->read_memory + READ_PADDING_BYTES;
}

uint8_t *sq_loop_chunk_acquire(struct sq_loop *loop)
{
    struct chunk *chunk = loop->chunks_free;

    loop->chunks_lent++;
    if (!chunk)
        return sq_xmalloc(SQ_LOOP_CHUNK_BYTES);
    loop->chunks_free = chunk->next;
    loop->chunks_free_count--;
    return (uint8_t *)chunk;
}

void sq_loop_chunk_release(struct sq_loop *loop, uint8_t *data)
{
    struct chunk *chunk = (struct chunk *)(void *)data;

    if (!data)
        return;
    sq_dassert(loop->chunks_lent > 0);
    loop->chunks_lent--;
    if (!CHUNK_POOL || loop->chunks_free_count == CHUNKS_KEPT) {
        free(data);
        return;
    }
    chunk->next = loop->chunks_free;
    loop->chunks_free = chunk;
    loop->chunks_free_count++;
}

size_t sq_loop_chunks_lent(const struct sq_loop *loop)
{
    return loop->chunks_lent;
}

/* ---- life ---- */

int sq_loop_new(struct sq_loop **out, struct sq_error *err)
{
    struct sq_loop *loop = aligned_alloc(64, (sizeof *loop + 63) / 64 * 64);
    int fd, rc;

    *out = NULL;
    if (!loop)
        sq_panic("out of memory");
    *loop = (struct sq_loop){.wake = {.ready = wake_ready, .fd = -1},
                             .alarm = {.ready = alarm_ready, .fd = -1},
                             .alarm_ns = INT64_MAX,
                             .wall_read_ns = -WALL_INTERVAL_NS};
    sq_list_init(&loop->deferred);
    sq_loop_update_now(loop);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        rc = sq_error_set(err, -errno, "cannot create an epoll descriptor: %s",
                          sq_status_text(-errno));
        goto out;
    }
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        rc = sq_error_set(err, -errno, "cannot create an event descriptor: %s",
                          sq_status_text(-errno));
        goto out;
    }
    rc = sq_io_start(loop, &loop->wake, fd, SQ_IO_READ);
    if (rc < 0) {
        sq_error_set(err, rc, "cannot watch the event descriptor: %s", sq_status_text(rc));
        close(fd);
        goto out;
    }
    loop->batch = sq_xcalloc(BATCH, sizeof *loop->batch);
    *out = loop; /* ownership moves to the caller */
    loop = NULL;
    rc = 0;
out:
    sq_loop_free(loop);
    return rc;
}

void sq_loop_free(struct sq_loop *loop)
{
    if (!loop)
        return;
    sq_assert(!loop->running);
    /* What was posted owns memory that only its run releases. */
    run_posts(loop);
    while (loop->chunks_free) {
        struct chunk *chunk = loop->chunks_free;

        loop->chunks_free = chunk->next;
        free(chunk);
    }
    sq_timers_deinit(&loop->timers);
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    if (loop->alarm.fd >= 0)
        close(loop->alarm.fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop->read_memory);
    free(loop->batch);
    free(loop);
}

int sq_loop_run(struct sq_loop *loop)
{
    sq_assert(!loop->running);
    loop->running = true;
    /* The kernel's default may add 50 us to every wait of this thread. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
        wait_events(loop);
        sq_loop_update_now(loop);
        run_posts(loop);
        run_batch(loop);
        sq_timers_run(&loop->timers, loop->now_ns);
        run_deferred(loop);
    }
    atomic_store(&loop->stop, false);
    loop->running = false;
    return 0;
}
