#include "master/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#include "ipc/master_role.h"
#include "ipc/note.h"

#include "master/master_int.h"

enum {
    CHANNEL_FD = 3,
    PAGE_FD = 4,
    FDS_FIRST = 5, /* no descriptor to hand over is below */
    TITLE_SIZE = 32,
};

struct process *process_new(
    struct master *m, enum role_kind kind, enum role_class class, uint16_t index, uint16_t count)
{
    struct process *p = MEM_NEW(struct process);

    if (!p)
        return NULL;
    p->master = m;
    p->kind = kind;
    p->class = class;
    p->index = index;
    p->count = count;
    p->generation = m->generation;
    p->stop_at = DEADLINE_NONE;
    p->page = -1;
    list_add(&m->processes, &p->link);
    return p;
}

static void close_page(struct process *p)
{
    if (p->page >= 0)
        close(p->page);
    p->page = -1;
}

void process_free(struct process *p)
{
    channel_close(&p->channel);
    close_page(p);
    list_remove(&p->link);
    mem_free(p);
}

/* What the child does before it is another program; no memory is asked for here. */
static _Noreturn void become(const struct process *p, int channel, int page, int log)
{
    char title[TITLE_SIZE];
    char *argv[] = {title, NULL};
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    snprintf(title, sizeof title, "veredus: %s%s%s", role_kind_name(p->kind),
        p->class == CLASS_NONE ? "" : " ", role_class_name(p->class));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(127);
    channel = fcntl(channel, F_DUPFD_CLOEXEC, FDS_FIRST);
    page = fcntl(page, F_DUPFD_CLOEXEC, FDS_FIRST);
    if (dup2(channel, CHANNEL_FD) < 0 || dup2(page, PAGE_FD) < 0)
        _exit(127);
    if (identity_become_role(&p->master->roles[p->kind]) < 0) {
        dprintf(STDERR_FILENO, "veredus: cannot become user %s\n", p->master->roles[p->kind].name);
        _exit(127);
    }
    execv("/proc/self/exe", argv);
    dprintf(STDERR_FILENO, "veredus: cannot execute /proc/self/exe\n");
    _exit(127);
}

static int fork_child(struct process *p, int channel, int log, struct err *e)
{
    pid_t pid = fork();

    if (pid < 0)
        return err_os(e, errno, "master", "fork");
    if (pid == 0)
        become(p, channel, p->page, log);
    p->pid = pid;
    p->number = ++p->master->numbers;
    p->started_at = run_now_fresh();
    p->ready = p->killed = false;
    p->stop_at = DEADLINE_NONE;
    memset(p->linked, 0, sizeof p->linked);
    err_clear(&p->why);
    return 0;
}

/* Of a size that nobody can change. */
static int open_page(struct process *p, struct err *e)
{
    close_page(p);
    p->page = memfd_create("veredus note", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (p->page < 0 || ftruncate(p->page, NOTE_PAGE_SIZE) < 0 ||
        fcntl(p->page, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return err_os(e, errno, "master", "a page to share");
    return 0;
}

int process_spawn(struct process *p, struct scope *scope, struct log_sink *sink, struct err *e)
{
    int fds[2], log, result;

    if (open_page(p, e) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return err_os(e, errno, "master", "socketpair");
    if (log_pipe_open(scope, sink, &log, e) < 0) {
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    result = fork_child(p, fds[1], log, e);
    close(fds[1]);
    close(log);
    if (result < 0) {
        close(fds[0]);
        return -1;
    }
    /* A child without a channel ends by itself. */
    return channel_open(&p->channel, fds[0], role_kind_name(p->kind), &control_handler, p, e);
}

int process_send_config(struct process *p, const struct config *config, struct err *e)
{
    struct buf whole;
    struct str rest;
    int result = 0;

    buf_init(&whole, MR_CONFIG_MAX);
    config_encode(config, &whole);
    if (!buf_ok(&whole))
        result = err_set(e, ERR_PERMANENT, "master", "the configuration is too large");
    for (rest = buf_str(&whole); result == 0 && rest.n && p->channel;
         rest = str_from(rest, MR_PART_MAX))
        result = channel_notify(p->channel, MR_CONFIG, str_head(rest, MR_PART_MAX), e);
    buf_done(&whole);
    if (result == 0 && !p->channel)
        result = err_set(e, ERR_CLOSED, "master", "the process has ended");
    return result < 0 ? -1 : channel_notify(p->channel, MR_CONFIG, STR_NONE, e);
}

static int send_hello(struct process *p, struct err *e)
{
    struct mr_hello v = {
        p->kind, p->class, p->index, p->count, p->number, p->generation, p->restarts};
    struct buf payload;
    int result;

    buf_init(&payload, 100);
    mr_hello_encode(&v, &payload);
    result = channel_notify(p->channel, MR_HELLO, buf_str(&payload), e);
    buf_done(&payload);
    return result;
}

static int send_fd(
    struct process *p, uint16_t type, const struct buf *payload, int fd, struct err *e)
{
    if (!p->channel)
        return err_set(e, ERR_CLOSED, "master", "the process has ended");
    return channel_notify_fd(p->channel, type, buf_str(payload), fd, e);
}

static int send_listeners(struct process *p, const struct config *config, struct err *e)
{
    struct buf all, payload;
    struct role_listener v;
    struct str rest;
    int result;

    buf_init(&all, ROLE_LISTENERS_MAX * sizeof v);
    buf_init(&payload, 100);
    result = listeners_of(&p->master->listeners, config, p->class, p->index, &all, e);
    for (rest = buf_str(&all); result == 0 && rest.p && rest.n; rest = str_from(rest, sizeof v)) {
        memcpy(&v, rest.p, sizeof v);
        buf_clear(&payload);
        mr_listener_encode(&v, &payload);
        result = send_fd(p, MR_LISTENER, &payload, v.fd, e);
    }
    buf_done(&payload);
    buf_done(&all);
    return result;
}

int process_send_start(
    struct process *p, const struct config *config, int control_fd, struct err *e)
{
    struct buf nothing = {0};

    if (send_hello(p, e) < 0 || process_send_config(p, config, e) < 0)
        return -1;
    if (p->kind == ROLE_INBOUND && send_listeners(p, config, e) < 0)
        return -1;
    if (p->kind == ROLE_CORE &&
        (send_fd(p, MR_CONTROL, &nothing, control_fd, e) < 0 || death_tell_core(p, e) < 0))
        return -1;
    if (!p->channel)
        return err_set(e, ERR_CLOSED, "master", "the process has ended");
    return channel_notify(p->channel, MR_GO, STR_NONE, e);
}

static int send_peer(struct process *to, const struct process *peer, int fd, struct err *e)
{
    struct role_peer v = {peer->kind, peer->class, peer->index, peer->number};
    struct buf payload;
    int result;

    buf_init(&payload, 100);
    mr_peer_encode(&v, &payload);
    result = send_fd(to, MR_PEER, &payload, fd, e);
    buf_done(&payload);
    return result;
}

/* One that has ended is no failure: its successor gets a channel of its own. */
static int connect_end(struct process *to, const struct process *peer, int fd)
{
    struct err e;

    if (send_peer(to, peer, fd, &e) == 0)
        return 0;
    if (to->pid && to->channel) {
        to->why = e;
        process_kill(to);
    }
    return -1;
}

void process_connect(struct process *a, struct process *b)
{
    struct process *newer = a->number > b->number ? a : b;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        err_os(&newer->why, errno, "master", "socketpair");
        process_kill(newer);
        return;
    }
    if (connect_end(a, b, fds[0]) == 0)
        connect_end(b, a, fds[1]);
    close(fds[0]);
    close(fds[1]);
}

void process_stop(struct process *p, uint64_t grace_ms)
{
    struct buf payload;

    if (p->pid == 0 || p->stop_at <= run_now_fresh() + grace_ms)
        return;
    p->stop_at = run_now_fresh() + grace_ms;
    buf_init(&payload, 8);
    enc_u64(&payload, grace_ms);
    /* Also one that has not said that it is ready: its word may be on the way to us. */
    if (!p->channel || !channel_try_notify(p->channel, MR_STOP, buf_str(&payload)))
        process_kill(p);
    buf_done(&payload);
}

void process_kill(struct process *p)
{
    if (p->pid == 0)
        return;
    p->killed = true;
    kill(p->pid, SIGKILL);
}

static void report(const struct process *p, int status)
{
    const struct event *event = &p->master->event;
    struct kv role = kv_c("role", role_kind_name(p->kind));
    struct kv class = kv_c("class", role_class_name(p->class));
    struct kv pid = kv_i64("pid", p->pid);

    if (WIFSIGNALED(status) && !p->killed)
        log_error(event, "process_died", role, class, pid, kv_i64("signal", WTERMSIG(status)),
            kv_c("name", sigabbrev_np(WTERMSIG(status)) ?: ""));
    else if (WIFSIGNALED(status))
        log_info(event, "process_killed", role, class, pid);
    else if (WEXITSTATUS(status) != 0 && !p->killed)
        log_error(event, "process_failed", role, class, pid, kv_i64("status", WEXITSTATUS(status)),
            kv_err(&p->why));
    else
        log_debug(event, "process_ended", role, class, pid);
}

bool process_reap(struct process *p)
{
    int status;

    if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid)
        return false;
    /* What could not start is told as one line on standard error. */
    if (p->master->phase != MASTER_STARTING && !p->master->failed)
        report(p, status);
    if (p->why.class == ERR_NONE)
        err_set(&p->why, ERR_TEMPORARY, "master", "%s ended with %s %d", role_kind_name(p->kind),
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    p->crashed = WIFSIGNALED(status);
    if (p->crashed && !p->killed)
        death_examine(p, WTERMSIG(status));
    p->pid = 0;
    p->ready = false;
    channel_close(&p->channel);
    return true;
}
