/* SPDX-License-Identifier: Apache-2.0 */
/* squall new (ENG-262): writes a starter script. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"
#include "cli/cli.h"
#include "js/instance.h"
#include "vu/run.h"

/* {{ .ScriptName }} stands for the file's name, as in k6's templates. */
static const char minimal[] =
    "// Run it:  squall run {{ .ScriptName }}\n"
    "// A server to try it with:  squall echo --port 8080\n"
    "import ws from 'k6/ws';\n"
    "import { check } from 'k6';\n"
    "\n"
    "export const options = {\n"
    "  vus: 10,\n"
    "  duration: '10s',\n"
    "};\n"
    "\n"
    "const url = __ENV.URL || 'ws://127.0.0.1:8080/';\n"
    "\n"
    "export default function () {\n"
    "  const res = ws.connect(url, (socket) => {\n"
    "    socket.on('open', () => socket.send(`hello from VU ${__VU}`));\n"
    "    socket.on('message', (message) => {\n"
    "      check(message, { 'the echo says hello': (m) => m.startsWith('hello') });\n"
    "      socket.close();\n"
    "    });\n"
    "    socket.setTimeout(() => socket.close(), 5000);\n"
    "  });\n"
    "  check(res, { 'status is 101': (r) => r && r.status === 101 });\n"
    "}\n";

static const char protocol[] =
    "// Run it:  squall run {{ .ScriptName }}\n"
    "// A server to try it with:  squall echo --port 8080\n"
    "import ws from 'k6/ws';\n"
    "import { check } from 'k6';\n"
    "import { Counter, Trend } from 'k6/metrics';\n"
    "\n"
    "const roundTrip = new Trend('round_trip', true);\n"
    "const lost = new Counter('lost_messages');\n"
    "\n"
    "export const options = {\n"
    "  scenarios: {\n"
    "    clients: {\n"
    "      executor: 'ramping-vus',\n"
    "      startVUs: 0,\n"
    "      stages: [\n"
    "        { duration: '10s', target: 50 },\n"
    "        { duration: '30s', target: 50 },\n"
    "        { duration: '5s', target: 0 },\n"
    "      ],\n"
    "    },\n"
    "  },\n"
    "  thresholds: {\n"
    "    checks: ['rate>0.99'],\n"
    "    round_trip: ['p(95)<200'],\n"
    "    ws_connecting: ['p(95)<500'],\n"
    "  },\n"
    "};\n"
    "\n"
    "export function setup() {\n"
    "  return { url: __ENV.URL || 'ws://127.0.0.1:8080/', messages: 10 };\n"
    "}\n"
    "\n"
    "export default function (data) {\n"
    "  const res = ws.connect(data.url, { tags: { step: 'echo' } }, (socket) => {\n"
    "    let received = 0;\n"
    "    socket.on('open', () => {\n"
    "      for (let i = 0; i < data.messages; i++) {\n"
    "        socket.send(JSON.stringify({ i, at: Date.now() }));\n"
    "      }\n"
    "    });\n"
    "    socket.on('message', (text) => {\n"
    "      roundTrip.add(Date.now() - JSON.parse(text).at);\n"
    "      if (++received === data.messages) socket.close();\n"
    "    });\n"
    "    socket.on('error', (e) => console.error(e.error()));\n"
    "    socket.on('close', () => lost.add(data.messages - received));\n"
    "    socket.setTimeout(() => socket.close(), 10000);\n"
    "  });\n"
    "  check(res, { 'status is 101': (r) => r && r.status === 101 });\n"
    "}\n";

static const char websockets[] =
    "// Run it:  squall run {{ .ScriptName }}\n"
    "// A server to try it with:  squall echo --port 8080\n"
    "import { WebSocket } from 'k6/websockets';\n"
    "import { check } from 'k6';\n"
    "\n"
    "export const options = {\n"
    "  vus: 10,\n"
    "  duration: '10s',\n"
    "};\n"
    "\n"
    "const url = __ENV.URL || 'ws://127.0.0.1:8080/';\n"
    "\n"
    "export default function () {\n"
    "  const socket = new WebSocket(url);\n"
    "  const late = setTimeout(() => socket.close(), 5000);\n"
    "\n"
    "  socket.onopen = () => socket.send(`hello from VU ${__VU}`);\n"
    "  socket.onmessage = (event) => {\n"
    "    check(event.data, { 'the echo says hello': (m) => m.startsWith('hello') });\n"
    "    socket.close();\n"
    "  };\n"
    "  socket.onerror = (event) => console.error(event.error);\n"
    "  socket.onclose = () => clearTimeout(late);\n"
    "}\n";

static const struct {
    const char *name, *text;
} templates[] = {{"minimal", minimal}, {"protocol", protocol}, {"websockets", websockets}};

/* The text of a template by name, or of a file. */
static int read_template(const char *name, struct sq_buf *out, struct sq_error *err)
{
    for (size_t i = 0; i < SQ_COUNT(templates); i++)
        if (strcmp(templates[i].name, name) == 0) {
            sq_buf_puts(out, templates[i].text);
            return 0;
        }
    if (strcmp(name, "browser") == 0)
        return sq_error_set(err, SQ_EINVALID,
                            "--template: squall has no browser; there are minimal, protocol, "
                            "websockets, or a file");
    if (!strchr(name, '/') && !strchr(name, '.') && access(name, R_OK) < 0)
        return sq_error_set(err, SQ_EINVALID,
                            "--template: there is no template '%s'; there are minimal, protocol, "
                            "websockets, or a file",
                            name);
    return sq_js_read_file(name, out, err);
}

static void fill_in(struct sq_buf *text, const char *script_name)
{
    static const char *const holes[] = {"{{ .ScriptName }}", "{{.ScriptName}}"};
    struct sq_buf out = {0};
    const char *at = sq_buf_cstr(text);

    while (*at) {
        size_t skip = 0;
        for (size_t i = 0; i < SQ_COUNT(holes) && !skip; i++)
            if (sq_text_starts(at, holes[i]))
                skip = strlen(holes[i]);
        if (skip)
            sq_buf_puts(&out, script_name);
        else
            sq_buf_putc(&out, *at);
        at += skip ? skip : 1;
    }
    sq_buf_deinit(text);
    *text = out;
}

static int write_script(const char *path, bool force, const struct sq_buf *text,
                        struct sq_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0644);

    if (fd < 0 && errno == EEXIST)
        return sq_error_set(err, -EEXIST, "'%s' exists; --force overwrites it", path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return sq_error_set(err, -errno, "cannot create '%s': %s", path, strerror(errno));
    bool ok = fwrite(text->data, 1, text->len, file) == text->len;
    ok = fclose(file) == 0 && ok;
    return ok ? 0 : sq_error_set(err, -errno, "cannot write '%s': %s", path, strerror(errno));
}

static int create(const struct sq_flags *flags, struct sq_error *err)
{
    const char *name = sq_flags_get(flags, "template"), *force = sq_flags_get(flags, "force");
    struct sq_buf text = {0};
    char *const *args;

    size_t count = sq_flags_args(flags, &args);
    if (count > 1)
        return sq_error_set(err, SQ_EINVALID, "'new' takes at most one file name, got %zu", count);
    const char *path = count ? args[0] : "script.js";
    int rc = read_template(name ? name : "minimal", &text, err);
    if (rc == 0) {
        fill_in(&text, path);
        rc = write_script(path, force && strcmp(force, "false") != 0, &text, err);
    }
    if (rc == 0)
        printf("%s is ready; run it with: squall run %s\n", path, path);
    sq_buf_deinit(&text);
    return rc;
}

int sq_cli_new(int argc, char **argv)
{
    struct sq_error err = {0};
    struct sq_flags *flags = NULL;

    int rc = sq_flags_parse("new", argc - 1, argv + 1, &flags, &err);
    if (rc == 0 && sq_flags_help(flags))
        sq_cli_print_help("new");
    else if (rc == 0)
        rc = create(flags, &err);
    if (rc < 0)
        fprintf(stderr, "squall new: %s\n", err.text);
    sq_flags_free(flags);
    return rc < 0 ? SQ_EXIT_OTHER : SQ_EXIT_OK;
}
