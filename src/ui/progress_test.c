/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/progress.h"

#include <stdlib.h>

#include "base/test.h"

#define S SQ_NS_PER_S

SQ_TEST(ui_time_has_the_width_of_the_longest)
{
    static const struct {
        int64_t ns, longest_ns;
        const char *want;
    } cases[] = {
        {S, 630 * S, "00m01.0s"},    {61 * S + 990000000, 630 * S, "01m01.9s"},
        {S / 2, 31 * S, "00.5s"},    {5 * S, 9 * S, "5.0s"},
        {30 * S, 60 * S, "0m30.0s"}, {3661 * S, 36000 * S, "01h01m01.0s"},
        {-S, 60 * S, "0m00.0s"},     {700 * S, 630 * S, "11m40.0s"},
    };

    for (size_t c = 0; c < SQ_COUNT(cases); c++) {
        char text[48];
        sq_ui_time(cases[c].ns, cases[c].longest_ns, text);
        SQ_CHECK_STR(text, cases[c].want);
    }
}

SQ_TEST(ui_describes_a_run_ENG_230)
{
    struct sq_config config;
    struct sq_error err = {0};
    char *outputs[] = {(char *)"json (o.json)", (char *)"csv (c.csv)"};
    struct sq_ui_description what = {.config = &config, .script = "s.js"};

    sq_config_init(&config);
    SQ_CHECK_EQ(sq_config_from_script(&config, "{\"vus\":2,\"iterations\":4}", &err), 0);
    SQ_CHECK_EQ(sq_config_derive(&config, &err), 0);
    char *text = sq_ui_describe(&what);
    SQ_CHECK_STR(text,
                 "     execution: local\n"
                 "        script: s.js\n"
                 "        output: -\n"
                 "\n"
                 "     scenarios: (100.00%) 1 scenario, 2 max VUs, 10m30s max duration (incl. "
                 "graceful stop):\n"
                 "              * default: 4 iterations shared among 2 VUs (maxDuration: 10m0s, "
                 "gracefulStop: 30s)\n\n\n");
    free(text);
    what.outputs = (struct sq_string_list){outputs, 2};
    text = sq_ui_describe(&what);
    SQ_CHECK(strstr(text, "        output: json (o.json), csv (c.csv)\n"), "%s", text);
    free(text);
    sq_config_deinit(&config);
}

static const struct {
    const char *name;
    struct sq_scenario scenario;
    struct sq_scenario_progress progress;
    const char *want; /* second line, plain */
} lines[] = {
    {"constant",
     {.name = (char *)"a", .executor = SQ_EXEC_CONSTANT_VUS},
     {.state = SQ_SCENARIO_RUNNING,
      .done = 0.666,
      .elapsed_ns = 2 * S,
      .length_ns = 3 * S,
      .slots_max = 5},
     "a   [  66% ] 5 VUs  2.0s/3s"},
    {"ramping",
     {.name = (char *)"a", .executor = SQ_EXEC_RAMPING_VUS},
     {.state = SQ_SCENARIO_STOPPING,
      .done = 1,
      .elapsed_ns = 60 * S,
      .length_ns = 60 * S,
      .slots_active = 7,
      .slots_max = 120},
     "a \xe2\x86\x93 [ 100% ] 007/120 VUs  1m00.0s/1m0s"},
    {"shared",
     {.name = (char *)"a", .executor = SQ_EXEC_SHARED_ITERATIONS},
     {.state = SQ_SCENARIO_DONE,
      .done = 1,
      .elapsed_ns = S,
      .length_ns = 600 * S,
      .slots_max = 2,
      .iterations = 40,
      .iterations_total = 400},
     "a \xe2\x9c\x93 [ 100% ] 2 VUs  00m01.0s/10m0s  040/400 shared iters"},
    {"per vu",
     {.name = (char *)"a", .executor = SQ_EXEC_PER_VU_ITERATIONS, .iterations = 5},
     {.state = SQ_SCENARIO_INTERRUPTED,
      .done = 0.5,
      .elapsed_ns = S,
      .length_ns = 600 * S,
      .slots_max = 2,
      .iterations = 5,
      .iterations_total = 10},
     "a \xe2\x9c\x97 [  50% ] 2 VUs  00m01.0s/10m0s  05/10 iters, 5 per VU"},
    {"arrival",
     {.name = (char *)"a", .executor = SQ_EXEC_RAMPING_ARRIVAL_RATE},
     {.state = SQ_SCENARIO_RUNNING,
      .done = 0.1,
      .elapsed_ns = S,
      .length_ns = 10 * S,
      .slots_active = 3,
      .slots_max = 12,
      .rate = 12.345},
     "a   [  10% ] 03/12 VUs  01.0s/10s  12.35 iters/s"},
    {"waiting",
     {.name = (char *)"a", .executor = SQ_EXEC_CONSTANT_VUS, .start_ns = 60 * S},
     {.state = SQ_SCENARIO_WAITING, .elapsed_ns = -5 * S, .length_ns = 10 * S, .slots_max = 1},
     "a \xe2\x80\xa2 [   0% ] waiting  0m05.0s"},
    {"long name",
     {.name = (char *)"abcdefghijabcdefghijabcdefghijX", .executor = SQ_EXEC_CONSTANT_VUS},
     {.state = SQ_SCENARIO_RUNNING, .length_ns = 10 * S, .slots_max = 1},
     "abcdefghijabcdefghijabcdefg...   [   0% ] 1 VUs  00.0s/10s"},
};

SQ_TEST(ui_scenario_lines_ENG_231_ENG_232)
{
    const struct sq_ui_style plain = {.width = 200};

    for (size_t c = 0; c < SQ_COUNT(lines); c++) {
        struct sq_ui_view view = {.phase = SQ_UI_RUNNING,
                                  .elapsed_ns = S,
                                  .length_ns = 630 * S,
                                  .vus_active = 1,
                                  .vus_initialised = 2,
                                  .vus_max = 2,
                                  .complete = 1,
                                  .scenarios = &lines[c].scenario,
                                  .progress = &lines[c].progress,
                                  .scenarios_count = 1};
        char *text = sq_ui_render(&view, &plain);
        char *want = sq_xasprintf(
            "running (00m01.0s), 1/2 VUs, 1 complete and 0 interrupted iterations\n%s\n",
            lines[c].want);
        SQ_CHECK_STR(text, want);
        free(want);
        free(text);
    }
}

static int columns_of(const char *line)
{
    int count = 0;

    for (; *line && *line != '\n'; line++)
        count += ((uint8_t)*line & 0xc0) != 0x80;
    return count;
}

SQ_TEST(ui_bars_shrink_with_the_window_ENG_233)
{
    struct sq_ui_view view = {.phase = SQ_UI_RUNNING,
                              .scenarios = &lines[2].scenario,
                              .progress = &lines[2].progress,
                              .scenarios_count = 1};
    const char *percent = "[ 100% ]";

    for (int width = 1; width <= 130; width++) {
        char *text = sq_ui_render(&view, &(struct sq_ui_style){width, true, false});
        char *second = strchr(text, '\n') + 1, *bar = strchr(second, '[');
        SQ_CHECK(columns_of(text) <= width && columns_of(second) <= width, "%d", width);
        if (width == 130)
            SQ_CHECK_EQ(strspn(bar, "[=]"), 40);
        if (width == 70)
            SQ_CHECK_EQ(strspn(bar, "[=]"), 22);
        if (width == 55)
            SQ_CHECK(strncmp(bar, percent, strlen(percent)) == 0, "%s", bar);
        free(text);
    }
}

SQ_TEST(ui_phases_before_and_after)
{
    struct sq_ui_view view = {.phase = SQ_UI_INIT, .vus_initialised = 5, .vus_planned = 10};
    const struct sq_ui_style plain = {.width = 100}, bars = {.width = 40, .bars = true};
    char *text = sq_ui_render(&view, &plain);

    SQ_CHECK_STR(text, "Init      [  50% ] 05/10 VUs initialized\n");
    free(text);
    view.phase = SQ_UI_SETUP;
    text = sq_ui_render(&view, &bars);
    SQ_CHECK_STR(text, "Run       [====================] setup()\n");
    free(text);
    view.phase = SQ_UI_TEARDOWN;
    text = sq_ui_render(&view, &plain);
    SQ_CHECK_STR(text, "Run       [ 100% ] teardown()\n");
    free(text);
    view.phase = SQ_UI_PAUSED;
    text = sq_ui_render(&view, &plain);
    SQ_CHECK(strncmp(text, "paused (", 8) == 0, "%s", text);
    free(text);
}

SQ_TEST(ui_scenarios_are_in_order_of_start)
{
    const struct sq_scenario two[] = {
        {.name = (char *)"a", .executor = SQ_EXEC_CONSTANT_VUS, .start_ns = S},
        {.name = (char *)"bcd", .executor = SQ_EXEC_CONSTANT_VUS}};
    const struct sq_scenario_progress progress[2] = {{.slots_max = 1},
                                                     {.slots_max = 2, .state = SQ_SCENARIO_DONE}};
    struct sq_ui_view view = {
        .phase = SQ_UI_RUNNING, .scenarios = two, .progress = progress, .scenarios_count = 2};
    char *text = sq_ui_render(&view, &(struct sq_ui_style){.width = 100, .colour = true});

    SQ_CHECK(strstr(text, "\nbcd \x1b[32m\xe2\x9c\x93\x1b[0m ["), "%s", text);
    SQ_CHECK(strstr(text, "\na   \xe2\x80\xa2 ["), "%s", text);
    SQ_CHECK(strstr(text, "\nbcd") < strstr(text, "\na  "));
    free(text);
}

static char *drawn(bool terminal, bool quiet)
{
    struct sq_ui_view view = {.phase = SQ_UI_SETUP};
    char *bytes = NULL;
    size_t len = 0;
    FILE *out = tmpfile();
    struct sq_ui_display *d = sq_ui_display_new(
        &(struct sq_ui_options){.out = out, .terminal = terminal, .quiet = quiet});

    sq_ui_display_tick(d, &view, S);
    sq_ui_display_tick(d, &view, S + 1); /* too early */
    sq_ui_log_before(d);
    fputs("LOG\n", out);
    sq_ui_log_after(d);
    sq_ui_display_final(d, &view);
    sq_ui_log_before(d);
    fputs("END\n", out);
    sq_ui_log_after(d);
    sq_ui_display_free(d);
    len = (size_t)ftell(out);
    bytes = sq_xcalloc(len + 1, 1);
    rewind(out);
    SQ_CHECK_EQ(fread(bytes, 1, len, out), len);
    fclose(out);
    return bytes;
}

SQ_TEST(ui_display_makes_way_for_log_lines)
{
    static const char block[] = "Run       [========================================] setup()\n";
    char with_bar[128];
    char *text = drawn(true, false);

    snprintf(with_bar, sizeof with_bar, "Run       [%.38s] setup()\n", block + 11);
    char *want = sq_xasprintf("%s\x1b[1A\r\x1b[JLOG\n%s\x1b[1A\r\x1b[J%sEND\n", with_bar, with_bar,
                              with_bar);
    SQ_CHECK_STR(text, want);
    free(want);
    free(text);

    text = drawn(false, false);
    SQ_CHECK_STR(text, "Run       [ 100% ] setup()\n\nLOG\nRun       [ 100% ] setup()\n\nEND\n");
    free(text);
    text = drawn(true, true);
    SQ_CHECK_STR(text, "LOG\nEND\n");
    free(text);
}
