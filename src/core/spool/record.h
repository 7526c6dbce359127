/* core/spool/record.h: one live message on disk: its commit record, looked up, and all of it
 * checked.
 *
 * A commit record is a MESSAGE frame, or a MOVED one where compaction has written it again. The
 * calls block; what they read may be recycled meanwhile, which looks like damage: the caller asks
 * the index whether the message still lies there.
 */
#pragma once

#include "core/spool/disk.h"
#include "core/spool/scan.h"

/* Where the index says that a message lies. */
struct record_place {
    uint64_t id, segment, epoch, at, segment_size;
    uint32_t file;
};

/* What of a file is not what was written. */
struct record_bad {
    uint64_t from, to;
    bool large;
    uint32_t large_file;
};

struct record_place record_place(const struct entry *n);
bool record_still_there(const struct record_place *p, const struct entry *n);

/* The commit record of h, the segment's file. 0 or -errno, -EBADMSG where it is another or none. */
int record_head(const struct disk *d, int h, const struct record_place *p, struct frame *f,
    struct message_head *m, struct record_bad *bad);

/* What was copied: everything but content that has a file of its own. */
struct record_copy {
    struct message_head head;
    char *memory;    /* content, envelope, prefix, digest; NULL: it was only checked */
    uint64_t octets; /* read */
};

/* Reads all of it, content in a file of its own too, and compares all checksums. With `keep` the
 * octets stay in r->memory, which is the caller's to free. */
int record_read(const struct disk *d, const struct record_place *p, bool keep,
    struct record_copy *r, struct record_bad *bad);

/* Is this result damage, rather than want of memory or the like? */
bool record_is_damage(int rc);
