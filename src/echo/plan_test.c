/* SPDX-License-Identifier: Apache-2.0 */
#include "echo/plan.h"

#include "base/test.h"

static const struct {
    const char *target;
    int rc;
    enum sq_echo_route route;
    int64_t interval_us;
    uint64_t count;
    uint32_t size_bytes;
    uint16_t code;
    const char *text;
} cases[] = {
    {"/", 0, SQ_ECHO_ECHO, 0, 0, 0, 0, ""},
    {"/echo", 0, SQ_ECHO_ECHO, 0, 0, 0, 0, ""},
    {"/any/thing?x=y&interval=z", 0, SQ_ECHO_ECHO, 0, 0, 0, 0, ""},
    {"", 0, SQ_ECHO_ECHO, 0, 0, 0, 0, ""},
    {"/pushy", 0, SQ_ECHO_ECHO, 0, 0, 0, 0, ""},
    {"/push", 0, SQ_ECHO_PUSH, 1000000, UINT64_MAX, 128, 0, ""},
    {"/push?interval=10&size=64&count=5", 0, SQ_ECHO_PUSH, 10000, 5, 64, 0, ""},
    {"/push?interval=0.25&&size=0&", 0, SQ_ECHO_PUSH, 250, UINT64_MAX, 0, 0, ""},
    {"/push?interval=", SQ_EINVALID, SQ_ECHO_PUSH, 0, UINT64_MAX, 128, 0, ""},
    {"/push?interval=-1", SQ_EINVALID, SQ_ECHO_PUSH, 0, UINT64_MAX, 128, 0, ""},
    {"/push?interval=99999999999999999999", SQ_EINVALID, SQ_ECHO_PUSH, 0, UINT64_MAX, 128, 0, ""},
    {"/push?size=1048577", SQ_EINVALID, SQ_ECHO_PUSH, 1000000, UINT64_MAX, 128, 0, ""},
    {"/push?count=1.5", SQ_EINVALID, SQ_ECHO_PUSH, 1000000, UINT64_MAX, 128, 0, ""},
    {"/broadcast?room=a%20b+c%c3%A9", 0, SQ_ECHO_BROADCAST, 0, 0, 0, 0, "a b c\xc3\xa9"},
    {"/broadcast?room=a%2", SQ_EINVALID, SQ_ECHO_BROADCAST, 0, 0, 0, 0, "a"},
    {"/broadcast?room=%", SQ_EINVALID, SQ_ECHO_BROADCAST, 0, 0, 0, 0, ""},
    {"/broadcast?room=%zz", SQ_EINVALID, SQ_ECHO_BROADCAST, 0, 0, 0, 0, ""},
    {"/close", 0, SQ_ECHO_CLOSE, 0, 0, 0, 1000, ""},
    {"/close?code=4001&reason=bye%21&after=20", 0, SQ_ECHO_CLOSE, 20000, 0, 0, 4001, "bye!"},
    {"/close?code=65536", SQ_EINVALID, SQ_ECHO_CLOSE, 0, 0, 0, 1000, ""},
    {"/ping?interval=0", 0, SQ_ECHO_PING, 1000, 0, 0, 0, ""},
    {"/refuse", 0, SQ_ECHO_REFUSE, 0, 0, 0, 403, ""},
    {"/refuse?status=503", 0, SQ_ECHO_REFUSE, 0, 0, 0, 503, ""},
    {"/refuse?status=101", SQ_EINVALID, SQ_ECHO_REFUSE, 0, 0, 0, 101, ""},
    {"/refuse?status=600", SQ_EINVALID, SQ_ECHO_REFUSE, 0, 0, 0, 403, ""},
    {"/slow?ms=1500", 0, SQ_ECHO_SLOW, 1500000, 0, 0, 0, ""},
    {"/stall", 0, SQ_ECHO_STALL, 0, 0, 0, 0, ""},
    {"/silent?", 0, SQ_ECHO_SILENT, 0, 0, 0, 0, ""},
    {"/cookie", 0, SQ_ECHO_COOKIE, 0, 0, 0, 0, ""},
};

SQ_TEST(echo_plan_from_target)
{
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_echo_plan plan;
        const char *why = NULL, *target = cases[i].target;
        int rc = sq_echo_plan_parse(sq_slice_str(target), &plan, &why);

        SQ_CHECK_EQ(rc, cases[i].rc, "%s", target);
        SQ_CHECK_EQ(why != NULL, rc < 0, "%s", target);
        SQ_CHECK_EQ(plan.route, cases[i].route, "%s", target);
        SQ_CHECK_EQ(plan.interval_ns, cases[i].interval_us * 1000, "%s", target);
        SQ_CHECK_EQ(plan.count, cases[i].count, "%s", target);
        SQ_CHECK_EQ(plan.size_bytes, cases[i].size_bytes, "%s", target);
        SQ_CHECK_EQ(plan.code, cases[i].code, "%s", target);
        SQ_CHECK(sq_slice_eq(sq_slice(plan.text, plan.text_len), sq_slice_str(cases[i].text)), "%s",
                 target);
    }
}

SQ_TEST(echo_plan_text_has_a_ceiling)
{
    char target[160] = "/close?reason=";
    size_t head = strlen(target);
    struct sq_echo_plan plan;
    const char *why;

    memset(target + head, 'a', SQ_ECHO_TEXT_MAX);
    SQ_CHECK_EQ(sq_echo_plan_parse(sq_slice(target, head + SQ_ECHO_TEXT_MAX), &plan, &why), 0,
                "just fits");
    target[head + SQ_ECHO_TEXT_MAX] = 'a';
    SQ_CHECK_EQ(sq_echo_plan_parse(sq_slice(target, head + SQ_ECHO_TEXT_MAX + 1), &plan, &why),
                SQ_EINVALID, "one more");
}

SQ_TEST(echo_plan_push_is_json_of_the_size_asked_for)
{
    for (uint32_t size = 0; size < 200; size++) {
        struct sq_echo_plan plan = {.size_bytes = size, .count = 2};
        uint8_t out[201];

        memset(out, '#', sizeof out);
        sq_echo_plan_next_push(&plan, out);
        SQ_CHECK_EQ(plan.seq, 1, "size %u", size);
        SQ_CHECK_EQ(plan.count, 1, "size %u", size);
        SQ_CHECK_EQ(out[size], '#', "size %u: nothing behind it", size);
        if (size >= 19) {
            SQ_CHECK(!memcmp(out, "{\"seq\":1,\"pad\":\"", 16), "size %u", size);
            SQ_CHECK(!memcmp(out + size - 2, "\"}", 2), "size %u", size);
        } else if (size > 0 && size < 18) {
            SQ_CHECK(out[0] == 'x' && out[size - 1] == 'x', "size %u", size);
        }
    }
}
