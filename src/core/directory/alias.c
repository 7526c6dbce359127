#include "base/mem.h"

#include "core/directory/aliases_file.h"
#include "core/directory/directory_int.h"

static int insert_targets(struct job *j, const struct alias_edit *edit, struct err *e)
{
    struct sql *sql = &j->d->sql;

    for (uint32_t i = 0; i < edit->targets; i++) {
        sqlite3_stmt *q = sql_use(sql, DIR_ALIAS_INSERT, e);
        if (!q)
            return -1;
        sql_bind_str(q, 1, edit->key);
        sql_bind_str(q, 2, edit->target[i].key);
        sql_bind_i64(q, 3, i);
        sql_bind_str(q, 4, edit->address);
        sql_bind_str(q, 5, edit->target[i].text);
        sql_bind_str(q, 6, edit->domain);
        if (sql_run(sql, q, e) < 0)
            return -1;
    }
    return 0;
}

static int write_edits(struct job *j, struct err *e)
{
    struct sql *sql = &j->d->sql;
    sqlite3_stmt *q;
    int64_t aliases;

    for (uint32_t i = 0; i < j->count; i++) {
        if (!(q = sql_use(sql, DIR_ALIAS_DELETE, e)))
            return -1;
        sql_bind_str(q, 1, j->edit[i].key);
        if (sql_run(sql, q, e) < 0 || insert_targets(j, &j->edit[i], e) < 0)
            return -1;
    }
    if (!(q = sql_use(sql, DIR_COUNT_ALIASES, e)) || sql_number(sql, q, &aliases, e) < 0)
        return -1;
    j->number = aliases;
    return 0;
}

static void drop_edits(struct job *j)
{
    for (uint32_t i = 0; i < j->count; i++) {
        memory_unreserve(j->d, j->edit[i].key);
        mem_free(j->edit[i].memory);
    }
}

/* Joined for memory, and as the check for loops wants them. */
static int join_targets(struct job *j, struct alias_edit *edit, struct err *e)
{
    size_t n = 0;
    char *p;

    for (uint32_t i = 0; i < edit->targets; i++)
        n += edit->target[i].text.n + 1;
    if (n == 0)
        return 0;
    p = mem_alloc(n);
    if (!p)
        return err_memory(e, "directory");
    edit->memory = p;
    for (uint32_t i = 0; i < edit->targets; i++) {
        memcpy(p, edit->target[i].text.p, edit->target[i].text.n);
        p += edit->target[i].text.n;
        *p++ = '\n';
    }
    p[-1] = '\0';
    edit->lines = str_of(edit->memory, n - 1);
    return memory_reserve(j->d, edit->key, e);
}

static struct str edit_key(const void *entry)
{
    return ((const struct alias_edit *)entry)->key;
}

/* No alias may lead to itself once all edits have taken place. */
static int check_loops(struct job *j, struct err *e)
{
    struct table overlay;
    int status = 0;

    table_init(&overlay, edit_key, (size_t)j->count + 1);
    for (uint32_t i = 0; i < j->count && status == 0; i++)
        if (table_add(&overlay, &j->edit[i]) < 0)
            status = err_memory(e, "directory");
    for (uint32_t i = 0; i < j->count && status == 0; i++)
        if (j->edit[i].targets)
            status = expand_check(j->d, &overlay, &j->edit[i], e);
    table_done(&overlay);
    return status;
}

/* Checks the job's edits and, if `write`, makes them so. */
static int take_edits(struct job *j, bool write, struct err *e)
{
    int status = 0;

    for (uint32_t i = 0; i < j->count && status == 0; i++)
        status = join_targets(j, &j->edit[i], e);
    if (status == 0)
        status = check_loops(j, e);
    if (status == 0 && write)
        status = job_run(j, write_edits, e);
    if (status < 0 || !write) {
        drop_edits(j);
        return status;
    }
    for (uint32_t i = 0; i < j->count; i++)
        memory_set_targets(j->d, j->edit[i].key, j->edit[i].memory);
    j->d->counts.aliases = (uint64_t)j->number;
    return 0;
}

/* ---- edits */

static int name_edit(struct job *j, struct str address, struct alias_edit *edit, struct err *e)
{
    struct name n;

    if (address.n > DIRECTORY_NAME_MAX)
        return err_set(e, ERR_PERMANENT, "directory", "the address is too long");
    if (name_parse_alias(j->d, address, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(address));
    if (!memory_domain(j->d, n.domain))
        return err_set(e, ERR_PERMANENT, "directory",
            "%.*s: the domain is not ours; add it first: domain add %.*s", STR_ARG(address),
            STR_ARG(n.domain));
    if (!arena_dup(&j->own, n.key, &edit->key) || !arena_dup(&j->own, n.domain, &edit->domain) ||
        !arena_dup(&j->own, address, &edit->address))
        return err_memory(e, "directory");
    return 0;
}

static bool edit_has(const struct alias_edit *edit, struct str key)
{
    for (uint32_t i = 0; i < edit->targets; i++)
        if (str_eq(edit->target[i].key, key))
            return true;
    return false;
}

/* Adds a target unless it is there. edit->target has room. */
static int edit_put(
    struct job *j, struct alias_edit *edit, struct str text, struct name *n, struct err *e)
{
    struct alias_target *t = &edit->target[edit->targets];

    if (text.n > DIRECTORY_NAME_MAX)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: too long", STR_ARG(text));
    if (name_parse(j->d, text, n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(text));
    if (edit_has(edit, n->key))
        return 0;
    if (edit->targets >= DIRECTORY_TARGETS_MAX)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: more than %d targets",
            STR_ARG(edit->address), DIRECTORY_TARGETS_MAX);
    if (!arena_dup(&j->own, text, &t->text) || !arena_dup(&j->own, n->key, &t->key))
        return err_memory(e, "directory");
    edit->targets++;
    return 0;
}

/* Room for `more` targets beside the ones it has, which are put first. */
static int edit_open(struct job *j, struct alias_edit *edit, uint32_t more, struct err *e)
{
    struct address *a;
    struct str lines, line;
    struct name n;
    int status = memory_look(j->d, edit->key, &a, e);

    edit->target =
        arena_array(&j->own, (size_t)DIRECTORY_TARGETS_MAX + more + 1, sizeof *edit->target);
    if (status < 0)
        return -1;
    if (!edit->target || !arena_dup(&j->own, str_c(status ? a->targets : NULL), &lines))
        return err_memory(e, "directory");
    while (lines.n) {
        str_cut(&lines, '\n', &line);
        if (edit_put(j, edit, line, &n, e) < 0)
            return -1;
    }
    return 0;
}

/* A target of ours must be there: a letter too few would return mail later. */
static int check_target(struct job *j, const struct alias_edit *edit, struct str text,
    const struct name *n, struct err *e)
{
    struct place p;

    locate(j->d, n, &p);
    if (p.kind != PLACE_REFUSED || p.disabled || str_eq(n->key, edit->key))
        return 0;
    if (e)
        *e = p.why;
    return err_prefix(e, "%.*s", STR_ARG(text));
}

static int alias_begin(struct job *j, struct str address, uint32_t more, struct err *e)
{
    j->edit = ARENA_NEW(&j->own, struct alias_edit);
    if (!j->edit)
        return err_memory(e, "directory");
    if (name_edit(j, address, j->edit, e) < 0 || edit_open(j, j->edit, more, e) < 0)
        return -1;
    j->count = 1;
    return 0;
}

int directory_alias_add(struct directory *d, struct str address, const struct str *target,
    uint32_t count, struct err *e)
{
    struct name n;
    CHANGE(d, e);

    if (!j || alias_begin(j, address, 0, e) < 0)
        return -1;
    if (count == 0)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: no target", STR_ARG(address));
    for (uint32_t i = 0; i < count; i++)
        if (edit_put(j, j->edit, target[i], &n, e) < 0 ||
            check_target(j, j->edit, target[i], &n, e) < 0)
            return -1;
    return take_edits(j, true, e);
}

static int remove_target(struct job *j, struct str text, struct err *e)
{
    struct alias_edit *edit = j->edit;
    struct name n;

    if (name_parse(j->d, text, &n, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(text));
    for (uint32_t i = 0; i < edit->targets; i++) {
        if (!str_eq(edit->target[i].key, n.key))
            continue;
        edit->targets--;
        memmove(&edit->target[i], &edit->target[i + 1], (edit->targets - i) * sizeof *edit->target);
        return 0;
    }
    return err_set(e, ERR_PERMANENT, "directory", "%.*s: not a target of %.*s", STR_ARG(text),
        STR_ARG(edit->address));
}

int directory_alias_remove(struct directory *d, struct str address, const struct str *target,
    uint32_t count, struct err *e)
{
    CHANGE(d, e);

    if (!j || alias_begin(j, address, 0, e) < 0)
        return -1;
    if (j->edit->targets == 0)
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: no such alias", STR_ARG(address));
    if (count == 0)
        j->edit->targets = 0;
    for (uint32_t i = 0; i < count; i++)
        if (remove_target(j, target[i], e) < 0)
            return -1;
    return take_edits(j, true, e);
}

/* ---- import */

static int import_row(
    struct job *j, const struct alias_line *row, struct alias_edit *edit, struct err *e)
{
    struct name n;

    if (name_edit(j, row->name, edit, e) < 0)
        return err_prefix(e, "%u", row->line);
    edit->target = arena_array(&j->own, (size_t)row->targets + 1, sizeof *edit->target);
    if (!edit->target)
        return err_memory(e, "directory");
    for (uint32_t i = 0; i < row->targets; i++)
        if (edit_put(j, edit, row->target[i], &n, e) < 0)
            return err_prefix(e, "%u", row->line);
    return 0;
}

/* One alias a name: a second one would silently win or lose. */
static int check_twice(struct job *j, const struct alias_line *row, struct err *e)
{
    struct table names;
    const struct alias_edit *before;
    int status = 0;

    table_init(&names, edit_key, (size_t)j->count + 1);
    for (uint32_t i = 0; i < j->count && status == 0; i++) {
        before = table_find(&names, j->edit[i].key);
        if (before)
            status = err_set(e, ERR_PERMANENT, "directory", "%u: %.*s: is there in line %u too",
                row[i].line, STR_ARG(j->edit[i].address), row[before - j->edit].line);
        else if (table_add(&names, &j->edit[i]) < 0)
            status = err_memory(e, "directory");
    }
    table_done(&names);
    return status;
}

static int import_rows(struct job *j, const struct directory_import *import, struct err *e)
{
    struct alias_line *row;
    struct name home;
    uint32_t count;

    if (name_domain(j->d, import->domain, &home, e) < 0 || !memory_domain(j->d, home.domain))
        return err_set(e, ERR_PERMANENT, "directory", "%.*s: the domain for names is not ours",
            STR_ARG(import->domain));
    if (aliases_file_parse(&j->own, import->text, import->line, import->domain, &row, &count, e) <
        0)
        return -1;
    j->edit = arena_array(&j->own, (size_t)count + 1, sizeof *j->edit);
    if (!j->edit)
        return err_memory(e, "directory");
    for (uint32_t i = 0; i < count; i++) {
        if (import_row(j, &row[i], &j->edit[i], e) < 0)
            return -1;
        j->count++;
    }
    return check_twice(j, row, e);
}

int directory_alias_import(
    struct directory *d, const struct directory_import *import, uint32_t *aliases, struct err *e)
{
    CHANGE(d, e);

    if (!j)
        return -1;
    if (import_rows(j, import, e) < 0) {
        return err_prefix(e, "%.*s", STR_ARG(import->file));
    }
    if (take_edits(j, !import->check, e) < 0)
        return err_prefix(e, "%.*s", STR_ARG(import->file));
    *aliases = j->count;
    return 0;
}
