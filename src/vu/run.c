/* SPDX-License-Identifier: Apache-2.0 */
#include "vu/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "vu/messages.h"
#include "vu/pool.h"

enum {
    TICK_NS = 100 * SQ_NS_PER_MS,
    COLLECT_NS = 200 * SQ_NS_PER_MS,
    EVALUATE_NS = 2 * SQ_NS_PER_S,
    WATCHDOG_NS = 25 * SQ_NS_PER_MS,
    GOODBYE_NS_MAX = 1500 * SQ_NS_PER_MS,
    SERIES_WARN_MIN = 100000,
};

static void run_until(struct sq_run *run, const bool *done)
{
    while (!*done)
        sq_loop_run(run->loop);
}

static void finish_phase(struct sq_run *run)
{
    run->phase_done = true;
    sq_loop_stop(run->loop);
}

struct sq_shard *sq_run_new_shard(struct sq_run *run)
{
    return sq_shard_new(run->registry, run->samples_wanted);
}

int64_t sq_run_elapsed_ns(const struct sq_run *run)
{
    int64_t end = run->ended_ns ? run->ended_ns : sq_now_ns();

    return run->started_ns ? end - run->started_ns : 0;
}

/* ---- ending early ---- */

static void interrupt_worker(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_worker *w = &m->thread->worker;

    for (size_t i = 0; i < w->vus_count; i++)
        sq_vu_interrupt(w->vus[i]);
    free(m);
}

static void set_exit(struct sq_run *run, int exit_code, const char *reason)
{
    if (run->exit_code == SQ_EXIT_OK) {
        run->exit_code = exit_code;
        run->exit_reason = reason ? sq_xstrdup(reason) : NULL;
    } else if (reason) {
        sq_log(SQ_LOG_DEBUG, "run", "also: %s", reason);
    }
}

void sq_run_stop(struct sq_run *run, int exit_code, const char *reason)
{
    set_exit(run, exit_code, reason);
    if (run->stopping)
        return;
    run->stopping = true;
    atomic_store(&run->stopping_workers, true);
    if (run->schedule)
        sq_schedule_stop(run->schedule);
    /* Once ended, no worker runs a script any more, and none may be there to read a message. */
    for (size_t i = 0; i < run->threads_count && run->phase != SQ_PHASE_ENDED; i++) {
        struct message *m = sq_message_new(run, interrupt_worker);
        m->thread = &run->threads[i];
        sq_loop_post(run->threads[i].loop, &m->post);
    }
    if (run->phase != SQ_PHASE_TEARDOWN)
        for (size_t i = 0; i < run->main_worker.vus_count; i++)
            sq_vu_interrupt(run->main_worker.vus[i]);
    sq_loop_stop(run->loop); /* whoever waits looks again */
    sq_pool_drop_waiting(run->pool, run);
    if (run->schedule)
        sq_timer_start(run->loop, &run->schedule_timer, sq_loop_now(run->loop));
}

static void stop_asked(struct sq_post *post)
{
    struct message *m = message_of(post);

    sq_run_stop(m->run, m->code, m->text);
    free(m->text);
    free(m);
}

void sq_run_ask_stop(struct sq_run *run, int exit_code, const char *reason)
{
    struct message *m = sq_message_new(run, stop_asked);

    m->code = exit_code;
    m->text = reason ? sq_xstrdup(reason) : NULL;
    send_to_main(m);
}

static void signal_ready(struct sq_io *io, unsigned events)
{
    struct sq_run *run = SQ_CONTAINER_OF(io, struct sq_run, signal_io);
    struct signalfd_siginfo info;

    (void)events;
    while (read(io->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        const char *name = info.ssi_signo == SIGINT    ? "SIGINT"
                           : info.ssi_signo == SIGTERM ? "SIGTERM"
                                                       : "SIGHUP";
        if (run->lingering) {
            run->lingering = false;
            sq_loop_stop(run->loop);
            continue;
        }
        if (++run->signals >= 2) {
            sq_log(SQ_LOG_ERROR, "run", "second signal (%s): ending at once", name);
            if (run->hooks.dying)
                run->hooks.dying(run->hooks.user);
            sq_log_flush(NULL, SQ_NS_PER_S);
            fflush(NULL);
            _exit(SQ_EXIT_SIGNAL);
        }
        sq_log(SQ_LOG_DEBUG, "run", "%s: interrupting all VUs", name);
        char reason[80];
        snprintf(reason, sizeof reason,
                 "test run was aborted because squall received a '%s' signal",
                 info.ssi_signo == SIGINT    ? "interrupt"
                 : info.ssi_signo == SIGTERM ? "terminated"
                                             : "hangup");
        sq_run_stop(run, SQ_EXIT_SIGNAL, reason);
    }
}

int sq_run_catch_signals(struct sq_run *run, struct sq_error *err)
{
    struct sigaction hangup;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    /* Under nohup it stays ignored; a signalfd would report it all the same. */
    if (sigaction(SIGHUP, NULL, &hangup) < 0 || hangup.sa_handler != SIG_IGN)
        sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return sq_error_set(err, -errno, "cannot watch for signals: %s", strerror(errno));
    run->signal_io.ready = signal_ready;
    return sq_io_start(run->loop, &run->signal_io, fd, SQ_IO_READ);
}

/* ---- gathering what the workers measured ---- */

static void shard_arrived(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_run *run = m->run;

    sq_totals_merge(run->totals, m->shard);
    m->thread->worker.spare_shard = m->shard;
    if (m->samples)
        run->hooks.samples(run->hooks.user, m->samples);
    free(m);
    if (--run->collecting == 0)
        sq_loop_stop(run->loop);
}

static void hand_over_shard(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_worker *w = &m->thread->worker;

    m->shard = w->shard;
    m->samples = sq_shard_take_samples(w->shard);
    w->shard = w->spare_shard;
    w->spare_shard = NULL;
    m->post.run = shard_arrived;
    send_to_main(m);
}

static void collect_main(struct sq_run *run)
{
    struct sq_shard *shard = run->main_worker.shard;
    struct sq_sample_batch *samples = sq_shard_take_samples(shard);

    sq_totals_merge(run->totals, shard);
    if (samples)
        run->hooks.samples(run->hooks.user, samples);
}

static void start_collecting(struct sq_run *run)
{
    if (run->collecting)
        return;
    collect_main(run);
    for (size_t i = 0; i < run->threads_count; i++) {
        struct message *m = sq_message_new(run, hand_over_shard);
        m->thread = &run->threads[i];
        run->collecting++;
        sq_loop_post(run->threads[i].loop, &m->post);
    }
}

/* ---- checks so far ---- */

struct gathering {
    struct sq_check_tree *checks;
    size_t owing; /* workers that have not answered */
    void (*done)(void *user, const struct sq_check_tree *checks);
    void *user;
};

struct checks_request { /* to a worker and back */
    struct sq_post post;
    struct gathering *gathering;
    struct sq_thread *thread;
    struct sq_check_tree *checks;
};

static void checks_arrived(struct sq_post *post)
{
    struct checks_request *r = SQ_CONTAINER_OF(post, struct checks_request, post);
    struct gathering *g = r->gathering;

    sq_checks_merge(g->checks, r->checks);
    sq_check_tree_free(r->checks);
    free(r);
    if (--g->owing)
        return;
    g->done(g->user, g->checks);
    sq_check_tree_free(g->checks);
    free(g);
}

static void copy_checks(struct sq_post *post)
{
    struct checks_request *r = SQ_CONTAINER_OF(post, struct checks_request, post);

    r->checks = sq_check_tree_new();
    sq_checks_merge(r->checks, r->thread->worker.checks);
    r->post.run = checks_arrived;
    sq_loop_post(r->thread->run->loop, &r->post);
}

void sq_run_gather_checks(struct sq_run *run,
                          void (*done)(void *user, const struct sq_check_tree *checks), void *user)
{
    if (run->workers_joined || run->threads_count == 0) {
        done(user, run->workers_joined ? run->checks : run->main_worker.checks);
        return;
    }
    struct gathering *g = sq_xcalloc(1, sizeof *g);
    *g = (struct gathering){sq_check_tree_new(), run->threads_count, done, user};
    sq_checks_merge(g->checks, run->main_worker.checks);
    for (size_t i = 0; i < run->threads_count; i++) {
        struct checks_request *r = sq_xcalloc(1, sizeof *r);
        r->gathering = g;
        r->thread = &run->threads[i];
        r->post.run = copy_checks;
        sq_loop_post(run->threads[i].loop, &r->post);
    }
}

void sq_run_collect(struct sq_run *run)
{
    /* An answer that is under way may predate what the caller wants to see. */
    while (run->collecting)
        sq_loop_run(run->loop);
    start_collecting(run);
    while (run->collecting)
        sq_loop_run(run->loop);
}

static void collect_due(struct sq_timer *timer)
{
    struct sq_run *run = SQ_CONTAINER_OF(timer, struct sq_run, collect_timer);

    start_collecting(run);
    sq_timer_start(run->loop, timer, sq_loop_now(run->loop) + COLLECT_NS);
}

static void evaluate_due(struct sq_timer *timer)
{
    struct sq_run *run = SQ_CONTAINER_OF(timer, struct sq_run, evaluate_timer);

    sq_timer_start(run->loop, timer, timer->deadline_ns + EVALUATE_NS);
    if (run->hooks.evaluate(run->hooks.user, run))
        sq_run_stop(run, SQ_EXIT_THRESHOLDS,
                    "thresholds were crossed; at least one has abortOnFail");
}

static void tick_due(struct sq_timer *timer)
{
    struct sq_run *run = SQ_CONTAINER_OF(timer, struct sq_run, tick_timer);

    sq_timer_start(run->loop, timer, sq_loop_now(run->loop) + TICK_NS);
    run->hooks.tick(run->hooks.user, run);
}

/* MET-8: once at 100,000 distinct tag sets alive, and at each doubling. */
static void warn_of_series(struct sq_run *run)
{
    size_t series = sq_tag_table_count_max(run->tag_table);

    if (series < run->series_warn_at)
        return;
    sq_log(SQ_LOG_WARN, "metrics",
           "the test has produced %zu distinct tag sets: tags with many values (ids, tokens in "
           "URLs) cost memory "
           "here and in every output; drop them with systemTags or group them with a name tag",
           series);
    run->series_warn_at = series * 2;
}

static void second_due(struct sq_timer *timer)
{
    struct sq_run *run = SQ_CONTAINER_OF(timer, struct sq_run, second_timer);
    struct sq_worker *w = &run->main_worker;
    int64_t wall = sq_wall_ns();

    sq_timer_start(run->loop, timer, timer->deadline_ns + SQ_NS_PER_S);
    warn_of_series(run);
    sq_shard_add(w->shard, SQ_M_VUS, run->run_tags, NULL, wall,
                 (double)atomic_load(&run->vus_active));
    sq_shard_add(w->shard, SQ_M_VUS_MAX, run->run_tags, NULL, wall, (double)run->vus_ready);
}

static void watchdog_due(struct sq_timer *timer)
{
    struct sq_run *run = SQ_CONTAINER_OF(timer, struct sq_run, watchdog_timer);
    int64_t now = sq_loop_now(run->loop);

    sq_timer_start(run->loop, timer, now + WATCHDOG_NS);
    for (size_t i = 0; i < run->threads_count; i++) {
        struct sq_worker *w = &run->threads[i].worker;
        int64_t since = atomic_load_explicit(&w->running_since_ns, memory_order_relaxed);
        if (since && now - since > WATCHDOG_NS)
            run->ops->poke(w);
    }
}

/* ---- jobs on the main thread ---- */

int sq_run_init(struct sq_run *run, struct sq_config *config, const struct sq_script_ops *ops,
                void *script, struct sq_error *err)
{
    int rc;

    run->config = config;
    run->ops = ops;
    run->script = script;
    run->checks = sq_check_tree_new();
    run->pool = sq_pool_new();
    run->series_warn_at = SERIES_WARN_MIN;
    run->run_tags = sq_tagset_empty(run->tag_table);
    run->tick_timer = SQ_TIMER_INIT(tick_due);
    run->second_timer = SQ_TIMER_INIT(second_due);
    run->collect_timer = SQ_TIMER_INIT(collect_due);
    run->evaluate_timer = SQ_TIMER_INIT(evaluate_due);
    run->watchdog_timer = SQ_TIMER_INIT(watchdog_due);
    run->signal_io.fd = -1;
    if ((rc = sq_loop_new(&run->loop, err)) < 0)
        return rc;
    return sq_worker_init(&run->main_worker, run, run->loop, ops, UINT32_MAX, err);
}

void sq_run_prepare(struct sq_run *run)
{
    struct sq_worker *w = &run->main_worker;

    run->samples_wanted = run->hooks.samples != NULL;
    run->totals = sq_totals_new(run->registry);
    sq_shard_free(w->shard);
    sq_shard_free(w->spare_shard);
    w->shard = sq_run_new_shard(run);
    w->spare_shard = NULL;
    struct sq_tag_pair *pairs = sq_xcalloc(run->config->tags.count, sizeof *pairs);
    for (size_t i = 0; i < run->config->tags.count; i++)
        pairs[i] = (struct sq_tag_pair){sq_slice_str(run->config->tags.items[i].key),
                                        sq_slice_str(run->config->tags.items[i].value)};
    sq_tagset_unref(run->run_tags);
    run->run_tags = sq_tagset_with(run->tag_table, NULL, pairs, run->config->tags.count);
    free(pairs);
}

static void job_ended(struct sq_vu *vu)
{
    vu->job_finished = true;
    sq_loop_stop(vu->worker->loop);
}

int sq_run_job(struct sq_run *run, struct sq_vu *vu, void (*job)(struct sq_vu *vu),
               int64_t timeout_ns)
{
    vu->interrupted = false;
    vu->job_finished = false;
    vu->ended = job_ended;
    sq_vu_start(vu, job);
    int64_t deadline = timeout_ns == INT64_MAX ? INT64_MAX : sq_now_ns() + timeout_ns;
    sq_vu_interrupt_at(vu, deadline);
    run_until(run, &vu->job_finished);
    sq_vu_interrupt_at(vu, INT64_MAX);
    if (vu->lacked_stack)
        return -ENOMEM;
    return vu->interrupted && sq_now_ns() >= deadline ? -ETIMEDOUT : 0;
}

void sq_run_job_done(struct sq_vu *vu)
{
    if (vu->ended)
        vu->ended(vu);
}

/* ---- workers ---- */

void sq_run_vu_initialised(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_run *run = m->run;

    if (m->code < 0) {
        sq_run_stop(run, SQ_EXIT_SCRIPT, m->text);
        finish_phase(run);
    } else {
        run->vus_ready++;
        if (run->phase == SQ_PHASE_INIT) {
            sq_pool_put(run->pool, m->vu);
            if (run->vus_ready == run->vus_count)
                finish_phase(run);
        } else {
            sq_pool_grown(run->pool, run, m->vu, m->scenario);
        }
    }
    free(m->text);
    free(m);
}

static void initialise_next(struct sq_vu *previous)
{
    struct sq_worker *w = previous->worker;
    struct sq_thread *t = SQ_CONTAINER_OF(w, struct sq_thread, worker);

    previous->ended = NULL;
    if (t->initialising < w->vus_count && !previous->interrupted) {
        struct sq_vu *vu = w->vus[t->initialising++];
        vu->ended = initialise_next;
        sq_vu_start(vu, sq_job_initialise);
    }
}

static void initialise_all(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_thread *t = m->thread;

    free(m);
    if (t->worker.vus_count == 0)
        return;
    t->initialising = 1;
    t->worker.vus[0]->ended = initialise_next;
    sq_vu_start(t->worker.vus[0], sq_job_initialise);
}

static void worker_opened(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_run *run = m->run;

    if (m->code < 0) {
        sq_run_stop(run, SQ_EXIT_OTHER, m->text);
        finish_phase(run);
    } else if (--run->opening == 0) {
        sq_loop_stop(run->loop);
    }
    free(m->text);
    free(m);
}

static void *thread_main(void *arg)
{
    struct sq_thread *t = arg;
    struct sq_error err = {0};
    struct message *m = sq_message_new(t->run, worker_opened);

    m->code = sq_worker_init(&t->worker, t->run, t->loop, t->run->ops,
                             (unsigned)(t - t->run->threads), &err);
    bool opened = m->code >= 0;
    if (!opened)
        m->text = sq_xstrdup(err.text);
    send_to_main(m);
    if (opened)
        sq_loop_run(t->loop);
#ifdef SQ_DEBUG
    /* In release the process's end frees everything at once: 100,000 VUs take seconds. */
    sq_worker_deinit(&t->worker);
#endif
    return NULL;
}

static int start_threads(struct sq_run *run, size_t count, struct sq_error *err)
{
    run->threads = sq_xcalloc(count, sizeof *run->threads);
    run->opening = count;
    for (size_t i = 0; i < count; i++) {
        struct sq_thread *t = &run->threads[i];
        t->run = run;
        int rc = sq_loop_new(&t->loop, err);
        if (rc < 0)
            return rc;
        rc = pthread_create(&t->id, NULL, thread_main, t);
        if (rc)
            return sq_error_set(err, -rc, "cannot start worker thread %zu: %s", i + 1,
                                strerror(rc));
        t->started = true;
        run->threads_count++;
    }
    while (run->opening && !run->stopping)
        sq_loop_run(run->loop);
    return run->stopping ? sq_error_set(err, SQ_ECANCELLED, "%s", run->exit_reason) : 0;
}

static struct sq_vu *add_vu(struct sq_run *run, struct sq_worker *worker)
{
    if (run->vus_count == run->vus_cap) {
        run->vus_cap = SQ_MAX((size_t)16, run->vus_cap * 2);
        run->vus = sq_xrealloc(run->vus, run->vus_cap * sizeof(struct sq_vu *));
    }
    struct sq_vu *vu = sq_vu_new(worker, (uint32_t)run->vus_count + 1);
    run->vus[run->vus_count++] = vu;
    return vu;
}

void sq_run_enter(struct sq_run *run, enum sq_run_phase phase)
{
    static const char *const names[] = {
        [SQ_PHASE_LOAD] = "loading the script",
        [SQ_PHASE_INIT] = "initialising VUs",
        [SQ_PHASE_SETUP] = "setup",
        [SQ_PHASE_RUNNING] = "running the scenarios",
        [SQ_PHASE_TEARDOWN] = "teardown",
        [SQ_PHASE_ENDED] = "the run has ended",
    };

    run->phase = phase;
    sq_log(SQ_LOG_DEBUG, "run", "%s", names[phase]);
}

int sq_run_start_workers(struct sq_run *run, struct sq_error *err)
{
    const struct sq_config *config = run->config;
    size_t planned = (size_t)sq_scenarios_vus_planned(config->scenarios, config->scenarios_count);
    size_t cores = (size_t)SQ_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    size_t workers = config->workers > 0 ? (size_t)config->workers : cores;

    sq_run_enter(run, SQ_PHASE_INIT);
    sq_timer_start(run->loop, &run->second_timer, sq_now_ns() + SQ_NS_PER_S);
    sq_timer_start(run->loop, &run->collect_timer, sq_now_ns() + COLLECT_NS);
    if (run->hooks.tick) {
        run->hooks.tick(run->hooks.user, run);
        sq_timer_start(run->loop, &run->tick_timer, sq_now_ns() + TICK_NS);
    }
    int rc = start_threads(run, SQ_MAX(SQ_MIN(workers, planned), (size_t)1), err);
    if (rc < 0)
        return rc;
    /* It reads what the workers have just filled in. */
    sq_timer_start(run->loop, &run->watchdog_timer, sq_now_ns() + WATCHDOG_NS);
    /* No worker touches its list before the message below, so it may be filled from here. */
    for (size_t i = 0; i < planned; i++)
        add_vu(run, &run->threads[i % run->threads_count].worker);
    run->phase_done = planned == 0;
    for (size_t i = 0; i < run->threads_count; i++) {
        struct message *m = sq_message_new(run, initialise_all);
        m->thread = &run->threads[i];
        sq_loop_post(run->threads[i].loop, &m->post);
    }
    while (!run->phase_done && !run->stopping)
        sq_loop_run(run->loop);
    if (run->stopping)
        return sq_error_set(err, SQ_ECANCELLED, "%s",
                            run->exit_reason ? run->exit_reason : "stopped");
    return 0;
}

static void goodbye_check(struct sq_timer *timer)
{
    struct sq_thread *t = SQ_CONTAINER_OF(timer, struct sq_thread, goodbye_timer);
    int64_t now = sq_loop_now(t->loop);

    if (now < t->goodbye_deadline_ns && (t->run->ops->busy(&t->worker) || t->worker.jobs))
        sq_timer_start(t->loop, timer, now + 5 * SQ_NS_PER_MS);
    else
        sq_loop_stop(t->loop);
}

static void say_goodbye(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_thread *t = m->thread;

    free(m);
    t->goodbye_timer = SQ_TIMER_INIT(goodbye_check);
    t->goodbye_deadline_ns = sq_loop_now(t->loop) + GOODBYE_NS_MAX;
    goodbye_check(&t->goodbye_timer);
}

static void last_news_read(struct sq_post *post)
{
    struct message *m = message_of(post);

    m->run->news_read = true;
    sq_loop_stop(m->run->loop);
    free(m);
}

/* What the workers posted before they ended must not outlive the pool and the threads it is about.
 */
static void read_last_news(struct sq_run *run)
{
    send_to_main(sq_message_new(run, last_news_read));
    run_until(run, &run->news_read);
}

void sq_run_finish_workers(struct sq_run *run)
{
    sq_run_collect(run);
    run->workers_joined = true;
    /* The loop may go on (handleSummary, --linger), with nobody there to ask. */
    sq_timer_stop(run->loop, &run->watchdog_timer);
    sq_timer_stop(run->loop, &run->collect_timer);
    sq_timer_stop(run->loop, &run->second_timer);
    sq_checks_merge(run->checks, run->main_worker.checks);
    for (size_t i = 0; i < run->threads_count; i++) {
        struct sq_thread *t = &run->threads[i];
        struct message *m = sq_message_new(run, say_goodbye);
        m->thread = t;
        sq_loop_post(t->loop, &m->post);
    }
    for (size_t i = 0; i < run->threads_count; i++) {
        struct sq_thread *t = &run->threads[i];
        pthread_join(t->id, NULL);
        run->sessions_cut += atomic_load(&t->worker.sessions_cut);
        sq_checks_merge(run->checks, t->worker.checks);
        sq_check_tree_free(t->worker.checks);
    }
    read_last_news(run);
}

/* ---- execution ---- */

double sq_run_scenario_progress(const struct sq_run *run, size_t scenario)
{
    const struct sq_scenario *s = &run->config->scenarios[scenario];
    int64_t elapsed_ns = sq_now_ns() - run->executing_ns - s->start_ns, length_ns = s->duration_ns;
    double total = (double)s->iterations, ended;

    switch (s->executor) {
    case SQ_EXEC_PER_VU_ITERATIONS:
    case SQ_EXEC_SHARED_ITERATIONS:
        if (s->executor == SQ_EXEC_PER_VU_ITERATIONS)
            total *= (double)s->vus;
        ended = (double)atomic_load(&run->scenario_ended[scenario]);
        return elapsed_ns >= length_ns || ended >= total ? 1 : ended / total;
    case SQ_EXEC_RAMPING_VUS:
    case SQ_EXEC_RAMPING_ARRIVAL_RATE:
        length_ns = 0;
        for (size_t i = 0; i < s->stages_count; i++)
            length_ns += s->stages[i].duration_ns;
        break;
    default:
        break;
    }
    return elapsed_ns >= length_ns ? 1 : (double)SQ_MAX(elapsed_ns, 0) / (double)length_ns;
}

static void schedule_due(struct sq_timer *timer)
{
    struct sq_run *run = SQ_CONTAINER_OF(timer, struct sq_run, schedule_timer);
    int64_t next = sq_schedule_advance(run->schedule, sq_now_ns() - run->executing_ns);

    if (next < 0)
        finish_phase(run);
    else if (next < INT64_MAX)
        sq_timer_start(run->loop, timer, run->executing_ns + next);
}

void sq_run_reschedule(struct sq_run *run)
{
    if (run->schedule)
        sq_timer_start(run->loop, &run->schedule_timer, sq_loop_now(run->loop));
}

void sq_run_execute(struct sq_run *run)
{
    const struct sq_config *config = run->config;

    sq_run_enter(run, SQ_PHASE_RUNNING);
    run->phase_done = false;
    run->schedule_timer = SQ_TIMER_INIT(schedule_due);
    run->executing_ns = sq_now_ns();
    run->executing_wall_ns = sq_wall_ns();
    run->scenario_ended = sq_xcalloc(config->scenarios_count + 1, sizeof *run->scenario_ended);
    run->schedule =
        sq_schedule_new(config->scenarios, config->scenarios_count, &sq_pool_runner, run);
    if (run->hooks.tick)
        run->hooks.tick(run->hooks.user, run);
    if (run->hooks.evaluate)
        sq_timer_start(run->loop, &run->evaluate_timer, run->executing_ns + EVALUATE_NS);
    schedule_due(&run->schedule_timer);
    run_until(run, &run->phase_done);
    sq_timer_stop(run->loop, &run->schedule_timer);
    sq_timer_stop(run->loop, &run->evaluate_timer);
}

void sq_run_deinit(struct sq_run *run)
{
    sq_check_tree_free(run->main_worker.checks);
    sq_worker_deinit(&run->main_worker);
    sq_schedule_free(run->schedule);
    sq_pool_free(run->pool);
    if (run->totals)
        sq_totals_free(run->totals);
    sq_check_tree_free(run->checks);
    sq_tagset_unref(run->run_tags);
    for (size_t i = 0; i < run->threads_count; i++)
        sq_loop_free(run->threads[i].loop);
    free(run->threads);
    free(run->vus);
    free(run->exit_reason);
    free(run->scenario_ended);
    if (run->signal_io.fd >= 0) {
        int fd = run->signal_io.fd;
        sq_io_stop(run->loop, &run->signal_io);
        close(fd);
    }
    sq_loop_free(run->loop);
}
