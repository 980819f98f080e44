/* SPDX-License-Identifier: Apache-2.0 */
/* Modules from https:// (ENG-13): fetched once while the script loads, kept in a cache on disk that
 * serves when the network does not. A file of the cache is named after its URL's hash:
 *
 *      squall module 1 LF URL LF SHA-256 of the text, in hex LF text
 */
#include <errno.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "js/script.h"
#include "net/http.h"

enum { REDIRECTS_MAX = 10, MODULE_BYTES_MAX = 64 * 1024 * 1024 };
enum { HEX_BYTES = 65 };

static const char magic[] = "squall module 1\n";

static void sha256_hex(const void *data, size_t len, char out[HEX_BYTES])
{
    unsigned char digest[32];

    if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
        sq_panic("no SHA-256 in this OpenSSL");
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* ---- the cache ---- */

/* Owned: free. NULL: no cache, because there is nowhere to put it. */
static char *cache_folder(const struct sq_js_bundle *bundle)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (bundle->import_cache)
        return *bundle->import_cache ? sq_xstrdup(bundle->import_cache) : NULL;
    if (base && *base == '/')
        return sq_xasprintf("%s/squall/modules", base);
    return home && *home ? sq_xasprintf("%s/.cache/squall/modules", home) : NULL;
}

static char *cache_path(const struct sq_js_bundle *bundle, const char *url)
{
    char *folder = cache_folder(bundle), hex[HEX_BYTES];

    if (!folder)
        return NULL;
    sha256_hex(url, strlen(url), hex);
    char *path = sq_xasprintf("%s/%s", folder, hex);
    free(folder);
    return path;
}

static void make_folders(const char *path)
{
    char *text = sq_xstrdup(path);

    for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(text, 0755); /* what is missing shows when the file is made */
        *slash = '/';
    }
    free(text);
}

static bool write_file(const char *path, const struct sq_buf *data)
{
    char *part = sq_xasprintf("%s.%ld", path, (long)getpid());
    FILE *file = fopen(part, "wbe");
    bool ok = file && fwrite(data->data, 1, data->len, file) == data->len;
    int why = errno;

    if (file && fclose(file) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(part, path) < 0) {
        ok = false;
        why = errno;
    }
    if (!ok && file)
        (void)unlink(part);
    free(part);
    errno = why;
    return ok;
}

static void store(const struct sq_js_bundle *bundle, const char *url, const struct sq_buf *text)
{
    char *path = cache_path(bundle, url), hex[HEX_BYTES];
    struct sq_buf file = {0};

    if (!path)
        return;
    sha256_hex(text->data, text->len, hex);
    sq_buf_puts(&file, magic);
    sq_buf_puts(&file, url);
    sq_buf_putc(&file, '\n');
    sq_buf_puts(&file, hex);
    sq_buf_putc(&file, '\n');
    sq_buf_put(&file, text->data, text->len);
    make_folders(path);
    if (!write_file(path, &file))
        sq_log(SQ_LOG_DEBUG, "js", "cannot keep '%s' in the import cache: %s", url,
               strerror(errno));
    sq_buf_deinit(&file);
    free(path);
}

/* The text of a file of the cache; false: not of this URL, or not what was written. */
static bool verify(const struct sq_buf *file, const char *url, struct sq_buf *out)
{
    size_t url_len = strlen(url), head = strlen(magic) + url_len + 1 + HEX_BYTES;
    const char *data = (const char *)file->data;
    char hex[HEX_BYTES];

    if (file->len < head || memcmp(data, magic, strlen(magic)) != 0 ||
        memcmp(data + strlen(magic), url, url_len) != 0 || data[strlen(magic) + url_len] != '\n' ||
        data[head - 1] != '\n')
        return false;
    sha256_hex(data + head, file->len - head, hex);
    if (memcmp(data + head - HEX_BYTES, hex, HEX_BYTES - 1) != 0)
        return false;
    sq_buf_put(out, data + head, file->len - head);
    return true;
}

/* 0, -ENOENT: never fetched, or -EBADMSG: damaged. */
static int recall(const struct sq_js_bundle *bundle, const char *url, struct sq_buf *out)
{
    char *path = cache_path(bundle, url);
    struct sq_buf file = {0};
    int rc = -ENOENT;

    if (path && sq_js_read_file(path, &file, NULL) == 0)
        rc = verify(&file, url, out) ? 0 : -EBADMSG;
    sq_buf_deinit(&file);
    free(path);
    return rc;
}

/* ---- fetching ---- */

/* A loop of its own: the run has not begun. */
struct fetch {
    struct sq_loop *loop;
    struct sq_net *net;
    struct sq_http_vu *vu;
    struct sq_net_counters counters;
    const char *user_agent;
    int64_t deadline_ns;
    struct sq_timer signal_poll;
    bool interrupted;
};

/* ^C waits in the descriptor of the run's own loop, which does not turn now. */
static void poll_signals(struct sq_timer *timer)
{
    enum { EVERY_MS = 100 };
    struct fetch *f = SQ_CONTAINER_OF(timer, struct fetch, signal_poll);
    sigset_t pending;

    f->interrupted = sigpending(&pending) == 0 &&
                     (sigismember(&pending, SIGINT) > 0 || sigismember(&pending, SIGTERM) > 0);
    if (f->interrupted)
        sq_loop_stop(f->loop);
    else
        sq_timer_start(f->loop, timer, sq_now_ns() + EVERY_MS * SQ_NS_PER_MS);
}

static void fetch_deinit(struct fetch *f)
{
    sq_http_vu_free(f->vu);
    if (f->net)
        sq_net_free(f->net);
    if (f->loop)
        sq_loop_free(f->loop);
}

static int fetch_init(struct fetch *f, const struct sq_js_bundle *bundle,
                      struct sq_net_options *options, struct sq_error *err)
{
    enum { LIMIT_S = 60 };
    int rc;

    *f = (struct fetch){.user_agent = bundle->user_agent,
                        .deadline_ns = sq_now_ns() + LIMIT_S * SQ_NS_PER_S};
    sq_net_options_default(options);
    options->insecure_skip_tls_verify = bundle->config->insecure_skip_tls_verify;
    if ((rc = sq_loop_new(&f->loop, err)) < 0 ||
        (rc = sq_net_new(f->loop, options, &f->net, err)) < 0)
        return rc;
    f->vu = sq_http_vu_new(f->net, 0, &f->counters);
    return 0;
}

static void on_done(void *user)
{
    sq_loop_stop(((struct fetch *)user)->loop);
}

static const char *find_header(const struct sq_http_result *result, const char *name)
{
    const char *at = result->headers;

    for (size_t i = 0; i < result->headers_count; i++) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

/* One request. The status; *next is where a redirect leads. SQ_EINVALID: no response.
 * SQ_ECANCELLED: a signal came. */
static int request(struct fetch *f, const char *url, char **next, struct sq_buf *out,
                   struct sq_error *err)
{
    const struct sq_http_header headers[] = {{"User-Agent", f->user_agent}};
    const struct sq_http_request get = {.method = "GET",
                                        .url = url,
                                        .headers = headers,
                                        .headers_count = SQ_COUNT(headers),
                                        .deadline_ns = f->deadline_ns};
    struct sq_http_transfer *transfer = sq_http_start(f->vu, &get, on_done, f);
    int rc;

    f->signal_poll = SQ_TIMER_INIT(poll_signals);
    sq_timer_start(f->loop, &f->signal_poll, 0);
    sq_loop_run(f->loop);
    sq_timer_stop(f->loop, &f->signal_poll);
    if (f->interrupted) {
        sq_http_transfer_free(transfer);
        return sq_error_set(err, SQ_ECANCELLED, "interrupted");
    }
    const struct sq_http_result *result = sq_http_transfer_result(transfer);
    const char *location = find_header(result, "Location");
    rc = result->status;
    if (result->error_code) {
        rc = sq_error_set(err, SQ_EINVALID, "%s", result->text);
    } else if (rc >= 300 && rc < 400 && location) {
        *next = sq_http_url_join(url, location);
    } else if (rc == 200 && result->body.len > MODULE_BYTES_MAX) {
        rc = sq_error_set(err, SQ_ETOOBIG, "it is larger than %d bytes", MODULE_BYTES_MAX);
    } else if (rc == 200) {
        sq_buf_put(out, result->body.data, result->body.len);
    }
    sq_http_transfer_free(transfer);
    return rc;
}

/* Follows redirects, from https to nothing else. A status, or an error with words. */
static int get(struct fetch *f, const char *url, struct sq_buf *out, struct sq_error *err)
{
    char *at = sq_xstrdup(url), *next = NULL;
    int rc = request(f, at, &next, out, err);

    for (int i = 0; next; i++) {
        free(at);
        at = next;
        next = NULL;
        if (i == REDIRECTS_MAX)
            rc = sq_error_set(err, SQ_EPROTO, "more than %d redirects", REDIRECTS_MAX);
        else if (!sq_text_starts(at, "https://"))
            rc = sq_error_set(err, SQ_EPROTO, "it redirects to '%s', which is not https", at);
        else
            rc = request(f, at, &next, out, err);
    }
    free(at);
    return rc;
}

/* 0; SQ_EINVALID: nobody answered; others: the answer is no module. */
static int fetch(const struct sq_js_bundle *bundle, const char *url, struct sq_buf *out,
                 struct sq_error *err)
{
    struct sq_net_options options;
    struct fetch f;
    int rc = fetch_init(&f, bundle, &options, err);

    if (rc == 0) {
        int len = (int)strcspn(url, "#");
        char *marked =
            sq_xasprintf("%.*s%s_k6=1", len, url, memchr(url, '?', (size_t)len) ? "&" : "?");
        rc = get(&f, marked, out, err);
        if (rc >= 0 && rc != 200) {
            free(marked);
            marked = sq_xasprintf("%.*s", len, url);
            rc = get(&f, marked, out, err);
        }
        free(marked);
        if (rc >= 0 && rc != 200)
            rc = sq_error_set(err, SQ_EPROTO, "the server answers with status %d %s", rc,
                              sq_http_status_words(rc));
        rc = SQ_MIN(rc, 0);
    }
    fetch_deinit(&f);
    return rc;
}

int sq_js_fetch_module(struct sq_js_bundle *bundle, const char *url, struct sq_buf *out,
                       struct sq_error *err)
{
    struct sq_error why = {0};
    int rc = fetch(bundle, url, out, &why);

    if (rc == 0) {
        store(bundle, url, out);
        return 0;
    }
    if (rc != SQ_EINVALID)
        return sq_error_set(err, rc, "cannot import '%s': %s", url, why.text);
    int cached = recall(bundle, url, out);
    if (cached == 0) {
        if (sq_js_first_time(bundle, "remote modules come from the cache"))
            sq_log(SQ_LOG_WARN, "js",
                   "cannot reach '%s' (%s): remote modules are taken from the import cache", url,
                   why.text);
        return 0;
    }
    return sq_error_set(err, SQ_EINVALID, "cannot import '%s': %s; %s", url, why.text,
                        cached == -EBADMSG ? "its copy in the import cache is damaged"
                                           : "there is no copy of it in the import cache");
}
