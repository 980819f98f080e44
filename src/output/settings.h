/* SPDX-License-Identifier: Apache-2.0 */
/* How an output is configured (MET-41): a default, `collectors.TYPE` of the config file, the
 * environment (SQUALL_X before K6_X), a key of the ARG behind "TYPE=". In the config file a key is
 * the variable's name without prefix and in any spelling: pushInterval, PUSH_INTERVAL. The first
 * value that is wrong is kept in `err`; the getters go on with defaults, so that an output reads
 * all of them and asks once. Main thread. */
#pragma once
#include "output/output.h"

enum { SQ_SETTINGS_KEYS_MAX = 16 };

struct sq_settings {
    const char *output; /* its name, for messages */
    const struct sq_output_env *env;
    struct sq_error *err;
    int rc; /* SQ_EINVALID once something was wrong */
    struct {
        char *key, *value; /* owned */
        bool used;
    } keys[SQ_SETTINGS_KEYS_MAX];
    size_t keys_count;
    bool *collectors_used; /* of the config's pairs */
};

void sq_settings_init(struct sq_settings *s, const char *output, const struct sq_output_env *env,
                      struct sq_error *err);
/* "key=value" pieces of an ARG. */
void sq_settings_add_keys(struct sq_settings *s, struct sq_slice text, char separator,
                          bool percent_encoded);
/* Complains about keys that nobody asked for. Returns s->rc. */
SQ_MUST_USE int sq_settings_end(struct sq_settings *s);
void sq_settings_deinit(struct sq_settings *s);

/* `name` is without prefix ("CSV_FILENAME"), `key` that of the ARG or NULL. Texts are borrowed from
 * the environment, the settings or the caller's `initial`. An empty variable counts as not set. */
const char *sq_settings_text(struct sq_settings *s, const char *name, const char *key,
                             const char *initial);
/* A variable that other programs define, under its full name; NULL: not set. */
const char *sq_settings_foreign(const struct sq_settings *s, const char *name);
bool sq_settings_bool(struct sq_settings *s, const char *name, const char *key, bool initial);
/* ns; 1 ms at least. */
int64_t sq_settings_duration(struct sq_settings *s, const char *name, const char *key,
                             int64_t initial_ns);
int64_t sq_settings_count(struct sq_settings *s, const char *name, const char *key,
                          int64_t initial);
/* Every variable whose name goes on behind `prefix`: K6_ first, so that SQUALL_ may replace it. */
void sq_settings_each(const struct sq_settings *s, const char *prefix,
                      void (*item)(void *user, struct sq_slice rest, struct sq_slice value),
                      void *user);
/* Records a failure: "output NAME: ..." */
int sq_settings_fail(struct sq_settings *s, const char *fmt, ...) SQ_PRINTF(2, 3);

/* "%20" to " "; what is no such code stays. owned: free */
char *sq_percent_decode(struct sq_slice text);
/* Calls `item` for every part of a list, blanks around it removed, empty ones left out. */
void sq_list_split(const char *text, char separator, void (*item)(void *user, struct sq_slice part),
                   void *user);
