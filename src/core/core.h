/* core/core.h: the process that keeps mail: what its parts share.
 *
 * core has no network and parses nothing that a stranger wrote. Inbound processes reach it through
 * intakes, the command line through the control socket, master through its role's channel.
 * Everything below runs on one thread; what blocks has pools of its own (spool, databases, password
 * hashing).
 */
#pragma once

#include "base/list.h"
#include "base/log.h"

#include "io/sys.h"

#include "ipc/role.h"

#include "core/control/control.h"
#include "core/spool/spool.h"

struct admit;
struct queue;

struct core {
    struct role *role;
    const struct config *config; /* the live generation; role owns it */
    const struct sys *sys;
    const struct event *event;
    struct scope *scope; /* of everything that ends with the process */

    int lock;
    struct spool *spool;
    struct directory *directory;
    struct mailboxes *mailboxes;
    struct pool *hashing;
    struct queue *queue;
    struct admit *admit;

    struct list intakes, controls;
    uint32_t next_owner; /* numbers of channels, for admit */
    uint32_t next_lease; /* of this epoch */
    int64_t started_ms;
    bool stopping;

    struct core_counts {
        uint64_t accepted, refused, octets; /* messages committed, not committed; content */
    } counts;
};
