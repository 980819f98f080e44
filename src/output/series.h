/* SPDX-License-Identifier: Apache-2.0 */
/* Samples added up per time series (a metric with a tag set) from the start of the run, for outputs
 * that send totals (MET-84). The output's thread. */
#pragma once
#include "metrics/metrics.h"
#include "metrics/sink.h"

struct sq_series {
    struct sq_series *next; /* of all, oldest first */
    const struct sq_metric *metric;
    struct sq_tagset *tags; /* a reference; may be NULL */
    struct sq_sink *sink;
    uint64_t *buckets; /* with explicit bounds: counts, one more than bounds */
    int64_t first_wall_ns, last_wall_ns;
    int64_t sent_ms; /* the newest time stamp that the receiver has; 0: none */
    bool changed;    /* since the receiver got it */
};

struct sq_series_options {
    bool seconds;         /* trends of kind time are added up in seconds, not ms */
    const double *bounds; /* explicit buckets for trends; borrowed; NULL: none */
    size_t bounds_count;
};

struct sq_series_map {
    struct sq_registry *registry; /* borrowed */
    struct sq_series_options options;
    struct sq_series *first, **last;
    struct sq_series **slots; /* open addressing, a power of two of them */
    size_t slots_count, count;
};

void sq_series_map_init(struct sq_series_map *map, struct sq_registry *registry,
                        const struct sq_series_options *options);
void sq_series_map_deinit(struct sq_series_map *map);
void sq_series_map_add(struct sq_series_map *map, const struct sq_sample_batch *batch);

/* The filled buckets of one sign of a trend, coarsened: in bucket i are absolute values v with
 * 2^(i / 2^scale) < v <= 2^((i + 1) / 2^scale). */
struct sq_series_bucket {
    int32_t index;
    uint64_t count;
};
struct sq_series_buckets {
    struct sq_series_bucket *items; /* rising; owned: free */
    size_t count;
    int32_t scale;
};
/* scale: at most SQ_HIST_SCALE. indices_max > 0: coarser still until both halves span at most so
 * many indices. Returns the number of zeros. */
uint64_t sq_series_buckets(const struct sq_sink *sink, int32_t scale, int32_t indices_max,
                           struct sq_series_buckets *positive, struct sq_series_buckets *negative);
