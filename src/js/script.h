/* SPDX-License-Identifier: Apache-2.0 */
/* A test script from the command line's point of view: load it, call its life-cycle functions. Main
 * thread. Engine specification 2 and 3. */
#pragma once
#include "js/instance.h"
#include "vu/run.h"

/* Once per process, before any thread. */
void sq_js_init_process(void);

/* Owned: sq_js_bundle_free, after sq_run_deinit. `config` is borrowed. */
struct sq_js_bundle *sq_js_bundle_new(struct sq_config *config);
void sq_js_bundle_free(struct sq_js_bundle *bundle);

/* file:///... for a path, which may be relative to the current directory. Owned: free. */
char *sq_js_file_url(const char *path);
/* The home directory's owner in a name is nobody, as in archives (ENG-261). Owned: free. */
char *sq_js_anonymous_name(const char *name);
/* Hands a module's text in before sq_js_load, under its absolute name. The bytes are taken over. */
void sq_js_give_source(struct sq_js_bundle *bundle, const char *name, struct sq_buf *bytes);
/* NULL: no source of that name was handed in or kept. */
const struct sq_js_file *sq_js_find_source(const struct sq_js_bundle *bundle, const char *name);

/* Compiles the script, a path or an absolute name, and runs its init code once, with __VU 0.
 * *options_json is JSON.stringify(options), NULL when the script exports none. Owned: free.
 * SQ_ESCRIPT with words.
 */
int sq_js_load(struct sq_run *run, const char *path, char **options_json, struct sq_error *err);
/* After options are consolidated: every scenario's function must exist. SQ_EINVALID; *exit_code
 * says which of k6's codes fits. */
int sq_js_check_exports(struct sq_run *run, int *exit_code, struct sq_error *err);
bool sq_js_exports(struct sq_run *run, const char *name);
/* Names of all exported functions. Borrowed from the bundle. */
void sq_js_list_exports(struct sq_run *run, struct sq_string_list *out);

/* Calls setup() or teardown() in an instance of its own. 0 also when the script has none.
 * -ETIMEDOUT, SQ_ESCRIPT, SQ_ECANCELLED (the run is being stopped) or SQ_EINVALID with words. */
int sq_js_setup(struct sq_run *run, struct sq_error *err);
int sq_js_teardown(struct sq_run *run, struct sq_error *err);
/* The same whatever noSetup and noTeardown say: for drivers behind the REST API. */
int sq_js_call_setup(struct sq_run *run, struct sq_error *err);
int sq_js_call_teardown(struct sq_run *run, struct sq_error *err);

/* What handleSummary returned: destination and content. */
struct sq_js_summary_file {
    char *name;
    struct sq_buf content;
};
/* `data_json` is the argument. *files stays NULL when the script has no handleSummary, or when it
 * returned nothing or threw (logged). Owned: sq_js_summary_free. */
int sq_js_handle_summary(struct sq_run *run, const char *data_json,
                         struct sq_js_summary_file **files, size_t *count);
void sq_js_summary_free(struct sq_js_summary_file *files, size_t count);
