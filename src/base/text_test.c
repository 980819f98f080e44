/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "base/text.h"

SQ_TEST(text_nearest_suggests_only_near_names)
{
    static const char *const names[] = {"duration", "iterations", "vus", "stage"};

    SQ_CHECK_STR(sq_text_nearest("duraton", names, SQ_COUNT(names)), "duration");
    SQ_CHECK_STR(sq_text_nearest("vsu", names, SQ_COUNT(names)), "vus");
    SQ_CHECK(!sq_text_nearest("browser", names, SQ_COUNT(names)));
    SQ_CHECK_EQ(sq_text_distance("", "abc"), 3);
}

SQ_TEST(double_format_is_shortest_round_trip)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {1, "1"},
                 {0.1, "0.1"},
                 {1e21, "1e+21"},
                 {1e20, "100000000000000000000"},
                 {1e-7, "1e-7"},
                 {1e-6, "0.000001"},
                 {123456.789, "123456.789"},
                 {-2.5, "-2.5"},
                 {1.0 / 3, "0.3333333333333333"}};

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char out[32];
        sq_double_format(cases[i].value, out);
        SQ_CHECK_STR(out, cases[i].want);
    }
}
