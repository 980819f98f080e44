/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/fiber.h"

#include <fenv.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer) && !defined(__SANITIZE_THREAD__)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
enum { MANY = 1000 }; /* it gives each fiber the state of a thread, and has 8128 of those */
#else
enum { MANY = 10000 };
#endif

struct trace {
    char text[64];
    struct sq_fiber *inner;
};

static void note(struct trace *t, char c)
{
    size_t len = strlen(t->text);

    if (len + 1 < sizeof t->text)
        t->text[len] = c;
}

static void inner_entry(void *arg)
{
    note(arg, 'c');
    sq_fiber_suspend();
    note(arg, 'f');
}

static void outer_entry(void *arg)
{
    struct trace *t = arg;
    struct sq_fiber *self = sq_fiber_self();

    note(t, 'b');
    SQ_CHECK(sq_fiber_resume(t->inner), "inner suspended");
    SQ_CHECK(sq_fiber_self() == self, "back from the inner fiber");
    note(t, 'd');
    sq_fiber_suspend();
    SQ_CHECK(sq_fiber_self() == self, "resumed");
    note(t, 'e');
    SQ_CHECK(!sq_fiber_resume(t->inner), "inner ended");
    note(t, 'g');
}

SQ_TEST(fiber_nested_resume)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    struct trace t = {0};

    t.inner = sq_fiber_new(pool, inner_entry, &t);
    struct sq_fiber *outer = sq_fiber_new(pool, outer_entry, &t);
    SQ_CHECK(sq_fiber_arg(outer) == &t, "arg");
    SQ_CHECK_EQ(sq_fiber_pool_live(pool), 2, "live");
    note(&t, 'a');
    SQ_CHECK(sq_fiber_self() == NULL, "outside");
    SQ_CHECK(sq_fiber_resume(outer), "outer suspended");
    SQ_CHECK(sq_fiber_self() == NULL, "outside again");
    note(&t, '|');
    SQ_CHECK(!sq_fiber_resume(outer), "outer ended");
    SQ_CHECK(sq_fiber_ended(outer) && sq_fiber_ended(t.inner), "both ended");
    SQ_CHECK_STR(t.text, "abcd|efg");
    sq_fiber_free(outer);
    sq_fiber_free(t.inner);
    sq_fiber_free(NULL);
    sq_fiber_pool_free(pool);
    sq_fiber_pool_free(NULL);
}

/* Suspended by one resumer, resumed by another: from the thread first, then from a fiber. */
static void resume_inner_entry(void *arg)
{
    struct trace *t = arg;

    note(t, '(');
    SQ_CHECK(!sq_fiber_resume(t->inner), "ends under another resumer");
    note(t, ')');
}

SQ_TEST(fiber_resumed_from_different_stacks)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    struct trace t = {0};

    t.inner = sq_fiber_new(pool, inner_entry, &t);
    struct sq_fiber *outer = sq_fiber_new(pool, resume_inner_entry, &t);
    SQ_CHECK(sq_fiber_resume(t.inner), "suspended");
    SQ_CHECK(!sq_fiber_resume(outer), "ended");
    SQ_CHECK_STR(t.text, "c(f)");
    sq_fiber_free(outer);
    sq_fiber_free(t.inner);
    sq_fiber_pool_free(pool);
}

struct counter {
    unsigned id, rounds;
    uint64_t sum;
};

static void counting_entry(void *arg)
{
    struct counter *c = arg;
    volatile uint64_t own[16]; /* on the stack: another fiber must not touch it */

    for (unsigned i = 0; i < SQ_COUNT(own); i++)
        own[i] = (uint64_t)c->id * 31 + i;
    for (unsigned r = 0; r < c->rounds; r++) {
        sq_fiber_suspend();
        for (unsigned i = 0; i < SQ_COUNT(own); i++)
            c->sum += own[i] == (uint64_t)c->id * 31 + i;
    }
}

SQ_TEST(fiber_many_interleaved)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    struct counter *counters = sq_xcalloc(MANY, sizeof *counters);
    struct sq_fiber **fibers = sq_xcalloc(MANY, sizeof *fibers);
    size_t pages = 0, alive = MANY;

    for (unsigned i = 0; i < MANY; i++) {
        counters[i] = (struct counter){.id = i, .rounds = 3 + i % 5};
        fibers[i] = sq_fiber_new(pool, counting_entry, &counters[i]);
        SQ_CHECK(fibers[i], "fiber %u", i);
    }
    for (unsigned i = 0; i < MANY; i++)
        SQ_CHECK(sq_fiber_resume(fibers[i]), "first part");
    for (unsigned i = 0; i < MANY; i++)
        pages += sq_fiber_committed_pages(fibers[i]);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SQ_CHECK(pages <= 2 * MANY, "%zu pages", pages); /* frames are wider */
#else
    SQ_CHECK_EQ(pages, MANY, "one page for each suspended fiber");
#endif
    /* A stride that meets all of them in an order unlike that of their making. */
    while (alive)
        for (unsigned i = 0, k = 0; i < MANY; i++, k = (k + 7919) % MANY)
            if (!sq_fiber_ended(fibers[k]) && !sq_fiber_resume(fibers[k]))
                alive--;
    for (unsigned i = 0; i < MANY; i++) {
        SQ_CHECK_EQ(counters[i].sum, counters[i].rounds * 16, "fiber %u", i);
        sq_fiber_free(fibers[i]);
    }
    SQ_CHECK_EQ(sq_fiber_pool_live(pool), 0, "live");
    sq_fiber_pool_free(pool);
    free(counters);
    free(fibers);
}

static void nothing_entry(void *arg)
{
    (void)arg;
}

SQ_TEST(fiber_stacks_are_reused_last_in_first_out)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    struct sq_fiber *a = sq_fiber_new(pool, nothing_entry, NULL);
    struct sq_fiber *b = sq_fiber_new(pool, nothing_entry, NULL);
    void *top_a = sq_fiber_stack_top(a), *top_b = sq_fiber_stack_top(b);
    size_t mapped = sq_fiber_pool_mapped_bytes(pool);

    SQ_CHECK(!sq_fiber_resume(a), "ended");
    sq_fiber_free(a);
    sq_fiber_free(b); /* never ran */
    struct sq_fiber *c = sq_fiber_new(pool, nothing_entry, NULL);
    struct sq_fiber *d = sq_fiber_new(pool, nothing_entry, NULL);
    SQ_CHECK(sq_fiber_stack_top(c) == top_b && sq_fiber_stack_top(d) == top_a, "warmest first");
    for (int i = 0; i < 1000; i++) {
        sq_fiber_free(c);
        c = sq_fiber_new(pool, nothing_entry, NULL);
        SQ_CHECK(!sq_fiber_resume(c), "ended");
    }
    SQ_CHECK_EQ(sq_fiber_pool_mapped_bytes(pool), mapped, "nothing new was mapped");
    sq_fiber_free(c);
    sq_fiber_free(d);
    sq_fiber_pool_free(pool);
}

SQ_TEST(fiber_stack_bounds)
{
    static const size_t sizes[] = {0, 1, 16384, 65536, 65537, 1 << 20};
    volatile char here;

    for (size_t i = 0; i < SQ_COUNT(sizes); i++) {
        struct sq_fiber_pool *pool = sq_fiber_pool_new(sizes[i]);
        struct sq_fiber *f = sq_fiber_new(pool, nothing_entry, NULL);
        char *low = sq_fiber_stack_low(f), *top = sq_fiber_stack_top(f);
        SQ_CHECK((size_t)(top - low) + 256 >= SQ_MAX(sizes[i], (size_t)16384), "%zu asked",
                 sizes[i]);
        SQ_CHECK_EQ((uintptr_t)top % 16, 0, "top");
        SQ_CHECK((char *)&here < low || (char *)&here >= top, "not the thread's own");
        SQ_CHECK(sq_fiber_committed_pages(f) <= 1, "only the top is touched");
        low[0] = 1; /* the lowest byte is usable */
        sq_fiber_free(f);
        sq_fiber_pool_free(pool);
    }
}

/* ---- depth ---- */

/* AddressSanitizer may move the locals of a function off its stack. */
#define DEEP __attribute__((noinline, no_sanitize_address))

static DEEP unsigned dig(unsigned levels)
{
    volatile char room[900];

    room[levels % sizeof room] = 1;
    return levels ? dig(levels - 1) + (unsigned)room[levels % sizeof room] : 0;
}

struct depth {
    unsigned levels, dug;
    size_t before, trimmed, after;
};

static void deep_entry(void *arg)
{
    struct depth *d = arg;
    struct sq_fiber *self = sq_fiber_self();

    for (int round = 0; round < 2; round++) {
        d->dug = dig(d->levels);
        d->before = sq_fiber_committed_pages(self);
        d->trimmed = sq_fiber_trim(self);
        d->after = sq_fiber_committed_pages(self);
        sq_fiber_suspend();
        d->dug = dig(d->levels);
        sq_fiber_suspend();
    }
}

SQ_TEST(fiber_trim_gives_deep_pages_back)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(8 * SQ_FIBER_STACK_BYTES);
    struct depth d = {.levels = 200};
    struct sq_fiber *f = sq_fiber_new(pool, deep_entry, &d);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (int round = 0; round < 2; round++) {
        SQ_CHECK(sq_fiber_resume(f), "from inside");
        SQ_CHECK_EQ(d.dug, 200, "depth");
        SQ_CHECK(d.before * page > 200 * 900, "%zu pages before", d.before);
        SQ_CHECK(d.after <= SQ_FIBER_KEEP_PAGES + 1, "%zu pages after", d.after);
        SQ_CHECK_EQ(d.trimmed, (d.before - d.after) * page, "bytes said");
        SQ_CHECK_EQ(sq_fiber_trim(f), 0, "nothing is left to do");

        SQ_CHECK(sq_fiber_resume(f), "deep again");
        SQ_CHECK_EQ(sq_fiber_committed_pages(f), d.before, "as deep as before");
        SQ_CHECK_EQ(sq_fiber_trim(f), d.trimmed, "from outside");
        SQ_CHECK_EQ(sq_fiber_committed_pages(f), d.after, "after it");
    }
    SQ_CHECK(!sq_fiber_resume(f), "the frames that stayed still work");
    SQ_CHECK_EQ(sq_fiber_trim(f), 0, "an ended one");
    sq_fiber_free(f);
    sq_fiber_pool_free(pool);
}

/* What is in use while deep must survive a trim. */
static DEEP unsigned dig_and_trim(unsigned levels, struct sq_fiber *self)
{
    volatile unsigned char room[900];
    unsigned bad = 0;

    for (size_t i = 0; i < sizeof room; i++)
        room[i] = (unsigned char)(levels + i);
    if (levels) {
        bad = dig_and_trim(levels - 1, self);
    } else {
        dig(150);
        sq_fiber_trim(self);
        sq_fiber_suspend();
    }
    for (size_t i = 0; i < sizeof room; i++)
        bad += room[i] != (unsigned char)(levels + i);
    return bad;
}

static void careful_entry(void *arg)
{
    *(unsigned *)arg = dig_and_trim(100, sq_fiber_self());
}

SQ_TEST(fiber_trim_keeps_what_is_in_use)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(16 * SQ_FIBER_STACK_BYTES);
    unsigned bad = 1;
    struct sq_fiber *f = sq_fiber_new(pool, careful_entry, &bad);

    SQ_CHECK(sq_fiber_resume(f), "deep and trimmed");
    SQ_CHECK(sq_fiber_committed_pages(f) * (size_t)sysconf(_SC_PAGESIZE) > 100 * 900, "in use");
    sq_fiber_trim(f);
    SQ_CHECK(!sq_fiber_resume(f), "unwound");
    SQ_CHECK_EQ(bad, 0, "bytes changed");
    SQ_CHECK(sq_fiber_trim(f) > 0, "an ended one keeps no depth");
    SQ_CHECK_EQ(sq_fiber_committed_pages(f), SQ_FIBER_KEEP_PAGES, "after it");
    sq_fiber_free(f);
    sq_fiber_pool_free(pool);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void overflow_entry(void *arg)
{
    dig(*(unsigned *)arg);
}

static bool kernel_has_guards(void)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool has = madvise(page, (size_t)sysconf(_SC_PAGESIZE), 102) == 0;

    munmap(page, 4096);
    return has;
}

SQ_TEST(fiber_overflow_meets_the_guard)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    unsigned levels = SQ_FIBER_STACK_BYTES / 512; /* of 1 KiB each */
    struct sq_fiber *below = sq_fiber_new(pool, overflow_entry, &levels);
    struct sq_fiber *f = sq_fiber_new(pool, overflow_entry, &levels);

    if (kernel_has_guards()) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            sq_fiber_resume(f);
            _exit(0);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        SQ_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %d", status);
    }
    sq_fiber_free(f);
    sq_fiber_free(below);
    sq_fiber_pool_free(pool);
}
#endif

/* ---- registers ---- */

static void rounding_entry(void *arg)
{
    int *seen = arg;

    seen[0] = fegetround();
    fesetround(FE_UPWARD);
    sq_fiber_suspend();
    seen[1] = fegetround();
    fesetround(FE_TOWARDZERO);
}

SQ_TEST(fiber_keeps_floating_point_modes)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    int seen[2] = {-1, -1};

    fesetround(FE_DOWNWARD);
    struct sq_fiber *f = sq_fiber_new(pool, rounding_entry, seen);
    fesetround(FE_TONEAREST);
    SQ_CHECK(sq_fiber_resume(f), "suspended");
    SQ_CHECK_EQ(fegetround(), FE_TONEAREST, "ours after its first part");
    SQ_CHECK_EQ(seen[0], FE_DOWNWARD, "as it was where the fiber was made");
    SQ_CHECK(!sq_fiber_resume(f), "ended");
    SQ_CHECK_EQ(seen[1], FE_UPWARD, "its own after a suspension");
    SQ_CHECK_EQ(fegetround(), FE_TONEAREST, "ours at the end");
    volatile long double third = 1.0L, three = 3.0L;
    SQ_CHECK(third / three * three == 1.0L, "x87 rounds to nearest too");
    sq_fiber_free(f);
    sq_fiber_pool_free(pool);
}

/* More live values than there are scratch registers, on both sides. */
static __attribute__((noinline)) uint64_t mix(uint64_t s, void (*step)(struct sq_fiber *),
                                              struct sq_fiber *f)
{
    uint64_t a = s + 1, b = s + 2, c = s + 3, d = s + 4, e = s + 5, g = s + 6;
    double x = (double)s + 0.5, y = (double)s + 0.25;

    for (int i = 0; i < 3; i++) {
        step(f);
        a += b ^ s, b += c ^ a, c += d ^ b, d += e ^ c, e += g ^ d, g += a ^ e;
        x = x * 0.5 + y, y = y * 0.5 + 1;
    }
    return a ^ b ^ c ^ d ^ e ^ g ^ (uint64_t)(x * 1024) ^ (uint64_t)(y * 1024);
}

static void step_resume(struct sq_fiber *f)
{
    sq_fiber_resume(f);
}

static void step_suspend(struct sq_fiber *f)
{
    (void)f;
    sq_fiber_suspend();
}

static void step_nothing(struct sq_fiber *f)
{
    (void)f;
}

static void mixing_entry(void *arg)
{
    *(uint64_t *)arg = mix(1000, step_suspend, NULL);
}

SQ_TEST(fiber_keeps_registers)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    uint64_t inside = 0;
    struct sq_fiber *f = sq_fiber_new(pool, mixing_entry, &inside);
    uint64_t outside = mix(77, step_resume, f);

    SQ_CHECK(!sq_fiber_resume(f), "ended");
    SQ_CHECK(outside == mix(77, step_nothing, NULL), "the resumer's");
    SQ_CHECK(inside == mix(1000, step_nothing, NULL), "the fiber's");
    sq_fiber_free(f);
    sq_fiber_pool_free(pool);
}

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    struct sq_fiber_pool *pool = sq_fiber_pool_new(SQ_FIBER_STACK_BYTES);
    struct counter counters[50] = {{0}};
    struct sq_fiber *fibers[50];

    for (unsigned i = 0; i < SQ_COUNT(fibers); i++) {
        counters[i] = (struct counter){.id = i, .rounds = 100};
        fibers[i] = sq_fiber_new(pool, counting_entry, &counters[i]);
    }
    for (unsigned r = 0; r < 101; r++)
        for (unsigned i = 0; i < SQ_COUNT(fibers); i++)
            sq_fiber_resume(fibers[i]);
    for (unsigned i = 0; i < SQ_COUNT(fibers); i++) {
        *(uint64_t *)arg += counters[i].sum;
        sq_fiber_free(fibers[i]);
    }
    sq_fiber_pool_free(pool);
    return NULL;
}

SQ_TEST(fiber_threads_have_their_own)
{
    pthread_t threads[3];
    uint64_t sums[3] = {0};

    for (int i = 0; i < 3; i++)
        SQ_CHECK_EQ(pthread_create(&threads[i], NULL, thread_main, &sums[i]), 0, "thread");
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        SQ_CHECK_EQ(sums[i], 50 * 100 * 16, "thread %d", i);
    }
    SQ_CHECK(sq_fiber_self() == NULL, "none here");
}

SQ_TEST(fiber_stack_bytes_under_a_limit)
{
    struct rlimit before, limited;

    SQ_CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    limited = before;
    limited.rlim_cur = RLIM_INFINITY - 1; /* a limit, but none that anything meets */
    if (setrlimit(RLIMIT_AS, &limited) == 0)
        SQ_CHECK_EQ(sq_fiber_stack_bytes(), (size_t)SQ_FIBER_STACK_LEAST);
    setrlimit(RLIMIT_AS, &before);
    if (before.rlim_cur == RLIM_INFINITY)
        SQ_CHECK_EQ(sq_fiber_stack_bytes(), (size_t)SQ_FIBER_STACK_BYTES);
}
