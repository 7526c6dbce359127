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

#include "ipc/config.h"

#include "core/spool/spool.h"
#include "core/stores.h"

struct admit;
struct holds;
struct queue;
struct reporter;
struct recipients;
struct role;
struct trace;

struct core {
    struct role *role;           /* NULL in tests of the parts */
    const struct config *config; /* the live generation's, which the role owns */
    const struct event *event;
    struct scope scope; /* of everything that ends with the process */
    uint32_t uid;       /* ours */

    struct stores stores;
    struct spool *spool;
    struct queue *queue;
    struct reporter *reporter;
    struct holds *holds;
    struct trace *trace;
    struct admit *admit;
    struct recipients *recipients;

    struct list intakes;
    uint32_t next_owner; /* numbers of channels, for admit */
    uint32_t next_lease; /* of this epoch */
    uint32_t next_digest;
    uint64_t last_id; /* of our own messages */
    int64_t started_ms;
    char spool_path[STORES_PATH];

    struct core_counts {
        uint64_t accepted, refused, octets; /* messages committed, not committed; content */
        uint64_t damaged;
    } counts;
};

/* Opens everything in the data directory: recovery runs here, deliveries begin. In a fiber;
 * suspends. */
int core_open(struct core *c, const struct sys *sys, const struct config *config,
    const struct event *event, struct err *e);

/* Suspends until intakes, deliveries and the spool have ended in good order. */
void core_close(struct core *c);

/* An id for a message of our own. 0 where this epoch has no more of them: a restart brings some. */
uint64_t core_own_id(struct core *c);

/* A range of ids for one who makes many; false as above. */
bool core_lease_ids(struct core *c, uint64_t *base);

/* Takes the values that can change while it runs. */
void core_reconfigure(struct core *c, const struct config *config);
