/* SPDX-License-Identifier: Apache-2.0 */
/* squall run: the life cycle of a test from the command line (engine specification 3). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/load.h"
#include "cli/progress.h"
#include "cli/rest.h"
#include "metrics/threshold.h"
#include "output/output.h"
#include "report/report.h"

enum { OUTPUTS_CLOSE_NS_MAX = 10 * SQ_NS_PER_S };

/* ---- hooks of the run ---- */

static void on_samples(void *user, struct sq_sample_batch *batch)
{
    struct sq_cli_test *t = user;

    sq_outputs_push(t->outputs, batch);
}

static bool on_evaluate(void *user, struct sq_run *run)
{
    struct sq_cli_test *t = user;

    return sq_thresholds_eval(t->thresholds, run->totals, sq_run_elapsed_ns(run), false).abort;
}

static void on_tick(void *user, struct sq_run *run)
{
    struct sq_cli_test *t = user;

    sq_cli_progress_tick(t->progress, run);
}

static void on_dying(void *user)
{
    struct sq_cli_test *t = user;

    sq_cli_progress_stop(t->progress);
    sq_outputs_close(t->outputs, sq_now_ns() + SQ_NS_PER_S);
}

/* ---- before the run ---- */

static int prepare_thresholds(struct sq_cli_test *t, struct sq_error *err)
{
    const struct sq_config *c = &t->config;
    struct sq_threshold_spec *specs = sq_xcalloc(c->thresholds_count, sizeof *specs);
    size_t count = 0;
    int rc = 0;

    for (size_t i = 0; i < c->thresholds_count && rc >= 0; i++) {
        const struct sq_threshold_source *source = &c->thresholds[i];
        if (source->expression)
            specs[count++] =
                (struct sq_threshold_spec){source->metric, source->expression,
                                           source->abort_on_fail, source->delay_abort_eval_ns};
        else if (strchr(source->metric, '{')) /* an empty list: only tracked and shown */
            rc = sq_registry_add_submetric(t->run.registry, source->metric, err);
    }
    if (rc >= 0)
        rc =
            sq_thresholds_new(t->run.registry, specs, count, c->no_thresholds, &t->thresholds, err);
    free(specs);
    return sq_cli_fail(t, rc, SQ_EXIT_CONFIG);
}

/* Before the run starts, so that a port in use is told at once (ENG-210). */
static int start_rest(struct sq_cli_test *t, struct sq_error *err)
{
    const char *address = t->config.address;

    t->run.paused = t->config.paused;
    if (address && *address)
        return sq_cli_fail(t, sq_rest_start(t, address, err), SQ_EXIT_ADDRESS);
    if (t->run.paused)
        sq_log(SQ_LOG_WARN, "run",
               "--paused without --address: nothing can resume the test, only a signal ends it");
    return 0;
}

static int prepare(struct sq_cli_test *t, struct sq_error *err)
{
    struct sq_config *c = &t->config;
    int exit_code;

    sq_js_list_exports(&t->run, &c->exports);
    int rc = sq_config_derive(c, err);

    if (rc < 0)
        return sq_cli_fail(t, rc, sq_config_exit_code(c));
    for (size_t i = 0; i < c->warnings.count; i++)
        sq_log(SQ_LOG_WARN, "options", "%s", c->warnings.items[i]);
    sq_config_log_sources(c);
    if ((rc = sq_js_check_exports(&t->run, &exit_code, err)) < 0)
        return sq_cli_fail(t, rc, exit_code);
    if ((rc = sq_cli_net_options(c, &t->bundle->net_options, err)) < 0)
        return sq_cli_fail(t, rc, SQ_EXIT_CONFIG);
    if ((rc = prepare_thresholds(t, err)) < 0)
        return rc;
    if (c->summary_mode == SQ_SUMMARY_FULL)
        sq_registry_break_down(t->run.registry);
    if (c->user_agent)
        t->bundle->user_agent = c->user_agent;
    if (c->isolation && strcmp(c->isolation, "vu") == 0)
        t->bundle->cell_vus_max = 1;
    t->bundle->options_json = sq_config_json(c);
    t->bundle->test_options_json = sq_config_json_test_options(c);
    if (c->console_output && !(t->bundle->console = fopen(c->console_output, "ae")))
        return sq_cli_fail(t,
                           sq_error_set(err, -errno, "--console-output: cannot open '%s': %s",
                                        c->console_output, strerror(errno)),
                           SQ_EXIT_OTHER);
    const struct sq_output_env env = {
        .registry = t->run.registry, .thresholds = t->thresholds, .config = c};
    if (c->out.count &&
        (rc = sq_outputs_open(c->out.items, c->out.count, &env, &t->outputs, err)) < 0)
        return sq_cli_fail(t, rc, SQ_EXIT_OTHER);
    sq_cli_raise_descriptors(sq_scenarios_vus_max(c->scenarios, c->scenarios_count));
    t->run.hooks = (struct sq_run_hooks){
        .user = t,
        .tick = c->quiet ? NULL : on_tick,
        .samples = t->outputs ? on_samples : NULL,
        .evaluate = c->thresholds_count && !c->no_thresholds ? on_evaluate : NULL,
        .dying = on_dying,
    };
    sq_run_prepare(&t->run);
    return start_rest(t, err);
}

/* ---- the run ---- */

static void report_phase(struct sq_cli_test *t, int rc, const struct sq_error *err,
                         int timeout_code)
{
    if (rc >= 0 || rc == SQ_ECANCELLED)
        return;
    sq_log(SQ_LOG_ERROR, "run", "%s", err->text);
    sq_run_stop(&t->run,
                rc == -ETIMEDOUT    ? timeout_code
                : rc == SQ_EINVALID ? SQ_EXIT_OTHER
                                    : SQ_EXIT_SCRIPT,
                NULL);
}

/* Paused time is not test time (ENG-217). */
static void wait_while_paused(struct sq_cli_test *t)
{
    while (t->run.paused && !t->run.stopping)
        sq_rest_wait(t);
}

static void run_test(struct sq_cli_test *t)
{
    struct sq_run *run = &t->run;
    struct sq_error err = {0};
    int rc = sq_run_start_workers(run, &err);

    if (rc < 0) {
        if (run->exit_code == SQ_EXIT_OK)
            sq_run_stop(run, SQ_EXIT_OTHER, err.text);
        return;
    }
    wait_while_paused(t);
    if (run->stopping)
        return;
    sq_run_enter(run, SQ_PHASE_SETUP);
    run->started_ns = sq_now_ns();
    run->started_wall_ns = sq_wall_ns();
    rc = sq_js_setup(run, &err);
    report_phase(t, rc, &err, SQ_EXIT_SETUP_TIMEOUT);
    if (rc == 0 && !run->stopping) {
        sq_run_execute(run);
        sq_run_enter(run, SQ_PHASE_TEARDOWN);
        err = (struct sq_error){0};
        rc = sq_js_teardown(run, &err);
        report_phase(t, rc, &err, SQ_EXIT_TEARDOWN_TIMEOUT);
    }
    run->ended_ns = sq_now_ns();
    sq_run_enter(run, SQ_PHASE_ENDED);
}

/* ---- after the run ---- */

static void write_file(const char *name, const void *data, size_t len)
{
    bool standard_out = strcmp(name, "stdout") == 0, standard_error = strcmp(name, "stderr") == 0;
    FILE *file = standard_out ? stdout : standard_error ? stderr : fopen(name, "we");

    if (!file) {
        sq_log(SQ_LOG_ERROR, "summary", "cannot write '%s': %s", name, strerror(errno));
        return;
    }
    /* The load is over: results wait for who reads them. */
    if (standard_out || standard_error)
        sq_log_flush(file, INT64_MAX);
    bool ok = fwrite(data, 1, len, file) == len && fflush(file) == 0;
    if (!standard_out && !standard_error)
        ok = fclose(file) == 0 && ok;
    if (!ok)
        sq_log(SQ_LOG_ERROR, "summary", "cannot write all of '%s': %s", name, strerror(errno));
}

static void write_summary(struct sq_cli_test *t)
{
    const struct sq_config *c = &t->config;
    struct sq_js_summary_file *files;
    const struct sq_js_file *source = sq_js_find_source(t->bundle, t->main_name);
    size_t count;

    if (c->summary_mode == SQ_SUMMARY_DISABLED)
        return;
    const struct sq_report_input in = {
        .registry = t->run.registry,
        .totals = t->run.totals,
        .thresholds = t->thresholds,
        .checks = t->run.checks,
        .run_ns = sq_run_elapsed_ns(&t->run),
        .trend_stats = c->summary_trend_stats.items,
        .trend_stats_count = c->summary_trend_stats.count,
        .time_unit = c->summary_time_unit,
        .mode = c->summary_mode,
        .colour = sq_cli_colours(t->flags, STDOUT_FILENO),
        .no_color = c->no_color,
        .stdout_tty = isatty(STDOUT_FILENO),
        .stderr_tty = isatty(STDERR_FILENO),
        .setup_data = t->bundle->setup_data,
        .script = source ? (const char *)source->bytes.data : NULL,
        .ws_sessions_cut = t->run.sessions_cut,
        .k6_version = "2.2.0",
        .wall_ns = sq_wall_ns(),
    };
    char *data = c->machine_readable_summary ? sq_report_machine(&in) : sq_report_data(&in);
    sq_js_handle_summary(&t->run, data, &files, &count);
    free(data);
    for (size_t i = 0; i < count; i++)
        write_file(files[i].name, files[i].content.data, files[i].content.len);
    if (!files) {
        char *text = sq_report_text(&in);
        write_file("stdout", text, strlen(text));
        free(text);
    }
    sq_js_summary_free(files, count);
    if (c->summary_export) {
        char *json = c->machine_readable_summary ? sq_report_machine(&in) : sq_report_export(&in);
        write_file(c->summary_export, json, strlen(json));
        free(json);
    }
}

static void judge_thresholds(struct sq_cli_test *t)
{
    struct sq_run *run = &t->run;

    if (t->config.no_thresholds)
        return;
    struct sq_thresholds_result result =
        sq_thresholds_eval(t->thresholds, run->totals, sq_run_elapsed_ns(run), true);
    if (!result.failed)
        return;
    char *names = sq_thresholds_failed_names(t->thresholds);
    sq_log(SQ_LOG_ERROR, "thresholds", "thresholds on metrics '%s' have been crossed", names);
    free(names);
    if (run->exit_code == SQ_EXIT_OK)
        run->exit_code = SQ_EXIT_THRESHOLDS;
}

static void finish(struct sq_cli_test *t)
{
    struct sq_run *run = &t->run;

    sq_run_finish_workers(run);
    sq_cli_progress_stop(t->progress);
    sq_outputs_close(t->outputs, sq_now_ns() + OUTPUTS_CLOSE_NS_MAX);
    t->outputs = NULL;
    judge_thresholds(t);
    if (run->started_ns && !atomic_load(&run->iterations_complete) && run->exit_code == SQ_EXIT_OK)
        sq_log(
            SQ_LOG_WARN, "run",
            "no script iteration finished: the test may be too short, or its iterations too long");
    if (run->started_ns)
        write_summary(t);
    if (run->started_ns)
        sq_cli_progress_final(t->progress, run);
    if (run->exit_reason)
        sq_log(SQ_LOG_ERROR, "run", "%s", run->exit_reason);
    if (run->exit_code == SQ_EXIT_OK && atomic_load(&run->marked_failed))
        run->exit_code = SQ_EXIT_MARKED_FAILED;
    t->exit_code = run->exit_code;
}

/* ENG-204: the process and its REST API stay until a signal comes; a signal before was enough. */
static void linger(struct sq_cli_test *t)
{
    struct sq_run *run = &t->run;

    if (!t->config.linger || run->signals)
        return;
    fflush(NULL);
    sq_log(SQ_LOG_INFO, "run", "lingering: press ^C to end");
    run->lingering = true;
    while (run->lingering)
        sq_rest_wait(t);
}

int sq_cli_run(int argc, char **argv)
{
    struct sq_cli_test t;
    struct sq_error err = {0};

    sq_cli_test_init(&t);
    int rc = sq_cli_test_open(&t, argc, argv, NULL, &err);
    if (rc == 0 && sq_flags_help(t.flags)) {
        sq_cli_print_help("run");
    } else if (rc == 0 && (rc = prepare(&t, &err)) == 0) {
        t.progress = sq_cli_progress_new(&t.config, t.path, t.flags);
        sq_cli_progress_banner(t.progress);
        sq_log_queue_start();
        run_test(&t);
        finish(&t);
        linger(&t);
    }
    return sq_cli_test_end(&t, rc, &err);
}
