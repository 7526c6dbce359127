#include "master/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    PROBLEMS_ARENA = 1 << 20,
    READ_STEP = 16384,
};

/* Everything up to one octet more than may be. */
static int read_all(int fd, struct buf *out)
{
    for (;;) {
        char *to = buf_reserve(out, READ_STEP);
        ssize_t n;
        if (!to)
            return buf_len(out) > CONFIG_SIZE_MAX ? -EFBIG : -ENOMEM;
        n = read(fd, to, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return buf_len(out) > CONFIG_SIZE_MAX ? -EFBIG : 0;
        buf_advance(out, (size_t)n);
    }
}

static int read_file(const char *path, struct buf *out)
{
    /* Not blocking: it may be a pipe that nobody writes. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;

    if (fd < 0)
        return -errno;
    result = read_all(fd, out);
    close(fd);
    return result;
}

static void put_problem(struct buf *out, const char *path, const struct config_problem *p)
{
    buf_put(out, str_c(path));
    if (p->line)
        buf_printf(out, ":%u", p->line);
    buf_put(out, STR(": "));
    buf_put(out, p->text);
    buf_put_c(out, '\n');
}

struct config *config_file_read(const char *path, struct buf *problems)
{
    struct config_problems found = {0};
    struct config *config = NULL;
    struct arena arena;
    struct buf text;
    struct err e;
    int result;

    buf_init(&text, CONFIG_SIZE_MAX + 2 * READ_STEP);
    arena_init(&arena, PROBLEMS_ARENA);
    result = read_file(path, &text);
    if (result < 0) {
        err_os(&e, -result, "master", "%s: cannot read", path);
        buf_printf(problems, "%s\n", e.text);
    } else {
        config = config_parse(buf_str(&text), &arena, &found);
    }
    for (uint32_t i = 0; !config && i < found.count; i++)
        put_problem(problems, path, &found.v[i]);
    buf_done(&text);
    arena_done(&arena);
    return config;
}
