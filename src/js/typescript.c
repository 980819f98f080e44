/* SPDX-License-Identifier: Apache-2.0 */
/* TypeScript to JavaScript (ENG-18): by a stripper that is JavaScript itself, bundled into the
 * program at build time, and run in a realm of its own which is gone after the load pass. Scripts
 * that are not TypeScript never wake it. */
#include <stdlib.h>

#include "base/log.h"
#include "js/instance.h"
#include "js/typescript_data.h"

/* Its parser recurses with the depth of what it parses. */
enum { STRIPPER_STACK_BYTES = 3 * 1024 * 1024 };

struct sq_js_stripper {
    struct sq_slab *slab;
    JSContext *ctx;
    JSValue strip; /* (text, name) => text */
};

void sq_js_stripper_free(struct sq_js_stripper *stripper)
{
    if (!stripper)
        return;
    JS_FreeValue(stripper->ctx, stripper->strip);
    sq_js_realm_free(stripper->ctx);
    sq_slab_free(stripper->slab);
    free(stripper);
}

/* The message alone: where it is wrong stands in it. */
static int take_exception(JSContext *ctx, int code, struct sq_error *err)
{
    JSValue exception = JS_GetException(ctx);
    JSValue value = JS_GetPropertyStr(ctx, exception, "message");
    const char *text = JS_ToCString(ctx, value);

    sq_error_set(err, code, "%s", text ? text : "the type stripper failed");
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, value);
    JS_FreeValue(ctx, exception);
    return code;
}

static int start(struct sq_js_stripper **out, struct sq_error *err)
{
    size_t len = (size_t)(sq_js_typescript_end - sq_js_typescript_start) - 1; /* a NUL ends it */

    if (len == 0)
        return sq_error_set(err, SQ_EINVALID,
                            "this squall was built without TypeScript support, because npm was "
                            "missing then; build it again with npm, or turn the script into "
                            "JavaScript first, for example with esbuild");
    struct sq_js_stripper *stripper = sq_xcalloc(1, sizeof *stripper);
    stripper->slab = sq_slab_new();
    stripper->ctx = sq_js_realm_new(stripper->slab);
    if (!stripper->ctx)
        sq_panic("out of memory for the type stripper");
    JSContext *ctx = stripper->ctx;
    sq_log(SQ_LOG_DEBUG, "js", "starting the type stripper");
    sq_js_native_stack(ctx, STRIPPER_STACK_BYTES);
    JSValue done = JS_Eval(ctx, sq_js_typescript_start, len, "squall:typescript", 0);
    JSValue global = JS_GetGlobalObject(ctx);
    stripper->strip = JS_GetPropertyStr(ctx, global, "stripTypes");
    JS_FreeValue(ctx, global);
    int rc = JS_IsException(done) ? take_exception(ctx, SQ_ESCRIPT, err) : 0;
    JS_FreeValue(ctx, done);
    if (rc < 0)
        sq_js_stripper_free(stripper);
    else
        *out = stripper;
    return rc;
}

int sq_js_strip_types(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source,
                      struct sq_buf *out, struct sq_error *err)
{
    struct sq_error why = {0};
    int rc = bundle->stripper ? 0 : start(&bundle->stripper, &why);

    if (rc < 0)
        return sq_error_set(err, rc, "cannot read '%s' as TypeScript: %s", name, why.text);
    struct sq_js_stripper *stripper = bundle->stripper;
    JSContext *ctx = stripper->ctx;
    sq_js_native_stack(ctx, STRIPPER_STACK_BYTES);
    JSValueConst args[] = {JS_NewStringLen(ctx, (const char *)source->data, source->len),
                           JS_NewString(ctx, name)};
    JSValue result = JS_Call(ctx, stripper->strip, JS_UNDEFINED, SQ_COUNT(args), args);
    size_t len;
    const char *text = JS_IsString(result) ? JS_ToCStringLen(ctx, &len, result) : NULL;
    if (text) {
        sq_buf_put(out, text, len);
        sq_buf_cstr(out);
    } else {
        rc = take_exception(ctx, SQ_ESCRIPT, err);
    }
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, result);
    for (size_t i = 0; i < SQ_COUNT(args); i++)
        JS_FreeValue(ctx, args[i]);
    JS_RunGC(JS_GetRuntime(ctx));
    return rc;
}
