/* SPDX-License-Identifier: Apache-2.0 */
/* CommonJS files and require() (ENG-15, ENG-16). A file is compiled once, as the body of a function
 * of `module`, `exports` and `require`; every VU runs it when somebody first imports or requires
 * it. To modules that import it, it is a module whose exports are set once it has run. */
#include <assert.h>
#include <stdlib.h>

#include "js/instance.h"
#include "js/kits.h"

static const char head[] = "(function (module, exports, require) {", tail[] = "\n})";
static_assert(sizeof head - 1 == SQ_JS_COMMONJS_HEAD_BYTES, "positions are counted from behind it");

/* A file that has run, or is running, in the init code of one VU. */
struct sq_js_commonjs {
    struct sq_js_commonjs *next;
    JSAtom name;
    JSValue module; /* what the file sees under that name */
};

static JSValue require_from(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                            int magic, JSValue *data);

static struct sq_js_commonjs *find(const struct sq_js_instance *self, JSAtom name)
{
    struct sq_js_commonjs *file = self->commonjs;

    while (file && file->name != name)
        file = file->next;
    return file;
}

static void forget(struct sq_js_instance *self, struct sq_js_commonjs *file)
{
    JSContext *ctx = self->cell->ctx;
    struct sq_js_commonjs **link = &self->commonjs;

    while (*link != file)
        link = &(*link)->next;
    *link = file->next;
    JS_FreeAtom(ctx, file->name);
    JS_FreeValue(ctx, file->module);
    free(file);
}

void sq_js_commonjs_end(struct sq_js_instance *self)
{
    while (self->commonjs)
        forget(self, self->commonjs);
}

static struct sq_js_commonjs *add(struct sq_js_instance *self, JSAtom name, JSValueConst exports)
{
    JSContext *ctx = self->cell->ctx;
    struct sq_js_commonjs *file = sq_xmalloc(sizeof *file);

    *file = (struct sq_js_commonjs){self->commonjs, JS_DupAtom(ctx, name), JS_NewObject(ctx)};
    JS_SetPropertyStr(ctx, file->module, "exports", JS_DupValue(ctx, exports));
    self->commonjs = file;
    return file;
}

/* Calls the wrapper. 0, or -1 with an exception pending. */
static int call_wrapper(JSContext *ctx, JSModuleDef *m, JSAtom name, JSValueConst module,
                        JSValueConst exports)
{
    JSValue text = JS_AtomToString(ctx, name);
    JSValue fn = JS_EvalFunction(ctx, sq_js_module_code(ctx, m)), result = JS_EXCEPTION;
    JSValue require = JS_NewCFunctionData(ctx, require_from, 1, 0, 1, &text);

    if (!JS_IsException(fn) && !JS_IsException(require)) {
        JSValueConst args[] = {module, exports, require};
        result = JS_Call(ctx, fn, exports, SQ_COUNT(args), args);
    }
    JS_FreeValue(ctx, require);
    JS_FreeValue(ctx, fn);
    JS_FreeValue(ctx, text);
    JS_FreeValue(ctx, result);
    return JS_IsException(result) ? -1 : 0;
}

/* What the file exports: runs it, unless it has run or is running. */
static JSValue exports_of(struct sq_js_instance *self, JSModuleDef *m)
{
    JSContext *ctx = self->cell->ctx;
    JSAtom name = JS_GetModuleName(ctx, m);
    struct sq_js_commonjs *file = find(self, name);
    JSValue module = file ? JS_DupValue(ctx, file->module) : JS_UNDEFINED;
    int rc = 0;

    if (!file) {
        JSValue exports = JS_NewObject(ctx);
        void *floor = self->frame_floor;
        file = add(self, name, exports);
        module = JS_DupValue(ctx, file->module);
        self->frame_floor = sq_js_frame(ctx);
        rc = call_wrapper(ctx, m, name, module, exports);
        self->frame_floor = floor;
        if (rc < 0)
            forget(self, file); /* as if it had never been asked for */
        JS_FreeValue(ctx, exports);
    }
    JSValue result = rc < 0 ? JS_EXCEPTION : JS_GetPropertyStr(ctx, module, "exports");
    JS_FreeValue(ctx, module);
    JS_FreeAtom(ctx, name);
    return result;
}

/* ---- for importers: a module record ---- */

static bool is_json(JSContext *ctx, JSModuleDef *m)
{
    JSAtom atom = JS_GetModuleName(ctx, m);
    const char *name = JS_AtomToCString(ctx, atom);
    bool json = name && sq_js_name_ends(name, ".json");

    JS_FreeCString(ctx, name);
    JS_FreeAtom(ctx, atom);
    return json;
}

/* Its property `default` if there is one, else the whole. Data is always the whole. */
static JSValue default_of(JSContext *ctx, JSModuleDef *m, JSValueConst exports)
{
    JSAtom name = JS_NewAtom(ctx, "default");
    int has = JS_IsObject(exports) && !is_json(ctx, m) ? JS_HasProperty(ctx, exports, name) : 0;
    JSValue value = has < 0 ? JS_EXCEPTION
                    : has   ? JS_GetProperty(ctx, exports, name)
                            : JS_DupValue(ctx, exports);

    JS_FreeAtom(ctx, name);
    return value;
}

/* A name that somebody imports, whether the object lists it or not. */
static int set_asked(JSContext *ctx, JSModuleDef *m, JSAtom name, void *user)
{
    JSValueConst exports = *(JSValue *)user;
    JSValue value = JS_IsObject(exports) ? JS_GetProperty(ctx, exports, name) : JS_UNDEFINED;

    return JS_IsException(value) ? -1 : sq_js_late_export(ctx, m, name, value);
}

/* All that the object lists: for namespaces, and for the main script. */
static int set_listed(JSContext *ctx, JSModuleDef *m, JSValueConst exports)
{
    JSPropertyEnum *keys = NULL;
    uint32_t count = 0;
    int rc = 0;

    if (!JS_IsObject(exports))
        return 0;
    if (JS_GetOwnPropertyNames(ctx, &keys, &count, exports, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) <
        0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (rc == 0)
            rc = set_asked(ctx, m, keys[i].atom, &exports);
        JS_FreeAtom(ctx, keys[i].atom);
    }
    js_free(ctx, keys);
    return rc;
}

static int init_module(JSContext *ctx, JSModuleDef *m)
{
    JSValue exports = exports_of(sq_js_self(ctx), m);
    int rc = -1;

    if (JS_IsException(exports))
        return -1;
    if (sq_js_each_export(ctx, m, set_asked, &exports) == 0 && set_listed(ctx, m, exports) == 0) {
        JSAtom name = JS_NewAtom(ctx, "default");
        JSValue value = default_of(ctx, m, exports);
        rc = JS_IsException(value) ? -1 : sq_js_late_export(ctx, m, name, value);
        JS_FreeAtom(ctx, name);
    }
    JS_FreeValue(ctx, exports);
    return rc;
}

JSModuleDef *sq_js_commonjs_template(JSContext *ctx, const char *name, JSValue code)
{
    return sq_js_commonjs_new(ctx, name, code, init_module);
}

JSModuleDef *sq_js_commonjs_compile(JSContext *ctx, const char *name, const struct sq_buf *source)
{
    struct sq_buf text = {0};
    size_t skip = 0;

    /* "#!/usr/bin/env squall" stands only where a file begins. */
    if (source->len >= 2 && memcmp(source->data, "#!", 2) == 0)
        while (skip < source->len && source->data[skip] != '\n')
            skip++;
    sq_buf_puts(&text, head);
    sq_buf_put(&text, source->data + skip, source->len - skip);
    sq_buf_puts(&text, tail);
    size_t len = text.len;
    sq_buf_cstr(&text);
    JSValue code = JS_Eval(ctx, (const char *)text.data, len, name,
                           JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
    sq_buf_deinit(&text);
    if (JS_IsException(code))
        return NULL;
    if (!sq_js_is_one_function(code, len - strlen("()"))) {
        JS_FreeValue(ctx, code);
        JS_ThrowSyntaxError(ctx, "unexpected '}'");
        return NULL;
    }
    return sq_js_commonjs_template(ctx, name, code);
}

/* ---- require() ---- */

/* An ES module: its namespace, once it has run. */
static JSValue require_module(struct sq_js_instance *self, JSModuleDef *m, const char *specifier)
{
    JSContext *ctx = self->cell->ctx;
    JSValue copy = sq_js_graph_add(ctx, self->graph, JS_MKPTR(JS_TAG_MODULE, m));

    if (JS_IsException(copy))
        return JS_EXCEPTION;
    if (!sq_js_module_running(copy)) {
        void *floor = self->frame_floor;
        self->frame_floor = sq_js_frame(ctx);
        JSValue promise = sq_js_module_evaluate(ctx, copy);
        self->frame_floor = floor;
        if (JS_IsException(promise))
            return JS_EXCEPTION;
        JSPromiseStateEnum state = JS_PromiseState(ctx, promise);
        JSValue reason = JS_PromiseResult(ctx, promise);
        JS_FreeValue(ctx, promise);
        if (state == JS_PROMISE_REJECTED)
            return JS_Throw(ctx, reason);
        JS_FreeValue(ctx, reason);
        if (state == JS_PROMISE_PENDING)
            return sq_js_throw(ctx, "cannot require '%s': it awaits at top level; import it",
                               specifier);
    }
    return JS_GetModuleNamespace(ctx, JS_VALUE_GET_PTR(copy));
}

static JSValue require_named(struct sq_js_instance *self, const char *name, const char *specifier)
{
    JSContext *ctx = self->cell->ctx;
    JSModuleDef *m = sq_js_find_module(ctx, name);
    size_t len;

    if (!strstr(name, "://") && !sq_js_kit_source(name, &len)) {
        if (!m)
            m = sq_js_load_builtin(ctx, name);
        return m ? sq_js_native_value(ctx, m) : JS_EXCEPTION;
    }
    if (!m)
        m = sq_js_load_late(self, name);
    if (!m)
        return JS_EXCEPTION;
    return sq_js_module_is_commonjs(m) ? exports_of(self, m) : require_module(self, m, specifier);
}

/* Apart from require_text, so that a chain of files that require each other does not keep errors on
 * its stack. Owned: free. NULL: an exception is pending. */
__attribute__((noinline)) static char *resolve(JSContext *ctx, const char *base,
                                               const char *specifier)
{
    struct sq_error err = {0};
    char *name = NULL;

    if (!*specifier)
        sq_js_throw(ctx, "require() needs the name of a module");
    else if (!(name = sq_js_resolve_specifier(base, specifier, &err)))
        JS_ThrowReferenceError(ctx, "%s (required by %s)", err.text, base);
    return name;
}

static JSValue require_text(JSContext *ctx, const char *base, const char *specifier)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    if (!self->in_init)
        return sq_js_throw(ctx, "the \"require\" function is only available in the init stage");
    char *name = resolve(ctx, base, specifier);
    if (!name)
        return JS_EXCEPTION;
    JSValue result = require_named(self, name, specifier);
    free(name);
    return result;
}

static JSValue require_from(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                            int magic, JSValue *data)
{
    const char *base = JS_ToCString(ctx, data[0]);
    const char *specifier = base ? JS_ToCString(ctx, argc > 0 ? argv[0] : JS_UNDEFINED) : NULL;
    JSValue result = specifier ? require_text(ctx, base, specifier) : JS_EXCEPTION;

    (void)this_val, (void)magic;
    JS_FreeCString(ctx, specifier);
    JS_FreeCString(ctx, base);
    return result;
}

JSValue sq_js_require(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    char *base = sq_js_calling_file(ctx);
    const char *specifier = JS_ToCString(ctx, argc > 0 ? argv[0] : JS_UNDEFINED);
    JSValue result = specifier ? require_text(ctx, base ? base : "/", specifier) : JS_EXCEPTION;

    (void)this_val;
    JS_FreeCString(ctx, specifier);
    free(base);
    return result;
}
