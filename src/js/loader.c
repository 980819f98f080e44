/* SPDX-License-Identifier: Apache-2.0 */
/* Where modules come from: specifiers to absolute names, files, the compiled bundle (ENG-11,
 * ENG-12). */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "js/kits.h"
#include "js/script.h"
#include "net/http.h"

static const char scheme[] = "file://", remote_scheme[] = "https://";

static const char *path_of(const char *name)
{
    return sq_text_starts(name, scheme) ? name + strlen(scheme) : name;
}

/* Resolves "." and ".." textually, as URLs do; symbolic links keep their names in messages. */
static char *absolute_path(const char *directory, const char *path)
{
    struct sq_buf joined = {0}, out = {0};
    char *part, *rest = NULL;

    if (*path != '/') {
        sq_buf_puts(&joined, directory);
        sq_buf_putc(&joined, '/');
    }
    sq_buf_puts(&joined, path);
    char *text = sq_buf_steal(&joined);
    for (part = strtok_r(text, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (out.len && out.data[--out.len] != '/')
                ;
            continue;
        }
        sq_buf_putc(&out, '/');
        sq_buf_puts(&out, part);
    }
    if (!out.len)
        sq_buf_putc(&out, '/');
    free(text);
    return sq_buf_steal(&out);
}

static char *directory_of(const char *name)
{
    const char *path = path_of(name), *slash = strrchr(path, '/');

    return slash && slash != path ? sq_xstrndup(path, (size_t)(slash - path)) : sq_xstrdup("/");
}

static char *file_url(const char *directory, const char *path)
{
    char *absolute = absolute_path(directory, path);
    char *url = sq_xasprintf("%s%s", scheme, absolute);

    free(absolute);
    return url;
}

char *sq_js_join_file(const char *base, const char *path)
{
    char *directory = directory_of(base), *url = file_url(directory, path);

    free(directory);
    return url;
}

char *sq_js_file_url(const char *path)
{
    char directory[PATH_MAX];

    return file_url(getcwd(directory, sizeof directory) ? directory : "/", path);
}

char *sq_js_resolve_specifier(const char *base, const char *specifier, struct sq_error *err)
{
    bool remote = sq_text_starts(base, remote_scheme);

    if (strcmp(specifier, "k6") == 0 || sq_text_starts(specifier, "k6/") ||
        sq_text_starts(specifier, "squall/"))
        return sq_xstrdup(specifier);
    if (sq_text_starts(specifier, scheme)) {
        if (!remote)
            return file_url("/", specifier + strlen(scheme));
        sq_error_set(err, SQ_EINVALID,
                     "cannot import '%s': a remote module may not load local files", specifier);
        return NULL;
    }
    if (sq_text_starts(specifier, remote_scheme))
        return sq_xstrdup(specifier);
    if (*specifier == '.' || *specifier == '/') {
        if (remote) {
            char *joined = sq_http_url_join(base, specifier);
            if (!joined)
                sq_error_set(err, SQ_EINVALID, "cannot import '%s': no such address", specifier);
            return joined;
        }
        return sq_js_join_file(base, specifier);
    }
    if (strstr(specifier, "://"))
        sq_error_set(err, SQ_EINVALID,
                     "cannot import '%s': only file:// and https:// can be loaded", specifier);
    else
        sq_error_set(
            err, SQ_EINVALID,
            "cannot import '%s': not a built-in module, and a file's specifier starts with "
            "./, ../, / or file://; did you mean './%s'?",
            specifier, specifier);
    return NULL;
}

int sq_js_read_file(const char *name, struct sq_buf *out, struct sq_error *err)
{
    const char *path = path_of(name);
    struct stat st;
    FILE *file = fopen(path, "rb");

    if (!file)
        return sq_error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
        fclose(file);
        return sq_error_set(err, -EISDIR, "cannot read '%s': it is a directory", path);
    }
    for (;;) {
        if (sq_buf_reserve(out, 64 * 1024) < 0) {
            fclose(file);
            return sq_error_set(err, -ENOMEM, "cannot read '%s': out of memory", path);
        }
        size_t got = fread(out->data + out->len, 1, out->cap - out->len, file);
        if (got == 0)
            break;
        out->len += got;
    }
    int rc =
        ferror(file) ? sq_error_set(err, -EIO, "cannot read '%s': %s", path, strerror(errno)) : 0;
    fclose(file);
    return rc;
}

/* ---- sources that were handed in ---- */

/* "/home/me/x" and "/Users/me/x": the length up to "me" and that of "me". False for others. */
static bool find_owner(const char *path, size_t *before, size_t *len)
{
    static const char *const homes[] = {"/home/", "/Users/"};

    for (size_t i = 0; i < SQ_COUNT(homes); i++)
        if (sq_text_starts(path, homes[i])) {
            *before = strlen(homes[i]);
            *len = strcspn(path + *before, "/");
            return *len > 0;
        }
    return false;
}

char *sq_js_anonymous_name(const char *name)
{
    const char *path = path_of(name);
    size_t before, len;

    if (!find_owner(path, &before, &len))
        return sq_xstrdup(name);
    before += (size_t)(path - name);
    return sq_xasprintf("%.*snobody%s", (int)before, name, name + before + len);
}

const struct sq_js_file *sq_js_find_source(const struct sq_js_bundle *bundle, const char *name)
{
    for (size_t i = 0; i < bundle->sources_count; i++)
        if (strcmp(bundle->sources[i].path, name) == 0)
            return &bundle->sources[i];
    return NULL;
}

void sq_js_give_source(struct sq_js_bundle *bundle, const char *name, struct sq_buf *bytes)
{
    sq_buf_cstr(bytes); /* NUL-terminated for whoever prints it */
    bundle->sources =
        sq_xrealloc(bundle->sources, (bundle->sources_count + 1) * sizeof *bundle->sources);
    bundle->sources[bundle->sources_count++] =
        (struct sq_js_file){.path = sq_xstrdup(name), .bytes = *bytes};
    *bytes = (struct sq_buf){0};
}

int sq_js_read_source(const struct sq_js_bundle *bundle, const char *name, struct sq_buf *out,
                      struct sq_error *err)
{
    char *anonymous = bundle->sealed ? sq_js_anonymous_name(name) : NULL;
    const struct sq_js_file *known = sq_js_find_source(bundle, anonymous ? anonymous : name);
    size_t kit_len = 0;
    const char *kit = sq_js_kit_source(name, &kit_len);
    int rc = 0;

    free(anonymous);
    if (kit) /* not kept in archives: the program that runs one brings its own */
        sq_buf_put(out, kit, kit_len);
    else if (known)
        sq_buf_put(out, known->bytes.data, known->bytes.len);
    else if (bundle->sealed)
        rc =
            sq_error_set(err, -ENOENT, "cannot open '%s': it is not in the archive", path_of(name));
    else if (sq_text_starts(name, remote_scheme))
        rc = sq_error_set(err, SQ_EINVALID, "cannot open '%s': it is not a file", name);
    else
        rc = sq_js_read_file(name, out, err);
    return rc;
}

void sq_js_keep_source(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source)
{
    struct sq_buf copy = {0};

    if (!bundle->keep_sources || sq_text_starts(name, "squall/") || sq_js_find_source(bundle, name))
        return;
    sq_buf_put(&copy, source->data, source->len);
    sq_js_give_source(bundle, name, &copy);
}

/* ---- the engine's loader callbacks ---- */

/* Errors about the module that is asked for next name the file that asks. */
static void set_importer(struct sq_js_cell *cell, const char *name)
{
    free(cell->importer);
    cell->importer = name ? sq_xstrdup(name) : NULL;
}

static char *normalize(JSContext *ctx, const char *base, const char *specifier, void *opaque)
{
    struct sq_error err = {0};
    struct sq_js_cell *cell = opaque;

    if (!cell->loading) {
        JS_ThrowTypeError(ctx,
                          "import('%s') is not supported: import it at the top of the file, or "
                          "require() it in the init code",
                          specifier);
        return NULL;
    }
    char *name = sq_js_resolve_specifier(base, specifier, &err);
    if (!name) {
        JS_ThrowReferenceError(ctx, "%s (imported by %s)", err.text, base);
        return NULL;
    }
    char *copy = js_strdup(ctx, name);
    free(name);
    set_importer(cell, base);
    return copy;
}

JSModuleDef *sq_js_load_builtin(JSContext *ctx, const char *name)
{
    const struct sq_js_builtin *builtin = sq_js_find_builtin(name);

    if (!builtin) {
        const char *excuse = sq_js_builtin_excuse(name), *near = sq_js_nearest_builtin(name);
        if (excuse)
            JS_ThrowReferenceError(ctx, "cannot import '%s': %s", name, excuse);
        else if (near)
            JS_ThrowReferenceError(
                ctx, "cannot import '%s': no such built-in module; did you mean '%s'?", name, near);
        else
            JS_ThrowReferenceError(ctx, "cannot import '%s': no such built-in module", name);
        return NULL;
    }
    const struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    if (cell->worker->bundle->load_pass && sq_js_renamed_builtin(name))
        sq_log(SQ_LOG_WARN, "js", "'%s' was removed from k6; it is an alias of '%s' here", name,
               sq_js_renamed_builtin(name));
    JSModuleDef *m = JS_NewCModule(ctx, name, builtin->init);
    for (const char *const *export = builtin->exports; m && *export; export ++)
        if (JS_AddModuleExport(ctx, m, *export) < 0)
            return NULL;
    return m;
}

static JSModuleDef *compile_module(JSContext *ctx, const char *name, const struct sq_buf *source)
{
    JSValue module = JS_Eval(ctx, (const char *)source->data, source->len, name,
                             JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);

    if (JS_IsException(module))
        return NULL;
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module);
    return m;
}

/* A syntax error of this very file, not of one that it imports. */
static bool is_own_syntax_error(struct sq_js_cell *cell)
{
    JSContext *ctx = cell->ctx;

    if (cell->load_failed)
        return false;
    JSValue pending = JS_GetException(ctx);
    JSValue type = JS_GetPropertyStr(ctx, pending, "name");
    const char *text = JS_ToCString(ctx, type);
    bool syntax = text && strcmp(text, "SyntaxError") == 0;
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, type);
    JS_Throw(ctx, pending);
    return syntax;
}

/* ENG-15: an ES module if it is one by what it contains, else CommonJS. */
static JSModuleDef *compile_either(struct sq_js_cell *cell, const char *name,
                                   const struct sq_buf *source)
{
    JSContext *ctx = cell->ctx;
    JSModuleDef *m = compile_module(ctx, name, source);

    if (m ? !sq_js_module_is_plain(m) : !is_own_syntax_error(cell))
        return m;
    JSValue error = JS_GetException(ctx);
    JSModuleDef *script = sq_js_commonjs_compile(ctx, name, source);
    if (script && m)
        sq_js_module_drop(ctx, m);
    if (script) {
        JS_FreeValue(ctx, error);
        return script;
    }
    JS_FreeValue(ctx, JS_GetException(ctx)); /* what the module's parser says is better known */
    if (!m)
        JS_Throw(ctx, error);
    return m;
}

/* ENG-14: data, as `module.exports = JSON.parse("...")`. */
static JSModuleDef *compile_json(JSContext *ctx, const char *name, const struct sq_buf *source)
{
    JSValue value = JS_ParseJSON(ctx, (const char *)source->data, source->len, name);
    struct sq_buf code = {0};

    if (JS_IsException(value))
        return NULL;
    JS_FreeValue(ctx, value);
    JSValue text = JS_NewStringLen(ctx, (const char *)source->data, source->len);
    JSValue literal = JS_JSONStringify(ctx, text, JS_UNDEFINED, JS_UNDEFINED);
    const char *bytes = JS_ToCString(ctx, literal);
    JSModuleDef *m = NULL;
    if (bytes) {
        sq_buf_puts(&code, "module.exports = JSON.parse(");
        sq_buf_puts(&code, bytes);
        sq_buf_puts(&code, ");");
        m = sq_js_commonjs_compile(ctx, name, &code);
    }
    sq_buf_deinit(&code);
    JS_FreeCString(ctx, bytes);
    JS_FreeValue(ctx, literal);
    JS_FreeValue(ctx, text);
    return m;
}

bool sq_js_name_ends(const char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);

    return len >= tail && strcmp(name + len - tail, suffix) == 0;
}

/* ENG-18: what fails to parse as JavaScript and may be TypeScript is tried again without types. */
static JSModuleDef *compile_source(struct sq_js_cell *cell, const char *name,
                                   const struct sq_buf *source)
{
    JSContext *ctx = cell->ctx;
    struct sq_buf stripped = {0};
    struct sq_error err = {0};

    if (sq_js_name_ends(name, ".json"))
        return compile_json(ctx, name, source);
    JSModuleDef *m = compile_either(cell, name, source);
    bool typed = sq_js_name_ends(name, ".ts") || sq_js_name_ends(name, "/-");
    if (m || !typed || !is_own_syntax_error(cell))
        return m;
    JSValue error = JS_GetException(ctx);
    int rc = sq_js_strip_types(cell->worker->bundle, name, source, &stripped, &err);
    if (rc == 0) {
        JS_FreeValue(ctx, error);
        m = compile_either(cell, name, &stripped);
    } else if (sq_js_name_ends(name, ".ts")) {
        JS_FreeValue(ctx, error);
        JS_ThrowSyntaxError(ctx, "%s", err.text);
        cell->load_failed = true; /* says where by itself */
    } else {
        JS_Throw(ctx, error); /* standard input: most likely JavaScript with an error */
    }
    sq_buf_deinit(&stripped);
    return m;
}

/* Quotes the offending line below a syntax error, which the engine reports as file:line:column. */
static void quote_line(JSContext *ctx, const char *name, const struct sq_buf *source)
{
    JSValue error = JS_GetException(ctx);
    int32_t line = 0, column = 0;
    JSValue value = JS_GetPropertyStr(ctx, error, "lineNumber");

    JS_ToInt32(ctx, &line, value);
    JS_FreeValue(ctx, value);
    value = JS_GetPropertyStr(ctx, error, "columnNumber");
    JS_ToInt32(ctx, &column, value);
    JS_FreeValue(ctx, value);
    if (line <= 0) { /* the position stands in the stack */
        value = JS_GetPropertyStr(ctx, error, "stack");
        const char *stack = JS_ToCString(ctx, value);
        const char *at = stack ? strstr(stack, name) : NULL;
        if (at)
            sscanf(at + strlen(name), ":%d:%d", &line, &column);
        JS_FreeCString(ctx, stack);
        JS_FreeValue(ctx, value);
    }
    value = JS_GetPropertyStr(ctx, error, "message");
    const char *message = JS_ToCString(ctx, value);
    if (line > 0 && message) {
        const char *start = (const char *)source->data;
        for (int32_t i = 1; i < line && start; i++) {
            start = strchr(start, '\n');
            start = start ? start + 1 : NULL;
        }
        int len = start ? (int)strcspn(start, "\r\n") : 0;
        char *text = sq_xasprintf("%s\n\tat %s:%d:%d\n\t%.*s\n\t%*s^", message, name, line, column,
                                  SQ_MIN(len, 200), start ? start : "", SQ_MAX(column - 1, 0), "");
        JS_SetPropertyStr(ctx, error, "message", JS_NewString(ctx, text));
        JS_SetPropertyStr(ctx, error, "stack", JS_UNDEFINED);
        free(text);
    }
    JS_FreeCString(ctx, message);
    JS_FreeValue(ctx, value);
    JS_Throw(ctx, error);
}

/* ENG-20 */
static JSValue resolve_url(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                           int magic, JSValue *data)
{
    struct sq_error err = {0};
    const char *base = JS_ToCString(ctx, data[0]);
    const char *specifier = base ? JS_ToCString(ctx, argc > 0 ? argv[0] : JS_UNDEFINED) : NULL;
    char *url = specifier ? sq_js_resolve_specifier(base, specifier, &err) : NULL;
    JSValue result = url         ? JS_NewString(ctx, url)
                     : specifier ? JS_ThrowTypeError(ctx, "%s", err.text)
                                 : JS_EXCEPTION;

    (void)this_val, (void)magic;
    free(url);
    JS_FreeCString(ctx, specifier);
    JS_FreeCString(ctx, base);
    return result;
}

static void add_meta(JSContext *ctx, JSModuleDef *m, const char *name)
{
    JSValue meta = JS_GetImportMeta(ctx, m), text = JS_NewString(ctx, name);

    JS_SetPropertyStr(ctx, meta, "resolve", JS_NewCFunctionData(ctx, resolve_url, 1, 0, 1, &text));
    JS_FreeValue(ctx, text);
    JS_FreeValue(ctx, meta);
}

static struct sq_js_module *remember_module(struct sq_js_bundle *bundle, const char *name,
                                            const struct sq_buf *source)
{
    bundle->modules =
        sq_xrealloc(bundle->modules, (bundle->modules_count + 1) * sizeof *bundle->modules);
    struct sq_js_module *m = &bundle->modules[bundle->modules_count++];
    *m = (struct sq_js_module){.name = sq_xstrdup(name),
                               .meta = strstr((const char *)source->data, "import.meta")};
    return m;
}

int sq_js_read_module(struct sq_js_bundle *bundle, const char *name, struct sq_buf *out,
                      struct sq_error *err)
{
    if (sq_text_starts(name, remote_scheme) && !bundle->sealed && !sq_js_find_source(bundle, name))
        return sq_js_fetch_module(bundle, name, out, err);
    return sq_js_read_source(bundle, name, out, err);
}

static JSModuleDef *load_source(struct sq_js_cell *cell, const char *name, struct sq_buf *source)
{
    JSContext *ctx = cell->ctx;
    struct sq_js_bundle *bundle = cell->worker->bundle;

    sq_js_keep_source(bundle, name, source);
    sq_buf_cstr(source);
    bool meta = remember_module(bundle, name, source)->meta;
    JSModuleDef *m = compile_source(cell, name, source);
    if (m && meta && !sq_js_module_is_commonjs(m))
        add_meta(ctx, m, name);
    if (!m && is_own_syntax_error(cell))
        quote_line(ctx, name, source);
    if (m)
        sq_js_note_map(bundle, name, source);
    return m;
}

static JSModuleDef *load_file(struct sq_js_cell *cell, const char *name)
{
    JSContext *ctx = cell->ctx;
    struct sq_buf source = {0};
    struct sq_error err = {0};
    JSModuleDef *m = NULL;

    if (!cell->worker->bundle->load_pass) {
        JS_ThrowReferenceError(
            ctx,
            "module '%s' was not loaded when the test started: the set of modules "
            "is frozen after the first pass over the init code",
            name);
        return NULL;
    }
    if (sq_js_read_module(cell->worker->bundle, name, &source, &err) == 0)
        m = load_source(cell, name, &source);
    else if (cell->importer)
        JS_ThrowReferenceError(ctx, "%s (imported by %s)", err.text, cell->importer);
    else
        JS_ThrowReferenceError(ctx, "%s", err.text);
    if (!m)
        cell->load_failed = true;
    sq_buf_deinit(&source);
    return m;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *opaque)
{
    size_t len;

    if (sq_text_starts(name, scheme) || sq_text_starts(name, remote_scheme) ||
        sq_js_kit_source(name, &len))
        return load_file(opaque, name);
    return sq_js_load_builtin(ctx, name);
}

int sq_js_install_loader(struct sq_js_cell *cell)
{
    JS_SetModuleLoaderFunc(JS_GetRuntime(cell->ctx), normalize, load, cell);
    return 0;
}

static void warn_missing(void *user, const char *module, const char *name)
{
    const struct sq_js_cell *cell = user;

    if (cell->worker->bundle->load_pass)
        sq_log(SQ_LOG_WARN, "js", "'%s' does not export '%s': the imported name has no value",
               module, name);
}

static int fail(struct sq_js_cell *cell, struct sq_error *err)
{
    char *text = sq_js_exception_text(cell->ctx, JS_GetException(cell->ctx));

    sq_error_set(err, SQ_ESCRIPT, "%s", text);
    free(text);
    return SQ_ESCRIPT;
}

/* Bytecode for the other realms, of what has none yet. */
static int write_templates(struct sq_js_cell *cell)
{
    struct sq_js_bundle *bundle = cell->worker->bundle;
    JSContext *ctx = cell->ctx;

    for (size_t i = 0; i < bundle->modules_count; i++) {
        struct sq_js_module *out = &bundle->modules[i];
        JSModuleDef *module = out->bytecode ? NULL : sq_js_find_module(ctx, out->name);
        if (!module)
            continue;
        out->commonjs = sq_js_module_is_commonjs(module);
        uint8_t *bytes = sq_js_template_write(ctx, module, &out->bytecode_len);
        if (!bytes)
            return -1;
        out->bytecode = sq_xmalloc(out->bytecode_len);
        memcpy(out->bytecode, bytes, out->bytecode_len);
        js_free(ctx, bytes);
    }
    return 0;
}

/* Resolves what was compiled. 0, or -1 with an exception pending. */
static int resolve(struct sq_js_cell *cell, JSModuleDef *m)
{
    JSValue root = JS_MKPTR(JS_TAG_MODULE, m);

    if (JS_ResolveModule(cell->ctx, root) < 0 ||
        sq_js_module_tolerate_missing(cell->ctx, root, warn_missing, cell) < 0)
        return -1;
    return 0;
}

static JSModuleDef *load_root(struct sq_js_cell *cell, const char *name)
{
    set_importer(cell, NULL);
    cell->loading++;
    cell->load_failed = false;
    JSModuleDef *m = load_file(cell, name);
    if (m && (resolve(cell, m) < 0 || write_templates(cell) < 0))
        m = NULL;
    cell->load_failed = false;
    cell->loading--;
    return m;
}

int sq_js_compile(struct sq_js_cell *cell, const char *path, struct sq_error *err)
{
    char *name = strstr(path, "://") ? sq_xstrdup(path) : sq_js_file_url(path);
    JSModuleDef *m = load_root(cell, name);

    free(name);
    if (!m)
        return fail(cell, err);
    cell->main_template = JS_DupValue(cell->ctx, JS_MKPTR(JS_TAG_MODULE, m));
    return 0;
}

/* ---- modules that are required while the init code runs ---- */

struct late {
    struct sq_js_cell *cell;
    const char *name;
    JSModuleDef *m;
};

static void *load_on_big_stack(void *arg)
{
    struct late *late = arg;

    sq_js_native_stack(late->cell->ctx, SQ_JS_COMPILE_STACK_BYTES);
    late->m = load_root(late->cell, late->name);
    return NULL;
}

JSModuleDef *sq_js_load_late(struct sq_js_instance *self, const char *name)
{
    /* Sanitizers and the stripper's own frames need more than the engine counts. */
    enum { STACK_BYTES = 4 * SQ_JS_COMPILE_STACK_BYTES };
    struct late late = {self->cell, name, NULL};
    pthread_attr_t attr;
    pthread_t thread;

    if (!self->cell->worker->bundle->load_pass)
        return load_file(self->cell, name); /* which says why not */
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int rc = pthread_create(&thread, &attr, load_on_big_stack, &late);
    if (rc == 0)
        pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    sq_js_restore_stack(self->cell->ctx, &self->engine);
    if (rc != 0)
        JS_ThrowInternalError(self->cell->ctx, "no thread to load '%s': %s", name, strerror(rc));
    return late.m;
}

static JSModuleDef *read_template(JSContext *ctx, const struct sq_js_module *in)
{
    JSValue value = JS_ReadObject(ctx, in->bytecode, in->bytecode_len, JS_READ_OBJ_BYTECODE);

    if (JS_IsException(value))
        return NULL;
    if (in->commonjs)
        return sq_js_commonjs_template(ctx, in->name, value);
    JSModuleDef *m = JS_VALUE_GET_PTR(value);
    if (in->meta)
        add_meta(ctx, m, in->name);
    JS_FreeValue(ctx, value);
    return m;
}

int sq_js_load_templates(struct sq_js_cell *cell, struct sq_error *err)
{
    const struct sq_js_bundle *bundle = cell->worker->bundle;
    JSContext *ctx = cell->ctx;
    int rc = 0;

    for (size_t i = 0; i < bundle->modules_count; i++) {
        if (!bundle->modules[i].bytecode)
            continue;
        JSModuleDef *m = read_template(ctx, &bundle->modules[i]);
        if (!m)
            return fail(cell, err);
        if (i == 0)
            cell->main_template = JS_DupValue(ctx, JS_MKPTR(JS_TAG_MODULE, m));
    }
    cell->loading++;
    for (size_t i = 0; i < bundle->modules_count && rc == 0; i++)
        if (bundle->modules[i].bytecode)
            rc = resolve(cell, sq_js_find_module(ctx, bundle->modules[i].name));
    cell->loading--;
    return rc < 0 ? fail(cell, err) : 0;
}
