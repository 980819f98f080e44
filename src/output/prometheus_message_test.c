/* SPDX-License-Identifier: Apache-2.0 */
#include "output/prometheus_message.h"

#include <math.h>
#include <stdlib.h>

#include "output/output_kit.h"

/* A WriteRequest as text: name{label="value",...} value @ms, one line per sample. */
static void put_sample_text(struct sq_buf *out, struct sq_slice sample)
{
    struct sq_pb_field field;
    double value = 0;
    int64_t at_ms = 0;

    while (sq_pb_next(&sample, &field))
        if (field.field == 1)
            value = sq_pb_as_double(field.number);
        else
            at_ms = (int64_t)field.number;
    sq_buf_printf(out, " %.10g @%lld", value, (long long)at_ms);
}

static void put_deltas(struct sq_buf *out, struct sq_slice packed)
{
    while (packed.len) {
        uint64_t number = 0;
        for (unsigned shift = 0; packed.len; shift += 7) {
            uint8_t byte = *packed.data++;
            packed.len--;
            number |= (uint64_t)(byte & 0x7f) << shift;
            if (!(byte & 0x80))
                break;
        }
        sq_buf_printf(out, " %lld", (long long)sq_pb_as_sint(number));
    }
}

static void put_histogram_text(struct sq_buf *out, struct sq_slice histogram)
{
    struct sq_pb_field field, inner;

    while (sq_pb_next(&histogram, &field)) {
        sq_buf_printf(out, " %u:", field.field);
        if (field.field == 8 || field.field == 11) {
            while (sq_pb_next(&field.bytes, &inner))
                if (inner.field == 1)
                    sq_buf_printf(out, "%lld+", (long long)sq_pb_as_sint(inner.number));
                else
                    sq_buf_printf(out, "%lld", (long long)inner.number);
        } else if (field.field == 9 || field.field == 12) {
            put_deltas(out, field.bytes);
        } else if (field.field == 4) {
            sq_buf_printf(out, "%lld", (long long)sq_pb_as_sint(field.number));
        } else if (field.wire == 1) {
            sq_buf_printf(out, "%.10g", sq_pb_as_double(field.number));
        } else {
            sq_buf_printf(out, "%lld", (long long)field.number);
        }
    }
}

static char *decode(struct sq_slice in)
{
    struct sq_buf out = {0};
    struct sq_pb_field series, field, label;

    while (sq_pb_next(&in, &series)) {
        SQ_CHECK_EQ(series.field, 1);
        while (sq_pb_next(&series.bytes, &field)) {
            if (field.field == 1) {
                while (sq_pb_next(&field.bytes, &label))
                    sq_buf_printf(&out, "%s%.*s", label.field == 1 ? " " : "=",
                                  (int)label.bytes.len, (const char *)label.bytes.data);
            } else if (field.field == 2) {
                put_sample_text(&out, field.bytes);
            } else {
                put_histogram_text(&out, field.bytes);
            }
        }
        sq_buf_putc(&out, '\n');
    }
    return sq_buf_steal(&out);
}

static void take(struct sq_output_kit *kit, struct sq_series_map *map)
{
    for (struct sq_sample_batch *b = sq_shard_take_samples(kit->shard), *next; b; b = next) {
        next = b->next;
        sq_series_map_add(map, b);
        sq_sample_batch_free(b);
    }
}

/* All series of the samples so far as text. */
static void golden(struct sq_output_kit *kit, const struct sq_prom_options *options, bool stale,
                   const char *want)
{
    struct sq_series_map map;
    struct sq_buf buf = {0};

    sq_series_map_init(&map, kit->reg, &(struct sq_series_options){.seconds = true});
    take(kit, &map);
    for (struct sq_series *s = map.first; s; s = s->next)
        if (stale)
            sq_prom_put_stale(&buf, s, options, 77);
        else
            sq_prom_put(&buf, s, options, s->last_wall_ns / SQ_NS_PER_MS);
    char *text = decode(sq_buf_slice(&buf));
    SQ_CHECK_STR(text, want);
    free(text);
    sq_buf_deinit(&buf);
    sq_series_map_deinit(&map);
}

static struct sq_prom_options with_stats(const char *const *names, size_t count)
{
    struct sq_prom_options options = {0};

    for (size_t i = 0; i < count; i++)
        SQ_CHECK(sq_prom_stats_add(&options, sq_slice_str(names[i])), "%s", names[i]);
    return options;
}

SQ_TEST(mc_21_met_82_prometheus_names_and_values)
{
    static const char *const names[] = {"p(95)", "p(99.9)", "avg", "count",
                                        "sum",   "min",     "max", "med"};
    struct sq_prom_options options = with_stats(names, SQ_COUNT(names));
    char *tags[] = {"url=ws://a/", "empty=", "group=::g", NULL};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    uint32_t x = sq_output_kit_metric(&kit, "xx", SQ_TREND, SQ_CONTAINS_TIME);
    for (int i = 0; i <= 1000; i++)
        sq_output_kit_sample(&kit, x, NULL, NULL, i * SQ_NS_PER_MS, i * 10);
    sq_output_kit_sample(&kit, SQ_M_ITERATIONS, tags, NULL, 5 * SQ_NS_PER_MS, 2);
    sq_output_kit_sample(&kit, SQ_M_ITERATIONS, tags, NULL, 7 * SQ_NS_PER_MS, 3);
    sq_output_kit_sample(&kit, SQ_M_VUS, NULL, NULL, 9 * SQ_NS_PER_MS, 4);
    for (int i = 0; i < 4; i++)
        sq_output_kit_sample(&kit, SQ_M_CHECKS, NULL, NULL, 1, i != 0);
    golden(&kit, &options, false,
           " __name__=k6_xx_p95 9.5 @1000\n __name__=k6_xx_p999 9.99 @1000\n"
           " __name__=k6_xx_avg 5 @1000\n __name__=k6_xx_count 1001 @1000\n"
           " __name__=k6_xx_sum 5005 @1000\n __name__=k6_xx_min 0 @1000\n"
           " __name__=k6_xx_max 10 @1000\n __name__=k6_xx_med 5 @1000\n"
           " __name__=k6_iterations_total group=::g url=ws://a/ 5 @7\n"
           " __name__=k6_vus 4 @9\n"
           " __name__=k6_checks_rate 0.75 @0\n");
    sq_prom_stats_clear(&options);
    sq_output_kit_deinit(&kit);
}

SQ_TEST(prometheus_labels_are_sorted_and_valid)
{
    char *tags[] = {"Upper=1",    "a-b=2",         "a_b=3",  "1x=4",
                    "\xc3\xa9=5", "__name__=evil", "z=\xff", NULL};
    struct sq_prom_options options = {0};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    sq_output_kit_sample(&kit, SQ_M_VUS, tags, NULL, 0, 1);
    golden(&kit, &options, false,
           " Upper=1 _1x=4 __=5 __name__=k6_vus a_b=2 z=\xef\xbf\xbd 1 @0\n");
    sq_output_kit_deinit(&kit);
}

SQ_TEST(prometheus_trend_stats_refused)
{
    static const char *const cases[] = {"", "p95", "p(101)", "p()", "avg ", "rate", "value"};
    struct sq_prom_options options = {0};

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        SQ_CHECK(!sq_prom_stats_add(&options, sq_slice_str(cases[i])), "%s", cases[i]);
    SQ_CHECK_EQ(options.stats_count, 0);
}

/* Bucket i of schema 3 ends at 2^(i/8): 1 is in 0, 2 in 8, 0.5 in -8. Spans: the first from 0,
 * later ones from the end of the one before. */
SQ_TEST(met_83_prometheus_native_histogram)
{
    struct sq_prom_options options = {.native = true};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    uint32_t time = sq_output_kit_metric(&kit, "tt", SQ_TREND, SQ_CONTAINS_TIME);
    uint32_t data = sq_output_kit_metric(&kit, "dd", SQ_TREND, SQ_CONTAINS_DATA);
    uint32_t plain = sq_output_kit_metric(&kit, "xx", SQ_TREND, SQ_CONTAINS_DEFAULT);
    static const double ms[] = {1000, 1000, 1001, 2000, 500, 0};
    for (size_t i = 0; i < SQ_COUNT(ms); i++)
        sq_output_kit_sample(&kit, time, NULL, NULL, 3 * SQ_NS_PER_MS, ms[i]);
    sq_output_kit_sample(&kit, data, NULL, NULL, 0, 1);
    sq_output_kit_sample(&kit, plain, NULL, NULL, 0, -1);
    sq_output_kit_sample(&kit, plain, NULL, NULL, 0, -1);
    golden(&kit, &options, false,
           " __name__=k6_tt_seconds 1:6 3:5.501 4:3 5:2.938735877e-39 6:1"
           " 11:-8+1 11:7+2 11:6+1 12: 1 1 -1 0 15:3\n"
           " __name__=k6_dd_bytes 1:1 3:1 4:3 5:2.938735877e-39 6:0 11:0+1 12: 1 15:0\n"
           " __name__=k6_xx 1:2 3:-2 4:3 5:2.938735877e-39 6:0 8:0+1 9: 2 15:0\n");
    sq_output_kit_deinit(&kit);
}

SQ_TEST(met_84_prometheus_stale_markers)
{
    struct sq_prom_options options = with_stats((const char *[]){"min"}, 1);
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    sq_output_kit_sample(&kit, SQ_M_CHECKS, NULL, NULL, 0, 1);
    sq_output_kit_sample(&kit, SQ_M_WS_PING, NULL, NULL, 0, 1);
    golden(&kit, &options, true,
           " __name__=k6_checks_rate nan @77\n __name__=k6_ws_ping_min nan @77\n");
    options.native = true;
    sq_output_kit_sample(&kit, SQ_M_WS_PING, NULL, NULL, 0, 1);
    struct sq_series_map map;
    struct sq_buf buf = {0};
    sq_series_map_init(&map, kit.reg, &(struct sq_series_options){0});
    take(&kit, &map);
    sq_prom_put_stale(&buf, map.first, &options, 1);
    /* the NaN that means "stale", not just any */
    SQ_CHECK(memmem(buf.data, buf.len, "\x09\x02\0\0\0\0\0\xf0\x7f", 9) != NULL);
    sq_buf_deinit(&buf);
    sq_series_map_deinit(&map);
    sq_prom_stats_clear(&options);
    sq_output_kit_deinit(&kit);
}
