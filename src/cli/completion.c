/* SPDX-License-Identifier: Apache-2.0 */
/* squall completion: scripts for bash, zsh and fish, generated from the option table. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "engine/options.h"
#include "vu/run.h"

static const char shells[] = "bash zsh fish";

static bool is_completion(const struct sq_command_info *command)
{
    return command->bit == SQ_CMD_COMPLETION;
}

static bool is_listed(const struct sq_option *o, const char *command)
{
    return o->flag && (o->commands & sq_command_bit(command)) && !(o->traits & SQ_OPT_SILENT);
}

static bool takes_value(const struct sq_option *o)
{
    return o->arg && !(o->traits & SQ_OPT_BARE);
}

/* "a|b|c" with the separator given; names of files where the option takes one. */
static void print_choices(const struct sq_option *o, char separator)
{
    for (const char *p = o->choices + (*o->choices == '|'); *p; p++)
        putchar(*p == '|' ? separator : *p);
}

static bool has_choices(const struct sq_option *o)
{
    return takes_value(o) && o->choices &&
           (o->type == SQ_OPT_CHOICE || o->type == SQ_OPT_SUMMARY_MODE);
}

/* Help texts inside '...' of a shell. */
static void print_quoted(const char *text, const char *escape)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr(escape, *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void print_commands(void)
{
    for (size_t i = 0; i < sq_commands_count; i++)
        printf("%s%s", i ? " " : "", sq_commands[i].name);
}

/* ---- bash ---- */

static void bash_options(const char *command)
{
    printf("    %s) options='", command);
    for (size_t i = 0; i < sq_options_count; i++)
        if (is_listed(&sq_options[i], command))
            printf("--%s ", sq_options[i].flag);
    printf("' ;;\n");
}

static void bash(void)
{
    printf("# bash completion of squall; load it with: source <(squall completion bash)\n"
           "_squall() {\n"
           "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options=''\n"
           "  COMPREPLY=()\n"
           "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "    COMPREPLY=($(compgen -W '");
    print_commands();
    printf(" --help --version' -- \"$word\"))\n"
           "    return\n"
           "  fi\n"
           "  case $before in\n");
    for (size_t i = 0; i < sq_options_count; i++)
        if (has_choices(&sq_options[i])) {
            printf("    --%s) COMPREPLY=($(compgen -W '", sq_options[i].flag);
            print_choices(&sq_options[i], ' ');
            printf("' -- \"$word\")); return ;;\n");
        }
    printf("  esac\n"
           "  case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < sq_commands_count; i++)
        if (is_completion(&sq_commands[i]))
            printf("    %s) options='%s' ;;\n", sq_commands[i].name, shells);
        else
            bash_options(sq_commands[i].name);
    printf("  esac\n"
           "  case $word in\n"
           "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
           "    *) if [ \"${COMP_WORDS[1]}\" = completion ]; then\n"
           "         COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
           "       else\n"
           "         COMPREPLY=($(compgen -f -- \"$word\"))\n"
           "       fi ;;\n"
           "  esac\n"
           "}\n"
           "complete -o filenames -F _squall squall\n");
}

/* ---- zsh ---- */

static void zsh_option(const struct sq_option *o)
{
    printf("        '%s--%s%s[", o->traits & SQ_OPT_REPEATS ? "*" : "", o->flag,
           takes_value(o) ? "=" : "");
    print_quoted(o->help, "[]:\\");
    putchar(']');
    if (takes_value(o)) {
        putchar(':');
        print_quoted(o->arg, ":\\");
        putchar(':');
        if (has_choices(o)) {
            putchar('(');
            print_choices(o, ' ');
            putchar(')');
        } else if (strstr(o->arg, "FILE")) {
            printf("_files");
        }
    }
    printf("' \\\n");
}

static void zsh(void)
{
    printf("#compdef squall\n"
           "# zsh completion of squall; put it as _squall into a folder of $fpath\n"
           "_squall() {\n"
           "  local -a commands\n"
           "  commands=(\n");
    for (size_t i = 0; i < sq_commands_count; i++) {
        printf("    '%s:", sq_commands[i].name);
        print_quoted(sq_commands[i].what, ":\\");
        printf("'\n");
    }
    printf("  )\n"
           "  if (( CURRENT == 2 )); then\n"
           "    _describe command commands\n"
           "    return\n"
           "  fi\n"
           "  local name=$words[2]\n"
           "  shift words\n"
           "  (( CURRENT-- ))\n"
           "  case $name in\n");
    for (size_t i = 0; i < sq_commands_count; i++) {
        if (is_completion(&sq_commands[i])) {
            printf("    %s) _arguments '1:shell:(%s)' ;;\n", sq_commands[i].name, shells);
            continue;
        }
        printf("    %s)\n      _arguments \\\n", sq_commands[i].name);
        for (size_t k = 0; k < sq_options_count; k++)
            if (is_listed(&sq_options[k], sq_commands[i].name))
                zsh_option(&sq_options[k]);
        printf("        '*:file:_files' ;;\n");
    }
    printf("  esac\n"
           "}\n"
           "_squall \"$@\"\n");
}

/* ---- fish ---- */

static void fish_option(const struct sq_option *o, const char *command)
{
    printf("complete -c squall -n '__fish_seen_subcommand_from %s' -l %s", command, o->flag);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (has_choices(o)) {
        printf(" -x -a '");
        print_choices(o, ' ');
        putchar('\'');
    } else if (takes_value(o)) {
        printf(strstr(o->arg, "FILE") ? " -r -F" : " -x");
    }
    printf(" -d '");
    for (const char *p = o->help; *p; p++)
        printf(*p == '\'' || *p == '\\' ? "\\%c" : "%c", *p);
    printf("'\n");
}

static void fish(void)
{
    printf("# fish completion of squall; load it with: squall completion fish | source\n"
           "complete -c squall -n __fish_use_subcommand -f\n");
    for (size_t i = 0; i < sq_commands_count; i++) {
        printf("complete -c squall -n __fish_use_subcommand -a %s -d '", sq_commands[i].name);
        for (const char *p = sq_commands[i].what; *p; p++)
            printf(*p == '\'' || *p == '\\' ? "\\%c" : "%c", *p);
        printf("'\n");
        if (is_completion(&sq_commands[i]))
            printf("complete -c squall -n '__fish_seen_subcommand_from %s' -f -a '%s'\n",
                   sq_commands[i].name, shells);
        for (size_t k = 0; !is_completion(&sq_commands[i]) && k < sq_options_count; k++)
            if (is_listed(&sq_options[k], sq_commands[i].name))
                fish_option(&sq_options[k], sq_commands[i].name);
    }
}

int sq_cli_completion(int argc, char **argv)
{
    const char *shell = argc == 2 ? argv[1] : "";

    if (strcmp(shell, "bash") == 0) {
        bash();
    } else if (strcmp(shell, "zsh") == 0) {
        zsh();
    } else if (strcmp(shell, "fish") == 0) {
        fish();
    } else if (strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0) {
        sq_cli_print_help("completion");
    } else {
        fprintf(stderr, "squall completion: name one shell: bash, zsh or fish\n");
        return SQ_EXIT_OTHER;
    }
    return SQ_EXIT_OK;
}
