/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/threshold.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/test.h"

struct fixture {
    struct sq_registry *reg;
    struct sq_tag_table *table;
    struct sq_shard *shard;
    struct sq_totals *totals;
    struct sq_thresholds *thresholds;
    const struct sq_metric *counter, *gauge, *rate, *trend;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){.reg = sq_registry_new(), .table = sq_tag_table_new()};
    f->totals = sq_totals_new(f->reg);
    SQ_CHECK_EQ(sq_registry_add(f->reg, "cc", SQ_COUNTER, 0, &f->counter, NULL), 0);
    SQ_CHECK_EQ(sq_registry_add(f->reg, "gg", SQ_GAUGE, 0, &f->gauge, NULL), 0);
    SQ_CHECK_EQ(sq_registry_add(f->reg, "rr", SQ_RATE, 0, &f->rate, NULL), 0);
    SQ_CHECK_EQ(sq_registry_add(f->reg, "tt", SQ_TREND, 0, &f->trend, NULL), 0);
}

static int define(struct fixture *f, const char *metric, const char *expression,
                  struct sq_error *err)
{
    struct sq_threshold_spec spec = {metric, expression, false, 0};

    sq_thresholds_free(f->thresholds);
    return sq_thresholds_new(f->reg, &spec, 1, false, &f->thresholds, err);
}

static void sample(struct fixture *f, const struct sq_metric *metric, const char *key,
                   const char *value, double number)
{
    struct sq_tag_pair p = {sq_slice_str(key), sq_slice_str(value)};
    struct sq_tagset *set = sq_tagset_with(f->table, NULL, &p, 1);

    if (!f->shard)
        f->shard = sq_shard_new(f->reg, false);
    sq_shard_add(f->shard, metric->id, set, NULL, 1, number);
    sq_tagset_unref(set);
    sq_totals_merge(f->totals, f->shard);
}

static void teardown(struct fixture *f)
{
    sq_thresholds_free(f->thresholds);
    sq_shard_free(f->shard);
    sq_totals_free(f->totals);
    sq_tag_table_free(f->table);
    sq_registry_free(f->reg);
}

SQ_TEST(ec_20_counter)
{
    struct fixture f;
    setup(&f);
    struct sq_threshold_spec specs[] = {{"cc", "count>5", false, 0}, {"cc", "count<100", false, 0}};

    SQ_CHECK_EQ(sq_thresholds_new(f.reg, specs, 2, false, &f.thresholds, NULL), 0);
    sample(&f, f.counter, "a", "x", 1);
    struct sq_thresholds_result result =
        sq_thresholds_eval(f.thresholds, f.totals, SQ_NS_PER_S, true);
    SQ_CHECK_EQ(result.failed, 1);
    SQ_CHECK(sq_thresholds_at(f.thresholds, 0)->failed &&
             !sq_thresholds_at(f.thresholds, 1)->failed);
    char *names = sq_thresholds_failed_names(f.thresholds);
    SQ_CHECK_STR(names, "cc");
    free(names);
    SQ_CHECK(sq_thresholds_on(f.thresholds, f.counter->id, -1));
    SQ_CHECK(!sq_thresholds_on(f.thresholds, f.trend->id, -1));
    teardown(&f);
}

SQ_TEST(ec_21_ec_24_ec_26_refused)
{
    static const struct {
        const char *metric, *expression, *words;
    } cases[] = {
        {"unknown", "count>5", "there is no metric 'unknown'"},
        {"iteration", "count>5", "did you mean 'iterations'?"},
        {"cc", "foo>5", "'foo' is none of avg"},
        {"cc", "avg>5", "a counter has no 'avg', only count and rate"},
        {"gg", "rate>5", "a gauge has no 'rate', only value"},
        {"rr", "count>5", "a rate has no 'count', only rate"},
        {"tt", "avg<16ms", "'16ms' is not a plain number"},
        {"tt", "p(150)<16", "p(150)"},
        {"tt", "p(-1)<16", "p(-1)"},
        {"tt", "p()<16", "p()"},
        {"tt", "avg<5 || max<10", "'5 || max<10' is not a plain number"},
        {"tt", "avg=<16", "'avg=' is none of"},
        {"tt", "avg<", "no comparison"},
        {"tt", "avg< ", "is not a plain number"},
        {"tt", "", "no comparison"},
        {"tt", "-1<avg", "'-1' is none of"},
        {"tt", "count<16", "a trend has no 'count'"},
        {"tt", "avg<nan", "not a plain number"},
        {"tt{}", "avg==10", "filter is empty"},
        {"tt{ }", "avg==10", "filter is empty"},
        {"tt{a}", "avg==10", "not tag:value"},
        {"tt{a:}", "avg==10", "has no value"},
        {"tt{:b}", "avg==10", "has no name"},
        {"tt{a:x,}", "avg==10", "not tag:value"},
        {"tt{a:x", "avg==10", "braces"},
        {"tta:x}", "avg==10", "braces"},
        {"tt}a:x{", "avg==10", "braces"},
        {"tt{a:x}y", "avg==10", "braces"},
        {"nope{a:x}", "avg==10", "there is no metric 'nope'"},
    };
    struct fixture f;
    setup(&f);

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_error err = {0};
        SQ_CHECK_EQ(define(&f, cases[i].metric, cases[i].expression, &err), SQ_EINVALID, "%s %s",
                    cases[i].metric, cases[i].expression);
        SQ_CHECK(strstr(err.text, cases[i].words), "%s %s: %s", cases[i].metric,
                 cases[i].expression, err.text);
        SQ_CHECK(strstr(err.text, cases[i].expression), "names the expression: %s", err.text);
        SQ_CHECK(f.thresholds == NULL);
        /* EC-22 */
        struct sq_threshold_spec spec = {cases[i].metric, cases[i].expression, false, 0};
        SQ_CHECK_EQ(sq_thresholds_new(f.reg, &spec, 1, true, &f.thresholds, NULL), 0);
        SQ_CHECK_EQ(sq_thresholds_count(f.thresholds), 0);
    }
    teardown(&f);
}

SQ_TEST(ec_22_no_thresholds_still_tracks)
{
    struct fixture f;
    setup(&f);
    struct sq_threshold_spec spec = {"cc{a:x}", "nonsense", false, 0};

    SQ_CHECK_EQ(sq_thresholds_new(f.reg, &spec, 1, true, &f.thresholds, NULL), 0);
    SQ_CHECK_EQ(sq_registry_submetric_count(f.reg), 2);
    sample(&f, f.counter, "a", "x", 3);
    SQ_CHECK_NEAR(sq_sink_stats(sq_totals_submetric(f.totals, 1)).sum, 3, 0);
    teardown(&f);
}

SQ_TEST(ec_23_trend_expressions)
{
    static const struct {
        const char *expression;
        bool ok;
    } cases[] = {
        {"p(50)==15", true},       {"med===15", true}, {" avg  <  16 ", true},
        {"p(99.9) < 2e1", true},   {"p(0)==10", true}, {"p(100)==20", true},
        {"min>-1", true},          {"max!=20", false}, {"max>=20", true},
        {"max<=19.99", false},     {"avg==15", true},  {"avg<+15.5", true},
        {"p(25.5)<.125e2", false}, {"p(.5)>10", true},
    };
    struct fixture f;
    setup(&f);

    sample(&f, f.trend, "a", "x", 10);
    sample(&f, f.trend, "a", "y", 20);
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_error err = {0};
        SQ_CHECK_EQ(define(&f, "tt", cases[i].expression, &err), 0, "%s", cases[i].expression);
        SQ_CHECK_EQ(sq_thresholds_eval(f.thresholds, f.totals, 1, true).failed, !cases[i].ok, "%s",
                    cases[i].expression);
    }
    teardown(&f);
}

SQ_TEST(ec_25_ec_27_filters)
{
    struct sq_threshold_spec specs[] = {
        {"tt{a:x}", "avg==10", false, 0},
        {"tt{ a : x }", "avg==10", false, 0},
        {"tt{a:\"x\"}", "avg==10", false, 0},
        {"tt{'a':' x '}", "avg==10", false, 0},
        {"rr{u:http://a/b:c}", "rate==1", false, 0},
        {"rr{u:http://a/${}}", "rate==0.5", false, 0},
        {"tt{a:x,b:y}", "avg==0", false, 0},
    };
    struct fixture f;
    setup(&f);

    SQ_CHECK_EQ(sq_thresholds_new(f.reg, specs, SQ_COUNT(specs), false, &f.thresholds, NULL), 0);
    sample(&f, f.trend, "a", "x", 10);
    sample(&f, f.trend, "a", "other", 20);
    sample(&f, f.rate, "u", "http://a/b:c", 1);
    sample(&f, f.rate, "u", "http://a/${}", 1);
    sample(&f, f.rate, "u", "http://a/${}", 0);
    SQ_CHECK_EQ(sq_thresholds_eval(f.thresholds, f.totals, 1, true).failed, 0);
    for (size_t i = 0; i < SQ_COUNT(specs); i++)
        SQ_CHECK(!sq_thresholds_at(f.thresholds, i)->failed, "%s", specs[i].metric);
    teardown(&f);
}

SQ_TEST(ec_28_abort_on_fail)
{
    struct fixture f;
    setup(&f);
    struct sq_threshold_spec spec = {"tt", "max<5", true, 3 * SQ_NS_PER_S};

    SQ_CHECK_EQ(sq_thresholds_new(f.reg, &spec, 1, false, &f.thresholds, NULL), 0);
    SQ_CHECK(!sq_thresholds_eval(f.thresholds, f.totals, 4 * SQ_NS_PER_S, false).abort);
    sample(&f, f.trend, "a", "x", 10);
    struct sq_thresholds_result at_2s, at_4s, at_end;
    at_2s = sq_thresholds_eval(f.thresholds, f.totals, 2 * SQ_NS_PER_S, false);
    at_4s = sq_thresholds_eval(f.thresholds, f.totals, 4 * SQ_NS_PER_S, false);
    at_end = sq_thresholds_eval(f.thresholds, f.totals, 4 * SQ_NS_PER_S, true);
    SQ_CHECK(at_2s.failed == 1 && !at_2s.abort);
    SQ_CHECK(at_4s.failed == 1 && at_4s.abort);
    SQ_CHECK(at_end.failed == 1 && !at_end.abort);
    teardown(&f);
}

SQ_TEST(ec_29_eng_185_without_samples)
{
    static const struct {
        const char *metric, *expression;
        int64_t elapsed_ns;
        bool failed;
    } cases[] = {
        {"checks", "rate>0.9", SQ_NS_PER_S, false}, {"cc", "count>0", SQ_NS_PER_S, true},
        {"cc", "count==0", SQ_NS_PER_S, false},     {"cc", "rate>1", 0, false},
        {"cc", "rate>1", SQ_NS_PER_S, true},        {"gg", "value==0", SQ_NS_PER_S, false},
        {"gg", "value>0", SQ_NS_PER_S, true},       {"tt", "avg==10", SQ_NS_PER_S, true},
        {"tt", "p(95)<500", SQ_NS_PER_S, false},    {"tt{a:b}", "min==0", SQ_NS_PER_S, false},
    };
    struct fixture f;
    setup(&f);

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        SQ_CHECK_EQ(define(&f, cases[i].metric, cases[i].expression, NULL), 0);
        SQ_CHECK_EQ(sq_thresholds_eval(f.thresholds, f.totals, cases[i].elapsed_ns, false).failed,
                    0, "periodic evaluations skip %s", cases[i].metric);
        SQ_CHECK_EQ(sq_thresholds_eval(f.thresholds, f.totals, cases[i].elapsed_ns, true).failed,
                    cases[i].failed, "%s %s", cases[i].metric, cases[i].expression);
    }
    teardown(&f);
}

SQ_TEST(eng_186_rates)
{
    struct fixture f;
    setup(&f);

    sample(&f, f.counter, "a", "x", 30);
    SQ_CHECK_EQ(define(&f, "cc", "rate==20", NULL), 0);
    SQ_CHECK_EQ(sq_thresholds_eval(f.thresholds, f.totals, 1500 * SQ_NS_PER_MS, true).failed, 0);
    SQ_CHECK_EQ(sq_thresholds_eval(f.thresholds, f.totals, 1600 * SQ_NS_PER_MS, true).failed, 1);
    teardown(&f);
}

/* Whatever a script writes is an expression or an error with words, never more. */
SQ_TEST(threshold_parser_takes_any_bytes)
{
    static const char alphabet[] = "p(95)avgt{}:,'\" <>=!.-e19rc\xc3\xa9";
    struct fixture f;
    uint64_t seed = 11;
    int good = 0;
    setup(&f);

    for (int i = 0; i < 20000; i++) {
        char key[24] = "tt", expression[24] = "p(95)<1.5e3";
        for (int change = 0; change < 1 + i % 4; change++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            uint64_t r = seed >> 33;
            char c = alphabet[r % (sizeof alphabet - 1)];
            expression[r / 64 % 11] = c;
            if (i % 2)
                memcpy(key, "tt{a:b,c:d}", 12), key[r / 64 % 11] = c;
        }
        struct sq_error err = {0};
        int rc = define(&f, key, expression, &err);
        SQ_CHECK(rc == 0 || (rc == SQ_EINVALID && err.text[0]), "%s %s", key, expression);
        good += rc == 0;
    }
    SQ_CHECK(good > 100 && good < 19900, "%d", good);
    teardown(&f);
}
