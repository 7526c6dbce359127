/* core/spool/format.h: the spool's octets on disk. docs/spool.md has the tables.
 *
 * All integers little-endian. Nothing here trusts a length before the checksum that covers it: a
 * frame's header and head are read together and checked, and only then its length is believed.
 * Header checksums start from a salt of the spool's secret id, so that a message which carries the
 * image of a frame in its content is never taken for one when a damaged place is searched.
 */
#pragma once

#include "core/spool/spool.h"

enum {
    SPOOL_FORMAT = 1,
    SPOOL_PAGE = 4096,             /* groups begin at one: no sector is written by two groups */
    SEGMENT_DATA = 2 * SPOOL_PAGE, /* behind the two header slots */
    SEGMENT_HEADER = 80,
    SEGMENT_HEADER_MAX = 512, /* of any version */
    SEGMENT_MIN = 16 * SPOOL_PAGE,
    FRAME_HEADER = 48,
    FRAME_HEAD_MAX = 64, /* octets of head, which the header's checksum covers */
    FRAME_ALIGN = 8,
    CONTENT_FRAME = 65536, /* content octets of every content frame but the last */
};

/* A slot of a segment file's header. The one with the larger serial counts. */
struct segment_header {
    uint8_t spool_id[16];
    uint64_t serial;
    uint64_t number;   /* 0: the file is free */
    uint64_t previous; /* the last number under which it held records */
    uint64_t epoch, size;
};

enum header_verdict {
    HEADER_GOOD,
    HEADER_EMPTY, /* zeros */
    HEADER_BAD,
    HEADER_NEWER, /* of a later format version: hands off */
};

void segment_header_encode(char out[SEGMENT_HEADER], const struct segment_header *h);
/* p holds SEGMENT_HEADER_MAX octets. */
enum header_verdict segment_header_decode(const char *p, struct segment_header *h);

enum frame_type {
    FRAME_OPEN = 1, /* first of a segment: where the one before ended, which are in use */
    FRAME_CONTENT,
    FRAME_MESSAGE, /* the commit record */
    FRAME_OUTCOME,
    FRAME_END,
    FRAME_STATE, /* what is alive of one segment: supersedes every earlier record about it */
    FRAME_MARK,  /* nothing; written after a pause, so that the group before is known confirmed */
    FRAME_MOVED, /* a commit record at a new place, written by compaction */
    FRAME_TYPES,
};

enum frame_flag {
    BATCH_FIRST = 1, /* a batch is all or nothing */
    BATCH_LAST = 2,
    GROUP_LAST = 4, /* the next group begins at the next page */
};

struct frame {
    uint8_t type, flags;
    uint32_t head, body; /* octets */
    uint64_t segment, sequence;
    uint32_t epoch; /* its low 32 bits */
    uint32_t group; /* counted from 1 in each segment */
    uint32_t body_crc;
};

uint32_t frame_salt(const uint8_t spool_id[16]);

/* The header's checksum also covers the head, which is written right behind it. */
void frame_encode(char out[FRAME_HEADER], const struct frame *f, struct str head, uint32_t salt);

/* Do these four octets begin a frame? For searching. */
bool frame_magic(const char *p);

/* p holds n octets of the file. False where no whole header and head with the right checksum are.
 */
bool frame_decode(const char *p, size_t n, uint32_t salt, struct frame *f);

/* Octets to the next frame of the group. */
static inline uint64_t frame_size(const struct frame *f)
{
    uint64_t n = (uint64_t)FRAME_HEADER + f->head + f->body;

    return (n + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

static inline uint64_t page_up(uint64_t n)
{
    return (n + SPOOL_PAGE - 1) & ~(uint64_t)(SPOOL_PAGE - 1);
}

/* ---- heads: the part of a record that recovery needs */

struct open_head {
    uint64_t previous,
        previous_end; /* a segment and the end of its last confirmed group; 0: none */
    uint32_t count;   /* segments in use, EXTENT octets each in the body: number and end */
};

struct message_head {
    uint64_t id, content; /* octets of content */
    uint64_t large_use;   /* which use of that file */
    uint32_t back;        /* octets from the first content frame to this one; 0: none */
    uint32_t content_crc;
    uint32_t rcpts;
    uint32_t envelope, prefix, digest; /* octets in the body, in this order */
    uint32_t large;                    /* number of the file below large/; 0: in the log */
};

struct outcome_head {
    uint64_t id, segment; /* the segment of the message's commit record */
    uint32_t rcpt;
    struct spool_rcpt outcome;
};

struct end_head {
    uint64_t id, segment;
    uint32_t reason;
};

struct state_head {
    uint64_t segment;
    uint32_t count; /* live messages in the body: id, u32 rcpts, 8 octets each of them */
};

enum {
    OPEN_HEAD = 24,
    MESSAGE_HEAD = 56,
    MOVED_HEAD = 64, /* as of a message, and the number of the segment it comes from */
    OUTCOME_HEAD = 32,
    END_HEAD = 24,
    STATE_HEAD = 16,
    EXTENT = 16,
    STATE_ENTRY = 12, /* and RCPT_OCTETS for each recipient */
    RCPT_OCTETS = 8,
};

void open_head_encode(char out[OPEN_HEAD], const struct open_head *h);
bool open_head_decode(struct str head, struct open_head *h);
void message_head_encode(char out[MESSAGE_HEAD], const struct message_head *h);
bool message_head_decode(struct str head, struct message_head *h); /* sums and counts checked too */
void moved_head_encode(char out[MOVED_HEAD], const struct message_head *h, uint64_t from);
/* Of a MESSAGE or a MOVED frame; *from (may be NULL) is 0 for the first. */
bool commit_head_decode(uint8_t type, struct str head, struct message_head *h, uint64_t *from);
void outcome_head_encode(char out[OUTCOME_HEAD], const struct outcome_head *h);
bool outcome_head_decode(struct str head, struct outcome_head *h);
void end_head_encode(char out[END_HEAD], const struct end_head *h);
bool end_head_decode(struct str head, struct end_head *h);
void rcpt_encode(char out[RCPT_OCTETS], const struct spool_rcpt *r);
struct spool_rcpt rcpt_decode(const char *p);
void state_head_encode(char out[STATE_HEAD], const struct state_head *h);
bool state_head_decode(struct str head, struct state_head *h);

/* Octets that `content` octets take as content frames. */
uint64_t content_frames_size(uint64_t content);

/* ---- integers */

static inline void put_u16(char *p, uint16_t v)
{
    p[0] = (char)v;
    p[1] = (char)(v >> 8);
}

static inline void put_u32(char *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_u64(char *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t get_u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] | (unsigned char)p[1] << 8);
}

static inline uint32_t get_u32(const char *p)
{
    return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

static inline uint64_t get_u64(const char *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}
