/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of option types share. Private to src/engine. */
#pragma once
#include "engine/options.h"

struct sq_texts { /* all that one flag or variable was given */
    char *const *items;
    size_t count;
    enum sq_source from;
};

typedef json_t *sq_text_fn(const struct sq_option *o, const struct sq_texts *in,
                           struct sq_error *err);
/* *shown: the normalised value, a new reference, or left NULL when `value` is it already. */
typedef int sq_set_fn(struct sq_config *config, const struct sq_option *o, json_t *value,
                      json_t **shown, struct sq_error *err);
typedef void sq_clear_fn(struct sq_config *config, const struct sq_option *o);

static inline void *sq_option_field(struct sq_config *config, const struct sq_option *o)
{
    return (char *)config + o->offset;
}

static inline const char *sq_texts_last(const struct sq_texts *in)
{
    return in->items[in->count - 1];
}

/* "VALUE is not WANTED"; SQ_EINVALID. */
int sq_value_refuse(const json_t *value, struct sq_error *err, const char *wanted);
/* The same for a text; NULL. */
json_t *sq_value_refuse_text(const char *text, struct sq_error *err, const char *wanted);
/* Index of the text in "a|b|c", or -1. */
int sq_value_choice(const char *choices, const char *text);
int sq_value_check_each(const json_t *list, struct sq_error *err, bool (*good)(const char *),
                        const char *wanted);
bool sq_value_add_pair(json_t *pairs, const char *key, size_t key_len, const char *value,
                       size_t value_len, struct sq_error *err);

sq_set_fn sq_set_list, sq_set_text, sq_set_pairs;

sq_set_fn sq_set_cidrs, sq_set_addresses, sq_set_hosts, sq_set_ciphers, sq_set_tls_version,
    sq_set_tls_auth, sq_set_dns;
sq_clear_fn sq_clear_tls_version, sq_clear_tls_auth, sq_clear_dns;
sq_text_fn sq_text_dns;
