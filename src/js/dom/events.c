/* SPDX-License-Identifier: Apache-2.0 */
/* Event, MessageEvent, CloseEvent and ErrorEvent (DOM 2.2, HTML 9.2, WebSockets 6), with k6's
 * `timestamp`. What a kind has of its own is in `detail`:
 *
 *     message: data, origin, lastEventId, source, ports      close: reason
 *     error:   message, filename, lineno, colno, error */
#include <stdlib.h>

#include "base/clock.h"
#include "js/dom/dom.h"

static JSClassID classes[4];    /* by dom_event_kind, one after another; one layout */
static JSClassID trusted_class; /* never instantiated: holds the getter of isTrusted */

static const char *const type_names[DOM_EVENT_TYPES] = {
    [DOM_OPEN] = "open", [DOM_MESSAGE] = "message", [DOM_ERROR] = "error", [DOM_CLOSE] = "close",
    [DOM_PING] = "ping", [DOM_PONG] = "pong",       [DOM_ABORT] = "abort", [DOM_DRAIN] = "drain",
};

JSAtom sq_dom_atom(const struct sq_js_instance *self, enum dom_event_type type)
{
    struct sq_js_cell *cell = self->cell;

    if (cell->event_atoms[type] == JS_ATOM_NULL)
        cell->event_atoms[type] = JS_NewAtom(cell->ctx, type_names[type]);
    return cell->event_atoms[type];
}

struct dom_event *sq_dom_event(JSValueConst value)
{
    JSClassID id;
    struct dom_event *e = JS_GetAnyOpaque(value, &id);

    return id - classes[0] < SQ_COUNT(classes) ? e : NULL;
}

static double since_start_ms(const struct sq_js_instance *self, int64_t now_ns)
{
    const struct sq_run *run = self->vu->worker->run;

    return (double)(now_ns - run->started_ns) / SQ_NS_PER_MS;
}

/* [LegacyUnforgeable], standard profile: an own accessor of each event, with the realm's getter. */
static void define_trusted(JSContext *ctx, JSValueConst object)
{
    JSValue getter = JS_GetClassProto(ctx, trusted_class);

    if (JS_IsObject(getter)) {
        JSAtom atom = JS_NewAtom(ctx, "isTrusted");
        JS_DefinePropertyGetSet(ctx, object, atom, getter, JS_UNDEFINED, JS_PROP_ENUMERABLE);
        JS_FreeAtom(ctx, atom);
    } else {
        JS_FreeValue(ctx, getter);
    }
}

/* Takes isTrusted from the prototype: events get it as their own. */
static void make_unforgeable(JSContext *ctx, JSValueConst proto)
{
    JSAtom atom = JS_NewAtom(ctx, "isTrusted");
    JSPropertyDescriptor d;

    if (JS_GetOwnProperty(ctx, &d, proto, atom) > 0) {
        JS_SetClassProto(ctx, trusted_class, d.getter);
        JS_FreeValue(ctx, d.setter);
        JS_FreeValue(ctx, d.value);
        JS_DeleteProperty(ctx, proto, atom, 0);
    }
    JS_FreeAtom(ctx, atom);
}

static void init(JSContext *ctx, struct dom_event *e, enum dom_event_kind kind, JSAtom type,
                 int64_t wall_ns)
{
    *e = (struct dom_event){.target = JS_NULL, .current_target = JS_NULL, .kind = (uint8_t)kind};
    for (size_t i = 0; i < SQ_COUNT(e->detail); i++)
        e->detail[i] = JS_UNDEFINED;
    e->type = JS_DupAtom(ctx, type);
    e->timestamp_ms = (double)(wall_ns ? wall_ns : sq_wall_ns()) / SQ_NS_PER_MS;
    e->time_stamp_ms = since_start_ms(sq_js_self(ctx), sq_now_ns());
}

static void drop(JSRuntime *rt, JSValue *value)
{
    JSValue old = *value;

    *value = JS_UNDEFINED;
    JS_FreeValueRT(rt, old);
}

static void clear(JSRuntime *rt, struct dom_event *e)
{
    JSAtom type = e->type;

    drop(rt, &e->target);
    drop(rt, &e->current_target);
    for (size_t i = 0; i < SQ_COUNT(e->detail); i++)
        drop(rt, &e->detail[i]);
    e->type = JS_ATOM_NULL;
    JS_FreeAtomRT(rt, type);
}

static JSValue new_event(JSContext *ctx, enum dom_event_kind kind, JSValueConst new_target,
                         JSAtom type, int64_t wall_ns)
{
    JSValue object = sq_dom_object(ctx, classes[kind], new_target);

    if (JS_IsException(object))
        return object;
    struct dom_event *e = sq_xmalloc(sizeof *e);
    JS_SetOpaque(object, e);
    init(ctx, e, kind, type, wall_ns);
    define_trusted(ctx, object);
    return object;
}

JSValue sq_dom_event_new(JSContext *ctx, enum dom_event_kind kind, JSAtom type, int64_t wall_ns)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    JSValue object = JS_UNDEFINED;

    if (kind == DOM_MESSAGE_EVENT && JS_IsObject(cell->event_spare)) {
        object = cell->event_spare;
        cell->event_spare = JS_UNDEFINED;
        init(ctx, sq_dom_event(object), kind, type, wall_ns);
    } else {
        object = new_event(ctx, kind, JS_UNDEFINED, type, wall_ns);
    }
    if (!JS_IsException(object))
        sq_dom_event(object)->trusted = true;
    return object;
}

void sq_dom_event_done(JSContext *ctx, JSValue event)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    struct dom_event *e = sq_dom_event(event);

    if (e->kind == DOM_MESSAGE_EVENT && !JS_IsObject(cell->event_spare) &&
        JS_IsObject(cell->event_model) && sq_js_is_untouched(event, cell->event_model)) {
        clear(JS_GetRuntime(ctx), e);
        cell->event_spare = event;
    } else {
        JS_FreeValue(ctx, event);
    }
}

void sq_dom_event_message(JSContext *ctx, JSValueConst event, JSValue data, JSValue origin)
{
    struct dom_event *e = sq_dom_event(event);

    (void)ctx;
    e->detail[0] = data;
    e->detail[1] = origin;
}

void sq_dom_event_close(JSContext *ctx, JSValueConst event, unsigned code, JSValue reason,
                        bool clean)
{
    struct dom_event *e = sq_dom_event(event);

    (void)ctx;
    e->code = (uint16_t)code;
    e->detail[0] = reason;
    e->was_clean = clean;
}

static void finalizer(JSRuntime *rt, JSValue value)
{
    struct dom_event *e = sq_dom_event(value);

    if (e)
        clear(rt, e);
    free(e);
}

static void mark_event(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    const struct dom_event *e = sq_dom_event(value);

    if (!e)
        return;
    JS_MarkValue(rt, e->target, mark);
    JS_MarkValue(rt, e->current_target, mark);
    for (size_t i = 0; i < SQ_COUNT(e->detail); i++)
        JS_MarkValue(rt, e->detail[i], mark);
}

static struct dom_event *this_event(JSContext *ctx, JSValueConst this_val)
{
    struct dom_event *e = sq_dom_event(this_val);

    if (!e)
        JS_ThrowTypeError(ctx, "the receiver is not an Event");
    return e;
}

/* ---- Event ---- */

enum {
    TYPE,
    TARGET,
    CURRENT_TARGET,
    PHASE,
    BUBBLES,
    CANCELABLE,
    COMPOSED,
    DEFAULT_PREVENTED,
    RETURN_VALUE,
    CANCEL_BUBBLE,
    TRUSTED,
    TIME_STAMP,
    TIMESTAMP,
};

static JSValue get(JSContext *ctx, JSValueConst this_val, int magic)
{
    const struct dom_event *e = this_event(ctx, this_val);

    if (!e)
        return JS_EXCEPTION;
    switch (magic) {
    case TYPE:
        return JS_AtomToString(ctx, e->type);
    case TARGET:
        return JS_DupValue(ctx, e->target);
    case CURRENT_TARGET:
        return JS_DupValue(ctx, e->current_target);
    case PHASE:
        return JS_NewInt32(ctx, e->dispatching ? 2 : 0);
    case BUBBLES:
        return JS_NewBool(ctx, e->bubbles);
    case CANCELABLE:
        return JS_NewBool(ctx, e->cancelable);
    case COMPOSED:
        return JS_NewBool(ctx, e->composed);
    case DEFAULT_PREVENTED:
        return JS_NewBool(ctx, e->canceled);
    case RETURN_VALUE:
        return JS_NewBool(ctx, !e->canceled);
    case CANCEL_BUBBLE:
        return JS_NewBool(ctx, e->stop);
    case TRUSTED:
        return JS_NewBool(ctx, e->trusted);
    case TIME_STAMP:
        return JS_NewFloat64(ctx, e->time_stamp_ms);
    default:
        return JS_NewFloat64(ctx, e->timestamp_ms);
    }
}

static void prevent(struct dom_event *e)
{
    if (e->cancelable && !e->passive)
        e->canceled = true;
}

static JSValue set(JSContext *ctx, JSValueConst this_val, JSValueConst value, int magic)
{
    struct dom_event *e = this_event(ctx, this_val);

    if (!e)
        return JS_EXCEPTION;
    if (magic == RETURN_VALUE && !JS_ToBool(ctx, value))
        prevent(e);
    else if (magic == CANCEL_BUBBLE && JS_ToBool(ctx, value))
        e->stop = true;
    return JS_UNDEFINED;
}

enum { STOP, STOP_IMMEDIATE, PREVENT, PATH, INIT, TO_JSON };

static JSValue composed_path(JSContext *ctx, const struct dom_event *e)
{
    JSValue path = JS_NewArray(ctx);

    if (!JS_IsNull(e->current_target))
        JS_SetPropertyUint32(ctx, path, 0, JS_DupValue(ctx, e->current_target));
    return path;
}

static JSValue init_event(JSContext *ctx, struct dom_event *e, int argc, JSValueConst *argv)
{
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "initEvent takes a type");
    JSValue text = JS_ToString(ctx, argv[0]);
    if (JS_IsException(text))
        return text;
    if (!e->dispatching) {
        JS_FreeAtom(ctx, e->type);
        e->type = JS_ValueToAtom(ctx, text);
        e->bubbles = argc > 1 && JS_ToBool(ctx, argv[1]);
        e->cancelable = argc > 2 && JS_ToBool(ctx, argv[2]);
        e->canceled = e->trusted = e->stop = e->stop_immediate = false;
        JS_FreeValue(ctx, e->target);
        e->target = JS_NULL;
    }
    JS_FreeValue(ctx, text);
    return JS_UNDEFINED;
}

/* Logging an event shows what k6's plain object would (1.7). */
static JSValue to_json(JSContext *ctx, JSValueConst this_val, const struct dom_event *e)
{
    static const char *const own[][3] = {
        [DOM_EVENT] = {"data", "error", NULL},
        [DOM_MESSAGE_EVENT] = {"data", "origin", NULL},
        [DOM_CLOSE_EVENT] = {"code", "reason", "wasClean"},
        [DOM_ERROR_EVENT] = {"message", "error", NULL},
    };
    static const char *const common[] = {"type", "target", "timestamp"};
    JSValue out = JS_NewObject(ctx);

    for (size_t i = 0; i < 6; i++) {
        const char *name = i < 3 ? common[i] : own[e->kind][i - 3];
        JSValue value = name ? JS_GetPropertyStr(ctx, this_val, name) : JS_UNDEFINED;
        if (JS_IsException(value)) {
            JS_FreeValue(ctx, out);
            return value;
        }
        if (!JS_IsUndefined(value))
            JS_DefinePropertyValueStr(ctx, out, name, value, JS_PROP_C_W_E);
    }
    return out;
}

static JSValue act(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
    struct dom_event *e = this_event(ctx, this_val);

    if (!e)
        return JS_EXCEPTION;
    switch (magic) {
    case STOP_IMMEDIATE:
        e->stop_immediate = true;
        e->stop = true;
        return JS_UNDEFINED;
    case STOP:
        e->stop = true;
        return JS_UNDEFINED;
    case PREVENT:
        prevent(e);
        return JS_UNDEFINED;
    case PATH:
        return composed_path(ctx, e);
    case INIT:
        return init_event(ctx, e, argc, argv);
    default:
        return to_json(ctx, this_val, e);
    }
}

#define GET(name, magic) JS_CGETSET_MAGIC_DEF(name, get, NULL, magic)
#define ACT(name, length, magic) JS_CFUNC_MAGIC_DEF(name, length, act, magic)
#define CONSTANT(name, value) JS_PROP_INT32_DEF(name, value, JS_PROP_ENUMERABLE)
#define TAG(name) JS_PROP_STRING_DEF("[Symbol.toStringTag]", name, JS_PROP_CONFIGURABLE)

static const JSCFunctionListEntry event_members[] = {
    GET("type", TYPE),
    GET("target", TARGET),
    GET("srcElement", TARGET),
    GET("currentTarget", CURRENT_TARGET),
    GET("eventPhase", PHASE),
    GET("bubbles", BUBBLES),
    GET("cancelable", CANCELABLE),
    GET("composed", COMPOSED),
    GET("defaultPrevented", DEFAULT_PREVENTED),
    JS_CGETSET_MAGIC_DEF("returnValue", get, set, RETURN_VALUE),
    JS_CGETSET_MAGIC_DEF("cancelBubble", get, set, CANCEL_BUBBLE),
    GET("isTrusted", TRUSTED),
    GET("timeStamp", TIME_STAMP),
    GET("timestamp", TIMESTAMP),
    ACT("stopPropagation", 0, STOP),
    ACT("stopImmediatePropagation", 0, STOP_IMMEDIATE),
    ACT("preventDefault", 0, PREVENT),
    ACT("composedPath", 0, PATH),
    ACT("initEvent", 1, INIT),
    ACT("toJSON", 0, TO_JSON),
    CONSTANT("NONE", 0),
    CONSTANT("CAPTURING_PHASE", 1),
    CONSTANT("AT_TARGET", 2),
    CONSTANT("BUBBLING_PHASE", 3),
    TAG("Event"),
};

/* ---- the kinds ---- */

static JSValue get_detail(JSContext *ctx, JSValueConst this_val, int magic)
{
    const struct dom_event *e = this_event(ctx, this_val);

    return e ? JS_DupValue(ctx, e->detail[magic]) : JS_EXCEPTION;
}

static JSValue get_code(JSContext *ctx, JSValueConst this_val)
{
    const struct dom_event *e = this_event(ctx, this_val);

    return e ? JS_NewInt32(ctx, e->code) : JS_EXCEPTION;
}

static JSValue get_clean(JSContext *ctx, JSValueConst this_val)
{
    const struct dom_event *e = this_event(ctx, this_val);

    return e ? JS_NewBool(ctx, e->was_clean) : JS_EXCEPTION;
}

static JSValue empty_frozen(JSContext *ctx)
{
    JSValue array = JS_NewArray(ctx);

    JS_DefinePropertyValueStr(ctx, array, "length", JS_NewInt32(ctx, 0), 0);
    JS_PreventExtensions(ctx, array);
    return array;
}

/* Trusted messages leave three members at their defaults. */
static JSValue get_rest(JSContext *ctx, JSValueConst this_val, int magic)
{
    struct dom_event *e = this_event(ctx, this_val);

    if (!e)
        return JS_EXCEPTION;
    if (JS_IsUndefined(e->detail[magic]))
        e->detail[magic] = magic == 2   ? JS_NewString(ctx, "")
                           : magic == 3 ? JS_NULL
                                        : empty_frozen(ctx);
    return JS_DupValue(ctx, e->detail[magic]);
}

#define DETAIL(name, index) JS_CGETSET_MAGIC_DEF(name, get_detail, NULL, index)

static const JSCFunctionListEntry message_members[] = {
    DETAIL("data", 0),
    DETAIL("origin", 1),
    JS_CGETSET_MAGIC_DEF("lastEventId", get_rest, NULL, 2),
    JS_CGETSET_MAGIC_DEF("source", get_rest, NULL, 3),
    JS_CGETSET_MAGIC_DEF("ports", get_rest, NULL, 4),
    TAG("MessageEvent"),
};

static const JSCFunctionListEntry close_members[] = {
    JS_CGETSET_DEF("code", get_code, NULL),
    DETAIL("reason", 0),
    JS_CGETSET_DEF("wasClean", get_clean, NULL),
    TAG("CloseEvent"),
};

static const JSCFunctionListEntry error_members[] = {
    DETAIL("message", 0), DETAIL("filename", 1), DETAIL("lineno", 2),
    DETAIL("colno", 3),   DETAIL("error", 4),    TAG("ErrorEvent"),
};

/* ---- constructors ---- */

static int read_bool(JSContext *ctx, JSValueConst init, const char *name, bool *out)
{
    JSValue value = sq_dom_member(ctx, init, name, JS_FALSE);

    if (JS_IsException(value))
        return -1;
    *out = JS_ToBool(ctx, value);
    JS_FreeValue(ctx, value);
    return 0;
}

static int read_text(JSContext *ctx, JSValueConst init, const char *name, JSValue *out)
{
    JSValue value = sq_dom_member(ctx, init, name, JS_UNDEFINED);

    if (JS_IsException(value))
        return -1;
    *out = JS_IsUndefined(value) ? JS_NewString(ctx, "") : JS_ToString(ctx, value);
    JS_FreeValue(ctx, value);
    return JS_IsException(*out) ? -1 : 0;
}

/* USVString. */
static int read_usv(JSContext *ctx, JSValueConst init, const char *name, JSValue *out)
{
    JSValue text;
    size_t len;

    if (read_text(ctx, init, name, &text) < 0)
        return -1;
    char *utf8 = sq_dom_text(ctx, text, &len);
    JS_FreeValue(ctx, text);
    if (!utf8)
        return -1;
    *out = JS_NewStringLen(ctx, utf8, len);
    free(utf8);
    return JS_IsException(*out) ? -1 : 0;
}

static int read_number(JSContext *ctx, JSValueConst init, const char *name, uint32_t *out)
{
    JSValue value = sq_dom_member(ctx, init, name, JS_NewInt32(ctx, 0));
    int rc = JS_IsException(value) ? -1 : JS_ToUint32(ctx, out, value);

    JS_FreeValue(ctx, value);
    return rc;
}

static int read_value(JSContext *ctx, JSValueConst init, const char *name, JSValue fallback,
                      JSValue *out)
{
    JSValue value = sq_dom_member(ctx, init, name, fallback);

    if (JS_IsException(value))
        return -1;
    *out = value;
    return 0;
}

/* No object is a Window, a MessagePort or a ServiceWorker here. */
static int read_source(JSContext *ctx, JSValueConst init, JSValue *out)
{
    if (read_value(ctx, init, "source", JS_NULL, out) < 0)
        return -1;
    if (JS_IsNull(*out))
        return 0;
    JS_ThrowTypeError(ctx, "MessageEvent: 'source' is not a message event source");
    return -1;
}

static int read_ports(JSContext *ctx, JSValueConst init)
{
    JSValue value = sq_dom_member(ctx, init, "ports", JS_UNDEFINED);
    uint32_t length = 1;

    if (JS_IsException(value))
        return -1;
    if (JS_IsUndefined(value))
        return 0;
    if (JS_IsArray(ctx, value) > 0) {
        JSValue number = JS_GetPropertyStr(ctx, value, "length");
        JS_ToUint32(ctx, &length, number);
        JS_FreeValue(ctx, number);
    }
    JS_FreeValue(ctx, value);
    if (length == 0)
        return 0; /* get_rest makes the empty one */
    JS_ThrowTypeError(ctx, "MessageEvent: 'ports' is not a sequence of MessagePorts");
    return -1;
}

static int read_init(JSContext *ctx, struct dom_event *e, JSValueConst init)
{
    uint32_t number = 0, column = 0;

    if (read_bool(ctx, init, "bubbles", &e->bubbles) < 0 ||
        read_bool(ctx, init, "cancelable", &e->cancelable) < 0 ||
        read_bool(ctx, init, "composed", &e->composed) < 0)
        return -1;
    switch (e->kind) {
    case DOM_MESSAGE_EVENT:
        return read_value(ctx, init, "data", JS_NULL, &e->detail[0]) < 0 ||
                       read_usv(ctx, init, "origin", &e->detail[1]) < 0 ||
                       read_text(ctx, init, "lastEventId", &e->detail[2]) < 0 ||
                       read_source(ctx, init, &e->detail[3]) < 0 || read_ports(ctx, init) < 0
                   ? -1
                   : 0;
    case DOM_CLOSE_EVENT:
        if (read_bool(ctx, init, "wasClean", &e->was_clean) < 0 ||
            read_number(ctx, init, "code", &number) < 0 ||
            read_usv(ctx, init, "reason", &e->detail[0]) < 0)
            return -1;
        e->code = (uint16_t)number;
        return 0;
    case DOM_ERROR_EVENT:
        if (read_text(ctx, init, "message", &e->detail[0]) < 0 ||
            read_text(ctx, init, "filename", &e->detail[1]) < 0 ||
            read_number(ctx, init, "lineno", &number) < 0 ||
            read_number(ctx, init, "colno", &column) < 0 ||
            read_value(ctx, init, "error", JS_UNDEFINED, &e->detail[4]) < 0)
            return -1;
        e->detail[2] = JS_NewUint32(ctx, number);
        e->detail[3] = JS_NewUint32(ctx, column);
        return 0;
    default:
        return 0;
    }
}

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv,
                         enum dom_event_kind kind)
{
    JSValueConst init = argc > 1 ? argv[1] : JS_UNDEFINED;

    if (argc < 1)
        return JS_ThrowTypeError(ctx, "an event needs a type");
    if (!JS_IsObject(init) && !JS_IsUndefined(init) && !JS_IsNull(init))
        return JS_ThrowTypeError(ctx, "the second argument of an event is not an object");
    JSValue text = JS_ToString(ctx, argv[0]);
    if (JS_IsException(text))
        return text;
    JSAtom type = JS_ValueToAtom(ctx, text);
    JS_FreeValue(ctx, text);
    JSValue object = new_event(ctx, kind, new_target, type, 0);
    JS_FreeAtom(ctx, type);
    if (!JS_IsException(object) && read_init(ctx, sq_dom_event(object), init) < 0) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    return object;
}

static JSValue construct_event(JSContext *ctx, JSValueConst new_target, int argc,
                               JSValueConst *argv)
{
    return construct(ctx, new_target, argc, argv, DOM_EVENT);
}

static JSValue construct_message(JSContext *ctx, JSValueConst new_target, int argc,
                                 JSValueConst *argv)
{
    return construct(ctx, new_target, argc, argv, DOM_MESSAGE_EVENT);
}

static JSValue construct_close(JSContext *ctx, JSValueConst new_target, int argc,
                               JSValueConst *argv)
{
    return construct(ctx, new_target, argc, argv, DOM_CLOSE_EVENT);
}

static JSValue construct_error(JSContext *ctx, JSValueConst new_target, int argc,
                               JSValueConst *argv)
{
    return construct(ctx, new_target, argc, argv, DOM_ERROR_EVENT);
}

/* ---- the classes ---- */

void sq_dom_event_class_ids(void)
{
    for (size_t i = 0; i < SQ_COUNT(classes); i++)
        sq_assert(JS_NewClassID(&classes[i]) == classes[0] + i);
    JS_NewClassID(&trusted_class);
}

void sq_dom_event_register(JSRuntime *rt)
{
    static const char *const names[] = {"Event", "MessageEvent", "CloseEvent", "ErrorEvent"};

    for (size_t i = 0; i < SQ_COUNT(classes); i++) {
        JSClassDef definition = {names[i], .finalizer = finalizer, .gc_mark = mark_event};
        JS_NewClass(rt, classes[i], &definition);
    }
    JSClassDef holder = {.class_name = "isTrusted"};
    JS_NewClass(rt, trusted_class, &holder);
}

#define LIST(members) ((struct dom_method_list){members, SQ_COUNT(members)})

struct dom_event_classes sq_dom_event_classes(JSContext *ctx)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    struct dom_event_classes c;

    c.event = sq_dom_define(ctx, classes[DOM_EVENT], "Event", construct_event, 1, JS_UNDEFINED,
                            LIST(event_members));
    JSValue proto = JS_GetClassProto(ctx, classes[DOM_EVENT]);
    if (cell->standard)
        make_unforgeable(ctx, proto);
    c.message = sq_dom_define(ctx, classes[DOM_MESSAGE_EVENT], "MessageEvent", construct_message, 1,
                              proto, LIST(message_members));
    c.close = sq_dom_define(ctx, classes[DOM_CLOSE_EVENT], "CloseEvent", construct_close, 1, proto,
                            LIST(close_members));
    c.error = sq_dom_define(ctx, classes[DOM_ERROR_EVENT], "ErrorEvent", construct_error, 1, proto,
                            LIST(error_members));
    JS_FreeValue(ctx, proto);
    JS_FreeValue(ctx, cell->event_model);
    cell->event_model = JS_NewObjectClass(ctx, (int)classes[DOM_MESSAGE_EVENT]);
    define_trusted(ctx, cell->event_model);
    return c;
}
