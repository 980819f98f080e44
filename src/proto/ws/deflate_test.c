/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/test.h"

#define NO_CONTEXT ((struct sq_ws_pmd){true, true, true, 0, 0})
#define CONTEXT ((struct sq_ws_pmd){.enabled = true})

struct side {
    struct sq_ws_deflate_pool *pool;
    struct sq_ws_deflate d;
    struct sq_buf out;
};

static void open_side(struct side *s, struct sq_ws_pmd agreed, bool server)
{
    *s = (struct side){.pool = sq_ws_deflate_pool_new()};
    sq_ws_deflate_init(&s->d, s->pool,
                       &(struct sq_ws_deflate_options){.agreed = agreed, .server = server});
}

static void close_side(struct side *s)
{
    sq_ws_deflate_deinit(&s->d);
    sq_ws_deflate_pool_free(s->pool);
    sq_buf_deinit(&s->out);
}

/* Inflates one message in two pieces; the result is in s->out. */
static int inflate_cut(struct side *s, const void *data, size_t len, size_t cut, uint64_t limit)
{
    uint8_t *copy = malloc(len + 1);
    int rc;

    memcpy(copy, data, len);
    s->out.len = 0;
    rc = sq_ws_inflate(&s->d, sq_slice(copy, cut), false, limit, &s->out);
    if (rc == 0)
        rc = sq_ws_inflate(&s->d, sq_slice(copy + cut, len - cut), true, limit, &s->out);
    free(copy);
    return rc;
}

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

static const struct {
    const char *name, *wire;
    size_t len;
    int want;
    const char *text;
} cases[] = {
    {"P61 one frame", HELLO, 7, 0, "Hello"},
    {"P64 stored block",
     "\x00\x05\x00\xfa\xff"
     "Hello\x00",
     11, 0, "Hello"},
    {"P65 empty", "\x00", 1, 0, ""},
    {"no bytes at all", "", 0, 0, ""},
    {"RFC 7692 7.2.3.4, BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, 0, "Hello"},
    {"BFINAL without the empty block", "\xf3\x48\xcd\xc9\xc9\x07\x00", 7, 0, "Hello"},
    {"RFC 7692 7.2.3.5, two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, 0,
     "Hello"},
    {"BFINAL, then more", "\xf3\x48\xcd\xc9\xc9\x07\x00" HELLO, 14, 0, "HelloHello"},
    {"P71 reserved block type", "\x07", 1, SQ_EPROTO, ""},
    {"P71 stored lengths disagree",
     "\x00\x05\x00\x00\x00"
     "Hello\x00",
     11, SQ_EPROTO, ""},
    {"P71 distance too far back", "\x02\x01\x00", 3, SQ_EPROTO, NULL},
    {"cut in a block", "\xf2\x48\xcd", 3, SQ_EPROTO, NULL},
    {"cut in a stored block",
     "\x00\x05\x00\xfa\xff"
     "Hel",
     8, SQ_EPROTO, NULL},
};

/* Every cut, with and without kept context, and after a good message one more. */
SQ_TEST(P61_inflate_any_split)
{
    for (size_t c = 0; c < SQ_COUNT(cases); c++)
        for (int kept = 0; kept < 2; kept++)
            for (size_t cut = 0; cut <= cases[c].len; cut++) {
                struct side s;
                open_side(&s, kept ? CONTEXT : NO_CONTEXT, false);
                int rc = inflate_cut(&s, cases[c].wire, cases[c].len, cut, 0);
                SQ_CHECK_EQ(rc, cases[c].want, "%s, cut at %zu", cases[c].name, cut);
                if (cases[c].text)
                    SQ_CHECK_STR(sq_buf_cstr(&s.out), cases[c].text);
                if (rc == 0) {
                    SQ_CHECK_EQ(inflate_cut(&s, HELLO, 7, cut % 7, 0), 0, "%s", cases[c].name);
                    SQ_CHECK_STR(sq_buf_cstr(&s.out), "Hello");
                }
                close_side(&s);
            }
}

SQ_TEST(P63_kept_context_points_back)
{
    struct side s;

    open_side(&s, CONTEXT, false);
    SQ_CHECK_EQ(inflate_cut(&s, HELLO, 7, 3, 0), 0);
    SQ_CHECK_EQ(inflate_cut(&s, "\xf2\x00\x11\x00\x00", 5, 2, 0), 0);
    SQ_CHECK_STR(sq_buf_cstr(&s.out), "Hello");
    SQ_CHECK(sq_ws_deflate_holds_state(&s.d));
    close_side(&s);
    /* A final block ends its stream but not the context. */
    open_side(&s, CONTEXT, false);
    SQ_CHECK_EQ(inflate_cut(&s, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, 3, 0), 0);
    SQ_CHECK_EQ(inflate_cut(&s, "\xf2\x00\x11\x00\x00", 5, 2, 0), 0);
    SQ_CHECK_STR(sq_buf_cstr(&s.out), "Hello");
    close_side(&s);
    /* Without context there is nothing to point back to. */
    open_side(&s, NO_CONTEXT, false);
    SQ_CHECK_EQ(inflate_cut(&s, HELLO, 7, 3, 0), 0);
    SQ_CHECK_EQ(inflate_cut(&s, "\xf2\x00\x11\x00\x00", 5, 2, 0), SQ_EPROTO);
    close_side(&s);
}

SQ_TEST(P70_bomb_stops_at_the_limit)
{
    enum { ZEROS = 64 << 20, LIMIT = 1 << 20 };
    struct side s;
    struct sq_buf bomb = {0};
    uint8_t *zeros = calloc(1, ZEROS);

    open_side(&s, NO_CONTEXT, true);
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice(zeros, ZEROS), &bomb), 1);
    free(zeros);
    close_side(&s);
    SQ_CHECK(bomb.len < ZEROS / 100);
    open_side(&s, NO_CONTEXT, false);
    SQ_CHECK_EQ(sq_ws_inflate(&s.d, sq_buf_slice(&bomb), true, LIMIT, &s.out), SQ_ETOOBIG);
    SQ_CHECK(s.out.len <= LIMIT && s.out.cap <= 4 * LIMIT, "%zu", s.out.cap);
    SQ_CHECK(!sq_ws_deflate_holds_state(&s.d));
    close_side(&s);
    sq_buf_deinit(&bomb);
}

SQ_TEST(P35_inflated_message_of_exactly_the_limit)
{
    struct side s;

    open_side(&s, NO_CONTEXT, false);
    SQ_CHECK_EQ(inflate_cut(&s, HELLO, 7, 4, 5), 0);
    SQ_CHECK_EQ(inflate_cut(&s, HELLO, 7, 4, 4), SQ_ETOOBIG);
    SQ_CHECK_EQ(s.out.len, 4);
    SQ_CHECK_EQ(inflate_cut(&s, HELLO, 7, 4, UINT64_MAX), 0);
    close_side(&s);
}

/* With a fresh raw inflater, as a peer without context does it. */
static void check_inflates_alone(struct sq_slice wire, const char *text)
{
    uint8_t out[256], in[256];
    z_stream z = {0};

    SQ_CHECK_EQ(inflateInit2(&z, -15), Z_OK);
    memcpy(in, wire.data, wire.len);
    memcpy(in + wire.len, "\0\0\xff\xff", 4);
    z.next_in = in;
    z.avail_in = (uInt)wire.len + 4;
    z.next_out = out;
    z.avail_out = sizeof out;
    SQ_CHECK_EQ(inflate(&z, Z_SYNC_FLUSH), Z_OK);
    SQ_CHECK_EQ(z.avail_in, 0);
    SQ_CHECK(sq_slice_eq(sq_slice(out, sizeof out - z.avail_out), sq_slice_str(text)));
    inflateEnd(&z);
}

SQ_TEST(P72_messages_without_context_inflate_alone)
{
    struct side s;

    open_side(&s, NO_CONTEXT, false);
    for (int i = 0; i < 5; i++) {
        s.out.len = 0;
        SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice_str("Hello"), &s.out), 1);
        SQ_CHECK(sq_slice_eq(sq_buf_slice(&s.out), sq_slice(HELLO, 7)), "PMD-9");
        check_inflates_alone(sq_buf_slice(&s.out), "Hello");
        SQ_CHECK(!sq_ws_deflate_holds_state(&s.d), "PMD-16");
    }
    close_side(&s);
}

SQ_TEST(ws_deflate_empty_message_is_one_zero_byte)
{
    for (int kept = 0; kept < 2; kept++) {
        struct side s;
        open_side(&s, kept ? CONTEXT : NO_CONTEXT, false);
        for (int i = 0; i < 3; i++) {
            s.out.len = 0;
            SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice(NULL, 0), &s.out), 1);
            SQ_CHECK(sq_slice_eq(sq_buf_slice(&s.out), sq_slice("\0", 1)));
        }
        close_side(&s);
    }
}

SQ_TEST(ws_deflate_small_messages_and_tiny_windows_go_plain)
{
    struct sq_ws_deflate_options opt = {.agreed = NO_CONTEXT, .threshold_bytes = 3};
    struct side s;

    open_side(&s, NO_CONTEXT, false);
    sq_ws_deflate_init(&s.d, s.pool, &opt);
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice_str("hi"), &s.out), 0);
    SQ_CHECK_EQ(s.out.len, 0);
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice_str("hi!"), &s.out), 1);
    opt.agreed.client_max_window_bits = 8; /* PMD-6 */
    sq_ws_deflate_init(&s.d, s.pool, &opt);
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice_str("Hello, Hello"), &s.out), 0);
    close_side(&s);
}

/* Text that repeats at distances beyond small windows. */
static struct sq_slice long_text(size_t len)
{
    static char text[300000];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + (i % 5003 * 7 + i / 90000) % 26);
    return sq_slice(text, SQ_MIN(len, sizeof text));
}

static void check_pair(struct sq_ws_pmd agreed, bool from_server)
{
    static const size_t sizes[] = {0, 1, 2, 126, 5000, 0, 70000, 300000, 3};
    struct side from, to;

    open_side(&from, agreed, from_server);
    open_side(&to, agreed, !from_server);
    for (size_t i = 0; i < SQ_COUNT(sizes); i++) {
        struct sq_slice text = long_text(sizes[i]);
        from.out.len = 0;
        SQ_CHECK_EQ(sq_ws_deflate_message(&from.d, text, &from.out), 1);
        SQ_CHECK_EQ(inflate_cut(&to, from.out.data, from.out.len, from.out.len / 3, 0), 0);
        SQ_CHECK(sq_slice_eq(sq_buf_slice(&to.out), text), "size %zu", text.len);
    }
    close_side(&from);
    close_side(&to);
}

SQ_TEST(ws_deflate_both_sides_for_all_parameters)
{
    for (int flags = 0; flags < 4; flags++)
        for (uint8_t bits = 9; bits <= 15; bits++) {
            struct sq_ws_pmd agreed = {true, flags & 1, flags & 2, bits, bits};
            check_pair(agreed, false);
            check_pair(agreed, true);
        }
    check_pair(NO_CONTEXT, false);
    check_pair(CONTEXT, true);
}

SQ_TEST(ws_deflate_kept_context_shrinks_repeats)
{
    struct side s;
    size_t first;

    open_side(&s, CONTEXT, false);
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, long_text(400), &s.out), 1);
    first = s.out.len;
    s.out.len = 0;
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, long_text(400), &s.out), 1);
    SQ_CHECK(s.out.len * 4 < first, "%zu after %zu", s.out.len, first);
    SQ_CHECK(sq_ws_deflate_holds_state(&s.d));
    close_side(&s);
}

/* Two connections in the middle of a message each, on one thread. */
SQ_TEST(ws_inflate_interleaved_connections)
{
    struct sq_ws_deflate_options opt = {.agreed = NO_CONTEXT};
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    struct sq_ws_deflate d[8];
    struct sq_buf out[8] = {0};

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < SQ_COUNT(d); i++)
            sq_ws_deflate_init(&d[i], pool, &opt);
        for (size_t at = 0; at < 7; at++)
            for (size_t i = 0; i < SQ_COUNT(d); i++)
                SQ_CHECK_EQ(sq_ws_inflate(&d[i], sq_slice(&HELLO[at], 1), at == 6, 0, &out[i]), 0);
        for (size_t i = 0; i < SQ_COUNT(d); i++) {
            SQ_CHECK_STR(sq_buf_cstr(&out[i]), "Hello");
            SQ_CHECK(!sq_ws_deflate_holds_state(&d[i]));
            out[i].len = 0;
        }
    }
    /* Cut off in the middle: the pool gets its inflater back. */
    SQ_CHECK_EQ(sq_ws_inflate(&d[0], sq_slice(HELLO, 3), false, 0, &out[0]), 0);
    SQ_CHECK(sq_ws_deflate_holds_state(&d[0]));
    for (size_t i = 0; i < SQ_COUNT(d); i++) {
        sq_ws_deflate_deinit(&d[i]);
        sq_buf_deinit(&out[i]);
    }
    sq_ws_deflate_pool_free(pool);
}

/* More sets of parameters than the pool keeps compressors for. */
SQ_TEST(ws_deflate_many_parameter_sets)
{
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();

    for (int i = 0; i < 40; i++) {
        struct sq_ws_deflate_options opt = {
            .agreed = NO_CONTEXT, .level = (int8_t)(1 + i % 7), .mem_level = (int8_t)(1 + i % 3)};
        struct sq_ws_deflate d;
        struct sq_buf out = {0};
        sq_ws_deflate_init(&d, pool, &opt);
        SQ_CHECK_EQ(sq_ws_deflate_message(&d, sq_slice_str("Hello"), &out), 1);
        check_inflates_alone(sq_buf_slice(&out), "Hello");
        sq_ws_deflate_deinit(&d);
        sq_buf_deinit(&out);
    }
    sq_ws_deflate_pool_free(pool);
}

SQ_TEST(ws_deflate_output_ceiling)
{
    struct side s;

    open_side(&s, NO_CONTEXT, false);
    s.out.max_bytes = 10;
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, long_text(5000), &s.out), SQ_ETOOBIG);
    SQ_CHECK_EQ(s.out.len, 0);
    s.out.max_bytes = 0;
    SQ_CHECK_EQ(sq_ws_deflate_message(&s.d, sq_slice_str("Hello"), &s.out), 1);
    check_inflates_alone(sq_buf_slice(&s.out), "Hello");
    close_side(&s);
}
