/* tests/faults/faultshim.c: LD_PRELOAD library that makes calls fail on demand (faults.md M2, M14).
 *
 * The rule is a small file shared with the test (FAULT_RULE names it), mapped before any wall goes
 * up: the test changes it while the server runs. File calls are touched only on descriptors opened
 * below a path that contains FAULT_PATH ("/spool/" by default). A call that fails has no effect,
 * except that a failed sync may claim success afterwards, as Linux does. Syncs may be slow, clocks
 * may show another time, and, where it was compiled with FAULT_ALLOC, allocations may fail: a
 * sanitizer wants to be alone with those. A rule may name the one role that it is for.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind {
    SYNC = 1,
    WRITE = 2,
    READ = 4,
    SHORT = 8,   /* writes and reads move one octet less than asked, at least one */
    EINTR_ = 16, /* every other call is interrupted */
    ALLOCATE = 32,
    MEMORY = 64,
};

enum {
    DESCRIPTORS = 65536
};

struct rule {
    _Atomic uint32_t kinds; /* set of enum kind that fail */
    _Atomic int32_t skip;   /* calls of these kinds that still work */
    _Atomic int32_t times;  /* then so many fail; -1: all */
    _Atomic int32_t error;
    _Atomic uint32_t calls; /* of these kinds, seen */
    _Atomic uint32_t failed;
    _Atomic uint32_t delay_ms; /* that each sync takes longer */
    uint32_t unused;
    _Atomic int64_t wall_s, mono_s; /* what clocks are ahead */
    char role[32];                  /* as a process's title begins; empty: all */
};

static struct rule *rule;
static const char *wanted_path = "/spool/";
static atomic_uchar touched[DESCRIPTORS];
static _Thread_local bool interrupted;
static char title[64];

/* glibc gives a constructor what main() gets; a role's process is started with its title. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *file = getenv("FAULT_RULE"), *path = getenv("FAULT_PATH");
    void *p;
    int fd;

    if (argc > 0)
        strncpy(title, argv[0], sizeof title - 1);
    if (path)
        wanted_path = path;
    if (!file || (fd = open(file, O_RDWR | O_CLOEXEC)) < 0)
        return;
    p = mmap(NULL, sizeof *rule, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED)
        rule = p;
}

static bool is_meant(void)
{
    return rule && (!rule->role[0] || strncmp(title, rule->role, strlen(rule->role)) == 0);
}

static bool is_touched(int fd)
{
    return is_meant() && fd >= 0 && fd < DESCRIPTORS && touched[fd];
}

/* True if this call, which is of the kind, is the one that fails; errno is set. */
static bool is_its_turn(enum kind kind)
{
    if (!(rule->kinds & kind))
        return false;
    atomic_fetch_add(&rule->calls, 1);
    if (atomic_fetch_sub(&rule->skip, 1) > 0)
        return false;
    atomic_store(&rule->skip, 0);
    if (rule->times == 0)
        return false;
    if (rule->times > 0 && atomic_fetch_sub(&rule->times, 1) <= 0) {
        atomic_store(&rule->times, 0);
        return false;
    }
    atomic_fetch_add(&rule->failed, 1);
    errno = rule->error;
    return true;
}

static bool fails(int fd, enum kind kind)
{
    return is_touched(fd) && is_its_turn(kind);
}

static void delay(int fd)
{
    uint32_t ms = is_touched(fd) ? rule->delay_ms : 0;
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    if (ms)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static bool is_interrupted(int fd)
{
    if (!is_touched(fd) || !(rule->kinds & EINTR_))
        return false;
    interrupted = !interrupted;
    if (!interrupted)
        return false;
    atomic_fetch_add(&rule->failed, 1);
    errno = EINTR;
    return true;
}

static size_t shortened(int fd, size_t n)
{
    if (!is_touched(fd) || !(rule->kinds & SHORT) || n < 2)
        return n;
    atomic_fetch_add(&rule->failed, 1);
    return n - 1;
}

/* The pieces but for the last octets, in out; returns how many pieces. */
static int shortened_pieces(int fd, const struct iovec *pieces, int count, struct iovec *out)
{
    int used = count > 64 ? 64 : count;

    memcpy(out, pieces, (size_t)used * sizeof *out);
    if (used > 1) {
        atomic_fetch_add(&rule->failed, 1);
        return used - 1;
    }
    if (used == 1)
        out[0].iov_len = shortened(fd, out[0].iov_len);
    return used;
}

#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real)                                                                                     \
    real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int remember(int fd, const char *path)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        touched[fd] = path && strstr(path, wanted_path) != NULL;
    return fd;
}

/* A file opened below a directory that is touched is touched. */
static int remember_at(int fd, int directory, const char *path)
{
    remember(fd, path);
    if (fd >= 0 && fd < DESCRIPTORS && path && path[0] != '/' && is_touched(directory))
        touched[fd] = 1;
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
        REAL(int, #name, const char *, int, ...);                                                  \
        va_start(args, flags);                                                                     \
        mode = mode_of(flags, args);                                                               \
        va_end(args);                                                                              \
        return remember(real(path, flags, mode), path);                                            \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int directory, const char *path, int flags, ...)                                      \
    {                                                                                              \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
        REAL(int, #name, int, const char *, int, ...);                                             \
        va_start(args, flags);                                                                     \
        mode = mode_of(flags, args);                                                               \
        va_end(args);                                                                              \
        return remember_at(real(directory, path, flags, mode), directory, path);                   \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    REAL(int, "close", int);
    if (fd >= 0 && fd < DESCRIPTORS)
        touched[fd] = 0;
    return real(fd);
}

#define SYNC_CALL(name)                                                                            \
    int name(int fd)                                                                               \
    {                                                                                              \
        REAL(int, #name, int);                                                                     \
        delay(fd);                                                                                 \
        return fails(fd, SYNC) || is_interrupted(fd) ? -1 : real(fd);                              \
    }
SYNC_CALL(fsync)
SYNC_CALL(fdatasync)
SYNC_CALL(syncfs)

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails(fd, WRITE) || is_interrupted(fd) ? -1 : real(fd, data, shortened(fd, n));
}

ssize_t read(int fd, void *data, size_t n)
{
    REAL(ssize_t, "read", int, void *, size_t);
    return fails(fd, READ) || is_interrupted(fd) ? -1 : real(fd, data, shortened(fd, n));
}

#define PWRITE(name)                                                                               \
    ssize_t name(int fd, const void *data, size_t n, off_t at)                                     \
    {                                                                                              \
        REAL(ssize_t, #name, int, const void *, size_t, off_t);                                    \
        return fails(fd, WRITE) || is_interrupted(fd) ? -1 : real(fd, data, shortened(fd, n), at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PREAD(name)                                                                                \
    ssize_t name(int fd, void *data, size_t n, off_t at)                                           \
    {                                                                                              \
        REAL(ssize_t, #name, int, void *, size_t, off_t);                                          \
        return fails(fd, READ) || is_interrupted(fd) ? -1 : real(fd, data, shortened(fd, n), at);  \
    }
PREAD(pread)
PREAD(pread64)

#define PWRITEV(name)                                                                              \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t at)                          \
    {                                                                                              \
        struct iovec fewer[64];                                                                    \
        REAL(ssize_t, #name, int, const struct iovec *, int, off_t);                               \
        if (fails(fd, WRITE) || is_interrupted(fd))                                                \
            return -1;                                                                             \
        if (!is_touched(fd) || !(rule->kinds & SHORT))                                             \
            return real(fd, pieces, count, at);                                                    \
        return real(fd, fewer, shortened_pieces(fd, pieces, count, fewer), at);                    \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    struct iovec fewer[64];
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (fails(fd, WRITE) || is_interrupted(fd))
        return -1;
    if (!is_touched(fd) || !(rule->kinds & SHORT))
        return real(fd, pieces, count);
    return real(fd, fewer, shortened_pieces(fd, pieces, count, fewer));
}

#define ALLOCATE_CALL(name)                                                                        \
    int name(int fd, int mode, off_t at, off_t n)                                                  \
    {                                                                                              \
        REAL(int, #name, int, int, off_t, off_t);                                                  \
        return fails(fd, ALLOCATE) || is_interrupted(fd) ? -1 : real(fd, mode, at, n);             \
    }
ALLOCATE_CALL(fallocate)
ALLOCATE_CALL(fallocate64)

/* These return the error instead of setting errno. */
#define POSIX_ALLOCATE(name)                                                                       \
    int name(int fd, off_t at, off_t n)                                                            \
    {                                                                                              \
        REAL(int, #name, int, off_t, off_t);                                                       \
        return fails(fd, ALLOCATE) || is_interrupted(fd) ? errno : real(fd, at, n);                \
    }
POSIX_ALLOCATE(posix_fallocate)
POSIX_ALLOCATE(posix_fallocate64)

/* ---- clocks */

static int64_t ahead(clockid_t clock)
{
    if (!is_meant())
        return 0;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return rule->wall_s;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return rule->mono_s;
    }
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc;
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    rc = real(clock, t);
    if (rc == 0)
        t->tv_sec += ahead(clock);
    return rc;
}

int gettimeofday(struct timeval *t, void *zone)
{
    int rc;
    REAL(int, "gettimeofday", struct timeval *, void *);
    rc = real(t, zone);
    if (rc == 0)
        t->tv_sec += ahead(CLOCK_REALTIME);
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

/* ---- memory */

#ifdef FAULT_ALLOC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t n);

/* libseccomp 2.5 does not come back from an allocation that failed; it works before any mail does.
 */
static bool memory_fails(const void *caller)
{
    Dl_info from;

    if (!is_meant() || !(rule->kinds & MEMORY))
        return false;
    if (dladdr(caller, &from) && from.dli_fname && strstr(from.dli_fname, "libseccomp"))
        return false;
    return is_its_turn(MEMORY);
}

void *malloc(size_t n)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t n)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}
#endif
