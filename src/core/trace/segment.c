#include "core/trace/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "core/spool/format.h"

enum {
    WINDOW = 256 * 1024,
    DIGITS = 16,
    FIRST_READ = 1024, /* octets; most frames are smaller */
    SEGMENTS_MAX = 1 << 20,
};

static const char magic[8] = {'v', 'r', 'd', 't', 'r', 'a', 'c', 'e'};
static const char *const suffix[] = {
    [SEGMENT_EVENTS] = ".trace", [SEGMENT_INDEX] = ".index", [SEGMENT_NEW] = ".new"};

void segment_path(
    char out[TRACE_PATH_MAX], const char *dir, uint64_t number, enum segment_file file)
{
    snprintf(out, TRACE_PATH_MAX, "%s/%016llx%s", dir, (unsigned long long)number, suffix[file]);
}

bool segment_name_parse(struct str name, uint64_t *number, enum segment_file *file)
{
    struct str end = str_from(name, DIGITS);

    for (unsigned i = 0; i < ARRAY_COUNT(suffix); i++)
        if (str_eq(end, str_c(suffix[i]))) {
            *file = (enum segment_file)i;
            return str_to_hex64(str_head(name, DIGITS), UINT64_MAX, number) && *number != 0;
        }
    return false;
}

struct names {
    uint64_t *number;
    size_t count, cap;
};

static int on_name(void *arg, const char *name)
{
    struct names *all = arg;
    enum segment_file file;
    uint64_t number;

    if (!segment_name_parse(str_c(name), &number, &file) || file != SEGMENT_EVENTS)
        return 0;
    if (all->count == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 64;
        uint64_t *grown = cap > SEGMENTS_MAX ? NULL : mem_resize(all->number, cap * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        all->number = grown;
        all->cap = cap;
    }
    all->number[all->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int segment_list(const struct sys *sys, const char *dir, uint64_t **number, size_t *count)
{
    struct names all = {0};
    int rc = sys->list(sys, dir, on_name, &all);

    if (rc < 0) {
        mem_free(all.number);
        return rc;
    }
    if (all.count)
        qsort(all.number, all.count, sizeof *all.number, by_number);
    *number = all.number;
    *count = all.count;
    return 0;
}

static void head_encode(char head[SEGMENT_HEAD], const struct segment *s)
{
    memset(head, 0, SEGMENT_HEAD);
    memcpy(head, magic, sizeof magic);
    put_u32(head + 8, SEGMENT_FORMAT);
    put_u32(head + 12, SEGMENT_HEAD);
    put_u64(head + 16, s->number);
    memcpy(head + 24, s->key, sizeof s->key);
    put_u64(head + 40, (uint64_t)s->begun_ms);
    put_u32(head + 60, crc32c(str_of(head, 60)));
}

static int head_decode(const char head[SEGMENT_HEAD], struct segment *s)
{
    if (memcmp(head, magic, sizeof magic) != 0 || get_u32(head + 8) != SEGMENT_FORMAT ||
        get_u32(head + 60) != crc32c(str_of(head, 60)) || get_u64(head + 16) != s->number)
        return -EBADMSG;
    memcpy(s->key, head + 24, sizeof s->key);
    s->begun_ms = (int64_t)get_u64(head + 40);
    s->mark = get_u32(head + 24);
    return 0;
}

/* Reads n octets, fewer only at the end of the file. */
static ssize_t read_at(const struct segment *s, char *p, size_t n, uint64_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t rc = s->sys->pread(s->sys, s->h, p + done, n - done, at + done);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        done += (size_t)rc;
    }
    return (ssize_t)done;
}

int segment_open(
    struct segment *s, const struct sys *sys, const char *dir, uint64_t number, bool to_write)
{
    char path[TRACE_PATH_MAX], head[SEGMENT_HEAD];
    struct sys_stat st;
    ssize_t n;
    int rc;

    segment_path(path, dir, number, SEGMENT_EVENTS);
    *s = (struct segment){.sys = sys, .number = number};
    s->h = sys->open(sys, path, to_write ? O_RDWR : O_RDONLY, 0);
    if (s->h < 0)
        return s->h;
    n = read_at(s, head, sizeof head, 0);
    rc = n < 0 ? (int)n : n < SEGMENT_HEAD ? -EBADMSG : head_decode(head, s);
    if (rc == 0)
        rc = sys->fstat(sys, s->h, &st);
    if (rc < 0)
        segment_close(s);
    else
        s->size = st.size;
    return rc;
}

int segment_make(struct segment *s, const struct sys *sys, const char *dir, uint64_t number)
{
    char path[TRACE_PATH_MAX], head[SEGMENT_HEAD];
    struct iovec v = {head, sizeof head};
    ssize_t n;

    segment_path(path, dir, number, SEGMENT_EVENTS);
    *s = (struct segment){
        .sys = sys,
        .number = number,
        .size = SEGMENT_HEAD,
        .begun_ms = sys->wall_ns(sys) / 1000000,
    };
    sys->random(sys, s->key, sizeof s->key);
    s->mark = get_u32((const char *)s->key);
    head_encode(head, s);
    s->h = sys->open(sys, path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (s->h < 0)
        return s->h;
    n = sys->pwritev(sys, s->h, &v, 1, 0);
    if (n == SEGMENT_HEAD)
        return 0;
    segment_close(s);
    sys->unlink(sys, path);
    return n < 0 ? (int)n : -ENOSPC;
}

void segment_close(struct segment *s)
{
    if (s->h >= 0)
        s->sys->close(s->sys, s->h);
    s->h = -1;
}

static size_t padded(size_t n)
{
    return (n + EVENT_ALIGN - 1) & ~(size_t)(EVENT_ALIGN - 1);
}

int segment_frame(const struct segment *s, struct str event, struct buf *out)
{
    size_t whole = padded(EVENT_FRAME + event.n);
    char *p = buf_reserve(out, whole);

    CHECK(event.n <= EVENT_MAX);
    if (!p)
        return -1;
    put_u32(p, s->mark);
    put_u32(p + 8, (uint32_t)event.n);
    memcpy(p + EVENT_FRAME, event.p, event.n);
    memset(p + EVENT_FRAME + event.n, 0, whole - EVENT_FRAME - event.n);
    put_u32(p + 4, crc32c(str_of(p + 8, 4 + event.n)));
    buf_advance(out, whole);
    return 0;
}

/* Octets of the frame that begins here, 0 where none does; more than n where it is not all there.
 */
static size_t frame_here(const struct segment *s, const char *p, size_t n)
{
    size_t length;

    if (n < EVENT_FRAME || get_u32(p) != s->mark)
        return 0;
    length = get_u32(p + 8);
    if (length < EVENT_LEAST || length > EVENT_MAX)
        return 0;
    if (EVENT_FRAME + length <= n && crc32c(str_of(p + 8, 4 + length)) != get_u32(p + 4))
        return 0;
    return EVENT_FRAME + length;
}

bool segment_get(const struct segment *s, uint64_t offset, char *room, struct trace_event *ev)
{
    ssize_t n = read_at(s, room, FIRST_READ, offset);
    size_t whole = n > 0 ? frame_here(s, room, (size_t)n) : 0;

    if (whole > (size_t)n) {
        n = read_at(s, room, whole, offset);
        whole = n < (ssize_t)whole ? 0 : frame_here(s, room, (size_t)n);
    }
    return whole && event_decode(str_of(room + EVENT_FRAME, whole - EVENT_FRAME), ev);
}

int segment_scan_begin(struct segment_scan *scan, const struct segment *s, uint64_t at)
{
    uint64_t first = at < SEGMENT_HEAD ? SEGMENT_HEAD : (at + EVENT_ALIGN - 1) & ~(uint64_t)3;

    *scan = (struct segment_scan){.segment = s, .at = first, .end = first};
    scan->window = mem_alloc(WINDOW);
    return scan->window ? 0 : -ENOMEM;
}

void segment_scan_end(struct segment_scan *scan)
{
    mem_free(scan->window);
    scan->window = NULL;
}

/* Has a whole frame's worth of octets from `at` on in the window, fewer only at the end. */
static int fill(struct segment_scan *scan)
{
    size_t left = scan->have - scan->start;
    ssize_t n;

    if (left >= EVENT_FRAME_MAX || scan->ended)
        return 0;
    memmove(scan->window, scan->window + scan->start, left);
    scan->start = 0;
    scan->have = left;
    n = read_at(scan->segment, scan->window + left, WINDOW - left, scan->at + left);
    if (n < 0)
        return (int)n;
    scan->have += (size_t)n;
    scan->ended = scan->have < WINDOW;
    return 0;
}

static void hop(struct segment_scan *scan, size_t n)
{
    size_t left = scan->have - scan->start;

    if (n > left)
        n = left;
    scan->start += n;
    scan->at += n;
}

int segment_scan_next(struct segment_scan *scan, struct trace_event *ev)
{
    for (;;) {
        int rc = fill(scan);
        const char *p = scan->window + scan->start;
        size_t n = scan->have - scan->start, whole;

        if (rc < 0)
            return rc;
        if (n < EVENT_FRAME)
            return 0;
        whole = frame_here(scan->segment, p, n);
        if (whole == 0 || whole > n ||
            !event_decode(str_of(p + EVENT_FRAME, whole - EVENT_FRAME), ev)) {
            scan->in_hole = true;
            hop(scan, EVENT_ALIGN);
            continue;
        }
        scan->damaged += scan->in_hole;
        scan->in_hole = false;
        scan->found = scan->at;
        hop(scan, padded(whole));
        scan->end = scan->found + padded(whole);
        return 1;
    }
}
