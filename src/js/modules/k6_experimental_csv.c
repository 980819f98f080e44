/* SPDX-License-Identifier: Apache-2.0 */
/* k6/experimental/csv: rows of a File (MOD-86), RFC 4180 with any one-character delimiter.
 * Behaviour and running examples: docs/api/k6-experimental.md
 *
 * A record becomes one JSON text, an array or an object of strings: what a SharedArray keeps, and
 * what Parser.next() parses. */
#include <stdlib.h>

#include "base/buf.h"
#include "js/modules/modules.h"

static JSClassID parser_class;

struct csv_options {
    uint32_t delimiter; /* a code point */
    bool skip_first_line, as_objects;
    int64_t from_line, to_line; /* records, from 0; to_line -1: to the end */
};

struct csv_reader {
    struct sq_slice left;
    struct csv_options options;
    int64_t line;         /* of the text, from 1: for messages */
    int64_t index;        /* of the next record, from 0 */
    size_t fields;        /* in the first record; 0: not known */
    struct sq_buf *names; /* quoted JSON keys of as_objects */
    size_t names_count;
    char delimiter[5];
    uint8_t delimiter_len;
};

struct csv_parser {
    struct csv_reader reader;
    JSValue file; /* keeps what we read from */
};

/* ---- one record ---- */

static void put_json_text(struct sq_buf *out, const struct sq_buf *raw)
{
    struct sq_buf text = {0};

    if (sq_js_decode_utf8(raw->data, raw->len, &text) < 0)
        sq_panic("out of memory for a field of a CSV file");
    sq_buf_putc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            sq_buf_putc(out, '\\');
        if (c < 0x20)
            sq_buf_printf(out, "\\u%04x", c);
        else
            sq_buf_putc(out, (char)c);
    }
    sq_buf_putc(out, '"');
    sq_buf_deinit(&text);
}

static uint8_t take(struct csv_reader *r)
{
    uint8_t c = *r->left.data;

    r->left = sq_slice(r->left.data + 1, r->left.len - 1);
    r->line += c == '\n';
    return c;
}

static bool at_delimiter(const struct csv_reader *r)
{
    return r->left.len >= r->delimiter_len &&
           memcmp(r->left.data, r->delimiter, r->delimiter_len) == 0;
}

static bool at_line_end(const struct csv_reader *r)
{
    return !r->left.len || r->left.data[0] == '\n' ||
           (r->left.data[0] == '\r' && (r->left.len == 1 || r->left.data[1] == '\n'));
}

static void skip_line_end(struct csv_reader *r)
{
    if (r->left.len && r->left.data[0] == '\r')
        take(r);
    if (r->left.len)
        take(r);
}

/* Behind the opening quote. */
static int quoted_field(struct csv_reader *r, struct sq_buf *out, struct sq_error *err)
{
    int64_t start = r->line;

    while (r->left.len) {
        uint8_t c = take(r);
        if (c == '\r' && r->left.len && r->left.data[0] == '\n')
            continue; /* as in Go's reader, a line end within quotes is \n */
        if (c == '"') {
            if (!r->left.len || r->left.data[0] != '"') {
                if (at_line_end(r) || at_delimiter(r))
                    return 0;
                return sq_error_set(err, SQ_EINVALID,
                                    "line %lld: extraneous or missing \" in a "
                                    "quoted field",
                                    (long long)r->line);
            }
            take(r);
        }
        sq_buf_putc(out, (char)c);
    }
    return sq_error_set(err, SQ_EINVALID, "line %lld: the quoted field has no end",
                        (long long)start);
}

static int plain_field(struct csv_reader *r, struct sq_buf *out, struct sq_error *err)
{
    while (!at_line_end(r) && !at_delimiter(r)) {
        if (r->left.data[0] == '"')
            return sq_error_set(err, SQ_EINVALID, "line %lld: bare \" in a field without quotes",
                                (long long)r->line);
        sq_buf_putc(out, (char)take(r));
    }
    return 0;
}

static int field(struct csv_reader *r, struct sq_buf *out, struct sq_error *err)
{
    if (!r->left.len || r->left.data[0] != '"')
        return plain_field(r, out, err);
    take(r);
    return quoted_field(r, out, err);
}

static int check_count(struct csv_reader *r, size_t count, struct sq_error *err)
{
    if (!r->fields)
        r->fields = count;
    if (count == r->fields)
        return 0;
    return sq_error_set(err, SQ_EINVALID, "record %lld has %zu fields, the first one has %zu",
                        (long long)r->index + 1, count, r->fields);
}

/* The next record with fields: `each` gets every one. 0 at the end, 1, or negative. */
static int record(struct csv_reader *r, struct sq_error *err,
                  void (*each)(void *user, size_t index, const struct sq_buf *text), void *user)
{
    struct sq_buf text = {0};
    size_t count = 0;
    int rc;

    while (r->left.len && at_line_end(r)) /* empty lines are none */
        skip_line_end(r);
    if (!r->left.len)
        return 0;
    for (;;) {
        text.len = 0;
        if ((rc = field(r, &text, err)) < 0)
            break;
        each(user, count++, &text);
        if (!at_delimiter(r) || at_line_end(r)) {
            skip_line_end(r);
            rc = check_count(r, count, err);
            break;
        }
        for (uint8_t i = 0; i < r->delimiter_len; i++)
            take(r);
    }
    sq_buf_deinit(&text);
    r->index++;
    return rc < 0 ? rc : 1;
}

struct row {
    struct csv_reader *reader;
    struct sq_buf *out;
};

static void to_json(void *user, size_t index, const struct sq_buf *text)
{
    struct row *row = user;
    const struct csv_reader *r = row->reader;

    if (index)
        sq_buf_putc(row->out, ',');
    if (r->names && index < r->names_count) {
        sq_buf_put(row->out, r->names[index].data, r->names[index].len);
        sq_buf_putc(row->out, ':');
    } else if (r->names) {
        return; /* too many fields: the record is refused */
    }
    put_json_text(row->out, text);
}

static void ignore_field(void *user, size_t index, const struct sq_buf *text)
{
    (void)user, (void)index, (void)text;
}

static void to_name(void *user, size_t index, const struct sq_buf *text)
{
    struct csv_reader *r = user;

    r->names = sq_xrealloc(r->names, (index + 1) * sizeof *r->names);
    r->names[r->names_count++] = (struct sq_buf){0};
    put_json_text(&r->names[index], text);
}

/* The wanted records' JSON with its NUL. 0 at the end, 1, or negative. */
static int next_row(struct csv_reader *r, struct sq_buf *out, struct sq_error *err)
{
    struct row row = {r, out};

    if (r->options.to_line >= 0 && r->index > r->options.to_line)
        return 0;
    size_t start = out->len;
    sq_buf_putc(out, r->names ? '{' : '[');
    int rc = record(r, err, to_json, &row);
    if (rc <= 0) {
        out->len = start;
        return rc;
    }
    sq_buf_put(out, r->names ? "}" : "]", 2);
    return 1;
}

static void reader_deinit(struct csv_reader *r)
{
    for (size_t i = 0; i < r->names_count; i++)
        sq_buf_deinit(&r->names[i]);
    free(r->names);
}

/* Goes to the first record that is wanted. */
static int reader_init(struct csv_reader *r, struct sq_slice bytes,
                       const struct csv_options *options, struct sq_error *err)
{
    struct sq_buf utf8 = {0};
    uint32_t c = options->delimiter;
    int rc = 1;

    *r = (struct csv_reader){.left = bytes, .options = *options, .line = 1};
    if (c >= 0x10000)
        sq_buf_printf(&utf8, "%c%c", (int)(0xF0 | c >> 18), (int)(0x80 | (c >> 12 & 63)));
    else if (c >= 0x800)
        sq_buf_putc(&utf8, (char)(0xE0 | c >> 12));
    if (c >= 0x800)
        sq_buf_putc(&utf8, (char)(0x80 | (c >> 6 & 63)));
    else if (c >= 0x80)
        sq_buf_putc(&utf8, (char)(0xC0 | c >> 6));
    sq_buf_putc(&utf8, (char)(c < 0x80 ? c : 0x80 | (c & 63)));
    memcpy(r->delimiter, utf8.data, utf8.len);
    r->delimiter_len = (uint8_t)utf8.len;
    sq_buf_deinit(&utf8);
    if (options->as_objects)
        rc = record(r, err, to_name, r);
    else if (options->skip_first_line && !options->from_line)
        rc = record(r, err, ignore_field, NULL);
    while (rc > 0 && r->index < options->from_line)
        rc = record(r, err, ignore_field, NULL);
    return rc;
}

/* ---- arguments ---- */

static int delimiter_of(JSContext *ctx, JSValueConst value, uint32_t *out)
{
    size_t len = 0;
    const char *text = JS_IsString(value) ? JS_ToCStringLen(ctx, &len, value) : NULL;
    const uint8_t *p = (const uint8_t *)text;
    int more = !text || !len ? -1 : p[0] < 0x80 ? 0 : p[0] < 0xE0 ? 1 : p[0] < 0xF0 ? 2 : 3;

    if (more < 0 || len != (size_t)more + 1 || *p == '"' || *p == '\n' || *p == '\r') {
        JS_FreeCString(ctx, text);
        JS_ThrowTypeError(ctx, "csv: the delimiter must be one character, other than a quote or a "
                               "line end");
        return -1;
    }
    *out = more ? p[0] & (0x3Fu >> more) : p[0];
    for (int i = 1; i <= more; i++)
        *out = *out << 6 | (p[i] & 63);
    JS_FreeCString(ctx, text);
    return 0;
}

static int line_of(JSContext *ctx, JSValueConst value, const char *name, int64_t *out)
{
    if (JS_IsNumber(value) && JS_ToInt64(ctx, out, value) == 0 && *out >= 0)
        return 0;
    JS_ThrowTypeError(ctx, "csv: %s must be a number, 0 or greater", name);
    return -1;
}

static int options_of(JSContext *ctx, JSValueConst value, struct csv_options *o)
{
    static const char *const names[] = {"delimiter", "skipFirstLine", "asObjects", "fromLine",
                                        "toLine"};
    int rc = 0;

    *o = (struct csv_options){.delimiter = ',', .to_line = -1};
    if (JS_IsUndefined(value) || JS_IsNull(value))
        return 0;
    if (!JS_IsObject(value)) {
        JS_ThrowTypeError(ctx, "csv: the options must be an object");
        return -1;
    }
    for (size_t i = 0; i < SQ_COUNT(names) && rc == 0; i++) {
        JSValue v = JS_GetPropertyStr(ctx, value, names[i]);
        if (JS_IsException(v))
            return -1;
        if (JS_IsUndefined(v) || JS_IsNull(v))
            continue;
        if (i == 0)
            rc = delimiter_of(ctx, v, &o->delimiter);
        else if (i == 1)
            o->skip_first_line = JS_ToBool(ctx, v) > 0;
        else if (i == 2)
            o->as_objects = JS_ToBool(ctx, v) > 0;
        else
            rc = line_of(ctx, v, names[i], i == 3 ? &o->from_line : &o->to_line);
        JS_FreeValue(ctx, v);
    }
    if (rc == 0 && o->as_objects && (o->skip_first_line || o->from_line)) {
        JS_ThrowTypeError(ctx, "csv: asObjects takes its names from the first line, so that "
                               "skipFirstLine and fromLine cannot go with it");
        rc = -1;
    } else if (rc == 0 && o->to_line >= 0 && o->from_line > o->to_line) {
        JS_ThrowTypeError(ctx, "csv: fromLine must not be greater than toLine");
        rc = -1;
    }
    return rc;
}

/* 0, or -1 with an exception pending. */
static int arguments(JSContext *ctx, JSValueConst *argv, const char *what, const char **path,
                     struct sq_slice *bytes, struct csv_options *o)
{
    if (!sq_js_self(ctx)->in_init) {
        sq_js_throw(ctx, "%s must be used in the init context", what);
        return -1;
    }
    if (!sq_k6_fs_file(argv[0], path, bytes)) {
        JS_ThrowTypeError(ctx, "%s needs a File: the result of open() of k6/experimental/fs", what);
        return -1;
    }
    return options_of(ctx, argv[1], o);
}

/* ---- parse ---- */

static int all_rows(struct sq_slice bytes, const struct csv_options *o,
                    struct sq_js_shared_text *text, struct sq_error *err)
{
    struct csv_reader r;
    size_t cap = 0, start = 0;
    int rc = reader_init(&r, bytes, o, err);

    while (rc > 0 && (rc = next_row(&r, &text->json, err)) > 0) {
        if (text->count + 1 >= cap) {
            cap = cap ? cap * 2 : 64;
            text->starts = sq_xrealloc(text->starts, cap * sizeof *text->starts);
        }
        text->starts[text->count++] = start;
        start = text->json.len;
        if (text->count == UINT32_MAX)
            rc = sq_error_set(err, SQ_ETOOBIG, "too many records");
    }
    reader_deinit(&r);
    return rc;
}

static JSValue parse_now(JSContext *ctx, JSValueConst *argv)
{
    struct sq_js_shared_text text = {0};
    struct csv_options o;
    struct sq_error err = {0};
    struct sq_slice bytes;
    const char *path;

    if (arguments(ctx, argv, "csv.parse()", &path, &bytes, &o) < 0)
        return JS_EXCEPTION;
    char *name =
        sq_xasprintf("k6/experimental/csv %u %d %d %lld %lld %s", o.delimiter, o.skip_first_line,
                     o.as_objects, (long long)o.from_line, (long long)o.to_line, path);
    JSValue array = sq_js_shared_array(ctx, name);
    if (JS_IsUndefined(array)) {
        if (all_rows(bytes, &o, &text, &err) < 0)
            array = sq_js_throw(ctx, "csv.parse(): '%s': %s", path, err.text);
        else
            array = sq_js_shared_array_new(ctx, name, &text);
        sq_buf_deinit(&text.json);
        free(text.starts);
    }
    free(name);
    return array;
}

static JSValue parse(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    return sq_js_settled(ctx, parse_now(ctx, argv));
}

/* ---- Parser ---- */

static void parser_finalizer(JSRuntime *rt, JSValue value)
{
    struct csv_parser *p = JS_GetOpaque(value, parser_class);

    if (!p)
        return;
    reader_deinit(&p->reader);
    JS_FreeValueRT(rt, p->file);
    free(p);
}

static void parser_mark(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark)
{
    const struct csv_parser *p = JS_GetOpaque(value, parser_class);

    if (p)
        JS_MarkValue(rt, p->file, mark);
}

static JSValue construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv)
{
    struct csv_options o;
    struct sq_error err = {0};
    struct sq_slice bytes;
    const char *path;

    (void)new_target, (void)argc;
    if (arguments(ctx, argv, "csv.Parser", &path, &bytes, &o) < 0)
        return JS_EXCEPTION;
    JSValue object = JS_NewObjectClass(ctx, (int)parser_class);
    if (JS_IsException(object))
        return object;
    struct csv_parser *p = sq_xcalloc(1, sizeof *p);
    p->file = JS_DupValue(ctx, argv[0]);
    JS_SetOpaque(object, p);
    if (reader_init(&p->reader, bytes, &o, &err) >= 0)
        return object;
    JS_FreeValue(ctx, object);
    return sq_js_throw(ctx, "csv.Parser: '%s': %s", path, err.text);
}

static JSValue next_now(JSContext *ctx, struct csv_parser *p)
{
    struct sq_buf json = {0};
    struct sq_error err = {0};
    int rc = next_row(&p->reader, &json, &err);

    if (rc < 0) {
        sq_buf_deinit(&json);
        return sq_js_throw(ctx, "csv.Parser: %s", err.text);
    }
    JSValue value =
        rc ? JS_ParseJSON(ctx, (const char *)json.data, json.len - 1, "csv") : JS_NewArray(ctx);
    sq_buf_deinit(&json);
    if (JS_IsException(value))
        return value;
    JSValue result = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, result, "done", JS_NewBool(ctx, !rc));
    JS_SetPropertyStr(ctx, result, "value", value);
    return result;
}

static JSValue next(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct csv_parser *p = JS_GetOpaque2(ctx, this_val, parser_class);

    (void)argc, (void)argv;
    return p ? sq_js_settled(ctx, next_now(ctx, p)) : JS_EXCEPTION;
}

static const JSCFunctionListEntry methods[] = {
    JS_CFUNC_DEF("next", 0, next),
    JS_PROP_STRING_DEF("[Symbol.toStringTag]", "Parser", JS_PROP_CONFIGURABLE),
};

/* ---- registration ---- */

void sq_k6_csv_class_ids(void)
{
    JS_NewClassID(&parser_class);
}

void sq_k6_csv_classes(JSContext *ctx)
{
    static const JSClassDef definition = {"Parser", .finalizer = parser_finalizer,
                                          .gc_mark = parser_mark};
    JSValue proto = JS_NewObject(ctx);

    JS_NewClass(JS_GetRuntime(ctx), parser_class, &definition);
    JS_SetPropertyFunctionList(ctx, proto, methods, SQ_COUNT(methods));
    JS_SetClassProto(ctx, parser_class, proto);
}

static int init(JSContext *ctx, JSModuleDef *m)
{
    JSValue all = JS_NewObject(ctx), proto = JS_GetClassProto(ctx, parser_class);
    JSValue parser = JS_NewCFunction2(ctx, construct, "Parser", 2, JS_CFUNC_constructor, 0);
    JSValue fn = JS_NewCFunction(ctx, parse, "parse", 2);

    /* Not JS_SetConstructor: the prototype is the realm's, this function the VU's. */
    JS_DefinePropertyValueStr(ctx, parser, "prototype", proto, 0);
    JS_SetPropertyStr(ctx, all, "Parser", JS_DupValue(ctx, parser));
    JS_SetPropertyStr(ctx, all, "parse", JS_DupValue(ctx, fn));
    if (JS_SetModuleExport(ctx, m, "Parser", parser) < 0 ||
        JS_SetModuleExport(ctx, m, "parse", fn) < 0)
        return -1;
    return JS_SetModuleExport(ctx, m, "default", all);
}

static const char *const exports[] = {"parse", "Parser", "default", NULL};
const struct sq_js_builtin sq_k6_experimental_csv = {"k6/experimental/csv", init, exports};
