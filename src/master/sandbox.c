#include "master/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "master/sandbox_int.h"

enum {
    SET_MDWE = 65, /* PR_SET_MDWE, in no header of Debian 12 */
    GET_MDWE = 66,
    MDWE_REFUSE_EXEC_GAIN = 1,
    SECUREBITS_LOCKED = 0x2f, /* NOROOT, NO_SETUID_FIXUP and KEEP_CAPS off, each locked */
};

#ifdef VEREDUS_SANITIZED
int __lsan_is_turned_off(void);
static int closed;

/* The search for leaks wants ptrace() and never ends behind the walls. */
int __lsan_is_turned_off(void)
{
    return closed;
}
#endif

static int drop_capabilities(struct err *e)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    /* Only uid 0 can do these two, and only it needs them: to others an execve() gives nothing. */
    for (int i = 0; i < 64; i++)
        prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    prctl(PR_SET_SECUREBITS, SECUREBITS_LOCKED, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) < 0)
        return err_os(e, errno, "sandbox", "cannot give up capabilities");
    return 0;
}

static void set_limits(void)
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none); /* secrets of sessions stay in memory */
    setrlimit(RLIMIT_MSGQUEUE, &none);
}

int sandbox_begin(const char *title, unsigned first_fd, struct err *e)
{
    if (close_range(first_fd, ~0U, 0) < 0)
        return err_os(e, errno, "sandbox", "cannot close stray descriptors");
    prctl(PR_SET_NAME, title, 0, 0, 0);
    set_limits();
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_os(e, errno, "sandbox", "cannot become undumpable");
    if (drop_capabilities(e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_os(e, errno, "sandbox", "no_new_privs");
    return 0;
}

static int missing(enum config_sandbox wanted, const char *what, const char *why, struct err *e)
{
    if (wanted != SANDBOX_REQUIRED)
        return 0;
    return err_set(e, ERR_PERMANENT, "sandbox",
        "sandbox = required, but %s is not to be had here%s%s; see sandbox = best-effort", what,
        *why ? ": " : "", why);
}

int sandbox_close(
    enum role_kind kind, const struct config *config, struct sandbox_level *level, struct err *e)
{
    const struct profile *profile = &profiles[kind];
    struct err why;

    *level = (struct sandbox_level){0};
    if (config->sandbox == SANDBOX_OFF)
        return 0;
    level->mdwe = prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
    err_clear(&why);
    if (landlock_enter(profile, config, &level->landlock, &why) < 0) {
        *e = why;
        return -1;
    }
    if (level->landlock == 0 && missing(config->sandbox, "Landlock", "", e) < 0)
        return -1;
    level->seccomp = seccomp_enter(profile, &why) == 0;
    if (!level->seccomp && missing(config->sandbox, "seccomp", why.text, e) < 0)
        return -1;
#ifdef VEREDUS_SANITIZED
    closed = 1;
#endif
    return 0;
}
