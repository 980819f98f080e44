/* SPDX-License-Identifier: Apache-2.0 */
/* --out opentelemetry: totals per series by OTLP over HTTP in protobuf (MET-90, MET-91). All series
 * go with every export, as OpenTelemetry's own libraries do; nothing goes while nothing changed. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "output/delivery.h"
#include "output/http_post.h"
#include "output/otlp_message.h"
#include "output/settings.h"
#include "output/target.h"

#define NAME "opentelemetry"
enum { REQUEST_BYTES = 4 * 1024 * 1024 };

struct otel {
    struct sq_series_map series;
    struct sq_otlp_options options;
    char *service_name, *service_version, *prefix, *url;
    struct sq_post *post;
    struct sq_delivery delivery;
    struct sq_buf request;
    int64_t interval_ns, flush_ns;
    bool changed; /* something that the receiver does not have */
};

/* ---- configuration ---- */

struct header_reader {
    struct sq_settings *s;
    struct sq_post_headers *headers;
};

static void add_header(void *user, struct sq_slice part)
{
    struct header_reader *reader = user;
    const uint8_t *equals = memchr(part.data, '=', part.len);
    size_t len = equals ? (size_t)(equals - part.data) : part.len;
    struct sq_slice value = equals ? sq_slice(equals + 1, part.len - len - 1) : sq_slice(NULL, 0);

    if (!equals || sq_post_headers_add(reader->headers, sq_slice_trim(sq_slice(part.data, len)),
                                       sq_slice_trim(value)) < 0)
        sq_settings_fail(reader->s, "K6_OTEL_HEADERS: an item is not name=value");
}

static const char *text(struct sq_settings *s, const char *name, const char *initial)
{
    return sq_settings_text(s, name, NULL, initial);
}

/* k6's default is gRPC; without a word about the protocol, squall takes the one it has. */
static void read_protocol(struct sq_settings *s)
{
    const char *older = text(s, "OTEL_EXPORTER_TYPE", NULL);
    const char *protocol = text(s, "OTEL_EXPORTER_PROTOCOL", older);
    const char *endpoint = text(s, "OTEL_GRPC_EXPORTER_ENDPOINT", NULL);

    if (protocol ? strcmp(protocol, "grpc") == 0 : endpoint != NULL)
        sq_settings_fail(s, "squall does not speak OTLP over gRPC; set "
                            "K6_OTEL_EXPORTER_PROTOCOL=http/protobuf and "
                            "K6_OTEL_HTTP_EXPORTER_ENDPOINT=HOST:4318, which collectors serve too");
    else if (protocol && strcmp(protocol, "http/protobuf") != 0 && strcmp(protocol, "http") != 0)
        sq_settings_fail(s, "K6_OTEL_EXPORTER_PROTOCOL: '%s' is not http/protobuf", protocol);
}

static void read_url(struct otel *otel, struct sq_settings *s)
{
    const char *endpoint = text(s, "OTEL_HTTP_EXPORTER_ENDPOINT", "localhost:4318");
    const char *path = text(s, "OTEL_HTTP_EXPORTER_URL_PATH", "/v1/metrics");
    bool insecure = sq_settings_bool(s, "OTEL_HTTP_EXPORTER_INSECURE", NULL, false);
    struct sq_target target = {0};
    struct sq_error why = {0};

    if (strstr(endpoint, "://")) {
        sq_settings_fail(s, "K6_OTEL_HTTP_EXPORTER_ENDPOINT is HOST:PORT, without a scheme; "
                            "K6_OTEL_HTTP_EXPORTER_INSECURE=true means http");
        return;
    }
    otel->url = sq_xasprintf("%s://%s%s%s", insecure ? "http" : "https", endpoint,
                             *path == '/' ? "" : "/", path);
    if (sq_target_parse(otel->url, &target, &why) < 0)
        sq_settings_fail(s, "K6_OTEL_HTTP_EXPORTER_ENDPOINT: %s", why.text);
    else if (target.user)
        sq_settings_fail(s, "K6_OTEL_HTTP_EXPORTER_ENDPOINT holds a user name: set "
                            "K6_OTEL_HTTP_EXPORTER_USERNAME and _PASSWORD");
    sq_target_deinit(&target);
}

static void read_names(struct otel *otel, struct sq_settings *s)
{
    const char *foreign = sq_settings_foreign(s, "OTEL_SERVICE_NAME");
    const char *histograms =
        sq_settings_foreign(s, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION");
    bool exponential = histograms && strcmp(histograms, "base2_exponential_bucket_histogram") == 0;

    otel->service_name = sq_xstrdup(text(s, "OTEL_SERVICE_NAME", foreign ? foreign : "k6"));
    otel->service_version = sq_xstrdup(text(s, "OTEL_SERVICE_VERSION", SQUALL_VERSION));
    otel->prefix = sq_xstrdup(text(s, "OTEL_METRIC_PREFIX", ""));
    otel->options = (struct sq_otlp_options){
        .service_name = otel->service_name,
        .service_version = otel->service_version,
        .prefix = otel->prefix,
        .exponential = sq_settings_bool(s, "OTEL_EXPONENTIAL_HISTOGRAMS", NULL, exponential),
        .start_wall_ns = sq_wall_ns(),
    };
}

static int read_settings(struct otel *otel, struct sq_output *output, struct sq_settings *s)
{
    struct sq_post_headers headers = {0};
    struct header_reader reader = {s, &headers};
    struct sq_post_options post = {.content_type = "application/x-protobuf"};
    struct sq_error why = {0};

    read_protocol(s);
    read_url(otel, s);
    read_names(otel, s);
    /* Samples are added up as they come: there is nothing to flush between exports. */
    sq_settings_duration(s, "OTEL_FLUSH_INTERVAL", NULL, SQ_NS_PER_S);
    otel->interval_ns = sq_settings_duration(s, "OTEL_EXPORT_INTERVAL", NULL, 10 * SQ_NS_PER_S);
    post.user = text(s, "OTEL_HTTP_EXPORTER_USERNAME", NULL);
    post.password = text(s, "OTEL_HTTP_EXPORTER_PASSWORD", NULL);
    post.insecure = sq_settings_bool(s, "OTEL_TLS_INSECURE_SKIP_VERIFY", NULL, false);
    post.ca_path = text(s, "OTEL_TLS_CERTIFICATE", NULL);
    post.cert_path = text(s, "OTEL_TLS_CLIENT_CERTIFICATE", NULL);
    post.key_path = text(s, "OTEL_TLS_CLIENT_KEY", NULL);
    sq_list_split(text(s, "OTEL_HEADERS", ""), ',', add_header, &reader);
    post.headers = headers.items;
    int rc = sq_settings_end(s);
    if (rc == 0 && (rc = sq_post_new(output, &post, &otel->post, &why)) < 0)
        sq_settings_fail(s, "%s", why.text);
    sq_post_headers_deinit(&headers);
    return rc;
}

static void otel_free(struct otel *otel)
{
    sq_post_free(otel->post);
    sq_series_map_deinit(&otel->series);
    sq_buf_deinit(&otel->request);
    free(otel->service_name);
    free(otel->service_version);
    free(otel->prefix);
    free(otel->url);
    free(otel);
}

static int otel_open(struct sq_output *output, const char *arg, const struct sq_output_env *env,
                     void **self, struct sq_error *err)
{
    struct otel *otel = sq_xcalloc(1, sizeof *otel);
    struct sq_settings s;

    sq_settings_init(&s, NAME, env, err);
    if (arg)
        sq_settings_fail(&s, "it takes no argument; the address is "
                             "K6_OTEL_HTTP_EXPORTER_ENDPOINT");
    int rc = read_settings(otel, output, &s);
    struct sq_series_options series = {.bounds = sq_otlp_bounds, .bounds_count = SQ_OTLP_BOUNDS};
    if (otel->options.exponential)
        series = (struct sq_series_options){0};
    sq_series_map_init(&otel->series, env->registry, &series);
    sq_settings_deinit(&s);
    if (rc < 0) {
        otel_free(otel);
        return rc;
    }
    otel->delivery = (struct sq_delivery){.output = NAME, .where = otel->url, .what = "exports"};
    otel->flush_ns = sq_now_ns() + otel->interval_ns;
    *self = otel;
    return 0;
}

/* ---- sending ---- */

static int compare_series(const void *a, const void *b)
{
    const struct sq_series *x = *(struct sq_series *const *)a, *y = *(struct sq_series *const *)b;

    return (x->metric->id > y->metric->id) - (x->metric->id < y->metric->id);
}

static void export_all(struct otel *otel)
{
    size_t count = otel->series.count, at = 0;

    if (!otel->changed)
        return;
    struct sq_series **all = sq_xmalloc((count + 1) * sizeof *all);
    for (struct sq_series *s = otel->series.first; s; s = s->next)
        all[at++] = s;
    qsort(all, count, sizeof *all, compare_series);
    otel->changed = false;
    for (at = 0; at < count;) {
        struct sq_error why = {0};
        otel->request.len = 0;
        at += sq_otlp_put_request(&otel->request, &otel->options, all + at, count - at,
                                  sq_wall_ns(), REQUEST_BYTES);
        int rc = sq_post_send(otel->post, otel->url, sq_buf_slice(&otel->request), &why);
        sq_delivery_note(&otel->delivery, rc, &why);
        otel->changed = otel->changed || (rc < 0 && rc != SQ_EREFUSED);
        if (otel->changed)
            break; /* the rest would not get through either; it goes with the next export */
    }
    free(all);
}

static int otel_samples(void *self, const struct sq_sample_batch *batch)
{
    struct otel *otel = self;

    sq_series_map_add(&otel->series, batch);
    otel->changed = true;
    return 0;
}

static int otel_flush(void *self)
{
    struct otel *otel = self;
    int64_t now_ns = sq_now_ns();

    if (now_ns < otel->flush_ns)
        return 0;
    export_all(otel);
    sq_delivery_took(&otel->delivery, sq_now_ns() - now_ns, otel->interval_ns);
    otel->flush_ns = now_ns + otel->interval_ns;
    return 0;
}

static int otel_close(void *self, bool if_ok)
{
    struct otel *otel = self;

    if (if_ok) {
        export_all(otel);
        sq_delivery_end(&otel->delivery);
    }
    otel_free(otel);
    return 0;
}

const struct sq_output_type sq_output_opentelemetry = {NAME, otel_open, otel_samples, otel_flush,
                                                       otel_close};
