/* core/upload.h: the parts of messages that arrive before their commit.
 *
 * An upload belongs to the channel it came by. Its recipients and digest are kept in memory, those
 * of all uploads together under UPLOAD_SIDE_MEMORY, its content too up to `spool { large }`, as
 * long as all uploads together stay under UPLOAD_MEMORY; beyond either, content goes to a large
 * file of the spool as it arrives, and the sender's credit comes back when a piece has been
 * written: so a slow disk slows the peer, and memory stays bounded. What cannot be kept is
 * remembered as the upload's error and told at its commit; where not even that can be kept, as its
 * number: what is missing is never taken for what was not there.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/table.h"

#include "ipc/channel.h"
#include "ipc/inbound_core.h"

struct spool;
struct spool_large;

enum {
    UPLOAD_MEMORY = 64 << 20,        /* octets of content in memory, all uploads together */
    UPLOAD_SIDE_MEMORY = 64 << 20,   /* the same of recipients and digests */
    UPLOAD_RECIPIENTS_MAX = 2 << 20, /* encoded octets */
    UPLOAD_DIGEST_MAX = 4 << 20,
    UPLOADS_MAX = 65536, /* of one channel */
    UPLOADS_LOST = 32,   /* numbers remembered; with more, new uploads are not begun */
};

struct upload {
    struct upload_set *set; /* NULL once it has been taken out */
    struct spool *spool;
    uint32_t number;
    struct buf recipients, digest, content;
    struct spool_large *large; /* content went here, all of it */
    uint64_t octets;           /* of content, also of what is still pending */
    struct list pending;       /* pieces on their way to `large` */
    bool writing;              /* a fiber works on pending */
    bool orphaned;             /* nobody wants it any more: that fiber frees it */
    struct cond drained;
    struct err failed; /* class ERR_NONE while all is well */
};

/* The uploads of one channel. */
struct upload_set {
    struct spool *spool;
    struct scope *scope;
    uint64_t large_from, size_max; /* octets */
    struct table uploads;          /* by number */
    uint32_t lost[UPLOADS_LOST];   /* there was no memory for these */
    uint32_t lost_count;
};

void upload_set_init(struct upload_set *set, struct spool *spool, struct scope *scope,
    uint64_t large_from, uint64_t size_max);
void upload_set_end(struct upload_set *set); /* all of them are aborted */

/* A PUT; true where its credit, or where it asks its answer, is given later. Never suspends. */
bool upload_put(struct upload_set *set, struct channel_call from, struct str payload);

void upload_abort(struct upload_set *set, uint32_t number);

/* Takes the upload out for its commit; NULL where there is none of that number. It is the caller's
 * now. */
struct upload *upload_take(struct upload_set *set, uint32_t number);

/* Suspends until everything that came has been written; -1 with the upload's error. */
int upload_wait(struct upload *u, struct err *e);

/* Gives everything back; a large file that was not committed is given back to the spool. */
void upload_free(struct upload *u);

/* Makes the content file the caller's (its commit record will name it); NULL where content is in
 * memory. */
struct spool_large *upload_take_large(struct upload *u);
