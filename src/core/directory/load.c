#include "base/mem.h"

#include "core/directory/directory_int.h"

/* Rows of a statement, one call each. */
static int each_row(struct directory *d, enum directory_statement number,
    int (*row)(struct directory *d, sqlite3_stmt *q, struct err *e), struct err *e)
{
    sqlite3_stmt *q = sql_use(&d->sql, number, e);
    int status;

    if (!q)
        return -1;
    while ((status = sql_step(&d->sql, q, e)) > 0) {
        if (row(d, q, e) < 0) {
            sql_end(q);
            return -1;
        }
    }
    return status;
}

static int load_domain(struct directory *d, sqlite3_stmt *q, struct err *e)
{
    struct domain *domain = domain_new(sql_column(q, 0));
    struct str separator = sql_column(q, 5);

    if (!domain)
        return err_memory(e, "directory");
    domain->number = sql_column_i64(q, 1);
    domain->relay = sql_column_i64(q, 2) != 0;
    domain->taken = schema_recipients(sql_column_i64(q, 3));
    domain->enabled = sql_column_i64(q, 4) != 0;
    domain->separator = separator.n ? separator.p[0] : '\0';
    if (table_add(&d->domains, domain) != 0) {
        domain_free(domain);
        return err_memory(e, "directory");
    }
    d->counts.domains++;
    return 0;
}

static int load_first(struct directory *d, sqlite3_stmt *q, struct err *e)
{
    struct domain *domain = memory_domain(d, sql_column(q, 0));
    struct str address = sql_column(q, 1);

    if (!domain)
        return 0;
    domain->first = mem_zalloc(address.n + 1);
    if (!domain->first)
        return err_memory(e, "directory");
    memcpy(domain->first, address.p, address.n);
    return 0;
}

static int load_account(struct directory *d, sqlite3_stmt *q, struct err *e)
{
    struct str key = sql_column(q, 0);

    if (memory_reserve(d, key, e) < 0)
        return -1;
    memory_set_account(d, key, (uint64_t)sql_column_i64(q, 1), sql_column_i64(q, 2) != 0);
    return 0;
}

static int load_recipient(struct directory *d, sqlite3_stmt *q, struct err *e)
{
    struct str key = sql_column(q, 0);

    if (memory_reserve(d, key, e) < 0)
        return -1;
    memory_set_recipient(d, key, true);
    return 0;
}

/* One more target of an alias. The whole is copied for each: aliases of many targets are few and
 * bounded (DIRECTORY_TARGETS_MAX). */
static int load_target(struct directory *d, sqlite3_stmt *q, struct err *e)
{
    struct str key = sql_column(q, 0), target = sql_column(q, 1), before;
    struct address *a;
    char *lines;

    if (memory_reserve(d, key, e) < 0)
        return -1;
    if (d->large)
        return 0;
    a = table_find(&d->addresses, key);
    before = str_c(a->targets);
    lines = mem_zalloc(before.n + target.n + 2);
    if (!lines)
        return err_memory(e, "directory");
    if (before.n) {
        memcpy(lines, before.p, before.n);
        lines[before.n++] = '\n';
    }
    memcpy(lines + before.n, target.p, target.n);
    memory_set_targets(d, key, lines);
    return 0;
}

static int load_counts(struct directory *d, uint64_t *addresses, struct err *e)
{
    sqlite3_stmt *q = sql_use(&d->sql, DIR_COUNT_ADDRESSES, e);
    int64_t aliases;

    if (!q || sql_step(&d->sql, q, e) < 0)
        return -1;
    d->counts.accounts = (uint64_t)sql_column_i64(q, 0);
    *addresses = d->counts.accounts + (uint64_t)sql_column_i64(q, 1);
    sql_end(q);
    q = sql_use(&d->sql, DIR_COUNT_ALIASES, e);
    if (!q || sql_number(&d->sql, q, &aliases, e) < 0)
        return -1;
    d->counts.aliases = (uint64_t)aliases;
    *addresses += d->counts.aliases;
    return 0;
}

int directory_load(struct directory *d, struct err *e)
{
    uint64_t addresses;

    if (load_counts(d, &addresses, e) < 0 || each_row(d, DIR_LOAD_DOMAINS, load_domain, e) < 0 ||
        each_row(d, DIR_LOAD_FIRSTS, load_first, e) < 0)
        return -1;
    memory_pick_home(d);
    d->large = addresses > d->settings.memory;
    if (d->large)
        return 0;
    if (each_row(d, DIR_LOAD_ACCOUNTS, load_account, e) < 0 ||
        each_row(d, DIR_LOAD_RECIPIENTS, load_recipient, e) < 0)
        return -1;
    return each_row(d, DIR_LOAD_ALIASES, load_target, e);
}
