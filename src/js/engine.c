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

int sq_js_switch_init(JSContext *ctx, struct sq_js_switch *s)
{
    _Static_assert(sizeof(s->jobs) == sizeof(struct list_head), "a list head");
    memset(s, 0, sizeof *s);
    init_list_head((struct list_head *)s->jobs);
    s->global = JS_NewObjectProto(ctx, ctx->global_obj);
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

struct clone_map {
    JSModuleDef **from, **to;
    int count, size;
};

static bool is_native(const JSModuleDef *m)
{
    return m->init_func != NULL;
}

static JSModuleDef *find_clone(const struct clone_map *map, const JSModuleDef *m)
{
    for (int i = 0; i < map->count; i++)
        if (map->from[i] == m)
            return map->to[i];
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
    to->has_tla = from->has_tla;
    to->resolved = TRUE;
    return 0;
}

static JSModuleDef *clone_graph(JSContext *ctx, struct clone_map *map, JSModuleDef *m)
{
    JSModuleDef *copy = is_native(m) ? m : find_clone(map, m);

    if (copy)
        return copy;
    if (map->count == map->size) {
        int size = map->size ? map->size * 2 : 8;
        JSModuleDef **from = js_realloc(ctx, map->from, sizeof(*from) * size);
        if (!from)
            return NULL;
        map->from = from;
        JSModuleDef **to = js_realloc(ctx, map->to, sizeof(*to) * size);
        if (!to)
            return NULL;
        map->to = to;
        map->size = size;
    }
    copy = js_new_module_def(ctx, JS_DupAtom(ctx, m->module_name));
    if (!copy)
        return NULL;
    map->from[map->count] = m;
    map->to[map->count++] = copy;
    if (copy_record(ctx, m, copy) < 0)
        return NULL;
    for (int i = 0; i < copy->req_module_entries_count; i++) {
        JSReqModuleEntry *rme = &copy->req_module_entries[i];
        rme->module = clone_graph(ctx, map, rme->module);
        if (!rme->module)
            return NULL;
    }
    return copy;
}

static void free_clones(JSContext *ctx, JSModuleDef *m);

/* Until a native module's own code sets them, its exports are null: so is what it never sets, a
 * name that scripts import and we do not have (ENG-17). */
static void null_native_exports(JSContext *ctx, JSModuleDef *m)
{
    for (int i = 0; i < m->req_module_entries_count; i++) {
        JSModuleDef *from = m->req_module_entries[i].module;
        if (!is_native(from) || from->status != JS_MODULE_STATUS_UNLINKED)
            continue;
        for (int j = 0; j < from->export_entries_count; j++) {
            JSExportEntry *e = &from->export_entries[j];
            if (e->export_type == JS_EXPORT_TYPE_LOCAL &&
                JS_IsUndefined(*e->u.local.var_ref->pvalue))
                set_value(ctx, e->u.local.var_ref->pvalue, JS_NULL);
        }
    }
}

JSValue sq_js_module_clone(JSContext *ctx, JSValueConst root)
{
    struct clone_map map = {0};
    JSModuleDef *m = clone_graph(ctx, &map, JS_VALUE_GET_PTR(root));
    bool ok = m && js_create_module_function(ctx, m) == 0;

    for (int i = 0; i < map.count && ok; i++)
        null_native_exports(ctx, map.to[i]);
    ok = ok && js_link_module(ctx, m) == 0;

    if (!ok)
        for (int i = 0; i < map.count; i++)
            js_free_module_def(ctx, map.to[i]);
    js_free(ctx, map.from);
    js_free(ctx, map.to);
    return ok ? JS_NewModuleValue(ctx, m) : JS_EXCEPTION;
}

JSValue sq_js_module_evaluate(JSContext *ctx, JSValueConst module)
{
    return js_evaluate_module(ctx, JS_VALUE_GET_PTR(module));
}

/* Copies are reached through their requests; a freed one is marked by an empty request list before
 * the recursion, so that cycles end. */
static void free_clones(JSContext *ctx, JSModuleDef *m)
{
    int count = m->req_module_entries_count;
    JSReqModuleEntry *requests = m->req_module_entries;

    if (is_native(m) || m->dfs_index == -2)
        return;
    m->dfs_index = -2;
    m->req_module_entries = NULL;
    m->req_module_entries_count = 0;
    for (int i = 0; i < count; i++) {
        free_clones(ctx, requests[i].module);
        JS_FreeAtom(ctx, requests[i].module_name);
    }
    js_free(ctx, requests);
}

void sq_js_module_free_clone(JSContext *ctx, JSValueConst module)
{
    JSModuleDef *root = JS_VALUE_GET_PTR(module);
    struct list_head *el, *next;

    free_clones(ctx, root);
    list_for_each_safe(el, next, &ctx->loaded_modules)
    {
        JSModuleDef *m = list_entry(el, JSModuleDef, link);
        if (m->dfs_index == -2 && m->status != JS_MODULE_STATUS_UNLINKED)
            js_free_module_def(ctx, m);
    }
}

static bool exports_name(JSContext *ctx, const JSModuleDef *m, JSAtom name)
{
    for (int i = 0; i < m->export_entries_count; i++)
        if (m->export_entries[i].export_name == name)
            return true;
    return name == JS_ATOM__star_;
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
        if (!is_native(from) || exports_name(ctx, from, import->import_name))
            continue;
        const char *name = JS_AtomToCString(ctx, import->import_name);
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

const char *sq_js_outermost_module(JSContext *ctx)
{
    const char *name = NULL;

    for (JSStackFrame *sf = ctx->rt->current_stack_frame; sf; sf = sf->prev_frame) {
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

uint64_t sq_js_builtins_fingerprint(JSContext *ctx)
{
    make_namespaces(ctx);
    uint64_t sum = fingerprint(JS_VALUE_GET_OBJ(ctx->global_obj), 1);

    for (int i = 0; i < ctx->rt->class_count; i++)
        if (JS_VALUE_GET_TAG(ctx->class_proto[i]) == JS_TAG_OBJECT)
            sum += fingerprint(JS_VALUE_GET_OBJ(ctx->class_proto[i]), 0);
    return sum;
}
