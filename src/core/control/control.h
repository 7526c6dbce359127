/* core/control/control.h: the operations of the command line (ipc/control.h), on a running server
 * or on the data directory alone.
 *
 * A const table of operations, one function each. Requests come from root or the server's own user,
 * but are checked all the same: types, lengths, unknown members. Everything here may suspend.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#include "run/fiber.h"

#include "ipc/config.h"

struct directory;
struct mailboxes;
struct core;
struct control_spool;

/* What operations act on; core is NULL where no server runs. */
struct control {
    const struct config *config;
    struct directory *directory;
    struct mailboxes *mailboxes;
    struct pool *hashing; /* for passwords */
    struct core *core;
    struct control_spool *spool; /* opened without a server, by the first operation on it */
};

/* Runs one request and writes the reply, outcome first. Suspends. */
void control_execute(struct control *c, struct str request, struct buf *reply);
/* Closes what operations have opened; the rest is the caller's. Suspends. */
void control_done(struct control *c);
