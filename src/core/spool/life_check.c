#include <errno.h>

#include "base/mem.h"
#include "base/unit_test.h"

#include "core/spool/fake_life.h"
#include "core/spool/large.h"

static bool content_whole(struct life *l, struct entry *n)
{
    const struct disk *d = &l->store.disk;
    char octets[FRAME_HEADER + FRAME_HEAD_MAX], name[32];
    uint64_t at = (uint64_t)n->at * FRAME_ALIGN;
    char *want = mem_alloc(model_size(n->id) + 1), *got = mem_alloc(FRAME_HEADER + CONTENT_FRAME);
    struct str content = model_content(n->id, want);
    struct content_frames c;
    struct message_head m;
    struct frame f;
    int h, rc;

    disk_segment_name(name, n->segment->file);
    h = disk_open(d, name, 0);
    rc = disk_read(d, h, octets, sizeof octets, at);
    if (rc == 0 &&
        (!frame_decode(octets, sizeof octets, d->salt, &f) ||
            !commit_head_decode(f.type, str_of(octets + FRAME_HEADER, f.head), &m, NULL)))
        rc = -EBADMSG;
    if (rc == 0)
        rc = message_check(d, h, at, &f, &m);
    if (rc == 0 && (m.id != n->id || m.content != content.n || m.rcpts != 1 + n->id % 3))
        rc = -EBADMSG;
    if (rc == 0) {
        c = m.large ? content_in_file(&m) : content_in_log(at, &f, &m);
        if (m.large) {
            disk_close(d, h);
            disk_large_name(name, m.large);
            h = disk_open(d, name, 0);
        }
    }
    for (uint64_t i = 0; rc == 0 && i * CONTENT_FRAME < content.n; i++) {
        uint32_t crc;
        size_t k;

        rc = content_frame_read(d, h, &c, i, got, &k, &crc);
        if (rc == 0 && memcmp(got + FRAME_HEADER, content.p + i * CONTENT_FRAME, k) != 0)
            rc = -EBADMSG;
    }
    disk_close(d, h);
    mem_free(want);
    mem_free(got);
    return rc == 0;
}

static bool rcpt_same(const struct spool_rcpt *a, const struct spool_rcpt *b)
{
    return a->state == b->state && a->attempts == b->attempts && a->when == b->when;
}

static void check_id(struct life *l, uint64_t id, const char *why)
{
    struct model *m = l->model;
    struct entry *n = index_find(&l->store.index, id);
    bool there = n, must = m->state[id] == MODEL_ALIVE;
    bool must_not = m->state[id] == MODEL_NEVER || m->state[id] == MODEL_ENDED;

    if ((must && !there) || (must_not && there))
        fail_msg("%s: message %llu, state %d, is %s", why, (unsigned long long)id, m->state[id],
            there ? "there" : "lost");
    if (m->state[id] == MODEL_MAYBE_ENDED && m->bounced_by[id] &&
        there == (bool)index_find(&l->store.index, m->bounced_by[id]))
        fail_msg("%s: message %llu and its DSN are not one commit", why, (unsigned long long)id);
    if (!n)
        return;
    if (!content_whole(l, n))
        fail_msg("%s: message %llu is not what was accepted", why, (unsigned long long)id);
    if (!rcpt_same(entry_rcpts(n), &m->rcpt[id]) && !rcpt_same(entry_rcpts(n), &m->maybe[id]))
        fail_msg("%s: message %llu has outcome %u/%u", why, (unsigned long long)id,
            entry_rcpts(n)->state, entry_rcpts(n)->attempts);
}

void life_check(struct life *l, const char *why)
{
    struct model *m = l->model;

    for (uint64_t id = 1; id < MODEL_IDS; id++)
        check_id(l, id, why);
    if (l->damaged && !l->allow_damage)
        fail_msg("%s: damage reported", why);
    for (uint64_t id = 1; id < MODEL_IDS; id++) {
        struct entry *n = index_find(&l->store.index, id);

        if (n)
            m->rcpt[id] = m->maybe[id] = entry_rcpts(n)[0];
        m->state[id] = n ? MODEL_ALIVE : m->state[id] == MODEL_NEVER ? MODEL_NEVER : MODEL_ENDED;
    }
}
