#include "io/fake_choose.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/str.h"

#include "io/fake_disk_int.h"

/* ---- what is pending */

static void add(struct fake_changes *c, enum fake_change_kind kind, uint32_t inode, size_t at)
{
    if (c->count == FAKE_CHANGES) {
        c->more = true;
        return;
    }
    c->v[c->count++] = (struct fake_change){kind, inode, (uint32_t)at};
    c->sectors += kind == FAKE_SECTOR;
}

/* What no name reaches, and none may come to, nobody will see. */
static bool reachable(const struct fake_disk *f, const struct inode *inode)
{
    for (unsigned i = 0; i < f->name_count; i++)
        if (f->names[i].inode == inode)
            return true;
    for (unsigned i = 0; i < f->safe_count; i++)
        if (f->safe[i].inode == inode)
            return true;
    for (unsigned i = 0; i < f->op_count; i++)
        if (f->ops[i].inode == inode)
            return true;
    return false;
}

/* Octets [from, to) of a file's durable state are these; behind its end there are zeros. */
static bool same(const struct inode *inode, size_t from, size_t to)
{
    size_t known = to < inode->safe_n ? to : inode->safe_n, at = from;

    if (from < known) {
        if (memcmp(inode->now + from, inode->safe + from, known - from) != 0)
            return false;
        at = known;
    }
    for (; at < to; at++)
        if (inode->now[at])
            return false;
    return true;
}

static void add_sectors(struct fake_changes *c, const struct inode *inode, uint32_t number)
{
    for (size_t k = 0; k < inode->pending_n && k * SECTOR < inode->now_n; k++) {
        size_t from = k * SECTOR, to = from + SECTOR;

        if (to > inode->now_n)
            to = inode->now_n;
        if (inode->pending[k] && !same(inode, from, to))
            add(c, FAKE_SECTOR, number, k);
    }
}

void fake_changes(struct fake_disk *f, struct fake_changes *c)
{
    c->count = c->sectors = 0;
    c->more = false;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->inode_count; i++)
        if (f->inodes[i]->now_n != f->inodes[i]->safe_n && reachable(f, f->inodes[i]))
            add(c, FAKE_SIZE, i, 0);
    for (uint32_t i = 0; i < f->op_count; i++)
        add(c, FAKE_NAME, 0, i);
    for (uint32_t i = 0; i < f->inode_count; i++)
        if (reachable(f, f->inodes[i]))
            add_sectors(c, f->inodes[i], i);
    pthread_mutex_unlock(&f->lock);
}

/* ---- what survives */

static void grow(char **p, size_t *n, size_t to)
{
    bool done = fake_resize(p, n, to);

    CHECK(done);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static struct fake_disk *durable(const struct fake_disk *f)
{
    struct fake_disk *n = fake_new();

    n->random = f->random;
    n->space = f->space;
    n->before = f->before + f->operations;
    for (uint32_t i = 0; i < f->inode_count; i++) {
        const struct inode *from = f->inodes[i];
        struct inode *to = fake_inode(n);

        CHECK(to);
        to->dir = from->dir;
        to->mode = from->mode;
        grow(&to->now, &to->now_n, from->safe_n);
        if (from->safe_n)
            memcpy(to->now, from->safe, from->safe_n);
    }
    return n;
}

static uint32_t inode_number(const struct fake_disk *f, const struct inode *inode)
{
    for (uint32_t i = 0; i < f->inode_count; i++)
        if (f->inodes[i] == inode)
            return i;
    UNREACHABLE();
}

static void drop_name(struct fake_disk *n, const char *path)
{
    struct name *gone = fake_find(n, path);

    if (gone)
        *gone = n->names[--n->name_count];
}

static void keep_name(struct fake_disk *n, const struct fake_disk *f, const struct name_op *op)
{
    drop_name(n, op->path);
    if (*op->from)
        drop_name(n, op->from);
    if (op->inode)
        fake_name(n, op->path, n->inodes[inode_number(f, op->inode)]);
}

static void keep_sector(struct inode *to, const struct inode *from, size_t k)
{
    size_t at = k * SECTOR, n = from->now_n - at < SECTOR ? from->now_n - at : SECTOR;

    if (at + n > to->now_n)
        grow(&to->now, &to->now_n, at + n);
    memcpy(to->now + at, from->now + at, n);
}

static void tear(
    struct inode *to, const struct inode *from, size_t k, const struct fake_choice *choice)
{
    size_t at = k * SECTOR, n = to->now_n - at < SECTOR ? to->now_n - at : SECTOR;

    for (size_t i = choice->tear == FAKE_GARBAGE ? 0 : choice->torn_at; i < n; i++) {
        uint64_t garbage = mix(choice->seed + i / 8) >> i % 8 * 8;
        char old = at + i < from->safe_n ? from->safe[at + i] : 0;

        to->now[at + i] = choice->tear == FAKE_PART_OLD ? old : (char)garbage;
    }
}

static void settle(struct fake_disk *n)
{
    for (uint32_t i = 0; i < n->inode_count; i++) {
        bool done =
            fake_touch(n->inodes[i], 0, n->inodes[i]->now_n) && fake_make_safe(n->inodes[i]);

        CHECK(done);
    }
    memcpy(n->safe, n->names, n->name_count * sizeof *n->names);
    n->safe_count = n->name_count;
}

struct fake_disk *fake_choose(
    struct fake_disk *f, const struct fake_changes *c, const struct fake_choice *choice)
{
    const struct fake_change *last = NULL;
    struct fake_disk *n;

    pthread_mutex_lock(&f->lock);
    n = durable(f);
    for (uint32_t i = 0; i < f->safe_count; i++)
        fake_name(n, f->safe[i].path, n->inodes[inode_number(f, f->safe[i].inode)]);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct fake_change *k = &c->v[i];

        if (!choice->survives[i])
            continue;
        switch (k->kind) {
        case FAKE_SIZE:
            grow(
                &n->inodes[k->inode]->now, &n->inodes[k->inode]->now_n, f->inodes[k->inode]->now_n);
            break;
        case FAKE_NAME:
            keep_name(n, f, &f->ops[k->at]);
            break;
        case FAKE_SECTOR:
            keep_sector(n->inodes[k->inode], f->inodes[k->inode], k->at);
            last = k;
            break;
        }
    }
    if (last && choice->tear != FAKE_WHOLE)
        tear(n->inodes[last->inode], f->inodes[last->inode], last->at, choice);
    settle(n);
    pthread_mutex_unlock(&f->lock);
    return n;
}

void fake_change_name(struct fake_disk *f, const struct fake_change *change, char *out, size_t n)
{
    const char *path = "?";

    if (change->kind == FAKE_NAME) {
        const struct name_op *op = &f->ops[change->at];

        (void)snprintf(out, n, "%s %s", op->inode ? "name" : "removal of", op->path);
        return;
    }
    for (uint32_t i = 0; i < f->name_count; i++)
        if (f->names[i].inode == f->inodes[change->inode])
            path = f->names[i].path;
    if (change->kind == FAKE_SIZE)
        (void)snprintf(out, n, "size of %s", path);
    else
        (void)snprintf(out, n, "%s sector %u", path, change->at);
}
