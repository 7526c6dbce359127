/* io/sys.h: the one table of file and clock calls that spool, queue, directory and mailboxes use.
 *
 * sys_real calls the system. A simulator fills the same table with a disk that loses power at every
 * write (DURABILITY.md section 3), so nothing above may call the system by itself; a link-time
 * check shows that the spool imports no system I/O of its own. Calls are made from any thread and
 * block.
 *
 * Every call returns 0 or more, or -errno. EINTR is handled inside sys_real; short reads and writes
 * are returned as they are. Paths are terminated strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct sys;

struct sys_space {
    uint64_t free, total;               /* octets a non-root user may use, and in all */
    uint64_t free_inodes, total_inodes; /* 0 of 0 where the file system has no such limit */
};

struct sys_stat {
    uint64_t size, blocks; /* octets; octets really allocated */
    uint64_t device, inode;
    uint32_t mode, uid;
    int64_t mtime_ns;
    bool is_dir;
};

/* Called for each name (without . and ..); a negative result ends the listing and is returned. */
typedef int sys_list_fn(void *arg, const char *name);

struct sys {
    void *ctx; /* of the implementation */

    int (*open)(const struct sys *s, const char *path, int flags, mode_t mode); /* a handle */
    int (*close)(const struct sys *s, int h);
    ssize_t (*pread)(const struct sys *s, int h, void *p, size_t n, uint64_t at);
    ssize_t (*pwritev)(const struct sys *s, int h, const struct iovec *v, int count, uint64_t at);
    /* Zeros behind the end, size grows; -EOPNOTSUPP where the file system cannot. */
    int (*preallocate)(const struct sys *s, int h, uint64_t at, uint64_t n);
    int (*truncate)(const struct sys *s, int h, uint64_t size);
    int (*fdatasync)(const struct sys *s, int h);
    int (*fsync)(const struct sys *s, int h);
    int (*syncfs)(const struct sys *s, int h);
    int (*sync_dir)(const struct sys *s, const char *path);
    int (*fstat)(const struct sys *s, int h, struct sys_stat *st);
    int (*stat)(const struct sys *s, const char *path, struct sys_stat *st);
    int (*lock)(const struct sys *s, int h); /* exclusive, whole file that h may write, at once or
                                              * -EAGAIN; ends when h is closed */
    int (*mkdir)(const struct sys *s, const char *path, mode_t mode);
    int (*link)(const struct sys *s, const char *from, const char *to);
    int (*rename)(const struct sys *s, const char *from, const char *to);
    int (*unlink)(const struct sys *s, const char *path);
    int (*list)(const struct sys *s, const char *path, sys_list_fn *fn, void *arg);
    int (*space)(const struct sys *s, const char *path, struct sys_space *space);

    int64_t (*wall_ns)(const struct sys *s); /* since 1970, UTC */
    int64_t (*mono_ns)(const struct sys *s);
    void (*random)(const struct sys *s, void *p, size_t n); /* never fails */
};

extern const struct sys sys_real;
