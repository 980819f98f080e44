/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/cli.h"

extern char **environ;

bool sq_cli_colours(const struct sq_flags *flags, int fd)
{
    const char *no_color = sq_flags_or_env(flags, environ, "no-color"), *term = getenv("TERM");

    return isatty(fd) && !(no_color && strcmp(no_color, "false") != 0) && !getenv("NO_COLOR") &&
           !(term && strcmp(term, "dumb") == 0);
}

static int read_level(const char *text, enum sq_log_level *level)
{
    static const struct {
        const char *name;
        enum sq_log_level level;
    } levels[] = {{"debug", SQ_LOG_DEBUG},  {"trace", SQ_LOG_DEBUG}, {"info", SQ_LOG_INFO},
                  {"warning", SQ_LOG_WARN}, {"warn", SQ_LOG_WARN},   {"error", SQ_LOG_ERROR},
                  {"fatal", SQ_LOG_ERROR},  {"panic", SQ_LOG_ERROR}};

    for (size_t i = 0; i < SQ_COUNT(levels); i++)
        if (strcmp(text, levels[i].name) == 0) {
            *level = levels[i].level;
            return 0;
        }
    return SQ_EINVALID;
}

/* "PATH[,level=LEVEL]"; the file is for its owner's eyes: logs quote what scripts print. */
static int open_file(const char *spec, struct sq_log_options *log, struct sq_error *err)
{
    const char *comma = strchr(spec, ',');

    if (comma && (!sq_text_starts(comma, ",level=") ||
                  read_level(comma + strlen(",level="), &log->level) < 0))
        return sq_error_set(err, SQ_EINVALID,
                            "--log-output: '%s' is not level=debug, info, warning or error",
                            comma + 1);
    char *path = sq_xstrndup(spec, strcspn(spec, ","));
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log->to = fd < 0 ? NULL : fdopen(fd, "a");
    int rc = log->to ? 0
                     : sq_error_set(err, -errno, "--log-output: cannot open '%s': %s", path,
                                    strerror(errno));
    free(path);
    return rc;
}

static int open_log(const char *spec, struct sq_log_options *log, struct sq_error *err)
{
    static const char file[] = "file=";

    if (!spec || strcmp(spec, "stderr") == 0) {
        log->to = stderr;
    } else if (strcmp(spec, "stdout") == 0) {
        log->to = stdout;
    } else if (strcmp(spec, "none") == 0) {
        log->to = NULL;
    } else if (sq_text_starts(spec, file)) {
        return open_file(spec + strlen(file), log, err);
    } else if (sq_text_starts(spec, "loki")) {
        return sq_error_set(err, SQ_EINVALID,
                            "--log-output: squall does not push to loki itself; write "
                            "file=PATH with --log-format=json and let an agent (Alloy, "
                            "Promtail) ship it");
    } else {
        return sq_error_set(err, SQ_EINVALID,
                            "--log-output: '%s' is not stderr, stdout, none or file=PATH", spec);
    }
    return 0;
}

int sq_cli_logging(const struct sq_flags *flags, struct sq_error *err)
{
    const char *format = sq_flags_or_env(flags, environ, "log-format");
    const char *verbose = sq_flags_get(flags, "verbose");
    struct sq_log_options log = {.level = SQ_LOG_INFO};

    if (verbose && strcmp(verbose, "false") != 0)
        log.level = SQ_LOG_DEBUG;
    if (format)
        log.format = strcmp(format, "json") == 0  ? SQ_LOG_JSON
                     : strcmp(format, "raw") == 0 ? SQ_LOG_RAW
                                                  : SQ_LOG_TEXT;
    int rc = open_log(sq_flags_or_env(flags, environ, "log-output"), &log, err);
    if (rc < 0)
        return rc;
    log.colour = log.to && sq_cli_colours(flags, fileno(log.to));
    sq_log_configure(&log);
    return 0;
}
