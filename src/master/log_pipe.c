#include "master/log_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    HELD_MAX = 65536, /* octets of one pipe that are not passed on yet; also the longest line */
    READ_STEP = 16384,
    AGAIN_MS = 20,
};

struct log_pipe {
    struct watch *watch;
    struct log_sink *sink;
    struct buf held;
};

void log_sink_open(struct log_sink *s)
{
    struct stat st;
    int fd = -1;

    if (fstat(STDERR_FILENO, &st) == 0 && S_ISFIFO(st.st_mode))
        fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    *s = (struct log_sink){.fd = fd >= 0 ? fd : STDERR_FILENO};
    cond_init(&s->free);
}

/* Writes all of it; gives up when the reader has gone or the fiber is cancelled. */
static int write_all(struct log_sink *s, struct str text)
{
    while (text.n) {
        /* A pipe takes so much whole or not at all, also from other processes. */
        ssize_t n = write(s->fd, text.p, text.n < PIPE_BUF ? text.n : PIPE_BUF);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (n > 0)
            text = str_from(text, (size_t)n);
        else if (fiber_sleep(AGAIN_MS, NULL) < 0)
            return -1;
    }
    return 0;
}

/* The longest run of whole lines, at most PIPE_BUF octets where lines are shorter than that. */
static struct str whole_lines(struct str held, bool all)
{
    struct str head = str_head(held, PIPE_BUF);
    ptrdiff_t end = str_find_last(head, '\n');

    if (end < 0)
        end = str_find(held, '\n');
    if (end >= 0)
        return str_head(held, (size_t)end + 1);
    return all ? held : str_head(held, 0);
}

static void pass_on(struct log_pipe *p, bool all)
{
    struct log_sink *s = p->sink;
    struct str lines;

    while (s->busy)
        if (cond_wait(&s->free, "log", NULL) < 0)
            return;
    s->busy = true;
    while ((lines = whole_lines(buf_str(&p->held), all)).n) {
        if (write_all(s, lines) < 0) {
            buf_clear(&p->held);
            break;
        }
        if (lines.p[lines.n - 1] != '\n')
            write_all(s, STR("\n"));
        buf_consume(&p->held, lines.n);
    }
    s->busy = false;
    cond_wake_one(&s->free);
}

static void read_pipe(void *arg)
{
    struct log_pipe *p = arg;

    for (;;) {
        char *to = buf_reserve(&p->held, READ_STEP);
        ssize_t n = to ? read(watch_fd(p->watch), to, READ_STEP) : 0;
        if (n > 0) {
            buf_advance(&p->held, (size_t)n);
            pass_on(p, buf_len(&p->held) > HELD_MAX - READ_STEP);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR) ||
                   watch_wait(p->watch, WATCH_READ, NULL) < 0) {
            break;
        }
    }
    pass_on(p, true);
    watch_close(&p->watch);
    buf_done(&p->held);
    mem_free(p);
}

int log_pipe_open(struct scope *scope, struct log_sink *sink, int *end, struct err *e)
{
    struct log_pipe *p = MEM_NEW(struct log_pipe);
    int fds[2];

    if (!p)
        return err_memory(e, "master");
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        mem_free(p);
        return err_os(e, errno, "master", "pipe");
    }
    p->sink = sink;
    buf_init(&p->held, HELD_MAX);
    if (watch_open(&p->watch, fds[0], e) < 0) {
        close(fds[0]);
    } else if (fiber_start(scope, "log", read_pipe, p, e) == 0) {
        *end = fds[1];
        return 0;
    } else {
        watch_close(&p->watch);
    }
    close(fds[1]);
    mem_free(p);
    return -1;
}
