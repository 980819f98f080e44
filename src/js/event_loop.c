/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of a VU: pending jobs, global timers, rejections (ENG-170 to ENG-175). It has no
 * loop of its own underneath: the VU's fiber waits, the worker's loop wakes it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/instance.h"

struct js_timer {
    struct sq_list node;         /* in instance->timers, by due time */
    int64_t due_ns, interval_ns; /* interval 0: once */
    JSValue fn;
    JSValue *args;
    int argc;
    uint32_t id;
};

struct rejection {
    struct sq_list node;
    JSValue promise, reason;
};

/* ---- jobs ---- */

int sq_js_run_jobs(struct sq_js_instance *self)
{
    JSContext *job_ctx, *ctx = self->cell->ctx;
    int rc;

    while ((rc = JS_ExecutePendingJob(JS_GetRuntime(ctx), &job_ctx)) != 0) {
        if (rc < 0) {
            JSValue exception = JS_GetException(ctx);
            if (!sq_js_is_uncatchable(ctx, exception))
                sq_js_log_exception(self, exception, "");
            else
                JS_FreeValue(ctx, exception);
        }
        if (self->vu->interrupted)
            return -1;
        /* An endless chain of promises has no loop that the engine would poll in. */
        sq_vu_yield_if_due(self->vu, sq_now_ns());
    }
    return self->vu->interrupted ? -1 : 0;
}

/* ---- timers ---- */

static void free_timer(JSContext *ctx, struct js_timer *t)
{
    sq_list_remove(&t->node);
    JS_FreeValue(ctx, t->fn);
    for (int i = 0; i < t->argc; i++)
        JS_FreeValue(ctx, t->args[i]);
    free(t->args);
    free(t);
}

static void insert_timer(struct sq_js_instance *self, struct js_timer *t)
{
    struct sq_list *after = self->timers.prev;

    /* Equal due times keep the order of their setting. */
    while (after != &self->timers &&
           SQ_CONTAINER_OF(after, struct js_timer, node)->due_ns > t->due_ns)
        after = after->prev;
    t->node.prev = after;
    t->node.next = after->next;
    after->next->prev = &t->node;
    after->next = &t->node;
}

static JSValue set_timer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                         int repeat)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    double ms = 0;

    (void)this_val;
    if (argc < 1 || !JS_IsFunction(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "%s: the first argument must be a function",
                                 repeat ? "setInterval" : "setTimeout");
    if (argc > 1 && JS_ToFloat64(ctx, &ms, argv[1]) < 0)
        return JS_EXCEPTION;
    if (!(ms > 0))
        ms = 0;
    ms = SQ_MIN(ms, 9e12);
    struct js_timer *t = sq_xcalloc(1, sizeof *t);
    t->id = ++self->timer_id_last;
    t->fn = JS_DupValue(ctx, argv[0]);
    t->argc = argc > 2 ? argc - 2 : 0;
    t->args = t->argc ? sq_xmalloc((size_t)t->argc * sizeof *t->args) : NULL;
    for (int i = 0; i < t->argc; i++)
        t->args[i] = JS_DupValue(ctx, argv[i + 2]);
    int64_t ns = (int64_t)(ms * SQ_NS_PER_MS);
    t->due_ns = sq_now_ns() + ns;
    t->interval_ns = repeat ? SQ_MAX(ns, (int64_t)1) : 0;
    insert_timer(self, t);
    return JS_NewUint32(ctx, t->id);
}

static JSValue clear_timer(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    uint32_t id;

    (void)this_val;
    if (argc < 1 || JS_IsUndefined(argv[0]) || JS_IsNull(argv[0]))
        return JS_UNDEFINED;
    if (JS_ToUint32(ctx, &id, argv[0]) < 0)
        return JS_EXCEPTION;
    SQ_LIST_FOR_EACH (node, &self->timers) {
        struct js_timer *t = SQ_CONTAINER_OF(node, struct js_timer, node);
        if (t->id == id) {
            free_timer(ctx, t);
            break;
        }
    }
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

int64_t sq_js_next_timer_ns(const struct sq_js_instance *self)
{
    if (sq_list_empty(&self->timers))
        return INT64_MAX;
    return SQ_CONTAINER_OF(self->timers.next, struct js_timer, node)->due_ns;
}

/* -1: the callback threw; the exception is pending. */
static int fire(struct sq_js_instance *self, struct js_timer *t)
{
    JSContext *ctx = self->cell->ctx;
    JSValue fn = JS_DupValue(ctx, t->fn);
    int argc = t->argc;
    JSValue *args = argc ? sq_xmalloc((size_t)argc * sizeof *args) : NULL;

    for (int i = 0; i < argc; i++)
        args[i] = JS_DupValue(ctx, t->args[i]);
    if (t->interval_ns) {
        sq_list_remove(&t->node);
        t->due_ns = SQ_MAX(t->due_ns + t->interval_ns, sq_now_ns());
        insert_timer(self, t);
    } else {
        free_timer(ctx, t);
    }
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, argc, args);
    for (int i = 0; i < argc; i++)
        JS_FreeValue(ctx, args[i]);
    free(args);
    JS_FreeValue(ctx, fn);
    bool threw = JS_IsException(result);
    JS_FreeValue(ctx, result);
    return threw ? -1 : 0;
}

int sq_js_run_due_timers(struct sq_js_instance *self)
{
    int64_t now = sq_now_ns();

    while (sq_js_next_timer_ns(self) <= now) {
        if (fire(self, SQ_CONTAINER_OF(self->timers.next, struct js_timer, node)) < 0)
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
        if (warn)
            sq_log(SQ_LOG_WARN, "js",
                   "setTimeout %u was stopped because the VU iteration was interrupted", t->id);
        free_timer(self->cell->ctx, t);
    }
}

/* ---- rejections ---- */

void sq_js_track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason,
                           JS_BOOL is_handled, void *opaque)
{
    struct sq_js_instance *self = ((struct sq_js_cell *)opaque)->current;

    if (!self)
        return;
    if (!is_handled) {
        struct rejection *r = sq_xmalloc(sizeof *r);
        r->promise = JS_DupValue(ctx, promise);
        r->reason = JS_DupValue(ctx, reason);
        sq_list_append(&self->rejections, &r->node);
        return;
    }
    SQ_LIST_FOR_EACH (node, &self->rejections) {
        struct rejection *r = SQ_CONTAINER_OF(node, struct rejection, node);
        if (JS_VALUE_GET_PTR(r->promise) == JS_VALUE_GET_PTR(promise)) {
            sq_list_remove(&r->node);
            JS_FreeValue(ctx, r->promise);
            JS_FreeValue(ctx, r->reason);
            free(r);
        }
    }
}

size_t sq_js_report_rejections(struct sq_js_instance *self)
{
    JSContext *ctx = self->cell->ctx;
    size_t count = 0;

    SQ_LIST_FOR_EACH (node, &self->rejections) {
        struct rejection *r = SQ_CONTAINER_OF(node, struct rejection, node);
        sq_list_remove(&r->node);
        if (sq_js_is_uncatchable(ctx, r->reason))
            JS_FreeValue(ctx, r->reason);
        else
            sq_js_log_exception(self, r->reason, "Uncaught (in promise) ");
        JS_FreeValue(ctx, r->promise);
        free(r);
        count++;
    }
    return count;
}

void sq_js_forget_rejections(struct sq_js_instance *self)
{
    SQ_LIST_FOR_EACH (node, &self->rejections) {
        struct rejection *r = SQ_CONTAINER_OF(node, struct rejection, node);
        sq_list_remove(&r->node);
        JS_FreeValue(self->cell->ctx, r->promise);
        JS_FreeValue(self->cell->ctx, r->reason);
        free(r);
    }
}

void sq_js_log_exception(struct sq_js_instance *self, JSValue exception, const char *prefix)
{
    char *text = sq_js_exception_text(self->cell->ctx, exception);
    char *line = sq_xasprintf("%s%s", prefix, text);

    sq_log_line(SQ_LOG_ERROR, line, strlen(line), "stacktrace", NULL);
    free(line);
    free(text);
}

/* ---- until nothing is pending ---- */

static bool settled(JSContext *ctx, JSValueConst promise)
{
    return !JS_IsUndefined(promise) && JS_PromiseState(ctx, promise) != JS_PROMISE_PENDING;
}

int sq_js_run_events(struct sq_js_instance *self, JSValueConst promise)
{
    JSContext *ctx = self->cell->ctx;

    for (;;) {
        if (sq_js_run_jobs(self) < 0)
            return SQ_ECANCELLED;
        if (JS_IsUndefined(promise) && sq_js_report_rejections(self)) {
            sq_js_drop_timers(self, true);
            return SQ_ESCRIPT;
        }
        if (settled(ctx, promise))
            return 0;
        int64_t next = sq_js_next_timer_ns(self);
        if (next == INT64_MAX)
            return 0;
        if (next > sq_now_ns() && sq_vu_wait_until(self->vu, next) < 0)
            return SQ_ECANCELLED;
        if (sq_js_run_due_timers(self) < 0) {
            JSValue exception = JS_GetException(ctx);
            if (self->vu->interrupted || sq_js_is_uncatchable(ctx, exception)) {
                JS_FreeValue(ctx, exception);
                return SQ_ECANCELLED;
            }
            sq_js_log_exception(self, exception, "");
            sq_js_drop_timers(self, true);
            return SQ_ESCRIPT;
        }
    }
}
