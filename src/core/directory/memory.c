#include "base/check.h"
#include "base/mem.h"

#include "core/directory/directory_int.h"

static struct str address_key(const void *entry)
{
    const struct address *a = entry;
    return str_of(a->key, a->size);
}

static struct str domain_key(const void *entry)
{
    const struct domain *domain = entry;
    return str_of(domain->name, domain->size);
}

static bool is_nothing(const struct address *a)
{
    return !a->account && !a->targets && !a->recipient;
}

static void address_free(struct address *a)
{
    if (a)
        mem_free(a->targets);
    mem_free(a);
}

static struct address *address_new(struct str key)
{
    struct address *a = mem_zalloc(sizeof *a + key.n);

    if (!a)
        return NULL;
    a->size = (uint16_t)key.n;
    memcpy(a->key, key.p, key.n);
    return a;
}

struct domain *domain_new(struct str name)
{
    struct domain *domain = mem_zalloc(sizeof *domain + name.n);

    if (!domain)
        return NULL;
    domain->size = (uint16_t)name.n;
    memcpy(domain->name, name.p, name.n);
    return domain;
}

void domain_free(struct domain *domain)
{
    if (domain)
        mem_free(domain->first);
    mem_free(domain);
}

void memory_open(struct directory *d)
{
    table_init(&d->domains, domain_key, DIRECTORY_DOMAINS_MAX);
    table_init(&d->addresses, address_key, d->settings.memory);
}

void memory_close(struct directory *d)
{
    void *entry;

    for (size_t i = 0; (entry = table_next(&d->addresses, &i));)
        address_free(entry);
    for (size_t i = 0; (entry = table_next(&d->domains, &i));)
        domain_free(entry);
    table_done(&d->addresses);
    table_done(&d->domains);
}

struct domain *memory_domain(const struct directory *d, struct str name)
{
    struct domain *domain = table_find(&d->domains, name);

    return domain && !domain->hidden ? domain : NULL;
}

/* The origin if it is delivered here, else the oldest local domain. */
void memory_pick_home(struct directory *d)
{
    struct domain *domain, *best = NULL;
    struct name n;

    if (d->settings.origin.n && name_domain(d, d->settings.origin, &n, NULL) == 0) {
        best = memory_domain(d, n.domain);
        if (best && (best->relay || !best->enabled))
            best = NULL;
    }
    if (!best)
        for (size_t i = 0; (domain = table_next(&d->domains, &i));)
            if (!domain->relay && domain->enabled && (!best || domain->number < best->number))
                best = domain;
    d->home = best;
}

/* ---- the cache */

static void cache_drop(struct directory *d, struct address *a)
{
    table_remove(&d->addresses, address_key(a));
    if (is_nothing(a))
        d->absent--;
    address_free(a);
}

/* Second chance: what was used since the hand came by last stays. */
static void cache_evict(struct directory *d, bool absent_only)
{
    size_t rounds = 2 * d->addresses.count + 2;

    while (rounds-- && d->addresses.count) {
        struct address *a = table_next(&d->addresses, &d->hand);
        if (!a) {
            d->hand = 0;
        } else if (absent_only ? is_nothing(a) : !a->used) {
            cache_drop(d, a);
            return;
        } else {
            a->used = false;
        }
    }
}

/* Names that are none may take a quarter, so that a stranger who guesses does not empty it. */
static int cache_put(struct directory *d, struct address *a, struct err *e)
{
    if (is_nothing(a) && d->absent >= d->settings.memory / 4)
        cache_evict(d, true);
    while (d->addresses.count >= d->settings.memory)
        cache_evict(d, false);
    if (table_add(&d->addresses, a) != 0) {
        address_free(a);
        return err_memory(e, "directory");
    }
    if (is_nothing(a))
        d->absent++;
    a->used = true;
    return 0;
}

static void cache_forget(struct directory *d, struct str key)
{
    struct address *a = table_find(&d->addresses, key);

    if (a)
        cache_drop(d, a);
}

/* ---- reading */

static int append_line(struct buf *lines, struct str line)
{
    if (buf_len(lines))
        buf_put_c(lines, '\n');
    return buf_put(lines, line);
}

static char *lines_take(struct buf *lines)
{
    struct str s = buf_str(lines);
    char *copy = mem_alloc(s.n + 1);

    if (copy) {
        memcpy(copy, s.p, s.n);
        copy[s.n] = '\0';
    }
    return copy;
}

enum {
    LINES_MAX = DIRECTORY_TARGETS_MAX * (DIRECTORY_NAME_MAX + 1)
};

static int read_targets(struct job *j, struct address *a, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q = sql_use(sql, DIR_READ_TARGETS, e);
    struct buf lines;
    int status;

    if (!q)
        return -1;
    buf_init(&lines, LINES_MAX);
    sql_bind_str(q, 1, j->key);
    while ((status = sql_step(sql, q, e)) > 0)
        append_line(&lines, sql_column(q, 0));
    if (status == 0 && buf_len(&lines) && !(a->targets = lines_take(&lines)))
        status = err_memory(e, "directory");
    if (!buf_ok(&lines))
        status = err_memory(e, "directory");
    buf_done(&lines);
    return status;
}

static int read_address(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    struct address *a = j->rows;
    sqlite3_stmt *q = sql_use(sql, DIR_READ_ACCOUNT, e);
    int64_t one;
    int status;

    if (!q)
        return -1;
    sql_bind_str(q, 1, j->key);
    status = sql_step(sql, q, e);
    if (status > 0) {
        a->account = (uint64_t)sql_column_i64(q, 0);
        a->enabled = sql_column_i64(q, 1) != 0;
        sql_end(q);
    }
    if (status < 0 || read_targets(j, a, e) < 0 || !(q = sql_use(sql, DIR_READ_RECIPIENT, e)))
        return -1;
    sql_bind_str(q, 1, j->key);
    status = sql_number(sql, q, &one, e);
    a->recipient = status > 0;
    return status < 0 ? -1 : 0;
}

/* A change may have come while this one was read; then it is read again. */
static int read_cold(struct directory *d, struct str key, struct address **a, struct err *e)
{
    QUERY(d, e);

    if (!j)
        return -1;
    j->key = key;
    for (;;) {
        uint64_t before = d->changes;
        struct address *read = address_new(key);
        if (!read)
            return err_memory(e, "directory");
        j->rows = read;
        if (job_run(j, read_address, e) < 0) {
            address_free(read);
            return -1;
        }
        if (before == d->changes && !table_find(&d->addresses, key)) {
            if (cache_put(d, read, e) < 0)
                return -1;
        } else {
            address_free(read);
        }
        *a = table_find(&d->addresses, key);
        if (*a)
            return is_nothing(*a) ? 0 : 1;
    }
}

int memory_look(struct directory *d, struct str key, struct address **a, struct err *e)
{
    *a = table_find(&d->addresses, key);
    if (*a) {
        (*a)->used = true;
        return is_nothing(*a) ? 0 : 1;
    }
    if (!d->large)
        return 0;
    if (!fiber_running())
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "directory",
            "the address must be read from the disk first, try again");
    return read_cold(d, key, a, e);
}

/* ---- changes */

/* From here on what is in memory is a cache of the file. */
static void go_large(struct directory *d)
{
    struct address *a;

    d->large = true;
    for (size_t i = 0; (a = table_next(&d->addresses, &i));)
        d->absent += is_nothing(a);
}

int memory_reserve(struct directory *d, struct str key, struct err *e)
{
    struct address *a;

    if (!d->large && !table_find(&d->addresses, key) && d->addresses.count >= d->settings.memory)
        go_large(d);
    if (d->large || table_find(&d->addresses, key))
        return 0;
    a = address_new(key);
    if (!a || table_add(&d->addresses, a) != 0) {
        address_free(a);
        return err_memory(e, "directory");
    }
    return 0;
}

void memory_unreserve(struct directory *d, struct str key)
{
    struct address *a = table_find(&d->addresses, key);

    if (!d->large && a && is_nothing(a)) {
        table_remove(&d->addresses, key);
        address_free(a);
    }
}

void memory_set_account(struct directory *d, struct str key, uint64_t account, bool enabled)
{
    struct address *a = table_find(&d->addresses, key);

    if (d->large) {
        cache_forget(d, key);
        return;
    }
    CHECK(a);
    a->account = account;
    a->enabled = enabled;
    memory_unreserve(d, key);
}

void memory_set_targets(struct directory *d, struct str key, char *targets)
{
    struct address *a = table_find(&d->addresses, key);

    if (d->large) {
        cache_forget(d, key);
        mem_free(targets);
        return;
    }
    CHECK(a);
    mem_free(a->targets);
    a->targets = targets;
    memory_unreserve(d, key);
}

void memory_set_recipient(struct directory *d, struct str key, bool recipient)
{
    struct address *a = table_find(&d->addresses, key);

    if (d->large) {
        cache_forget(d, key);
        return;
    }
    if (!a && !recipient)
        return;
    CHECK(a);
    a->recipient = recipient;
    memory_unreserve(d, key);
}

void memory_drop_recipients(struct directory *d, const struct domain *domain)
{
    struct address *a;

    for (size_t i = 0; (a = table_next(&d->addresses, &i));) {
        struct str key = address_key(a);
        ptrdiff_t at = str_find_last(key, '@');
        if (!a->recipient || !str_eq(str_from(key, (size_t)at + 1), domain_key(domain)))
            continue;
        if (d->large) {
            cache_drop(d, a);
        } else {
            a->recipient = false;
            memory_unreserve(d, key);
        }
    }
}

uint64_t directory_memory(const struct directory *d)
{
    uint64_t n = d->addresses.cap * (sizeof(void *) + sizeof(uint32_t));
    const struct address *a;

    for (size_t i = 0; (a = table_next(&d->addresses, &i));)
        n += sizeof *a + a->size + (a->targets ? strlen(a->targets) + 1 : 0);
    return n;
}
