#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/net.h"

static int failed(struct err *e, int error, const struct net_address *a, const char *what)
{
    char text[128] = "";
    struct buf name;

    buf_init(&name, sizeof text);
    net_format(a, &name);
    str_copy_c(text, sizeof text, buf_str(&name));
    buf_done(&name);
    if (error == EADDRINUSE)
        err_set(e, ERR_TEMPORARY, "net", "%s: address in use by another program", text);
    else if (error == EACCES && net_port(a) && net_port(a) < 1024)
        err_set(e, ERR_TEMPORARY, "net", "%s: ports below 1024 need CAP_NET_BIND_SERVICE", text);
    else
        return err_os(e, error, "net", "%s: %s", text, what);
    if (e)
        e->os = error;
    return -1;
}

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

static int open_socket(const struct net_address *a, struct err *e)
{
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? failed(e, errno, a, "socket") : fd;
}

static int bind_and_listen(int fd, const struct net_address *a, int backlog, struct err *e)
{
    if (bind(fd, &a->any, a->len) < 0)
        return failed(e, errno, a, "bind");
    if (listen(fd, backlog) < 0)
        return failed(e, errno, a, "listen");
    return 0;
}

/* A listening socket, or -1. Connections of an earlier program that are not quite over do not keep
 * the port (SO_REUSEADDR); whoever listens on it does, unless both share it. */
static int listen_tcp(const struct net_address *a, int backlog, bool shared, struct err *e)
{
    int fd = open_socket(a, e);

    if (fd < 0)
        return -1;
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
        (shared && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
        (a->any.sa_family == AF_INET6 &&
            set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, a->v6_only) < 0)) {
        failed(e, errno, a, "socket option");
    } else if (bind_and_listen(fd, a, backlog, e) == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

/* The first socket listens before it is shared: two programs that start at once cannot both think
 * that they were alone, as they could with a socket that only tries. */
static int listen_shared(
    const struct net_address *asked, int backlog, int *fds, unsigned count, struct err *e)
{
    struct net_address a = *asked;

    for (unsigned i = 0; i < count; i++) {
        fds[i] = listen_tcp(&a, backlog, i > 0, e);
        if (fds[i] >= 0 && set_option(fds[i], SOL_SOCKET, SO_REUSEPORT, 1) == 0 &&
            getsockname(fds[i], &a.any, &a.len) == 0)
            continue;
        if (fds[i] >= 0)
            failed(e, errno, &a, "share");
        close_all(fds, count);
        return -1;
    }
    return 0;
}

/* A socket file that nobody answers on is what a killed program left; anything else is not ours. */
static int remove_stale(const struct net_address *a, struct err *e)
{
    struct stat st;
    int fd, rc, error;

    if (lstat(a->un.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : failed(e, errno, a, "stat");
    if (!S_ISSOCK(st.st_mode))
        return failed(e, EEXIST, a, "not a socket");
    fd = open_socket(a, e);
    if (fd < 0)
        return -1;
    rc = connect(fd, &a->any, a->len);
    error = errno;
    close(fd);
    if (rc == 0 || error == EAGAIN) /* EAGAIN: somebody listens, and is busy */
        return failed(e, EADDRINUSE, a, "connect");
    if (error != ECONNREFUSED && error != ENOENT)
        return failed(e, error, a, "connect");
    if (unlink(a->un.sun_path) < 0 && errno != ENOENT)
        return failed(e, errno, a, "remove stale socket");
    return 0;
}

static int listen_unix(const struct net_address *a, unsigned mode, int backlog, struct err *e)
{
    int fd;

    if (remove_stale(a, e) < 0)
        return -1;
    fd = open_socket(a, e);
    if (fd < 0)
        return -1;
    /* The file gets the socket's mode less the umask: it is at no moment open to more. */
    if (fchmod(fd, mode) < 0) {
        failed(e, errno, a, "mode");
    } else if (bind_and_listen(fd, a, backlog, e) == 0) {
        if (chmod(a->un.sun_path, mode) == 0)
            return fd;
        failed(e, errno, a, "mode");
        unlink(a->un.sun_path);
    }
    close(fd);
    return -1;
}

int net_listen(const struct net_address *a, unsigned mode, int backlog, int *fds, unsigned count,
    struct err *e)
{
    for (unsigned i = 0; i < count; i++)
        fds[i] = -1;
    if (a->any.sa_family != AF_UNIX)
        return listen_shared(a, backlog, fds, count, e);
    fds[0] = listen_unix(a, mode, backlog, e);
    return fds[0] < 0 ? -1 : 0;
}
