/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include <stdlib.h>

#include "base/test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
enum { PLAIN = 1 };
#else
enum { PLAIN = 0 };
#endif

struct held {
    uint8_t *data;
    size_t bytes;
    uint8_t mark;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Mostly small, some around the class and the large limits, few large. */
static size_t pick_size(uint32_t *seed)
{
    uint32_t r = next_random(seed);

    switch (r % 8) {
    case 0:
        return next_random(seed) % 20000 + 1;
    case 1:
        return SQ_SLAB_SMALL_BYTES - 3 + next_random(seed) % 6;
    case 2:
        return next_random(seed) % 2048 + 1;
    default:
        return next_random(seed) % 200 + 1;
    }
}

static bool intact(const struct held *h)
{
    for (size_t i = 0; i < h->bytes; i++)
        if (h->data[i] != h->mark)
            return false;
    return true;
}

static void fill(struct held *h, uint32_t *seed)
{
    h->mark = (uint8_t)next_random(seed);
    memset(h->data, h->mark, h->bytes);
}

static void check_shape(const struct held *h)
{
    size_t usable = sq_slab_usable_size(h->data);

    SQ_CHECK(usable >= h->bytes, "asked for %zu, got %zu", h->bytes, usable);
    SQ_CHECK_EQ((uintptr_t)h->data % 8, 0, "alignment");
    if (!PLAIN && h->bytes <= SQ_SLAB_SMALL_BYTES) {
        SQ_CHECK_EQ((uintptr_t)h->data % 16, 0, "alignment of a small block");
        SQ_CHECK(h->bytes <= 128 || (usable - h->bytes) * 8 <= usable, "%zu lost of %zu",
                 usable - h->bytes, usable);
    }
}

SQ_TEST(slab_random_against_model)
{
    enum { SLOTS = 3000, STEPS = 60000 };
    struct sq_slab *slab = sq_slab_new();
    struct held *held = sq_xcalloc(SLOTS, sizeof *held);
    uint32_t seed = 7;
    size_t count = 0;

    for (int step = 0; step < STEPS; step++) {
        struct held *h = &held[next_random(&seed) % SLOTS];
        if (!h->data) {
            h->bytes = pick_size(&seed);
            h->data = sq_slab_alloc(slab, h->bytes);
            count++;
            check_shape(h);
            fill(h, &seed);
        } else if (next_random(&seed) % 3 == 0) {
            size_t bytes = pick_size(&seed), kept = SQ_MIN(bytes, h->bytes);
            h->data = sq_slab_realloc(slab, h->data, bytes);
            struct held before = {h->data, kept, h->mark};
            SQ_CHECK(intact(&before), "realloc from %zu to %zu", h->bytes, bytes);
            h->bytes = bytes;
            check_shape(h);
            fill(h, &seed);
        } else {
            SQ_CHECK(intact(h), "before it is given back");
            sq_slab_dealloc(h->data);
            h->data = NULL;
            count--;
        }
    }

    struct sq_slab_stats stats;
    sq_slab_stats(slab, &stats);
    if (!PLAIN)
        SQ_CHECK_EQ(stats.small_count + stats.large_count, count, "blocks");
    for (int i = 0; i < SLOTS; i++) {
        SQ_CHECK(!held[i].data || intact(&held[i]), "at the end");
        sq_slab_dealloc(held[i].data);
    }
    sq_slab_stats(slab, &stats);
    SQ_CHECK_EQ(stats.small_bytes + stats.small_count + stats.large_bytes + stats.large_count, 0,
                "all given back");
    free(held);
    sq_slab_free(slab);
}

SQ_TEST(slab_every_size_has_the_tightest_class)
{
    struct sq_slab *slab = sq_slab_new();
    size_t last = 0;

    for (size_t bytes = 1; bytes <= SQ_SLAB_SMALL_BYTES + 64; bytes++) {
        struct held h = {sq_slab_alloc(slab, bytes), bytes, 0};
        check_shape(&h);
        size_t usable = sq_slab_usable_size(h.data);
        if (!PLAIN && bytes <= SQ_SLAB_SMALL_BYTES) {
            /* A class ends exactly where the next begins: never a smaller one that would do. */
            SQ_CHECK(usable == last || last < bytes, "%zu bytes in %zu, the class before is %zu",
                     bytes, usable, last);
            last = usable;
        }
        memset(h.data, 0xff, bytes);
        sq_slab_dealloc(h.data);
    }
    SQ_CHECK_EQ(sq_slab_usable_size(NULL), 0, "NULL");
    sq_slab_free(slab);
}

SQ_TEST(slab_empty_spans_go_back)
{
    enum { BLOCKS = 200000, BYTES = 80 };
    struct sq_slab *slab = sq_slab_new();
    void **blocks = sq_xcalloc(BLOCKS, sizeof *blocks);
    struct sq_slab_stats full, empty, again;

    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = sq_slab_alloc(slab, BYTES);
        memset(blocks[i], i, BYTES);
    }
    sq_slab_stats(slab, &full);
    for (int i = 0; i < BLOCKS; i++)
        sq_slab_dealloc(blocks[i]);
    sq_slab_stats(slab, &empty);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = sq_slab_alloc(slab, BYTES);
        memset(blocks[i], i, BYTES);
    }
    sq_slab_stats(slab, &again);
    if (!PLAIN) {
        SQ_CHECK_EQ(full.small_bytes, BLOCKS * BYTES, "handed out");
        SQ_CHECK(full.span_bytes < full.small_bytes * 102 / 100, "%zu of spans for %zu",
                 full.span_bytes, full.small_bytes);
        SQ_CHECK(empty.span_bytes <= 8 * SQ_SLAB_SPAN_BYTES, "%zu kept", empty.span_bytes);
        SQ_CHECK(empty.mapped_bytes < full.mapped_bytes / 2, "%zu of %zu still mapped",
                 empty.mapped_bytes, full.mapped_bytes);
        SQ_CHECK_EQ(again.span_bytes, full.span_bytes, "the second filling");
    }
    for (int i = 0; i < BLOCKS; i++)
        sq_slab_dealloc(blocks[i]);
    free(blocks);
    sq_slab_free(slab);
}

SQ_TEST(slab_realloc_edges)
{
    struct sq_slab *slab = sq_slab_new();
    char *p = sq_slab_realloc(slab, NULL, 10);

    SQ_CHECK(p, "from NULL");
    memcpy(p, "123456789", 10);
    for (size_t bytes = 10; bytes < 100000; bytes = bytes * 5 / 4 + 1) {
        p = sq_slab_realloc(slab, p, bytes);
        SQ_CHECK(p && !memcmp(p, "123456789", 10), "grown to %zu", bytes);
    }
    for (size_t bytes = 100000; bytes > 10; bytes = bytes * 4 / 5) {
        p = sq_slab_realloc(slab, p, bytes);
        SQ_CHECK(p && !memcmp(p, "123456789", 10), "shrunk to %zu", bytes);
    }
    SQ_CHECK(sq_slab_realloc(slab, p, 0) == NULL, "to nothing");
    SQ_CHECK(sq_slab_realloc(slab, NULL, 0) == NULL, "from nothing to nothing");
    sq_slab_dealloc(NULL);
    void *none = sq_slab_alloc(slab, 0);
    SQ_CHECK(none, "a size of 0 is served");
    sq_slab_dealloc(none);
    sq_slab_free(slab);
    sq_slab_free(NULL);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
SQ_TEST(slab_impossible_size_is_an_error)
{
    struct sq_slab *slab = sq_slab_new();
    volatile size_t most = SIZE_MAX - 4, much = (size_t)1 << 62;
    void *p = sq_slab_alloc(slab, 3000);

    SQ_CHECK(!sq_slab_take_failure(slab), "nothing failed yet");
    SQ_CHECK(sq_slab_alloc(slab, most) == NULL, "wraps with its header");
    SQ_CHECK(sq_slab_take_failure(slab) && !sq_slab_take_failure(slab), "told once");
    SQ_CHECK(sq_slab_alloc(slab, much) == NULL, "no such memory");
    SQ_CHECK(sq_slab_realloc(slab, p, much) == NULL, "the old one stays");
    SQ_CHECK(sq_slab_realloc(slab, p, most) == NULL, "the old one stays");
    memset(p, 1, 3000);
    sq_slab_dealloc(p);
    sq_slab_free(slab);
}
#endif
