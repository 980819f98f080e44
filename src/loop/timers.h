/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's timers: a 4-ary heap of (deadline, order of starting, timer). Keys lie in the heap
 * itself, so that sifting does not touch the cold structs that embed the timers. No clock, no I/O.
 *
 *   entries[0] is due first; the children of i are 4i+1 .. 4i+4. */
#pragma once
#include "loop/loop.h"

struct sq_timers {
    struct sq_timers_entry {
        int64_t deadline_ns;
        uint64_t order;
        struct sq_timer *timer;
    } * entries;
    size_t count, cap;
    uint64_t order_next;
};

void sq_timers_deinit(struct sq_timers *t);
void sq_timers_start(struct sq_timers *t, struct sq_timer *timer, int64_t deadline_ns);
void sq_timers_stop(struct sq_timers *t, struct sq_timer *timer);
/* INT64_MAX when none runs. */
int64_t sq_timers_next(const struct sq_timers *t);
/* Calls what is due at now_ns. A timer started meanwhile waits for the next call, whatever its
 * deadline: a timer that restarts itself in the past cannot hold the loop. */
void sq_timers_run(struct sq_timers *t, int64_t now_ns);
