#include "base/check.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include "core/directory/directory_int.h"

static int not_there(struct err *e, struct str name)
{
    return err_set(e, ERR_PERMANENT, "directory", "%.*s: no such domain", STR_ARG(name));
}

int domain_find(struct job *j, struct str name, struct domain **domain, struct err *e)
{
    struct name n;

    if (name_domain(j->d, name, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(name));
    if (!arena_dup(&j->own, n.domain, &j->domain))
        return err_memory(e, "directory");
    *domain = memory_domain(j->d, j->domain);
    return *domain ? 0 : not_there(e, name);
}

/* RFC 5321 4.1.2: one printable octet that a Dot-string can have, and that is not part of names. */
static int check_separator(struct str separator, struct err *e)
{
    static const char good[] = "+-_=#!$%&'*/?^`{|}~";

    if (separator.n == 0 || (separator.n == 1 && memchr(good, separator.p[0], sizeof good - 1)))
        return 0;
    return err_set(e, ERR_PERMANENT, "directory", "separator: one of %s, or empty for none", good);
}

static int insert_domain(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q;

    if (job_next_number(j, "domain", &j->number, e) < 0 ||
        !(q = sql_use(sql, DIR_DOMAIN_INSERT, e)))
        return -1;
    sql_bind_str(q, 1, j->domain);
    sql_bind_i64(q, 2, j->number);
    sql_bind_i64(q, 3, j->relay);
    sql_bind_i64(q, 4, j->limit);
    sql_bind_str(q, 5, j->text);
    sql_bind_i64(q, 6, wall_ms());
    sql_bind_i64(q, 7, j->flag);
    if (sql_run(sql, q, e) < 0)
        return -1;
    return recipients_insert(j, e);
}

/* A domain that nobody sees yet; it stays in the table if the change takes place. */
static int add_hidden(
    struct job *j, const struct directory_domain_new *new, struct domain **domain, struct err *e)
{
    *domain = domain_new(j->domain);
    if (!*domain)
        return err_memory(e, "directory");
    (*domain)->relay = new->relay;
    (*domain)->taken = new->relay ? new->recipients : RECIPIENTS_ANY;
    (*domain)->separator = j->text.n ? j->text.p[0] : '\0';
    (*domain)->hidden = true;
    if (table_add(&j->d->domains, *domain) == 0)
        return 0;
    domain_free(*domain);
    return err_memory(e, "directory");
}

static int add_domain(struct job *j, const struct directory_domain_new *new, struct err *e)
{
    struct domain *domain;

    if (add_hidden(j, new, &domain, e) < 0)
        return -1;
    if (recipients_reserve(j, e) < 0 || job_run(j, insert_domain, e) < 0) {
        table_remove(&j->d->domains, j->domain);
        domain_free(domain);
        recipients_unreserve(j);
        return -1;
    }
    domain->number = j->number;
    domain->enabled = j->flag;
    domain->hidden = false;
    recipients_set(j, true);
    j->d->counts.domains++;
    if (!j->d->home || j->d->settings.origin.n)
        memory_pick_home(j->d);
    return 0;
}

int directory_domain_add(struct directory *d, const struct directory_domain_new *new, struct err *e)
{
    struct str separator = new->separator.p ? new->separator : STR("+");
    struct domain *domain;
    CHANGE(d, e);

    if (!j || check_separator(separator, e) < 0)
        return -1;
    if (domain_find(j, new->name, &domain, e) == 0)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: is there already", STR_ARG(new->name));
    if (j->domain.n == 0)
        return -1;
    j->relay = new->relay;
    j->limit = new->relay ? (int64_t) new->recipients : RECIPIENTS_ANY;
    j->flag = !new->disabled;
    if (!arena_dup(&j->own, separator, &j->text) ||
        recipients_keys(j, new->list, new->count, e) < 0)
        return -1;
    return add_domain(j, new, e);
}

static int update_domain(struct job *j, struct err *e)
{
    bool enable = j->text.p == NULL;
    sqlite3_stmt *q = sql_use(&j->d->sql, enable ? DIR_DOMAIN_ENABLE : DIR_DOMAIN_SEPARATOR, e);

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->domain);
    if (enable)
        sql_bind_i64(q, 2, j->flag);
    else
        sql_bind_str(q, 2, j->text);
    return sql_run(&j->d->sql, q, e);
}

int directory_domain_separator(
    struct directory *d, struct str name, struct str separator, struct err *e)
{
    struct domain *domain;
    CHANGE(d, e);

    if (!j || check_separator(separator, e) < 0 || domain_find(j, name, &domain, e) < 0)
        return -1;
    if (!arena_dup(&j->own, separator, &j->text))
        return err_memory(e, "directory");
    if (job_run(j, update_domain, e) < 0)
        return -1;
    domain->separator = separator.n ? separator.p[0] : '\0';
    return 0;
}

int directory_domain_enable(struct directory *d, struct str name, bool enabled, struct err *e)
{
    struct domain *domain;
    CHANGE(d, e);

    if (!j || domain_find(j, name, &domain, e) < 0)
        return -1;
    j->flag = enabled;
    if (job_run(j, update_domain, e) < 0)
        return -1;
    domain->enabled = enabled;
    memory_pick_home(d);
    return 0;
}

static int delete_domain(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q = sql_use(sql, DIR_DOMAIN_USES, e);
    long long accounts, aliases;

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->domain);
    if (sql_step(sql, q, e) < 0)
        return -1;
    accounts = sql_column_i64(q, 0);
    aliases = sql_column_i64(q, 1);
    sql_end(q);
    if (accounts || aliases)
        return err_set(e, ERR_PERMANENT, "directory",
            "%.*s: has %lld accounts and %lld aliases; remove them first", STR_ARG(j->domain),
            accounts, aliases);
    if (!(q = sql_use(sql, DIR_RECIPIENTS_DELETE, e)))
        return -1;
    sql_bind_str(q, 1, j->domain);
    if (sql_run(sql, q, e) < 0 || !(q = sql_use(sql, DIR_DOMAIN_DELETE, e)))
        return -1;
    sql_bind_str(q, 1, j->domain);
    return sql_run(sql, q, e);
}

int directory_domain_remove(struct directory *d, struct str name, struct err *e)
{
    struct domain *domain;
    CHANGE(d, e);

    if (!j || domain_find(j, name, &domain, e) < 0 || job_run(j, delete_domain, e) < 0)
        return -1;
    CHECK(table_remove(&d->domains, j->domain) == domain);
    memory_drop_recipients(d, domain);
    domain_free(domain);
    d->counts.domains--;
    memory_pick_home(d);
    return 0;
}
