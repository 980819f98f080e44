/* SPDX-License-Identifier: Apache-2.0 */
/* squall stats (ENG-263): the metrics of a running test, fetched over its REST API, as YAML. */
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"
#include "cli/cli.h"
#include "proto/http1/head.h"
#include "vu/run.h"

enum { TIMEOUT_S = 10, ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

extern char **environ;

static int connect_to(const char *address, struct sq_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval limit = {.tv_sec = TIMEOUT_S};
    const char *colon = strrchr(address, ':');
    struct addrinfo *list = NULL;
    int fd = -1, why = 0;

    if (!colon || !colon[1])
        return sq_error_set(err, SQ_EINVALID, "--address: '%s' is not host:port", address);
    size_t len = (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    char *host = bracketed ? sq_xstrndup(address + 1, len - 2) : sq_xstrndup(address, len);
    int rc = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &list);
    free(host);
    if (rc)
        return sq_error_set(err, SQ_EINVALID, "--address: '%s': %s", address, gai_strerror(rc));
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            why = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        return sq_error_set(err, -ECONNREFUSED,
                            "cannot reach a test at '%s': %s; was it started with --address?",
                            address, strerror(why));
    return fd;
}

/* The whole answer, up to the server's end. */
static int exchange(int fd, const char *address, struct sq_buf *answer)
{
    char *request = sq_xasprintf("GET /v1/metrics HTTP/1.1\r\nHost: %s\r\n"
                                 "Connection: close\r\n\r\n",
                                 address);
    size_t len = strlen(request);
    int rc = send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -EIO;

    free(request);
    answer->max_bytes = ANSWER_BYTES_MAX;
    while (rc == 0) {
        rc = sq_buf_reserve(answer, 64 * 1024);
        ssize_t got = rc < 0 ? -1 : recv(fd, answer->data + answer->len, 64 * 1024, 0);
        if (rc == 0 && got < 0)
            rc = -errno;
        if (got <= 0)
            break;
        answer->len += (size_t)got;
    }
    return rc;
}

static void print_value(const json_t *value)
{
    char text[32];

    if (json_is_string(value)) {
        fputs(json_string_value(value), stdout);
    } else if (json_is_number(value)) {
        sq_double_format(json_number_value(value), text);
        fputs(text, stdout);
    } else {
        fputs(json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null", stdout);
    }
}

static void print_metrics(json_t *data)
{
    json_t *metric, *value;
    const char *key;
    size_t i;

    json_array_foreach(data, i, metric)
    {
        json_t *attributes = json_object_get(metric, "attributes");
        printf("- name: \"%s\"\n", json_string_value(json_object_get(metric, "id")));
        json_object_foreach(attributes, key, value)
        {
            printf("  %s:", key);
            if (json_is_object(value)) {
                const char *name;
                json_t *number;
                putchar('\n');
                json_object_foreach(value, name, number)
                {
                    printf("    %s: ", name);
                    print_value(number);
                    putchar('\n');
                }
            } else {
                putchar(' ');
                print_value(value);
                putchar('\n');
            }
        }
    }
}

static int print_answer(const struct sq_buf *answer, const char *address, struct sq_error *err)
{
    struct sq_http1_parser parser = {.kind = SQ_HTTP1_RESPONSE};
    struct sq_http1_head head;
    json_error_t why;

    int got = sq_http1_parse(&parser, sq_buf_slice(answer), &head);
    json_t *root = got > 0 && head.status == 200 ? json_loadb((const char *)answer->data + got,
                                                              answer->len - (size_t)got, 0, &why)
                                                 : NULL;
    json_t *data = json_object_get(root, "data");
    int rc = json_is_array(data)
                 ? 0
                 : sq_error_set(err, SQ_EPROTO, "what answers at '%s' is not a test's REST API",
                                address);
    if (rc == 0)
        print_metrics(data);
    json_decref(root);
    return rc;
}

static int stats(const struct sq_flags *flags, struct sq_error *err)
{
    const char *address = sq_flags_or_env(flags, environ, "address");
    struct sq_buf answer = {0};
    char *const *args;

    if (sq_flags_args(flags, &args) > 0)
        return sq_error_set(err, SQ_EINVALID, "stats takes no argument, got '%s'", args[0]);
    address = address && *address ? address : "localhost:6565";
    int fd = connect_to(address, err);
    if (fd < 0)
        return fd;
    int rc = exchange(fd, address, &answer);
    close(fd);
    rc = rc < 0 ? sq_error_set(err, rc, "'%s' does not answer: %s", address, sq_status_text(rc))
                : print_answer(&answer, address, err);
    sq_buf_deinit(&answer);
    return rc;
}

int sq_cli_stats(int argc, char **argv)
{
    struct sq_error err = {0};
    struct sq_flags *flags = NULL;

    int rc = sq_flags_parse("stats", argc - 1, argv + 1, &flags, &err);
    if (rc == 0 && sq_flags_help(flags))
        sq_cli_print_help("stats");
    else if (rc == 0)
        rc = stats(flags, &err);
    if (rc < 0)
        fprintf(stderr, "squall stats: %s\n", err.text);
    sq_flags_free(flags);
    return rc < 0 ? SQ_EXIT_OTHER : SQ_EXIT_OK;
}
