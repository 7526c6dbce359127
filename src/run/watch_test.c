#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "run/run_test.h"

/* A watched socket and its peer. */
struct pair {
    struct watch *watch;
    int peer;
};

static struct pair pair_open(void)
{
    struct pair p;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(watch_open(&p.watch, fds[0], NULL), 0);
    p.peer = fds[1];
    assert_int_equal(watch_fd(p.watch), fds[0]);
    return p;
}

static void pair_close(struct pair *p)
{
    watch_close(&p->watch);
    watch_close(&p->watch); /* of nothing is nothing */
    close(p->peer);
}

static void writer(void *arg)
{
    assert_int_equal(write(*(int *)arg, "x", 1), 1);
}

static void start(struct scope *s, fiber_fn *fn, void *arg)
{
    assert_int_equal(fiber_start(s, "child", fn, arg, NULL), 0);
}

FIBER_TEST(test_read)
{
    struct pair p = pair_open();
    struct scope s;
    struct err e;
    char c;

    scope_init(&s);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read(watch_fd(p.watch), &c, 1), -1);
        assert_int_equal(errno, EAGAIN);
        start(&s, writer, &p.peer);
        assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), 0);
        assert_int_equal(read(watch_fd(p.watch), &c, 1), 1);
    }
    scope_join(&s);
    pair_close(&p);
}

/* What comes while nobody waits stops the poll once, and is found by the next wait. */
FIBER_TEST(test_input_while_busy)
{
    struct pair p = pair_open();
    struct scope s;
    struct err e;
    char c[4];

    scope_init(&s);
    start(&s, writer, &p.peer);
    assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), 0);
    assert_int_equal(read(watch_fd(p.watch), c, sizeof c), 1);
    scope_join(&s);
    pair_close(&p);
}

FIBER_TEST(test_hang_up)
{
    struct pair p = pair_open();
    struct turn_counter counter;
    struct err e;
    char c;

    close(p.peer);
    turn_counter_start(&counter);
    for (int i = 0; i < 3; i++) { /* stays ready, and does not spin while nobody waits */
        assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), 0);
        assert_int_equal(read(watch_fd(p.watch), &c, 1), 0);
        assert_int_equal(fiber_sleep(5, &e), 0);
    }
    assert_in_range(turn_counter_stop(&counter), 3, 30);
    p.peer = -1;
    pair_close(&p);
}

/* A full socket: WRITABLE is asked for only then, beside a reader. */
static size_t fill(int fd)
{
    static const char block[4096];
    size_t n = 0;
    ssize_t wrote;

    while ((wrote = write(fd, block, sizeof block)) > 0)
        n += (size_t)wrote;
    return n;
}

static void drain(int fd)
{
    char block[4096];

    while (recv(fd, block, sizeof block, MSG_DONTWAIT) > 0)
        ;
}

static void drainer(void *arg)
{
    struct err e;

    assert_int_equal(fiber_yield(&e), 0);
    drain(*(int *)arg);
}

static bool read_seen;

static void reader(void *arg)
{
    struct err e = {0};
    struct watch *w = arg;
    char c;

    while (read(watch_fd(w), &c, 1) < 0)
        assert_int_equal(watch_wait(w, WATCH_READ, &e), 0);
    read_seen = true;
}

FIBER_TEST(test_reader_and_writer)
{
    struct pair p = pair_open();
    struct turn_counter counter;
    struct scope s;
    struct err e;

    read_seen = false;
    scope_init(&s);
    start(&s, reader, p.watch);
    assert_int_equal(fiber_yield(&e), 0);
    assert_true(fill(watch_fd(p.watch)) > 0);
    start(&s, drainer, &p.peer);
    assert_int_equal(watch_wait(p.watch, WATCH_WRITE, &e), 0);
    assert_true(fill(watch_fd(p.watch)) > 0);
    drain(p.peer);
    turn_counter_start(&counter);
    assert_int_equal(fiber_sleep(5, &e), 0); /* writable, but nobody asks: the reader stays */
    assert_in_range(turn_counter_stop(&counter), 1, 10);
    assert_false(read_seen);
    start(&s, writer, &p.peer);
    scope_join(&s);
    assert_true(read_seen);
    pair_close(&p);
}

FIBER_TEST(test_deadline_and_data)
{
    struct pair p = pair_open();
    struct err e = {0};
    char c;
    uint64_t before = fiber_deadline_shorten(run_now() + 2);

    assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    fiber_deadline_restore(before);
    assert_int_equal(write(p.peer, "x", 1), 1);
    assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), 0);
    assert_int_equal(read(watch_fd(p.watch), &c, 1), 1);
    pair_close(&p);
}

static void cancelled_at(void *arg)
{
    struct err e = {0};

    assert_int_equal(watch_wait(arg, WATCH_READ, &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
}

FIBER_TEST(test_cancel)
{
    struct pair p = pair_open();
    struct scope s;
    struct err e;

    scope_init(&s);
    start(&s, cancelled_at, p.watch);
    assert_int_equal(fiber_yield(&e), 0);
    scope_cancel(&s);
    scope_join(&s);
    pair_close(&p);
}

/* The number of a closed descriptor comes back at once, and events are those of the new one. */
FIBER_TEST(test_descriptor_reused)
{
    struct err e;

    for (int i = 0; i < 50; i++) {
        struct pair p = pair_open();
        int fd = watch_fd(p.watch);
        uint64_t before;
        assert_int_equal(write(p.peer, "x", 1), 1);
        if (i % 2)
            assert_int_equal(watch_wait(p.watch, WATCH_READ, &e), 0);
        pair_close(&p);
        assert_int_equal(fiber_yield(&e), 0);
        assert_int_equal(fiber_yield(&e), 0);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        struct pair again = pair_open();
        assert_int_equal(watch_fd(again.watch), fd);
        before = fiber_deadline_shorten(run_now() + 1);
        assert_int_equal(watch_wait(again.watch, WATCH_READ, &e), -1);
        assert_int_equal(e.class, ERR_DEADLINE);
        fiber_deadline_restore(before);
        pair_close(&again);
        assert_int_equal(fiber_yield(&e), 0);
        assert_int_equal(fiber_yield(&e), 0);
    }
}

/* A session that lives in no fiber while it is idle. */
struct session {
    struct pair pair;
    struct scope *scope;
    unsigned turns, octets;
    bool cancelled, timed_out;
    uint64_t until;
};

static void session_main(void *arg)
{
    struct session *s = arg;
    struct err e;
    char c;

    s->turns++;
    while (read(watch_fd(s->pair.watch), &c, 1) > 0)
        s->octets++;
    s->cancelled = fiber_cancelled();
    s->timed_out = run_now() >= s->until;
    if (!s->cancelled && !s->timed_out)
        assert_int_equal(
            watch_park(s->pair.watch, s->scope, s->until, "session", session_main, s, &e), 0);
}

FIBER_TEST(test_park)
{
    struct scope scope;
    struct session a = {.scope = &scope, .until = DEADLINE_NONE}, b = a;
    struct err e;

    scope_init(&scope);
    a.pair = pair_open();
    b.pair = pair_open();
    b.until = run_now() + 5;
    start(&scope, session_main, &a);
    start(&scope, session_main, &b);
    assert_int_equal(fiber_yield(&e), 0);
    assert_int_equal(a.turns, 1);
    assert_int_equal(scope.count, 2);
    assert_int_equal(write(a.pair.peer, "abc", 3), 3);
    assert_int_equal(fiber_sleep(8, &e), 0);
    assert_int_equal(a.turns, 2);
    assert_int_equal(a.octets, 3);
    assert_true(b.timed_out);
    assert_int_equal(scope.count, 1);
    scope_cancel(&scope);
    scope_join(&scope);
    assert_true(a.cancelled);
    assert_int_equal(a.turns, 3);
    start(&scope, session_main, &a); /* of a scope that is cancelled already */
    scope_join(&scope);
    pair_close(&a.pair);
    pair_close(&b.pair);
}

static void ends_at_once(void *arg)
{
    bool *ran = arg;

    assert_true(fiber_cancelled());
    *ran = true;
}

FIBER_TEST(test_park_cancelled_before)
{
    struct pair p = pair_open();
    struct scope scope;
    struct err e;
    bool ran = false;

    scope_init(&scope);
    scope_cancel(&scope);
    assert_int_equal(
        watch_park(p.watch, &scope, DEADLINE_NONE, "session", ends_at_once, &ran, &e), 0);
    assert_int_equal(fiber_yield(&e), 0);
    assert_true(ran);
    assert_int_equal(scope.count, 0);
    pair_close(&p);
}

/* A reset: libuv reports an error and stops by itself; a later wait has to start again. */
FIBER_TEST(test_error)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listening = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0);
    struct linger now = {.l_onoff = 1};
    socklen_t len = sizeof a;
    struct watch *w;
    struct err e;
    char c;

    assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(watch_open(&w, accept(listening, NULL, NULL), &e), 0);
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(peer);
    assert_int_equal(watch_wait(w, WATCH_READ, &e), 0);
    assert_int_equal(read(watch_fd(w), &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    fiber_deadline_shorten(run_now() + 5000);
    assert_int_equal(watch_wait(w, WATCH_READ, &e), 0);
    assert_int_equal(read(watch_fd(w), &c, 1), 0);
    assert_int_equal(watch_wait(w, WATCH_WRITE, &e), 0);
    fiber_deadline_restore(DEADLINE_NONE);
    watch_close(&w);
    close(listening);
}

/* A parked session for whose stack there is no memory when input comes waits until there is. */
FIBER_TEST(test_park_starved)
{
    struct scope scope;
    struct session a = {.scope = &scope, .until = DEADLINE_NONE};
    struct err e = {0};

    scope_init(&scope);
    a.pair = pair_open();
    mem_fail_at(1);
    assert_int_equal(
        watch_park(a.pair.watch, &scope, a.until, "session", session_main, &a, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(scope.count, 0);
    mem_fail_at(0);
    assert_int_equal(watch_park(a.pair.watch, &scope, a.until, "session", session_main, &a, &e), 0);
    assert_int_equal(write(a.pair.peer, "x", 1), 1);
    mem_fail_at(1);
    assert_int_equal(fiber_sleep(2, &e), 0);
    assert_int_equal(a.turns, 0);
    assert_int_equal(mem_fail_at(0), 1);
    assert_int_equal(fiber_sleep(110, &e), 0);
    assert_int_equal(a.turns, 1);
    assert_int_equal(a.octets, 1);
    scope_cancel(&scope);
    scope_join(&scope);
    pair_close(&a.pair);
}

FIBER_TEST(test_failures)
{
    struct watch *w = NULL;
    struct err e = {0};
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    assert_true(file >= 0);
    assert_int_equal(watch_open(&w, file, &e), -1); /* epoll takes no files */
    assert_int_equal(e.os, EPERM);
    mem_fail_at(1);
    assert_int_equal(watch_open(&w, file, &e), -1);
    mem_fail_at(0);
    assert_null(w);
    assert_int_equal(close(file), 0); /* still the caller's */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_input_while_busy),
        cmocka_unit_test(test_hang_up),
        cmocka_unit_test(test_reader_and_writer),
        cmocka_unit_test(test_deadline_and_data),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_descriptor_reused),
        cmocka_unit_test(test_park),
        cmocka_unit_test(test_park_cancelled_before),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_park_starved),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
