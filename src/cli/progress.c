/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "output/output.h"
#include "ui/progress.h"

struct sq_cli_progress {
    const struct sq_config *config;
    const char *script;
    struct sq_ui_display *display;
    struct sq_scenario_progress *scenarios;
    bool colour, stopped;
};

struct sq_cli_progress *sq_cli_progress_new(const struct sq_config *config, const char *script,
                                            const struct sq_flags *flags)
{
    struct sq_cli_progress *p = sq_xcalloc(1, sizeof *p);

    p->config = config;
    p->script = script;
    p->colour = sq_cli_colours(flags, STDOUT_FILENO);
    p->scenarios = sq_xcalloc(config->scenarios_count, sizeof *p->scenarios);
    p->display = sq_ui_display_new(&(struct sq_ui_options){
        .out = stdout,
        .terminal = isatty(STDOUT_FILENO),
        .colour = p->colour,
        .quiet = config->quiet,
    });
    struct sq_log_options log = sq_log_options_now();
    log.before = sq_ui_log_before;
    log.after = sq_ui_log_after;
    log.user = p->display;
    sq_log_configure(&log);
    return p;
}

void sq_cli_progress_free(struct sq_cli_progress *p)
{
    if (!p)
        return;
    struct sq_log_options log = sq_log_options_now();
    log.before = log.after = NULL;
    sq_log_configure(&log);
    sq_ui_display_free(p->display);
    free(p->scenarios);
    free(p);
}

void sq_cli_progress_banner(struct sq_cli_progress *p)
{
    if (p->config->quiet)
        return;
    struct sq_string_list shown = {sq_xcalloc(p->config->out.count, sizeof(char *)), 0};

    for (; shown.count < p->config->out.count; shown.count++)
        shown.items[shown.count] = sq_output_spec_shown(p->config->out.items[shown.count]);
    const struct sq_ui_description what = {
        .config = p->config, .script = p->script, .outputs = shown};
    char *banner = sq_ui_banner(SQUALL_VERSION, p->colour), *text = sq_ui_describe(&what);
    fputs(banner, stdout);
    fputs(text, stdout);
    fflush(stdout);
    free(banner);
    free(text);
    for (size_t i = 0; i < shown.count; i++)
        free(shown.items[i]);
    free(shown.items);
}

static struct sq_ui_view view_of(struct sq_cli_progress *p, struct sq_run *run)
{
    static const enum sq_ui_phase phases[] = {
        [SQ_PHASE_LOAD] = SQ_UI_INIT,         [SQ_PHASE_INIT] = SQ_UI_INIT,
        [SQ_PHASE_SETUP] = SQ_UI_SETUP,       [SQ_PHASE_RUNNING] = SQ_UI_RUNNING,
        [SQ_PHASE_TEARDOWN] = SQ_UI_TEARDOWN, [SQ_PHASE_ENDED] = SQ_UI_RUNNING,
    };
    const struct sq_config *c = p->config;
    int64_t now = sq_now_ns();

    for (size_t i = 0; run->schedule && i < c->scenarios_count; i++)
        p->scenarios[i] = sq_schedule_progress(run->schedule, i, now - run->executing_ns);
    return (struct sq_ui_view){
        .phase = run->paused && run->phase_done ? SQ_UI_PAUSED : phases[run->phase],
        .elapsed_ns =
            run->executing_ns ? (run->ended_ns ? run->ended_ns : now) - run->executing_ns : 0,
        .length_ns = sq_config_length_max_ns(c),
        .vus_active = atomic_load(&run->vus_active),
        .vus_initialised = (int64_t)run->vus_ready,
        .vus_planned = sq_scenarios_vus_planned(c->scenarios, c->scenarios_count),
        .vus_max = sq_scenarios_vus_max(c->scenarios, c->scenarios_count),
        .complete = atomic_load(&run->iterations_complete),
        .interrupted = atomic_load(&run->iterations_interrupted),
        .scenarios = c->scenarios,
        .progress = run->schedule ? p->scenarios : NULL,
        .scenarios_count = c->scenarios_count,
    };
}

void sq_cli_progress_tick(struct sq_cli_progress *p, struct sq_run *run)
{
    if (!p || p->stopped)
        return;
    struct sq_ui_view view = view_of(p, run);
    sq_ui_display_tick(p->display, &view, sq_now_ns());
}

void sq_cli_progress_stop(struct sq_cli_progress *p)
{
    if (p && !p->stopped)
        sq_ui_display_clear(p->display);
}

void sq_cli_progress_final(struct sq_cli_progress *p, struct sq_run *run)
{
    if (!p || p->config->quiet || p->stopped)
        return;
    struct sq_ui_view view = view_of(p, run);
    sq_ui_display_final(p->display, &view);
    p->stopped = true;
}
