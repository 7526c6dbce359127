#include "cmd/pipe.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    STEP = 2048
};

static int write_all(int fd, const char *p, size_t n, struct err *e)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_os(e, errno, "send", "cannot write");
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* 1 while there is more, 0 at the end, -1. */
static int copy(int from, int to, struct err *e)
{
    char octets[STEP];
    ssize_t n = read(from, octets, sizeof octets);

    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0)
        return err_os(e, errno, "send", "cannot read");
    if (n == 0)
        return 0;
    return write_all(to, octets, (size_t)n, e) < 0 ? -1 : 1;
}

static int pass(int fd, struct err *e)
{
    struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int more = 1;

    while (more > 0) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return err_os(e, errno, "send", "poll");
        if (p[0].revents) {
            more = copy(STDIN_FILENO, fd, e);
            if (more == 0) {
                p[0].fd = -1; /* the server still has replies to give */
                shutdown(fd, SHUT_WR);
                more = 1;
            }
        }
        if (more > 0 && p[1].revents)
            more = copy(fd, STDOUT_FILENO, e);
    }
    return more;
}

int pipe_session(const struct net_address *to, struct err *e)
{
    int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), status;

    if (fd < 0)
        return err_os(e, errno, "send", "socket");
    if (connect(fd, &to->any, to->len) < 0)
        status = err_os(e, errno, "send", "cannot connect to the server");
    else
        status = pass(fd, e);
    close(fd);
    return status;
}
