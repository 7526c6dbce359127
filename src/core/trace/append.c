#include "core/trace/append.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/format.h"

enum {
    OUT_MAX = 512 * 1024,
    WRITE_AT = 256 * 1024,
    LENGTH = 2,
};

void append_init(struct append *a, const struct sys *sys, const char *dir)
{
    *a = (struct append){.sys = sys, .dir = dir, .now.h = -1, .now.sys = sys};
    buf_init(&a->out, OUT_MAX);
}

void append_done(struct append *a)
{
    segment_close(&a->now);
    buf_done(&a->out);
}

/* The end of what is whole; what stands behind it was cut off by a crash. */
static int find_end(struct append *a)
{
    struct segment_scan scan;
    struct trace_event ev;
    int rc = segment_scan_begin(&scan, &a->now, 0);

    while (rc >= 0 && (rc = segment_scan_next(&scan, &ev)) == 1)
        ;
    a->damaged += scan.damaged;
    if (rc == 0 && scan.end != a->now.size)
        rc = a->sys->truncate(a->sys, a->now.h, scan.end);
    a->now.size = scan.end;
    segment_scan_end(&scan);
    return rc;
}

/* Goes on with the last segment, if it can be: -errno only where the directory cannot be read. */
static int go_on(struct append *a)
{
    uint64_t *number;
    size_t count;
    int rc = segment_list(a->sys, a->dir, &number, &count);

    if (rc < 0)
        return rc;
    a->last = count ? number[count - 1] : 0;
    mem_free(number);
    if (a->last == 0)
        return 0;
    rc = segment_open(&a->now, a->sys, a->dir, a->last, true);
    if (rc == 0 && a->now.size < a->segment_max)
        rc = find_end(a);
    else
        rc = -EFBIG;
    if (rc < 0)
        segment_close(&a->now);
    return 0;
}

static bool is_full(const struct append *a)
{
    int64_t age = a->sys->wall_ns(a->sys) / 1000000 - a->now.begun_ms;

    return a->now.size >= a->segment_max || age > a->segment_ms;
}

/* A segment to write into. */
static int have_segment(struct append *a)
{
    int rc = 0;

    if (a->now.h < 0 && a->last == 0)
        rc = go_on(a);
    if (a->now.h >= 0 && is_full(a))
        segment_close(&a->now);
    if (rc < 0 || a->now.h >= 0)
        return rc;
    a->last++;
    rc = segment_make(&a->now, a->sys, a->dir, a->last);
    if (rc < 0)
        a->now.h = -1;
    return rc;
}

/* After a failure the rest goes into a new segment: what stands at the end of this one is unknown.
 */
static void write_out(struct append *a)
{
    struct iovec v = {(void *)(uintptr_t)buf_str(&a->out).p, buf_len(&a->out)};
    ssize_t n = 0;

    if (v.iov_len == 0)
        return;
    n = a->sys->pwritev(a->sys, a->now.h, &v, 1, a->now.size);
    if (n == (ssize_t)v.iov_len) {
        a->now.size += (uint64_t)n;
        a->written += a->waiting;
        a->error = 0;
    } else {
        a->lost += a->waiting;
        a->error = n < 0 ? (int)n : -ENOSPC;
        segment_close(&a->now);
    }
    a->waiting = 0;
    buf_clear(&a->out);
}

static void lose(struct append *a, int error)
{
    a->error = error;
    a->lost++;
}

static void append_one(struct append *a, struct str event)
{
    int rc = 0;

    if (a->now.h < 0 || a->now.size + buf_len(&a->out) >= a->segment_max) {
        write_out(a);
        rc = have_segment(a);
    }
    if (rc == 0)
        rc = segment_frame(&a->now, event, &a->out) < 0 ? -ENOMEM : 0;
    if (rc < 0) {
        a->out.bad = false;
        lose(a, rc);
        return;
    }
    a->waiting++;
    if (buf_len(&a->out) >= WRITE_AT)
        write_out(a);
}

void append_events(struct append *a, struct str events)
{
    if (a->now.h >= 0 && is_full(a))
        segment_close(&a->now);
    while (events.n) {
        size_t n;
        CHECK(events.n >= LENGTH);
        n = get_u16(events.p);
        CHECK(n <= events.n - LENGTH);
        append_one(a, str_sub(events, LENGTH, n));
        events = str_from(events, LENGTH + n);
    }
    write_out(a);
}
