#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/mem.h"

#include "core/spool/recover.h"

static const char ORIGIN[] = "spool";

/* What the header of one file says. */
struct look {
    struct segment *segment;
    struct segment_header header;
    bool good, data; /* a slot counts; there are octets behind the header */
};

struct listing {
    struct recovery *r;
    struct look *v;
    uint32_t count, cap;
};

static int list_name(void *arg, const char *name)
{
    struct listing *l = arg;
    struct str rest = str_c(name);
    char canonical[32];
    uint64_t file;

    if (!str_starts(rest, STR("segment-")))
        return 0;
    rest = str_from(rest, sizeof "segment-" - 1);
    if (rest.n < 4 || !str_to_u64(rest, UINT32_MAX, &file))
        return 0;
    disk_segment_name(canonical, (uint32_t)file);
    if (strcmp(canonical, name) != 0)
        return 0;
    if (l->count == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 64;
        struct look *v = mem_resize(l->v, cap * sizeof *v);

        if (!v)
            return -ENOMEM;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->count] = (struct look){.segment = segment_new()};
    if (!l->v[l->count].segment)
        return -ENOMEM;
    l->v[l->count++].segment->file = (uint32_t)file;
    if (file > l->r->file_max)
        l->r->file_max = (uint32_t)file;
    return 0;
}

static int read_header(struct recovery *r, struct look *l, const char *name, struct err *e)
{
    char slots[2][SEGMENT_HEADER_MAX] = {0}, data[FRAME_HEADER] = {0};
    int h = disk_open(r->disk, name, O_RDONLY), rc;
    struct sys_stat st;
    size_t got;

    if (h < 0)
        return err_os(e, -h, ORIGIN, "%s", name);
    if (r->disk->sys->fstat(r->disk->sys, h, &st) == 0 && st.mode & 022) {
        disk_close(r->disk, h);
        return err_set(e, ERR_PERMANENT, ORIGIN, "%s: others may write to it", name);
    }
    rc = disk_read_some(r->disk, h, slots[0], SEGMENT_HEADER_MAX, 0, &got);
    if (rc == 0)
        rc = disk_read_some(r->disk, h, slots[1], SEGMENT_HEADER_MAX, SPOOL_PAGE, &got);
    if (rc == 0 && disk_read_some(r->disk, h, data, sizeof data, SEGMENT_DATA, &got) == 0)
        for (size_t i = 0; i < sizeof data; i++)
            l->data |= data[i] != 0;
    disk_close(r->disk, h);
    if (rc < 0)
        return err_os(e, -rc, ORIGIN, "%s: reading its header", name);
    for (uint32_t i = 0; i < 2; i++) {
        struct segment_header header;

        switch (segment_header_decode(slots[i], &header)) {
        case HEADER_GOOD:
            if (l->good && header.serial < l->header.serial)
                break;
            l->good = true;
            l->header = header;
            l->segment->slot = i;
            break;
        case HEADER_EMPTY:
        case HEADER_BAD:
            break;
        case HEADER_NEWER:
            return err_set(e, ERR_PERMANENT, ORIGIN,
                "%s: written by a later version of veredus; this one knows format %u", name,
                SPOOL_FORMAT);
        }
    }
    return 0;
}

/* A file that keeps the spool from starting, as a whole. */
static int set_file_aside(
    struct recovery *r, const struct segment *s, const char *what, struct err *e)
{
    struct spool_damage damage = {.segment = s->number, .to = s->size, .what = what};
    char from[DISK_PATH], to[DISK_PATH], name[32], target[64];

    disk_segment_name(name, s->file);
    snprintf(
        target, sizeof target, "quarantine/%s.%llu.whole", name, (unsigned long long)s->number);
    if (disk_path(r->disk, from, name) < 0 || disk_path(r->disk, to, target) < 0 ||
        r->disk->sys->rename(r->disk->sys, from, to) < 0 ||
        disk_sync_dir(r->disk, "quarantine") < 0 || disk_sync_dir(r->disk, "") < 0)
        return err_set(e, ERR_TEMPORARY, ORIGIN, "%s cannot be set aside", name);
    damage.file = name;
    r->damaged++;
    if (r->settings->on_damage)
        r->settings->on_damage(r->settings->arg, &damage);
    return 0;
}

static uint32_t count_id(const struct listing *l, const uint8_t id[16])
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->count; i++)
        n += l->v[i].good && memcmp(l->v[i].header.spool_id, id, 16) == 0;
    return n;
}

/* Repair: the spool is the one that most files belong to; the others are set aside. */
static int drop_strangers(struct recovery *r, struct listing *l, struct err *e)
{
    const uint8_t *id = NULL;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < l->count; i++) {
        const struct look *k = &l->v[i];

        if (k->good && (!id || count_id(l, k->header.spool_id) > count_id(l, id)))
            id = k->header.spool_id;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        struct look *k = &l->v[i];

        if (k->good && memcmp(k->header.spool_id, id, 16) != 0) {
            k->segment->number = k->header.number;
            k->segment->size = k->header.size;
            if (set_file_aside(r, k->segment, "a file of another spool", e) < 0)
                return -1;
            segment_free(k->segment);
            k->segment = NULL;
        }
    }
    for (uint32_t i = 0; i < l->count; i++)
        if (l->v[i].segment)
            l->v[kept++] = l->v[i];
    l->count = kept;
    return 0;
}

static int adopt_id(struct recovery *r, const struct listing *l, struct err *e)
{
    struct disk *d = r->disk;
    bool known = false, data = false;
    char name[32];

    for (uint32_t i = 0; i < l->count; i++) {
        const struct look *k = &l->v[i];

        data |= k->data;
        if (!k->good)
            continue;
        disk_segment_name(name, k->segment->file);
        if (!known)
            memcpy(d->spool_id, k->header.spool_id, sizeof d->spool_id);
        else if (memcmp(d->spool_id, k->header.spool_id, sizeof d->spool_id) != 0)
            return err_set(e, ERR_PERMANENT, ORIGIN,
                "%s belongs to another spool than the files before it: move it away, or: veredus "
                "spool repair",
                name);
        known = true;
        if (k->header.epoch > d->epoch)
            d->epoch = k->header.epoch;
    }
    if (!known && data)
        return err_set(e, ERR_PERMANENT, ORIGIN, "no segment file has a readable header");
    if (!known)
        d->sys->random(d->sys, d->spool_id, sizeof d->spool_id);
    d->salt = frame_salt(d->spool_id);
    return 0;
}

/* A file without a readable header tells its number by the records in it. */
static int number_from_frames(struct recovery *r, struct segment *s, const char *name)
{
    char octets[FRAME_HEADER + FRAME_HEAD_MAX];
    int h = disk_open(r->disk, name, O_RDONLY), rc = 0;
    struct frame f;
    size_t got;

    if (h < 0)
        return h;
    for (uint64_t at = SEGMENT_DATA; at < r->disk->segment_size; at += SPOOL_PAGE) {
        rc = disk_read_some(r->disk, h, octets, sizeof octets, at, &got);
        if (rc < 0 || !frame_decode(octets, got, r->disk->salt, &f))
            continue;
        if (f.segment <= s->number)
            continue;
        s->number = f.segment;
        s->epoch = f.epoch;
    }
    disk_close(r->disk, h);
    return 0;
}

int recovery_keep_free(struct recovery *r, struct segment *s, struct err *e)
{
    if (r->free_count == r->free_cap) {
        uint32_t cap = r->free_cap ? r->free_cap * 2 : 16;
        struct segment **v = mem_resize(r->free, cap * sizeof(struct segment *));

        if (!v) {
            segment_free(s);
            return err_memory(e, ORIGIN);
        }
        r->free = v;
        r->free_cap = cap;
    }
    r->free[r->free_count++] = s;
    return 0;
}

static int headerless(struct recovery *r, struct look *l, const char *name, struct err *e)
{
    struct segment *s = l->segment;
    char from[DISK_PATH], to[DISK_PATH], target[64];

    if (number_from_frames(r, s, name) == 0 && s->number) {
        recovery_damage(r, name, s->number, 0, SEGMENT_DATA, "header");
        s->serial = 1;
        s->size = r->disk->segment_size; /* as it is likely to be: the file's end limits it too */
        return 0;
    }
    if (r->settings->look)
        return 0;
    /* The creation of a file that was cut off leaves zeros, or one torn slot. */
    if (!l->data) {
        if (disk_unlink(r->disk, name) < 0)
            return err_set(e, ERR_TEMPORARY, ORIGIN, "%s cannot be removed", name);
        return 0;
    }
    snprintf(target, sizeof target, "quarantine/%s.headerless", name);
    if (disk_path(r->disk, from, name) < 0 || disk_path(r->disk, to, target) < 0 ||
        r->disk->sys->rename(r->disk->sys, from, to) < 0)
        return err_set(e, ERR_TEMPORARY, ORIGIN, "%s cannot be set aside", name);
    return 0;
}

/* Takes the segment from the listing into the index or the free list, or drops it. */
static int place_file(struct recovery *r, struct look *l, struct err *e)
{
    struct segment *s = l->segment, *other;
    char name[32], other_name[32];

    disk_segment_name(name, s->file);
    if (l->good) {
        s->number = l->header.number;
        s->previous = l->header.previous;
        s->serial = l->header.serial;
        s->epoch = l->header.epoch;
        s->size = l->header.size;
    } else if (headerless(r, l, name, e) < 0) {
        return -1;
    }
    s->life = s->number ? SEGMENT_SEALED : SEGMENT_FREE;
    if (s->number > r->number_max)
        r->number_max = s->number;
    if (s->previous > r->number_max)
        r->number_max = s->previous;
    if (!l->good && !s->number)
        return 0;
    if (!s->number) {
        l->segment = NULL;
        return recovery_keep_free(r, s, e);
    }
    other = index_segment(r->index, s->number);
    if (other && r->settings->repair) {
        bool newer = s->serial > other->serial;

        if (set_file_aside(r, newer ? other : s, "a second file of its segment", e) < 0)
            return -1;
        if (!newer)
            return 0;
        index_take_segment(r->index, other);
        segment_free(other);
        other = NULL;
    }
    if (other) {
        disk_segment_name(other_name, other->file);
        return err_set(e, ERR_PERMANENT, ORIGIN,
            "%s and %s both hold segment %llu: move the copy away, or: veredus spool repair",
            other_name, name, (unsigned long long)s->number);
    }
    if (index_add_segment(r->index, s) < 0)
        return err_memory(e, ORIGIN);
    l->segment = NULL;
    return 0;
}

int recover_files(struct recovery *r, struct err *e)
{
    struct listing l = {.r = r};
    const struct sys *sys = r->disk->sys;
    char name[32];
    int rc = sys->list(sys, r->disk->path, list_name, &l);

    if (rc < 0)
        rc = err_os(e, -rc, ORIGIN, "%s", r->disk->path);
    for (uint32_t i = 0; rc == 0 && i < l.count; i++) {
        disk_segment_name(name, l.v[i].segment->file);
        rc = read_header(r, &l.v[i], name, e);
    }
    if (rc == 0 && r->settings->repair)
        rc = drop_strangers(r, &l, e);
    if (rc == 0)
        rc = adopt_id(r, &l, e);
    for (uint32_t pass = 0; pass < 2; pass++) /* those without a header when the rest is known */
        for (uint32_t i = 0; rc == 0 && i < l.count; i++)
            if (l.v[i].good == !pass)
                rc = place_file(r, &l.v[i], e);
    for (uint32_t i = 0; i < l.count; i++)
        segment_free(l.v[i].segment);
    mem_free(l.v);
    return rc;
}
