/* SPDX-License-Identifier: Apache-2.0 */
/* EventTarget (DOM 2.7): listeners and dispatch, for targets without parents. Case numbers are
 * those of the module's specification, section 5. */
#include <stdlib.h>

#include "js/dom/dom.h"

static JSClassID target_class;

/* ---- the list ---- */

void sq_dom_target_free(JSRuntime *rt, struct dom_target *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        JS_FreeValueRT(rt, t->items[i].callback);
        JS_FreeAtomRT(rt, t->items[i].type);
    }
    free(t->items);
    t->items = NULL;
    t->count = t->cap = 0;
}

void sq_dom_target_mark(JSRuntime *rt, const struct dom_target *t, JS_MarkFunc *mark)
{
    for (uint32_t i = 0; i < t->count; i++)
        JS_MarkValue(rt, t->items[i].callback, mark);
}

static void append(JSContext *ctx, struct dom_target *t, JSAtom type, JSValueConst callback,
                   unsigned flags)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 3;
        t->items = sq_xrealloc(t->items, t->cap * sizeof *t->items);
    }
    t->items[t->count++] = (struct dom_listener){
        .callback = JS_DupValue(ctx, callback), .type = JS_DupAtom(ctx, type), .flags = flags};
}

/* Entries keep their places while a dispatch walks them. */
static void remove_at(JSContext *ctx, struct dom_target *t, uint32_t i)
{
    struct dom_listener l = t->items[i];

    t->items[i].callback = JS_UNDEFINED;
    t->items[i].type = JS_ATOM_NULL;
    t->items[i].flags = DOM_REMOVED;
    if (t->dispatching) {
        t->holes = true;
    } else {
        t->count--;
        memmove(t->items + i, t->items + i + 1, (t->count - i) * sizeof *t->items);
    }
    JS_FreeAtom(ctx, l.type);
    JS_FreeValue(ctx, l.callback);
}

static void close_holes(struct dom_target *t)
{
    uint32_t kept = 0;

    t->holes = false;
    for (uint32_t i = 0; i < t->count; i++)
        if (!(t->items[i].flags & DOM_REMOVED))
            t->items[kept++] = t->items[i];
    t->count = kept;
}

static bool same(const struct dom_listener *l, JSAtom type, JSValueConst callback, bool capture)
{
    return l->type == type && !(l->flags & (DOM_REMOVED | DOM_ATTRIBUTE)) &&
           !!(l->flags & DOM_CAPTURE) == capture &&
           JS_VALUE_GET_PTR(l->callback) == JS_VALUE_GET_PTR(callback);
}

bool sq_dom_listens(const struct dom_target *t, JSAtom type)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->items[i].type == type)
            return true;
    return false;
}

void sq_dom_remove_listener(JSContext *ctx, struct dom_target *t, JSAtom type,
                            JSValueConst callback, bool capture)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (same(&t->items[i], type, callback, capture)) {
            remove_at(ctx, t, i);
            return;
        }
}

/* ---- on* attributes ---- */

static struct dom_listener *attribute(const struct dom_target *t, JSAtom type)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->items[i].type == type && t->items[i].flags & DOM_ATTRIBUTE)
            return &t->items[i];
    return NULL;
}

JSValue sq_dom_handler(JSContext *ctx, const struct dom_target *t, JSAtom type)
{
    const struct dom_listener *l = attribute(t, type);

    return l ? JS_DupValue(ctx, l->callback) : JS_NULL;
}

void sq_dom_set_handler(JSContext *ctx, struct dom_target *t, JSAtom type, JSValueConst value)
{
    struct dom_listener *l = attribute(t, type);

    if (!JS_IsObject(value)) {
        if (l)
            remove_at(ctx, t, (uint32_t)(l - t->items));
    } else if (l) { /* keeps its place */
        JSValue old = l->callback;
        l->callback = JS_DupValue(ctx, value);
        JS_FreeValue(ctx, old);
    } else {
        append(ctx, t, type, value, DOM_ATTRIBUTE);
    }
}

/* ---- dispatch ---- */

static JSValue call(JSContext *ctx, const struct dom_listener *l, JSValueConst object,
                    JSValueConst event)
{
    JSValue callback = JS_DupValue(ctx, l->callback), result;

    if (JS_IsFunction(ctx, callback)) {
        result = JS_Call(ctx, callback, object, 1, &event);
    } else if (l->flags & DOM_ATTRIBUTE) {
        result = JS_UNDEFINED; /* an object that cannot be called does nothing */
    } else {
        JSValue method = JS_GetPropertyStr(ctx, callback, "handleEvent");
        if (JS_IsException(method))
            result = JS_EXCEPTION;
        else if (!JS_IsFunction(ctx, method))
            result = JS_ThrowTypeError(ctx, "the event listener has no function handleEvent");
        else
            result = JS_Call(ctx, method, callback, 1, &event);
        JS_FreeValue(ctx, method);
    }
    JS_FreeValue(ctx, callback);
    return result;
}

struct dispatch {
    struct dom_target *target; /* part of `object` */
    JSValueConst object, event;
    struct dom_event *e; /* behind `event` */
    uint32_t count;      /* of listeners when it began */
    bool task;
};

/* One listener. -1: it threw, or the VU is to stop. */
static int call_listener(JSContext *ctx, const struct dispatch *d, uint32_t i)
{
    struct dom_event *e = d->e;
    struct dom_listener l = d->target->items[i];

    l.callback = JS_DupValue(ctx, l.callback);
    e->passive = l.flags & DOM_PASSIVE;
    if (l.flags & DOM_ONCE)
        remove_at(ctx, d->target, i);
    JSValue result = call(ctx, &l, d->object, d->event);
    e->passive = false;
    if (l.flags & DOM_ATTRIBUTE && JS_IsBool(result) && !JS_VALUE_GET_BOOL(result) && e->cancelable)
        e->canceled = true;
    JS_FreeValue(ctx, l.callback);
    if (JS_IsException(result))
        return -1;
    JS_FreeValue(ctx, result);
    return d->task && sq_js_run_jobs(sq_js_self(ctx)) < 0 ? -1 : 0;
}

/* In the default profile a socket's on* attribute goes first, wherever it stands (P of 5.1). */
enum which { CAPTURING, BUBBLING, ATTRIBUTES, LISTENERS };

static bool belongs(const struct dom_listener *l, enum which which)
{
    switch (which) {
    case CAPTURING:
        return l->flags & DOM_CAPTURE;
    case BUBBLING:
        return !(l->flags & DOM_CAPTURE);
    case ATTRIBUTES:
        return l->flags & DOM_ATTRIBUTE;
    default:
        return !(l->flags & DOM_ATTRIBUTE);
    }
}

static int walk(JSContext *ctx, const struct dispatch *d, enum which which)
{
    for (uint32_t i = 0; i < d->count && !d->e->stop_immediate; i++) {
        const struct dom_listener *l = &d->target->items[i];
        if (l->type != d->e->type || !belongs(l, which))
            continue;
        if (call_listener(ctx, d, i) < 0)
            return -1;
    }
    return 0;
}

int sq_dom_dispatch(JSContext *ctx, struct dom_target *t, JSValueConst object, JSValueConst event,
                    bool task)
{
    struct dom_event *e = sq_dom_event(event);
    struct dispatch d = {t, object, event, e, t->count, task};
    int rc = 0;

    e->dispatching = true;
    JS_FreeValue(ctx, e->target);
    e->target = JS_DupValue(ctx, object);
    e->current_target = JS_DupValue(ctx, object);
    t->dispatching++;
    /* DOM 2.9: the target is on the path of both phases, and "stop" ends what is left of it. */
    if (!e->stop)
        rc = walk(ctx, &d, t->k6_rules ? ATTRIBUTES : CAPTURING);
    if (rc == 0 && (t->k6_rules ? !e->stop_immediate : !e->stop))
        rc = walk(ctx, &d, t->k6_rules ? LISTENERS : BUBBLING);
    if (--t->dispatching == 0 && t->holes)
        close_holes(t);
    JS_FreeValue(ctx, e->current_target);
    e->current_target = JS_NULL;
    e->dispatching = e->stop = e->stop_immediate = false;
    return rc;
}

/* ---- the class ---- */

struct dom_target *sq_dom_target(JSValueConst value)
{
    struct dom_target *t = JS_GetOpaque(value, target_class);

    if (!t)
        t = sq_dom_websocket_target(value);
    return t ? t : sq_dom_signal_target(value);
}

static struct dom_target *this_target(JSContext *ctx, JSValueConst this_val)
{
    struct dom_target *t = sq_dom_target(this_val);

    if (!t)
        JS_ThrowTypeError(ctx, "the receiver is not an EventTarget");
    return t;
}

static JSAtom type_atom(JSContext *ctx, JSValueConst value)
{
    JSValue text = JS_ToString(ctx, value);

    if (JS_IsException(text))
        return JS_ATOM_NULL;
    JSAtom atom = JS_ValueToAtom(ctx, text);
    JS_FreeValue(ctx, text);
    return atom;
}

static int flag_of(JSContext *ctx, JSValueConst options, const char *name, unsigned flag,
                   unsigned *flags)
{
    JSValue value = JS_GetPropertyStr(ctx, options, name);

    if (JS_IsException(value))
        return -1;
    if (JS_ToBool(ctx, value))
        *flags |= flag;
    JS_FreeValue(ctx, value);
    return 0;
}

/* The third argument: capture, or an object. *signal: undefined, or owned. */
static int read_options(JSContext *ctx, JSValueConst options, bool adding, unsigned *flags,
                        JSValue *signal)
{
    *flags = 0;
    *signal = JS_UNDEFINED;
    if (!JS_IsObject(options)) {
        if (JS_ToBool(ctx, options))
            *flags = DOM_CAPTURE;
        return 0;
    }
    if (flag_of(ctx, options, "capture", DOM_CAPTURE, flags) < 0)
        return -1;
    if (!adding)
        return 0;
    if (flag_of(ctx, options, "once", DOM_ONCE, flags) < 0 ||
        flag_of(ctx, options, "passive", DOM_PASSIVE, flags) < 0)
        return -1;
    *signal = JS_GetPropertyStr(ctx, options, "signal");
    if (JS_IsException(*signal)) {
        *signal = JS_UNDEFINED;
        return -1;
    }
    if (!JS_IsUndefined(*signal) && !sq_dom_is_signal(*signal)) {
        JS_ThrowTypeError(ctx, "addEventListener: 'signal' is not an AbortSignal");
        return -1;
    }
    return 0;
}

static void add(JSContext *ctx, struct dom_target *t, JSValueConst object, JSAtom type,
                JSValueConst callback, unsigned flags, JSValueConst signal)
{
    bool capture = flags & DOM_CAPTURE;

    if (!JS_IsUndefined(signal) && sq_dom_signal_aborted(signal))
        return;
    if (!t->k6_rules)
        for (uint32_t i = 0; i < t->count; i++)
            if (same(&t->items[i], type, callback, capture))
                return;
    append(ctx, t, type, callback, flags);
    if (!JS_IsUndefined(signal))
        sq_dom_signal_guard(ctx, signal, object, type, callback, capture);
}

static JSValue refuse_callback(JSContext *ctx, JSValueConst type)
{
    const char *name = JS_ToCString(ctx, type);

    if (name)
        JS_ThrowTypeError(ctx, "handler for event type \"%s\" isn't a callable function", name);
    JS_FreeCString(ctx, name);
    return JS_EXCEPTION;
}

static JSValue add_event_listener(JSContext *ctx, JSValueConst this_val, int argc,
                                  JSValueConst *argv)
{
    struct dom_target *t = this_target(ctx, this_val);
    JSValue signal = JS_UNDEFINED, result = JS_EXCEPTION;
    unsigned flags;

    if (!t)
        return JS_EXCEPTION;
    bool none = argc < 2 || JS_IsUndefined(argv[1]) || JS_IsNull(argv[1]);
    if (argc < 1 || (argc < 2 && !t->k6_rules))
        return JS_ThrowTypeError(ctx, "addEventListener takes a type and a listener");
    if ((none && t->k6_rules) || (!none && !JS_IsObject(argv[1])))
        return refuse_callback(ctx, argv[0]);
    JSAtom type = type_atom(ctx, argv[0]);
    if (type != JS_ATOM_NULL &&
        read_options(ctx, argc > 2 ? argv[2] : JS_UNDEFINED, true, &flags, &signal) == 0) {
        if (!none)
            add(ctx, t, this_val, type, argv[1], flags, signal);
        result = JS_UNDEFINED;
    }
    JS_FreeValue(ctx, signal);
    JS_FreeAtom(ctx, type);
    return result;
}

static JSValue remove_event_listener(JSContext *ctx, JSValueConst this_val, int argc,
                                     JSValueConst *argv)
{
    struct dom_target *t = this_target(ctx, this_val);
    JSValue signal = JS_UNDEFINED, result = JS_EXCEPTION;
    unsigned flags;

    if (!t)
        return JS_EXCEPTION;
    if (argc < 2)
        return JS_ThrowTypeError(ctx, "removeEventListener takes a type and a listener");
    bool none = JS_IsUndefined(argv[1]) || JS_IsNull(argv[1]);
    if (!none && !JS_IsObject(argv[1]))
        return JS_ThrowTypeError(ctx, "removeEventListener: the listener is not an object");
    JSAtom type = type_atom(ctx, argv[0]);
    if (type != JS_ATOM_NULL &&
        read_options(ctx, argc > 2 ? argv[2] : JS_UNDEFINED, false, &flags, &signal) == 0) {
        if (!none)
            sq_dom_remove_listener(ctx, t, type, argv[1], flags & DOM_CAPTURE);
        result = JS_UNDEFINED;
    }
    JS_FreeAtom(ctx, type);
    return result;
}

static JSValue dispatch_event(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct dom_target *t = this_target(ctx, this_val);
    struct dom_event *e = argc > 0 ? sq_dom_event(argv[0]) : NULL;

    if (!t)
        return JS_EXCEPTION;
    if (!e)
        return JS_ThrowTypeError(ctx, "dispatchEvent takes an Event");
    if (e->dispatching)
        return sq_dom_throw(ctx, "InvalidStateError", "the event is being dispatched already");
    e->trusted = false;
    if (sq_dom_dispatch(ctx, t, this_val, argv[0], false) < 0)
        return JS_EXCEPTION;
    return JS_NewBool(ctx, !e->canceled);
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("addEventListener", 2, add_event_listener),
    JS_CFUNC_DEF("removeEventListener", 2, remove_event_listener),
    JS_CFUNC_DEF("dispatchEvent", 1, dispatch_event),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "EventTarget", JS_PROP_CONFIGURABLE),
};

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    JSValue object = sq_dom_object(ctx, target_class, new_target);

    (void)argc, (void)argv;
    if (!JS_IsException(object))
        JS_SetOpaque(object, sq_xcalloc(1, sizeof(struct dom_target)));
    return object;
}

static void finalizer(JSRuntime *rt, JSValue value)
{
    struct dom_target *t = JS_GetOpaque(value, target_class);

    if (t)
        sq_dom_target_free(rt, t);
    free(t);
}

static void mark_target(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    const struct dom_target *t = JS_GetOpaque(value, target_class);

    if (t)
        sq_dom_target_mark(rt, t, mark);
}

void sq_dom_event_target_class_ids(void)
{
    JS_NewClassID(&target_class);
}

void sq_dom_event_target_register(JSRuntime *rt)
{
    static const JSClassDef definition = {"EventTarget", .finalizer = finalizer,
                                          .gc_mark = mark_target};

    JS_NewClass(rt, target_class, &definition);
}

JSValue sq_dom_event_target_class(JSContext *ctx)
{
    return sq_dom_define(ctx, target_class, "EventTarget", construct, 0, JS_UNDEFINED,
                         (struct dom_method_list){methods, SQ_COUNT(methods)});
}

JSValue sq_dom_event_target_proto(JSContext *ctx)
{
    JSValue proto = JS_GetClassProto(ctx, target_class);

    JS_FreeValue(ctx, proto); /* the realm keeps it */
    return proto;
}
