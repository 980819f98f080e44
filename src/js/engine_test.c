/* SPDX-License-Identifier: Apache-2.0 */
/* What a cell promises: VUs of one realm share code and builtins and nothing else. */
#include <stdlib.h>

#include "base/test.h"
#include "fiber/fiber.h"
#include "js/js.h"

struct realm {
    struct sq_slab *slab;
    struct sq_fiber_pool *fibers;
    JSContext *ctx;
};

/* A VU of the tests: runs one source after another on a fiber of its own. */
struct user {
    struct realm *realm;
    struct sq_js_switch engine;
    struct sq_fiber *fiber;
    const char *source; /* next to run; NULL: end */
    char *result;       /* String() of what the last one gave, or "!" and the exception */
};

static struct user *current;

static struct realm realm_open(void)
{
    struct realm r = {sq_slab_new(), sq_fiber_pool_new(SQ_FIBER_STACK_BYTES), NULL};

    r.ctx = sq_js_realm_new(r.slab);
    return r;
}

static void realm_close(struct realm *r)
{
    sq_js_realm_free(r->ctx);
    sq_fiber_pool_free(r->fibers);
    sq_slab_free(r->slab);
}

static void enter(struct user *u)
{
    sq_js_switch_stack(&u->engine, (uintptr_t)sq_fiber_stack_low(u->fiber),
                       (uintptr_t)sq_fiber_stack_top(u->fiber));
    sq_js_switch_in(u->realm->ctx, &u->engine);
    current = u;
}

static void leave(struct user *u)
{
    current = NULL;
    sq_js_switch_out(u->realm->ctx, &u->engine);
}

static char *text_of(JSContext *ctx, JSValue value)
{
    bool threw = JS_IsException(value);
    JSValue shown = threw ? JS_GetException(ctx) : value;
    const char *text = JS_ToCString(ctx, shown);
    char *copy = sq_xasprintf("%s%s", threw ? "!" : "", text ? text : "?");

    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, shown);
    return copy;
}

static void user_main(void *arg)
{
    struct user *u = arg;
    JSContext *ctx = u->realm->ctx, *job_ctx;

    while (u->source) {
        enter(u);
        JSValue value = JS_Eval(ctx, u->source, strlen(u->source), "test.js", JS_EVAL_TYPE_GLOBAL);
        free(u->result);
        u->result = text_of(ctx, value);
        while (JS_ExecutePendingJob(JS_GetRuntime(ctx), &job_ctx) > 0)
            ;
        leave(u);
        sq_fiber_suspend();
    }
}

static JSValue suspend(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct user *u = current;

    (void)ctx, (void)this_val, (void)argc, (void)argv;
    leave(u);
    sq_fiber_suspend();
    enter(u);
    return JS_UNDEFINED;
}

static void user_open(struct user *u, struct realm *r)
{
    *u = (struct user){.realm = r, .source = ""};
    SQ_CHECK_EQ(sq_js_switch_init(r->ctx, &u->engine), 0);
    JS_DefinePropertyValueStr(r->ctx, u->engine.global, "suspend",
                              JS_NewCFunction(r->ctx, suspend, "suspend", 0), JS_PROP_C_W_E);
    u->fiber = sq_fiber_new(r->fibers, user_main, u);
}

/* Starts a source, or goes on with one that is suspended (NULL). */
static void run(struct user *u, const char *source)
{
    if (source)
        u->source = source;
    sq_fiber_resume(u->fiber);
}

static void user_close(struct user *u)
{
    u->source = NULL;
    while (sq_fiber_resume(u->fiber))
        ;
    sq_fiber_free(u->fiber);
    sq_js_switch_deinit(u->realm->ctx, &u->engine);
    free(u->result);
}

SQ_TEST(js_globals_belong_to_the_vu)
{
    struct realm r = realm_open();
    struct user a, b;

    user_open(&a, &r);
    user_open(&b, &r);
    run(&a, "globalThis.x = 1; suspend(); globalThis.x");
    run(&b, "globalThis.x = 2; typeof y + suspend()");
    run(&a, NULL);
    SQ_CHECK_STR(a.result, "1");
    run(&b, NULL);
    SQ_CHECK_STR(b.result, "undefinedundefined");
    run(&b, "x");
    SQ_CHECK_STR(b.result, "2");
    run(&a, "delete globalThis.x; typeof x");
    SQ_CHECK_STR(a.result, "undefined");
    run(&b, "x");
    SQ_CHECK_STR(b.result, "2");
    user_close(&a);
    user_close(&b);
    realm_close(&r);
}

SQ_TEST(js_pending_jobs_belong_to_the_vu)
{
    struct realm r = realm_open();
    struct user a, b;

    user_open(&a, &r);
    user_open(&b, &r);
    run(&a, "globalThis.log = ''; Promise.resolve().then(() => log += 'a'); suspend(); log");
    run(&b, "globalThis.log = ''; Promise.resolve().then(() => log += 'b'); log");
    run(&b, "log");
    SQ_CHECK_STR(b.result, "b");
    run(&a, NULL);
    SQ_CHECK_STR(a.result, "");
    run(&a, "log");
    SQ_CHECK_STR(a.result, "a");
    user_close(&a);
    user_close(&b);
    realm_close(&r);
}

SQ_TEST(js_suspension_works_anywhere_a_native_can_be_called)
{
    static const char *const sources[] = {
        "suspend(); 'done'",
        "try { suspend(); throw new Error('x') } catch (e) { suspend(); 'done' }",
        "function* g() { suspend(); yield 'done' } [...g()][0]",
        "[2, 1].sort((p, q) => { suspend(); return p - q }).join() === '1,2' ? 'done' : 'no'",
        "class A { constructor() { suspend() } get v() { suspend(); return 'done' } } new A().v",
        "JSON.parse('[1]', (k, v) => { suspend(); return v }).length ? 'done' : 'no'",
        "'a'.replace(/a/, () => { suspend(); return 'done' })",
        "const p = new Proxy({}, { get() { suspend(); return 'done' } }); p.x",
    };
    struct realm r = realm_open();
    struct user users[SQ_COUNT(sources)];
    bool all_done = false;

    for (size_t i = 0; i < SQ_COUNT(sources); i++) {
        user_open(&users[i], &r);
        run(&users[i], sources[i]);
    }
    for (int round = 0; round < 8 && !all_done; round++) {
        JS_RunGC(JS_GetRuntime(r.ctx)); /* values on suspended stacks survive */
        all_done = true;
        for (size_t i = 0; i < SQ_COUNT(sources); i++)
            if (!users[i].result) {
                run(&users[i], NULL);
                all_done = false;
            }
    }
    for (size_t i = 0; i < SQ_COUNT(sources); i++) {
        SQ_CHECK_STR(users[i].result, "done");
        user_close(&users[i]);
    }
    realm_close(&r);
}

SQ_TEST(js_deep_recursion_is_an_exception)
{
    struct realm r = realm_open();
    struct user u;

    user_open(&u, &r);
    run(&u, "function f() { return f() + 1 } try { f(); 'no' } catch (e) { e.name }");
    SQ_CHECK_STR(u.result, "InternalError");
    run(&u, "try { JSON.parse('['.repeat(100000)); 'no' } catch (e) { 'caught' }");
    SQ_CHECK_STR(u.result, "caught");
    run(&u, "try { new RegExp('('.repeat(100000)); 'no' } catch (e) { 'caught' }");
    SQ_CHECK_STR(u.result, "caught");
    user_close(&u);
    realm_close(&r);
}

static int stop_all(JSRuntime *rt, void *opaque)
{
    (void)rt, (void)opaque;
    return 1;
}

SQ_TEST(js_interruption_runs_neither_catch_nor_finally)
{
    struct realm r = realm_open();
    struct user u;

    user_open(&u, &r);
    run(&u, "globalThis.ran = ''"); /* a fresh realm polls at its first call */
    JS_SetInterruptHandler(JS_GetRuntime(r.ctx), stop_all, NULL);
    run(&u, "try { while (true) {} } catch (e) { ran += 'c' } finally { ran "
            "+= 'f' }");
    JS_SetInterruptHandler(JS_GetRuntime(r.ctx), NULL, NULL);
    SQ_CHECK_STR(u.result, "!InternalError: interrupted");
    run(&u, "ran");
    SQ_CHECK_STR(u.result, "");
    user_close(&u);
    realm_close(&r);
}

SQ_TEST(js_random_seed_is_the_vus_own)
{
    struct realm r = realm_open();
    struct user a, b;
    uint64_t seed = 7;

    user_open(&a, &r);
    user_open(&b, &r);
    run(&a, "Math.random()");
    char *first = sq_xstrdup(a.result);
    run(&b, "Math.random()");
    SQ_CHECK(strcmp(first, b.result) != 0);
    a.engine.random_state = b.engine.random_state = seed;
    run(&a, "Math.random()");
    run(&b, "Math.random()");
    SQ_CHECK_STR(a.result, b.result);
    free(first);
    user_close(&a);
    user_close(&b);
    realm_close(&r);
}

/* ---- module copies ---- */

static JSValue compile(JSContext *ctx, const char *name, const char *source)
{
    return JS_Eval(ctx, source, strlen(source), name,
                   JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
}

static JSModuleDef *load_helper(JSContext *ctx, const char *name, void *opaque)
{
    JSValue module = compile(ctx, name, opaque);

    if (JS_IsException(module))
        return NULL;
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module);
    return m;
}

/* Runs a fresh copy of the graph for the VU that is in; gives its export `name`. */
static JSValue instantiate(JSContext *ctx, JSValueConst root, const char *name)
{
    struct sq_js_graph *graph = sq_js_graph_new(ctx);
    JSValue copy = sq_js_graph_add(ctx, graph, root);

    if (JS_IsException(copy)) {
        sq_js_graph_free(ctx, graph);
        return copy;
    }
    JSValue promise = sq_js_module_evaluate(ctx, copy);
    SQ_CHECK_EQ(JS_PromiseState(ctx, promise), JS_PROMISE_FULFILLED);
    JS_FreeValue(ctx, promise);
    JSValue value = sq_js_module_export(ctx, copy, name);
    sq_js_graph_free(ctx, graph);
    return value;
}

static int call_number(JSContext *ctx, JSValueConst fn)
{
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, 0, NULL);
    int32_t number = -1;

    JS_ToInt32(ctx, &number, result);
    JS_FreeValue(ctx, result);
    return number;
}

SQ_TEST(js_module_copies_share_code_and_nothing_else)
{
    struct realm r = realm_open();
    static char helper[] = "let n = 0; export function bump() { return ++n }";

    JS_SetModuleLoaderFunc(JS_GetRuntime(r.ctx), NULL, load_helper, helper);
    JSValue root = compile(
        r.ctx, "main.js",
        "import { bump } from './helper.js';\n"
        "let calls = 0; export default function () { calls++; return bump() * 10 + calls }");
    SQ_CHECK_EQ(JS_ResolveModule(r.ctx, root), 0);
    JSValue a = instantiate(r.ctx, root, "default"), b = instantiate(r.ctx, root, "default");
    SQ_CHECK_EQ(call_number(r.ctx, a), 11);
    SQ_CHECK_EQ(call_number(r.ctx, a), 22);
    SQ_CHECK_EQ(call_number(r.ctx, b), 11);
    JS_RunGC(JS_GetRuntime(r.ctx)); /* the records are gone, the functions live */
    SQ_CHECK_EQ(call_number(r.ctx, a), 33);
    JS_FreeValue(r.ctx, a);
    JS_FreeValue(r.ctx, b);
    JS_FreeValue(r.ctx, root);
    realm_close(&r);
}

SQ_TEST(js_module_copies_cost_no_bytecode)
{
    enum { COPIES = 100, FUNCTIONS = 2000 };
    struct realm r = realm_open();
    JSValue functions[COPIES];
    char *source = sq_xmalloc(FUNCTIONS * 80 + 100), *p = source;

    p += sprintf(p, "export default function () { return 1 }\n");
    for (int i = 0; i < FUNCTIONS; i++)
        p += sprintf(p, "export const o%d = { m(a, b) { return a * %d + b + 'text %d' } };\n",
                     i % 4, i, i) *
             (i < 4);
    for (int i = 0; i < FUNCTIONS; i++)
        p += sprintf(p, "/* pad */ o0.f%d = (a) => a + %d;\n", i, i);
    size_t before = sq_js_heap_bytes(r.ctx);
    JSValue root = compile(r.ctx, "big.js", source);
    SQ_CHECK(!JS_IsException(root));
    SQ_CHECK_EQ(JS_ResolveModule(r.ctx, root), 0);
    size_t code = sq_js_heap_bytes(r.ctx) - before;
    functions[0] = instantiate(r.ctx, root, "default");
    before = sq_js_heap_bytes(r.ctx);
    for (int i = 1; i < COPIES; i++)
        functions[i] = instantiate(r.ctx, root, "default");
    size_t each = (sq_js_heap_bytes(r.ctx) - before) / (COPIES - 1);
    SQ_CHECK(each * 10 < code, "a copy costs %zu bytes, the code %zu", each, code);
    for (int i = 0; i < COPIES; i++)
        JS_FreeValue(r.ctx, functions[i]);
    JS_FreeValue(r.ctx, root);
    free(source);
    realm_close(&r);
}

static int init_native(JSContext *ctx, JSModuleDef *m)
{
    return JS_SetModuleExport(ctx, m, "known", JS_NewInt32(ctx, 5));
}

static JSModuleDef *load_native(JSContext *ctx, const char *name, void *opaque)
{
    JSModuleDef *m = JS_NewCModule(ctx, name, init_native);

    (void)opaque;
    JS_AddModuleExport(ctx, m, "known");
    return m;
}

static void count_missing(void *user, const char *module, const char *name)
{
    SQ_CHECK_STR(module, "k6/native");
    SQ_CHECK_STR(name, "unknown");
    ++*(int *)user;
}

SQ_TEST(js_missing_name_of_a_native_module_is_null)
{
    struct realm r = realm_open();
    int missing = 0;

    JS_SetModuleLoaderFunc(JS_GetRuntime(r.ctx), NULL, load_native, NULL);
    JSValue root = compile(r.ctx, "main.js",
                           "import { known, unknown } from 'k6/native';\n"
                           "export default () => unknown === null ? known : -1;");
    SQ_CHECK_EQ(JS_ResolveModule(r.ctx, root), 0);
    SQ_CHECK_EQ(sq_js_module_tolerate_missing(r.ctx, root, count_missing, &missing), 0);
    SQ_CHECK_EQ(missing, 1);
    for (int i = 0; i < 2; i++) {
        JSValue fn = instantiate(r.ctx, root, "default");
        SQ_CHECK_EQ(call_number(r.ctx, fn), 5);
        JS_FreeValue(r.ctx, fn);
    }
    JS_FreeValue(r.ctx, root);
    realm_close(&r);
}

SQ_TEST(js_changed_builtins_are_noticed)
{
    static const struct {
        const char *source;
        bool changes;
    } cases[] = {
        {"Math.max(1, 2); JSON.stringify({}); [1].map(x => x); new Map(); globalThis.mine = 1",
         false},
        {"Math.random = () => 4", true},
        {"Array.prototype.last = function () { return this[this.length - 1] }", true},
        {"String.prototype.trim = () => 'x'", true},
        {"Object.defineProperty(Object.prototype, 'z', { get() { return 1 } })", true},
        {"JSON.extra = 1", true},
        {"Promise.prototype.then = function () {}", true},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct realm r = realm_open();
        struct user u;
        uint64_t before = sq_js_builtins_fingerprint(r.ctx);
        user_open(&u, &r);
        run(&u, cases[i].source);
        SQ_CHECK_EQ(sq_js_builtins_fingerprint(r.ctx) != before, cases[i].changes, "%s",
                    cases[i].source);
        user_close(&u);
        realm_close(&r);
    }
}

SQ_TEST(js_ascii_strings_are_read_where_they_lie)
{
    static const struct {
        const char *source;
        const char *bytes; /* NULL: not ASCII, or no string */
    } cases[] = {
        {"''", ""},
        {"'a'", "a"},
        {"'1234567'", "1234567"},
        {"'12345678'", "12345678"},
        {"'12345678\\x7f'", "12345678\x7f"},
        {"'x'.repeat(16) + '\\n'", "xxxxxxxxxxxxxxxx\n"},
        {"'1234567\\x80'", NULL},
        {"'\\xff2345678'", NULL},
        {"'12345678\\xe9'", NULL},
        {"'\\u20ac'", NULL},
        {"12", NULL},
        {"({})", NULL},
    };
    struct realm r = realm_open();

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_slice bytes = sq_slice("?", 1);
        sq_js_native_stack(r.ctx, 64 * 1024);
        JSValue value = JS_Eval(r.ctx, cases[i].source, strlen(cases[i].source), "test.js",
                                JS_EVAL_TYPE_GLOBAL);
        bool ascii = sq_js_ascii_bytes(value, &bytes);
        SQ_CHECK_EQ(ascii, cases[i].bytes != NULL, "%s", cases[i].source);
        if (ascii) {
            JSValue copy = sq_js_ascii_new(r.ctx, bytes);
            SQ_CHECK_EQ(bytes.len, strlen(cases[i].bytes), "%s", cases[i].source);
            SQ_CHECK(memcmp(bytes.data, cases[i].bytes, bytes.len) == 0, "%s", cases[i].source);
            SQ_CHECK(JS_StrictEq(r.ctx, value, copy), "%s", cases[i].source);
            JS_FreeValue(r.ctx, copy);
        }
        JS_FreeValue(r.ctx, value);
    }
    realm_close(&r);
}
