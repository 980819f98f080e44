/* SPDX-License-Identifier: Apache-2.0 */
#include "output/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"

struct fixture {
    struct sq_registry *reg;
    struct sq_tag_table *table;
    struct sq_shard *shard;
    struct sq_thresholds *thresholds;
    struct sq_output_env env;
    char dir[64], path[128], spec[160];
    char *log_text; /* what was logged since setup */
    size_t log_len;
    FILE *log;
    struct sq_log_options log_before;
};

static void setup(struct fixture *f, const struct sq_threshold_spec *specs, size_t count,
                  const char *file)
{
    const struct sq_metric *unused;

    *f = (struct fixture){.reg = sq_registry_new(), .table = sq_tag_table_new()};
    SQ_CHECK_EQ(sq_registry_add(f->reg, "mm", SQ_TREND, SQ_CONTAINS_TIME, &unused, NULL), 0);
    SQ_CHECK_EQ(sq_thresholds_new(f->reg, specs, count, false, &f->thresholds, NULL), 0);
    f->shard = sq_shard_new(f->reg, true);
    f->env = (struct sq_output_env){.registry = f->reg, .thresholds = f->thresholds};
    strcpy(f->dir, "/tmp/squall-output-XXXXXX");
    SQ_CHECK(mkdtemp(f->dir) != NULL);
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, file);
    snprintf(f->spec, sizeof f->spec, "json=%s", f->path);
    f->log_before = sq_log_options_now();
    f->log = open_memstream(&f->log_text, &f->log_len);
    sq_log_configure(&(struct sq_log_options){.to = f->log, .level = SQ_LOG_INFO});
}

static void teardown(struct fixture *f)
{
    sq_log_configure(&f->log_before);
    fclose(f->log);
    free(f->log_text);
    unlink(f->path);
    rmdir(f->dir);
    sq_shard_free(f->shard);
    sq_thresholds_free(f->thresholds);
    sq_tag_table_free(f->table);
    sq_registry_free(f->reg);
}

static struct sq_outputs *open_one(struct fixture *f)
{
    char *specs[] = {f->spec};
    struct sq_outputs *outputs;
    struct sq_error err = {0};

    SQ_CHECK_EQ(sq_outputs_open(specs, 1, &f->env, &outputs, &err), 0, "%s", err.text);
    return outputs;
}

static int64_t in_seconds(int seconds)
{
    return sq_now_ns() + seconds * SQ_NS_PER_S;
}

static void sample(struct fixture *f, uint32_t metric, const char *key, const char *value,
                   bool metadata, int64_t wall_ns, double number)
{
    struct sq_tag_pair pairs[] = {{sq_slice_str(key), sq_slice_str(value)},
                                  {sq_slice_str("group"), sq_slice_str("")}};
    struct sq_tag_pair meta[] = {{sq_slice_str("vu"), sq_slice_str("1")},
                                 {sq_slice_str("iter"), sq_slice_str("0")}};
    struct sq_tagset *tags = sq_tagset_with(f->table, NULL, pairs, *key ? 2 : 0);
    struct sq_tagset *about = sq_tagset_with(f->table, NULL, meta, 2);

    sq_shard_add(f->shard, metric, tags, metadata ? about : NULL, wall_ns, number);
    sq_tagset_unref(tags);
    sq_tagset_unref(about);
}

/* gzread reads plain files too. owned */
static char *read_all(const char *path)
{
    char *text = calloc(1, 8 << 20);
    gzFile gz = gzopen(path, "rb");

    SQ_CHECK(gz != NULL, "%s", path);
    if (gz) {
        SQ_CHECK(gzread(gz, text, (8 << 20) - 1) >= 0);
        SQ_CHECK_EQ(gzclose(gz), Z_OK, "a whole gzip file");
    }
    return text;
}

static const struct sq_threshold_spec mc_9_specs[] = {
    {"mm", "avg<5", false, 0},
    {"mm", "max<9", true, 90 * SQ_NS_PER_S},
    {"mm{a:b}", "min<9", true, 0},
};

static const char golden[] =
    "{\"type\":\"Metric\",\"data\":{\"name\":\"mm\",\"type\":\"trend\",\"contains\":\"time\","
    "\"thresholds\":[\"avg<5\",{\"threshold\":\"max<9\",\"abortOnFail\":true,"
    "\"delayAbortEval\":\"1m30s\"}],"
    "\"submetrics\":[{\"name\":\"mm{a:b}\",\"suffix\":\"a:b\",\"tags\":{\"a\":\"b\"}}]},"
    "\"metric\":\"mm\"}\n"
    "{\"metric\":\"mm\",\"type\":\"Point\",\"data\":{\"time\":\"2026-11-22T23:55:10.5578Z\","
    "\"value\":2.5,\"tags\":{\"group\":\"\",\"url\":\"<&>\"},"
    "\"metadata\":{\"iter\":\"0\",\"vu\":\"1\"}}}\n"
    "{\"metric\":\"mm\",\"type\":\"Point\",\"data\":{\"time\":\"2026-11-22T23:55:11Z\","
    "\"value\":3,\"tags\":{}}}\n"
    "{\"type\":\"Metric\",\"data\":{\"name\":\"checks\",\"type\":\"rate\","
    "\"contains\":\"default\",\"thresholds\":[],\"submetrics\":null},\"metric\":\"checks\"}\n"
    "{\"metric\":\"checks\",\"type\":\"Point\",\"data\":{\"time\":"
    "\"2026-11-22T23:55:11.000000001Z\",\"value\":1,\"tags\":{\"check\":\"is \\\"ok\\\"\","
    "\"group\":\"\"}}}\n";

static void write_golden(struct fixture *f)
{
    const int64_t at = INT64_C(1795391710) * SQ_NS_PER_S; /* 2026-11-22T23:55:10Z */
    uint32_t mm = sq_registry_find(f->reg, "mm")->id;
    struct sq_outputs *outputs = open_one(f);

    sample(f, mm, "url", "<&>", true, at + 557800000, 2.5);
    sample(f, mm, "", "", false, at + SQ_NS_PER_S, 3);
    sample(f, SQ_M_CHECKS, "check", "is \"ok\"", false, at + SQ_NS_PER_S + 1, 1);
    sq_outputs_push(outputs, sq_shard_take_samples(f->shard));
    SQ_CHECK_EQ(sq_outputs_close(outputs, in_seconds(20)), 0);
    SQ_CHECK_EQ(sq_tag_table_count(f->table), 0);
}

SQ_TEST(mc_7_mc_8_mc_9_json_golden)
{
    struct fixture f;

    setup(&f, mc_9_specs, SQ_COUNT(mc_9_specs), "samples.json");
    write_golden(&f);
    char *text = read_all(f.path);
    SQ_CHECK_STR(text, golden);
    free(text);
    teardown(&f);
}

SQ_TEST(met_50_json_gzip)
{
    struct fixture f;

    setup(&f, mc_9_specs, SQ_COUNT(mc_9_specs), "samples.json.gz");
    write_golden(&f);
    FILE *raw = fopen(f.path, "rb");
    SQ_CHECK(raw && fgetc(raw) == 0x1f && fgetc(raw) == 0x8b, "gzip magic");
    if (raw)
        fclose(raw);
    char *text = read_all(f.path);
    SQ_CHECK_STR(text, golden);
    free(text);
    teardown(&f);
}

SQ_TEST(met_50_flushed_while_running)
{
    struct fixture f;
    struct stat st = {0};

    setup(&f, NULL, 0, "samples.json");
    struct sq_outputs *outputs = open_one(&f);
    sample(&f, SQ_M_ITERATIONS, "", "", false, 1, 1);
    sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
    for (int64_t until = in_seconds(10); st.st_size == 0 && sq_now_ns() < until;) {
        usleep(20000);
        SQ_CHECK_EQ(stat(f.path, &st), 0);
    }
    SQ_CHECK(st.st_size > 0, "written before the close");
    sq_outputs_close(outputs, in_seconds(20));
    teardown(&f);
}

SQ_TEST(output_many_batches_to_two_files)
{
    enum { SAMPLES = 20000 };
    struct fixture f;
    char second[160], second_path[160];
    struct sq_outputs *outputs;

    setup(&f, NULL, 0, "one.json");
    snprintf(second_path, sizeof second_path, "%s/two.json.gz", f.dir);
    snprintf(second, sizeof second, "json=%.150s", second_path);
    char *specs[] = {f.spec, second};
    SQ_CHECK_EQ(sq_outputs_open(specs, 2, &f.env, &outputs, NULL), 0);
    for (int i = 0; i < SAMPLES; i++) {
        sample(&f, SQ_M_WS_PING, "a", i % 2 ? "x" : "y", false, i, i + 0.5);
        if (i % 3000 == 0)
            sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
    }
    sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
    sq_outputs_close(outputs, in_seconds(60));
    char *one = read_all(f.path), *two = read_all(second_path);
    SQ_CHECK(strcmp(one, two) == 0);
    int lines = 0;
    for (char *at = one; (at = strchr(at, '\n')); at++)
        lines++;
    SQ_CHECK_EQ(lines, SAMPLES + 1);
    SQ_CHECK_EQ(sq_tag_table_count(f.table), 0);
    free(one);
    free(two);
    unlink(second_path);
    teardown(&f);
}

SQ_TEST(output_disk_full_is_said_once)
{
    struct fixture f;

    if (access("/dev/full", W_OK) != 0)
        return; /* not Linux enough */
    setup(&f, NULL, 0, "unused");
    strcpy(f.spec, "json=/dev/full");
    struct sq_outputs *outputs = open_one(&f);
    for (int i = 0; i < 3; i++) {
        for (int s = 0; s < 1000; s++)
            sample(&f, SQ_M_ITERATIONS, "a", "b", false, 1, 1);
        sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
        usleep(250000);
    }
    sq_outputs_close(outputs, in_seconds(20));
    SQ_CHECK_EQ(sq_tag_table_count(f.table), 0, "samples after the failure are freed too");
    fflush(f.log);
    const char *said = strstr(f.log_text, "No space left on device");
    SQ_CHECK(said != NULL, "%s", f.log_text);
    SQ_CHECK(said && !strstr(said + 1, "No space left"), "%s", f.log_text);
    teardown(&f);
}

/* A reader that never reads: the close gives up at its deadline. */
SQ_TEST(output_that_hangs_is_left_behind)
{
    struct fixture f;

    setup(&f, NULL, 0, "fifo");
    SQ_CHECK_EQ(mkfifo(f.path, 0600), 0);
    int reader = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct sq_outputs *outputs = open_one(&f);
    for (int s = 0; s < 5000; s++)
        sample(&f, SQ_M_ITERATIONS, "", "", false, 1, 1);
    sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
    int64_t before = sq_now_ns();
    SQ_CHECK_EQ(sq_outputs_close(outputs, before + 300 * SQ_NS_PER_MS), 1);
    SQ_CHECK(sq_now_ns() - before < 10 * SQ_NS_PER_S);
    fflush(f.log);
    SQ_CHECK(strstr(f.log_text, "did not finish in time"), "%s", f.log_text);
    close(reader); /* its write fails now and the thread ends by itself */
    usleep(300000);
    teardown(&f);
}

/* What does not fit is counted, never silently lost, and the rest is whole. */
SQ_TEST(output_too_slow_counts_what_it_left_out)
{
    enum { ROUNDS = 20, SAMPLES = 500 };
    struct fixture f;
    char chunk[65536];
    int lines = 0;

    setup(&f, NULL, 0, "fifo");
    f.env.queue_max = 2000;
    SQ_CHECK_EQ(mkfifo(f.path, 0600), 0);
    int reader = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct sq_outputs *outputs = open_one(&f);
    for (int round = 0; round < ROUNDS; round++) {
        for (int s = 0; s < SAMPLES; s++)
            sample(&f, SQ_M_ITERATIONS, "url", "ws://127.0.0.1:1/a/long/path", false, 1, 1);
        sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
        usleep(1000);
    }
    int64_t limit = in_seconds(20), quiet = in_seconds(1); /* five flush intervals */
    while (sq_now_ns() < SQ_MIN(limit, quiet)) {
        ssize_t n = read(reader, chunk, sizeof chunk);
        if (n > 0)
            quiet = in_seconds(1);
        else
            usleep(1000);
        for (ssize_t i = 0; i < n; i++)
            lines += chunk[i] == '\n';
    }
    SQ_CHECK_EQ(sq_outputs_close(outputs, in_seconds(20)), 0);
    fflush(f.log);
    const char *left = strstr(f.log_text, "output json: ");
    int left_out = left ? atoi(left + strlen("output json: ")) : 0;
    SQ_CHECK(strstr(f.log_text, "is too slow: 2000 samples wait"), "%s", f.log_text);
    SQ_CHECK(left_out > 0, "%s", f.log_text);
    SQ_CHECK_EQ(lines, ROUNDS * SAMPLES - left_out + 1);
    SQ_CHECK_EQ(sq_tag_table_count(f.table), 0);
    close(reader);
    teardown(&f);
}

SQ_TEST(mc_23_met_40_refused)
{
    static const struct {
        const char *spec, *words;
        int rc;
    } cases[] = {
        {"datadog", "k6 took it out", SQ_EINVALID},
        {"kafka=x", "output 'kafka'", SQ_EINVALID},
        {"cloud", "not part of this version of squall; available: json, csv", SQ_EINVALID},
        {"nope", "there is no output 'nope'; available: json", SQ_EINVALID},
        {"", "available: json", SQ_EINVALID},
        {"json=/nonexistent/dir/file", "cannot write '/nonexistent/dir/file'", -ENOENT},
    };
    struct fixture f;

    setup(&f, NULL, 0, "good.json");
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *specs[] = {f.spec, (char *)cases[i].spec}; /* a good one is closed again */
        struct sq_outputs *outputs;
        struct sq_error err = {0};
        SQ_CHECK_EQ(sq_outputs_open(specs, 2, &f.env, &outputs, &err), cases[i].rc, "%s",
                    cases[i].spec);
        SQ_CHECK(outputs == NULL && strstr(err.text, cases[i].words), "%s", err.text);
    }
    teardown(&f);
}

SQ_TEST(outputs_none)
{
    struct fixture f;
    struct sq_outputs *outputs;

    setup(&f, NULL, 0, "unused");
    SQ_CHECK_EQ(sq_outputs_open(NULL, 0, &f.env, &outputs, NULL), 0);
    sample(&f, SQ_M_ITERATIONS, "a", "b", false, 1, 1);
    sq_outputs_push(outputs, sq_shard_take_samples(f.shard));
    sq_outputs_push(NULL, NULL);
    SQ_CHECK_EQ(sq_tag_table_count(f.table), 0);
    sq_outputs_close(outputs, 0);
    sq_outputs_close(NULL, 0);
    teardown(&f);
}

SQ_TEST(output_spec_shows_no_credentials)
{
    static const char *const cases[][2] = {
        {"influxdb=http://u:secret@h:1/db?a=b@c", "influxdb=http://***@h:1/db?a=b@c"},
        {"influxdb=http://u:sec@ret@h", "influxdb=http://***@h"},
        {"influxdb=http://h/a@b", "influxdb=http://h/a@b"},
        {"json=a@b", "json=a@b"},
        {"csv", "csv"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *shown = sq_output_spec_shown(cases[i][0]);
        SQ_CHECK_STR(shown, cases[i][1]);
        free(shown);
    }
}
