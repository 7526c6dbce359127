#include "acceptor.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#include "common.h"

enum {
    OUT_MAX = 1 << 20,
    READ_SIZE = 16 << 10,
    RECIPIENTS_MAX = 1000,
    EVENTS = 256,
};

static void forget_recipients(struct session *s)
{
    for (size_t i = 0; i < s->recipient_count; i++)
        mem_free((char *)(uintptr_t)s->recipients[i].p);
    s->recipient_count = 0;
}

static void session_free(struct session *s)
{
    close(s->fd);
    forget_recipients(s);
    mem_free(s->recipients);
    buf_done(&s->in);
    buf_done(&s->out);
    buf_done(&s->chunks);
    mem_free(s);
}

static void keep_recipient(struct session *s, struct str line)
{
    ptrdiff_t start = str_find(line, '<'), end = str_find_last(line, '>');
    struct str path;
    char *copy;

    if (!s->acceptor->keep_recipients || start < 0 || end < start ||
        s->recipient_count == RECIPIENTS_MAX)
        return;
    path = str_sub(line, (size_t)start + 1, (size_t)(end - start) - 1);
    if (!s->recipients)
        s->recipients = mem_array(RECIPIENTS_MAX, sizeof *s->recipients);
    copy = mem_alloc(path.n + 1);
    if (!s->recipients || !copy)
        die("no memory");
    memcpy(copy, path.p, path.n);
    s->recipients[s->recipient_count++] = str_of(copy, path.n);
}

static void say(struct session *s, struct str line)
{
    if (buf_put(&s->out, line) < 0)
        s->closing = true;
}

/* BDAT size [LAST] */
static void begin_chunk(struct session *s, struct str line)
{
    size_t size = 0;

    for (size_t i = 5; i < line.n && line.p[i] >= '0' && line.p[i] <= '9'; i++)
        size = size * 10 + (size_t)(line.p[i] - '0');
    s->chunk = size;
    s->last_chunk = str_find_str(line, STR("LAST")) >= 0;
    s->in_chunk = size <= s->acceptor->content_max;
    s->closing = !s->in_chunk;
}

static void count_command(struct acceptor_counts *counts, char first)
{
    if (!counts)
        return;
    if (first == 'M')
        counts->transactions++;
    else if (first == 'R')
        counts->recipients++;
}

static void command(struct session *s, struct str line)
{
    char first = ascii_upper(line.n ? line.p[0] : 0);

    /* RSET and RCPT begin alike. */
    if (first != 'R' || ascii_upper(line.n > 1 ? line.p[1] : 0) == 'C')
        count_command(s->acceptor->counts, first);
    switch (first) {
    case 'E':
    case 'L':
        say(s, STR("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n"));
        if (s->acceptor->chunking)
            say(s, STR("250-CHUNKING\r\n"));
        say(s, STR("250 SMTPUTF8\r\n"));
        return;
    case 'B':
        begin_chunk(s, line);
        return;
    case 'D':
        s->in_content = true;
        s->scanned = 0;
        say(s, STR("354 go on\r\n"));
        return;
    case 'Q':
        s->closing = true;
        say(s, STR("221 bye\r\n"));
        return;
    case 'M':
        forget_recipients(s);
        break;
    case 'R':
        keep_recipient(s, line);
        break;
    default:
        break;
    }
    say(s, STR("250 ok\r\n"));
}

static void complete(struct session *s)
{
    s->waiting = true;
    if (s->acceptor->counts) {
        s->acceptor->counts->messages++;
        s->acceptor->counts->octets += s->content.n;
        s->acceptor->counts->last_us = clock_us();
    }
    s->acceptor->message(s);
}

/* True if the content in the buffer is complete; it is then handed over and the session waits. */
static bool take_content(struct session *s)
{
    struct str all = buf_str(&s->in);
    size_t from = s->scanned > 4 ? s->scanned - 4 : 0;
    const char *end;

    if (all.n >= 3 && memcmp(all.p, ".\r\n", 3) == 0) {
        s->content = str_head(all, 0);
        s->scanned = 3;
    } else {
        end = memmem(all.p + from, all.n - from, "\r\n.\r\n", 5);
        if (!end) {
            s->scanned = all.n;
            return false;
        }
        s->content = str_head(all, (size_t)(end - all.p) + 2);
        s->scanned = s->content.n + 3;
    }
    s->in_content = false;
    complete(s);
    return true;
}

/* As take_content(), for BDAT: the chunk is complete or it is not. */
static bool take_chunk(struct session *s)
{
    struct str all = buf_str(&s->in);
    struct str piece = str_head(all, s->chunk);

    if (all.n < s->chunk)
        return false;
    s->in_chunk = false;
    if (s->last_chunk && buf_len(&s->chunks) == 0) {
        s->content = piece;
        s->scanned = s->chunk;
    } else {
        s->closing = buf_put(&s->chunks, piece) < 0;
        buf_consume(&s->in, s->chunk);
        s->content = buf_str(&s->chunks);
    }
    if (s->last_chunk)
        complete(s);
    else
        say(s, STR("250 ok\r\n"));
    return true;
}

static void work_off(struct session *s)
{
    while (!s->waiting && !s->closing) {
        struct str rest = buf_str(&s->in), line;

        if (s->in_chunk) {
            if (!take_chunk(s))
                return;
            continue;
        }
        if (s->in_content) {
            if (!take_content(s))
                return;
            continue;
        }
        if (!str_cut(&rest, '\n', &line))
            return;
        command(s, line);
        buf_consume(&s->in, line.n + 1);
    }
}

static void flush(struct session *s)
{
    while (buf_len(&s->out)) {
        struct str rest = buf_str(&s->out);
        ssize_t n = send(s->fd, rest.p, rest.n, MSG_NOSIGNAL);

        if (n < 0) {
            s->dead = s->dead || errno != EAGAIN;
            return;
        }
        buf_consume(&s->out, (size_t)n);
    }
    s->dead = s->dead || s->closing;
}

static void read_more(struct session *s)
{
    while (s->readable && !s->waiting && !s->closing) {
        char *room = buf_reserve(&s->in, READ_SIZE);
        ssize_t n = room ? read(s->fd, room, READ_SIZE) : 0;

        if (n <= 0) {
            s->readable = false;
            s->dead = n == 0 || errno != EAGAIN;
            return;
        }
        /* Edge-triggered: more makes a new edge, but not an end that has come already. */
        s->readable = s->ended || n == READ_SIZE;
        buf_advance(&s->in, (size_t)n);
        work_off(s);
    }
}

/* All that can be done now. A dead session that waits is buried when its reply comes. */
static void go_on(struct session *s)
{
    if (!s->waiting) {
        work_off(s);
        read_more(s);
        flush(s);
    }
    if (s->dead && !s->waiting) {
        s->next_dead = s->acceptor->dead;
        s->acceptor->dead = s;
    }
}

static void serve(struct session *s, uint32_t events)
{
    if (events & EPOLLRDHUP)
        s->ended = true;
    if (events & (EPOLLIN | EPOLLRDHUP))
        s->readable = true;
    if (events & (EPOLLHUP | EPOLLERR)) {
        s->dead = true;
        epoll_ctl(s->acceptor->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    }
    go_on(s);
}

void acceptor_reply(struct session *s, struct str line)
{
    s->waiting = false;
    buf_consume(&s->in, s->scanned);
    buf_consume(&s->chunks, buf_len(&s->chunks));
    s->scanned = 0;
    s->content = STR_NONE;
    say(s, line);
    go_on(s);
}

static void bury(struct acceptor *a)
{
    while (a->dead) {
        struct session *s = a->dead;

        a->dead = s->next_dead;
        session_free(s);
    }
}

static void accept_all(struct acceptor *a, int listener)
{
    for (;;) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct session *s;

        if (fd < 0)
            return;
        s = MEM_NEW(struct session);
        if (!s)
            die("no memory");
        s->acceptor = a;
        s->fd = fd;
        buf_init(&s->in, a->content_max + READ_SIZE);
        buf_init(&s->out, OUT_MAX);
        buf_init(&s->chunks, a->content_max);
        if (a->counts)
            a->counts->connections++;
        event.data.ptr = s;
        if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            die("epoll_ctl: %m");
        say(s, STR("220 sink ESMTP\r\n"));
        flush(s);
    }
}

static int add_fd(int epoll_fd, int fd, int *key)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = key};

    *key = fd;
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void acceptor_run(struct acceptor *a, const char *address)
{
    struct sockaddr_in where = address_parse(address);
    int listener_key, signal_key, wake_key, listener = tcp_listen(&where);
    struct epoll_event events[EVENTS];
    sigset_t ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (a->epoll_fd < 0 || add_fd(a->epoll_fd, listener, &listener_key) < 0 ||
        add_fd(a->epoll_fd, signalfd(-1, &ending, SFD_CLOEXEC), &signal_key) < 0 ||
        (a->wake_fd >= 0 && add_fd(a->epoll_fd, a->wake_fd, &wake_key) < 0))
        die("epoll: %m");
    for (;;) {
        int n = epoll_wait(a->epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            void *key = events[i].data.ptr;

            if (key == &signal_key)
                return;
            if (key == &listener_key)
                accept_all(a, listener);
            else if (key == &wake_key)
                a->woken(a);
            else
                serve(key, events[i].events);
        }
        if (a->turn)
            a->turn(a);
        bury(a);
    }
}
