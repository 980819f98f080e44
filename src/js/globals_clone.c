/* SPDX-License-Identifier: Apache-2.0 */
/* structuredClone (HTML 2.7.3 to 2.7.6), in JavaScript (globals_clone.js): what it makes are the
 * script's own objects, and deep values meet the engine's stack check. Compiled when first called,
 * once a realm. */
#include "js/dom/dom.h"
#include "js/instance.h"
#include "js/scripts.h"

static JSClassID clone_class; /* never instantiated: its slot keeps the function */

static JSValue kind(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    return JS_NewUint32(ctx, JS_GetClassID(argv[0]));
}

static JSValue refuse(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text = JS_ToCString(ctx, argv[0]);

    (void)this_val, (void)argc;
    if (!text)
        return JS_EXCEPTION;
    sq_dom_throw(ctx, "DataCloneError", "%s", text);
    JS_FreeCString(ctx, text);
    return JS_EXCEPTION;
}

static JSValue detach(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc;
    JS_DetachArrayBuffer(ctx, argv[0]);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry helpers[] = {
    JS_CFUNC_DEF("kind", 1, kind),
    JS_CFUNC_DEF("refuse", 1, refuse),
    JS_CFUNC_DEF("detach", 1, detach),
};

static JSValue make(JSContext *ctx)
{
    JSValue given = JS_NewObject(ctx);
    JSValue factory = sq_js_script_eval(ctx, sq_js_script_globals_clone, "squall:structuredClone");
    JSValueConst argument = given;
    JSValue fn = factory;

    JS_SetPropertyFunctionList(ctx, given, helpers, SQ_COUNT(helpers));
    if (!JS_IsException(factory)) {
        fn = JS_Call(ctx, factory, JS_UNDEFINED, 1, &argument);
        JS_FreeValue(ctx, factory);
    }
    JS_FreeValue(ctx, given);
    return fn;
}

/* That it was made is no change of a builtin by the script. */
static JSValue make_once(JSContext *ctx)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    JSValue fn = JS_GetClassProto(ctx, clone_class);

    if (JS_IsObject(fn))
        return fn;
    bool watched = cell->worker->bundle->load_pass;
    uint64_t before = watched ? sq_js_builtins_fingerprint(ctx) : 0;
    fn = make(ctx);
    if (!JS_IsException(fn))
        JS_SetClassProto(ctx, clone_class, JS_DupValue(ctx, fn));
    if (watched)
        cell->fingerprint_ours += sq_js_builtins_fingerprint(ctx) - before;
    return fn;
}

static JSValue structured_clone(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "structuredClone() needs a value");
    JSValue fn = make_once(ctx);
    if (JS_IsException(fn))
        return fn;
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, argc, argv);
    JS_FreeValue(ctx, fn);
    return result;
}

void sq_js_clone_class_ids(void)
{
    JS_NewClassID(&clone_class);
}

void sq_js_clone_globals(JSContext *ctx, JSValueConst global)
{
    static const JSClassDef definition = {.class_name = "structuredClone"};

    JS_NewClass(JS_GetRuntime(ctx), clone_class, &definition);
    JS_DefinePropertyValueStr(ctx, global, "structuredClone",
                              JS_NewCFunction(ctx, structured_clone, "structuredClone", 1),
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
}
