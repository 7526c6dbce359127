#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"

#include "core/spool/recover.h"

static const char ORIGIN[] = "spool";

/* A record of the batch that is being read. */
struct record {
    struct frame f;
    uint64_t at;
    char head[FRAME_HEAD_MAX];
};

struct replay {
    struct recovery *r;
    struct segment *s;
    int h;
    char name[32];
    struct record *batch;
    uint32_t count, cap;
    bool begun;          /* all frames of the batch so far were seen */
    bool whole;          /* the batch that is being applied is */
    bool is_last;        /* the segment in which the log ends */
    uint32_t last_group; /* and the last group of it, which may be torn */
    bool torn;           /* the last group, somewhere: the log ends before that */
    uint64_t good_end;   /* there */
    uint64_t *in_use;    /* segments that were in use when the last one was opened */
    uint32_t in_use_count;
};

static int out_of_memory(struct err *e)
{
    return err_memory(e, ORIGIN);
}

static char *load_body(struct replay *p, const struct record *rec)
{
    char *body = mem_alloc(rec->f.body ? rec->f.body : 1);
    uint64_t at = rec->at + FRAME_HEADER + rec->f.head;

    if (body && disk_read(p->r->disk, p->h, body, rec->f.body, at) < 0) {
        mem_free(body);
        return NULL;
    }
    return body;
}

static void damaged(struct replay *p, uint64_t from, uint64_t to, const char *what)
{
    recovery_damage(p->r, p->name, p->s->number, from, to, what);
}

/* ---- one record */

static bool earlier(const struct entry *n, const struct segment *s, uint64_t at)
{
    return n->segment->number < s->number ||
           (n->segment == s && (uint64_t)n->at * FRAME_ALIGN < at);
}

/* A commit record of a message that is known already. A checkpoint may know messages, and where
 * they were moved to, that are younger than its position in the log. */
static void apply_again(struct replay *p, const struct record *rec, struct entry *n,
    const struct message_head *head, bool moved)
{
    if (!earlier(n, p->s, rec->at))
        return;
    if (!moved || n->rcpts != head->rcpts || n->content != head->content ||
        n->large != head->large) {
        damaged(p, rec->at - head->back, rec->at + frame_size(&rec->f), "id used twice");
        return;
    }
    if (!p->whole) /* rather where it was, as long as that is there */
        return;
    n->at = (uint32_t)(rec->at / FRAME_ALIGN);
    index_move(p->r->index, n, p->s);
}

static void needed(struct replay *p, uint64_t segment)
{
    if (index_segment(p->r->index, segment))
        segment_needs(p->s, segment);
}

/* A message, or one that compaction has moved here: where it comes from may be gone by now. */
static int apply_message(struct replay *p, const struct record *rec, struct err *e)
{
    struct message_head head;
    struct entry *n;
    uint64_t from;

    if (!commit_head_decode(rec->f.type, str_of(rec->head, rec->f.head), &head, &from) ||
        head.back > rec->at) {
        damaged(p, rec->at, rec->at + frame_size(&rec->f), "commit record");
        return 0;
    }
    if (from)
        needed(p, from);
    n = index_find(p->r->index, head.id);
    if (n) {
        apply_again(p, rec, n, &head, from != 0);
        return 0;
    }
    if (index_reserve(p->r->index, head.id, head.rcpts, &n) < 0)
        return out_of_memory(e);
    n->content = head.content;
    n->prefix = head.prefix;
    n->large = head.large;
    n->at = (uint32_t)(rec->at / FRAME_ALIGN);
    index_insert(p->r->index, n, p->s);
    return 0;
}

static void apply_outcome(struct replay *p, const struct record *rec)
{
    struct outcome_head head;
    struct entry *n;

    if (!outcome_head_decode(str_of(rec->head, rec->f.head), &head))
        return;
    needed(p, head.segment);
    n = index_find(p->r->index, head.id);
    if (!n || head.rcpt >= n->rcpts)
        return;
    entry_rcpts(n)[head.rcpt] = head.outcome;
}

static void apply_end(struct replay *p, const struct record *rec)
{
    struct end_head head;
    struct entry *n;

    if (!end_head_decode(str_of(rec->head, rec->f.head), &head))
        return;
    needed(p, head.segment);
    n = index_find(p->r->index, head.id);
    if (n)
        index_remove(p->r->index, n);
}

/* Takes over the states that a STATE record lists; false where the body is not what it should be.
 */
static bool mark_alive(struct replay *p, struct str body, const struct state_head *head)
{
    for (uint32_t i = 0; i < head->count; i++) {
        struct spool_rcpt *rcpt;
        struct entry *n;
        uint32_t rcpts;

        if (body.n < STATE_ENTRY)
            return false;
        rcpts = get_u32(body.p + 8);
        n = index_find(p->r->index, get_u64(body.p));
        body = str_from(body, STATE_ENTRY);
        if (body.n / RCPT_OCTETS < rcpts)
            return false;
        if (n && n->segment->number == head->segment && n->rcpts == rcpts) {
            n->flags |= ENTRY_MARKED;
            rcpt = entry_rcpts(n);
            for (uint32_t k = 0; k < rcpts; k++)
                rcpt[k] = rcpt_decode(body.p + k * RCPT_OCTETS);
        }
        body = str_from(body, (size_t)rcpts * RCPT_OCTETS);
    }
    return body.n == 0;
}

static void apply_state(struct replay *p, const struct record *rec)
{
    struct state_head head;
    struct segment *about;
    struct entry *n;
    char *body;
    bool whole;

    if (!state_head_decode(str_of(rec->head, rec->f.head), &head))
        return;
    about = index_segment(p->r->index, head.segment);
    if (!about)
        return;
    if (frame_check_body(p->r->disk, p->h, rec->at, &rec->f) < 0 || !(body = load_body(p, rec))) {
        damaged(p, rec->at, rec->at + frame_size(&rec->f), "state record");
        return;
    }
    for (uint32_t i = about->first; (n = index_next(p->r->index, &i));)
        n->flags &= (uint8_t)~ENTRY_MARKED;
    whole = mark_alive(p, str_of(body, rec->f.body), &head);
    mem_free(body);
    if (!whole) /* a bug of the writer: believing half of it could forget mail */
        return;
    for (uint32_t i = about->first; (n = index_next(p->r->index, &i));)
        if (!(n->flags & ENTRY_MARKED))
            index_remove(p->r->index, n);
    index_unneed(p->r->index, head.segment, p->s->number);
    segment_needs(p->s, head.segment);
}

static int apply(struct replay *p, const struct record *rec, struct err *e)
{
    switch (rec->f.type) {
    case FRAME_MESSAGE:
    case FRAME_MOVED:
        return apply_message(p, rec, e);
    case FRAME_OUTCOME:
        apply_outcome(p, rec);
        return 0;
    case FRAME_END:
        apply_end(p, rec);
        return 0;
    case FRAME_STATE:
        apply_state(p, rec);
        return 0;
    default: /* known already, or for later versions */
        return 0;
    }
}

/* ---- batches */

static bool is_message(const struct record *rec)
{
    return rec->f.type == FRAME_MESSAGE || rec->f.type == FRAME_MOVED;
}

static bool record_intact(struct replay *p, const struct record *rec)
{
    struct message_head head;

    if (!is_message(rec))
        return frame_check_body(p->r->disk, p->h, rec->at, &rec->f) == 0;
    return commit_head_decode(rec->f.type, str_of(rec->head, rec->f.head), &head, NULL) &&
           message_check(p->r->disk, p->h, rec->at, &rec->f, &head) == 0;
}

/* A whole batch counts. Of one that is damaged the messages count, and the changes do not: what is
 * done twice is better than what is forgotten. In the last group, which nobody may have been told
 * of, the log ends before the first batch that is not whole. */
static int batch_end(struct replay *p, bool whole, struct err *e)
{
    bool last = p->is_last && p->count && p->batch[0].f.group >= p->last_group;

    for (uint32_t i = 0; whole && last && i < p->count; i++)
        whole = record_intact(p, &p->batch[i]);
    if (!whole && last)
        p->torn = true;
    p->whole = whole;
    for (uint32_t i = 0; i < p->count; i++)
        if (whole || (!last && is_message(&p->batch[i])))
            if (apply(p, &p->batch[i], e) < 0)
                return -1;
    p->count = 0;
    p->begun = false;
    return 0;
}

static int batch_add(struct replay *p, const struct scan_frame *frame, struct err *e)
{
    struct record *rec;

    if (p->count == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 64;
        struct record *batch = mem_resize(p->batch, cap * sizeof *batch);

        if (!batch)
            return out_of_memory(e);
        p->batch = batch;
        p->cap = cap;
    }
    rec = &p->batch[p->count++];
    rec->f = frame->f;
    rec->at = frame->at;
    memcpy(rec->head, frame->head.p, frame->head.n);
    return 0;
}

static int on_frame(struct replay *p, const struct scan_frame *frame, struct err *e)
{
    bool first = frame->f.flags & BATCH_FIRST;

    if ((first || frame->after_gap) && batch_end(p, false, e) < 0)
        return -1;
    if (first)
        p->begun = true;
    if (frame->f.type != FRAME_CONTENT && batch_add(p, frame, e) < 0)
        return -1;
    return frame->f.flags & BATCH_LAST ? batch_end(p, p->begun, e) : 0;
}

/* ---- segments */

/* Whether a gap before `frame` lies in a group that had been confirmed: then it is damage. closed
 * and group are of the frame before the gap. */
static bool gap_confirmed(
    const struct replay *p, bool closed, uint32_t group, const struct scan_frame *frame)
{
    if (!p->is_last || frame->f.group < p->last_group)
        return true;
    return (group < p->last_group && !closed) || frame->f.group > group + 1;
}

static uint64_t scan_limit(const struct replay *p)
{
    if (p->s->end)
        return p->s->end;
    return p->is_last ? p->r->last_end : p->s->size;
}

static int replay_frames(struct replay *p, struct scan *scan, struct err *e)
{
    struct scan_frame frame;
    bool closed = scan->closed;
    uint32_t group = scan->group;

    p->good_end = scan->end;
    while (!p->torn && scan_next(scan, &frame)) {
        if (frame.after_gap && !gap_confirmed(p, closed, group, &frame))
            break;
        if (frame.after_gap)
            damaged(p, frame.at - frame.gap, frame.at, "records");
        closed = scan->closed;
        group = scan->group;
        if (on_frame(p, &frame, e) < 0)
            return -1;
        if (!p->torn && (frame.f.group < p->last_group || frame.f.flags & BATCH_LAST))
            p->good_end = scan->end;
    }
    if (p->is_last) {
        p->torn |= !closed || scan->end > p->good_end;
        p->r->last_end = p->good_end;
    }
    return batch_end(p, false, e);
}

static int replay_segment(struct replay *p, const struct log_position *from, struct err *e)
{
    bool here = p->s->number == from->segment;
    struct scan scan;
    int rc = scan_init(&scan, p->r->disk, p->h, p->s, here ? from->at : SEGMENT_DATA,
        here ? from->sequence : 0, scan_limit(p));

    if (rc < 0)
        return err_os(e, -rc, ORIGIN, "%s", p->name);
    scan.group = here ? from->group : 0;
    rc = replay_frames(p, &scan, e);
    if (rc == 0 && p->s->end > scan.end)
        damaged(p, scan.end, p->s->end, "records");
    if (scan.sequence > p->r->sequence)
        p->r->sequence = scan.sequence;
    if (!p->s->end)
        p->s->end = p->is_last ? p->r->last_end : scan.end;
    scan_done(&scan);
    return rc;
}

static int open_segment(struct replay *p, struct segment *s, struct err *e)
{
    p->s = s;
    disk_segment_name(p->name, s->file);
    p->h = disk_open(p->r->disk, p->name, O_RDONLY);
    return p->h < 0 ? err_os(e, -p->h, ORIGIN, "%s", p->name) : 0;
}

/* The end of a segment's records, as a later one says. What lies behind it was cut off once, and
 * must not come back. */
static void set_end(struct replay *p, uint64_t number, uint64_t end)
{
    struct segment *s = index_segment(p->r->index, number);

    if (s && end >= SEGMENT_DATA && end <= s->size)
        s->end = end;
}

/* Which segments are in use, as the youngest readable OPEN record says, and where they end. */
static int load_in_use(struct replay *p, const struct record *rec, uint32_t count, struct err *e)
{
    char *body = NULL;

    if (rec->f.body / EXTENT == count && rec->f.body % EXTENT == 0 && rec->f.body <= p->s->size &&
        frame_check_body(p->r->disk, p->h, rec->at, &rec->f) == 0)
        body = load_body(p, rec);
    if (!body)
        return 0;
    mem_free(p->in_use);
    p->in_use_count = 0;
    p->in_use = mem_array((size_t)count + 1, sizeof *p->in_use);
    for (uint32_t i = 0; p->in_use && i < count; i++) {
        p->in_use[i] = get_u64(body + (size_t)i * EXTENT);
        set_end(p, p->in_use[i], get_u64(body + (size_t)i * EXTENT + 8));
    }
    mem_free(body);
    if (!p->in_use)
        return out_of_memory(e);
    p->in_use_count = count;
    return 0;
}

/* What the first record says of the segment before, and of those in use. */
static int read_open(struct replay *p, struct segment *s, struct err *e)
{
    char octets[FRAME_HEADER + FRAME_HEAD_MAX];
    struct record rec = {.at = SEGMENT_DATA};
    struct open_head head;
    size_t got;
    int rc = 0;

    if (open_segment(p, s, e) < 0)
        return -1;
    if (disk_read_some(p->r->disk, p->h, octets, sizeof octets, SEGMENT_DATA, &got) == 0 &&
        frame_decode(octets, got, p->r->disk->salt, &rec.f) && rec.f.type == FRAME_OPEN &&
        rec.f.segment == s->number && rec.f.epoch == (uint32_t)s->epoch &&
        open_head_decode(str_of(octets + FRAME_HEADER, rec.f.head), &head)) {
        rc = load_in_use(p, &rec, head.count, e);
        set_end(p, head.previous, head.previous_end);
    }
    disk_close(p->r->disk, p->h);
    return rc;
}

/* Where the log ends: the last segment that has records, and its last group. Numbered files behind
 * it were only prepared. */
static int find_last(struct replay *p, struct err *e)
{
    struct recovery *r = p->r;

    for (uint32_t i = r->index->segment_count; i > 0 && !r->last; i--) {
        struct segment *s = r->index->segments[i - 1];
        struct scan_frame frame;
        struct scan scan;
        int rc;

        if (open_segment(p, s, e) < 0)
            return -1;
        rc = scan_init(&scan, r->disk, p->h, s, SEGMENT_DATA, 0, s->size);
        if (rc == 0) {
            while (scan_next(&scan, &frame))
                r->last = s->number;
            p->last_group = scan.group;
            r->last_end = page_up(scan.end);
            scan_done(&scan);
        }
        disk_close(r->disk, p->h);
        if (rc < 0)
            return err_os(e, -rc, ORIGIN, "%s", p->name);
    }
    return 0;
}

static void find_missing(struct replay *p)
{
    struct index *x = p->r->index;

    for (uint32_t i = 0; i < p->in_use_count; i++) {
        uint64_t number = p->in_use[i];
        bool known = index_segment(x, number);

        for (uint32_t k = 0; !known && k < x->segment_count; k++)
            known = x->segments[k]->previous == number;
        for (uint32_t k = 0; !known && k < p->r->free_count; k++)
            known = p->r->free[k]->previous == number;
        if (!known)
            recovery_damage(p->r, "", number, 0, p->r->disk->segment_size, "segment is missing");
    }
}

int recover_replay(struct recovery *r, const struct log_position *from, struct err *e)
{
    struct replay p = {.r = r};
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < r->index->segment_count; i++)
        rc = read_open(&p, r->index->segments[i], e);
    if (rc == 0)
        rc = find_last(&p, e);
    for (uint32_t i = 0; rc == 0 && i < r->index->segment_count; i++) {
        struct segment *s = r->index->segments[i];

        if (s->number < from->segment || s->number > r->last)
            continue;
        rc = open_segment(&p, s, e);
        if (rc < 0)
            break;
        p.is_last = s->number == r->last;
        rc = replay_segment(&p, from, e);
        disk_close(r->disk, p.h);
    }
    if (rc == 0)
        find_missing(&p);
    r->torn += p.torn;
    mem_free(p.batch);
    mem_free(p.in_use);
    return rc;
}
