/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

/* The run behind the example of ENG-241. */
struct run {
    struct sq_registry *reg;
    struct sq_tag_table *table;
    struct sq_shard *shard;
    struct sq_totals *totals;
    struct sq_thresholds *thresholds;
    struct sq_check_tree *checks;
    struct sq_report_input in;
};

static char *const stats[] = {"avg", "p(90)", "p(99.99)", "count"};

static void begin(struct run *run, const struct sq_threshold_spec *specs, size_t count, bool full)
{
    *run = (struct run){.reg = sq_registry_new(), .table = sq_tag_table_new()};
    static const struct {
        const char *name;
        enum sq_metric_type type;
    } custom[] = {{"my_c", SQ_COUNTER}, {"my_g", SQ_GAUGE}, {"my_r", SQ_RATE}, {"my_t", SQ_TREND}};
    const struct sq_metric *unused;
    struct sq_error err = {0};
    for (size_t i = 0; i < SQ_COUNT(custom); i++)
        SQ_CHECK_EQ(sq_registry_add(run->reg, custom[i].name, custom[i].type, SQ_CONTAINS_DEFAULT,
                                    &unused, NULL),
                    0);
    SQ_CHECK_EQ(sq_thresholds_new(run->reg, specs, count, false, &run->thresholds, &err), 0, "%s",
                err.text);
    if (full)
        sq_registry_break_down(run->reg);
    run->shard = sq_shard_new(run->reg, false);
    run->totals = sq_totals_new(run->reg);
    run->checks = sq_check_tree_new();
    run->in = (struct sq_report_input){.registry = run->reg,
                                       .totals = run->totals,
                                       .thresholds = run->thresholds,
                                       .checks = run->checks,
                                       .run_ns = 1594238,
                                       .trend_stats = stats,
                                       .trend_stats_count = SQ_COUNT(stats),
                                       .time_unit = "",
                                       .mode = full ? SQ_SUMMARY_FULL : SQ_SUMMARY_COMPACT};
}

static void add_tagged(struct run *run, const char *metric, double value,
                       const struct sq_tag_pair *pairs, size_t count)
{
    struct sq_tagset *set = sq_tagset_with(run->table, NULL, pairs, count);

    sq_shard_add(run->shard, sq_registry_find(run->reg, metric)->id, set, NULL, 1, value);
    sq_tagset_unref(set);
}

static void add(struct run *run, const char *metric, double value)
{
    add_tagged(run, metric, value, NULL, 0);
}

static void add_check(struct run *run, const char *scenario, const char *group, const char *name,
                      bool pass, int64_t wall_ns)
{
    struct sq_tag_pair pairs[] = {{sq_slice_str("scenario"), sq_slice_str(scenario)},
                                  {sq_slice_str("group"), sq_slice_str(group)}};

    add_tagged(run, "checks", pass, pairs, 2);
    sq_checks_add_in(run->checks, sq_slice_str(scenario), sq_slice_str(group), sq_slice_str(name),
                     pass, wall_ns);
}

static void finish(struct run *run)
{
    sq_totals_merge(run->totals, run->shard);
    sq_thresholds_eval(run->thresholds, run->totals, run->in.run_ns, true);
}

static void end(struct run *run)
{
    sq_thresholds_free(run->thresholds);
    sq_check_tree_free(run->checks);
    sq_shard_free(run->shard);
    sq_totals_free(run->totals);
    sq_tag_table_free(run->table);
    sq_registry_free(run->reg);
}

static const struct sq_threshold_spec example_specs[] = {{"my_c{x:1}", "count>0", false, 0},
                                                         {"checks", "rate>0.5", false, 0}};

static void begin_example(struct run *run)
{
    struct sq_tag_pair x = {sq_slice_str("x"), sq_slice_str("1")};
    static const double durations_ms[] = {0.03885, 0.049388, 0.207546};

    begin(run, example_specs, SQ_COUNT(example_specs), false);
    for (int i = 0; i < 3; i++) {
        add_check(run, "default", "", "is one", true, 10 + i);
        add_check(run, "default", "::g", "in g", i != 0, 20 + i);
        add_tagged(run, "my_c", 2, &x, 1);
        add(run, "my_g", i - 2 ? 0 : -2);
        add(run, "my_r", i);
        add(run, "my_t", i + 1);
        add(run, "iteration_duration", durations_ms[i]);
        add(run, "iterations", 1);
    }
    add(run, "data_received", 0);
    finish(run);
}

SQ_TEST(eng_241_example_to_the_letter)
{
    struct run run;

    begin_example(&run);
    char *text = sq_report_text(&run.in);
    SQ_CHECK_STR(text,
                 "\n"
                 "  █ THRESHOLDS \n"
                 "\n"
                 "    checks\n"
                 "    ✓ 'rate>0.5' rate=83.33%\n"
                 "\n"
                 "    my_c{x:1}\n"
                 "    ✓ 'count>0' count=6\n"
                 "\n"
                 "\n"
                 "  █ TOTAL RESULTS \n"
                 "\n"
                 "    checks_total.......: 6      3763.553497/s\n"
                 "    checks_succeeded...: 83.33% 5 out of 6\n"
                 "    checks_failed......: 16.66% 1 out of 6\n"
                 "\n"
                 "    ✓ is one\n"
                 "    ✗ in g\n"
                 "      ↳  66% — ✓ 2 / ✗ 1\n"
                 "\n"
                 "    CUSTOM\n"
                 "    my_c.................: 6      3763.553497/s\n"
                 "      { x:1 }............: 6      3763.553497/s\n"
                 "    my_g.................: -2     min=-2        max=0\n"
                 "    my_r.................: 66.66% 2 out of 3\n"
                 "    my_t.................: avg=2       p(90)=2.8      p(99.99)=2.9998   count=3\n"
                 "\n"
                 "    EXECUTION\n"
                 "    iteration_duration...: avg=98.59µs p(90)=175.91µs p(99.99)=207.51µs count=3\n"
                 "    iterations...........: 3      1881.776749/s\n"
                 "\n"
                 "    NETWORK\n"
                 "    data_received........: 0 B    0 B/s\n"
                 "\n"
                 "\n");
    free(text);
    end(&run);
}

SQ_TEST(eng_247_colours_on_request)
{
    struct run run;

    begin_example(&run);
    run.in.colour = true;
    char *text = sq_report_text(&run.in);
    SQ_CHECK(strstr(text, "\x1b[32m✓ is one\x1b[0m"));
    SQ_CHECK(strstr(text, "\x1b[31m✗ in g\x1b[0m"));
    SQ_CHECK(strstr(text, "█ \x1b[1mTHRESHOLDS\x1b[0m \n"));
    static const char rate[] = "    my_r\x1b[2m.................:\x1b[0m \x1b[36m66.66%\x1b[0m "
                               "\x1b[36;2m2 out of 3\x1b[0m\n";
    SQ_CHECK(strstr(text, rate));
    free(text);
    end(&run);
}

SQ_TEST(ec_20_thresholds_nested_and_failed)
{
    static const struct sq_threshold_spec specs[] = {
        {"my_c", "count>5", false, 0},     {"my_c", "count<100", false, 0},
        {"my_c{a:b}", "rate<1", false, 0}, {"my_t", "p(95)<500", false, 0},
        {"my_g", "value!=0", false, 0},    {"iteration_duration", " max < 3 ", false, 0},
    };
    struct run run;

    begin(&run, specs, SQ_COUNT(specs), false);
    run.in.run_ns = SQ_NS_PER_S;
    add(&run, "my_c", 1);
    add(&run, "iteration_duration", 1500);
    finish(&run);
    char *text = sq_report_body(&run.in);
    static const char want[] = "  █ THRESHOLDS \n"
                               "\n"
                               "    iteration_duration\n"
                               "    ✗ ' max < 3 ' max=1.5s\n"
                               "\n"
                               "    my_c\n"
                               "    ✗ 'count>5' count=1\n"
                               "    ✓ 'count<100' count=1\n"
                               "\n"
                               "      {a:b}\n"
                               "      ✓ 'rate<1' rate=0/s\n"
                               "\n"
                               "    my_g\n"
                               "    ✗ 'value!=0' value=0\n"
                               "\n"
                               "    my_t\n"
                               "    ✓ 'p(95)<500' p(95)=0\n"
                               "\n"
                               "\n"
                               "  █ TOTAL RESULTS \n"
                               "\n"
                               "    CUSTOM\n";
    SQ_CHECK_EQ(strncmp(text, want, strlen(want)), 0, "\n%s", "see below");
    if (strncmp(text, want, strlen(want)) != 0)
        printf("%s\n", text);
    SQ_CHECK(strstr(text, "      { a:b }............: 0 0/s\n"), "%s", text); /* ENG-189 */
    SQ_CHECK(strstr(text, "my_t.................: avg=0    p(90)=0    p(99.99)=0    count=0\n"));
    free(text);
    end(&run);
}

SQ_TEST(eng_242_eng_243_sections_and_hidden_metrics)
{
    struct run run;
    const struct sq_metric *ws;

    begin(&run, NULL, 0, false);
    SQ_CHECK_EQ(sq_registry_add(run.reg, "ws_mine", SQ_COUNTER, SQ_CONTAINS_DATA, &ws, NULL), 0);
    add(&run, "ws_mine", 4900);
    add(&run, "ws_ping", 2);
    add(&run, "group_duration", 5);
    add(&run, "http_req_blocked", 5);
    add(&run, "http_req_duration", 5);
    run.in.run_ns = 10 * SQ_NS_PER_S;
    run.in.ws_sessions_cut = 12;
    run.in.time_unit = "us";
    finish(&run);
    char *text = sq_report_body(&run.in);
    SQ_CHECK_STR(text, "  █ TOTAL RESULTS \n"
                       "\n"
                       "    HTTP\n"
                       "    http_req_duration...: avg=5000.00µs p(90)=5000.00µs p(99.99)=5000.00µs "
                       "count=1\n"
                       "\n"
                       "    WEBSOCKET\n"
                       "    ws_mine.............: 4.9 kB 490 B/s\n"
                       "    ws_ping.............: avg=2000.00µs p(90)=2000.00µs p(99.99)=2000.00µs "
                       "count=1\n"
                       "    ws_sessions_cut.....: 12     still open at the end of the run, not in "
                       "ws_session_duration");
    free(text);
    run.in.mode = SQ_SUMMARY_FULL;
    text = sq_report_body(&run.in);
    SQ_CHECK(strstr(text, "http_req_blocked....:") && !strstr(text, "group_duration"));
    free(text);
    end(&run);
}

SQ_TEST(eng_243_full_mode_groups_and_scenarios)
{
    struct run run;
    static const char *const scenarios[] = {"default", "zz", "aa"};

    begin(&run, NULL, 0, true);
    run.in.run_ns = SQ_NS_PER_S;
    for (size_t i = 0; i < SQ_COUNT(scenarios); i++) {
        struct sq_tag_pair pairs[] = {{sq_slice_str("scenario"), sq_slice_str(scenarios[i])},
                                      {sq_slice_str("group"), sq_slice_str("::outer::inner")}};
        add_tagged(&run, "my_c", (double)i + 1, pairs, 2);
        add_tagged(&run, "iterations", 1, pairs, 1);
    }
    struct sq_tag_pair setup = {sq_slice_str("group"), sq_slice_str("::setup")};
    add_tagged(&run, "my_c", 100, &setup, 1);
    add_check(&run, "aa", "::outer", "fine", true, 5);
    finish(&run);
    char *text = sq_report_body(&run.in);
    const char *groups = strstr(text, "\n\n\n  █ GROUP");
    SQ_CHECK_STR(groups ? groups : text, "\n\n\n"
                                         "  █ GROUP: outer \n"
                                         "\n"
                                         "    ↳ GROUP: inner \n"
                                         "\n"
                                         "      CUSTOM\n"
                                         "      my_c...: 1 1/s\n"
                                         "\n"
                                         "\n"
                                         "  █ SCENARIO: aa \n"
                                         "\n"
                                         "    checks_total.......: 1       1/s\n"
                                         "    checks_succeeded...: 100.00% 1 out of 1\n"
                                         "    checks_failed......: 0.00%   0 out of 1\n"
                                         "\n"
                                         "    ✓ fine\n"
                                         "\n"
                                         "    CUSTOM\n"
                                         "    my_c.........: 3 3/s\n"
                                         "\n"
                                         "    EXECUTION\n"
                                         "    iterations...: 1 1/s\n"
                                         "\n"
                                         "    ↳ GROUP: outer \n"
                                         "\n"
                                         "      checks_total.......: 1       1/s\n"
                                         "      checks_succeeded...: 100.00% 1 out of 1\n"
                                         "      checks_failed......: 0.00%   0 out of 1\n"
                                         "\n"
                                         "      ✓ fine\n"
                                         "\n"
                                         "      ↳ GROUP: inner \n"
                                         "\n"
                                         "        CUSTOM\n"
                                         "        my_c...: 3 3/s\n"
                                         "\n"
                                         "\n"
                                         "  █ SCENARIO: zz \n"
                                         "\n"
                                         "    CUSTOM\n"
                                         "    my_c.........: 2 2/s\n"
                                         "\n"
                                         "    EXECUTION\n"
                                         "    iterations...: 1 1/s\n"
                                         "\n"
                                         "    ↳ GROUP: outer \n"
                                         "\n"
                                         "      ↳ GROUP: inner \n"
                                         "\n"
                                         "        CUSTOM\n"
                                         "        my_c...: 2 2/s");
    free(text);
    end(&run);
}

SQ_TEST(eng_250_data_for_handle_summary)
{
    struct run run;

    begin(&run, example_specs, SQ_COUNT(example_specs), false);
    add_check(&run, "s", "::a::b", "c", true, 20);
    add_check(&run, "t", "::a::b", "c", false, 30);
    add_check(&run, "s", "", "first", true, 10);
    add(&run, "my_g", 4);
    add(&run, "my_t", 3);
    add(&run, "my_t", 1);
    run.in.run_ns = 2 * SQ_NS_PER_S;
    run.in.stdout_tty = true;
    run.in.setup_data = "{\"token\":[1,null]}";
    finish(&run);
    char *text = sq_report_data(&run.in);
    SQ_CHECK_STR(
        text,
        "{\"metrics\":{"
        "\"checks\":{\"type\":\"rate\",\"contains\":\"default\",\"values\":{"
        "\"rate\":0.6666666666666666,\"passes\":2,\"fails\":1},"
        "\"thresholds\":{\"rate>0.5\":{\"ok\":true}}},"
        "\"my_c{x:1}\":{\"type\":\"counter\",\"contains\":\"default\",\"values\":{"
        "\"count\":0,\"rate\":0},\"thresholds\":{\"count>0\":{\"ok\":false}}},"
        "\"my_g\":{\"type\":\"gauge\",\"contains\":\"default\",\"values\":{"
        "\"value\":4,\"min\":4,\"max\":4}},"
        "\"my_t\":{\"type\":\"trend\",\"contains\":\"default\",\"values\":{"
        "\"avg\":2,\"p(90)\":2.8,\"p(99.99)\":2.9997999999999996,\"count\":2}}},"
        "\"root_group\":{\"name\":\"\",\"path\":\"\",\"id\":\"d41d8cd98f00b204e9800998ecf8427e\","
        "\"groups\":[{\"name\":\"a\",\"path\":\"::a\",\"id\":\"bbf5ee9e65399b518cbae210b4c64962\","
        "\"groups\":[{\"name\":\"b\",\"path\":\"::a::b\","
        "\"id\":\"7dd4103b2f1a7305f971d430101027b7\",\"groups\":[],"
        "\"checks\":[{\"name\":\"c\",\"path\":\"::a::b::c\","
        "\"id\":\"d40668cd3d3563c04d6aad5a2086ca69\",\"passes\":1,\"fails\":1}]}],"
        "\"checks\":[]}],"
        "\"checks\":[{\"name\":\"first\",\"path\":\"::first\","
        "\"id\":\"638f639344ae9a3ba511c0b4c526cd39\",\"passes\":1,\"fails\":0}]},"
        "\"options\":{\"summaryTrendStats\":[\"avg\",\"p(90)\",\"p(99.99)\",\"count\"],"
        "\"summaryTimeUnit\":\"\",\"noColor\":false},"
        "\"state\":{\"isStdOutTTY\":true,\"isStdErrTTY\":false,\"testRunDurationMs\":2000},"
        "\"setup_data\":{\"token\":[1,null]}}");
    free(text);
    end(&run);
}

SQ_TEST(ec_64_summary_export)
{
    static const struct sq_threshold_spec specs[] = {{"my_t", "avg<2", false, 0}};
    struct run run;

    begin(&run, specs, 1, false);
    add_check(&run, "s", "", "ok", true, 1);
    add(&run, "my_t", 2);
    run.in.run_ns = SQ_NS_PER_S;
    finish(&run);
    char *text = sq_report_export(&run.in);
    SQ_CHECK_STR(text, "{\n"
                       "    \"root_group\": {\n"
                       "        \"name\": \"\",\n"
                       "        \"path\": \"\",\n"
                       "        \"id\": \"d41d8cd98f00b204e9800998ecf8427e\",\n"
                       "        \"groups\": {},\n"
                       "        \"checks\": {\n"
                       "            \"ok\": {\n"
                       "                \"name\": \"ok\",\n"
                       "                \"path\": \"::ok\",\n"
                       "                \"id\": \"2385b52f13b6c5244d846734f1757fa3\",\n"
                       "                \"passes\": 1,\n"
                       "                \"fails\": 0\n"
                       "            }\n"
                       "        }\n"
                       "    },\n"
                       "    \"metrics\": {\n"
                       "        \"checks\": {\n"
                       "            \"value\": 1,\n"
                       "            \"passes\": 1,\n"
                       "            \"fails\": 0\n"
                       "        },\n"
                       "        \"my_t\": {\n"
                       "            \"avg\": 2,\n"
                       "            \"p(90)\": 2,\n"
                       "            \"p(99.99)\": 2,\n"
                       "            \"count\": 1,\n"
                       "            \"thresholds\": {\n"
                       "                \"avg<2\": true\n"
                       "            }\n"
                       "        }\n"
                       "    }\n"
                       "}");
    free(text);
    end(&run);
}

SQ_TEST(eng_253_machine_readable)
{
    static char *const wanted[] = {"avg", "p(95)"};
    struct run run;

    begin(&run, NULL, 0, false);
    add_check(&run, "s", "", "ok", true, 1);
    add_check(&run, "s", "::g", "ok", false, 2);
    add(&run, "iteration_duration", 2);
    run.in.run_ns = 1500 * SQ_NS_PER_MS;
    run.in.trend_stats = wanted;
    run.in.trend_stats_count = 2;
    run.in.script = "export default () => {}\n";
    run.in.k6_version = "2.2.0";
    run.in.wall_ns = 0;
    finish(&run);
    char *text = sq_report_machine(&run.in);
    static const char *const parts[] = {
        "{\n    \"version\": \"1.0.0\",\n    \"metadata\": {\n"
        "        \"generated_at\": \"1970-01-01T00:00:00Z\",\n"
        "        \"k6_version\": \"2.2.0\"\n    },\n",
        "        \"duration\": 1.5,\n        \"execution\": \"local\",\n"
        "        \"script\": \"export default () => {}\\n\"\n",
        "\"name\": \"checks_failed\",\n                    \"type\": \"rate\",\n"
        "                    \"contains\": \"default\",\n                    \"values\": {\n"
        "                        \"matches\": 1,\n                        \"total\": 2,\n"
        "                        \"rate\": 0.5\n",
        "                    \"name\": \"ok\",\n                    \"passes\": 1,\n"
        "                    \"fails\": 1\n",
        "                    \"avg\": 2,\n                    \"min\": null,\n"
        "                    \"med\": null,\n                    \"max\": null,\n"
        "                    \"p90\": null,\n                    \"p95\": 2\n",
    };
    for (size_t i = 0; i < SQ_COUNT(parts); i++)
        SQ_CHECK(strstr(text, parts[i]), "part %zu of\n%s", i, text);
    SQ_CHECK(!strstr(text, "setup_data") && !strstr(text, "thresholds"));
    free(text);
    end(&run);
}

SQ_TEST(report_of_nothing)
{
    struct run run;

    begin(&run, NULL, 0, true);
    run.in.run_ns = 0;
    run.in.checks = NULL;
    finish(&run);
    char *text = sq_report_text(&run.in), *data = sq_report_data(&run.in);
    char *flat = sq_report_export(&run.in), *machine = sq_report_machine(&run.in);
    SQ_CHECK_STR(text, "\n  █ TOTAL RESULTS \n\n\n");
    SQ_CHECK(strstr(data, "\"metrics\":{},") && !strstr(data, "setup_data"));
    SQ_CHECK(strstr(flat, "\"metrics\": {}"));
    SQ_CHECK(strstr(machine, "\"metrics\": []"));
    free(text);
    free(data);
    free(flat);
    free(machine);
    end(&run);
}
