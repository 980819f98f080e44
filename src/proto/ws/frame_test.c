/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/frame.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/test.h"
#include "proto/ws/mask.h"

/* A log of what a decoder reports, payload pieces joined: equal for every split of the same bytes
 * (FR-1). "T5 Hello." is a final text frame of five bytes; "t" one that goes on; "~" marks RSV1. */
struct log {
    struct sq_buf text;
    int result;
};

static char frame_letter(const struct sq_ws_frame *f)
{
    static const char letters[] = "CTB?????XPO?????";
    char c = letters[f->opcode & 15];

    return f->fin ? c : (char)(c | 0x20);
}

/* Feeds a copy of exactly these bytes, so that reading past the end is caught. */
static void feed(struct sq_ws_decoder *d, struct log *log, const uint8_t *data, size_t len)
{
    uint8_t *copy = len ? memcpy(malloc(len), data, len) : NULL;
    struct sq_slice in = sq_slice(copy, len), piece;

    while (log->result >= 0) {
        log->result = sq_ws_decode(d, &in, &piece);
        if (log->result == SQ_WS_NEED_MORE)
            break;
        if (log->result == SQ_WS_HEADER)
            sq_buf_printf(&log->text, "%c%s%llu ", frame_letter(&d->frame),
                          d->frame.rsv1 ? "~" : "", (unsigned long long)d->frame.len);
        else if (log->result == SQ_WS_PAYLOAD)
            sq_buf_put(&log->text, piece.data, piece.len);
        else if (log->result == SQ_WS_FRAME_END)
            sq_buf_putc(&log->text, '.');
    }
    if (log->result == SQ_WS_NEED_MORE)
        SQ_CHECK_EQ(in.len, 0);
    free(copy);
}

static struct log decode_cut(unsigned flags, const void *wire, size_t len, size_t cut)
{
    static const uint8_t one_more[] = {0x82, 0x01, 'z'};
    struct sq_ws_decoder d = {.flags = (uint8_t)flags};
    struct log log = {0};

    feed(&d, &log, wire, cut);
    feed(&d, &log, (const uint8_t *)wire + cut, len - cut);
    if (log.result >= 0 && !sq_ws_decode_midway(&d) && !(flags & SQ_WS_ROLE_SERVER))
        feed(&d, &log, one_more, sizeof one_more);
    return log;
}

/* Whatever the cut: the same log, the same verdict, and after a good one a frame more is read. */
static void check_all_cuts(const char *name, unsigned flags, const void *wire, size_t len,
                           const char *want, bool good)
{
    for (size_t cut = 0; cut <= len; cut++) {
        struct log log = decode_cut(flags, wire, len, cut);
        SQ_CHECK_EQ(log.result, good ? SQ_WS_NEED_MORE : SQ_EPROTO, "%s, cut at %zu", name, cut);
        if (strcmp(sq_buf_cstr(&log.text), want) != 0)
            sq_test_fail(__FILE__, __LINE__, "%s, cut at %zu: '%s', want '%s'", name, cut,
                         sq_buf_cstr(&log.text), want);
        sq_buf_deinit(&log.text);
    }
}

#define GOOD(name, flags, wire, want) \
    check_all_cuts(name, flags, wire, sizeof(wire) - 1, want, true)
#define BAD(name, flags, wire, want) \
    check_all_cuts(name, flags, wire, sizeof(wire) - 1, want, false)

static const char *reason_of(unsigned flags, const char *wire, size_t len)
{
    struct sq_ws_decoder d = {.flags = (uint8_t)flags};
    struct log log = {0};

    feed(&d, &log, (const uint8_t *)wire, len);
    sq_buf_deinit(&log.text);
    return sq_ws_decode_reason(&d);
}

SQ_TEST(P19_text_frame)
{
    GOOD("text", 0, "\x81\x05Hello", "T5 Hello.B1 z.");
}

SQ_TEST(P20_two_fragments)
{
    GOOD("fragments", 0, "\x01\x03Hel\x80\x02lo", "t3 Hel.C2 lo.B1 z.");
    GOOD("empty fragments", 0, "\x01\x00\x00\x00\x00\x01x\x80\x00", "t0 .c0 .c1 x.C0 .B1 z.");
}

SQ_TEST(P21_control_frame_between_fragments)
{
    GOOD("ping inside", 0, "\x01\x03Hel\x89\x00\x80\x02lo", "t3 Hel.P0 .C2 lo.B1 z.");
}

/* `head`, then `len` bytes of 'a'. */
static void check_long(const char *head, size_t head_len, size_t len)
{
    size_t cuts[] = {0, 1, 2, 3, head_len, head_len + 1, head_len + len - 1, head_len + len};
    uint8_t *wire = malloc(head_len + len);
    char want[32];

    memcpy(wire, head, head_len);
    memset(wire + head_len, 'a', len);
    snprintf(want, sizeof want, "B%zu a", len);
    for (size_t i = 0; i < SQ_COUNT(cuts); i++) {
        struct log log = decode_cut(0, wire, head_len + len, cuts[i]);
        SQ_CHECK_EQ(log.result, SQ_WS_NEED_MORE);
        SQ_CHECK(strncmp(sq_buf_cstr(&log.text), want, strlen(want)) == 0);
        SQ_CHECK_EQ(log.text.len, strlen(want) - 1 + len + strlen(".B1 z."), "cut %zu", cuts[i]);
        sq_buf_deinit(&log.text);
    }
    free(wire);
}

SQ_TEST(P22_length_of_16_bits)
{
    check_long("\x82\x7e\x01\x00", 4, 256);
    check_long("\x82\x7e\x00\x7e", 4, 126);
}

SQ_TEST(P23_length_of_64_bits)
{
    check_long("\x82\x7f\0\0\0\0\0\x01\0\0", 10, 65536);
}

SQ_TEST(P24_masked_by_the_server)
{
    static const char wire[] = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

    BAD("masked", 0, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "");
    GOOD("lenient", SQ_WS_LENIENT, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
         "T5 Hello.B1 z.");
    SQ_CHECK_STR(reason_of(0, wire, sizeof wire - 1), "masked frame from a server, RFC 6455 5.1");
}

SQ_TEST(P25_reserved_bits)
{
    BAD("RSV1", 0,
        "\xc1\x01"
        "a",
        "");
    BAD("RSV2", 0,
        "\xa1\x01"
        "a",
        "");
    BAD("RSV3", 0,
        "\x91\x01"
        "a",
        "");
    SQ_CHECK_STR(reason_of(0, "\xc1\x01", 2), "reserved bit set, RFC 6455 5.2");
    for (unsigned opcode = 0; opcode < 16; opcode++)
        for (unsigned bits = 1; bits < 8; bits++) {
            char wire[2] = {(char)(0x80 | bits << 4 | opcode), 0};
            bool good = bits == 4 && (opcode == 1 || opcode == 2);
            struct log log = decode_cut(SQ_WS_RSV1_OK, wire, 2, 1);
            SQ_CHECK_EQ(log.result >= 0, good, "opcode %u, bits %u", opcode, bits);
            sq_buf_deinit(&log.text);
        }
}

SQ_TEST(P26_reserved_opcodes_fail_without_their_payload)
{
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        /* 2^62 bytes announced, none sent; the length itself is not even complete. */
        char wire[3] = {(char)(0x80 | opcode), 0x7f, 0x40};
        struct log log = decode_cut(0, wire, sizeof wire, 1);
        bool data = opcode == 1 || opcode == 2;
        SQ_CHECK_EQ(log.result, data ? SQ_WS_NEED_MORE : SQ_EPROTO, "opcode %u", opcode);
        sq_buf_deinit(&log.text);
    }
    SQ_CHECK_STR(reason_of(0, "\x83\x00", 2), "reserved opcode, RFC 6455 5.2");
    SQ_CHECK_STR(reason_of(0, "\x8b\x00", 2), "reserved opcode, RFC 6455 5.2");
}

SQ_TEST(P27_long_control_frame)
{
    BAD("ping of 126", 0, "\x89\x7e", "");
    BAD("pong of 126, lenient", SQ_WS_LENIENT, "\x8a\x7e\x00\x7e", "");
    BAD("close of 2^16", 0, "\x88\x7f", "");
}

SQ_TEST(P28_fragmented_control_frame)
{
    BAD("ping", 0,
        "\x09\x01"
        "a",
        "");
    BAD("close", 0, "\x08\x00", "");
}

SQ_TEST(P29_continuation_without_a_message)
{
    BAD("at once", 0,
        "\x80\x01"
        "a",
        "");
    BAD("after a whole message", 0,
        "\x81\x01"
        "a\x80\x01"
        "b",
        "T1 a.");
    BAD("after a finished one", 0,
        "\x01\x01"
        "a\x80\x01"
        "b\x00\x00",
        "t1 a.C1 b.");
}

SQ_TEST(P30_message_inside_a_message)
{
    BAD("text", 0,
        "\x01\x01"
        "a\x81\x01"
        "b",
        "t1 a.");
    BAD("binary, after a ping", 0,
        "\x01\x01"
        "a\x89\x00\x82\x00",
        "t1 a.P0 .");
}

SQ_TEST(P31_length_not_in_its_shortest_form)
{
    BAD("16 bits", 0, "\x81\x7e\x00\x05Hello", "");
    BAD("125 in 16 bits", 0, "\x81\x7e\x00\x7d", "");
    BAD("64 bits", 0, "\x81\x7f\0\0\0\0\0\0\xff\xff", "");
    GOOD("lenient, 16", SQ_WS_LENIENT, "\x81\x7e\x00\x05Hello", "T5 Hello.B1 z.");
    GOOD("lenient, 64", SQ_WS_LENIENT, "\x81\x7f\0\0\0\0\0\0\0\x05Hello", "T5 Hello.B1 z.");
}

SQ_TEST(P32_length_with_its_top_bit_set)
{
    BAD("2^63", 0, "\x82\x7f\x80\0\0\0\0\0\0\0", "");
    BAD("2^63, lenient", SQ_WS_LENIENT, "\x82\x7f\x80\0\0\0\0\0\0\0", "");
}

/* The header is reported before any payload, so that a limit can be checked (FR-10, FR-11). */
SQ_TEST(P33_header_comes_before_its_payload)
{
    struct sq_ws_decoder d = {0};
    struct sq_slice piece, in = sq_slice("\x82\x7e\x03\xe9", 4);

    SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_HEADER);
    SQ_CHECK_EQ(d.frame.len, 1001);
    SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_NEED_MORE);
    SQ_CHECK(sq_ws_decode_midway(&d));
}

SQ_TEST(P34_every_fragment_announces_its_length)
{
    struct sq_ws_decoder d = {0};
    uint8_t wire[4 + 600 + 4] = {0x02, 0x7e, 0x02, 0x58, [604] = 0x80, 0x7e, 0x02, 0x58};
    struct sq_slice piece, in = sq_slice(wire, sizeof wire);
    uint64_t total = 0;

    for (int event; (event = sq_ws_decode(&d, &in, &piece)) > 0;)
        total += event == SQ_WS_HEADER ? d.frame.len : 0;
    SQ_CHECK_EQ(total, 1200);
}

SQ_TEST(P41_ping_of_125_bytes)
{
    char wire[127] = "\x89\x7d", want[160] = "P125 ";

    memset(wire + 2, 'p', 125);
    memset(want + 5, 'p', 125);
    strcat(want, ".B1 z.");
    check_all_cuts("ping", 0, wire, sizeof wire, want, true);
}

SQ_TEST(P42_pong)
{
    GOOD("pong", 0,
         "\x8a\x03"
         "abc",
         "O3 abc.B1 z.");
}

SQ_TEST(P50_close_and_text_are_two_frames)
{
    GOOD("close, text", 0,
         "\x88\x02\x03\xe8\x81\x01"
         "a",
         "X2 \x03\xe8.T1 a.B1 z.");
}

SQ_TEST(P69_compressed_bit_only_on_the_first_data_frame)
{
    GOOD("text", SQ_WS_RSV1_OK,
         "\xc1\x01"
         "a",
         "T~1 a.B1 z.");
    GOOD("two fragments", SQ_WS_RSV1_OK,
         "\x41\x01"
         "a\x80\x01"
         "b",
         "t~1 a.C1 b.B1 z.");
    BAD("ping", SQ_WS_RSV1_OK, "\xc9\x00", "");
    BAD("continuation", SQ_WS_RSV1_OK,
        "\x41\x01"
        "a\xc0\x01"
        "b",
        "t~1 a.");
}

SQ_TEST(ws_frame_server_role_wants_masks)
{
    GOOD("masked", SQ_WS_ROLE_SERVER, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "T5 Hello.");
    GOOD("empty ping", SQ_WS_ROLE_SERVER, "\x89\x80\x01\x02\x03\x04", "P0 .");
    BAD("plain", SQ_WS_ROLE_SERVER, "\x81\x05Hello", "");
    BAD("plain, lenient", SQ_WS_ROLE_SERVER | SQ_WS_LENIENT, "\x81\x05Hello", "");
}

SQ_TEST(ws_frame_error_is_final)
{
    struct sq_ws_decoder d = {0};
    struct log log = {0};

    feed(&d, &log, (const uint8_t *)"\x83\x00", 2);
    SQ_CHECK_EQ(log.result, SQ_EPROTO);
    log.result = 0;
    feed(&d, &log,
         (const uint8_t *)"\x81\x01"
                          "a",
         3);
    SQ_CHECK_EQ(log.result, SQ_EPROTO);
    SQ_CHECK_EQ(log.text.len, 0);
    sq_buf_deinit(&log.text);
}

/* Where an end of stream cuts a message and where not (FR-14, P55). */
SQ_TEST(P55_stream_end_inside_a_frame)
{
    static const uint8_t wire[] = {0x01, 0x01, 'a', 0x80, 0x01, 'b', 0x89, 0x00};
    static const bool midway[] = {false, true, true, true, true, true, false, true, false};

    for (size_t cut = 0; cut <= sizeof wire; cut++) {
        struct sq_ws_decoder d = {0};
        struct log log = {0};
        feed(&d, &log, wire, cut);
        SQ_CHECK_EQ(sq_ws_decode_midway(&d), midway[cut], "cut at %zu", cut);
        sq_buf_deinit(&log.text);
    }
}

static struct sq_ws_frame client_frame(uint64_t len)
{
    return (struct sq_ws_frame){
        .len = len, .key = sq_random_u32(), .opcode = SQ_WS_OP_TEXT, .fin = true, .masked = true};
}

SQ_TEST(P57_written_lengths_are_minimal_and_masked)
{
    static const struct {
        uint64_t len;
        size_t head_len;
        uint8_t second;
    } cases[] = {
        {0, 6, 0x80},     {125, 6, 0xfd},    {126, 8, 0xfe},       {127, 8, 0xfe},
        {65535, 8, 0xfe}, {65536, 14, 0xff}, {1u << 20, 14, 0xff}, {UINT64_MAX >> 1, 14, 0xff},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        struct sq_ws_frame frame = client_frame(cases[c].len);
        struct sq_ws_decoder d = {.flags = SQ_WS_ROLE_SERVER};
        struct sq_slice piece, in;
        uint8_t out[SQ_WS_HEADER_MAX];
        size_t len = sq_ws_frame_header(out, &frame);
        SQ_CHECK_EQ(len, cases[c].head_len);
        SQ_CHECK_EQ(out[0], 0x81);
        SQ_CHECK_EQ(out[1], cases[c].second);
        in = sq_slice(out, len);
        SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_HEADER);
        SQ_CHECK_EQ(d.frame.len, frame.len);
        SQ_CHECK_EQ(d.frame.key, frame.key);
    }
}

SQ_TEST(ws_frame_written_frames_read_back)
{
    for (uint64_t len = 0; len < 70000; len = len * 2 + 1) {
        struct sq_ws_frame frame = client_frame(len);
        uint8_t *payload = malloc(len + 1), *before = malloc(len + 1);
        uint8_t *wire = malloc(SQ_WS_HEADER_MAX + len);
        struct sq_ws_decoder d = {.flags = SQ_WS_ROLE_SERVER};
        struct sq_slice in, piece;
        memset(payload, 'q', len + 1);
        memcpy(before, payload, len + 1);
        in = sq_slice(wire, sq_ws_frame_write(wire, &frame, payload));
        SQ_CHECK(memcmp(payload, before, len + 1) == 0, "FW-9");
        SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_HEADER);
        if (len > 0) {
            SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_PAYLOAD);
            SQ_CHECK(sq_slice_eq(piece, sq_slice(payload, len)));
        }
        SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_FRAME_END);
        SQ_CHECK_EQ(sq_ws_decode(&d, &in, &piece), SQ_WS_NEED_MORE);
        free(payload);
        free(before);
        free(wire);
    }
}

SQ_TEST(ws_frame_unmasked_and_flags_written)
{
    struct sq_ws_frame frame = {.len = 2, .opcode = SQ_WS_OP_BINARY, .rsv1 = true};
    uint8_t out[16];

    SQ_CHECK_EQ(sq_ws_frame_write(out, &frame, "ab"), 4);
    SQ_CHECK(memcmp(out,
                    "\x42\x02"
                    "ab",
                    4) == 0);
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* 100 000 keys: at most a few equal pairs, 1.2 expected by chance. */
SQ_TEST(P58_masking_keys_hardly_repeat)
{
    enum { N = 100000 };
    uint32_t *keys = malloc(N * sizeof *keys);
    int same = 0;

    for (int i = 0; i < N; i++)
        keys[i] = client_frame(1).key;
    qsort(keys, N, sizeof *keys, compare_u32);
    for (int i = 1; i < N; i++)
        same += keys[i] == keys[i - 1];
    SQ_CHECK(same < 10, "%d pairs", same);
    free(keys);
}
