/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of a VU: pending jobs, tasks, timers, rejections (ENG-170 to ENG-175). It has no
 * loop of its own underneath: the VU waits (in an iteration without a stack), callbacks of the
 * worker's loop post tasks and resume it, or hand a task over right inside the callback. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/instance.h"

struct rejection {
    struct sq_list node;
    JSValue promise, reason;
};

/* ---- jobs ---- */

static bool stopped(const struct sq_js_instance *self)
{
    return self->vu->interrupted || self->aborted;
}

int sq_js_run_jobs(struct sq_js_instance *self)
{
    JSContext *job_ctx, *ctx = self->cell->ctx;
    int rc;

    self->turn++;
    while ((rc = JS_ExecutePendingJob(JS_GetRuntime(ctx), &job_ctx)) != 0) {
        if (rc < 0) {
            JSValue exception = JS_GetException(ctx);
            if (!sq_js_is_uncatchable(ctx, exception))
                sq_js_log_exception(self, exception, "");
            else
                JS_FreeValue(ctx, exception);
        }
        if (stopped(self))
            return -1;
        /* An endless chain of promises has no loop that the engine would poll in. */
        sq_vu_yield_if_due(self->vu, sq_now_ns());
    }
    return stopped(self) ? -1 : 0;
}

/* ---- tasks ---- */

static void append_task(struct sq_js_instance *self, struct sq_js_task *task)
{
    task->next = NULL;
    *self->tasks_tail = task;
    self->tasks_tail = &task->next;
}

static struct sq_js_task *first_task(struct sq_js_instance *self)
{
    struct sq_js_task *task = self->tasks;

    self->tasks = task->next;
    if (!self->tasks)
        self->tasks_tail = &self->tasks;
    return task;
}

void sq_js_post(struct sq_js_instance *self, struct sq_js_task *task)
{
    append_task(self, task);
    if (self->in_loop)
        sq_vu_run_now(self->vu);
}

bool sq_js_offer(struct sq_js_instance *self, struct sq_js_task *task)
{
    struct sq_vu *vu = self->vu;

    /* Under another VU's fiber ours would only be made ready. */
    if (!self->in_loop || !vu->waiting || self->tasks || self->offered || vu->worker->current)
        return false;
    self->offered = task;
    sq_vu_run_now(vu);
    bool taken = self->offered != task;
    if (!taken)
        self->offered = NULL;
    return taken;
}

void sq_js_drop_tasks(struct sq_js_instance *self,
                      bool (*wanted)(const struct sq_js_task *task, const void *owner),
                      const void *owner)
{
    struct sq_js_task **link = &self->tasks;

    while (*link) {
        struct sq_js_task *task = *link;
        if (wanted && !wanted(task, owner)) {
            link = &task->next;
            continue;
        }
        *link = task->next;
        task->drop(self, task);
    }
    self->tasks_tail = link;
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

static bool rejected(JSContext *ctx, JSValueConst promise)
{
    return !JS_IsUndefined(promise) && JS_PromiseState(ctx, promise) == JS_PROMISE_REJECTED;
}

enum next { BATCH, NOTHING_LEFT, WAIT };

/* SQ_ECANCELLED: interrupted. WAIT: until *deadline_ns or the next task. */
static int what_next(struct sq_js_instance *self, int64_t *deadline_ns)
{
    int64_t next = sq_js_next_timer_ns(self);

    *deadline_ns = next;
    if (self->tasks || (next != INT64_MAX && next <= sq_now_ns())) {
        sq_vu_yield_if_due(self->vu, sq_now_ns());
        return stopped(self) ? SQ_ECANCELLED : BATCH;
    }
    return next == INT64_MAX && sq_list_empty(&self->resources) ? NOTHING_LEFT : WAIT;
}

static int wait_here(struct sq_js_instance *self, int64_t deadline_ns)
{
    self->in_loop = true;
    int rc =
        deadline_ns == INT64_MAX ? sq_vu_wait(self->vu) : sq_vu_wait_until(self->vu, deadline_ns);
    self->in_loop = false;
    return rc < 0 ? SQ_ECANCELLED : 0;
}

/* What is there now, timers first; what comes meanwhile belongs to the next batch (9.4). -1: an
 * exception is pending, or the VU is to stop. */
static int run_batch(struct sq_js_instance *self)
{
    struct sq_js_task *offered = self->offered;

    if (offered) {
        self->offered = NULL;
        if (offered->run(self, offered) < 0)
            return -1;
    }
    struct sq_js_task *last =
        self->tasks ? SQ_CONTAINER_OF(self->tasks_tail, struct sq_js_task, next) : NULL;
    if (!sq_list_empty(&self->timers) && sq_js_run_due_timers(self) < 0)
        return -1;
    for (bool more = last != NULL; more && self->tasks && !stopped(self);) {
        struct sq_js_task *task = first_task(self);
        more = task != last;
        if (task->run(self, task) < 0)
            return -1;
    }
    return stopped(self) ? -1 : 0;
}

/* The exception of a batch. 0 when there was none. */
static int end_batch(struct sq_js_instance *self, bool quiet)
{
    JSContext *ctx = self->cell->ctx;
    JSValue exception = JS_HasException(ctx) ? JS_GetException(ctx) : JS_UNINITIALIZED;

    if (stopped(self) || quiet || JS_IsUninitialized(exception) ||
        sq_js_is_uncatchable(ctx, exception))
        JS_FreeValue(ctx, exception);
    else
        sq_js_log_exception(self, exception, "");
    return stopped(self) ? SQ_ECANCELLED : SQ_ESCRIPT;
}

void sq_js_drain(struct sq_js_instance *self)
{
    int64_t deadline_ns;
    int next;

    if (self->draining || stopped(self))
        return;
    self->draining = true;
    sq_js_drop_timers(self, true);
    SQ_LIST_FOR_EACH (node, &self->resources) {
        struct sq_js_resource *r = SQ_CONTAINER_OF(node, struct sq_js_resource, node);
        r->stop(self, r, false);
    }
    /* What fails from here on is a consequence: it is not told again (9.5). */
    while (sq_js_run_jobs(self) == 0 && (next = what_next(self, &deadline_ns)) >= 0 &&
           next != NOTHING_LEFT) {
        if (next == WAIT && wait_here(self, deadline_ns) < 0)
            break;
        if (run_batch(self) < 0)
            end_batch(self, true);
    }
    sq_js_forget_rejections(self);
    self->draining = false;
}

void sq_js_cut(struct sq_js_instance *self, bool warn)
{
    sq_js_drop_timers(self, warn);
    SQ_LIST_FOR_EACH (node, &self->resources) {
        struct sq_js_resource *r = SQ_CONTAINER_OF(node, struct sq_js_resource, node);
        r->stop(self, r, true);
    }
    sq_js_drop_tasks(self, NULL, NULL);
}

/* What the last call of the script left behind. 0: go on. */
static int settle(struct sq_js_instance *self, JSValueConst promise, bool *done)
{
    if (sq_js_run_jobs(self) < 0)
        return SQ_ECANCELLED;
    *done = rejected(self->cell->ctx, promise);
    bool failed = !*done && sq_js_report_rejections(self);
    if (*done || failed)
        sq_js_drain(self);
    return failed ? SQ_ESCRIPT : *done && stopped(self) ? SQ_ECANCELLED : 0;
}

static int turn(struct sq_js_instance *self)
{
    int rc;

    if (run_batch(self) < 0) {
        if ((rc = end_batch(self, false)) == SQ_ESCRIPT)
            sq_js_drain(self);
        return rc;
    }
    sq_js_collect_garbage(self->cell);
    return 0;
}

/* Until nothing is left to do (0), something went wrong, or there is only waiting (WAIT). */
static int run_turns(struct sq_js_instance *self, JSValueConst promise, int64_t *deadline_ns)
{
    bool done = false;
    int rc;

    for (;;) {
        if ((rc = settle(self, promise, &done)) < 0 || done)
            return rc;
        if ((rc = what_next(self, deadline_ns)) != BATCH)
            return rc == NOTHING_LEFT ? 0 : rc;
        if ((rc = turn(self)) < 0)
            return rc;
    }
}

int sq_js_run_events(struct sq_js_instance *self, JSValueConst promise)
{
    int64_t deadline_ns;
    int rc;

    while ((rc = run_turns(self, promise, &deadline_ns)) == WAIT)
        if ((rc = wait_here(self, deadline_ns)) < 0 || (rc = turn(self)) < 0)
            break;
    return rc;
}

int sq_js_run_events_or_park(struct sq_js_instance *self)
{
    int64_t deadline_ns;

    if (self->in_loop) {
        self->in_loop = false;
        int rc = stopped(self) ? SQ_ECANCELLED : turn(self);
        if (rc < 0)
            return rc;
    }
    int rc = run_turns(self, JS_UNDEFINED, &deadline_ns);
    if (rc == WAIT) {
        self->in_loop = true;
        sq_vu_park(self->vu, deadline_ns);
    }
    return rc == WAIT ? SQ_JS_PARKED : rc;
}
