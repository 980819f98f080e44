/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

typedef unsigned __int128 u128;

/* "%lo", "%25lo", "%3". An unknown interface makes the text no literal. */
static bool parse_zone(struct sq_slice zone, uint32_t *scope)
{
    char name[IF_NAMESIZE];

    if (zone.len > 2 && memcmp(zone.data, "25", 2) == 0) {
        zone.data += 2;
        zone.len -= 2;
    }
    if (zone.len == 0 || zone.len >= sizeof name)
        return false;
    memcpy(name, zone.data, zone.len);
    name[zone.len] = 0;
    *scope = if_nametoindex(name);
    if (*scope == 0) {
        char *end;
        unsigned long index = strtoul(name, &end, 10);
        if (!isdigit((unsigned char)name[0]) || *end || index > UINT32_MAX)
            return false;
        *scope = (uint32_t)index;
    }
    return true;
}

bool sq_address_parse(struct sq_slice text, union sq_address *out)
{
    char copy[INET6_ADDRSTRLEN];
    const uint8_t *percent = text.len ? memchr(text.data, '%', text.len) : NULL;
    size_t len = percent ? (size_t)(percent - text.data) : text.len;

    memset(out, 0, sizeof *out);
    if (len == 0 || len >= sizeof copy || memchr(text.data, 0, len))
        return false;
    memcpy(copy, text.data, len);
    copy[len] = 0;
    if (!percent && inet_pton(AF_INET, copy, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, copy, &out->v6.sin6_addr) != 1)
        return false;
    out->v6.sin6_family = AF_INET6;
    return !percent ||
           parse_zone(sq_slice(percent + 1, text.len - len - 1), &out->v6.sin6_scope_id);
}

static bool parse_port(struct sq_slice text, uint16_t *port)
{
    uint32_t value = 0;

    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

bool sq_address_parse_port(struct sq_slice text, union sq_address *out, uint16_t *port)
{
    const uint8_t *mark;

    *port = 0;
    if (text.len && text.data[0] == '[') {
        mark = memchr(text.data, ']', text.len);
        if (!mark)
            return false;
        size_t len = (size_t)(mark - text.data);
        if (!sq_address_parse(sq_slice(text.data + 1, len - 1), out) ||
            out->any.sa_family != AF_INET6)
            return false;
        struct sq_slice rest = sq_slice(mark + 1, text.len - len - 1);
        if (rest.len == 0)
            return true;
        if (rest.data[0] != ':' || !parse_port(sq_slice(rest.data + 1, rest.len - 1), port))
            return false;
        sq_address_set_port(out, *port);
        return true;
    }
    if (sq_address_parse(text, out))
        return true;
    mark = text.len ? memchr(text.data, ':', text.len) : NULL;
    if (!mark)
        return false;
    size_t len = (size_t)(mark - text.data);
    if (!sq_address_parse(sq_slice(text.data, len), out) ||
        !parse_port(sq_slice(mark + 1, text.len - len - 1), port))
        return false;
    sq_address_set_port(out, *port);
    return true;
}

void sq_address_set_port(union sq_address *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

uint16_t sq_address_port(const union sq_address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

socklen_t sq_address_len(const union sq_address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

/* As numbers that compare; mapped v6 becomes v4. Returns the family. */
static int number_of(const union sq_address *a, u128 *value)
{
    uint8_t bytes[16];

    if (a->any.sa_family == AF_INET) {
        *value = ntohl(a->v4.sin_addr.s_addr);
        return AF_INET;
    }
    memcpy(bytes, &a->v6.sin6_addr, sizeof bytes);
    *value = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        *value = *value << 8 | bytes[i];
    if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
        *value &= UINT32_MAX;
        return AF_INET;
    }
    return AF_INET6;
}

static void from_number(int family, u128 value, union sq_address *out)
{
    memset(out, 0, sizeof *out);
    out->any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        out->v4.sin_addr.s_addr = htonl((uint32_t)value);
        return;
    }
    for (size_t i = 16; i-- > 0; value >>= 8)
        out->v6.sin6_addr.s6_addr[i] = (uint8_t)value;
}

bool sq_address_loopback(const union sq_address *a)
{
    u128 value;

    if (number_of(a, &value) == AF_INET)
        return value >> 24 == 127;
    return value == 1;
}

bool sq_address_same_ip(const union sq_address *a, const union sq_address *b)
{
    u128 x, y;

    return number_of(a, &x) == number_of(b, &y) && x == y;
}

void sq_address_format_ip(const union sq_address *a, char out[SQ_ADDRESS_TEXT_BYTES])
{
    char name[IF_NAMESIZE];

    if (a->any.sa_family != AF_INET6) {
        inet_ntop(AF_INET, &a->v4.sin_addr, out, SQ_ADDRESS_TEXT_BYTES);
        return;
    }
    inet_ntop(AF_INET6, &a->v6.sin6_addr, out, SQ_ADDRESS_TEXT_BYTES);
    if (a->v6.sin6_scope_id) {
        size_t len = strlen(out);
        if (if_indextoname(a->v6.sin6_scope_id, name))
            snprintf(out + len, SQ_ADDRESS_TEXT_BYTES - len, "%%%s", name);
        else
            snprintf(out + len, SQ_ADDRESS_TEXT_BYTES - len, "%%%u", a->v6.sin6_scope_id);
    }
}

void sq_address_format(const union sq_address *a, char out[SQ_ADDRESS_TEXT_BYTES])
{
    char ip[SQ_ADDRESS_TEXT_BYTES];

    sq_address_format_ip(a, ip);
    /* inet_ntop's longest text, zone and port together stay below the bound. */
    snprintf(out, SQ_ADDRESS_TEXT_BYTES, a->any.sa_family == AF_INET6 ? "[%.55s]:%u" : "%.55s:%u",
             ip, sq_address_port(a));
}

bool sq_address_range_parse(struct sq_slice text, struct sq_address_range *out)
{
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    union sq_address a;
    uint32_t bits = 0;

    if (!slash || memchr(text.data, '%', text.len) ||
        !sq_address_parse(sq_slice(text.data, (size_t)(slash - text.data)), &a))
        return false;
    size_t digits = text.len - (size_t)(slash - text.data) - 1;
    if (digits == 0 || digits > 3)
        return false;
    for (size_t i = 1; i <= digits; i++) {
        if (slash[i] < '0' || slash[i] > '9')
            return false;
        bits = bits * 10 + (uint32_t)(slash[i] - '0');
    }
    uint32_t width = a.any.sa_family == AF_INET ? 32 : 128;
    if (bits > width)
        return false;
    u128 value;
    out->family = number_of(&a, &value);
    if (out->family == AF_INET && width == 128) { /* ::ffff:10.0.0.0/104 */
        if (bits < 96)
            return false;
        bits -= 96;
        width = 32;
    }
    u128 host_mask = width == bits ? 0 : ~(u128)0 >> (128 - (width - bits));
    out->first = value & ~host_mask;
    out->last = value | host_mask;
    out->prefix_bits = (uint8_t)bits;
    return true;
}

bool sq_address_range_has(const struct sq_address_range *range, const union sq_address *a)
{
    u128 value;

    return number_of(a, &value) == range->family && value >= range->first && value <= range->last;
}

void sq_address_range_format(const struct sq_address_range *range, char out[SQ_ADDRESS_TEXT_BYTES])
{
    union sq_address a;
    char ip[SQ_ADDRESS_TEXT_BYTES];

    from_number(range->family, range->first, &a);
    sq_address_format_ip(&a, ip);
    snprintf(out, SQ_ADDRESS_TEXT_BYTES, "%.55s/%u", ip, range->prefix_bits);
}

bool sq_host_pattern_matches(const char *pattern, struct sq_slice host)
{
    struct sq_slice rest = sq_slice_str(pattern);

    if (rest.len == 0 || rest.data[0] != '*')
        return sq_ascii_eq_nocase(rest, host);
    rest.data++;
    rest.len--;
    return rest.len <= host.len &&
           sq_ascii_eq_nocase(rest, sq_slice(host.data + host.len - rest.len, rest.len));
}

int sq_address_policy_init(struct sq_address_policy *p, const struct sq_net_options *o,
                           struct sq_error *err)
{
    union sq_address target;
    uint16_t port;

    p->options = o;
    p->blacklist = NULL;
    for (size_t i = 0; i < o->hosts_count; i++)
        if (!sq_address_parse_port(sq_slice_str(o->hosts[i].target), &target, &port))
            return sq_error_set(err, SQ_EINVALID,
                                "hosts: '%s' maps to '%s', which is not an IP address or ip:port",
                                o->hosts[i].pattern, o->hosts[i].target);
    if (o->blacklist_ips_count)
        p->blacklist = sq_xcalloc(o->blacklist_ips_count, sizeof *p->blacklist);
    for (size_t i = 0; i < o->blacklist_ips_count; i++)
        if (!sq_address_range_parse(sq_slice_str(o->blacklist_ips[i]), &p->blacklist[i])) {
            sq_address_policy_deinit(p);
            return sq_error_set(err, SQ_EINVALID,
                                "blacklistIPs: '%s' is not a range in CIDR form, e.g. 10.0.0.0/8",
                                o->blacklist_ips[i]);
        }
    return 0;
}

void sq_address_policy_deinit(struct sq_address_policy *p)
{
    free(p->blacklist);
    p->blacklist = NULL;
}

const char *sq_address_policy_blocked_by(const struct sq_address_policy *p, struct sq_slice host)
{
    union sq_address literal;

    if (p->options->block_hostnames_count == 0 || sq_address_parse(host, &literal))
        return NULL;
    for (size_t i = 0; i < p->options->block_hostnames_count; i++)
        if (sq_host_pattern_matches(p->options->block_hostnames[i], host))
            return p->options->block_hostnames[i];
    return NULL;
}

const struct sq_address_range *sq_address_policy_blacklisted_by(const struct sq_address_policy *p,
                                                                const union sq_address *a)
{
    for (size_t i = 0; i < p->options->blacklist_ips_count; i++)
        if (sq_address_range_has(&p->blacklist[i], a))
            return &p->blacklist[i];
    return NULL;
}

/* Splits "name:port"; a row without a port (or with a bare v6 address) keeps *port 0. */
static struct sq_slice split_pattern(const char *pattern, uint16_t *port)
{
    struct sq_slice all = sq_slice_str(pattern);
    const char *colon = strrchr(pattern, ':');

    *port = 0;
    if (colon && colon > pattern && (strchr(pattern, ':') == colon || colon[-1] == ']') &&
        parse_port(sq_slice_str(colon + 1), port))
        all.len = (size_t)(colon - pattern);
    if (all.len > 1 && all.data[0] == '[' && all.data[all.len - 1] == ']') {
        all.data++;
        all.len -= 2;
    }
    return all;
}

/* How well a row fits, 0: not at all. */
static size_t row_rank(const char *pattern, struct sq_slice host, uint16_t port)
{
    uint16_t row_port;
    struct sq_slice name = split_pattern(pattern, &row_port);
    size_t rank;

    if (row_port && row_port != port)
        return 0;
    if (name.len && name.data[0] == '*') {
        struct sq_slice tail = sq_slice(name.data + 1, name.len - 1);
        if (tail.len > host.len ||
            !sq_ascii_eq_nocase(tail, sq_slice(host.data + host.len - tail.len, tail.len)))
            return 0;
        rank = 1 + SQ_MIN(tail.len, (size_t)0xffff);
    } else {
        if (!sq_ascii_eq_nocase(name, host))
            return 0;
        rank = 1 << 17;
    }
    return rank + (row_port ? 1 << 18 : 0);
}

bool sq_address_policy_host(const struct sq_address_policy *p, struct sq_slice host, uint16_t port,
                            union sq_address *out)
{
    const struct sq_net_host *best = NULL;
    size_t best_rank = 0;
    uint16_t mapped;

    for (size_t i = 0; i < p->options->hosts_count; i++) {
        size_t rank = row_rank(p->options->hosts[i].pattern, host, port);
        if (rank > best_rank) {
            best_rank = rank;
            best = &p->options->hosts[i];
        }
    }
    if (!best || !sq_address_parse_port(sq_slice_str(best->target), out, &mapped))
        return false;
    sq_address_set_port(out, mapped ? mapped : port);
    return true;
}

/* One member of --local-ips. */
static bool parse_pool_member(struct sq_slice text, struct sq_address_range *out)
{
    union sq_address a, b;
    const uint8_t *dash = memchr(text.data, '-', text.len);

    if (sq_address_range_parse(text, out)) {
        /* The network's own and its broadcast address are no source addresses. */
        if (out->family == AF_INET && out->last - out->first > 1) {
            out->first++;
            out->last--;
        }
        return true;
    }
    if (!dash) {
        if (!sq_address_parse(text, &a))
            return false;
        out->family = number_of(&a, &out->first);
        out->last = out->first;
        return true;
    }
    size_t len = (size_t)(dash - text.data);
    if (!sq_address_parse(sq_slice_trim(sq_slice(text.data, len)), &a) ||
        !sq_address_parse(sq_slice_trim(sq_slice(dash + 1, text.len - len - 1)), &b))
        return false;
    out->family = number_of(&a, &out->first);
    return number_of(&b, &out->last) == out->family && out->first <= out->last;
}

int sq_address_pool_init(struct sq_address_pool *pool, const char *text, struct sq_error *err)
{
    *pool = (struct sq_address_pool){0};
    if (!text || !*text)
        return 0;
    for (const char *at = text;; at++) {
        const char *end = strchrnul(at, ',');
        struct sq_slice member = sq_slice_trim(sq_slice(at, (size_t)(end - at)));
        struct sq_address_range range = {0};
        if (member.len == 0 || !parse_pool_member(member, &range)) {
            sq_address_pool_deinit(pool);
            return sq_error_set(err, SQ_EINVALID,
                                "local IPs: '%.*s' is not an address, a range a-b or a CIDR",
                                (int)SQ_MIN(member.len, (size_t)100), (const char *)member.data);
        }
        pool->ranges = sq_xrealloc(pool->ranges, (pool->count + 1) * sizeof *pool->ranges);
        pool->ranges[pool->count++] = range;
        u128 total = (u128)pool->total + (range.last - range.first) + 1;
        if (total > UINT64_MAX || range.last - range.first >= UINT64_MAX)
            total = UINT64_MAX;
        pool->total = (uint64_t)total;
        at = end;
        if (!*at)
            return 0;
    }
}

void sq_address_pool_deinit(struct sq_address_pool *pool)
{
    free(pool->ranges);
    *pool = (struct sq_address_pool){0};
}

bool sq_address_pool_pick(const struct sq_address_pool *pool, uint32_t vu_id, union sq_address *out)
{
    if (pool->total == 0)
        return false;
    /* VU 0 (setup, teardown) takes the first address. */
    u128 index = (vu_id ? vu_id - 1 : 0) % pool->total;
    for (size_t i = 0; i < pool->count; i++) {
        const struct sq_address_range *range = &pool->ranges[i];
        u128 size = range->last - range->first + 1; /* 0: the whole of ::/0 */
        if (size == 0 || index < size) {
            from_number(range->family, range->first + index, out);
            return true;
        }
        index -= size;
    }
    sq_panic("local IPs: the pool counts more addresses than it has");
}
