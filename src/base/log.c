#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/timefmt.h"
#include "base/utf8.h"

enum {
    RECORD_MAX = PIPE_BUF, /* a write of so many octets to a pipe is whole or none (pipe(7)) */
    VALUE_MAX = 1024,      /* octets of one value before escaping */
    LEVELS_MAX = 16,       /* events above one another */
    GATHERED_MAX = 8 * RECORD_MAX, /* less than a pipe holds */
};

static struct log_settings log_to = {.fd = -1, .level = LOG_INFO, .process = ""};
static bool must_poll;
static atomic_uint_least64_t dropped, dropped_told;

/* A record in the making: what does not fit turns it bad (full), and is taken back to the last
 * mark. The space is a thread's, since fibers have small stacks; nothing here suspends. */
struct record {
    char octets[RECORD_MAX];
    size_t n;
    bool full;
};
static _Thread_local struct record space;

/* Records of the gathering thread that wait for log_flush(): whole ones, one after the other. */
static char gathered[GATHERED_MAX];
static size_t gathered_n;
static void (*on_gathered)(void);
static _Thread_local bool gathers;

void log_open(const struct log_settings *settings)
{
    int flags = fcntl(settings->fd, F_GETFL);

    log_to = *settings;
    /* A terminal or file that others hold too must not be made non-blocking for all of them. */
    must_poll = flags >= 0 && !(flags & O_NONBLOCK);
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped);
}

bool log_enabled(enum log_level level)
{
    return level <= log_to.level && log_to.fd >= 0;
}

static void put(struct record *r, struct str s)
{
    if (r->full || s.n > sizeof r->octets - r->n) {
        r->full = true;
        return;
    }
    memcpy(r->octets + r->n, s.p, s.n);
    r->n += s.n;
}

static void put_c(struct record *r, const char *s)
{
    put(r, str_c(s));
}

static void put_escaped(struct record *r, struct str s, enum escape_form form)
{
    char piece[256];
    struct str head;

    for (; !str_empty(s) && !r->full; s = str_from(s, head.n)) {
        head = utf8_head(s, 32); /* becomes at most eight times as long */
        put(r, escape_copy(piece, sizeof piece, head, form));
    }
}

static void put_number(struct record *r, uint64_t v, bool negative)
{
    char digits[21];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (negative)
        digits[--at] = '-';
    put(r, str_of(digits + at, sizeof digits - at));
}

static bool must_quote(struct str s)
{
    return str_empty(s) || str_find(s, ' ') >= 0 || str_find(s, '=') >= 0 ||
           escape_needed(s, ESCAPE_TEXT);
}

static void put_text(struct record *r, struct str s)
{
    bool cut = s.n > VALUE_MAX, quote;

    s = utf8_head(s, VALUE_MAX);
    quote = log_to.json || cut || must_quote(s);
    if (quote)
        put_c(r, "\"");
    put_escaped(r, s, log_to.json ? ESCAPE_JSON : ESCAPE_TEXT);
    if (cut)
        put_c(r, "…");
    if (quote)
        put_c(r, "\"");
}

static void put_value(struct record *r, const struct kv *kv)
{
    switch (kv->kind) {
    case KV_STR:
        put_text(r, kv->s);
        return;
    case KV_U64:
        put_number(r, kv->u, false);
        return;
    case KV_I64:
        put_number(r, kv->i < 0 ? 0 - (uint64_t)kv->i : (uint64_t)kv->i, kv->i < 0);
        return;
    case KV_BOOL:
        put_c(r, log_to.json ? (kv->u ? "true" : "false") : (kv->u ? "yes" : "no"));
        return;
    }
}

/* A field that does not fit is left out whole, and those after it, so that a record always ends
 * well-formed. RESERVE octets are kept for the end. */
static void put_field(struct record *r, const struct kv *kv)
{
    enum {
        RESERVE = 32
    };
    size_t mark = r->n;

    if (r->full)
        return;
    put_c(r, log_to.json ? ",\"" : " ");
    put_c(r, kv->key);
    put_c(r, log_to.json ? "\":" : "=");
    put_value(r, kv);
    if (r->full || r->n > sizeof r->octets - RESERVE) {
        r->full = true;
        r->n = mark;
    }
}

static void put_end(struct record *r)
{
    bool cut = r->full;

    r->full = false;
    if (cut)
        put_c(r, log_to.json ? ",\"cut\":true" : " cut=yes");
    put_c(r, log_to.json ? "}\n" : "\n");
}

static void put_start(struct record *r, enum log_level level, const char *name)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    char time[TIME_RFC3339_SIZE];

    r->n = 0;
    r->full = false;
    put_c(r, log_to.json ? "{\"time\":\"" : "");
    put(r, time_rfc3339(log_to.wall_ms ? log_to.wall_ms() : wall_ms(), time));
    put_c(r, log_to.json ? "\",\"level\":\"" : " ");
    put_c(r, words[level]);
    put_c(r, log_to.json ? "\",\"process\":\"" : " ");
    put_c(r, log_to.process);
    put_c(r, log_to.json ? "\",\"event\":\"" : " ");
    put_c(r, name);
    put_c(r, log_to.json ? "\"" : "");
}

static bool send(struct str octets)
{
    struct pollfd ready = {.fd = log_to.fd, .events = POLLOUT};
    ssize_t n;

    if (must_poll && poll(&ready, 1, 0) != 1)
        return false;
    do
        n = write(log_to.fd, octets.p, octets.n);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)octets.n;
}

static size_t count_records(struct str octets)
{
    size_t n = 0;
    struct str line;

    while (octets.n) {
        str_cut(&octets, '\n', &line);
        n++;
    }
    return n;
}

void log_gather(void (*pending)(void))
{
    on_gathered = pending;
    gathers = pending != NULL;
}

void log_flush(void)
{
    struct str rest = str_of(gathered, gathered_n);

    while (rest.n) {
        struct str head = str_head(rest, RECORD_MAX);
        head = str_head(head, (size_t)(str_find_last(head, '\n') + 1));
        if (!send(head))
            atomic_fetch_add(&dropped, count_records(head));
        rest = str_from(rest, head.n);
    }
    gathered_n = 0;
}

/* What is wrong should be seen at once, and outlive a process that dies of it. */
static bool gather_or_send(const struct record *r, enum log_level level)
{
    if (!gathers)
        return send(str_of(r->octets, r->n));
    if (r->n > sizeof gathered - gathered_n)
        log_flush();
    if (gathered_n == 0)
        on_gathered();
    memcpy(gathered + gathered_n, r->octets, r->n);
    gathered_n += r->n;
    if (level == LOG_ERROR)
        log_flush();
    return true;
}

/* As soon as there is room again the log itself says how much it lacks. */
static bool tell_dropped(void)
{
    uint64_t now = atomic_load(&dropped), told = atomic_load(&dropped_told);
    struct kv records = kv_u64("records", now - told);

    if (now == told)
        return true;
    put_start(&space, LOG_WARNING, "log_dropped");
    put_field(&space, &records);
    put_end(&space);
    if (!send(str_of(space.octets, space.n)))
        return false;
    atomic_store(&dropped_told, now);
    return true;
}

/* Does a level nearer to the record have this key too? The nearest wins. */
static bool overridden(
    const struct event *const *levels, unsigned depth, unsigned nearest, const char *key)
{
    for (unsigned level = nearest; level < depth; level++)
        for (unsigned i = 0; i < levels[level]->count; i++)
            if (strcmp(levels[level]->fields[i].key, key) == 0)
                return true;
    return false;
}

void log_write(enum log_level level, const struct event *event, const char *name,
    const struct kv *fields, unsigned count)
{
    const struct event own = {.fields = fields, .count = count};
    const struct event *levels[LEVELS_MAX];
    unsigned first = LEVELS_MAX;
    int error = errno;

    if (!log_enabled(level))
        return;
    levels[--first] = &own;
    for (; event && first; event = event->parent)
        levels[--first] = event;
    if (tell_dropped()) {
        put_start(&space, level, name);
        for (unsigned at = first; at < LEVELS_MAX; at++)
            for (unsigned i = 0; i < levels[at]->count; i++)
                if (!overridden(levels, LEVELS_MAX, at + 1, levels[at]->fields[i].key))
                    put_field(&space, &levels[at]->fields[i]);
        put_end(&space);
        if (!gather_or_send(&space, level))
            atomic_fetch_add(&dropped, 1);
    } else {
        atomic_fetch_add(&dropped, 1);
    }
    errno = error;
}
