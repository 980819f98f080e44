/* SPDX-License-Identifier: Apache-2.0 */
/* TextEncoder and TextDecoder (MOD-21), WHATWG Encoding, for UTF-8 alone: other labels are a
 * RangeError. One of each class per realm; objects hold their own state. */
#include <stdlib.h>

#include "base/text.h"
#include "js/modules/modules.h"

static JSClassID encoder_class, decoder_class;

struct decoder {
    bool fatal, ignore_bom;
    bool bom_seen;      /* past the place where a byte order mark could be */
    uint8_t pending[4]; /* a sequence cut by the end of a streamed chunk */
    uint8_t pending_len;
};

/* ---- bytes to text ---- */

/* What follows a lead byte: Unicode table 3-7. need 0: not a lead byte. */
struct lead {
    uint8_t need, lo, hi; /* bounds are those of the second byte */
};

static struct lead lead_of(uint8_t c)
{
    if (c >= 0xC2 && c <= 0xDF)
        return (struct lead){1, 0x80, 0xBF};
    if (c >= 0xE0 && c <= 0xEF)
        return (struct lead){2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF};
    if (c >= 0xF0 && c <= 0xF4)
        return (struct lead){3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF};
    return (struct lead){0};
}

enum sequence { VALID, INVALID, UNFINISHED };

/* *len: bytes that belong to the character, or that one U+FFFD stands for. */
static enum sequence next_sequence(const uint8_t *p, size_t left, size_t *len)
{
    struct lead lead = lead_of(*p);

    *len = 1;
    if (*p < 0x80)
        return VALID;
    if (lead.need == 0)
        return INVALID;
    for (; *len <= lead.need; ++*len) {
        uint8_t lo = *len == 1 ? lead.lo : 0x80, hi = *len == 1 ? lead.hi : 0xBF;
        if (*len == left)
            return UNFINISHED;
        if (p[*len] < lo || p[*len] > hi)
            return INVALID;
    }
    return VALID;
}

/* Appends valid UTF-8; returns the bytes consumed, less than len only when `more` may complete the
 * last sequence. -ENOMEM, or SQ_EUTF8 when `fatal`. */
static int64_t decode(const uint8_t *in, size_t len, bool more, bool fatal, struct sq_buf *out)
{
    size_t at = 0, part;
    int rc = 0;

    while (at < len && rc == 0) {
        size_t plain = at;
        while (plain < len && in[plain] < 0x80)
            plain++;
        if (plain > at) {
            rc = sq_buf_append(out, in + at, plain - at);
            at = plain;
            continue;
        }
        enum sequence kind = next_sequence(in + at, len - at, &part);
        if (kind == UNFINISHED && more)
            break;
        if (kind != VALID && fatal)
            return SQ_EUTF8;
        rc = kind == VALID ? sq_buf_append(out, in + at, part)
                           : sq_buf_append(out, "\xEF\xBF\xBD", 3);
        at += part;
    }
    return rc < 0 ? rc : (int64_t)at;
}

int sq_js_decode_utf8(const uint8_t *in, size_t len, struct sq_buf *out)
{
    int64_t rc = decode(in, len, false, false, out);

    return rc < 0 ? (int)rc : 0;
}

/* ---- TextEncoder ---- */

static JSValue new_object(JSContext *ctx, JSValueConst new_target, JSClassID class_id)
{
    JSValue proto = JS_GetPropertyStr(ctx, new_target, "prototype");

    if (JS_IsException(proto))
        return proto;
    JSValue object = JS_IsObject(proto) ? JS_NewObjectProtoClass(ctx, proto, class_id)
                                        : JS_NewObjectClass(ctx, (int)class_id);
    JS_FreeValue(ctx, proto);
    return object;
}

static JSValue encoder_new(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    (void)argc, (void)argv;
    return new_object(ctx, new_target, encoder_class);
}

/* The engine writes lone surrogates as ED A0..BF xx, three bytes like U+FFFD. */
static void replace_surrogates(uint8_t *text, size_t len)
{
    for (size_t i = 0; i + 2 < len; i++)
        if (text[i] == 0xED && text[i + 1] >= 0xA0)
            memcpy(text + i, "\xEF\xBF\xBD", 3);
}

static JSValue encoder_encode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t len = 0;

    (void)this_val, (void)argc;
    const char *text = JS_IsUndefined(argv[0]) ? NULL : JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text && JS_HasException(ctx))
        return JS_EXCEPTION;
    JSValue buffer = JS_NewArrayBufferCopy(ctx, (const uint8_t *)(text ? text : ""), len);
    JS_FreeCString(ctx, text);
    if (JS_IsException(buffer))
        return buffer;
    size_t size;
    uint8_t *bytes = JS_GetArrayBuffer(ctx, &size, buffer);
    if (bytes)
        replace_surrogates(bytes, size);
    JSValueConst args[] = {buffer, JS_UNDEFINED, JS_UNDEFINED}; /* from its start, all of it */
    JSValue result = JS_NewTypedArray(ctx, SQ_COUNT(args), args, JS_TYPED_ARRAY_UINT8);
    JS_FreeValue(ctx, buffer);
    return result;
}

/* Whole characters as far as they fit; `read` counts UTF-16 units. */
static JSValue encoder_encode_into(JSContext *ctx, JSValueConst this_val, int argc,
                                   JSValueConst *argv)
{
    size_t len, room, offset, item = 0, done = 0;
    uint32_t units = 0;

    (void)this_val, (void)argc;
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    uint8_t *out = (uint8_t *)sq_js_bytes(ctx, argv[1], &room);
    if (!out || sq_js_is_array_buffer(ctx, argv[1])) {
        JS_FreeCString(ctx, text);
        return JS_ThrowTypeError(ctx, "encodeInto(): the second argument must be a Uint8Array");
    }
    JS_FreeValue(ctx, JS_GetTypedArrayBuffer(ctx, argv[1], &offset, &room, &item));
    while (done < len) {
        uint8_t c = (uint8_t)text[done];
        size_t part = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (done + part > len || done + part > room)
            break;
        memcpy(out + done, text + done, part);
        replace_surrogates(out + done, part);
        done += part;
        units += part == 4 ? 2 : 1;
    }
    JS_FreeCString(ctx, text);
    JSValue result = JS_NewObject(ctx);
    JS_DefinePropertyValueStr(ctx, result, "read", JS_NewUint32(ctx, units), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, result, "written", JS_NewInt64(ctx, (int64_t)done),
                              JS_PROP_C_W_E);
    return result;
}

static JSValue get_encoding(JSContext *ctx, JSValueConst this_val)
{
    (void)this_val;
    return JS_NewString(ctx, "utf-8");
}

/* ---- TextDecoder ---- */

static void decoder_finalizer(JSRuntime *rt, JSValue value)
{
    js_free_rt(rt, JS_GetOpaque(value, decoder_class));
}

static bool is_utf8_label(const char *label, size_t len)
{
    static const char *const labels[] = {"utf-8",         "utf8",          "unicode-1-1-utf-8",
                                         "unicode11utf8", "unicode20utf8", "x-unicode20utf8"};

    while (len && strchr("\t\n\f\r ", *label))
        label++, len--;
    while (len && strchr("\t\n\f\r ", label[len - 1]))
        len--;
    for (size_t i = 0; i < SQ_COUNT(labels); i++)
        if (sq_ascii_eq_nocase(sq_slice(label, len), sq_slice_str(labels[i])))
            return true;
    return false;
}

/* -1: an exception is pending. */
static int flag(JSContext *ctx, JSValueConst options, const char *name)
{
    if (!JS_IsObject(options))
        return 0;
    JSValue value = JS_GetPropertyStr(ctx, options, name);
    int result = JS_IsException(value) ? -1 : JS_ToBool(ctx, value);

    JS_FreeValue(ctx, value);
    return result;
}

static JSValue decoder_new(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    int fatal = 0, ignore_bom = 0;

    if (argc > 0 && !JS_IsUndefined(argv[0])) {
        size_t len;
        const char *label = JS_ToCStringLen(ctx, &len, argv[0]);
        if (!label)
            return JS_EXCEPTION;
        bool known = is_utf8_label(label, len);
        if (!known)
            JS_ThrowRangeError(ctx, "TextDecoder: the encoding '%s' is not supported, utf-8 is",
                               label);
        JS_FreeCString(ctx, label);
        if (!known)
            return JS_EXCEPTION;
    }
    if (argc > 1 && ((fatal = flag(ctx, argv[1], "fatal")) < 0 ||
                     (ignore_bom = flag(ctx, argv[1], "ignoreBOM")) < 0))
        return JS_EXCEPTION;
    JSValue object = new_object(ctx, new_target, decoder_class);
    if (JS_IsException(object))
        return object;
    struct decoder *d = js_mallocz(ctx, sizeof *d);
    if (!d) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    d->fatal = fatal;
    d->ignore_bom = ignore_bom;
    JS_SetOpaque(object, d);
    return object;
}

/* Decodes one chunk: what was pending, then the input. 0 or negative as decode(). */
static int decode_chunk(struct decoder *d, struct sq_slice in, bool more, struct sq_buf *out)
{
    struct sq_buf joined = {0};
    int rc = 0;

    if (d->pending_len) {
        rc = sq_buf_append(&joined, d->pending, d->pending_len);
        if (rc == 0 && in.len)
            rc = sq_buf_append(&joined, in.data, in.len);
        in = sq_buf_slice(&joined);
    }
    d->pending_len = 0;
    int64_t used = rc < 0 ? rc : decode(in.data, in.len, more, d->fatal, out);
    if (used >= 0 && (size_t)used < in.len) {
        d->pending_len = (uint8_t)(in.len - (size_t)used);
        memcpy(d->pending, in.data + used, d->pending_len);
    }
    sq_buf_deinit(&joined);
    return used < 0 ? (int)used : 0;
}

static JSValue decoder_decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct decoder *d = JS_GetOpaque2(ctx, this_val, decoder_class);
    struct sq_slice in = {(const uint8_t *)"", 0};
    struct sq_buf out = {0};
    size_t skip = 0;

    (void)argc;
    if (!d)
        return JS_EXCEPTION;
    int more = flag(ctx, argv[1], "stream");
    if (more < 0)
        return JS_EXCEPTION;
    if (!JS_IsUndefined(argv[0]) && !(in.data = sq_js_bytes(ctx, argv[0], &in.len)))
        return JS_HasException(ctx)
                   ? JS_EXCEPTION
                   : JS_ThrowTypeError(ctx, "decode() needs an ArrayBuffer or a view of one");
    int rc = decode_chunk(d, in, more, &out);
    if (rc == 0 && !d->bom_seen && out.len) {
        if (!d->ignore_bom && out.len >= 3 && memcmp(out.data, "\xEF\xBB\xBF", 3) == 0)
            skip = 3;
        d->bom_seen = true;
    }
    if (!more || rc < 0)
        d->bom_seen = false;
    JSValue result = rc == SQ_EUTF8 ? JS_ThrowTypeError(ctx, "the data is not valid UTF-8")
                     : rc < 0       ? JS_ThrowOutOfMemory(ctx)
                              : JS_NewStringLen(ctx, sq_buf_cstr(&out) + skip, out.len - skip);
    sq_buf_deinit(&out);
    return result;
}

static JSValue get_flag(JSContext *ctx, JSValueConst this_val, int ignore_bom)
{
    const struct decoder *d = JS_GetOpaque2(ctx, this_val, decoder_class);

    return d ? JS_NewBool(ctx, ignore_bom ? d->ignore_bom : d->fatal) : JS_EXCEPTION;
}

/* ---- registration ---- */

static const JSCFunctionListEntry encoder_methods[] = {
    JS_CFUNC_DEF("encode", 1, encoder_encode),
    JS_CFUNC_DEF("encodeInto", 2, encoder_encode_into),
    JS_CGETSET_DEF("encoding", get_encoding, NULL),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "TextEncoder", JS_PROP_CONFIGURABLE),
};

static const JSCFunctionListEntry decoder_methods[] = {
    JS_CFUNC_DEF("decode", 2, decoder_decode),
    JS_CGETSET_DEF("encoding", get_encoding, NULL),
    JS_CGETSET_MAGIC_DEF("fatal", get_flag, NULL, 0),
    JS_CGETSET_MAGIC_DEF("ignoreBOM", get_flag, NULL, 1),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "TextDecoder", JS_PROP_CONFIGURABLE),
};

void sq_js_text_coding_class_ids(void)
{
    JS_NewClassID(&encoder_class);
    JS_NewClassID(&decoder_class);
}

static void add_class(JSContext *ctx, JSValueConst global, const char *name, JSCFunction *construct,
                      JSValue proto)
{
    JSValue fn = JS_NewCFunction2(ctx, construct, name, 0, JS_CFUNC_constructor, 0);

    JS_SetConstructor(ctx, fn, proto);
    JS_DefinePropertyValueStr(ctx, global, name, fn, JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
}

void sq_js_text_coding_globals(JSContext *ctx, JSValueConst global)
{
    static const JSClassDef encoder = {.class_name = "TextEncoder"};
    static const JSClassDef decoder = {"TextDecoder", .finalizer = decoder_finalizer};
    JSRuntime *rt = JS_GetRuntime(ctx);
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(rt, encoder_class, &encoder);
    JS_SetPropertyFunctionList(ctx, proto, encoder_methods, SQ_COUNT(encoder_methods));
    add_class(ctx, global, "TextEncoder", encoder_new, proto);
    JS_SetClassProto(ctx, encoder_class, proto);
    proto = JS_NewObject(ctx);
    JS_NewClass(rt, decoder_class, &decoder);
    JS_SetPropertyFunctionList(ctx, proto, decoder_methods, SQ_COUNT(decoder_methods));
    add_class(ctx, global, "TextDecoder", decoder_new, proto);
    JS_SetClassProto(ctx, decoder_class, proto);
}
