/* SPDX-License-Identifier: Apache-2.0 */
/* k6/http: Response.clickLink() and Response.submitForm(): requests that a page asks for (MOD-65).
 * What they look for is found by k6/html. */
#include <stdlib.h>

#include "base/text.h"
#include "js/http/k6_http.h"

/* Owned: JS_FreeValue. The option, or `fallback` when it is not given. */
static JSValue option(JSContext *ctx, JSValueConst options, const char *name, const char *fallback)
{
    JSValue value = JS_IsObject(options) ? JS_GetPropertyStr(ctx, options, name) : JS_UNDEFINED;

    if ((JS_IsUndefined(value) || JS_IsNull(value)) && fallback)
        return JS_NewString(ctx, fallback);
    return value;
}

static JSValue call_method(JSContext *ctx, JSValueConst object, const char *name, int argc,
                           JSValueConst *argv)
{
    JSAtom atom = JS_NewAtom(ctx, name);
    JSValue result = JS_Invoke(ctx, object, atom, argc, argv);

    JS_FreeAtom(ctx, atom);
    return result;
}

/* Owned: free. NULL: no such attribute, or an exception is pending. */
static char *attribute(JSContext *ctx, JSValueConst selection, const char *name)
{
    JSValue key = JS_NewString(ctx, name);
    JSValueConst args[] = {key};
    JSValue value = call_method(ctx, selection, "attr", 1, args);
    const char *text = JS_IsString(value) ? JS_ToCString(ctx, value) : NULL;
    char *copy = text ? sq_xstrdup(text) : NULL;

    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, value);
    JS_FreeValue(ctx, key);
    return copy;
}

/* What the selector finds in the page; an exception when that is nothing. */
static JSValue find_in_page(JSContext *ctx, JSValueConst response, JSValueConst selector)
{
    JSValue found = http_response_html(ctx, response, selector);
    int32_t count = 0;

    if (JS_IsException(found))
        return found;
    JSValue size = call_method(ctx, found, "size", 0, NULL);
    if (JS_ToInt32(ctx, &count, size) == 0 && count > 0)
        return found;
    if (!JS_HasException(ctx)) {
        const char *text = JS_ToCString(ctx, selector);
        sq_js_throw(ctx, "no element found for selector '%s' in the response", text ? text : "?");
        JS_FreeCString(ctx, text);
    }
    JS_FreeValue(ctx, found);
    return JS_EXCEPTION;
}

/* `reference` as seen from the page. Owned: free. NULL: an exception is pending. */
static char *join(JSContext *ctx, JSValueConst response, const char *reference)
{
    JSValue url = JS_GetPropertyStr(ctx, response, "url");
    const char *base = JS_ToCString(ctx, url);
    char *joined = base ? sq_http_url_join(base, reference) : NULL;

    if (base && !joined)
        sq_js_throw(ctx, "cannot follow '%s' from '%s': no address of http or https", reference,
                    base);
    JS_FreeCString(ctx, base);
    JS_FreeValue(ctx, url);
    return joined;
}

JSValue http_click_link(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue selector = option(ctx, argv[0], "selector", "a[href]");
    JSValue params = option(ctx, argv[0], "params", NULL);
    JSValue link = find_in_page(ctx, this_val, selector), result = JS_EXCEPTION;
    char *href = NULL, *url = NULL;

    (void)argc; /* the engine pads argv to the declared length */
    if (!JS_IsException(link)) {
        href = attribute(ctx, link, "href");
        if (!href && !JS_HasException(ctx))
            sq_js_throw(ctx, "the element that is to be clicked has no attribute 'href'");
        url = href ? join(ctx, this_val, href) : NULL;
    }
    if (url) {
        JSValue text = JS_NewString(ctx, url);
        result = http_request(ctx, "GET", text, JS_NULL, params);
        JS_FreeValue(ctx, text);
    }
    free(href);
    free(url);
    JS_FreeValue(ctx, link);
    JS_FreeValue(ctx, params);
    JS_FreeValue(ctx, selector);
    return result;
}

/* ---- submitForm ---- */

static int add_field(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    JSValueConst *fields = user;

    return JS_SetPropertyStr(ctx, *fields, key, JS_DupValue(ctx, value)) < 0 ? -1 : 0;
}

/* The name and value of the button that is pressed. -1: an exception is pending. */
static int add_button(JSContext *ctx, JSValueConst form, JSValueConst selector, JSValueConst fields)
{
    JSValue button = call_method(ctx, form, "find", 1, &selector);
    char *name = JS_IsException(button) ? NULL : attribute(ctx, button, "name");
    char *value = name ? attribute(ctx, button, "value") : NULL;
    int rc = JS_HasException(ctx) ? -1 : 0;

    if (value && JS_SetPropertyStr(ctx, fields, name, JS_NewString(ctx, value)) < 0)
        rc = -1;
    free(name);
    free(value);
    JS_FreeValue(ctx, button);
    return rc;
}

/* What is sent: the form's own fields, the button's, then the script's. */
static JSValue gather(JSContext *ctx, JSValueConst form, JSValueConst options)
{
    JSValue selector = option(ctx, options, "submitSelector", "[type=\"submit\"]");
    JSValue more = option(ctx, options, "fields", NULL);
    JSValue fields = call_method(ctx, form, "serializeObject", 0, NULL);
    JSValueConst target = fields;

    if (!JS_IsException(fields) && (add_button(ctx, form, selector, fields) < 0 ||
                                    sq_js_each_key(ctx, more, add_field, &target) != 0)) {
        JS_FreeValue(ctx, fields);
        fields = JS_EXCEPTION;
    }
    JS_FreeValue(ctx, selector);
    JS_FreeValue(ctx, more);
    return fields;
}

/* Consumes the URL. */
static JSValue send_by_get(JSContext *ctx, char *url, JSValueConst fields, JSValueConst params)
{
    struct sq_buf whole = {0}, query = {0};
    JSValue result = JS_EXCEPTION;

    if (http_form_text(ctx, fields, &query) == 0) {
        url[strcspn(url, "#")] = '\0';
        sq_buf_puts(&whole, url);
        if (query.len) {
            sq_buf_putc(&whole, strchr(url, '?') ? '&' : '?');
            sq_buf_put(&whole, query.data, query.len);
        }
        JSValue text = JS_NewString(ctx, sq_buf_cstr(&whole));
        result = http_request(ctx, "GET", text, JS_NULL, params);
        JS_FreeValue(ctx, text);
    }
    sq_buf_deinit(&whole);
    sq_buf_deinit(&query);
    free(url);
    return result;
}

static JSValue submit(JSContext *ctx, JSValueConst response, JSValueConst form,
                      JSValueConst options)
{
    JSValue params = option(ctx, options, "params", NULL), result = JS_EXCEPTION;
    JSValue fields = gather(ctx, form, options);
    char *method = JS_IsException(fields) ? NULL : attribute(ctx, form, "method");
    char *action = JS_IsException(fields) ? NULL : attribute(ctx, form, "action");
    char *url = JS_HasException(ctx) ? NULL : join(ctx, response, action ? action : "");

    if (url && method && sq_ascii_eq_nocase(sq_slice_str(method), sq_slice_str("post"))) {
        JSValue text = JS_NewString(ctx, url);
        result = http_request(ctx, "POST", text, fields, params);
        JS_FreeValue(ctx, text);
        free(url);
    } else if (url) {
        result = send_by_get(ctx, url, fields, params);
    }
    free(method);
    free(action);
    JS_FreeValue(ctx, fields);
    JS_FreeValue(ctx, params);
    return result;
}

JSValue http_submit_form(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    JSValue selector = option(ctx, argv[0], "formSelector", "form");
    JSValue found = find_in_page(ctx, this_val, selector);
    JSValue form = JS_IsException(found) ? found : call_method(ctx, found, "first", 0, NULL);
    JSValue result = JS_IsException(form) ? form : submit(ctx, this_val, form, argv[0]);

    (void)argc;
    if (!JS_IsException(found))
        JS_FreeValue(ctx, form);
    JS_FreeValue(ctx, found);
    JS_FreeValue(ctx, selector);
    return result;
}
