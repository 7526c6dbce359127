/* core/sql/sql.h: what directory and mailboxes share of SQLite: a connection with its statements.
 *
 * Statements are an array of texts in the folder that owns them, prepared once a connection, at
 * their first use. A connection belongs to one thread at a time and is opened without SQLite's own
 * locks. Every call blocks: pool threads only (run/fiber.h). Errors are temporary (4.3.0, and 4.3.1
 * for a full disk): what an administrator can mend is never a reason to return mail. Files are
 * reached through io/sys.h (vfs.h): one connection a file, locked from opening to end.
 */
#pragma once

#include <sqlite3.h>

#include "base/err.h"
#include "base/str.h"

#include "io/sys.h"

enum {
    SQL_STATEMENTS_MAX = 48,
};

struct sql {
    sqlite3 *db;
    const char *origin;       /* a literal, for errors */
    const char *const *texts; /* of the statements */
    unsigned count;
    sqlite3_stmt *statement[SQL_STATEMENTS_MAX];
};

/* What a file must be, and what makes it so. */
struct sql_format {
    int application;     /* PRAGMA application_id: whose file it is */
    int version;         /* PRAGMA user_version that this program writes */
    const char *pragmas; /* run at each open, before anything is read */
    const char *schema;  /* run once, in the transaction that gives birth */
    bool grouped;        /* commits are not synced here: the owner syncs the log (vfs.h) */
};

/* Opens path of that system, which must exist (an empty file is a new database: *born). A file of a
 * newer format or of another program is refused and left alone. */
int sql_open(struct sql *s, const struct sys *sys, const char *path,
    const struct sql_format *format, bool *born, struct err *e);
void sql_close(struct sql *s); /* may be called twice, and on one that failed to open */

/* Runs text that gives no rows: pragmas, BEGIN, COMMIT. */
int sql_exec(struct sql *s, const char *text, struct err *e);

/* Ends a transaction that failed; nothing happens outside of one. */
void sql_rollback(struct sql *s);

/* The statement, ready to be bound; NULL with e filled. */
sqlite3_stmt *sql_use(struct sql *s, unsigned number, struct err *e);

/* Binding parameters from 1; octets are not copied and must last until the statement ends. What
 * goes wrong here shows at the first step. */
void sql_bind_str(sqlite3_stmt *q, int i, struct str text); /* NULL slices are NULL */
void sql_bind_blob(sqlite3_stmt *q, int i, struct str octets);
void sql_bind_i64(sqlite3_stmt *q, int i, int64_t value);

/* 1: a row is there; 0: no more (the statement has ended); -1 with e filled (it has ended too). */
int sql_step(struct sql *s, sqlite3_stmt *q, struct err *e);
/* Ends a statement before its last row. */
void sql_end(sqlite3_stmt *q);
/* Steps one without rows to its end: 0 or -1. */
int sql_run(struct sql *s, sqlite3_stmt *q, struct err *e);
/* For one row of one number: 1, 0 (no row) or -1. The statement has ended. */
int sql_number(struct sql *s, sqlite3_stmt *q, int64_t *value, struct err *e);

/* Columns from 0; slices live until the next step. */
struct str sql_column(sqlite3_stmt *q, int i);
int64_t sql_column_i64(sqlite3_stmt *q, int i);

/* Fills e from the connection's last error. Returns -1. */
int sql_failed(struct sql *s, struct err *e);
