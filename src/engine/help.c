/* SPDX-License-Identifier: Apache-2.0 */
/* --help of each command, out of the option table. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "engine/options.h"

enum { HELP_COLUMN = 36 };

const struct sq_command_info sq_commands[] = {
    {SQ_CMD_RUN, "run", "[options] FILE",
     "Run a test script or archive; - reads the script from standard input."},
    {SQ_CMD_ARCHIVE, "archive", "[options] FILE",
     "Pack a script, what it loads and its options into one file."},
    {SQ_CMD_INSPECT, "inspect", "[options] FILE", "Print a script's options as JSON."},
    {SQ_CMD_NEW, "new", "[options] [FILE]", "Write a starter script (default script.js)."},
    {SQ_CMD_VERSION, "version", "[options]", "Print the version."},
    {SQ_CMD_STATS, "stats", "[options]", "Print the metrics of a running test."},
    {SQ_CMD_ECHO, "echo", "[options]", "Serve WebSocket echo, to try scripts against."},
    {SQ_CMD_COMPLETION, "completion", "bash|zsh|fish", "Print a shell's completion script."},
};
const size_t sq_commands_count = SQ_COUNT(sq_commands);

unsigned sq_command_bit(const char *command)
{
    for (size_t i = 0; i < SQ_COUNT(sq_commands); i++)
        if (strcmp(sq_commands[i].name, command) == 0)
            return sq_commands[i].bit;
    return 0;
}

static const char *const group_titles[] = {
    [SQ_GROUP_LOAD] = "How much load", [SQ_GROUP_SCRIPT] = "The script",
    [SQ_GROUP_NETWORK] = "Network",    [SQ_GROUP_RESULTS] = "Results",
    [SQ_GROUP_SQUALL] = "Beyond k6",   [SQ_GROUP_COMMAND] = "Options",
    [SQ_GROUP_GLOBAL] = "Everywhere",
};

static bool is_listed(const struct sq_option *o, unsigned command)
{
    return o->flag && (o->commands & command) && !(o->traits & SQ_OPT_SILENT);
}

static void put_option(struct sq_buf *out, const struct sq_option *o)
{
    size_t start = out->len;

    if (o->letter)
        sq_buf_printf(out, "  -%c, --%s", o->letter, o->flag);
    else
        sq_buf_printf(out, "      --%s", o->flag);
    if (o->arg)
        sq_buf_printf(out, o->traits & SQ_OPT_BARE ? "[=%s]" : " %s", o->arg);
    if (out->len - start + 2 > HELP_COLUMN) {
        sq_buf_putc(out, '\n');
        start = out->len;
    }
    sq_buf_printf(out, "%*s%s", (int)(HELP_COLUMN - (out->len - start)), "", o->help);
    if (o->type != SQ_OPT_SWITCH && o->initial && *o->initial && *o->initial != '-' &&
        strlen(o->initial) < 30 && strcmp(o->initial, "0") != 0 && strcmp(o->initial, "0s") != 0)
        sq_buf_printf(out, " (default %s)", o->initial);
    sq_buf_putc(out, '\n');
}

static void put_group(struct sq_buf *out, enum sq_option_group group, unsigned command)
{
    bool any = false;

    for (size_t i = 0; i < sq_options_count; i++) {
        if (sq_options[i].group != group || !is_listed(&sq_options[i], command))
            continue;
        if (!any)
            sq_buf_printf(out, "\n%s:\n", group_titles[group]);
        any = true;
        put_option(out, &sq_options[i]);
    }
}

static void put_overview(struct sq_buf *out)
{
    sq_buf_puts(out, "Usage: squall COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < SQ_COUNT(sq_commands); i++)
        sq_buf_printf(out, "  %-12s%s\n", sq_commands[i].name, sq_commands[i].what);
    sq_buf_puts(out, "\nsquall COMMAND --help tells the options of a command.\n");
}

char *sq_help(const char *command)
{
    unsigned bit = command ? sq_command_bit(command) : 0;
    struct sq_buf out = {0};

    for (size_t i = 0; i < SQ_COUNT(sq_commands); i++)
        if (sq_commands[i].bit == bit)
            sq_buf_printf(&out, "Usage: squall %s %s\n\n%s\n", sq_commands[i].name,
                          sq_commands[i].arguments, sq_commands[i].what);
    if (!bit)
        put_overview(&out);
    for (int group = SQ_GROUP_LOAD; bit && group <= SQ_GROUP_GLOBAL; group++)
        put_group(&out, (enum sq_option_group)group, bit);
    if (bit & SQ_CMD_TEST)
        sq_buf_puts(&out,
                    "\nMost options can also be given as variables K6_NAME or SQUALL_NAME, in "
                    "the script's\n`options` and in the config file; flags come first, then "
                    "variables, script and file.\n");
    return sq_buf_steal(&out);
}
