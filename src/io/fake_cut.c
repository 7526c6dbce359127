#include <string.h>

#include "base/check.h"

#include "io/fake_disk_int.h"

/* ---- after the cut */

static void must(bool done)
{
    CHECK(done); /* tests let the spool's own allocations fail, not these */
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void put_sector(struct inode *to, const struct inode *from, size_t at)
{
    size_t n = from->now_n - at < SECTOR ? from->now_n - at : SECTOR;

    if (at + n > to->now_n)
        must(fake_resize(&to->now, &to->now_n, at + n));
    memcpy(to->now + at, from->now + at, n);
}

/* One of the sectors that were being written. */
static size_t pick_pending(const struct inode *i, uint64_t *seed)
{
    size_t count = 0, k = 0;

    for (; k < i->pending_n; k++)
        count += i->pending[k];
    if (!count)
        return 0;
    count = next_random(seed) % count;
    for (k = 0; !i->pending[k] || count--; k++)
        ;
    return k;
}

static void survive_prefix(struct inode *to, const struct inode *from, uint64_t count)
{
    for (size_t k = 0; count && k < from->pending_n && k * SECTOR < from->now_n; k++) {
        if (!from->pending[k])
            continue;
        put_sector(to, from, k * SECTOR);
        count--;
    }
}

static void survive(struct inode *to, const struct inode *from, enum fake_image how, uint64_t *seed)
{
    must(fake_resize(&to->now, &to->now_n, how == FAKE_ALL ? from->now_n : from->safe_n));
    if (how != FAKE_ALL) {
        if (from->safe_n)
            memcpy(to->now, from->safe, from->safe_n);
    } else if (from->now_n) {
        memcpy(to->now, from->now, from->now_n);
    }
    if (how == FAKE_PREFIX)
        survive_prefix(to, from, *seed);
    if (how == FAKE_SOME || how == FAKE_TORN) {
        size_t torn = pick_pending(from, seed);

        if (next_random(seed) % 2)
            must(fake_resize(&to->now, &to->now_n, from->now_n));
        for (size_t k = 0; k < from->pending_n && k * SECTOR < from->now_n; k++) {
            if (!from->pending[k])
                continue;
            if (next_random(seed) % 4 < 3)
                put_sector(to, from, k * SECTOR);
            if (how == FAKE_TORN && k == torn && (k + 1) * SECTOR <= to->now_n)
                for (size_t o = 0; o < SECTOR; o++)
                    to->now[k * SECTOR + o] = (char)next_random(seed);
        }
    }
    must(fake_touch(to, 0, to->now_n) && fake_make_safe(to));
}

struct fake_disk *fake_after_cut(struct fake_disk *f, enum fake_image how, uint64_t seed)
{
    struct fake_disk *n = fake_new();
    bool names = how == FAKE_ALL || how == FAKE_PREFIX;

    pthread_mutex_lock(&f->lock);
    if (how != FAKE_PREFIX)
        seed = seed * 0x9e3779b97f4a7c15U + 1;
    if (how == FAKE_SOME || how == FAKE_TORN)
        names = next_random(&seed) % 2;
    n->random = f->random;
    n->space = f->space;
    for (unsigned i = 0; i < f->inode_count; i++) {
        struct inode *to = fake_inode(n);

        must(to);
        to->dir = f->inodes[i]->dir;
        to->mode = f->inodes[i]->mode;
        survive(to, f->inodes[i], how, &seed);
    }
    n->name_count = names ? f->name_count : f->safe_count;
    memcpy(n->names, names ? f->names : f->safe, sizeof n->names);
    for (unsigned i = 0; i < n->name_count; i++)
        for (unsigned k = 0; k < f->inode_count; k++)
            if (n->names[i].inode == f->inodes[k]) {
                n->names[i].inode = n->inodes[k];
                break;
            }
    memcpy(n->safe, n->names, sizeof n->safe);
    n->safe_count = n->name_count;
    pthread_mutex_unlock(&f->lock);
    return n;
}

/* ---- knobs */

uint64_t fake_operations(const struct fake_disk *f)
{
    return f->operations;
}

void fake_cut_at(struct fake_disk *f, uint64_t n)
{
    f->cut_at = n;
}

void fake_fail(struct fake_disk *f, enum fake_call call, uint64_t n, int error, bool lasting)
{
    f->fail_at[call] = n ? f->calls[call] + n : 0;
    f->fail_error[call] = error;
    f->fail_lasting[call] = lasting;
}

void fake_sync_keeps(struct fake_disk *f, bool keep)
{
    f->sync_keeps = keep;
}

uint64_t fake_calls(const struct fake_disk *f, enum fake_call call)
{
    return f->calls[call];
}

void fake_short_writes(struct fake_disk *f, bool on)
{
    f->short_writes = on;
}

void fake_space(struct fake_disk *f, uint64_t octets)
{
    f->space = octets;
}

char *fake_file(struct fake_disk *f, const char *path, size_t *n)
{
    struct name *name = fake_find(f, path);

    if (!name)
        return NULL;
    *n = name->inode->now_n;
    return name->inode->now;
}

void fake_set_size(struct fake_disk *f, const char *path, size_t n)
{
    struct name *name = fake_find(f, path);

    CHECK(name);
    must(fake_resize(&name->inode->now, &name->inode->now_n, n));
}

void fake_set_mode(struct fake_disk *f, const char *path, mode_t mode)
{
    CHECK(fake_find(f, path));
    fake_find(f, path)->inode->mode = mode;
}

void fake_copy(struct fake_disk *f, const char *from, const char *to)
{
    struct name *source = fake_find(f, from), *target = fake_find(f, to);
    struct inode *i;

    CHECK(source);
    i = target ? target->inode : fake_inode(f);
    if (!target)
        fake_name(f, to, i);
    must(fake_resize(&i->now, &i->now_n, source->inode->now_n));
    memcpy(i->now, source->inode->now, i->now_n);
}
