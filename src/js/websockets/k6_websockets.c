/* SPDX-License-Identifier: Apache-2.0 */
/* k6/websockets: WebSocket and what belongs to it. Behaviour and running examples:
 * docs/api/k6-websockets.md. */
#include <stdlib.h>

#include "base/log.h"
#include "js/dom/dom.h"
#include "js/scripts.h"
#include "js/websockets/websocket.h"

static JSClassID exports_class; /* never instantiated */

/* ---- what the classes share ---- */

bool sq_dom_standard(const struct sq_js_instance *self)
{
    const char *profile = self->cell->worker->bundle->config->profile;

    return profile && strcmp(profile, "standard") == 0;
}

/* Web IDL 3.7.6, 3.7.7: attributes and operations are enumerable; our toJSON stays out of sight. */
void sq_dom_enumerable(JSContext *ctx, JSValueConst object, struct dom_method_list members)
{
    for (int i = 0; i < members.count; i++) {
        const JSCFunctionListEntry *m = &members.items[i];
        if ((m->def_type != JS_DEF_CFUNC && m->def_type != JS_DEF_CGETSET &&
             m->def_type != JS_DEF_CGETSET_MAGIC) ||
            strcmp(m->name, "toJSON") == 0)
            continue;
        JSAtom atom = JS_NewAtom(ctx, m->name);
        JS_DefineProperty(ctx, object, atom, JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED,
                          JS_PROP_HAS_ENUMERABLE | JS_PROP_ENUMERABLE);
        JS_FreeAtom(ctx, atom);
    }
}

static int copy_missing(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    JSValueConst out = *(JSValue *)user;
    JSAtom atom = JS_NewAtom(ctx, key);

    if (strcmp(key, "isTrusted") != 0 && JS_HasProperty(ctx, out, atom) == 0)
        JS_DefinePropertyValue(ctx, out, atom, JS_DupValue(ctx, value), JS_PROP_C_W_E);
    JS_FreeAtom(ctx, atom);
    return 0;
}

static JSValue pick(JSContext *ctx, JSValueConst value, const char *const *names)
{
    JSValue out = JS_NewObject(ctx);

    for (; *names; names++) {
        JSValue field = JS_GetPropertyStr(ctx, value, *names);
        if (JS_IsException(field)) {
            JS_FreeValue(ctx, out);
            return field;
        }
        JS_DefinePropertyValueStr(ctx, out, *names, field, JS_PROP_C_W_E);
    }
    return out;
}

JSValue sq_dom_shown(JSContext *ctx, JSValueConst value)
{
    static const char *const blob[] = {"size", "type", NULL}, *const signal[] = {"aborted", NULL};
    struct sq_slice bytes;
    JSValue out = JS_UNDEFINED;

    if (sq_dom_event(value) || websocket_of(value)) {
        JSAtom to_json = JS_NewAtom(ctx, "toJSON");
        out = JS_Invoke(ctx, value, to_json, 0, NULL);
        JS_FreeAtom(ctx, to_json);
    } else if (sq_dom_blob_bytes(value, &bytes)) {
        out = pick(ctx, value, blob);
    } else if (sq_dom_is_signal(value)) {
        out = pick(ctx, value, signal);
    }
    /* What the script, or an error event, has beside the standard's fields. */
    if (JS_IsObject(out) && sq_js_each_key(ctx, value, copy_missing, &out) == 0)
        return out;
    if (JS_HasException(ctx))
        JS_FreeValue(ctx, JS_GetException(ctx));
    JS_FreeValue(ctx, out);
    return JS_UNDEFINED;
}

JSValue sq_dom_define(JSContext *ctx, JSClassID id, const char *name, JSCFunction *construct,
                      int length, JSValueConst parent, struct dom_method_list methods)
{
    JSValue proto = JS_IsUndefined(parent) ? JS_NewObject(ctx) : JS_NewObjectProto(ctx, parent);
    JSValue constructor = JS_NewCFunction2(ctx, construct, name, length, JS_CFUNC_constructor, 0);

    JS_SetPropertyFunctionList(ctx, proto, methods.items, methods.count);
    sq_dom_enumerable(ctx, proto, methods);
    JS_SetConstructor(ctx, constructor, proto);
    if (!JS_IsUndefined(parent)) { /* interface objects inherit as their prototypes do */
        JSValue super = JS_GetPropertyStr(ctx, parent, "constructor");
        JS_SetPrototype(ctx, constructor, super);
        JS_FreeValue(ctx, super);
    }
    for (int i = 0; i < methods.count; i++)
        if (methods.items[i].def_type == JS_DEF_PROP_INT32)
            JS_SetPropertyFunctionList(ctx, constructor, &methods.items[i], 1);
    JS_SetClassProto(ctx, id, proto);
    return constructor;
}

JSValue sq_dom_object(JSContext *ctx, JSClassID id, JSValueConst new_target)
{
    if (JS_IsUndefined(new_target))
        return JS_NewObjectClass(ctx, (int)id);
    JSValue proto = JS_GetPropertyStr(ctx, new_target, "prototype");
    if (JS_IsException(proto))
        return proto;
    JSValue object = JS_IsObject(proto) ? JS_NewObjectProtoClass(ctx, proto, id)
                                        : JS_NewObjectClass(ctx, (int)id);
    JS_FreeValue(ctx, proto);
    return object;
}

char *sq_dom_text(JSContext *ctx, JSValueConst value, size_t *len)
{
    const char *text = JS_ToCStringLen(ctx, len, value);

    if (!text)
        return NULL;
    char *copy = sq_xstrndup(text, *len);
    JS_FreeCString(ctx, text);
    sq_js_replace_surrogates(copy, *len);
    return copy;
}

JSValue sq_dom_member(JSContext *ctx, JSValueConst object, const char *name, JSValue fallback)
{
    if (!JS_IsObject(object))
        return fallback;
    JSValue value = JS_GetPropertyStr(ctx, object, name);
    return JS_IsUndefined(value) ? fallback : value;
}

bool sq_dom_is_iterable(JSContext *ctx, JSValueConst value)
{
    JSValue global = JS_GetGlobalObject(ctx), symbol = JS_GetPropertyStr(ctx, global, "Symbol");
    JSValue name = JS_GetPropertyStr(ctx, symbol, "iterator");
    JSAtom atom = JS_ValueToAtom(ctx, name);
    JSValue method = JS_GetProperty(ctx, value, atom);
    bool is = !JS_IsUndefined(method) && !JS_IsNull(method);

    JS_FreeValue(ctx, method);
    JS_FreeAtom(ctx, atom);
    JS_FreeValue(ctx, name);
    JS_FreeValue(ctx, symbol);
    JS_FreeValue(ctx, global);
    return is;
}

JSValue sq_dom_list(JSContext *ctx, JSValueConst value)
{
    JSValue global = JS_GetGlobalObject(ctx), array = JS_GetPropertyStr(ctx, global, "Array");
    JSAtom from = JS_NewAtom(ctx, "from");
    JSValue list = JS_Invoke(ctx, array, from, 1, &value);

    JS_FreeAtom(ctx, from);
    JS_FreeValue(ctx, array);
    JS_FreeValue(ctx, global);
    return list;
}

bool sq_dom_bytes(JSContext *ctx, JSValueConst value, struct sq_slice *out)
{
    (void)ctx;
    return sq_js_view_bytes(value, &out->data, &out->len) > 0;
}

/* ---- registration ---- */

void sq_k6_websockets_class_ids(void)
{
    sq_dom_event_target_class_ids();
    sq_dom_event_class_ids();
    sq_dom_exception_class_ids();
    sq_dom_abort_class_ids();
    sq_dom_blob_class_ids();
    sq_dom_websocket_class_ids();
    JS_NewClassID(&exports_class);
}

void sq_k6_websockets_classes(JSContext *ctx)
{
    static const JSClassDef exports_definition = {.class_name = "websockets"};
    JSRuntime *rt = JS_GetRuntime(ctx);

    sq_dom_event_target_register(rt);
    sq_dom_event_register(rt);
    sq_dom_exception_register(rt);
    sq_dom_abort_register(rt);
    sq_dom_blob_register(rt);
    sq_dom_websocket_register(rt);
    JS_NewClass(rt, exports_class, &exports_definition);
}

/* ---- the module ---- */

static const char *const exports[] = {"WebSocket",
                                      "Blob",
                                      "Event",
                                      "EventTarget",
                                      "MessageEvent",
                                      "CloseEvent",
                                      "ErrorEvent",
                                      "DOMException",
                                      "AbortController",
                                      "AbortSignal",
                                      "WebSocketStream",
                                      "WebSocketError",
                                      "ReadableStream",
                                      "WritableStream",
                                      "URL",
                                      "URLSearchParams",
                                      "default",
                                      NULL};

/* The part that is written in JavaScript: adds its classes to `all`. */
static int add_streams(JSContext *ctx, JSValueConst all)
{
    static const char *const names[] = {"WebSocketStream",
                                        "WebSocketError",
                                        "ofBytes",
                                        "ReadableStream",
                                        "WritableStream",
                                        "CountQueuingStrategy",
                                        "ByteLengthQueuingStrategy",
                                        "ReadableStreamDefaultReader",
                                        "ReadableStreamDefaultController",
                                        "WritableStreamDefaultWriter"};
    JSValue make = sq_js_script_eval(ctx, sq_js_script_streams, "squall:streams");
    JSValue hold = JS_NewCFunction(ctx, sq_dom_websocket_hold, "hold", 2);
    JSValue full = JS_NewCFunction(ctx, sq_dom_websocket_full, "isFull", 1);
    JSValueConst args[] = {all, hold, full};
    JSValue made = JS_IsException(make) ? JS_EXCEPTION : JS_Call(ctx, make, JS_UNDEFINED, 3, args);
    int rc = JS_IsException(made) ? -1 : 0;

    for (size_t i = 0; i < SQ_COUNT(names) && rc >= 0; i++)
        rc = JS_SetPropertyStr(ctx, all, names[i], JS_GetPropertyStr(ctx, made, names[i]));
    JS_FreeValue(ctx, made);
    JS_FreeValue(ctx, full);
    JS_FreeValue(ctx, hold);
    JS_FreeValue(ctx, make);
    return rc < 0 ? -1 : 0;
}

JSValue sq_dom_stream_of(JSContext *ctx, JSValueConst items)
{
    JSValue all = JS_GetClassProto(ctx, exports_class);
    JSValue make = JS_GetPropertyStr(ctx, all, "ofBytes");
    JSValue stream = JS_Call(ctx, make, JS_UNDEFINED, 1, &items);

    JS_FreeValue(ctx, make);
    JS_FreeValue(ctx, all);
    return stream;
}

/* Both module names export the same objects: a class slot keeps them for the realm. */
static JSValue make_all(JSContext *ctx)
{
    JSValue all = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, all, "EventTarget", sq_dom_event_target_class(ctx));
    struct dom_event_classes events = sq_dom_event_classes(ctx);
    JS_SetPropertyStr(ctx, all, "Event", events.event);
    JS_SetPropertyStr(ctx, all, "MessageEvent", events.message);
    JS_SetPropertyStr(ctx, all, "CloseEvent", events.close);
    JS_SetPropertyStr(ctx, all, "ErrorEvent", events.error);
    JS_SetPropertyStr(ctx, all, "DOMException", sq_dom_exception_class(ctx));
    JS_SetPropertyStr(ctx, all, "AbortSignal", sq_dom_abort_signal_class(ctx));
    JS_SetPropertyStr(ctx, all, "AbortController", sq_dom_abort_controller_class(ctx));
    JS_SetPropertyStr(ctx, all, "Blob", sq_dom_blob_class(ctx));
    JS_SetPropertyStr(ctx, all, "WebSocket", sq_dom_websocket_class(ctx));
    if (add_streams(ctx, all) < 0 || sq_dom_url_classes(ctx, all) < 0) {
        JS_FreeValue(ctx, all);
        return JS_EXCEPTION;
    }
    JS_SetClassProto(ctx, exports_class, JS_DupValue(ctx, all));
    return all;
}

/* All of the realm's VUs share the classes; that they were made is no change by the script. */
static JSValue make_once(JSContext *ctx)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    JSValue all = JS_GetClassProto(ctx, exports_class);

    if (JS_IsObject(all))
        return all;
    bool watched = cell->worker->bundle->load_pass;
    uint64_t before = watched ? sq_js_builtins_fingerprint(ctx) : 0;
    all = make_all(ctx);
    if (watched)
        cell->fingerprint_ours += sq_js_builtins_fingerprint(ctx) - before;
    return all;
}

void sq_dom_need(JSContext *ctx)
{
    JS_FreeValue(ctx, make_once(ctx));
}

void sq_k6_websockets_prepare(JSContext *ctx)
{
    JS_FreeValue(ctx, make_all(ctx));
}

/* `names` ends with "default" and NULL. */
static int export_names(JSContext *ctx, JSModuleDef *m, const char *const *names)
{
    JSValue all = make_once(ctx);

    if (JS_IsException(all))
        return -1;
    JSValue object = JS_NewObject(ctx);
    for (int i = 0; names[i + 1]; i++) {
        JSValue value = JS_GetPropertyStr(ctx, all, names[i]);
        JS_SetPropertyStr(ctx, object, names[i], JS_DupValue(ctx, value));
        if (JS_SetModuleExport(ctx, m, names[i], value) < 0)
            break;
    }
    JS_FreeValue(ctx, all);
    return JS_SetModuleExport(ctx, m, "default", object);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    return export_names(ctx, m, exports);
}

static const char *const stream_exports[] = {"ReadableStream",
                                             "WritableStream",
                                             "CountQueuingStrategy",
                                             "ByteLengthQueuingStrategy",
                                             "ReadableStreamDefaultReader",
                                             "ReadableStreamDefaultController",
                                             "WritableStreamDefaultWriter",
                                             "default",
                                             NULL};

static void give(JSContext *ctx, JSValueConst to, JSValueConst all, const char *const *names)
{
    for (int i = 0; names[i + 1]; i++)
        JS_DefinePropertyValueStr(ctx, to, names[i], JS_GetPropertyStr(ctx, all, names[i]),
                                  JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
}

void sq_k6_websockets_globals(JSContext *ctx, JSValueConst global)
{
    JSValue all = JS_GetClassProto(ctx, exports_class);

    give(ctx, global, all, exports);
    give(ctx, global, all, stream_exports);
    JS_FreeValue(ctx, all);
}

static int init_streams(JSContext *ctx, JSModuleDef *m)
{
    return export_names(ctx, m, stream_exports);
}

static int init_experimental(JSContext *ctx, JSModuleDef *m)
{
    static const char text[] =
        "k6/experimental/websockets is deprecated and will be removed in a future release. Please "
        "use k6/websockets instead.";
    const struct sq_js_cell *cell = JS_GetContextOpaque(ctx);

    if (sq_js_first_time(cell->worker->bundle, text))
        sq_log(SQ_LOG_WARN, "js", "%s", text);
    return init(ctx, m);
}

const struct sq_js_builtin sq_k6_websockets = {"k6/websockets", init, exports};
const struct sq_js_builtin sq_k6_experimental_streams = {"k6/experimental/streams", init_streams,
                                                         stream_exports};
const struct sq_js_builtin sq_k6_experimental_websockets = {"k6/experimental/websockets",
                                                            init_experimental, exports};
