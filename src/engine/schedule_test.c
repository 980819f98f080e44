/* SPDX-License-Identifier: Apache-2.0 */
/* Executors in virtual time: a fake runner whose iterations last what a function says. Names of
 * cases (EC-...) are the specification's. */
#include "engine/schedule.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/test.h"
#include "engine/segment.h"

enum { SLOTS = 64, LOG = 512 };
#define MS SQ_NS_PER_MS
#define S SQ_NS_PER_S

struct fake_slot {
    bool bound, stopping, busy;
    struct sq_gate *gate;
    int64_t interrupt_ns, ends_ns;
    uint64_t taken, number;
};

struct fake {
    const struct sq_scenario *scenario;
    struct sq_schedule *schedule;
    int64_t now_ns;
    int64_t (*length)(size_t slot, uint64_t number); /* of an iteration */
    struct fake_slot slots[SLOTS];                   /* arrival rates: VUs */
    int64_t vus;                                     /* arrival rates: existing */
    int64_t grow_ns, grown_ns;                       /* how long it takes; when (0: none) */
    int64_t starts[LOG];                             /* of iterations */
    int64_t slot_starts[LOG], slot_stops[LOG];
    int starts_count, slot_starts_count, slot_stops_count, grows;
    int complete, interrupted;
    uint64_t dropped;
    uint32_t dropped_slot;
    int64_t ended_ns;
};

static void begin(struct fake *f, struct fake_slot *slot, uint64_t number)
{
    slot->busy = true;
    slot->number = number;
    slot->ends_ns = f->now_ns + f->length((size_t)(slot - f->slots), number);
    if (f->starts_count < LOG)
        f->starts[f->starts_count++] = f->now_ns;
}

static void leave(struct fake *f, struct fake_slot *slot)
{
    uint64_t taken = slot->taken;

    *slot = (struct fake_slot){0};
    sq_schedule_slot_done(f->schedule, 0, (uint32_t)(slot - f->slots), taken, f->now_ns);
}

static void loop_on(struct fake *f, struct fake_slot *slot)
{
    uint64_t number;

    if (!slot->stopping && sq_gate_take(slot->gate, &slot->taken, f->now_ns, &number))
        begin(f, slot, number);
    else
        leave(f, slot);
}

static void fake_slot_start(void *self, size_t scenario, uint32_t index, struct sq_gate *gate,
                            int64_t interrupt_ns)
{
    struct fake *f = self;
    struct fake_slot *slot = &f->slots[index];

    (void)scenario;
    if (f->slot_starts_count < LOG)
        f->slot_starts[f->slot_starts_count++] = f->now_ns;
    slot->stopping = false;
    slot->interrupt_ns = interrupt_ns;
    if (slot->bound)
        return;
    *slot = (struct fake_slot){.bound = true, .gate = gate, .interrupt_ns = interrupt_ns};
    /* Not synchronously: the gate is asked when the event loop turns. */
    slot->ends_ns = f->now_ns;
}

static void fake_slot_stop(void *self, size_t scenario, uint32_t index, int64_t interrupt_ns)
{
    struct fake *f = self;

    (void)scenario;
    f->slots[index].stopping = true;
    f->slots[index].interrupt_ns = interrupt_ns;
    if (f->slot_stops_count < LOG)
        f->slot_stops[f->slot_stops_count++] = f->now_ns;
}

static bool fake_iterate(void *self, size_t scenario, uint64_t number, int64_t interrupt_ns)
{
    struct fake *f = self;

    (void)scenario;
    for (int64_t i = 0; i < f->vus; i++)
        if (!f->slots[i].busy) {
            f->slots[i].interrupt_ns = interrupt_ns;
            begin(f, &f->slots[i], number);
            return true;
        }
    return false;
}

static void fake_grow(void *self, size_t scenario)
{
    struct fake *f = self;

    (void)scenario;
    f->grows++;
    f->grown_ns = f->now_ns + f->grow_ns;
}

static void fake_dropped(void *self, size_t scenario, uint64_t count, uint32_t slot)
{
    struct fake *f = self;

    (void)scenario;
    f->dropped += count;
    f->dropped_slot = slot;
}

static const struct sq_runner runner = {fake_slot_start, fake_slot_stop, fake_iterate, fake_grow,
                                        fake_dropped};

static bool is_arrival(const struct fake *f)
{
    return f->scenario->executor >= SQ_EXEC_CONSTANT_ARRIVAL_RATE;
}

/* The next thing that happens to a VU; NULL: nothing. */
static struct fake_slot *next_slot(struct fake *f, int64_t *at_ns)
{
    struct fake_slot *first = NULL;

    *at_ns = INT64_MAX;
    for (size_t i = 0; i < SLOTS; i++) {
        struct fake_slot *slot = &f->slots[i];
        if (!slot->bound && !slot->busy)
            continue;
        int64_t ns = SQ_MAX(f->now_ns, SQ_MIN(slot->ends_ns, slot->interrupt_ns));
        if (ns < *at_ns) {
            *at_ns = ns;
            first = slot;
        }
    }
    return first;
}

static void slot_event(struct fake *f, struct fake_slot *slot)
{
    bool whole = slot->ends_ns <= f->now_ns;

    if (slot->busy) {
        f->complete += whole;
        f->interrupted += !whole;
        slot->busy = false;
        if (is_arrival(f)) {
            sq_schedule_iteration_done(f->schedule, 0, f->now_ns);
            return;
        }
    }
    if (!whole || f->now_ns >= slot->interrupt_ns)
        leave(f, slot);
    else
        loop_on(f, slot);
}

static void run_until(struct fake *f, int64_t until_ns)
{
    for (int turns = 0; turns < 100000; turns++) {
        int64_t wake_ns = sq_schedule_advance(f->schedule, f->now_ns), slot_ns;
        struct fake_slot *slot = next_slot(f, &slot_ns);
        if (wake_ns < 0) {
            f->ended_ns = f->now_ns;
            return;
        }
        int64_t next_ns = SQ_MIN(wake_ns, slot_ns);
        if (f->grown_ns && f->grown_ns <= next_ns) {
            f->now_ns = f->grown_ns;
            f->grown_ns = 0;
            f->vus++;
            sq_schedule_grown(f->schedule, 0, f->now_ns);
            continue;
        }
        if (next_ns > until_ns)
            return;
        f->now_ns = next_ns;
        if (slot_ns == next_ns)
            slot_event(f, slot);
    }
    SQ_CHECK(false, "the schedule does not end");
}

static void fake_start(struct fake *f, const struct sq_scenario *s,
                       int64_t (*length)(size_t, uint64_t))
{
    if (sq_log_options_now().to == stderr)
        sq_log_configure(&(struct sq_log_options){.to = NULL});
    *f = (struct fake){.scenario = s, .length = length, .vus = s->pre_allocated_vus};
    f->schedule = sq_schedule_new(s, 1, &runner, f);
}

static void fake_run(struct fake *f, const struct sq_scenario *s,
                     int64_t (*length)(size_t, uint64_t))
{
    fake_start(f, s, length);
    run_until(f, INT64_MAX - 1);
    sq_schedule_free(f->schedule);
}

static int64_t takes_400ms(size_t slot, uint64_t number)
{
    (void)slot, (void)number;
    return 400 * MS;
}
static int64_t takes_300ms(size_t slot, uint64_t number)
{
    (void)slot, (void)number;
    return 300 * MS;
}
static int64_t takes_550ms(size_t slot, uint64_t number)
{
    (void)slot, (void)number;
    return 550 * MS;
}
static int64_t takes_1us(size_t slot, uint64_t number)
{
    (void)slot, (void)number;
    return 1000;
}
static int64_t takes_100s(size_t slot, uint64_t number)
{
    (void)slot, (void)number;
    return 100 * S;
}
static int64_t takes_1500ms_or_5s(size_t slot, uint64_t number)
{
    (void)number;
    return slot == 0 ? 1500 * MS : 5 * S;
}

SQ_TEST(schedule_constant_vus_EC_37)
{
    const struct sq_scenario s = {.name = (char *)"a",
                                  .executor = SQ_EXEC_CONSTANT_VUS,
                                  .vus = 2,
                                  .duration_ns = S,
                                  .graceful_stop_ns = S};
    struct fake f;

    fake_run(&f, &s, takes_1500ms_or_5s);
    SQ_CHECK_EQ(f.ended_ns, 2 * S);
    SQ_CHECK_EQ(f.complete, 1);
    SQ_CHECK_EQ(f.interrupted, 1);
    SQ_CHECK_EQ(f.dropped, 0);
}

SQ_TEST(schedule_per_vu_iterations_EC_38)
{
    const struct sq_scenario s = {.name = (char *)"a",
                                  .executor = SQ_EXEC_PER_VU_ITERATIONS,
                                  .vus = 2,
                                  .iterations = 5,
                                  .duration_ns = S,
                                  .graceful_stop_ns = 30 * S};
    struct fake f;

    fake_run(&f, &s, takes_400ms);
    SQ_CHECK_EQ(f.complete, 6);
    SQ_CHECK_EQ(f.dropped, 4);
    SQ_CHECK_EQ(f.ended_ns, 1200 * MS);

    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.complete, 10);
    SQ_CHECK_EQ(f.dropped, 0);
    SQ_CHECK_EQ(f.ended_ns, 5000);
}

SQ_TEST(schedule_shared_iterations_ENG_110_ENG_111)
{
    const struct sq_scenario s = {.name = (char *)"a",
                                  .executor = SQ_EXEC_SHARED_ITERATIONS,
                                  .vus = 3,
                                  .iterations = 20,
                                  .duration_ns = S,
                                  .graceful_stop_ns = 0};
    struct fake f;

    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.complete, 20);
    SQ_CHECK_EQ(f.dropped, 0);

    /* Attempted counts, finished or not: 3 VUs start at 0, 0.4 and 0.8 s. */
    fake_run(&f, &s, takes_400ms);
    SQ_CHECK_EQ(f.complete, 6);
    SQ_CHECK_EQ(f.interrupted, 3);
    SQ_CHECK_EQ(f.dropped, 11);
    SQ_CHECK_EQ(f.dropped_slot, UINT32_MAX);
    SQ_CHECK_EQ(f.ended_ns, S);
}

static const struct sq_scenario ten_a_second = {.name = (char *)"a",
                                                .executor = SQ_EXEC_CONSTANT_ARRIVAL_RATE,
                                                .rate = 10,
                                                .time_unit_ns = S,
                                                .duration_ns = 2 * S,
                                                .graceful_stop_ns = 30 * S,
                                                .pre_allocated_vus = 1,
                                                .max_vus = 3};

SQ_TEST(schedule_constant_arrival_rate_EC_39)
{
    struct sq_log_options before = sq_log_options_now(), to_file = {.to = tmpfile()};
    struct fake f;
    char line[512];
    int warnings = 0;

    sq_log_configure(&to_file);
    fake_run(&f, &ten_a_second, takes_550ms);
    sq_log_configure(&before);
    rewind(to_file.to);
    while (fgets(line, sizeof line, to_file.to))
        warnings += strstr(line, "maxVUs") != NULL;
    fclose(to_file.to);
    SQ_CHECK_EQ(warnings, 1);
    SQ_CHECK(f.complete == 11 || f.complete == 12, "%d", f.complete);
    SQ_CHECK_EQ(f.dropped, 10);
    SQ_CHECK_EQ(f.vus, 3);
    SQ_CHECK_EQ(f.grows, 2);
}

SQ_TEST(schedule_grows_one_vu_at_a_time_ENG_121)
{
    struct fake f;

    fake_start(&f, &ten_a_second, takes_100s);
    f.grow_ns = 350 * MS;
    run_until(&f, 440 * MS);
    SQ_CHECK_EQ(f.grows, 1); /* asked for at 100 ms; the drops at 200, 300 and 400 ms ask nothing */
    SQ_CHECK_EQ(f.dropped, 4);
    run_until(&f, 500 * MS);
    SQ_CHECK_EQ(f.vus, 2);
    SQ_CHECK_EQ(f.starts_count, 2);
    sq_schedule_free(f.schedule);
}

SQ_TEST(schedule_constant_arrival_rate_due_times_EC_40)
{
    struct sq_scenario s = ten_a_second;
    struct fake f;

    s.duration_ns = S;
    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts_count, 11);
    for (int i = 0; i < f.starts_count; i++)
        SQ_CHECK_EQ(f.starts[i], i * 100 * MS);
    s.graceful_stop_ns = 0;
    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts_count, 10);
    s.rate = 3;
    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts[2], 2 * INT64_C(333333333));
}

SQ_TEST(schedule_late_ticks_are_not_lost)
{
    struct sq_scenario s = ten_a_second;
    struct fake f;

    s.pre_allocated_vus = s.max_vus = 40;
    fake_start(&f, &s, takes_100s);
    f.now_ns = 1050 * MS; /* the machine slept */
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, f.now_ns), 1100 * MS);
    SQ_CHECK_EQ(f.starts_count, 11);
    sq_schedule_free(f.schedule);
}

SQ_TEST(schedule_ends_on_time_under_impossible_rates)
{
    struct sq_scenario s = ten_a_second;
    struct fake f;
    int calls = 0;

    s.rate = 1e9;
    s.pre_allocated_vus = s.max_vus = 2;
    fake_start(&f, &s, takes_100s);
    SQ_CHECK(sq_schedule_advance(f.schedule, S) < S); /* far behind, but it came back */
    f.now_ns = 2200 * MS;
    while (sq_schedule_advance(f.schedule, f.now_ns) != INT64_MAX && calls < 10)
        calls++;
    SQ_CHECK(calls < 10);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, f.now_ns).state, SQ_SCENARIO_STOPPING);
    SQ_CHECK_EQ(f.starts_count, 2);
    SQ_CHECK_EQ(f.dropped, 2000000001 - 2);
    sq_schedule_free(f.schedule);

    struct sq_stage stages[] = {{S, 1000000000}, {S, 0}};
    s.executor = SQ_EXEC_RAMPING_ARRIVAL_RATE;
    s.rate = 0;
    s.stages = stages;
    s.stages_count = 2;
    fake_start(&f, &s, takes_100s);
    (void)sq_schedule_advance(f.schedule, S);
    for (calls = 0; sq_schedule_advance(f.schedule, 2200 * MS) != INT64_MAX && calls < 10;)
        calls++;
    SQ_CHECK(calls < 10);
    SQ_CHECK_EQ(f.dropped, 1000000000 - 2);
    sq_schedule_free(f.schedule);
}

SQ_TEST(schedule_ramping_arrival_rate_EC_41_ENG_123)
{
    static const double due_s[] = {0.2,   0.4,   0.6,   0.8,   1.0,   1.171, 1.306, 1.422, 1.525,
                                   1.618, 1.704, 1.785, 1.860, 1.932, 2.0,   2.5,   3.0};
    struct sq_stage stages[] = {{S, 5}, {S, 15}, {0, 2}, {S, 2}};
    const struct sq_scenario s = {.name = (char *)"a",
                                  .executor = SQ_EXEC_RAMPING_ARRIVAL_RATE,
                                  .rate = 5,
                                  .time_unit_ns = S,
                                  .stages = stages,
                                  .stages_count = 4,
                                  .graceful_stop_ns = 30 * S,
                                  .pre_allocated_vus = 5,
                                  .max_vus = 5};
    struct fake f;

    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts_count, SQ_COUNT(due_s));
    for (size_t i = 0; i < SQ_COUNT(due_s); i++)
        SQ_CHECK_NEAR((double)f.starts[i] / 1e9, due_s[i], 0.0005);
    SQ_CHECK_EQ(f.starts[0], 200 * MS);
    SQ_CHECK_EQ(f.starts[14], 2 * S);
}

SQ_TEST(schedule_ramping_arrival_rate_carries_fractions)
{
    /* 0.4 iterations per stage: one falls due in every second or third stage, none is lost. */
    struct sq_stage stages[50];
    struct sq_scenario s = {.name = (char *)"a",
                            .executor = SQ_EXEC_RAMPING_ARRIVAL_RATE,
                            .rate = 4,
                            .time_unit_ns = S,
                            .stages = stages,
                            .stages_count = 50,
                            .graceful_stop_ns = S,
                            .pre_allocated_vus = 5,
                            .max_vus = 5};
    struct fake f;

    for (size_t i = 0; i < 50; i++)
        stages[i] = (struct sq_stage){100 * MS, 4};
    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts_count, 20);
    for (int i = 0; i < 20; i++)
        SQ_CHECK_EQ(f.starts[i], (i + 1) * 250 * MS);
    /* Down to zero and up again: symmetric. */
    stages[0] = (struct sq_stage){S, 0};
    stages[1] = (struct sq_stage){S, 4};
    s.stages_count = 2;
    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts_count, 4);
    SQ_CHECK_NEAR((double)f.starts[0] / 1e9, 1 - 0.70710678, 1e-6);
    SQ_CHECK_EQ(f.starts[1], S);
}

static struct sq_scenario ramp(struct sq_stage *stages, size_t count, int64_t from)
{
    return (struct sq_scenario){.name = (char *)"a",
                                .executor = SQ_EXEC_RAMPING_VUS,
                                .vus = from,
                                .stages = stages,
                                .stages_count = count,
                                .graceful_stop_ns = 30 * S,
                                .graceful_ramp_down_ns = 30 * S};
}

static int64_t last_start(const struct fake *f)
{
    return f->starts[f->starts_count - 1];
}

SQ_TEST(schedule_ramping_vus_EC_42)
{
    struct sq_stage stages[] = {{S, 2}, {S, 0}};
    const struct sq_scenario s = ramp(stages, 2, 0);
    struct fake f;

    fake_run(&f, &s, takes_300ms);
    SQ_CHECK_EQ(f.slot_starts_count, 2);
    SQ_CHECK_EQ(f.slot_starts[0], 500 * MS);
    SQ_CHECK_EQ(f.slot_starts[1], S);
    SQ_CHECK_EQ(f.slot_stops[0], 1500 * MS);
    /* First VU: 0.5 0.8 1.1 1.4 1.7; second: 1.0 1.3. */
    SQ_CHECK_EQ(f.complete, 7);
    SQ_CHECK_EQ(last_start(&f), 1700 * MS);
    SQ_CHECK_EQ(f.ended_ns, 2 * S);

    fake_run(&f, &s, takes_400ms); /* the first VU is busy until 2.1 */
    SQ_CHECK_EQ(f.slot_stops_count, 2);
    SQ_CHECK_EQ(f.slot_stops[1], 2 * S);
    SQ_CHECK_EQ(f.ended_ns, 2100 * MS);
}

SQ_TEST(schedule_ramping_vus_EC_43)
{
    struct sq_stage stages[] = {{2 * S, 5}};
    const struct sq_scenario s = ramp(stages, 1, 1);
    struct fake f;

    fake_run(&f, &s, takes_300ms);
    SQ_CHECK_EQ(f.slot_starts_count, 5);
    for (int i = 0; i < 5; i++)
        SQ_CHECK_EQ(f.slot_starts[i], i * 500 * MS);
    SQ_CHECK(f.ended_ns >= 2 * S && f.ended_ns < 2300 * MS);
    SQ_CHECK(last_start(&f) < 2 * S);
}

SQ_TEST(schedule_ramping_vus_graceful_periods_ENG_116)
{
    struct sq_stage stages[] = {{S, 1}, {0, 0}, {9 * S, 0}};
    struct sq_scenario s = ramp(stages, 3, 1);
    struct fake f;

    fake_run(&f, &s, takes_100s);
    SQ_CHECK_EQ(f.ended_ns, 31 * S);
    s.graceful_ramp_down_ns = 0;
    fake_run(&f, &s, takes_100s);
    SQ_CHECK_EQ(f.ended_ns, S);
    SQ_CHECK_EQ(f.interrupted, 1);
    /* Nothing lives past the stages and gracefulStop. */
    stages[2].duration_ns = 0;
    s.graceful_ramp_down_ns = 30 * S;
    s.graceful_stop_ns = 2 * S;
    fake_run(&f, &s, takes_100s);
    SQ_CHECK_EQ(f.ended_ns, 3 * S);
}

SQ_TEST(schedule_ramping_vus_keeps_a_finishing_vu_ENG_117)
{
    struct sq_stage stages[] = {{S, 1}, {0, 0}, {100 * MS, 0}, {0, 1}, {2 * S, 1}};
    const struct sq_scenario s = ramp(stages, 5, 1);
    struct fake f;

    fake_run(&f, &s, takes_400ms);
    /* Iterations at 0, 0.4, 0.8; told to stop at 1.0, to go on at 1.1: the next starts at 1.2. */
    SQ_CHECK_EQ(f.slot_starts_count, 2);
    SQ_CHECK_EQ(f.starts[3], 1200 * MS);
}

SQ_TEST(schedule_restarts_a_vu_that_left_as_it_was_resumed)
{
    struct sq_stage stages[] = {{S, 1}, {0, 0}, {100 * MS, 0}, {0, 1}, {2 * S, 1}};
    const struct sq_scenario s = ramp(stages, 5, 1);
    struct fake f;

    fake_start(&f, &s, takes_400ms);
    sq_schedule_advance(f.schedule, 1050 * MS);
    sq_schedule_advance(f.schedule, 1150 * MS);
    SQ_CHECK_EQ(f.slot_starts_count, 2);
    /* The worker's word that the VU had obeyed the stop arrives only now. */
    sq_schedule_slot_done(f.schedule, 0, 0, 3, 1160 * MS);
    sq_schedule_advance(f.schedule, 1160 * MS);
    SQ_CHECK_EQ(f.slot_starts_count, 3);
    sq_schedule_advance(f.schedule, 3100 * MS);
    SQ_CHECK_EQ(f.slot_stops_count, 2);
    sq_schedule_slot_done(f.schedule, 0, 0, 1, 3100 * MS);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 3100 * MS), -1);
    sq_schedule_free(f.schedule);
}

SQ_TEST(schedule_orders_and_waits_ENG_103)
{
    struct sq_scenario s[] = {
        {.name = (char *)"b",
         .executor = SQ_EXEC_CONSTANT_VUS,
         .vus = 1,
         .duration_ns = S,
         .start_ns = 2 * S},
        {.name = (char *)"a", .executor = SQ_EXEC_CONSTANT_VUS, .vus = 2, .duration_ns = 9 * S},
    };
    struct fake f = {.scenario = s, .length = takes_100s};

    f.schedule = sq_schedule_new(s, 2, &runner, &f);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 0), 2 * S);
    SQ_CHECK_EQ(f.slot_starts_count, 2);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, S).state, SQ_SCENARIO_WAITING);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, S).elapsed_ns, -S);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 2 * S), 3 * S);
    SQ_CHECK_EQ(f.slot_starts_count, 3);
    SQ_CHECK_NEAR(sq_schedule_progress(f.schedule, 0, 2500 * MS).done, 0.5, 1e-9);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 3 * S), 9 * S);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, 3 * S).state, SQ_SCENARIO_STOPPING);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 9 * S), INT64_MAX);
    sq_schedule_slot_done(f.schedule, 0, 0, 1, 9 * S);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, 9 * S).state, SQ_SCENARIO_DONE);
    sq_schedule_slot_done(f.schedule, 1, 0, 1, 9 * S);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 9 * S), INT64_MAX);
    sq_schedule_slot_done(f.schedule, 1, 1, 1, 9 * S);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 9 * S), -1);
    sq_schedule_free(f.schedule);
}

SQ_TEST(schedule_stop_starts_nothing_more)
{
    struct sq_scenario s = {.name = (char *)"a",
                            .executor = SQ_EXEC_SHARED_ITERATIONS,
                            .vus = 2,
                            .iterations = 50,
                            .duration_ns = 100 * S};
    struct fake f;
    uint64_t number;

    fake_start(&f, &s, takes_300ms);
    run_until(&f, S);
    sq_schedule_stop(f.schedule);
    SQ_CHECK(!sq_gate_take(f.slots[0].gate, &f.slots[0].taken, S, &number));
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, S), INT64_MAX);
    sq_schedule_slot_done(f.schedule, 0, 0, 4, S);
    sq_schedule_slot_done(f.schedule, 0, 1, 4, S);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, S), -1);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, S).state, SQ_SCENARIO_INTERRUPTED);
    SQ_CHECK_EQ(sq_schedule_progress(f.schedule, 0, S).iterations, 8);
    SQ_CHECK_EQ(f.dropped, 0);
    sq_schedule_free(f.schedule);

    s.start_ns = 5 * S;
    fake_start(&f, &s, takes_300ms);
    sq_schedule_advance(f.schedule, 0);
    sq_schedule_stop(f.schedule);
    SQ_CHECK_EQ(sq_schedule_advance(f.schedule, 9 * S), -1);
    SQ_CHECK_EQ(f.slot_starts_count, 0);
    sq_schedule_free(f.schedule);
}

SQ_TEST(schedule_segmented_rates_ENG_145)
{
    struct sq_stripe *stripe;
    struct sq_scenario s = ten_a_second;
    struct fake f;

    SQ_CHECK_EQ(sq_stripe_new("1/3:2/3", "0,1/3,2/3,1", &stripe, NULL), 0);
    s.stripe = stripe;
    fake_run(&f, &s, takes_1us);
    SQ_CHECK_EQ(f.starts_count, 7);
    for (int i = 0; i < f.starts_count; i++)
        SQ_CHECK_EQ(f.starts[i], (1 + 3 * i) * 100 * MS);
    SQ_CHECK_EQ(sq_scenario_iteration_in_test(&s, 2), 7);

    struct sq_stage stages[] = {{6 * S, 6}};
    struct sq_scenario r = ramp(stages, 1, 0);
    r.stripe = stripe;
    fake_run(&f, &r, takes_300ms);
    SQ_CHECK_EQ(f.slot_starts_count, 2); /* VUs 2 and 5 of the whole test */
    SQ_CHECK_EQ(f.slot_starts[0], 2 * S);
    SQ_CHECK_EQ(f.slot_starts[1], 5 * S);
    sq_stripe_free(stripe);
}

SQ_TEST(plan_reserves_vus_ENG_118_ENG_130)
{
    struct sq_stage saw[] = {{10 * S, 10}, {10 * S, 0}, {10 * S, 10}, {10 * S, 0}};
    struct sq_scenario s[2] = {ramp(saw, 4, 0)};

    SQ_CHECK_EQ(sq_scenarios_vus_planned(s, 1), 10);
    SQ_CHECK_EQ(sq_scenario_length_max_ns(&s[0]), 70 * S);
    /* b begins when nothing of a can live any more, or a nanosecond earlier. */
    s[1] = (struct sq_scenario){.name = (char *)"b",
                                .executor = SQ_EXEC_CONSTANT_ARRIVAL_RATE,
                                .start_ns = 70 * S,
                                .duration_ns = S,
                                .pre_allocated_vus = 4,
                                .max_vus = 12};
    SQ_CHECK_EQ(sq_scenarios_vus_planned(s, 2), 10);
    SQ_CHECK_EQ(sq_scenarios_vus_max(s, 2), 12);
    s[1].start_ns = 70 * S - 1;
    SQ_CHECK_EQ(sq_scenarios_vus_planned(s, 2), 10); /* of a only VU 1 can be left */
    s[1].start_ns = 60 * S - 1;
    SQ_CHECK_EQ(sq_scenarios_vus_planned(s, 2), 14);
    /* Without graceful periods a valley is a valley. */
    s[0].graceful_ramp_down_ns = s[0].graceful_stop_ns = 0;
    s[1].start_ns = 20 * S;
    SQ_CHECK_EQ(sq_scenario_length_max_ns(&s[0]), 40 * S);
    SQ_CHECK_EQ(sq_scenarios_vus_planned(s, 2), 10);
    s[1].start_ns = 29 * S; /* VU 10 starts as b ends */
    SQ_CHECK_EQ(sq_scenarios_vus_planned(s, 2), 13);
    /* A VU still held at the end may finish within gracefulStop. */
    s[0].stages_count = 1;
    s[0].graceful_stop_ns = 5 * S;
    SQ_CHECK_EQ(sq_scenario_length_max_ns(&s[0]), 15 * S);
}

SQ_TEST(plan_of_a_huge_ramp_is_cheap)
{
    struct sq_stage stages[] = {{600 * S, 100000000}, {600 * S, 0}};
    struct sq_scenario s = ramp(stages, 2, 0);

    SQ_CHECK_EQ(sq_scenarios_vus_planned(&s, 1), 100000000);
    SQ_CHECK_EQ(sq_scenario_length_max_ns(&s), 1230 * S);
}

static int64_t takes_anything(size_t slot, uint64_t number)
{
    return (int64_t)((slot * 7919 + number * 104729) % 900 + 1) * MS;
}

static struct sq_scenario random_scenario(unsigned *seed, struct sq_stage *stages)
{
    struct sq_scenario s = {.name = (char *)"a", .time_unit_ns = S, .stages = stages};

    s.executor = (enum sq_executor)(rand_r(seed) % 6);
    s.start_ns = rand_r(seed) % 3 * S;
    s.duration_ns = (1000 + rand_r(seed) % 4000) * MS;
    s.graceful_stop_ns = rand_r(seed) % 3 * 300 * MS;
    s.graceful_ramp_down_ns = rand_r(seed) % 3 * 200 * MS;
    s.vus = 1 + rand_r(seed) % 10;
    s.iterations = s.vus + rand_r(seed) % 100;
    s.rate = 1 + rand_r(seed) % 30;
    s.pre_allocated_vus = rand_r(seed) % 4;
    s.max_vus = s.pre_allocated_vus + rand_r(seed) % 9;
    if (s.executor != SQ_EXEC_RAMPING_VUS && s.executor != SQ_EXEC_RAMPING_ARRIVAL_RATE)
        return s;
    s.stages_count = 1 + (size_t)rand_r(seed) % 6;
    for (size_t i = 0; i < s.stages_count; i++)
        stages[i] = (struct sq_stage){rand_r(seed) % 4 * 400 * MS, rand_r(seed) % 12};
    return s;
}

static uint64_t ticks_of(const struct sq_scenario *s, int64_t length_ns)
{
    double area = 0, from = s->rate;

    if (s->executor == SQ_EXEC_CONSTANT_ARRIVAL_RATE)
        return (uint64_t)((length_ns - (s->graceful_stop_ns == 0)) / (int64_t)(S / s->rate)) + 1;
    for (size_t i = 0; i < s->stages_count; i++) {
        area += (double)s->stages[i].duration_ns / 1e9 * (from + (double)s->stages[i].target) / 2;
        from = (double)s->stages[i].target;
    }
    return (uint64_t)(area + 1e-9);
}

SQ_TEST(schedule_keeps_its_promises_for_any_scenario)
{
    unsigned seed = 3;

    for (int round = 0; round < 1500; round++) {
        struct sq_stage stages[8];
        struct sq_scenario s = random_scenario(&seed, stages);
        int64_t length = s.duration_ns, planned = sq_scenarios_vus_max(&s, 1), most = 0;
        struct fake f;
        if (s.stages_count) {
            length = 0;
            for (size_t i = 0; i < s.stages_count; i++)
                length += stages[i].duration_ns;
        }
        fake_run(&f, &s, takes_anything);
        SQ_CHECK(f.ended_ns <= s.start_ns + sq_scenario_length_max_ns(&s) ||
                     f.ended_ns <= s.start_ns + length,
                 "round %d: %d ms", round, (int)(f.ended_ns / MS));
        SQ_CHECK_EQ(f.complete + f.interrupted, f.starts_count, "round %d", round);
        for (int i = 0; i < f.starts_count; i++)
            SQ_CHECK(f.starts[i] >= s.start_ns && f.starts[i] <= s.start_ns + length, "round %d",
                     round);
        if (s.executor == SQ_EXEC_SHARED_ITERATIONS)
            SQ_CHECK_EQ((int64_t)f.dropped + f.starts_count, s.iterations, "round %d", round);
        if (s.executor == SQ_EXEC_PER_VU_ITERATIONS && f.starts_count < LOG)
            SQ_CHECK_EQ((int64_t)f.dropped + f.starts_count, s.iterations * s.vus, "round %d",
                        round);
        if (s.executor >= SQ_EXEC_CONSTANT_ARRIVAL_RATE) {
            int64_t off = (int64_t)f.dropped + f.starts_count - (int64_t)ticks_of(&s, length);
            SQ_CHECK(off == 0 || (off == -1 && s.graceful_stop_ns == 0), "round %d: %d", round,
                     (int)off);
            SQ_CHECK(f.vus <= s.max_vus, "round %d", round);
        }
        for (size_t i = 0; i < s.stages_count && s.executor == SQ_EXEC_RAMPING_VUS; i++)
            most = SQ_MAX(most, SQ_MAX(s.vus, stages[i].target));
        if (s.executor == SQ_EXEC_RAMPING_VUS)
            SQ_CHECK(planned <= most, "round %d", round);
    }
}

enum { THREADS = 4, TAKES = 20000 };

struct taker {
    struct sq_gate *gate;
    uint8_t *seen;
    uint64_t taken;
};

static void *take_all(void *arg)
{
    struct taker *t = arg;
    uint64_t number;

    while (sq_gate_take(t->gate, &t->taken, 5, &number))
        t->seen[number]++;
    return NULL;
}

SQ_TEST(gate_deals_each_number_once_to_many_threads)
{
    struct sq_gate gate = {.end_ns = 10, .total = TAKES};
    uint8_t *seen = sq_xcalloc(TAKES, 1);
    struct taker takers[THREADS];
    pthread_t threads[THREADS];
    uint64_t sum = 0, number;

    for (int i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){&gate, seen, 0};
        SQ_CHECK_EQ(pthread_create(&threads[i], NULL, take_all, &takers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += takers[i].taken;
    }
    SQ_CHECK_EQ(sum, TAKES);
    for (int i = 0; i < TAKES; i++)
        SQ_CHECK_EQ(seen[i], 1, "number %d", i);
    free(seen);

    struct sq_gate own = {.end_ns = 10, .per_slot = 2};
    uint64_t taken = 0;
    SQ_CHECK(sq_gate_take(&own, &taken, 9, &number) && number == 0);
    SQ_CHECK(!sq_gate_take(&own, &taken, 10, &number));
    SQ_CHECK(sq_gate_take(&own, &taken, 0, &number) && number == 1);
    SQ_CHECK(!sq_gate_take(&own, &taken, 0, &number));
    SQ_CHECK_EQ(taken, 2);
}
