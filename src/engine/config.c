/* SPDX-License-Identifier: Apache-2.0 */
/* The levels of configuration (ENG-70..74) and what becomes of them (ENG-90..95, ENG-144..146). */
#include "engine/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/options.h"
#include "engine/segment.h"

enum { FILE_BYTES_MAX = 16 << 20 };

static void set_default(struct sq_config *config, const struct sq_option *o)
{
    char *text = (char *)o->initial;
    struct sq_error err = {0};
    json_t *value = sq_option_text_to_json(o, &text, 1, SQ_FROM_ENV, &err);

    sq_assert(value && sq_option_set(config, o, value, SQ_FROM_DEFAULT, &err) == 0);
    json_decref(value);
}

void sq_config_init(struct sq_config *config)
{
    *config = (struct sq_config){0};
    config->from = sq_xcalloc(sq_options_count, sizeof *config->from);
    config->hidden = sq_xcalloc(1, sizeof *config->hidden);
    config->hidden->exit_code = SQ_CONFIG_EXIT_OTHER;
    config->hidden->shown = json_object();
    for (size_t i = 0; i < sq_options_count; i++) {
        if (sq_options[i].offset != SQ_OPT_NO_FIELD)
            sq_option_clear(config, &sq_options[i]);
        if (sq_options[i].initial)
            set_default(config, &sq_options[i]);
    }
}

static void free_scenarios(struct sq_config *config)
{
    for (size_t i = 0; i < config->scenarios_count; i++)
        sq_scenario_deinit(&config->scenarios[i]);
    free(config->scenarios);
    config->scenarios = NULL;
    config->scenarios_count = 0;
}

void sq_config_deinit(struct sq_config *config)
{
    free_scenarios(config);
    for (size_t i = 0; i < sq_options_count; i++)
        if (sq_options[i].offset != SQ_OPT_NO_FIELD)
            sq_option_clear(config, &sq_options[i]);
    for (size_t i = 0; i < config->warnings.count; i++)
        free(config->warnings.items[i]);
    free(config->warnings.items);
    free(config->from);
    sq_stripe_free(config->stripe);
    for (size_t i = 0; i < SQ_COUNT(config->hidden->tags); i++)
        json_decref(config->hidden->tags[i]);
    json_decref(config->hidden->shown);
    json_decref(config->hidden->derived);
    free(config->hidden);
    *config = (struct sq_config){0};
}

int sq_config_exit_code(const struct sq_config *config)
{
    return config->hidden->exit_code;
}

int sq_config_fail(struct sq_config *config, int exit_code, int rc)
{
    config->hidden->exit_code = exit_code;
    return rc;
}

bool sq_config_is_set(const struct sq_config *config, size_t offset)
{
    for (size_t i = 0; i < sq_options_count; i++)
        if (sq_options[i].offset == offset)
            return config->from[i] != SQ_FROM_DEFAULT;
    return false;
}

/* ENG-71: a level that says how to execute is heard alone. */
void sq_config_drop_execution(struct sq_config *config, const char *level)
{
    if (config->hidden->scenarios)
        sq_config_warn(config, "the scenarios of a lower level are ignored: %s choose%s how to run",
                       level, level[strlen(level) - 1] == 's' ? "" : "s");
    for (size_t i = 0; i < sq_options_count; i++)
        if (sq_options[i].traits & SQ_OPT_EXECUTION)
            sq_option_clear(config, &sq_options[i]);
}

int sq_config_apply(struct sq_config *config, const struct sq_option *o, json_t *value,
                    enum sq_source from, struct sq_error *err)
{
    int rc = sq_option_set(config, o, value, from, err);

    if (rc == 0 && o->offset == offsetof(struct sq_config, tags)) {
        json_decref(config->hidden->tags[from]);
        config->hidden->tags[from] = json_incref(value);
    }
    return rc;
}

void sq_config_log_sources(const struct sq_config *config)
{
    static const char *const sources[] = {
        [SQ_FROM_FILE] = "the config file",
        [SQ_FROM_SCRIPT] = "the script",
        [SQ_FROM_ENV] = "the environment",
        [SQ_FROM_FLAG] = "the command line",
    };

    for (size_t i = 0; i < sq_options_count; i++) {
        const struct sq_option *o = &sq_options[i];
        if (config->from[i] == SQ_FROM_DEFAULT)
            continue;
        /* Certificates and their passwords stay out of the log. */
        const json_t *value = o->key && o->type != SQ_OPT_TLS_AUTH
                                  ? json_object_get(config->hidden->shown, o->key)
                                  : NULL;
        char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        sq_log(SQ_LOG_DEBUG, "options", "%s%s%.200s comes from %s", o->flag ? o->flag : o->key,
               text ? " = " : "", text ? text : "", sources[config->from[i]]);
        free(text);
    }
}

/* Script options and config file -------------------------------------------------------------- */

static const struct sq_option *find_key(const char *key, unsigned trait)
{
    for (size_t i = 0; i < sq_options_count; i++)
        if ((sq_options[i].traits & trait) && strcmp(sq_options[i].key, key) == 0)
            return &sq_options[i];
    return NULL;
}

static void warn_unknown(struct sq_config *config, const char *key, unsigned trait,
                         const char *where)
{
    const char *known[128], *near;
    size_t count = 0;

    for (size_t i = 0; i < sq_options_count && count < SQ_COUNT(known); i++)
        if (sq_options[i].traits & trait)
            known[count++] = sq_options[i].key;
    near = sq_text_nearest(key, known, count);
    sq_config_warn(config, "%s: there is no option '%.100s'%s%s%s", where, key,
                   near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int from_object(struct sq_config *config, const json_t *object, enum sq_source from,
                       const char *where, struct sq_error *err)
{
    unsigned trait = from == SQ_FROM_SCRIPT ? SQ_OPT_IN_SCRIPT : SQ_OPT_IN_FILE;
    const struct sq_option *o;
    bool execution = false;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        o = find_key(key, trait);
        execution |= o && (o->traits & SQ_OPT_EXECUTION) && !json_is_null(value);
    }
    if (execution)
        sq_config_drop_execution(config, where);
    json_object_foreach((json_t *)object, key, value)
    {
        o = find_key(key, trait);
        if (!o) {
            warn_unknown(config, key, trait, where);
        } else if (!json_is_null(value)) {
            int rc = sq_config_apply(config, o, value, from, err);
            if (rc < 0) {
                if (o->type != SQ_OPT_SCENARIOS)
                    sq_error_prefix(err, "%s: %s", where, key);
                return sq_config_fail(
                    config, o->traits & SQ_OPT_255 ? SQ_CONFIG_EXIT_OTHER : SQ_CONFIG_EXIT_BAD, rc);
            }
        }
    }
    return 0;
}

static int from_json(struct sq_config *config, const char *text, enum sq_source from,
                     const char *where, struct sq_error *err)
{
    json_error_t why;
    json_t *root = json_loads(text, JSON_DECODE_ANY, &why);
    int rc = 0;

    if (!root)
        return sq_config_fail(config, SQ_CONFIG_EXIT_BAD,
                              sq_error_set(err, SQ_EINVALID, "%s: not JSON: %s (line %d)", where,
                                           why.text, why.line));
    if (json_is_object(root))
        rc = from_object(config, root, from, where, err);
    else if (!json_is_null(root))
        rc = sq_config_fail(config, SQ_CONFIG_EXIT_BAD,
                            sq_error_set(err, SQ_EINVALID, "%s: not an object", where));
    json_decref(root);
    return rc;
}

int sq_config_from_script(struct sq_config *config, const char *json, struct sq_error *err)
{
    return json ? from_json(config, json, SQ_FROM_SCRIPT, "the script's options", err) : 0;
}

static int read_file(const char *path, struct sq_buf *content)
{
    FILE *file = fopen(path, "r");
    char chunk[8192];
    size_t got;
    int rc = 0;

    if (!file)
        return -errno;
    content->max_bytes = FILE_BYTES_MAX;
    while (rc == 0 && (got = fread(chunk, 1, sizeof chunk, file)) > 0)
        rc = sq_buf_append(content, chunk, got);
    if (rc == 0 && ferror(file))
        rc = errno ? -errno : -EIO;
    fclose(file);
    return rc;
}

int sq_config_from_file(struct sq_config *config, const char *path, bool must_exist,
                        struct sq_error *err)
{
    struct sq_buf content = {0};
    char where[512];
    int rc = read_file(path, &content);

    snprintf(where, sizeof where, "config file %s", path);
    if (rc == -ENOENT && !must_exist)
        rc = 0;
    else if (rc < 0)
        rc = sq_config_fail(config, SQ_CONFIG_EXIT_BAD,
                            sq_error_set(err, SQ_EINVALID, "%s: %s", where, sq_status_text(rc)));
    else
        rc = from_json(config, sq_buf_cstr(&content), SQ_FROM_FILE, where, err);
    sq_buf_deinit(&content);
    return rc;
}

/* Environment ----------------------------------------------------------------------- */

static const char *find_variable(char *const *list, const char *prefix, const char *name)
{
    size_t prefix_len = strlen(prefix), name_len = strlen(name);

    for (; list && *list; list++)
        if (strncmp(*list, prefix, prefix_len) == 0 &&
            strncmp(*list + prefix_len, name, name_len) == 0 &&
            (*list)[prefix_len + name_len] == '=')
            return *list + prefix_len + name_len + 1;
    return NULL;
}

/* An empty variable counts as not set. */
const char *sq_option_variable(char *const *list, const struct sq_option *o, const char **prefix)
{
    static const char *const prefixes[] = {"SQUALL_", "K6_"};

    for (size_t i = 0; o->env && i < SQ_COUNT(prefixes); i++) {
        const char *value = find_variable(list, prefixes[i], o->env);
        *prefix = prefixes[i];
        if (value && *value)
            return value;
    }
    return NULL;
}

int sq_config_from_env(struct sq_config *config, char *const *environ_strings, struct sq_error *err)
{
    const char *prefix;

    for (size_t i = 0; i < sq_options_count; i++)
        if ((sq_options[i].traits & SQ_OPT_EXECUTION) &&
            sq_option_variable(environ_strings, &sq_options[i], &prefix)) {
            sq_config_drop_execution(config, "environment variables");
            break;
        }
    for (size_t i = 0; i < sq_options_count; i++) {
        const struct sq_option *o = &sq_options[i];
        char *text = (char *)sq_option_variable(environ_strings, o, &prefix);
        if (!text)
            continue;
        json_t *value = sq_option_text_to_json(o, &text, 1, SQ_FROM_ENV, err);
        int rc = value ? sq_config_apply(config, o, value, SQ_FROM_ENV, err) : SQ_EINVALID;
        json_decref(value);
        if (rc < 0) {
            bool other = !o->key || (o->traits & SQ_OPT_255);
            sq_error_prefix(err, "%s%s", prefix, o->env);
            return sq_config_fail(config, other ? SQ_CONFIG_EXIT_OTHER : SQ_CONFIG_EXIT_BAD, rc);
        }
    }
    if (find_variable(environ_strings, "", "NO_COLOR"))
        config->no_color = true;
    return 0;
}

/* Derivation ---------------------------------------------------------------------------------- */

static void put_duration(json_t *object, const char *key, int64_t ns)
{
    char text[40];

    sq_duration_format(ns, text);
    json_object_set_new(object, key, json_string(text));
}

static json_t *new_default(struct sq_config *config, const char *executor)
{
    json_t *scenario = json_object();

    json_decref(config->hidden->derived);
    config->hidden->derived = json_pack("{s:o}", "default", scenario);
    json_object_set_new(scenario, "executor", json_string(executor));
    return scenario;
}

static void derive_ramp(struct sq_config *config)
{
    json_t *scenario = new_default(config, "ramping-vus"), *stages = json_array();

    if (sq_config_is_set(config, offsetof(struct sq_config, vus)))
        json_object_set_new(scenario, "startVUs", json_integer(config->vus));
    for (size_t i = 0; i < config->stages_count; i++) {
        const struct sq_stage *stage = &config->stages[i];
        if (stage->duration_ns == INT64_MIN)
            continue;
        json_t *row = json_object();
        put_duration(row, "duration", stage->duration_ns);
        if (stage->target != INT64_MIN)
            json_object_set_new(row, "target", json_integer(stage->target));
        json_array_append_new(stages, row);
    }
    json_object_set_new(scenario, "stages", stages);
}

/* ENG-90..95 as JSON, so that what is derived is read and checked like what is written. */
static void derive_json(struct sq_config *config, struct sq_buf *bad)
{
    bool vus = sq_config_is_set(config, offsetof(struct sq_config, vus)),
         iterations = sq_config_is_set(config, offsetof(struct sq_config, iterations)),
         duration = sq_config_is_set(config, offsetof(struct sq_config, duration_ns)),
         stages = config->stages_count > 0;
    json_t *given = config->hidden->scenarios, *scenario;

    if ((iterations || duration) && stages)
        sq_buf_printf(bad, "%s and stages exclude each other; ",
                      iterations ? "iterations" : "duration");
    if ((iterations || duration || stages) && given)
        sq_buf_printf(bad, "%s and scenarios exclude each other; ",
                      iterations ? "iterations"
                      : duration ? "duration"
                                 : "stages");
    if (iterations) {
        scenario = new_default(config, "shared-iterations");
        json_object_set_new(scenario, "iterations", json_integer(config->iterations));
        if (duration)
            put_duration(scenario, "maxDuration", config->duration_ns);
    } else if (duration) {
        scenario = new_default(config, "constant-vus");
        put_duration(scenario, "duration", config->duration_ns);
    } else if (stages) {
        derive_ramp(config);
        return;
    } else if (vus) {
        if (json_object_size(given))
            sq_config_warn(config,
                           "the scenarios are ignored because vus is set, as in k6 since 2.1: "
                           "remove vus from the options to run them");
        scenario = new_default(config, "shared-iterations");
        json_object_set_new(scenario, "iterations", json_integer(config->vus));
    } else if (json_object_size(given)) {
        json_decref(config->hidden->derived);
        config->hidden->derived = json_incref(given);
        return;
    } else {
        if (config->stages_set || given)
            sq_config_warn(config, "%s is empty: one iteration of one VU is run",
                           given ? "scenarios" : "stages");
        scenario = new_default(config, "per-vu-iterations");
    }
    if (vus)
        json_object_set_new(scenario, "vus", json_integer(config->vus));
}

static bool is_exported(const struct sq_config *config, const char *name)
{
    for (size_t i = 0; i < config->exports.count; i++)
        if (strcmp(config->exports.items[i], name) == 0)
            return true;
    return config->exports.items == NULL;
}

static void read_scenarios(struct sq_config *config, struct sq_buf *bad)
{
    json_t *derived = config->hidden->derived, *value;
    const char *name;

    free_scenarios(config);
    config->scenarios = sq_xcalloc(json_object_size(derived) + 1, sizeof *config->scenarios);
    json_object_foreach(derived, name, value)
    {
        struct sq_scenario *s = &config->scenarios[config->scenarios_count++];
        sq_scenario_from_json(name, value, s, bad, bad);
        if (*s->exec && !is_exported(config, s->exec))
            sq_buf_printf(bad, "scenario '%.80s': the script exports no function '%.80s'; ", name,
                          s->exec);
    }
}

bool sq_config_feature(const struct sq_config *config, const char *name)
{
    for (size_t i = 0; i < config->features.count; i++)
        if (strcmp(config->features.items[i], name) == 0)
            return true;
    return false;
}

static void add_tag(struct sq_config *config, const char *key, const char *value)
{
    struct sq_pair_list *tags = &config->tags;

    for (size_t i = 0; i < tags->count; i++)
        if (strcmp(tags->items[i].key, key) == 0) {
            free(tags->items[i].value);
            tags->items[i].value = sq_xstrdup(value);
            return;
        }
    tags->items = sq_xrealloc(tags->items, (tags->count + 1) * sizeof *tags->items);
    tags->items[tags->count++] = (struct sq_key_value){sq_xstrdup(key), sq_xstrdup(value)};
}

static void merge_tags(struct sq_config *config)
{
    const char *key;
    json_t *value;

    for (size_t level = 0; level < SQ_COUNT(config->hidden->tags); level++)
        if (config->hidden->tags[level])
            json_object_foreach(config->hidden->tags[level], key, value)
            {
                add_tag(config, key, json_string_value(value));
            }
}

/* ENG-62, ENG-73 */
static void apply_features(struct sq_config *config)
{
    static const char *const known[] = {"native-histograms", "merge-run-tags", "freeze-env"};

    if (sq_config_feature(config, "merge-run-tags"))
        merge_tags(config);
    for (size_t i = 0; i < config->features.count; i++) {
        const char *name = config->features.items[i];
        bool found = false;
        for (size_t k = 0; k < SQ_COUNT(known); k++)
            found |= strcmp(name, known[k]) == 0;
        if (!found) {
            sq_config_warn(config, "there is no feature '%.100s': ignored", name);
            continue;
        }
        char *tag = sq_xasprintf("k6_feature_%s", name);
        for (char *p = tag; (p = strchr(p, '-'));)
            *p = '_';
        add_tag(config, tag, "true");
        free(tag);
    }
}

/* What is left for this instance (ENG-144, ENG-145). *nothing: the scenario is skipped. */
static int apply_stripe(const struct sq_config *config, struct sq_scenario *s, bool *nothing,
                        struct sq_error *err)
{
    const struct sq_stripe *all = config->stripe;
    int rc;

    switch (s->executor) {
    case SQ_EXEC_CONSTANT_VUS:
    case SQ_EXEC_PER_VU_ITERATIONS:
        s->vus = sq_stripe_scale(all, s->vus);
        *nothing = s->vus == 0;
        return 0;
    case SQ_EXEC_RAMPING_VUS:
        rc = sq_stripe_new(config->execution_segment, config->execution_segment_sequence,
                           &s->stripe, err);
        *nothing = rc == 0 && sq_scenarios_vus_max(s, 1) == 0;
        return rc;
    case SQ_EXEC_SHARED_ITERATIONS:
        rc = sq_stripe_resegment(all, s->vus, &s->stripe, nothing, err);
        if (rc < 0 || *nothing)
            return rc;
        s->vus = sq_stripe_scale(all, s->vus);
        s->iterations = sq_stripe_scale(s->stripe, s->iterations);
        *nothing = s->iterations == 0;
        return 0;
    default:
        rc = sq_stripe_resegment(all, s->max_vus, &s->stripe, nothing, err);
        s->pre_allocated_vus = sq_stripe_scale(all, s->pre_allocated_vus);
        s->max_vus = sq_stripe_scale(all, s->max_vus);
        return rc;
    }
}

static int apply_segment(struct sq_config *config, struct sq_error *err)
{
    size_t kept = 0;

    sq_stripe_free(config->stripe);
    int rc = sq_stripe_new(config->execution_segment, config->execution_segment_sequence,
                           &config->stripe, err);
    if (rc < 0 || !config->stripe)
        return rc;
    for (size_t i = 0; i < config->scenarios_count; i++) {
        bool nothing = false;
        rc = apply_stripe(config, &config->scenarios[i], &nothing, err);
        if (rc < 0)
            nothing = false;
        if (nothing) {
            sq_scenario_deinit(&config->scenarios[i]);
            continue;
        }
        struct sq_scenario moved = config->scenarios[i];
        config->scenarios[i] = (struct sq_scenario){0};
        config->scenarios[kept++] = moved;
        if (rc < 0)
            break;
    }
    if (rc == 0)
        config->scenarios_count = kept;
    return rc;
}

static void check_numbers(const struct sq_config *config, struct sq_buf *bad)
{
    const struct {
        const char *key;
        int64_t value, least;
    } limits[] = {
        {"wsPingInterval", config->ws_ping_interval_ns, 0},
        {"wsPongTimeout", config->ws_pong_timeout_ns, 0},
        {"wsHandshakeTimeout", config->ws_handshake_timeout_ns, 1},
        {"wsCloseTimeout", config->ws_close_timeout_ns, 1},
        {"wsMaxMessageSize", config->ws_max_message_size, 0},
        {"wsFragmentSize", config->ws_fragment_size, 0},
        {"workers", config->workers, 0},
    };

    for (size_t i = 0; i < SQ_COUNT(limits); i++)
        if (limits[i].value < limits[i].least)
            sq_buf_printf(bad, "%s must %s; ", limits[i].key,
                          limits[i].least ? "be more than 0" : "not be negative");
}

int sq_config_derive(struct sq_config *config, struct sq_error *err)
{
    struct sq_buf bad = {0};
    int rc = 0;

    derive_json(config, &bad);
    read_scenarios(config, &bad);
    if (config->setup_timeout_ns <= 0)
        sq_buf_puts(&bad, "setupTimeout must be more than 0; ");
    check_numbers(config, &bad);
    if (bad.len)
        rc = sq_error_set(err, SQ_EINVALID, "%.*s", (int)bad.len - 2, sq_buf_cstr(&bad));
    else
        rc = apply_segment(config, err);
    sq_buf_deinit(&bad);
    if (rc == 0)
        apply_features(config);
    if (config->web_dashboard)
        sq_config_warn(config, "there is no web dashboard in this version of squall: webDashboard "
                               "(K6_WEB_DASHBOARD) has no effect");
    return rc < 0 ? sq_config_fail(config, SQ_CONFIG_EXIT_BAD, rc) : 0;
}

int64_t sq_config_length_max_ns(const struct sq_config *config)
{
    int64_t most = 0;

    for (size_t i = 0; i < config->scenarios_count; i++)
        most = SQ_MAX(most, config->scenarios[i].start_ns +
                                sq_scenario_length_max_ns(&config->scenarios[i]));
    return most;
}

/* JSON ---------------------------------------------------------------------------------------- */

static json_t *shown_scenarios(const struct sq_config *config, json_t *shown)
{
    json_t *out, *value;
    const char *name;

    if (!config->hidden->derived)
        return shown ? json_incref(shown) : json_null();
    out = json_object();
    json_object_foreach(config->hidden->derived, name, value)
    {
        json_object_set_new(out, name, sq_scenario_shown(value));
    }
    return out;
}

static json_t *shown_value(const struct sq_config *config, const struct sq_option *o)
{
    json_t *value = json_object_get(config->hidden->shown, o->key);

    if (o->type == SQ_OPT_SCENARIOS)
        return shown_scenarios(config, value);
    if (o->type == SQ_OPT_DNS && !value)
        return json_pack("{s:n, s:n, s:n}", "ttl", "select", "policy");
    return value ? json_incref(value) : json_null();
}

static json_t *config_object(const struct sq_config *config, bool test_options)
{
    json_t *out = json_object();

    for (size_t i = 0; i < sq_options_count; i++) {
        const struct sq_option *o = &sq_options[i];
        bool shortcut = o->offset == offsetof(struct sq_config, vus) ||
                        ((o->traits & SQ_OPT_EXECUTION) && o->type != SQ_OPT_SCENARIOS);
        bool wanted =
            (o->traits & SQ_OPT_SHOWN) || (test_options && o->key && !(o->traits & SQ_OPT_IN_FILE));
        if (wanted && !(test_options && shortcut))
            json_object_set_new(out, o->key, shown_value(config, o));
    }
    return out;
}

static char *dump(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(2));

    json_decref(object);
    sq_assert(text);
    return text;
}

char *sq_config_json(const struct sq_config *config)
{
    return dump(config_object(config, false));
}

char *sq_config_json_test_options(const struct sq_config *config)
{
    return dump(config_object(config, true));
}

char *sq_config_json_requirements(const struct sq_config *config)
{
    json_t *out = config_object(config, false);
    int64_t vus = sq_scenarios_vus_max(config->scenarios, config->scenarios_count);

    put_duration(out, "totalDuration", sq_config_length_max_ns(config));
    json_object_set_new(out, "maxVUs", json_integer(vus));
    return dump(out);
}
