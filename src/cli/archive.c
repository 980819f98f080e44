/* SPDX-License-Identifier: Apache-2.0 */
/* squall archive, and reading archives back (ENG-261): a tar of metadata.json, the main script as
 * `data`, and every module and file of the test under file/ or https/. An archive holds all that a
 * run needs; the disk is not consulted. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/load.h"
#include "cli/tar.h"

static const char file_scheme[] = "file://", https_scheme[] = "https://";

/* ---- names: file:///a/b.js is file/a/b.js, https://h/b.js is https/h/b.js ---- */

static char *entry_name(const char *name)
{
    char *anonymous = sq_js_anonymous_name(name);
    const char *rest = strstr(anonymous, "://") + 3;
    char *entry = sq_text_starts(anonymous, file_scheme)
                      ? sq_xasprintf("file/%s", rest + (*rest == '/'))
                      : sq_xasprintf("https/%s", rest);

    free(anonymous);
    return entry;
}

/* NULL: not one of the trees. */
static char *source_name(const char *entry)
{
    if (sq_text_starts(entry, "file/"))
        return sq_xasprintf("%s/%s", file_scheme, entry + strlen("file/"));
    if (sq_text_starts(entry, "https/"))
        return sq_xasprintf("%s%s", https_scheme, entry + strlen("https/"));
    return NULL;
}

/* ---- writing ---- */

static json_t *env_object(const struct sq_cli_test *t)
{
    const char *exclude = sq_flags_get(t->flags, "exclude-env-vars");
    json_t *env = json_object();

    for (size_t i = 0; i < t->config.env.count && !(exclude && strcmp(exclude, "false") != 0); i++)
        json_object_set_new(env, t->config.env.items[i].key,
                            json_string(t->config.env.items[i].value));
    return env;
}

static char *metadata(const struct sq_cli_test *t, const char *options_json)
{
    char *filename = sq_js_anonymous_name(t->main_name), *pwd = sq_xstrdup(filename);
    char *slash = strrchr(pwd, '/');

    slash[slash == pwd + strlen(file_scheme)] = '\0';
    json_t *root =
        json_pack("{s:s, s:o, s:s, s:s, s:o, s:s, s:s, s:s, s:{}}", "type", "js", "options",
                  json_loads(options_json, 0, NULL), "filename", filename, "pwd", pwd, "env",
                  env_object(t), "compatibilityMode", t->bundle->base_mode ? "base" : "extended",
                  "k6version", "2.2.0", "goos", "linux", "dependencies");
    sq_assert(root);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    free(filename);
    free(pwd);
    return text;
}

struct member {
    char *entry;
    const struct sq_js_file *file;
};

static int by_entry(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->entry, ((const struct member *)b)->entry);
}

static int put_members(struct sq_buf *tar, struct member *members, size_t count, const char *main,
                       int64_t now_s, struct sq_error *err)
{
    qsort(members, count, sizeof *members, by_entry);
    for (size_t i = 0; i < count; i++) {
        struct sq_slice data = sq_buf_slice(&members[i].file->bytes);
        if (i > 0 && strcmp(members[i].entry, members[i - 1].entry) == 0) {
            /* A module that is opened too; or two homes, which anonymous names cannot tell. */
            if (!sq_slice_eq(data, sq_buf_slice(&members[i - 1].file->bytes)))
                return sq_error_set(err, SQ_EINVALID,
                                    "cannot archive both '%s' and '%s': they would have one name",
                                    members[i - 1].file->path, members[i].file->path);
        } else if (strcmp(members[i].file->path, main) == 0) {
            sq_tar_put_link(tar, members[i].entry, "data", now_s);
        } else {
            sq_tar_put(tar, members[i].entry, data, now_s);
        }
    }
    return 0;
}

static int pack(const struct sq_cli_test *t, const char *options_json, struct sq_buf *tar,
                struct sq_error *err)
{
    const struct sq_js_bundle *b = t->bundle;
    struct member *members = sq_xcalloc(b->sources_count + b->files_count + 1, sizeof *members);
    char *main_name = b->sealed ? sq_js_anonymous_name(t->main_name) : sq_xstrdup(t->main_name);
    const struct sq_js_file *main_source = sq_js_find_source(b, main_name);
    int64_t now_s = sq_wall_ns() / SQ_NS_PER_S;
    char *meta = metadata(t, options_json);
    size_t count = 0;

    sq_tar_put(tar, "metadata.json", sq_slice_str(meta), now_s);
    sq_tar_put(tar, "data", sq_buf_slice(&main_source->bytes), now_s);
    for (size_t i = 0; i < b->sources_count; i++)
        members[count++] = (struct member){entry_name(b->sources[i].path), &b->sources[i]};
    for (size_t i = 0; i < b->files_count; i++)
        members[count++] = (struct member){entry_name(b->files[i].path), &b->files[i]};
    int rc = put_members(tar, members, count, main_name, now_s, err);
    sq_tar_end(tar);
    for (size_t i = 0; i < count; i++)
        free(members[i].entry);
    free(members);
    free(main_name);
    free(meta);
    return rc;
}

static int write_archive(const char *path, const struct sq_buf *tar, struct sq_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "wbe");

    if (!file)
        return sq_error_set(err, -errno, "cannot create the archive '%s': %s", path,
                            strerror(errno));
    bool ok = fwrite(tar->data, 1, tar->len, file) == tar->len && fflush(file) == 0;
    int why = errno;
    if (!standard && fclose(file) != 0 && ok) {
        why = errno;
        ok = false;
    }
    return ok ? 0
              : sq_error_set(err, -why, "cannot write the archive '%s': %s", path, strerror(why));
}

static int archive(struct sq_cli_test *t, struct sq_error *err)
{
    const char *path = sq_flags_get(t->flags, "archive-out");
    char *options = sq_config_json(&t->config); /* consolidated, before they are derived */
    struct sq_buf tar = {0};
    int exit_code;

    sq_js_list_exports(&t->run, &t->config.exports);
    int rc = sq_cli_fail(t, sq_config_derive(&t->config, err), SQ_EXIT_CONFIG);
    if (rc == 0) {
        rc = sq_js_check_exports(&t->run, &exit_code, err);
        sq_cli_fail(t, rc, exit_code);
    }
    if (rc == 0)
        rc = pack(t, options, &tar, err);
    if (rc == 0)
        rc = write_archive(path ? path : "archive.tar", &tar, err);
    free(options);
    sq_buf_deinit(&tar);
    return sq_cli_fail(t, rc, SQ_EXIT_OTHER);
}

int sq_cli_archive(int argc, char **argv)
{
    struct sq_cli_test t;
    struct sq_error err = {0};

    sq_cli_test_init(&t);
    t.bundle->keep_sources = true;
    int rc = sq_cli_test_open(&t, argc, argv, NULL, &err);
    if (rc == 0 && sq_flags_help(t.flags))
        sq_cli_print_help("archive");
    else if (rc == 0)
        rc = archive(&t, &err);
    return sq_cli_test_end(&t, rc, &err);
}

/* ---- reading ---- */

static int read_metadata(struct sq_cli_test *t, struct sq_slice text, struct sq_error *err)
{
    json_error_t why;
    json_t *root = json_loadb((const char *)text.data, text.len, 0, &why), *value;
    const char *key;
    int rc = 0;

    if (!root)
        return sq_error_set(err, SQ_EINVALID, "damaged archive: metadata.json: %s (line %d)",
                            why.text, why.line);
    const char *type = json_string_value(json_object_get(root, "type"));
    const char *filename = json_string_value(json_object_get(root, "filename"));
    const char *mode = json_string_value(json_object_get(root, "compatibilityMode"));
    json_t *options = json_object_get(root, "options");
    if (!type || strcmp(type, "js") != 0 || !filename || !*filename)
        rc = sq_error_set(err, SQ_EINVALID,
                          "damaged archive: metadata.json lacks type 'js' or a filename");
    if (rc == 0) {
        t->main_name = strstr(filename, "://")
                           ? sq_js_anonymous_name(filename)
                           : sq_xasprintf("%s/%s", file_scheme, filename + (*filename == '/'));
        t->bundle->base_mode = mode && strcmp(mode, "base") == 0;
        if (json_is_object(options))
            t->archive_options = json_dumps(options, 0);
        json_object_foreach(json_object_get(root, "env"), key, value)
        {
            if (json_is_string(value))
                sq_cli_add_env(&t->bundle->env, key, json_string_value(value));
        }
    }
    json_decref(root);
    return rc;
}

static void give(struct sq_cli_test *t, const char *name, struct sq_slice data)
{
    struct sq_buf copy = {0};

    sq_buf_put(&copy, data.data, data.len);
    sq_js_give_source(t->bundle, name, &copy);
}

struct unpacked {
    struct sq_slice metadata, data;
};

static void take_entry(struct sq_cli_test *t, struct unpacked *u, const struct sq_tar_entry *entry)
{
    char *name = source_name(entry->name);

    if (entry->kind == SQ_TAR_FILE && strcmp(entry->name, "metadata.json") == 0)
        u->metadata = entry->data;
    else if (entry->kind == SQ_TAR_FILE && strcmp(entry->name, "data") == 0)
        u->data = entry->data;
    else if (entry->kind == SQ_TAR_FILE && name)
        give(t, name, entry->data);
    /* A link stands for the main script, which is known under its name anyway. */
    free(name);
}

int sq_cli_unpack(struct sq_cli_test *t, struct sq_slice tar, struct sq_error *err)
{
    struct sq_tar_reader reader = {.in = tar};
    struct sq_tar_entry entry;
    struct unpacked u = {0};
    int rc;

    t->bundle->sealed = true;
    while ((rc = sq_tar_next(&reader, &entry, err)) > 0)
        take_entry(t, &u, &entry);
    sq_tar_reader_deinit(&reader);
    if (rc == 0 && (!u.metadata.data || !u.data.data))
        rc = sq_error_set(err, SQ_EINVALID,
                          "'%s' is a tar file, but not an archive of a test: it lacks "
                          "metadata.json or data",
                          t->path);
    if (rc == 0)
        rc = read_metadata(t, u.metadata, err);
    if (rc == 0 && !sq_js_find_source(t->bundle, t->main_name))
        give(t, t->main_name, u.data);
    return rc;
}
