/* SPDX-License-Identifier: Apache-2.0 */
/* k6/data: SharedArray (MOD-40 to MOD-42). Examples: docs/api/k6-data.md
 *
 * One immutable block per name and process: the JSON text of every element, NUL-terminated, one
 * behind the other, and where each begins. What a script holds is a Proxy: its target is an empty
 * array (so Array.isArray and instanceof hold), its handler an object of a class that knows the
 * block. Reading an element parses its text and freezes the outcome.
 *
 *     text    {"a":1}\0"s"\0 3\0 ...
 *     starts  0        8     12   ...
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/buf.h"
#include "js/modules/modules.h"

static JSClassID handler_class;

struct sq_js_shared_array {
    struct sq_js_shared_array *next;
    char *name;
    char *text;
    size_t *starts; /* count + 1 */
    uint32_t count;
};

void sq_js_shared_free(struct sq_js_shared_array *array)
{
    while (array) {
        struct sq_js_shared_array *next = array->next;
        free(array->name);
        free(array->text);
        free(array->starts);
        free(array);
        array = next;
    }
}

static struct sq_js_shared_array *find_locked(const struct sq_js_bundle *bundle, const char *name)
{
    for (struct sq_js_shared_array *a = bundle->shared_arrays; a; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static const struct sq_js_shared_array *find_shared(struct sq_js_bundle *bundle, const char *name)
{
    pthread_mutex_lock(&bundle->shared_arrays_lock);
    const struct sq_js_shared_array *array = find_locked(bundle, name);
    pthread_mutex_unlock(&bundle->shared_arrays_lock);
    return array;
}

/* Takes the array over. When another thread made one of that name meanwhile, that one is the one.
 */
static const struct sq_js_shared_array *add_shared(struct sq_js_bundle *bundle,
                                                   struct sq_js_shared_array *array)
{
    pthread_mutex_lock(&bundle->shared_arrays_lock);
    struct sq_js_shared_array *found = find_locked(bundle, array->name);
    if (!found) {
        array->next = bundle->shared_arrays;
        bundle->shared_arrays = array;
    }
    pthread_mutex_unlock(&bundle->shared_arrays_lock);
    if (found)
        sq_js_shared_free(array);
    return found ? found : array;
}

/* ---- freezing ---- */

struct pile {
    JSValue *items; /* owned references */
    size_t count, cap;
};

static void push(struct pile *pile, JSValue value)
{
    if (pile->count == pile->cap) {
        pile->cap = pile->cap ? pile->cap * 2 : 16;
        pile->items = sq_xrealloc(pile->items, pile->cap * sizeof *pile->items);
    }
    pile->items[pile->count++] = value;
}

static int freeze_one(JSContext *ctx, JSValueConst object, struct pile *pile)
{
    JSPropertyEnum *keys = NULL;
    uint32_t count = 0;
    int rc = JS_GetOwnPropertyNames(ctx, &keys, &count, object, JS_GPN_STRING_MASK);

    for (uint32_t i = 0; i < count; i++) {
        JSValue value = rc < 0 ? JS_EXCEPTION : JS_GetProperty(ctx, object, keys[i].atom);
        if (JS_IsObject(value))
            push(pile, value);
        else
            JS_FreeValue(ctx, value);
        if (rc >= 0)
            rc = JS_DefineProperty(ctx, object, keys[i].atom, JS_UNDEFINED, JS_UNDEFINED,
                                   JS_UNDEFINED, JS_PROP_HAS_CONFIGURABLE | JS_PROP_HAS_WRITABLE);
        JS_FreeAtom(ctx, keys[i].atom);
    }
    js_free(ctx, keys);
    return rc < 0 ? rc : JS_PreventExtensions(ctx, object);
}

/* With a list instead of recursion: the depth is the script's, the stack a fiber's. */
JSValue sq_js_deep_freeze(JSContext *ctx, JSValue value)
{
    struct pile pile = {0};
    int rc = 0;

    if (!JS_IsObject(value))
        return value;
    push(&pile, JS_DupValue(ctx, value));
    while (pile.count) {
        JSValue object = pile.items[--pile.count];
        if (rc >= 0)
            rc = freeze_one(ctx, object, &pile);
        JS_FreeValue(ctx, object);
    }
    free(pile.items);
    if (rc >= 0)
        return value;
    JS_FreeValue(ctx, value);
    return JS_EXCEPTION;
}

/* ---- the proxy's traps; `this` is the handler ---- */

static const struct sq_js_shared_array *shared_of(JSContext *ctx, JSValueConst handler)
{
    return JS_GetOpaque2(ctx, handler, handler_class);
}

static JSValue element(JSContext *ctx, const struct sq_js_shared_array *array, uint32_t index)
{
    const char *text = array->text + array->starts[index];
    size_t len = array->starts[index + 1] - array->starts[index] - 1;

    return sq_js_deep_freeze(ctx, JS_ParseJSON(ctx, text, len, array->name));
}

enum key { INDEX, BEYOND, LENGTH, OTHER, FAILED };

/* Is the key an index of the array, an index behind its end, "length" or something else? */
static enum key key_of(JSContext *ctx, const struct sq_js_shared_array *array, JSValueConst key,
                       uint32_t *index)
{
    size_t len;
    uint64_t number = 0;
    enum key kind = OTHER;

    if (!JS_IsString(key))
        return OTHER; /* a symbol */
    const char *text = JS_ToCStringLen(ctx, &len, key);
    if (!text)
        return FAILED;
    bool digits = len > 0 && len <= 10 && (len == 1 || text[0] != '0');
    for (size_t i = 0; i < len && digits; i++) {
        digits = text[i] >= '0' && text[i] <= '9';
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    if (digits && number < UINT32_MAX)
        kind = number < array->count ? INDEX : BEYOND;
    else if (strcmp(text, "length") == 0)
        kind = LENGTH;
    JS_FreeCString(ctx, text);
    *index = (uint32_t)number;
    return kind;
}

static JSValue trap_get(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct sq_js_shared_array *array = shared_of(ctx, this_val);
    uint32_t index = 0;

    (void)argc;
    if (!array)
        return JS_EXCEPTION;
    switch (key_of(ctx, array, argv[1], &index)) {
    case INDEX:
        return element(ctx, array, index);
    case BEYOND:
        return JS_UNDEFINED;
    case LENGTH:
        return JS_NewUint32(ctx, array->count);
    case FAILED:
        return JS_EXCEPTION;
    case OTHER:
        break;
    }
    JSAtom atom = JS_ValueToAtom(ctx, argv[1]);
    if (atom == JS_ATOM_NULL)
        return JS_EXCEPTION;
    JSValue value = JS_GetProperty(ctx, argv[0], atom);
    JS_FreeAtom(ctx, atom);
    return value;
}

static JSValue trap_has(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct sq_js_shared_array *array = shared_of(ctx, this_val);
    uint32_t index = 0;

    (void)argc;
    if (!array)
        return JS_EXCEPTION;
    enum key kind = key_of(ctx, array, argv[1], &index);
    if (kind != OTHER)
        return kind == FAILED ? JS_EXCEPTION : JS_NewBool(ctx, kind != BEYOND);
    JSAtom atom = JS_ValueToAtom(ctx, argv[1]);
    int has = atom == JS_ATOM_NULL ? -1 : JS_HasProperty(ctx, argv[0], atom);
    JS_FreeAtom(ctx, atom);
    return has < 0 ? JS_EXCEPTION : JS_NewBool(ctx, has);
}

/* The proxy must list what the target cannot lose: "length". */
static JSValue trap_own_keys(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct sq_js_shared_array *array = shared_of(ctx, this_val);

    (void)argc, (void)argv;
    if (!array)
        return JS_EXCEPTION;
    JSValue keys = JS_NewArray(ctx);
    for (uint32_t i = 0; i <= array->count && !JS_IsException(keys); i++) {
        JSAtom atom = JS_NewAtomUInt32(ctx, i);
        JSValue key = i == array->count ? JS_NewString(ctx, "length") : JS_AtomToString(ctx, atom);
        JS_FreeAtom(ctx, atom);
        if (JS_DefinePropertyValueUint32(ctx, keys, i, key, JS_PROP_C_W_E) < 0) {
            JS_FreeValue(ctx, keys);
            keys = JS_EXCEPTION;
        }
    }
    return keys;
}

/* Configurable although nothing may be changed: a proxy may only call that fixed which its target
 * has as well. */
static JSValue trap_describe(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct sq_js_shared_array *array = shared_of(ctx, this_val);
    uint32_t index = 0;

    (void)argc;
    if (!array)
        return JS_EXCEPTION;
    enum key kind = key_of(ctx, array, argv[1], &index);
    if (kind != INDEX && kind != LENGTH)
        return kind == FAILED ? JS_EXCEPTION : JS_UNDEFINED;
    JSValue value = kind == INDEX ? element(ctx, array, index) : JS_NewUint32(ctx, array->count);
    if (JS_IsException(value))
        return value;
    JSValue d = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, d, "value", value);
    JS_SetPropertyStr(ctx, d, "writable", JS_NewBool(ctx, kind == LENGTH));
    JS_SetPropertyStr(ctx, d, "enumerable", JS_NewBool(ctx, kind == INDEX));
    JS_SetPropertyStr(ctx, d, "configurable", JS_NewBool(ctx, kind == INDEX));
    return d;
}

static JSValue trap_refuse(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc, (void)argv;
    return JS_ThrowTypeError(ctx, "SharedArray is immutable");
}

static const JSCFunctionListEntry traps[] = {
    JS_CFUNC_DEF("get", 3, trap_get),
    JS_CFUNC_DEF("has", 2, trap_has),
    JS_CFUNC_DEF("ownKeys", 1, trap_own_keys),
    JS_CFUNC_DEF("getOwnPropertyDescriptor", 2, trap_describe),
    JS_CFUNC_DEF("set", 4, trap_refuse),
    JS_CFUNC_DEF("defineProperty", 3, trap_refuse),
    JS_CFUNC_DEF("deleteProperty", 2, trap_refuse),
    JS_CFUNC_DEF("setPrototypeOf", 2, trap_refuse),
    JS_CFUNC_DEF("preventExtensions", 1, trap_refuse),
};

/* ---- building ---- */

/* JSON.stringify(value) with its NUL; what JSON has no words for becomes null, as in an array. */
static int append_json(JSContext *ctx, struct sq_buf *out, JSValueConst value)
{
    size_t len = 0;
    JSValue json = JS_JSONStringify(ctx, value, JS_UNDEFINED, JS_UNDEFINED);

    if (JS_IsException(json))
        return -1;
    const char *text = JS_IsString(json) ? JS_ToCStringLen(ctx, &len, json) : NULL;
    JS_FreeValue(ctx, json);
    if (!text && JS_HasException(ctx))
        return -1;
    int rc = text ? sq_buf_append(out, text, len + 1) : sq_buf_append(out, "null", 5);
    JS_FreeCString(ctx, text);
    if (rc < 0)
        JS_ThrowOutOfMemory(ctx);
    return rc;
}

/* NULL: an exception is pending. */
static struct sq_js_shared_array *build(JSContext *ctx, const char *name, JSValueConst source)
{
    JSValue length = JS_GetPropertyStr(ctx, source, "length");
    struct sq_buf text = {0};
    uint32_t count = 0;
    int rc = JS_IsException(length) ? -1 : JS_ToUint32(ctx, &count, length);

    JS_FreeValue(ctx, length);
    size_t *starts = rc < 0 ? NULL : sq_try_alloc(((size_t)count + 1) * sizeof *starts);
    if (!starts) {
        if (rc >= 0)
            JS_ThrowOutOfMemory(ctx);
        return NULL;
    }
    for (uint32_t i = 0; i < count && rc >= 0; i++) {
        JSValue value = JS_GetPropertyUint32(ctx, source, i);
        starts[i] = text.len;
        rc = JS_IsException(value) ? -1 : append_json(ctx, &text, value);
        JS_FreeValue(ctx, value);
    }
    if (rc < 0) {
        sq_buf_deinit(&text);
        free(starts);
        return NULL;
    }
    struct sq_js_shared_array *array = sq_xcalloc(1, sizeof *array);
    array->name = sq_xstrdup(name);
    array->starts = starts;
    starts[count] = text.len;
    array->count = count;
    array->text = sq_xrealloc(text.data, text.len + 1); /* gives back what growing left over */
    return array;
}

static const struct sq_js_shared_array *make(JSContext *ctx, const char *name, JSValueConst fn)
{
    struct sq_js_shared_array *array = NULL;
    struct sq_js_instance *self = sq_js_self(ctx);

    self->in_shared_array = true;
    JSValue source = JS_Call(ctx, fn, JS_UNDEFINED, 0, NULL);
    self->in_shared_array = false;

    if (JS_IsException(source))
        return NULL;
    int is_array = JS_IsArray(ctx, source);
    if (is_array > 0)
        array = build(ctx, name, source);
    else if (is_array == 0 && JS_PromiseState(ctx, source) != (JSPromiseStateEnum)-1)
        sq_js_throw(ctx, "SharedArray '%s': async functions are not supported", name);
    else if (is_array == 0)
        sq_js_throw(ctx, "SharedArray '%s': only arrays can be made into one", name);
    JS_FreeValue(ctx, source);
    /* Not under the lock: the function may give way to other VUs of this thread. */
    return array ? add_shared(sq_js_self(ctx)->cell->worker->bundle, array) : NULL;
}

static JSValue new_proxy(JSContext *ctx, const struct sq_js_shared_array *array)
{
    JSValue handler = JS_NewObjectClass(ctx, (int)handler_class), target = JS_NewArray(ctx);
    JSValue proxy = JS_EXCEPTION;

    if (!JS_IsException(handler) && !JS_IsException(target)) {
        JS_SetOpaque(handler, (void *)array);
        proxy = sq_js_new_proxy(ctx, target, handler);
    }
    JS_FreeValue(ctx, target);
    JS_FreeValue(ctx, handler);
    return proxy;
}

JSValue sq_js_shared_array(JSContext *ctx, const char *name)
{
    const struct sq_js_shared_array *array =
        find_shared(sq_js_self(ctx)->cell->worker->bundle, name);

    return array ? new_proxy(ctx, array) : JS_UNDEFINED;
}

JSValue sq_js_shared_array_new(JSContext *ctx, const char *name, struct sq_js_shared_text *text)
{
    struct sq_js_shared_array *array = sq_xcalloc(1, sizeof *array);

    array->name = sq_xstrdup(name);
    array->starts = sq_xrealloc(text->starts, (text->count + 1) * sizeof *array->starts);
    array->starts[text->count] = text->json.len;
    array->count = text->count;
    array->text = sq_xrealloc(text->json.data, text->json.len + 1);
    *text = (struct sq_js_shared_text){0};
    return new_proxy(ctx, add_shared(sq_js_self(ctx)->cell->worker->bundle, array));
}

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    (void)new_target, (void)argc;
    if (!self->in_init)
        return sq_js_throw(ctx, "new SharedArray must be called in the init context");
    const char *name = JS_IsUndefined(argv[0]) ? NULL : JS_ToCString(ctx, argv[0]);
    if (!name && JS_HasException(ctx))
        return JS_EXCEPTION;
    const struct sq_js_shared_array *array = NULL;
    if (!name || !*name)
        sq_js_throw(ctx, "empty name provided to SharedArray's constructor");
    else if (!JS_IsFunction(ctx, argv[1]))
        sq_js_throw(ctx, "a function is expected as the second argument of SharedArray's "
                         "constructor");
    else if (!(array = find_shared(self->cell->worker->bundle, name)))
        array = make(ctx, name, argv[1]);
    JS_FreeCString(ctx, name);
    return array ? new_proxy(ctx, array) : JS_EXCEPTION;
}

/* ---- registration ---- */

void sq_k6_data_class_ids(void)
{
    JS_NewClassID(&handler_class);
}

void sq_k6_data_classes(JSContext *ctx)
{
    static const JSClassDef definition = {.class_name = "SharedArrayHandler"};
    JSValue proto = JS_NewObjectProto(ctx, JS_NULL);

    JS_NewClass(JS_GetRuntime(ctx), handler_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, traps, SQ_COUNT(traps));
    JS_SetClassProto(ctx, handler_class, proto);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    JSValue all = JS_NewObject(ctx);
    JSValue fn = JS_NewCFunction2(ctx, construct, "SharedArray", 2, JS_CFUNC_constructor, 0);

    /* What it constructs is an array. */
    JSValue array = JS_NewArray(ctx);
    JS_DefinePropertyValueStr(ctx, fn, "prototype", JS_GetPrototype(ctx, array), 0);
    JS_FreeValue(ctx, array);
    JS_SetPropertyStr(ctx, all, "SharedArray", JS_DupValue(ctx, fn));
    if (JS_SetModuleExport(ctx, m, "SharedArray", fn) < 0)
        return -1;
    return JS_SetModuleExport(ctx, m, "default", all);
}

static const char *const exports[] = {"SharedArray", "default", NULL};
const struct sq_js_builtin sq_k6_data = {"k6/data", init, exports};
