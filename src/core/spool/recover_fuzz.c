/* Recovery over files that somebody has altered: it ends, believes nothing outside of them, finds
 * the same the second time, and what it found can be worked on with. The first octet chooses: the
 * input is a segment as it is, or a list of changes to the files of a small spool, with the
 * checksums of frames put right again so that they are believed. */
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"

#include "core/spool/fake_life.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    EDIT = 4, /* a file, an offset, an octet */
    FIX = 1,
    RAW = 2,
};

static const char *const files[] = {"/spool/segment-0001", "/spool/segment-0002",
    "/spool/segment-0003", "/spool/segment-0004", "/spool/checkpoint"};

static struct fake_disk *base; /* leaked on purpose: for all runs */
static struct model base_model;
static uint32_t salt;

static void make_base(void)
{
    struct life life = {0};

    base = fake_new();
    CHECK(life_start(&life, base, &base_model) == 0);
    CHECK(life_run(&life, "gaorabscddrkaosraf") == 0);
    salt = life.store.disk.salt;
    life_end(&life);
}

static void fix_frames(char *p, size_t n)
{
    for (size_t at = SEGMENT_DATA; at + FRAME_HEADER + FRAME_HEAD_MAX <= n; at += FRAME_ALIGN) {
        size_t head = get_u16(p + at + 6);
        uint32_t crc;

        if (!frame_magic(p + at) || head > FRAME_HEAD_MAX)
            continue;
        crc = crc32c_extend(salt, str_of(p + at, 44));
        put_u32(p + at + 44, crc32c_extend(crc, str_of(p + at + FRAME_HEADER, head)));
    }
    for (size_t slot = 0; slot < 2 && n >= SEGMENT_DATA; slot++, p += SPOOL_PAGE)
        put_u32(p + 76, crc32c(str_of(p, 76)));
}

static void fix_checkpoint(char *p, size_t n)
{
    if (n < 80)
        return;
    put_u32(p + 76, crc32c(str_of(p, 76)));
    for (size_t at = 80; at + 12 <= n && get_u32(p + at + 4) <= n - at - 12;
         at += 12 + get_u32(p + at + 4)) {
        uint32_t crc = crc32c(str_of(p + at, 8));

        put_u32(p + at + 8, crc32c_extend(crc, str_of(p + at + 12, get_u32(p + at + 4))));
    }
}

static void edit(struct fake_disk *disk, const uint8_t *data, size_t size, bool fix)
{
    size_t n;
    char *p;

    for (; size >= EDIT; data += EDIT, size -= EDIT) {
        size_t at = (size_t)data[1] << 8 | data[2];

        p = fake_file(disk, files[data[0] % 5], &n);
        if (p && at < n)
            p[at] = (char)data[3];
    }
    for (unsigned i = 0; fix && i < 5; i++) {
        p = fake_file(disk, files[i], &n);
        if (p && i < 4)
            fix_frames(p, n);
        else if (p)
            fix_checkpoint(p, n);
    }
}

/* What was found is consistent; its ids, added up in a way that tells sets apart. */
static uint64_t sum(struct life *l)
{
    struct index *x = &l->store.index;
    uint64_t total = 0, live = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < x->segment_count; i++)
        live += x->segments[i]->live;
    for (uint32_t i = 0; i < x->top; i++) {
        struct entry *n = index_at(x, i);

        if (!n)
            continue;
        CHECK(index_find(x, n->id) == n && n->rcpts > 0);
        total += n->id * 0x9e3779b97f4a7c15U ^ entry_rcpts(n)[n->rcpts - 1].state;
        count++;
    }
    CHECK(count == x->count && live == count);
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct life life = {.allow_damage = true};
    struct fake_disk *disk;
    struct model model;
    uint64_t found;
    size_t n;

    if (!base)
        make_base();
    if (size < 1)
        return 0;
    disk = fake_after_cut(base, FAKE_ALL, 0);
    if (data[0] & RAW) {
        fake_set_size(disk, files[0], size - 1);
        if (size > 1)
            memcpy(fake_file(disk, files[0], &n), data + 1, size - 1);
    } else {
        edit(disk, data + 1, size - 1, data[0] & FIX);
    }
    model = base_model;
    if (life_start(&life, disk, &model) == 0) {
        found = sum(&life);
        life_end(&life);
        CHECK(life_start(&life, disk, &model) == 0);
        CHECK(sum(&life) == found);
        life_end(&life);
    }
    fake_free(disk);
    return 0;
}
