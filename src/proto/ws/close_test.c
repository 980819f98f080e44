/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/close.h"

#include "base/test.h"

static int parse_code(unsigned code, struct sq_ws_close *out)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    return sq_ws_close_parse(sq_slice(payload, 2), out);
}

SQ_TEST(P43_close_without_a_body_is_1005)
{
    struct sq_ws_close close;
    uint8_t out[125];

    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("", 0), &close), 0);
    SQ_CHECK_EQ(close.code, 1005);
    SQ_CHECK_EQ(sq_ws_close_build(out, close.code, close.reason), 0);
}

SQ_TEST(P44_close_1000_is_echoed)
{
    struct sq_ws_close close;
    uint8_t out[125];

    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("\x03\xe8", 2), &close), 0);
    SQ_CHECK_EQ(close.code, 1000);
    SQ_CHECK_EQ(sq_ws_close_build(out, close.code, sq_slice(NULL, 0)), 2);
    SQ_CHECK(memcmp(out, "\x03\xe8", 2) == 0);
}

SQ_TEST(P45_close_4000_with_reason)
{
    struct sq_ws_close close;

    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("\x0f\xa0"
                                           "bye!",
                                           6),
                                  &close),
                0);
    SQ_CHECK_EQ(close.code, 4000);
    SQ_CHECK(sq_slice_eq(close.reason, sq_slice_str("bye!")));
}

SQ_TEST(P46_close_of_one_byte)
{
    struct sq_ws_close close;

    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("\x03", 1), &close), SQ_EPROTO);
}

SQ_TEST(P47_close_reason_not_utf8)
{
    struct sq_ws_close close;

    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("\x03\xe8\xc3\x28", 4), &close), SQ_EUTF8);
    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("\x03\xe8\xe2\x82", 4), &close), SQ_EUTF8);
    /* A bad code is told first. */
    SQ_CHECK_EQ(sq_ws_close_parse(sq_slice("\x00\x00\xc3\x28", 4), &close), SQ_EPROTO);
}

SQ_TEST(P48_invalid_close_codes)
{
    static const unsigned codes[] = {0,    999,  1004, 1005, 1006, 1015,
                                     1016, 1100, 2000, 2999, 5000, 65535};
    struct sq_ws_close close;

    for (size_t i = 0; i < SQ_COUNT(codes); i++)
        SQ_CHECK_EQ(parse_code(codes[i], &close), SQ_EPROTO, "code %u", codes[i]);
}

SQ_TEST(P49_valid_close_codes)
{
    static const unsigned codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                     1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    struct sq_ws_close close;

    for (size_t i = 0; i < SQ_COUNT(codes); i++) {
        SQ_CHECK_EQ(parse_code(codes[i], &close), 0, "code %u", codes[i]);
        SQ_CHECK_EQ(close.code, codes[i]);
    }
}

SQ_TEST(ws_close_long_reason_is_cut_at_a_code_point)
{
    char reason[200];
    uint8_t out[125];

    memset(reason, 'x', sizeof reason);
    SQ_CHECK_EQ(sq_ws_close_build(out, 1002, sq_slice(reason, 123)), 125);
    SQ_CHECK_EQ(sq_ws_close_build(out, 1002, sq_slice(reason, 124)), 125);
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    SQ_CHECK_EQ(sq_ws_close_build(out, 1002, sq_slice(reason, 124)), 2 + 121);
    memcpy(reason + 120,
           "\xe2\x82\xac"
           "x",
           4);
    SQ_CHECK_EQ(sq_ws_close_build(out, 1002, sq_slice(reason, 124)), 2 + 123);
}

SQ_TEST(ws_close_text_is_k6s)
{
    static const struct {
        unsigned code;
        const char *reason, *want;
    } cases[] = {
        {1000, "", "websocket: close 1000 (normal)"},
        {1001, "", "websocket: close 1001 (going away)"},
        {1002, "x", "websocket: close 1002 (protocol error): x"},
        {1003, "", "websocket: close 1003 (unsupported data)"},
        {1004, "", "websocket: close 1004"},
        {1005, "", "websocket: close 1005 (no status)"},
        {1006, "unexpected EOF", "websocket: close 1006 (abnormal closure): unexpected EOF"},
        {1007, "", "websocket: close 1007 (invalid payload data)"},
        {1008, "", "websocket: close 1008 (policy violation)"},
        {1009, "", "websocket: close 1009 (message too big)"},
        {1010, "", "websocket: close 1010 (mandatory extension missing)"},
        {1011, "why", "websocket: close 1011 (internal server error): why"},
        {1012, "", "websocket: close 1012"},
        {4000, "why", "websocket: close 4000: why"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf text = {0};
        sq_ws_close_text(cases[i].code, sq_slice_str(cases[i].reason), &text);
        SQ_CHECK_STR(sq_buf_cstr(&text), cases[i].want);
        sq_buf_deinit(&text);
    }
}
