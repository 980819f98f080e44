/* SPDX-License-Identifier: Apache-2.0 */
/* console: log, info, warn, error, debug, with k6's rendering of arguments (ENG-220, ENG-221). */
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "js/instance.h"
#include "js/modules/modules.h"

enum { DEPTH_MAX = 32 };

struct renderer {
    JSContext *ctx;
    struct sq_buf *out;
    void *path[DEPTH_MAX]; /* objects being rendered, for cycles */
    int depth;
};

static void render(struct renderer *r, JSValueConst value, bool top);

static void put_text(struct renderer *r, JSValueConst value)
{
    size_t len;
    const char *text = sq_js_text(r->ctx, value, &len);

    if (!text) {
        JS_FreeValue(r->ctx, JS_GetException(r->ctx));
        return;
    }
    sq_buf_put(r->out, text, len);
    JS_FreeCString(r->ctx, text);
}

static void put_bytes(struct renderer *r, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sq_buf_printf(r->out, "%s%02x", i ? " " : "", bytes[i]);
}

static void render_list(struct renderer *r, JSValueConst value)
{
    int64_t len = 0;
    JSValue length = JS_GetPropertyStr(r->ctx, value, "length");

    JS_ToInt64(r->ctx, &len, length);
    JS_FreeValue(r->ctx, length);
    if (len == 0) {
        sq_buf_puts(r->out, "[]");
        return;
    }
    sq_buf_puts(r->out, "[ ");
    for (int64_t i = 0; i < len; i++) {
        JSValue item = JS_GetPropertyUint32(r->ctx, value, (uint32_t)i);
        if (i)
            sq_buf_puts(r->out, ", ");
        render(r, item, false);
        JS_FreeValue(r->ctx, item);
    }
    sq_buf_puts(r->out, " ]");
}

struct property_writer {
    struct renderer *r;
    bool any;
};

static int put_property(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct property_writer *w = user;

    (void)ctx;
    sq_buf_printf(w->r->out, "%s%s: ", w->any ? ", " : "{ ", key);
    w->any = true;
    render(w->r, value, false);
    return 0;
}

static void render_properties(struct renderer *r, JSValueConst value)
{
    struct property_writer w = {r, false};

    if (sq_js_each_key(r->ctx, value, put_property, &w) < 0)
        JS_FreeValue(r->ctx, JS_GetException(r->ctx));
    sq_buf_puts(r->out, w.any ? " }" : "{}");
}

static void render_date(struct renderer *r, JSValueConst value)
{
    JSAtom atom = JS_NewAtom(r->ctx, "toISOString");
    JSValue text = JS_Invoke(r->ctx, value, atom, 0, NULL);

    JS_FreeAtom(r->ctx, atom);
    if (JS_IsException(text)) {
        JS_FreeValue(r->ctx, JS_GetException(r->ctx));
        sq_buf_puts(r->out, "null");
        return;
    }
    sq_buf_putc(r->out, '"');
    put_text(r, text);
    sq_buf_putc(r->out, '"');
    JS_FreeValue(r->ctx, text);
}

static void render_object(struct renderer *r, JSValueConst value)
{
    size_t len;

    if (JS_IsFunction(r->ctx, value)) {
        sq_buf_puts(r->out, "[object Function]");
    } else if (JS_IsError(r->ctx, value)) {
        put_text(r, value);
    } else if (JS_IsArray(r->ctx, value) > 0) {
        render_list(r, value);
    } else if (sq_js_is_array_buffer(r->ctx, value)) {
        const uint8_t *bytes = JS_GetArrayBuffer(r->ctx, &len, value);
        sq_buf_puts(r->out, "ArrayBuffer { [Uint8Contents]: <");
        put_bytes(r, bytes, bytes ? len : 0);
        sq_buf_printf(r->out, ">, byteLength: %zu }", bytes ? len : 0);
    } else {
        char *name = sq_js_type_name(r->ctx, value);
        if (strcmp(name, "Date") == 0) {
            render_date(r, value);
        } else if (sq_js_bytes(r->ctx, value, &len)) {
            JSValue length = JS_GetPropertyStr(r->ctx, value, "length");
            sq_buf_puts(r->out, name);
            sq_buf_putc(r->out, '(');
            put_text(r, length);
            sq_buf_puts(r->out, ") ");
            JS_FreeValue(r->ctx, length);
            render_list(r, value);
        } else if (sq_k6_ws_is_error(value)) {
            put_text(r, value);
        } else {
            JSValue shown = sq_dom_shown(r->ctx, value);
            render_properties(r, JS_IsUndefined(shown) ? value : shown);
            JS_FreeValue(r->ctx, shown);
        }
        free(name);
    }
}

static void render(struct renderer *r, JSValueConst value, bool top)
{
    double number;

    if (JS_IsString(value)) {
        if (!top)
            sq_buf_putc(r->out, '"');
        put_text(r, value);
        if (!top)
            sq_buf_putc(r->out, '"');
    } else if (JS_IsUndefined(value)) {
        sq_buf_puts(r->out, top ? "undefined" : "null");
    } else if (JS_IsNumber(value) && JS_ToFloat64(r->ctx, &number, value) == 0 && number == 0) {
        sq_buf_putc(r->out, '0');
    } else if (JS_IsObject(value)) {
        void *self = JS_VALUE_GET_PTR(value);
        for (int i = 0; i < r->depth; i++)
            if (r->path[i] == self) {
                sq_buf_puts(r->out, "[Circular]");
                return;
            }
        if (r->depth == DEPTH_MAX) {
            sq_buf_puts(r->out, "...");
            return;
        }
        r->path[r->depth++] = self;
        render_object(r, value);
        r->depth--;
    } else {
        put_text(r, value);
    }
}

void sq_js_render(JSContext *ctx, struct sq_buf *out, JSValueConst value)
{
    struct renderer r = {.ctx = ctx, .out = out};

    render(&r, value, true);
}

static JSValue write_line(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                          int level)
{
    struct sq_buf line = {0};

    (void)this_val;
    if ((enum sq_log_level)level < sq_log_level_now)
        return JS_UNDEFINED;
    for (int i = 0; i < argc; i++) {
        if (i)
            sq_buf_putc(&line, ' ');
        sq_js_render(ctx, &line, argv[i]);
    }
    sq_log_line((enum sq_log_level)level, (const char *)line.data, line.len, "console",
                sq_js_self(ctx)->cell->worker->bundle->console);
    sq_buf_deinit(&line);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_MAGIC_DEF("log", 0, write_line, SQ_LOG_INFO),
    JS_CFUNC_MAGIC_DEF("info", 0, write_line, SQ_LOG_INFO),
    JS_CFUNC_MAGIC_DEF("warn", 0, write_line, SQ_LOG_WARN),
    JS_CFUNC_MAGIC_DEF("error", 0, write_line, SQ_LOG_ERROR),
    JS_CFUNC_MAGIC_DEF("debug", 0, write_line, SQ_LOG_DEBUG),
};

void sq_js_console_globals(JSContext *ctx, JSValueConst global)
{
    JSValue console = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, console, functions, SQ_COUNT(functions));
    JS_DefinePropertyValueStr(ctx, global, "console", console,
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
}
