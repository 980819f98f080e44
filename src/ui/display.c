/* SPDX-License-Identifier: Apache-2.0 */
/* The display: where and how often the texts are drawn (ENG-233). One lock covers the stream, since
 * log lines come from every thread and the block has to make way for them. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "ui/progress.h"

enum { WIDTH_UNKNOWN = 80, WIDTH_PLAIN = 1000 };

struct sq_ui_display {
    struct sq_ui_options options;
    pthread_mutex_t lock;
    char *text;     /* drawn last; owned */
    size_t lines;   /* of it on the terminal now */
    int64_t due_ns; /* main thread only */
};

struct sq_ui_display *sq_ui_display_new(const struct sq_ui_options *options)
{
    struct sq_ui_display *d = sq_xcalloc(1, sizeof *d);

    d->options = *options;
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

/* Asked at every drawing, so a resized window needs no signal. */
static int width_now(const struct sq_ui_display *d)
{
    struct winsize size;

    if (!d->options.terminal)
        return WIDTH_PLAIN;
    if (ioctl(fileno(d->options.out), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return WIDTH_UNKNOWN;
    return size.ws_col;
}

static void erase(struct sq_ui_display *d)
{
    if (d->lines)
        fprintf(d->options.out, "\x1b[%zuA\r\x1b[J", d->lines);
    d->lines = 0;
}

static void put_block(struct sq_ui_display *d)
{
    sq_log_text(d->options.out, d->text, strlen(d->text));
    for (const char *p = d->text; *p; p++)
        d->lines += *p == '\n';
}

static void draw(struct sq_ui_display *d, const struct sq_ui_view *view)
{
    const struct sq_ui_style style = {width_now(d), d->options.terminal, d->options.colour};
    char *text = sq_ui_render(view, &style);

    pthread_mutex_lock(&d->lock);
    if (d->options.terminal)
        erase(d);
    free(d->text);
    d->text = text;
    put_block(d);
    if (!d->options.terminal) {
        d->lines = 0;
        sq_log_text(d->options.out, "\n", 1); /* blocks are told apart by an empty line */
    }
    pthread_mutex_unlock(&d->lock);
}

void sq_ui_display_tick(struct sq_ui_display *d, const struct sq_ui_view *view, int64_t now_ns)
{
    if (d->options.quiet || now_ns < d->due_ns)
        return;
    d->due_ns = now_ns + (d->options.terminal ? 100 * SQ_NS_PER_MS : SQ_NS_PER_S);
    draw(d, view);
}

void sq_ui_display_final(struct sq_ui_display *d, const struct sq_ui_view *view)
{
    if (d->options.quiet)
        return;
    draw(d, view);
    pthread_mutex_lock(&d->lock);
    d->lines = 0;
    pthread_mutex_unlock(&d->lock);
}

void sq_ui_display_clear(struct sq_ui_display *d)
{
    pthread_mutex_lock(&d->lock);
    erase(d);
    fflush(d->options.out);
    pthread_mutex_unlock(&d->lock);
}

void sq_ui_display_free(struct sq_ui_display *d)
{
    if (!d)
        return;
    pthread_mutex_destroy(&d->lock);
    free(d->text);
    free(d);
}

void sq_ui_log_before(void *display)
{
    struct sq_ui_display *d = display;

    pthread_mutex_lock(&d->lock); /* until sq_ui_log_after */
    if (d->lines) {
        erase(d);
        fflush(d->options.out);
    } else {
        free(d->text);
        d->text = NULL; /* nothing to bring back */
    }
}

void sq_ui_log_after(void *display)
{
    struct sq_ui_display *d = display;

    if (d->text && d->options.terminal)
        put_block(d);
    pthread_mutex_unlock(&d->lock);
}
