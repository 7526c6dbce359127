/* core/recipients.h: who may be written to through this server, and who gets it in the end.
 *
 * The one place that decides it, at RCPT and again at the commit: maps of the configuration, the
 * way back of addresses that forwarding made, the directory, what the next hop of a relay domain
 * says. The right to relay is what core itself found out about the connection (core/admit.h). All
 * calls on the loop's thread.
 */
#pragma once

#include "base/arena.h"
#include "base/log.h"

#include "io/sys.h"

#include "core/envelope.h"
#include "core/queue/forward.h"
#include "core/verify.h"

struct directory;
struct recipients;
struct route;

struct recipients_settings {
    const struct sys *sys;
    const struct config *config; /* may be exchanged by recipients_reconfigure() */
    const struct event *event;
    struct directory *directory;
    /* Asks the hosts of a route whether they take mail for this address: queue_probe(). Suspends.
     * NULL: nobody can be asked. */
    int (*probe)(void *arg, const struct route *route, struct str address, struct err *why);
    void *arg;
};

int recipients_open(
    struct recipients **r, const struct recipients_settings *settings, struct err *e);
/* Nobody asks any more: suspends until calls to next hops have ended. */
void recipients_stop(struct recipients *r);
void recipients_close(struct recipients **r);
/* What cannot be made anew stays as it was, and is logged. */
void recipients_reconfigure(struct recipients *r, const struct config *config);

struct forward *recipients_forward(const struct recipients *r);

/* RCPT: an answer for each address. Without a fiber it never suspends: false where somebody has to
 * be waited for (the disk, a next hop), and then it is to be called again in a fiber. There it
 * suspends, at most some 10 s for all of them together. */
bool recipients_answer(struct recipients *r, enum ic_right right, const struct ic_rcpt *ask,
    struct ic_rcpt_answer *answer);

/* The commit: maps the reverse-path of the envelope, obeys dsn { strangers }, adds always-bcc as a
 * recipient of whom nobody is told, and gives the final recipients (directory_expand()).
 * *own: how many recipients the client gave. May suspend for the disk. */
int recipients_expand(struct recipients *r, struct arena *a, enum ic_right right,
    struct ic_envelope *envelope, uint32_t *own, struct target **target, uint32_t *count,
    struct err *e);
/* The same for a message of our own, which stays as it is. */
int recipients_expand_own(struct recipients *r, struct arena *a, const struct ic_envelope *envelope,
    struct target **target, uint32_t *count, struct err *e);
