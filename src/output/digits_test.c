/* SPDX-License-Identifier: Apache-2.0 */
#include "output/digits.h"

#include <float.h>
#include <math.h>

#include "base/random.h"
#include "base/test.h"

static void check_fixed(double value)
{
    struct sq_buf buf = {0};
    char want[400];

    snprintf(want, sizeof want, "%f", value);
    sq_put_fixed6(&buf, value);
    SQ_CHECK_STR(sq_buf_cstr(&buf), want);
    sq_buf_deinit(&buf);
}

SQ_TEST(fixed6_is_what_printf_says)
{
    static const double cases[] = {0,       -0.0,         1,          -1,        0.5,      1e-6,
                                   1e-7,    5e-7,         -5e-7,      0.0000015, 0.1,      123.456,
                                   1e9,     999999999.75, 1e15,       1e15 + 2,  -1e15,    1e21,
                                   DBL_MAX, DBL_MIN,      1234.56789, 2.5e-6,    1.0000005};

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        check_fixed(cases[i]);
    for (int i = 0; i < 100000; i++) {
        double mantissa = (double)(int32_t)sq_random_u32() / 1e3;
        check_fixed(ldexp(mantissa, (int)sq_random_below(40) - 30));
    }
}

SQ_TEST(integers_as_text)
{
    static const int64_t cases[] = {0, 1, -1, 10, 1795391710557819939, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf buf = {0};
        char want[40];
        snprintf(want, sizeof want, "%lld", (long long)cases[i]);
        sq_put_int(&buf, cases[i]);
        SQ_CHECK_STR(sq_buf_cstr(&buf), want);
        sq_buf_deinit(&buf);
    }
}
