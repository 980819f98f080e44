/* SPDX-License-Identifier: Apache-2.0 */
/* What is known before a run: how many VUs it needs, how long it may last, how it describes itself
 * (ENG-105, ENG-118, ENG-130). */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/duration.h"
#include "engine/executor.h"

void sq_plan_add(struct sq_plan *plan, int64_t at_ns, int64_t delta)
{
    if (plan->count == plan->cap) {
        plan->cap = plan->cap * 2 + 16;
        plan->changes = sq_xrealloc(plan->changes, plan->cap * sizeof *plan->changes);
    }
    plan->changes[plan->count++] = (struct sq_ramp_change){at_ns, delta};
}

static int compare_changes(const void *a, const void *b)
{
    const struct sq_ramp_change *left = a, *right = b;

    return (left->at_ns > right->at_ns) - (left->at_ns < right->at_ns);
}

/* What changes at one moment counts as one: a VU given back then may be taken then. */
static int64_t vus_needed(const struct sq_scenario *scenarios, size_t count, bool max)
{
    struct sq_plan all = {0};
    int64_t sum = 0, most = 0;

    for (size_t i = 0; i < count; i++) {
        size_t first = all.count;
        sq_executor_ops(scenarios[i].executor)->plan(&scenarios[i], max, &all);
        for (size_t c = first; c < all.count; c++)
            all.changes[c].at_ns += scenarios[i].start_ns;
    }
    if (all.count)
        qsort(all.changes, all.count, sizeof *all.changes, compare_changes);
    for (size_t c = 0; c < all.count; c++) {
        sum += all.changes[c].delta;
        if (c + 1 == all.count || all.changes[c + 1].at_ns != all.changes[c].at_ns)
            most = SQ_MAX(most, sum);
    }
    free(all.changes);
    return most;
}

int64_t sq_scenarios_vus_planned(const struct sq_scenario *scenarios, size_t count)
{
    return vus_needed(scenarios, count, false);
}

int64_t sq_scenarios_vus_max(const struct sq_scenario *scenarios, size_t count)
{
    return vus_needed(scenarios, count, true);
}

int64_t sq_scenario_length_max_ns(const struct sq_scenario *scenario)
{
    struct sq_plan plan = {0};
    int64_t last = 0;

    sq_executor_ops(scenario->executor)->plan(scenario, true, &plan);
    for (size_t c = 0; c < plan.count; c++)
        last = SQ_MAX(last, plan.changes[c].at_ns);
    free(plan.changes);
    return last;
}

static void add_note(struct sq_buf *notes, const char *fmt, const char *value)
{
    sq_buf_puts(notes, notes->len ? ", " : " (");
    sq_buf_printf(notes, fmt, value);
}

static void add_time(struct sq_buf *notes, const char *fmt, int64_t ns)
{
    char text[40];

    sq_duration_format(ns, text);
    add_note(notes, fmt, text);
}

static int64_t rate_most(const struct sq_scenario *s)
{
    int64_t most = (int64_t)s->rate;

    for (size_t i = 0; i < s->stages_count; i++)
        most = SQ_MAX(most, s->stages[i].target);
    return most;
}

static void describe_arrival(const struct sq_scenario *s, const char *length, struct sq_buf *text,
                             struct sq_buf *notes)
{
    double per_s = (double)SQ_NS_PER_S / (double)s->time_unit_ns * sq_stripe_share(s->stripe);
    char vus[64];

    if (s->executor == SQ_EXEC_CONSTANT_ARRIVAL_RATE)
        sq_buf_printf(text, "%.2f iterations/s for %s", s->rate * per_s, length);
    else
        sq_buf_printf(text, "Up to %.2f iterations/s for %s over %zu stages",
                      (double)rate_most(s) * per_s, length, s->stages_count);
    if (s->max_vus > s->pre_allocated_vus)
        snprintf(vus, sizeof vus, "%lld-%lld", (long long)s->pre_allocated_vus,
                 (long long)s->max_vus);
    else
        snprintf(vus, sizeof vus, "%lld", (long long)s->pre_allocated_vus);
    add_note(notes, "maxVUs: %s", vus);
}

static void describe_work(const struct sq_scenario *s, struct sq_buf *text, struct sq_buf *notes)
{
    char length[40];

    sq_duration_format(sq_executor_ops(s->executor)->length(s), length);
    switch (s->executor) {
    case SQ_EXEC_SHARED_ITERATIONS:
        sq_buf_printf(text, "%lld iterations shared among %lld VUs", (long long)s->iterations,
                      (long long)s->vus);
        add_note(notes, "maxDuration: %s", length);
        break;
    case SQ_EXEC_PER_VU_ITERATIONS:
        sq_buf_printf(text, "%lld iterations for each of %lld VUs", (long long)s->iterations,
                      (long long)s->vus);
        add_note(notes, "maxDuration: %s", length);
        break;
    case SQ_EXEC_CONSTANT_VUS:
        sq_buf_printf(text, "%lld looping VUs for %s", (long long)s->vus, length);
        break;
    case SQ_EXEC_RAMPING_VUS:
        sq_buf_printf(text, "Up to %lld looping VUs for %s over %zu stages",
                      (long long)sq_executor_ops(s->executor)->vus(s, true), length,
                      s->stages_count);
        if (s->graceful_ramp_down_ns >= 0)
            add_time(notes, "gracefulRampDown: %s", s->graceful_ramp_down_ns);
        break;
    default:
        describe_arrival(s, length, text, notes);
    }
}

char *sq_scenario_describe(const struct sq_scenario *scenario)
{
    struct sq_buf text = {0}, notes = {0};

    describe_work(scenario, &text, &notes);
    if (scenario->exec_given)
        add_note(&notes, "exec: %s", scenario->exec);
    if (scenario->start_ns > 0)
        add_time(&notes, "startTime: %s", scenario->start_ns);
    if (scenario->graceful_stop_ns > 0)
        add_time(&notes, "gracefulStop: %s", scenario->graceful_stop_ns);
    if (notes.len) {
        sq_buf_put(&text, notes.data, notes.len);
        sq_buf_putc(&text, ')');
    }
    sq_buf_deinit(&notes);
    return sq_buf_steal(&text);
}
