/* SPDX-License-Identifier: Apache-2.0 */
/* Options from every source to what runs. Names of cases (EC-...) are the specification's. */
#include "engine/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "engine/options.h"

struct given {
    const char *file, *script;
    const char *env[6];   /* NULL-terminated */
    const char *flags[8]; /* NULL-terminated */
    const char *exports[4];
};

/* All levels in order, then derive. Returns 0 or k6's exit code; *cfg must be deinitialised. */
static int consolidate(const struct given *g, struct sq_config *cfg, struct sq_error *err)
{
    struct sq_flags *flags = NULL;
    int argc = 0, rc;

    while (g->flags[argc])
        argc++;
    sq_config_init(cfg);
    if (sq_flags_parse("run", argc, (char **)g->flags, &flags, err) < 0)
        return 255;
    rc = g->file ? sq_config_from_file(cfg, g->file, true, err) : 0;
    if (rc == 0)
        rc = sq_config_from_script(cfg, g->script, err);
    if (rc == 0)
        rc = sq_config_from_env(cfg, (char *const *)g->env, err);
    if (rc == 0)
        rc = sq_config_from_flags(cfg, flags, err);
    for (size_t i = 0; i < SQ_COUNT(g->exports) && g->exports[i]; i++)
        cfg->exports = (struct sq_string_list){(char **)g->exports, i + 1};
    if (rc == 0)
        rc = sq_config_derive(cfg, err);
    sq_flags_free(flags);
    return rc < 0 ? sq_config_exit_code(cfg) : 0;
}

static const struct {
    const char *name;
    struct given given;
    const char *description; /* of the first scenario */
    size_t warnings;
} good[] = {
    {"EC-1",
     {.script = "{}"},
     "1 iterations for each of 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"no options",
     {.script = NULL},
     "1 iterations for each of 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"null",
     {.script = "null"},
     "1 iterations for each of 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"EC-8",
     {.script = "{\"vus\":1,\"foo\":2,\"iterations\":1}"},
     "1 iterations shared among 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     1},
    {"EC-10 text",
     {.script = "{\"scenarios\":{\"a\":{\"executor\":\"constant-vus\",\"vus\":\"3\","
                "\"duration\":\"2s\"}}}"},
     "3 looping VUs for 2s (gracefulStop: 30s)",
     0},
    {"EC-30 script",
     {.script = "{\"vus\":2,\"iterations\":4}"},
     "4 iterations shared among 2 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"EC-30 flag",
     {.script = "{\"vus\":2,\"iterations\":4}", .flags = {"-u", "3"}},
     "4 iterations shared among 3 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"EC-30 env",
     {.script = "{\"vus\":2,\"iterations\":4}", .env = {"K6_VUS=4", "K6_ITERATIONS=8"}},
     "8 iterations shared among 4 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"EC-30 env and flag",
     {.script = "{\"vus\":2,\"iterations\":4}", .env = {"K6_VUS=4"}, .flags = {"-i9"}},
     "9 iterations shared among 4 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"squall's variable wins",
     {.env = {"K6_VUS=4", "SQUALL_VUS=5", "K6_ITERATIONS=8"}},
     "8 iterations shared among 5 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
    {"empty variable",
     {.script = "{\"vus\":2}", .env = {"K6_VUS=", "K6_DURATION="}},
     "2 iterations shared among 2 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
#define SCENARIOS "\"scenarios\":{\"a\":{\"executor\":\"constant-vus\",\"duration\":\"9s\"}}"
    {"EC-31 -i",
     {.script = "{" SCENARIOS "}", .flags = {"-i", "5"}},
     "5 iterations shared among 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     1},
    {"EC-31 -d",
     {.script = "{" SCENARIOS "}", .flags = {"-d", "1s"}},
     "1 looping VUs for 1s (gracefulStop: 30s)",
     1},
    {"EC-31 -u",
     {.script = "{" SCENARIOS "}", .flags = {"-u", "3"}},
     "3 iterations shared among 3 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     1},
    {"ENG-93 vus in the script",
     {.script = "{\"vus\":2," SCENARIOS "}"},
     "2 iterations shared among 2 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     1},
    {"EC-32",
     {.script = "{\"vus\":2,\"duration\":\"1s\",\"iterations\":3}"},
     "3 iterations shared among 2 VUs (maxDuration: 1s, gracefulStop: 30s)",
     0},
    {"EC-34 env", {.env = {"K6_DURATION=1500"}}, "1 looping VUs for 1.5s (gracefulStop: 30s)", 0},
    {"ENG-71 duration drops stages",
     {.script = "{\"stages\":[{\"duration\":\"1s\",\"target\":3}]}", .flags = {"--duration=2s"}},
     "1 looping VUs for 2s (gracefulStop: 30s)",
     0},
    {"stages by flag",
     {.flags = {"-s", "10s:5,1m30s:2", "--stage", "5s:0"}},
     "Up to 5 looping VUs for 1m45s over 3 stages (gracefulRampDown: 30s, gracefulStop: 30s)",
     0},
    {"stages by variable",
     {.env = {"K6_STAGES=10s:5,30s:0"}},
     "Up to 5 looping VUs for 40s over 2 stages (gracefulRampDown: 30s, gracefulStop: 30s)",
     0},
    {"ENG-92 stage without duration",
     {.script = "{\"stages\":[{\"target\":9},{\"duration\":\"1s\",\"target\":3}]}"},
     "Up to 3 looping VUs for 1s over 1 stages (gracefulRampDown: 30s, gracefulStop: 30s)",
     0},
    {"ENG-94 empty scenarios",
     {.script = "{\"scenarios\":{}}"},
     "1 iterations for each of 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     1},
    {"ENG-105 notes",
     {.script = "{\"scenarios\":{\"a\":{\"executor\":\"constant-vus\",\"duration\":\"1m\","
                "\"exec\":\"x\",\"startTime\":\"5s\",\"gracefulStop\":\"0s\"}}}"},
     "1 looping VUs for 1m0s (exec: x, startTime: 5s)",
     0},
    {"ENG-105 arrival",
     {.script = "{\"scenarios\":{\"a\":{\"executor\":\"constant-arrival-rate\",\"rate\":90,"
                "\"timeUnit\":\"1m\",\"duration\":\"10s\",\"preAllocatedVUs\":2,\"maxVUs\":9}}}"},
     "1.50 iterations/s for 10s (maxVUs: 2-9, gracefulStop: 30s)",
     0},
    {"ENG-105 ramping arrival",
     {.script = "{\"scenarios\":{\"a\":{\"executor\":\"ramping-arrival-rate\",\"startRate\":5,"
                "\"stages\":[{\"duration\":\"1s\",\"target\":15},{\"duration\":0,\"target\":0}],"
                "\"preAllocatedVUs\":2}}}"},
     "Up to 15.00 iterations/s for 1s over 2 stages (maxVUs: 2, gracefulStop: 30s)",
     0},
    {"bare NAME=",
     {.flags = {"-e", "A", "-e", "B=1=2"}},
     "1 iterations for each of 1 VUs (maxDuration: 10m0s, gracefulStop: 30s)",
     0},
};

SQ_TEST(config_consolidated)
{
    for (size_t c = 0; c < SQ_COUNT(good); c++) {
        struct sq_config cfg;
        struct sq_error err = {0};
        int code = consolidate(&good[c].given, &cfg, &err);
        SQ_CHECK(code == 0 && cfg.scenarios_count == 1, "%s: %s", good[c].name, err.text);
        SQ_CHECK_EQ(cfg.warnings.count, good[c].warnings, "%s", good[c].name);
        if (cfg.scenarios_count == 1) {
            char *text = sq_scenario_describe(&cfg.scenarios[0]);
            SQ_CHECK_STR(text, good[c].description);
            free(text);
        }
        sq_config_deinit(&cfg);
    }
}

#define ONE(text) "{\"scenarios\":{\"a\":{" text "}}}"
static const struct {
    const char *name;
    struct given given;
    int code;
    const char *says; /* a part of the message; NULL: anything */
} bad[] = {
    {"EC-2", {.flags = {"--nope"}}, 255, "--nope"},
    {"nearest flag", {.flags = {"--duratoin=1s"}}, 255, "--duration"},
    {"removed flag", {.flags = {"--no-summary"}}, 255, "--summary-mode"},
    {"unknown letter", {.flags = {"-X"}}, 255, "-X"},
    {"flag without value", {.flags = {"-u"}}, 255, "needs a value"},
    {"EC-9",
     {.script = ONE("\"executor\":\"constant-vus\",\"duration\":\"2s\",\"foo\":1")},
     104,
     "foo"},
    {"key of another executor",
     {.script = ONE("\"executor\":\"shared-iterations\",\"duration\":\"2s\"")},
     104,
     "no key 'duration'"},
    {"EC-10", {.script = "{\"vus\":\"abc\"}"}, 104, "vus"},
    {"EC-10 scenario",
     {.script = ONE("\"executor\":\"constant-vus\",\"vus\":1.5,\"duration\":\"2s\"")},
     104,
     "1.5"},
    {"EC-12", {.script = ONE("\"executor\":\"externally-controlled\"")}, 104, "removed"},
    {"EC-12 none", {.script = ONE("\"vus\":1")}, 104, "executor"},
    {"nearest executor", {.script = ONE("\"executor\":\"constant-vu\"")}, 104, "constant-vus"},
    {"EC-33 duration and stages",
     {.script = "{\"duration\":\"2s\",\"stages\":[{\"duration\":\"1s\",\"target\":1}]}"},
     104,
     "exclude"},
    {"EC-33 iterations and scenarios",
     {.script = "{\"iterations\":2," SCENARIOS "}"},
     104,
     "exclude"},
    {"EC-33 -d 0s", {.flags = {"-d", "0s"}}, 104, "duration"},
    {"EC-33 -u 0", {.flags = {"-u", "0", "-i", "1"}}, 104, "vus"},
    {"EC-33 fewer iterations", {.flags = {"-u", "5", "-i", "2"}}, 104, "iterations"},
    {"EC-33 -d 500ms", {.flags = {"-d", "500ms"}}, 104, "1s"},
    {"EC-34", {.flags = {"-d", "2"}}, 255, "unit"},
    {"days on the command line", {.flags = {"-d", "1d"}}, 255, NULL},
    {"EC-36 blank", {.script = "{\"duration\":\"1h 5m\"}"}, 104, "1h 5m"},
    {"EC-36 blank before unit", {.script = "{\"duration\":\"5 s\"}"}, 104, NULL},
    {"EC-36 true", {.script = "{\"duration\":true}"}, 104, NULL},
    {"EC-46 not in sequence",
     {.flags = {"--execution-segment", "0:1/2", "--execution-segment-sequence", "0,1/3,1"}},
     104,
     "sequence"},
    {"EC-46 reversed", {.flags = {"--execution-segment", "2:1"}}, 255, NULL},
    {"EC-50", {.flags = {"-e", "1X=2"}}, 255, "1X=2"},
    {"EC-21 bare string", {.script = "{\"thresholds\":{\"checks\":\"rate>0.9\"}}"}, 104, "checks"},
    {"EC-6", {.script = "{}", .exports = {"foo"}}, 104, "default"},
    {"ENG-73 no =", {.flags = {"--tag", "a"}}, 255, NULL},
    {"ENG-73 no value", {.flags = {"--tag", "a="}}, 255, NULL},
    {"ENG-73 no name", {.flags = {"--tag", "=a"}}, 255, NULL},
    {"ENG-74 variable", {.env = {"K6_VUS=x"}}, 104, "K6_VUS"},
    {"ENG-74 run-time variable", {.env = {"K6_SUMMARY_MODE=legacy"}}, 255, "K6_SUMMARY_MODE"},
    {"ENG-74 statistics", {.script = "{\"summaryTrendStats\":[\"p(101)\"]}"}, 255, "p(101)"},
    {"summary mode", {.flags = {"--summary-mode=legacy"}}, 255, "compact"},
    {"ENG-72 file missing", {.file = "/nonexistent/config.json"}, 104, "config.json"},
    {"cidr", {.flags = {"--blacklist-ip", "10.0.0.0/33"}}, 255, NULL},
    {"dns", {.flags = {"--dns", "ttl=x"}}, 255, "ttl"},
    {"dns key", {.script = "{\"dns\":{\"foo\":\"x\"}}"}, 104, "foo"},
    {"tls version", {.script = "{\"tlsVersion\":\"tls9\"}"}, 104, "tls9"},
    {"cipher", {.script = "{\"tlsCipherSuites\":[\"NOPE\"]}"}, 104, "NOPE"},
    {"tlsAuth", {.script = "{\"tlsAuth\":[{\"cert\":\"x\"}]}"}, 104, "key"},
    {"hosts", {.script = "{\"hosts\":{\"a.b\":\"nowhere\"}}"}, 104, "nowhere"},
    {"setupTimeout", {.script = "{\"setupTimeout\":0}"}, 104, "setupTimeout"},
    {"not an object", {.script = "[1]"}, 104, NULL},
    {"not JSON", {.script = "{"}, 104, "JSON"},
    {"isolation", {.flags = {"--isolation=process"}}, 255, "cell"},
    {"huge count", {.flags = {"-u", "99999999999999999999"}}, 255, NULL},
    {"ENG-119 no stages",
     {.script = ONE("\"executor\":\"ramping-vus\",\"stages\":[]")},
     104,
     "stage"},
    {"ENG-119 no target",
     {.script = ONE("\"executor\":\"ramping-vus\",\"stages\":[{\"duration\":\"1s\"}]")},
     104,
     "target"},
    {"ENG-119 all zero",
     {.script = ONE("\"executor\":\"ramping-vus\",\"startVUs\":0,"
                    "\"stages\":[{\"duration\":\"1s\",\"target\":0}]")},
     104,
     "more than 0"},
    {"ENG-119 too many",
     {.script = ONE("\"executor\":\"ramping-vus\","
                    "\"stages\":[{\"duration\":\"1s\",\"target\":100000001}]")},
     104,
     "large"},
    {"ENG-122 rate",
     {.script = ONE("\"executor\":\"constant-arrival-rate\",\"rate\":0,\"duration\":\"2s\","
                    "\"preAllocatedVUs\":1")},
     104,
     "rate"},
    {"ENG-122 maxVUs",
     {.script = ONE("\"executor\":\"constant-arrival-rate\",\"rate\":1,\"duration\":\"2s\","
                    "\"preAllocatedVUs\":2,\"maxVUs\":1")},
     104,
     "maxVUs"},
    {"ENG-124 startRate",
     {.script = ONE("\"executor\":\"ramping-arrival-rate\",\"startRate\":-1,\"preAllocatedVUs\":2,"
                    "\"stages\":[{\"duration\":\"1s\",\"target\":1}]")},
     104,
     "startRate"},
};

SQ_TEST(config_refused)
{
    for (size_t c = 0; c < SQ_COUNT(bad); c++) {
        struct sq_config cfg;
        struct sq_error err = {0};
        int code = consolidate(&bad[c].given, &cfg, &err);
        SQ_CHECK_EQ(code, bad[c].code, "%s: %.100s", bad[c].name, err.text);
        SQ_CHECK(!bad[c].says || strstr(err.text, bad[c].says), "%s: %s", bad[c].name, err.text);
        sq_config_deinit(&cfg);
    }
}

SQ_TEST(config_reports_all_problems_EC_11)
{
    static const char *const want[] = {"name", "vus must", "duration must", "'nope'"};
    const struct given g = {
        .script = "{\"scenarios\":{\"a b\":{\"executor\":\"constant-vus\",\"vus\":0,"
                  "\"duration\":\"500ms\",\"exec\":\"nope\"}}}",
        .exports = {"default"},
    };
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK_EQ(consolidate(&g, &cfg, &err), 104);
    for (size_t i = 0; i < SQ_COUNT(want); i++)
        SQ_CHECK(strstr(err.text, want[i]), "%s in: %s", want[i], err.text);
    sq_config_deinit(&cfg);
}

SQ_TEST(config_durations_shown_EC_35)
{
    static const struct {
        const char *json, *shown;
    } cases[] = {
        {"90000", "1m30s"},       {"\"90000\"", "1m30s"}, {"\"1.5m\"", "1m30s"},
        {"\"1d12h\"", "36h0m0s"}, {"\"10\"", "10ms"},     {"\"0.1\"", "100\xc2\xb5s"},
        {"1500.5", "1.5005s"},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        char *script = sq_xasprintf("{\"minIterationDuration\":%s}", cases[c].json);
        char *want = sq_xasprintf("\"minIterationDuration\": \"%s\"", cases[c].shown);
        struct sq_config cfg;
        struct sq_error err = {0};
        SQ_CHECK_EQ(consolidate(&(struct given){.script = script}, &cfg, &err), 0, "%s", script);
        char *json = sq_config_json(&cfg);
        SQ_CHECK(strstr(json, want), "%s not in %.300s", want, json);
        SQ_CHECK(strstr(json, "\"vus\": null"));
        SQ_CHECK(strstr(json, "\"throw\": null"));
        free(json);
        free(want);
        free(script);
        sq_config_deinit(&cfg);
    }
}

SQ_TEST(config_json_for_scripts_MOD_33)
{
    const struct given g = {.script = "{\"vus\":2,\"duration\":\"5s\"}"};
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK_EQ(consolidate(&g, &cfg, &err), 0);
    char *text = sq_config_json_test_options(&cfg);
    json_t *json = json_loads(text, 0, NULL);
    SQ_CHECK(!json_object_get(json, "vus") && !json_object_get(json, "duration") &&
             !json_object_get(json, "stages") && !json_object_get(json, "iterations"));
    SQ_CHECK(json_is_null(json_object_get(json, "consoleOutput")));
    SQ_CHECK(json_is_null(json_object_get(json, "localIPs")));
    SQ_CHECK(json_is_null(json_object_get(json, "noUsageReport")) == 0);
    json_t *made = json_object_get(json_object_get(json, "scenarios"), "default");
    SQ_CHECK_STR(json_string_value(json_object_get(made, "executor")), "constant-vus");
    SQ_CHECK_EQ(json_integer_value(json_object_get(made, "vus")), 2);
    SQ_CHECK(json_is_null(json_object_get(made, "exec")));
    json_decref(json);
    free(text);
    text = sq_config_json_requirements(&cfg);
    SQ_CHECK(strstr(text, "\"totalDuration\": \"35s\"") && strstr(text, "\"maxVUs\": 2"), "%s",
             text);
    free(text);
    sq_config_deinit(&cfg);
}

SQ_TEST(config_values_reach_their_fields)
{
    const struct given g = {
        .script =
            "{\"tags\":{\"a\":\"1\",\"b\":\"2\"},\"systemTags\":[\"vu\",\"url\",\"nope\"],"
            "\"dns\":{\"ttl\":\"1m\",\"select\":\"first\"},\"hosts\":{\"*.x.y\":\"1.2.3.4:80\"},"
            "\"tlsVersion\":{\"min\":\"tls1.1\",\"max\":\"tls1.3\"},\"noCookiesReset\":true,"
            "\"thresholds\":{\"m\":[\"avg<1\",{\"Threshold\":\"max<2\",\"abortonfail\":true,"
            "\"delayAbortEval\":\"3s\",\"x\":1}],\"n{a:b}\":[]},"
            "\"tlsAuth\":[{\"cert\":\"C\",\"key\":\"K\",\"domains\":[\"d\"]}],"
            "\"ext\":{\"loadimpact\":{}},\"userAgent\":\"\"}",
        .env = {"K6_DNS=select=random", "K6_OUT=json=a,csv=b", "K6_NO_COLOR=0",
                "K6_TAGS=x:y:z,k:v"},
        .flags = {"--http-debug", "-qv", "--dns=policy=any", "--throw=false", "-e", "N=1", "file"},
    };
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK_EQ(consolidate(&g, &cfg, &err), 0, "%s", err.text);
    SQ_CHECK_EQ(cfg.tags.count, 2);
    SQ_CHECK_STR(cfg.tags.items[0].key, "x");
    SQ_CHECK_STR(cfg.tags.items[0].value, "y:z");
    SQ_CHECK_EQ(cfg.system_tags, SQ_TAG_VU | SQ_TAG_URL);
    SQ_CHECK_STR(cfg.dns_ttl, "1m");
    SQ_CHECK_STR(cfg.dns_select, "random");
    SQ_CHECK_STR(cfg.dns_policy, "any");
    SQ_CHECK_STR(cfg.hosts.items[0].value, "1.2.3.4:80");
    SQ_CHECK_STR(cfg.tls_version_min, "tls1.1");
    SQ_CHECK_STR(cfg.tls_version_max, "tls1.3");
    SQ_CHECK(cfg.no_cookies_reset && cfg.quiet && cfg.verbose && cfg.no_color);
    SQ_CHECK(!cfg.throw_errors && cfg.include_system_env);
    SQ_CHECK_EQ(cfg.thresholds_count, 3);
    SQ_CHECK_STR(cfg.thresholds[1].expression, "max<2");
    SQ_CHECK(cfg.thresholds[1].abort_on_fail && !cfg.thresholds[0].abort_on_fail);
    SQ_CHECK_EQ(cfg.thresholds[1].delay_abort_eval_ns, 3 * SQ_NS_PER_S);
    SQ_CHECK(cfg.thresholds[2].expression == NULL);
    SQ_CHECK_STR(cfg.tls_auth[0].domains[0], "d");
    SQ_CHECK_EQ(cfg.out.count, 2);
    SQ_CHECK_STR(cfg.http_debug, "headers");
    SQ_CHECK_STR(cfg.user_agent, "");
    SQ_CHECK_STR(cfg.env.items[0].value, "1");
    SQ_CHECK_EQ(cfg.setup_timeout_ns, 60 * SQ_NS_PER_S);
    SQ_CHECK_EQ(cfg.max_redirects, 10);
    SQ_CHECK_EQ(cfg.summary_trend_stats.count, 6);
    SQ_CHECK_EQ(cfg.system_tags & SQ_TAG_NAME, 0);
    SQ_CHECK_EQ(cfg.warnings.count, 0);
    sq_config_deinit(&cfg);

    sq_config_init(&cfg);
    SQ_CHECK_EQ(cfg.system_tags, SQ_TAGS_DEFAULT);
    SQ_CHECK_EQ(cfg.vus, -1);
    SQ_CHECK_EQ(cfg.duration_ns, -1);
    sq_config_deinit(&cfg);
}

SQ_TEST(config_merges_tags_by_feature)
{
    struct given g = {.script = "{\"tags\":{\"a\":\"1\",\"b\":\"2\"}}",
                      .flags = {"--tag", "b=3", "--features", "merge-run-tags,nope"}};
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK_EQ(consolidate(&g, &cfg, &err), 0, "%s", err.text);
    SQ_CHECK_EQ(cfg.tags.count, 3);
    SQ_CHECK_STR(cfg.tags.items[0].value, "3");
    SQ_CHECK_STR(cfg.tags.items[1].key, "a");
    SQ_CHECK_STR(cfg.tags.items[2].key, "k6_feature_merge_run_tags");
    SQ_CHECK_EQ(cfg.warnings.count, 1);
    sq_config_deinit(&cfg);

    g.flags[2] = NULL;
    SQ_CHECK_EQ(consolidate(&g, &cfg, &err), 0);
    SQ_CHECK_EQ(cfg.tags.count, 1);
    sq_config_deinit(&cfg);
}

SQ_TEST(config_empty_system_tags_ENG_61)
{
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK_EQ(consolidate(&(struct given){.script = "{\"systemTags\":[]}"}, &cfg, &err), 0);
    SQ_CHECK_EQ(cfg.system_tags, 0);
    sq_config_deinit(&cfg);
    SQ_CHECK_EQ(consolidate(&(struct given){.flags = {"--system-tags", ""}}, &cfg, &err), 0);
    SQ_CHECK_EQ(cfg.system_tags, 0);
    sq_config_deinit(&cfg);
}

SQ_TEST(config_file_is_the_lowest_level)
{
    char path[] = "/tmp/squall-config-XXXXXX";
    int fd = mkstemp(path);
    const char text[] = "{\"vus\":3,\"iterations\":30,\"out\":[\"json=x\"],\"linger\":true,"
                        "\"workers\":2}";
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK(fd >= 0 && write(fd, text, sizeof text - 1) == sizeof text - 1);
    close(fd);
    SQ_CHECK_EQ(consolidate(&(struct given){.file = path, .script = "{\"vus\":4}"}, &cfg, &err), 0,
                "%s", err.text);
    SQ_CHECK_EQ(cfg.vus, 4);
    SQ_CHECK_EQ(cfg.iterations, 30);
    SQ_CHECK_EQ(cfg.workers, 2);
    SQ_CHECK(cfg.linger && cfg.out.count == 1);
    SQ_CHECK_EQ(cfg.warnings.count, 0);
    sq_config_deinit(&cfg);
    unlink(path);
}

SQ_TEST(config_segment_scales_scenarios)
{
    const struct given g = {
        .script = "{\"scenarios\":{\"a\":{\"executor\":\"shared-iterations\",\"vus\":10,"
                  "\"iterations\":20},\"b\":{\"executor\":\"constant-vus\",\"vus\":1,"
                  "\"duration\":\"2s\"},\"c\":{\"executor\":\"ramping-vus\",\"startVUs\":0,"
                  "\"stages\":[{\"duration\":\"1s\",\"target\":7}]}}}",
        .flags = {"--execution-segment=1/3:2/3", "--execution-segment-sequence=0,1/3,2/3,1"},
    };
    struct sq_config cfg;
    struct sq_error err = {0};

    SQ_CHECK_EQ(consolidate(&g, &cfg, &err), 0, "%s", err.text);
    SQ_CHECK_EQ(cfg.scenarios_count, 2); /* b's one VU belongs to the first part (ENG-146) */
    SQ_CHECK_STR(cfg.scenarios[0].name, "a");
    SQ_CHECK_EQ(cfg.scenarios[0].iterations, 6);
    SQ_CHECK_EQ(cfg.scenarios[0].vus, 3);
    SQ_CHECK_EQ(sq_scenarios_vus_max(&cfg.scenarios[1], 1), 2);
    sq_config_deinit(&cfg);
}

SQ_TEST(flags_are_GNU_style_ENG_5)
{
    char *argv[] = {"-u=7", "a.js", "--out", "json=x", "-ocsv=y", "--", "-z", NULL};
    struct sq_flags *flags;
    struct sq_error err = {0};
    char *const *args, *const *outs, *env[] = {"K6_CONFIG=k6", "SQUALL_CONFIG=sq", NULL};

    SQ_CHECK_EQ(sq_flags_parse("run", 7, argv, &flags, &err), 0, "%s", err.text);
    SQ_CHECK_EQ(sq_flags_args(flags, &args), 2);
    SQ_CHECK_STR(args[0], "a.js");
    SQ_CHECK_STR(args[1], "-z");
    SQ_CHECK_STR(sq_flags_get(flags, "vus"), "7");
    SQ_CHECK(sq_flags_get(flags, "duration") == NULL);
    SQ_CHECK_EQ(sq_flags_values(flags, "out", &outs), 2);
    SQ_CHECK_STR(outs[1], "csv=y");
    SQ_CHECK_STR(sq_flags_or_env(flags, env, "config"), "sq");
    SQ_CHECK(!sq_flags_help(flags));
    sq_flags_free(flags);

    char *dash[] = {"-", "-h", NULL};
    SQ_CHECK_EQ(sq_flags_parse("inspect", 2, dash, &flags, &err), 0);
    SQ_CHECK(sq_flags_help(flags));
    SQ_CHECK_EQ(sq_flags_args(flags, &args), 1);
    sq_flags_free(flags);

    char *wrong[] = {"-u", "5", NULL}; /* options of `run` are none of `inspect` */
    SQ_CHECK_EQ(sq_flags_parse("inspect", 2, wrong, &flags, &err), SQ_EINVALID);
    SQ_CHECK(flags == NULL);
}

SQ_TEST(options_table_is_sound)
{
    for (size_t i = 0; i < sq_options_count; i++) {
        const struct sq_option *o = &sq_options[i];
        SQ_CHECK(o->flag || o->key, "row %zu", i);
        SQ_CHECK(!(o->traits & SQ_OPT_SHOWN) || o->key, "row %zu", i);
        SQ_CHECK(!o->flag || o->help || (o->traits & SQ_OPT_SILENT), "%s", o->flag);
        SQ_CHECK(!o->flag || o->type == SQ_OPT_SWITCH || o->arg, "%s", o->flag);
        for (size_t j = 0; j < i; j++) {
            const struct sq_option *p = &sq_options[j];
            SQ_CHECK(!o->flag || !p->flag || strcmp(o->flag, p->flag) != 0, "%s", o->flag);
            SQ_CHECK(!o->key || !p->key || strcmp(o->key, p->key) != 0, "%s", o->key);
            SQ_CHECK(!o->letter || o->letter != p->letter || !(o->commands & p->commands), "%c",
                     o->letter);
        }
    }
}

SQ_TEST(help_lists_flags_of_the_command)
{
    char *run = sq_help("run"), *inspect = sq_help("inspect"), *all = sq_help("");

    SQ_CHECK(strstr(run, "  -u, --vus N") && strstr(run, "--isolation KIND"));
    SQ_CHECK(!strstr(run, "no-usage-report"));
    SQ_CHECK(!strstr(inspect, "--vus") && strstr(inspect, "--execution-requirements"));
    SQ_CHECK(strstr(all, "archive") && strstr(all, "echo"));
    free(run);
    free(inspect);
    free(all);
}

static const char rich[] =
    "{\"scenarios\":{\"a\":{\"executor\":\"ramping-vus\",\"startVUs\":1,\"gracefulRampDown\":"
    "\"3s\","
    "\"stages\":[{\"duration\":\"10s\",\"target\":20},{\"duration\":0,\"target\":\"5\"}],"
    "\"env\":{\"A\":\"b\"},\"tags\":{\"t\":\"u\"},\"startTime\":\"1m\"},"
    "\"b\":{\"executor\":\"constant-arrival-rate\",\"rate\":10,\"timeUnit\":\"1s\",\"duration\":"
    "\"1d2h\",\"preAllocatedVUs\":1,\"maxVUs\":7,\"exec\":\"f\"},"
    "\"c\":{\"executor\":\"ramping-arrival-rate\",\"startRate\":3,\"preAllocatedVUs\":2,"
    "\"stages\":[{\"duration\":\"9s\",\"target\":2}]},"
    "\"d\":{\"executor\":\"per-vu-iterations\",\"vus\":2,\"iterations\":3,\"maxDuration\":9000}},"
    "\"thresholds\":{\"m{a:b}\":[\"avg<1\",{\"threshold\":\"p(9)<1\",\"abortOnFail\":true}]},"
    "\"tags\":{\"x\":\"y\"},\"systemTags\":[\"vu\"],\"dns\":{\"ttl\":\"1m\"},"
    "\"hosts\":{\"*.a\":\"::1\",\"b:80\":\"[::1]:9\"},\"tlsVersion\":{\"min\":\"tls1.2\"},"
    "\"blacklistIPs\":[\"10.0.0.0/8\",\"::/0\"],\"tlsAuth\":[{\"cert\":\"c\",\"key\":\"k\"}],"
    "\"executionSegment\":\"1/3:2/3\",\"executionSegmentSequence\":\"0,1/3,2/3,1\","
    "\"summaryTrendStats\":[\"p(99.9)\"],\"setupTimeout\":\"5s\",\"userAgent\":\"x\"}";

/* Whatever a script exports: 0, or words and a code; never a crash, never an endless plan. */
static void survives(const char *text)
{
    struct sq_config cfg;
    struct sq_error err = {0};

    sq_config_init(&cfg);
    int rc = sq_config_from_script(&cfg, text, &err);
    if (rc == 0)
        rc = sq_config_derive(&cfg, &err);
    SQ_CHECK(rc == 0 || (rc == SQ_EINVALID && err.text[0]), "%.100s", text);
    SQ_CHECK(rc == 0 || sq_config_exit_code(&cfg) == 104 || sq_config_exit_code(&cfg) == 255,
             "%.100s", text);
    for (size_t i = 0; rc == 0 && i < cfg.scenarios_count; i++)
        free(sq_scenario_describe(&cfg.scenarios[i]));
    if (rc == 0)
        free(sq_config_json_requirements(&cfg));
    sq_config_deinit(&cfg);
}

SQ_TEST(config_survives_hostile_options)
{
    static const char bytes[] = "{}[]\",:0123456789-.eE \\ntu%/hsm\xc3\xff\x01";
    char text[sizeof rich];
    unsigned seed = 11;

    survives(rich);
    for (size_t len = 0; len < sizeof rich; len++) {
        memcpy(text, rich, len);
        text[len] = '\0';
        survives(text);
    }
    for (int round = 0; round < 4000; round++) {
        memcpy(text, rich, sizeof rich);
        for (int change = 0; change < 1 + round % 3; change++)
            text[(size_t)rand_r(&seed) % (sizeof rich - 1)] =
                bytes[(size_t)rand_r(&seed) % (sizeof bytes - 1)];
        survives(text);
    }
}

static json_t *replaced_value(unsigned *seed)
{
    static const char *const texts[] = {"",      "x",    "-5",  "1h",       "99999999999999h",
                                        "0.5:1", "100%", "a b", "\xc2\xb5", "p(1e9)"};

    switch (rand_r(seed) % 10) {
    case 0:
        return json_null();
    case 1:
        return json_true();
    case 2:
        return json_real(1.5e300);
    case 3:
        return json_array();
    case 4:
        return json_object();
    case 5:
        return json_integer(INT64_MAX);
    case 6:
        return json_integer(INT64_MIN);
    case 7:
        return json_integer(rand_r(seed) % 5 - 1);
    default:
        return json_string(texts[(size_t)rand_r(seed) % SQ_COUNT(texts)]);
    }
}

/* Replaces one value somewhere below `node`. */
static void replace_somewhere(json_t *node, unsigned *seed)
{
    size_t count = json_is_object(node) ? json_object_size(node) : json_array_size(node), at;
    void *iter;

    if (count == 0)
        return;
    at = (size_t)rand_r(seed) % count;
    if (json_is_array(node)) {
        if (rand_r(seed) % 3)
            replace_somewhere(json_array_get(node, at), seed);
        else
            json_array_set_new(node, at, replaced_value(seed));
        return;
    }
    iter = json_object_iter(node);
    while (at--)
        iter = json_object_iter_next(node, iter);
    json_t *child = json_object_iter_value(iter);
    if (rand_r(seed) % 3 && (json_is_object(child) || json_is_array(child)))
        replace_somewhere(child, seed);
    else
        json_object_iter_set_new(node, iter, replaced_value(seed));
}

SQ_TEST(config_survives_values_of_other_types)
{
    unsigned seed = 5;

    for (int round = 0; round < 4000; round++) {
        json_t *root = json_loads(rich, 0, NULL);
        for (int change = 0; change < 1 + round % 3; change++)
            replace_somewhere(root, &seed);
        char *text = json_dumps(root, JSON_COMPACT);
        survives(text);
        free(text);
        json_decref(root);
    }
}
