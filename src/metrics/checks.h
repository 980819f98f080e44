/* SPDX-License-Identifier: Apache-2.0 */
/* Pass and fail counts of check() by group and name. Each worker keeps a tree of its own; at the
 * end they merge into one for the summary. A tree belongs to one thread at a time. */
#pragma once
#include "base/base.h"

struct sq_check {             /* strings: NUL-terminated too, borrowed from the tree */
    struct sq_slice scenario; /* "" outside of scenarios */
    struct sq_slice group;    /* "" or "::outer::inner" */
    struct sq_slice name;
    uint64_t passes, fails;
    int64_t first_wall_ns; /* of its first sample; the order in which checks are listed */
    uint64_t order;        /* between checks of the same first_wall_ns */
};

struct sq_check_tree;
struct sq_check_tree *sq_check_tree_new(void); /* owned: sq_check_tree_free */
void sq_check_tree_free(struct sq_check_tree *tree);
/* Arguments are borrowed. No allocation once the check is known. */
void sq_checks_add(struct sq_check_tree *tree, struct sq_slice group_path, struct sq_slice name,
                   bool pass, int64_t wall_ns);
/* The same, kept apart by scenario for the sections of --summary-mode full. */
void sq_checks_add_in(struct sq_check_tree *tree, struct sq_slice scenario,
                      struct sq_slice group_path, struct sq_slice name, bool pass, int64_t wall_ns);
/* Adds all of `from`, which stays as it is. */
void sq_checks_merge(struct sq_check_tree *into, const struct sq_check_tree *from);

/* All checks in order of first appearance; *count of them. owned: free the array; the checks are
 * borrowed until the tree changes. */
const struct sq_check **sq_checks_list(const struct sq_check_tree *tree, size_t *count);
