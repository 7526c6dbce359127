#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"

enum {
    IN_MAX = 64 << 10,
    OUT_MAX = 1 << 20,
    RECONNECT_US = 10000,
};

enum reply_kind {
    REPLY_BANNER,
    REPLY_EHLO,
    REPLY_MAIL,
    REPLY_RCPT,
    REPLY_DATA,
    REPLY_FINAL,
    REPLY_RSET,
    REPLY_QUIT,
};

static void await(struct client *c, enum reply_kind kind)
{
    struct reply_queue *due = &c->due;

    CHECK(due->count < sizeof due->kinds);
    due->kinds[(due->first + due->count++) % sizeof due->kinds] = (unsigned char)kind;
}

static enum reply_kind next_due(struct client *c)
{
    struct reply_queue *due = &c->due;
    enum reply_kind kind = due->kinds[due->first];

    due->first = (due->first + 1) % sizeof due->kinds;
    due->count--;
    return kind;
}

static void put_mail(struct client *c, struct buf *b)
{
    buf_printf(b, "MAIL FROM:<%s>\r\n", c->load->sender);
    await(c, REPLY_MAIL);
}

static void put_rcpt(struct client *c, struct buf *b)
{
    struct load *load = c->load;
    size_t which = (c->messages_out + c->number + c->rcpts_out++) % load->recipient_count;

    buf_printf(b, "RCPT TO:<%.*s>\r\n", STR_ARG(load->recipients[which]));
    await(c, REPLY_RCPT);
}

static void put_data(struct client *c, struct buf *b)
{
    buf_put(b, STR("DATA\r\n"));
    await(c, REPLY_DATA);
}

/* True if this connection may begin another message; it is then the run's next. */
static bool claim(struct client *c, size_t *id)
{
    struct load *load = c->load;

    if (load->claimed >= load->messages ||
        (load->per_connection && c->sent_here >= load->per_connection))
        return false;
    load->claimed++;
    c->sent_here++;
    *id = ++load->last_id;
    return true;
}

static void put_envelope(struct client *c, struct buf *b)
{
    c->messages_out++;
    c->rcpts_out = 0;
    put_mail(c, b);
    if (c->load->pipelining == PIPELINE_NONE)
        return;
    for (size_t i = 0; i < c->load->recipients_each; i++)
        put_rcpt(c, b);
    put_data(c, b);
}

static void begin_message(struct client *c)
{
    c->rcpts_accepted = 0;
    c->bad_code = 0;
    if (claim(c, &c->id)) {
        put_envelope(c, &c->out);
        return;
    }
    c->id = 0;
    buf_put(&c->out, STR("QUIT\r\n"));
    await(c, REPLY_QUIT);
}

static void put_head(const struct load *load, struct buf *b, size_t id)
{
    buf_printf(b,
        "From: <load@load.test>\r\nTo: <load@example.test>\r\n"
        "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nSubject: load %s-%010zu\r\n"
        "Message-ID: <%s-%010zu@load.test>\r\n\r\n%s-%010zu\r\n",
        load->prefix, id, load->prefix, id, load->prefix, id);
}

size_t client_head_size(const struct load *load)
{
    struct buf b;
    size_t n;

    buf_init(&b, OUT_MAX);
    put_head(load, &b, 0);
    n = buf_len(&b);
    buf_done(&b);
    return n;
}

static void put_dot(struct client *c)
{
    buf_put(&c->tail, STR(".\r\n"));
    if (c->load->pipelining == PIPELINE_FULL && claim(c, &c->next_id)) {
        put_envelope(c, &c->tail);
        c->next_is_out = true;
    }
}

static void put_content(struct client *c)
{
    struct load *load = c->load;

    put_head(load, &c->out, c->id);
    c->body_left = load->body;
    await(c, REPLY_FINAL);
    if (!load->ledger) {
        put_dot(c);
        return;
    }
    ledger_add(load->ledger, "SENT %s-%010zu\n", load->prefix, c->id);
    c->in_ledger = true;
    c->content_waits = true;
    if (!c->listed) {
        c->listed = true;
        c->next_to_release = load->to_release;
        load->to_release = c;
    }
}

static void message_ended(struct client *c, unsigned code)
{
    struct load *load = c->load;

    if (c->in_ledger && code)
        ledger_add(load->ledger, "ACK %s-%010zu %u\n", load->prefix, c->id, code);
    if (code / 100 == 2) {
        load->latency_us[load->accepted++] = (uint32_t)(clock_us() - c->dot_at);
    } else {
        if (code) {
            load->refused++;
            load->last_refusal = code;
        } else {
            load->lost++;
        }
        if (load->retry)
            load->claimed--;
    }
    c->id = 0;
    c->in_ledger = false;
}

static void disconnect(struct client *c, uint64_t connect_at)
{
    if (c->fd < 0)
        return;
    if (c->id)
        message_ended(c, 0);
    if (c->next_is_out) {
        c->id = c->next_id;
        c->next_is_out = false;
        message_ended(c, 0);
    }
    close(c->fd);
    c->fd = -1;
    c->connect_at = connect_at;
    c->content_waits = false;
    c->body_left = STR_NONE;
    buf_clear(&c->in);
    buf_clear(&c->out);
    buf_clear(&c->tail);
}

static void after_final(struct client *c, unsigned code)
{
    if (code / 100 == 2 && c->bad_code)
        code = c->bad_code;
    message_ended(c, code);
    if (c->content_waits || buf_len(&c->out) || c->body_left.n || buf_len(&c->tail)) {
        disconnect(c, clock_us()); /* answered before its end: nothing more is in step */
        return;
    }
    if (!c->next_is_out) {
        begin_message(c);
        return;
    }
    c->next_is_out = false;
    c->id = c->next_id;
    c->rcpts_accepted = 0;
    c->bad_code = 0;
}

static void transaction_failed(struct client *c, unsigned code)
{
    message_ended(c, code);
    buf_put(&c->out, STR("RSET\r\n"));
    await(c, REPLY_RSET);
}

static void after_data(struct client *c, unsigned code)
{
    if (code != 354) {
        transaction_failed(c, c->bad_code ? c->bad_code : code);
    } else if (c->rcpts_accepted == 0) {
        buf_put(
            &c->tail, STR(".\r\n")); /* RFC 2920 3.1: the server may have said 354 nevertheless */
        await(c, REPLY_FINAL);
    } else {
        put_content(c);
    }
}

/* With a command at a time: what follows the reply to MAIL or RCPT. */
static void next_single(struct client *c)
{
    if (c->load->pipelining != PIPELINE_NONE)
        return;
    if (c->bad_code && c->rcpts_accepted == 0)
        transaction_failed(c, c->bad_code);
    else if (c->rcpts_out < c->load->recipients_each)
        put_rcpt(c, &c->out);
    else
        put_data(c, &c->out);
}

static void after_envelope(struct client *c, enum reply_kind kind, unsigned code)
{
    if (code / 100 != 2)
        c->bad_code = c->bad_code ? c->bad_code : code;
    else if (kind == REPLY_RCPT)
        c->rcpts_accepted++;
    next_single(c);
}

static void reply(struct client *c, unsigned code)
{
    enum reply_kind kind;

    if (c->due.count == 0) { /* such as a 421 at shutdown */
        disconnect(c, clock_us() + RECONNECT_US);
        return;
    }
    kind = next_due(c);
    switch (kind) {
    case REPLY_BANNER:
        if (code == 220) {
            buf_put(&c->out, STR("EHLO load.test\r\n"));
            await(c, REPLY_EHLO);
        } else {
            disconnect(c, clock_us() + RECONNECT_US);
        }
        break;
    case REPLY_EHLO:
    case REPLY_RSET:
        if (code == 250)
            begin_message(c);
        else
            disconnect(c, clock_us() + RECONNECT_US);
        break;
    case REPLY_MAIL:
    case REPLY_RCPT:
        after_envelope(c, kind, code);
        break;
    case REPLY_DATA:
        after_data(c, code);
        break;
    case REPLY_FINAL:
        after_final(c, code);
        break;
    case REPLY_QUIT:
        disconnect(c, clock_us());
        break;
    }
}

static void read_replies(struct client *c)
{
    struct str rest, line;
    uint64_t code;

    rest = buf_str(&c->in);
    while (c->fd >= 0 && str_cut(&rest, '\n', &line)) {
        if (line.n > 3 && line.p[3] == '-') {
            buf_consume(&c->in, line.n + 1);
            continue;
        }
        if (!str_to_u64(str_head(line, 3), 999, &code))
            die("not a reply: %.*s", STR_ARG(line));
        buf_consume(&c->in, line.n + 1);
        reply(c, (unsigned)code);
        rest = buf_str(&c->in);
    }
}

static void flush(struct client *c)
{
    while (c->fd >= 0) {
        struct str parts[3] = {buf_str(&c->out), c->body_left, buf_str(&c->tail)};
        struct iovec pieces[3];
        ssize_t n;
        size_t out, body;

        if (parts[0].n + parts[1].n + parts[2].n == 0)
            return;
        for (int i = 0; i < 3; i++)
            pieces[i] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
        n = writev(c->fd, pieces, 3);
        if (n < 0) {
            if (errno != EAGAIN)
                disconnect(c, clock_us() + RECONNECT_US);
            return;
        }
        out = (size_t)n < parts[0].n ? (size_t)n : parts[0].n;
        body = (size_t)n - out < parts[1].n ? (size_t)n - out : parts[1].n;
        buf_consume(&c->out, out);
        c->body_left = str_from(c->body_left, body);
        buf_consume(&c->tail, (size_t)n - out - body);
        if (parts[2].n && buf_len(&c->tail) == 0)
            c->dot_at = clock_us();
    }
}

void client_init(struct client *c, struct load *load, size_t number)
{
    *c = (struct client){.load = load, .number = number, .fd = -1};
    buf_init(&c->in, IN_MAX);
    buf_init(&c->out, OUT_MAX);
    buf_init(&c->tail, OUT_MAX);
}

void client_done(struct client *c)
{
    disconnect(c, 0);
    buf_done(&c->in);
    buf_done(&c->out);
    buf_done(&c->tail);
}

void client_start(struct client *c, uint64_t now)
{
    struct load *load = c->load;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    struct sockaddr_in from = {.sin_family = AF_INET};

    if (c->fd >= 0 || now < c->connect_at || load->claimed >= load->messages)
        return;
    if (load->sources)
        from.sin_addr.s_addr =
            htonl((127U << 24) + (77U << 16) + 1 + (uint32_t)(c->number % load->sources));
    c->fd = tcp_connect(&load->to, load->sources ? &from : NULL);
    c->connect_at = now + RECONNECT_US;
    if (c->fd < 0)
        return;
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl: %m");
    load->connects++;
    c->sent_here = 0;
    c->due = (struct reply_queue){0};
    await(c, REPLY_BANNER);
}

void client_serve(struct client *c, uint32_t events)
{
    /* An end that came with the last octets makes no edge of its own: read up to it. */
    bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    bool readable = ended || (events & EPOLLIN);

    while (c->fd >= 0 && readable) {
        char *room = buf_reserve(&c->in, IN_MAX / 2);
        ssize_t n = room ? read(c->fd, room, IN_MAX / 2) : 0;

        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            disconnect(c, clock_us() + RECONNECT_US);
            return;
        }
        buf_advance(&c->in, (size_t)n);
        readable = ended || n == IN_MAX / 2;
        read_replies(c);
    }
    flush(c);
}

void client_release_all(struct load *load)
{
    while (load->to_release) {
        struct client *c = load->to_release;

        load->to_release = c->next_to_release;
        c->listed = false;
        if (!c->content_waits)
            continue;
        c->content_waits = false;
        put_dot(c);
        flush(c);
    }
}
