/* SPDX-License-Identifier: Apache-2.0 */
/* What a sink holds, for outputs that need more than percentiles and for state files of a run that
 * another process merges. Same threading as the sink itself. */
#pragma once
#include "metrics/hist.h"
#include "metrics/metrics.h"

/* As if new; memory is kept for reuse. */
void sq_sink_reset(struct sq_sink *sink);

/* A trend is in one of two states: all values as they came (then raw is not NULL and hist is), or
 * all of them in a histogram. Neither when it is empty or not a trend. Borrowed until the next
 * change of the sink. */
struct sq_sink_content {
    const double *raw;
    size_t raw_count;
    const struct sq_hist *hist;
    int64_t last_wall_ns; /* gauge: when `value` was set */
};
struct sq_sink_content sq_sink_content(const struct sq_sink *sink);

/* Adds what another process wrote down: `stats` with the content above (hist and raw may be NULL
 * for other types). The counts must agree: SQ_EINVALID otherwise, and nothing is added. */
SQ_MUST_USE int sq_sink_restore(struct sq_sink *sink, const struct sq_sink_stats *stats,
                                const struct sq_sink_content *content);

/* The sink in which the totals keep a metric (submetric -1) or the sub-metric with that index, made
 * at need: where sq_sink_restore puts what another process measured. Main thread. */
struct sq_sink *sq_totals_sink(struct sq_totals *totals, uint32_t metric_id, int submetric);

/* One value by the name that summaries and thresholds use: avg, min, max, med, count, p(x) for
 * trends (MET-4). False: no such statistic. */
bool sq_sink_trend_stat(const struct sq_sink *sink, const char *name, double *value);
/* "p(99.9)": the number in it when 0..100, else -1. */
double sq_percentile_parse(const char *text);
