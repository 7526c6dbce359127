#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"

#include "ipc/config.h"

enum {
    CONFIG_MAX = 1 << 20,
    PROBLEMS_ARENA = 8 << 20,
    READ_STEP = 65536,
};

int cmd_fail(const char *format, ...)
{
    char text[1024];
    struct buf line;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_init(&line, 8192);
    escape_put(&line, str_c(text), ESCAPE_TERMINAL);
    fprintf(stderr, "veredus: %.*s\n", STR_ARG(buf_str(&line)));
    buf_done(&line);
    return EXIT_FAILED;
}

int cmd_fail_err(const struct err *e)
{
    return cmd_fail("%s", e->text);
}

static int read_all(int fd, const char *path, size_t max, struct buf *out, struct err *e)
{
    for (;;) {
        size_t room = max - buf_len(out) < READ_STEP ? max - buf_len(out) : READ_STEP;
        char spare, *to = room ? buf_reserve(out, room) : &spare;
        ssize_t n;

        if (!to)
            return err_memory(e, "cmd");
        n = read(fd, to, room ? room : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(e, errno, "cmd", "%s: cannot read", path);
        if (n == 0)
            return 0;
        if (!room)
            return err_set(e, ERR_PERMANENT, "cmd", "%s: larger than %zu octets", path, max);
        buf_advance(out, (size_t)n);
    }
}

int cmd_read_file(const char *path, size_t max, struct buf *out, struct err *e)
{
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return err_os(e, errno, "cmd", "%s: cannot open", path);
    result = read_all(fd, path, max, out, e);
    close(fd);
    return result;
}

static void print_problems(const char *path, const struct config_problems *problems)
{
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct config_problem *p = &problems->v[i];
        struct buf line;
        buf_init(&line, 4096);
        escape_put(&line, p->text, ESCAPE_TERMINAL);
        if (p->line)
            fprintf(stderr, "%s:%u: %.*s\n", path, p->line, STR_ARG(buf_str(&line)));
        else
            fprintf(stderr, "%s: %.*s\n", path, STR_ARG(buf_str(&line)));
        buf_done(&line);
    }
}

struct config *cmd_config(const struct cmd *c)
{
    struct config_problems problems = {0};
    struct config *config = NULL;
    struct arena arena;
    struct buf text;
    struct err e;

    buf_init(&text, CONFIG_MAX + READ_STEP);
    arena_init(&arena, PROBLEMS_ARENA);
    if (cmd_read_file(c->config_path, CONFIG_MAX, &text, &e) < 0)
        cmd_fail_err(&e);
    else if (!(config = config_parse(buf_str(&text), &arena, &problems)))
        print_problems(c->config_path, &problems);
    arena_done(&arena);
    buf_done(&text);
    return config;
}
