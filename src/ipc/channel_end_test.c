#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#include "ipc/channel_rig.h"
#include "ipc/codec.h"
#include "ipc/frame.h"

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
    assert_int_equal(channel_ask(a.channel, ANSWER, STR("x"), &reply, &e), -1);
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
        assert_int_equal(channel_open(&c, fds[0], "peer", &rig_handler, &a, &e), -1);
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
    struct frame f = {FRAME_REQUEST, ANSWER, false, 0, {zeros, sizeof zeros}};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
