/* SPDX-License-Identifier: Apache-2.0 */
/* The table of built-in modules. Sorted; names are compared exactly. */
#include "js/modules/modules.h"

#include "base/text.h"
#include "js/instance.h"
#include "js/kits.h"

static const struct sq_js_builtin *const builtins[] = {
    &sq_k6,
    &sq_k6_crypto,
    &sq_k6_data,
    &sq_k6_encoding,
    &sq_k6_execution,
    &sq_k6_html,
    &sq_k6_http,
    &sq_k6_metrics,
    &sq_k6_secrets,
    &sq_k6_timers,
    &sq_k6_ws,
    &sq_k6_websockets,
    &sq_k6_experimental_csv,
    &sq_k6_experimental_fs,
    &sq_k6_experimental_streams,
    &sq_k6_experimental_websockets,
};

static const struct {
    const char *name, *excuse;
} excuses[] = {
    {"k6/browser", "browser tests are out of squall's scope; run them with k6"},
    {"k6/net/grpc", "gRPC is out of squall's scope; run such a test with k6"},
};

static const struct {
    const char *old, *now;
} renamed[] = {
    {"k6/experimental/timers", "k6/timers"},
};

const char *sq_js_renamed_builtin(const char *name)
{
    for (size_t i = 0; i < SQ_COUNT(renamed); i++)
        if (strcmp(renamed[i].old, name) == 0)
            return renamed[i].now;
    return NULL;
}

const struct sq_js_builtin *sq_js_find_builtin(const char *name)
{
    const char *now = sq_js_renamed_builtin(name);

    if (now)
        name = now;
    for (size_t i = 0; i < SQ_COUNT(builtins); i++)
        if (strcmp(builtins[i]->name, name) == 0)
            return builtins[i];
    return NULL;
}

const char *sq_js_builtin_excuse(const char *name)
{
    for (size_t i = 0; i < SQ_COUNT(excuses); i++)
        if (strcmp(excuses[i].name, name) == 0)
            return excuses[i].excuse;
    if (sq_text_starts(name, "k6/x/"))
        return "k6 extensions are Go code, which squall cannot load";
    return NULL;
}

const char *sq_js_nearest_builtin(const char *name)
{
    const char *names[SQ_COUNT(builtins) + 16];
    size_t count = 0;

    for (; count < SQ_COUNT(builtins); count++)
        names[count] = builtins[count]->name;
    for (size_t i = 0; count < SQ_COUNT(names) && sq_js_kit_name(i); i++)
        names[count++] = sq_js_kit_name(i);
    return sq_text_nearest(name, names, count);
}

int sq_js_export_functions(JSContext *ctx, JSModuleDef *m, const JSCFunctionListEntry *list,
                           int count)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, list, count);
    for (int i = 0; i < count; i++)
        if (JS_SetModuleExport(ctx, m, list[i].name, JS_GetPropertyStr(ctx, object, list[i].name)) <
            0)
            return -1;
    return JS_SetModuleExport(ctx, m, "default", object);
}

void sq_js_register_classes(JSContext *ctx)
{
    sq_k6_ws_classes(ctx);
    sq_k6_websockets_classes(ctx);
    sq_k6_http_classes(ctx);
    sq_k6_metrics_classes(ctx);
    sq_k6_crypto_classes(ctx);
    sq_k6_data_classes(ctx);
    sq_k6_execution_classes(ctx);
    sq_web_crypto_classes(ctx);
    sq_k6_html_classes(ctx);
    sq_k6_fs_classes(ctx);
    sq_k6_csv_classes(ctx);
}
