/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
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
        char *path = sq_xstrndup(spec + strlen(file), strcspn(spec + strlen(file), ","));
        const char *level = strstr(spec, ",level=");
        if (level)
            log->level = strcmp(level + 7, "error") == 0     ? SQ_LOG_ERROR
                         : strcmp(level + 7, "warning") == 0 ? SQ_LOG_WARN
                         : strcmp(level + 7, "debug") == 0   ? SQ_LOG_DEBUG
                                                             : SQ_LOG_INFO;
        log->to = fopen(path, "ae");
        int rc = log->to ? 0
                         : sq_error_set(err, -errno, "--log-output: cannot open '%s': %s", path,
                                        strerror(errno));
        free(path);
        return rc;
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
