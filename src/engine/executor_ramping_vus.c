/* SPDX-License-Identifier: Apache-2.0 */
/* ramping-vus (ENG-114..119). VU number u of the whole test (from 1) belongs to this instance if
 * its stripe owns index u-1; slots are numbered by this instance's own VUs. */
#include <stdlib.h>

#include "engine/executor.h"

enum slot_state {
    SLOT_FREE,      /* no VU */
    SLOT_LOOPING,   /* told to loop */
    SLOT_FINISHING, /* told to stop, has not left yet */
    SLOT_RESUMED,   /* told to loop while finishing: its VU may have left at the same time */
};

static int64_t ramp_length(const struct sq_scenario *s)
{
    return sq_stages_length_ns(s);
}

void sq_ramp_init(struct sq_ramp *ramp, const struct sq_scenario *scenario)
{
    *ramp = (struct sq_ramp){.scenario = scenario, .from = scenario->vus};
    ramp->level = sq_stripe_scale(scenario->stripe, scenario->vus);
}

/* `e - d*n/of`, truncated like every intermediate result of ENG-114. */
static int64_t before_end(const struct sq_ramp *ramp, int64_t n, int64_t of)
{
    int64_t d = ramp->scenario->stages[ramp->stage].duration_ns;

    return ramp->stage_start_ns + d - (int64_t)((__int128)d * n / of);
}

static void rise(struct sq_ramp *ramp, int64_t to, int64_t count, struct sq_ramp_change *change)
{
    int64_t u = (int64_t)sq_stripe_index(ramp->scenario->stripe, (uint64_t)ramp->level) + 1;

    change->at_ns = before_end(ramp, to - u, to - ramp->from);
    change->delta = count;
    ramp->level += count;
}

static void fall(struct sq_ramp *ramp, int64_t to, int64_t count, struct sq_ramp_change *change)
{
    uint64_t last = (uint64_t)(ramp->level - count);
    int64_t u = (int64_t)sq_stripe_index(ramp->scenario->stripe, last) + 1;

    change->at_ns = before_end(ramp, u - 1 - to, ramp->from - to);
    change->delta = -count;
    ramp->level -= count;
}

bool sq_ramp_next(struct sq_ramp *ramp, int64_t group, struct sq_ramp_change *change)
{
    const struct sq_scenario *s = ramp->scenario;

    for (; ramp->stage < s->stages_count; ramp->stage++) {
        const struct sq_stage *stage = &s->stages[ramp->stage];
        int64_t goal = sq_stripe_scale(s->stripe, stage->target);
        if (ramp->level < goal) {
            rise(ramp, stage->target, SQ_MIN(group, goal - ramp->level), change);
            return true;
        }
        if (ramp->level > goal) {
            fall(ramp, stage->target, SQ_MIN(group, ramp->level - goal), change);
            return true;
        }
        ramp->from = stage->target;
        ramp->stage_start_ns += stage->duration_ns;
    }
    return false;
}

static int64_t ramp_vus(const struct sq_scenario *s, bool max)
{
    int64_t most = s->vus;

    (void)max;
    for (size_t i = 0; i < s->stages_count; i++)
        most = SQ_MAX(most, s->stages[i].target);
    return sq_stripe_scale(s->stripe, most);
}

/* Steps of one VU while they are few; huge ramps are planned in groups, a little generously. */
static int64_t plan_group(const struct sq_scenario *s)
{
    return ramp_vus(s, true) / 65536 + 1;
}

struct release {
    int64_t at_ns, count;
};

/* A stopped VU stays reserved for gracefulRampDown, unless its number starts again before: numbers
 * stop highest first, so those still reserved form a stack. */
static void ramp_plan(const struct sq_scenario *s, bool max, struct sq_plan *plan)
{
    int64_t limit_ns = ramp_length(s) + s->graceful_stop_ns;
    struct release *stack = NULL;
    size_t depth = 0, cap = 0;
    struct sq_ramp ramp;
    struct sq_ramp_change c;

    (void)max;
    sq_ramp_init(&ramp, s);
    if (ramp.level)
        sq_plan_add(plan, 0, ramp.level);
    while (sq_ramp_next(&ramp, plan_group(s), &c)) {
        if (c.delta < 0) {
            if (depth == cap)
                stack = sq_xrealloc(stack, (cap = cap * 2 + 16) * sizeof *stack);
            int64_t at_ns = SQ_MIN(c.at_ns + s->graceful_ramp_down_ns, limit_ns);
            stack[depth++] = (struct release){at_ns, -c.delta};
            continue;
        }
        while (c.delta > 0 && depth > 0 && stack[depth - 1].at_ns > c.at_ns) {
            int64_t kept = SQ_MIN(c.delta, stack[depth - 1].count);
            c.delta -= kept;
            stack[depth - 1].count -= kept;
            depth -= stack[depth - 1].count == 0;
        }
        /* The lowest on the stack left first: what has expired lies in front. */
        size_t expired = 0;
        while (expired < depth && stack[expired].at_ns <= c.at_ns)
            sq_plan_add(plan, stack[expired].at_ns, -stack[expired].count), expired++;
        depth -= expired;
        if (expired)
            memmove(stack, stack + expired, depth * sizeof *stack);
        if (c.delta > 0)
            sq_plan_add(plan, c.at_ns, c.delta);
    }
    for (size_t i = 0; i < depth; i++)
        sq_plan_add(plan, stack[i].at_ns, -stack[i].count);
    if (ramp.level > 0)
        sq_plan_add(plan, limit_ns, -ramp.level);
    free(stack);
}

static void slot_go(struct sq_run *run, int64_t slot)
{
    uint8_t *state = &run->ramp.slots[slot];

    if (*state == SLOT_FREE) {
        run->busy++;
        *state = SLOT_LOOPING;
    } else {
        *state = SLOT_RESUMED;
    }
    run->runner->slot_start(run->self, run->index, (uint32_t)slot, &run->gate, run->interrupt_ns);
}

static void slot_halt(struct sq_run *run, int64_t slot, int64_t interrupt_ns)
{
    uint8_t *state = &run->ramp.slots[slot];

    if (*state != SLOT_LOOPING && *state != SLOT_RESUMED)
        return;
    *state = SLOT_FINISHING;
    run->runner->slot_stop(run->self, run->index, (uint32_t)slot, interrupt_ns);
}

static void look_ahead(struct sq_ramp_slots *r)
{
    r->more = sq_ramp_next(&r->ramp, 1, &r->next);
}

static void ramp_start(struct sq_run *run)
{
    struct sq_ramp_slots *r = &run->ramp;
    size_t most = (size_t)ramp_vus(run->scenario, true);

    r->slots = sq_xcalloc(most + 1, 1);
    sq_ramp_init(&r->ramp, run->scenario);
    for (int64_t slot = 0; slot < r->ramp.level; slot++)
        slot_go(run, slot);
    look_ahead(r);
}

static int64_t ramp_due(const struct sq_run *run)
{
    const struct sq_ramp_slots *r = &run->ramp;

    if (r->crossed_count)
        return run->start_ns;
    return r->more ? run->start_ns + r->next.at_ns : INT64_MAX;
}

static bool restart_crossed(struct sq_run *run)
{
    struct sq_ramp_slots *r = &run->ramp;

    if (!r->crossed_count)
        return false;
    int64_t slot = r->crossed[--r->crossed_count];
    /* It may have been stopped again in between. */
    if (r->slots[slot] == SLOT_RESUMED) {
        r->slots[slot] = SLOT_LOOPING;
        run->busy++;
        run->runner->slot_start(run->self, run->index, (uint32_t)slot, &run->gate,
                                run->interrupt_ns);
    }
    return true;
}

static void ramp_step(struct sq_run *run, int64_t due_ns)
{
    struct sq_ramp_slots *r = &run->ramp;

    if (restart_crossed(run) || !r->more)
        return;
    /* `ramp` is one change ahead, so its level is the count after this change. */
    if (r->next.delta > 0)
        slot_go(run, r->ramp.level - 1);
    else
        slot_halt(run, r->ramp.level,
                  SQ_MIN(due_ns + run->scenario->graceful_ramp_down_ns, run->interrupt_ns));
    look_ahead(r);
    /* ENG-115: down to nothing for good, so the rest of the stages is no part of the run. */
    if (!r->more && r->ramp.level == 0)
        run->end_ns = due_ns;
}

static void ramp_end(struct sq_run *run)
{
    for (int64_t slot = run->ramp.ramp.level - 1; slot >= 0; slot--)
        slot_halt(run, slot, run->interrupt_ns);
    run->ramp.crossed_count = 0;
}

static bool ramp_slot_done(struct sq_run *run, uint32_t slot, uint64_t slot_taken, int64_t now_ns)
{
    struct sq_ramp_slots *r = &run->ramp;

    (void)slot_taken;
    if (!r->slots || slot >= (uint64_t)ramp_vus(run->scenario, true) || r->slots[slot] == SLOT_FREE)
        return false;
    run->busy--;
    if (r->slots[slot] == SLOT_RESUMED && run->state == SQ_SCENARIO_RUNNING && !run->stopped &&
        now_ns < run->end_ns) {
        r->crossed = sq_xrealloc(r->crossed, (r->crossed_count + 1) * sizeof *r->crossed);
        r->crossed[r->crossed_count++] = slot;
        return true;
    }
    r->slots[slot] = SLOT_FREE;
    return true;
}

static void ramp_progress(const struct sq_run *run, int64_t now_ns,
                          struct sq_scenario_progress *out)
{
    (void)now_ns;
    out->slots_max = ramp_vus(run->scenario, true);
    out->iterations = atomic_load(&run->gate.taken);
    if (run->state == SQ_SCENARIO_RUNNING) {
        const struct sq_ramp_slots *r = &run->ramp;
        out->slots_active = r->ramp.level - (r->more ? r->next.delta : 0);
    } else {
        out->slots_active = run->busy;
    }
}

static void ramp_deinit(struct sq_run *run)
{
    free(run->ramp.slots);
    free(run->ramp.crossed);
}

const struct sq_executor_ops sq_ramping_vus_ops = {
    .name = "ramping-vus",
    .length = ramp_length,
    .vus = ramp_vus,
    .plan = ramp_plan,
    .start = ramp_start,
    .due = ramp_due,
    .step = ramp_step,
    .end = ramp_end,
    .slot_done = ramp_slot_done,
    .progress = ramp_progress,
    .deinit = ramp_deinit,
};
