#include "master/log_pipe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

#include "run/run_test.h"

enum {
    PIPES = 3,
    LINES = 400,
    PIECE = 61, /* octets of a write, so that lines come in pieces */
    TEXT = 1 << 20,
};

static char text[TEXT];
static size_t text_n;
static struct log_sink sink;
static int out; /* where the sink can be read */

static void open_sink(void)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    fcntl(fds[1], F_SETPIPE_SZ, 4096);
    sink = (struct log_sink){.fd = fds[1]};
    cond_init(&sink.free);
    out = fds[0];
    text_n = 0;
}

/* Reads, slowly, all that is written until the fibers of the scope have ended. */
static void read_sink(struct scope *s)
{
    for (;;) {
        bool last = s->count == 0;
        ssize_t n = read(out, text + text_n, 777);
        assert_true(text_n < TEXT - 1000);
        if (n > 0)
            text_n += (size_t)n;
        else if (last)
            break;
        assert_int_equal(fiber_yield(NULL), 0);
    }
    close(out);
    close(sink.fd);
}

struct writer {
    int fd;
    unsigned number;
};

static size_t make_line(char *to, size_t size, unsigned writer, unsigned line)
{
    return (size_t)snprintf(to, size, "<%u %u %*s>\n", writer, line, (int)(line % 200), "x");
}

static void write_lines(void *arg)
{
    struct writer *w = arg;
    char line[300];

    for (unsigned i = 0; i < LINES; i++) {
        struct str rest = str_of(line, make_line(line, sizeof line, w->number, i));
        while (rest.n) {
            ssize_t done = write(w->fd, rest.p, rest.n < PIECE ? rest.n : PIECE);
            if (done > 0)
                rest = str_from(rest, (size_t)done);
            fiber_yield(NULL);
        }
    }
    close(w->fd);
}

FIBER_TEST(test_lines_stay_whole)
{
    static struct writer writers[PIPES];
    unsigned next[PIPES] = {0};
    struct str rest, line;
    struct scope s;

    open_sink();
    scope_init(&s);
    for (unsigned i = 0; i < PIPES; i++) {
        writers[i].number = i;
        assert_int_equal(log_pipe_open(&s, &sink, &writers[i].fd, NULL), 0);
        assert_int_equal(fiber_start(&s, "writer", write_lines, &writers[i], NULL), 0);
    }
    read_sink(&s);
    scope_join(&s);
    for (rest = str_of(text, text_n); str_cut(&rest, '\n', &line);) {
        char expected[300];
        unsigned w = line.n > 1 ? (unsigned)(line.p[1] - '0') : PIPES;
        assert_true(w < PIPES);
        make_line(expected, sizeof expected, w, next[w]++);
        assert_true(str_eq(line, str_head(str_c(expected), strlen(expected) - 1)));
    }
    for (unsigned i = 0; i < PIPES; i++)
        assert_int_equal(next[i], LINES);
}

static void write_last_words(void *arg)
{
    struct writer *w = arg;
    size_t n = 0;

    while (n < 200000) {
        ssize_t done = write(w->fd, "zzzzzzzzzzzzzzzzzzzz", 20);
        if (done > 0)
            n += (size_t)done;
        else
            fiber_yield(NULL);
    }
    close(w->fd);
}

/* A line without an end is passed on in parts that end, and nothing of it is lost. */
FIBER_TEST(test_line_without_end)
{
    struct writer w = {0};
    struct scope s;
    size_t z = 0;

    open_sink();
    scope_init(&s);
    assert_int_equal(log_pipe_open(&s, &sink, &w.fd, NULL), 0);
    assert_int_equal(fiber_start(&s, "writer", write_last_words, &w, NULL), 0);
    read_sink(&s);
    scope_join(&s);
    for (size_t i = 0; i < text_n; i++)
        z += text[i] == 'z';
    assert_int_equal(z, 200000);
    assert_int_equal(text[text_n - 1], '\n');
}

/* When nobody reads any more, the logs are dropped and their fibers end. */
FIBER_TEST(test_reader_gone)
{
    struct writer w = {0};
    struct scope s;

    open_sink();
    close(out);
    scope_init(&s);
    assert_int_equal(log_pipe_open(&s, &sink, &w.fd, NULL), 0);
    assert_int_equal(fiber_start(&s, "writer", write_lines, &w, NULL), 0);
    scope_join(&s);
    close(sink.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_stay_whole),
        cmocka_unit_test(test_line_without_end),
        cmocka_unit_test(test_reader_gone),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
