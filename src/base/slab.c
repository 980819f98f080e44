/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/list.h"

#if defined(__SANITIZE_ADDRESS__)
#define PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN 1
#endif
#endif

#ifdef PLAIN

struct sq_slab {
    bool failed;
};

struct sq_slab *sq_slab_new(void)
{
    return sq_xcalloc(1, sizeof(struct sq_slab));
}

void sq_slab_free(struct sq_slab *slab)
{
    free(slab);
}

void *sq_slab_alloc(struct sq_slab *slab, size_t bytes)
{
    void *block = sq_try_alloc(bytes);

    slab->failed |= !block;
    return block;
}

void *sq_slab_realloc(struct sq_slab *slab, void *old, size_t bytes)
{
    if (!bytes) {
        free(old);
        return NULL;
    }
    void *block = sq_try_realloc(old, bytes);
    slab->failed |= !block;
    return block;
}

void sq_slab_dealloc(void *block)
{
    free(block);
}

size_t sq_slab_usable_size(const void *block)
{
    return malloc_usable_size((void *)block);
}

void sq_slab_stats(const struct sq_slab *slab, struct sq_slab_stats *out)
{
    (void)slab;
    *out = (struct sq_slab_stats){0};
}

#else

#include <assert.h>
#include <sys/mman.h>

enum {
    UNIT = 16,
    LINEAR_CLASSES = 16, /* 16, 32 ... 256 */
    STEPS = 8,           /* then eight to a doubling, so at most 1/9 of a block is lost */
    CLASSES = LINEAR_CLASSES + 3 * STEPS,
    REGION_SPANS = 64,
    FIRST_REGION_SPANS = 16, /* 1 MiB, which the kernel cannot turn into a huge page */
    EMPTY_KEPT = 8,          /* spans without blocks that keep their pages */
};
static_assert(SQ_SLAB_SMALL_BYTES == 256 << 3, "three doublings above the linear classes");

struct block {
    struct block *next;
};

/* Many spans in one mapping. */
struct region {
    struct region *next;
    uint8_t *base;
    uint64_t unused; /* a bit per span that is not handed out; its pages are given back */
    unsigned spans;
};

struct span {
    struct sq_slab *slab;
    struct sq_list node; /* in slab->partial[class] while it has room, in slab->empty when empty */
    struct block *free;
    struct region *region;
    uint32_t used;  /* blocks handed out */
    uint32_t fresh; /* offset of the part that was never handed out */
    uint32_t end;   /* offset behind the last whole block */
    uint16_t block_bytes;
    uint8_t class;
};
static_assert(sizeof(struct span) <= 64, "the picture in slab.h");

struct sq_slab {
    struct sq_list partial[CLASSES];
    struct sq_list empty;
    unsigned empty_count;
    struct region *regions;
    size_t mapped_bytes, span_count;
    size_t small_bytes, small_count, large_bytes, large_count;
    bool failed;
    uint8_t class_of[SQ_SLAB_SMALL_BYTES / UNIT + 1]; /* by size in units, rounded up */
    uint16_t block_bytes[CLASSES];
};

/* In front of a large block; 8 bytes, which is what makes its address 16n + 8. */
struct large {
    struct sq_slab *slab;
};
static_assert(sizeof(struct large) <= 8, "a large block lies at 16n + 8");
enum { LARGE_HEAD = 8 };

static bool is_large(const void *block)
{
    return ((uintptr_t)block & (UNIT - 1)) != 0;
}

static struct span *span_of(const void *block)
{
    return (struct span *)((uintptr_t)block & ~(uintptr_t)(SQ_SLAB_SPAN_BYTES - 1));
}

struct sq_slab *sq_slab_new(void)
{
    struct sq_slab *slab = sq_xcalloc(1, sizeof *slab);
    unsigned class = 0, units = 0;

    for (unsigned i = 0; i < LINEAR_CLASSES; i++)
        slab->block_bytes[class ++] = (uint16_t)((i + 1) * UNIT);
    for (unsigned base = LINEAR_CLASSES * UNIT; base < SQ_SLAB_SMALL_BYTES; base *= 2)
        for (unsigned i = 1; i <= STEPS; i++)
            slab->block_bytes[class ++] = (uint16_t)(base + i * (base / STEPS));
    for (class = 0; class < CLASSES; class ++) {
        sq_list_init(&slab->partial[class]);
        for (; units * UNIT <= slab->block_bytes[class]; units++)
            slab->class_of[units] = (uint8_t) class;
    }
    sq_list_init(&slab->empty);
    return slab;
}

void sq_slab_free(struct sq_slab *slab)
{
    if (!slab)
        return;
    sq_assert(slab->large_count == 0);
    while (slab->regions) {
        struct region *region = slab->regions;
        slab->regions = region->next;
        munmap(region->base, (size_t)region->spans * SQ_SLAB_SPAN_BYTES);
        free(region);
    }
    free(slab);
}

/* ---- spans ---- */

static struct region *region_new(struct sq_slab *slab)
{
    unsigned spans = slab->regions ? REGION_SPANS : FIRST_REGION_SPANS;
    size_t bytes = (size_t)spans * SQ_SLAB_SPAN_BYTES;
    uint8_t *base = mmap(NULL, bytes + SQ_SLAB_SPAN_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    /* Cut off what hangs over on both sides of the aligned part. */
    size_t before = -(uintptr_t)base & (SQ_SLAB_SPAN_BYTES - 1);
    if (before)
        munmap(base, before);
    munmap(base + before + bytes, SQ_SLAB_SPAN_BYTES - before);

    struct region *region = sq_xcalloc(1, sizeof *region);
    region->base = base + before;
    region->spans = spans;
    region->unused = spans == 64 ? UINT64_MAX : (UINT64_C(1) << spans) - 1;
    region->next = slab->regions;
    slab->regions = region;
    slab->mapped_bytes += bytes;
    return region;
}

static struct span *span_take_unused(struct sq_slab *slab)
{
    struct region *region = slab->regions;

    while (region && !region->unused)
        region = region->next;
    if (!region)
        region = region_new(slab);
    if (!region)
        return NULL;

    unsigned index = (unsigned)__builtin_ctzll(region->unused);
    region->unused &= region->unused - 1;
    struct span *span = (struct span *)(region->base + (size_t)index * SQ_SLAB_SPAN_BYTES);
    span->slab = slab;
    span->region = region;
    sq_list_init(&span->node);
    slab->span_count++;
    return span;
}

/* A span with room for `class`, in its list; NULL when there is no memory. */
static struct span *span_new(struct sq_slab *slab, unsigned class)
{
    struct sq_list *node = sq_list_shift(&slab->empty);
    struct span *span;

    if (node) {
        span = SQ_CONTAINER_OF(node, struct span, node);
        slab->empty_count--;
    } else {
        span = span_take_unused(slab);
        if (!span)
            return NULL;
    }
    span->class = (uint8_t) class;
    span->block_bytes = slab->block_bytes[class];
    span->free = NULL;
    span->used = 0;
    span->fresh = 64;
    span->end =
        span->fresh + (SQ_SLAB_SPAN_BYTES - span->fresh) / span->block_bytes * span->block_bytes;
    sq_list_append(&slab->partial[class], &span->node);
    return span;
}

static void region_drop_if_unused(struct sq_slab *slab, struct region *region)
{
    struct region **link = &slab->regions;

    if ((unsigned)__builtin_popcountll(region->unused) != region->spans)
        return;
    while (*link != region)
        link = &(*link)->next;
    *link = region->next;
    slab->mapped_bytes -= (size_t)region->spans * SQ_SLAB_SPAN_BYTES;
    munmap(region->base, (size_t)region->spans * SQ_SLAB_SPAN_BYTES);
    free(region);
}

static void span_empty(struct sq_slab *slab, struct span *span)
{
    sq_list_remove(&span->node);
    if (slab->empty_count < EMPTY_KEPT) {
        sq_list_append(&slab->empty, &span->node);
        slab->empty_count++;
        return;
    }

    struct region *region = span->region;
    size_t index = (size_t)((uint8_t *)span - region->base) / SQ_SLAB_SPAN_BYTES;
    slab->span_count--;
    madvise(span, SQ_SLAB_SPAN_BYTES, MADV_DONTNEED);
    region->unused |= UINT64_C(1) << index;
    region_drop_if_unused(slab, region);
}

/* ---- blocks ---- */

static void *fail(struct sq_slab *slab)
{
    slab->failed = true;
    return NULL;
}

static void *large_alloc(struct sq_slab *slab, size_t bytes)
{
    if (bytes > SIZE_MAX - LARGE_HEAD)
        return fail(slab);
    uint8_t *raw = malloc(bytes + LARGE_HEAD);
    if (!raw)
        return fail(slab);
    sq_dassert(((uintptr_t)raw & (UNIT - 1)) == 0);
    ((struct large *)raw)->slab = slab;
    slab->large_count++;
    slab->large_bytes += malloc_usable_size(raw) - LARGE_HEAD;
    return raw + LARGE_HEAD;
}

static void large_dealloc(void *block)
{
    uint8_t *raw = (uint8_t *)block - LARGE_HEAD;
    struct sq_slab *slab = ((struct large *)raw)->slab;

    slab->large_count--;
    slab->large_bytes -= malloc_usable_size(raw) - LARGE_HEAD;
    free(raw);
}

static void *large_realloc(struct sq_slab *slab, void *old, size_t bytes)
{
    uint8_t *raw = (uint8_t *)old - LARGE_HEAD;
    size_t before = malloc_usable_size(raw);

    if (bytes > SIZE_MAX - LARGE_HEAD)
        return fail(slab);
    raw = realloc(raw, bytes + LARGE_HEAD);
    if (!raw)
        return fail(slab);
    slab->large_bytes += malloc_usable_size(raw) - before;
    return raw + LARGE_HEAD;
}

static void *small_alloc(struct sq_slab *slab, unsigned class)
{
    struct sq_list *head = &slab->partial[class];
    struct span *span;

    if (SQ_UNLIKELY(sq_list_empty(head))) {
        span = span_new(slab, class);
        if (!span)
            return fail(slab);
    } else {
        span = SQ_CONTAINER_OF(head->next, struct span, node);
    }

    struct block *block = span->free;
    if (block) {
        span->free = block->next;
    } else {
        block = (struct block *)((uint8_t *)span + span->fresh);
        span->fresh += span->block_bytes;
    }
    span->used++;
    slab->small_count++;
    slab->small_bytes += span->block_bytes;
    if (!span->free && span->fresh == span->end)
        sq_list_remove(&span->node);
    return block;
}

static void small_dealloc(void *block_address)
{
    struct block *block = block_address;
    struct span *span = span_of(block);
    struct sq_slab *slab = span->slab;
    bool was_full = !span->free && span->fresh == span->end;

    block->next = span->free;
    span->free = block;
    slab->small_count--;
    slab->small_bytes -= span->block_bytes;
    /* Behind the others: the spans in front fill up first and those behind may run empty. */
    if (was_full)
        sq_list_append(&slab->partial[span->class], &span->node);
    if (--span->used == 0)
        span_empty(slab, span);
}

void *sq_slab_alloc(struct sq_slab *slab, size_t bytes)
{
    if (SQ_UNLIKELY(bytes > SQ_SLAB_SMALL_BYTES))
        return large_alloc(slab, bytes);
    return small_alloc(slab, slab->class_of[(bytes + UNIT - 1) / UNIT]);
}

void sq_slab_dealloc(void *block)
{
    if (!block)
        return;
    if (SQ_UNLIKELY(is_large(block)))
        large_dealloc(block);
    else
        small_dealloc(block);
}

size_t sq_slab_usable_size(const void *block)
{
    if (!block)
        return 0;
    if (is_large(block))
        return malloc_usable_size((uint8_t *)block - LARGE_HEAD) - LARGE_HEAD;
    return span_of(block)->block_bytes;
}

void *sq_slab_realloc(struct sq_slab *slab, void *old, size_t bytes)
{
    if (!old)
        return bytes ? sq_slab_alloc(slab, bytes) : NULL;
    if (!bytes) {
        sq_slab_dealloc(old);
        return NULL;
    }
    if (is_large(old) && bytes > SQ_SLAB_SMALL_BYTES)
        return large_realloc(slab, old, bytes);
    if (!is_large(old) && bytes <= SQ_SLAB_SMALL_BYTES &&
        slab->class_of[(bytes + UNIT - 1) / UNIT] == span_of(old)->class)
        return old;

    void *block = sq_slab_alloc(slab, bytes);
    if (!block)
        return NULL;
    memcpy(block, old, SQ_MIN(bytes, sq_slab_usable_size(old)));
    sq_slab_dealloc(old);
    return block;
}

void sq_slab_stats(const struct sq_slab *slab, struct sq_slab_stats *out)
{
    *out = (struct sq_slab_stats){
        .mapped_bytes = slab->mapped_bytes,
        .span_bytes = slab->span_count * SQ_SLAB_SPAN_BYTES,
        .small_bytes = slab->small_bytes,
        .small_count = slab->small_count,
        .large_bytes = slab->large_bytes,
        .large_count = slab->large_count,
    };
}

#endif

bool sq_slab_take_failure(struct sq_slab *slab)
{
    bool failed = slab->failed;

    slab->failed = false;
    return failed;
}
