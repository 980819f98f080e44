/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/rest.h"
#include "cli/tar.h"
#include "metrics/threshold.h"
#include "output/output.h"

extern char **environ;

/* Generous, but a device like /dev/zero must not take all memory. */
enum { SCRIPT_BYTES_MAX = 1 << 30 };

void sq_cli_test_init(struct sq_cli_test *t)
{
    *t = (struct sq_cli_test){0};
    sq_config_init(&t->config);
    sq_js_init_process();
    t->run.registry = sq_registry_new();
    t->run.tag_table = sq_tag_table_new();
    t->bundle = sq_js_bundle_new(&t->config);
}

int sq_cli_fail(struct sq_cli_test *t, int rc, int exit_code)
{
    if (rc < 0 && t->exit_code == SQ_EXIT_OK)
        t->exit_code = exit_code;
    return rc;
}

int sq_cli_test_arguments(struct sq_cli_test *t, int argc, char **argv, struct sq_error *err)
{
    char *const *args;
    int rc = sq_flags_parse(argv[0], argc - 1, argv + 1, &t->flags, err);

    if (rc < 0 || sq_flags_help(t->flags))
        return sq_cli_fail(t, rc, SQ_EXIT_OTHER);
    size_t count = sq_flags_args(t->flags, &args);
    if (count != 1)
        return sq_cli_fail(
            t,
            sq_error_set(err, SQ_EINVALID,
                         "'%s' takes exactly one script, got %zu; try 'squall %s script.js'",
                         argv[0], count, argv[0]),
            SQ_EXIT_OTHER);
    t->path = args[0];
    return sq_cli_fail(t, sq_cli_logging(t->flags, err), SQ_EXIT_OTHER);
}

int sq_cli_test_options(struct sq_cli_test *t, const char *script_json, struct sq_error *err)
{
    const char *path = sq_flags_or_env(t->flags, environ, "config");
    struct sq_config *c = &t->config;
    char *standard = NULL;
    int rc;

    sq_config_deinit(c);
    sq_config_init(c);
    if (!path) {
        const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        if (base || home)
            standard =
                sq_xasprintf("%s%s/k6/config.json", base ? base : home, base ? "" : "/.config");
    }
    rc = path || standard ? sq_config_from_file(c, path ? path : standard, path != NULL, err) : 0;
    free(standard);
    if (rc == 0 && script_json)
        rc = sq_config_from_script(c, script_json, err);
    if (rc == 0)
        rc = sq_config_from_env(c, environ, err);
    if (rc == 0)
        rc = sq_config_from_flags(c, t->flags, err);
    return sq_cli_fail(t, rc, rc < 0 ? sq_config_exit_code(c) : 0);
}

void sq_cli_add_env(struct sq_pair_list *env, const char *key, const char *value)
{
    for (size_t i = 0; i < env->count; i++)
        if (strcmp(env->items[i].key, key) == 0) {
            free(env->items[i].value);
            env->items[i].value = sq_xstrdup(value);
            return;
        }
    env->items = sq_xrealloc(env->items, (env->count + 1) * sizeof *env->items);
    env->items[env->count++] = (struct sq_key_value){sq_xstrdup(key), sq_xstrdup(value)};
}

static void collect_env(struct sq_cli_test *t)
{
    struct sq_pair_list *env = &t->bundle->env; /* of an archive so far */

    if (t->config.include_system_env)
        for (char **e = environ; *e; e++) {
            const char *equals = strchr(*e, '=');
            if (!equals)
                continue;
            char *key = sq_xstrndup(*e, (size_t)(equals - *e));
            sq_cli_add_env(env, key, equals + 1);
            free(key);
        }
    for (size_t i = 0; i < t->config.env.count; i++)
        sq_cli_add_env(env, t->config.env.items[i].key, t->config.env.items[i].value);
}

/* ---- the script ---- */

static int read_stream(FILE *file, struct sq_buf *out)
{
    out->max_bytes = SCRIPT_BYTES_MAX;
    for (;;) {
        int rc = sq_buf_reserve(out, 64 * 1024);
        if (rc < 0)
            return rc;
        size_t got = fread(out->data + out->len, 1, out->cap - out->len, file);
        out->len += got;
        if (got == 0)
            return ferror(file) ? -errno : 0;
    }
}

static int read_input(struct sq_cli_test *t, struct sq_buf *out, struct sq_error *err)
{
    bool standard = strcmp(t->path, "-") == 0;
    FILE *file = standard ? stdin : fopen(t->path, "rbe");
    struct stat st;

    if (!file)
        return sq_error_set(err, -errno, "cannot open the script '%s': %s", t->path,
                            strerror(errno));
    int rc =
        fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode) ? -EISDIR : read_stream(file, out);
    if (!standard)
        fclose(file);
    if (rc < 0)
        return sq_error_set(err, rc, "cannot read the script '%s': %s", t->path,
                            sq_status_text(rc));
    return 0;
}

/* ENG-10: what it is shows in its bytes, unless --type says it. */
static int take_input(struct sq_cli_test *t, struct sq_buf *input, struct sq_error *err)
{
    const char *type = sq_flags_or_env(t->flags, environ, "type");
    bool archive = sq_tar_detect(sq_buf_slice(input));

    if (type && strcmp(type, "archive") == 0 && !archive)
        return sq_error_set(err, SQ_EINVALID, "'%s' is not an archive, as --type says it is",
                            t->path);
    if (archive && !(type && strcmp(type, "js") == 0))
        return sq_cli_unpack(t, sq_buf_slice(input), err);
    t->main_name = sq_js_file_url(t->path);
    sq_js_give_source(t->bundle, t->main_name, input);
    return 0;
}

/* ENG-24, MOD-90 */
static void choose_loading(struct sq_cli_test *t)
{
    const char *mode = sq_flags_or_env(t->flags, environ, "compatibility-mode");
    const char *cache = sq_flags_or_env(t->flags, environ, "import-cache");

    if (cache)
        t->bundle->import_cache = cache;
    if (mode)
        t->bundle->base_mode = strcmp(mode, "base") == 0;
    if (mode && strcmp(mode, "experimental_enhanced") == 0)
        sq_log(SQ_LOG_WARN, "options",
               "compatibility mode experimental_enhanced is gone: extended is used");
}

static int run_init_code(struct sq_cli_test *t, char **json, struct sq_error *err)
{
    int rc = sq_run_init(&t->run, &t->config, &sq_js_ops, t->bundle, err);

    if (rc < 0)
        return sq_cli_fail(t, rc, SQ_EXIT_OTHER);
    t->run_ready = true;
    if ((rc = sq_run_catch_signals(&t->run, err)) < 0)
        return sq_cli_fail(t, rc, SQ_EXIT_OTHER);
    collect_env(t);
    choose_loading(t);
    rc = sq_js_load(&t->run, t->main_name, json, err);
    return sq_cli_fail(t, rc,
                       t->run.exit_code    ? t->run.exit_code
                       : rc == SQ_EINVALID ? SQ_EXIT_OTHER
                                           : SQ_EXIT_SCRIPT);
}

int sq_cli_test_load(struct sq_cli_test *t, char **script_json, struct sq_error *err)
{
    struct sq_buf input = {0};
    char *json = NULL;

    int rc = read_input(t, &input, err);
    if (rc == 0)
        rc = take_input(t, &input, err);
    sq_buf_deinit(&input);
    rc = sq_cli_fail(t, rc, SQ_EXIT_OTHER);
    if (rc == 0)
        rc = run_init_code(t, &json, err);
    if (rc == 0 && t->archive_options) {
        free(json);
        json = sq_xstrdup(t->archive_options);
    }
    if (rc == 0)
        rc = sq_cli_test_options(t, json, err);
    if (rc == 0 && script_json) {
        *script_json = json;
        json = NULL;
    }
    free(json);
    return rc;
}

int sq_cli_test_open(struct sq_cli_test *t, int argc, char **argv, char **script_json,
                     struct sq_error *err)
{
    int rc = sq_cli_test_arguments(t, argc, argv, err);

    if (rc < 0 || sq_flags_help(t->flags))
        return rc;
    if ((rc = sq_cli_test_options(t, NULL, err)) < 0)
        return rc;
    return sq_cli_test_load(t, script_json, err);
}

static void free_env(struct sq_pair_list *env)
{
    for (size_t i = 0; i < env->count; i++) {
        free(env->items[i].key);
        free(env->items[i].value);
    }
    free(env->items);
}

void sq_cli_test_deinit(struct sq_cli_test *t)
{
#ifdef SQ_DEBUG
    /* In release the end of the process does this at once. */
    sq_outputs_close(t->outputs, sq_now_ns() + SQ_NS_PER_S);
    sq_thresholds_free(t->thresholds);
    sq_cli_progress_free(t->progress);
    sq_rest_free(t->rest);
    if (t->run_ready)
        sq_run_deinit(&t->run);
    sq_cli_net_options_deinit(&t->bundle->net_options);
    free_env(&t->bundle->env);
    if (t->bundle->console)
        fclose(t->bundle->console);
    sq_js_bundle_free(t->bundle);
    sq_tag_table_free(t->run.tag_table);
    sq_registry_free(t->run.registry);
    sq_config_deinit(&t->config);
    sq_flags_free(t->flags);
    free(t->main_name);
    free(t->archive_options);
#else
    (void)free_env;
    if (t->outputs)
        sq_outputs_close(t->outputs, sq_now_ns() + SQ_NS_PER_S);
#endif
}

int sq_cli_test_end(struct sq_cli_test *t, int rc, const struct sq_error *err)
{
    int exit_code = t->exit_code;

    if (rc < 0)
        sq_log_line(SQ_LOG_ERROR, err->text, strlen(err->text), NULL, NULL);
    sq_log_flush(NULL, 5 * SQ_NS_PER_S);
    sq_cli_test_deinit(t);
    fflush(NULL);
    return exit_code;
}
