/* SPDX-License-Identifier: Apache-2.0 */
#include "vu/pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "vu/run.h"

struct slot {
    struct sq_vu *vu; /* NULL: free, or waiting for a VU */
    struct sq_slot_order order;
    bool waiting;
};

struct scenario {
    struct slot *slots;
    size_t slots_count;
    /* VUs that the arrival-rate executors hold: those taken from the pool so far, and the idle
     * ones. */
    struct sq_vu **idle;
    size_t idle_count, idle_cap, held;
};

struct sq_pool {
    struct sq_vu **idle; /* ring */
    size_t head, count, cap;
    struct scenario *scenarios;
    size_t scenarios_count, waiting;
};

struct sq_pool *sq_pool_new(void)
{
    return sq_xcalloc(1, sizeof(struct sq_pool));
}

void sq_pool_free(struct sq_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->scenarios_count; i++) {
        free(pool->scenarios[i].slots);
        free(pool->scenarios[i].idle);
    }
    free(pool->scenarios);
    free(pool->idle);
    free(pool);
}

static struct scenario *scenario_at(struct sq_pool *pool, size_t index)
{
    if (index >= pool->scenarios_count) {
        pool->scenarios = sq_xrealloc(pool->scenarios, (index + 1) * sizeof *pool->scenarios);
        memset(pool->scenarios + pool->scenarios_count, 0,
               (index + 1 - pool->scenarios_count) * sizeof *pool->scenarios);
        pool->scenarios_count = index + 1;
    }
    return &pool->scenarios[index];
}

static struct slot *slot_at(struct scenario *s, uint32_t index)
{
    if (index >= s->slots_count) {
        size_t count = SQ_MAX((size_t)index + 1, s->slots_count * 2);
        s->slots = sq_xrealloc(s->slots, count * sizeof *s->slots);
        memset(s->slots + s->slots_count, 0, (count - s->slots_count) * sizeof *s->slots);
        s->slots_count = count;
    }
    return &s->slots[index];
}

void sq_pool_put(struct sq_pool *pool, struct sq_vu *vu)
{
    if (pool->count == pool->cap) {
        size_t cap = SQ_MAX((size_t)16, pool->cap * 2);
        struct sq_vu **idle = sq_xmalloc(cap * sizeof(struct sq_vu *));
        for (size_t i = 0; i < pool->count; i++)
            idle[i] = pool->idle[(pool->head + i) % pool->cap];
        free(pool->idle);
        pool->idle = idle;
        pool->head = 0;
        pool->cap = cap;
    }
    pool->idle[(pool->head + pool->count++) % pool->cap] = vu;
}

static struct sq_vu *take(struct sq_pool *pool)
{
    if (pool->count == 0)
        return NULL;
    struct sq_vu *vu = pool->idle[pool->head];
    pool->head = (pool->head + 1) % pool->cap;
    pool->count--;
    return vu;
}

static void bind(struct sq_run *run, struct slot *slot, struct sq_vu *vu)
{
    slot->vu = vu;
    slot->waiting = false;
    sq_run_send_start(run, vu, &slot->order);
}

static void serve_waiting(struct sq_pool *pool, struct sq_run *run)
{
    for (size_t i = 0; i < pool->scenarios_count && pool->waiting && pool->count; i++) {
        struct scenario *s = &pool->scenarios[i];
        for (size_t j = 0; j < s->slots_count && pool->waiting && pool->count; j++)
            if (s->slots[j].waiting) {
                pool->waiting--;
                bind(run, &s->slots[j], take(pool));
            }
    }
}

static void slot_start(void *self, size_t scenario, uint32_t index, struct sq_gate *gate,
                       int64_t interrupt_ns)
{
    struct sq_run *run = self;
    struct sq_pool *pool = run->pool;
    struct slot *slot = slot_at(scenario_at(pool, scenario), index);

    slot->order =
        (struct sq_slot_order){scenario, index, gate, slot->order.binding + 1, interrupt_ns};
    struct sq_vu *vu = slot->vu ? slot->vu : take(pool);
    if (vu) {
        bind(run, slot, vu);
    } else if (!slot->waiting) {
        slot->waiting = true; /* a VU is on its way back from another slot */
        pool->waiting++;
    }
}

static void slot_stop(void *self, size_t scenario, uint32_t index, int64_t interrupt_ns)
{
    struct sq_run *run = self;
    struct slot *slot = slot_at(scenario_at(run->pool, scenario), index);

    if (slot->vu) {
        sq_run_send_stop(run, slot->vu, slot->order.binding, interrupt_ns);
    } else if (slot->waiting) {
        slot->waiting = false;
        run->pool->waiting--;
        sq_schedule_slot_done(run->schedule, scenario, index, 0, sq_now_ns() - run->executing_ns);
        sq_run_reschedule(run);
    }
}

void sq_pool_slot_done(struct sq_pool *pool, struct sq_run *run, struct sq_vu *vu, size_t scenario,
                       uint32_t index, uint64_t binding, uint64_t taken)
{
    struct slot *slot = slot_at(scenario_at(pool, scenario), index);

    if (slot->order.binding != binding)
        return; /* started again meanwhile: the worker got that order after it sent this */
    slot->vu = NULL;
    sq_pool_put(pool, vu);
    sq_schedule_slot_done(run->schedule, scenario, index, taken, sq_now_ns() - run->executing_ns);
    serve_waiting(pool, run);
    sq_run_reschedule(run);
}

static void make_idle(struct scenario *s, struct sq_vu *vu)
{
    if (s->idle_count == s->idle_cap) {
        s->idle_cap = SQ_MAX((size_t)16, s->idle_cap * 2);
        s->idle = sq_xrealloc(s->idle, s->idle_cap * sizeof(struct sq_vu *));
    }
    s->idle[s->idle_count++] = vu;
}

static bool iterate(void *self, size_t scenario, uint64_t number, int64_t interrupt_ns)
{
    struct sq_run *run = self;
    struct scenario *s = scenario_at(run->pool, scenario);
    struct sq_vu *vu = NULL;

    if (s->idle_count) {
        vu = s->idle[--s->idle_count];
    } else if ((int64_t)s->held < run->config->scenarios[scenario].pre_allocated_vus) {
        vu = take(run->pool);
        s->held += vu != NULL;
    }
    if (!vu)
        return false;
    sq_run_send_single(run, vu, scenario, number, interrupt_ns);
    return true;
}

void sq_pool_iteration_done(struct sq_pool *pool, struct sq_run *run, struct sq_vu *vu,
                            size_t scenario)
{
    make_idle(scenario_at(pool, scenario), vu);
    sq_schedule_iteration_done(run->schedule, scenario, sq_now_ns() - run->executing_ns);
    sq_run_reschedule(run);
}

static void grow(void *self, size_t scenario)
{
    struct sq_run *run = self;

    sq_run_send_grow(run, scenario);
    run->vus_count++;
}

void sq_pool_grown(struct sq_pool *pool, struct sq_run *run, struct sq_vu *vu, size_t scenario)
{
    struct scenario *s = scenario_at(pool, scenario);

    s->held++;
    make_idle(s, vu);
    sq_schedule_grown(run->schedule, scenario, sq_now_ns() - run->executing_ns);
    sq_run_reschedule(run);
}

static void dropped(void *self, size_t scenario, uint64_t count, uint32_t slot)
{
    struct sq_run *run = self;
    const struct sq_config *config = run->config;
    struct sq_tag_pair pairs[2];
    size_t n = 0;
    char id[24];

    if (config->system_tags & SQ_TAG_SCENARIO)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("scenario"),
                                          sq_slice_str(config->scenarios[scenario].name)};
    if (slot != UINT32_MAX && (config->system_tags & SQ_TAG_VU)) {
        const struct sq_vu *vu = slot_at(scenario_at(run->pool, scenario), slot)->vu;
        snprintf(id, sizeof id, "%u", vu ? vu->id : slot + 1);
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("vu"), sq_slice_str(id)};
    }
    struct sq_tagset *tags = sq_tagset_with(run->tag_table, run->run_tags, pairs, n);
    sq_shard_add(run->main_worker.shard, SQ_M_DROPPED_ITERATIONS, tags, NULL, sq_wall_ns(),
                 (double)count);
    sq_tagset_unref(tags);
}

void sq_pool_drop_waiting(struct sq_pool *pool, struct sq_run *run)
{
    for (size_t i = 0; i < pool->scenarios_count; i++)
        for (size_t j = 0; j < pool->scenarios[i].slots_count; j++)
            if (pool->scenarios[i].slots[j].waiting)
                slot_stop(run, i, (uint32_t)j, INT64_MAX);
}

const struct sq_runner sq_pool_runner = {
    .slot_start = slot_start,
    .slot_stop = slot_stop,
    .iterate = iterate,
    .grow = grow,
    .dropped = dropped,
};
