/* SPDX-License-Identifier: Apache-2.0 */
/* performance.now and performance.timeOrigin (High Resolution Time). The origin is when the test
 * was loaded, one for all VUs, so that times from init code and of different VUs compare. */
#include "base/clock.h"
#include "js/instance.h"
#include "js/modules/modules.h"

static JSValue now(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct sq_js_bundle *bundle = sq_js_self(ctx)->cell->worker->bundle;

    (void)this_val, (void)argc, (void)argv;
    return JS_NewFloat64(ctx, (double)(sq_now_ns() - bundle->origin_ns) / SQ_NS_PER_MS);
}

static JSValue time_origin(JSContext *ctx, JSValueConst this_val)
{
    const struct sq_js_bundle *bundle = sq_js_self(ctx)->cell->worker->bundle;

    (void)this_val;
    return JS_NewFloat64(ctx, (double)bundle->origin_wall_ns / SQ_NS_PER_MS);
}

static const JSCFunctionListEntry members[] = {
    JS_CFUNC_DEF("now", 0, now),
    JS_CGETSET_DEF("timeOrigin", time_origin, NULL),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "Performance", JS_PROP_CONFIGURABLE),
};

void sq_js_performance_globals(JSContext *ctx, JSValueConst global)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, members, SQ_COUNT(members));
    JS_DefinePropertyValueStr(ctx, global, "performance", object,
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
}
