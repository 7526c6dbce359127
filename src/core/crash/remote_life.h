/* core/crash/remote_life.h: the whole core on a disk in memory, an outbound that the test plays,
 * and one message on its way to a remote. In a fiber.
 */
#pragma once

#include "io/fake_disk.h"

enum {
    REMOTE_WHY = 300,
};

enum remote_answer {
    REMOTE_TAKES,   /* 250 */
    REMOTE_REFUSES, /* 550: the sender is told */
    REMOTE_DEFERS,  /* 451 */
};

struct remote_model {
    enum remote_answer answer;
    enum {
        STEP_COMMIT,   /* the message is being accepted */
        STEP_ACCEPTED, /* 250 was said to who sent it */
        STEP_GIVEN,    /* it is with outbound; the remote has not answered */
        STEP_ANSWERED, /* it has, and core is being told */
        STEP_NOTED,    /* core has confirmed that */
    } step;
    uint64_t id;
};

const char *remote_step(const struct remote_model *m);

/* An empty data directory. */
struct fake_disk *remote_first_disk(void);

/* The message from its acceptance to the confirmed outcome; watch as in fake_watch(), from the
 * beginning, and once at each step. False with why. */
bool remote_run(struct fake_disk *disk, struct remote_model *m, void (*watch)(void *arg), void *arg,
    char why[REMOTE_WHY]);

/* A core opens the disk: what must be there is; then the remote takes all there is. */
bool remote_recover(struct fake_disk *disk, struct remote_model *m, char why[REMOTE_WHY]);
