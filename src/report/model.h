/* SPDX-License-Identifier: Apache-2.0 */
/* What every form of the summary starts from: the metrics to show and the tree of groups and
 * checks. Main thread. */
#pragma once
#include "report/report.h"

struct sq_report_metric {
    const struct sq_metric *metric;
    int submetric;              /* index, or -1: the metric itself */
    const char *name;           /* "m" or "m{a:b}" */
    const char *suffix;         /* "a:b"; NULL: the metric itself */
    const struct sq_sink *sink; /* NULL: no sample, shown for its threshold (ENG-189) */
};
/* By name, sub-metrics behind their parent. owned: free */
struct sq_report_metric *sq_report_metrics(const struct sq_report_input *in, size_t *count);

/* Counter: sum per second of the run (MET-6). */
double sq_report_rate(const struct sq_report_input *in, double sum);
struct sq_sink_stats sq_report_stats(const struct sq_report_metric *m);
/* 0 without samples. */
double sq_report_trend_stat(const struct sq_sink *sink, const char *name);

enum { SQ_REPORT_ID_LEN = 33 };
struct sq_report_check {
    char *name, *path;
    char id[SQ_REPORT_ID_LEN];
    uint64_t passes, fails;
};
struct sq_report_group {
    char *name, *path;
    char id[SQ_REPORT_ID_LEN]; /* MD5 of the path, in hex */
    struct sq_report_group **groups;
    size_t groups_count;
    struct sq_report_check *checks;
    size_t checks_count;
};
/* The root, named "": groups with checks inside and checks in order of first appearance, scenarios
 * added up. owned: sq_report_group_free */
struct sq_report_group *sq_report_groups(const struct sq_check_tree *checks);
void sq_report_group_free(struct sq_report_group *group);
/* One group without sub-groups that holds these checks, merged by name (ENG-246). owned:
 * sq_report_group_free */
struct sq_report_group *sq_report_checks_by_name(const struct sq_check *const *checks,
                                                 size_t count);
