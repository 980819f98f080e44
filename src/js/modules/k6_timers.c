/* SPDX-License-Identifier: Apache-2.0 */
/* k6/timers: the very same functions as the globals (MOD-20). */
#include "js/modules/modules.h"

static const char *const exports[] = {"setTimeout",    "clearTimeout", "setInterval",
                                      "clearInterval", "default",      NULL};

static int init(JSContext *ctx, JSModuleDef *m)
{
    JSValue object = JS_NewObject(ctx), global = JS_GetGlobalObject(ctx);
    int rc = 0;

    for (int i = 0; exports[i + 1] && rc == 0; i++) {
        JSValue fn = JS_GetPropertyStr(ctx, global, exports[i]);
        JS_SetPropertyStr(ctx, object, exports[i], JS_DupValue(ctx, fn));
        rc = JS_SetModuleExport(ctx, m, exports[i], fn);
    }
    JS_FreeValue(ctx, global);
    return rc < 0 ? rc : JS_SetModuleExport(ctx, m, "default", object);
}

const struct sq_js_builtin sq_k6_timers = {"k6/timers", init, exports};
