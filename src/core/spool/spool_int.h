/* core/spool/spool_int.h: the open spool, for the files of this folder. The loop's thread owns it.
 */
#pragma once

#include "base/table.h"

#include "core/spool/checkpoint.h"
#include "core/spool/large.h"
#include "core/spool/store.h"
#include "core/spool/verify.h"
#include "core/spool/writer.h"

/* Fresh messages, kept for readers, oldest first. */
struct cache {
    struct table table; /* of spool_message by id */
    struct list order;
    uint64_t octets, max;
};

void spool_cache_init(struct cache *c, uint64_t max);
void spool_cache_done(struct cache *c);
bool spool_cache_add(struct cache *c, struct spool_message *m); /* takes m if true */
struct spool_message *spool_cache_find(const struct cache *c, uint64_t id);
void spool_cache_drop(struct cache *c, uint64_t id);

/* Files below large/ that no message refers to. Both lists have room for every file there is. */
struct large_files {
    uint32_t *free, *dirty; /* empty ones; those to be emptied */
    uint32_t free_count, dirty_count, cap;
    uint32_t max;  /* the largest number */
    uint64_t uses; /* of this epoch */
    struct list aborted;
};

/* A message that is read to see whether it is whole, or to be copied. */
struct check_job {
    const struct disk *disk;
    struct record_place place;
    bool keep;
    struct record_copy copy;
    struct record_bad bad;
    int rc;
};

/* Work in the background at so many octets a second. Wakes with each tick. */
struct paced {
    struct cond wake;
    bool running;
    uint64_t pace;
    int64_t budget; /* may be overdrawn by the last job */
    struct check_job job;
};

struct spool {
    struct store store;
    struct spool_settings settings; /* with the defaults filled in */
    char path[DISK_PATH];
    struct writer writer;
    struct list gather;           /* batches for the writer, in order */
    struct spool_batch *lazy;     /* the last one of them, while nobody waits for it */
    uint64_t lazy_octets;         /* of batches that nobody waits for, not yet written */
    struct list lazies;           /* those, in order */
    uint64_t last_lazy;           /* the number of the last one */
    bool urgent;                  /* somebody waits for one in gather */
    uint64_t handed_in, finished; /* batches */
    struct turn_hook hook;
    struct cond flushed;
    enum spool_state state;
    int down;
    struct cache cache;
    struct large_files large;
    struct pool *readers, *large_pool, *check_pool;
    struct spool_stats stats; /* what is counted here */
    struct log_position position;
    uint64_t written;

    /* chores.c */
    struct scope scope;
    struct pool *back;
    struct timer *tick;
    struct cond work, checkpoint_work;
    bool kicked, closing, have_spare, low;
    int spare_error;
    unsigned ticks, retry_at; /* the tick at which a spare is tried again */
    uint64_t retry_recycled;  /* stats.recycled when it failed */
    unsigned copies;          /* of damaged ranges, being made */
    struct preparing preparing;
    struct releasing releasing;
    struct sealed_check {
        const struct disk *disk;
        struct segment copy;
        bool wanted;
        uint64_t segment, bad, bad_end;
        int rc;
    } sealed;
    struct space_check {
        const struct disk *disk;
        struct sys_space space;
        uint64_t written; /* what the log had then */
        int rc;
    } space;
    struct surplus {
        const struct disk *disk;
        char name[32];
    } surplus;
    struct compaction {
        struct paced paced;
        uint32_t in_flight;           /* batches handed in */
        bool failed;                  /* one of them */
        struct spool_batch *replaced; /* that says that the segment is empty */
    } compaction;
    struct scrub {
        struct paced paced;
        uint32_t place;
        unsigned began; /* the tick of the pass */
        bool in_pass;
    } scrub;
    struct checkpoint_job {
        struct checkpoint c;
        bool running;
        uint64_t written; /* what the log had then */
        unsigned tick;
        int rc;
    } checkpoint;
};

/* chores.c: what is done in the background, on fibers of the spool's own. */
int chores_start(struct spool *s, struct err *e);
void chores_kick(struct spool *s);
void chores_stop(struct spool *s); /* suspends: all is written, the writer has ended */
void chores_done(struct spool *s);
void chores_set_state(struct spool *s);
void chores_retry_later(struct spool *s);

bool chores_space_is_wanted(const struct spool *s);

/* compact.c: what is alive in segments that hold little is moved, so that they can go. */
void compact_main(void *arg); /* a fiber */
void compact_batch_done(struct spool *s, const struct spool_batch *b);

/* scrub.c */
void scrub_main(void *arg); /* a fiber */
void paced_init(struct paced *p);
void paced_tick(struct paced *p);
/* Reads a message that was alive when this was called, wherever it is moved meanwhile. *n is its
 * entry afterwards, NULL where it has ended; 0, -errno, or 1 where the pool did not run it. */
int check_run(struct spool *s, struct check_job *j, uint64_t id, struct entry **n, struct err *e);

/* spool.c */
void spool_news(void *arg);
void spool_publish(struct spool *s);
int spool_submit(struct spool *s, struct spool_batch *b); /* nobody waits for it */
/* Reports it and has it copied to quarantine/. */
void spool_damaged(struct spool *s, const char *name, uint64_t segment, uint64_t from, uint64_t to,
    const char *what);
/* What of a live message: once. */
void spool_found_bad(
    struct spool *s, const struct record_place *place, const struct record_bad *bad);
int spool_error(struct err *e, int error, const char *what);

/* large_calls.c */
int large_files_load(struct spool *s, bool lost, struct err *e);
void large_files_done(struct large_files *f);
void large_release(struct spool *s, uint32_t file);
/* Empties one file of those that are to be; false: there was none. Suspends. */
bool large_chore(struct spool *s);
