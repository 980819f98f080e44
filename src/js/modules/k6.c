/* SPDX-License-Identifier: Apache-2.0 */
/* k6: check, group, sleep, fail, randomSeed (MOD-10 to MOD-16). Examples: docs/api/k6.md */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "js/modules/modules.h"

static JSValue not_in_init(JSContext *ctx, const char *what)
{
    return sq_js_throw(ctx, "using %s in the init context is not supported", what);
}

static bool is_async(JSContext *ctx, JSValueConst fn)
{
    JSValue constructor = JS_GetPropertyStr(ctx, fn, "constructor");
    JSValue name =
        JS_IsObject(constructor) ? JS_GetPropertyStr(ctx, constructor, "name") : JS_UNDEFINED;
    const char *text = JS_ToCString(ctx, name);
    bool async = text && strncmp(text, "Async", 5) == 0;

    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, name);
    JS_FreeValue(ctx, constructor);
    return async;
}

/* ---- check ---- */

struct check_run {
    struct sq_js_instance *self;
    struct sq_tagset *tags; /* the VU's, with those of the call */
    JSValueConst value;
    int64_t wall_ns;
    bool all_passed;
};

static const char *scenario_name(const struct sq_vu *vu)
{
    return vu->scenario == SIZE_MAX ? "" : vu->worker->run->config->scenarios[vu->scenario].name;
}

static void record_check(struct check_run *run, const char *name, bool passed)
{
    struct sq_vu *vu = run->self->vu;
    struct sq_run *test = vu->worker->run;
    struct sq_tagset *tags = sq_tagset_ref(run->tags);

    if (test->config->system_tags & SQ_TAG_CHECK) {
        struct sq_tag_pair pair = {sq_slice_str("check"), sq_slice_str(name)};
        struct sq_tagset *with = sq_tagset_with(test->tag_table, tags, &pair, 1);
        sq_tagset_unref(tags);
        tags = with;
    }
    sq_vu_sample_tags(vu, SQ_M_CHECKS, tags, run->wall_ns, passed);
    sq_tagset_unref(tags);
    if (!vu->interrupted)
        sq_checks_add_in(vu->worker->checks, sq_slice_str(scenario_name(vu)),
                         sq_slice_str(run->self->group ? run->self->group : ""), sq_slice_str(name),
                         passed, run->wall_ns);
    run->all_passed &= passed;
}

static int check_one(JSContext *ctx, void *user, const char *name, JSValueConst condition)
{
    struct check_run *run = user;
    JSValue result;

    if (strstr(name, "::")) {
        sq_js_throw(ctx, "group and check names may not contain '::'");
        return -1;
    }
    if (JS_IsFunction(ctx, condition)) {
        if (is_async(ctx, condition)) {
            sq_js_throw(ctx, "check '%s': async functions are not supported", name);
            return -1;
        }
        result = JS_Call(ctx, condition, JS_UNDEFINED, 1, &run->value);
    } else {
        result = JS_DupValue(ctx, condition);
    }
    if (JS_IsException(result)) {
        record_check(run, name, false);
        return -1;
    }
    record_check(run, name, JS_ToBool(ctx, result) > 0);
    JS_FreeValue(ctx, result);
    return 0;
}

static JSValue check(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    struct check_run run = {self, NULL, argc > 0 ? argv[0] : JS_UNDEFINED, sq_wall_ns(), true};

    (void)this_val;
    if (self->in_init)
        return not_in_init(ctx, "check()");
    if (argc < 2)
        return sq_js_throw(ctx, "check() needs a value and an object of checks");
    if (!JS_IsObject(argv[1]))
        return JS_ThrowTypeError(ctx, "check(): the second argument must be an object of checks");
    run.tags = sq_js_tags(ctx, self->vu->tags, argc > 2 ? argv[2] : JS_UNDEFINED);
    if (!run.tags)
        return JS_EXCEPTION;
    int rc = sq_js_each_key(ctx, argv[1], check_one, &run);
    sq_tagset_unref(run.tags);
    return rc < 0 ? JS_EXCEPTION : JS_NewBool(ctx, run.all_passed);
}

/* ---- group ---- */

static void set_group(struct sq_js_instance *self, char *group)
{
    struct sq_run *run = self->vu->worker->run;

    self->group = group;
    if (run->config->system_tags & SQ_TAG_GROUP) {
        struct sq_tag_pair pair = {sq_slice_str("group"), sq_slice_str(group ? group : "")};
        struct sq_tagset *tags = sq_tagset_with(run->tag_table, self->vu->tags, &pair, 1);
        sq_tagset_unref(self->vu->tags);
        self->vu->tags = tags;
    }
}

static JSValue group(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);

    (void)this_val;
    if (self->in_init)
        return not_in_init(ctx, "group()");
    if (argc < 2 || !JS_IsFunction(ctx, argv[1]))
        return sq_js_throw(ctx, "group() needs a name and a function");
    if (is_async(ctx, argv[1]))
        return sq_js_throw(ctx, "group() does not support async functions");
    const char *name = JS_ToCString(ctx, argv[0]);
    if (!name)
        return JS_EXCEPTION;
    if (strstr(name, "::")) {
        JS_FreeCString(ctx, name);
        return sq_js_throw(ctx, "group and check names may not contain '::'");
    }
    char *outer = self->group;
    char *inner = sq_xasprintf("%s::%s", outer ? outer : "", name);
    JS_FreeCString(ctx, name);
    set_group(self, inner);
    int64_t start = sq_now_ns();
    JSValue result = JS_Call(ctx, argv[1], JS_UNDEFINED, 0, NULL);
    sq_vu_sample(self->vu, SQ_M_GROUP_DURATION, (double)(sq_now_ns() - start) / SQ_NS_PER_MS);
    set_group(self, outer);
    free(inner);
    return result;
}

/* ---- sleep, fail, randomSeed ---- */

static JSValue k6_sleep(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_instance *self = sq_js_self(ctx);
    double seconds = 0;

    (void)this_val;
    if (argc > 0 && !JS_IsUndefined(argv[0]) && JS_ToFloat64(ctx, &seconds, argv[0]) < 0)
        return JS_EXCEPTION;
    if (!(seconds > 0))
        return JS_UNDEFINED;
    int64_t deadline = sq_now_ns() + (int64_t)(SQ_MIN(seconds, 9e9) * SQ_NS_PER_S);
    int rc = 0;
    while (rc == 0 && sq_now_ns() < deadline)
        rc = sq_vu_wait_until(self->vu, deadline);
    /* The native returns; the next call or loop of the script is where it ends (ENG-173). */
    if (rc < 0)
        sq_js_poll_soon(ctx);
    return JS_UNDEFINED;
}

static JSValue fail(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text = argc > 0 ? JS_ToCString(ctx, argv[0]) : JS_ToCString(ctx, JS_UNDEFINED);

    (void)this_val;
    if (!text)
        return JS_EXCEPTION;
    JSValue error = JS_NewError(ctx);
    JS_DefinePropertyValueStr(ctx, error, "message", JS_NewString(ctx, argc > 0 ? text : ""),
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    JS_FreeCString(ctx, text);
    return JS_Throw(ctx, error);
}

static JSValue random_seed(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    int64_t seed = 0;

    (void)this_val;
    if (argc > 0 && JS_ToInt64(ctx, &seed, argv[0]) < 0)
        return JS_EXCEPTION;
    sq_js_seed_random(ctx, (uint64_t)seed);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("check", 2, check),    JS_CFUNC_DEF("fail", 1, fail),
    JS_CFUNC_DEF("group", 2, group),    JS_CFUNC_DEF("randomSeed", 1, random_seed),
    JS_CFUNC_DEF("sleep", 1, k6_sleep),
};

static int init(JSContext *ctx, JSModuleDef *m)
{
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"check", "fail",    "group", "randomSeed",
                                      "sleep", "default", NULL};
const struct sq_js_builtin sq_k6 = {"k6", init, exports};
