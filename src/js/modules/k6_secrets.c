/* SPDX-License-Identifier: Apache-2.0 */
/* k6/secrets: values that the operator hands in and no log line shows (MOD-80, ENG-227). Behaviour
 * and running examples: docs/api/k6-secrets.md
 *
 * The sources are read once, before the script is loaded, and are immutable from then on; what a
 * server has told is kept, so that it is asked once for each secret. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "js/modules/k6_secrets.h"

/* ---- reading the sources ---- */

static void free_source(struct secret_source *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].key);
        free(s->items[i].value);
    }
    free(s->items);
    free(s->name);
    secret_server_free(s->server);
}

void sq_js_secrets_free(struct sq_js_secrets *secrets)
{
    if (!secrets)
        return;
    for (size_t i = 0; i < secrets->count; i++)
        free_source(&secrets->sources[i]);
    free(secrets->sources);
    pthread_mutex_destroy(&secrets->lock);
    free(secrets);
}

/* The last one of a key counts. */
static void add(struct secret_source *s, struct sq_slice key, struct sq_slice value)
{
    s->items = sq_xrealloc(s->items, (s->count + 1) * sizeof *s->items);
    s->items[s->count++] = (struct secret){sq_xstrndup((const char *)key.data, key.len),
                                           sq_xstrndup((const char *)value.data, value.len)};
}

/* "key=value"; false without a '='. */
static bool add_line(struct secret_source *s, struct sq_slice line)
{
    const uint8_t *equals = line.len ? memchr(line.data, '=', line.len) : NULL;

    if (!equals)
        return false;
    size_t len = (size_t)(equals - line.data);
    add(s, sq_slice(line.data, len), sq_slice(equals + 1, line.len - len - 1));
    return true;
}

static int read_file(struct secret_source *s, const char *path, struct sq_error *err)
{
    struct sq_buf text = {0};
    size_t number = 0;
    int rc = *path ? sq_js_read_file(path, &text, err)
                   : sq_error_set(err, SQ_EINVALID, "--secret-source: file= needs a path");

    for (size_t at = 0; rc >= 0 && at < text.len;) {
        const uint8_t *line = text.data + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        at += len + 1;
        number++;
        while (len && line[len - 1] == '\r')
            len--;
        /* The line is a secret: not shown. */
        if (len && !add_line(s, sq_slice(line, len)))
            rc = sq_error_set(err, SQ_EINVALID,
                              "--secret-source: line %zu of '%s' is not key=value", number, path);
    }
    sq_buf_deinit(&text);
    return rc;
}

static int open_source(struct secret_source *s, const char *kind, const char *rest,
                       struct sq_error *err)
{
    struct sq_buf path = {0};
    bool mock = strcmp(kind, "mock") == 0;
    int rc = 0;

    s->name = sq_xstrdup("default");
    if (strcmp(kind, "url") == 0)
        s->server = secret_server_new();
    for (const char *p = rest; *p && rc >= 0;) {
        struct sq_slice item = sq_slice((const uint8_t *)p, strcspn(p, ","));
        p += item.len + (p[item.len] == ',');
        if (item.len == 7 && memcmp(item.data, "default", 7) == 0) {
            s->is_default = true;
        } else if (item.len > 5 && memcmp(item.data, "name=", 5) == 0) {
            free(s->name);
            s->name = sq_xstrndup((const char *)item.data + 5, item.len - 5);
        } else if (s->server) {
            rc = secret_server_set(s->server, item, err);
        } else if (!mock) {
            size_t skip = item.len > 9 && memcmp(item.data, "filename=", 9) == 0 ? 9 : 0;
            if (path.len)
                sq_buf_putc(&path, ',');
            sq_buf_put(&path, item.data + skip, item.len - skip);
        } else if (!add_line(s, item)) {
            rc = sq_error_set(err, SQ_EINVALID,
                              "--secret-source: mock= takes pairs name=value separated by commas");
        }
    }
    if (rc >= 0 && s->server)
        rc = secret_server_finish(s->server, err);
    else if (rc >= 0 && !mock)
        rc = read_file(s, sq_buf_cstr(&path), err);
    sq_buf_deinit(&path);
    return rc;
}

static int add_source(struct sq_js_secrets *secrets, const char *spec, struct sq_error *err)
{
    struct secret_source s = {0};
    size_t len = strcspn(spec, "=");
    char *kind = sq_xstrndup(spec, len);
    int rc;

    if (strcmp(kind, "file") != 0 && strcmp(kind, "mock") != 0 && strcmp(kind, "url") != 0)
        rc = sq_error_set(err, SQ_EINVALID,
                          "--secret-source: '%s' is no kind of source that squall has; use "
                          "file=PATH, mock=NAME=VALUE or url=urlTemplate=URL",
                          kind);
    else
        rc = open_source(&s, kind, spec[len] ? spec + len + 1 : "", err);
    for (size_t i = 0; i < secrets->count && rc >= 0; i++) {
        if (strcmp(secrets->sources[i].name, s.name) == 0)
            rc = sq_error_set(err, SQ_EINVALID,
                              "--secret-source: two sources are called '%s'; tell them apart with "
                              "name=",
                              s.name);
        else if (secrets->sources[i].is_default && s.is_default)
            rc = sq_error_set(err, SQ_EINVALID, "--secret-source: two sources are 'default'");
    }
    free(kind);
    if (rc < 0) {
        free_source(&s);
        return rc;
    }
    secrets->sources =
        sq_xrealloc(secrets->sources, (secrets->count + 1) * sizeof *secrets->sources);
    secrets->sources[secrets->count++] = s;
    return 0;
}

int sq_js_secrets_open(struct sq_js_bundle *bundle, struct sq_error *err)
{
    const struct sq_string_list *list = &bundle->config->secret_sources;
    struct sq_js_secrets *secrets;

    if (!list->count || bundle->secrets)
        return 0;
    secrets = sq_xcalloc(1, sizeof *secrets);
    pthread_mutex_init(&secrets->lock, NULL);
    bundle->secrets = secrets;
    for (size_t i = 0; i < list->count; i++)
        if (add_source(secrets, list->items[i], err) < 0)
            return err->code;
    if (secrets->count == 1)
        secrets->sources[0].is_default = true;
    return 0;
}

/* ---- the module ---- */

/* name NULL: the default one. NULL: an exception is pending. */
static struct secret_source *find_source(JSContext *ctx, const char *name)
{
    struct sq_js_secrets *secrets = sq_js_self(ctx)->cell->worker->bundle->secrets;

    for (size_t i = 0; secrets && i < secrets->count; i++)
        if (name ? strcmp(secrets->sources[i].name, name) == 0 : secrets->sources[i].is_default)
            return &secrets->sources[i];
    if (!secrets)
        sq_js_throw(ctx, "no secret sources are configured; use --secret-source");
    else if (name)
        sq_js_throw(ctx, "no secret source with name \"%s\" is configured", name);
    else
        sq_js_throw(ctx, "no default secret source is configured; mark one with 'default'");
    return NULL;
}

/* Borrowed until the end: values never change. NULL: not here. */
static const char *look_up(struct sq_js_secrets *secrets, const struct secret_source *source,
                           const char *key)
{
    const char *value = NULL;

    pthread_mutex_lock(&secrets->lock);
    for (size_t i = 0; i < source->count; i++)
        if (strcmp(source->items[i].key, key) == 0)
            value = source->items[i].value;
    pthread_mutex_unlock(&secrets->lock);
    return value;
}

/* NULL: an exception is pending. Two users may ask for the same at once. */
static const char *ask_server(JSContext *ctx, struct sq_js_secrets *secrets,
                              struct secret_source *source, const char *key)
{
    char *value = secret_server_get(ctx, source->server, key);

    if (!value)
        return NULL;
    pthread_mutex_lock(&secrets->lock);
    add(source, sq_slice_str(key), sq_slice_str(value));
    pthread_mutex_unlock(&secrets->lock);
    free(value);
    return look_up(secrets, source, key);
}

static JSValue secret(JSContext *ctx, struct secret_source *source, JSValueConst key)
{
    struct sq_js_secrets *secrets = sq_js_self(ctx)->cell->worker->bundle->secrets;
    const char *text = JS_ToCString(ctx, key);

    if (!text)
        return JS_EXCEPTION;
    const char *value = look_up(secrets, source, text);
    if (!value && source->server)
        value = ask_server(ctx, secrets, source, text);
    else if (!value)
        sq_js_throw(ctx, "no value for the secret \"%s\" in the source \"%s\"", text, source->name);
    if (value)
        sq_log_hide(value, strlen(value));
    JS_FreeCString(ctx, text);
    return value ? JS_NewString(ctx, value) : JS_EXCEPTION;
}

static JSValue get(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct secret_source *source = find_source(ctx, NULL);

    (void)this_val, (void)argc;
    return sq_js_settled(ctx, source ? secret(ctx, source, argv[0]) : JS_EXCEPTION);
}

static JSValue get_named(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                         int magic, JSValue *data)
{
    const char *name = JS_ToCString(ctx, data[0]);
    struct secret_source *source = name ? find_source(ctx, name) : NULL;

    (void)this_val, (void)argc, (void)magic;
    JS_FreeCString(ctx, name);
    return sq_js_settled(ctx, source ? secret(ctx, source, argv[0]) : JS_EXCEPTION);
}

/* An unknown name throws at once: the mistake is here, not where a secret is asked for. */
static JSValue source_named(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *name = JS_ToCString(ctx, argv[0]);
    struct secret_source *source = name ? find_source(ctx, name) : NULL;

    (void)this_val, (void)argc;
    JS_FreeCString(ctx, name);
    if (!source)
        return JS_EXCEPTION;
    JSValue object = JS_NewObject(ctx), text = JS_NewString(ctx, source->name);
    JSValueConst data = text;
    JS_SetPropertyStr(ctx, object, "get", JS_NewCFunctionData(ctx, get_named, 1, 0, 1, &data));
    JS_FreeValue(ctx, text);
    return object;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("get", 1, get),
    JS_CFUNC_DEF("source", 1, source_named),
};

static int init(JSContext *ctx, JSModuleDef *m)
{
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"get", "source", "default", NULL};
const struct sq_js_builtin sq_k6_secrets = {"k6/secrets", init, exports};
