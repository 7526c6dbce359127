/* ipc/frame.h: frames as they stand on a channel's socket, and the reader that finds them.
 *
 * Header of 12 octets, little-endian: u32 octets of payload, u16 type, u16 flags, u32 call. Flags
 * are a kind and whether a descriptor comes along; other bits are an error. Pure: no sockets here.
 */
#pragma once

#include "ipc/channel.h"

enum {
    FRAME_HEADER = 12,
    FRAME_READ_SIZE = 256 * 1024, /* what a socket buffer holds is read at once */
};

enum frame_kind {
    FRAME_NOTICE,
    FRAME_REQUEST,
    FRAME_REPLY,
    FRAME_CREDIT, /* payload: u32 notices, u32 octets that the sender of the frame grants */
};

struct frame {
    enum frame_kind kind;
    uint16_t type; /* 0 in replies and credit */
    bool has_fd;   /* notices only */
    uint32_t call; /* 0 in notices and credit, else not */
    struct str payload;
};

/* Appends a frame, with its descriptor's flag. -1 where the buffer cannot grow; it stays good and
 * as it was. */
int frame_put(struct buf *out, const struct frame *f);

struct frame_reader {
    char *p;
    size_t start, end; /* what has been read and not taken */
};

int frame_reader_open(struct frame_reader *r, struct err *e);
void frame_reader_close(struct frame_reader *r);

/* Where to read into, and how much; never nothing. frame_reader_filled() says how much came. */
char *frame_reader_space(struct frame_reader *r, size_t *n);
void frame_reader_filled(struct frame_reader *r, size_t n);

/* 1 and the next frame (its payload lies in the reader, until the next space), 0 if it is not all
 * there yet, -1 (ERR_BUG) as soon as a header breaks the rules. */
int frame_next(struct frame_reader *r, struct frame *f, struct err *e);

static inline bool frame_reader_empty(const struct frame_reader *r)
{
    return r->start == r->end;
}
