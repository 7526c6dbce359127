#include "base/check.h"
#include "base/mem.h"

#include "core/directory/directory_int.h"

enum {
    ARENA_MAX = 32 << 20 /* what a change may refer to: an import, a list of recipients */
};

struct job *job_begin(struct directory *d, bool change, struct err *e)
{
    struct job *j = MEM_NEW(struct job);

    if (!j) {
        err_memory(e, "directory");
        return NULL;
    }
    j->d = d;
    arena_init(&j->own, ARENA_MAX);
    j->arena = &j->own;
    while (change && d->changing) {
        if (cond_wait(&d->changed, "directory change", e) < 0) {
            job_end(&j);
            return NULL;
        }
    }
    if (change) {
        d->changing = true;
        j->change = true;
    }
    return j;
}

void job_end(struct job **jp)
{
    struct job *j = *jp;

    *jp = NULL;
    if (!j)
        return;
    if (j->change) {
        j->d->changing = false;
        cond_wake_one(&j->d->changed);
    }
    arena_done(&j->own);
    mem_free(j->first);
    mem_free(j);
}

static int in_transaction(struct job *j)
{
    struct sql *sql = &j->d->sql;

    if (!j->change)
        return j->fn(j, &j->e);
    if (sql_exec(sql, "BEGIN IMMEDIATE", &j->e) == 0 && j->fn(j, &j->e) == 0 &&
        sql_exec(sql, "COMMIT", &j->e) == 0)
        return 0;
    sql_rollback(sql);
    return -1;
}

static void job_main(void *arg)
{
    struct job *j = arg;

    j->status = in_transaction(j);
}

int job_run(struct job *j, int (*fn)(struct job *, struct err *), struct err *e)
{
    j->fn = fn;
    if (pool_run(j->d->pool, job_main, j, e) < 0)
        return -1;
    if (j->change)
        j->d->changes++;
    if (j->status < 0 && e)
        *e = j->e;
    return j->status;
}

int job_next_number(struct job *j, const char *name, int64_t *number, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q = sql_use(sql, DIR_NEXT_NUMBER, e);
    int status;

    if (!q)
        return -1;
    sql_bind_str(q, 1, str_c(name));
    /* Stepped to its end: a reset before it would undo what RETURNING gives. */
    while ((status = sql_step(sql, q, e)) > 0)
        *number = sql_column_i64(q, 0);
    return status;
}

int job_read_first(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q = sql_use(sql, DIR_DOMAIN_FIRST, e);
    int status;

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->domain);
    status = sql_step(sql, q, e);
    if (status > 0) {
        struct str address = sql_column(q, 0);
        j->first = mem_zalloc(address.n + 1);
        if (j->first)
            memcpy(j->first, address.p, address.n);
        else
            status = err_memory(e, "directory");
        sql_end(q);
    }
    return status < 0 ? -1 : 0;
}

void job_set_first(struct job *j)
{
    struct domain *domain = memory_domain(j->d, j->domain);

    CHECK(domain);
    mem_free(domain->first);
    domain->first = j->first;
    j->first = NULL;
}
