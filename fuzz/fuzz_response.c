/* SPDX-License-Identifier: Apache-2.0 */
/* Response heads: every cut gives the same result, and whatever is parsed is judged without harm
 * and its body is read the same in pieces. The same bytes are read as a request for the server's
 * side, whose answer must be a head that we can read. Input: options, a cut, then the text; "@A" in
 * it stands for the right Sec-WebSocket-Accept, so that the fuzzer gets past it. */
#include "fuzz.h"
#include "proto/ws/handshake.h"

static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";

static struct sq_buf expand(const uint8_t *data, size_t size)
{
    char accept[SQ_WS_ACCEPT_LEN + 1];
    struct sq_buf out = {0};

    sq_ws_accept_key(sq_slice_str(key), accept);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '@' && i + 1 < size && data[i + 1] == 'A') {
            sq_buf_puts(&out, accept);
            i++;
        } else {
            sq_buf_putc(&out, (char)data[i]);
        }
    }
    return out;
}

static int parse_cut(enum sq_http1_kind kind, struct sq_slice text, size_t cut, size_t step,
                     struct sq_http1_parser *p)
{
    struct sq_http1_head head;
    int rc = 0;

    *p = (struct sq_http1_parser){.kind = kind};
    for (size_t at = SQ_MIN(cut, text.len); rc == 0; at = SQ_MIN(at + step, text.len)) {
        uint8_t *copy = fuzz_copy(text.data, at);
        rc = sq_http1_parse(p, sq_slice(copy, at), &head);
        free(copy);
        if (at == text.len)
            break;
    }
    return rc;
}

static int parse(enum sq_http1_kind kind, struct sq_slice text, size_t cut,
                 struct sq_http1_head *head)
{
    struct sq_http1_parser p = {.kind = kind}, q;
    int rc = sq_http1_parse(&p, text, head);

    FUZZ_CHECK(rc <= (int)SQ_MIN(text.len, (size_t)SQ_HTTP1_HEAD_MAX));
    FUZZ_CHECK(parse_cut(kind, text, cut, text.len + 1, &q) == rc);
    FUZZ_CHECK(rc >= 0 || p.error == q.error);
    FUZZ_CHECK(parse_cut(kind, text, cut, text.len / 16 + 1, &q) == rc);
    FUZZ_CHECK(rc >= 0 || p.error == q.error);
    return rc;
}

static void check_body(const struct sq_http1_head *head, struct sq_slice rest)
{
    struct sq_http1_body whole, pieces;
    int a, b;

    sq_http1_body_init(&whole, head);
    sq_http1_body_init(&pieces, head);
    a = sq_http1_body_feed(&whole, rest);
    b = sq_http1_body_feed(&pieces, sq_slice(NULL, 0));
    for (size_t i = 0; b == 0 && i < rest.len; i++)
        b = sq_http1_body_feed(&pieces, sq_slice(rest.data + i, 1));
    FUZZ_CHECK(a == b && whole.len == pieces.len &&
               memcmp(whole.data, pieces.data, whole.len) == 0);
}

static void judge(const struct sq_http1_head *head, uint8_t options)
{
    struct sq_ws_expect expect = {
        .key = key,
        .protocols = options & 1 ? sq_slice_str("foo, bar") : sq_slice_str(""),
        .offer = {.enabled = options & 2,
                  .server_no_context_takeover = options & 4,
                  .client_no_context_takeover = options & 8,
                  .server_max_window_bits = options & 16 ? 12 : 0,
                  .client_max_window_bits = options & 32 ? SQ_WS_PMD_BITS_OPEN : 0},
        .lenient = options & 64,
    };
    struct sq_ws_verdict verdict;
    int rc = sq_ws_response_check(&expect, head, &verdict);

    FUZZ_CHECK((rc == 0) == (verdict.reason[0] == 0));
    FUZZ_CHECK(rc == 0 || !verdict.pmd.enabled);
    FUZZ_CHECK(rc < 0 || (head->status == 101 && head->minor > 0));
    if (!expect.lenient)
        FUZZ_CHECK(!verdict.pmd.enabled || expect.offer.enabled);
}

static void serve(const struct sq_http1_head *request, uint8_t options)
{
    struct sq_ws_accept_options opt = {
        .protocols = options & 1 ? sq_slice_str("*") : sq_slice_str("foo, bar"),
        .deflate = options & 2,
        .keep_context = options & 4,
    };
    struct sq_http1_parser p = {.kind = SQ_HTTP1_RESPONSE};
    struct sq_ws_accepted accepted;
    struct sq_http1_head head;
    struct sq_buf answer = {0};
    int rc = sq_ws_handshake_accept(request, &opt, &answer, &accepted);

    FUZZ_CHECK(sq_http1_parse(&p, sq_buf_slice(&answer), &head) > 0);
    FUZZ_CHECK(head.status == accepted.status && (rc == 0) == (head.status == 101));
    sq_buf_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sq_http1_head head;

    if (size < 3)
        return 0;
    struct sq_buf text = expand(data + 3, size - 3);
    size_t cut = (size_t)data[1] << 8 | data[2];
    uint8_t *copy = fuzz_copy(text.data, text.len);
    struct sq_slice in = sq_slice(copy, text.len);
    int len = parse(SQ_HTTP1_RESPONSE, in, cut, &head);
    if (len > 0) {
        judge(&head, data[0]);
        check_body(&head, sq_slice(in.data + len, in.len - (size_t)len));
    }
    if (parse(SQ_HTTP1_REQUEST, in, cut, &head) > 0)
        serve(&head, data[0]);
    free(copy);
    sq_buf_deinit(&text);
    return 0;
}
