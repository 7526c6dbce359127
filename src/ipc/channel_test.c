#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/rng.h"

#include "run/run_test.h"

#include "ipc/codec.h"
#include "ipc/frame.h"

enum {
    ECHO = 1,  /* request: answered with its payload */
    LATER,     /* request: answered when the test says so, in any order */
    NEVER,     /* request: not answered */
    TELL,      /* notice: done at once */
    KEEP,      /* notice: kept */
    DESCRIPTOR /* notice with a descriptor */
};

struct kept {
    struct list link;
    struct channel_call from;
    uint16_t type;
    size_t octets;
    char *payload;
};

/* One end of a channel and what came to it. */
struct end {
    struct channel *channel;
    struct list kept;
    struct cond event;
    unsigned kept_count, told, closed;
    uint64_t told_octets;
    bool close_at_once; /* in on_frame */
    int fd;
    struct err why;
};

static bool keep(struct end *end, struct channel_call from, uint16_t type, struct str payload)
{
    struct kept *k = MEM_NEW(struct kept);

    assert_non_null(k);
    k->from = from;
    k->type = type;
    k->octets = payload.n;
    k->payload = mem_alloc(payload.n + 1);
    memcpy(k->payload, payload.n ? payload.p : "", payload.n);
    list_add(&end->kept, &k->link);
    end->kept_count++;
    return true;
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct end *end = arg;

    assert_false(fiber_running());
    cond_wake_all(&end->event);
    if (end->close_at_once) {
        channel_close(&end->channel);
        return false;
    }
    switch (type) {
    case ECHO:
        channel_reply(from, payload);
        return false;
    case LATER:
    case KEEP:
        return keep(end, from, type, payload);
    case DESCRIPTOR:
        assert_true(fd >= 0);
        if (end->fd >= 0)
            close(end->fd);
        end->fd = fd;
        return false;
    case TELL:
        end->told++;
        end->told_octets += payload.n;
        return false;
    default:
        assert_int_equal(fd, -1);
        return false;
    }
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    struct end *end = arg;

    assert_false(fiber_running());
    assert_ptr_equal(c, end->channel);
    end->closed++;
    end->why = *why;
    channel_close(&end->channel);
    cond_wake_all(&end->event);
}

static const struct channel_handler handler = {on_frame, on_closed};

static struct end a, b;
static int raw; /* the other side of a's socket, where there is no b */

static void init_end(struct end *end, int fd)
{
    *end = (struct end){.fd = -1};
    list_init(&end->kept);
    cond_init(&end->event);
    assert_int_equal(channel_open(&end->channel, fd, "peer", &handler, end, NULL), 0);
}

static void open_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    init_end(&a, fds[0]);
    init_end(&b, fds[1]);
}

static void open_raw(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    init_end(&a, fds[0]);
    raw = fds[1];
}

/* Gives back the credit of one kept frame, the i-th. */
static void finish_kept(struct end *end, unsigned i)
{
    struct list *link = end->kept.next;
    struct kept *k;

    while (i--)
        link = link->next;
    list_remove(link);
    k = LIST_ENTRY(link, struct kept, link);
    if (k->type == LATER)
        channel_reply(k->from, str_of(k->payload, k->octets));
    else
        channel_credit(k->from, k->octets);
    end->kept_count--;
    mem_free(k->payload);
    mem_free(k);
}

static void close_end(struct end *end)
{
    while (end->kept_count)
        finish_kept(end, 0);
    channel_close(&end->channel);
    if (end->fd >= 0)
        close(end->fd);
}

static void yield(unsigned turns)
{
    while (turns--)
        assert_int_equal(fiber_yield(NULL), 0);
}

static void wait_for_closed(struct end *end)
{
    while (!end->closed)
        assert_int_equal(cond_wait(&end->event, "close", NULL), 0);
}

/* ---- calls, notices, descriptors */

static void assert_echo(struct channel *c, struct str payload)
{
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    assert_int_equal(channel_ask(c, ECHO, payload, &reply, NULL), 0);
    assert_true(str_eq(buf_str(&reply), payload));
    buf_done(&reply);
}

FIBER_TEST(test_calls_both_ways)
{
    static char large[CHANNEL_FRAME_MAX];

    open_pair();
    assert_echo(a.channel, STR("hello"));
    assert_echo(b.channel, STR_NONE);
    assert_echo(a.channel, str_of(large, sizeof large));
    assert_int_equal(channel_notify(a.channel, TELL, STR("x"), NULL), 0);
    assert_true(channel_try_notify(a.channel, TELL, STR("yz")));
    while (b.told < 2)
        assert_int_equal(cond_wait(&b.event, "notices", NULL), 0);
    assert_int_equal(b.told_octets, 3);
    close_end(&a);
    close_end(&b);
}

FIBER_TEST(test_reply_too_large_for_its_buffer)
{
    struct buf reply;
    struct err e;

    open_pair();
    buf_init(&reply, 4);
    assert_int_equal(channel_ask(a.channel, ECHO, STR("hello"), &reply, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    buf_done(&reply);
    assert_echo(a.channel, STR("and on it goes"));
    close_end(&a);
    close_end(&b);
}

static ino_t inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Each descriptor arrives with its own frame, among frames without. */
FIBER_TEST(test_descriptors)
{
    int before = open_descriptors(), fds[2];

    open_pair();
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < 40; i++) {
        ino_t expected = inode_of(fds[i % 2]);
        for (int k = 0; k < i % 3; k++)
            assert_true(channel_try_notify(a.channel, TELL, STR("between")));
        b.fd = b.fd >= 0 ? (close(b.fd), -1) : -1;
        assert_int_equal(channel_notify_fd(a.channel, DESCRIPTOR, STR("fd"), fds[i % 2], NULL), 0);
        while (b.fd < 0)
            assert_int_equal(cond_wait(&b.event, "descriptor", NULL), 0);
        assert_int_equal(inode_of(b.fd), expected);
        assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
    }
    /* Many in one turn. */
    for (int i = 0; i < 100; i++)
        assert_int_equal(channel_notify_fd(a.channel, DESCRIPTOR, STR("fd"), fds[0], NULL), 0);
    assert_int_equal(channel_notify_fd(a.channel, DESCRIPTOR, STR("fd"), fds[1], NULL), 0);
    assert_echo(a.channel, STR("all there"));
    assert_int_equal(inode_of(b.fd), inode_of(fds[1]));
    close_end(&a);
    close_end(&b);
    close(fds[0]);
    close(fds[1]);
    yield(3);
    assert_int_equal(open_descriptors(), before);
}

/* ---- credit */

struct asker {
    struct end *end;
    uint16_t type;
    size_t octets;
    int result;
    struct err why;
    bool ended;
};

static char zeros[CHANNEL_FRAME_MAX];

static void ask_once(void *arg)
{
    struct asker *asker = arg;
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    asker->result = channel_ask(
        asker->end->channel, asker->type, str_of(zeros, asker->octets), &reply, &asker->why);
    asker->ended = true;
    buf_done(&reply);
}

static void tell_once(void *arg)
{
    struct asker *asker = arg;

    asker->result =
        channel_notify(asker->end->channel, asker->type, str_of(zeros, asker->octets), &asker->why);
    asker->ended = true;
}

FIBER_TEST(test_fibers_park_without_credit)
{
    static struct asker askers[CHANNEL_REQUESTS + 10];
    unsigned count = CHANNEL_REQUESTS + 10, ended = 0;
    struct scope s;

    open_pair();
    scope_init(&s);
    for (unsigned i = 0; i < count; i++) {
        askers[i] = (struct asker){.end = &a, .type = LATER};
        assert_int_equal(fiber_start(&s, "asker", ask_once, &askers[i], NULL), 0);
    }
    while (b.kept_count < CHANNEL_REQUESTS)
        yield(1);
    yield(5);
    assert_int_equal(b.kept_count, CHANNEL_REQUESTS);
    assert_false(channel_try_notify(a.channel, TELL, STR_NONE));
    while (ended < count) {
        if (b.kept_count)
            finish_kept(&b, b.kept_count - 1);
        yield(1);
        ended = 0;
        for (unsigned i = 0; i < count; i++)
            ended += askers[i].ended && askers[i].result == 0;
    }
    assert_true(channel_try_notify(a.channel, TELL, STR_NONE));
    scope_join(&s);
    close_end(&a);
    close_end(&b);
}

/* Notices that the receiver keeps hold credit until it says so; a large one is not overtaken for
 * ever by small ones, and one that gives up lets the next one through. */
FIBER_TEST(test_kept_notices)
{
    struct asker large = {.end = &a, .type = KEEP, .octets = CHANNEL_FRAME_MAX};
    struct asker small = {.end = &a, .type = TELL};
    struct scope s1, s2;

    open_pair();
    scope_init(&s1);
    scope_init(&s2);
    for (int i = 0; i < CHANNEL_OCTETS / CHANNEL_FRAME_MAX; i++)
        assert_true(channel_try_notify(a.channel, KEEP, str_of(zeros, CHANNEL_FRAME_MAX)));
    assert_int_equal(fiber_start(&s1, "large", tell_once, &large, NULL), 0);
    yield(2);
    assert_int_equal(fiber_start(&s2, "small", tell_once, &small, NULL), 0);
    yield(8);
    assert_false(large.ended || small.ended);
    scope_cancel(&s1);
    scope_join(&s1);
    assert_int_equal(large.why.class, ERR_CANCELLED);
    scope_join(&s2);
    assert_int_equal(small.result, 0);
    while (b.kept_count)
        finish_kept(&b, 0);
    assert_int_equal(channel_notify(a.channel, KEEP, str_of(zeros, CHANNEL_FRAME_MAX), NULL), 0);
    close_end(&a);
    close_end(&b);
}

/* A fiber that was cancelled or ran out of time leaves its call open; the late reply is dropped. */
FIBER_TEST(test_reply_that_nobody_waits_for)
{
    struct asker asker = {.end = &a, .type = LATER};
    struct scope s;
    struct buf reply;
    struct err e;
    uint64_t before;

    open_pair();
    scope_init(&s);
    assert_int_equal(fiber_start(&s, "asker", ask_once, &asker, NULL), 0);
    while (b.kept_count < 1)
        yield(1);
    scope_cancel(&s);
    scope_join(&s);
    assert_int_equal(asker.why.class, ERR_CANCELLED);
    before = fiber_deadline_shorten(run_now_fresh() + 5);
    buf_init(&reply, 10);
    assert_int_equal(channel_ask(a.channel, LATER, STR("x"), &reply, &e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    fiber_deadline_restore(before);
    buf_done(&reply);
    while (b.kept_count)
        finish_kept(&b, 0);
    assert_echo(a.channel, STR("still good"));
    close_end(&a);
    close_end(&b);
}

/* ---- ends of channels */

FIBER_TEST(test_peer_closes)
{
    static struct asker askers[CHANNEL_REQUESTS + 5];
    unsigned count = CHANNEL_REQUESTS + 5;
    struct scope s;

    open_pair();
    scope_init(&s);
    for (unsigned i = 0; i < count; i++) {
        askers[i] = (struct asker){.end = &a, .type = i % 2 ? LATER : NEVER};
        assert_int_equal(fiber_start(&s, "asker", ask_once, &askers[i], NULL), 0);
    }
    while (b.kept_count < CHANNEL_REQUESTS / 2)
        yield(1);
    channel_close(&b.channel);
    scope_join(&s);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(askers[i].result, -1);
        assert_int_equal(askers[i].why.class, ERR_CLOSED);
    }
    assert_int_equal(a.closed, 1);
    assert_null(a.channel);
    assert_int_equal(b.closed, 0);
    close_end(&b); /* answers to a channel that has closed are dropped */
}

FIBER_TEST(test_owner_closes_while_fibers_wait)
{
    struct asker waiting = {.end = &a, .type = LATER};
    struct scope s;

    open_pair();
    scope_init(&s);
    assert_int_equal(fiber_start(&s, "asker", ask_once, &waiting, NULL), 0);
    while (b.kept_count < 1)
        yield(1);
    channel_close(&a.channel);
    scope_join(&s);
    assert_int_equal(waiting.why.class, ERR_CLOSED);
    wait_for_closed(&b);
    close_end(&b);
}

FIBER_TEST(test_close_in_on_frame)
{
    struct buf reply;
    struct err e;

    open_pair();
    b.close_at_once = true;
    buf_init(&reply, 10);
    assert_true(channel_try_notify(a.channel, TELL, STR("first")));
    assert_int_equal(channel_ask(a.channel, ECHO, STR("x"), &reply, &e), -1);
    assert_int_equal(e.class, ERR_CLOSED);
    buf_done(&reply);
    wait_for_closed(&a);
    assert_null(b.channel);
    assert_int_equal(b.closed, 0);
}

/* What a peer wrote before it went is still heard. */
FIBER_TEST(test_last_words)
{
    open_pair();
    for (int i = 0; i < 20; i++)
        assert_true(channel_try_notify(a.channel, TELL, str_of(zeros, 1000)));
    assert_true(channel_try_notify(b.channel, TELL, STR("never read")));
    channel_close(&a.channel);
    channel_try_notify(b.channel, TELL, STR("into nothing"));
    wait_for_closed(&b);
    assert_int_equal(b.told, 20);
    assert_int_equal(b.why.class, ERR_CLOSED);
    close_end(&b);
}

FIBER_TEST(test_cut)
{
    struct asker waiting = {.end = &a, .type = LATER};
    struct scope s;
    struct err why;

    open_pair();
    scope_init(&s);
    assert_int_equal(fiber_start(&s, "asker", ask_once, &waiting, NULL), 0);
    while (b.kept_count < 1)
        yield(1);
    err_set(&why, ERR_BUG, "test", "nonsense");
    channel_cut(a.channel, &why);
    scope_join(&s);
    assert_int_equal(waiting.why.class, ERR_CLOSED);
    wait_for_closed(&a);
    assert_string_equal(a.why.text, "peer: nonsense");
    wait_for_closed(&b);
    close_end(&b);
}

FIBER_TEST(test_open_without_memory)
{
    int before = open_descriptors();

    for (unsigned n = 1; n <= 2; n++) {
        struct channel *c = NULL;
        int fds[2];
        struct err e;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        mem_fail_at(n);
        assert_int_equal(channel_open(&c, fds[0], "peer", &handler, &a, &e), -1);
        mem_fail_at(0);
        assert_int_equal(e.class, ERR_TEMPORARY);
        close(fds[1]);
    }
    assert_int_equal(open_descriptors(), before);
}

/* ---- peers that break the rules */

static void put_frame(struct buf *out, enum frame_kind kind, uint32_t call, size_t n)
{
    struct frame f = {.kind = kind, .call = call, .payload = {zeros, n}};

    f.type = kind == FRAME_REQUEST ? NEVER : kind == FRAME_NOTICE ? KEEP : 0;
    assert_int_equal(frame_put(out, &f), 0);
}

static void write_raw(struct str s)
{
    while (s.n) {
        ssize_t n = send(raw, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return;
        if (n > 0)
            s = str_from(s, (size_t)n);
        else
            yield(1);
    }
}

static void make_offence(unsigned which, struct buf *out)
{
    switch (which) {
    case 0: /* larger than a frame may be */
        put_frame(out, FRAME_NOTICE, 0, 0);
        enc_u32(out, CHANNEL_FRAME_MAX + 1);
        enc_u64(out, 0);
        return;
    case 1: /* a request too many */
        for (uint32_t i = 0; i <= CHANNEL_REQUESTS; i++)
            put_frame(out, FRAME_REQUEST, i % CHANNEL_REQUESTS + 1, 0);
        return;
    case 2: /* an octet too many */
        for (int i = 0; i < CHANNEL_OCTETS / CHANNEL_FRAME_MAX; i++)
            put_frame(out, FRAME_NOTICE, 0, CHANNEL_FRAME_MAX);
        put_frame(out, FRAME_NOTICE, 0, 1);
        return;
    case 3: /* an answer to nothing */
        put_frame(out, FRAME_REPLY, 1, 0);
        return;
    case 4: /* credit for nothing */
        enc_u32(out, 8);
        enc_u16(out, 0);
        enc_u16(out, FRAME_CREDIT);
        enc_u32(out, 0);
        enc_u32(out, 1);
        enc_u32(out, 1);
        return;
    case 5: /* a number in use */
        put_frame(out, FRAME_REQUEST, 7, 0);
        put_frame(out, FRAME_REQUEST, 7, 0);
        return;
    default: /* a descriptor that does not come */
        enc_u32(out, 0);
        enc_u16(out, DESCRIPTOR);
        enc_u16(out, 4);
        enc_u32(out, 0);
        return;
    }
}

FIBER_TEST(test_offences)
{
    for (unsigned which = 0; which <= 6; which++) {
        struct buf out;
        buf_init(&out, 4 << 20);
        make_offence(which, &out);
        open_raw();
        write_raw(buf_str(&out));
        wait_for_closed(&a);
        if (a.why.class != ERR_BUG)
            fail_msg("offence %u: %s", which, a.why.text);
        close_end(&a);
        close(raw);
        buf_done(&out);
    }
}

static void send_with_fds(struct str s, unsigned count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    char octets[64];
    struct iovec v = {octets, s.n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control};

    memcpy(octets, s.p, s.n);
    m.msg_controllen = CMSG_SPACE(count * sizeof(int));
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)),
        .cmsg_level = SOL_SOCKET,
        .cmsg_type = SCM_RIGHTS};
    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &raw, sizeof raw);
    assert_int_equal(sendmsg(raw, &m, 0), s.n);
}

/* Descriptors that no frame asks for are closed; a flood of them cuts the peer off. */
FIBER_TEST(test_surplus_descriptors)
{
    int before = open_descriptors();
    struct buf out;

    buf_init(&out, 1000);
    put_frame(&out, FRAME_NOTICE, 0, 4);
    open_raw();
    send_with_fds(buf_str(&out), 3);
    while (a.kept_count < 1)
        yield(1);
    yield(1);
    assert_int_equal(open_descriptors(), before + 2);
    send_with_fds(buf_str(&out), 16);
    wait_for_closed(&a);
    close_end(&a);
    close(raw);
    buf_done(&out);
    yield(3);
    assert_int_equal(open_descriptors(), before);
}

/* A peer that asks and never reads is cut off when the answers reach their ceiling. */
FIBER_TEST(test_peer_that_does_not_read)
{
    struct frame f = {FRAME_REQUEST, ECHO, false, 0, {zeros, sizeof zeros}};
    struct buf out;

    buf_init(&out, 1 << 20);
    for (f.call = 1; f.call <= 8; f.call++)
        assert_int_equal(frame_put(&out, &f), 0);
    open_raw();
    for (unsigned i = 0; i < 100 && !a.closed; i++)
        write_raw(buf_str(&out));
    assert_int_equal(a.closed, 1);
    assert_int_equal(a.why.class, ERR_TEMPORARY);
    close_end(&a);
    close(raw);
    buf_done(&out);
}

FIBER_TEST(test_an_octet_at_a_time)
{
    struct buf out;

    buf_init(&out, 1000);
    for (unsigned i = 0; i < 5; i++)
        put_frame(&out, FRAME_NOTICE, 0, 7 * i);
    put_frame(&out, FRAME_REQUEST, 3, 9);
    open_raw();
    for (size_t i = 0; i < buf_len(&out); i++) {
        write_raw(str_sub(buf_str(&out), i, 1));
        yield(1);
    }
    while (a.kept_count < 5)
        yield(1);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(LIST_ENTRY(a.kept.next, struct kept, link)->octets, 7 * i);
        finish_kept(&a, 0);
    }
    close_end(&a);
    close(raw);
    buf_done(&out);
}

/* ---- both directions at full credit */

enum {
    HAMMERERS = 400, /* more than there is credit for, on each side */
    HAMMER_CALLS = 40,
};

struct hammer {
    struct end *from, *to;
    unsigned index, done;
};

static size_t random_size(void)
{
    switch (rng_below(4)) {
    case 0:
        return CHANNEL_FRAME_MAX - rng_below(3);
    case 1:
        return rng_below(CHANNEL_FRAME_MAX);
    default:
        return rng_below(300);
    }
}

static void hammer(void *arg)
{
    struct hammer *h = arg;
    char *payload = mem_alloc(CHANNEL_FRAME_MAX);
    struct buf reply;

    assert_non_null(payload);
    buf_init(&reply, CHANNEL_FRAME_MAX);
    for (unsigned i = 0; i < HAMMER_CALLS; i++) {
        size_t n = random_size();
        memset(payload, (int)(h->index * 7 + i), n);
        if (rng_below(3) == 0) {
            assert_int_equal(channel_notify(h->from->channel, KEEP, str_of(payload, n), NULL), 0);
        } else {
            buf_clear(&reply);
            assert_int_equal(
                channel_ask(h->from->channel, LATER, str_of(payload, n), &reply, NULL), 0);
            assert_true(str_eq(buf_str(&reply), str_of(payload, n)));
        }
        h->done++;
    }
    buf_done(&reply);
    mem_free(payload);
}

/* Answers what has come to both ends, some of it, in any order. */
static void answer_some(struct end *end)
{
    for (uint64_t n = rng_below(40); n && end->kept_count; n--)
        finish_kept(end, (unsigned)rng_below(end->kept_count));
}

FIBER_TEST(test_both_directions_at_full_credit)
{
    static struct hammer hammers[2 * HAMMERERS];
    struct scope s;

    open_pair();
    scope_init(&s);
    for (unsigned i = 0; i < 2 * HAMMERERS; i++) {
        hammers[i] = (struct hammer){i % 2 ? &a : &b, i % 2 ? &b : &a, i, 0};
        assert_int_equal(fiber_start(&s, "hammer", hammer, &hammers[i], NULL), 0);
    }
    while (s.count || a.kept_count || b.kept_count) {
        assert_int_equal(a.closed + b.closed, 0);
        assert_true(a.kept_count <= CHANNEL_REQUESTS && b.kept_count <= CHANNEL_REQUESTS);
        answer_some(&a);
        answer_some(&b);
        yield(1);
    }
    scope_join(&s);
    for (unsigned i = 0; i < 2 * HAMMERERS; i++)
        assert_int_equal(hammers[i].done, HAMMER_CALLS);
    /* All credit is there again, but for what is saved up. */
    for (unsigned i = 0; i < CHANNEL_REQUESTS / 2; i++)
        assert_true(channel_try_notify(a.channel, TELL, STR("x")));
    assert_echo(b.channel, STR("done"));
    close_end(&a);
    close_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_both_ways),
        cmocka_unit_test(test_reply_too_large_for_its_buffer),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_fibers_park_without_credit),
        cmocka_unit_test(test_kept_notices),
        cmocka_unit_test(test_reply_that_nobody_waits_for),
        cmocka_unit_test(test_peer_closes),
        cmocka_unit_test(test_owner_closes_while_fibers_wait),
        cmocka_unit_test(test_close_in_on_frame),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_offences),
        cmocka_unit_test(test_surplus_descriptors),
        cmocka_unit_test(test_peer_that_does_not_read),
        cmocka_unit_test(test_an_octet_at_a_time),
        cmocka_unit_test(test_both_directions_at_full_credit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
