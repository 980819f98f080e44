/* SPDX-License-Identifier: Apache-2.0 */
/* What values options may have. Text (flags, variables) becomes JSON first; one setter per type
 * then checks JSON, so a value is refused in the same words wherever it came from. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/duration.h"
#include "base/text.h"
#include "engine/option_types.h"
#include "engine/segment.h"

static bool has_field(const struct sq_option *o)
{
    return o->offset != SQ_OPT_NO_FIELD;
}

int sq_value_refuse(const json_t *value, struct sq_error *err, const char *wanted)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    int rc = sq_error_set(err, SQ_EINVALID, "%.200s is not %s", text ? text : "it", wanted);

    free(text);
    return rc;
}

json_t *sq_value_refuse_text(const char *text, struct sq_error *err, const char *wanted)
{
    (void)sq_error_set(err, SQ_EINVALID, "'%.200s' is not %s", text, wanted);
    return NULL;
}

/* JSON strings must be UTF-8; flags and variables need not be. */
static json_t *text_string(const char *text, size_t len, struct sq_error *err)
{
    json_t *string = json_stringn(text, len);

    if (!string)
        (void)sq_error_set(err, SQ_EINVALID, "'%.*s' is not UTF-8 text", (int)SQ_MIN(len, 200),
                           text);
    return string;
}

void sq_config_warn(struct sq_config *config, const char *fmt, ...)
{
    struct sq_string_list *list = &config->warnings;
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    list->items = sq_xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = sq_xstrdup(text);
}

bool sq_json_to_int(const json_t *value, int64_t *out)
{
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (!json_is_string(value))
        return false;
    const char *text = json_string_value(value);
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || *text == ' ')
        return false;
    *out = number;
    return true;
}

bool sq_json_to_duration(const json_t *value, int64_t *ns)
{
    char text[64];

    if (json_is_string(value))
        return sq_duration_parse(json_string_value(value), SQ_DURATION_OPTION, ns) == 0;
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, "%.9f", json_real_value(value));
    else
        return false;
    return sq_duration_parse(text, SQ_DURATION_OPTION, ns) == 0;
}

/* Switches, counts, durations, texts ---------------------------------------------------------- */

static json_t *text_switch(const struct sq_option *o, const struct sq_texts *in,
                           struct sq_error *err)
{
    static const char *const yes[] = {"true", "TRUE", "True", "t", "T", "1"}, *const no[] = {
                                                                                  "false", "FALSE",
                                                                                  "False", "f",
                                                                                  "F",     "0"};

    /* Any value of NO_COLOR's k6 cousin switches colour off (ENG-4). */
    if (in->from == SQ_FROM_ENV && o->offset == offsetof(struct sq_config, no_color))
        return json_true();
    for (size_t i = 0; i < SQ_COUNT(yes); i++) {
        if (strcmp(sq_texts_last(in), yes[i]) == 0)
            return json_true();
        if (strcmp(sq_texts_last(in), no[i]) == 0)
            return json_false();
    }
    return sq_value_refuse_text(sq_texts_last(in), err, "true or false");
}

static int set_switch(struct sq_config *config, const struct sq_option *o, json_t *value,
                      json_t **shown, struct sq_error *err)
{
    (void)shown;
    if (!json_is_boolean(value))
        return sq_value_refuse(value, err, "true or false");
    if (has_field(o))
        *(bool *)sq_option_field(config, o) = json_is_true(value);
    return 0;
}

static void clear_switch(struct sq_config *config, const struct sq_option *o)
{
    if (has_field(o))
        *(bool *)sq_option_field(config, o) = false;
}

static json_t *text_last(const struct sq_option *o, const struct sq_texts *in, struct sq_error *err)
{
    (void)o;
    return text_string(sq_texts_last(in), strlen(sq_texts_last(in)), err);
}

static int set_count(struct sq_config *config, const struct sq_option *o, json_t *value,
                     json_t **shown, struct sq_error *err)
{
    int64_t number;

    if (!sq_json_to_int(value, &number))
        return sq_value_refuse(value, err, "a whole number");
    *(int64_t *)sq_option_field(config, o) = number;
    *shown = json_integer(number);
    return 0;
}

static void clear_number(struct sq_config *config, const struct sq_option *o)
{
    *(int64_t *)sq_option_field(config, o) = -1;
}

static json_t *text_duration(const struct sq_option *o, const struct sq_texts *in,
                             struct sq_error *err)
{
    int64_t ns;

    (void)o;
    if (in->from == SQ_FROM_FLAG &&
        sq_duration_parse(sq_texts_last(in), SQ_DURATION_UNITS, &ns) < 0)
        return sq_value_refuse_text(sq_texts_last(in), err,
                                    "a duration such as 1m30s or 500ms (with unit)");
    return text_last(o, in, err);
}

static json_t *duration_shown(int64_t ns)
{
    char text[40];

    sq_duration_format(ns, text);
    return json_string(text);
}

static int set_duration(struct sq_config *config, const struct sq_option *o, json_t *value,
                        json_t **shown, struct sq_error *err)
{
    int64_t ns;

    if (!sq_json_to_duration(value, &ns))
        return sq_value_refuse(value, err,
                               "a duration such as \"1m30s\" or a number of milliseconds");
    *(int64_t *)sq_option_field(config, o) = ns;
    *shown = duration_shown(ns);
    return 0;
}

int sq_set_text(struct sq_config *config, const struct sq_option *o, json_t *value, json_t **shown,
                struct sq_error *err)
{
    (void)shown;
    if (!json_is_string(value))
        return sq_value_refuse(value, err, "a string");
    if (has_field(o))
        *(char **)sq_option_field(config, o) = sq_xstrdup(json_string_value(value));
    return 0;
}

static void clear_text(struct sq_config *config, const struct sq_option *o)
{
    if (!has_field(o))
        return;
    free(*(char **)sq_option_field(config, o));
    *(char **)sq_option_field(config, o) = NULL;
}

int sq_value_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    int index = 0;

    for (const char *p = choices;; index++) {
        size_t span = strcspn(p, "|");
        if (span == len && memcmp(p, text, len) == 0)
            return index;
        if (!p[span])
            return -1;
        p += span + 1;
    }
}

static int find_choice(const struct sq_option *o, const json_t *value, struct sq_error *err)
{
    int index = json_is_string(value) ? sq_value_choice(o->choices, json_string_value(value)) : -1;
    char wanted[160];

    snprintf(wanted, sizeof wanted, "one of %s", o->choices + (*o->choices == '|'));
    for (char *p = wanted; (p = strchr(p, '|'));)
        *p = ',';
    return index >= 0 ? index : sq_value_refuse(value, err, wanted);
}

static int set_choice(struct sq_config *config, const struct sq_option *o, json_t *value,
                      json_t **shown, struct sq_error *err)
{
    int rc = find_choice(o, value, err);

    return rc < 0 ? rc : sq_set_text(config, o, value, shown, err);
}

static int set_summary_mode(struct sq_config *config, const struct sq_option *o, json_t *value,
                            json_t **shown, struct sq_error *err)
{
    int rc = find_choice(o, value, err);

    (void)shown;
    if (rc < 0)
        return rc;
    config->summary_mode = (enum sq_summary_mode)rc;
    return 0;
}

static void clear_summary_mode(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    config->summary_mode = SQ_SUMMARY_COMPACT;
}

static int set_any(struct sq_config *config, const struct sq_option *o, json_t *value,
                   json_t **shown, struct sq_error *err)
{
    (void)config, (void)o, (void)value, (void)shown, (void)err;
    return 0;
}

static void clear_nothing(struct sq_config *config, const struct sq_option *o)
{
    (void)config, (void)o;
}

/* Lists --------------------------------------------------------------------------------------- */

static json_t *text_list(const struct sq_option *o, const struct sq_texts *in, struct sq_error *err)
{
    bool split = (o->traits & SQ_OPT_SPLITS) || in->from == SQ_FROM_ENV;
    json_t *list = json_array();

    for (size_t i = 0; i < in->count; i++)
        for (const char *p = in->items[i]; *p;) {
            size_t len = split ? strcspn(p, ",") : strlen(p);
            struct sq_slice part = sq_slice_trim(sq_slice(p, len));
            if (json_array_append_new(list, text_string((const char *)part.data, part.len, err))) {
                json_decref(list);
                return NULL;
            }
            p += len + (p[len] == ',');
        }
    return list;
}

int sq_set_list(struct sq_config *config, const struct sq_option *o, json_t *value, json_t **shown,
                struct sq_error *err)
{
    struct sq_string_list *list = sq_option_field(config, o);
    json_t *item;
    size_t i;

    (void)shown;
    if (json_is_string(value) && (o->traits & SQ_OPT_IN_FILE) && !(o->traits & SQ_OPT_SHOWN)) {
        list->items = sq_xcalloc(1, sizeof *list->items); /* `out` of a file may be one string */
        list->items[list->count++] = sq_xstrdup(json_string_value(value));
        return 0;
    }
    if (!json_is_array(value))
        return sq_value_refuse(value, err, "a list of strings");
    list->items = sq_xcalloc(json_array_size(value) + 1, sizeof *list->items);
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return sq_value_refuse(item, err, "a string");
        list->items[list->count++] = sq_xstrdup(json_string_value(item));
    }
    return 0;
}

static void clear_string_list(struct sq_string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct sq_string_list){0};
}

static void clear_list(struct sq_config *config, const struct sq_option *o)
{
    clear_string_list(sq_option_field(config, o));
}

int sq_value_check_each(const json_t *list, struct sq_error *err, bool (*good)(const char *),
                        const char *wanted)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item) || !good(json_string_value(item)))
            return sq_value_refuse(item, err, wanted);
    }
    return 0;
}

/* "avg", "p(99.9)" */
static bool is_stat(const char *text)
{
    static const char *const names[] = {"avg", "min", "med", "max", "count"};

    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    if (strncmp(text, "p(", 2) != 0 || !((text[2] >= '0' && text[2] <= '9') || text[2] == '.'))
        return false;
    char *end;
    double percent = strtod(text + 2, &end);
    return end != text + 2 && strcmp(end, ")") == 0 && percent >= 0 && percent <= 100;
}

static int set_stats(struct sq_config *config, const struct sq_option *o, json_t *value,
                     json_t **shown, struct sq_error *err)
{
    int rc = sq_set_list(config, o, value, shown, err);

    return rc < 0 ? rc
                  : sq_value_check_each(
                        value, err, is_stat,
                        "a trend statistic: avg, min, med, max, count or p(N), N 0 to 100");
}

static const char *const system_tag_names[] = {
    "proto", "subproto", "status",      "method",      "url",      "name",    "group",
    "check", "error",    "error_code",  "tls_version", "scenario", "service", "expected_response",
    "vu",    "iter",     "ocsp_status", "ip",
};

/* Names that are no system tag are ignored in silence (ENG-61). */
static int set_system_tags(struct sq_config *config, const struct sq_option *o, json_t *value,
                           json_t **shown, struct sq_error *err)
{
    json_t *item;
    size_t i;

    (void)o, (void)shown;
    if (!json_is_array(value))
        return sq_value_refuse(value, err, "a list of tag names");
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return sq_value_refuse(item, err, "a tag name");
        for (size_t t = 0; t < SQ_COUNT(system_tag_names); t++)
            if (strcmp(json_string_value(item), system_tag_names[t]) == 0)
                config->system_tags |= 1u << t;
    }
    return 0;
}

static void clear_system_tags(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    config->system_tags = 0;
}

/* Pairs --------------------------------------------------------------------------------------- */

static bool is_env_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return len > 0;
}

bool sq_value_add_pair(json_t *pairs, const char *key, size_t key_len, const char *value,
                       size_t value_len, struct sq_error *err)
{
    char *name = sq_xstrndup(key, key_len);
    json_t *text = text_string(value, value_len, err);
    bool ok = text && json_object_set_new(pairs, name, text) == 0;

    if (text && !ok)
        (void)sq_error_set(err, SQ_EINVALID, "'%.200s' is not UTF-8 text", name);
    free(name);
    return ok;
}

/* One "name=value" of a flag, or "name:value" of a variable. */
static bool take_pair(const struct sq_option *o, json_t *pairs, const char *text, size_t len,
                      char divider, struct sq_error *err)
{
    bool is_env = o->key == NULL;
    const char *at = memchr(text, divider, len);
    size_t key_len = at ? (size_t)(at - text) : len;
    size_t value_len = at ? len - key_len - 1 : 0;

    if (is_env && !is_env_name(text, key_len))
        return sq_value_refuse_text(text, err, "NAME=VALUE with letters, digits and _ in NAME");
    if (!is_env && (key_len == 0 || value_len == 0)) {
        (void)sq_error_set(err, SQ_EINVALID, "'%.*s' is not a tag in the form name%cvalue",
                           (int)SQ_MIN(len, 200), text, divider);
        return false;
    }
    return sq_value_add_pair(pairs, text, key_len, at ? at + 1 : "", value_len, err);
}

static json_t *text_pairs(const struct sq_option *o, const struct sq_texts *in,
                          struct sq_error *err)
{
    bool variable = in->from == SQ_FROM_ENV;
    json_t *pairs = json_object();

    for (size_t i = 0; i < in->count; i++)
        for (const char *p = in->items[i], *end; p; p = end) {
            size_t len = variable ? strcspn(p, ",") : strlen(p);
            if (!take_pair(o, pairs, p, len, variable ? ':' : '=', err)) {
                json_decref(pairs);
                return NULL;
            }
            end = p[len] ? p + len + 1 : NULL;
        }
    return pairs;
}

int sq_set_pairs(struct sq_config *config, const struct sq_option *o, json_t *value, json_t **shown,
                 struct sq_error *err)
{
    struct sq_pair_list *list = sq_option_field(config, o);
    const char *key;
    json_t *item;

    (void)shown;
    if (!json_is_object(value))
        return sq_value_refuse(value, err, "an object of strings");
    list->items = sq_xcalloc(json_object_size(value) + 1, sizeof *list->items);
    json_object_foreach(value, key, item)
    {
        if (!json_is_string(item))
            return sq_value_refuse(item, err, "a string");
        list->items[list->count++] =
            (struct sq_key_value){sq_xstrdup(key), sq_xstrdup(json_string_value(item))};
    }
    return 0;
}

static int add_collector(struct sq_pair_list *list, const char *type, const char *key,
                         const json_t *value, struct sq_error *err)
{
    if (json_is_null(value))
        return 0;
    if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
        return sq_error_set(err, SQ_EINVALID, "%s.%s is neither text, number nor boolean", type,
                            key);
    list->items = sq_xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = (struct sq_key_value){
        sq_xasprintf("%s.%s", type, key), json_is_string(value)
                                              ? sq_xstrdup(json_string_value(value))
                                              : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT)};
    return 0;
}

static int set_collectors(struct sq_config *config, const struct sq_option *o, json_t *value,
                          json_t **shown, struct sq_error *err)
{
    const char *type, *key;
    json_t *settings, *item;
    int rc = 0;

    (void)shown;
    if (!json_is_object(value))
        return sq_value_refuse(value, err, "an object of outputs");
    json_object_foreach(value, type, settings)
    {
        if (!json_is_object(settings))
            return sq_value_refuse(settings, err, "an object of settings");
        json_object_foreach(settings, key, item) if (rc == 0) rc =
            add_collector(sq_option_field(config, o), type, key, item, err);
    }
    return rc;
}

static void clear_pairs(struct sq_config *config, const struct sq_option *o)
{
    struct sq_pair_list *list = sq_option_field(config, o);

    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].key);
        free(list->items[i].value);
    }
    free(list->items);
    *list = (struct sq_pair_list){0};
}

/* Stages, scenarios, thresholds --------------------------------------------------------------- */

static json_t *one_stage(const char *text, size_t len, enum sq_source from, struct sq_error *err)
{
    char copy[128], *colon, *end;
    int64_t ns;

    snprintf(copy, sizeof copy, "%.*s", (int)SQ_MIN(len, sizeof copy - 1), text);
    colon = strchr(copy, ':');
    if (!colon || len >= sizeof copy)
        return sq_value_refuse_text(copy, err, "a stage in the form duration:target, e.g. 30s:10");
    *colon = '\0';
    if (sq_duration_parse(copy, from == SQ_FROM_FLAG ? SQ_DURATION_UNITS : SQ_DURATION_OPTION,
                          &ns) < 0)
        return sq_value_refuse_text(copy, err, "a stage's duration such as 30s (with unit)");
    errno = 0;
    long long target = strtoll(colon + 1, &end, 10);
    if (errno || end == colon + 1 || *end)
        return sq_value_refuse_text(colon + 1, err, "a stage's target, a whole number");
    return json_pack("{s:o, s:I}", "duration", duration_shown(ns), "target", (json_int_t)target);
}

static json_t *text_stages(const struct sq_option *o, const struct sq_texts *in,
                           struct sq_error *err)
{
    json_t *list = json_array();

    (void)o;
    for (size_t i = 0; i < in->count; i++)
        for (const char *p = in->items[i]; *p;) {
            size_t len = strcspn(p, ",");
            if (json_array_append_new(list, one_stage(p, len, in->from, err))) {
                json_decref(list);
                return NULL;
            }
            p += len + (p[len] == ',');
        }
    return list;
}

/* INT64_MIN stands for a part that was not given. */
static int read_stage(const json_t *value, struct sq_stage *stage, json_t *shown,
                      struct sq_error *err)
{
    const json_t *duration = json_object_get(value, "duration"),
                 *target = json_object_get(value, "target");
    json_t *row = json_pack("{s:n, s:n}", "duration", "target");

    json_array_append_new(shown, row);
    *stage = (struct sq_stage){INT64_MIN, INT64_MIN};
    if (!json_is_object(value))
        return sq_value_refuse(value, err, "a stage {duration, target}");
    if (duration && !json_is_null(duration)) {
        if (!sq_json_to_duration(duration, &stage->duration_ns))
            return sq_value_refuse(duration, err, "a stage's duration");
        json_object_set_new(row, "duration", duration_shown(stage->duration_ns));
    }
    if (target && !json_is_null(target)) {
        if (!sq_json_to_int(target, &stage->target))
            return sq_value_refuse(target, err, "a stage's target, a whole number");
        json_object_set_new(row, "target", json_integer(stage->target));
    }
    return 0;
}

static int set_stages(struct sq_config *config, const struct sq_option *o, json_t *value,
                      json_t **shown, struct sq_error *err)
{
    json_t *item;
    size_t i;

    (void)o;
    if (!json_is_array(value))
        return sq_value_refuse(value, err, "a list of stages {duration, target}");
    *shown = json_array();
    config->stages_set = true;
    config->stages = sq_xcalloc(json_array_size(value) + 1, sizeof *config->stages);
    json_array_foreach(value, i, item)
    {
        int rc = read_stage(item, &config->stages[config->stages_count++], *shown, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void clear_stages(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    free(config->stages);
    config->stages = NULL;
    config->stages_count = 0;
    config->stages_set = false;
}

static int set_scenarios(struct sq_config *config, const struct sq_option *o, json_t *value,
                         json_t **shown, struct sq_error *err)
{
    struct sq_buf wrong = {0};
    const char *name;
    json_t *item;
    int rc = 0;

    (void)o;
    if (!json_is_object(value))
        return sq_value_refuse(value, err, "an object of scenarios");
    *shown = json_object();
    json_object_foreach(value, name, item)
    {
        struct sq_scenario scenario;
        sq_scenario_from_json(name, item, &scenario, &wrong, NULL);
        sq_scenario_deinit(&scenario);
        json_object_set_new(*shown, name, sq_scenario_shown(item));
    }
    if (wrong.len)
        rc = sq_error_set(err, SQ_EINVALID, "%.*s", (int)wrong.len - 2, sq_buf_cstr(&wrong));
    else
        config->hidden->scenarios = json_incref(value);
    sq_buf_deinit(&wrong);
    return rc;
}

static void clear_scenarios(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    json_decref(config->hidden->scenarios);
    config->hidden->scenarios = NULL;
}

static const json_t *get_nocase(const json_t *object, const char *wanted)
{
    const char *key;
    json_t *item;

    json_object_foreach((json_t *)object, key, item)
    {
        if (sq_ascii_eq_nocase(sq_slice_str(key), sq_slice_str(wanted)))
            return item;
    }
    return NULL;
}

static int read_threshold_object(const json_t *value, struct sq_threshold_source *out,
                                 struct sq_error *err)
{
    const json_t *expression = get_nocase(value, "threshold"),
                 *abort_on_fail = get_nocase(value, "abortOnFail"),
                 *delay = get_nocase(value, "delayAbortEval");

    if (!json_is_string(expression))
        return sq_value_refuse(value, err,
                               "a threshold: it needs an expression under \"threshold\"");
    out->expression = sq_xstrdup(json_string_value(expression));
    if (abort_on_fail && !json_is_null(abort_on_fail) && !json_is_boolean(abort_on_fail))
        return sq_value_refuse(abort_on_fail, err, "true or false (abortOnFail)");
    out->abort_on_fail = json_is_true(abort_on_fail);
    if (delay && !json_is_null(delay) && !sq_json_to_duration(delay, &out->delay_abort_eval_ns))
        return sq_value_refuse(delay, err, "a duration (delayAbortEval)");
    return 0;
}

static struct sq_threshold_source *add_threshold(struct sq_config *config, const char *metric)
{
    config->thresholds = sq_xrealloc(config->thresholds,
                                     (config->thresholds_count + 1) * sizeof *config->thresholds);
    struct sq_threshold_source *t = &config->thresholds[config->thresholds_count++];
    *t = (struct sq_threshold_source){.metric = sq_xstrdup(metric)};
    return t;
}

static int read_thresholds(struct sq_config *config, const char *metric, const json_t *list,
                           struct sq_error *err)
{
    const json_t *item;
    size_t i;
    int rc;

    if (!json_is_array(list) && !json_is_null(list)) {
        rc = sq_value_refuse(list, err, "a list of thresholds, such as ['p(95)<200']");
        sq_error_prefix(err, "%.200s", metric);
        return rc;
    }
    if (json_array_size(list) == 0)
        add_threshold(config, metric);
    json_array_foreach(list, i, item)
    {
        struct sq_threshold_source *t = add_threshold(config, metric);
        if (json_is_string(item)) {
            t->expression = sq_xstrdup(json_string_value(item));
            continue;
        }
        rc = json_is_object(item)
                 ? read_threshold_object(item, t, err)
                 : sq_value_refuse(item, err, "a threshold, a string or an object");
        if (rc < 0) {
            sq_error_prefix(err, "%.200s", metric);
            return rc;
        }
    }
    return 0;
}

static int set_thresholds(struct sq_config *config, const struct sq_option *o, json_t *value,
                          json_t **shown, struct sq_error *err)
{
    const char *metric;
    json_t *list;

    (void)o, (void)shown;
    if (!json_is_object(value))
        return sq_value_refuse(value, err, "an object of lists of thresholds");
    json_object_foreach(value, metric, list)
    {
        int rc = read_thresholds(config, metric, list, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void clear_thresholds(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    for (size_t i = 0; i < config->thresholds_count; i++) {
        free(config->thresholds[i].metric);
        free(config->thresholds[i].expression);
    }
    free(config->thresholds);
    config->thresholds = NULL;
    config->thresholds_count = 0;
}

/* Segments ------------------------------------------------------------------------------------ */

static int set_segment(struct sq_config *config, const struct sq_option *o, json_t *value,
                       json_t **shown, struct sq_error *err)
{
    const char *text = json_string_value(value);
    int rc = sq_set_text(config, o, value, shown, err);

    if (rc < 0 || !*text)
        return rc;
    return o->type == SQ_OPT_SEGMENT ? sq_segment_check(text, err) : sq_sequence_check(text, err);
}

/* --------------------------------------------------------------------------------------------- */

static const struct {
    sq_text_fn *text; /* NULL: only JSON can say it */
    sq_set_fn *set;
    sq_clear_fn *clear;
} types[] = {
    [SQ_OPT_SWITCH] = {text_switch, set_switch, clear_switch},
    [SQ_OPT_COUNT] = {text_last, set_count, clear_number},
    [SQ_OPT_DURATION] = {text_duration, set_duration, clear_number},
    [SQ_OPT_TEXT] = {text_last, sq_set_text, clear_text},
    [SQ_OPT_CHOICE] = {text_last, set_choice, clear_text},
    [SQ_OPT_SUMMARY_MODE] = {text_last, set_summary_mode, clear_summary_mode},
    [SQ_OPT_LIST] = {text_list, sq_set_list, clear_list},
    [SQ_OPT_CIDRS] = {text_list, sq_set_cidrs, clear_list},
    [SQ_OPT_ADDRESSES] = {text_last, sq_set_addresses, clear_text},
    [SQ_OPT_STATS] = {text_list, set_stats, clear_list},
    [SQ_OPT_CIPHERS] = {NULL, sq_set_ciphers, clear_list},
    [SQ_OPT_SYSTEM_TAGS] = {text_list, set_system_tags, clear_system_tags},
    [SQ_OPT_PAIRS] = {text_pairs, sq_set_pairs, clear_pairs},
    [SQ_OPT_HOSTS] = {NULL, sq_set_hosts, clear_pairs},
    [SQ_OPT_COLLECTORS] = {NULL, set_collectors, clear_pairs},
    [SQ_OPT_STAGES] = {text_stages, set_stages, clear_stages},
    [SQ_OPT_SCENARIOS] = {NULL, set_scenarios, clear_scenarios},
    [SQ_OPT_THRESHOLDS] = {NULL, set_thresholds, clear_thresholds},
    [SQ_OPT_TLS_VERSION] = {NULL, sq_set_tls_version, sq_clear_tls_version},
    [SQ_OPT_TLS_AUTH] = {NULL, sq_set_tls_auth, sq_clear_tls_auth},
    [SQ_OPT_DNS] = {sq_text_dns, sq_set_dns, sq_clear_dns},
    [SQ_OPT_SEGMENT] = {text_last, set_segment, clear_text},
    [SQ_OPT_SEQUENCE] = {text_last, set_segment, clear_text},
    [SQ_OPT_ANY] = {NULL, set_any, clear_nothing},
};

json_t *sq_option_text_to_json(const struct sq_option *o, char *const *texts, size_t count,
                               enum sq_source from, struct sq_error *err)
{
    sq_assert(types[o->type].text && count);
    return types[o->type].text(o, &(struct sq_texts){texts, count, from}, err);
}

void sq_option_clear(struct sq_config *config, const struct sq_option *o)
{
    types[o->type].clear(config, o);
    config->from[o - sq_options] = SQ_FROM_DEFAULT;
    if (o->key)
        json_object_del(config->hidden->shown, o->key);
}

int sq_option_set(struct sq_config *config, const struct sq_option *o, json_t *value,
                  enum sq_source from, struct sq_error *err)
{
    json_t *shown = NULL;

    if (o->type != SQ_OPT_DNS)
        sq_option_clear(config, o);
    int rc = types[o->type].set(config, o, value, &shown, err);
    if (rc == 0) {
        config->from[o - sq_options] = from;
        if (o->key && from != SQ_FROM_DEFAULT)
            json_object_set(config->hidden->shown, o->key, shown ? shown : value);
    }
    json_decref(shown);
    return rc;
}
