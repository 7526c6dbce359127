#include "base/check.h"

#include "core/mailbox/mailbox_int.h"

/* A mailbox as this transaction leaves it. */
struct box {
    struct str name; /* as the delivery has it */
    int64_t id, uid_next, uid_reserved, modseq, modseq_reserved;
    int64_t messages, octets; /* new ones */
};

struct transaction {
    struct store *s;
    struct group *group;
    struct box *box;
    uint32_t boxes;
    int64_t now_ms;
    uint64_t octets; /* of the account, where somebody asks for quota */
    bool counted;
};

/* ---- mailboxes */

static int load_box(struct transaction *t, struct str name, struct box *b, struct err *e)
{
    struct sql *sql = &t->s->sql;
    sqlite3_stmt *q = sql_use(sql, BOX_FIND, e);
    int status;

    if (!q)
        return -1;
    sql_bind_str(q, 1, name);
    status = sql_step(sql, q, e);
    if (status <= 0)
        return status;
    *b = (struct box){
        .id = sql_column_i64(q, 0),
        .uid_next = sql_column_i64(q, 1),
        .uid_reserved = sql_column_i64(q, 2),
        .modseq = sql_column_i64(q, 3),
        .modseq_reserved = sql_column_i64(q, 4),
    };
    sql_end(q);
    return 1;
}

/* The box of that id, so that two names of one mailbox count together. */
static struct box *same_box(struct transaction *t, int64_t id)
{
    for (uint32_t i = 0; i < t->boxes; i++)
        if (t->box[i].id == id)
            return &t->box[i];
    return NULL;
}

static struct box *find_box(struct transaction *t, struct str name, struct err *e)
{
    struct str inbox = STR("INBOX");
    struct box b, *same;
    int status;

    if (name.n == 0)
        name = inbox;
    for (uint32_t i = 0; i < t->boxes; i++)
        if (str_eq(t->box[i].name, name))
            return &t->box[i];
    status = load_box(t, name, &b, e);
    if (status == 0)
        status = load_box(t, inbox, &b, e);
    if (status == 0)
        err_set_status(
            e, ERR_TEMPORARY, (struct err_status){4, 3, 0}, "mailbox", "the account has no INBOX");
    if (status <= 0)
        return NULL;
    same = same_box(t, b.id);
    if (same)
        return same;
    CHECK(t->boxes < t->group->count);
    b.name = name;
    t->box[t->boxes] = b;
    return &t->box[t->boxes++];
}

/* RFC 9051 2.3.1.1: a UID is at most 2^32 - 1. */
static int take_numbers(struct transaction *t, struct box *b, struct err *e)
{
    if (b->uid_next >= UINT32_MAX)
        return err_set_status(e, ERR_TEMPORARY, (struct err_status){4, 2, 0}, "mailbox",
            "the mailbox has no UIDs left");
    if (b->uid_next >= b->uid_reserved) {
        b->uid_reserved = b->uid_next + MAILBOX_RESERVE;
        t->group->extended = true;
    }
    if (b->modseq >= b->modseq_reserved) {
        b->modseq_reserved = b->modseq + MAILBOX_RESERVE;
        t->group->extended = true;
    }
    return 0;
}

static int advance_box(struct transaction *t, const struct box *b, struct err *e)
{
    struct sql *sql = &t->s->sql;
    sqlite3_stmt *q;

    if (b->messages == 0)
        return 0;
    if (!(q = sql_use(sql, BOX_ADVANCE, e)))
        return -1;
    sql_bind_i64(q, 1, b->id);
    sql_bind_i64(q, 2, b->uid_next);
    sql_bind_i64(q, 3, b->uid_reserved);
    sql_bind_i64(q, 4, b->modseq);
    sql_bind_i64(q, 5, b->modseq_reserved);
    sql_bind_i64(q, 6, b->messages);
    sql_bind_i64(q, 7, b->messages);
    sql_bind_i64(q, 8, b->octets);
    return sql_run(sql, q, e);
}

/* ---- one delivery */

/* 1: it was here already, *uid is its number; 0: it is remembered now; -1. */
static int remember(struct transaction *t, const struct delivery *d, int64_t *uid, struct err *e)
{
    struct sql *sql = &t->s->sql;
    sqlite3_stmt *q = sql_use(sql, BOX_DELIVERED_PUT, e);

    if (!q)
        return -1;
    sql_bind_i64(q, 1, (int64_t)d->content->id);
    sql_bind_i64(q, 2, d->rcpt);
    sql_bind_i64(q, 3, d->content->received_ms);
    sql_bind_i64(q, 4, *uid);
    if (sql_run(sql, q, e) < 0)
        return -1;
    if (sqlite3_changes(sql->db))
        return 0;
    if (!(q = sql_use(sql, BOX_DELIVERED_GET, e)))
        return -1;
    sql_bind_i64(q, 1, (int64_t)d->content->id);
    sql_bind_i64(q, 2, d->rcpt);
    return sql_number(sql, q, uid, e);
}

static int put_body(struct transaction *t, const struct delivery *d, const struct source *src,
    int64_t *body, struct err *e)
{
    struct sql *sql = &t->s->sql;
    sqlite3_stmt *q = sql_use(sql, BOX_BODY_PUT, e);

    if (!q)
        return -1;
    sql_bind_i64(q, 1, (int64_t)d->content->size);
    sql_bind_blob(q, 2, src->staged ? STR_NONE : src->text);
    if (sql_run(sql, q, e) < 0)
        return -1;
    *body = sqlite3_last_insert_rowid(sql->db);
    return src->staged ? body_link(t->s->m, t->s->account, src, *body, e) : 0;
}

static int put_meta(
    struct transaction *t, const struct delivery *d, int64_t body, uint64_t size, struct err *e)
{
    const struct mail_content *c = d->content;
    struct sql *sql = &t->s->sql;
    sqlite3_stmt *q = sql_use(sql, BOX_META_PUT, e);
    struct str cuts = {(const char *)c->cut, c->cuts * 2 * sizeof *c->cut};

    if (!q)
        return -1;
    sql_bind_i64(q, 1, body);
    sql_bind_i64(q, 2, (int64_t)c->id);
    sql_bind_i64(q, 3, c->received_ms);
    sql_bind_i64(q, 4, t->now_ms);
    sql_bind_i64(q, 5, (int64_t)size);
    sql_bind_blob(q, 6, d->prefix.n ? d->prefix : STR(""));
    sql_bind_blob(q, 7, c->cuts ? cuts : STR_NONE);
    sql_bind_blob(q, 8, c->digest.n ? c->digest : STR_NONE);
    return sql_run(sql, q, e);
}

static int put_message(struct transaction *t, const struct box *b, struct err *e)
{
    struct sql *sql = &t->s->sql;
    int64_t meta = sqlite3_last_insert_rowid(sql->db);
    sqlite3_stmt *q = sql_use(sql, BOX_MESSAGE_PUT, e);

    if (!q)
        return -1;
    sql_bind_i64(q, 1, b->id);
    sql_bind_i64(q, 2, b->uid_next);
    sql_bind_i64(q, 3, b->modseq + 1);
    sql_bind_i64(q, 4, meta);
    return sql_run(sql, q, e);
}

/* Would it be more than the account may hold? Counted at the first question. */
static int check_quota(
    struct transaction *t, const struct delivery *d, uint64_t size, bool *full, struct err *e)
{
    struct sql *sql = &t->s->sql;
    sqlite3_stmt *q;
    int status;

    *full = false;
    if (d->quota == 0)
        return 0;
    if (!t->counted) {
        if (!(q = sql_use(sql, BOX_COUNTS, e)))
            return -1;
        status = sql_step(sql, q, e);
        if (status < 0)
            return -1;
        if (status > 0)
            t->octets += (uint64_t)sql_column_i64(q, 2);
        sql_end(q);
        t->counted = true;
    }
    *full = t->octets + size > d->quota;
    return 0;
}

static int put_new(struct transaction *t, struct delivery *d, const struct source *src,
    struct box *b, uint64_t size, struct err *e)
{
    int64_t body;

    if (put_body(t, d, src, &body, e) < 0 || put_meta(t, d, body, size, e) < 0 ||
        put_message(t, b, e) < 0)
        return -1;
    d->uid = (uint32_t)b->uid_next++;
    b->modseq++;
    b->messages++;
    b->octets += (int64_t)size;
    t->octets += size;
    d->result = DELIVERY_DONE;
    return 0;
}

static void fail(struct delivery *d, const struct err *why)
{
    d->result = DELIVERY_FAILED;
    d->why = *why;
    d->uid = 0;
}

/* -1 only where the whole transaction has failed. A mailbox that is full refuses what is new, not
 * what it has already (RFC 3463: 5.2.2). */
static int deliver_one(
    struct transaction *t, struct delivery *d, const struct source *src, struct err *e)
{
    const struct mail_content *c = d->content;
    uint64_t size = body_size(d->prefix.n, c->size, c->cut, c->cuts);
    struct err why;
    struct box *b;
    int64_t uid;
    bool full;
    int status;

    if (src->why.class != ERR_NONE) {
        fail(d, &src->why);
        return 0;
    }
    b = find_box(t, d->mailbox, e);
    if (!b || take_numbers(t, b, e) < 0 || check_quota(t, d, size, &full, e) < 0)
        return -1;
    uid = b->uid_next;
    if (full) {
        sqlite3_stmt *q = sql_use(&t->s->sql, BOX_DELIVERED_GET, e);
        if (!q)
            return -1;
        sql_bind_i64(q, 1, (int64_t)c->id);
        sql_bind_i64(q, 2, d->rcpt);
        status = sql_number(&t->s->sql, q, &uid, e);
    } else {
        status = remember(t, d, &uid, e);
    }
    if (status < 0)
        return -1;
    if (status > 0) {
        d->result = DELIVERY_DUPLICATE;
        d->uid = (uint32_t)uid;
        return 0;
    }
    if (!full)
        return put_new(t, d, src, b, size, e);
    err_set_status(
        &why, ERR_PERMANENT, (struct err_status){5, 2, 2}, "mailbox", "the mailbox is full");
    fail(d, &why);
    return 0;
}

static int deliver_all(struct transaction *t, struct err *e)
{
    struct group *g = t->group;

    if (sql_exec(&t->s->sql, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    for (uint32_t i = 0; i < g->count; i++)
        if (deliver_one(t, g->v[i], g->source[i], e) < 0)
            return -1;
    for (uint32_t i = 0; i < t->boxes; i++)
        if (advance_box(t, &t->box[i], e) < 0)
            return -1;
    return sql_exec(&t->s->sql, "COMMIT", e);
}

int transaction_deliver(struct work *w, struct err *e)
{
    struct group *g = w->arg;
    struct store *s = w->store;
    const struct sys *sys = w->m->settings.sys;
    struct transaction t = {.s = s, .group = g, .now_ms = sys->wall_ns(sys) / 1000000};
    int status;

    /* Should the background not keep up, the log stays bounded all the same. */
    if (s->wal_pages >= 8 * w->m->settings.wal_pages && store_checkpoint(s, e) < 0) {
        s->broken = true;
        return -1;
    }
    t.box = mem_array(g->count, sizeof *t.box);
    if (!t.box)
        return err_memory(e, "mailbox");
    status = deliver_all(&t, e);
    if (status < 0) {
        /* After an error of the disk SQLite's memory and the file may differ. */
        s->broken = (sqlite3_errcode(s->sql.db) & 0xff) == SQLITE_IOERR;
        sql_rollback(&s->sql);
        g->extended = false;
    }
    mem_free(t.box);
    return status;
}
