/* SPDX-License-Identifier: Apache-2.0 */
/* The JS engine as squall sees it: the only header that includes the engine's own.
 *
 * A realm (JSContext, one JSRuntime each) is shared by the VUs of a cell. What belongs to one VU
 * and lives in the engine's fields is swapped on every switch (struct sq_js_switch). One realm is
 * entered by one fiber at a time, on one thread. */
#pragma once
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wshadow"
#include "quickjs.h"
#pragma GCC diagnostic pop

#include "base/base.h"
#include "base/slab.h"

/* A VU's share of the engine's fields while another VU of its cell is in. */
struct sq_js_switch {
    JSValue global; /* the VU's own global object; its prototype is the realm's */
    uint64_t random_state;
    void *frame;   /* innermost JS frame on the VU's stack */
    void *jobs[2]; /* list head of pending jobs */
    uintptr_t stack_top, stack_limit;
};

/* A realm with every builtin, memory from `slab` (borrowed for the runtime's life). NULL: out of
 * memory. Cycle collection is off: call JS_RunGC when nothing is urgent. */
JSContext *sq_js_realm_new(struct sq_slab *slab);
void sq_js_realm_free(JSContext *ctx);

/* Makes *s ready for its first sq_js_switch_in: a fresh global object, a random seed. */
int sq_js_switch_init(JSContext *ctx, struct sq_js_switch *s);
void sq_js_switch_deinit(JSContext *ctx, struct sq_js_switch *s);
/* The fiber whose stack spans [low, top) takes the realm, and gives it up. */
void sq_js_switch_stack(struct sq_js_switch *s, uintptr_t low, uintptr_t top);
void sq_js_switch_in(JSContext *ctx, struct sq_js_switch *s);
void sq_js_switch_out(JSContext *ctx, struct sq_js_switch *s);

/* Makes the engine call its interrupt handler at the next poll. The address may be written from
 * another thread (a watchdog). */
void sq_js_poll_soon(JSContext *ctx);
int *sq_js_interrupt_counter(JSContext *ctx);
/* Throws the uncatchable exception that unwinds a script without running catch or finally. */
JSValue sq_js_throw_interrupted(JSContext *ctx);
bool sq_js_is_uncatchable(JSContext *ctx, JSValueConst exception);

/* Drops the pending jobs of the VU that is in: after an interruption. */
void sq_js_forget_jobs(JSContext *ctx);
size_t sq_js_heap_bytes(JSContext *ctx);
/* Makes the Math.random of the VU that is in reproducible (MOD-16). */
void sq_js_seed_random(JSContext *ctx, uint64_t seed);

/* Stack budget for code that runs on the thread's own stack, from here down; 0: no check. */
void sq_js_native_stack(JSContext *ctx, size_t bytes);
/* Changes when a script adds to builtins or replaces their functions. */
uint64_t sq_js_builtins_fingerprint(JSContext *ctx);

/* ---- modules: templates are compiled and resolved once a realm; VUs run copies ---- */

/* Copies the graph of JS modules under `root` (a JS_TAG_MODULE value, resolved, never linked);
 * bytecode and native modules are shared. Links the copy. JS_EXCEPTION, or a module value. */
JSValue sq_js_module_clone(JSContext *ctx, JSValueConst root);
/* Runs a linked copy; a promise (settled unless the graph awaits at top level) or JS_EXCEPTION. */
JSValue sq_js_module_evaluate(JSContext *ctx, JSValueConst module);
/* Frees the copies made since sq_js_module_clone; values taken from them live on. */
void sq_js_module_free_clone(JSContext *ctx, JSValueConst module);
/* Calls fn for each name that JS modules under `root` import from a native module that does not
 * export it, after adding the export with the value undefined (ENG-17). */
int sq_js_module_tolerate_missing(JSContext *ctx, JSValueConst root,
                                  void (*fn)(void *user, const char *module, const char *name),
                                  void *user);

/* The value a linked and evaluated module exports under `name`: undefined when there is none. */
JSValue sq_js_module_export(JSContext *ctx, JSValueConst module, const char *name);
/* Calls fn with the name of each exported function. */
void sq_js_module_each_function(JSContext *ctx, JSValueConst module,
                                void (*fn)(void *user, const char *name), void *user);
/* File name of the module whose top-level code is being evaluated: the outermost frame's. Owned:
 * JS_FreeCString. NULL when no script runs. */
const char *sq_js_outermost_module(JSContext *ctx);
/* The first module record of that name in the realm (a template), or NULL. */
JSModuleDef *sq_js_find_module(JSContext *ctx, const char *name);
bool sq_js_is_array_buffer(JSContext *ctx, JSValueConst value);
enum sq_js_kind {
    SQ_JS_OTHER,
    SQ_JS_DATE,
    SQ_JS_COLLECTION, /* Map, Set */
    SQ_JS_BYTES,      /* Uint8Array, Uint8ClampedArray */
    SQ_JS_NUMBERS,    /* other typed arrays */
};
/* By what it is, not by its constructor's name. */
enum sq_js_kind sq_js_kind(JSValueConst value);
/* 1: an ArrayBuffer, typed array or DataView, *data and *len are its bytes (none once detached).
 * 2: the same over a SharedArrayBuffer. 0: another value. Throws nothing; borrowed with the value.
 */
int sq_js_view_bytes(JSValueConst value, const uint8_t **data, size_t *len);
/* new Proxy(target, handler), whatever the script did to the global Proxy. */
JSValue sq_js_new_proxy(JSContext *ctx, JSValueConst target, JSValueConst handler);
