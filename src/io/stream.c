#include "io/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "io/stream_int.h"

enum {
    UNPAUSED_MAX = 16, /* calls of the system, up to 1 MiB, before others get their turn */
};

int stream_open(struct stream **out, int fd, struct err *e)
{
    struct stream *s = MEM_NEW(struct stream);
    int one = 1;

    if (!s) {
        close(fd);
        return err_memory(e, "stream");
    }
    if (watch_open(&s->watch, fd, e) < 0) {
        mem_free(s);
        close(fd);
        return -1;
    }
    s->drained = true; /* whether anything has come yet, the watch will tell */
    /* Replies leave when they are flushed. Fails on what is not TCP. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *out = s;
    return 0;
}

void stream_close(struct stream **sp)
{
    struct stream *s = *sp;

    if (!s)
        return;
    *sp = NULL;
    chunk_release(&s->in);
    chunk_release(&s->out);
    watch_close(&s->watch);
    mem_free(s);
}

struct str stream_input(const struct stream *s)
{
    return chunk_str(&s->in);
}

void stream_consume(struct stream *s, size_t n)
{
    chunk_consume(&s->in, n);
    s->scanned = s->scanned > n ? s->scanned - n : 0;
}

size_t stream_drop_input(struct stream *s)
{
    size_t n = chunk_len(&s->in);

    chunk_release(&s->in);
    s->scanned = 0;
    return n;
}

/* A peer that is always ready must not keep the fiber, and with it the loop, for itself. */
static int take_turns(struct stream *s, struct err *e)
{
    if (++s->unpaused < UNPAUSED_MAX)
        return 0;
    s->unpaused = 0;
    return fiber_yield(e);
}

static int wait_for(struct stream *s, enum watch_for what, struct err *e)
{
    s->unpaused = 0;
    return watch_wait(s->watch, what, e);
}

/* Room to read to: a small chunk; a large one for what is half full, or for who filled the last. */
static int reserve_input(struct stream *s, struct err *e)
{
    size_t used = chunk_len(&s->in), size = CHUNK_SMALL;

    if (used == STREAM_IN_MAX)
        return err_set(e, ERR_PERMANENT, "stream", "more than %d octets of input", STREAM_IN_MAX);
    if (used > CHUNK_SMALL / 2 || (s->in.p && !s->drained))
        size = CHUNK_LARGE;
    if (chunk_reserve(&s->in, size - used) == 0)
        return 0;
    return s->in.cap > used && chunk_reserve(&s->in, 1) == 0 ? 0 : err_memory(e, "stream");
}

int stream_fill(struct stream *s, struct err *e)
{
    if (fiber_check(e) < 0 || stream_flush(s, e) < 0)
        return -1;
    for (;;) {
        ssize_t got;
        if (s->ended)
            return err_set(e, ERR_CLOSED, "stream", "end of file");
        if (s->drained) {
            if (!chunk_len(&s->in))
                chunk_release(&s->in);
            if (wait_for(s, WATCH_READ, e) < 0)
                return -1;
        } else if (take_turns(s, e) < 0) {
            return -1;
        }
        if (reserve_input(s, e) < 0)
            return -1;
        got = transport_read(s, s->in.p + s->in.end, chunk_room(&s->in), e);
        if (got < 0)
            return -1;
        s->in.end += (size_t)got;
        if (got > 0)
            return 0;
    }
}

/* Position of the first CRLF in the first `max` octets of input; -1 if there is none. Octets before
 * `from` begin none. */
static ptrdiff_t find_crlf(struct str in, size_t from, size_t max)
{
    struct str part = str_head(in, max);
    ptrdiff_t at = str_find_str(str_from(part, from), STR("\r\n"));

    return at < 0 ? -1 : at + (ptrdiff_t)(from < part.n ? from : part.n);
}

static void note_scanned(struct stream *s, size_t max)
{
    size_t n = chunk_len(&s->in);

    n = n < max ? n : max;
    if (n > s->scanned + 1)
        s->scanned = n - 1; /* the last octet may be the CR */
}

int stream_read_line(struct stream *s, size_t max, struct str *line, struct err *e)
{
    CHECK(max >= 2 && max <= STREAM_IN_MAX);
    if (fiber_check(e) < 0)
        return -1;
    for (;;) {
        struct str in = stream_input(s);
        ptrdiff_t at = find_crlf(in, s->scanned, max);
        if (at >= 0) {
            *line = str_head(in, (size_t)at);
            stream_consume(s, (size_t)at + 2);
            return 0;
        }
        note_scanned(s, max);
        if (in.n >= max)
            return 1;
        if (stream_fill(s, e) < 0)
            return -1;
    }
}

int stream_skip_line(struct stream *s, size_t max, struct err *e)
{
    if (fiber_check(e) < 0)
        return -1;
    for (;;) {
        struct str in = str_head(stream_input(s), max);
        ptrdiff_t at = find_crlf(in, s->scanned, max);
        bool half;
        if (at >= 0) {
            stream_consume(s, (size_t)at + 2);
            return 0;
        }
        half = in.n && in.p[in.n - 1] == '\r';
        stream_consume(s, in.n - half);
        max -= in.n - half;
        if (max <= half)
            return 1;
        if (stream_fill(s, e) < 0)
            return -1;
    }
}

bool stream_has_line(const struct stream *s, size_t max)
{
    struct str in = stream_input(s);

    return in.n >= max || find_crlf(in, s->scanned, max) >= 0;
}

/* Writes what is buffered and then data. */
static int write_through(struct stream *s, struct str data, struct err *e)
{
    while (chunk_len(&s->out) || data.n) {
        struct str held = chunk_str(&s->out);
        struct iovec v[2] = {
            {.iov_base = (void *)(uintptr_t)held.p, .iov_len = held.n},
            {.iov_base = (void *)(uintptr_t)data.p, .iov_len = data.n},
        };
        ssize_t sent = transport_write(s, held.n ? v : v + 1, held.n && data.n ? 2 : 1, e);
        size_t from_held;
        if (sent < 0)
            return -1;
        if (sent == 0) {
            if (wait_for(s, WATCH_WRITE, e) < 0)
                return -1;
            continue;
        }
        from_held = (size_t)sent < held.n ? (size_t)sent : held.n;
        chunk_consume(&s->out, from_held);
        data = str_from(data, (size_t)sent - from_held);
        if (data.n && take_turns(s, e) < 0)
            return -1;
    }
    chunk_release(&s->out);
    return 0;
}

int stream_write(struct stream *s, struct str data, struct err *e)
{
    if (!data.n)
        return 0;
    if (chunk_len(&s->out) + data.n > STREAM_OUT_MAX || data.n >= CHUNK_SMALL)
        return write_through(s, data, e);
    if (chunk_reserve(&s->out, data.n) < 0)
        return err_memory(e, "stream");
    memcpy(s->out.p + s->out.end, data.p, data.n);
    s->out.end += data.n;
    return 0;
}

int stream_printf(struct stream *s, struct err *e, const char *format, ...)
{
    char text[1024], *longer;
    va_list args;
    int n, rc;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CHECK(n >= 0);
    if ((size_t)n < sizeof text)
        return stream_write(s, str_of(text, (size_t)n), e);
    if (n >= STREAM_OUT_MAX)
        return err_set(e, ERR_PERMANENT, "stream", "%d octets in one reply", n);
    longer = mem_alloc((size_t)n + 1);
    if (!longer)
        return err_memory(e, "stream");
    va_start(args, format);
    vsnprintf(longer, (size_t)n + 1, format, args);
    va_end(args);
    rc = stream_write(s, str_of(longer, (size_t)n), e);
    mem_free(longer);
    return rc;
}

int stream_flush(struct stream *s, struct err *e)
{
    return write_through(s, STR_NONE, e);
}

int stream_shutdown_write(struct stream *s, struct err *e)
{
    if (stream_flush(s, e) < 0)
        return -1;
    if (shutdown(stream_fd(s), SHUT_WR) < 0)
        return err_set(e, ERR_CLOSED, "stream", "the connection is closed");
    return 0;
}

bool stream_idle(const struct stream *s)
{
    return !chunk_len(&s->in) && !chunk_len(&s->out);
}

int stream_park(struct stream *s, struct scope *scope, uint64_t at, const char *name, fiber_fn *fn,
    void *arg, struct err *e)
{
    CHECK(stream_idle(s));
    chunk_release(&s->in);
    chunk_release(&s->out);
    s->drained = false;
    return watch_park(s->watch, scope, at, name, fn, arg, e);
}

uint64_t stream_octets_in(const struct stream *s)
{
    return s->octets_in;
}

uint64_t stream_octets_out(const struct stream *s)
{
    return s->octets_out;
}

int stream_fd(const struct stream *s)
{
    return watch_fd(s->watch);
}
