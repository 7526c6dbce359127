#include "core/spool/checkpoint.h"

#include <errno.h>
#include <fcntl.h>

#include "base/crc32c.h"
#include "base/mem.h"

static const char MAGIC[8] = "vrdcheck";
static const char NAME[] = "checkpoint", NEW_NAME[] = "checkpoint.new";

enum {
    HEADER = 80,
    BLOCK_HEADER = 12, /* kind, length, checksum of both and the octets */
    ENTRY = 40,        /* and RCPT_OCTETS for each recipient */
    BLOCK_MAX = CHECKPOINT_BLOCK + ENTRY + SPOOL_RCPTS_MAX * RCPT_OCTETS,
    SEGMENT_RECORD = 12, /* and 8 for each need */
    SEGMENTS_MAX = 64 << 20,
};

enum block_kind {
    BLOCK_SEGMENTS = 1,
    BLOCK_ENTRIES,
    BLOCK_END,
};

void checkpoint_init(struct checkpoint *c, const struct disk *d)
{
    *c = (struct checkpoint){.disk = d, .h = -1};
    buf_init(&c->block, SEGMENTS_MAX);
}

void checkpoint_done(struct checkpoint *c)
{
    disk_close(c->disk, c->h);
    c->h = -1;
    buf_done(&c->block);
}

/* ---- writing */

static int block_begin(struct checkpoint *c, size_t *start)
{
    static const char empty[BLOCK_HEADER];

    *start = buf_len(&c->block);
    return buf_put(&c->block, str_of(empty, sizeof empty));
}

static int block_end(struct checkpoint *c, size_t start, enum block_kind kind)
{
    size_t n = buf_len(&c->block) - start - BLOCK_HEADER;
    char *p;

    if (!buf_ok(&c->block))
        return -1;
    p = c->block.p + c->block.start + start;
    put_u32(p, kind);
    put_u32(p + 4, (uint32_t)n);
    put_u32(p + 8, crc32c_extend(crc32c(str_of(p, 8)), str_of(p + BLOCK_HEADER, n)));
    return 0;
}

static void put_segment(struct buf *b, const struct segment *s)
{
    char p[SEGMENT_RECORD];

    put_u64(p, s->number);
    put_u32(p + 8, s->needs_count);
    buf_put(b, str_of(p, sizeof p));
    for (uint32_t i = 0; i < s->needs_count; i++) {
        put_u64(p, s->needs[i]);
        buf_put(b, str_of(p, 8));
    }
}

int checkpoint_begin(struct checkpoint *c, const struct log_position *p, const struct index *x)
{
    char header[HEADER] = {0};
    size_t start;

    memcpy(header, MAGIC, 8);
    put_u32(header + 8, SPOOL_FORMAT);
    put_u32(header + 12, HEADER);
    memcpy(header + 16, c->disk->spool_id, 16);
    put_u64(header + 32, c->disk->epoch);
    put_u64(header + 40, p->segment);
    put_u64(header + 48, p->at);
    put_u64(header + 56, p->sequence);
    put_u32(header + 64, p->group);
    put_u32(header + 76, crc32c(str_of(header, 76)));
    buf_put(&c->block, str_of(header, sizeof header));
    block_begin(c, &start);
    for (uint32_t i = 0; i < x->segment_count; i++)
        if (x->segments[i]->life != SEGMENT_SPARE)
            put_segment(&c->block, x->segments[i]);
    return block_end(c, start, BLOCK_SEGMENTS);
}

static void put_entry(struct buf *b, struct entry *n)
{
    const struct spool_rcpt *rcpt = entry_rcpts(n);
    char p[ENTRY];

    put_u64(p, n->id);
    put_u64(p + 8, n->content);
    put_u64(p + 16, n->segment->number);
    put_u32(p + 24, n->at);
    put_u32(p + 28, n->prefix);
    put_u32(p + 32, n->large);
    put_u32(p + 36, n->rcpts);
    buf_put(b, str_of(p, sizeof p));
    for (uint32_t i = 0; i < n->rcpts; i++) {
        rcpt_encode(p, &rcpt[i]);
        buf_put(b, str_of(p, RCPT_OCTETS));
    }
}

int checkpoint_entries(struct checkpoint *c, const struct index *x, uint32_t *i)
{
    size_t start;

    block_begin(c, &start);
    for (; *i < x->top && buf_len(&c->block) < CHECKPOINT_BLOCK; ++*i) {
        struct entry *n = index_at(x, *i);

        if (n)
            put_entry(&c->block, n);
    }
    if (block_end(c, start, BLOCK_ENTRIES) < 0)
        return -1;
    return *i < x->top;
}

int checkpoint_end(struct checkpoint *c)
{
    size_t start;

    block_begin(c, &start);
    return block_end(c, start, BLOCK_END);
}

int checkpoint_write(struct checkpoint *c)
{
    struct str octets = buf_str(&c->block);
    int rc;

    if (c->h < 0) {
        c->h = disk_open(c->disk, NEW_NAME, O_RDWR | O_CREAT | O_TRUNC);
        if (c->h < 0)
            return c->h;
    }
    rc = disk_write(c->disk, c->h, octets.p, octets.n, c->at);
    c->at += octets.n;
    buf_clear(&c->block);
    return rc;
}

int checkpoint_commit(struct checkpoint *c)
{
    const struct sys *sys = c->disk->sys;
    char from[DISK_PATH], to[DISK_PATH];
    int rc = c->disk->no_sync ? 0 : sys->fsync(sys, c->h);

    if (rc == 0)
        rc = disk_path(c->disk, from, NEW_NAME);
    if (rc == 0)
        rc = disk_path(c->disk, to, NAME);
    if (rc == 0)
        rc = sys->rename(sys, from, to);
    return rc == 0 ? disk_sync_dir(c->disk, "") : rc;
}

/* ---- reading */

static bool load_header(const struct disk *d, int h, struct log_position *p)
{
    char header[HEADER];

    if (disk_read(d, h, header, sizeof header, 0) < 0 || memcmp(header, MAGIC, 8) != 0)
        return false;
    if (get_u32(header + 76) != crc32c(str_of(header, 76)) || get_u32(header + 8) != SPOOL_FORMAT)
        return false;
    if (memcmp(header + 16, d->spool_id, 16) != 0)
        return false;
    p->segment = get_u64(header + 40);
    p->at = get_u64(header + 48);
    p->sequence = get_u64(header + 56);
    p->group = get_u32(header + 64);
    return p->at >= SEGMENT_DATA && p->at % SPOOL_PAGE == 0 && p->at <= d->segment_size &&
           p->sequence != 0;
}

static bool load_segments(struct index *x, struct str rest)
{
    while (rest.n >= SEGMENT_RECORD) {
        struct segment *s = index_segment(x, get_u64(rest.p));
        uint32_t count = get_u32(rest.p + 8);

        rest = str_from(rest, SEGMENT_RECORD);
        if (rest.n / 8 < count)
            return false;
        for (uint32_t i = 0; s && i < count; i++)
            if (index_segment(x, get_u64(rest.p + (size_t)i * 8)))
                segment_needs(s, get_u64(rest.p + (size_t)i * 8));
        rest = str_from(rest, (size_t)count * 8);
    }
    return rest.n == 0;
}

static int load_entry(struct index *x, struct str p)
{
    struct segment *s = index_segment(x, get_u64(p.p + 16));
    uint32_t rcpts = get_u32(p.p + 36);
    struct entry *n;
    int rc = s ? index_reserve(x, get_u64(p.p), rcpts, &n) : -ENOENT; /* recycled since */

    if (rc < 0)
        return rc == -ENOMEM ? -1 : 0;
    n->content = get_u64(p.p + 8);
    n->at = get_u32(p.p + 24);
    n->prefix = get_u32(p.p + 28);
    n->large = get_u32(p.p + 32);
    for (uint32_t i = 0; i < rcpts; i++)
        entry_rcpts(n)[i] = rcpt_decode(p.p + ENTRY + (size_t)i * RCPT_OCTETS);
    index_insert(x, n, s);
    return 0;
}

static int load_entries(struct index *x, struct str rest)
{
    while (rest.n >= ENTRY) {
        uint64_t rcpts = get_u32(rest.p + 36);

        if (get_u64(rest.p) == 0 || rcpts == 0 || rcpts > SPOOL_RCPTS_MAX ||
            (rest.n - ENTRY) / RCPT_OCTETS < rcpts)
            return 1;
        if (load_entry(x, rest) < 0)
            return -1;
        rest = str_from(rest, ENTRY + rcpts * RCPT_OCTETS);
    }
    return rest.n != 0;
}

/* 0: whole; 1: not good; -1: no memory. */
static int load_blocks(const struct disk *d, int h, struct index *x)
{
    char header[BLOCK_HEADER], *p = NULL;
    uint64_t at = HEADER;
    uint32_t kind = 0, n;
    int rc = 0;

    while (rc == 0 && kind != BLOCK_END) {
        rc = 1;
        if (disk_read(d, h, header, sizeof header, at) < 0)
            break;
        kind = get_u32(header);
        n = get_u32(header + 4);
        if (n > (kind == BLOCK_SEGMENTS ? SEGMENTS_MAX : BLOCK_MAX))
            break;
        mem_free(p);
        p = mem_alloc(n ? n : 1);
        if (!p) {
            rc = -1;
            break;
        }
        at += BLOCK_HEADER + (uint64_t)n;
        if (disk_read(d, h, p, n, at - n) < 0 ||
            crc32c_extend(crc32c(str_of(header, 8)), str_of(p, n)) != get_u32(header + 8))
            break;
        rc = kind == BLOCK_END ? 0 : rc;
        if (kind == BLOCK_SEGMENTS)
            rc = !load_segments(x, str_of(p, n));
        else if (kind == BLOCK_ENTRIES)
            rc = load_entries(x, str_of(p, n));
    }
    mem_free(p);
    return rc;
}

int checkpoint_load(const struct disk *d, struct index *x, struct log_position *p, struct err *e)
{
    int h = disk_open(d, NAME, O_RDONLY), rc = 1;

    if (h >= 0 && load_header(d, h, p))
        rc = load_blocks(d, h, x);
    disk_close(d, h);
    if (rc != 0) {
        *p = (struct log_position){0};
        for (uint32_t i = 0; i < x->segment_count; i++)
            x->segments[i]->needs_count = 0;
        for (uint32_t i = 0; i < x->top; i++)
            if (index_at(x, i))
                index_remove(x, index_at(x, i));
    }
    return rc < 0 ? err_memory(e, "spool") : rc;
}
