#include "core/spool/log.h"

#include <errno.h>
#include <fcntl.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "core/spool/large.h"

static const char zeros[FRAME_ALIGN];

void spool_log_init(struct log *l, const struct disk *d)
{
    l->disk = d;
    l->h = -1;
    l->segment = l->end = 0;
    l->sequence = 1;
    l->group = 0;
    l->at = l->flushed = 0;
    l->error = 0;
    l->groups = l->syncs = l->written = 0;
    l->count = 0;
    l->used = 0;
    l->marked = true;
}

void spool_log_resume(struct log *l, const struct recovery *r)
{
    l->segment = r->last;
    l->end = r->last_end;
    l->sequence = r->sequence;
}

static void seal(struct log *l)
{
    disk_close(l->disk, l->h);
    l->h = -1;
}

void spool_log_done(struct log *l)
{
    seal(l);
}

bool spool_log_writable(const struct log *l)
{
    return l->h >= 0;
}

bool spool_log_marked(const struct log *l)
{
    return l->marked;
}

uint64_t spool_log_room(const struct log *l)
{
    return l->h >= 0 ? l->disk->segment_size - l->end : 0;
}

uint64_t spool_log_room_max(const struct disk *d, uint32_t in_use)
{
    uint64_t open = page_up(FRAME_HEADER + OPEN_HEAD + (uint64_t)in_use * EXTENT);

    return d->segment_size - SEGMENT_DATA - open;
}

struct log_position spool_log_position(const struct log *l)
{
    return (struct log_position){
        .segment = l->segment, .at = l->end, .sequence = l->sequence, .group = l->group};
}

/* ---- gathering octets */

static void flush(struct log *l)
{
    if (l->count && !l->error)
        l->error = disk_writev(l->disk, l->h, l->iov, l->count, l->flushed);
    l->written += l->at - l->flushed;
    l->flushed = l->at;
    l->count = 0;
    l->used = 0;
}

static void put(struct log *l, const char *p, size_t n)
{
    if (!n)
        return;
    if (l->count == LOG_IOV)
        flush(l);
    /* pwritev only reads, but an iovec cannot say so. */
    memcpy(&l->iov[l->count].iov_base, &p, sizeof p);
    l->iov[l->count++].iov_len = n;
    l->at += n;
}

/* Header and head; the body follows by put(), then frame_end(). */
static void frame_begin(struct log *l, struct frame *f, struct str head)
{
    char *p;

    /* Before the header takes its place: flush() gives all of heads away. */
    if (l->count == LOG_IOV || l->used + FRAME_HEADER + head.n > LOG_HEADS)
        flush(l);
    f->head = (uint32_t)head.n;
    f->segment = l->segment;
    f->sequence = l->sequence++;
    f->epoch = (uint32_t)l->disk->epoch;
    f->group = l->group;
    p = l->heads + l->used;
    frame_encode(p, f, head, l->disk->salt);
    if (head.n)
        memcpy(p + FRAME_HEADER, head.p, head.n);
    l->used += FRAME_HEADER + head.n;
    put(l, p, FRAME_HEADER + head.n);
}

static void frame_end(struct log *l, const struct frame *f)
{
    put(l, zeros, frame_size(f) - FRAME_HEADER - f->head - f->body);
}

static void put_record(struct log *l, uint8_t type, uint8_t flags, struct str head, struct str body)
{
    struct frame f = {.type = type, .flags = flags, .body = (uint32_t)body.n};

    f.body_crc = crc32c(body);
    frame_begin(l, &f, head);
    put(l, body.p, body.n);
    frame_end(l, &f);
}

/* ---- messages */

/* Goes through a message's content piece by piece. */
struct pieces {
    const struct str *next;
    struct str rest;
};

static struct str pieces_take(struct pieces *c, size_t max)
{
    struct str head;

    while (!c->rest.n)
        c->rest = *c->next++;
    head = str_head(c->rest, max);
    c->rest = str_from(c->rest, head.n);
    return head;
}

static uint32_t pieces_crc(struct pieces c, size_t n)
{
    uint32_t crc = 0;

    while (n) {
        struct str s = pieces_take(&c, n);

        crc = crc32c_extend(crc, s);
        n -= s.n;
    }
    return crc;
}

int spool_log_check_content(struct spool_message *m)
{
    if (m->large) {
        m->own.crc = m->large->crc;
    } else {
        m->own.crc = 0;
        for (uint32_t i = 0; i < m->pieces; i++)
            m->own.crc = crc32c_extend(m->own.crc, m->content[i]);
    }
    return m->has_crc && m->own.crc != m->content_crc ? -EBADMSG : 0;
}

static void put_content(struct log *l, const struct spool_message *m, uint8_t *flags)
{
    struct pieces c = {.next = m->content};
    uint64_t left = m->own.content;

    while (left) {
        struct frame f = {.type = FRAME_CONTENT, .flags = *flags};

        f.body = left < CONTENT_FRAME ? (uint32_t)left : CONTENT_FRAME;
        f.body_crc = f.body == m->own.content ? m->own.crc : pieces_crc(c, f.body);
        frame_begin(l, &f, STR_NONE);
        for (size_t n = f.body; n;) {
            struct str s = pieces_take(&c, n);

            put(l, s.p, s.n);
            n -= s.n;
        }
        frame_end(l, &f);
        left -= f.body;
        *flags = 0;
    }
}

static void put_message(struct log *l, struct spool_message *m, uint8_t first, uint8_t last)
{
    struct message_head h = {
        .id = m->id,
        .content = m->own.content,
        .content_crc = m->own.crc,
        .rcpts = m->rcpts,
        .envelope = (uint32_t)m->envelope.n,
        .prefix = (uint32_t)m->prefix.n,
        .digest = (uint32_t)m->digest.n,
    };
    struct frame f = {.type = FRAME_MESSAGE};
    uint64_t start = l->at;
    char head[MESSAGE_HEAD];

    if (m->large) {
        h.large = m->large->file;
        h.large_use = m->large->use;
    } else {
        put_content(l, m, &first);
    }
    m->own.at = l->at;
    h.back = (uint32_t)(l->at - start);
    message_head_encode(head, &h);
    f.flags = first | last;
    f.body = h.envelope + h.prefix + h.digest;
    f.body_crc = crc32c_extend(crc32c_extend(crc32c(m->envelope), m->prefix), m->digest);
    frame_begin(l, &f, str_of(head, sizeof head));
    put(l, m->envelope.p, m->envelope.n);
    put(l, m->prefix.p, m->prefix.n);
    put(l, m->digest.p, m->digest.n);
    frame_end(l, &f);
}

/* A message of compaction's, at its new place, and what is known of its recipients. */
static void put_move(struct log *l, struct spool_move *move, uint8_t last)
{
    const struct message_head *was = &move->record.head;
    const char *body = move->record.memory + (was->large ? 0 : was->content);
    struct str content = str_of(move->record.memory, (size_t)(was->large ? 0 : was->content));
    struct spool_message m = {
        .content = &content,
        .pieces = 1,
        .own = {.content = content.n, .crc = was->content_crc},
    };
    struct frame f = {.type = FRAME_MOVED, .body = was->envelope + was->prefix + was->digest};
    uint32_t outcomes = move_outcomes(move);
    struct message_head h = *was;
    uint8_t first = BATCH_FIRST;
    uint64_t start = l->at;
    char head[MOVED_HEAD];

    put_content(l, &m, &first);
    move->at = l->at;
    move->landed = l->segment;
    h.back = (uint32_t)(l->at - start);
    moved_head_encode(head, &h, move->from->number);
    f.flags = first | (outcomes ? 0 : last);
    f.body_crc = crc32c(str_of(body, f.body));
    frame_begin(l, &f, str_of(head, sizeof head));
    put(l, body, f.body);
    frame_end(l, &f);
    for (uint32_t i = 0; outcomes && i < was->rcpts; i++) {
        struct outcome_head o = {
            .id = was->id, .segment = l->segment, .rcpt = i, .outcome = move->rcpt[i]};

        if (!rcpt_known(&move->rcpt[i]))
            continue;
        outcome_head_encode(head, &o);
        put_record(l, FRAME_OUTCOME, --outcomes ? 0 : last, str_of(head, OUTCOME_HEAD), STR_NONE);
    }
}

static void put_change(struct log *l, const struct change *c, uint8_t flags)
{
    uint64_t moved = c->move ? c->move->landed : 0;
    uint64_t segment = moved ? moved : c->segment->number;
    char head[OUTCOME_HEAD];
    struct outcome_head outcome = {
        .id = c->c.id,
        .segment = segment,
        .rcpt = c->c.rcpt,
        .outcome = c->c.outcome,
    };
    struct end_head end = {
        .id = c->c.id,
        .segment = segment,
        .reason = c->c.reason,
    };

    switch (c->c.kind) {
    case SPOOL_OUTCOME:
        outcome_head_encode(head, &outcome);
        put_record(l, FRAME_OUTCOME, flags, str_of(head, OUTCOME_HEAD), STR_NONE);
        break;
    case SPOOL_END:
        end_head_encode(head, &end);
        put_record(l, FRAME_END, flags, str_of(head, END_HEAD), STR_NONE);
        break;
    }
}

static void put_batch(struct log *l, struct spool_batch *b, uint8_t last)
{
    uint8_t first = BATCH_FIRST;

    b->segment = l->segment;
    last |= BATCH_LAST;
    if (b->about) {
        struct state_head h = {.segment = b->about->number, .count = b->alive};
        char head[STATE_HEAD];

        state_head_encode(head, &h);
        put_record(l, FRAME_STATE, first | last, str_of(head, sizeof head), b->body);
    }
    if (b->move)
        put_move(l, b->move, last);
    for (uint32_t i = 0; i < b->n; i++, first = 0)
        put_message(l, b->messages[i], first, i + 1 == b->n && !b->count ? last : 0);
    for (uint32_t i = 0; i < b->count; i++, first = 0)
        put_change(l, &b->changes[i], first | (i + 1 == b->count ? last : 0));
}

/* ---- groups */

static void group_begin(struct log *l)
{
    CHECK(l->h >= 0 && l->end % SPOOL_PAGE == 0);
    l->at = l->flushed = l->end;
    l->error = 0;
    l->group++;
}

static int group_end(struct log *l)
{
    CHECK(l->at <= l->disk->segment_size);
    flush(l);
    if (!l->error) {
        l->syncs++;
        l->error = disk_sync(l->disk, l->h);
    }
    if (l->error) {
        seal(l);
        return l->error;
    }
    l->groups++;
    l->end = page_up(l->at);
    return 0;
}

int spool_log_write_group(struct log *l, struct list *batches)
{
    group_begin(l);
    LIST_EACH(link, batches)
    {
        put_batch(
            l, LIST_ENTRY(link, struct spool_batch, link), link == batches->prev ? GROUP_LAST : 0);
    }
    l->marked = false;
    return group_end(l);
}

int spool_log_mark(struct log *l)
{
    group_begin(l);
    put_record(l, FRAME_MARK, BATCH_FIRST | BATCH_LAST | GROUP_LAST, STR_NONE, STR_NONE);
    l->marked = true;
    return group_end(l);
}

static int write_open(struct log *l, const struct log_segment *s, const struct log_position *before,
    struct str in_use)
{
    struct open_head h = {
        .previous = before->segment, .previous_end = before->at, .count = s->count};
    char head[OPEN_HEAD], name[32];

    disk_segment_name(name, s->file);
    l->h = disk_open(l->disk, name, O_RDWR);
    if (l->h < 0)
        return l->h;
    l->segment = s->number;
    l->end = SEGMENT_DATA;
    l->group = 0;
    open_head_encode(head, &h);
    group_begin(l);
    put_record(
        l, FRAME_OPEN, BATCH_FIRST | BATCH_LAST | GROUP_LAST, str_of(head, sizeof head), in_use);
    return group_end(l);
}

static void put_extent(char *p, const struct log_extent *x)
{
    put_u64(p, x->number);
    put_u64(p + 8, x->end);
}

int spool_log_roll(struct log *l, const struct log_segment *s)
{
    struct log_position before = spool_log_position(l);
    char *in_use = mem_array(s->count + 1, EXTENT);
    int rc;

    seal(l);
    if (!in_use)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->count; i++)
        put_extent(in_use + (size_t)i * EXTENT, &s->in_use[i]);
    rc = write_open(l, s, &before, str_of(in_use, (size_t)s->count * EXTENT));
    mem_free(in_use);
    if (rc < 0) { /* the next one names the same end of the log */
        l->segment = before.segment;
        l->end = before.at;
        l->group = before.group;
    }
    l->marked = true;
    return rc;
}
