/* SPDX-License-Identifier: Apache-2.0 */
/* A test run: workers, VUs and the life cycle init, setup, scenarios, teardown. Main thread, unless
 * said otherwise. Engine specification sections 3, 11, 13 and 15. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "engine/config.h"
#include "vu/vu.h"

/* k6's exit codes (engine specification 15). */
enum sq_exit {
    SQ_EXIT_OK = 0,
    SQ_EXIT_THRESHOLDS = 99,
    SQ_EXIT_SETUP_TIMEOUT = 100,
    SQ_EXIT_TEARDOWN_TIMEOUT = 101,
    SQ_EXIT_STOPPED = 103, /* over the REST API */
    SQ_EXIT_CONFIG = 104,
    SQ_EXIT_SIGNAL = 105,
    SQ_EXIT_ADDRESS = 106, /* of the REST API cannot be listened on */
    SQ_EXIT_SCRIPT = 107,
    SQ_EXIT_ABORTED = 108,
    SQ_EXIT_MARKED_FAILED = 110,
    SQ_EXIT_OTHER = 255,
};

enum sq_run_phase {
    SQ_PHASE_LOAD,
    SQ_PHASE_INIT,
    SQ_PHASE_SETUP,
    SQ_PHASE_RUNNING,
    SQ_PHASE_TEARDOWN,
    SQ_PHASE_ENDED,
};

struct sq_run_hooks {
    void *user;
    /* Every 100 ms, and when a phase begins. */
    void (*tick)(void *user, struct sq_run *run);
    /* Samples of a worker, in its order; owned by the callee. NULL: nobody wants samples. */
    void (*samples)(void *user, struct sq_sample_batch *batch);
    /* Every 2 s, after totals were brought up to date: true ends the run with
     * SQ_EXIT_THRESHOLDS. May be NULL. */
    bool (*evaluate)(void *user, struct sq_run *run);
    /* The second signal: save what can be saved; the process ends right after. */
    void (*dying)(void *user);
};

struct sq_run {
    /* ---- set before VUs run, who only read it ---- */
    struct sq_config *config; /* borrowed */
    struct sq_registry *registry;
    struct sq_tag_table *tag_table;
    const struct sq_script_ops *ops;
    void *script; /* the upper layer's shared state: bytecode, setup data */
    struct sq_loop *loop;
    struct sq_thread *threads;
    size_t threads_count;
    struct sq_tagset *run_tags;
    int64_t started_ns, executing_ns; /* run clock: setup's start, scenarios' start */
    int64_t started_wall_ns, executing_wall_ns;
    bool samples_wanted;

    /* ---- any thread ---- */
    _Alignas(64) _Atomic uint64_t iterations_complete;
    _Atomic uint64_t iterations_interrupted;
    _Atomic int64_t vus_active;
    _Atomic size_t vus_ready;
    _Atomic uint64_t *scenario_ended; /* iterations that are over, by scenario; while executing */
    _Atomic bool marked_failed;       /* exec.test.fail() */
    _Atomic bool stopping_workers;    /* what starts now is cut at once */

    /* ---- the main thread ---- */
    _Alignas(64) struct sq_run_hooks hooks;
    struct sq_worker main_worker; /* load, setup, teardown and summary run here */
    struct sq_totals *totals;
    struct sq_check_tree *checks;
    struct sq_schedule *schedule;
    struct sq_pool *pool;
    struct sq_vu **vus; /* by id - 1 */
    size_t vus_count, vus_cap;
    size_t collecting; /* workers that owe us a shard */
    size_t opening;    /* worker threads that have not reported yet */
    size_t series_warn_at;
    uint64_t sessions_cut;
    struct sq_timer tick_timer, second_timer, collect_timer, evaluate_timer, schedule_timer,
        watchdog_timer;
    struct sq_io signal_io;
    unsigned signals;
    enum sq_run_phase phase;
    int64_t ended_ns;
    int exit_code;     /* the first reason wins (ENG-200) */
    char *exit_reason; /* words for it; NULL */
    bool stopping;     /* interrupted as a whole */
    bool paused;       /* waits between init and setup; the caller's loop */
    bool lingering;    /* over, but stays; a signal ends it without exit code */
    bool phase_done;
    bool workers_joined;
    bool news_read; /* the workers are gone and so is what they had posted */
};

/* Starts nothing yet. `config` may still change until sq_run_start_workers. */
int sq_run_init(struct sq_run *run, struct sq_config *config, const struct sq_script_ops *ops,
                void *script, struct sq_error *err);
void sq_run_deinit(struct sq_run *run);
/* Once metrics, sub-metrics, tags and hooks are known: makes totals and the main thread's shards.
 */
void sq_run_prepare(struct sq_run *run);
/* Blocks SIGINT, SIGTERM and, unless it is ignored, SIGHUP, and listens for them on the loop.
 * Before any thread exists. */
int sq_run_catch_signals(struct sq_run *run, struct sq_error *err);

/* Runs `job` as the only one of a new VU with id 0 on the main thread until it ends or the deadline
 * comes (relative ns; INT64_MAX: none), when it is interrupted. The VU is freed by the caller.
 * 0, or -ETIMEDOUT. */
int sq_run_job(struct sq_run *run, struct sq_vu *vu, void (*job)(struct sq_vu *vu),
               int64_t timeout_ns);

void sq_run_enter(struct sq_run *run, enum sq_run_phase phase);
/* Starts worker threads and initialises all planned VUs. Negative with words and exit_code set. */
int sq_run_start_workers(struct sq_run *run, struct sq_error *err);
/* Runs the scenarios to their end, or until sq_run_stop. */
void sq_run_execute(struct sq_run *run);
/* Waits until workers have handed over everything and ends their threads. */
void sq_run_finish_workers(struct sq_run *run);
/* Ends the run early: the first reason is kept. All VUs are interrupted at once. Main thread. */
void sq_run_stop(struct sq_run *run, int exit_code, const char *reason);
/* The same from a script, on any thread. */
void sq_run_ask_stop(struct sq_run *run, int exit_code, const char *reason);
/* Hands a copy of all checks so far to `done`, on the main loop, or at once when the workers are
 * gone. The tree is borrowed during the call. */
void sq_run_gather_checks(struct sq_run *run,
                          void (*done)(void *user, const struct sq_check_tree *checks), void *user);
/* Brings totals up to date with all workers; returns when done. */
void sq_run_collect(struct sq_run *run);

/* Run time so far, ns: from just before setup. */
int64_t sq_run_elapsed_ns(const struct sq_run *run);
size_t sq_run_scenario_vus(struct sq_run *run, size_t scenario);
/* How much of a scenario is done, 0 to 1, from the clock or its iterations. Any thread, while the
 * scenarios run. */
double sq_run_scenario_progress(const struct sq_run *run, size_t scenario);

/* For vu.c. */
struct sq_shard *sq_run_new_shard(struct sq_run *run);
void sq_run_job_done(struct sq_vu *vu);
