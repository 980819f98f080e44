/* SPDX-License-Identifier: Apache-2.0 */
/* The block format of snappy, by libsnappy, loaded when an output asks for it: its C++ runtime
 * would cost every start of the program. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct sq_snappy {
    void *library;
    void *compress, *max_len; /* functions of it */
};

SQ_MUST_USE int sq_snappy_load(struct sq_snappy *snappy, struct sq_error *err);
/* Replaces what is in `to`. */
void sq_snappy_compress(const struct sq_snappy *snappy, struct sq_slice from, struct sq_buf *to);
