/* SPDX-License-Identifier: Apache-2.0 */
#include "js/dom/url_parse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "net/idna.h"

static const struct {
    const char *scheme;
    int port;
} specials[] = {{"ftp", 21}, {"file", -1}, {"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}};

bool sq_dom_url_is_special(const char *scheme)
{
    for (size_t i = 0; i < SQ_COUNT(specials); i++)
        if (strcmp(specials[i].scheme, scheme) == 0)
            return true;
    return false;
}

int sq_dom_url_default_port(const char *scheme)
{
    for (size_t i = 0; i < SQ_COUNT(specials); i++)
        if (strcmp(specials[i].scheme, scheme) == 0)
            return specials[i].port;
    return -1;
}

void sq_dom_url_deinit(struct dom_url *u)
{
    free(u->scheme);
    free(u->username);
    free(u->password);
    free(u->host);
    free(u->path);
    free(u->query);
    free(u->fragment);
    *u = (struct dom_url){0};
}

/* ---- characters ---- */

static bool is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool in_set(uint8_t c, const char *set)
{
    return c && strchr(set, c);
}

/* The percent-encode sets, each in addition to C0 controls and what is not ASCII. */
#define QUERY_SET " \"#<>"
#define SPECIAL_QUERY_SET QUERY_SET "'"
#define FRAGMENT_SET " \"<>`"
#define PATH_SET QUERY_SET "?^`{}"
#define USERINFO_SET PATH_SET "/:;=@[\\]|"

static void encode(struct sq_buf *out, uint8_t c, const char *set)
{
    if (c <= 0x1f || c >= 0x7f || in_set(c, set))
        sq_buf_printf(out, "%%%02X", c);
    else
        sq_buf_putc(out, (char)c);
}

static char *encode_all(struct sq_slice s, const char *set)
{
    struct sq_buf out = {0};

    for (size_t i = 0; i < s.len; i++)
        encode(&out, s.data[i], set);
    return sq_buf_steal(&out);
}

char *sq_dom_url_userinfo(struct sq_slice text)
{
    return encode_all(text, USERINFO_SET);
}

static bool starts_with_hex_escape(struct sq_slice s, size_t i)
{
    return i + 2 < s.len && s.data[i] == '%' && hex_value(s.data[i + 1]) >= 0 &&
           hex_value(s.data[i + 2]) >= 0;
}

/* ---- hosts ---- */

/* Digits of one IPv4 part in its base. -1: not a number. */
static double ipv4_number(struct sq_slice part)
{
    int base = 10;
    double value = 0;

    if (part.len >= 2 && part.data[0] == '0' && (part.data[1] | 0x20) == 'x') {
        base = 16;
        part = sq_slice(part.data + 2, part.len - 2);
    } else if (part.len >= 2 && part.data[0] == '0') {
        base = 8;
        part = sq_slice(part.data + 1, part.len - 1);
    }
    for (size_t i = 0; i < part.len; i++) {
        int digit = hex_value(part.data[i]);
        if (digit < 0 || digit >= base)
            return -1;
        value = value * base + digit;
    }
    return value;
}

/* Cuts at dots; a last empty part is dropped. */
static size_t split_dots(struct sq_slice host, struct sq_slice *parts, size_t max)
{
    size_t count = 0, from = 0;

    for (size_t i = 0; i <= host.len; i++)
        if (i == host.len || host.data[i] == '.') {
            if (count == max)
                return max + 1;
            parts[count++] = sq_slice(host.data + from, i - from);
            from = i + 1;
        }
    if (count > 1 && parts[count - 1].len == 0)
        count--;
    return count;
}

static bool ends_in_number(struct sq_slice host)
{
    struct sq_slice last;
    size_t end = host.len, from;
    bool digits = true;

    if (end && host.data[end - 1] == '.') {
        end--;
        if (end == 0)
            return false;
    }
    for (from = end; from && host.data[from - 1] != '.';)
        from--;
    last = sq_slice(host.data + from, end - from);
    for (size_t i = 0; i < last.len; i++)
        digits &= is_digit(last.data[i]);
    if (last.len && digits)
        return true;
    return last.len >= 2 && last.data[0] == '0' && (last.data[1] | 0x20) == 'x' &&
           ipv4_number(last) >= 0;
}

static char *parse_ipv4(struct sq_slice host)
{
    struct sq_slice parts[5]; /* with an empty one behind a last dot */
    size_t count = split_dots(host, parts, SQ_COUNT(parts));
    double numbers[4], address;

    if (count > 4)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        numbers[i] = parts[i].len ? ipv4_number(parts[i]) : -1;
        if (numbers[i] < 0 || (i + 1 < count && numbers[i] > 255))
            return NULL;
    }
    if (numbers[count - 1] >= pow(256, (double)(5 - count)))
        return NULL;
    address = numbers[count - 1];
    for (size_t i = 0; i + 1 < count; i++)
        address += numbers[i] * pow(256, (double)(3 - i));
    uint32_t a = (uint32_t)address;
    return sq_xasprintf("%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

/* The dotted end of an IPv6 address. False: malformed. */
static bool ipv6_dotted(struct sq_slice s, size_t *at, uint16_t *pieces, int *index)
{
    int seen = 0;

    if (*index > 6)
        return false;
    while (*at < s.len) {
        int value = -1;
        if (seen > 0) {
            if (s.data[*at] != '.' || seen >= 4)
                return false;
            (*at)++;
        }
        if (*at >= s.len || !is_digit(s.data[*at]))
            return false;
        while (*at < s.len && is_digit(s.data[*at])) {
            int digit = s.data[*at] - '0';
            if (value == 0)
                return false;
            value = value < 0 ? digit : value * 10 + digit;
            if (value > 255)
                return false;
            (*at)++;
        }
        pieces[*index] = (uint16_t)(pieces[*index] * 256 + value);
        if (++seen == 2 || seen == 4)
            (*index)++;
    }
    return seen == 4;
}

static bool parse_ipv6(struct sq_slice s, uint16_t pieces[8])
{
    int index = 0, compress = -1;
    size_t at = 0;

    memset(pieces, 0, 8 * sizeof *pieces);
    if (s.len && s.data[0] == ':') {
        if (s.len < 2 || s.data[1] != ':')
            return false;
        at = 2;
        compress = ++index;
    }
    while (at < s.len) {
        uint32_t value = 0;
        size_t len = 0;
        if (index == 8)
            return false;
        if (s.data[at] == ':') {
            if (compress >= 0)
                return false;
            at++;
            compress = ++index;
            continue;
        }
        while (len < 4 && at < s.len && hex_value(s.data[at]) >= 0) {
            value = value * 16 + (uint32_t)hex_value(s.data[at++]);
            len++;
        }
        if (at < s.len && s.data[at] == '.') {
            if (len == 0)
                return false;
            at -= len;
            if (!ipv6_dotted(s, &at, pieces, &index))
                return false;
            break;
        }
        if (at < s.len) {
            if (s.data[at] != ':' || ++at == s.len)
                return false;
        }
        pieces[index++] = (uint16_t)value;
    }
    if (compress >= 0) {
        int swaps = index - compress;
        for (index = 7; index && swaps > 0; index--, swaps--) {
            uint16_t piece = pieces[index];
            pieces[index] = pieces[compress + swaps - 1];
            pieces[compress + swaps - 1] = piece;
        }
        return true;
    }
    return index == 8;
}

static char *write_ipv6(const uint16_t pieces[8])
{
    struct sq_buf out = {0};
    int best = -1, best_len = 1;

    for (int i = 0; i < 8; i++) {
        int len = 0;
        while (i + len < 8 && pieces[i + len] == 0)
            len++;
        if (len > best_len)
            best = i, best_len = len;
        i += len;
    }
    sq_buf_putc(&out, '[');
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            sq_buf_puts(&out, i == 0 ? "::" : ":");
            i += best_len - 1;
            continue;
        }
        sq_buf_printf(&out, "%x%s", pieces[i], i < 7 ? ":" : "");
    }
    sq_buf_putc(&out, ']');
    return sq_buf_steal(&out);
}

static bool is_forbidden(uint8_t c)
{
    return c == 0 || in_set(c, "\t\n\r #/:<>?@[\\]^|");
}

static char *parse_opaque_host(struct sq_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_forbidden(s.data[i]))
            return NULL;
    return encode_all(s, "");
}

static char *to_ascii(struct sq_slice domain)
{
    char *ascii = sq_idna_to_ascii(domain);

    for (char *p = ascii; p && *p; p++)
        *p = sq_ascii_lower(*p);
    return ascii;
}

static char *parse_domain(struct sq_slice s)
{
    struct sq_buf decoded = {0};

    for (size_t i = 0; i < s.len; i++)
        if (starts_with_hex_escape(s, i)) {
            sq_buf_putc(&decoded, (char)(hex_value(s.data[i + 1]) << 4 | hex_value(s.data[i + 2])));
            i += 2;
        } else {
            sq_buf_putc(&decoded, (char)s.data[i]);
        }
    char *host = to_ascii(sq_buf_slice(&decoded));
    sq_buf_deinit(&decoded);
    bool bad = !host || !*host;
    for (char *p = host; !bad && *p; p++)
        bad = is_forbidden((uint8_t)*p) || (uint8_t)*p <= 0x1f || *p == '%' || *p == 0x7f;
    if (!bad && ends_in_number(sq_slice_str(host))) {
        char *address = parse_ipv4(sq_slice_str(host));
        free(host);
        return address;
    }
    if (bad) {
        free(host);
        return NULL;
    }
    return host;
}

static char *parse_host(struct sq_slice s, bool special)
{
    uint16_t pieces[8];

    if (s.len && s.data[0] == '[') {
        if (s.data[s.len - 1] != ']' || !parse_ipv6(sq_slice(s.data + 1, s.len - 2), pieces))
            return NULL;
        return write_ipv6(pieces);
    }
    return special ? parse_domain(s) : parse_opaque_host(s);
}

/* ---- paths ---- */

struct segments {
    char **items;
    size_t count;
};

static void push(struct segments *s, char *item)
{
    s->items = sq_xrealloc(s->items, (s->count + 1) * sizeof(char *));
    s->items[s->count++] = item;
}

static bool is_drive(const char *text, size_t len, bool normal)
{
    return len == 2 && is_alpha((uint8_t)text[0]) &&
           (text[1] == ':' || (!normal && text[1] == '|'));
}

static void shorten(struct segments *s, bool file)
{
    if (s->count == 0 ||
        (file && s->count == 1 && is_drive(s->items[0], strlen(s->items[0]), true)))
        return;
    free(s->items[--s->count]);
}

/* 1: ".", 2: "..", with %2e for dots; 0: neither. */
static int dots(struct sq_slice s)
{
    int count = 0;

    for (size_t i = 0; i < s.len; count++) {
        if (s.data[i] == '.')
            i++;
        else if (starts_with_hex_escape(s, i) && s.data[i + 1] == '2' &&
                 (s.data[i + 2] | 0x20) == 'e')
            i += 3;
        else
            return 0;
        if (count == 2)
            return 0;
    }
    return count;
}

static void add_segment(struct segments *s, struct sq_slice raw, bool last, bool file)
{
    switch (dots(raw)) {
    case 2:
        shorten(s, file);
        if (last)
            push(s, sq_xstrdup(""));
        return;
    case 1:
        if (last)
            push(s, sq_xstrdup(""));
        return;
    }
    char *text = encode_all(raw, PATH_SET);
    if (file && s->count == 0 && is_drive(text, strlen(text), false))
        text[1] = ':';
    push(s, text);
}

/* `s` has the segments to start from; the text goes to its end. */
static void parse_path(struct segments *s, struct sq_slice text, bool special, bool file)
{
    size_t from = 0;

    if (text.len && (text.data[0] == '/' || (special && text.data[0] == '\\')))
        from = 1;
    for (size_t i = from; i <= text.len; i++) {
        bool cut = i < text.len && (text.data[i] == '/' || (special && text.data[i] == '\\'));
        if (!cut && i < text.len)
            continue;
        add_segment(s, sq_slice(text.data + from, i - from), i == text.len, file);
        from = i + 1;
    }
}

static char *join(struct segments *s)
{
    struct sq_buf out = {0};

    for (size_t i = 0; i < s->count; i++) {
        sq_buf_putc(&out, '/');
        sq_buf_puts(&out, s->items[i]);
        free(s->items[i]);
    }
    free(s->items);
    *s = (struct segments){0};
    return sq_buf_steal(&out);
}

static void split_path(const char *path, struct segments *s)
{
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/");
        push(s, sq_xstrndup(path + 1, len));
        path += len + 1;
    }
}

/* ---- the parser, in pieces where the standard has states ---- */

static char *copy(const char *text)
{
    return text ? sq_xstrdup(text) : NULL;
}

static struct sq_slice rest_of(struct sq_slice s, size_t at)
{
    return sq_slice(s.data + at, s.len - at);
}

static size_t find(struct sq_slice s, const char *set)
{
    size_t i = 0;

    while (i < s.len && !in_set(s.data[i], set))
        i++;
    return i;
}

/* Query and fragment, from the '?' or '#' on. */
static void parse_tail(struct dom_url *u, struct sq_slice tail)
{
    size_t hash = find(tail, "#");

    if (tail.len && tail.data[0] == '?')
        u->query = encode_all(sq_slice(tail.data + 1, hash - 1),
                              sq_dom_url_is_special(u->scheme) ? SPECIAL_QUERY_SET : QUERY_SET);
    if (hash < tail.len)
        u->fragment = encode_all(rest_of(tail, hash + 1), FRAGMENT_SET);
}

static int parse_port(struct dom_url *u, struct sq_slice text)
{
    uint32_t port = 0;

    u->port = -1;
    if (text.len == 0)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.data[i]))
            return SQ_EINVALID;
        port = port * 10 + (uint32_t)(text.data[i] - '0');
        if (port > 65535)
            return SQ_EINVALID;
    }
    if ((int)port != sq_dom_url_default_port(u->scheme))
        u->port = (int)port;
    return 0;
}

static size_t port_colon(struct sq_slice host)
{
    bool brackets = false;

    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] == '[')
            brackets = true;
        else if (host.data[i] == ']')
            brackets = false;
        else if (host.data[i] == ':' && !brackets)
            return i;
    }
    return host.len;
}

static int parse_authority(struct dom_url *u, struct sq_slice text, bool special)
{
    size_t at = text.len;

    while (at > 0 && text.data[at - 1] != '@')
        at--;
    if (at > 0) {
        struct sq_slice info = sq_slice(text.data, at - 1);
        size_t colon = find(info, ":");
        free(u->username);
        u->username = encode_all(sq_slice(info.data, colon), USERINFO_SET);
        if (colon < info.len) {
            free(u->password);
            u->password = encode_all(rest_of(info, colon + 1), USERINFO_SET);
        }
        text = rest_of(text, at);
        if (text.len == 0)
            return SQ_EINVALID;
    }
    size_t colon = port_colon(text);
    if (colon == 0 && (special || colon < text.len))
        return SQ_EINVALID;
    u->host = parse_host(sq_slice(text.data, colon), special);
    if (!u->host)
        return SQ_EINVALID;
    return colon < text.len ? parse_port(u, rest_of(text, colon + 1)) : 0;
}

/* After "scheme://": authority, path, tail. */
static int parse_after_slashes(struct dom_url *u, struct sq_slice s)
{
    bool special = sq_dom_url_is_special(u->scheme);
    size_t end = find(s, special ? "/\\?#" : "/?#");
    struct sq_slice rest = rest_of(s, end);
    size_t tail = find(rest, "?#");
    struct segments path = {0};
    int rc = parse_authority(u, sq_slice(s.data, end), special);

    if (rc < 0)
        return rc;
    if (special || tail > 0)
        parse_path(&path, sq_slice(rest.data, tail), special, false);
    u->path = join(&path);
    parse_tail(u, rest_of(rest, tail));
    return 0;
}

static void parse_file_path(struct dom_url *u, struct segments *path, struct sq_slice s)
{
    size_t tail = find(s, "?#");

    parse_path(path, sq_slice(s.data, tail), true, true);
    u->path = join(path);
    parse_tail(u, rest_of(s, tail));
}

static bool starts_with_drive(struct sq_slice s)
{
    return s.len >= 2 && is_drive((const char *)s.data, 2, false) &&
           (s.len == 2 || in_set(s.data[2], "/\\?#"));
}

static int parse_file_host(struct dom_url *u, struct sq_slice s)
{
    size_t end = find(s, "/\\?#");
    struct segments path = {0};

    if (is_drive((const char *)s.data, end, false)) {
        u->host = sq_xstrdup("");
        parse_file_path(u, &path, s);
        return 0;
    }
    u->host = end ? parse_host(sq_slice(s.data, end), true) : sq_xstrdup("");
    if (!u->host)
        return SQ_EINVALID;
    if (strcmp(u->host, "localhost") == 0)
        u->host[0] = '\0';
    parse_file_path(u, &path, rest_of(s, end));
    return 0;
}

static int parse_relative(struct dom_url *u, struct sq_slice s, const struct dom_url *base);

static int parse_file(struct dom_url *u, struct sq_slice s, const struct dom_url *base)
{
    bool slash = s.len && in_set(s.data[0], "/\\");
    struct segments path = {0};

    if (slash && s.len > 1 && in_set(s.data[1], "/\\"))
        return parse_file_host(u, rest_of(s, 2));
    bool from_base = base && strcmp(base->scheme, "file") == 0;
    if (!slash && from_base && !starts_with_drive(s))
        return parse_relative(u, s, base);
    u->host = from_base && slash ? copy(base->host) : sq_xstrdup("");
    if (from_base && slash && !starts_with_drive(rest_of(s, 1)) && base->path[0] == '/' &&
        is_drive(base->path + 1, strcspn(base->path + 1, "/"), true))
        push(&path, sq_xstrndup(base->path + 1, 2));
    parse_file_path(u, &path, s);
    return 0;
}

static int parse_relative(struct dom_url *u, struct sq_slice s, const struct dom_url *base)
{
    bool special = sq_dom_url_is_special(u->scheme), file = strcmp(u->scheme, "file") == 0;
    const char *slashes = special ? "/\\" : "/";
    struct segments path = {0};
    size_t tail;

    if (s.len > 1 && in_set(s.data[0], slashes) && in_set(s.data[1], slashes)) {
        size_t skip = 2;
        while (special && skip < s.len && in_set(s.data[skip], slashes))
            skip++;
        return parse_after_slashes(u, rest_of(s, skip));
    }
    u->username = copy(base->username);
    u->password = copy(base->password);
    u->host = copy(base->host);
    u->port = base->port;
    tail = find(s, "?#");
    if (tail == 0) {
        u->path = sq_xstrdup(base->path);
        if (s.len == 0 || s.data[0] == '#')
            u->query = copy(base->query);
    } else {
        if (!in_set(s.data[0], slashes)) {
            split_path(base->path, &path);
            shorten(&path, file);
        }
        parse_path(&path, sq_slice(s.data, tail), special, file);
        u->path = join(&path);
    }
    parse_tail(u, rest_of(s, tail));
    return 0;
}

/* "scheme:" without slashes behind it, not special: one opaque piece. */
static void parse_opaque(struct dom_url *u, struct sq_slice s)
{
    size_t tail = find(s, "?#");
    struct sq_buf path = {0};

    u->opaque = true;
    for (size_t i = 0; i < tail; i++) {
        bool last_space = s.data[i] == ' ' && i + 1 == tail && tail < s.len;
        encode(&path, s.data[i], last_space ? " " : "");
    }
    u->path = sq_buf_steal(&path);
    parse_tail(u, rest_of(s, tail));
}

static int parse_with_scheme(struct dom_url *u, struct sq_slice s, const struct dom_url *base)
{
    struct segments path = {0};

    if (strcmp(u->scheme, "file") == 0)
        return parse_file(u, s, base);
    if (sq_dom_url_is_special(u->scheme)) {
        bool relative = base && strcmp(base->scheme, u->scheme) == 0 &&
                        !(s.len >= 2 && s.data[0] == '/' && s.data[1] == '/');
        size_t skip = 0;
        if (relative)
            return parse_relative(u, s, base);
        while (skip < s.len && in_set(s.data[skip], "/\\"))
            skip++;
        return parse_after_slashes(u, rest_of(s, skip));
    }
    if (s.len >= 2 && s.data[0] == '/' && s.data[1] == '/')
        return parse_after_slashes(u, rest_of(s, 2));
    if (s.len == 0 || s.data[0] != '/') {
        parse_opaque(u, s);
        return 0;
    }
    size_t tail = find(s, "?#");
    parse_path(&path, sq_slice(s.data, tail), false, false);
    u->path = join(&path);
    parse_tail(u, rest_of(s, tail));
    return 0;
}

static int parse_without_scheme(struct dom_url *u, struct sq_slice s, const struct dom_url *base)
{
    if (!base || (base->opaque && !(s.len && s.data[0] == '#')))
        return SQ_EINVALID;
    u->scheme = sq_xstrdup(base->scheme);
    if (base->opaque) {
        u->opaque = true;
        u->path = sq_xstrdup(base->path);
        u->query = copy(base->query);
        parse_tail(u, s);
        return 0;
    }
    return strcmp(u->scheme, "file") == 0 ? parse_file(u, s, base) : parse_relative(u, s, base);
}

/* Length of "scheme" when the text starts with "scheme:", else 0. */
static size_t scheme_len(struct sq_slice s)
{
    size_t i = 0;

    if (s.len == 0 || !is_alpha(s.data[0]))
        return 0;
    while (i < s.len && (is_alpha(s.data[i]) || is_digit(s.data[i]) || in_set(s.data[i], "+-.")))
        i++;
    return i < s.len && s.data[i] == ':' ? i : 0;
}

/* Without C0 controls and blanks around it, tabs and line ends inside. */
static void clean(struct sq_slice text, struct sq_buf *out)
{
    while (text.len && text.data[0] <= ' ')
        text = rest_of(text, 1);
    while (text.len && text.data[text.len - 1] <= ' ')
        text.len--;
    for (size_t i = 0; i < text.len; i++)
        if (!(text.data[i] == '\t' || text.data[i] == '\n' || text.data[i] == '\r'))
            sq_buf_putc(out, (char)text.data[i]);
}

int sq_dom_url_parse(struct sq_slice text, const struct dom_url *base, struct dom_url *out)
{
    struct sq_buf cleaned = {0};
    struct sq_slice s;
    size_t scheme;
    int rc;

    *out = (struct dom_url){.port = -1};
    clean(text, &cleaned);
    sq_buf_cstr(&cleaned); /* data is never NULL */
    s = sq_buf_slice(&cleaned);
    scheme = scheme_len(s);
    if (scheme) {
        out->scheme = sq_xstrndup((const char *)s.data, scheme);
        for (char *p = out->scheme; *p; p++)
            *p = sq_ascii_lower(*p);
        rc = parse_with_scheme(out, rest_of(s, scheme + 1), base);
    } else {
        rc = parse_without_scheme(out, s, base);
    }
    sq_buf_deinit(&cleaned);
    if (rc < 0) {
        sq_dom_url_deinit(out);
        return rc;
    }
    if (!out->username)
        out->username = sq_xstrdup("");
    if (!out->password)
        out->password = sq_xstrdup("");
    return 0;
}

/* ---- serialising ---- */

void sq_dom_url_write(const struct dom_url *u, bool with_fragment, struct sq_buf *out)
{
    sq_buf_printf(out, "%s:", u->scheme);
    if (u->host) {
        sq_buf_puts(out, "//");
        if (*u->username || *u->password) {
            sq_buf_puts(out, u->username);
            if (*u->password)
                sq_buf_printf(out, ":%s", u->password);
            sq_buf_putc(out, '@');
        }
        sq_buf_puts(out, u->host);
        if (u->port >= 0)
            sq_buf_printf(out, ":%d", u->port);
    } else if (!u->opaque && u->path[0] == '/' && u->path[1] == '/') {
        sq_buf_puts(out, "/.");
    }
    sq_buf_puts(out, u->path);
    if (u->query)
        sq_buf_printf(out, "?%s", u->query);
    if (with_fragment && u->fragment)
        sq_buf_printf(out, "#%s", u->fragment);
}

void sq_dom_url_origin(const struct dom_url *u, struct sq_buf *out)
{
    if (!sq_dom_url_is_special(u->scheme) || strcmp(u->scheme, "file") == 0) {
        sq_buf_puts(out, "null");
        return;
    }
    sq_buf_printf(out, "%s://%s", u->scheme, u->host);
    if (u->port >= 0)
        sq_buf_printf(out, ":%d", u->port);
}
