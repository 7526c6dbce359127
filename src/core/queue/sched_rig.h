/* core/queue/sched_rig.h: a scheduler with a clock and a random source of the test's own. */
#pragma once

#include "base/unit_test.h"

#include "core/queue/sched.h"

struct rig {
    struct sched *s;
    struct sched_settings set;
    uint64_t now, seed, next_id;
};

uint64_t rig_random(void *arg, uint64_t n);
void rig_open(struct rig *r);
void rig_close(struct rig *r);

/* A message of a sender with one delivery to the destination of that name, READY. */
uint32_t rig_message(struct rig *r, const char *dest, uint32_t sender, enum sched_class class);
struct sched_dest *rig_dest(struct rig *r, const char *name);
/* All destinations that ask are placed at a site: "a@mx" and "b@mx" at mx, "c" at c. */
void rig_place(struct rig *r, uint64_t ttl_ms);
/* Lets the clock run until then, with every tick that falls due. */
void rig_run(struct rig *r, uint64_t ms);
void rig_finish(struct rig *r, uint32_t delivery); /* sent: the message is gone */
