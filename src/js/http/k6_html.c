/* SPDX-License-Identifier: Apache-2.0 */
/* k6/html: Selection and Element (MOD-75). Behaviour and running examples: docs/api/k6-html.md
 * A Selection is a list of nodes that keeps their document; a document never changes. */
#include <stdlib.h>

#include "js/http/k6_html.h"

static JSClassID selection_class, element_class;

struct selection { /* of an Element: one node */
    struct html_document *document;
    xmlNode **nodes;
    size_t count, cap;
};

/* ---- lists of nodes ---- */

static void free_list(struct selection *s)
{
    html_document_unref(s->document);
    free(s->nodes);
    free(s);
}

static void selection_finalizer(JSRuntime *rt, JSValue value)
{
    struct selection *s = JS_GetOpaque(value, selection_class);

    (void)rt;
    if (s)
        free_list(s);
}

static void element_finalizer(JSRuntime *rt, JSValue value)
{
    struct selection *s = JS_GetOpaque(value, element_class);

    (void)rt;
    if (s)
        free_list(s);
}

static struct selection *new_list(struct html_document *document)
{
    struct selection *s = sq_xcalloc(1, sizeof *s);

    s->document = html_document_ref(document);
    return s;
}

static void add_node(struct selection *s, xmlNode *node)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4;
        s->nodes = sq_xrealloc(s->nodes, s->cap * sizeof(xmlNode *));
    }
    s->nodes[s->count++] = node;
}

/* Each node once: those that are in carry the list's stamp. */
static void add_once(struct selection *s, xmlNode *node, uintptr_t stamp)
{
    if ((uintptr_t)node->_private == stamp)
        return;
    node->_private = (void *)stamp;
    add_node(s, node);
}

/* Consumes the list. */
static JSValue wrap(JSContext *ctx, struct selection *s, JSClassID class)
{
    JSValue object = JS_NewObjectClass(ctx, (int)class);

    if (JS_IsException(object))
        free_list(s);
    else
        JS_SetOpaque(object, s);
    return object;
}

static JSValue one_node(JSContext *ctx, const struct selection *from, size_t index, JSClassID class)
{
    struct selection *s = new_list(from->document);

    if (index < from->count)
        add_node(s, from->nodes[index]);
    return wrap(ctx, s, class);
}

/* NULL without an exception: the argument is undefined. */
static struct html_selector *selector_of(JSContext *ctx, JSValueConst value)
{
    struct sq_error err = {0};

    if (JS_IsUndefined(value) || JS_IsNull(value))
        return NULL;
    const char *text = JS_ToCString(ctx, value);
    struct html_selector *s = text ? html_selector_new(text, &err) : NULL;
    JS_FreeCString(ctx, text);
    if (text && !s)
        sq_js_throw(ctx, "%s", err.text);
    return s;
}

/* ---- walking ---- */

enum walk {
    FIND,
    CHILDREN,
    CONTENTS,
    PARENT,
    PARENTS,
    CLOSEST,
    NEXT,
    NEXT_ALL,
    PREV,
    PREV_ALL,
    NEXT_UNTIL,
    PREV_UNTIL,
    PARENTS_UNTIL
};

static xmlNode *step(enum walk walk, const xmlNode *n)
{
    if (walk == PARENT || walk == PARENTS || walk == CLOSEST || walk == PARENTS_UNTIL)
        return html_is_element(n->parent) ? n->parent : NULL;
    do
        n = walk == NEXT || walk == NEXT_ALL || walk == NEXT_UNTIL ? n->next : n->prev;
    while (n && !html_is_element(n));
    return (xmlNode *)n;
}

static bool fits(const struct html_selector *s, const xmlNode *n)
{
    return !s || html_selector_matches(s, n);
}

static void walk_down(struct selection *out, enum walk walk, xmlNode *root,
                      const struct html_selector *s, uintptr_t stamp)
{
    xmlNode *n = walk == FIND ? html_next_node(root, root) : root->children;

    if (walk != FIND && root->type != XML_ELEMENT_NODE && root->type != XML_HTML_DOCUMENT_NODE)
        return;
    for (; n; n = walk == FIND ? html_next_node(n, root) : n->next)
        if ((walk == CONTENTS || html_is_element(n)) && fits(s, n))
            add_once(out, n, stamp);
}

static void walk_along(struct selection *out, enum walk walk, xmlNode *from,
                       const struct html_selector *until, const struct html_selector *s,
                       uintptr_t stamp)
{
    bool once = walk == PARENT || walk == NEXT || walk == PREV;
    xmlNode *n = walk == CLOSEST ? from : step(walk, from);

    for (; n; n = step(walk, n)) {
        bool fit = fits(s, n);
        if (until && html_selector_matches(until, n))
            return;
        if (fit)
            add_once(out, n, stamp);
        if (once || (walk == CLOSEST && fit))
            return;
    }
}

static JSValue walk_from(JSContext *ctx, const struct selection *from, JSValueConst *argv, int walk)
{
    bool bounded = walk >= NEXT_UNTIL;
    struct html_selector *until = bounded ? selector_of(ctx, argv[0]) : NULL;
    struct html_selector *s = JS_HasException(ctx) ? NULL : selector_of(ctx, argv[bounded]);
    JSValue result = JS_EXCEPTION;

    if (!JS_HasException(ctx)) {
        struct selection *out = new_list(from->document);
        uintptr_t stamp = html_document_stamp(from->document);
        for (size_t i = 0; i < from->count; i++)
            if (walk <= CONTENTS)
                walk_down(out, (enum walk)walk, from->nodes[i], s, stamp);
            else
                walk_along(out, (enum walk)walk, from->nodes[i], until, s, stamp);
        result = wrap(ctx, out, selection_class);
    }
    html_selector_free(until);
    html_selector_free(s);
    return result;
}

static JSValue walk(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc; /* the engine pads argv to the declared length */
    return s ? walk_from(ctx, s, argv, magic) : JS_EXCEPTION;
}

/* ---- choosing ---- */

enum choice { FILTER, NOT, HAS, IS };

/* 1, 0, or -1 with an exception pending. */
static int chosen(JSContext *ctx, const struct selection *s, size_t i, JSValueConst wanted,
                  const struct html_selector *selector, enum choice choice)
{
    if (selector && choice == HAS) {
        for (xmlNode *n = s->nodes[i]; (n = html_next_node(n, s->nodes[i]));)
            if (html_selector_matches(selector, n))
                return 1;
        return 0;
    }
    if (selector)
        return html_selector_matches(selector, s->nodes[i]);
    JSValue args[] = {JS_NewInt64(ctx, (int64_t)i), one_node(ctx, s, i, selection_class)};
    JSValue result = JS_Call(ctx, wanted, JS_UNDEFINED, 2, args);
    int rc = JS_IsException(result) ? -1 : JS_ToBool(ctx, result);
    JS_FreeValue(ctx, args[1]);
    JS_FreeValue(ctx, result);
    return rc;
}

/* By a selector, a function, or another Selection or Element. */
static JSValue choose(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                      int magic)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);
    const struct selection *other = JS_GetOpaque(argv[0], selection_class);
    bool function = JS_IsFunction(ctx, argv[0]);
    int rc = 0;

    (void)argc;
    if (!s)
        return JS_EXCEPTION;
    if (!other)
        other = JS_GetOpaque(argv[0], element_class);
    struct html_selector *selector = function || other ? NULL : selector_of(ctx, argv[0]);
    if (!selector && !function && !other)
        return JS_HasException(ctx)
                   ? JS_EXCEPTION
                   : JS_ThrowTypeError(ctx, "a selector, a function or a Selection is expected");
    struct selection *out = new_list(s->document);
    for (size_t i = 0; i < s->count && rc >= 0; i++) {
        if (other) {
            rc = 0;
            for (size_t k = 0; k < other->count; k++)
                rc |= other->nodes[k] == s->nodes[i];
        } else {
            rc = chosen(ctx, s, i, argv[0], selector, (enum choice)magic);
        }
        if (rc >= 0 && (rc > 0) != (magic == NOT))
            add_node(out, s->nodes[i]);
    }
    html_selector_free(selector);
    if (rc >= 0 && magic != IS)
        return wrap(ctx, out, selection_class);
    bool any = out->count > 0;
    free_list(out);
    return rc < 0 ? JS_EXCEPTION : JS_NewBool(ctx, any);
}

/* ---- places ---- */

enum place { EQ, FIRST, LAST, GET };

static JSValue place(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);
    int64_t index = magic == LAST ? -1 : 0;

    (void)argc;
    if (!s || ((magic == EQ || magic == GET) && JS_ToInt64(ctx, &index, argv[0]) < 0))
        return JS_EXCEPTION;
    if (index < 0)
        index += (int64_t)s->count;
    size_t at = index < 0 || index >= (int64_t)s->count ? s->count : (size_t)index;
    if (magic == GET && at == s->count)
        return JS_UNDEFINED;
    return one_node(ctx, s, at, magic == GET ? element_class : selection_class);
}

static JSValue slice(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);
    int64_t bounds[2] = {0, s ? (int64_t)s->count : 0};

    if (!s)
        return JS_EXCEPTION;
    for (int i = 0; i < SQ_MIN(argc, 2); i++) {
        if (JS_IsUndefined(argv[i]))
            continue;
        if (JS_ToInt64(ctx, &bounds[i], argv[i]) < 0)
            return JS_EXCEPTION;
        if (bounds[i] < 0)
            bounds[i] += (int64_t)s->count;
        bounds[i] = SQ_MIN(SQ_MAX(bounds[i], (int64_t)0), (int64_t)s->count);
    }
    struct selection *out = new_list(s->document);
    for (int64_t i = bounds[0]; i < bounds[1]; i++)
        add_node(out, s->nodes[i]);
    return wrap(ctx, out, selection_class);
}

static JSValue get_size(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc, (void)argv;
    return s ? JS_NewInt64(ctx, (int64_t)s->count) : JS_EXCEPTION;
}

enum each { EACH, MAP, TO_ARRAY };

static JSValue each(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv, int magic)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc;
    if (!s)
        return JS_EXCEPTION;
    if (magic != TO_ARRAY && !JS_IsFunction(ctx, argv[0]))
        return JS_ThrowTypeError(ctx, "a function is expected");
    JSValue list = magic == EACH ? JS_DupValue(ctx, this_val) : JS_NewArray(ctx);
    for (size_t i = 0; i < s->count; i++) {
        JSValue node = one_node(ctx, s, i, magic == EACH ? element_class : selection_class);
        JSValue result = node;
        if (magic != TO_ARRAY) {
            JSValue args[] = {JS_NewInt64(ctx, (int64_t)i), node};
            result = JS_Call(ctx, argv[0], JS_UNDEFINED, 2, args);
            JS_FreeValue(ctx, node);
        }
        if (JS_IsException(result)) {
            JS_FreeValue(ctx, list);
            return result;
        }
        if (magic == EACH)
            JS_FreeValue(ctx, result);
        else
            JS_SetPropertyUint32(ctx, list, (uint32_t)i, result);
    }
    return list;
}

/* ---- content ---- */

/* Consumes the buffer. */
static JSValue text_value(JSContext *ctx, struct sq_buf *text)
{
    JSValue value = JS_NewStringLen(ctx, sq_buf_cstr(text), text->len);

    sq_buf_deinit(text);
    return value;
}

/* `fallback` where there is no such attribute. */
static JSValue attribute(JSContext *ctx, const struct selection *s, const char *name,
                         JSValueConst fallback)
{
    struct sq_buf text = {0};

    if (s->count && html_attribute(s->nodes[0], name, &text))
        return text_value(ctx, &text);
    return JS_DupValue(ctx, fallback);
}

static JSValue attr(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);
    const char *name = s ? JS_ToCString(ctx, argv[0]) : NULL;

    if (!name)
        return JS_EXCEPTION;
    JSValue value = attribute(ctx, s, name, argc > 1 ? argv[1] : JS_UNDEFINED);
    JS_FreeCString(ctx, name);
    return value;
}

static JSValue text_of(JSContext *ctx, const struct selection *s)
{
    struct sq_buf text = {0};

    for (size_t i = 0; i < s->count; i++)
        html_text(s->nodes[i], &text);
    return text_value(ctx, &text);
}

static JSValue html_of(JSContext *ctx, const struct selection *s)
{
    struct sq_buf text = {0};

    if (s->count)
        html_inner(s->document, s->nodes[0], &text);
    return text_value(ctx, &text);
}

static JSValue get_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc, (void)argv;
    return s ? text_of(ctx, s) : JS_EXCEPTION;
}

static JSValue get_html(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc; /* argv[0] is for when there is nothing */
    if (!s)
        return JS_EXCEPTION;
    return s->count ? html_of(ctx, s) : JS_DupValue(ctx, argv[0]);
}

static bool is_tag(const xmlNode *n, const char *name)
{
    return html_is_element(n) && strcmp((const char *)n->name, name) == 0;
}

/* The chosen option of a select, else its first one. */
static xmlNode *chosen_option(xmlNode *select)
{
    xmlNode *first = NULL;

    for (xmlNode *n = html_next_node(select, select); n; n = html_next_node(n, select)) {
        struct sq_buf unused = {0};
        if (!is_tag(n, "option"))
            continue;
        bool selected = html_attribute(n, "selected", &unused);
        sq_buf_deinit(&unused);
        if (selected)
            return n;
        first = first ? first : n;
    }
    return first;
}

static JSValue value_of(JSContext *ctx, const struct selection *s, JSValueConst fallback)
{
    xmlNode *n = s->count ? s->nodes[0] : NULL;
    struct sq_buf text = {0};

    if (is_tag(n, "select"))
        n = chosen_option(n);
    if (!n)
        return JS_DupValue(ctx, fallback);
    if (is_tag(n, "textarea") || (!html_attribute(n, "value", &text) && is_tag(n, "option")))
        html_text(n, &text);
    else if (!text.len && !html_attribute(n, "value", &text))
        return JS_DupValue(ctx, fallback);
    return text_value(ctx, &text);
}

static JSValue val(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc;
    return s ? value_of(ctx, s, argv[0]) : JS_EXCEPTION;
}

/* ---- forms ---- */

enum serialize { TO_TEXT, TO_LIST, TO_OBJECT };

struct fields {
    JSContext *ctx;
    JSValue list; /* of {name, value}, or an object */
    uint32_t count;
};

static int add_field(void *user, const char *name, const char *value)
{
    struct fields *f = user;
    JSValue field = JS_NewObject(f->ctx);

    JS_DefinePropertyValueStr(f->ctx, field, "name", JS_NewString(f->ctx, name), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(f->ctx, field, "value", JS_NewString(f->ctx, value), JS_PROP_C_W_E);
    return JS_DefinePropertyValueUint32(f->ctx, f->list, f->count++, field, JS_PROP_C_W_E) < 0 ? -1
                                                                                               : 0;
}

/* The last one of a name counts. */
static int set_field(void *user, const char *name, const char *value)
{
    struct fields *f = user;

    return JS_DefinePropertyValueStr(f->ctx, f->list, name, JS_NewString(f->ctx, value),
                                     JS_PROP_C_W_E) < 0
               ? -1
               : 0;
}

static int write_field(void *user, const char *name, const char *value)
{
    struct sq_buf *out = user;

    if (out->len)
        sq_buf_putc(out, '&');
    sq_js_put_form_text(out, name, strlen(name));
    sq_buf_putc(out, '=');
    sq_js_put_form_text(out, value, strlen(value));
    return 0;
}

static JSValue serialize(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv,
                         int magic)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);
    struct sq_buf text = {0};
    int rc = 0;

    (void)argc, (void)argv;
    if (!s)
        return JS_EXCEPTION;
    if (magic == TO_TEXT) {
        for (size_t i = 0; i < s->count; i++)
            (void)html_each_field(s->nodes[i], write_field, &text);
        return text_value(ctx, &text);
    }
    struct fields f = {ctx, magic == TO_LIST ? JS_NewArray(ctx) : JS_NewObject(ctx), 0};
    for (size_t i = 0; i < s->count && rc == 0; i++)
        rc = html_each_field(s->nodes[i], magic == TO_LIST ? add_field : set_field, &f);
    if (rc == 0)
        return f.list;
    JS_FreeValue(ctx, f.list);
    return JS_EXCEPTION;
}

static JSValue data(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, selection_class);

    (void)argc;
    if (!s)
        return JS_EXCEPTION;
    if (!s->count)
        return JS_UNDEFINED;
    if (JS_IsUndefined(argv[0]))
        return html_all_data(ctx, s->nodes[0]);
    const char *key = JS_ToCString(ctx, argv[0]);
    JSValue value = key ? html_data(ctx, s->nodes[0], key) : JS_EXCEPTION;
    JS_FreeCString(ctx, key);
    return value;
}

static const JSCFunctionListEntry selection_methods[] = {
    JS_CFUNC_MAGIC_DEF("find", 1, walk, FIND),
    JS_CFUNC_MAGIC_DEF("children", 1, walk, CHILDREN),
    JS_CFUNC_MAGIC_DEF("contents", 1, walk, CONTENTS),
    JS_CFUNC_MAGIC_DEF("parent", 1, walk, PARENT),
    JS_CFUNC_MAGIC_DEF("parents", 1, walk, PARENTS),
    JS_CFUNC_MAGIC_DEF("closest", 1, walk, CLOSEST),
    JS_CFUNC_MAGIC_DEF("next", 1, walk, NEXT),
    JS_CFUNC_MAGIC_DEF("nextAll", 1, walk, NEXT_ALL),
    JS_CFUNC_MAGIC_DEF("prev", 1, walk, PREV),
    JS_CFUNC_MAGIC_DEF("prevAll", 1, walk, PREV_ALL),
    JS_CFUNC_MAGIC_DEF("nextUntil", 2, walk, NEXT_UNTIL),
    JS_CFUNC_MAGIC_DEF("prevUntil", 2, walk, PREV_UNTIL),
    JS_CFUNC_MAGIC_DEF("parentsUntil", 2, walk, PARENTS_UNTIL),
    JS_CFUNC_MAGIC_DEF("filter", 1, choose, FILTER),
    JS_CFUNC_MAGIC_DEF("not", 1, choose, NOT),
    JS_CFUNC_MAGIC_DEF("has", 1, choose, HAS),
    JS_CFUNC_MAGIC_DEF("is", 1, choose, IS),
    JS_CFUNC_MAGIC_DEF("eq", 1, place, EQ),
    JS_CFUNC_MAGIC_DEF("first", 0, place, FIRST),
    JS_CFUNC_MAGIC_DEF("last", 0, place, LAST),
    JS_CFUNC_MAGIC_DEF("get", 1, place, GET),
    JS_CFUNC_DEF("slice", 2, slice),
    JS_CFUNC_DEF("size", 0, get_size),
    JS_CFUNC_MAGIC_DEF("each", 1, each, EACH),
    JS_CFUNC_MAGIC_DEF("map", 1, each, MAP),
    JS_CFUNC_MAGIC_DEF("toArray", 0, each, TO_ARRAY),
    JS_CFUNC_DEF("attr", 1, attr),
    JS_CFUNC_DEF("text", 0, get_text),
    JS_CFUNC_DEF("html", 1, get_html),
    JS_CFUNC_DEF("val", 1, val),
    JS_CFUNC_DEF("data", 1, data),
    JS_CFUNC_MAGIC_DEF("serialize", 0, serialize, TO_TEXT),
    JS_CFUNC_MAGIC_DEF("serializeArray", 0, serialize, TO_LIST),
    JS_CFUNC_MAGIC_DEF("serializeObject", 0, serialize, TO_OBJECT),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "Selection", JS_PROP_CONFIGURABLE),
};

/* ---- Element ---- */

static JSValue get_attribute(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const struct selection *s = JS_GetOpaque2(ctx, this_val, element_class);
    const char *name = s ? JS_ToCString(ctx, argv[0]) : NULL;

    (void)argc;
    if (!name)
        return JS_EXCEPTION;
    JSValue value = attribute(ctx, s, name, JS_UNDEFINED);
    JS_FreeCString(ctx, name);
    return value;
}

enum member {
    NODE_NAME,
    TEXT_CONTENT,
    INNER_HTML,
    ELEMENT_ID,
    CLASS_NAME,
    HREF,
    ELEMENT_NAME,
    ELEMENT_TYPE,
    VALUE
};

static JSValue get_member(JSContext *ctx, JSValueConst this_val, int magic)
{
    static const char *const attributes[] = {
        [ELEMENT_ID] = "id",     [CLASS_NAME] = "class",  [HREF] = "href",
        [ELEMENT_NAME] = "name", [ELEMENT_TYPE] = "type", [VALUE] = "value",
    };
    const struct selection *s = JS_GetOpaque2(ctx, this_val, element_class);

    if (!s)
        return JS_EXCEPTION;
    if (magic == NODE_NAME)
        return JS_NewString(ctx, html_is_element(s->nodes[0]) ? (const char *)s->nodes[0]->name
                                                              : "#text");
    if (magic == TEXT_CONTENT)
        return text_of(ctx, s);
    if (magic == INNER_HTML)
        return html_of(ctx, s);
    JSValue none = JS_NewString(ctx, "");
    JSValue value =
        magic == VALUE ? value_of(ctx, s, none) : attribute(ctx, s, attributes[magic], none);
    JS_FreeValue(ctx, none);
    return value;
}

static const JSCFunctionListEntry element_members[] = {
    JS_CFUNC_DEF("getAttribute", 1, get_attribute),
    JS_CGETSET_MAGIC_DEF("nodeName", get_member, NULL, NODE_NAME),
    JS_CGETSET_MAGIC_DEF("textContent", get_member, NULL, TEXT_CONTENT),
    JS_CGETSET_MAGIC_DEF("innerHTML", get_member, NULL, INNER_HTML),
    JS_CGETSET_MAGIC_DEF("id", get_member, NULL, ELEMENT_ID),
    JS_CGETSET_MAGIC_DEF("className", get_member, NULL, CLASS_NAME),
    JS_CGETSET_MAGIC_DEF("href", get_member, NULL, HREF),
    JS_CGETSET_MAGIC_DEF("name", get_member, NULL, ELEMENT_NAME),
    JS_CGETSET_MAGIC_DEF("type", get_member, NULL, ELEMENT_TYPE),
    JS_CGETSET_MAGIC_DEF("value", get_member, NULL, VALUE),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "Element", JS_PROP_CONFIGURABLE),
};

/* ---- the module ---- */

JSValue sq_k6_html_parse(JSContext *ctx, const char *text, size_t len, JSValueConst selector)
{
    struct sq_error err = {0};
    struct html_document *document = html_document_new(text, len, &err);

    if (!document)
        return sq_js_throw(ctx, "%s", err.text);
    struct selection *root = new_list(document);
    html_document_unref(document);
    add_node(root, html_document_root(document));
    if (JS_IsUndefined(selector))
        return wrap(ctx, root, selection_class);
    JSValue found = walk_from(ctx, root, &selector, FIND);
    free_list(root);
    return found;
}

static JSValue parse_html(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t len;

    (void)this_val, (void)argc;
    if (JS_IsUndefined(argv[0]))
        return sq_k6_html_parse(ctx, "", 0, JS_UNDEFINED);
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    JSValue result = sq_k6_html_parse(ctx, text, len, JS_UNDEFINED);
    JS_FreeCString(ctx, text);
    return result;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("parseHTML", 1, parse_html),
};

void sq_k6_html_class_ids(void)
{
    JS_NewClassID(&selection_class);
    JS_NewClassID(&element_class);
}

static void define_class(JSContext *ctx, JSClassID id, const JSClassDef *definition,
                         const JSCFunctionListEntry *members, int count)
{
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), id, definition);
    JS_SetPropertyFunctionList(ctx, proto, members, count);
    JS_SetClassProto(ctx, id, proto);
}

void sq_k6_html_classes(JSContext *ctx)
{
    static const JSClassDef selection = {"Selection", .finalizer = selection_finalizer};
    static const JSClassDef element = {"Element", .finalizer = element_finalizer};

    define_class(ctx, selection_class, &selection, selection_methods, SQ_COUNT(selection_methods));
    define_class(ctx, element_class, &element, element_members, SQ_COUNT(element_members));
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    return sq_js_export_functions(ctx, m, functions, SQ_COUNT(functions));
}

static const char *const exports[] = {"parseHTML", "default", NULL};
const struct sq_js_builtin sq_k6_html = {"k6/html", init, exports};
