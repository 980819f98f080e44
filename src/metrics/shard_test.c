/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"
#include "metrics/metrics.h"
#include "metrics/sink.h"

static struct sq_tagset *set_of(struct sq_tag_table *table, const char *key, const char *value)
{
    struct sq_tag_pair p = {sq_slice_str(key), sq_slice_str(value)};

    return sq_tagset_with(table, NULL, &p, 1);
}

SQ_TEST(met_10_builtins_exist)
{
    static const struct {
        const char *name;
        uint32_t id;
        enum sq_metric_type type;
        enum sq_metric_contains contains;
    } want[] = {
        {"vus", SQ_M_VUS, SQ_GAUGE, SQ_CONTAINS_DEFAULT},
        {"iteration_duration", SQ_M_ITERATION_DURATION, SQ_TREND, SQ_CONTAINS_TIME},
        {"data_received", SQ_M_DATA_RECEIVED, SQ_COUNTER, SQ_CONTAINS_DATA},
        {"checks", SQ_M_CHECKS, SQ_RATE, SQ_CONTAINS_DEFAULT},
        {"ws_ping", SQ_M_WS_PING, SQ_TREND, SQ_CONTAINS_TIME},
        {"ws_msgs_received", SQ_M_WS_MSGS_RECEIVED, SQ_COUNTER, SQ_CONTAINS_DEFAULT},
        {"http_req_failed", SQ_M_HTTP_REQ_FAILED, SQ_RATE, SQ_CONTAINS_DEFAULT},
    };
    struct sq_registry *reg = sq_registry_new();

    for (size_t i = 0; i < SQ_COUNT(want); i++) {
        const struct sq_metric *m = sq_registry_find(reg, want[i].name);
        SQ_CHECK(m && m->id == want[i].id && m->type == want[i].type &&
                     m->contains == want[i].contains,
                 "%s", want[i].name);
    }
    for (uint32_t id = 0; id < SQ_METRIC_BUILTIN_COUNT; id++)
        SQ_CHECK(sq_registry_get(reg, id)->name[0] && sq_registry_get(reg, id)->id == id);
    SQ_CHECK(sq_registry_get(reg, SQ_METRIC_BUILTIN_COUNT) == NULL);
    SQ_CHECK(sq_registry_find(reg, "nope") == NULL);
    sq_registry_free(reg);
}

SQ_TEST(mc_4_mc_5_metric_names_and_clashes)
{
    char longest[132];
    memset(longest, 'x', sizeof longest);
    longest[129] = '\0';
    char too_long[132];
    memset(too_long, 'x', sizeof too_long);
    too_long[130] = '\0';
    const struct {
        const char *name;
        enum sq_metric_type type;
        enum sq_metric_contains contains;
        bool ok;
        const char *words;
    } cases[] = {
        {"a", SQ_COUNTER, SQ_CONTAINS_DEFAULT, false, "not a metric name"},
        {"a b", SQ_COUNTER, SQ_CONTAINS_DEFAULT, false, "not a metric name"},
        {"1a", SQ_COUNTER, SQ_CONTAINS_DEFAULT, false, "not a metric name"},
        {"", SQ_COUNTER, SQ_CONTAINS_DEFAULT, false, "not a metric name"},
        {longest, SQ_COUNTER, SQ_CONTAINS_DEFAULT, true, NULL},
        {too_long, SQ_COUNTER, SQ_CONTAINS_DEFAULT, false, "not a metric name"},
        {"_1", SQ_COUNTER, SQ_CONTAINS_DEFAULT, true, NULL},
        {"mine", SQ_COUNTER, SQ_CONTAINS_DEFAULT, true, NULL},
        {"mine", SQ_COUNTER, SQ_CONTAINS_DEFAULT, true, NULL},
        {"mine", SQ_GAUGE, SQ_CONTAINS_DEFAULT, false, "exists already as a counter, not a gauge"},
        {"http_reqs", SQ_TREND, SQ_CONTAINS_DEFAULT, false, "exists already"},
        {"iteration_duration", SQ_TREND, SQ_CONTAINS_DEFAULT, false, "kind 'time', not 'default'"},
        {"ws_sessions", SQ_COUNTER, SQ_CONTAINS_DEFAULT, true, NULL},
    };
    struct sq_registry *reg = sq_registry_new();

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        const struct sq_metric *m;
        struct sq_error err = {0};
        int rc = sq_registry_add(reg, cases[i].name, cases[i].type, cases[i].contains, &m, &err);
        SQ_CHECK_EQ(rc, cases[i].ok ? 0 : SQ_EINVALID, "case %zu", i);
        SQ_CHECK(cases[i].ok ? m && strcmp(m->name, cases[i].name) == 0 : m == NULL, "%zu", i);
        SQ_CHECK(cases[i].ok || strstr(err.text, cases[i].words), "%s", err.text);
    }
    for (int i = 0; i < 500; i++) {
        char name[32];
        const struct sq_metric *m;
        snprintf(name, sizeof name, "many_%d", i);
        SQ_CHECK_EQ(sq_registry_add(reg, name, SQ_RATE, SQ_CONTAINS_DEFAULT, &m, NULL), 0);
    }
    SQ_CHECK_STR(sq_registry_find(reg, "many_0")->name, "many_0");
    SQ_CHECK_EQ(sq_registry_count(reg), SQ_METRIC_BUILTIN_COUNT + 3 + 500);
    sq_registry_free(reg);
}

SQ_TEST(shard_totals_and_reuse)
{
    struct sq_registry *reg = sq_registry_new();
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_shard *shards[2] = {sq_shard_new(reg, false), sq_shard_new(reg, false)};
    struct sq_totals *totals = sq_totals_new(reg);

    SQ_CHECK(sq_totals_metric(totals, SQ_M_ITERATIONS) == NULL);
    for (int round = 0; round < 3; round++)
        for (int s = 0; s < 2; s++) {
            for (int i = 1; i <= 3; i++) {
                sq_shard_add(shards[s], SQ_M_ITERATIONS, sq_tagset_empty(table), NULL, round, 1);
                sq_shard_add(shards[s], SQ_M_WS_PING, sq_tagset_empty(table), NULL, round, i);
            }
            sq_totals_merge(totals, shards[s]);
        }
    SQ_CHECK_NEAR(sq_sink_stats(sq_totals_metric(totals, SQ_M_ITERATIONS)).sum, 18, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(sq_totals_metric(totals, SQ_M_WS_PING), 50), 2, 0);
    SQ_CHECK(sq_totals_metric(totals, SQ_M_CHECKS) == NULL);
    sq_totals_merge(totals, shards[0]); /* empty now: adds nothing */
    SQ_CHECK_EQ(sq_sink_stats(sq_totals_metric(totals, SQ_M_WS_PING)).count, 18);
    SQ_CHECK(sq_shard_take_samples(shards[0]) == NULL);
    sq_totals_free(totals);
    sq_shard_free(shards[0]);
    sq_shard_free(shards[1]);
    sq_tag_table_free(table);
    sq_registry_free(reg);
}

/* MET-9 with more sub-metrics than a word has bits, and tag sets that come, go and come again. */
SQ_TEST(shard_many_submetrics)
{
    enum { SUBS = 150 };
    struct sq_registry *reg = sq_registry_new();
    struct sq_tag_table *table = sq_tag_table_new();
    char spec[64], value[16];
    int first = -1;

    for (int i = 0; i < SUBS; i++) {
        snprintf(spec, sizeof spec, "iterations{ id : %d }", i);
        int index = sq_registry_add_submetric(reg, spec, NULL);
        first = first < 0 ? index : first;
        SQ_CHECK_EQ(index, first + i);
        SQ_CHECK_EQ(sq_registry_add_submetric(reg, spec, NULL), index, "the same again");
    }
    struct sq_shard *shard = sq_shard_new(reg, false);
    struct sq_totals *totals = sq_totals_new(reg);
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < SUBS + 10; i++) {
            snprintf(value, sizeof value, "%d", i);
            struct sq_tagset *set = set_of(table, "id", value);
            sq_shard_add(shard, SQ_M_ITERATIONS, set, NULL, 0, 1);
            sq_shard_add(shard, SQ_M_VUS, set, NULL, 0, 1);
            sq_tagset_unref(set); /* gone: its address is used again by another set */
        }
    sq_totals_merge(totals, shard);
    for (int i = 0; i < SUBS; i++) {
        const struct sq_sink *sink = sq_totals_submetric(totals, (size_t)(first + i));
        SQ_CHECK(sink && sq_sink_stats(sink).sum == 20, "sub-metric %d", i);
    }
    SQ_CHECK(sq_totals_submetric(totals, 0) == NULL, "no http request was made");
    sq_totals_free(totals);
    sq_shard_free(shard);
    sq_tag_table_free(table);
    sq_registry_free(reg);
}

SQ_TEST(eng_190_expected_response)
{
    struct sq_registry *reg = sq_registry_new();
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_shard *shard = sq_shard_new(reg, false);
    struct sq_totals *totals = sq_totals_new(reg);
    struct sq_tagset *yes = set_of(table, "expected_response", "true");
    struct sq_tagset *no = set_of(table, "expected_response", "false");

    sq_shard_add(shard, SQ_M_HTTP_REQ_DURATION, yes, NULL, 0, 5);
    sq_shard_add(shard, SQ_M_HTTP_REQ_DURATION, no, NULL, 0, 7);
    sq_totals_merge(totals, shard);
    SQ_CHECK_STR(sq_registry_submetric(reg, 0)->name, "http_req_duration{expected_response:true}");
    SQ_CHECK_EQ(sq_sink_stats(sq_totals_submetric(totals, 0)).count, 1);
    SQ_CHECK_EQ(sq_sink_stats(sq_totals_metric(totals, SQ_M_HTTP_REQ_DURATION)).count, 2);
    sq_tagset_unref(yes);
    sq_tagset_unref(no);
    sq_totals_free(totals);
    sq_shard_free(shard);
    sq_tag_table_free(table);
    sq_registry_free(reg);
}

SQ_TEST(shard_keeps_samples_and_their_tags)
{
    struct sq_registry *reg = sq_registry_new();
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_shard *shard = sq_shard_new(reg, true);
    int seen = 0;

    for (int i = 0; i < 2000; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        struct sq_tagset *set = set_of(table, "n", value), *meta = set_of(table, "iter", value);
        sq_shard_add(shard, SQ_M_ITERATIONS, set, i % 2 ? meta : NULL, i, i);
        sq_tagset_unref(set);
        sq_tagset_unref(meta);
    }
    struct sq_sample_batch *batch = sq_shard_take_samples(shard), *next;
    SQ_CHECK(sq_shard_take_samples(shard) == NULL);
    for (; batch; batch = next) {
        next = batch->next;
        for (size_t i = 0; i < batch->count; i++, seen++) {
            SQ_CHECK_EQ(batch->samples[i].wall_ns, seen);
            char want[16];
            snprintf(want, sizeof want, "%d", seen);
            SQ_CHECK(sq_slice_eq(sq_tagset_get(batch->samples[i].tags, "n"), sq_slice_str(want)));
            SQ_CHECK((batch->samples[i].metadata != NULL) == (bool)(seen & 1));
        }
        sq_sample_batch_free(batch);
    }
    SQ_CHECK_EQ(seen, 2000);
    SQ_CHECK_EQ(sq_tag_table_count(table), 0);
    sq_shard_add(shard, SQ_M_ITERATIONS, sq_tagset_empty(table), NULL, 0, 1);
    sq_shard_free(shard); /* with a batch that nobody took */
    sq_tag_table_free(table);
    sq_registry_free(reg);
}

SQ_TEST(shard_breakdown_by_scenario_and_group)
{
    struct sq_registry *reg = sq_registry_new();
    struct sq_tag_table *table = sq_tag_table_new();
    sq_registry_break_down(reg);
    struct sq_shard *shard = sq_shard_new(reg, false);
    struct sq_totals *totals = sq_totals_new(reg);
    struct sq_tag_pair pairs[] = {{sq_slice_str("scenario"), sq_slice_str("s1")},
                                  {sq_slice_str("group"), sq_slice_str("::g")}};
    struct sq_tagset *set = sq_tagset_with(table, NULL, pairs, 2);

    for (int round = 0; round < 2; round++) {
        sq_shard_add(shard, SQ_M_ITERATIONS, set, NULL, 0, 1);
        sq_shard_add(shard, SQ_M_ITERATIONS, sq_tagset_empty(table), NULL, 0, 1);
        sq_totals_merge(totals, shard);
    }
    SQ_CHECK_EQ(sq_totals_slice_count(totals), 2);
    SQ_CHECK_STR(sq_totals_slice_name(totals, 0).scenario, "s1");
    SQ_CHECK_STR(sq_totals_slice_name(totals, 0).group, "::g");
    SQ_CHECK_STR(sq_totals_slice_name(totals, 1).group, "");
    SQ_CHECK_NEAR(sq_sink_stats(sq_totals_slice_metric(totals, 0, SQ_M_ITERATIONS)).sum, 2, 0);
    SQ_CHECK(sq_totals_slice_metric(totals, 0, SQ_M_CHECKS) == NULL);
    sq_tagset_unref(set);
    sq_totals_free(totals);
    sq_shard_free(shard);
    sq_tag_table_free(table);
    sq_registry_free(reg);
}

SQ_TEST(totals_take_what_another_process_measured)
{
    struct sq_registry *reg = sq_registry_new();
    struct sq_totals *here = sq_totals_new(reg), *there = sq_totals_new(reg);

    for (int i = 1; i <= 3; i++) {
        sq_sink_add(sq_totals_sink(there, SQ_M_HTTP_REQ_DURATION, -1), 1, i);
        sq_sink_add(sq_totals_sink(there, SQ_M_HTTP_REQ_DURATION, 0), 1, 10 * i);
    }
    for (int sub = -1; sub <= 0; sub++) {
        const struct sq_sink *from = sub < 0 ? sq_totals_metric(there, SQ_M_HTTP_REQ_DURATION)
                                             : sq_totals_submetric(there, 0);
        struct sq_sink_stats stats = sq_sink_stats(from);
        struct sq_sink_content content = sq_sink_content(from);
        struct sq_sink *into = sq_totals_sink(here, SQ_M_HTTP_REQ_DURATION, sub);
        SQ_CHECK_EQ(sq_sink_restore(into, &stats, &content), 0);
    }
    const struct sq_sink *metric = sq_totals_metric(here, SQ_M_HTTP_REQ_DURATION);
    SQ_CHECK_NEAR(sq_sink_percentile(metric, 50), 2, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(sq_totals_submetric(here, 0), 50), 20, 0);
    sq_totals_free(here);
    sq_totals_free(there);
    sq_registry_free(reg);
}

struct worker {
    struct sq_registry *reg;
    struct sq_tag_table *table;
    struct sq_shard *shard;
    char name[16];
};

static void *work(void *user)
{
    struct worker *w = user;
    const struct sq_metric *shared, *own;

    if (sq_registry_add(w->reg, "shared_trend", SQ_TREND, SQ_CONTAINS_TIME, &shared, NULL) < 0 ||
        sq_registry_add(w->reg, w->name, SQ_COUNTER, SQ_CONTAINS_DEFAULT, &own, NULL) < 0)
        abort();
    for (int i = 0; i < 10000; i++) {
        struct sq_tagset *set = set_of(w->table, "id", i % 2 ? "odd" : "even");
        sq_shard_add(w->shard, shared->id, set, NULL, i, i % 100);
        sq_shard_add(w->shard, own->id, set, NULL, i, 1);
        sq_shard_add(w->shard, SQ_M_ITERATIONS, set, NULL, i, 1);
        sq_tagset_unref(set);
    }
    return NULL;
}

SQ_TEST(shards_of_several_threads)
{
    struct sq_registry *reg = sq_registry_new();
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_totals *totals = sq_totals_new(reg);
    struct worker workers[4];
    pthread_t threads[4];
    int odd = sq_registry_add_submetric(reg, "iterations{id:odd}", NULL);

    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){reg, table, sq_shard_new(reg, true), ""};
        snprintf(workers[i].name, sizeof workers[i].name, "own_%d", i);
        SQ_CHECK_EQ(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sq_totals_merge(totals, workers[i].shard);
        sq_shard_free(workers[i].shard);
    }
    uint32_t trend = sq_registry_find(reg, "shared_trend")->id;
    SQ_CHECK_EQ(sq_sink_stats(sq_totals_metric(totals, trend)).count, 40000);
    SQ_CHECK_NEAR(sq_sink_percentile(sq_totals_metric(totals, trend), 50), 49.5, 0.5);
    SQ_CHECK_NEAR(sq_sink_stats(sq_totals_submetric(totals, (size_t)odd)).sum, 20000, 0);
    SQ_CHECK_EQ(sq_tag_table_count(table), 0);
    sq_totals_free(totals);
    sq_tag_table_free(table);
    sq_registry_free(reg);
}
