/* core as a role: what master starts, reloads and ends. */
#include <unistd.h>

#include "base/mem.h"

#include "ipc/role.h"

#include "core/control/server.h"
#include "core/core.h"
#include "core/intake.h"

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
        close(fd);
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

    if (stores_open(&stores, &sys_real, role->config, e) < 0)
        return -1;
    stores_close(&stores);
    return 0;
}

static int serve(struct run *r, struct err *e)
{
    static const struct role_handler handler = {
        .on_peer = on_peer, .on_reload = on_reload, .on_drain = on_stop, .on_stop = on_stop};

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
