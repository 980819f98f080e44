/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/hist.h"

#include <math.h>
#include <stdlib.h>

/* Octaves of finite doubles, subnormals included. */
enum { INDEX_MIN = -1075 * SQ_HIST_PAGE, INDEX_MAX = 1024 * SQ_HIST_PAGE - 1 };

int32_t sq_hist_index(double value)
{
    double index = ceil(log2(fabs(value)) * SQ_HIST_PAGE) - 1;

    return index >= INDEX_MAX ? INDEX_MAX : index <= INDEX_MIN ? INDEX_MIN : (int32_t)index;
}

double sq_hist_middle(int32_t index)
{
    double low = exp2((double)index / SQ_HIST_PAGE);
    double ratio = exp2(1.0 / SQ_HIST_PAGE);

    /* The harmonic mean of the bounds has the same relative error at both ends. */
    return low * (2 * ratio / (1 + ratio));
}

double sq_hist_stands_for(const struct sq_hist *hist, int32_t index)
{
    double middle = sq_hist_middle(index), down = floor(middle), up = ceil(middle);
    double near = middle - down < up - middle ? down : up, far = near == down ? up : down;

    if (hist->fractions || up > 1e15) /* from there on every double is a whole number */
        return middle;
    return near > 0 && sq_hist_index(near) == index ? near
           : far > 0 && sq_hist_index(far) == index ? far
                                                    : middle;
}

static int32_t octave_of(int32_t index)
{
    return index >> SQ_HIST_SCALE; /* rounds down, also below zero */
}

static void half_make_room(struct sq_hist_half *half, int32_t octave)
{
    if (half->count == 0)
        half->first = octave;
    int32_t first = SQ_MIN(half->first, octave);
    int32_t end = SQ_MAX(half->first + half->count, octave + 1);
    uint64_t **pages = sq_xcalloc((size_t)(end - first), sizeof *pages);

    if (half->count)
        memcpy(pages + (half->first - first), half->pages, (size_t)half->count * sizeof *pages);
    free(half->pages);
    *half = (struct sq_hist_half){pages, first, end - first};
}

static void half_add(struct sq_hist_half *half, int32_t index, uint64_t count)
{
    int32_t octave = octave_of(index), at = octave - half->first;

    if (SQ_UNLIKELY(half->count == 0 || at < 0 || at >= half->count)) {
        half_make_room(half, octave);
        at = octave - half->first;
    }
    if (SQ_UNLIKELY(!half->pages[at]))
        half->pages[at] = sq_xcalloc(SQ_HIST_PAGE, sizeof **half->pages);
    half->pages[at][index & (SQ_HIST_PAGE - 1)] += count;
}

void sq_hist_add(struct sq_hist *hist, double value, uint64_t count)
{
    if (!hist->fractions && value != rint(value))
        hist->fractions = true;
    if (value > 0)
        half_add(&hist->positive, sq_hist_index(value), count);
    else if (value < 0)
        half_add(&hist->negative, sq_hist_index(value), count);
    else
        hist->zeros += count;
}

static void half_merge(struct sq_hist_half *into, const struct sq_hist_half *from)
{
    for (int32_t p = 0; p < from->count; p++)
        for (int32_t i = 0; from->pages[p] && i < SQ_HIST_PAGE; i++)
            if (from->pages[p][i])
                half_add(into, (from->first + p) * SQ_HIST_PAGE + i, from->pages[p][i]);
}

void sq_hist_merge(struct sq_hist *into, const struct sq_hist *from)
{
    half_merge(&into->positive, &from->positive);
    half_merge(&into->negative, &from->negative);
    into->zeros += from->zeros;
    into->fractions |= from->fractions;
}

static void half_reset(struct sq_hist_half *half)
{
    for (int32_t p = 0; p < half->count; p++)
        if (half->pages[p])
            memset(half->pages[p], 0, SQ_HIST_PAGE * sizeof **half->pages);
}

void sq_hist_reset(struct sq_hist *hist)
{
    half_reset(&hist->positive);
    half_reset(&hist->negative);
    hist->zeros = 0;
    hist->fractions = false;
}

static void half_deinit(struct sq_hist_half *half)
{
    for (int32_t p = 0; p < half->count; p++)
        free(half->pages[p]);
    free(half->pages);
}

void sq_hist_deinit(struct sq_hist *hist)
{
    half_deinit(&hist->positive);
    half_deinit(&hist->negative);
    *hist = (struct sq_hist){0};
}

/* The next filled bucket from `index` on in direction `step`; false: none. */
static bool half_find(const struct sq_hist_half *half, int32_t index, int step,
                      struct sq_hist_cursor *cursor)
{
    int32_t low = half->first * SQ_HIST_PAGE, end = low + half->count * SQ_HIST_PAGE;

    while (index >= low && index < end) {
        const uint64_t *page = half->pages[octave_of(index) - half->first];
        if (page && page[index & (SQ_HIST_PAGE - 1)]) {
            cursor->index = index;
            cursor->count = page[index & (SQ_HIST_PAGE - 1)];
            return true;
        }
        index += step;
    }
    return false;
}

bool sq_hist_next(const struct sq_hist *hist, struct sq_hist_cursor *cursor)
{
    const struct sq_hist_half *negative = &hist->negative, *positive = &hist->positive;

    if (!cursor->started) {
        cursor->started = true;
        cursor->sign = -1;
        cursor->index = (negative->first + negative->count) * SQ_HIST_PAGE;
    }
    if (cursor->sign < 0) {
        if (half_find(negative, cursor->index - 1, -1, cursor))
            return true;
        cursor->sign = 0;
        if (hist->zeros) {
            cursor->index = 0;
            cursor->count = hist->zeros;
            return true;
        }
    }
    if (cursor->sign == 0) {
        cursor->sign = 1;
        cursor->index = positive->first * SQ_HIST_PAGE - 1;
    }
    return half_find(positive, cursor->index + 1, 1, cursor);
}
