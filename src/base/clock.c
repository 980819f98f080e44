/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * SQ_NS_PER_S + ts.tv_nsec;
}

int64_t sq_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t sq_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

static size_t format_date(int64_t wall_ns, char out[40])
{
    time_t seconds = (time_t)(wall_ns / SQ_NS_PER_S);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    return strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
}

void sq_wall_format(int64_t wall_ns, char out[40])
{
    size_t len = format_date(wall_ns, out);
    int64_t fraction = wall_ns % SQ_NS_PER_S;

    if (fraction) {
        len += (size_t)snprintf(out + len, 40 - len, ".%09ld", (long)fraction);
        while (out[len - 1] == '0')
            len--;
    }
    memcpy(out + len, "Z", 2);
}

void sq_wall_format_seconds(int64_t wall_ns, char out[40])
{
    size_t len = format_date(wall_ns, out);

    memcpy(out + len, "Z", 2);
}
