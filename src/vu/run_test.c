/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a run with a script of a few lines of C: every iteration waits `iteration_ns`. */
#include "vu/run.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/test.h"

struct fake { /* shared by all workers */
    int64_t iteration_ns;
    _Atomic uint64_t opened, closed, iterations, interrupted, activated;
    uint32_t fails_to_open; /* id of the VU whose init code throws; 0: none */
    uint64_t stop_at;       /* the iteration that asks for the end of the run; 0: none */
    bool parks;             /* iterations wait without a stack */
    _Atomic uint64_t stacks_max, parked;
};

static struct fake *fake_of(const struct sq_vu *vu)
{
    return vu->worker->run->script;
}

static int worker_open(struct sq_worker *worker, struct sq_error *err)
{
    (void)worker, (void)err;
    return 0;
}

static void worker_close(struct sq_worker *worker)
{
    (void)worker;
}

static int vu_open(struct sq_vu *vu, struct sq_error *err)
{
    struct fake *f = fake_of(vu);

    if (vu->id == f->fails_to_open)
        return sq_error_set(err, SQ_ESCRIPT, "Error: boom");
    vu->script = f;
    atomic_fetch_add(&f->opened, 1);
    return 0;
}

static void vu_close(struct sq_vu *vu)
{
    atomic_fetch_add(&fake_of(vu)->closed, 1);
}

static int activate(struct sq_vu *vu, size_t scenario, struct sq_error *err)
{
    (void)scenario, (void)err;
    atomic_fetch_add(&fake_of(vu)->activated, 1);
    return 0;
}

/* Half of the time each, so that it parks twice. */
static enum sq_iteration wait_parked(struct sq_vu *vu)
{
    struct fake *f = fake_of(vu);
    int64_t now = sq_now_ns(), until = vu->iteration_start_ns + f->iteration_ns;
    uint64_t stacks = sq_fiber_pool_live(vu->worker->fibers);

    if (stacks > f->stacks_max)
        f->stacks_max = stacks;
    if (vu->interrupted) {
        atomic_fetch_add(&f->interrupted, 1);
        return SQ_ITERATION_INTERRUPTED;
    }
    if (now >= until)
        return SQ_ITERATION_DONE;
    atomic_fetch_add(&f->parked, 1);
    sq_vu_park(vu, now - vu->iteration_start_ns < f->iteration_ns / 2 ? until - f->iteration_ns / 2
                                                                      : until);
    return SQ_ITERATION_PARKED;
}

static enum sq_iteration iterate(struct sq_vu *vu)
{
    struct fake *f = fake_of(vu);
    int64_t until = sq_now_ns() + f->iteration_ns;
    uint64_t number = atomic_fetch_add(&f->iterations, 1) + 1;

    if (f->parks)
        return wait_parked(vu);

    if (number == f->stop_at)
        sq_run_ask_stop(vu->worker->run, SQ_EXIT_ABORTED, "enough");
    while (sq_now_ns() < until)
        if (sq_vu_wait_until(vu, until) < 0) {
            atomic_fetch_add(&f->interrupted, 1);
            return SQ_ITERATION_INTERRUPTED;
        }
    return SQ_ITERATION_DONE;
}

static void nothing(struct sq_vu *vu)
{
    (void)vu;
}

static void take_bytes(struct sq_vu *vu, uint64_t *sent, uint64_t *received)
{
    (void)vu;
    *sent = 1;
    *received = 2;
}

static bool busy(struct sq_worker *worker)
{
    (void)worker;
    return false;
}

static void poke(struct sq_worker *worker)
{
    (void)worker;
}

static const struct sq_script_ops ops = {
    .worker_open = worker_open,
    .worker_close = worker_close,
    .vu_open = vu_open,
    .vu_close = vu_close,
    .activate = activate,
    .iterate = iterate,
    .go_on = wait_parked,
    .enter = nothing,
    .leave = nothing,
    .take_bytes = take_bytes,
    .busy = busy,
    .poke = poke,
};

struct outcome {
    int exit_code;
    double iterations, data_received, dropped;
    uint64_t complete, cut;
    int64_t took_ns;
};

static double counter(const struct sq_run *run, enum sq_metric_id id)
{
    const struct sq_sink *sink = sq_totals_metric(run->totals, id);

    return sink ? sq_sink_stats(sink).sum : 0;
}

/* A whole run of `options` (JSON), with two workers. */
static struct outcome run_test(struct fake *f, const char *options)
{
    struct sq_config config;
    struct sq_run run = {.registry = sq_registry_new(), .tag_table = sq_tag_table_new()};
    struct sq_error err = {0};
    struct outcome out = {0};

    sq_config_init(&config);
    config.workers = 2;
    SQ_CHECK_EQ(sq_config_from_script(&config, options, &err), 0, "%s", err.text);
    SQ_CHECK_EQ(sq_config_derive(&config, &err), 0, "%s", err.text);
    SQ_CHECK_EQ(sq_run_init(&run, &config, &ops, f, &err), 0, "%s", err.text);
    sq_run_prepare(&run);
    if (sq_run_start_workers(&run, &err) == 0) {
        int64_t start = sq_now_ns();
        run.started_ns = start;
        sq_run_execute(&run);
        out.took_ns = sq_now_ns() - start;
    }
    sq_run_finish_workers(&run);
    out.exit_code = run.exit_code;
    out.iterations = counter(&run, SQ_M_ITERATIONS);
    out.data_received = counter(&run, SQ_M_DATA_RECEIVED);
    out.dropped = counter(&run, SQ_M_DROPPED_ITERATIONS);
    out.complete = run.iterations_complete;
    out.cut = run.iterations_interrupted;
    sq_run_deinit(&run);
    sq_tag_table_free(run.tag_table);
    sq_registry_free(run.registry);
    sq_config_deinit(&config);
    return out;
}

SQ_TEST(run_shared_iterations_run_once_each_over_two_workers)
{
    struct fake f = {.iteration_ns = SQ_NS_PER_MS};
    struct outcome out = run_test(&f, "{\"vus\":7,\"iterations\":100}");

    SQ_CHECK_EQ(out.exit_code, 0);
    SQ_CHECK_EQ(f.iterations, 100);
    SQ_CHECK_EQ((int)out.iterations, 100);
    SQ_CHECK_EQ((int)out.data_received, 200);
    SQ_CHECK_EQ(out.complete, 100);
    SQ_CHECK_EQ(f.opened, 7);
    SQ_CHECK_EQ(f.closed, 7);
}

SQ_TEST(run_iterations_are_cut_when_the_graceful_stop_is_over)
{
    struct fake f = {.iteration_ns = 60 * SQ_NS_PER_S};
    struct outcome out = run_test(
        &f, "{\"scenarios\":{\"a\":{\"executor\":\"constant-vus\",\"vus\":5,\"duration\":\"1s\","
            "\"gracefulStop\":\"200ms\"}}}");

    SQ_CHECK_EQ(out.exit_code, 0);
    SQ_CHECK_EQ(f.interrupted, 5);
    SQ_CHECK_EQ(out.cut, 5);
    SQ_CHECK_EQ((int)out.iterations, 0);
    SQ_CHECK_EQ((int)out.data_received, 10); /* emitted for cut iterations as well */
    SQ_CHECK(out.took_ns >= 1200 * SQ_NS_PER_MS);
}

SQ_TEST(run_asked_to_stop_interrupts_everybody_at_once)
{
    struct fake f = {.iteration_ns = 60 * SQ_NS_PER_S, .stop_at = 10};
    struct outcome out = run_test(&f, "{\"vus\":10,\"duration\":\"1h\"}");

    SQ_CHECK_EQ(out.exit_code, SQ_EXIT_ABORTED);
    SQ_CHECK_EQ(f.interrupted, 10);
    SQ_CHECK(out.took_ns < 30 * SQ_NS_PER_S);
}

SQ_TEST(run_parked_iterations_share_one_stack_of_their_worker)
{
    struct fake f = {.iteration_ns = 20 * SQ_NS_PER_MS, .parks = true};
    struct outcome out = run_test(&f, "{\"vus\":50,\"iterations\":150}");

    SQ_CHECK_EQ(out.exit_code, 0);
    SQ_CHECK_EQ(f.iterations, 150);
    SQ_CHECK_EQ(out.complete, 150);
    SQ_CHECK_EQ(f.stacks_max, 1);
    SQ_CHECK(f.parked >= 150, "%d", (int)f.parked);
    SQ_CHECK(out.took_ns >= 60 * SQ_NS_PER_MS);
}

SQ_TEST(run_parked_iterations_are_cut_when_the_graceful_stop_is_over)
{
    struct fake f = {.iteration_ns = 60 * SQ_NS_PER_S, .parks = true};
    struct outcome out = run_test(
        &f, "{\"scenarios\":{\"a\":{\"executor\":\"constant-vus\",\"vus\":5,\"duration\":\"1s\","
            "\"gracefulStop\":\"200ms\"}}}");

    SQ_CHECK_EQ(out.exit_code, 0);
    SQ_CHECK_EQ(f.interrupted, 5);
    SQ_CHECK_EQ(out.cut, 5);
    SQ_CHECK_EQ((int)out.iterations, 0);
}

SQ_TEST(run_a_slot_that_starts_again_keeps_going)
{
    struct fake f = {.iteration_ns = 20 * SQ_NS_PER_MS};
    struct outcome out = run_test(
        &f, "{\"scenarios\":{\"a\":{\"executor\":\"ramping-vus\",\"startVUs\":0,\"stages\":["
            "{\"duration\":\"100ms\",\"target\":6},{\"duration\":\"100ms\",\"target\":1},"
            "{\"duration\":\"100ms\",\"target\":6},{\"duration\":\"100ms\",\"target\":0}]}}}");

    SQ_CHECK_EQ(out.exit_code, 0);
    SQ_CHECK_EQ(f.interrupted, 0);
    SQ_CHECK_EQ(f.opened, 6);
    SQ_CHECK_EQ(out.complete, f.iterations);
    SQ_CHECK(f.iterations >= 12, "%d", (int)f.iterations);
}

SQ_TEST(run_arrival_rate_counts_every_tick)
{
    struct fake f = {.iteration_ns = 300 * SQ_NS_PER_MS};
    struct outcome out = run_test(&f, "{\"scenarios\":{\"a\":{\"executor\":\"constant-arrival-"
                                      "rate\",\"rate\":50,\"duration\":\"1s\","
                                      "\"preAllocatedVUs\":2,\"maxVUs\":4}}}");

    SQ_CHECK_EQ(out.exit_code, 0);
    SQ_CHECK_EQ((int)(out.iterations + out.dropped) / 2, 25);
    SQ_CHECK(out.dropped > 30, "%d dropped", (int)out.dropped);
    SQ_CHECK_EQ(f.opened, 4);
}

SQ_TEST(run_does_not_start_when_init_code_throws)
{
    struct fake f = {.iteration_ns = SQ_NS_PER_MS, .fails_to_open = 3};
    struct outcome out = run_test(&f, "{\"vus\":6,\"iterations\":6}");

    SQ_CHECK_EQ(out.exit_code, SQ_EXIT_SCRIPT);
    SQ_CHECK_EQ(f.iterations, 0);
}
