/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/checks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

static void add(struct sq_check_tree *tree, const char *group, const char *name, bool pass,
                int64_t wall_ns)
{
    sq_checks_add(tree, sq_slice_str(group), sq_slice_str(name), pass, wall_ns);
}

SQ_TEST(checks_merge_in_order_of_first_appearance)
{
    struct sq_check_tree *a = sq_check_tree_new(), *b = sq_check_tree_new();
    struct sq_check_tree *all = sq_check_tree_new();

    add(a, "", "late", true, 50);
    add(a, "::g", "is ok", false, 60);
    add(a, "", "late", false, 70);
    add(b, "::g", "is ok", true, 10);
    add(b, "", "is ok", true, 10);
    sq_checks_merge(all, a);
    sq_checks_merge(all, b);
    size_t count;
    const struct sq_check **list = sq_checks_list(all, &count);
    SQ_CHECK_EQ(count, 3);
    SQ_CHECK_STR((const char *)list[0]->group.data, "::g");
    SQ_CHECK(list[0]->passes == 1 && list[0]->fails == 1 && list[0]->first_wall_ns == 10);
    SQ_CHECK_STR((const char *)list[1]->name.data, "is ok");
    SQ_CHECK_EQ(list[1]->group.len, 0);
    SQ_CHECK_STR((const char *)list[2]->name.data, "late");
    SQ_CHECK(list[2]->passes == 1 && list[2]->fails == 1);
    free(list);
    sq_check_tree_free(a);
    sq_check_tree_free(b);
    sq_check_tree_free(all);
}

SQ_TEST(checks_of_two_scenarios_stay_apart)
{
    struct sq_check_tree *tree = sq_check_tree_new();
    struct sq_slice none = sq_slice_str(""), name = sq_slice_str("same");
    size_t count;

    sq_checks_add_in(tree, sq_slice_str("s1"), none, name, true, 1);
    sq_checks_add_in(tree, sq_slice_str("s2"), none, name, true, 1);
    sq_checks_add_in(tree, sq_slice_str("s2"), none, name, true, 2);
    free(sq_checks_list(tree, &count));
    SQ_CHECK_EQ(count, 2);
    sq_check_tree_free(tree);
}

SQ_TEST(checks_many_names)
{
    struct sq_check_tree *tree = sq_check_tree_new();
    char name[32];
    size_t count;

    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3000; i++) {
            snprintf(name, sizeof name, "check %d", i);
            add(tree, "", name, round == 0, i);
        }
    const struct sq_check **list = sq_checks_list(tree, &count);
    SQ_CHECK_EQ(count, 3000);
    for (size_t i = 0; i < count; i++)
        SQ_CHECK(list[i]->passes == 1 && list[i]->fails == 1, "%zu", i);
    free(list);
    free(sq_checks_list(NULL, &count));
    SQ_CHECK_EQ(count, 0);
    sq_check_tree_free(tree);
}
