/* SPDX-License-Identifier: Apache-2.0 */
/* --out statsd: every sample as a line over UDP; with K6_STATSD_ENABLE_TAGS in DogStatsD's form
 * (MET-43, MC-23). k6 took this output out of its core; names and forms are those it had.
 *
 *      k6.ws_connecting:12.5|ms|#scenario:default,group:::g */
#include <stdlib.h>

#include "base/clock.h"
#include "metrics/json.h"
#include "output/delivery.h"
#include "output/known.h"
#include "output/settings.h"
#include "output/udp.h"

enum { TAGS_LEFT_OUT_MAX = 64 };

struct statsd {
    struct sq_known known;
    struct sq_udp udp;
    struct sq_delivery delivery;
    char *address, *prefix;
    bool tags;
    char *left_out[TAGS_LEFT_OUT_MAX]; /* tags that are not sent; owned */
    size_t left_out_count;
    int64_t interval_ns, flush_ns;
    struct sq_buf line;
};

/* ---- configuration ---- */

static void leave_out(void *user, struct sq_slice part)
{
    struct statsd *statsd = user;

    if (statsd->left_out_count < TAGS_LEFT_OUT_MAX)
        statsd->left_out[statsd->left_out_count++] = sq_xstrndup((const char *)part.data, part.len);
}

static int open_socket(struct statsd *statsd, struct sq_settings *s)
{
    const char *colon = strrchr(statsd->address, ':');
    struct sq_error why = {0};

    if (!colon || !colon[1])
        return sq_settings_fail(s, "the address '%s' is not HOST:PORT", statsd->address);
    const char *from = statsd->address;
    size_t len = (size_t)(colon - from);
    if (len > 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    }
    char *host = len ? sq_xstrndup(from, len) : sq_xstrdup("localhost");
    int rc = sq_udp_open(&statsd->udp, host, colon + 1, &why);
    free(host);
    return rc < 0 ? sq_settings_fail(s, "%s", why.text) : 0;
}

static int read_settings(struct statsd *statsd, struct sq_settings *s, const char *arg)
{
    const char *address = sq_settings_text(s, "STATSD_ADDR", NULL, "localhost:8125");
    const char *namespace = sq_settings_text(s, "STATSD_NAMESPACE", NULL, "k6.");
    size_t len = strlen(namespace);

    statsd->address = sq_xstrdup(arg && *arg ? arg : address);
    statsd->prefix = sq_xasprintf("%s%s", namespace, namespace[len - 1] == '.' ? "" : ".");
    statsd->interval_ns = sq_settings_duration(s, "STATSD_PUSH_INTERVAL", NULL, SQ_NS_PER_S);
    int64_t lines = sq_settings_count(s, "STATSD_BUFFER_SIZE", NULL, 20);
    statsd->tags = sq_settings_bool(s, "STATSD_ENABLE_TAGS", NULL, false);
    sq_list_split(sq_settings_text(s, "STATSD_TAG_BLOCKLIST", NULL, "vu,iter,url"), ',', leave_out,
                  statsd);
    int rc = sq_settings_end(s);
    if (rc == 0)
        rc = open_socket(statsd, s);
    statsd->udp.lines_max = (size_t)SQ_MAX(lines, 1);
    return rc;
}

static void statsd_free(struct statsd *statsd)
{
    sq_udp_close(&statsd->udp);
    sq_known_deinit(&statsd->known);
    sq_buf_deinit(&statsd->line);
    for (size_t i = 0; i < statsd->left_out_count; i++)
        free(statsd->left_out[i]);
    free(statsd->address);
    free(statsd->prefix);
    free(statsd);
}

static int statsd_open(struct sq_output *output, const char *arg, const struct sq_output_env *env,
                       void **self, struct sq_error *err)
{
    struct statsd *statsd = sq_xcalloc(1, sizeof *statsd);
    struct sq_settings s;

    (void)output;
    statsd->known.registry = env->registry;
    statsd->udp.fd = -1;
    sq_settings_init(&s, "statsd", env, err);
    int rc = read_settings(statsd, &s, arg);
    sq_settings_deinit(&s);
    if (rc < 0) {
        statsd_free(statsd);
        return rc;
    }
    statsd->delivery =
        (struct sq_delivery){.output = "statsd", .where = statsd->address, .what = "datagrams"};
    statsd->flush_ns = sq_now_ns() + statsd->interval_ns;
    *self = statsd;
    return 0;
}

/* ---- lines ---- */

/* What has a meaning of its own in a line becomes an underscore. */
static void put_plain(struct sq_buf *to, struct sq_slice text, const char *special)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        sq_buf_putc(to, (unsigned char)c < ' ' || strchr(special, c) ? '_' : c);
    }
}

static bool is_left_out(const struct statsd *statsd, struct sq_slice tag)
{
    for (size_t i = 0; i < statsd->left_out_count; i++)
        if (sq_slice_eq(sq_slice_str(statsd->left_out[i]), tag))
            return true;
    return false;
}

static void put_tags(struct statsd *statsd, struct sq_buf *to, const struct sq_tagset *tags)
{
    size_t count = statsd->tags && tags ? sq_tagset_count(tags) : 0;
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair pair = sq_tagset_at(tags, i);
        if (pair.value.len == 0 || is_left_out(statsd, pair.key))
            continue;
        sq_buf_puts(to, any ? "," : "|#");
        any = true;
        put_plain(to, pair.key, ",|#:");
        sq_buf_putc(to, ':');
        put_plain(to, pair.value, ",|#");
    }
}

static void put_line(struct statsd *statsd, struct sq_buf *to, const struct sq_sample *sample)
{
    static const char *const kinds[] = {
        [SQ_COUNTER] = "|c", [SQ_GAUGE] = "|g", [SQ_RATE] = "|c", [SQ_TREND] = "|ms"};
    const struct sq_metric *metric = sq_known_get(&statsd->known, sample->metric_id);
    struct sq_slice check = sample->tags && metric->id == SQ_M_CHECKS
                                ? sq_tagset_get(sample->tags, "check")
                                : sq_slice(NULL, 0);

    sq_buf_puts(to, statsd->prefix);
    if (check.len) { /* a counter for each outcome */
        sq_buf_puts(to, "check.");
        put_plain(to, check, ":|@#");
        sq_buf_puts(to, sample->value != 0 ? ".pass:1|c" : ".fail:1|c");
    } else {
        sq_buf_puts(to, metric->name);
        sq_buf_putc(to, ':');
        sq_json_put_number(to, metric->type == SQ_RATE ? sample->value != 0 : sample->value);
        sq_buf_puts(to, kinds[metric->type]);
    }
    put_tags(statsd, to, sample->tags);
    sq_buf_putc(to, '\n');
}

/* To plain statsd a gauge with a sign is a change, not a value: back to zero first. */
static void put_sample(struct statsd *statsd, const struct sq_sample *sample)
{
    const struct sq_metric *metric = sq_known_get(&statsd->known, sample->metric_id);

    statsd->line.len = 0;
    if (metric->type == SQ_GAUGE && sample->value < 0 && !statsd->tags)
        sq_buf_printf(&statsd->line, "%s%s:0|g\n", statsd->prefix, metric->name);
    put_line(statsd, &statsd->line, sample);
    sq_udp_put(&statsd->udp, sq_buf_slice(&statsd->line));
}

/* ---- sending ---- */

static void send_all(struct statsd *statsd)
{
    sq_udp_flush(&statsd->udp);
    while (statsd->delivery.sent < statsd->udp.sent) {
        bool failed = statsd->delivery.failed < statsd->udp.failed;
        sq_delivery_note(&statsd->delivery, failed ? statsd->udp.first_error : 0,
                         &(struct sq_error){0});
    }
}

static int statsd_samples(void *self, const struct sq_sample_batch *batch)
{
    struct statsd *statsd = self;

    for (size_t i = 0; i < batch->count; i++)
        put_sample(statsd, &batch->samples[i]);
    return 0;
}

static int statsd_flush(void *self)
{
    struct statsd *statsd = self;
    int64_t now_ns = sq_now_ns();

    if (now_ns < statsd->flush_ns)
        return 0;
    send_all(statsd);
    statsd->flush_ns = now_ns + statsd->interval_ns;
    return 0;
}

static int statsd_close(void *self, bool if_ok)
{
    struct statsd *statsd = self;

    if (if_ok) {
        send_all(statsd);
        sq_delivery_end(&statsd->delivery);
    }
    statsd_free(statsd);
    return 0;
}

const struct sq_output_type sq_output_statsd = {"statsd", statsd_open, statsd_samples, statsd_flush,
                                                statsd_close};
