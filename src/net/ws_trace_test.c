/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws_trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/test.h"
#include "proto/ws/frame.h"

/* What a trace writes while `fn` runs, without VU and times: "-> TEXT ...|<- ...|". Owned: free. */
static char *traced(bool full, void (*fn)(struct sq_ws_trace *trace))
{
    const struct sq_ws_trace_options options = {.vu = 1, .socket = 1, .full = full};
    struct sq_log_options before = sq_log_options_now();
    struct sq_ws_trace *trace = sq_ws_trace_new(&options);
    struct sq_buf out = {0};
    char line[8192];
    FILE *file = tmpfile();

    sq_assert(file);
    sq_log_configure(&(struct sq_log_options){.to = file, .format = SQ_LOG_RAW});
    fn(trace);
    sq_log_configure(&before);
    sq_ws_trace_free(trace);
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        char *text = strstr(line, "ms ");
        SQ_CHECK(text && strncmp(line, "vu 1 iter 0 socket 1 +", 22) == 0, "%s", line);
        line[strcspn(line, "\n")] = '|';
        sq_buf_puts(&out, text ? text + 3 : line);
    }
    fclose(file);
    return sq_buf_steal(&out);
}

static void heads(struct sq_ws_trace *trace)
{
    sq_ws_trace_url(trace, sq_slice_str("wss://u:p@h/?x=http://a:b@c/"));
    sq_ws_trace_head(trace, SQ_WS_TO_SERVER,
                     sq_slice_str("GET /a HTTP/1.1\r\ncOOkie:x\r\nOrigin: http://a@b/@\r\n"
                                  "X:\x1b[31m://\r\n\r\n"));
    sq_ws_trace_head(trace, SQ_WS_TO_CLIENT, sq_slice_str("no end"));
    sq_ws_trace_head(trace, SQ_WS_TO_CLIENT, sq_slice_str(""));
}

SQ_TEST(ws_trace_heads)
{
    char *got = traced(false, heads);

    SQ_CHECK_STR(got, "-- connecting to wss://***@h/?x=http://***@c/|-> GET /a HTTP/1.1|"
                      "-> cOOkie: ***|-> Origin: http://***@b/@|-> X:\\x1b[31m://|<- no end|");
    free(got);
    got = traced(true, heads);
    SQ_CHECK_STR(got, "-- connecting to wss://u:p@h/?x=http://a:b@c/|-> GET /a HTTP/1.1|"
                      "-> cOOkie:x|-> Origin: http://a@b/@|-> X:\\x1b[31m://|<- no end|");
    free(got);
}

static void incoming(struct sq_ws_trace *trace, uint8_t opcode, bool fin, const char *a,
                     const char *b)
{
    const struct sq_ws_frame frame = {.opcode = opcode, .fin = fin, .len = strlen(a) + strlen(b)};

    sq_ws_trace_header(trace, &frame);
    if (*a)
        sq_ws_trace_payload(trace, sq_slice_str(a));
    if (*b)
        sq_ws_trace_payload(trace, sq_slice_str(b));
    sq_ws_trace_frame_end(trace, false);
}

static void frames(struct sq_ws_trace *trace)
{
    incoming(trace, SQ_WS_OP_TEXT, false, "a\xc3", "\xa9\x01\t");
    incoming(trace, SQ_WS_OP_PING, true, "in ", "between");
    incoming(trace, SQ_WS_OP_CONTINUATION, true, "\xff\\", "");
    incoming(trace, SQ_WS_OP_BINARY, true, "0123456789", "0123456");
    incoming(trace, SQ_WS_OP_CLOSE, true, "\x03", "");
    incoming(trace, SQ_WS_OP_CLOSE, true, "\x0f\xa1", "");
    sq_ws_trace_ignored(trace, sq_slice_str("\x88"));
    sq_ws_trace_note(trace, "FIN %s", "received");
}

SQ_TEST(ws_trace_frames)
{
    char *got = traced(false, frames);

    SQ_CHECK_STR(got, "<- TEXT 5 bytes: a\xc3\xa9\\x01\\t|<- PING FIN 10 bytes: in between|"
                      "<- CONTINUATION FIN 2 bytes: \\xff\\|"
                      "<- BINARY FIN 17 bytes: 30 31 32 33 34 35 36 37 38 39 30 31 32 33 34 35 "
                      "\xe2\x80\xa6|<- CLOSE FIN 1 bytes: one byte|<- CLOSE FIN 2 bytes: code 4001|"
                      "<- 1 bytes, not decoded any more: 88|-- FIN received|");
    free(got);
}

static void compressed(struct sq_ws_trace *trace)
{
    struct sq_ws_frame frame = {.opcode = SQ_WS_OP_TEXT, .rsv1 = true, .len = 2};

    sq_ws_trace_header(trace, &frame); /* in two fragments */
    sq_ws_trace_payload(trace, sq_slice_str("\x01\x02"));
    sq_ws_trace_frame_end(trace, false);
    frame = (struct sq_ws_frame){.opcode = SQ_WS_OP_CONTINUATION, .fin = true, .len = 1};
    sq_ws_trace_header(trace, &frame);
    sq_ws_trace_payload(trace, sq_slice_str("\x03"));
    sq_ws_trace_frame_end(trace, true);
    sq_ws_trace_message(trace, true, sq_slice_str("plain"));
    sq_ws_trace_message(trace, true, sq_slice_str("not compressed: its frames were shown"));
    frame = (struct sq_ws_frame){.opcode = SQ_WS_OP_TEXT, .rsv1 = true, .fin = true, .len = 1};
    sq_ws_trace_header(trace, &frame);
    sq_ws_trace_payload(trace, sq_slice_str("\x7f"));
    sq_ws_trace_frame_end(trace, true); /* and no message: it could not be inflated */
    incoming(trace, SQ_WS_OP_PING, true, "", "");
    sq_ws_trace_plain(trace, sq_slice_str("what is sent"));
    sq_ws_trace_sent(trace, &frame, "z");
    sq_ws_trace_plain(trace, sq_slice(NULL, 0));
}

SQ_TEST(ws_trace_compressed)
{
    char *got = traced(false, compressed);

    SQ_CHECK_STR(got, "<- TEXT RSV1 2 bytes: 01 02|"
                      "<- CONTINUATION FIN 1 bytes (message of 5 compressed): plain|"
                      "<- TEXT FIN RSV1 1 bytes: 7f|<- PING FIN 0 bytes|"
                      "-> TEXT FIN RSV1 1 bytes (message of 12 compressed): what is sent|");
    free(got);
}

static void long_ones(struct sq_ws_trace *trace)
{
    char text[251] = "";

    memset(text, 'x', 250);
    incoming(trace, SQ_WS_OP_TEXT, true, text, "end");
}

SQ_TEST(ws_trace_full_wraps)
{
    char *got = traced(true, long_ones);

    SQ_CHECK_EQ(strlen(got), strlen("<- TEXT FIN 253 bytes: |<-   |<-   |") + 253);
    SQ_CHECK(strstr(got, "xend|"), "%s", got);
    free(got);
    got = traced(false, long_ones);
    SQ_CHECK_EQ(strlen(got), strlen("<- TEXT FIN 253 bytes: \xe2\x80\xa6|") + 60);
    free(got);
}
