/* SPDX-License-Identifier: Apache-2.0 */
/* atob and btoa (HTML 8.3): base64 of "binary strings", whose characters are bytes. */
#include <stdlib.h>

#include "base/buf.h"
#include "js/dom/dom.h"
#include "js/instance.h"

static JSValue throw_character(JSContext *ctx, const char *text)
{
    return sq_dom_throw(ctx, "InvalidCharacterError", "%s", text);
}

static JSValue btoa_text(JSContext *ctx, const char *text, size_t len)
{
    struct sq_buf bytes = {0};
    const uint8_t *p = (const uint8_t *)text;
    bool ok = true;

    for (size_t i = 0; i < len && ok; i++) {
        if (p[i] >= 0x80) {
            ok = (p[i] == 0xC2 || p[i] == 0xC3) && i + 1 < len;
            if (ok) {
                sq_buf_putc(&bytes, (char)((p[i] & 3) << 6 | (p[i + 1] & 63)));
                i++;
            }
        } else {
            sq_buf_putc(&bytes, (char)p[i]);
        }
    }
    JSValue result =
        ok ? sq_k6_base64(ctx, bytes.data, bytes.len, 0)
           : throw_character(ctx, "btoa: the text has characters beyond one byte (U+00FF)");
    sq_buf_deinit(&bytes);
    return result;
}

static JSValue js_btoa(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t len;

    (void)this_val;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "btoa() needs a text");
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    JSValue result = btoa_text(ctx, text, len);
    JS_FreeCString(ctx, text);
    return result;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Infra 7, forgiving-base64 decode: bytes appended as UTF-8. False: it is none. */
static bool decode(const char *text, size_t len, struct sq_buf *out)
{
    uint32_t bits = 0, have = 0;
    size_t characters = 0, padding = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] && strchr(" \t\n\f\r", text[i]))
            continue;
        int value = value_of(text[i]);
        if (text[i] == '=' && ++padding <= 2)
            continue;
        if (value < 0 || padding)
            return false;
        characters++;
        bits = bits << 6 | (uint32_t)value;
        if ((have += 6) < 8)
            continue;
        uint8_t byte = (uint8_t)(bits >> (have -= 8));
        if (byte >= 0x80)
            sq_buf_putc(out, (char)(0xC0 | byte >> 6));
        sq_buf_putc(out, (char)(byte >= 0x80 ? 0x80 | (byte & 63) : byte));
    }
    return characters % 4 != 1 && (!padding || (characters + padding) % 4 == 0);
}

static JSValue js_atob(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_buf out = {0};
    size_t len;

    (void)this_val;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "atob() needs a text");
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    JSValue result = decode(text, len, &out) ? JS_NewStringLen(ctx, sq_buf_cstr(&out), out.len)
                                             : throw_character(ctx, "atob: the text is not base64");
    JS_FreeCString(ctx, text);
    sq_buf_deinit(&out);
    return result;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("atob", 1, js_atob),
    JS_CFUNC_DEF("btoa", 1, js_btoa),
};

void sq_js_base64_globals(JSContext *ctx, JSValueConst global)
{
    JS_SetPropertyFunctionList(ctx, global, functions, SQ_COUNT(functions));
}
