/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "output/output_kit.h"

enum { DEADLINE_S = 20 };
static const int64_t at_ns = INT64_C(1795391710557819939);

static void golden(struct sq_output_kit *kit, const char *query, const char *want)
{
    int port, fd = sq_output_kit_listen(SOCK_DGRAM, &port);
    char *spec = sq_xasprintf("influxdb=udp://user:secret@127.0.0.1:%d/db%s", port, query);

    SQ_CHECK_EQ(sq_output_kit_run(kit, spec, DEADLINE_S * SQ_NS_PER_S), 0);
    char *text = sq_output_kit_datagrams(fd);
    SQ_CHECK_STR(text, want);
    SQ_CHECK_STR(sq_output_kit_log(kit), "");
    free(text);
    free(spec);
    close(fd);
}

SQ_TEST(mc_20_met_71_influxdb_lines)
{
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    sq_output_kit_sample(&kit, SQ_M_CHECKS,
                         (char *[]){"check=is one", "error=", "scenario=default", NULL},
                         (char *[]){"vu=1", "iter=0", NULL}, at_ns, 1);
    sq_output_kit_sample(
        &kit, SQ_M_WS_PING,
        (char *[]){"url=ws://a/\"b\\c", "k,e y==a,b=c d", "t=\\", "u=x\\\\", "w=two\nlines", NULL},
        NULL, at_ns, 12.5);
    sq_output_kit_sample(&kit, SQ_M_DATA_SENT, NULL, NULL, 5, -1e21);
    golden(&kit, "",
           "checks,check=is\\ one,scenario=default value=1 1795391710557819939\n"
           "ws_ping,k\\,e\\ y=\\=a\\,b\\=c\\ d,u=x,w=two\\ lines value=12.5,"
           "url=\"ws://a/\\\"b\\\\c\" 1795391710557819939\n"
           "data_sent value=-1e+21 5\n");
    sq_output_kit_deinit(&kit);
}

SQ_TEST(met_70_influxdb_tags_as_fields_and_precision)
{
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    sq_output_kit_sample(&kit, SQ_M_VUS,
                         (char *[]){"b=true", "f=1.50", "i=42", "s=x y", "url=u", NULL}, NULL,
                         at_ns, 3);
    sq_output_kit_sample(&kit, SQ_M_VUS, (char *[]){"b=maybe", "f=1e999", "i=4.2", "s=", NULL},
                         NULL, at_ns, 3);
    golden(&kit, "?tagsAsFields=i:int,f:float,b:bool,s%3Astring&precision=ms&pushInterval=100ms",
           "vus,url=u value=3,b=true,f=1.5,i=42i,s=\"x y\" 1795391710557\n"
           "vus value=3 1795391710557\n");
    sq_output_kit_deinit(&kit);
}

/* Many lines: each datagram holds whole lines and no more bytes than asked for. */
SQ_TEST(met_70_influxdb_payload_size)
{
    struct sq_output_kit kit;
    char datagram[65536];
    int port, fd = sq_output_kit_listen(SOCK_DGRAM, &port), lines = 0, datagrams = 0;
    char *spec = sq_xasprintf("influxdb=udp://127.0.0.1:%d?payload_size=100", port);

    sq_output_kit_init(&kit, NULL, "unused");
    for (int i = 0; i < 50; i++)
        sq_output_kit_sample(&kit, SQ_M_ITERATIONS, NULL, NULL, at_ns, i);
    SQ_CHECK_EQ(sq_output_kit_run(&kit, spec, DEADLINE_S * SQ_NS_PER_S), 0);
    for (ssize_t n; (n = recv(fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0; datagrams++) {
        SQ_CHECK(n <= 100 && datagram[n - 1] == '\n', "%zd", n);
        for (ssize_t i = 0; i < n; i++)
            lines += datagram[i] == '\n';
    }
    SQ_CHECK_EQ(lines, 50);
    SQ_CHECK_EQ(datagrams, 25);
    free(spec);
    close(fd);
    sq_output_kit_deinit(&kit);
}

SQ_TEST(met_70_influxdb_settings_refused)
{
    static const struct {
        const char *spec, *variable, *words;
    } cases[] = {
        {"influxdb=localhost/db", "X=", "must start with a scheme"},
        {"influxdb=ftp://h/db", "X=", "'ftp' is none of http, https and udp"},
        {"influxdb=http://u:secret@h:x/db", "X=", "no valid host and port"},
        {"influxdb=http://h/db?nope=1", "X=", "there is no setting 'nope'"},
        {"influxdb=http://h/db?precision=d", "X=", "precision 'd' is none of"},
        {"influxdb=http://h/db?concurrentWrites=x", "X=", "concurrentWrites: 'x' is not a whole"},
        {"influxdb=http://h/db?tagsAsFields=a:uint", "X=", "'uint' is none of string"},
        {"influxdb", "K6_INFLUXDB_INSECURE=maybe", "K6_INFLUXDB_INSECURE: 'maybe' is neither"},
        {"influxdb", "K6_INFLUXDB_ADDR=http://u:secret@:1", "no valid host"},
    };
    struct sq_output_kit kit;

    sq_output_kit_init(&kit, NULL, "unused");
    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        char *specs[] = {(char *)cases[i].spec};
        struct sq_outputs *outputs;
        struct sq_error err = {0};
        kit.env.variables = (char *[]){(char *)cases[i].variable, NULL};
        SQ_CHECK_EQ(sq_outputs_open(specs, 1, &kit.env, &outputs, &err), SQ_EINVALID, "%s",
                    cases[i].spec);
        SQ_CHECK(strstr(err.text, cases[i].words) && !strstr(err.text, "secret"), "%s", err.text);
    }
    sq_output_kit_deinit(&kit);
}
