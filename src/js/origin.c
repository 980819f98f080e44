/* SPDX-License-Identifier: Apache-2.0 */
/* Stack traces of bundled and transpiled files in terms of what was written (ENG-19). Maps are
 * found and read while the script loads, but taken apart only when the first trace needs them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "js/instance.h"
#include "js/source_map.h"
#include "net/http.h"

struct sq_js_map {       /* under the bundle's lock once the load pass is over */
    char *module, *base; /* absolute names; base: what its sources are relative to */
    struct sq_buf text;
    struct sq_source_map *map; /* NULL: not yet, or damaged */
    struct sq_js_map *next;
};

static void complain(struct sq_js_bundle *bundle, const char *module, const struct sq_error *err)
{
    char *text = sq_xasprintf("the source map of '%s' is not used: %s", module, err->text);

    if (sq_js_first_time(bundle, text))
        sq_log(SQ_LOG_WARN, "js", "%s", text);
    free(text);
}

static char *join(const char *base, const char *reference)
{
    const char *slash = strrchr(base, '/');

    if (strstr(reference, "://") || !slash)
        return sq_xstrdup(reference);
    if (sq_text_starts(base, "https://"))
        return sq_http_url_join(base, reference);
    return sq_js_join_file(base, reference);
}

/* ---- while the script loads ---- */

void sq_js_note_map(struct sq_js_bundle *bundle, const char *name, const struct sq_buf *source)
{
    struct sq_slice url = sq_source_map_url(sq_buf_slice(source));
    struct sq_error err = {0};
    struct sq_buf text = {0};
    char *address = NULL;
    int rc;

    if (!url.len || sq_text_starts(name, "squall/"))
        return;
    if (url.len > 5 && memcmp(url.data, "data:", 5) == 0) {
        rc = sq_source_map_inline(url, &text, &err);
    } else {
        char *reference = sq_xstrndup((const char *)url.data, url.len);
        address = join(name, reference);
        free(reference);
        rc = address ? sq_js_read_module(bundle, address, &text, &err)
                     : sq_error_set(&err, SQ_EINVALID, "its address makes no sense");
        if (rc == 0)
            sq_js_keep_source(bundle, address, &text);
    }
    if (rc < 0) {
        complain(bundle, name, &err);
        sq_buf_deinit(&text);
        free(address);
        return;
    }
    struct sq_js_map *m = sq_xcalloc(1, sizeof *m);
    m->module = sq_xstrdup(name);
    m->base = address ? address : sq_xstrdup(name);
    m->text = text;
    m->next = bundle->maps;
    bundle->maps = m;
}

void sq_js_maps_free(struct sq_js_map *map)
{
    while (map) {
        struct sq_js_map *next = map->next;
        free(map->module);
        free(map->base);
        sq_buf_deinit(&map->text);
        sq_source_map_free(map->map);
        free(map);
        map = next;
    }
}

/* ---- when a trace is shown ---- */

struct reading {
    struct sq_js_map *m;
    struct sq_error err;
};

static void *read_map(void *argument)
{
    struct reading *r = argument;

    r->m->map = sq_source_map_new(sq_buf_slice(&r->m->text), &r->err);
    return NULL;
}

/* JSON may be nested deeper than a fiber's stack. */
static void open_map(struct sq_js_bundle *bundle, struct sq_js_map *m)
{
    enum { STACK_BYTES = 4 * 1024 * 1024 };
    struct reading reading = {m, {0}};
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, read_map, &reading) != 0)
        sq_panic("cannot start a thread for a source map");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    sq_buf_deinit(&m->text);
    if (!m->map)
        complain(bundle, m->module, &reading.err);
}

/* The map for a place "name:line:column"; under the lock. */
static const struct sq_js_map *map_of(struct sq_js_bundle *bundle, struct sq_slice name)
{
    for (struct sq_js_map *m = bundle->maps; m; m = m->next) {
        if (!sq_slice_eq(sq_slice_str(m->module), name))
            continue;
        if (!m->map && m->text.len)
            open_map(bundle, m);
        return m->map ? m : NULL;
    }
    return NULL;
}

/* Columns of a CommonJS file's first line count its wrapper. */
static int own_column(const struct sq_js_bundle *bundle, const char *module, int line, int column)
{
    for (size_t i = 0; i < bundle->modules_count && line == 1; i++)
        if (bundle->modules[i].commonjs && strcmp(bundle->modules[i].name, module) == 0)
            return SQ_MAX(column - SQ_JS_COMMONJS_HEAD_BYTES, 1);
    return column;
}

/* ":12:34" at the end of a place: its length and numbers. 0: there is none. */
static size_t numbers_at_end(struct sq_slice place, int *line, int *column)
{
    int *const targets[] = {column, line};
    size_t at = place.len;

    for (size_t i = 0; i < SQ_COUNT(targets); i++) {
        size_t end = at;
        while (at && place.data[at - 1] >= '0' && place.data[at - 1] <= '9')
            at--;
        if (at == end || end - at > 9 || !at || place.data[at - 1] != ':')
            return 0;
        char digits[16];
        snprintf(digits, sizeof digits, "%.*s", (int)(end - at), (const char *)place.data + at);
        *targets[i] = atoi(digits);
        at--;
    }
    return place.len - at;
}

/* Appends where "file:///x.js:1:2" came from. False: nobody knows. */
static bool put_origin(struct sq_js_bundle *bundle, struct sq_slice place, struct sq_buf *out)
{
    struct sq_source_position origin;
    int line = 0, column = 0;
    size_t tail = numbers_at_end(place, &line, &column);
    bool found = false;

    if (!tail)
        return false;
    pthread_mutex_lock(&bundle->maps_lock);
    const struct sq_js_map *m = map_of(bundle, sq_slice(place.data, place.len - tail));
    if (m &&
        sq_source_map_find(m->map, line, own_column(bundle, m->module, line, column), &origin)) {
        char *name = join(m->base, origin.source);
        sq_buf_printf(out, "%s:%d:%d", name ? name : origin.source, origin.line, origin.column);
        free(name);
        found = true;
    }
    pthread_mutex_unlock(&bundle->maps_lock);
    return found;
}

void sq_js_put_frame(struct sq_js_bundle *bundle, struct sq_slice frame, struct sq_buf *out)
{
    /* "at f (file:///x.js:1:2)" or "at file:///x.js:1:2" */
    bool bracket = frame.len && frame.data[frame.len - 1] == ')';
    size_t end = frame.len - bracket, begin = end;

    while (begin && frame.data[begin - 1] != (bracket ? '(' : ' '))
        begin--;
    size_t before = out->len;
    sq_buf_put(out, frame.data, begin);
    if (bundle->maps && begin &&
        put_origin(bundle, sq_slice(frame.data + begin, end - begin), out)) {
        sq_buf_put(out, frame.data + end, frame.len - end);
        return;
    }
    out->len = before;
    sq_buf_put(out, frame.data, frame.len);
}
