#include "core/lock.h"

#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"

#include "run/fiber.h"

enum {
    AGAIN_MS = 50,
    PATH_SIZE = 1024,
};

/* A lock has no event that tells of its end, except a call that blocks: so it is asked for again.
 */
static int wait_for(
    const struct sys *sys, int handle, const char *path, uint64_t wait_ms, struct err *e)
{
    uint64_t until = run_now_fresh() + wait_ms;
    int result;

    while ((result = sys->lock(sys, handle)) == -EAGAIN && run_now_fresh() < until)
        if (fiber_sleep(AGAIN_MS, e) < 0)
            return -1;
    if (result == -EAGAIN)
        return err_set(e, ERR_TEMPORARY, "core",
            "%s: another veredus works on this data directory; stop it first", path);
    if (result < 0)
        return err_os(e, -result, "core", "%s: cannot lock", path);
    return 0;
}

int lock_take(const struct sys *sys, struct str data, uint64_t wait_ms, int *handle, struct err *e)
{
    char text[PATH_SIZE];
    struct buf path;
    int h;

    buf_init(&path, PATH_SIZE - 1);
    buf_printf(&path, "%.*s/lock", STR_ARG(data));
    str_copy_c(text, sizeof text, buf_str(&path));
    buf_done(&path);
    h = sys->open(sys, text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (h < 0)
        return err_os(e, -h, "core", "%s: cannot open", text);
    if (wait_for(sys, h, text, wait_ms, e) < 0) {
        sys->close(sys, h);
        return -1;
    }
    *handle = h;
    return 0;
}

void lock_release(const struct sys *sys, int *handle)
{
    if (*handle >= 0)
        sys->close(sys, *handle);
    *handle = -1;
}
