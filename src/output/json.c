/* SPDX-License-Identifier: Apache-2.0 */
/* --out json: one JSON object per line, the definition of a metric before its first sample (MET-50
 * to MET-52). */
#include "metrics/json.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "output/file.h"

struct json_output {
    struct sq_output_file *file;
    struct sq_output_env env;
    const struct sq_metric **seen; /* by id; NULL: not defined in the file yet */
    size_t seen_count;
    int64_t second;       /* that `second_text` is of */
    char second_text[40]; /* 2026-11-22T23:55:10 */
    size_t second_len;
};

static int json_open(struct sq_output *output, const char *arg, const struct sq_output_env *env,
                     void **self, struct sq_error *err)
{
    struct sq_output_file *file;
    int rc = sq_output_file_open(output, arg, &file, err);

    if (rc < 0) {
        sq_error_prefix(err, "output json");
        return rc;
    }
    struct json_output *json = sq_xmalloc(sizeof *json);
    *json = (struct json_output){.file = file, .env = *env, .second = INT64_MIN};
    *self = json;
    return 0;
}

static void put_threshold(struct sq_json *json, const struct sq_threshold *t)
{
    char delay[40];

    if (!t->abort_on_fail) {
        sq_json_text(json, t->expression);
        return;
    }
    sq_json_object(json);
    sq_json_key(json, "threshold");
    sq_json_text(json, t->expression);
    sq_json_key(json, "abortOnFail");
    sq_json_bool(json, true);
    sq_json_key(json, "delayAbortEval");
    if (t->delay_abort_eval_ns) {
        sq_duration_format(t->delay_abort_eval_ns, delay);
        sq_json_text(json, delay);
    } else {
        sq_json_null(json);
    }
    sq_json_object_end(json);
}

static void put_submetric(struct sq_json *json, const struct sq_submetric *sub)
{
    sq_json_object(json);
    sq_json_key(json, "name");
    sq_json_text(json, sub->name);
    sq_json_key(json, "suffix");
    sq_json_text(json, sub->suffix);
    sq_json_key(json, "tags");
    sq_json_object(json);
    for (size_t i = 0; i < sub->pairs_count; i++) {
        sq_json_key_slice(json, sub->pairs[i].key);
        sq_json_slice(json, sub->pairs[i].value);
    }
    sq_json_object_end(json);
    sq_json_object_end(json);
}

static void put_submetrics(struct sq_json *json, struct sq_registry *reg,
                           const struct sq_metric *metric)
{
    size_t count = sq_registry_submetric_count(reg);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        const struct sq_submetric *sub = sq_registry_submetric(reg, i);
        if (sub->metric != metric)
            continue;
        if (!any)
            sq_json_array(json);
        any = true;
        put_submetric(json, sub);
    }
    if (any)
        sq_json_array_end(json);
    else
        sq_json_null(json);
}

static void put_definition(struct json_output *output, struct sq_buf *buf,
                           const struct sq_metric *metric)
{
    struct sq_json json;

    sq_json_init(&json, buf, NULL);
    sq_json_object(&json);
    sq_json_key(&json, "type");
    sq_json_text(&json, "Metric");
    sq_json_key(&json, "data");
    sq_json_object(&json);
    sq_json_key(&json, "name");
    sq_json_text(&json, metric->name);
    sq_json_key(&json, "type");
    sq_json_text(&json, sq_metric_type_name(metric->type));
    sq_json_key(&json, "contains");
    sq_json_text(&json, sq_metric_contains_name(metric->contains));
    sq_json_key(&json, "thresholds");
    sq_json_array(&json);
    for (size_t i = 0; i < sq_thresholds_count(output->env.thresholds); i++) {
        const struct sq_threshold *t = sq_thresholds_at(output->env.thresholds, i);
        if (t->metric == metric && t->submetric < 0)
            put_threshold(&json, t);
    }
    sq_json_array_end(&json);
    sq_json_key(&json, "submetrics");
    put_submetrics(&json, output->env.registry, metric);
    sq_json_object_end(&json);
    sq_json_key(&json, "metric");
    sq_json_text(&json, metric->name);
    sq_json_object_end(&json);
    sq_buf_putc(buf, '\n');
}

/* The metric of a sample; its definition is written when this is the first one. */
static const struct sq_metric *meet(struct json_output *output, struct sq_buf *buf, uint32_t id)
{
    if (id < output->seen_count && output->seen[id])
        return output->seen[id];
    if (id >= output->seen_count) {
        size_t count = id + 64;
        output->seen = sq_xrealloc(output->seen, count * sizeof(struct sq_metric *));
        for (size_t i = output->seen_count; i < count; i++)
            output->seen[i] = NULL;
        output->seen_count = count;
    }
    output->seen[id] = sq_registry_get(output->env.registry, id);
    sq_assert(output->seen[id] != NULL);
    put_definition(output, buf, output->seen[id]);
    return output->seen[id];
}

/* As sq_wall_format, but the calendar is asked once a second only. */
static void put_time(struct json_output *output, struct sq_buf *buf, int64_t wall_ns)
{
    int64_t second = wall_ns / SQ_NS_PER_S;
    uint32_t fraction = (uint32_t)(wall_ns % SQ_NS_PER_S);
    char digits[10] = ".000000000";
    size_t len = sizeof digits;

    if (second != output->second) {
        sq_wall_format_seconds(second * SQ_NS_PER_S, output->second_text);
        output->second = second;
        output->second_len = strlen(output->second_text) - 1; /* without Z */
    }
    sq_buf_put(buf, output->second_text, output->second_len);
    if (fraction) {
        for (size_t i = sizeof digits - 1; i > 0; i--, fraction /= 10)
            digits[i] = (char)('0' + fraction % 10);
        while (digits[len - 1] == '0')
            len--;
        sq_buf_put(buf, digits, len);
    }
    sq_buf_putc(buf, 'Z');
}

static void put_tags(struct sq_buf *buf, const struct sq_tagset *set)
{
    size_t count = set ? sq_tagset_count(set) : 0;

    sq_buf_putc(buf, '{');
    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair pair = sq_tagset_at(set, i);
        if (i)
            sq_buf_putc(buf, ',');
        sq_json_put_string(buf, pair.key);
        sq_buf_putc(buf, ':');
        sq_json_put_string(buf, pair.value);
    }
    sq_buf_putc(buf, '}');
}

static void put_sample(struct json_output *output, struct sq_buf *buf,
                       const struct sq_sample *sample)
{
    const struct sq_metric *metric = meet(output, buf, sample->metric_id);

    sq_buf_puts(buf, "{\"metric\":\"");
    sq_buf_puts(buf, metric->name); /* letters, digits and underscores (MET-20) */
    sq_buf_puts(buf, "\",\"type\":\"Point\",\"data\":{\"time\":\"");
    put_time(output, buf, sample->wall_ns);
    sq_buf_puts(buf, "\",\"value\":");
    sq_json_put_number(buf, sample->value);
    sq_buf_puts(buf, ",\"tags\":");
    put_tags(buf, sample->tags);
    if (sample->metadata && sq_tagset_count(sample->metadata)) {
        sq_buf_puts(buf, ",\"metadata\":");
        put_tags(buf, sample->metadata);
    }
    sq_buf_puts(buf, "}}\n");
}

static int json_samples(void *self, const struct sq_sample_batch *batch)
{
    struct json_output *output = self;
    struct sq_buf *buf = sq_output_file_buf(output->file);

    for (size_t i = 0; i < batch->count; i++)
        put_sample(output, buf, &batch->samples[i]);
    return sq_output_file_more(output->file);
}

static int json_flush(void *self)
{
    struct json_output *output = self;

    return sq_output_file_flush(output->file);
}

static int json_close(void *self, bool if_ok)
{
    struct json_output *output = self;
    int rc = sq_output_file_close(output->file, if_ok);

    free(output->seen);
    free(output);
    return rc;
}

const struct sq_output_type sq_output_json = {"json", json_open, json_samples, json_flush,
                                              json_close};
