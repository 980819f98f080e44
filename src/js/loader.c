/* SPDX-License-Identifier: Apache-2.0 */
/* Where modules come from: specifiers to absolute names, files, the compiled bundle (ENG-11,
 * ENG-12). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "js/script.h"

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

char *sq_js_file_url(const char *path)
{
    char directory[PATH_MAX];

    return file_url(getcwd(directory, sizeof directory) ? directory : "/", path);
}

/* "https://host/dir/a.js" and "./b.js" or "/b.js" give "https://host/...": RFC 3986 5.2 without
 * queries. */
static char *remote_url(const char *base, const char *specifier)
{
    const char *path = base + strlen(remote_scheme);
    size_t host_len = strlen(remote_scheme) + strcspn(path, "/");
    char *directory = directory_of(base + host_len);
    char *absolute = absolute_path(directory, specifier);
    char *url = sq_xasprintf("%.*s%s", (int)host_len, base, absolute);

    free(directory);
    free(absolute);
    return url;
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
        if (remote)
            return remote_url(base, specifier);
        char *directory = directory_of(base);
        char *url = file_url(directory, specifier);
        free(directory);
        return url;
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
    int rc = 0;

    free(anonymous);
    if (known)
        sq_buf_put(out, known->bytes.data, known->bytes.len);
    else if (bundle->sealed)
        rc =
            sq_error_set(err, -ENOENT, "cannot open '%s': it is not in the archive", path_of(name));
    else if (sq_text_starts(name, remote_scheme))
        rc = sq_error_set(
            err, SQ_EINVALID,
            "cannot import '%s': this version loads local files only; save the module beside "
            "the script and import './%s'",
            name, strrchr(name, '/') + 1);
    else
        rc = sq_js_read_file(name, out, err);
    return rc;
}

static void keep_source(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source)
{
    struct sq_buf copy = {0};

    if (!bundle->keep_sources || sq_js_find_source(bundle, name))
        return;
    sq_buf_put(&copy, source->data, source->len);
    sq_js_give_source(bundle, name, &copy);
}

/* ---- the engine's loader callbacks ---- */

static char *normalize(JSContext *ctx, const char *base, const char *specifier, void *opaque)
{
    struct sq_error err = {0};
    char *name = sq_js_resolve_specifier(base, specifier, &err);

    (void)opaque;
    if (!name) {
        JS_ThrowReferenceError(ctx, "%s (imported by %s)", err.text, base);
        return NULL;
    }
    char *copy = js_strdup(ctx, name);
    free(name);
    return copy;
}

static JSModuleDef *load_builtin(JSContext *ctx, const char *name)
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

static JSModuleDef *compile_source(JSContext *ctx, const char *name, const struct sq_buf *source)
{
    JSValue module = JS_Eval(ctx, (const char *)source->data, source->len, name,
                             JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);

    if (JS_IsException(module))
        return NULL;
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module);
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

static void remember_module(struct sq_js_bundle *bundle, const char *name)
{
    bundle->modules =
        sq_xrealloc(bundle->modules, (bundle->modules_count + 1) * sizeof *bundle->modules);
    bundle->modules[bundle->modules_count++] = (struct sq_js_module){.name = sq_xstrdup(name)};
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
    if (sq_js_read_source(cell->worker->bundle, name, &source, &err) < 0) {
        JS_ThrowReferenceError(ctx, "%s", err.text);
    } else {
        keep_source(cell->worker->bundle, name, &source);
        sq_buf_cstr(&source);
        remember_module(cell->worker->bundle, name);
        m = compile_source(ctx, name, &source);
        JSValue pending = m ? JS_UNDEFINED : JS_GetException(ctx);
        bool syntax = false;
        if (!m) {
            JSValue type = JS_GetPropertyStr(ctx, pending, "name");
            const char *text = JS_ToCString(ctx, type);
            syntax = text && strcmp(text, "SyntaxError") == 0;
            JS_FreeCString(ctx, text);
            JS_FreeValue(ctx, type);
            JS_Throw(ctx, pending);
        }
        if (syntax)
            quote_line(ctx, name, &source);
    }
    sq_buf_deinit(&source);
    return m;
}

static JSModuleDef *load(JSContext *ctx, const char *name, void *opaque)
{
    if (sq_text_starts(name, scheme) || sq_text_starts(name, remote_scheme))
        return load_file(opaque, name);
    return load_builtin(ctx, name);
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
        sq_log(SQ_LOG_WARN, "js", "'%s' does not export '%s': the imported name is null", module,
               name);
}

static int fail(struct sq_js_cell *cell, struct sq_error *err)
{
    char *text = sq_js_exception_text(cell->ctx, JS_GetException(cell->ctx));

    sq_error_set(err, SQ_ESCRIPT, "%s", text);
    free(text);
    return SQ_ESCRIPT;
}

int sq_js_compile(struct sq_js_cell *cell, const char *path, struct sq_error *err)
{
    struct sq_js_bundle *bundle = cell->worker->bundle;
    JSContext *ctx = cell->ctx;
    char *name = strstr(path, "://") ? sq_xstrdup(path) : sq_js_file_url(path);
    JSModuleDef *m = load_file(cell, name);
    free(name);
    if (!m)
        return fail(cell, err);
    cell->main_template = JS_DupValue(ctx, JS_MKPTR(JS_TAG_MODULE, m));
    if (JS_ResolveModule(ctx, cell->main_template) < 0 ||
        sq_js_module_tolerate_missing(ctx, cell->main_template, warn_missing, cell) < 0)
        return fail(cell, err);
    for (size_t i = 0; i < bundle->modules_count; i++) {
        struct sq_js_module *out = &bundle->modules[i];
        JSModuleDef *module = sq_js_find_module(ctx, out->name);
        if (!module)
            continue;
        uint8_t *bytes = JS_WriteObject(ctx, &out->bytecode_len, JS_MKPTR(JS_TAG_MODULE, module),
                                        JS_WRITE_OBJ_BYTECODE);
        if (!bytes)
            return fail(cell, err);
        out->bytecode = sq_xmalloc(out->bytecode_len);
        memcpy(out->bytecode, bytes, out->bytecode_len);
        js_free(ctx, bytes);
    }
    return 0;
}

int sq_js_load_templates(struct sq_js_cell *cell, struct sq_error *err)
{
    const struct sq_js_bundle *bundle = cell->worker->bundle;
    JSContext *ctx = cell->ctx;

    for (size_t i = 0; i < bundle->modules_count; i++) {
        const struct sq_js_module *in = &bundle->modules[i];
        JSValue module = JS_ReadObject(ctx, in->bytecode, in->bytecode_len, JS_READ_OBJ_BYTECODE);
        if (JS_IsException(module))
            return fail(cell, err);
        if (i == 0)
            cell->main_template = module;
        else
            JS_FreeValue(ctx, module);
    }
    if (JS_ResolveModule(ctx, cell->main_template) < 0 ||
        sq_js_module_tolerate_missing(ctx, cell->main_template, warn_missing, cell) < 0)
        return fail(cell, err);
    return 0;
}
