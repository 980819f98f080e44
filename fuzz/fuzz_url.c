/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: what is accepted gives a request of exactly our lines that our own server side can read,
 * with no control byte from the URL or from a header in it. Input: flags, then the URL, a line
 * feed, and header lines "name:value". */
#include "fuzz.h"
#include "proto/ws/handshake.h"

enum { HEADERS_MAX = 16 };

static size_t split_headers(struct sq_slice text, struct sq_http1_field *out)
{
    size_t count = 0;

    while (text.len > 0 && count < HEADERS_MAX) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        const uint8_t *colon = memchr(text.data, ':', len);
        size_t name = colon ? (size_t)(colon - text.data) : len;
        size_t value = colon ? name + 1 : len;
        out[count].name = sq_slice(text.data, name);
        out[count].value = sq_slice(text.data + value, len - value);
        count++;
        len += end != NULL;
        text = sq_slice(text.data + len, text.len - len);
    }
    return count;
}

static void check_url(const struct sq_url *url)
{
    FUZZ_CHECK(url->target[0] == '/');
    FUZZ_CHECK(strlen(url->host) <= strlen(url->host_header) || url->host_is_ipv6);
    for (const char *p = url->target; *p; p++)
        FUZZ_CHECK((uint8_t)*p >= 0x20 && *p != 0x7f && *p != '#');
    for (const char *p = url->host_header; *p; p++)
        FUZZ_CHECK((uint8_t)*p > 0x20 && *p != 0x7f && *p != '/' && *p != '@');
}

static void check_request(const struct sq_url *url, struct sq_slice headers_text)
{
    struct sq_http1_field headers[HEADERS_MAX];
    struct sq_ws_request request = {.url = url,
                                    .key = "dGhlIHNhbXBsZSBub25jZQ==",
                                    .headers = headers,
                                    .headers_count = split_headers(headers_text, headers),
                                    .user_agent = sq_slice_str("fuzz")};
    struct sq_buf out = {0};
    size_t lines = 0;

    if (sq_ws_request_build(&request, &out, NULL) == 0) {
        for (size_t i = 0; i < out.len; i++) {
            lines += out.data[i] == '\n';
            FUZZ_CHECK(out.data[i] != 0);
            FUZZ_CHECK(out.data[i] != '\n' || (i > 0 && out.data[i - 1] == '\r'));
        }
        /* Request line, Host, four of ours, User-Agent, Authorization, the blank one. */
        FUZZ_CHECK(lines <= 9 + request.headers_count);
        FUZZ_CHECK(out.len > 4 && memcmp(out.data + out.len - 4, "\r\n\r\n", 4) == 0);
    } else {
        FUZZ_CHECK(out.len == 0);
    }
    sq_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sq_error err = {0};
    struct sq_url url;

    if (size < 1)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    const uint8_t *end = memchr(copy, '\n', size - 1);
    size_t len = end ? (size_t)(end - copy) : size - 1;
    uint8_t *text = fuzz_copy(copy, len);
    if (sq_url_parse(sq_slice(text, len), data[0] & 3, &url, &err) == 0) {
        check_url(&url);
        check_request(&url, sq_slice(copy + len + (end != NULL), size - 1 - len - (end != NULL)));
        sq_url_deinit(&url);
    } else {
        FUZZ_CHECK(err.code == SQ_EINVALID && err.text[0]);
    }
    free(text);
    free(copy);
    return 0;
}
