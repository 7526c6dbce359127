#include "base/mem.h"

#include "run/run_int.h"

struct wakeup {
    uv_async_t async;
    void (*fn)(void *arg);
    void *arg;
};

static void async_cb(uv_async_t *async)
{
    struct wakeup *w = async->data;

    w->fn(w->arg);
}

int wakeup_open(struct wakeup **out, void (*fn)(void *arg), void *arg, struct err *e)
{
    struct wakeup *w = MEM_NEW(struct wakeup);
    int rc;

    if (!w)
        return err_memory(e, "run");
    rc = uv_async_init(&run_here.loop, &w->async, async_cb);
    if (rc < 0) {
        mem_free(w);
        return err_os(e, -rc, "run", "wake-up");
    }
    w->async.data = w;
    w->fn = fn;
    w->arg = arg;
    *out = w;
    return 0;
}

void wakeup_send(struct wakeup *w)
{
    uv_async_send(&w->async);
}

static void closed_cb(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void wakeup_close(struct wakeup **wp)
{
    struct wakeup *w = *wp;

    if (!w)
        return;
    *wp = NULL;
    uv_close((uv_handle_t *)&w->async, closed_cb);
}
