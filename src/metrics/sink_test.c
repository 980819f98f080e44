/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/sink.h"

#include <math.h>
#include <stdlib.h>

#include "base/test.h"

static struct sq_sink *trend_of(const double *values, size_t count)
{
    struct sq_sink *sink = sq_sink_new(SQ_TREND);

    for (size_t i = 0; i < count; i++)
        sq_sink_add(sink, 0, values[i]);
    return sink;
}

static double stat_of(const struct sq_sink *sink, const char *name)
{
    double value = NAN;

    SQ_CHECK(sq_sink_trend_stat(sink, name, &value), "%s", name);
    return value;
}

SQ_TEST(mc_1_trend_statistics)
{
    struct sq_sink *sink = trend_of((double[]){3, 1, 2}, 3);

    SQ_CHECK_NEAR(stat_of(sink, "avg"), 2, 0);
    SQ_CHECK_NEAR(stat_of(sink, "p(90)"), 2.8, 1e-15);
    SQ_CHECK_NEAR(stat_of(sink, "p(99.99)"), 2.9998, 1e-15);
    SQ_CHECK_NEAR(stat_of(sink, "count"), 3, 0);
    SQ_CHECK_NEAR(stat_of(sink, "med"), 2, 0);
    SQ_CHECK_NEAR(stat_of(sink, "min"), 1, 0);
    SQ_CHECK_NEAR(stat_of(sink, "max"), 3, 0);
    double unused;
    SQ_CHECK(!sq_sink_trend_stat(sink, "p(101)", &unused));
    SQ_CHECK(!sq_sink_trend_stat(sink, "rate", &unused));
    sq_sink_free(sink);
}

SQ_TEST(met_4_percentiles)
{
    struct sq_sink *five = trend_of((double[]){5, 4, 3, 2, 1}, 5);
    struct sq_sink *one = trend_of((double[]){7}, 1);
    struct sq_sink *none = trend_of(NULL, 0);

    SQ_CHECK_NEAR(sq_sink_percentile(five, 33.3), 2.332, 1e-15);
    SQ_CHECK_NEAR(sq_sink_percentile(five, 99.99), 4.9996, 1e-15);
    SQ_CHECK_NEAR(sq_sink_percentile(five, 0), 1, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(five, 100), 5, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(one, 12), 7, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(none, 95), 0, 0);
    sq_sink_free(five);
    sq_sink_free(one);
    sq_sink_free(none);
}

SQ_TEST(mc_2_gauge)
{
    struct sq_sink *sink = sq_sink_new(SQ_GAUGE);
    static const double values[] = {-5, -1, -3};

    for (int i = 0; i < 3; i++)
        sq_sink_add(sink, 100 + i, values[i]);
    struct sq_sink_stats stats = sq_sink_stats(sink);
    SQ_CHECK_NEAR(stats.value, -3, 0);
    SQ_CHECK_NEAR(stats.min, -5, 0);
    SQ_CHECK_NEAR(stats.max, -1, 0);

    /* The latest by wall time wins, whichever is merged first. */
    struct sq_sink *earlier = sq_sink_new(SQ_GAUGE), *later = sq_sink_new(SQ_GAUGE);
    sq_sink_add(earlier, 50, 9);
    sq_sink_add(later, 500, -7);
    sq_sink_merge(sink, earlier);
    SQ_CHECK_NEAR(sq_sink_stats(sink).value, -3, 0);
    SQ_CHECK_NEAR(sq_sink_stats(sink).max, 9, 0);
    sq_sink_merge(sink, later);
    SQ_CHECK_NEAR(sq_sink_stats(sink).value, -7, 0);
    SQ_CHECK_EQ(sq_sink_stats(sink).count, 5);
    sq_sink_free(sink);
    sq_sink_free(earlier);
    sq_sink_free(later);
}

SQ_TEST(mc_3_rate_and_counter)
{
    struct sq_sink *rate = sq_sink_new(SQ_RATE), *counter = sq_sink_new(SQ_COUNTER);
    static const double values[] = {1, 0, 2, 0}; /* '0', '', 2, false after coercion */

    for (int i = 0; i < 4; i++)
        sq_sink_add(rate, 0, values[i]);
    SQ_CHECK_EQ(sq_sink_stats(rate).nonzero, 2);
    SQ_CHECK_EQ(sq_sink_stats(rate).count, 4);
    sq_sink_add(counter, 0, 5);
    sq_sink_add(counter, 0, -7.5);
    sq_sink_add(counter, 0, NAN);
    SQ_CHECK_NEAR(sq_sink_stats(counter).sum, -2.5, 0);
    SQ_CHECK_EQ(sq_sink_stats(counter).count, 2);
    sq_sink_free(rate);
    sq_sink_free(counter);
}

static double random_value(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return exp((double)(*state >> 33) / (double)(UINT64_C(1) << 31) * 16 - 6);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Above 4096 values: within 0.27 % of the truth, in every way the sink can have come about. */
SQ_TEST(trend_percentiles_within_bound)
{
    enum { COUNT = 50000 };
    double *values = malloc(COUNT * sizeof *values);
    struct sq_sink *whole = sq_sink_new(SQ_TREND), *merged = sq_sink_new(SQ_TREND);
    struct sq_sink *part = sq_sink_new(SQ_TREND);
    uint64_t seed = 1;

    for (int i = 0; i < COUNT; i++) {
        values[i] = random_value(&seed) * (i % 10 == 0 ? -1 : 1);
        sq_sink_add(whole, 0, values[i]);
        sq_sink_add(part, 0, values[i]);
        if (i % 7001 == 0 || i % 13 == 0) { /* parts with few values and with a histogram */
            sq_sink_merge(merged, part);
            sq_sink_reset(part);
        }
    }
    sq_sink_merge(merged, part);
    qsort(values, COUNT, sizeof *values, compare_doubles);
    static const double ps[] = {0, 0.5, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100};
    for (size_t i = 0; i < SQ_COUNT(ps); i++) {
        double index = ps[i] / 100 * (COUNT - 1), low = values[(size_t)index];
        double want = low + (values[(size_t)ceil(index)] - low) * (index - floor(index));
        SQ_CHECK_NEAR(sq_sink_percentile(whole, ps[i]), want, fabs(want) * 0.0028 + 1e-12);
        SQ_CHECK_NEAR(sq_sink_percentile(merged, ps[i]), sq_sink_percentile(whole, ps[i]), 0);
    }
    struct sq_sink_stats a = sq_sink_stats(whole), b = sq_sink_stats(merged);
    SQ_CHECK(a.count == COUNT && b.count == COUNT && a.min == b.min && a.max == b.max);
    SQ_CHECK_NEAR(b.sum, a.sum, fabs(a.sum) * 1e-12);
    sq_sink_free(whole);
    sq_sink_free(merged);
    sq_sink_free(part);
    free(values);
}

SQ_TEST(trend_exact_up_to_raw_max)
{
    struct sq_sink *a = sq_sink_new(SQ_TREND), *b = sq_sink_new(SQ_TREND);

    for (int i = 0; i < SQ_TREND_RAW_MAX / 2; i++) {
        sq_sink_add(a, 0, 2 * i);
        sq_sink_add(b, 0, 2 * i + 1);
    }
    sq_sink_merge(a, b);
    SQ_CHECK_EQ(sq_sink_content(a).raw_count, SQ_TREND_RAW_MAX);
    SQ_CHECK_NEAR(sq_sink_percentile(a, 50), (SQ_TREND_RAW_MAX - 1) / 2.0, 0);
    sq_sink_add(a, 0, 5000);
    SQ_CHECK(sq_sink_content(a).hist && !sq_sink_content(a).raw);
    SQ_CHECK_EQ(sq_sink_stats(a).count, SQ_TREND_RAW_MAX + 1);
    SQ_CHECK_NEAR(sq_sink_percentile(a, 100), 5000, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(a, 0), 0, 0);
    SQ_CHECK_NEAR(sq_sink_percentile(a, 50), SQ_TREND_RAW_MAX / 2.0, 6);
    sq_sink_reset(a);
    sq_sink_add(a, 0, 4);
    SQ_CHECK_NEAR(sq_sink_percentile(a, 50), 4, 0);
    SQ_CHECK_EQ(sq_sink_content(a).raw_count, 1);
    sq_sink_free(a);
    sq_sink_free(b);
}

SQ_TEST(trend_equal_values_stay_equal)
{
    struct sq_sink *sink = sq_sink_new(SQ_TREND);

    for (int i = 0; i < 3 * SQ_TREND_RAW_MAX; i++)
        sq_sink_add(sink, 0, 10);
    SQ_CHECK_NEAR(sq_sink_percentile(sink, 50), 10, 0); /* clamped to [min,max] */
    SQ_CHECK_NEAR(sq_sink_percentile(sink, 99.9), 10, 0);
    sq_sink_free(sink);
}

SQ_TEST(hist_extreme_values)
{
    static const double values[] = {5e-324,   1e-300,    1e-9,    1, 2,   1.7976931348623157e308,
                                    INFINITY, -INFINITY, -1e-320, 0, -3.5};
    struct sq_hist hist = {0}, copy = {0};
    struct sq_hist_cursor cursor = {0}, other = {0};
    uint64_t count = 0;
    double last = -INFINITY;

    for (size_t i = 0; i < SQ_COUNT(values); i++)
        sq_hist_add(&hist, values[i], 2);
    sq_hist_merge(&copy, &hist);
    while (sq_hist_next(&hist, &cursor)) {
        double middle = cursor.sign * sq_hist_middle(cursor.index);
        SQ_CHECK(cursor.sign == 0 || middle > last || count == 0, "%g after %g", middle, last);
        SQ_CHECK(sq_hist_next(&copy, &other) && other.index == cursor.index &&
                 other.count == cursor.count && other.sign == cursor.sign);
        last = cursor.sign ? middle : 0;
        count += cursor.count;
    }
    SQ_CHECK_EQ(count, 2 * SQ_COUNT(values));
    SQ_CHECK(!sq_hist_next(&hist, &cursor));
    sq_hist_reset(&hist);
    cursor = (struct sq_hist_cursor){0};
    SQ_CHECK(!sq_hist_next(&hist, &cursor));
    sq_hist_deinit(&hist);
    sq_hist_deinit(&copy);
}

SQ_TEST(hist_middle_within_half_width)
{
    uint64_t seed = 7;

    for (int i = 0; i < 100000; i++) {
        double value = random_value(&seed), middle = sq_hist_middle(sq_hist_index(value));
        SQ_CHECK(fabs(middle - value) <= value * 0.00271, "%.17g stands for %.17g", middle, value);
    }
    SQ_CHECK_EQ(sq_hist_index(2), 127, "upper bounds belong to their bucket");
    SQ_CHECK_EQ(sq_hist_index(1), -1);
}

SQ_TEST(sink_restore_equals_merge)
{
    for (int count = 10; count < 20000; count += 9000) {
        struct sq_sink *from = sq_sink_new(SQ_TREND), *into = sq_sink_new(SQ_TREND);
        uint64_t seed = 3;
        for (int i = 0; i < count; i++)
            sq_sink_add(from, 0, random_value(&seed));
        struct sq_sink_stats stats = sq_sink_stats(from);
        struct sq_sink_content content = sq_sink_content(from);
        SQ_CHECK_EQ(sq_sink_restore(into, &stats, &content), 0);
        SQ_CHECK_NEAR(sq_sink_percentile(into, 95), sq_sink_percentile(from, 95), 0);
        SQ_CHECK_EQ(sq_sink_stats(into).count, count);
        stats.count++; /* a file that contradicts itself */
        SQ_CHECK_EQ(sq_sink_restore(into, &stats, &content), SQ_EINVALID);
        stats.type = SQ_RATE;
        SQ_CHECK_EQ(sq_sink_restore(into, &stats, &content), SQ_EINVALID);
        SQ_CHECK_EQ(sq_sink_stats(into).count, count);
        sq_sink_free(from);
        sq_sink_free(into);
    }
}

SQ_TEST(hist_whole_numbers_come_back_whole)
{
    struct sq_hist hist = {0}, other = {0};

    for (int n = 1; n <= 5000; n++)
        sq_hist_add(&hist, n % 2 ? n : -n, 1);
    for (int n = 1; n <= 5000; n++) {
        double value = sq_hist_stands_for(&hist, sq_hist_index(n));
        SQ_CHECK(value == rint(value) && sq_hist_index(value) == sq_hist_index(n), "%d: %.17g", n,
                 value);
        if (n <= 185) /* alone in its bucket */
            SQ_CHECK(value == n, "%d: %.17g", n, value);
    }
    sq_hist_add(&other, 0.5, 1);
    sq_hist_merge(&hist, &other);
    SQ_CHECK(sq_hist_stands_for(&hist, sq_hist_index(1)) == sq_hist_middle(sq_hist_index(1)));
    sq_hist_reset(&hist);
    sq_hist_add(&hist, 1e300, 1);
    SQ_CHECK(sq_hist_stands_for(&hist, sq_hist_index(1e300)) ==
             sq_hist_middle(sq_hist_index(1e300)));
    sq_hist_deinit(&hist);
    sq_hist_deinit(&other);
}
