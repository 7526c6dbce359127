#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"

#include "ipc/config.h"

#include "master/config_file.h"

enum {
    PROBLEMS_MAX = 1 << 20,
    READ_STEP = 65536,
};

static void print_line(const char *before, struct str text)
{
    struct buf line;

    buf_init(&line, PROBLEMS_MAX);
    escape_put(&line, text, ESCAPE_TERMINAL);
    fprintf(stderr, "%s%.*s\n", before, STR_ARG(buf_str(&line)));
    buf_done(&line);
}

int cmd_fail(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_line("veredus: ", str_c(text));
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

struct config *cmd_config(const struct cmd *c)
{
    struct config *config;
    struct buf problems;
    struct str rest, line;

    buf_init(&problems, PROBLEMS_MAX);
    config = config_file_read(c->config_path, &problems);
    rest = buf_str(&problems);
    while (!config && rest.n) {
        str_cut(&rest, '\n', &line);
        print_line("", line);
    }
    buf_done(&problems);
    return config;
}
