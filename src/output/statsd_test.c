/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "output/output_kit.h"

static void golden(char *const *variables, const char *want)
{
    struct sq_output_kit kit;
    int port, fd = sq_output_kit_listen(SOCK_DGRAM, &port);
    char *spec = sq_xasprintf("statsd=127.0.0.1:%d", port);
    char *tags[] = {"check=is: one", "group=::g", "url=u", "x,y=a|b#c,d", "empty=", NULL};

    sq_output_kit_init(&kit, variables, "unused");
    uint32_t gauge = sq_output_kit_metric(&kit, "gg", SQ_GAUGE, SQ_CONTAINS_DEFAULT);
    uint32_t rate = sq_output_kit_metric(&kit, "rr", SQ_RATE, SQ_CONTAINS_DEFAULT);
    sq_output_kit_sample(&kit, SQ_M_CHECKS, tags, NULL, 1, 1);
    sq_output_kit_sample(&kit, SQ_M_CHECKS, (char *[]){"check=c", NULL}, NULL, 1, 0);
    sq_output_kit_sample(&kit, SQ_M_DATA_SENT, NULL, NULL, 1, 12);
    sq_output_kit_sample(&kit, SQ_M_WS_PING, NULL, NULL, 1, 1.25);
    sq_output_kit_sample(&kit, gauge, NULL, NULL, 1, -3);
    sq_output_kit_sample(&kit, rate, NULL, NULL, 1, 7);
    SQ_CHECK_EQ(sq_output_kit_run(&kit, spec, 20 * SQ_NS_PER_S), 0);
    char *text = sq_output_kit_datagrams(fd);
    SQ_CHECK_STR(text, want);
    free(text);
    free(spec);
    close(fd);
    sq_output_kit_deinit(&kit);
}

SQ_TEST(mc_23_statsd_lines)
{
    golden(NULL, "k6.check.is_ one.pass:1|c\nk6.check.c.fail:1|c\nk6.data_sent:12|c\n"
                 "k6.ws_ping:1.25|ms\nk6.gg:0|g\nk6.gg:-3|g\nk6.rr:1|c\n");
}

SQ_TEST(mc_23_statsd_tags)
{
    char *variables[] = {"K6_STATSD_ENABLE_TAGS=true", "K6_STATSD_NAMESPACE=load",
                         "K6_STATSD_BUFFER_SIZE=1", NULL};

    golden(variables, "load.check.is_ one.pass:1|c|#check:is: one,group:::g,x_y:a_b_c_d\n"
                      "load.check.c.fail:1|c|#check:c\nload.data_sent:12|c\nload.ws_ping:1.25|ms\n"
                      "load.gg:-3|g\nload.rr:1|c\n");
}

/* Nobody listens: the kernel says so on the next send. */
SQ_TEST(statsd_without_a_receiver)
{
    struct sq_output_kit kit;
    int port, fd = sq_output_kit_listen(SOCK_DGRAM, &port);
    char *variables[] = {"K6_STATSD_BUFFER_SIZE=1", NULL};
    char *spec = sq_xasprintf("statsd=127.0.0.1:%d", port);

    close(fd);
    sq_output_kit_init(&kit, variables, "unused");
    for (int i = 0; i < 100; i++)
        sq_output_kit_sample(&kit, SQ_M_ITERATIONS, NULL, NULL, 1, 1);
    SQ_CHECK_EQ(sq_output_kit_run(&kit, spec, 20 * SQ_NS_PER_S), 0);
    const char *log = sq_output_kit_log(&kit), *said = strstr(log, "Connection refused");
    SQ_CHECK(said && !strstr(said + 1, "Connection refused"), "%s", log);
    SQ_CHECK(strstr(log, "of 100 datagrams failed"), "%s", log);
    free(spec);
    sq_output_kit_deinit(&kit);
}

SQ_TEST(statsd_settings_refused)
{
    static const char *const cases[][2] = {{"statsd=host", "is not HOST:PORT"},
                                           {"statsd=127.0.0.1:", "is not HOST:PORT"},
                                           {"statsd=127.0.0.1:nope", "does not resolve"}};
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *specs[] = {(char *)cases[i][0]};
        struct sq_outputs *outputs;
        struct sq_error err = {0};
        SQ_CHECK_EQ(sq_outputs_open(specs, 1, &kit.env, &outputs, &err), SQ_EINVALID);
        SQ_CHECK(strstr(err.text, cases[i][1]) != NULL, "%s", err.text);
    }
    sq_output_kit_deinit(&kit);
}
