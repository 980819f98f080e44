/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of Response.json(path), MOD-66: a.b, arr.0.x, arr.#, arr.#.x, arr.#(x==1).y,
 * arr.#(x>1)#.y, wildcards * and ? in keys, \ before a character that is meant literally. Modifiers
 * (@...) and multipaths are not known: they find nothing. */
#include <math.h>
#include <stdlib.h>

#include "js/http/k6_http.h"

static JSValue walk(JSContext *ctx, JSValueConst value, const char *path);

/* One step of a path; `rest` is NULL behind the last one. */
struct step {
    char *text; /* with its escapes; owned */
    const char *rest;
};

/* Dots inside a query's parentheses do not part. */
static struct step take_step(const char *path)
{
    int depth = 0;
    const char *p = path;

    for (; *p && (depth > 0 || (*p != '.' && *p != '|')); p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '(' && (depth > 0 || (p > path && p[-1] == '#')))
            depth++;
        else if (*p == ')' && depth > 0)
            depth--;
    }
    return (struct step){sq_xstrndup(path, (size_t)(p - path)), *p ? p + 1 : NULL};
}

/* `*` any run of characters, `?` one, `\` takes the next as it is. Linear but for the last star. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        bool literal = *pattern == '\\' && pattern[1];
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (literal ? pattern[1] == *text : (*pattern == '?' || *pattern == *text)) {
            pattern += literal ? 2 : 1;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

struct finder {
    const char *pattern;
    JSValue found;
};

static int find_key(JSContext *ctx, void *user, const char *key, JSValueConst value)
{
    struct finder *f = user;

    if (!matches(f->pattern, key))
        return 0;
    f->found = JS_DupValue(ctx, value);
    return 1;
}

static int64_t length_of(JSContext *ctx, JSValueConst array)
{
    int64_t count = 0;
    JSValue length = JS_GetPropertyStr(ctx, array, "length");

    JS_ToInt64(ctx, &count, length);
    JS_FreeValue(ctx, length);
    return count;
}

/* ---- queries ---- */

struct query {
    char *path; /* relative to the element; "": the element itself */
    char op[3]; /* "": there is a value at `path` */
    char *text; /* the right side, without quotes */
    bool quoted;
};

static struct query parse_query(const char *text, size_t len)
{
    struct query q = {0};
    size_t at = 0, from, to = len;

    while (at < len && !strchr("=!<>%", text[at]))
        at += text[at] == '\\' && at + 1 < len ? 2 : 1;
    at = SQ_MIN(at, len);
    q.path = sq_xstrndup(text, at);
    for (size_t n = 0; at < len && n < 2 && strchr("=!<>%", text[at]); n++)
        q.op[n] = text[at++];
    from = at;
    while (from < to && text[from] == ' ')
        from++;
    while (to > from && text[to - 1] == ' ')
        to--;
    q.quoted = to - from >= 2 && text[from] == '"' && text[to - 1] == '"';
    q.text = sq_xstrndup(text + from + q.quoted, to - from - (q.quoted ? 2 : 0));
    for (size_t n = strlen(q.path); n > 0 && q.path[n - 1] == ' ';)
        q.path[--n] = '\0';
    return q;
}

static bool compare(const char *op, double order)
{
    if (strcmp(op, "==") == 0 || strcmp(op, "=") == 0)
        return order == 0;
    if (strcmp(op, "!=") == 0)
        return order != 0;
    if (strcmp(op, "<") == 0)
        return order < 0;
    if (strcmp(op, "<=") == 0)
        return order <= 0;
    if (strcmp(op, ">") == 0)
        return order > 0;
    return strcmp(op, ">=") == 0 && order >= 0;
}

static bool satisfies(JSContext *ctx, const struct query *q, JSValueConst element)
{
    JSValue value = *q->path ? walk(ctx, element, q->path) : JS_DupValue(ctx, element);
    bool yes = false;

    if (!*q->op) {
        yes = !JS_IsUndefined(value);
    } else if (q->quoted && JS_IsString(value)) {
        const char *text = JS_ToCString(ctx, value);
        if (text && *q->op == '%')
            yes = matches(q->text, text);
        else if (text && strcmp(q->op, "!%") == 0)
            yes = !matches(q->text, text);
        else if (text)
            yes = compare(q->op, strcmp(text, q->text));
        JS_FreeCString(ctx, text);
    } else if (!q->quoted && JS_IsNumber(value)) {
        double number;
        char *end;
        double want = strtod(q->text, &end);
        JS_ToFloat64(ctx, &number, value);
        yes = *q->text && !*end && compare(q->op, number - want);
    } else if (!q->quoted && (JS_IsBool(value) || JS_IsNull(value))) {
        const char *text = JS_IsNull(value) ? "null" : JS_ToBool(ctx, value) ? "true" : "false";
        yes = compare(q->op, strcmp(text, q->text));
    }
    JS_FreeValue(ctx, value);
    return yes;
}

/* ---- arrays ---- */

/* The elements (that satisfy q, NULL: all), each seen through `rest`. */
static JSValue collect(JSContext *ctx, JSValueConst array, const struct query *q, const char *rest)
{
    JSValue out = JS_NewArray(ctx);
    int64_t count = length_of(ctx, array), n = 0;

    for (int64_t i = 0; i < count; i++) {
        JSValue element = JS_GetPropertyUint32(ctx, array, (uint32_t)i);
        if (!q || satisfies(ctx, q, element)) {
            JSValue seen = rest ? walk(ctx, element, rest) : JS_DupValue(ctx, element);
            if (JS_IsUndefined(seen))
                JS_FreeValue(ctx, seen);
            else
                JS_SetPropertyInt64(ctx, out, n++, seen);
        }
        JS_FreeValue(ctx, element);
    }
    return out;
}

static JSValue first_of(JSContext *ctx, JSValueConst array, const struct query *q)
{
    int64_t count = length_of(ctx, array);

    for (int64_t i = 0; i < count; i++) {
        JSValue element = JS_GetPropertyUint32(ctx, array, (uint32_t)i);
        if (satisfies(ctx, q, element))
            return element;
        JS_FreeValue(ctx, element);
    }
    return JS_UNDEFINED;
}

static JSValue through(JSContext *ctx, JSValue value, const char *rest)
{
    if (!rest || JS_IsUndefined(value))
        return value;
    JSValue next = walk(ctx, value, rest);
    JS_FreeValue(ctx, value);
    return next;
}

static JSValue walk_array(JSContext *ctx, JSValueConst array, const struct step *step)
{
    const char *text = step->text;
    size_t len = strlen(text);
    char *end;

    if (strcmp(text, "#") == 0)
        return step->rest ? collect(ctx, array, NULL, step->rest)
                          : JS_NewInt64(ctx, length_of(ctx, array));
    if (len >= 3 && text[0] == '#' && text[1] == '(') {
        bool all = text[len - 1] == '#';
        size_t close = len - 1 - all;
        if (text[close] != ')')
            return JS_UNDEFINED;
        struct query q = parse_query(text + 2, close - 2);
        JSValue result = all ? collect(ctx, array, &q, step->rest)
                             : through(ctx, first_of(ctx, array, &q), step->rest);
        free(q.path);
        free(q.text);
        return result;
    }
    long long index = strtoll(text, &end, 10);
    if (!len || *end || index < 0 || index >= length_of(ctx, array))
        return JS_UNDEFINED;
    return through(ctx, JS_GetPropertyUint32(ctx, array, (uint32_t)index), step->rest);
}

/* The depth is the path's, which a script wrote. */
static JSValue walk(JSContext *ctx, JSValueConst value, const char *path)
{
    struct step step = take_step(path);
    JSValue result = JS_UNDEFINED;

    if (JS_IsArray(ctx, value)) {
        result = walk_array(ctx, value, &step);
    } else if (JS_IsObject(value)) {
        struct finder f = {step.text, JS_UNDEFINED};
        (void)sq_js_each_key(ctx, value, find_key, &f);
        result = through(ctx, f.found, step.rest);
    }
    free(step.text);
    return result;
}

JSValue http_json_path(JSContext *ctx, JSValueConst root, const char *path)
{
    enum { PATH_BYTES_MAX = 4096 };

    return strlen(path) > PATH_BYTES_MAX || !*path ? JS_UNDEFINED : walk(ctx, root, path);
}
