/* SPDX-License-Identifier: Apache-2.0 */
#include "js/source_map.h"

#include <stdlib.h>

#include "base/test.h"

static struct sq_source_map *map_of(const char *mappings)
{
    struct sq_error err = {0};
    char *text =
        sq_xasprintf("{\"version\":3,\"sources\":[\"a.ts\",\"b.ts\"],\"sourceRoot\":\"src\","
                     "\"names\":[\"f\"],\"mappings\":\"%s\"}",
                     mappings);
    struct sq_source_map *map = sq_source_map_new(sq_slice_str(text), &err);

    SQ_CHECK((map != NULL) == (err.code == 0), "%s: %s", mappings, err.text);
    free(text);
    return map;
}

SQ_TEST(source_map_find)
{
    static const struct {
        int line, column, want_line, want_column;
        const char *source;
    } cases[] = {
        {1, 1, 1, 1, "src/a.ts"},   {1, 9, 1, 1, "src/a.ts"}, {1, 10, 2, 3, "src/a.ts"},
        {1, 900, 2, 3, "src/a.ts"}, {2, 1, 0, 0, NULL},       {3, 1, 12, 1, "src/b.ts"},
        {3, 4, 12, 1, "src/b.ts"},  {3, 5, 0, 0, NULL},       {4, 1, 0, 0, NULL},
        {0, 0, 0, 0, NULL},
    };
    /* Line 1: 0 -> a 1:1, 9 -> a 2:3; line 2 empty; line 3: 0 -> b 12:1 with a name, 4 -> nothing.
     */
    struct sq_source_map *map = map_of("AAAA,SACE;;ACUFA,I");
    struct sq_source_position at;

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        bool found = sq_source_map_find(map, cases[i].line, cases[i].column, &at);
        SQ_CHECK_EQ(found, cases[i].source != NULL, "%d:%d", cases[i].line, cases[i].column);
        if (!found)
            continue;
        SQ_CHECK_EQ(at.line, cases[i].want_line, "%d:%d", cases[i].line, cases[i].column);
        SQ_CHECK_EQ(at.column, cases[i].want_column, "%d:%d", cases[i].line, cases[i].column);
        SQ_CHECK_STR(at.source, cases[i].source);
    }
    sq_source_map_free(map);
}

SQ_TEST(source_map_damaged)
{
    static const char *const bad[] = {
        "!", "AAA", "AA", "AAAAAA", "AEAA", "D", "AAAAA A", "gggggggggggggC", "g", "AADA"};
    struct sq_error err = {0};

    for (size_t i = 0; i < SQ_COUNT(bad); i++)
        SQ_CHECK(!map_of(bad[i]), "'%s' is a map", bad[i]);
    SQ_CHECK(!sq_source_map_new(sq_slice_str("{\"sources\":[]}"), &err), "no mappings");
    SQ_CHECK(!sq_source_map_new(sq_slice_str("[1]"), &err), "a list");
    SQ_CHECK(!sq_source_map_new(sq_slice_str("{"), &err), "no JSON");
    struct sq_source_map *guarded =
        sq_source_map_new(sq_slice_str(")]}'\n{\"mappings\":\"\"}"), NULL);
    SQ_CHECK(guarded, "with a guard");
    sq_source_map_free(guarded);
}

SQ_TEST(source_map_url)
{
    static const struct {
        const char *source, *url;
    } cases[] = {
        {"x\n//# sourceMappingURL=a.map\n", "a.map"},
        {"//# sourceMappingURL=old\nx//@ sourceMappingURL=new", "new"},
        {"'# sourceMappingURL=no'", ""},
        {"x", ""},
        {"//# sourceMappingURL=", ""},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        SQ_CHECK(sq_slice_eq(sq_source_map_url(sq_slice_str(cases[i].source)),
                             sq_slice_str(cases[i].url)),
                 "%s", cases[i].source);
}

SQ_TEST(source_map_inline)
{
    static const struct {
        const char *url, *text; /* NULL: refused */
    } cases[] = {
        {"data:application/json;base64,eyJhIjoxfQ==", "{\"a\":1}"},
        {"data:application/json;charset=utf-8;base64,e30=", "{}"},
        {"data:application/json,%7B%22a%22%3a1%7d%2", "{\"a\":1}%2"},
        {"data:application/json;base64,***", NULL},
        {"data:application/json", NULL},
        {"data:,", ""},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf out = {0};
        struct sq_error err = {0};
        int rc = sq_source_map_inline(sq_slice_str(cases[i].url), &out, &err);
        SQ_CHECK_EQ(rc < 0, cases[i].text == NULL, "%s: %s", cases[i].url, err.text);
        if (rc == 0)
            SQ_CHECK_STR(sq_buf_cstr(&out), cases[i].text);
        sq_buf_deinit(&out);
    }
}
