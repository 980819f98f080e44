/* SPDX-License-Identifier: Apache-2.0 */
/* k6/execution: where the script runs (MOD-30 to MOD-34). Examples: docs/api/k6-execution.md
 *
 * The objects are the realm's and hold nothing: each read asks the VU that is in, so the VUs of a
 * cell share them without seeing it. They cannot be extended. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/segment.h"
#include "js/modules/modules.h"

static JSClassID tags_class;

/* A read-only property that scripts can list; assigning to it is a TypeError in strict code. */
#define GETTER(text, function, number)                                                      \
    {                                                                                       \
        .name = (text), .prop_flags = JS_PROP_ENUMERABLE, .def_type = JS_DEF_CGETSET_MAGIC, \
        .magic = (number), .u.getset.get.getter_magic = (function)                          \
    }
#define METHOD(text, length_, function)                                                         \
    {                                                                                           \
        .name = (text), .prop_flags = JS_PROP_ENUMERABLE, .def_type = JS_DEF_CFUNC, .u.func = { \
            (length_),                                                                          \
            JS_CFUNC_generic,                                                                   \
            {.generic = (function)}                                                             \
        }                                                                                       \
    }

static struct sq_run *run_of(const struct sq_js_instance *self)
{
    return self->vu->worker->run;
}

/* ---- instance ---- */

enum { ITERATIONS_COMPLETED, ITERATIONS_INTERRUPTED, VUS_ACTIVE, VUS_INITIALIZED, RUN_DURATION };

static JSValue instance_get(JSContext *ctx, JSValueConst this_val, int what)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    struct sq_run *run = run_of(self);

    (void)this_val;
    if (self->in_init)
        return sq_js_throw(ctx,
                           "getting instance information in the init context is not supported");
    switch (what) {
    case ITERATIONS_COMPLETED:
        return JS_NewInt64(ctx, (int64_t)atomic_load(&run->iterations_complete));
    case ITERATIONS_INTERRUPTED:
        return JS_NewInt64(ctx, (int64_t)atomic_load(&run->iterations_interrupted));
    case VUS_ACTIVE:
        return JS_NewInt64(ctx, atomic_load(&run->vus_active));
    case VUS_INITIALIZED:
        return JS_NewInt64(ctx, (int64_t)atomic_load(&run->vus_ready));
    default:
        return JS_NewFloat64(ctx, (double)sq_run_elapsed_ns(run) / SQ_NS_PER_MS);
    }
}

static const JSCFunctionListEntry instance_properties[] = {
    GETTER("iterationsCompleted", instance_get, ITERATIONS_COMPLETED),
    GETTER("iterationsInterrupted", instance_get, ITERATIONS_INTERRUPTED),
    GETTER("vusActive", instance_get, VUS_ACTIVE),
    GETTER("vusInitialized", instance_get, VUS_INITIALIZED),
    GETTER("currentTestRunDuration", instance_get, RUN_DURATION),
};

/* ---- scenario ---- */

enum { NAME, EXECUTOR, START_TIME, PROGRESS, ITERATION_IN_INSTANCE, ITERATION_IN_TEST };

static JSValue scenario_get(JSContext *ctx, JSValueConst this_val, int what)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_vu *vu = self->vu;
    const struct sq_run *run = run_of(self);

    (void)this_val;
    if (self->in_init || vu->scenario == SIZE_MAX)
        return sq_js_throw(
            ctx, "getting scenario information outside of the scenario context is not supported");
    const struct sq_scenario *s = &run->config->scenarios[vu->scenario];
    switch (what) {
    case NAME:
        return JS_NewString(ctx, s->name);
    case EXECUTOR:
        return JS_NewString(ctx, sq_executor_name(s->executor));
    case START_TIME:
        return JS_NewInt64(ctx, (run->executing_wall_ns + s->start_ns) / SQ_NS_PER_MS);
    case PROGRESS:
        return JS_NewFloat64(ctx, sq_run_scenario_progress(run, vu->scenario));
    case ITERATION_IN_INSTANCE:
        return JS_NewInt64(ctx, (int64_t)vu->scenario_iteration);
    default:
        return JS_NewInt64(ctx, (int64_t)sq_scenario_iteration_in_test(s, vu->scenario_iteration));
    }
}

static const JSCFunctionListEntry scenario_properties[] = {
    GETTER("name", scenario_get, NAME),
    GETTER("executor", scenario_get, EXECUTOR),
    GETTER("startTime", scenario_get, START_TIME),
    GETTER("progress", scenario_get, PROGRESS),
    GETTER("iterationInInstance", scenario_get, ITERATION_IN_INSTANCE),
    GETTER("iterationInTest", scenario_get, ITERATION_IN_TEST),
};

/* ---- vu ---- */

enum { ID_IN_INSTANCE, ID_IN_TEST, VU_ITERATION, ITERATION_IN_SCENARIO, TAGS, METRICS, METADATA };

static JSValue vu_not_in_init(JSContext *ctx)
{
    return sq_js_throw(ctx, "getting VU information in the init context is not supported");
}

static uint64_t iteration_in_scenario(const struct sq_js_instance *self)
{
    if (self->vu->scenario == SIZE_MAX || !self->scenario_iterations)
        return 0;
    uint64_t started = self->scenario_iterations[self->vu->scenario];
    return started ? started - 1 : 0;
}

static JSValue vu_get(JSContext *ctx, JSValueConst this_val, int what)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_vu *vu = self->vu;

    (void)this_val;
    if (self->in_init)
        return vu_not_in_init(ctx);
    switch (what) {
    case ID_IN_INSTANCE:
        return JS_NewUint32(ctx, vu->id);
    case ID_IN_TEST:
        return JS_NewInt64(
            ctx,
            vu->id ? (int64_t)sq_stripe_index(run_of(self)->config->stripe, vu->id - 1) + 1 : 0);
    case VU_ITERATION:
        return JS_NewInt64(ctx, (int64_t)vu->iterations);
    case ITERATION_IN_SCENARIO:
        return JS_NewInt64(ctx, (int64_t)iteration_in_scenario(self));
    default:
        return JS_DupValue(ctx, self->cell->execution[what == TAGS      ? SQ_EXECUTION_TAGS
                                                      : what == METRICS ? SQ_EXECUTION_METRICS
                                                                        : SQ_EXECUTION_METADATA]);
    }
}

static const JSCFunctionListEntry vu_properties[] = {
    GETTER("idInInstance", vu_get, ID_IN_INSTANCE),
    GETTER("idInTest", vu_get, ID_IN_TEST),
    GETTER("iterationInInstance", vu_get, VU_ITERATION),
    GETTER("iterationInScenario", vu_get, ITERATION_IN_SCENARIO),
    GETTER("tags", vu_get, TAGS),
    GETTER("metrics", vu_get, METRICS),
};

static const JSCFunctionListEntry metrics_properties[] = {
    GETTER("tags", vu_get, TAGS),
    GETTER("metadata", vu_get, METADATA),
};

/* ---- vu.tags and vu.metrics.metadata: the VU's own sets, live (MET-32) ---- */

enum { OF_TAGS, OF_METADATA };
static const char kinds[] = {OF_TAGS, OF_METADATA}; /* an object's opaque is one's address */

static struct sq_tagset **set_of(JSContext *ctx, JSValueConst object)
{
    struct sq_vu *vu = sq_js_self(ctx)->vu;

    return *(const char *)JS_GetOpaque(object, tags_class) == OF_TAGS ? &vu->tags : &vu->metadata;
}

/* Changes the set; value.data NULL removes the key. */
static void change(JSContext *ctx, JSValueConst object, const char *key, struct sq_slice value)
{
    struct sq_tagset **set = set_of(ctx, object);
    struct sq_tag_pair pair = {sq_slice_str(key), value};
    struct sq_tagset *next = sq_tagset_with(run_of(sq_js_self(ctx))->tag_table, *set, &pair, 1);

    sq_tagset_unref(*set);
    *set = next;
}

/* Symbols name no tag: NULL, with or without an exception. Owned: JS_FreeCString. */
static const char *key_text(JSContext *ctx, JSAtom atom)
{
    JSValue value = JS_AtomToValue(ctx, atom);
    const char *text = JS_IsString(value) ? JS_ToCString(ctx, value) : NULL;

    JS_FreeValue(ctx, value);
    return text;
}

static int tags_describe(JSContext *ctx, JSPropertyDescriptor *desc, JSValueConst object,
                         JSAtom atom)
{
    const struct sq_tagset *set = *set_of(ctx, object);
    const char *key = key_text(ctx, atom);

    if (!key)
        return JS_HasException(ctx) ? -1 : 0;
    struct sq_slice value = set ? sq_tagset_get(set, key) : (struct sq_slice){0};
    JS_FreeCString(ctx, key);
    if (!value.data)
        return 0;
    if (desc) {
        desc->flags = JS_PROP_C_W_E;
        desc->getter = desc->setter = JS_UNDEFINED;
        desc->value = JS_NewStringLen(ctx, (const char *)value.data, value.len);
        if (JS_IsException(desc->value))
            return -1;
    }
    return 1;
}

static int tags_list(JSContext *ctx, JSPropertyEnum **names, uint32_t *count, JSValueConst object)
{
    const struct sq_tagset *set = *set_of(ctx, object);
    size_t n = set ? sq_tagset_count(set) : 0;

    *names = js_malloc(ctx, SQ_MAX(n, (size_t)1) * sizeof **names);
    if (!*names)
        return -1;
    *count = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct sq_slice key = sq_tagset_at(set, i).key;
        (*names)[i] = (JSPropertyEnum){true, JS_NewAtomLen(ctx, (const char *)key.data, key.len)};
    }
    return 0;
}

static int tags_delete(JSContext *ctx, JSValueConst object, JSAtom atom)
{
    const char *key = key_text(ctx, atom);

    if (!key)
        return JS_HasException(ctx) ? -1 : 1;
    change(ctx, object, key, (struct sq_slice){0});
    JS_FreeCString(ctx, key);
    return 1;
}

static int assign(JSContext *ctx, JSValueConst object, JSAtom atom, JSValueConst value)
{
    const char *key = key_text(ctx, atom);
    size_t len;
    int rc = -1;

    if (!key) {
        if (!JS_HasException(ctx))
            JS_ThrowTypeError(ctx, "a symbol cannot name a metric tag");
        return -1;
    }
    if (!JS_IsString(value) && !JS_IsBool(value) && !JS_IsNumber(value)) {
        JS_ThrowTypeError(ctx,
                          "invalid value for metric tag '%s': only String, Boolean and Number "
                          "types are accepted as a metric tag value",
                          key);
    } else {
        const char *text = JS_ToCStringLen(ctx, &len, value);
        if (text) {
            change(ctx, object, key, sq_slice(text, len));
            rc = 1;
        }
        JS_FreeCString(ctx, text);
    }
    JS_FreeCString(ctx, key);
    return rc;
}

static int tags_define(JSContext *ctx, JSValueConst object, JSAtom atom, JSValueConst value,
                       JSValueConst getter, JSValueConst setter, int flags)
{
    (void)getter, (void)setter;
    if (flags & JS_PROP_HAS_VALUE)
        return assign(ctx, object, atom, value);
    JS_ThrowTypeError(ctx, "a metric tag has a value and nothing else");
    return -1;
}

static int tags_set(JSContext *ctx, JSValueConst object, JSAtom atom, JSValueConst value,
                    JSValueConst receiver, int flags)
{
    (void)receiver, (void)flags;
    return assign(ctx, object, atom, value);
}

/* ---- test ---- */

/* The text of an optional argument, NULL when left out; *failed: an exception is pending. */
static const char *message_of(JSContext *ctx, int argc, JSValueConst *argv, bool *failed)
{
    if (argc < 1 || JS_IsUndefined(argv[0]) || JS_IsNull(argv[0]))
        return NULL;
    const char *text = JS_ToCString(ctx, argv[0]);
    *failed = !text;
    return text;
}

static JSValue test_abort(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    struct sq_run *run = run_of(self);
    bool failed = false;
    const char *message = message_of(ctx, argc, argv, &failed);

    (void)this_val;
    if (failed)
        return JS_EXCEPTION;
    char *reason = sq_xasprintf("test aborted%s%s", message ? ": " : "", message ? message : "");
    JS_FreeCString(ctx, message);
    self->aborted = true;
    /* At load and in handleSummary nobody would hear a message any more. */
    if (self->vu->worker == &run->main_worker &&
        (run->phase == SQ_PHASE_LOAD || run->phase == SQ_PHASE_ENDED))
        sq_run_stop(run, SQ_EXIT_ABORTED, reason);
    else
        sq_run_ask_stop(run, SQ_EXIT_ABORTED, reason);
    free(reason);
    return sq_js_throw_interrupted(ctx);
}

static JSValue test_fail(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    bool failed = false;

    (void)this_val;
    if (self->in_init)
        return sq_js_throw(ctx, "test.fail() in the init context is not supported");
    const char *message = message_of(ctx, argc, argv, &failed);
    if (failed)
        return JS_EXCEPTION;
    atomic_store(&run_of(self)->marked_failed, true);
    const char *text = message ? message : "the script marked the test as failed";
    sq_log_line(SQ_LOG_ERROR, text, strlen(text), NULL, NULL);
    JS_FreeCString(ctx, message);
    return JS_UNDEFINED;
}

/* Frozen, so the VUs of a cell share it. */
static JSValue test_options(JSContext *ctx, JSValueConst this_val, int magic)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const char *json = self->cell->worker->bundle->test_options_json;
    JSValue *options = &self->cell->execution[SQ_EXECUTION_OPTIONS];

    (void)this_val, (void)magic;
    if (self->in_init || !json)
        return sq_js_throw(ctx, "getting test options in the init context is not supported");
    if (!JS_IsObject(*options)) {
        JSValue parsed =
            sq_js_deep_freeze(ctx, JS_ParseJSON(ctx, json, strlen(json), "test.options"));
        if (JS_IsException(parsed))
            return parsed;
        *options = parsed;
    }
    return JS_DupValue(ctx, *options);
}

static const JSCFunctionListEntry test_properties[] = {
    METHOD("abort", 1, test_abort),
    METHOD("fail", 1, test_fail),
    GETTER("options", test_options, 0),
};

/* ---- the module ---- */

static const struct {
    const char *name;
    const JSCFunctionListEntry *list;
    int count;
} parts[] = {
    [SQ_EXECUTION_INSTANCE] = {"instance", instance_properties, SQ_COUNT(instance_properties)},
    [SQ_EXECUTION_SCENARIO] = {"scenario", scenario_properties, SQ_COUNT(scenario_properties)},
    [SQ_EXECUTION_TEST] = {"test", test_properties, SQ_COUNT(test_properties)},
    [SQ_EXECUTION_VU] = {"vu", vu_properties, SQ_COUNT(vu_properties)},
};

/* The default export's members. Those that make no sense in init code say so at once, as in k6. */
static JSValue part_get(JSContext *ctx, JSValueConst this_val, int part)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    (void)this_val;
    if (self->in_init && part == SQ_EXECUTION_VU)
        return vu_not_in_init(ctx);
    if (self->in_init && part == SQ_EXECUTION_INSTANCE)
        return sq_js_throw(ctx,
                           "getting instance information in the init context is not supported");
    return JS_DupValue(ctx, self->cell->execution[part]);
}

static const JSCFunctionListEntry default_properties[] = {
    GETTER("instance", part_get, SQ_EXECUTION_INSTANCE),
    GETTER("scenario", part_get, SQ_EXECUTION_SCENARIO),
    GETTER("test", part_get, SQ_EXECUTION_TEST),
    GETTER("vu", part_get, SQ_EXECUTION_VU),
};

static JSValue new_tags(JSContext *ctx, const char *kind)
{
    JSValue object = JS_NewObjectClass(ctx, (int)tags_class);

    if (!JS_IsException(object))
        JS_SetOpaque(object, (void *)kind);
    return object;
}

static JSValue new_object(JSContext *ctx, const JSCFunctionListEntry *list, int count)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, list, count);
    JS_PreventExtensions(ctx, object);
    return object;
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    JSValue *own = cell->execution, all = JS_NewObject(ctx);
    int rc = 0;

    for (int i = 0; i < (int)SQ_COUNT(parts) && rc == 0; i++) {
        own[i] = new_object(ctx, parts[i].list, parts[i].count);
        rc = JS_SetModuleExport(ctx, m, parts[i].name, JS_DupValue(ctx, own[i]));
    }
    own[SQ_EXECUTION_TAGS] = new_tags(ctx, &kinds[OF_TAGS]);
    own[SQ_EXECUTION_METADATA] = new_tags(ctx, &kinds[OF_METADATA]);
    own[SQ_EXECUTION_METRICS] = new_object(ctx, metrics_properties, SQ_COUNT(metrics_properties));
    JS_SetPropertyFunctionList(ctx, all, default_properties, SQ_COUNT(default_properties));
    if (rc == 0)
        rc = JS_SetModuleExport(ctx, m, "default", all);
    sq_js_module_rest_undefined(ctx, m);
    return rc;
}

void sq_k6_execution_class_ids(void)
{
    JS_NewClassID(&tags_class);
}

void sq_k6_execution_classes(JSContext *ctx)
{
    static JSClassExoticMethods exotic = {
        .get_own_property = tags_describe,
        .get_own_property_names = tags_list,
        .delete_property = tags_delete,
        .define_own_property = tags_define,
        .set_property = tags_set,
    };
    static const JSClassDef definition = {"VUTags", .exotic = &exotic};

    JS_NewClass(JS_GetRuntime(ctx), tags_class, &definition);
    JS_SetClassProto(ctx, tags_class, JS_NewObject(ctx));
}

static const char *const exports[] = {"instance", "scenario", "test", "vu", "default", NULL};
const struct sq_js_builtin sq_k6_execution = {"k6/execution", init, exports};
