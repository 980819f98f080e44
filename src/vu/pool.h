/* SPDX-License-Identifier: Apache-2.0 */
/* Which VU sits in which slot: a FIFO of idle VUs, the bindings of slots, and the runner that the
 * schedule commands. Main thread. Engine specification 11. */
#pragma once
#include "base/base.h"
#include "engine/schedule.h"
#include "vu/vu.h"

struct sq_pool;
struct sq_pool *sq_pool_new(void); /* owned: sq_pool_free */
void sq_pool_free(struct sq_pool *pool);

/* A VU that was initialised joins the idle ones. */
void sq_pool_put(struct sq_pool *pool, struct sq_vu *vu);
/* A VU that the schedule asked for by `grow` is ready. */
void sq_pool_grown(struct sq_pool *pool, struct sq_run *run, struct sq_vu *vu, size_t scenario);
/* News from the worker. `binding` tells news about an older binding of the slot. */
void sq_pool_slot_done(struct sq_pool *pool, struct sq_run *run, struct sq_vu *vu, size_t scenario,
                       uint32_t slot, uint64_t binding, uint64_t taken);
void sq_pool_iteration_done(struct sq_pool *pool, struct sq_run *run, struct sq_vu *vu,
                            size_t scenario);
/* Slots that wait for a VU give up: the run is being stopped. */
void sq_pool_drop_waiting(struct sq_pool *pool, struct sq_run *run);

/* The runner given to sq_schedule_new with the struct sq_run as `self`. */
extern const struct sq_runner sq_pool_runner;

struct sq_slot_order {
    size_t scenario;
    uint32_t slot;
    struct sq_gate *gate;
    uint64_t binding;
    int64_t interrupt_ns; /* on the run's clock */
};
/* Implemented by run.c: messages to workers. */
void sq_run_send_start(struct sq_run *run, struct sq_vu *vu, const struct sq_slot_order *order);
void sq_run_send_stop(struct sq_run *run, struct sq_vu *vu, uint64_t binding, int64_t interrupt_ns);
void sq_run_send_single(struct sq_run *run, struct sq_vu *vu, size_t scenario, uint64_t number,
                        int64_t interrupt_ns);
void sq_run_send_grow(struct sq_run *run, size_t scenario);
void sq_run_grow_on_worker(struct sq_post *post);
/* Asks for sq_schedule_advance soon. */
void sq_run_reschedule(struct sq_run *run);
