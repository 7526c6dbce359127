/* core/trace/trace.h: the history of messages: what happened to each, from connection to outcome.
 *
 * An event is a line of a message's life. trace_write() takes it into a bounded buffer and never
 * suspends nor fails its caller: what does not fit, or cannot be written, is counted, and said in
 * the log and in trace_stats(). A thread of its own appends what was gathered to DATA/trace a few
 * times a second. Nothing is synced for an event: a crash of the process may lose the last moment,
 * a power cut what the system had not yet written; the spool, not this, is what mail depends on.
 *
 * Files are segments (core/trace/segment.h). Each full one gets an index in the background, so that
 * a search reads a few pages of each; the one being written is scanned. The oldest go when there is
 * more than trace { size } or when they are older than trace { keep }.
 *
 * Called on the loop's thread. A NULL trace is allowed everywhere and remembers nothing.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"

#include "io/sys.h"

struct trace;
struct pool;

enum {
    TRACE_TEXT_MAX = 1024,    /* octets; longer text is cut */
    TRACE_ADDRESS_MAX = 1024, /* of addresses and names: cut too */
    TRACE_REFUSALS_MAX = 50,  /* a second: what strangers try must not push out the history of mail;
                                 what is beyond is counted */
    TRACE_IDS_MAX = 1000,     /* of a search */
};

/* Values are stored: only ever added. */
enum trace_kind {
    TRACE_RECEIVED = 1, /* committed: from, client, helo, protocol, size; count: recipients */
    TRACE_REFUSED,      /* a recipient or a whole message was not taken: code, status, text */
    TRACE_QUEUED,       /* a final recipient of it: to; text: the address given, where another */
    TRACE_HELD,         /* text: why */
    TRACE_RELEASED,
    TRACE_DELIVERED,   /* into a mailbox here, or by LMTP (host, address) */
    TRACE_RELAYED,     /* host, address, code, status, text */
    TRACE_DEFERRED,    /* the same; until_ms: the next attempt */
    TRACE_FAILED,      /* the same, or our own words without host */
    TRACE_EXPIRED,     /* its lifetime is over: text says what was said last */
    TRACE_DELAYED,     /* its sender was warned; other: the notification */
    TRACE_DSN,         /* the sender was told how it ended; other: the notification */
    TRACE_NO_DSN,      /* nobody is told; text: why */
    TRACE_DISCARDED,   /* by a route to null */
    TRACE_REMOVED,     /* by the operator */
    TRACE_RETRIED,     /* by the operator: tried now instead of later */
    TRACE_QUARANTINED, /* damaged, or it killed too often: text */
    TRACE_FORWARDED,   /* to; from: the reverse-path that it leaves with instead of its own */
    TRACE_ENDED,       /* nothing is left to do for it */
    TRACE_KINDS,
};

/* What applies is set, the rest is zero. Slices need to last only during the call. */
struct trace_event {
    enum trace_kind kind;
    int64_t when_ms; /* wall clock; 0: now */
    uint64_t id;     /* the message; 0: it never became one */
    uint64_t other;  /* another message that this one led to */
    struct str from; /* the reverse-path: with TRACE_RECEIVED, TRACE_REFUSED and where it changes;
                        it is searched for. Empty with has_from: the null reverse-path */
    bool has_from;
    struct str to; /* the recipient; it is searched for */
    struct str client, helo, protocol;
    struct str host, address; /* of the remote server */
    uint16_t code;            /* of its reply */
    uint16_t attempt;
    struct err_status status;
    uint32_t count;
    uint64_t size;
    int64_t until_ms;
    struct str text;
};

/* ---- writing */

struct trace_settings {
    const struct sys *sys;
    const char *path; /* DATA/trace; made if it is not there */
    uint64_t size, keep_ms;
    uint64_t segment; /* octets of one; 0: by size */
    const struct event *event;
};

/* Starts the threads. What an earlier life left is made good in the background. */
int trace_open(struct trace **t, const struct trace_settings *settings, struct err *e);
void trace_reconfigure(struct trace *t, uint64_t size, uint64_t keep_ms);
/* Suspends until everything has been written. Nobody may be in a call. */
void trace_close(struct trace **t);

/* Never suspends. */
void trace_write(struct trace *t, const struct trace_event *ev);

struct trace_stats {
    uint64_t events; /* taken since start */
    uint64_t lost;   /* not written: no room in the buffer, or the disk failed */
    uint64_t refusals_left_out;
    uint64_t damaged; /* places that were hopped over */
    uint64_t segments, octets;
    bool failing; /* the last write failed */
};
void trace_stats(const struct trace *t, struct trace_stats *s);

const char *trace_kind_name(enum trace_kind kind); /* "received": as logs and JSON have it */

/* ---- searching */

/* Where a page of results ended: segment and octet; zeros: from the first. */
struct trace_place {
    uint64_t segment, offset;
};

/* The messages that an address sent or got, newest first. */
struct trace_ids {
    uint64_t *id;
    bool *sent; /* by it; else it is a recipient */
    uint32_t count;
    bool more;    /* there are older ones */
    bool refused; /* there are events of no message */
};

/* Events in the order in which they were written: of each message all, or those that concern the
 * address; with an address also those of no message that name it. */
struct trace_query {
    const uint64_t *id;
    const bool *whole; /* for each; NULL: all are */
    uint32_t ids;
    struct str address; /* ASCII case does not matter; empty: none */
    int64_t since_ms;
    struct trace_place after;  /* moved on */
    uint32_t limit;            /* events */
    bool done;                 /* there is no more */
    struct trace_place *place; /* of each event found, for who goes on before the last */
};

/* Both see all that was written before the call, suspend, and put what they find into the arena
 * (-1, ERR_TEMPORARY, where it is too small). */
int trace_find_ids(struct trace *t, struct arena *arena, struct str address, int64_t since_ms,
    uint32_t limit, struct trace_ids *found, struct err *e);
int trace_find(struct trace *t, struct arena *arena, struct trace_query *query,
    struct trace_event **found, uint32_t *count, struct err *e);
