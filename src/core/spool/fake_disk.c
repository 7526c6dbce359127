#include "core/spool/fake_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    SECTOR = 512,
    NAMES = 256,
    NAME = 120,
    HANDLES = 64,
};

/* Plain malloc: the tests count the spool's own allocations. */
struct inode {
    char *now, *safe;
    size_t now_n, safe_n;
    unsigned char *pending; /* a sector each */
    size_t pending_n;
    bool dir;
};

struct name {
    char path[NAME];
    struct inode *inode;
};

struct fake_disk {
    struct sys sys;
    pthread_mutex_t lock;
    struct inode *inodes[NAMES * 4];
    unsigned inode_count;
    struct name names[NAMES], safe[NAMES];
    unsigned name_count, safe_count;
    struct inode *handles[HANDLES];
    uint64_t operations, cut_at;
    uint64_t calls[FAKE_CALLS], fail_at[FAKE_CALLS];
    int fail_error[FAKE_CALLS];
    bool fail_lasting[FAKE_CALLS], sync_keeps, short_writes;
    uint64_t space, random;
};

static struct fake_disk *disk_of(const struct sys *s)
{
    struct fake_disk *f = s->ctx;

    pthread_mutex_lock(&f->lock);
    return f;
}

static long done(struct fake_disk *f, long rc)
{
    pthread_mutex_unlock(&f->lock);
    return rc;
}

/* Counts one that changes the disk; true when the power is gone. */
static bool dead(struct fake_disk *f)
{
    f->operations++;
    return f->cut_at && f->operations >= f->cut_at;
}

static int failing(struct fake_disk *f, enum fake_call call)
{
    f->calls[call]++;
    if (!f->fail_at[call] || f->calls[call] < f->fail_at[call])
        return 0;
    return f->calls[call] == f->fail_at[call] || f->fail_lasting[call] ? -f->fail_error[call] : 0;
}

static struct name *find(struct fake_disk *f, const char *path)
{
    for (unsigned i = 0; i < f->name_count; i++)
        if (strcmp(f->names[i].path, path) == 0)
            return &f->names[i];
    return NULL;
}

static void resize(char **p, size_t *n, size_t to)
{
    if (to > *n) {
        *p = realloc(*p, to);
        CHECK(*p);
        memset(*p + *n, 0, to - *n);
    }
    *n = to;
}

static void touch(struct inode *i, size_t from, size_t to)
{
    size_t sectors = (i->now_n + SECTOR - 1) / SECTOR;

    if (sectors > i->pending_n) {
        i->pending = realloc(i->pending, sectors);
        CHECK(i->pending);
        memset(i->pending + i->pending_n, 0, sectors - i->pending_n);
        i->pending_n = sectors;
    }
    for (size_t k = from / SECTOR; k * SECTOR < to; k++)
        i->pending[k] = 1;
}

static struct inode *new_inode(struct fake_disk *f)
{
    struct inode *i = calloc(1, sizeof *i);

    CHECK(i && f->inode_count < NAMES * 4);
    f->inodes[f->inode_count++] = i;
    return i;
}

static struct name *new_name(struct fake_disk *f, const char *path, struct inode *inode)
{
    struct name *n = &f->names[f->name_count++];

    CHECK(f->name_count < NAMES && strlen(path) < NAME);
    strncpy(n->path, path, NAME - 1);
    n->inode = inode;
    return n;
}

static void drop_name(struct fake_disk *f, struct name *n)
{
    *n = f->names[--f->name_count];
}

static int fake_open(const struct sys *s, const char *path, int flags, mode_t mode)
{
    struct fake_disk *f = disk_of(s);
    struct name *n = find(f, path);

    (void)mode;
    if (!n && !(flags & O_CREAT))
        return (int)done(f, -ENOENT);
    if (n && flags & O_CREAT && flags & O_EXCL)
        return (int)done(f, -EEXIST);
    if ((!n || flags & O_TRUNC) && dead(f))
        return (int)done(f, -EIO);
    if (!n)
        n = new_name(f, path, new_inode(f));
    if (flags & O_TRUNC) {
        touch(n->inode, 0, n->inode->now_n);
        n->inode->now_n = 0;
    }
    for (int h = 0; h < HANDLES; h++) {
        if (f->handles[h])
            continue;
        f->handles[h] = n->inode;
        return (int)done(f, h);
    }
    return (int)done(f, -EMFILE);
}

static int fake_close(const struct sys *s, int h)
{
    struct fake_disk *f = disk_of(s);

    CHECK(h >= 0 && h < HANDLES && f->handles[h]);
    f->handles[h] = NULL;
    return (int)done(f, 0);
}

static ssize_t fake_pread(const struct sys *s, int h, void *p, size_t n, uint64_t at)
{
    struct fake_disk *f = disk_of(s);
    struct inode *i = f->handles[h];
    int rc = failing(f, FAKE_READ);

    if (rc < 0)
        return done(f, rc);
    if (at >= i->now_n)
        return done(f, 0);
    if (n > i->now_n - at)
        n = i->now_n - at;
    memcpy(p, i->now + at, n);
    return done(f, (long)n);
}

static uint64_t used(const struct fake_disk *f)
{
    uint64_t n = 0;

    for (unsigned k = 0; k < f->name_count; k++)
        n += f->names[k].inode->now_n;
    return n;
}

static ssize_t fake_pwritev(
    const struct sys *s, int h, const struct iovec *v, int count, uint64_t at)
{
    struct fake_disk *f = disk_of(s);
    struct inode *i = f->handles[h];
    int rc = failing(f, FAKE_WRITE);
    size_t total = 0, put = 0;

    if (dead(f))
        return done(f, -EIO);
    if (rc < 0)
        return done(f, rc);
    for (int k = 0; k < count; k++)
        total += v[k].iov_len;
    if (f->short_writes && total > 1)
        total = (total + 1) / 2;
    if (at + total > i->now_n) {
        if (f->space && used(f) + at + total - i->now_n > f->space)
            return done(f, -ENOSPC);
        resize(&i->now, &i->now_n, at + total);
    }
    for (int k = 0; k < count && put < total; k++) {
        size_t n = v[k].iov_len < total - put ? v[k].iov_len : total - put;

        memcpy(i->now + at + put, v[k].iov_base, n);
        put += n;
    }
    touch(i, at, at + total);
    return done(f, (long)total);
}

static int fake_preallocate(const struct sys *s, int h, uint64_t at, uint64_t n)
{
    struct fake_disk *f = disk_of(s);
    struct inode *i = f->handles[h];

    if (dead(f))
        return (int)done(f, -EIO);
    if (at + n > i->now_n) {
        if (f->space && used(f) + at + n - i->now_n > f->space)
            return (int)done(f, -ENOSPC);
        resize(&i->now, &i->now_n, at + n);
        touch(i, 0, 0);
    }
    return (int)done(f, 0);
}

static int fake_truncate(const struct sys *s, int h, uint64_t size)
{
    struct fake_disk *f = disk_of(s);

    if (dead(f))
        return (int)done(f, -EIO);
    resize(&f->handles[h]->now, &f->handles[h]->now_n, size);
    touch(f->handles[h], 0, 0);
    return (int)done(f, 0);
}

/* Only what is pending: pages that a failed sync has dropped are not written by the next one. */
static void make_safe(struct inode *i)
{
    resize(&i->safe, &i->safe_n, i->now_n);
    for (size_t k = 0; k < i->pending_n && k * SECTOR < i->now_n; k++) {
        size_t at = k * SECTOR, n = i->now_n - at < SECTOR ? i->now_n - at : SECTOR;

        if (i->pending[k])
            memcpy(i->safe + at, i->now + at, n);
        i->pending[k] = 0;
    }
}

static int fake_sync(const struct sys *s, int h)
{
    struct fake_disk *f = disk_of(s);
    struct inode *i = f->handles[h];
    int rc = failing(f, FAKE_SYNC);

    if (dead(f))
        return (int)done(f, -EIO);
    if (rc < 0) {
        /* The pages are marked clean although they never reached the disk: what is read is still
         * the new octets, what is safe the old ones. */
        if (!f->sync_keeps && i->pending)
            memset(i->pending, 0, i->pending_n);
        return (int)done(f, rc);
    }
    make_safe(i);
    return (int)done(f, 0);
}

static int fake_syncfs(const struct sys *s, int h)
{
    return fake_sync(s, h);
}

static bool in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

static int fake_sync_dir(const struct sys *s, const char *path)
{
    struct fake_disk *f = disk_of(s);
    unsigned kept = 0;

    if (dead(f))
        return (int)done(f, -EIO);
    for (unsigned i = 0; i < f->safe_count; i++)
        if (!in_dir(f->safe[i].path, path))
            f->safe[kept++] = f->safe[i];
    for (unsigned i = 0; i < f->name_count; i++)
        if (in_dir(f->names[i].path, path))
            f->safe[kept++] = f->names[i];
    f->safe_count = kept;
    return (int)done(f, 0);
}

static int fill_stat(const struct inode *i, struct sys_stat *st)
{
    *st = (struct sys_stat){.size = i->now_n, .blocks = i->now_n, .mode = 0600, .is_dir = i->dir};
    return 0;
}

static int fake_fstat(const struct sys *s, int h, struct sys_stat *st)
{
    struct fake_disk *f = disk_of(s);

    return (int)done(f, fill_stat(f->handles[h], st));
}

static int fake_stat(const struct sys *s, const char *path, struct sys_stat *st)
{
    struct fake_disk *f = disk_of(s);
    struct name *n = find(f, path);

    return (int)done(f, n ? fill_stat(n->inode, st) : -ENOENT);
}

static int fake_lock(const struct sys *s, int h)
{
    (void)s;
    (void)h;
    return 0;
}

/* Directories are there at once: the spool's are made before anything counts. */
static int fake_mkdir(const struct sys *s, const char *path, mode_t mode)
{
    (void)s;
    (void)path;
    (void)mode;
    return 0;
}

static int fake_rename(const struct sys *s, const char *from, const char *to)
{
    struct fake_disk *f = disk_of(s);
    struct name *n, *old;

    if (dead(f))
        return (int)done(f, -EIO);
    old = find(f, to);
    if (old)
        drop_name(f, old);
    n = find(f, from);
    if (!n)
        return (int)done(f, -ENOENT);
    strncpy(n->path, to, NAME - 1);
    return (int)done(f, 0);
}

static int fake_link(const struct sys *s, const char *from, const char *to)
{
    (void)s;
    (void)from;
    (void)to;
    return -EPERM;
}

static int fake_unlink(const struct sys *s, const char *path)
{
    struct fake_disk *f = disk_of(s);
    struct name *n;

    if (dead(f))
        return (int)done(f, -EIO);
    n = find(f, path);
    if (n)
        drop_name(f, n);
    return (int)done(f, n ? 0 : -ENOENT);
}

static int fake_list(const struct sys *s, const char *path, sys_list_fn *fn, void *arg)
{
    struct fake_disk *f = disk_of(s);
    struct name names[NAMES];
    unsigned count = f->name_count;
    int rc = 0;

    memcpy(names, f->names, sizeof names);
    done(f, 0);
    for (unsigned i = 0; rc >= 0 && i < count; i++)
        if (in_dir(names[i].path, path))
            rc = fn(arg, strrchr(names[i].path, '/') + 1);
    return rc < 0 ? rc : 0;
}

static int fake_space_left(const struct sys *s, const char *path, struct sys_space *space)
{
    struct fake_disk *f = disk_of(s);
    uint64_t n = used(f);

    (void)path;
    space->total = f->space ? f->space : UINT64_C(1) << 40;
    space->free = space->total > n ? space->total - n : 0;
    space->free_inodes = space->total_inodes = 0;
    return (int)done(f, 0);
}

static int64_t fake_clock(const struct sys *s)
{
    (void)s;
    return 0;
}

static void fake_random(const struct sys *s, void *p, size_t n)
{
    struct fake_disk *f = disk_of(s);

    for (size_t i = 0; i < n; i++) {
        f->random = f->random * 6364136223846793005U + 1442695040888963407U;
        ((unsigned char *)p)[i] = (unsigned char)(f->random >> 56);
    }
    done(f, 0);
}

struct fake_disk *fake_new(void)
{
    struct fake_disk *f = calloc(1, sizeof *f);

    CHECK(f);
    pthread_mutex_init(&f->lock, NULL);
    f->sys = (struct sys){
        .ctx = f,
        .open = fake_open,
        .close = fake_close,
        .pread = fake_pread,
        .pwritev = fake_pwritev,
        .preallocate = fake_preallocate,
        .truncate = fake_truncate,
        .fdatasync = fake_sync,
        .fsync = fake_sync,
        .syncfs = fake_syncfs,
        .sync_dir = fake_sync_dir,
        .fstat = fake_fstat,
        .stat = fake_stat,
        .lock = fake_lock,
        .mkdir = fake_mkdir,
        .link = fake_link,
        .rename = fake_rename,
        .unlink = fake_unlink,
        .list = fake_list,
        .space = fake_space_left,
        .wall_ns = fake_clock,
        .mono_ns = fake_clock,
        .random = fake_random,
    };
    return f;
}

void fake_free(struct fake_disk *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->inode_count; i++) {
        free(f->inodes[i]->now);
        free(f->inodes[i]->safe);
        free(f->inodes[i]->pending);
        free(f->inodes[i]);
    }
    pthread_mutex_destroy(&f->lock);
    free(f);
}

const struct sys *fake_sys(struct fake_disk *f)
{
    return &f->sys;
}

/* ---- after the cut */

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
        resize(&to->now, &to->now_n, at + n);
    memcpy(to->now + at, from->now + at, n);
}

static void survive(struct inode *to, const struct inode *from, enum fake_image how, uint64_t *seed)
{
    resize(&to->now, &to->now_n, how == FAKE_ALL ? from->now_n : from->safe_n);
    if (how != FAKE_ALL) {
        if (from->safe_n)
            memcpy(to->now, from->safe, from->safe_n);
    } else if (from->now_n) {
        memcpy(to->now, from->now, from->now_n);
    }
    if (how == FAKE_SOME || how == FAKE_TORN) {
        size_t torn = from->pending_n ? next_random(seed) % from->pending_n : 0;

        if (next_random(seed) % 2)
            resize(&to->now, &to->now_n, from->now_n);
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
    touch(to, 0, to->now_n);
    make_safe(to);
}

struct fake_disk *fake_after_cut(const struct fake_disk *f, enum fake_image how, uint64_t seed)
{
    struct fake_disk *n = fake_new();
    bool names = how == FAKE_ALL;

    seed = seed * 0x9e3779b97f4a7c15U + 1;
    if (how == FAKE_SOME || how == FAKE_TORN)
        names = next_random(&seed) % 2;
    n->random = f->random;
    n->space = f->space;
    for (unsigned i = 0; i < f->inode_count; i++)
        survive(new_inode(n), f->inodes[i], how, &seed);
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
    struct name *name = find(f, path);

    if (!name)
        return NULL;
    *n = name->inode->now_n;
    return name->inode->now;
}

void fake_set_size(struct fake_disk *f, const char *path, size_t n)
{
    struct name *name = find(f, path);

    CHECK(name);
    resize(&name->inode->now, &name->inode->now_n, n);
}

void fake_copy(struct fake_disk *f, const char *from, const char *to)
{
    struct name *source = find(f, from), *target = find(f, to);
    struct inode *i;

    CHECK(source);
    i = target ? target->inode : new_inode(f);
    if (!target)
        new_name(f, to, i);
    resize(&i->now, &i->now_n, source->inode->now_n);
    memcpy(i->now, source->inode->now, i->now_n);
}
