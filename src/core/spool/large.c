#include "core/spool/large.h"

#include <errno.h>
#include <fcntl.h>

#include "base/crc32c.h"

enum {
    SYNC_EACH = 8 << 20, /* so that the last sync of a large message is a short one */
};

int large_open(struct spool_large *l)
{
    char name[32];

    disk_large_name(name, l->file);
    l->h = disk_open(l->disk, name, O_RDWR);
    if (l->h == -ENOENT) {
        l->h = disk_open(l->disk, name, O_RDWR | O_CREAT);
        l->created = true;
    }
    if (l->h < 0)
        return l->h;
    return l->disk->sys->truncate(l->disk->sys, l->h, 0);
}

static int write_frame(struct spool_large *l)
{
    uint64_t i = (l->size - l->filled) / CONTENT_FRAME;
    struct frame f = {
        .type = FRAME_CONTENT,
        .body = (uint32_t)l->filled,
        .segment = l->use,
        .sequence = i + 1,
        .epoch = (uint32_t)l->disk->epoch,
    };
    uint64_t at = i * (FRAME_HEADER + CONTENT_FRAME);
    int rc;

    f.body_crc = crc32c(str_of(l->frame + FRAME_HEADER, l->filled));
    l->crc = crc32c_combine(l->crc, f.body_crc, l->filled);
    frame_encode(l->frame, &f, STR_NONE, l->disk->salt);
    rc = disk_write(l->disk, l->h, l->frame, FRAME_HEADER + l->filled, at);
    l->filled = 0;
    if (rc == 0 && l->size - l->synced >= SYNC_EACH) {
        l->synced = l->size;
        rc = disk_sync(l->disk, l->h);
    }
    return rc;
}

int large_write(struct spool_large *l)
{
    int rc = 0;

    while (rc == 0 && l->octets.n) {
        size_t n = CONTENT_FRAME - l->filled;

        if (n > l->octets.n)
            n = l->octets.n;
        memcpy(l->frame + FRAME_HEADER + l->filled, l->octets.p, n);
        l->filled += n;
        l->size += n;
        l->octets = str_from(l->octets, n);
        if (l->filled == CONTENT_FRAME)
            rc = write_frame(l);
    }
    return rc;
}

int large_finish(struct spool_large *l)
{
    int rc = l->filled ? write_frame(l) : 0;

    if (rc == 0)
        rc = disk_sync(l->disk, l->h);
    if (rc == 0 && l->created)
        rc = disk_sync_dir(l->disk, "large");
    disk_close(l->disk, l->h);
    l->h = -1;
    l->finished = rc == 0;
    return rc;
}

struct content_frames content_in_file(const struct message_head *m)
{
    return (struct content_frames){.size = m->content, .segment = m->large_use, .sequence = 1};
}

int large_empty(const struct disk *d, uint32_t file)
{
    char name[32];
    int h, rc;

    disk_large_name(name, file);
    h = disk_open(d, name, O_RDWR);
    if (h == -ENOENT)
        return 0;
    if (h < 0)
        return h;
    rc = d->sys->truncate(d->sys, h, 0);
    disk_close(d, h);
    return rc;
}
