/* SPDX-License-Identifier: Apache-2.0 */
/* k6/metrics: Counter, Gauge, Rate, Trend (MET-20 to MET-22). Examples: docs/api/k6-metrics.md */
#include <math.h>

#include "base/clock.h"
#include "base/log.h"
#include "js/modules/modules.h"

static JSClassID metric_class;

static const struct {
    const char *name;
    enum sq_metric_type type;
} types[] = {
    {"Counter", SQ_COUNTER},
    {"Gauge", SQ_GAUGE},
    {"Rate", SQ_RATE},
    {"Trend", SQ_TREND},
};

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv,
                         int type)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_metric *metric;
    struct sq_error err = {0};

    if (!self->in_init)
        return sq_js_throw(ctx, "metrics must be declared in the init context");
    const char *name = argc > 0 && !JS_IsUndefined(argv[0]) ? JS_ToCString(ctx, argv[0])
                                                            : JS_ToCString(ctx, JS_UNDEFINED);
    if (!name)
        return JS_EXCEPTION;
    int rc = sq_registry_add(self->vu->worker->run->registry,
                             argc > 0 && !JS_IsUndefined(argv[0]) ? name : "", types[type].type,
                             argc > 1 && JS_ToBool(ctx, argv[1]) > 0 ? SQ_CONTAINS_TIME
                                                                     : SQ_CONTAINS_DEFAULT,
                             &metric, &err);
    JS_FreeCString(ctx, name);
    if (rc < 0)
        return sq_js_throw(ctx, "%s", err.text);
    /* Called without `new` it makes a metric as well, as in k6. */
    JSValue proto =
        JS_IsUndefined(new_target) ? JS_UNDEFINED : JS_GetPropertyStr(ctx, new_target, "prototype");
    JSValue object = JS_IsObject(proto) ? JS_NewObjectProtoClass(ctx, proto, metric_class)
                                        : JS_NewObjectClass(ctx, (int)metric_class);
    JS_FreeValue(ctx, proto);
    if (JS_IsException(object))
        return object;
    JS_SetOpaque(object, (void *)metric);
    JS_DefinePropertyValueStr(ctx, object, "name", JS_NewString(ctx, metric->name),
                              JS_PROP_ENUMERABLE);
    return object;
}

/* MET-21: truthiness wins when the number is 0, so a non-empty string adds 1. False: not a number.
 */
static bool to_sample(JSContext *ctx, JSValueConst value, double *out)
{
    if (JS_IsNull(value) || JS_IsUndefined(value) || JS_IsSymbol(value))
        return false;
    if (JS_ToFloat64(ctx, out, value) < 0) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return false;
    }
    if (isnan(*out))
        return false;
    if (*out == 0 && JS_IsString(value) && JS_ToBool(ctx, value) > 0)
        *out = 1;
    return true;
}

static JSValue refuse(JSContext *ctx, const struct sq_js_instance *self,
                      const struct sq_metric *metric, JSValueConst value)
{
    struct sq_buf text = {0};

    sq_buf_printf(&text, "invalid value for metric '%s': a number is needed, got ", metric->name);
    sq_js_render(ctx, &text, value);
    JSValue result = JS_FALSE;
    if (self->vu->worker->run->config->throw_errors)
        result = sq_js_throw(ctx, "%s", sq_buf_cstr(&text));
    else
        sq_log(SQ_LOG_WARN, "js", "%s", sq_buf_cstr(&text));
    sq_buf_deinit(&text);
    return result;
}

static JSValue add(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    const struct sq_metric *metric = JS_GetOpaque2(ctx, this_val, metric_class);
    JSValueConst value = argc > 0 ? argv[0] : JS_UNDEFINED;
    double number;

    if (!metric)
        return JS_EXCEPTION;
    if (self->in_init)
        return sq_js_throw(ctx, "metric.add() is not allowed in the init context");
    if (JS_VALUE_GET_TAG(value) == JS_TAG_INT)
        number = JS_VALUE_GET_INT(value);
    else if (!to_sample(ctx, value, &number))
        return refuse(ctx, self, metric, value);
    int64_t wall_ns = sq_wall_ns();
    if (argc < 2 || JS_IsUndefined(argv[1]) || JS_IsNull(argv[1])) {
        sq_vu_sample_tags(self->vu, metric->id, self->vu->tags, wall_ns, number);
        return JS_TRUE;
    }
    struct sq_tagset *tags = sq_js_tags(ctx, self->vu->tags, argv[1]);
    if (!tags)
        return JS_EXCEPTION;
    sq_vu_sample_tags(self->vu, metric->id, tags, wall_ns, number);
    sq_tagset_unref(tags);
    return JS_TRUE;
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("add", 2, add),
};

void sq_k6_metrics_class_ids(void)
{
    JS_NewClassID(&metric_class);
}

void sq_k6_metrics_classes(JSContext *ctx)
{
    static const JSClassDef definition = {.class_name = "Metric"};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), metric_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, methods, SQ_COUNT(methods));
    JS_SetClassProto(ctx, metric_class, proto);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    JSValue all = JS_NewObject(ctx), base = JS_GetClassProto(ctx, metric_class);
    int rc = 0;

    for (int i = 0; i < (int)SQ_COUNT(types) && rc == 0; i++) {
        JSValue fn = JS_NewCFunction2(ctx, (JSCFunction *)(void *)construct, types[i].name, 1,
                                      JS_CFUNC_constructor_or_func_magic, i);
        JSValue proto = JS_NewObjectProto(ctx, base);
        JS_SetConstructor(ctx, fn, proto);
        JS_FreeValue(ctx, proto);
        JS_SetPropertyStr(ctx, all, types[i].name, JS_DupValue(ctx, fn));
        rc = JS_SetModuleExport(ctx, m, types[i].name, fn);
    }
    JS_FreeValue(ctx, base);
    return rc < 0 ? rc : JS_SetModuleExport(ctx, m, "default", all);
}

static const char *const exports[] = {"Counter", "Gauge", "Rate", "Trend", "default", NULL};
const struct sq_js_builtin sq_k6_metrics = {"k6/metrics", init, exports};
