#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"

#include "ipc/channel_rig.h"
#include "ipc/frame.h"

/* ---- calls, notices, descriptors */

static void assert_echo(struct channel *c, struct str payload)
{
    struct buf reply;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    assert_int_equal(channel_ask(c, ANSWER, payload, &reply, NULL), 0);
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

/* A peer that has been taken over says it where its like ask. */
FIBER_TEST(test_question_that_wants_no_answer)
{
    open_pair();
    assert_int_equal(channel_notify(a.channel, ANSWER, STR("hello"), NULL), 0);
    assert_echo(a.channel, STR("and on it goes"));
    close_end(&a);
    close_end(&b);
}

FIBER_TEST(test_reply_too_large_for_its_buffer)
{
    struct buf reply;
    struct err e;

    open_pair();
    buf_init(&reply, 4);
    assert_int_equal(channel_ask(a.channel, ANSWER, STR("hello"), &reply, &e), -1);
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
    /* Behind more than a socket holds: not before its time. */
    for (int i = 0; i < 12; i++)
        assert_true(channel_try_notify(a.channel, TELL, str_of(zeros, CHANNEL_FRAME_MAX)));
    assert_int_equal(channel_notify_fd(a.channel, DESCRIPTOR, STR("fd"), fds[0], NULL), 0);
    assert_echo(a.channel, STR("all there"));
    assert_int_equal(inode_of(b.fd), inode_of(fds[0]));
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

/* A descriptor leaves with the first octet of its own frame, wherever the reads end. */
FIBER_TEST(test_descriptor_stands_with_its_frame)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char octets[100];
    struct iovec v = {octets, sizeof octets};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control};

    open_raw();
    assert_true(channel_try_notify(a.channel, TELL, STR("before")));
    assert_int_equal(channel_notify_fd(a.channel, DESCRIPTOR, STR("fd"), raw, NULL), 0);
    assert_true(channel_try_notify(a.channel, TELL, STR("after")));
    channel_push(a.channel);
    v.iov_len = FRAME_HEADER + 6;
    m.msg_controllen = sizeof control;
    assert_int_equal(recvmsg(raw, &m, MSG_DONTWAIT), v.iov_len);
    assert_int_equal(m.msg_controllen, 0);
    v.iov_len = 1;
    m.msg_controllen = sizeof control;
    assert_int_equal(recvmsg(raw, &m, MSG_DONTWAIT), 1);
    assert_int_equal(m.msg_controllen, CMSG_SPACE(sizeof(int)));
    memcpy(&a.fd, CMSG_DATA(&control.header), sizeof a.fd);
    close_end(&a);
    close(raw);
}

/* ---- credit */

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

/* Credit that came to a fiber in the turn in which it was cancelled is not lost. */
FIBER_TEST(test_credit_of_the_cancelled)
{
    struct asker late = {.end = &a, .type = TELL, .octets = CHANNEL_FRAME_MAX};
    unsigned count = CHANNEL_OCTETS / CHANNEL_FRAME_MAX;
    struct scope s;

    open_pair();
    scope_init(&s);
    for (unsigned i = 0; i < count; i++)
        assert_true(channel_try_notify(a.channel, KEEP, str_of(zeros, CHANNEL_FRAME_MAX)));
    assert_int_equal(fiber_start(&s, "late", tell_once, &late, NULL), 0);
    while (b.kept_count < count)
        yield(1);
    /* The notice stands before the grant in one write, so we run before the other fiber does. */
    while (b.kept_count)
        finish_kept(&b, 0);
    assert_true(channel_try_notify(b.channel, TELL, STR("now")));
    while (a.told == 0)
        assert_int_equal(cond_wait(&a.event, "notice", NULL), 0);
    scope_cancel(&s);
    scope_join(&s);
    assert_int_equal(late.result, -1);
    for (unsigned i = 0; i < count; i++)
        assert_true(channel_try_notify(a.channel, KEEP, str_of(zeros, CHANNEL_FRAME_MAX)));
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
        cmocka_unit_test(test_question_that_wants_no_answer),
        cmocka_unit_test(test_reply_too_large_for_its_buffer),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_descriptor_stands_with_its_frame),
        cmocka_unit_test(test_fibers_park_without_credit),
        cmocka_unit_test(test_kept_notices),
        cmocka_unit_test(test_credit_of_the_cancelled),
        cmocka_unit_test(test_reply_that_nobody_waits_for),
        cmocka_unit_test(test_both_directions_at_full_credit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
