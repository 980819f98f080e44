/* SPDX-License-Identifier: Apache-2.0 */
/* Execution segments: which share of a test this instance runs (ENG-140..146). Exact rational
 * arithmetic; every instance that is given the same sequence computes the same stripes. Any thread
 * once built. */
#pragma once
#include "base/base.h"
#include "base/error.h"

/* The repeating pattern that deals indexes 0, 1, 2 ... (VUs, iterations, ticks) to the parts of a
 * sequence, seen from one part. A NULL stripe everywhere means: this instance owns all. */
struct sq_stripe;

/* "1/3:2/3", "20%", "0.5"; sequence "0,1/3,2/3,1". NULL or "": not given. *out is NULL when the
 * instance owns everything. owned: sq_stripe_free. SQ_EINVALID with words; a segment that is well
 * formed but not a part of the sequence too. */
SQ_MUST_USE int sq_stripe_new(const char *segment, const char *sequence, struct sq_stripe **out,
                              struct sq_error *err);
void sq_stripe_free(struct sq_stripe *stripe);

/* Is the text well formed? 0 or SQ_EINVALID. */
SQ_MUST_USE int sq_segment_check(const char *segment, struct sq_error *err);
SQ_MUST_USE int sq_sequence_check(const char *sequence, struct sq_error *err);

/* How many of the indexes 0 ... value-1 are ours (ENG-142). */
int64_t sq_stripe_scale(const struct sq_stripe *stripe, int64_t value);
/* The n-th index that is ours, n from 0. The stripe must own something. */
uint64_t sq_stripe_index(const struct sq_stripe *stripe, uint64_t n);
/* The pattern of parts as large as their scaled shares of `value` (ENG-145). *out NULL: all is
 * ours. *nothing: this part gets no share. */
SQ_MUST_USE int sq_stripe_resegment(const struct sq_stripe *stripe, int64_t value,
                                    struct sq_stripe **out, bool *nothing, struct sq_error *err);
/* Length of the segment, 0 to 1; 1 for NULL. */
double sq_stripe_share(const struct sq_stripe *stripe);
