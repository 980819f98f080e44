/* SPDX-License-Identifier: Apache-2.0 */
/* k6/experimental/fs: files of the test, read in pieces (MOD-85). Behaviour and running examples:
 * docs/api/k6-experimental.md
 *
 * The bytes are the bundle's, read once per process; a File is a position in them. */
#include <stdlib.h>

#include "base/text.h"
#include "js/modules/modules.h"

static JSClassID file_class;

struct fs_file {
    const char *path; /* file:///..., the bundle's */
    struct sq_slice bytes;
    size_t at;
};

enum seek_mode { SEEK_START, SEEK_CURRENT, SEEK_FROM_END };

static void finalizer(JSRuntime *rt, JSValue value)
{
    js_free_rt(rt, JS_GetOpaque(value, file_class));
}

bool sq_k6_fs_file(JSValueConst value, const char **path, struct sq_slice *bytes)
{
    const struct fs_file *f = JS_GetOpaque(value, file_class);

    if (!f)
        return false;
    *path = f->path;
    *bytes = f->bytes;
    return true;
}

static const char *plain_path(const char *name)
{
    return sq_text_starts(name, "file://") ? name + 7 : name;
}

/* ---- File ---- */

static JSValue get_path(JSContext *ctx, JSValueConst this_val)
{
    const struct fs_file *f = JS_GetOpaque2(ctx, this_val, file_class);

    return f ? JS_NewString(ctx, plain_path(f->path)) : JS_EXCEPTION;
}

static JSValue stat_now(JSContext *ctx, const struct fs_file *f)
{
    const char *slash = strrchr(f->path, '/');
    JSValue info = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, info, "name", JS_NewString(ctx, slash ? slash + 1 : f->path));
    JS_SetPropertyStr(ctx, info, "size", JS_NewInt64(ctx, (int64_t)f->bytes.len));
    return info;
}

static JSValue read_now(JSContext *ctx, struct fs_file *f, JSValueConst into)
{
    size_t len = 0;
    uint8_t *to = NULL;

    if (sq_js_kind(into) == SQ_JS_BYTES)
        to = (uint8_t *)sq_js_bytes(ctx, into, &len);
    if (!to)
        return JS_HasException(ctx)
                   ? JS_EXCEPTION
                   : JS_ThrowTypeError(ctx, "read() needs a Uint8Array to read into");
    if (f->at == f->bytes.len)
        return JS_NULL;
    len = SQ_MIN(len, f->bytes.len - f->at);
    if (len)
        memcpy(to, f->bytes.data + f->at, len);
    f->at += len;
    return JS_NewInt64(ctx, (int64_t)len);
}

static JSValue seek_now(JSContext *ctx, struct fs_file *f, JSValueConst offset, JSValueConst whence)
{
    int64_t by, mode, from;

    if (!JS_IsNumber(offset) || !JS_IsNumber(whence))
        return JS_ThrowTypeError(ctx, "seek() needs an offset and a SeekMode, both numbers");
    if (JS_ToInt64(ctx, &by, offset) < 0 || JS_ToInt64(ctx, &mode, whence) < 0)
        return JS_EXCEPTION;
    switch (mode) {
    case SEEK_START:
        from = 0;
        break;
    case SEEK_CURRENT:
        from = (int64_t)f->at;
        break;
    case SEEK_FROM_END:
        from = (int64_t)f->bytes.len;
        break;
    default:
        return JS_ThrowTypeError(ctx, "seek(): the mode is SeekMode.Start, Current or End");
    }
    int64_t size = (int64_t)f->bytes.len;
    if (by < -from || by > size - from)
        return JS_ThrowTypeError(ctx, "seek(): the position is outside of the file of %lld bytes",
                                 (long long)size);
    f->at = (size_t)(from + by);
    return JS_NewInt64(ctx, (int64_t)f->at);
}

enum { READ, SEEK, STAT };

static JSValue method(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                      int which)
{
    struct fs_file *f = JS_GetOpaque2(ctx, this_val, file_class);
    JSValue value = JS_EXCEPTION;

    (void)argc; /* the engine pads argv to the declared length */
    if (!f)
        return JS_EXCEPTION;
    if (which == READ)
        value = read_now(ctx, f, argv[0]);
    else if (which == SEEK)
        value = seek_now(ctx, f, argv[0], argv[1]);
    else
        value = stat_now(ctx, f);
    return sq_js_settled(ctx, value);
}

static const JSCFunctionListEntry methods[] = {
    JS_CGETSET_DEF("path", get_path, NULL),
    JS_CFUNC_MAGIC_DEF("read", 1, method, READ),
    JS_CFUNC_MAGIC_DEF("seek", 2, method, SEEK),
    JS_CFUNC_MAGIC_DEF("stat", 0, method, STAT),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "File", JS_PROP_CONFIGURABLE),
};

/* ---- the module ---- */

static JSValue open_now(JSContext *ctx, JSValueConst path)
{
    struct sq_error err = {0};

    if (!sq_js_self(ctx)->in_init)
        return sq_js_throw(ctx, "open() failed: files are opened in the init context only");
    if (!JS_IsString(path))
        return JS_ThrowTypeError(ctx, "open() needs the path of a file, a string");
    const char *text = JS_ToCString(ctx, path);
    const struct sq_js_file *found = text ? sq_js_open_file(ctx, text, &err) : NULL;
    JS_FreeCString(ctx, text);
    if (!found)
        return JS_HasException(ctx) ? JS_EXCEPTION : sq_js_throw(ctx, "%s", err.text);
    JSValue object = JS_NewObjectClass(ctx, (int)file_class);
    struct fs_file *f = JS_IsException(object) ? NULL : js_mallocz(ctx, sizeof *f);
    if (!f) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    *f = (struct fs_file){found->path, sq_buf_slice(&found->bytes), 0};
    JS_SetOpaque(object, f);
    return object;
}

static JSValue open_file(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc;
    return sq_js_settled(ctx, open_now(ctx, argv[0]));
}

static const JSCFunctionListEntry modes[] = {
    JS_PROP_INT32_DEF("Start", SEEK_START, JS_PROP_ENUMERABLE),
    JS_PROP_INT32_DEF("Current", SEEK_CURRENT, JS_PROP_ENUMERABLE),
    JS_PROP_INT32_DEF("End", SEEK_FROM_END, JS_PROP_ENUMERABLE),
};

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("open", 1, open_file),
    JS_OBJECT_DEF("SeekMode", modes, SQ_COUNT(modes), JS_PROP_ENUMERABLE),
};

void sq_k6_fs_class_ids(void)
{
    JS_NewClassID(&file_class);
}

void sq_k6_fs_classes(JSContext *ctx)
{
    static const JSClassDef definition = {"File", .finalizer = finalizer};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), file_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, methods, SQ_COUNT(methods));
    JS_SetClassProto(ctx, file_class, proto);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"open", "SeekMode", "default", NULL};
const struct sq_js_builtin sq_k6_experimental_fs = {"k6/experimental/fs", init, exports};
