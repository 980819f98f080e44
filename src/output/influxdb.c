/* SPDX-License-Identifier: Apache-2.0 */
/* --out influxdb: every sample as a line of InfluxDB 1's line protocol, over HTTP or UDP (MET-70 to
 * MET-72).
 *
 *      checks,check=is\ one,scenario=default value=1,url="ws://a/" 1795391710557800000 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "metrics/json.h"
#include "output/delivery.h"
#include "output/digits.h"
#include "output/http_post.h"
#include "output/known.h"
#include "output/settings.h"
#include "output/target.h"
#include "output/udp.h"

/* A request is cut here: InfluxDB takes 25 MB by default. */
enum { REQUEST_BYTES = 8 * 1024 * 1024 };

enum field_kind { AS_STRING, AS_INT, AS_FLOAT, AS_BOOL };
static const char *const kind_names[] = {"string", "int", "float", "bool"};

struct field {
    char *tag; /* owned */
    enum field_kind kind;
};

static const struct {
    const char *name;
    int64_t ns;
} precisions[] = {{"ns", 1},
                  {"n", 1},
                  {"u", SQ_NS_PER_US},
                  {"us", SQ_NS_PER_US},
                  {"ms", SQ_NS_PER_MS},
                  {"s", SQ_NS_PER_S},
                  {"m", 60 * SQ_NS_PER_S},
                  {"h", 3600 * SQ_NS_PER_S}};

struct influxdb {
    struct sq_known known;
    struct sq_target target;
    char *write_url, *create_url, *shown_url;
    bool is_udp, created;
    struct sq_post *post;
    struct sq_udp udp;
    struct sq_delivery delivery;
    int64_t interval_ns, flush_ns, precision_ns;
    struct field *fields;
    size_t fields_count;
    struct sq_buf lines, line;
};

/* ---- configuration ---- */

static void put_escaped_query(struct sq_buf *to, const char *text)
{
    for (; *text; text++) {
        char c = *text;
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     strchr("-_.~", c);
        if (plain)
            sq_buf_putc(to, c);
        else
            sq_buf_printf(to, "%%%02X", (unsigned char)c);
    }
}

struct field_reader {
    struct sq_settings *s;
    struct influxdb *influxdb;
};

static void add_field(void *user, struct sq_slice part)
{
    struct field_reader *reader = user;
    struct influxdb *in = reader->influxdb;
    const uint8_t *colon = memchr(part.data, ':', part.len);
    size_t len = colon ? (size_t)(colon - part.data) : part.len;
    struct sq_slice kind = colon ? sq_slice(colon + 1, part.len - len - 1) : sq_slice_str("string");

    for (size_t i = 0; i < SQ_COUNT(kind_names); i++)
        if (sq_slice_eq(kind, sq_slice_str(kind_names[i]))) {
            in->fields = sq_xrealloc(in->fields, (in->fields_count + 1) * sizeof *in->fields);
            in->fields[in->fields_count++] =
                (struct field){sq_xstrndup((const char *)part.data, len), (enum field_kind)i};
            return;
        }
    sq_settings_fail(reader->s, "tagsAsFields: '%.*s' is none of string, int, float and bool",
                     (int)kind.len, (const char *)kind.data);
}

/* "/prefix/db" of an ARG: the last part is the database. */
static char *split_path(struct influxdb *in)
{
    char *path = in->target.path;
    size_t len = strlen(path);

    while (len && path[len - 1] == '/')
        path[--len] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    char *db = sq_percent_decode(sq_slice_str(slash + 1));
    *slash = '\0';
    return db;
}

static void put_create_statement(struct sq_buf *to, const char *db)
{
    bool plain = strspn(db, "0123456789") == 0;

    for (const char *c = db; *c; c++)
        plain = plain && ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                          (*c >= '0' && *c <= '9') || *c == '_');
    sq_buf_puts(to, plain ? "CREATE DATABASE " : "CREATE DATABASE \"");
    for (const char *c = db; *c; c++)
        sq_buf_printf(to, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    sq_buf_puts(to, plain ? "" : "\"");
}

static void read_urls(struct influxdb *in, struct sq_settings *s, const char *db,
                      const char *precision)
{
    struct sq_buf url = {0};

    sq_buf_printf(&url, "%s%s/query?q=", in->target.url, in->target.path);
    struct sq_buf statement = {0};
    put_create_statement(&statement, db);
    put_escaped_query(&url, sq_buf_cstr(&statement));
    sq_buf_deinit(&statement);
    in->create_url = sq_buf_steal(&url);
    sq_buf_printf(&url, "%s%s/write?consistency=", in->target.url, in->target.path);
    put_escaped_query(&url, sq_settings_text(s, "INFLUXDB_CONSISTENCY", "consistency", ""));
    sq_buf_puts(&url, "&db=");
    put_escaped_query(&url, db);
    sq_buf_printf(&url, "&precision=%s&rp=", precision);
    put_escaped_query(&url, sq_settings_text(s, "INFLUXDB_RETENTION", "retention", ""));
    in->write_url = sq_buf_steal(&url);
    in->shown_url = sq_xasprintf("%s%s", in->target.url, in->target.path);
}

static void read_precision(struct influxdb *in, struct sq_settings *s, const char **precision)
{
    *precision = sq_settings_text(s, "INFLUXDB_PRECISION", "precision", "ns");
    for (size_t i = 0; i < SQ_COUNT(precisions); i++)
        if (strcmp(precisions[i].name, *precision) == 0) {
            in->precision_ns = precisions[i].ns;
            return;
        }
    in->precision_ns = 1;
    sq_settings_fail(s, "precision '%s' is none of ns, u, ms, s, m and h", *precision);
}

static int read_address(struct influxdb *in, struct sq_settings *s, const char *arg, char **db)
{
    const char *address =
        arg && *arg ? arg : sq_settings_text(s, "INFLUXDB_ADDR", NULL, "http://localhost:8086");
    struct sq_error why = {0};

    if (sq_target_parse(address, &in->target, &why) < 0)
        return sq_settings_fail(s, "%s, like http://localhost:8086/k6", why.text);
    in->is_udp = strcmp(in->target.scheme, "udp") == 0;
    if (!in->is_udp && strcmp(in->target.scheme, "http") != 0 &&
        strcmp(in->target.scheme, "https") != 0)
        return sq_settings_fail(s, "'%s' is none of http, https and udp", in->target.scheme);
    *db = split_path(in);
    if (in->target.query)
        sq_settings_add_keys(s, sq_slice_str(in->target.query), '&', true);
    return 0;
}

static int connect_to(struct influxdb *in, struct sq_output *output, struct sq_settings *s)
{
    struct sq_post_options post = {.content_type = "text/plain; charset=utf-8"};
    struct sq_error why = {0};
    int rc;

    post.user = sq_settings_text(s, "INFLUXDB_USERNAME", NULL, NULL);
    post.password = sq_settings_text(s, "INFLUXDB_PASSWORD", NULL, NULL);
    if (in->target.user) { /* what the address says is nearer */
        post.user = in->target.user;
        post.password = in->target.password;
    }
    post.insecure = sq_settings_bool(s, "INFLUXDB_INSECURE", "insecure", false);
    post.proxy = sq_settings_text(s, "INFLUXDB_PROXY", NULL, NULL);
    int64_t payload = sq_settings_count(s, "INFLUXDB_PAYLOAD_SIZE", "payload_size", 0);
    rc = sq_settings_end(s);
    if (rc < 0)
        return rc;
    if (!in->is_udp)
        rc = sq_post_new(output, &post, &in->post, &why);
    else
        rc = sq_udp_open(&in->udp, in->target.host, in->target.port ? in->target.port : "8089",
                         &why);
    if (rc == 0 && payload)
        in->udp.bytes_max = (size_t)SQ_MIN(payload, 65000);
    return rc < 0 ? sq_settings_fail(s, "%s", why.text) : 0;
}

static int read_settings(struct influxdb *in, struct sq_output *output, struct sq_settings *s,
                         const char *arg)
{
    struct field_reader reader = {s, in};
    char *db = NULL;
    const char *precision;
    int rc = read_address(in, s, arg, &db);

    if (rc < 0)
        return rc;
    in->interval_ns =
        sq_settings_duration(s, "INFLUXDB_PUSH_INTERVAL", "pushInterval", SQ_NS_PER_S);
    /* One request at a time keeps the order and is fast enough: the count is only checked. */
    sq_settings_count(s, "INFLUXDB_CONCURRENT_WRITES", "concurrentWrites", 4);
    sq_list_split(
        sq_settings_text(s, "INFLUXDB_TAGS_AS_FIELDS", "tagsAsFields", "vu:int,iter:int,url"), ',',
        add_field, &reader);
    read_precision(in, s, &precision);
    read_urls(in, s, db && *db ? db : sq_settings_text(s, "INFLUXDB_DB", NULL, "k6"), precision);
    free(db);
    return connect_to(in, output, s);
}

static void influxdb_free(struct influxdb *in)
{
    sq_post_free(in->post);
    sq_udp_close(&in->udp);
    sq_target_deinit(&in->target);
    for (size_t i = 0; i < in->fields_count; i++)
        free(in->fields[i].tag);
    free(in->fields);
    free(in->write_url);
    free(in->create_url);
    free(in->shown_url);
    sq_known_deinit(&in->known);
    sq_buf_deinit(&in->lines);
    sq_buf_deinit(&in->line);
    free(in);
}

static int influxdb_open(struct sq_output *output, const char *arg, const struct sq_output_env *env,
                         void **self, struct sq_error *err)
{
    struct influxdb *in = sq_xcalloc(1, sizeof *in);
    struct sq_settings s;

    in->known.registry = env->registry;
    in->udp.fd = -1;
    sq_settings_init(&s, "influxdb", env, err);
    int rc = read_settings(in, output, &s, arg);
    sq_settings_deinit(&s);
    if (rc < 0) {
        influxdb_free(in);
        return rc;
    }
    in->delivery = (struct sq_delivery){
        .output = "influxdb", .where = in->shown_url, .what = in->is_udp ? "datagrams" : "writes"};
    in->flush_ns = sq_now_ns() + in->interval_ns;
    *self = in;
    return 0;
}

/* ---- lines ---- */

/* A backslash at the end of a tag would escape what follows, and has no escape of its own. */
static struct sq_slice without_last_backslashes(struct sq_slice text)
{
    while (text.len && text.data[text.len - 1] == '\\')
        text.len--;
    return text;
}

/* Commas, equals signs and blanks get a backslash. Line feeds have no form in tags. */
static void put_escaped(struct sq_buf *to, struct sq_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (c == '\n' || c == '\r')
            c = ' ';
        if (c == ',' || c == '=' || c == ' ')
            sq_buf_putc(to, '\\');
        sq_buf_putc(to, c);
    }
}

static void put_string_field(struct sq_buf *to, struct sq_slice text)
{
    sq_buf_putc(to, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (c == '"' || c == '\\')
            sq_buf_putc(to, '\\');
        sq_buf_putc(to, c);
    }
    sq_buf_putc(to, '"');
}

/* Rejects what the kind cannot be: the database would refuse all lines of the request. */
static bool field_text(enum field_kind kind, struct sq_slice value, char out[40])
{
    char text[32], *end;

    if (value.len == 0 || value.len >= sizeof text)
        return false;
    memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    errno = 0;
    if (kind == AS_INT) {
        long long number = strtoll(text, &end, 10);
        snprintf(out, 40, "%lldi", number);
        return *end == '\0' && errno == 0;
    }
    if (kind == AS_FLOAT) {
        double number = strtod(text, &end);
        sq_double_format(number, out);
        return *end == '\0' && errno == 0 && number - number == 0;
    }
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    snprintf(out, 40, "%s", yes ? "true" : "false");
    return yes || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static const struct field *find_field(const struct influxdb *in, struct sq_slice tag)
{
    for (size_t i = 0; i < in->fields_count; i++)
        if (sq_slice_eq(sq_slice_str(in->fields[i].tag), tag))
            return &in->fields[i];
    return NULL;
}

static void put_field(struct sq_buf *to, const struct field *field, struct sq_tag_pair pair)
{
    char text[40];

    if (field->kind != AS_STRING && !field_text(field->kind, pair.value, text))
        return;
    sq_buf_putc(to, ',');
    put_escaped(to, pair.key);
    sq_buf_putc(to, '=');
    if (field->kind == AS_STRING)
        put_string_field(to, pair.value);
    else
        sq_buf_puts(to, text);
}

static void put_line(struct influxdb *in, struct sq_buf *to, const struct sq_sample *sample)
{
    size_t count = sample->tags ? sq_tagset_count(sample->tags) : 0;

    sq_buf_puts(to, sq_known_get(&in->known, sample->metric_id)->name);
    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair pair = sq_tagset_at(sample->tags, i);
        bool is_field = find_field(in, pair.key);
        pair.key = without_last_backslashes(pair.key);
        pair.value = without_last_backslashes(pair.value);
        if (pair.value.len == 0 || pair.key.len == 0 || is_field)
            continue;
        sq_buf_putc(to, ',');
        put_escaped(to, pair.key);
        sq_buf_putc(to, '=');
        put_escaped(to, pair.value);
    }
    sq_buf_puts(to, " value=");
    sq_json_put_number(to, sample->value);
    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair pair = sq_tagset_at(sample->tags, i);
        const struct field *field = pair.value.len ? find_field(in, pair.key) : NULL;
        if (field)
            put_field(to, field, pair);
    }
    sq_buf_putc(to, ' ');
    sq_put_int(to, sample->wall_ns / in->precision_ns);
    sq_buf_putc(to, '\n');
}

/* ---- sending ---- */

/* k6 creates the database and goes on whatever the answer is; only without one, a write would but
 * wait as long again. */
static int create_database(struct influxdb *in, struct sq_error *why)
{
    int rc = in->created ? 0 : sq_post_send(in->post, in->create_url, sq_slice("", 0), why);

    if (rc == SQ_EREFUSED || rc == -EAGAIN) {
        sq_log(SQ_LOG_DEBUG, "output", "influxdb: creating the database: %s", why->text);
        *why = (struct sq_error){0};
        rc = 0;
    }
    in->created = rc == 0;
    return rc;
}

static void send_http(struct influxdb *in)
{
    struct sq_error why = {0};
    int rc = create_database(in, &why);

    if (rc == 0)
        rc = sq_post_send(in->post, in->write_url, sq_buf_slice(&in->lines), &why);
    sq_delivery_note(&in->delivery, rc, &why);
    in->lines.len = 0;
}

static void note_datagrams(struct influxdb *in)
{
    while (in->delivery.sent < in->udp.sent) {
        bool failed = in->delivery.failed < in->udp.failed;
        sq_delivery_note(&in->delivery, failed ? in->udp.first_error : 0, &(struct sq_error){0});
    }
}

static void send_all(struct influxdb *in)
{
    if (in->is_udp) {
        sq_udp_flush(&in->udp);
        note_datagrams(in);
    } else if (in->lines.len) {
        send_http(in);
    }
}

static int influxdb_samples(void *self, const struct sq_sample_batch *batch)
{
    struct influxdb *in = self;

    for (size_t i = 0; i < batch->count; i++) {
        if (!in->is_udp) {
            put_line(in, &in->lines, &batch->samples[i]);
            if (in->lines.len >= REQUEST_BYTES)
                send_http(in);
            continue;
        }
        in->line.len = 0;
        put_line(in, &in->line, &batch->samples[i]);
        sq_udp_put(&in->udp, sq_buf_slice(&in->line));
    }
    return 0;
}

static int influxdb_flush(void *self)
{
    struct influxdb *in = self;
    int64_t now_ns = sq_now_ns();

    if (now_ns < in->flush_ns)
        return 0;
    send_all(in);
    sq_delivery_took(&in->delivery, sq_now_ns() - now_ns, in->interval_ns);
    in->flush_ns = now_ns + in->interval_ns;
    return 0;
}

static int influxdb_close(void *self, bool if_ok)
{
    struct influxdb *in = self;

    if (if_ok) {
        send_all(in);
        sq_delivery_end(&in->delivery);
    }
    influxdb_free(in);
    return 0;
}

const struct sq_output_type sq_output_influxdb = {"influxdb", influxdb_open, influxdb_samples,
                                                  influxdb_flush, influxdb_close};
