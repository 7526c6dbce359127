/* What the files of this folder share. */
#pragma once

#include "base/mem.h"
#include "base/table.h"

#include "mail/address.h"

#include "run/fiber.h"

#include "core/directory/directory.h"
#include "core/directory/schema.h"

struct domain {
    int64_t number; /* in the order of birth */
    bool relay, enabled;
    enum directory_recipients taken; /* of a relay domain */
    bool hidden;                     /* its birth is not durable yet */
    char separator;                  /* NUL: none */
    uint16_t size;
    char *first; /* address of its first enabled account, or NULL */
    char name[];
};

/* What memory knows of an address. One without anything is none: a place that a change has
 * reserved, or (in a cache) the memory that the file has no such address. */
struct address {
    uint64_t account; /* 0: none */
    char *targets;    /* of an alias, each on a line of its own, or NULL */
    uint16_t size;
    bool enabled, recipient, used;
    char key[];
};

struct directory {
    struct directory_settings settings;
    struct sql sql;
    struct pool *pool;
    struct table domains, addresses;
    struct domain *home; /* of bare postmaster and of address literals, or NULL */
    bool large;          /* the file has more addresses than memory: addresses is a cache */
    size_t hand;         /* where the cache looks for what is to go */
    uint64_t absent;     /* entries of the cache that say "none" */
    uint64_t changes;    /* so far; a read that one has overtaken is done again */
    struct directory_counts counts;
    struct buf scratch;
    bool changing;
    struct cond changed;
};

/* ---- name.c: addresses as they are looked up */

struct name {
    struct str key, local, domain; /* slices of octets */
    char octets[ADDRESS_KEY_MAX];
};

/* Bare postmaster and own literals become addresses of the home domain. */
int name_parse(struct directory *d, struct str address, struct name *n, struct err *e);
/* The same, and "@domain". */
int name_parse_alias(struct directory *d, struct str address, struct name *n, struct err *e);
/* A domain's key alone. */
int name_domain(struct directory *d, struct str domain, struct name *n, struct err *e);

/* ---- memory.c */

void memory_open(struct directory *d);
void memory_close(struct directory *d);

/* What is known of a key: 1 and the entry, valid until the caller suspends; 0: no such address; -1
 * (4.3.0) where it would have to be read and cannot. Suspends only for what is not in memory. */
int memory_look(struct directory *d, struct str key, struct address **a, struct err *e);

/* Makes sure that the calls below cannot fail for this key. */
int memory_reserve(struct directory *d, struct str key, struct err *e);
void memory_unreserve(struct directory *d, struct str key); /* the change did not take place */
void memory_set_account(struct directory *d, struct str key, uint64_t account, bool enabled);
void memory_set_targets(struct directory *d, struct str key, char *targets); /* takes it over */
void memory_set_recipient(struct directory *d, struct str key, bool recipient);
void memory_drop_recipients(struct directory *d, const struct domain *domain);

struct domain *memory_domain(const struct directory *d, struct str name);
struct domain *domain_new(struct str name);
void domain_free(struct domain *domain);
void memory_pick_home(struct directory *d);

/* ---- load.c: blocks, before anybody is served */

int directory_load(struct directory *d, struct err *e);

/* ---- locate.c */

enum place_kind {
    PLACE_ACCOUNT,
    PLACE_ALIAS,
    PLACE_RELAY,
    PLACE_FOREIGN,
    PLACE_REFUSED,
};

struct place {
    enum place_kind kind;
    uint64_t account;   /* also of an alias that has one beside it; 0: none */
    bool disabled;      /* there is an account, but it may not be used */
    struct str targets; /* PLACE_ALIAS: lines; valid until the caller suspends */
    struct err why;     /* PLACE_REFUSED */
    bool cold;
    bool ask; /* PLACE_RELAY: whether the next hop takes it */
};

void locate(struct directory *d, const struct name *n, struct place *p);

/* ---- expand.c */

/* An alias as it would be after a change. */
struct alias_target {
    struct str text, key;
};

struct alias_edit {
    struct str key, address, domain;
    struct alias_target *target;
    uint32_t targets;
    struct str lines; /* the texts, as memory has them */
    char *memory;     /* a heap copy for memory; NULL without targets */
};

/* Follows aliases from edit's address as if the edits in `overlay` (a table of struct alias_edit)
 * had taken place. ERR_PERMANENT with the way in words if it comes back to where it has been. */
int expand_check(
    struct directory *d, const struct table *overlay, const struct alias_edit *edit, struct err *e);

/* ---- change.c: changes and queries run on the one thread of the database */

struct job {
    struct directory *d;
    int (*fn)(struct job *j, struct err *e); /* on the pool's thread */
    bool change; /* one at a time, in a transaction of its own, with `arena` of its own */
    struct arena own, *arena; /* own: of a change */
    /* What fn needs and what it gives; their meaning is fn's. */
    struct str key, text, domain, hash;
    int64_t id, number, limit;
    bool flag, relay;
    struct str *list;
    struct alias_edit *edit;
    uint32_t count;
    char *first; /* the address of the domain's first account, for memory */
    void *rows;
    int status;
    struct err e;
};

/* A change waits until the one before it has ended. NULL with e filled. */
struct job *job_begin(struct directory *d, bool change, struct err *e);
int job_run(struct job *j, int (*fn)(struct job *, struct err *), struct err *e);
void job_end(struct job **j); /* for CLEANUP */

#define CHANGE(d, e) CLEANUP(job_end) struct job *j = job_begin((d), true, (e))
#define QUERY(d, e)  CLEANUP(job_end) struct job *j = job_begin((d), false, (e))

/* In a change, on the pool's thread. */
int job_next_number(struct job *j, const char *name, int64_t *number, struct err *e);
int job_read_first(struct job *j, struct err *e); /* j->domain -> j->first */
void job_set_first(struct job *j);                /* on the loop's thread, afterwards */

int alias_write(struct job *j, struct err *e); /* j->edit */

/* ---- domain.c */

/* The key of a domain that is there, in the job's arena. */
int domain_find(struct job *j, struct str name, struct domain **domain, struct err *e);

/* ---- recipients.c: j->list, of j->domain */

/* The keys of a relay domain's recipients: addresses of it, or local parts alone. */
int recipients_keys(struct job *j, const struct str *list, uint32_t count, struct err *e);
int recipients_insert(struct job *j, struct err *e); /* on the pool's thread */
int recipients_reserve(struct job *j, struct err *e);
void recipients_unreserve(struct job *j);
void recipients_set(struct job *j, bool recipient);
