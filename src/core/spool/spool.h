/* core/spool/spool.h: the log that keeps accepted mail.
 *
 * A message is durable when spool_commit() has returned 0, never earlier. One writer thread takes
 * all that waits, writes it behind the log's end, syncs once and wakes everybody; while one sync
 * runs, the next group gathers. The spool knows a message by its id, keeps what is left to do for
 * each of its recipients, and never looks into it: envelope, prefix, digest and content are octets.
 * What is on disk, in which order it is written and what recovery does with it: docs/spool.md.
 *
 * Owns everything below one directory: segment files, large/, quarantine/, the checkpoint. Its only
 * way to the system is the table in io/sys.h. All calls are made on the loop's thread.
 * Suspends: commit, flush, large_*, read, load, close; nothing else. Without a fiber: open.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

#include "io/sys.h"

#include "core/spool/stats.h"

struct spool;
struct spool_large;
struct spool_message;

/* What is known of one recipient. state is the spool's, the rest means what the queue says. */
enum spool_rcpt_state {
    SPOOL_PENDING,
    SPOOL_DEFERRED,
    SPOOL_DELIVERED,
    SPOOL_FAILED,
    SPOOL_REMOVED, /* by the operator */
    SPOOL_RCPT_STATES,
};

struct spool_rcpt {
    uint8_t state, attempts;
    uint16_t status;
    uint32_t when;
};

/* A message that is alive: found at start, or durable since this moment. */
struct spool_found {
    uint64_t id;
    uint64_t content; /* octets */
    uint32_t prefix;  /* octets; the size of a message is the sum */
    uint32_t rcpts;   /* recipients in the envelope */
    const struct spool_rcpt *rcpt;
    uint64_t segment; /* where its commit record lies, for people */
    uint64_t at;
    bool damaged;                  /* it could not be read */
    bool recovered;                /* from an earlier life of the spool */
    struct spool_message *message; /* as it was handed over; NULL where recovered */
};

enum spool_state {
    SPOOL_READY,
    SPOOL_FULL,   /* the reserve is reached: new mail gets 452 4.3.1 */
    SPOOL_BROKEN, /* storage failed: commits get 451 4.3.0; a new segment is tried now and then */
};

/* Something that was damaged and set aside. */
struct spool_damage {
    const char *file; /* below the spool's directory; "" where a whole segment is missing */
    uint64_t segment, from, to;
    const char *what; /* a literal */
};

struct spool_settings {
    const struct sys *sys;
    const char *path;    /* the spool's directory; made if it is not there */
    uint64_t segment;    /* octets of a segment file; 0: 64 MiB */
    uint64_t large;      /* content above this goes to a file of its own; 0: 256 KiB */
    uint64_t reserve;    /* octets of disk kept for outcomes and DSNs; 0: two segments */
    uint64_t group;      /* most octets of a group; 0: 4 MiB */
    uint64_t cache;      /* octets of fresh messages kept in memory; 0: 16 MiB */
    uint64_t checkpoint; /* octets of log between checkpoints; 0: 16 segments */
    uint64_t scrub;      /* octets a second that are read to see whether they are whole; 0: none */
    bool no_sync;        /* sync = none: nothing survives a power cut */
    bool repair;         /* files that would refuse the start are set aside, and reported */
    bool look;           /* changes nothing on the disk: no copies, no commits (451), no chores */
    void *arg;
    /* On the loop's thread, for each message found at start (inside spool_open()) and for each one
     * the moment it has become durable, before its committer goes on, even if that one has given
     * up waiting. A negative result at start ends spool_open(). Must not suspend. */
    int (*on_live)(void *arg, const struct spool_found *f);
    void (*on_state)(void *arg, enum spool_state state);        /* may be NULL */
    void (*on_damage)(void *arg, const struct spool_damage *d); /* may be NULL */
    void (*on_durable)(void *arg); /* spool_durable() may have grown; may be NULL */
};

/* Blocks until the log has been read: seconds for a million messages. */
int spool_open(struct spool **s, const struct spool_settings *settings, struct err *e);
/* Suspends (in a fiber) until everything handed in is written; then a checkpoint is. Nobody may be
 * in any other call. */
void spool_close(struct spool **s);

/* For message ids: unique to the spool; and larger at each start, durably, before open returns. */
const uint8_t *spool_id(const struct spool *s); /* 16 octets */
uint64_t spool_epoch(const struct spool *s);

/* A value that can change while it works. */
void spool_set_scrub(struct spool *s, uint64_t octets_a_second);

enum spool_state spool_state(const struct spool *s);
void spool_stats(const struct spool *s, struct spool_stats *out);

/* ---- messages in */

/* One heap block of the committer's, handed over with spool_commit(): the spool keeps it while it
 * is written and a while longer, for readers, and then calls release. Slices point into that block
 * or to what lives as long. Content is written from where it lies. */
struct spool_message {
    uint64_t id;    /* not 0, never used before */
    uint32_t rcpts; /* 1 to SPOOL_RCPTS_MAX */
    struct str envelope, prefix, digest;
    const struct str *content; /* pieces, CRLF or not */
    uint32_t pieces;
    struct spool_large *large; /* content instead; finished; taken over with the message */
    bool has_crc;              /* content_crc is the CRC-32C of all content: checked, ERR_BUG */
    uint32_t content_crc;
    void (*release)(struct spool_message *m);
    void *context;         /* the committer's */
    struct spool_private { /* the spool's own */
        struct list cached;
        uint64_t content, at; /* octets; where the commit record went */
        uint32_t crc;
    } own;
};

enum {
    SPOOL_RCPTS_MAX = 65535,
};

/* What becomes of recipients and of messages. */
enum spool_change_kind {
    SPOOL_OUTCOME, /* of one recipient */
    SPOOL_END,     /* nothing is left to do for the message: it is forgotten */
};

struct spool_change {
    enum spool_change_kind kind;
    uint64_t id;
    uint32_t rcpt;             /* SPOOL_OUTCOME */
    struct spool_rcpt outcome; /* SPOOL_OUTCOME */
    uint32_t reason;           /* SPOOL_END: kept in the record, for people */
};

enum spool_class {
    SPOOL_MAIL, /* new mail: refused when the reserve is reached */
    SPOOL_OWN,  /* outcomes, ends and DSNs: may use the reserve */
};

/* All of it or nothing: m[0..n) become alive and the changes take place, in order, with one commit
 * record. Suspends until that is durable. The messages belong to the spool from here on, also when
 * this fails. If the fiber is cancelled or its deadline passes meanwhile, the commit still goes on
 * its way (on_live tells how it went) and the result is ERR_CANCELLED or ERR_DEADLINE. */
int spool_commit(struct spool *s, struct spool_message *const *m, unsigned n,
    const struct spool_change *changes, unsigned count, enum spool_class class, struct err *e);

/* The same for changes that nobody waits for: never suspends; written with the next group, at the
 * latest after a second. If the storage fails they stay in memory until it works again. */
int spool_change(
    struct spool *s, const struct spool_change *changes, unsigned count, struct err *e);

/* What was handed in before a ticket is durable once spool_durable() is not less. */
uint64_t spool_ticket(const struct spool *s);
uint64_t spool_durable(const struct spool *s);
void spool_hurry(struct spool *s); /* have them written now; never suspends */
/* Suspends until all that was handed in so far is durable. */
int spool_flush(struct spool *s, struct err *e);

/* ---- large content, written as it arrives, by another thread than the log's */
int spool_large_begin(struct spool *s, struct spool_large **l, struct err *e);
int spool_large_write(struct spool_large *l, struct str octets, struct err *e);
int spool_large_finish(struct spool_large *l, struct err *e); /* durable, but not yet a message */
uint64_t spool_large_size(const struct spool_large *l);
void spool_large_abort(struct spool_large **l); /* never suspends; NULL is allowed */

/* ---- messages out */

enum spool_part {
    SPOOL_ENVELOPE,
    SPOOL_PREFIX,
    SPOOL_DIGEST,
    SPOOL_CONTENT,
};

bool spool_find(const struct spool *s, uint64_t id, struct spool_found *f);

/* Copies up to n octets of a live message's part from position `at` on to p (heap memory); *got is
 * less only at the part's end. What fails its checksum is never given out: it goes to quarantine,
 * on_damage is called and the result is ERR_PERMANENT 4.3.0. */
int spool_read(struct spool *s, uint64_t id, enum spool_part part, uint64_t at, void *p, size_t n,
    size_t *got, struct err *e);
/* Appends a whole part to out, within its ceiling. */
int spool_load(struct spool *s, uint64_t id, enum spool_part part, struct buf *out, struct err *e);
