/* bench/fiber.c: what a fiber costs. First a park and resume, a start, and the memory of one that
 * waits; then an echo of 64 octets over 100 connections, served in turn by fibers over streams and
 * by a bare epoll loop, each loaded by a child process. Rates of single runs vary by a third:
 * compare medians, and CPU a request.
 *
 *     fiber [SECONDS]
 */
#include "run/fiber.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#include "io/stream.h"

enum {
    CONNECTIONS = 100,
    OCTETS = 64,
    SWITCHES = 10000000,
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- park and resume: two fibers that wake each other */

static struct cond turn_of[2];

static void ping_pong(void *arg)
{
    unsigned me = *(unsigned *)arg;
    struct err e;

    for (int i = 0; i < SWITCHES / 2; i++) {
        cond_wake_one(&turn_of[!me]);
        CHECK(cond_wait(&turn_of[me], "turn", &e) == 0);
    }
    cond_wake_one(&turn_of[!me]);
    if (me)
        run_stop();
}

static void bench_switch(void)
{
    static unsigned ids[2] = {0, 1};
    struct scope scope;
    struct err e;
    uint64_t start = now_ns(CLOCK_MONOTONIC);

    scope_init(&scope);
    for (int i = 0; i < 2; i++)
        CHECK(fiber_start(&scope, "ping", ping_pong, &ids[i], &e) == 0);
    run_loop();
    printf("park and resume, with its condition: %.1f ns\n",
        (double)(now_ns(CLOCK_MONOTONIC) - start) / SWITCHES);
}

/* ---- starting, running and ending a fiber */

static void nothing(void *arg)
{
    (void)arg;
}

static void starter(void *arg)
{
    struct scope scope;
    struct err e;
    uint64_t start = now_ns(CLOCK_MONOTONIC);

    (void)arg;
    scope_init(&scope);
    for (int i = 0; i < SWITCHES / 100; i++) {
        CHECK(fiber_start(&scope, "short", nothing, NULL, &e) == 0);
        scope_join(&scope);
    }
    printf("start, run and join a fiber: %.1f ns\n",
        (double)(now_ns(CLOCK_MONOTONIC) - start) / (SWITCHES / 100));
    run_stop();
}

static void bench_start(void)
{
    struct scope scope;
    struct err e;

    scope_init(&scope);
    CHECK(fiber_start(&scope, "starter", starter, NULL, &e) == 0);
    run_loop();
}

/* ---- memory of those that wait */

enum {
    WAITERS = 10000,
};

static struct cond never;

static void waiter(void *arg)
{
    struct err e;

    (void)arg;
    (void)cond_wait(&never, "never", &e);
}

/* Lines of a file in /proc, or the n-th number in its first one. */
static unsigned long proc_number(const char *path, int nth)
{
    FILE *f = fopen(path, "re");
    unsigned long value = 0;
    char line[256], *rest = line;

    CHECK(f);
    if (nth < 0) {
        for (int c; (c = getc(f)) != EOF;)
            value += c == '\n';
    } else {
        CHECK(fgets(line, sizeof line, f));
        for (int i = 0; i <= nth; i++)
            value = strtoul(rest, &rest, 10);
    }
    fclose(f);
    return value;
}

static void count_waiters(void *arg)
{
    unsigned long pages = proc_number("/proc/self/statm", 1);
    unsigned long maps = proc_number("/proc/self/maps", -1);
    struct scope scope;
    struct err e;

    (void)arg;
    scope_init(&scope);
    for (int i = 0; i < WAITERS; i++)
        CHECK(fiber_start(&scope, "waiter", waiter, NULL, &e) == 0);
    CHECK(fiber_yield(&e) == 0);
    printf("a waiting fiber: %.1f KiB resident, %.2f mappings\n",
        (double)(proc_number("/proc/self/statm", 1) - pages) * 4 / WAITERS,
        (double)(proc_number("/proc/self/maps", -1) - maps) / WAITERS);
    scope_cancel(&scope);
    scope_join(&scope);
    run_stop();
}

static void bench_memory(void)
{
    struct scope scope;
    struct err e;

    scope_init(&scope);
    CHECK(fiber_start(&scope, "count", count_waiters, NULL, &e) == 0);
    run_loop();
}

/* ---- echo */

static uint64_t served;

static void echo(void *arg)
{
    struct stream *s = arg;
    struct err e;

    while (stream_fill(s, &e) == 0) {
        struct str in = stream_input(s);
        if (stream_write(s, in, &e) < 0)
            break;
        stream_consume(s, in.n);
        served++;
    }
    stream_close(&s);
}

static void echo_all(void *arg)
{
    const int *fds = arg;
    struct scope scope;
    struct err e;

    scope_init(&scope);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct stream *s;
        CHECK(stream_open(&s, fds[i], &e) == 0);
        CHECK(fiber_start(&scope, "echo", echo, s, &e) == 0);
    }
    scope_join(&scope);
    run_stop();
}

static void serve_fibers(int *fds)
{
    struct scope scope;
    struct err e;

    scope_init(&scope);
    CHECK(fiber_start(&scope, "all", echo_all, fds, &e) == 0);
    run_loop();
}

static void serve_epoll(int *fds)
{
    struct epoll_event events[CONNECTIONS];
    int ep = epoll_create1(0), left = CONNECTIONS;

    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event want = {.events = EPOLLIN | EPOLLET, .data.fd = fds[i]};
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &want) == 0);
    }
    while (left) {
        int n = epoll_wait(ep, events, CONNECTIONS, -1);
        for (int i = 0; i < n; i++) {
            static char text[16384];
            ssize_t got = recv(events[i].data.fd, text, sizeof text, MSG_DONTWAIT);
            if (got > 0 && !(events[i].events & EPOLLHUP)) {
                (void)send(events[i].data.fd, text, (size_t)got, MSG_NOSIGNAL);
                served++;
            } else if (got >= 0 || errno != EAGAIN) {
                close(events[i].data.fd);
                left--;
            }
        }
    }
    close(ep);
}

/* One request in flight on each connection, until the time is up. */
static void load(const int *fds, uint64_t seconds)
{
    struct epoll_event events[CONNECTIONS];
    uint64_t end = now_ns(CLOCK_MONOTONIC) + seconds * 1000000000;
    char text[OCTETS] = "";
    int ep = epoll_create1(0);

    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event want = {.events = EPOLLIN, .data.fd = fds[i]};
        CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &want) == 0);
        CHECK(send(fds[i], text, OCTETS, 0) == OCTETS);
    }
    while (now_ns(CLOCK_MONOTONIC) < end) {
        int n = epoll_wait(ep, events, CONNECTIONS, -1);
        for (int i = 0; i < n; i++) {
            ssize_t got = recv(events[i].data.fd, text, OCTETS, 0);
            CHECK(got > 0 && send(events[i].data.fd, text, (size_t)got, 0) == got);
        }
    }
    _exit(0);
}

static void bench_echo(const char *name, void (*serve)(int *fds), uint64_t seconds)
{
    int pair[CONNECTIONS][2], ours[CONNECTIONS], theirs[CONNECTIONS];
    uint64_t wall = now_ns(CLOCK_MONOTONIC), cpu;
    pid_t child;

    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair[i]) == 0);
        ours[i] = pair[i][0];
        theirs[i] = pair[i][1];
    }
    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    for (int i = 0; i < CONNECTIONS; i++)
        close(child ? theirs[i] : ours[i]);
    if (child == 0)
        load(theirs, seconds);
    served = 0;
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    serve(ours);
    cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = now_ns(CLOCK_MONOTONIC) - wall;
    CHECK(waitpid(child, NULL, 0) == child);
    printf("echo by %s: %.0f a second, %.2f us CPU each\n", name,
        (double)served * 1e9 / (double)wall, (double)cpu / 1e3 / (double)served);
}

int main(int argc, char **argv)
{
    uint64_t seconds = 2;
    struct err e;

    if (argc > 2 || (argc == 2 && !str_to_u64(str_c(argv[1]), 60, &seconds))) {
        fprintf(stderr, "usage: fiber [SECONDS]\n");
        return 64;
    }
    CHECK(run_open(&e) == 0);
    bench_switch();
    bench_start();
    bench_memory();
    for (int i = 0; i < 3; i++) {
        bench_echo("fibers", serve_fibers, seconds);
        bench_echo("epoll", serve_epoll, seconds);
    }
    run_close();
    return 0;
}
