/* SPDX-License-Identifier: Apache-2.0 */
/* Includes the engine's source, so that the few private fields a cell swaps are in reach without a
 * patch: current stack frame, stack limits, job list, global object, random state, interrupt
 * counter, and the module records that are copied for each VU. Nothing else may include it. */
#include "quickjs.c"

#undef malloc
#undef free
#undef realloc

#include "base/random.h"
#include "js/js.h"

/* ---- memory: the thread's slab behind the runtime ---- */

static void *slab_js_malloc(JSMallocState *s, size_t size)
{
    if (s->malloc_size + size > s->malloc_limit)
        return NULL;
    void *p = sq_slab_alloc(s->opaque, size);
    if (!p)
        return NULL;
    s->malloc_count++;
    s->malloc_size += sq_slab_usable_size(p);
    return p;
}

static void slab_js_free(JSMallocState *s, void *p)
{
    if (!p)
        return;
    s->malloc_count--;
    s->malloc_size -= sq_slab_usable_size(p);
    sq_slab_dealloc(p);
}

static void *slab_js_realloc(JSMallocState *s, void *p, size_t size)
{
    if (!p)
        return size ? slab_js_malloc(s, size) : NULL;
    if (size == 0) {
        slab_js_free(s, p);
        return NULL;
    }
    size_t old = sq_slab_usable_size(p);
    if (s->malloc_size + size - old > s->malloc_limit)
        return NULL;
    void *q = sq_slab_realloc(s->opaque, p, size);
    if (!q)
        return NULL;
    s->malloc_size += sq_slab_usable_size(q) - old;
    return q;
}

static size_t slab_js_usable_size(const void *p)
{
    return sq_slab_usable_size((void *)p);
}

static const JSMallocFunctions slab_functions = {
    slab_js_malloc,
    slab_js_free,
    slab_js_realloc,
    slab_js_usable_size,
};

/* ---- realms and switching ---- */

JSContext *sq_js_realm_new(struct sq_slab *slab)
{
    JSRuntime *rt = JS_NewRuntime2(&slab_functions, slab);

    if (!rt)
        return NULL;
    JS_SetGCThreshold(rt, (size_t)-1);
    /* Each fiber brings its own limits; a realm is never entered without them. */
    rt->stack_size = 0;
    JSContext *ctx = JS_NewContext(rt);
    if (!ctx)
        JS_FreeRuntime(rt);
    return ctx;
}

void sq_js_realm_free(JSContext *ctx)
{
    JSRuntime *rt = JS_GetRuntime(ctx);

    JS_FreeContext(ctx);
    JS_FreeRuntime(rt);
}

/* `console = ...` in strict code: the name is known, if only to the realm's global object, so it is
 * no ReferenceError, and the VU gets a property of its own. */
static int set_global(JSContext *ctx, JSValueConst global, JSAtom name, JSValueConst value,
                      JSValueConst receiver, int flags)
{
    JSValueConst realm = JS_MKPTR(JS_TAG_OBJECT, JS_VALUE_GET_OBJ(global)->shape->proto);
    int known = JS_HasProperty(ctx, realm, name);

    if (known < 0)
        return -1;
    if (known)
        flags &= ~JS_PROP_NO_ADD;
    return JS_SetPropertyInternal(ctx, realm, name, JS_DupValue(ctx, value), receiver, flags);
}

/* The object stays an ordinary one to scripts: only what it lacks when it is assigned goes here. */
static JSValue new_global(JSContext *ctx)
{
    static const JSClassExoticMethods methods = {.set_property = set_global};
    JSValue global = JS_NewObjectProto(ctx, ctx->global_obj);

    if (JS_IsException(global))
        return global;
    ctx->rt->class_array[JS_CLASS_OBJECT].exotic = &methods;
    JS_VALUE_GET_OBJ(global)->is_exotic = 1;
    return global;
}

int sq_js_switch_init(JSContext *ctx, struct sq_js_switch *s)
{
    _Static_assert(sizeof(s->jobs) == sizeof(struct list_head), "a list head");
    memset(s, 0, sizeof *s);
    init_list_head((struct list_head *)s->jobs);
    s->global = new_global(ctx);
    if (JS_IsException(s->global))
        return -1;
    JS_DefinePropertyValue(ctx, s->global, JS_ATOM_globalThis, JS_DupValue(ctx, s->global),
                           JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
    do
        sq_random_bytes(&s->random_state, sizeof s->random_state);
    while (s->random_state == 0);
    return 0;
}

static void drop_jobs(JSContext *ctx, struct list_head *jobs)
{
    struct list_head *el, *next;

    list_for_each_safe(el, next, jobs)
    {
        JSJobEntry *e = list_entry(el, JSJobEntry, link);
        list_del(el);
        for (int i = 0; i < e->argc; i++)
            JS_FreeValue(ctx, e->argv[i]);
        js_free(ctx, e);
    }
}

void sq_js_forget_jobs(JSContext *ctx)
{
    drop_jobs(ctx, &ctx->rt->job_list);
}

size_t sq_js_heap_bytes(JSContext *ctx)
{
    return ctx->rt->malloc_state.malloc_size;
}

bool sq_js_memory_failed(JSContext *ctx)
{
    return sq_slab_take_failure(ctx->rt->malloc_state.opaque);
}

void sq_js_switch_deinit(JSContext *ctx, struct sq_js_switch *s)
{
    drop_jobs(ctx, (struct list_head *)s->jobs);
    /* globalThis points at the object itself: a cycle that only the collector would find. */
    JS_DeleteProperty(ctx, s->global, JS_ATOM_globalThis, 0);
    JS_FreeValue(ctx, s->global);
    s->global = JS_UNDEFINED;
}

void sq_js_switch_stack(struct sq_js_switch *s, uintptr_t low, uintptr_t top)
{
    /* Native frames below the engine's last check need room: OpenSSL-free natives stay within it.
     */
    enum { NATIVE_RESERVE_BYTES = 14 * 1024 };

    s->stack_top = top;
    s->stack_limit = low + NATIVE_RESERVE_BYTES;
}

static void swap_lists(struct list_head *a, struct list_head *b)
{
    struct list_head old_a = *a, old_b = *b;

    if (list_empty(b)) {
        init_list_head(a);
    } else {
        *a = old_b;
        a->next->prev = a->prev->next = a;
    }
    if (old_a.next == a) {
        init_list_head(b);
    } else {
        *b = old_a;
        b->next->prev = b->prev->next = b;
    }
}

static void swap(JSContext *ctx, struct sq_js_switch *s)
{
    JSRuntime *rt = ctx->rt;
    JSValue global = ctx->global_obj;
    uint64_t random_state = ctx->random_state;

    ctx->global_obj = s->global;
    s->global = global;
    ctx->random_state = s->random_state;
    s->random_state = random_state;
    swap_lists(&rt->job_list, (struct list_head *)s->jobs);
}

/* While a VU is in, its switch holds the realm's own values. */
void sq_js_switch_in(JSContext *ctx, struct sq_js_switch *s)
{
    JSRuntime *rt = ctx->rt;

    swap(ctx, s);
    rt->current_stack_frame = s->frame;
    rt->stack_top = s->stack_top;
    rt->stack_limit = s->stack_limit;
}

void sq_js_switch_out(JSContext *ctx, struct sq_js_switch *s)
{
    JSRuntime *rt = ctx->rt;

    s->frame = rt->current_stack_frame;
    rt->current_stack_frame = NULL;
    rt->stack_limit = 0;
    swap(ctx, s);
}

/* ---- interruption ---- */

void sq_js_poll_soon(JSContext *ctx)
{
    ctx->interrupt_counter = 1;
}

int *sq_js_interrupt_counter(JSContext *ctx)
{
    return &ctx->interrupt_counter;
}

JSValue sq_js_throw_interrupted(JSContext *ctx)
{
    JS_ThrowInterrupted(ctx);
    return JS_EXCEPTION;
}

bool sq_js_is_uncatchable(JSContext *ctx, JSValueConst exception)
{
    (void)ctx;
    if (JS_VALUE_GET_TAG(exception) != JS_TAG_OBJECT)
        return false;
    JSObject *p = JS_VALUE_GET_OBJ(exception);
    return p->class_id == JS_CLASS_ERROR && p->is_uncatchable_error;
}

/* ---- module copies ---- */

/* The copies of one VU, each beside its template. */
struct sq_js_graph {
    JSModuleDef **from, **to;
    int count, size;
};

/* A native module proper: one for the whole realm. */
static bool is_native(const JSModuleDef *m)
{
    return m->init_func && JS_IsUndefined(m->func_obj);
}

/* A native module as well, to which func_obj brings the bytecode of the file; copied like others.
 */
static bool is_commonjs(const JSModuleDef *m)
{
    return m->init_func && !JS_IsUndefined(m->func_obj);
}

static JSModuleDef *find_copy(const struct sq_js_graph *graph, const JSModuleDef *m)
{
    for (int i = 0; i < graph->count; i++)
        if (graph->from[i] == m)
            return graph->to[i];
    return NULL;
}

static void *copy_array(JSContext *ctx, const void *from, int count, size_t item)
{
    if (count == 0)
        return NULL;
    void *to = js_malloc(ctx, (size_t)count * item);
    if (to)
        memcpy(to, from, (size_t)count * item);
    return to;
}

#define COPY_ENTRIES(field)                                                                 \
    do {                                                                                    \
        to->field = copy_array(ctx, from->field, from->field##_count, sizeof *from->field); \
        if (!to->field && from->field##_count)                                              \
            return -1;                                                                      \
        to->field##_count = to->field##_size = from->field##_count;                         \
    } while (0)

static int copy_record(JSContext *ctx, const JSModuleDef *from, JSModuleDef *to)
{
    COPY_ENTRIES(req_module_entries);
    for (int i = 0; i < to->req_module_entries_count; i++)
        JS_DupAtom(ctx, to->req_module_entries[i].module_name);
    COPY_ENTRIES(export_entries);
    for (int i = 0; i < to->export_entries_count; i++) {
        JSExportEntry *e = &to->export_entries[i];
        JS_DupAtom(ctx, e->local_name);
        JS_DupAtom(ctx, e->export_name);
        if (e->export_type == JS_EXPORT_TYPE_LOCAL)
            e->u.local.var_ref = NULL;
    }
    COPY_ENTRIES(star_export_entries);
    COPY_ENTRIES(import_entries);
    for (int i = 0; i < to->import_entries_count; i++)
        JS_DupAtom(ctx, to->import_entries[i].import_name);
    to->func_obj = JS_DupValue(ctx, from->func_obj);
    to->init_func = from->init_func;
    to->has_tla = from->has_tla;
    to->resolved = TRUE;
    return 0;
}

/* Adds a name to a module whose exports are known only when it has run. */
static JSExportEntry *add_late_export(JSContext *ctx, JSModuleDef *m, JSAtom name)
{
    JSExportEntry *e = find_export_entry(ctx, m, name);

    if (e)
        return e;
    JSVarRef *ref = m->func_created ? js_create_module_var(ctx, FALSE) : NULL;
    if (m->func_created && !ref)
        return NULL;
    e = add_export_entry2(ctx, NULL, m, JS_ATOM_NULL, name, JS_EXPORT_TYPE_LOCAL);
    if (e)
        e->u.local.var_ref = ref;
    else if (ref)
        free_var_ref(ctx->rt, ref);
    return e;
}

static int grow_graph(JSContext *ctx, struct sq_js_graph *graph)
{
    int size = graph->size ? graph->size * 2 : 8;

    if (graph->count < graph->size)
        return 0;
    JSModuleDef **from = js_realloc(ctx, graph->from, sizeof(*from) * size);
    if (!from)
        return -1;
    graph->from = from;
    JSModuleDef **to = js_realloc(ctx, graph->to, sizeof(*to) * size);
    if (!to)
        return -1;
    graph->to = to;
    graph->size = size;
    return 0;
}

static JSModuleDef *copy_graph(JSContext *ctx, struct sq_js_graph *graph, JSModuleDef *m)
{
    JSModuleDef *copy = is_native(m) ? m : find_copy(graph, m);

    if (copy) {
        /* Importers that were loaded since may have asked a CommonJS file for more names. */
        if (is_commonjs(m))
            for (int i = 0; i < m->export_entries_count; i++)
                if (!add_late_export(ctx, copy, m->export_entries[i].export_name))
                    return NULL;
        return copy;
    }
    if (grow_graph(ctx, graph) < 0)
        return NULL;
    copy = js_new_module_def(ctx, JS_DupAtom(ctx, m->module_name));
    if (!copy)
        return NULL;
    graph->from[graph->count] = m;
    graph->to[graph->count++] = copy;
    if (copy_record(ctx, m, copy) < 0)
        return NULL;
    for (int i = 0; i < copy->req_module_entries_count; i++) {
        JSReqModuleEntry *rme = &copy->req_module_entries[i];
        rme->module = copy_graph(ctx, graph, rme->module);
        if (!rme->module)
            return NULL;
    }
    return copy;
}

/* Until a native module's own code sets them, its exports are null: so is what it never sets, a
 * name that scripts import and we do not have (ENG-17). */
static void null_exports(JSContext *ctx, JSModuleDef *m)
{
    if (!is_native(m) || m->status != JS_MODULE_STATUS_UNLINKED)
        return;
    for (int i = 0; i < m->export_entries_count; i++) {
        JSExportEntry *e = &m->export_entries[i];
        if (e->export_type == JS_EXPORT_TYPE_LOCAL && JS_IsUndefined(*e->u.local.var_ref->pvalue))
            set_value(ctx, e->u.local.var_ref->pvalue, JS_NULL);
    }
}

void sq_js_module_rest_undefined(JSContext *ctx, JSModuleDef *m)
{
    for (int i = 0; i < m->export_entries_count; i++) {
        JSExportEntry *e = &m->export_entries[i];
        if (e->export_type == JS_EXPORT_TYPE_LOCAL && JS_IsNull(*e->u.local.var_ref->pvalue))
            set_value(ctx, e->u.local.var_ref->pvalue, JS_UNDEFINED);
    }
}

/* The engine cannot link or run what depends on a module that is running. */
static bool reaches_running(JSModuleDef *m)
{
    enum { SEEN = -4 };

    if (m->status == JS_MODULE_STATUS_EVALUATING)
        return true;
    if (is_native(m) || m->dfs_index == SEEN ||
        (m->status != JS_MODULE_STATUS_UNLINKED && m->status != JS_MODULE_STATUS_LINKED))
        return false;
    m->dfs_index = SEEN; /* set anew before the engine reads it */
    bool found = false;
    for (int i = 0; i < m->req_module_entries_count && !found; i++)
        found = reaches_running(m->req_module_entries[i].module);
    m->dfs_index = found ? 0 : SEEN;
    return found;
}

static void forget_seen(struct sq_js_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        if (graph->to[i]->status == JS_MODULE_STATUS_UNLINKED ||
            graph->to[i]->status == JS_MODULE_STATUS_LINKED)
            graph->to[i]->dfs_index = 0;
}

static int link_copies(JSContext *ctx, struct sq_js_graph *graph, JSModuleDef *m, int first)
{
    bool running = reaches_running(m);

    forget_seen(graph);
    if (running) {
        char name[ATOM_GET_STR_BUF_SIZE];
        JS_ThrowReferenceError(ctx, "cannot require '%s': it imports a module that is running",
                               JS_AtomGetStr(ctx, name, sizeof name, m->module_name));
        return -1;
    }
    if (js_create_module_function(ctx, m) < 0)
        return -1;
    for (int i = first; i < graph->count; i++)
        for (int j = 0; j < graph->to[i]->req_module_entries_count; j++)
            null_exports(ctx, graph->to[i]->req_module_entries[j].module);
    return js_link_module(ctx, m);
}

struct sq_js_graph *sq_js_graph_new(JSContext *ctx)
{
    return js_mallocz(ctx, sizeof(struct sq_js_graph));
}

JSValue sq_js_graph_add(JSContext *ctx, struct sq_js_graph *graph, JSValueConst root)
{
    int first = graph->count;
    JSModuleDef *m = copy_graph(ctx, graph, JS_VALUE_GET_PTR(root));

    if (m && (m->status == JS_MODULE_STATUS_EVALUATING || link_copies(ctx, graph, m, first) == 0))
        return JS_NewModuleValue(ctx, m);
    while (graph->count > first)
        js_free_module_def(ctx, graph->to[--graph->count]);
    return JS_EXCEPTION;
}

/* A namespace looks some of its names up in the module when they are first read: it may outlive
 * the module. */
static void settle_namespace(JSContext *ctx, JSModuleDef *m)
{
    if (JS_VALUE_GET_TAG(m->module_ns) != JS_TAG_OBJECT)
        return;
    JSObject *p = JS_VALUE_GET_OBJ(m->module_ns);
    for (int i = 0; i < p->shape->prop_count; i++) {
        JSShapeProperty *prs = get_shape_prop(p->shape) + i;
        if (prs->atom == JS_ATOM_NULL || (prs->flags & JS_PROP_TMASK) != JS_PROP_AUTOINIT)
            continue;
        JSValue value = JS_GetProperty(ctx, m->module_ns, prs->atom);
        if (JS_IsException(value))
            value = JS_GetException(ctx);
        JS_FreeValue(ctx, value);
    }
}

void sq_js_graph_free(JSContext *ctx, struct sq_js_graph *graph)
{
    if (!graph)
        return;
    for (int i = 0; i < graph->count; i++)
        settle_namespace(ctx, graph->to[i]);
    while (graph->count > 0)
        js_free_module_def(ctx, graph->to[--graph->count]);
    sq_js_graph_abandon(ctx, graph);
}

void sq_js_graph_abandon(JSContext *ctx, struct sq_js_graph *graph)
{
    if (!graph)
        return;
    js_free(ctx, graph->from);
    js_free(ctx, graph->to);
    js_free(ctx, graph);
}

JSValue sq_js_module_evaluate(JSContext *ctx, JSValueConst module)
{
    return js_evaluate_module(ctx, JS_VALUE_GET_PTR(module));
}

bool sq_js_module_running(JSValueConst module)
{
    return ((JSModuleDef *)JS_VALUE_GET_PTR(module))->status == JS_MODULE_STATUS_EVALUATING;
}

JSValue sq_js_native_value(JSContext *ctx, JSModuleDef *m)
{
    JSValue ignored;
    JSModuleDef *stack_top = NULL;

    if (m->status == JS_MODULE_STATUS_UNLINKED) {
        m->resolved = TRUE;
        if (js_create_module_function(ctx, m) < 0)
            return JS_EXCEPTION;
        null_exports(ctx, m);
        if (js_link_module(ctx, m) < 0)
            return JS_EXCEPTION;
    }
    if (js_inner_module_evaluation(ctx, m, 0, &stack_top, &ignored) < 0)
        return JS_Throw(ctx, ignored);
    JSExportEntry *e = find_export_entry(ctx, m, JS_ATOM_default);
    if (e && JS_IsObject(*e->u.local.var_ref->pvalue))
        return JS_DupValue(ctx, *e->u.local.var_ref->pvalue);
    return JS_GetModuleNamespace(ctx, m);
}

/* ---- CommonJS files ---- */

bool sq_js_module_is_plain(JSModuleDef *m)
{
    return !m->req_module_entries_count && !m->export_entries_count &&
           !m->star_export_entries_count && !m->has_tla;
}

void sq_js_module_drop(JSContext *ctx, JSModuleDef *m)
{
    js_free_module_def(ctx, m);
}

bool sq_js_module_is_commonjs(const JSModuleDef *m)
{
    return is_commonjs(m);
}

JSModuleDef *sq_js_commonjs_new(JSContext *ctx, const char *name, JSValue code,
                                JSModuleInitFunc *init)
{
    JSModuleDef *m = JS_NewCModule(ctx, name, init);

    if (!m) {
        JS_FreeValue(ctx, code);
        return NULL;
    }
    m->func_obj = code;
    m->resolved = TRUE;
    if (!add_late_export(ctx, m, JS_ATOM_default))
        return NULL;
    return m;
}

/* The function is the only thing in the script, and it spans all of it: the text did not close the
 * brace that was opened for it. */
bool sq_js_is_one_function(JSValueConst code, size_t source_len)
{
    const JSFunctionBytecode *script = JS_VALUE_GET_PTR(code);

    for (int i = 0; i < script->cpool_count; i++) {
        if (JS_VALUE_GET_TAG(script->cpool[i]) != JS_TAG_FUNCTION_BYTECODE)
            continue;
        const JSFunctionBytecode *b = JS_VALUE_GET_PTR(script->cpool[i]);
        return b->has_debug && (size_t)b->debug.source_len == source_len;
    }
    return false;
}

JSValue sq_js_module_code(JSContext *ctx, JSModuleDef *m)
{
    return JS_DupValue(ctx, m->func_obj);
}

int sq_js_late_export(JSContext *ctx, JSModuleDef *m, JSAtom name, JSValue value)
{
    bool known = find_export_entry(ctx, m, name) != NULL;
    JSExportEntry *e = add_late_export(ctx, m, name);

    if (!e) {
        JS_FreeValue(ctx, value);
        return -1;
    }
    set_value(ctx, e->u.local.var_ref->pvalue, value);
    if (known || JS_VALUE_GET_TAG(m->module_ns) != JS_TAG_OBJECT)
        return 0;
    /* Somebody has the namespace already. */
    JSProperty *pr = add_property(ctx, JS_VALUE_GET_OBJ(m->module_ns), name,
                                  JS_PROP_ENUMERABLE | JS_PROP_WRITABLE | JS_PROP_VARREF);
    if (!pr)
        return -1;
    pr->u.var_ref = e->u.local.var_ref;
    pr->u.var_ref->header.ref_count++;
    return 0;
}

int sq_js_each_export(JSContext *ctx, JSModuleDef *m,
                      int (*fn)(JSContext *ctx, JSModuleDef *m, JSAtom name, void *user),
                      void *user)
{
    for (int i = 0; i < m->export_entries_count; i++)
        if (fn(ctx, m, m->export_entries[i].export_name, user) < 0)
            return -1;
    return 0;
}

uint8_t *sq_js_template_write(JSContext *ctx, JSModuleDef *m, size_t *len)
{
    return JS_WriteObject(ctx, len, is_commonjs(m) ? m->func_obj : JS_MKPTR(JS_TAG_MODULE, m),
                          JS_WRITE_OBJ_BYTECODE);
}

void *sq_js_frame(JSContext *ctx)
{
    return ctx->rt->current_stack_frame;
}

void sq_js_restore_stack(JSContext *ctx, const struct sq_js_switch *s)
{
    ctx->rt->stack_top = s->stack_top;
    ctx->rt->stack_limit = s->stack_limit;
}

char *sq_js_calling_file(JSContext *ctx)
{
    for (JSStackFrame *sf = ctx->rt->current_stack_frame; sf; sf = sf->prev_frame) {
        if (JS_VALUE_GET_TAG(sf->cur_func) != JS_TAG_OBJECT)
            continue;
        JSObject *p = JS_VALUE_GET_OBJ(sf->cur_func);
        if (!js_class_has_bytecode(p->class_id) || !p->u.func.function_bytecode->has_debug)
            continue;
        const char *name = JS_AtomToCString(ctx, p->u.func.function_bytecode->debug.filename);
        char *copy = name ? sq_xstrdup(name) : NULL;
        JS_FreeCString(ctx, name);
        return copy;
    }
    return NULL;
}

static bool exports_name(JSContext *ctx, const JSModuleDef *m, JSAtom name)
{
    for (int i = 0; i < m->export_entries_count; i++)
        if (m->export_entries[i].export_name == name)
            return true;
    return name == JS_ATOM__star_;
}

/* A CommonJS file, or one that a module re-exports with a star, will export this name if nothing
 * else does: it can be known only when the file has run. */
static int ask_commonjs(JSContext *ctx, JSModuleDef *m, JSAtom name, int depth)
{
    if (is_commonjs(m))
        return add_late_export(ctx, m, name) ? 0 : -1;
    if (is_native(m) || depth > 100 || exports_name(ctx, m, name) || name == JS_ATOM_default)
        return 0;
    for (int i = 0; i < m->star_export_entries_count; i++) {
        int index = m->star_export_entries[i].req_module_idx;
        if (ask_commonjs(ctx, m->req_module_entries[index].module, name, depth + 1) < 0)
            return -1;
    }
    return 0;
}

/* Adds the name to a native module that lacks it. */
static int tolerate_name(JSContext *ctx, JSModuleDef *from, JSAtom wanted,
                         void (*fn)(void *user, const char *module, const char *name), void *user)
{
    if (!is_native(from) || exports_name(ctx, from, wanted))
        return 0;
    const char *name = JS_AtomToCString(ctx, wanted);
    const char *module = JS_AtomToCString(ctx, from->module_name);
    if (!name || !module || JS_AddModuleExport(ctx, from, name) < 0)
        return -1;
    /* A module that was set up for an earlier graph has its variables already. */
    if (from->func_created) {
        JSVarRef *ref = js_create_module_var(ctx, FALSE);
        if (!ref)
            return -1;
        from->export_entries[from->export_entries_count - 1].u.local.var_ref = ref;
    }
    fn(user, module, name);
    JS_FreeCString(ctx, name);
    JS_FreeCString(ctx, module);
    return 0;
}

static int tolerate(JSContext *ctx, JSModuleDef *m,
                    void (*fn)(void *user, const char *module, const char *name), void *user,
                    int depth)
{
    if (is_native(m) || depth > 1000 || m->dfs_index == -3)
        return 0;
    m->dfs_index = -3;
    for (int i = 0; i < m->import_entries_count; i++) {
        JSImportEntry *import = &m->import_entries[i];
        JSModuleDef *from = m->req_module_entries[import->req_module_idx].module;
        if (import->import_name != JS_ATOM__star_ &&
            ask_commonjs(ctx, from, import->import_name, 0) < 0)
            return -1;
        if (tolerate_name(ctx, from, import->import_name, fn, user) < 0)
            return -1;
    }
    for (int i = 0; i < m->export_entries_count; i++) {
        JSExportEntry *e = &m->export_entries[i];
        if (e->export_type != JS_EXPORT_TYPE_INDIRECT || e->local_name == JS_ATOM__star_)
            continue;
        JSModuleDef *from = m->req_module_entries[e->u.req_module_idx].module;
        if (ask_commonjs(ctx, from, e->local_name, 0) < 0 ||
            tolerate_name(ctx, from, e->local_name, fn, user) < 0)
            return -1;
    }
    for (int i = 0; i < m->req_module_entries_count; i++)
        if (tolerate(ctx, m->req_module_entries[i].module, fn, user, depth + 1) < 0)
            return -1;
    return 0;
}

int sq_js_module_tolerate_missing(JSContext *ctx, JSValueConst root,
                                  void (*fn)(void *user, const char *module, const char *name),
                                  void *user)
{
    return tolerate(ctx, JS_VALUE_GET_PTR(root), fn, user, 0);
}

JSValue sq_js_module_export(JSContext *ctx, JSValueConst module, const char *name)
{
    JSModuleDef *found = NULL;
    JSExportEntry *entry = NULL;
    JSAtom atom = JS_NewAtom(ctx, name);
    JSResolveResultEnum rc = js_resolve_export(ctx, &found, &entry, JS_VALUE_GET_PTR(module), atom);

    JS_FreeAtom(ctx, atom);
    if (rc == JS_RESOLVE_RES_EXCEPTION)
        return JS_EXCEPTION;
    if (rc != JS_RESOLVE_RES_FOUND || entry->export_type != JS_EXPORT_TYPE_LOCAL ||
        !entry->u.local.var_ref)
        return JS_UNDEFINED;
    JSValue value = *entry->u.local.var_ref->pvalue;
    return JS_IsUninitialized(value) ? JS_UNDEFINED : JS_DupValue(ctx, value);
}

const char *sq_js_outermost_module(JSContext *ctx, const void *floor)
{
    const char *name = NULL;

    for (JSStackFrame *sf = ctx->rt->current_stack_frame; sf && sf != floor; sf = sf->prev_frame) {
        if (JS_VALUE_GET_TAG(sf->cur_func) != JS_TAG_OBJECT)
            continue;
        JSObject *p = JS_VALUE_GET_OBJ(sf->cur_func);
        if (!js_class_has_bytecode(p->class_id) || !p->u.func.function_bytecode->has_debug)
            continue;
        JS_FreeCString(ctx, name);
        name = JS_AtomToCString(ctx, p->u.func.function_bytecode->debug.filename);
    }
    return name;
}

enum sq_js_kind sq_js_kind(JSValueConst value)
{
    if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT)
        return SQ_JS_OTHER;
    switch (JS_VALUE_GET_OBJ(value)->class_id) {
    case JS_CLASS_DATE:
        return SQ_JS_DATE;
    case JS_CLASS_MAP:
    case JS_CLASS_SET:
        return SQ_JS_COLLECTION;
    case JS_CLASS_UINT8_ARRAY:
    case JS_CLASS_UINT8C_ARRAY:
        return SQ_JS_BYTES;
    case JS_CLASS_INT8_ARRAY:
    case JS_CLASS_INT16_ARRAY:
    case JS_CLASS_UINT16_ARRAY:
    case JS_CLASS_INT32_ARRAY:
    case JS_CLASS_UINT32_ARRAY:
    case JS_CLASS_BIG_INT64_ARRAY:
    case JS_CLASS_BIG_UINT64_ARRAY:
    case JS_CLASS_FLOAT32_ARRAY:
    case JS_CLASS_FLOAT64_ARRAY:
        return SQ_JS_NUMBERS;
    default:
        return SQ_JS_OTHER;
    }
}

bool sq_js_is_array_buffer(JSContext *ctx, JSValueConst value)
{
    (void)ctx;
    return JS_VALUE_GET_TAG(value) == JS_TAG_OBJECT &&
           JS_VALUE_GET_OBJ(value)->class_id == JS_CLASS_ARRAY_BUFFER;
}

JSValue sq_js_new_proxy(JSContext *ctx, JSValueConst target, JSValueConst handler)
{
    JSValueConst args[] = {target, handler};

    return js_proxy_constructor(ctx, JS_UNDEFINED, 2, args);
}

int sq_js_view_bytes(JSValueConst value, const uint8_t **data, size_t *len)
{
    const JSArrayBuffer *buffer;
    size_t offset = 0, size;

    if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT)
        return 0;
    const JSObject *p = JS_VALUE_GET_OBJ(value);
    if (p->class_id == JS_CLASS_ARRAY_BUFFER || p->class_id == JS_CLASS_SHARED_ARRAY_BUFFER) {
        buffer = p->u.array_buffer;
        size = (size_t)buffer->byte_length;
    } else if (p->class_id >= JS_CLASS_UINT8C_ARRAY && p->class_id <= JS_CLASS_DATAVIEW) {
        const JSTypedArray *view = p->u.typed_array;
        buffer = view->buffer->u.array_buffer;
        offset = view->offset;
        size = view->length;
    } else {
        return 0;
    }
    if (!buffer || buffer->detached || offset + size > (size_t)buffer->byte_length)
        offset = size = 0;
    *data = size ? buffer->data + offset : (const uint8_t *)"";
    *len = size;
    return buffer && buffer->shared ? 2 : 1;
}

/* The engine's own calls look at each byte by itself. */
JSValue sq_js_ascii_new(JSContext *ctx, struct sq_slice text)
{
    if (text.len > JS_STRING_LEN_MAX)
        return JS_ThrowInternalError(ctx, "string too long");
    return js_new_string8_len(ctx, (const char *)text.data, (int)text.len);
}

static bool is_ascii(const uint8_t *p, size_t len)
{
    uint64_t seen = 0, word;
    size_t i = 0;

    for (; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        seen |= word;
    }
    for (; i < len; i++)
        seen |= p[i];
    return !(seen & UINT64_C(0x8080808080808080));
}

bool sq_js_ascii_bytes(JSValueConst value, struct sq_slice *out)
{
    if (JS_VALUE_GET_TAG(value) != JS_TAG_STRING)
        return false;
    const JSString *text = JS_VALUE_GET_STRING(value);
    if (text->is_wide_char || !is_ascii(text->u.str8, text->len))
        return false;
    *out = sq_slice(text->u.str8, text->len);
    return true;
}

bool sq_js_is_untouched(JSValueConst object, JSValueConst model)
{
    const JSObject *p = JS_VALUE_GET_OBJ(object);

    return p->header.ref_count == 1 && p->weakref_count == 0 && p->extensible &&
           p->shape == JS_VALUE_GET_OBJ(model)->shape;
}

JSModuleDef *sq_js_find_module(JSContext *ctx, const char *name)
{
    JSAtom atom = JS_NewAtom(ctx, name);
    JSModuleDef *m = js_find_loaded_module(ctx, atom);

    JS_FreeAtom(ctx, atom);
    return m;
}

void sq_js_seed_random(JSContext *ctx, uint64_t seed)
{
    /* splitmix64: neighbouring seeds must not give neighbouring sequences, and zero is no state. */
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    ctx->random_state = z ? z : 1;
}

void sq_js_call_without_new(JSValueConst constructor)
{
    JS_VALUE_GET_OBJ(constructor)->u.cfunc.cproto = JS_CFUNC_constructor_or_func;
}

void sq_js_native_stack(JSContext *ctx, size_t bytes)
{
    JSRuntime *rt = ctx->rt;

    rt->stack_top = (uintptr_t)__builtin_frame_address(0);
    rt->stack_limit = bytes ? rt->stack_top - bytes : 0;
}

void sq_js_module_each_function(JSContext *ctx, JSValueConst module,
                                void (*fn)(void *user, const char *name), void *user)
{
    JSValue names = JS_GetModuleNamespace(ctx, JS_VALUE_GET_PTR(module));
    JSPropertyEnum *keys = NULL;
    uint32_t count = 0;

    if (JS_IsException(names) ||
        JS_GetOwnPropertyNames(ctx, &keys, &count, names, JS_GPN_STRING_MASK) < 0)
        JS_FreeValue(ctx, JS_GetException(ctx));
    for (uint32_t i = 0; i < count; i++) {
        JSValue value = JS_GetProperty(ctx, names, keys[i].atom);
        const char *name = JS_AtomToCString(ctx, keys[i].atom);
        if (JS_IsFunction(ctx, value) && name)
            fn(user, name);
        JS_FreeCString(ctx, name);
        JS_FreeValue(ctx, value);
        JS_FreeAtom(ctx, keys[i].atom);
    }
    js_free(ctx, keys);
    JS_FreeValue(ctx, names);
}

/* ---- have builtins been changed? ---- */

static bool is_scripted(JSValueConst value)
{
    if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT)
        return false;
    JSClassID id = JS_VALUE_GET_OBJ(value)->class_id;
    return js_class_has_bytecode(id) || id == JS_CLASS_BOUND_FUNCTION;
}

/* Counts properties and scripted functions without touching lazily made ones: a fresh realm has no
 * function in bytecode, so each one found was put there by a script. */
static uint64_t fingerprint(JSObject *p, int depth)
{
    uint64_t sum = 0;
    JSShapeProperty *prs = get_shape_prop(p->shape);

    for (int i = 0; i < p->shape->prop_count; i++, prs++) {
        JSProperty *pr = &p->prop[i];
        if (prs->atom == JS_ATOM_NULL)
            continue;
        sum += 1;
        if ((prs->flags & JS_PROP_TMASK) == JS_PROP_GETSET)
            sum += 1000 *
                   ((pr->u.getset.getter && js_class_has_bytecode(pr->u.getset.getter->class_id)) +
                    (pr->u.getset.setter && js_class_has_bytecode(pr->u.getset.setter->class_id)));
        if ((prs->flags & JS_PROP_TMASK) != JS_PROP_NORMAL)
            continue;
        if (is_scripted(pr->u.value))
            sum += 1000;
        else if (depth > 0 && JS_VALUE_GET_TAG(pr->u.value) == JS_TAG_OBJECT &&
                 JS_VALUE_GET_OBJ(pr->u.value) != p)
            sum += 7 * fingerprint(JS_VALUE_GET_OBJ(pr->u.value), depth - 1);
    }
    return sum;
}

/* The namespace objects (Math, JSON) are made when first looked at: do that before counting. */
static void make_namespaces(JSContext *ctx)
{
    JSPropertyEnum *names;
    uint32_t count;

    if (JS_GetOwnPropertyNames(ctx, &names, &count, ctx->global_obj,
                               JS_GPN_STRING_MASK | JS_GPN_SYMBOL_MASK) < 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        JSObject *p = JS_VALUE_GET_OBJ(ctx->global_obj);
        JSProperty *pr;
        JSShapeProperty *prs = find_own_property(&pr, p, names[i].atom);
        if (prs && (prs->flags & JS_PROP_TMASK) == JS_PROP_AUTOINIT)
            JS_FreeValue(ctx, JS_GetProperty(ctx, ctx->global_obj, names[i].atom));
        JS_FreeAtom(ctx, names[i].atom);
    }
    js_free(ctx, names);
}

JSValue sq_js_private_symbol(JSContext *ctx, const char *name)
{
    JSAtom atom = JS_NewAtom(ctx, name);
    JSValue symbol = JS_NewSymbolFromAtom(ctx, atom, JS_ATOM_TYPE_PRIVATE);

    JS_FreeAtom(ctx, atom);
    return symbol;
}

uint64_t sq_js_builtins_fingerprint(JSContext *ctx)
{
    make_namespaces(ctx);
    uint64_t sum = fingerprint(JS_VALUE_GET_OBJ(ctx->global_obj), 1);

    for (int i = 0; i < ctx->rt->class_count; i++)
        if (JS_VALUE_GET_TAG(ctx->class_proto[i]) == JS_TAG_OBJECT)
            sum += fingerprint(JS_VALUE_GET_OBJ(ctx->class_proto[i]), 0);
    return sum;
}
