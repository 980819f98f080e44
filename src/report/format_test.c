/* SPDX-License-Identifier: Apache-2.0 */
#include "report/format.h"

#include <math.h>

#include "base/test.h"

SQ_TEST(eng_245_numbers)
{
    static const struct {
        double in;
        const char *out;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {3, "3"},
        {-2, "-2"},
        {2.5, "2.5"},
        {3763.5534971, "3763.553497"},
        {1.0 / 3, "0.333333"},
        {0.0078125, "0.007813"}, /* a tie: away from zero */
        {-0.0078125, "-0.007813"},
        {1e-7, "0"},
        {-1e-7, "0"},
        {1e15, "1000000000000000"},
        {1e21, "1e+21"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char out[SQ_FORMAT_LEN];
        sq_format_number(cases[i].in, out);
        SQ_CHECK_STR(out, cases[i].out);
    }
}

SQ_TEST(eng_245_percent_is_truncated)
{
    static const struct {
        double in;
        const char *out;
    } cases[] = {
        {0, "0.00%"},        {1, "100.00%"},      {5.0 / 6, "83.33%"}, {1.0 / 6, "16.66%"},
        {2.0 / 3, "66.66%"}, {0.99999, "99.99%"}, {0.5, "50.00%"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char out[SQ_FORMAT_LEN];
        sq_format_percent(cases[i].in, out);
        SQ_CHECK_STR(out, cases[i].out);
    }
}

SQ_TEST(eng_245_bytes)
{
    static const struct {
        double in;
        const char *out;
    } cases[] = {
        {0, "0 B"},       {9, "9 B"},       {3.25, "3.25 B"},     {10, "10 B"},
        {999, "999 B"},   {1000, "1.0 kB"}, {4900, "4.9 kB"},     {519000, "519 kB"},
        {76123, "76 kB"}, {9950, "10 kB"},  {1500000, "1.5 MB"},  {12.5e9, "13 GB"},
        {2e12, "2.0 TB"}, {-5, "-5 B"},     {1e30, "1000000 YB"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char out[SQ_FORMAT_LEN];
        sq_format_bytes(cases[i].in, out);
        SQ_CHECK_STR(out, cases[i].out);
    }
}

SQ_TEST(eng_245_time)
{
    static const struct {
        double ms;
        const char *unit, *out;
    } cases[] = {
        {0, "", "0s"},
        {0.0005129, "", "512ns"},
        {0.09859, "", "98.59µs"},
        {0.1, "", "100µs"},
        {0.99999, "", "999.99µs"},
        {1, "", "1ms"},
        {148.219, NULL, "148.21ms"},
        {999.999, "", "999.99ms"},
        {1000, "", "1s"},
        {2500, "", "2.5s"},
        {59999, "", "59.99s"},
        {60000, "", "1m0s"},
        {90000, "", "1m30s"},
        {90999, "", "1m30s"},
        {3600000, "", "1h0m0s"},
        {3725000, "", "1h2m5s"},
        {90000, "s", "90.00s"},
        {1.005, "ms", "1.00ms"},
        {0.0985949, "us", "98.59µs"},
        {0, "ms", "0.00ms"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char out[SQ_FORMAT_LEN];
        sq_format_time(cases[i].ms, cases[i].unit, out);
        SQ_CHECK_STR(out, cases[i].out);
    }
}

SQ_TEST(format_never_overflows)
{
    static const double values[] = {INFINITY, -INFINITY, 1.7976931348623157e308, -1e300, 5e-324,
                                    1e20,     -1e20};
    static const char *const units[] = {"", "s", "ms", "us"};

    for (size_t i = 0; i < SQ_COUNT(values); i++) {
        char out[SQ_FORMAT_LEN];
        for (size_t u = 0; u < SQ_COUNT(units); u++) {
            sq_format_time(values[i], units[u], out);
            SQ_CHECK(strlen(out) > 0 && strlen(out) < SQ_FORMAT_LEN);
        }
        for (int contains = 0; contains < 3; contains++) {
            sq_format_value(values[i], (enum sq_metric_contains)contains, "", out);
            SQ_CHECK(strlen(out) > 0 && strlen(out) < SQ_FORMAT_LEN);
        }
        sq_format_percent(values[i], out);
        SQ_CHECK(strlen(out) < SQ_FORMAT_LEN);
    }
    SQ_CHECK_EQ(sq_format_width("98.59µs"), 7);
}
