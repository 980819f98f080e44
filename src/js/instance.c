/* SPDX-License-Identifier: Apache-2.0 */
/* Cells, instances and what the vu layer asks of them (struct sq_script_ops). */
#include "js/instance.h"

#include <stdio.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/modules/modules.h"

struct sq_js_instance *sq_js_self(JSContext *ctx)
{
    return ((struct sq_js_cell *)JS_GetContextOpaque(ctx))->current;
}

struct sq_net *sq_js_net(struct sq_js_instance *self)
{
    struct sq_js_worker *w = self->cell->worker;

    if (!w->net && !w->net_error.code &&
        sq_net_new(w->worker->loop, &w->bundle->net_options, &w->net, &w->net_error) < 0)
        w->net = NULL;
    return w->net;
}

uint64_t sq_js_times(struct sq_js_bundle *bundle, const char *text)
{
    uint64_t hash = UINT64_C(1469598103934665603);
    size_t at = 0;

    for (const char *p = text; *p; p++)
        hash = (hash ^ (uint8_t)*p) * UINT64_C(1099511628211);
    pthread_mutex_lock(&bundle->told_lock);
    while (at < bundle->told_count && bundle->told[at].hash != hash)
        at++;
    if (at == bundle->told_count && at < SQ_COUNT(bundle->told) - 1)
        bundle->told[bundle->told_count++].hash = hash;
    uint64_t times = ++bundle->told[at].times;
    pthread_mutex_unlock(&bundle->told_lock);
    return times;
}

bool sq_js_first_time(struct sq_js_bundle *bundle, const char *text)
{
    return sq_js_times(bundle, text) == 1;
}

/* ---- globals ---- */

static JSValue get_vu(JSContext *ctx, JSValueConst this_val)
{
    (void)this_val;
    return JS_NewUint32(ctx, sq_js_self(ctx)->vu->id);
}

static void add_env(JSContext *ctx, JSValueConst object, const struct sq_key_value *items,
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        JS_DefinePropertyValueStr(ctx, object, items[i].key, JS_NewString(ctx, items[i].value),
                                  JS_PROP_C_W_E);
}

/* Made when first looked at: most VUs of most tests never do. Becomes the VU's own property. */
static JSValue get_env(JSContext *ctx, JSValueConst this_val)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_js_bundle *bundle = self->cell->worker->bundle;
    JSValue env = JS_NewObject(ctx), global = JS_GetGlobalObject(ctx);

    (void)this_val;
    add_env(ctx, env, bundle->env.items, bundle->env.count);
    if (self->vu->scenario != SIZE_MAX && !self->in_init) {
        const struct sq_scenario *s = &bundle->config->scenarios[self->vu->scenario];
        add_env(ctx, env, s->env, s->env_count);
    }
    if (sq_config_feature(bundle->config, "freeze-env"))
        env = sq_js_deep_freeze(ctx, env);
    JS_DefinePropertyValueStr(ctx, global, "__ENV", JS_DupValue(ctx, env),
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    JS_FreeValue(ctx, global);
    return env;
}

/* The global object by another name: the VU's own, never the realm's, which VUs share. */
static JSValue get_global(JSContext *ctx, JSValueConst this_val, int which)
{
    (void)this_val, (void)which;
    return JS_GetGlobalObject(ctx);
}

/* A script may call something else so. */
static JSValue set_global(JSContext *ctx, JSValueConst this_val, JSValueConst value, int which)
{
    JSValue global = JS_GetGlobalObject(ctx);
    int rc = JS_DefinePropertyValueStr(ctx, global, which ? "self" : "global",
                                       JS_DupValue(ctx, value), JS_PROP_C_W_E);

    (void)this_val;
    JS_FreeValue(ctx, global);
    return rc < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

/* HTML 8.1.4.6, without the event: there is no global event target. */
static JSValue report_error(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "reportError() needs a value");
    sq_js_log_exception(sq_js_self(ctx), JS_DupValue(ctx, argv[0]), "Uncaught ");
    return JS_UNDEFINED;
}

static JSValue run_microtask(JSContext *ctx, int argc, JSValueConst *argv)
{
    (void)argc;
    return JS_Call(ctx, argv[0], JS_UNDEFINED, 0, NULL);
}

static JSValue queue_microtask(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    if (!JS_IsFunction(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "queueMicrotask() needs a function");
    return JS_EnqueueJob(ctx, run_microtask, 1, argv) < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

static const JSCFunctionListEntry global_names[] = {
    JS_CGETSET_MAGIC_DEF("global", get_global, set_global, 0),
    JS_CGETSET_MAGIC_DEF("self", get_global, set_global, 1),
    JS_CFUNC_DEF("reportError", 1, report_error),
    JS_CFUNC_DEF("queueMicrotask", 1, queue_microtask),
};

enum { TRIM_BYTES = 1 << 20 };

static struct sq_js_file *find_file(struct sq_js_bundle *bundle, const char *name)
{
    for (size_t i = 0; i < bundle->files_count; i++)
        if (strcmp(bundle->files[i].path, name) == 0)
            return &bundle->files[i];
    return NULL;
}

static struct sq_js_file *read_file(struct sq_js_bundle *bundle, const char *name,
                                    struct sq_error *err)
{
    struct sq_js_file file = {0};

    if (sq_js_read_source(bundle, name, &file.bytes, err) < 0) {
        sq_buf_deinit(&file.bytes);
        return NULL;
    }
    sq_buf_cstr(&file.bytes);
    file.path = sq_xstrdup(name);
    bundle->files = sq_xrealloc(bundle->files, (bundle->files_count + 1) * sizeof file);
    bundle->files[bundle->files_count] = file;
    return &bundle->files[bundle->files_count++];
}

/* -1 with words: it cannot be read any more. */
static int restore_file(struct sq_js_bundle *bundle, struct sq_js_file *file, struct sq_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&bundle->files_lock);
    if (file->dropped && (rc = sq_js_read_source(bundle, file->path, &file->bytes, err)) == 0) {
        sq_buf_cstr(&file->bytes);
        file->dropped = false;
    }
    pthread_mutex_unlock(&bundle->files_lock);
    return rc < 0 ? -1 : 0;
}

void sq_js_drop_shared_files(struct sq_js_bundle *bundle)
{
    size_t bytes = 0;

    for (size_t i = 0; i < bundle->files_count; i++) {
        struct sq_js_file *file = &bundle->files[i];
        if (!file->for_shared_array)
            continue;
        bytes += file->bytes.len;
        sq_buf_deinit(&file->bytes);
        file->bytes = (struct sq_buf){0};
        file->dropped = true;
    }
#ifdef __GLIBC__
    /* What parsing them took lies scattered; the allocator would keep it for ever. */
    if (bytes > TRIM_BYTES)
        malloc_trim(0);
#endif
}

const struct sq_js_file *sq_js_open_file(JSContext *ctx, const char *path, struct sq_error *err)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    struct sq_js_bundle *bundle = self->cell->worker->bundle;
    struct sq_js_file *file = NULL;

    if (!*path) {
        sq_error_set(err, SQ_EINVALID, "open() needs the name of a file");
        return NULL;
    }
    const char *base = sq_js_outermost_module(ctx, self->frame_floor);
    /* A bare name is a file beside the module here, unlike in an import. */
    char *relative =
        *path == '/' || strstr(path, "://") ? sq_xstrdup(path) : sq_xasprintf("./%s", path);
    char *name = sq_js_resolve_specifier(base ? base : "/", relative, err);
    if (name && !(file = find_file(bundle, name))) {
        if (bundle->load_pass) {
            file = read_file(bundle, name, err);
            if (file)
                file->for_shared_array = true;
        } else {
            sq_error_set(err, SQ_EINVALID,
                         "open('%s'): only files opened in the first pass over the init code "
                         "(__VU is 0 there) can be opened later",
                         path);
        }
    }
    if (file && bundle->load_pass)
        file->for_shared_array &= self->in_shared_array;
    else if (file && file->for_shared_array && restore_file(bundle, file, err) < 0)
        file = NULL;
    free(name);
    free(relative);
    JS_FreeCString(ctx, base);
    return file;
}

static JSValue open_file(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_error err = {0};

    (void)this_val;
    if (!sq_js_self(ctx)->in_init)
        return sq_js_throw(ctx, "the \"open\" function is only available in the init stage");
    const char *path = argc > 0 ? JS_ToCString(ctx, argv[0]) : NULL;
    const struct sq_js_file *file = sq_js_open_file(ctx, path ? path : "", &err);
    JS_FreeCString(ctx, path);
    if (!file)
        return sq_js_throw(ctx, "%s", err.text);
    const char *mode = argc > 1 ? JS_ToCString(ctx, argv[1]) : NULL;
    bool binary = mode && strcmp(mode, "b") == 0;
    JS_FreeCString(ctx, mode);
    return binary ? JS_NewArrayBufferCopy(ctx, file->bytes.data, file->bytes.len)
                  : JS_NewStringLen(ctx, (const char *)file->bytes.data, file->bytes.len);
}

static const JSCFunctionListEntry globals[] = {
    JS_CGETSET_DEF("__VU", get_vu, NULL),
    JS_CGETSET_DEF("__ENV", get_env, NULL),
    JS_CFUNC_DEF("open", 2, open_file),
    JS_CFUNC_DEF("require", 1, sq_js_require),
};

/* ---- cells ---- */

static int interrupt(JSRuntime *rt, void *opaque)
{
    struct sq_js_cell *cell = opaque;
    struct sq_js_instance *self = cell->current;

    (void)rt;
    if (!self)
        return 0;
    if (!self->vu->interrupted && !self->aborted && self->vu->worker->current == self->vu)
        sq_vu_yield_if_due(self->vu, sq_now_ns());
    return self->vu->interrupted || self->aborted;
}

static void free_cell(struct sq_js_cell *cell)
{
    JSContext *ctx = cell->ctx;

    sq_list_remove(&cell->node);
    JS_FreeValue(ctx, cell->main_template);
    for (size_t i = 0; i < SQ_COUNT(cell->socket_atoms); i++)
        JS_FreeAtom(ctx, cell->socket_atoms[i]);
    for (size_t i = 0; i < SQ_COUNT(cell->event_atoms); i++)
        JS_FreeAtom(ctx, cell->event_atoms[i]);
    JS_FreeValue(ctx, cell->event_spare);
    JS_FreeValue(ctx, cell->event_model);
    for (size_t i = 0; i < SQ_COUNT(cell->execution); i++)
        JS_FreeValue(ctx, cell->execution[i]);
    sq_js_realm_free(ctx);
    free(cell->importer);
    free(cell);
}

static bool standard_profile(const struct sq_js_worker *w)
{
    const char *profile = w->bundle->config->profile;

    return profile && strcmp(profile, "standard") == 0;
}

static struct sq_js_cell *new_cell(struct sq_js_worker *w)
{
    struct sq_js_cell *cell = sq_xcalloc(1, sizeof *cell);

    cell->worker = w;
    cell->main_template = JS_UNDEFINED;
    cell->event_model = cell->event_spare = JS_UNDEFINED;
    cell->ctx = sq_js_realm_new(w->slab);
    if (!cell->ctx)
        sq_panic("out of memory for a script realm");
    JS_SetContextOpaque(cell->ctx, cell);
    JS_SetInterruptHandler(JS_GetRuntime(cell->ctx), interrupt, cell);
    JS_SetHostPromiseRejectionTracker(JS_GetRuntime(cell->ctx), sq_js_track_rejection, cell);
    sq_js_install_loader(cell);
    sq_js_register_classes(cell->ctx);
    JSValue global = JS_GetGlobalObject(cell->ctx);
    JS_SetPropertyFunctionList(cell->ctx, global, globals, SQ_COUNT(globals));
    if (!w->bundle->base_mode)
        JS_SetPropertyFunctionList(cell->ctx, global, &global_names[0], 1);
    cell->standard = standard_profile(w);
    if (cell->standard) {
        JS_SetPropertyFunctionList(cell->ctx, global, &global_names[1], SQ_COUNT(global_names) - 1);
        sq_k6_websockets_prepare(cell->ctx);
    }
    sq_js_console_globals(cell->ctx, global);
    sq_js_text_coding_globals(cell->ctx, global);
    sq_k6_crypto_global(cell->ctx, global);
    sq_js_clone_globals(cell->ctx, global);
    sq_js_base64_globals(cell->ctx, global);
    sq_js_performance_globals(cell->ctx, global);
    sq_js_event_loop_globals(cell->ctx, global);
    JS_FreeValue(cell->ctx, global);
    sq_list_append(&w->cells, &cell->node);
    return cell;
}

struct sq_js_cell *sq_js_new_cell(struct sq_js_worker *w)
{
    return new_cell(w);
}

static struct sq_js_cell *cell_with_room(struct sq_js_worker *w, struct sq_error *err)
{
    if (w->open_cell && w->open_cell->vus < w->bundle->cell_vus_max)
        return w->open_cell;
    struct sq_js_cell *cell = new_cell(w);
    if (sq_js_load_templates(cell, err) < 0) {
        free_cell(cell);
        return NULL;
    }
    w->open_cell = cell;
    return cell;
}

/* At the next call when the heap has doubled since: long sessions may make garbage in cycles too.
 */
void sq_js_collect_garbage(struct sq_js_cell *cell)
{
    enum { SLACK_BYTES = 2 * 1024 * 1024 };
    size_t bytes = sq_js_heap_bytes(cell->ctx);

    if (SQ_LIKELY(bytes < cell->garbage_bytes * 2 + SLACK_BYTES))
        return;
    JS_RunGC(JS_GetRuntime(cell->ctx));
    cell->garbage_bytes = sq_js_heap_bytes(cell->ctx);
}

/* ---- ops: workers ---- */

static int worker_open(struct sq_worker *worker, struct sq_error *err)
{
    struct sq_js_worker *w = sq_xcalloc(1, sizeof *w);

    (void)err;
    w->worker = worker;
    w->bundle = worker->run->script;
    w->slab = sq_slab_new();
    sq_list_init(&w->cells);
    worker->script = w;
    return 0;
}

static void worker_close(struct sq_worker *worker)
{
    struct sq_js_worker *w = worker->script;

    if (!w)
        return;
    sq_net_free(w->net);
    SQ_LIST_FOR_EACH (node, &w->cells)
        free_cell(SQ_CONTAINER_OF(node, struct sq_js_cell, node));
    sq_slab_free(w->slab);
    free(w);
    worker->script = NULL;
}

static bool worker_busy(struct sq_worker *worker)
{
    const struct sq_js_worker *w = worker->script;

    return w->net && sq_net_lingering(w->net) > 0;
}

static void poke(struct sq_worker *worker)
{
    struct sq_js_worker *w = worker->script;
    int *counter = atomic_load_explicit(&w->interrupt_counter, memory_order_acquire);

    /* A race with the engine's own countdown loses at most one poke; there is another soon. */
    if (counter)
        *(volatile int *)counter = 1;
}

/* ---- ops: instances ---- */

static void enter(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;
    struct sq_fiber *fiber = vu->fiber;

    sq_js_switch_stack(&self->engine, (uintptr_t)sq_fiber_stack_low(fiber),
                       (uintptr_t)sq_fiber_stack_top(fiber));
    sq_js_switch_in(self->cell->ctx, &self->engine);
    self->cell->current = self;
    atomic_store_explicit(&self->cell->worker->interrupt_counter,
                          sq_js_interrupt_counter(self->cell->ctx), memory_order_release);
}

static void leave(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;

    atomic_store_explicit(&self->cell->worker->interrupt_counter, NULL, memory_order_release);
    self->cell->current = NULL;
    sq_js_switch_out(self->cell->ctx, &self->engine);
}

static int script_error(JSContext *ctx, struct sq_error *err)
{
    char *text = sq_js_exception_text(ctx, JS_GetException(ctx));

    sq_error_set(err, SQ_ESCRIPT, "%s", text);
    free(text);
    return SQ_ESCRIPT;
}

/* Runs the module graph's code and waits for top-level awaits. */
static int evaluate(struct sq_js_instance *self, JSValueConst module, struct sq_error *err)
{
    JSContext *ctx = self->cell->ctx;
    JSValue promise = sq_js_module_evaluate(ctx, module);
    int rc = 0;

    if (JS_IsException(promise))
        return script_error(ctx, err);
    int ran = sq_js_run_events(self, promise);
    if (ran == SQ_ECANCELLED)
        rc = sq_error_set(err, SQ_ECANCELLED, "the init code was interrupted");
    else if (ran < 0)
        rc = sq_error_set(err, ran, "the init code failed; see above");
    else if (JS_PromiseState(ctx, promise) == JS_PROMISE_PENDING)
        rc = sq_error_set(err, SQ_ESCRIPT, "the init code awaits a promise that never settles");
    if (rc == 0 && JS_PromiseState(ctx, promise) == JS_PROMISE_REJECTED) {
        JS_Throw(ctx, JS_PromiseResult(ctx, promise));
        rc = script_error(ctx, err);
    }
    JS_FreeValue(ctx, promise);
    /* The graph's own promises are rejected with it: not news. */
    sq_js_forget_rejections(self);
    return rc;
}

static int overwrite_options(struct sq_js_instance *self, JSValueConst module)
{
    const char *json = self->cell->worker->bundle->options_json;
    JSContext *ctx = self->cell->ctx;

    if (!json)
        return 0;
    JSValue options = sq_js_module_export(ctx, module, "options");
    if (JS_IsObject(options)) {
        JSValue values = JS_ParseJSON(ctx, json, strlen(json), "options");
        JSPropertyEnum *keys = NULL;
        uint32_t count = 0;
        if (JS_IsObject(values) &&
            JS_GetOwnPropertyNames(ctx, &keys, &count, values, JS_GPN_STRING_MASK) == 0)
            for (uint32_t i = 0; i < count; i++) {
                JSValue value = JS_GetProperty(ctx, values, keys[i].atom);
                if (JS_IsNull(value) || JS_SetProperty(ctx, options, keys[i].atom, value) < 0)
                    JS_FreeValue(ctx, JS_HasException(ctx) ? JS_GetException(ctx) : JS_UNDEFINED);
                JS_FreeAtom(ctx, keys[i].atom);
            }
        js_free(ctx, keys);
        JS_FreeValue(ctx, values);
    }
    JS_FreeValue(ctx, options);
    return 0;
}

struct sq_js_instance *sq_js_instance_new(struct sq_js_cell *cell, struct sq_vu *vu)
{
    struct sq_js_instance *self = sq_xcalloc(1, sizeof *self);

    self->cell = cell;
    self->vu = vu;
    self->setup_data = self->module = JS_UNDEFINED;
    sq_list_init(&self->timers);
    sq_list_init(&self->rejections);
    sq_list_init(&self->sessions);
    sq_list_init(&self->resources);
    sq_list_init(&self->paused_sockets);
    self->tasks_tail = &self->tasks;
    if (sq_js_switch_init(cell->ctx, &self->engine) < 0)
        sq_panic("out of memory for a VU's globals");
    if (cell->standard)
        sq_k6_websockets_globals(cell->ctx, self->engine.global);
    cell->vus++;
    vu->script = self;
    return self;
}

/* The scenario functions, by name; found while the module records are there. */
static void find_functions(struct sq_js_instance *self, JSValueConst module)
{
    const struct sq_config *config = self->cell->worker->bundle->config;

    self->functions = sq_xcalloc(config->scenarios_count + 1, sizeof *self->functions);
    self->functions_count = config->scenarios_count;
    self->scenario_iterations = sq_xcalloc(config->scenarios_count + 1, sizeof(uint64_t));
    for (size_t i = 0; i < config->scenarios_count; i++)
        self->functions[i] =
            sq_js_module_export(self->cell->ctx, module, config->scenarios[i].exec);
}

static void free_graph(struct sq_js_instance *self)
{
    sq_js_graph_free(self->cell->ctx, self->graph);
    self->graph = NULL;
}

int sq_js_instance_init(struct sq_js_instance *self, bool keep_module, struct sq_error *err)
{
    JSContext *ctx = self->cell->ctx;

    self->graph = sq_js_graph_new(ctx);
    if (!self->graph)
        sq_panic("out of memory for a VU's modules");
    JSValue module = sq_js_graph_add(ctx, self->graph, self->cell->main_template);
    if (JS_IsException(module))
        return script_error(ctx, err);
    self->in_init = true;
    int rc = evaluate(self, module, err);
    self->in_init = false;
    sq_js_commonjs_end(self);
    if (rc < 0)
        return rc;
    overwrite_options(self, module);
    find_functions(self, module);
    if (keep_module)
        self->module = module;
    else
        free_graph(self);
    return 0;
}

static int vu_open(struct sq_vu *vu, struct sq_error *err)
{
    struct sq_js_cell *cell = cell_with_room(vu->worker->script, err);

    if (!cell)
        return err->code;
    struct sq_js_instance *self = sq_js_instance_new(cell, vu);
    enter(vu);
    int rc = sq_js_instance_init(self, vu->id == 0, err);
    leave(vu);
    return rc;
}

static void vu_close(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;
    JSContext *ctx = self->cell->ctx;

    sq_js_cut(self, false);
    sq_js_timers_free(self);
    sq_js_forget_rejections(self);
    for (size_t i = 0; i < self->functions_count; i++)
        JS_FreeValue(ctx, self->functions[i]);
    free(self->functions);
    free(self->scenario_iterations);
    JS_FreeValue(ctx, self->setup_data);
    if (!JS_IsUndefined(self->module))
        free_graph(self);
    sq_js_graph_abandon(ctx, self->graph); /* of init code that failed */
    sq_js_switch_deinit(ctx, &self->engine);
    sq_k6_http_vu_close(self);
    sq_cookie_jar_free(self->jar);
    self->cell->vus--;
    free(self);
    vu->script = NULL;
}

static int activate(struct sq_vu *vu, size_t scenario, struct sq_error *err)
{
    struct sq_js_instance *self = vu->script;
    JSContext *ctx = self->cell->ctx;
    const char *name = vu->worker->run->config->scenarios[scenario].exec;

    if (!JS_IsFunction(ctx, self->functions[scenario]))
        return sq_error_set(err, SQ_EINVALID, "function '%s' not found in exports", name);
    /* Rebuilt for the scenario when next looked at. */
    JSAtom env = JS_NewAtom(ctx, "__ENV");
    JSValue global = JS_GetGlobalObject(ctx);
    JS_DeleteProperty(ctx, global, env, 0);
    JS_FreeValue(ctx, global);
    JS_FreeAtom(ctx, env);
    return 0;
}

static JSValueConst setup_data(struct sq_js_instance *self)
{
    const struct sq_js_bundle *bundle = self->cell->worker->bundle;

    if (!self->setup_data_ready) {
        self->setup_data_ready = true;
        if (bundle->setup_data)
            self->setup_data = JS_ParseJSON(self->cell->ctx, bundle->setup_data,
                                            strlen(bundle->setup_data), "setup data");
    }
    return self->setup_data;
}

static void report_exception(struct sq_js_instance *self)
{
    JSContext *ctx = self->cell->ctx;
    JSValue exception = JS_GetException(ctx);

    if (self->vu->interrupted || self->aborted || sq_js_is_uncatchable(ctx, exception))
        JS_FreeValue(ctx, exception);
    else
        sq_js_log_exception(self, exception, "");
}

/* `rc` is that of the event loop. */
static enum sq_iteration outcome_of(struct sq_js_instance *self, int rc)
{
    JSContext *ctx = self->cell->ctx;
    struct sq_vu *vu = self->vu;

    if (self->aborted) /* whatever it was doing, this VU starts nothing more */
        sq_vu_interrupt(vu);
    if (vu->interrupted) {
        sq_js_cut(self, true);
        sq_js_forget_rejections(self);
        sq_js_forget_jobs(ctx);
        return SQ_ITERATION_INTERRUPTED;
    }
    sq_js_report_rejections(self);
    sq_js_drop_timers(self, true);
    return rc == SQ_ESCRIPT ? SQ_ITERATION_THREW : SQ_ITERATION_DONE;
}

/* Giving deep stacks back costs a system call: not for every short iteration. */
enum { TRIM_EVERY = 16 };

static enum sq_iteration end_iteration(struct sq_js_instance *self, int rc)
{
    enum sq_iteration outcome = outcome_of(self, rc);

    if (self->vu->iterations % TRIM_EVERY == 0)
        sq_fiber_trim(self->vu->fiber);
    sq_js_collect_garbage(self->cell);
    return outcome;
}

/* The event loop's part of an iteration, or what was left of it when the VU was parked. */
static enum sq_iteration go_on(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;
    int rc = vu->interrupted && !self->in_loop ? SQ_ECANCELLED : sq_js_run_events_or_park(self);

    return rc == SQ_JS_PARKED ? SQ_ITERATION_PARKED : end_iteration(self, rc);
}

static enum sq_iteration iterate(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;
    JSContext *ctx = self->cell->ctx;

    if (self->jar && !self->cell->worker->bundle->config->no_cookies_reset)
        sq_cookie_jar_clear(self->jar);
    JSValue global = JS_GetGlobalObject(ctx);
    JS_SetPropertyStr(ctx, global, "__ITER", JS_NewInt64(ctx, (int64_t)vu->iterations));
    JS_FreeValue(ctx, global);
    self->scenario_iterations[vu->scenario]++;
    JSValueConst argument = setup_data(self);
    JSValue result = JS_Call(ctx, self->functions[vu->scenario], JS_UNDEFINED, 1, &argument);
    JS_FreeValue(ctx, result);
    if (!JS_IsException(result))
        return go_on(vu);
    report_exception(self);
    sq_js_drain(self);
    return end_iteration(self, SQ_ESCRIPT);
}

static void take_bytes(struct sq_vu *vu, uint64_t *sent, uint64_t *received)
{
    struct sq_js_instance *self = vu->script;

    *sent = self->counters.sent_bytes - self->emitted.sent_bytes;
    *received = self->counters.received_bytes - self->emitted.received_bytes;
    self->emitted = self->counters;
}

const struct sq_script_ops sq_js_ops = {
    .worker_open = worker_open,
    .worker_close = worker_close,
    .vu_open = vu_open,
    .vu_close = vu_close,
    .activate = activate,
    .iterate = iterate,
    .go_on = go_on,
    .enter = enter,
    .leave = leave,
    .take_bytes = take_bytes,
    .busy = worker_busy,
    .poke = poke,
};
