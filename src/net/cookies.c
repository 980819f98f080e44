/* SPDX-License-Identifier: Apache-2.0 */
/* A jar holds few cookies of few sites, so it is one array in the order of creation; a sort by path
 * length, which keeps that order among equals, gives section 5.4's order. */
#include "net/cookies.h"

#include <libpsl.h>
#include <stdlib.h>

#include "base/text.h"
#include "net/address.h"
#include "net/idna.h"

enum {
    COOKIES_MAX = 3000,           /* in one jar; the oldest makes room */
    COOKIE_BYTES_MAX = 16 * 1024, /* name and value together */
};

struct cookie {
    char *name, *value, *domain, *path; /* owned */
    size_t name_len, value_len;         /* NUL-free, but counted once */
    int64_t expires_ns;                 /* INT64_MAX: with the jar */
    bool host_only, secure, http_only;
};

struct sq_cookie_jar {
    struct cookie *cookies; /* owned */
    size_t count, cap;
};

struct sq_cookie_jar *sq_cookie_jar_new(void)
{
    return sq_xcalloc(1, sizeof(struct sq_cookie_jar));
}

static void cookie_deinit(struct cookie *c)
{
    free(c->name);
    free(c->value);
    free(c->domain);
    free(c->path);
}

static void remove_at(struct sq_cookie_jar *jar, size_t at)
{
    cookie_deinit(&jar->cookies[at]);
    jar->count--;
    memmove(&jar->cookies[at], &jar->cookies[at + 1], (jar->count - at) * sizeof *jar->cookies);
}

void sq_cookie_jar_clear(struct sq_cookie_jar *jar)
{
    for (size_t i = 0; i < jar->count; i++)
        cookie_deinit(&jar->cookies[i]);
    free(jar->cookies);
    *jar = (struct sq_cookie_jar){0};
}

void sq_cookie_jar_free(struct sq_cookie_jar *jar)
{
    if (!jar)
        return;
    sq_cookie_jar_clear(jar);
    free(jar);
}

size_t sq_cookie_jar_count(const struct sq_cookie_jar *jar)
{
    return jar->count;
}

/* ---- dates, 5.1.1 ---- */

static bool is_date_delimiter(uint8_t c)
{
    return c == 0x09 || (c >= 0x20 && c <= 0x2f) || (c >= 0x3b && c <= 0x40) ||
           (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e);
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A number of min..max digits, then the end or something that is no digit; returns its length. */
static size_t take_number(struct sq_slice s, size_t min, size_t max, int *value)
{
    size_t len = 0;

    *value = 0;
    while (len < s.len && is_digit(s.data[len])) {
        if (len == max)
            return 0;
        *value = *value * 10 + (s.data[len++] - '0');
    }
    return len >= min ? len : 0;
}

static bool take_time(struct sq_slice s, int hms[3])
{
    for (int i = 0; i < 3; i++) {
        size_t len = take_number(s, 1, 2, &hms[i]);
        if (len == 0)
            return false;
        s = sq_slice(s.data + len, s.len - len);
        if (i < 2) {
            if (s.len == 0 || s.data[0] != ':')
                return false;
            s = sq_slice(s.data + 1, s.len - 1);
        }
    }
    return true;
}

static int month_of(struct sq_slice s)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (int i = 0; s.len >= 3 && i < 12; i++)
        if (sq_ascii_eq_nocase(sq_slice(s.data, 3), sq_slice(names + 3 * i, 3)))
            return i + 1;
    return 0;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, year_of_era = y % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static int64_t clamp_ns(int64_t seconds)
{
    if (seconds > INT64_MAX / SQ_NS_PER_S)
        return INT64_MAX - 1; /* far away, yet not "with the jar" */
    if (seconds < INT64_MIN / SQ_NS_PER_S)
        return INT64_MIN;
    return seconds * SQ_NS_PER_S;
}

int sq_cookie_date_parse(struct sq_slice text, int64_t *wall_ns)
{
    int hms[3] = {0}, day = 0, month = 0, year = 0, number;
    bool has_time = false, has_day = false, has_year = false;

    for (size_t at = 0; at < text.len;) {
        size_t end;
        while (at < text.len && is_date_delimiter(text.data[at]))
            at++;
        for (end = at; end < text.len && !is_date_delimiter(text.data[end]); end++)
            ;
        struct sq_slice token = sq_slice(text.data + at, end - at);
        at = end;
        if (token.len == 0)
            continue;
        if (!has_time && take_time(token, hms)) {
            has_time = true;
        } else if (!has_day && take_number(token, 1, 2, &number)) {
            day = number;
            has_day = true;
        } else if (!month && month_of(token)) {
            month = month_of(token);
        } else if (!has_year && take_number(token, 2, 4, &number)) {
            year = number;
            has_year = true;
        }
    }
    if (has_year && year >= 70 && year <= 99)
        year += 1900;
    else if (year >= 0 && year <= 69)
        year += 2000;
    if (!has_time || !has_day || !month || !has_year || year < 1601 || day < 1 ||
        day > days_in_month(year, month) || hms[0] > 23 || hms[1] > 59 || hms[2] > 59)
        return SQ_EINVALID;
    *wall_ns = clamp_ns(days_of(year, month, day) * 86400 + hms[0] * 3600 + hms[1] * 60 + hms[2]);
    return 0;
}

/* ---- hosts and paths ---- */

/* 5.1.2: ASCII, lower case, no final dot. NULL: not a host. Owned. */
static char *canonical_host(struct sq_slice host)
{
    if (host.len && host.data[host.len - 1] == '.')
        host.len--;
    char *out = host.len ? sq_idna_to_ascii(host) : NULL;
    for (char *c = out; c && *c; c++)
        *c = sq_ascii_lower(*c);
    return out;
}

static bool is_address(const char *host)
{
    union sq_address a;

    return sq_address_parse(sq_slice_str(host), &a);
}

/* 5.1.3, both canonical. */
static bool domain_matches(const char *host, const char *domain)
{
    size_t host_len = strlen(host), len = strlen(domain);

    if (strcmp(host, domain) == 0)
        return true;
    return host_len > len && strcmp(host + host_len - len, domain) == 0 &&
           host[host_len - len - 1] == '.' && !is_address(host);
}

static struct sq_slice path_of(const struct sq_cookie_url *url)
{
    struct sq_slice path = url->path;

    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] == '?' || path.data[i] == '#') {
            path.len = i;
            break;
        }
    if (path.len == 0 || path.data[0] != '/')
        return sq_slice_str("/");
    return path;
}

/* 5.1.4 */
static struct sq_slice default_path(const struct sq_cookie_url *url)
{
    struct sq_slice path = path_of(url);

    while (path.len > 1 && path.data[path.len - 1] != '/')
        path.len--;
    if (path.len > 1)
        path.len--;
    return path;
}

static bool path_matches(struct sq_slice path, const char *cookie_path)
{
    size_t len = strlen(cookie_path);

    if (path.len < len || memcmp(path.data, cookie_path, len) != 0)
        return false;
    return path.len == len || cookie_path[len - 1] == '/' || path.data[len] == '/';
}

/* Plain text to a host of this machine cannot be overheard (WS-28). */
static bool is_loopback(const char *host)
{
    static const char tail[] = ".localhost";
    union sq_address a;
    size_t len = strlen(host);

    return strcmp(host, "localhost") == 0 ||
           (len > sizeof tail - 1 && strcmp(host + len - (sizeof tail - 1), tail) == 0) ||
           (sq_address_parse(sq_slice_str(host), &a) && sq_address_loopback(&a));
}

/* ---- storing, 5.3 ---- */

struct parsed {
    struct sq_slice name, value, domain, path;
    int64_t expires_ns;
    bool secure, http_only;
};

static bool has_control(struct sq_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f)
            return true;
    return false;
}

/* 0 and *domain (owned) with *host_only, or SQ_EINVALID. `host` is canonical. */
static int settle_domain(struct sq_slice wanted, const char *host, char **domain, bool *host_only)
{
    int rc = 0;

    *host_only = true;
    if (wanted.len && wanted.data[0] == '.') {
        wanted.data++;
        wanted.len--;
    }
    if (wanted.len == 0) {
        *domain = sq_xstrdup(host);
        return 0;
    }
    char *found = canonical_host(wanted);
    if (!found)
        return SQ_EINVALID;
    if (strcmp(found, host) == 0 &&
        (is_address(host) || psl_is_public_suffix(psl_builtin(), found)))
        *host_only = true;
    else if (!domain_matches(host, found) || psl_is_public_suffix(psl_builtin(), found))
        rc = SQ_EINVALID;
    else
        *host_only = false;
    if (rc < 0)
        free(found);
    else
        *domain = found;
    return rc;
}

static struct cookie *find(struct sq_cookie_jar *jar, const struct parsed *p, const char *domain,
                           const char *path)
{
    for (size_t i = 0; i < jar->count; i++) {
        struct cookie *c = &jar->cookies[i];
        if (sq_slice_eq(sq_slice(c->name, c->name_len), p->name) &&
            strcmp(c->domain, domain) == 0 && strcmp(c->path, path) == 0)
            return c;
    }
    return NULL;
}

static void make_room(struct sq_cookie_jar *jar, int64_t wall_ns)
{
    if (jar->count >= COOKIES_MAX) {
        for (size_t i = jar->count; i-- > 0;)
            if (jar->cookies[i].expires_ns <= wall_ns)
                remove_at(jar, i);
        if (jar->count >= COOKIES_MAX)
            remove_at(jar, 0);
    }
    if (jar->count == jar->cap) {
        jar->cap = jar->cap ? 2 * jar->cap : 4;
        jar->cookies = sq_xrealloc(jar->cookies, jar->cap * sizeof *jar->cookies);
    }
}

static char *copy(struct sq_slice s)
{
    return sq_xstrndup((const char *)s.data, s.len);
}

static int store(struct sq_cookie_jar *jar, const struct sq_cookie_url *url, const struct parsed *p,
                 int64_t wall_ns)
{
    char *domain = NULL, *path = NULL, *host = NULL;
    bool host_only;
    int rc = SQ_EINVALID;

    if (p->name.len == 0 || p->name.len + p->value.len > COOKIE_BYTES_MAX || has_control(p->name) ||
        has_control(p->value) || has_control(p->path) || p->path.len > COOKIE_BYTES_MAX)
        return SQ_EINVALID;
    host = canonical_host(url->host);
    if (!host)
        return SQ_EINVALID;
    rc = settle_domain(p->domain, host, &domain, &host_only);
    if (rc < 0)
        goto out;
    path = copy(p->path.len && p->path.data[0] == '/' ? p->path : default_path(url));
    struct cookie *c = find(jar, p, domain, path);
    if (p->expires_ns <= wall_ns) {
        if (c)
            remove_at(jar, (size_t)(c - jar->cookies));
        goto out;
    }
    if (c) { /* keeps its place: its creation time */
        free(c->value);
    } else {
        make_room(jar, wall_ns);
        c = &jar->cookies[jar->count++];
        *c = (struct cookie){.name = copy(p->name), .name_len = p->name.len};
        c->domain = domain;
        c->path = path;
        domain = path = NULL;
    }
    c->value = copy(p->value);
    c->value_len = p->value.len;
    c->expires_ns = p->expires_ns;
    c->host_only = host_only;
    c->secure = p->secure;
    c->http_only = p->http_only;
out:
    free(domain);
    free(path);
    free(host);
    return rc;
}

/* ---- Set-Cookie, 5.2 ---- */

/* Takes text up to `mark` (or all) off *s; the mark goes too. */
static struct sq_slice take_until(struct sq_slice *s, uint8_t mark)
{
    const uint8_t *at = s->len ? memchr(s->data, mark, s->len) : NULL;
    struct sq_slice head = sq_slice(s->data, at ? (size_t)(at - s->data) : s->len);

    *s = at ? sq_slice(at + 1, s->len - head.len - 1) : sq_slice(s->data + s->len, 0);
    return head;
}

/* 5.2.2; false: not a number, to be ignored. */
static bool parse_max_age(struct sq_slice s, int64_t wall_ns, int64_t *expires_ns)
{
    bool negative = s.len && s.data[0] == '-';
    int64_t seconds = 0;

    if (negative)
        s = sq_slice(s.data + 1, s.len - 1);
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]))
            return false;
        if (seconds < INT64_C(100000000000))
            seconds = seconds * 10 + (s.data[i] - '0');
    }
    int64_t span = clamp_ns(seconds);
    if (negative || seconds == 0)
        *expires_ns = INT64_MIN;
    else
        *expires_ns = wall_ns > INT64_MAX - 1 - span ? INT64_MAX - 1 : wall_ns + span;
    return true;
}

int sq_cookie_jar_store(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                        struct sq_slice set_cookie, int64_t wall_ns)
{
    struct parsed p = {.expires_ns = INT64_MAX};
    struct sq_slice rest = set_cookie, pair = take_until(&rest, ';');
    bool has_max_age = false;
    int64_t when;

    if (pair.len == 0 || !memchr(pair.data, '=', pair.len))
        return SQ_EINVALID;
    p.name = sq_slice_trim(take_until(&pair, '='));
    p.value = sq_slice_trim(pair);
    while (rest.len) {
        struct sq_slice value = take_until(&rest, ';');
        struct sq_slice name = sq_slice_trim(take_until(&value, '='));
        value = sq_slice_trim(value);
        if (sq_ascii_eq_nocase(name, sq_slice_str("expires"))) {
            if (!has_max_age && sq_cookie_date_parse(value, &when) == 0)
                p.expires_ns = when;
        } else if (sq_ascii_eq_nocase(name, sq_slice_str("max-age"))) {
            if (parse_max_age(value, wall_ns, &when)) {
                p.expires_ns = when;
                has_max_age = true;
            }
        } else if (sq_ascii_eq_nocase(name, sq_slice_str("domain"))) {
            if (value.len)
                p.domain = value;
        } else if (sq_ascii_eq_nocase(name, sq_slice_str("path"))) {
            p.path = value;
        } else if (sq_ascii_eq_nocase(name, sq_slice_str("secure"))) {
            p.secure = true;
        } else if (sq_ascii_eq_nocase(name, sq_slice_str("httponly"))) {
            p.http_only = true;
        }
    }
    return store(jar, url, &p, wall_ns);
}

/* RFC 6265 4.1.1's syntax, which a script has to keep (a server only ought to). */
static bool name_is_token(struct sq_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] <= ' ' || name.data[i] >= 0x7f ||
            strchr("()<>@,;:\\\"/[]?={}", name.data[i]))
            return false;
    return name.len > 0;
}

int sq_cookie_jar_set(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                      const struct sq_cookie_fields *f, int64_t wall_ns)
{
    struct parsed p = {
        .name = f->name,
        .value = f->value,
        .domain = f->domain,
        .path = f->path,
        .expires_ns = INT64_MAX,
        .secure = f->secure,
        .http_only = f->http_only,
    };

    if (!name_is_token(f->name) || (f->value.len && memchr(f->value.data, ';', f->value.len)) ||
        (f->path.len && memchr(f->path.data, ';', f->path.len)))
        return SQ_EINVALID;
    if (f->expires.len && sq_cookie_date_parse(f->expires, &p.expires_ns) < 0)
        return SQ_EINVALID;
    if (f->max_age_s < 0) {
        p.expires_ns = INT64_MIN;
    } else if (f->max_age_s > 0) {
        int64_t span = clamp_ns(f->max_age_s);
        p.expires_ns = wall_ns > INT64_MAX - 1 - span ? INT64_MAX - 1 : wall_ns + span;
    }
    return store(jar, url, &p, wall_ns);
}

/* ---- sending, 5.4 ---- */

static bool cookie_matches(const struct cookie *c, const struct sq_cookie_url *url,
                           const char *host)
{
    if (c->host_only ? strcmp(c->domain, host) != 0 : !domain_matches(host, c->domain))
        return false;
    return path_matches(path_of(url), c->path) && (!c->secure || url->secure || is_loopback(host));
}

static void drop_expired(struct sq_cookie_jar *jar, int64_t wall_ns)
{
    for (size_t i = jar->count; i-- > 0;)
        if (jar->cookies[i].expires_ns <= wall_ns)
            remove_at(jar, i);
}

struct choice {
    const struct cookie *cookie;
    size_t path_len;
};

static int compare_choices(const void *left, const void *right)
{
    const struct choice *a = left, *b = right;

    if (a->path_len != b->path_len)
        return a->path_len > b->path_len ? -1 : 1;
    return (a->cookie > b->cookie) - (a->cookie < b->cookie); /* the array is by creation */
}

void sq_cookie_jar_each(struct sq_cookie_jar *jar, const struct sq_cookie_url *url, int64_t wall_ns,
                        void (*each)(void *user, struct sq_slice name, struct sq_slice value),
                        void *user)
{
    size_t count = 0;

    if (jar->count == 0)
        return;
    drop_expired(jar, wall_ns);
    char *host = canonical_host(url->host);
    if (!host || jar->count == 0) {
        free(host);
        return;
    }
    struct choice *choices = sq_xcalloc(jar->count, sizeof *choices);
    for (size_t i = 0; i < jar->count; i++)
        if (cookie_matches(&jar->cookies[i], url, host))
            choices[count++] = (struct choice){&jar->cookies[i], strlen(jar->cookies[i].path)};
    if (count > 1)
        qsort(choices, count, sizeof *choices, compare_choices);
    for (size_t i = 0; i < count; i++) {
        const struct cookie *c = choices[i].cookie;
        each(user, sq_slice(c->name, c->name_len), sq_slice(c->value, c->value_len));
    }
    free(choices);
    free(host);
}

static void put_pair(void *user, struct sq_slice name, struct sq_slice value)
{
    struct sq_buf *pairs = user;

    if (pairs->len)
        sq_buf_puts(pairs, "; ");
    sq_buf_put(pairs, name.data, name.len);
    sq_buf_putc(pairs, '=');
    sq_buf_put(pairs, value.data, value.len);
}

void sq_cookie_jar_header(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                          int64_t wall_ns, struct sq_buf *out)
{
    struct sq_buf pairs = {0}; /* *out may hold something before ours */

    sq_cookie_jar_each(jar, url, wall_ns, put_pair, &pairs);
    sq_buf_put(out, pairs.data, pairs.len);
    sq_buf_deinit(&pairs);
}

static void remove_matching(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                            const struct sq_slice *name)
{
    char *host = canonical_host(url->host);

    for (size_t i = host ? jar->count : 0; i-- > 0;) {
        const struct cookie *c = &jar->cookies[i];
        if ((!name || sq_slice_eq(sq_slice(c->name, c->name_len), *name)) &&
            cookie_matches(c, url, host))
            remove_at(jar, i);
    }
    free(host);
}

void sq_cookie_jar_delete(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                          struct sq_slice name)
{
    remove_matching(jar, url, &name);
}

void sq_cookie_jar_clear_url(struct sq_cookie_jar *jar, const struct sq_cookie_url *url)
{
    remove_matching(jar, url, NULL);
}
