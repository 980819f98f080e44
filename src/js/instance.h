/* SPDX-License-Identifier: Apache-2.0 */
/* Script instances: the compiled test shared by all threads (bundle), the realms of a worker
 * (cells), and what one VU owns (instance). */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "js/js.h"
#include "net/cookies.h"
#include "net/net.h"
#include "vu/run.h"
#include "vu/vu.h"

/* A file that open() read during the load pass, when the set is frozen (ENG-21), or a module. */
struct sq_js_file {
    char *path; /* file:///... */
    struct sq_buf bytes;
    /* Only makers of SharedArrays opened it, which run once: its bytes are not kept after the load
     * pass, but read again should somebody ask (under files_lock). */
    bool for_shared_array, dropped;
};

struct sq_js_module {
    char *name;        /* file:///... */
    uint8_t *bytecode; /* NULL: it did not load */
    size_t bytecode_len;
    bool commonjs, meta; /* a script in a wrapper; speaks of import.meta */
};

/* Written by the main thread while it loads, read-only for every thread afterwards. */
struct sq_js_bundle {
    struct sq_config *config;
    struct sq_net_options net_options;
    struct sq_js_module *modules; /* [0] is the main one */
    size_t modules_count;
    struct sq_js_file *files;
    size_t files_count;
    pthread_mutex_t files_lock;
    struct sq_js_file *sources; /* of modules: handed in (main script, archive) or kept */
    size_t sources_count;
    bool sealed;                   /* the sources are an archive: nothing is read from elsewhere */
    bool keep_sources;             /* of every module that is loaded: for `archive` */
    struct sq_string_list exports; /* names of exported functions */
    struct sq_pair_list env;       /* borrowed strings */
    char *options_json;            /* consolidated; exported `options` of later instances */
    char *test_options_json;       /* exec.test.options */
    char *setup_data;              /* JSON text, NULL: undefined */
    FILE *console;                 /* --console-output; NULL: the log */
    const char *user_agent;
    const char *import_cache; /* a folder; NULL: the usual one, "": none */
    size_t cell_vus_max;
    bool load_pass;
    struct sq_js_stripper *stripper;   /* of types; made when needed, gone after the load pass */
    int64_t origin_ns, origin_wall_ns; /* of performance.now */
    struct sq_js_map *maps;            /* source maps (origin.c) */
    pthread_mutex_t maps_lock;
    struct sq_js_secrets *secrets; /* of --secret-source; NULL: none (k6_secrets.c) */
    bool base_mode;                /* --compatibility-mode=base: no `global` (ENG-24) */
    _Atomic int64_t http_slot_ns;  /* when the next HTTP request may start (option rps) */
    struct sq_js_shared_array *shared_arrays; /* by name; under their lock, each immutable */
    pthread_mutex_t shared_arrays_lock;
    pthread_mutex_t told_lock; /* the one thing that workers write: */
    struct sq_js_told {
        uint64_t hash, times;
    } told[64]; /* warnings that were logged; the last place is for all that found none */
    size_t told_count;
};

struct sq_js_instance;
struct sq_js_shared_array; /* modules/k6_data.c */
struct sq_js_timers;

/* What happened to a VU outside its own code: run on its fiber, one after the other, first come
 * first served (event_loop.c). */
struct sq_js_task {
    struct sq_js_task *next;
    /* 0, or -1 with an exception pending, which ends the iteration. Frees a queued task. */
    int (*run)(struct sq_js_instance *self, struct sq_js_task *task);
    void (*drop)(struct sq_js_instance *self, struct sq_js_task *task); /* instead of run */
};

/* Something that keeps the iteration going until it is removed from the instance's list: an open
 * socket, a request under way. */
struct sq_js_resource {
    struct sq_list node;
    /* The iteration failed: come to an end soon; tasks still run. With `cut`: at once, no task
     * runs any more; the resource leaves the list in the call. Runs no script. */
    void (*stop)(struct sq_js_instance *self, struct sq_js_resource *resource, bool cut);
};

/* The objects of k6/execution, one set per realm. */
enum sq_js_execution {
    SQ_EXECUTION_INSTANCE,
    SQ_EXECUTION_SCENARIO,
    SQ_EXECUTION_TEST,
    SQ_EXECUTION_VU,
    SQ_EXECUTION_TAGS,
    SQ_EXECUTION_METADATA,
    SQ_EXECUTION_METRICS,
    SQ_EXECUTION_OPTIONS,
    SQ_EXECUTION_COUNT
};

struct sq_js_cell {
    struct sq_list node;
    JSContext *ctx;
    struct sq_js_worker *worker;
    JSValue main_template;
    struct sq_js_instance *current; /* whose turn it is; NULL between */
    size_t vus;
    int loading;               /* depth of calls that may load modules: import() may not */
    char *importer;            /* owned; the file whose import is about to be loaded, or NULL */
    bool load_failed;          /* the pending exception is about a module that was being loaded */
    bool standard;             /* has the globals of --profile standard */
    uint64_t fingerprint_ours; /* what native modules added to the builtins' fingerprint */
    size_t garbage_bytes;      /* heap size after the last cycle collection */
    JSValue execution[SQ_EXECUTION_COUNT]; /* objects once the script imported the module */
    JSAtom socket_atoms[7];                /* names of the Socket's methods (k6_ws.c) */
    JSAtom event_atoms[8];                 /* event types of WebSocket and AbortSignal (events.c) */
    JSValue event_model; /* a MessageEvent that no script sees: its shape is that of all */
    JSValue event_spare; /* one that has served and is as new, or undefined */
};

struct sq_js_worker {
    struct sq_worker *worker;
    struct sq_js_bundle *bundle;
    struct sq_slab *slab;
    struct sq_net *net; /* made when first needed */
    struct sq_list cells;
    struct sq_js_cell *open_cell;
    struct sq_error net_error;        /* why net is NULL */
    _Atomic(int *) interrupt_counter; /* of the running realm: for the watchdog */
};

struct sq_js_instance {
    struct sq_js_switch engine;
    struct sq_js_cell *cell;
    struct sq_vu *vu;
    JSValue *functions; /* by scenario */
    size_t functions_count;
    uint64_t *scenario_iterations; /* started by this VU, by scenario */
    JSValue setup_data;
    JSValue module;            /* of the load instance alone; others give theirs up after init */
    struct sq_js_graph *graph; /* copies of modules, while `module` or init code needs them */
    struct sq_js_commonjs *commonjs; /* files that init code has required */
    void *frame_floor;               /* frames up to this one are of who called require() */
    struct sq_cookie_jar *jar;
    struct k6_http *http; /* of k6/http; NULL until it is needed */
    struct sq_net_counters counters, emitted;
    uint32_t connections;  /* WebSockets so far: names them in --ws-debug */
    struct sq_list timers; /* global setTimeout and setInterval, in any order */
    struct sq_js_timers *timer_index;
    struct sq_js_task *tasks, **tasks_tail;
    struct sq_js_task *offered;    /* by a loop callback that waits for it to be taken */
    struct sq_list resources;      /* of struct sq_js_resource */
    struct sq_list paused_sockets; /* of k6/websockets: not read while their messages wait */
    size_t queued_bytes;           /* of all sockets' messages that wait */
    bool sockets_paused;           /* all of them: too much waits */
    uint64_t turn;                 /* counts drained microtask queues: a script sees no change
                                      of bufferedAmount within one */
    bool in_loop;                  /* the VU waits for tasks */
    bool draining;                 /* the iteration has failed, what is open comes to its end */
    struct sq_list rejections;     /* promises rejected without a handler, so far */
    struct sq_list sessions;       /* open k6/ws sessions, innermost last */
    uint32_t timer_id_last;
    char *group; /* path of the current group, "::a::b"; NULL: root. Owned by group() */
    bool in_init;
    bool in_shared_array; /* the function that makes one runs */
    bool aborted;         /* exec.test.abort: unwinding */
    bool setup_data_ready;
};

/* The instance whose code runs in the realm; never NULL inside a native function. */
struct sq_js_instance *sq_js_self(JSContext *ctx);
struct sq_net *sq_js_net(struct sq_js_instance *self);

extern const struct sq_script_ops sq_js_ops;

/* Looks for garbage in cycles if the cell's heap has grown much; one comparison otherwise. On a
 * fiber of the cell, between calls of the script. */
void sq_js_collect_garbage(struct sq_js_cell *cell);

/* A realm without templates: for the load pass. Everything below on the worker's thread. */
struct sq_js_cell *sq_js_new_cell(struct sq_js_worker *w);
struct sq_js_instance *sq_js_instance_new(struct sq_js_cell *cell, struct sq_vu *vu);
/* Runs the init code; on the VU's fiber, entered. keep_module: exports stay reachable by name. */
int sq_js_instance_init(struct sq_js_instance *self, bool keep_module, struct sq_error *err);

/* A file of the test, named as for open(): its bytes stay where they are until the bundle goes, the
 * struct itself only until the next call. NULL with words. */
const struct sq_js_file *sq_js_open_file(JSContext *ctx, const char *path, struct sq_error *err);
/* After the load pass, before there are workers. */
void sq_js_drop_shared_files(struct sq_js_bundle *bundle);

/* How often any thread has asked about this text, this time included: for warnings that many VUs
 * would repeat. When 63 texts are known the others are counted as one. */
uint64_t sq_js_times(struct sq_js_bundle *bundle, const char *text);
bool sq_js_first_time(struct sq_js_bundle *bundle, const char *text);

/* ---- values (convert.c) ---- */
/* Throws an Error whose name is GoError (MOD-2), or a TypeError. */
JSValue sq_js_throw(JSContext *ctx, const char *fmt, ...) SQ_PRINTF(2, 3);
/* Text for a person: "Error: message\n\tat f (file:1:2)". Consumes the value. Owned: free. */
char *sq_js_exception_text(JSContext *ctx, JSValue exception);
/* k6's stringification: as String(value), but symbols give their description. Owned:
 * JS_FreeCString. */
const char *sq_js_text(JSContext *ctx, JSValueConst value, size_t *len);
/* Calls fn for each own enumerable string key in order; stops at the first non-zero result. -1: an
 * exception is pending. `key` and `value` are borrowed. */
int sq_js_each_key(JSContext *ctx, JSValueConst object,
                   int (*fn)(JSContext *ctx, void *user, const char *key, JSValueConst value),
                   void *user);
/* Tags from a params object (WS-16, MET-22): a new reference, `base` plus the tags; NULL: an
 * exception is pending. */
struct sq_tagset *sq_js_tags(JSContext *ctx, struct sq_tagset *base, JSValueConst object);
/* Lone surrogates, which the engine writes as ED A0..BF xx, become U+FFFD: three bytes as well. */
void sq_js_replace_surrogates(char *text, size_t len);
/* "Uint8Array", "Object", "number", "undefined": for messages. Owned: free. */
char *sq_js_type_name(JSContext *ctx, JSValueConst value);
/* The bytes of an ArrayBuffer or view; NULL without an exception for other values. */
const uint8_t *sq_js_bytes(JSContext *ctx, JSValueConst value, size_t *len);

/* ---- setup_data.c ---- */
/* What setup() returned as JSON for the VUs (ENG-37). Owned: free. NULL with words for what has no
 * such form: functions, NaN, cycles. */
char *sq_js_data_json(JSContext *ctx, JSValueConst value, struct sq_error *err);

/* ---- running (event_loop.c) ---- */
/* Drains pending jobs; bounded and interruptible. -1: the instance is interrupted. */
int sq_js_run_jobs(struct sq_js_instance *self);
/* Runs jobs, timers and tasks until nothing is pending and no resource is left, `promise` is
 * rejected (undefined: no promise), or an interruption. 0, SQ_ECANCELLED, or SQ_ESCRIPT after an
 * uncaught exception (logged, and all that was open has ended). */
int sq_js_run_events(struct sq_js_instance *self, JSValueConst promise);
/* The same for an iteration, which has no frame on the stack and no promise: parks the VU instead
 * of waiting (SQ_JS_PARKED), and goes on when called again. */
int sq_js_run_events_or_park(struct sq_js_instance *self);
enum { SQ_JS_PARKED = 1 };
/* Ends what is open after an exception: timers are dropped with a warning each, sockets say
 * goodbye, their last events reach the script. On the fiber. */
void sq_js_drain(struct sq_js_instance *self);
/* Ends what is open at once, without the script. */
void sq_js_cut(struct sq_js_instance *self, bool warn);
/* Queues a task, owned until it is run or dropped. On the worker's thread. */
void sq_js_post(struct sq_js_instance *self, struct sq_js_task *task);
/* On the loop's stack: runs the task now if the VU waits for nothing else. False: it did not run,
 * and may be posted. Its `run` takes what it needs from the task before it calls the script: the
 * task is the caller's and may be gone when the script waits. */
bool sq_js_offer(struct sq_js_instance *self, struct sq_js_task *task);
/* Drops tasks that are queued for one owner. */
void sq_js_drop_tasks(struct sq_js_instance *self,
                      bool (*wanted)(const struct sq_js_task *task, const void *owner),
                      const void *owner);
/* Runs what is due of the global timers now; for loops that wait for something else meanwhile. -1:
 * a callback threw, the exception is pending. (timers.c, as the four below) */
int sq_js_run_due_timers(struct sq_js_instance *self);
/* Deadline of the next global timer, INT64_MAX: none. */
int64_t sq_js_next_timer_ns(const struct sq_js_instance *self);
void sq_js_drop_timers(struct sq_js_instance *self, bool warn);
void sq_js_timers_free(struct sq_js_instance *self);
/* The global setTimeout, whatever the script made of that name. */
JSValue sq_js_set_timeout(JSContext *ctx, int argc, JSValueConst *argv);
void sq_js_event_loop_globals(JSContext *ctx, JSValueConst global);
/* Logs and forgets rejections that nobody handled. Returns how many. */
size_t sq_js_report_rejections(struct sq_js_instance *self);
void sq_js_forget_rejections(struct sq_js_instance *self);
void sq_js_track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason,
                           JS_BOOL is_handled, void *opaque);
/* Logs an uncaught exception with the scenario it happened in. Consumes it. */
void sq_js_log_exception(struct sq_js_instance *self, JSValue exception, const char *prefix);

/* ---- text_coding.c ---- */
void sq_js_text_coding_class_ids(void);
/* TextEncoder and TextDecoder. */
void sq_js_text_coding_globals(JSContext *ctx, JSValueConst global);
/* Appends the bytes as valid UTF-8: U+FFFD stands for what is not. 0, SQ_ETOOBIG or -ENOMEM. */
int sq_js_decode_utf8(const uint8_t *in, size_t len, struct sq_buf *out);

/* ---- globals_*.c ---- */
void sq_js_clone_class_ids(void);
void sq_js_clone_globals(JSContext *ctx, JSValueConst global);  /* structuredClone */
void sq_js_base64_globals(JSContext *ctx, JSValueConst global); /* atob, btoa */
void sq_js_performance_globals(JSContext *ctx, JSValueConst global);

/* ---- console.c ---- */
void sq_js_console_globals(JSContext *ctx, JSValueConst global);
/* ENG-221 rendering of one console argument at top level. */
void sq_js_render(JSContext *ctx, struct sq_buf *out, JSValueConst value);

/* ---- loader.c ---- */
/* Absolute name of `specifier` imported by `base`: a built-in's own name, file:///... or
 * https://... Owned: free. NULL with words. */
char *sq_js_resolve_specifier(const char *base, const char *specifier, struct sq_error *err);
/* Reads a file named by path or file:// URL. */
int sq_js_read_file(const char *name, struct sq_buf *out, struct sq_error *err);
/* `path` as seen from the file `base`, a file:// URL; owned: free. */
char *sq_js_join_file(const char *base, const char *path);
/* A module's text, from the network if it is there; only while the script loads. */
int sq_js_read_module(struct sq_js_bundle *bundle, const char *name, struct sq_buf *out,
                      struct sq_error *err);
/* Copies it for an archive, if one is being made. */
void sq_js_keep_source(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source);

/* The source map that a module names, if any; what is wrong with it is a warning. (origin.c) */
void sq_js_note_map(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source);
/* Appends a line of a stack trace, with the position that its source map knows. Any thread. */
void sq_js_put_frame(struct sq_js_bundle *bundle, struct sq_slice frame, struct sq_buf *out);
void sq_js_maps_free(struct sq_js_map *maps);

enum { SQ_JS_COMMONJS_HEAD_BYTES = 38 }; /* before a CommonJS file's own text */
/* A module or file of the test by its absolute name: from an archive, if the test is one. */
int sq_js_read_source(const struct sq_js_bundle *bundle, const char *name, struct sq_buf *out,
                      struct sq_error *err);
int sq_js_install_loader(struct sq_js_cell *cell);
/* The template of a module that was not imported, in the load pass; on the fiber of the VU that is
 * in. NULL: an exception is pending. */
JSModuleDef *sq_js_load_late(struct sq_js_instance *self, const char *name);
/* Room for parsing deep sources: more than a fiber's stack. */
enum { SQ_JS_COMPILE_STACK_BYTES = 4 * 1024 * 1024 };
bool sq_js_name_ends(const char *name, const char *suffix);
/* NULL: an exception is pending. */
JSModuleDef *sq_js_load_builtin(JSContext *ctx, const char *name);
/* Compiles the main script (a path or an absolute name) and all it imports; fills bundle->modules.
 */
int sq_js_compile(struct sq_js_cell *cell, const char *path, struct sq_error *err);
/* Reads bundle->modules into another realm. */
int sq_js_load_templates(struct sq_js_cell *cell, struct sq_error *err);

/* ---- commonjs.c ---- */
/* Compiles a file as the body of a function of module, exports and require (ENG-15). NULL: an
 * exception is pending. */
JSModuleDef *sq_js_commonjs_compile(JSContext *ctx, const char *name, const struct sq_buf *source);
/* The template of a file that was compiled elsewhere. Takes the code. */
JSModuleDef *sq_js_commonjs_template(JSContext *ctx, const char *name, JSValue code);
/* The global require(). */
JSValue sq_js_require(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv);
/* After the init code: forgets what was required. */
void sq_js_commonjs_end(struct sq_js_instance *self);

/* ---- remote.c ---- */
/* The text of an https:// module: from its server, or what the server last gave. Blocks for up to a
 * minute. */
int sq_js_fetch_module(struct sq_js_bundle *bundle, const char *url, struct sq_buf *out,
                       struct sq_error *err);

/* ---- typescript.c ---- */
/* JavaScript of the same lines (ENG-18). 0, SQ_ESCRIPT for what is not TypeScript either, or
 * SQ_EINVALID in a build without a stripper; with words. On a stack that has room. */
int sq_js_strip_types(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source,
                      struct sq_buf *out, struct sq_error *err);
void sq_js_stripper_free(struct sq_js_stripper *stripper);

/* ---- modules.c ---- */
struct sq_js_builtin {
    const char *name;
    int (*init)(JSContext *ctx, JSModuleDef *m);
    const char *const *exports; /* NULL-terminated, "default" included */
};
const struct sq_js_builtin *sq_js_find_builtin(const char *name);
/* Today's name of a module that old scripts import by another; NULL: it has no other. */
const char *sq_js_renamed_builtin(const char *name);
/* Why a known module of k6 is not here, NULL for unknown names. */
const char *sq_js_builtin_excuse(const char *name);
const char *sq_js_nearest_builtin(const char *name);
/* Registers the classes of all modules with a fresh runtime. */
void sq_js_register_classes(JSContext *ctx);
/* Sets each exported function of the list and the default object that holds them all. */
int sq_js_export_functions(JSContext *ctx, JSModuleDef *m, const JSCFunctionListEntry *list,
                           int count);
