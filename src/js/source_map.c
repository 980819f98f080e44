/* SPDX-License-Identifier: Apache-2.0 */
/* `mappings` is one list per generated line, lists parted by ';', items by ','. An item is up to
 * five numbers in base64 VLQ, each the difference to the last of its kind:
 *
 *   generated column (0 at each line's start), source, line, column, name
 */
#include "js/source_map.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/text.h"

struct mapping {
    int32_t line, column;                       /* generated, from 0 */
    int32_t source, source_line, source_column; /* source -1: no origin */
};

struct sq_source_map {
    struct mapping *mappings; /* sorted by line and column */
    size_t count, cap;
    char **sources;
    size_t sources_count;
};

/* ---- reading ---- */

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Adds the number at *at to *to; false: there is none, or it is out of bounds. */
static bool add_number(const char **at, int32_t *to)
{
    enum { MORE = 32, PAYLOAD = 31, SHIFT_MAX = 30 };
    uint64_t bits = 0;

    for (unsigned shift = 0;; shift += 5) {
        int digit = digit_of(**at);
        if (digit < 0 || shift > SHIFT_MAX)
            return false;
        ++*at;
        bits |= (uint64_t)(digit & PAYLOAD) << shift;
        if (!(digit & MORE))
            break;
    }
    int64_t sum = *to + (bits & 1 ? -(int64_t)(bits >> 1) : (int64_t)(bits >> 1));
    if (sum < 0 || sum > INT32_MAX)
        return false;
    *to = (int32_t)sum;
    return true;
}

static void add_mapping(struct sq_source_map *map, const struct mapping *m)
{
    if (map->count == map->cap) {
        map->cap = map->cap ? map->cap * 2 : 64;
        map->mappings = sq_xrealloc(map->mappings, map->cap * sizeof *map->mappings);
    }
    map->mappings[map->count++] = *m;
}

static bool ends_item(char c)
{
    return c == ',' || c == ';' || c == '\0';
}

static int read_mappings(struct sq_source_map *map, const char *p, struct sq_error *err)
{
    struct mapping now = {0};
    int32_t source = 0, name = 0;

    for (; *p; p++) {
        if (*p == ';') {
            now.line++;
            now.column = 0;
        }
        if (*p == ';' || *p == ',')
            continue;
        bool ok = add_number(&p, &now.column);
        bool origin = ok && !ends_item(*p);
        if (origin)
            ok = add_number(&p, &source) && add_number(&p, &now.source_line) &&
                 add_number(&p, &now.source_column) && (size_t)source < map->sources_count;
        if (ok && !ends_item(*p))
            ok = add_number(&p, &name);
        if (!ok || !ends_item(*p))
            return sq_error_set(err, SQ_EINVALID, "its mappings are damaged");
        now.source = origin ? source : -1;
        add_mapping(map, &now);
        p--;
    }
    return 0;
}

static int by_position(const void *a, const void *b)
{
    const struct mapping *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

static void read_sources(struct sq_source_map *map, const json_t *root)
{
    const json_t *list = json_object_get(root, "sources");
    const char *prefix = json_string_value(json_object_get(root, "sourceRoot"));
    size_t len = prefix ? strlen(prefix) : 0;

    map->sources_count = json_array_size(list);
    map->sources = sq_xcalloc(map->sources_count + 1, sizeof *map->sources);
    for (size_t i = 0; i < map->sources_count; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        map->sources[i] = sq_xasprintf("%s%s%s", len ? prefix : "",
                                       len && prefix[len - 1] != '/' ? "/" : "", name ? name : "?");
    }
}

struct sq_source_map *sq_source_map_new(struct sq_slice text, struct sq_error *err)
{
    json_error_t why;
    size_t skip = 0;

    /* A guard against being run as a script. */
    if (text.len > 4 && memcmp(text.data, ")]}'", 4) == 0)
        while (skip < text.len && text.data[skip] != '\n')
            skip++;
    json_t *root = json_loadb((const char *)text.data + skip, text.len - skip, 0, &why);
    if (!root) {
        sq_error_set(err, SQ_EINVALID, "it is no JSON: %s", why.text);
        return NULL;
    }
    struct sq_source_map *map = sq_xcalloc(1, sizeof *map);
    const char *mappings = json_string_value(json_object_get(root, "mappings"));
    read_sources(map, root);
    int rc = mappings ? read_mappings(map, mappings, err)
                      : sq_error_set(err, SQ_EINVALID, "it has no mappings");
    json_decref(root);
    if (rc < 0) {
        sq_source_map_free(map);
        return NULL;
    }
    if (map->count)
        qsort(map->mappings, map->count, sizeof *map->mappings, by_position);
    return map;
}

void sq_source_map_free(struct sq_source_map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->sources_count; i++)
        free(map->sources[i]);
    free(map->sources);
    free(map->mappings);
    free(map);
}

/* ---- asking ---- */

bool sq_source_map_find(const struct sq_source_map *map, int line, int column,
                        struct sq_source_position *out)
{
    const struct mapping wanted = {.line = line - 1, .column = column - 1};
    size_t low = 0, high = map->count;

    while (low < high) { /* the first one behind the place */
        size_t middle = low + (high - low) / 2;
        if (by_position(&map->mappings[middle], &wanted) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    const struct mapping *m = &map->mappings[low - 1];
    if (m->line != wanted.line || m->source < 0)
        return false;
    *out = (struct sq_source_position){m->source_line + 1, m->source_column + 1,
                                       map->sources[m->source]};
    return true;
}

/* ---- where a map is ---- */

struct sq_slice sq_source_map_url(struct sq_slice source)
{
    static const char mark[] = " sourceMappingURL=";
    struct sq_slice url = {0};

    for (size_t at = 0; at < source.len;) {
        const uint8_t *found = memmem(source.data + at, source.len - at, mark, sizeof mark - 1);
        if (!found)
            break;
        size_t begin = (size_t)(found - source.data) + sizeof mark - 1, end = begin;
        bool comment = found - source.data >= 3 && (found[-1] == '#' || found[-1] == '@') &&
                       found[-2] == '/' && found[-3] == '/';
        while (end < source.len && source.data[end] > ' ' && source.data[end] < 0x7f)
            end++;
        at = end;
        if (comment)
            url = sq_slice(source.data + begin, end - begin);
    }
    return url;
}

static int decode_base64(struct sq_slice in, struct sq_buf *out)
{
    if (in.len > INT32_MAX || sq_buf_reserve(out, in.len / 4 * 3 + 3) < 0)
        return -1;
    int len = EVP_DecodeBlock(out->data + out->len, in.data, (int)in.len);
    if (len < 0)
        return -1;
    for (size_t i = in.len; i > 0 && in.data[i - 1] == '=' && len > 0; i--)
        len--;
    out->len += (size_t)len;
    return 0;
}

static int hex_of(uint8_t c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static void decode_percent(struct sq_slice in, struct sq_buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        bool escape = in.data[i] == '%' && i + 2 < in.len && hex_of(in.data[i + 1]) >= 0 &&
                      hex_of(in.data[i + 2]) >= 0;
        sq_buf_putc(out, escape ? (char)(hex_of(in.data[i + 1]) << 4 | hex_of(in.data[i + 2]))
                                : (char)in.data[i]);
        i += escape ? 2 : 0;
    }
}

int sq_source_map_inline(struct sq_slice url, struct sq_buf *out, struct sq_error *err)
{
    static const char base64[] = ";base64";
    const uint8_t *comma = memchr(url.data, ',', url.len);

    if (!comma)
        return sq_error_set(err, SQ_EINVALID, "its data: URL has no comma");
    size_t head = (size_t)(comma - url.data);
    struct sq_slice data = sq_slice(comma + 1, url.len - head - 1);
    if (head < sizeof base64 || memcmp(comma - (sizeof base64 - 1), base64, sizeof base64 - 1) != 0)
        decode_percent(data, out);
    else if (decode_base64(data, out) < 0)
        return sq_error_set(err, SQ_EINVALID, "its data: URL is not base64");
    return 0;
}
