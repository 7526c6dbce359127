/* stream_finish(): the last reply arrives, whatever the peer does, within bounds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/run_test.h"

#include "io/stream.h"

static int peer, ours;
static struct scope lingering;

/* A TCP connection, since it is TCP that resets. */
static struct stream *open_stream(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    struct stream *s = NULL;

    assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&a, &len), 0);
    peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&a, sizeof a), 0);
    ours = accept(listening, NULL, NULL);
    close(listening);
    assert_int_equal(stream_open(&s, ours, NULL), 0);
    scope_init(&lingering);
    return s;
}

static void turns(unsigned n)
{
    struct err e;

    while (n--)
        assert_int_equal(fiber_yield(&e), 0);
}

static bool is_open(void)
{
    return recv(ours, &(char){0}, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EBADF;
}

static void send_octets(size_t n)
{
    static const char text[4096];

    for (; n; n -= n < sizeof text ? n : sizeof text)
        if (send(peer, text, n < sizeof text ? n : sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
}

/* The whole of what is still to be read by the peer; -1 for a reset. */
static ssize_t read_all(char *text, size_t size)
{
    size_t n = 0;

    for (;;) {
        ssize_t got = recv(peer, text + n, size - n, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            turns(1);
            continue;
        }
        if (got <= 0)
            return got < 0 ? -1 : (ssize_t)n;
        n += (size_t)got;
    }
}

/* RFC 5321 4.2.4.2: a 421 or 5xx after which we close, while the peer is still sending. */
FIBER_TEST(test_reply_survives_unread_input)
{
    struct stream *s = open_stream();
    char text[64];
    struct err e;

    send_octets(200000);
    assert_int_equal(stream_fill(s, &e), 0);
    assert_int_equal(stream_write(s, STR("552 too big\r\n"), &e), 0);
    stream_finish(&s, &lingering, 10000);
    assert_null(s);
    stream_finish(&s, &lingering, 10000); /* of nothing is nothing */
    turns(2);
    send_octets(50000);
    turns(2);
    assert_int_equal(read_all(text, sizeof text), 13);
    assert_memory_equal(text, "552 too big\r\n", 13);
    assert_true(is_open());
    close(peer);
    scope_join(&lingering);
    turns(2);
    assert_false(is_open());
}

FIBER_TEST(test_peer_ends_first)
{
    struct stream *s = open_stream();
    struct err e = {0};

    assert_int_equal(shutdown(peer, SHUT_WR), 0);
    assert_int_equal(stream_fill(s, &e), -1);
    assert_int_equal(e.class, ERR_CLOSED);
    assert_int_equal(stream_write(s, STR("221 bye\r\n"), &e), 0);
    stream_finish(&s, &lingering, 10000);
    assert_int_equal(lingering.count, 0);
    turns(2);
    assert_false(is_open());
    char text[64];
    assert_int_equal(read_all(text, sizeof text), 9);
    close(peer);
}

FIBER_TEST(test_bounded_in_time)
{
    struct stream *s = open_stream();
    uint64_t now = run_now();

    stream_finish(&s, &lingering, 3);
    assert_int_equal(lingering.count, 1);
    scope_join(&lingering);
    assert_true(run_now() >= now + 3);
    turns(2);
    assert_false(is_open());
    close(peer);
}

FIBER_TEST(test_bounded_in_octets)
{
    struct stream *s = open_stream();
    size_t rounds = 0;

    stream_finish(&s, &lingering, 100000);
    while (lingering.count) {
        send_octets(65536);
        turns(1);
        assert_true(++rounds < 10000);
    }
    close(peer);
}

FIBER_TEST(test_cancelled)
{
    struct stream *s = open_stream();
    struct err e;

    stream_finish(&s, &lingering, 100000);
    turns(2);
    scope_cancel(&lingering);
    scope_join(&lingering);
    turns(2);
    assert_false(is_open());
    close(peer);
    s = open_stream();
    scope_cancel(&lingering);
    assert_int_equal(stream_write(s, STR("421 4.3.2 bye\r\n"), &e), 0);
    stream_finish(&s, &lingering, 100000);
    assert_int_equal(lingering.count, 0);
    char text[64];
    assert_int_equal(read_all(text, sizeof text), 15);
    close(peer);
}

/* Output that the peer does not take at once is written while lingering; or not, when time ends. */
static size_t fill_output(struct stream *s)
{
    static const char text[10000];
    uint64_t before = fiber_deadline_shorten(run_now() + 5);
    struct err e;

    while (stream_write(s, str_of(text, sizeof text), &e) == 0)
        ;
    fiber_deadline_restore(before);
    return (size_t)stream_octets_out(s);
}

FIBER_TEST(test_output_left)
{
    static char text[100000];
    struct stream *s = open_stream();
    size_t written = fill_output(s), got = 0;
    ssize_t n;

    stream_finish(&s, &lingering, 10000);
    assert_int_equal(lingering.count, 1);
    turns(1);
    while ((n = recv(peer, text, sizeof text, MSG_DONTWAIT)) != 0) {
        got += n > 0 ? (size_t)n : 0;
        assert_true(n > 0 || errno == EAGAIN);
        if (n < 0)
            turns(1);
    }
    assert_true(got > written);
    close(peer);
    scope_join(&lingering);
    s = open_stream();
    fill_output(s);
    stream_finish(&s, &lingering, 3);
    scope_join(&lingering);
    turns(2);
    assert_false(is_open());
    close(peer);
}

FIBER_TEST(test_no_memory)
{
    for (uint64_t n = 1; n <= 4; n++) {
        struct stream *s = open_stream();
        mem_fail_at(n);
        stream_finish(&s, &lingering, 3);
        mem_fail_at(0);
        scope_join(&lingering);
        turns(2);
        assert_false(is_open());
        close(peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory), /* first, while no free buffers are kept */
        cmocka_unit_test(test_reply_survives_unread_input),
        cmocka_unit_test(test_peer_ends_first),
        cmocka_unit_test(test_bounded_in_time),
        cmocka_unit_test(test_bounded_in_octets),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_output_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
