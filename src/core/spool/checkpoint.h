/* core/spool/checkpoint.h: the live set in a file, so that a start need not read the whole log.
 *
 * A checkpoint names a position in the log and lists at least what was alive there; reading the log
 * from there on gives the present state. It is an aid: lost, damaged or old, it costs time only.
 * What it lists may be younger than its position, because it is written while the spool works:
 * every record may be applied twice.
 *
 * The encoders run on the loop's thread, a block at a time; the rest blocks.
 */
#pragma once

#include "base/buf.h"

#include "core/spool/disk.h"
#include "core/spool/recover.h"

struct checkpoint {
    const struct disk *disk;
    int h;
    uint64_t at;
    struct buf block; /* the next octets of the file */
};

enum {
    CHECKPOINT_BLOCK = 128 << 10, /* about, unless one message has more recipients */
};

void checkpoint_init(struct checkpoint *c, const struct disk *d);
void checkpoint_done(struct checkpoint *c); /* what is not committed is left to the next one */

/* Fill c->block: -1 without memory. */
int checkpoint_begin(struct checkpoint *c, const struct log_position *p, const struct index *x);
/* Entries from place *i on; 1: there are more. */
int checkpoint_entries(struct checkpoint *c, const struct index *x, uint32_t *i);
int checkpoint_end(struct checkpoint *c);

/* Writes c->block and empties it. commit makes it the checkpoint. 0 or -errno. */
int checkpoint_write(struct checkpoint *c);
int checkpoint_commit(struct checkpoint *c);

/* Into the index, whose segments are known. 1: there is none that is good, and the index has no
 * entries. */
int checkpoint_load(const struct disk *d, struct index *x, struct log_position *p, struct err *e);
