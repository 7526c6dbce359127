#include <fcntl.h>

#include "core/mailbox/mailbox_int.h"

/* RFC 6154 2; MAILBOXID as RFC 8474 4 wants it: opaque, never used again */
static int create_mailbox(
    struct store *s, const char *name, const char *special, int64_t number, struct err *e)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    const struct sys *sys = s->m->settings.sys;
    int64_t now_ms = sys->wall_ns(sys) / 1000000;
    sqlite3_stmt *q = sql_use(&s->sql, BOX_CREATE, e);
    uint8_t octets[16];
    char id[sizeof octets + 1] = "F";

    if (!q)
        return -1;
    sys->random(sys, octets, sizeof octets);
    for (size_t i = 1; i < sizeof octets; i++)
        id[i] = letters[octets[i] % 32];
    sql_bind_str(q, 1, str_c(id));
    sql_bind_str(q, 2, str_c(name));
    sql_bind_str(q, 3, special ? str_c(special) : STR_NONE);
    sql_bind_i64(q, 4, number);
    sql_bind_i64(q, 5, now_ms);
    return sql_run(&s->sql, q, e);
}

/* RFC 9051 2.3.1.1: UIDVALIDITY rises with each mailbox that is made, seconds at first */
static int create_all(struct store *s, struct err *e)
{
    static const struct {
        const char *name, *special;
    } births[BIRTHS] = {{"INBOX", NULL}, {"Drafts", "\\Drafts"}, {"Sent", "\\Sent"},
        {"Junk", "\\Junk"}, {"Trash", "\\Trash"}, {"Archive", "\\Archive"}};
    const struct sys *sys = s->m->settings.sys;
    int64_t validity = sys->wall_ns(sys) / 1000000000 % UINT32_MAX;

    if (sql_exec(&s->sql, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    for (int i = 0; i < BIRTHS; i++)
        if (create_mailbox(s, births[i].name, births[i].special, validity + i + 1, e) < 0)
            return -1;
    if (store_set_value(s, "uid_validity", validity + BIRTHS, e) < 0 ||
        store_set_value(s, "account", (int64_t)s->account, e) < 0 ||
        store_set_value(s, "life", s->m->life, e) < 0)
        return -1;
    return sql_exec(&s->sql, "COMMIT", e);
}

/* Made in mail/tmp without a sync of SQLite's own; the log's mode is in its header at the end. */
static int fill(const struct mailboxes *m, uint64_t account, const char *path, struct err *e)
{
    struct sql_format format = mailbox_format;
    struct store s = {.m = m, .account = account};
    int status = -1;
    bool born;

    format.pragmas = "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;";
    s.sql = (struct sql){.origin = "mailbox", .texts = mailbox_statements, .count = BOX_STATEMENTS};
    if (sql_open(&s.sql, m->settings.sys, path, &format, &born, e) == 0 && create_all(&s, e) == 0)
        status = sql_exec(&s.sql, "PRAGMA journal_mode=WAL", e);
    sql_close(&s.sql);
    return status;
}

static int sync_file(const struct sys *sys, const char *path)
{
    int h = sys->open(sys, path, O_RDWR | O_CLOEXEC, 0), status;

    if (h < 0)
        return h;
    status = sys->fdatasync(sys, h);
    sys->close(sys, h);
    return status;
}

static int make_empty(const struct sys *sys, const char *path)
{
    int h = sys->open(sys, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    return h < 0 ? h : sys->close(sys, h);
}

/* In place at once and whole, its log's name with it. */
static int put_in_place(const struct mailboxes *m, uint64_t account, const char *from)
{
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];
    int status = m->settings.no_sync ? 0 : sync_file(sys, from);

    store_path(m, account, STORE_WAL, path);
    if (status == 0)
        status = make_empty(sys, path);
    store_path(m, account, STORE_DB, path);
    if (status == 0)
        status = sys->rename(sys, from, path);
    store_path(m, account, STORE_SHARD, path);
    if (status == 0 && !m->settings.no_sync)
        status = sys->sync_dir(sys, path);
    return status;
}

int store_give_birth(const struct mailboxes *m, uint64_t account, struct err *e)
{
    char path[PATH_SIZE];
    int status;

    (void)snprintf(path, sizeof path, "%s/tmp/%llu.db", m->path, (unsigned long long)account);
    status = make_empty(m->settings.sys, path);
    if (status == 0) {
        if (fill(m, account, path, e) < 0)
            return -1;
        status = put_in_place(m, account, path);
    }
    return status < 0 ? err_os(e, -status, "mailbox", "%s", path) : 0;
}
