/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "output/output_kit.h"

static char *const no_variables[] = {NULL};

void sq_output_kit_init(struct sq_output_kit *kit, char *const *variables, const char *file)
{
    *kit = (struct sq_output_kit){.reg = sq_registry_new(), .table = sq_tag_table_new()};
    kit->env = (struct sq_output_env){.registry = kit->reg,
                                      .variables = variables ? variables : no_variables};
    kit->shard = sq_shard_new(kit->reg, true);
    strcpy(kit->dir, "/tmp/squall-output-XXXXXX");
    SQ_CHECK(mkdtemp(kit->dir) != NULL);
    snprintf(kit->path, sizeof kit->path, "%s/%s", kit->dir, file);
    kit->log_before = sq_log_options_now();
    kit->log = open_memstream(&kit->log_text, &kit->log_len);
    sq_log_configure(&(struct sq_log_options){.to = kit->log, .level = SQ_LOG_INFO});
}

void sq_output_kit_deinit(struct sq_output_kit *kit)
{
    sq_log_configure(&kit->log_before);
    fclose(kit->log);
    free(kit->log_text);
    unlink(kit->path);
    rmdir(kit->dir);
    sq_shard_free(kit->shard);
    SQ_CHECK_EQ(sq_tag_table_count(kit->table), 0, "tag sets that nobody gave back");
    sq_tag_table_free(kit->table);
    sq_registry_free(kit->reg);
}

uint32_t sq_output_kit_metric(struct sq_output_kit *kit, const char *name, enum sq_metric_type type,
                              enum sq_metric_contains contains)
{
    const struct sq_metric *metric;

    struct sq_error err = {0};

    if (sq_registry_add(kit->reg, name, type, contains, &metric, &err) < 0)
        sq_panic("%s", err.text); /* the test is wrong */
    sq_shard_free(kit->shard);    /* it knows the metrics there are when it is made */
    kit->shard = sq_shard_new(kit->reg, true);
    return metric->id;
}

static struct sq_tagset *tagset(struct sq_output_kit *kit, char *const *items)
{
    struct sq_tag_pair pairs[32];
    size_t count = 0;

    for (; items && items[count]; count++) {
        char *equals = strchr(items[count], '=');
        pairs[count].key = sq_slice(items[count], (size_t)(equals - items[count]));
        pairs[count].value = sq_slice_str(equals + 1);
    }
    return sq_tagset_with(kit->table, NULL, pairs, count);
}

void sq_output_kit_sample(struct sq_output_kit *kit, uint32_t metric, char *const *tags,
                          char *const *metadata, int64_t wall_ns, double value)
{
    struct sq_tagset *set = tagset(kit, tags);
    struct sq_tagset *about = metadata ? tagset(kit, metadata) : NULL;

    sq_shard_add(kit->shard, metric, set, about, wall_ns, value);
    sq_tagset_unref(set);
    sq_tagset_unref(about);
}

size_t sq_output_kit_run(struct sq_output_kit *kit, const char *spec, int64_t deadline_ns)
{
    char *specs[] = {(char *)spec};
    struct sq_outputs *outputs;
    struct sq_error err = {0};

    SQ_CHECK_EQ(sq_outputs_open(specs, 1, &kit->env, &outputs, &err), 0, "%s", err.text);
    if (err.code)
        return 0;
    sq_outputs_push(outputs, sq_shard_take_samples(kit->shard));
    return sq_outputs_close(outputs, sq_now_ns() + deadline_ns);
}

const char *sq_output_kit_log(struct sq_output_kit *kit)
{
    fflush(kit->log);
    return kit->log_text ? kit->log_text : "";
}

char *sq_output_kit_read(const char *path)
{
    char *text = sq_xcalloc(1, 1 << 20);
    FILE *file = fopen(path, "rb");

    SQ_CHECK(file != NULL, "%s", path);
    if (file) {
        size_t len = fread(text, 1, (1 << 20) - 1, file);
        text[len] = '\0';
        fclose(file);
    }
    return text;
}

int sq_output_kit_listen(int type, int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    SQ_CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    SQ_CHECK_EQ(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    if (type == SOCK_STREAM)
        SQ_CHECK_EQ(listen(fd, 5), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

char *sq_output_kit_datagrams(int fd)
{
    struct sq_buf all = {0};
    char datagram[65536];

    while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 200) > 0) {
        ssize_t n = recv(fd, datagram, sizeof datagram, 0);
        SQ_CHECK(n > 0);
        sq_buf_put(&all, datagram, n > 0 ? (size_t)n : 0);
    }
    return sq_buf_steal(&all);
}

static bool varint(struct sq_slice *in, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; in->len && shift < 64; shift += 7) {
        uint8_t byte = *in->data++;
        in->len--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

bool sq_pb_next(struct sq_slice *in, struct sq_pb_field *out)
{
    uint64_t tag;

    if (in->len == 0)
        return false;
    *out = (struct sq_pb_field){0};
    bool ok = varint(in, &tag);
    out->field = (unsigned)(tag >> 3);
    out->wire = tag & 7;
    if (ok && out->wire == 0) {
        ok = varint(in, &out->number);
    } else if (ok && out->wire == 1 && in->len >= 8) {
        for (int i = 7; i >= 0; i--)
            out->number = out->number << 8 | in->data[i];
        *in = sq_slice(in->data + 8, in->len - 8);
    } else if (ok && out->wire == 2) {
        ok = varint(in, &out->number) && out->number <= in->len;
        if (ok) {
            out->bytes = sq_slice(in->data, (size_t)out->number);
            *in = sq_slice(in->data + out->number, in->len - (size_t)out->number);
        }
    } else {
        ok = false;
    }
    SQ_CHECK(ok, "a protobuf field");
    return ok;
}

double sq_pb_as_double(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t sq_pb_as_sint(uint64_t zigzag)
{
    return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}
