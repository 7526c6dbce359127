/* master/listeners.h: the listening sockets, kept open over restarts and reloads.
 *
 * Each address has one socket for each process of its class (unix sockets: one for all), so that
 * connections which wait for a dead process are served by the one that takes its place.
 */
#pragma once

#include "base/err.h"

#include "io/net.h"

#include "ipc/role.h"

enum {
    LISTENERS_PROCESSES_MAX = 64, /* of one class */
};

struct listen_sockets;

struct listeners {
    struct listen_sockets *first;
    unsigned processes; /* of a class */
};

/* What a process of this class serves: appended to out (struct role_listener, fd master's). */
int listeners_of(const struct listeners *l, const struct config *config, enum role_class class,
    unsigned index, struct buf *out, struct err *e);
/* Does this class have more to serve than the submit socket, and so a process a core? */
bool listeners_wide(const struct config *config, enum role_class class);

/* Opens what config wants and is not open. On failure what was opened is closed again. */
int listeners_open(struct listeners *l, const struct config *config, struct err *e);
/* Closes what this configuration does not want. NULL: everything, and removes unix sockets. */
void listeners_keep(struct listeners *l, const struct config *config);

/* A socket below RUNTIME, or -1. Waits for a server that is just ending. Suspends. */
int listeners_runtime(
    const struct config *config, const char *name, unsigned mode, uint64_t wait_ms, struct err *e);
/* unix:RUNTIME/name */
int listeners_runtime_address(
    const struct config *config, const char *name, struct net_address *a, struct err *e);
