/* core/directory/directory.h: who has a mailbox here: domains, accounts, aliases.
 *
 * The truth is DATA/control.db (SQLite, docs in schema.c); memory holds all addresses up to
 * `memory`, about 100 octets each, and is changed in the turn in which a change has become durable.
 * With more addresses than that, memory is a bounded cache (of addresses, and of names that are
 * none) before the file. Addresses compare by their keys (mail/address.h): ASCII folded, NFC.
 *
 * An address of a local domain is looked for as: itself; what stands before the domain's separator
 * (plus-addressing); postmaster and abuse; the catch-all "@domain". An alias and an account may
 * share an address: the alias is followed, and leads to the account where it names itself.
 *
 * Suspends: whatever changes, lists or shows, in a fiber; and the look-ups where they say so. All
 * calls are made on the loop's thread, no change ends before it is synced, and they come one by
 * one. Passwords arrive as hashes (password.h). Errors are one line for people.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include "io/sys.h"

#include "ipc/inbound_core.h"

#include "core/directory/relay_list.h"
#include "core/envelope.h"

struct directory;

enum {
    DIRECTORY_MEMORY = 1000000, /* addresses */
    DIRECTORY_DOMAINS_MAX = 1000000,
    DIRECTORY_DEPTH_MAX = 16,     /* aliases that lead to aliases */
    DIRECTORY_TARGETS_MAX = 1000, /* of one alias */
    DIRECTORY_PAGE_MAX = 1000,    /* rows of a list */
    DIRECTORY_NAME_MAX = 320,     /* octets of an address as it is given here */
};

struct directory_settings {
    const struct sys *sys;
    const char *path;      /* of control.db, in a directory that exists */
    struct str origin;     /* the domain of <postmaster> and of address literals, if it is ours */
    struct str postmaster; /* an address that takes every domain's postmaster and abuse, or empty */
    const uint8_t (*literals)[16]; /* own addresses: user@[192.0.2.1] is user@origin */
    uint32_t literal_count;
    uint64_t memory; /* addresses held; 0: DIRECTORY_MEMORY */
};

/* Blocks while the file is read. What settings point to must live as long as the directory. */
int directory_open(struct directory **d, const struct directory_settings *settings, struct err *e);
void directory_close(struct directory **d); /* nobody may be in a call */

/* Takes origin, postmaster and literals of `from` instead of its own. What they point to must live
 * until the next such call has returned. Never suspends. */
void directory_reconfigure(struct directory *d, const struct directory_settings *from);

/* ---- look-ups */

/* What RCPT is told. LOCAL: at least one mailbox here; FORWARD: aliases that lead elsewhere only;
 * RELAY: not ours to deliver; REFUSED: why has status and text of the reply. */
struct resolution {
    enum ic_verdict verdict;
    struct err why;
    bool cold; /* refused because memory does not know, and there is no fiber to wait in */
    bool ask;  /* RELAY, of a domain whose next hop is to be asked whether it takes the address */
};

/* A plain function as long as memory holds all addresses; else suspends for one that it does not
 * hold, or outside of a fiber refuses with 451 4.3.0. address has no angle brackets; "postmaster"
 * alone is allowed (RFC 5321 4.5.1). */
void directory_resolve(
    struct directory *d, struct str address, enum ic_right right, struct resolution *r);

/* Is there this domain, in any spelling; is it delivered here? Never suspend. */
bool directory_has_domain(struct directory *d, struct str domain);
bool directory_is_local(struct directory *d, struct str domain);

/* One recipient of a message that is to be expanded. */
struct directory_given {
    struct str address;
    enum ic_right right;
};

/* The final recipients of a message, each once, in the arena; at least one for each recipient given
 * unless another led to the same. What is ours but cannot be delivered any more (a target that is
 * gone, a loop) comes back as TARGET_ADDRESS with its local address: directory_refusal() says why,
 * and the queue returns it by name. -1 without memory, or where a stranger would relay: 5.7.1. May
 * suspend like directory_resolve(). */
int directory_expand(struct directory *d, struct arena *a, const struct directory_given *given,
    uint32_t given_count, struct target **target, uint32_t *count, struct err *e);

/* Is this target's domain delivered here? Then *why says (5xx or 4xx) why it could not be, after
 * directory_expand() gave it back. May suspend like directory_resolve(). */
bool directory_refusal(struct directory *d, struct str address, struct err *why);

/* ---- changes, suspend */

struct directory_domain_new {
    struct str name, separator; /* separator: one character; p is NULL for "+", empty for none */
    bool relay;                 /* passed on, not local */
    bool disabled;              /* until its list is complete */
    enum directory_recipients recipients; /* relay only */
    const struct str *list;               /* addresses, or local parts */
    uint32_t count;
};

int directory_domain_add(
    struct directory *d, const struct directory_domain_new *domain, struct err *e);
int directory_domain_separator(
    struct directory *d, struct str name, struct str separator, struct err *e);
int directory_domain_enable(struct directory *d, struct str name, bool enabled, struct err *e);
/* Refused while it has accounts or aliases. */
int directory_domain_remove(struct directory *d, struct str name, struct err *e);

/* id: of the new account, never used before and never again. hash: of its password; empty: nobody
 * can log in. quota in octets, 0: none. */
int directory_account_add(struct directory *d, struct str address, struct str hash, uint64_t quota,
    uint64_t *id, struct err *e);
int directory_account_password(
    struct directory *d, struct str address, struct str hash, struct err *e);
int directory_account_quota(struct directory *d, struct str address, uint64_t quota, struct err *e);
int directory_account_enable(struct directory *d, struct str address, bool enabled, struct err *e);
/* *id: whose mailbox is to be erased now (mailbox_erase()). */
int directory_account_remove(struct directory *d, struct str address, uint64_t *id, struct err *e);

/* "@domain" is the catch-all. Targets that are ours must exist; they are added to those it has. */
int directory_alias_add(struct directory *d, struct str address, const struct str *target,
    uint32_t count, struct err *e);
/* Without targets: the whole alias. */
int directory_alias_remove(struct directory *d, struct str address, const struct str *target,
    uint32_t count, struct err *e);

/* A piece of an /etc/aliases file: all of it or nothing. An alias that is there gets the targets of
 * the file instead of its own. */
struct directory_import {
    struct str text, domain; /* domain: of names without one */
    struct str file;         /* for errors */
    unsigned line;           /* the number of its first line */
    bool check;              /* change nothing */
};
int directory_alias_import(
    struct directory *d, const struct directory_import *import, uint32_t *aliases, struct err *e);

/* ---- what there is, suspend; rows in the arena, in the order of their keys */

struct directory_domain {
    struct str name, separator;
    bool relay, enabled;
    enum directory_recipients taken;
    int64_t created_ms;
    uint64_t accounts, aliases, recipients;
};

struct directory_account {
    uint64_t id;
    struct str address; /* as it was given */
    struct str domain;
    bool enabled;
    uint64_t quota;
    int64_t created_ms;
    struct str hash; /* only of directory_account_show() */
};

struct directory_alias {
    struct str address;
    struct str *target;
    uint32_t targets;
};

/* limit: at most DIRECTORY_PAGE_MAX rows, those behind `after` (a row's name, empty: from the
 * first). An empty domain means all of them. */
struct directory_page {
    struct str domain, after;
    uint32_t limit;
};

int directory_domain_show(struct directory *d, struct arena *a, struct str name,
    struct directory_domain *domain, struct err *e);
int directory_domain_list(struct directory *d, struct arena *a, const struct directory_page *page,
    struct directory_domain **domain, uint32_t *count, struct err *e);
int directory_account_show(struct directory *d, struct arena *a, struct str address,
    struct directory_account *account, struct err *e);
int directory_account_list(struct directory *d, struct arena *a, const struct directory_page *page,
    struct directory_account **account, uint32_t *count, struct err *e);
int directory_alias_list(struct directory *d, struct arena *a, const struct directory_page *page,
    struct directory_alias **alias, uint32_t *count, struct err *e);
/* The aliases that name this address as a target. */
int directory_aliases_of(struct directory *d, struct arena *a, struct str address,
    struct str **alias, uint32_t *count, struct err *e);

struct directory_counts {
    uint64_t domains, accounts, aliases, addresses; /* in the file */
    uint64_t held;                                  /* addresses in memory */
};
void directory_counts(const struct directory *d, struct directory_counts *counts);

/* Octets of the addresses in memory and of their table, without what malloc adds. Walks them all.
 */
uint64_t directory_memory(const struct directory *d);
