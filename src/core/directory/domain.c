#include "base/check.h"
#include "base/mem.h"
#include "base/timefmt.h"

#include "core/directory/directory_int.h"

static int not_there(struct err *e, struct str name)
{
    return err_set(e, ERR_PERMANENT, "directory", "%.*s: no such domain", STR_ARG(name));
}

/* The key of a domain that is there, in the job's arena. */
static int find_domain(struct job *j, struct str name, struct domain **domain, struct err *e)
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

static int insert_recipients(struct job *j, struct err *e)
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
    sql_bind_i64(q, 4, j->listed);
    sql_bind_str(q, 5, j->text);
    sql_bind_i64(q, 6, wall_ms());
    if (sql_run(sql, q, e) < 0)
        return -1;
    return insert_recipients(j, e);
}

/* The keys of a relay domain's recipients: addresses of it, or local parts alone. */
static int recipient_keys(struct job *j, const struct directory_domain_new *new, struct err *e)
{
    struct name n;

    j->list = arena_array(&j->own, new->count, sizeof *j->list);
    if (new->count && !j->list)
        return err_memory(e, "directory");
    for (uint32_t i = 0; i < new->count; i++) {
        struct str text = new->recipients[i];
        if (str_find(text, '@') < 0)
            text = arena_printf(&j->own, "%.*s@%.*s", STR_ARG(text), STR_ARG(j->domain));
        if (name_parse(j->d, text, &n, e) < 0)
            return err_prefix(e, "%.*s", STR_ARG(new->recipients[i]));
        if (!str_eq(n.domain, j->domain))
            return err_set(e, ERR_PERMANENT, "directory", "%.*s: not an address of %.*s",
                STR_ARG(text), STR_ARG(j->domain));
        if (!arena_dup(&j->own, n.key, &j->list[j->count]))
            return err_memory(e, "directory");
        j->count++;
    }
    return 0;
}

static int reserve_recipients(struct job *j, struct err *e)
{
    for (uint32_t i = 0; i < j->count; i++)
        if (memory_reserve(j->d, j->list[i], e) < 0)
            return -1;
    return 0;
}

static void unreserve_recipients(struct job *j)
{
    for (uint32_t i = 0; i < j->count; i++)
        memory_unreserve(j->d, j->list[i]);
}

/* A domain that nobody sees yet; it stays in the table if the change takes place. */
static int add_hidden(
    struct job *j, const struct directory_domain_new *new, struct domain **domain, struct err *e)
{
    *domain = domain_new(j->domain);
    if (!*domain)
        return err_memory(e, "directory");
    (*domain)->relay = new->relay;
    (*domain)->listed = new->listed;
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
    if (reserve_recipients(j, e) < 0 || job_run(j, insert_domain, e) < 0) {
        table_remove(&j->d->domains, j->domain);
        domain_free(domain);
        unreserve_recipients(j);
        return -1;
    }
    domain->number = j->number;
    domain->enabled = true;
    domain->hidden = false;
    for (uint32_t i = 0; i < j->count; i++)
        memory_set_recipient(j->d, j->list[i]);
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
    if (find_domain(j, new->name, &domain, e) == 0)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: is there already", STR_ARG(new->name));
    if (j->domain.n == 0)
        return -1;
    j->relay = new->relay;
    j->listed = new->relay &&new->listed;
    if (!arena_dup(&j->own, separator, &j->text) || recipient_keys(j, new, e) < 0)
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

    if (!j || check_separator(separator, e) < 0 || find_domain(j, name, &domain, e) < 0)
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

    if (!j || find_domain(j, name, &domain, e) < 0)
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

    if (!j || find_domain(j, name, &domain, e) < 0 || job_run(j, delete_domain, e) < 0)
        return -1;
    CHECK(table_remove(&d->domains, j->domain) == domain);
    memory_drop_recipients(d, domain);
    domain_free(domain);
    d->counts.domains--;
    memory_pick_home(d);
    return 0;
}
