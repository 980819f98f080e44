/* SPDX-License-Identifier: Apache-2.0 */
/* squall inspect (ENG-260): runs the init code once and prints the script's options, or with
 * --execution-requirements what they amount to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/load.h"

static int print(struct sq_cli_test *t, char *json, struct sq_error *err)
{
    bool ok = puts(json) >= 0 && fflush(stdout) == 0;

    free(json);
    return ok ? 0
              : sq_cli_fail(t, sq_error_set(err, -EIO, "cannot write to standard output"),
                            SQ_EXIT_OTHER);
}

static int print_options(struct sq_cli_test *t, const char *script_json, struct sq_error *err)
{
    struct sq_config own;

    sq_config_init(&own);
    int rc = sq_config_from_script(&own, script_json, err);
    if (rc < 0)
        sq_cli_fail(t, rc, sq_config_exit_code(&own));
    else
        rc = print(t, sq_config_json(&own), err);
    sq_config_deinit(&own);
    return rc;
}

static int print_requirements(struct sq_cli_test *t, struct sq_error *err)
{
    sq_js_list_exports(&t->run, &t->config.exports);
    int rc = sq_config_derive(&t->config, err);

    if (rc < 0)
        return sq_cli_fail(t, rc, sq_config_exit_code(&t->config));
    return print(t, sq_config_json_requirements(&t->config), err);
}

int sq_cli_inspect(int argc, char **argv)
{
    struct sq_cli_test t;
    struct sq_error err = {0};
    char *json = NULL;

    sq_cli_test_init(&t);
    int rc = sq_cli_test_open(&t, argc, argv, &json, &err);
    if (rc == 0 && sq_flags_help(t.flags)) {
        sq_cli_print_help("inspect");
    } else if (rc == 0) {
        const char *derive = sq_flags_get(t.flags, "execution-requirements");
        rc = derive && strcmp(derive, "false") != 0 ? print_requirements(&t, &err)
                                                    : print_options(&t, json, &err);
    }
    free(json);
    return sq_cli_test_end(&t, rc, &err);
}
