/* SPDX-License-Identifier: Apache-2.0 */
/* constant-arrival-rate and ramping-arrival-rate (ENG-120..124): iterations at due times that do
 * not depend on how the ones before went. Tick k of the whole test belongs to this instance if its
 * stripe owns index k. */
#include <math.h>

#include "base/log.h"
#include "engine/executor.h"

/* So late may a tick be and still start after the regular end. */
static const int64_t late_ns_max = 100 * SQ_NS_PER_MS;

static int64_t constant_length(const struct sq_scenario *s)
{
    return s->duration_ns;
}

static int64_t ramping_length(const struct sq_scenario *s)
{
    return sq_stages_length_ns(s);
}

static int64_t arrival_vus(const struct sq_scenario *s, bool max)
{
    return max ? s->max_vus : s->pre_allocated_vus;
}

static void arrival_plan(const struct sq_scenario *s, bool max, struct sq_plan *plan)
{
    int64_t length = sq_executor_ops(s->executor)->length(s);

    sq_plan_add(plan, 0, arrival_vus(s, max));
    sq_plan_add(plan, length + s->graceful_stop_ns, -arrival_vus(s, max));
}

/* Ticks on the regular end run, as they mostly do in k6, unless nobody would wait for them. */
static int64_t last_due_ns(const struct sq_run *run)
{
    return run->scenario->graceful_stop_ns > 0 ? run->end_ns : run->end_ns - 1;
}

static int64_t period_ns(const struct sq_scenario *s)
{
    return SQ_MAX((int64_t)((double)s->time_unit_ns / s->rate), 1);
}

/* k * P for this instance's k. */
static int64_t constant_due(const struct sq_run *run, uint64_t number)
{
    __int128 due =
        (__int128)period_ns(run->scenario) * sq_stripe_index(run->scenario->stripe, number);

    return due <= last_due_ns(run) - run->start_ns ? run->start_ns + (int64_t)due : INT64_MAX;
}

static void constant_next(struct sq_run *run)
{
    run->ticks.due_ns = constant_due(run, run->ticks.number);
}

/* Areas are kept as integers, 2 * timeUnit * iterations, so that fractions carry across stages
 * without error. */
static __int128 stage_area(const struct sq_scenario *s, size_t stage, int64_t from)
{
    return (__int128)s->stages[stage].duration_ns * (from + s->stages[stage].target);
}

static int64_t stage_from(const struct sq_scenario *s, size_t stage)
{
    return stage ? s->stages[stage - 1].target : (int64_t)s->rate;
}

/* Time within a stage of rates a -> b over d until the area reaches `missing`: the root of
 * (b-a)/d t^2 + 2a t = missing, in the form that does not cancel. */
static int64_t solve(int64_t a, int64_t b, int64_t d, __int128 missing)
{
    long double m = (long double)missing, slope = (long double)(b - a) / (long double)d;
    long double root = sqrtl(fmaxl(0, (long double)a * (long double)a + m * slope));
    long double t = m / ((long double)a + root);

    return t < (long double)d ? (int64_t)t : d;
}

static void ramping_next(struct sq_run *run)
{
    const struct sq_scenario *s = run->scenario;
    struct sq_ticks *k = &run->ticks;
    __int128 goal =
        (__int128)2 * s->time_unit_ns * ((__int128)sq_stripe_index(s->stripe, k->number) + 1);

    for (; k->stage < s->stages_count; k->stage++) {
        int64_t from = stage_from(s, k->stage), d = s->stages[k->stage].duration_ns;
        __int128 after = k->area + stage_area(s, k->stage, from);
        if (goal <= after) {
            k->due_ns = run->start_ns + k->stage_start_ns +
                        solve(from, s->stages[k->stage].target, d, goal - k->area);
            if (k->due_ns > last_due_ns(run))
                break;
            return;
        }
        k->area = after;
        k->stage_start_ns += d;
    }
    k->due_ns = INT64_MAX;
}

static void prepare(struct sq_run *run)
{
    run->ticks = (struct sq_ticks){.vus = run->scenario->pre_allocated_vus};
}

static void constant_start(struct sq_run *run)
{
    prepare(run);
    constant_next(run);
}

static void ramping_start(struct sq_run *run)
{
    prepare(run);
    ramping_next(run);
}

static int64_t arrival_due(const struct sq_run *run)
{
    return run->ticks.due_ns;
}

static void drop(struct sq_run *run)
{
    struct sq_ticks *k = &run->ticks;

    run->runner->dropped(run->self, run->index, 1, UINT32_MAX);
    if (k->growing)
        return;
    if (k->vus < run->scenario->max_vus) {
        k->growing = true;
        run->runner->grow(run->self, run->index);
    } else if (!k->warned) {
        k->warned = true;
        sq_log(SQ_LOG_WARN, "engine",
               "scenario '%s' has all of its %lld VUs busy and drops iterations: raise maxVUs, or "
               "preAllocatedVUs to have them from the start",
               run->scenario->name, (long long)k->vus);
    }
}

static void tick(struct sq_run *run)
{
    /* Numbers count iterations that start: a dropped one takes none (ENG-133). */
    uint64_t number = atomic_load(&run->gate.taken);

    if (run->runner->iterate(run->self, run->index, number, run->interrupt_ns)) {
        atomic_store(&run->gate.taken, number + 1);
        run->busy++;
    } else {
        drop(run);
    }
    run->ticks.number++;
}

static int64_t constant_total(const struct sq_run *run)
{
    return (last_due_ns(run) - run->start_ns) / period_ns(run->scenario) + 1;
}

static int64_t ramping_total(const struct sq_run *run)
{
    const struct sq_scenario *s = run->scenario;
    __int128 area = 0;

    for (size_t i = 0; i < s->stages_count; i++)
        area += stage_area(s, i, stage_from(s, i));
    return (int64_t)(area / (2 * s->time_unit_ns));
}

/* A generator that could not keep up must still end on time: what should have started long ago is
 * dropped, and counted. */
static bool give_up(struct sq_run *run, int64_t total)
{
    if (run->now_ns <= run->end_ns + late_ns_max)
        return false;
    int64_t left = sq_stripe_scale(run->scenario->stripe, total) - (int64_t)run->ticks.number;
    if (left > 0)
        run->runner->dropped(run->self, run->index, (uint64_t)left, UINT32_MAX);
    run->ticks.due_ns = INT64_MAX;
    return true;
}

static void constant_step(struct sq_run *run, int64_t due_ns)
{
    (void)due_ns;
    if (give_up(run, constant_total(run)))
        return;
    tick(run);
    constant_next(run);
}

static void ramping_step(struct sq_run *run, int64_t due_ns)
{
    (void)due_ns;
    if (give_up(run, ramping_total(run)))
        return;
    tick(run);
    ramping_next(run);
}

static void arrival_end(struct sq_run *run)
{
    run->ticks.due_ns = INT64_MAX;
}

static bool no_slot(struct sq_run *run, uint32_t slot, uint64_t slot_taken, int64_t now_ns)
{
    (void)run, (void)slot, (void)slot_taken, (void)now_ns;
    return false;
}

static double rate_at(const struct sq_scenario *s, int64_t elapsed_ns)
{
    double rate = s->rate;
    int64_t start = 0;

    for (size_t i = 0; i < s->stages_count && elapsed_ns > start; i++) {
        double d = (double)s->stages[i].duration_ns, to = (double)s->stages[i].target;
        double part = d > 0 ? SQ_MIN(1.0, (double)(elapsed_ns - start) / d) : 1.0;
        rate += (to - rate) * part;
        start += s->stages[i].duration_ns;
    }
    return rate * (double)SQ_NS_PER_S / (double)s->time_unit_ns;
}

static void arrival_progress(const struct sq_run *run, int64_t now_ns,
                             struct sq_scenario_progress *out)
{
    bool waiting = run->state == SQ_SCENARIO_WAITING;

    out->slots_active = run->busy;
    out->slots_max = waiting ? run->scenario->pre_allocated_vus : run->ticks.vus;
    out->iterations = atomic_load(&run->gate.taken);
    out->rate = rate_at(run->scenario, waiting ? 0 : SQ_MIN(now_ns, run->end_ns) - run->start_ns) *
                sq_stripe_share(run->scenario->stripe);
}

const struct sq_executor_ops sq_constant_arrival_rate_ops = {
    .name = "constant-arrival-rate",
    .length = constant_length,
    .vus = arrival_vus,
    .plan = arrival_plan,
    .start = constant_start,
    .due = arrival_due,
    .step = constant_step,
    .end = arrival_end,
    .slot_done = no_slot,
    .progress = arrival_progress,
};

const struct sq_executor_ops sq_ramping_arrival_rate_ops = {
    .name = "ramping-arrival-rate",
    .length = ramping_length,
    .vus = arrival_vus,
    .plan = arrival_plan,
    .start = ramping_start,
    .due = arrival_due,
    .step = ramping_step,
    .end = arrival_end,
    .slot_done = no_slot,
    .progress = arrival_progress,
};
