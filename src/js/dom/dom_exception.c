/* SPDX-License-Identifier: Apache-2.0 */
/* DOMException (WebIDL 2.8.1): an Error with a legacy code. Its objects are the engine's errors, so
 * that they have a stack; name, message and code are accessors of the prototype, their values lie
 * in an object under a private key. */
#include <stdarg.h>
#include <stdio.h>

#include "js/dom/dom.h"

/* Never instantiated: they hold the realm's prototype and private key. */
static JSClassID exception_class, key_class;

enum { NAME, MESSAGE, CODE };

static const struct {
    const char *name, *constant;
    int code;
} codes[] = {
    {"IndexSizeError", "INDEX_SIZE_ERR", 1},
    {NULL, "DOMSTRING_SIZE_ERR", 2}, /* NULL: of errors that are no more */
    {"HierarchyRequestError", "HIERARCHY_REQUEST_ERR", 3},
    {"WrongDocumentError", "WRONG_DOCUMENT_ERR", 4},
    {"InvalidCharacterError", "INVALID_CHARACTER_ERR", 5},
    {NULL, "NO_DATA_ALLOWED_ERR", 6},
    {"NoModificationAllowedError", "NO_MODIFICATION_ALLOWED_ERR", 7},
    {"NotFoundError", "NOT_FOUND_ERR", 8},
    {"NotSupportedError", "NOT_SUPPORTED_ERR", 9},
    {"InUseAttributeError", "INUSE_ATTRIBUTE_ERR", 10},
    {"InvalidStateError", "INVALID_STATE_ERR", 11},
    {"SyntaxError", "SYNTAX_ERR", 12},
    {"InvalidModificationError", "INVALID_MODIFICATION_ERR", 13},
    {"NamespaceError", "NAMESPACE_ERR", 14},
    {"InvalidAccessError", "INVALID_ACCESS_ERR", 15},
    {NULL, "VALIDATION_ERR", 16},
    {"TypeMismatchError", "TYPE_MISMATCH_ERR", 17},
    {"SecurityError", "SECURITY_ERR", 18},
    {"NetworkError", "NETWORK_ERR", 19},
    {"AbortError", "ABORT_ERR", 20},
    {"URLMismatchError", "URL_MISMATCH_ERR", 21},
    {"QuotaExceededError", "QUOTA_EXCEEDED_ERR", 22},
    {"TimeoutError", "TIMEOUT_ERR", 23},
    {"InvalidNodeTypeError", "INVALID_NODE_TYPE_ERR", 24},
    {"DataCloneError", "DATA_CLONE_ERR", 25},
};

static int code_of(const char *name)
{
    for (size_t i = 0; i < SQ_COUNT(codes); i++)
        if (codes[i].name && strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    return 0;
}

static JSAtom key_of(JSContext *ctx)
{
    JSValue symbol = JS_GetClassProto(ctx, key_class);
    JSAtom key = JS_ValueToAtom(ctx, symbol);

    JS_FreeValue(ctx, symbol);
    return key;
}

/* Consumes name and message. */
static JSValue make(JSContext *ctx, JSValueConst proto, JSValue name, JSValue message)
{
    JSValue error = JS_NewError(ctx), fields = JS_NewArray(ctx);
    const char *text = JS_ToCString(ctx, name);
    JSAtom key = key_of(ctx);

    JS_SetPrototype(ctx, error, proto);
    JS_DefinePropertyValueUint32(ctx, fields, NAME, name, 0);
    JS_DefinePropertyValueUint32(ctx, fields, MESSAGE, message, 0);
    JS_DefinePropertyValueUint32(ctx, fields, CODE, JS_NewInt32(ctx, text ? code_of(text) : 0), 0);
    JS_DefinePropertyValue(ctx, error, key, fields, 0);
    JS_FreeAtom(ctx, key);
    JS_FreeCString(ctx, text);
    return error;
}

static JSValue get_field(JSContext *ctx, JSValueConst this_val, int field)
{
    JSPropertyDescriptor fields = {.value = JS_UNDEFINED};
    JSAtom key = key_of(ctx);
    /* Own only, and never asked of a proxy, whose handler would see the key. */
    int has = JS_IsError(ctx, this_val) ? JS_GetOwnProperty(ctx, &fields, this_val, key) : 0;

    JS_FreeAtom(ctx, key);
    if (has <= 0)
        return has < 0 ? JS_EXCEPTION : JS_ThrowTypeError(ctx, "this is not a DOMException");
    JSValue value = JS_GetPropertyUint32(ctx, fields.value, (uint32_t)field);
    JS_FreeValue(ctx, fields.value);
    return value;
}

JSValue sq_dom_exception_new(JSContext *ctx, const char *name, const char *message)
{
    sq_dom_need(ctx);
    JSValue proto = JS_GetClassProto(ctx, exception_class);
    JSValue error = make(ctx, proto, JS_NewString(ctx, name), JS_NewString(ctx, message));

    JS_FreeValue(ctx, proto);
    return error;
}

JSValue sq_dom_throw(JSContext *ctx, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return JS_Throw(ctx, sq_dom_exception_new(ctx, name, text));
}

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    bool named = argc > 1 && !JS_IsUndefined(argv[1]);
    JSValue proto = JS_GetPropertyStr(ctx, new_target, "prototype");
    JSValue message =
        argc > 0 && !JS_IsUndefined(argv[0]) ? JS_ToString(ctx, argv[0]) : JS_NewString(ctx, "");
    JSValue name = named ? JS_ToString(ctx, argv[1]) : JS_NewString(ctx, "Error");

    if (JS_IsException(proto) || JS_IsException(message) || JS_IsException(name)) {
        JS_FreeValue(ctx, proto);
        JS_FreeValue(ctx, message);
        JS_FreeValue(ctx, name);
        return JS_EXCEPTION;
    }
    JSValue error = make(ctx, proto, name, message);
    JS_FreeValue(ctx, proto);
    return error;
}

static const JSCFunctionListEntry members[] = {
    JS_CGETSET_MAGIC_DEF("name", get_field, NULL, NAME),
    JS_CGETSET_MAGIC_DEF("message", get_field, NULL, MESSAGE),
    JS_CGETSET_MAGIC_DEF("code", get_field, NULL, CODE),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "DOMException", JS_PROP_CONFIGURABLE),
};

static void add_constants(JSContext *ctx, JSValueConst object)
{
    for (size_t i = 0; i < SQ_COUNT(codes); i++)
        JS_DefinePropertyValueStr(ctx, object, codes[i].constant, JS_NewInt32(ctx, codes[i].code),
                                  JS_PROP_ENUMERABLE);
}

void sq_dom_exception_class_ids(void)
{
    JS_NewClassID(&exception_class);
    JS_NewClassID(&key_class);
}

void sq_dom_exception_register(JSRuntime *rt)
{
    static const JSClassDef definition = {.class_name = "DOMException"},
                            key_definition = {.class_name = "DOMException's key"};

    JS_NewClass(rt, exception_class, &definition);
    JS_NewClass(rt, key_class, &key_definition);
}

JSValue sq_dom_exception_class(JSContext *ctx)
{
    JSValue error = JS_NewError(ctx), parent = JS_GetPrototype(ctx, error);
    JSValue constructor = sq_dom_define(ctx, exception_class, "DOMException", construct, 0, parent,
                                        (struct dom_method_list){members, SQ_COUNT(members)});
    JSValue proto = JS_GetClassProto(ctx, exception_class);
    JSValue super = JS_GetPropertyStr(ctx, parent, "constructor");
    JSValue function_proto = JS_GetPrototype(ctx, super);

    JS_SetPrototype(ctx, constructor, function_proto); /* only its prototype inherits (3.14.1) */
    JS_FreeValue(ctx, function_proto);
    JS_FreeValue(ctx, super);
    JS_SetClassProto(ctx, key_class, sq_js_private_symbol(ctx, "DOMException"));
    add_constants(ctx, constructor);
    add_constants(ctx, proto);
    JS_FreeValue(ctx, proto);
    JS_FreeValue(ctx, parent);
    JS_FreeValue(ctx, error);
    return constructor;
}
