#include "ipc/role.h"

#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"

#include "ipc/channel.h"
#include "ipc/master_role.h"
#include "ipc/role_start.h"

enum {
    PEERS_EARLY_MAX = 1024, /* that may come before role_serve() */
    BANS_EARLY_MAX = 1024,
};

struct early_peer {
    struct role_peer peer;
    int fd;
};

struct role_private {
    struct channel *master;
    struct buf config; /* parts that have come */
    struct config *current, *before;
    bool hello, whole, going;
    struct err broken; /* by what master sent */
    struct cond changed;

    const struct role_handler *handler; /* NULL before role_serve() */
    void *arg;
    struct buf early;      /* struct early_peer */
    struct buf bans;       /* struct role_ban, before role_serve() */
    struct buf quarantine; /* message ids, before role_serve() */
    bool drain, stop;
    struct channel_call drain_call;
};

/* A process has one role; who loses a peer deep below need not be handed it. */
static struct channel *to_master;

/* ---- what master sends */

static int take_hello(struct role *r, struct str payload, struct err *e)
{
    struct mr_hello v;

    if (mr_hello_decode(payload, &v, e) < 0)
        return -1;
    r->kind = v.kind;
    r->class = v.class;
    r->index = v.index;
    r->count = v.count;
    r->number = v.number;
    r->generation = v.generation;
    r->restarts = v.restarts;
    r->private->hello = true;
    return 0;
}

static int take_config(struct role *r, struct str payload, struct err *e)
{
    struct role_private *p = r->private;
    struct config *config;

    if (payload.n)
        return buf_put(&p->config, payload) < 0 ? err_memory(e, "role") : 0;
    config = config_decode(buf_str(&p->config), e);
    buf_release(&p->config);
    if (!config)
        return -1;
    config_free(p->before);
    p->before = p->current;
    p->current = config;
    r->config = config;
    p->whole = true;
    return 0;
}

static int take_listener(struct role *r, struct str payload, int fd, struct err *e)
{
    struct role_listener v, *more;

    if (mr_listener_decode(payload, &v, e) < 0 || fd < 0 || r->listener_count == ROLE_LISTENERS_MAX)
        return err_set(e, ERR_BUG, "role", "a listener too many");
    more = mem_resize(r->listeners, (r->listener_count + 1) * sizeof *more);
    if (!more)
        return err_memory(e, "role");
    v.fd = fd;
    r->listeners = more;
    r->listeners[r->listener_count++] = v;
    return 0;
}

static int take_peer(struct role *r, struct str payload, int fd, struct err *e)
{
    struct role_private *p = r->private;
    struct early_peer v = {.fd = fd};

    if (mr_peer_decode(payload, &v.peer, e) < 0 || fd < 0)
        return err_set(e, ERR_BUG, "role", "a peer without a channel");
    if (p->handler)
        p->handler->on_peer(p->arg, &v.peer, fd);
    else if (buf_put(&p->early, str_of((const char *)&v, sizeof v)) < 0)
        return err_memory(e, "role");
    return 0;
}

static void take_drain(struct role *r, struct channel_call from)
{
    struct role_private *p = r->private;

    p->drain = true;
    p->drain_call = from;
    if (!p->handler)
        return;
    if (p->handler->on_drain)
        p->handler->on_drain(p->arg);
    channel_reply(from, STR_NONE);
}

static int take_stop(struct role *r, struct str payload, struct err *e)
{
    struct role_private *p = r->private;
    struct dec d = dec_of(payload);
    uint64_t grace_ms = dec_u64(&d);

    if (dec_done(&d, "stop", e) < 0)
        return -1;
    r->stop_at = run_now() + grace_ms;
    p->stop = true;
    if (p->handler)
        p->handler->on_stop(p->arg);
    return 0;
}

static int take_ban(struct role *r, struct str payload, struct err *e)
{
    struct role_private *p = r->private;
    struct role_ban v;

    if (mr_ban_decode(payload, &v, e) < 0)
        return -1;
    if (!p->handler)
        return buf_put(&p->bans, str_of((const char *)&v, sizeof v)) < 0 ? err_memory(e, "role")
                                                                         : 0;
    if (p->handler->on_ban)
        p->handler->on_ban(p->arg, &v);
    return 0;
}

static int take_quarantine(struct role *r, struct str payload, struct err *e)
{
    struct role_private *p = r->private;
    struct dec d = dec_of(payload);
    uint64_t id = dec_u64(&d);

    if (dec_done(&d, "quarantine", e) < 0)
        return -1;
    if (!p->handler)
        return buf_put(&p->quarantine, str_of((const char *)&id, sizeof id)) < 0
                   ? err_memory(e, "role")
                   : 0;
    if (p->handler->on_quarantine)
        p->handler->on_quarantine(p->arg, id);
    return 0;
}

static void take_reloaded(struct role *r, struct channel_call from)
{
    struct role_private *p = r->private;

    if (p->handler && p->handler->on_reload)
        p->handler->on_reload(p->arg);
    channel_reply(from, STR_NONE);
}

static int take(struct role *r, struct channel_call from, uint16_t type, struct str payload,
    int *fd, struct err *e)
{
    int passed = *fd;

    switch (type) {
    case MR_HELLO:
        return take_hello(r, payload, e);
    case MR_CONFIG:
        return take_config(r, payload, e);
    case MR_LISTENER:
        *fd = -1;
        return take_listener(r, payload, passed, e);
    case MR_CONTROL:
        *fd = -1;
        r->control_fd = passed;
        return 0;
    case MR_PEER:
        *fd = -1;
        return take_peer(r, payload, passed, e);
    case MR_GO:
        r->private->going = true;
        return 0;
    case MR_RELOADED:
        take_reloaded(r, from);
        return 0;
    case MR_DRAIN:
        take_drain(r, from);
        return 0;
    case MR_STOP:
        return take_stop(r, payload, e);
    case MR_BAN:
        return take_ban(r, payload, e);
    case MR_QUARANTINE:
        return take_quarantine(r, payload, e);
    default:
        return err_set(e, ERR_BUG, "role", "an unknown message %u of master", type);
    }
}

static bool on_frame(void *arg, struct channel_call from, uint16_t type, struct str payload, int fd)
{
    struct role *r = arg;
    struct err e;

    if (take(r, from, type, payload, &fd, &e) < 0) {
        r->private->broken = e;
        channel_cut(r->private->master, &e);
    }
    if (fd >= 0)
        close(fd);
    cond_wake_all(&r->private->changed);
    return false;
}

static void on_closed(void *arg, struct channel *c, const struct err *why)
{
    (void)arg;
    (void)c;
    (void)why;
    /* Without master there is no server. */
    _exit(1);
}

static const struct channel_handler master_handler = {on_frame, on_closed};

int role_receive(struct role *r, int fd, struct err *e)
{
    struct role_private *p = MEM_NEW(struct role_private);

    *r = (struct role){.control_fd = -1, .stop_at = DEADLINE_NONE, .private = p};
    if (!p) {
        close(fd);
        return err_memory(e, "role");
    }
    cond_init(&p->changed);
    buf_init(&p->config, MR_CONFIG_MAX);
    buf_init(&p->early, PEERS_EARLY_MAX * sizeof(struct early_peer));
    buf_init(&p->bans, BANS_EARLY_MAX * sizeof(struct role_ban));
    buf_init(&p->quarantine, BANS_EARLY_MAX * sizeof(uint64_t));
    if (channel_open(&p->master, fd, "master", &master_handler, r, e) < 0)
        return -1;
    to_master = p->master;
    while (!p->going && p->broken.class == ERR_NONE)
        if (cond_wait(&p->changed, "master", e) < 0)
            return -1;
    if (p->broken.class != ERR_NONE) {
        *e = p->broken;
        return -1;
    }
    if (!p->hello || !p->whole)
        return err_set(e, ERR_BUG, "role", "master left something out");
    return 0;
}

void role_failed(struct role *r, const struct err *why)
{
    struct buf payload;

    if (!r->private || !r->private->master)
        return;
    buf_init(&payload, 1024);
    enc_err(&payload, why);
    channel_try_notify(r->private->master, MR_FAILED, buf_str(&payload));
    channel_push(r->private->master);
    buf_done(&payload);
}

/* ---- for rooms */

/* The next of what came before role_serve(). */
static bool take_early(struct buf *from, void *out, size_t n)
{
    struct str s = buf_str(from);

    if (!s.p || s.n < n)
        return false;
    memcpy(out, s.p, n);
    buf_consume(from, n);
    return true;
}

static void tell_early_verdicts(struct role_private *p)
{
    struct role_ban ban;
    uint64_t id;

    while (take_early(&p->bans, &ban, sizeof ban))
        if (p->handler->on_ban)
            p->handler->on_ban(p->arg, &ban);
    while (take_early(&p->quarantine, &id, sizeof id))
        if (p->handler->on_quarantine)
            p->handler->on_quarantine(p->arg, id);
    buf_release(&p->bans);
    buf_release(&p->quarantine);
}

void role_serve(struct role *r, const struct role_handler *handler, void *arg)
{
    struct role_private *p = r->private;
    struct early_peer v;

    CHECK(!p->handler);
    p->handler = handler;
    p->arg = arg;
    tell_early_verdicts(p);
    while (take_early(&p->early, &v, sizeof v))
        handler->on_peer(arg, &v.peer, v.fd);
    buf_release(&p->early);
    if (p->drain)
        take_drain(r, p->drain_call);
    if (p->stop)
        handler->on_stop(arg);
}

void role_ready(struct role *r)
{
    channel_try_notify(r->private->master, MR_READY, STR_NONE);
}

void role_peer_lost(enum role_kind kind)
{
    char octet = (char)kind;

    /* Without credit master is busy with this process anyway; the next loss will tell. */
    if (to_master)
        channel_try_notify(to_master, MR_LOST, str_of(&octet, 1));
}

void role_quarantined(struct role *r, uint64_t message)
{
    struct buf payload;

    buf_init(&payload, sizeof message);
    enc_u64(&payload, message);
    channel_try_notify(r->private->master, MR_QUARANTINED, buf_str(&payload));
    buf_done(&payload);
}

int role_ask_reload(struct role *r, struct buf *problems, struct err *e)
{
    struct buf reply;
    struct str lines;
    struct err outcome;
    int result;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    result = channel_ask(r->private->master, MR_RELOAD, STR_NONE, &reply, e);
    if (result == 0)
        result = mr_reload_decode(buf_str(&reply), &outcome, &lines, e);
    if (result == 0 && outcome.class == ERR_PERMANENT) {
        result = buf_put(problems, lines) < 0 ? err_memory(e, "role") : 1;
    } else if (result == 0 && outcome.class != ERR_NONE) {
        *e = outcome;
        result = -1;
    }
    buf_done(&reply);
    return result;
}

int role_ask_stop(struct role *r, struct err *e)
{
    struct buf reply;
    int result;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    result = channel_ask(r->private->master, MR_SHUTDOWN, STR_NONE, &reply, e);
    buf_done(&reply);
    return result;
}

int role_ask_status(
    struct role *r, struct arena *a, struct role_process **v, uint32_t *count, struct err *e)
{
    struct buf reply;
    int result;

    buf_init(&reply, CHANNEL_FRAME_MAX);
    result = channel_ask(r->private->master, MR_STATUS, STR_NONE, &reply, e);
    if (result == 0)
        result = mr_processes_decode(a, buf_str(&reply), v, count, e);
    buf_done(&reply);
    return result;
}
