/* SPDX-License-Identifier: Apache-2.0 */
/* Blob (File API 3): immutable bytes with a type; slices share the storage. */
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "js/dom/dom.h"

static JSClassID blob_class;

struct store { /* shared by slices: one thread, so a plain count */
    size_t refs;
    uint8_t data[];
};

struct blob {
    struct store *store; /* NULL: empty */
    size_t at, len;
    char *type; /* NULL: "" */
};

static struct blob *blob_of(JSValueConst value)
{
    return JS_GetOpaque(value, blob_class);
}

static const uint8_t *bytes_of(const struct blob *b)
{
    return b->store ? b->store->data + b->at : (const uint8_t *)"";
}

bool sq_dom_blob_bytes(JSValueConst value, struct sq_slice *out)
{
    const struct blob *b = blob_of(value);

    if (b)
        *out = sq_slice(bytes_of(b), b->len);
    return b != NULL;
}

static void finalizer(JSRuntime *rt, JSValue value)
{
    struct blob *b = blob_of(value);

    (void)rt;
    if (!b)
        return;
    if (b->store && --b->store->refs == 0)
        free(b->store);
    free(b->type);
    free(b);
}

static JSValue new_blob(JSContext *ctx, JSValueConst new_target)
{
    JSValue object = sq_dom_object(ctx, blob_class, new_target);

    if (!JS_IsException(object))
        JS_SetOpaque(object, sq_xcalloc(1, sizeof(struct blob)));
    return object;
}

static int fill(JSContext *ctx, struct blob *b, struct sq_slice bytes)
{
    if (bytes.len == 0)
        return 0;
    b->store = sq_try_alloc(sizeof *b->store + bytes.len);
    if (!b->store) {
        JS_ThrowOutOfMemory(ctx);
        return -1;
    }
    b->store->refs = 1;
    memcpy(b->store->data, bytes.data, bytes.len);
    b->len = bytes.len;
    return 0;
}

JSValue sq_dom_blob_new(JSContext *ctx, struct sq_slice bytes)
{
    JSValue object = new_blob(ctx, JS_UNDEFINED);

    if (!JS_IsException(object) && fill(ctx, blob_of(object), bytes) < 0) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    return object;
}

/* ---- construction ---- */

static int put(JSContext *ctx, struct sq_buf *out, const void *data, size_t len)
{
    if (sq_buf_append(out, data, len) == 0)
        return 0;
    JS_ThrowOutOfMemory(ctx);
    return -1;
}

/* `endings: "native"`: every line end becomes \n. */
static size_t native_endings(char *text, size_t len)
{
    size_t to = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r') {
            text[to++] = '\n';
            if (i + 1 < len && text[i + 1] == '\n')
                i++;
        } else {
            text[to++] = text[i];
        }
    }
    return to;
}

static int add_part(JSContext *ctx, struct sq_buf *out, JSValueConst part, bool native)
{
    struct sq_slice bytes;
    size_t len;

    if (sq_dom_blob_bytes(part, &bytes) || sq_dom_bytes(ctx, part, &bytes))
        return put(ctx, out, bytes.data, bytes.len);
    char *text = sq_dom_text(ctx, part, &len);
    if (!text)
        return -1;
    if (native)
        len = native_endings(text, len);
    int rc = put(ctx, out, text, len);
    free(text);
    return rc;
}

/* Calls the iterator's next. 1: *value is owned, 0: done, -1: exception. */
static int next_item(JSContext *ctx, JSValueConst iterator, JSValueConst next, JSValue *value)
{
    JSValue step = JS_Call(ctx, next, iterator, 0, NULL);

    if (JS_IsException(step))
        return -1;
    if (!JS_IsObject(step)) {
        JS_FreeValue(ctx, step);
        JS_ThrowTypeError(ctx, "iterator result is not an object");
        return -1;
    }
    JSValue done = JS_GetPropertyStr(ctx, step, "done");
    int ended = JS_IsException(done) ? -1 : JS_ToBool(ctx, done);
    JS_FreeValue(ctx, done);
    *value = ended == 0 ? JS_GetPropertyStr(ctx, step, "value") : JS_UNDEFINED;
    JS_FreeValue(ctx, step);
    if (ended < 0 || JS_IsException(*value))
        return -1;
    return !ended;
}

static JSValue iterator_of(JSContext *ctx, JSValueConst object)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue symbol = JS_GetPropertyStr(ctx, global, "Symbol");
    JSValue name = JS_GetPropertyStr(ctx, symbol, "iterator");
    JSAtom atom = JS_ValueToAtom(ctx, name);
    JSValue method = JS_GetProperty(ctx, object, atom), iterator = JS_EXCEPTION;

    if (JS_IsFunction(ctx, method))
        iterator = JS_Call(ctx, method, object, 0, NULL);
    else if (!JS_IsException(method))
        JS_ThrowTypeError(ctx, "the parts of a Blob must be an iterable object");
    JS_FreeValue(ctx, method);
    JS_FreeAtom(ctx, atom);
    JS_FreeValue(ctx, name);
    JS_FreeValue(ctx, symbol);
    JS_FreeValue(ctx, global);
    return iterator;
}

static int add_parts(JSContext *ctx, struct sq_buf *out, JSValueConst parts, bool native)
{
    JSValue iterator, next, value;
    int rc;

    if (!JS_IsObject(parts)) {
        JS_ThrowTypeError(ctx, "the parts of a Blob must be an iterable object");
        return -1;
    }
    iterator = iterator_of(ctx, parts);
    if (JS_IsException(iterator))
        return -1;
    next = JS_GetPropertyStr(ctx, iterator, "next");
    while ((rc = next_item(ctx, iterator, next, &value)) > 0) {
        rc = add_part(ctx, out, value, native);
        JS_FreeValue(ctx, value);
        if (rc < 0)
            break;
    }
    JS_FreeValue(ctx, next);
    JS_FreeValue(ctx, iterator);
    return rc;
}

/* Lower case; "" when a character is outside U+0020..U+007E. */
static char *clean_type(JSContext *ctx, JSValueConst value)
{
    size_t len;
    char *text = sq_dom_text(ctx, value, &len);

    for (size_t i = 0; text && i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e)
            text[0] = '\0', len = 0;
        else if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] | 0x20);
    }
    return text;
}

static int read_options(JSContext *ctx, JSValueConst options, bool *native, char **type)
{
    JSValue endings = sq_dom_member(ctx, options, "endings", JS_UNDEFINED);

    if (JS_IsException(endings))
        return -1;
    if (!JS_IsUndefined(endings)) {
        const char *text = JS_ToCString(ctx, endings);
        bool known = text && (strcmp(text, "native") == 0 || strcmp(text, "transparent") == 0);
        *native = known && *text == 'n';
        if (text && !known)
            JS_ThrowTypeError(ctx, "Blob: '%s' is neither 'transparent' nor 'native'", text);
        JS_FreeCString(ctx, text);
        JS_FreeValue(ctx, endings);
        if (!known)
            return -1;
    }
    JSValue value = sq_dom_member(ctx, options, "type", JS_UNDEFINED);
    if (JS_IsException(value))
        return -1;
    if (!JS_IsUndefined(value) && !(*type = clean_type(ctx, value))) {
        JS_FreeValue(ctx, value);
        return -1;
    }
    JS_FreeValue(ctx, value);
    return 0;
}

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    JSValueConst options = argc > 1 ? argv[1] : JS_UNDEFINED;
    bool native = false, parts = argc > 0 && !JS_IsUndefined(argv[0]);
    struct sq_buf bytes = {0};
    char *type = NULL;

    if (!JS_IsObject(options) && !JS_IsUndefined(options) && !JS_IsNull(options))
        return JS_ThrowTypeError(ctx, "the options of a Blob must be an object");
    JSValue object = new_blob(ctx, new_target);
    if (JS_IsException(object))
        return object;
    if (read_options(ctx, options, &native, &type) < 0 ||
        (parts && add_parts(ctx, &bytes, argv[0], native) < 0) ||
        fill(ctx, blob_of(object), sq_buf_slice(&bytes)) < 0) {
        JS_FreeValue(ctx, object);
        object = JS_EXCEPTION;
        free(type);
    } else {
        blob_of(object)->type = type;
    }
    sq_buf_deinit(&bytes);
    return object;
}

/* ---- members ---- */

static struct blob *this_blob(JSContext *ctx, JSValueConst this_val)
{
    return JS_GetOpaque2(ctx, this_val, blob_class);
}

static JSValue get_size(JSContext *ctx, JSValueConst this_val)
{
    const struct blob *b = this_blob(ctx, this_val);

    return b ? JS_NewInt64(ctx, (int64_t)b->len) : JS_EXCEPTION;
}

static JSValue get_type(JSContext *ctx, JSValueConst this_val)
{
    const struct blob *b = this_blob(ctx, this_val);

    return b ? JS_NewString(ctx, b->type ? b->type : "") : JS_EXCEPTION;
}

/* [Clamp] long long, then relative to the size. */
static int position(JSContext *ctx, JSValueConst value, size_t size, size_t fallback, size_t *out)
{
    double number;

    *out = fallback;
    if (JS_IsUndefined(value))
        return 0;
    if (JS_ToFloat64(ctx, &number, value) < 0)
        return -1;
    number = isnan(number) ? 0 : nearbyint(number);
    if (number < 0)
        number = SQ_MAX(number + (double)size, 0.0);
    *out = number >= (double)size ? size : (size_t)number;
    return 0;
}

static JSValue slice(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct blob *b = this_blob(ctx, this_val);
    size_t start, end;
    char *type = NULL;

    if (!b || position(ctx, argc > 0 ? argv[0] : JS_UNDEFINED, b->len, 0, &start) < 0 ||
        position(ctx, argc > 1 ? argv[1] : JS_UNDEFINED, b->len, b->len, &end) < 0)
        return JS_EXCEPTION;
    if (argc > 2 && !JS_IsUndefined(argv[2]) && !(type = clean_type(ctx, argv[2])))
        return JS_EXCEPTION;
    JSValue object = new_blob(ctx, JS_UNDEFINED);
    if (JS_IsException(object)) {
        free(type);
        return object;
    }
    struct blob *part = blob_of(object);
    part->type = type;
    if (end > start) {
        part->store = b->store;
        part->store->refs++;
        part->at = b->at + start;
        part->len = end - start;
    }
    return object;
}

/* Bytes as text: BOM removed, what is not UTF-8 replaced. */
static JSValue decode(JSContext *ctx, const struct blob *b)
{
    const uint8_t *p = bytes_of(b);
    size_t len = b->len;
    struct sq_buf text = {0};

    if (len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        p += 3, len -= 3;
    JSValue value = sq_js_decode_utf8(p, len, &text) < 0
                        ? JS_ThrowOutOfMemory(ctx)
                        : JS_NewStringLen(ctx, text.len ? (char *)text.data : "", text.len);
    sq_buf_deinit(&text);
    return value;
}

enum { TEXT, ARRAY_BUFFER, BYTES };

static JSValue read_as(JSContext *ctx, const struct blob *b, int what)
{
    if (what == TEXT)
        return decode(ctx, b);
    JSValue buffer = JS_NewArrayBufferCopy(ctx, bytes_of(b), b->len);
    if (what == ARRAY_BUFFER || JS_IsException(buffer))
        return buffer;
    /* The engine reads three arguments, whatever the count says. */
    JSValueConst args[] = {buffer, JS_UNDEFINED, JS_UNDEFINED};
    JSValue view = JS_NewTypedArray(ctx, SQ_COUNT(args), args, JS_TYPED_ARRAY_UINT8);
    JS_FreeValue(ctx, buffer);
    return view;
}

/* The three reading methods: all is in memory, so the promise is settled at once. */
static JSValue read(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int what)
{
    const struct blob *b = blob_of(this_val);
    JSValue resolving[2];
    JSValue promise = JS_NewPromiseCapability(ctx, resolving);

    (void)argc, (void)argv;
    if (JS_IsException(promise))
        return promise;
    JSValue value =
        b ? read_as(ctx, b, what) : JS_ThrowTypeError(ctx, "the receiver is not a Blob");
    bool failed = JS_IsException(value);
    if (failed)
        value = JS_GetException(ctx);
    JS_FreeValue(ctx, JS_Call(ctx, resolving[failed], JS_UNDEFINED, 1, (JSValueConst *)&value));
    JS_FreeValue(ctx, value);
    JS_FreeValue(ctx, resolving[0]);
    JS_FreeValue(ctx, resolving[1]);
    return promise;
}

/* A stream of copies in pieces; the blob stays whole. */
static JSValue stream(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    enum { PIECE_BYTES = 64 * 1024 };
    const struct blob *b = this_blob(ctx, this_val);

    (void)argc, (void)argv;
    if (!b)
        return JS_EXCEPTION;
    JSValue pieces = JS_NewArray(ctx);
    uint32_t count = 0;
    for (size_t at = 0; at < b->len && !JS_IsException(pieces); at += PIECE_BYTES) {
        struct blob part = {
            .store = b->store, .at = b->at + at, .len = SQ_MIN(b->len - at, (size_t)PIECE_BYTES)};
        JSValue piece = read_as(ctx, &part, BYTES);
        if (JS_IsException(piece) || JS_SetPropertyUint32(ctx, pieces, count++, piece) < 0) {
            JS_FreeValue(ctx, pieces);
            pieces = JS_EXCEPTION;
        }
    }
    JSValue result = JS_IsException(pieces) ? JS_EXCEPTION : sq_dom_stream_of(ctx, pieces);
    JS_FreeValue(ctx, pieces);
    return result;
}

static const JSCFunctionListEntry members[] = {
    JS_CGETSET_DEF("size", get_size, NULL),
    JS_CGETSET_DEF("type", get_type, NULL),
    JS_CFUNC_DEF("slice", 0, slice),
    JS_CFUNC_DEF("stream", 0, stream),
    JS_CFUNC_MAGIC_DEF("text", 0, read, TEXT),
    JS_CFUNC_MAGIC_DEF("arrayBuffer", 0, read, ARRAY_BUFFER),
    JS_CFUNC_MAGIC_DEF("bytes", 0, read, BYTES),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "Blob", JS_PROP_CONFIGURABLE),
};

void sq_dom_blob_class_ids(void)
{
    JS_NewClassID(&blob_class);
}

void sq_dom_blob_register(JSRuntime *rt)
{
    static const JSClassDef definition = {"Blob", .finalizer = finalizer};

    JS_NewClass(rt, blob_class, &definition);
}

JSValue sq_dom_blob_class(JSContext *ctx)
{
    return sq_dom_define(ctx, blob_class, "Blob", construct, 0, JS_UNDEFINED,
                         (struct dom_method_list){members, SQ_COUNT(members)});
}
