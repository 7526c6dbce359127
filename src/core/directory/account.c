#include "base/timefmt.h"

#include "core/directory/directory_int.h"

/* Fills the job's key, domain and text (the address as it was given). */
static int name_account(struct job *j, struct str address, struct err *e)
{
    struct name n;

    if (address.n > DIRECTORY_NAME_MAX)
        return err_set(e, ERR_PERMANENT, "directory", "the address is too long");
    if (name_parse(j->d, address, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(address));
    if (!arena_dup(&j->own, n.key, &j->key) || !arena_dup(&j->own, n.domain, &j->domain) ||
        !arena_dup(&j->own, address, &j->text))
        return err_memory(e, "directory");
    return 0;
}

/* The entry lives until the job suspends. */
static int find_account(struct job *j, struct str address, struct address **a, struct err *e)
{
    int status;

    if (name_account(j, address, e) < 0)
        return -1;
    status = memory_look(j->d, j->key, a, e);
    if (status == 0 || (status > 0 && !(*a)->account))
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: no such account", STR_ARG(address));
    return status < 0 ? -1 : 0;
}

static int insert_account(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q;

    if (job_next_number(j, "account", &j->id, e) < 0 || !(q = sql_use(sql, DIR_ACCOUNT_INSERT, e)))
        return -1;
    sql_bind_i64(q, 1, j->id);
    sql_bind_str(q, 2, j->key);
    sql_bind_str(q, 3, j->text);
    sql_bind_str(q, 4, j->domain);
    sql_bind_str(q, 5, j->hash);
    sql_bind_i64(q, 6, j->number);
    sql_bind_i64(q, 7, wall_ms());
    if (sql_run(sql, q, e) < 0)
        return -1;
    return job_read_first(j, e);
}

/* May an account be made of what the job names? */
static int check_new(struct job *j, struct err *e)
{
    struct domain *domain = memory_domain(j->d, j->domain);
    struct address *a;
    int status;

    if (!domain)
        return err_set(e, ERR_PERMANENT, "directory",
            "%.*s: the domain is not ours; add it first: domain add %.*s", STR_ARG(j->text),
            STR_ARG(j->domain));
    if (domain->relay)
        return err_set(e, ERR_PERMANENT, "directory",
            "%.*s: the domain is relayed, accounts are for local ones", STR_ARG(j->text));
    status = memory_look(j->d, j->key, &a, e);
    if (status > 0 && a->account)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: is there already", STR_ARG(j->text));
    return status < 0 ? -1 : 0;
}

int directory_account_add(struct directory *d, struct str address, struct str hash, uint64_t quota,
    uint64_t *id, struct err *e)
{
    CHANGE(d, e);

    if (!j || name_account(j, address, e) < 0 || check_new(j, e) < 0)
        return -1;
    if (quota > INT64_MAX)
        return err_set(e, ERR_PERMANENT, "directory", "quota: too large");
    j->number = (int64_t)quota;
    if (!arena_dup(&j->own, hash, &j->hash) || memory_reserve(d, j->key, e) < 0)
        return err_memory(e, "directory");
    if (job_run(j, insert_account, e) < 0) {
        memory_unreserve(d, j->key);
        return -1;
    }
    memory_set_account(d, j->key, (uint64_t)j->id, true);
    job_set_first(j);
    d->counts.accounts++;
    *id = (uint64_t)j->id;
    return 0;
}

/* j->limit: the statement that sets hash, number or flag. */
static int update_account(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    enum directory_statement statement = (enum directory_statement)j->limit;
    sqlite3_stmt *q = sql_use(sql, statement, e);

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->key);
    if (statement == DIR_ACCOUNT_PASSWORD)
        sql_bind_str(q, 2, j->hash);
    else if (statement == DIR_ACCOUNT_QUOTA)
        sql_bind_i64(q, 2, j->number);
    else if (statement == DIR_ACCOUNT_ENABLE)
        sql_bind_i64(q, 2, j->flag);
    if (sql_run(sql, q, e) < 0)
        return -1;
    return job_read_first(j, e);
}

int directory_account_password(
    struct directory *d, struct str address, struct str hash, struct err *e)
{
    struct address *a;
    CHANGE(d, e);

    if (!j || find_account(j, address, &a, e) < 0)
        return -1;
    if (!arena_dup(&j->own, hash, &j->hash))
        return err_memory(e, "directory");
    j->limit = DIR_ACCOUNT_PASSWORD;
    return job_run(j, update_account, e);
}

int directory_account_quota(struct directory *d, struct str address, uint64_t quota, struct err *e)
{
    struct address *a;
    CHANGE(d, e);

    if (!j || find_account(j, address, &a, e) < 0)
        return -1;
    if (quota > INT64_MAX)
        return err_set(e, ERR_PERMANENT, "directory", "quota: too large");
    j->number = (int64_t)quota;
    j->limit = DIR_ACCOUNT_QUOTA;
    return job_run(j, update_account, e);
}

int directory_account_enable(struct directory *d, struct str address, bool enabled, struct err *e)
{
    struct address *a;
    uint64_t id;
    CHANGE(d, e);

    if (!j || find_account(j, address, &a, e) < 0)
        return -1;
    id = a->account;
    j->flag = enabled;
    j->limit = DIR_ACCOUNT_ENABLE;
    if (job_run(j, update_account, e) < 0)
        return -1;
    memory_set_account(d, j->key, id, enabled);
    job_set_first(j);
    return 0;
}

int directory_account_remove(struct directory *d, struct str address, uint64_t *id, struct err *e)
{
    struct address *a;
    CHANGE(d, e);

    if (!j || find_account(j, address, &a, e) < 0)
        return -1;
    *id = a->account;
    j->limit = DIR_ACCOUNT_DELETE;
    if (job_run(j, update_account, e) < 0)
        return -1;
    memory_set_account(d, j->key, 0, false);
    job_set_first(j);
    d->counts.accounts--;
    return 0;
}
