/* The room of inbound: listeners, the way to core, and the end. ipc/role.h says how it lives. */
#include <unistd.h>

#include "base/mem.h"

#include "mail/charset.h"

#include "ipc/role.h"

#include "inbound/core_link.h"
#include "inbound/events.h"
#include "inbound/smtp/service.h"

enum {
    LEAVE_MS = 5000
};

struct inbound_listener {
    struct listener *listener;
    struct smtp_listener smtp;
};

struct inbound {
    struct role *role;
    struct core_link core;
    struct smtp_service *smtp;
    struct inbound_listener *listeners;
    struct cond changed;
    bool leaving, ending; /* by a reload; sessions are told to end */
};

int inbound_prepare(struct role *r, struct err *e)
{
    (void)r;
    /* ICU looks for its converters when they are first used. */
    if (!charset_prepare())
        return err_set(e, ERR_TEMPORARY, "inbound", "ICU has no converters");
    return 0;
}

static void close_listeners(struct inbound *in)
{
    for (uint32_t i = 0; i < in->role->listener_count && in->listeners; i++)
        listener_close(&in->listeners[i].listener);
}

/* ---- what master says */

static void on_peer(void *arg, const struct role_peer *peer, int fd)
{
    struct inbound *in = arg;
    struct err e;

    if (peer->kind != ROLE_CORE)
        close(fd);
    else if (core_link_attach(&in->core, fd, &e) < 0)
        log_error(in->role->event, EV_CORE_GONE, kv_err(&e));
    cond_wake_all(&in->changed);
}

static void end_sessions(struct inbound *in)
{
    close_listeners(in);
    if (in->smtp && !in->ending)
        smtp_service_drain(in->smtp);
    in->ending = true;
    cond_wake_all(&in->changed);
}

/* Who is here has come to the server, not to a generation of it: sessions get some time to end by
 * themselves before they are sent away. */
static void on_drain(void *arg)
{
    struct inbound *in = arg;

    close_listeners(in);
    in->leaving = true;
    cond_wake_all(&in->changed);
}

static void on_stop(void *arg)
{
    struct inbound *in = arg;

    end_sessions(in);
    if (in->smtp)
        smtp_service_stop_at(in->smtp, in->role->stop_at);
}

/* ---- the start */

static enum config_protocol protocol_of(const struct role *r, const struct role_listener *l)
{
    return l->listen == ROLE_LISTEN_SUBMIT ? PROTOCOL_SUBMISSION
                                           : r->config->listen[l->listen].protocol;
}

static int listen_one(struct inbound *in, uint32_t i, struct err *e)
{
    struct role *r = in->role;
    struct role_listener *from = &r->listeners[i];
    struct inbound_listener *l = &in->listeners[i];

    l->smtp = (struct smtp_listener){
        .service = in->smtp,
        .number = from->listen,
        .title = from->listen == ROLE_LISTEN_SUBMIT ? STR("submit")
                                                    : r->config->listen[from->listen].title,
        .protocol = protocol_of(r, from),
    };
    switch (l->smtp.protocol) {
    case PROTOCOL_SMTP:
    case PROTOCOL_SUBMISSION:
    case PROTOCOL_LMTP:
        return listener_open(&l->listener, from->fd, smtp_accept, &l->smtp, e);
    case PROTOCOL_IMAP:
    case PROTOCOL_POP3:
        break;
    }
    log_warning(r->event, EV_NOT_SERVED, kv_str("listener", l->smtp.title));
    close(from->fd);
    return 0;
}

static int start(struct inbound *in, struct err *e)
{
    struct role *r = in->role;

    if (smtp_service_open(&in->smtp, r->config, &in->core, r->event, e) < 0)
        return -1;
    /* Clients are not asked in before there is somebody to keep their mail. */
    while (!in->ending && !in->leaving && !core_link_up(&in->core))
        if (cond_wait(&in->changed, "core", e) < 0)
            return -1;
    if (in->ending || in->leaving)
        return 0;
    in->listeners = mem_array(r->listener_count ? r->listener_count : 1, sizeof *in->listeners);
    if (!in->listeners)
        return err_memory(e, "inbound");
    for (uint32_t i = 0; i < r->listener_count; i++)
        if (listen_one(in, i, e) < 0)
            return -1;
    role_ready(r);
    return 0;
}

static void leave(struct inbound *in)
{
    uint64_t before = fiber_deadline_shorten(run_now() + LEAVE_MS);

    smtp_service_wait(in->smtp, NULL);
    fiber_deadline_restore(before);
    end_sessions(in);
}

int inbound_run(struct role *r, struct err *e)
{
    static const struct role_handler handler = {
        .on_peer = on_peer, .on_drain = on_drain, .on_stop = on_stop};
    struct inbound in = {.role = r};
    int rc;

    cond_init(&in.changed);
    core_link_init(&in.core, r->event);
    role_serve(r, &handler, &in);
    rc = start(&in, e);
    while (rc == 0 && !in.ending && !in.leaving)
        rc = cond_wait(&in.changed, "the end", e);
    if (rc == 0 && in.leaving && !in.ending)
        leave(&in);
    close_listeners(&in);
    if (in.smtp)
        smtp_service_close(&in.smtp);
    core_link_close(&in.core);
    mem_free(in.listeners);
    return rc;
}
