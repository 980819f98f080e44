/* SPDX-License-Identifier: Apache-2.0 */
/* One entry per name, found by a hash, in the order of last use. An entry is waiting (for a free
 * place), asking (c-ares has it) or known; waiters hang on the first two.
 *
 * c-ares may answer inside the call that asks (hosts file), so finished entries are collected in a
 * list and served by the outermost caller: thousands of such names do not nest. */
#include "net/dns.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"

enum {
    ASKING_MAX = 256,    /* questions at c-ares at one time */
    KNOWN_MAX = 16384,   /* answers kept */
    ADDRESSES_MAX = 256, /* of one answer */
    BUCKETS = 4096,
};

enum entry_state { WAITING, ASKING, KNOWN };

struct entry {
    struct sq_list order; /* in waiting, in finished, or in known (least lately used first) */
    struct entry *next;   /* in its bucket */
    struct sq_dns *dns;
    struct sq_list waiters; /* sq_dns_query */
    enum entry_state state;
    int step; /* of the families that the policy asks for */
    int status;
    int64_t expires_ns;
    union sq_address *addresses;
    uint32_t count, turn;
    bool busy; /* its waiters are being served: do not evict */
    bool hashed;
    char name[];
};

struct socket_io {
    struct sq_io io;
    struct sq_list node;
    struct sq_dns *dns;
};

struct sq_dns {
    struct sq_loop *loop;
    const struct sq_net_options *options;
    ares_channel channel;
    struct sq_timer timer;
    struct sq_list sockets; /* socket_io */
    struct sq_list waiting, finished, known;
    uint32_t asking, known_count;
    uint64_t questions, random;
    bool serving, closing;
    struct entry *buckets[BUCKETS];
};

static void pump(struct sq_dns *dns);

/* ---- the table ---- */

static struct entry **bucket_of(struct sq_dns *dns, struct sq_slice name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (uint8_t)sq_ascii_lower((char)name.data[i])) * 16777619u;
    return &dns->buckets[hash % BUCKETS];
}

static struct entry *find(struct sq_dns *dns, struct sq_slice name)
{
    struct entry *e = *bucket_of(dns, name);

    while (e && !sq_ascii_eq_nocase(sq_slice_str(e->name), name))
        e = e->next;
    return e;
}

static void forget(struct entry *e)
{
    if (!e->hashed)
        return;
    struct entry **at = bucket_of(e->dns, sq_slice_str(e->name));
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    e->hashed = false;
    if (e->state == KNOWN)
        e->dns->known_count--;
}

static void entry_free(struct entry *e)
{
    forget(e);
    sq_list_remove(&e->order);
    SQ_LIST_FOR_EACH (node, &e->waiters)
        sq_list_remove(node);
    free(e->addresses);
    free(e);
}

static struct entry *entry_new(struct sq_dns *dns, struct sq_slice name)
{
    struct entry *e = sq_xcalloc(1, sizeof *e + name.len + 1);
    struct entry **bucket = bucket_of(dns, name);

    e->dns = dns;
    sq_list_init(&e->order);
    sq_list_init(&e->waiters);
    memcpy(e->name, name.data, name.len);
    e->next = *bucket;
    *bucket = e;
    e->hashed = true;
    return e;
}

static void evict(struct sq_dns *dns)
{
    SQ_LIST_FOR_EACH (node, &dns->known) {
        struct entry *e = SQ_CONTAINER_OF(node, struct entry, order);
        if (dns->known_count < KNOWN_MAX)
            return;
        if (!e->busy)
            entry_free(e);
    }
}

/* ---- c-ares on the loop ---- */

static void rearm(struct sq_dns *dns)
{
    struct timeval tv;

    if (!ares_timeout(dns->channel, NULL, &tv)) {
        sq_timer_stop(dns->loop, &dns->timer);
        return;
    }
    /* A millisecond more: c-ares counts in those, and an early call would only spin. */
    int64_t wait_ns = (int64_t)tv.tv_sec * SQ_NS_PER_S + (int64_t)tv.tv_usec * SQ_NS_PER_US;
    sq_timer_start(dns->loop, &dns->timer, sq_loop_now(dns->loop) + wait_ns + SQ_NS_PER_MS);
}

static void process(struct sq_dns *dns, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(dns->channel, readable, writable);
    rearm(dns);
    pump(dns);
}

static void on_timer(struct sq_timer *timer)
{
    process(SQ_CONTAINER_OF(timer, struct sq_dns, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_socket(struct sq_io *io, unsigned events)
{
    struct sq_dns *dns = SQ_CONTAINER_OF(io, struct socket_io, io)->dns;
    int fd = io->fd;
    bool read = events & (SQ_IO_READ | SQ_IO_ERROR), write = events & SQ_IO_WRITE;

    process(dns, read ? fd : ARES_SOCKET_BAD, write ? fd : ARES_SOCKET_BAD);
}

static void on_socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct sq_dns *dns = user;
    unsigned events = (readable ? SQ_IO_READ : 0u) | (writable ? SQ_IO_WRITE : 0u);
    struct socket_io *s = NULL;

    SQ_LIST_FOR_EACH (node, &dns->sockets)
        if (SQ_CONTAINER_OF(node, struct socket_io, node)->io.fd == fd)
            s = SQ_CONTAINER_OF(node, struct socket_io, node);
    if (!events) {
        if (s) {
            sq_io_stop(dns->loop, &s->io);
            sq_list_remove(&s->node);
            free(s);
        }
        return;
    }
    if (s) {
        sq_io_update(dns->loop, &s->io, events);
        return;
    }
    s = sq_xcalloc(1, sizeof *s);
    s->dns = dns;
    s->io.ready = on_socket;
    s->io.fd = -1;
    /* Without a watch the question ends by c-ares's own timeout. */
    if (sq_io_start(dns->loop, &s->io, fd, events) < 0) {
        free(s);
        return;
    }
    sq_list_append(&dns->sockets, &s->node);
}

/* ---- asking ---- */

/* The families to ask for, one after the other until one has addresses. */
static int family_of(const struct sq_dns *dns, int step)
{
    static const int plans[][2] = {
        [SQ_DNS_PREFER_IPV4] = {AF_INET, AF_INET6},
        [SQ_DNS_PREFER_IPV6] = {AF_INET6, AF_INET},
        [SQ_DNS_ONLY_IPV4] = {AF_INET, -1},
        [SQ_DNS_ONLY_IPV6] = {AF_INET6, -1},
        [SQ_DNS_ANY] = {AF_UNSPEC, -1},
    };
    enum sq_dns_policy policy = dns->options->dns_policy;

    if (dns->options->happy_eyeballs && policy <= SQ_DNS_PREFER_IPV6)
        policy = SQ_DNS_ANY; /* the race needs both */
    return step < 2 ? plans[policy][step] : -1;
}

static void take_addresses(struct entry *e, const struct ares_addrinfo *info)
{
    uint32_t room = 0;

    for (const struct ares_addrinfo_node *n = info->nodes; n && room < ADDRESSES_MAX;
         n = n->ai_next)
        room++;
    if (room == 0)
        return;
    e->addresses = sq_xcalloc(room, sizeof *e->addresses);
    for (const struct ares_addrinfo_node *n = info->nodes; n && e->count < room; n = n->ai_next) {
        union sq_address *a = &e->addresses[e->count];
        size_t size = n->ai_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
        if ((n->ai_family != AF_INET && n->ai_family != AF_INET6) || n->ai_addrlen < size)
            continue;
        memcpy(a, n->ai_addr, size);
        sq_address_set_port(a, 0);
        e->count++;
    }
}

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *info)
{
    struct entry *e = user;
    struct sq_dns *dns = e->dns;

    (void)timeouts;
    if (dns->closing) {
        ares_freeaddrinfo(info);
        return;
    }
    if (status == ARES_SUCCESS && info)
        take_addresses(e, info);
    ares_freeaddrinfo(info);
    /* "No such name" for one family may hide a worse failure of the other: keep the worse. */
    if (status != ARES_SUCCESS &&
        (e->status == ARES_SUCCESS || e->status == ARES_ENOTFOUND || e->status == ARES_ENODATA))
        e->status = status;
    dns->asking--;
    e->step++;
    if (e->count == 0 && family_of(dns, e->step) >= 0) {
        e->state = WAITING;
        sq_list_append(&dns->waiting, &e->order);
        return;
    }
    sq_list_append(&dns->finished, &e->order);
}

static void ask(struct entry *e)
{
    struct sq_dns *dns = e->dns;
    /* Sorting by RFC 6724 opens a socket per address, and the policy decides here. */
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT,
        .ai_family = family_of(dns, e->step),
        .ai_socktype = SOCK_STREAM,
    };

    e->state = ASKING;
    dns->asking++;
    dns->questions++;
    ares_getaddrinfo(dns->channel, e->name, NULL, &hints, on_answer, e);
}

/* ---- answering ---- */

/* c-ares does not say why it had no socket; a server that fails looks the same (NT-16). */
static const char *local_trouble(int status)
{
    if (status != ARES_ECONNREFUSED && status != ARES_EFILE)
        return NULL;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        close(fd);
        return NULL;
    }
    if (errno != EMFILE && errno != ENFILE)
        return NULL;
    return "socket: too many open files: a limit of this machine, not of the server; raise it "
           "with `ulimit -n`";
}

static void describe(const struct entry *e, struct sq_dns_result *result, char *text, size_t size)
{
    *result = (struct sq_dns_result){
        .text = text,
        .addresses = e->addresses,
        .count = e->count,
        .turn = (uint32_t *)&e->turn,
    };
    text[0] = 0;
    if (e->count)
        return;
    const char *why = ares_strerror(e->status);
    const char *local = local_trouble(e->status);
    result->error = SQ_EDNS;
    result->error_code = 1100;
    switch (e->status) {
    case ARES_SUCCESS:
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
    case ARES_ENONAME:
        why = "no such host";
        result->error_code = 1101;
        break;
    case ARES_ETIMEOUT:
        why = "i/o timeout";
        break;
    case ARES_ECONNREFUSED: /* also what is left when every server failed */
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_EFORMERR:
    case ARES_EBADRESP:
    case ARES_ENOTIMP:
        why = "server misbehaving";
        break;
    default:
        break;
    }
    snprintf(text, size, "lookup %s: %s", e->name, local ? local : why);
}

static void serve(struct entry *e)
{
    struct sq_dns *dns = e->dns;
    struct sq_dns_result result;
    struct sq_list *node;
    char text[400];

    int64_t now = sq_loop_now(dns->loop);
    int64_t ttl = dns->options->dns_ttl_ns;
    bool keep = e->count > 0 && ttl > 0;
    if (keep) {
        e->state = KNOWN;
        e->expires_ns = ttl > INT64_MAX - now ? INT64_MAX : now + ttl;
        evict(dns);
        dns->known_count++;
        sq_list_append(&dns->known, &e->order);
    } else {
        /* Failures are not remembered: the next attempt asks again, as in k6. */
        forget(e);
    }
    describe(e, &result, text, sizeof text);
    e->busy = true;
    while ((node = sq_list_shift(&e->waiters))) {
        struct sq_dns_query *query = SQ_CONTAINER_OF(node, struct sq_dns_query, node);
        query->done(query, &result);
    }
    e->busy = false;
    if (!keep)
        entry_free(e);
}

static void pump(struct sq_dns *dns)
{
    struct sq_list *node;

    if (dns->serving)
        return;
    dns->serving = true;
    for (;;) {
        if ((node = sq_list_shift(&dns->finished)))
            serve(SQ_CONTAINER_OF(node, struct entry, order));
        else if (dns->asking < ASKING_MAX && (node = sq_list_shift(&dns->waiting)))
            ask(SQ_CONTAINER_OF(node, struct entry, order));
        else
            break;
    }
    dns->serving = false;
    rearm(dns);
}

/* ---- the contract ---- */

int sq_dns_new(struct sq_loop *loop, const struct sq_net_options *options, struct sq_dns **out,
               struct sq_error *err)
{
    struct sq_dns *dns = sq_xcalloc(1, sizeof *dns);
    struct ares_options ares = {.sock_state_cb = on_socket_state, .sock_state_cb_data = dns};
    int mask = ARES_OPT_SOCK_STATE_CB, rc;

    *out = NULL;
    dns->loop = loop;
    dns->options = options;
    dns->timer = SQ_TIMER_INIT(on_timer);
    sq_list_init(&dns->sockets);
    sq_list_init(&dns->waiting);
    sq_list_init(&dns->finished);
    sq_list_init(&dns->known);
    if (getrandom(&dns->random, sizeof dns->random, 0) != sizeof dns->random || !dns->random)
        dns->random = (uint64_t)sq_loop_now(loop) | 1;
    if (options->dns_servers) {
        mask |= ARES_OPT_DOMAINS | ARES_OPT_FLAGS; /* no search list of the system */
        ares.flags = ARES_FLAG_NOSEARCH;
    }
    rc = ares_library_init(ARES_LIB_INIT_ALL);
    if (rc == ARES_SUCCESS) {
        rc = ares_init_options(&dns->channel, &ares, mask);
        if (rc == ARES_SUCCESS && options->dns_servers)
            rc = ares_set_servers_ports_csv(dns->channel, options->dns_servers);
    }
    if (rc != ARES_SUCCESS) {
        sq_dns_free(dns);
        return sq_error_set(err, SQ_EDNS, "cannot start the resolver: %s", ares_strerror(rc));
    }
    *out = dns;
    return 0;
}

static void free_list(struct sq_list *list)
{
    while (!sq_list_empty(list))
        entry_free(SQ_CONTAINER_OF(list->next, struct entry, order));
}

void sq_dns_free(struct sq_dns *dns)
{
    if (!dns)
        return;
    dns->closing = true;
    if (dns->channel) {
        ares_destroy(dns->channel);
        ares_library_cleanup();
    }
    sq_timer_stop(dns->loop, &dns->timer);
    SQ_LIST_FOR_EACH (node, &dns->sockets) {
        struct socket_io *s = SQ_CONTAINER_OF(node, struct socket_io, node);
        sq_io_stop(dns->loop, &s->io);
        free(s);
    }
    free_list(&dns->waiting);
    free_list(&dns->finished);
    free_list(&dns->known);
    for (size_t i = 0; i < BUCKETS; i++)
        while (dns->buckets[i])
            entry_free(dns->buckets[i]); /* those that were being asked for */
    free(dns);
}

void sq_dns_lookup(struct sq_dns *dns, struct sq_slice name, struct sq_dns_query *query)
{
    struct entry *e = find(dns, name);
    struct sq_dns_result result;
    char text[400];

    sq_list_init(&query->node);
    if (e && e->state == KNOWN && !e->busy && e->expires_ns <= sq_loop_now(dns->loop)) {
        entry_free(e);
        e = NULL;
    }
    if (e && e->state == KNOWN) {
        sq_list_remove(&e->order);
        sq_list_append(&dns->known, &e->order);
        describe(e, &result, text, sizeof text);
        bool was_busy = e->busy;
        e->busy = true;
        query->done(query, &result);
        e->busy = was_busy;
        return;
    }
    if (!e) {
        e = entry_new(dns, name);
        sq_list_append(&e->waiters, &query->node);
        sq_list_append(&dns->waiting, &e->order);
    } else {
        sq_list_append(&e->waiters, &query->node);
    }
    pump(dns);
}

void sq_dns_cancel(struct sq_dns_query *query)
{
    sq_list_remove(&query->node);
}

const union sq_address *sq_dns_select(struct sq_dns *dns, const struct sq_dns_result *result)
{
    switch (dns->options->dns_select) {
    case SQ_DNS_FIRST:
        return &result->addresses[0];
    case SQ_DNS_ROUND_ROBIN:
        return &result->addresses[(*result->turn)++ % result->count];
    case SQ_DNS_RANDOM:
        break;
    }
    dns->random ^= dns->random << 13;
    dns->random ^= dns->random >> 7;
    dns->random ^= dns->random << 17;
    return &result->addresses[dns->random % result->count];
}

uint64_t sq_dns_questions(const struct sq_dns *dns)
{
    return dns->questions;
}
