/* SPDX-License-Identifier: Apache-2.0 */
#include "output/target.h"

#include <stdlib.h>

#include "base/text.h"
#include "output/settings.h"

static char *copy(const char *from, const char *to)
{
    return sq_xstrndup(from, (size_t)(to - from));
}

static void parse_user(const char *from, const char *to, struct sq_target *out)
{
    const char *colon = memchr(from, ':', (size_t)(to - from));
    const char *end = colon ? colon : to;

    out->user = sq_percent_decode(sq_slice(from, (size_t)(end - from)));
    if (colon)
        out->password = sq_percent_decode(sq_slice(colon + 1, (size_t)(to - colon - 1)));
}

static bool parse_host(const char *from, const char *to, struct sq_target *out)
{
    const char *port = NULL;

    if (from < to && *from == '[') {
        const char *end = memchr(from, ']', (size_t)(to - from));
        if (!end || (end + 1 < to && end[1] != ':'))
            return false;
        out->host = copy(from + 1, end);
        port = end + 1 < to ? end + 2 : NULL;
    } else {
        const char *colon = memchr(from, ':', (size_t)(to - from));
        out->host = copy(from, colon ? colon : to);
        port = colon ? colon + 1 : NULL;
    }
    if (port) {
        out->port = copy(port, to);
        char *end;
        long number = strtol(out->port, &end, 10);
        if (*end || end == out->port || number < 1 || number > 65535)
            return false;
    }
    for (const char *c = out->host; *c; c++)
        if ((unsigned char)*c <= ' ')
            return false;
    return *out->host != '\0';
}

int sq_target_parse(const char *text, struct sq_target *out, struct sq_error *err)
{
    *out = (struct sq_target){0};
    const char *mark = strstr(text, "://");

    if (!mark)
        return sq_error_set(err, SQ_EINVALID,
                            "an address must start with a scheme such as http://");
    out->scheme = copy(text, mark);
    for (char *c = out->scheme; *c; c++)
        *c = sq_ascii_lower(*c);
    const char *from = mark + 3;
    const char *end = from + strcspn(from, "/?#"), *at = end;
    while (at > from && *at != '@')
        at--;
    if (*at == '@') {
        parse_user(from, at, out);
        from = at + 1;
    }
    if (!parse_host(from, end, out)) {
        int rc = sq_error_set(err, SQ_EINVALID, "the address has no valid host and port");
        sq_target_deinit(out);
        return rc;
    }
    const char *path_end = end + strcspn(end, "?#");
    out->path = copy(end, path_end);
    if (*path_end == '?')
        out->query = copy(path_end + 1, path_end + 1 + strcspn(path_end + 1, "#"));
    bool v6 = strchr(out->host, ':');
    out->url = sq_xasprintf("%s://%s%s%s%s%s", out->scheme, v6 ? "[" : "", out->host, v6 ? "]" : "",
                            out->port ? ":" : "", out->port ? out->port : "");
    return 0;
}

void sq_target_deinit(struct sq_target *target)
{
    free(target->scheme);
    free(target->user);
    free(target->password);
    free(target->host);
    free(target->port);
    free(target->path);
    free(target->query);
    free(target->url);
    *target = (struct sq_target){0};
}
