/* SPDX-License-Identifier: Apache-2.0 */
#include "output/udp.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int sq_udp_open(struct sq_udp *udp, const char *host, const char *port, struct sq_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    int gai = getaddrinfo(host, port, &hints, &found), rc = -EADDRNOTAVAIL;

    *udp = (struct sq_udp){.fd = -1, .bytes_max = 1432};
    if (gai)
        return sq_error_set(err, SQ_EDNS, "'%s' does not resolve: %s", host, gai_strerror(gai));
    /* A local agent nearly always listens on the IPv4 side of "localhost" only. */
    for (int pass = 0; pass < 2 && udp->fd < 0; pass++)
        for (struct addrinfo *a = found; a && udp->fd < 0; a = a->ai_next) {
            if ((a->ai_family == AF_INET) != (pass == 0))
                continue;
            int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
                udp->fd = fd;
                continue;
            }
            rc = -errno;
            if (fd >= 0)
                close(fd);
        }
    freeaddrinfo(found);
    return udp->fd >= 0
               ? 0
               : sq_error_set(err, rc, "no UDP socket for '%s': %s", host, sq_status_text(rc));
}

void sq_udp_close(struct sq_udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    sq_buf_deinit(&udp->datagram);
}

void sq_udp_flush(struct sq_udp *udp)
{
    if (udp->datagram.len == 0)
        return;
    ssize_t n = send(udp->fd, udp->datagram.data, udp->datagram.len, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
        poll(&(struct pollfd){.fd = udp->fd, .events = POLLOUT}, 1, 50);
        n = send(udp->fd, udp->datagram.data, udp->datagram.len, MSG_NOSIGNAL);
    }
    udp->sent++;
    if (n < 0) {
        udp->failed++;
        udp->first_error = udp->first_error ? udp->first_error : -errno;
    }
    udp->datagram.len = 0;
    udp->lines = 0;
}

void sq_udp_put(struct sq_udp *udp, struct sq_slice line)
{
    if (udp->datagram.len + line.len > udp->bytes_max ||
        (udp->lines_max && udp->lines >= udp->lines_max))
        sq_udp_flush(udp);
    sq_buf_put(&udp->datagram, line.data, line.len);
    udp->lines++;
}
