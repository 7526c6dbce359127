/* A sticky uv_poll. To libuv, changing or repeating a start is a stop and a start, three calls of
 * the system; so what is active is left active, and the callback that finds nobody waiting for what
 * it reports is the only one to stop it. */
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/run_int.h"

struct watch {
    uv_poll_t poll;
    int fd;
    int active; /* UV_READABLE and UV_WRITABLE, as started */
    struct fiber *reader, *writer;
};

static void poll_cb(uv_poll_t *poll, int status, int events);

static void set_active(struct watch *w, int events)
{
    if (events == w->active)
        return;
    w->active = events;
    if (events)
        CHECK(uv_poll_start(&w->poll, events, poll_cb) == 0);
    else
        uv_poll_stop(&w->poll);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int unwanted = 0;

    if (status < 0) {
        /* libuv has stopped it already; who waits learns the error from the descriptor. */
        w->active = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (events & UV_READABLE) {
        if (w->reader)
            fiber_wake(w->reader);
        else
            unwanted |= UV_READABLE;
    }
    if (events & UV_WRITABLE) {
        if (w->writer)
            fiber_wake(w->writer);
        else
            unwanted |= UV_WRITABLE;
    }
    set_active(w, w->active & ~unwanted);
}

int watch_open(struct watch **out, int fd, struct err *e)
{
    struct watch *w = MEM_NEW(struct watch);
    int rc;

    if (!w)
        return err_memory(e, "watch");
    rc = uv_poll_init(&run_here.loop, &w->poll, fd);
    if (rc < 0) {
        mem_free(w);
        return err_os(e, -rc, "watch", "watch descriptor");
    }
    w->poll.data = w;
    w->fd = fd;
    *out = w;
    return 0;
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

int watch_wait(struct watch *w, enum watch_for what, struct err *e)
{
    struct fiber *f = fiber_self(), **waiter = what == WATCH_READ ? &w->reader : &w->writer;
    int rc;

    CHECK(what == WATCH_READ || what == WATCH_WRITE);
    CHECK(!*waiter);
    if (fiber_check(e) < 0)
        return -1;
    *waiter = f;
    set_active(w, w->active | (what == WATCH_READ ? UV_READABLE : UV_WRITABLE));
    rc = fiber_wait(what == WATCH_READ ? "input" : "output", DEADLINE_NONE, e);
    *waiter = NULL;
    return rc;
}

int watch_park(struct watch *w, struct scope *s, uint64_t at, const char *name, fiber_fn *fn,
    void *arg, struct err *e)
{
    struct fiber *f;

    CHECK(!w->reader);
    f = fiber_new(s, name, fn, arg, e);
    if (!f)
        return -1;
    f->state = FIBER_PARKED_BARE;
    f->what = "input";
    f->watch = w;
    w->reader = f;
    set_active(w, w->active | UV_READABLE);
    if (f->cancelled)
        fiber_wake(f);
    else
        run_set_timer(&f->timer, at);
    return 0;
}

void watch_forget(struct fiber *f)
{
    CHECK(f->watch->reader == f);
    f->watch->reader = NULL;
    f->watch = NULL;
    f->what = NULL;
    run_set_timer(&f->timer, DEADLINE_NONE);
}

static void closed_cb(uv_handle_t *handle)
{
    struct watch *w = handle->data;

    close(w->fd);
    mem_free(w);
}

void watch_close(struct watch **wp)
{
    struct watch *w = *wp;

    if (!w)
        return;
    *wp = NULL;
    CHECK(!w->reader && !w->writer);
    uv_close((uv_handle_t *)&w->poll, closed_cb);
}
