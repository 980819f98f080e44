/* SPDX-License-Identifier: Apache-2.0 */
/* Promises of work that is done when the function returns: settled by a task all the same, so that
 * a script sees them after its timers and events that were due, as with work that takes time. */
#include <stdlib.h>

#include "js/modules/modules.h"

struct settling {
    struct sq_js_task task;
    JSValue settle[2]; /* resolve, reject */
    JSValue value;
    bool threw;
};

static void free_settling(JSContext *ctx, struct settling *s)
{
    JS_FreeValue(ctx, s->settle[0]);
    JS_FreeValue(ctx, s->settle[1]);
    JS_FreeValue(ctx, s->value);
    free(s);
}

static int run(struct sq_js_instance *self, struct sq_js_task *task)
{
    struct settling *s = SQ_CONTAINER_OF(task, struct settling, task);
    JSContext *ctx = self->cell->ctx;
    JSValueConst value = s->value;
    JSValue result = JS_Call(ctx, s->settle[s->threw], JS_UNDEFINED, 1, &value);
    int rc = JS_IsException(result) ? -1 : 0;

    JS_FreeValue(ctx, result);
    free_settling(ctx, s);
    return rc;
}

static void drop(struct sq_js_instance *self, struct sq_js_task *task)
{
    free_settling(self->cell->ctx, SQ_CONTAINER_OF(task, struct settling, task));
}

JSValue sq_js_settled(JSContext *ctx, JSValue value)
{
    bool threw = JS_IsException(value);
    JSValue settle[2];

    if (threw)
        value = JS_GetException(ctx);
    if (threw && sq_js_is_uncatchable(ctx, value))
        return JS_Throw(ctx, value);
    JSValue promise = JS_NewPromiseCapability(ctx, settle);
    if (JS_IsException(promise)) {
        JS_FreeValue(ctx, value);
        return promise;
    }
    struct settling *s = sq_xcalloc(1, sizeof *s);
    *s = (struct settling){{.run = run, .drop = drop}, {settle[0], settle[1]}, value, threw};
    sq_js_post(sq_js_self(ctx), &s->task);
    return promise;
}
