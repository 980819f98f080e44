/* SPDX-License-Identifier: Apache-2.0 */
/* Thresholds (ENG-180 to ENG-189): expressions over metrics and sub-metrics that decide whether a
 * run passed. Main thread. */
#pragma once
#include "metrics/metrics.h"

struct sq_threshold_spec { /* borrowed during sq_thresholds_new */
    const char *metric;    /* "name" or "name{tag:value}" */
    const char *expression;
    bool abort_on_fail;
    int64_t delay_abort_eval_ns;
};

enum sq_threshold_agg {
    SQ_AGG_AVG,
    SQ_AGG_MIN,
    SQ_AGG_MAX,
    SQ_AGG_MED,
    SQ_AGG_COUNT,
    SQ_AGG_RATE,
    SQ_AGG_VALUE,
    SQ_AGG_PERCENTILE,
};
enum sq_threshold_op {
    SQ_OP_LESS_EQUAL,
    SQ_OP_LESS,
    SQ_OP_GREATER_EQUAL,
    SQ_OP_GREATER,
    SQ_OP_EQUAL,
    SQ_OP_NOT_EQUAL,
};

struct sq_threshold {
    char *key;        /* as the option wrote it */
    char *expression; /* as the option wrote it */
    char *agg_text;   /* "p(99.9)", blanks trimmed */
    const struct sq_metric *metric;
    int submetric; /* index, or -1: the metric itself */
    enum sq_threshold_agg agg;
    double percentile; /* SQ_AGG_PERCENTILE */
    enum sq_threshold_op op;
    double limit;
    bool abort_on_fail;
    int64_t delay_abort_eval_ns;
    bool failed; /* at the last evaluation */
};

/* Parses all and defines the sub-metrics they need in `reg`: after init code, before shards. In the
 * order of `specs`. Unknown metric, bad expression or filter, or an aggregation that the metric's
 * type does not have: SQ_EINVALID with words. With no_thresholds nothing is an error and nothing
 * is evaluated, but sub-metrics are tracked (ENG-188). */
struct sq_thresholds;
SQ_MUST_USE int sq_thresholds_new(struct sq_registry *reg, const struct sq_threshold_spec *specs,
                                  size_t count, bool no_thresholds, struct sq_thresholds **out,
                                  struct sq_error *err);
void sq_thresholds_free(struct sq_thresholds *thresholds);
size_t sq_thresholds_count(const struct sq_thresholds *thresholds); /* NULL is none */
const struct sq_threshold *sq_thresholds_at(const struct sq_thresholds *thresholds, size_t index);
/* Whether the metric (submetric -1) or sub-metric has a threshold: it is always shown (ENG-189). */
bool sq_thresholds_on(const struct sq_thresholds *thresholds, uint32_t metric_id, int submetric);

struct sq_thresholds_result {
    size_t failed;
    bool abort; /* periodic only: a failed one asks for the end of the run (ENG-187) */
};
/* elapsed_ns: since the test started, pauses excluded. `final`: the one after all is flushed, which
 * also judges metrics without samples (ENG-185); periodic evaluations skip them. */
struct sq_thresholds_result sq_thresholds_eval(struct sq_thresholds *thresholds,
                                               const struct sq_totals *totals, int64_t elapsed_ns,
                                               bool final);
/* Keys of the failed ones, each once, sorted, with ", " between. owned: free */
char *sq_thresholds_failed_names(const struct sq_thresholds *thresholds);

/* The sink a threshold looks at; NULL: no sample. */
const struct sq_sink *sq_threshold_sink(const struct sq_threshold *threshold,
                                        const struct sq_totals *totals);
/* What is compared; false when there is no value (a rate without samples or duration), which
 * passes. */
bool sq_threshold_value(const struct sq_threshold *threshold, const struct sq_sink *sink,
                        int64_t elapsed_ns, double *value);
