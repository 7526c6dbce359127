#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "ipc/channel_int.h"
#include "ipc/codec.h"

enum {
    READS_A_TURN = 4, /* so that one peer cannot keep the loop to itself */
};

static void watch_for_events(struct channel *c);

static struct channel *of_hook(struct turn_hook *hook)
{
    return (struct channel *)(void *)((char *)hook - offsetof(struct channel, hook));
}

static void free_channel(struct channel *c)
{
    frame_reader_close(&c->in);
    buf_done(&c->out);
    buf_done(&c->out_fds);
    mem_free(c);
}

static void on_turn_end(struct turn_hook *hook)
{
    struct channel *c = of_hook(hook);

    if (c->released)
        free_channel(c);
    else
        channel_write(c);
}

static void on_released(uv_handle_t *handle)
{
    struct channel *c = handle->data;

    close(c->fd);
    c->released = true;
    if (!c->hook.queued)
        free_channel(c);
}

/* ---- writing */

static struct channel_out_fd out_fd(const struct channel *c, size_t i)
{
    struct channel_out_fd v = {.at = UINT64_MAX, .fd = -1};
    struct str all = buf_str(&c->out_fds);

    if (all.p && (i + 1) * sizeof v <= all.n)
        memcpy(&v, all.p + i * sizeof v, sizeof v);
    return v;
}

static void drop_gathered(struct channel *c)
{
    for (size_t i = 0; out_fd(c, i).fd >= 0; i++)
        close(out_fd(c, i).fd);
    buf_release(&c->out_fds);
    buf_release(&c->out);
}

int channel_gather(struct channel *c, const struct frame *f, int fd, struct err *e)
{
    struct channel_out_fd v = {c->out_at + buf_len(&c->out), fd};

    if (c->mute) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    if (fd >= 0 && buf_put(&c->out_fds, str_of((const char *)&v, sizeof v)) < 0) {
        c->out_fds.bad = false;
        close(fd);
        return err_memory(e, "channel");
    }
    if (frame_put(&c->out, f) < 0) {
        if (fd >= 0) {
            buf_truncate(&c->out_fds, buf_len(&c->out_fds) - sizeof v);
            close(fd);
        }
        return err_memory(e, "channel");
    }
    run_at_turn_end(&c->hook);
    return 0;
}

/* One sendmsg() of n octets with at most one descriptor. */
static ssize_t send_some(struct channel *c, size_t n, int fd)
{
    struct str all = buf_str(&c->out);
    struct iovec v = {.iov_len = n};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    ssize_t done;

    memcpy(&v.iov_base, &all.p, sizeof v.iov_base);
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control.room;
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    do {
        done = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (done < 0 && errno == EINTR);
    return done;
}

static void on_send_error(struct channel *c, int error)
{
    struct err e;

    if (error == EAGAIN) {
        c->blocked = true;
        watch_for_events(c);
        return;
    }
    c->mute = true;
    drop_gathered(c);
    /* What the peer wrote before it went is still read; then its end of file is seen. */
    if (error == EPIPE || error == ECONNRESET)
        return;
    err_os(&e, error, "channel", "write");
    channel_cut(c, &e);
}

static void add_grant(struct channel *c)
{
    uint32_t notices, octets;
    struct buf payload;
    struct frame f = {.kind = FRAME_CREDIT};
    struct err e;
    int result = -1;

    if (!ledger_grant(&c->ledger, buf_len(&c->out) > 0, &notices, &octets))
        return;
    buf_init(&payload, 8);
    enc_u32(&payload, notices);
    enc_u32(&payload, octets);
    f.payload = buf_str(&payload);
    if (buf_ok(&payload))
        result = frame_put(&c->out, &f);
    buf_done(&payload);
    if (result < 0) {
        err_memory(&e, "channel");
        channel_cut(c, &e);
    }
}

void channel_write(struct channel *c)
{
    if (c->blocked || c->mute || c->cut || c->dead || c->closed)
        return;
    add_grant(c);
    while (buf_len(&c->out)) {
        struct channel_out_fd first = out_fd(c, 0), next = first;
        size_t n = buf_len(&c->out);
        ssize_t done;
        bool with_fd = first.at == c->out_at;

        /* A descriptor goes with the first octet of its frame, so it begins a write. */
        if (with_fd)
            next = out_fd(c, 1);
        if (next.fd >= 0)
            n = (size_t)(next.at - c->out_at);
        done = send_some(c, n, with_fd ? first.fd : -1);
        if (done < 0) {
            on_send_error(c, errno);
            return;
        }
        if (with_fd) {
            close(first.fd);
            buf_consume(&c->out_fds, sizeof first);
        }
        buf_consume(&c->out, (size_t)done);
        c->out_at += (uint64_t)done;
    }
    if (c->out.cap > CHANNEL_OUT_KEEP)
        buf_release(&c->out);
}

/* ---- reading */

/* Keeps the descriptors of one read, as many as there is room for. -1 where there were more. */
static int keep_fds(struct channel *c, struct msghdr *m)
{
    int result = m->msg_flags & MSG_CTRUNC ? -1 : 0;

    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= h->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + at, sizeof fd);
            if (c->fds_in_count < CHANNEL_FDS_IN) {
                c->fds_in[c->fds_in_count++] = fd;
            } else {
                close(fd);
                result = -1;
            }
        }
    }
    return result;
}

/* Descriptors that no frame has claimed: one may belong to the frame that has begun to come. */
static void close_surplus_fds(struct channel *c)
{
    unsigned keep = frame_reader_empty(&c->in) ? 0 : 1;

    while (c->fds_in_count > keep)
        close(c->fds_in[--c->fds_in_count]);
}

/* One read: octets that came, 0 where there are none now, -1 where the channel is at its end. */
static ssize_t receive_some(struct channel *c, bool *all, struct err *e)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(CHANNEL_FDS_IN * sizeof(int))];
    } control;
    struct iovec v;
    struct msghdr m = {.msg_iov = &v,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.room};
    ssize_t n;

    v.iov_base = frame_reader_space(&c->in, &v.iov_len);
    do {
        n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0 && errno != ECONNRESET)
        return err_os(e, errno, "channel", "read");
    if (n <= 0)
        return err_set(e, ERR_CLOSED, "channel", "closed");
    frame_reader_filled(&c->in, (size_t)n);
    *all = (size_t)n < v.iov_len && m.msg_controllen == 0;
    if (keep_fds(c, &m) < 0)
        return err_set(e, ERR_BUG, "channel", "more descriptors than frames");
    return n;
}

static int dispatch(struct channel *c, struct err *e)
{
    struct frame f;
    int found;

    while ((found = frame_next(&c->in, &f, e)) > 0) {
        if (channel_take(c, &f, e) < 0)
            return -1;
        if (c->closed || c->cut)
            return 0;
    }
    if (found == 0)
        close_surplus_fds(c);
    return found;
}

/* Reads what has come. to_the_end: the socket failed, libuv watches it no more. */
static void receive(struct channel *c, bool to_the_end)
{
    struct err e;

    for (unsigned i = 0; to_the_end || i < READS_A_TURN; i++) {
        bool all = false;
        ssize_t n = receive_some(c, &all, &e);
        if (n == 0 && !to_the_end)
            return;
        if (n == 0)
            n = err_set(&e, ERR_CLOSED, "channel", "closed");
        if (n > 0 && dispatch(c, &e) < 0)
            n = -1;
        if (c->closed)
            return;
        if (c->cut)
            e = c->why;
        if (n < 0 || c->cut) {
            uv_poll_stop(&c->poll);
            channel_fail(c, &e);
            return;
        }
        if (all && !to_the_end)
            return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct channel *c = poll->data;

    if (c->cut) {
        struct err why = c->why;
        uv_poll_stop(&c->poll);
        channel_fail(c, &why);
        return;
    }
    if (status == 0 && (events & UV_WRITABLE)) {
        c->blocked = false;
        channel_write(c);
        if (!c->blocked)
            watch_for_events(c);
    }
    if (status < 0 || (events & UV_READABLE))
        receive(c, status < 0);
}

static void watch_for_events(struct channel *c)
{
    int events = UV_READABLE | (c->blocked ? UV_WRITABLE : 0);

    /* A start of what is active costs two calls of the system. */
    if (events == c->watched)
        return;
    c->watched = events;
    /* Fails only for masks and handles that are wrong. */
    CHECK(uv_poll_start(&c->poll, events, on_poll) == 0);
}

int channel_io_open(struct channel *c, struct err *e)
{
    int result = fcntl(c->fd, F_SETFL, O_NONBLOCK);

    buf_init(&c->out, CHANNEL_OUT_MAX);
    buf_init(&c->out_fds, CHANNEL_REQUESTS * sizeof(struct channel_out_fd));
    c->hook.fn = on_turn_end;
    if (result == 0)
        result = uv_poll_init(run_uv(), &c->poll, c->fd);
    if (result < 0) {
        err_set(e, ERR_TEMPORARY, "channel", "cannot watch descriptor %d", c->fd);
        close(c->fd);
        free_channel(c);
        return -1;
    }
    c->poll.data = c;
    watch_for_events(c);
    return 0;
}

void channel_io_close(struct channel *c)
{
    drop_gathered(c);
    while (c->fds_in_count)
        close(c->fds_in[--c->fds_in_count]);
    uv_close((uv_handle_t *)&c->poll, on_released);
}
