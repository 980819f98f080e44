/* SPDX-License-Identifier: Apache-2.0 */
#include "output/otlp_message.h"

#include <stdlib.h>

#include "output/output_kit.h"

struct reader {
    struct sq_buf out;
    size_t points;
};

static struct sq_slice bytes_of(struct sq_slice message, unsigned field)
{
    struct sq_pb_field f;

    while (sq_pb_next(&message, &f))
        if (f.field == field)
            return f.bytes;
    return sq_slice("", 0);
}

static void put_slice(struct sq_buf *out, struct sq_slice text)
{
    sq_buf_put(out, text.data, text.len);
}

static void put_attribute(struct sq_buf *out, struct sq_slice attribute)
{
    sq_buf_putc(out, ' ');
    put_slice(out, bytes_of(attribute, 1));
    sq_buf_putc(out, '=');
    put_slice(out, bytes_of(bytes_of(attribute, 2), 1));
}

static void put_fixed_list(struct sq_buf *out, struct sq_slice list)
{
    for (size_t i = 0; i + 8 <= list.len; i += 8)
        sq_buf_printf(out, "%s%d", i ? "," : "", list.data[i]); /* the lowest byte will do */
}

static void put_buckets(struct sq_buf *out, struct sq_slice half)
{
    struct sq_pb_field f;

    while (sq_pb_next(&half, &f))
        if (f.field == 1)
            sq_buf_printf(out, "from %lld:", (long long)sq_pb_as_sint(f.number));
        else
            for (size_t i = 0; i < f.bytes.len; i++)
                sq_buf_printf(out, " %d", f.bytes.data[i]); /* counts below 128 */
}

enum { NUMBER, HISTOGRAM, EXPONENTIAL };

static void put_point(struct reader *r, int kind, struct sq_slice point)
{
    static const unsigned attributes[] = {7, 9, 1};
    struct sq_pb_field f;

    r->points++;
    while (sq_pb_next(&point, &f)) {
        if (f.field == attributes[kind]) {
            put_attribute(&r->out, f.bytes);
            continue;
        }
        sq_buf_printf(&r->out, " %u:", f.field);
        bool is_int = f.wire == 1 &&
                      (f.field <= 3 || (kind == NUMBER && f.field == 6) ||
                       (kind != NUMBER && f.field == 4) || (kind == EXPONENTIAL && f.field == 7));
        if (f.wire == 2 && kind == HISTOGRAM && f.field == 6)
            put_fixed_list(&r->out, f.bytes);
        else if (f.wire == 2 && kind == EXPONENTIAL)
            put_buckets(&r->out, f.bytes);
        else if (f.wire == 2)
            sq_buf_printf(&r->out, "%zu bytes", f.bytes.len);
        else if (f.wire == 0)
            sq_buf_printf(&r->out, "%lld", (long long)sq_pb_as_sint(f.number));
        else if (is_int)
            sq_buf_printf(&r->out, "%lld", (long long)f.number);
        else
            sq_buf_printf(&r->out, "%.10g", sq_pb_as_double(f.number));
    }
    sq_buf_putc(&r->out, '\n');
}

static void put_data(struct reader *r, unsigned data_field, struct sq_slice data)
{
    struct sq_pb_field f;
    int kind = data_field == 9 ? HISTOGRAM : data_field == 10 ? EXPONENTIAL : NUMBER;
    struct sq_slice points = data;

    while (sq_pb_next(&data, &f))
        if (f.wire == 0)
            sq_buf_printf(&r->out, " %s=%llu", f.field == 2 ? "temporality" : "monotonic",
                          (unsigned long long)f.number);
    sq_buf_putc(&r->out, '\n');
    while (sq_pb_next(&points, &f))
        if (f.field == 1)
            put_point(r, kind, f.bytes);
}

static void put_request(struct reader *r, struct sq_slice request)
{
    struct sq_slice resource_metrics = bytes_of(request, 1);
    struct sq_slice resource = bytes_of(resource_metrics, 1);
    struct sq_slice scope_metrics = bytes_of(resource_metrics, 2);
    struct sq_pb_field f, part;

    sq_buf_puts(&r->out, "resource");
    while (sq_pb_next(&resource, &f))
        put_attribute(&r->out, f.bytes);
    sq_buf_puts(&r->out, " scope ");
    put_slice(&r->out, bytes_of(bytes_of(scope_metrics, 1), 1));
    sq_buf_putc(&r->out, '\n');
    while (sq_pb_next(&scope_metrics, &f)) {
        if (f.field != 2)
            continue;
        while (sq_pb_next(&f.bytes, &part))
            if (part.field >= 5)
                put_data(r, part.field, part.bytes);
            else
                sq_buf_printf(&r->out, "%s%.*s", part.field == 1 ? "" : " unit ",
                              (int)part.bytes.len, (const char *)part.bytes.data);
    }
}

/* All samples so far in requests of at most about bytes_max; returns the number of requests. */
static int run(struct sq_output_kit *kit, struct reader *r, bool exponential, size_t bytes_max)
{
    struct sq_series_options series_options = {.bounds = exponential ? NULL : sq_otlp_bounds,
                                               .bounds_count = SQ_OTLP_BOUNDS};
    struct sq_otlp_options options = {.service_name = "k6",
                                      .service_version = "1",
                                      .prefix = "p.",
                                      .exponential = exponential,
                                      .start_wall_ns = 5};
    struct sq_series_map map;
    struct sq_series **all;
    size_t count = 0, at = 0;
    int requests = 0;

    sq_series_map_init(&map, kit->reg, &series_options);
    for (struct sq_sample_batch *b = sq_shard_take_samples(kit->shard), *next; b; b = next) {
        next = b->next;
        sq_series_map_add(&map, b);
        sq_sample_batch_free(b);
    }
    all = sq_xmalloc((map.count + 1) * sizeof *all);
    for (struct sq_series *s = map.first; s; s = s->next)
        all[count++] = s;
    while (at < count) {
        struct sq_buf buf = {0};
        at += sq_otlp_put_request(&buf, &options, all + at, count - at, 9, bytes_max);
        put_request(r, sq_buf_slice(&buf));
        sq_buf_deinit(&buf);
        requests++;
    }
    free(all);
    sq_series_map_deinit(&map);
    return requests;
}

static void golden(struct sq_output_kit *kit, bool exponential, const char *want)
{
    struct reader r = {0};

    SQ_CHECK_EQ(run(kit, &r, exponential, 1 << 20), 1);
    SQ_CHECK_STR(sq_buf_cstr(&r.out), want);
    sq_buf_deinit(&r.out);
}

SQ_TEST(mc_22_met_91_otlp_instruments)
{
    char *tags[] = {"check=is one", "empty=", NULL};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    for (int i = 0; i < 4; i++)
        sq_output_kit_sample(&kit, SQ_M_CHECKS, tags, NULL, 6, i != 0);
    sq_output_kit_sample(&kit, SQ_M_DATA_SENT, NULL, NULL, 6, 10);
    sq_output_kit_sample(&kit, SQ_M_DATA_SENT, NULL, NULL, 7, 2.5);
    sq_output_kit_sample(&kit, SQ_M_VUS, NULL, NULL, 3, 7);
    static const double ms[] = {0, 5, 5.1, 10000, 10001};
    for (size_t i = 0; i < SQ_COUNT(ms); i++)
        sq_output_kit_sample(&kit, SQ_M_WS_PING, NULL, NULL, 6, ms[i]);
    golden(&kit, false,
           "resource service.name=k6 service.version=1 scope squall\n"
           "p.checks.total temporality=2 monotonic=1\n"
           " 2:5 3:9 6:3 check=is one condition=nonzero\n"
           " 2:5 3:9 6:1 check=is one condition=zero\n"
           "p.data_sent unit By temporality=2 monotonic=1\n"
           " 2:5 3:9 4:12.5\n"
           "p.vus\n"
           " 2:3 3:9 4:7\n"
           "p.ws_ping unit ms temporality=2\n"
           " 2:5 3:9 4:5 5:20011.1 6:1,1,1,0,0,0,0,0,0,0,0,0,0,0,1,1 7:120 bytes 11:0 12:10001\n");
    sq_output_kit_deinit(&kit);
}

/* Scale 7: bucket i holds 2^(i/128) < v <= 2^((i+1)/128), so 1 is in -1 and 2 in 127. */
SQ_TEST(met_91_otlp_exponential_histogram)
{
    static const double values[] = {1, 1, 1.001, 0, -1};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    uint32_t x = sq_output_kit_metric(&kit, "xx", SQ_TREND, SQ_CONTAINS_DEFAULT);
    for (size_t i = 0; i < SQ_COUNT(values); i++)
        sq_output_kit_sample(&kit, x, (char *[]){"a=b", NULL}, NULL, 6, values[i]);
    golden(&kit, true,
           "resource service.name=k6 service.version=1 scope squall\n"
           "p.xx temporality=2\n"
           " 2:5 3:9 a=b 4:5 5:2.001 6:7 7:1 8:from -1: 2 1 9:from -1: 1 12:-1 13:1.001\n");
    sq_output_kit_deinit(&kit);
}

SQ_TEST(otlp_many_series_in_several_requests)
{
    enum { SERIES = 400 };
    struct sq_output_kit kit;
    struct reader r = {0};
    char tag[32];

    sq_output_kit_init(&kit, NULL, "unused");
    for (int i = 0; i < SERIES; i++) {
        snprintf(tag, sizeof tag, "n=%d", i);
        sq_output_kit_sample(&kit, i < SERIES / 2 ? SQ_M_WS_PING : SQ_M_ITERATIONS,
                             (char *[]){tag, NULL}, NULL, 6, 1);
    }
    int requests = run(&kit, &r, false, 4096);
    SQ_CHECK(requests > 5 && requests < SERIES / 4, "%d", requests);
    SQ_CHECK_EQ(r.points, SERIES);
    sq_buf_deinit(&r.out);
    sq_output_kit_deinit(&kit);
}
