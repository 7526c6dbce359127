#include "ipc/master_role_recode.h"

#include "ipc/master_role.h"

static int hello(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct mr_hello v;

    (void)a;
    if (mr_hello_decode(in, &v, e) < 0)
        return -1;
    mr_hello_encode(&v, out);
    return 0;
}

static int peer(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct role_peer v;

    (void)a;
    if (mr_peer_decode(in, &v, e) < 0)
        return -1;
    mr_peer_encode(&v, out);
    return 0;
}

static int listener(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct role_listener v;

    (void)a;
    if (mr_listener_decode(in, &v, e) < 0)
        return -1;
    mr_listener_encode(&v, out);
    return 0;
}

static int ban(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct role_ban v;

    (void)a;
    if (mr_ban_decode(in, &v, e) < 0)
        return -1;
    mr_ban_encode(&v, out);
    return 0;
}

static int processes(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct role_process *v;
    uint32_t count;

    if (mr_processes_decode(a, in, &v, &count, e) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        mr_process_encode(&v[i], out);
    return 0;
}

static int reload(struct arena *a, struct str in, struct buf *out, struct err *e)
{
    struct err outcome;
    struct str problems;

    (void)a;
    if (mr_reload_decode(in, &outcome, &problems, e) < 0)
        return -1;
    mr_reload_encode(&outcome, problems, out);
    return 0;
}

const struct recode_kind mr_kinds[] = {
    {"hello", false, hello},
    {"peer", false, peer},
    {"listener", false, listener},
    {"processes", true, processes},
    {"reload", false, reload},
    {"ban", false, ban},
};

const size_t mr_kind_count = sizeof mr_kinds / sizeof *mr_kinds;
