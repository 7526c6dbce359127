/* core/stores.h: what a command without a server needs of the data directory, and core too: the
 * lock, the directory, the mailboxes, and the pool that hashes passwords.
 */
#pragma once

#include "io/sys.h"

#include "ipc/config.h"

#include "core/control/control.h"

enum {
    STORES_WAIT_MS = 5000, /* a server that is just ending may hold the lock for a moment */
    STORES_PATH = 1024,
    STORES_LITERALS = 64,
};

struct stores {
    const struct sys *sys;
    int lock;
    struct pool *hashing;
    struct directory *directory;
    struct mailboxes *mailboxes;
    char control_db[STORES_PATH], mail[STORES_PATH]; /* paths */
    uint8_t literals[STORES_LITERALS][16];           /* own addresses */
};

/* The clock of this process is the table's from here to the end (base/timefmt.h). Makes what is
 * missing below the data directory, which must exist. In a fiber: suspends for the
 * lock. */
int stores_open(
    struct stores *s, const struct sys *sys, const struct config *config, struct err *e);
/* Lets go of the configuration before, which the role gives up. Never suspends. */
void stores_reconfigure(struct stores *s, const struct config *config);
/* Suspends. May be called for one that failed to open. */
void stores_close(struct stores *s);
