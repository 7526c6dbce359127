#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#include "io/fake_disk_int.h"

/* Host order: it is read where it was written. */
struct head {
    char magic[8];
    uint64_t extra, random, space, operations;
    uint32_t inodes, names;
};

struct inode_head {
    uint64_t n;
    uint32_t dir, mode;
};

struct name_head {
    char path[NAME];
    uint32_t inode;
};

static const char magic[8] = "fakedisk";

static uint32_t number_of(const struct fake_disk *f, const struct inode *inode)
{
    for (uint32_t i = 0; i < f->inode_count; i++)
        if (f->inodes[i] == inode)
            return i;
    UNREACHABLE();
}

static void put(FILE *out, const void *p, size_t n)
{
    if (n)
        (void)fwrite(p, 1, n, out); /* ferror() tells */
}

int fake_save(struct fake_disk *f, const char *path, const void *extra, size_t n)
{
    struct head h = {.extra = n,
        .random = f->random,
        .space = f->space,
        .operations = f->before + f->operations,
        .inodes = f->inode_count,
        .names = f->name_count};
    FILE *out = fopen(path, "w");
    int rc;

    if (!out)
        return -errno;
    memcpy(h.magic, magic, sizeof magic);
    put(out, &h, sizeof h);
    put(out, extra, n);
    for (unsigned i = 0; i < f->inode_count; i++) {
        struct inode *inode = f->inodes[i];

        put(out, &(struct inode_head){inode->now_n, inode->dir, inode->mode},
            sizeof(struct inode_head));
        put(out, inode->now, inode->now_n);
    }
    for (unsigned i = 0; i < f->name_count; i++) {
        struct name_head name = {.inode = number_of(f, f->names[i].inode)};

        memcpy(name.path, f->names[i].path, NAME);
        put(out, &name, sizeof name);
    }
    rc = ferror(out) ? -EIO : 0;
    return fclose(out) == 0 ? rc : -EIO;
}

static bool get(FILE *in, void *p, size_t n)
{
    return n == 0 || fread(p, 1, n, in) == n;
}

static bool load_inode(FILE *in, struct fake_disk *f)
{
    struct inode *inode = fake_inode(f);
    struct inode_head h;

    CHECK(inode);
    if (!get(in, &h, sizeof h) || h.n > 1 << 30)
        return false;
    inode->dir = h.dir;
    inode->mode = h.mode;
    return fake_resize(&inode->now, &inode->now_n, h.n) && get(in, inode->now, h.n) &&
           fake_touch(inode, 0, h.n) && fake_make_safe(inode);
}

static bool load(FILE *in, struct fake_disk *f, void *extra, size_t n)
{
    struct name_head name;
    struct head h;

    if (!get(in, &h, sizeof h) || memcmp(h.magic, magic, sizeof magic) != 0 || h.extra != n ||
        h.inodes > NAMES * 4 || h.names > NAMES || !get(in, extra, n))
        return false;
    f->random = h.random;
    f->space = h.space;
    f->before = h.operations;
    for (unsigned i = 0; i < h.inodes; i++)
        if (!load_inode(in, f))
            return false;
    for (unsigned i = 0; i < h.names; i++) {
        if (!get(in, &name, sizeof name) || name.inode >= h.inodes)
            return false;
        name.path[NAME - 1] = '\0';
        fake_name(f, name.path, f->inodes[name.inode]);
    }
    memcpy(f->safe, f->names, sizeof f->safe);
    f->safe_count = f->name_count;
    return true;
}

struct fake_disk *fake_load(const char *path, void *extra, size_t n)
{
    FILE *in = fopen(path, "r");
    struct fake_disk *f;

    if (!in)
        return NULL;
    f = fake_new();
    if (!load(in, f, extra, n)) {
        fake_free(f);
        f = NULL;
    }
    (void)fclose(in);
    return f;
}
