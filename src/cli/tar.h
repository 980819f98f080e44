/* SPDX-License-Identifier: Apache-2.0 */
/* Tar files in memory (POSIX.1-1988 ustar; pax and GNU long names are understood, pax ones are
 * written): what an archive of a test is packed in (ENG-261). Pure.
 *
 *   entry: | name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | type 1 |
 *          | link 100 | "ustar" 0 "00" | uname 32 | gname 32 | major 8 | minor 8 | prefix 155 |
 *          padded to 512, then the data padded to 512; two blocks of zeros end the file */
#pragma once
#include "base/buf.h"
#include "base/error.h"

enum sq_tar_kind {
    SQ_TAR_FILE,
    SQ_TAR_LINK,  /* hard or symbolic: the content is that of entry `link` */
    SQ_TAR_OTHER, /* directories, devices: nothing to read */
};

struct sq_tar_entry {
    enum sq_tar_kind kind;
    const char *name, *link; /* borrowed from the reader until its next call */
    struct sq_slice data;    /* borrowed from the input */
};

struct sq_tar_reader { /* zeroed but for `in` */
    struct sq_slice in;
    struct sq_buf name, link;           /* of the entry handed out */
    struct sq_buf next_name, next_link; /* from a pax or GNU header before it */
};

/* Is the first block the head of a tar entry? By its checksum. */
bool sq_tar_detect(struct sq_slice in);
/* 1: *entry is filled. 0: the end. SQ_EPROTO with words for a malformed or cut file. */
SQ_MUST_USE int sq_tar_next(struct sq_tar_reader *reader, struct sq_tar_entry *entry,
                            struct sq_error *err);
void sq_tar_reader_deinit(struct sq_tar_reader *reader);

void sq_tar_put(struct sq_buf *out, const char *name, struct sq_slice data, int64_t mtime_s);
void sq_tar_put_link(struct sq_buf *out, const char *name, const char *target, int64_t mtime_s);
void sq_tar_end(struct sq_buf *out);
