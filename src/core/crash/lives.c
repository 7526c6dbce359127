#include "core/crash/lives.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    ROOM = 9, /* ids that one operation may take */
    SECTOR = 512,
};

/* What follows a recovery: any of these. Where the image was damaged, nothing reads all of it. */
static const char *const tails[] = {"aodx", "ardo", "bcx", "rpd", "gcp", "lrd"};
static const char damaged_tail[] = "aor";

int work_do(struct life *l, struct known *k, char operation)
{
    int rc;

    if (k->model.next + ROOM >= MODEL_IDS)
        return 0;
    rc = life_do(l, operation);
    if (rc == 0 && operation == 'p')
        rc = life_do(l, 'f'); /* of which nobody was told anything */
    else if (rc == 0)
        known_promised(k, l);
    return rc;
}

static struct life *begin(struct fake_disk *disk, struct known *k, char why[WHY_MAX])
{
    struct life *l = MEM_NEW(struct life);

    CHECK(l);
    l->allow_damage = k->damage;
    if (life_start(l, disk, &k->model) == 0)
        return l;
    (void)snprintf(why, WHY_MAX, "it does not start: %s", l->why.text);
    life_end(l);
    mem_free(l);
    return NULL;
}

static void end(struct life *l)
{
    life_end(l);
    mem_free(l);
}

static bool work(struct life *l, struct known *k, const char *operations, char why[WHY_MAX])
{
    for (const char *p = operations; *p; p++) {
        int rc = work_do(l, k, *p);

        if (rc < 0) {
            (void)snprintf(why, WHY_MAX, "after recovery %c fails: %s", *p, strerror(-rc));
            return false;
        }
    }
    return true;
}

bool lives_run(struct fake_disk *image, struct known *k, uint64_t *recovered, char why[WHY_MAX])
{
    const char *tail = k->damage ? damaged_tail : tails[k->tail % (sizeof tails / sizeof *tails)];
    struct life *l = begin(image, k, why);
    bool good;

    if (!l)
        return false;
    good = known_check(k, l, why);
    *recovered = life_hash(l);
    good = good && work(l, k, tail, why);
    end(l);
    l = good ? begin(image, k, why) : NULL;
    if (!l)
        return false;
    good = known_check(k, l, why);
    end(l);
    return good;
}

/* ---- damage */

/* Half of the time where a frame begins: what a header says is worth most. */
static uint64_t pick_place(const char *p, uint64_t from, uint64_t to, uint64_t seed)
{
    static const char magic[] = {(char)0xe5, (char)0xc2, (char)0xfd, 0x46};
    uint64_t at = from + seed / 64 % (to - from);

    for (uint64_t k = at & ~UINT64_C(7); seed & 1 && k + FRAME_HEADER <= to; k += FRAME_ALIGN)
        if (memcmp(p + k, magic, sizeof magic) == 0)
            return k + seed / 64 % FRAME_HEADER;
    return at;
}

static void damage(char *p, uint64_t *from, uint64_t *to, uint64_t seed)
{
    uint64_t at = *from;

    if (seed / 2 % 4 > 1) { /* one bit */
        *to = at + 1;
        p[at] ^= (char)(1 << seed / 8 % 8);
        return;
    }
    *from = at / SECTOR * SECTOR;
    *to = *from + SECTOR;
    for (uint64_t i = *from; i < *to; i++)
        p[i] = seed / 2 % 4 ? (char)(seed * (i + 7) >> 13) : 0;
}

/* A sector that belongs elsewhere in the segment, whose records end at `end`. */
static void misplace(char *p, uint64_t end, uint64_t *from, uint64_t *to, uint64_t seed)
{
    uint64_t other = SEGMENT_DATA + (seed >> 20) % (end - SEGMENT_DATA);

    *from = *from / SECTOR * SECTOR;
    *to = *from + SECTOR;
    memmove(p + *from, p + other / SECTOR * SECTOR, SECTOR);
}

/* A segment of earlier lives with something alive in it. */
static struct segment *pick_segment(const struct life *l, uint64_t seed)
{
    const struct index *x = &l->store.index;

    for (uint32_t i = 0; i < x->segment_count; i++) {
        struct segment *s = x->segments[(seed + i) % x->segment_count];

        if (s->life == SEGMENT_SEALED && s->live && s->end > SEGMENT_DATA)
            return s;
    }
    return NULL;
}

bool lives_damage(struct fake_disk *image, struct known *k, bool misplaced, uint64_t seed)
{
    char why[WHY_MAX], path[64], name[32], *p;
    struct life *l = begin(image, k, why);
    struct segment *s;
    uint64_t from, to;
    size_t n;
    bool done = false;

    if (l && known_check(k, l, why) && work(l, k, "gar", why)) {
        s = pick_segment(l, seed >> 40);
        if (s) {
            disk_segment_name(name, s->file);
            (void)snprintf(path, sizeof path, "/spool/%s", name);
            p = fake_file(image, path, &n);
            CHECK(p && n >= s->end);
            from = pick_place(p, SEGMENT_DATA, s->end, seed);
            if (misplaced)
                misplace(p, s->end, &from, &to, seed);
            else
                damage(p, &from, &to, seed);
            k->damage = 1;
            k->damaged = known_within(l, s, from, to);
            done = true;
        }
    }
    if (l)
        end(l);
    return done;
}
