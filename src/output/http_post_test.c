/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers that are not there or never answer; protocols are in tests/script/outputs. */
#include "output/http_post.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "output/output_kit.h"

static const char *const types[] = {"experimental-prometheus-rw", "influxdb", "opentelemetry"};

/* Runs each HTTP output against a port; returns the ns that the close took. */
static int64_t run_against(size_t type, int port, int64_t deadline_ns, struct sq_output_kit *kit)
{
    char prometheus[100], otel[100], influxdb[100];
    char *variables[] = {prometheus,
                         otel,
                         influxdb,
                         "K6_OTEL_HTTP_EXPORTER_INSECURE=true",
                         "K6_OTEL_HTTP_EXPORTER_PASSWORD=secret",
                         NULL};

    snprintf(prometheus, sizeof prometheus,
             "K6_PROMETHEUS_RW_SERVER_URL=http://user:secret@127.0.0.1:%d/w", port);
    snprintf(otel, sizeof otel, "K6_OTEL_HTTP_EXPORTER_ENDPOINT=127.0.0.1:%d", port);
    snprintf(influxdb, sizeof influxdb, "K6_INFLUXDB_ADDR=http://user:secret@127.0.0.1:%d", port);
    sq_output_kit_init(kit, variables, "unused");
    for (int i = 0; i < 10; i++)
        sq_output_kit_sample(kit, SQ_M_ITERATIONS, (char *[]){"a=b", NULL}, NULL, i, 1);
    int64_t before = sq_now_ns();
    SQ_CHECK_EQ(sq_output_kit_run(kit, types[type], deadline_ns), 0);
    return sq_now_ns() - before;
}

SQ_TEST(met_42_nobody_listens)
{
    int port, fd = sq_output_kit_listen(SOCK_STREAM, &port);

    close(fd);
    for (size_t i = 0; i < SQ_COUNT(types); i++) {
        struct sq_output_kit kit;
        SQ_CHECK(run_against(i, port, 20 * SQ_NS_PER_S, &kit) < 10 * SQ_NS_PER_S);
        const char *log = sq_output_kit_log(&kit);
        SQ_CHECK(strstr(log, "Failed to connect") || strstr(log, "connect"), "%s", log);
        SQ_CHECK(strstr(log, "1 of 1 "), "%s", log);
        SQ_CHECK(!strstr(log, "secret"), "%s", log);
        sq_output_kit_deinit(&kit);
    }
}

/* The connection is made by the kernel; nobody ever reads: the close ends at its deadline and no
 * thread stays behind. */
SQ_TEST(met_42_accepts_and_never_answers)
{
    int port, fd = sq_output_kit_listen(SOCK_STREAM, &port);

    for (size_t i = 0; i < SQ_COUNT(types); i++) {
        struct sq_output_kit kit;
        int64_t took_ns = run_against(i, port, 300 * SQ_NS_PER_MS, &kit);
        SQ_CHECK(took_ns < 4 * SQ_NS_PER_S, "%s: %lld ms", types[i],
                 (long long)(took_ns / SQ_NS_PER_MS));
        SQ_CHECK(strstr(sq_output_kit_log(&kit), " failed") != NULL, "%s", sq_output_kit_log(&kit));
        sq_output_kit_deinit(&kit);
    }
    close(fd);
}

SQ_TEST(http_headers_refused)
{
    static const char *const cases[][2] = {{"", "v"}, {"a b", "v"}, {"a:b", "v"}, {"a", "x\r\ny"}};
    struct sq_post_headers headers = {0};

    for (size_t i = 0; i < SQ_COUNT(cases); i++)
        SQ_CHECK_EQ(
            sq_post_headers_add(&headers, sq_slice_str(cases[i][0]), sq_slice_str(cases[i][1])),
            SQ_EINVALID);
    SQ_CHECK_EQ(sq_post_headers_add(&headers, sq_slice_str("X-A"), sq_slice_str("b c")), 0);
    SQ_CHECK_STR(headers.items[0], "X-A: b c");
    SQ_CHECK(headers.items[1] == NULL);
    sq_post_headers_deinit(&headers);
}

SQ_TEST(met_80_met_90_settings_refused)
{
    static const struct {
        const char *spec, *variable, *words;
    } cases[] = {
        {"prometheus-rw=http://h/", "X=", "takes no argument"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_SERVER_URL=h:9090", "must start with a scheme"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_SERVER_URL=udp://h", "neither http nor https"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_TREND_STATS=avg,p95", "'p95' is none of"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_PUSH_INTERVAL=x", "is not a duration"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_PUSH_INTERVAL=0", "is not a duration"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_TLS_MINIMUM_VERSION=1.1", "neither 1.2 nor 1.3"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_HTTP_HEADERS=secret", "is not name:value"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_HEADERS_A B=secret", "header 'A B' is not valid"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_SIGV4_REGION=r", "go together"},
        {"prometheus-rw", "K6_PROMETHEUS_RW_STALE_MARKERS=x", "neither true nor false"},
        {"opentelemetry", "K6_OTEL_EXPORTER_PROTOCOL=grpc", "K6_OTEL_EXPORTER_PROTOCOL=http/"},
        {"opentelemetry", "K6_OTEL_GRPC_EXPORTER_ENDPOINT=h:4317", "does not speak OTLP over gRPC"},
        {"opentelemetry", "K6_OTEL_EXPORTER_PROTOCOL=udp", "'udp' is not http/protobuf"},
        {"opentelemetry", "K6_OTEL_HTTP_EXPORTER_ENDPOINT=http://h", "without a scheme"},
        {"opentelemetry", "K6_OTEL_HTTP_EXPORTER_ENDPOINT=u:secret@h", "holds a user name"},
        {"opentelemetry", "K6_OTEL_HEADERS=secret", "is not name=value"},
        {"opentelemetry=x", "X=", "takes no argument"},
    };
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *specs[] = {(char *)cases[i].spec};
        struct sq_outputs *outputs;
        struct sq_error err = {0};
        kit.env.variables = (char *[]){(char *)cases[i].variable, NULL};
        SQ_CHECK_EQ(sq_outputs_open(specs, 1, &kit.env, &outputs, &err), SQ_EINVALID, "%s %s",
                    cases[i].spec, cases[i].variable);
        SQ_CHECK(strstr(err.text, cases[i].words) && !strstr(err.text, "secret"), "%s", err.text);
    }
    sq_output_kit_deinit(&kit);
}
