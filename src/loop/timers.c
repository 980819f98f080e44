/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/timers.h"

#include <stdlib.h>

enum { ARITY = 4, CAP_MIN = 16 };

static bool before(const struct sq_timers_entry *a, const struct sq_timers_entry *b)
{
    return a->deadline_ns < b->deadline_ns ||
           (a->deadline_ns == b->deadline_ns && a->order < b->order);
}

static void put(struct sq_timers *t, size_t i, struct sq_timers_entry entry)
{
    t->entries[i] = entry;
    entry.timer->heap_index = i;
}

static void sift_up(struct sq_timers *t, size_t i, struct sq_timers_entry entry)
{
    while (i > 0) {
        size_t parent = (i - 1) / ARITY;

        if (!before(&entry, &t->entries[parent]))
            break;
        put(t, i, t->entries[parent]);
        i = parent;
    }
    put(t, i, entry);
}

static void sift_down(struct sq_timers *t, size_t i, struct sq_timers_entry entry)
{
    for (;;) {
        size_t child = i * ARITY + 1;
        size_t end = SQ_MIN(child + ARITY, t->count);
        size_t best = child;

        if (child >= t->count)
            break;
        for (size_t c = child + 1; c < end; c++)
            if (before(&t->entries[c], &t->entries[best]))
                best = c;
        if (!before(&t->entries[best], &entry))
            break;
        put(t, i, t->entries[best]);
        i = best;
    }
    put(t, i, entry);
}

/* Puts `entry` where the hole `i` lets it. */
static void place(struct sq_timers *t, size_t i, struct sq_timers_entry entry)
{
    if (i > 0 && before(&entry, &t->entries[(i - 1) / ARITY]))
        sift_up(t, i, entry);
    else
        sift_down(t, i, entry);
}

static void resize(struct sq_timers *t, size_t cap)
{
    t->entries = sq_xrealloc(t->entries, cap * sizeof *t->entries);
    t->cap = cap;
}

void sq_timers_deinit(struct sq_timers *t)
{
    for (size_t i = 0; i < t->count; i++)
        t->entries[i].timer->heap_index = SIZE_MAX;
    free(t->entries);
    *t = (struct sq_timers){0};
}

void sq_timers_start(struct sq_timers *t, struct sq_timer *timer, int64_t deadline_ns)
{
    struct sq_timers_entry entry = {deadline_ns, t->order_next++, timer};

    timer->deadline_ns = deadline_ns;
    if (sq_timer_running(timer)) {
        place(t, timer->heap_index, entry);
        return;
    }
    if (t->count == t->cap)
        resize(t, t->cap ? t->cap * 2 : CAP_MIN);
    sift_up(t, t->count++, entry);
}

void sq_timers_stop(struct sq_timers *t, struct sq_timer *timer)
{
    size_t i = timer->heap_index;

    if (!sq_timer_running(timer))
        return;
    sq_dassert(i < t->count && t->entries[i].timer == timer);
    timer->heap_index = SIZE_MAX;
    t->count--;
    if (i < t->count)
        place(t, i, t->entries[t->count]);
    if (t->cap > CAP_MIN && t->count < t->cap / 4)
        resize(t, t->cap / 2);
}

int64_t sq_timers_next(const struct sq_timers *t)
{
    return t->count ? t->entries[0].deadline_ns : INT64_MAX;
}

void sq_timers_run(struct sq_timers *t, int64_t now_ns)
{
    uint64_t order_end = t->order_next;

    while (t->count && t->entries[0].deadline_ns <= now_ns && t->entries[0].order < order_end) {
        struct sq_timer *timer = t->entries[0].timer;

        sq_timers_stop(t, timer);
        timer->due(timer);
    }
}
