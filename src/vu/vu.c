/* SPDX-License-Identifier: Apache-2.0 */
#include "vu/vu.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "vu/run.h"

/* A script that computes without waiting gives way to its worker's other VUs after this long. */
enum { SLICE_NS = 5 * SQ_NS_PER_MS };
/* When the system has no memory for a stack: others will give theirs back. */
enum { STACK_RETRY_NS = 10 * SQ_NS_PER_MS };

static void run_ready(struct sq_deferred *deferred);
static void run_yielded(struct sq_timer *timer);

int sq_worker_init(struct sq_worker *w, struct sq_run *run, struct sq_loop *loop,
                   const struct sq_script_ops *ops, unsigned index, struct sq_error *err)
{
    *w = (struct sq_worker){.loop = loop, .run = run, .ops = ops, .index = index};
    w->fibers = sq_fiber_pool_new(sq_fiber_stack_bytes());
    w->shard = sq_run_new_shard(run);
    w->spare_shard = sq_run_new_shard(run);
    w->checks = sq_check_tree_new();
    sq_list_init(&w->ready);
    sq_list_init(&w->yielded);
    sq_list_init(&w->run_ready.node);
    w->run_ready.run = run_ready;
    w->run_yielded = SQ_TIMER_INIT(run_yielded);
    return ops->worker_open(w, err);
}

void sq_worker_deinit(struct sq_worker *w)
{
    for (size_t i = 0; i < w->vus_count; i++)
        sq_vu_free(w->vus[i]);
    free(w->vus);
    w->ops->worker_close(w);
    sq_timer_stop(w->loop, &w->run_yielded);
    sq_list_remove(&w->run_ready.node);
    sq_fiber_pool_free(w->fibers);
    sq_shard_free(w->shard);
    sq_shard_free(w->spare_shard);
}

static void wait_due(struct sq_timer *timer)
{
    sq_vu_wake(SQ_CONTAINER_OF(timer, struct sq_vu, wait_timer));
}

static void interrupt_due(struct sq_timer *timer)
{
    sq_vu_interrupt(SQ_CONTAINER_OF(timer, struct sq_vu, interrupt_timer));
}

struct sq_vu *sq_vu_new(struct sq_worker *w, uint32_t id)
{
    struct sq_vu *vu = sq_xcalloc(1, sizeof *vu);

    vu->worker = w;
    vu->id = id;
    vu->scenario = vu->activated = SIZE_MAX;
    sq_list_init(&vu->ready);
    vu->wait_timer = SQ_TIMER_INIT(wait_due);
    vu->interrupt_timer = SQ_TIMER_INIT(interrupt_due);
    sq_vu_set_base_tags(vu, SIZE_MAX, "");
    if (w->vus_count == w->vus_cap) {
        w->vus_cap = SQ_MAX((size_t)16, w->vus_cap * 2);
        w->vus = sq_xrealloc(w->vus, w->vus_cap * sizeof(struct sq_vu *));
    }
    w->vus[w->vus_count++] = vu;
    return vu;
}

void sq_vu_free(struct sq_vu *vu)
{
    sq_assert(!vu->job);
    sq_timer_stop(vu->worker->loop, &vu->wait_timer);
    sq_timer_stop(vu->worker->loop, &vu->interrupt_timer);
    if (vu->script)
        vu->worker->ops->vu_close(vu);
    sq_tagset_unref(vu->tags);
    sq_tagset_unref(vu->base_tags);
    sq_tagset_unref(vu->metadata);
    free(vu);
}

/* ---- running and waiting ---- */

static void fiber_main(void *arg)
{
    struct sq_vu *vu = arg;

    vu->job(vu);
}

static void run_later(struct sq_vu *vu, int64_t due_ns)
{
    struct sq_worker *w = vu->worker;

    sq_list_append(&w->yielded, &vu->ready);
    if (!sq_timer_running(&w->run_yielded))
        sq_timer_start(w->loop, &w->run_yielded, due_ns);
}

static void end_job(struct sq_vu *vu)
{
    vu->job = NULL;
    vu->worker->jobs--;
    sq_run_job_done(vu);
}

static void fiber_ended(struct sq_vu *vu)
{
    sq_fiber_free(vu->fiber);
    vu->fiber = NULL;
    if (!vu->parked) {
        end_job(vu);
        return;
    }
    vu->waiting = true;
    if (vu->interrupted)
        sq_vu_wake(vu);
}

/* A job that has begun can wait: stacks stay with the pool, and there was one for it before. */
static void lack_stack(struct sq_vu *vu)
{
    if (vu->parked) {
        run_later(vu, sq_loop_now(vu->worker->loop) + STACK_RETRY_NS);
        return;
    }
    vu->lacked_stack = true;
    sq_run_ask_stop(vu->worker->run, SQ_EXIT_OTHER, "out of memory for the stack of a VU");
    end_job(vu);
}

static void resume(struct sq_vu *vu)
{
    struct sq_worker *w = vu->worker;

    sq_assert(!w->current);
    vu->waiting = false;
    if (!vu->fiber && !(vu->fiber = sq_fiber_new(w->fibers, fiber_main, vu))) {
        lack_stack(vu);
        return;
    }
    w->current = vu;
    vu->slice_start_ns = sq_loop_now(w->loop);
    atomic_store_explicit(&w->running_since_ns, vu->slice_start_ns, memory_order_relaxed);
    bool alive = sq_fiber_resume(vu->fiber);
    atomic_store_explicit(&w->running_since_ns, 0, memory_order_relaxed);
    w->current = NULL;
    if (!alive)
        fiber_ended(vu);
}

static void suspend(struct sq_vu *vu)
{
    const struct sq_script_ops *ops = vu->worker->ops;

    if (vu->script)
        ops->leave(vu);
    sq_fiber_suspend();
    if (vu->script)
        ops->enter(vu);
}

static void run_list(struct sq_list *list)
{
    struct sq_list batch, *node;

    /* Only what is there now: whoever becomes ready meanwhile waits for the next round. */
    sq_list_init(&batch);
    while ((node = sq_list_shift(list)))
        sq_list_append(&batch, node);
    while ((node = sq_list_shift(&batch)))
        resume(SQ_CONTAINER_OF(node, struct sq_vu, ready));
}

static void run_ready(struct sq_deferred *deferred)
{
    run_list(&SQ_CONTAINER_OF(deferred, struct sq_worker, run_ready)->ready);
}

static void run_yielded(struct sq_timer *timer)
{
    struct sq_worker *w = SQ_CONTAINER_OF(timer, struct sq_worker, run_yielded);

    run_list(&w->yielded);
}

static void make_ready(struct sq_vu *vu)
{
    vu->waiting = false;
    sq_list_append(&vu->worker->ready, &vu->ready);
    sq_loop_defer(vu->worker->loop, &vu->worker->run_ready);
}

void sq_vu_start(struct sq_vu *vu, void (*job)(struct sq_vu *vu))
{
    sq_assert(!vu->job);
    vu->job = job;
    vu->lacked_stack = false;
    vu->worker->jobs++;
    make_ready(vu);
}

int sq_vu_wait(struct sq_vu *vu)
{
    if (vu->interrupted)
        return SQ_ECANCELLED;
    sq_assert(vu->worker->current == vu);
    vu->waiting = true;
    suspend(vu);
    return vu->interrupted ? SQ_ECANCELLED : 0;
}

int sq_vu_wait_until(struct sq_vu *vu, int64_t deadline_ns)
{
    struct sq_loop *loop = vu->worker->loop;

    if (vu->interrupted)
        return SQ_ECANCELLED;
    sq_timer_start(loop, &vu->wait_timer, deadline_ns);
    int rc = sq_vu_wait(vu);
    sq_timer_stop(loop, &vu->wait_timer);
    return rc;
}

void sq_vu_park(struct sq_vu *vu, int64_t deadline_ns)
{
    vu->parked = true;
    if (deadline_ns != INT64_MAX)
        sq_timer_start(vu->worker->loop, &vu->wait_timer, deadline_ns);
}

bool sq_vu_unpark(struct sq_vu *vu)
{
    bool parked = vu->parked;

    vu->parked = false;
    if (parked)
        sq_timer_stop(vu->worker->loop, &vu->wait_timer);
    return parked;
}

void sq_vu_yield_if_due(struct sq_vu *vu, int64_t now_ns)
{
    if (now_ns - vu->slice_start_ns < SLICE_NS)
        return;
    run_later(vu, now_ns);
    suspend(vu);
}

void sq_vu_wake(struct sq_vu *vu)
{
    if (vu->waiting)
        make_ready(vu);
}

void sq_vu_run_now(struct sq_vu *vu)
{
    if (!vu->waiting)
        return;
    if (vu->worker->current)
        make_ready(vu); /* we are on another fiber: the loop will do it */
    else
        resume(vu);
}

void sq_vu_interrupt(struct sq_vu *vu)
{
    if (!vu->job || vu->interrupted)
        return;
    vu->interrupted = true;
    sq_vu_wake(vu);
}

void sq_vu_interrupt_at(struct sq_vu *vu, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX)
        sq_timer_stop(vu->worker->loop, &vu->interrupt_timer);
    else
        sq_timer_start(vu->worker->loop, &vu->interrupt_timer, deadline_ns);
}

/* ---- samples ---- */

void sq_vu_sample_tags(struct sq_vu *vu, uint32_t metric, struct sq_tagset *tags, int64_t wall_ns,
                       double value)
{
    if (!vu->interrupted)
        sq_shard_add(vu->worker->shard, metric, tags, vu->metadata, wall_ns, value);
}

void sq_vu_sample(struct sq_vu *vu, enum sq_metric_id metric, double value)
{
    sq_vu_sample_tags(vu, metric, vu->tags, sq_wall_ns(), value);
}

void sq_vu_count(struct sq_vu *vu, enum sq_metric_id metric, struct sq_tagset *tags)
{
    /* Only a sample that is kept shows its time; a counter has none. */
    int64_t wall_ns = sq_shard_keeps_samples(vu->worker->shard) ? sq_wall_ns() : 0;

    sq_vu_sample_tags(vu, metric, tags, wall_ns, 1);
}

void sq_vu_emit_bytes(struct sq_vu *vu, int64_t wall_ns)
{
    struct sq_shard *shard = vu->worker->shard;
    uint64_t sent, received;

    vu->worker->ops->take_bytes(vu, &sent, &received);
    sq_shard_add(shard, SQ_M_DATA_SENT, vu->tags, vu->metadata, wall_ns, (double)sent);
    sq_shard_add(shard, SQ_M_DATA_RECEIVED, vu->tags, vu->metadata, wall_ns, (double)received);
}

static struct sq_tag_pair pair(const char *key, const char *value)
{
    return (struct sq_tag_pair){sq_slice_str(key), sq_slice_str(value)};
}

static struct sq_tagset *with_list(struct sq_tag_table *table, struct sq_tagset *base,
                                   const struct sq_key_value *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair p = pair(items[i].key, items[i].value);
        struct sq_tagset *next = sq_tagset_with(table, base, &p, 1);
        sq_tagset_unref(base);
        base = next;
    }
    return base;
}

void sq_vu_set_base_tags(struct sq_vu *vu, size_t scenario, const char *group)
{
    struct sq_run *run = vu->worker->run;
    const struct sq_config *config = run->config;
    struct sq_tag_table *table = run->tag_table;
    struct sq_tagset *set = sq_tagset_empty(table);
    struct sq_tag_pair system[2];
    size_t count = 0;

    set = with_list(table, set, config->tags.items, config->tags.count);
    if (scenario != SIZE_MAX) {
        const struct sq_scenario *s = &config->scenarios[scenario];
        set = with_list(table, set, s->tags, s->tags_count);
        if (config->system_tags & SQ_TAG_SCENARIO)
            system[count++] = pair("scenario", s->name);
    }
    if (config->system_tags & SQ_TAG_GROUP)
        system[count++] = pair("group", group);
    struct sq_tagset *whole = sq_tagset_with(table, set, system, count);
    sq_tagset_unref(set);
    sq_tagset_unref(vu->tags);
    sq_tagset_unref(vu->base_tags);
    vu->tags = whole;
    vu->base_tags = sq_tagset_ref(whole);
}
