/* core/mailbox/mailbox.h: the mail that accounts keep: one database an account.
 *
 * DATA/mail/XX/ID.db (SQLite, tables in schema.c), large bodies beside it in ID.d/. No path is made
 * from an address. Each account has one actor: at most one thread works on it at a time, in the
 * order of the calls; a bounded number of databases is open. Delivery is keyed by the spool's id
 * and the recipient's index, so that doing it twice after a crash changes nothing.
 *
 * Delivered means synced: transactions commit without a sync of their own, then one sync serves all
 * that wait. A UID that anybody has seen is never given to another message, not even after a power
 * cut: UIDs and MODSEQs are reserved in blocks, and nobody reads an account whose new block is not
 * durable yet. A database whose sync failed is read anew and rewritten before it is believed again.
 *
 * Suspends: everything but the few functions that say otherwise; in a fiber. Bodies hold CRLF line
 * ends as they came in; core never parses them. Errors are temporary (4.x.x) except a full mailbox
 * (5.2.2) and what is not there.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include "io/sys.h"

struct mailboxes;

enum {
    MAILBOX_INLINE_MAX = 64 * 1024, /* octets of content kept inside the database */
    MAILBOX_CUTS_MAX = 32,
    MAILBOX_RESERVE = 64,      /* UIDs, and MODSEQs, a block */
    MAILBOX_BATCH_MAX = 10000, /* deliveries worked on at a time; a call may bring more */
    MAILBOX_PAGE_MAX = 1000,   /* rows of a list */
    MAILBOX_NAME_MAX = 1024,   /* octets of a mailbox's name */
};

struct mailboxes_settings {
    const struct sys *sys;
    const char *path;   /* DATA/mail; made if it is not there */
    unsigned threads;   /* 0: 4 */
    unsigned open_max;  /* databases open at a time; 0: 256 */
    uint64_t wal_pages; /* pages in a log before it is checkpointed in the background; 0: 1000 */
    bool no_sync;       /* sync = none: nothing survives a power cut */
};

/* In the loop's thread, not in a fiber or in one. */
int mailboxes_open(struct mailboxes **m, const struct mailboxes_settings *settings, struct err *e);
/* Suspends until all that was asked for is done; nobody may be in a call or begin one. */
void mailboxes_close(struct mailboxes **m);

/* ---- delivery */

/* What several recipients of a message share. Slices last until mailbox_deliver() returns. */
struct mail_content {
    uint64_t id;        /* the spool's; also EMAILID (RFC 8474) */
    uint64_t size;      /* octets of content */
    struct str content; /* all of it; where p is NULL, read() gives it */
    /* Copies up to n octets from position `at` on; *got is less only at the end. Called in a fiber,
     * may suspend. */
    int (*read)(void *arg, uint64_t at, void *p, size_t n, size_t *got, struct err *e);
    void *arg;
    struct str digest;   /* kept as it is (mail/digest.h), offsets from the start of content */
    const uint64_t *cut; /* pairs of (offset, length), rising: left out of what is read */
    uint32_t cuts;       /* pairs */
    int64_t received_ms; /* INTERNALDATE */
};

enum delivery_result {
    DELIVERY_DONE,
    DELIVERY_DUPLICATE, /* it was here already; durable all the same */
    DELIVERY_FAILED,    /* why; it may or may not be there, and may be tried again */
};

struct delivery {
    uint64_t account;
    uint32_t rcpt; /* the recipient's index in its message */
    const struct mail_content *content;
    struct str prefix;  /* Return-Path, Delivered-To and the message's own prefix */
    struct str mailbox; /* empty: INBOX; one that is not there is INBOX too */
    uint64_t quota;     /* octets, 0: none */

    enum delivery_result result; /* set by the call, as are: */
    struct err why;
    uint32_t uid;
};

/* One transaction an account, then one sync for everybody who waits. Returns when each delivery has
 * its result; a fiber that is cancelled, or whose deadline passes, waits all the same, but what
 * it would still have to read of large content fails. */
void mailbox_deliver(struct mailboxes *m, struct delivery *v, uint32_t count);

/* ---- reading */

enum mail_flag { /* a set */
    MAIL_SEEN = 1,
    MAIL_ANSWERED = 2,
    MAIL_FLAGGED = 4,
    MAIL_DELETED = 8,
    MAIL_DRAFT = 16,
};

/* A row of a list. Slices in the arena. */
struct mail_row {
    uint32_t uid;
    struct str mailbox;
    uint64_t email_id; /* the spool's id of a delivered message */
    int64_t received_ms, saved_ms;
    uint64_t size; /* octets as it is read */
    uint64_t modseq;
    unsigned flags;
    struct str *keyword;
    uint32_t keywords;
    struct str digest; /* empty where there is none */
};

/* Where a list goes on: behind this message. Zeros: from the first. */
struct mail_after {
    uint32_t mailbox; /* its number, as struct mailbox_row has it */
    uint32_t uid;
};

/* Messages of one mailbox (empty: INBOX), or of all, by mailbox and UID; at most `limit`. *after is
 * moved on; {0, 0} when there are no more. An account without mail has no messages. ERR_PERMANENT
 * where there is no such mailbox. */
int mailbox_list(struct mailboxes *m, struct arena *a, uint64_t account, struct str mailbox,
    bool all, struct mail_after *after, uint32_t limit, struct mail_row **row, uint32_t *count,
    struct err *e);

/* One message (empty mailbox: INBOX; UID 0: the newest); ERR_PERMANENT where there is none. */
int mailbox_find(struct mailboxes *m, struct arena *a, uint64_t account, struct str mailbox,
    uint32_t uid, struct mail_row *row, struct err *e);

/* Appends to out up to n octets (at most MAILBOX_READ_MAX) of the message as it is read: prefix,
 * then content without its cuts, from position `at` on; nothing at its end. *size: of all of it. */
enum {
    MAILBOX_READ_MAX = 256 * 1024,
};
int mailbox_read(struct mailboxes *m, uint64_t account, struct str mailbox, uint32_t uid,
    uint64_t at, size_t n, struct buf *out, uint64_t *size, struct err *e);

struct mailbox_row {
    uint32_t number;
    struct str name, id, special; /* MAILBOXID; special use as RFC 6154 2 has it, or empty */
    uint32_t uid_validity, uid_next;
    uint64_t highest_modseq, messages, unseen, octets;
    bool subscribed;
};

/* All mailboxes of an account, INBOX first; none where it never got mail. */
int mailbox_all(struct mailboxes *m, struct arena *a, uint64_t account, struct mailbox_row **row,
    uint32_t *count, struct err *e);

/* Of all mailboxes of an account together. */
struct mailbox_counts {
    uint64_t messages, unseen, octets;
};
int mailbox_counts(
    struct mailboxes *m, uint64_t account, struct mailbox_counts *counts, struct err *e);

/* Makes the database of an account if it is not there, with INBOX, Drafts, Sent, Junk, Trash and
 * Archive; durable when it returns. Delivery does so by itself. */
int mailbox_birth(struct mailboxes *m, uint64_t account, struct err *e);

/* Copies the log of an account into its database now; nothing where it has no database. */
int mailbox_checkpoint(struct mailboxes *m, uint64_t account, struct err *e);

/* Removes all of an account's mail from the disk. 0 too where there was none. */
int mailbox_erase(struct mailboxes *m, uint64_t account, struct err *e);

struct mailboxes_stats {
    uint64_t delivered, duplicates, failed; /* since start */
    uint64_t transactions, syncs, checkpoints, opened, failed_syncs;
    unsigned open; /* databases now */
};
void mailboxes_stats(const struct mailboxes *m, struct mailboxes_stats *out); /* never suspends */
