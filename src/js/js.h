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
/* Whether an allocation of the realm has failed since the last call. */
bool sq_js_memory_failed(JSContext *ctx);
/* Makes the Math.random of the VU that is in reproducible (MOD-16). */
void sq_js_seed_random(JSContext *ctx, uint64_t seed);

/* Stack budget for code that runs on the thread's own stack, from here down; 0: no check. */
void sq_js_native_stack(JSContext *ctx, size_t bytes);
/* The constructor, a C function, works without `new` as well: with an undefined new_target. */
void sq_js_call_without_new(JSValueConst constructor);
/* A key for properties that no script can see or list. JS_EXCEPTION: out of memory. */
JSValue sq_js_private_symbol(JSContext *ctx, const char *name);
/* Changes when a script adds to builtins or replaces their functions. */
uint64_t sq_js_builtins_fingerprint(JSContext *ctx);

/* ---- modules: templates are compiled and resolved once a realm; VUs run copies ---- */

/* The copies that belong to one VU. NULL: out of memory. */
struct sq_js_graph;
struct sq_js_graph *sq_js_graph_new(JSContext *ctx);
/* Copies what is not yet copied of the modules under `root` (a JS_TAG_MODULE value, resolved, never
 * linked), and links it; bytecode and native modules are shared. JS_EXCEPTION, or the copy of root,
 * borrowed from the graph. */
JSValue sq_js_graph_add(JSContext *ctx, struct sq_js_graph *graph, JSValueConst root);
/* Frees the copies; values taken from them live on. NULL is fine. */
void sq_js_graph_free(JSContext *ctx, struct sq_js_graph *graph);
/* Leaves the copies to the realm: when something may still point at them. */
void sq_js_graph_abandon(JSContext *ctx, struct sq_js_graph *graph);
/* Runs a linked copy; a promise (settled unless the graph awaits at top level) or JS_EXCEPTION. */
JSValue sq_js_module_evaluate(JSContext *ctx, JSValueConst module);
/* True inside the call above. */
bool sq_js_module_running(JSValueConst module);
/* What require() of a native module gives: its default object, or its namespace. */
JSValue sq_js_native_value(JSContext *ctx, JSModuleDef *m);
/* Calls fn for each name that JS modules under `root` import from a native module that does not
 * export it, after adding the export with the value undefined (ENG-17). */
int sq_js_module_tolerate_missing(JSContext *ctx, JSValueConst root,
                                  void (*fn)(void *user, const char *module, const char *name),
                                  void *user);

/* For the init of a native module that is one object: names that it does not set are undefined, as
 * properties are, and not null (ENG-17). After all others are set. */
void sq_js_module_rest_undefined(JSContext *ctx, JSModuleDef *m);

/* The value a linked and evaluated module exports under `name`: undefined when there is none. */
JSValue sq_js_module_export(JSContext *ctx, JSValueConst module, const char *name);
/* Calls fn with the name of each exported function. */
void sq_js_module_each_function(JSContext *ctx, JSValueConst module,
                                void (*fn)(void *user, const char *name), void *user);
/* File name of the module whose top-level code is being evaluated: the outermost frame's above
 * `floor` (of sq_js_frame; NULL: of all). Owned: JS_FreeCString. NULL when no script runs. */
const char *sq_js_outermost_module(JSContext *ctx, const void *floor);
/* The innermost frame, for comparing. */
void *sq_js_frame(JSContext *ctx);
/* File whose code called the native function that runs. Owned: free. NULL: unknown. */
char *sq_js_calling_file(JSContext *ctx);
/* After sq_js_native_stack: back to the limits of the fiber that is in. */
void sq_js_restore_stack(JSContext *ctx, const struct sq_js_switch *s);

/* ---- CommonJS files: module records with `init`, which runs their code ---- */

/* No import, no export, no top-level await: may be a script. */
bool sq_js_module_is_plain(JSModuleDef *m);
/* Frees a record that nothing refers to. */
void sq_js_module_drop(JSContext *ctx, JSModuleDef *m);
/* `code` is a compiled script (taken over). NULL: an exception is pending. */
JSModuleDef *sq_js_commonjs_new(JSContext *ctx, const char *name, JSValue code,
                                JSModuleInitFunc *init);
bool sq_js_module_is_commonjs(const JSModuleDef *m);
/* True if the compiled script is one function whose text has that many bytes. */
bool sq_js_is_one_function(JSValueConst code, size_t source_len);
/* A new reference to the compiled script. */
JSValue sq_js_module_code(JSContext *ctx, JSModuleDef *m);
/* Sets an export, a new one if need be, also in namespaces that are in use. Takes the value. */
int sq_js_late_export(JSContext *ctx, JSModuleDef *m, JSAtom name, JSValue value);
int sq_js_each_export(JSContext *ctx, JSModuleDef *m,
                      int (*fn)(JSContext *ctx, JSModuleDef *m, JSAtom name, void *user),
                      void *user);
/* Bytecode of a template of either kind. Owned: js_free. NULL: an exception is pending. */
uint8_t *sq_js_template_write(JSContext *ctx, JSModuleDef *m, size_t *len);
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
/* A string of bytes that are known to be ASCII. */
JSValue sq_js_ascii_new(JSContext *ctx, struct sq_slice text);
/* The bytes of a string that holds only ASCII, where they lie: borrowed with the value. False: it
 * is another value or has to be encoded. */
bool sq_js_ascii_bytes(JSValueConst value, struct sq_slice *out);
/* Nothing but the caller holds the object, weakly or not, and it has no property or prototype that
 * `model`, a new object of its class, has not: a script could not tell it from a new one. */
bool sq_js_is_untouched(JSValueConst object, JSValueConst model);
/* new Proxy(target, handler), whatever the script did to the global Proxy. */
JSValue sq_js_new_proxy(JSContext *ctx, JSValueConst target, JSValueConst handler);
