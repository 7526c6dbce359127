#include "resolver/ub_events.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unbound-event.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/fiber.h"

enum {
    BATCH = 64,
    FOR_DESCRIPTOR = UB_EV_READ | UB_EV_WRITE,
};

struct event_of_ub {
    struct ub_event super;
    struct ub_events *base;
    struct timer *timer; /* made when it is first wanted */
    int fd;              /* -1: for time alone */
    short bits;
    bool polled; /* in the epoll set */
    void (*cb)(int fd, short bits, void *arg);
    void *arg;
};

struct ub_events {
    struct ub_event_base super;
    uv_poll_t poll;
    int epoll_fd;
    unsigned count;                  /* events that libunbound holds */
    struct epoll_event batch[BATCH]; /* being told; of those gone meanwhile the pointer is NULL */
    int batch_n;
};

/* The tables are of a C interface that is not const. The casts go from the first member. */
static struct event_of_ub *event_of(struct ub_event *ev)
{
    return (struct event_of_ub *)ev;
}

/* ---- one event */

static void stop_polling(struct event_of_ub *ev)
{
    if (!ev->polled)
        return;
    ev->polled = false;
    epoll_ctl(ev->base->epoll_fd, EPOLL_CTL_DEL, ev->fd, NULL);
    for (int i = 0; i < ev->base->batch_n; i++)
        if (ev->base->batch[i].data.ptr == ev)
            ev->base->batch[i].data.ptr = NULL;
}

static int start_polling(struct event_of_ub *ev)
{
    struct epoll_event want = {.data.ptr = ev};

    if (ev->bits & UB_EV_READ)
        want.events |= EPOLLIN;
    if (ev->bits & UB_EV_WRITE)
        want.events |= EPOLLOUT;
    if (epoll_ctl(ev->base->epoll_fd, ev->polled ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, ev->fd, &want) <
        0)
        return -1;
    ev->polled = true;
    return 0;
}

static int deactivate(struct ub_event *of)
{
    struct event_of_ub *ev = event_of(of);

    stop_polling(ev);
    if (ev->timer)
        timer_set(ev->timer, DEADLINE_NONE);
    return 0;
}

static void tell(struct event_of_ub *ev, short bits)
{
    if (!(ev->bits & UB_EV_PERSIST))
        deactivate(&ev->super);
    ev->cb(ev->fd, bits, ev->arg); /* ev may be gone now */
}

static void on_time(void *arg)
{
    tell(arg, UB_EV_TIMEOUT);
}

static int set_timer(struct event_of_ub *ev, const struct timeval *after)
{
    if (!ev->timer && timer_open(&ev->timer, on_time, ev, NULL) < 0)
        return -1;
    timer_set(ev->timer,
        run_now_fresh() + (uint64_t)after->tv_sec * 1000 + ((uint64_t)after->tv_usec + 999) / 1000);
    return 0;
}

static int add(struct ub_event *of, struct timeval *after)
{
    struct event_of_ub *ev = event_of(of);

    if (ev->fd >= 0 && (ev->bits & FOR_DESCRIPTOR) && start_polling(ev) < 0)
        return -1;
    return after && (ev->bits & UB_EV_TIMEOUT) ? set_timer(ev, after) : 0;
}

static void add_bits(struct ub_event *of, short bits)
{
    event_of(of)->bits |= bits;
}

static void del_bits(struct ub_event *of, short bits)
{
    event_of(of)->bits &= (short)~bits;
}

static void set_fd(struct ub_event *of, int fd)
{
    event_of(of)->fd = fd;
}

static int add_timer(struct ub_event *of, struct ub_event_base *base,
    void (*cb)(int, short, void *), void *arg, struct timeval *after)
{
    struct event_of_ub *ev = event_of(of);

    (void)base;
    ev->cb = cb;
    ev->arg = arg;
    return set_timer(ev, after);
}

static void free_event(struct ub_event *of)
{
    struct event_of_ub *ev = event_of(of);

    deactivate(of);
    timer_close(&ev->timer);
    ev->base->count--;
    mem_free(ev);
}

static int no_signal(struct ub_event *of, struct timeval *after)
{
    (void)of;
    (void)after;
    return -1;
}

static int no_signal_del(struct ub_event *of)
{
    (void)of;
    return -1;
}

static void of_another_system(struct ub_event *of)
{
    (void)of;
}

static void would_block(struct ub_event *of, int bits)
{
    (void)of;
    (void)bits;
}

static struct ub_event_vmt event_table = {.add_bits = add_bits,
    .del_bits = del_bits,
    .set_fd = set_fd,
    .free = free_event,
    .add = add,
    .del = deactivate,
    .add_timer = add_timer,
    .del_timer = deactivate,
    .add_signal = no_signal,
    .del_signal = no_signal_del,
    .winsock_unregister_wsaevent = of_another_system,
    .winsock_tcp_wouldblock = would_block};

/* ---- all of them */

static struct ub_event *new_event(
    struct ub_event_base *base, int fd, short bits, void (*cb)(int, short, void *), void *arg)
{
    struct event_of_ub *ev = MEM_NEW(struct event_of_ub);
    struct ub_events *b = (struct ub_events *)base;

    if (!ev)
        return NULL;
    *ev = (struct event_of_ub){.super = {UB_EVENT_MAGIC, &event_table},
        .base = b,
        .fd = fd,
        .bits = bits,
        .cb = cb,
        .arg = arg};
    b->count++;
    return &ev->super;
}

static struct ub_event *new_signal(
    struct ub_event_base *base, int fd, void (*cb)(int, short, void *), void *arg)
{
    (void)base;
    (void)fd;
    (void)cb;
    (void)arg;
    return NULL;
}

static struct ub_event *new_of_another_system(
    struct ub_event_base *base, void *event, void (*cb)(int, short, void *), void *arg)
{
    (void)base;
    (void)event;
    (void)cb;
    (void)arg;
    return NULL;
}

static void not_freed(struct ub_event_base *base)
{
    (void)base;
}

static int not_dispatched(struct ub_event_base *base)
{
    (void)base;
    return -1;
}

static int not_left(struct ub_event_base *base, struct timeval *after)
{
    (void)base;
    (void)after;
    return 0;
}

static struct ub_event_base_vmt base_table = {.free = not_freed,
    .dispatch = not_dispatched,
    .loopexit = not_left,
    .new_event = new_event,
    .new_signal = new_signal,
    .winsock_register_wsaevent = new_of_another_system};

static void tell_descriptor(struct event_of_ub *ev, uint32_t events)
{
    short bits = 0;

    /* An error is read or written to be learnt. */
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        bits |= UB_EV_READ;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        bits |= UB_EV_WRITE;
    bits &= ev->bits;
    if (bits)
        tell(ev, bits);
}

static void on_descriptors(uv_poll_t *poll, int status, int events)
{
    struct ub_events *b = poll->data;
    int n;

    (void)status;
    (void)events;
    n = epoll_wait(b->epoll_fd, b->batch, BATCH, 0);
    b->batch_n = n > 0 ? n : 0;
    for (int i = 0; i < b->batch_n; i++)
        if (b->batch[i].data.ptr)
            tell_descriptor(b->batch[i].data.ptr, b->batch[i].events);
    b->batch_n = 0;
}

int ub_events_open(struct ub_events **out, struct err *e)
{
    struct ub_events *b = MEM_NEW(struct ub_events);
    int rc;

    if (!b)
        return err_memory(e, "resolver");
    b->super = (struct ub_event_base){UB_EVENT_MAGIC, &base_table};
    b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (b->epoll_fd < 0) {
        rc = err_os(e, errno, "resolver", "epoll");
        mem_free(b);
        return rc;
    }
    rc = uv_poll_init(run_uv(), &b->poll, b->epoll_fd);
    if (rc < 0) {
        close(b->epoll_fd);
        mem_free(b);
        return err_os(e, -rc, "resolver", "epoll");
    }
    b->poll.data = b;
    CHECK(uv_poll_start(&b->poll, UV_READABLE, on_descriptors) == 0);
    *out = b;
    return 0;
}

struct ub_event_base *ub_events_base(struct ub_events *b)
{
    return &b->super;
}

static void closed(uv_handle_t *handle)
{
    struct ub_events *b = handle->data;

    close(b->epoll_fd);
    mem_free(b);
}

void ub_events_close(struct ub_events **bp)
{
    struct ub_events *b = *bp;

    if (!b)
        return;
    *bp = NULL;
    CHECK(b->count == 0);
    uv_close((uv_handle_t *)&b->poll, closed);
}
