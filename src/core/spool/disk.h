/* core/spool/disk.h: the spool's files: names, whole reads and writes, headers of segments.
 *
 * struct disk does not change once the spool is open, so every thread may use it. All calls block
 * and go through struct sys; results are 0 or -errno.
 */
#pragma once

#include "core/spool/format.h"
#include "core/spool/index.h"

enum {
    DISK_PATH = 512, /* most octets of a path with its terminator */
};

struct disk {
    const struct sys *sys;
    const char *path;
    uint8_t spool_id[16];
    uint32_t salt;
    uint64_t epoch;
    uint64_t segment_size;
    bool no_sync;
};

/* PATH/segment-0001, PATH/large/00000001. */
void disk_segment_name(char out[32], uint32_t file);
void disk_large_name(char out[32], uint32_t file);
/* Fails with -ENAMETOOLONG. */
int disk_path(const struct disk *d, char out[DISK_PATH], const char *name);
int disk_open(const struct disk *d, const char *name, int flags);
void disk_close(const struct disk *d, int h);
int disk_unlink(const struct disk *d, const char *name);

/* All n octets, or -EIO at the file's end. */
int disk_read(const struct disk *d, int h, void *p, size_t n, uint64_t at);
/* What there is, up to n octets; *got is less only at the file's end. */
int disk_read_some(const struct disk *d, int h, void *p, size_t n, uint64_t at, size_t *got);
/* All of it; v is changed on the way. A write of nothing is -EIO. */
int disk_writev(const struct disk *d, int h, struct iovec *v, int count, uint64_t at);
int disk_write(const struct disk *d, int h, const void *p, size_t n, uint64_t at);
int disk_sync(const struct disk *d, int h);
int disk_sync_dir(const struct disk *d, const char *name); /* "": the spool's own */

/* A new segment file: written with zeros from end to end and durable, as is its name, before it is
 * used. After a failure no file is left. */
int segment_create(const struct disk *d, uint32_t file);
/* Gives the file another number, durably: into the header slot that does not count. 0: free. */
int segment_stamp(const struct disk *d, struct segment *s, uint64_t number);

/* Copies [from, to) of file `name` to quarantine/, durably. */
int disk_quarantine(
    const struct disk *d, const char *name, uint64_t segment, uint64_t from, uint64_t to);
/* And says under which name. */
int disk_quarantine_as(const struct disk *d, const char *name, uint64_t segment, uint64_t from,
    uint64_t to, char as[96]);
