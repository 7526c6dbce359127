#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/str.h"

#include "ipc/note.h"
#include "ipc/role_start.h"

#include "master/master.h"
#include "master/rooms.h"
#include "master/sandbox.h"

/* The process in a role, from main() to its end. */

static const char TITLE[] = "veredus: ";

enum {
    MASTER_FD = 3,
    PAGE_FD = 4,
};

struct work {
    struct role role;
    struct event event;
    int status;
};

bool master_is_role(const char *title)
{
    return strncmp(title, TITLE, strlen(TITLE)) == 0;
}

static void flush_log(struct turn_hook *hook)
{
    (void)hook;
    log_flush();
}

/* One write a turn of the loop for all that it had to say. */
static void flush_at_turn_end(void)
{
    static struct turn_hook hook = {.fn = flush_log};

    run_at_turn_end(&hook);
}

static void open_log(const struct role *r)
{
    log_open(&(struct log_settings){.fd = STDERR_FILENO,
        .level = r->config->log.level,
        .json = r->config->log.format == LOG_FORMAT_JSON,
        .process = role_kind_name(r->kind)});
    log_gather(flush_at_turn_end);
}

static int close_walls(struct role *r, struct err *e)
{
    struct sandbox_level level;

    if (sandbox_close(r->kind, r->config, &level, e) < 0)
        return -1;
    log_info(r->event, "sandbox", kv_c("role", role_kind_name(r->kind)),
        kv_c("class", role_class_name(r->class)), kv_bool("seccomp", level.seccomp),
        kv_i64("landlock", level.landlock), kv_bool("mdwe", level.mdwe));
    return 0;
}

static int live(struct work *w, struct err *e)
{
    const struct role_room *room;

    if (role_receive(&w->role, MASTER_FD, e) < 0)
        return -1;
    w->role.event = &w->event;
    open_log(&w->role);
    room = &role_rooms[w->role.kind];
    if (room->prepare(&w->role, e) < 0 || close_walls(&w->role, e) < 0)
        return -1;
    return room->run(&w->role, e);
}

static void live_in_fiber(void *arg)
{
    struct work *w = arg;
    struct err e;

    if (live(w, &e) < 0) {
        role_failed(&w->role, &e);
        w->status = EXIT_FAILURE;
    }
    run_stop();
}

/* What this process works on is to be seen when it has died; master reads it then. */
static int open_page(struct err *e)
{
    void *page = mmap(NULL, NOTE_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FD, 0);

    if (page == MAP_FAILED)
        return err_os(e, errno, "role", "the page shared with master");
    close(PAGE_FD);
    run_note_page(page);
    return 0;
}

int master_role_main(int argc, char **argv)
{
    struct work work = {.status = EXIT_SUCCESS};
    struct scope scope;
    struct err e;

    (void)argc;
    /* The terminal's Ctrl-C and hang-up are for master. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (sandbox_begin(argv[0] + strlen(TITLE), PAGE_FD + 1, &e) < 0 || run_open(&e) < 0 ||
        open_page(&e) < 0) {
        dprintf(STDERR_FILENO, "veredus: %s\n", e.text);
        return EXIT_FAILURE;
    }
    scope_init(&scope);
    if (fiber_start(&scope, "role", live_in_fiber, &work, &e) < 0)
        return EXIT_FAILURE;
    run_loop();
    log_flush();
    /* What the walls left of it is not worth an orderly end: nothing here is kept. */
    _exit(work.status);
}
