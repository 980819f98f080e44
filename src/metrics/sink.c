/* SPDX-License-Identifier: Apache-2.0 */
/* A trend keeps its values as they come until one more than SQ_TREND_RAW_MAX arrives; then all move
 * into the histogram and the raw memory waits for the next reset. */
#include "metrics/sink.h"

#include <math.h>
#include <stdlib.h>

struct sq_sink {
    enum sq_metric_type type;
    bool in_hist;
    uint64_t count;
    double sum, value, min, max;
    uint64_t nonzero;
    int64_t last_wall_ns;
    double *raw; /* SQ_TREND_RAW_MAX of them, for trends */
    struct sq_hist hist;
};

struct sq_sink *sq_sink_new(enum sq_metric_type type)
{
    struct sq_sink *sink = sq_xcalloc(1, sizeof *sink);

    sink->type = type;
    if (type == SQ_TREND) /* whole: pages that stay empty cost address space only */
        sink->raw = sq_xmalloc(SQ_TREND_RAW_MAX * sizeof *sink->raw);
    return sink;
}

void sq_sink_free(struct sq_sink *sink)
{
    if (!sink)
        return;
    sq_hist_deinit(&sink->hist);
    free(sink->raw);
    free(sink);
}

void sq_sink_reset(struct sq_sink *sink)
{
    struct sq_sink empty = {.type = sink->type, .raw = sink->raw};

    if (sink->in_hist)
        sq_hist_reset(&sink->hist);
    empty.hist = sink->hist;
    *sink = empty;
}

static void widen(struct sq_sink *sink, double low, double high)
{
    if (sink->count == 0 || low < sink->min)
        sink->min = low;
    if (sink->count == 0 || high > sink->max)
        sink->max = high;
}

static void raw_to_hist(struct sq_sink *sink)
{
    for (uint64_t i = 0; i < sink->count; i++)
        sq_hist_add(&sink->hist, sink->raw[i], 1);
    sink->in_hist = true;
}

static void add_trend(struct sq_sink *sink, double value)
{
    sink->sum += value;
    widen(sink, value, value);
    if (SQ_LIKELY(!sink->in_hist)) {
        if (SQ_LIKELY(sink->count < SQ_TREND_RAW_MAX)) {
            sink->raw[sink->count] = value;
            return;
        }
        raw_to_hist(sink);
    }
    sq_hist_add(&sink->hist, value, 1);
}

void sq_sink_add(struct sq_sink *sink, int64_t wall_ns, double value)
{
    if (SQ_UNLIKELY(isnan(value)))
        return; /* refused by Metric.add already (MET-21): one would spoil every other value */
    switch (sink->type) {
    case SQ_COUNTER:
        sink->sum += value;
        break;
    case SQ_GAUGE:
        widen(sink, value, value);
        if (sink->count == 0 || wall_ns >= sink->last_wall_ns) {
            sink->value = value;
            sink->last_wall_ns = wall_ns;
        }
        break;
    case SQ_RATE:
        sink->nonzero += value != 0;
        break;
    case SQ_TREND:
        add_trend(sink, value);
        break;
    }
    sink->count++;
}

static void merge_values(struct sq_sink *into, const struct sq_sink *from)
{
    if (!from->in_hist && !into->in_hist && into->count + from->count <= SQ_TREND_RAW_MAX) {
        memcpy(into->raw + into->count, from->raw, from->count * sizeof *from->raw);
        return;
    }
    if (!into->in_hist)
        raw_to_hist(into);
    if (from->in_hist)
        sq_hist_merge(&into->hist, &from->hist);
    else
        for (uint64_t i = 0; i < from->count; i++)
            sq_hist_add(&into->hist, from->raw[i], 1);
}

void sq_sink_merge(struct sq_sink *into, const struct sq_sink *from)
{
    sq_assert(into->type == from->type && into != from);
    if (from->count == 0)
        return;
    if (into->type == SQ_TREND)
        merge_values(into, from);
    if (into->type == SQ_TREND || into->type == SQ_GAUGE)
        widen(into, from->min, from->max);
    if (into->count == 0 || from->last_wall_ns >= into->last_wall_ns) {
        into->value = from->value;
        into->last_wall_ns = from->last_wall_ns;
    }
    into->sum += from->sum;
    into->nonzero += from->nonzero;
    into->count += from->count;
}

struct sq_sink_stats sq_sink_stats(const struct sq_sink *sink)
{
    return (struct sq_sink_stats){
        .type = sink->type,
        .count = sink->count,
        .sum = sink->sum,
        .value = sink->value,
        .min = sink->min,
        .max = sink->max,
        .nonzero = sink->nonzero,
    };
}

struct sq_sink_content sq_sink_content(const struct sq_sink *sink)
{
    struct sq_sink_content content = {.last_wall_ns = sink->last_wall_ns};

    if (sink->type == SQ_TREND && sink->in_hist) {
        content.hist = &sink->hist;
    } else if (sink->type == SQ_TREND && sink->count) {
        content.raw = sink->raw;
        content.raw_count = (size_t)sink->count;
    }
    return content;
}

static uint64_t hist_count(const struct sq_hist *hist)
{
    struct sq_hist_cursor cursor = {0};
    uint64_t count = 0;

    while (sq_hist_next(hist, &cursor))
        count += cursor.count;
    return count;
}

int sq_sink_restore(struct sq_sink *sink, const struct sq_sink_stats *stats,
                    const struct sq_sink_content *content)
{
    struct sq_sink from = {.type = stats->type,
                           .count = stats->count,
                           .sum = stats->sum,
                           .value = stats->value,
                           .min = stats->min,
                           .max = stats->max,
                           .nonzero = stats->nonzero,
                           .last_wall_ns = content->last_wall_ns};

    if (stats->type != sink->type || stats->nonzero > stats->count)
        return SQ_EINVALID;
    if (stats->type == SQ_TREND && content->hist) {
        from.in_hist = true;
        from.hist = *content->hist; /* read only */
        if (hist_count(content->hist) != stats->count)
            return SQ_EINVALID;
    } else if (stats->type == SQ_TREND) {
        from.raw = (double *)content->raw; /* read only */
        if (content->raw_count != stats->count || stats->count > SQ_TREND_RAW_MAX)
            return SQ_EINVALID;
    }
    sq_sink_merge(sink, &from);
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double raw_percentile(const struct sq_sink *sink, double index)
{
    size_t bytes = (size_t)sink->count * sizeof(double);
    size_t low = (size_t)index, high = (size_t)ceil(index);
    double *sorted = sq_xmalloc(bytes);

    memcpy(sorted, sink->raw, bytes);
    qsort(sorted, (size_t)sink->count, sizeof *sorted, compare_doubles);
    double a = sorted[low], b = sorted[high];
    free(sorted);
    return low == high ? a : a + (b - a) * (index - floor(index));
}

/* The value at a 0-based rank. */
static double hist_at(const struct sq_sink *sink, uint64_t rank)
{
    struct sq_hist_cursor cursor = {0};
    uint64_t below = 0;

    if (rank == 0)
        return sink->min;
    if (rank + 1 >= sink->count)
        return sink->max;
    while (sq_hist_next(&sink->hist, &cursor)) {
        below += cursor.count;
        if (below > rank)
            return cursor.sign * sq_hist_stands_for(&sink->hist, cursor.index);
    }
    return sink->max;
}

double sq_sink_percentile(const struct sq_sink *sink, double p)
{
    if (sink->type != SQ_TREND || sink->count == 0)
        return 0;
    p = p > 0 ? SQ_MIN(p, 100) : 0;
    double index = p / 100 * (double)(sink->count - 1), value;
    if (!sink->in_hist) {
        value = raw_percentile(sink, index);
    } else {
        double low = hist_at(sink, (uint64_t)index), high = hist_at(sink, (uint64_t)ceil(index));
        value = low == high ? low : low + (high - low) * (index - floor(index));
    }
    return value < sink->min ? sink->min : value > sink->max ? sink->max : value;
}

double sq_percentile_parse(const char *text)
{
    char *end;

    if (strncmp(text, "p(", 2) != 0 || !strchr("0123456789.", text[2]) || !text[2])
        return -1;
    double p = strtod(text + 2, &end);
    return strcmp(end, ")") == 0 && end > text + 2 && p >= 0 && p <= 100 ? p : -1;
}

bool sq_sink_trend_stat(const struct sq_sink *sink, const char *name, double *value)
{
    double p;

    if (strcmp(name, "avg") == 0)
        *value = sink->count ? sink->sum / (double)sink->count : 0;
    else if (strcmp(name, "min") == 0)
        *value = sink->min;
    else if (strcmp(name, "max") == 0)
        *value = sink->max;
    else if (strcmp(name, "med") == 0)
        *value = sq_sink_percentile(sink, 50);
    else if (strcmp(name, "count") == 0)
        *value = (double)sink->count;
    else if ((p = sq_percentile_parse(name)) >= 0)
        *value = sq_sink_percentile(sink, p);
    else
        return false;
    return true;
}
