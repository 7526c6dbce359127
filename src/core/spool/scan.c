#include "core/spool/scan.h"

#include <errno.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

enum {
    WINDOW = 32768,
    HEADER_MAX = FRAME_HEADER + FRAME_HEAD_MAX,
    BODY_CHUNK = 65536,
};

int scan_init(struct scan *s, const struct disk *d, int h, const struct segment *segment,
    uint64_t at, uint64_t sequence, uint64_t limit)
{
    struct sys_stat st;
    int rc = d->sys->fstat(d->sys, h, &st);

    if (rc < 0)
        return rc;
    *s = (struct scan){
        .disk = d,
        .h = h,
        .segment = segment->number,
        .epoch = segment->epoch,
        .at = at,
        .limit = limit < st.size ? limit : st.size,
        .sequence = sequence,
        .closed = true,
        .end = at,
        .window = mem_alloc(WINDOW),
    };
    return s->window ? 0 : -ENOMEM;
}

void scan_done(struct scan *s)
{
    mem_free(s->window);
    s->window = NULL;
}

/* What of the file lies at `at`, at least `least` octets if there are as many before the limit. */
static struct str look(struct scan *s, uint64_t at, size_t least)
{
    size_t left = at < s->limit ? (size_t)(s->limit - at < WINDOW ? s->limit - at : WINDOW) : 0;

    if (least > left)
        least = left;
    if (at < s->window_at || at + least > s->window_at + s->window_n) {
        s->window_at = at;
        if (disk_read_some(s->disk, s->h, s->window, left, at, &s->window_n) == 0)
            goto found;
        /* An unreadable place: up to the next page at least there is something to say. */
        left = SPOOL_PAGE - at % SPOOL_PAGE < left ? SPOOL_PAGE - at % SPOOL_PAGE : left;
        if (disk_read_some(s->disk, s->h, s->window, left, at, &s->window_n) < 0)
            s->window_n = 0;
    }
found:
    if (at >= s->window_at + s->window_n)
        return STR_NONE;
    return str_of(s->window + (at - s->window_at), s->window_at + s->window_n - at);
}

/* Is a frame of this segment at `at` that may follow the last one? */
static bool frame_at(struct scan *s, uint64_t at, struct scan_frame *frame)
{
    struct str octets = look(s, at, HEADER_MAX);
    struct frame *f = &frame->f;

    if (!frame_decode(octets.p, octets.n, s->disk->salt, f))
        return false;
    if (f->segment != s->segment || f->epoch != (uint32_t)s->epoch || f->sequence < s->sequence)
        return false;
    if (f->group < s->group || frame_size(f) > s->limit - at)
        return false;
    frame->at = at;
    frame->head = str_of(octets.p + FRAME_HEADER, f->head);
    return true;
}

/* The first frame from `at` on, wherever it lies. */
static bool search(struct scan *s, uint64_t at, struct scan_frame *frame)
{
    while (at + FRAME_HEADER <= s->limit) {
        struct str octets = look(s, at, HEADER_MAX);

        if (octets.n < FRAME_HEADER) {
            at = (at / SPOOL_PAGE + 1) * SPOOL_PAGE;
            continue;
        }
        for (size_t i = 0; i + FRAME_HEADER <= octets.n; i += FRAME_ALIGN) {
            /* Looking for the magic first: a frame that the window cuts is met again in the next
             * one. */
            if (!frame_magic(octets.p + i))
                continue;
            if (frame_at(s, at + i, frame))
                return true;
            octets = look(s, at, HEADER_MAX); /* frame_at() may have moved the window */
        }
        at += (octets.n - FRAME_HEADER) / FRAME_ALIGN * FRAME_ALIGN + FRAME_ALIGN;
    }
    return false;
}

bool scan_next(struct scan *s, struct scan_frame *frame)
{
    struct frame *f = &frame->f;
    uint64_t end;

    frame->after_gap = false;
    if (!frame_at(s, s->at, frame) || (s->sequence && f->sequence != s->sequence)) {
        if (!search(s, s->at, frame))
            return false;
        frame->after_gap = true;
    }
    frame->gap = frame->at - s->at;
    end = frame->at + frame_size(f);
    s->closed = f->flags & GROUP_LAST;
    s->at = s->end = s->closed ? page_up(end) : end;
    s->sequence = f->sequence + 1;
    s->group = f->group;
    return true;
}

int frame_check_body(const struct disk *d, int h, uint64_t at, const struct frame *f)
{
    char *chunk = f->body ? mem_alloc(BODY_CHUNK) : NULL;
    uint64_t from = at + FRAME_HEADER + f->head;
    uint32_t crc = 0;
    int rc = f->body && !chunk ? -ENOMEM : 0;

    for (uint64_t left = f->body; rc == 0 && left > 0;) {
        size_t n = left < BODY_CHUNK ? (size_t)left : BODY_CHUNK;

        rc = disk_read(d, h, chunk, n, from);
        if (rc == 0)
            crc = crc32c_extend(crc, str_of(chunk, n));
        from += n;
        left -= n;
    }
    mem_free(chunk);
    if (rc == 0 && crc != f->body_crc)
        rc = -EBADMSG;
    return rc;
}

int content_frame_read(const struct disk *d, int h, const struct content_frames *c, uint64_t i,
    char *p, size_t *n, uint32_t *crc)
{
    uint64_t from = i * CONTENT_FRAME;
    struct frame f;
    int rc;

    CHECK(from < c->size);
    *n = c->size - from < CONTENT_FRAME ? (size_t)(c->size - from) : CONTENT_FRAME;
    rc = disk_read(d, h, p, FRAME_HEADER + *n, c->start + i * (FRAME_HEADER + CONTENT_FRAME));
    if (rc < 0)
        return rc;
    if (!frame_decode(p, FRAME_HEADER, d->salt, &f) || f.type != FRAME_CONTENT ||
        f.segment != c->segment || f.sequence != c->sequence + i || f.body != *n)
        return -EBADMSG;
    *crc = crc32c(str_of(p + FRAME_HEADER, *n));
    return *crc == f.body_crc ? 0 : -EBADMSG;
}

struct content_frames content_in_log(
    uint64_t at, const struct frame *f, const struct message_head *m)
{
    uint64_t frames = (m->content + CONTENT_FRAME - 1) / CONTENT_FRAME;

    return (struct content_frames){
        .start = at - m->back,
        .size = m->content,
        .segment = f->segment,
        .sequence = f->sequence - frames,
    };
}

int message_check(
    const struct disk *d, int h, uint64_t at, const struct frame *f, const struct message_head *m)
{
    int rc = frame_check_body(d, h, at, f);
    struct content_frames c = content_in_log(at, f, m);
    uint32_t whole = 0;
    char *p;

    if (rc < 0 || m->large || !m->content)
        return rc;
    if (m->back > at)
        return -EBADMSG;
    p = mem_alloc(FRAME_HEADER + CONTENT_FRAME);
    if (!p)
        return -ENOMEM;
    for (uint64_t i = 0; rc == 0 && i * CONTENT_FRAME < m->content; i++) {
        uint32_t crc = 0;
        size_t n = 0;

        rc = content_frame_read(d, h, &c, i, p, &n, &crc);
        if (rc == 0)
            whole = crc32c_combine(whole, crc, n);
    }
    mem_free(p);
    if (rc == 0 && whole != m->content_crc)
        rc = -EBADMSG;
    return rc;
}
