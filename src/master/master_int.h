/* master/master_int.h: what the files of master share. */
#pragma once

#include <uv.h>

#include "master/blame.h"
#include "master/identity.h"
#include "master/listeners.h"
#include "master/process.h"

enum {
    STOP_CORE_MS = 1000, /* of the grace are kept for core, which ends last */
    STOP_RESOLVER_MS = 200,
    FILL_MS = 10000,     /* a child that does not take what it gets is given up */
    KILL_AFTER_MS = 300, /* a process that has not ended at its time is killed so much later */
    DRAIN_ASK_MS = 5000, /* within which listeners are closed */
    RELOAD_READY_MS = 30000,
    CONTROL_WAIT_MS = 5000, /* for a server on the same data that is just ending */
    PORT_WAIT_MS = 1000,    /* for processes whose master was killed */
    GENERATIONS_MAX = 4,    /* older ones are stopped, not only drained */
};

enum master_phase {
    MASTER_STARTING,
    MASTER_RUNNING,
    MASTER_STOPPING,
};

struct master {
    const char *config_path;
    struct config *config; /* the live one */
    uint32_t generation;
    uint32_t numbers; /* of processes */
    enum master_phase phase;
    bool failed;

    struct identity roles[ROLE_KINDS]; /* as whom they work */
    struct listeners listeners;
    int control_fd;
    struct list processes; /* core first */
    struct process *core;
    struct blame *blame;
    struct cond changed; /* in any process, or in the phase */
    struct scope scope;
    struct log_sink sink;
    struct event event;

    bool reloading;
    bool reload_signal, reload_again; /* one by SIGHUP runs; another came meanwhile */
    uint64_t started_at;              /* run_now() */
    uint64_t stop_at;                 /* when all has ended */
    uv_signal_t signals[4];
};

static inline struct process *process_of(struct list *link)
{
    return LIST_ENTRY(link, struct process, link);
}

extern const struct channel_handler control_handler; /* arg: struct process (control.c) */

/* master.c */
void master_changed(struct master *m); /* something of a process or the phase: wakes who waits */
void master_stop(struct master *m);    /* a second time: at once */
/* Waits for a change, at most until then (run_now_fresh()). -1 when the time has come. Suspends. */
int master_wait(struct master *m, uint64_t until);

/* keeper.c */
/* Starts a process in its place, gives it all it needs, and connects it. What goes wrong later is
 * seen as its death. Suspends. */
int keeper_fill(struct process *p, const struct config *config, struct err *e);
/* The same for a place that nobody was ever ready in: after a crash or two, which may have been an
 * accident, but not for a process that said why it cannot start: -1 and that. Suspends. */
int keeper_fill_again(struct process *p, const struct config *config, struct err *e);
/* A process has ended; says when its place is filled again. */
void keeper_ended(struct process *p);
/* The fiber that fills places, for as long as the server runs. arg: struct master. */
void keeper_run(void *arg);
/* Frees places that nobody will fill. */
void keeper_sweep(struct master *m);

/* links.c */
/* Gives every process the channels it has not got yet (ipc/role.h, on_peer). Suspends. */
void links_make(struct master *m);
/* An asker has lost its channel to that kind: it gets another one in a moment, if both live on. -1:
 * it has none to lose. Never suspends. */
int links_lost(struct process *asker, enum role_kind kind);

/* death.c */
/* A process has died by a signal that we did not send: blames who it worked for. */
void death_examine(struct process *p, int signal);
/* Tells core what it does not know yet of bans and quarantine. Suspends. */
int death_tell_core(struct process *core, struct err *e);

/* generation.c */
/* Makes places for all processes of a generation (every role but core), fills them, and waits until
 * all are ready. On failure they are dropped. Suspends. */
int generation_start(
    struct master *m, const struct config *config, uint32_t generation, struct err *e);
/* Tells all processes of older generations in that role (inbound, outbound) to drain; their
 * listeners are closed when this returns. Suspends. */
void generation_drain_others(struct master *m, enum role_kind kind);
/* Stops resolvers of old generations that nobody is left to ask. */
void generation_end_resolvers(struct master *m);

/* reload.c */
/* 0: live; 1: problems, a line each, and nothing has changed. Suspends. */
int master_reload(struct master *m, struct buf *problems);
/* The fiber of a SIGHUP. arg: struct master. */
void reload_by_signal(void *arg);
/* Answers MR_RELOAD. */
void reload_by_request(struct master *m, struct channel_call from);
