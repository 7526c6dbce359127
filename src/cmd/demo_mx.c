#include "cmd/demo_mx.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/mem.h"

#include "io/net.h"
#include "io/stream.h"

#include "cmd/demo_server.h"

enum {
    LINE_OCTETS = 2048,
    SAID_MAX = 64 * 1024,
    IDLE_MS = 60 * 1000,
    LINGER_MS = 1000,
    SHOW_MS = 30 * 1000,
    POLL_MS = 100,
    SHOWN_LINES = 8,
    PORTS_TRIED = 50,
};

/* Behind the last line of a conversation in which a message was taken. */
#define TAKEN "\f"

static struct scope sessions;
static bool greylisted; /* somebody was told to come again */

struct session {
    struct stream *stream;
    bool refused; /* the recipient of this transaction */
    unsigned lines;
};

static void print_line(const char *who, struct str line)
{
    struct buf text;

    buf_init(&text, SAID_MAX);
    escape_put(&text, line, ESCAPE_TERMINAL);
    printf("  %s %.*s\n", who, STR_ARG(buf_str(&text)));
    fflush(stdout);
    buf_done(&text);
}

static int answer(struct session *s, const char *text, struct err *e)
{
    print_line("mx:", str_c(text));
    return stream_printf(s->stream, e, "%s\r\n", text);
}

/* ---- what is said */

static int on_hello(struct session *s, struct str line, struct err *e)
{
    if (str_starts_ascii(line, STR("HELO")))
        return answer(s, "250 mx.elsewhere.test", e);
    if (answer(s, "250-mx.elsewhere.test", e) < 0)
        return -1;
    return answer(s, "250 8BITMIME", e);
}

static int on_rcpt(struct session *s, struct str line, struct err *e)
{
    (void)line;
    s->refused = !greylisted;
    greylisted = true;
    return answer(
        s, s->refused ? "451 4.7.1 Greylisted, please try again later" : "250 2.1.5 Ok", e);
}

static void show_content(struct session *s, struct str line)
{
    if (s->lines++ < SHOWN_LINES)
        print_line("us:", str_trim_left(line));
}

static int on_data(struct session *s, struct str command, struct err *e)
{
    struct str line = command;
    int long_line;

    if (s->refused)
        return answer(s, "503 5.5.1 No valid recipients", e);
    if (answer(s, "354 Go ahead", e) < 0)
        return -1;
    s->lines = 0;
    while ((long_line = stream_read_line(s->stream, LINE_OCTETS, &line, e)) == 0 &&
           !str_eq(line, STR(".")))
        show_content(s, line);
    if (long_line)
        return -1;
    printf("  us: (%u lines, and the final dot)\n", s->lines);
    if (answer(s, "250 2.0.0 Taken", e) < 0 || stream_flush(s->stream, e) < 0)
        return -1;
    printf(TAKEN "\n");
    fflush(stdout);
    return 0;
}

static int on_quit(struct session *s, struct str line, struct err *e)
{
    (void)line;
    if (answer(s, "221 2.0.0 Bye", e) < 0)
        return -1;
    return err_set(e, ERR_CLOSED, "demo", "quit");
}

static int on_other(struct session *s, struct str line, struct err *e)
{
    (void)line;
    return answer(s, "250 2.0.0 Ok", e);
}

static int obey(struct session *s, struct str line, struct err *e)
{
    static const struct {
        struct str verb;
        int (*fn)(struct session *s, struct str line, struct err *e);
    } verbs[] = {
        {STR_INIT("EHLO"), on_hello},
        {STR_INIT("HELO"), on_hello},
        {STR_INIT("RCPT"), on_rcpt},
        {STR_INIT("DATA"), on_data},
        {STR_INIT("QUIT"), on_quit},
        {STR_INIT(""), on_other},
    };

    print_line("us:", line);
    for (size_t i = 0;; i++)
        if (str_starts_ascii(line, verbs[i].verb))
            return verbs[i].fn(s, line, e);
}

static void session_fiber(void *arg)
{
    struct session *s = arg;
    struct str line;
    struct err e;

    fiber_deadline_shorten(run_now() + IDLE_MS);
    if (answer(s, "220 mx.elsewhere.test ESMTP", &e) == 0)
        while (stream_read_line(s->stream, LINE_OCTETS, &line, &e) == 0 && obey(s, line, &e) == 0)
            continue;
    stream_finish(&s->stream, &sessions, LINGER_MS);
    mem_free(s);
}

static void on_connection(void *arg, int fd, const struct net_address *peer)
{
    struct session *s = MEM_NEW(struct session);

    (void)arg;
    (void)peer;
    if (!s || stream_open(&s->stream, fd, NULL) < 0) {
        if (!s)
            close(fd);
        mem_free(s);
        return;
    }
    printf("\n");
    if (fiber_start(&sessions, "session", session_fiber, s, NULL) < 0) {
        stream_close(&s->stream);
        mem_free(s);
    }
}

/* ---- its process */

static void serve(int fd)
{
    struct listener *listener;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    if (run_open(NULL) < 0)
        _exit(EXIT_FAILURE);
    scope_init(&sessions);
    if (listener_open(&listener, fd, on_connection, NULL, NULL) < 0)
        _exit(EXIT_FAILURE);
    run_loop();
    _exit(EXIT_SUCCESS);
}

static int spawn(struct demo_mx *mx, int fd, struct err *e)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_os(e, errno, "demo", "pipe");
    fflush(stdout);
    mx->pid = fork();
    if (mx->pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        /* Rather than wait for somebody who no longer looks. */
        fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
        serve(fd);
    }
    close(ends[1]);
    mx->said = ends[0];
    if (mx->pid < 0) {
        close(mx->said);
        mx->pid = 0;
        return err_os(e, errno, "demo", "fork");
    }
    return 0;
}

static int listen_somewhere(unsigned *port, int *fd, struct err *e)
{
    for (unsigned last = *port + PORTS_TRIED;; ++*port) {
        struct net_address a = {.len = sizeof a.in,
            .in = {.sin_family = AF_INET,
                .sin_port = htons((uint16_t)*port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        if (net_listen(&a, 0, 16, fd, 1, e) == 0)
            return 0;
        if (*port == last)
            return -1;
    }
}

int demo_mx_start(struct demo_mx *mx, struct err *e)
{
    int fd, rc;

    mx->pid = 0;
    if (listen_somewhere(&mx->port, &fd, e) < 0)
        return -1;
    rc = spawn(mx, fd, e);
    close(fd);
    return rc;
}

/* 1: it has taken a message. */
static int show_some(struct demo_mx *mx, struct err *e)
{
    char octets[1024];
    ssize_t n = read(mx->said, octets, sizeof octets);
    const char *end;

    if (n <= 0)
        return err_set(e, ERR_TEMPORARY, "demo", "the other host has ended");
    end = memchr(octets, TAKEN[0], (size_t)n);
    fwrite(octets, 1, end ? (size_t)(end - octets) : (size_t)n, stdout);
    return end != NULL;
}

int demo_mx_show(struct demo_mx *mx, struct err *e)
{
    struct pollfd p = {.fd = mx->said, .events = POLLIN};
    int taken = 0;

    /* Ctrl-C waits to be asked for. */
    for (int waited = 0; taken == 0 && waited < SHOW_MS; waited += POLL_MS) {
        if (demo_server_interrupted())
            return err_set(e, ERR_CANCELLED, "demo", "interrupted");
        while (taken == 0 && poll(&p, 1, POLL_MS) > 0)
            taken = show_some(mx, e);
    }
    if (taken == 0)
        return err_set(e, ERR_DEADLINE, "demo", "the other host got no mail");
    return taken < 0 ? -1 : 0;
}

void demo_mx_stop(struct demo_mx *mx)
{
    if (mx->pid <= 0)
        return;
    kill(mx->pid, SIGKILL);
    while (waitpid(mx->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(mx->said);
    mx->pid = 0;
}
