/* ipc/channel_rig.h: two ends of a channel that note what comes to them, for *_test.c.
 *
 * open_pair() connects a and b; open_raw() only a, whose peer is then the bare socket `raw`.
 */
#pragma once

#include "base/list.h"

#include "run/run_test.h"

#include "ipc/channel.h"

enum {
    ANSWER = 1, /* request: answered with its payload */
    LATER,      /* request: answered when the test says so, in any order */
    NEVER,      /* request: not answered */
    TELL,       /* notice: done at once */
    KEEP,       /* notice: kept */
    DESCRIPTOR  /* notice with a descriptor */
};

struct kept {
    struct list link;
    struct channel_call from;
    uint16_t type;
    size_t octets;
    char *payload;
};

/* One end of a channel and what came to it. */
struct end {
    struct channel *channel;
    struct list kept;
    struct cond event;
    unsigned kept_count, told, closed;
    uint64_t told_octets;
    bool close_at_once; /* in on_frame */
    int fd;
    struct err why;
};

extern const struct channel_handler rig_handler;
extern struct end a, b;
extern char zeros[CHANNEL_FRAME_MAX];
extern int raw;

void open_pair(void);
void open_raw(void);
void close_end(struct end *end);

/* Gives back the credit of one kept frame, the i-th. */
void finish_kept(struct end *end, unsigned i);

void yield(unsigned turns);
void wait_for_closed(struct end *end);
int open_descriptors(void);

struct asker {
    struct end *end;
    uint16_t type;
    size_t octets;
    int result;
    struct err why;
    bool ended;
};

/* A fiber: asks with `octets` zeros. */
void ask_once(void *arg);
