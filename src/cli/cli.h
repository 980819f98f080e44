/* SPDX-License-Identifier: Apache-2.0 */
/* Subcommands. Each takes its own arguments (argv[0] is the command's name) and returns the
 * process's exit code. */
#pragma once
#include "base/error.h"
#include "engine/config.h"
#include "net/net.h"

int sq_cli_main(int argc, char **argv);
int sq_cli_run(int argc, char **argv);
int sq_cli_archive(int argc, char **argv);
int sq_cli_inspect(int argc, char **argv);
int sq_cli_new(int argc, char **argv);
int sq_cli_stats(int argc, char **argv);
int sq_cli_echo(int argc, char **argv);
int sq_cli_completion(int argc, char **argv);
int sq_cli_version(int argc, char **argv);

/* NULL: of squall itself. */
void sq_cli_print_help(const char *command);
/* Sets up the log from --log-output, --log-format, --verbose, --no-color and their variables. */
int sq_cli_logging(const struct sq_flags *flags, struct sq_error *err);
bool sq_cli_colours(const struct sq_flags *flags, int fd);
/* Network options of a run, from its consolidated options. Strings are borrowed from `config`,
 * arrays are owned: sq_cli_net_options_deinit. */
int sq_cli_net_options(const struct sq_config *config, struct sq_net_options *out,
                       struct sq_error *err);
void sq_cli_net_options_deinit(struct sq_net_options *options);
/* Raises the descriptor limit to the hard one; warns when `wanted` connections will not fit. */
void sq_cli_raise_descriptors(int64_t wanted);
