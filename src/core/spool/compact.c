/* Compaction: a segment in which little is alive is emptied.
 *
 * Each message that is alive there is read, checked and written again as a MOVED record with the
 * states of its recipients, a batch of its own: from that group's sync on it lies at its new place,
 * and before it at its old one. When all have left, a STATE record says that nothing in the segment
 * counts any more, and when that is durable too the segment may be released. Nobody waits for any
 * of this: the copies are batches like others in the writer's groups, few at a time.
 */
#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/spool_int.h"

enum {
    SHARE = 5,              /* less than one part in so many is alive: worth moving */
    HELD_MIN = 4,           /* such segments there must be, and a quarter of all */
    PACE = 4 << 20,         /* octets a second */
    PACE_WANTED = 16 << 20, /* where space is wanted */
    CHUNK = 32,             /* messages at a time, */
    CHUNK_OCTETS = 1 << 20, /* and their octets, about */
    PATIENCE = 10,          /* ticks without anything that could be moved */
};

static bool is_candidate(const struct segment *k)
{
    return k->life == SEGMENT_SEALED && k->live && !k->stuck && !k->pinned &&
           k->live_octets < k->size / SHARE;
}

/* Without a segment to go on with, the rest of this one is for deliveries: a copy must be small in
 * it, and give a whole segment back. */
static bool is_bargain(const struct spool *s, const struct segment *k)
{
    uint64_t size = s->store.disk.segment_size, at = s->position.at;
    uint64_t room = at < size ? size - at : 0;

    return s->have_spare || (k->needs_count == 0 && k->live_octets < room / 2);
}

/* The oldest first: others may only be there for what they say about it. */
static struct segment *choose(const struct spool *s)
{
    const struct index *x = &s->store.index;
    bool wanted = chores_space_is_wanted(s);
    struct segment *oldest = NULL;
    uint32_t count = 0;

    for (uint32_t i = x->segment_count; i > 0; i--) {
        struct segment *k = x->segments[i - 1];

        if (!is_candidate(k))
            continue;
        count++;
        if (is_bargain(s, k))
            oldest = k;
    }
    if (s->down || (!wanted && (count < HELD_MIN || count * 4 < x->segment_count)))
        return NULL;
    return oldest;
}

/* ---- one message */

static void submit(struct spool *s, struct spool_batch *b)
{
    s->compaction.in_flight++;
    spool_submit(s, b);
    spool_publish(s);
}

/* Whether the record is of the message that the index knows. */
static bool same(const struct entry *n, const struct message_head *h)
{
    return n->rcpts == h->rcpts && n->content == h->content && n->large == h->large &&
           n->prefix == h->prefix;
}

/* A commit must fit into a segment: files may have become smaller, states are larger than they
 * were.
 */
static bool fits(struct spool *s, const struct spool_batch *b)
{
    return b->octets <= spool_log_room_max(&s->store.disk, s->store.index.segment_count + 1);
}

static void give_up(struct spool *s, struct spool_batch *b)
{
    b->move->from->stuck = true;
    batch_revert(b, &s->store.index);
    batch_free(b);
}

/* False: compaction cannot go on for now. */
static bool move_message(struct spool *s, const struct segment *from, uint64_t id)
{
    struct check_job *j = &s->compaction.paced.job;
    struct spool_batch *b = NULL;
    struct entry *n;
    int rc;

    j->keep = true;
    rc = check_run(s, j, id, &n, NULL);
    if (rc == 1 || (rc < 0 && !record_is_damage(rc)))
        return false;
    s->compaction.paced.budget -= (int64_t)j->copy.octets;
    if (n && n->segment == from && rc == 0 && !same(n, &j->copy.head)) {
        rc = -EBADMSG;
        j->bad =
            (struct record_bad){j->place.at, j->place.at + FRAME_HEADER + MESSAGE_HEAD, false, 0};
    }
    if (n && rc < 0)
        spool_found_bad(s, &j->place, &j->bad);
    if (n && rc == 0 && n->segment == from && batch_may_move(n)) {
        b = batch_move(&s->store.index, n, &j->copy);
        if (b && !fits(s, b)) {
            give_up(s, b);
            b = NULL;
        }
        if (b) {
            s->stats.moved++;
            s->stats.moved_octets += b->octets;
            submit(s, b);
        }
    }
    mem_free(j->copy.memory);
    j->copy.memory = NULL;
    return rc < 0 || !n || b || !batch_may_move(n);
}

void compact_batch_done(struct spool *s, const struct spool_batch *b)
{
    struct compaction *c = &s->compaction;

    if (!b->move && b != c->replaced)
        return;
    c->in_flight--;
    c->failed |= b->error != 0;
    if (b == c->replaced)
        c->replaced = NULL;
}

static void wait_written(struct spool *s)
{
    /* A writer that never ran gives them back when all is closed. */
    while (s->compaction.in_flight && (s->writer.running || !s->closing))
        cond_wait(&s->flushed, "spool compaction", NULL);
}

/* ---- a segment */

/* What can be moved now, at most CHUNK; *left counts what could be later. */
static uint32_t gather(const struct spool *s, const struct segment *k, uint64_t *id, uint32_t *left)
{
    struct entry *n;
    uint32_t count = 0;

    *left = 0;
    for (uint32_t i = k->first; count < CHUNK && (n = index_next(&s->store.index, &i));) {
        *left += !(n->flags & ENTRY_DAMAGED);
        if (batch_may_move(n))
            id[count++] = n->id;
    }
    return count;
}

static bool move_chunk(struct spool *s, struct segment *k, const uint64_t *id, uint32_t count)
{
    struct compaction *c = &s->compaction;
    uint64_t before = s->stats.moved_octets;
    bool ok = true;

    for (uint32_t i = 0; ok && i < count && !s->closing; i++) {
        if (s->stats.moved_octets - before > CHUNK_OCTETS || c->paced.budget <= 0)
            break;
        ok = move_message(s, k, id[i]);
    }
    wait_written(s);
    return ok && !c->failed;
}

/* Moves all that is alive; false where something stays for now. */
static bool empty(struct spool *s, struct segment *k)
{
    struct compaction *c = &s->compaction;
    unsigned idle = 0;
    uint64_t id[CHUNK];
    uint32_t count, left;

    while (!s->closing && k->live) {
        c->paced.pace = chores_space_is_wanted(s) ? PACE_WANTED : PACE;
        count = c->paced.budget > 0 ? gather(s, k, id, &left) : 0;
        if (count) {
            idle = 0;
            if (!move_chunk(s, k, id, count))
                return false;
            continue;
        }
        if (c->paced.budget > 0 && (!left || ++idle > PATIENCE)) {
            k->stuck = !left;
            return false;
        }
        cond_wait(&c->paced.wake, "spool compaction", NULL);
    }
    return !k->live;
}

/* "Nothing in segment k counts": durable before it is released. */
static bool write_replaced(struct spool *s, struct segment *k)
{
    struct compaction *c = &s->compaction;
    struct spool_batch *b;

    while (!s->closing && k->in_flight)
        cond_wait(&c->paced.wake, "spool compaction", NULL);
    b = k->in_flight ? NULL : batch_state(&s->store.index, k);
    if (!b)
        return false;
    c->replaced = b;
    submit(s, b);
    wait_written(s);
    return !c->failed;
}

/* Where it fails in the middle, what has been moved lies at its new place, the rest at its old one.
 */
static bool compact(struct spool *s, struct segment *k)
{
    bool done;

    s->compaction.failed = false;
    k->replacing = true;
    done = empty(s, k) && write_replaced(s, k);
    s->stats.compacted += done;
    k->replacing = false;
    chores_kick(s);
    return done;
}

void compact_main(void *arg)
{
    struct spool *s = arg;
    struct segment *k;

    while (!s->closing) {
        k = choose(s);
        if (!(k && compact(s, k)) && !s->closing)
            cond_wait(&s->compaction.paced.wake, "spool compaction", NULL);
    }
    s->compaction.paced.running = false;
    cond_wake_all(&s->flushed);
}
