#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/run_test.h"

#include "io/net.h"
#include "io/stream.h"

static struct net_address address_of(const char *text)
{
    struct net_address a;

    assert_int_equal(net_parse(str_c(text), &a, NULL), 0);
    return a;
}

/* A listening socket, and where it listens. */
static int listen_on(const char *text, struct net_address *at)
{
    int fd = -1;

    *at = address_of(text);
    assert_int_equal(net_listen(at, 0600, 5, &fd, 1, NULL), 0);
    at->len = sizeof at->in6;
    assert_int_equal(getsockname(fd, &at->any, &at->len), 0);
    return fd;
}

static int accept_from(int fd, struct net_address *peer)
{
    int got;

    peer->len = sizeof peer->in6;
    got = accept(fd, &peer->any, &peer->len);
    assert_true(got >= 0);
    return got;
}

FIBER_TEST(test_connects_from_the_source)
{
    struct net_address at, from = address_of("127.0.0.5:77"), peer;
    struct stream *s;
    struct str line;
    int fd = listen_on("127.0.0.1:0", &at), other;

    assert_int_equal(stream_connect(&s, &at, &from, NULL), 0);
    other = accept_from(fd, &peer);
    assert_int_equal(ntohl(peer.in.sin_addr.s_addr), 0x7f000005);
    assert_false(stream_pending(s));
    assert_int_equal(send(other, "ab\r\ncd\r\n", 8, 0), 8);
    assert_int_equal(stream_read_line(s, 100, &line, NULL), 0);
    assert_true(str_eq(line, STR("ab")));
    assert_true(stream_pending(s));
    assert_int_equal(stream_read_line(s, 100, &line, NULL), 0);
    assert_false(stream_pending(s));
    close(other);
    while (!stream_pending(s))
        assert_int_equal(fiber_yield(NULL), 0);
    stream_close(&s);
    close(fd);
}

/* A source of the other family is not used. */
FIBER_TEST(test_source_of_another_family)
{
    struct net_address at, from = address_of("[::1]:0"), peer;
    struct stream *s;
    int fd = listen_on("127.0.0.1:0", &at);

    assert_int_equal(stream_connect(&s, &at, &from, NULL), 0);
    close(accept_from(fd, &peer));
    stream_close(&s);
    close(fd);
}

FIBER_TEST(test_nobody_is_there)
{
    struct net_address at, from = address_of("192.0.2.1:0");
    struct stream *s = NULL;
    struct err e;
    int fd = listen_on("127.0.0.1:0", &at);

    assert_int_equal(stream_connect(&s, &at, &from, &e), -1); /* not ours */
    assert_int_equal(e.class, ERR_TEMPORARY);
    close(fd);
    assert_int_equal(stream_connect(&s, &at, NULL, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(e.os, ECONNREFUSED);
    assert_non_null(strstr(e.text, "connect to 127.0.0.1:"));
    at = address_of("unix:/nonexistent/lmtp");
    assert_int_equal(stream_connect(&s, &at, NULL, &e), -1);
    assert_int_equal(e.os, ENOENT);
    assert_null(s);
}

FIBER_TEST(test_deadline)
{
    struct net_address at = address_of("127.0.0.1:1");
    struct stream *s;
    struct err e;
    uint64_t before = fiber_deadline_shorten(run_now());

    assert_int_equal(stream_connect(&s, &at, NULL, &e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    fiber_deadline_restore(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects_from_the_source),
        cmocka_unit_test(test_source_of_another_family),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
