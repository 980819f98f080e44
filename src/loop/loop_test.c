/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "loop/loop_test_hooks.h"
#include "loop/timers.h"

static struct sq_loop *new_loop(void)
{
    struct sq_loop *loop;
    struct sq_error err = {0};
    int rc = sq_loop_new(&loop, &err);

    SQ_CHECK_EQ(rc, 0, "%.200s", err.text);
    if (rc < 0)
        abort();
    return loop;
}

/* ---- timers ---- */

enum { TIMERS = 3000 };

struct probe {
    struct sq_timer timer;
    struct sq_timers *timers;
    int64_t restart_ns;
    int number;
    int *log;
    int *log_len;
};

static void probe_due(struct sq_timer *timer)
{
    struct probe *probe = SQ_CONTAINER_OF(timer, struct probe, timer);

    probe->log[(*probe->log_len)++] = probe->number;
    if (probe->restart_ns) {
        sq_timers_start(probe->timers, timer, probe->restart_ns);
        probe->restart_ns = 0;
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

SQ_TEST(loop_timers_fire_in_order_of_deadline)
{
    static struct probe probes[TIMERS];
    static int log[TIMERS];
    struct sq_timers timers = {0};
    uint32_t seed = 1;
    int len = 0, stopped = 0;

    for (int i = 0; i < TIMERS; i++) {
        probes[i] = (struct probe){SQ_TIMER_INIT(probe_due), &timers, 0, i, log, &len};
        sq_timers_start(&timers, &probes[i].timer, next_random(&seed) % 500);
    }
    for (int i = 0; i < TIMERS; i += 3) /* moves up, down and nowhere */
        sq_timers_start(&timers, &probes[i].timer, next_random(&seed) % 500);
    for (int i = 0; i < TIMERS; i += 7, stopped++) {
        sq_timers_stop(&timers, &probes[i].timer);
        sq_timers_stop(&timers, &probes[i].timer);
    }
    sq_timers_run(&timers, 249);
    for (int i = 0; i < len; i++)
        SQ_CHECK(probes[log[i]].timer.deadline_ns <= 249);
    SQ_CHECK(sq_timers_next(&timers) >= 250);
    sq_timers_run(&timers, 499);
    SQ_CHECK_EQ(len, TIMERS - stopped);
    SQ_CHECK_EQ(sq_timers_next(&timers), INT64_MAX);
    for (int i = 1; i < len; i++)
        SQ_CHECK(probes[log[i - 1]].timer.deadline_ns <= probes[log[i]].timer.deadline_ns);
    for (int i = 0; i < TIMERS; i++)
        SQ_CHECK(!sq_timer_running(&probes[i].timer));
    sq_timers_deinit(&timers);
}

SQ_TEST(loop_timers_equal_deadlines_fire_in_order_of_starting)
{
    struct probe probes[40];
    int log[40], len = 0;
    struct sq_timers timers = {0};

    for (int i = 0; i < 40; i++) {
        probes[i] = (struct probe){SQ_TIMER_INIT(probe_due), &timers, 0, i, log, &len};
        sq_timers_start(&timers, &probes[i].timer, 5);
    }
    sq_timers_start(&timers, &probes[0].timer, 5); /* restarted: now the youngest */
    sq_timers_run(&timers, 5);
    SQ_CHECK_EQ(len, 40);
    for (int i = 0; i < 39; i++)
        SQ_CHECK_EQ(log[i], i + 1);
    SQ_CHECK_EQ(log[39], 0);
    sq_timers_deinit(&timers);
}

SQ_TEST(loop_timers_restarted_in_the_past_wait_for_the_next_run)
{
    int log[4], len = 0;
    struct sq_timers timers = {0};
    struct probe probe = {SQ_TIMER_INIT(probe_due), &timers, 1, 7, log, &len};

    sq_timers_start(&timers, &probe.timer, 10);
    sq_timers_run(&timers, 10);
    SQ_CHECK_EQ(len, 1);
    SQ_CHECK_EQ(sq_timers_next(&timers), 1);
    sq_timers_run(&timers, 10);
    SQ_CHECK_EQ(len, 2);
    sq_timers_deinit(&timers);
}

struct alarm {
    struct sq_timer timer;
    struct sq_loop *loop;
    int64_t fired_ns;
    bool last;
};

static void alarm_due(struct sq_timer *timer)
{
    struct alarm *alarm = SQ_CONTAINER_OF(timer, struct alarm, timer);

    alarm->fired_ns = sq_now_ns();
    if (alarm->last)
        sq_loop_stop(alarm->loop);
}

static void never_early(bool timer_fd)
{
    struct sq_loop *loop = new_loop();
    struct alarm alarms[20];
    int64_t start_ns = sq_now_ns();

    if (timer_fd)
        SQ_CHECK_EQ(sq_loop_force_timer_fd(loop), 0);
    for (int i = 0; i < 20; i++) {
        alarms[i] = (struct alarm){SQ_TIMER_INIT(alarm_due), loop, 0, i == 19};
        sq_timer_start(loop, &alarms[i].timer, start_ns + (i + 1) * INT64_C(350017));
    }
    sq_loop_run(loop);
    for (int i = 0; i < 20; i++) {
        SQ_CHECK(alarms[i].fired_ns >= alarms[i].timer.deadline_ns, "timer %d", i);
        SQ_CHECK(i == 0 || alarms[i].fired_ns >= alarms[i - 1].fired_ns, "timer %d", i);
    }
    SQ_CHECK(sq_loop_now(loop) >= start_ns + 20 * INT64_C(350017));
    SQ_CHECK(sq_loop_wall(loop) > INT64_C(1600000000) * SQ_NS_PER_S);
    sq_loop_free(loop);
}

SQ_TEST(loop_timer_is_never_early)
{
    never_early(false);
}

SQ_TEST(loop_timer_is_never_early_with_timer_fd)
{
    never_early(true);
}

struct hurry {
    struct sq_timer timer;
    struct sq_loop *loop;
    int left;
};

static void hurry_due(struct sq_timer *timer)
{
    struct hurry *hurry = SQ_CONTAINER_OF(timer, struct hurry, timer);

    if (--hurry->left == 0)
        sq_loop_stop(hurry->loop);
    else
        sq_timer_start(hurry->loop, timer, sq_now_ns() + hurry->left % 2000);
}

SQ_TEST(loop_deadlines_may_pass_on_the_way_to_sleep)
{
    struct sq_loop *loop = new_loop();
    struct hurry hurry = {SQ_TIMER_INIT(hurry_due), loop, 20000};

    sq_timer_start(loop, &hurry.timer, sq_now_ns());
    sq_loop_run(loop);
    SQ_CHECK_EQ(hurry.left, 0);
    sq_loop_free(loop);
}

/* ---- posts ---- */

enum { POSTERS = 4, POSTS_EACH = 5000 };

struct counted_post {
    struct sq_post post;
    struct poster *poster;
    int number;
};

struct poster {
    struct sq_loop *loop;
    pthread_t thread;
    struct counted_post *posts;
    int seen;          /* loop's thread */
    int *running_left; /* loop's thread */
};

static void count_post(struct sq_post *post)
{
    struct counted_post *counted = SQ_CONTAINER_OF(post, struct counted_post, post);
    struct poster *poster = counted->poster;

    SQ_CHECK_EQ(counted->number, poster->seen);
    if (++poster->seen == POSTS_EACH && --*poster->running_left == 0)
        sq_loop_stop(poster->loop);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    for (int i = 0; i < POSTS_EACH; i++) {
        poster->posts[i] = (struct counted_post){{NULL, count_post}, poster, i};
        sq_loop_post(poster->loop, &poster->posts[i].post);
    }
    return NULL;
}

SQ_TEST(loop_posts_from_threads_arrive_once_and_in_order)
{
    struct sq_loop *loop = new_loop();
    struct poster posters[POSTERS];
    int left = POSTERS;

    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.loop = loop, .running_left = &left};
        posters[i].posts = sq_xcalloc(POSTS_EACH, sizeof *posters[i].posts);
        SQ_CHECK_EQ(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    sq_loop_run(loop);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        SQ_CHECK_EQ(posters[i].seen, POSTS_EACH);
        free(posters[i].posts);
    }
    sq_loop_free(loop);
}

static void *stop_soon(void *loop)
{
    usleep(2000);
    sq_loop_stop(loop);
    return NULL;
}

SQ_TEST(loop_stops_from_another_thread_while_it_waits)
{
    struct sq_loop *loop = new_loop();
    pthread_t thread;

    for (int i = 0; i < 3; i++) { /* can be run again */
        SQ_CHECK_EQ(pthread_create(&thread, NULL, stop_soon, loop), 0);
        SQ_CHECK_EQ(sq_loop_run(loop), 0);
        pthread_join(thread, NULL);
    }
    sq_loop_free(loop);
}

static void free_post(struct sq_post *post)
{
    free(post);
}

SQ_TEST(loop_free_runs_what_was_posted)
{
    struct sq_loop *loop = new_loop();

    for (int i = 0; i < 3; i++) {
        struct sq_post *post = sq_xcalloc(1, sizeof *post);

        post->run = free_post;
        sq_loop_post(loop, post);
    }
    sq_loop_free(loop); /* the leak checker is the judge */
}

/* ---- deferred work ---- */

struct work {
    struct sq_deferred deferred;
    struct sq_loop *loop;
    int runs, again;
    int64_t *turn_ns; /* the turn in which it ran last */
    struct sq_deferred *remove;
};

static void work_run(struct sq_deferred *deferred)
{
    struct work *work = SQ_CONTAINER_OF(deferred, struct work, deferred);

    work->runs++;
    if (work->remove)
        sq_list_remove(&work->remove->node);
    if (work->runs < work->again)
        sq_loop_defer(work->loop, deferred);
    else if (work->again)
        sq_loop_stop(work->loop);
}

SQ_TEST(loop_deferred_runs_once_and_chains)
{
    struct sq_loop *loop = new_loop();
    struct work once = {.deferred.run = work_run, .loop = loop};
    struct work removed = {.deferred.run = work_run, .loop = loop};
    struct work chain = {.deferred.run = work_run, .loop = loop, .again = 1000};

    sq_list_init(&once.deferred.node);
    sq_list_init(&removed.deferred.node);
    sq_list_init(&chain.deferred.node);
    once.remove = &removed.deferred;
    for (int i = 0; i < 3; i++)
        sq_loop_defer(loop, &once.deferred);
    sq_loop_defer(loop, &removed.deferred);
    sq_loop_defer(loop, &chain.deferred);
    sq_loop_run(loop); /* would wait for ever if more than 64 rounds were forgotten */
    SQ_CHECK_EQ(once.runs, 1);
    SQ_CHECK_EQ(removed.runs, 0);
    SQ_CHECK_EQ(chain.runs, 1000);
    sq_loop_free(loop);
}

static void count_turn(struct sq_post *post);

struct turn {
    struct sq_post post;
    struct sq_loop *loop;
    struct work *work;
    int runs_before;
};

static void count_turn(struct sq_post *post)
{
    struct turn *turn = SQ_CONTAINER_OF(post, struct turn, post);

    turn->runs_before = turn->work->runs;
}

SQ_TEST(loop_deferred_chain_is_cut_after_64_rounds)
{
    struct sq_loop *loop = new_loop();
    struct work chain = {.deferred.run = work_run, .loop = loop, .again = 100};
    struct turn turn = {{NULL, count_turn}, loop, &chain, -1};
    struct alarm alarm = {SQ_TIMER_INIT(alarm_due), loop, 0, false};

    sq_list_init(&chain.deferred.node);
    sq_loop_defer(loop, &chain.deferred);
    /* In the first turn the timer is due before the 64 rounds; the second turn comes after them. */
    sq_timer_start(loop, &alarm.timer, 1);
    sq_loop_post(loop, &turn.post);
    sq_loop_run(loop);
    SQ_CHECK_EQ(turn.runs_before, 0);
    SQ_CHECK_EQ(chain.runs, 100);
    SQ_CHECK(alarm.fired_ns != 0);
    sq_loop_free(loop);
}

/* ---- descriptors ---- */

struct pipe_end {
    struct sq_io io;
    struct sq_loop *loop;
    struct pipe_end *others;
    int count, calls;
    unsigned last;
    bool stop_all;
};

static void pipe_ready(struct sq_io *io, unsigned events)
{
    struct pipe_end *end = SQ_CONTAINER_OF(io, struct pipe_end, io);

    end->calls++;
    end->last = events;
    for (int i = 0; end->stop_all && i < end->count; i++)
        sq_io_stop(end->loop, &end->others[i].io);
    sq_loop_stop(end->loop);
}

SQ_TEST(loop_io_stop_withdraws_events_of_the_same_batch)
{
    enum { ENDS = 40 };
    struct sq_loop *loop = new_loop();
    struct pipe_end ends[ENDS];
    int fds[ENDS][2], calls = 0;

    for (int i = 0; i < ENDS; i++) {
        ends[i] = (struct pipe_end){.io = {pipe_ready, -1, 0},
                                    .loop = loop,
                                    .others = ends,
                                    .count = ENDS,
                                    .stop_all = true};
        SQ_CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
        SQ_CHECK_EQ(write(fds[i][1], "x", 1), 1);
        SQ_CHECK_EQ(sq_io_start(loop, &ends[i].io, fds[i][0], SQ_IO_READ), 0);
    }
    sq_loop_run(loop);
    for (int i = 0; i < ENDS; i++) {
        calls += ends[i].calls;
        SQ_CHECK_EQ(ends[i].io.fd, -1);
        close(fds[i][0]);
        close(fds[i][1]);
    }
    SQ_CHECK_EQ(calls, 1);
    sq_loop_free(loop);
}

SQ_TEST(loop_io_reports_what_was_asked_for_and_errors_always)
{
    struct sq_loop *loop = new_loop();
    struct pipe_end end = {.io = {pipe_ready, -1, 0}, .loop = loop};
    int fds[2];

    SQ_CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    SQ_CHECK_EQ(write(fds[1], "x", 1), 1);
    SQ_CHECK_EQ(sq_io_start(loop, &end.io, fds[0], SQ_IO_WRITE), 0);
    sq_loop_run(loop);
    SQ_CHECK_EQ(end.last, SQ_IO_WRITE);
    sq_io_update(loop, &end.io, SQ_IO_READ | SQ_IO_WRITE);
    sq_loop_run(loop);
    SQ_CHECK_EQ(end.last, SQ_IO_READ | SQ_IO_WRITE);
    sq_io_update(loop, &end.io, 0);
    close(fds[1]);
    sq_loop_run(loop);
    SQ_CHECK_EQ(end.last, SQ_IO_ERROR);
    sq_io_stop(loop, &end.io);
    sq_io_stop(loop, &end.io);
    close(fds[0]);
    sq_loop_free(loop);
}

SQ_TEST(loop_io_start_reports_bad_descriptors)
{
    struct sq_loop *loop = new_loop();
    struct sq_io io = {pipe_ready, -1, 0};

    SQ_CHECK_EQ(sq_io_start(loop, &io, -1, SQ_IO_READ), -EBADF);
    sq_loop_free(loop);
}

/* ---- lent memory ---- */

SQ_TEST(loop_chunks_are_counted)
{
    struct sq_loop *loop = new_loop();
    uint8_t *chunks[200];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            chunks[i] = sq_loop_chunk_acquire(loop);
            memset(chunks[i], i, SQ_LOOP_CHUNK_BYTES);
        }
        SQ_CHECK_EQ(sq_loop_chunks_lent(loop), 200);
        for (int i = 0; i < 200; i++) {
            SQ_CHECK_EQ(chunks[i][SQ_LOOP_CHUNK_BYTES - 1], i);
            sq_loop_chunk_release(loop, chunks[i]);
        }
        SQ_CHECK_EQ(sq_loop_chunks_lent(loop), 0);
    }
    sq_loop_chunk_release(loop, NULL);
    sq_loop_free(loop);
}

SQ_TEST(loop_read_buffer_has_padding_on_both_sides)
{
    struct sq_loop *loop = new_loop();
    uint8_t *buffer = sq_loop_read_buffer(loop);

    memset(buffer - 64, 1, SQ_LOOP_READ_BYTES + 128);
    SQ_CHECK(buffer == sq_loop_read_buffer(loop));
    sq_loop_free(loop);
}
