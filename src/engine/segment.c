/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/segment.h"

#include <stdlib.h>

#include "base/text.h"

enum {
    DENOMINATOR_MAX = 1000000000,
    PERIOD_MAX = 1 << 24, /* a pattern is a table: this bounds its memory to 192 MiB */
    POINTS_MAX = 65536,
};

struct ratio {
    int64_t num, den; /* reduced, den > 0, 0 <= num <= den */
};

struct sq_stripe {
    int64_t period;   /* L of ENG-141 */
    int64_t *lengths; /* of every part, in units of 1/L */
    size_t parts, mine;
    uint32_t *owner; /* part that owns index i of the period */
    uint32_t *owned; /* our indexes within the period, rising */
};

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct ratio reduce(int64_t num, int64_t den)
{
    int64_t divisor = greatest_divisor(num, den);

    return (struct ratio){num / divisor, den / divisor};
}

/* Both denominators are at most 1e9: products of two fit. */
static int compare(struct ratio a, struct ratio b)
{
    int64_t left = a.num * b.den, right = b.num * a.den;

    return (left > right) - (left < right);
}

static bool parse_digits(struct sq_slice *in, int64_t *value, int *digits)
{
    *value = 0;
    *digits = 0;
    while (in->len && *in->data >= '0' && *in->data <= '9') {
        *value = *value * 10 + (*in->data - '0');
        if (*value > DENOMINATOR_MAX)
            return false;
        in->data++, in->len--, ++*digits;
    }
    return true;
}

static bool take(struct sq_slice *in, char c)
{
    if (!in->len || *in->data != (uint8_t)c)
        return false;
    in->data++, in->len--;
    return true;
}

/* "20%", "0.25", "1/3", "1" */
static bool parse_point(struct sq_slice in, struct ratio *out)
{
    int64_t whole, part = 0, den = 1;
    int digits, more = 0;

    in = sq_slice_trim(in);
    if (!parse_digits(&in, &whole, &digits))
        return false;
    if (take(&in, '%') && digits) {
        den = 100;
    } else if (digits && take(&in, '/')) {
        if (!parse_digits(&in, &den, &more) || !more || den == 0)
            return false;
    } else if (take(&in, '.')) {
        if (!parse_digits(&in, &part, &more) || more > 9 || digits + more == 0)
            return false;
        for (int i = 0; i < more; i++)
            den *= 10;
        if (whole > 1)
            return false;
        whole = whole * den + part;
    } else if (!digits) {
        return false;
    }
    if (in.len || whole > den)
        return false;
    *out = reduce(whole, den);
    return true;
}

static int parse_segment(const char *text, struct ratio *from, struct ratio *to,
                         struct sq_error *err)
{
    const char *colon = strchr(text, ':');
    bool ok;

    *from = (struct ratio){0, 1};
    if (colon)
        ok = parse_point(sq_slice(text, (size_t)(colon - text)), from) &&
             parse_point(sq_slice_str(colon + 1), to);
    else
        ok = parse_point(sq_slice_str(text), to);
    if (!ok)
        return sq_error_set(err, SQ_EINVALID,
                            "'%s' is not an execution segment such as 0:1/3, 25%%:50%% or 0.5:1",
                            text);
    if (compare(*from, *to) >= 0)
        return sq_error_set(err, SQ_EINVALID,
                            "execution segment '%s' is empty: its start must lie before its end",
                            text);
    return 0;
}

static int parse_sequence(const char *text, struct ratio **points, size_t *count,
                          struct sq_error *err)
{
    struct ratio *list = NULL;
    size_t n = 0;

    for (const char *p = text;;) {
        size_t len = strcspn(p, ",");
        list = sq_xrealloc(list, (n + 3) * sizeof *list);
        if (n == POINTS_MAX || !parse_point(sq_slice(p, len), &list[n])) {
            free(list);
            return sq_error_set(
                err, SQ_EINVALID,
                "'%s' is not an execution segment sequence such as 0,1/3,2/3,1 (at '%.*s')", text,
                (int)len, p);
        }
        n++;
        if (n > 1 && compare(list[n - 2], list[n - 1]) >= 0) {
            free(list);
            return sq_error_set(err, SQ_EINVALID,
                                "the points of execution segment sequence '%s' must rise", text);
        }
        if (!p[len])
            break;
        p += len + 1;
    }
    if (n < 2) {
        free(list);
        return sq_error_set(err, SQ_EINVALID,
                            "execution segment sequence '%s' needs two points at least", text);
    }
    *points = list;
    *count = n;
    return 0;
}

int sq_segment_check(const char *segment, struct sq_error *err)
{
    struct ratio from, to;

    return parse_segment(segment, &from, &to, err);
}

int sq_sequence_check(const char *sequence, struct sq_error *err)
{
    struct ratio *points;
    size_t count;
    int rc = parse_sequence(sequence, &points, &count, err);

    if (rc == 0)
        free(points);
    return rc;
}

/* The part with the largest share first, equal ones in their order: parts are few, so insertion. */
static size_t *order_of_parts(const struct sq_stripe *s)
{
    size_t *order = sq_xmalloc(s->parts * sizeof *order);

    for (size_t i = 0; i < s->parts; i++) {
        size_t at = i;
        for (; at > 0 && s->lengths[order[at - 1]] < s->lengths[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

/* ENG-141. `lengths` moves in. Some part always qualifies: if none did, the sum of all taken would
 * exceed the number of indexes dealt. */
static struct sq_stripe *deal(int64_t *lengths, size_t parts, size_t mine, int64_t period)
{
    struct sq_stripe *s = sq_xcalloc(1, sizeof *s);
    int64_t *taken = sq_xcalloc(parts, sizeof *taken);
    size_t owned = 0;

    s->period = period;
    s->lengths = lengths;
    s->parts = parts;
    s->mine = mine;
    s->owner = sq_xmalloc((size_t)period * sizeof *s->owner);
    s->owned = sq_xmalloc((size_t)lengths[mine] * sizeof *s->owned);
    size_t *order = order_of_parts(s);
    for (int64_t i = 0; i < period; i++) {
        size_t at = 0;
        while (taken[order[at]] * period > i * lengths[order[at]])
            at++;
        sq_assert(at < parts);
        s->owner[i] = (uint32_t)order[at];
        taken[order[at]]++;
        if (order[at] == mine)
            s->owned[owned++] = (uint32_t)i;
    }
    sq_assert((int64_t)owned == lengths[mine]);
    free(order);
    free(taken);
    return s;
}

static void fill_ends(struct ratio *points, size_t *count)
{
    if (points[0].num != 0) {
        memmove(points + 1, points, *count * sizeof *points);
        points[0] = (struct ratio){0, 1};
        ++*count;
    }
    if (points[*count - 1].num != points[*count - 1].den)
        points[(*count)++] = (struct ratio){1, 1};
}

static int period_of(const struct ratio *points, size_t parts, int64_t *period)
{
    *period = 1;
    for (size_t i = 0; i < parts; i++) {
        /* A length's reduced denominator divides that of its two ends' least common multiple. */
        __int128 num = (__int128)points[i + 1].num * points[i].den -
                       (__int128)points[i].num * points[i + 1].den;
        int64_t all = points[i].den * points[i + 1].den;
        struct ratio length = reduce((int64_t)num, all);
        if (length.den > PERIOD_MAX)
            return SQ_EINVALID;
        *period = *period / greatest_divisor(*period, length.den) * length.den;
        if (*period > PERIOD_MAX)
            return SQ_EINVALID;
    }
    return 0;
}

static int stripe_of_points(const struct ratio *points, size_t count, size_t mine,
                            struct sq_stripe **out, struct sq_error *err)
{
    int64_t period;
    size_t parts = count - 1;

    if (parts == 1)
        return 0;
    if (period_of(points, parts, &period) < 0)
        return sq_error_set(
            err, SQ_EINVALID,
            "the execution segments have no common denominator below %d: use simpler fractions",
            PERIOD_MAX);
    int64_t *lengths = sq_xmalloc(parts * sizeof *lengths);
    for (size_t i = 0; i < parts; i++) {
        __int128 num = (__int128)points[i + 1].num * points[i].den -
                       (__int128)points[i].num * points[i + 1].den;
        lengths[i] = (int64_t)(num * period / ((__int128)points[i].den * points[i + 1].den));
    }
    *out = deal(lengths, parts, mine, period);
    return 0;
}

int sq_stripe_new(const char *segment, const char *sequence, struct sq_stripe **out,
                  struct sq_error *err)
{
    struct ratio from = {0, 1}, to = {1, 1}, *points = NULL;
    size_t count = 0, mine = 0;
    int rc = 0;

    *out = NULL;
    if (segment && *segment && (rc = parse_segment(segment, &from, &to, err)) < 0)
        return rc;
    if (sequence && *sequence) {
        rc = parse_sequence(sequence, &points, &count, err);
        if (rc < 0)
            return rc;
    } else {
        points = sq_xmalloc(4 * sizeof *points);
        points[0] = from;
        points[1] = to;
        count = 2;
    }
    fill_ends(points, &count);
    while (mine + 1 < count &&
           (compare(points[mine], from) != 0 || compare(points[mine + 1], to) != 0))
        mine++;
    if (mine + 1 == count)
        rc = sq_error_set(err, SQ_EINVALID,
                          "execution segment '%s' is not a part of the sequence '%s'",
                          segment && *segment ? segment : "0:1", sequence);
    else
        rc = stripe_of_points(points, count, mine, out, err);
    free(points);
    return rc;
}

void sq_stripe_free(struct sq_stripe *stripe)
{
    if (!stripe)
        return;
    free(stripe->lengths);
    free(stripe->owner);
    free(stripe->owned);
    free(stripe);
}

static int64_t scale_of_part(const struct sq_stripe *s, size_t part, int64_t value)
{
    int64_t count = value / s->period * s->lengths[part];

    for (int64_t i = 0; i < value % s->period; i++)
        count += s->owner[i] == part;
    return count;
}

int64_t sq_stripe_scale(const struct sq_stripe *s, int64_t value)
{
    if (!s || value <= 0)
        return value;
    /* Our own share is asked for often: a binary search in the rising list of our indexes. */
    int64_t rest = value % s->period, low = 0, high = s->lengths[s->mine];
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (s->owned[middle] < rest)
            low = middle + 1;
        else
            high = middle;
    }
    return value / s->period * s->lengths[s->mine] + low;
}

uint64_t sq_stripe_index(const struct sq_stripe *s, uint64_t n)
{
    if (!s)
        return n;
    uint64_t count = (uint64_t)s->lengths[s->mine];
    return n / count * (uint64_t)s->period + s->owned[n % count];
}

int sq_stripe_resegment(const struct sq_stripe *s, int64_t value, struct sq_stripe **out,
                        bool *nothing, struct sq_error *err)
{
    size_t parts = 0, mine = 0;
    int64_t divisor = 0;

    *out = NULL;
    *nothing = false;
    if (!s)
        return 0;
    int64_t *lengths = sq_xmalloc(s->parts * sizeof *lengths);
    for (size_t i = 0; i < s->parts; i++) {
        int64_t share = value > 0 ? scale_of_part(s, i, value) : 0;
        if (i == s->mine) {
            mine = parts;
            *nothing = share == 0;
        }
        if (share > 0) {
            lengths[parts++] = share;
            divisor = greatest_divisor(share, divisor);
        }
    }
    if (*nothing || parts == 1) {
        free(lengths);
        return 0;
    }
    for (size_t i = 0; i < parts; i++)
        lengths[i] /= divisor;
    if (value / divisor > PERIOD_MAX) {
        free(lengths);
        return sq_error_set(err, SQ_EINVALID,
                            "%lld VUs cannot be dealt exactly to these execution segments",
                            (long long)value);
    }
    *out = deal(lengths, parts, mine, value / divisor);
    return 0;
}

double sq_stripe_share(const struct sq_stripe *s)
{
    return s ? (double)s->lengths[s->mine] / (double)s->period : 1;
}
