/* ipc/channel.h: framed, credited messages between two processes over a socketpair.
 *
 * Frame: u32 octets of payload, u16 type, u16 flags, u32 call; little-endian (both ends are one
 * binary); payload of at most CHANNEL_FRAME_MAX. Frames are gathered and written once a turn of the
 * loop, read as many as have come. Three kinds: a request (wants a reply), a reply, a notice.
 *
 * Credit, granted by the receiver in each direction: CHANNEL_REQUESTS open requests and notices and
 * CHANNEL_OCTETS of their payload. A fiber without credit parks and so stops reading its peer. A
 * reply is paid for by its request and never waits. No process ever blocks in a write or stops
 * reading replies. A peer that breaks the frame format or its credit is cut off: on_closed is
 * called.
 *
 * When the channel closes, each open call returns -1 with ERR_CLOSED.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include "run/fiber.h"

enum {
    CHANNEL_FRAME_MAX = 65536, /* payload octets of one frame */
    CHANNEL_REQUESTS = 256,
    CHANNEL_OCTETS = 1 << 20,
};

struct channel;

/* A request that waits for its reply here, or a notice. Copy it to answer later, once; when the
 * channel has closed meanwhile, nothing happens. */
struct channel_call {
    struct channel *channel; /* to be used until on_closed has returned */
    uint32_t call;           /* 0 in a notice */
    uint32_t serial;         /* of the channel */
};

struct channel_handler {
    /* A request or notice came. Called outside any fiber, must not suspend (start a fiber for
     * that). payload is valid during the call only; fd is -1, or belongs to the callee now. Credit
     * for it is given back when a request is replied to, and for a notice when this returns or,
     * where it returned true ("kept"), on channel_credit(). */
    bool (*on_frame)(
        void *arg, struct channel_call from, uint16_t type, struct str payload, int fd);
    /* The peer is gone or broke the rules (why). Called once, outside any fiber, after our open
     * calls have failed and never after channel_close(); the owner must close the channel, here or
     * later. channel_close() is also allowed in on_frame. */
    void (*on_closed)(void *arg, struct channel *c, const struct err *why);
};

int channel_open(struct channel **c, int fd, const char *peer,
    const struct channel_handler *handler, void *arg,
    struct err *e); /* takes fd; peer is a literal for logs */
/* Open calls of ours fail with ERR_CLOSED; what was gathered is written if it can be at once. */
void channel_close(struct channel **c);
/* Cuts off a peer that broke the rules of the messages: nothing more is read, on_closed follows. */
void channel_cut(struct channel *c, const struct err *why);

/* Suspends until the reply is there; reply (initialised by the caller, with its ceiling) is filled.
 */
int channel_ask(
    struct channel *c, uint16_t type, struct str payload, struct buf *reply, struct err *e);
/* Suspends only for credit. channel_notify_fd() passes a copy of fd along (the caller keeps its
 * own). */
int channel_notify(struct channel *c, uint16_t type, struct str payload, struct err *e);
int channel_notify_fd(struct channel *c, uint16_t type, struct str payload, int fd, struct err *e);
/* Never suspends: false where there is no credit (merge notices, try again at the next event). */
bool channel_try_notify(struct channel *c, uint16_t type, struct str payload);

/* Never suspend; a reply to a channel that has closed is dropped. */
void channel_reply(struct channel_call to, struct str payload);
void channel_credit(struct channel_call from, size_t payload_octets);

/* Writes what has been gathered without waiting for the end of the turn. Never suspends. */
void channel_push(struct channel *c);
