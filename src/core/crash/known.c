#include "core/crash/known.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/large.h"

/* ---- what is promised */

void known_began(struct known *k, const struct life *l)
{
    k->epoch = l->store.disk.epoch;
}

void known_promised(struct known *k, const struct life *l)
{
    if (l->store.log.sequence > k->sequence)
        k->sequence = l->store.log.sequence;
    if (l->store.log.segment > k->number)
        k->number = l->store.log.segment;
}

void known_refused(struct known *k)
{
    struct model *m = &k->model;

    for (uint64_t id = 1; id < MODEL_IDS; id++) {
        if (m->state[id] == MODEL_MAYBE_ALIVE)
            m->state[id] = MODEL_NEVER;
        if (m->state[id] == MODEL_MAYBE_ENDED)
            m->state[id] = MODEL_ALIVE;
        m->maybe[id] = m->rcpt[id];
    }
}

/* ---- one message */

static bool large_whole(const struct life *l, const struct message_head *m, struct str want)
{
    struct content_frames c = content_in_file(m);
    char *got = mem_alloc(FRAME_HEADER + CONTENT_FRAME), name[32];
    bool whole;
    int h;

    CHECK(got);
    disk_large_name(name, m->large);
    h = disk_open(&l->store.disk, name, 0);
    whole = h >= 0;
    for (uint64_t i = 0; whole && i * CONTENT_FRAME < want.n; i++) {
        uint32_t crc;
        size_t n = 0;

        whole = content_frame_read(&l->store.disk, h, &c, i, got, &n, &crc) == 0 &&
                memcmp(got + FRAME_HEADER, want.p + i * CONTENT_FRAME, n) == 0;
    }
    disk_close(&l->store.disk, h);
    mem_free(got);
    return whole;
}

enum reading {
    READ_RIGHT,
    READ_WRONG,   /* other octets than were accepted */
    READ_REFUSED, /* a checksum said no: what damage looks like */
};

static enum reading read_message(const struct life *l, const struct entry *n)
{
    struct record_place place = record_place(n);
    struct record_copy copy = {0};
    struct record_bad bad;
    char *octets = mem_alloc(model_size(n->id) + 1), envelope[24];
    struct str content = model_content(n->id, octets), body;
    enum reading is = READ_RIGHT;

    CHECK(octets);
    (void)snprintf(envelope, sizeof envelope, "%llu", (unsigned long long)n->id);
    if (record_read(&l->store.disk, &place, true, &copy, &bad) < 0) {
        is = READ_REFUSED;
    } else {
        size_t inside = copy.head.large ? 0 : (size_t)copy.head.content;

        body = str_of(copy.memory, inside);
        if (copy.head.id != n->id || copy.head.content != content.n ||
            copy.head.rcpts != 1 + n->id % 3 || (!copy.head.large && !str_eq(body, content)) ||
            (copy.head.large && !large_whole(l, &copy.head, content)) ||
            !str_eq(str_of(copy.memory + inside, copy.head.envelope), str_c(envelope)))
            is = READ_WRONG;
    }
    mem_free(copy.memory);
    mem_free(octets);
    return is;
}

static bool same(const struct spool_rcpt *a, const struct spool_rcpt *b)
{
    return a->state == b->state && a->attempts == b->attempts && a->when == b->when &&
           a->status == b->status;
}

static bool wrong(char why[WHY_MAX], uint64_t id, const char *what)
{
    (void)snprintf(why, WHY_MAX, "message %llu %s", (unsigned long long)id, what);
    return false;
}

/* Damage may cost the messages in it; what it undoes of others is done twice at worst. */
static bool check_damaged(const struct known *k, const struct life *l, uint64_t id, char *why)
{
    struct entry *n = index_find(&l->store.index, id);
    bool in_it = k->damaged >> id & 1;

    if (!n && k->model.state[id] == MODEL_ALIVE && !in_it)
        return wrong(why, id, "is lost, and lies elsewhere than the damage");
    if (n && k->model.state[id] == MODEL_NEVER)
        return wrong(why, id, "was never accepted");
    if (!n || k->model.state[id] != MODEL_ALIVE)
        return true;
    switch (read_message(l, n)) {
    case READ_RIGHT:
        break;
    case READ_WRONG:
        return wrong(why, id, "is given out damaged");
    case READ_REFUSED:
        if (!in_it)
            return wrong(why, id, "cannot be read, and lies elsewhere than the damage");
        break;
    }
    if (entry_rcpts(n)->attempts > k->model.rcpt[id].attempts)
        return wrong(why, id, "has an outcome that nobody reported");
    return true;
}

static bool check_id(const struct known *k, const struct life *l, uint64_t id, char *why)
{
    const struct model *m = &k->model;
    struct entry *n = index_find(&l->store.index, id);
    uint64_t dsn = m->bounced_by[id];

    switch (m->state[id]) {
    case MODEL_NEVER:
        if (n)
            return wrong(why, id, "was never accepted, or refused, and is there");
        break;
    case MODEL_ENDED:
        if (n)
            return wrong(why, id, "has come back");
        break;
    case MODEL_ALIVE:
        if (!n)
            return wrong(why, id, "is lost");
        break;
    case MODEL_MAYBE_ENDED:
        if (dsn && (n != NULL) == (index_find(&l->store.index, dsn) != NULL))
            return wrong(why, id, "and its DSN are not one commit");
        break;
    case MODEL_MAYBE_ALIVE:
        break;
    }
    if (!n)
        return true;
    if (read_message(l, n) != READ_RIGHT)
        return wrong(why, id, "is not what was accepted");
    if (!same(entry_rcpts(n), &m->rcpt[id]) && !same(entry_rcpts(n), &m->maybe[id]))
        return wrong(why, id, "has another outcome than was reported");
    return true;
}

/* ---- the whole */

static bool check_growth(const struct known *k, const struct life *l, char why[WHY_MAX])
{
    const char *what = NULL;

    if (l->store.disk.epoch <= k->epoch)
        what = "epoch";
    if (l->store.log.sequence <= k->sequence)
        what = "sequence";
    if (l->store.log.segment <= k->number)
        what = "number of segments";
    if (what)
        (void)snprintf(why, WHY_MAX, "the %s of an earlier life is used again", what);
    return !what;
}

/* Nothing is unknown any more. */
static void settle(struct known *k, const struct life *l)
{
    struct model *m = &k->model;

    for (uint64_t id = 1; id < MODEL_IDS; id++) {
        struct entry *n = index_find(&l->store.index, id);

        if (n)
            m->rcpt[id] = m->maybe[id] = entry_rcpts(n)[0];
        m->state[id] = n ? MODEL_ALIVE : m->state[id] == MODEL_NEVER ? MODEL_NEVER : MODEL_ENDED;
    }
}

bool known_check(struct known *k, struct life *l, char why[WHY_MAX])
{
    for (uint64_t id = 1; id < MODEL_IDS; id++)
        if (k->damage ? !check_damaged(k, l, id, why) : !check_id(k, l, id, why))
            return false;
    if (l->damaged && !k->damage) {
        (void)snprintf(why, WHY_MAX, "damage is reported");
        return false;
    }
    if (!check_growth(k, l, why))
        return false;
    settle(k, l);
    known_began(k, l);
    return true;
}

uint64_t known_within(const struct life *l, const struct segment *s, uint64_t from, uint64_t to)
{
    uint64_t bits = 0;

    for (uint64_t id = 1; id < MODEL_IDS; id++) {
        struct entry *n = index_find(&l->store.index, id);
        uint64_t at = n ? (uint64_t)n->at * FRAME_ALIGN : 0, start, end;

        if (!n || n->segment != s)
            continue;
        start = at - (n->large ? 0 : content_frames_size(n->content));
        end = at + FRAME_HEADER + MOVED_HEAD + FRAME_HEADER; /* and the few octets of its parts */
        if (start < to && from < end)
            bits |= UINT64_C(1) << id;
    }
    return bits;
}

/* ---- numbers */

static uint64_t mix(uint64_t sum, uint64_t x)
{
    sum = (sum ^ x) * 0x9e3779b97f4a7c15U;
    return sum ^ sum >> 31;
}

uint64_t known_hash(const struct known *k)
{
    const struct model *m = &k->model;
    uint64_t sum = mix(mix(k->epoch, k->sequence), k->number);

    for (uint64_t id = 1; id < MODEL_IDS; id++)
        sum = mix(sum, (uint64_t)m->state[id] << 32 | (uint64_t)m->rcpt[id].attempts << 16 |
                           (uint64_t)m->maybe[id].attempts << 8 | m->bounced_by[id]);
    return mix(sum, k->damaged << 1 | k->damage);
}

static uint64_t hash_segment(uint64_t sum, const struct segment *s)
{
    sum = mix(mix(mix(sum, s->number), s->previous), s->serial);
    sum = mix(mix(mix(sum, s->epoch), s->end), (uint64_t)s->file << 8 | s->slot);
    for (uint32_t i = 0; i < s->needs_count; i++)
        sum = mix(sum, s->needs[i]);
    return sum;
}

uint64_t life_hash(const struct life *l)
{
    const struct index *x = &l->store.index;
    uint64_t sum = mix(mix(l->store.log.segment, l->store.log.sequence), l->store.disk.epoch);

    sum = mix(mix(sum, l->store.number_max), l->store.file_max);
    for (uint32_t i = 0; i < x->segment_count; i++)
        sum = hash_segment(sum, x->segments[i]);
    for (uint32_t i = 0; i < l->store.free_count; i++)
        sum = hash_segment(sum, l->store.free[i]);
    for (uint64_t id = 1; id < MODEL_IDS; id++) {
        struct entry *n = index_find(x, id);

        if (n)
            sum = mix(mix(mix(sum, id), n->segment->number),
                (uint64_t)n->at << 32 | n->rcpts << 8 | entry_rcpts(n)->attempts);
    }
    return sum;
}
