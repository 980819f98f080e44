/* SPDX-License-Identifier: Apache-2.0 */
/* Base-2 exponential histogram of scale 7: bucket i holds base^i < |value| <= base^(i+1) with
 * base = 2^(1/128), so the middle of a bucket is within 0.27 % of every value in it. Buckets live
 * in pages of one octave, made when the first value falls into them:
 *
 *   pages[0] .. pages[n-1]   one per octave from `first` on; NULL: no value there yet
 *                            each 128 counters
 *
 * Two such halves, for positive and for negative values, and a count of zeros. One thread. */
#pragma once
#include "base/base.h"

enum { SQ_HIST_SCALE = 7, SQ_HIST_PAGE = 1 << SQ_HIST_SCALE };

struct sq_hist_half {
    uint64_t **pages;
    int32_t first; /* octave of pages[0] */
    int32_t count; /* pages */
};
struct sq_hist { /* zeroed is empty and valid */
    struct sq_hist_half positive, negative;
    uint64_t zeros;
    bool fractions; /* some value was no whole number */
};

/* Which bucket a value other than 0 falls into, by its absolute value; infinities fall into the
 * last. Never a NaN. */
int32_t sq_hist_index(double value);
/* The value that stands for a bucket: within 0.27 % of all in it. */
double sq_hist_middle(int32_t index);
/* The same for a bucket of this histogram, without the sign. Of whole numbers the one next to the
 * middle: scripts that measure with Date.now() get 1 ms back, not 0.9973. */
double sq_hist_stands_for(const struct sq_hist *hist, int32_t index);

void sq_hist_add(struct sq_hist *hist, double value, uint64_t count);
void sq_hist_merge(struct sq_hist *into, const struct sq_hist *from);
/* Empty, pages kept. */
void sq_hist_reset(struct sq_hist *hist);
void sq_hist_deinit(struct sq_hist *hist);

/* Buckets with something in them, in rising order of value. Start with a zeroed cursor. */
struct sq_hist_cursor {
    int sign;
    int32_t index;
    uint64_t count; /* of this bucket */
    bool started;
};
bool sq_hist_next(const struct sq_hist *hist, struct sq_hist_cursor *cursor);
