/* ipc/channel_int.h: a channel from inside: channel.c has its callers, channel_io.c its socket. */
#pragma once

#include <uv.h>

#include "base/list.h"

#include "ipc/frame.h"
#include "ipc/ledger.h"

enum {
    CHANNEL_FDS_IN = 8, /* descriptors that may come with one read */
    /* A peer that reads makes no more than this: our requests and notices, replies to all of its
     * requests, a grant. */
    CHANNEL_OUT_MAX = CHANNEL_OCTETS + CHANNEL_REQUESTS * (CHANNEL_FRAME_MAX + 2 * FRAME_HEADER) +
                      FRAME_HEADER + 8,
    CHANNEL_OUT_KEEP = 256 * 1024, /* of an empty gathering buffer */
};

/* A descriptor that leaves with the octet at this position of the stream, its frame's first. */
struct channel_out_fd {
    uint64_t at;
    int fd;
};

struct channel {
    struct list link; /* of all channels of this thread */
    uint32_t serial;
    uv_poll_t poll;
    int fd;
    int watched; /* set of enum uv_poll_event */
    const char *peer;
    const struct channel_handler *handler;
    void *arg;
    struct turn_hook hook; /* writes what was gathered */

    bool blocked;  /* a write came up short; the socket is watched for room */
    bool mute;     /* the peer reads no more: nothing is gathered */
    bool cut;      /* on_closed is due, because of why */
    bool dead;     /* on_closed has been called */
    bool closed;   /* the owner has let go */
    bool released; /* so has libuv */
    struct err why;

    struct ledger ledger;
    struct list waiting; /* fibers without credit */
    struct list granted; /* fibers that have it now and have not run since */

    struct frame_reader in;
    int fds_in[CHANNEL_FDS_IN];
    unsigned fds_in_count;
    struct buf out;
    uint64_t out_at;    /* position in the stream of the first octet in out */
    struct buf out_fds; /* struct channel_out_fd, in order */
};

/* A frame is there (channel.c). -1 where it breaks the rules. */
int channel_take(struct channel *c, const struct frame *f, struct err *e);
/* The peer is gone: fails what waits, then tells the owner (channel.c). Outside any fiber. */
void channel_fail(struct channel *c, const struct err *why);

/* Gathers a frame (channel_io.c); fd is -1 or belongs to the channel now. -1 without memory. */
int channel_gather(struct channel *c, const struct frame *f, int fd, struct err *e);
int channel_io_open(struct channel *c, struct err *e);
void channel_io_close(struct channel *c); /* frees c in the end */
void channel_write(struct channel *c);
