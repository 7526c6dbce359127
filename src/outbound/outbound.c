/* The room of outbound: its peers and its end. ipc/role.h says how it lives. */
#include <unistd.h>

#include "base/mem.h"

#include "ipc/dns.h"
#include "ipc/role.h"

#include "outbound/events.h"
#include "outbound/own.h"
#include "outbound/smtp/service.h"
#include "outbound/to_core.h"

struct outbound {
    struct role *role;
    struct own_addresses own;
    struct to_core core;
    struct dns_client dns;
    struct courier_service *couriers;
    struct cond changed;
    bool ending;
};

int outbound_prepare(struct role *r, struct err *e)
{
    struct outbound *o = MEM_NEW(struct outbound);

    if (!o)
        return err_memory(e, "outbound");
    r->room = o;
    o->role = r;
    /* Inside the walls nobody tells the addresses of the interfaces. */
    return own_add_interfaces(&o->own, e) < 0 ? -1 : own_add_config(&o->own, r->config, e);
}

static void on_peer(void *arg, const struct role_peer *peer, int fd)
{
    struct outbound *o = arg;
    struct err e;

    if (peer->kind == ROLE_RESOLVER)
        dns_client_peer(&o->dns, fd);
    else if (peer->kind != ROLE_CORE)
        close(fd);
    else if (to_core_attach(&o->core, fd, &e) < 0)
        log_error(o->role->event, EV_OUT_UNAVAILABLE, kv_err(&e));
}

static void on_drain(void *arg)
{
    struct outbound *o = arg;

    if (o->couriers)
        courier_service_drain(o->couriers);
    o->ending = true;
    cond_wake_all(&o->changed);
}

static void on_stop(void *arg)
{
    struct outbound *o = arg;

    on_drain(o);
    if (o->couriers)
        courier_service_stop_at(o->couriers, o->role->stop_at);
}

int outbound_run(struct role *r, struct err *e)
{
    static const struct role_handler handler = {
        .on_peer = on_peer, .on_drain = on_drain, .on_stop = on_stop};
    struct outbound *o = r->room;
    int rc;

    cond_init(&o->changed);
    to_core_init(&o->core, r->event);
    dns_client_init(&o->dns, r->event);
    rc = courier_service_open(&o->couriers, r->config, &o->core, &o->dns, &o->own, r->event, e);
    if (rc == 0) {
        role_serve(r, &handler, o);
        role_ready(r);
    }
    while (rc == 0 && !o->ending)
        rc = cond_wait(&o->changed, "the end", e);
    if (o->couriers)
        courier_service_close(&o->couriers);
    to_core_done(&o->core);
    dns_client_done(&o->dns);
    own_done(&o->own);
    mem_free(o);
    r->room = NULL;
    return rc;
}
