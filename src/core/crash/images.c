#include "core/crash/images.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    SECTOR = 512,
    TEAR_STEP = 8,
};

struct each {
    struct image image;
    struct fake_changes changes;
    struct fake_choice choice;
    uint64_t seed;
    image_fn *fn;
    void *arg;
    bool more;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static uint64_t next_random(struct each *e)
{
    e->seed += 0x9e3779b97f4a7c15U;
    return mix(e->seed);
}

static bool has_sector(const struct each *e)
{
    for (uint32_t i = 0; i < e->changes.count; i++)
        if (e->choice.survives[i] && e->changes.v[i].kind == FAKE_SECTOR)
            return true;
    return false;
}

static void give_torn(struct each *e, enum fake_tear tear, uint32_t at)
{
    e->choice.tear = tear;
    e->choice.torn_at = at;
    e->choice.seed = next_random(e);
    e->more = e->more && e->fn(e->arg, &e->image);
}

/* As it is, and torn. */
static void give(struct each *e)
{
    uint64_t how = next_random(e);

    e->choice.tear = FAKE_WHOLE;
    e->more = e->more && e->fn(e->arg, &e->image);
    if (has_sector(e))
        give_torn(
            e, FAKE_GARBAGE + how % 3, (uint32_t)(how / 4 % (SECTOR / TEAR_STEP)) * TEAR_STEP);
}

static void tear_prefixes(struct each *e)
{
    memset(e->choice.survives, 0, e->changes.count);
    for (uint32_t i = 0; i < e->changes.count; i++) {
        e->choice.survives[i] = 1;
        if (e->changes.v[i].kind != FAKE_SECTOR)
            continue;
        for (uint32_t at = TEAR_STEP; e->more && at < SECTOR; at += TEAR_STEP)
            give_torn(e, at / TEAR_STEP % 2 ? FAKE_PART_OLD : FAKE_PART_GARBAGE, at);
    }
}

static void every_subset(struct each *e)
{
    for (uint32_t mask = 0; e->more && mask < 1U << e->changes.count; mask++) {
        for (uint32_t i = 0; i < e->changes.count; i++)
            e->choice.survives[i] = mask >> i & 1;
        give(e);
    }
}

/* The first ones; one alone; all but one. */
static void steps(struct each *e)
{
    uint32_t n = e->changes.count, step = (n + STEPS - 1) / STEPS;

    for (uint32_t i = 0; e->more && i < n; i += 1 + (uint32_t)(next_random(e) % (2 * step - 1))) {
        memset(e->choice.survives, 0, n);
        memset(e->choice.survives, 1, i);
        give(e);
        memset(e->choice.survives, 0, n);
        e->choice.survives[i] = 1;
        give(e);
        memset(e->choice.survives, 1, n);
        e->choice.survives[i] = 0;
        give(e);
    }
    memset(e->choice.survives, 1, n);
    give(e);
}

static void samples(struct each *e, uint32_t count)
{
    for (uint32_t k = 0; e->more && k < count; k++) {
        uint64_t of_four = 1 + k % 3;

        for (uint32_t i = 0; i < e->changes.count; i++)
            e->choice.survives[i] = next_random(e) % 4 < of_four;
        give(e);
    }
}

void images_each(struct fake_disk *moment, uint64_t seed, bool thorough, image_fn *fn, void *arg)
{
    struct each *e = MEM_NEW(struct each);

    CHECK(e);
    e->image = (struct image){moment, &e->changes, &e->choice};
    e->seed = seed;
    e->fn = fn;
    e->arg = arg;
    e->more = true;
    fake_changes(moment, &e->changes);
    CHECK(!e->changes.more);
    if (e->changes.count <= SUBSETS_UP_TO) {
        every_subset(e);
        if (thorough)
            tear_prefixes(e);
    } else {
        steps(e);
        samples(e, thorough ? SAMPLES : FEW_SAMPLES);
    }
    mem_free(e);
}

void image_describe(const struct image *i, char *out, size_t n)
{
    size_t at = 0;
    char name[160];

    at += (size_t)snprintf(out, n, "of %u changes survive:", i->changes->count);
    for (uint32_t k = 0; k < i->changes->count && at + sizeof name + 64 < n; k++) {
        if (!i->choice->survives[k])
            continue;
        fake_change_name(i->moment, &i->changes->v[k], name, sizeof name);
        at += (size_t)snprintf(out + at, n - at, " %s,", name);
    }
    if (i->choice->tear != FAKE_WHOLE)
        (void)snprintf(out + at, n - at, "; the last sector: %u octets new, the rest %s",
            i->choice->tear == FAKE_GARBAGE ? 0 : i->choice->torn_at,
            i->choice->tear == FAKE_PART_OLD ? "old" : "garbage");
}
