/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: names to metrics. One lock; metrics and sub-metrics never move and never go. */
#include <pthread.h>
#include <stdlib.h>

#include "base/text.h"
#include "metrics/hash.h"
#include "metrics/metrics.h"

enum { NAME_LEN_MIN = 2, NAME_LEN_MAX = 129, BUCKETS_MIN = 64 };

struct sq_registry {
    pthread_mutex_t lock;
    struct sq_metric **metrics; /* by id */
    size_t count, cap;
    uint32_t *buckets; /* id + 1, open addressing; 0: free */
    size_t mask;
    struct sq_submetric **submetrics;
    size_t submetrics_count;
    bool broken_down;
};

static const struct {
    const char *name;
    enum sq_metric_type type;
    enum sq_metric_contains contains;
} builtins[SQ_METRIC_BUILTIN_COUNT] = {
    [SQ_M_VUS] = {"vus", SQ_GAUGE, SQ_CONTAINS_DEFAULT},
    [SQ_M_VUS_MAX] = {"vus_max", SQ_GAUGE, SQ_CONTAINS_DEFAULT},
    [SQ_M_ITERATIONS] = {"iterations", SQ_COUNTER, SQ_CONTAINS_DEFAULT},
    [SQ_M_ITERATION_DURATION] = {"iteration_duration", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_DROPPED_ITERATIONS] = {"dropped_iterations", SQ_COUNTER, SQ_CONTAINS_DEFAULT},
    [SQ_M_DATA_SENT] = {"data_sent", SQ_COUNTER, SQ_CONTAINS_DATA},
    [SQ_M_DATA_RECEIVED] = {"data_received", SQ_COUNTER, SQ_CONTAINS_DATA},
    [SQ_M_CHECKS] = {"checks", SQ_RATE, SQ_CONTAINS_DEFAULT},
    [SQ_M_GROUP_DURATION] = {"group_duration", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQS] = {"http_reqs", SQ_COUNTER, SQ_CONTAINS_DEFAULT},
    [SQ_M_HTTP_REQ_DURATION] = {"http_req_duration", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_BLOCKED] = {"http_req_blocked", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_CONNECTING] = {"http_req_connecting", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_TLS_HANDSHAKING] = {"http_req_tls_handshaking", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_SENDING] = {"http_req_sending", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_WAITING] = {"http_req_waiting", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_RECEIVING] = {"http_req_receiving", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_HTTP_REQ_FAILED] = {"http_req_failed", SQ_RATE, SQ_CONTAINS_DEFAULT},
    [SQ_M_WS_SESSIONS] = {"ws_sessions", SQ_COUNTER, SQ_CONTAINS_DEFAULT},
    [SQ_M_WS_CONNECTING] = {"ws_connecting", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_WS_SESSION_DURATION] = {"ws_session_duration", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_WS_MSGS_SENT] = {"ws_msgs_sent", SQ_COUNTER, SQ_CONTAINS_DEFAULT},
    [SQ_M_WS_MSGS_RECEIVED] = {"ws_msgs_received", SQ_COUNTER, SQ_CONTAINS_DEFAULT},
    [SQ_M_WS_PING] = {"ws_ping", SQ_TREND, SQ_CONTAINS_TIME},
    [SQ_M_GRPC_REQ_DURATION] = {"grpc_req_duration", SQ_TREND, SQ_CONTAINS_TIME},
};

const char *sq_metric_type_name(enum sq_metric_type type)
{
    static const char *const names[] = {"counter", "gauge", "rate", "trend"};

    sq_assert((size_t)type < SQ_COUNT(names));
    return names[type];
}

const char *sq_metric_contains_name(enum sq_metric_contains contains)
{
    static const char *const names[] = {"default", "time", "data"};

    sq_assert((size_t)contains < SQ_COUNT(names));
    return names[contains];
}

/* Where the name is, or the free place where it belongs. */
static uint32_t *find_place(struct sq_registry *reg, const char *name)
{
    size_t at = sq_hash_bytes(0, name, strlen(name)) & reg->mask;

    while (reg->buckets[at] && strcmp(reg->metrics[reg->buckets[at] - 1]->name, name) != 0)
        at = (at + 1) & reg->mask;
    return &reg->buckets[at];
}

static void grow(struct sq_registry *reg)
{
    free(reg->buckets);
    reg->cap = reg->cap ? reg->cap * 2 : BUCKETS_MIN / 2;
    reg->metrics = sq_xrealloc(reg->metrics, reg->cap * sizeof(struct sq_metric *));
    reg->mask = reg->cap * 2 - 1;
    reg->buckets = sq_xcalloc(reg->mask + 1, sizeof *reg->buckets);
    for (size_t i = 0; i < reg->count; i++)
        *find_place(reg, reg->metrics[i]->name) = (uint32_t)i + 1;
}

static struct sq_metric *insert(struct sq_registry *reg, const char *name, enum sq_metric_type type,
                                enum sq_metric_contains contains)
{
    size_t len = strlen(name) + 1;
    struct sq_metric *metric = sq_xmalloc(sizeof *metric + len);

    if (reg->count == reg->cap)
        grow(reg);
    char *copy = memcpy(metric + 1, name, len);
    *metric = (struct sq_metric){(uint32_t)reg->count, copy, type, contains};
    *find_place(reg, copy) = metric->id + 1;
    reg->metrics[reg->count++] = metric;
    return metric;
}

struct sq_registry *sq_registry_new(void)
{
    struct sq_registry *reg = sq_xcalloc(1, sizeof *reg);

    pthread_mutex_init(&reg->lock, NULL);
    for (size_t i = 0; i < SQ_METRIC_BUILTIN_COUNT; i++)
        insert(reg, builtins[i].name, builtins[i].type, builtins[i].contains);
    int index = sq_registry_add_submetric(reg, "http_req_duration{expected_response:true}", NULL);
    sq_assert(index == 0);
    return reg;
}

static void submetric_free(struct sq_submetric *sub)
{
    if (!sub)
        return;
    for (size_t i = 0; i < sub->pairs_count; i++) {
        free((void *)sub->pairs[i].key.data);
        free((void *)sub->pairs[i].value.data);
    }
    free(sub->pairs);
    free(sub->name);
    free(sub->suffix);
    free(sub);
}

void sq_registry_free(struct sq_registry *reg)
{
    if (!reg)
        return;
    for (size_t i = 0; i < reg->submetrics_count; i++)
        submetric_free(reg->submetrics[i]);
    for (size_t i = 0; i < reg->count; i++)
        free(reg->metrics[i]);
    free(reg->submetrics);
    free(reg->metrics);
    free(reg->buckets);
    pthread_mutex_destroy(&reg->lock);
    free(reg);
}

static bool name_ok(const char *name)
{
    size_t len = strlen(name);

    if (len < NAME_LEN_MIN || len > NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = sq_ascii_lower(name[i]);
        if (!((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

int sq_registry_add(struct sq_registry *reg, const char *name, enum sq_metric_type type,
                    enum sq_metric_contains contains, const struct sq_metric **out,
                    struct sq_error *err)
{
    int rc = 0;

    *out = NULL;
    if (!name_ok(name))
        return sq_error_set(err, SQ_EINVALID,
                            "'%.140s' is not a metric name: 2 to 129 ASCII letters, digits and "
                            "underscores, no digit first",
                            name);
    pthread_mutex_lock(&reg->lock);
    uint32_t place = *find_place(reg, name);
    struct sq_metric *metric = place ? reg->metrics[place - 1] : NULL;
    if (metric && metric->type != type)
        rc = sq_error_set(err, SQ_EINVALID, "metric '%s' exists already as a %s, not a %s", name,
                          sq_metric_type_name(metric->type), sq_metric_type_name(type));
    else if (metric && metric->contains != contains)
        rc = sq_error_set(
            err, SQ_EINVALID, "metric '%s' exists already with values of kind '%s', not '%s'", name,
            sq_metric_contains_name(metric->contains), sq_metric_contains_name(contains));
    else
        *out = metric ? metric : insert(reg, name, type, contains);
    pthread_mutex_unlock(&reg->lock);
    return rc;
}

const struct sq_metric *sq_registry_find(struct sq_registry *reg, const char *name)
{
    pthread_mutex_lock(&reg->lock);
    uint32_t place = *find_place(reg, name);
    const struct sq_metric *metric = place ? reg->metrics[place - 1] : NULL;
    pthread_mutex_unlock(&reg->lock);
    return metric;
}

const struct sq_metric *sq_registry_get(struct sq_registry *reg, uint32_t id)
{
    pthread_mutex_lock(&reg->lock);
    const struct sq_metric *metric = id < reg->count ? reg->metrics[id] : NULL;
    pthread_mutex_unlock(&reg->lock);
    return metric;
}

size_t sq_registry_count(struct sq_registry *reg)
{
    pthread_mutex_lock(&reg->lock);
    size_t count = reg->count;
    pthread_mutex_unlock(&reg->lock);
    return count;
}

/* ---- sub-metrics ---- */

static struct sq_slice trim_quotes(struct sq_slice s)
{
    struct sq_slice before;

    do {
        before = s;
        s = sq_slice_trim(s);
        while (s.len && (*s.data == '"' || *s.data == '\''))
            s.data++, s.len--;
        while (s.len && (s.data[s.len - 1] == '"' || s.data[s.len - 1] == '\''))
            s.len--;
    } while (s.len != before.len);
    return s;
}

static struct sq_slice copy_slice(struct sq_slice s)
{
    return sq_slice(sq_xstrndup((const char *)s.data, s.len), s.len);
}

/* One "key:value" of a filter. */
static int parse_pair(struct sq_submetric *sub, struct sq_slice text, struct sq_error *err)
{
    const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;

    if (!colon)
        return sq_error_set(err, SQ_EINVALID, "'%s': '%.*s' in the filter is not tag:value",
                            sub->name, (int)SQ_MIN(text.len, 200), (const char *)text.data);
    struct sq_slice key = sq_slice(text.data, (size_t)(colon - text.data));
    struct sq_slice value = sq_slice(colon + 1, text.len - key.len - 1);
    if (trim_quotes(key).len == 0)
        return sq_error_set(err, SQ_EINVALID, "'%s': a tag in the filter has no name", sub->name);
    if (sq_slice_trim(value).len == 0)
        return sq_error_set(err, SQ_EINVALID, "'%s': tag '%.*s' in the filter has no value",
                            sub->name, (int)SQ_MIN(key.len, 200), (const char *)key.data);
    sub->pairs = sq_xrealloc(sub->pairs, (sub->pairs_count + 1) * sizeof *sub->pairs);
    sub->pairs[sub->pairs_count++] =
        (struct sq_tag_pair){copy_slice(trim_quotes(key)), copy_slice(trim_quotes(value))};
    return 0;
}

static int parse_filter(struct sq_submetric *sub, struct sq_error *err)
{
    struct sq_slice left = sq_slice_str(sub->suffix);
    int rc = 0;

    if (sq_slice_trim(left).len == 0)
        return sq_error_set(err, SQ_EINVALID, "'%s': the tag filter is empty", sub->name);
    for (bool more = true; more && rc == 0;) {
        const uint8_t *comma = left.len ? memchr(left.data, ',', left.len) : NULL;
        struct sq_slice part = left;
        more = comma != NULL;
        if (more) {
            part.len = (size_t)(comma - left.data);
            left = sq_slice(comma + 1, left.len - part.len - 1);
        }
        rc = parse_pair(sub, part, err);
    }
    return rc;
}

/* Splits "metric{filter}" at the first opening and the last closing brace: a value may hold braces
 * itself (`name:http://host/${}`). */
static int parse_spec(struct sq_registry *reg, const char *spec, struct sq_submetric *sub,
                      struct sq_error *err)
{
    const char *open = strchr(spec, '{'), *close = strrchr(spec, '}');

    sub->name = sq_xstrdup(spec);
    if (!open || !close || close < open || close[1])
        return sq_error_set(err, SQ_EINVALID,
                            "'%s' is not metric{tag:value}: its braces do not match", spec);
    struct sq_slice name = sq_slice_trim(sq_slice(spec, (size_t)(open - spec)));
    char *metric = sq_xstrndup((const char *)name.data, name.len);
    sub->suffix = sq_xstrndup(open + 1, (size_t)(close - open) - 1);
    sub->metric = sq_registry_find(reg, metric);
    int rc = 0;
    if (!sub->metric)
        rc = sq_error_set(err, SQ_EINVALID, "'%s': there is no metric '%s'", spec, metric);
    free(metric);
    return rc ? rc : parse_filter(sub, err);
}

int sq_registry_add_submetric(struct sq_registry *reg, const char *spec, struct sq_error *err)
{
    struct sq_submetric *sub = NULL;
    size_t count = sq_registry_submetric_count(reg);

    for (size_t i = 0; i < count; i++)
        if (strcmp(sq_registry_submetric(reg, i)->name, spec) == 0)
            return (int)i;
    sub = sq_xcalloc(1, sizeof *sub);
    int rc = parse_spec(reg, spec, sub, err);
    if (rc == 0) {
        pthread_mutex_lock(&reg->lock);
        rc = (int)reg->submetrics_count++;
        reg->submetrics =
            sq_xrealloc(reg->submetrics, reg->submetrics_count * sizeof(struct sq_submetric *));
        reg->submetrics[rc] = sub;
        pthread_mutex_unlock(&reg->lock);
        sub = NULL;
    }
    submetric_free(sub);
    return rc;
}

const struct sq_submetric *sq_registry_submetric(struct sq_registry *reg, size_t index)
{
    pthread_mutex_lock(&reg->lock);
    sq_assert(index < reg->submetrics_count);
    const struct sq_submetric *sub = reg->submetrics[index];
    pthread_mutex_unlock(&reg->lock);
    return sub;
}

size_t sq_registry_submetric_count(struct sq_registry *reg)
{
    pthread_mutex_lock(&reg->lock);
    size_t count = reg->submetrics_count;
    pthread_mutex_unlock(&reg->lock);
    return count;
}

void sq_registry_break_down(struct sq_registry *reg)
{
    pthread_mutex_lock(&reg->lock);
    reg->broken_down = true;
    pthread_mutex_unlock(&reg->lock);
}

bool sq_registry_broken_down(struct sq_registry *reg)
{
    pthread_mutex_lock(&reg->lock);
    bool broken_down = reg->broken_down;
    pthread_mutex_unlock(&reg->lock);
    return broken_down;
}
