/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual user: a script instance that runs jobs (init, iterations, setup) on a fiber of its
 * worker's thread. A VU never leaves its worker.
 *
 * The loop runs on the thread's own stack. A job runs until it waits; loop callbacks wake it,
 * either later in the turn (sq_vu_wake) or right inside the callback (sq_vu_run_now), which is how
 * a message reaches its handler without a queue. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/list.h"
#include "engine/config.h"
#include "engine/schedule.h"
#include "fiber/fiber.h"
#include "loop/loop.h"
#include "metrics/checks.h"
#include "metrics/metrics.h"

struct sq_run;
struct sq_vu;
struct sq_worker;

enum sq_iteration {
    SQ_ITERATION_DONE,
    SQ_ITERATION_THREW,
    SQ_ITERATION_INTERRUPTED,
    SQ_ITERATION_PARKED, /* it has called sq_vu_park and goes on in `go_on` */
};

/* What the layer above gives: the scripting language behind a VU. */
struct sq_script_ops {
    /* On the worker's thread, before its first and after its last VU. */
    int (*worker_open)(struct sq_worker *worker, struct sq_error *err);
    void (*worker_close)(struct sq_worker *worker);
    /* Runs init code; on the VU's fiber. 0 or negative with words. */
    int (*vu_open)(struct sq_vu *vu, struct sq_error *err);
    void (*vu_close)(struct sq_vu *vu);
    /* The VU enters a scenario: its function, its env; on the fiber. */
    int (*activate)(struct sq_vu *vu, size_t scenario, struct sq_error *err);
    enum sq_iteration (*iterate)(struct sq_vu *vu);
    /* After SQ_ITERATION_PARKED, once the VU is woken: the rest of the iteration. */
    enum sq_iteration (*go_on)(struct sq_vu *vu);
    /* Called around every suspension of the fiber. */
    void (*enter)(struct sq_vu *vu);
    void (*leave)(struct sq_vu *vu);
    /* Wire bytes since the last call. */
    void (*take_bytes)(struct sq_vu *vu, uint64_t *sent, uint64_t *received);
    /* Connections still saying goodbye: the worker's loop goes on for a moment. */
    bool (*busy)(struct sq_worker *worker);
    /* Any thread: makes a worker's running script poll for interruption soon. */
    void (*poke)(struct sq_worker *worker);
};

struct sq_worker {
    struct sq_loop *loop;
    struct sq_fiber_pool *fibers;
    struct sq_run *run;
    const struct sq_script_ops *ops;
    void *script; /* the upper layer's per-worker state */
    struct sq_shard *shard, *spare_shard;
    struct sq_check_tree *checks;
    struct sq_vu *current; /* whose fiber runs now; NULL on the loop's stack */
    struct sq_list ready;
    struct sq_deferred run_ready;
    struct sq_list yielded;
    struct sq_timer run_yielded;
    unsigned index;
    _Atomic uint64_t sessions_cut; /* sessions that an interruption ended */
    /* When the running fiber was resumed, 0 on the loop's stack: the watchdog of another thread. */
    _Atomic int64_t running_since_ns;
    size_t jobs; /* VUs that have one */
    /* The VUs of this worker, by position; grows. */
    struct sq_vu **vus;
    size_t vus_count, vus_cap;
};

/* For the worker's own thread. */
int sq_worker_init(struct sq_worker *worker, struct sq_run *run, struct sq_loop *loop,
                   const struct sq_script_ops *ops, unsigned index, struct sq_error *err);
/* All but `checks`, which the main thread still wants. */
void sq_worker_deinit(struct sq_worker *worker);

struct sq_vu {
    struct sq_worker *worker;
    void *script;                    /* the upper layer's instance */
    struct sq_fiber *fiber;          /* NULL: no job, or parked */
    void (*job)(struct sq_vu *vu);   /* NULL: none */
    void (*ended)(struct sq_vu *vu); /* on the loop's stack, after the job; NULL: nothing */
    struct sq_list ready;
    struct sq_timer wait_timer, interrupt_timer;
    int64_t slice_start_ns, iteration_start_ns;
    uint32_t id; /* __VU: 0 for setup, teardown, load and summary */
    uint32_t slot;
    size_t scenario;  /* index in the config; SIZE_MAX outside scenarios */
    size_t activated; /* scenario of the last activation */
    uint64_t binding; /* counts the slot's bindings, so that late news is told from new */
    struct sq_gate *gate;
    uint64_t slot_taken;
    uint64_t iterations;         /* over the VU's life: the next __ITER */
    uint64_t scenario_iteration; /* number of the current iteration within its scenario */
    struct sq_tagset *tags, *metadata;
    struct sq_tagset *base_tags; /* of the activation, before groups */
    bool job_finished;
    bool waiting; /* suspended in sq_vu_wait, or parked */
    bool lacked_stack;
    bool parked;      /* the job has given its stack back */
    bool interrupted; /* the job must end; waits return at once */
    bool stop_asked;  /* start no further iteration */
    bool once;        /* one iteration for an arrival-rate executor */
    bool in_setup;    /* setup or teardown: the group root differs */
};

struct sq_vu *sq_vu_new(struct sq_worker *worker, uint32_t id);
void sq_vu_free(struct sq_vu *vu); /* no job may be running */

/* Starts a job at the end of this turn, one at a time. The run is stopped, and the job ends without
 * having been called, if there is no memory for its stack (lacked_stack). */
void sq_vu_start(struct sq_vu *vu, void (*job)(struct sq_vu *vu));

/* ---- on the VU's fiber ---- */
/* Until woken. 0, or SQ_ECANCELLED when the VU is interrupted (also when it was already). */
int sq_vu_wait(struct sq_vu *vu);
/* The same with a deadline of the loop's clock: also returns 0 when it has come. */
int sq_vu_wait_until(struct sq_vu *vu, int64_t deadline_ns);
/* A job that waits for long without a frame worth keeping gives its stack back: its function calls
 * this, returns, and is called again from its start, on another stack, when the VU is woken or
 * interrupted or the deadline (INT64_MAX: none) has come. */
void sq_vu_park(struct sq_vu *vu, int64_t deadline_ns);
/* First in such a job: is this the call after parking? */
bool sq_vu_unpark(struct sq_vu *vu);
/* Lets others run if this VU has had its slice; for the interrupt handler. */
void sq_vu_yield_if_due(struct sq_vu *vu, int64_t now_ns);

/* ---- on the loop's stack, or on another VU's fiber of the same worker ---- */
void sq_vu_wake(struct sq_vu *vu);
/* Resumes a waiting VU at once; the caller goes on when it suspends. Only on the loop's stack. */
void sq_vu_run_now(struct sq_vu *vu);
void sq_vu_interrupt(struct sq_vu *vu);
/* INT64_MAX: no deadline. */
void sq_vu_interrupt_at(struct sq_vu *vu, int64_t deadline_ns);

/* ---- samples ---- */
/* With the VU's tags and metadata, now. Dropped once the VU is interrupted (MET-12). */
void sq_vu_sample(struct sq_vu *vu, enum sq_metric_id metric, double value);
void sq_vu_sample_tags(struct sq_vu *vu, uint32_t metric, struct sq_tagset *tags, int64_t wall_ns,
                       double value);
/* Adds 1 to a counter, now. */
void sq_vu_count(struct sq_vu *vu, enum sq_metric_id metric, struct sq_tagset *tags);
/* data_sent and data_received since the last emission. */
void sq_vu_emit_bytes(struct sq_vu *vu, int64_t wall_ns);
/* Tags of a VU outside groups: run tags, scenario tags, system tags (MET-31). */
void sq_vu_set_base_tags(struct sq_vu *vu, size_t scenario, const char *group);
