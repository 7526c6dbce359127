#include <errno.h>
#include <sys/socket.h>

#include "io/stream_int.h"

/* What the kernel says about a connection that is no more is one thing to a session; that it is
 * short of memory is another. */
static int failed(struct err *e, int error, const char *what)
{
    err_os(e, error, "stream", "%s", what);
    if (e && error != ENOMEM && error != ENOBUFS)
        e->class = ERR_CLOSED;
    return -1;
}

ssize_t transport_read(struct stream *s, char *p, size_t n, struct err *e)
{
    ssize_t got;

    do
        got = recv(watch_fd(s->watch), p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) {
        s->drained = true;
        return 0;
    }
    if (got < 0) {
        int error = errno;
        s->ended = error != ENOMEM && error != ENOBUFS;
        return failed(e, error, "read");
    }
    if (got == 0) {
        s->ended = true;
        return err_set(e, ERR_CLOSED, "stream", "end of file");
    }
    s->drained = (size_t)got < n;
    s->octets_in += (uint64_t)got;
    return got;
}

ssize_t transport_write(struct stream *s, const struct iovec *v, int count, struct err *e)
{
    /* sendmsg() takes what it only reads without const */
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)count};
    ssize_t sent;

    do
        sent = count == 1 ? send(watch_fd(s->watch), v->iov_base, v->iov_len, MSG_NOSIGNAL)
                          : sendmsg(watch_fd(s->watch), &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        return 0;
    if (sent < 0)
        return failed(e, errno, "write");
    s->octets_out += (uint64_t)sent;
    return sent;
}
