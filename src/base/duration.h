/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as people write them (engine specification 7): 1m30s, 150ms, 90000. All in ns. */
#pragma once
#include "base/base.h"

enum sq_duration_form {
    SQ_DURATION_UNITS,  /* flags: "1m30s" only */
    SQ_DURATION_OPTION, /* JSON and environment: also unit-less milliseconds and leading days */
};

/* 0 and *ns, or SQ_EINVALID. `text` is NUL-terminated. */
SQ_MUST_USE int sq_duration_parse(const char *text, enum sq_duration_form form, int64_t *ns);
/* Normal form of ENG-82: 1m30s, 1h0m0s, 1.5s, 150ms, 1µs, 0s. `out` needs 40 bytes. */
void sq_duration_format(int64_t ns, char out[40]);
