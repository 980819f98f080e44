/* SPDX-License-Identifier: Apache-2.0 */
/* One scenario out of JSON (ENG-100..102, and the errors of each executor). */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/duration.h"
#include "base/text.h"
#include "engine/options.h"
#include "engine/segment.h"

enum kind { COUNT, DURATION, TEXT, RATE, PAIRS, STAGES, ANY };

/* Executors as bits. */
#define SHARED (1u << SQ_EXEC_SHARED_ITERATIONS)
#define PER_VU (1u << SQ_EXEC_PER_VU_ITERATIONS)
#define CONSTANT (1u << SQ_EXEC_CONSTANT_VUS)
#define RAMPING (1u << SQ_EXEC_RAMPING_VUS)
#define ARRIVAL (1u << SQ_EXEC_CONSTANT_ARRIVAL_RATE)
#define RAMPING_ARRIVAL (1u << SQ_EXEC_RAMPING_ARRIVAL_RATE)
#define EVERY (SHARED | PER_VU | CONSTANT | RAMPING | ARRIVAL | RAMPING_ARRIVAL)

enum { EXECUTORS = SQ_EXEC_RAMPING_ARRIVAL_RATE + 1, COUNT_MAX = 100000000 };
/* Sums of a scenario's times must not overflow. */
static const int64_t duration_ns_max = INT64_MAX / 64;

static const struct row {
    const char *key;
    enum kind kind;
    size_t offset;
    unsigned executors, required;
} rows[] = {
#define AT(member) offsetof(struct sq_scenario, member)
    {"startTime", DURATION, AT(start_ns), EVERY, 0},
    {"gracefulStop", DURATION, AT(graceful_stop_ns), EVERY, 0},
    {"exec", TEXT, AT(exec), EVERY, 0},
    {"env", PAIRS, AT(env), EVERY, 0},
    {"tags", PAIRS, AT(tags), EVERY, 0},
    {"options", ANY, 0, EVERY, 0},
    {"vus", COUNT, AT(vus), SHARED | PER_VU | CONSTANT, 0},
    {"iterations", COUNT, AT(iterations), SHARED | PER_VU, 0},
    {"maxDuration", DURATION, AT(duration_ns), SHARED | PER_VU, 0},
    {"duration", DURATION, AT(duration_ns), CONSTANT | ARRIVAL, CONSTANT | ARRIVAL},
    {"startVUs", COUNT, AT(vus), RAMPING, 0},
    {"startRate", RATE, AT(rate), RAMPING_ARRIVAL, 0},
    {"rate", RATE, AT(rate), ARRIVAL, ARRIVAL},
    {"timeUnit", DURATION, AT(time_unit_ns), ARRIVAL | RAMPING_ARRIVAL, 0},
    {"stages", STAGES, AT(stages), RAMPING | RAMPING_ARRIVAL, RAMPING | RAMPING_ARRIVAL},
    {"gracefulRampDown", DURATION, AT(graceful_ramp_down_ns), RAMPING, 0},
    {"preAllocatedVUs", COUNT, AT(pre_allocated_vus), ARRIVAL | RAMPING_ARRIVAL,
     ARRIVAL | RAMPING_ARRIVAL},
    {"maxVUs", COUNT, AT(max_vus), ARRIVAL | RAMPING_ARRIVAL, 0},
#undef AT
};

struct reader {
    const char *name;
    struct sq_scenario *out;
    struct sq_buf *wrong, *bad; /* may be NULL */
    bool broken;                /* a shape was wrong: values are not worth checking */
};

static void complain(struct reader *r, struct sq_buf *to, const char *fmt, ...) SQ_PRINTF(3, 4);
static void complain(struct reader *r, struct sq_buf *to, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (!to)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sq_buf_printf(to, "scenario '%.80s': %s; ", r->name, text);
}

static void wrong_type(struct reader *r, const char *key, const json_t *value, const char *wanted)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    r->broken = true;
    complain(r, r->wrong, "%s: %.100s is not %s", key, text ? text : "it", wanted);
    free(text);
}

static void read_pairs(struct reader *r, const struct row *row, const json_t *value)
{
    bool env = row->offset == offsetof(struct sq_scenario, env);
    struct sq_key_value **items = env ? &r->out->env : &r->out->tags;
    size_t *count = env ? &r->out->env_count : &r->out->tags_count;
    const char *key;
    json_t *item;

    if (!json_is_object(value)) {
        wrong_type(r, row->key, value, "an object of strings");
        return;
    }
    *items = sq_xcalloc(json_object_size(value) + 1, sizeof **items);
    json_object_foreach((json_t *)value, key, item)
    {
        if (json_is_string(item))
            (*items)[(*count)++] =
                (struct sq_key_value){sq_xstrdup(key), sq_xstrdup(json_string_value(item))};
        else
            wrong_type(r, row->key, item, "a string");
    }
}

static void read_stage(struct reader *r, const json_t *value, struct sq_stage *stage)
{
    const char *key;
    json_t *item;

    *stage = (struct sq_stage){INT64_MIN, INT64_MIN};
    if (!json_is_object(value)) {
        wrong_type(r, "stages", value, "a stage {duration, target}");
        return;
    }
    json_object_foreach((json_t *)value, key, item)
    {
        bool duration = strcmp(key, "duration") == 0;
        if (!duration && strcmp(key, "target") != 0) {
            r->broken = true;
            complain(r, r->wrong, "a stage has no key '%.100s'", key);
        } else if (json_is_null(item)) {
            continue;
        } else if (duration && !sq_json_to_duration(item, &stage->duration_ns)) {
            wrong_type(r, "a stage's duration", item, "a duration");
        } else if (!duration && !sq_json_to_int(item, &stage->target)) {
            wrong_type(r, "a stage's target", item, "a whole number");
        }
    }
}

static void read_stages(struct reader *r, const json_t *value)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(value)) {
        wrong_type(r, "stages", value, "a list of stages {duration, target}");
        return;
    }
    r->out->stages = sq_xcalloc(json_array_size(value) + 1, sizeof *r->out->stages);
    json_array_foreach(value, i, item)
    {
        read_stage(r, item, &r->out->stages[r->out->stages_count++]);
    }
}

static void read_value(struct reader *r, const struct row *row, const json_t *value)
{
    void *to = (char *)r->out + row->offset;
    int64_t number;

    switch (row->kind) {
    case COUNT:
        if (!sq_json_to_int(value, to))
            wrong_type(r, row->key, value, "a whole number");
        break;
    case RATE:
        if (sq_json_to_int(value, &number))
            *(double *)to = (double)number;
        else
            wrong_type(r, row->key, value, "a whole number");
        break;
    case DURATION:
        if (!sq_json_to_duration(value, to))
            wrong_type(r, row->key, value, "a duration such as \"1m30s\" or a number of ms");
        break;
    case TEXT:
        if (json_is_string(value)) {
            free(*(char **)to);
            *(char **)to = sq_xstrdup(json_string_value(value));
        } else {
            wrong_type(r, row->key, value, "a string");
        }
        break;
    case PAIRS:
        read_pairs(r, row, value);
        break;
    case STAGES:
        read_stages(r, value);
        break;
    case ANY:
        break;
    }
}

static const struct row *find_row(const char *key, enum sq_executor executor)
{
    for (size_t i = 0; i < SQ_COUNT(rows); i++)
        if ((rows[i].executors & (1u << executor)) && strcmp(rows[i].key, key) == 0)
            return &rows[i];
    return NULL;
}

static void unknown_key(struct reader *r, const char *key)
{
    const char *known[SQ_COUNT(rows)], *near;
    size_t count = 0;

    for (size_t i = 0; i < SQ_COUNT(rows); i++)
        if (rows[i].executors & (1u << r->out->executor))
            known[count++] = rows[i].key;
    near = sq_text_nearest(key, known, count);
    r->broken = true;
    complain(r, r->wrong, "%s has no key '%.100s'%s%s%s", sq_executor_name(r->out->executor), key,
             near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool read_executor(struct reader *r, const json_t *json)
{
    const json_t *value = json_object_get(json, "executor");
    const char *names[EXECUTORS], *text = json_string_value(value), *near;

    for (int i = 0; i < EXECUTORS; i++) {
        names[i] = sq_executor_name((enum sq_executor)i);
        if (text && strcmp(text, names[i]) == 0) {
            r->out->executor = (enum sq_executor)i;
            return true;
        }
    }
    r->broken = true;
    if (!text) {
        complain(r, r->wrong, "it needs an executor, such as 'constant-vus'");
    } else if (strcmp(text, "externally-controlled") == 0) {
        complain(r, r->wrong, "executor externally-controlled was removed in k6 2.0");
    } else {
        near = sq_text_nearest(text, names, EXECUTORS);
        complain(r, r->wrong, "there is no executor '%.100s'%s%s%s", text,
                 near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return false;
}

static bool is_given(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);

    return value && !json_is_null(value);
}

static void set_defaults(struct sq_scenario *out, const char *name)
{
    *out = (struct sq_scenario){
        .name = sq_xstrdup(name),
        .exec = sq_xstrdup("default"),
        .graceful_stop_ns = 30 * SQ_NS_PER_S,
        .graceful_ramp_down_ns = 30 * SQ_NS_PER_S,
        .duration_ns = 600 * SQ_NS_PER_S,
        .vus = 1,
        .iterations = 1,
        .time_unit_ns = SQ_NS_PER_S,
    };
}

static bool is_name(const char *text)
{
    size_t span = strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-");

    return span > 0 && text[span] == '\0';
}

static void check_time(struct reader *r, const char *key, int64_t ns, int64_t least_ns)
{
    char least[40];

    sq_duration_format(least_ns, least);
    if (ns < least_ns && least_ns == 0)
        complain(r, r->bad, "%s must not be negative", key);
    else if (ns < least_ns)
        complain(r, r->bad, "%s must be %s or more", key, least);
    else if (ns > duration_ns_max)
        complain(r, r->bad, "%s is too long", key);
}

static void check_common(struct reader *r, const json_t *json)
{
    const struct sq_scenario *s = r->out;

    if (!is_name(s->name))
        complain(r, r->bad, "a name may hold only letters, digits, _ and -");
    check_time(r, "startTime", s->start_ns, 0);
    check_time(r, "gracefulStop", s->graceful_stop_ns, 0);
    if (!*s->exec)
        complain(r, r->bad, "exec must not be empty");
    for (size_t i = 0; i < SQ_COUNT(rows); i++)
        if ((rows[i].required & (1u << s->executor)) && !is_given(json, rows[i].key))
            complain(r, r->bad, "%s is required", rows[i].key);
}

static void check_count(struct reader *r, const char *key, int64_t count, int64_t least)
{
    if (count < least)
        complain(r, r->bad, least ? "%s must be more than 0" : "%s must not be negative", key);
    else if (count > COUNT_MAX)
        complain(r, r->bad, "%s must not be more than %d", key, COUNT_MAX);
}

static void check_iterations(struct reader *r)
{
    const struct sq_scenario *s = r->out;

    check_count(r, "vus", s->vus, 1);
    if (s->executor == SQ_EXEC_SHARED_ITERATIONS && s->iterations < s->vus)
        complain(r, r->bad, "iterations (%lld) must not be fewer than vus (%lld)",
                 (long long)s->iterations, (long long)s->vus);
    else if (s->iterations < 1)
        complain(r, r->bad, "iterations must be more than 0");
    check_time(r, "maxDuration", s->duration_ns, SQ_NS_PER_S);
}

static void check_stages(struct reader *r, bool vus, const json_t *json)
{
    const struct sq_scenario *s = r->out;
    int64_t total = 0, most = vus ? s->vus : (int64_t)s->rate;

    if (is_given(json, "stages") && s->stages_count == 0)
        complain(r, r->bad, "it needs a stage at least");
    for (size_t i = 0; i < s->stages_count; i++) {
        const struct sq_stage *stage = &s->stages[i];
        if (stage->duration_ns == INT64_MIN)
            complain(r, r->bad, "stage %zu needs a duration", i + 1);
        else if (stage->duration_ns < 0)
            complain(r, r->bad, "stage %zu: duration must not be negative", i + 1);
        else if (stage->duration_ns > duration_ns_max - total)
            complain(r, r->bad, "the stages are too long");
        else
            total += stage->duration_ns;
        if (stage->target == INT64_MIN)
            complain(r, r->bad, "stage %zu needs a target", i + 1);
        else if (stage->target < 0)
            complain(r, r->bad, "stage %zu: target must not be negative", i + 1);
        else if (stage->target > (vus ? COUNT_MAX : (int64_t)SQ_NS_PER_S))
            complain(r, r->bad, "stage %zu: target is too large", i + 1);
        most = SQ_MAX(most, stage->target);
    }
    if (vus && s->stages_count && most == 0)
        complain(r, r->bad, "either startVUs or a target must be more than 0");
}

static void check_arrival(struct reader *r, const json_t *json)
{
    struct sq_scenario *s = r->out;

    if (s->time_unit_ns <= 0)
        complain(r, r->bad, "timeUnit must be more than 0");
    else if (s->time_unit_ns > duration_ns_max)
        complain(r, r->bad, "timeUnit is too long");
    if (s->rate > (double)SQ_NS_PER_S)
        complain(r, r->bad, "the rate is too large");
    check_count(r, "preAllocatedVUs", s->pre_allocated_vus, 0);
    if (!is_given(json, "maxVUs"))
        s->max_vus = s->pre_allocated_vus;
    else if (s->max_vus < s->pre_allocated_vus)
        complain(r, r->bad, "maxVUs (%lld) must not be fewer than preAllocatedVUs (%lld)",
                 (long long)s->max_vus, (long long)s->pre_allocated_vus);
    else
        check_count(r, "maxVUs", s->max_vus, 0);
}

static void check_executor(struct reader *r, const json_t *json)
{
    const struct sq_scenario *s = r->out;

    switch (s->executor) {
    case SQ_EXEC_SHARED_ITERATIONS:
    case SQ_EXEC_PER_VU_ITERATIONS:
        check_iterations(r);
        break;
    case SQ_EXEC_CONSTANT_VUS:
        check_count(r, "vus", s->vus, 1);
        check_time(r, "duration", s->duration_ns, SQ_NS_PER_S);
        break;
    case SQ_EXEC_RAMPING_VUS:
        check_count(r, "startVUs", s->vus, 0);
        check_time(r, "gracefulRampDown", s->graceful_ramp_down_ns, 0);
        check_stages(r, true, json);
        break;
    case SQ_EXEC_CONSTANT_ARRIVAL_RATE:
        if (is_given(json, "rate") && s->rate <= 0)
            complain(r, r->bad, "rate must be more than 0");
        check_time(r, "duration", s->duration_ns, SQ_NS_PER_S);
        check_arrival(r, json);
        break;
    case SQ_EXEC_RAMPING_ARRIVAL_RATE:
        if (s->rate < 0)
            complain(r, r->bad, "startRate must not be negative");
        check_arrival(r, json);
        check_stages(r, false, json);
        break;
    }
}

void sq_scenario_from_json(const char *name, const json_t *json, struct sq_scenario *out,
                           struct sq_buf *wrong, struct sq_buf *bad)
{
    struct reader r = {name, out, wrong, bad, false};
    const char *key;
    json_t *value;

    set_defaults(out, name);
    if (!json_is_object(json)) {
        complain(&r, wrong, "it is not an object");
        return;
    }
    if (!read_executor(&r, json))
        return;
    json_object_foreach((json_t *)json, key, value)
    {
        const struct row *row = find_row(key, out->executor);
        if (row && !json_is_null(value))
            read_value(&r, row, value);
        else if (!row && strcmp(key, "executor") != 0)
            unknown_key(&r, key);
    }
    out->exec_given = is_given(json, "exec");
    if (!r.broken) {
        check_common(&r, json);
        check_executor(&r, json);
    }
}

static void free_pairs(struct sq_key_value *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].key);
        free(items[i].value);
    }
    free(items);
}

void sq_scenario_deinit(struct sq_scenario *scenario)
{
    free(scenario->name);
    free(scenario->exec);
    free(scenario->stages);
    free_pairs(scenario->env, scenario->env_count);
    free_pairs(scenario->tags, scenario->tags_count);
    sq_stripe_free(scenario->stripe);
    *scenario = (struct sq_scenario){0};
}

static json_t *shown_value(enum kind kind, json_t *value)
{
    int64_t number;
    char text[40];

    if ((kind == COUNT || kind == RATE) && sq_json_to_int(value, &number))
        return json_integer(number);
    if (kind == DURATION && sq_json_to_duration(value, &number)) {
        sq_duration_format(number, text);
        return json_string(text);
    }
    if (kind != STAGES)
        return json_incref(value);
    json_t *list = json_array(), *item;
    size_t i;
    json_array_foreach(value, i, item)
    {
        json_t *duration = json_object_get(item, "duration"),
               *target = json_object_get(item, "target");
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "duration",
                            duration ? shown_value(DURATION, duration) : json_null(), "target",
                            target ? shown_value(COUNT, target) : json_null()));
    }
    return list;
}

json_t *sq_scenario_shown(const json_t *json)
{
    struct sq_scenario scratch = {0};
    struct reader r = {"", &scratch, NULL, NULL, false};
    json_t *out = json_object();

    if (!json_is_object(json) || !read_executor(&r, json))
        return out;
    json_object_set_new(out, "executor", json_string(sq_executor_name(scratch.executor)));
    for (size_t i = 0; i < SQ_COUNT(rows); i++) {
        if (!(rows[i].executors & (1u << scratch.executor)))
            continue;
        json_t *value = json_object_get(json, rows[i].key);
        json_object_set_new(out, rows[i].key,
                            value ? shown_value(rows[i].kind, value) : json_null());
    }
    return out;
}
