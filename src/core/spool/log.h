/* core/spool/log.h: the writer's end of the log.
 *
 * A group is written by as few pwritev() as it takes and confirmed by one sync; only then anybody
 * may be told. After a failed write or sync the segment is sealed at its last confirmed group: it
 * is not written to again, and the group counts as not written. All calls block; one thread at a
 * time. The one who opened the log supplies segments (numbered, prepared, empty).
 */
#pragma once

#include "core/spool/batch.h"
#include "core/spool/disk.h"
#include "core/spool/recover.h"

enum {
    LOG_IOV = 1024, /* IOV_MAX */
    LOG_HEADS = 128 << 10,
};

struct log {
    const struct disk *disk;
    int h;                /* of the segment; -1: there is none to write to */
    uint64_t segment;     /* its number; stays when it is sealed */
    uint64_t end;         /* of the last confirmed group */
    uint64_t sequence;    /* of the next frame */
    uint32_t group;       /* of the last confirmed one, or the one being written */
    uint64_t at, flushed; /* end of the frames so far; how much of that is in the file */
    int error;            /* of the group being written */
    bool marked;          /* the last group is a mark, or there is none */
    uint64_t groups, syncs, written;
    int count;
    size_t used;
    struct iovec iov[LOG_IOV];
    char heads[LOG_HEADS];
};

/* A segment to go on with, and what its first record says. */
struct log_segment {
    uint64_t number;
    uint32_t file;
    struct log_extent {
        uint64_t number,
            end; /* end 0: of the one that is current now, which head.previous_end says */
    } * in_use;
    uint32_t count;
};

void spool_log_init(struct log *l, const struct disk *d);
/* Where recovery found the log's end. Nothing can be written before spool_log_roll(). */
void spool_log_resume(struct log *l, const struct recovery *r);
void spool_log_done(struct log *l);

/* Seals the segment and begins s with its first record, durably. 0 or -errno; then there is no
 * segment to write to. */
int spool_log_roll(struct log *l, const struct log_segment *s);

bool spool_log_writable(const struct log *l);
/* Octets of frames that a new group can take. */
uint64_t spool_log_room(const struct log *l);
/* What an empty segment can take. */
uint64_t spool_log_room_max(const struct disk *d, uint32_t in_use);

/* Writes all batches as one group and syncs. Fills in where they went. 0, or -errno: then the
 * segment is sealed and nothing of it may be acknowledged. */
int spool_log_write_group(struct log *l, struct list *batches);
/* A group with nothing in it: proves on recovery that the one before was confirmed. */
int spool_log_mark(struct log *l);
bool spool_log_marked(const struct log *l);
struct log_position spool_log_position(const struct log *l);

/* The message's content has the checksum that its owner said: 0 or -EBADMSG. Fills in own.crc. */
int spool_log_check_content(struct spool_message *m);
