/* SPDX-License-Identifier: Apache-2.0 */
#include "output/target.h"

#include "output/output_kit.h"

static void check_text(const char *got, const char *want, const char *what)
{
    SQ_CHECK((!got && !want) || (got && want && strcmp(got, want) == 0), "%s: '%s', want '%s'",
             what, got ? got : "(null)", want ? want : "(null)");
}

SQ_TEST(target_parts)
{
    static const struct {
        const char *text, *scheme, *user, *password, *host, *port, *path, *query, *url;
    } cases[] = {
        {"http://h", "http", NULL, NULL, "h", NULL, "", NULL, "http://h"},
        {"HTTPS://h:1/a/b?c=d#e", "https", NULL, NULL, "h", "1", "/a/b", "c=d", "https://h:1"},
        {"http://u:p%40%3a@h:8086/db", "http", "u", "p@:", "h", "8086", "/db", NULL,
         "http://h:8086"},
        {"http://u@h", "http", "u", NULL, "h", NULL, "", NULL, "http://h"},
        {"http://u:a@b@h/", "http", "u", "a@b", "h", NULL, "/", NULL, "http://h"},
        {"udp://[::1]:8089/x", "udp", NULL, NULL, "::1", "8089", "/x", NULL, "udp://[::1]:8089"},
        {"http://h/a@b", "http", NULL, NULL, "h", NULL, "/a@b", NULL, "http://h"},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_target t;
        SQ_CHECK_EQ(sq_target_parse(cases[i].text, &t, NULL), 0, "%s", cases[i].text);
        check_text(t.scheme, cases[i].scheme, cases[i].text);
        check_text(t.user, cases[i].user, cases[i].text);
        check_text(t.password, cases[i].password, cases[i].text);
        check_text(t.host, cases[i].host, cases[i].text);
        check_text(t.port, cases[i].port, cases[i].text);
        check_text(t.path, cases[i].path, cases[i].text);
        check_text(t.query, cases[i].query, cases[i].text);
        check_text(t.url, cases[i].url, cases[i].text);
        sq_target_deinit(&t);
    }
}

SQ_TEST(target_refused_without_showing_credentials)
{
    static const char *const cases[] = {
        "user:secret@host", "http://user:secret@",        "http://user:secret@h:x",
        "http://secret@:1", "http://user:secret@h:70000", "http://user:secret@[::1",
        "http://secret@h:", "http://user:secret@h h",     "",
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_target t;
        struct sq_error err = {0};
        SQ_CHECK_EQ(sq_target_parse(cases[i], &t, &err), SQ_EINVALID, "%s", cases[i]);
        SQ_CHECK(*err.text && !strstr(err.text, "secret"), "%s", err.text);
    }
}
