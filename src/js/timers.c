/* SPDX-License-Identifier: Apache-2.0 */
/* Global timers of a VU (ENG-174): a binary heap by due time, a hash by id. Nothing is allocated
 * before the first timer. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/instance.h"

struct js_timer {
    struct sq_list node; /* in instance->timers */
    struct js_timer *same_bucket;
    int64_t due_ns, interval_ns;
    uint64_t order; /* of arming, for equal due times */
    size_t at;      /* in the heap; SIZE_MAX while its callback runs */
    JSValue fn;
    JSValue *args;
    int argc;
    uint32_t id;
    bool repeat, cleared;
};

struct sq_js_timers {
    struct js_timer **heap;
    size_t count, cap;
    struct js_timer **buckets; /* by id; a power of two of them, never fewer than timers */
    size_t buckets_count, known;
    uint64_t order;
};

/* ---- heap ---- */

static bool before(const struct js_timer *a, const struct js_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put_at(struct sq_js_timers *all, struct js_timer *t, size_t at)
{
    all->heap[at] = t;
    t->at = at;
}

static void sift_up(struct sq_js_timers *all, struct js_timer *t, size_t at)
{
    while (at > 0 && before(t, all->heap[(at - 1) / 2])) {
        put_at(all, all->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    put_at(all, t, at);
}

static void sift_down(struct sq_js_timers *all, struct js_timer *t, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= all->count)
            break;
        if (child + 1 < all->count && before(all->heap[child + 1], all->heap[child]))
            child++;
        if (!before(all->heap[child], t))
            break;
        put_at(all, all->heap[child], at);
        at = child;
    }
    put_at(all, t, at);
}

static void arm(struct sq_js_timers *all, struct js_timer *t)
{
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 8;
        all->heap = sq_xrealloc(all->heap, all->cap * sizeof(struct js_timer *));
    }
    t->order = all->order++;
    sift_up(all, t, all->count++);
}

static void disarm(struct sq_js_timers *all, struct js_timer *t)
{
    struct js_timer *last;
    size_t at = t->at;

    if (at == SIZE_MAX)
        return;
    t->at = SIZE_MAX;
    last = all->heap[--all->count];
    if (last == t)
        return;
    if (at > 0 && before(last, all->heap[(at - 1) / 2]))
        sift_up(all, last, at);
    else
        sift_down(all, last, at);
}

/* ---- ids ---- */

static struct js_timer **bucket(struct sq_js_timers *all, uint32_t id)
{
    return &all->buckets[id & (all->buckets_count - 1)];
}

static void grow_buckets(struct sq_js_timers *all)
{
    struct js_timer **old = all->buckets;
    size_t count = all->buckets_count;

    all->buckets_count = count ? count * 2 : 8;
    all->buckets = sq_xcalloc(all->buckets_count, sizeof(struct js_timer *));
    for (size_t i = 0; i < count; i++)
        for (struct js_timer *t = old[i], *next; t; t = next) {
            struct js_timer **to = bucket(all, t->id);
            next = t->same_bucket;
            t->same_bucket = *to;
            *to = t;
        }
    free(old);
}

static struct js_timer *find(struct sq_js_timers *all, uint32_t id)
{
    struct js_timer *t = all && all->buckets_count ? *bucket(all, id) : NULL;

    while (t && t->id != id)
        t = t->same_bucket;
    return t;
}

static void forget(struct sq_js_timers *all, struct js_timer *t)
{
    struct js_timer **link = bucket(all, t->id);

    while (*link != t)
        link = &(*link)->same_bucket;
    *link = t->same_bucket;
    all->known--;
    sq_list_remove(&t->node);
    disarm(all, t);
}

static void free_timer(JSContext *ctx, struct js_timer *t)
{
    JS_FreeValue(ctx, t->fn);
    for (int i = 0; i < t->argc; i++)
        JS_FreeValue(ctx, t->args[i]);
    free(t->args);
    free(t);
}

/* ---- setTimeout and its kin ---- */

static int64_t delay_ns(double ms)
{
    /* As browsers do: what is no finite positive number is now. */
    if (!(ms > 0) || isinf(ms))
        return 0;
    return (int64_t)(SQ_MIN(ms, 9e12) * SQ_NS_PER_MS);
}

static struct js_timer *new_timer(struct sq_js_instance *self)
{
    struct sq_js_timers *all = self->timer_index;
    struct js_timer *t = sq_xcalloc(1, sizeof *t);

    if (!all)
        all = self->timer_index = sq_xcalloc(1, sizeof *all);
    if (all->known == all->buckets_count)
        grow_buckets(all);
    t->id = ++self->timer_id_last;
    t->same_bucket = *bucket(all, t->id);
    *bucket(all, t->id) = t;
    all->known++;
    sq_list_append(&self->timers, &t->node);
    return t;
}

static JSValue set_timer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                         int repeat)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    double ms = 0;

    (void)this_val;
    if (argc < 1 || !JS_IsFunction(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "%s's callback isn't a callable function",
                                 repeat ? "setInterval" : "setTimeout");
    if (argc > 1 && JS_ToFloat64(ctx, &ms, argv[1]) < 0)
        return JS_EXCEPTION;
    if (self->draining) /* the iteration is over: it would never fire */
        return JS_NewUint32(ctx, ++self->timer_id_last);
    struct js_timer *t = new_timer(self);
    t->fn = JS_DupValue(ctx, argv[0]);
    t->argc = argc > 2 ? argc - 2 : 0;
    t->args = t->argc ? sq_xmalloc((size_t)t->argc * sizeof *t->args) : NULL;
    for (int i = 0; i < t->argc; i++)
        t->args[i] = JS_DupValue(ctx, argv[i + 2]);
    t->interval_ns = delay_ns(ms);
    t->due_ns = sq_now_ns() + t->interval_ns;
    t->repeat = repeat;
    arm(self->timer_index, t);
    return JS_NewUint32(ctx, t->id);
}

JSValue sq_js_set_timeout(JSContext *ctx, int argc, JSValueConst *argv)
{
    return set_timer(ctx, JS_UNDEFINED, argc, argv, 0);
}

static JSValue clear_timer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    double number;

    (void)this_val;
    if (argc < 1 || JS_IsSymbol(argv[0]))
        return JS_UNDEFINED;
    if (JS_ToFloat64(ctx, &number, argv[0]) < 0)
        return JS_EXCEPTION;
    if (!(number >= 1 && number <= UINT32_MAX))
        return JS_UNDEFINED;
    struct js_timer *t = find(self->timer_index, (uint32_t)number);
    if (!t)
        return JS_UNDEFINED;
    bool runs = t->at == SIZE_MAX;
    forget(self->timer_index, t);
    t->cleared = true;
    if (!runs)
        free_timer(ctx, t);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry timer_functions[] = {
    JS_CFUNC_MAGIC_DEF("setTimeout", 2, set_timer, 0),
    JS_CFUNC_MAGIC_DEF("setInterval", 2, set_timer, 1),
    JS_CFUNC_DEF("clearTimeout", 1, clear_timer),
    JS_CFUNC_DEF("clearInterval", 1, clear_timer),
};

void sq_js_event_loop_globals(JSContext *ctx, JSValueConst global)
{
    JS_SetPropertyFunctionList(ctx, global, timer_functions, SQ_COUNT(timer_functions));
}

/* ---- running ---- */

int64_t sq_js_next_timer_ns(const struct sq_js_instance *self)
{
    const struct sq_js_timers *all = self->timer_index;

    return all && all->count ? all->heap[0]->due_ns : INT64_MAX;
}

/* -1: the callback threw; the exception is pending. */
static int fire(struct sq_js_instance *self, struct js_timer *t)
{
    struct sq_js_timers *all = self->timer_index;
    JSContext *ctx = self->cell->ctx;

    disarm(all, t);
    if (!t->repeat) {
        forget(all, t);
        t->cleared = true;
    }
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue result = JS_Call(ctx, t->fn, global, t->argc, t->args);
    JS_FreeValue(ctx, global);
    if (t->cleared) {
        free_timer(ctx, t);
    } else { /* no catching up (10.6): the period starts anew */
        t->due_ns = sq_now_ns() + t->interval_ns;
        arm(all, t);
    }
    bool threw = JS_IsException(result);
    JS_FreeValue(ctx, result);
    return threw ? -1 : 0;
}

int sq_js_run_due_timers(struct sq_js_instance *self)
{
    int64_t now = sq_now_ns();
    uint64_t order = self->timer_index ? self->timer_index->order : 0;

    /* One set meanwhile waits for its own turn, even if it is due already: another is first. */
    while (sq_js_next_timer_ns(self) <= now && self->timer_index->heap[0]->order < order) {
        if (fire(self, self->timer_index->heap[0]) < 0)
            return -1;
        if (sq_js_run_jobs(self) < 0)
            return 0;
    }
    return 0;
}

void sq_js_drop_timers(struct sq_js_instance *self, bool warn)
{
    SQ_LIST_FOR_EACH (node, &self->timers) {
        struct js_timer *t = SQ_CONTAINER_OF(node, struct js_timer, node);
        bool runs = t->at == SIZE_MAX;
        if (warn)
            sq_log(SQ_LOG_WARN, "js", "%s %u was stopped because the VU iteration was interrupted",
                   t->repeat ? "setInterval" : "setTimeout", t->id);
        forget(self->timer_index, t);
        t->cleared = true;
        if (!runs)
            free_timer(self->cell->ctx, t);
    }
}

void sq_js_timers_free(struct sq_js_instance *self)
{
    sq_js_drop_timers(self, false);
    if (self->timer_index) {
        free(self->timer_index->heap);
        free(self->timer_index->buckets);
        free(self->timer_index);
        self->timer_index = NULL;
    }
}
