/* The room of outbound: its peers and its end. ipc/role.h says how it lives. */
#include <unistd.h>

#include "ipc/role.h"

struct outbound {
    struct cond changed;
    bool ending;
};

int outbound_prepare(struct role *r, struct err *e)
{
    (void)r;
    (void)e;
    return 0;
}

static void on_peer(void *arg, const struct role_peer *peer, int fd)
{
    (void)arg;
    (void)peer;
    close(fd);
}

static void on_end(void *arg)
{
    struct outbound *o = arg;

    o->ending = true;
    cond_wake_all(&o->changed);
}

int outbound_run(struct role *r, struct err *e)
{
    static const struct role_handler handler = {
        .on_peer = on_peer, .on_drain = on_end, .on_stop = on_end};
    struct outbound o = {0};
    int rc = 0;

    cond_init(&o.changed);
    role_serve(r, &handler, &o);
    role_ready(r);
    while (rc == 0 && !o.ending)
        rc = cond_wait(&o.changed, "the end", e);
    return rc;
}
