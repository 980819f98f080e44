/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus remote write 0.1.0: time series into a WriteRequest (MET-81 to MET-84). */
#pragma once
#include "base/buf.h"
#include "output/series.h"

struct sq_prom_stat {
    char *name;   /* "p(99.9)", "sum"; owned */
    char *suffix; /* "_p999"; owned */
};

struct sq_prom_options {
    struct sq_prom_stat *stats;
    size_t stats_count;
    bool native; /* trends as native histograms */
};

/* False: no such statistic. Starts from nothing or from what was parsed before. */
bool sq_prom_stats_add(struct sq_prom_options *options, struct sq_slice name);
void sq_prom_stats_clear(struct sq_prom_options *options);

/* Appends the TimeSeries of one series as of now, stamped `at_ms`. The sink holds seconds where the
 * metric is of kind time. */
void sq_prom_put(struct sq_buf *to, const struct sq_series *series,
                 const struct sq_prom_options *options, int64_t at_ms);
/* The same with stale markers for values. */
void sq_prom_put_stale(struct sq_buf *to, const struct sq_series *series,
                       const struct sq_prom_options *options, int64_t at_ms);
