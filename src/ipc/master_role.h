/* ipc/master_role.h: what master and a process in a role say to each other over its descriptor 3.
 *
 * At the start: HELLO, the configuration in parts, a LISTENER or CONTROL for each descriptor, PEER
 * for each channel, GO. Then READY or FAILED comes back. PEER may come at any time again. A role
 * hears of the end of master by the end of file.
 *
 *   reload, core's:     CONFIG…, then RELOADED (asked: answered when core works with it)
 *   reload, inbound's and outbound's: DRAIN (asked: answered when the listeners are closed); new
 *                       processes serve
 *   stop:               STOP, then the process ends by itself, or is killed after the grace
 *
 *   deaths:             BAN and QUARANTINE to core, before GO or at any time; QUARANTINED back
 *
 * Encoders and decoders as in ipc/inbound_core.h.
 */
#pragma once

#include "ipc/codec.h"
#include "ipc/role.h"

enum mr_type {
    /* master to role */
    MR_HELLO = 1,  /* notice: struct mr_hello */
    MR_CONFIG,     /* notice: a part of the encoded configuration; an empty one ends it */
    MR_LISTENER,   /* notice with a descriptor: u16 listen, u16 address */
    MR_CONTROL,    /* notice with a descriptor: nothing */
    MR_PEER,       /* notice with a descriptor: struct role_peer */
    MR_GO,         /* notice: nothing */
    MR_RELOADED,   /* ask: nothing -> nothing */
    MR_DRAIN,      /* ask: nothing -> nothing */
    MR_STOP,       /* notice: u64 milliseconds until the end */
    MR_BAN,        /* notice to core: struct role_ban */
    MR_QUARANTINE, /* notice to core: u64 message */

    /* role to master */
    MR_READY = 32,  /* notice: nothing */
    MR_FAILED,      /* notice: struct err; then the process ends */
    MR_RELOAD,      /* ask: nothing -> struct err (ERR_NONE: live; ERR_PERMANENT: the problems), and
                       the problems' lines */
    MR_SHUTDOWN,    /* ask: nothing -> nothing */
    MR_STATUS,      /* ask: nothing -> struct role_process each */
    MR_QUARANTINED, /* notice of core: u64 message */
    MR_LOST,        /* notice: u8 kind of the peer whose channel has ended */
};

enum {
    MR_PART_MAX = 60 * 1024,
    MR_CONFIG_MAX = 4 << 20, /* octets of an encoded configuration */
    MR_PROCESSES_MAX = 1024,
    MR_PROBLEMS_MAX = 60 * 1024, /* octets of their lines */
};

struct mr_hello {
    enum role_kind kind;
    enum role_class class;
    uint16_t index, count;
    uint32_t number, generation, restarts;
};

void mr_hello_encode(const struct mr_hello *v, struct buf *out);
int mr_hello_decode(struct str p, struct mr_hello *v, struct err *e);
void mr_peer_encode(const struct role_peer *v, struct buf *out);
int mr_peer_decode(struct str p, struct role_peer *v, struct err *e);
void mr_listener_encode(const struct role_listener *v, struct buf *out);
int mr_listener_decode(struct str p, struct role_listener *v, struct err *e); /* fd is -1 */
void mr_ban_encode(const struct role_ban *v, struct buf *out);
int mr_ban_decode(struct str p, struct role_ban *v, struct err *e);
void mr_process_encode(const struct role_process *v, struct buf *out);
int mr_processes_decode(
    struct arena *a, struct str p, struct role_process **v, uint32_t *count, struct err *e);
void mr_reload_encode(const struct err *outcome, struct str problems, struct buf *out);
/* The problems are a slice of p. */
int mr_reload_decode(struct str p, struct err *outcome, struct str *problems, struct err *e);
