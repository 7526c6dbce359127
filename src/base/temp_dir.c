#include "base/temp_dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DESCRIPTORS = 16, /* that nftw() may hold open */
};

int temp_dir_make(char *path, size_t size, const char *parent, const char *name)
{
    int n;

    if (!parent)
        parent = getenv("TMPDIR");
    if (!parent || !*parent)
        parent = "/tmp";
    n = snprintf(path, size, "%s/veredus-%s-XXXXXX", parent, name);
    if (n < 0 || (size_t)n >= size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return mkdtemp(path) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

int temp_dir_remove(const char *path)
{
    return nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}
