#include "core/spool/record.h"

#include <errno.h>
#include <fcntl.h>

#include "base/crc32c.h"
#include "base/mem.h"

#include "core/spool/large.h"

struct record_place record_place(const struct entry *n)
{
    return (struct record_place){
        .id = n->id,
        .segment = n->segment->number,
        .epoch = n->segment->epoch,
        .at = (uint64_t)n->at * FRAME_ALIGN,
        .segment_size = n->segment->size,
        .file = n->segment->file,
    };
}

bool record_still_there(const struct record_place *p, const struct entry *n)
{
    return n && n->segment->number == p->segment && (uint64_t)n->at * FRAME_ALIGN == p->at;
}

bool record_is_damage(int rc)
{
    return rc == -EBADMSG || rc == -EIO || rc == -ENOENT;
}

int record_head(const struct disk *d, int h, const struct record_place *p, struct frame *f,
    struct message_head *m, struct record_bad *bad)
{
    char octets[FRAME_HEADER + FRAME_HEAD_MAX];
    size_t got;
    int rc = disk_read_some(d, h, octets, sizeof octets, p->at, &got);

    if (rc == 0 &&
        (!frame_decode(octets, got, d->salt, f) || f->segment != p->segment ||
            f->epoch != (uint32_t)p->epoch ||
            !commit_head_decode(f->type, str_of(octets + FRAME_HEADER, f->head), m, NULL) ||
            m->id != p->id || m->back > p->at ||
            (uint64_t)m->envelope + m->prefix + m->digest != f->body || f->body > p->segment_size))
        rc = -EBADMSG;
    if (rc < 0)
        *bad = (struct record_bad){p->at, p->at + FRAME_HEADER + MESSAGE_HEAD, false, 0};
    return rc;
}

/* All content frames, one after another, to `to` where it is not NULL. */
static int read_content(const struct disk *d, int h, const struct content_frames *c,
    const struct message_head *m, char *to, struct record_bad *bad)
{
    char *frame = mem_alloc(FRAME_HEADER + CONTENT_FRAME);
    uint32_t whole = 0, crc;
    int rc = frame ? 0 : -ENOMEM;
    size_t n;

    for (uint64_t i = 0; rc == 0 && i * CONTENT_FRAME < c->size; i++) {
        uint64_t at = c->start + i * (FRAME_HEADER + CONTENT_FRAME);

        rc = content_frame_read(d, h, c, i, frame, &n, &crc);
        if (rc < 0) {
            *bad = (struct record_bad){at, at + FRAME_HEADER + n, m->large, m->large};
            break;
        }
        whole = crc32c_combine(whole, crc, n);
        if (to)
            memcpy(to + i * CONTENT_FRAME, frame + FRAME_HEADER, n);
    }
    mem_free(frame);
    if (rc == 0 && whole != m->content_crc) {
        *bad = (struct record_bad){
            c->start, c->start + content_frames_size(c->size), m->large, m->large};
        rc = -EBADMSG;
    }
    return rc;
}

static int read_large(const struct disk *d, const struct message_head *m, struct record_bad *bad)
{
    struct content_frames c = content_in_file(m);
    char name[32];
    int h, rc;

    disk_large_name(name, m->large);
    h = disk_open(d, name, O_RDONLY);
    if (h < 0) {
        *bad = (struct record_bad){0, 0, true, m->large};
        return h;
    }
    rc = read_content(d, h, &c, m, NULL, bad);
    disk_close(d, h);
    return rc;
}

static int read_body(const struct disk *d, int h, const struct record_place *p,
    const struct frame *f, char *to, struct record_bad *bad)
{
    int rc = to ? disk_read(d, h, to, f->body, p->at + FRAME_HEADER + f->head)
                : frame_check_body(d, h, p->at, f);

    if (rc == 0 && to && crc32c(str_of(to, f->body)) != f->body_crc)
        rc = -EBADMSG;
    if (rc < 0)
        *bad = (struct record_bad){p->at, p->at + frame_size(f), false, 0};
    return rc;
}

static int read_all(const struct disk *d, int h, const struct record_place *p, bool keep,
    struct record_copy *r, struct record_bad *bad)
{
    uint64_t content;
    struct content_frames c;
    struct frame f;
    int rc = record_head(d, h, p, &f, &r->head, bad);

    if (rc < 0)
        return rc;
    content = r->head.large ? 0 : r->head.content;
    r->octets = frame_size(&f) + r->head.content;
    if (keep && !(r->memory = mem_alloc(content + f.body + 1)))
        return -ENOMEM;
    rc = read_body(d, h, p, &f, keep ? r->memory + content : NULL, bad);
    if (rc < 0 || !r->head.content)
        return rc;
    if (r->head.large)
        return keep ? 0 : read_large(d, &r->head, bad); /* it stays where it is */
    c = content_in_log(p->at, &f, &r->head);
    return read_content(d, h, &c, &r->head, r->memory, bad);
}

int record_read(const struct disk *d, const struct record_place *p, bool keep,
    struct record_copy *r, struct record_bad *bad)
{
    char name[32];
    int h, rc;

    *r = (struct record_copy){0};
    *bad = (struct record_bad){0};
    disk_segment_name(name, p->file);
    h = disk_open(d, name, O_RDONLY);
    if (h < 0)
        return h;
    rc = read_all(d, h, p, keep, r, bad);
    disk_close(d, h);
    if (rc < 0) {
        mem_free(r->memory);
        r->memory = NULL;
    }
    return rc;
}
