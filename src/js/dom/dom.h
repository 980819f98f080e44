/* SPDX-License-Identifier: Apache-2.0 */
/* What k6/websockets shares between its classes: exceptions, event targets, events, abort signals
 * and blobs, after the DOM standard and the File API. On the VU's fiber, entered; finalizers run
 * without a current VU.
 *
 * Prototypes and constructors belong to a realm and are made when the first VU of it imports the
 * module; struct dom_target comes first in every object that is an event target. */
#pragma once
#include "js/modules/modules.h"

/* ---- the realm's classes (k6_websockets.c) ---- */
struct dom_method_list {
    const JSCFunctionListEntry *items;
    int count;
};
/* Defines a class: prototype (inheriting from `parent`, or Object's when undefined), constructor,
 * constants on both. Returns the constructor. */
JSValue sq_dom_define(JSContext *ctx, JSClassID id, const char *name, JSCFunction *construct,
                      int length, JSValueConst parent, struct dom_method_list methods);
/* Makes the functions and accessors of the list enumerable on `object`, which has them. */
void sq_dom_enumerable(JSContext *ctx, JSValueConst object, struct dom_method_list members);
/* An object of the class for `new_target` (undefined: the class's own prototype). */
JSValue sq_dom_object(JSContext *ctx, JSClassID id, JSValueConst new_target);
/* Makes the realm's classes if no VU of it has asked for them yet. */
void sq_dom_need(JSContext *ctx);
/* Whether the run follows the standard where k6 differs. */
bool sq_dom_standard(const struct sq_js_instance *self);
/* Text as UTF-8, lone surrogates as U+FFFD (USVString). Owned: free. NULL: exception. */
char *sq_dom_text(JSContext *ctx, JSValueConst value, size_t *len);
/* The member, or `fallback` when it is undefined. */
JSValue sq_dom_member(JSContext *ctx, JSValueConst object, const char *name, JSValue fallback);
/* Whether an object has an iterator method (not looked at further): Web IDL's sequence. */
bool sq_dom_is_iterable(JSContext *ctx, JSValueConst value);
/* What the iterator yields, as an array. */
JSValue sq_dom_list(JSContext *ctx, JSValueConst value);
/* The bytes of an ArrayBuffer, view or DataView (a detached one has none); false for other values.
 */
bool sq_dom_bytes(JSContext *ctx, JSValueConst value, struct sq_slice *out);

/* ---- dom_exception.c ---- */
/* Throws a DOMException of that name. Returns JS_EXCEPTION. */
JSValue sq_dom_throw(JSContext *ctx, const char *name, const char *fmt, ...) SQ_PRINTF(3, 4);
JSValue sq_dom_exception_new(JSContext *ctx, const char *name, const char *message);
JSValue sq_dom_exception_class(JSContext *ctx);

/* ---- event_target.c ---- */
enum dom_listener_flags {
    DOM_CAPTURE = 1,
    DOM_ONCE = 2,
    DOM_PASSIVE = 4,
    DOM_ATTRIBUTE = 8, /* an on* attribute */
    DOM_REMOVED = 16,  /* while a dispatch walks the list */
};

struct dom_listener {
    JSValue callback;
    JSAtom type;
    unsigned flags;
};

struct dom_target {
    struct dom_listener *items; /* in order of their adding */
    uint32_t count, cap;
    uint16_t dispatching;
    bool holes;
    bool k6_rules; /* a socket: duplicates count, on* attributes go first (default profile) */
};

struct dom_event;
void sq_dom_target_free(JSRuntime *rt, struct dom_target *t);
void sq_dom_target_mark(JSRuntime *rt, const struct dom_target *t, JS_MarkFunc *mark);
/* The event target behind a value, NULL for others. */
struct dom_target *sq_dom_target(JSValueConst value);
bool sq_dom_listens(const struct dom_target *t, JSAtom type);
void sq_dom_remove_listener(JSContext *ctx, struct dom_target *t, JSAtom type,
                            JSValueConst callback, bool capture);
/* Value of an on* attribute: the handler or null. */
JSValue sq_dom_handler(JSContext *ctx, const struct dom_target *t, JSAtom type);
/* Sets it; null removes. Consumes nothing. */
void sq_dom_set_handler(JSContext *ctx, struct dom_target *t, JSAtom type, JSValueConst value);
/* Calls the listeners. `task`: from the event loop, jobs are run after each (9.3). -1: a listener
 * threw and the rest was skipped (5.3), or the VU is interrupted. `t` is part of `object`. */
int sq_dom_dispatch(JSContext *ctx, struct dom_target *t, JSValueConst object, JSValueConst event,
                    bool task);
JSValue sq_dom_event_target_class(JSContext *ctx);
/* Its prototype's methods serve every event target: the prototype, borrowed. */
JSValue sq_dom_event_target_proto(JSContext *ctx);

/* ---- events.c ---- */
enum dom_event_type { /* indexes of cell->event_atoms */
                      DOM_OPEN,
                      DOM_MESSAGE,
                      DOM_ERROR,
                      DOM_CLOSE,
                      DOM_PING,
                      DOM_PONG,
                      DOM_ABORT,
                      DOM_DRAIN, /* output fell below SQ_WS_HIGH_WATER */
                      DOM_EVENT_TYPES
};

enum dom_event_kind { DOM_EVENT, DOM_MESSAGE_EVENT, DOM_CLOSE_EVENT, DOM_ERROR_EVENT };

struct dom_event {
    JSValue target, current_target; /* null outside a dispatch */
    JSValue detail[5];              /* by kind, see events.c */
    double timestamp_ms;            /* Unix time; of a message: its arrival */
    double time_stamp_ms;           /* since the run began */
    JSAtom type;
    uint8_t kind;
    bool bubbles, cancelable, composed, trusted, was_clean;
    bool dispatching, canceled, stop, stop_immediate, passive;
    uint16_t code;
};

JSAtom sq_dom_atom(const struct sq_js_instance *self, enum dom_event_type type);
/* A trusted event; `wall_ns` 0: now. */
JSValue sq_dom_event_new(JSContext *ctx, enum dom_event_kind kind, JSAtom type, int64_t wall_ns);
/* After its dispatch. Takes the event: one of a message that the script has neither kept nor
 * changed will serve the realm's next message. */
void sq_dom_event_done(JSContext *ctx, JSValue event);
/* NULL for other values. */
struct dom_event *sq_dom_event(JSValueConst value);
/* Message: data, origin. Consume their values. */
void sq_dom_event_message(JSContext *ctx, JSValueConst event, JSValue data, JSValue origin);
void sq_dom_event_close(JSContext *ctx, JSValueConst event, unsigned code, JSValue reason,
                        bool clean);
struct dom_event_classes {
    JSValue event, message, close, error;
};
struct dom_event_classes sq_dom_event_classes(JSContext *ctx);

/* ---- abort.c ---- */
bool sq_dom_is_signal(JSValueConst value);
bool sq_dom_signal_aborted(JSValueConst signal);
/* Removes the listener when the signal aborts. */
void sq_dom_signal_guard(JSContext *ctx, JSValueConst signal, JSValueConst target, JSAtom type,
                         JSValueConst callback, bool capture);
JSValue sq_dom_abort_signal_class(JSContext *ctx);
JSValue sq_dom_abort_controller_class(JSContext *ctx);

/* ---- blob.c ---- */
/* Copies the bytes once; all slices share them. */
JSValue sq_dom_blob_new(JSContext *ctx, struct sq_slice bytes);
/* False for other values. The slice is borrowed with the blob. */
bool sq_dom_blob_bytes(JSValueConst value, struct sq_slice *out);
JSValue sq_dom_blob_class(JSContext *ctx);

/* ---- websocket_class.c ---- */
JSValue sq_dom_websocket_class(JSContext *ctx);
/* hold(socket, whether) for WebSocketStream: while true nothing is read from the socket. */
JSValue sq_dom_websocket_hold(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv);
/* isFull(socket): the peer does not keep up; `drain` fires when it does again. */
JSValue sq_dom_websocket_full(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv);

/* ---- url_class.c ---- */
/* Adds URL and URLSearchParams to the object. 0 or -1. */
int sq_dom_url_classes(JSContext *ctx, JSValueConst all);

/* A ReadableStream of the items of an array (k6_websockets.c). */
JSValue sq_dom_stream_of(JSContext *ctx, JSValueConst items);

/* Process-wide ids and a runtime's class definitions, called through k6_websockets.c. */
void sq_dom_event_target_class_ids(void);
void sq_dom_event_class_ids(void);
void sq_dom_abort_class_ids(void);
void sq_dom_blob_class_ids(void);
void sq_dom_exception_class_ids(void);
void sq_dom_websocket_class_ids(void);
void sq_dom_event_target_register(JSRuntime *rt);
void sq_dom_event_register(JSRuntime *rt);
void sq_dom_abort_register(JSRuntime *rt);
void sq_dom_blob_register(JSRuntime *rt);
void sq_dom_exception_register(JSRuntime *rt);
void sq_dom_websocket_register(JSRuntime *rt);
/* Behind sq_dom_target: NULL when the value is of another class. */
struct dom_target *sq_dom_signal_target(JSValueConst value);
struct dom_target *sq_dom_websocket_target(JSValueConst value);
