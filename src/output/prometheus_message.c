/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of prometheus.WriteRequest and the messages in it (prompb). */
#include "output/prometheus_message.h"

#include <stdlib.h>

#include "output/protobuf.h"

enum { REQUEST_SERIES = 1 };
enum { SERIES_LABELS = 1, SERIES_SAMPLES = 2, SERIES_HISTOGRAMS = 4 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SAMPLE_VALUE = 1, SAMPLE_TIMESTAMP = 2 };
enum {
    HISTOGRAM_COUNT = 1,
    HISTOGRAM_SUM = 3,
    HISTOGRAM_SCHEMA = 4,
    HISTOGRAM_ZERO_THRESHOLD = 5,
    HISTOGRAM_ZERO_COUNT = 6,
    HISTOGRAM_NEGATIVE_SPANS = 8,
    HISTOGRAM_NEGATIVE_DELTAS = 9,
    HISTOGRAM_POSITIVE_SPANS = 11,
    HISTOGRAM_POSITIVE_DELTAS = 12,
    HISTOGRAM_TIMESTAMP = 15,
};
enum { SPAN_OFFSET = 1, SPAN_LENGTH = 2 };
enum { LABELS_MAX = 256 };

/* The widest of Prometheus's schemas that grows by at most 1.1 from bucket to bucket: 2^(1/8). */
enum { NATIVE_SCHEMA = 3 };
static const double native_zero_threshold = 0x1p-128;
static const uint64_t stale_bits = UINT64_C(0x7ff0000000000002);

/* ---- statistics ---- */

bool sq_prom_stats_add(struct sq_prom_options *options, struct sq_slice name)
{
    static const char *const plain[] = {"avg", "min", "max", "med", "count", "sum"};
    char *text = sq_xstrndup((const char *)name.data, name.len);
    bool known = sq_percentile_parse(text) >= 0;

    for (size_t i = 0; i < SQ_COUNT(plain); i++)
        known = known || strcmp(plain[i], text) == 0;
    if (!known) {
        free(text);
        return false;
    }
    char *suffix = sq_xcalloc(1, name.len + 2), *at = suffix;
    *at++ = '_';
    for (const char *c = text; *c; c++)
        if (!strchr("().", *c))
            *at++ = *c;
    options->stats =
        sq_xrealloc(options->stats, (options->stats_count + 1) * sizeof *options->stats);
    options->stats[options->stats_count++] = (struct sq_prom_stat){text, suffix};
    return true;
}

void sq_prom_stats_clear(struct sq_prom_options *options)
{
    for (size_t i = 0; i < options->stats_count; i++) {
        free(options->stats[i].name);
        free(options->stats[i].suffix);
    }
    free(options->stats);
    options->stats = NULL;
    options->stats_count = 0;
}

static double stat_value(const struct sq_sink *sink, const char *name)
{
    double value;

    if (strcmp(name, "sum") == 0)
        return sq_sink_stats(sink).sum;
    bool known = sq_sink_trend_stat(sink, name, &value);
    sq_assert(known);
    return value;
}

/* ---- labels ---- */

struct label {
    char *name; /* owned */
    struct sq_slice value;
    size_t order; /* as given: makes the sort stable */
};

/* Label names are [a-zA-Z_][a-zA-Z0-9_]*; other bytes become underscores. */
static char *label_name(struct sq_slice key)
{
    char *name = sq_xmalloc(key.len + 2);
    size_t len = 0;

    if (key.len == 0 || (key.data[0] >= '0' && key.data[0] <= '9'))
        name[len++] = '_';
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.data[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name[len++] = ok ? (char)c : '_';
    }
    name[len] = '\0';
    return name;
}

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static void put_label(struct sq_buf *to, const char *name, struct sq_slice value)
{
    size_t label = sq_pb_begin(to, SERIES_LABELS);

    sq_pb_text(to, LABEL_NAME, sq_slice_str(name));
    sq_pb_text(to, LABEL_VALUE, value);
    sq_pb_end(to, label);
}

static void put_labels(struct sq_buf *to, const struct sq_series *series, const char *suffix)
{
    struct label labels[LABELS_MAX];
    size_t tags = series->tags ? sq_tagset_count(series->tags) : 0, count = 1;
    char *name = sq_xasprintf("k6_%s%s", series->metric->name, suffix);

    labels[0] = (struct label){sq_xstrdup("__name__"), sq_slice_str(name), 0};
    for (size_t i = 0; i < tags && count < LABELS_MAX; i++) {
        struct sq_tag_pair pair = sq_tagset_at(series->tags, i);
        if (pair.value.len)
            labels[count] = (struct label){label_name(pair.key), pair.value, count};
        count += pair.value.len > 0;
    }
    qsort(labels, count, sizeof *labels, compare_labels);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(labels[i - 1].name, labels[i].name) != 0)
            put_label(to, labels[i].name, labels[i].value);
    for (size_t i = 0; i < count; i++)
        free(labels[i].name);
    free(name);
}

/* ---- values ---- */

static void put_value(struct sq_buf *to, const struct sq_series *series, const char *suffix,
                      double value, int64_t at_ms)
{
    size_t time_series = sq_pb_begin(to, REQUEST_SERIES);

    put_labels(to, series, suffix);
    size_t sample = sq_pb_begin(to, SERIES_SAMPLES);
    sq_pb_double(to, SAMPLE_VALUE, value);
    sq_pb_int(to, SAMPLE_TIMESTAMP, at_ms);
    sq_pb_end(to, sample);
    sq_pb_end(to, time_series);
}

/* Runs of neighbouring buckets, then the counts of all, each as the difference to the one before.
 * Prometheus's bucket i ends where ours begins to: its index is one higher. */
static void put_buckets(struct sq_buf *to, const struct sq_series_buckets *buckets,
                        unsigned spans_field, unsigned deltas_field)
{
    int64_t next = 0, before = 0;

    for (size_t i = 0; i < buckets->count;) {
        size_t end = i + 1;
        while (end < buckets->count &&
               buckets->items[end].index == buckets->items[end - 1].index + 1)
            end++;
        int64_t first = (int64_t)buckets->items[i].index + 1;
        size_t span = sq_pb_begin(to, spans_field);
        sq_pb_sint(to, SPAN_OFFSET, first - next);
        sq_pb_uint(to, SPAN_LENGTH, end - i);
        sq_pb_end(to, span);
        next = first + (int64_t)(end - i);
        i = end;
    }
    if (buckets->count == 0)
        return;
    size_t deltas = sq_pb_begin(to, deltas_field);
    for (size_t i = 0; i < buckets->count; i++) {
        sq_pb_put_sint(to, (int64_t)buckets->items[i].count - before);
        before = (int64_t)buckets->items[i].count;
    }
    sq_pb_end(to, deltas);
}

static const char *native_suffix(const struct sq_metric *metric)
{
    return metric->contains == SQ_CONTAINS_TIME   ? "_seconds"
           : metric->contains == SQ_CONTAINS_DATA ? "_bytes"
                                                  : "";
}

static void put_histogram(struct sq_buf *to, const struct sq_series *series, int64_t at_ms)
{
    struct sq_sink_stats stats = sq_sink_stats(series->sink);
    struct sq_series_buckets positive, negative;
    uint64_t zeros = sq_series_buckets(series->sink, NATIVE_SCHEMA, 0, &positive, &negative);
    size_t time_series = sq_pb_begin(to, REQUEST_SERIES);

    put_labels(to, series, native_suffix(series->metric));
    size_t histogram = sq_pb_begin(to, SERIES_HISTOGRAMS);
    sq_pb_uint(to, HISTOGRAM_COUNT, stats.count);
    sq_pb_double(to, HISTOGRAM_SUM, stats.sum);
    sq_pb_sint(to, HISTOGRAM_SCHEMA, NATIVE_SCHEMA);
    sq_pb_double(to, HISTOGRAM_ZERO_THRESHOLD, native_zero_threshold);
    sq_pb_uint(to, HISTOGRAM_ZERO_COUNT, zeros);
    put_buckets(to, &negative, HISTOGRAM_NEGATIVE_SPANS, HISTOGRAM_NEGATIVE_DELTAS);
    put_buckets(to, &positive, HISTOGRAM_POSITIVE_SPANS, HISTOGRAM_POSITIVE_DELTAS);
    sq_pb_int(to, HISTOGRAM_TIMESTAMP, at_ms);
    sq_pb_end(to, histogram);
    sq_pb_end(to, time_series);
    free(positive.items);
    free(negative.items);
}

void sq_prom_put(struct sq_buf *to, const struct sq_series *series,
                 const struct sq_prom_options *options, int64_t at_ms)
{
    struct sq_sink_stats stats = sq_sink_stats(series->sink);

    switch (series->metric->type) {
    case SQ_COUNTER:
        put_value(to, series, "_total", stats.sum, at_ms);
        break;
    case SQ_GAUGE:
        put_value(to, series, "", stats.value, at_ms);
        break;
    case SQ_RATE:
        put_value(to, series, "_rate",
                  stats.count ? (double)stats.nonzero / (double)stats.count : 0, at_ms);
        break;
    case SQ_TREND:
        if (options->native)
            put_histogram(to, series, at_ms);
        for (size_t i = 0; i < options->stats_count && !options->native; i++)
            put_value(to, series, options->stats[i].suffix,
                      stat_value(series->sink, options->stats[i].name), at_ms);
        break;
    }
}

/* A stale marker is a NaN with a payload of its own; a sample of it ends a histogram too. */
void sq_prom_put_stale(struct sq_buf *to, const struct sq_series *series,
                       const struct sq_prom_options *options, int64_t at_ms)
{
    static const char *const suffixes[] = {
        [SQ_COUNTER] = "_total", [SQ_GAUGE] = "", [SQ_RATE] = "_rate"};
    enum sq_metric_type type = series->metric->type;
    double stale;

    memcpy(&stale, &stale_bits, sizeof stale);
    if (type != SQ_TREND)
        put_value(to, series, suffixes[type], stale, at_ms);
    else if (options->native)
        put_value(to, series, native_suffix(series->metric), stale, at_ms);
    for (size_t i = 0; type == SQ_TREND && i < options->stats_count && !options->native; i++)
        put_value(to, series, options->stats[i].suffix, stale, at_ms);
}
