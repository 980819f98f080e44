/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. Time inside squall is int64_t ns of the monotonic clock; samples carry wall time.
 */
#pragma once
#include "base/base.h"

/* CLOCK_MONOTONIC in ns. Any thread. */
int64_t sq_now_ns(void);
/* CLOCK_REALTIME in ns since 1970. Any thread. */
int64_t sq_wall_ns(void);
/* RFC 3339 in UTC with the shortest fraction, e.g. 2026-11-22T23:55:10.5578Z. `out` needs 40 bytes.
 */
void sq_wall_format(int64_t wall_ns, char out[40]);
/* The same without a fraction, for log lines. */
void sq_wall_format_seconds(int64_t wall_ns, char out[40]);
