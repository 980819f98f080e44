/* SPDX-License-Identifier: Apache-2.0 */
/* What VUs do on their workers: init code, loops of iterations, single iterations; and the orders
 * from the main thread that start and stop them (engine specification 13). */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "vu/messages.h"
#include "vu/pool.h"

struct message *sq_message_new(struct sq_run *run, void (*run_fn)(struct sq_post *post))
{
    struct message *m = sq_xcalloc(1, sizeof *m);

    m->run = run;
    m->post.run = run_fn;
    return m;
}

void sq_job_initialise(struct sq_vu *vu)
{
    struct sq_error err = {0};
    struct message *m = sq_message_new(vu->worker->run, sq_run_vu_initialised);

    m->vu = vu;
    m->scenario = vu->scenario;
    m->code = vu->worker->ops->vu_open(vu, &err);
    if (m->code < 0)
        m->text = sq_xstrdup(err.text);
    send_to_main(m);
}

/* ---- iterations, on a worker's thread ---- */

static void tag_iteration(struct sq_vu *vu)
{
    unsigned wanted = vu->worker->run->config->system_tags & (SQ_TAG_VU | SQ_TAG_ITER);
    char id[24], iter[24];
    struct sq_tag_pair pairs[2];
    size_t count = 0;

    if (!wanted)
        return;
    snprintf(id, sizeof id, "%u", vu->id);
    snprintf(iter, sizeof iter, "%llu", (unsigned long long)vu->iterations);
    struct sq_tagset *before = vu->metadata;
    if (wanted & SQ_TAG_ITER)
        pairs[count++] = (struct sq_tag_pair){sq_slice_str("iter"), sq_slice_str(iter)};
    if (wanted & SQ_TAG_VU)
        pairs[count++] = (struct sq_tag_pair){sq_slice_str("vu"), sq_slice_str(id)};
    vu->metadata = sq_tagset_with(vu->worker->run->tag_table, before, pairs, count);
    sq_tagset_unref(before);
}

static void wait_out(struct sq_vu *vu, int64_t start_ns)
{
    struct sq_run *run = vu->worker->run;
    int64_t until = start_ns + run->config->min_iteration_duration_ns;

    if (vu->gate)
        until = SQ_MIN(until, run->executing_ns + vu->gate->end_ns);
    if (until > sq_now_ns() && !vu->stop_asked)
        sq_vu_wait_until(vu, until);
}

static void end_iteration(struct sq_vu *vu, enum sq_iteration result)
{
    struct sq_run *run = vu->worker->run;
    struct sq_shard *shard;
    int64_t wall_ns = sq_wall_ns(), took_ns = sq_now_ns() - vu->iteration_start_ns;

    vu->iterations++;
    atomic_fetch_add_explicit(&run->scenario_ended[vu->scenario], 1, memory_order_relaxed);
    sq_vu_emit_bytes(vu, wall_ns);
    if (result == SQ_ITERATION_INTERRUPTED) {
        atomic_fetch_add_explicit(&run->iterations_interrupted, 1, memory_order_relaxed);
        return;
    }
    shard = vu->worker->shard;
    sq_shard_add(shard, SQ_M_ITERATION_DURATION, vu->tags, vu->metadata, wall_ns,
                 (double)took_ns / SQ_NS_PER_MS);
    sq_shard_add(shard, SQ_M_ITERATIONS, vu->tags, vu->metadata, wall_ns, 1);
    atomic_fetch_add_explicit(&run->iterations_complete, 1, memory_order_relaxed);
    if (run->config->min_iteration_duration_ns > 0)
        wait_out(vu, vu->iteration_start_ns);
}

/* A new iteration, or the rest of the one that was parked. False: it is parked (again). */
static bool iterate(struct sq_vu *vu, bool go_on)
{
    const struct sq_script_ops *ops = vu->worker->ops;
    enum sq_iteration result;

    if (go_on) {
        result = ops->go_on(vu);
    } else {
        vu->iteration_start_ns = sq_now_ns();
        tag_iteration(vu);
        result = ops->iterate(vu);
    }
    if (result == SQ_ITERATION_PARKED)
        return false;
    end_iteration(vu, result);
    return true;
}

static bool activate(struct sq_vu *vu)
{
    struct sq_error err = {0};

    if (vu->activated == vu->scenario)
        return true;
    sq_vu_set_base_tags(vu, vu->scenario, "");
    sq_tagset_unref(vu->metadata);
    vu->metadata = NULL;
    if (vu->worker->ops->activate(vu, vu->scenario, &err) < 0) {
        sq_run_ask_stop(vu->worker->run, SQ_EXIT_SCRIPT, err.text);
        return false;
    }
    vu->activated = vu->scenario;
    return true;
}

static void slot_done(struct sq_post *post)
{
    struct message *m = message_of(post);

    sq_pool_slot_done(m->run->pool, m->run, m->vu, m->scenario, m->slot, m->binding, m->number);
    free(m);
}

static bool take_iteration(struct sq_vu *vu)
{
    return !vu->interrupted && !vu->stop_asked &&
           sq_gate_take(vu->gate, &vu->slot_taken, sq_now_ns() - vu->worker->run->executing_ns,
                        &vu->scenario_iteration);
}

/* False: parked, to be called again. */
static bool loop_iterations(struct sq_vu *vu)
{
    if (sq_vu_unpark(vu)) {
        if (!iterate(vu, true))
            return false;
    } else {
        atomic_fetch_add_explicit(&vu->worker->run->vus_active, 1, memory_order_relaxed);
        if (!activate(vu))
            return true;
    }
    while (take_iteration(vu))
        if (!iterate(vu, false))
            return false;
    return true;
}

static void loop_job(struct sq_vu *vu)
{
    struct sq_run *run = vu->worker->run;

    run->ops->enter(vu);
    if (loop_iterations(vu))
        atomic_fetch_sub_explicit(&run->vus_active, 1, memory_order_relaxed);
    run->ops->leave(vu);
}

static void loop_ended(struct sq_vu *vu)
{
    struct message *m = sq_message_new(vu->worker->run, slot_done);

    sq_vu_interrupt_at(vu, INT64_MAX);
    m->vu = vu;
    m->scenario = vu->scenario;
    m->slot = vu->slot;
    m->binding = vu->binding;
    m->number = vu->slot_taken;
    send_to_main(m);
}

static void slot_start(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_vu *vu = m->vu;

    vu->binding = m->binding;
    vu->scenario = m->scenario;
    vu->slot = m->slot;
    vu->gate = m->gate;
    vu->stop_asked = false;
    sq_vu_interrupt_at(vu, m->interrupt_ns);
    if (!vu->job) {
        vu->interrupted = m->run->stopping_workers;
        vu->slot_taken = 0;
        vu->ended = loop_ended;
        sq_vu_start(vu, loop_job);
    }
    free(m);
}

static void slot_stop(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_vu *vu = m->vu;

    if (vu->job && vu->binding == m->binding) {
        vu->stop_asked = true;
        sq_vu_interrupt_at(vu, m->interrupt_ns);
    }
    free(m);
}

static void iteration_done(struct sq_post *post)
{
    struct message *m = message_of(post);

    sq_pool_iteration_done(m->run->pool, m->run, m->vu, m->scenario);
    free(m);
}

static bool single_iteration(struct sq_vu *vu)
{
    if (sq_vu_unpark(vu))
        return iterate(vu, true);
    atomic_fetch_add_explicit(&vu->worker->run->vus_active, 1, memory_order_relaxed);
    return !activate(vu) || iterate(vu, false);
}

static void single_job(struct sq_vu *vu)
{
    struct sq_run *run = vu->worker->run;

    run->ops->enter(vu);
    if (single_iteration(vu))
        atomic_fetch_sub_explicit(&run->vus_active, 1, memory_order_relaxed);
    run->ops->leave(vu);
}

static void single_ended(struct sq_vu *vu)
{
    struct message *m = sq_message_new(vu->worker->run, iteration_done);

    sq_vu_interrupt_at(vu, INT64_MAX);
    m->vu = vu;
    m->scenario = vu->scenario;
    send_to_main(m);
}

static void single_start(struct sq_post *post)
{
    struct message *m = message_of(post);
    struct sq_vu *vu = m->vu;

    vu->scenario = m->scenario;
    vu->scenario_iteration = m->number;
    vu->gate = NULL;
    vu->stop_asked = false;
    vu->interrupted = m->run->stopping_workers;
    vu->ended = single_ended;
    sq_vu_interrupt_at(vu, m->interrupt_ns);
    sq_vu_start(vu, single_job);
    free(m);
}

static void initialise_one(struct sq_post *post)
{
    struct message *m = message_of(post);

    m->vu->ended = NULL;
    sq_vu_start(m->vu, sq_job_initialise);
    free(m);
}

/* ---- commands from the pool, main thread ---- */

static int64_t on_loop_clock(const struct sq_run *run, int64_t run_ns)
{
    return run_ns == INT64_MAX ? INT64_MAX : run->executing_ns + run_ns;
}

void sq_run_send_start(struct sq_run *run, struct sq_vu *vu, const struct sq_slot_order *order)
{
    struct message *m = sq_message_new(run, slot_start);

    m->scenario = order->scenario;
    m->slot = order->slot;
    m->gate = order->gate;
    m->binding = order->binding;
    m->interrupt_ns = on_loop_clock(run, order->interrupt_ns);
    send_to_vu(m, vu);
}

void sq_run_send_stop(struct sq_run *run, struct sq_vu *vu, uint64_t binding, int64_t interrupt_ns)
{
    struct message *m = sq_message_new(run, slot_stop);

    m->binding = binding;
    m->interrupt_ns = on_loop_clock(run, interrupt_ns);
    send_to_vu(m, vu);
}

void sq_run_send_single(struct sq_run *run, struct sq_vu *vu, size_t scenario, uint64_t number,
                        int64_t interrupt_ns)
{
    struct message *m = sq_message_new(run, single_start);

    m->scenario = scenario;
    m->number = number;
    m->interrupt_ns = on_loop_clock(run, interrupt_ns);
    send_to_vu(m, vu);
}

void sq_run_send_grow(struct sq_run *run, size_t scenario)
{
    struct sq_thread *t = &run->threads[run->vus_count % run->threads_count];
    struct message *m = sq_message_new(run, initialise_one);

    /* The VU joins its worker's list on the worker's thread. */
    m->thread = t;
    m->scenario = scenario;
    m->number = run->vus_count + 1;
    m->post.run = sq_run_grow_on_worker;
    sq_loop_post(t->loop, &m->post);
}

void sq_run_grow_on_worker(struct sq_post *post)
{
    struct message *m = message_of(post);

    m->vu = sq_vu_new(&m->thread->worker, (uint32_t)m->number);
    m->vu->scenario = m->scenario;
    initialise_one(post);
}
