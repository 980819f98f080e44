/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/threshold.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "metrics/sink.h"

struct sq_thresholds {
    struct sq_threshold *items;
    size_t count;
};

static const char *const agg_names[] = {
    [SQ_AGG_AVG] = "avg",     [SQ_AGG_MIN] = "min",     [SQ_AGG_MAX] = "max",
    [SQ_AGG_MED] = "med",     [SQ_AGG_COUNT] = "count", [SQ_AGG_RATE] = "rate",
    [SQ_AGG_VALUE] = "value",
};

/* In the order in which they are looked for (ENG-181). */
static const struct {
    const char *text;
    enum sq_threshold_op op;
} ops[] = {
    {"<=", SQ_OP_LESS_EQUAL}, {"<", SQ_OP_LESS},    {">=", SQ_OP_GREATER_EQUAL},
    {">", SQ_OP_GREATER},     {"===", SQ_OP_EQUAL}, {"==", SQ_OP_EQUAL},
    {"!=", SQ_OP_NOT_EQUAL},
};

static char *trimmed(const char *text, size_t len)
{
    struct sq_slice s = sq_slice_trim(sq_slice(text, len));

    return sq_xstrndup((const char *)s.data, s.len);
}

static bool parse_agg(struct sq_threshold *t)
{
    for (size_t i = 0; i < SQ_COUNT(agg_names); i++)
        if (strcmp(t->agg_text, agg_names[i]) == 0) {
            t->agg = (enum sq_threshold_agg)i;
            return true;
        }
    t->agg = SQ_AGG_PERCENTILE;
    t->percentile = sq_percentile_parse(t->agg_text);
    return t->percentile >= 0;
}

/* Where the operator is; NULL: there is none with something behind it. */
static const char *find_op(const char *expression, size_t *len, enum sq_threshold_op *op)
{
    for (size_t i = 0; i < SQ_COUNT(ops); i++) {
        const char *at = strstr(expression, ops[i].text);
        *len = strlen(ops[i].text);
        *op = ops[i].op;
        if (at && at[*len])
            return at;
    }
    return NULL;
}

static bool parse_number(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end > text && *end == '\0' && !isnan(*value);
}

static int parse_expression(struct sq_threshold *t, struct sq_error *err)
{
    size_t op_len;
    const char *op = find_op(t->expression, &op_len, &t->op);

    if (!op)
        return sq_error_set(err, SQ_EINVALID,
                            "threshold '%s' on '%s': no comparison; write it like 'p(95)<200'",
                            t->expression, t->key);
    t->agg_text = trimmed(t->expression, (size_t)(op - t->expression));
    char *number = trimmed(op + op_len, strlen(op + op_len));
    int rc = 0;
    if (!parse_agg(t))
        rc = sq_error_set(err, SQ_EINVALID,
                          "threshold '%s' on '%s': '%s' is none of avg, min, max, med, count, "
                          "rate, value and p(0) to p(100)",
                          t->expression, t->key, t->agg_text);
    else if (!parse_number(number, &t->limit))
        rc = sq_error_set(err, SQ_EINVALID, "threshold '%s' on '%s': '%s' is not a plain number",
                          t->expression, t->key, number);
    free(number);
    return rc;
}

static bool type_has_agg(enum sq_metric_type type, enum sq_threshold_agg agg)
{
    switch (type) {
    case SQ_COUNTER:
        return agg == SQ_AGG_COUNT || agg == SQ_AGG_RATE;
    case SQ_GAUGE:
        return agg == SQ_AGG_VALUE;
    case SQ_RATE:
        return agg == SQ_AGG_RATE;
    case SQ_TREND:
        return agg != SQ_AGG_COUNT && agg != SQ_AGG_RATE && agg != SQ_AGG_VALUE;
    }
    return false;
}

static const char *type_aggs(enum sq_metric_type type)
{
    static const char *const texts[] = {"count and rate", "value", "rate",
                                        "avg, min, max, med and p(x)"};

    return texts[type];
}

static int unknown_metric(const struct sq_threshold *t, struct sq_registry *reg,
                          struct sq_error *err)
{
    size_t count = sq_registry_count(reg);
    const char **names = sq_xcalloc(count, sizeof *names);

    for (size_t i = 0; i < count; i++)
        names[i] = sq_registry_get(reg, (uint32_t)i)->name;
    const char *near = sq_text_nearest(t->key, names, count);
    int rc = sq_error_set(err, SQ_EINVALID, "threshold '%s': there is no metric '%s'%s%s%s",
                          t->expression, t->key, near ? ", did you mean '" : "", near ? near : "",
                          near ? "'?" : "");
    free(names);
    return rc;
}

static void warn_of_metadata(const struct sq_threshold *t, const struct sq_submetric *sub)
{
    for (size_t i = 0; i < sub->pairs_count; i++)
        if (sq_slice_eq(sub->pairs[i].key, sq_slice_str("vu")) ||
            sq_slice_eq(sub->pairs[i].key, sq_slice_str("iter")))
            sq_log(SQ_LOG_WARN, "thresholds",
                   "threshold on '%s': '%s' is metadata, not a tag, and never matches", t->key,
                   (const char *)sub->pairs[i].key.data);
}

static int find_metric(struct sq_threshold *t, struct sq_registry *reg, struct sq_error *err)
{
    t->submetric = -1;
    if (!strpbrk(t->key, "{}")) {
        t->metric = sq_registry_find(reg, t->key);
        return t->metric ? 0 : unknown_metric(t, reg, err);
    }
    int index = sq_registry_add_submetric(reg, t->key, err);
    if (index < 0) {
        sq_error_prefix(err, "threshold '%s'", t->expression);
        return index;
    }
    t->submetric = index;
    t->metric = sq_registry_submetric(reg, (size_t)index)->metric;
    warn_of_metadata(t, sq_registry_submetric(reg, (size_t)index));
    return 0;
}

static int threshold_init(struct sq_threshold *t, const struct sq_threshold_spec *spec,
                          struct sq_registry *reg, struct sq_error *err)
{
    t->key = sq_xstrdup(spec->metric);
    t->expression = sq_xstrdup(spec->expression);
    t->abort_on_fail = spec->abort_on_fail;
    t->delay_abort_eval_ns = spec->delay_abort_eval_ns;
    int rc = parse_expression(t, err);
    if (rc == 0)
        rc = find_metric(t, reg, err);
    if (rc == 0 && !type_has_agg(t->metric->type, t->agg))
        rc = sq_error_set(err, SQ_EINVALID, "threshold '%s' on '%s': a %s has no '%s', only %s",
                          t->expression, t->key, sq_metric_type_name(t->metric->type), t->agg_text,
                          type_aggs(t->metric->type));
    return rc;
}

/* Without thresholds their sub-metrics are followed as far as they make sense. */
static void track_only(struct sq_registry *reg, const struct sq_threshold_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strpbrk(specs[i].metric, "{}") &&
            sq_registry_add_submetric(reg, specs[i].metric, NULL) < 0)
            sq_log(SQ_LOG_DEBUG, "thresholds", "'%s' is not tracked: no such metric or no filter",
                   specs[i].metric);
}

int sq_thresholds_new(struct sq_registry *reg, const struct sq_threshold_spec *specs, size_t count,
                      bool no_thresholds, struct sq_thresholds **out, struct sq_error *err)
{
    struct sq_thresholds *thresholds = sq_xcalloc(1, sizeof *thresholds);
    int rc = 0;

    *out = NULL;
    if (no_thresholds) {
        track_only(reg, specs, count);
        count = 0;
    }
    thresholds->items = sq_xcalloc(count + 1, sizeof *thresholds->items);
    for (; thresholds->count < count && rc == 0; thresholds->count++)
        rc = threshold_init(&thresholds->items[thresholds->count], &specs[thresholds->count], reg,
                            err);
    if (rc == 0) {
        *out = thresholds;
        thresholds = NULL;
    }
    sq_thresholds_free(thresholds);
    return rc;
}

void sq_thresholds_free(struct sq_thresholds *thresholds)
{
    if (!thresholds)
        return;
    for (size_t i = 0; i < thresholds->count; i++) {
        free(thresholds->items[i].key);
        free(thresholds->items[i].expression);
        free(thresholds->items[i].agg_text);
    }
    free(thresholds->items);
    free(thresholds);
}

size_t sq_thresholds_count(const struct sq_thresholds *thresholds)
{
    return thresholds ? thresholds->count : 0;
}

const struct sq_threshold *sq_thresholds_at(const struct sq_thresholds *thresholds, size_t index)
{
    sq_assert(index < thresholds->count);
    return &thresholds->items[index];
}

bool sq_thresholds_on(const struct sq_thresholds *thresholds, uint32_t metric_id, int submetric)
{
    for (size_t i = 0; i < sq_thresholds_count(thresholds); i++) {
        const struct sq_threshold *t = &thresholds->items[i];
        if (t->metric->id == metric_id && t->submetric == submetric)
            return true;
    }
    return false;
}

const struct sq_sink *sq_threshold_sink(const struct sq_threshold *threshold,
                                        const struct sq_totals *totals)
{
    return threshold->submetric < 0 ? sq_totals_metric(totals, threshold->metric->id)
                                    : sq_totals_submetric(totals, (size_t)threshold->submetric);
}

bool sq_threshold_value(const struct sq_threshold *threshold, const struct sq_sink *sink,
                        int64_t elapsed_ns, double *value)
{
    struct sq_sink_stats stats = {0};

    if (sink)
        stats = sq_sink_stats(sink);
    *value = 0;
    switch (threshold->metric->type) {
    case SQ_COUNTER:
        *value = stats.sum;
        if (threshold->agg == SQ_AGG_COUNT)
            return true;
        if (elapsed_ns <= 0)
            return false;
        *value = stats.sum / ((double)elapsed_ns / SQ_NS_PER_S);
        return true;
    case SQ_GAUGE:
        *value = stats.value;
        return true;
    case SQ_RATE:
        if (stats.count == 0)
            return false;
        *value = (double)stats.nonzero / (double)stats.count;
        return true;
    case SQ_TREND:
        if (sink && threshold->agg == SQ_AGG_PERCENTILE)
            *value = sq_sink_percentile(sink, threshold->percentile);
        else if (sink)
            sq_sink_trend_stat(sink, threshold->agg_text, value);
        return true;
    }
    return false;
}

static bool holds(enum sq_threshold_op op, double value, double limit)
{
    switch (op) {
    case SQ_OP_LESS_EQUAL:
        return value <= limit;
    case SQ_OP_LESS:
        return value < limit;
    case SQ_OP_GREATER_EQUAL:
        return value >= limit;
    case SQ_OP_GREATER:
        return value > limit;
    case SQ_OP_EQUAL:
        return value == limit;
    case SQ_OP_NOT_EQUAL:
        return value != limit;
    }
    return false;
}

struct sq_thresholds_result sq_thresholds_eval(struct sq_thresholds *thresholds,
                                               const struct sq_totals *totals, int64_t elapsed_ns,
                                               bool final)
{
    struct sq_thresholds_result result = {0};

    for (size_t i = 0; i < sq_thresholds_count(thresholds); i++) {
        struct sq_threshold *t = &thresholds->items[i];
        const struct sq_sink *sink = sq_threshold_sink(t, totals);
        double value;
        t->failed = false;
        if (!sink && !final)
            continue;
        if (!sq_threshold_value(t, sink, elapsed_ns, &value) || holds(t->op, value, t->limit))
            continue;
        t->failed = true;
        result.failed++;
        if (!final && t->abort_on_fail && elapsed_ns > t->delay_abort_eval_ns)
            result.abort = true;
    }
    return result;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *sq_thresholds_failed_names(const struct sq_thresholds *thresholds)
{
    const char **names = sq_xcalloc(sq_thresholds_count(thresholds) + 1, sizeof *names);
    struct sq_buf text = {0};
    size_t count = 0;

    for (size_t i = 0; i < sq_thresholds_count(thresholds); i++)
        if (thresholds->items[i].failed)
            names[count++] = thresholds->items[i].key;
    qsort(names, count, sizeof *names, compare_texts);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            sq_buf_printf(&text, "%s%s", text.len ? ", " : "", names[i]);
    free(names);
    return sq_buf_steal(&text);
}
