#include "core/sql/sql.h"

#include <pthread.h>

#include "base/check.h"

#include "core/sql/vfs.h"

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* Statistics of memory would cost a global lock an allocation. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
    vfs_take_over();
}

int sql_failed(struct sql *s, struct err *e)
{
    int code = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_NOMEM;
    bool full = (code & 0xff) == SQLITE_FULL;
    struct err_status status = {4, 3, full ? 1 : 0};

    if ((code & 0xff) == SQLITE_NOMEM)
        return err_memory(e, s->origin);
    err_set_status(
        e, ERR_TEMPORARY, status, s->origin, "database: %s (%d)", sqlite3_errmsg(s->db), code);
    if (e)
        e->os = sqlite3_system_errno(s->db);
    return -1;
}

int sql_exec(struct sql *s, const char *text, struct err *e)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_failed(s, e);
}

void sql_rollback(struct sql *s)
{
    if (s->db && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static int pragma_number(struct sql *s, const char *text, int64_t *value, struct err *e)
{
    sqlite3_stmt *q = NULL;
    int status;

    if (sqlite3_prepare_v2(s->db, text, -1, &q, NULL) != SQLITE_OK)
        return sql_failed(s, e);
    status = sql_number(s, q, value, e);
    sqlite3_finalize(q);
    return status < 0 ? -1 : 0;
}

/* One connection a file (vfs.h), and no temporary files. Neither changes the file. */
static const char alone[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY;";

static int give_birth(struct sql *s, const struct sql_format *format, struct err *e)
{
    char mark[96];

    sqlite3_snprintf((int)sizeof mark, mark, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
        format->application, format->version);
    if (sql_exec(s, "BEGIN IMMEDIATE", e) == 0 && sql_exec(s, format->schema, e) == 0 &&
        sql_exec(s, mark, e) == 0 && sql_exec(s, "COMMIT", e) == 0)
        return 0;
    sql_rollback(s);
    return -1;
}

static int check_format(struct sql *s, const struct sql_format *format, bool *born, struct err *e)
{
    int64_t application = 0, version = 0, tables = 0;

    if (pragma_number(s, "PRAGMA application_id", &application, e) < 0 ||
        pragma_number(s, "PRAGMA user_version", &version, e) < 0 ||
        pragma_number(s, "SELECT count(*) FROM sqlite_schema", &tables, e) < 0)
        return -1;
    *born = application == 0 && version == 0 && tables == 0;
    if (*born)
        return 0;
    if (application != format->application || version < 1)
        return err_set(e, ERR_PERMANENT, s->origin, "not a file of veredus");
    if (version > format->version)
        return err_set(e, ERR_PERMANENT, s->origin,
            "written by a newer version of veredus (format %lld, this one knows %d)",
            (long long)version, format->version);
    return 0;
}

int sql_open(struct sql *s, const struct sys *sys, const char *path,
    const struct sql_format *format, bool *born, struct err *e)
{
    enum {
        FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE
    };

    const char *vfs;

    CHECK(s->count <= SQL_STATEMENTS_MAX);
    pthread_once(&configured, configure);
    vfs = vfs_name(sys, format->grouped);
    if (!vfs)
        return err_memory(e, s->origin);
    if (sqlite3_open_v2(path, &s->db, FLAGS, vfs) != SQLITE_OK) {
        sql_failed(s, e);
    } else {
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        /* The format is looked at before a pragma may change the file. */
        if (sql_exec(s, alone, e) == 0 && check_format(s, format, born, e) == 0 &&
            sql_exec(s, format->pragmas, e) == 0 && (!*born || give_birth(s, format, e) == 0))
            return 0;
    }
    err_prefix(e, "%s", path);
    sql_close(s);
    return -1;
}

void sql_close(struct sql *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        sqlite3_finalize(s->statement[i]);
        s->statement[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

sqlite3_stmt *sql_use(struct sql *s, unsigned number, struct err *e)
{
    CHECK(number < s->count);
    if (!s->statement[number] &&
        sqlite3_prepare_v3(s->db, s->texts[number], -1, SQLITE_PREPARE_PERSISTENT,
            &s->statement[number], NULL) != SQLITE_OK)
        sql_failed(s, e);
    return s->statement[number];
}

void sql_bind_str(sqlite3_stmt *q, int i, struct str text)
{
    sqlite3_bind_text64(q, i, text.p, text.n, SQLITE_STATIC, SQLITE_UTF8);
}

void sql_bind_blob(sqlite3_stmt *q, int i, struct str octets)
{
    sqlite3_bind_blob64(q, i, octets.p, octets.n, SQLITE_STATIC);
}

void sql_bind_i64(sqlite3_stmt *q, int i, int64_t value)
{
    sqlite3_bind_int64(q, i, value);
}

int sql_step(struct sql *s, sqlite3_stmt *q, struct err *e)
{
    int code = sqlite3_step(q);

    if (code == SQLITE_ROW)
        return 1;
    if (code != SQLITE_DONE)
        sql_failed(s, e);
    sql_end(q);
    return code == SQLITE_DONE ? 0 : -1;
}

void sql_end(sqlite3_stmt *q)
{
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
}

int sql_run(struct sql *s, sqlite3_stmt *q, struct err *e)
{
    int status;

    while ((status = sql_step(s, q, e)) > 0)
        ;
    return status;
}

int sql_number(struct sql *s, sqlite3_stmt *q, int64_t *value, struct err *e)
{
    int status = sql_step(s, q, e);

    if (status > 0) {
        *value = sql_column_i64(q, 0);
        sql_end(q);
    }
    return status;
}

struct str sql_column(sqlite3_stmt *q, int i)
{
    const void *p = sqlite3_column_blob(q, i);

    return str_of(p, (size_t)sqlite3_column_bytes(q, i));
}

int64_t sql_column_i64(sqlite3_stmt *q, int i)
{
    return sqlite3_column_int64(q, i);
}
