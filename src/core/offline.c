#include "core/offline.h"

#include "base/mem.h"

#include "core/stores.h"

struct offline {
    struct stores stores;
    struct control control;
};

int offline_open(struct offline **out, const struct config *config, struct err *e)
{
    struct offline *o = MEM_NEW(struct offline);

    if (!o)
        return err_memory(e, "core");
    if (stores_open(&o->stores, &sys_real, config, e) < 0) {
        mem_free(o);
        return -1;
    }
    o->control = (struct control){
        .config = config,
        .directory = o->stores.directory,
        .mailboxes = o->stores.mailboxes,
        .hashing = o->stores.hashing,
    };
    *out = o;
    return 0;
}

void offline_close(struct offline **o)
{
    if (!*o)
        return;
    stores_close(&(*o)->stores);
    mem_free(*o);
    *o = NULL;
}

int offline_control(struct offline *o, struct str request, struct buf *reply, struct err *e)
{
    control_execute(&o->control, request, reply);
    return buf_ok(reply) ? 0 : err_memory(e, "core");
}
