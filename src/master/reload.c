#include "base/mem.h"

#include "ipc/master_role.h"

#include "master/config_file.h"
#include "master/master_int.h"
#include "master/notify.h"

/* Rows that a running server cannot change. */
static bool unchangeable(struct master *m, const struct config *next, struct buf *problems)
{
    const struct {
        const char *name;
        struct str now, then;
    } rows[] = {
        {"data", m->config->data, next->data},
        {"runtime", m->config->runtime, next->runtime},
        {"user", m->config->user, next->user},
    };
    bool found = false;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (str_eq(rows[i].now, rows[i].then))
            continue;
        buf_printf(problems, "%s: %s cannot change while the server runs; restart it\n",
            m->config_path, rows[i].name);
        found = true;
    }
    return found;
}

/* core takes new values as a message. One that dies meanwhile is started again with them. */
static void tell_core(struct master *m)
{
    struct process *core = m->core;
    uint64_t before = fiber_deadline_shorten(run_now_fresh() + RELOAD_READY_MS);
    struct buf reply;
    struct err e;

    buf_init(&reply, 16);
    if (core->ready && core->channel && process_send_config(core, m->config, &e) == 0 &&
        core->channel && channel_ask(core->channel, MR_RELOADED, STR_NONE, &reply, &e) < 0 &&
        core->pid)
        process_kill(core);
    buf_done(&reply);
    fiber_deadline_restore(before);
}

static void set_log(const struct master *m)
{
    log_open(&(struct log_settings){.fd = m->sink.fd,
        .level = m->config->log.level,
        .json = m->config->log.format == LOG_FORMAT_JSON,
        .process = "master"});
}

/* The new generation serves before the old one is told to drain, so no connection is refused. */
static int replace(struct master *m, struct config *next, struct err *e)
{
    struct config *old = m->config;

    if (listeners_open(&m->listeners, next, e) < 0)
        return -1;
    if (generation_start(m, next, m->generation + 1, e) < 0) {
        listeners_keep(&m->listeners, m->config);
        return -1;
    }
    m->config = next;
    m->core->generation = ++m->generation;
    set_log(m);
    /* Old ones may not connect to the ports of new routes. */
    generation_drain_others(m, ROLE_OUTBOUND);
    tell_core(m);
    links_make(m);
    generation_drain_others(m, ROLE_INBOUND);
    listeners_keep(&m->listeners, m->config);
    config_free(old);
    log_info(&m->event, "reloaded", kv_u64("generation", m->generation));
    return 0;
}

static int reload(struct master *m, struct buf *problems)
{
    struct config *next = config_file_read(m->config_path, problems);
    struct err e;

    if (!next)
        return 1;
    if (unchangeable(m, next, problems)) {
        config_free(next);
        return 1;
    }
    if (replace(m, next, &e) == 0)
        return 0;
    config_free(next);
    buf_printf(problems, "%s\n", e.text);
    return 1;
}

static void log_problems(struct master *m, const struct buf *problems)
{
    struct str rest = buf_str(problems), line;

    while (rest.n) {
        str_cut(&rest, '\n', &line);
        log_error(&m->event, "configuration_problem", kv_str("text", line));
    }
    log_error(&m->event, "not_reloaded", kv_u64("generation", m->generation));
}

int master_reload(struct master *m, struct buf *problems)
{
    int result;

    while (m->phase == MASTER_STARTING || (m->reloading && m->phase == MASTER_RUNNING))
        master_wait(m, DEADLINE_NONE);
    if (m->phase != MASTER_RUNNING) {
        buf_put(problems, STR("the server is stopping\n"));
        return 1;
    }
    m->reloading = true;
    notify_reloading();
    result = reload(m, problems);
    if (result != 0)
        log_problems(m, problems);
    notify_ready();
    m->reloading = false;
    master_changed(m);
    return result;
}

void reload_by_signal(void *arg)
{
    struct master *m = arg;
    struct buf problems;

    do {
        m->reload_again = false;
        buf_init(&problems, MR_PROBLEMS_MAX);
        master_reload(m, &problems);
        buf_done(&problems);
    } while (m->reload_again && m->phase != MASTER_STOPPING);
    m->reload_signal = false;
}

struct request {
    struct master *master;
    struct channel_call from;
};

static void answer(void *arg)
{
    struct request *r = arg;
    struct err outcome = {0};
    struct buf problems, reply;

    buf_init(&problems, MR_PROBLEMS_MAX);
    buf_init(&reply, CHANNEL_FRAME_MAX);
    if (master_reload(r->master, &problems) != 0)
        err_set(&outcome, ERR_PERMANENT, "master", "the configuration was not loaded");
    mr_reload_encode(&outcome, buf_str(&problems), &reply);
    channel_reply(r->from, buf_str(&reply));
    buf_done(&reply);
    buf_done(&problems);
    mem_free(r);
}

void reload_by_request(struct master *m, struct channel_call from)
{
    struct request *r = MEM_NEW(struct request);
    struct err e;
    struct buf reply;

    if (r) {
        *r = (struct request){m, from};
        if (fiber_start(&m->scope, "reload", answer, r, &e) == 0)
            return;
        mem_free(r);
    }
    err_memory(&e, "master");
    buf_init(&reply, 1024);
    mr_reload_encode(&e, STR_NONE, &reply);
    channel_reply(from, buf_str(&reply));
    buf_done(&reply);
}
