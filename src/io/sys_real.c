#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rng.h"

#include "io/sys.h"

/* The value of a system call that is made again while a signal interrupts it. */
#define AGAIN(call)                                                                                \
    ({                                                                                             \
        long again_rc;                                                                             \
        do                                                                                         \
            again_rc = (long)(call);                                                               \
        while (again_rc < 0 && errno == EINTR);                                                    \
        again_rc < 0 ? -(long)errno : again_rc;                                                    \
    })

static int real_open(const struct sys *s, const char *path, int flags, mode_t mode)
{
    (void)s;
    return (int)AGAIN(open(path, flags | O_CLOEXEC, mode));
}

/* Linux has closed the descriptor also when it says EINTR: a second call might hit another's. */
static int real_close(const struct sys *s, int h)
{
    (void)s;
    return close(h) < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t real_pread(const struct sys *s, int h, void *p, size_t n, uint64_t at)
{
    (void)s;
    return AGAIN(pread(h, p, n, (off_t)at));
}

static ssize_t real_pwritev(
    const struct sys *s, int h, const struct iovec *v, int count, uint64_t at)
{
    (void)s;
    return AGAIN(pwritev(h, v, count, (off_t)at));
}

static int real_preallocate(const struct sys *s, int h, uint64_t at, uint64_t n)
{
    (void)s;
    return (int)AGAIN(fallocate(h, 0, (off_t)at, (off_t)n));
}

static int real_truncate(const struct sys *s, int h, uint64_t size)
{
    (void)s;
    return (int)AGAIN(ftruncate(h, (off_t)size));
}

static int real_fdatasync(const struct sys *s, int h)
{
    (void)s;
    return (int)AGAIN(fdatasync(h));
}

static int real_fsync(const struct sys *s, int h)
{
    (void)s;
    return (int)AGAIN(fsync(h));
}

static int real_syncfs(const struct sys *s, int h)
{
    (void)s;
    return (int)AGAIN(syncfs(h));
}

static int real_sync_dir(const struct sys *s, const char *path)
{
    int h = real_open(s, path, O_RDONLY | O_DIRECTORY, 0), rc;

    if (h < 0)
        return h;
    rc = real_fsync(s, h);
    real_close(s, h);
    return rc;
}

static int put_stat(int rc, const struct stat *from, struct sys_stat *st)
{
    if (rc < 0)
        return -errno;
    *st = (struct sys_stat){
        .size = (uint64_t)from->st_size,
        .blocks = (uint64_t)from->st_blocks * 512,
        .device = from->st_dev,
        .inode = from->st_ino,
        .mode = from->st_mode & 07777,
        .uid = from->st_uid,
        .mtime_ns = (int64_t)from->st_mtim.tv_sec * 1000000000 + from->st_mtim.tv_nsec,
        .is_dir = S_ISDIR(from->st_mode),
    };
    return 0;
}

static int real_fstat(const struct sys *s, int h, struct sys_stat *st)
{
    struct stat from;

    (void)s;
    return put_stat(fstat(h, &from), &from, st);
}

static int real_stat(const struct sys *s, const char *path, struct sys_stat *st)
{
    struct stat from;

    (void)s;
    return put_stat(stat(path, &from), &from, st);
}

/* A record lock that belongs to the open file: flock() would not be seen by the sqlite3 program. */
static int real_lock(const struct sys *s, int h)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int rc = (int)AGAIN(fcntl(h, F_OFD_SETLK, &all));

    (void)s;
    return rc == -EACCES ? -EAGAIN : rc;
}

static int real_mkdir(const struct sys *s, const char *path, mode_t mode)
{
    (void)s;
    return mkdir(path, mode) < 0 ? -errno : 0;
}

static int real_link(const struct sys *s, const char *from, const char *to)
{
    (void)s;
    return link(from, to) < 0 ? -errno : 0;
}

static int real_rename(const struct sys *s, const char *from, const char *to)
{
    (void)s;
    return rename(from, to) < 0 ? -errno : 0;
}

static int real_unlink(const struct sys *s, const char *path)
{
    (void)s;
    return unlink(path) < 0 ? -errno : 0;
}

static int real_list(const struct sys *s, const char *path, sys_list_fn *fn, void *arg)
{
    DIR *dir = opendir(path);
    int rc = 0;

    (void)s;
    if (!dir)
        return -errno;
    while (rc >= 0) {
        struct dirent *entry;
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            rc = -errno;
            break;
        }
        if (entry->d_name[0] == '.' &&
            (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2])))
            continue;
        rc = fn(arg, entry->d_name);
    }
    closedir(dir);
    return rc < 0 ? rc : 0;
}

static int real_space(const struct sys *s, const char *path, struct sys_space *space)
{
    struct statvfs v;
    int rc = (int)AGAIN(statvfs(path, &v));

    (void)s;
    if (rc < 0)
        return rc;
    *space = (struct sys_space){
        .free = (uint64_t)v.f_bavail * v.f_frsize,
        .total = (uint64_t)v.f_blocks * v.f_frsize,
        .free_inodes = v.f_favail,
        .total_inodes = v.f_files,
    };
    return 0;
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;

    CHECK(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t real_wall_ns(const struct sys *s)
{
    (void)s;
    return clock_ns(CLOCK_REALTIME);
}

static int64_t real_mono_ns(const struct sys *s)
{
    (void)s;
    return clock_ns(CLOCK_MONOTONIC);
}

static void real_random(const struct sys *s, void *p, size_t n)
{
    (void)s;
    rng_bytes(p, n);
}

const struct sys sys_real = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .preallocate = real_preallocate,
    .truncate = real_truncate,
    .fdatasync = real_fdatasync,
    .fsync = real_fsync,
    .syncfs = real_syncfs,
    .sync_dir = real_sync_dir,
    .fstat = real_fstat,
    .stat = real_stat,
    .lock = real_lock,
    .mkdir = real_mkdir,
    .link = real_link,
    .rename = real_rename,
    .unlink = real_unlink,
    .list = real_list,
    .space = real_space,
    .wall_ns = real_wall_ns,
    .mono_ns = real_mono_ns,
    .random = real_random,
};
