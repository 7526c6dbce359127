#include <fcntl.h>

#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

/* One question about an account. On the heap while a pool thread works on it; what it finds goes
 * into the arena or the buffer of the caller, who waits. */
struct question {
    struct arena *arena;
    struct str mailbox; /* empty: INBOX */
    bool all;
    uint32_t uid, limit;
    struct mail_after after;
    struct mail_row *row;
    struct mailbox_row *box;
    uint32_t count;
    struct mailbox_counts counts;
    uint64_t at, size;
    size_t n;
    struct buf *out;
};

static int not_there(struct err *e, const char *what)
{
    return err_set(e, ERR_PERMANENT, "mailbox", "no such %s", what);
}

/* Asks on the account's behalf; what comes back replaces *q. */
static int ask(struct mailboxes *m, uint64_t account, struct question *q,
    int (*fn)(struct work *w, struct err *e), struct err *e)
{
    struct question *heap = mem_alloc(sizeof *heap);
    int status;

    if (!heap)
        return err_memory(e, "mailbox");
    *heap = *q;
    status = actor_do(m, account, STORE_EXISTING, fn, heap, e);
    *q = *heap;
    mem_free(heap);
    return status;
}

/* 1 and its number, 0 where there is none, -1. INBOX is it in any case (RFC 9051 5.1). */
static int box_number(struct store *s, struct str name, int64_t *number, struct err *e)
{
    sqlite3_stmt *q = sql_use(&s->sql, BOX_FIND, e);
    int status;

    if (!q)
        return -1;
    if (name.n == 0 || str_eq_ascii(name, STR("INBOX")))
        name = STR("INBOX");
    sql_bind_str(q, 1, name);
    status = sql_step(&s->sql, q, e);
    if (status > 0) {
        *number = sql_column_i64(q, 0);
        sql_end(q);
    }
    return status;
}

/* ---- rows */

/* Names of the keywords in a bit set; those of a mailbox are few. */
static int take_keywords(struct store *s, struct arena *a, int64_t mailbox, struct str bits,
    struct mail_row *row, struct err *e)
{
    sqlite3_stmt *q;
    int status;

    if (bits.n == 0)
        return 0;
    row->keyword = arena_array(a, bits.n * 8, sizeof *row->keyword);
    if (!row->keyword)
        return err_memory(e, "mailbox");
    if (!(q = sql_use(&s->sql, BOX_KEYWORDS, e)))
        return -1;
    sql_bind_i64(q, 1, mailbox);
    while ((status = sql_step(&s->sql, q, e)) > 0) {
        uint64_t number = (uint64_t)sql_column_i64(q, 0);
        if (number >= bits.n * 8 || !((unsigned char)bits.p[number / 8] >> (number % 8) & 1))
            continue;
        if (!arena_dup(a, sql_column(q, 1), &row->keyword[row->keywords])) {
            sql_end(q);
            return err_memory(e, "mailbox");
        }
        row->keywords++;
    }
    return status;
}

static int take_row(struct store *s, struct question *ask, sqlite3_stmt *q, struct err *e)
{
    struct mail_row *row = &ask->row[ask->count];
    int64_t mailbox = sql_column_i64(q, 0);
    struct str bits;

    row->uid = (uint32_t)sql_column_i64(q, 1);
    row->email_id = (uint64_t)sql_column_i64(q, 3);
    row->received_ms = sql_column_i64(q, 4);
    row->saved_ms = sql_column_i64(q, 5);
    row->size = (uint64_t)sql_column_i64(q, 6);
    row->modseq = (uint64_t)sql_column_i64(q, 7);
    row->flags = (unsigned)sql_column_i64(q, 8);
    if (!arena_dup(ask->arena, sql_column(q, 2), &row->mailbox) ||
        !arena_dup(ask->arena, sql_column(q, 9), &bits) ||
        !arena_dup(ask->arena, sql_column(q, 10), &row->digest))
        return err_memory(e, "mailbox");
    ask->count++;
    ask->after = (struct mail_after){(uint32_t)mailbox, row->uid};
    return take_keywords(s, ask->arena, mailbox, bits, row, e);
}

/* All rows of a statement that is bound. */
static int take_rows(struct store *s, struct question *ask, sqlite3_stmt *q, struct err *e)
{
    int status;

    while ((status = sql_step(&s->sql, q, e)) > 0) {
        if (take_row(s, ask, q, e) < 0) {
            sql_end(q);
            return -1;
        }
    }
    return status;
}

static int list_rows(struct work *w, struct err *e)
{
    struct question *ask = w->arg;
    struct store *s = w->store;
    sqlite3_stmt *q;
    int64_t number;
    int status = s ? 1 : 0;

    if (s && !ask->all)
        status = box_number(s, ask->mailbox, &number, e);
    if (status < 0)
        return -1;
    if (status == 0 && ask->mailbox.n && !str_eq_ascii(ask->mailbox, STR("INBOX")))
        return not_there(e, "mailbox");
    if (status == 0)
        return 0;
    if (!(q = sql_use(&s->sql, ask->all ? BOX_LIST_ALL : BOX_LIST, e)))
        return -1;
    sql_bind_i64(q, 1, ask->all ? ask->after.mailbox : number);
    sql_bind_i64(q, 2, ask->after.uid);
    sql_bind_i64(q, 3, ask->limit);
    return take_rows(s, ask, q, e);
}

int mailbox_list(struct mailboxes *m, struct arena *a, uint64_t account, struct str mailbox,
    bool all, struct mail_after *after, uint32_t limit, struct mail_row **row, uint32_t *count,
    struct err *e)
{
    struct question q = {.arena = a, .mailbox = mailbox, .all = all, .after = *after};

    q.limit = limit && limit < MAILBOX_PAGE_MAX ? limit : MAILBOX_PAGE_MAX;
    q.row = arena_array(a, q.limit, sizeof *q.row);
    if (!q.row)
        return err_memory(e, "mailbox");
    if (ask(m, account, &q, list_rows, e) < 0)
        return -1;
    *row = q.row;
    *count = q.count;
    *after = q.count < q.limit ? (struct mail_after){0} : q.after;
    return 0;
}

/* The UID asked for; 0 means the newest. */
static int wanted_uid(struct store *s, int64_t mailbox, uint32_t *uid, struct err *e)
{
    sqlite3_stmt *q;
    int64_t newest = 0;

    if (*uid)
        return 0;
    if (!(q = sql_use(&s->sql, BOX_NEWEST, e)))
        return -1;
    sql_bind_i64(q, 1, mailbox);
    if (sql_number(&s->sql, q, &newest, e) < 0)
        return -1;
    *uid = (uint32_t)newest;
    return 0;
}

/* Binds mailbox and UID to the statement; NULL with e filled where there is no such mailbox. */
static sqlite3_stmt *of_one(
    struct work *w, struct question *ask, enum mailbox_statement number, struct err *e)
{
    sqlite3_stmt *q;
    int64_t mailbox;
    int status = w->store ? box_number(w->store, ask->mailbox, &mailbox, e) : 0;

    if (status == 0)
        not_there(e, ask->mailbox.n ? "mailbox" : "message");
    if (status <= 0 || wanted_uid(w->store, mailbox, &ask->uid, e) < 0)
        return NULL;
    q = sql_use(&w->store->sql, number, e);
    if (q) {
        sql_bind_i64(q, 1, mailbox);
        sql_bind_i64(q, 2, ask->uid);
    }
    return q;
}

static int one_row(struct work *w, struct err *e)
{
    struct question *ask = w->arg;
    sqlite3_stmt *q = of_one(w, ask, BOX_ONE, e);

    if (!q || take_rows(w->store, ask, q, e) < 0)
        return -1;
    return ask->count ? 0 : not_there(e, "message");
}

int mailbox_find(struct mailboxes *m, struct arena *a, uint64_t account, struct str mailbox,
    uint32_t uid, struct mail_row *row, struct err *e)
{
    struct question q = {.arena = a, .mailbox = mailbox, .uid = uid};

    q.row = ARENA_NEW(a, struct mail_row);
    if (!q.row)
        return err_memory(e, "mailbox");
    if (ask(m, account, &q, one_row, e) < 0)
        return -1;
    *row = *q.row;
    return 0;
}

/* ---- octets */

struct opened {
    struct store *s;
    int64_t body;
    sqlite3_blob *blob; /* inside the database */
    int h;              /* or a file beside it */
};

static int damaged(struct err *e)
{
    return err_set_status(
        e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox", "the stored message is damaged");
}

static int read_blob(struct body_reader *r, uint64_t at, struct buf *out, size_t n, struct err *e)
{
    struct opened *o = r->arg;
    char *p = buf_reserve(out, n);

    if (!p)
        return err_memory(e, "mailbox");
    if (sqlite3_blob_read(o->blob, p, (int)n, (int)at) != SQLITE_OK)
        return sql_failed(&o->s->sql, e);
    buf_advance(out, n);
    return 0;
}

static int read_file(struct body_reader *r, uint64_t at, struct buf *out, size_t n, struct err *e)
{
    struct opened *o = r->arg;
    const struct sys *sys = o->s->m->settings.sys;
    char *p = buf_reserve(out, n);

    if (!p)
        return err_memory(e, "mailbox");
    for (size_t done = 0; done < n;) {
        ssize_t got = sys->pread(sys, o->h, p + done, n - done, at + done);
        if (got < 0)
            return err_os(e, (int)-got, "mailbox", "read of a large message");
        if (got == 0)
            return damaged(e);
        done += (size_t)got;
    }
    buf_advance(out, n);
    return 0;
}

static int open_body(struct opened *o, bool outside, struct body_reader *r, struct err *e)
{
    const struct sys *sys = o->s->m->settings.sys;
    char path[PATH_SIZE];

    r->arg = o;
    r->read = outside ? read_file : read_blob;
    o->h = -1;
    if (!outside) {
        if (sqlite3_blob_open(o->s->sql.db, "main", "bodies", "content", o->body, 0, &o->blob) !=
            SQLITE_OK)
            return sql_failed(&o->s->sql, e);
        return (uint64_t)sqlite3_blob_bytes(o->blob) == r->content ? 0 : damaged(e);
    }
    store_body_path(o->s->m, o->s->account, o->body, path);
    o->h = sys->open(sys, path, O_RDONLY | O_CLOEXEC, 0);
    return o->h < 0 ? err_os(e, -o->h, "mailbox", "%s", path) : 0;
}

static void close_body(struct opened *o)
{
    const struct sys *sys = o->s->m->settings.sys;

    sqlite3_blob_close(o->blob);
    if (o->h >= 0)
        sys->close(sys, o->h);
}

/* From the row of BOX_PLACE, which stays where it is until the octets are read. */
static int read_place(struct store *s, struct question *ask, sqlite3_stmt *q, struct err *e)
{
    struct body_reader r = {.prefix = sql_column(q, 0), .content = (uint64_t)sql_column_i64(q, 3)};
    struct opened o = {.s = s, .body = sql_column_i64(q, 2)};
    uint64_t cut[2 * MAILBOX_CUTS_MAX];
    struct str cuts = sql_column(q, 1);
    int status;

    if (cuts.n > sizeof cut || cuts.n % (2 * sizeof *cut))
        return damaged(e);
    if (cuts.n)
        memcpy(cut, cuts.p, cuts.n);
    r.cut = cut;
    r.cuts = (uint32_t)(cuts.n / (2 * sizeof *cut));
    if (!body_cuts_sound(r.content, r.cut, r.cuts))
        return damaged(e);
    ask->size = body_size(r.prefix.n, r.content, r.cut, r.cuts);
    if (ask->at >= ask->size)
        return 0;
    status = open_body(&o, sql_column_i64(q, 4) != 0, &r, e);
    if (status == 0)
        status = body_read(&r, ask->at, ask->n, ask->out, e);
    close_body(&o);
    return status;
}

static int read_octets(struct work *w, struct err *e)
{
    struct question *ask = w->arg;
    sqlite3_stmt *q = of_one(w, ask, BOX_PLACE, e);
    int status;

    if (!q)
        return -1;
    status = sql_step(&w->store->sql, q, e);
    if (status == 0)
        return not_there(e, "message");
    if (status > 0) {
        status = read_place(w->store, ask, q, e);
        sql_end(q);
    }
    return status;
}

int mailbox_read(struct mailboxes *m, uint64_t account, struct str mailbox, uint32_t uid,
    uint64_t at, size_t n, struct buf *out, uint64_t *size, struct err *e)
{
    struct question q = {.mailbox = mailbox, .uid = uid, .at = at, .out = out};

    q.n = n < MAILBOX_READ_MAX ? n : MAILBOX_READ_MAX;
    if (ask(m, account, &q, read_octets, e) < 0)
        return -1;
    *size = q.size;
    return 0;
}

/* ---- mailboxes */

static int take_box(struct question *ask, sqlite3_stmt *q, struct err *e)
{
    struct mailbox_row *row = &ask->box[ask->count];

    row->number = (uint32_t)sql_column_i64(q, 0);
    row->uid_validity = (uint32_t)sql_column_i64(q, 4);
    row->uid_next = (uint32_t)sql_column_i64(q, 5);
    row->highest_modseq = (uint64_t)sql_column_i64(q, 6);
    row->messages = (uint64_t)sql_column_i64(q, 7);
    row->unseen = (uint64_t)sql_column_i64(q, 8);
    row->octets = (uint64_t)sql_column_i64(q, 9);
    row->subscribed = sql_column_i64(q, 10) != 0;
    if (!arena_dup(ask->arena, sql_column(q, 1), &row->name) ||
        !arena_dup(ask->arena, sql_column(q, 2), &row->id) ||
        !arena_dup(ask->arena, sql_column(q, 3), &row->special))
        return err_memory(e, "mailbox");
    ask->count++;
    return 0;
}

static int all_boxes(struct work *w, struct err *e)
{
    struct question *ask = w->arg;
    struct store *s = w->store;
    sqlite3_stmt *q;
    uint32_t cap = 0;
    int status;

    if (!s)
        return 0;
    if (!(q = sql_use(&s->sql, BOX_ALL, e)))
        return -1;
    while ((status = sql_step(&s->sql, q, e)) > 0) {
        if (ask->count == cap) {
            struct mailbox_row *more = arena_array(ask->arena, cap * 2 + 16, sizeof *more);
            if (more && cap)
                memcpy(more, ask->box, cap * sizeof *more);
            ask->box = more;
            cap = cap * 2 + 16;
        }
        if (!ask->box || take_box(ask, q, e) < 0) {
            sql_end(q);
            return err_memory(e, "mailbox");
        }
    }
    return status;
}

int mailbox_all(struct mailboxes *m, struct arena *a, uint64_t account, struct mailbox_row **row,
    uint32_t *count, struct err *e)
{
    struct question q = {.arena = a};

    if (ask(m, account, &q, all_boxes, e) < 0)
        return -1;
    *row = q.box;
    *count = q.count;
    return 0;
}

static int sum_boxes(struct work *w, struct err *e)
{
    struct question *ask = w->arg;
    sqlite3_stmt *q;
    int status;

    if (!w->store)
        return 0;
    if (!(q = sql_use(&w->store->sql, BOX_COUNTS, e)))
        return -1;
    status = sql_step(&w->store->sql, q, e);
    if (status > 0) {
        ask->counts.messages = (uint64_t)sql_column_i64(q, 0);
        ask->counts.unseen = (uint64_t)sql_column_i64(q, 1);
        ask->counts.octets = (uint64_t)sql_column_i64(q, 2);
        sql_end(q);
    }
    return status < 0 ? -1 : 0;
}

int mailbox_counts(
    struct mailboxes *m, uint64_t account, struct mailbox_counts *counts, struct err *e)
{
    struct question q = {0};

    if (ask(m, account, &q, sum_boxes, e) < 0)
        return -1;
    *counts = q.counts;
    return 0;
}
