/* SPDX-License-Identifier: Apache-2.0 */
/* Tag sets: immutable, sorted by key, interned, counted. Equal sets are the same pointer within one
 * table, so a set is a time series' identity. A table is shared by all threads (a lock on look-ups
 * that miss the caller's own memory of them); reference counts are atomic. */
#pragma once
#include "base/base.h"

struct sq_tag_pair {
    struct sq_slice key, value;
};

struct sq_tag_table;
struct sq_tag_table *sq_tag_table_new(void); /* owned: sq_tag_table_free, after all references */
void sq_tag_table_free(struct sq_tag_table *table);
/* Distinct sets alive now, and the highest ever (the 100,000-series warning, MET-8). */
size_t sq_tag_table_count(const struct sq_tag_table *table);
size_t sq_tag_table_count_max(const struct sq_tag_table *table);

struct sq_tagset;
/* Lives as long as the table and is not counted above: to ref and unref it is allowed, not needed.
 */
struct sq_tagset *sq_tagset_empty(struct sq_tag_table *table);
/* `base` with the pairs set (later ones and they over base win); a pair whose value.data is NULL
 * removes the key. Returns a new reference; `base` is borrowed and may be NULL (empty). */
struct sq_tagset *sq_tagset_with(struct sq_tag_table *table, struct sq_tagset *base,
                                 const struct sq_tag_pair *pairs, size_t count);
struct sq_tagset *sq_tagset_ref(struct sq_tagset *set); /* returns set; NULL is fine */
void sq_tagset_unref(struct sq_tagset *set);            /* NULL is fine */

size_t sq_tagset_count(const struct sq_tagset *set);
/* In key order; borrowed with the set. */
struct sq_tag_pair sq_tagset_at(const struct sq_tagset *set, size_t index);
/* value.data is NULL when there is no such key. */
struct sq_slice sq_tagset_get(const struct sq_tagset *set, const char *key);
/* True if the set contains every pair. */
bool sq_tagset_contains(const struct sq_tagset *set, const struct sq_tag_pair *pairs, size_t count);
/* Never given to another set of the same table: what is cached about a set is keyed by it, because
 * the address of a set that died is soon used again. */
uint64_t sq_tagset_serial(const struct sq_tagset *set);
