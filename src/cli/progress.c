/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdlib.h>

struct sq_cli_progress {
    const struct sq_config *config;
};

struct sq_cli_progress *sq_cli_progress_new(const struct sq_config *config, const char *script,
                                            const struct sq_flags *flags)
{
    struct sq_cli_progress *p = sq_xcalloc(1, sizeof *p);
    (void)script, (void)flags;
    p->config = config;
    return p;
}
void sq_cli_progress_free(struct sq_cli_progress *p)
{
    free(p);
}
void sq_cli_progress_banner(struct sq_cli_progress *p)
{
    (void)p;
}
void sq_cli_progress_tick(struct sq_cli_progress *p, struct sq_run *run)
{
    (void)p, (void)run;
}
void sq_cli_progress_stop(struct sq_cli_progress *p)
{
    (void)p;
}
