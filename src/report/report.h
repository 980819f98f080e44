/* SPDX-License-Identifier: Apache-2.0 */
/* What a run says about itself at its end: the summary text in k6's layout (ENG-240 to ENG-247),
 * the data for handleSummary (ENG-250), --summary-export (ENG-252) and the machine-readable summary
 * (ENG-253). Main thread, after the last merge and the final evaluation of thresholds. */
#pragma once
#include "engine/config.h"
#include "metrics/checks.h"
#include "metrics/metrics.h"
#include "metrics/threshold.h"

struct sq_report_input { /* all borrowed during the call */
    struct sq_registry *registry;
    const struct sq_totals *totals;
    const struct sq_thresholds *thresholds; /* evaluated; NULL: none */
    const struct sq_check_tree *checks;     /* NULL: none */
    int64_t run_ns;                         /* MET-6; pauses excluded */
    char *const *trend_stats;               /* summaryTrendStats, checked names */
    size_t trend_stats_count;
    const char *time_unit; /* summaryTimeUnit: "s", "ms", "us"; "" or NULL: as fits */
    enum sq_summary_mode mode;
    bool colour;   /* of the text */
    bool no_color; /* options.noColor as handleSummary sees it */
    bool stdout_tty, stderr_tty;
    const char *setup_data;   /* JSON; NULL: undefined */
    uint64_t ws_sessions_cut; /* sessions that the end of the run interrupted; shown when not 0 */
    const char *script;       /* source text, for the machine-readable summary; NULL: "" */
    const char *k6_version;   /* the version we stand for */
    int64_t wall_ns;          /* now */
};

/* The summary as it goes to standard output: a blank line, the text, two blank lines. Full mode
 * shows groups and scenarios if the registry was broken down. owned: free */
char *sq_report_text(const struct sq_report_input *in);
/* The text alone, without blank lines around. owned: free */
char *sq_report_body(const struct sq_report_input *in);
/* JSON for handleSummary(data). owned: free */
char *sq_report_data(const struct sq_report_input *in);
/* The file of --summary-export. owned: free */
char *sq_report_export(const struct sq_report_input *in);
/* What both of them are under --new-machine-readable-summary. owned: free */
char *sq_report_machine(const struct sq_report_input *in);
