/* core/spool/scan.h: reading a segment's frames in order, and finding the next one behind damage.
 *
 * Only headers and heads are read; bodies are hopped over and looked at by frame_check_body() and
 * message_check(), for those who must know. Whatever octets the file has, a scan ends, in time
 * linear in the file's size, and reads nothing outside of it. An unreadable page is a gap.
 */
#pragma once

#include "core/spool/disk.h"

struct scan_frame {
    struct frame f;
    uint64_t at;
    struct str head; /* valid until the next call */
    bool after_gap;  /* frames before it are missing */
    uint64_t gap;    /* octets before it that are no frames */
};

struct scan {
    const struct disk *disk;
    int h;
    uint64_t segment, epoch;
    uint64_t at, limit; /* where to read next; no frame reaches beyond limit */
    uint64_t sequence;  /* of the next frame; 0: any */
    uint32_t group;     /* of the last frame */
    bool closed;        /* the last frame ended its group, or there was none */
    uint64_t end;       /* behind the last good frame (a page where it closed its group) */
    char *window;
    uint64_t window_at;
    size_t window_n;
};

/* -ENOMEM, or 0; limit is cut to what the file has. */
int scan_init(struct scan *s, const struct disk *d, int h, const struct segment *segment,
    uint64_t at, uint64_t sequence, uint64_t limit);
void scan_done(struct scan *s);

/* The next frame; false where there is none from s->end on to the limit. */
bool scan_next(struct scan *s, struct scan_frame *frame);

/* 0: the body fits its checksum; -EBADMSG: it does not; else -errno. */
int frame_check_body(const struct disk *d, int h, uint64_t at, const struct frame *f);

/* The whole message whose commit record lies at `at`: the content's frames, its checksum, and the
 * record's body. Content in a file of its own is not looked at. */
int message_check(
    const struct disk *d, int h, uint64_t at, const struct frame *f, const struct message_head *m);

/* Content as frames: those of a message in the log, or of a file of its own. */
struct content_frames {
    uint64_t start, size;       /* where the first one lies; octets of content */
    uint64_t segment, sequence; /* of the first one: what its header must say */
};

/* Reads and checks the i-th one; *n is 1 to CONTENT_FRAME. p has room for FRAME_HEADER +
 * CONTENT_FRAME octets; the content lies behind the header. */
int content_frame_read(const struct disk *d, int h, const struct content_frames *c, uint64_t i,
    char *p, size_t *n, uint32_t *crc);
struct content_frames content_in_log(
    uint64_t at, const struct frame *f, const struct message_head *m);
