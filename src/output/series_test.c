/* SPDX-License-Identifier: Apache-2.0 */
#include "output/series.h"

#include <math.h>
#include <stdlib.h>

#include "output/output_kit.h"

static void take(struct sq_output_kit *kit, struct sq_series_map *map)
{
    for (struct sq_sample_batch *b = sq_shard_take_samples(kit->shard), *next; b; b = next) {
        next = b->next;
        sq_series_map_add(map, b);
        sq_sample_batch_free(b);
    }
}

SQ_TEST(series_one_per_metric_and_tag_set)
{
    enum { SETS = 3000, ROUNDS = 3 };
    struct sq_output_kit kit;
    struct sq_series_map map;
    char tag[32];

    sq_output_kit_init(&kit, NULL, "unused");
    sq_series_map_init(&map, kit.reg, &(struct sq_series_options){0});
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SETS; i++) {
            snprintf(tag, sizeof tag, "n=%d", i);
            sq_output_kit_sample(&kit, SQ_M_ITERATIONS, (char *[]){tag, NULL}, NULL, round + 1, i);
            sq_output_kit_sample(&kit, SQ_M_DATA_SENT, (char *[]){tag, NULL}, NULL, 10 - round, 2);
        }
        take(&kit, &map);
    }
    SQ_CHECK_EQ(map.count, 2 * SETS);
    int i = 0, wrong = 0;
    for (struct sq_series *s = map.first; s; s = s->next, i++) {
        struct sq_sink_stats stats = sq_sink_stats(s->sink);
        bool first = s->metric->id == SQ_M_ITERATIONS;
        wrong += stats.sum != (first ? ROUNDS * (i / 2) : ROUNDS * 2) || stats.count != ROUNDS ||
                 s->first_wall_ns != (first ? 1 : 8) || s->last_wall_ns != (first ? 3 : 10);
    }
    SQ_CHECK_EQ(wrong, 0);
    SQ_CHECK_EQ(i, 2 * SETS);
    sq_series_map_deinit(&map);
    sq_output_kit_deinit(&kit);
}

/* Every bucket holds exactly the values between its bounds, at any scale. */
SQ_TEST(series_buckets_hold_what_they_say)
{
    enum { VALUES = 6000 }; /* above and below SQ_TREND_RAW_MAX */
    static const size_t counts[] = {100, VALUES};
    static const int32_t scales[] = {7, 3, 0};

    for (size_t c = 0; c < SQ_COUNT(counts) * SQ_COUNT(scales); c++) {
        size_t count = counts[c % 2];
        int32_t scale = scales[c / 2];
        struct sq_sink *sink = sq_sink_new(SQ_TREND);
        struct sq_series_buckets positive, negative;
        uint64_t seen = 0;
        int wrong = 0;

        for (size_t i = 0; i < count; i++)
            sq_sink_add(sink, 1, i % 10 == 0 ? 0 : (i % 3 ? 1 : -1) * (double)(i + 1) * 0.37);
        uint64_t zeros = sq_series_buckets(sink, scale, 0, &positive, &negative);
        const struct sq_series_buckets *halves[] = {&positive, &negative};
        for (size_t h = 0; h < 2; h++)
            for (size_t b = 0; b < halves[h]->count; b++) {
                double low = exp2(ldexp(halves[h]->items[b].index, -scale));
                double high = exp2(ldexp(halves[h]->items[b].index + 1, -scale));
                uint64_t want = 0;
                for (size_t i = 0; i < count; i++) {
                    double value =
                        (h ? -1 : 1) * (i % 10 ? (i % 3 ? 1 : -1) : 0) * (double)(i + 1) * 0.37;
                    want += value > low && value <= high;
                }
                wrong += want != halves[h]->items[b].count;
                wrong += b && halves[h]->items[b].index <= halves[h]->items[b - 1].index;
                seen += halves[h]->items[b].count;
            }
        SQ_CHECK_EQ(wrong, 0, "%zu values, scale %d", count, scale);
        SQ_CHECK_EQ(zeros, count / 10);
        SQ_CHECK_EQ(seen + zeros, count);
        free(positive.items);
        free(negative.items);
        sq_sink_free(sink);
    }
}

SQ_TEST(series_buckets_within_a_limit)
{
    struct sq_sink *sink = sq_sink_new(SQ_TREND);
    struct sq_series_buckets positive, negative;

    for (int i = -1074; i < 1024; i += 3)
        sq_sink_add(sink, 1, exp2(i));
    sq_series_buckets(sink, SQ_HIST_SCALE, 160, &positive, &negative);
    SQ_CHECK(positive.count > 1 &&
             positive.items[positive.count - 1].index - positive.items[0].index < 160);
    SQ_CHECK(positive.scale < 0, "%d", positive.scale);
    SQ_CHECK_EQ(negative.count, 0);
    SQ_CHECK_EQ(negative.scale, positive.scale);
    free(positive.items);
    free(negative.items);
    sq_sink_free(sink);
}
