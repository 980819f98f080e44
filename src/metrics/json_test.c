/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/json.h"

#include <math.h>

#include "base/test.h"
#include "base/text.h"

static void write_sample(struct sq_buf *to, const char *indent)
{
    struct sq_json json;

    sq_json_init(&json, to, indent);
    sq_json_object(&json);
    sq_json_key(&json, "empty");
    sq_json_object(&json);
    sq_json_object_end(&json);
    sq_json_key(&json, "list");
    sq_json_array(&json);
    sq_json_number(&json, 1);
    sq_json_text(&json, "two");
    sq_json_array(&json);
    sq_json_array_end(&json);
    sq_json_array_end(&json);
    sq_json_key(&json, "none");
    sq_json_null(&json);
    sq_json_key(&json, "yes");
    sq_json_bool(&json, true);
    sq_json_key(&json, "raw");
    sq_json_raw(&json, "{\"a\":1}");
    sq_json_object_end(&json);
}

SQ_TEST(json_forms)
{
    struct sq_buf buf = {0};

    write_sample(&buf, NULL);
    SQ_CHECK_STR(sq_buf_cstr(&buf), "{\"empty\":{},\"list\":[1,\"two\",[]],\"none\":null,"
                                    "\"yes\":true,\"raw\":{\"a\":1}}");
    buf.len = 0;
    write_sample(&buf, "  ");
    SQ_CHECK_STR(sq_buf_cstr(&buf), "{\n  \"empty\": {},\n  \"list\": [\n    1,\n    \"two\",\n"
                                    "    []\n  ],\n  \"none\": null,\n  \"yes\": true,\n"
                                    "  \"raw\": {\"a\":1}\n}");
    sq_buf_deinit(&buf);
}

SQ_TEST(json_strings)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"<&>", "\"<&>\""}, /* MC-8 */
        {"a\"b\\c/\n\t\x01", "\"a\\\"b\\\\c/\\n\\t\\u0001\""},
        {"k \xc3\xa9 \xf0\x9f\x98\x80", "\"k \xc3\xa9 \xf0\x9f\x98\x80\""},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
        {"\xff\xc3", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"", "\"\""},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf buf = {0};
        sq_json_put_string(&buf, sq_slice_str(cases[i].in));
        SQ_CHECK_STR(sq_buf_cstr(&buf), cases[i].out);
        sq_buf_deinit(&buf);
    }
}

SQ_TEST(json_numbers)
{
    static const struct {
        double in;
        const char *out;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-17, "-17"},
        {0.1, "0.1"},
        {1e21, "1e+21"},
        {1e15, "1000000000000000"},
        {2.9998, "2.9998"},
        {NAN, "null"},
        {INFINITY, "null"},
        {123456.789, "123456.789"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf buf = {0};
        sq_json_put_number(&buf, cases[i].in);
        SQ_CHECK_STR(sq_buf_cstr(&buf), cases[i].out);
        sq_buf_deinit(&buf);
    }
}

/* The fast way and the general way agree. */
SQ_TEST(json_numbers_are_shortest)
{
    uint64_t seed = 5;

    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double value = (double)(int64_t)(seed >> (11 + i % 40)) / (i % 3 ? 1e6 : 1e3);
        if (i % 2)
            value = -value;
        struct sq_buf buf = {0};
        char want[32];
        sq_double_format(value, want);
        sq_json_put_number(&buf, value);
        SQ_CHECK_STR(sq_buf_cstr(&buf), want);
        sq_buf_deinit(&buf);
    }
}
