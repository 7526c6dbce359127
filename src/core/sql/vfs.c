#include "core/sql/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"

enum {
    TABLES = 8,
    PATH_SIZE = 1024, /* of a file */
    SECTOR = 4096,
};

struct way {
    sqlite3_vfs vfs;
    const struct sys *sys;
    bool grouped;
    char name[24];
};

struct file {
    sqlite3_file base;
    const struct way *way;
    const char *path; /* SQLite keeps it while the file is open */
    int h;
    bool log;       /* a write-ahead log */
    bool sync_name; /* with the first sync: the name may be new */
};

static pthread_mutex_t ways_lock = PTHREAD_MUTEX_INITIALIZER;
static struct way ways[TABLES];
static unsigned way_count;
static _Thread_local int last_error; /* errno, for sqlite3_system_errno() */

static const struct way *way_of(const sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static struct file *file_of(sqlite3_file *base)
{
    return (struct file *)(void *)base;
}

/* rc is 0 or more, or -errno. */
static int result(int64_t rc, int code)
{
    if (rc >= 0)
        return SQLITE_OK;
    last_error = (int)-rc;
    return rc == -ENOSPC || rc == -EDQUOT ? SQLITE_FULL : rc == -ENOMEM ? SQLITE_IOERR_NOMEM : code;
}

/* The directory of a name has it, or has it no more, durably. */
static int sync_name(const struct sys *sys, const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_SIZE];

    if (!slash)
        return sys->sync_dir(sys, ".");
    if (!str_copy_c(dir, sizeof dir, str_of(path, slash == path ? 1 : (size_t)(slash - path))))
        return -ENAMETOOLONG;
    return sys->sync_dir(sys, dir);
}

/* ---- files */

static int file_close(sqlite3_file *base)
{
    struct file *f = file_of(base);
    const struct sys *sys = f->way->sys;

    return result(sys->close(sys, f->h), SQLITE_IOERR_CLOSE);
}

static int file_read(sqlite3_file *base, void *p, int n, sqlite3_int64 at)
{
    struct file *f = file_of(base);
    const struct sys *sys = f->way->sys;
    int got = 0;

    while (got < n) {
        ssize_t k =
            sys->pread(sys, f->h, (char *)p + got, (size_t)(n - got), (uint64_t)at + (uint64_t)got);
        if (k < 0)
            return result(k, SQLITE_IOERR_READ);
        if (k == 0) {
            memset((char *)p + got, 0, (size_t)(n - got));
            return SQLITE_IOERR_SHORT_READ;
        }
        got += (int)k;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *base, const void *p, int n, sqlite3_int64 at)
{
    struct file *f = file_of(base);
    const struct sys *sys = f->way->sys;
    union {
        const void *c;
        char *p;
    } octets = {.c = p}; /* an iovec for writing is one for reading, too */

    for (int put = 0; put < n;) {
        struct iovec v = {octets.p + put, (size_t)(n - put)};
        ssize_t k = sys->pwritev(sys, f->h, &v, 1, (uint64_t)at + (uint64_t)put);
        if (k <= 0)
            return result(k < 0 ? k : -EIO, SQLITE_IOERR_WRITE);
        put += (int)k;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *f = file_of(base);
    const struct sys *sys = f->way->sys;

    return result(sys->truncate(sys, f->h, (uint64_t)size), SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct file *f = file_of(base);
    const struct sys *sys = f->way->sys;
    int rc;

    if (f->log && f->way->grouped && (flags & 0x0f) == SQLITE_SYNC_NORMAL)
        return SQLITE_OK;
    rc = sys->fdatasync(sys, f->h);
    if (rc < 0 || !f->sync_name)
        return result(rc, SQLITE_IOERR_FSYNC);
    rc = sync_name(sys, f->path);
    f->sync_name = rc < 0;
    return result(rc, SQLITE_IOERR_DIR_FSYNC);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct file *f = file_of(base);
    const struct sys *sys = f->way->sys;
    struct sys_stat st;
    int rc = sys->fstat(sys, f->h, &st);

    if (rc == 0)
        *size = (sqlite3_int64)st.size;
    return result(rc, SQLITE_IOERR_FSTAT);
}

/* It is ours alone since it was opened. */
static int file_lock(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *reserved)
{
    (void)base;
    *reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
    (void)base;
    return SECTOR;
}

static int file_traits(sqlite3_file *base)
{
    (void)base;
    return 0;
}

/* Version 1: no shared memory, no maps. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

/* ---- names */

/* Temporary files have no name: they are kept in memory (temp_store), so nobody asks. */
static int way_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out)
{
    const struct way *way = way_of(vfs);
    const struct sys *sys = way->sys;
    struct file *f = file_of(base);
    int how = O_CLOEXEC, rc;

    f->base.pMethods = NULL;
    if (!path || flags & SQLITE_OPEN_DELETEONCLOSE)
        return result(-EINVAL, SQLITE_CANTOPEN);
    how |= flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
    how |= flags & SQLITE_OPEN_CREATE ? O_CREAT : 0;
    how |= flags & SQLITE_OPEN_EXCLUSIVE ? O_EXCL : 0;
    *f = (struct file){.way = way,
        .path = path,
        .log = flags & SQLITE_OPEN_WAL,
        .sync_name = flags & SQLITE_OPEN_CREATE && !(flags & SQLITE_OPEN_MAIN_DB)};
    f->h = sys->open(sys, path, how, 0600);
    if (f->h < 0)
        return result(f->h, SQLITE_CANTOPEN);
    if (flags & SQLITE_OPEN_MAIN_DB && flags & SQLITE_OPEN_READWRITE) {
        rc = sys->lock(sys, f->h);
        if (rc < 0) {
            sys->close(sys, f->h);
            return rc == -EAGAIN ? SQLITE_BUSY : result(rc, SQLITE_CANTOPEN);
        }
    }
    if (out)
        *out = flags;
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int way_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    const struct sys *sys = way_of(vfs)->sys;
    int rc = sys->unlink(sys, path);

    if (rc == -ENOENT)
        return result(rc, SQLITE_IOERR_DELETE_NOENT);
    if (rc < 0 || !sync)
        return result(rc, SQLITE_IOERR_DELETE);
    return result(sync_name(sys, path), SQLITE_IOERR_DIR_FSYNC);
}

/* An empty journal or log is none. */
static int way_access(sqlite3_vfs *vfs, const char *path, int flags, int *there)
{
    const struct sys *sys = way_of(vfs)->sys;
    struct sys_stat st;

    (void)flags;
    *there = sys->stat(sys, path, &st) == 0 && (st.is_dir || st.size > 0);
    return SQLITE_OK;
}

static int way_path(sqlite3_vfs *vfs, const char *path, int n, char *out)
{
    (void)vfs;
    return str_copy_c(out, (size_t)n, str_c(path)) ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int way_random(sqlite3_vfs *vfs, int n, char *out)
{
    const struct sys *sys = way_of(vfs)->sys;

    sys->random(sys, out, (size_t)n);
    return n;
}

/* Nobody waits for a lock. */
static int way_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    (void)microseconds;
    return 0;
}

/* Milliseconds since noon of 24 November 4714 BC. */
static int way_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ms)
{
    const struct sys *sys = way_of(vfs)->sys;

    *ms = 210866760000000LL + sys->wall_ns(sys) / 1000000;
    return SQLITE_OK;
}

static int way_time(sqlite3_vfs *vfs, double *days)
{
    sqlite3_int64 ms = 0;

    (void)way_time_ms(vfs, &ms);
    *days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int way_error(sqlite3_vfs *vfs, int n, char *text)
{
    (void)vfs;
    (void)n;
    (void)text;
    return last_error;
}

/* ---- registration */

/* Extensions are never loaded: xDl* stay NULL. */
static bool way_add(struct way *w, const struct sys *s, bool grouped)
{
    w->sys = s;
    w->grouped = grouped;
    (void)snprintf(w->name, sizeof w->name, "veredus-%u", way_count);
    w->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct file),
        .mxPathname = PATH_SIZE - 1,
        .zName = w->name,
        .pAppData = w,
        .xOpen = way_open,
        .xDelete = way_delete,
        .xAccess = way_access,
        .xFullPathname = way_path,
        .xRandomness = way_random,
        .xSleep = way_sleep,
        .xCurrentTime = way_time,
        .xGetLastError = way_error,
        .xCurrentTimeInt64 = way_time_ms,
    };
    return sqlite3_vfs_register(&w->vfs, 0) == SQLITE_OK;
}

void vfs_take_over(void)
{
    sqlite3_vfs *vfs;

    while ((vfs = sqlite3_vfs_find(NULL)))
        CHECK(sqlite3_vfs_unregister(vfs) == SQLITE_OK);
}

const char *vfs_name(const struct sys *s, bool grouped)
{
    const char *name = NULL;

    pthread_mutex_lock(&ways_lock);
    for (unsigned i = 0; i < way_count && !name; i++)
        if (ways[i].sys == s && ways[i].grouped == grouped)
            name = ways[i].name;
    if (!name && way_count < TABLES && way_add(&ways[way_count], s, grouped))
        name = ways[way_count++].name;
    pthread_mutex_unlock(&ways_lock);
    return name;
}
