/* SPDX-License-Identifier: Apache-2.0 */
/* --out experimental-prometheus-rw: totals per series by remote write (MET-80 to MET-84). A series
 * that an unreachable receiver did not get goes with the next flush, with its newer total. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "output/delivery.h"
#include "output/http_post.h"
#include "output/prometheus_message.h"
#include "output/settings.h"
#include "output/snappy.h"
#include "output/target.h"

#define NAME "experimental-prometheus-rw"
enum { REQUEST_BYTES = 4 * 1024 * 1024 }; /* before compression; receivers have limits */

struct prometheus {
    struct sq_series_map series;
    struct sq_prom_options options;
    struct sq_target target;
    char *url, *shown_url;
    struct sq_post *post;
    struct sq_snappy snappy;
    struct sq_delivery delivery;
    struct sq_buf request, packed;
    int64_t interval_ns, flush_ns;
    bool stale_markers, unreachable; /* the latest request failed */
};

/* ---- configuration ---- */

struct header_reader {
    struct sq_settings *s;
    struct sq_post_headers *headers;
};

static void add_header(void *user, struct sq_slice name, struct sq_slice value)
{
    struct header_reader *reader = user;

    if (sq_post_headers_add(reader->headers, sq_slice_trim(name), sq_slice_trim(value)) < 0)
        sq_settings_fail(reader->s, "the HTTP header '%.*s' is not valid", (int)name.len,
                         (const char *)name.data);
}

static void add_header_of_list(void *user, struct sq_slice part)
{
    struct header_reader *reader = user;
    const uint8_t *colon = memchr(part.data, ':', part.len);

    if (!colon) {
        sq_settings_fail(reader->s, "K6_PROMETHEUS_RW_HTTP_HEADERS: an item is not name:value");
        return;
    }
    size_t len = (size_t)(colon - part.data);
    add_header(user, sq_slice(part.data, len), sq_slice(colon + 1, part.len - len - 1));
}

struct stat_reader {
    struct sq_settings *s;
    struct sq_prom_options *options;
};

static void add_stat(void *user, struct sq_slice part)
{
    struct stat_reader *reader = user;

    if (!sq_prom_stats_add(reader->options, part))
        sq_settings_fail(reader->s,
                         "K6_PROMETHEUS_RW_TREND_STATS: '%.*s' is none of avg, min, max, med, "
                         "count, sum and p(N)",
                         (int)part.len, (const char *)part.data);
}

static const char *text(struct sq_settings *s, const char *name)
{
    return sq_settings_text(s, name, NULL, NULL);
}

static char *read_sigv4(struct sq_settings *s, struct sq_post_options *post)
{
    const char *region = text(s, "PROMETHEUS_RW_SIGV4_REGION");
    const char *access = text(s, "PROMETHEUS_RW_SIGV4_ACCESS_KEY");
    const char *secret = text(s, "PROMETHEUS_RW_SIGV4_SECRET_KEY");

    if (!region && !access && !secret)
        return NULL;
    if (!region || !access || !secret) {
        sq_settings_fail(s, "K6_PROMETHEUS_RW_SIGV4_REGION, _ACCESS_KEY and _SECRET_KEY go "
                            "together: one of them is missing");
        return NULL;
    }
    post->user = access;
    post->password = secret;
    return sq_xasprintf("aws:amz:%s:aps", region);
}

static void read_tls(struct sq_settings *s, struct sq_post_options *post)
{
    const char *version = sq_settings_text(s, "PROMETHEUS_RW_TLS_MINIMUM_VERSION", NULL, "1.3");

    post->tls_min = strcmp(version, "1.2") == 0 ? 12 : 13;
    if (strcmp(version, "1.2") != 0 && strcmp(version, "1.3") != 0)
        sq_settings_fail(s, "K6_PROMETHEUS_RW_TLS_MINIMUM_VERSION: '%s' is neither 1.2 nor 1.3",
                         version);
    post->insecure = sq_settings_bool(s, "PROMETHEUS_RW_INSECURE_SKIP_TLS_VERIFY", NULL, false);
    post->cert_path = text(s, "PROMETHEUS_RW_CLIENT_CERTIFICATE");
    post->key_path = text(s, "PROMETHEUS_RW_CLIENT_CERTIFICATE_KEY");
}

static void read_trends(struct prometheus *p, struct sq_settings *s)
{
    const struct sq_config *config = s->env->config;
    struct stat_reader reader = {s, &p->options};

    sq_list_split(sq_settings_text(s, "PROMETHEUS_RW_TREND_STATS", NULL, "p(99)"), ',', add_stat,
                  &reader);
    p->options.native = sq_settings_bool(s, "PROMETHEUS_RW_TREND_AS_NATIVE_HISTOGRAM", NULL, false);
    for (size_t i = 0; config && i < config->features.count; i++)
        if (strcmp(config->features.items[i], "native-histograms") == 0)
            p->options.native = true;
}

static void read_target(struct prometheus *p, struct sq_settings *s)
{
    const char *url =
        sq_settings_text(s, "PROMETHEUS_RW_SERVER_URL", NULL, "http://localhost:9090/api/v1/write");
    struct sq_error why = {0};

    if (sq_target_parse(url, &p->target, &why) < 0) {
        sq_settings_fail(s, "K6_PROMETHEUS_RW_SERVER_URL: %s", why.text);
        return;
    }
    if (strcmp(p->target.scheme, "http") != 0 && strcmp(p->target.scheme, "https") != 0)
        sq_settings_fail(s, "K6_PROMETHEUS_RW_SERVER_URL: '%s' is neither http nor https",
                         p->target.scheme);
    p->url = sq_xasprintf("%s%s%s%s", p->target.url, p->target.path, p->target.query ? "?" : "",
                          p->target.query ? p->target.query : "");
    p->shown_url = sq_xasprintf("%s%s", p->target.url, p->target.path);
}

static int read_settings(struct prometheus *p, struct sq_output *output, struct sq_settings *s)
{
    struct sq_post_headers headers = {0};
    struct header_reader reader = {s, &headers};
    struct sq_post_options post = {.content_type = "application/x-protobuf"};

    read_target(p, s);
    read_trends(p, s);
    p->interval_ns = sq_settings_duration(s, "PROMETHEUS_RW_PUSH_INTERVAL", NULL, 5 * SQ_NS_PER_S);
    p->stale_markers = sq_settings_bool(s, "PROMETHEUS_RW_STALE_MARKERS", NULL, false);
    post.user = sq_settings_text(s, "PROMETHEUS_RW_USERNAME", NULL, p->target.user);
    post.password = sq_settings_text(s, "PROMETHEUS_RW_PASSWORD", NULL, p->target.password);
    post.bearer = text(s, "PROMETHEUS_RW_BEARER_TOKEN");
    add_header(&reader, sq_slice_str("Content-Encoding"), sq_slice_str("snappy"));
    add_header(&reader, sq_slice_str("X-Prometheus-Remote-Write-Version"), sq_slice_str("0.1.0"));
    sq_list_split(sq_settings_text(s, "PROMETHEUS_RW_HTTP_HEADERS", NULL, ""), ',',
                  add_header_of_list, &reader);
    sq_settings_each(s, "PROMETHEUS_RW_HEADERS_", add_header, &reader);
    read_tls(s, &post);
    char *sigv4 = read_sigv4(s, &post);
    post.sigv4 = sigv4;
    post.headers = headers.items;
    int rc = sq_settings_end(s);
    struct sq_error why = {0};
    if (rc == 0 && ((rc = sq_post_new(output, &post, &p->post, &why)) < 0 ||
                    (rc = sq_snappy_load(&p->snappy, &why)) < 0))
        sq_settings_fail(s, "%s", why.text);
    free(sigv4);
    sq_post_headers_deinit(&headers);
    return rc;
}

static void prometheus_free(struct prometheus *p)
{
    sq_post_free(p->post);
    sq_series_map_deinit(&p->series);
    sq_prom_stats_clear(&p->options);
    sq_target_deinit(&p->target);
    sq_buf_deinit(&p->request);
    sq_buf_deinit(&p->packed);
    free(p->url);
    free(p->shown_url);
    free(p);
}

static int prometheus_open(struct sq_output *output, const char *arg,
                           const struct sq_output_env *env, void **self, struct sq_error *err)
{
    struct prometheus *p = sq_xcalloc(1, sizeof *p);
    struct sq_settings s;

    sq_series_map_init(&p->series, env->registry, &(struct sq_series_options){.seconds = true});
    sq_settings_init(&s, NAME, env, err);
    if (arg)
        sq_settings_fail(&s, "it takes no argument; the address is K6_PROMETHEUS_RW_SERVER_URL");
    int rc = read_settings(p, output, &s);
    sq_settings_deinit(&s);
    if (rc < 0) {
        prometheus_free(p);
        return rc;
    }
    p->delivery = (struct sq_delivery){.output = NAME, .where = p->shown_url, .what = "requests"};
    p->flush_ns = sq_now_ns() + p->interval_ns;
    *self = p;
    return 0;
}

/* ---- sending ---- */

static int send_request(struct prometheus *p)
{
    struct sq_error why = {0};

    sq_snappy_compress(&p->snappy, sq_buf_slice(&p->request), &p->packed);
    int rc = sq_post_send(p->post, p->url, sq_buf_slice(&p->packed), &why);
    sq_delivery_note(&p->delivery, rc, &why);
    p->unreachable = rc < 0 && rc != SQ_EREFUSED;
    p->request.len = 0;
    return rc;
}

/* Stamps must rise, also for a series that changed twice within a millisecond. */
static int64_t next_stamp(const struct sq_series *series)
{
    return SQ_MAX(series->last_wall_ns / SQ_NS_PER_MS, series->sent_ms + 1);
}

static void mark_sent(struct sq_series *from, const struct sq_series *end)
{
    for (struct sq_series *s = from; s != end; s = s->next) {
        if (s->changed)
            s->sent_ms = next_stamp(s);
        s->changed = false;
    }
}

static void send_changed(struct prometheus *p)
{
    struct sq_series *from = p->series.first;

    p->unreachable = false;
    for (struct sq_series *s = from; s && !p->unreachable; s = s->next) {
        if (s->changed)
            sq_prom_put(&p->request, s, &p->options, next_stamp(s));
        if (p->request.len < REQUEST_BYTES && s->next)
            continue;
        /* What was refused would be refused again. */
        if (p->request.len && (send_request(p) >= 0 || !p->unreachable))
            mark_sent(from, s->next);
        from = s->next;
    }
}

static void send_stale(struct prometheus *p)
{
    int64_t now_ms = sq_wall_ns() / SQ_NS_PER_MS;

    for (struct sq_series *s = p->series.first; s && !p->unreachable; s = s->next) {
        if (s->sent_ms)
            sq_prom_put_stale(&p->request, s, &p->options, SQ_MAX(now_ms, s->sent_ms + 1));
        if (p->request.len && (p->request.len >= REQUEST_BYTES || !s->next))
            send_request(p);
    }
}

static int prometheus_samples(void *self, const struct sq_sample_batch *batch)
{
    struct prometheus *p = self;

    sq_series_map_add(&p->series, batch);
    return 0;
}

static int prometheus_flush(void *self)
{
    struct prometheus *p = self;
    int64_t now_ns = sq_now_ns();

    if (now_ns < p->flush_ns)
        return 0;
    send_changed(p);
    sq_delivery_took(&p->delivery, sq_now_ns() - now_ns, p->interval_ns);
    p->flush_ns = now_ns + p->interval_ns;
    return 0;
}

static int prometheus_close(void *self, bool if_ok)
{
    struct prometheus *p = self;

    if (if_ok) {
        send_changed(p);
        if (p->stale_markers)
            send_stale(p);
        sq_delivery_end(&p->delivery);
    }
    prometheus_free(p);
    return 0;
}

const struct sq_output_type sq_output_prometheus = {NAME, prometheus_open, prometheus_samples,
                                                    prometheus_flush, prometheus_close};
