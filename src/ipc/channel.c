#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "ipc/channel_int.h"
#include "ipc/codec.h"

enum wait_state {
    WAITING,
    WAIT_DONE,
    WAIT_CLOSED, /* the channel must not be touched any more */
};

/* A fiber that waits for credit or for a reply; lies on its stack. */
struct waiter {
    struct cond cond;
    enum wait_state state;
    struct list link;
    size_t octets;     /* of the credit wanted */
    struct buf *reply; /* where the reply goes */
};

/* By which a call that is answered late finds out whether its channel is still there. */
static _Thread_local struct list channels;
static _Thread_local uint32_t serials;

static int gone(const char *peer, struct err *e)
{
    return err_set_status(
        e, ERR_CLOSED, (struct err_status){4, 3, 0}, "channel", "%s is not there", peer);
}

static void wake(struct waiter *w, enum wait_state state)
{
    w->state = state;
    cond_wake_one(&w->cond);
}

int channel_open(struct channel **out, int fd, const char *peer,
    const struct channel_handler *handler, void *arg, struct err *e)
{
    struct channel *c = MEM_NEW(struct channel);

    if (!c || frame_reader_open(&c->in, e) < 0) {
        mem_free(c);
        close(fd);
        return err_memory(e, "channel");
    }
    c->fd = fd;
    c->peer = peer;
    c->handler = handler;
    c->arg = arg;
    c->serial = ++serials;
    ledger_init(&c->ledger);
    list_init(&c->waiting);
    list_init(&c->granted);
    if (channel_io_open(c, e) < 0)
        return -1;
    if (!channels.next)
        list_init(&channels);
    list_add(&channels, &c->link);
    *out = c;
    return 0;
}

/* Everybody who waits for this channel learns that it is gone. */
static void release_waiters(struct channel *c)
{
    struct list *link;

    for (unsigned i = 0; i < CHANNEL_REQUESTS; i++) {
        struct waiter *w = c->ledger.asked[i].waiter;
        c->ledger.asked[i].waiter = NULL;
        if (w)
            wake(w, WAIT_CLOSED);
    }
    while ((link = list_take(&c->waiting)) || (link = list_take(&c->granted)))
        wake(LIST_ENTRY(link, struct waiter, link), WAIT_CLOSED);
}

void channel_close(struct channel **channel)
{
    struct channel *c = *channel;

    if (!c)
        return;
    *channel = NULL;
    CHECK(!c->closed);
    channel_write(c);
    c->closed = true;
    list_remove(&c->link);
    release_waiters(c);
    channel_io_close(c);
}

void channel_cut(struct channel *c, const struct err *why)
{
    if (c->dead || c->closed || c->cut)
        return;
    c->cut = true;
    c->why = *why;
    /* Wakes the loop, which then calls on_closed. */
    shutdown(c->fd, SHUT_RDWR);
}

void channel_fail(struct channel *c, const struct err *why)
{
    c->dead = true;
    c->why = *why;
    err_prefix(&c->why, "%s", c->peer);
    release_waiters(c);
    c->handler->on_closed(c->arg, c, &c->why);
}

/* Gives credit that has come back to those who wait for it, in their order. */
static void share_credit(struct channel *c)
{
    while (!list_empty(&c->waiting)) {
        struct waiter *w = LIST_FIRST(&c->waiting, struct waiter, link);
        if (!ledger_spend(&c->ledger, w->octets))
            return;
        list_remove(&w->link);
        list_add(&c->granted, &w->link);
        wake(w, WAIT_DONE);
    }
}

static bool usable(const struct channel *c)
{
    return !c->dead && !c->cut && !c->closed;
}

static bool take_credit_now(struct channel *c, size_t octets)
{
    return usable(c) && list_empty(&c->waiting) && ledger_spend(&c->ledger, octets);
}

static void return_credit(struct channel *c, size_t octets)
{
    ledger_unspend(&c->ledger, octets);
    share_credit(c);
}

/* Out of line, since gcc 12 takes a link on a fiber's stack for a dangling pointer. */
static __attribute__((noinline)) void line_up(struct channel *c, struct waiter *w)
{
    list_add(&c->waiting, &w->link);
}

/* Suspends until the credit is ours. On failure the channel may be gone. */
static int take_credit(struct channel *c, size_t octets, struct err *e)
{
    struct waiter w = {.octets = octets};
    const char *peer = c->peer;
    int rc = 0;

    CHECK(octets <= CHANNEL_FRAME_MAX);
    if (!usable(c))
        return gone(peer, e);
    if (take_credit_now(c, octets))
        return 0;
    line_up(c, &w);
    while (w.state == WAITING && rc == 0)
        rc = cond_wait(&w.cond, "credit of a channel", e);
    list_remove(&w.link);
    if (w.state == WAIT_CLOSED)
        return rc < 0 ? -1 : gone(peer, e);
    if (rc < 0 && w.state == WAIT_DONE)
        ledger_unspend(&c->ledger, octets);
    if (rc < 0)
        share_credit(c); /* the next one may want less */
    return rc;
}

static int wait_reply(struct channel *c, uint32_t call, struct waiter *w, struct err *e)
{
    const char *peer = c->peer;

    while (w->state == WAITING) {
        if (cond_wait(&w->cond, "a reply", e) == 0)
            continue;
        if (w->state == WAITING)
            ledger_forget(&c->ledger, call);
        return -1;
    }
    if (w->state == WAIT_CLOSED)
        return gone(peer, e);
    if (!buf_ok(w->reply))
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "channel",
            "a reply of %s does not fit", peer);
    return 0;
}

int channel_ask(
    struct channel *c, uint16_t type, struct str payload, struct buf *reply, struct err *e)
{
    struct waiter w = {.reply = reply};
    struct frame f = {.kind = FRAME_REQUEST, .type = type, .payload = payload};
    void *waiter;

    if (take_credit(c, payload.n, e) < 0)
        return -1;
    f.call = ledger_ask(&c->ledger, payload.n, &w);
    if (channel_gather(c, &f, -1, e) < 0) {
        ledger_replied(&c->ledger, f.call, &waiter, NULL);
        share_credit(c);
        return -1;
    }
    return wait_reply(c, f.call, &w, e);
}

/* Sends a notice whose credit has been taken; takes fd. */
static int send_notice(struct channel *c, uint16_t type, struct str payload, int fd, struct err *e)
{
    struct frame f = {.kind = FRAME_NOTICE, .type = type, .has_fd = fd >= 0, .payload = payload};

    if (channel_gather(c, &f, fd, e) < 0) {
        return_credit(c, payload.n);
        return -1;
    }
    ledger_notify(&c->ledger, payload.n);
    return 0;
}

int channel_notify(struct channel *c, uint16_t type, struct str payload, struct err *e)
{
    if (take_credit(c, payload.n, e) < 0)
        return -1;
    return send_notice(c, type, payload, -1, e);
}

int channel_notify_fd(struct channel *c, uint16_t type, struct str payload, int fd, struct err *e)
{
    int copy;

    if (take_credit(c, payload.n, e) < 0)
        return -1;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        err_os(e, errno, "channel", "dup");
        return_credit(c, payload.n);
        return -1;
    }
    return send_notice(c, type, payload, copy, e);
}

bool channel_try_notify(struct channel *c, uint16_t type, struct str payload)
{
    CHECK(payload.n <= CHANNEL_FRAME_MAX);
    return take_credit_now(c, payload.n) && send_notice(c, type, payload, -1, NULL) == 0;
}

/* The channel of a call, or NULL if it has closed. */
static struct channel *channel_of(struct channel_call call)
{
    if (!channels.next)
        return NULL;
    LIST_EACH(link, &channels)
    {
        struct channel *c = LIST_ENTRY(link, struct channel, link);
        if (c == call.channel && c->serial == call.serial)
            return usable(c) ? c : NULL;
    }
    return NULL;
}

void channel_reply(struct channel_call to, struct str payload)
{
    struct channel *c = channel_of(to);
    struct frame f = {.kind = FRAME_REPLY, .call = to.call, .payload = payload};
    struct err e;

    if (!c || !to.call) /* a notice: what it says wanted an answer, but its sender did not */
        return;
    ledger_answer(&c->ledger, to.call);
    /* Whoever asked would wait for ever. */
    if (channel_gather(c, &f, -1, &e) < 0)
        channel_cut(c, &e);
}

void channel_credit(struct channel_call from, size_t payload_octets)
{
    struct channel *c = channel_of(from);

    if (!c)
        return;
    ledger_done(&c->ledger, payload_octets);
    run_at_turn_end(&c->hook);
}

void channel_push(struct channel *c)
{
    channel_write(c);
}

static int take_reply(struct channel *c, const struct frame *f, struct err *e)
{
    void *waiter;
    struct waiter *w;

    if (ledger_replied(&c->ledger, f->call, &waiter, e) < 0)
        return -1;
    w = waiter;
    if (w) {
        buf_put(w->reply, f->payload);
        wake(w, WAIT_DONE);
    }
    share_credit(c);
    return 0;
}

static int take_grant(struct channel *c, const struct frame *f, struct err *e)
{
    struct dec d = dec_of(f->payload);
    uint32_t notices = dec_u32(&d), octets = dec_u32(&d);

    if (ledger_granted(&c->ledger, notices, octets, e) < 0)
        return -1;
    share_credit(c);
    return 0;
}

/* The first descriptor that came and belongs to no frame yet, or -1. */
static int take_fd(struct channel *c)
{
    int fd;

    if (c->fds_in_count == 0)
        return -1;
    fd = c->fds_in[0];
    c->fds_in_count--;
    memmove(c->fds_in, c->fds_in + 1, c->fds_in_count * sizeof c->fds_in[0]);
    return fd;
}

static int take_message(struct channel *c, const struct frame *f, struct err *e)
{
    struct channel_call from = {c, f->call, c->serial};
    int fd = -1;

    if (ledger_arrived(&c->ledger, f->call, f->payload.n, e) < 0)
        return -1;
    if (f->has_fd && (fd = take_fd(c)) < 0)
        return err_set(e, ERR_BUG, "channel", "a frame without its descriptor");
    if (!c->handler->on_frame(c->arg, from, f->type, f->payload, fd) && f->call == 0)
        channel_credit(from, f->payload.n);
    return 0;
}

int channel_take(struct channel *c, const struct frame *f, struct err *e)
{
    switch (f->kind) {
    case FRAME_REPLY:
        return take_reply(c, f, e);
    case FRAME_CREDIT:
        return take_grant(c, f, e);
    case FRAME_REQUEST:
    case FRAME_NOTICE:
        return take_message(c, f, e);
    }
    UNREACHABLE();
}
