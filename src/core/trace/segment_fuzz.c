/* Segments and indexes that somebody has altered. The first octet chooses: the input is a segment
 * as it is, the events of one (framed with right checksums), or the index of a sound one (with
 * right checksums where its last bit says so). Whatever it is: a scan ends, its places rise and
 * stay inside, what it gives is found again at its place and survives a round trip; a search
 * returns only what was asked for. */
#include <errno.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "core/spool/format.h"
#include "core/trace/index.h"
#include "core/trace/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FILE_MAX = 1 << 16,
    EVENTS = 1,
    INDEX = 2,
    FIX = 4,
    INDEX_OCTETS = 64 + 4096 * 8, /* header and fence */
    FENCE_CRC_AT = 56,
    HEAD_CRC_AT = 60,
};

static struct file {
    char octets[FILE_MAX + INDEX_OCTETS];
    size_t n;
    bool there;
} segment_file, index_file;

static int open_file(const struct sys *s, const char *path, int flags, mode_t mode)
{
    const struct file *f = str_ends(str_c(path), STR(".trace")) ? &segment_file : &index_file;

    (void)s;
    (void)flags;
    (void)mode;
    return f->there ? f == &index_file : -ENOENT;
}

static int close_file(const struct sys *s, int h)
{
    (void)s;
    (void)h;
    return 0;
}

static ssize_t read_file(const struct sys *s, int h, void *p, size_t n, uint64_t at)
{
    const struct file *f = h ? &index_file : &segment_file;
    struct str part = at < f->n ? str_sub(str_of(f->octets, f->n), at, n) : STR_NONE;

    (void)s;
    if (part.n)
        memcpy(p, part.p, part.n);
    return (ssize_t)part.n;
}

static ssize_t write_file(const struct sys *s, int h, const struct iovec *v, int count, uint64_t at)
{
    (void)s;
    (void)count;
    CHECK(!h && at + v->iov_len <= FILE_MAX);
    memcpy(segment_file.octets + at, v->iov_base, v->iov_len);
    if (segment_file.n < at + v->iov_len)
        segment_file.n = at + v->iov_len;
    return (ssize_t)v->iov_len;
}

static int stat_file(const struct sys *s, int h, struct sys_stat *st)
{
    (void)s;
    *st = (struct sys_stat){.size = h ? index_file.n : segment_file.n};
    return 0;
}

static int list_files(const struct sys *s, const char *path, sys_list_fn *fn, void *arg)
{
    (void)s;
    (void)path;
    return fn(arg, "0000000000000001.trace");
}

static int64_t no_clock(const struct sys *s)
{
    (void)s;
    return 1;
}

static void no_random(const struct sys *s, void *p, size_t n)
{
    (void)s;
    memset(p, 0x5a, n);
}

static const struct sys memory = {
    .open = open_file,
    .close = close_file,
    .pread = read_file,
    .pwritev = write_file,
    .fstat = stat_file,
    .list = list_files,
    .wall_ns = no_clock,
    .random = no_random,
};

static void put_frames(struct segment *s, struct str input)
{
    struct buf out;

    buf_init(&out, FILE_MAX);
    while (input.n > 1) {
        struct str event = str_sub(input, 1, (unsigned char)input.p[0] + 1U);
        struct iovec v;
        buf_clear(&out);
        CHECK(segment_frame(s, event, &out) == 0);
        v = (struct iovec){(void *)(uintptr_t)buf_str(&out).p, buf_len(&out)};
        if (s->size + v.iov_len > FILE_MAX)
            break;
        write_file(&memory, 0, &v, 1, s->size);
        s->size += v.iov_len;
        input = str_from(input, 1 + event.n);
    }
    buf_done(&out);
}

static void put_sound_events(struct segment *s)
{
    static const char *const to[] = {"b@y.example", "c@y.example"};
    struct buf event;

    buf_init(&event, EVENT_MAX + 1);
    for (uint64_t id = 1; id < 9; id++) {
        const struct trace_event ev = {.kind = TRACE_QUEUED, .id = id, .to = str_c(to[id % 2])};
        struct iovec v;
        struct buf out;
        buf_clear(&event);
        buf_init(&out, FILE_MAX);
        CHECK(event_encode(&ev, 1, &event) == 0 && segment_frame(s, buf_str(&event), &out) == 0);
        v = (struct iovec){(void *)(uintptr_t)buf_str(&out).p, buf_len(&out)};
        write_file(&memory, 0, &v, 1, s->size);
        s->size += v.iov_len;
        buf_done(&out);
    }
    buf_done(&event);
}

static void put_index(const struct segment *s, struct str input, bool fix)
{
    char *p = index_file.octets;

    memset(p, 0, INDEX_OCTETS);
    memcpy(p, "vrdhisti", 8);
    put_u32(p + 8, 1);
    put_u32(p + 12, 64);
    put_u64(p + 16, s->number);
    put_u64(p + 24, s->size);
    index_file.n = INDEX_OCTETS;
    if (input.n > FILE_MAX)
        input.n = FILE_MAX;
    if (input.n)
        memcpy(p + 40, input.p, input.n);
    if (40 + input.n > index_file.n)
        index_file.n = 40 + input.n;
    if (fix) {
        put_u32(p + FENCE_CRC_AT, crc32c(str_of(p + 64, INDEX_OCTETS - 64)));
        put_u32(p + HEAD_CRC_AT, crc32c(str_of(p, HEAD_CRC_AT)));
    }
    index_file.there = true;
}

static void check_round_trip(const struct trace_event *ev)
{
    struct trace_event again;
    struct buf b;

    buf_init(&b, 2 * EVENT_MAX);
    CHECK(event_encode(ev, 0, &b) == 0);
    CHECK(event_decode(buf_str(&b), &again));
    CHECK(again.id == ev->id && again.kind == ev->kind);
    CHECK(ev->to.n > TRACE_ADDRESS_MAX || str_eq(again.to, ev->to));
    CHECK(ev->text.n > TRACE_TEXT_MAX || str_eq(again.text, ev->text));
    buf_done(&b);
}

static void check_scan(void)
{
    static char room[EVENT_FRAME_MAX];
    struct segment_scan scan;
    struct trace_event ev, again;
    struct segment s;
    uint64_t last = 0;

    if (segment_open(&s, &memory, "/t", 1, false) < 0)
        return;
    if (segment_scan_begin(&scan, &s, 0) == 0)
        while (segment_scan_next(&scan, &ev) == 1) {
            CHECK(scan.found > last && scan.found + EVENT_FRAME < s.size);
            last = scan.found;
            CHECK(segment_get(&s, last, room, &again) && again.id == ev.id);
            check_round_trip(&ev);
        }
    segment_scan_end(&scan);
    segment_close(&s);
}

static void check_search(void)
{
    const struct trace_source source = {&memory, "/t"};
    const uint64_t id[] = {1, 5};
    struct trace_query query = {.id = id, .ids = 2, .limit = 8};
    struct trace_event *found;
    struct trace_ids ids;
    struct arena arena;
    uint32_t count;

    arena_init(&arena, 4 << 20);
    while (!query.done) {
        CHECK(trace_search(&source, &arena, &query, &found, &count, NULL) == 0);
        for (uint32_t i = 0; i < count; i++)
            CHECK(found[i].id == 1 || found[i].id == 5);
        CHECK(count || query.done);
        arena_reset(&arena);
    }
    CHECK(trace_search_ids(&source, &arena, STR("b@y.example"), 0, 10, &ids, NULL) == 0);
    CHECK(ids.count <= 10);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_of((const char *)data, size);
    struct segment s;
    int how;

    if (size < 1 || size > FILE_MAX)
        return 0;
    how = data[0];
    input = str_from(input, 1);
    segment_file.n = 0;
    segment_file.there = true;
    index_file.there = false;
    CHECK(segment_make(&s, &memory, "/t", 1) == 0);
    if (how & EVENTS) {
        put_frames(&s, input);
    } else if (how & INDEX) {
        put_sound_events(&s);
        put_index(&s, input, how & FIX);
    } else {
        memcpy(segment_file.octets, input.p, input.n);
        segment_file.n = input.n;
    }
    check_scan();
    check_search();
    return 0;
}
