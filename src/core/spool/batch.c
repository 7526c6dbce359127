#include "core/spool/batch.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/format.h"
#include "core/spool/large.h"

static const char ORIGIN[] = "spool";

static uint64_t frame_octets(uint64_t head, uint64_t body)
{
    struct frame f = {.head = (uint32_t)head, .body = (uint32_t)body};

    return frame_size(&f);
}

struct spool_batch *batch_new(uint32_t n)
{
    struct spool_batch *b;
    size_t one = sizeof *b->messages + sizeof *b->entries;

    b = mem_zalloc(sizeof *b + n * one);
    if (!b)
        return NULL;
    b->messages = (struct spool_message **)(void *)(b + 1);
    b->entries = (struct entry **)(void *)(b->messages + n);
    cond_init(&b->done);
    return b;
}

static void move_drop(struct spool_move *m)
{
    if (!m || --m->refs)
        return;
    mem_free(m->record.memory);
    mem_free(m->rcpt);
    mem_free(m);
}

void batch_free(struct spool_batch *b)
{
    if (!b)
        return;
    CHECK(!list_linked(&b->link));
    mem_free(b->changes);
    mem_free(b->body_memory);
    move_drop(b->move);
    mem_free(b);
}

static int add_message(
    struct spool_batch *b, struct index *x, struct spool_message *m, struct err *e)
{
    uint64_t body = (uint64_t)m->envelope.n + m->prefix.n + m->digest.n;
    struct entry *n;
    int rc;

    m->own.content = m->large ? m->large->size : 0;
    for (uint32_t i = 0; i < m->pieces; i++)
        m->own.content += m->content[i].n;
    if (!m->id || !m->rcpts || m->rcpts > SPOOL_RCPTS_MAX)
        return err_set(
            e, ERR_BUG, ORIGIN, "a message without an id or with %u recipients", m->rcpts);
    if ((m->large && (m->pieces || !m->large->finished)) || body > UINT32_MAX)
        return err_set(e, ERR_BUG, ORIGIN, "a message that is not complete");
    rc = index_reserve(x, m->id, m->rcpts, &n);
    if (rc == -EEXIST)
        return err_set(e, ERR_BUG, ORIGIN, "message id used twice");
    if (rc < 0)
        return err_memory(e, ORIGIN);
    n->content = m->own.content;
    n->prefix = (uint32_t)m->prefix.n;
    n->large = m->large ? m->large->file : 0;
    b->messages[b->n] = m;
    b->entries[b->n++] = n;
    b->octets += frame_octets(MESSAGE_HEAD, body);
    if (!m->large)
        b->octets += content_frames_size(m->own.content);
    return 0;
}

int batch_add_messages(struct spool_batch *b, struct index *x, struct spool_message *const *m,
    uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (add_message(b, x, m[i], e) < 0) {
            while (b->n)
                index_cancel(x, b->entries[--b->n]);
            return -1;
        }
    }
    return 0;
}

static struct spool_move *find_move(const struct index *x, const struct entry *n)
{
    LIST_EACH(link, &x->moves)
    {
        struct spool_move *m = LIST_ENTRY(link, struct spool_move, link);

        if (m->entry == n)
            return m;
    }
    UNREACHABLE();
}

static int check_change(struct index *x, struct change *to, struct err *e)
{
    const struct spool_change *c = &to->c;

    to->entry = index_find(x, c->id);
    if (!to->entry || to->entry->flags & ENTRY_ENDING)
        return err_set(e, ERR_PERMANENT, ORIGIN, "no such message in the spool");
    if (c->kind == SPOOL_OUTCOME &&
        (c->rcpt >= to->entry->rcpts || c->outcome.state >= SPOOL_RCPT_STATES))
        return err_set(
            e, ERR_BUG, ORIGIN, "no recipient %u, or no state %u", c->rcpt, c->outcome.state);
    to->segment = to->entry->segment;
    to->segment->in_flight++;
    to->move = to->entry->flags & ENTRY_MOVING ? find_move(x, to->entry) : NULL;
    if (to->move) {
        to->move->refs++;
        to->move->changes++;
    }
    if (to->entry->busy < BUSY_MAX)
        to->entry->busy++;
    if (c->kind == SPOOL_END)
        to->entry->flags |= ENTRY_ENDING;
    return 0;
}

/* It is no longer in flight. The message may have been moved since it was handed in. */
static void settle_change(struct change *c)
{
    struct spool_move *m = c->move;

    if (m) {
        m->changes--;
        if (m->to)
            c->segment = m->to;
        move_drop(m);
        c->move = NULL;
    }
    c->segment->in_flight--;
    if (c->entry->busy < BUSY_MAX)
        c->entry->busy--;
}

static void undo_change(struct change *c)
{
    settle_change(c);
    if (c->c.kind == SPOOL_END)
        c->entry->flags &= (uint8_t)~ENTRY_ENDING;
}

static int grow_changes(struct spool_batch *b, uint32_t count)
{
    uint32_t cap = b->changes_cap ? b->changes_cap : 4;
    struct change *changes;

    while (cap < b->count + count)
        cap *= 2;
    if (cap == b->changes_cap)
        return 0;
    changes = mem_resize(b->changes, cap * sizeof *changes);
    if (!changes)
        return -1;
    b->changes = changes;
    b->changes_cap = cap;
    return 0;
}

int batch_add_changes(struct spool_batch *b, struct index *x, const struct spool_change *c,
    uint32_t count, struct err *e)
{
    uint32_t before = b->count;

    if (count && grow_changes(b, count) < 0)
        return err_memory(e, ORIGIN);
    for (uint32_t i = 0; i < count; i++) {
        b->changes[b->count].c = c[i];
        if (check_change(x, &b->changes[b->count], e) < 0) {
            while (b->count > before)
                undo_change(&b->changes[--b->count]);
            return -1;
        }
        b->count++;
    }
    for (uint32_t i = 0; i < count; i++)
        b->octets += frame_octets(c[i].kind == SPOOL_END ? END_HEAD : OUTCOME_HEAD, 0);
    return 0;
}

struct spool_batch *batch_state(struct index *x, struct segment *s)
{
    struct spool_batch *b = batch_new(0);
    size_t size = 0;
    struct entry *n;
    char *p;

    CHECK(!s->in_flight);
    for (uint32_t i = s->first; (n = index_next(x, &i));)
        size += STATE_ENTRY + (size_t)n->rcpts * RCPT_OCTETS;
    p = b ? mem_alloc(size ? size : 1) : NULL;
    if (!p) {
        batch_free(b);
        return NULL;
    }
    b->body_memory = p;
    b->body = str_of(p, size);
    b->about = s;
    b->alive = s->live;
    b->class = SPOOL_OWN;
    b->octets = frame_octets(STATE_HEAD, size);
    s->in_flight++;
    for (uint32_t i = s->first; (n = index_next(x, &i));) {
        put_u64(p, n->id);
        put_u32(p + 8, n->rcpts);
        p += STATE_ENTRY;
        for (uint32_t k = 0; k < n->rcpts; k++, p += RCPT_OCTETS)
            rcpt_encode(p, &entry_rcpts(n)[k]);
    }
    return b;
}

/* ---- moves */

bool batch_may_move(struct entry *n)
{
    /* Too many to be counted: none of them is left when there is none about the segment. */
    if (n->busy == BUSY_MAX && !n->segment->in_flight)
        n->busy = 0;
    return !n->busy && !(n->flags & (ENTRY_ENDING | ENTRY_MOVING | ENTRY_DAMAGED));
}

uint32_t move_outcomes(const struct spool_move *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->record.head.rcpts; i++)
        n += rcpt_known(&m->rcpt[i]);
    return n;
}

struct spool_batch *batch_move(struct index *x, struct entry *n, struct record_copy *r)
{
    const struct message_head *h = &r->head;
    uint64_t body = (uint64_t)h->envelope + h->prefix + h->digest;
    struct spool_batch *b = batch_new(0);
    struct spool_move *m = b ? MEM_NEW(struct spool_move) : NULL;

    CHECK(batch_may_move(n));
    if (m)
        m->rcpt = mem_array(n->rcpts, sizeof *m->rcpt);
    if (!m || !m->rcpt) {
        mem_free(m);
        batch_free(b);
        return NULL;
    }
    memcpy(m->rcpt, entry_rcpts(n), n->rcpts * sizeof *m->rcpt);
    m->entry = n;
    m->from = n->segment;
    m->refs = 1;
    m->record = *r;
    r->memory = NULL;
    b->move = m;
    b->class = SPOOL_OWN;
    b->octets = frame_octets(MOVED_HEAD, body) + (h->large ? 0 : content_frames_size(h->content)) +
                move_outcomes(m) * frame_octets(OUTCOME_HEAD, 0);
    n->flags |= ENTRY_MOVING;
    n->segment->in_flight++;
    list_add(&x->moves, &m->link);
    return b;
}

/* How a move ended is known. */
static void settle_move(struct spool_move *m)
{
    list_remove(&m->link);
    m->entry->flags &= (uint8_t)~ENTRY_MOVING;
    m->from->in_flight--;
}

static void apply_move(struct spool_move *m, struct segment *where, struct index *x)
{
    settle_move(m);
    m->to = where;
    m->from->in_flight -= m->changes;
    where->in_flight += m->changes;
    m->entry->at = (uint32_t)(m->at / FRAME_ALIGN);
    index_move(x, m->entry, where);
    segment_needs(where, m->from->number);
}

/* ---- what becomes of a batch */

static void apply_change(struct change *c, struct segment *where, struct index *x,
    void (*ended)(void *arg, struct entry *n), void *arg)
{
    settle_change(c);
    segment_needs(where, c->segment->number);
    switch (c->c.kind) {
    case SPOOL_OUTCOME:
        entry_rcpts(c->entry)[c->c.rcpt] = c->c.outcome;
        break;
    case SPOOL_END:
        CHECK(!(c->entry->flags & ENTRY_MOVING)); /* its copy was written before */
        ended(arg, c->entry);
        index_remove(x, c->entry);
        break;
    }
}

void batch_apply(
    struct spool_batch *b, struct index *x, void (*ended)(void *arg, struct entry *n), void *arg)
{
    struct segment *where = index_segment(x, b->segment);

    CHECK(where);
    for (uint32_t i = 0; i < b->n; i++) {
        b->entries[i]->at = (uint32_t)(b->messages[i]->own.at / FRAME_ALIGN);
        index_insert(x, b->entries[i], where);
    }
    for (uint32_t i = 0; i < b->count; i++)
        apply_change(&b->changes[i], where, x, ended, arg);
    if (b->move)
        apply_move(b->move, where, x);
    if (b->about) {
        b->about->in_flight--;
        segment_needs(where, b->about->number);
        index_unneed(x, b->about->number, where->number);
    }
}

void batch_revert(struct spool_batch *b, struct index *x)
{
    for (uint32_t i = 0; i < b->n; i++)
        index_cancel(x, b->entries[i]);
    for (uint32_t i = b->count; i > 0; i--)
        undo_change(&b->changes[i - 1]);
    if (b->move)
        settle_move(b->move);
    if (b->about)
        b->about->in_flight--;
}
