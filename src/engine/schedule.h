/* SPDX-License-Identifier: Apache-2.0 */
/* When and how many: scenarios turned into commands for a runner. Executors know no clock, thread,
 * socket or script: time comes in as an argument, work goes out through struct sq_runner, so a
 * ten-minute ramp is a test of microseconds. Engine specification sections 8 to 13.
 *
 * Two kinds of executor, one mechanism:
 *  - looping ones (shared-iterations, per-vu-iterations, constant-vus, ramping-vus) start and stop
 *    slots; a started slot asks its gate, on its own thread, before each iteration;
 *  - arrival-rate ones hand out single iterations at due times.
 * A slot is a VU's place in a scenario, numbered from 0; the runner binds VUs to slots. */
#pragma once
#include <stdatomic.h>

#include "base/base.h"
#include "base/error.h"

enum sq_executor {
    SQ_EXEC_SHARED_ITERATIONS,
    SQ_EXEC_PER_VU_ITERATIONS,
    SQ_EXEC_CONSTANT_VUS,
    SQ_EXEC_RAMPING_VUS,
    SQ_EXEC_CONSTANT_ARRIVAL_RATE,
    SQ_EXEC_RAMPING_ARRIVAL_RATE,
};
const char *sq_executor_name(enum sq_executor executor); /* "constant-vus" */

struct sq_stripe; /* engine/segment.h */

struct sq_stage {
    int64_t duration_ns;
    int64_t target;
};

struct sq_key_value {
    char *key, *value;
};

/* One scenario, consolidated and checked. Owned by the config. */
struct sq_scenario {
    char *name;
    enum sq_executor executor;
    char *exec;       /* exported function; "default" */
    bool exec_given;  /* written by the user: the description shows it */
    int64_t start_ns; /* startTime */
    int64_t graceful_stop_ns;
    int64_t graceful_ramp_down_ns;
    int64_t duration_ns; /* duration or maxDuration */
    int64_t vus;         /* vus or startVUs */
    int64_t iterations;
    double rate; /* arrival rates: per time_unit_ns; ramping: startRate */
    int64_t time_unit_ns;
    int64_t pre_allocated_vus, max_vus;
    struct sq_stage *stages;
    size_t stages_count;
    struct sq_key_value *env, *tags;
    size_t env_count, tags_count;
    /* Execution segments (ENG-144, ENG-145); NULL: this instance owns all. vus, iterations and the
     * VU counts of arrival rates above are already this instance's share; startVUs, stages and
     * rates are the whole test's. Owned. */
    struct sq_stripe *stripe;
};
/* iterationInTest of the iteration that is `number` in this instance (ENG-133). Any thread. */
uint64_t sq_scenario_iteration_in_test(const struct sq_scenario *scenario, uint64_t number);

/* "4 iterations shared among 2 VUs (maxDuration: 10m0s, gracefulStop: 30s)" (ENG-105). owned: free
 */
char *sq_scenario_describe(const struct sq_scenario *scenario);
/* End of the plan from the scenario's own start, graceful periods included, ns (its startTime is
 * not). */
int64_t sq_scenario_length_max_ns(const struct sq_scenario *scenario);
/* VUs that must be initialised before the run: the highest concurrent need of all (ENG-130). */
int64_t sq_scenarios_vus_planned(const struct sq_scenario *scenarios, size_t count);
int64_t sq_scenarios_vus_max(const struct sq_scenario *scenarios, size_t count);

/* May this slot start one more iteration? Asked on the VU's thread; counters are atomic. */
struct sq_gate {
    int64_t end_ns;         /* regular end on the run's clock: no iteration starts at or after it */
    uint64_t total;         /* iterations shared by all slots; 0: no such limit */
    uint64_t per_slot;      /* iterations of each slot; 0: no such limit */
    _Atomic uint64_t taken; /* iterations handed out, over all slots */
};
/* `slot_taken` is the slot's own count, kept by the caller from 0. True: go; *number is the 0-based
 * iteration number within the scenario, and both counts went up. */
bool sq_gate_take(struct sq_gate *gate, uint64_t *slot_taken, int64_t now_ns, uint64_t *number);

/* What the executors ask of the machinery. All calls come from sq_schedule_advance, `dropped` also
 * from sq_schedule_slot_done, on the main thread; none blocks, none calls back synchronously. Times
 * are ns on the run's clock (0 = end of setup). */
struct sq_runner {
    /* Bind a VU to the slot and let it loop through `gate` until slot_stop or the gate refuses. It
     * must be interrupted at interrupt_ns (INT64_MAX: never by itself). */
    void (*slot_start)(void *self, size_t scenario, uint32_t slot, struct sq_gate *gate,
                       int64_t interrupt_ns);
    /* Finish the current iteration, start no other; interrupt at interrupt_ns at the latest. A
     * later slot_start on the same slot takes this back; if the VU was already gone by then (its
     * sq_schedule_slot_done was on its way), the next advance calls slot_start once more. So
     * slot_start on a slot that has its VU is a harmless "go on". */
    void (*slot_stop)(void *self, size_t scenario, uint32_t slot, int64_t interrupt_ns);
    /* One iteration on an idle VU of the scenario, which must end by interrupt_ns. False: none
     * idle. */
    bool (*iterate)(void *self, size_t scenario, uint64_t number, int64_t interrupt_ns);
    /* Make one more VU for the scenario (arrival rates, up to maxVUs); it joins its idle ones. */
    void (*grow)(void *self, size_t scenario);
    /* Emit dropped_iterations. slot: UINT32_MAX, or whose iterations they were. */
    void (*dropped)(void *self, size_t scenario, uint64_t count, uint32_t slot);
};

enum sq_scenario_state {
    SQ_SCENARIO_WAITING,
    SQ_SCENARIO_RUNNING,
    SQ_SCENARIO_STOPPING,
    SQ_SCENARIO_DONE,
    SQ_SCENARIO_INTERRUPTED
};

struct sq_schedule;
/* *scenarios is borrowed for the schedule's life. Order of starting is (startTime, name). */
struct sq_schedule *sq_schedule_new(const struct sq_scenario *scenarios, size_t count,
                                    const struct sq_runner *runner, void *self);
void sq_schedule_free(struct sq_schedule *schedule);
/* Does what is due at or before now_ns, in order of due time. Returns when to call again (a moment
 * that has passed: at once, there was too much for one call; INT64_MAX: only after a slot's news),
 * or -1 once every scenario is done. */
int64_t sq_schedule_advance(struct sq_schedule *schedule, int64_t now_ns);
/* News from the runner: the slot's VU left it (gate refused, stop obeyed, interrupted);
 * `slot_taken` is what it had taken from its gate in this binding. */
void sq_schedule_slot_done(struct sq_schedule *schedule, size_t scenario, uint32_t slot,
                           uint64_t slot_taken, int64_t now_ns);
/* An arrival-rate iteration ended; its VU is idle again. */
void sq_schedule_iteration_done(struct sq_schedule *schedule, size_t scenario, int64_t now_ns);
/* A VU that `grow` asked for is there. */
void sq_schedule_grown(struct sq_schedule *schedule, size_t scenario, int64_t now_ns);
/* Ends every scenario now: nothing new starts. The caller interrupts the VUs itself. */
void sq_schedule_stop(struct sq_schedule *schedule);

/* For progress lines and the script's k6/execution. */
struct sq_scenario_progress {
    enum sq_scenario_state state;
    double done;                           /* 0..1 */
    int64_t elapsed_ns, length_ns;         /* regular part */
    uint64_t iterations, iterations_total; /* total 0: not counted */
    int64_t slots_active; /* looping: told to loop now; arrival rates: iterating now */
    int64_t slots_max;    /* most the scenario will have; arrival rates: VUs it has now */
    double rate;          /* arrival rates: per second now */
};
struct sq_scenario_progress sq_schedule_progress(const struct sq_schedule *schedule,
                                                 size_t scenario, int64_t now_ns);
