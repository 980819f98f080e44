/* SPDX-License-Identifier: Apache-2.0 */
/* shared-iterations, per-vu-iterations and constant-vus (ENG-110..113): every slot starts with the
 * scenario and loops until its gate refuses. */
#include "engine/executor.h"

static int64_t fixed_length(const struct sq_scenario *s)
{
    return s->duration_ns;
}

static int64_t fixed_vus(const struct sq_scenario *s, bool max)
{
    (void)max;
    return s->vus;
}

static void fixed_plan(const struct sq_scenario *s, bool max, struct sq_plan *plan)
{
    sq_plan_add(plan, 0, fixed_vus(s, max));
    sq_plan_add(plan, s->duration_ns + s->graceful_stop_ns, -fixed_vus(s, max));
}

static void start_slots(struct sq_run *run)
{
    for (int64_t slot = 0; slot < run->scenario->vus; slot++) {
        run->busy++;
        run->runner->slot_start(run->self, run->index, (uint32_t)slot, &run->gate,
                                run->interrupt_ns);
    }
}

static void shared_start(struct sq_run *run)
{
    run->gate.total = (uint64_t)run->scenario->iterations;
    start_slots(run);
}

static void per_vu_start(struct sq_run *run)
{
    run->gate.per_slot = (uint64_t)run->scenario->iterations;
    start_slots(run);
}

static int64_t never_due(const struct sq_run *run)
{
    (void)run;
    return INT64_MAX;
}

static void no_step(struct sq_run *run, int64_t due_ns)
{
    (void)run, (void)due_ns;
}

static void no_end(struct sq_run *run)
{
    (void)run;
}

/* Closing the gate and reading it is one exchange: a VU whose clock is a little behind cannot take
 * an iteration that was already counted as dropped. */
static void shared_settle(struct sq_run *run)
{
    uint64_t total = run->gate.total;

    if (run->counted)
        return;
    run->counted = true;
    run->attempted = atomic_exchange(&run->gate.taken, total);
    if (run->attempted < total && !run->stopped)
        run->runner->dropped(run->self, run->index, total - run->attempted, UINT32_MAX);
}

static bool slot_left(struct sq_run *run, uint32_t slot, uint64_t slot_taken, int64_t now_ns)
{
    (void)slot, (void)slot_taken, (void)now_ns;
    if (run->busy == 0)
        return false;
    run->busy--;
    return true;
}

/* Only after its last iteration is it known how many a VU of its own had left. */
static bool per_vu_slot_left(struct sq_run *run, uint32_t slot, uint64_t slot_taken, int64_t now_ns)
{
    if (!slot_left(run, slot, slot_taken, now_ns))
        return false;
    if (slot_taken < run->gate.per_slot && !run->stopped)
        run->runner->dropped(run->self, run->index, run->gate.per_slot - slot_taken, slot);
    return true;
}

static void progress_slots(const struct sq_run *run, struct sq_scenario_progress *out)
{
    out->slots_active = run->busy;
    out->slots_max = run->scenario->vus;
    out->iterations = atomic_load(&run->gate.taken);
}

static void constant_progress(const struct sq_run *run, int64_t now_ns,
                              struct sq_scenario_progress *out)
{
    (void)now_ns;
    progress_slots(run, out);
}

static void count_progress(const struct sq_run *run, uint64_t total,
                           struct sq_scenario_progress *out)
{
    progress_slots(run, out);
    if (run->counted)
        out->iterations = run->attempted;
    out->iterations_total = total;
    if (run->state != SQ_SCENARIO_WAITING && total)
        out->done = (double)out->iterations / (double)total;
}

static void shared_progress(const struct sq_run *run, int64_t now_ns,
                            struct sq_scenario_progress *out)
{
    (void)now_ns;
    count_progress(run, (uint64_t)run->scenario->iterations, out);
}

static void per_vu_progress(const struct sq_run *run, int64_t now_ns,
                            struct sq_scenario_progress *out)
{
    (void)now_ns;
    count_progress(run, (uint64_t)run->scenario->iterations * (uint64_t)run->scenario->vus, out);
}

const struct sq_executor_ops sq_shared_iterations_ops = {
    .name = "shared-iterations",
    .length = fixed_length,
    .vus = fixed_vus,
    .plan = fixed_plan,
    .start = shared_start,
    .due = never_due,
    .step = no_step,
    .end = shared_settle,
    .slot_done = slot_left,
    .progress = shared_progress,
};

const struct sq_executor_ops sq_per_vu_iterations_ops = {
    .name = "per-vu-iterations",
    .length = fixed_length,
    .vus = fixed_vus,
    .plan = fixed_plan,
    .start = per_vu_start,
    .due = never_due,
    .step = no_step,
    .end = no_end,
    .slot_done = per_vu_slot_left,
    .progress = per_vu_progress,
};

const struct sq_executor_ops sq_constant_vus_ops = {
    .name = "constant-vus",
    .length = fixed_length,
    .vus = fixed_vus,
    .plan = fixed_plan,
    .start = start_slots,
    .due = never_due,
    .step = no_step,
    .end = no_end,
    .slot_done = slot_left,
    .progress = constant_progress,
};
