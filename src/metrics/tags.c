/* SPDX-License-Identifier: Apache-2.0 */
/* A table is split into parts by hash, each with its own lock. A set lives in exactly one part and
 * in one allocation:
 *
 *   struct sq_tagset | entry entry ... | key bytes value bytes key bytes ...
 *
 * The hash of a set is the sum of the hashes of its pairs, so that sq_tagset_with hashes only what
 * changes. A count may go from 1 to 0, and from 0 to nothing else, only under the part's lock; a
 * look-up raises it under the same lock and so never finds a dying set. */
#include "metrics/tags.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "metrics/hash.h"

enum { PARTS = 64, PART_BUCKETS_MIN = 16, PAIRS_ON_STACK = 40 };

/* The empty set starts so far from 0 that no balance of refs and unrefs reaches it. */
#define REFS_IMMORTAL (UINT64_C(1) << 40)

struct entry {
    struct sq_tag_pair pair;
    uint64_t hash;
};

struct sq_tagset {
    _Atomic uint64_t refs;
    struct sq_tag_table *table;
    struct sq_tagset *next; /* in the same bucket; the part's lock */
    uint64_t hash;
    uint64_t serial;
    size_t count;
    struct entry entries[];
};

struct part {
    pthread_mutex_t lock;
    struct sq_tagset **buckets;
    size_t mask;  /* buckets - 1 */
    size_t count; /* sets */
} __attribute__((aligned(64)));

struct sq_tag_table {
    struct part parts[PARTS];
    _Atomic uint64_t serial;
    _Atomic size_t count, count_max;
    struct sq_tagset *empty;
};

static struct part *part_of(struct sq_tag_table *table, uint64_t hash)
{
    return &table->parts[hash >> 58];
}

static int compare_keys(struct sq_slice a, struct sq_slice b)
{
    size_t len = SQ_MIN(a.len, b.len);
    int order = len ? memcmp(a.data, b.data, len) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static uint64_t hash_pair(const struct sq_tag_pair *pair)
{
    uint64_t h = sq_hash_bytes(0, pair->key.data, pair->key.len);

    return sq_hash_bytes(h, pair->value.data, pair->value.len);
}

static const uint8_t *copy_bytes(uint8_t **at, struct sq_slice from)
{
    uint8_t *to = *at;

    if (from.len)
        memcpy(to, from.data, from.len);
    *at += from.len;
    return to;
}

static struct sq_tagset *set_new(struct sq_tag_table *table, const struct entry *entries,
                                 size_t count, uint64_t hash)
{
    size_t bytes = sizeof(struct sq_tagset) + count * sizeof(struct entry);

    for (size_t i = 0; i < count; i++)
        bytes += entries[i].pair.key.len + entries[i].pair.value.len;
    struct sq_tagset *set = sq_xmalloc(bytes + 1); /* a value at the end points at a byte of ours */
    uint8_t *at = (uint8_t *)(set->entries + count);
    atomic_init(&set->refs, 1);
    set->table = table;
    set->next = NULL;
    set->hash = hash;
    set->serial = atomic_fetch_add_explicit(&table->serial, 1, memory_order_relaxed);
    set->count = count;
    for (size_t i = 0; i < count; i++) {
        set->entries[i] = entries[i];
        set->entries[i].pair.key.data = copy_bytes(&at, entries[i].pair.key);
        set->entries[i].pair.value.data = copy_bytes(&at, entries[i].pair.value);
    }
    return set;
}

struct sq_tag_table *sq_tag_table_new(void)
{
    struct sq_tag_table *table = aligned_alloc(64, sizeof *table);

    if (!table)
        sq_panic("out of memory: table of tag sets");
    memset(table, 0, sizeof *table);
    for (size_t i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_init(&part->lock, NULL);
        part->mask = PART_BUCKETS_MIN - 1;
        part->buckets = sq_xcalloc(PART_BUCKETS_MIN, sizeof *part->buckets);
    }
    table->empty = set_new(table, NULL, 0, 0);
    atomic_store(&table->empty->refs, REFS_IMMORTAL);
    return table;
}

void sq_tag_table_free(struct sq_tag_table *table)
{
    if (!table)
        return;
    sq_dassert(atomic_load(&table->count) == 0);
    for (size_t i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        for (size_t b = 0; b <= part->mask; b++)
            for (struct sq_tagset *set = part->buckets[b], *next; set; set = next) {
                next = set->next;
                free(set);
            }
        free(part->buckets);
        pthread_mutex_destroy(&part->lock);
    }
    free(table->empty);
    free(table);
}

size_t sq_tag_table_count(const struct sq_tag_table *table)
{
    return atomic_load_explicit(&table->count, memory_order_relaxed);
}

size_t sq_tag_table_count_max(const struct sq_tag_table *table)
{
    return atomic_load_explicit(&table->count_max, memory_order_relaxed);
}

struct sq_tagset *sq_tagset_empty(struct sq_tag_table *table)
{
    return table->empty;
}

static void count_one_more(struct sq_tag_table *table)
{
    size_t now = atomic_fetch_add_explicit(&table->count, 1, memory_order_relaxed) + 1;
    size_t max = atomic_load_explicit(&table->count_max, memory_order_relaxed);

    while (now > max && !atomic_compare_exchange_weak(&table->count_max, &max, now))
        ;
}

static void part_grow(struct part *part)
{
    size_t mask = part->mask * 2 + 1;
    struct sq_tagset **buckets = sq_xcalloc(mask + 1, sizeof *buckets);

    for (size_t b = 0; b <= part->mask; b++)
        for (struct sq_tagset *set = part->buckets[b], *next; set; set = next) {
            next = set->next;
            set->next = buckets[set->hash & mask];
            buckets[set->hash & mask] = set;
        }
    free(part->buckets);
    part->buckets = buckets;
    part->mask = mask;
}

static bool same_entries(const struct sq_tagset *set, const struct entry *entries, size_t count)
{
    if (set->count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct sq_tag_pair *a = &set->entries[i].pair, *b = &entries[i].pair;
        if (set->entries[i].hash != entries[i].hash || !sq_slice_eq(a->key, b->key) ||
            !sq_slice_eq(a->value, b->value))
            return false;
    }
    return true;
}

/* A new reference to the set with these sorted entries. */
static struct sq_tagset *intern(struct sq_tag_table *table, const struct entry *entries,
                                size_t count)
{
    uint64_t hash = 0;
    struct sq_tagset *set;

    if (count == 0)
        return sq_tagset_ref(table->empty);
    for (size_t i = 0; i < count; i++)
        hash += entries[i].hash;
    struct part *part = part_of(table, hash);
    pthread_mutex_lock(&part->lock);
    for (set = part->buckets[hash & part->mask]; set; set = set->next)
        if (set->hash == hash && same_entries(set, entries, count)) {
            atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
            goto out;
        }
    if (part->count > part->mask)
        part_grow(part);
    set = set_new(table, entries, count, hash);
    set->next = part->buckets[hash & part->mask];
    part->buckets[hash & part->mask] = set;
    part->count++;
    count_one_more(table);
out:
    pthread_mutex_unlock(&part->lock);
    return set;
}

/* Puts the pair where its key belongs, or over the pair with that key. Returns the new count. */
static size_t put_pair(struct entry *entries, size_t count, const struct sq_tag_pair *pair)
{
    size_t at = count;
    int order = 1;

    while (at > 0 && (order = compare_keys(entries[at - 1].pair.key, pair->key)) > 0)
        at--;
    bool found = at > 0 && order == 0;
    if (!pair->value.data) {
        if (!found)
            return count;
        memmove(entries + at - 1, entries + at, (count - at) * sizeof *entries);
        return count - 1;
    }
    if (found) {
        at--;
    } else {
        memmove(entries + at + 1, entries + at, (count - at) * sizeof *entries);
        count++;
    }
    entries[at] = (struct entry){*pair, hash_pair(pair)};
    return count;
}

struct sq_tagset *sq_tagset_with(struct sq_tag_table *table, struct sq_tagset *base,
                                 const struct sq_tag_pair *pairs, size_t count)
{
    struct entry on_stack[PAIRS_ON_STACK], *entries = on_stack;
    size_t base_count = base ? base->count : 0, all = base_count;

    if (base_count + count > PAIRS_ON_STACK)
        entries = sq_xmalloc((base_count + count) * sizeof *entries);
    if (base_count)
        memcpy(entries, base->entries, base_count * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        all = put_pair(entries, all, &pairs[i]);
    struct sq_tagset *set = base && base->table == table && same_entries(base, entries, all)
                                ? sq_tagset_ref(base)
                                : intern(table, entries, all);
    if (entries != on_stack)
        free(entries);
    return set;
}

struct sq_tagset *sq_tagset_ref(struct sq_tagset *set)
{
    if (set)
        atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

static void remove_from_part(struct part *part, struct sq_tagset *set)
{
    struct sq_tagset **link = &part->buckets[set->hash & part->mask];

    while (*link != set)
        link = &(*link)->next;
    *link = set->next;
    part->count--;
}

void sq_tagset_unref(struct sq_tagset *set)
{
    if (!set)
        return;
    uint64_t refs = atomic_load_explicit(&set->refs, memory_order_relaxed);
    while (refs > 1)
        if (atomic_compare_exchange_weak_explicit(&set->refs, &refs, refs - 1, memory_order_release,
                                                  memory_order_relaxed))
            return;
    struct sq_tag_table *table = set->table;
    struct part *part = part_of(table, set->hash);
    pthread_mutex_lock(&part->lock);
    bool last = atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) == 1;
    if (last)
        remove_from_part(part, set);
    pthread_mutex_unlock(&part->lock);
    if (last) {
        free(set);
        atomic_fetch_sub_explicit(&table->count, 1, memory_order_relaxed);
    }
}

size_t sq_tagset_count(const struct sq_tagset *set)
{
    return set->count;
}

struct sq_tag_pair sq_tagset_at(const struct sq_tagset *set, size_t index)
{
    sq_assert(index < set->count);
    return set->entries[index].pair;
}

/* Sets are short: a walk in order beats a binary search. */
static struct sq_slice get(const struct sq_tagset *set, struct sq_slice key)
{
    for (size_t i = 0; i < set->count; i++)
        if (sq_slice_eq(set->entries[i].pair.key, key))
            return set->entries[i].pair.value;
    return (struct sq_slice){NULL, 0};
}

struct sq_slice sq_tagset_get(const struct sq_tagset *set, const char *key)
{
    return get(set, sq_slice_str(key));
}

bool sq_tagset_contains(const struct sq_tagset *set, const struct sq_tag_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sq_slice value = get(set, pairs[i].key);
        if (!value.data || !sq_slice_eq(value, pairs[i].value))
            return false;
    }
    return true;
}

uint64_t sq_tagset_serial(const struct sq_tagset *set)
{
    return set->serial;
}
