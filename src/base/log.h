/* base/log.h: structured events with inherited fields.
 *
 * An event belongs to something (a process, a connection, a transaction) and has fields; its
 * parent's fields come with it. One line an event on the log descriptor: 2026-11-22T04:19:20.123Z
 * info inbound mail_accepted id=0abc… from=<a@b.example> bytes=10240 or a JSON object a line.
 * Values are quoted where needed and every control octet, DEL, quote, backslash and invalid UTF-8
 * octet is escaped: one event is one record whatever a peer sent (G7). The descriptor is
 * non-blocking: a record that does not fit into the pipe is dropped whole and counted. Pure code
 * (base, mail, wire) never logs, it returns errors; exactly one layer logs each.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
};

enum kv_kind {
    KV_STR,
    KV_U64,
    KV_I64,
    KV_BOOL,
};

struct kv {
    const char *key; /* a literal */
    enum kv_kind kind;
    union {
        struct str s;
        uint64_t u;
        int64_t i;
    };
};

static inline struct kv kv_str(const char *key, struct str s)
{
    return (struct kv){key, KV_STR, {.s = s}};
}

static inline struct kv kv_c(const char *key, const char *s)
{
    return (struct kv){key, KV_STR, {.s = str_c(s)}};
}

static inline struct kv kv_u64(const char *key, uint64_t v)
{
    return (struct kv){key, KV_U64, {.u = v}};
}

static inline struct kv kv_i64(const char *key, int64_t v)
{
    return (struct kv){key, KV_I64, {.i = v}};
}

static inline struct kv kv_bool(const char *key, bool v)
{
    return (struct kv){key, KV_BOOL, {.u = v}};
}

/* error=TEXT of an err */
static inline struct kv kv_err(const struct err *e)
{
    return kv_c("error", e->text);
}

/* Inherited fields: lives as long as what it describes; the slices in it must live as long. */
struct event {
    const struct event *parent;
    const struct kv *fields;
    unsigned count;
};

/* Where this process logs. process is a literal ("core"). wall is milliseconds since 1970, handed
 * in at each record by log_clock, so that a simulator can set it. */
struct log_settings {
    int fd;
    enum log_level level;
    bool json;
    const char *process;
    int64_t (*wall_ms)(void); /* NULL: the system's */
};
void log_open(const struct log_settings *settings);
uint64_t log_dropped(void);

/* From now on this thread's records are gathered until log_flush(); pending is called when the
 * first one has been put by. Errors do not wait. Other threads' records are written one by one as
 * before. */
void log_gather(void (*pending)(void));
void log_flush(void);

void log_write(enum log_level level, const struct event *event, const char *name,
    const struct kv *fields, unsigned count);
bool log_enabled(enum log_level level);

#define LOG_AT(level, event, name, ...)                                                            \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct kv log_fields_[] = {{0}, ##__VA_ARGS__};                                  \
            log_write((level), (event), (name), log_fields_ + 1,                                   \
                sizeof log_fields_ / sizeof *log_fields_ - 1);                                     \
        }                                                                                          \
    } while (0)

#define log_error(event, name, ...)   LOG_AT(LOG_ERROR, event, name, ##__VA_ARGS__)
#define log_warning(event, name, ...) LOG_AT(LOG_WARNING, event, name, ##__VA_ARGS__)
#define log_info(event, name, ...)    LOG_AT(LOG_INFO, event, name, ##__VA_ARGS__)
#define log_debug(event, name, ...)   LOG_AT(LOG_DEBUG, event, name, ##__VA_ARGS__)
