/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"
#include "base/test.h"

static const struct {
    const char *text;
    enum sq_duration_form form;
    const char *want; /* NULL: refused */
} cases[] = {
    {"90000", SQ_DURATION_OPTION, "1m30s"},   {"1.5m", SQ_DURATION_OPTION, "1m30s"},
    {"1d12h", SQ_DURATION_OPTION, "36h0m0s"}, {"1d", SQ_DURATION_OPTION, "24h0m0s"},
    {"10", SQ_DURATION_OPTION, "10ms"},       {"0.1", SQ_DURATION_OPTION, "100\xc2\xb5s"},
    {"1h 5m", SQ_DURATION_OPTION, NULL},      {"5 s", SQ_DURATION_OPTION, NULL},
    {"", SQ_DURATION_OPTION, NULL},           {"true", SQ_DURATION_OPTION, NULL},
    {"-5s", SQ_DURATION_OPTION, "-5s"},       {"+5s", SQ_DURATION_UNITS, "5s"},
    {"2", SQ_DURATION_UNITS, NULL},           {"1d", SQ_DURATION_UNITS, NULL},
    {"0", SQ_DURATION_UNITS, "0s"},           {"1m30s", SQ_DURATION_UNITS, "1m30s"},
    {"1us", SQ_DURATION_UNITS, "1\xc2\xb5s"}, {"1500us", SQ_DURATION_UNITS, "1.5ms"},
    {"s", SQ_DURATION_UNITS, NULL},           {".s", SQ_DURATION_UNITS, NULL},
    {"1e3s", SQ_DURATION_UNITS, NULL},        {"9999999h", SQ_DURATION_UNITS, NULL},
    {"3600s", SQ_DURATION_UNITS, "1h0m0s"},   {"999ns", SQ_DURATION_UNITS, "999ns"},
};

SQ_TEST(duration_reads_and_prints_normal_form)
{
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        int64_t ns;
        char out[40];
        int rc = sq_duration_parse(cases[i].text, cases[i].form, &ns);
        SQ_CHECK_EQ(rc, cases[i].want ? 0 : SQ_EINVALID, "%s", cases[i].text);
        if (rc < 0 || !cases[i].want)
            continue;
        sq_duration_format(ns, out);
        SQ_CHECK_STR(out, cases[i].want);
    }
}
