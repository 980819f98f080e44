/* SPDX-License-Identifier: Apache-2.0 */
#include "js/script.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/modules/modules.h"

void sq_js_init_process(void)
{
    sq_k6_ws_class_ids();
    sq_k6_websockets_class_ids();
    sq_k6_http_class_ids();
    sq_k6_metrics_class_ids();
    sq_k6_crypto_class_ids();
    sq_k6_data_class_ids();
    sq_k6_execution_class_ids();
    sq_web_crypto_class_ids();
    sq_k6_html_class_ids();
    sq_k6_fs_class_ids();
    sq_k6_csv_class_ids();
    sq_js_text_coding_class_ids();
    sq_js_clone_class_ids();
}

struct sq_js_bundle *sq_js_bundle_new(struct sq_config *config)
{
    struct sq_js_bundle *bundle = sq_xcalloc(1, sizeof *bundle);

    bundle->config = config;
    pthread_mutex_init(&bundle->shared_arrays_lock, NULL);
    bundle->load_pass = true;
    bundle->origin_ns = sq_now_ns();
    bundle->origin_wall_ns = sq_wall_ns();
    pthread_mutex_init(&bundle->told_lock, NULL);
    pthread_mutex_init(&bundle->files_lock, NULL);
    pthread_mutex_init(&bundle->maps_lock, NULL);
    bundle->cell_vus_max = 256;
    bundle->user_agent = "squall/" SQUALL_VERSION;
    bundle->import_cache = getenv("SQUALL_IMPORT_CACHE");
    return bundle;
}

void sq_js_bundle_free(struct sq_js_bundle *bundle)
{
    if (!bundle)
        return;
    pthread_mutex_destroy(&bundle->told_lock);
    pthread_mutex_destroy(&bundle->files_lock);
    pthread_mutex_destroy(&bundle->maps_lock);
    sq_js_maps_free(bundle->maps);
    for (size_t i = 0; i < bundle->modules_count; i++) {
        free(bundle->modules[i].name);
        free(bundle->modules[i].bytecode);
    }
    free(bundle->modules);
    for (size_t i = 0; i < bundle->files_count; i++) {
        free(bundle->files[i].path);
        sq_buf_deinit(&bundle->files[i].bytes);
    }
    free(bundle->files);
    for (size_t i = 0; i < bundle->sources_count; i++) {
        free(bundle->sources[i].path);
        sq_buf_deinit(&bundle->sources[i].bytes);
    }
    free(bundle->sources);
    for (size_t i = 0; i < bundle->exports.count; i++)
        free(bundle->exports.items[i]);
    free(bundle->exports.items);
    sq_js_stripper_free(bundle->stripper);
    sq_js_shared_free(bundle->shared_arrays);
    sq_js_secrets_free(bundle->secrets);
    pthread_mutex_destroy(&bundle->shared_arrays_lock);
    free(bundle->options_json);
    free(bundle->test_options_json);
    free(bundle->setup_data);
    free(bundle);
}

static struct sq_vu *load_vu(const struct sq_run *run)
{
    return run->main_worker.vus[0];
}

struct job {
    struct sq_error err;
    int rc;
    const char *function, *argument_json;
    char *group; /* its path, "::setup" */
    bool wants_result;
    char *result_json;
    struct sq_js_summary_file *files;
    size_t files_count;
};

/* The job of a VU on the main thread; one at a time. */
static struct job *current_job;

/* ---- load ---- */

static void init_job(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;

    sq_js_ops.enter(vu);
    current_job->rc = sq_js_instance_init(self, true, &current_job->err);
    if (current_job->rc == 0) {
        JSContext *ctx = self->cell->ctx;
        JSValue options = sq_js_module_export(ctx, self->module, "options");
        if (!JS_IsUndefined(options) && !JS_IsNull(options)) {
            JSValue json = JS_JSONStringify(ctx, options, JS_UNDEFINED, JS_UNDEFINED);
            const char *text = JS_IsString(json) ? JS_ToCString(ctx, json) : NULL;
            if (text)
                current_job->result_json = sq_xstrdup(text);
            else
                current_job->rc = sq_error_set(
                    &current_job->err, SQ_EINVALID,
                    "the exported 'options' must be a plain object that JSON can hold");
            if (JS_IsException(json))
                JS_FreeValue(ctx, JS_GetException(ctx));
            JS_FreeCString(ctx, text);
            JS_FreeValue(ctx, json);
        }
        JS_FreeValue(ctx, options);
    }
    sq_js_ops.leave(vu);
}

int sq_js_load(struct sq_run *run, const char *path, char **options_json, struct sq_error *err)
{
    struct sq_js_worker *w = run->main_worker.script;
    struct sq_js_cell *cell = sq_js_new_cell(w);
    struct job job = {0};

    *options_json = NULL;
    if (sq_js_secrets_open(w->bundle, err) < 0)
        return err->code;
    sq_js_native_stack(cell->ctx, SQ_JS_COMPILE_STACK_BYTES);
    int rc = sq_js_compile(cell, path, err);
    sq_js_native_stack(cell->ctx, 0);
    if (rc < 0)
        return rc;
    w->open_cell = cell;
    uint64_t before = sq_js_builtins_fingerprint(cell->ctx);
    struct sq_vu *vu = sq_vu_new(&run->main_worker, 0);
    sq_js_instance_new(cell, vu);
    current_job = &job;
    rc = sq_run_job(run, vu, init_job, INT64_MAX);
    current_job = NULL;
    *options_json = job.result_json;
    w->bundle->load_pass = false;
    if (!w->bundle->keep_sources)
        sq_js_drop_shared_files(w->bundle);
    sq_js_stripper_free(w->bundle->stripper);
    w->bundle->stripper = NULL;
    if (rc == 0)
        rc = job.rc;
    if (rc < 0)
        return sq_error_set(err, rc, "%s", run->exit_reason ? run->exit_reason : job.err.text);
    if (sq_js_builtins_fingerprint(cell->ctx) - cell->fingerprint_ours != before) {
        sq_log(SQ_LOG_DEBUG, "js",
               "the init code changes builtins: every VU gets a realm of its own");
        w->bundle->cell_vus_max = 1;
    }
    return 0;
}

bool sq_js_exports(struct sq_run *run, const char *name)
{
    struct sq_js_instance *self = load_vu(run)->script;
    JSContext *ctx = self->cell->ctx;
    JSValue value = sq_js_module_export(ctx, self->module, name);
    bool callable = JS_IsFunction(ctx, value);

    JS_FreeValue(ctx, value);
    return callable;
}

static void add_export(void *user, const char *name)
{
    struct sq_string_list *list = user;

    list->items = sq_xrealloc(list->items, (list->count + 1) * sizeof(char *));
    list->items[list->count++] = sq_xstrdup(name);
}

void sq_js_list_exports(struct sq_run *run, struct sq_string_list *out)
{
    struct sq_js_instance *self = load_vu(run)->script;
    struct sq_js_bundle *bundle = run->script;

    if (!bundle->exports.count)
        sq_js_module_each_function(self->cell->ctx, self->module, add_export, &bundle->exports);
    *out = bundle->exports;
}

static bool exports_other(struct sq_run *run, const char *name)
{
    struct sq_js_instance *self = load_vu(run)->script;
    JSContext *ctx = self->cell->ctx;
    JSValue value = sq_js_module_export(ctx, self->module, name);
    bool other = !JS_IsFunction(ctx, value) && !JS_IsUndefined(value) && !JS_IsNull(value);

    JS_FreeValue(ctx, value);
    return other;
}

int sq_js_check_exports(struct sq_run *run, int *exit_code, struct sq_error *err)
{
    static const char *const life_cycle[] = {"setup", "teardown"};

    *exit_code = SQ_EXIT_OTHER;
    struct sq_string_list exports;
    sq_js_list_exports(run, &exports);
    if (exports.count == 0)
        return sq_error_set(
            err, SQ_EINVALID,
            "the script exports no function; write 'export default function () { ... }'");
    for (size_t i = 0; i < SQ_COUNT(life_cycle); i++)
        if (exports_other(run, life_cycle[i]))
            return sq_error_set(err, SQ_EINVALID, "exported '%s' must be a function",
                                life_cycle[i]);
    *exit_code = SQ_EXIT_CONFIG;
    for (size_t i = 0; i < run->config->scenarios_count; i++) {
        const struct sq_scenario *s = &run->config->scenarios[i];
        if (!sq_js_exports(run, s->exec))
            return sq_error_set(err, SQ_EINVALID, "executor %s: function '%s' not found in exports",
                                s->name, s->exec);
    }
    return 0;
}

/* ---- setup, teardown, handleSummary ---- */

/* Calls the exported function and awaits its promise. An exception is in job->err. */
static JSValue call_export(struct sq_js_instance *self, struct job *job)
{
    JSContext *ctx = self->cell->ctx;
    JSValue fn = sq_js_module_export(ctx, self->module, job->function);
    JSValue argument = job->argument_json ? JS_ParseJSON(ctx, job->argument_json,
                                                         strlen(job->argument_json), "data")
                                          : JS_UNDEFINED;
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, 1, &argument);

    JS_FreeValue(ctx, fn);
    JS_FreeValue(ctx, argument);
    if (!JS_IsException(result)) {
        bool promise = JS_PromiseState(ctx, result) != (JSPromiseStateEnum)-1;
        int rc = sq_js_run_events(self, promise ? (JSValueConst)result : JS_UNDEFINED);
        if (rc == 0 && promise) {
            JSPromiseStateEnum state = JS_PromiseState(ctx, result);
            JSValue value = JS_PromiseResult(ctx, result);
            JS_FreeValue(ctx, result);
            sq_js_forget_rejections(self);
            result = state == JS_PROMISE_REJECTED ? JS_Throw(ctx, value) : value;
        } else if (rc < 0) {
            JS_FreeValue(ctx, result);
            job->rc = rc;
            sq_error_set(&job->err, rc, "%s() failed; see above", job->function);
            return JS_EXCEPTION;
        }
    }
    if (JS_IsException(result)) {
        JSValue exception = JS_GetException(ctx);
        job->rc = self->vu->interrupted || self->aborted ? SQ_ECANCELLED : SQ_ESCRIPT;
        char *text = sq_js_exception_text(ctx, exception);
        sq_error_set(&job->err, job->rc, "%s", text);
        free(text);
    }
    return result;
}

static void store_result(JSContext *ctx, struct job *job, JSValueConst result)
{
    if (JS_IsUndefined(result))
        return;
    struct sq_error err = {0};
    job->result_json = sq_js_data_json(ctx, result, &err);
    if (!job->result_json)
        job->rc = sq_error_set(&job->err, SQ_EINVALID,
                               "the data that %s() returned cannot be turned into JSON: %s",
                               job->function, err.text);
}

static void call_job(struct sq_vu *vu)
{
    struct job *job = current_job;

    job->rc = sq_js_ops.vu_open(vu, &job->err);
    if (job->rc < 0)
        return;
    struct sq_js_instance *self = vu->script;
    self->group = job->group;
    sq_js_ops.enter(vu);
    JSValue result = call_export(self, job);
    if (!JS_IsException(result) && job->wants_result)
        store_result(self->cell->ctx, job, result);
    JS_FreeValue(self->cell->ctx, result);
    sq_js_cut(self, false);
    sq_vu_emit_bytes(vu, sq_wall_ns());
    sq_js_ops.leave(vu);
}

static int call_phase(struct sq_run *run, const char *function, int64_t timeout_ns, char **result,
                      struct sq_error *err)
{
    const struct sq_js_bundle *bundle = run->script;
    struct job job = {
        .function = function, .argument_json = bundle->setup_data, .wants_result = result != NULL};
    struct sq_vu *vu = sq_vu_new(&run->main_worker, 0);
    char group[32] = "::";

    strcat(group, function);
    job.group = group;
    vu->in_setup = true;
    sq_vu_set_base_tags(vu, SIZE_MAX, group);
    current_job = &job;
    int rc = sq_run_job(run, vu, call_job, timeout_ns);
    current_job = NULL;
    if (rc == -ETIMEDOUT)
        sq_error_set(err, rc, "%s() execution timed out after %lld seconds", function,
                     (long long)(timeout_ns / SQ_NS_PER_S));
    else if ((rc = job.rc) < 0)
        sq_error_set(err, rc, "%s", job.err.text);
    if (rc == 0 && result) {
        *result = job.result_json;
        job.result_json = NULL;
    }
    free(job.result_json);
    return rc;
}

int sq_js_call_setup(struct sq_run *run, struct sq_error *err)
{
    struct sq_js_bundle *bundle = run->script;
    char *result = NULL;

    if (!sq_js_exports(run, "setup"))
        return 0;
    int rc = call_phase(run, "setup", run->config->setup_timeout_ns, &result, err);
    if (rc < 0)
        return rc;
    free(bundle->setup_data);
    bundle->setup_data = result;
    return 0;
}

int sq_js_call_teardown(struct sq_run *run, struct sq_error *err)
{
    if (!sq_js_exports(run, "teardown"))
        return 0;
    return call_phase(run, "teardown", run->config->teardown_timeout_ns, NULL, err);
}

int sq_js_setup(struct sq_run *run, struct sq_error *err)
{
    return run->config->no_setup ? 0 : sq_js_call_setup(run, err);
}

int sq_js_teardown(struct sq_run *run, struct sq_error *err)
{
    return run->config->no_teardown ? 0 : sq_js_call_teardown(run, err);
}

static int add_file(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct job *job = user;
    size_t len;
    const uint8_t *bytes = JS_IsString(value) ? NULL : sq_js_bytes(ctx, value, &len);
    const char *text = JS_IsString(value) ? JS_ToCStringLen(ctx, &len, value) : NULL;

    if (!bytes && !text) {
        sq_log(SQ_LOG_ERROR, "js",
               "handleSummary: the content for '%s' must be a string or an ArrayBuffer", key);
        return 0;
    }
    job->files = sq_xrealloc(job->files, (job->files_count + 1) * sizeof *job->files);
    struct sq_js_summary_file *f = &job->files[job->files_count++];
    *f = (struct sq_js_summary_file){.name = sq_xstrdup(key)};
    sq_buf_put(&f->content, text ? (const void *)text : bytes, len);
    JS_FreeCString(ctx, text);
    return 0;
}

/* A getter or a Proxy of the returned object threw: what came before it is written. */
static void summary_unreadable(JSContext *ctx, struct job *job)
{
    char *text = sq_js_exception_text(ctx, JS_GetException(ctx));

    sq_log(SQ_LOG_ERROR, "js", "the object that handleSummary returned cannot be read%s: %s",
           job->files_count ? "" : ", the default summary follows", text);
    free(text);
    if (!job->files_count) {
        free(job->files);
        job->files = NULL;
    }
}

static void summary_job(struct sq_vu *vu)
{
    struct sq_js_instance *self = vu->script;
    JSContext *ctx = self->cell->ctx;
    struct job *job = current_job;

    sq_js_ops.enter(vu);
    JSValue result = call_export(self, job);
    if (JS_IsException(result)) {
        sq_log(SQ_LOG_ERROR, "js", "handleSummary failed, the default summary follows: %s",
               job->err.text);
    } else if (JS_ToBool(ctx, result) > 0) {
        if (!JS_IsObject(result)) {
            sq_log(SQ_LOG_ERROR, "js",
                   "handleSummary must return an object of file names and contents");
        } else {
            job->files = sq_xcalloc(1, sizeof *job->files);
            if (sq_js_each_key(ctx, result, add_file, job) < 0)
                summary_unreadable(ctx, job);
        }
    }
    JS_FreeValue(ctx, result);
    sq_js_cut(self, false);
    sq_js_ops.leave(vu);
}

int sq_js_handle_summary(struct sq_run *run, const char *data_json,
                         struct sq_js_summary_file **files, size_t *count)
{
    struct job job = {.function = "handleSummary", .argument_json = data_json};

    *files = NULL;
    *count = 0;
    if (!sq_js_exports(run, "handleSummary"))
        return 0;
    current_job = &job;
    int rc = sq_run_job(run, load_vu(run), summary_job, run->config->handle_summary_timeout_ns);
    current_job = NULL;
    if (rc == -ETIMEDOUT)
        sq_log(SQ_LOG_ERROR, "js", "handleSummary timed out, the default summary follows");
    *files = job.files;
    *count = job.files_count;
    return 0;
}

void sq_js_summary_free(struct sq_js_summary_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(files[i].name);
        sq_buf_deinit(&files[i].content);
    }
    free(files);
}
