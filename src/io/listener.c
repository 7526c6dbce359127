#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/mem.h"

#include "io/net.h"

enum {
    ACCEPTS_MAX = 32, /* in a turn: who is connected already gets on as well */
    PAUSE_MS = 100,
};

struct listener {
    uv_poll_t poll;
    struct timer *resume;
    int fd, reserve; /* reserve is -1 where it could not be had again */
    bool closed;
    listener_fn *fn;
    void *arg;
};

static void poll_cb(uv_poll_t *poll, int status, int events);

static void resume_accepting(void *arg)
{
    struct listener *l = arg;

    CHECK(uv_poll_start(&l->poll, UV_READABLE, poll_cb) == 0);
}

static void pause_accepting(struct listener *l)
{
    uv_poll_stop(&l->poll);
    timer_set(l->resume, run_now() + PAUSE_MS);
}

static int accept_one(struct listener *l, struct net_address *peer)
{
    *peer = (struct net_address){.len = sizeof peer->un};
    _Static_assert(sizeof peer->un >= sizeof peer->in6, "the largest address");
    return accept4(l->fd, &peer->any, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* There is no descriptor for the next connection. The reserve's number takes it, and keeps it as
 * the new reserve, shut down: its peer sees the end at once instead of waiting in the queue. */
static void refuse_one(struct listener *l)
{
    struct net_address peer;

    if (l->reserve >= 0)
        close(l->reserve);
    l->reserve = accept_one(l, &peer);
    if (l->reserve >= 0)
        shutdown(l->reserve, SHUT_RDWR);
}

/* accept(2) reports errors that wait on the new connection: they concern it alone. */
static bool only_this_one(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    }
    return false;
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;

    (void)events;
    if (status < 0) { /* libuv has stopped it */
        pause_accepting(l);
        return;
    }
    for (int i = 0; i < ACCEPTS_MAX && !l->closed; i++) {
        struct net_address peer;
        int fd = accept_one(l, &peer);
        if (fd >= 0) {
            l->fn(l->arg, fd, &peer);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (only_this_one(errno))
            continue;
        if (errno == EMFILE || errno == ENFILE)
            refuse_one(l);
        pause_accepting(l);
        return;
    }
}

static void closed_cb(uv_handle_t *handle)
{
    struct listener *l = handle->data;

    close(l->fd);
    if (l->reserve >= 0)
        close(l->reserve);
    mem_free(l);
}

int listener_open(struct listener **out, int fd, listener_fn *fn, void *arg, struct err *e)
{
    struct listener *l = MEM_NEW(struct listener);
    int rc;

    if (!l)
        return err_memory(e, "net");
    *l = (struct listener){.fd = fd, .fn = fn, .arg = arg};
    if (timer_open(&l->resume, resume_accepting, l, e) < 0) {
        mem_free(l);
        return -1;
    }
    l->reserve = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    rc = l->reserve < 0 ? -errno : uv_poll_init(run_uv(), &l->poll, fd);
    if (rc < 0) {
        if (l->reserve >= 0)
            close(l->reserve);
        timer_close(&l->resume);
        mem_free(l);
        return err_os(e, -rc, "net", "accept connections");
    }
    l->poll.data = l;
    resume_accepting(l);
    *out = l;
    return 0;
}

void listener_close(struct listener **lp)
{
    struct listener *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    l->closed = true;
    timer_close(&l->resume);
    uv_close((uv_handle_t *)&l->poll, closed_cb);
}
