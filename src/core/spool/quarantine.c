#include "core/spool/quarantine.h"

#include <errno.h>
#include <stdio.h>

#include "core/spool/disk.h"

/* Names that the spool gives: nothing else below the directory is ours to touch. */
static bool is_name(const char *name)
{
    size_t n = strlen(name);

    if (n >= ASIDE_NAME || (strncmp(name, "segment-", 8) != 0 && strncmp(name, "large-", 6) != 0))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n;
}

static int full_path(char out[DISK_PATH], const char *path, const char *name)
{
    int n = snprintf(out, DISK_PATH, "%s/quarantine%s%s", path, *name ? "/" : "", name);

    return n < 0 || n >= DISK_PATH ? -ENAMETOOLONG : 0;
}

int quarantine_find(const struct sys *sys, const char *path, const char *name, struct aside *a)
{
    char full[DISK_PATH];
    struct sys_stat st;
    int rc = is_name(name) ? full_path(full, path, name) : -ENOENT;

    if (rc == 0)
        rc = sys->stat(sys, full, &st);
    if (rc < 0)
        return rc;
    snprintf(a->name, sizeof a->name, "%s", name);
    a->size = st.size;
    a->mtime_ns = st.mtime_ns;
    return 0;
}

struct listing {
    const struct sys *sys;
    const char *path;
    aside_fn *fn;
    void *arg;
};

static int on_name(void *arg, const char *name)
{
    struct listing *l = arg;
    struct aside a;

    if (quarantine_find(l->sys, l->path, name, &a) < 0)
        return 0;
    return l->fn(l->arg, &a);
}

int quarantine_list(const struct sys *sys, const char *path, aside_fn *fn, void *arg)
{
    struct listing l = {sys, path, fn, arg};
    char full[DISK_PATH];
    int rc = full_path(full, path, "");

    if (rc == 0)
        rc = sys->list(sys, full, on_name, &l);
    return rc == -ENOENT ? 0 : rc;
}

int quarantine_remove(const struct sys *sys, const char *path, const char *name)
{
    char full[DISK_PATH];
    struct aside a;
    int rc = quarantine_find(sys, path, name, &a);

    if (rc == 0)
        rc = full_path(full, path, name);
    if (rc == 0)
        rc = sys->unlink(sys, full);
    if (rc == 0 && full_path(full, path, "") == 0)
        rc = sys->sync_dir(sys, full);
    return rc;
}
