#include "core/directory/directory_int.h"

/* The lists of relay domains: which recipients they have. */

int recipients_insert(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;

    for (uint32_t i = 0; i < j->count; i++) {
        sqlite3_stmt *q = sql_use(sql, DIR_RECIPIENT_INSERT, e);
        if (!q)
            return -1;
        sql_bind_str(q, 1, j->list[i]);
        sql_bind_str(q, 2, j->domain);
        if (sql_run(sql, q, e) < 0)
            return -1;
    }
    return 0;
}

int recipients_keys(struct job *j, const struct str *list, uint32_t count, struct err *e)
{
    struct name n;

    j->list = arena_array(&j->own, count, sizeof *j->list);
    if (count && !j->list)
        return err_memory(e, "directory");
    for (uint32_t i = 0; i < count; i++) {
        struct str text = list[i];
        if (str_find(text, '@') < 0)
            text = arena_printf(&j->own, "%.*s@%.*s", STR_ARG(text), STR_ARG(j->domain));
        if (name_parse(j->d, text, &n, e) < 0)
            return err_prefix(e, "%.*s", STR_ARG(list[i]));
        if (!str_eq(n.domain, j->domain))
            return err_set(e, ERR_PERMANENT, "directory", "%.*s: not an address of %.*s",
                STR_ARG(text), STR_ARG(j->domain));
        if (!arena_dup(&j->own, n.key, &j->list[j->count]))
            return err_memory(e, "directory");
        j->count++;
    }
    return 0;
}

int recipients_reserve(struct job *j, struct err *e)
{
    for (uint32_t i = 0; i < j->count; i++)
        if (memory_reserve(j->d, j->list[i], e) < 0)
            return -1;
    return 0;
}

void recipients_set(struct job *j, bool recipient)
{
    for (uint32_t i = 0; i < j->count; i++)
        memory_set_recipient(j->d, j->list[i], recipient);
}

void recipients_unreserve(struct job *j)
{
    for (uint32_t i = 0; i < j->count; i++)
        memory_unreserve(j->d, j->list[i]);
}

static int delete_recipients(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;

    for (uint32_t i = 0; i < j->count; i++) {
        sqlite3_stmt *q = sql_use(sql, DIR_RECIPIENT_DELETE, e);
        if (!q)
            return -1;
        sql_bind_str(q, 1, j->list[i]);
        if (sql_run(sql, q, e) < 0)
            return -1;
    }
    return 0;
}

/* The job's domain and list. It may be filled before it counts. */
static int begin(
    struct job *j, struct str name, const struct str *list, uint32_t count, struct err *e)
{
    struct domain *domain;

    if (!j || domain_find(j, name, &domain, e) < 0)
        return -1;
    if (!domain->relay)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: not a relay domain", STR_ARG(name));
    return recipients_keys(j, list, count, e);
}

int directory_recipients_add(
    struct directory *d, struct str domain, const struct str *list, uint32_t count, struct err *e)
{
    CHANGE(d, e);

    if (begin(j, domain, list, count, e) < 0)
        return -1;
    if (recipients_reserve(j, e) < 0 || job_run(j, recipients_insert, e) < 0) {
        recipients_unreserve(j);
        return -1;
    }
    recipients_set(j, true);
    return 0;
}

int directory_recipients_remove(
    struct directory *d, struct str domain, const struct str *list, uint32_t count, struct err *e)
{
    CHANGE(d, e);

    if (begin(j, domain, list, count, e) < 0 || job_run(j, delete_recipients, e) < 0)
        return -1;
    recipients_set(j, false);
    return 0;
}

static int update_taken(struct job *j, struct err *e)
{
    sqlite3_stmt *q = sql_use(&j->d->sql, DIR_DOMAIN_RECIPIENTS, e);

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->domain);
    sql_bind_i64(q, 2, j->limit);
    return sql_run(&j->d->sql, q, e);
}

int directory_domain_recipients(
    struct directory *d, struct str name, enum directory_recipients taken, struct err *e)
{
    struct domain *domain;
    CHANGE(d, e);

    if (!j || domain_find(j, name, &domain, e) < 0)
        return -1;
    if (!domain->relay)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: not a relay domain", STR_ARG(name));
    j->limit = taken;
    if (job_run(j, update_taken, e) < 0)
        return -1;
    domain->taken = taken;
    return 0;
}

static int query_keys(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q = sql_use(sql, DIR_RECIPIENT_LIST, e);
    struct str *v = j->rows;
    int status;

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->key.n ? j->key : STR(""));
    sql_bind_str(q, 2, j->domain);
    sql_bind_i64(q, 3, j->limit);
    while ((status = sql_step(sql, q, e)) > 0) {
        if (!arena_dup(j->arena, sql_column(q, 0), &v[j->count])) {
            sql_end(q);
            return err_memory(e, "directory");
        }
        j->count++;
    }
    return status;
}

int directory_recipients_list(struct directory *d, struct arena *a,
    const struct directory_page *page, struct str **key, uint32_t *count, struct err *e)
{
    struct domain *domain;
    QUERY(d, e);

    if (!j || domain_find(j, page->domain, &domain, e) < 0)
        return -1;
    j->arena = a;
    j->key = page->after; /* a key itself: see the rows */
    j->limit = page->limit && page->limit < DIRECTORY_PAGE_MAX ? page->limit : DIRECTORY_PAGE_MAX;
    j->rows = arena_array(a, (size_t)j->limit, sizeof **key);
    if (!j->rows)
        return err_memory(e, "directory");
    if (job_run(j, query_keys, e) < 0)
        return -1;
    *key = j->rows;
    *count = j->count;
    return 0;
}
