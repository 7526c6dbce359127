#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/str.h"

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

/* Any of the pending sectors, one of them torn where asked for. */
static void survive_some(struct inode *to, const struct inode *from, bool tear, uint64_t *seed)
{
    size_t torn = pick_pending(from, seed);

    if (next_random(seed) % 2)
        must(fake_resize(&to->now, &to->now_n, from->now_n));
    for (size_t k = 0; k < from->pending_n && k * SECTOR < from->now_n; k++) {
        if (!from->pending[k])
            continue;
        if (next_random(seed) % 4 < 3)
            put_sector(to, from, k * SECTOR);
        if (tear && k == torn && (k + 1) * SECTOR <= to->now_n)
            for (size_t o = 0; o < SECTOR; o++)
                to->now[k * SECTOR + o] = (char)next_random(seed);
    }
}

/* The n-th pending sector alone, or all others. *n counts down over the files of the disk. */
static void survive_one(struct inode *to, const struct inode *from, bool others, uint64_t *n)
{
    for (size_t k = 0; k < from->pending_n && k * SECTOR < from->now_n; k++) {
        bool is_it = from->pending[k] && (*n)-- == 0;

        if (from->pending[k] && is_it != others)
            put_sector(to, from, k * SECTOR);
    }
}

static void survive(struct inode *to, const struct inode *from, enum fake_image how, uint64_t *seed)
{
    bool grown = how == FAKE_ALL || how == FAKE_BUT_ONE;

    must(fake_resize(&to->now, &to->now_n, from->safe_n));
    if (how == FAKE_ALL)
        must(fake_resize(&to->now, &to->now_n, from->now_n));
    if (how == FAKE_ALL && from->now_n)
        memcpy(to->now, from->now, from->now_n);
    else if (how != FAKE_ALL && from->safe_n)
        memcpy(to->now, from->safe, from->safe_n);
    if (grown)
        must(fake_resize(&to->now, &to->now_n, from->now_n));
    if (how == FAKE_PREFIX)
        survive_prefix(to, from, *seed);
    if (how == FAKE_SOME || how == FAKE_TORN)
        survive_some(to, from, how == FAKE_TORN, seed);
    if (how == FAKE_ONE || how == FAKE_BUT_ONE)
        survive_one(to, from, how == FAKE_BUT_ONE, seed);
    must(fake_touch(to, 0, to->now_n) && fake_make_safe(to));
}

/* ---- names after the cut */

static void drop_path(struct fake_disk *n, const char *path)
{
    struct name *gone = fake_find(n, path);

    if (gone)
        *gone = n->names[--n->name_count];
}

static void do_op(struct fake_disk *n, const struct name_op *op)
{
    drop_path(n, op->path);
    if (*op->from)
        drop_path(n, op->from);
    if (op->inode)
        fake_name(n, op->path, op->inode);
}

static void copy_names(struct fake_disk *n, const struct name *names, unsigned count)
{
    memcpy(n->names, names, count * sizeof *names);
    n->name_count = count;
}

static void survive_names(
    struct fake_disk *n, const struct fake_disk *f, enum fake_image how, uint64_t *seed)
{
    enum {
        ALL,
        NONE,
        FIRST,
        ANY
    } which = NONE;
    uint64_t count;

    if (how == FAKE_ALL || how == FAKE_PREFIX || how == FAKE_BUT_ONE)
        which = ALL;
    else if (how != FAKE_NONE)
        which = next_random(seed) % 4;
    if (which == ALL)
        copy_names(n, f->names, f->name_count);
    else
        copy_names(n, f->safe, f->safe_count);
    count = which == FIRST ? next_random(seed) % (f->op_count + 1) : f->op_count;
    for (unsigned i = 0; (which == FIRST || which == ANY) && i < count; i++)
        if (which == FIRST || next_random(seed) % 2)
            do_op(n, &f->ops[i]);
}

/* The inodes that names speak of are f's: now they are n's. */
static void move_names(
    struct fake_disk *n, const struct fake_disk *f, struct name *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < f->inode_count; k++)
            if (names[i].inode == f->inodes[k]) {
                names[i].inode = n->inodes[k];
                break;
            }
}

/* An empty disk with as many inodes. */
static struct fake_disk *twin(const struct fake_disk *f)
{
    struct fake_disk *n = fake_new();

    n->random = f->random;
    n->space = f->space;
    n->before = f->before + f->operations;
    for (unsigned i = 0; i < f->inode_count; i++) {
        struct inode *to = fake_inode(n);

        must(to);
        to->dir = f->inodes[i]->dir;
        to->mode = f->inodes[i]->mode;
    }
    return n;
}

struct fake_disk *fake_after_cut(struct fake_disk *f, enum fake_image how, uint64_t seed)
{
    struct fake_disk *n;
    uint64_t names = seed * 0x9e3779b97f4a7c15U + 1, count;

    pthread_mutex_lock(&f->lock);
    n = twin(f);
    count = fake_pending(f);
    if (how == FAKE_ONE || how == FAKE_BUT_ONE)
        seed = count ? seed % count : 0;
    else if (how != FAKE_PREFIX)
        seed = names;
    survive_names(n, f, how, &names);
    for (unsigned i = 0; i < f->inode_count; i++)
        survive(n->inodes[i], f->inodes[i], how, &seed);
    move_names(n, f, n->names, n->name_count);
    memcpy(n->safe, n->names, sizeof n->safe);
    n->safe_count = n->name_count;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static void copy_octets(char **to, size_t *to_n, const char *from, size_t n)
{
    must(fake_resize(to, to_n, n));
    if (n)
        memcpy(*to, from, n);
}

struct fake_disk *fake_snapshot(struct fake_disk *f)
{
    struct fake_disk *n;

    pthread_mutex_lock(&f->lock);
    n = twin(f);
    for (unsigned i = 0; i < f->inode_count; i++) {
        struct inode *from = f->inodes[i], *to = n->inodes[i];

        copy_octets(&to->now, &to->now_n, from->now, from->now_n);
        copy_octets(&to->safe, &to->safe_n, from->safe, from->safe_n);
        must(fake_touch(to, 0, 0));
        if (from->pending_n > to->pending_n)
            must((to->pending = mem_resize(to->pending, from->pending_n)));
        if (from->pending_n)
            memcpy(to->pending, from->pending, from->pending_n);
        to->pending_n = from->pending_n;
    }
    copy_names(n, f->names, f->name_count);
    memcpy(n->safe, f->safe, sizeof n->safe);
    n->safe_count = f->safe_count;
    memcpy(n->ops, f->ops, sizeof n->ops);
    n->op_count = f->op_count;
    move_names(n, f, n->names, n->name_count);
    move_names(n, f, n->safe, n->safe_count);
    for (unsigned i = 0; i < n->op_count; i++)
        for (unsigned k = 0; k < f->inode_count; k++)
            if (n->ops[i].inode == f->inodes[k]) {
                n->ops[i].inode = n->inodes[k];
                break;
            }
    pthread_mutex_unlock(&f->lock);
    return n;
}

uint64_t fake_pending(struct fake_disk *f)
{
    uint64_t count = 0;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->inode_count; i++)
        for (size_t k = 0; k < f->inodes[i]->pending_n && k * SECTOR < f->inodes[i]->now_n; k++)
            count += f->inodes[i]->pending[k];
    pthread_mutex_unlock(&f->lock);
    return count;
}

/* Sums over names, whose order says nothing. */
uint64_t fake_hash(struct fake_disk *f)
{
    uint64_t sum = 0;

    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < f->name_count; i++) {
        const struct name *n = &f->names[i];
        uint64_t crc = crc32c(str_of(n->inode->now, n->inode->now_n)), one;

        one = (crc << 32 | crc32c(str_c(n->path))) ^ n->inode->now_n * 0x9e3779b97f4a7c15U;
        one ^= one >> 29;
        one *= 0xbf58476d1ce4e5b9U;
        sum += one ^ one >> 32;
    }
    pthread_mutex_unlock(&f->lock);
    return sum;
}

/* ---- knobs */

uint64_t fake_operations(const struct fake_disk *f)
{
    return f->operations;
}

void fake_watch(struct fake_disk *f, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&f->lock);
    f->watch = fn;
    f->watch_arg = arg;
    pthread_mutex_unlock(&f->lock);
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
