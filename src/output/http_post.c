/* SPDX-License-Identifier: Apache-2.0 */
/* A multi handle drives the one easy handle, because its waiting can be cut short: that is how an
 * output whose receiver hangs still ends in time. */
#include "output/http_post.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The end of the run does not wait long for a receiver that hung just before. */
enum { POLL_MS = 50, HOPELESS_TIMEOUT_MS = 1000 };

struct curl_api {
    void *library;
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_global_cleanup) global_cleanup;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
    __typeof__(&curl_multi_init) multi_init;
    __typeof__(&curl_multi_cleanup) multi_cleanup;
    __typeof__(&curl_multi_add_handle) multi_add_handle;
    __typeof__(&curl_multi_remove_handle) multi_remove_handle;
    __typeof__(&curl_multi_perform) multi_perform;
    __typeof__(&curl_multi_poll) multi_poll;
    __typeof__(&curl_multi_info_read) multi_info_read;
};

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
#define SYMBOL(member)                                     \
    {                                                      \
        "curl_" #member, offsetof(struct curl_api, member) \
    }
    SYMBOL(global_init),         SYMBOL(global_cleanup), SYMBOL(easy_init),
    SYMBOL(easy_cleanup),        SYMBOL(easy_setopt),    SYMBOL(easy_getinfo),
    SYMBOL(easy_strerror),       SYMBOL(slist_append),   SYMBOL(slist_free_all),
    SYMBOL(multi_init),          SYMBOL(multi_cleanup),  SYMBOL(multi_add_handle),
    SYMBOL(multi_remove_handle), SYMBOL(multi_perform),  SYMBOL(multi_poll),
    SYMBOL(multi_info_read),
#undef SYMBOL
};

struct sq_post {
    struct sq_output *output;
    struct curl_api curl;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    long timeout_ms;
    bool timed_out;         /* the latest request */
    CURLcode option_failed; /* the first one that did */
    char words[CURL_ERROR_SIZE];
    char reply[SQ_POST_REPLY_BYTES_MAX];
    size_t reply_len;
};

static int load(struct curl_api *curl, struct sq_error *err)
{
    curl->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!curl->library)
        return sq_error_set(err, SQ_EINVALID, "cannot load libcurl: %s; install libcurl4",
                            dlerror());
    for (size_t i = 0; i < SQ_COUNT(symbols); i++) {
        void *address = dlsym(curl->library, symbols[i].name);
        if (!address)
            return sq_error_set(err, SQ_EINVALID, "libcurl is too old: it has no %s",
                                symbols[i].name);
        memcpy((char *)curl + symbols[i].offset, &address, sizeof address);
    }
    if (curl->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return sq_error_set(err, SQ_EINVALID, "libcurl does not start");
    return 0;
}

static size_t take_reply(char *data, size_t size, size_t count, void *user)
{
    struct sq_post *post = user;
    size_t len = size * count;
    size_t kept = SQ_MIN(len, sizeof post->reply - post->reply_len);

    memcpy(post->reply + post->reply_len, data, kept);
    post->reply_len += kept;
    return len;
}

static void note(struct sq_post *post, CURLcode code)
{
    if (post->option_failed == CURLE_OK)
        post->option_failed = code;
}

static void set_text(struct sq_post *post, CURLoption option, const char *text)
{
    if (text)
        note(post, post->curl.easy_setopt(post->easy, option, text));
}

static void set_number(struct sq_post *post, CURLoption option, long number)
{
    note(post, post->curl.easy_setopt(post->easy, option, number));
}

static void add_header(struct sq_post *post, const char *name, const char *value)
{
    char *line = sq_xasprintf("%s%s%s", name, *name && value ? ": " : "", value ? value : "");
    struct curl_slist *more = post->curl.slist_append(post->headers, line);

    sq_assert(more != NULL); /* out of memory */
    post->headers = more;
    free(line);
}

/* Without a proxy of our own the environment's holds, but never for this very machine. */
static void set_proxy(struct sq_post *post, const char *proxy)
{
    const char *lower = getenv("no_proxy"), *upper = getenv("NO_PROXY");
    const char *given = lower ? lower : upper ? upper : "";
    char *direct = sq_xasprintf("localhost,127.0.0.1,::1%s%s", *given ? "," : "", given);

    if (strcmp(given, "*") == 0)
        strcpy(direct, "*");
    set_text(post, CURLOPT_PROXY, proxy);
    set_text(post, CURLOPT_NOPROXY, proxy ? "" : direct);
    free(direct);
}

static void set_headers(struct sq_post *post, const struct sq_post_options *o)
{
    if (o->content_type)
        add_header(post, "Content-Type", o->content_type);
    add_header(post, "User-Agent", "squall/" SQUALL_VERSION);
    if (!o->sigv4)                         /* libcurl would sign it */
        add_header(post, "Expect:", NULL); /* none: a round trip for nothing */
    if (o->bearer) {
        char *value = sq_xasprintf("Bearer %s", o->bearer);
        add_header(post, "Authorization", value);
        free(value);
    }
    for (size_t i = 0; o->headers && o->headers[i]; i++)
        add_header(post, "", o->headers[i]);
    note(post, post->curl.easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers));
}

static void set_tls(struct sq_post *post, const struct sq_post_options *o)
{
    static const struct {
        int version;
        long option;
    } versions[] = {{10, CURL_SSLVERSION_TLSv1_0},
                    {11, CURL_SSLVERSION_TLSv1_1},
                    {12, CURL_SSLVERSION_TLSv1_2},
                    {13, CURL_SSLVERSION_TLSv1_3}};

    for (size_t i = 0; i < SQ_COUNT(versions); i++)
        if (versions[i].version == o->tls_min)
            set_number(post, CURLOPT_SSLVERSION, versions[i].option);
    if (o->insecure) {
        set_number(post, CURLOPT_SSL_VERIFYPEER, 0);
        set_number(post, CURLOPT_SSL_VERIFYHOST, 0);
    }
    set_text(post, CURLOPT_CAINFO, o->ca_path);
    set_text(post, CURLOPT_SSLCERT, o->cert_path);
    set_text(post, CURLOPT_SSLKEY, o->key_path);
}

static void set_options(struct sq_post *post, const struct sq_post_options *o)
{
    int64_t timeout_ns = o->timeout_ns ? o->timeout_ns : SQ_POST_TIMEOUT_MS * SQ_NS_PER_MS;

    post->timeout_ms = (long)(timeout_ns / SQ_NS_PER_MS);
    set_number(post, CURLOPT_NOSIGNAL, 1);
    set_number(post, CURLOPT_POST, 1);
    set_text(post, CURLOPT_PROTOCOLS_STR, "http,https");
    set_number(post, CURLOPT_QUICK_EXIT, 1); /* a name look-up that hangs does not hold us up */
    set_text(post, CURLOPT_ERRORBUFFER, post->words);
    note(post, post->curl.easy_setopt(post->easy, CURLOPT_WRITEFUNCTION, take_reply));
    note(post, post->curl.easy_setopt(post->easy, CURLOPT_WRITEDATA, post));
    set_text(post, CURLOPT_AWS_SIGV4, o->sigv4);
    if (o->user && !o->bearer) {
        set_text(post, CURLOPT_USERNAME, o->user);
        set_text(post, CURLOPT_PASSWORD, o->password ? o->password : "");
    }
    set_proxy(post, o->proxy);
    set_tls(post, o);
    set_headers(post, o);
}

int sq_post_headers_add(struct sq_post_headers *headers, struct sq_slice name,
                        struct sq_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < ' ' && value.data[i] != '\t')
            return SQ_EINVALID;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] <= ' ' || name.data[i] == ':')
            return SQ_EINVALID;
    if (name.len == 0)
        return SQ_EINVALID;
    headers->items = sq_xrealloc(headers->items, (headers->count + 2) * sizeof *headers->items);
    headers->items[headers->count++] =
        sq_xasprintf("%.*s: %.*s", (int)name.len, (const char *)name.data, (int)value.len,
                     (const char *)value.data);
    headers->items[headers->count] = NULL;
    return 0;
}

void sq_post_headers_deinit(struct sq_post_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
        free(headers->items[i]);
    free(headers->items);
}

int sq_post_new(struct sq_output *output, const struct sq_post_options *options,
                struct sq_post **out, struct sq_error *err)
{
    struct sq_post *post = sq_xcalloc(1, sizeof *post);
    int rc;

    *out = NULL;
    post->output = output;
    rc = load(&post->curl, err);
    if (rc < 0) {
        free(post); /* a library that is loaded stays so: unloading gains nothing */
        return rc;
    }
    post->easy = post->curl.easy_init();
    post->multi = post->curl.multi_init();
    if (!post->easy || !post->multi) {
        rc = sq_error_set(err, -ENOMEM, "libcurl has no memory");
        goto out;
    }
    set_options(post, options);
    if (post->option_failed != CURLE_OK) {
        rc = sq_error_set(err, SQ_EINVALID, "libcurl refuses a setting: %s",
                          post->curl.easy_strerror(post->option_failed));
        goto out;
    }
    *out = post; /* ownership moves to the caller */
    post = NULL;
out:
    sq_post_free(post);
    return rc;
}

void sq_post_free(struct sq_post *post)
{
    if (!post)
        return;
    if (post->easy)
        post->curl.easy_cleanup(post->easy);
    if (post->multi)
        post->curl.multi_cleanup(post->multi);
    post->curl.slist_free_all(post->headers);
    post->curl.global_cleanup();
    free(post);
}

/* The first line of an answer, as far as it is text: receivers say there why they refuse. */
static int refused(struct sq_post *post, long status, struct sq_error *why)
{
    size_t len = 0;

    while (len < post->reply_len && (unsigned char)post->reply[len] >= ' ' &&
           post->reply[len] != 0x7f)
        len++;
    return sq_error_set(why, status >= 500 || status == 429 ? -EAGAIN : SQ_EREFUSED,
                        "the answer is HTTP status %ld%s%.*s", status, len ? ": " : "",
                        (int)SQ_MIN(len, 200), post->reply);
}

static int perform(struct sq_post *post, struct sq_error *why)
{
    int running = 1, left;

    while (running) {
        if (post->curl.multi_perform(post->multi, &running) != CURLM_OK)
            return sq_error_set(why, -EIO, "libcurl failed");
        if (!running)
            break;
        if (sq_output_is_late(post->output))
            return sq_error_set(why, SQ_ECANCELLED, "no answer before the end of the run");
        post->curl.multi_poll(post->multi, NULL, 0, POLL_MS, NULL);
    }
    CURLMsg *message = post->curl.multi_info_read(post->multi, &left);
    sq_assert(message && message->msg == CURLMSG_DONE);
    CURLcode code = message->data.result;
    if (code != CURLE_OK)
        return sq_error_set(why, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO, "%s",
                            *post->words ? post->words : post->curl.easy_strerror(code));
    long status = 0;
    post->curl.easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300 ? 0 : refused(post, status, why);
}

int sq_post_send(struct sq_post *post, const char *url, struct sq_slice body, struct sq_error *why)
{
    bool hopeless = post->timed_out && sq_output_is_closing(post->output);

    post->reply_len = 0;
    *post->words = '\0';
    post->option_failed = CURLE_OK;
    set_number(post, CURLOPT_TIMEOUT_MS,
               hopeless ? SQ_MIN(post->timeout_ms, HOPELESS_TIMEOUT_MS) : post->timeout_ms);
    set_text(post, CURLOPT_URL, url);
    set_text(post, CURLOPT_POSTFIELDS, body.len ? (const char *)body.data : "");
    note(post,
         post->curl.easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len));
    if (post->option_failed != CURLE_OK)
        return sq_error_set(why, SQ_EINVALID, "libcurl refuses the request: %s",
                            post->curl.easy_strerror(post->option_failed));
    if (post->curl.multi_add_handle(post->multi, post->easy) != CURLM_OK)
        return sq_error_set(why, -EIO, "libcurl failed");
    int rc = perform(post, why);
    post->timed_out = rc == -ETIMEDOUT;
    post->curl.multi_remove_handle(post->multi, post->easy);
    return rc;
}
