#include <fcntl.h>

#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

/* How long a delivery is remembered, in the time of mail: a message that waits in the spool is as
 * old as its key. Not in a life's first hour: by then the spool has told of what waits. */
static const int64_t prune_age_ms = 30 * 86400 * 1000LL, prune_every_ms = 86400 * 1000LL,
                     prune_after_ns = 3600 * 1000000000LL;

void store_path(
    const struct mailboxes *m, uint64_t account, enum store_file file, char path[PATH_SIZE])
{
    static const char *const tails[] = {
        [STORE_DB] = ".db", [STORE_WAL] = ".db-wal", [STORE_BODIES] = ".d"};
    unsigned shard = (unsigned)(account % 100);

    if (file == STORE_SHARD)
        (void)snprintf(path, PATH_SIZE, "%s/%02u", m->path, shard);
    else
        (void)snprintf(path, PATH_SIZE, "%s/%02u/%llu%s", m->path, shard,
            (unsigned long long)account, tails[file]);
}

void store_body_path(
    const struct mailboxes *m, uint64_t account, int64_t body, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/%02u/%llu.d/%lld", m->path, (unsigned)(account % 100),
        (unsigned long long)account, (long long)body);
}

/* ---- numbers of the database itself */

int store_value(struct store *s, const char *name, int64_t *value, struct err *e)
{
    sqlite3_stmt *q = sql_use(&s->sql, BOX_VALUE_GET, e);

    if (!q)
        return -1;
    sql_bind_str(q, 1, str_c(name));
    return sql_number(&s->sql, q, value, e);
}

int store_set_value(struct store *s, const char *name, int64_t value, struct err *e)
{
    sqlite3_stmt *q = sql_use(&s->sql, BOX_VALUE_SET, e);

    if (!q)
        return -1;
    sql_bind_str(q, 1, str_c(name));
    sql_bind_i64(q, 2, value);
    return sql_run(&s->sql, q, e);
}

/* ---- checkpoints */

/* Log synced, copied into the database, database synced, log emptied. */
static int checkpoint(struct store *s, struct err *e)
{
    if (sqlite3_wal_checkpoint_v2(s->sql.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) !=
        SQLITE_OK)
        return sql_failed(&s->sql, e);
    s->wal_pages = 0;
    return 0;
}

static int prune(struct store *s, int64_t now_ms, struct err *e)
{
    const struct sys *sys = s->m->settings.sys;
    int64_t last = 0;
    sqlite3_stmt *q;

    if (sys->mono_ns(sys) - s->m->opened_ns < prune_after_ns)
        return 0;
    if (store_value(s, "pruned", &last, e) < 0)
        return -1;
    if (now_ms - last < prune_every_ms)
        return 0;
    if (!(q = sql_use(&s->sql, BOX_DELIVERED_PRUNE, e)))
        return -1;
    sql_bind_i64(q, 1, prune_age_ms);
    if (sql_run(&s->sql, q, e) < 0)
        return -1;
    return store_set_value(s, "pruned", now_ms, e);
}

/* The write behind the checkpoint makes the log's new header, whose sync a delivery would pay for
 * otherwise. */
int store_checkpoint(struct store *s, struct err *e)
{
    const struct sys *sys = s->m->settings.sys;
    int64_t now_ms = sys->wall_ns(sys) / 1000000;

    if (checkpoint(s, e) < 0)
        return -1;
    if (sql_exec(&s->sql, "BEGIN IMMEDIATE", e) == 0 && prune(s, now_ms, e) == 0 &&
        store_set_value(s, "checkpointed", now_ms, e) == 0 && sql_exec(&s->sql, "COMMIT", e) == 0)
        return 0;
    sql_rollback(&s->sql);
    return -1;
}

/* ---- a life */

/* An earlier life may have ended with a power cut, or after a sync that failed: what can be read of
 * the log is rewritten before it is believed, and numbers that a reader may have seen are skipped.
 */
static int begin_life(struct store *s, bool rewrite, struct err *e)
{
    int64_t life = 0, account = 0;
    sqlite3_stmt *q;
    int status = store_value(s, "account", &account, e);

    if (status < 0 || store_value(s, "life", &life, e) < 0)
        return -1;
    if ((uint64_t)account != s->account)
        return err_set(
            e, ERR_TEMPORARY, "mailbox", "is the database of account %lld", (long long)account);
    if (life == s->m->life && !rewrite)
        return 0;
    if (checkpoint(s, e) < 0 || sql_exec(&s->sql, "BEGIN IMMEDIATE", e) < 0 ||
        !(q = sql_use(&s->sql, BOX_SKIP_RESERVED, e)) || sql_run(&s->sql, q, e) < 0 ||
        store_set_value(s, "life", s->m->life, e) < 0)
        return -1;
    return sql_exec(&s->sql, "COMMIT", e);
}

/* ---- open and close */

static int on_commit(void *arg, sqlite3 *db, const char *schema, int pages)
{
    struct store *s = arg;

    (void)db;
    (void)schema;
    s->wal_pages = (uint64_t)pages;
    return SQLITE_OK;
}

/* A log that was not there (a database restored without it): its name must last as well. */
static int sync_fresh_log(struct store *s, struct err *e)
{
    const struct sys *sys = s->m->settings.sys;
    char path[PATH_SIZE];
    int status;

    store_path(s->m, s->account, STORE_SHARD, path);
    status = sys->sync_dir(sys, path);
    return status < 0 ? err_os(e, -status, "mailbox", "%s", path) : 0;
}

/* A database that we cannot read is for the operator to mend, never a reason to return mail. */
static int later(struct err *e)
{
    if (e && e->class == ERR_PERMANENT) {
        e->class = ERR_TEMPORARY;
        e->status = (struct err_status){4, 3, 0};
    }
    return -1;
}

static int open_database(struct store *s, bool rewrite, struct err *e)
{
    const struct sys *sys = s->m->settings.sys;
    char path[PATH_SIZE], log[PATH_SIZE];
    struct sys_stat st;
    bool born, fresh;

    store_path(s->m, s->account, STORE_DB, path);
    store_path(s->m, s->account, STORE_WAL, log);
    fresh = sys->stat(sys, log, &st) < 0;
    s->sql =
        (struct sql){.origin = "mailbox", .texts = mailbox_statements, .count = BOX_STATEMENTS};
    if (sql_open(&s->sql, sys, path, &mailbox_format, &born, e) < 0)
        return later(e);
    sqlite3_db_config(s->sql.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_hook(s->sql.db, on_commit, s);
    if (begin_life(s, rewrite, e) == 0 && (!fresh || sync_fresh_log(s, e) == 0))
        return 0;
    sql_rollback(&s->sql);
    err_prefix(e, "%s", path);
    return later(e);
}

int store_open(struct store **out, const struct mailboxes *m, uint64_t account,
    enum store_need need, bool rewrite, struct err *e)
{
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];
    struct sys_stat st;
    struct store *s;
    int status;

    *out = NULL;
    store_path(m, account, STORE_DB, path);
    status = sys->stat(sys, path, &st);
    if (status == -ENOENT && need == STORE_EXISTING)
        return 0;
    if (status < 0 && status != -ENOENT)
        return err_os(e, -status, "mailbox", "%s", path);
    s = MEM_NEW(struct store);
    if (!s)
        return err_memory(e, "mailbox");
    s->m = m;
    s->account = account;
    if ((status < 0 && store_give_birth(m, account, e) < 0) || open_database(s, rewrite, e) < 0) {
        s->broken = true;
        store_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

/* A tail of the log in any case: if a power cut takes it, the numbers stay reserved. */
static void give_back(struct store *s)
{
    sqlite3_stmt *q = sql_use(&s->sql, BOX_GIVE_BACK, NULL);

    if (q)
        (void)sql_run(&s->sql, q, NULL);
}

void store_close(struct store **sp)
{
    struct store *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    if (!s->broken)
        give_back(s);
    sql_close(&s->sql);
    mem_free(s);
}

/* ---- erasing */

struct erasing {
    const struct sys *sys;
    const char *dir;
};

static int erase_body(void *arg, const char *name)
{
    const struct erasing *x = arg;
    char path[PATH_SIZE + 256];

    (void)snprintf(path, sizeof path, "%s/%s", x->dir, name);
    return x->sys->unlink(x->sys, path);
}

/* The log goes first: it must never meet another database of this name. */
int store_erase(const struct mailboxes *m, uint64_t account, struct err *e)
{
    static const enum store_file files[] = {STORE_WAL, STORE_DB};
    const struct sys *sys = m->settings.sys;
    char path[PATH_SIZE];
    int status = 0;

    for (size_t i = 0; i < sizeof files / sizeof *files && status == 0; i++) {
        store_path(m, account, files[i], path);
        status = sys->unlink(sys, path);
        if (status == -ENOENT)
            status = 0;
    }
    if (status == 0) {
        store_path(m, account, STORE_BODIES, path);
        status = sys->list(sys, path, erase_body, &(struct erasing){sys, path});
    }
    if (status == 0 || status == -ENOENT) {
        store_path(m, account, STORE_SHARD, path);
        status = sys->sync_dir(sys, path);
    }
    if (status < 0 && status != -ENOENT)
        return err_os(e, -status, "mailbox", "%s", path);
    return 0;
}
