/* SPDX-License-Identifier: Apache-2.0 */
#include "output/digits.h"

#include <math.h>

/* The last `least` digits are written even if they are leading zeros. */
static void put_digits(struct sq_buf *to, uint64_t value, size_t least)
{
    char digits[20];
    size_t at = sizeof digits;

    while (value || sizeof digits - at < least) {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    }
    sq_buf_put(to, digits + at, sizeof digits - at);
}

void sq_put_int(struct sq_buf *to, int64_t value)
{
    if (value < 0)
        sq_buf_putc(to, '-');
    put_digits(to, value < 0 ? -(uint64_t)value : (uint64_t)value, 1);
}

void sq_put_fixed6(struct sq_buf *to, double value)
{
    int64_t whole = fabs(value) < 1e15 ? (int64_t)value : 0;

    /* Whole numbers, and what six decimals hold exactly; printf knows how to round the rest. */
    if (fabs(value) < 1e15 && value == (double)whole && (whole || !signbit(value))) {
        sq_put_int(to, whole);
        sq_buf_put(to, ".000000", 7);
        return;
    }
    int64_t millionths = fabs(value) < 1e9 ? llround(value * 1e6) : 0;
    if (millionths && (double)millionths / 1e6 == value) {
        uint64_t size = millionths < 0 ? -(uint64_t)millionths : (uint64_t)millionths;
        if (millionths < 0)
            sq_buf_putc(to, '-');
        put_digits(to, size / 1000000, 1);
        sq_buf_putc(to, '.');
        put_digits(to, size % 1000000, 6);
        return;
    }
    sq_buf_printf(to, "%f", value);
}
