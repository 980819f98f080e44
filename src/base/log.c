/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/writer.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sq_log_options options = {.level = SQ_LOG_INFO};
static bool configured;
static int64_t start_ns;
enum sq_log_level sq_log_level_now = SQ_LOG_INFO;

/* What no line may show, the longest first: one may be part of another. Never freed: lines may come
 * until the process ends. */
static struct secret {
    char *text;
    size_t len;
} * secrets;
static size_t secrets_count;

/* ---- streams whose reader may be slow ---- */

enum { QUEUE_BYTES_MAX = 4 * 1024 * 1024, QUEUES_MAX = 4 };
#define QUEUE_PATIENCE_NS (500 * SQ_NS_PER_MS)
#define EXIT_IDLE_NS (5 * SQ_NS_PER_S)

/* One for each open file, whatever descriptors and FILEs lead to it: order is kept among them. Like
 * the secrets never freed. */
static struct queue {
    dev_t device;
    ino_t inode;
    struct sq_writer *_Atomic writer;
} queues[QUEUES_MAX];
static _Atomic size_t queues_count;
static pthread_mutex_t queues_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool queueing;

/* By the writer's thread. */
static void tell_lost(void *user, uint64_t lost)
{
    (void)user;
    sq_log(SQ_LOG_WARN, "log", "%llu log line%s dropped: the reader of standard error is slow",
           (unsigned long long)lost, lost == 1 ? "" : "s");
}

static struct sq_writer *queue_new(int fd, const struct stat *st)
{
    size_t count = atomic_load(&queues_count);
    const struct sq_writer_options writer = {.fd = fd,
                                             .bytes_max = QUEUE_BYTES_MAX,
                                             .patience_ns = QUEUE_PATIENCE_NS,
                                             .drained = tell_lost};

    if (count == QUEUES_MAX)
        return NULL;
    struct queue *q = &queues[count];
    q->device = st->st_dev;
    q->inode = st->st_ino;
    q->writer = sq_writer_new(&writer);
    if (q->writer)
        atomic_store(&queues_count, count + 1);
    return q->writer;
}

/* NULL: it is to be written to at once. */
static struct sq_writer *queue_of(FILE *to)
{
    struct sq_writer *writer = NULL;
    struct stat st;

    if (!atomic_load(&queueing) || fstat(fileno(to), &st) < 0 ||
        !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        return NULL;
    pthread_mutex_lock(&queues_lock);
    for (size_t i = 0; i < atomic_load(&queues_count) && !writer; i++)
        if (queues[i].device == st.st_dev && queues[i].inode == st.st_ino)
            writer = queues[i].writer;
    if (!writer) {
        fflush(to);
        writer = queue_new(fileno(to), &st);
    }
    pthread_mutex_unlock(&queues_lock);
    return writer;
}

static void flush_at_exit(void)
{
    sq_log_flush(NULL, EXIT_IDLE_NS);
}

void sq_log_queue_start(void)
{
    if (!atomic_exchange(&queueing, true))
        atexit(flush_at_exit);
}

void sq_log_flush(FILE *to, int64_t idle_ns)
{
    struct sq_writer *writer = to ? queue_of(to) : NULL;

    for (size_t i = 0; i < atomic_load(&queues_count); i++)
        if (!to || queues[i].writer == writer)
            (void)sq_writer_flush(queues[i].writer, idle_ns);
}

void sq_log_flush_dying(void)
{
    for (size_t i = 0; i < atomic_load(&queues_count); i++)
        sq_writer_flush_dying(queues[i].writer);
}

void sq_log_text(FILE *to, const char *text, size_t len)
{
    struct sq_writer *writer = queue_of(to);

    if (writer) {
        sq_writer_put(writer, text, len);
        return;
    }
    fwrite(text, 1, len, to);
    fflush(to);
}

/* ---- lines ---- */

static const struct {
    const char *name, *terminal, *colour;
} levels[] = {
    [SQ_LOG_DEBUG] = {"debug", "DEBU", "\033[37m"},
    [SQ_LOG_INFO] = {"info", "INFO", "\033[36m"},
    [SQ_LOG_WARN] = {"warning", "WARN", "\033[33m"},
    [SQ_LOG_ERROR] = {"error", "ERRO", "\033[31m"},
};

void sq_log_configure(const struct sq_log_options *wanted)
{
    pthread_mutex_lock(&lock);
    options = *wanted;
    configured = true;
    if (!start_ns)
        start_ns = sq_now_ns();
    sq_log_level_now = options.level;
    pthread_mutex_unlock(&lock);
}

struct sq_log_options sq_log_options_now(void)
{
    return options;
}

static bool needs_quotes(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-._/@^+", c))))
            return true;
    }
    return false;
}

static void put_escaped(struct sq_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            sq_buf_printf(out, "\\%c", c);
        else if (c == '\n')
            sq_buf_puts(out, "\\n");
        else if (c == '\r')
            sq_buf_puts(out, "\\r");
        else if (c == '\t')
            sq_buf_puts(out, "\\t");
        else if (c < 0x20)
            sq_buf_printf(out, "\\u%04x", c);
        else
            sq_buf_putc(out, (char)c);
    }
}

static void put_quoted(struct sq_buf *out, const char *text, size_t len)
{
    sq_buf_putc(out, '"');
    put_escaped(out, text, len);
    sq_buf_putc(out, '"');
}

static void format_line(struct sq_buf *out, enum sq_log_level level, const char *text, size_t len,
                        const char *source)
{
    char now[40];

    switch (options.format) {
    case SQ_LOG_RAW:
        sq_buf_put(out, text, len);
        break;
    case SQ_LOG_JSON:
        sq_wall_format_seconds(sq_wall_ns(), now);
        sq_buf_printf(out, "{\"level\":\"%s\",\"msg\":", levels[level].name);
        put_quoted(out, text, len);
        if (source)
            sq_buf_printf(out, ",\"source\":\"%s\"", source);
        sq_buf_printf(out, ",\"time\":\"%s\"}", now);
        break;
    case SQ_LOG_TEXT:
        if (options.colour) {
            long seconds = (long)((sq_now_ns() - start_ns) / SQ_NS_PER_S);
            sq_buf_printf(out, "%s%s\033[0m[%04ld] ", levels[level].colour, levels[level].terminal,
                          seconds);
            sq_buf_put(out, text, len);
            if (source)
                sq_buf_printf(out, "%*s %ssource\033[0m=%s", (int)(len < 44 ? 44 - len : 0), "",
                              levels[level].colour, source);
            break;
        }
        sq_wall_format_seconds(sq_wall_ns(), now);
        sq_buf_printf(out, "time=\"%s\" level=%s", now, levels[level].name);
        if (len) {
            sq_buf_puts(out, " msg=");
            if (needs_quotes(text, len))
                put_quoted(out, text, len);
            else
                sq_buf_put(out, text, len);
        }
        if (source)
            sq_buf_printf(out, " source=%s", source);
        break;
    }
    sq_buf_putc(out, '\n');
}

void sq_log_hide(const char *text, size_t len)
{
    size_t at = 0;

    if (!len)
        return;
    pthread_mutex_lock(&lock);
    for (; at < secrets_count && secrets[at].len >= len; at++)
        if (secrets[at].len == len && memcmp(secrets[at].text, text, len) == 0)
            goto out;
    secrets = sq_xrealloc(secrets, (secrets_count + 1) * sizeof *secrets);
    memmove(secrets + at + 1, secrets + at, (secrets_count - at) * sizeof *secrets);
    secrets[at] = (struct secret){sq_xstrndup(text, len), len};
    secrets_count++;
out:
    pthread_mutex_unlock(&lock);
}

static const struct secret *secret_at(const char *text, size_t len)
{
    for (size_t i = 0; i < secrets_count; i++)
        if (secrets[i].len <= len && memcmp(secrets[i].text, text, secrets[i].len) == 0)
            return &secrets[i];
    return NULL;
}

static void put_redacted(struct sq_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const struct secret *s = secret_at(text + i, len - i);
        if (s)
            sq_buf_puts(out, "***SECRET_REDACTED***");
        else
            sq_buf_putc(out, text[i]);
        i += s ? s->len : 1;
    }
}

void sq_log_line(enum sq_log_level level, const char *text, size_t len, const char *source,
                 FILE *to)
{
    struct sq_buf line = {0}, redacted = {0};
    struct sq_writer *writer = NULL;

    if (level < sq_log_level_now)
        return;
    pthread_mutex_lock(&lock);
    FILE *out = to ? to : configured ? options.to : stderr;
    if (out) {
        if (secrets_count) {
            put_redacted(&redacted, text, len);
            text = sq_buf_cstr(&redacted);
            len = redacted.len;
        }
        format_line(&line, level, text, len, to ? NULL : source);
        writer = queue_of(out);
        if (options.before && !to && !writer)
            options.before(options.user);
        if (!writer) {
            fwrite(line.data, 1, line.len, out);
            fflush(out);
        }
        if (options.after && !to && !writer)
            options.after(options.user);
    }
    pthread_mutex_unlock(&lock);
    /* It may have to wait for room: not with the lock, which the writer's thread takes. */
    if (writer)
        sq_writer_put(writer, line.data, line.len);
    sq_buf_deinit(&line);
    sq_buf_deinit(&redacted);
}

void sq_log_write(enum sq_log_level level, const char *component, const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    sq_log_line(level, text, (size_t)len, level == SQ_LOG_DEBUG ? component : NULL, NULL);
    free(text);
}
