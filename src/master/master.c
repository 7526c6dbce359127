#include "master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

#include "ipc/master_role.h"

#include "master/config_file.h"
#include "master/layout.h"
#include "master/master_int.h"
#include "master/notify.h"

enum {
    AGAIN_MS = 50,
    MODE_CONTROL = 0600,
};

/* ---- waiting */

void master_changed(struct master *m)
{
    cond_wake_all(&m->changed);
}

int master_wait(struct master *m, uint64_t until)
{
    uint64_t before = fiber_deadline_shorten(until);
    int result = cond_wait(&m->changed, "a process", NULL);

    fiber_deadline_restore(before);
    return result;
}

static bool any_alive(struct master *m, enum role_kind kind)
{
    LIST_EACH(link, &m->processes)
    if (process_of(link)->kind == kind && process_of(link)->pid)
        return true;
    return false;
}

static void kill_all(struct master *m, enum role_kind kind)
{
    LIST_EACH(link, &m->processes)
    if (process_of(link)->kind == kind)
        process_kill(process_of(link));
}

/* ---- the end */

static void tell_end(struct master *m, enum role_kind kind, uint64_t by)
{
    uint64_t now = run_now_fresh();

    LIST_EACH(link, &m->processes)
    if (process_of(link)->kind == kind)
        process_stop(process_of(link), by > now ? by - now : 0);
}

/* Tells all in that role to end by a time, kills those that do not, and sees them gone. */
static void end_role(struct master *m, enum role_kind kind, uint64_t by)
{
    tell_end(m, kind, by);
    while (any_alive(m, kind) && m->stop_at && master_wait(m, by + KILL_AFTER_MS) == 0)
        continue;
    kill_all(m, kind);
    while (any_alive(m, kind))
        master_wait(m, DEADLINE_NONE);
}

static void close_control(struct master *m)
{
    struct net_address a;

    if (m->control_fd < 0)
        return;
    /* While we listen nobody else puts a socket there. */
    if (listeners_runtime_address(m->config, "control", &a, NULL) == 0)
        unlink(a.un.sun_path);
    close(m->control_fd);
    m->control_fd = -1;
}

static void stop(void *arg)
{
    struct master *m = arg;
    uint64_t grace = m->config->shutdown_grace_ms;
    uint64_t for_core = grace > 2 * STOP_CORE_MS ? STOP_CORE_MS : grace / 2;
    uint64_t core_at = m->stop_at - for_core;
    uint64_t resolver_at = core_at - (grace > 2 * STOP_CORE_MS ? STOP_RESOLVER_MS : 0);

    notify_stopping();
    if (!m->failed)
        log_info(&m->event, "stopping", kv_u64("grace", grace / 1000));
    listeners_keep(&m->listeners, NULL);
    /* Transactions of both have the whole time; what they need outlives them. */
    tell_end(m, ROLE_OUTBOUND, resolver_at);
    end_role(m, ROLE_INBOUND, resolver_at);
    end_role(m, ROLE_OUTBOUND, resolver_at);
    end_role(m, ROLE_RESOLVER, core_at);
    end_role(m, ROLE_CORE, m->stop_at);
    close_control(m);
    if (!m->failed)
        log_info(&m->event, "stopped");
    run_stop();
}

void master_stop(struct master *m)
{
    struct err e;

    if (m->phase == MASTER_STOPPING) {
        m->stop_at = 0;
        for (int kind = 0; kind < ROLE_KINDS; kind++)
            kill_all(m, (enum role_kind)kind);
        master_changed(m);
        return;
    }
    m->phase = MASTER_STOPPING;
    m->stop_at = run_now_fresh() + m->config->shutdown_grace_ms;
    master_changed(m);
    if (fiber_start(&m->scope, "stop", stop, m, &e) == 0)
        return;
    log_error(&m->event, "cannot_stop_in_order", kv_err(&e));
    run_stop(); /* the others end with us */
}

/* ---- signals */

static void on_child(struct master *m)
{
    LIST_EACH(link, &m->processes)
    if (process_reap(process_of(link)))
        keeper_ended(process_of(link));
    keeper_sweep(m);
    master_changed(m);
}

static void on_reload_signal(struct master *m)
{
    struct err e;

    if (m->reload_signal) {
        m->reload_again = true;
        return;
    }
    m->reload_signal = fiber_start(&m->scope, "reload", reload_by_signal, m, &e) == 0;
    if (!m->reload_signal)
        log_error(&m->event, "not_reloaded", kv_err(&e));
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct master *m = handle->data;

    if (number == SIGCHLD)
        on_child(m);
    else if (number == SIGHUP)
        on_reload_signal(m);
    else
        master_stop(m);
}

static const int signal_numbers[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};

static int open_signals(struct master *m, struct err *e)
{
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++) {
        uv_signal_init(run_uv(), &m->signals[i]);
        m->signals[i].data = m;
        if (uv_signal_start(&m->signals[i], on_signal, signal_numbers[i]) < 0)
            return err_set(e, ERR_TEMPORARY, "master", "cannot watch signals");
    }
    return 0;
}

static void close_signals(struct master *m)
{
    for (size_t i = 0; i < sizeof signal_numbers / sizeof *signal_numbers; i++)
        if (m->signals[i].data)
            uv_close((uv_handle_t *)&m->signals[i], NULL);
}

/* ---- the start */

/* Processes whose master was killed may hold a port for a moment longer. */
static int open_listeners(struct master *m, struct err *e)
{
    uint64_t until = run_now_fresh() + PORT_WAIT_MS;
    struct err wait;

    while (listeners_open(&m->listeners, m->config, e) < 0) {
        if (e->os != EADDRINUSE || run_now_fresh() >= until)
            return -1;
        if (fiber_sleep(AGAIN_MS, &wait) < 0)
            return -1;
    }
    return 0;
}

static int start_core(struct master *m, struct err *e)
{
    m->core = process_new(m, ROLE_CORE, CLASS_NONE, 0, 1);
    if (!m->core)
        return err_memory(e, "master");
    if (keeper_fill(m->core, m->config, e) < 0)
        return -1;
    while (m->phase == MASTER_STARTING && !m->core->served) {
        if (m->core->pid == 0 && keeper_fill_again(m->core, m->config, e) < 0)
            return -1;
        master_wait(m, DEADLINE_NONE);
    }
    return 0;
}

static int start_all(struct master *m, struct err *e)
{
    m->control_fd = listeners_runtime(m->config, "control", MODE_CONTROL, CONTROL_WAIT_MS, e);
    if (m->control_fd < 0 || open_listeners(m, e) < 0 || start_core(m, e) < 0)
        return -1;
    if (m->phase != MASTER_STARTING)
        return 0;
    return generation_start(m, m->config, m->generation, e);
}

static void fail(struct master *m, const struct err *why)
{
    fprintf(stderr, "veredus: %s\n", why->text);
    m->failed = true;
}

static void start(void *arg)
{
    struct master *m = arg;
    struct err e;

    if (start_all(m, &e) < 0 && m->phase == MASTER_STARTING) {
        fail(m, &e);
        master_stop(m);
        return;
    }
    if (m->phase != MASTER_STARTING)
        return;
    m->phase = MASTER_RUNNING;
    master_changed(m);
    log_info(&m->event, "started", kv_c("version", VEREDUS_VERSION),
        kv_str("hostname", m->config->hostname), kv_str("data", m->config->data));
    notify_ready();
}

static int run(struct master *m, struct err *e)
{
    if (run_open(e) < 0)
        return -1;
    cond_init(&m->changed);
    scope_init(&m->scope);
    m->started_at = run_now_fresh();
    if (open_signals(m, e) == 0 && fiber_start(&m->scope, "start", start, m, e) == 0 &&
        fiber_start(&m->scope, "keeper", keeper_run, m, e) == 0)
        run_loop();
    else
        fail(m, e);
    return m->failed ? -1 : 0;
}

/* The loop turns on until the fibers have ended: logs are read to their end. */
static void finish(void *arg)
{
    struct master *m = arg;

    scope_join(&m->scope);
    run_stop();
}

static void end(struct master *m)
{
    struct scope last;

    scope_init(&last);
    if (fiber_start(&last, "end", finish, m, NULL) == 0)
        run_loop();
    while (!list_empty(&m->processes))
        process_free(process_of(m->processes.next));
    close_signals(m);
    scope_join(&last);
    run_close();
}

static void log_roles(const struct master *m, bool core_fits)
{
    for (int kind = 0; kind < ROLE_KINDS; kind++)
        if (m->roles[kind].change)
            log_info(&m->event, "role_user", kv_c("role", role_kind_name((enum role_kind)kind)),
                kv_c("user", m->roles[kind].name));
    if (!core_fits)
        log_warning(&m->event, "role_user_unused", kv_c("role", role_kind_name(ROLE_CORE)),
            kv_c("why", "veredus-core does not own the data directory"));
}

static int prepare(struct master *m, struct err *e)
{
    identity_lookup *lookup = geteuid() == 0 ? identity_lookup_system : NULL;
    struct identity id;
    bool core_fits;

    log_sink_open(&m->sink);
    notify_open();
    if (identity_find(m->config, &id, e) < 0 || layout_make_roots(m->config, &id, e) < 0)
        return -1;
    core_fits = identity_find_roles(&id, lookup, m->roles);
    if (identity_become_master(&id, m->roles, e) < 0 || layout_make(m->config, e) < 0)
        return -1;
    log_open(&(struct log_settings){.fd = m->sink.fd,
        .level = m->config->log.level,
        .json = m->config->log.format == LOG_FORMAT_JSON,
        .process = "master"});
    log_roles(m, core_fits);
    return 0;
}

static struct config *read_config(const char *path)
{
    struct config *config;
    struct buf problems;
    struct str rest, line;

    buf_init(&problems, MR_PROBLEMS_MAX);
    config = config_file_read(path, &problems);
    for (rest = buf_str(&problems); rest.n;) {
        str_cut(&rest, '\n', &line);
        fprintf(stderr, "veredus: %.*s\n", STR_ARG(line));
    }
    buf_done(&problems);
    return config;
}

static unsigned processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > LISTENERS_PROCESSES_MAX ? LISTENERS_PROCESSES_MAX : (unsigned)n;
}

int master_serve(const char *config_path)
{
    struct master m = {.config_path = config_path, .generation = 1, .control_fd = -1};
    struct err e;
    int result = -1;

    m.listeners.processes = processors();
    list_init(&m.processes);
    m.config = read_config(config_path);
    if (!m.config)
        return -1;
    m.blame = MEM_NEW(struct blame);
    if (!m.blame)
        err_memory(&e, "master");
    if (!m.blame || prepare(&m, &e) < 0) {
        fprintf(stderr, "veredus: %s\n", e.text);
    } else {
        result = run(&m, &e);
        end(&m);
    }
    mem_free(m.blame);
    config_free(m.config);
    return result;
}
