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
#include "cli/progress.h"
#include "js/script.h"
#include "metrics/threshold.h"
#include "output/output.h"
#include "report/report.h"

extern char **environ;

enum { OUTPUTS_CLOSE_NS_MAX = 10 * SQ_NS_PER_S };

struct test {
    struct sq_flags *flags;
    struct sq_config config;
    struct sq_run run;
    struct sq_js_bundle *bundle;
    struct sq_thresholds *thresholds;
    struct sq_outputs *outputs;
    struct sq_cli_progress *progress;
    const char *path;
    int exit_code;
    bool run_ready;
};

/* Remembers the first failure's exit code and passes the negative status on. */
static int fail(struct test *t, int rc, int exit_code)
{
    if (rc < 0 && t->exit_code == SQ_EXIT_OK)
        t->exit_code = exit_code;
    return rc;
}

/* ---- hooks of the run ---- */

static void on_samples(void *user, struct sq_sample_batch *batch)
{
    struct test *t = user;

    sq_outputs_push(t->outputs, batch);
}

static bool on_evaluate(void *user, struct sq_run *run)
{
    struct test *t = user;

    return sq_thresholds_eval(t->thresholds, run->totals, sq_run_elapsed_ns(run), false).abort;
}

static void on_tick(void *user, struct sq_run *run)
{
    struct test *t = user;

    sq_cli_progress_tick(t->progress, run);
}

static void on_dying(void *user)
{
    struct test *t = user;

    sq_cli_progress_stop(t->progress);
    sq_outputs_close(t->outputs, sq_now_ns() + SQ_NS_PER_S);
}

/* ---- before the run ---- */

static int read_arguments(struct test *t, int argc, char **argv, struct sq_error *err)
{
    char *const *args;
    int rc = sq_flags_parse("run", argc - 1, argv + 1, &t->flags, err);

    if (rc < 0 || sq_flags_help(t->flags))
        return fail(t, rc, SQ_EXIT_OTHER);
    size_t count = sq_flags_args(t->flags, &args);
    if (count != 1)
        return fail(
            t,
            sq_error_set(err, SQ_EINVALID,
                         "'run' takes exactly one script, got %zu; try 'squall run script.js'",
                         count),
            SQ_EXIT_OTHER);
    t->path = args[0];
    if (strcmp(t->path, "-") != 0 && access(t->path, R_OK) < 0)
        return fail(
            t,
            sq_error_set(err, -errno, "cannot open the script '%s': %s", t->path, strerror(errno)),
            SQ_EXIT_OTHER);
    return fail(t, sq_cli_logging(t->flags, err), SQ_EXIT_OTHER);
}

/* Everything but the script's own options: enough to run its init code. */
static int read_options(struct test *t, const char *script_json, struct sq_error *err)
{
    const char *path = sq_flags_or_env(t->flags, environ, "config");
    struct sq_config *c = &t->config;
    char *standard = NULL;
    int rc;

    sq_config_deinit(c);
    sq_config_init(c);
    if (!path) {
        const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        if (base || home)
            standard =
                sq_xasprintf("%s%s/k6/config.json", base ? base : home, base ? "" : "/.config");
    }
    rc = path || standard ? sq_config_from_file(c, path ? path : standard, path != NULL, err) : 0;
    free(standard);
    if (rc == 0 && script_json)
        rc = sq_config_from_script(c, script_json, err);
    if (rc == 0)
        rc = sq_config_from_env(c, environ, err);
    if (rc == 0)
        rc = sq_config_from_flags(c, t->flags, err);
    return fail(t, rc, rc < 0 ? sq_config_exit_code(c) : 0);
}

static void add_env(struct sq_pair_list *env, const char *key, const char *value)
{
    for (size_t i = 0; i < env->count; i++)
        if (strcmp(env->items[i].key, key) == 0) {
            free(env->items[i].value);
            env->items[i].value = sq_xstrdup(value);
            return;
        }
    env->items = sq_xrealloc(env->items, (env->count + 1) * sizeof *env->items);
    env->items[env->count++] = (struct sq_key_value){sq_xstrdup(key), sq_xstrdup(value)};
}

static void collect_env(struct test *t)
{
    struct sq_pair_list *env = &t->bundle->env;

    if (t->config.include_system_env)
        for (char **e = environ; *e; e++) {
            const char *equals = strchr(*e, '=');
            if (!equals)
                continue;
            char *key = sq_xstrndup(*e, (size_t)(equals - *e));
            add_env(env, key, equals + 1);
            free(key);
        }
    for (size_t i = 0; i < t->config.env.count; i++)
        add_env(env, t->config.env.items[i].key, t->config.env.items[i].value);
}

static int load_script(struct test *t, struct sq_error *err)
{
    char *json;
    int rc = sq_run_init(&t->run, &t->config, &sq_js_ops, t->bundle, err);

    if (rc < 0)
        return fail(t, rc, SQ_EXIT_OTHER);
    t->run_ready = true;
    if ((rc = sq_run_catch_signals(&t->run, err)) < 0)
        return fail(t, rc, SQ_EXIT_OTHER);
    collect_env(t);
    rc = sq_js_load(&t->run, t->path, &json, err);
    if (rc < 0) {
        free(json);
        return fail(t, rc,
                    t->run.exit_code    ? t->run.exit_code
                    : rc == SQ_EINVALID ? SQ_EXIT_OTHER
                                        : SQ_EXIT_SCRIPT);
    }
    rc = read_options(t, json, err);
    free(json);
    return rc;
}

static int prepare_thresholds(struct test *t, struct sq_error *err)
{
    const struct sq_config *c = &t->config;
    struct sq_threshold_spec *specs = sq_xcalloc(c->thresholds_count, sizeof *specs);
    size_t count = 0;
    int rc = 0;

    for (size_t i = 0; i < c->thresholds_count && rc >= 0; i++) {
        const struct sq_threshold_source *source = &c->thresholds[i];
        if (source->expression)
            specs[count++] =
                (struct sq_threshold_spec){source->metric, source->expression, source->abort_on_fail,
                                           source->delay_abort_eval_ns};
        else if (strchr(source->metric, '{')) /* an empty list: only tracked and shown */
            rc = sq_registry_add_submetric(t->run.registry, source->metric, err);
    }
    if (rc >= 0)
        rc = sq_thresholds_new(t->run.registry, specs, count, c->no_thresholds, &t->thresholds, err);
    free(specs);
    return fail(t, rc, SQ_EXIT_CONFIG);
}

static int prepare(struct test *t, struct sq_error *err)
{
    struct sq_config *c = &t->config;
    int exit_code;

    sq_js_list_exports(&t->run, &c->exports);
    int rc = sq_config_derive(c, err);

    if (rc < 0)
        return fail(t, rc, sq_config_exit_code(c));
    for (size_t i = 0; i < c->warnings.count; i++)
        sq_log(SQ_LOG_WARN, "options", "%s", c->warnings.items[i]);
    if ((rc = sq_js_check_exports(&t->run, &exit_code, err)) < 0)
        return fail(t, rc, exit_code);
    if ((rc = sq_cli_net_options(c, &t->bundle->net_options, err)) < 0)
        return fail(t, rc, SQ_EXIT_CONFIG);
    if ((rc = prepare_thresholds(t, err)) < 0)
        return rc;
    if (c->summary_mode == SQ_SUMMARY_FULL)
        sq_registry_break_down(t->run.registry);
    if (c->user_agent)
        t->bundle->user_agent = c->user_agent;
    if (c->isolation && strcmp(c->isolation, "vu") == 0)
        t->bundle->cell_vus_max = 1;
    t->bundle->options_json = sq_config_json(c);
    if (c->console_output && !(t->bundle->console = fopen(c->console_output, "ae")))
        return fail(t,
                    sq_error_set(err, -errno, "--console-output: cannot open '%s': %s",
                                 c->console_output, strerror(errno)),
                    SQ_EXIT_OTHER);
    const struct sq_output_env env = {.registry = t->run.registry, .thresholds = t->thresholds};
    if (c->out.count &&
        (rc = sq_outputs_open(c->out.items, c->out.count, &env, &t->outputs, err)) < 0)
        return fail(t, rc, SQ_EXIT_OTHER);
    sq_cli_raise_descriptors(sq_scenarios_vus_max(c->scenarios, c->scenarios_count));
    t->run.hooks = (struct sq_run_hooks){
        .user = t,
        .tick = c->quiet ? NULL : on_tick,
        .samples = t->outputs ? on_samples : NULL,
        .evaluate = c->thresholds_count && !c->no_thresholds ? on_evaluate : NULL,
        .dying = on_dying,
    };
    sq_run_prepare(&t->run);
    return 0;
}

/* ---- the run ---- */

static void report_phase(struct test *t, int rc, const struct sq_error *err, int timeout_code)
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

static void run_test(struct test *t)
{
    struct sq_run *run = &t->run;
    struct sq_error err = {0};
    int rc = sq_run_start_workers(run, &err);

    if (rc < 0) {
        if (run->exit_code == SQ_EXIT_OK)
            sq_run_stop(run, SQ_EXIT_OTHER, err.text);
        return;
    }
    run->phase = SQ_PHASE_SETUP;
    run->started_ns = sq_now_ns();
    run->started_wall_ns = sq_wall_ns();
    rc = sq_js_setup(run, &err);
    report_phase(t, rc, &err, SQ_EXIT_SETUP_TIMEOUT);
    if (rc == 0 && !run->stopping) {
        sq_run_execute(run);
        run->phase = SQ_PHASE_TEARDOWN;
        err = (struct sq_error){0};
        rc = sq_js_teardown(run, &err);
        report_phase(t, rc, &err, SQ_EXIT_TEARDOWN_TIMEOUT);
    }
    run->ended_ns = sq_now_ns();
    run->phase = SQ_PHASE_ENDED;
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
    bool ok = fwrite(data, 1, len, file) == len && fflush(file) == 0;
    if (!standard_out && !standard_error)
        ok = fclose(file) == 0 && ok;
    if (!ok)
        sq_log(SQ_LOG_ERROR, "summary", "cannot write all of '%s': %s", name, strerror(errno));
}

static void write_summary(struct test *t)
{
    const struct sq_config *c = &t->config;
    struct sq_js_summary_file *files;
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

static void judge_thresholds(struct test *t)
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

static void finish(struct test *t)
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
    t->exit_code = run->exit_code;
}

static void free_env(struct sq_pair_list *env)
{
    for (size_t i = 0; i < env->count; i++) {
        free(env->items[i].key);
        free(env->items[i].value);
    }
    free(env->items);
}

static void deinit(struct test *t)
{
#ifdef SQ_DEBUG
    /* In release the end of the process does this at once. */
    sq_outputs_close(t->outputs, sq_now_ns());
    sq_thresholds_free(t->thresholds);
    sq_cli_progress_free(t->progress);
    if (t->run_ready)
        sq_run_deinit(&t->run);
    sq_cli_net_options_deinit(&t->bundle->net_options);
    free_env(&t->bundle->env);
    if (t->bundle->console)
        fclose(t->bundle->console);
    sq_js_bundle_free(t->bundle);
    sq_tag_table_free(t->run.tag_table);
    sq_registry_free(t->run.registry);
    sq_config_deinit(&t->config);
    sq_flags_free(t->flags);
#else
    (void)free_env;
    if (t->outputs)
        sq_outputs_close(t->outputs, sq_now_ns());
#endif
}

static int start(struct test *t, int argc, char **argv, struct sq_error *err)
{
    int rc = read_arguments(t, argc, argv, err);

    if (rc < 0 || sq_flags_help(t->flags))
        return rc;
    if ((rc = read_options(t, NULL, err)) < 0 || (rc = load_script(t, err)) < 0)
        return rc;
    return prepare(t, err);
}

int sq_cli_run(int argc, char **argv)
{
    struct test *t = sq_xcalloc(1, sizeof *t);
    struct sq_error err = {0};

    sq_config_init(&t->config);
    sq_js_init_process();
    t->run.registry = sq_registry_new();
    t->run.tag_table = sq_tag_table_new();
    t->bundle = sq_js_bundle_new(&t->config);
    if (start(t, argc, argv, &err) < 0) {
        sq_log_line(SQ_LOG_ERROR, err.text, strlen(err.text), NULL, NULL);
    } else if (sq_flags_help(t->flags)) {
        char *text = sq_help("run");
        fputs(text, stdout);
        free(text);
    } else {
        t->progress = sq_cli_progress_new(&t->config, t->path, t->flags);
        sq_cli_progress_banner(t->progress);
        run_test(t);
        finish(t);
    }
    int exit_code = t->exit_code;
    deinit(t);
    free(t);
    fflush(NULL);
    return exit_code;
}
