/* SPDX-License-Identifier: Apache-2.0 */
/* What setup() returned, as JSON for the VUs (ENG-37). Not what JSON.stringify makes of it: k6
 * takes the value out of its engine first, so that a Map is an array of pairs, bytes are base64,
 * undefined is null, and what has no such form is an error instead of being left out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "js/instance.h"
#include "js/modules/modules.h"

/* RFC 3339 in UTC; the fraction only if there is one. */
static JSValue date_text(JSContext *ctx, JSValueConst date)
{
    double ms;
    char text[64], fraction[8] = "";
    struct tm tm;

    if (JS_ToFloat64(ctx, &ms, date) < 0)
        return JS_EXCEPTION;
    time_t seconds = (time_t)floor(ms / 1000);
    int rest = (int)(ms - (double)seconds * 1000);
    if (!isfinite(ms) || !gmtime_r(&seconds, &tm) || tm.tm_year + 1900 < 0 ||
        tm.tm_year + 1900 > 9999)
        return JS_ThrowRangeError(ctx, "a Date outside of the years 0 to 9999");
    if (rest) {
        int len = snprintf(fraction, sizeof fraction, ".%03d", rest);
        while (fraction[len - 1] == '0')
            fraction[--len] = '\0';
    }
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
    return JS_NewString(ctx, text);
}

/* Array.from(value) */
static JSValue array_of(JSContext *ctx, JSValueConst value)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue class = JS_GetPropertyStr(ctx, global, "Array");
    JSAtom name = JS_NewAtom(ctx, "from");
    JSValue result = JS_Invoke(ctx, class, name, 1, &value);

    JS_FreeAtom(ctx, name);
    JS_FreeValue(ctx, class);
    JS_FreeValue(ctx, global);
    return result;
}

static JSValue big_number(JSContext *ctx, JSValueConst value)
{
    JSValue text = JS_ToString(ctx, value);
    double number;

    if (JS_IsException(text) || JS_ToFloat64(ctx, &number, text) < 0) {
        JS_FreeValue(ctx, text);
        return JS_EXCEPTION;
    }
    JS_FreeValue(ctx, text);
    return JS_NewFloat64(ctx, number);
}

static JSValue convert_object(JSContext *ctx, JSValueConst value)
{
    size_t len;
    const uint8_t *bytes;

    if (JS_IsFunction(ctx, value))
        return JS_ThrowTypeError(ctx, "a function");
    switch (sq_js_kind(value)) {
    case SQ_JS_DATE:
        return date_text(ctx, value);
    case SQ_JS_COLLECTION:
    case SQ_JS_NUMBERS:
        return array_of(ctx, value);
    case SQ_JS_BYTES:
        bytes = sq_js_bytes(ctx, value, &len);
        return sq_k6_base64(ctx, bytes, bytes ? len : 0, 0);
    default:
        return JS_DupValue(ctx, value);
    }
}

/* The replacer of JSON.stringify: `this` holds the value before toJSON() was asked. */
static JSValue replace(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)argc; /* the engine passes two */
    double number;

    if (JS_IsUndefined(argv[1]) || JS_IsSymbol(argv[1]))
        return JS_NULL;
    if (JS_IsBigInt(ctx, argv[1]))
        return big_number(ctx, argv[1]);
    if (JS_IsNumber(argv[1])) {
        JS_ToFloat64(ctx, &number, argv[1]);
        return isfinite(number)
                   ? JS_DupValue(ctx, argv[1])
                   : JS_ThrowTypeError(ctx, "the number %s", isnan(number) ? "NaN" : "Infinity");
    }
    JSAtom key = JS_ValueToAtom(ctx, argv[0]);
    JSValue original = JS_GetProperty(ctx, this_val, key), result = JS_EXCEPTION;
    JS_FreeAtom(ctx, key);
    if (JS_IsObject(original) && sq_js_kind(original) == SQ_JS_DATE)
        result = date_text(ctx, original);
    else if (!JS_IsException(original))
        result = JS_IsObject(argv[1]) ? convert_object(ctx, argv[1]) : JS_DupValue(ctx, argv[1]);
    JS_FreeValue(ctx, original);
    return result;
}

char *sq_js_data_json(JSContext *ctx, JSValueConst value, struct sq_error *err)
{
    JSValue replacer = JS_NewCFunction(ctx, replace, "", 2);
    JSValue json = JS_JSONStringify(ctx, value, replacer, JS_UNDEFINED);
    const char *text = JS_IsString(json) ? JS_ToCString(ctx, json) : NULL;
    char *copy = text ? sq_xstrdup(text) : NULL;

    if (!copy) {
        JSValue exception = JS_GetException(ctx);
        JSValue message = JS_GetPropertyStr(ctx, exception, "message");
        const char *why = JS_ToCString(ctx, message);
        sq_error_set(err, SQ_EINVALID, "%s", why ? why : "not a plain value");
        JS_FreeCString(ctx, why);
        JS_FreeValue(ctx, message);
        JS_FreeValue(ctx, exception);
    }
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, json);
    JS_FreeValue(ctx, replacer);
    return copy;
}
