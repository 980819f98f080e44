/* SPDX-License-Identifier: Apache-2.0 */
/* AbortController and AbortSignal (DOM 3.1, 3.2). */
#include <math.h>
#include <stdlib.h>

#include "js/dom/dom.h"

static JSClassID signal_class, controller_class;

/* A listener that goes when the signal aborts. */
struct guard {
    JSValue target, callback;
    JSAtom type;
    bool capture;
};

struct signal {
    struct dom_target target;
    JSValue reason;
    struct guard *guards;
    size_t guards_count;
    JSValue *dependents; /* signals made by AbortSignal.any */
    size_t dependents_count;
    bool aborted;
};

static void drop_guards(JSRuntime *rt, struct signal *s)
{
    for (size_t i = 0; i < s->guards_count; i++) {
        JS_FreeValueRT(rt, s->guards[i].target);
        JS_FreeValueRT(rt, s->guards[i].callback);
        JS_FreeAtomRT(rt, s->guards[i].type);
    }
    free(s->guards);
    s->guards = NULL;
    s->guards_count = 0;
}

static void finalizer(JSRuntime *rt, JSValue value)
{
    struct signal *s = JS_GetOpaque(value, signal_class);

    if (!s)
        return;
    sq_dom_target_free(rt, &s->target);
    JS_FreeValueRT(rt, s->reason);
    drop_guards(rt, s);
    for (size_t i = 0; i < s->dependents_count; i++)
        JS_FreeValueRT(rt, s->dependents[i]);
    free(s->dependents);
    free(s);
}

static void mark_signal(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    const struct signal *s = JS_GetOpaque(value, signal_class);

    if (!s)
        return;
    sq_dom_target_mark(rt, &s->target, mark);
    JS_MarkValue(rt, s->reason, mark);
    for (size_t i = 0; i < s->guards_count; i++) {
        JS_MarkValue(rt, s->guards[i].target, mark);
        JS_MarkValue(rt, s->guards[i].callback, mark);
    }
    for (size_t i = 0; i < s->dependents_count; i++)
        JS_MarkValue(rt, s->dependents[i], mark);
}

static JSValue new_signal(JSContext *ctx)
{
    JSValue object = JS_NewObjectClass(ctx, (int)signal_class);

    if (JS_IsException(object))
        return object;
    struct signal *s = sq_xcalloc(1, sizeof *s);
    s->reason = JS_UNDEFINED;
    JS_SetOpaque(object, s);
    return object;
}

bool sq_dom_is_signal(JSValueConst value)
{
    return JS_GetOpaque(value, signal_class) != NULL;
}

bool sq_dom_signal_aborted(JSValueConst signal)
{
    return ((struct signal *)JS_GetOpaque(signal, signal_class))->aborted;
}

struct dom_target *sq_dom_signal_target(JSValueConst value)
{
    return JS_GetOpaque(value, signal_class);
}

void sq_dom_signal_guard(JSContext *ctx, JSValueConst signal, JSValueConst target, JSAtom type,
                         JSValueConst callback, bool capture)
{
    struct signal *s = JS_GetOpaque(signal, signal_class);

    s->guards = sq_xrealloc(s->guards, (s->guards_count + 1) * sizeof *s->guards);
    s->guards[s->guards_count++] = (struct guard){.target = JS_DupValue(ctx, target),
                                                  .callback = JS_DupValue(ctx, callback),
                                                  .type = JS_DupAtom(ctx, type),
                                                  .capture = capture};
}

/* ---- aborting ---- */

static JSValue default_reason(JSContext *ctx, int argc, JSValueConst *argv)
{
    if (argc > 0 && !JS_IsUndefined(argv[0]))
        return JS_DupValue(ctx, argv[0]);
    return sq_dom_exception_new(ctx, "AbortError", "signal is aborted without reason");
}

/* DOM 3.2 "signal abort": all that depend on it have the reason before the first event fires. */
static void mark_aborted(JSContext *ctx, JSValueConst object, JSValueConst reason)
{
    struct signal *s = JS_GetOpaque(object, signal_class);

    s->aborted = true;
    s->reason = JS_DupValue(ctx, reason);
    for (size_t i = 0; i < s->dependents_count; i++) {
        struct signal *d = JS_GetOpaque(s->dependents[i], signal_class);
        if (d->aborted) { /* by another source */
            JS_FreeValue(ctx, s->dependents[i]);
            s->dependents[i] = JS_UNDEFINED;
        } else {
            mark_aborted(ctx, s->dependents[i], reason);
        }
    }
}

static int run_abort_steps(JSContext *ctx, JSValueConst object)
{
    struct signal *s = JS_GetOpaque(object, signal_class);
    int rc = 0;

    for (size_t i = 0; i < s->guards_count; i++) {
        const struct guard *g = &s->guards[i];
        struct dom_target *t = sq_dom_target(g->target);
        sq_dom_remove_listener(ctx, t, g->type, g->callback, g->capture);
    }
    drop_guards(JS_GetRuntime(ctx), s);
    JSValue event = sq_dom_event_new(ctx, DOM_EVENT, sq_dom_atom(sq_js_self(ctx), DOM_ABORT), 0);
    if (JS_IsException(event) || sq_dom_dispatch(ctx, &s->target, object, event, false) < 0)
        rc = -1;
    JS_FreeValue(ctx, event);
    for (size_t i = 0; i < s->dependents_count && rc == 0; i++)
        if (!JS_IsUndefined(s->dependents[i]))
            rc = run_abort_steps(ctx, s->dependents[i]);
    return rc;
}

/* Consumes nothing. -1: a listener threw. */
static int abort_signal(JSContext *ctx, JSValueConst object, JSValueConst reason)
{
    const struct signal *s = JS_GetOpaque(object, signal_class);

    if (s->aborted)
        return 0;
    mark_aborted(ctx, object, reason);
    return run_abort_steps(ctx, object);
}

/* ---- AbortSignal ---- */

static struct signal *this_signal(JSContext *ctx, JSValueConst this_val)
{
    return JS_GetOpaque2(ctx, this_val, signal_class);
}

static JSValue get_aborted(JSContext *ctx, JSValueConst this_val)
{
    const struct signal *s = this_signal(ctx, this_val);

    return s ? JS_NewBool(ctx, s->aborted) : JS_EXCEPTION;
}

static JSValue get_reason(JSContext *ctx, JSValueConst this_val)
{
    const struct signal *s = this_signal(ctx, this_val);

    return s ? JS_DupValue(ctx, s->reason) : JS_EXCEPTION;
}

static JSValue get_onabort(JSContext *ctx, JSValueConst this_val)
{
    const struct signal *s = this_signal(ctx, this_val);

    return s ? sq_dom_handler(ctx, &s->target, sq_dom_atom(sq_js_self(ctx), DOM_ABORT))
             : JS_EXCEPTION;
}

static JSValue set_onabort(JSContext *ctx, JSValueConst this_val, JSValueConst value)
{
    struct signal *s = this_signal(ctx, this_val);

    if (!s)
        return JS_EXCEPTION;
    sq_dom_set_handler(ctx, &s->target, sq_dom_atom(sq_js_self(ctx), DOM_ABORT), value);
    return JS_UNDEFINED;
}

static JSValue throw_if_aborted(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct signal *s = this_signal(ctx, this_val);

    (void)argc, (void)argv;
    if (!s)
        return JS_EXCEPTION;
    return s->aborted ? JS_Throw(ctx, JS_DupValue(ctx, s->reason)) : JS_UNDEFINED;
}

static const JSCFunctionListEntry signal_members[] = {
    JS_CGETSET_DEF("aborted", get_aborted, NULL),
    JS_CGETSET_DEF("reason", get_reason, NULL),
    JS_CGETSET_DEF("onabort", get_onabort, set_onabort),
    JS_CFUNC_DEF("throwIfAborted", 0, throw_if_aborted),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "AbortSignal", JS_PROP_CONFIGURABLE),
};

static JSValue signal_abort(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue object = new_signal(ctx);

    (void)this_val;
    if (!JS_IsException(object)) {
        struct signal *s = JS_GetOpaque(object, signal_class);
        s->aborted = true;
        s->reason = default_reason(ctx, argc, argv);
    }
    return object;
}

static int follow(JSContext *ctx, JSValueConst object, JSValueConst source)
{
    struct signal *s = JS_GetOpaque(object, signal_class);
    struct signal *from = JS_GetOpaque(source, signal_class);

    if (!from) {
        JS_ThrowTypeError(ctx, "AbortSignal.any takes AbortSignals");
        return -1;
    }
    if (s->aborted)
        return 0;
    if (from->aborted) {
        s->aborted = true;
        s->reason = JS_DupValue(ctx, from->reason);
        return 0;
    }
    from->dependents =
        sq_xrealloc(from->dependents, (from->dependents_count + 1) * sizeof *from->dependents);
    from->dependents[from->dependents_count++] = JS_DupValue(ctx, object);
    return 0;
}

static JSValue signal_any(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue object, list;
    int64_t count = 0;
    int rc = 0;

    (void)this_val, (void)argc;
    if (!JS_IsObject(argv[0]) || !sq_dom_is_iterable(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "AbortSignal.any takes a sequence of AbortSignals");
    list = sq_dom_list(ctx, argv[0]);
    if (JS_IsException(list))
        return list;
    object = new_signal(ctx);
    JSValue length = JS_GetPropertyStr(ctx, list, "length");
    if (JS_IsException(object) || JS_ToInt64(ctx, &count, length) < 0)
        rc = -1;
    JS_FreeValue(ctx, length);
    for (int64_t i = 0; i < count && rc == 0; i++) {
        JSValue source = JS_GetPropertyUint32(ctx, list, (uint32_t)i);
        rc = JS_IsException(source) ? -1 : follow(ctx, object, source);
        JS_FreeValue(ctx, source);
    }
    JS_FreeValue(ctx, list);
    if (rc == 0)
        return object;
    JS_FreeValue(ctx, object);
    return JS_EXCEPTION;
}

static JSValue time_out(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                        int magic, JSValue *data)
{
    JSValue reason = sq_dom_exception_new(ctx, "TimeoutError", "signal timed out");
    int rc = abort_signal(ctx, data[0], reason);

    (void)this_val, (void)argc, (void)argv, (void)magic;
    JS_FreeValue(ctx, reason);
    return rc < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

static JSValue signal_timeout(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    double ms;

    (void)this_val;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "AbortSignal.timeout takes milliseconds");
    if (JS_ToFloat64(ctx, &ms, argv[0]) < 0)
        return JS_EXCEPTION;
    ms = trunc(ms);
    if (!(ms >= 0 && ms <= 9007199254740991.0)) /* [EnforceRange] unsigned long long */
        return JS_ThrowTypeError(ctx, "AbortSignal.timeout: the time is out of range");
    JSValue object = new_signal(ctx);
    if (JS_IsException(object))
        return object;
    JSValue delay = JS_NewFloat64(ctx, ms);
    JSValue args[] = {JS_NewCFunctionData(ctx, time_out, 0, 0, 1, &object), delay};
    JSValue id = sq_js_set_timeout(ctx, 2, args);
    JS_FreeValue(ctx, args[0]);
    if (JS_IsException(id)) {
        JS_FreeValue(ctx, object);
        return id;
    }
    JS_FreeValue(ctx, id);
    return object;
}

static const JSCFunctionListEntry signal_statics[] = {
    JS_CFUNC_DEF("abort", 0, signal_abort),
    JS_CFUNC_DEF("timeout", 1, signal_timeout),
    JS_CFUNC_DEF("any", 1, signal_any),
};

static JSValue construct_signal(JSContext *ctx, JSValueConst new_target, int argc,
                                JSValueConst *argv)
{
    (void)new_target, (void)argc, (void)argv;
    return JS_ThrowTypeError(ctx, "Illegal constructor");
}

/* ---- AbortController: its signal is its opaque, a JSValue on the heap ---- */

static void controller_finalizer(JSRuntime *rt, JSValue value)
{
    JSValue *signal = JS_GetOpaque(value, controller_class);

    if (signal)
        JS_FreeValueRT(rt, *signal);
    free(signal);
}

static void controller_mark(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    const JSValue *signal = JS_GetOpaque(value, controller_class);

    if (signal)
        JS_MarkValue(rt, *signal, mark);
}

static JSValue construct_controller(JSContext *ctx, JSValueConst new_target, int argc,
                                    JSValueConst *argv)
{
    JSValue signal = new_signal(ctx);
    JSValue object = sq_dom_object(ctx, controller_class, new_target);

    (void)argc, (void)argv;
    if (JS_IsException(signal) || JS_IsException(object)) {
        JS_FreeValue(ctx, signal);
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    JSValue *slot = sq_xmalloc(sizeof *slot);
    *slot = signal;
    JS_SetOpaque(object, slot);
    return object;
}

static JSValue get_signal(JSContext *ctx, JSValueConst this_val)
{
    const JSValue *signal = JS_GetOpaque2(ctx, this_val, controller_class);

    return signal ? JS_DupValue(ctx, *signal) : JS_EXCEPTION;
}

static JSValue controller_abort(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const JSValue *signal = JS_GetOpaque2(ctx, this_val, controller_class);

    if (!signal)
        return JS_EXCEPTION;
    JSValue object = JS_DupValue(ctx, *signal), reason = default_reason(ctx, argc, argv);
    int rc = abort_signal(ctx, object, reason);
    JS_FreeValue(ctx, reason);
    JS_FreeValue(ctx, object);
    return rc < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

static const JSCFunctionListEntry controller_members[] = {
    JS_CGETSET_DEF("signal", get_signal, NULL),
    JS_CFUNC_DEF("abort", 0, controller_abort),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "AbortController", JS_PROP_CONFIGURABLE),
};

void sq_dom_abort_class_ids(void)
{
    JS_NewClassID(&signal_class);
    JS_NewClassID(&controller_class);
}

void sq_dom_abort_register(JSRuntime *rt)
{
    static const JSClassDef signal = {"AbortSignal", .finalizer = finalizer,
                                      .gc_mark = mark_signal};
    static const JSClassDef controller = {"AbortController", .finalizer = controller_finalizer,
                                          .gc_mark = controller_mark};

    JS_NewClass(rt, signal_class, &signal);
    JS_NewClass(rt, controller_class, &controller);
}

JSValue sq_dom_abort_signal_class(JSContext *ctx)
{
    JSValue constructor = sq_dom_define(
        ctx, signal_class, "AbortSignal", construct_signal, 0, sq_dom_event_target_proto(ctx),
        (struct dom_method_list){signal_members, SQ_COUNT(signal_members)});

    JS_SetPropertyFunctionList(ctx, constructor, signal_statics, SQ_COUNT(signal_statics));
    sq_dom_enumerable(ctx, constructor,
                      (struct dom_method_list){signal_statics, SQ_COUNT(signal_statics)});
    return constructor;
}

JSValue sq_dom_abort_controller_class(JSContext *ctx)
{
    return sq_dom_define(
        ctx, controller_class, "AbortController", construct_controller, 0, JS_UNDEFINED,
        (struct dom_method_list){controller_members, SQ_COUNT(controller_members)});
}
