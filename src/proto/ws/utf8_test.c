/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/utf8.h"

#include <stdlib.h>

#include "base/test.h"

/* bad_at: index of the first byte that makes the text invalid; len: it is cut at the end; -1:
 * valid.
 */
static const struct {
    const char *name, *text;
    size_t len;
    int bad_at;
    bool ascii;
} cases[] = {
    {"empty", "", 0, -1, true},
    {"ascii", "Hello", 5, -1, true},
    {"NUL and DEL, TX-6", "\0\x7f", 2, -1, true},
    {"long ascii", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789", 58, -1, true},
    {"ascii, then latin", "0123456789abcdef0123456789abcdef0123456789abcdef\xc3\xa9", 50, -1,
     false},
    {"two bytes", "\xc2\x80\xdf\xbf", 4, -1, false},
    {"three bytes", "\xe0\xa0\x80\xef\xbf\xbf", 6, -1, false},
    {"around the surrogates", "\xed\x9f\xbf\xee\x80\x80", 6, -1, false},
    {"four bytes", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, -1, false},
    {"non-characters, TX-6", "\xef\xbf\xbe\xf0\x9f\xbf\xbe", 7, -1, false},
    {"BOM, P40", "\xef\xbb\xbf", 3, -1, false},
    {"greek", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", 11, -1, false},
    {"P36 bad continuation", "\xc3\x28", 2, 1, false},
    {"P37 surrogate", "\xed\xa0\x80", 3, 1, false},
    {"P37 above U+10FFFF", "\xf4\x90\x80\x80", 4, 1, false},
    {"P37 overlong slash", "\xc0\xaf", 2, 0, false},
    {"overlong in three", "\xe0\x9f\xbf", 3, 1, false},
    {"overlong in four", "\xf0\x8f\xbf\xbf", 4, 1, false},
    {"c1", "\xc1\xbf", 2, 0, false},
    {"f5", "\xf5\x80\x80\x80", 4, 0, false},
    {"fe", "\xfe", 1, 0, false},
    {"ff", "a\xff", 2, 1, false},
    {"lonely continuation", "ab\x80", 3, 2, false},
    {"TX-2, fail before more comes", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90", 13, 12,
     false},
    {"second bad", "\xe2\x82\x41", 3, 2, false},
    {"third bad", "\xf0\x9f\x98\xc0", 4, 3, false},
    {"bad after 40 ascii", "0123456789012345678901234567890123456789\x80", 41, 40, false},
    {"P39 cut in two", "\xc3", 1, 1, false},
    {"cut in three", "\xe2\x82", 2, 2, false},
    {"cut in four", "\xf0\x9f\x98", 3, 3, false},
};

/* Where the verdict falls when the bytes come in these two pieces, then one by one. */
static int first_bad(const uint8_t *text, size_t len, size_t cut, struct sq_ws_utf8 *u)
{
    *u = (struct sq_ws_utf8){0};
    if (sq_ws_utf8_feed(u, text, cut) < 0) {
        *u = (struct sq_ws_utf8){0};
        for (size_t i = 0; i < cut; i++)
            if (sq_ws_utf8_feed(u, text + i, 1) < 0)
                return (int)i;
        return -2; /* the pieces disagree */
    }
    for (size_t i = cut; i < len; i++)
        if (sq_ws_utf8_feed(u, text + i, 1) < 0)
            return (int)i;
    return sq_ws_utf8_end(u) < 0 ? (int)len : -1;
}

SQ_TEST(ws_utf8_verdict_at_the_first_bad_byte_any_split)
{
    for (size_t c = 0; c < SQ_COUNT(cases); c++)
        for (size_t cut = 0; cut <= cases[c].len; cut++) {
            struct sq_ws_utf8 u;
            int bad = first_bad((const uint8_t *)cases[c].text, cases[c].len, cut, &u);
            SQ_CHECK_EQ(bad, cases[c].bad_at, "%s, cut at %zu", cases[c].name, cut);
            if (bad < 0)
                SQ_CHECK_EQ(!u.non_ascii, cases[c].ascii, "%s", cases[c].name);
        }
}

SQ_TEST(ws_utf8_whole_texts)
{
    for (size_t c = 0; c < SQ_COUNT(cases); c++)
        SQ_CHECK_EQ(sq_ws_utf8_valid(sq_slice(cases[c].text, cases[c].len)), cases[c].bad_at < 0,
                    "%s", cases[c].name);
}

/* Every code point, at each place relative to the wide steps. */
SQ_TEST(ws_utf8_all_code_points)
{
    uint8_t text[64];
    int wrong = 0;

    for (uint32_t cp = 0x80; cp <= 0x10ffff; cp++) {
        size_t at = cp % 35, n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        memset(text, 'a', sizeof text);
        for (size_t i = n - 1; i > 0; i--)
            text[at + i] = (uint8_t)(0x80 | (cp >> 6 * (n - 1 - i) & 0x3f));
        text[at] = (uint8_t)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | cp >> 6 * (n - 1));
        bool surrogate = cp >= 0xd800 && cp <= 0xdfff;
        wrong += sq_ws_utf8_valid(sq_slice(text, at + n + cp % 7)) == surrogate;
    }
    SQ_CHECK_EQ(wrong, 0);
}

static const struct {
    const char *in;
    size_t len;
    const char *want;
} replacements[] = {
    {"", 0, ""},
    {"plain", 5, "plain"},
    {"\xe2\x82\xac", 3, "\xe2\x82\xac"},
    {"\xc3\x28", 2, "\xef\xbf\xbd("},
    {"a\xff\xfe"
     "b",
     4,
     "a\xef\xbf\xbd\xef\xbf\xbd"
     "b"},
    {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"x\xf0\x9f\x98", 4, "x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xe2\x82\xe2\x82\xac", 5, "\xef\xbf\xbd\xef\xbf\xbd\xe2\x82\xac"},
};

SQ_TEST(ws_utf8_replaces_each_undecodable_byte)
{
    for (size_t c = 0; c < SQ_COUNT(replacements); c++) {
        struct sq_buf out = {0};
        SQ_CHECK_EQ(sq_ws_utf8_replace(sq_slice(replacements[c].in, replacements[c].len), &out), 0);
        SQ_CHECK_STR(sq_buf_cstr(&out), replacements[c].want);
        sq_buf_deinit(&out);
    }
}

SQ_TEST(ws_utf8_replacement_respects_the_ceiling)
{
    struct sq_buf out = {.max_bytes = 4};

    SQ_CHECK_EQ(sq_ws_utf8_replace(sq_slice("\xff\xff", 2), &out), SQ_ETOOBIG);
    SQ_CHECK(out.len <= 4);
    sq_buf_deinit(&out);
}
