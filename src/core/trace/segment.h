/* core/trace/segment.h: the files of the history.
 *
 * DATA/trace/NUMBER.trace, NUMBER of 16 hexadecimal digits, rising and never given twice. A header
 * (a magic, version, number, a random key, when it was begun, a checksum), then frames at multiples
 * of 4: the segment's mark u32 (from its key, so that what a stranger wrote cannot look like one),
 * CRC-32C u32 of what follows, length u32, the event. Nothing is believed before its checksum. What
 * is damaged is hopped over to the next good frame; what is not whole at the end is no event.
 * Blocks; from any thread.
 */
#pragma once

#include "io/sys.h"

#include "core/trace/event.h"

enum {
    SEGMENT_FORMAT = 1,
    SEGMENT_HEAD = 64,
    EVENT_FRAME = 12, /* octets of a frame in front of the event */
    EVENT_ALIGN = 4,
    EVENT_FRAME_MAX = EVENT_FRAME + EVENT_MAX,
    TRACE_PATH_MAX = 1100,
};

struct segment {
    const struct sys *sys;
    int h;
    uint64_t number, size;
    int64_t begun_ms;
    uint8_t key[16];
    uint32_t mark;
};

enum segment_file {
    SEGMENT_EVENTS, /* .trace */
    SEGMENT_INDEX,  /* .index */
    SEGMENT_NEW,    /* .new: an index that is being written */
};
void segment_path(
    char out[TRACE_PATH_MAX], const char *dir, uint64_t number, enum segment_file file);
/* Of a name in the directory. */
bool segment_name_parse(struct str name, uint64_t *number, enum segment_file *file);

/* The numbers of all segments, rising; mem_free() is the caller's. -errno. */
int segment_list(const struct sys *sys, const char *dir, uint64_t **number, size_t *count);

/* -errno; -EBADMSG: no header that is whole, or of a later version. */
int segment_open(
    struct segment *s, const struct sys *sys, const char *dir, uint64_t number, bool to_write);
int segment_make(struct segment *s, const struct sys *sys, const char *dir, uint64_t number);
void segment_close(struct segment *s);

/* Appends the event as a frame of this segment. */
int segment_frame(const struct segment *s, struct str event, struct buf *out);

/* The event in the frame at `offset`, if there is a whole one; room holds EVENT_FRAME_MAX octets
 * and what the slices point to. */
bool segment_get(const struct segment *s, uint64_t offset, char *room, struct trace_event *ev);

/* All events from `at` on. */
struct segment_scan {
    const struct segment *segment;
    uint64_t at;      /* of the next frame */
    uint64_t found;   /* of the frame returned last */
    uint64_t end;     /* behind the last good frame */
    uint64_t damaged; /* places hopped over so far */
    char *window;
    size_t start, have;  /* in the window: where `at` is, and one past what was read */
    bool in_hole, ended; /* the file's end is in the window */
};
int segment_scan_begin(struct segment_scan *scan, const struct segment *s, uint64_t at);
/* 1: an event, its slices valid until the next call; 0: the end; -errno. */
int segment_scan_next(struct segment_scan *scan, struct trace_event *ev);
void segment_scan_end(struct segment_scan *scan);
