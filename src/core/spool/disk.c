#include "core/spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    ZEROS = 64 << 10,
    ZEROS_SYNC = 2 << 20, /* a sync of a whole new segment would hold up the log's own for 40 ms */
};

void disk_segment_name(char out[32], uint32_t file)
{
    snprintf(out, 32, "segment-%04u", file);
}

void disk_large_name(char out[32], uint32_t file)
{
    snprintf(out, 32, "large/%08u", file);
}

int disk_path(const struct disk *d, char out[DISK_PATH], const char *name)
{
    int n = snprintf(out, DISK_PATH, *name ? "%s/%s" : "%s", d->path, name);

    return n < 0 || n >= DISK_PATH ? -ENAMETOOLONG : 0;
}

int disk_open(const struct disk *d, const char *name, int flags)
{
    char path[DISK_PATH];
    int rc = disk_path(d, path, name);

    return rc < 0 ? rc : d->sys->open(d->sys, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void disk_close(const struct disk *d, int h)
{
    if (h >= 0)
        d->sys->close(d->sys, h);
}

int disk_unlink(const struct disk *d, const char *name)
{
    char path[DISK_PATH];
    int rc = disk_path(d, path, name);

    return rc < 0 ? rc : d->sys->unlink(d->sys, path);
}

int disk_read_some(const struct disk *d, int h, void *p, size_t n, uint64_t at, size_t *got)
{
    *got = 0;
    while (*got < n) {
        ssize_t r = d->sys->pread(d->sys, h, (char *)p + *got, n - *got, at + *got);

        if (r < 0)
            return (int)r;
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    return 0;
}

int disk_read(const struct disk *d, int h, void *p, size_t n, uint64_t at)
{
    size_t got;
    int rc = disk_read_some(d, h, p, n, at, &got);

    if (rc < 0)
        return rc;
    return got == n ? 0 : -EIO;
}

int disk_writev(const struct disk *d, int h, struct iovec *v, int count, uint64_t at)
{
    while (count > 0) {
        ssize_t r = d->sys->pwritev(d->sys, h, v, count < IOV_MAX ? count : IOV_MAX, at);
        size_t n;

        if (r < 0)
            return (int)r;
        if (r == 0)
            return -EIO;
        at += (uint64_t)r;
        for (n = (size_t)r; count > 0 && n >= v->iov_len; v++, count--)
            n -= v->iov_len;
        if (count > 0) {
            v->iov_base = (char *)v->iov_base + n;
            v->iov_len -= n;
        }
    }
    return 0;
}

int disk_write(const struct disk *d, int h, const void *p, size_t n, uint64_t at)
{
    struct iovec v = {.iov_len = n};

    /* pwritev only reads from it, but an iovec cannot say so. */
    memcpy(&v.iov_base, &p, sizeof p);
    return disk_writev(d, h, &v, 1, at);
}

int disk_sync(const struct disk *d, int h)
{
    return d->no_sync ? 0 : d->sys->fdatasync(d->sys, h);
}

int disk_sync_dir(const struct disk *d, const char *name)
{
    char path[DISK_PATH];
    int rc = disk_path(d, path, name);

    if (rc < 0 || d->no_sync)
        return rc;
    return d->sys->sync_dir(d->sys, path);
}

static int write_zeros(const struct disk *d, int h, uint64_t size)
{
    char *zeros = mem_zalloc(size < ZEROS ? size : ZEROS);
    int rc = zeros ? 0 : -ENOMEM;

    for (uint64_t at = 0; rc == 0 && at < size; at += ZEROS) {
        uint64_t n = size - at < ZEROS ? size - at : ZEROS;

        rc = disk_write(d, h, zeros, n, at);
        if (rc == 0 && (at + n) % ZEROS_SYNC == 0 && at + n < size)
            rc = disk_sync(d, h);
    }
    mem_free(zeros);
    return rc;
}

int segment_create(const struct disk *d, uint32_t file)
{
    char name[32];
    int h, rc;

    disk_segment_name(name, file);
    h = disk_open(d, name, O_RDWR | O_CREAT | O_EXCL);
    if (h < 0)
        return h;
    rc = d->sys->preallocate(d->sys, h, 0, d->segment_size);
    if (rc == -EOPNOTSUPP || rc == -ENOSYS)
        rc = 0;
    if (rc == 0)
        rc = write_zeros(d, h, d->segment_size);
    if (rc == 0 && !d->no_sync)
        rc = d->sys->fsync(d->sys, h);
    disk_close(d, h);
    if (rc == 0)
        rc = disk_sync_dir(d, "");
    if (rc < 0)
        disk_unlink(d, name);
    return rc;
}

int segment_stamp(const struct disk *d, struct segment *s, uint64_t number)
{
    struct segment_header header = {
        .serial = s->serial + 1,
        .number = number,
        .previous = s->number ? s->number : s->previous,
        .epoch = d->epoch,
        .size = s->size,
    };
    uint32_t slot = s->serial ? 1 - s->slot : 0;
    char name[32], octets[SEGMENT_HEADER];
    int h, rc;

    memcpy(header.spool_id, d->spool_id, sizeof header.spool_id);
    segment_header_encode(octets, &header);
    disk_segment_name(name, s->file);
    h = disk_open(d, name, O_RDWR);
    if (h < 0)
        return h;
    rc = disk_write(d, h, octets, sizeof octets, slot * (uint64_t)SPOOL_PAGE);
    if (rc == 0)
        rc = disk_sync(d, h);
    disk_close(d, h);
    if (rc < 0)
        return rc;
    s->serial = header.serial;
    s->number = number;
    s->previous = header.previous;
    s->epoch = header.epoch;
    s->slot = slot;
    return 0;
}

static int copy_range(const struct disk *d, int from, int to, uint64_t start, uint64_t end)
{
    char *page = mem_alloc(SPOOL_PAGE);
    int rc = page ? 0 : -ENOMEM;

    for (uint64_t at = start; rc == 0 && at < end; at += SPOOL_PAGE) {
        size_t want = end - at < SPOOL_PAGE ? (size_t)(end - at) : SPOOL_PAGE, got = 0;

        /* A page that cannot be read is a hole in the copy: the rest is worth having. */
        if (disk_read_some(d, from, page, want, at, &got) < 0)
            continue;
        if (!got)
            break;
        rc = disk_write(d, to, page, got, at - start);
    }
    mem_free(page);
    return rc;
}

int disk_quarantine(
    const struct disk *d, const char *name, uint64_t segment, uint64_t from, uint64_t to)
{
    char as[96];

    return disk_quarantine_as(d, name, segment, from, to, as);
}

int disk_quarantine_as(const struct disk *d, const char *name, uint64_t segment, uint64_t from,
    uint64_t to, char as[96])
{
    char target[107];
    int source, h, rc;

    snprintf(target, sizeof target, "quarantine/%s.%llu.%llu-%llu", name,
        (unsigned long long)segment, (unsigned long long)from, (unsigned long long)to);
    for (char *p = target + sizeof "quarantine/"; *p; p++)
        if (*p == '/')
            *p = '-';
    snprintf(as, 96, "%s", target + sizeof "quarantine/" - 1);
    source = disk_open(d, name, O_RDONLY);
    if (source < 0)
        return source;
    h = disk_open(d, target, O_RDWR | O_CREAT);
    rc = h < 0 ? h : copy_range(d, source, h, from, to);
    if (rc == 0)
        rc = disk_sync(d, h);
    if (rc == 0)
        rc = disk_sync_dir(d, "quarantine");
    disk_close(d, h);
    disk_close(d, source);
    return rc;
}
