/* core/spool/large.h: content that has a file of its own below large/.
 *
 * The octets are content frames as in the log, with the use number in place of the segment's and
 * counted from 1, so that what an earlier use left behind is never taken for this one's. The calls
 * here block.
 */
#pragma once

#include "core/spool/disk.h"
#include "core/spool/scan.h"

struct spool_large {
    struct spool *spool;
    struct list link; /* when it was aborted */
    const struct disk *disk;
    uint64_t use, size, synced;
    uint32_t file, crc;
    int h;
    bool created, finished;
    int error;     /* of the call on the pool thread */
    size_t filled; /* octets of content in frame */
    struct str octets;
    char frame[FRAME_HEADER + CONTENT_FRAME];
};

/* Open the file, new or used before; take in l->octets; make all of it durable and close it. */
int large_open(struct spool_large *l);
int large_write(struct spool_large *l);
int large_finish(struct spool_large *l);

struct content_frames content_in_file(const struct message_head *m);
/* Empties a file that nothing refers to; one that is not there is fine. */
int large_empty(const struct disk *d, uint32_t file);
