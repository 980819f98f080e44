/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list; an unlinked node points at itself. One thread. */
#pragma once
#include "base/base.h"

struct sq_list {
    struct sq_list *prev, *next;
};

static inline void sq_list_init(struct sq_list *l)
{
    l->prev = l->next = l;
}
static inline bool sq_list_empty(const struct sq_list *l)
{
    return l->next == l;
}
static inline void sq_list_append(struct sq_list *head, struct sq_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
/* Leaves the node pointing at itself, so that removing twice is harmless. */
static inline void sq_list_remove(struct sq_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sq_list_init(node);
}
/* The first node, unlinked; NULL when the list is empty. */
static inline struct sq_list *sq_list_shift(struct sq_list *head)
{
    struct sq_list *node = head->next;

    if (node == head)
        return NULL;
    sq_list_remove(node);
    return node;
}
/* `next` is saved before the body runs: the body may remove `node`. */
#define SQ_LIST_FOR_EACH(node, head)                                                     \
    for (struct sq_list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)
