/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/fiber.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fiber/switch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define TSAN 1
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif

enum {
    STACKS_PER_SLAB = 16,
    STACK_BYTES_MIN = 16 * 1024,
    STACK_BYTES_MAX = 1024 * 1024 * 1024,
    RED_ZONE_BYTES = 1024, /* the ABI's 128, and the frame of the function that asks */
    PAGES_AT_ONCE = 128,   /* of mincore: the answer lies on the stack that is measured */
};

enum state { READY, RUNNING, SUSPENDED, ENDED };

/* Lies at the top of its own stack: the page that a running fiber touches anyway. */
struct sq_fiber {
    _Alignas(16) void *sp; /* where it goes on, while it does not run */
    void *resumer_sp;      /* where suspend goes, while it runs */
    struct sq_fiber *resumer;
    struct sq_fiber_pool *pool;
    void (*entry)(void *arg);
    void *arg;
    struct sq_fiber *next_free;
    enum state state;
#ifdef ASAN
    void *fake_stack;
    const void *resumer_low;
    size_t resumer_bytes;
#endif
#ifdef TSAN
    void *tsan;
    void *resumer_tsan;
#endif
};
static_assert(sizeof(struct sq_fiber) <= 128, "part of the first page of every stack");

struct slab {
    struct slab *next;
    uint8_t *base;
    unsigned carved; /* stacks that were handed out at least once */
};

struct sq_fiber_pool {
    size_t page_bytes;
    size_t stack_bytes;
    size_t stride; /* stack and guard: an odd number of pages, so that the first pages of stacks
                      spread over all sets of the TLB */
    struct sq_fiber *free; /* last in, first out: the warmest stack */
    struct slab *slabs;    /* only the first has stacks that were never used */
    size_t slab_count;
    size_t live;
    bool guards; /* the kernel has them, as far as we know */
};

/* Code of a thread asks who it is; a fiber never changes threads, so the compiler may keep it. */
static _Thread_local struct sq_fiber *current;

/* ---- stacks ---- */

size_t sq_fiber_stack_bytes(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return SQ_FIBER_STACK_LEAST;
    return SQ_FIBER_STACK_BYTES;
}

struct sq_fiber_pool *sq_fiber_pool_new(size_t stack_bytes)
{
    struct sq_fiber_pool *pool = sq_xcalloc(1, sizeof *pool);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    stack_bytes = SQ_MAX(stack_bytes, (size_t)STACK_BYTES_MIN);
    stack_bytes = SQ_MIN(stack_bytes, (size_t)STACK_BYTES_MAX);
    pool->page_bytes = page;
    pool->stack_bytes = (stack_bytes + page - 1) / page * page;
    pool->stride = pool->stack_bytes + page;
    if (pool->stride / page % 2 == 0)
        pool->stride += page;
    pool->guards = true;
    return pool;
}

void sq_fiber_pool_free(struct sq_fiber_pool *pool)
{
    if (!pool)
        return;
    sq_assert(pool->live == 0);
    while (pool->slabs) {
        struct slab *slab = pool->slabs;
        pool->slabs = slab->next;
        munmap(slab->base, STACKS_PER_SLAB * pool->stride);
        free(slab);
    }
    free(pool);
}

size_t sq_fiber_pool_live(const struct sq_fiber_pool *pool)
{
    return pool->live;
}

size_t sq_fiber_pool_mapped_bytes(const struct sq_fiber_pool *pool)
{
    return pool->slab_count * STACKS_PER_SLAB * pool->stride;
}

static int slab_new(struct sq_fiber_pool *pool)
{
    size_t bytes = STACKS_PER_SLAB * pool->stride;
    uint8_t *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (base == MAP_FAILED)
        return -errno;
    /* A huge page would commit four stacks at the first touch of one. Best effort: some kernels are
     * built without them. */
    madvise(base, bytes, MADV_NOHUGEPAGE);

    struct slab *slab = sq_xcalloc(1, sizeof *slab);
    slab->base = base;
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->slab_count++;
    return 0;
}

/* The top of a stack that was never used; NULL with errno set when there is no memory. */
static uint8_t *carve_stack(struct sq_fiber_pool *pool)
{
    if (!pool->slabs || pool->slabs->carved == STACKS_PER_SLAB) {
        int rc = slab_new(pool);
        if (rc < 0) {
            errno = -rc;
            return NULL;
        }
    }
    uint8_t *low = pool->slabs->base + pool->slabs->carved++ * pool->stride;
    /* Never mprotect: two mappings for each stack meet the kernel's limit at 32,000 stacks. */
    if (pool->guards && madvise(low, pool->page_bytes, MADV_GUARD_INSTALL) < 0)
        pool->guards = errno != EINVAL;
    return low + pool->stride;
}

static uint8_t *stack_low(const struct sq_fiber *fiber)
{
    return (uint8_t *)(fiber + 1) - fiber->pool->stack_bytes;
}

void *sq_fiber_stack_low(const struct sq_fiber *fiber)
{
    return stack_low(fiber);
}

void *sq_fiber_stack_top(const struct sq_fiber *fiber)
{
    return (void *)fiber;
}

/* ---- life ---- */

static void fiber_main(void *arg);

struct sq_fiber *sq_fiber_new(struct sq_fiber_pool *pool, void (*entry)(void *arg), void *arg)
{
    struct sq_fiber *fiber = pool->free;

    if (fiber) {
        pool->free = fiber->next_free;
    } else {
        uint8_t *top = carve_stack(pool);
        if (!top)
            return NULL;
        fiber = (struct sq_fiber *)top - 1;
    }
    *fiber = (struct sq_fiber){.pool = pool, .entry = entry, .arg = arg, .state = READY};
#ifdef ASAN
    /* The last user left by a function that never returned, with its frames still poisoned. */
    __asan_unpoison_memory_region(stack_low(fiber), pool->stack_bytes - sizeof *fiber);
#endif
#ifdef TSAN
    fiber->tsan = __tsan_create_fiber(0);
#endif
    fiber->sp = sq_fiber_switch_prepare(stack_low(fiber), fiber, fiber_main, fiber);
    pool->live++;
    return fiber;
}

void sq_fiber_free(struct sq_fiber *fiber)
{
    if (!fiber)
        return;
    sq_assert(fiber->state == READY || fiber->state == ENDED);
#ifdef TSAN
    __tsan_destroy_fiber(fiber->tsan);
#endif
    fiber->next_free = fiber->pool->free;
    fiber->pool->free = fiber;
    fiber->pool->live--;
}

struct sq_fiber *sq_fiber_self(void)
{
    return current;
}

void *sq_fiber_arg(const struct sq_fiber *fiber)
{
    return fiber->arg;
}

bool sq_fiber_ended(const struct sq_fiber *fiber)
{
    return fiber->state == ENDED;
}

/* ---- switching ----
 * Without a sanitizer nothing is left to do after a switch, so the compiler may jump into
 * sq_fiber_switch and that goes straight back to the caller of resume or suspend. */

bool sq_fiber_resume(struct sq_fiber *fiber)
{
    sq_assert(fiber->state == READY || fiber->state == SUSPENDED);
    fiber->state = RUNNING;
    fiber->resumer = current;
    current = fiber;
#ifdef TSAN
    fiber->resumer_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->tsan, 0);
#endif
#ifdef ASAN
    void *fake_stack;
    __sanitizer_start_switch_fiber(&fake_stack, stack_low(fiber), fiber->pool->stack_bytes);
    bool alive = sq_fiber_switch(&fiber->resumer_sp, fiber->sp, true);
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
    return alive;
#else
    return sq_fiber_switch(&fiber->resumer_sp, fiber->sp, true);
#endif
}

void sq_fiber_suspend(void)
{
    struct sq_fiber *fiber = current;

    sq_assert(fiber);
    fiber->state = SUSPENDED;
    current = fiber->resumer;
#ifdef TSAN
    __tsan_switch_to_fiber(fiber->resumer_tsan, 0);
#endif
#ifdef ASAN
    __sanitizer_start_switch_fiber(&fiber->fake_stack, fiber->resumer_low, fiber->resumer_bytes);
    sq_fiber_switch(&fiber->sp, fiber->resumer_sp, true);
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &fiber->resumer_low, &fiber->resumer_bytes);
#else
    sq_fiber_switch(&fiber->sp, fiber->resumer_sp, true);
#endif
}

static void fiber_main(void *arg)
{
    struct sq_fiber *fiber = arg;

#ifdef ASAN
    __sanitizer_finish_switch_fiber(NULL, &fiber->resumer_low, &fiber->resumer_bytes);
#endif
    fiber->entry(fiber->arg);
    fiber->state = ENDED;
    current = fiber->resumer;
#ifdef TSAN
    __tsan_switch_to_fiber(fiber->resumer_tsan, 0);
#endif
#ifdef ASAN
    __sanitizer_start_switch_fiber(NULL, fiber->resumer_low, fiber->resumer_bytes);
#endif
    sq_fiber_switch(&fiber->sp, fiber->resumer_sp, false);
    sq_panic("an ended fiber was resumed");
}

/* ---- giving pages back ---- */

/* The index, from the stack's low end, of the lowest page that is committed; the number of pages
 * when none is or the kernel does not say. */
static size_t deepest_page(const struct sq_fiber *fiber)
{
    size_t page_bytes = fiber->pool->page_bytes, pages = fiber->pool->stack_bytes / page_bytes;
    unsigned char resident[PAGES_AT_ONCE];

    for (size_t first = 0; first < pages; first += PAGES_AT_ONCE) {
        size_t count = SQ_MIN(pages - first, (size_t)PAGES_AT_ONCE);
        if (mincore(stack_low(fiber) + first * page_bytes, count * page_bytes, resident) < 0)
            return pages;
        for (size_t i = 0; i < count; i++)
            if (resident[i] & 1)
                return first + i;
    }
    return pages;
}

size_t sq_fiber_committed_pages(const struct sq_fiber *fiber)
{
    return fiber->pool->stack_bytes / fiber->pool->page_bytes - deepest_page(fiber);
}

size_t sq_fiber_trim(struct sq_fiber *fiber)
{
    size_t page_bytes = fiber->pool->page_bytes, pages = fiber->pool->stack_bytes / page_bytes;
    size_t deepest = deepest_page(fiber);
    uint8_t *low = stack_low(fiber), *depth = fiber->sp;

    if (pages - deepest <= SQ_FIBER_KEEP_PAGES)
        return 0;
    if (fiber->state == RUNNING) {
        sq_assert(fiber == current); /* the depth of one that resumed another is unknown */
        depth = __builtin_frame_address(0);
    } else if (fiber->state == ENDED) {
        depth = (uint8_t *)fiber;
    }
    size_t end = (size_t)(depth - RED_ZONE_BYTES - low) / page_bytes;
    end = SQ_MIN(end, pages - SQ_FIBER_KEEP_PAGES);
    if (end <= deepest)
        return 0;
    if (madvise(low + deepest * page_bytes, (end - deepest) * page_bytes, MADV_DONTNEED) < 0)
        return 0;
    return (end - deepest) * page_bytes;
}
