#include <sys/socket.h>

#include "io/stream_int.h"

enum {
    DRAIN_READS_MAX = 16, /* in a turn */
};

static void linger_main(void *arg);

/* Drops what has come; true while it is worth to wait for more. */
static bool drain(struct stream *s)
{
    for (int i = 0; i < DRAIN_READS_MAX; i++) {
        ssize_t got;
        if (chunk_reserve(&s->in, CHUNK_SMALL) < 0)
            return false;
        got = transport_read(s, s->in.p, chunk_room(&s->in), NULL);
        if (got < 0)
            return false;
        s->linger.octets += (uint64_t)got;
        if (s->linger.octets > STREAM_LINGER_MAX)
            return false;
        if (s->drained)
            break;
    }
    return !s->linger.scope->cancelled && run_now() < s->linger.until;
}

static void linger(struct stream *s)
{
    bool more = drain(s);

    chunk_release(&s->in);
    if (!more ||
        watch_park(s->watch, s->linger.scope, s->linger.until, "linger", linger_main, s, NULL) < 0)
        stream_close(&s);
}

static void linger_main(void *arg)
{
    linger(arg);
}

static void end_output(struct stream *s)
{
    if (s->ended || shutdown(stream_fd(s), SHUT_WR) < 0)
        stream_close(&s);
    else
        linger(s);
}

/* The peer does not take what is left at once. */
static void flush_main(void *arg)
{
    struct stream *s = arg;

    fiber_deadline_shorten(s->linger.until);
    if (stream_flush(s, NULL) < 0)
        stream_close(&s);
    else
        end_output(s);
}

/* 1 if all output is written, 0 if the peer has to take some first, or -1. */
static int write_at_once(struct stream *s)
{
    while (chunk_len(&s->out)) {
        struct str held = chunk_str(&s->out);
        struct iovec v = {.iov_base = (void *)(uintptr_t)held.p, .iov_len = held.n};
        ssize_t sent = transport_write(s, &v, 1, NULL);
        if (sent <= 0)
            return (int)sent;
        chunk_consume(&s->out, (size_t)sent);
    }
    return 1;
}

void stream_finish(struct stream **sp, struct scope *scope, uint64_t linger_ms)
{
    struct stream *s = *sp;
    uint64_t now = run_now();
    int rc;

    if (!s)
        return;
    *sp = NULL;
    stream_drop_input(s);
    s->linger.scope = scope;
    s->linger.until = linger_ms < DEADLINE_NONE - now ? now + linger_ms : DEADLINE_NONE;
    rc = write_at_once(s);
    if (rc > 0)
        end_output(s);
    else if (rc < 0 || fiber_start(scope, "linger", flush_main, s, NULL) < 0)
        stream_close(&s);
}
