/* SPDX-License-Identifier: Apache-2.0 */
/* TextEncoder and TextDecoder (MOD-21), WHATWG Encoding, for UTF-8, UTF-16 and windows-1252, which
 * is what latin1 and ascii mean there; other labels are a RangeError. One of each class per realm;
 * objects hold their own state. */
#include <stdlib.h>

#include "base/text.h"
#include "js/modules/modules.h"

static JSClassID encoder_class, decoder_class;

enum encoding { UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1252 };
static const char *const encodings[] = {"utf-8", "utf-16le", "utf-16be", "windows-1252"};

struct decoder {
    enum encoding encoding;
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

/* ---- other encodings ---- */

static int put_point(struct sq_buf *out, uint32_t c)
{
    uint8_t bytes[4];
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = len; i-- > 1; c >>= 6)
        bytes[i] = 0x80 | (c & 0x3F);
    bytes[0] = (uint8_t)(leads[len] | c);
    return sq_buf_append(out, bytes, len);
}

static uint32_t unit_at(const uint8_t *in, bool big)
{
    return big ? (uint32_t)in[0] << 8 | in[1] : (uint32_t)in[1] << 8 | in[0];
}

/* As decode(). */
static int64_t decode_utf16(const uint8_t *in, size_t len, bool big, bool more, bool fatal,
                            struct sq_buf *out)
{
    size_t at = 0;
    int rc = 0;

    while (at + 2 <= len && rc == 0) {
        uint32_t c = unit_at(in + at, big);
        size_t part = 2;
        if ((c & 0xFC00) == 0xD800 && len - at < 4) {
            if (more)
                break;       /* its other half is to come */
            part = len - at; /* what is there of both is one error */
        }
        if ((c & 0xFC00) == 0xD800 && len - at >= 4 &&
            (unit_at(in + at + 2, big) & 0xFC00) == 0xDC00) {
            c = 0x10000 + ((c & 0x3FF) << 10) + (unit_at(in + at + 2, big) & 0x3FF);
            part = 4;
        }
        if ((c & 0xFFFFF800) == 0xD800) {
            if (fatal)
                return SQ_EUTF8;
            c = 0xFFFD;
        }
        rc = put_point(out, c);
        at += part;
    }
    if (rc == 0 && at < len && !more) { /* half a unit */
        if (fatal)
            return SQ_EUTF8;
        rc = put_point(out, 0xFFFD);
        at = len;
    }
    return rc < 0 ? rc : (int64_t)at;
}

static int64_t decode_windows_1252(const uint8_t *in, size_t len, struct sq_buf *out)
{
    static const uint16_t upper[32] = {
        0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
        0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
    int rc = 0;

    for (size_t i = 0; i < len && rc == 0; i++)
        rc = put_point(out, in[i] >= 0x80 && in[i] < 0xA0 ? upper[in[i] - 0x80] : in[i]);
    return rc < 0 ? rc : (int64_t)len;
}

static int64_t decode_as(const struct decoder *d, struct sq_slice in, bool more, struct sq_buf *out)
{
    switch (d->encoding) {
    case UTF_16LE:
    case UTF_16BE:
        return decode_utf16(in.data, in.len, d->encoding == UTF_16BE, more, d->fatal, out);
    case WINDOWS_1252:
        return decode_windows_1252(in.data, in.len, out);
    default:
        return decode(in.data, in.len, more, d->fatal, out);
    }
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
        sq_js_replace_surrogates((char *)bytes, size);
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
        sq_js_replace_surrogates((char *)out + done, part);
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

/* -1: none of ours. */
static int encoding_of(const char *label, size_t len)
{
    static const struct {
        const char *label;
        enum encoding encoding;
    } labels[] = {
        {"utf-8", UTF_8},
        {"utf8", UTF_8},
        {"unicode-1-1-utf-8", UTF_8},
        {"unicode11utf8", UTF_8},
        {"unicode20utf8", UTF_8},
        {"x-unicode20utf8", UTF_8},
        {"utf-16", UTF_16LE},
        {"utf-16le", UTF_16LE},
        {"csunicode", UTF_16LE},
        {"iso-10646-ucs-2", UTF_16LE},
        {"ucs-2", UTF_16LE},
        {"unicode", UTF_16LE},
        {"unicodefeff", UTF_16LE},
        {"utf-16be", UTF_16BE},
        {"unicodefffe", UTF_16BE},
        {"windows-1252", WINDOWS_1252},
        {"ansi_x3.4-1968", WINDOWS_1252},
        {"ascii", WINDOWS_1252},
        {"cp1252", WINDOWS_1252},
        {"cp819", WINDOWS_1252},
        {"csisolatin1", WINDOWS_1252},
        {"ibm819", WINDOWS_1252},
        {"iso-8859-1", WINDOWS_1252},
        {"iso-ir-100", WINDOWS_1252},
        {"iso8859-1", WINDOWS_1252},
        {"iso88591", WINDOWS_1252},
        {"iso_8859-1", WINDOWS_1252},
        {"iso_8859-1:1987", WINDOWS_1252},
        {"l1", WINDOWS_1252},
        {"latin1", WINDOWS_1252},
        {"us-ascii", WINDOWS_1252},
        {"x-cp1252", WINDOWS_1252},
    };

    while (len && strchr("\t\n\f\r ", *label))
        label++, len--;
    while (len && strchr("\t\n\f\r ", label[len - 1]))
        len--;
    for (size_t i = 0; i < SQ_COUNT(labels); i++)
        if (sq_ascii_eq_nocase(sq_slice(label, len), sq_slice_str(labels[i].label)))
            return (int)labels[i].encoding;
    return -1;
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
    int fatal = 0, ignore_bom = 0, encoding = UTF_8;

    if (argc > 0 && !JS_IsUndefined(argv[0])) {
        size_t len;
        const char *label = JS_ToCStringLen(ctx, &len, argv[0]);
        if (!label)
            return JS_EXCEPTION;
        encoding = encoding_of(label, len);
        if (encoding < 0)
            JS_ThrowRangeError(ctx,
                               "TextDecoder: the encoding '%s' is not supported; utf-8, utf-16le, "
                               "utf-16be and windows-1252 are",
                               label);
        JS_FreeCString(ctx, label);
        if (encoding < 0)
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
    d->encoding = (enum encoding)encoding;
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
    int64_t used = rc < 0 ? rc : decode_as(d, in, more, out);
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
    JSValue result =
        rc == SQ_EUTF8 ? JS_ThrowTypeError(ctx, "the data is not valid %s", encodings[d->encoding])
        : rc < 0       ? JS_ThrowOutOfMemory(ctx)
                       : JS_NewStringLen(ctx, sq_buf_cstr(&out) + skip, out.len - skip);
    sq_buf_deinit(&out);
    return result;
}

static JSValue get_decoder_encoding(JSContext *ctx, JSValueConst this_val)
{
    const struct decoder *d = JS_GetOpaque2(ctx, this_val, decoder_class);

    return d ? JS_NewString(ctx, encodings[d->encoding]) : JS_EXCEPTION;
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
    JS_CGETSET_DEF("encoding", get_decoder_encoding, NULL),
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
