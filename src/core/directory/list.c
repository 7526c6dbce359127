#include "core/directory/directory_int.h"

/* Rows are collected by the database's thread in the arena of the caller, who waits. */

static int dup_column(struct job *j, sqlite3_stmt *q, int i, struct str *text, struct err *e)
{
    return arena_dup(j->arena, sql_column(q, i), text) ? 0 : err_memory(e, "directory");
}

static int open_rows(struct directory *d, struct job *j, struct arena *a,
    const struct directory_page *page, struct err *e)
{
    struct name n;

    j->arena = a;
    j->limit = page->limit && page->limit < DIRECTORY_PAGE_MAX ? page->limit : DIRECTORY_PAGE_MAX;
    if (page->domain.n) {
        if (name_domain(d, page->domain, &n, e) < 0 || !memory_domain(d, n.domain))
            return err_set(
                e, ERR_PERMANENT, "directory", "%.*s: no such domain", STR_ARG(page->domain));
        if (!arena_dup(&j->own, n.domain, &j->domain))
            return err_memory(e, "directory");
    }
    return 0;
}

/* The key behind which a page of addresses begins. */
static int after_key(struct directory *d, struct job *j, struct str after, struct err *e)
{
    struct name n;

    if (after.n == 0)
        return 0;
    if (name_parse_alias(d, after, &n, e) < 0)
        return err_prefix(e, "after");
    return arena_dup(&j->own, n.key, &j->key) ? 0 : err_memory(e, "directory");
}

/* An empty slice as an empty text, never NULL. */
static void bind_text(sqlite3_stmt *q, int i, struct str text)
{
    sql_bind_str(q, i, text.n ? text : STR(""));
}

typedef int take_fn(struct job *j, sqlite3_stmt *q, void *row, struct err *e);

/* Steps through what the statement gives; rows of `size` octets go to j->rows. */
static int take_rows(struct job *j, sqlite3_stmt *q, size_t size, take_fn *take, struct err *e)
{
    int status;

    while ((status = sql_step(&j->d->sql, q, e)) > 0) {
        if (take(j, q, (char *)j->rows + j->count * size, e) < 0) {
            sql_end(q);
            return -1;
        }
        j->count++;
    }
    return status;
}

typedef int query_fn(struct job *j, struct err *e);

/* A page of at most j->limit rows. */
static int run_list(struct job *j, size_t size, query_fn *query, uint32_t *count, struct err *e)
{
    j->rows = arena_array(j->arena, (size_t)j->limit, size);
    if (!j->rows)
        return err_memory(e, "directory");
    if (job_run(j, query, e) < 0)
        return -1;
    *count = j->count;
    return 0;
}

/* The one with this key: j->count is 0 where there is none. */
static int run_show(
    struct job *j, struct arena *a, struct str key, size_t size, query_fn *query, struct err *e)
{
    j->arena = a;
    j->flag = true;
    j->rows = arena_array(a, 1, size);
    if (!j->rows || !arena_dup(&j->own, key, &j->key))
        return err_memory(e, "directory");
    return job_run(j, query, e);
}

/* ---- domains */

static int take_domain(struct job *j, sqlite3_stmt *q, void *to, struct err *e)
{
    struct directory_domain *row = to;

    row->relay = sql_column_i64(q, 1) != 0;
    row->taken = schema_recipients(sql_column_i64(q, 2));
    row->enabled = sql_column_i64(q, 3) != 0;
    row->created_ms = sql_column_i64(q, 5);
    row->accounts = (uint64_t)sql_column_i64(q, 6);
    row->aliases = (uint64_t)sql_column_i64(q, 7);
    row->recipients = (uint64_t)sql_column_i64(q, 8);
    return dup_column(j, q, 0, &row->name, e) < 0 || dup_column(j, q, 4, &row->separator, e) < 0
               ? -1
               : 0;
}

static int query_domains(struct job *j, struct err *e)
{
    sqlite3_stmt *q = sql_use(&j->d->sql, j->flag ? DIR_DOMAIN_SHOW : DIR_DOMAIN_LIST, e);

    if (!q)
        return -1;
    bind_text(q, 1, j->key);
    if (!j->flag)
        sql_bind_i64(q, 2, j->limit);
    return take_rows(j, q, sizeof(struct directory_domain), take_domain, e);
}

int directory_domain_show(struct directory *d, struct arena *a, struct str name,
    struct directory_domain *domain, struct err *e)
{
    struct name n;
    QUERY(d, e);

    if (!j)
        return -1;
    if (name_domain(d, name, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(name));
    if (run_show(j, a, n.domain, sizeof *domain, query_domains, e) < 0)
        return -1;
    if (j->count == 0)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: no such domain", STR_ARG(name));
    *domain = *(struct directory_domain *)j->rows;
    return 0;
}

int directory_domain_list(struct directory *d, struct arena *a, const struct directory_page *page,
    struct directory_domain **domain, uint32_t *count, struct err *e)
{
    struct name n;
    QUERY(d, e);

    if (!j || open_rows(d, j, a, page, e) < 0)
        return -1;
    if (page->after.n &&
        (name_domain(d, page->after, &n, e) < 0 || !arena_dup(&j->own, n.domain, &j->key)))
        return err_set(e, ERR_PERMANENT, "directory", "after: not a domain");
    if (run_list(j, sizeof **domain, query_domains, count, e) < 0)
        return -1;
    *domain = j->rows;
    return 0;
}

/* ---- accounts */

static int take_account(struct job *j, sqlite3_stmt *q, void *to, struct err *e)
{
    struct directory_account *row = to;

    row->id = (uint64_t)sql_column_i64(q, 0);
    row->enabled = sql_column_i64(q, 3) != 0;
    row->quota = (uint64_t)sql_column_i64(q, 4);
    row->created_ms = sql_column_i64(q, 5);
    return dup_column(j, q, 1, &row->address, e) < 0 || dup_column(j, q, 2, &row->domain, e) < 0 ||
                   dup_column(j, q, 6, &row->hash, e) < 0
               ? -1
               : 0;
}

static int query_accounts(struct job *j, struct err *e)
{
    sqlite3_stmt *q = sql_use(&j->d->sql, j->flag ? DIR_ACCOUNT_SHOW : DIR_ACCOUNT_LIST, e);

    if (!q)
        return -1;
    bind_text(q, 1, j->key);
    if (!j->flag) {
        bind_text(q, 2, j->domain);
        sql_bind_i64(q, 3, j->limit);
    }
    return take_rows(j, q, sizeof(struct directory_account), take_account, e);
}

int directory_account_show(struct directory *d, struct arena *a, struct str address,
    struct directory_account *account, struct err *e)
{
    struct name n;
    QUERY(d, e);

    if (!j)
        return -1;
    if (name_parse(d, address, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(address));
    if (run_show(j, a, n.key, sizeof *account, query_accounts, e) < 0)
        return -1;
    if (j->count == 0)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: no such account", STR_ARG(address));
    *account = *(struct directory_account *)j->rows;
    return 0;
}

int directory_account_list(struct directory *d, struct arena *a, const struct directory_page *page,
    struct directory_account **account, uint32_t *count, struct err *e)
{
    QUERY(d, e);

    if (!j || open_rows(d, j, a, page, e) < 0 || after_key(d, j, page->after, e) < 0)
        return -1;
    if (run_list(j, sizeof **account, query_accounts, count, e) < 0)
        return -1;
    *account = j->rows;
    return 0;
}

/* ---- aliases */

static int take_targets(struct job *j, struct str key, struct directory_alias *row, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q = sql_use(sql, DIR_ALIAS_ROWS, e);
    uint32_t cap = 8, n = 0;
    struct str *v = arena_array(j->arena, cap, sizeof *v);
    int status;

    if (!q || !v)
        return q ? err_memory(e, "directory") : -1;
    sql_bind_str(q, 1, key);
    while ((status = sql_step(sql, q, e)) > 0) {
        if (n == cap) {
            struct str *more = arena_array(j->arena, 2 * (size_t)cap, sizeof *more);
            if (more)
                memcpy(more, v, n * sizeof *v);
            v = more;
            cap *= 2;
        }
        if (!v || dup_column(j, q, 0, &v[n], e) < 0) {
            sql_end(q);
            return err_memory(e, "directory");
        }
        n++;
    }
    row->target = v;
    row->targets = n;
    return status;
}

static int take_alias(struct job *j, sqlite3_stmt *q, void *to, struct err *e)
{
    struct directory_alias *row = to;

    if (dup_column(j, q, 1, &row->address, e) < 0)
        return -1;
    return take_targets(j, sql_column(q, 0), row, e);
}

static int query_aliases(struct job *j, struct err *e)
{
    sqlite3_stmt *q = sql_use(&j->d->sql, DIR_ALIAS_LIST, e);

    if (!q)
        return -1;
    bind_text(q, 1, j->key);
    bind_text(q, 2, j->domain);
    sql_bind_i64(q, 3, j->limit);
    return take_rows(j, q, sizeof(struct directory_alias), take_alias, e);
}

int directory_alias_list(struct directory *d, struct arena *a, const struct directory_page *page,
    struct directory_alias **alias, uint32_t *count, struct err *e)
{
    QUERY(d, e);

    if (!j || open_rows(d, j, a, page, e) < 0 || after_key(d, j, page->after, e) < 0)
        return -1;
    if (run_list(j, sizeof **alias, query_aliases, count, e) < 0)
        return -1;
    *alias = j->rows;
    return 0;
}

static int take_name(struct job *j, sqlite3_stmt *q, void *to, struct err *e)
{
    return dup_column(j, q, 0, to, e);
}

static int query_aliases_of(struct job *j, struct err *e)
{
    sqlite3_stmt *q = sql_use(&j->d->sql, DIR_ALIASES_OF, e);

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->key);
    sql_bind_i64(q, 2, j->limit);
    return take_rows(j, q, sizeof(struct str), take_name, e);
}

int directory_aliases_of(struct directory *d, struct arena *a, struct str address,
    struct str **alias, uint32_t *count, struct err *e)
{
    struct name n;
    QUERY(d, e);

    if (!j)
        return -1;
    if (name_parse(d, address, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(address));
    j->arena = a;
    j->limit = DIRECTORY_PAGE_MAX;
    if (!arena_dup(&j->own, n.key, &j->key))
        return err_memory(e, "directory");
    if (run_list(j, sizeof **alias, query_aliases_of, count, e) < 0)
        return -1;
    *alias = j->rows;
    return 0;
}
