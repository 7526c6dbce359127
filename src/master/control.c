#include <unistd.h>

#include "ipc/master_role.h"

#include "master/master_int.h"

/* What processes ask of master. Only core asks for something; others are cut off. */

static void put_status(const struct process *p, struct buf *out)
{
    struct role_process v = {
        .role = role_kind_name(p->kind),
        .class = p->class,
        .index = p->index,
        .pid = (uint32_t)p->pid,
        .generation = p->generation,
        .restarts = p->restarts,
        .uptime_ms = p->pid ? run_now_fresh() - p->started_at : 0,
        .ready = p->ready,
        .draining = p->draining,
    };

    mr_process_encode(&v, out);
}

static void reply_status(struct master *m, struct channel_call from)
{
    struct role_process self = {
        .role = "master",
        .pid = (uint32_t)getpid(),
        .generation = m->generation,
        .uptime_ms = run_now_fresh() - m->started_at,
        .ready = m->phase == MASTER_RUNNING,
        .draining = m->phase == MASTER_STOPPING,
    };
    struct buf reply;
    unsigned count = 1;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    mr_process_encode(&self, &reply);
    LIST_EACH(link, &m->processes)
    if (count++ < MR_PROCESSES_MAX)
        put_status(process_of(link), &reply);
    channel_reply(from, buf_str(&reply));
    buf_done(&reply);
}

static void take_failed(struct process *p, struct str payload)
{
    struct dec d = dec_of(payload);
    struct err why;

    dec_err(&d, &why);
    if (dec_done(&d, "failure", NULL) == 0 && why.class != ERR_NONE)
        p->why = why;
}

static int take_quarantined(struct process *p, struct str payload)
{
    struct dec d = dec_of(payload);
    uint64_t id = dec_u64(&d);

    if (dec_done(&d, "quarantined", NULL) < 0)
        return -1;
    blame_forget_message(p->master->blame, id);
    return 0;
}

static int take_lost(struct process *p, struct str payload)
{
    struct dec d = dec_of(payload);
    uint8_t kind = dec_u8(&d);

    return dec_done(&d, "loss", NULL) < 0 ? -1 : links_lost(p, (enum role_kind)kind);
}

static int take_of_core(
    struct process *p, struct channel_call from, uint16_t type, struct str payload)
{
    if (p->kind != ROLE_CORE)
        return -1;
    if (from.call == 0)
        return type == MR_QUARANTINED ? take_quarantined(p, payload) : -1;
    switch (type) {
    case MR_RELOAD:
        reload_by_request(p->master, from);
        return 0;
    case MR_SHUTDOWN:
        channel_reply(from, STR_NONE);
        channel_push(p->channel);
        master_stop(p->master);
        return 0;
    case MR_STATUS:
        reply_status(p->master, from);
        return 0;
    default:
        return -1;
    }
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct process *p = arg;
    struct err e;

    if (fd >= 0)
        close(fd);
    if (type == MR_READY && from.call == 0) {
        p->ready = p->served = true;
    } else if (type == MR_FAILED && from.call == 0) {
        take_failed(p, payload);
    } else if (type == MR_LOST && from.call == 0 && take_lost(p, payload) == 0) {
        /* Its time will come. */
    } else if (take_of_core(p, from, type, payload) < 0) {
        err_set(&e, ERR_BUG, "master", "a message %u that is not for it to send", type);
        channel_cut(p->channel, &e);
    }
    master_changed(p->master);
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    struct process *p = arg;

    (void)c;
    /* It ends, or must: nobody is here without a channel. */
    if (why->class == ERR_BUG)
        log_error(&p->master->event, "process_misbehaves", kv_c("role", role_kind_name(p->kind)),
            kv_i64("pid", p->pid), kv_err(why));
    if (why->class != ERR_CLOSED)
        process_kill(p);
    channel_close(&p->channel);
    master_changed(p->master);
}

const struct channel_handler control_handler = {on_frame, on_closed};
