/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees while a test runs (ENG-230..234): a description before it, then a status line
 * and a line per scenario. The texts are pure functions of structs; the display puts them on a
 * terminal in place, or plainly once per second. */
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "engine/config.h"

struct sq_ui_description {
    const struct sq_config *config; /* derived */
    const char *script;             /* as named by the user */
    struct sq_string_list outputs;  /* "json (o.json)" */
    const char *web_dashboard;      /* its address, NULL: off */
};
/* owned: free */
char *sq_ui_banner(const char *version, bool colour);
char *sq_ui_describe(const struct sq_ui_description *what);

enum sq_ui_phase {
    SQ_UI_INIT,
    SQ_UI_PAUSED,
    SQ_UI_SETUP,
    SQ_UI_RUNNING,
    SQ_UI_TEARDOWN,
};

struct sq_ui_view {
    enum sq_ui_phase phase;
    int64_t elapsed_ns; /* since the executors started */
    int64_t length_ns;  /* longest possible run: sets the width of times */
    int64_t vus_active, vus_initialised;
    int64_t vus_planned, vus_max;
    uint64_t complete, interrupted; /* iterations */
    const struct sq_scenario *scenarios;
    const struct sq_scenario_progress *progress; /* one per scenario; NULL: not started */
    size_t scenarios_count;
};

struct sq_ui_style {
    int width;   /* columns; lines are cut there */
    bool bars;   /* false: percentages, for plain output */
    bool colour; /* ANSI colours */
};

/* Lines, each ending in '\n'. owned: free */
char *sq_ui_render(const struct sq_ui_view *view, const struct sq_ui_style *style);

/* 00m01.0s: as many digits as the longest time needs (ENG-232). `out` needs 48 bytes. */
void sq_ui_time(int64_t ns, int64_t longest_ns, char out[48]);

/* The display. Drawing is for the main thread; the log hooks may come from any. */
struct sq_ui_display;
struct sq_ui_options {
    FILE *out;     /* borrowed */
    bool terminal; /* redraw in place; else a block per second */
    bool colour;
    bool quiet; /* draw nothing at all */
};
struct sq_ui_display *sq_ui_display_new(const struct sq_ui_options *options);
/* Call as often as you like: draws every 100 ms on a terminal, else every second. */
void sq_ui_display_tick(struct sq_ui_display *display, const struct sq_ui_view *view,
                        int64_t now_ns);
/* Draws now. The block stays where it is; later drawing starts below. */
void sq_ui_display_final(struct sq_ui_display *display, const struct sq_ui_view *view);
/* Takes the block off the terminal, for other text on the same stream. */
void sq_ui_display_clear(struct sq_ui_display *display);
void sq_ui_display_free(struct sq_ui_display *display);

/* For sq_log_options.before and .after, with the display as user: the block moves out of the way of
 * a log line. */
void sq_ui_log_before(void *display);
void sq_ui_log_after(void *display);
