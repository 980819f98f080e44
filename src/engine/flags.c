/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, GNU style (ENG-2, ENG-5): read at once, applied as the highest level later. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "engine/options.h"

struct sq_flags {
    struct {
        char **texts; /* borrowed from argv */
        size_t count;
    } * values; /* per row */
    char **args;
    size_t args_count;
    unsigned command;
    bool help;
};

static const struct sq_option *find_flag(const char *name, size_t len, unsigned command)
{
    for (size_t i = 0; i < sq_options_count; i++)
        if (sq_options[i].flag && (sq_options[i].commands & command) &&
            strlen(sq_options[i].flag) == len && memcmp(sq_options[i].flag, name, len) == 0)
            return &sq_options[i];
    return NULL;
}

static const struct sq_option *find_letter(char letter, unsigned command)
{
    for (size_t i = 0; i < sq_options_count; i++)
        if (sq_options[i].letter == letter && (sq_options[i].commands & command))
            return &sq_options[i];
    return NULL;
}

/* Flags of older k6 whose nearest living name would mislead. */
static const char *removed_flag(const char *name)
{
    static const struct {
        const char *name, *instead;
    } removed[] = {
        {"no-summary", "use --summary-mode=disabled"},
        {"max", "use a scenario with an arrival rate and maxVUs"},
        {"upload-only", "cloud commands are not part of squall"},
    };

    for (size_t i = 0; i < SQ_COUNT(removed); i++)
        if (strcmp(name, removed[i].name) == 0)
            return removed[i].instead;
    return NULL;
}

static int unknown_flag(const char *command, const char *name, size_t len, unsigned bit,
                        struct sq_error *err)
{
    const char *known[128], *near;
    char copy[64];
    size_t count = 0;

    for (size_t i = 0; i < sq_options_count && count < SQ_COUNT(known); i++)
        if (sq_options[i].flag && (sq_options[i].commands & bit))
            known[count++] = sq_options[i].flag;
    snprintf(copy, sizeof copy, "%.*s", (int)SQ_MIN(len, sizeof copy - 1), name);
    if (removed_flag(copy))
        return sq_error_set(err, SQ_EINVALID, "flag --%s is gone: %s", copy, removed_flag(copy));
    near = sq_text_nearest(copy, known, count);
    return sq_error_set(err, SQ_EINVALID, "unknown flag --%s%s%s; see squall %s --help", copy,
                        near ? ", did you mean --" : "", near ? near : "", command);
}

static void add_value(struct sq_flags *flags, const struct sq_option *o, char *text)
{
    size_t row = (size_t)(o - sq_options);
    size_t count = flags->values[row].count++;

    flags->values[row].texts =
        sq_xrealloc(flags->values[row].texts, (count + 1) * sizeof *flags->values[row].texts);
    flags->values[row].texts[count] = text;
    flags->help |= strcmp(o->flag, "help") == 0;
}

static bool takes_value(const struct sq_option *o)
{
    return o->type != SQ_OPT_SWITCH && !(o->traits & SQ_OPT_BARE);
}

static char *bare_value(const struct sq_option *o)
{
    if (o->type == SQ_OPT_SWITCH)
        return (char *)"true";
    const char *last = strrchr(o->choices, '|');
    return (char *)(last ? last + 1 : o->choices);
}

struct words {
    char **argv;
    int argc, at;
};

static int parse_long(struct sq_flags *flags, const char *command, struct words *w,
                      struct sq_error *err)
{
    char *name = w->argv[w->at] + 2;
    size_t len = strcspn(name, "=");
    const struct sq_option *o = find_flag(name, len, flags->command);

    if (!o)
        return unknown_flag(command, name, len, flags->command, err);
    if (name[len] == '=')
        add_value(flags, o, name + len + 1);
    else if (!takes_value(o))
        add_value(flags, o, bare_value(o));
    else if (w->at + 1 < w->argc)
        add_value(flags, o, w->argv[++w->at]);
    else
        return sq_error_set(err, SQ_EINVALID, "--%s needs a value (%s)", o->flag, o->arg);
    return 0;
}

/* "-qv", "-u5", "-u=5", "-u 5" */
static int parse_letters(struct sq_flags *flags, const char *command, struct words *w,
                         struct sq_error *err)
{
    for (char *p = w->argv[w->at] + 1; *p; p++) {
        const struct sq_option *o = find_letter(*p, flags->command);
        if (!o)
            return sq_error_set(err, SQ_EINVALID, "unknown flag -%c; see squall %s --help", *p,
                                command);
        if (!takes_value(o) && p[1] != '=') {
            add_value(flags, o, bare_value(o));
            continue;
        }
        if (p[1])
            add_value(flags, o, p + 1 + (p[1] == '='));
        else if (w->at + 1 < w->argc)
            add_value(flags, o, w->argv[++w->at]);
        else
            return sq_error_set(err, SQ_EINVALID, "-%c needs a value (%s)", *p, o->arg);
        return 0;
    }
    return 0;
}

static int parse_words(struct sq_flags *flags, const char *command, struct words *w,
                       struct sq_error *err)
{
    bool only_args = false;
    int rc = 0;

    for (; rc == 0 && w->at < w->argc; w->at++) {
        char *word = w->argv[w->at];
        if (only_args || word[0] != '-' || word[1] == '\0')
            flags->args[flags->args_count++] = word;
        else if (strcmp(word, "--") == 0)
            only_args = true;
        else if (word[1] == '-')
            rc = parse_long(flags, command, w, err);
        else
            rc = parse_letters(flags, command, w, err);
    }
    return rc;
}

int sq_flags_parse(const char *command, int argc, char **argv, struct sq_flags **out,
                   struct sq_error *err)
{
    struct sq_flags *flags = sq_xcalloc(1, sizeof *flags);
    struct words words = {argv, argc, 0};
    struct sq_config scratch;

    *out = NULL;
    flags->values = sq_xcalloc(sq_options_count, sizeof *flags->values);
    flags->args = sq_xcalloc((size_t)argc + 1, sizeof *flags->args);
    flags->command = sq_command_bit(command);
    int rc = parse_words(flags, command, &words, err);
    if (rc == 0 && !flags->help) {
        /* A wrong value is told before the script is read. */
        sq_config_init(&scratch);
        rc = sq_config_from_flags(&scratch, flags, err);
        sq_config_deinit(&scratch);
    }
    if (rc == 0) {
        *out = flags;
        flags = NULL;
    }
    sq_flags_free(flags);
    return rc;
}

size_t sq_flags_args(const struct sq_flags *flags, char *const **args)
{
    *args = flags->args;
    return flags->args_count;
}

bool sq_flags_help(const struct sq_flags *flags)
{
    return flags->help;
}

size_t sq_flags_values(const struct sq_flags *flags, const char *name, char *const **values)
{
    const struct sq_option *o = find_flag(name, strlen(name), SQ_CMD_ALL);

    *values = o ? flags->values[o - sq_options].texts : NULL;
    return o ? flags->values[o - sq_options].count : 0;
}

const char *sq_flags_get(const struct sq_flags *flags, const char *name)
{
    char *const *values;
    size_t count = sq_flags_values(flags, name, &values);

    return count ? values[count - 1] : NULL;
}

const char *sq_flags_or_env(const struct sq_flags *flags, char *const *environ_strings,
                            const char *name)
{
    const struct sq_option *o = find_flag(name, strlen(name), SQ_CMD_ALL);
    const char *value = sq_flags_get(flags, name), *prefix;

    return value || !o ? value : sq_option_variable(environ_strings, o, &prefix);
}

void sq_flags_free(struct sq_flags *flags)
{
    if (!flags)
        return;
    for (size_t i = 0; i < sq_options_count; i++)
        free(flags->values[i].texts);
    free(flags->values);
    free(flags->args);
    free(flags);
}

int sq_config_from_flags(struct sq_config *config, const struct sq_flags *flags,
                         struct sq_error *err)
{
    bool execution = false;

    for (size_t i = 0; i < sq_options_count; i++)
        execution |= (sq_options[i].traits & SQ_OPT_EXECUTION) && flags->values[i].count;
    if (execution)
        sq_config_drop_execution(config, "flags");
    /* Only a run passes the environment on unasked (ENG-51). */
    if (!(flags->command & SQ_CMD_RUN) &&
        !sq_config_is_set(config, offsetof(struct sq_config, include_system_env)))
        config->include_system_env = false;
    for (size_t i = 0; i < sq_options_count; i++) {
        const struct sq_option *o = &sq_options[i];
        if (!flags->values[i].count)
            continue;
        json_t *value = sq_option_text_to_json(o, flags->values[i].texts, flags->values[i].count,
                                               SQ_FROM_FLAG, err);
        int rc = value ? sq_config_apply(config, o, value, SQ_FROM_FLAG, err) : SQ_EINVALID;
        json_decref(value);
        if (rc < 0) {
            sq_error_prefix(err, "--%s", o->flag);
            return sq_config_fail(config, SQ_CONFIG_EXIT_OTHER, rc);
        }
    }
    return 0;
}
