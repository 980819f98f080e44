/* SPDX-License-Identifier: Apache-2.0 */
#include "report/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

/* ECMAScript's toFixed: an exact tie goes away from zero, where printf goes to even. */
static void to_fixed(double value, int digits, char out[SQ_FORMAT_LEN])
{
    char exact[400];

    if (!(fabs(value) < 1e21)) {
        sq_double_format(value, out);
        return;
    }
    if (value == 0)
        value = 0; /* no "-0" */
    snprintf(out, SQ_FORMAT_LEN, "%.*f", digits, value);
    snprintf(exact, sizeof exact, "%.*f", digits + 60, value);
    const char *rest = strchr(exact, '.') + 1 + digits;
    if (rest[0] == '5' && strspn(rest + 1, "0") == strlen(rest + 1))
        snprintf(out, SQ_FORMAT_LEN, "%.*f", digits, nextafter(value, copysign(INFINITY, value)));
}

static void to_fixed_short(double value, int digits, char out[SQ_FORMAT_LEN])
{
    char fixed[SQ_FORMAT_LEN];

    to_fixed(value, digits, fixed);
    sq_double_format(strtod(fixed, NULL), out);
}

void sq_format_number(double value, char out[SQ_FORMAT_LEN])
{
    to_fixed_short(value, 6, out);
}

void sq_format_percent(double share, char out[SQ_FORMAT_LEN])
{
    to_fixed(trunc(share * 100 * 100) / 100, 2, out);
    strcat(out, "%");
}

void sq_format_bytes(double bytes, char out[SQ_FORMAT_LEN])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};

    if (bytes < 10 || !isfinite(bytes)) {
        sq_double_format(bytes, out);
        strcat(out, " B");
        return;
    }
    size_t unit = (size_t)floor(log(bytes) / log(1000));
    unit = SQ_MIN(unit, SQ_COUNT(units) - 1);
    double value = floor(bytes / pow(1000, (double)unit) * 10 + 0.5) / 10;
    to_fixed(value, value < 10 ? 1 : 0, out);
    strcat(out, " ");
    strcat(out, units[unit]);
}

static void truncated(double value, int digits, char out[SQ_FORMAT_LEN])
{
    double scale = digits ? 100 : 1;

    to_fixed_short(trunc(scale * value) / scale, digits, out);
}

/* Minutes and hours only when there are some. */
static void clock_time(double ms, char out[SQ_FORMAT_LEN])
{
    char seconds[SQ_FORMAT_LEN];
    double minutes = trunc(ms / 60000);

    truncated(fmod(ms, 60000) / 1000, ms > 60000 ? 0 : 2, seconds);
    if (minutes < 1)
        snprintf(out, SQ_FORMAT_LEN, "%.20ss", seconds);
    else if (minutes < 60)
        snprintf(out, SQ_FORMAT_LEN, "%.0fm%.20ss", minutes, seconds);
    else
        snprintf(out, SQ_FORMAT_LEN, "%.15gh%.0fm%.20ss", trunc(minutes / 60), fmod(minutes, 60),
                 seconds);
}

void sq_format_time(double ms, const char *unit, char out[SQ_FORMAT_LEN])
{
    if (unit && *unit) {
        bool s = strcmp(unit, "s") == 0, us = strcmp(unit, "us") == 0;
        to_fixed(s ? ms * 0.001 : us ? ms * 1000 : ms, 2, out);
        strcat(out, us ? "µs" : unit);
    } else if (ms == 0) {
        strcpy(out, "0s");
    } else if (!isfinite(ms)) {
        sq_double_format(ms, out);
    } else if (ms < 0.001) {
        truncated(ms * 1000000, 0, out);
        strcat(out, "ns");
    } else if (ms < 1) {
        truncated(ms * 1000, 2, out);
        strcat(out, "µs");
    } else if (ms < 1000) {
        truncated(ms, 2, out);
        strcat(out, "ms");
    } else {
        clock_time(ms, out);
    }
}

void sq_format_value(double value, enum sq_metric_contains contains, const char *unit,
                     char out[SQ_FORMAT_LEN])
{
    switch (contains) {
    case SQ_CONTAINS_TIME:
        sq_format_time(value, unit, out);
        break;
    case SQ_CONTAINS_DATA:
        sq_format_bytes(value, out);
        break;
    case SQ_CONTAINS_DEFAULT:
        sq_format_number(value, out);
        break;
    }
}

size_t sq_format_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((uint8_t)*text & 0xc0) != 0x80;
    return width;
}
