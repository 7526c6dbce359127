#include "master/layout.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_SIZE = 1200, /* more than the rows take */
    MODE_PRIVATE = 0700,
    MODE_RUNTIME = 0711, /* local programs reach the submit socket by name */
};

static int make_directory(const char *path, mode_t mode, const struct identity *id, struct err *e)
{
    struct stat st;

    if (mkdir(path, mode) == 0) {
        if (id && id->change && lchown(path, id->uid, id->gid) < 0)
            return err_os(e, errno, "master", "%s: cannot give it to its user", path);
        return 0;
    }
    if (errno != EEXIST)
        return err_os(e, errno, "master", "%s: cannot make the directory", path);
    if (stat(path, &st) < 0)
        return err_os(e, errno, "master", "%s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_PERMANENT, "master", "%s: not a directory", path);
    return 0;
}

static int make_named(
    struct str path, const char *name, mode_t mode, const struct identity *id, struct err *e)
{
    char text[PATH_SIZE];
    struct buf whole;
    bool fits;

    buf_init(&whole, sizeof text - 1);
    buf_put(&whole, path);
    if (*name)
        buf_printf(&whole, "/%s", name);
    fits = buf_ok(&whole) && str_copy_c(text, sizeof text, buf_str(&whole));
    buf_done(&whole);
    if (!fits)
        return err_set(e, ERR_PERMANENT, "master", "the path of the data directory is too long");
    return make_directory(text, mode, id, e);
}

int layout_make_roots(const struct config *config, const struct identity *id, struct err *e)
{
    if (make_named(config->data, "", MODE_PRIVATE, id, e) < 0)
        return -1;
    return make_named(config->runtime, "", MODE_RUNTIME, id, e);
}

static int check_writable(struct str path, struct err *e)
{
    char text[PATH_SIZE];

    if (!str_copy_c(text, sizeof text, path) || access(text, R_OK | W_OK | X_OK) < 0)
        return err_os(e, errno, "master", "%.*s: cannot write", STR_ARG(path));
    return 0;
}

int layout_make(const struct config *config, struct err *e)
{
    static const char *const names[] = {"spool", "mail", "queue", "trace"};

    if (check_writable(config->data, e) < 0)
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (make_named(config->data, names[i], MODE_PRIVATE, NULL, e) < 0)
            return -1;
    return check_writable(config->runtime, e);
}
