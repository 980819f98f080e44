/* SPDX-License-Identifier: Apache-2.0 */
/* Every option of a run, consolidated: default < config file < script < environment < flag. One
 * table (options.c) feeds flags, K6_* and SQUALL_* variables, config file, script options and
 * --help. Main thread. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "engine/schedule.h"

enum sq_source { SQ_FROM_DEFAULT, SQ_FROM_FILE, SQ_FROM_SCRIPT, SQ_FROM_ENV, SQ_FROM_FLAG };

struct sq_threshold_source { /* one expression of the `thresholds` option, unparsed */
    char *metric;            /* key: "name" or "name{tag:value}" */
    char *expression;        /* NULL: an empty list, the metric is only tracked and shown */
    bool abort_on_fail;
    int64_t delay_abort_eval_ns;
};

struct sq_client_cert_source {
    char *cert, *key, *password; /* PEM text; password NULL: none */
    char **domains;              /* NULL-terminated or NULL */
};

enum sq_system_tag { /* bits */
                     SQ_TAG_PROTO = 1 << 0,
                     SQ_TAG_SUBPROTO = 1 << 1,
                     SQ_TAG_STATUS = 1 << 2,
                     SQ_TAG_METHOD = 1 << 3,
                     SQ_TAG_URL = 1 << 4,
                     SQ_TAG_NAME = 1 << 5,
                     SQ_TAG_GROUP = 1 << 6,
                     SQ_TAG_CHECK = 1 << 7,
                     SQ_TAG_ERROR = 1 << 8,
                     SQ_TAG_ERROR_CODE = 1 << 9,
                     SQ_TAG_TLS_VERSION = 1 << 10,
                     SQ_TAG_SCENARIO = 1 << 11,
                     SQ_TAG_SERVICE = 1 << 12,
                     SQ_TAG_EXPECTED_RESPONSE = 1 << 13,
                     SQ_TAG_VU = 1 << 14,
                     SQ_TAG_ITER = 1 << 15,
                     SQ_TAG_OCSP_STATUS = 1 << 16,
                     SQ_TAG_IP = 1 << 17,
                     SQ_TAGS_DEFAULT = (1 << 14) - 1,
};

enum sq_summary_mode { SQ_SUMMARY_COMPACT, SQ_SUMMARY_FULL, SQ_SUMMARY_DISABLED };

struct sq_string_list {
    char **items; /* owned */
    size_t count;
};
struct sq_pair_list {
    struct sq_key_value *items; /* owned */
    size_t count;
};

struct sq_config {
    /* shortcuts (ENG-90..95); scenarios below are what they became */
    int64_t vus, iterations; /* -1: not set */
    int64_t duration_ns;     /* -1: not set */
    struct sq_stage *stages; /* stages_set: may be set and empty */
    size_t stages_count;
    bool stages_set;

    struct sq_scenario *scenarios; /* after sq_config_derive: what runs */
    size_t scenarios_count;

    bool no_setup, no_teardown, paused;
    int64_t setup_timeout_ns, teardown_timeout_ns, handle_summary_timeout_ns;
    int64_t min_iteration_duration_ns;
    struct sq_threshold_source *thresholds;
    size_t thresholds_count;
    bool no_thresholds;
    struct sq_pair_list tags; /* run tags */
    unsigned system_tags;     /* enum sq_system_tag bits */
    struct sq_string_list summary_trend_stats;
    char *summary_time_unit; /* "", "s", "ms", "us" */
    enum sq_summary_mode summary_mode;
    char *summary_export; /* NULL: none */

    bool insecure_skip_tls_verify;
    char *tls_version_min, *tls_version_max; /* "tls1.2"; NULL: default */
    struct sq_string_list tls_cipher_suites;
    struct sq_client_cert_source *tls_auth;
    size_t tls_auth_count;
    struct sq_pair_list hosts;
    char *dns_ttl, *dns_select, *dns_policy; /* NULL: default; checked */
    struct sq_string_list block_hostnames, blacklist_ips;
    char *local_ips; /* NULL: none */
    bool no_cookies_reset;
    char *user_agent;  /* NULL: default; "": none */
    bool throw_errors; /* `throw` */
    bool no_connection_reuse, no_vu_connection_reuse, discard_response_bodies;
    int64_t max_redirects, batch, batch_per_host, rps;
    char *http_debug;
    char *console_output;
    struct sq_string_list out;      /* --out values */
    struct sq_pair_list collectors; /* "influxdb.addr": settings of outputs in the config file */
    bool linger, quiet, verbose, no_color;
    bool web_dashboard; /* wished for; there is none */
    char *log_output, *log_format, *address;
    struct sq_pair_list env; /* -e */
    bool include_system_env;
    char *execution_segment, *execution_segment_sequence;
    char *isolation; /* squall: "cell" or "vu" */
    char *profile;   /* squall: "default" or "standard" */
    bool lenient;    /* squall */
    char *ws_debug;  /* squall: "frames", "full"; NULL: off */
    /* squall: what params of the same names without `ws` default to */
    int64_t ws_ping_interval_ns, ws_pong_timeout_ns, ws_handshake_timeout_ns, ws_close_timeout_ns;
    int64_t ws_max_message_size, ws_fragment_size;
    bool ws_http2;                        /* squall */
    int64_t workers;                      /* squall: threads; 0: one per core */
    struct sq_string_list secret_sources; /* --secret-source values */
    struct sq_string_list features;       /* feature flags (ENG-62) */
    bool machine_readable_summary;        /* --new-machine-readable-summary */
    struct sq_stripe *stripe; /* after sq_config_derive: our VU ids (ENG-143); NULL: all */
    int64_t metric_samples_buffer_size;

    /* Names of the script's exported functions, set by the caller before sq_config_derive so that
     * a scenario's `exec` can be checked with the rest; items NULL: not checked. Borrowed. */
    struct sq_string_list exports;

    struct sq_config_hidden *hidden; /* what only src/engine needs */

    /* Where each row of the option table got its value from, in table order. */
    enum sq_source *from;
    /* Lines the user must see once logging is up ("options.foo is unknown, did you mean ..."). */
    struct sq_string_list warnings;
};

void sq_config_init(struct sq_config *config); /* defaults */
void sq_config_deinit(struct sq_config *config);

/* Each returns 0 or SQ_EINVALID with words. Call in this order; a level that says anything about
 * execution drops what lower levels said (ENG-71). */
SQ_MUST_USE int sq_config_from_file(struct sq_config *config, const char *path, bool must_exist,
                                    struct sq_error *err);
/* `json` is JSON.stringify(options) of the script. */
SQ_MUST_USE int sq_config_from_script(struct sq_config *config, const char *json,
                                      struct sq_error *err);
SQ_MUST_USE int sq_config_from_env(struct sq_config *config, char *const *environ_strings,
                                   struct sq_error *err);
/* Flags, GNU style. Positional arguments are collected into *args (borrowed from argv). A flag is
 * remembered and applied by sq_config_apply_flags, so that argv can be read before the script is.
 */
struct sq_flags;
SQ_MUST_USE int sq_flags_parse(const char *command, int argc, char **argv, struct sq_flags **out,
                               struct sq_error *err);
size_t sq_flags_args(const struct sq_flags *flags, char *const **args);
bool sq_flags_help(const struct sq_flags *flags);
/* The last value of a flag given by its long name, NULL when absent ("true" for a bare boolean). */
const char *sq_flags_get(const struct sq_flags *flags, const char *name);
/* All values of a repeatable flag, in order; returns how many. Borrowed from the flags. */
size_t sq_flags_values(const struct sq_flags *flags, const char *name, char *const **values);
/* The flag's value, else that of SQUALL_X, else of K6_X; NULL when none is given. For options that
 * are needed before or beside a config ("config", "type", "compatibility-mode"). */
const char *sq_flags_or_env(const struct sq_flags *flags, char *const *environ_strings,
                            const char *name);
void sq_flags_free(struct sq_flags *flags);
SQ_MUST_USE int sq_config_from_flags(struct sq_config *config, const struct sq_flags *flags,
                                     struct sq_error *err);
/* Shortcuts into scenarios, and every check across options; all problems in one message. */
SQ_MUST_USE int sq_config_derive(struct sq_config *config, struct sq_error *err);
/* k6's exit code for a failure of the call that just failed: 104 or 255 (ENG-74). When
 * sq_flags_parse fails it is 255. */
int sq_config_exit_code(const struct sq_config *config);

/* Consolidated options as JSON with every key of the specification's section 5 (null when unset):
 * for `inspect`, for exported `options` in VUs and for exec.test.options. owned: free */
char *sq_config_json(const struct sq_config *config);
/* The same for exec.test.options (MOD-33): vus, iterations, duration and stages are left out,
 * consoleOutput and localIPs are there. owned: free */
char *sq_config_json_test_options(const struct sq_config *config);
/* A debug line for each option that is set: its value, and which level it comes from. */
void sq_config_log_sources(const struct sq_config *config);
/* Is the feature flag set (ENG-62)? */
bool sq_config_feature(const struct sq_config *config, const char *name);
/* Longest possible run, ns: the end of the plan of all scenarios. After sq_config_derive. */
int64_t sq_config_length_max_ns(const struct sq_config *config);
/* `inspect --execution-requirements`: sq_config_json plus totalDuration and maxVUs. owned: free */
char *sq_config_json_requirements(const struct sq_config *config);
/* --help text of a command. owned: free */
char *sq_help(const char *command);
