/* SPDX-License-Identifier: Apache-2.0 */
#include "output/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"

void sq_settings_init(struct sq_settings *s, const char *output, const struct sq_output_env *env,
                      struct sq_error *err)
{
    *s = (struct sq_settings){.output = output, .env = env, .err = err};
}

void sq_settings_deinit(struct sq_settings *s)
{
    for (size_t i = 0; i < s->keys_count; i++) {
        free(s->keys[i].key);
        free(s->keys[i].value);
    }
    s->keys_count = 0;
    free(s->collectors_used);
    s->collectors_used = NULL;
}

int sq_settings_fail(struct sq_settings *s, const char *fmt, ...)
{
    char text[600];
    va_list args;

    if (s->rc < 0)
        return s->rc;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    s->rc = sq_error_set(s->err, SQ_EINVALID, "output %s: %s", s->output, text);
    return s->rc;
}

static int hex_value(uint8_t c)
{
    char lower = sq_ascii_lower((char)c);

    return lower >= '0' && lower <= '9'   ? lower - '0'
           : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                          : -1;
}

char *sq_percent_decode(struct sq_slice text)
{
    char *out = sq_xmalloc(text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int high = text.data[i] == '%' && i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
        out[len++] = low >= 0 ? (char)(high * 16 + low) : (char)text.data[i];
        i += low >= 0 ? 2 : 0;
    }
    out[len] = '\0';
    return out;
}

void sq_list_split(const char *text, char separator, void (*item)(void *user, struct sq_slice part),
                   void *user)
{
    while (*text) {
        const char *end = strchr(text, separator);
        size_t len = end ? (size_t)(end - text) : strlen(text);
        struct sq_slice part = sq_slice_trim(sq_slice(text, len));
        if (part.len)
            item(user, part);
        text += len + (end ? 1 : 0);
    }
}

static void add_key(struct sq_settings *s, struct sq_slice part, bool percent_encoded)
{
    const uint8_t *equals = memchr(part.data, '=', part.len);

    if (!equals) {
        sq_settings_fail(s, "'%.*s' is not KEY=VALUE", (int)part.len, (const char *)part.data);
        return;
    }
    if (s->keys_count == SQ_SETTINGS_KEYS_MAX) {
        sq_settings_fail(s, "more than %d settings", SQ_SETTINGS_KEYS_MAX);
        return;
    }
    size_t key_len = (size_t)(equals - part.data);
    struct sq_slice value = sq_slice(equals + 1, part.len - key_len - 1);
    s->keys[s->keys_count].key = sq_xstrndup((const char *)part.data, key_len);
    s->keys[s->keys_count].value = percent_encoded
                                       ? sq_percent_decode(value)
                                       : sq_xstrndup((const char *)value.data, value.len);
    s->keys[s->keys_count++].used = false;
}

void sq_settings_add_keys(struct sq_settings *s, struct sq_slice text, char separator,
                          bool percent_encoded)
{
    size_t at = 0;

    while (at < text.len) {
        const uint8_t *end = memchr(text.data + at, separator, text.len - at);
        size_t len = end ? (size_t)(end - (text.data + at)) : text.len - at;
        if (len)
            add_key(s, sq_slice(text.data + at, len), percent_encoded);
        at += len + 1;
    }
}

/* ---- collectors of the config file ---- */

static const struct sq_pair_list *collectors(const struct sq_settings *s)
{
    static const struct sq_pair_list none;

    return s->env->config ? &s->env->config->collectors : &none;
}

/* Behind "influxdb.", or behind "prometheus-rw." for "experimental-prometheus-rw"; NULL: of another
 * output. */
static const char *collector_key(const struct sq_settings *s, const char *pair_key)
{
    const char *dot = strchr(pair_key, '.'), *shorter = s->output;
    size_t len = (size_t)(dot - pair_key);

    if (sq_text_starts(shorter, "experimental-"))
        shorter += strlen("experimental-");
    for (const char *name = s->output;; name = shorter) {
        if (strlen(name) == len && memcmp(name, pair_key, len) == 0)
            return dot + 1;
        if (name == shorter)
            return NULL;
    }
}

/* PUSH_INTERVAL and pushInterval are the same name. */
static bool same_name(const char *variable, const char *key)
{
    for (;; variable++, key++) {
        variable += *variable == '_';
        key += *key == '_';
        if (sq_ascii_lower(*variable) != sq_ascii_lower(*key))
            return false;
        if (!*key)
            return true;
    }
}

static const char *in_collectors(struct sq_settings *s, const char *name, char what[static 80])
{
    const struct sq_pair_list *list = collectors(s);
    const char *own = sq_text_starts(name, "PROMETHEUS_RW_") ? name + strlen("PROMETHEUS_RW_")
                                                             : name + strcspn(name, "_") + 1;

    for (size_t i = 0; i < list->count; i++) {
        const char *key = collector_key(s, list->items[i].key);
        if (!key || !same_name(own, key))
            continue;
        if (!s->collectors_used)
            s->collectors_used = sq_xcalloc(list->count, sizeof(bool));
        s->collectors_used[i] = true;
        snprintf(what, 80, "collectors.%s", list->items[i].key);
        return *list->items[i].value ? list->items[i].value : NULL;
    }
    return NULL;
}

/* Some are only asked for when nothing else says it: no reason to stop. */
static void tell_unused_collectors(const struct sq_settings *s)
{
    const struct sq_pair_list *list = collectors(s);

    for (size_t i = 0; i < list->count; i++)
        if (collector_key(s, list->items[i].key) && !(s->collectors_used && s->collectors_used[i]))
            sq_log(SQ_LOG_WARN, "output", "collectors.%s of the config file has no effect",
                   list->items[i].key);
}

int sq_settings_end(struct sq_settings *s)
{
    tell_unused_collectors(s);
    for (size_t i = 0; i < s->keys_count; i++)
        if (!s->keys[i].used)
            sq_settings_fail(s, "there is no setting '%s'", s->keys[i].key);
    return s->rc;
}

static const char *variable(const struct sq_settings *s, const char *prefix, const char *name)
{
    char *const *list = s->env->variables ? s->env->variables : environ;
    size_t prefix_len = strlen(prefix), len = strlen(name);

    for (; list && *list; list++)
        if (strncmp(*list, prefix, prefix_len) == 0 &&
            strncmp(*list + prefix_len, name, len) == 0 && (*list)[prefix_len + len] == '=') {
            const char *value = *list + prefix_len + len + 1;
            return *value ? value : NULL;
        }
    return NULL;
}

/* The text, and in `what` how to call it in a message. */
static const char *look_up(struct sq_settings *s, const char *name, const char *key,
                           char what[static 80])
{
    static const char *const prefixes[] = {"SQUALL_", "K6_"};
    char what_file[80] = "";
    const char *found = NULL, *in_file = in_collectors(s, name, what_file);

    for (size_t i = 0; key && i < s->keys_count; i++)
        if (strcmp(s->keys[i].key, key) == 0) {
            s->keys[i].used = true;
            found = s->keys[i].value;
        }
    snprintf(what, 80, "%s", found ? key : what_file);
    for (size_t i = 0; i < SQ_COUNT(prefixes) && !found; i++)
        if ((found = variable(s, prefixes[i], name)))
            snprintf(what, 80, "%s%s", prefixes[i], name);
    return found ? found : in_file;
}

const char *sq_settings_text(struct sq_settings *s, const char *name, const char *key,
                             const char *initial)
{
    char what[80];
    const char *found = look_up(s, name, key, what);

    return found ? found : initial;
}

void sq_settings_each(const struct sq_settings *s, const char *prefix,
                      void (*item)(void *user, struct sq_slice rest, struct sq_slice value),
                      void *user)
{
    static const char *const owners[] = {"K6_", "SQUALL_"};
    char *const *list = s->env->variables ? s->env->variables : environ;

    for (size_t o = 0; o < SQ_COUNT(owners); o++)
        for (char *const *at = list; at && *at; at++) {
            size_t skip = strlen(owners[o]) + strlen(prefix);
            const char *equals = strchr(*at, '=');
            if (sq_text_starts(*at, owners[o]) && sq_text_starts(*at + strlen(owners[o]), prefix) &&
                equals && equals > *at + skip)
                item(user, sq_slice(*at + skip, (size_t)(equals - *at) - skip),
                     sq_slice_str(equals + 1));
        }
}

const char *sq_settings_foreign(const struct sq_settings *s, const char *name)
{
    return variable(s, "", name);
}

bool sq_settings_bool(struct sq_settings *s, const char *name, const char *key, bool initial)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    char what[80];
    const char *found = look_up(s, name, key, what);

    if (!found)
        return initial;
    for (size_t i = 0; i < SQ_COUNT(yes); i++) {
        if (strcmp(found, yes[i]) == 0)
            return true;
        if (strcmp(found, no[i]) == 0)
            return false;
    }
    sq_settings_fail(s, "%s: '%s' is neither true nor false", what, found);
    return initial;
}

int64_t sq_settings_duration(struct sq_settings *s, const char *name, const char *key,
                             int64_t initial_ns)
{
    char what[80];
    const char *found = look_up(s, name, key, what);
    int64_t ns;

    if (!found)
        return initial_ns;
    if (sq_duration_parse(found, SQ_DURATION_OPTION, &ns) < 0 || ns < SQ_NS_PER_MS) {
        sq_settings_fail(s, "%s: '%s' is not a duration such as 5s", what, found);
        return initial_ns;
    }
    return ns;
}

int64_t sq_settings_count(struct sq_settings *s, const char *name, const char *key, int64_t initial)
{
    char what[80], *end;
    const char *found = look_up(s, name, key, what);

    if (!found)
        return initial;
    errno = 0;
    long long value = strtoll(found, &end, 10);
    if (errno || *end || end == found || value < 0) {
        sq_settings_fail(s, "%s: '%s' is not a whole number", what, found);
        return initial;
    }
    return value;
}
