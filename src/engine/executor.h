/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the schedule: one scenario in motion, and what each kind of executor must provide. Private
 * to src/engine. Main thread; times are ns of the run's clock. */
#pragma once
#include "engine/schedule.h"
#include "engine/segment.h"

/* The count of VUs of ramping-vus over time (ENG-114): an iterator over its changes. */
struct sq_ramp {
    const struct sq_scenario *scenario;
    size_t stage;
    int64_t stage_start_ns; /* from the scenario's start */
    int64_t from;           /* whole test's count at the start of the stage */
    int64_t level;          /* this instance's count now */
};
struct sq_ramp_change {
    int64_t at_ns; /* from the scenario's start */
    int64_t delta; /* VUs of this instance that start (positive) or stop */
};
void sq_ramp_init(struct sq_ramp *ramp, const struct sq_scenario *scenario);
/* The next change of at most `group` VUs in one direction; a group is placed so that it never needs
 * fewer VUs than its members would one by one. False: no change is left. */
bool sq_ramp_next(struct sq_ramp *ramp, int64_t group, struct sq_ramp_change *change);

/* Reservations (ENG-118, ENG-130): changes of the number of VUs that must exist. */
struct sq_plan {
    struct sq_ramp_change *changes; /* owned; times rise */
    size_t count, cap;
};
void sq_plan_add(struct sq_plan *plan, int64_t at_ns, int64_t delta);

struct sq_ramp_slots { /* ramping-vus in motion */
    struct sq_ramp ramp;
    struct sq_ramp_change next;
    bool more;
    uint8_t *slots; /* enum slot_state of executor_ramping_vus.c */
    int64_t *crossed;
    size_t crossed_count;
};

struct sq_ticks {    /* arrival rates in motion */
    uint64_t number; /* of the next tick of this instance, from 0 */
    int64_t due_ns;  /* INT64_MAX: none is left */
    size_t stage;    /* ramping: where `number` was found last */
    int64_t stage_start_ns;
    __int128 area; /* before the stage: 2 * timeUnit * iterations */
    int64_t vus;   /* activated */
    bool growing, warned;
};

struct sq_run {
    const struct sq_scenario *scenario;
    size_t index;
    const struct sq_executor_ops *ops;
    const struct sq_runner *runner;
    void *self;
    enum sq_scenario_state state;
    int64_t start_ns, end_ns; /* regular part */
    int64_t interrupt_ns;     /* nothing lives past it */
    int64_t now_ns;           /* of the advance that steps it */
    bool stopped;             /* by sq_schedule_stop */
    bool counted;             /* shared-iterations: its dropped iterations were settled */
    uint64_t attempted;       /* iterations started, once the gate is closed */
    int64_t busy;             /* slots with a VU; arrival rates: iterations running */
    struct sq_gate gate;
    struct sq_ramp_slots ramp;
    struct sq_ticks ticks;
};

struct sq_executor_ops {
    const char *name;
    /* Length of the regular part, ns. */
    int64_t (*length)(const struct sq_scenario *s);
    /* Most VUs that will be active at once. `max`: counting maxVUs. */
    int64_t (*vus)(const struct sq_scenario *s, bool max);
    void (*plan)(const struct sq_scenario *s, bool max, struct sq_plan *plan);
    void (*start)(struct sq_run *run);
    int64_t (*due)(const struct sq_run *run); /* INT64_MAX: nothing before the regular end */
    void (*step)(struct sq_run *run, int64_t due_ns);
    void (*end)(struct sq_run *run); /* the regular end has come */
    /* True if the slot was bound. */
    bool (*slot_done)(struct sq_run *run, uint32_t slot, uint64_t slot_taken, int64_t now_ns);
    void (*progress)(const struct sq_run *run, int64_t now_ns, struct sq_scenario_progress *out);
    void (*deinit)(struct sq_run *run);
};

extern const struct sq_executor_ops sq_shared_iterations_ops, sq_per_vu_iterations_ops,
    sq_constant_vus_ops, sq_ramping_vus_ops, sq_constant_arrival_rate_ops,
    sq_ramping_arrival_rate_ops;
const struct sq_executor_ops *sq_executor_ops(enum sq_executor executor);

static inline int64_t sq_stages_length_ns(const struct sq_scenario *s)
{
    int64_t total = 0;

    for (size_t i = 0; i < s->stages_count; i++)
        total += s->stages[i].duration_ns;
    return total;
}
