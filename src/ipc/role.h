/* ipc/role.h: a process in its role: what master hands it, and what it tells master.
 *
 * Each process but master is the same program in another role. It reads what master sends over
 * descriptor 3 (ipc/master_role.h), calls its room's prepare(), puts up its walls
 * (master/sandbox.h) and runs its room's run() in a fiber; when that returns the process ends. Only
 * master/role_main.c makes a struct role; rooms get it handed in.
 *
 * Order of life: prepare() → walls → run(): role_serve(), own start, role_ready() → on_drain or
 * on_stop → run() returns. When master goes, the process ends at once, whatever it does.
 */
#pragma once

#include "base/log.h"

#include "run/fiber.h"

#include "ipc/config.h"

struct channel;
struct role;

enum role_kind {
    ROLE_CORE,
    ROLE_INBOUND,
    ROLE_RESOLVER,
    ROLE_OUTBOUND,
    ROLE_KINDS,
};

/* Of inbound; the others have none. */
enum role_class {
    CLASS_NONE,
    CLASS_MX,     /* smtp and lmtp listeners: no login, no mailbox */
    CLASS_CLIENT, /* submission, imap, pop3, the submit socket */
};

enum {
    ROLE_LISTEN_SUBMIT = UINT16_MAX, /* instead of an index: unix:RUNTIME/submit */
    ROLE_LISTENERS_MAX = 1024,
};

struct role_listener {
    int fd;           /* listens already; the room's from run() on */
    uint16_t listen;  /* index in config->listen, or ROLE_LISTEN_SUBMIT: protocol submission, the
                         peer's uid (SO_PEERCRED) is the identity, who may relay */
    uint16_t address; /* index in its list of addresses */
};

/* A process at the other end of a channel. number is never used again, so it tells a new process
 * from a dead one in the same place. */
struct role_peer {
    enum role_kind kind;
    enum role_class class;
    uint16_t index;
    uint32_t number;
};

/* A client whose connections end processes of the server. */
struct role_ban {
    uint8_t address[16]; /* an IPv4 one mapped */
    bool network;        /* its first 8 octets count: IPv6 by /64 */
    uint64_t left_ms;
};

/* Called outside any fiber, must not suspend. What came before role_serve() is told in it. */
struct role_handler {
    /* A channel to a peer: fd for channel_open(), the callee's; at the start and whenever one of
     * both is a new process. That the old one has gone is told by its channel, except where a role
     * has one peer of a kind: there a new one takes its place, and the old channel is to be closed.
     *
     *   core       each inbound, each outbound; one resolver, of the live generation
     *   inbound    one core; one resolver, of its own generation
     *   outbound   one core; one resolver, of its own generation
     *   resolver   core; each inbound and each outbound of its generation
     *
     * A drained process whose resolver dies gets the live generation's. No other pair talks. Nobody
     * but inbound and outbound may wait for a peer before role_ready(): core serves before any
     * other process is there. */
    void (*on_peer)(void *arg, const struct role_peer *peer, int fd);
    /* Core only (NULL elsewhere): role->config is a new one from now on. The one before stays valid
     * until the reload after this. */
    void (*on_reload)(void *arg);
    /* A newer generation serves (inbound and outbound): close listeners before this returns, take
     * no new work, finish what runs, return from run(). on_stop may still follow. A resolver is
     * never drained: it serves its generation until the last of it has ended, then it is stopped.
     */
    void (*on_drain)(void *arg);
    /* The server ends: the same, until role->stop_at (run_now()) at the latest. May come twice with
     * an earlier time. Inbound and outbound are told at once, the resolver when they have ended,
     * core last. */
    void (*on_stop)(void *arg);
    /* Core only (NULL elsewhere). A client is refused from now on, for a time; of bans that last a
     * new core is told again. */
    void (*on_ban)(void *arg, const struct role_ban *ban);
    /* A message of which processes died: to be held back. Told again to each new core until one
     * says role_quarantined(). */
    void (*on_quarantine)(void *arg, uint64_t message);
};

struct role {
    enum role_kind kind;
    enum role_class class;
    uint16_t index, count; /* among the processes of its kind and class */
    uint32_t number;       /* of this process, as its peers see it */
    uint32_t generation;   /* of the configuration it was started with */
    uint32_t restarts;     /* deaths before it in its place */
    const struct config *config;
    struct role_listener *listeners;
    uint32_t listener_count;
    int control_fd;            /* core: listens on RUNTIME/control; else -1 */
    const struct event *event; /* parent of the process's own events */
    uint64_t stop_at;          /* DEADLINE_NONE until on_stop */

    void *room; /* what prepare() leaves for run() */
    struct role_private *private;
};

/* From now on (in run()) the handler is called. */
void role_serve(struct role *r, const struct role_handler *handler, void *arg);
/* Tells master that it serves. Once. */
void role_ready(struct role *r);

/* For who asks: the channel to that kind has ended. If both processes live (one had no memory for a
 * frame, or was told nonsense) master makes a new one, after a while. Never suspends; does nothing
 * in a process without a role (tests). */
void role_peer_lost(enum role_kind kind);
/* Core: the message is held, or not there. */
void role_quarantined(struct role *r, uint64_t message);

/* ---- what core may ask of master, for the control socket. Suspend. */

/* 0: the new configuration is live. 1: nothing has changed, and problems (its ceiling: 60 KiB)
 * holds one line each. -1: failed otherwise. */
int role_ask_reload(struct role *r, struct buf *problems, struct err *e);
/* The server begins to end, as by SIGTERM. */
int role_ask_stop(struct role *r, struct err *e);

/* The processes of this server, master first. */
struct role_process {
    const char *role; /* "master", or role_kind_name() */
    enum role_class class;
    uint16_t index;
    uint32_t pid, generation, restarts;
    uint64_t uptime_ms;
    bool ready, draining;
};
int role_ask_status(
    struct role *r, struct arena *a, struct role_process **v, uint32_t *count, struct err *e);

const char *role_kind_name(enum role_kind kind);
const char *role_class_name(enum role_class class); /* "", "mx", "client" */

/* ---- the rooms: each defined in its folder, listed in master/rooms.c */

struct role_room {
    /* Before the walls: files that lie outside them (libraries' own, locale, trust anchors), and
     * what must be made before. Core's makes DATA/control.db where there is none. May suspend; no
     * thread may be left running. */
    int (*prepare)(struct role *r, struct err *e);
    /* Inside the walls. -1 is reported to master: before role_ready() as the reason why the server
     * cannot start, later as a death. */
    int (*run)(struct role *r, struct err *e);
};

int core_prepare(struct role *r, struct err *e);
int core_run(struct role *r, struct err *e);
int inbound_prepare(struct role *r, struct err *e);
int inbound_run(struct role *r, struct err *e);
int resolver_prepare(struct role *r, struct err *e);
int resolver_run(struct role *r, struct err *e);
int outbound_prepare(struct role *r, struct err *e);
int outbound_run(struct role *r, struct err *e);
