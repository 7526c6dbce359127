#include <fcntl.h>

#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

enum {
    PIECE = 256 * 1024, /* octets of large content read and written at a time */
};

static void stage_path(const struct mailboxes *m, uint64_t number, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/tmp/%llu", m->path, (unsigned long long)number);
}

static int clear_one(void *arg, const char *name)
{
    const struct mailboxes *m = arg;
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof path, "%s/tmp/%s", m->path, name);
    return sys->unlink(sys, path);
}

/* What an earlier life was about to deliver is still in the spool. */
int body_clear_stage(const struct mailboxes *m, struct err *e)
{
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];
    int status;

    (void)snprintf(path, sizeof path, "%s/tmp", m->path);
    status = sys->mkdir(sys, path, 0700);
    if (status == -EEXIST) {
        union {
            const struct mailboxes *c;
            void *p;
        } arg = {.c = m};
        status = sys->list(sys, path, clear_one, arg.p);
    }
    return status < 0 ? err_os(e, -status, "mailbox", "%s", path) : 0;
}

/* ---- staging: pieces read in the caller's fiber, written on a pool thread */

struct stage {
    struct mailboxes *m;
    const struct sys *sys;
    char path[PATH_SIZE];
    int h, status;
    uint64_t at;
    struct iovec piece;
    char octets[PIECE];
};

static void stage_create(void *arg)
{
    struct stage *s = arg;

    s->h = s->sys->open(s->sys, s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    s->status = s->h < 0 ? s->h : 0;
}

static void stage_write(void *arg)
{
    struct stage *s = arg;

    while (s->status >= 0 && s->piece.iov_len) {
        ssize_t n = s->sys->pwritev(s->sys, s->h, &s->piece, 1, s->at);
        s->status = n == 0 ? -EIO : n < 0 ? (int)n : 0;
        if (n <= 0)
            return;
        s->at += (uint64_t)n;
        s->piece.iov_base = (char *)s->piece.iov_base + n;
        s->piece.iov_len -= (size_t)n;
    }
}

static void stage_finish(void *arg)
{
    struct stage *s = arg;
    int status;

    if (s->status >= 0 && !s->m->settings.no_sync)
        s->status = s->sys->fdatasync(s->sys, s->h);
    status = s->sys->close(s->sys, s->h);
    if (s->status >= 0)
        s->status = status;
}

static void stage_remove(void *arg)
{
    struct stage *s = arg;

    s->status = s->sys->unlink(s->sys, s->path);
}

static int stage_status(const struct stage *s, struct err *e)
{
    return s->status < 0 ? err_os(e, -s->status, "mailbox", "%s", s->path) : 0;
}

static int stage_step(struct stage *s, void (*fn)(void *), struct err *e)
{
    if (pool_run(s->m->pool, fn, s, e) < 0)
        return -1;
    return stage_status(s, e);
}

/* What has to be done in any case: by a fiber that may not wait any longer, here and now. */
static int stage_last_step(struct stage *s, void (*fn)(void *), struct err *e)
{
    if (pool_run(s->m->pool, fn, s, NULL) < 0)
        fn(s);
    return stage_status(s, e);
}

/* Up to a piece of content from position `at` on, in s->octets. */
static int content_piece(
    const struct mail_content *c, uint64_t at, struct stage *s, size_t *got, struct err *e)
{
    size_t n = c->size - at < PIECE ? (size_t)(c->size - at) : PIECE;

    *got = n;
    if (c->content.p)
        memcpy(s->octets, c->content.p + at, n);
    else if (c->read(c->arg, at, s->octets, n, got, e) < 0)
        return -1;
    if (*got == 0 || *got > n)
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox",
            "content ends before its size");
    return 0;
}

static int stage_all(struct stage *s, const struct mail_content *c, struct err *e)
{
    size_t got;

    for (uint64_t at = 0; at < c->size; at += got) {
        if (content_piece(c, at, s, &got, e) < 0)
            return -1;
        s->piece = (struct iovec){s->octets, got};
        if (stage_step(s, stage_write, e) < 0)
            return -1;
    }
    return 0;
}

static struct stage *stage_new(struct mailboxes *m, uint64_t number)
{
    struct stage *s = mem_alloc(sizeof *s);

    if (!s)
        return NULL;
    s->m = m;
    s->sys = m->settings.sys;
    s->h = -1;
    s->status = 0;
    s->at = 0;
    stage_path(m, number, s->path);
    return s;
}

static int stage_content(struct mailboxes *m, struct source *src, struct err *e)
{
    struct stage *s;
    int status;

    src->number = m->next_stage++;
    s = stage_new(m, src->number);
    if (!s)
        return err_memory(e, "mailbox");
    status = stage_step(s, stage_create, e);
    if (status == 0) {
        src->staged = true;
        status = stage_all(s, src->content, e);
        if (stage_last_step(s, stage_finish, status < 0 ? NULL : e) < 0)
            status = -1;
    }
    mem_free(s);
    return status;
}

static int load_small(struct source *src, struct err *e)
{
    const struct mail_content *c = src->content;
    size_t got;

    if (c->content.p || c->size == 0) {
        src->text = str_of(c->content.p ? c->content.p : "", (size_t)c->size);
        return 0;
    }
    src->loaded = mem_alloc((size_t)c->size);
    if (!src->loaded)
        return err_memory(e, "mailbox");
    for (size_t at = 0; at < c->size; at += got)
        if (c->read(c->arg, at, src->loaded + at, (size_t)c->size - at, &got, e) < 0)
            return -1;
        else if (got == 0)
            return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox",
                "content ends before its size");
    src->text = str_of(src->loaded, (size_t)c->size);
    return 0;
}

void source_open(struct mailboxes *m, struct source *src)
{
    const struct mail_content *c = src->content;

    if (c->content.p && c->content.n != c->size)
        err_set_status(&src->why, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox",
            "content of another size than it says");
    else if (!body_cuts_sound(c->size, c->cut, c->cuts))
        err_set_status(&src->why, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox",
            "cuts that are not in the content");
    else if (c->size <= MAILBOX_INLINE_MAX)
        (void)load_small(src, &src->why);
    else
        (void)stage_content(m, src, &src->why);
}

void source_close(struct mailboxes *m, struct source *src)
{
    struct stage *s;

    mem_free(src->loaded);
    src->loaded = NULL;
    if (!src->staged)
        return;
    src->staged = false;
    s = stage_new(m, src->number);
    if (s)
        (void)stage_last_step(s, stage_remove, NULL); /* else the next start does */
    mem_free(s);
}

/* ---- into an account */

/* The directory for large bodies is made with the first of them. */
static int make_directory(const struct mailboxes *m, uint64_t account, char dir[PATH_SIZE])
{
    const struct sys *sys = m->settings.sys;
    char shard[PATH_SIZE];
    int status;

    store_path(m, account, STORE_BODIES, dir);
    status = sys->mkdir(sys, dir, 0700);
    if (status == -EEXIST)
        return 0;
    if (status < 0)
        return status;
    store_path(m, account, STORE_SHARD, shard);
    return sys->sync_dir(sys, shard);
}

/* A link, so that a large message to many accounts is written once. A file of that name is of a
 * delivery that never took place: no database row names it. */
int body_link(const struct mailboxes *m, uint64_t account, const struct source *src, int64_t body,
    struct err *e)
{
    const struct sys *sys = m->settings.sys;
    char from[PATH_SIZE], to[PATH_SIZE], dir[PATH_SIZE];
    int status = make_directory(m, account, dir);

    stage_path(m, src->number, from);
    store_body_path(m, account, body, to);
    if (status == 0)
        status = sys->link(sys, from, to);
    if (status == -EEXIST) {
        status = sys->unlink(sys, to);
        if (status == 0)
            status = sys->link(sys, from, to);
    }
    if (status == 0 && !m->settings.no_sync)
        status = sys->sync_dir(sys, dir);
    return status < 0 ? err_os(e, -status, "mailbox", "%s", to) : 0;
}

/* ---- reading */

bool body_cuts_sound(uint64_t content, const uint64_t *cut, uint32_t cuts)
{
    uint64_t end = 0;

    if (cuts > MAILBOX_CUTS_MAX)
        return false;
    for (uint32_t i = 0; i < cuts; i++) {
        uint64_t from = cut[2 * i], n = cut[2 * i + 1];
        if (from < end || from > content || n > content - from)
            return false;
        end = from + n;
    }
    return true;
}

uint64_t body_size(uint64_t prefix, uint64_t content, const uint64_t *cut, uint32_t cuts)
{
    uint64_t size = prefix + content;

    for (uint32_t i = 0; i < cuts; i++)
        size -= cut[2 * i + 1];
    return size;
}

/* Reads [from, to) of content as far as it lies in [*at, …) of what is left to skip. */
static int read_span(struct body_reader *r, uint64_t from, uint64_t to, uint64_t *skip, size_t *n,
    struct buf *out, struct err *e)
{
    uint64_t length = to - from;
    size_t take;

    if (*skip >= length) {
        *skip -= length;
        return 0;
    }
    from += *skip;
    *skip = 0;
    take = to - from < *n ? (size_t)(to - from) : *n;
    if (take && r->read(r, from, out, take, e) < 0)
        return -1;
    *n -= take;
    return 0;
}

int body_read(struct body_reader *r, uint64_t at, size_t n, struct buf *out, struct err *e)
{
    uint64_t skip = 0, from = 0;

    if (at < r->prefix.n) {
        struct str head = str_sub(r->prefix, (size_t)at, n);
        if (buf_put(out, head) < 0)
            return err_memory(e, "mailbox");
        n -= head.n;
    } else {
        skip = at - r->prefix.n;
    }
    for (uint32_t i = 0; i <= r->cuts && n; i++) {
        uint64_t to = i < r->cuts ? r->cut[2 * i] : r->content;
        if (read_span(r, from, to, &skip, &n, out, e) < 0)
            return -1;
        if (i < r->cuts)
            from = to + r->cut[2 * i + 1];
    }
    return 0;
}
