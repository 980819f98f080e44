/* SPDX-License-Identifier: Apache-2.0 */
/* The summary as JSON, in its three shapes. */
#include <stdlib.h>

#include "base/clock.h"
#include "metrics/json.h"
#include "metrics/sink.h"
#include "report/model.h"

static void put(struct sq_json *json, const char *key, double value)
{
    sq_json_key(json, key);
    sq_json_number(json, value);
}

static void put_text(struct sq_json *json, const char *key, const char *text)
{
    sq_json_key(json, key);
    sq_json_text(json, text);
}

/* The values of ENG-250; `rate_key` is what the old export calls the value of a rate. */
static void put_values(struct sq_json *json, const struct sq_report_input *in,
                       const struct sq_report_metric *m, const char *rate_key)
{
    struct sq_sink_stats stats = sq_report_stats(m);

    switch (stats.type) {
    case SQ_COUNTER:
        put(json, "count", stats.sum);
        put(json, "rate", sq_report_rate(in, stats.sum));
        break;
    case SQ_GAUGE:
        put(json, "value", stats.value);
        put(json, "min", stats.min);
        put(json, "max", stats.max);
        break;
    case SQ_RATE:
        put(json, rate_key, stats.count ? (double)stats.nonzero / (double)stats.count : 0);
        put(json, "passes", (double)stats.nonzero);
        put(json, "fails", (double)(stats.count - stats.nonzero));
        break;
    case SQ_TREND:
        for (size_t i = 0; i < in->trend_stats_count; i++)
            put(json, in->trend_stats[i], sq_report_trend_stat(m->sink, in->trend_stats[i]));
        break;
    }
}

/* `old`: true means failed, and there is no object around it. */
static void put_thresholds(struct sq_json *json, const struct sq_report_input *in,
                           const struct sq_report_metric *m, bool old)
{
    if (!sq_thresholds_on(in->thresholds, m->metric->id, m->submetric))
        return;
    sq_json_key(json, "thresholds");
    sq_json_object(json);
    for (size_t i = 0; i < sq_thresholds_count(in->thresholds); i++) {
        const struct sq_threshold *t = sq_thresholds_at(in->thresholds, i);
        if (t->metric != m->metric || t->submetric != m->submetric)
            continue;
        sq_json_key(json, t->expression);
        if (old) {
            sq_json_bool(json, t->failed);
            continue;
        }
        sq_json_object(json);
        sq_json_key(json, "ok");
        sq_json_bool(json, !t->failed);
        sq_json_object_end(json);
    }
    sq_json_object_end(json);
}

static void put_check(struct sq_json *json, const struct sq_report_check *check)
{
    sq_json_object(json);
    put_text(json, "name", check->name);
    put_text(json, "path", check->path);
    put_text(json, "id", check->id);
    put(json, "passes", (double)check->passes);
    put(json, "fails", (double)check->fails);
    sq_json_object_end(json);
}

/* `old`: groups and checks are maps keyed by name, not lists. */
static void put_group(struct sq_json *json, const struct sq_report_group *group, bool old)
{
    void (*begin)(struct sq_json *) = old ? sq_json_object : sq_json_array;
    void (*end)(struct sq_json *) = old ? sq_json_object_end : sq_json_array_end;

    sq_json_object(json);
    put_text(json, "name", group->name);
    put_text(json, "path", group->path);
    put_text(json, "id", group->id);
    sq_json_key(json, "groups");
    begin(json);
    for (size_t i = 0; i < group->groups_count; i++) {
        if (old)
            sq_json_key(json, group->groups[i]->name);
        put_group(json, group->groups[i], old);
    }
    end(json);
    sq_json_key(json, "checks");
    begin(json);
    for (size_t i = 0; i < group->checks_count; i++) {
        if (old)
            sq_json_key(json, group->checks[i].name);
        put_check(json, &group->checks[i]);
    }
    end(json);
    sq_json_object_end(json);
}

static void put_root_group(struct sq_json *json, const struct sq_report_input *in, bool old)
{
    struct sq_report_group *root = sq_report_groups(in->checks);

    sq_json_key(json, "root_group");
    put_group(json, root, old);
    sq_report_group_free(root);
}

static void put_metrics(struct sq_json *json, const struct sq_report_input *in)
{
    size_t count;
    struct sq_report_metric *list = sq_report_metrics(in, &count);

    sq_json_key(json, "metrics");
    sq_json_object(json);
    for (size_t i = 0; i < count; i++) {
        sq_json_key(json, list[i].name);
        sq_json_object(json);
        put_text(json, "type", sq_metric_type_name(list[i].metric->type));
        put_text(json, "contains", sq_metric_contains_name(list[i].metric->contains));
        sq_json_key(json, "values");
        sq_json_object(json);
        put_values(json, in, &list[i], "rate");
        sq_json_object_end(json);
        put_thresholds(json, in, &list[i], false);
        sq_json_object_end(json);
    }
    sq_json_object_end(json);
    free(list);
}

static void put_old_metrics(struct sq_json *json, const struct sq_report_input *in)
{
    size_t count;
    struct sq_report_metric *list = sq_report_metrics(in, &count);

    sq_json_key(json, "metrics");
    sq_json_object(json);
    for (size_t i = 0; i < count; i++) {
        sq_json_key(json, list[i].name);
        sq_json_object(json);
        put_values(json, in, &list[i], "value");
        put_thresholds(json, in, &list[i], true);
        sq_json_object_end(json);
    }
    sq_json_object_end(json);
    free(list);
}

static void put_setup_data(struct sq_json *json, const struct sq_report_input *in)
{
    if (!in->setup_data)
        return;
    sq_json_key(json, "setup_data");
    sq_json_raw(json, in->setup_data);
}

static void put_options(struct sq_json *json, const struct sq_report_input *in)
{
    sq_json_key(json, "options");
    sq_json_object(json);
    sq_json_key(json, "summaryTrendStats");
    sq_json_array(json);
    for (size_t i = 0; i < in->trend_stats_count; i++)
        sq_json_text(json, in->trend_stats[i]);
    sq_json_array_end(json);
    put_text(json, "summaryTimeUnit", in->time_unit ? in->time_unit : "");
    sq_json_key(json, "noColor");
    sq_json_bool(json, in->no_color);
    sq_json_object_end(json);
}

static void put_state(struct sq_json *json, const struct sq_report_input *in)
{
    sq_json_key(json, "state");
    sq_json_object(json);
    sq_json_key(json, "isStdOutTTY");
    sq_json_bool(json, in->stdout_tty);
    sq_json_key(json, "isStdErrTTY");
    sq_json_bool(json, in->stderr_tty);
    put(json, "testRunDurationMs", (double)in->run_ns / SQ_NS_PER_MS);
    sq_json_object_end(json);
}

char *sq_report_data(const struct sq_report_input *in)
{
    struct sq_buf buf = {0};
    struct sq_json json;

    sq_json_init(&json, &buf, NULL);
    sq_json_object(&json);
    put_metrics(&json, in);
    put_root_group(&json, in, false);
    put_options(&json, in);
    put_state(&json, in);
    put_setup_data(&json, in);
    sq_json_object_end(&json);
    return sq_buf_steal(&buf);
}

char *sq_report_export(const struct sq_report_input *in)
{
    struct sq_buf buf = {0};
    struct sq_json json;

    sq_json_init(&json, &buf, "    ");
    sq_json_object(&json);
    put_root_group(&json, in, true);
    put_old_metrics(&json, in);
    put_setup_data(&json, in);
    sq_json_object_end(&json);
    return sq_buf_steal(&buf);
}

/* ---- the machine-readable summary ---- */

static void put_trend_stat(struct sq_json *json, const struct sq_report_input *in,
                           const struct sq_sink *sink, const char *key, const char *stat)
{
    bool wanted = false;

    for (size_t i = 0; i < in->trend_stats_count; i++)
        wanted |= strcmp(in->trend_stats[i], stat) == 0;
    sq_json_key(json, key);
    if (wanted)
        sq_json_number(json, sq_report_trend_stat(sink, stat));
    else
        sq_json_null(json);
}

static void put_matches(struct sq_json *json, uint64_t matches, uint64_t total)
{
    put(json, "matches", (double)matches);
    put(json, "total", (double)total);
    put(json, "rate", total ? (double)matches / (double)total : 0);
}

static void put_machine_head(struct sq_json *json, const char *name, enum sq_metric_type type,
                             enum sq_metric_contains contains)
{
    sq_json_object(json);
    put_text(json, "name", name);
    put_text(json, "type", sq_metric_type_name(type));
    put_text(json, "contains", sq_metric_contains_name(contains));
    sq_json_key(json, "values");
    sq_json_object(json);
}

static void put_machine_metric(struct sq_json *json, const struct sq_report_input *in,
                               const struct sq_report_metric *m)
{
    struct sq_sink_stats stats = sq_report_stats(m);

    put_machine_head(json, m->name, m->metric->type, m->metric->contains);
    switch (stats.type) {
    case SQ_COUNTER:
        put(json, "count", stats.sum);
        break;
    case SQ_GAUGE:
        put(json, "min", stats.min);
        put(json, "max", stats.max);
        put(json, "value", stats.value);
        break;
    case SQ_RATE:
        put_matches(json, stats.nonzero, stats.count);
        break;
    case SQ_TREND:
        put_trend_stat(json, in, m->sink, "avg", "avg");
        put_trend_stat(json, in, m->sink, "min", "min");
        put_trend_stat(json, in, m->sink, "med", "med");
        put_trend_stat(json, in, m->sink, "max", "max");
        put_trend_stat(json, in, m->sink, "p90", "p(90)");
        put_trend_stat(json, in, m->sink, "p95", "p(95)");
        break;
    }
    sq_json_object_end(json);
    sq_json_object_end(json);
}

static void put_machine_checks(struct sq_json *json, const struct sq_report_input *in)
{
    size_t count;
    const struct sq_check **list = sq_checks_list(in->checks, &count);
    struct sq_report_group *merged = sq_report_checks_by_name(list, count);
    uint64_t passes = 0, fails = 0;

    free(list);
    for (size_t i = 0; i < merged->checks_count; i++) {
        passes += merged->checks[i].passes;
        fails += merged->checks[i].fails;
    }
    sq_json_key(json, "checks");
    sq_json_object(json);
    sq_json_key(json, "metrics");
    sq_json_array(json);
    put_machine_head(json, "checks_total", SQ_COUNTER, SQ_CONTAINS_DEFAULT);
    put(json, "count", (double)(passes + fails));
    sq_json_object_end(json);
    sq_json_object_end(json);
    put_machine_head(json, "checks_failed", SQ_RATE, SQ_CONTAINS_DEFAULT);
    put_matches(json, fails, passes + fails);
    sq_json_object_end(json);
    sq_json_object_end(json);
    put_machine_head(json, "checks_succeeded", SQ_RATE, SQ_CONTAINS_DEFAULT);
    put_matches(json, passes, passes + fails);
    sq_json_object_end(json);
    sq_json_object_end(json);
    sq_json_array_end(json);
    sq_json_key(json, "results");
    sq_json_array(json);
    for (size_t i = 0; i < merged->checks_count; i++) {
        sq_json_object(json);
        put_text(json, "name", merged->checks[i].name);
        put(json, "passes", (double)merged->checks[i].passes);
        put(json, "fails", (double)merged->checks[i].fails);
        sq_json_object_end(json);
    }
    sq_json_array_end(json);
    sq_json_object_end(json);
    sq_report_group_free(merged);
}

static void put_machine_results(struct sq_json *json, const struct sq_report_input *in)
{
    size_t count;
    struct sq_report_metric *list = sq_report_metrics(in, &count);

    sq_json_key(json, "results");
    sq_json_object(json);
    put_machine_checks(json, in);
    sq_json_key(json, "metrics");
    sq_json_array(json);
    for (size_t i = 0; i < count; i++)
        put_machine_metric(json, in, &list[i]);
    sq_json_array_end(json);
    sq_json_object_end(json);
    free(list);
}

char *sq_report_machine(const struct sq_report_input *in)
{
    struct sq_buf buf = {0};
    struct sq_json json;
    char when[40];

    sq_wall_format(in->wall_ns, when);
    sq_json_init(&json, &buf, "    ");
    sq_json_object(&json);
    put_text(&json, "version", "1.0.0");
    sq_json_key(&json, "metadata");
    sq_json_object(&json);
    put_text(&json, "generated_at", when);
    put_text(&json, "k6_version", in->k6_version ? in->k6_version : "");
    sq_json_object_end(&json);
    sq_json_key(&json, "config");
    sq_json_object(&json);
    put(&json, "duration", (double)in->run_ns / SQ_NS_PER_S);
    put_text(&json, "execution", "local");
    put_text(&json, "script", in->script ? in->script : "");
    sq_json_object_end(&json);
    put_machine_results(&json, in);
    sq_json_object_end(&json);
    return sq_buf_steal(&buf);
}
