/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/mask.h"

#include "base/test.h"

enum { PAD = 64, SIZE_MAX_TESTED = 300 };

static const uint8_t key_bytes[4] = {0x37, 0xfa, 0x21, 0x3d};

static uint32_t key(void)
{
    uint32_t k;

    memcpy(&k, key_bytes, 4);
    return k;
}

/* One call against a byte loop; bytes around the target must not change. */
static void check(size_t len, size_t src_at, size_t dst_at, size_t offset)
{
    uint8_t src[SIZE_MAX_TESTED + 2 * PAD], dst[sizeof src];
    size_t bad = 0;

    for (size_t i = 0; i < sizeof src; i++)
        src[i] = (uint8_t)(i * 7 + len);
    memset(dst, 0xee, sizeof dst);
    sq_ws_mask_copy(dst + dst_at, src + src_at, len, key(), offset);
    for (size_t i = 0; i < sizeof dst; i++) {
        bool inside = i >= dst_at && i < dst_at + len;
        size_t n = i - dst_at;
        bad += dst[i] != (inside ? src[src_at + n] ^ key_bytes[(offset + n) & 3] : 0xee);
    }
    SQ_CHECK_EQ(bad, 0, "len %zu, from %zu, to %zu, offset %zu", len, src_at, dst_at, offset);
}

SQ_TEST(ws_mask_every_size_and_offset)
{
    for (size_t len = 0; len <= SIZE_MAX_TESTED; len++)
        for (size_t offset = 0; offset < 8; offset++)
            check(len, 3, 1, offset);
}

SQ_TEST(ws_mask_every_alignment)
{
    static const size_t sizes[] = {0, 1, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 129, 257};

    for (size_t s = 0; s < SQ_COUNT(sizes); s++)
        for (size_t from = 0; from < 33; from++)
            for (size_t to = 0; to < 33; to++)
                check(sizes[s], from, to, (from + to) & 3);
}

SQ_TEST(ws_mask_in_place_twice_is_the_original)
{
    uint8_t text[SIZE_MAX_TESTED], before[sizeof text];

    for (size_t i = 0; i < sizeof text; i++)
        before[i] = text[i] = (uint8_t)(i ^ 0x5a);
    for (size_t len = 0; len <= sizeof text; len++) {
        sq_ws_mask_copy(text, text, len, key(), 2);
        SQ_CHECK(len == 0 || text[0] != before[0]);
        sq_ws_mask_copy(text, text, len, key(), 2);
        SQ_CHECK(memcmp(text, before, sizeof text) == 0, "len %zu", len);
    }
}

SQ_TEST(ws_mask_in_pieces_equals_one_go)
{
    uint8_t src[200], whole[200], pieces[200];

    for (size_t i = 0; i < sizeof src; i++)
        src[i] = (uint8_t)i;
    sq_ws_mask_copy(whole, src, sizeof src, key(), 0);
    for (size_t cut = 0; cut <= sizeof src; cut++) {
        sq_ws_mask_copy(pieces, src, cut, key(), 0);
        sq_ws_mask_copy(pieces + cut, src + cut, sizeof src - cut, key(), cut);
        SQ_CHECK(memcmp(whole, pieces, sizeof whole) == 0, "cut at %zu", cut);
    }
}
