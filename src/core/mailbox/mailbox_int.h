/* What the files of this folder share. */
#pragma once

#include <errno.h>
#include <stdio.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

#include "run/fiber.h"

#include "core/mailbox/mailbox.h"
#include "core/mailbox/schema.h"

enum {
    ROOT_SIZE = 512, /* of DATA/mail */
    PATH_SIZE = ROOT_SIZE + 64,
    BIRTHS = 6, /* mailboxes that an account is born with */
};

/* ---- store.c: one database; all of it runs on pool threads */

struct store {
    const struct mailboxes *m;
    uint64_t account;
    struct sql sql;
    uint64_t wal_pages; /* in the log */
    bool broken;        /* what SQLite holds in memory is not to be believed any more */
};

enum store_file {
    STORE_DB,
    STORE_WAL,
    STORE_BODIES, /* the directory */
    STORE_SHARD,  /* the directory that all of them are in */
};

void store_path(
    const struct mailboxes *m, uint64_t account, enum store_file file, char path[PATH_SIZE]);
/* The file of a large body. */
void store_body_path(
    const struct mailboxes *m, uint64_t account, int64_t body, char path[PATH_SIZE]);

enum store_need {
    STORE_EXISTING, /* NULL without an error where there is no such file */
    STORE_MAKE,
};

/* rewrite: a sync has failed since it was open last, so everything that can be read is written and
 * synced again first. */
int store_open(struct store **s, const struct mailboxes *m, uint64_t account, enum store_need need,
    bool rewrite, struct err *e);
/* Gives reserved numbers back unless it is broken; leaves the log as it is. */
void store_close(struct store **s);

/* birth.c: makes a database that is not there, durable. */
int store_give_birth(const struct mailboxes *m, uint64_t account, struct err *e);

int store_checkpoint(struct store *s, struct err *e);
int store_value(struct store *s, const char *name, int64_t *value, struct err *e); /* 1, 0, -1 */
int store_set_value(struct store *s, const char *name, int64_t value, struct err *e);
int store_erase(const struct mailboxes *m, uint64_t account, struct err *e);

/* ---- actor.c: who may work on an account; the loop's thread */

struct actor {
    uint64_t account;
    struct list lru;     /* in mailboxes.open_list while its database is open */
    struct list waiting; /* for a checkpoint */
    struct store *store;
    bool busy, running; /* a fiber has it; a thread works on it */
    unsigned waiters;   /* fibers that want it */
    unsigned syncs;     /* of its log that are under way or gathered */
    uint64_t round;     /* the last one that it is in */
    uint64_t losses;    /* failed syncs of its log */
    bool suspect;       /* one of them has not been mended yet */
    int wal;            /* handle of the log, -1: not open */
    struct cond free;
};

/* Suspends until it is the caller's. */
int actor_take(struct mailboxes *m, uint64_t account, struct actor **a, struct err *e);
void actor_release(struct mailboxes *m, struct actor **a);

/* Gives the memory back if nobody has any use for it. */
void actor_forget(struct mailboxes *m, struct actor *a);

/* Work on an account, on the heap: the database is opened first if it is not. */
struct work {
    struct mailboxes *m;
    struct actor *actor;
    struct store *store;   /* for fn; NULL where there is none (STORE_EXISTING) */
    struct store *closing; /* another that has to go for it, or its own where it is suspect */
    enum store_need need;
    bool rewrite; /* the store is made to rewrite what a failed sync may have lost */
    bool closes;  /* fn is run with the database closed */
    bool broke;   /* the store was closed because it is not to be believed */
    int (*fn)(struct work *w, struct err *e);
    void *arg;
    int status;
    struct err e;
};

/* Runs fn on a pool thread for an actor that was taken. Suspends; -1 with the error of fn. */
int actor_run(struct mailboxes *m, struct actor *a, enum store_need need,
    int (*fn)(struct work *w, struct err *e), void *arg, struct err *e);
/* Runs fn with the database closed. */
int actor_run_closed(
    struct mailboxes *m, struct actor *a, int (*fn)(struct work *w, struct err *e), struct err *e);
/* Take, run, release. */
int actor_do(struct mailboxes *m, uint64_t account, enum store_need need,
    int (*fn)(struct work *w, struct err *e), void *arg, struct err *e);

/* ---- sync.c: one sync for everybody who waits */

/* A delivering transaction begins (1) or ends (-1): the next sync waits for those that run. */
void sync_writing(struct mailboxes *m, int change);
/* Ends one, and suspends until what it wrote is durable. losses: actor.losses before it wrote. */
int sync_join(struct mailboxes *m, struct actor *a, uint64_t losses, struct err *e);

/* ---- body.c: content on its way into databases */

struct source {
    const struct mail_content *content;
    struct str text; /* of small content */
    char *loaded;    /* its memory, where it was read */
    bool staged;     /* large content: in the file mail/tmp/<number>, durable */
    uint64_t number;
    struct err why; /* class ERR_NONE while all is well */
};

void source_open(struct mailboxes *m, struct source *s); /* suspends */
void source_close(struct mailboxes *m, struct source *s);
/* On a pool thread: the staged file becomes the account's, durable. */
int body_link(const struct mailboxes *m, uint64_t account, const struct source *s, int64_t body,
    struct err *e);
int body_clear_stage(const struct mailboxes *m, struct err *e);

/* What a message is read from: prefix, then content without its cuts. */
struct body_reader {
    struct str prefix;
    const uint64_t *cut; /* pairs */
    uint32_t cuts;
    uint64_t content, size; /* octets of content; of all */
    int (*read)(struct body_reader *r, uint64_t at, struct buf *out, size_t n, struct err *e);
    void *arg;
};
uint64_t body_size(uint64_t prefix, uint64_t content, const uint64_t *cut, uint32_t cuts);
bool body_cuts_sound(uint64_t content, const uint64_t *cut, uint32_t cuts);
int body_read(struct body_reader *r, uint64_t at, size_t n, struct buf *out, struct err *e);

/* ---- transaction.c */

/* All deliveries of a call to one account. */
struct group {
    uint64_t account;
    struct delivery **v;
    struct source **source; /* beside each */
    uint32_t count;
    bool extended; /* numbers were reserved: nobody may see it before it is synced */
};

int transaction_deliver(struct work *w, struct err *e); /* arg: struct group */

/* ---- */

struct sync_round;

struct mailboxes {
    struct mailboxes_settings settings;
    char path[ROOT_SIZE];
    int64_t life; /* this opening of the mailboxes; databases know by it that there was another */
    int dir;      /* handle for syncfs */
    struct pool *pool, *syncs;
    struct table actors;
    struct list open_list; /* actors with an open database, least recently used first */
    unsigned open;
    struct cond slot; /* a database may be closed for another */
    uint64_t next_stage;
    struct sync_round *gathering, *flushing;
    uint64_t rounds;
    int writing; /* delivering transactions that run */
    struct list checkpoints;
    struct cond checkpoint_wanted;
    struct scope scope;
    int64_t opened_ns; /* monotonic */
    struct mailboxes_stats stats;
};
