#include "cmd/demo_server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "base/temp_dir.h"

enum {
    SMTP_PORT = 2525,
    SUBMISSION_PORT = 2587,
    PORTS_TRIED = 50,
    START_POLL_MS = 100,
    STARTS_TRIED = 10,
};

/* What ends the demo. They stay blocked, and are looked for where there is something to end. */
static sigset_t ending(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

bool demo_server_interrupted(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
           sigismember(&pending, SIGHUP);
}

/* A server that has just ended may hold a port for a moment in TIME_WAIT: SO_REUSEADDR. */
static bool port_is_free(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    bool is_free;

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    is_free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return is_free;
}

static int take_port(unsigned wanted, unsigned *port, struct err *e)
{
    for (unsigned p = wanted; p < wanted + PORTS_TRIED; p++) {
        if (!port_is_free(p))
            continue;
        if (p != wanted)
            printf("port %u is taken, using %u\n", wanted, p);
        *port = p;
        return 0;
    }
    return err_set(
        e, ERR_TEMPORARY, "demo", "no free port from %u to %u", wanted, wanted + PORTS_TRIED - 1);
}

static int write_config(const struct demo_server *s, struct err *e)
{
    FILE *f = fopen(s->config_path, "we");
    int bad;

    if (!f)
        return err_os(e, errno, "demo", "%s: cannot create", s->config_path);
    fprintf(f,
        "hostname = \"mail.example.test\"\n"
        "origin   = \"example.test\"\n"
        "data     = \"%s/data\"\n"
        "listen \"mx\"         { protocol = smtp        address = {\"127.0.0.1:%u\"} }\n"
        "listen \"submission\" { protocol = submission  address = {\"127.0.0.1:%u\"} }\n"
        "relay { allow = {\"127.0.0.0/8\"} }\n"
        "queue { retry = {\"1s\", \"1m\"} }\n"
        "route \"elsewhere.test\" { via = \"smtp:[127.0.0.1]:%u\" }\n",
        s->directory, s->smtp_port, s->submission_port, s->mx_port);
    bad = ferror(f);
    if (fclose(f) != 0 || bad)
        return err_os(e, errno, "demo", "%s: cannot write", s->config_path);
    return 0;
}

static pid_t spawn(const struct demo_server *s, const char *const *args, int out)
{
    const char *argv[16] = {s->program};
    sigset_t set;
    pid_t pid;

    for (int i = 0; args[i] && i < 14; i++)
        argv[i + 1] = args[i];
    pid = fork();
    if (pid != 0)
        return pid;
    /* Ctrl-C is for the demo, which then ends the server in good order. */
    setpgid(0, 0);
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int run(const struct demo_server *s, const char *const *args, int log, struct err *e)
{
    pid_t pid = spawn(s, args, log);
    int ended = 0;

    if (pid < 0)
        return err_os(e, errno, "demo", "fork");
    while (waitpid(pid, &ended, 0) < 0 && errno == EINTR)
        continue;
    if (ended != 0)
        return err_set(e, ERR_PERMANENT, "demo", "veredus %s %s failed; see %s/log", args[0],
            args[1], s->directory);
    return 0;
}

static int fill(const struct demo_server *s, int log, struct err *e)
{
    const char *const domain[] = {"domain", "add", "-c", s->config_path, "example.test", NULL};
    const char *const alice[] = {
        "account", "add", "-c", s->config_path, "alice@example.test", "--password", "alice", NULL};
    const char *const bob[] = {
        "account", "add", "-c", s->config_path, "bob@example.test", "--password", "bob", NULL};

    if (run(s, domain, log, e) < 0 || run(s, alice, log, e) < 0)
        return -1;
    return run(s, bob, log, e);
}

/* The service manager's protocol, sd_notify(3): the server says READY=1 when it serves. */
static int notify_open(struct demo_server *s, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.80s/notify", s->directory);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        err_os(e, errno, "demo", "%s: cannot bind", a.sun_path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    setenv("NOTIFY_SOCKET", a.sun_path, 1);
    return fd;
}

static int wait_ready(struct demo_server *s, int notify, struct err *e)
{
    char text[256];
    ssize_t n = 0;

    while (waitpid(s->pid, &s->ended, WNOHANG) == 0) {
        struct pollfd p = {.fd = notify, .events = POLLIN};
        if (demo_server_interrupted())
            return err_set(e, ERR_CANCELLED, "demo", "interrupted");
        if (poll(&p, 1, START_POLL_MS) <= 0)
            continue; /* look whether it still lives */
        n = recv(notify, text, sizeof text, MSG_DONTWAIT);
        if (n > 0 && str_find_str(str_of(text, (size_t)n), STR("READY=1")) >= 0)
            return 0;
    }
    s->pid = 0;
    return err_set(e, ERR_TEMPORARY, "demo", "the server did not start; see %s/log", s->directory);
}

static int choose_ports(struct demo_server *s, struct err *e)
{
    if (take_port(SMTP_PORT, &s->smtp_port, e) < 0 ||
        take_port(SUBMISSION_PORT, &s->submission_port, e) < 0)
        return -1;
    s->smtp = (struct net_address){.len = sizeof s->smtp.in,
        .in = {.sin_family = AF_INET,
            .sin_port = htons((uint16_t)s->smtp_port),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    return write_config(s, e);
}

static int serve(struct demo_server *s, int log, int notify, struct err *e)
{
    const char *const args[] = {"serve", "-c", s->config_path, NULL};

    s->pid = spawn(s, args, log);
    if (s->pid < 0)
        return err_os(e, errno, "demo", "fork");
    return wait_ready(s, notify, e);
}

/* Between the look at a port and its use somebody else, such as another demo, may take it. */
static int serve_somewhere(struct demo_server *s, int log, int notify, struct err *e)
{
    for (int i = 0; i < STARTS_TRIED; i++) {
        if (serve(s, log, notify, e) == 0)
            return 0;
        if (s->pid || (port_is_free(s->smtp_port) && port_is_free(s->submission_port)))
            return -1;
        if (choose_ports(s, e) < 0)
            return -1;
    }
    return -1;
}

static int start(struct demo_server *s, int log, struct err *e)
{
    int notify, status;

    if (choose_ports(s, e) < 0 || fill(s, log, e) < 0 || (notify = notify_open(s, e)) < 0)
        return -1;
    status = serve_somewhere(s, log, notify, e);
    close(notify);
    return status;
}

int demo_server_start(struct demo_server *s, const char *program, unsigned mx_port, struct err *e)
{
    char path[DEMO_PATH_SIZE];
    sigset_t set = ending();
    int log, status;

    sigprocmask(SIG_BLOCK, &set, NULL);
    *s = (struct demo_server){.program = program, .mx_port = mx_port};
    if (temp_dir_make(path, DEMO_PATH_SIZE - 16, NULL, "demo") < 0)
        return err_os(e, errno, "demo", "%s: cannot create", path);
    snprintf(s->directory, sizeof s->directory, "%s", path);
    snprintf(s->config_path, sizeof s->config_path, "%s/veredus.conf", s->directory);
    snprintf(path, sizeof path, "%.240s/log", s->directory);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return err_os(e, errno, "demo", "%s: cannot create", path);
    status = start(s, log, e);
    close(log);
    return status;
}

void demo_server_wait(struct demo_server *s)
{
    sigset_t set = ending();
    siginfo_t info;

    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (waitpid(s->pid, &s->ended, WNOHANG) == 0)
        if (sigwaitinfo(&set, &info) > 0 && info.si_signo != SIGCHLD)
            return;
    s->pid = 0;
}

int demo_server_stop(struct demo_server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        while (waitpid(s->pid, &s->ended, 0) < 0 && errno == EINTR)
            continue;
        s->pid = 0;
    }
    if (s->directory[0])
        (void)temp_dir_remove(s->directory);
    return s->ended == 0 ? 0 : -1;
}
