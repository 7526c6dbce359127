/* core/spool/spool_rig.h: a spool over a disk in memory, and messages that can be told apart, for
 * *_test.c.
 */
#pragma once

#include "run/run_test.h"

#include "io/fake_disk.h"

#include "core/spool/spool.h"

enum {
    SEGMENT = 256 << 10,
    IDS = 4096,
};

/* What the callbacks said. */
struct heard {
    unsigned live, recovered, damaged, released;
    enum spool_state state;
    struct cond state_changed;
    bool alive[IDS];
};
extern struct heard heard;

struct spool_settings settings_for(struct fake_disk *f);

/* Forgets what was heard before. */
struct spool *open_on(struct fake_disk *f);

/* A message of n octets that follow from its id; NULL: no memory. */
struct spool_message *message(uint64_t id, size_t n);
char octet_of(uint64_t id, size_t i);
int commit(struct spool *s, uint64_t id, size_t n, struct err *e);

void must_commit(struct spool *s, uint64_t id, size_t n);
void must_end(struct spool *s, uint64_t id);
void check_message(struct spool *s, uint64_t id, size_t n);
