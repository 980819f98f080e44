/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/checks.h"

#include <stdlib.h>

#include "metrics/hash.h"

struct node {
    struct sq_check check; /* its strings follow the node */
    uint64_t hash;
};

struct sq_check_tree {
    struct node **nodes; /* in order of arrival */
    size_t count, cap;
    uint32_t *buckets; /* index + 1, open addressing; 0: free */
    size_t mask;
};

enum { CAP_MIN = 16 };

struct sq_check_tree *sq_check_tree_new(void)
{
    return sq_xcalloc(1, sizeof(struct sq_check_tree));
}

void sq_check_tree_free(struct sq_check_tree *tree)
{
    if (!tree)
        return;
    for (size_t i = 0; i < tree->count; i++)
        free(tree->nodes[i]);
    free(tree->nodes);
    free(tree->buckets);
    free(tree);
}

static void grow(struct sq_check_tree *tree)
{
    free(tree->buckets);
    tree->cap = tree->cap ? tree->cap * 2 : CAP_MIN;
    tree->nodes = sq_xrealloc(tree->nodes, tree->cap * sizeof(struct node *));
    tree->mask = tree->cap * 2 - 1;
    tree->buckets = sq_xcalloc(tree->mask + 1, sizeof *tree->buckets);
    for (size_t i = 0; i < tree->count; i++) {
        size_t at = tree->nodes[i]->hash & tree->mask;
        while (tree->buckets[at])
            at = (at + 1) & tree->mask;
        tree->buckets[at] = (uint32_t)i + 1;
    }
}

static struct sq_slice copy_text(char **at, struct sq_slice from)
{
    char *to = *at;

    if (from.len)
        memcpy(to, from.data, from.len);
    to[from.len] = '\0';
    *at += from.len + 1;
    return sq_slice(to, from.len);
}

static struct node *node_new(const struct sq_check *check, uint64_t hash)
{
    struct node *node =
        sq_xmalloc(sizeof *node + check->scenario.len + check->group.len + check->name.len + 3);
    char *at = (char *)(node + 1);

    node->hash = hash;
    node->check = *check;
    node->check.scenario = copy_text(&at, check->scenario);
    node->check.group = copy_text(&at, check->group);
    node->check.name = copy_text(&at, check->name);
    return node;
}

static void add(struct sq_check_tree *tree, const struct sq_check *check)
{
    uint64_t hash = sq_hash_bytes(0, check->scenario.data, check->scenario.len);
    hash = sq_hash_bytes(hash, check->group.data, check->group.len);
    hash = sq_hash_bytes(hash, check->name.data, check->name.len);

    if (tree->count == tree->cap)
        grow(tree);
    size_t at = hash & tree->mask;
    for (; tree->buckets[at]; at = (at + 1) & tree->mask) {
        struct node *node = tree->nodes[tree->buckets[at] - 1];
        struct sq_check *known = &node->check;
        if (node->hash != hash || !sq_slice_eq(known->name, check->name) ||
            !sq_slice_eq(known->group, check->group) ||
            !sq_slice_eq(known->scenario, check->scenario))
            continue;
        known->passes += check->passes;
        known->fails += check->fails;
        known->first_wall_ns = SQ_MIN(known->first_wall_ns, check->first_wall_ns);
        return;
    }
    struct node *node = node_new(check, hash);
    node->check.order = tree->count;
    tree->nodes[tree->count++] = node;
    tree->buckets[at] = (uint32_t)tree->count;
}

void sq_checks_add_in(struct sq_check_tree *tree, struct sq_slice scenario,
                      struct sq_slice group_path, struct sq_slice name, bool pass, int64_t wall_ns)
{
    add(tree, &(struct sq_check){.scenario = scenario,
                                 .group = group_path,
                                 .name = name,
                                 .passes = pass,
                                 .fails = !pass,
                                 .first_wall_ns = wall_ns});
}

void sq_checks_add(struct sq_check_tree *tree, struct sq_slice group_path, struct sq_slice name,
                   bool pass, int64_t wall_ns)
{
    sq_checks_add_in(tree, sq_slice("", 0), group_path, name, pass, wall_ns);
}

void sq_checks_merge(struct sq_check_tree *into, const struct sq_check_tree *from)
{
    for (size_t i = 0; i < from->count; i++)
        add(into, &from->nodes[i]->check);
}

static int compare_first(const void *a, const void *b)
{
    const struct sq_check *x = *(const struct sq_check *const *)a;
    const struct sq_check *y = *(const struct sq_check *const *)b;

    if (x->first_wall_ns != y->first_wall_ns)
        return x->first_wall_ns < y->first_wall_ns ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

const struct sq_check **sq_checks_list(const struct sq_check_tree *tree, size_t *count)
{
    size_t all = tree ? tree->count : 0;
    const struct sq_check **list = sq_xcalloc(all + 1, sizeof *list);

    for (size_t i = 0; i < all; i++)
        list[i] = &tree->nodes[i]->check;
    qsort(list, all, sizeof *list, compare_first);
    *count = all;
    return list;
}
