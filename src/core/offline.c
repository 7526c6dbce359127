#include "core/offline.h"

#include "base/mem.h"

#include "core/place.h"
#include "core/stores.h"

struct offline {
    struct stores stores;
    struct control control;
};

/* Is it the one that was used before? */
static int take_place(struct stores *stores, const struct config *config, bool adopt, struct err *e)
{
    int rc =
        adopt ? place_adopt(&sys_real, config->data, e) : place_check(&sys_real, config->data, e);

    if (rc < 0)
        stores_close(stores);
    return rc;
}

int offline_open(struct offline **out, const struct config *config, bool adopt, struct err *e)
{
    struct offline *o = MEM_NEW(struct offline);

    if (!o)
        return err_memory(e, "core");
    if (stores_open(&o->stores, &sys_real, config, e) < 0 ||
        take_place(&o->stores, config, adopt, e) < 0) {
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
    control_done(&(*o)->control);
    stores_close(&(*o)->stores);
    mem_free(*o);
    *o = NULL;
}

int offline_control(struct offline *o, struct str request, struct buf *reply, struct err *e)
{
    control_execute(&o->control, request, reply);
    return buf_ok(reply) ? 0 : err_memory(e, "core");
}
