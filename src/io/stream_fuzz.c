#include "io/stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* However input is cut into pieces, the lines are those of the whole: the first octet is the limit
 * of a line, the second the size of a piece, the rest the input. */
struct run {
    struct str input, expected;
    size_t max, piece;
    int peer;
    struct stream *stream;
    struct scope scope;
};

static void send_pieces(void *arg)
{
    struct run *r = arg;

    for (struct str left = r->input; left.n; left = str_from(left, r->piece)) {
        struct str piece = str_head(left, r->piece);
        CHECK(send(r->peer, piece.p, piece.n, MSG_NOSIGNAL) == (ssize_t)piece.n);
        CHECK(fiber_yield(NULL) == 0);
    }
    close(r->peer);
}

/* The model, over the whole: a line within the limit, or an overlong one whose first octets are
 * dropped until its end. */
static void expect_line(struct run *r, struct str line)
{
    ptrdiff_t at = str_find_str(str_head(r->expected, r->max), STR("\r\n"));

    CHECK(at >= 0 && str_eq(line, str_head(r->expected, (size_t)at)));
    r->expected = str_from(r->expected, (size_t)at + 2);
}

static void expect_too_long(struct run *r)
{
    CHECK(r->expected.n >= r->max);
    CHECK(str_find_str(str_head(r->expected, r->max), STR("\r\n")) < 0);
}

static int skip(struct run *r, struct err *e)
{
    ptrdiff_t at = str_find_str(r->expected, STR("\r\n"));
    int rc = stream_skip_line(r->stream, STREAM_IN_MAX, e);

    if (rc == 0) {
        CHECK(at >= 0);
        r->expected = str_from(r->expected, (size_t)at + 2);
    } else {
        CHECK(at < 0);
    }
    return rc;
}

static void read_lines(void *arg)
{
    struct run *r = arg;
    struct err e = {0};
    struct str line;
    bool ready;
    int rc;

    do {
        ready = stream_has_line(r->stream, r->max);
        rc = stream_read_line(r->stream, r->max, &line, &e);
        CHECK(!ready || rc >= 0);
        if (rc == 0)
            expect_line(r, line);
        if (rc == 1) {
            expect_too_long(r);
            rc = skip(r, &e);
        }
    } while (rc == 0);
    CHECK(e.class == ERR_CLOSED);
    CHECK(str_find_str(str_head(r->expected, r->max), STR("\r\n")) < 0);
    CHECK(stream_octets_in(r->stream) == r->input.n);
    stream_close(&r->stream);
    run_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct run r = {0};
    int fds[2];

    if (n < 2 || n > 4096)
        return 0;
    r.max = 2 + data[0];
    r.piece = 1 + data[1];
    r.input = r.expected = str_of((const char *)data + 2, n - 2);
    CHECK(run_open(NULL) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    r.peer = fds[1];
    CHECK(stream_open(&r.stream, fds[0], NULL) == 0);
    scope_init(&r.scope);
    CHECK(fiber_start(&r.scope, "reader", read_lines, &r, NULL) == 0);
    CHECK(fiber_start(&r.scope, "sender", send_pieces, &r, NULL) == 0);
    run_loop();
    scope_cancel(&r.scope);
    scope_join(&r.scope);
    run_close();
    return 0;
}
