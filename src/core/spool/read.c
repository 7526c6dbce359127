#include <errno.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "core/spool/spool_int.h"

static const char ORIGIN[] = "spool";

/* What a reader thread is to fetch, and what it found. */
struct read_job {
    const struct disk *disk;
    struct record_place place;
    enum spool_part part;
    uint64_t from; /* position in the part */
    char *p;       /* NULL: memory of the job's own for the whole part, n octets at most */
    size_t n, got;
    bool own;
    struct record_bad bad;
    int rc;
};

/* The frames that hold [from, from + n) of the content. */
static int read_content(struct read_job *j, int h, const struct content_frames *c, uint32_t large)
{
    char *frame = mem_alloc(FRAME_HEADER + CONTENT_FRAME);
    int rc = frame ? 0 : -ENOMEM;

    while (rc == 0 && j->got < j->n && j->from + j->got < c->size) {
        uint64_t position = j->from + j->got, i = position / CONTENT_FRAME;
        size_t skip = position % CONTENT_FRAME, n;
        uint32_t crc;

        rc = content_frame_read(j->disk, h, c, i, frame, &n, &crc);
        if (rc < 0) {
            uint64_t at = c->start + i * (FRAME_HEADER + CONTENT_FRAME);

            j->bad = (struct record_bad){at, at + FRAME_HEADER + n, large, large};
            break;
        }
        n = n - skip < j->n - j->got ? n - skip : j->n - j->got;
        memcpy(j->p + j->got, frame + FRAME_HEADER + skip, n);
        j->got += n;
    }
    mem_free(frame);
    return rc;
}

static int read_large(struct read_job *j, const struct message_head *m)
{
    struct content_frames c = content_in_file(m);
    char name[32];
    int h, rc;

    disk_large_name(name, m->large);
    h = disk_open(j->disk, name, 0);
    if (h < 0) {
        j->bad = (struct record_bad){0, 0, true, m->large};
        return h;
    }
    rc = read_content(j, h, &c, m->large);
    disk_close(j->disk, h);
    return rc;
}

static int take_memory(struct read_job *j, uint64_t size)
{
    if (size > j->n)
        return -EMSGSIZE;
    j->n = (size_t)size;
    j->p = mem_alloc(size ? size : 1);
    j->own = true;
    return j->p ? 0 : -ENOMEM;
}

/* One of the parts in the commit record's body, which is read and checked whole. */
static int read_body(struct read_job *j, int h, const struct frame *f, const struct message_head *m)
{
    uint64_t start = 0, size = m->envelope;
    char *body = mem_alloc(f->body ? f->body : 1);
    int rc = body ? 0 : -ENOMEM;

    if (j->part != SPOOL_ENVELOPE) {
        start = m->envelope + (j->part == SPOOL_DIGEST ? (uint64_t)m->prefix : 0);
        size = j->part == SPOOL_DIGEST ? m->digest : m->prefix;
    }
    if (rc == 0)
        rc = disk_read(j->disk, h, body, f->body, j->place.at + FRAME_HEADER + f->head);
    if (rc == 0 && (crc32c(str_of(body, f->body)) != f->body_crc || start + size > f->body))
        rc = -EBADMSG;
    if (rc < 0)
        j->bad = (struct record_bad){j->place.at, j->place.at + frame_size(f), false, 0};
    else if (!j->p)
        rc = take_memory(j, size);
    if (rc == 0 && j->from < size) {
        j->got = size - j->from < j->n ? (size_t)(size - j->from) : j->n;
        memcpy(j->p, body + start + j->from, j->got);
    }
    mem_free(body);
    return rc;
}

static void read_run(void *arg)
{
    struct read_job *j = arg;
    struct content_frames c;
    struct message_head m;
    struct frame f;
    char name[32];
    int h;

    disk_segment_name(name, j->place.file);
    h = disk_open(j->disk, name, 0);
    j->rc = h < 0 ? h : record_head(j->disk, h, &j->place, &f, &m, &j->bad);
    if (j->rc == 0 && j->part != SPOOL_CONTENT) {
        j->rc = read_body(j, h, &f, &m);
    } else if (j->rc == 0 && m.large) {
        j->rc = read_large(j, &m);
    } else if (j->rc == 0) {
        c = content_in_log(j->place.at, &f, &m);
        j->rc = read_content(j, h, &c, 0);
    }
    disk_close(j->disk, h);
}

/* ---- from the cache */

static size_t copy_range(struct str from, uint64_t at, char *p, size_t n)
{
    struct str s = at < from.n ? str_head(str_from(from, (size_t)at), n) : STR_NONE;

    if (s.n)
        memcpy(p, s.p, s.n);
    return s.n;
}

static size_t read_cached(
    const struct spool_message *m, enum spool_part part, uint64_t at, char *p, size_t n)
{
    size_t got = 0;

    switch (part) {
    case SPOOL_ENVELOPE:
        return copy_range(m->envelope, at, p, n);
    case SPOOL_PREFIX:
        return copy_range(m->prefix, at, p, n);
    case SPOOL_DIGEST:
        return copy_range(m->digest, at, p, n);
    case SPOOL_CONTENT:
        break;
    }
    for (uint32_t i = 0; i < m->pieces && got < n; i++) {
        got += copy_range(m->content[i], at, p + got, n - got);
        at = at > m->content[i].n ? at - m->content[i].n : 0;
    }
    return got;
}

/* ---- the calls */

static int failed(struct spool *s, struct read_job *j, struct err *e)
{
    if (!index_find(&s->store.index, j->place.id))
        return err_set(e, ERR_PERMANENT, ORIGIN, "the message is no longer in the spool");
    if (!record_is_damage(j->rc))
        return spool_error(e, j->rc, "reading the spool");
    spool_found_bad(s, &j->place, &j->bad);
    return err_set_status(e, ERR_PERMANENT, (struct err_status){4, 3, 0}, ORIGIN,
        "the message is damaged in the spool and was set aside");
}

/* What was moved while it was read may have been overwritten where it lay: that is no damage. Each
 * move takes a group's sync, so this ends. */
static bool read_again(struct spool *s, struct read_job *j)
{
    struct entry *n = index_find(&s->store.index, j->place.id);

    if (!n || record_still_there(&j->place, n))
        return false;
    j->place = record_place(n);
    j->got = 0;
    return true;
}

static int run_job(struct spool *s, struct read_job *j, struct err *e)
{
    int rc;

    do
        rc = pool_run(s->readers, read_run, j, e);
    while (rc == 0 && j->rc < 0 && read_again(s, j));
    if (rc == 0 && j->rc < 0)
        rc = failed(s, j, e);
    return rc;
}

static struct read_job *new_job(
    struct spool *s, const struct entry *n, enum spool_part part, struct err *e)
{
    struct read_job *j = MEM_NEW(struct read_job);

    if (!j) {
        err_memory(e, ORIGIN);
        return NULL;
    }
    *j = (struct read_job){.disk = &s->store.disk, .place = record_place(n), .part = part};
    return j;
}

static void free_job(struct read_job *j)
{
    if (j->own)
        mem_free(j->p);
    mem_free(j);
}

static int find(struct spool *s, uint64_t id, struct entry **n, struct err *e)
{
    s->stats.reads++;
    *n = index_find(&s->store.index, id);
    return *n ? 0 : err_set(e, ERR_PERMANENT, ORIGIN, "no such message in the spool");
}

/* The message in memory; NULL where it never was there, or later ones have pushed it out. */
static const struct spool_message *cached(struct spool *s, struct entry *n)
{
    const struct spool_message *m = NULL;

    if (n->flags & ENTRY_CACHED)
        m = spool_cache_find(&s->cache, n->id);
    if (m)
        s->stats.cache_hits++;
    else
        n->flags &= (uint8_t)~ENTRY_CACHED;
    return m;
}

int spool_read(struct spool *s, uint64_t id, enum spool_part part, uint64_t at, void *p, size_t n,
    size_t *got, struct err *e)
{
    const struct spool_message *m;
    struct entry *entry;
    struct read_job *j;
    int rc;

    if (find(s, id, &entry, e) < 0)
        return -1;
    m = cached(s, entry);
    if (m) {
        *got = read_cached(m, part, at, p, n);
        return 0;
    }
    j = new_job(s, entry, part, e);
    if (!j)
        return -1;
    j->from = at;
    j->p = p;
    j->n = n;
    rc = run_job(s, j, e);
    if (rc == 0)
        *got = j->got;
    free_job(j);
    return rc;
}

/* Content and prefix have a known size; they are fetched into place. */
static int load_content(struct spool *s, const struct entry *n, struct buf *out, struct err *e)
{
    char *p = buf_reserve(out, n->content);
    uint64_t size = n->content;
    size_t got;

    if (!p)
        return err_set(e, ERR_TEMPORARY, ORIGIN, "the content does not fit into memory");
    if (spool_read(s, n->id, SPOOL_CONTENT, 0, p, size, &got, e) < 0)
        return -1;
    buf_advance(out, got);
    return 0;
}

int spool_load(struct spool *s, uint64_t id, enum spool_part part, struct buf *out, struct err *e)
{
    struct entry *n;
    const struct spool_message *m;
    struct read_job *j;
    int rc;

    if (find(s, id, &n, e) < 0)
        return -1;
    if (part == SPOOL_CONTENT)
        return load_content(s, n, out, e);
    m = cached(s, n);
    if (m) {
        rc = buf_put(out, part == SPOOL_ENVELOPE ? m->envelope
                          : part == SPOOL_PREFIX ? m->prefix
                                                 : m->digest);
        return rc < 0 ? err_set(e, ERR_TEMPORARY, ORIGIN, "the part is too large") : 0;
    }
    j = new_job(s, n, part, e);
    if (!j)
        return -1;
    j->n = out->max;
    rc = run_job(s, j, e);
    if (rc == 0 && buf_put(out, str_of(j->p, j->got)) < 0)
        rc = err_set(e, ERR_TEMPORARY, ORIGIN, "the part is too large");
    free_job(j);
    return rc;
}
