/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "output/output_kit.h"

#define DEFAULT_HEADER                                                                          \
    "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method," \
    "name,proto,scenario,service,status,subproto,tls_version,url,extra_tags,metadata\n"

enum { DEADLINE_S = 20 };
static const int64_t at_ns = INT64_C(1795391710) * SQ_NS_PER_S; /* 2026-11-22T23:55:10Z */

/* Runs samples through `spec` (%s: the file) and compares the file. */
static void golden(struct sq_output_kit *kit, const char *spec_format, const char *want)
{
    char *spec = sq_xasprintf("csv=%s%s", spec_format, kit->path);

    SQ_CHECK_EQ(sq_output_kit_run(kit, spec, DEADLINE_S * SQ_NS_PER_S), 0);
    char *text = sq_output_kit_read(kit->path);
    SQ_CHECK_STR(text, want);
    free(text);
    free(spec);
}

SQ_TEST(mc_10_csv_header)
{
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "a.csv");
    golden(&kit, "", DEFAULT_HEADER);
    sq_output_kit_deinit(&kit);
}

SQ_TEST(met_61_csv_columns_are_the_enabled_system_tags)
{
    struct sq_config config = {.system_tags = SQ_TAG_URL | SQ_TAG_IP | SQ_TAG_VU | SQ_TAG_ITER |
                                              SQ_TAG_OCSP_STATUS};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "a.csv");
    kit.env.config = &config;
    sq_output_kit_sample(&kit, SQ_M_CHECKS,
                         (char *[]){"check=c", "ip=1.2.3.4", "url=u", "zz=1", NULL}, NULL, at_ns,
                         1);
    golden(&kit, "",
           "metric_name,timestamp,metric_value,ip,ocsp_status,url,extra_tags,metadata\n"
           "checks,1795391710,1.000000,1.2.3.4,,u,check=c&zz=1,\n");
    config.system_tags = 0;
    sq_output_kit_sample(&kit, SQ_M_CHECKS, NULL, NULL, at_ns, 0);
    golden(&kit, "",
           "metric_name,timestamp,metric_value,extra_tags,metadata\n"
           "checks,1795391710,0.000000,,\n");
    sq_output_kit_deinit(&kit);
}

SQ_TEST(mc_11_met_62_csv_cells)
{
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "a.csv");
    sq_output_kit_sample(
        &kit, SQ_M_WS_PING,
        (char *[]){"group=::a, b", "k \xc3\xa9=v,\"q\"", "scenario=default", "url= lead", NULL},
        (char *[]){"vu=1", "iter=0", NULL}, at_ns + 999999999, 2.5);
    sq_output_kit_sample(&kit, SQ_M_DATA_SENT, (char *[]){"name=two\nlines", NULL}, NULL, at_ns,
                         -1e9);
    golden(&kit, "",
           DEFAULT_HEADER
           "ws_ping,1795391710,2.500000,,,,,\"::a, b\",,,,default,,,,,\" lead\","
           "\"k \xc3\xa9=v,\"\"q\"\"\",iter=0&vu=1\n"
           "data_sent,1795391710,-1000000000.000000,,,,,,,\"two\nlines\",,,,,,,,,\n");
    sq_output_kit_deinit(&kit);
}

SQ_TEST(mc_12_met_62_csv_time_formats)
{
    static const struct {
        const char *format, *want;
    } cases[] = {
        {"unix", "1795391710"},
        {"unix_milli", "1795391710557"},
        {"unix_micro", "1795391710557819"},
        {"unix_nano", "1795391710557819939"},
        {"rfc3339", "2026-11-22T23:55:10Z"},
        {"rfc3339_nano", "2026-11-22T23:55:10.557819939Z"},
    };
    struct sq_config config = {0};

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_output_kit kit;
        char spec[80], want[200], variable[80];

        snprintf(variable, sizeof variable, "K6_CSV_TIME_FORMAT=%s", cases[i].format);
        snprintf(spec, sizeof spec, "timeFormat=%s,saveInterval=200ms,fileName=", cases[i].format);
        snprintf(want, sizeof want,
                 "metric_name,timestamp,metric_value,extra_tags,metadata\n"
                 "vus,%s,3.000000,,\n",
                 cases[i].want);
        sq_output_kit_init(&kit, NULL, "a.csv");
        kit.env.config = &config;
        sq_output_kit_sample(&kit, SQ_M_VUS, NULL, NULL, at_ns + 557819939, 3);
        golden(&kit, spec, want);
        kit.env.variables = (char *[]){variable, NULL};
        sq_output_kit_sample(&kit, SQ_M_VUS, NULL, NULL, at_ns + 557819939, 3);
        golden(&kit, "", want);
        sq_output_kit_deinit(&kit);
    }
}

SQ_TEST(met_60_csv_settings)
{
    static const struct {
        const char *spec, *variable, *words;
        int rc;
    } cases[] = {
        {"csv=timeFormat=unit", "X=", "time format 'unit' is none of", SQ_EINVALID},
        {"csv=x,y=1", "X=", "'x' is not KEY=VALUE", SQ_EINVALID},
        {"csv=nope=1", "X=", "there is no setting 'nope'", SQ_EINVALID},
        {"csv=/dev/null", "K6_CSV_SAVE_INTERVAL=soon", "K6_CSV_SAVE_INTERVAL: 'soon' is not a",
         SQ_EINVALID},
        {"csv", "K6_CSV_FILENAME=/nonexistent/dir/f", "cannot write '/nonexistent/dir/f'", -ENOENT},
        {"csv=/nonexistent/a", "K6_CSV_FILENAME=/dev/null", "cannot write '/nonexistent/a'",
         -ENOENT},
        {"csv", "SQUALL_CSV_FILENAME=/nonexistent/b", "cannot write '/nonexistent/b'", -ENOENT},
    };
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "a.csv");
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *specs[] = {(char *)cases[i].spec};
        struct sq_outputs *outputs;
        struct sq_error err = {0};
        kit.env.variables = (char *[]){(char *)cases[i].variable, NULL};
        SQ_CHECK_EQ(sq_outputs_open(specs, 1, &kit.env, &outputs, &err), cases[i].rc, "%s",
                    cases[i].spec);
        SQ_CHECK(strstr(err.text, cases[i].words) != NULL, "%s", err.text);
    }
    sq_output_kit_deinit(&kit);
}

SQ_TEST(csv_disk_full_is_said_once)
{
    struct sq_output_kit kit;

    if (access("/dev/full", W_OK) != 0)
        return; /* not Linux enough */
    sq_output_kit_init(&kit, NULL, "unused");
    for (int i = 0; i < 5000; i++)
        sq_output_kit_sample(&kit, SQ_M_ITERATIONS, NULL, NULL, at_ns, 1);
    SQ_CHECK_EQ(sq_output_kit_run(&kit, "csv=/dev/full", DEADLINE_S * SQ_NS_PER_S), 0);
    const char *said = strstr(sq_output_kit_log(&kit), "No space left on device");
    SQ_CHECK(said && !strstr(said + 1, "No space left"), "%s", sq_output_kit_log(&kit));
    sq_output_kit_deinit(&kit);
}
