/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as the summary prints them (ENG-245). Any thread. */
#pragma once
#include "metrics/metrics.h"

enum { SQ_FORMAT_LEN = 64 };

/* Up to 6 decimals, trailing zeros dropped. */
void sq_format_number(double value, char out[SQ_FORMAT_LEN]);
/* A share of 1 as percent, truncated to 2 decimals: "66.66%". */
void sq_format_percent(double share, char out[SQ_FORMAT_LEN]);
/* Base 1000: "4.9 kB". */
void sq_format_bytes(double bytes, char out[SQ_FORMAT_LEN]);
/* Milliseconds. unit "s", "ms", "us": fixed; "" or NULL: as fits. */
void sq_format_time(double ms, const char *unit, char out[SQ_FORMAT_LEN]);
void sq_format_value(double value, enum sq_metric_contains contains, const char *unit,
                     char out[SQ_FORMAT_LEN]);
/* Columns the text takes on a terminal: code points. */
size_t sq_format_width(const char *text);
