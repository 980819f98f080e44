/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: a registry that all threads share, a shard per thread that nobody shares, and totals
 * that the main thread merges shards into. Rules MET-1 to MET-39 of the metrics specification. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "metrics/tags.h"

enum sq_metric_type { SQ_COUNTER, SQ_GAUGE, SQ_RATE, SQ_TREND };
enum sq_metric_contains { SQ_CONTAINS_DEFAULT, SQ_CONTAINS_TIME, SQ_CONTAINS_DATA };

/* Built-in metrics have fixed ids; custom ones follow from SQ_METRIC_BUILTIN_COUNT. */
enum sq_metric_id {
    SQ_M_VUS,
    SQ_M_VUS_MAX,
    SQ_M_ITERATIONS,
    SQ_M_ITERATION_DURATION,
    SQ_M_DROPPED_ITERATIONS,
    SQ_M_DATA_SENT,
    SQ_M_DATA_RECEIVED,
    SQ_M_CHECKS,
    SQ_M_GROUP_DURATION,
    SQ_M_HTTP_REQS,
    SQ_M_HTTP_REQ_DURATION,
    SQ_M_HTTP_REQ_BLOCKED,
    SQ_M_HTTP_REQ_CONNECTING,
    SQ_M_HTTP_REQ_TLS_HANDSHAKING,
    SQ_M_HTTP_REQ_SENDING,
    SQ_M_HTTP_REQ_WAITING,
    SQ_M_HTTP_REQ_RECEIVING,
    SQ_M_HTTP_REQ_FAILED,
    SQ_M_WS_SESSIONS,
    SQ_M_WS_CONNECTING,
    SQ_M_WS_SESSION_DURATION,
    SQ_M_WS_MSGS_SENT,
    SQ_M_WS_MSGS_RECEIVED,
    SQ_M_WS_PING,
    SQ_M_GRPC_REQ_DURATION,
    SQ_METRIC_BUILTIN_COUNT,
};

struct sq_metric { /* immutable once registered; lives as long as the registry */
    uint32_t id;
    const char *name;
    enum sq_metric_type type;
    enum sq_metric_contains contains;
};

/* ---- registry: any thread; a lock, so not for hot paths ---- */
struct sq_registry;
struct sq_registry *sq_registry_new(void); /* with all built-ins; owned: sq_registry_free */
void sq_registry_free(struct sq_registry *reg);
/* The same name, type and kind again gives the same metric. SQ_EINVALID with words for a bad name
 * (MET-20) or a clash. */
SQ_MUST_USE int sq_registry_add(struct sq_registry *reg, const char *name, enum sq_metric_type type,
                                enum sq_metric_contains contains, const struct sq_metric **out,
                                struct sq_error *err);
const struct sq_metric *sq_registry_find(struct sq_registry *reg, const char *name); /* or NULL */
const struct sq_metric *sq_registry_get(struct sq_registry *reg, uint32_t id);
size_t sq_registry_count(struct sq_registry *reg);

/* A sub-metric: the samples of `metric` whose tags contain all given pairs (MET-9, ENG-183).
 * `spec` is the threshold key, e.g. "http_req_duration{status:200}". All are defined before the
 * first shard is made. Returns its index, or SQ_EINVALID with words. */
struct sq_submetric {
    const struct sq_metric *metric;
    char *name;   /* "metric{as written}" */
    char *suffix; /* "as written" */
    struct sq_tag_pair *pairs;
    size_t pairs_count;
};
SQ_MUST_USE int sq_registry_add_submetric(struct sq_registry *reg, const char *spec,
                                          struct sq_error *err);
const struct sq_submetric *sq_registry_submetric(struct sq_registry *reg, size_t index);
size_t sq_registry_submetric_count(struct sq_registry *reg);
/* http_req_duration{expected_response:true} is there from the start, with index 0 (ENG-190). */

const char *sq_metric_type_name(enum sq_metric_type type);             /* "counter" */
const char *sq_metric_contains_name(enum sq_metric_contains contains); /* "default" */

/* Also aggregate per scenario and group, for --summary-mode full (ENG-243). Before the first shard.
 */
void sq_registry_break_down(struct sq_registry *reg);
bool sq_registry_broken_down(struct sq_registry *reg);

/* ---- one aggregated value ---- */
struct sq_sink; /* counter, gauge, rate or trend (histogram + first 4096 raw values) */
enum { SQ_TREND_RAW_MAX = 4096 };

struct sq_sink_stats { /* what a sink knows; fields by type */
    enum sq_metric_type type;
    uint64_t count;   /* samples */
    double sum;       /* counter: the value; trend */
    double value;     /* gauge: last */
    double min, max;  /* gauge, trend */
    uint64_t nonzero; /* rate */
};
struct sq_sink *sq_sink_new(enum sq_metric_type type); /* owned: sq_sink_free */
void sq_sink_free(struct sq_sink *sink);
void sq_sink_add(struct sq_sink *sink, int64_t wall_ns, double value);
/* Adds all of `from`. Exactly as if its samples had been added here (raw values while they fit). */
void sq_sink_merge(struct sq_sink *into, const struct sq_sink *from);
struct sq_sink_stats sq_sink_stats(const struct sq_sink *sink);
/* p in 0..100, linear interpolation (MET-4); exact while at most SQ_TREND_RAW_MAX values are there,
 * else within 0.27 %. 0 without samples. */
double sq_sink_percentile(const struct sq_sink *sink, double p);

/* ---- a sample on its way to outputs ---- */
struct sq_sample {
    uint32_t metric_id;
    struct sq_tagset *tags;     /* a reference is held until the batch is freed */
    struct sq_tagset *metadata; /* vu, iter; NULL: none */
    int64_t wall_ns;
    double value;
};
struct sq_sample_batch {
    struct sq_sample_batch *next;
    size_t count, cap;
    struct sq_sample samples[];
};
void sq_sample_batch_free(struct sq_sample_batch *batch); /* any thread; drops the references */

/* ---- shard: one thread ---- */
struct sq_shard;
/* keep_samples: also collect every sample for outputs. */
struct sq_shard *sq_shard_new(struct sq_registry *reg, bool keep_samples);
void sq_shard_free(struct sq_shard *shard);
bool sq_shard_keeps_samples(const struct sq_shard *shard);
/* No lock, no allocation once the metric's sink exists. `tags` is borrowed; metadata may be NULL.
 */
void sq_shard_add(struct sq_shard *shard, uint32_t metric_id, struct sq_tagset *tags,
                  struct sq_tagset *metadata, int64_t wall_ns, double value);
/* Takes the samples collected so far (list by ->next, oldest first); NULL: none. */
struct sq_sample_batch *sq_shard_take_samples(struct sq_shard *shard);

/* ---- totals: main thread ---- */
struct sq_totals;
struct sq_totals *sq_totals_new(struct sq_registry *reg);
void sq_totals_free(struct sq_totals *totals);
/* Adds what the shard has aggregated and empties it (buckets are kept for reuse). The shard's
 * thread must not touch it meanwhile: callers pass shards to and fro by posts. */
void sq_totals_merge(struct sq_totals *totals, struct sq_shard *shard);
const struct sq_sink *sq_totals_metric(const struct sq_totals *totals,
                                       uint32_t metric_id); /* NULL: no sample */
const struct sq_sink *sq_totals_submetric(const struct sq_totals *totals, size_t index);

/* Samples by their scenario and group tags, when the registry is broken down: one slice for each
 * pair seen, in no particular order. */
struct sq_slice_name {
    const char *scenario, *group; /* "" without the tag; "::outer::inner". Borrowed */
};
size_t sq_totals_slice_count(const struct sq_totals *totals);
struct sq_slice_name sq_totals_slice_name(const struct sq_totals *totals, size_t index);
/* NULL: no sample there. */
const struct sq_sink *sq_totals_slice_metric(const struct sq_totals *totals, size_t index,
                                             uint32_t metric_id);
