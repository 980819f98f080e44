/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds the progress display of src/ui from a run. Main thread. */
#pragma once
#include "engine/config.h"
#include "vu/run.h"

struct sq_cli_progress;
struct sq_cli_progress *sq_cli_progress_new(const struct sq_config *config, const char *script,
                                            const struct sq_flags *flags);
void sq_cli_progress_free(struct sq_cli_progress *p);
/* Banner and description, unless --quiet. */
void sq_cli_progress_banner(struct sq_cli_progress *p);
void sq_cli_progress_tick(struct sq_cli_progress *p, struct sq_run *run);
/* Takes the display off the terminal before the summary. */
void sq_cli_progress_stop(struct sq_cli_progress *p);
/* The last state, below the summary. */
void sq_cli_progress_final(struct sq_cli_progress *p, struct sq_run *run);
