/* SPDX-License-Identifier: Apache-2.0 */
/* A failure told to a person: what failed, on what, why, what to try. For cold paths; hot paths
 * return codes alone. The caller owns the struct, usually on its stack. Any thread. */
#pragma once
#include "base/base.h"

struct sq_error {
    int code;        /* negative, 0 while nothing failed */
    char text[1020]; /* one sentence without a final full stop; empty while nothing failed */
};

/* Records the failure and returns `code`, so that `return sq_error_set(err, ...)` reads well.
 * err may be NULL. The first failure recorded is kept. */
int sq_error_set(struct sq_error *err, int code, const char *fmt, ...) SQ_PRINTF(3, 4);

/* Puts "prefix: " before the text that is there. */
void sq_error_prefix(struct sq_error *err, const char *fmt, ...) SQ_PRINTF(2, 3);

/* The system's or our own words for a negative status. Borrowed: static or thread-local. */
const char *sq_status_text(int code);
