/* SPDX-License-Identifier: Apache-2.0 */
/* k6/encoding: b64encode, b64decode (MOD-50). Examples: docs/api/k6-encoding.md
 * Alphabets and padding are those of RFC 4648; as in k6, line ends in the input of a decoder are
 * skipped and unused bits of the last character are not looked at. */
#include <stdlib.h>

#include "base/buf.h"
#include "js/modules/modules.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const uint8_t *in, size_t len, unsigned variant, char *out)
{
    const char *alphabet = variant & SQ_BASE64_URL ? url_safe : standard;
    char *p = out;

    for (size_t i = 0; i < len; i += 3) {
        size_t left = SQ_MIN(len - i, (size_t)3);
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            if (k <= left)
                *p++ = alphabet[bits >> (18 - 6 * k) & 63];
            else if (!(variant & SQ_BASE64_RAW))
                *p++ = '=';
    }
    return (size_t)(p - out);
}

JSValue sq_k6_base64(JSContext *ctx, const uint8_t *data, size_t len, unsigned variant)
{
    if (len > SIZE_MAX / 2)
        return JS_ThrowOutOfMemory(ctx);
    char *text = js_malloc(ctx, 4 * ((len + 2) / 3) + 1);
    if (!text)
        return JS_EXCEPTION;
    JSValue result = JS_NewStringLen(ctx, text, encode(data, len, variant, text));
    js_free(ctx, text);
    return result;
}

static int value_of(char c, const char *alphabet)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

/* Bytes written to `out`, or -1 - (index of the first byte that is wrong). */
static int64_t decode(const char *in, size_t len, unsigned variant, uint8_t *out)
{
    const char *alphabet = variant & SQ_BASE64_URL ? url_safe : standard;
    uint32_t bits = 0;
    unsigned have = 0, padding = 0;
    int64_t written = 0;

    for (size_t i = 0; i < len; i++) {
        if (in[i] == '\r' || in[i] == '\n')
            continue;
        int value = value_of(in[i], alphabet);
        if (in[i] == '=' && !(variant & SQ_BASE64_RAW) && have >= 2 && have + padding < 4) {
            padding++;
        } else if (value < 0 || padding) {
            return -1 - (int64_t)i;
        } else {
            bits = bits << 6 | (uint32_t)value;
            have++;
        }
        if (have == 4) {
            for (int shift = 16; shift >= 0; shift -= 8)
                out[written++] = (uint8_t)(bits >> shift);
            have = 0;
        }
    }
    bool complete = variant & SQ_BASE64_RAW ? have != 1 : have == 0 || have + padding == 4;
    if (!complete)
        return -1 - (int64_t)len;
    if (have >= 2)
        out[written++] = (uint8_t)(bits >> (have * 6 - 8));
    if (have == 3)
        out[written++] = (uint8_t)(bits >> 2);
    return written;
}

int sq_js_input_init(JSContext *ctx, JSValueConst value, struct sq_js_input *in)
{
    size_t offset, item = 0;

    *in = (struct sq_js_input){.data = (const uint8_t *)""};
    if (JS_IsString(value)) {
        in->text = JS_ToCStringLen(ctx, &in->len, value);
        in->data = (const uint8_t *)in->text;
        return in->text ? 0 : -1;
    }
    const uint8_t *bytes = sq_js_bytes(ctx, value, &in->len);
    if (bytes && !sq_js_is_array_buffer(ctx, value)) {
        JS_FreeValue(ctx, JS_GetTypedArrayBuffer(ctx, value, &offset, &in->len, &item));
        if (item != 1)
            bytes = NULL;
    }
    if (bytes) {
        in->data = bytes;
        return 0;
    }
    if (JS_HasException(ctx))
        return -1;
    char *name = sq_js_type_name(ctx, value);
    sq_js_throw(ctx, "invalid type %s, expected a string, an ArrayBuffer or a Uint8Array", name);
    free(name);
    return -1;
}

void sq_js_input_deinit(JSContext *ctx, struct sq_js_input *in)
{
    JS_FreeCString(ctx, in->text);
}

/* Unknown names mean `std`, as does no name. -1: an exception is pending. */
static int variant_of(JSContext *ctx, JSValueConst value)
{
    static const struct {
        const char *name;
        int variant;
    } names[] = {
        {"rawstd", SQ_BASE64_RAW},
        {"url", SQ_BASE64_URL},
        {"rawurl", SQ_BASE64_URL | SQ_BASE64_RAW},
    };
    int variant = 0;
    const char *name = JS_ToCString(ctx, value);

    if (!name)
        return -1;
    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (strcmp(names[i].name, name) == 0)
            variant = names[i].variant;
    JS_FreeCString(ctx, name);
    return variant;
}

static JSValue b64encode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_js_input in;

    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    int variant = variant_of(ctx, argv[1]);
    if (variant < 0 || sq_js_input_init(ctx, argv[0], &in) < 0)
        return JS_EXCEPTION;
    JSValue result = sq_k6_base64(ctx, in.data, in.len, (unsigned)variant);
    sq_js_input_deinit(ctx, &in);
    return result;
}

static void free_bytes(JSRuntime *rt, void *opaque, void *bytes)
{
    (void)opaque;
    js_free_rt(rt, bytes);
}

static JSValue decoded(JSContext *ctx, uint8_t *bytes, size_t len, bool as_string)
{
    struct sq_buf text = {0};

    if (!as_string)
        return JS_NewArrayBuffer(ctx, bytes, len, free_bytes, NULL, false);
    int rc = sq_js_decode_utf8(bytes, len, &text);
    JSValue result =
        rc < 0 ? JS_ThrowOutOfMemory(ctx) : JS_NewStringLen(ctx, sq_buf_cstr(&text), text.len);
    sq_buf_deinit(&text);
    js_free(ctx, bytes);
    return result;
}

static bool wants_string(JSContext *ctx, JSValueConst format)
{
    const char *text = JS_IsString(format) ? JS_ToCString(ctx, format) : NULL;
    bool wants = text && strcmp(text, "s") == 0;

    JS_FreeCString(ctx, text);
    return wants;
}

static JSValue b64decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t len = 0;
    JSValue result = JS_EXCEPTION;

    (void)this_val, (void)argc;
    int variant = variant_of(ctx, argv[1]);
    if (variant < 0)
        return JS_EXCEPTION;
    const char *text = JS_IsUndefined(argv[0]) ? NULL : JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text && JS_HasException(ctx))
        return JS_EXCEPTION;
    uint8_t *bytes = js_malloc(ctx, len / 4 * 3 + 4);
    if (bytes) {
        int64_t written = decode(text, len, (unsigned)variant, bytes);
        if (written >= 0) {
            result = decoded(ctx, bytes, (size_t)written, wants_string(ctx, argv[2]));
        } else {
            js_free(ctx, bytes);
            result = sq_js_throw(ctx, "illegal base64 data at input byte %lld",
                                 (long long)(-1 - written));
        }
    }
    JS_FreeCString(ctx, text);
    return result;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("b64encode", 2, b64encode),
    JS_CFUNC_DEF("b64decode", 3, b64decode),
};

static int init(JSContext *ctx, JSModuleDef *m)
{
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"b64encode", "b64decode", "default", NULL};
const struct sq_js_builtin sq_k6_encoding = {"k6/encoding", init, exports};
