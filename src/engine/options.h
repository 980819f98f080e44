/* SPDX-License-Identifier: Apache-2.0 */
/* The option table: one row per option feeds flags, K6_* and SQUALL_* variables, the config file,
 * the script's `options`, --help, man page and completions. */
#pragma once
#include <jansson.h>

#include "engine/config.h"

enum sq_option_type {
    SQ_OPT_SWITCH,
    SQ_OPT_COUNT,
    SQ_OPT_DURATION,
    SQ_OPT_TEXT,
    SQ_OPT_CHOICE, /* one of row.choices */
    SQ_OPT_SUMMARY_MODE,
    SQ_OPT_LIST,
    SQ_OPT_CIDRS,
    SQ_OPT_ADDRESSES,
    SQ_OPT_STATS,
    SQ_OPT_CIPHERS,
    SQ_OPT_SYSTEM_TAGS,
    SQ_OPT_PAIRS,
    SQ_OPT_HOSTS,
    SQ_OPT_COLLECTORS,
    SQ_OPT_STAGES,
    SQ_OPT_SCENARIOS,
    SQ_OPT_THRESHOLDS,
    SQ_OPT_TLS_VERSION,
    SQ_OPT_TLS_AUTH,
    SQ_OPT_DNS,
    SQ_OPT_SEGMENT,
    SQ_OPT_SEQUENCE,
    SQ_OPT_ANY, /* accepted, has no effect here */
};

enum sq_command { /* bits */
                  SQ_CMD_RUN = 1 << 0,
                  SQ_CMD_ARCHIVE = 1 << 1,
                  SQ_CMD_INSPECT = 1 << 2,
                  SQ_CMD_NEW = 1 << 3,
                  SQ_CMD_VERSION = 1 << 4,
                  SQ_CMD_STATS = 1 << 5,
                  SQ_CMD_ECHO = 1 << 6,
                  SQ_CMD_COMPLETION = 1 << 7,
                  SQ_CMD_ALL = (1 << 8) - 1,
                  SQ_CMD_TEST = SQ_CMD_RUN | SQ_CMD_ARCHIVE, /* commands that consolidate options */
                  SQ_CMD_LOAD = SQ_CMD_TEST | SQ_CMD_INSPECT,
};

enum sq_option_trait { /* bits */
                       SQ_OPT_IN_SCRIPT = 1 << 0,
                       SQ_OPT_IN_FILE = 1 << 1,
                       SQ_OPT_SHOWN = 1 << 2,   /* in sq_config_json */
                       SQ_OPT_REPEATS = 1 << 3, /* each flag adds */
                       SQ_OPT_SPLITS = 1 << 4,  /* and commas separate */
                       SQ_OPT_BARE = 1
                                     << 5, /* a flag without value means the last of row.choices */
                       SQ_OPT_SILENT = 1 << 6,    /* no line in --help */
                       SQ_OPT_EXECUTION = 1 << 7, /* the group of ENG-71 */
                       SQ_OPT_255 = 1 << 8,       /* exit code 255 from any source */
                       SQ_OPT_JSON = SQ_OPT_IN_SCRIPT | SQ_OPT_IN_FILE | SQ_OPT_SHOWN,
};

enum sq_option_group {
    SQ_GROUP_LOAD,
    SQ_GROUP_SCRIPT,
    SQ_GROUP_NETWORK,
    SQ_GROUP_RESULTS,
    SQ_GROUP_SQUALL,
    SQ_GROUP_COMMAND,
    SQ_GROUP_GLOBAL,
};

#define SQ_OPT_NO_FIELD ((size_t)-1)

struct sq_option {
    const char *flag; /* "vus"; NULL: no flag */
    char letter;      /* 'u' or 0 */
    const char *env;  /* "VUS" stands for SQUALL_VUS and K6_VUS; NULL: no variable */
    const char *key;  /* JSON key; NULL: none */
    const char *arg;  /* "N" as shown in help; NULL for switches */
    const char *help;
    enum sq_option_type type;
    size_t offset; /* into struct sq_config, or SQ_OPT_NO_FIELD */
    enum sq_option_group group;
    unsigned commands;   /* enum sq_command */
    unsigned traits;     /* enum sq_option_trait */
    const char *choices; /* "a|b|c"; the bare value */
    const char *initial; /* default in the form of a variable; NULL: zero */
};

extern const struct sq_option sq_options[];
extern const size_t sq_options_count;

struct sq_command_info {
    unsigned bit;
    const char *name, *arguments, *what;
};
extern const struct sq_command_info sq_commands[];
extern const size_t sq_commands_count;
/* 0 for a word that is no command. */
unsigned sq_command_bit(const char *command);

struct sq_config_hidden {
    int exit_code;
    json_t *shown;     /* key -> normalised value */
    json_t *scenarios; /* as given; NULL: not set */
    json_t *derived;   /* what derive made of shortcuts or scenarios */
    json_t *tags[SQ_FROM_FLAG + 1];
};

/* Private to src/engine. --------------------------------------------------------------------- */

/* Texts of a flag or variable as JSON for sq_option_set. NULL and an error when malformed. */
json_t *sq_option_text_to_json(const struct sq_option *o, char *const *texts, size_t count,
                               enum sq_source from, struct sq_error *err);
/* The one setter: checks `value` (not null) and replaces what the config had. */
SQ_MUST_USE int sq_option_set(struct sq_config *config, const struct sq_option *o, json_t *value,
                              enum sq_source from, struct sq_error *err);
/* Back to "not set". */
void sq_option_clear(struct sq_config *config, const struct sq_option *o);
void sq_config_warn(struct sq_config *config, const char *fmt, ...) SQ_PRINTF(2, 3);
/* Integer out of a JSON integer or a string that holds one (ENG-83). */
bool sq_json_to_int(const json_t *value, int64_t *out);
/* Duration out of a JSON number (ms) or string (ENG-80). */
bool sq_json_to_duration(const json_t *value, int64_t *ns);

/* config.c */
enum { SQ_CONFIG_EXIT_BAD = 104, SQ_CONFIG_EXIT_OTHER = 255 };
/* Notes the exit code and returns rc. */
int sq_config_fail(struct sq_config *config, int exit_code, int rc);
bool sq_config_is_set(const struct sq_config *config, size_t offset);
/* ENG-71: what lower levels said about execution is dropped; `level` speaks now. */
void sq_config_drop_execution(struct sq_config *config, const char *level);
/* sq_option_set, remembering tags by level (ENG-73). */
SQ_MUST_USE int sq_config_apply(struct sq_config *config, const struct sq_option *o, json_t *value,
                                enum sq_source from, struct sq_error *err);
/* SQUALL_X, else K6_X; an empty variable counts as not set. *prefix says which was found. */
const char *sq_option_variable(char *const *list, const struct sq_option *o, const char **prefix);

/* scenario.c. Problems are appended to the buffers as "what; ": `wrong` for shapes and names
 * (unknown key, wrong type), `bad` for values. Either may be NULL. *out is always freeable. */
struct sq_buf;
void sq_scenario_from_json(const char *name, const json_t *json, struct sq_scenario *out,
                           struct sq_buf *wrong, struct sq_buf *bad);
void sq_scenario_deinit(struct sq_scenario *scenario);
/* With every key of its executor, null when unset. New reference. */
json_t *sq_scenario_shown(const json_t *json);
