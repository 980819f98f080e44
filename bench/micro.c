/* SPDX-License-Identifier: Apache-2.0 */
/* Small measurements of building blocks: fiber switches, creation, memory of suspended fibers, and
 * the slab allocator against malloc. Times are CPU time of the thread, the best of several runs. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/slab.h"
#include "fiber/fiber.h"

enum { RUNS = 5 };

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long private_kib(void)
{
    char line[256];
    long kib = 0, value;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Private_Dirty: %ld", &value) == 1)
            kib = value;
    if (file)
        fclose(file);
    return kib;
}

/* ---- fibers ---- */

static void ping_pong(void *arg)
{
    const bool *stop = arg;

    while (!*stop)
        sq_fiber_suspend();
}

static void fiber_switches(size_t count, long rounds)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    struct sq_fiber **fibers = sq_xcalloc(count, sizeof *fibers);
    bool stop = false;
    double best = 1e18;
    long before = private_kib();

    for (size_t i = 0; i < count; i++) {
        fibers[i] = sq_fiber_new(pool, ping_pong, &stop);
        sq_fiber_resume(fibers[i]);
    }
    long after = private_kib();
    for (int r = 0; r < RUNS; r++) {
        double start = cpu_ns();
        for (long n = 0; n < rounds; n += (long)count)
            for (size_t i = 0; i < count; i++)
                sq_fiber_resume(fibers[i]);
        best = SQ_MIN(best, (cpu_ns() - start) / (double)rounds / 2);
    }
    printf("fiber switch, %6zu fibers      %8.1f ns", count, best);
    if (count >= 1000)
        printf("   %.2f KiB private for each", (double)(after - before) / (double)count);
    putchar('\n');
    stop = true;
    for (size_t i = 0; i < count; i++) {
        sq_fiber_resume(fibers[i]);
        sq_fiber_free(fibers[i]);
    }
    free(fibers);
    sq_fiber_pool_free(pool);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void fiber_lives(long rounds)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    double best = 1e18;

    for (int r = 0; r < RUNS; r++) {
        double start = cpu_ns();
        for (long n = 0; n < rounds; n++) {
            struct sq_fiber *f = sq_fiber_new(pool, nothing, NULL);
            sq_fiber_resume(f);
            sq_fiber_free(f);
        }
        best = SQ_MIN(best, (cpu_ns() - start) / (double)rounds);
    }
    printf("fiber made, run, freed (warm)   %8.1f ns\n", best);
    sq_fiber_pool_free(pool);
}

/* ---- slab ---- */

enum { SLOTS = 100000 }; /* 16 MB: a few cells of connected VUs */

/* Sizes as a JavaScript heap asks for them: many of 24..100, few above 500. */
static size_t js_size(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    uint32_t r = *seed >> 8;

    if (r % 100 < 70)
        return 24 + (r >> 8) % 76;
    if (r % 100 < 95)
        return 100 + (r >> 8) % 400;
    return 500 + (r >> 8) % 3000;
}

static double churn_slab(struct sq_slab *slab, void **slots, long steps)
{
    uint32_t seed = 1;
    double start = cpu_ns();

    for (long n = 0; n < steps; n++) {
        size_t bytes = js_size(&seed), slot = (seed >> 4) % SLOTS;
        sq_slab_dealloc(slots[slot]);
        slots[slot] = sq_slab_alloc(slab, bytes);
        *(char *)slots[slot] = 1;
    }
    return (cpu_ns() - start) / (double)steps;
}

static double churn_malloc(void **slots, long steps)
{
    uint32_t seed = 1;
    double start = cpu_ns();

    for (long n = 0; n < steps; n++) {
        size_t bytes = js_size(&seed), slot = (seed >> 4) % SLOTS;
        free(slots[slot]);
        slots[slot] = malloc(bytes);
        *(char *)slots[slot] = 1;
    }
    return (cpu_ns() - start) / (double)steps;
}

static void slab_against_malloc(long steps)
{
    struct sq_slab *slab = sq_slab_new();
    void **slots = sq_xcalloc(SLOTS, sizeof *slots);
    double best_slab = 1e18, best_malloc = 1e18;
    struct sq_slab_stats stats;

    for (int r = 0; r < RUNS; r++) {
        double ns = churn_slab(slab, slots, steps);
        best_slab = SQ_MIN(best_slab, ns);
    }
    sq_slab_stats(slab, &stats);
    for (int i = 0; i < SLOTS; i++) {
        sq_slab_dealloc(slots[i]);
        slots[i] = NULL;
    }
    sq_slab_free(slab);
    for (int r = 0; r < RUNS; r++) {
        double ns = churn_malloc(slots, steps);
        best_malloc = SQ_MIN(best_malloc, ns);
    }
    for (int i = 0; i < SLOTS; i++)
        free(slots[i]);
    free(slots);
    printf("free + alloc, slab              %8.1f ns\n", best_slab);
    printf("free + alloc, malloc            %8.1f ns\n", best_malloc);
    if (stats.span_bytes)
        printf("slab after churn: %.1f %% of its spans are in use, %.1f bytes a block\n",
               100.0 * (double)stats.small_bytes / (double)stats.span_bytes,
               (double)stats.small_bytes / (double)stats.small_count);
}

int main(int argc, char **argv)
{
    long scale = argc > 1 && !strcmp(argv[1], "--quick") ? 20 : 1;

    fiber_switches(1, 10000000 / scale);
    fiber_switches(100, 10000000 / scale);
    fiber_switches(10000, 5000000 / scale);
    fiber_lives(2000000 / scale);
    slab_against_malloc(4000000 / scale);
    return 0;
}
