/* SPDX-License-Identifier: Apache-2.0 */
#include "output/protobuf.h"

#include <stdlib.h>

#include "output/output_kit.h"

SQ_TEST(protobuf_numbers)
{
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t len;
    } cases[] = {
        {0, "\x08\x00", 2},
        {127, "\x08\x7f", 2},
        {128, "\x08\x80\x01", 3},
        {300, "\x08\xac\x02", 3},
        {UINT64_MAX, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf buf = {0};
        sq_pb_uint(&buf, 1, cases[i].value);
        SQ_CHECK(sq_slice_eq(sq_buf_slice(&buf), sq_slice(cases[i].bytes, cases[i].len)),
                 "case %zu", i);
        sq_buf_deinit(&buf);
    }
}

SQ_TEST(protobuf_signed_and_fixed)
{
    static const int64_t values[] = {0, -1, 1, -2, INT64_MIN, INT64_MAX};
    struct sq_buf buf = {0};
    struct sq_pb_field field;

    for (size_t i = 0; i < SQ_COUNT(values); i++) {
        sq_pb_sint(&buf, 4, values[i]);
        sq_pb_int(&buf, 5, values[i]);
    }
    sq_pb_double(&buf, 200, -1.5);
    struct sq_slice in = sq_buf_slice(&buf);
    for (size_t i = 0; i < SQ_COUNT(values); i++) {
        SQ_CHECK(sq_pb_next(&in, &field));
        SQ_CHECK_EQ(sq_pb_as_sint(field.number), values[i]);
        SQ_CHECK(sq_pb_next(&in, &field));
        SQ_CHECK_EQ((int64_t)field.number, values[i]);
    }
    SQ_CHECK(sq_pb_next(&in, &field) && field.field == 200 && field.wire == 1);
    SQ_CHECK(sq_pb_as_double(field.number) == -1.5);
    SQ_CHECK_EQ(in.len, 0);
    sq_buf_deinit(&buf);
}

/* Lengths whose varint takes 1, 2, 3 and 4 bytes, nested. */
SQ_TEST(protobuf_nested_lengths)
{
    static const size_t lens[] = {0, 1, 120, 124, 127, 128, 16380, 16383, 16384, 2097151, 2097152};

    for (size_t i = 0; i < SQ_COUNT(lens); i++) {
        struct sq_buf buf = {0};
        struct sq_pb_field field;
        char *text = sq_xmalloc(lens[i] + 1);
        memset(text, 'x', lens[i]);
        size_t outer = sq_pb_begin(&buf, 1);
        sq_pb_text(&buf, 2, sq_slice(text, lens[i]));
        sq_pb_uint(&buf, 3, 7);
        sq_pb_end(&buf, outer);
        struct sq_slice in = sq_buf_slice(&buf), inner;
        SQ_CHECK(sq_pb_next(&in, &field) && field.field == 1 && in.len == 0, "%zu", lens[i]);
        inner = field.bytes;
        SQ_CHECK(sq_pb_next(&inner, &field) && sq_slice_eq(field.bytes, sq_slice(text, lens[i])));
        SQ_CHECK(sq_pb_next(&inner, &field) && field.number == 7 && inner.len == 0);
        free(text);
        sq_buf_deinit(&buf);
    }
}

SQ_TEST(protobuf_text_is_utf8)
{
#define BAD "\xef\xbf\xbd"
    static const char *const cases[][2] = {
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\xff", "a" BAD},
        {"\xc3", BAD},
        {"\xc0\xafx", BAD BAD "x"},
        {"\xed\xa0\x80", BAD BAD BAD}, /* a surrogate */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
        {"\xe0\x80\xafz", BAD BAD BAD "z"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf buf = {0};
        struct sq_pb_field field;
        sq_pb_text(&buf, 1, sq_slice_str(cases[i][0]));
        struct sq_slice in = sq_buf_slice(&buf);
        SQ_CHECK(sq_pb_next(&in, &field) && sq_slice_eq(field.bytes, sq_slice_str(cases[i][1])),
                 "case %zu", i);
        sq_buf_deinit(&buf);
    }
}
