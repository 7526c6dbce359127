#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"

#include "core/directory/directory_int.h"

enum {
    QUEUE_MAX = 4096, /* changes and queries that wait for the database's thread */
};

static int sync_dir_of(const struct sys *sys, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    char *dir = mem_zalloc(n + 2);
    int status;

    if (!dir)
        return -ENOMEM;
    memcpy(dir, slash ? path : ".", slash ? n : 1);
    status = sys->sync_dir(sys, dir);
    mem_free(dir);
    return status;
}

/* The file is made before SQLite sees it, so that nobody else can ever read the hashes in it;
 * SQLite gives its log the same mode. */
static int make_file(const struct sys *sys, const char *path, struct err *e)
{
    struct sys_stat st;
    int h = sys->open(sys, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), status;

    if (h < 0)
        return err_os(e, -h, "directory", "%s", path);
    status = sys->fstat(sys, h, &st);
    if (status == 0 && st.size == 0)
        status = sys->fsync(sys, h);
    sys->close(sys, h);
    if (status == 0 && st.size == 0)
        status = sync_dir_of(sys, path);
    if (status < 0)
        return err_os(e, -status, "directory", "%s", path);
    if (st.mode & 077)
        return err_set(e, ERR_PERMANENT, "directory",
            "%s: others may read it, and it holds password hashes; do chmod 600 %s", path, path);
    return 0;
}

int directory_open(struct directory **out, const struct directory_settings *settings, struct err *e)
{
    struct directory *d = MEM_NEW(struct directory);
    bool born;

    if (!d)
        return err_memory(e, "directory");
    d->settings = *settings;
    if (d->settings.memory == 0)
        d->settings.memory = DIRECTORY_MEMORY;
    buf_init(&d->scratch, ADDRESS_KEY_MAX + ADDRESS_DOMAIN_MAX);
    cond_init(&d->changed);
    memory_open(d);
    d->sql =
        (struct sql){.origin = "directory", .texts = directory_statements, .count = DIR_STATEMENTS};
    if (make_file(settings->sys, settings->path, e) < 0 ||
        sql_open(&d->sql, settings->sys, settings->path, &directory_format, &born, e) < 0 ||
        directory_load(d, e) < 0 || pool_open(&d->pool, "directory", 1, QUEUE_MAX, e) < 0) {
        directory_close(&d);
        return -1;
    }
    *out = d;
    return 0;
}

void directory_close(struct directory **dp)
{
    struct directory *d = *dp;

    *dp = NULL;
    if (!d)
        return;
    pool_close(&d->pool);
    sql_close(&d->sql);
    memory_close(d);
    buf_done(&d->scratch);
    mem_free(d);
}

void directory_reconfigure(struct directory *d, const struct directory_settings *from)
{
    d->settings.origin = from->origin;
    d->settings.postmaster = from->postmaster;
    d->settings.literals = from->literals;
    d->settings.literal_count = from->literal_count;
    memory_pick_home(d);
}

void directory_counts(const struct directory *d, struct directory_counts *counts)
{
    *counts = d->counts;
    counts->held = d->addresses.count - d->absent;
}
