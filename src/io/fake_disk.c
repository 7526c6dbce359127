#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"

#include "io/fake_disk_int.h"

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
    if (f->watch)
        f->watch(f->watch_arg);
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

struct name *fake_find(struct fake_disk *f, const char *path)
{
    for (unsigned i = 0; i < f->name_count; i++)
        if (strcmp(f->names[i].path, path) == 0)
            return &f->names[i];
    return NULL;
}

bool fake_resize(char **p, size_t *n, size_t to)
{
    if (to > *n) {
        char *larger = mem_resize(*p, to);

        if (!larger)
            return false;
        *p = larger;
        memset(*p + *n, 0, to - *n);
    }
    *n = to;
    return true;
}

bool fake_touch(struct inode *i, size_t from, size_t to)
{
    size_t sectors = (i->now_n + SECTOR - 1) / SECTOR;

    if (sectors > i->pending_n) {
        unsigned char *pending = mem_resize(i->pending, sectors);

        if (!pending)
            return false;
        memset(pending + i->pending_n, 0, sectors - i->pending_n);
        i->pending = pending;
        i->pending_n = sectors;
    }
    for (size_t k = from / SECTOR; k * SECTOR < to; k++)
        i->pending[k] = 1;
    return true;
}

struct inode *fake_inode(struct fake_disk *f)
{
    struct inode *i = MEM_NEW(struct inode);

    CHECK(f->inode_count < NAMES * 4);
    if (!i)
        return NULL;
    i->mode = 0600;
    f->inodes[f->inode_count++] = i;
    return i;
}

struct name *fake_name(struct fake_disk *f, const char *path, struct inode *inode)
{
    struct name *n = &f->names[f->name_count++];

    CHECK(f->name_count < NAMES && str_copy_c(n->path, NAME, str_c(path)));
    n->inode = inode;
    return n;
}

static void note_op(struct fake_disk *f, const char *from, const char *path, struct inode *inode)
{
    struct name_op *op;

    if (f->op_count == NAME_OPS)
        memmove(f->ops, f->ops + 1, --f->op_count * sizeof *f->ops);
    op = &f->ops[f->op_count++];
    CHECK(str_copy_c(op->from, NAME, str_c(from)) && str_copy_c(op->path, NAME, str_c(path)));
    op->inode = inode;
}

static void drop_name(struct fake_disk *f, struct name *n)
{
    *n = f->names[--f->name_count];
}

static int fake_open(const struct sys *s, const char *path, int flags, mode_t mode)
{
    struct fake_disk *f = disk_of(s);
    struct name *n = fake_find(f, path);

    (void)mode;
    if (!n && !(flags & O_CREAT))
        return (int)done(f, -ENOENT);
    if (n && flags & O_CREAT && flags & O_EXCL)
        return (int)done(f, -EEXIST);
    if ((!n || flags & O_TRUNC) && dead(f))
        return (int)done(f, -EIO);
    if (!n) {
        struct inode *i = fake_inode(f);

        if (!i)
            return (int)done(f, -ENOMEM);
        n = fake_name(f, path, i);
        note_op(f, "", path, i);
    }
    if (flags & O_TRUNC) {
        fake_touch(n->inode, 0, n->inode->now_n);
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
        if (!fake_resize(&i->now, &i->now_n, at + total))
            return done(f, -ENOMEM);
    }
    if (!fake_touch(i, at, at + total))
        return done(f, -ENOMEM);
    for (int k = 0; k < count && put < total; k++) {
        size_t n = v[k].iov_len < total - put ? v[k].iov_len : total - put;

        memcpy(i->now + at + put, v[k].iov_base, n);
        put += n;
    }
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
        if (!fake_resize(&i->now, &i->now_n, at + n) || !fake_touch(i, 0, 0))
            return (int)done(f, -ENOMEM);
    }
    return (int)done(f, 0);
}

static int fake_truncate(const struct sys *s, int h, uint64_t size)
{
    struct fake_disk *f = disk_of(s);

    if (dead(f))
        return (int)done(f, -EIO);
    if (!fake_resize(&f->handles[h]->now, &f->handles[h]->now_n, size) ||
        !fake_touch(f->handles[h], 0, 0))
        return (int)done(f, -ENOMEM);
    return (int)done(f, 0);
}

/* Only what is pending: pages that a failed sync has dropped are not written by the next one. */
bool fake_make_safe(struct inode *i)
{
    if (!fake_resize(&i->safe, &i->safe_n, i->now_n))
        return false;
    for (size_t k = 0; k < i->pending_n && k * SECTOR < i->now_n; k++) {
        size_t at = k * SECTOR, n = i->now_n - at < SECTOR ? i->now_n - at : SECTOR;

        if (i->pending[k])
            memcpy(i->safe + at, i->now + at, n);
        i->pending[k] = 0;
    }
    return true;
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
    return (int)done(f, fake_make_safe(i) ? 0 : -ENOMEM);
}

static int fake_syncfs(const struct sys *s, int h)
{
    struct fake_disk *f = disk_of(s);
    int rc = failing(f, FAKE_SYNC);

    (void)h;
    if (dead(f))
        return (int)done(f, -EIO);
    for (unsigned k = 0; k < f->inode_count; k++) {
        struct inode *i = f->inodes[k];

        if (rc < 0 && !f->sync_keeps && i->pending)
            memset(i->pending, 0, i->pending_n);
        else if (rc == 0 && !fake_make_safe(i))
            return (int)done(f, -ENOMEM);
    }
    if (rc < 0)
        return (int)done(f, rc);
    memcpy(f->safe, f->names, sizeof f->safe);
    f->safe_count = f->name_count;
    f->op_count = 0;
    return (int)done(f, 0);
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
    kept = 0;
    for (unsigned i = 0; i < f->op_count; i++)
        if (!in_dir(f->ops[i].path, path))
            f->ops[kept++] = f->ops[i];
    f->op_count = kept;
    return (int)done(f, 0);
}

static int fill_stat(const struct inode *i, struct sys_stat *st)
{
    *st =
        (struct sys_stat){.size = i->now_n, .blocks = i->now_n, .mode = i->mode, .is_dir = i->dir};
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
    struct name *n = fake_find(f, path);

    return (int)done(f, n ? fill_stat(n->inode, st) : -ENOENT);
}

static int fake_lock(const struct sys *s, int h)
{
    (void)s;
    (void)h;
    return 0;
}

/* Directories are durable at once: the spool's are made before anything counts. */
static int fake_mkdir(const struct sys *s, const char *path, mode_t mode)
{
    struct fake_disk *f = disk_of(s);
    struct inode *i;

    if (fake_find(f, path))
        return (int)done(f, -EEXIST);
    i = fake_inode(f);
    if (!i)
        return (int)done(f, -ENOMEM);
    i->dir = true;
    i->mode = mode;
    f->safe[f->safe_count++] = *fake_name(f, path, i);
    return (int)done(f, 0);
}

static int fake_rename(const struct sys *s, const char *from, const char *to)
{
    struct fake_disk *f = disk_of(s);
    struct name *n, *old;

    if (dead(f))
        return (int)done(f, -EIO);
    old = fake_find(f, to);
    if (old)
        drop_name(f, old);
    n = fake_find(f, from);
    if (!n)
        return (int)done(f, -ENOENT);
    CHECK(str_copy_c(n->path, NAME, str_c(to)));
    note_op(f, from, to, n->inode);
    return (int)done(f, 0);
}

static int fake_link(const struct sys *s, const char *from, const char *to)
{
    struct fake_disk *f = disk_of(s);
    struct name *n = fake_find(f, from);

    if (dead(f))
        return (int)done(f, -EIO);
    if (!n || fake_find(f, to))
        return (int)done(f, n ? -EEXIST : -ENOENT);
    note_op(f, "", to, n->inode);
    fake_name(f, to, n->inode);
    return (int)done(f, 0);
}

static int fake_unlink(const struct sys *s, const char *path)
{
    struct fake_disk *f = disk_of(s);
    struct name *n;

    if (dead(f))
        return (int)done(f, -EIO);
    n = fake_find(f, path);
    if (n) {
        drop_name(f, n);
        note_op(f, "", path, NULL);
    }
    return (int)done(f, n ? 0 : -ENOENT);
}

/* On the heap: fibers call. */
static int fake_list(const struct sys *s, const char *path, sys_list_fn *fn, void *arg)
{
    struct fake_disk *f = disk_of(s);
    struct name *names = mem_array(NAMES, sizeof *names);
    unsigned count = f->name_count;
    int rc = names ? 0 : -ENOMEM;

    if (names)
        memcpy(names, f->names, sizeof f->names);
    done(f, 0);
    for (unsigned i = 0; rc >= 0 && i < count; i++)
        if (in_dir(names[i].path, path))
            rc = fn(arg, strrchr(names[i].path, '/') + 1);
    mem_free(names);
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

/* A millisecond an operation, so that a machine that lost power goes on later. */
static int64_t fake_mono(const struct sys *s)
{
    struct fake_disk *f = disk_of(s);

    return done(f, (long)((f->before + f->operations) * 1000000));
}

static int64_t fake_wall(const struct sys *s)
{
    return INT64_C(1800000000000000000) + fake_mono(s);
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
    struct fake_disk *f = MEM_NEW(struct fake_disk);
    pthread_mutexattr_t again;

    CHECK(f);
    pthread_mutexattr_init(&again);
    pthread_mutexattr_settype(&again, PTHREAD_MUTEX_RECURSIVE); /* for the watcher */
    pthread_mutex_init(&f->lock, &again);
    pthread_mutexattr_destroy(&again);
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
        .wall_ns = fake_wall,
        .mono_ns = fake_mono,
        .random = fake_random,
    };
    return f;
}

void fake_free(struct fake_disk *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->inode_count; i++) {
        mem_free(f->inodes[i]->now);
        mem_free(f->inodes[i]->safe);
        mem_free(f->inodes[i]->pending);
        mem_free(f->inodes[i]);
    }
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

const struct sys *fake_sys(struct fake_disk *f)
{
    return &f->sys;
}
