#include "core/queue/holds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include "run/fiber.h"

#include "core/queue/pattern.h"

enum {
    PATH_SIZE = 1100,
    LINE_SIZE = 2 * PATTERN_MAX + 64,
    FILE_MAX = HOLDS_MAX * LINE_SIZE,
};

struct rule {
    struct hold_rule said; /* its slices point behind it */
    char octets[];
};

struct holds {
    const struct sys *sys;
    char path[PATH_SIZE], dir[PATH_SIZE];
    struct rule *rule[HOLDS_MAX];
    uint32_t count;
    bool changing;
};

static struct rule *rule_new(struct str to, struct str from, int64_t since_ms)
{
    struct rule *r = mem_alloc(sizeof *r + to.n + from.n);

    if (!r)
        return NULL;
    if (to.n)
        memcpy(r->octets, to.p, to.n);
    if (from.n)
        memcpy(r->octets + to.n, from.p, from.n);
    r->said.to = str_of(r->octets, to.n);
    r->said.from = str_of(r->octets + to.n, from.n);
    r->said.since_ms = since_ms;
    return r;
}

void holds_close(struct holds **h)
{
    if (!*h)
        return;
    for (uint32_t i = 0; i < (*h)->count; i++)
        mem_free((*h)->rule[i]);
    mem_free(*h);
    *h = NULL;
}

/* ---- the file: a first line, "SINCE TAB TO TAB FROM" for each rule, and "sum" with the CRC-32C of
 * all before */

static const struct str first_line = STR_INIT("veredus holds 1\n");

static void put_file(const struct holds *h, struct buf *out)
{
    buf_put(out, first_line);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct hold_rule *r = &h->rule[i]->said;
        buf_printf(
            out, "%lld\t%.*s\t%.*s\n", (long long)r->since_ms, STR_ARG(r->to), STR_ARG(r->from));
    }
    buf_printf(out, "sum %08x\n", crc32c(buf_str(out)));
}

static bool parse_line(struct holds *h, struct str line)
{
    struct str since, to, from = line;
    uint64_t ms;

    if (!str_cut(&from, '\t', &since) || !str_cut(&from, '\t', &to) ||
        !str_to_u64(since, INT64_MAX, &ms) || h->count == HOLDS_MAX || (!to.n && !from.n))
        return false;
    if ((to.n && pattern_problem(to)) || (from.n && pattern_problem(from)))
        return false;
    h->rule[h->count] = rule_new(to, from, (int64_t)ms);
    return h->rule[h->count] && ++h->count;
}

static bool parse_file(struct holds *h, struct str text)
{
    struct str rest = text, line;
    uint64_t sum;

    if (!str_starts(rest, first_line))
        return false;
    rest = str_from(rest, first_line.n);
    while (!str_starts(rest, STR("sum ")))
        if (!str_cut(&rest, '\n', &line) || !parse_line(h, line))
            return false;
    text.n -= rest.n;
    return str_cut(&rest, '\n', &line) && rest.n == 0 &&
           str_to_hex64(str_from(line, 4), UINT32_MAX, &sum) && sum == crc32c(text);
}

/* 0 octets where there is no file. */
static int read_file(const struct holds *h, struct buf *out)
{
    int fd = h->sys->open(h->sys, h->path, O_RDONLY, 0);
    ssize_t n = 0;

    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    do {
        char *p = buf_reserve(out, 16 * 1024);
        n = p ? h->sys->pread(h->sys, fd, p, 16 * 1024, buf_len(out)) : -ENOMEM;
        if (n > 0)
            buf_advance(out, (size_t)n);
    } while (n > 0);
    h->sys->close(h->sys, fd);
    return (int)n;
}

static int load(struct holds *h, struct err *e)
{
    struct buf text;
    int rc;

    buf_init(&text, FILE_MAX);
    rc = read_file(h, &text);
    if (rc < 0)
        rc = err_os(e, -rc, "queue", "%s: cannot read", h->path);
    else if (buf_len(&text) && !parse_file(h, buf_str(&text)))
        rc = err_set(e, ERR_PERMANENT, "queue",
            "%s: damaged: mail would go that is to be held; remove it to begin without rules",
            h->path);
    buf_done(&text);
    return rc;
}

int holds_open(struct holds **out, const struct sys *sys, const char *path, struct err *e)
{
    struct holds *h = MEM_NEW(struct holds);
    ptrdiff_t slash = str_find_last(str_c(path), '/');

    if (!h)
        return err_memory(e, "queue");
    h->sys = sys;
    snprintf(h->path, sizeof h->path, "%s", path);
    snprintf(h->dir, sizeof h->dir, "%.*s", (int)(slash > 0 ? slash : 1), slash < 0 ? "." : path);
    if (load(h, e) < 0) {
        holds_close(&h);
        return -1;
    }
    *out = h;
    return 0;
}

/* ---- asking */

static bool rule_fits(const struct hold_rule *r, struct str from, struct str to)
{
    return (r->to.n == 0 || pattern_fits_address(r->to, to)) &&
           (r->from.n == 0 || pattern_fits_address(r->from, from));
}

const struct hold_rule *holds_find(const struct holds *h, struct str from, struct str to)
{
    for (uint32_t i = 0; h && i < h->count; i++)
        if (rule_fits(&h->rule[i]->said, from, to))
            return &h->rule[i]->said;
    return NULL;
}

bool holds_match(const struct holds *h, struct str from, struct str to)
{
    return holds_find(h, from, to) != NULL;
}

uint32_t holds_count(const struct holds *h)
{
    return h ? h->count : 0;
}

const struct hold_rule *holds_get(const struct holds *h, uint32_t i)
{
    return &h->rule[i]->said;
}

/* ---- changing */

struct save {
    const struct holds *holds;
    char path[PATH_SIZE + 8]; /* of the new file, beside */
    struct buf text;
    int rc;
};

/* The new file is durable before it has the name, and the name before anybody is told. */
static void save_job(void *arg)
{
    struct save *s = arg;
    const struct holds *h = s->holds;
    const struct sys *sys = h->sys;
    struct iovec v = {(void *)(uintptr_t)buf_str(&s->text).p, buf_len(&s->text)};
    int fd = sys->open(sys, s->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    s->rc = fd;
    if (fd < 0)
        return;
    n = sys->pwritev(sys, fd, &v, 1, 0);
    s->rc = n < 0 ? (int)n : n < (ssize_t)v.iov_len ? -ENOSPC : sys->fsync(sys, fd);
    sys->close(sys, fd);
    if (s->rc >= 0)
        s->rc = sys->rename(sys, s->path, h->path);
    if (s->rc >= 0)
        s->rc = sys->sync_dir(sys, h->dir);
}

static int save(struct holds *h, struct pool *pool, struct err *e)
{
    struct save *s = MEM_NEW(struct save);
    int rc;

    if (!s)
        return err_memory(e, "queue");
    s->holds = h;
    snprintf(s->path, sizeof s->path, "%s.new", h->path);
    buf_init(&s->text, FILE_MAX);
    put_file(h, &s->text);
    rc = buf_ok(&s->text) ? pool_run(pool, save_job, s, e) : err_memory(e, "queue");
    if (rc == 0 && s->rc < 0)
        rc = err_os(e, -s->rc, "queue", "%s: cannot write", h->path);
    buf_done(&s->text);
    mem_free(s);
    return rc;
}

static uint32_t place_of(const struct holds *h, struct str to, struct str from)
{
    uint32_t i = 0;

    while (i < h->count &&
           !(str_eq_ascii(h->rule[i]->said.to, to) && str_eq_ascii(h->rule[i]->said.from, from)))
        i++;
    return i;
}

static int check_change(struct holds *h, struct str to, struct str from, struct err *e)
{
    const char *problem = to.n ? pattern_problem(to) : NULL;

    if (!problem && from.n)
        problem = pattern_problem(from);
    if (!to.n && !from.n)
        problem = "is empty";
    if (problem)
        return err_set(e, ERR_PERMANENT, "queue", "a pattern that %s", problem);
    if (h->changing)
        return err_set(e, ERR_TEMPORARY, "queue", "another change of the rules is being written");
    return 0;
}

/* From here on mail is held, and stays so only if it could be written. */
int holds_add(struct holds *h, struct pool *pool, struct str to, struct str from, struct err *e)
{
    int rc;

    if (check_change(h, to, from, e) < 0)
        return -1;
    if (place_of(h, to, from) < h->count)
        return 1;
    if (h->count == HOLDS_MAX)
        return err_set(e, ERR_PERMANENT, "queue", "there are %u rules already", HOLDS_MAX);
    h->rule[h->count] = rule_new(to, from, h->sys->wall_ns(h->sys) / 1000000);
    if (!h->rule[h->count])
        return err_memory(e, "queue");
    h->count++;
    h->changing = true;
    rc = save(h, pool, e);
    h->changing = false;
    if (rc < 0)
        mem_free(h->rule[--h->count]);
    return rc;
}

/* Where it cannot be written the rule comes back. */
int holds_remove(struct holds *h, struct pool *pool, struct str to, struct str from, struct err *e)
{
    struct rule *gone;
    uint32_t at;
    int rc;

    if (check_change(h, to, from, e) < 0)
        return -1;
    at = place_of(h, to, from);
    if (at == h->count)
        return 1;
    gone = h->rule[at];
    memmove(h->rule + at, h->rule + at + 1, (h->count - at - 1) * sizeof *h->rule);
    h->count--;
    h->changing = true;
    rc = save(h, pool, e);
    h->changing = false;
    if (rc < 0) {
        memmove(h->rule + at + 1, h->rule + at, (h->count - at) * sizeof *h->rule);
        h->rule[at] = gone;
        h->count++;
        return rc;
    }
    mem_free(gone);
    return 0;
}
