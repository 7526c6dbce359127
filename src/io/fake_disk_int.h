/* io/fake_disk_int.h: the fake disk from inside. */
#pragma once

#include <pthread.h>

#include "io/fake_disk.h"

enum {
    SECTOR = 512,
    NAMES = 256,
    NAME = 120,
    HANDLES = 64,
    NAME_OPS = 256,
};

struct inode {
    char *now, *safe;
    size_t now_n, safe_n;
    unsigned char *pending; /* a sector each */
    size_t pending_n;
    bool dir;
    mode_t mode;
};

struct name {
    char path[NAME];
    struct inode *inode;
};

/* A change of names that no sync of a directory has made durable. */
struct name_op {
    char from[NAME], path[NAME]; /* from: "" unless it is a rename */
    struct inode *inode;         /* NULL: the name went */
};

struct fake_disk {
    struct sys sys;
    pthread_mutex_t lock;
    struct inode *inodes[NAMES * 4];
    unsigned inode_count;
    struct name names[NAMES], safe[NAMES];
    unsigned name_count, safe_count;
    struct name_op ops[NAME_OPS]; /* of more the oldest are forgotten: they survive with all */
    unsigned op_count;
    void (*watch)(void *arg);
    void *watch_arg;
    struct inode *handles[HANDLES];
    uint64_t operations, before, cut_at; /* before: in its earlier lives */
    uint64_t calls[FAKE_CALLS], fail_at[FAKE_CALLS];
    int fail_error[FAKE_CALLS];
    bool fail_lasting[FAKE_CALLS], sync_keeps, short_writes;
    uint64_t space, random;
};

/* False without memory; nothing is changed then. */
bool fake_resize(char **p, size_t *n, size_t to);
bool fake_touch(struct inode *i, size_t from, size_t to); /* pending from now on */
bool fake_make_safe(struct inode *i);
struct inode *fake_inode(struct fake_disk *f);
struct name *fake_find(struct fake_disk *f, const char *path);
struct name *fake_name(struct fake_disk *f, const char *path, struct inode *inode);
