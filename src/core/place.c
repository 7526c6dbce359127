#include "core/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/buf.h"

enum {
    PATH_SIZE = 512, /* more than the spool takes */
    MACHINE_MAX = 64,
    STAMP_MAX = PATH_SIZE + 512,
};

static const char ORIGIN[] = "core";
static const char FIRST[] = "veredus place 1";

struct place {
    char machine[MACHINE_MAX + 1]; /* empty: not known */
    char path[PATH_SIZE];
    uint64_t device, inode;
};

static int in_data(struct str data, const char *name, char path[PATH_SIZE], struct err *e)
{
    struct buf b;
    bool fits;

    buf_init(&b, PATH_SIZE - 1);
    buf_printf(&b, "%.*s%s", STR_ARG(data), name);
    fits = buf_ok(&b) && str_copy_c(path, PATH_SIZE, buf_str(&b));
    buf_done(&b);
    return fits ? 0 : err_set(e, ERR_PERMANENT, ORIGIN, "%.*s: too long", STR_ARG(data));
}

/* What a small file holds, at most n octets; empty where it cannot be read. */
static struct str read_small(const struct sys *sys, const char *path, char *p, size_t n)
{
    int h = sys->open(sys, path, O_RDONLY | O_CLOEXEC, 0);
    ssize_t got = h < 0 ? h : sys->pread(sys, h, p, n, 0);

    if (h >= 0)
        sys->close(sys, h);
    return got > 0 ? str_of(p, (size_t)got) : STR_NONE;
}

static int here(const struct sys *sys, struct str data, struct place *p, struct err *e)
{
    char text[MACHINE_MAX];
    struct sys_stat st;
    struct str machine = read_small(sys, "/etc/machine-id", text, sizeof text), line;
    int rc;

    *p = (struct place){0};
    str_cut(&machine, '\n', &line);
    str_copy_c(p->machine, sizeof p->machine, line);
    if (in_data(data, "", p->path, e) < 0)
        return -1;
    rc = sys->stat(sys, p->path, &st);
    if (rc < 0)
        return err_os(e, -rc, ORIGIN, "%s", p->path);
    p->device = st.device;
    p->inode = st.inode;
    return 0;
}

/* False where there is no stamp, or none that can be understood. */
static bool load(const struct sys *sys, const char *path, struct place *p)
{
    char octets[STAMP_MAX];
    struct str rest = read_small(sys, path, octets, sizeof octets), line[6];

    for (size_t i = 0; i < 6; i++)
        str_cut(&rest, '\n', &line[i]);
    *p = (struct place){0};
    return str_eq(line[0], str_c(FIRST)) && str_copy_c(p->machine, sizeof p->machine, line[1]) &&
           line[2].n && str_copy_c(p->path, sizeof p->path, line[2]) &&
           str_to_u64(line[3], UINT64_MAX, &p->device) &&
           str_to_u64(line[4], UINT64_MAX, &p->inode) && str_eq(line[5], STR("end"));
}

static int write_all(const struct sys *sys, const char *path, struct str text)
{
    int h = sys->open(sys, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct iovec v = {.iov_len = text.n};
    ssize_t put;
    int rc;

    if (h < 0)
        return h;
    memcpy(&v.iov_base, &text.p, sizeof text.p);
    put = sys->pwritev(sys, h, &v, 1, 0);
    rc = put < 0 ? (int)put : (size_t)put < text.n ? -EIO : sys->fsync(sys, h);
    sys->close(sys, h);
    return rc;
}

static int store(const struct sys *sys, struct str data, const struct place *p, struct err *e)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    struct buf text;
    int rc = -ENOMEM;

    if (in_data(data, "/place", path, e) < 0 || in_data(data, "/place.new", fresh, e) < 0)
        return -1;
    buf_init(&text, STAMP_MAX);
    buf_printf(&text, "%s\n%s\n%s\n%" PRIu64 "\n%" PRIu64 "\nend\n", FIRST, p->machine, p->path,
        p->device, p->inode);
    if (buf_ok(&text))
        rc = write_all(sys, fresh, buf_str(&text));
    buf_done(&text);
    if (rc == 0)
        rc = sys->rename(sys, fresh, path);
    if (rc == 0)
        rc = sys->sync_dir(sys, p->path);
    return rc < 0 ? err_os(e, -rc, ORIGIN, "%s", path) : 0;
}

static bool same_inode(const struct place *a, const struct place *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* Whether the directory that was stamped is still where it was. */
static bool is_there(const struct sys *sys, const struct place *was)
{
    struct sys_stat st;

    return sys->stat(sys, was->path, &st) == 0 && st.device == was->device &&
           st.inode == was->inode;
}

static int refuse(const struct place *is, const char *what, const char *which, struct err *e)
{
    return err_set(e, ERR_PERMANENT, ORIGIN,
        "%s: a copy of the data directory %s%s; mail would be delivered twice. If this is the "
        "one to be used from now on: veredus spool adopt",
        is->path, what, which);
}

int place_check(const struct sys *sys, struct str data, struct err *e)
{
    char path[PATH_SIZE];
    struct place is, was;
    bool known, same_path, machines;

    if (here(sys, data, &is, e) < 0 || in_data(data, "/place", path, e) < 0)
        return -1;
    known = load(sys, path, &was);
    if (!known)
        return store(sys, data, &is, e);
    machines = is.machine[0] && was.machine[0];
    same_path = strcmp(is.path, was.path) == 0;
    if (machines && strcmp(is.machine, was.machine) != 0)
        return refuse(&is, "of another machine, where it was ", was.path, e);
    if (!same_inode(&is, &was) && !same_path && is_there(sys, &was))
        return refuse(&is, "that is still there: ", was.path, e);
    if (same_inode(&is, &was) && same_path && (machines || !is.machine[0]))
        return 0;
    return store(sys, data, &is, e);
}

int place_adopt(const struct sys *sys, struct str data, struct err *e)
{
    struct place is;

    return here(sys, data, &is, e) < 0 ? -1 : store(sys, data, &is, e);
}
