#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

#include "io/net.h"
#include "io/stream_int.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static int failed(struct err *e, int error, const char *what, const struct net_address *a)
{
    char text[128];
    struct buf b;

    buf_init(&b, sizeof text);
    net_format(a, &b);
    err_os(e, error, "connect", "%s %.*s", what, STR_ARG(buf_str(&b)));
    buf_done(&b);
    return -1;
}

static int bind_source(int fd, const struct net_address *from, struct err *e)
{
    struct net_address any_port = *from;
    int one = 1;

    if (from->any.sa_family == AF_INET6)
        any_port.in6.sin6_port = 0;
    else
        any_port.in.sin_port = 0;
    /* The port is chosen with the other end in view, so that connections to many hosts may share
     * one. Where it fails there are fewer of them. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, &any_port.any, any_port.len) < 0)
        return failed(e, errno, "bind", from);
    return 0;
}

/* A socket whose connection has begun. */
static int begin(const struct net_address *to, const struct net_address *from, struct err *e)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

    if (fd < 0)
        return failed(e, errno, "socket for", to);
    if (from && from->any.sa_family == to->any.sa_family && bind_source(fd, from, e) < 0) {
        close(fd);
        return -1;
    }
    do
        rc = connect(fd, &to->any, to->len);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno != EINPROGRESS) {
        failed(e, errno, "connect to", to);
        close(fd);
        return -1;
    }
    return fd;
}

/* The end of it: 0, or why there is no connection. */
static int outcome(int fd, const struct net_address *to, struct err *e)
{
    int error = 0;
    socklen_t n = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        error = errno;
    return error ? failed(e, error, "connect to", to) : 0;
}

int stream_connect(struct stream **out, const struct net_address *to,
    const struct net_address *from, struct err *e)
{
    struct stream *s;
    int fd;

    if (fiber_check(e) < 0)
        return -1;
    fd = begin(to, from, e);
    if (fd < 0 || stream_open(&s, fd, e) < 0)
        return -1;
    if (watch_wait(s->watch, WATCH_WRITE, e) < 0 || outcome(fd, to, e) < 0) {
        stream_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

bool stream_pending(const struct stream *s)
{
    char octet;

    if (chunk_len(&s->in) || s->ended)
        return true;
    return recv(stream_fd(s), &octet, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EINTR);
}
