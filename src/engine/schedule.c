/* SPDX-License-Identifier: Apache-2.0 */
/* The schedule: all scenarios of a run, advanced in order of due time. What a scenario does is its
 * executor's; waiting for startTime, ending and being done are here. */
#include "engine/schedule.h"

#include <stdlib.h>

#include "engine/executor.h"

/* A load that is more than this machine can start must not keep the caller from its signals. */
enum { STEPS_MAX = 4096 };

struct sq_schedule {
    struct sq_run *runs; /* in the order of the config */
    struct sq_run **order;
    size_t count;
    bool stopped;
};

const struct sq_executor_ops *sq_executor_ops(enum sq_executor executor)
{
    static const struct sq_executor_ops *const ops[] = {
        [SQ_EXEC_SHARED_ITERATIONS] = &sq_shared_iterations_ops,
        [SQ_EXEC_PER_VU_ITERATIONS] = &sq_per_vu_iterations_ops,
        [SQ_EXEC_CONSTANT_VUS] = &sq_constant_vus_ops,
        [SQ_EXEC_RAMPING_VUS] = &sq_ramping_vus_ops,
        [SQ_EXEC_CONSTANT_ARRIVAL_RATE] = &sq_constant_arrival_rate_ops,
        [SQ_EXEC_RAMPING_ARRIVAL_RATE] = &sq_ramping_arrival_rate_ops,
    };

    sq_assert((size_t)executor < SQ_COUNT(ops));
    return ops[executor];
}

const char *sq_executor_name(enum sq_executor executor)
{
    return sq_executor_ops(executor)->name;
}

bool sq_gate_take(struct sq_gate *gate, uint64_t *slot_taken, int64_t now_ns, uint64_t *number)
{
    uint64_t taken;

    if (now_ns >= gate->end_ns || (gate->per_slot && *slot_taken >= gate->per_slot))
        return false;
    if (gate->total) {
        taken = atomic_load_explicit(&gate->taken, memory_order_relaxed);
        do {
            if (taken >= gate->total)
                return false;
        } while (!atomic_compare_exchange_weak(&gate->taken, &taken, taken + 1));
    } else {
        taken = atomic_fetch_add_explicit(&gate->taken, 1, memory_order_relaxed);
    }
    ++*slot_taken;
    *number = taken;
    return true;
}

uint64_t sq_scenario_iteration_in_test(const struct sq_scenario *scenario, uint64_t number)
{
    /* Only these deal single iterations to instances; the others number their own (ENG-145). */
    switch (scenario->executor) {
    case SQ_EXEC_SHARED_ITERATIONS:
    case SQ_EXEC_CONSTANT_ARRIVAL_RATE:
    case SQ_EXEC_RAMPING_ARRIVAL_RATE:
        return sq_stripe_index(scenario->stripe, number);
    default:
        return number;
    }
}

static int compare_starts(const void *a, const void *b)
{
    const struct sq_scenario *left = (*(struct sq_run *const *)a)->scenario,
                             *right = (*(struct sq_run *const *)b)->scenario;

    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    return strcmp(left->name, right->name);
}

struct sq_schedule *sq_schedule_new(const struct sq_scenario *scenarios, size_t count,
                                    const struct sq_runner *runner, void *self)
{
    struct sq_schedule *schedule = sq_xcalloc(1, sizeof *schedule);

    schedule->count = count;
    schedule->runs = sq_xcalloc(count + 1, sizeof *schedule->runs);
    schedule->order = sq_xcalloc(count + 1, sizeof *schedule->order);
    for (size_t i = 0; i < count; i++) {
        const struct sq_scenario *s = &scenarios[i];
        struct sq_run *run = schedule->order[i] = &schedule->runs[i];
        run->scenario = s;
        run->index = i;
        run->ops = sq_executor_ops(s->executor);
        run->runner = runner;
        run->self = self;
        run->start_ns = s->start_ns;
        run->end_ns = s->start_ns + run->ops->length(s);
        run->interrupt_ns = run->end_ns + s->graceful_stop_ns;
        run->gate.end_ns = run->end_ns;
    }
    qsort(schedule->order, count, sizeof *schedule->order, compare_starts);
    return schedule;
}

void sq_schedule_free(struct sq_schedule *schedule)
{
    if (!schedule)
        return;
    for (size_t i = 0; i < schedule->count; i++)
        if (schedule->runs[i].ops->deinit)
            schedule->runs[i].ops->deinit(&schedule->runs[i]);
    free(schedule->runs);
    free(schedule->order);
    free(schedule);
}

static int64_t next_due(const struct sq_run *run)
{
    if (run->stopped)
        return INT64_MAX;
    switch (run->state) {
    case SQ_SCENARIO_WAITING:
        return run->start_ns;
    case SQ_SCENARIO_RUNNING: {
        int64_t due_ns = run->ops->due(run);
        return SQ_MIN(due_ns, run->end_ns);
    }
    default:
        return INT64_MAX;
    }
}

static void finish(struct sq_run *run)
{
    run->state = run->stopped ? SQ_SCENARIO_INTERRUPTED : SQ_SCENARIO_DONE;
}

static void end_regular_part(struct sq_run *run)
{
    run->state = SQ_SCENARIO_STOPPING;
    run->ops->end(run);
    if (run->busy == 0)
        finish(run);
}

static void step(struct sq_run *run, int64_t due_ns)
{
    if (run->state == SQ_SCENARIO_WAITING) {
        run->state = SQ_SCENARIO_RUNNING;
        run->ops->start(run);
    } else if (run->ops->due(run) <= due_ns) {
        run->ops->step(run, due_ns);
    } else {
        end_regular_part(run);
    }
}

int64_t sq_schedule_advance(struct sq_schedule *schedule, int64_t now_ns)
{
    for (int steps = 0;; steps++) {
        struct sq_run *first = NULL;
        int64_t first_ns = INT64_MAX;
        bool alive = false;
        for (size_t i = 0; i < schedule->count; i++) {
            struct sq_run *run = schedule->order[i];
            int64_t due_ns = next_due(run);
            alive |= run->state < SQ_SCENARIO_DONE;
            if (due_ns < first_ns) {
                first = run;
                first_ns = due_ns;
            }
        }
        if (!alive)
            return -1;
        if (!first || first_ns > now_ns || steps == STEPS_MAX)
            return first_ns;
        first->now_ns = now_ns;
        step(first, first_ns);
    }
}

/* Looping executors without a plan of their own are over when the last VU has left. */
static bool ends_with_slots(const struct sq_run *run)
{
    return run->state == SQ_SCENARIO_STOPPING || run->stopped ||
           (run->state == SQ_SCENARIO_RUNNING && run->scenario->executor <= SQ_EXEC_CONSTANT_VUS);
}

static void someone_left(struct sq_run *run)
{
    if (run->busy > 0 || run->state >= SQ_SCENARIO_DONE || !ends_with_slots(run))
        return;
    if (run->state == SQ_SCENARIO_RUNNING && !run->stopped)
        end_regular_part(run);
    else
        finish(run);
}

void sq_schedule_slot_done(struct sq_schedule *schedule, size_t scenario, uint32_t slot,
                           uint64_t slot_taken, int64_t now_ns)
{
    struct sq_run *run = &schedule->runs[scenario];

    sq_assert(scenario < schedule->count);
    if (run->ops->slot_done(run, slot, slot_taken, now_ns))
        someone_left(run);
}

void sq_schedule_iteration_done(struct sq_schedule *schedule, size_t scenario, int64_t now_ns)
{
    struct sq_run *run = &schedule->runs[scenario];

    (void)now_ns;
    sq_assert(scenario < schedule->count && run->busy > 0);
    run->busy--;
    someone_left(run);
}

void sq_schedule_grown(struct sq_schedule *schedule, size_t scenario, int64_t now_ns)
{
    struct sq_run *run = &schedule->runs[scenario];

    (void)now_ns;
    sq_assert(scenario < schedule->count && run->ticks.growing);
    run->ticks.growing = false;
    run->ticks.vus++;
}

void sq_schedule_stop(struct sq_schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++) {
        struct sq_run *run = &schedule->runs[i];
        if (run->state >= SQ_SCENARIO_DONE)
            continue;
        run->stopped = true;
        /* No VU finds another iteration in a shared pot, even before it notices its interruption.
         */
        if (run->state != SQ_SCENARIO_WAITING && run->gate.total && !run->counted) {
            run->counted = true;
            run->attempted = atomic_exchange(&run->gate.taken, run->gate.total);
        }
        if (run->busy == 0)
            finish(run);
    }
}

struct sq_scenario_progress sq_schedule_progress(const struct sq_schedule *schedule,
                                                 size_t scenario, int64_t now_ns)
{
    const struct sq_run *run = &schedule->runs[scenario];
    struct sq_scenario_progress out = {.state = run->state};
    int64_t length_ns = run->ops->length(run->scenario), elapsed_ns = now_ns - run->start_ns;

    sq_assert(scenario < schedule->count);
    if (run->state == SQ_SCENARIO_WAITING)
        elapsed_ns = SQ_MIN(elapsed_ns, 0);
    out.length_ns = length_ns;
    out.elapsed_ns = SQ_MIN(elapsed_ns, length_ns);
    if (length_ns > 0 && elapsed_ns > 0)
        out.done = (double)out.elapsed_ns / (double)length_ns;
    run->ops->progress(run, now_ns, &out);
    if (run->state == SQ_SCENARIO_DONE && run->scenario->executor > SQ_EXEC_PER_VU_ITERATIONS)
        out.done = 1;
    return out;
}
