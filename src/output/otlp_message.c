/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of opentelemetry.proto.metrics.v1 and its common and resource parts. */
#include "output/otlp_message.h"

#include <stdlib.h>

#include "output/protobuf.h"

enum { REQUEST_RESOURCE_METRICS = 1 };
enum { RESOURCE_METRICS_RESOURCE = 1, RESOURCE_METRICS_SCOPE_METRICS = 2 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_METRICS_SCOPE = 1, SCOPE_METRICS_METRICS = 2 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2, ANY_VALUE_STRING = 1 };
enum {
    METRIC_NAME = 1,
    METRIC_UNIT = 3,
    METRIC_GAUGE = 5,
    METRIC_SUM = 7,
    METRIC_HISTOGRAM = 9,
    METRIC_EXPONENTIAL = 10,
};
enum { DATA_POINTS = 1, DATA_TEMPORALITY = 2, DATA_MONOTONIC = 3 };
enum { CUMULATIVE = 2 };
enum { POINT_START = 2, POINT_TIME = 3 };
enum { NUMBER_DOUBLE = 4, NUMBER_INT = 6, NUMBER_ATTRIBUTES = 7 };
enum {
    HISTOGRAM_COUNT = 4,
    HISTOGRAM_SUM = 5,
    HISTOGRAM_COUNTS = 6,
    HISTOGRAM_BOUNDS = 7,
    HISTOGRAM_ATTRIBUTES = 9,
    HISTOGRAM_MIN = 11,
    HISTOGRAM_MAX = 12,
};
enum {
    EXPONENTIAL_ATTRIBUTES = 1,
    EXPONENTIAL_COUNT = 4,
    EXPONENTIAL_SUM = 5,
    EXPONENTIAL_SCALE = 6,
    EXPONENTIAL_ZEROS = 7,
    EXPONENTIAL_POSITIVE = 8,
    EXPONENTIAL_NEGATIVE = 9,
    EXPONENTIAL_MIN = 12,
    EXPONENTIAL_MAX = 13,
};
enum { BUCKETS_OFFSET = 1, BUCKETS_COUNTS = 2 };
enum { EXPONENTIAL_INDICES_MAX = 160 }; /* what OpenTelemetry's own libraries keep */

/* The default of OpenTelemetry's explicit-bucket histogram aggregation. */
const double sq_otlp_bounds[SQ_OTLP_BOUNDS] = {0,   5,   10,   25,   50,   75,   100,  250,
                                               500, 750, 1000, 2500, 5000, 7500, 10000};

static void put_attribute(struct sq_buf *to, unsigned field, struct sq_slice key,
                          struct sq_slice value)
{
    size_t attribute = sq_pb_begin(to, field);

    sq_pb_text(to, KEY_VALUE_KEY, key);
    size_t any = sq_pb_begin(to, KEY_VALUE_VALUE);
    sq_pb_text(to, ANY_VALUE_STRING, value);
    sq_pb_end(to, any);
    sq_pb_end(to, attribute);
}

static void put_tags(struct sq_buf *to, unsigned field, const struct sq_tagset *tags)
{
    size_t count = tags ? sq_tagset_count(tags) : 0;

    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair pair = sq_tagset_at(tags, i);
        if (pair.value.len)
            put_attribute(to, field, pair.key, pair.value);
    }
}

/* ---- data points ---- */

struct writer {
    struct sq_buf *to;
    const struct sq_otlp_options *options;
    int64_t now_wall_ns;
};

static size_t begin_point(const struct writer *w, const struct sq_series *series)
{
    size_t point = sq_pb_begin(w->to, DATA_POINTS);
    int64_t start = SQ_MIN(w->options->start_wall_ns, series->first_wall_ns);

    sq_pb_fixed64(w->to, POINT_START, (uint64_t)start);
    sq_pb_fixed64(w->to, POINT_TIME, (uint64_t)SQ_MAX(w->now_wall_ns, start));
    return point;
}

static void put_number(const struct writer *w, const struct sq_series *series, double value)
{
    size_t point = begin_point(w, series);

    sq_pb_double(w->to, NUMBER_DOUBLE, value);
    put_tags(w->to, NUMBER_ATTRIBUTES, series->tags);
    sq_pb_end(w->to, point);
}

static void put_condition(const struct writer *w, const struct sq_series *series,
                          const char *condition, uint64_t count)
{
    if (count == 0)
        return;
    size_t point = begin_point(w, series);
    sq_pb_fixed64(w->to, NUMBER_INT, count);
    put_tags(w->to, NUMBER_ATTRIBUTES, series->tags);
    put_attribute(w->to, NUMBER_ATTRIBUTES, sq_slice_str("condition"), sq_slice_str(condition));
    sq_pb_end(w->to, point);
}

static void put_histogram(const struct writer *w, const struct sq_series *series)
{
    struct sq_sink_stats stats = sq_sink_stats(series->sink);
    size_t point = begin_point(w, series), list;

    sq_pb_fixed64(w->to, HISTOGRAM_COUNT, stats.count);
    sq_pb_double(w->to, HISTOGRAM_SUM, stats.sum);
    list = sq_pb_begin(w->to, HISTOGRAM_COUNTS);
    for (size_t i = 0; i <= SQ_OTLP_BOUNDS; i++)
        sq_pb_put_fixed64(w->to, series->buckets[i]);
    sq_pb_end(w->to, list);
    list = sq_pb_begin(w->to, HISTOGRAM_BOUNDS);
    for (size_t i = 0; i < SQ_OTLP_BOUNDS; i++)
        sq_pb_put_double(w->to, sq_otlp_bounds[i]);
    sq_pb_end(w->to, list);
    put_tags(w->to, HISTOGRAM_ATTRIBUTES, series->tags);
    sq_pb_double(w->to, HISTOGRAM_MIN, stats.min);
    sq_pb_double(w->to, HISTOGRAM_MAX, stats.max);
    sq_pb_end(w->to, point);
}

/* Counts of all indices from the first to the last, also of empty ones. */
static void put_buckets(struct sq_buf *to, unsigned field, const struct sq_series_buckets *buckets)
{
    if (buckets->count == 0)
        return;
    size_t half = sq_pb_begin(to, field);
    sq_pb_sint(to, BUCKETS_OFFSET, buckets->items[0].index);
    size_t counts = sq_pb_begin(to, BUCKETS_COUNTS);
    int32_t index = buckets->items[0].index;
    for (size_t i = 0; i < buckets->count; i++, index++) {
        for (; index < buckets->items[i].index; index++)
            sq_pb_put_varint(to, 0);
        sq_pb_put_varint(to, buckets->items[i].count);
    }
    sq_pb_end(to, counts);
    sq_pb_end(to, half);
}

static void put_exponential(const struct writer *w, const struct sq_series *series)
{
    struct sq_sink_stats stats = sq_sink_stats(series->sink);
    struct sq_series_buckets positive, negative;
    uint64_t zeros = sq_series_buckets(series->sink, SQ_HIST_SCALE, EXPONENTIAL_INDICES_MAX,
                                       &positive, &negative);
    size_t point = begin_point(w, series);

    put_tags(w->to, EXPONENTIAL_ATTRIBUTES, series->tags);
    sq_pb_fixed64(w->to, EXPONENTIAL_COUNT, stats.count);
    sq_pb_double(w->to, EXPONENTIAL_SUM, stats.sum);
    sq_pb_sint(w->to, EXPONENTIAL_SCALE, positive.scale);
    sq_pb_fixed64(w->to, EXPONENTIAL_ZEROS, zeros);
    put_buckets(w->to, EXPONENTIAL_POSITIVE, &positive);
    put_buckets(w->to, EXPONENTIAL_NEGATIVE, &negative);
    sq_pb_double(w->to, EXPONENTIAL_MIN, stats.min);
    sq_pb_double(w->to, EXPONENTIAL_MAX, stats.max);
    sq_pb_end(w->to, point);
    free(positive.items);
    free(negative.items);
}

static void put_point(const struct writer *w, const struct sq_series *series)
{
    struct sq_sink_stats stats = sq_sink_stats(series->sink);

    switch (series->metric->type) {
    case SQ_COUNTER:
        put_number(w, series, stats.sum);
        break;
    case SQ_GAUGE:
        put_number(w, series, stats.value);
        break;
    case SQ_RATE:
        put_condition(w, series, "nonzero", stats.nonzero);
        put_condition(w, series, "zero", stats.count - stats.nonzero);
        break;
    case SQ_TREND:
        if (w->options->exponential)
            put_exponential(w, series);
        else
            put_histogram(w, series);
        break;
    }
}

/* ---- messages around them ---- */

/* As many of the series as are of the first one's metric and fit; returns how many. */
static size_t put_metric(const struct writer *w, struct sq_series *const *series, size_t count,
                         size_t bytes_max)
{
    const struct sq_metric *metric = series[0]->metric;
    const unsigned data_fields[] = {[SQ_COUNTER] = METRIC_SUM,
                                    [SQ_GAUGE] = METRIC_GAUGE,
                                    [SQ_RATE] = METRIC_SUM,
                                    [SQ_TREND] = w->options->exponential ? METRIC_EXPONENTIAL
                                                                         : METRIC_HISTOGRAM};
    bool is_sum = metric->type == SQ_COUNTER || metric->type == SQ_RATE;
    size_t message = sq_pb_begin(w->to, SCOPE_METRICS_METRICS), taken = 0;
    char *name = sq_xasprintf("%s%s%s", w->options->prefix, metric->name,
                              metric->type == SQ_RATE ? ".total" : "");

    sq_pb_text(w->to, METRIC_NAME, sq_slice_str(name));
    free(name);
    if (metric->contains != SQ_CONTAINS_DEFAULT && metric->type != SQ_RATE)
        sq_pb_text(w->to, METRIC_UNIT,
                   sq_slice_str(metric->contains == SQ_CONTAINS_TIME ? "ms" : "By"));
    size_t data = sq_pb_begin(w->to, data_fields[metric->type]);
    do
        put_point(w, series[taken++]);
    while (taken < count && series[taken]->metric == metric && w->to->len < bytes_max);
    if (metric->type != SQ_GAUGE)
        sq_pb_uint(w->to, DATA_TEMPORALITY, CUMULATIVE);
    if (is_sum)
        sq_pb_uint(w->to, DATA_MONOTONIC, 1);
    sq_pb_end(w->to, data);
    sq_pb_end(w->to, message);
    return taken;
}

size_t sq_otlp_put_request(struct sq_buf *to, const struct sq_otlp_options *options,
                           struct sq_series *const *series, size_t count, int64_t now_wall_ns,
                           size_t bytes_max)
{
    const struct writer w = {to, options, now_wall_ns};
    size_t resource_metrics = sq_pb_begin(to, REQUEST_RESOURCE_METRICS), taken = 0;
    size_t resource = sq_pb_begin(to, RESOURCE_METRICS_RESOURCE);

    put_attribute(to, RESOURCE_ATTRIBUTES, sq_slice_str("service.name"),
                  sq_slice_str(options->service_name));
    put_attribute(to, RESOURCE_ATTRIBUTES, sq_slice_str("service.version"),
                  sq_slice_str(options->service_version));
    sq_pb_end(to, resource);
    size_t scope_metrics = sq_pb_begin(to, RESOURCE_METRICS_SCOPE_METRICS);
    size_t scope = sq_pb_begin(to, SCOPE_METRICS_SCOPE);
    sq_pb_text(to, SCOPE_NAME, sq_slice_str("squall"));
    sq_pb_text(to, SCOPE_VERSION, sq_slice_str(SQUALL_VERSION));
    sq_pb_end(to, scope);
    while (taken < count && (taken == 0 || to->len < bytes_max))
        taken += put_metric(&w, series + taken, count - taken, bytes_max);
    sq_pb_end(to, scope_metrics);
    sq_pb_end(to, resource_metrics);
    return taken;
}
