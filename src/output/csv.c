/* SPDX-License-Identifier: Apache-2.0 */
/* --out csv: one line per sample, a column per enabled system tag (MET-60 to MET-62). Cells are
 * quoted as RFC 4180 section 2 says; the pairs of a list in one cell are not escaped, as in k6. */
#include <stdlib.h>

#include "base/clock.h"
#include "output/digits.h"
#include "output/file.h"
#include "output/known.h"
#include "output/settings.h"

/* Sorted by name, as the columns are; vu and iter are metadata. */
static const struct {
    const char *name;
    enum sq_system_tag bit;
} columns[] = {
    {"check", SQ_TAG_CHECK},
    {"error", SQ_TAG_ERROR},
    {"error_code", SQ_TAG_ERROR_CODE},
    {"expected_response", SQ_TAG_EXPECTED_RESPONSE},
    {"group", SQ_TAG_GROUP},
    {"ip", SQ_TAG_IP},
    {"method", SQ_TAG_METHOD},
    {"name", SQ_TAG_NAME},
    {"ocsp_status", SQ_TAG_OCSP_STATUS},
    {"proto", SQ_TAG_PROTO},
    {"scenario", SQ_TAG_SCENARIO},
    {"service", SQ_TAG_SERVICE},
    {"status", SQ_TAG_STATUS},
    {"subproto", SQ_TAG_SUBPROTO},
    {"tls_version", SQ_TAG_TLS_VERSION},
    {"url", SQ_TAG_URL},
};

enum time_format { UNIX, UNIX_MILLI, UNIX_MICRO, UNIX_NANO, RFC3339, RFC3339_NANO };
static const char *const time_formats[] = {"unix",      "unix_milli", "unix_micro",
                                           "unix_nano", "rfc3339",    "rfc3339_nano"};

struct csv_output {
    struct sq_output_file *file;
    struct sq_output_env env;
    struct sq_known known;
    enum time_format time_format;
    int64_t save_interval_ns, save_ns;
    struct sq_slice columns[SQ_COUNT(columns)];
    size_t columns_count;
    struct sq_buf cell; /* extra_tags or metadata of the current line */
};

/* ---- configuration ---- */

static void read_settings(struct csv_output *csv, struct sq_settings *s, const char *arg,
                          const char **file_name)
{
    bool keys = arg && strchr(arg, '=');

    if (keys)
        sq_settings_add_keys(s, sq_slice_str(arg), ',', false);
    *file_name = sq_settings_text(s, "CSV_FILENAME", "fileName", "file.csv");
    if (arg && !keys)
        *file_name = arg;
    csv->save_interval_ns =
        sq_settings_duration(s, "CSV_SAVE_INTERVAL", "saveInterval", SQ_NS_PER_S);
    const char *format = sq_settings_text(s, "CSV_TIME_FORMAT", "timeFormat", "unix");
    for (size_t i = 0; i < SQ_COUNT(time_formats); i++)
        if (strcmp(time_formats[i], format) == 0) {
            csv->time_format = (enum time_format)i;
            return;
        }
    sq_settings_fail(s,
                     "time format '%s' is none of unix, unix_milli, unix_micro, unix_nano, "
                     "rfc3339 and rfc3339_nano",
                     format);
}

static void put_header(struct csv_output *csv)
{
    struct sq_buf *buf = sq_output_file_buf(csv->file);
    unsigned enabled = csv->env.config ? csv->env.config->system_tags : SQ_TAGS_DEFAULT;

    sq_buf_puts(buf, "metric_name,timestamp,metric_value,");
    for (size_t i = 0; i < SQ_COUNT(columns); i++) {
        if (!(enabled & columns[i].bit))
            continue;
        csv->columns[csv->columns_count++] = sq_slice_str(columns[i].name);
        sq_buf_puts(buf, columns[i].name);
        sq_buf_putc(buf, ',');
    }
    sq_buf_puts(buf, "extra_tags,metadata\n");
}

static int csv_open(struct sq_output *output, const char *arg, const struct sq_output_env *env,
                    void **self, struct sq_error *err)
{
    struct csv_output *csv = sq_xcalloc(1, sizeof *csv);
    struct sq_settings s;
    const char *file_name;

    csv->env = *env;
    csv->known.registry = env->registry;
    sq_settings_init(&s, "csv", env, err);
    read_settings(csv, &s, arg, &file_name);
    int rc = sq_settings_end(&s);
    if (rc == 0) {
        rc = sq_output_file_open(output, file_name, &csv->file, err);
        if (rc < 0)
            sq_error_prefix(err, "output csv");
    }
    sq_settings_deinit(&s);
    if (rc < 0) {
        free(csv);
        return rc;
    }
    put_header(csv);
    *self = csv;
    return 0;
}

/* ---- lines ---- */

static void put_cell(struct sq_buf *buf, struct sq_slice text)
{
    bool quote = text.len && (text.data[0] == ' ' || text.data[0] == '\t');

    for (size_t i = 0; i < text.len && !quote; i++)
        quote = text.data[i] == ',' || text.data[i] == '"' || text.data[i] == '\n' ||
                text.data[i] == '\r';
    if (!quote) {
        sq_buf_put(buf, text.data, text.len);
        return;
    }
    sq_buf_putc(buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            sq_buf_putc(buf, '"');
        sq_buf_putc(buf, (char)text.data[i]);
    }
    sq_buf_putc(buf, '"');
}

static void add_pair(struct sq_buf *cell, struct sq_tag_pair pair)
{
    if (cell->len)
        sq_buf_putc(cell, '&');
    sq_buf_put(cell, pair.key.data, pair.key.len);
    sq_buf_putc(cell, '=');
    sq_buf_put(cell, pair.value.data, pair.value.len);
}

static void put_time(struct csv_output *csv, struct sq_buf *buf, int64_t wall_ns)
{
    static const int64_t divisors[] = {SQ_NS_PER_S, SQ_NS_PER_MS, SQ_NS_PER_US, 1};
    char text[40];

    if (csv->time_format < RFC3339) {
        sq_put_int(buf, wall_ns / divisors[csv->time_format]);
        return;
    }
    if (csv->time_format == RFC3339)
        sq_wall_format_seconds(wall_ns, text);
    else
        sq_wall_format(wall_ns, text);
    sq_buf_puts(buf, text);
}

static int compare(struct sq_slice a, struct sq_slice b)
{
    int order = memcmp(a.data, b.data, SQ_MIN(a.len, b.len));

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Tags and columns are both in order of name: one walk through the two. */
static void put_tags(struct csv_output *csv, struct sq_buf *buf, const struct sq_tagset *tags)
{
    size_t count = tags ? sq_tagset_count(tags) : 0, column = 0;

    csv->cell.len = 0;
    for (size_t i = 0; i < count; i++) {
        struct sq_tag_pair pair = sq_tagset_at(tags, i);
        int order = 1;
        while (column < csv->columns_count &&
               (order = compare(csv->columns[column], pair.key)) < 0) {
            sq_buf_putc(buf, ',');
            column++;
        }
        if (column == csv->columns_count || order > 0) {
            add_pair(&csv->cell, pair);
            continue;
        }
        put_cell(buf, pair.value);
        sq_buf_putc(buf, ',');
        column++;
    }
    for (; column < csv->columns_count; column++)
        sq_buf_putc(buf, ',');
    put_cell(buf, sq_buf_slice(&csv->cell));
}

static void put_sample(struct csv_output *csv, struct sq_buf *buf, const struct sq_sample *sample)
{
    const struct sq_metric *metric = sq_known_get(&csv->known, sample->metric_id);
    size_t count = sample->metadata ? sq_tagset_count(sample->metadata) : 0;

    sq_buf_puts(buf, metric->name);
    sq_buf_putc(buf, ',');
    put_time(csv, buf, sample->wall_ns);
    sq_buf_putc(buf, ',');
    sq_put_fixed6(buf, sample->value);
    sq_buf_putc(buf, ',');
    put_tags(csv, buf, sample->tags);
    sq_buf_putc(buf, ',');
    csv->cell.len = 0;
    for (size_t i = 0; i < count; i++)
        add_pair(&csv->cell, sq_tagset_at(sample->metadata, i));
    put_cell(buf, sq_buf_slice(&csv->cell));
    sq_buf_putc(buf, '\n');
}

static int csv_samples(void *self, const struct sq_sample_batch *batch)
{
    struct csv_output *csv = self;

    for (size_t i = 0; i < batch->count; i++)
        put_sample(csv, sq_output_file_buf(csv->file), &batch->samples[i]);
    return sq_output_file_more(csv->file);
}

static int csv_flush(void *self)
{
    struct csv_output *csv = self;
    int64_t now_ns = sq_now_ns();

    if (now_ns < csv->save_ns)
        return 0;
    csv->save_ns = now_ns + csv->save_interval_ns;
    return sq_output_file_flush(csv->file);
}

static int csv_close(void *self, bool if_ok)
{
    struct csv_output *csv = self;
    int rc = sq_output_file_close(csv->file, if_ok);

    sq_buf_deinit(&csv->cell);
    sq_known_deinit(&csv->known);
    free(csv);
    return rc;
}

const struct sq_output_type sq_output_csv = {"csv", csv_open, csv_samples, csv_flush, csv_close};
