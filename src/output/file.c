/* SPDX-License-Identifier: Apache-2.0 */
#include "output/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

enum { WRITE_BYTES = 64 * 1024, GZIP_WINDOW_BITS = 15 + 16 };

struct sq_output_file {
    struct sq_output *output;
    int fd;
    bool is_stdout, gzip, unflushed;
    z_stream z;
    struct sq_buf buf;
};

int sq_output_file_open(struct sq_output *output, const char *name, struct sq_output_file **out,
                        struct sq_error *err)
{
    bool is_stdout = !name || !*name || strcmp(name, "-") == 0;
    size_t len = name ? strlen(name) : 0;
    int fd = STDOUT_FILENO;

    *out = NULL;
    if (!is_stdout)
        fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        int rc = -errno;
        return sq_error_set(err, rc, "cannot write '%s': %s", name, sq_status_text(rc));
    }
    struct sq_output_file *file = sq_xcalloc(1, sizeof *file);
    file->output = output;
    file->fd = fd;
    file->is_stdout = is_stdout;
    file->gzip = len > 3 && strcmp(name + len - 3, ".gz") == 0;
    if (file->gzip && deflateInit2(&file->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
                                   Z_DEFAULT_STRATEGY) != Z_OK)
        sq_panic("out of memory: compression of '%s'", name);
    *out = file;
    return 0;
}

struct sq_buf *sq_output_file_buf(struct sq_output_file *file)
{
    return &file->buf;
}

static int deflate_all(struct sq_output_file *file, int mode)
{
    uint8_t chunk[16 * 1024];
    int rc = 0;

    file->z.next_in = file->buf.data;
    file->z.avail_in = (uInt)file->buf.len;
    do {
        file->z.next_out = chunk;
        file->z.avail_out = sizeof chunk;
        int z = deflate(&file->z, mode);
        sq_assert(z != Z_STREAM_ERROR);
        rc = sq_output_write(file->output, file->fd, chunk, sizeof chunk - file->z.avail_out);
    } while (rc == 0 && file->z.avail_out == 0);
    return rc;
}

static int write_out(struct sq_output_file *file, int mode)
{
    int rc = file->gzip ? deflate_all(file, mode)
                        : sq_output_write(file->output, file->fd, file->buf.data, file->buf.len);

    file->buf.len = 0;
    return rc;
}

int sq_output_file_more(struct sq_output_file *file)
{
    file->unflushed = true;
    return file->buf.len < WRITE_BYTES ? 0 : write_out(file, Z_NO_FLUSH);
}

int sq_output_file_flush(struct sq_output_file *file)
{
    if (!file->unflushed)
        return 0;
    file->unflushed = false;
    return write_out(file, Z_SYNC_FLUSH);
}

int sq_output_file_close(struct sq_output_file *file, bool if_ok)
{
    int rc = if_ok ? write_out(file, Z_FINISH) : 0;

    if (!file->is_stdout) {
        int closed = sq_output_close_fd(file->output, file->fd);
        rc = rc < 0 ? rc : closed;
    }
    if (file->gzip)
        deflateEnd(&file->z);
    sq_buf_deinit(&file->buf);
    free(file);
    return rc;
}
