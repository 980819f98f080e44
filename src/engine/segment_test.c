/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/segment.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

static const struct {
    const char *sequence, *segment;
    int64_t period;
    int owned[4], count;
} examples[] = {
    /* ENG-141 */
    {"0,1/3,2/3,1", "0:1/3", 3, {0}, 1},       {"0,1/3,2/3,1", "1/3:2/3", 3, {1}, 1},
    {"0,1/3,2/3,1", "2/3:1", 3, {2}, 1},       {"0,1/2,3/4,1", "0.5", 4, {0, 2}, 2},
    {"0,1/2,3/4,1", "50%:75%", 4, {1}, 1},     {"0,1/2,3/4,1", "0.75:1", 4, {3}, 1},
    {"0,1/10,1", "0:1/10", 10, {1}, 1},        {"", "10%", 10, {1}, 1},
    {"0,1/5,2/5,1", "0:1/5", 5, {1}, 1},       {"0,1/5,2/5,1", "1/5:2/5", 5, {3}, 1},
    {"0,1/5,2/5,1", "2/5:1", 5, {0, 2, 4}, 3}, {"1/5,2/5", "2/5:1", 5, {0, 2, 4}, 3},
    {"0,1/2,2/3,1", "0:1/2", 6, {0, 2, 4}, 3}, {"0,1/2,2/3,1", "1/2:2/3", 6, {5}, 1},
    {"0,1/2,2/3,1", "2/3:1", 6, {1, 3}, 2},
};

SQ_TEST(segment_stripes_ENG_141)
{
    for (size_t c = 0; c < SQ_COUNT(examples); c++) {
        struct sq_stripe *s;
        struct sq_error err = {0};
        SQ_CHECK_EQ(sq_stripe_new(examples[c].segment, examples[c].sequence, &s, &err), 0, "%zu",
                    c);
        for (int n = 0; n < 3 * examples[c].count; n++)
            SQ_CHECK_EQ(sq_stripe_index(s, (uint64_t)n),
                        examples[c].owned[n % examples[c].count] +
                            n / examples[c].count * examples[c].period,
                        "example %zu, number %d", c, n);
        sq_stripe_free(s);
    }
}

SQ_TEST(segment_whole_test_needs_no_stripe)
{
    static const char *const whole[] = {"", "0:1", "100%", "1"};

    for (size_t i = 0; i < SQ_COUNT(whole); i++) {
        struct sq_stripe *s;
        SQ_CHECK_EQ(sq_stripe_new(whole[i], NULL, &s, NULL), 0, "%s", whole[i]);
        SQ_CHECK(s == NULL, "%s", whole[i]);
    }
    SQ_CHECK_EQ(sq_stripe_scale(NULL, 17), 17);
    SQ_CHECK_EQ(sq_stripe_index(NULL, 17), 17);
}

SQ_TEST(segment_syntax_ENG_140)
{
    static const char *const wrong[] = {
        "2:1", "1/2:1/2", "a",   "1/0", "-1:1", "0:1.5", "0:2", "1//2",  ":",          "0:1:",
        "%",   "1%%",     "0,1", " ",   "0:1/", "0.:x",  ".",   "0:3/2", "99999999999"};
    static const char *const wrong_sequences[] = {"0", "0,0", "0,1/2,1/3", "", "0,,1", "0,1,"};
    static const char *const right[] = {"0:1", "20%", "0.25:0.5", "1/3:2/3", "5%:1/2"};

    for (size_t i = 0; i < SQ_COUNT(wrong); i++)
        SQ_CHECK_EQ(sq_segment_check(wrong[i], NULL), SQ_EINVALID, "'%s'", wrong[i]);
    for (size_t i = 0; i < SQ_COUNT(wrong_sequences); i++)
        SQ_CHECK_EQ(sq_sequence_check(wrong_sequences[i], NULL), SQ_EINVALID, "'%s'",
                    wrong_sequences[i]);
    for (size_t i = 0; i < SQ_COUNT(right); i++)
        SQ_CHECK_EQ(sq_segment_check(right[i], NULL), 0, "'%s'", right[i]);
}

enum { PARTS_MAX = 8 };

/* Stripes of all parts of a random sequence; returns how many. */
static size_t random_parts(unsigned *seed, struct sq_stripe **parts)
{
    int den = 2 + rand_r(seed) % 60, at = 0;
    int points[PARTS_MAX + 1] = {0};
    char sequence[256], segment[64];
    size_t count = 0, len = 0;

    while (at < den && count < PARTS_MAX) {
        at += 1 + rand_r(seed) % den;
        count++;
        at = count == PARTS_MAX ? den : SQ_MIN(at, den);
        points[count] = at;
    }
    for (size_t i = 0; i <= count; i++)
        len += (size_t)snprintf(sequence + len, sizeof sequence - len, "%s%d/%d", i ? "," : "",
                                points[i], den);
    for (size_t i = 0; i < count; i++) {
        snprintf(segment, sizeof segment, "%d/%d:%d/%d", points[i], den, points[i + 1], den);
        SQ_CHECK_EQ(sq_stripe_new(segment, sequence, &parts[i], NULL), 0, "%s", segment);
    }
    return count;
}

SQ_TEST(segment_parts_share_everything_once)
{
    unsigned seed = 7;

    for (int round = 0; round < 200; round++) {
        struct sq_stripe *parts[PARTS_MAX] = {0};
        size_t count = random_parts(&seed, parts);
        int64_t value = rand_r(&seed) % 1000, sum = 0;
        uint8_t seen[1000] = {0};
        for (size_t p = 0; p < count; p++) {
            int64_t share = sq_stripe_scale(parts[p], value);
            sum += share;
            for (int64_t n = 0; n < share; n++)
                seen[sq_stripe_index(parts[p], (uint64_t)n)]++;
        }
        SQ_CHECK_EQ(sum, value, "round %d", round);
        for (int64_t i = 0; i < value; i++)
            SQ_CHECK_EQ(seen[i], 1, "round %d, index %d", round, (int)i);
        for (size_t p = 0; p < count; p++)
            sq_stripe_free(parts[p]);
    }
}

/* ENG-145: iterations of each third, re-segmented by the VUs. */
static int64_t share_of(int part, int64_t vus, int64_t iterations, uint64_t *numbers)
{
    static const char *const segments[] = {"0:1/3", "1/3:2/3", "2/3:1"};
    struct sq_stripe *all, *mine;
    bool nothing;

    SQ_CHECK_EQ(sq_stripe_new(segments[part], "0,1/3,2/3,1", &all, NULL), 0);
    SQ_CHECK_EQ(sq_stripe_resegment(all, vus, &mine, &nothing, NULL), 0);
    int64_t share = nothing ? 0 : sq_stripe_scale(mine, iterations);
    for (int64_t n = 0; n < share; n++)
        numbers[n] = sq_stripe_index(mine, (uint64_t)n);
    sq_stripe_free(mine);
    sq_stripe_free(all);
    return share;
}

SQ_TEST(segment_resegmented_EC_44_EC_45)
{
    static const struct {
        int count;
        uint64_t numbers[8];
    } want[] = {
        {8, {0, 3, 5, 8, 10, 13, 15, 18}}, {6, {1, 4, 7, 11, 14, 17}}, {6, {2, 6, 9, 12, 16, 19}}};
    static const int seven[] = {10, 7, 6};
    uint64_t numbers[32] = {0};

    for (int p = 0; p < 3; p++) {
        SQ_CHECK_EQ(share_of(p, 10, 20, numbers), want[p].count, "part %d", p);
        for (int n = 0; n < want[p].count; n++)
            SQ_CHECK_EQ(numbers[n], want[p].numbers[n], "part %d", p);
        SQ_CHECK_EQ(share_of(p, 7, 23, numbers), seven[p], "part %d", p);
    }
    /* One VU: the first part has it all, the others nothing. */
    SQ_CHECK_EQ(share_of(0, 1, 5, numbers), 5);
    SQ_CHECK_EQ(share_of(1, 1, 5, numbers), 0);
}
