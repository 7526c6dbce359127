#include "io/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#include "run/run_test.h"

/* The far end of each stream under test is a plain socket. */
static int peer;

static void unix_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
}

static void tcp_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&a, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&a, sizeof a), 0);
    fds[0] = accept(listening, NULL, NULL);
    assert_true(fds[0] >= 0);
    close(listening);
}

static struct stream *open_on(void (*pair)(int fds[2]))
{
    struct stream *s = NULL;
    int fds[2];

    pair(fds);
    peer = fds[1];
    assert_int_equal(stream_open(&s, fds[0], NULL), 0);
    assert_int_equal(stream_fd(s), fds[0]);
    return s;
}

static void close_both(struct stream **s)
{
    stream_close(s);
    stream_close(s);
    close(peer);
}

static void send_text(struct str text)
{
    assert_int_equal(send(peer, text.p, text.n, MSG_NOSIGNAL), (ssize_t)text.n);
}

/* What the peer has received so far, as a string. */
static const char *received(void)
{
    static char text[256];
    ssize_t n = recv(peer, text, sizeof text - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = 0;
    return text;
}

/* Writes its text an octet at a time, a turn between them. */
static void dribble(void *arg)
{
    struct str *text = arg;
    struct err e;

    for (size_t i = 0; i < text->n; i++) {
        send_text(str_sub(*text, i, 1));
        assert_int_equal(fiber_yield(&e), 0);
    }
}

/* RFC 5321 2.3.8: only CRLF ends a line; a lone CR or LF is part of it. */
static const struct line_case {
    struct str input, first, second;
} line_cases[] = {
    {STR_INIT("a\r\nb\r\n"), STR_INIT("a"), STR_INIT("b")},
    {STR_INIT("\r\n\r\n"), STR_INIT(""), STR_INIT("")},
    {STR_INIT("a\nb\r\nc\r\n"), STR_INIT("a\nb"), STR_INIT("c")},
    {STR_INIT("a\rb\r\n\n\r\n"), STR_INIT("a\rb"), STR_INIT("\n")},
    {STR_INIT("a\r\r\n\r\r\r\n"), STR_INIT("a\r"), STR_INIT("\r\r")},
    {STR_INIT("a\n\r\nb\r\n"), STR_INIT("a\n"), STR_INIT("b")},
    {STR_INIT("\0\xff\r\n\0\r\n"), STR_INIT("\0\xff"), STR_INIT("\0")},
};

static void expect_line(struct stream *s, size_t max, struct str want)
{
    struct str line;
    struct err e = {0};

    assert_int_equal(stream_read_line(s, max, &line, &e), 0);
    assert_int_equal(line.n, want.n);
    assert_memory_equal(line.p ? line.p : "", want.p, want.n);
}

static void check_lines(void (*pair)(int fds[2]))
{
    for (size_t i = 0; i < sizeof line_cases / sizeof *line_cases; i++) {
        struct line_case c = line_cases[i];
        struct stream *s = open_on(pair);
        struct scope scope;
        scope_init(&scope);
        send_text(c.input);
        expect_line(s, 16, c.first);
        expect_line(s, 16, c.second);
        assert_int_equal(fiber_start(&scope, "dribble", dribble, &c.input, NULL), 0);
        expect_line(s, 16, c.first);
        expect_line(s, 16, c.second);
        scope_join(&scope);
        assert_true(stream_idle(s));
        assert_int_equal(stream_octets_in(s), 2 * c.input.n);
        close_both(&s);
    }
}

FIBER_TEST(test_lines)
{
    check_lines(unix_pair);
    check_lines(tcp_pair);
}

/* A line of exactly the limit with its CRLF is one; an octet more is none, and nothing is lost. */
static void check_limit(size_t max, bool dribbled)
{
    static char text[2 * STREAM_IN_MAX];

    for (size_t n = max > 2 ? max - 1 : 2; n <= max + 1; n++) {
        struct stream *s = open_on(unix_pair);
        struct str line, all = str_of(text, n);
        struct scope scope;
        struct err e = {0};
        int big = 4 * STREAM_IN_MAX, rc;
        setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
        memset(text, 'x', n);
        memcpy(text + n - 2, "\r\n", 2);
        scope_init(&scope);
        if (dribbled)
            assert_int_equal(fiber_start(&scope, "dribble", dribble, &all, NULL), 0);
        else
            send_text(all);
        rc = stream_read_line(s, max, &line, &e);
        assert_int_equal(rc, n > max);
        if (rc == 0) {
            assert_int_equal(line.n, n - 2);
            assert_false(stream_has_line(s, max));
        } else {
            assert_true(stream_has_line(s, max));
            assert_int_equal(stream_skip_line(s, max + 1, &e), 0);
        }
        scope_join(&scope);
        assert_true(stream_idle(s));
        close_both(&s);
    }
}

FIBER_TEST(test_line_limits)
{
    check_limit(2, true);
    check_limit(3, true);
    check_limit(512, true); /* RFC 5321 4.5.3.1.4 */
    check_limit(1000, false);
    check_limit(16384, false);
    check_limit(STREAM_IN_MAX - 1, false);
    check_limit(STREAM_IN_MAX, false);
}

/* Skipping counts octets with the CRLF, keeps half a CRLF, and stops at its limit. */
static const struct skip_case {
    struct str input;
    size_t max;
    int rc;
    struct str rest;
} skip_cases[] = {
    {STR_INIT("abc\r\nrest"), 5, 0, STR_INIT("rest")},
    {STR_INIT("abc\r\nrest"), 4, 1, STR_INIT("\r\nrest")},
    {STR_INIT("abc\r\nrest"), 3, 1, STR_INIT("\r\nrest")},
    {STR_INIT("abc\r\nrest"), 6, 0, STR_INIT("rest")},
    {STR_INIT("\r\n"), 2, 0, STR_INIT("")},
    {STR_INIT("\r\n"), 1, 1, STR_INIT("\r\n")},
    {STR_INIT("\r\r\rx"), 4, 1, STR_INIT("")},
};

FIBER_TEST(test_skip)
{
    for (size_t i = 0; i < 2 * sizeof skip_cases / sizeof *skip_cases; i++) {
        struct skip_case c = skip_cases[i / 2];
        struct stream *s = open_on(unix_pair);
        struct scope scope;
        struct err e;
        scope_init(&scope);
        if (i % 2)
            assert_int_equal(fiber_start(&scope, "dribble", dribble, &c.input, NULL), 0);
        else
            send_text(c.input);
        assert_int_equal(stream_skip_line(s, c.max, &e), c.rc);
        scope_join(&scope);
        while (stream_input(s).n < c.rest.n)
            assert_int_equal(stream_fill(s, &e), 0);
        assert_int_equal(stream_input(s).n, c.rest.n);
        assert_memory_equal(stream_input(s).p, c.rest.p, c.rest.n);
        close_both(&s);
    }
}

/* Replies to a batch leave in one write, by themselves before the session waits. */
static void late_command(void *arg)
{
    struct err e;

    (void)arg;
    assert_int_equal(fiber_yield(&e), 0);
    assert_string_equal(received(), "250 a\r\n250 b\r\n250 3\r\n");
    send_text(STR("QUIT\r\n"));
}

FIBER_TEST(test_batch)
{
    struct stream *s = open_on(tcp_pair);
    struct scope scope;
    struct err e;
    socklen_t len = sizeof(int);
    int no_delay = 0;

    assert_int_equal(getsockopt(stream_fd(s), IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    assert_true(no_delay);
    scope_init(&scope);
    send_text(STR("A\r\nB\r\nC\r\n"));
    expect_line(s, 10, STR("A"));
    assert_true(stream_has_line(s, 10));
    assert_int_equal(stream_write(s, STR("250 a\r\n"), &e), 0);
    expect_line(s, 10, STR("B"));
    assert_int_equal(stream_write(s, STR("250 b\r\n"), &e), 0);
    assert_int_equal(stream_write(s, STR(""), &e), 0);
    expect_line(s, 10, STR("C"));
    assert_false(stream_has_line(s, 10));
    assert_int_equal(stream_printf(s, &e, "250 %d\r\n", 3), 0);
    assert_false(stream_idle(s));
    assert_string_equal(received(), "");
    assert_int_equal(stream_octets_out(s), 0);
    assert_int_equal(fiber_start(&scope, "late", late_command, NULL, NULL), 0);
    expect_line(s, 10, STR("QUIT"));
    assert_int_equal(stream_octets_out(s), 21);
    scope_join(&scope);
    close_both(&s);
}

/* Much output against a slow reader arrives whole and in order. */
static size_t read_count;

static void slow_reader(void *arg)
{
    size_t want = *(size_t *)arg;
    unsigned char text[3000];
    struct err e;

    for (read_count = 0; read_count < want;) {
        ssize_t n = recv(peer, text, sizeof text, MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++, read_count++)
            assert_int_equal(text[i], (unsigned char)(read_count % 251));
        if (n <= 0 || read_count % 7 == 0)
            assert_int_equal(fiber_yield(&e), 0);
    }
}

FIBER_TEST(test_much_output)
{
    static const size_t sizes[] = {1, 250, 5000, 16383, 16384, 16385, 65535, 65536, 65537, 400000};
    static char text[400000];
    struct stream *s = open_on(unix_pair);
    struct scope scope;
    struct err e;
    size_t sum = 0, at = 0;
    int small = 4096;

    setsockopt(stream_fd(s), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        sum += sizes[i];
    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "reader", slow_reader, &sum, NULL), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            text[k] = (char)(at++ % 251);
        assert_int_equal(stream_write(s, str_of(text, sizes[i]), &e), 0);
    }
    assert_int_equal(stream_flush(s, &e), 0);
    scope_join(&scope);
    assert_int_equal(read_count, sum);
    assert_int_equal(stream_octets_out(s), sum);
    close_both(&s);
}

FIBER_TEST(test_printf)
{
    static char want[STREAM_OUT_MAX];
    struct stream *s = open_on(unix_pair);
    struct err e = {0};

    for (int n = 1022; n <= 1026; n++) {
        static char got[2000];
        assert_int_equal(stream_printf(s, &e, "%0*d", n, 7), 0);
        assert_int_equal(stream_flush(s, &e), 0);
        assert_int_equal(recv(peer, got, sizeof got, 0), n);
        assert_int_equal(got[n - 1], '7');
    }
    memset(want, 'x', sizeof want - 1);
    assert_int_equal(stream_printf(s, &e, "%s%s", want, "y"), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    close_both(&s);
}

/* A full input buffer is an error of whoever does not consume; nothing is lost. */
FIBER_TEST(test_input_full)
{
    static char text[STREAM_IN_MAX + 100];
    struct stream *s = open_on(unix_pair);
    struct err e = {0};
    int big = 4 * STREAM_IN_MAX;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i % 251);
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    send_text(str_of(text, sizeof text));
    while (stream_input(s).n < STREAM_IN_MAX)
        assert_int_equal(stream_fill(s, &e), 0);
    assert_int_equal(stream_fill(s, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    assert_memory_equal(stream_input(s).p, text, STREAM_IN_MAX);
    stream_consume(s, 10);
    while (stream_input(s).n < STREAM_IN_MAX)
        assert_int_equal(stream_fill(s, &e), 0);
    stream_consume(s, 90);
    assert_int_equal(stream_fill(s, &e), 0);
    assert_int_equal(stream_input(s).n, STREAM_IN_MAX);
    assert_memory_equal(stream_input(s).p, text + 100, STREAM_IN_MAX);
    close_both(&s);
}

FIBER_TEST(test_end_of_file)
{
    struct stream *s = open_on(unix_pair);
    struct str line;
    struct err e = {0};

    send_text(STR("whole\r\nhalf"));
    close(peer);
    expect_line(s, 100, STR("whole"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stream_read_line(s, 100, &line, &e), -1);
        assert_int_equal(e.class, ERR_CLOSED);
        assert_int_equal(stream_input(s).n, 4);
    }
    assert_int_equal(stream_write(s, STR("x"), &e), 0);
    assert_int_equal(stream_flush(s, &e), -1); /* and no SIGPIPE */
    assert_int_equal(e.class, ERR_CLOSED);
    stream_close(&s);
}

FIBER_TEST(test_reset)
{
    struct stream *s = open_on(tcp_pair);
    struct linger now = {.l_onoff = 1};
    struct err e = {0};

    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(peer);
    assert_int_equal(stream_fill(s, &e), -1);
    assert_int_equal(e.class, ERR_CLOSED);
    assert_int_equal(e.os, ECONNRESET);
    assert_int_equal(stream_fill(s, &e), -1);
    assert_int_equal(e.class, ERR_CLOSED);
    stream_close(&s);
}

/* Deadline and cancellation outrank buffered input; a goodbye is still written. */
static void cancelled_session(void *arg)
{
    struct stream *s = arg;
    struct str line;
    struct err e = {0};

    expect_line(s, 10, STR("a"));
    assert_int_equal(stream_fill(s, &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
    assert_int_equal(stream_read_line(s, 10, &line, &e), -1);
    assert_int_equal(e.class, ERR_CANCELLED);
    assert_int_equal(stream_skip_line(s, 10, &e), -1);
    assert_int_equal(stream_write(s, STR("421 bye\r\n"), &e), 0);
    assert_int_equal(stream_flush(s, &e), 0);
}

FIBER_TEST(test_deadline_and_cancel)
{
    struct stream *s = open_on(unix_pair);
    struct scope scope;
    struct str line;
    struct err e = {0};
    uint64_t before = fiber_deadline_shorten(run_now() + 2);

    assert_int_equal(stream_read_line(s, 10, &line, &e), -1);
    assert_int_equal(e.class, ERR_DEADLINE);
    fiber_deadline_restore(before);
    send_text(STR("a\r\nb\r\n"));
    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "session", cancelled_session, s, NULL), 0);
    assert_int_equal(fiber_sleep(2, &e), 0);
    scope_cancel(&scope);
    scope_join(&scope);
    assert_string_equal(received(), "421 bye\r\n");
    close_both(&s);
}

/* A peer that always has more for us does not keep others from running, nor the deadline away: here
 * it has sent much, which is read by little, since the buffer is kept nearly full. */
static unsigned others_turns;
static bool others_end;

static void other(void *arg)
{
    struct err e;

    (void)arg;
    for (; !others_end; others_turns++)
        assert_int_equal(fiber_yield(&e), 0);
}

FIBER_TEST(test_others_run)
{
    enum {
        STEP = 100,
        STEPS = 500,
    };
    static char text[STREAM_IN_MAX - STEP + STEP * STEPS];
    struct stream *s = open_on(unix_pair);
    struct scope scope;
    struct err e = {0};
    int big = 4 * STREAM_IN_MAX;

    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    send_text(str_of(text, sizeof text));
    while (stream_input(s).n < STREAM_IN_MAX)
        assert_int_equal(stream_fill(s, &e), 0);
    others_turns = 0;
    others_end = false;
    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "other", other, NULL, NULL), 0);
    for (int i = 1; i < STEPS; i++) {
        stream_consume(s, STEP);
        assert_int_equal(stream_fill(s, &e), 0);
    }
    assert_in_range(others_turns, STEPS / 32, STEPS);
    others_end = true;
    scope_join(&scope);
    close_both(&s);
}

/* RFC 3207 4.2: what was sent before the handshake is not heard after it. */
FIBER_TEST(test_drop_input)
{
    struct stream *s = open_on(unix_pair);
    struct err e;

    send_text(STR("STARTTLS\r\nMAIL FROM:<evil@example.test>\r\n"));
    expect_line(s, 100, STR("STARTTLS"));
    assert_int_equal(stream_drop_input(s), 31);
    assert_int_equal(stream_drop_input(s), 0);
    assert_true(stream_idle(s));
    send_text(STR("EHLO x\r\n"));
    expect_line(s, 100, STR("EHLO x"));
    assert_int_equal(stream_shutdown_write(s, &e), 0);
    assert_int_equal(recv(peer, &(char){0}, 1, 0), 0);
    close_both(&s);
}

struct session {
    struct stream *stream;
    struct scope *scope;
    unsigned wakes;
};

static void parked_session(void *arg)
{
    struct session *p = arg;
    struct str line;
    struct err e;

    p->wakes++;
    if (stream_read_line(p->stream, 100, &line, &e) < 0)
        return;
    assert_true(str_eq(line, STR("NOOP")));
    assert_int_equal(stream_write(p->stream, STR("250 ok\r\n"), &e), 0);
    assert_int_equal(stream_flush(p->stream, &e), 0);
    assert_int_equal(
        stream_park(p->stream, p->scope, DEADLINE_NONE, "session", parked_session, p, &e), 0);
}

FIBER_TEST(test_park)
{
    struct scope scope;
    struct session p = {open_on(unix_pair), &scope, 0};
    struct err e;

    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "session", parked_session, &p, NULL), 0);
    for (int i = 0; i < 3; i++) {
        send_text(STR("NOOP\r\n"));
        for (int k = 0; k < 5; k++)
            assert_int_equal(fiber_yield(&e), 0);
        assert_string_equal(received(), "250 ok\r\n");
    }
    assert_int_equal(p.wakes, 3);
    close(peer);
    scope_join(&scope);
    assert_int_equal(p.wakes, 4);
    stream_close(&p.stream);
}

FIBER_TEST(test_no_memory)
{
    struct stream *s = NULL;
    struct err e = {0};
    uint64_t n = 0;
    int fds[2];

    do {
        unix_pair(fds);
        peer = fds[1];
        mem_fail_at(++n);
        if (stream_open(&s, fds[0], &e) == 0)
            break;
        mem_fail_at(0);
        assert_int_equal(e.class, ERR_TEMPORARY);
        assert_int_equal(write(fds[0], "", 1), -1); /* closed */
        close(peer);
    } while (n < 10);
    assert_int_equal(n, 3);
    mem_fail_at(1);
    send_text(STR("a\r\n"));
    assert_int_equal(stream_fill(s, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    mem_fail_at(1);
    assert_int_equal(stream_write(s, STR("x"), &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    mem_fail_at(0);
    expect_line(s, 10, STR("a"));
    close_both(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory), /* first, while no free buffers are kept */
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_line_limits),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_much_output),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_input_full),
        cmocka_unit_test(test_end_of_file),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_others_run),
        cmocka_unit_test(test_drop_input),
        cmocka_unit_test(test_park),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
