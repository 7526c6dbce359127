#include <stdio.h>

#include "base/buf.h"

#include "ipc/control.h"

#include "core/control/mail_json.h"
#include "core/control/op.h"
#include "core/directory/directory.h"
#include "core/mailbox/mailbox.h"

enum {
    ARENA_MAX = 32 << 20,
    PAGE_ROWS = 50,
};

/* Whose mailbox: the address must be an account's. */
static int account_of(struct control *c, struct arena *arena, const json_t *request, uint64_t *id,
    struct str *mailbox, struct err *e)
{
    struct directory_account account;
    struct str address;

    if (op_str(request, "address", &address, e) < 0 ||
        op_str_optional(request, "mailbox", mailbox, e) < 0 ||
        directory_account_show(c->directory, arena, address, &account, e) < 0)
        return -1;
    *id = account.id;
    return 0;
}

/* "MAILBOX-NUMBER:UID" */
static int parse_after(const json_t *request, struct mail_after *after, struct err *e)
{
    uint64_t mailbox = 0, uid = 0;
    struct str text, head;

    *after = (struct mail_after){0};
    if (op_str_optional(request, "after", &text, e) < 0)
        return -1;
    if (text.n == 0)
        return 0;
    if (!str_cut(&text, ':', &head) || !str_to_u64(head, UINT32_MAX, &mailbox) ||
        !str_to_u64(text, UINT32_MAX, &uid))
        return err_set(e, ERR_PERMANENT, "control", "after: not a place in a list");
    *after = (struct mail_after){.mailbox = (uint32_t)mailbox, .uid = (uint32_t)uid};
    return 0;
}

struct listing {
    uint64_t account;
    struct str mailbox;
    bool all;
    struct mail_after after; /* moved on by each page */
};

/* The items of a page of at most `limit` rows, and how many octets they are; NULL with e. */
static json_t *list_rows(struct control *c, struct arena *arena, struct listing *l, uint32_t limit,
    size_t *size, struct err *e)
{
    struct mail_row *rows;
    uint32_t count;
    json_t *items;

    if (mailbox_list(c->mailboxes, arena, l->account, l->mailbox, l->all, &l->after, limit, &rows,
            &count, e) < 0)
        return NULL;
    items = json_array();
    *size = 0;
    for (uint32_t i = 0; i < count; i++) {
        json_t *row = mail_json(&rows[i]);
        *size += mail_json_size(row) + 1;
        json_array_append_new(items, row);
    }
    return items;
}

/* What strangers write decides how large rows are: a page that is too large for memory or for an
 * answer is taken again with half the rows. */
static json_t *list_page(struct control *c, struct listing *l, struct err *e)
{
    struct mail_after from = l->after;
    struct arena arena;
    json_t *items = NULL;
    size_t size;

    for (uint32_t limit = PAGE_ROWS; limit && !items; limit /= 2) {
        arena_init(&arena, ARENA_MAX);
        l->after = from;
        items = list_rows(c, &arena, l, limit, &size, e);
        if (items && size > CONTROL_PAGE && limit > 1) {
            json_decref(items);
            items = NULL;
        }
        arena_done(&arena);
        if (!items && limit == PAGE_ROWS && e->class == ERR_PERMANENT)
            return NULL;
    }
    return items;
}

int op_mail_list(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct listing l = {.all = op_flag(request, "all")};
    struct arena arena;
    json_t *items = NULL;
    char next[32];

    arena_init(&arena, ARENA_MAX);
    err_clear(e);
    if (account_of(c, &arena, request, &l.account, &l.mailbox, e) == 0 &&
        parse_after(request, &l.after, e) == 0)
        items = list_page(c, &l, e);
    if (items) {
        snprintf(next, sizeof next, "%u:%u", l.after.mailbox, l.after.uid);
        result->json = op_page(items, l.after.uid ? str_c(next) : STR_NONE);
    }
    arena_done(&arena);
    return items ? 0 : -1;
}

/* Without a UID: 0, the newest. */
static int uid_of(const json_t *request, uint32_t *uid, struct err *e)
{
    uint64_t value;

    if (op_u64_optional(request, "uid", &value, e) < 0)
        return -1;
    if (value > UINT32_MAX)
        return err_set(e, ERR_PERMANENT, "control", "uid: too large");
    *uid = (uint32_t)value;
    return 0;
}

static int find_row(struct control *c, struct arena *arena, const json_t *request,
    struct mail_row *row, struct err *e)
{
    struct str mailbox;
    uint32_t uid;
    uint64_t id;

    if (account_of(c, arena, request, &id, &mailbox, e) < 0 || uid_of(request, &uid, e) < 0)
        return -1;
    return mailbox_find(c->mailboxes, arena, id, mailbox, uid, row, e);
}

int op_mail_find(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct mail_row row;
    struct arena arena;
    int status;

    arena_init(&arena, ARENA_MAX);
    status = find_row(c, &arena, request, &row, e);
    if (status == 0)
        result->json = mail_json(&row);
    arena_done(&arena);
    return status;
}

int op_mail_raw(struct control *c, const json_t *request, struct op_result *result, struct err *e)
{
    struct arena arena;
    struct str mailbox;
    uint64_t id, offset, size;
    uint32_t uid;
    int status = -1;

    arena_init(&arena, ARENA_MAX);
    result->used_raw = true;
    if (account_of(c, &arena, request, &id, &mailbox, e) == 0 && uid_of(request, &uid, e) == 0 &&
        op_u64_optional(request, "offset", &offset, e) == 0)
        status = mailbox_read(
            c->mailboxes, id, mailbox, uid, offset, CONTROL_PAGE, result->raw, &size, e);
    arena_done(&arena);
    return status;
}
