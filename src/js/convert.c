/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "js/instance.h"
#include "js/scripts.h"

JSValue sq_js_throw(JSContext *ctx, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    JSValue error = JS_NewError(ctx);
    if (JS_IsException(error))
        return error;
    int flags = JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE;
    JS_DefinePropertyValueStr(ctx, error, "message", JS_NewString(ctx, text), flags);
    JS_DefinePropertyValueStr(ctx, error, "name", JS_NewString(ctx, "GoError"), flags);
    return JS_Throw(ctx, error);
}

static void append_stack(JSContext *ctx, struct sq_buf *out, JSValueConst exception)
{
    JSValue stack = JS_GetPropertyStr(ctx, exception, "stack");
    const char *text = JS_IsString(stack) ? JS_ToCString(ctx, stack) : NULL;
    const struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    struct sq_js_bundle *bundle = cell->worker->bundle;

    /* "    at f (file:1:2)" becomes k6's "\tat f (file:1:2)". */
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        while (len && *line == ' ')
            line++, len--;
        if (len) {
            sq_buf_puts(out, "\n\t");
            sq_js_put_frame(bundle, sq_slice(line, len), out);
        }
        line += len + (end != NULL);
    }
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, stack);
}

char *sq_js_exception_text(JSContext *ctx, JSValue exception)
{
    struct sq_buf out = {0};
    size_t len;

    /* The engine throws null where it has no memory for an error; so may a script. */
    if (JS_IsNull(exception) && sq_js_memory_failed(ctx)) {
        sq_buf_puts(&out, "out of memory");
    } else {
        const char *text = sq_js_text(ctx, exception, &len);
        if (text) {
            sq_buf_put(&out, text, len);
            JS_FreeCString(ctx, text);
        } else {
            JS_FreeValue(ctx, JS_GetException(ctx));
            sq_buf_puts(&out, "exception that cannot be converted to a string");
        }
        if (JS_IsError(ctx, exception))
            append_stack(ctx, &out, exception);
    }
    JS_FreeValue(ctx, exception);
    return sq_buf_steal(&out);
}

const char *sq_js_text(JSContext *ctx, JSValueConst value, size_t *len)
{
    if (!JS_IsSymbol(value))
        return JS_ToCStringLen(ctx, len, value);
    JSValue description = JS_GetPropertyStr(ctx, value, "description");
    const char *text = JS_IsUndefined(description)
                           ? JS_ToCStringLen(ctx, len, JS_NewString(ctx, ""))
                           : JS_ToCStringLen(ctx, len, description);
    JS_FreeValue(ctx, description);
    return text;
}

int sq_js_each_key(JSContext *ctx, JSValueConst object,
                   int (*fn)(JSContext *ctx, void *user, const char *key, JSValueConst value),
                   void *user)
{
    JSPropertyEnum *keys = NULL;
    uint32_t count = 0;
    int rc = 0;

    if (!JS_IsObject(object) && !JS_IsString(object))
        return 0;
    JSValue boxed = JS_UNDEFINED;
    if (JS_IsString(object)) {
        JSValue global = JS_GetGlobalObject(ctx);
        JSValue constructor = JS_GetPropertyStr(ctx, global, "Object");
        boxed = JS_Call(ctx, constructor, JS_UNDEFINED, 1, &object);
        JS_FreeValue(ctx, constructor);
        JS_FreeValue(ctx, global);
        if (JS_IsException(boxed))
            return -1;
        object = boxed;
    }
    if (JS_GetOwnPropertyNames(ctx, &keys, &count, object, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY) <
        0)
        rc = -1;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        const char *key = JS_AtomToCString(ctx, keys[i].atom);
        JSValue value = JS_GetProperty(ctx, object, keys[i].atom);
        rc = !key || JS_IsException(value) ? -1 : fn(ctx, user, key, value);
        JS_FreeValue(ctx, value);
        JS_FreeCString(ctx, key);
    }
    for (uint32_t i = 0; i < count; i++)
        JS_FreeAtom(ctx, keys[i].atom);
    js_free(ctx, keys);
    JS_FreeValue(ctx, boxed);
    return rc;
}

struct tag_builder {
    struct sq_tag_table *table;
    struct sq_tagset *set;
};

static int add_tag(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct tag_builder *b = user;
    size_t len;

    if (!JS_IsString(value) && !JS_IsBool(value) && !JS_IsNumber(value)) {
        sq_js_throw(ctx,
                    "invalid value for metric tag '%s': only String, Boolean and Number types are "
                    "accepted as a metric tag value",
                    key);
        return -1;
    }
    const char *text = JS_ToCStringLen(ctx, &len, value);
    if (!text)
        return -1;
    struct sq_tag_pair pair = {sq_slice_str(key), sq_slice(text, len)};
    struct sq_tagset *next = sq_tagset_with(b->table, b->set, &pair, 1);
    sq_tagset_unref(b->set);
    b->set = next;
    JS_FreeCString(ctx, text);
    return 0;
}

struct sq_tagset *sq_js_tags(JSContext *ctx, struct sq_tagset *base, JSValueConst object)
{
    struct tag_builder b = {sq_js_self(ctx)->vu->worker->run->tag_table, sq_tagset_ref(base)};

    if (sq_js_each_key(ctx, object, add_tag, &b) != 0) {
        sq_tagset_unref(b.set);
        return NULL;
    }
    return b.set;
}

const uint8_t *sq_js_bytes(JSContext *ctx, JSValueConst value, size_t *len)
{
    size_t offset, size, item;

    if (sq_js_is_array_buffer(ctx, value))
        return JS_GetArrayBuffer(ctx, len, value);
    if (!JS_IsObject(value))
        return NULL;
    JSValue buffer = JS_GetTypedArrayBuffer(ctx, value, &offset, len, &item);
    if (JS_IsException(buffer)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return NULL;
    }
    const uint8_t *data = JS_GetArrayBuffer(ctx, &size, buffer);
    JS_FreeValue(ctx, buffer); /* the view keeps it alive */
    return data ? data + offset : NULL;
}

char *sq_js_type_name(JSContext *ctx, JSValueConst value)
{
    const char *name = JS_IsUndefined(value) ? "undefined"
                       : JS_IsNull(value)    ? "null"
                       : JS_IsBool(value)    ? "boolean"
                       : JS_IsNumber(value)  ? "number"
                       : JS_IsString(value)  ? "string"
                       : JS_IsSymbol(value)  ? "symbol"
                       : !JS_IsObject(value) ? "bigint"
                                             : NULL;

    if (name)
        return sq_xstrdup(name);
    JSValue constructor = JS_GetPropertyStr(ctx, value, "constructor");
    JSValue label =
        JS_IsObject(constructor) ? JS_GetPropertyStr(ctx, constructor, "name") : JS_UNDEFINED;
    const char *text = JS_IsString(label) ? JS_ToCString(ctx, label) : NULL;
    char *copy = sq_xstrdup(text && *text ? text : "Object");
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, label);
    JS_FreeValue(ctx, constructor);
    if (JS_HasException(ctx))
        JS_FreeValue(ctx, JS_GetException(ctx));
    return copy;
}

JSValue sq_js_script_eval(JSContext *ctx, const unsigned char *script, const char *name)
{
    return JS_Eval(ctx, (const char *)script, strlen((const char *)script), name,
                   JS_EVAL_TYPE_GLOBAL);
}

void sq_js_replace_surrogates(char *text, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++)
        if ((uint8_t)text[i] == 0xED && (uint8_t)text[i + 1] >= 0xA0) {
            memcpy(text + i, "\xEF\xBF\xBD", 3);
            i += 2;
        }
}
