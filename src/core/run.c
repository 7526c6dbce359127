/* core as a role: what master starts, reloads and ends. */
#include <unistd.h>

#include "base/mem.h"

#include "ipc/inbound_core.h"
#include "ipc/role.h"

#include "core/admit.h"
#include "core/control/server.h"
#include "core/core.h"
#include "core/intake.h"
#include "core/place.h"
#include "core/queue/queue.h"

struct run {
    struct core core;
    struct role *role;
    struct control_server *control;
    struct cond stop;
    bool stopping;
};

static void on_peer(void *arg, const struct role_peer *peer, int fd)
{
    struct run *r = arg;
    struct err e;

    if (peer->kind != ROLE_INBOUND) {
        queue_peer(r->core.queue, peer, fd);
        return;
    }
    if (intake_open(&r->core, fd, peer->class, &e) < 0)
        log_error(r->core.event, "intake_not_opened", kv_err(&e));
}

static void on_reload(void *arg)
{
    struct run *r = arg;

    core_reconfigure(&r->core, r->role->config);
    log_info(r->core.event, "reconfigured");
}

static void on_ban(void *arg, const struct role_ban *ban)
{
    struct run *r = arg;
    struct net_address address;
    struct buf text;

    admit_ban(r->core.admit, ban->address, ban->network, run_now() + ban->left_ms);
    buf_init(&text, 100);
    net_from_octets(ban->address, 0, &address);
    net_format_ip(&address, &text);
    log_info(r->core.event, "ban_in_force", kv_str("client", buf_str(&text)),
        kv_i64("prefix", ban->network ? 64 : 32), kv_u64("seconds", ban->left_ms / 1000));
    buf_done(&text);
}

struct quarantine {
    struct run *run;
    uint64_t id;
};

static void quarantine_fiber(void *arg)
{
    struct quarantine *q = arg;
    char id[IC_ID_CHARS + 1];
    struct err e;
    int result = queue_quarantine(q->run->core.queue, q->id, "processes died at it", &e);

    ic_id_format(q->id, id);
    if (result == 0)
        log_error(q->run->core.event, "message_quarantined", kv_c("id", id));
    else
        log_warning(q->run->core.event, "message_not_quarantined", kv_c("id", id), kv_err(&e));
    /* One that is not there is no danger; whatever else went wrong the next core may try. */
    if (result == 0 || e.class == ERR_PERMANENT)
        role_quarantined(q->run->role, q->id);
    mem_free(q);
}

static void on_quarantine(void *arg, uint64_t message)
{
    struct run *r = arg;
    struct quarantine *q = MEM_NEW(struct quarantine);
    struct err e;

    if (q) {
        *q = (struct quarantine){r, message};
        if (fiber_start(&r->core.scope, "quarantine", quarantine_fiber, q, &e) == 0)
            return;
        mem_free(q);
    }
    err_memory(&e, "core");
    log_error(r->core.event, "message_not_quarantined", kv_err(&e));
}

static void on_stop(void *arg)
{
    struct run *r = arg;

    r->stopping = true;
    cond_wake_all(&r->stop);
}

/* Makes control.db and its companions, and the directories, so that the walls can be put around
 * them. */
int core_prepare(struct role *role, struct err *e)
{
    struct stores stores;

    int rc;

    if (stores_open(&stores, &sys_real, role->config, e) < 0)
        return -1;
    rc = place_check(&sys_real, role->config->data, e);
    stores_close(&stores);
    return rc;
}

static int serve(struct run *r, struct err *e)
{
    static const struct role_handler handler = {.on_peer = on_peer,
        .on_reload = on_reload,
        .on_drain = on_stop,
        .on_stop = on_stop,
        .on_ban = on_ban,
        .on_quarantine = on_quarantine};

    if (core_open(&r->core, &sys_real, r->role->config, r->role->event, e) < 0)
        return -1;
    r->core.role = r->role;
    if (r->role->control_fd >= 0 &&
        control_server_open(&r->control, &r->core, r->role->control_fd, e) < 0) {
        core_close(&r->core);
        return -1;
    }
    role_serve(r->role, &handler, r);
    role_ready(r->role);
    while (!r->stopping)
        if (cond_wait(&r->stop, "stop", e) < 0)
            break;
    control_server_close(&r->control);
    core_close(&r->core);
    return 0;
}

int core_run(struct role *role, struct err *e)
{
    struct run *r = MEM_NEW(struct run);
    int status;

    if (!r)
        return err_memory(e, "core");
    r->role = role;
    cond_init(&r->stop);
    status = serve(r, e);
    mem_free(r);
    return status;
}
