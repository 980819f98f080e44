/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/tags.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

static struct sq_tag_pair pair(const char *key, const char *value)
{
    return (struct sq_tag_pair){sq_slice_str(key),
                                value ? sq_slice_str(value) : (struct sq_slice){NULL, 0}};
}

static void print_set(const struct sq_tagset *set, char *out, size_t len)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sq_tagset_count(set); i++) {
        struct sq_tag_pair p = sq_tagset_at(set, i);
        used += (size_t)snprintf(out + used, len - used, "%.*s=%.*s;", (int)p.key.len,
                                 (const char *)p.key.data, (int)p.value.len,
                                 (const char *)p.value.data);
    }
}

SQ_TEST(tags_sorted_and_interned)
{
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_tag_pair ab[] = {pair("b", "2"), pair("a", "1"), pair("ab", "3")};
    struct sq_tag_pair ba[] = {pair("ab", "x"), pair("a", "1"), pair("ab", "3"), pair("b", "2")};
    struct sq_tagset *one = sq_tagset_with(table, NULL, ab, 3);
    struct sq_tagset *two = sq_tagset_with(table, sq_tagset_empty(table), ba, 4);
    char text[200];

    print_set(one, text, sizeof text);
    SQ_CHECK_STR(text, "a=1;ab=3;b=2;");
    SQ_CHECK(one == two);
    SQ_CHECK_EQ(sq_tag_table_count(table), 1);
    SQ_CHECK(sq_tagset_get(one, "ab").len == 1 && sq_tagset_get(one, "c").data == NULL);
    sq_tagset_unref(one);
    SQ_CHECK_EQ(sq_tag_table_count(table), 1);
    sq_tagset_unref(two);
    SQ_CHECK_EQ(sq_tag_table_count(table), 0);
    SQ_CHECK_EQ(sq_tag_table_count_max(table), 1);
    sq_tag_table_free(table);
}

SQ_TEST(tags_with_replaces_and_removes)
{
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_tag_pair first[] = {pair("group", ""), pair("url", "ws://h/")};
    struct sq_tag_pair change[] = {pair("url", NULL), pair("absent", NULL), pair("group", "::g")};
    struct sq_tag_pair same[] = {pair("group", ""), pair("nothing", NULL)};
    struct sq_tag_pair all[] = {pair("group", NULL), pair("url", NULL)};
    struct sq_tagset *base = sq_tagset_with(table, NULL, first, 2);
    struct sq_tagset *changed = sq_tagset_with(table, base, change, 3);
    struct sq_tagset *equal = sq_tagset_with(table, base, same, 2);
    struct sq_tagset *none = sq_tagset_with(table, base, all, 2);
    char text[200];

    print_set(changed, text, sizeof text);
    SQ_CHECK_STR(text, "group=::g;");
    SQ_CHECK(equal == base);
    SQ_CHECK(none == sq_tagset_empty(table) && sq_tagset_count(none) == 0);
    SQ_CHECK(sq_tagset_get(base, "group").data != NULL, "an empty value is a value (MET-33)");
    SQ_CHECK(sq_tagset_contains(base, first, 2) && !sq_tagset_contains(changed, first, 2));
    SQ_CHECK(sq_tagset_contains(changed, NULL, 0));
    SQ_CHECK(sq_tagset_serial(base) != sq_tagset_serial(changed));
    sq_tagset_unref(base);
    sq_tagset_unref(changed);
    sq_tagset_unref(equal);
    sq_tagset_unref(none);
    sq_tag_table_free(table);
}

SQ_TEST(tags_many_sets_and_many_pairs)
{
    enum { SETS = 5000, PAIRS = 100 };
    struct sq_tag_table *table = sq_tag_table_new();
    struct sq_tagset **sets = calloc(SETS, sizeof *sets);
    struct sq_tag_pair pairs[PAIRS];
    char keys[PAIRS][8], value[16];

    for (int i = 0; i < SETS; i++) {
        snprintf(value, sizeof value, "%d", i);
        struct sq_tag_pair p = pair("id", value);
        sets[i] = sq_tagset_with(table, NULL, &p, 1);
    }
    SQ_CHECK_EQ(sq_tag_table_count(table), SETS);
    for (int i = 0; i < SETS; i++) {
        snprintf(value, sizeof value, "%d", i);
        struct sq_tag_pair p = pair("id", value);
        struct sq_tagset *again = sq_tagset_with(table, NULL, &p, 1);
        SQ_CHECK(again == sets[i], "set %d", i);
        sq_tagset_unref(again);
        sq_tagset_unref(sets[i]);
    }
    SQ_CHECK_EQ(sq_tag_table_count(table), 0);
    free(sets);
    for (int i = 0; i < PAIRS; i++) {
        snprintf(keys[i], sizeof keys[i], "k%02d", PAIRS - 1 - i);
        pairs[i] = pair(keys[i], "v");
    }
    struct sq_tagset *wide = sq_tagset_with(table, NULL, pairs, PAIRS);
    SQ_CHECK_EQ(sq_tagset_count(wide), PAIRS);
    SQ_CHECK(memcmp(sq_tagset_at(wide, 7).key.data, "k07", 3) == 0);
    sq_tagset_unref(wide);
    sq_tag_table_free(table);
}

/* Threads make and drop the same few sets, so that most counts pass through 0 while others look. */
static void *make_and_drop(void *user)
{
    struct sq_tag_table *table = user;
    char value[8];

    for (int i = 0; i < 20000; i++) {
        snprintf(value, sizeof value, "%d", i % 3);
        struct sq_tag_pair p[] = {pair("check", value), pair("group", "::g")};
        struct sq_tagset *base = sq_tagset_with(table, NULL, p + 1, 1);
        struct sq_tagset *set = sq_tagset_with(table, base, p, 1);
        struct sq_tagset *held = sq_tagset_ref(set);
        sq_tagset_unref(base);
        sq_tagset_unref(set);
        if (sq_tagset_get(held, "check").data[0] != (uint8_t)value[0])
            abort();
        sq_tagset_unref(held);
    }
    return NULL;
}

SQ_TEST(tags_shared_by_threads)
{
    struct sq_tag_table *table = sq_tag_table_new();
    pthread_t threads[4];

    for (size_t i = 0; i < SQ_COUNT(threads); i++)
        SQ_CHECK_EQ(pthread_create(&threads[i], NULL, make_and_drop, table), 0);
    for (size_t i = 0; i < SQ_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    SQ_CHECK_EQ(sq_tag_table_count(table), 0);
    sq_tag_table_free(table);
}
