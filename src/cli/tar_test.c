/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tar.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"

static void put_string(struct sq_buf *out, const char *name, const char *text)
{
    sq_tar_put(out, name, sq_slice_str(text), 1700000000);
}

static char *long_name(size_t len)
{
    char *name = sq_xmalloc(len + 1);

    for (size_t i = 0; i < len; i++)
        name[i] = i % 10 == 9 ? '/' : (char)('a' + i % 26);
    name[len] = '\0';
    return name;
}

SQ_TEST(tar_what_is_written_is_read)
{
    static const size_t lens[] = {1, 50, 99, 100, 101, 155, 256, 1000, 9990};
    struct sq_buf tar = {0};

    for (size_t i = 0; i < SQ_COUNT(lens); i++) {
        char *name = long_name(lens[i]);
        put_string(&tar, name, i % 2 ? "" : "content");
        sq_tar_put_link(&tar, "link", name, 0);
        free(name);
    }
    sq_tar_end(&tar);
    SQ_CHECK_EQ(tar.len % 512, 0);
    SQ_CHECK(sq_tar_detect(sq_buf_slice(&tar)));

    struct sq_tar_reader reader = {.in = sq_buf_slice(&tar)};
    struct sq_tar_entry entry;
    for (size_t i = 0; i < SQ_COUNT(lens); i++) {
        char *name = long_name(lens[i]);
        SQ_CHECK_EQ(sq_tar_next(&reader, &entry, NULL), 1);
        SQ_CHECK_EQ(entry.kind, SQ_TAR_FILE);
        SQ_CHECK_STR(entry.name, name);
        SQ_CHECK(sq_slice_eq(entry.data, sq_slice_str(i % 2 ? "" : "content")));
        SQ_CHECK_EQ(sq_tar_next(&reader, &entry, NULL), 1);
        SQ_CHECK_EQ(entry.kind, SQ_TAR_LINK);
        SQ_CHECK_STR(entry.name, "link");
        SQ_CHECK_STR(entry.link, name);
        free(name);
    }
    SQ_CHECK_EQ(sq_tar_next(&reader, &entry, NULL), 0);
    sq_tar_reader_deinit(&reader);
    sq_buf_deinit(&tar);
}

/* Reads to the end; the number of entries or the error. */
static int read_all(struct sq_slice in)
{
    struct sq_tar_reader reader = {.in = in};
    struct sq_tar_entry entry;
    int rc, count = 0;

    while ((rc = sq_tar_next(&reader, &entry, NULL)) > 0)
        count++;
    sq_tar_reader_deinit(&reader);
    return rc < 0 ? rc : count;
}

SQ_TEST(tar_cut_anywhere_is_an_error_or_fewer_entries)
{
    struct sq_buf tar = {0};
    char *name = long_name(300);

    put_string(&tar, name, "first");
    put_string(&tar, "b", "second");
    sq_tar_end(&tar);
    SQ_CHECK_EQ(read_all(sq_buf_slice(&tar)), 2);
    for (size_t cut = 0; cut < tar.len; cut++) {
        /* A copy of its own, so that reading past the end is seen. */
        uint8_t *copy = sq_xmalloc(cut + 1);
        memcpy(copy, tar.data, cut);
        int got = read_all(sq_slice(copy, cut));
        SQ_CHECK(got == SQ_EPROTO || (got >= 0 && got <= 2), "cut at %zu: %d", cut, got);
        free(copy);
    }
    free(name);
    sq_buf_deinit(&tar);
}

SQ_TEST(tar_damaged_headers_are_refused)
{
    struct sq_buf tar = {0};

    put_string(&tar, "a", "text");
    sq_tar_end(&tar);
    for (size_t at = 0; at < 512; at++) {
        tar.data[at] ^= 0x55;
        int got = read_all(sq_buf_slice(&tar));
        /* The checksum's own bytes may be written in more than one way. */
        SQ_CHECK(got == SQ_EPROTO || (at >= 148 && at < 156), "byte %zu: %d", at, got);
        tar.data[at] ^= 0x55;
    }
    SQ_CHECK_EQ(read_all(sq_buf_slice(&tar)), 1);
    sq_buf_deinit(&tar);
}

SQ_TEST(tar_scripts_are_not_archives)
{
    struct sq_buf script = {0};

    SQ_CHECK(!sq_tar_detect(sq_slice_str("export default function () {}")));
    while (script.len < 4096)
        sq_buf_puts(&script, "export default function () { /* 000000 */ }\n");
    SQ_CHECK(!sq_tar_detect(sq_buf_slice(&script)));
    memset(script.data, 0, script.len);
    SQ_CHECK(!sq_tar_detect(sq_buf_slice(&script)));
    sq_buf_deinit(&script);
}

/* One header block with its checksum made right, then `data`. */
static void put_raw(struct sq_buf *out, char type, const char *size, const char *data)
{
    uint8_t block[512] = {0};
    unsigned sum = 0;
    size_t len = strlen(data);
    char digits[8];

    memcpy(block, "name", 4);
    memcpy(block + 124, size, strlen(size));
    block[156] = (uint8_t)type;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < sizeof block; i++)
        sum += block[i];
    snprintf(digits, sizeof digits, "%06o", sum);
    memcpy(block + 148, digits, 7);
    sq_buf_put(out, block, sizeof block);
    sq_buf_put(out, data, len);
    while (out->len % 512)
        sq_buf_putc(out, '\0');
}

SQ_TEST(tar_lies_about_lengths)
{
    static const struct {
        const char *name, *size, *data;
        char type;
        int want;
    } cases[] = {
        {"as it should be", "00000000003", "abc", '0', 1},
        {"blanks around", "  3 ", "abc", '0', 1},
        {"longer than the file", "77777777777", "abc", '0', SQ_EPROTO},
        {"binary, far too long", "\x80\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff", "abc", '0', SQ_EPROTO},
        {"not a number", "00000x00003", "abc", '0', SQ_EPROTO},
        {"pax record without a length", "00000000007", "path=x\n", 'x', SQ_EPROTO},
        {"pax record longer than its header", "00000000012", "99 path=x\n", 'x', SQ_EPROTO},
        {"pax record of length 0", "00000000012", "0 path=xx\n", 'x', SQ_EPROTO},
        {"pax record without a word, skipped", "00000000003", "3 \n", 'x', 0},
        {"pax record, then nothing", "00000000012", "10 path=x\n", 'x', 0},
        {"GNU long name, then nothing", "00000000003", "abc", 'L', 0},
        {"a directory", "00000000000", "", '5', 1},
    };

    for (size_t i = 0; i < SQ_COUNT(cases); i++) {
        struct sq_buf tar = {0};
        put_raw(&tar, cases[i].type, cases[i].size, cases[i].data);
        SQ_CHECK_EQ(read_all(sq_buf_slice(&tar)), cases[i].want, "%s", cases[i].name);
        sq_buf_deinit(&tar);
    }
}
