/* SPDX-License-Identifier: Apache-2.0 */
/* k6/html: what a form would send, HTML 4.10.21.4 without files and pressed buttons (MOD-75), and
 * data-* attributes. */
#include <stdlib.h>

#include "base/text.h"
#include "js/http/k6_html.h"

/* ---- fields ---- */

static bool is_tag(const xmlNode *n, const char *name)
{
    return html_is_element(n) && strcmp((const char *)n->name, name) == 0;
}

static bool has(const xmlNode *n, const char *attribute)
{
    struct sq_buf value = {0};
    bool there = html_attribute(n, attribute, &value);

    sq_buf_deinit(&value);
    return there;
}

static bool in_list(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (sq_ascii_eq_nocase(sq_slice_str(text), sq_slice_str(*list)))
            return true;
    return false;
}

/* Also inside a fieldset that is. */
static bool disabled(const xmlNode *n)
{
    if (has(n, "disabled"))
        return true;
    for (n = n->parent; html_is_element(n); n = n->parent)
        if (is_tag(n, "fieldset") && has(n, "disabled"))
            return true;
    return false;
}

struct walk {
    html_field_fn *fn;
    void *user;
};

static int emit(const struct walk *w, struct sq_buf *name, struct sq_buf *value)
{
    return w->fn(w->user, sq_buf_cstr(name), sq_buf_cstr(value));
}

static int emit_option(const struct walk *w, struct sq_buf *name, const xmlNode *option)
{
    struct sq_buf value = {0};

    if (!html_attribute(option, "value", &value))
        html_text(option, &value);
    int rc = emit(w, name, &value);
    sq_buf_deinit(&value);
    return rc;
}

/* The chosen options; of a list for one choice without any, the first. */
static int emit_select(const struct walk *w, struct sq_buf *name, const xmlNode *select)
{
    const xmlNode *first = NULL;
    size_t count = 0;
    int rc = 0;

    for (const xmlNode *n = select; (n = html_next_node(n, select)) && rc == 0;) {
        if (!is_tag(n, "option") || has(n, "disabled"))
            continue;
        first = first ? first : n;
        if (!has(n, "selected"))
            continue;
        rc = emit_option(w, name, n);
        count++;
    }
    if (rc == 0 && !count && first && !has(select, "multiple"))
        rc = emit_option(w, name, first);
    return rc;
}

static int emit_input(const struct walk *w, struct sq_buf *name, const xmlNode *input)
{
    static const char *const never[] = {"submit", "button", "image", "reset", "file", NULL};
    static const char *const boxes[] = {"checkbox", "radio", NULL};
    struct sq_buf type = {0}, value = {0};
    int rc = 0;

    html_attribute(input, "type", &type);
    bool box = in_list(sq_buf_cstr(&type), boxes);
    if (!in_list(sq_buf_cstr(&type), never) && (!box || has(input, "checked"))) {
        if (!html_attribute(input, "value", &value) && box)
            sq_buf_puts(&value, "on");
        rc = emit(w, name, &value);
    }
    sq_buf_deinit(&type);
    sq_buf_deinit(&value);
    return rc;
}

static int emit_control(const struct walk *w, const xmlNode *n)
{
    struct sq_buf name = {0}, value = {0};
    bool input = is_tag(n, "input"), select = is_tag(n, "select"), area = is_tag(n, "textarea");
    int rc = 0;

    if (!(input || select || area) || !html_attribute(n, "name", &name) || !name.len ||
        disabled(n)) {
        sq_buf_deinit(&name);
        return 0;
    }
    if (input) {
        rc = emit_input(w, &name, n);
    } else if (select) {
        rc = emit_select(w, &name, n);
    } else {
        html_text(n, &value);
        rc = emit(w, &name, &value);
    }
    sq_buf_deinit(&name);
    sq_buf_deinit(&value);
    return rc;
}

int html_each_field(const xmlNode *root, html_field_fn *fn, void *user)
{
    const struct walk w = {fn, user};
    int rc = 0;

    for (const xmlNode *n = root; n && rc == 0; n = html_next_node(n, root))
        rc = emit_control(&w, n);
    return rc;
}

/* ---- data-* ---- */

static JSValue parse_data(JSContext *ctx, const char *text, size_t len)
{
    JSValue value = JS_NewStringLen(ctx, text, len);

    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || strcmp(text, "null") == 0 ||
        *text == '{' || *text == '[') {
        JSValue parsed = JS_ParseJSON(ctx, text, len, "data");
        if (JS_IsException(parsed)) {
            JS_FreeValue(ctx, JS_GetException(ctx));
            return value;
        }
        JS_FreeValue(ctx, value);
        return parsed;
    }
    /* A number, if it reads the same again: not "007", not "1.0". */
    double number;
    if (!len || JS_ToFloat64(ctx, &number, value) < 0)
        return value;
    JSValue as_number = JS_NewFloat64(ctx, number), again = JS_ToString(ctx, as_number);
    const char *written = JS_ToCString(ctx, again);
    bool same = written && strcmp(written, text) == 0 && strcmp(text, "NaN") != 0;
    JS_FreeCString(ctx, written);
    JS_FreeValue(ctx, again);
    JS_FreeValue(ctx, same ? value : as_number);
    return same ? as_number : value;
}

/* "fooBar" -> "data-foo-bar" */
static char *data_attribute(const char *key)
{
    struct sq_buf name = {0};

    sq_buf_puts(&name, "data-");
    for (const char *p = key; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            sq_buf_putc(&name, '-');
        sq_buf_putc(&name, (char)sq_ascii_lower(*p));
    }
    return sq_buf_steal(&name);
}

JSValue html_data(JSContext *ctx, const xmlNode *node, const char *key)
{
    struct sq_buf value = {0};
    char *name = data_attribute(key);
    bool there = html_attribute(node, name, &value);

    free(name);
    JSValue result = there ? parse_data(ctx, sq_buf_cstr(&value), value.len) : JS_UNDEFINED;
    sq_buf_deinit(&value);
    return result;
}

/* "data-foo-bar" -> "fooBar" */
static char *data_key(const char *attribute)
{
    struct sq_buf key = {0};
    const char *p = attribute + strlen("data-");

    for (; *p; p++) {
        bool joint = *p == '-' && p[1] >= 'a' && p[1] <= 'z';
        p += joint;
        sq_buf_putc(&key, joint ? (char)(*p - 'a' + 'A') : *p);
    }
    return sq_buf_steal(&key);
}

JSValue html_all_data(JSContext *ctx, const xmlNode *node)
{
    JSValue all = JS_NewObject(ctx);

    for (const xmlAttr *a = html_is_element(node) ? node->properties : NULL; a; a = a->next) {
        const char *name = (const char *)a->name;
        struct sq_buf value = {0};
        if (!sq_text_starts(name, "data-") || !html_attribute(node, name, &value))
            continue;
        char *key = data_key(name);
        JS_DefinePropertyValueStr(ctx, all, key, parse_data(ctx, sq_buf_cstr(&value), value.len),
                                  JS_PROP_C_W_E);
        free(key);
        sq_buf_deinit(&value);
    }
    return all;
}
