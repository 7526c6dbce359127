/* core/spool/store.h: the spool without its threads: what is open, and the life of segment files.
 *
 * A segment file goes round: free, spare (has the next number), current, sealed, leaving, free.
 * Each step that touches the disk comes in three parts, so that the one in the middle can be done
 * by another thread: begin and end on the loop's thread, run anywhere. Tests call them in a row.
 */
#pragma once

#include "core/spool/log.h"

enum {
    FREE_MAX = 8, /* free segment files that are kept */
};

struct store {
    struct disk disk;
    struct index index;
    struct log log;
    struct segment *current; /* the last one the log was rolled to */
    struct segment **free;   /* oldest first */
    uint32_t free_count, free_cap;
    uint32_t file_max;
    uint64_t number_max;
    int lock;
};

/* Makes the directories, takes the lock, recovers. The epoch is a new one, but durable only with
 * the first segment. r: what recovery found; its free list is taken over. */
int spool_store_open(
    struct store *s, const struct spool_settings *settings, struct recovery *r, struct err *e);
void spool_store_close(struct store *s);

/* A free file or a new one gets the next number. */
struct preparing {
    const struct disk *disk;
    struct segment *segment;
    struct segment stamped; /* a copy for the thread that does it */
    bool create;            /* the file has to be made */
    uint64_t number;
    struct log_segment next; /* for spool_log_roll(); in_use is to be freed */
    int rc;
};
int spool_store_prepare_begin(struct store *s, struct preparing *p);
void spool_store_prepare_run(struct preparing *p);
int spool_store_prepare_end(struct store *s, struct preparing *p); /* p->rc, or -ENOMEM */

/* The log has been rolled to segment `number`: the one before is sealed. Or that failed. */
void spool_store_rolled(struct store *s, uint64_t number, uint64_t end_before);
void spool_store_not_rolled(struct store *s, uint64_t number);

/* A sealed segment of which nothing is needed becomes a free file. */
struct releasing {
    const struct disk *disk;
    struct segment *segment, stamped;
    int rc;
};
struct segment *spool_store_releasable(struct store *s); /* or NULL */
void spool_store_release_begin(struct store *s, struct segment *segment, struct releasing *p);
void spool_store_release_run(struct releasing *p);
void spool_store_release_end(struct store *s, struct releasing *p);

/* A free file too many, that may be removed: taken out of the list; or NULL. */
struct segment *spool_store_surplus(struct store *s);
