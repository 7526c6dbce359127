#include "core/queue/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include "mail/srs.h"

#include "core/directory/directory.h"

enum {
    PATH_SIZE = 1024,
    FILE_MAX = 16 * 1024,
    KEY_OCTETS = 32, /* of a new one */
    KEY_LEAST = 16,
    KEY_MOST = 256,
};

struct keys {
    struct arena arena;
    struct str v[FORWARD_KEYS_MAX];
    unsigned count;
};

struct forward {
    const struct sys *sys;
    const struct config *config;
    struct directory *directory;
    struct keys keys;
};

/* ---- the file */

static int file_failed(struct err *e, int error, const char *path)
{
    return err_os(e, -error, "forward", "%s", path);
}

static void path_of(struct str data, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%.*s/queue/srs.key", STR_ARG(data));
}

static int write_key(const struct sys *sys, const char *path, int h, struct err *e)
{
    char octets[KEY_OCTETS];
    struct iovec line;
    struct buf text;
    ssize_t n;
    int rc;

    sys->random(sys, octets, sizeof octets);
    buf_init(&text, FILE_MAX);
    base64_encode(str_of(octets, sizeof octets), &text);
    if (buf_put_c(&text, '\n') < 0) {
        buf_done(&text);
        return err_memory(e, "forward");
    }
    line = (struct iovec){(void *)(uintptr_t)buf_str(&text).p, buf_len(&text)};
    n = sys->pwritev(sys, h, &line, 1, 0);
    rc = n < 0 ? (int)n : (size_t)n < line.iov_len ? -EIO : sys->fsync(sys, h);
    buf_done(&text);
    return rc < 0 ? file_failed(e, rc, path) : 0;
}

/* Under another name first: what stands in srs.key is whole. */
static int make_file(const struct sys *sys, struct str data, const char *path, struct err *e)
{
    char fresh[PATH_SIZE + 8], directory[PATH_SIZE];
    int h, rc, status;

    snprintf(fresh, sizeof fresh, "%s.new", path);
    snprintf(directory, sizeof directory, "%.*s/queue", STR_ARG(data));
    h = sys->open(sys, fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (h < 0)
        return file_failed(e, h, fresh);
    status = write_key(sys, fresh, h, e);
    sys->close(sys, h);
    if (status < 0)
        return -1;
    rc = sys->rename(sys, fresh, path);
    if (rc == 0)
        rc = sys->sync_dir(sys, directory);
    return rc < 0 ? file_failed(e, rc, path) : 0;
}

static int prepare(const struct sys *sys, struct str data, struct err *e)
{
    char path[PATH_SIZE];
    struct sys_stat st;
    int rc;

    path_of(data, path);
    rc = sys->stat(sys, path, &st);
    if (rc == -ENOENT)
        return make_file(sys, data, path, e);
    return rc < 0 ? file_failed(e, rc, path) : 0;
}

static int take_keys(struct keys *keys, struct str text, const char *path, struct err *e)
{
    struct str line;

    for (unsigned number = 1; text.n; number++) {
        char octets[KEY_MOST];
        size_t n;
        str_cut(&text, '\n', &line);
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (keys->count == FORWARD_KEYS_MAX || !base64_decode(line, octets, sizeof octets, &n) ||
            n < KEY_LEAST)
            return err_set(e, ERR_PERMANENT, "forward",
                "%s:%u: not a key: at most %d lines of Base 64, each of %d to %d octets", path,
                number, FORWARD_KEYS_MAX, KEY_LEAST, KEY_MOST);
        if (!arena_dup(&keys->arena, str_of(octets, n), &keys->v[keys->count]))
            return err_memory(e, "forward");
        keys->count++;
    }
    return keys->count ? 0 : err_set(e, ERR_PERMANENT, "forward", "%s: holds no key", path);
}

static int read_keys(struct forward *f, struct keys *keys, struct err *e)
{
    char path[PATH_SIZE];
    char *text;
    ssize_t n;
    int h;

    *keys = (struct keys){0};
    path_of(f->config->data, path);
    h = f->sys->open(f->sys, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (h < 0)
        return file_failed(e, h, path);
    arena_init(&keys->arena, 4 * FILE_MAX);
    text = arena_alloc(&keys->arena, FILE_MAX);
    n = text ? f->sys->pread(f->sys, h, text, FILE_MAX, 0) : -ENOMEM;
    f->sys->close(f->sys, h);
    if (n < 0)
        file_failed(e, (int)n, path);
    else if (take_keys(keys, str_of(text, (size_t)n), path, e) == 0)
        return 0;
    arena_done(&keys->arena);
    return -1;
}

int forward_open(struct forward **out, const struct sys *sys, const struct config *config,
    struct directory *directory, struct err *e)
{
    struct forward *f = MEM_NEW(struct forward);

    if (!f)
        return err_memory(e, "forward");
    f->sys = sys;
    f->config = config;
    f->directory = directory;
    if (prepare(sys, config->data, e) < 0 || read_keys(f, &f->keys, e) < 0) {
        mem_free(f);
        return -1;
    }
    *out = f;
    return 0;
}

void forward_close(struct forward **out)
{
    if (!*out)
        return;
    arena_done(&(*out)->keys.arena);
    mem_free(*out);
    *out = NULL;
}

int forward_reconfigure(struct forward *f, const struct config *config, struct err *e)
{
    struct keys keys;

    f->config = config;
    if (read_keys(f, &keys, e) < 0)
        return -1;
    arena_done(&f->keys.arena);
    f->keys = keys;
    return 0;
}

/* ---- out */

static bool is_local(const struct forward *f, struct str domain)
{
    return directory_is_local(f->directory, domain);
}

/* The domain of an address of ours that was given at RCPT. */
static struct str domain_of(struct str address)
{
    struct mailbox m;

    return mailbox_parse(address, &m, NULL) < 0 ? STR_NONE : m.domain;
}

/* Given here, and led elsewhere: neither mail that is passed on to where it was sent, nor a map
 * between two addresses that are nobody's here. */
static bool is_forwarded(const struct forward *f, const struct envelope *envelope, uint32_t index)
{
    const struct target *t = &envelope->target[index];
    struct str given, domain;

    if (t->kind != TARGET_ADDRESS || t->given >= envelope->given.count)
        return false;
    given = envelope->given.rcpt[t->given].address;
    domain = domain_of(given);
    return !str_eq_ascii(given, t->address) && !is_local(f, domain_of(t->address)) &&
           (domain.n == 0 || directory_has_domain(f->directory, domain));
}

static struct str srs_domain(
    const struct forward *f, const struct envelope *envelope, uint32_t index)
{
    uint32_t given = envelope->target[index].given;
    struct str alias = domain_of(envelope->given.rcpt[given].address);

    if (is_local(f, f->config->origin))
        return f->config->origin;
    return alias.n && is_local(f, alias) ? alias : f->config->hostname;
}

int forward_reverse_path(const struct forward *f, struct arena *a, const struct envelope *envelope,
    uint32_t index, struct str *out, struct err *e)
{
    struct str from = envelope->given.reverse_path;
    struct srs srs = {.keys = f->keys.v, .key_count = f->keys.count};
    struct mailbox sender;
    struct buf made;
    bool ok = true;

    *out = from;
    if (!f->config->srs || from.n == 0 || mailbox_parse(from, &sender, NULL) < 0 ||
        is_local(f, sender.domain) || !is_forwarded(f, envelope, index))
        return 0;
    srs.domain = srs_domain(f, envelope, index);
    buf_init(&made, ADDRESS_KEY_MAX);
    if (srs_forward(&srs, &sender, wall_ms(), &made, NULL) == 0)
        ok = arena_dup(a, buf_str(&made), out);
    buf_done(&made);
    return ok ? 0 : err_memory(e, "forward");
}

/* ---- back */

static bool is_ours(const struct forward *f, struct str domain)
{
    return str_eq_ascii(domain, f->config->hostname) || str_eq_ascii(domain, f->config->origin) ||
           is_local(f, domain);
}

int forward_back(
    const struct forward *f, struct arena *a, struct str address, struct str *out, struct err *e)
{
    struct srs srs = {.keys = f->keys.v, .key_count = f->keys.count};
    char storage[ADDRESS_LOCAL_MAX];
    struct mailbox m;
    struct buf made;
    struct str local;
    int status;

    if (mailbox_parse(address, &m, NULL) < 0)
        return 0;
    local = mailbox_local(&m, storage);
    if (!srs_is_rewritten(local) || !is_ours(f, m.domain))
        return 0;
    srs.domain = m.domain;
    buf_init(&made, ADDRESS_KEY_MAX);
    status = srs_reverse(&srs, local, wall_ms(), &made, e);
    if (status == 0)
        status = arena_dup(a, buf_str(&made), out) ? 1 : err_memory(e, "forward");
    buf_done(&made);
    return status;
}
