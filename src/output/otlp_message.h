/* SPDX-License-Identifier: Apache-2.0 */
/* Series into an OTLP ExportMetricsServiceRequest, all of them cumulative (MET-91). */
#pragma once
#include "base/buf.h"
#include "output/series.h"

enum { SQ_OTLP_BOUNDS = 15 };
extern const double sq_otlp_bounds[SQ_OTLP_BOUNDS]; /* of histograms, in ms */

struct sq_otlp_options { /* texts are borrowed */
    const char *service_name, *service_version, *prefix;
    bool exponential; /* histograms with base-2 exponential buckets instead of sq_otlp_bounds */
    int64_t start_wall_ns;
};

/* The request of as many of `series` (sorted by metric) as fit about `bytes_max`, at least one.
 * Returns how many. */
size_t sq_otlp_put_request(struct sq_buf *to, const struct sq_otlp_options *options,
                           struct sq_series *const *series, size_t count, int64_t now_wall_ns,
                           size_t bytes_max);
