/* core/spool/recover.h: what is alive, from the octets on disk.
 *
 * Reads the checkpoint if there is a good one and then the log from there on, else the whole log;
 * both give the same result. Writes nothing but copies of damaged ranges into quarantine/, so it
 * may be cut off anywhere and run again. docs/spool.md has the table of cases.
 */
#pragma once

#include "core/spool/disk.h"
#include "core/spool/scan.h"

/* The end of a confirmed group. */
struct log_position {
    uint64_t segment, at, sequence; /* sequence of the frame that follows */
    uint32_t group;                 /* number of the group that ends here */
};

struct recovery {
    struct disk *disk;   /* path, sys, segment_size set; id, salt and epoch are filled in */
    struct index *index; /* filled in: entries, and numbered segments, all sealed */
    const struct spool_settings *settings; /* on_damage is called */

    struct segment **free; /* files without records */
    uint32_t free_count, free_cap;
    uint32_t file_max;          /* largest number in a file name */
    uint64_t number_max;        /* of a segment, used or not */
    uint64_t sequence;          /* of the next frame */
    uint64_t last, last_end;    /* the last segment with records, and where they end; 0: none */
    uint64_t damaged, torn;     /* ranges set aside; torn groups cut off */
    bool from_checkpoint, lost; /* lost: records may be missing, so leave stray large files alone */
};

int spool_recover(struct recovery *r, struct err *e);
void recovery_done(struct recovery *r); /* with the free segments that nobody has taken */
int recovery_keep_free(struct recovery *r, struct segment *s, struct err *e); /* s is taken over */

/* Copies a damaged range and reports it. */
void recovery_damage(struct recovery *r, const char *name, uint64_t segment, uint64_t from,
    uint64_t to, const char *what);

/* recover_files.c: finds the segment files and what their headers say; sorts them. */
int recover_files(struct recovery *r, struct err *e);
/* recover_replay.c: reads the records into the index, from `from` on: a position that the
 * checkpoint names, or {0}. */
int recover_replay(struct recovery *r, const struct log_position *from, struct err *e);
