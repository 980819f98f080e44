/* SPDX-License-Identifier: Apache-2.0 */
#include "output/series.h"

#include <math.h>
#include <stdlib.h>

enum { SLOTS_MIN = 256, SCALE_MIN = -10 };

void sq_series_map_init(struct sq_series_map *map, struct sq_registry *registry,
                        const struct sq_series_options *options)
{
    *map = (struct sq_series_map){.registry = registry,
                                  .options = *options,
                                  .slots = sq_xcalloc(SLOTS_MIN, sizeof(struct sq_series *)),
                                  .slots_count = SLOTS_MIN};
    map->last = &map->first;
}

void sq_series_map_deinit(struct sq_series_map *map)
{
    struct sq_series *series = map->first;

    while (series) {
        struct sq_series *next = series->next;
        sq_tagset_unref(series->tags);
        sq_sink_free(series->sink);
        free(series->buckets);
        free(series);
        series = next;
    }
    free(map->slots);
    *map = (struct sq_series_map){0};
}

/* Equal sets are one pointer, and the reference keeps the address from being given to another. */
static size_t hash(uint32_t metric_id, const struct sq_tagset *tags)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)tags >> 4) + metric_id * UINT64_C(0x9e3779b97f4a7c15);

    mixed *= UINT64_C(0xff51afd7ed558ccd);
    return (size_t)(mixed ^ mixed >> 32);
}

static struct sq_series **find_slot(const struct sq_series_map *map, uint32_t metric_id,
                                    const struct sq_tagset *tags)
{
    size_t mask = map->slots_count - 1, at = hash(metric_id, tags) & mask;

    while (map->slots[at] &&
           (map->slots[at]->tags != tags || map->slots[at]->metric->id != metric_id))
        at = (at + 1) & mask;
    return &map->slots[at];
}

static void grow(struct sq_series_map *map)
{
    free(map->slots);
    map->slots_count *= 2;
    map->slots = sq_xcalloc(map->slots_count, sizeof(struct sq_series *));
    for (struct sq_series *s = map->first; s; s = s->next)
        *find_slot(map, s->metric->id, s->tags) = s;
}

static struct sq_series *meet(struct sq_series_map *map, const struct sq_sample *sample)
{
    struct sq_series **slot = find_slot(map, sample->metric_id, sample->tags);

    if (*slot)
        return *slot;
    struct sq_series *series = sq_xcalloc(1, sizeof *series);
    series->metric = sq_registry_get(map->registry, sample->metric_id);
    sq_assert(series->metric != NULL);
    series->tags = sq_tagset_ref(sample->tags);
    series->sink = sq_sink_new(series->metric->type);
    series->first_wall_ns = sample->wall_ns;
    if (map->options.bounds && series->metric->type == SQ_TREND)
        series->buckets = sq_xcalloc(map->options.bounds_count + 1, sizeof *series->buckets);
    *slot = series;
    *map->last = series;
    map->last = &series->next;
    if (++map->count * 2 > map->slots_count)
        grow(map);
    return series;
}

static void count_bucket(const struct sq_series_options *options, uint64_t *buckets, double value)
{
    size_t at = 0;

    while (at < options->bounds_count && value > options->bounds[at])
        at++;
    buckets[at]++;
}

void sq_series_map_add(struct sq_series_map *map, const struct sq_sample_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct sq_sample *sample = &batch->samples[i];
        struct sq_series *series = meet(map, sample);
        const struct sq_metric *metric = series->metric;
        double value = sample->value;
        if (map->options.seconds && metric->type != SQ_RATE && metric->contains == SQ_CONTAINS_TIME)
            value /= 1000;
        sq_sink_add(series->sink, sample->wall_ns, value);
        if (series->buckets && !isnan(value))
            count_bucket(&map->options, series->buckets, value);
        series->first_wall_ns = SQ_MIN(series->first_wall_ns, sample->wall_ns);
        series->last_wall_ns = SQ_MAX(series->last_wall_ns, sample->wall_ns);
        series->changed = true;
    }
}

/* ---- buckets ---- */

static void append(struct sq_series_buckets *to, size_t *cap, int32_t index, uint64_t count)
{
    if (to->count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        to->items = sq_xrealloc(to->items, *cap * sizeof *to->items);
    }
    to->items[to->count++] = (struct sq_series_bucket){index, count};
}

static void coarsen(struct sq_series_buckets *buckets, int32_t scale)
{
    size_t kept = 0;

    for (size_t i = 0; i < buckets->count; i++) {
        int32_t index = buckets->items[i].index >> (buckets->scale - scale); /* rounds down */
        if (kept && buckets->items[kept - 1].index == index)
            buckets->items[kept - 1].count += buckets->items[i].count;
        else
            buckets->items[kept++] = (struct sq_series_bucket){index, buckets->items[i].count};
    }
    buckets->count = kept;
    buckets->scale = scale;
}

static bool too_wide(const struct sq_series_buckets *buckets, int32_t indices_max)
{
    return indices_max > 0 && buckets->count > 1 &&
           buckets->items[buckets->count - 1].index - buckets->items[0].index >= indices_max;
}

static void reverse(struct sq_series_buckets *buckets)
{
    for (size_t i = 0, j = buckets->count; i + 1 < j; i++) {
        struct sq_series_bucket swap = buckets->items[i];
        buckets->items[i] = buckets->items[--j];
        buckets->items[j] = swap;
    }
}

uint64_t sq_series_buckets(const struct sq_sink *sink, int32_t scale, int32_t indices_max,
                           struct sq_series_buckets *positive, struct sq_series_buckets *negative)
{
    struct sq_sink_content content = sq_sink_content(sink);
    struct sq_hist of_raw = {0};
    struct sq_hist_cursor cursor = {0};
    size_t positive_cap = 0, negative_cap = 0;
    uint64_t zeros = 0;

    *positive = *negative = (struct sq_series_buckets){.scale = SQ_HIST_SCALE};
    for (size_t i = 0; i < content.raw_count; i++)
        sq_hist_add(&of_raw, content.raw[i], 1);
    while (sq_hist_next(content.hist ? content.hist : &of_raw, &cursor)) {
        if (cursor.sign > 0)
            append(positive, &positive_cap, cursor.index, cursor.count);
        else if (cursor.sign < 0)
            append(negative, &negative_cap, cursor.index, cursor.count);
        else
            zeros += cursor.count;
    }
    sq_hist_deinit(&of_raw);
    reverse(negative); /* came in rising order of value */
    coarsen(positive, scale);
    coarsen(negative, scale);
    while (scale > SCALE_MIN &&
           (too_wide(positive, indices_max) || too_wide(negative, indices_max))) {
        scale--;
        coarsen(positive, scale);
        coarsen(negative, scale);
    }
    return zeros;
}
