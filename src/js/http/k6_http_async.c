/* SPDX-License-Identifier: Apache-2.0 */
/* http.asyncRequest (MOD-60): the round trips go on in callbacks of the loop; the promise is
 * settled by a task on the VU's fiber. */
#include <stdlib.h>

#include "js/http/k6_http.h"

struct async_request {
    struct sq_js_resource resource; /* keeps the iteration going */
    struct sq_js_task task;
    struct http_call call;
    JSValue settle[2]; /* resolve, reject */
    bool queued;
};

static void async_free(struct async_request *a)
{
    JSContext *ctx = a->call.self->cell->ctx;

    sq_list_remove(&a->resource.node);
    http_call_deinit(ctx, &a->call);
    JS_FreeValue(ctx, a->settle[0]);
    JS_FreeValue(ctx, a->settle[1]);
    free(a);
}

static int settle(struct sq_js_instance *self, struct sq_js_task *task)
{
    struct async_request *a = SQ_CONTAINER_OF(task, struct async_request, task);
    JSContext *ctx = self->cell->ctx;
    JSValue response = http_new_response(ctx, &a->call);
    bool threw = JS_IsException(response);

    if (threw)
        response = JS_GetException(ctx);
    JSValue result = JS_Call(ctx, a->settle[threw], JS_UNDEFINED, 1, &response);
    int rc = JS_IsException(result) ? -1 : 0;
    JS_FreeValue(ctx, result);
    JS_FreeValue(ctx, response);
    async_free(a);
    return rc;
}

static void drop(struct sq_js_instance *self, struct sq_js_task *task)
{
    (void)self;
    async_free(SQ_CONTAINER_OF(task, struct async_request, task));
}

/* The iteration has failed or is cut: nobody waits for the answer any more. */
static void stop(struct sq_js_instance *self, struct sq_js_resource *resource, bool cut)
{
    struct async_request *a = SQ_CONTAINER_OF(resource, struct async_request, resource);

    (void)self, (void)cut;
    if (a->queued)
        sq_list_remove(&a->resource.node); /* its task is run or dropped */
    else
        async_free(a);
}

static void on_over(struct http_call *call)
{
    struct async_request *a = SQ_CONTAINER_OF(call, struct async_request, call);

    a->queued = true;
    sq_js_post(call->self, &a->task);
}

JSValue http_async_request(JSContext *ctx, const char *method, JSValueConst url, JSValueConst body,
                           JSValueConst params)
{
    struct async_request *a = sq_xcalloc(1, sizeof *a);
    struct sq_js_instance *self = sq_js_self(ctx);

    sq_list_init(&a->resource.node);
    a->resource.stop = stop;
    a->task.run = settle;
    a->task.drop = drop;
    a->settle[0] = a->settle[1] = JS_UNDEFINED;
    if (http_call_init(ctx, &a->call, method, url, body, params) < 0) {
        async_free(a);
        return JS_EXCEPTION;
    }
    JSValue promise = JS_NewPromiseCapability(ctx, a->settle);
    if (JS_IsException(promise)) {
        async_free(a);
        return promise;
    }
    sq_list_append(&self->resources, &a->resource.node);
    http_start_alone(&a->call, on_over);
    return promise;
}
