/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tar.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, NAME_LEN = 100, PREFIX_LEN = 155, NAME_BYTES_MAX = 64 * 1024 };

struct header {
    char name[NAME_LEN], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[NAME_LEN], magic[6], version[2], uname[32], gname[32], major[8], minor[8];
    char prefix[PREFIX_LEN], pad[12];
};
static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static unsigned checksum(const struct header *h)
{
    const uint8_t *bytes = (const uint8_t *)h;
    unsigned sum = 0;

    for (size_t i = 0; i < BLOCK; i++) {
        bool inside = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);
        sum += inside ? ' ' : bytes[i];
    }
    return sum;
}

/* Octal digits with blanks around, or big-endian binary behind a set top bit (GNU). -1: neither. */
static int64_t number(const char *field, size_t len)
{
    int64_t value = 0;
    size_t i = 0;

    if ((uint8_t)field[0] & 0x80) {
        for (i = len - 7; i < len; i++)
            value = value << 8 | (uint8_t)field[i];
        for (i = 1; i < len - 7; i++)
            if (field[i])
                return -1;
        return (uint8_t)field[0] == 0x80 ? value : -1;
    }
    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (field[i] - '0');
    return i == len || field[i] == ' ' || field[i] == '\0' ? value : -1;
}

static bool is_header(const struct header *h)
{
    return h->name[0] && number(h->checksum, sizeof h->checksum) == (int64_t)checksum(h);
}

bool sq_tar_detect(struct sq_slice in)
{
    struct header h;

    if (in.len < BLOCK)
        return false;
    memcpy(&h, in.data, BLOCK);
    return is_header(&h) && number(h.size, sizeof h.size) >= 0;
}

/* ---- reading ---- */

static void put_field(struct sq_buf *out, const char *field, size_t len)
{
    sq_buf_put(out, field, strnlen(field, len));
}

static void put_text(struct sq_buf *out, struct sq_slice text)
{
    size_t len = strnlen((const char *)text.data, SQ_MIN(text.len, (size_t)NAME_BYTES_MAX));

    out->len = 0;
    sq_buf_put(out, text.data, len);
}

/* "27 path=some/long/name\n" and so on: the records of a pax header. */
static int read_pax(struct sq_tar_reader *r, struct sq_slice data, struct sq_error *err)
{
    while (data.len) {
        size_t len = 0, i = 0;
        for (; i < data.len && data.data[i] >= '0' && data.data[i] <= '9' && len < data.len; i++)
            len = len * 10 + (size_t)(data.data[i] - '0');
        if (i == 0 || i >= data.len || data.data[i] != ' ' || len > data.len || len < i + 2 ||
            data.data[len - 1] != '\n')
            return sq_error_set(err, SQ_EPROTO, "damaged archive: a pax header is malformed");
        struct sq_slice record = sq_slice(data.data + i + 1, len - i - 2);
        if (record.len > 5 && memcmp(record.data, "path=", 5) == 0)
            put_text(&r->next_name, sq_slice(record.data + 5, record.len - 5));
        if (record.len > 9 && memcmp(record.data, "linkpath=", 9) == 0)
            put_text(&r->next_link, sq_slice(record.data + 9, record.len - 9));
        data = sq_slice(data.data + len, data.len - len);
    }
    return 0;
}

static void take_names(struct sq_tar_reader *r, const struct header *h, struct sq_tar_entry *entry)
{
    r->name.len = r->link.len = 0;
    if (r->next_name.len) {
        sq_buf_put(&r->name, r->next_name.data, r->next_name.len);
    } else {
        if (memcmp(h->magic, "ustar", sizeof h->magic) == 0 && h->prefix[0]) {
            put_field(&r->name, h->prefix, sizeof h->prefix);
            sq_buf_putc(&r->name, '/');
        }
        put_field(&r->name, h->name, sizeof h->name);
    }
    if (r->next_link.len)
        sq_buf_put(&r->link, r->next_link.data, r->next_link.len);
    else
        put_field(&r->link, h->link, sizeof h->link);
    r->next_name.len = r->next_link.len = 0;
    entry->name = sq_buf_cstr(&r->name);
    entry->link = sq_buf_cstr(&r->link);
}

static enum sq_tar_kind kind_of(char type)
{
    switch (type) {
    case '0':
    case '\0':
    case '7': /* contiguous: a file */
        return SQ_TAR_FILE;
    case '1':
    case '2':
        return SQ_TAR_LINK;
    default:
        return SQ_TAR_OTHER;
    }
}

int sq_tar_next(struct sq_tar_reader *r, struct sq_tar_entry *entry, struct sq_error *err)
{
    static const struct header zeros;
    struct header h;

    for (;;) {
        if (r->in.len < BLOCK)
            return r->in.len ? sq_error_set(err, SQ_EPROTO, "damaged archive: it ends early") : 0;
        memcpy(&h, r->in.data, BLOCK);
        if (memcmp(&h, &zeros, BLOCK) == 0)
            return 0;
        int64_t size = number(h.size, sizeof h.size);
        if (!is_header(&h) || size < 0)
            return sq_error_set(err, SQ_EPROTO, "damaged archive: a header is malformed");
        if (kind_of(h.type) == SQ_TAR_LINK)
            size = 0; /* POSIX: says nothing about data that follows */
        if ((uint64_t)size > r->in.len - BLOCK)
            return sq_error_set(err, SQ_EPROTO, "damaged archive: it ends early");
        struct sq_slice data = sq_slice(r->in.data + BLOCK, (size_t)size);
        size_t whole = SQ_MIN(BLOCK + ((size_t)size + BLOCK - 1) / BLOCK * BLOCK, r->in.len);
        r->in = sq_slice(r->in.data + whole, r->in.len - whole);
        if (h.type == 'x') {
            int rc = read_pax(r, data, err);
            if (rc < 0)
                return rc;
        } else if (h.type == 'L') {
            put_text(&r->next_name, data);
        } else if (h.type == 'K') {
            put_text(&r->next_link, data);
        } else if (h.type != 'g') {
            *entry = (struct sq_tar_entry){.kind = kind_of(h.type), .data = data};
            take_names(r, &h, entry);
            return 1;
        }
    }
}

void sq_tar_reader_deinit(struct sq_tar_reader *r)
{
    sq_buf_deinit(&r->name);
    sq_buf_deinit(&r->link);
    sq_buf_deinit(&r->next_name);
    sq_buf_deinit(&r->next_link);
}

/* ---- writing ---- */

static void put_padding(struct sq_buf *out)
{
    static const uint8_t zeros[BLOCK];

    sq_buf_put(out, zeros, (BLOCK - out->len % BLOCK) % BLOCK);
}

/* Octal with a NUL behind it. Sizes of 8 GiB and more do not come here: a tar is made in memory. */
static void put_octal(char *field, size_t len, uint64_t value)
{
    field[len - 1] = '\0';
    for (size_t i = len - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

static void put_header(struct sq_buf *out, const char *name, char type, const char *link,
                       size_t size, int64_t mtime_s)
{
    struct header h = {0};

    memcpy(h.name, name, SQ_MIN(strlen(name), sizeof h.name));
    memcpy(h.link, link, SQ_MIN(strlen(link), sizeof h.link));
    put_octal(h.mode, sizeof h.mode, 0644);
    put_octal(h.uid, sizeof h.uid, 0);
    put_octal(h.gid, sizeof h.gid, 0);
    put_octal(h.size, sizeof h.size, size);
    put_octal(h.mtime, sizeof h.mtime, (uint64_t)SQ_MAX(mtime_s, (int64_t)0));
    h.type = type;
    memcpy(h.magic, "ustar", sizeof h.magic);
    memcpy(h.version, "00", sizeof h.version);
    put_octal(h.checksum, 7, checksum(&h));
    h.checksum[7] = ' ';
    sq_buf_put(out, &h, sizeof h);
}

static void put_record(struct sq_buf *out, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1; /* blank, =, newline, a digit */

    /* The length counts its own digits. */
    for (size_t limit = 10; len >= limit; limit *= 10)
        len++;
    sq_buf_printf(out, "%zu %s=%s\n", len, key, value);
}

/* What does not fit into the header's fields goes into a pax header before it. */
static void put_long_names(struct sq_buf *out, const char *name, const char *link, int64_t mtime_s)
{
    struct sq_buf records = {0};

    if (strlen(name) > NAME_LEN)
        put_record(&records, "path", name);
    if (strlen(link) > NAME_LEN)
        put_record(&records, "linkpath", link);
    if (records.len) {
        put_header(out, "PaxHeaders/entry", 'x', "", records.len, mtime_s);
        sq_buf_put(out, records.data, records.len);
        put_padding(out);
    }
    sq_buf_deinit(&records);
}

void sq_tar_put(struct sq_buf *out, const char *name, struct sq_slice data, int64_t mtime_s)
{
    put_long_names(out, name, "", mtime_s);
    put_header(out, name, '0', "", data.len, mtime_s);
    sq_buf_put(out, data.data, data.len);
    put_padding(out);
}

void sq_tar_put_link(struct sq_buf *out, const char *name, const char *target, int64_t mtime_s)
{
    put_long_names(out, name, target, mtime_s);
    put_header(out, name, '1', target, 0, mtime_s);
}

void sq_tar_end(struct sq_buf *out)
{
    static const uint8_t zeros[2 * BLOCK];

    sq_buf_put(out, zeros, sizeof zeros);
}
