/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DISTANCE_LEN_MAX = 63 };

unsigned sq_text_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned rows[3][DISTANCE_LEN_MAX + 1];

    if (n > DISTANCE_LEN_MAX || m > DISTANCE_LEN_MAX)
        return 255;
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = SQ_MIN(replace, SQ_MIN(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = SQ_MIN(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[m];
}

const char *sq_text_nearest(const char *wanted, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    unsigned limit = (unsigned)strlen(wanted) / 3 + 1, nearest = limit + 1;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = sq_text_distance(wanted, candidates[i]);
        if (distance < nearest) {
            nearest = distance;
            best = candidates[i];
        }
    }
    return best;
}

bool sq_text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

char sq_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool sq_ascii_eq_nocase(struct sq_slice a, struct sq_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (sq_ascii_lower((char)a.data[i]) != sq_ascii_lower((char)b.data[i]))
            return false;
    return true;
}

struct sq_slice sq_slice_trim(struct sq_slice s)
{
    while (s.len && (*s.data == ' ' || *s.data == '\t'))
        s.data++, s.len--;
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Go's encoding/json switches to exponents outside [1e-6, 1e21), as JavaScript does. */
void sq_double_format(double value, char out[32])
{
    if (value == 0) {
        strcpy(out, "0");
        return;
    }
    if (!isfinite(value)) {
        strcpy(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    char digits[28]; /* sign, 18 digits, point, e+308 */
    int precision = 0;
    do
        snprintf(digits, sizeof digits, "%.*e", precision++, value);
    while (precision <= 17 && strtod(digits, NULL) != value);
    char *e = strchr(digits, 'e');
    int exponent = atoi(e + 1);
    double magnitude = fabs(value);
    if (magnitude >= 1e-6 && magnitude < 1e21) {
        int mantissa_digits = precision - 1; /* behind the point */
        int decimals = mantissa_digits - exponent;
        snprintf(out, 32, "%.*f", decimals > 0 ? decimals : 0, value);
    } else {
        *e = '\0';
        snprintf(out, 32, "%.20se%c%d", digits, exponent < 0 ? '-' : '+', abs(exponent) % 1000);
    }
}
