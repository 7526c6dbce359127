#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"

#include "run/run_test.h"

#include "io/net.h"

enum {
    CLIENTS_MAX = 200,
};

struct server {
    struct listener *listener;
    struct net_address at;
    int accepted[CLIENTS_MAX];
    unsigned count, close_after; /* the listener closes itself in its callback after so many */
};

static void accepted(void *arg, int fd, const struct net_address *peer)
{
    struct server *s = arg;

    assert_false(fiber_running());
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(peer->any.sa_family, AF_INET);
    assert_true(net_port(peer) > 0);
    s->accepted[s->count++] = fd;
    if (s->count == s->close_after)
        listener_close(&s->listener);
}

static struct server *server_open(void)
{
    static struct server s;
    int fds[1];

    s = (struct server){0};
    assert_int_equal(net_parse(STR("127.0.0.1:0"), &s.at, NULL), 0);
    assert_int_equal(net_listen(&s.at, 0, 128, fds, 1, NULL), 0);
    assert_int_equal(getsockname(fds[0], &s.at.any, &s.at.len), 0);
    assert_int_equal(listener_open(&s.listener, fds[0], accepted, &s, NULL), 0);
    return &s;
}

static void server_close(struct server *s)
{
    for (unsigned i = 0; i < s->count; i++)
        close(s->accepted[i]);
    listener_close(&s->listener);
    listener_close(&s->listener);
}

static int client(const struct server *s)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &s->at.any, s->at.len), 0);
    return fd;
}

FIBER_TEST(test_accept)
{
    struct server *s = server_open();
    int clients[100];
    struct err e;

    for (int i = 0; i < 100; i++)
        clients[i] = client(s);
    assert_int_equal(s->count, 0);
    assert_int_equal(fiber_yield(&e), 0);
    assert_in_range(s->count, 1, 40); /* so many a turn, that others get on */
    while (s->count < 100)
        assert_int_equal(fiber_yield(&e), 0);
    for (int i = 0; i < 100; i++)
        close(clients[i]);
    server_close(s);
}

FIBER_TEST(test_closed_in_callback)
{
    struct server *s = server_open();
    int clients[5];
    struct err e;

    s->close_after = 3;
    for (int i = 0; i < 5; i++)
        clients[i] = client(s);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(s->count, 3);
    for (int i = 0; i < 5; i++)
        close(clients[i]);
    server_close(s);
}

/* Without descriptors one client is refused at once, the loop does not spin, and when there are
 * some again the others are served. */
FIBER_TEST(test_no_descriptors)
{
    struct server *s = server_open();
    struct rlimit before, none;
    int clients[4], spare;
    struct turn_counter counter;
    struct err e;

    for (int i = 0; i < 4; i++)
        clients[i] = client(s);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    spare = dup(clients[0]); /* the lowest free number */
    close(spare);
    none = (struct rlimit){(rlim_t)spare, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn_counter_start(&counter);
    assert_int_equal(fiber_sleep(40, &e), 0);
    assert_in_range(turn_counter_stop(&counter), 1, 10);
    assert_int_equal(s->count, 0);
    assert_int_equal(recv(clients[0], &(char){0}, 1, MSG_DONTWAIT), 0);
    assert_int_equal(recv(clients[1], &(char){0}, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (s->count < 3)
        assert_int_equal(fiber_sleep(1, &e), 0);
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    server_close(s);
}

FIBER_TEST(test_failures)
{
    struct listener *l = NULL;
    struct err e = {0};
    int file = open("/proc/self/exe", O_RDONLY);

    for (uint64_t n = 1; n <= 2; n++) {
        mem_fail_at(n);
        assert_int_equal(listener_open(&l, file, accepted, NULL, &e), -1);
        mem_fail_at(0);
        assert_int_equal(e.class, ERR_TEMPORARY);
    }
    assert_int_equal(listener_open(&l, file, accepted, NULL, &e), -1);
    assert_int_equal(e.os, EPERM);
    assert_null(l);
    assert_int_equal(close(file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_closed_in_callback),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
